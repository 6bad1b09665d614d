"""The record of use: what an accepted login leaves, what it never costs, and what is told of it."""

import os
import re
import time

import pytest

from conftest import base_settings
from support.gatepost import Gatepost
from support.gatepostctl import CTL, Gatepostctl
from support.http_client import HttpClient
from support.milter_client import MilterClient
from support.nameserver import SERVFAIL
from support.ports import accepts, free_port
from support.process import wait_until
from support.redis_login import password_file
from support.redis_server import RedisServer
from support.terminal import on_terminal, without_chance

SETTINGS = {"record_use": True, "store_timeout": "300ms"}
HOUR = 3600
_TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def log_in(gatepost, login="alice@example.com", client="192.0.2.77", name="SUBMISSIONS"):
    """One message of a login at that listener; True when it is accepted."""
    mta = MilterClient(gatepost.socket)
    try:
        mta.negotiate()
        mta.connect(client, "client.example", {"{daemon_name}": name})
        mta.helo("client.example")
        response = mta.mail("a@sender.example", login=login,
                            macro_values={"{tls_version}": "TLSv1.3"})
        return not response.reply
    finally:
        mta.close()


def log_in_all(gatepost, logins):
    """The same by one client, login after login: how many are accepted."""
    with MilterClient(gatepost.socket) as mta:
        mta.negotiate()
        mta.connect("192.0.2.77", "client.example", {"{daemon_name}": "SUBMISSIONS"})
        mta.helo("client.example")
        accepted = 0
        for login in logins:
            accepted += not mta.mail("a@sender.example", login=login,
                                     macro_values={"{tls_version}": "TLSv1.3"}).reply
            mta.abort()
        return accepted


def record(redis, account="alice@example.com"):
    words = redis.cli("HGETALL", "gatepost-use:" + account).splitlines()
    return dict(zip(words[::2], words[1::2]))


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@pytest.fixture
def ctl(gatepost):
    return Gatepostctl(gatepost.conf)


@pytest.fixture
def redis_login(site):
    """A Redis with the users of conf/redis, and a function (user) that gives their settings."""
    lines = []
    for name in ("gatepost", "gatepostctl"):
        with open(os.path.join(_TOP, f"conf/redis/{name}.acl")) as acl:
            lines += [line.strip().replace(">CHANGE-ME", ">sesame") for line in acl
                      if line.startswith("user ")]
    server = RedisServer(site.folder.sub("use-login"), lines, password="master")
    server.start()
    secret = password_file(site, "use-sesame", "sesame")
    yield server, lambda user: {"store": server.url, "store_user": user,
                                "store_password_file": secret}
    server.stop()


@pytest.fixture
def fresh(gatepost, redis):
    """The filter forgets what it has recorded within the hour."""
    gatepost.restart()
    return gatepost


def test_a_login_is_recorded(fresh, redis):
    begun = time.time()
    assert log_in(fresh)
    wait_until(lambda: record(redis), what="the record")
    (field, value), = record(redis).items()
    assert field == "submissions 192.0.2.0/24"
    last, first = value.split(" ")
    assert last == first and stamp(begun - 2) <= last <= stamp(time.time() + 2)
    assert 0 < int(redis.cli("TTL", "gatepost-use:alice@example.com")) <= 400 * 86400
    wait_until(lambda: len(record(redis, "*")) == 2, what="since")
    assert set(record(redis, "*")) == {"since", "submissions"}
    # an account of another spelling is the same, and IPv6 has blocks of /48
    assert log_in(fresh, "Alice+phone@EXAMPLE.com", "2001:db8:7:8::9")
    wait_until(lambda: len(record(redis)) == 2, what="the second block")
    assert "submissions 2001:db8:7::/48" in record(redis)
    source, = fresh.events("new-source")
    assert "account=alice@example.com" in source and "block=2001:db8:7::/48" in source


