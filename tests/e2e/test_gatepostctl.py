"""gatepostctl on Redis, Redis Cluster and a policy file: everything it writes, refuses, tells.

The messages for malformed input stand in golden/gatepostctl.txt; UPDATE_GOLDEN=1 writes them anew.
"""

import itertools
import json
import os
import re
import resource
import shlex
import stat
import subprocess
import threading
import time

import pytest

from support.folder import Folder
from support.gatepostctl import CTL, Gatepostctl
from support.ports import free_port
from support.redis_client import RedisClient
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "../..")
GOLDEN = os.path.join(HERE, "golden/gatepostctl.txt")
SETTINGS = {
    "default_domain": "example.com",
    "trusted": ["relays"],
    "listener": {
        "mx": {"daemon_port": 25, "service": "smtp"},
        "submission": {"daemon_port": 587, "service": "submission"},
        "submissions": {"daemon_port": 465, "service": "submissions"},
        "gated": {"daemon_port": 2525, "service": "smtp", "connect_from": ["gate"]},
    },
    "spf": {"softfail": "defer"},
}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def folder():
    made = Folder("gpctl-")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def server(folder):
    redis = RedisServer(folder.sub("redis"))
    yield redis.start()
    redis.stop()


@pytest.fixture
def redis(server):
    server.cli("FLUSHALL")
    server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    return server


@pytest.fixture
def on_redis(folder, redis):
    return Gatepostctl(folder.file("redis.conf"), {**SETTINGS, "store": redis.url})


@pytest.fixture(scope="module")
def cluster_server(folder):
    cluster = RedisCluster(folder.sub("cluster"))
    yield cluster.start()
    cluster.stop()


@pytest.fixture
def cluster(cluster_server):
    cluster_server.each("FLUSHALL")
    cluster_server.each("CONFIG", "SET", "maxmemory-policy", "noeviction")
    return cluster_server


@pytest.fixture
def on_cluster(folder, cluster):
    return Gatepostctl(folder.file("cluster.conf"), {**SETTINGS, "store": cluster.url})


