"""Redis is there but answers with an error: no error is taken for policy, the log has its name and
what to do, and its end is noticed.
"""

import pytest

from support import policy
from support.gatepostctl import Gatepostctl
from support.policy_asker import Asker
from support.ports import free_port
from support.process import wait_until
from support.redis_client import RedisClient, RedisError
from support.redis_server import RedisServer, ask

TIMEOUT = 0.3           # store_timeout
MARGIN = 1.0            # for a loaded machine and the sanitizers
RECOVERY = 1.0 + MARGIN
BARE = {"store_timeout": "300ms", "trusted": [], "network": {},
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"
UNAVAILABLE = "451 4.3.0"
LISTED = "ip:192.0.2.10"        # whoever is on needs no SPF
CACHED = pytest.mark.parametrize("entries", [0, 1000], ids=["plain", "cached"])


@pytest.fixture(scope="module")
def make_redis(site):
    """A function (name, directives..., **arguments): one more Redis, stopped at the end."""
    made = []

    def make(name, *directives, **arguments):
        server = RedisServer(site.folder.sub("redis-" + name), directives, **arguments)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="module")
def redis(make_redis):
    return make_redis("refusing", "lua-time-limit 20")


@pytest.fixture(scope="module")
def pair(make_redis):
    """A master and its replica, which answers nobody without it."""
    master = make_redis("master", "repl-diskless-sync-delay 0", persist=True)
    replica = make_redis("replica", f"replicaof 127.0.0.1 {master.port}",
                         "replica-serve-stale-data no")
    wait_until(lambda: in_step(replica), what="replica in step")
    return master, replica


def in_step(replica):
    return "master_link_status:up" in replica.cli("INFO", "replication")


@pytest.fixture
def start(start_gatepost, milter_session):
    """A function (store URL, settings): a running filter on that store, and an Asker."""
    def start_on(url, **settings):
        gatepost = start_gatepost({**BARE, "store": url, **settings})
        gatepost.remember()
        return gatepost, Asker(milter_session(gatepost))
    return start_on


def load(redis, domain):
    """The accounts off@, which is asked for from the beginning, and cold@, which is not."""
    policy.load(redis, "account:off@{d} protocol:smtp off\naccount:cold@{d} protocol:smtp off",
                d=domain)


def check_unavailable(gatepost, asker, entries, domain):
    """What is known serves if it is cached, and is marked as stale; all else is deferred."""
    gatepost.forget()
    asker.waits.clear()
    for _ in range(3):
        assert asker.ask(f"off@{domain}").startswith(OFF if entries else UNAVAILABLE)
        assert asker.ask(f"cold@{domain}").startswith(UNAVAILABLE)
    assert max(asker.waits) < TIMEOUT + MARGIN
    if entries:
        assert gatepost.verdict(sender=f"off@{domain}")["policy"] == "stale"
    gatepost.remember()


def check_recovered(gatepost, asker, redis, domain):
    """From the moment at which Redis answers again: looked up, watched, and changes obeyed."""
    recovery = asker.wait_for(f"cold@{domain}", OFF)
    print(f"recovery {recovery * 1000:.0f} ms")
    assert recovery < RECOVERY
    gatepost.wait_log("event=store-up")
    policy.load(redis, "account:off@{d} protocol:smtp on\naccount:off@{d} " + LISTED, d=domain)
    assert asker.wait_for(f"off@{domain}", "") < RECOVERY
    assert len(gatepost.events("store-down")) == len(gatepost.events("store-up")) == 1


@CACHED
def test_a_script_that_does_not_end(redis, start, domain, entries):
    load(redis, domain)
    gatepost, asker = start(redis.url, cache_entries=entries)
    asker.wait_for(f"off@{domain}", OFF)
    with RedisClient(redis.socket) as client:
        client.send("EVAL", "while true do end", "0")
        try:
            gatepost.wait_log("event=store-down", "BUSY", "SCRIPT KILL")
            check_unavailable(gatepost, asker, entries, domain)
            assert "BUSY" in gatepost.wait_log("event=store-error", "session=")
        finally:
            redis.cli("SCRIPT", "KILL")
        with pytest.raises(RedisError):
            client.read_reply()
    check_recovered(gatepost, asker, redis, domain)


@CACHED
def test_a_replica_without_its_master(pair, start, domain, entries):
    master, replica = pair
    load(master, domain)
    wait_until(lambda: replica.cli("EXISTS", f"gatepost:account:cold@{domain}") == "1")
    gatepost, asker = start(replica.url, cache_entries=entries)
    asker.wait_for(f"off@{domain}", OFF)
    master.kill()
    try:
        gatepost.wait_log("event=store-down", "MASTERDOWN", "replica-serve-stale-data")
        check_unavailable(gatepost, asker, entries, domain)
        assert "MASTERDOWN" in gatepost.wait_log("event=store-error", "session=")
    finally:
        master.start()
    wait_until(lambda: in_step(replica), what="replica in step")
    check_recovered(gatepost, asker, master, domain)