def test_what_is_not_recorded(fresh, redis):
    redis.cli("HSET", "gatepost:account:closed@example.com", "protocol:*", "off")
    assert not log_in(fresh, "closed@example.com")
    assert log_in(fresh, "alice@exam ple.com") is False
    mta = MilterClient(fresh.socket)
    mta.negotiate()
    mta.connect("192.0.2.1", "client.example")
    mta.helo("client.example")
    mta.mail("alice@example.com")       # nobody has logged in
    mta.close()
    assert log_in(fresh, "bob@example.com")
    wait_until(lambda: record(redis, "bob@example.com"), what="the record")
    keys = redis.cli("KEYS", "gatepost-use:*").splitlines()
    assert set(keys) <= {"gatepost-use:bob@example.com", "gatepost-use:*"}


def test_once_an_hour(fresh, redis):
    assert log_in(fresh)
    wait_until(lambda: record(redis), what="the record")
    before = redis.command_count("hset")
    for _ in range(20):
        assert log_in(fresh)
    assert log_in(fresh, client="198.51.100.1")
    wait_until(lambda: len(record(redis)) == 2, what="another block")
    wait_until(lambda: redis.command_count("hset") == before + 2, what="two HSET")


def test_the_first_time_stays_and_the_oldest_makes_room(fresh, redis):
    key, now = "gatepost-use:alice@example.com", time.time()
    for number in range(64):
        at = stamp(now - 1000 * HOUR - number)
        redis.cli("HSET", key, f"imap 10.0.{number}.0/24", f"{at} {at}")
    redis.cli("HSET", key, "imap 10.0.63.0/24", "nonsense")
    redis.cli("HSET", key, "imap 10.0.5.0/24", f"{stamp(now - HOUR)} {stamp(now - 9 * HOUR)}")
    assert log_in(fresh)
    wait_until(lambda: "submissions 192.0.2.0/24" in record(redis), what="the record")
    wait_until(lambda: len(record(redis)) == 64, what="room")
    assert "imap 10.0.63.0/24" not in record(redis)
    assert record(redis)["imap 10.0.5.0/24"].endswith(stamp(now - 9 * HOUR))
    at = f"{stamp(now - 9 * HOUR)} {stamp(now - 99 * HOUR)}"
    redis.cli("HSET", key, "submissions 198.51.100.0/24", at)
    assert log_in(fresh, client="198.51.100.1")
    wait_until(lambda: record(redis)["submissions 198.51.100.0/24"] != at, what="a newer time")
    assert record(redis)["submissions 198.51.100.0/24"].endswith(" " + stamp(now - 99 * HOUR))


@pytest.mark.parametrize("how", ["hung", "stopped"])
def test_no_verdict_waits(site, redis_server, redis, how):
    """The record is in a Redis of its own, which hangs or is away: verdicts go on, what is not
    recorded is counted, and recording goes on later."""
    with_use = RedisServer(site.folder.sub("use-" + how))
    with_use.start()
    web = HttpClient(free_port())
    filter_ = Gatepost(site.folder.sub("use-filter-" + how), {
        **base_settings(site, redis_server), **SETTINGS, "use_store": with_use.url,
        "http_listen": f"127.0.0.1:{web.port}"})
    users = [f"user{number}@example.com" for number in range(1500)]     # more than may wait

    def dropped():
        return web.metrics()("gatepost_use_dropped_total")

    def recorded():
        return len(with_use.cli("KEYS", "gatepost-use:user*").splitlines())

    try:
        filter_.start()
        wait_until(lambda: accepts(web.port), what="an open door")
        assert log_in(filter_)
        wait_until(lambda: record(with_use), what="the record")
        assert not record(redis) and dropped() == 0
        with_use.freeze() if how == "hung" else with_use.stop()
        begun = time.monotonic()
        assert log_in_all(filter_, users) == len(users)
        assert time.monotonic() - begun < 60        # each would wait for 0.3 s
        filter_.wait_log("event=use-not-recorded")
        if how == "hung":
            wait_until(lambda: dropped() >= len(users) - 1024, what="uses dropped")
            with_use.resume()
            wait_until(lambda: recorded() + dropped() >= len(users), what="those that waited")
            assert recorded() > 0
        else:
            wait_until(lambda: dropped() == len(users), what="uses dropped")
            with_use.start()
            assert recorded() == 0
        assert log_in(filter_, "late@example.com")
        wait_until(lambda: record(with_use, "late@example.com"), what="the record goes on")
        lost = next(user for user in users if not record(with_use, user))
        assert log_in(filter_, lost)                # within the hour: it was not recorded
        wait_until(lambda: record(with_use, lost), what="what was dropped comes again")
    finally:
        with_use.resume()
        assert filter_.stop() == 0
        with_use.stop()


