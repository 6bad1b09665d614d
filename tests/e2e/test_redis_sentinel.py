"""A store that Sentinels name: the filter goes with the master, and with nobody else."""

import socket
import time

import pytest

from support import policy
from support.fake_redis import FakeRedis
from support.gatepostctl import Gatepostctl, account_shown
from support.policy_asker import Asker, Load
from support.process import wait_until
from support.redis_sentinel import SentinelGroup
from support.redis_server import RedisServer, ask
from support.settings import Settings

TIMEOUT = 0.3
MARGIN = 1.0
BARE = {"store_timeout": "300ms", "trusted": [], "network": {},
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"
LISTED = ("ip:192.0.2.10", "")      # whoever is on needs no SPF


@pytest.fixture
def group(request, site, domain):
    servers = SentinelGroup(site.folder.sub("sentinel-" + domain))
    try:
        servers.start()
        request.node.server_log = servers.log_text
        yield servers
    finally:
        servers.stop()


@pytest.fixture(params=[0, 1000], ids=["plain", "cached"])
def gatepost(request, start_gatepost, group):
    instance = start_gatepost({**BARE, "store": group.url, "cache_entries": request.param})
    instance.remember()
    return instance


@pytest.fixture
def asker(gatepost, milter_session):
    return Asker(milter_session(gatepost))


@pytest.fixture
def stranger(site, domain):
    """A Redis that is none of the group's."""
    server = RedisServer(site.folder.sub("stranger-" + domain)).start()
    yield server
    server.stop()


def switch(server, sender, state):
    server.cli("HSET", f"gatepost:account:{sender}", "protocol:smtp", state, *LISTED)


@pytest.mark.concurrent
def test_failover(group, gatepost, asker, domain):
    old = group.master()
    policy.load(old, "account:off@{d} protocol:smtp off\naccount:on@{d} ip:192.0.2.10", d=domain)
    assert asker.ask(f"off@{domain}").startswith(OFF)
    load = Load(gatepost, {f"off@{domain}": OFF, f"on@{domain}": ""}).start()
    killed = time.monotonic()
    new = group.kill_master()
    elected = time.monotonic()
    gatepost.wait_log("event=store-master", f":{new.port}")
    gatepost.wait_log("event=store-watched")
    switch(new, f"later@{domain}", "off")
    asker.wait_for(f"later@{domain}", OFF)
    obeyed = time.monotonic()
    load.stop()
    print(f"\nfailover: new master after {elected - killed:.2f} s, obeyed "
          f"{obeyed - elected:.2f} s later; {load.summary()}")
    if load.last_deferral:
        print(f"last deferral {load.last_deferral - elected:+.2f} s after the election")
    assert not load.wrong
    assert max(load.waits) < TIMEOUT + MARGIN
    assert obeyed - elected < 1 + MARGIN

    # the old master comes back, and is a replica soon; it must not be asked
    gatepost.forget()
    old.start()
    wait_until(lambda: ask(old.port, "ROLE").startswith("slave"), 30, "old master is a replica")
    assert group.master() is new
    switch(new, f"later@{domain}", "on")
    asker.wait_for(f"later@{domain}", "")
    assert not [line for line in gatepost.log_lines() if "event=store-master" in line]
    clients = old.cli("CLIENT", "LIST")
    assert "hgetall" not in clients and "subscribe=__redis__" not in clients


@pytest.mark.parametrize("gatepost", [1000], indirect=True, ids=["cached"])
def test_planned_failover(group, gatepost, asker, domain):
    """SENTINEL FAILOVER: the old master lives on as a replica."""
    old = group.master()
    policy.load(old, "account:off@{d} protocol:smtp off\naccount:on@{d} ip:192.0.2.10", d=domain)
    load = Load(gatepost, {f"off@{domain}": OFF, f"on@{domain}": ""}).start()
    for _ in range(2):
        old = group.master()
        began = time.monotonic()
        group.sentinels[1].ask("SENTINEL", "FAILOVER", group.NAME)
        new = group.another_master(old)
        switched = time.monotonic()
        switch(new, f"later@{domain}", "off")
        asker.wait_for(f"later@{domain}", OFF)
        print(f"\nplanned: {switched - began:.2f} s, obeyed {time.monotonic() - switched:.2f} s "
              "later")
        wait_until(lambda: ask(old.port, "ROLE").startswith("slave"), 30, "demoted")
        switch(new, f"later@{domain}", "on")
        asker.wait_for(f"later@{domain}", "")
        wait_until(lambda: all(s.knows(2, 3) and s.settled() for s in group.sentinels), 20,
                   "the group in order")
    load.stop()
    print(load.summary())
    assert not load.wrong
    assert max(load.waits) < TIMEOUT + MARGIN


def test_sentinels_come_and_go(group, gatepost, asker, domain):
    """The master serves on without any of them; a change of it needs one that is alive."""
    policy.load(group.master(), "account:off@{d} protocol:smtp off", d=domain)
    assert asker.ask(f"off@{domain}").startswith(OFF)
    group.sentinels[0].kill()
    assert asker.ask(f"off@{domain}").startswith(OFF)
    new = group.kill_master()
    switch(new, f"other@{domain}", "off")
    asker.wait_for(f"other@{domain}", OFF)
    for sentinel in group.sentinels:
        sentinel.kill()
    gatepost.wait_log("event=store-sentinel-error")
    switch(new, f"other@{domain}", "on")
    asker.wait_for(f"other@{domain}", "")
    # one line for all the attempts that follow
    with socket.create_server(("127.0.0.1", group.sentinels[0].port)) as hangs_up:
        hangs_up.settimeout(10)
        for attempt in range(10):
            hangs_up.accept()[0].close()
            if attempt == 4:
                told = gatepost.events("store-sentinel-error")
    assert told and gatepost.events("store-sentinel-error") == told


def test_a_sentinel_that_is_behind(group, gatepost, asker, domain):
    """One that missed a failover names the master before it, until others tell it."""
    old, absent, others = group.master(), group.sentinels[2], group.sentinels[:2]
    asker.wait_for(f"other@{domain}", "")
    absent.kill()
    new = group.kill_master()
    switch(new, f"other@{domain}", "off")
    asker.wait_for(f"other@{domain}", OFF)
    for sentinel in others:
        sentinel.kill()
    absent.start()
    gatepost.wait_log("event=store-sentinel-error", f"it still names 127.0.0.1:{old.port}")
    for state, reply in (("on", ""), ("off", OFF)):
        switch(new, f"other@{domain}", state)
        asker.wait_for(f"other@{domain}", reply)


@pytest.mark.parametrize("gatepost", [1000], indirect=True, ids=["cached"])
def test_a_master_named_anew(group, gatepost, asker, stranger, domain):
    """SENTINEL REMOVE and MONITOR: the epochs begin anew, and most Sentinels agree."""
    group.sentinels[1].ask("SENTINEL", "FAILOVER", group.NAME)
    second = group.another_master(group.servers[0])
    gatepost.wait_log("event=store-master", f":{second.port}")
    asker.wait_for(f"x@{domain}", "")
    switch(stranger, f"x@{domain}", "off")
    for sentinel in group.sentinels:
        assert sentinel.ask("SENTINEL", "REMOVE", group.NAME) == "OK"
    for sentinel in group.sentinels[1:]:
        assert sentinel.ask("SENTINEL", "MONITOR", group.NAME, stranger.host, stranger.port,
                            2) == "OK"
    asker.wait_for(f"x@{domain}", OFF)
    switch(stranger, f"x@{domain}", "on")
    asker.wait_for(f"x@{domain}", "")


class _Sentinel(FakeRedis):
    """One that names this master, in a configuration of this epoch."""

    def __init__(self, name, port, epoch):
        super().__init__()
        self._name = name
        self.says(port, epoch)

    def says(self, port, epoch):
        self.replies = {
            ("SENTINEL", "get-master-addr-by-name", self._name): ["127.0.0.1", str(port)],
            ("SENTINEL", "MASTER", self._name): ["config-epoch", str(epoch)]}


def test_most_sentinels_agree_wherever_they_stand(site, stranger, start_gatepost, milter_session,
                                                  domain):
    """Their epochs have begun anew. One that does not answer and one that differs stand between."""
    old, third = (RedisServer(site.folder.sub(f"{name}-{domain}")).start()
                  for name in ("old", "third"))
    sentinels = [_Sentinel("policy", old.port, 9) for _ in range(7)]
    try:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        gatepost = start_gatepost({**BARE, "cache_entries": 0,
                                   "store": f"redis+sentinel://{hosts}/policy"})
        gatepost.remember()
        asker = Asker(milter_session(gatepost))
        asker.wait_for(f"x@{domain}", "")
        switch(stranger, f"x@{domain}", "off")
        sentinels[1].stop()
        for number, server in enumerate((stranger, None, stranger, third, stranger, third, third)):
            if server:
                sentinels[number].says(server.port, 1)
        gatepost.wait_log("event=store-sentinel-error", "does not know of the last failover")
        assert asker.ask(f"x@{domain}") == ""       # three of seven agree, and three others
        sentinels[6].says(stranger.port, 1)
        asker.wait_for(f"x@{domain}", OFF)
        line, = gatepost.events("store-master")
        assert f":{stranger.port}" in line
    finally:
        for server in (*sentinels, old, third):
            server.stop()


def test_gatepostctl(group, site, domain):
    policy.load(group.master(), "account:off@{d} protocol:smtp off", d=domain)
    shown = account_shown(site, group.url, f"off@{domain}")
    assert shown["protocols"]["smtp"]["value"] == "off"
    group.sentinels[0].kill()
    assert account_shown(site, group.url, f"off@{domain}") == shown
    ctl = Gatepostctl(site.folder.file("gatepostctl.conf"), {"store": group.url})
    ctl.do("protocol", "on", f"off@{domain}", "smtp")
    assert ctl.do("export").out == f"account:off@{domain} protocol:smtp on\n"
    assert [entry["new"] for entry in ctl.json("history")] == ["on"]


def test_no_sentinel_knows_the_name(group, start_gatepost, milter_session, domain):
    gatepost = start_gatepost({**BARE, "store": group.url.replace(group.NAME, "nobody")})
    gatepost.remember()
    asker = Asker(milter_session(gatepost))
    for _ in range(5):
        assert asker.ask(f"x@{domain}").startswith("451 4.3.0")
    assert max(asker.waits) < TIMEOUT + MARGIN
    gatepost.wait_log("knows no master named nobody")


def test_gatepost_settings(group, site, domain):
    """What users set is written to the master that the Sentinels name. The old one takes commands
    for some seconds more, and forgets what they have done."""
    one = Settings(site.folder.sub("settings-sentinel-" + domain),
                   {**BARE, "store": group.url, "store_timeout": "2s", "record_use": True}).start()
    alice = one.user(f"alice@{domain}")
    try:
        for switched in (lambda: group.another_master(old), group.kill_master):
            old = group.master()
            alice.change({"protocols": {"sieve": "off"}})
            number = alice.make_password("caldav").json()["id"]
            wait_until(lambda: all(number in server.cli("HVALS", f"gatepost-password:alice@{domain}")
                                   for server in group.servers), 30, "all replicas have it")
            if switched is not group.kill_master:
                group.sentinels[0].ask("SENTINEL", "FAILOVER", group.NAME)
            new = switched()
            tag = wait_until(lambda: alice.ask("GET", "/v1/accounts/me").headers.get("etag"), 20)
            assert alice.change({"protocols": {"sieve": None}}, If_Match=tag)
            assert new.cli("EXISTS", f"gatepost-self:alice@{domain}") == "0"
            assert alice.get()["protocols"]["sieve"]["status"] == "on"
            assert alice.revoke(number).status == 204 and alice.passwords() == []
            assert new.cli("EXISTS", f"gatepost-password:alice@{domain}") == "0"
    finally:
        assert one.stop() == 0
