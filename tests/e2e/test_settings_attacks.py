"""gatepost-settings, attacked: by a thief who is signed on as a user, and by who knows a token."""

import socket
import time
from datetime import datetime

import pytest

from support.process import all_at_once
from support.settings import PATCH, PROXY, TOKENS, Settings

ME = "/v1/accounts/me"


@pytest.fixture(scope="module")
def program(site, redis_server):
    program = Settings(site.folder.sub("settings-attacked"), {"store": redis_server.url, "trusted": []})
    yield program.start()
    assert program.stop() == 0


@pytest.fixture
def settings(program, redis):
    program.forget()
    return program


@pytest.fixture
def account(domain):
    return f"alice@{domain}"


def test_a_thief_does_not_keep_the_owner_out(settings, account):
    """Who asks without end is counted by his address, of IPv6 by its /64."""
    for number, thief in enumerate(("198.51.100.66", "2001:db8:0:1::66")):
        stranger = settings.user(account, thief)
        assert 429 in [stranger.ask("PATCH", ME, "{", PATCH).status for _ in range(80)], thief
        assert number == 0 or 429 in [settings.user(account, "2001:db8:0:1::67").patch({}).status
                                      for _ in range(20)]
        assert settings.user(account, f"192.0.2.{number}").patch({}).status == 200
        assert settings.user(account, f"2001:db8:0:{number + 2}::66").patch({}).status == 200


def test_nobody_fills_the_history_alone(settings, account, redis):
    """Which all users have in common: each fact of a change counts."""
    thief, n = settings.user(account, "198.51.100.66"), 0
    while thief.patch({"ips": {f"198.51.100.{i}": f"{n}" for i in range(32)}}).status == 200:
        n += 1
        assert n < 50
    assert 0 < int(redis.cli("XLEN", "gatepost-self:history")) <= 96
    assert settings.user(account).patch({"ips": {"198.51.100.1": None}}).status == 200


def test_a_long_name_is_told_whole(settings, redis, domain):
    """Else the history would say of one that another has done it."""
    account = f"{'a' * 400}@{domain}"
    assert settings.user(account).change({"protocols": {"sieve": "off"}})
    assert settings.user(account).make_password("caldav").status == 201
    assert redis.cli("XRANGE", "gatepost-self:history", "-", "+").split("\n").count(f"self:{account}") == 3


# ---- panels ----

def test_a_panel_does_not_learn_who_has_app_passwords(settings, redis):
    assert settings.user().make_password("sieve").status == 201
    panel = settings.panel()
    has, has_none = (panel.patch({"password": "application"}, f"{name}@example.com") for name in ("alice", "bob"))
    assert (has.status, has.json()) == (409, has_none.json())
    assert panel.change({"password": "application", "confirm": True}, "bob@example.com")
    assert settings.user().patch({"password": "application"}).status == 200         # it is his own


# ---- requests that may mean two things ----

def asked_raw(settings, *fields, body=b"", method=b"GET"):
    """What comes back, until the other side closes or has answered."""
    sock = settings.client()._door.raw()
    try:
        sock.sendall(b"\r\n".join([method + b" /v1/accounts/me HTTP/1.1", b"Host: x",
                                   b"X-Gatepost-Token: " + PROXY.encode(), *fields, b"", b""]) + body)
        sock.shutdown(socket.SHUT_WR)
        told = b""
        while piece := sock.recv(65536):
            told += piece
        return told
    except ConnectionResetError:
        return b""
    finally:
        sock.close()


USER = b"X-Remote-User: alice@example.com"


@pytest.mark.parametrize("name", ["\u212aate@example.com", "\u212aate", "\u00a0kate@example.com"])
def test_nobody_is_signed_on_as_who_looks_like_him(settings, name):
    """In lower case the Kelvin sign is a k."""
    stranger = settings.client(X_Gatepost_Token=PROXY)
    answer = stranger.ask("GET", ME, headers=[("X-Remote-User", name.encode())])
    assert answer.status == 403 and "looks like" in answer.json()["reason"]
    for own in ("kate@example.com", "k\u00e4te@example.com", "K\u00c4TE@example.com", "kate@b\u00fccher.example"):
        assert stranger.ask("GET", ME, headers=[("X-Remote-User", own.encode())]).status == 200