@pytest.fixture(params=["redis", "cluster"])
def either(request):
    """One Redis or a Redis Cluster, for edits past gatepostctl."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def on_either(either, request):
    return request.getfixturevalue("on_cluster" if isinstance(either, RedisCluster) else "on_redis")


@pytest.fixture
def policy_path(folder):
    path = os.path.join(folder.sub(f"policy{next(_numbers)}"), "policy")
    with open(path, "w"):
        pass
    return path


@pytest.fixture
def on_file(policy_path):
    return Gatepostctl(policy_path + ".conf", {**SETTINGS, "store": "file:" + policy_path})


@pytest.fixture(params=["redis", "file", "cluster"])
def ctl(request):
    return request.getfixturevalue("on_" + request.param)


def facts(ctl, *pattern):
    return ctl.do("export", *pattern).out.splitlines()


# ---- what is refused, and in which words ----

MALFORMED_COMMANDS = """
protocol off alice pop
protocol off alice submision
protocol on alice imap4
protocol off alice POP33
protocol off alice ""
protocol off "" pop3
protocol off alice@ pop3
protocol off "al ice" pop3
protocol off a@b@example.com pop3
protocol off alice@example..com pop3
protocol off alice@exa/mple.com pop3
protocol off *@example.com pop3
ip add alice 192.0.2.1/24
ip add alice 192.0.2.0/33
ip add alice 192.0.2.*
ip add alice 192.0.2
ip add alice 192.0.2.0/255.255.255.0
ip add alice 192.0.2.0/024
ip add alice 192.0.2.256
ip add alice 192.0.2.1:25
ip add alice [2001:db8::1]
ip add alice 2001:db8::1/64
ip add alice 2001:db8::/129
ip add alice 2001:db8:::1
ip add alice example.com
ip add alice ""
ip add alice 192.0.2.1 "until=tomorrow"
ip add alice 192.0.2.1 "until=2027-01-31 x"
ip add alice 192.0.2.1 --until 2027-01-31T12:00
ip add alice 192.0.2.1 --until 2027-02-30T00:00:00Z
ip add alice 192.0.2.1 --until "2027-01-31 12:00"
ip add alice 192.0.2.1 --until 2027-01-31T12:00:00+02:00
ip add alice 192.0.2.1 --until soon
ip add alice 192.0.2.1 --until 2020-01-31T00:00:00Z
ip add alice 192.0.2.1 "until=2027-01-31T00:00:00Z x" --until 2027-01-31T00:00:00Z
ip remove alice 192.0.2.77
ip add alice spf:
ip add alice spf:provider
ip add alice _spf.provider.example
ip remove alice spf:p.example
as add alice ""
as add alice @
as add alice @.
as add alice bob@exa/mple.com
as add alice bob@example..com
as add alice bob@example.com "until=tomorrow"
as remove alice bob@example.com
spf set alice softfial reject
spf set alice softfail rejct
spf set alice softfail quarantine
spf set alice "" mark
spf unset alice hardfail
source authorized alice
protocol off alice submission submissions
protocol off alice *
account delete nobody@example.com
network add relays 10.0.0.1/8
network add relays 10/8
network add relays 10.0.0.0/8 "until=2027-01-31T00:00:00Z"
network add "" 10.0.0.0/8
network add "two words" 10.0.0.0/8
network remove relays 10.9.0.0/16
history --since yesterday
lint --since 31.1.2027
"""

MALFORMED_LINES = """
account:alice@example.com
alice@example.com protocol:pop3 off
acount:alice@example.com protocol:pop3 off
account: protocol:pop3 off
account:Alice@example.com protocol:pop3 off
account:alice@b\u00fccher.example protocol:pop3 off
account:alice+news@example.com protocol:pop3 off
account:bob protocol:pop3 off
account:alice@example.com protocol:pop off
account:alice@example.com protocol: off
account:alice@example.com protocol:pop3 of
account:alice@example.com protocol:pop3
account:alice@example.com protocl:pop3 off
account:alice@example.com source athorized
account:alice@example.com sourc any
account:alice@example.com tls require
account:alice@example.com tls on
account:alice@example.com mode monitoring
account:alice@example.com ip:10.0.0.0/33 note
account:alice@example.com ip:10.0.0.* note
account:alice@example.com ip: note
account:alice@example.com 10.0.0.1 note
account:alice@example.com ip:10.0.0.1 until=2027-13-01T00:00:00Z
account:alice@example.com ip:10.0.0.1 until=2027-02-29 note
account:alice@example.com spf:softfail refuse
account:alice@example.com spf:sofftail reject
account:alice@example.com spf reject
account:alice@example.com sender owns
account:alice@example.com as:bob+x@example.com
account:alice@example.com as:bob@b\u00fccher.example
account:alice@example.com ip:spf:b\u00fccher.example
account:alice@example.com nonsense
account:alice@example.com tls requi\x1b[2Jred\x07
network: 10.0.0.0/8
network:relays relay.example.com
network:relays 10.0.0.0-10.0.0.255 a range
"""


def rows(text):
    return [row for row in text.strip("\n").split("\n") if row]


def golden_text(ctl):
    parts = []
    for row in rows(MALFORMED_COMMANDS):
        run = ctl.run(*shlex.split(row))
        parts.append(f"$ gatepostctl {row}\n{run.out}{run.err}=> {run.status}\n")
    for row in rows(MALFORMED_LINES):
        run = ctl.run("import", text=row + "\n")
        shown = row.encode("unicode_escape").decode().replace("\\xfc", "\u00fc")
        parts.append(f"$ printf '{shown}' | gatepostctl import\n{run.out}{run.err}"
                     f"=> {run.status}\n")
    return "\n".join(parts)


def test_malformed_input(ctl):
    """At least 50 malformed inputs: none is written, each is answered as the golden file says."""
    assert len(rows(MALFORMED_COMMANDS)) + len(rows(MALFORMED_LINES)) >= 50
    text = golden_text(ctl)
    if os.environ.get("UPDATE_GOLDEN"):
        with open(GOLDEN, "w", encoding="utf-8") as golden:
            golden.write(text)
    with open(GOLDEN, encoding="utf-8") as golden:
        assert text == golden.read()
    assert "=> 0" not in text and "=> 2" not in text
    assert all(ord(c) >= 32 or c == "\n" for c in text), "control characters reach the terminal"
    assert facts(ctl) == []
    assert ctl.json("history") == []


def test_refusals_in_json(ctl):
    run = ctl.run("protocol", "off", "alice", "pop", "--json")
    assert run.status == 1
    assert "did you mean pop3?" in run.json()["error"]
    run = ctl.run("import", "--json", text="account:a@b.example tls reqired\naccount:A@b tls x\n")
    assert run.status == 1
    problems = run.json()["problems"]
    assert [(p["line"], p["refused"]) for p in problems] == [(1, True), (2, True)]
    assert problems[0]["subject"] == "account:a@b.example"


@pytest.mark.parametrize("args, said", [
    ([], "usage:"), (["nonsense"], "nonsense: no such command; gatepostctl help lists them all"),
    (["acount", "show", "x"], "acount: no such command: did you mean account?"),
    (["account"], "account what?\nusage:"),
    (["account", "shew", "x"], "account shew: no such command: did you mean account show?"),
    (["account", "show"], "account show: ACCOUNT is missing\nusage:"),
    (["account", "show", "a", "b"], "account show: too many arguments"),
    (["protocol", "off", "a"], "protocol off: NAME is missing\nusage:"),
    (["spf", "set", "a", "fail"], "spf set: ACTION is missing\nusage:"),
    (["mode", "a"], "mode a: no such command"), (["help", "acount"], "did you mean account?"),
    (["lint", "--force"], "--force does not belong to this command"),
    (["ip", "list", "a", "--until", "x"], "--until does not belong to this command"),
    (["history", "--last", "x"], "x: not a number"), (["spf", "1.2.3.4", "helo"], "usage:"),
    (["--nonsense"], "--nonsense: no such option\n"),
    (["export", "--jsn"], "--jsn: no such option: did you mean --json?\n"),
    (["history", "--last"], "--last: a value is missing\n"),
])
def test_usage(on_redis, args, said):
    run = on_redis.run(*args)
    assert (run.status, run.out) == (2, "")
    assert said in run.err and (not args or len(run.err.splitlines()) < 15), run


@pytest.mark.parametrize("args", [["help"], ["--help"], ["-h"], ["help", "ip"], ["ip", "--help"],
                                  ["ip", "add", "--help"], ["help", "ip", "add"]])
def test_help(on_redis, args):
    run = on_redis.do(*args)
    assert not run.err and "ip add ACCOUNT" in run.out
    assert ("account show" in run.out) == ("ip" not in args)


def test_what_cannot_be_done(folder):
    began = time.monotonic()
    dead = Gatepostctl(folder.file("dead.conf"),
                       {"store": f"redis://127.0.0.1:{free_port()}/0"})
    for args in (["account", "show", "a@b"], ["account", "list"], ["tls", "required", "a@b"],
                 ["lint"], ["export"], ["history"], ["import"]):
        run = dead.run(*args, text="account:a@b.example tls required\n")
        assert run.status == 2, run
        assert "connect" in run.err
    assert dead.run("lint", "--json").json()["exit"] == 2
    missing = Gatepostctl(folder.file("missing.conf"), {"store": "file:/nonexistent/policy"})
    assert missing.run("account", "list").status == 2
    assert missing.run("lint").status == 2
    broken = Gatepostctl(folder.file("broken.conf"), {"stor": "file:/nonexistent/policy"})
    run = broken.run("account", "list")
    assert run.status == 2 and "broken.conf:1" in run.err
    assert on_nothing(folder).returncode == 2
    assert time.monotonic() - began < 20


def on_nothing(folder):
    return subprocess.run([CTL, "-c", folder.file("no-such.conf"), "lint"], capture_output=True)


# ---- what is written ----

WRITES = [
    (["protocol", "off", "Alice+tag@Example.COM", "pop3", "IMAP"],
     {"account:alice@example.com protocol:imap off", "account:alice@example.com protocol:pop3 off"}),
    (["protocol", "on", "alice", "pop3"], {"account:alice@example.com protocol:pop3 on"}),
    (["protocol", "off", "@b\u00fccher.example", "*", "--force"],
     {"account:@xn--bcher-kva.example protocol:* off"}),
    (["source", "any", "*"], {"account:* source any"}),
    (["source", "authorized", "alice", "--force"], {"account:alice@example.com source authorized"}),
    (["tls", "required", "alice"], {"account:alice@example.com tls required"}),
    (["tls", "optional", "alice"], {"account:alice@example.com tls optional"}),
    (["mode", "monitor", "@example.com"], {"account:@example.com mode monitor"}),
    (["mode", "enforce", "alice"], {"account:alice@example.com mode enforce"}),
    (["spf", "set", "alice", "SoftFail", "Reject"], {"account:alice@example.com spf:softfail reject"}),
    (["ip", "add", "alice", "192.0.2.0/24", " the  office "],
     {"account:alice@example.com ip:192.0.2.0/24 the  office"}),
    (["ip", "add", "alice", "2001:DB8:0::1/128"], {"account:alice@example.com ip:2001:db8::1"}),
    (["ip", "add", "alice", "::ffff:192.0.2.1"], {"account:alice@example.com ip:192.0.2.1"}),
    (["ip", "add", "alice", "192.0.2.9", "a hotel", "--until", "2199-01-31T00:00:00Z"],
     {"account:alice@example.com ip:192.0.2.9 until=2199-01-31T00:00:00Z a hotel"}),
    (["ip", "add", "alice", "192.0.2.9", "--until", "2199-01-31T00:00:00Z"],
     {"account:alice@example.com ip:192.0.2.9 until=2199-01-31T00:00:00Z"}),
    (["ip", "add", "alice", "spf:_SPF.B\u00fccher.Example.", "the provider"],
     {"account:alice@example.com ip:spf:_spf.xn--bcher-kva.example the provider"}),
    (["ip", "add", "alice", "spf:p.example", "--until", "2199-01-31T00:00:00Z"],
     {"account:alice@example.com ip:spf:p.example until=2199-01-31T00:00:00Z"}),
    (["sender", "own", "@example.com"], {"account:@example.com sender own"}),
    (["as", "add", "alice", "Sales+web@B\u00fccher.Example", " the  team "],
     {"account:alice@example.com as:sales@xn--bcher-kva.example the  team"}),
    (["as", "add", "alice", "office"], {"account:alice@example.com as:office@example.com"}),
    (["as", "add", "alice", "@Example.NET", "--until", "2199-01-31T00:00:00Z"],
     {"account:alice@example.com as:@example.net until=2199-01-31T00:00:00Z"}),
    (["as", "add", "@example.com", "@.Example.NET"], {"account:@example.com as:@.example.net"}),
    (["network", "add", "relays", "10.0.0.0/8", "inside"], {"network:relays 10.0.0.0/8 inside"}),
    (["protocol", "off", "j\u00d6rg@example.com", "pop3"],
     {"account:j\u00f6rg@example.com protocol:pop3 off"}),
]


@pytest.mark.parametrize("args, wanted", WRITES, ids=lambda v: " ".join(v) if isinstance(v, list)
                         else "")
def test_writes(ctl, args, wanted):
    dry = ctl.json(*args, "--dry-run")
    assert dry["dry_run"] is True
    assert facts(ctl) == [] and ctl.json("history") == [], "a dry run writes nothing"
    told = ctl.json(*args)
    assert told["changes"] == dry["changes"] and told["dry_run"] is False
    assert set(facts(ctl)) == wanted
    assert len(ctl.json("history")) == len(wanted)
    again = ctl.json(*args)
    assert again["changes"] == []
    assert len(ctl.json("history")) == len(wanted), "what does not change is no history"
    found = ctl.run("lint", "--json").json()["findings"]
    assert [f for f in found if f["kind"] != "no-provider"] == []   # of domains that do not exist


UNDOES = [
    ("protocol:pop3 off", ["protocol", "unset", "alice", "pop3"]),
    ("Protocol:POP3 off", ["protocol", "unset", "alice", "pop3"]),
    ("protocol:nonsense off", ["protocol", "unset", "alice", "nonsense"]),
    ("source any", ["source", "unset", "alice"]),
    ("tls malformed", ["tls", "unset", "alice"]),
    ("mode monitor", ["mode", "unset", "alice"]),
    ("spf:fail mark", ["spf", "unset", "alice", "fail"]),
    ("ip:192.0.2.1/32 x", ["ip", "remove", "alice", "192.0.2.1"]),
    ("ip:2001:db8:0:0::1 x", ["ip", "remove", "alice", "2001:DB8::1"]),
    ("ip:nonsense x", ["ip", "remove", "alice", "nonsense"]),
]


@pytest.mark.parametrize("fact, undo", UNDOES, ids=lambda v: v if isinstance(v, str) else "")
def test_unset(either, on_either, fact, undo):
    field, value = fact.split(None, 1)
    either.cli("HSET", "gatepost:account:alice@example.com", field, value, "protocol:imap", "off")
    on_either.do(*undo)
    assert either.cli("HKEYS", "gatepost:account:alice@example.com") == "protocol:imap"
    assert [e["field"] for e in on_either.json("history")] == [field]


def test_another_spelling_gives_way(either, on_either):
    either.cli("HSET", "gatepost:account:alice@example.com", "Protocol:POP3", "on",
              "ip:192.0.2.1/32", "old", "ip:192.0.2.2", "other")
    on_either.do("protocol", "off", "alice", "pop3")
    on_either.do("ip", "add", "alice", "192.0.2.1", "new")
    assert facts(on_either) == [
        "account:alice@example.com ip:192.0.2.1 new",
        "account:alice@example.com ip:192.0.2.2 other",
        "account:alice@example.com protocol:pop3 off"]


def test_another_spelling_gives_way_to_many(either, on_either):
    either.cli("HSET", "gatepost:account:alice@example.com", "Source", "any", "TLS", "optional")
    on_either.do("import", text="account:alice@example.com source authorized\n" + "".join(
        f"account:alice@example.com ip:192.0.2.{n} x\n" for n in range(100)))
    assert [line for line in facts(on_either) if " ip:" not in line] == [
        "account:alice@example.com TLS optional", "account:alice@example.com source authorized"]


def test_names_as_they_are_shown(ctl):
    ctl.do("tls", "required", "account:alice@example.com")
    ctl.do("network", "add", "network:relays", "::1")
    assert facts(ctl) == ["account:alice@example.com tls required", "network:relays ::1"]


def test_delete(ctl):
    ctl.do("import", text="account:a@b.example tls required\naccount:c@d.example tls required\n")
    ctl.do("account", "delete", "a@b.example")
    assert facts(ctl) == ["account:c@d.example tls required"]
    entry = ctl.json("history", "a@b.example")[-1]
    assert (entry["field"], entry["old"], entry["new"]) == ("tls", "required", None)


def test_wrong_type(either, on_either):
    either.cli("SET", "gatepost:account:alice@example.com", "text")
    run = on_either.run("tls", "required", "alice")
    assert run.status == 1 and "is no hash" in run.err
    run = on_either.run("import", text="account:alice@example.com tls required\n")
    assert run.status == 1 and "is no hash" not in run.out
    assert "wrong type" in on_either.do("account", "show", "alice").out
    assert "wrong-type" in on_either.run("lint").out
    on_either.do("account", "delete", "alice")
    on_either.do("tls", "required", "alice")
    assert on_either.do("lint").out == ""


def test_delete_of_a_name_that_nothing_asks_for(either, on_either):
    either.cli("HSET", "gatepost:account:Alice@Example.com", "tls", "required")
    on_either.do("account", "delete", "Alice@Example.com")
    assert either.cli("EXISTS", "gatepost:account:Alice@Example.com") == "0"


def test_writers_do_not_undo_each_other(ctl):
    """Eight at a time add an address each to one account: all are there, all in the history."""
    runs = []
    threads = [threading.Thread(target=lambda n=n: runs.append(
        ctl.run("ip", "add", "alice", f"192.0.2.{n}", f"number {n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.status for run in runs].count(0) >= 1
    done = sum(run.status == 0 for run in runs)
    assert len(facts(ctl)) == done == len(ctl.json("history"))
    assert done == 8, runs


# ---- the guard ----

GUARDED = [
    ("", ["source", "authorized", "alice"], "without a listed address"),
    ("account:alice@example.com ip:192.0.2.1 until=2020-01-01T00:00:00Z gone",
     ["source", "authorized", "alice"], "without a listed address"),
    ("", ["source", "authorized", "@example.com"], "without a listed address"),
    ("account:alice@example.com source authorized\naccount:alice@example.com ip:192.0.2.1 x",
     ["ip", "remove", "alice", "192.0.2.1"], "without a listed address"),
    ("account:@example.com source authorized\naccount:alice@example.com source any\n"
     "account:alice@example.com tls required", ["source", "unset", "alice"],
     "without a listed address"),
    ("account:alice@example.com protocol:submission off",
     ["protocol", "off", "alice", "submissions"], "the last protocol that a login"),
    ("", ["protocol", "off", "*", "*"], "the last protocol for sending"),
    ("", ["source", "authorized", "@.example.com"], "without a listed address"),
    ("account:@.example.com source authorized\naccount:@.b.example.com source any",
     ["source", "unset", "@.b.example.com"], "without a listed address"),
    ("account:@.example.com source authorized\naccount:@.example.com ip:192.0.2.1 x",
     ["ip", "remove", "@.example.com", "192.0.2.1"], "without a listed address"),
    ("account:@.example.com protocol:submission off",
     ["protocol", "off", "alice@mail.example.com", "submissions"], "the last protocol that a login"),
    ("", ["ip", "add", "alice", "192.0.2.1", "--until", "2020-01-01T00:00:00Z"], "in the past"),
    ("account:alice@example.com source authorized\naccount:alice@example.com ip:spf:p.example x",
     ["ip", "remove", "alice", "spf:p.example"], "without a listed address"),
    ("account:alice@example.com ip:spf:a.p.example\naccount:alice@example.com ip:spf:b.p.example\n"
     "account:@example.com ip:spf:c.p.example\naccount:* ip:spf:d.p.example",
     ["ip", "add", "alice", "spf:e.p.example"], "one more ip:spf: entry than the 4"),
    ("", ["as", "add", "alice", "b@x.example", "--until", "2020-01-01T00:00:00Z"], "in the past"),
    ("network:gate 192.0.2.0/24", ["network", "remove", "gate", "192.0.2.0/24"],
     "lets in only clients"),
    ("", ["network", "add", "relays", "0.0.0.0/0"], "the network is trusted"),
    ("", ["network", "add", "relays", "10.0.0.0/7"], "wider than /8"),
    ("", ["network", "add", "relays", "2001:db8::/31"], "wider than /8 (IPv6: /32)"),
    ("", ["network", "add", "gate", "::/0"], "nearly every client would be in the network"),
    ("", ["network", "add", "relay", "192.0.2.0/24"], "did you mean relays?"),
    ("", ["ip", "add", "*", "0.0.0.0/0"], "hold nobody back"),
    ("account:alice@example.com ip:192.0.2.1", ["ip", "add", "alice", "128.0.0.0/1"],
     "hold nobody back"),
    ("", ["ip", "add", "@example.com", "2000::/15"], "hold nobody back"),
    ("account:* tls required\naccount:* ip:192.0.2.1 the office\naccount:* protocol:pop3 off\n"
     "account:* ip:192.0.2.2 until=2020-01-01T00:00:00Z\naccount:* protocol:imap on",
     ["account", "delete", "*"], "would lose tls required, protocol:pop3 off, ip:192.0.2.1"),
    ("account:@example.com spf:fail reject\naccount:@example.com sender own\n"
     "account:@example.com spf:none accept\naccount:@example.com mode monitor",
     ["account", "delete", "@example.com"], "would lose spf:fail reject, sender own"),
    ("account:@.example.com source authorized", ["account", "delete", "@.example.com"],
     "would lose source authorized"),
]


@pytest.mark.parametrize("before, args, words", GUARDED, ids=lambda v: " ".join(v)
                         if isinstance(v, list) else "")
def test_guard(ctl, before, args, words):
    ctl.do("import", text=before + "\n")
    was = facts(ctl)
    run = ctl.run(*args)
    assert run.status == 1
    assert words in run.err and "--force" in run.err
    assert facts(ctl) == was
    run = ctl.do(*args, "--force")
    assert words in run.err and "forced" in run.err
    assert facts(ctl) != was


@pytest.mark.parametrize("before, args", [
    ("account:@example.com ip:192.0.2.1 x", ["source", "authorized", "alice"]),
    ("account:* ip:192.0.2.1 until=2199-01-01T00:00:00Z", ["source", "authorized", "alice"]),
    ("account:@example.com ip:spf:p.example", ["source", "authorized", "alice"]),
    ("account:* ip:spf:a.p.example\naccount:* ip:spf:b.p.example\naccount:* ip:spf:c.p.example",
     ["ip", "add", "*", "spf:d.p.example"]),
    ("", ["sender", "own", "*"]),
    ("", ["protocol", "off", "alice", "submission"]),
    ("", ["protocol", "off", "alice", "smtp"]),
    ("account:@.example.com ip:192.0.2.1 x", ["source", "authorized", "a@c.b.example.com"]),
    ("account:@.example.com ip:192.0.2.1 x", ["source", "authorized", "@.b.example.com"]),
    ("account:alice@example.com source authorized", ["tls", "required", "alice"]),
    ("network:gate 192.0.2.0/24\nnetwork:gate 192.0.2.1",
     ["network", "remove", "gate", "192.0.2.1"]),
    ("network:relays 192.0.2.0/24", ["network", "remove", "relays", "192.0.2.0/24"]),
    ("", ["network", "add", "relays", "10.0.0.0/8"]),
    ("", ["network", "add", "relays", "2001:db8::/32"]),
    ("", ["network", "add", "office", "192.0.2.0/24"]),
    ("network:relays 0.0.0.0/0 old", ["network", "add", "relays", "0.0.0.0/0", "new"]),
    ("account:alice@example.com ip:0.0.0.0/0 old", ["ip", "add", "alice", "192.0.2.1"]),
    ("", ["ip", "add", "alice", "10.0.0.0/8"]),
    ("account:alice@example.com tls required", ["account", "delete", "alice"]),
    ("account:* mode monitor\naccount:* tls optional", ["account", "delete", "*"]),
    ("account:* spf:fail reject", ["spf", "unset", "*", "fail"]),
])
def test_guard_lets_pass(ctl, before, args):
    ctl.do("import", text=before + "\n")
    assert ctl.do(*args).err == ""


def test_guard_where_logins_come_by_a_listener_of_service_smtp(folder, redis):
    """They count as submission: that closes the last door, and smtp none."""
    ctl = Gatepostctl(folder.file("smtp.conf"), {
        "store": redis.url, "default_domain": "example.com",
        "listener": {"mx": {"daemon_port": 25, "service": "smtp", "auth": "required"}}})
    run = ctl.run("protocol", "off", "alice", "submission")
    assert run.status == 1 and "the last protocol that a login can send by" in run.err
    assert ctl.do("protocol", "off", "alice", "smtp").err == ""


# ---- what is shown ----

def test_show_tells_where_settings_come_from(ctl):
    ctl.do("import", text="""\
account:* protocol:pop3 off
account:* tls required
account:@example.com spf:fail mark
account:@example.com ip:198.51.100.0/24 the office
account:alice@example.com source authorized
account:alice@example.com protocol:imap off
account:alice@example.com ip:192.0.2.1 until=2020-01-01T00:00:00Z long ago
""")
    shown = ctl.json("account", "show", "Alice+tag")
    assert shown["account"] == "alice@example.com" and shown["known"] is True
    origin = {name: (part["value"], part["from"], part["subject"], part["field"])
              for name, part in shown["settings"].items()}
    assert origin["source"] == ("authorized", "account", "account:alice@example.com", "source")
    assert origin["tls"] == ("required", "default", "account:*", "tls")
    assert origin["mode"] == ("enforce", "configuration", None, None)
    assert origin["spf:fail"] == ("mark", "domain", "account:@example.com", "spf:fail")
    assert origin["spf:softfail"] == ("defer", "configuration", None, None)
    assert shown["protocols"]["pop3"]["from"] == "default"
    assert shown["services"]["imap"] == {
        "value": "refused", "from": "account", "subject": "account:alice@example.com",
        "field": "protocol:imap"}
    assert shown["services"]["submission"]["value"] == "allowed"
    entries = {e["address"]: e for e in shown["addresses"]}
    assert entries["192.0.2.1"]["expired"] and entries["192.0.2.1"]["until"]
    assert entries["198.51.100.0/24"]["subject"] == "account:@example.com"
    text = ctl.do("account", "show", "alice").out
    assert "the office" in text and "expired 2020-01-01T00:00:00Z: long ago" in text and "account:* protocol:pop3" in text
    assert ctl.json("ip", "list", "alice") == shown["addresses"]
    assert ctl.json("account", "show", "*")["settings"]["tls"]["from"] == "default"
    assert ctl.json("account", "show", "@example.com")["settings"]["spf:fail"]["from"] == "domain"
    assert ctl.json("account", "show", "nobody@nowhere.example")["known"] is False


def test_subdomains_are_shown(ctl):
    """What their policy says, and whence; a parent inherits from the parents above it."""
    ctl.do("import", text="""\
account:@.example.com source authorized
account:@.example.com ip:192.0.2.0/24 far
account:@.c.example.com tls required
account:@.c.example.com ip:198.51.100.0/24 near
""")
    assert ctl.json("account", "list") == ["@.c.example.com", "@.example.com"]
    shown = ctl.json("account", "show", "a@b.c.example.com")
    assert shown["known"] is True
    assert [(s["subject"], s["state"]) for s in shown["subjects"]] == [
        ("account:a@b.c.example.com", "absent"), ("account:@b.c.example.com", "absent"),
        ("account:@.c.example.com", "found"), ("account:@.example.com", "found"),
        ("account:*", "absent")]
    assert shown["settings"]["source"] == {
        "value": "authorized", "from": "parent", "subject": "account:@.example.com",
        "field": "source"}
    assert shown["settings"]["tls"]["subject"] == "account:@.c.example.com"
    assert [e["subject"] for e in shown["addresses"]] == [
        "account:@.c.example.com", "account:@.example.com"]
    parent = ctl.json("account", "show", "@.C.Example.com")
    assert [s["subject"] for s in parent["subjects"]] == [
        "account:@.c.example.com", "account:@.example.com", "account:*"]
    assert parent["settings"]["source"]["from"] == "parent"
    assert ctl.json("account", "show", "a@example.com")["known"] is False
    assert "account:@.example.com source" in ctl.do("account", "show", "a@d.example.com").out


@pytest.mark.parametrize("name, meant", [
    ("*.example.com", "@.example.com"), (".example.com", "@.example.com"),
    ("@*.example.com", "@.example.com"), ("*@*.example.com", "@.example.com"),
    ("@.com", "2 to 5 labels"), ("@.f.e.d.c.example.com", "2 to 5 labels")])
def test_names_that_are_no_subdomains(ctl, name, meant):
    run = ctl.run("tls", "required", name)
    assert run.status == 1 and meant in run.err and facts(ctl) == []


def test_subdomains_in_a_language(ctl):
    ctl.do("tls", "required", "@.B\u00fccher.example")
    assert facts(ctl) == ["account:@.xn--bcher-kva.example tls required"]


def test_import_knows_what_is_inherited_from_parents(ctl):
    """In whichever order the lines stand: the guard sees what will be."""
    lines = ["account:a@b.example.com source authorized", "account:@b.example.com tls required",
             "account:@.b.example.com source authorized", "account:@.example.com ip:192.0.2.1 x",
             "account:@.example.com source any"]
    run = ctl.do("import", text="\n".join(lines) + "\n")
    assert run.err == "" and sorted(facts(ctl)) == sorted(lines)
    run = ctl.do("import", text="account:a@b.elsewhere.example source authorized\n")
    assert "without a listed address" in run.err


def test_show_with_protocol_sections(folder, redis):
    both = {"services": ["imap", "submission", "submissions"]}
    ctl = Gatepostctl(folder.file("sections.conf"), {
        **SETTINGS, "store": redis.url, "mode": "monitor",
        "protocol": {"imap4-smtp": both,
                     "pop3-smtp": {"services": ["pop3", "submission", "submissions"]}}})
    ctl.do("protocol", "off", "alice", "imap4-smtp")
    shown = ctl.json("account", "show", "alice")
    assert shown["services"]["imap"]["value"] == "refused"
    assert shown["services"]["submission"]["value"] == "allowed"
    assert "submission" not in shown["protocols"]
    assert shown["settings"]["mode"]["value"] == "monitor"
    run = ctl.run("protocol", "off", "alice", "submission")
    assert run.status == 1 and "switched by imap4-smtp, pop3-smtp" in run.err
    assert ctl.run("protocol", "off", "alice", "pop3-smtp").status == 1, "the last that can send"


def is_shown(text):
    """Nothing of it is obeyed by a terminal."""
    return not re.search("[^\n -~\u00a0-\ud7ff\ue000-\U0010ffff]"
                         "|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)


def test_hostile_octets_are_escaped(either, on_either):
    key = b"gatepost:account:ev\x1b]0;il\x07\xff@example.com"
    either.cli("HSET", key, b"ip:10.0.0.1\x1b[2J", b"note\r\n\x9b\xff", "protocol:\u202egpj", "off")
    either.cli("HSET", "gatepost:account:alice@example.com", "ip:10.0.0.1", b"bell\x07 \x1b[31m\xff",
              b"od\xffd", b"\x1b[2J")
    either.cli("HSET", b"gatepost:network:n\x1b", b"10.0.0.0/8\x1b", b"\x1b")
    either.cli("SET", b"gatepost:o\x1bther\xff", "x")
    for args in (["account", "list"], ["account", "show", "alice"], ["ip", "list", "alice"],
                 ["lint"], ["export"], ["network", "list"], ["history"],
                 ["account", "show", "ev\x1b]0;il\x07"], ["mode", "monitor", "x\x1b[2J"],
                 ["import"], ["history", "x\x1b[2J\u009b"], ["lint", "--since", "\x1b[2J\u009b"],
                 ["tls", "required", "a", "--\x1b[2J\u009b"], ["lint", "\x1b[2J\u009b"],
                 ["explain", "--ip", "10.0.0.1", "--from", "alice@example.com",
                  "--helo", "\x1b[2J\u009b\u202e"],
                 ["explain", "--ip", "\x1b[2J\u009b", "--from", "a@b.example"],
                 ["explain", "--log", "\x1b[2J\u009b"], ["spf", "10.0.0.1", "\x1b[2J\u009b", "<>"]):
        text = "account:\x1b\u009b@b.example ip:10.0.0.1\x1b \u202e\n" if args == ["import"] else ""
        run = on_either.run(*args, text=text)
        assert is_shown(run.out + run.err), run
        as_json = on_either.run(args[0], "--json", *args[1:], text=text)
        assert is_shown(as_json.out + as_json.err), as_json
        if not re.search("usage|no such option", run.err) and args != ["import"]:
            json.loads(as_json.out)


@pytest.mark.parametrize("args", [
    ["account", "show", "alice"], ["account", "list"], ["ip", "list", "alice"], ["network", "list"],
    ["network", "list", "relays"], ["lint"], ["export"], ["history"], ["import", "--dry-run"],
    ["tls", "required", "alice", "--dry-run"], ["spf", "192.0.2.1", "localhost", "<>"],
    ["account", "delete", "nobody@example.com"], ["lint", "--since", "1h"],
    ["as", "list", "alice"], ["as", "add", "alice", "bob"], ["as", "remove", "alice", "bob"],
    ["sender", "own", "alice"], ["ip", "add", "alice", "spf:p.example"],
])
def test_json_everywhere(ctl, args):
    ctl.do("import", text="account:alice@example.com ip:10.0.0.1 \u00e9\nnetwork:relays ::1\n")
    run = ctl.run(*args[:1], "--json", *args[1:], text="account:b@c.example tls required\n")
    assert run.status in (0, 1)
    run.json()


# ---- import and export ----

def test_import_is_transactional_per_subject(ctl):
    text = """\
# a comment
account:good@example.com tls required
account:bad@example.com tls required
account:bad@example.com source maybe
account:good@example.com protocol:pop3 off
account:twice@example.com tls required
account:twice@example.com tls optional
account:short@example.com tls required
account:short@example.com
account:odd@example.com ip:10.0.0.1/8 host bits

network:relays 10.0.0.0/8
network:relays nonsense
"""
    run = ctl.run("import", text=text)
    assert run.status == 1
    assert facts(ctl) == [
        "account:good@example.com protocol:pop3 off", "account:good@example.com tls required",
        "account:odd@example.com ip:10.0.0.1/8 host bits"]
    told = [line.split(":")[1] for line in run.err.splitlines()]
    assert sorted(told, key=int) == ["4", "7", "9", "10", "13"]
    assert "4 refused" in run.out
    dry = ctl.run("import", "--dry-run", "--replace", text="account:good@example.com tls optional\n")
    assert "tls: required -> optional" in dry.out and "protocol:pop3: off -> unset" in dry.out
    assert len(facts(ctl)) == 3


def test_import_leaves_a_subject_with_a_nul_octet(ctl):
    run = ctl.run("import", text="account:z@b.example source authorized\n"
                                 "account:z@b.example ip:192.0.2.1 a\0b\n"
                                 "account:y@b.example tls required\n")
    assert run.status == 1 and ":2: " in run.err
    assert facts(ctl) == ["account:y@b.example tls required"]


def test_import_adds_or_replaces(ctl):
    ctl.do("import", text="account:a@b.example tls required\naccount:c@d.example tls required\n")
    ctl.do("import", text="account:a@b.example mode monitor\n")
    assert len(facts(ctl, "account:a@b.example")) == 2
    told = ctl.json("import", "--replace", text="account:a@b.example mode monitor\n")
    assert (told["fields_set"], told["fields_removed"]) == (0, 1)
    assert facts(ctl) == ["account:a@b.example mode monitor", "account:c@d.example tls required"]


def test_import_warns_of_what_the_guard_would_refuse(ctl):
    run = ctl.do("import", text="account:a@b.example source authorized\naccount:@e.example ip:::1\n"
                                "account:c@e.example source authorized\n")
    assert "warning: account:a@b.example" in run.err and "c@e.example" not in run.err
    assert len(facts(ctl)) == 3
    run = ctl.do("import", text="network:relays ::/0\naccount:a@b.example ip:0.0.0.0/1\n")
    assert "1: warning: network:relays" in run.err and "2: warning: account:a@b" in run.err
    assert len(facts(ctl)) == 5
    assert "warning" not in ctl.do("import", text="network:relays ::/0\n").err


def test_export_round_trip(ctl, folder):
    """The example policy, and values that only just fit a line: exported, lost, imported, equal."""
    with open(os.path.join(TOP, "conf/policy.example"), encoding="utf-8") as example:
        ctl.do("import", text=example.read())
    ctl.do("import", text="account:j\u00f6rg@example.com ip:::1 #  no comment \\ \" \u00e9\n"
                          "account:%@example.com ip:::2\naccount:* ip:::/0 until=2199-01-01T00:00:00Z\n")
    before = ctl.do("export").out
    names = ctl.json("account", "list")
    path = folder.file("exported")
    with open(path, "w", encoding="utf-8") as exported:
        exported.write(before)
    for name in names:
        ctl.do("account", "delete", name, "--force")
    assert ctl.json("account", "list") == []
    ctl.do("import", path)
    assert ctl.do("export").out == before
    assert ctl.json("import", path)["written"] == 0
    as_json = ctl.json("export")
    assert sum(len(fields) for fields in as_json.values()) == len(before.splitlines())


ODD = ["\x1b[31m".encode(), "\u009b31m \\x41".encode(), "\u202etxt\u061c".encode(), b"\xff\xc3 \x80",
       "two\r\nlines".encode(), b" \tspace ", b"\x7f\x01", "J\u00f6rg".encode(), b"\\", b""]


def everything(redis):
    """All octets of all hashes, as a Redis of its own sees them."""
    found = {}
    with RedisClient(redis.socket) as client:
        for key in client.command("KEYS", "gatepost:*:*"):
            if not key.startswith("gatepost:history"):
                pairs = client.command("HGETALL", key)
                found[key] = dict(zip(pairs[::2], pairs[1::2]))
    return found


@pytest.mark.parametrize("through_a_file", [False, True])
def test_export_round_trip_of_any_octets(folder, redis, on_redis, policy_path, on_file,
                                         through_a_file):
    """Also where a policy file, which takes the same lines, stands in between."""
    for i, odd in enumerate(ODD):
        name = odd.replace(b"\xff\xc3 \x80", b"").lower()  # no look-up asks for a name that is no UTF-8
        redis.cli("HSET", b"gatepost:account:a%d" % i + name + b"z@b.example", "ip:10.0.0.%d" % i, odd,
                  "tls", "required")
        redis.cli("HSET", "gatepost:network:relays", "10.0.%d.0/24" % i, odd)
    before = everything(redis)
    assert len(before) == len(ODD) + 1
    lines = on_redis.do("export").out
    assert is_shown(lines)
    redis.cli("FLUSHALL")
    if through_a_file:
        with open(policy_path, "w") as file:
            file.write(lines)
        on_file.do("tls", "optional", "a@b.example")
        on_file.do("account", "delete", "a@b.example")
        on_file.do("import", "--replace", text=lines)
        lines = on_file.do("export").out
    run = on_redis.do("import", text=lines)
    assert is_shown(run.err) and everything(redis) == before
    assert on_redis.json("import", text=lines)["written"] == 0


def test_export_round_trip_of_odd_names(redis, on_redis, policy_path, on_file):
    """Names that no look-up asks for: they are warned of, and come back octet by octet."""
    pairs = {b"gatepost:account:a\xff@b.example": (b"tls", b"required"),
             b"gatepost:account:\xc3(z": (b"ip:192.0.2.1", b"note"),
             b"gatepost:account:ok@b.example": (b"tls", b"required", b"x\xe9y", b"1", b"a b", b"",
                                                b"ip:10.0.0.\xb2", b"", b"mode", b"moni\x01tor"),
             b"gatepost:network:b\xfcro": (b"10.0.0.0/8", b"inside"),
             b"gatepost:network:relays": (b"10.0.0.0/8", b"", b"\x80", b"")}
    for key, fields in pairs.items():
        redis.cli("HSET", key, *fields)
    before = everything(redis)
    exported = on_redis.do("export")
    assert is_shown(exported.out) and len(exported.out.splitlines()) == 10 and not exported.err
    redis.cli("FLUSHALL")
    on_file.do("import", text=exported.out)
    run = on_redis.do("import", text=on_file.do("export").out)
    assert everything(redis) == before
    assert is_shown(run.err) and run.err.count("warning: ") >= 7 and "0 refused" in run.out
    for line in exported.out.splitlines():      # where they are not escaped they are a mistake
        raw = re.sub(rb"\\x(..)", lambda octet: bytes.fromhex(octet[1].decode()), line.encode())
        if raw.startswith(b"\\") and b" b" not in raw and b"\x01" not in raw:
            assert on_redis.run("import", "--dry-run", text=raw[1:]).status == 1, raw


def test_export_round_trip_of_what_is_malformed(redis, on_redis):
    """By default a mistake is refused; a backup with mistakes can be restored all the same."""
    for fields in (("tls", "maybe", "source", "any"), ("protocl:pop3", "off", "mode", "monitor"),
                   ("ip:10.0.0.0/40", "note", "spf:fail", "drop")):
        redis.cli("HSET", f"gatepost:account:{fields[0][:3]}@b.example", *fields)
    redis.cli("HSET", "gatepost:account:x@y@b.example", "tls", "required")
    before = facts(on_redis)
    assert len(before) == 7
    redis.cli("FLUSHALL")
    run = on_redis.run("import", text="\n".join(before))
    assert run.status == 1 and "4 refused" in run.out and facts(on_redis) == []
    run = on_redis.do("import", "--force", text="\n".join(before))
    assert run.err.count("warning: ") == 5 and "0 refused" in run.out
    assert facts(on_redis) == before
    run = on_redis.run("import", "--force", text="account:a@b.example tls required\n" * 2)
    assert run.status == 1 and "given a second time" in run.err


def test_json_shows_what_a_terminal_would_obey_as_escapes(redis, on_redis):
    redis.cli("HSET", "gatepost:account:a@b.example", "ip:::1", "\x1b\x7f\u009b\u202e\u00f6".encode(),
              "ip:::2", b"\xff\x9b", b"x\xff", "1", "x\u00ff", "2")
    run = on_redis.run("export", "--json")
    assert r'"\u001b\u007f\u009b\u202e' + "\u00f6" + '"' in run.out.lower()
    fields = run.json()["account:a@b.example"]
    assert fields["ip:::1"] == "\x1b\x7f\u009b\u202e\u00f6" and fields["ip:::2"] == "\u00ff\u009b"
    assert run.status == 1 and run.err.count("not exported") == 1, "two fields of one name in JSON"


def test_export_tells_what_no_line_can_hold(either, on_either):
    either.cli("HSET", "gatepost:account:a@b.example", "", "no name", "tls", "required")
    either.cli("HSET", "gatepost:account:Upper@b.example", "tls", "required")
    either.cli("SET", "gatepost:account:string@b.example", "x")
    run = on_either.run("export")
    assert run.status == 1
    assert run.out == "account:a@b.example tls required\n"
    assert run.err.count("not exported") == 3


@pytest.mark.parametrize("args", [
    ["account", "list"], ["account", "show", "alice"], ["tls", "required", "alice"], ["export"],
    ["lint"], ["history"], ["ip", "list", "alice"], ["import"], ["network", "list", "relays"]])
def test_a_store_that_cannot_be_reached_is_named(folder, args):
    """With what the system said; its URL has no password."""
    ctl = Gatepostctl(folder.file("nowhere.conf"), {**SETTINGS, "store": "redis://127.0.0.1:1/0"})
    run = ctl.run(*args, text="account:a@b.example tls required\n")
    assert run.status == 2
    assert 'gatepostctl: store "redis://127.0.0.1:1/0": ' in run.err and "refused" in run.err, run
    missing = folder.file("no-folder/policy")
    run = Gatepostctl(folder.file("nowhere.conf"), {**SETTINGS, "store": "file:" + missing}).run(
        *args, text="account:a@b.example tls required\n")
    assert run.status == 2 and f'store "file:{missing}": {missing}: No such file' in run.err, run


def test_export_that_fails_is_json(folder, redis):
    """Also behind what could be read."""
    redis.cli("HSET", "gatepost:account:a@b.example", "tls", "required")
    redis.cli("HSET", "gatepost:network:relays", "::1", "")
    for name, readable, there in (("none", "nothing", []),
                                  ("some", "gatepost:account:*", ["account:a@b.example"])):
        redis.cli("ACL", "SETUSER", name, "on", "nopass", "resetkeys", "+@all", "~" + readable)
        secret = folder.file("any")
        with open(secret, "w") as file:
            file.write("any\n")
        ctl = Gatepostctl(folder.file(name + ".conf"), {
            **SETTINGS, "store": redis.url, "store_user": name, "store_password_file": secret})
        run = ctl.run("export", "--json")
        redis.cli("ACL", "DELUSER", name)
        told = run.json()
        assert run.status == told["exit"] == 2 and "NOPERM" in told["error"]
        assert list(told) == [*there, "error", "exit"]


@pytest.mark.parametrize("args", [
    ["spf", "check", "192.0.2.1", "-x", "<>"], ["spf", "192.0.2.1", "--tls", "<>"],
    ["spf", "--json", "check", "192.0.2.1", "--json", "<>"], ["--json", "spf", "192.0.2.1", "-V", ""],
    ["spf", "check", "--json", "192.0.2.1", "--", "--"], ["spf", "check", "--", "192.0.2.1", "-h", "<>"],
])
def test_spf_takes_words_that_begin_with_a_hyphen(on_file, args):
    """Behind the address all are words; both spellings of the command do the same."""
    run = on_file.do(*args)
    as_json = "--json" in args[:3]
    assert run.json()["spf"] == "none" if as_json else run.out.endswith("spf=none\n"), run


def test_spf_of_old(on_file):
    assert on_file.run("spf", "nowhere", "x", "<>").err == on_file.run(
        "spf", "check", "nowhere", "x", "<>").err == "gatepostctl: nowhere: not an IPv4 or IPv6 address\n"
    for args in (["spf"], ["spf", "check"], ["spf", "192.0.2.1", "x"], ["spf", "check", "::1", "x", "y", "z"]):
        run = on_file.run(*args)
        assert run.status == 2 and "  spf check IP HELO SENDER\n" in run.err, run


# ---- lines without end ----

def run_on(ctl, args, path, address_space=256 * 2 ** 20):
    """A run that reads `path` and may not have more memory."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

    with open(path, "rb") as text:
        return subprocess.run([CTL, "-c", ctl.conf, *args], stdin=text, capture_output=True,
                              timeout=20, check=False, text=True,
                              preexec_fn=None if SANITIZED else limit)


SANITIZED = b"__asan_init" in open(CTL, "rb").read()


@pytest.mark.parametrize("args", [["import"], ["import", "/dev/zero"], ["explain", "--log", "-"]])
@pytest.mark.parametrize("path", ["/dev/zero", "long"])
def test_a_line_without_end(on_redis, folder, path, args):
    """It ends at once, in little memory, and says which line it was; nothing is written."""
    if path == "long":
        path = folder.file("long")
        with open(path, "wb") as file:
            file.write(b"account:a@b.example tls required\n")
            file.truncate(10 ** 9)
    run = run_on(on_redis, args, path)
    number = 2 if "long" in path and "/dev/zero" not in args else 1
    assert run.returncode in (1, 2)
    assert re.search(rf"(:|line ){number}(:| is longer)", run.stderr) and "1 MiB" in run.stderr, run
    assert facts(on_redis) == []


def test_the_longest_line(on_redis, on_file, policy_path, redis):
    """1 MiB with its end: one octet more is neither read nor exported."""
    start = "account:a@b.example ip:::1 "
    fits = start + "x" * (2 ** 20 - len(start) - 1) + "\n"
    on_redis.do("import", text=fits)
    assert on_redis.do("export").out == fits
    run = on_redis.run("import", text=fits.replace(" x", " xx"))
    assert run.status == 2 and "standard input:1: the line is longer" in run.err
    with RedisClient(redis.socket) as client:
        client.command("HSET", "gatepost:account:a@b.example", "ip:::2", "\x01" * 2 ** 19)
    run = on_redis.run("export")
    assert run.status == 1 and run.out == fits and "longer than 1 MiB" in run.err
    on_file.do("import", text=fits)
    assert on_file.do("export").out == fits
    with open(policy_path, "a") as file:
        file.write(fits.replace("::1 x", "::3 xx"))
    for args in (["lint"], ["export"], ["account", "show", "a@b.example"], ["tls", "required", "c"]):
        run = on_file.run(*args)
        assert run.status in (1, 2) and "longer than 1 MiB" in run.out + run.err, run


# ---- lint ----

FINDINGS = [
    ("account:a@b.example", "tls", "maybe", "malformed"),
    ("account:a@b.example", "tls", "", "malformed"),
    ("account:a@b.example", "protocol:pop3", "perhaps", "malformed"),
    ("account:a@b.example", "ip:10.0.0.0/40", "", "malformed"),
    ("account:a@b.example", "ip:10.0.0.1", "until=2027-01-31", "malformed"),
    ("account:a@b.example", "spf:fail", "drop", "malformed"),
    ("account:a@b.example", "protocl:pop3", "off", "unknown-field"),
    ("account:a@b.example", "spf:hardfail", "reject", "unknown-field"),
    ("account:a@b.example", "protocol:pop4", "off", "unknown-protocol"),
    ("account:a@b.example", "sender", "owned", "malformed"),
    ("account:a@b.example", "as:", "", "malformed"),
    ("account:a@b.example", "as:c@d.example", "until=soon", "malformed"),
    ("account:a@b.example", "as:c+x@d.example", "", "unreachable"),
    ("account:a@b.example", "as:a@b.example", "", "unreachable"),
    ("account:a@b.example", "as:C@d.example", "", "spelling"),
    ("account:a@b.example", "as:c@d.example", "until=2020-01-31T00:00:00Z", "expired"),
    ("account:a@b.example", "ip:spf:provider", "", "malformed"),
    ("account:a@b.example", "ip:spf:p.example", "until=2020-01-31T00:00:00Z", "expired"),
    ("account:a@b.example", "Tls", "required", "spelling"),
    ("account:a@b.example", "IP:10.0.0.1", "", "spelling"),
    ("account:*@b.example", "tls", "required", "never-asked"),
    ("account:a@b.example", "ip:10.0.0.1/8", "", "host-bits"),
    ("network:relays", "10.0.0.1/8", "", "host-bits"),
    ("network:relays", "ten", "", "malformed"),
    ("network:unheard-of", "10.0.0.0/8", "", "unused-network"),
    ("account:a@b.example", "ip:10.0.0.1", "until=2020-01-31T00:00:00Z", "expired"),
    ("account:alice", "tls", "required", "no-domain"),
    ("account:Alice@b.example", "tls", "required", "never-asked"),
    ("account:a+x@b.example", "tls", "required", "never-asked"),
    ("account:a@b\u00fc.example", "tls", "required", "never-asked"),
    ("account:al\u00adice@b.example", "tls", "required", "spelling"),
    ("account:@.example", "tls", "required", "never-asked"),
    ("account:@.f.e.d.c.b.example", "tls", "required", "never-asked"),
    ("account:@*.b.example", "tls", "required", "never-asked"),
    ("account:*.b.example", "tls", "required", "no-domain"),
    ("acount:a@b.example", "tls", "required", "unknown-key"),
]


@pytest.mark.parametrize("subject, field, value, kind", FINDINGS)
def test_lint(either, on_either, subject, field, value, kind):
    either.cli("HSET", "gatepost:account:fine@b.example", "tls", "required", "ip:::1", "note")
    assert on_either.do("lint").out == ""
    either.cli("HSET", "gatepost:" + subject, field, value)
    run = on_either.run("lint")
    assert run.status == 1
    found = on_either.run("lint", "--json").json()["findings"]
    assert [(f["kind"], f["subject"]) for f in found] == [(kind, subject)], found
    assert kind in run.out and len(run.out.splitlines()) == 1


def test_lint_of_addresses_without_effect(ctl):
    ctl.do("import", text="""\
account:* ip:203.0.113.0/24 everybody
account:@b.example ip:10.0.0.0/8 all of it
account:@b.example ip:10.1.0.0/16 inside
account:@b.example ip:192.0.2.1 one
account:@b.example ip:192.0.2.1/32 the same
account:@b.example ip:198.51.100.0/24 until=2199-01-01T00:00:00Z ends
account:a@b.example ip:10.2.3.4 inside the domain's
account:a@b.example ip:203.0.113.9 inside everybody's
account:a@b.example ip:198.51.100.7 outlives the domain's
account:a@c.example ip:10.2.3.4 another domain's
account:@.p.example ip:10.0.0.0/8 the subdomains'
account:@.c.b.p.example ip:10.3.0.0/16 inside that of a parent's parent
account:@d.p.example ip:10.4.0.0/16 inside the parent's
account:a@d.c.b.p.example ip:10.3.0.1 inside both
account:a@p.example ip:10.5.0.1 in no subdomain
network:relays ::/0 all
network:relays ::1 inside
""")
    found = ctl.run("lint", "--json").json()["findings"]
    assert {(f["kind"], f["subject"], f["field"]) for f in found} == {
        ("unreachable", "account:@b.example", "ip:10.1.0.0/16"),
        ("duplicate", "account:@b.example", "ip:192.0.2.1/32"),
        ("unreachable", "account:a@b.example", "ip:10.2.3.4"),
        ("unreachable", "account:a@b.example", "ip:203.0.113.9"),
        ("unreachable", "account:@.c.b.p.example", "ip:10.3.0.0/16"),
        ("unreachable", "account:@d.p.example", "ip:10.4.0.0/16"),
        ("unreachable", "account:a@d.c.b.p.example", "ip:10.3.0.1"),
        ("unreachable", "network:relays", "::1"),
    }


def test_lint_of_names_without_effect(ctl):
    ctl.do("import", "--force", text="""\
account:* as:info@x.example everybody
account:@.b.example as:@y.example subdomains
account:@b.example as:@x.example all of it
account:@b.example as:@.z.example subdomains
account:@b.example as:@a.z.example one of them
account:@b.example as:c@z.example another
account:@b.example as:until@q.example until=2199-01-01T00:00:00Z ends
account:a@b.example as:d@x.example the domain's
account:a@b.example as:info@x.example everybody's
account:a@b.example as:d@a.z.example inside the domain's
account:a@b.example as:until@q.example outlives the domain's
account:a@c.b.example as:d@y.example a parent's
account:* ip:spf:a.p.example one
account:@b.example ip:spf:b.p.example another
account:a@b.example ip:spf:a.p.example everybody's
account:a@b.example ip:spf:c.p.example one
account:a@b.example ip:spf:d.p.example one
account:a@b.example ip:spf:e.p.example one
account:a@b.example ip:spf:f.p.example one too many
""")
    found = ctl.run("lint", "--json").json()["findings"]
    assert {(f["subject"], f["field"]) for f in found if f["kind"] == "unreachable"} == {
        ("account:@b.example", "as:@a.z.example"),
        ("account:a@b.example", "as:d@x.example"),
        ("account:a@b.example", "as:info@x.example"),
        ("account:a@b.example", "as:d@a.z.example"),
        ("account:a@c.b.example", "as:d@y.example"),
        ("account:a@b.example", "ip:spf:a.p.example"),
        ("account:a@b.example", "ip:spf:f.p.example"),
    }


def test_lint_beside_a_domain_that_cannot_be_read(redis, on_redis):
    redis.cli("SET", "gatepost:account:@b.example", "no hash")
    redis.cli("HSET", "gatepost:account:a@b.example", "as:c@x.example", "", "ip:spf:p.example", "",
              "ip:192.0.2.1", "")
    found = on_redis.run("lint", "--json").json()["findings"]
    assert [f["kind"] for f in found] == ["wrong-type", "no-provider"]


def test_lint_of_the_store(redis, on_redis):
    found = on_redis.run("lint", "--json").json()["findings"]
    assert [f["kind"] for f in found] == ["empty-store"]
    on_redis.do("tls", "required", "alice")
    redis.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    found = on_redis.run("lint", "--json").json()["findings"]
    assert [f["kind"] for f in found] == ["eviction"]
    for harmless in ("volatile-lru", "volatile-ttl", "noeviction"):     # no key of policy expires
        redis.cli("CONFIG", "SET", "maxmemory-policy", harmless)
        assert on_redis.do("lint").out == "", harmless
    redis.cli("HSET", "gatepost:account:alice@example.com", "TLS", "optional")
    found = on_redis.run("lint", "--json").json()["findings"]
    assert ("malformed", "tls") in [(f["kind"], f["field"]) for f in found]


def test_lint_advises_on_unknown_logins(folder, redis):
    def warnings(policy, **options):
        settings = {"store": redis.url, "listener": {
            "mx": {"service": "smtp"}, "in": {"service": "submission", **options.pop("of", {})}}}
        ctl = Gatepostctl(folder.file("logins.conf"), {**settings, **options})
        redis.cli("FLUSHALL")
        for account in policy:
            redis.cli("HSET", "gatepost:account:" + account, "tls", "required")
        run = ctl.do("lint")
        assert run.out == ""
        assert ctl.run("lint", "--json").json()["findings"] == []
        return run.err

    one, two = ["alice@a.example", "@a.example", "*"], ["alice@a.example", "@b.example"]
    assert 'listener "in": unknown_login is accept' in warnings(two)
    assert "unknown_login" in warnings(one, default_domain="a.example")
    assert warnings(one) == ""
    for written in ("reject", "accept"):
        assert warnings(two, of={"unknown_login": written}) == ""
    assert warnings(two, of={"service": "smtp"}) == ""
    assert "unknown_login" in warnings(two, of={"service": "smtp", "auth": "required"})


def test_lint_of_a_broken_policy_file(policy_path, on_file):
    with open(policy_path, "w") as policy:
        policy.write("account:a@b.example tls required\nnonsense\naccount:A@b tls required\n")
    run = on_file.run("lint")
    assert run.status == 1
    assert [line.split(": ")[0] for line in run.out.splitlines()] == [
        f"{policy_path}:2", f"{policy_path}:3"]
    assert on_file.run("account", "list").status == 2
    with open(policy_path, "w") as policy:
        policy.write("account:a@b.example tls required\naccount:a@b.example tls required\n")
    assert f"{policy_path}:2" in on_file.run("lint").out


def test_lint_since_notices_direct_edits(either, on_either):
    key = "gatepost:account:alice@example.com"
    on_either.do("tls", "required", "alice")
    on_either.do("ip", "add", "alice", "192.0.2.1", "a note")
    on_either.do("network", "add", "relays", "10.0.0.0/8")
    assert on_either.do("lint", "--since", "1h").out == ""

    def edited():
        found = on_either.run("lint", "--since", "1h", "--json").json()["findings"]
        return {(f["subject"], f["field"]) for f in found if f["kind"] == "edited"}

    either.cli("HSET", key, "tls", "optional")
    assert edited() == {("account:alice@example.com", "tls")}
    on_either.do("tls", "required", "alice")         # the history remembers that it was found so
    assert edited() == {("account:alice@example.com", "tls")}
    either.cli("DEL", "gatepost:history")
    on_either.do("tls", "optional", "alice")
    assert edited() == set()
    either.cli("HSET", key, "protocol:pop3", "off")  # a field that gatepostctl never touched
    assert edited() == {("account:alice@example.com", None)}
    either.cli("DEL", key)
    assert ("account:alice@example.com", "tls") in edited()
    either.cli("DEL", "gatepost:history")
    on_either.do("network", "add", "relays", "192.0.2.0/24")
    either.cli("HSET", "gatepost:network:relays", "0.0.0.0/0", "")
    assert edited() == {("network:relays", None)}


# ---- history ----

def test_history(ctl):
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ctl.do("tls", "required", "alice", "--actor", "ann")
    ctl.do("ip", "add", "alice", "192.0.2.1", "--actor", "bob")
    ctl.do("ip", "add", "alice", "192.0.2.1", "a note", "--actor", "bob")
    ctl.do("network", "add", "relays", "::1", "--actor", "ann")
    ctl.do("tls", "unset", "alice")
    entries = ctl.json("history")
    assert [(e["subject"], e["field"], e["old"], e["new"]) for e in entries] == [
        ("account:alice@example.com", "tls", None, "required"),
        ("account:alice@example.com", "ip:192.0.2.1", None, ""),
        ("account:alice@example.com", "ip:192.0.2.1", "", "a note"),
        ("network:relays", "::1", None, ""),
        ("account:alice@example.com", "tls", "required", None)]
    assert all(e["time"] >= began for e in entries)
    assert entries[-1]["actor"].startswith("root@")
    for args, n in ((["alice"], 4), (["network:relays"], 1), (["*@example.com"], 4), (["*"], 0),
                    (["--actor", "ann"], 2), (["--field", "ip:*"], 2), (["--last", "2"], 2),
                    (["--since", "1h"], 5), (["--since", began], 5),
                    (["--since", "2199-01-01T00:00:00Z"], 0),
                    (["alice", "--actor", "bob", "--last", "1"], 1)):
        assert len(ctl.json("history", *args)) == n, args
    lines = ctl.do("history").out.splitlines()
    assert "subject=account:alice@example.com field=ip:192.0.2.1 old=\"\" new=\"a note\"" in lines[2]
    assert lines[0].endswith("field=tls old= new=required")


def test_history_of_an_address_literal(ctl):
    ctl.do("tls", "required", "a@[192.0.2.1]")
    assert len(ctl.json("history", "a@[192.0.2.1]")) == 1


def test_history_is_capped(either, on_either):
    text = "".join(f"account:user{n}@example.com tls required\n" for n in range(12000))
    on_either.do("import", text=text)
    assert 10000 <= int(either.cli("XLEN", "gatepost:history")) < 11000


# ---- the policy file ----

def test_policy_file_keeps_what_nobody_touched(policy_path, on_file, folder):
    text = ("# the doors of Alice\n\naccount:alice@example.com   tls    required\n"
            "account:alice@example.com protocol:imap off\n# Bob\naccount:bob@example.com tls off")
    with open(policy_path, "w") as policy:
        policy.write(text.replace("tls off", "tls required"))
    os.chmod(policy_path, 0o640)
    os.chown(policy_path, 1, 2)
    link = folder.file(f"link{next(_numbers)}")
    os.symlink(policy_path, link)
    ctl = Gatepostctl(link + ".conf", {**SETTINGS, "store": "file:" + link})
    ctl.do("protocol", "off", "alice", "pop3")
    ctl.do("protocol", "on", "alice", "imap")
    with open(policy_path) as policy:
        assert policy.read() == (
            "# the doors of Alice\n\naccount:alice@example.com   tls    required\n"
            "account:alice@example.com protocol:imap on\n"
            "account:alice@example.com protocol:pop3 off\n"
            "# Bob\naccount:bob@example.com tls required\n")
    now = os.stat(policy_path)
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o640, 1, 2)
    assert os.path.islink(link)
    now = os.stat(policy_path + ".history")
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o640, 1, 2)
    assert sorted(os.listdir(os.path.dirname(policy_path))) == [
        "policy", "policy.conf", "policy.history"]


