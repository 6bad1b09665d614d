"""gatepostctl and what users have set themselves: shown, explained, checked, exported, removed.

What it prints stands in golden/self.txt; UPDATE_GOLDEN=1 writes it anew.
"""

import json
import os

import pytest

from support import policy
from support.folder import Folder
from support.gatepostctl import Gatepostctl
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden/self.txt")
SETTINGS = {
    "default_domain": "example.com",
    "trusted": [],
    "listener": {"mx": {"daemon_port": 25, "service": "smtp"},
                 "submission": {"daemon_port": 587, "service": "submission"},
                 "imap": {"door": "dovecot", "service": "imap"}},
    "settings": {},
}
POLICY = """account:@example.com ip:192.0.2.0/24 office
account:alice@example.com protocol:sieve off
self:alice@example.com ip:198.51.100.7 from=2099-01-31T00:00:00Z home
self:alice@example.com protocol:imap off
self:alice@example.com protocol:pop3 off until=2099-01-31T00:00:00Z
self:alice@example.com source authorized
self:bob@example.com protocol:imap off
"""


@pytest.fixture(scope="module")
def folder():
    made = Folder("gpself-")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def server(folder):
    redis = RedisServer(folder.sub("redis"))
    yield redis.start()
    redis.stop()


@pytest.fixture(scope="module")
def cluster_server(folder):
    cluster = RedisCluster(folder.sub("cluster"))
    yield cluster.start()
    cluster.stop()


@pytest.fixture
def on_redis(folder, server):
    server.cli("FLUSHALL")
    return Gatepostctl(folder.file("redis.conf"), {**SETTINGS, "store": server.url})


@pytest.fixture
def on_cluster(folder, cluster_server):
    cluster_server.each("FLUSHALL")
    return Gatepostctl(folder.file("cluster.conf"), {**SETTINGS, "store": cluster_server.url})


@pytest.fixture
def on_file(folder):
    path = folder.file("policy")
    for name in (path, path + ".history"):
        if os.path.exists(name):
            os.remove(name)
    policy.as_file(path, "")
    return Gatepostctl(folder.file("file.conf"), {**SETTINGS, "store": "file:" + path})


@pytest.fixture(params=["redis", "file", "cluster"])
def ctl(request):
    return request.getfixturevalue("on_" + request.param)


def test_what_is_told(on_redis):
    on_redis.do("import", text=POLICY)
    text = ""
    for args in (["account", "show", "alice"], ["export"], ["lint"], ["ip", "list", "alice"],
                 ["explain", "--ip", "203.0.113.1", "--login", "alice", "--tls"],
                 ["explain", "--ip", "192.0.2.1", "--login", "alice", "--door", "dovecot",
                  "--service", "imap"],
                 ["explain", "--ip", "192.0.2.1", "--login", "alice", "--door", "dovecot",
                  "--service", "pop3"]):
        run = on_redis.run(*args)
        text += f"$ gatepostctl {' '.join(args)}\n{run.out}{run.err}=> {run.status}\n\n"
    if os.environ.get("UPDATE_GOLDEN"):
        with open(GOLDEN, "w", encoding="utf-8") as golden:
            golden.write(text)
    with open(GOLDEN, encoding="utf-8") as golden:
        assert text == golden.read()


def test_shown_as_json(ctl):
    ctl.do("import", text=POLICY)
    shown = ctl.json("account", "show", "alice")
    assert shown["protocols"]["imap"] == {
        "value": "off", "from": "self", "subject": "self:alice@example.com",
        "field": "protocol:imap"}
    assert shown["protocols"]["pop3"]["until"] == "2099-01-31T00:00:00Z"
    assert shown["protocols"]["sieve"]["from"] == "account"
    assert shown["settings"]["source"]["from"] == "self"
    assert {"subject": "self:alice@example.com", "state": "found",
            "fields": 4} in shown["subjects"]
    [home] = [a for a in shown["addresses"] if a["subject"] == "self:alice@example.com"]
    assert home["pending"] is True and home["from"] == "2099-01-31T00:00:00Z"
    assert all(s["subject"] != "self:carol@example.com"
               for s in ctl.json("account", "show", "carol")["subjects"])


