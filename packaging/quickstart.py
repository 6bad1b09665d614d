"""The demonstration of the quick start: SMTP sessions through a private Postfix and the filter, and
logins by IMAP at a Dovecot that asks it.

Owns the example policy, the scenes and their expected results: each reply and each verdict is
printed and checked. Run by quickstart.sh, which names the filter in GATEPOST and puts tests/e2e,
with Postfix and the other parts, on PYTHONPATH.
"""

import base64
import contextlib
import os
import re
import shutil
import signal
import sys
import textwrap

from support.dovecot import PASSWORD
from support.dovecot_doors import DovecotDoors
from support.gatepost import Gatepost
from support.mail_logins import OK, REFUSED, Door
from support.ports import free_port
from support.postfix import HOSTNAME, RECIPIENT
from support.site import Site
from support.smtp_client import SmtpClient
from support.tls import Certificate

WIDTH = 98
# the keys of the verdict line that are shown, unless they are empty
KEYS = ("verdict", "reason", "service", "client", "login", "sender", "account", "spf", "from")

HOME = "192.0.2.10"
STRANGER = "203.0.113.77"
BANK_SERVER = "192.0.2.25"
BANK_SPF = f"v=spf1 ip4:{BANK_SERVER} -all"

POLICY = """\
# SUBJECT                  FIELD                VALUE
account:@example.com       source               any
account:bob@example.com    protocol:submission  off
account:carol@example.com  source               authorized
account:carol@example.com  ip:198.51.100.0/24   Carol's office
"""
EDIT = "account:alice@example.com protocol:submission off"
EDIT_IMAP = "account:alice@example.com protocol:imap off"
TOKEN = "a token of the quick start"


class Surprise(Exception):
    """A result differs from what the scene expects."""


def expect(what, wanted, seen):
    if seen != wanted:
        raise Surprise(f"{what}: expected {wanted}, got {seen}")


class Screen:
    """Prints; in colour on a terminal only."""

    def __init__(self):
        self._colour = (sys.stdout.isatty() and not os.environ.get("NO_COLOR")
                        and os.environ.get("TERM", "dumb") != "dumb")

    def line(self, text, colour=None, mark="", indent="  "):
        """`text` folded under its mark; `colour` is an SGR code."""
        first = indent + mark
        lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first),
                              break_long_words=False, break_on_hyphens=False) or [first]
        for shown in lines:
            self.raw(f"\033[{colour}m{shown}\033[0m" if self._colour and colour else shown)

    def title(self, text):
        self.raw("")
        self.line(text, "1", indent="")

    @staticmethod
    def raw(line):
        try:
            print(line)
        except BrokenPipeError:     # nobody reads any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(128 + signal.SIGPIPE) from None


class Dialogue(SmtpClient):
    """An SMTP session that is printed as it goes, but for its opening."""

    def __init__(self, screen, port):
        self._screen = screen
        self.shown = False
        super().__init__(port)

    def send(self, data):
        if self.shown:
            text = data if isinstance(data, str) else data.decode()
            for line in text.splitlines():
                verb, _, token = line.rpartition(" ")
                if verb == "AUTH PLAIN":
                    login = base64.b64decode(token).split(b"\0")[1].decode()
                    line = f"{verb} ({login} and the password, in base64)"
                self._screen.line(line, mark="C: ")
        super().send(data)

    def read_reply(self):
        reply = super().read_reply()
        if self.shown:
            self._screen.line(f"{reply.code} {reply.text}", "31" if reply.code >= 400 else "32",
                              mark="S: ")
        return reply


