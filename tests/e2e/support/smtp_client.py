"""Owns the tests' side of SMTP: explicit commands, every reply given back as (code, text)."""

import base64
import socket
import ssl
from typing import NamedTuple


class Reply(NamedTuple):
    code: int
    text: str   # without the code; the lines of a multi-line reply joined by newlines

    @property
    def enhanced(self):
        """The enhanced status code at the front of the text, such as 5.7.1, or ''."""
        word = self.text.split(" ", 1)[0]
        return word if word.count(".") == 2 and word.replace(".", "").isdigit() else ""


def _bytes(value):
    return value if isinstance(value, bytes) else value.encode()


class SmtpClient:
    """One connection to host:port. Each command returns its Reply and never raises for one.

    `source` is the address to connect from.
    """

    def __init__(self, port, host="127.0.0.1", timeout=30, implicit_tls=False, source=None):
        self._socket = socket.create_connection(
            (host, port), timeout=timeout, source_address=(source, 0) if source else None)
        if implicit_tls:
            self._wrap()
        self._buffer = b""
        self.greeting = self.read_reply()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _wrap(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)

    def send(self, data):
        """Raw bytes, as they are."""
        self._socket.sendall(_bytes(data))

    def _read_line(self):
        while b"\n" not in self._buffer:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionError("server closed the connection")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def read_reply(self):
        lines = []
        while True:
            line = self._read_line()
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), "\n".join(lines))

    def command(self, line):
        self.send(_bytes(line) + b"\r\n")
        return self.read_reply()

    def ehlo(self, name="client.example"):
        return self.command(b"EHLO " + _bytes(name))

    def helo(self, name="client.example"):
        return self.command(b"HELO " + _bytes(name))

    def xclient(self, **attributes):
        """XCLIENT ADDR=... NAME=... LOGIN=...; the session is fresh afterwards: say EHLO again."""
        if ":" in attributes.get("ADDR", "") and not attributes["ADDR"].startswith("IPV6:"):
            attributes["ADDR"] = "IPV6:" + attributes["ADDR"]
        words = " ".join(f"{name}={value}" for name, value in attributes.items())
        return self.command("XCLIENT " + words)

    def starttls(self):
        reply = self.command("STARTTLS")
        if reply.code == 220:
            self._wrap()
            self._buffer = b""
        return reply

    def auth_plain(self, user, password):
        token = base64.b64encode(b"\0" + _bytes(user) + b"\0" + _bytes(password))
        return self.command(b"AUTH PLAIN " + token)

    def mail(self, sender, parameters=""):
        command = b"MAIL FROM:<" + _bytes(sender) + b">"
        return self.command(command + _bytes(" " + parameters if parameters else ""))

    def rcpt(self, recipient):
        return self.command(b"RCPT TO:<" + _bytes(recipient) + b">")

    def data(self, message):
        """DATA and the message (headers and body, lines in any line ending); the last reply."""
        reply = self.command("DATA")
        if reply.code != 354:
            return reply
        lines = _bytes(message).replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
        body = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
        self.send(body + b"\r\n.\r\n")
        return self.read_reply()

    def rset(self):
        return self.command("RSET")

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply

    def close(self):
        """Drop the connection without a word."""
        self._socket.close()
