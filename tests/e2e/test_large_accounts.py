"""An account with more than a look-up takes, or whose answer dawdles: nobody else's matter."""

import time

import pytest

from support import policy
from support.gatepostctl import Gatepostctl
from support.policy_asker import Asker
from support.process import wait_until
from support.redis_client import RedisClient
from support.redis_server import RedisServer
from support.tcp_proxy import TcpProxy

TIMEOUT = 0.3           # store_timeout
MARGIN = 1.0            # for a loaded machine and the sanitizers
BARE = {"store_timeout": "300ms", "trusted": [], "network": {},
        "listener": {"mx": {"service": "smtp"}}}
FIELDS_MAX, OCTETS_MAX = 10000, 1000000
OFF = "550 5.7.1"
MALFORMED = "451 4.3.5"
UNAVAILABLE = "451 4.3.0"


@pytest.fixture
def server(site, domain):
    redis = RedisServer(site.folder.sub(f"large-{domain}")).start()
    yield redis
    redis.kill()


@pytest.fixture
def proxy(server):
    before_it = TcpProxy(server.port)
    yield before_it
    before_it.stop()


@pytest.fixture(params=[0, 1000], ids=["plain", "cached"])
def start(request, start_gatepost):
    """A function (store URL): a running filter on it."""
    def start_on(url):
        gatepost = start_gatepost({**BARE, "store": url, "cache_entries": request.param})
        gatepost.remember()
        return gatepost
    return start_on


def fill(redis, subject, count, name="ip:10.{}.{}.{}", value=""):
    """So many fields of one account; its name is given three numbers."""
    with RedisClient(redis.socket) as client:
        for first in range(0, count, 1000):
            words = []
            for number in range(first, min(first + 1000, count)):
                words += [name.format(number >> 16, number >> 8 & 255, number & 255), value]
            client.command("HSET", f"gatepost:{subject}", *words)


def expect_undisturbed(gatepost):
    assert not gatepost.events("store-down")
    assert not gatepost.events("store-error")
    assert not gatepost.events("store-watch-lost")


def test_an_account_of_400000_fields(server, start, milter_session, domain):
    """By anybody's MAIL FROM, again and again: it is deferred, the others are judged."""
    fill(server, f"account:fat@{domain}", 400000)
    policy.load(server, "account:off@{d} protocol:smtp off\naccount:on@{d} ip:192.0.2.10", d=domain)
    gatepost = start(server.url)
    asker = Asker(milter_session(gatepost))
    asker.ask(f"fat@{domain}")      # a slow machine may need more than store_timeout, this once
    for _ in range(5):
        assert asker.ask(f"fat@{domain}").startswith(MALFORMED)
        assert asker.ask(f"off@{domain}").startswith(OFF)
        assert asker.ask(f"on@{domain}") == ""
    assert max(asker.waits) < TIMEOUT + MARGIN
    line = gatepost.wait_log("event=policy-malformed", f"key=gatepost:account:fat@{domain}")
    assert f"too large: more than {FIELDS_MAX} fields or {OCTETS_MAX} octets" in line
    gatepost.wait_log("event=verdict", "reason=policy-malformed",
                      f"account:fat@{domain}", "(too large)")
    assert not gatepost.events("store-down")
    assert len(gatepost.events("store-error")) <= 1
    print(f"\nlongest answer: {max(asker.waits) * 1000:.0f} ms")