def test_use(ctl, fresh, redis):
    told = ctl.run("use", "alice@example.com")
    assert (told.status, told.out) == (0, "") and "record_use is off" in told.err
    assert log_in(fresh)
    wait_until(lambda: record(redis, "*"), what="the record")
    told = ctl.run("use", "Alice@example.com")
    assert told.status == 0
    assert re.search(r"^submissions +192\.0\.2\.0/24 +20\S+Z  20\S+Z$", told.out, re.MULTILINE)
    answer = ctl.json("use", "alice@example.com")
    assert answer["use"][0]["service"] == "submissions" and answer["since"]
    assert ctl.run("use", "alice@example.com", "--forget").status == 0
    assert not record(redis)
    assert "has no record" in ctl.run("use", "alice@example.com", "--forget").err


@pytest.mark.parametrize("name", ["*", "@example.com", "@.example.com"])
def test_only_an_account_has_a_record(ctl, fresh, redis, name):
    redis.cli("HSET", "gatepost-use:*", "since", "2026-01-01T00:00:00Z")
    for words in (["use", name], ["use", name, "--forget"]):
        run = ctl.run(*words)
        assert run.status == 1 and "only an account has a record of use" in run.err
    assert redis.cli("HGET", "gatepost-use:*", "since") == "2026-01-01T00:00:00Z"


def test_account_delete_removes_it(ctl, fresh, redis):
    redis.cli("HSET", "gatepost:account:alice@example.com", "source", "any")
    redis.cli("HSET", "gatepost-use:alice@example.com", "imap 10.0.0.0/24", "x")
    assert ctl.run("account", "delete", "alice@example.com", "--dry-run").status == 0
    assert record(redis)
    assert ctl.run("account", "delete", "alice@example.com").status == 0
    assert not record(redis)


def test_unused(ctl, fresh, redis):
    now = time.time()

    def used(account, service, days):
        redis.cli("HSET", "gatepost-use:" + account, f"{service} 10.0.0.0/24",
                  f"{stamp(now - days * 86400)} {stamp(now - 190 * 86400)}")

    assert "record_use = on" in ctl.run("unused").err
    redis.cli("HSET", "gatepost-use:*", "since", stamp(now - 200 * 86400))
    for service in ("imap", "pop3", "submission", "submissions"):
        redis.cli("HSET", "gatepost-use:*", service, f"{stamp(now)} {stamp(now - 200 * 86400)}")
    used("alice@example.com", "imap", 3)
    used("alice@example.com", "pop3", 120)
    used("alice@example.com", "submission", 3)
    used("o'brien@example.com", "imap", 3)
    redis.cli("HSET", "gatepost:account:bob@example.com", "protocol:*", "off", "protocol:imap", "on")
    found = {(row["account"], row["protocol"]): row for row in ctl.json("unused")}
    assert found["alice@example.com", "pop3"]["last"] == stamp(now - 120 * 86400)
    assert found["alice@example.com", "submissions"]["last"] is None
    assert found["alice@example.com", "sieve"]["not_recorded"] == ["sieve"]
    assert ("alice@example.com", "imap") not in found
    assert ("alice@example.com", "smtp") not in found       # for mail without a login
    assert {protocol for account, protocol in found if account == "bob@example.com"} == {"imap"}
    commands = ctl.run("unused", "--commands").out.splitlines()
    assert "gatepostctl protocol off alice@example.com pop3" in commands
    assert "gatepostctl protocol off 'o'\\''brien@example.com' pop3" in commands
    assert not [line for line in commands if "sieve" in line]
    told = ctl.json("unused", "alice*", "--for", "150d")
    assert "pop3" not in {row["protocol"] for row in told}
    assert {row["account"] for row in told} == {"alice@example.com"}
    told = ctl.run("unused", "--for", "300d")
    assert (told.status, told.out) == (0, "") and "is recorded since" in told.err
    assert ctl.run("unused", "--for", "soon").status == 1


