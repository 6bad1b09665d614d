"""App passwords at every door of a host with Dovecot and Postfix: where they are good, and where
not even the account's own password is.
"""

import base64
import http.client

import pytest

from support.dovecot_doors import enabled
from support.dovecot_host import SERVICES, DovecotHost, all_of, kinds
from support.gatepostctl import Gatepostctl
from support.mail_logins import LATER, OK, REFUSED, Door
from support.policy import load
from support.radicale import Radicale

ALICE, BOB = "alice@example.com", "bob@example.com"
ALIAS = "ali@example.com"
DISABLED, DISABLED_ALIAS = "gone@example.com", "left@example.com"
UNKNOWN = "nobody@example.com"              # has policy and app passwords, but is no user here
OWN = "secret"


@pytest.fixture(scope="module")
def host(redis_server):
    made = DovecotHost(redis_server.url)
    for user in (ALICE, BOB, DISABLED):
        made.dovecot.add_user(user)
    made.dovecot.add_user(ALIAS, account=ALICE)
    made.dovecot.add_user(DISABLED_ALIAS, account=DISABLED)
    made.dovecot.disable_user(DISABLED)
    made.dovecot.change(lambda text: enabled(enabled(text, "service imap-login {"),
                                             "login_trusted_networks"))
    made.configure(enabled(enabled(made.lines, 'network  "webmail"'), 'network  "dav-server"'))
    try:
        made.start_gatepost()
        yield made.start()
        assert made.gatepost.stop() == 0
    finally:
        made.stop()


@pytest.fixture
def ctl(host, redis, request):
    """A function (words of gatepostctl): done, and heard of by Gatepost; what it printed."""
    request.node.gatepost = host.gatepost
    request.node.server_log = host.dovecot.log_text
    load(redis, "account:@example.com source any")

    def do(*words):
        printed = Gatepostctl(host.gatepost.conf).do(*words).out.strip()
        host.gatepost.catch_up(redis)
        return printed
    yield do
    host.gatepost.check_healthy()


def expected(*services):
    return {name: OK if service in services else REFUSED for name, service in SERVICES.items()}


@pytest.mark.parametrize("services", [
    ("imap",), ("pop3",), ("sieve",), ("submission",), ("submissions",), ("imap", "submission")])
def test_where_it_is_good(host, ctl, services):
    """587 and 465 are told apart, too; the account's own password stays good."""
    secret = ctl("password", "add", ALICE, *services)
    assert kinds(host.everywhere(ALICE, secret)) == expected(*services)
    assert kinds(host.everywhere(ALICE.upper(), secret.replace("-", ""))) == expected(*services)
    assert kinds(host.everywhere(BOB, secret)) == expected()
    assert kinds(host.everywhere(ALICE)) == all_of(OK)


def test_removed(host, ctl):
    secret = ctl("password", "add", ALICE, "imap")
    assert kinds(host.everywhere(ALICE, secret)) == expected("imap")
    identity = ctl("password", "list", ALICE).splitlines()[1].split()[0]
    ctl("password", "remove", ALICE, identity)
    assert kinds(host.everywhere(ALICE, secret)) == expected()


def test_a_closed_door(host, ctl):
    secret = ctl("password", "add", ALICE, "imap", "pop3")
    ctl("protocol", "off", ALICE, "imap")
    outcomes = host.everywhere(ALICE, secret)
    assert kinds(outcomes) == expected("pop3")
    assert f"imap is switched off for {ALICE}" in outcomes["imap"].text
    assert "switched off" not in host.login("imap", ALICE, "wrong").text


def test_nothing_else_is_good(host, ctl):
    """By the alias neither, whose policy is that of the account; clients are told."""
    secret = ctl("password", "add", ALICE, "imap", "submission")
    ctl("password", "application", ALICE)
    assert kinds(host.everywhere(ALICE, secret)) == expected("imap", "submission")
    for login in (ALICE, ALIAS):
        outcomes = host.everywhere(login, OWN)
        assert kinds(outcomes) == expected()
        assert all("app password" in outcome.text for outcome in outcomes.values()), outcomes
    assert kinds(host.everywhere(BOB)) == all_of(OK)


