"""App passwords: made by gatepostctl, good where they are for, asked at /v1/password."""

import calendar
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.doors import DoorClient
from support.gatepost import Gatepost
from support.gatepostctl import Gatepostctl
from support.process import wait_until
from support.redis_login import password_file
from support.redis_server import RedisServer

_TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
CONF = {
    "store_timeout": "300ms", "trusted": [], "default_domain": "example.com", "record_use": True,
    "protocol": {"imap4-smtp": {"services": ["imap", "submission", "submissions"]},
                 "pop3-smtp": {"services": ["pop3", "submission", "submissions"]}},
    "listener": {"imap": {"door": "dovecot", "service": "imap"},
                 "webmail": {"door": "dovecot", "service": "webmail", "daemon_port": 10143}},
}


@pytest.fixture(scope="module")
def running(site, redis_server):
    folder = site.folder.sub("app-passwords")
    filter_ = Gatepost(folder, {**CONF, "store": redis_server.url,
                                "doors_listen": [f"unix:{folder}/doors"],
                                "passwords_listen": f"unix:{folder}/passwords"})
    yield filter_.start()
    assert filter_.stop() == 0


@pytest.fixture
def gate(running, redis):
    running.forget()
    yield running
    running.check_healthy()


@pytest.fixture
def ctl(gate):
    return Gatepostctl(gate.conf)


def folder_of(gate):
    return os.path.dirname(gate.conf)


def check(gate, password, service="imap", account="alice@example.com", nonce="n-1"):
    """The status of /v1/password, its reason and the nonce that it repeats."""
    body = json.dumps({"service": service, "account": account, "ip": "192.0.2.7", "tls": True,
                       "password": password, "nonce": nonce})
    answer = DoorClient(os.path.join(folder_of(gate), "passwords")).ask(
        "/v1/password", "POST", body)
    return (answer.status, answer.headers.get("x-gatepost-reason"),
            answer.headers.get("x-gatepost-nonce"))


def ask_door(gate, **members):
    body = json.dumps({"login": "alice@example.com", "protocol": "imap", "remote": "192.0.2.7",
                       "local_port": "143", "tls": True, **members})
    answer = DoorClient(os.path.join(folder_of(gate), "doors")).ask(
        "/v1/dovecot?command=allow", "POST", body)
    return answer.json()


def make(ctl, *words):
    run = ctl.do("password", "add", "alice@example.com", *words)
    assert re.fullmatch(r"([abcdefghjkmnpqrstuvwxyz2-9]{4}-){6}[abcdefghjkmnpqrstuvwxyz2-9]{4}\n",
                        run.out)
    return run.out.strip()


def test_it_is_good_where_it_is_for(gate, ctl, redis):
    secret = make(ctl, "imap4-smtp", "--note", "phone")
    assert check(gate, secret) == (200, "account", "n-1")
    assert check(gate, secret.replace("-", "").upper()) == (200, "account", "n-1")
    assert check(gate, secret.replace("-", " - ")) == (200, "account", "n-1")
    assert check(gate, secret, account="Alice+phone@EXAMPLE.com")[0] == 200
    assert check(gate, secret, service="smtp")[0] == 200           # counts as submission
    assert check(gate, secret, service="pop3") == (204, "account", None)
    assert check(gate, secret, service="caldav")[0] == 204
    assert check(gate, secret, service="webmail")[0] != 200
    assert check(gate, secret, account="bob@example.com")[0] == 204
    assert check(gate, secret[:-1] + ("a" if secret[-1] != "a" else "b"))[0] == 204
    assert check(gate, "the main one") == (204, "account", None)
    assert check(gate, "") == (204, "account", None)
    assert check(gate, secret + "a")[0] == 204
    (name, value), = zip(*[iter(redis.cli("HGETALL", "gatepost-password:alice@example.com")
                                .splitlines())] * 2)
    assert re.fullmatch("[0-9a-f]{64}", name) and secret not in value
    assert re.fullmatch(r"id=\S{8} protocols=imap4-smtp services=imap,submission,submissions "
                        r"created=20\S+Z phone", value)
    log = "\n".join(gate.log_lines())
    assert secret not in log and secret.replace("-", "") not in log
    shown = ctl.json("password", "list", "alice@example.com")
    assert f"password={shown[0]['id']}" in log
    wait_until(lambda: redis.cli("HKEYS", "gatepost-use:alice@example.com"), what="its use")


def test_a_closed_door_stays_closed(gate, ctl, redis):
    secret = make(ctl, "imap4-smtp")
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:imap4-smtp", "off")
    # the nonce says that it was one, so that the peer's user can be told about the door
    wait_until(lambda: check(gate, secret) == (403, "protocol-disabled", "n-1"), what="403")
    assert check(gate, "another") == (403, "protocol-disabled", None)