# ---- suggest ----

@pytest.fixture
def year(fresh, redis, dns):
    """A record of 200 days, and a function that notes a use: from and until so many days ago. No
    mail without a login is accepted as somebody of example.com."""
    now = time.time()
    dns.zones["example.com"] = {"TXT": ["v=spf1 -all"]}

    def used(account, service, block, first, last=1):
        redis.cli("HSET", "gatepost-use:" + account, f"{service} {block}",
                  f"{stamp(now - last * 86400)} {stamp(now - first * 86400)}")

    redis.cli("HSET", "gatepost-use:*", "since", stamp(now - 200 * 86400))
    for service in ("imap", "pop3", "submission", "submissions"):
        redis.cli("HSET", "gatepost-use:*", service, f"{stamp(now)} {stamp(now - 200 * 86400)}")
    return used


def suggested(ctl, *args):
    return [" ".join(row["command"]) for row in ctl.json("suggest", *args)]


def test_suggest(ctl, year, redis):
    year("alice@example.com", "submission", "192.0.2.0/24", 100)
    year("alice@example.com", "submissions", "2001:db8:7::/48", 90, 20)
    year("alice@example.com", "imap", "10.0.0.0/24", 100)       # reading is from anywhere
    year("alice@example.com", "pop3", "10.0.0.0/24", 190, 120)
    assert suggested(ctl, "alice*") == [
        "protocol off alice@example.com pop3",
        "ip add alice@example.com 192.0.2.0/24",
        "ip add alice@example.com 2001:db8:7::/48",
        "source authorized alice@example.com"]
    rows = ctl.json("suggest")
    assert rows[0]["reason"].startswith("last used 20")
    assert rows[3]["reason"] == "99 days of logins from 2 blocks only"
    told = ctl.run("suggest")
    assert told.out.splitlines()[0] == "alice@example.com" and "replay --with" in told.err
    assert max(map(len, told.out.splitlines())) <= 80
    # the commands do what they say, and then there is nothing left
    lines = ctl.run("suggest", "--commands").out.splitlines()
    assert lines[0] == "gatepostctl protocol off alice@example.com pop3"
    assert lines[1].count(" && ") == 2 and lines[1].endswith(" source authorized alice@example.com")
    for line in lines:
        for command in line.split(" && "):
            ctl.do(*command.split(" ")[1:])
    assert suggested(ctl) == []


def test_suggest_keeps_what_may_be_needed(ctl, year, redis):
    for number in range(4):                                     # too many blocks
        year("many@example.com", "submission", f"10.0.{number}.0/24", 100)
    year("short@example.com", "submission", "192.0.2.0/24", 20)
    year("odd@example.com", "submission", "192.0.2.0/24", 100)
    year("odd@example.com", "submission", "unknown", 100)
    year("full@example.com", "submission", "192.0.2.0/24", 100)
    for number in range(63):                                    # others may have made room
        year("full@example.com", "imap", f"10.0.{number}.0/24", 100)
    year("bad@example.com", "submission", "192.0.2.0/24", 100)
    redis.cli("HSET", "gatepost:account:bad@example.com", "ip:nonsense", "")
    year("gone@example.com", "submission", "192.0.2.0/24", 190, 100)
    for account in ("many", "short", "odd", "full", "bad"):
        assert not [command for command in suggested(ctl, account + "@*")
                    if command.startswith(("ip ", "source "))], account
    # nobody came in by any protocol for 90 days: no protocol goes
    assert not [command for command in suggested(ctl, "gone@*") if command.startswith("protocol")]
    assert "source authorized short@example.com" in suggested(ctl, "short@*", "--for", "10d")