def test_a_round_trip(ctl):
    ctl.do("import", text=POLICY)
    text = ctl.do("export").out
    assert sorted(text.splitlines()) == sorted(POLICY.splitlines())
    ctl.do("self", "forget", "alice")
    assert "self:alice" not in ctl.do("export").out
    assert ctl.do("import", "--replace", text=text)
    assert ctl.do("export").out == text
    ctl.do("import", text="self:carol@example.com protocol:imap off\n")
    ctl.do("import", "--replace", "--prune", text=text)
    assert ctl.do("export").out == text
    # an export of the host's policy alone opens nothing that users have closed
    host = "".join(line for line in text.splitlines(True) if not line.startswith("self:"))
    ctl.do("import", "--replace", "--prune", text=host)
    assert ctl.do("export").out == text
    assert json.loads(ctl.do("export", "--json").out)["self:bob@example.com"] == {
        "protocol:imap": "off"}


@pytest.mark.parametrize("line", [
    "self:alice@example.com protocol:imap on", "self:alice@example.com mode monitor",
    "self:alice@example.com ip:spf:example.com", "self:alice@example.com source any",
    "self:@example.com protocol:imap off", "self:* protocol:imap off",
    "self:history protocol:imap off", "self:alice@example.com protocol:imap off until=soon",
    "self:alice@example.com protocol:nothing off"])
def test_what_no_user_can_set_is_not_written(ctl, line):
    run = ctl.run("import", text=line + "\n")
    assert run.status == 1, run
    assert ctl.do("export").out == ""


def test_delete_and_forget(ctl):
    ctl.do("import", text=POLICY)
    run = ctl.do("self", "forget", "alice", "--dry-run")
    assert "protocol:imap" in run.out and "self:alice" in ctl.do("export").out
    assert ctl.json("account", "delete", "alice")["subject"] == "account:alice@example.com"
    assert sorted({line.split()[0] for line in ctl.do("export").out.splitlines()}) == [
        "account:@example.com", "self:bob@example.com"]
    assert "self:bob@example.com" in ctl.do("self", "forget", "bob").out
    run = ctl.run("self", "forget", "bob")
    assert run.status == 1 and "nothing is set" in run.err
    for name in ("@example.com", "*"):
        assert "only the user" in ctl.run("self", "forget", name).err


@pytest.mark.parametrize("words, own", [
    (["protocol", "on", "alice", "imap"], "protocol:imap off"),
    (["protocol", "on", "alice", "*"], "protocol:pop3 off until=2099-01-31T00:00:00Z"),
    (["protocol", "unset", "alice", "sieve", "imap"], "protocol:imap off"),
    (["source", "any", "alice"], "source authorized"),
])
def test_what_the_user_has_closed_the_host_does_not_open(ctl, words, own):
    ctl.do("import", text=POLICY)
    ctl.do("protocol", "off", "alice", "imap", "--force")
    assert f"alice@example.com has set {own} himself" in ctl.do(*words).err


@pytest.mark.parametrize("words", [
    ["protocol", "off", "alice", "imap", "--force"],       # he says the same
    ["protocol", "on", "alice", "sieve"],                  # his are others
    ["source", "any", "bob"],
    ["source", "any", "@example.com"],
    ["ip", "add", "alice", "198.51.100.7"],
])
def test_nothing_is_said_of_the_user_where_he_is_in_nobodys_way(ctl, words):
    ctl.do("import", text=POLICY)
    assert "himself" not in ctl.do(*words).err