@pytest.mark.parametrize("fields", [
    [USER, b" bob@example.com"],                                        # folded
    [USER + b"\tX-Remote-User: bob@example.com"],
    [USER + b", bob@example.com"], [USER + b",bob@example.com"],
    [USER + b"\rX-Remote-User: bob@example.com"], [b"X-Remote-User: al\xefce@example.com"],
    [b'X-Remote-User: "alice@example.com"@example.com'], [b"X-Remote-User : alice@example.com"],
    [b"X_Remote_User: alice@example.com"]])
def test_nobody_is_two(settings, fields):
    answer = asked_raw(settings, *fields, b"Connection: close")
    assert b" 200 " not in answer and b'"account"' not in answer, answer


def test_a_request_ends_where_everybody_says(settings, redis):
    """Else whoever stands before could take part of one for another, with another's name in it."""
    change = [USER, b"Content-Type: application/merge-patch+json"]
    chunked = b'20\r\n{"protocols":{"sieve":"off"}}   \r\n0\r\n\r\n'
    for fields in ([b"Content-Length: 2", b"Transfer-Encoding: chunked"],
                   [b"Transfer-Encoding: chunked", b"Content-Length: 2"],
                   [b"Content-Length: 2", b"Content-Length: 40"],
                   [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"]):
        body = chunked if b"chunked" in b"".join(fields) else b'{}{"protocols":{"sieve":"off"}}         '
        answer = asked_raw(settings, *change, *fields, body=body, method=b"PATCH")
        assert b" 200 " not in answer, (fields, answer)
    assert redis.cli("KEYS", "*") == ""
    answer = asked_raw(settings, *change, b"Transfer-Encoding: chunked", body=chunked, method=b"PATCH")
    assert b" 200 " in answer and redis.cli("KEYS", "*") != ""


# ---- what waits ----

@pytest.mark.parametrize("wait, seconds", [("1ms", 0.001), ("900ms", 0.9), ("1s", 1), ("1500ms", 1.5)])
def test_nothing_opens_too_early(site, redis, domain, account, wait, seconds):
    """Times are stored in whole seconds: the last one is not lost."""
    one = Settings(site.folder.sub("settings-" + domain), {"store": redis.url, "trusted": []},
                   {"loosen_after": wait}).start()

    def waits(when):
        return datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp() - begun

    try:
        alice = one.user(account)
        alice.change({"protocols": {"caldav": "off"}})
        begun = time.time()
        pending, = alice.change({"protocols": {"caldav": "on"}})["pending"]
        assert seconds <= waits(pending["at"]) < seconds + 5
        begun = time.time()
        assert seconds <= waits(alice.make_password("caldav").json()["from"]) < seconds + 5
    finally:
        assert one.stop() == 0


# ---- panels ----

@pytest.mark.parametrize("domain_of_panel", ["example.net", "EXAMPLE.NET", "example.net."])
def test_the_domain_of_a_panel_has_one_spelling(settings, domain_of_panel):
    token = "token-of-another-panel-0123456789"
    settings.write_tokens(f"{TOKENS}{token} {domain_of_panel} write\n")
    settings.reload()
    panel = settings.panel(token)
    for name in ("alice@example.net", "ALICE@Example.Net.", "alice+tag@example.net"):
        assert panel.change({}, name)["account"] == "alice@example.net"
    for name in ("alice", "alice@example.com", "alice@example.net.example.com", "@example.net", "*",
                 "alice@sub.example.net", "alice@example.com%40example.net"):
        assert panel.patch({}, name).status == 403, name


def test_the_domain_of_a_panel_may_be_unicode(settings):
    token = "token-of-another-panel-0123456789"
    for domain_of_panel in ("b\u00fccher.example", "xn--bcher-kva.example"):
        settings.write_tokens(f"{TOKENS}{token} {domain_of_panel} read\n")
        settings.reload()
        panel = settings.panel(token)
        for name in ("alice@b%C3%BCcher.example", "alice@B%C3%9CCHER.example",
                     "alice@bu%CC%88cher.example", "alice@xn--bcher-kva.example"):
            assert panel.get(name)["account"] == "alice@xn--bcher-kva.example"
            assert panel.patch({}, name).status == 403