def test_webmail_takes_none(host, ctl):
    """And takes the account's own, where nothing else does."""
    secret = ctl("password", "add", ALICE, "imap")
    ctl("password", "application", ALICE)
    for tls in ("", "starttls"):
        webmail = Door("imap", host.dovecot.ports[10143], tls)
        assert webmail.login(ALICE, secret, "127.0.0.1").kind == REFUSED
        assert webmail.login(ALICE, OWN, "127.0.0.1").kind == OK


def test_a_caldav_server_that_logs_in_by_imap(host, ctl):
    """At a port of its own it takes app passwords for caldav, and obeys that switch."""
    secret, other = (ctl("password", "add", ALICE, service) for service in ("caldav", "imap"))
    ctl("password", "application", ALICE)
    ctl("tls", "required", ALICE)       # her client has it, and ends it at the CalDAV server
    server = Door("imap", host.dovecot.ports[10144], "")

    def outcome(password, source="127.0.0.1"):
        return server.login(ALICE, password, source, originally=host.new_address())
    assert [outcome(password).kind for password in (secret, other, OWN)] == [OK, REFUSED, REFUSED]
    assert host.login("imaps", ALICE, secret).kind == REFUSED
    ctl("protocol", "off", ALICE, "caldav")
    assert "caldav is switched off" in outcome(secret).text
    assert host.login("imaps", ALICE, other).kind == OK


def test_the_port_of_a_caldav_server_from_elsewhere(host, ctl):
    """There it is IMAP: no password for calendars opens the mailbox, also where caldav is closed."""
    secret, other = (ctl("password", "add", ALICE, service) for service in ("caldav", "imap"))
    port = Door("imap", host.dovecot.ports[10144], "starttls")

    def kinds_from(source):
        return [port.login(ALICE, password, source, originally="127.0.0.1").kind
                for password in (secret, other)]
    assert kinds_from("127.0.0.1") == [OK, REFUSED]
    assert kinds_from(host.new_address()) == [REFUSED, OK]
    ctl("protocol", "off", ALICE, "caldav")
    assert kinds_from(host.new_address()) == [REFUSED, OK]


def test_radicale_that_logs_in_by_imap(host, ctl):
    pytest.importorskip("radicale.auth.imap", reason="this Radicale checks no passwords by IMAP")
    secret = ctl("password", "add", ALICE, "caldav")
    other = ctl("password", "add", ALICE, "imap")
    radicale = Radicale(host.folder.sub("radicale"), host.dovecot.ports[10144]).start()

    def status(password):
        field = base64.b64encode(f"{ALICE}:{password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", radicale.port, timeout=60)
        try:
            connection.request("PROPFIND", f"/{ALICE}/", headers={"Authorization": "Basic " + field})
            return connection.getresponse().status
        finally:
            connection.close()
    try:
        assert [status(password) for password in (secret, other, OWN)] == [207, 401, 207]
        ctl("protocol", "off", ALICE, "caldav")
        assert status(secret) == 401
    finally:
        radicale.stop()


@pytest.mark.parametrize("account, logins", [
    (UNKNOWN, [UNKNOWN]), (DISABLED, [DISABLED, DISABLED_ALIAS]),
    (DISABLED_ALIAS, [DISABLED_ALIAS])])
def test_who_is_no_user_of_the_host_has_no_use_for_it(host, ctl, account, logins):
    secret = ctl("password", "add", account, *sorted(set(SERVICES.values())))
    for login in logins:
        assert kinds(host.everywhere(login, secret)) == expected()


def test_an_alias_with_one_of_its_own(host, ctl):
    """The account's policy holds for it all the same."""
    secret = ctl("password", "add", ALIAS, "imap", "pop3")
    assert kinds(host.everywhere(ALIAS, secret)) == expected("imap", "pop3")
    ctl("protocol", "off", ALICE, "imap")
    outcomes = host.everywhere(ALIAS, secret)
    assert kinds(outcomes) == expected("pop3")
    assert f"imap is switched off for {ALICE}" in outcomes["imap"].text


def test_passwords_that_cannot_be_read(host, ctl, redis):
    """Nobody knows whether it was one: later."""
    secret = ctl("password", "add", ALICE, "imap")
    redis.cli("DEL", f"gatepost-password:{ALICE}")
    redis.cli("SET", f"gatepost-password:{ALICE}", "of the wrong type")
    assert host.login("imaps", ALICE, secret).kind == LATER
