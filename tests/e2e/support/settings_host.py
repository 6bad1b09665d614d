"""Owns a mail host whose users have the page of gatepost-settings: Dovecot, Postfix, Gatepost."""

from .dovecot_host import DovecotHost
from .folder import Folder
from .process import wait_until
from .settings_page import SettingsPage

ALICE = "alice@example.com"
PASSWORD = "secret"
PROTOCOLS = {"imap4-smtp": {"services": ["imap", "submission", "submissions"]},
             "pop3-smtp": {"services": ["pop3", "submission", "submissions"]},
             "caldav": {"services": ["caldav"]}, "carddav": {"services": ["carddav"]}}
HOME, ELSEWHERE = "127.0.0.1", "127.99.0.1"


def _with_reports(text):
    """dovecot.conf with what `record_use` needs."""
    off = "auth_policy_report_after_auth = no"
    assert off in text
    return text.replace(off, "auth_policy_report_after_auth = yes")


class SettingsHost:
    """Alice has an account there; `settings` are those of the page's section."""

    def __init__(self, redis_url, **settings):
        self._folder = Folder()
        self.page = SettingsPage(self._folder.path, [ALICE], PASSWORD, **settings)
        self.mail = DovecotHost(redis_url, record_use=True, protocol=PROTOCOLS,
                                **self.page.conf)
        self.mail.dovecot.add_user(ALICE)
        self.mail.dovecot.change(_with_reports)

    def start(self):
        self.mail.start_gatepost()
        self.mail.start()
        self.page.start(self.mail.gatepost.conf)
        return self

    def log_text(self):
        """Of gatepost-settings; "" once its folder is gone."""
        try:
            return self.page.log_text()
        except FileNotFoundError:
            return ""

    def stop(self):
        """The exit statuses of gatepost-settings and gatepost."""
        try:
            return self.page.stop(), self.mail.gatepost.stop()
        finally:
            self.mail.stop()
            self._folder.remove()

    def login(self, door, source=HOME, password=PASSWORD):
        """The mail_logins.Outcome of a login as Alice at that door of DovecotHost."""
        return self.mail.login(door, ALICE, password, source)

    def obeyed(self, door, kind, **arguments):
        """The first such login that comes to that: a change is heard of at once, but not before."""
        def login():
            outcome = self.login(door, **arguments)
            return outcome if outcome.kind == kind else None
        return wait_until(login, 10, f"{door}: {kind}")