class Show:
    """What the scenes need: sessions, the filter's verdicts, delivered mail, the policy file."""

    def __init__(self, site, gatepost, dovecot, policy, screen):
        self._site, self._gatepost, self._policy = site, gatepost, policy
        self._imap = Door("imap", dovecot.ports[143], "starttls")
        self._screen = screen
        self._scenes = 0

    @contextlib.contextmanager
    def scene(self, title, door, client, login=None, helo="laptop.example"):
        """A session at that door; XCLIENT makes the client's address known to the filter."""
        self._scenes += 1
        self._screen.title(f"{self._scenes}. {title}")
        self._screen.line(f"(from {client} to {door}"
                          + (", after STARTTLS)" if door == "submission" else ")"))
        with Dialogue(self._screen, self._site.postfix.ports[door]) as smtp:
            smtp.ehlo(helo)
            if door == "submission":
                expect("the reply to STARTTLS", 220, smtp.starttls().code)
                smtp.ehlo(helo)
            expect("the reply to XCLIENT", 220, smtp.xclient(ADDR=client).code)
            smtp.ehlo(helo)
            smtp.shown = True
            if login:
                expect("the reply to AUTH", 235, smtp.auth_plain(login, PASSWORD).code)
            yield smtp
            smtp.shown = False
            smtp.quit()

    def login_title(self, title):
        self._scenes += 1
        self._screen.title(f"{self._scenes}. {title}")
        self._screen.line("(to Dovecot's IMAP, after STARTTLS)")

    def imap(self, login, kind, **fields):
        """A login by IMAP, what must come of it, and the fields that the last verdict must have."""
        self._gatepost.forget()
        self._screen.line(f"a LOGIN {login} (and the password)", mark="C: ")
        outcome = self._imap.login(login, PASSWORD, "127.0.0.1")
        text = re.sub(r"\[CAPABILITY[^]]*\] ", "", outcome.text)
        self._screen.line(text, "32" if outcome.kind == OK else "31", mark="S: ")
        self._show_verdict(self._verdict("door"), fields)
        expect(f"a login of {login} by IMAP", kind, outcome.kind)

    def _show_verdict(self, verdict, fields):
        words = (f"{key}={verdict[key]}" for key in KEYS if verdict.get(key))
        self._screen.line(" ".join(words), "36", mark="filter: ")
        for key, value in fields.items():
            expect(f"{key} of the verdict", value, verdict.get(key))

    def _verdict(self, stage):
        try:
            return self._gatepost.verdict(timeout=5, stage=stage)
        except AssertionError:
            self._gatepost.check_healthy()
            raise

    def mail(self, smtp, sender, wanted, **fields):
        """MAIL FROM, the reply that must come and the fields that the verdict must have."""
        self._gatepost.forget()
        reply = smtp.mail(sender)
        verdict = self._verdict("mail")
        expect(f"the reply to MAIL FROM:<{sender}>", wanted, f"{reply.code} {reply.enhanced}")
        self._show_verdict(verdict, fields)

    def deliver(self, smtp, subject):
        """What follows MAIL FROM; returns the message as it arrived at the other end."""
        expect("the reply to RCPT TO", 250, smtp.rcpt(RECIPIENT).code)
        expect("the reply to the message", 250, smtp.data(f"Subject: {subject}\n").code)
        return self._site.sink.wait_for(subject)

    def show_header(self, message, name, wanted):
        """The header at the top of the delivered message must be that one."""
        found, value = message.headers()[0]
        self._screen.line(f"{found}: {value}", "36", mark="delivered: ")
        expect("the first header of the delivered message", (name, wanted),
               (found, " ".join(value.split())))

    def edit_policy(self, line):
        self._screen.line(f"echo '{line}' >> policy", "33", mark="# ")
        with open(self._policy, "a", encoding="utf-8") as policy:
            policy.write(line + "\n")