def test_an_answer_that_takes_too_long_to_begin(server, start_gatepost, milter_session, domain):
    """While the server puts it together no octet arrives. After that once, sizes are asked for."""
    fill(server, f"account:fat@{domain}", 1000000)
    policy.load(server, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start_gatepost({**BARE, "store": server.url, "cache_entries": 0,
                               "store_timeout": "60ms"})
    gatepost.remember()
    asker = Asker(milter_session(gatepost))
    assert asker.ask(f"fat@{domain}").startswith(UNAVAILABLE)
    hgetall = server.command_count("hgetall")       # waits until the server is free again
    for _ in range(5):
        assert asker.ask(f"fat@{domain}").startswith(MALFORMED)
        assert asker.ask(f"off@{domain}").startswith(OFF)
    assert server.command_count("hgetall") == hgetall + 5       # those of off
    assert not gatepost.events("store-down")


@pytest.mark.parametrize("subject, deferred", [
    ("account:@{d}", ["a@{d}", "off@{d}"]),
    ("account:*", ["a@{d}", "b@elsewhere.{d}"]),
], ids=["domain", "everybody"])
def test_what_inherits_from_it(server, start, milter_session, domain, subject, deferred):
    """Who needs that subject is deferred, and nobody else. What is more specific still holds."""
    subject = subject.format(d=domain)
    fill(server, subject, FIELDS_MAX + 1)
    policy.load(server, """
        account:off@{d} source any
        account:off@other.{d} protocol:smtp off
        account:off@other.{d} mode enforce""", d=domain)
    asker = Asker(milter_session(gatepost := start(server.url)))
    for sender in deferred:
        assert asker.ask(sender.format(d=domain)).startswith(MALFORMED)
    assert asker.ask(f"off@other.{domain}").startswith(OFF)
    if subject != "account:*":
        assert not asker.ask(f"x@elsewhere.{domain}").startswith("4")
    gatepost.wait_log("event=policy-malformed", f"key=gatepost:{subject}", "too large")
    expect_undisturbed(gatepost)


@pytest.mark.parametrize("count, value, reply", [
    (FIELDS_MAX, "", ""),
    (FIELDS_MAX + 1, "", MALFORMED),
    (10, "x" * 90000, ""),
    (11, "x" * 100000, MALFORMED),
    (11, "x" * 1000000, MALFORMED),
], ids=["fields", "fields-and-one", "octets", "octets-and-some", "octets-by-far"])
@pytest.mark.parametrize("kind", ["redis", "file"])
def test_the_bounds(server, site, start_gatepost, milter_session, domain, kind, count, value,
                    reply):
    """They are those of every store. Of what is within them each field counts."""
    subject = f"account:large@{domain}"
    listed = ("ip:192.0.2.10", "")
    if kind == "redis":
        server.cli("HSET", f"gatepost:{subject}", *listed)
        fill(server, subject, count - 1, value=value)
        url = server.url
    else:
        path = site.folder.file(f"large-{domain}.policy")
        with open(path, "w") as file:
            file.write(f"{subject} {listed[0]}\n")
            for number in range(count - 1):
                file.write(f"{subject} ip:10.0.{number >> 8}.{number & 255} {value}\n")
        url = f"file:{path}"
    gatepost = start_gatepost({**BARE, "store_timeout": "5s", "store": url})
    gatepost.remember()
    answer = Asker(milter_session(gatepost)).ask(f"large@{domain}")
    assert answer.startswith(reply) if reply else answer == ""
    expect_undisturbed(gatepost)


def test_an_account_in_a_cluster(make_cluster, start, milter_session, domain):
    cluster = make_cluster()
    fat = f"account:fat@{domain}"
    for first in range(0, FIELDS_MAX + 1000, 1000):
        words = [word for number in range(first, first + 1000)
                 for word in (f"ip:10.0.{number >> 8}.{number & 255}", "")]
        cluster.cli("HSET", f"gatepost:{fat}", *words)
    senders = [f"u{number}@{domain}" for number in range(20)]   # on every node
    for sender in senders:
        cluster.cli("HSET", f"gatepost:account:{sender}", "protocol:smtp", "off")
    asker = Asker(milter_session(gatepost := start(cluster.url)))
    for sender in senders:
        assert asker.ask(f"fat@{domain}").startswith(MALFORMED)
        assert asker.ask(sender).startswith(OFF)
    gatepost.wait_log("event=policy-malformed", f"key=gatepost:{fat}", "too large")
    expect_undisturbed(gatepost)


def test_an_answer_that_dawdles(server, proxy, start_gatepost, milter_session, domain):
    """store_timeout is for the whole answer, though octets keep flowing; it is this account's fault.

    The filter closes the connection, and no other.
    """
    fill(server, f"account:slow@{domain}", FIELDS_MAX - 1)
    policy.load(server, "account:off@{d} protocol:smtp off", d=domain)
    gatepost = start_gatepost({**BARE, "cache_entries": 0,
                               "store": f"redis://127.0.0.1:{proxy.port}/0"})
    gatepost.remember()
    asker = Asker(milter_session(gatepost))
    assert asker.ask(f"off@{domain}").startswith(OFF)
    proxy.rate = 100000         # the answer needs some seconds
    for _ in range(5):
        asker.waits.clear()
        assert asker.ask(f"slow@{domain}").startswith(UNAVAILABLE)
        assert TIMEOUT * 0.9 < asker.waits[0] < TIMEOUT + MARGIN
        assert asker.ask(f"off@{domain}").startswith(OFF)
    gatepost.wait_log("event=store-error", f"gatepost:account:slow@{domain}",
                      "no answer within store_timeout")
    assert not gatepost.events("store-down")


@pytest.mark.parametrize("number", [1, 8], ids=["one account", "many accounts"])
def test_answers_that_all_dawdle(server, proxy, start, milter_session, domain, number):
    """Of one account it is that account's fault; of five in a row the server's, who answers PINGs.

    Then nobody waits for it but one message a second. The first whole answer ends that.
    """
    senders = [f"slow{i}@{domain}" for i in range(number)]
    for sender in senders:
        fill(server, f"account:{sender}", 2000)
        server.cli("HSET", f"gatepost:account:{sender}", "protocol:smtp", "off")
    gatepost = start(f"redis://127.0.0.1:{proxy.port}/0")
    asker = Asker(milter_session(gatepost))
    proxy.rate = 5000

    def late():
        return sum(wait > TIMEOUT * 0.9 for wait in asker.waits)
    for i in range(6):
        assert asker.ask(senders[i % number]).startswith(UNAVAILABLE)
    if number == 1:
        assert late() == 6 and not gatepost.events("store-down")
        return
    assert late() == 5 and asker.waits[5] < TIMEOUT * 0.5
    line, = gatepost.events("store-down")
    assert "had begun" in line and "5 keys in a row" in line
    began = time.monotonic()
    wait_until(lambda: asker.ask(senders[0]).startswith(UNAVAILABLE) and late() == 5 + 3,
               what="three trials")
    assert time.monotonic() - began > 2
    assert len(gatepost.events("store-down")) == 1 and not gatepost.events("store-up")
    proxy.rate = 0
    assert asker.wait_for(senders[-1], OFF) < 5
    gatepost.wait_log("event=store-up")


def test_100000_fields_do_not_pass_store_timeout(server, proxy, start_gatepost, milter_session,
                                                 domain):
    """Octets of a large answer keep flowing: the deadline is an absolute one."""
    fill(server, f"account:large@{domain}", 100000)
    gatepost = start_gatepost({**BARE, "cache_entries": 0,
                               "store": f"redis://127.0.0.1:{proxy.port}/0"})
    gatepost.remember()
    asker = Asker(milter_session(gatepost))
    asker.wait_for(f"other@{domain}", "")
    for rate in (0, 50000, 1000):
        proxy.rate = rate
        asker.waits.clear()
        for _ in range(4):
            assert asker.ask(f"large@{domain}").startswith("451 ")
        assert max(asker.waits) < TIMEOUT + MARGIN
        assert sorted(asker.waits)[1] < TIMEOUT + 0.1
    assert not gatepost.events("store-down")


def test_what_gatepostctl_says(server, site, domain):
    """lint does not have it read: that would take the server's time."""
    fill(server, f"account:fat@{domain}", 20000)
    policy.load(server, "account:a@{d} protocol:smtp off", d=domain)
    ctl = Gatepostctl(site.folder.file(f"large-{domain}.conf"), {"store": server.url})
    run = ctl.run("lint")
    assert run.status == 1 and run.out.count("too large") == 1, run
    assert f"account:fat@{domain}" in run.out
    assert server.command_count("hlen") == 2
    assert server.command_count("hgetall") == 2     # that of a, and of nobody: are changes reported?
    assert "too large" in ctl.do("account", "show", f"fat@{domain}").out
    assert server.command_count("hgetall") == 2
    assert "too large" in ctl.run("explain", "--ip", "192.0.2.1", "--from", f"fat@{domain}").out
    assert ctl.do("export").out.count("\n") == 20001
    ctl.do("ip", "remove", f"fat@{domain}", "10.0.0.0")
    assert server.cli("HLEN", f"gatepost:account:fat@{domain}") == "19999"
    ctl.do("account", "delete", f"fat@{domain}")
    assert ctl.do("lint").out.count("too large") == 0
    server.cli("ACL", "SETUSER", "default", "-hlen")
    assert "protocol:smtp off" in ctl.do("export").out


@pytest.mark.parametrize("name, event", [
    ("nonsense{}-{}-{}", "policy-unknown-field"), ("ip:none{}-{}-{}", "policy-malformed")])
def test_what_one_look_up_logs(server, start_gatepost, milter_session, domain, name, event):
    fill(server, f"account:odd@{domain}", 5000, name=name)
    gatepost = start_gatepost({**BARE, "store": server.url, "cache_entries": 0})
    gatepost.remember()
    Asker(milter_session(gatepost)).ask(f"odd@{domain}")
    gatepost.wait_log(f"event={event}", "4990 more fields")
    assert len(gatepost.events(event)) == 11