def test_both_histories_by_time(ctl):
    """What was changed of the policy and of self facts, in the order in which it was."""
    for n in range(4):
        ctl.do("protocol", "off" if n % 2 == 0 else "on", "alice", "jmap")
        ctl.do("import", text=f"self:alice@example.com ip:192.0.2.{n} x\n")
    entries = ctl.json("history", "alice")
    assert [entry["subject"].split(":")[0] for entry in entries] == ["account", "self"] * 4
    assert len(ctl.json("history", "self:alice@example.com")) == 4
    assert ctl.do("lint", "--since", "1h")


def test_a_replay_knows_them(ctl, folder):
    """What is judged anew is judged with them, and a change of them can be tried."""
    ctl.do("import", text=POLICY)
    log = folder.file("verdicts.log")
    with open(log, "w") as lines:
        lines.write("event=verdict stage=door session=1 queue= listener=imap door=dovecot "
                    "service=imap client=192.0.2.1 helo= sender= login=alice@example.com "
                    "account=alice@example.com spf= verdict=reject reason=protocol-disabled "
                    "from=self:alice@example.com:protocol:imap mode=enforce would= reply= us=10\n")
    assert "none would change" in ctl.do("replay", log).out
    run = ctl.run("replay", log, "--with", "self forget alice")
    assert run.status == 1 and "reject protocol-disabled -> accept" in run.out
    assert "self:alice@example.com" in ctl.do("export").out


def test_whom_the_history_names(on_redis, server):
    """The entries of the program for users: who, and from where."""
    server.cli("XADD", "gatepost-self:history", "*", "actor", "self:alice@example.com", "client",
               "192.0.2.9", "subject", "self:alice@example.com", "field", "protocol:pop3", "new",
               "off", "state", "0000000000000001")
    [entry] = on_redis.json("history")
    assert (entry["actor"], entry["client"]) == ("self:alice@example.com", "192.0.2.9")
    assert "client=192.0.2.9" in on_redis.do("history", "alice").out
    assert server.cli("EXISTS", "gatepost:history") == "0"
    on_redis.do("protocol", "off", "alice", "jmap")
    assert server.cli("XLEN", "gatepost-self:history") == "1"


def test_lint(ctl, on_redis, server):
    ctl.do("import", text=POLICY)
    assert ctl.run("lint").status == 0
    bare = Gatepostctl(ctl.conf + ".bare", None)
    with open(ctl.conf) as conf, open(bare.conf, "w") as without:
        without.write(conf.read().replace("settings {\n}\n", ""))
    run = bare.run("lint", "--json")
    assert [f["kind"] for f in run.json()["findings"]] == ["self-unused"]
    policy.load(server, "self:alice@example.com protocol:pop3 maybe\n"
                "self:alice@example.com protocol:jmap off until=2020-01-01T00:00:00Z\n"
                "self:Alice@example.com protocol:jmap off\nself:@example.com source authorized\n"
                "self:dave@other.example source authorized\n"
                "account:alice@example.com tls required")
    server.cli("HSET", "gatepost:self:eve@example.com", "protocol:pop3", "off")
    told = on_redis.run("lint", "--json").json()
    found = {(f["kind"], f["subject"], f["field"]) for f in told["findings"]}
    assert found >= {("malformed", "self:alice@example.com", "protocol:pop3"),
                     ("never-asked", "self:Alice@example.com", None),
                     ("never-asked", "self:@example.com", None),
                     ("unknown-key", "gatepost:self:eve@example.com", None)}, found
    noted = {(n["kind"], n["subject"], n["field"]) for n in told["notes"]}
    assert ("expired", "self:alice@example.com", "protocol:jmap") in noted
    assert ("self-stranger", None, None) in noted


def test_a_key_of_self_facts_that_is_no_hash(on_redis, server):
    server.cli("SET", "gatepost-self:alice@example.com", "x")
    run = on_redis.run("import", text="self:alice@example.com protocol:pop3 off\n")
    assert run.status == 1 and "not a hash" in run.err
    assert "wrong type" in on_redis.do("account", "show", "alice").out
    assert on_redis.run("lint").status == 1
    on_redis.do("self", "forget", "alice")
    assert server.cli("EXISTS", "gatepost-self:alice@example.com") == "0"
