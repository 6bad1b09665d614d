"""What the files of conf/dovecot have as comments, or do not have: webmail at a port of its own, the
record of use, mechanisms that do not send the password.
"""

import imaplib

import pytest

from support.dovecot_doors import enabled
from support.dovecot_host import SERVICES, DovecotHost, all_of, kinds
from support.gatepostctl import Gatepostctl
from support.mail_logins import OK, REFUSED, Door
from support.policy import load
from support.process import wait_until

ALICE, BOB = "alice@example.com", "bob@example.com"
WEBMAIL = "127.0.0.1"           # whence it logs in
READER = "192.0.2.99"           # for whom


def with_options(text):
    report = "auth_policy_report_after_auth = "
    assert report + "no" in text
    text = text.replace(report + "no", report + "yes") + "auth_mechanisms = plain login cram-md5\n"
    return enabled(enabled(text, "service imap-login {"), "login_trusted_networks")


@pytest.fixture(scope="module")
def host(redis_server):
    made = DovecotHost(redis_server.url, record_use=True)
    for user in (ALICE, BOB):
        made.dovecot.add_user(user)
    made.dovecot.change(with_options)
    made.configure(enabled(made.lines, 'network  "webmail"'))
    try:
        made.start_gatepost()
        yield made.start()
        assert made.gatepost.stop() == 0
    finally:
        made.stop()


@pytest.fixture
def policy(host, redis, request):
    request.node.gatepost = host.gatepost
    request.node.server_log = host.dovecot.log_text

    def set_policy(text):
        load(redis, "account:@example.com source any\n" + text)
        host.gatepost.catch_up(redis)
    return set_policy


@pytest.fixture
def webmail_port(host):
    return Door("imap", host.dovecot.ports[10143], "")


def test_webmail_is_a_service_of_its_own(host, policy, webmail_port):
    policy(f"account:{ALICE} protocol:webmail off")
    outcome = webmail_port.login(ALICE, "secret", WEBMAIL, originally=READER)
    assert outcome.kind == REFUSED
    assert f"webmail is switched off for {ALICE}" in outcome.text
    assert host.gatepost.verdict(stage="door", reason="protocol-disabled")["client"] == READER
    assert host.login("imaps", ALICE).kind == OK


def test_webmail_is_open_while_imap_is_closed(host, policy, webmail_port):
    """To the webmail only: from elsewhere its port is one of imap."""
    policy(f"account:{ALICE} protocol:imap off")
    assert webmail_port.login(ALICE, "secret", WEBMAIL, originally=READER).kind == OK
    for outcome in (host.login("imaps", ALICE),
                    webmail_port.login(ALICE, "secret", host.new_address()),
                    webmail_port.login(ALICE, "secret", host.new_address(), originally=WEBMAIL)):
        assert outcome.kind == REFUSED
    assert host.gatepost.verdicts(service="imap", reason="tls-required")


def test_use_is_recorded(host, policy):
    """Of who came in, and not of who was refused."""
    policy(f"account:{BOB} protocol:sieve off")
    assert host.login("imaps", BOB, "wrong").kind == REFUSED
    assert host.login("sieve", BOB).kind == REFUSED
    assert host.login("pop3s", BOB).kind == OK
    assert host.login("submissions", BOB).kind == OK
    ctl = Gatepostctl(host.gatepost.conf)
    wait_until(lambda: {"pop3", "submissions"} <= used(ctl), what="the record of use")
    assert used(ctl) == {"pop3", "submissions"}


def used(ctl):
    """The services that bob came in by."""
    return {line.split()[0] for line in ctl.do("use", BOB).out.splitlines()} & {
        *SERVICES.values()}


def cram_md5(host):
    """What alice is told who logs in so; "" when she is let in."""
    with imaplib.IMAP4("127.0.0.1", host.dovecot.ports[143]) as client:
        try:
            client.login_cram_md5(ALICE, "secret")
        except imaplib.IMAP4.error as refused:
            return str(refused)
        return ""


def test_a_password_that_is_not_sent(host, policy):
    """The passdb looks up its hash, and both questions are asked all the same. (Clear text is told
    apart by the listener.)"""
    host.configure(enabled(host.optional_tls(), 'network  "webmail"'))
    host.gatepost.restart()
    try:
        policy("")
        assert cram_md5(host) == ""
        host.gatepost.stop()
        assert "Temporary authentication failure" in cram_md5(host)
        host.start_gatepost()
        policy(f"account:{ALICE} protocol:imap off")
        assert f"imap is switched off for {ALICE}" in cram_md5(host)
    finally:
        host.configure(enabled(host.lines, 'network  "webmail"'))
        host.gatepost.restart()


def test_all_else_is_as_ever(host, policy):
    policy("")
    assert kinds(host.everywhere(ALICE)) == all_of(OK)
