"""Owns logins by IMAP and POP3 as of a mail program: TLS, login, a look into the mailbox."""

import imaplib
import poplib
import socket
import ssl


class Refused(Exception):
    """What the server said to the login; "" where it closed the connection without a word."""


def _context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connect(port, source, implicit_tls):
    made = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
    return _context().wrap_socket(made) if implicit_tls else made


class ImapClient(imaplib.IMAP4):
    def __init__(self, port, source, implicit_tls):
        self._how = port, source, implicit_tls
        super().__init__("127.0.0.1")

    def _create_socket(self, timeout):
        return _connect(*self._how)


class Pop3Client(poplib.POP3):
    def __init__(self, port, source, implicit_tls):
        self._how = port, source, implicit_tls
        super().__init__("127.0.0.1")

    def _create_socket(self, timeout):
        return _connect(*self._how)


def _imap(port, source, implicit_tls, user, password):
    client = ImapClient(port, source, implicit_tls)
    try:
        if not implicit_tls:
            client.starttls(_context())
        client.login(user, password)
        assert client.select("INBOX")[0] == "OK"
    finally:
        client.sock.close()


def _pop3(port, source, implicit_tls, user, password):
    client = Pop3Client(port, source, implicit_tls)
    try:
        if not implicit_tls:
            client.stls(_context())
        client.user(user)
        client.pass_(password)
        assert client.stat() == (0, 0)
    finally:
        client.close()


_LOGINS = {"imap": (_imap, False), "imaps": (_imap, True),
           "pop3": (_pop3, False), "pop3s": (_pop3, True)}


def log_in(name, port, source, user, password):
    """By "imap" or "pop3" with STARTTLS, "imaps" or "pop3s"; from the address `source`. Refused if
    that was not possible."""
    function, implicit_tls = _LOGINS[name]
    try:
        function(port, source, implicit_tls, user, password)
    except (imaplib.IMAP4.abort, ConnectionError, EOFError):
        raise Refused("") from None
    except (imaplib.IMAP4.error, poplib.error_proto) as error:
        raise Refused(error.args[0] if isinstance(error.args[0], str)
                      else error.args[0].decode()) from None
