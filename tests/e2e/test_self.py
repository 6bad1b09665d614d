"""What users have set themselves: obeyed at once from every kind of store, never ignored where it
cannot be read, asked for only where there is a settings section."""

import itertools
import os
import re
import signal
import subprocess

import pytest

from support import policy
from support.gatepostctl import Gatepostctl
from support.policy_asker import Asker
from support.process import wait_until
from support.redis_login import acl_of_the_package, password_file
from support.redis_server import RedisServer

_HERE = os.path.dirname(os.path.abspath(__file__))
_numbers = itertools.count(1)
OFF = "550 5.7.1"
UNAVAILABLE = "451 4.3.0"
MALFORMED = "451 4.3.5"
SETTINGS = {"settings": {}}
BARE = {"trusted": [], "network": {}, "listener": {"mx": {"service": "smtp"}}}


@pytest.fixture
def start(start_gatepost, milter_session):
    """A function (store URL, settings): a running filter on that store, and an Asker."""
    def start_on(url, **settings):
        gatepost = start_gatepost({**BARE, "settings": {}, "store": url, **settings})
        return gatepost, Asker(milter_session(gatepost))
    return start_on


@pytest.fixture(scope="module")
def make_redis(site):
    """A function (directives...): one more Redis, stopped at the end."""
    made = []

    def make(*directives):
        server = RedisServer(site.folder.sub(f"redis-self-{next(_numbers)}"), directives,
                             password="master")
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.kill()


def own(domain, name="alice"):
    return f"gatepost-self:{name}@{domain}"


@pytest.mark.parametrize("entries", [0, 1000], ids=["plain", "cached"])
def test_obeyed_at_once(redis, start, domain, entries):
    """Each change within milliseconds, as those of the policy are, both on one connection."""
    gatepost, asker = start(redis.url, cache_entries=entries)
    alice, key = f"alice@{domain}", own(domain)
    assert not asker.ask(alice)
    for _ in range(20):
        redis.cli("HSET", key, "protocol:smtp", "off")
        assert asker.wait_for(alice, OFF) < 1
        redis.cli("HSET", key, "protocol:smtp", "off until=2020-01-01T00:00:00Z")
        asker.wait_for(alice, "")
        redis.cli("HSET", f"gatepost:account:{alice}", "protocol:smtp", "off")
        asker.wait_for(alice, OFF)
        redis.cli("HDEL", f"gatepost:account:{alice}", "protocol:smtp")
        asker.wait_for(alice, "")
        redis.cli("HSET", key, "protocol:smtp", "off")
        asker.wait_for(alice, OFF)
        redis.cli("DEL", key)
        asker.wait_for(alice, "")
    assert gatepost.verdicts(**{"from": f"self:{alice}:protocol:smtp"})


@pytest.mark.parametrize("fact", ["protocol:smtp off", "source authorized"])
def test_no_other_spelling_of_the_sender_is_a_way_round(redis, start, domain, fact):
    """Also of a user for whom the host has no policy at all."""
    gatepost, asker = start(redis.url)
    alice, spelled = f"alice@corp.{domain}", f"alice%corp.{domain}@x.{domain}"
    assert not asker.ask(spelled)
    redis.cli("HSET", own("corp." + domain), *fact.split())
    asker.wait_for(alice, "550 5.7.")
    assert asker.ask(spelled).startswith("550 5.7.")
    assert gatepost.verdicts(reason="sender-ambiguous", account=alice)
    assert not asker.ask(f"bob%corp.{domain}@x.{domain}")


def test_a_time_ends_without_a_change(redis, start, domain):
    """`until=` and `from=` act when they come, also of what is cached."""
    _, asker = start(redis.url, cache_entries=1000, cache_ttl="1h")
    now = int(redis.cli("TIME").split()[0])
    end = subprocess.run(["date", "-u", "-d", f"@{now + 2}", "+%Y-%m-%dT%H:%M:%SZ"],
                         capture_output=True, text=True, check=True).stdout.strip()
    redis.cli("HSET", own(domain), "protocol:smtp", f"off until={end}")
    redis.cli("HSET", own(domain, "bob"), "protocol:smtp", f"off from={end}")
    asker.wait_for(f"alice@{domain}", OFF)
    assert not asker.ask(f"bob@{domain}")
    asker.wait_for(f"alice@{domain}", "")
    assert asker.ask(f"bob@{domain}").startswith(OFF)


