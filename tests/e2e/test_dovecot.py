"""Logins at every door of a host with Dovecot and Postfix: the policy holds, and nobody gets in
while it cannot be known. Dovecot runs from the files of conf/dovecot.
"""

import os
import signal

import pytest

from support.dovecot import NOT_UTF8
from support.dovecot_host import POSTFIX, SERVICES, TOKEN, DovecotHost, all_of, away, kinds
from support.mail_logins import LATER, OK, REFUSED
from support.policy import load
from support.process import wait_until

ALICE, BOB = "alice@example.com", "bob@example.com"
ALIAS = "ali@example.com"                   # the host's alias of alice
TAGGED = "alice+news@example.com"
STRAY = "stray@stray.example"               # may log in, but nothing here has policy
NO_MAILBOX = "nobox@example.com"
DISABLED, DISABLED_ALIAS = "gone@example.com", "left@example.com"
OTHERS = ("carol@example.com", "carol@closed.example", "dave@closed.example")
KNOWN = """
account:@example.com source any
account:@closed.example source any
"""


@pytest.fixture(scope="module")
def host(redis_server):
    # with on_store_error = accept, which does not hold at these doors
    made = DovecotHost(redis_server.url, on_store_error="accept", store_timeout="200ms")
    for user in (ALICE, BOB, TAGGED, STRAY, DISABLED, *OTHERS):
        made.dovecot.add_user(user)
    made.dovecot.add_user(ALIAS, account=ALICE)
    made.dovecot.add_user(DISABLED_ALIAS, account=DISABLED)
    made.dovecot.add_user(NO_MAILBOX, mailbox=False)
    made.dovecot.disable_user(DISABLED)
    try:
        made.configure(made.optional_tls())
        made.start_gatepost()
        yield made.start()
        assert made.gatepost.stop() == 0
    finally:
        made.stop()


@pytest.fixture
def policy(host, redis, request):
    """A function (lines): the policy, of which Gatepost has heard. The domains are known."""
    request.node.gatepost = host.gatepost
    request.node.server_log = host.dovecot.log_text
    if not host.gatepost.running():
        host.start_gatepost()

    def set_policy(text=""):
        redis.cli("FLUSHALL")
        load(redis, KNOWN + text)
        host.gatepost.catch_up(redis)
    set_policy()
    yield set_policy
    host.gatepost.check_healthy()


def closed_text(service, account):
    return f"{service} is switched off for {account}"


def assert_closed(outcomes, account):
    assert kinds(outcomes) == all_of(REFUSED, outcomes)
    for name, outcome in outcomes.items():
        assert closed_text(SERVICES[name], account) in outcome.text, (name, outcome)


def test_open(host, policy):
    assert kinds(host.everywhere(BOB)) == all_of(OK)


def test_what_gatepost_is_told(host, policy):
    """The service, the client and TLS of each door, by both questions about a login."""
    policy(f"account:{BOB} tls required")
    for name, service in SERVICES.items():
        source = host.new_address()
        assert host.login(name, BOB, source=source).kind == OK
        lines = host.gatepost.verdicts(client=source)
        assert [line["stage"] for line in lines] == ["door", "door"]
        assert {(line["service"], line["account"], line["verdict"]) for line in lines} == {
            (service, BOB, "accept")}


def test_switched_off(host, policy):
    policy(f"account:{ALICE} protocol:* off")
    assert_closed(host.everywhere(ALICE), ALICE)
    assert kinds(host.everywhere(BOB)) == all_of(OK)
    policy()
    assert kinds(host.everywhere(ALICE)) == all_of(OK)


@pytest.mark.parametrize("protocol", sorted(set(SERVICES.values())))
def test_one_switch_closes_its_doors(host, policy, protocol):
    """Ports 465 and 587 among them, which Dovecot calls by the same name."""
    policy(f"account:{ALICE} protocol:{protocol} off")
    outcomes = host.everywhere(ALICE)
    assert kinds(outcomes) == {name: REFUSED if service == protocol else OK
                               for name, service in SERVICES.items()}
    assert_closed({name: outcome for name, outcome in outcomes.items()
                   if outcome.kind == REFUSED}, ALICE)


def test_a_stranger_learns_nothing(host, policy):
    """Only who knows the password is told that the door is closed."""
    wrong = host.everywhere(ALICE, "wrong")
    policy(f"account:{ALICE} protocol:* off")
    for name, outcome in host.everywhere(ALICE, "wrong").items():
        assert outcome == wrong[name] and "switched off" not in outcome.text


