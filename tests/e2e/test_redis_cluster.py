"""A store in a Redis Cluster: each account is judged by the node that has it, wherever that is."""

import itertools
import re
import time
from statistics import median

import pytest

from support import policy
from support.gatepostctl import Gatepostctl, account_shown
from support.policy_asker import Asker, Load
from support.process import wait_until
from support.redis_login import acl_of_the_package, password_file
from support.redis_server import ask

TIMEOUT = 0.3
MARGIN = 1.0
BARE = {"store_timeout": "300ms", "trusted": [], "network": {},
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"
LISTED = ("ip:192.0.2.10", "")      # whoever is on needs no SPF
UNAVAILABLE = "451 4.3.0"


@pytest.fixture(params=[0, 1000], ids=["plain", "cached"])
def start(request, start_gatepost):
    """A function (cluster, settings): a running filter on that cluster."""
    def start_on(cluster, **settings):
        gatepost = start_gatepost({**BARE, "store": cluster.url, "cache_entries": request.param,
                                   **settings})
        gatepost.remember()
        return gatepost
    return start_on


@pytest.fixture
def asker_of(milter_session):
    return lambda gatepost: Asker(milter_session(gatepost))


def key_of(sender):
    return f"gatepost:account:{sender}"


def switch(cluster, sender, state):
    cluster.cli("HSET", key_of(sender), "protocol:smtp", state, *LISTED)


def accounts_on(cluster, node, domain, count=1, name="u"):
    """Senders whose keys are served by that node."""
    found = []
    number = 0
    while len(found) < count:
        sender = f"{name}{number}@{domain}"
        if cluster.owner_of(cluster.slot_of(key_of(sender))) is node:
            found.append(sender)
        number += 1
    return found


def subjects_elsewhere(cluster, node, domain):
    """Whether the domain and everybody, whom each look-up asks for, are not on that node."""
    return all(cluster.owner_of(cluster.slot_of(f"gatepost:account:{subject}")) is not node
               for subject in (f"@{domain}", "*"))


def test_accounts_all_over_the_cluster(make_cluster, start, asker_of, domain):
    cluster = make_cluster()
    gatepost = start(cluster)
    asker = asker_of(gatepost)
    senders = [sender for node in cluster.masters
               for sender in accounts_on(cluster, node, domain, 6)]
    for number, sender in enumerate(senders):
        switch(cluster, sender, "off" if number % 2 else "on")
    for _ in range(2):
        for number, sender in enumerate(senders):
            assert asker.ask(sender).startswith(OFF if number % 2 else "")
    cluster.cli("HSET", f"gatepost:account:@{domain}", "protocol:smtp", "off")
    asker.wait_for(f"unheard@{domain}", OFF)
    cluster.cli("HSET", "gatepost:account:*", "protocol:smtp", "off")
    cluster.cli("HSET", f"gatepost:account:@{domain}", "protocol:smtp", "on")
    asker.wait_for(f"unheard@{domain}", "")
    for event in ("store-error", "store-down", "store-watch-lost", "store-cluster-error"):
        assert not gatepost.events(event)


def test_a_change_on_each_node_is_obeyed(make_cluster, start, asker_of, domain):
    cluster = make_cluster()
    gatepost = start(cluster)
    asker = asker_of(gatepost)
    longest = 0
    for node in cluster.masters:
        sender, = accounts_on(cluster, node, domain)
        for _ in range(10):
            for state, reply in (("off", OFF), ("on", "")):
                switch(cluster, sender, state)
                longest = max(longest, asker.wait_for(sender, reply, 2))
    print(f"\nlongest from change to obeyed, redis-cli aside: {longest * 1000:.1f} ms")


def test_networks_in_a_cluster(make_cluster, start_gatepost, milter_session, domain):
    cluster = make_cluster()
    for number in range(6):
        cluster.cli("HSET", f"gatepost:network:n{number}", f"192.0.2.{number}", "")
    gatepost = start_gatepost({**BARE, "store": cluster.url,
                               "trusted": [f"n{number}" for number in range(6)]})
    for number in range(6):
        Asker(milter_session(gatepost, address=f"192.0.2.{number}")).ask(f"x@{domain}")
        gatepost.verdict(client=f"192.0.2.{number}", reason="trusted")


@pytest.mark.concurrent
def test_a_slot_moves_under_load(make_cluster, start, asker_of, domain):
    """Keys go one by one to another node, and to one that had no slot before, with writes going on:
    no answer is wrong, and each write is obeyed."""
    cluster = make_cluster(spare=1)
    gatepost = start(cluster)
    # "{tag}" keeps them in one slot
    names = [f"{{{domain}}}{number}@{domain}" for number in range(6)]
    for number, name in enumerate(names):
        switch(cluster, name, "off" if number % 2 else "on")
    slot = cluster.slot_of(key_of(names[0]))
    asker = asker_of(gatepost)
    expected = {name: OFF if number % 2 else "" for number, name in enumerate(names)}
    for name, reply in expected.items():
        asker.wait_for(name, reply)
    load = Load(gatepost, expected).start()
    mine = f"{{{domain}}}mine@{domain}"
    states = iter(range(1000))
    longest = 0

    def write_and_ask():
        nonlocal longest
        state, reply = (("off", OFF), ("on", ""))[next(states) % 2]
        switch(cluster, mine, state)
        longest = max(longest, asker.wait_for(mine, reply, 5))

    cluster.join(cluster.spare[0])
    for target in (cluster.spare[0], cluster.masters[0], cluster.masters[1]):
        if cluster.owner_of(slot) is target:
            continue
        cluster.move_slot(slot, target, write_and_ask)
        write_and_ask()
    load.stop()
    print(f"\nslot moved: {load.summary()}, longest from a write to obeyed "
          f"{longest * 1000:.0f} ms")
    assert not load.wrong
    assert max(load.waits) < TIMEOUT + MARGIN
    assert longest < 1


def offset(node, name):
    """How far the node's replication has come."""
    return int(re.search(name + r":(\d+)", ask(node.port, "INFO", "replication")).group(1))


@pytest.mark.concurrent
def test_a_master_dies_under_load(make_cluster, start, asker_of, domain):
    cluster = make_cluster(replicas=1)
    victim = cluster.masters[0]
    gatepost = start(cluster)
    asker = asker_of(gatepost)
    *there, later = accounts_on(cluster, victim, domain, 5, "v")
    elsewhere = accounts_on(cluster, cluster.masters[1], domain, 4, "w")
    expected = {}
    for number, sender in enumerate([*there, *elsewhere]):
        switch(cluster, sender, "off" if number % 2 else "on")
        expected[sender] = OFF if number % 2 else ""
        asker.wait_for(sender, expected[sender])
    replica = cluster.replicas[0]
    written = offset(victim, "master_repl_offset")
    wait_until(lambda: offset(replica, "slave_repl_offset") >= written, 20, "a true replica")
    load = Load(gatepost, expected).start()
    with cluster.attentive():
        killed = time.monotonic()
        victim.kill()
        wait_until(lambda: ask(replica.port, "ROLE").startswith("master"), 20, "it takes over")
        elected = time.monotonic()
    wait_until(lambda: ask(replica.port, "HSET", key_of(later), "protocol:smtp", "off") == "1", 20,
               "the new master takes writes")
    written = time.monotonic()
    asker.wait_for(later, OFF)
    obeyed = time.monotonic()
    load.stop()
    print(f"\nmaster killed: replaced after {elected - killed:.2f} s, writable "
          f"{written - elected:.2f} s later, obeyed {obeyed - written:.2f} s after that; "
          f"{load.summary()}")
    assert not load.wrong
    assert max(load.waits) < TIMEOUT + MARGIN
    assert obeyed - written < 1 + MARGIN
    if subjects_elsewhere(cluster, replica, domain):
        assert not set(load.deferred) & set(elsewhere)
    # the old one comes back as a replica
    victim.start()
    wait_until(lambda: ask(victim.port, "ROLE").startswith("slave"), 60, "a replica now")
    switch(cluster, later, "on")
    asker.wait_for(later, "")


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_node_that_is_down_leaves_the_others(make_cluster, start_gatepost, asker_of, domain,
                                               how):
    cluster = make_cluster()
    victim = next(node for node in cluster.masters
                  if subjects_elsewhere(cluster, node, domain))
    gatepost = start_gatepost({**BARE, "store": cluster.url, "cache_entries": 0})
    gatepost.remember()
    asker = asker_of(gatepost)
    there, = accounts_on(cluster, victim, domain)
    elsewhere, = accounts_on(cluster, next(node for node in cluster.masters
                                           if node is not victim), domain)
    for sender in (there, elsewhere):
        switch(cluster, sender, "off")
        asker.wait_for(sender, OFF)
    asker.waits.clear()
    getattr(victim, how)()
    for _ in range(10):
        assert asker.ask(there).startswith(UNAVAILABLE)
    assert max(asker.waits) < TIMEOUT + MARGIN
    assert median(asker.waits) < TIMEOUT / 2
    asker.waits.clear()
    for _ in range(10):
        assert asker.ask(elsewhere).startswith(OFF)
    assert median(asker.waits) < TIMEOUT / 2
    assert f":{victim.port}" in gatepost.wait_log("event=store-down")
    assert len(gatepost.events("store-down")) == 1  # and nobody else is taken for down
    victim.resume() if how == "freeze" else victim.start()
    recovery = asker.wait_for(there, OFF) if how == "freeze" else 0
    print(f"\n{how}: recovery {recovery * 1000:.0f} ms")
    assert recovery < 1 + MARGIN


def test_password_and_user(site, make_cluster, start, asker_of, domain):
    cluster = make_cluster(directives=[acl_of_the_package("least")])
    gatepost = start(cluster, store_user="gatepost",
                     store_password_file=password_file(site, "password-" + domain, "least"))
    asker = asker_of(gatepost)
    gatepost.wait_log("event=policy-empty")
    switch(cluster, f"off@{domain}", "off")
    asker.wait_for(f"off@{domain}", OFF)
    for event in ("store-error", "store-down", "store-watch-lost", "store-not-watched"):
        assert not gatepost.events(event)
    assert len(gatepost.events("policy-empty")) == 1


def test_a_password_that_all_nodes_want(site, make_cluster, start, asker_of, domain):
    """It is changed on one node after the other, the file somewhere in between."""
    cluster = make_cluster(password="first")
    path = password_file(site, "password-" + domain, "wrong")
    gatepost = start(cluster, store_password_file=path)
    asker = asker_of(gatepost)
    gatepost.wait_log("event=store-cluster-error", "WRONGPASS", "store_password_file")
    assert asker.ask(f"x@{domain}").startswith(UNAVAILABLE)
    password_file(site, "password-" + domain, "first")
    senders = [f"u{number}@{domain}" for number in range(5)]
    states = itertools.cycle([("off", OFF), ("on", "")])

    def check_obeyed(state, reply):
        for sender in senders:
            switch(cluster, sender, state)
        return max(asker.wait_for(sender, reply) for sender in senders)

    assert check_obeyed(*next(states)) < 1 + MARGIN
    for node in cluster.masters:
        node.cli("CONFIG", "SET", "requirepass", "second")
        node.password = "second"
        for kind in ("normal", "pubsub"):
            node.cli("CLIENT", "KILL", "TYPE", kind)
        if node is cluster.masters[1]:
            gatepost.wait_log("event=store-down", "WRONGPASS", f":{node.port}")
            password_file(site, "password-" + domain, "second")
    cluster.password = "second"
    recovery = check_obeyed(*next(states))
    print(f"\npassword changed everywhere: recovery {recovery * 1000:.0f} ms")
    assert recovery < 1 + MARGIN
    assert check_obeyed(*next(states)) < 1
    assert max(asker.waits) < TIMEOUT + MARGIN
    assert not [line for line in gatepost.log_lines() if "second" in line or "first" in line]


def test_gatepostctl(make_cluster, site, domain):
    cluster = make_cluster()
    for node in cluster.masters:
        sender, = accounts_on(cluster, node, domain)
        cluster.cli("HSET", key_of(sender), "protocol:smtp", "off")
        shown = account_shown(site, cluster.url, sender)
        assert shown["protocols"]["smtp"]["subject"] == f"account:{sender}"
    ctl = Gatepostctl(site.folder.file("gatepostctl.conf"), {"store": cluster.url})
    run = ctl.run("explain", "--ip", "192.0.2.1", "--from", sender)
    assert run.status == 5 and f"{key_of(sender)} protocol:smtp" in run.out


def test_no_cluster_at_all(redis, start_gatepost, asker_of, domain):
    gatepost = start_gatepost({**BARE, "store": f"redis+cluster://127.0.0.1:{redis.port}"})
    gatepost.remember()
    asker = asker_of(gatepost)
    assert asker.ask(f"x@{domain}").startswith(UNAVAILABLE)
    assert max(asker.waits) < TIMEOUT + MARGIN
    gatepost.wait_log("event=store-cluster-error", "use redis://")


def test_a_cluster_that_is_taken_for_one_server(make_cluster, start_gatepost, asker_of, domain):
    cluster = make_cluster()
    gatepost = start_gatepost({**BARE, "store": cluster.masters[0].url})
    gatepost.remember()
    asker = asker_of(gatepost)
    assert asker.ask(f"x@{domain}").startswith(UNAVAILABLE)
    gatepost.wait_log("event=store-error", "MOVED", "use redis+cluster://")
