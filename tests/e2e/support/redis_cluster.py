"""Owns a private Redis Cluster on loopback: masters, replicas, and the moving of slots."""

import os
import subprocess
from contextlib import contextmanager

from .ports import free_port
from .process import wait_until
from .redis_server import LONG_SILENCE, SHORT_SILENCE, RedisServer, environment, in_url

SLOTS = 16384


class RedisCluster:
    """`masters` masters that share the slots, `replicas` of the first of them, and `spare` nodes
    that are no members yet.

    A node that is down leaves the others serving (cluster-require-full-coverage no).
    """

    def __init__(self, folder, masters=3, replicas=0, spare=0, directives=(), password=None,
                 host="127.0.0.1"):
        self.nodes = []
        self.host = host
        self._bus_ports = {}
        self._n_masters = masters
        self.password = password
        for number in range(masters + replicas + spare):
            path = os.path.join(folder, f"node{number}")
            os.makedirs(path)
            bus_port = free_port()
            self.nodes.append(RedisServer(path, [
                "cluster-enabled yes", "cluster-config-file nodes.conf",
                f"cluster-port {bus_port}", f"cluster-node-timeout {LONG_SILENCE}",
                "cluster-require-full-coverage no", "repl-diskless-sync-delay 0",
                "cluster-replica-validity-factor 0",
                "cluster-allow-replica-migration no", *directives], password=password,
                host=host))
            self._bus_ports[self.nodes[-1]] = bus_port
        self.masters = self.nodes[:masters]
        self.replicas = self.nodes[masters:masters + replicas]
        self.spare = self.nodes[masters + replicas:]

    @property
    def url(self):
        return "redis+cluster://" + ",".join(f"{in_url(self.host)}:{node.port}"
                                             for node in self.masters)

    def start(self):
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.masters):
            first, last = self._range(number)
            node.cli("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.cli("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in [*self.masters[1:], *self.replicas]:
            self._meet(node)
        self.wait_settled()
        for replica in self.replicas:
            replica.cli("CLUSTER", "REPLICATE", self.id_of(self.masters[0]))
            wait_until(lambda r=replica: "master_link_status:up" in r.cli("INFO", "replication"),
                       20, "replica in step")
            for node in self.masters:
                wait_until(lambda n=node, r=replica: f"slave {self.id_of(self.masters[0])}" in next(
                    line for line in n.cli("CLUSTER", "NODES").splitlines() if f":{r.port}@" in line),
                    30, "replica known as such")
        self.wait_settled()
        return self

    def _range(self, number):
        size = SLOTS // self._n_masters
        last = SLOTS - 1 if number == self._n_masters - 1 else (number + 1) * size - 1
        return number * size, last

    def _meet(self, node):
        self.masters[0].cli("CLUSTER", "MEET", self.host, node.port, self._bus_ports[node])

    def join(self, node):
        """A spare node becomes a member without slots."""
        self._meet(node)
        everybody = [*self.masters, *self.replicas, node]
        wait_until(lambda: all(self._knows(member, everybody) for member in everybody)
                   and "cluster_state:ok" in node.cli("CLUSTER", "INFO"), 20,
                   "the new node is known")
        self.masters.append(node)

    def _knows(self, node, others):
        known = node.cli("CLUSTER", "NODES")
        return all(f":{other.port}@" in known for other in others) and "handshake" not in known

    def wait_settled(self):
        def settled():
            members = [*self.masters, *self.replicas]
            return all(self._knows(node, members)
                       and "cluster_state:ok" in node.cli("CLUSTER", "INFO")
                       and "cluster_slots_ok:16384" in node.cli("CLUSTER", "INFO")
                       for node in members)
        wait_until(settled, 30, "the cluster is in order")

    def stop(self):
        for node in self.nodes:
            node.kill()

    @contextmanager
    def attentive(self):
        """As long as this lasts, a node that dies is soon replaced or given up by the others."""
        self._set_timeout(SHORT_SILENCE)
        yield
        self._set_timeout(LONG_SILENCE)

    def _set_timeout(self, milliseconds):
        for node in self.nodes:
            if node.running():
                node.cli("CONFIG", "SET", "cluster-node-timeout", milliseconds)

    def id_of(self, node):
        return node.cli("CLUSTER", "MYID")

    def slot_of(self, key):
        return int(self.alive().cli("CLUSTER", "KEYSLOT", key))

    def alive(self):
        return next(node for node in self.nodes if node.running())

    def owner_of(self, slot):
        """The master that says that it serves a slot."""
        for node in self.nodes:
            if node.running() and node.cli("ROLE").startswith("master"):
                for line in node.cli("CLUSTER", "NODES").splitlines():
                    words = line.split()
                    if "myself" in words[2] and any(
                            int(part.split("-")[0]) <= slot <= int(part.split("-")[-1])
                            for part in words[8:] if not part.startswith("[")):
                        return node
        raise AssertionError(f"nobody serves slot {slot}")

    def each(self, *args):
        """Run a command at every master; what they print."""
        return [node.cli(*args) for node in self.masters]

    def cli(self, *args):
        """Run a command (str or bytes) wherever redis-cli -c finds its key."""
        argv = ["redis-cli", "-c", "-h", self.host, "-p", str(self.alive().port),
                *(arg if isinstance(arg, bytes) else str(arg) for arg in args)]
        done = subprocess.run(argv, capture_output=True, text=True, errors="surrogateescape",
                              timeout=30, env=environment(self.password))
        output = done.stdout.strip()
        if done.returncode or output.startswith(("ERR", "CLUSTERDOWN", "Could not", "(error)")):
            raise RuntimeError(f"redis-cli {args}: {output} {done.stderr}")
        return output

    def move_slot(self, slot, target, between=lambda: None):
        """Move a slot with its keys as redis-cli --cluster reshard does.

        `between` is called while it is under way: before each key is moved, and after the last.
        """
        source = self.owner_of(slot)
        target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        while True:
            between()
            keys = source.cli("CLUSTER", "GETKEYSINSLOT", slot, 1).split()
            if not keys:
                break
            source.cli("MIGRATE", self.host, target.port, "", 0, 5000, "KEYS", *keys)
        between()
        for node in (target, source):
            node.cli("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))