def test_defaults_of_the_domain_and_of_everybody(host, policy):
    policy("account:@closed.example protocol:* off\naccount:carol@closed.example protocol:* on")
    assert_closed(host.everywhere("dave@closed.example"), "dave@closed.example")
    assert kinds(host.everywhere("carol@closed.example")) == all_of(OK)
    policy(f"account:* protocol:* off\naccount:{BOB} protocol:* on")
    assert_closed(host.everywhere("carol@example.com"), "carol@example.com")
    assert kinds(host.everywhere(BOB)) == all_of(OK)


def test_an_account_that_requires_tls(host, policy):
    policy(f"account:{ALICE} tls required")
    outcomes = host.everywhere(ALICE, clear=True)
    assert kinds(outcomes) == all_of(REFUSED, host.clear)
    assert all("TLS" in outcome.text for outcome in outcomes.values())
    assert kinds(host.everywhere(ALICE)) == all_of(OK)
    assert kinds(host.everywhere(BOB, clear=True)) == all_of(OK, host.clear)


def test_an_own_address_is_no_tls(host, policy):
    """Dovecot calls a client on its own address secured, and so takes its password in the clear."""
    policy(f"account:{ALICE} tls required")
    outcome = host.login("imap", ALICE, source="127.0.0.1", clear=True)
    assert outcome.kind == REFUSED and "TLS" in outcome.text, outcome


def test_listed_addresses(host, policy):
    listed, other = host.new_address(), host.new_address()
    policy(f"account:{ALICE} source authorized\naccount:{ALICE} ip:{listed} home")
    for name in ("submission", "submissions", "postfix 587", "postfix 465", "smtp"):
        assert host.login(name, ALICE, source=listed).kind == OK
        outcome = host.login(name, ALICE)
        assert outcome.kind == REFUSED and "may not log in to submission" in outcome.text
    assert host.login("imap", ALICE, source=other).kind == OK      # not among source_services


def test_monitor(host, policy):
    policy(f"account:{ALICE} protocol:* off\naccount:{ALICE} mode monitor")
    assert kinds(host.everywhere(ALICE)) == all_of(OK)
    lines = host.gatepost.verdicts(account=ALICE, would="reject")
    assert {line["service"] for line in lines} == set(SERVICES.values())


@pytest.mark.parametrize("login", [
    ALIAS, ALICE.upper(), "Alice@Example.com", TAGGED, f"{ALICE}*boss", f"{ALIAS}*boss"])
def test_no_name_is_a_way_round(host, policy, login):
    """An alias, another case, an address extension, a master login."""
    assert kinds(host.everywhere(login)) == all_of(OK)
    policy(f"account:{ALICE} protocol:* off")
    assert_closed(host.everywhere(login), ALICE)


def test_a_password_that_is_not_utf_8(host, policy):
    """It can be none of Gatepost's, and is the host's own passdb's to judge."""
    outcomes = host.everywhere(BOB, b"s\xe9cret".decode("utf-8", "surrogateescape"))
    assert kinds(outcomes) == all_of(REFUSED)


@pytest.mark.parametrize("login", [
    NOT_UTF8.decode("utf-8", "surrogateescape"), DISABLED, DISABLED.upper(), DISABLED_ALIAS, f"{DISABLED}*boss", "nobody@example.com",
    "nobody@example.com*boss", "alice@other.example", "alice"])
def test_who_is_no_user_of_the_host_stays_out(host, policy, login):
    """Disabled, unknown, or of another domain: no realm is dropped."""
    assert kinds(host.everywhere(login)) == all_of(REFUSED)


def test_who_has_no_mailbox_stays_out(host, policy):
    """But for Postfix, which needs none."""
    outcomes = kinds(host.everywhere(NO_MAILBOX))
    assert OK not in {outcomes[name] for name in set(SERVICES) - POSTFIX}


def test_a_login_that_is_not_registered(host, policy, redis):
    outcomes = host.everywhere(STRAY)
    assert kinds(outcomes) == all_of(REFUSED)
    assert all("is not registered here" in outcome.text for outcome in outcomes.values())
    redis.cli("HSET", "gatepost:account:@stray.example", "source", "any")
    host.gatepost.catch_up(redis)
    assert kinds(host.everywhere(STRAY)) == all_of(OK)


