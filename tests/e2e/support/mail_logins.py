"""Owns logins as mail programs make them, by IMAP, POP3, ManageSieve and SMTP."""

import base64
import re
import socket
import ssl
from typing import NamedTuple

OK, REFUSED, LATER = "ok", "refused", "later"


class Outcome(NamedTuple):
    kind: str       # OK, REFUSED, or LATER: the client is told that it is no fault of its own
    text: str       # what the client was told

    def __repr__(self):
        return f"{self.kind}: {self.text}"


class _Line:
    """A connection of lines. `source` is the address to connect from."""

    def __init__(self, port, source, tls):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=40,
                                                source_address=(source, 0))
        self._buffer = b""
        if tls:
            self.wrap()

    def wrap(self):
        assert not self._buffer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)

    def read(self):
        while b"\n" not in self._buffer:
            octets = self._socket.recv(65536)
            if not octets:
                raise ConnectionError("the server closed the connection")
            self._buffer += octets
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode("utf-8", "surrogateescape").rstrip("\r")

    def read_until(self, pattern):
        """Lines up to the one that begins with the pattern, which is returned."""
        while True:
            line = self.read()
            if re.match(pattern, line):
                return line

    def ask(self, command, pattern):
        self._socket.sendall(command.encode("utf-8", "surrogateescape") + b"\r\n")
        return self.read_until(pattern)

    def close(self):
        self._socket.close()


def _imap(line, starttls, token, originally=None):
    line.read_until(r"\* OK")
    if originally:
        line.ask(f'i ID ("x-originating-ip" "{originally}")', "i OK")
    if starttls:
        assert line.ask("s STARTTLS", "s ").startswith("s OK")
        line.wrap()
    return line.ask(f"a AUTHENTICATE PLAIN {token}", "a ")[2:]


def _pop3(line, starttls, token):
    line.read_until(r"\+OK")
    if starttls:
        assert line.ask("STLS", r"[+-]").startswith("+OK")
        line.wrap()
    return line.ask(f"AUTH PLAIN {token}", r"[+-]")


def _sieve(line, starttls, token):
    line.read_until("OK")
    if starttls:
        assert line.ask("STARTTLS", "OK|NO").startswith("OK")
        line.wrap()
        line.read_until("OK")
    return line.ask(f'AUTHENTICATE "PLAIN" "{token}"', "OK|NO|BYE")


def _smtp(line, starttls, token):
    line.read_until("220 ")
    line.ask("EHLO client.example", "250 ")
    if starttls:
        assert line.ask("STARTTLS", r"\d\d\d ").startswith("220")
        line.wrap()
        line.ask("EHLO client.example", "250 ")
    return line.ask(f"AUTH PLAIN {token}", r"\d\d\d ")


_SPEAK = {"imap": _imap, "pop3": _pop3, "sieve": _sieve, "smtp": _smtp}
# a command that needs the mailbox to be open, and its answer: a login alone may come before that
_IN = {"imap": ("b NOOP", "b OK"), "pop3": ("STAT", r"\+OK"), "sieve": ("LISTSCRIPTS", "OK"),
       "smtp": ("NOOP", "250 ")}
_KINDS = (
    (OK, r"OK|\+OK|235 "),
    (LATER, r"NO \[UNAVAILABLE\]|-ERR \[SYS/TEMP\]|NO \(TRYLATER\)|4\d\d "),
    (REFUSED, r"NO|-ERR|5\d\d |BYE"),
)


class Door(NamedTuple):
    """Where a client knocks: tls is "", "starttls" or "implicit"."""
    speaks: str     # imap, pop3, sieve or smtp
    port: int
    tls: str

    def _is_in(self, line):
        command, answer = _IN[self.speaks]
        try:
            line.ask(command, answer)
        except (ConnectionError, ssl.SSLError):
            return False
        return True

    def login(self, user, password, source, keep=False, **said):
        """The Outcome of a login from that address; with `keep` also the open connection.

        IMAP only: `originally` is the address that a webmail says it logs in for.
        A login that is granted and then comes to nothing is REFUSED.
        """
        token = base64.b64encode(b"\0".join(word.encode("utf-8", "surrogateescape")
                                            for word in ("", user, password))).decode()
        line = _Line(self.port, source, self.tls == "implicit")
        try:
            said = _SPEAK[self.speaks](line, self.tls == "starttls", token, **said)
        except BaseException:
            line.close()
            raise
        kind = next(kind for kind, pattern in _KINDS if re.match(pattern, said))
        if kind == OK and not self._is_in(line):
            kind = REFUSED
        if keep:
            return Outcome(kind, said), line
        line.close()
        return Outcome(kind, said)