def test_suggest_locks_nobody_out(ctl, year, redis):
    """Who only reads keeps a way to send; what is listed already is not listed again."""
    year("reader@example.com", "imap", "10.0.0.0/24", 100)
    commands = suggested(ctl, "reader@*")
    off = {command.split(" ")[-1] for command in commands}
    assert "pop3" in off and len(off & {"submission", "submissions"}) == 1
    for command in commands:
        ctl.do(*command.split(" "))
    year("alice@example.com", "submission", "192.0.2.0/24", 100)
    redis.cli("HSET", "gatepost:account:@example.com", "ip:192.0.0.0/16", "office")
    ips = [command for command in suggested(ctl, "alice@*")
           if command.startswith(("ip ", "source "))]
    assert ips == ["source authorized alice@example.com"]
    redis.cli("HSET", "gatepost:account:@example.com", "ip:192.0.0.0/16",
              "until=2099-01-01T00:00:00Z office")
    assert "ip add alice@example.com 192.0.2.0/24" in suggested(ctl, "alice@*")


def test_closing_needs_a_record_of_the_account(ctl, year, redis):
    """What `unused --commands` and `suggest` print of protocols can be carried out, and rests on all
    of the time that is asked for."""
    def closed(account):
        rows = ctl.json("unused", account)
        assert rows                 # all are told
        assert not [row for row in rows if row["close"] and row["not_recorded"]]
        lines = ctl.do("unused", account, "--commands").out.splitlines()
        off = [row["protocol"] for row in rows if row["close"]]
        assert lines == [f"gatepostctl protocol off {account} {name}" for name in off]
        assert [command for command in suggested(ctl, account, "--for", "90d")
                if command.startswith("protocol")] == [line[12:] for line in lines]
        return off

    year("alice@example.com", "imap", "10.0.0.0/24", 100)
    closing = closed("alice@example.com")
    assert set(closing) == {"pop3", "submissions"} or set(closing) == {"pop3", "submission"}
    for name in closing:            # of the two doors for sending the guard keeps one
        ctl.do("protocol", "off", "alice@example.com", name)
    assert not closed("alice@example.com")
    year("young@example.com", "imap", "10.0.0.0/24", 80)
    assert not closed("young@example.com")
    redis.cli("HSET", "gatepost:account:never@example.com", "source", "any")
    assert not closed("never@example.com")
    year("gone@example.com", "imap", "10.0.0.0/24", 190, 100)
    assert not closed("gone@example.com")
    for number in range(64):        # what was used less than 90 days ago may have made room
        year("full@example.com", "imap", f"10.0.{number}.0/24", 100, number + 1)
    assert not closed("full@example.com")
    year("full@example.com", "imap", "10.0.63.0/24", 100, 95)
    assert closed("full@example.com")


def test_closing_needs_a_record_of_the_service(ctl, year, redis):
    """A door that tells of logins for 80 days knows nothing of those before."""
    now = time.time()
    year("alice@example.com", "imap", "10.0.0.0/24", 100)
    redis.cli("HSET", "gatepost-use:*", "pop3", f"{stamp(now)} {stamp(now - 80 * 86400)}")
    rows = {row["protocol"]: row for row in ctl.json("unused", "alice*")}
    assert rows["pop3"]["not_recorded"] == ["pop3"] and not rows["pop3"]["close"]
    assert "protocol off alice@example.com pop3" in suggested(ctl, "alice*", "--for", "70d")