def test_not_asked_for_without_the_section(redis, start_gatepost, milter_session, domain):
    gatepost = start_gatepost({**BARE, "store": redis.url, "cache_entries": 0})
    asker = Asker(milter_session(gatepost))
    redis.cli("HSET", own(domain), "protocol:smtp", "off")
    seen = redis.command_count("hgetall")
    assert not asker.ask(f"alice@{domain}")
    with_nobody = redis.command_count("hgetall") - seen
    gatepost.stop()
    gatepost = start_gatepost({**BARE, "settings": {}, "store": redis.url, "cache_entries": 0})
    asker = Asker(milter_session(gatepost))
    seen = redis.command_count("hgetall")
    assert asker.ask(f"alice@{domain}").startswith(OFF)
    assert redis.command_count("hgetall") - seen >= with_nobody + 1


def test_reload_begins_and_ends_it(redis, start_gatepost, milter_session, domain):
    bare = {**BARE, "store": redis.url}
    gatepost = start_gatepost(bare)
    redis.cli("HSET", own(domain), "protocol:smtp", "off")
    for settings, reply in ((bare, ""), ({**bare, "settings": {}}, OFF), (bare, "")):
        gatepost.configure(settings)
        os.kill(gatepost.pid, signal.SIGHUP)
        gatepost.wait_log("event=reload ")
        gatepost.forget()
        asker = Asker(milter_session(gatepost))
        asker.wait_for(f"alice@{domain}", reply)


def test_what_cannot_be_read(redis, start, domain):
    gatepost, asker = start(redis.url)

    def deferred_for(field):
        reply = asker.ask(f"alice@{domain}")
        assert not reply or reply.startswith(MALFORMED)
        return gatepost.verdicts(verdict="defer", reason="policy-malformed",
                                 **{"from": f"self:alice@{domain}:{field}"})

    for edit, field in ((("SET", own(domain), "x"), "(wrong type)"),
                        (("HSET", own(domain), "protocol:smtp", "maybe"), "protocol:smtp")):
        redis.cli("DEL", own(domain))
        redis.cli(*edit)
        wait_until(lambda: deferred_for(field), what=field)
        assert gatepost.wait_log("event=policy-malformed", f"key={own(domain)}")
    fields = [word for n in range(10001) for word in (f"ip:2001:db8::{n:x}", "")]
    redis.cli("DEL", own(domain))
    for at in range(0, len(fields), 2000):
        redis.cli("HSET", own(domain), *fields[at:at + 2000])
    wait_until(lambda: deferred_for("(too large)"), what="too large")


def test_a_user_without_the_right(site, make_redis, start, domain):
    """An older ACL: what a user has closed is not known, which is no yes, and the log says what is
    missing."""
    acl = acl_of_the_package("least")
    redis = make_redis(re.sub(r" \(%R~gatepost-self:\*[^)]*\)", "", acl))
    least = {"store_user": "gatepost",
             "store_password_file": password_file(site, "p-" + domain, "least")}
    gatepost, asker = start(redis.url, **least)
    gatepost.remember()
    assert own("", "")[:-1] in gatepost.wait_log("event=self-unreadable", "NOPERM", "gatepost.acl")
    ctl = Gatepostctl(site.folder.file("self-ctl.conf"),
                      {**BARE, "settings": {}, "store": redis.url, **least})
    assert "self-unreadable" in ctl.run("lint").out
    assert asker.ask(f"alice@{domain}").startswith(UNAVAILABLE)
    line = gatepost.wait_log("event=store-error", "NOPERM", "gatepost.acl")
    assert f"HGETALL {own(domain)}" in line
    redis.cli("ACL", "SETUSER", "gatepost", "(%R~gatepost-self:* +hgetall)")
    asker.wait_for(f"alice@{domain}", "")
    redis.cli("HSET", own(domain), "protocol:smtp", "off")
    asker.wait_for(f"alice@{domain}", OFF)


