"""App passwords that a user makes himself by gatepost-settings."""

import json
import re

import pytest

from support.doors import DoorClient
from support.gatepostctl import Gatepostctl
from support.process import all_at_once
from support.settings import JSON, Settings

ME = "/v1/accounts/me"
PASSWORDS = ME + "/passwords"
CONF = {"trusted": [], "default_domain": "example.com", "record_use": True,
        "protocol": {"imap4-smtp": {"services": ["imap", "submission", "submissions"]}}}


@pytest.fixture(scope="module")
def program(site, redis_server):
    program = Settings(site.folder.sub("settings-passwords"), {**CONF, "store": redis_server.url})
    yield program.start()
    assert program.stop() == 0


@pytest.fixture
def settings(program, redis):
    program.forget()
    return program


@pytest.fixture
def account(domain):
    return f"alice@{domain}"


@pytest.fixture
def alice(settings, account):
    return settings.user(account)


@pytest.fixture
def check(start_gatepost, redis, site, account, domain, settings):
    """A function (secret, service) that asks a filter; the status of /v1/password."""
    path = site.folder.file(f"passwords-{domain}")
    start_gatepost({**CONF, "store": redis.url, "listener": {"imap": {"door": "dovecot", "service": "imap"}},
                    "passwords_listen": "unix:" + path, "settings": settings.section})
    door = DoorClient(path)
    return lambda secret, service="imap": door.password(account, secret, service).status


def test_made_used_and_revoked(alice, settings, account, redis, check):
    made = alice.make_password("imap4-smtp", note="phone")
    assert made.status == 201
    told = made.json()
    assert re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){6}[a-hjkmnp-z2-9]{4}", told["password"])
    assert told["from"] is None
    shown, = alice.passwords()
    assert shown == {"id": told["id"], "protocols": ["imap4-smtp"], "note": "phone", "from": None,
                     "services": ["imap", "submission", "submissions"], "until": None,
                     "last_use": None, "created": shown["created"]}
    assert check(told["password"]) == 200
    assert check(told["password"], "caldav") == 204
    assert alice.revoke(told["id"]).status == 204
    assert check(told["password"]) == 204 and alice.passwords() == []
    assert alice.revoke(told["id"]).status == 404
    # the secret is nowhere but in that one answer
    assert told["password"] not in "\n".join(settings.lines())
    assert redis.cli("EXISTS", f"gatepost-password:{account}") == "0"
    first, last = settings.changes()
    assert (first["field"], first["new"]) == (f"password:{told['id']}", "imap4-smtp")
    assert (last["field"], last["old"], last["who"]) == (first["field"], "good", f"self:{account}")
    history = redis.cli("XRANGE", "gatepost-self:history", "-", "+")
    assert history.count(told["id"]) == 2 and "192.0.2.7" in history
    assert told["password"] not in history


def test_history_shows_it(alice, settings, redis, account):
    told = alice.make_password("imap4-smtp").json()
    ctl = Gatepostctl(settings.conf)
    shown = ctl.do("history").out
    assert f"password:{account}" in shown and told["id"] in shown and told["password"] not in shown


def test_history_of_the_account_has_all_of_its_passwords(alice, settings, account):
    ctl = Gatepostctl(settings.conf)
    own = alice.make_password("imap4-smtp").json()["id"]
    given = json.loads(ctl.do("password", "add", account, "sieve", "--json").out)["id"]
    ctl.do("password", "add", "bob@example.com", "sieve")
    ctl.do("password", "remove", account, given, "--actor", "the night shift")
    ctl.do("password", "remove", account, "--all")
    ctl.do("password", "remove", "bob@example.com", "--all")
    entries = json.loads(ctl.do("history", account, "--json").out)
    assert {entry["subject"] for entry in entries} == {f"password:{account}"}
    told = [(entry["field"], entry["old"], entry["new"]) for entry in entries]
    assert told == [(own, None, "imap4-smtp"), (given, None, "sieve"), (given, "good", None),
                    (own, "good", None)]
    assert entries[0]["actor"] == f"self:{account}" and entries[2]["actor"] == "the night shift"
    assert "@" in entries[1]["actor"] and entries[1]["actor"] == entries[3]["actor"]
    assert "edited" not in ctl.run("lint", "--since", "1d").out     # nobody went past gatepostctl