def test_policy_file_without_history(policy_path, on_file):
    """The change is made, and the command says so."""
    os.mkdir(policy_path + ".history")
    run = on_file.run("tls", "required", "alice")
    assert run.status == 2 and "changed, but not recorded in the history" in run.err
    assert facts(on_file) == ["account:alice@example.com tls required"]
    run = on_file.run("import", text="account:bob@example.com tls required\n")
    assert run.status == 2 and "not all of it is recorded in the history" in run.err
    assert "1 subjects were written" in run.err and len(facts(on_file)) == 2


def test_policy_file_with_a_fifo_for_a_history(policy_path, on_file):
    """Nobody waits for a reader."""
    os.mkfifo(policy_path + ".history")
    run = on_file.run("tls", "required", "alice", timeout=20)
    assert run.status == 2 and "policy.history: no regular file" in run.err, run
    assert facts(on_file) == ["account:alice@example.com tls required"]
    run = on_file.run("history", timeout=20)
    assert run.status == 2 and "policy.history: no regular file" in run.err, run


# ---- least rights ----

@pytest.fixture(scope="module")
def guarded(folder):
    """A Redis with the users of conf/redis/*.acl, their own words but for the password."""
    lines = []
    for name in ("gatepost", "gatepostctl"):
        with open(os.path.join(TOP, f"conf/redis/{name}.acl")) as acl:
            lines += [line.lstrip("#").strip().replace(">CHANGE-ME-TOO", ">sesame")
                      .replace(">CHANGE-ME", ">sesame")
                      for line in acl if line.startswith("user ")
                      or line.startswith("#user gatepost-auditor")]
    server = RedisServer(folder.sub("guarded"), lines, password="master")
    yield server.start()
    server.stop()