def test_an_open_session_can_be_ended(host, policy):
    """It goes on after the switch; doveadm ends it."""
    address = host.new_address()
    outcome, line = host.doors["imap"].login(ALICE, "secret", address, keep=True)
    assert outcome.kind == OK
    policy(f"account:{ALICE} protocol:* off")
    assert line.ask("c NOOP", "c ").startswith("c OK")
    assert host.dovecot.doveadm("kick", ALICE).returncode == 0
    assert line.read_until(r"\* BYE")
    line.close()


def test_the_files_as_they_are(host, policy):
    """The listeners of conf/dovecot require TLS of everybody."""
    host.configure(host.lines)
    try:
        host.gatepost.restart()
        policy()
        outcomes = host.everywhere(BOB, clear=True)
        assert kinds(outcomes) == all_of(REFUSED, host.clear)
        assert all("TLS" in outcome.text for outcome in outcomes.values())
        assert kinds(host.everywhere(BOB)) == all_of(OK)
    finally:
        host.configure(host.optional_tls())
        host.gatepost.restart()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_gatepost_is_gone(host, policy, number):
    assert kinds(host.everywhere(BOB)) == all_of(OK)
    host.gatepost.stop(number)
    for login in (BOB, ALICE, f"{BOB}*boss"):
        assert kinds(host.everywhere(login)) == away()
    host.start_gatepost()
    assert kinds(host.everywhere(BOB)) == all_of(OK)


def test_mail_is_delivered_while_gatepost_is_gone(host, policy):
    """What asks for accounts without a login does not ask Gatepost."""
    host.gatepost.stop()
    for service in ("lmtp", "doveadm"):
        looked_up = host.dovecot.doveadm("auth", "lookup", "-x", f"service={service}", BOB)
        assert looked_up.returncode == 0, looked_up
    assert host.dovecot.doveadm("auth", "lookup", "-x", "service=imap", BOB).returncode == 75
    host.start_gatepost()


def test_gatepost_hangs(host, policy):
    assert kinds(host.everywhere(BOB)) == all_of(OK)
    host.gatepost.freeze()
    try:
        for login in (BOB, f"{BOB}*boss"):
            assert kinds(host.everywhere(login)) == away()
    finally:
        host.gatepost.resume()
    wait_until(lambda: kinds(host.everywhere(BOB)) == all_of(OK), what="all doors open again")


def test_the_door_cannot_be_asked_but_the_password(host, policy):
    """Dovecot 2.3 has a wrong token; for 2.4 the socket of the doors is gone. Nobody gets in."""
    host.gatepost.stop()
    host.set_token("another")
    host.start_gatepost()
    os.rename(host.doors_socket, host.doors_socket + "-")
    try:
        outcomes = host.everywhere(BOB)
        assert kinds(outcomes) == all_of(REFUSED)
        assert host.gatepost.verdicts(account=BOB, verdict="accept")
    finally:
        os.rename(host.doors_socket + "-", host.doors_socket)
        host.set_token(TOKEN)
        host.gatepost.restart()


def test_redis_is_down_and_nothing_is_cached(host, policy, redis):
    redis.stop()
    assert kinds(host.everywhere("carol@example.com")) == away()
    assert "passwords.sock: the policy of carol@example.com is unavailable" in host.dovecot.log_text()
    assert kinds(host.everywhere("carol@example.com*boss")) == away()
    redis.start()
    wait_until(lambda: kinds(host.everywhere("carol@example.com")) == all_of(REFUSED),
               what="an answer of the store, which is empty now: a login that nobody knows")


def test_redis_is_down_and_policy_is_cached(host, policy, redis):
    """What is closed stays closed, with its text; what was open is, for stale_max."""
    policy(f"account:{ALICE} protocol:* off")
    assert_closed(host.everywhere(ALICE), ALICE)
    assert kinds(host.everywhere(BOB)) == all_of(OK)
    redis.stop()
    assert_closed(host.everywhere(ALICE), ALICE)
    assert kinds(host.everywhere(BOB)) == all_of(OK)
    assert host.gatepost.wait_log("event=verdict", "policy=stale", BOB)


def test_redis_hangs(host, policy, redis):
    redis.freeze()
    assert kinds(host.everywhere("carol@example.com")) == away()
    redis.resume()
    wait_until(lambda: kinds(host.everywhere("carol@example.com")) == all_of(OK),
               what="all doors open again")


def test_malformed_policy(host, policy):
    policy(f"account:{ALICE} protocol:imap perhaps")
    outcomes = kinds(host.everywhere(ALICE))
    assert outcomes["imap"] == outcomes["imaps"] == LATER
    assert {outcomes[name] for name in set(SERVICES) - {"imap", "imaps"}} == {OK}
