"""Redis in trouble: nobody waits for it for long, the log says what is wrong, its return is noticed.

The servers are the tests' own. There is no policy cache here: what the store says is seen at once.
"""

import os
import signal
import socket
from statistics import median

import pytest

from support import policy
from support.gatepost import check
from support.policy_asker import Asker
from support.process import wait_until
from support.redis_login import acl_of_the_package, password_file
from support.redis_server import RedisServer, ask
from support.tcp_proxy import TcpProxy

TIMEOUT = 0.3           # store_timeout
MARGIN = 1.0            # for a loaded machine and the sanitizers
RECOVERY = 1.0 + MARGIN
BARE = {"store_timeout": "300ms", "cache_entries": 0, "trusted": [], "network": {},
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"
UNAVAILABLE = "451 4.3.0"
PROBE = b"\r\ngatepost:account:\r\n"     # the watch asks for this key


@pytest.fixture
def make_redis(site, domain):
    """A function (directives..., password=): one more Redis, stopped at the end."""
    made = []

    def make(*directives, **arguments):
        folder = site.folder.sub(f"redis-{domain}-{len(made)}")
        server = RedisServer(folder, directives, **arguments)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def make_proxy():
    """A function (server): a proxy before it, stopped at the end."""
    made = []

    def make(server):
        made.append(TcpProxy(server.port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.fixture
def mail(milter_session):
    """A function (filter): an Asker."""
    return lambda gatepost: Asker(milter_session(gatepost))


@pytest.fixture
def start(start_gatepost):
    """A function (store URL, settings): a running filter on that store, without a cache."""
    def start_on(url, **settings):
        gatepost = start_gatepost({**BARE, "store": url, **settings})
        gatepost.remember()
        return gatepost
    return start_on


def report(name, seconds):
    print(f"{name}: {seconds * 1000:.0f} ms")


def test_a_hung_server_costs_its_time_out_a_few_times_only(make_redis, start, mail, domain):
    redis = make_redis()
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start(redis.url)
    asker = mail(gatepost)
    assert asker.ask(f"off@{domain}").startswith(OFF)
    asker.waits.clear()
    redis.freeze()
    for _ in range(20):
        assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    assert max(asker.waits) < TIMEOUT + MARGIN
    # three by the filter, two for a machine that stumbles
    assert len([wait for wait in asker.waits if wait > TIMEOUT / 2]) <= 3 + 2
    report("hung: look-ups behind an open breaker, in the middle", median(asker.waits[3:]))
    redis.resume()
    recovery = asker.wait_for(f"off@{domain}", OFF)
    report("hung: recovery", recovery)
    assert recovery < RECOVERY
    assert len(gatepost.events("store-down")) == 1
    assert len(gatepost.events("store-up")) == 1
    assert "no answer within store_timeout, since" in gatepost.wait_log("store-error", "since")


@pytest.mark.parametrize("tracking", [True, False], ids=["tracking", "no-tracking"])
def test_the_watch_reaches_another_server(make_redis, make_proxy, start, mail, domain, tracking):
    """Look-ups go there as well, though their connections to the old one still work."""
    old, new = make_redis(), make_redis()
    policy.load(old, "account:x@{d} ip:192.0.2.10", d=domain)
    policy.load(new, "account:x@{d} protocol:smtp off", d=domain)
    for server in (old, new):
        if not tracking:
            server.cli("ACL", "SETUSER", "default", "-client|tracking")
    proxy = make_proxy(old)
    gatepost = start(f"redis://127.0.0.1:{proxy.port}")
    asker = mail(gatepost)
    assert asker.ask(f"x@{domain}") == ""
    if not tracking:
        gatepost.wait_log("event=store-not-watched")
    proxy.target = new.port
    wait_until(lambda: proxy.sent(PROBE) > 1, 20, "a watch")
    proxy.drop(b"SUBSCRIBE", PROBE)
    asker.wait_for(f"x@{domain}", OFF)
    for _ in range(20):
        assert asker.ask(f"x@{domain}").startswith(OFF)


def test_a_subscription_lost_before_it_is_tracked(make_redis, make_proxy, start, domain):
    """Redis refuses to redirect to it; that is no reason to do without the watch."""
    redis = make_redis()
    proxy = make_proxy(redis)

    def lose(_):
        proxy.drop(b"SUBSCRIBE")
        wait_until(lambda: not redis.cli("CLIENT", "LIST", "TYPE", "pubsub").strip(), 20,
                   "its end")

    proxy.once(b"TRACKING", lose)
    gatepost = start(f"redis://127.0.0.1:{proxy.port}", cache_entries=100)
    gatepost.wait_log("event=store-watch-lost", "redirect")
    gatepost.wait_log("event=store-watched")
    assert not gatepost.events("store-not-watched")


def test_a_new_connection_breaks(make_redis, make_proxy, start, mail, domain):
    """The look-up is made again on another, and nothing is said against the server."""
    redis = make_redis()
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    proxy = make_proxy(redis)
    sent = []

    def cut(connection):
        sent.append(connection.sent)
        connection.close()

    proxy.once(b"account:*\r\n", cut)
    gatepost = start(f"redis://127.0.0.1:{proxy.port}")
    assert mail(gatepost).ask(f"off@{domain}").startswith(OFF)
    look_up, = sent
    assert look_up.count(b"HGETALL") == 1 and not gatepost.events("store-error")


def test_a_server_that_is_too_slow_is_down_until_it_is_faster(make_redis, make_proxy, start, mail,
                                                              domain):
    """The watch waits longer than a look-up does: what it hears then does not make it up."""
    redis = make_redis()
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    proxy = make_proxy(redis)
    gatepost = start(f"redis://127.0.0.1:{proxy.port}")
    asker = mail(gatepost)
    assert asker.ask(f"off@{domain}").startswith(OFF)
    gatepost.forget()
    proxy.delay = TIMEOUT * 1.7
    while not gatepost.events("store-down"):
        assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    probes = proxy.sent(PROBE)
    wait_until(lambda: proxy.sent(PROBE) >= probes + 4, 30, "late answers")
    assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    assert not gatepost.events("store-up")
    proxy.delay = 0
    asker.wait_for(f"off@{domain}", OFF)
    assert gatepost.events("store-up")


def test_a_server_that_dies_and_is_back(make_redis, start, mail, domain):
    redis = make_redis(persist=True)
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start(redis.url)
    asker = mail(gatepost)
    assert asker.ask(f"off@{domain}").startswith(OFF)
    for how in (redis.kill, redis.stop):
        gatepost.forget()
        asker.waits.clear()
        how()
        asker.wait_for(f"off@{domain}", UNAVAILABLE)
        gatepost.wait_log("event=store-down", "Connection refused")
        assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
        redis.start()
        recovery = asker.wait_for(f"off@{domain}", OFF)
        report(f"{how.__name__}: recovery", recovery)
        assert recovery < RECOVERY
        assert max(asker.waits) < TIMEOUT + MARGIN
        assert "after=" in gatepost.wait_log("event=store-up")
        assert len(gatepost.events("store-down")) == 1


def test_a_restart_is_not_seen_by_those_who_ask_afterwards(make_redis, start, mail, domain):
    redis = make_redis(persist=True)
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start(redis.url)
    asker = mail(gatepost)
    for _ in range(3):
        assert asker.ask(f"off@{domain}").startswith(OFF)
        redis.restart()
    assert not gatepost.events("store-error")


def test_a_server_that_loads_its_data(make_redis, start, mail, domain):
    redis = make_redis("key-load-delay 2000", "loading-process-events-interval-bytes 1024",
                       "enable-debug-command yes", persist=True)
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    redis.cli("DEBUG", "POPULATE", "1000", "filler", "100")
    redis.cli("BGREWRITEAOF")
    wait_until(lambda: "aof_rewrite_in_progress:0" in redis.cli("INFO", "persistence")
               and "aof_rewrite_scheduled:0" in redis.cli("INFO", "persistence"))
    gatepost = start(redis.url)
    asker = mail(gatepost)
    redis.kill()
    redis.launch()
    gatepost.wait_log("event=store-down", "LOADING", "loading its data from disk")
    gatepost.wait_log("event=store-up")
    recovery = asker.wait_for(f"off@{domain}", OFF)
    report("loaded: recovery", recovery)
    assert recovery < RECOVERY
    assert max(asker.waits) < TIMEOUT + MARGIN


def test_too_many_clients(make_redis, start, mail, domain):
    redis = make_redis("maxclients 5")
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    hogs = [socket.create_connection(("127.0.0.1", redis.port)) for _ in range(5)]
    gatepost = start(redis.url)
    asker = mail(gatepost)
    assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    gatepost.wait_log("event=store-down", "max number of clients", "maxclients")
    for hog in hogs:
        hog.close()
    recovery = asker.wait_for(f"off@{domain}", OFF)
    report("clients let in: recovery", recovery)
    assert recovery < RECOVERY


def test_a_server_that_cannot_save_still_serves(make_redis, start, mail, domain):
    redis = make_redis("save 3600 1")
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    os.mkdir(os.path.join(redis.folder, "dump.rdb"))    # in the place of the file
    redis.cli("BGSAVE")
    wait_until(lambda: ask(redis.port, "SET", "x", "y").startswith("MISCONF"))
    gatepost = start(redis.url)
    asker = mail(gatepost)
    gatepost.wait_log("event=start ")
    seen = redis.command_count("hgetall")
    wait_until(lambda: redis.command_count("hgetall") > seen + 1, what="two looks of the watch")
    assert asker.ask(f"off@{domain}").startswith(OFF)
    for event in ("store-down", "store-watch-lost", "store-error"):
        assert not gatepost.events(event)


def test_a_changed_password_needs_no_restart(site, make_redis, start, mail, domain):
    redis = make_redis(password="first")
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    path = password_file(site, "password-" + domain, "wrong")
    gatepost = start(redis.url, store_password_file=path)
    asker = mail(gatepost)
    assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    gatepost.wait_log("event=store-down", "WRONGPASS", "store_password_file")
    password_file(site, "password-" + domain, "first")
    recovery = asker.wait_for(f"off@{domain}", OFF)
    report("password corrected: recovery", recovery)
    assert recovery < RECOVERY
    redis.cli("CONFIG", "SET", "requirepass", "second")
    redis.password = "second"
    password_file(site, "password-" + domain, "second")
    redis.cli("CLIENT", "KILL", "TYPE", "normal")
    redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
    recovery = asker.wait_for(f"off@{domain}", OFF)
    report("password changed: recovery", recovery)
    assert recovery < RECOVERY
    assert not any(word in line for line in gatepost.log_lines() for word in ("first", "second"))


@pytest.mark.parametrize("mode, problem", [
    (0o600, None), (0o640, None), (0o440, None),
    (0o644, "every user of this host has access to it (mode 0644)"),
    (0o602, "every user of this host has access to it (mode 0602)"),
    (0o660, "its group may change it (mode 0660)"),
])
def test_a_password_file_that_others_can_read(site, make_redis, start, domain, mode, problem):
    """A warning at the start, at a reload and of -t, and all goes on."""
    redis = make_redis(password="secret")
    path = password_file(site, "password-" + domain, "secret")
    os.chmod(path, 0o600)
    gatepost = start(redis.url, store_password_file=path)
    gatepost.wait_log("event=start ")
    assert not gatepost.events("password-exposed")
    os.chmod(path, mode)
    os.kill(gatepost.pid, signal.SIGUSR1)
    gatepost.wait_log("event=reload ")
    tested = check(gatepost.conf)
    assert tested.returncode == 0
    again = start(redis.url, store_password_file=path)
    again.wait_log("event=start ")
    told = [gatepost.events("password-exposed"), again.events("password-exposed")]
    if problem is None:
        assert told == [[], []] and tested.stderr == ""
        return
    for events in told:
        assert len(events) == 1 and path in str(events[0]) and problem in str(events[0])
    assert "gatepost: warning: store_password_file: " + path in tested.stderr
    assert problem in tested.stderr
    assert "secret" not in str(told) + tested.stderr


def test_a_user_without_the_right_to_look_up(site, make_redis, start, mail, domain):
    redis = make_redis("user gatepost on >least ~gatepost:* &* -@all +ping +client +subscribe")
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start(redis.url, store_user="gatepost",
                     store_password_file=password_file(site, "password-" + domain, "least"))
    asker = mail(gatepost)
    assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    line = gatepost.wait_log("event=store-error", "NOPERM", "gatepost.acl", domain)
    assert "HGETALL gatepost:account:" in line
    for _ in range(5):
        asker.ask(f"off@{domain}")
    assert not gatepost.events("store-down"), "it answers"
    redis.cli("ACL", "SETUSER", "gatepost", "+hgetall")
    assert asker.ask(f"off@{domain}").startswith(OFF)


def test_a_user_without_the_right_to_be_told(site, make_redis, start, mail, domain):
    redis = make_redis("user gatepost on >least ~gatepost:* -@all +ping +hgetall")
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start(redis.url, store_user="gatepost",
                     store_password_file=password_file(site, "password-" + domain, "least"))
    asker = mail(gatepost)
    gatepost.wait_log("event=store-not-watched", "NOPERM")
    assert asker.ask(f"off@{domain}").startswith(OFF)
    redis.freeze()
    gatepost.wait_log("event=store-down")
    assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    assert asker.waits[-1] < TIMEOUT
    redis.resume()
    recovery = asker.wait_for(f"off@{domain}", OFF)
    report("not watched: recovery", recovery)
    assert recovery < RECOVERY


def test_the_user_of_the_package_does(site, make_redis, start, mail, domain):
    redis = make_redis(acl_of_the_package("least"))
    gatepost = start(redis.url, store_user="gatepost",
                     store_password_file=password_file(site, "password-" + domain, "least"))
    asker = mail(gatepost)
    gatepost.wait_log("event=policy-empty")
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    assert asker.ask(f"off@{domain}").startswith(OFF)
    for event in ("store-not-watched", "store-watch-lost", "store-error"):
        assert not gatepost.events(event)
    assert redis.cli("ACL", "LOG") == ""


def test_a_store_without_any_policy_is_told_of(make_redis, start, domain):
    redis = make_redis()
    redis.cli("SET", "other:account:x", "1")
    gatepost = start(redis.url)
    gatepost.wait_log("event=policy-empty", redis.url)
    policy.load(redis, "account:a@{d} source any", d=domain)
    gatepost.forget()
    redis.restart()         # it keeps nothing
    gatepost.wait_log("event=policy-empty")
    policy.load(redis, "account:a@{d} source any", d=domain)
    gatepost.forget()
    redis.cli("FLUSHALL")
    gatepost.wait_log("event=policy-empty")
    policy.load(redis, "account:a@{d} source any", d=domain)
    gatepost.forget()
    redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
    gatepost.wait_log("event=store-watched")
    assert not gatepost.events("policy-empty")


def test_a_store_by_name(make_redis, start, mail, domain):
    redis = make_redis()
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start(f"redis://localhost:{redis.port}")
    asker = mail(gatepost)
    assert asker.ask(f"off@{domain}").startswith(OFF)
    assert not gatepost.events("store-error")


def test_a_name_that_cannot_be_resolved(make_redis, start, mail, domain):
    gatepost = start("redis://no-such-host.invalid")
    asker = mail(gatepost)
    for _ in range(5):
        assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    assert max(asker.waits) < TIMEOUT + MARGIN