def test_the_record_says_since_when_a_service_is_told_of(fresh, redis):
    at = stamp(time.time() - 9 * 86400)
    redis.cli("HSET", "gatepost-use:*", "submissions", f"{at} {at}", "since", at)
    assert log_in(fresh)
    wait_until(lambda: record(redis, "*")["submissions"] != f"{at} {at}", what="a newer time")
    assert record(redis, "*")["submissions"].endswith(" " + at)


@pytest.mark.parametrize("days, again", [(6, False), (8, True)])
def test_recording_begins_anew_after_a_silence(fresh, redis, days, again):
    """A week without any login: record_use was off, and who came in meanwhile is not known."""
    last, since = stamp(time.time() - days * 86400), stamp(time.time() - 200 * 86400)
    redis.cli("HSET", "gatepost-use:*", "imap", f"{last} {since}", "since", since)
    assert log_in(fresh)
    wait_until(lambda: "submissions" in record(redis, "*"), what="the record")
    assert (record(redis, "*")["since"] != since) == again


def test_suggest_needs_usual_blocks(ctl, year):
    """Who was somewhere for three days will soon be elsewhere."""
    year("alice@example.com", "submission", "192.0.2.0/24", 100)
    year("alice@example.com", "submission", "198.51.100.0/24", 63, 60)
    assert "source authorized alice@example.com" not in suggested(ctl, "alice*")
    year("alice@example.com", "submission", "198.51.100.0/24", 93, 60)
    assert "source authorized alice@example.com" in suggested(ctl, "alice*")


@pytest.mark.parametrize("spf, policy, safe", [
    ("v=spf1 ip4:192.0.2.1 -all", "", True),
    ("v=spf1 ip4:192.0.2.1 ~all", "", False),
    ("v=spf1 ip4:192.0.2.1 ~all", "softfail", True),
    ("v=spf1 ?ip4:192.0.2.1 -all", "", False),
    ("v=spf1 ~ip4:192.0.2.1 -all", "softfail", True),
    ("v=spf1 redirect=other.example", "", True),
    ("v=spf1 include:soft.example -all", "", True),     # only its passes count
    ("v=spf1 +all", "", False),
    ("v=spf1 ip4:192.0.2.1", "", False),
    ("v=spf1 nonsense", "", False),
    (None, "", False),
    (None, "none", True),
    ("down", "", False),
    ("down", "none neutral softfail temperror permerror", True),
    ("v=spf1 -all", "fail=mark", False),
])
def test_suggest_minds_mail_without_a_login(ctl, year, redis, dns, spf, policy, safe):
    """`source authorized` would refuse what is accepted today with another result than pass."""
    dns.zones.update({"other.example": {"TXT": ["v=spf1 -all"]},
                      "soft.example": {"TXT": ["v=spf1 ?ip4:192.0.2.2 ~all"]},
                      "example.com": SERVFAIL if spf == "down" else {"TXT": [spf] if spf else []}})
    year("alice@example.com", "submission", "192.0.2.0/24", 100)
    for word in policy.split():
        result, _, action = word.partition("=")
        redis.cli("HSET", "gatepost:account:@example.com", f"spf:{result}", action or "reject")
    told = ctl.run("suggest", "alice*")
    assert ("source authorized" in told.out) == safe
    assert ("not proposed for 1 account:" in told.err) == (not safe)
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:smtp", "off")
    assert "source authorized" in ctl.run("suggest", "alice*").out


