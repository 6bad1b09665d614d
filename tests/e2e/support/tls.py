"""Owns the self-signed certificate that Postfix shows."""

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
