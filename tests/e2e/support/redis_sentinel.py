"""Owns a private Redis master, its replicas, and the Sentinels that watch over them."""

import os

from .ports import free_port
from .process import Process, wait_until
from .redis_server import RedisServer, ask, in_url


class Sentinel:
    """One redis-sentinel process. `directives` are further lines for its configuration, and
    `password` is what one must know who asks it (its requirepass).
    """

    def __init__(self, folder, name, master, quorum, down_after=1000, directives=(),
                 password=None):
        self.port = free_port()
        self.host = master.host
        self.password = password
        self._folder = folder
        self._name = name
        self._process = None
        self._conf = os.path.join(folder, "sentinel.conf")
        with open(self._conf, "w") as conf:
            conf.write("\n".join([
                f"port {self.port}", f"bind {self.host}", f"dir {folder}", "daemonize no",
                f"sentinel monitor {name} {self.host} {master.port} {quorum}",
                f"sentinel down-after-milliseconds {name} {down_after}",
                f"sentinel failover-timeout {name} 3000",
                f"sentinel parallel-syncs {name} 1",
                *([f"sentinel auth-pass {name} {master.password}"] if master.password else []),
                *([f"requirepass {password}"] if password else []), *directives]) + "\n")

    def start(self):
        self._process = Process(["redis-server", self._conf, "--sentinel"],
                                os.path.join(self._folder, "sentinel.log"))
        self._process.wait_ready(lambda: self.ask("PING") == "PONG")
        return self

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self):
        if self._process:
            self._process.kill_group()
            self._process = None

    def running(self):
        return self._process is not None

    def ask(self, *args):
        return ask(self.port, *args, host=self.host, password=self.password)

    def master_port(self):
        return int(self.ask("SENTINEL", "get-master-addr-by-name", self._name).split()[1])

    def _facts(self):
        words = self.ask("SENTINEL", "master", self._name).splitlines()
        return dict(zip(words[::2], words[1::2]))

    def knows(self, replicas, sentinels):
        """Whether it has found so many others."""
        facts = self._facts()
        return int(facts.get("num-slaves", 0)) >= replicas and \
            int(facts.get("num-other-sentinels", 0)) >= sentinels - 1

    def settled(self):
        """Whether no failover is under way."""
        return self._facts().get("flags") == "master"


class SentinelGroup:
    """`replicas` replicas of one master and `sentinels` Sentinels, in `folder`.

    `password` is that of the servers (requirepass); `of_sentinels` are further arguments for each
    Sentinel.
    """

    NAME = "mail-policy"

    def __init__(self, folder, replicas=2, sentinels=3, directives=(), down_after=1000,
                 password=None, host="127.0.0.1", of_sentinels=None):
        def sub(name):
            path = os.path.join(folder, name)
            os.makedirs(path)
            return path

        common = ["repl-diskless-sync-delay 0", "repl-diskless-load swapdb", *directives]
        if password:
            common.append(f"masterauth {password}")
        self.servers = [RedisServer(sub("server0"), common, password, host=host)]
        for number in range(replicas):
            self.servers.append(RedisServer(
                sub(f"server{number + 1}"),
                [*common, f"replicaof {host} {self.servers[0].port}"], password, host=host))
        quorum = sentinels // 2 + 1
        self.sentinels = [Sentinel(sub(f"sentinel{number}"), self.NAME, self.servers[0], quorum,
                                   down_after, **(of_sentinels or {}))
                          for number in range(sentinels)]

    @property
    def url(self):
        hosts = ",".join(f"{in_url(sentinel.host)}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.NAME}"

    def start(self):
        for server in self.servers:
            server.start()
        replicas = self.servers[1:]
        for replica in replicas:
            wait_until(lambda r=replica: "master_link_status:up" in r.cli("INFO", "replication"),
                       what="replica in step")
        for sentinel in self.sentinels:
            sentinel.start()
        for sentinel in self.sentinels:
            wait_until(lambda s=sentinel: s.knows(len(replicas), len(self.sentinels)),
                       20, "the Sentinels have found each other")
        return self

    def stop(self):
        for part in [*self.sentinels, *self.servers]:
            part.stop()

    def master(self):
        """The server that the Sentinels name."""
        port = next(s for s in self.sentinels if s.running()).master_port()
        return next(server for server in self.servers if server.port == port)
