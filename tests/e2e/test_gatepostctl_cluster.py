"""gatepostctl on a Redis Cluster: what is particular to that, and what happens when it moves.

That it does there what it does elsewhere is in test_gatepostctl.py and test_operators_day.py.
"""

import itertools
import json
import os
import re
import threading
import time

import pytest

from support.gatepostctl import Gatepostctl
from support.policy_asker import Asker
from support.process import wait_until
from support.redis_server import ask

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "../..")
SETTINGS = {"default_domain": "example.com", "trusted": [], "network": {},
            "listener": {"mx": {"service": "smtp"}, "submission": {"service": "submission",
                                        "unknown_login": "accept"}}}


@pytest.fixture
def ctl_of(site, domain):
    """A function (cluster, **settings): gatepostctl on that cluster."""
    made = []

    def make(cluster, **settings):
        made.append(cluster)
        return Gatepostctl(site.folder.file(f"ctl-{domain}-{len(made)}.conf"),
                           {**SETTINGS, "store": cluster.url, **settings})
    return make


def owner(cluster, subject, prefix="gatepost:"):
    return cluster.owner_of(cluster.slot_of(prefix + subject))


def accounts_on(cluster, node, count, domain):
    """Accounts whose keys are served by that node."""
    names = (f"u{number}@{domain}" for number in range(10000))
    there = (name for name in names if owner(cluster, f"account:{name}") is node)
    return [next(there) for _ in range(count)]


def facts(ctl, *pattern):
    return ctl.do("export", *pattern).out.splitlines()


def changes(ctl, *args):
    return [(entry["subject"], entry["field"], entry["old"], entry["new"])
            for entry in ctl.json("history", *args)]


def edited(ctl):
    """What `lint --since` says was changed past gatepostctl."""
    found = ctl.run("lint", "--since", "1h", "--json").json()["findings"]
    return {(f["subject"], f["field"]) for f in found if f["kind"] == "edited"}


def count_reads(cluster):
    """How often the masters have read from connections: about the round trips."""
    return sum(int(re.search(r"total_reads_processed:(\d+)", info).group(1))
               for info in cluster.each("INFO", "stats"))


def thousands(domain, count):
    return [f"account:u{number}@{domain} {fact}" for number in range(count)
            for fact in (f"ip:10.0.{number >> 8}.{number & 255} host {number}", "tls required")]


# ---- many ----

