"""gatepostctl on a Redis that refuses to be written to: it says why and what to do, and nothing is
half-written."""

import os
from contextlib import contextmanager

import pytest

from support.gatepostctl import Gatepostctl
from support.ports import free_port
from support.process import wait_until
from support.redis_client import RedisClient, RedisError
from support.redis_server import RedisServer

POLICY = """\
account:a@b.example ip:192.0.2.1 office
account:a@b.example protocol:pop3 off
account:c@b.example protocol:imap off
network:gate 192.0.2.0/24 inside
"""
WRITES = [
    ["protocol", "off", "a@b.example", "imap", "webmail"],
    ["ip", "remove", "a@b.example", "192.0.2.1"],
    ["network", "add", "gate", "198.51.100.0/24"],
    ["account", "delete", "c@b.example"],
]


@pytest.fixture(scope="module")
def server(site):
    redis = RedisServer(site.folder.sub("redis-refusing"), ["lua-time-limit 20"])
    yield redis.start()
    redis.kill()


@pytest.fixture
def ctl(server, site):
    server.cli("FLUSHALL")
    ctl = Gatepostctl(site.folder.file("refused.conf"), {"store": server.url, "trusted": []})
    ctl.do("import", text=POLICY)
    return ctl


@contextmanager
def settings(server, set_to, back, name):
    server.cli("CONFIG", "SET", name, set_to)
    try:
        yield
    finally:
        server.cli("CONFIG", "SET", name, back)


def out_of_memory(server):
    return settings(server, "1", "0", "maxmemory")


def without_replicas(server):
    return settings(server, "1", "0", "min-replicas-to-write")


@contextmanager
def as_replica(server):
    server.cli("REPLICAOF", "127.0.0.1", free_port())
    try:
        yield
    finally:
        server.cli("REPLICAOF", "NO", "ONE")


@contextmanager
def unable_to_save(server):
    def save(status):
        server.cli("BGSAVE")
        wait_until(lambda: f"rdb_last_bgsave_status:{status}" in server.cli("INFO", "persistence"))

    in_its_place = os.path.join(server.folder, "dump.rdb")
    server.cli("CONFIG", "SET", "save", "3600 1")
    os.mkdir(in_its_place)
    save("err")
    try:
        yield
    finally:
        os.rmdir(in_its_place)
        save("ok")
        server.cli("CONFIG", "SET", "save", "")


@contextmanager
def busy(server):
    with RedisClient(server.socket) as client:
        client.send("EVAL", "while true do end", "0")
        wait_until(lambda: server.cli("GET", "x").startswith("BUSY"))
        try:
            yield
        finally:
            server.cli("SCRIPT", "KILL")
        with pytest.raises(RedisError):
            client.read_reply()


def denied(command):
    @contextmanager
    def deny(server):
        server.cli("ACL", "SETUSER", "default", "-" + command)
        try:
            yield
        finally:
            server.cli("ACL", "SETUSER", "default", "+" + command)
    return deny


@pytest.mark.parametrize("trouble, words", [
    (out_of_memory, ["OOM", "maxmemory", "raise it"]),
    (unable_to_save, ["MISCONF", "its log says why"]),
    (as_replica, ["READONLY", "replica", "store of the master"]),
    (without_replicas, ["NOREPLICAS", "min-replicas-to-write"]),
    (busy, ["BUSY", "FUNCTION KILL ends it"]),
    *((denied(name), ["NOPERM", name, "gatepostctl.acl"])
      for name in ("watch", "multi", "exec", "xadd")),
], ids=["oom", "misconf", "readonly", "noreplicas", "busy", "watch", "multi", "exec", "xadd"])
def test_refused(server, ctl, trouble, words):
    before, history = ctl.do("export").out, ctl.do("history").out
    with trouble(server):
        for args in WRITES:
            run = ctl.run(*args)
            assert run.status == 2 and run.out == "", run
            assert all(word in run.err for word in words), run
        if "watch" not in words:        # an import needs none
            run = ctl.run("import", text=POLICY.replace(" off", " on"))
            assert run.status != 0 and all(word in run.err for word in words), run
    assert ctl.do("export").out == before
    assert ctl.do("history").out == history
    for args in WRITES:
        ctl.do(*args)
    assert ctl.do("export").out != before


def test_a_history_that_is_none(server, ctl):
    """A transaction does not undo what was done before one of its commands failed."""
    server.cli("SET", "gatepost:history", "x")
    before = ctl.do("export").out
    for args in WRITES:
        run = ctl.run(*args)
        assert run.status == 2 and run.out == "", run
        assert "gatepost:history is not a stream" in run.err and "DEL" in run.err, run
    assert ctl.do("export").out == before
    server.cli("DEL", "gatepost:history")
    with denied("xrange")(server):      # who writes need not be one who may read it
        ctl.do(*WRITES[0])
    assert ctl.do("export").out != before


@pytest.mark.parametrize("command", ["WATCH", "MULTI", "EXEC", "XADD"])
def test_a_renamed_command(site, domain, command):
    redis = RedisServer(site.folder.sub("redis-" + domain), [f'rename-command {command} ""'])
    ctl = Gatepostctl(site.folder.file("refused.conf"), {"store": redis.start().url, "trusted": []})
    try:
        redis.cli("HSET", f"gatepost:account:a@{domain}", "protocol:pop3", "on")
        before = ctl.do("export").out
        run = ctl.run("protocol", "off", f"a@{domain}", "pop3", "imap")
        assert run.status == 2 and run.out == "", run
        assert "unknown command" in run.err and command in run.err, run
        assert "rename-command" in run.err, run
        assert ctl.do("export").out == before
        assert redis.cli("EXISTS", "gatepost:history") == "0"
    finally:
        redis.kill()