def as_user(folder, server, user):
    secret = folder.file("sesame")
    with open(secret, "w") as file:
        file.write("sesame\n")
    return Gatepostctl(folder.file(user + ".conf"), {
        **SETTINGS, "store": server.url, "store_user": user, "store_password_file": secret})


def test_least_rights(folder, guarded):
    admin = as_user(folder, guarded, "gatepostctl")
    for args, _ in WRITES:
        admin.do(*args)
    for args in (["account", "show", "alice"], ["account", "list"], ["network", "list", "relays"],
                 ["lint", "--since", "1h"], ["export"], ["history"],
                 ["account", "delete", "alice"]):
        run = admin.run(*args)
        assert run.status == (1 if args[0] == "lint" else 0) and "cannot check" not in run.err, run
    auditor = as_user(folder, guarded, "gatepost-auditor")
    for args in (["account", "show", "alice"], ["lint"], ["export"], ["history"]):
        run = auditor.do(*args)
        assert "cannot check" not in run.err
    auditor = Gatepostctl(folder.file("auditor-use.conf"), {
        **SETTINGS, "store": guarded.url, "store_user": "gatepost-auditor", "record_use": True,
        "store_password_file": folder.file("sesame")})
    for args in (["account", "show", "alice"], ["lint"], ["use", "alice"], ["unused"], ["suggest"]):
        assert "NOPERM" not in auditor.run(*args).err, args
    for user in ("gatepost", "gatepostctl", "gatepost-auditor"):
        run = as_user(folder, guarded, user).run("explain", "--ip", "192.0.2.1", "--login", "alice")
        assert (run.status, run.err) == (0, ""), run
    for user in ("gatepost", "gatepost-auditor"):
        run = as_user(folder, guarded, user).run("tls", "required", "alice")
        assert run.status == 2 and "NOPERM" in run.err
    for command in (["DEL", "gatepost:history"], ["FLUSHALL"], ["XTRIM", "gatepost:history", "MAXLEN", "0"],
                    ["CONFIG", "SET", "maxmemory", "1"], ["HSET", "other", "a", "b"],
                    ["KEYS", "*"], ["EVAL", "return 1", "0"]):
        denied = subprocess.run(
            ["redis-cli", "-p", str(guarded.port), "--user", "gatepostctl", "--pass", "sesame",
             "--no-auth-warning", *command], capture_output=True, text=True, check=False)
        assert "NOPERM" in denied.stdout, (command, denied.stdout)