def test_the_users_of_the_package(site, make_redis, start, domain):
    """The filter reads self facts and hears of their changes, and cannot write them; the program of
    users writes them and reads the policy, and no more."""
    lines = [acl_of_the_package("least")]
    with open(os.path.join(_HERE, "../../conf/redis/gatepost-settings.acl")) as acl:
        lines += [line.strip().replace(">CHANGE-ME", ">least") for line in acl
                  if line.startswith("user ")]
    redis = make_redis(*lines)
    gatepost, asker = start(redis.url, store_user="gatepost",
                            store_password_file=password_file(site, "q-" + domain, "least"))

    def as_user(user, *commands):
        run = subprocess.run(["redis-cli", "-p", str(redis.port), "--user", user, "--pass", "least",
                              "--no-auth-warning"], input="\n".join(commands), text=True,
                             capture_output=True, check=True)
        return run.stdout

    key = own(domain)
    assert not asker.ask(f"alice@{domain}")
    done = as_user("gatepost-settings", f"WATCH {key}", f"HGETALL gatepost:account:alice@{domain}",
                   f"HGETALL {key}", "XRANGE gatepost-self:history + -", "MULTI",
                   f"HSET {key} protocol:smtp off",
                   "XADD gatepost-self:history MAXLEN ~ 10000 * actor x", "EXEC",
                   f"HSETNX gatepost-password:alice@{domain} a b",
                   f"HGETALL gatepost-use:alice@{domain}")
    assert "NOPERM" not in done
    asker.wait_for(f"alice@{domain}", OFF)
    for command in (f"HSET gatepost:account:alice@{domain} protocol:smtp on",
                    f"DEL {key}", "XADD gatepost:history * a b", "HGETALL gatepost:network:relays",
                    f"HSET gatepost-use:alice@{domain} a b", "FLUSHALL", "KEYS *", "SCAN 0"):
        assert "NOPERM" in as_user("gatepost-settings", command), command
    for command in (f"HSET {key} a b", f"HDEL {key} a", f"DEL {key}",
                    "XADD gatepost-self:history * a b"):
        assert "NOPERM" in as_user("gatepost", command), command
    for event in ("store-not-watched", "store-watch-lost", "store-error"):
        assert not gatepost.events(event)


def test_in_a_cluster(make_cluster, start, domain):
    cluster = make_cluster()
    _, asker = start(cluster.url, cache_entries=1000)
    names = [f"u{n}@{domain}" for n in range(12)]       # on all of the nodes
    for name in names:
        assert not asker.ask(name)
    for value, reply in (("off", OFF), ("off until=2020-01-01T00:00:00Z", ""), ("off", OFF)):
        for name in names:
            cluster.cli("HSET", f"gatepost-self:{name}", "protocol:smtp", value)
        for name in names:
            asker.wait_for(name, reply)


def test_in_a_file(site, start, domain):
    path = site.folder.file("self-" + domain)
    policy.as_file(path, "self:alice@{d} protocol:smtp off", d=domain)
    _, asker = start("file:" + path)
    assert asker.ask(f"alice@{domain}").startswith(OFF)
    policy.as_file(path, "self:bob@{d} protocol:smtp off", d=domain)
    asker.wait_for(f"alice@{domain}", "")
    assert asker.ask(f"bob@{domain}").startswith(OFF)


def test_with_a_prefix_that_ends_in_no_colon(redis, start, domain):
    """Its self facts begin with the prefix of the policy: both are told of all the same."""
    _, asker = start(redis.url, key_prefix="gp", cache_entries=1000)
    assert not asker.ask(f"alice@{domain}")
    redis.cli("HSET", f"gp-self:alice@{domain}", "protocol:smtp", "off")
    asker.wait_for(f"alice@{domain}", OFF)
    redis.cli("DEL", f"gp-self:alice@{domain}")
    asker.wait_for(f"alice@{domain}", "")
    redis.cli("HSET", f"gpaccount:alice@{domain}", "protocol:smtp", "off")
    asker.wait_for(f"alice@{domain}", OFF)


def test_the_history_is_no_account(redis, start, domain):
    """A login without a domain could have its name: its stream is never taken for facts."""
    del domain
    redis.cli("XADD", "gatepost-self:history", "*", "actor", "x")
    gatepost, asker = start(redis.url)
    assert not asker.ask("history")
    assert gatepost.verdict(sender="history")["reason"] != "policy-malformed"
