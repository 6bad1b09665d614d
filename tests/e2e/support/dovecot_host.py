"""Owns a mail host whose doors are Dovecot's and Postfix's, and the Gatepost that they ask."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

from . import mail_logins, postfix
from .dovecot import PASSWORD
from .dovecot_doors import DovecotDoors
from .folder import Folder
from .gatepost import Gatepost
from .mail_logins import Door
from .ports import accepts, accepts_unix, free_port
from .process import wait_until
from .smtp_sink import SmtpSink
from .tls import Certificate

TOKEN = "a token of the tests"

# Postfix's, with the service that Gatepost is told
LISTENERS = {
    "smtp": postfix.Listener("MX", postfix.SASL + ("smtpd_sasl_service=smtp",)),
    "postfix 587": postfix.Listener("SUBMISSION", postfix.SASL + (
        "smtpd_sasl_service=submission",)),
    "postfix 465": postfix.Listener("SUBMISSIONS", postfix.SASL + (
        "smtpd_sasl_service=submissions", postfix.WRAPPER)),
}
SERVICES = {
    "imap": "imap", "imaps": "imap", "pop3": "pop3", "pop3s": "pop3", "sieve": "sieve",
    "submission": "submission", "submissions": "submissions",
    "smtp": "submission", "postfix 587": "submission", "postfix 465": "submissions",
}
POSTFIX = frozenset(LISTENERS)


class DovecotHost:
    """`doors` has a Door for each name in SERVICES, `clear` those in the clear where there is such
    a thing. No client's address comes twice, so that Dovecot's auth penalty delays nothing.
    """

    def __init__(self, redis_url, **settings):
        self.folder = Folder()
        self._sink = SmtpSink()
        self._addresses = itertools.count(1)
        sockets = self.folder.sub("sockets")
        self.doors_socket = os.path.join(sockets, "doors.sock")
        self.passwords_socket = os.path.join(sockets, "passwords.sock")
        self._listens = (self.passwords_socket, free_port())
        certificate = Certificate(self.folder.path)
        self.dovecot = DovecotDoors(self.folder.sub("dovecot"), certificate, self._sink.port,
                                    sockets, self._listens[1], TOKEN)
        self.postfix = postfix.Postfix(self.folder.sub("postfix"), "", certificate,
                                       self.dovecot.auth_socket, self._sink.port, LISTENERS)
        self.token_file = self.folder.file("token")
        self.set_token(TOKEN)
        self.lines = self.localized("gatepost.conf")
        self._settings = {"store": redis_url, "trusted": [], "authentication_results": False,
                          "default_domain": "example.com", **settings}
        self.gatepost = Gatepost(self.folder.path, self._settings)
        self.configure(self.lines)
        self.doors, self.clear = self._list_doors()

    def _list_doors(self):
        at, to = self.dovecot.ports, self.postfix.ports
        clear = {"imap": ("imap", at[143]), "pop3": ("pop3", at[110]), "sieve": ("sieve", at[4190]),
                 "submission": ("smtp", at[587]), "smtp": ("smtp", to["smtp"]),
                 "postfix 587": ("smtp", to["postfix 587"])}
        wrapped = {"imaps": ("imap", at[993]), "pop3s": ("pop3", at[995]),
                   "submissions": ("smtp", at[465]), "postfix 465": ("smtp", to["postfix 465"])}
        doors = {name: Door(*where, "starttls") for name, where in clear.items()}
        doors.update((name, Door(*where, "implicit")) for name, where in wrapped.items())
        return doors, {name: Door(*where, "") for name, where in clear.items()}

    def localized(self, name):
        """A file of conf/dovecot with what it names as it is on this host."""
        return self.dovecot.localized(name).replace("/etc/gatepost/doors-token", self.token_file)

    def set_token(self, token):
        """What Gatepost wants to hear by TCP from its next start on."""
        with open(self.token_file, "w") as file:
            file.write(token + "\n")
        os.chmod(self.token_file, 0o600)

    def optional_tls(self):
        """The lines of conf/dovecot, without the listeners' own demand for TLS."""
        lines = self.lines.replace("tls = required", "tls = optional")
        assert lines != self.lines
        return lines

    def configure(self, lines):
        """Write gatepost.conf with these lines in the place of those of conf/dovecot."""
        self.gatepost.configure(self._settings)
        with open(self.gatepost.conf, "a") as conf:
            conf.write(lines)

    def start_gatepost(self):
        self.gatepost.start()
        path, port = self._listens
        wait_until(lambda: accepts_unix(path) and accepts(port), what="the doors' sockets")

    def start(self):
        self.dovecot.start()
        self.postfix.start()
        return self

    def stop(self):
        self.postfix.stop()
        self.dovecot.stop()
        self._sink.stop()
        self.folder.remove()

    def new_address(self):
        number = next(self._addresses)
        return f"127.77.{number // 250}.{number % 250 + 1}"

    def login(self, name, user, password=PASSWORD, source=None, clear=False):
        """The mail_logins.Outcome of a login at that door."""
        door = (self.clear if clear else self.doors)[name]
        return door.login(user, password, source or self.new_address())

    def everywhere(self, user, password=PASSWORD, clear=False, source=None):
        """{name: Outcome}, tried all at once."""
        names = list(self.clear if clear else self.doors)
        with ThreadPoolExecutor(len(names)) as pool:
            outcomes = pool.map(
                lambda name: self.login(name, user, password, source, clear), names)
            return dict(zip(names, outcomes))


def kinds(outcomes):
    """{name: kind} of what everywhere() returns."""
    return {name: outcome.kind for name, outcome in outcomes.items()}


def all_of(kind, names=SERVICES):
    return {name: kind for name in names}


def away():
    """{name: kind} while Gatepost cannot be asked: Postfix calls each failure of SASL final."""
    return {name: mail_logins.REFUSED if name in POSTFIX else mail_logins.LATER
            for name in SERVICES}