def test_thousands_there_and_back(make_cluster, ctl_of, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    lines = thousands(domain, 10000)
    before = count_reads(cluster)
    told = ctl.json("import", text="\n".join(lines))
    assert (told["written"], told["fields_set"], told["refused"]) == (10000, 20000, 0)
    assert count_reads(cluster) - before < 2000, "not a round trip for each account"
    assert all(int(size) > 2500 for size in cluster.each("DBSIZE")), "they are all over it"
    exported = ctl.do("export").out
    assert sorted(exported.splitlines()) == sorted(lines)
    assert ctl.do("lint", "--since", "1h").out == ""
    cluster.each("FLUSHALL")
    assert facts(ctl) == []
    ctl.do("import", text=exported)
    assert ctl.do("export").out == exported
    assert ctl.json("import", text=exported)["unchanged"] == 10000


def test_names_with_braces(make_cluster, ctl_of, domain):
    """Braces are good in local parts, and decide about the slot."""
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    names = [f"{{a}}{domain}@x.example", f"{{}}b@{domain}", f"c{{a}}@{domain}", f"{{a@{domain}",
             f"a}}{{b}}@{domain}", f"{{history}}@{domain}"]
    for name in names:
        ctl.do("tls", "required", name)
        ctl.do("ip", "add", name, "192.0.2.1", "a note")
    assert len(facts(ctl)) == 2 * len(names)
    assert len(changes(ctl)) == 2 * len(names)
    assert edited(ctl) == set()
    for name in names:
        assert len(changes(ctl, f"account:{name}")) == 2
        ctl.do("account", "delete", name)
    assert facts(ctl) == []


def test_all_in_one_slot(make_cluster, ctl_of, domain):
    """With braces in key_prefix the history is written with the change, as on one Redis."""
    cluster = make_cluster()
    ctl = ctl_of(cluster, key_prefix="{gatepost}:")
    lines = thousands(domain, 300)
    ctl.do("import", text="\n".join(lines))
    assert sorted(facts(ctl)) == sorted(lines)
    ctl.do("tls", "optional", f"u7@{domain}")
    assert ctl.do("lint", "--since", "1h").out == "", "that the other masters have none is right"
    node = owner(cluster, "history", "{gatepost}:")
    entry = node.cli("XREVRANGE", "{gatepost}:history", "+", "-", "COUNT", "1")
    assert "state" in entry.split() and "at" not in entry.split()
    assert node.command_count("exec") == 301


# ---- two writers ----

def test_two_writers_at_one_subject(make_cluster, ctl_of, domain):
    """No change is lost, and the history has them in their order."""
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    alice = f"alice@{domain}"
    runs = []

    def work(number):
        for state in ("monitor", "enforce", "monitor", "enforce"):
            runs.append(ctl.run("mode", state, alice))
            runs.append(ctl.run("ip", "add", alice, f"192.0.2.{number}", state))

    writers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    for run in runs:
        assert run.status == 0 or "somebody else keeps changing it" in run.err, run
    found = changes(ctl)
    now = {}
    for _, field, old, new in found:
        assert now.get(field) == old, found
        now[field] = new
    assert edited(ctl) == set()
    assert facts(ctl) == [f"account:{alice} {field} {value}"
                          for field, value in sorted(now.items())]


def test_the_second_writer_was_faster_with_the_history(make_cluster, ctl_of, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    for state in ("required", "optional", "required"):
        ctl.do("tls", state, f"alice@{domain}")
    was = changes(ctl)
    entries = json.loads(cluster.cli("--json", "XRANGE", "gatepost:history", "-", "+"))
    cluster.cli("DEL", "gatepost:history")
    for _, words in (entries[2], entries[0], entries[1]):
        cluster.cli("XADD", "gatepost:history", "*", *words)
    assert changes(ctl) == was
    assert edited(ctl) == set()


def test_an_edit_past_gatepostctl_is_noticed(make_cluster, ctl_of, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    for name in ("alice", "bob"):
        ctl.do("tls", "required", f"{name}@{domain}")
    cluster.cli("HSET", f"gatepost:account:bob@{domain}", "tls", "optional")
    assert edited(ctl) == {(f"account:bob@{domain}", "tls")}


# ---- in motion ----

def test_a_slot_moves_while_it_is_written(make_cluster, ctl_of, domain):
    """Changed, added and removed before each key that moves; to a node that is a new member."""
    cluster = make_cluster(spare=1)
    ctl = ctl_of(cluster)
    tag = f"{{{domain}}}"
    old = [f"{tag}{number}@{domain}" for number in range(4)]
    for name in old:
        ctl.do("tls", "required", name)
    others = thousands(domain, 300)
    ctl.do("import", text="\n".join(others))
    slot = cluster.slot_of(f"gatepost:account:{old[0]}")
    wanted = {f"account:{name} tls required" for name in old} | set(others)
    calls, rounds = itertools.count(), itertools.count()

    def write_and_look():
        number = next(rounds)
        for name in (*old, f"{tag}new{number}@{domain}"):
            ctl.do("ip", "add", name, f"192.0.2.{number}", "on its way")
            wanted.add(f"account:{name} ip:192.0.2.{number} on its way")
        many = [f"account:{tag}m{number}-{n}@{domain} tls required" for n in range(30)]
        ctl.do("import", text="\n".join(many))
        wanted.update(many)
        ctl.do("account", "delete", f"{tag}m{number}-0@{domain}")
        wanted.remove(many[0])
        assert set(facts(ctl)) == wanted

    def at_times():
        """Each of the first few keys, and then some: what was added has to move as well."""
        call = next(calls)
        if call < 4 or call % 80 == 0:
            write_and_look()

    cluster.join(cluster.spare[0])
    for target in (cluster.spare[0], cluster.masters[0]):
        if cluster.owner_of(slot) is not target:
            cluster.move_slot(slot, target, at_times)
            write_and_look()
    assert edited(ctl) == set()


def test_the_one_slot_moves_while_it_is_written(make_cluster, ctl_of, domain):
    """Subject and history, one transaction, may be on two nodes for a while: then it is refused."""
    cluster = make_cluster()
    ctl = ctl_of(cluster, key_prefix="{gatepost}:")
    names = [f"u{number}@{domain}" for number in range(3)]
    for name in names:
        ctl.do("tls", "required", name)
    slot = cluster.slot_of("{gatepost}:history")
    source = cluster.owner_of(slot)
    target = next(node for node in cluster.masters if node is not source)
    states = {name: "required" for name in names}
    refused = []

    def write():
        for name in names:
            new = "optional" if states[name] == "required" else "required"
            run = ctl.run("tls", new, name)
            if run.status == 0:
                states[name] = new
            else:
                refused.append(run)
                assert run.status == 2 and "node 127.0.0.1:" in run.err, run
                assert "on its way" in run.err or "TRYAGAIN" in run.err, run

    cluster.move_slot(slot, target, write)
    assert refused
    before = len(refused)
    write()
    assert len(refused) == before
    assert set(facts(ctl)) == {f"account:{name} tls {state}" for name, state in states.items()}
    assert edited(ctl) == set()


def test_the_history_moves_while_it_is_written(make_cluster, ctl_of, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    slot = cluster.slot_of("gatepost:history")
    alice = f"alice@{domain}"
    written = []

    def write():
        written.append(f"192.0.2.{len(written)}")
        ctl.do("ip", "add", alice, written[-1])
        assert [field for _, field, _, _ in changes(ctl)] == [f"ip:{ip}" for ip in written]

    write()
    for target in cluster.masters:
        if cluster.owner_of(slot) is not target:
            cluster.move_slot(slot, target, write)
            write()
    assert edited(ctl) == set()


def test_a_slot_moves_under_an_import(make_cluster, ctl_of, domain):
    """In the middle of one run: the slot of all accounts goes round while they are imported."""
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    tag = f"{{{domain}}}"
    lines = [line.replace("account:", f"account:{tag}") for line in thousands(domain, 3000)]
    runs = []
    importing = threading.Thread(target=lambda: runs.append(
        ctl.run("import", text="\n".join(lines))))
    slot = cluster.slot_of(f"gatepost:account:{tag}u0@{domain}")
    importing.start()
    wait_until(lambda: int(cluster.owner_of(slot).cli("DBSIZE")) > 100, 20, "accounts")
    while importing.is_alive():
        here = cluster.masters.index(cluster.owner_of(slot))
        move_at_once(cluster, slot, cluster.masters[(here + 1) % 3])
    importing.join()
    assert runs[0].status == 0, runs
    assert sorted(facts(ctl)) == sorted(lines)
    assert edited(ctl) == set()


def move_at_once(cluster, slot, target):
    """As move_slot(), a thousand keys at a time."""
    source = cluster.owner_of(slot)
    target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
    source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
    while keys := source.cli("CLUSTER", "GETKEYSINSLOT", slot, 1000).split():
        source.cli("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source):
        node.cli("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(target))


# ---- a master is gone ----

def test_a_master_is_dead(make_cluster, ctl_of, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    recorder = owner(cluster, "history")
    victim = next(node for node in cluster.masters if node is not recorder)
    alive = next(node for node in cluster.masters if node not in (recorder, victim))
    gone, = accounts_on(cluster, victim, 1, domain)
    there, = accounts_on(cluster, alive, 1, domain)
    judged_by_others = all(owner(cluster, f"account:{name}") is not victim
                           for name in ("*", f"@{domain}"))
    ctl.do("tls", "required", gone)
    victim.kill()
    for args in (["tls", "optional", gone], ["account", "list"], ["export"], ["lint"], ["import"]):
        run = ctl.run(*args, text=f"account:{gone} tls optional\n")
        assert run.status == 2, run
        assert f":{victim.port}" in run.err and "refused" in run.err, run
    assert len(changes(ctl)) == 1
    run = ctl.run("tls", "required", there)
    assert run.status == (0 if judged_by_others else 2), run


def test_a_master_hangs(make_cluster, ctl_of, domain):
    """The first one that is asked who has what; whoever is on the others need not wait for it."""
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    victim = cluster.masters[0]
    place = next(name for name in (f"x{number}-{domain}" for number in range(1000))
                 if owner(cluster, f"account:@{name}") is not victim)
    for subject in ("account:*", "history"):
        if owner(cluster, subject) is victim:
            cluster.move_slot(cluster.slot_of("gatepost:" + subject), cluster.masters[1])
    hung, = accounts_on(cluster, victim, 1, place)
    there, = accounts_on(cluster, cluster.masters[1], 1, place)
    victim.freeze()
    ctl.do("tls", "required", there)
    assert ctl.do("history").out
    began = time.monotonic()
    run = ctl.run("tls", "required", hung)
    assert run.status == 2
    assert f"node 127.0.0.1:{victim.port}: no answer" in run.err, run
    assert time.monotonic() - began < 15
    victim.resume()
    ctl.do("tls", "required", hung)
    assert edited(ctl) == set()


def test_without_full_coverage(make_cluster, ctl_of, domain):
    """The cluster as it is by default: with one master gone no node serves."""
    cluster = make_cluster(directives=["cluster-require-full-coverage yes"])
    ctl = ctl_of(cluster)
    there, = accounts_on(cluster, cluster.masters[1], 1, domain)
    with cluster.attentive():
        cluster.masters[0].kill()
        wait_until(lambda: "CLUSTERDOWN" in ask(cluster.masters[1].port, "HGETALL",
                                                f"gatepost:account:{there}"), 20, "it is down")
    run = ctl.run("tls", "required", there)
    assert run.status == 2
    assert f"node 127.0.0.1:{cluster.masters[1].port}: CLUSTERDOWN" in run.err, run


def test_changed_but_not_in_the_history(make_cluster, ctl_of, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    recorder = owner(cluster, "history")
    elsewhere = next(node for node in cluster.masters if node is not recorder)
    # everything that a write looks at must be on the others: a domain of which that is so
    place = next(name for name in (f"x{number}-{domain}" for number in range(1000))
                 if owner(cluster, f"account:@{name}") is not recorder)
    if owner(cluster, "account:*") is recorder:
        cluster.move_slot(cluster.slot_of("gatepost:account:*"), elsewhere)
    alice, bob = accounts_on(cluster, elsewhere, 2, place)
    ctl.do("tls", "required", alice)
    recorder.cli("CONFIG", "SET", "appendonly", "yes")
    wait_until(lambda: {"aof_enabled:1", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0",
                        "aof_last_bgrewrite_status:ok"} <= set(
                            recorder.cli("INFO", "persistence").split()), 20, "saved")
    recorder.kill()

    run = ctl.run("tls", "optional", alice)
    assert run.status == 2
    assert f"account:{alice} tls: required -> optional" in run.out
    assert "changed, but not recorded in the history" in run.err
    assert f"node 127.0.0.1:{recorder.port}" in run.err
    run = ctl.run("mode", "monitor", alice, "--json")
    assert run.status == 2
    assert run.json()["changes"] and str(recorder.port) in run.json()["unrecorded"]
    run = ctl.run("import", text=f"account:{bob} tls required\n")
    assert run.status == 2
    assert "not all of it is recorded in the history" in run.err and "1 subjects were written" in run.err
    assert cluster.cli("HGET", f"gatepost:account:{alice}", "tls") == "optional"
    assert cluster.cli("HGET", f"gatepost:account:{bob}", "tls") == "required"

    recorder.start("--appendonly", "yes")
    cluster.wait_settled()
    assert changes(ctl) == [(f"account:{alice}", "tls", None, "required")]
    assert edited(ctl) == {(f"account:{alice}", "tls")}, "it is as if changed past gatepostctl"
    ctl.do("tls", "required", alice)


def test_a_master_dies_under_an_import(make_cluster, ctl_of, domain):
    """Each subject is there whole or not at all, and whoever looks knows which node it was."""
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    lines = thousands(domain, 20000)
    runs = []
    importing = threading.Thread(target=lambda: runs.append(
        ctl.run("import", text="\n".join(lines))))
    victim = next(node for node in cluster.masters if node is not owner(cluster, "history"))
    importing.start()
    wait_until(lambda: int(victim.cli("DBSIZE")) > 500, 20, "accounts")
    victim.kill()
    importing.join()
    assert runs[0].status == 2
    assert f":{victim.port}" in runs[0].err and "were written before" in runs[0].err, runs[0].err
    for node in cluster.masters:
        if node is not victim:
            for key in node.cli("KEYS", "gatepost:account:*").split()[:2000:20]:
                assert node.cli("HLEN", key) == "2"


def test_a_replica_is_not_asked(make_cluster, ctl_of, domain):
    """Neither one that always was, nor a master that has changed places with it."""
    cluster = make_cluster(replicas=1)
    ctl = ctl_of(cluster)
    replica, master = cluster.replicas[0], cluster.masters[0]
    lines = thousands(domain, 200)
    ctl.do("import", text="\n".join(lines))
    assert sorted(facts(ctl)) == sorted(lines)
    assert ctl.do("lint", "--since", "1h").out == ""
    assert replica.command_count("scan") == 0
    with cluster.attentive():
        replica.cli("CLUSTER", "FAILOVER")
        wait_until(lambda: ask(replica.port, "ROLE").startswith("master")
                   and ask(master.port, "ROLE").startswith("slave"), 20, "changed places")
    scans = master.command_count("scan")
    ctl.do("tls", "optional", f"u0@{domain}")
    assert len(facts(ctl)) == len(lines)
    assert ctl.do("lint", "--since", "1h").out == ""
    assert master.command_count("scan") == scans


# ---- lint ----

def test_lint_names_the_node(make_cluster, ctl_of, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    found = ctl.run("lint", "--json").json()["findings"]
    assert [f["kind"] for f in found] == ["empty-store"]
    ctl.do("import", text="\n".join(thousands(domain, 200)))
    assert ctl.do("lint").out == ""
    one, other = cluster.masters[0], cluster.masters[2]
    one.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    other.cli("FLUSHALL")
    found = ctl.run("lint", "--json").json()["findings"]
    assert sorted((f["kind"], re.search(r"node \S+:(\d+)", f["problem"]).group(1))
                  for f in found) == sorted([("eviction", str(one.port)),
                                             ("empty-node", str(other.port))])


# ---- rights ----

def acl(*names):
    """The users of conf/redis, their own words but for the password."""
    lines = []
    for name in names:
        with open(os.path.join(TOP, f"conf/redis/{name}.acl")) as file:
            lines += [re.sub(r">CHANGE-ME(-TOO)?", ">sesame", line.lstrip("#").strip())
                      for line in file if line.startswith(("user ", "#user gatepost-auditor"))]
    return lines


def test_least_rights(make_cluster, ctl_of, site, domain):
    cluster = make_cluster(spare=1, directives=acl("gatepost", "gatepostctl"))
    secret = site.folder.file("sesame-" + domain)
    with open(secret, "w") as file:
        file.write("sesame\n")
    admin, auditor, reader = (ctl_of(cluster, store_user=user, store_password_file=secret)
                              for user in ("gatepostctl", "gatepost-auditor", "gatepost"))
    name = f"{{{domain}}}a@{domain}"

    def everything():
        for args in (["tls", "required", name], ["tls", "unset", name], ["tls", "required", name],
                     ["network", "add", "n", "10.0.0.0/8"],
                     ["network", "remove", "n", "10.0.0.0/8"],
                     ["account", "list"], ["history"], ["export"], ["lint", "--since", "1h"]):
            assert admin.do(*args).err == ""

    everything()
    cluster.join(cluster.spare[0])
    cluster.move_slot(cluster.slot_of(f"gatepost:account:{name}"), cluster.spare[0], everything)
    for args in (["account", "show", name], ["lint"], ["export"], ["history"]):
        assert auditor.do(*args).err == ""
    for ctl in (auditor, reader):
        run = ctl.run("tls", "optional", name)
        assert run.status == 2 and "NOPERM" in run.err and "node 127.0.0.1:" in run.err, run
    # without its MULTI what follows would be done one by one
    kept = facts(auditor)
    cluster.each("ACL", "SETUSER", "gatepostctl", "-multi")
    for args, text in ((["tls", "optional", name], None),
                       (["import"], "".join(f"account:n{n}@{domain} tls required\n"
                                            for n in range(20)))):
        run = admin.run(*args, text=text)
        assert run.status == 2 and "MULTI: NOPERM" in run.err, run
        assert facts(auditor) == kept


# ---- the filter ----

def test_the_running_filter_obeys(make_cluster, ctl_of, start_gatepost, milter_session, domain):
    cluster = make_cluster()
    ctl = ctl_of(cluster)
    gatepost = start_gatepost({**SETTINGS, "store": cluster.url})
    gatepost.remember()
    asker = Asker(milter_session(gatepost))
    for node in cluster.masters:
        sender, = accounts_on(cluster, node, 1, domain)
        ctl.do("ip", "add", sender, "192.0.2.10")       # whoever is on needs no SPF
        for state, reply in (("off", "550 5.7.1"), ("on", "")):
            ctl.do("protocol", state, sender, "smtp")
            asker.wait_for(sender, reply, 2)