def test_only_app_passwords(gate, ctl, redis):
    secret = make(ctl, "imap4-smtp")
    ctl.do("password", "application", "alice@example.com")
    wait_until(lambda: check(gate, "main")[:2] == (403, "app-password-required"), what="403")
    assert check(gate, secret)[0] == 200
    assert check(gate, "main", service="webmail")[0] == 403     # no port of its own: no webmail
    # an alias that the passdb has resolved is judged again, by the mark of the passdb
    assert ask_door(gate)["status"] == -1
    assert "takes only app passwords" in ask_door(gate)["msg"]
    assert ask_door(gate, app="app") == {"status": 0}
    assert ask_door(gate, app="no")["status"] == -1
    assert ask_door(gate, local_port="10143") == {"status": 0}      # webmail by its port
    told = ask_door(gate, local_port="10143", app="app")            # which gatepost.lua did not know
    assert told["status"] == -1 and "set-up is at fault" in told["msg"]
    assert gate.wait_log("event=door-request", "does not know that port")
    # a web server knows no app passwords, so all that it asks about is closed but webmail
    web = DoorClient(os.path.join(folder_of(gate), "doors"))
    assert [web.allow("alice@example.com", service).status
            for service in ("caldav", "activesync", "webmail")] == [403, 403, 200]
    ctl.do("mode", "monitor", "alice@example.com")
    gate.catch_up(redis)
    assert check(gate, "main")[:2] == (403, "app-password-required")
    ctl.do("password", "any", "alice@example.com")
    wait_until(lambda: check(gate, "main")[0] == 204, what="204")


def test_revoking_holds_at_the_next_login(gate, ctl):
    first, second = make(ctl, "imap4-smtp"), make(ctl, "imap4-smtp", "pop3-smtp")
    shown = ctl.json("password", "list", "alice@example.com")
    assert len(shown) == 2
    one = next(row["id"] for row in shown if row["protocols"] == "imap4-smtp")
    ctl.do("password", "remove", "alice@example.com", one)
    assert (check(gate, first)[0], check(gate, second)[0]) == (204, 200)
    assert check(gate, second, service="pop3")[0] == 200
    assert ctl.run("password", "remove", "alice@example.com", one).status == 1
    ctl.do("password", "remove", "alice@example.com", "--all")
    assert check(gate, second)[0] == 204
    assert ctl.json("password", "list", "alice@example.com") == []
    third = make(ctl, "imap4-smtp")
    ctl.do("source", "any", "alice@example.com")
    ctl.do("account", "delete", "alice@example.com")
    assert check(gate, third)[0] == 204


def test_what_has_none_is_deleted_as_ever(gate, ctl, redis):
    """Domains, everybody, and a key that no look-up uses, whose account keeps what it has."""
    secret = make(ctl, "imap4-smtp")
    redis.cli("HSET", "gatepost-use:*", "since", "2026-01-01T00:00:00Z")
    redis.cli("HSET", "gatepost-use:alice@example.com", "imap 192.0.2.0/24",
              "2026-01-01T00:00:00Z 2026-01-01T00:00:00Z")
    for name in ("@example.com", "@.example.com", "*"):
        ctl.do("source", "any", name)
        ctl.do("account", "delete", name)
    for name in ("Alice@Example.com", "a b@example.com"):
        redis.cli("HSET", f"gatepost:account:{name}", "source", "any")
        ctl.do("account", "delete", name)
    assert redis.cli("KEYS", "gatepost:account:*") == ""
    assert check(gate, secret)[0] == 200
    for name in ("*", "alice@example.com"):
        assert redis.cli("EXISTS", f"gatepost-use:{name}") == "1"


def test_what_the_guard_keeps_has_its_app_passwords_still(gate, ctl, redis):
    secret = make(ctl, "imap4-smtp")
    ctl.do("source", "any", "alice@example.com")
    ctl.do("source", "authorized", "@example.com", "--force")
    run = ctl.run("account", "delete", "alice@example.com")
    assert run.status == 1 and "use --force" in run.err
    assert len(ctl.json("password", "list", "alice@example.com")) == 1
    run = ctl.do("account", "delete", "alice@example.com", "--force")
    assert "alice@example.com: app passwords removed: 1" in run.err
    assert check(gate, secret)[0] == 204
    make(ctl, "imap4-smtp")         # and without any policy
    assert ctl.run("account", "delete", "alice@example.com").status == 1
    assert ctl.json("password", "list", "alice@example.com") == []


def test_not_more_than_32(gate, ctl):
    """Also when many are made at the same time."""
    def add(_):
        return ctl.run("password", "add", "alice@example.com",
                       "imap4-smtp", "imap4-smtp")
    with ThreadPoolExecutor(10) as pool:
        runs = list(pool.map(add, range(40)))
    shown = ctl.json("password", "list", "alice@example.com")
    assert len(shown) == sum(run.status == 0 for run in runs) and 20 <= len(shown) <= 32
    assert {row["protocols"] for row in shown} == {"imap4-smtp"}
    assert all("remove one first" in run.err for run in runs if run.status != 0)


