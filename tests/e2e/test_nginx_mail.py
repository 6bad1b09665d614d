"""nginx's mail proxy by conf/nginx/mail.conf, before a real Dovecot: nobody gets in without
Gatepost's yes, and a yes is not enough.
"""

import imaplib

import pytest

from support.mail_clients import ImapClient, Refused, log_in
from support.process import all_at_once
from support.proxied_host import ALICE, BOB, CAROL, MAIL_DOORS, ProxiedHost
from support.smtp_client import Reply, SmtpClient
from support.web_servers import PASSWORD

CLIENT = "127.0.0.9"                    # where logins come from
TEXT = f"is switched off for {BOB}"


@pytest.fixture(scope="module")
def running():
    made = ProxiedHost(["nginx"])
    try:
        yield made.start()
    finally:
        status = made.stop()
    assert status == 0


@pytest.fixture
def host(running, request):
    running.begin()
    request.node.gatepost = running.filter
    request.node.server_log = running.log_text
    yield running
    running.filter.check_healthy()


def login(host, name, user=ALICE, password=PASSWORD):
    log_in(name, host.mail_ports[name], CLIENT, user, password)


def refusal(host, name, user=ALICE, password=PASSWORD):
    """What the server said."""
    with pytest.raises(Refused) as raised:
        login(host, name, user, password)
    return str(raised.value)


@pytest.mark.parametrize("name", MAIL_DOORS)
def test_open_and_closed(host, name):
    """Dovecot is told the client's address: a door of its own would judge by it."""
    before = len(host.backend.log_text())
    login(host, name)
    assert f"rip={CLIENT}," in host.backend.log_text()[before:]
    seen = host.filter.verdict(account=ALICE)
    assert (seen["stage"], seen["door"], seen["service"], seen["verdict"], seen["client"]) == (
        "door", "http", name.removesuffix("s"), "accept", CLIENT)
    for spelling in (BOB, "BOB@Example.COM", "bob+tag@example.com"):
        assert TEXT in refusal(host, name, spelling)
    assert "uthentication failed" in refusal(host, name, ALICE, "wrong")


def test_one_door_closed(host):
    """POP3 is closed while IMAP stays open, and the other way round."""
    host.close(ALICE, "pop3")
    host.close(CAROL, "imap")
    host.filter.catch_up(host.redis)
    login(host, "imaps")
    assert "pop3 is switched off" in refusal(host, "pop3s")
    login(host, "pop3", CAROL)
    assert "imap is switched off" in refusal(host, "imap", CAROL)


def test_needs_tls(host):
    """In the clear no password is taken, and nobody is asked; over TLS Gatepost is told so."""
    client = ImapClient(host.mail_ports["imap"], CLIENT, implicit_tls=False)
    assert "LOGINDISABLED" in client.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="LOGIN command error: BAD"):
        client.login(CAROL, PASSWORD)
    client.sock.close()
    assert not host.filter.verdicts(stage="door")
    host.redis.cli("HSET", f"gatepost:account:{CAROL}", "tls", "required")
    host.filter.catch_up(host.redis)
    for name in MAIL_DOORS:
        login(host, name, CAROL)


def smtp_login(host, user, password=PASSWORD):
    """The reply to AUTH of nginx; code 0 if it closed the connection."""
    with SmtpClient(host.mail_ports["smtp"], source=CLIENT) as client:
        client.ehlo()
        try:
            return client.auth_plain(user, password)
        except ConnectionError:
            return Reply(0, "")


def test_smtp_is_refused(host):
    """To nginx a yes is the login itself: nobody would check the password."""
    for user, password in ((ALICE, PASSWORD), (ALICE, "wrong"), (BOB, PASSWORD), ("", "")):
        reply = smtp_login(host, user, password)
        assert reply.code in (535, 500, 501, 0), reply
    assert smtp_login(host, ALICE).code == 535


@pytest.mark.parametrize("fault", ["filter_away", "filter_hung"])
def test_without_gatepost(host, fault):
    with getattr(host, fault)():
        doors = (*MAIL_DOORS, "smtp")
        said = dict(zip(doors, all_at_once(
            lambda name: smtp_login(host, ALICE).text if name == "smtp" else refusal(host, name),
            doors)))
        for name in ("imap", "imaps"):
            assert said[name] == ""
        for name in ("pop3", "pop3s"):
            assert said[name] == "-ERR internal server error"
        assert said["smtp"].startswith("4.3.2")
    for name in MAIL_DOORS:
        login(host, name)


def test_redis_away(host):
    login(host, "imaps")
    assert TEXT in refusal(host, "imaps", BOB)
    with host.redis_away():
        assert "unavailable" in refusal(host, "imaps", CAROL)
        assert "unavailable" in refusal(host, "pop3s", CAROL)
        login(host, "imaps")
        assert TEXT in refusal(host, "imaps", BOB)
    login(host, "imaps", CAROL)