# ---- the shell ----

COMPLETION = os.path.join(TOP, "packaging/gatepostctl.bash")


def complete(ctl, line):
    """What bash offers for that line, the path of gatepostctl and its configuration put in."""
    script = f"""
        PATH={shlex.quote(os.path.dirname(CTL))}:$PATH
        source {shlex.quote(COMPLETION)}
        COMP_LINE={shlex.quote(line)}
        COMP_POINT=${{#COMP_LINE}}
        _gatepostctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True,
                         env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert run.stderr == ""
    return run.stdout.split()


def test_completion(redis, on_redis):
    subprocess.run(["bash", "-n", COMPLETION], check=True)
    on_redis.do("import", text="account:alice@example.com ip:192.0.2.1\naccount:alfred@x.example "
                               "tls required\nnetwork:relays 10.0.0.0/8\n"
                               "account:alfred@x.example ip:spf:p.example\n"
                               "account:@example.com ip:192.0.2.99 not of alice\n"
                               "account:alfred@x.example as:sales@x.example the team\n")
    conf = f"gatepostctl -c {on_redis.conf} "
    sections = Gatepostctl(on_redis.conf + ".bound", {
        "store": redis.url, "protocol": {"both": {"services": ["submission", "submissions"]}}})
    bound = f"gatepostctl -c {sections.conf} "
    others = ["smtp", "imap", "pop3", "sieve", "caldav", "carddav", "webdav", "activesync", "jmap",
              "webmail"]
    for line, wanted in (
            ("gatepostctl acc", ["account"]),
            ("gatepostctl account ", ["show", "list", "delete"]),
            ("gatepostctl protocol o", ["on", "off"]),
            (conf + "account show al", ["alfred@x.example", "alice@example.com"]),
            (conf + "account show alice@e", ["example.com"]),
            (conf + "protocol off alice@example.com sub", ["submission", "submissions"]),
            (conf + "protocol off alice@example.com pop3 im", ["imap"]),
            (bound + "protocol off alice@example.com ", ["both", *others]),
            (conf + "ip remove alice@example.com 1", ["192.0.2.1"]),
            (conf + "ip remove alice 1", ["192.0.2.1"]),
            (conf + "ip remove account:alice@example.com 1", ["192.0.2.1"]),
            (conf + "ip remove @example.com 1", ["192.0.2.99"]),
            ("gatepostctl history --format t", ["text"]),
            ("gatepostctl import x --p", ["--prune"]),
            (conf + "ip remove alfred@x.example s", ["spf:p.example"]),
            (conf + "as remove alfred@x.example s", ["sales@x.example"]),
            ("gatepostctl as ", ["add", "remove", "list"]),
            ("gatepostctl sender o", ["own"]),
            ("gatepostctl as list --", ["--json"]),
            ("gatepostctl as add x y --u", ["--until"]),
            (conf + "network remove r", ["relays"]),
            (conf + "network remove relays ", ["10.0.0.0/8"]),
            ("gatepostctl spf set x soft", ["softfail"]),
            ("gatepostctl spf set x softfail re", ["reject"]),
            ("gatepostctl ip add x 192.0.2.1 --u", ["--until"]),
            ("gatepostctl lint --", ["--json", "--since", "--dns"]),
            ("gatepostctl repl", ["replay"]),
            ("gatepostctl replay x.log --", ["--json", "--with", "--policy"]),
            ("gatepostctl expl", ["explain"]),
            ("gatepostctl reload --", ["--json"]),
            ("gatepostctl status --w", ["--watch"]),
            ("gatepostctl explain --l", ["--login", "--listener", "--log"]),
            (conf + "explain --ip 192.0.2.1 --from al", ["alfred@x.example", "alice@example.com"]),
            (conf + "explain --login alice@e", ["example.com"]),
            (conf + "explain --ip 192.0.2.1 --listener sub", ["submission", "submissions"]),
            (conf + "explain --ip 192.0.2.1 ", []),
            (conf + "explain --ip ", []),
            (conf + "explain --listener mx --h", ["--helo"]),
            ("gatepostctl explain --service su", ["submission", "submissions"]),
            ("gatepostctl protocol off x --k", ["--kick"]),
            ("gatepostctl protocol on x --k", []),
            ("gatepostctl protocol off x --kick po", ["pop3"]),
            ("gatepostctl doors check mail.example.com --p", ["--password-file", "--port", "--path"]),
            ("gatepostctl doors check mail.example.com --d", []),
            (conf + "doors check --port imap=1143 --canary al",
             ["alfred@x.example", "alice@example.com"])):
        assert complete(on_redis, line) == wanted, line


def commands():
    """The names of all commands, as the summary lists them."""
    summary = subprocess.run([CTL, "-h"], capture_output=True, text=True, check=True).stdout
    names = []
    for line in summary.splitlines():
        if line.startswith("  ") and not line.startswith("  -"):
            names.append([word for word in line.split() if word.isalpha() and word.islower()])
    return names


def test_every_command_is_documented():
    with open(os.path.join(TOP, "milter/gatepostctl.8")) as page:
        manual = page.read()
    assert len(commands()) > 25
    for words in commands():
        assert f"Cm {' '.join(words)}" in manual, words


def test_every_command_is_completed(on_redis):
    firsts = complete(on_redis, "gatepostctl ")
    assert firsts == list(dict.fromkeys(words[0] for words in commands()))
    for first in firsts:
        seconds = [words[1] for words in commands() if words[0] == first and words[1:]]
        if seconds:
            assert complete(on_redis, f"gatepostctl {first} ") == seconds


def test_every_field(redis, on_redis):
    """Every field that gatepostctl knows stands in the manual; one with a single word is set, shown
    and unset by the commands that are made from its words."""
    with open(os.path.join(TOP, "conf/gatepost.conf.5")) as page:
        manual = page.read()
    listed = on_redis.run("import", text="account:alice@example.com nonsense x").err
    fields = re.search("the fields are (.*)", listed).group(1).replace(" and ", ", ").split(", ")
    assert {"source", "protocol:NAME"} < set(fields)
    for field in fields:
        name, colon, _ = field.partition(":")
        assert f".It {name}{': Ns Ar ' if colon else chr(10)}" in manual, field
        if colon:
            continue
        words = [command[1] for command in commands() if command[0] == name]
        words = words[:words.index("unset") + 1]
        assert len(words) > 2 and words.pop() == "unset"
        for word in words:
            on_redis.do(name, word, "alice", "--force")
            stored = redis.cli("HGET", "gatepost:account:alice@example.com", name)
            assert stored.strip() == word
            shown = on_redis.json("account", "show", "alice")["settings"][name]
            assert (shown["value"], shown["from"]) == (word, "account")
        on_redis.do(name, "unset", "alice", "--force")
        assert on_redis.json("account", "show", "alice")["settings"][name]["subject"] is None


# ---- many ----

def test_a_hundred_thousand_accounts(on_redis, folder, record_property):
    """Imported, linted, exported and imported again; the times are printed, not judged."""
    path = folder.file("many")
    with open(path, "w") as many:
        for n in range(100_000):
            name = f"account:user{n}@d{n % 500}.example"
            many.write(f"{name} ip:10.{n >> 16}.{n >> 8 & 255}.{n & 255} host {n}\n"
                       f"{name} protocol:pop3 off\n{name} tls required\n")
    times = {}

    def timed(what, *args):
        began = time.monotonic()
        run = on_redis.do(*args, timeout=600)
        times[what] = round(time.monotonic() - began, 2)
        return run

    run = timed("import", "import", path)
    assert run.out.startswith("100000 subjects written (300000 fields set, 0 removed), 0 unchanged")
    progress = [line for line in run.err.splitlines() if " of 100000" in line]
    assert progress == run.err.splitlines()[-len(progress):] and len(progress) <= times["import"] + 1
    assert timed("lint", "lint").out == ""
    exported = timed("export", "export").out
    with open(path) as many:
        assert sorted(exported.splitlines()) == sorted(many.read().splitlines())
    assert timed("import again", "import", path).out.startswith("0 subjects written")
    print("100,000 accounts, seconds:", times)
    record_property("seconds", times)


def test_progress_on_a_terminal(on_redis, folder):
    """It begins after a second: the input is one that no machine takes in less."""
    path = folder.file("very-many")
    with open(path, "w") as file:
        file.writelines(f"account:user{n}@d{n % 500}.example tls required\n" for n in range(500_000))
    outer, inner = os.openpty()
    with subprocess.Popen([CTL, "-c", on_redis.conf, "import", path], stderr=inner,
                          stdout=subprocess.DEVNULL,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}) as child:
        os.close(inner)
        shown = b""
        while True:
            try:
                piece = os.read(outer, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        assert child.wait() == 0
    os.close(outer)
    assert b"\rimport [" in shown and b"500000 of 500000" in shown
