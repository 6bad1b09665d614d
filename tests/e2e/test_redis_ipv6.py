"""Redis at an IPv6 address: one server, Sentinels with their master, and a cluster."""

import pytest

from support import policy
from support.gatepostctl import Gatepostctl, account_shown
from support.policy_asker import Asker
from support.process import wait_until
from support.redis_cluster import RedisCluster
from support.redis_sentinel import SentinelGroup
from support.redis_server import RedisServer

TIMEOUT = 0.3
MARGIN = 1.0
RECOVERY = 1.0 + MARGIN
BARE = {"store_timeout": "300ms", "trusted": [], "network": {}, "cache_entries": 1000,
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"
UNAVAILABLE = "451 4.3.0"
LISTED = ("ip:192.0.2.10", "")      # whoever is on needs no SPF
HOST = "::1"


@pytest.fixture
def run(site, domain):
    """A function (class of servers, arguments...): them, stopped at the end."""
    made = []

    def run_servers(kind, *args, **arguments):
        made.append(kind(site.folder.sub("v6-" + domain), *args, host=HOST, **arguments))
        return made[-1].start()

    yield run_servers
    for servers in made:
        servers.stop()


@pytest.fixture
def start(start_gatepost, milter_session):
    """A function (store URL): a running filter on that store, and an Asker."""
    def start_on(url):
        assert "[::1]" in url
        gatepost = start_gatepost({**BARE, "store": url})
        gatepost.remember()
        return gatepost, Asker(milter_session(gatepost))
    return start_on


def check_obeyed(cli, asker, sender):
    for state, reply in (("off", OFF), ("on", ""), ("off", OFF)):
        cli("HSET", f"gatepost:account:{sender}", "protocol:smtp", state, *LISTED)
        assert asker.wait_for(sender, reply) < RECOVERY


def check_no_trouble(gatepost):
    for event in ("store-error", "store-down", "store-watch-lost", "store-not-watched",
                  "store-sentinel-error", "store-cluster-error"):
        assert not [line for line in gatepost.log_lines() if f"event={event} " in line]


def test_one_server(run, start, site, domain):
    redis = run(RedisServer, persist=True)
    gatepost, asker = start(redis.url)
    check_obeyed(redis.cli, asker, f"off@{domain}")
    check_no_trouble(gatepost)
    ctl = Gatepostctl(site.folder.file("v6.conf"), {"store": redis.url})
    ctl.do("protocol", "on", f"off@{domain}", "smtp")
    asker.wait_for(f"off@{domain}", "")
    redis.kill()
    asker.wait_for(f"cold@{domain}", UNAVAILABLE)
    assert f"server=[::1]:{redis.port} " in gatepost.wait_log("event=store-down", "refused")
    policy_of = ctl.run("account", "show", f"off@{domain}")
    assert policy_of.status == 2 and "refused" in policy_of.err
    redis.start()
    check_obeyed(redis.cli, asker, f"off@{domain}")


def test_sentinels(run, start, site, domain):
    group = run(SentinelGroup, 1, 2)
    old = group.master()
    policy.load(old, "account:off@{d} protocol:smtp off", d=domain)
    gatepost, asker = start(group.url)
    asker.wait_for(f"off@{domain}", OFF)
    shown = account_shown(site, group.url, f"off@{domain}")
    assert shown["protocols"]["smtp"]["value"] == "off"
    wait_until(lambda: group.sentinels[0].ask("SENTINEL", "FAILOVER", group.NAME) == "OK", 20)
    group.another_master(old)
    gatepost.wait_log("event=store-master", f"server=[::1]:{group.master().port}")
    check_obeyed(group.master().cli, asker, f"later@{domain}")
    assert max(asker.waits) < TIMEOUT + MARGIN


def test_a_cluster(run, start, site, domain):
    cluster = run(RedisCluster, spare=1)
    assert "::1" in cluster.masters[0].cli("CLUSTER", "SLOTS")
    gatepost, asker = start(cluster.url)
    owners = set()
    senders = [f"{{{domain}-{number}}}@{domain}" for number in range(60)]
    for sender in senders:
        if len(owners) < 3:
            owner = cluster.owner_of(cluster.slot_of(f"gatepost:account:{sender}"))
            if owner not in owners:
                check_obeyed(cluster.cli, asker, sender)
                owners.add(owner)
    assert len(owners) == 3
    check_no_trouble(gatepost)
    shown = account_shown(site, cluster.url, sender)
    assert shown["account"] == sender
    # a slot moves to a node that the filter has not heard of
    sender = senders[0]
    slot = cluster.slot_of(f"gatepost:account:{sender}")
    cluster.join(cluster.spare[0])
    cluster.move_slot(slot, cluster.spare[0], lambda: asker.wait_for(sender, OFF))
    check_obeyed(cluster.cli, asker, sender)
    clients = cluster.spare[0].cli("CLIENT", "LIST")
    assert "hgetall" in clients
    cluster.spare[0].kill()
    asker.wait_for(f"{{{domain}-0}}cold@{domain}", UNAVAILABLE)
    gatepost.wait_log("event=store-error", f"node [::1]:{cluster.spare[0].port}: ")