def play(show):
    with show.scene("Alice logs in and sends mail: the policy allows it",
                    "submission", HOME, login="alice@example.com") as smtp:
        show.mail(smtp, "alice@example.com", "250 2.1.0", verdict="accept", reason="account",
                  account="alice@example.com")
        show.deliver(smtp, "Lunch on Friday?")

    with show.scene("Bob has switched submission off, so his password cannot send mail here",
                    "submission", HOME, login="bob@example.com") as smtp:
        show.mail(smtp, "bob@example.com", "550 5.7.1", verdict="reject",
                  reason="protocol-disabled", account="bob@example.com")

    with show.scene("Carol may send from her office only, and this is another address",
                    "submission", STRANGER, login="carol") as smtp:
        show.mail(smtp, "carol@example.com", "550 5.7.1", verdict="reject",
                  reason="ip-not-authorized", account="carol@example.com")

    with show.scene("A stranger claims to be the bank, but its SPF record names another server",
                    "mx", STRANGER, helo="mail.bank.example") as smtp:
        show.mail(smtp, "news@bank.example", "550 5.7.23", verdict="reject", reason="spf",
                  spf="fail")

    with show.scene("The bank's own server: SPF passes, and a header says so",
                    "mx", BANK_SERVER, helo="mail.bank.example") as smtp:
        show.mail(smtp, "news@bank.example", "250 2.1.0", verdict="accept", reason="spf",
                  spf="pass")
        message = show.deliver(smtp, "Your statement")
        show.show_header(message, "Authentication-Results",
                         f"{HOSTNAME}; spf=pass smtp.mailfrom=news@bank.example")

    with show.scene("Alice's submission is switched off while she is connected",
                    "submission", HOME, login="alice@example.com") as smtp:
        show.mail(smtp, "alice@example.com", "250 2.1.0", verdict="accept", reason="account")
        smtp.rset()
        show.edit_policy(EDIT)
        show.mail(smtp, "alice@example.com", "550 5.7.1", verdict="reject",
                  reason="protocol-disabled")

    show.login_title("Alice still reads her mail by IMAP, until that is switched off")
    show.imap("alice@example.com", OK, verdict="accept", reason="account")
    show.edit_policy(EDIT_IMAP)
    show.imap("alice@example.com", REFUSED, verdict="reject", reason="protocol-disabled")


def door_settings(folder):
    """What Dovecot asks the filter by, and what the filter says to that."""
    token = os.path.join(folder, "token")
    with open(token, "w", encoding="utf-8") as file:
        file.write(TOKEN + "\n")
        os.fchmod(file.fileno(), 0o600)
    shutil.chown(token, "nobody")
    port = free_port()
    return port, {"doors_listen": [f"unix:{folder}/doors.sock", f"127.0.0.1:{port}"],
                  "doors_token_file": token, "doors_group": "dovecot",
                  "passwords_listen": f"unix:{folder}/passwords.sock"}


@contextlib.contextmanager
def stage(policy):
    """(site, running filter, Dovecot of the doors): all that the show needs, gone afterwards."""
    with contextlib.ExitStack() as stack:
        site = Site()
        stack.callback(site.stop)
        site.nameserver.zones["bank.example"] = {"TXT": [BANK_SPF]}
        path = site.folder.file("policy")
        with open(path, "w", encoding="utf-8") as file:
            file.write(policy)
        sockets = site.folder.sub("sockets")
        port, doors = door_settings(sockets)
        dovecot = DovecotDoors(site.folder.sub("doors"), Certificate(site.folder.path),
                               site.sink.port, sockets, port, TOKEN)
        dovecot.add_user("alice@example.com")
        stack.callback(dovecot.stop)
        gatepost = Gatepost(site.folder.path, {
            **doors,
            "store": "file:" + path,
            "user": "nobody",
            "default_domain": "example.com",
            "listener": {
                "mx": {"daemon_name": "MX", "service": "smtp"},
                "submission": {"daemon_name": "SUBMISSION", "service": "submission",
                               "tls": "required", "auth": "required"},
                "imap": {"door": "dovecot", "service": "imap", "tls": "required"},
            },
            "spf": {"nameservers": [site.nameserver.address]},
        }, socket=site.milter_socket)
        stack.callback(gatepost.stop)
        stack.callback(ignore_signals)
        gatepost.start()
        site.start()
        dovecot.start()
        yield site, gatepost, dovecot, path
        expect("the filter's exit status", 0, gatepost.stop())


def ignore_signals(*_):
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def interrupt(number, _):
    ignore_signals()
    raise SystemExit(128 + number)


def run():
    screen = Screen()
    screen.title("The policy, one fact per line (here in a file; in Redis in hashes)")
    for line in POLICY.splitlines():
        screen.raw("  " + line)
    with stage(POLICY) as (site, gatepost, dovecot, path):
        try:
            play(Show(site, gatepost, dovecot, path, screen))
        except (Surprise, AssertionError, OSError, RuntimeError) as problem:
            raise Surprise("\n  ".join([f"{problem}", "The filter's log:",
                                       *gatepost.log_lines()[-10:]])) from problem
    screen.title("All as expected.")


def main():
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        run()
    except (Surprise, AssertionError, OSError, RuntimeError) as problem:
        print(f"\nquickstart: unexpected result: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
