"""Owns certificates: the self-signed one that Postfix shows, and those of a CA of the tests' own."""

import os
import subprocess


class Certificate:
    """cert.pem and key.pem below `folder`, made by openssl."""

    def __init__(self, folder, name="mx.gatepost.test"):
        self.cert = os.path.join(folder, "cert.pem")
        self.key = os.path.join(folder, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-keyout", self.key, "-out", self.cert],
            check=True, capture_output=True)


def _openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, capture_output=True)


_CA_CONF = """\
[ca]
default_ca = tests
[tests]
database = {index}
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Authority:
    """A CA below `folder`: ca.pem, and what it issues."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self._folder = folder
        self.cert = os.path.join(folder, "ca.pem")
        self._key = os.path.join(folder, "ca.key")
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-days", "2", "-subj", "/CN=the tests' CA",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign",    # Python 3.13 looks for it
                 "-keyout", self._key, "-out", self.cert)

    def issue(self, name, subject="IP:127.0.0.1", expired=False, days=2):
        """(cert, key) for a subjectAltName."""
        cert, key, request, extensions = (os.path.join(self._folder, f"{name}.{kind}")
                                          for kind in ("pem", "key", "csr", "ext"))
        with open(extensions, "w") as file:
            file.write(f"subjectAltName = {subject}\nauthorityKeyIdentifier = keyid\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        if expired:
            self._sign_expired(request, extensions, cert)
        else:
            _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key,
                     "-CAcreateserial", "-extfile", extensions, "-days", str(days), "-out", cert)
        os.chmod(key, 0o644)    # of whichever user a server or the filter becomes
        return cert, key

    def _sign_expired(self, request, extensions, cert):
        """`openssl x509` takes no dates before OpenSSL 3.4, `openssl ca` always did."""
        conf, index = (os.path.join(self._folder, name) for name in ("ca.conf", "index"))
        with open(conf, "w") as file:
            file.write(_CA_CONF.format(index=index, folder=self._folder))
        with open(index, "w"):
            pass
        _openssl("ca", "-batch", "-config", conf, "-cert", self.cert, "-keyfile", self._key,
                 "-startdate", "20200101000000Z", "-enddate", "20210101000000Z",
                 "-notext", "-in", request, "-extfile", extensions, "-out", cert)


def directives(authority, certificate, port, *more):
    """The lines of redis.conf for TLS, which demands a certificate of its clients."""
    cert, key = certificate
    return [f"tls-port {port}", f"tls-cert-file {cert}", f"tls-key-file {key}",
            f"tls-ca-cert-file {authority.cert}", "tls-auth-clients yes", *more]