def test_suggest_minds_mail_without_a_login_at_each_door(site, redis_server, year, dns):
    """source_services is about logins."""
    dns.zones.clear()
    year("alice@example.com", "submission", "192.0.2.0/24", 100)

    def proposes(**listeners):
        ctl = Gatepostctl(site.folder.file("use-doors.conf"), {
            **CONF, "store": redis_server.url, "spf": {"nameservers": [dns.address]},
            "source_services": ["submission", "submissions"], "listener": listeners})
        return "source authorized alice@example.com" in suggested(ctl)

    login = {"service": "submission", "daemon_port": 587, "auth": "required"}
    assert proposes(submission=login)
    assert not proposes(submission=login, mx={"service": "smtp", "daemon_port": 25})
    assert not proposes(submission={"service": "submission"})
    assert not proposes()


def test_what_a_terminal_shows_of_use(ctl, year):
    """On 80 columns; stands in golden/use.txt, which UPDATE_GOLDEN=1 writes anew."""
    year("alice@example.com", "submission", "192.0.2.0/24", 150)
    year("alice@example.com", "submissions", "2001:db8:7::/48", 140, 20)
    year("alice@example.com", "imap", "198.51.100.0/24", 100)
    year("alice@example.com", "pop3", "198.51.100.0/24", 190, 120)
    year("a.rather.long.name.of.somebody@example.com", "imap", "10.0.0.0/24", 120)
    year("o'brien@example.com", "pop3", "10.0.0.0/24", 120)
    year("o'brien@example.com", "submission", "10.0.0.0/24", 20)
    year("gone@example.com", "imap", "10.0.0.0/24", 190, 120)
    text = ""
    for command in ("use alice", "use nobody", "unused", "unused --commands", "suggest",
                    "suggest --commands", "suggest gone@example.com", "unused --for 300d"):
        status, shown = on_terminal([CTL, "-c", ctl.conf, *command.split()])
        text += f"$ gatepostctl {command}\n{shown}=> {status}\n\n"
    text = re.sub(r"20\d\d-\d\d-\d\d", "2027-01-31", without_chance(text))
    golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden/use.txt")
    if os.environ.get("UPDATE_GOLDEN"):
        with open(golden, "w", encoding="utf-8") as file:
            file.write(text)
    with open(golden, encoding="utf-8") as file:
        assert text == file.read()


def test_suggest_without_a_record(ctl, fresh, redis):
    told = ctl.run("suggest")
    assert (told.status, told.out) == (0, "") and "record_use = on" in told.err


def test_suggest_needs_a_record_of_each_service(site, redis_server, year, redis):
    """A service that asks for the source and that no door tells of: its addresses are not known."""
    year("alice@example.com", "submission", "192.0.2.0/24", 100)
    services = ["submission", "submissions", "sieve"]
    ctl = Gatepostctl(site.folder.file("use-sources.conf"),
                      {**CONF, "store": redis_server.url, "source_services": services,
                       "spf": {"nameservers": [site.nameserver.address]}})
    assert "source authorized alice@example.com" not in suggested(ctl)
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:sieve", "off")
    assert "source authorized alice@example.com" in suggested(ctl)


def test_lint_of_unused_doors(ctl, site, redis_server, year, redis):
    def found(of=ctl):
        return {f["subject"]: f["problem"] for f in of.run("lint", "--json").json()["findings"]
                if f["kind"] == "unused-door"}

    year("alice@example.com", "imap", "192.0.2.0/24", 100)
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:submissions", "off")
    problem, = found().values()
    assert "90d: submission, pop3" in problem or "90d: pop3, submission" in problem
    off = Gatepostctl(site.folder.file("use-off.conf"), {**CONF, "store": redis_server.url,
                                                         "record_use": False})
    assert not found(off)
    other = Gatepostctl(site.folder.file("use-none.conf"),
                        {**CONF, "store": redis_server.url, "use_store": "redis://127.0.0.1:1/0"})
    assert not found(other)
    assert "cannot check which protocols are used" in other.run("lint").err
    for number in range(30):
        year(f"user{number}@example.com", "imap", "192.0.2.0/24", 100)
    told = found()
    assert len(told) == 21 and told[None] == "the same of 11 more accounts: see unused"
    redis.cli("HSET", "gatepost-use:*", "since", stamp(time.time() - 80 * 86400))
    assert not found()


