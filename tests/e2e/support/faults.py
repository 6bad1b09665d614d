"""Owns the faults of a Redis server as its filter meets them: how each begins and how it ends.

Every function takes the Ground. A fault's end() returns when Redis answers anybody else again.
"""

from typing import Callable, NamedTuple

from .network_namespace import NetworkNamespace
from .ports import free_port
from .redis_client import RedisError

REDIS_ADDRESS, FILTER_ADDRESS = "10.77.0.2", "10.77.0.1"
PASSWORD = "sesame"


class Fault(NamedTuple):
    name: str
    begin: Callable
    end: Callable
    loses_data: bool = False


def _kill(ground):
    ground.forget_client()
    ground.redis.kill()


def _start(ground, *options):
    ground.redis.start(*options)
    ground.wait_for_redis()


def _start_empty(ground):
    ground.redis.lose_data()
    _start(ground)


def _start_loading(ground):
    """It takes its time over reading its data, and says so meanwhile."""
    ground.redis.start("--key-load-delay", "80")
    ground.wait_for_redis()


def _resume(ground):
    ground.redis.resume()
    ground.wait_for_redis()


def _sleep(ground):
    ground.client.send("DEBUG", "SLEEP", "1.5")


def _slept(ground):
    ground.client.read_reply()


def _run_script(ground):
    ground.client.send("EVAL", "while true do end", "0")


def _kill_script(ground):
    ground.redis.cli("SCRIPT", "KILL")
    try:
        ground.client.read_reply()
    except RedisError:
        pass


def _lose_master(ground):
    """It is a replica now, of nobody."""
    ground.client.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    ground.client.command("REPLICAOF", "127.0.0.1", free_port())


def _be_master(ground):
    ground.client.command("REPLICAOF", "NO", "ONE")


def drop_connections(ground):
    """All but the test's own."""
    for kind in ("normal", "pubsub"):
        ground.client.command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def _reach_maxclients(ground):
    ground.client.command("CONFIG", "SET", "maxclients", "1")
    drop_connections(ground)


def _raise_maxclients(ground):
    ground.client.command("CONFIG", "SET", "maxclients", "1000")


def _change_password(ground):
    ground.client.command("CONFIG", "SET", "requirepass", "another")
    drop_connections(ground)


def _restore_password(ground):
    ground.client.command("CONFIG", "SET", "requirepass", PASSWORD)


def wired_networks():
    """(the filter's network, Redis's own, Redis's address), a cable between them."""
    of_filter, of_redis = NetworkNamespace(), NetworkNamespace()
    of_redis.plug_into(of_filter, REDIS_ADDRESS, FILTER_ADDRESS)
    return of_filter, of_redis, REDIS_ADDRESS


KILLED = Fault("kill -9, back with its data", _kill, _start)
LOADING = Fault("kill -9, back and loading its data", _kill, _start_loading)
EMPTIED = Fault("kill -9, back empty", _kill, _start_empty, loses_data=True)
HUNG = Fault("SIGSTOP", lambda ground: ground.redis.freeze(), _resume)
SLOW = Fault("DEBUG SLEEP 1.5", _sleep, _slept)
BUSY = Fault("a script that does not end", _run_script, _kill_script)
MASTERDOWN = Fault("a replica without its master", _lose_master, _be_master)
MAXCLIENTS = Fault("maxclients reached", _reach_maxclients, _raise_maxclients)
DROPPED = Fault("connections dropped", drop_connections, lambda ground: None)
PASSWORD_CHANGED = Fault("password changed", _change_password, _restore_password)
UNPLUGGED = Fault("network cut, link down",
                  lambda ground: ground.networks[1].pull_plug(),
                  lambda ground: ground.networks[1].push_plug())
BLACKHOLE = Fault("network cut, answers vanish",
                  lambda ground: ground.networks[1].blackhole(FILTER_ADDRESS),
                  lambda ground: ground.networks[1].no_blackhole(FILTER_ADDRESS))
