"""Owns the whole arrangement around the filter: Postfix, Dovecot, mail sink and name server.

One Site serves a whole test run; the filter behind `milter_socket` comes and goes.
"""

from .dovecot import PASSWORD, USERS, Dovecot
from .folder import Folder
from .nameserver import NameServer
from .postfix import LISTENERS, WRAPPER, Listener, Postfix
from .smtp_client import SmtpClient
from .smtp_sink import SmtpSink
from .tls import Certificate

# doors that differ only in what the filter's configuration says about them
DOORS = {
    **LISTENERS,
    "strict": Listener("STRICT"),
    "gated": Listener("GATED"),
    "watched": Listener("WATCHED"),
}


class Site:
    """`doors` are Postfix's listeners, `users` the logins that Dovecot knows (bytes, lower case).
    """

    def __init__(self, doors=None, users=USERS, milter_socket=None,
                 password_lookup="user"):
        self._doors = DOORS if doors is None else doors
        self.folder = Folder()
        self.milter_socket = milter_socket or self.folder.file("milter.sock")
        self.nameserver = NameServer()
        self.sink = SmtpSink()
        self.dovecot = Dovecot(self.folder.sub("dovecot"), users, password_lookup)
        self.postfix = Postfix(
            self.folder.sub("postfix"), "unix:" + self.milter_socket,
            Certificate(self.folder.path), self.dovecot.auth_socket, self.sink.port,
            self._doors)

    def start(self):
        self.dovecot.start()
        self.postfix.start()
        return self

    def stop(self):
        self.postfix.stop()
        self.dovecot.stop()
        self.sink.stop()
        self.nameserver.stop()
        self.folder.remove()

    def session(self, door, client=None, login=None, tls=None, helo="client.example"):
        """An SmtpClient on that door, after EHLO and all that these arguments ask for.

        `client` is the address to pretend by XCLIENT; TLS is used where `tls` says so, by default
        where the door requires it. A refused XCLIENT, STARTTLS or AUTH raises AssertionError; the
        greeting after XCLIENT is kept as the client's `greeting`.
        """
        implicit = WRAPPER in self._doors[door].options
        smtp = SmtpClient(self.postfix.ports[door], implicit_tls=implicit)
        smtp.ehlo(helo)
        if not implicit and (door == "submission" if tls is None else tls):
            _expect(220, smtp.starttls())
            smtp.ehlo(helo)
        if client:
            smtp.greeting = smtp.xclient(ADDR=client)
            smtp.ehlo(helo)
        if login:
            _expect(235, smtp.auth_plain(login, PASSWORD))
        return smtp


def _expect(code, reply):
    assert reply.code == code, reply