def test_account_show_tells_when(ctl, site, redis_server, year, redis):
    year("alice@example.com", "imap", "192.0.2.0/24", 100, 3)
    day = stamp(time.time() - 3 * 86400)[:10]
    told = ctl.run("account", "show", "alice@example.com", "--all")
    assert re.search(rf"^  imap +on +used {day}  built-in$", told.out, re.MULTILINE)
    assert re.search(r"^  pop3 +on +not used +built-in$", told.out, re.MULTILINE)
    assert re.search(r"^  smtp +on +built-in$", told.out, re.MULTILINE)
    shown = ctl.json("account", "show", "alice@example.com")["protocols"]
    assert shown["imap"]["last_use"]["imap"].startswith(day) and shown["pop3"]["last_use"] == {}
    assert "last_use" not in shown["smtp"]
    of_all = ctl.json("account", "show", "*")["protocols"]
    assert "last_use" not in of_all["imap"]
    off = Gatepostctl(site.folder.file("use-off.conf"), {**CONF, "store": redis_server.url,
                                                         "record_use": False})
    assert "used" not in off.run("account", "show", "alice@example.com").out
    other = Gatepostctl(site.folder.file("use-none.conf"),
                        {**CONF, "store": redis_server.url, "use_store": "redis://127.0.0.1:1/0"})
    told = other.run("account", "show", "alice@example.com")
    assert told.status == 0 and "cannot read when" in told.err and "used" not in told.out


def test_lint_says_nothing_of_the_eviction_of_use(site, redis_server, redis):
    with_use = RedisServer(site.folder.sub("use-evicts"))
    with_use.start()
    try:
        ctl = Gatepostctl(site.folder.file("use-evicts.conf"),
                          {**CONF, "store": redis_server.url, "use_store": with_use.url})
        with_use.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        redis.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
        kinds = [f["kind"] for f in ctl.run("lint", "--json").json()["findings"]]
        assert "eviction" not in kinds
    finally:
        with_use.stop()


# ---- stores of other kinds, and least rights ----

CONF = {"record_use": True, "store_timeout": "2s", "trusted": [], "network": {},
        "listener": {"SUBMISSIONS": {"service": "submissions"}}}


def test_with_least_rights(site, redis_login):
    """The users of conf/redis/*.acl suffice, and the filter's can delete nothing."""
    server, settings = redis_login
    filter_ = Gatepost(site.folder.sub("use-rights"), {**CONF, **settings("gatepost")})
    try:
        filter_.start()
        assert log_in(filter_, name="none")
        wait_until(lambda: record(server), what="the record")
        ctl = Gatepostctl(site.folder.file("use-rights.conf"), {**CONF, **settings("gatepostctl")})
        assert ctl.json("use", "alice@example.com")["use"]
        assert ctl.run("unused", "--for", "1s").status == 0
        as_filter = Gatepostctl(filter_.conf)
        assert "NOPERM" in as_filter.run("use", "alice@example.com", "--forget").err
        assert ctl.run("use", "alice@example.com", "--forget").status == 0
        assert not record(server)
    finally:
        assert filter_.stop() == 0


def test_in_a_cluster(site, make_cluster):
    cluster = make_cluster()
    filter_ = Gatepost(site.folder.sub("use-cluster"), {**CONF, "store": cluster.url})
    names = [f"user{number}@example.com" for number in range(12)]
    try:
        filter_.start()
        for name in names:
            assert log_in(filter_, name, name="none")
        ctl = Gatepostctl(filter_.conf)
        wait_until(lambda: all(ctl.json("use", name)["use"] for name in names), what="all records")
        told = ctl.run("unused", "user1*", "--for", "1s", "--json")
        assert told.status == 0
        assert ctl.run("use", names[0], "--forget").status == 0
        assert not ctl.json("use", names[0])["use"]
    finally:
        assert filter_.stop() == 0