def test_until_and_last_use(alice, account, redis):
    told = alice.make_password("sieve", until="2090-01-01T00:00:00Z", note=None).json()
    redis.cli("HSET", f"gatepost-use:{account}", f"password {told['id']}",
              "2026-11-01T00:00:00Z 2026-01-01T00:00:00Z")
    shown, = alice.passwords()
    assert shown["until"] == "2090-01-01T00:00:00Z" and shown["last_use"] == "2026-11-01T00:00:00Z"


@pytest.mark.parametrize("members, status, field", [
    ({}, 422, "protocols"), ({"protocols": []}, 422, "protocols"),
    ({"protocols": "sieve"}, 422, "protocols"), ({"protocols": [1]}, 422, "protocols"),
    ({"protocols": ["*"]}, 422, "protocols"), ({"protocols": ["webmail"]}, 422, "protocols"),
    ({"protocols": ["settings"]}, 422, "protocols"), ({"protocols": ["imap"]}, 422, "protocols"),
    ({"protocols": ["sieve", "sieve"]}, 422, "protocols"), ({"protocols": ["a b"]}, 422, "protocols"),
    ({"protocols": ["sieve,webmail"]}, 422, "protocols"),
    ({"protocols": ["sieve"], "note": 1}, 422, "note"),
    ({"protocols": ["sieve"], "note": "a\nb"}, 422, "note"),
    ({"protocols": ["sieve"], "note": "x" * 201}, 422, "note"),
    ({"protocols": ["sieve"], "note": "until=2090-01-01T00:00:00Z"}, 422, "note"),
    ({"protocols": ["sieve"], "note": "from=2090-01-01T00:00:00Z"}, 422, "note"),
    ({"protocols": ["sieve"], "until": "soon"}, 422, "until"),
    ({"protocols": ["sieve"], "until": "2020-01-01T00:00:00Z"}, 422, "until"),
    ({"protocols": ["sieve"], "until": 1}, 422, "until"),
    ({"protocols": ["sieve"], "services": ["imap"]}, 400, None),
    ({"protocols": ["sieve"], "password": "mine"}, 400, None)])
def test_what_is_refused(alice, redis, members, status, field):
    answer = alice.ask("POST", PASSWORDS, members, JSON)
    assert (answer.status, answer.json().get("field")) == (status, field), answer
    assert redis.cli("KEYS", "*") == ""


@pytest.mark.concurrent
def test_thirty_two(alice, account, redis):
    """Also when they are asked for at the same time."""
    statuses = all_at_once(lambda _: alice.make_password("sieve").status, range(40))
    assert sorted(statuses) == [201] * 32 + [422] * 8
    assert redis.cli("HLEN", f"gatepost-password:{account}") == "32"


@pytest.mark.parametrize("stored, status", [
    ("protocols=imap4-smtp services=imap", 200), ("protocols=sieve services=sieve", 200),
    ("protocols=mail services=imap", 409), ("protocols=imap4-smtp services=pop3", 409),
    ("protocols=sieve services=webmail", 409)])
def test_one_that_is_good_for_nothing_keeps_nobody_in(alice, account, redis, stored, status):
    """A protocol may have been renamed since: nothing but app passwords would lock him out."""
    redis.cli("HSET", f"gatepost-password:{account}", "0" * 64,
              f"id=abcdefgh {stored} created=2026-01-01T00:00:00Z")
    assert alice.patch({"password": "application"}).status == status


def test_strange_ids(alice, redis):
    for number in ("*", "%00", "..", "a" * 200, "%20", "abcdefgh%0d%0a"):
        assert alice.revoke(number).status == 404, number


def test_another_cannot_revoke_it(alice, settings, domain):
    told = alice.make_password("sieve").json()
    assert settings.user(f"bob@{domain}").revoke(told["id"]).status == 404
    assert len(alice.passwords()) == 1


def test_a_host_that_makes_them_itself(site, redis, account, domain):
    one = Settings(site.folder.sub("settings-" + domain), {**CONF, "store": redis.url},
                   {"passwords": False}).start()
    try:
        alice = one.user(account)
        answer = alice.make_password("sieve")
        assert answer.status == 403 and "administrators" in answer.json()["reason"]
        assert alice.get()["passwords"] is False
        listed = alice.ask("GET", PASSWORDS).json()
        assert (listed["passwords"], listed["may_add"]) == ([], False)
        ctl = Gatepostctl(one.conf)
        ctl.do("password", "add", account, "sieve")
        number = alice.passwords()[0]["id"]
        assert alice.revoke(number).status == 204           # closing is always his
    finally:
        assert one.stop() == 0