def test_it_ends(gate, ctl, redis):
    secret = make(ctl, "imap4-smtp", "--until", "2099-01-31T00:00:00Z", "--note", "for a year")
    assert check(gate, secret)[0] == 200
    key = "gatepost-password:alice@example.com"
    name, value = redis.cli("HGETALL", key).splitlines()
    redis.cli("HSET", key, name, value.replace("2099-", "2020-"))
    assert check(gate, secret)[0] == 204
    # what it was made for and what the protocol has become must both have the service
    redis.cli("HSET", key, name, value.replace("services=imap,", "services="))
    assert check(gate, secret)[0] == 204
    redis.cli("HSET", key, name, value.replace("protocols=imap4-smtp", "protocols=pop3-smtp"))
    assert check(gate, secret)[0] == 204
    for nonsense in ("", "id=x", value.replace("until=2099-01-31T00:00:00Z", "until=soon"),
                     "protocols=imap4-smtp " + value):
        redis.cli("HSET", key, name, nonsense)
        assert check(gate, secret)[:2] == (503, "policy-unavailable"), nonsense


@pytest.mark.parametrize("until, days", [("1w", 7), ("90d", 90)])
def test_it_ends_after_a_length_of_time(ctl, until, days):
    ctl.do("password", "add", "alice@example.com", "imap4-smtp", "--until", until)
    told, = ctl.json("password", "list", "alice@example.com")
    ends = calendar.timegm(time.strptime(told["until"], "%Y-%m-%dT%H:%M:%SZ"))
    assert abs(ends - time.time() - days * 86400) < 60


def test_what_is_refused(ctl, redis):
    for words, problem in (
            (["alice@example.com", "imap5"], "imap5"), (["@example.com", "imap4-smtp"], "no domain"),
            (["*", "imap4-smtp"], "no domain"), (["alice@example.com", "*"], "names"),
            (["alice@example.com", "imap4-smtp", "--until", "2020-01-31T00:00:00Z"], "in the past"),
            (["alice@example.com", "imap4-smtp", "--until", "soon"], "--until soon"),
            (["alice@example.com", "webmail"], "webmail"),
            (["alice@example.com", "imap4-smtp", "--note", "until=x"], "until="),
            (["alice@example.com", "imap4-smtp", "--note", "a\nb"], "one line")):
        run = ctl.run("password", "add", *words)
        assert run.status == 1 and problem in run.err and not run.out, run
    assert not redis.cli("KEYS", "gatepost-password*")
    for _ in range(32):
        make(ctl, "imap4-smtp")
    run = ctl.run("password", "add", "alice@example.com", "imap4-smtp")
    assert run.status == 2 and "32" in run.err
    assert ctl.run("password", "remove", "alice@example.com").status == 1
    on_file = Gatepostctl(ctl.conf + ".file", {"store": "file:" + ctl.conf + ".policy"})
    with open(ctl.conf + ".policy", "w"):
        pass
    run = on_file.run("password", "add", "alice@example.com", "imap")
    assert run.status == 2 and "needs Redis" in run.err


def test_what_cannot_be_known_is_no_yes(gate, ctl, redis):
    secret = make(ctl, "imap4-smtp")
    assert check(gate, "main")[0] == 204                        # its policy is cached now
    redis.cli("SET", "gatepost-password:bob@example.com", "a string")
    assert check(gate, secret, account="bob@example.com")[0] == 503
    assert check(gate, "main", account="bob@example.com")[0] == 204
    redis.freeze()
    try:
        assert check(gate, secret)[0] == 503
        assert check(gate, "main")[0] == 204                    # the cached policy
        assert check(gate, "main", account="carol@example.com")[0] == 503
    finally:
        redis.resume()
    wait_until(lambda: check(gate, secret)[0] == 200, what="200")


def test_least_rights(site):
    """The filter reads app passwords and cannot make one; who edits policy cannot do either."""
    lines = []
    for name in ("gatepost", "gatepostctl"):
        with open(os.path.join(_TOP, f"conf/redis/{name}.acl")) as acl:
            lines += [line.strip().lstrip("#").replace(">CHANGE-ME-TOO", ">sesame")
                      .replace(">CHANGE-ME", ">sesame") for line in acl
                      if re.match(r"user |#user gatepost-passwords", line)]
    server = RedisServer(site.folder.sub("password-rights"), lines, password="master")
    server.start()
    secret = password_file(site, "password-sesame", "sesame")

    def conf(user):
        return {**CONF, "store": server.url, "store_user": user, "store_password_file": secret}
    folder = site.folder.sub("password-filter")
    filter_ = Gatepost(folder, {**conf("gatepost"), "doors_listen": [f"unix:{folder}/doors"],
                                "passwords_listen": f"unix:{folder}/passwords"})
    try:
        filter_.start()
        admin = Gatepostctl(site.folder.file("pw-admin.conf"), conf("gatepost-passwords"))
        made = make(admin, "imap4-smtp")
        assert check(filter_, made)[0] == 200
        for user in ("gatepost", "gatepostctl"):
            run = Gatepostctl(site.folder.file("pw-other.conf"), conf(user)).run(
                "password", "add", "alice@example.com", "imap4-smtp")
            assert run.status == 2 and "NOPERM" in run.err
    finally:
        assert filter_.stop() == 0
        server.stop()
