"""Owns the asking by HTTP: whole requests, and raw octets for what no client sends."""

import base64
import http.client
import json
import socket
import ssl
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict      # names in lower case
    text: str

    def json(self):
        return json.loads(self.text)


class HttpClient:
    """What one filter tells at 127.0.0.1:`port`, a connection for each request."""

    def __init__(self, port, host="127.0.0.1"):
        self.port, self.host = port, host

    def ask(self, path, method="GET", body=None, timeout=20, host=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, {} if host is None else {"Host": host})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read().decode())
        finally:
            connection.close()

    def raw(self):
        """A socket, connected."""
        return socket.create_connection((self.host, self.port), timeout=20)

    def metrics(self):
        answer = self.ask("/metrics")
        assert answer.status == 200
        return Exposition(answer.text)


class Exposition:
    """Metrics in the text format, version 0.0.4, read as strictly as it is specified."""

    def __init__(self, text):
        self.text = text
        self.types, self.help, self._samples = {}, {}, {}
        assert text.endswith("\n")
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, line
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, said = line.split(" ", 3)
                self.help[name] = said
            else:
                self._add(line)

    def _add(self, line):
        head, _, value = line.rpartition(" ")
        name, brace, rest = head.partition("{")
        labels = {}
        while brace and rest != "}":
            key, _, rest = rest.partition('="')
            said, rest = _label_value(rest)
            assert key and key not in labels, line
            labels[key] = said
            rest = rest[1:] if rest.startswith(",") else rest
        sample = (name, frozenset(labels.items()))
        assert sample not in self._samples, line
        self._samples[sample] = float(value)

    def __call__(self, name, **labels):
        """The one value with exactly these labels; 0 when it is not there."""
        return self._samples.get((name, frozenset(labels.items())), 0)

    def all(self, name):
        """[(labels, value)] of the name."""
        return [(dict(labels), value) for (said, labels), value in self._samples.items()
                if said == name]

    def names(self):
        return {name for name, _ in self._samples}

    def labels_of(self, name):
        return {key for labels, _ in self.all(name) for key in labels}


def _label_value(text):
    """A quoted value's text and what stands behind it."""
    said, at = "", 0
    while text[at] != '"':
        if text[at] == "\\":
            at += 1
            said += {"n": "\n", "\\": "\\", '"': '"'}[text[at]]
        else:
            said += text[at]
        at += 1
    return said, text[at + 1:]


def ask_over_tls(name, port, authority, method="GET", path="/", headers=(), body=None,
                 source="127.0.0.1"):
    """One request to the server `name` at 127.0.0.1:`port`, from the address `source`.

    `authority` is the file of the CA; `headers` are (name, value), a name more than once as well.
    """
    connection = http.client.HTTPConnection(name, port)
    with socket.create_connection(("127.0.0.1", port), 20, (source, 0)) as plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority)
        connection.sock = context.wrap_socket(plain, server_hostname=name)
        connection.putrequest(method, path)
        for field, value in headers:
            connection.putheader(field, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        got = {field.lower(): value for field, value in response.getheaders()}
        answer = Answer(response.status, got, response.read().decode())
        connection.close()
        return answer


def basic(user, password):
    """The field by which a client logs in."""
    octets = user if isinstance(user, bytes) else user.encode()
    token = base64.b64encode(octets + b":" + password.encode()).decode()
    return ("Authorization", "Basic " + token)