def test_a_replica_that_has_never_met_its_master(make_redis, start, domain):
    """It has no data at all, which must not be taken for no policy."""
    replica = make_redis("orphan-" + domain, f"replicaof 127.0.0.1 {free_port()}",
                         "replica-serve-stale-data no")
    gatepost, asker = start(replica.url)
    gatepost.wait_log("event=store-down", "MASTERDOWN")
    assert asker.ask(f"x@{domain}").startswith(UNAVAILABLE)
    assert not gatepost.events("policy-empty")


def test_out_of_memory(redis, start, domain):
    """Nothing can be written; everything is read and told of as ever."""
    load(redis, domain)
    redis.cli("HSET", f"gatepost:network:{domain}", "192.0.2.77", "")
    redis.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        assert ask(redis.port, "SET", "x", "y").startswith("OOM")
        gatepost, asker = start(redis.url, cache_entries=1000, trusted=[domain])
        assert asker.ask(f"off@{domain}").startswith(OFF)
        seen = redis.command_count("hgetall")
        wait_until(lambda: redis.command_count("hgetall") > seen + 1, what="two looks of the watch")
        redis.cli("HDEL", f"gatepost:account:off@{domain}", "protocol:smtp")
        asker.wait_for(f"off@{domain}", "")
        assert asker.ask(f"cold@{domain}").startswith(OFF)
    finally:
        redis.cli("CONFIG", "SET", "maxmemory", "0")
    assert not gatepost.events("store-down", "store-watch-lost", "store-not-watched",
                     "store-error", "network-not-loaded")


# ---- commands that the configuration of Redis has taken away ----

def without(make_redis, domain, *commands):
    return make_redis("without-" + domain, *(f'rename-command {name} ""' for name in commands))


@pytest.mark.parametrize("command", ["CLIENT", "SUBSCRIBE"])
def test_no_telling_of_changes(make_redis, start, site, domain, command):
    """Then each message asks, and what is cached serves outages only; that is said once."""
    redis = without(make_redis, domain, command)
    load(redis, domain)
    gatepost, asker = start(redis.url, cache_entries=1000)
    line = gatepost.wait_log("event=store-not-watched", "unknown command", "rename-command")
    assert command in line and "each message asks for its policy" in line
    key = f"gatepost:account:off@{domain}"
    for _ in range(20):
        assert asker.ask(f"off@{domain}").startswith(OFF)
        redis.cli("HDEL", key, "protocol:smtp")
        assert asker.ask(f"off@{domain}") == ""
        redis.cli("HSET", key, "protocol:smtp", "off")
    assert asker.ask(f"off@{domain}").startswith(OFF)
    assert asker.ask(f"cold@{domain}").startswith(OFF)
    assert len(gatepost.events("store-not-watched")) == 1
    ctl = Gatepostctl(site.folder.file(f"blind-{domain}.conf"), {"store": redis.url, "trusted": []})
    found, = (line for line in ctl.run("lint").out.splitlines() if line.startswith("blind"))
    assert command in found and "does not report changes" in found
    assert not gatepost.events("store-down", "store-watch-lost", "store-error")
    redis.stop()
    asker.wait_for(f"off@{domain}", OFF)
    assert gatepost.verdicts()[-1]["policy"] == "stale"


def test_no_command_that_can_be_done_without(make_redis, start, milter_session, domain):
    """Networks come by HGETALL, which tells of changes as ever."""
    redis = without(make_redis, domain, "PSUBSCRIBE", "PING", "SCAN", "HSCAN", "KEYS", "SELECT",
                    "ROLE", "INFO", "EVAL", "CONFIG", "MULTI", "HELLO", "AUTH", "FLUSHALL")
    load(redis, domain)
    network = f"gatepost:network:{domain}"
    redis.cli("HSET", network, "192.0.2.77", "")
    gatepost, asker = start(redis.url, cache_entries=1000, trusted=[domain])
    assert asker.ask(f"off@{domain}").startswith(OFF)
    inside = Asker(milter_session(gatepost, address="192.0.2.77"))
    inside.wait_for(f"off@{domain}", "")
    gatepost.verdict(client="192.0.2.77", reason="trusted")
    redis.cli("HDEL", network, "192.0.2.77")
    wait_until(lambda: Asker(milter_session(gatepost, address="192.0.2.77")).ask(f"off@{domain}"))
    redis.cli("HDEL", f"gatepost:account:off@{domain}", "protocol:smtp")
    asker.wait_for(f"off@{domain}", "", RECOVERY)
    assert not gatepost.events("store-down", "store-watch-lost", "store-not-watched",
                     "store-error", "network-not-loaded", "policy-empty")


@pytest.mark.parametrize("command, store", [
    ("HGETALL", "redis://127.0.0.1:{}"), ("SELECT", "redis://127.0.0.1:{}/1"),
    ("CLUSTER", "redis+cluster://127.0.0.1:{}")])
def test_no_look_up(make_redis, start, domain, command, store):
    redis = without(make_redis, domain, command)
    load(redis, domain)
    gatepost, asker = start(store.format(redis.port))
    for _ in range(5):
        assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    assert max(asker.waits) < TIMEOUT + MARGIN
    gatepost.wait_log("event=store-error", "session=", f"unknown command '{command}'",
                      "rename-command")
    assert not gatepost.verdicts(reason="policy-malformed")
