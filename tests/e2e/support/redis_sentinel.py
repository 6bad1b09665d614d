"""Owns a private Redis master, its replicas, and the Sentinels that watch over them."""

import os

from .ports import free_port
from .process import Process, wait_until
from .redis_server import LONG_SILENCE, PROGRAM, SHORT_SILENCE, RedisServer, ask, in_url


class Sentinel:
    """One redis-sentinel process. `directives` are further lines for its configuration, and
    `password` is what one must know who asks it (its requirepass).
    """

    def __init__(self, folder, name, master, quorum, directives=(), password=None):
        self.port = free_port()
        self.host = master.host
        self.password = password
        self._name = name
        self._process = None
        self._log = os.path.join(folder, "sentinel.log")
        self._conf = os.path.join(folder, "sentinel.conf")
        with open(self._conf, "w") as conf:
            conf.write("\n".join([
                f"port {self.port}", f"bind {self.host}", f"dir {folder}", "daemonize no",
                f"sentinel monitor {name} {self.host} {master.port} {quorum}",
                f"sentinel down-after-milliseconds {name} {LONG_SILENCE}",
                f"sentinel failover-timeout {name} 3000",
                f"sentinel parallel-syncs {name} 1",
                *([f"sentinel auth-pass {name} {master.password}"] if master.password else []),
                *([f"requirepass {password}"] if password else []), *directives]) + "\n")

    def start(self):
        self._process = Process([PROGRAM, self._conf, "--sentinel"], self._log)
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

    def log_text(self):
        with open(self._log, encoding="utf-8") as log:
            return log.read()

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

    def notice_after(self, milliseconds):
        assert self.ask("SENTINEL", "SET", self._name, "down-after-milliseconds",
                        milliseconds) == "OK"

    def settled(self):
        """Whether no failover is under way."""
        return self._facts().get("flags") == "master"


class SentinelGroup:
    """`replicas` replicas of one master and `sentinels` Sentinels, in `folder`.

    `password` is that of the servers (requirepass); `of_sentinels` are further arguments for each
    Sentinel.
    """

    NAME = "mail-policy"

    def __init__(self, folder, replicas=2, sentinels=3, directives=(), password=None,
                 host="127.0.0.1", of_sentinels=None):
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
                                   **(of_sentinels or {}))
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

    def log_text(self):
        """The last lines of each Sentinel."""
        return "\n".join(line for sentinel in self.sentinels
                         for line in sentinel.log_text().splitlines()[-12:])

    def master(self):
        """The server that the Sentinels name."""
        port = next(s for s in self.sentinels if s.running()).master_port()
        return next(server for server in self.servers if server.port == port)

    def another_master(self, old, timeout=20):
        """Wait until the Sentinels name another server than `old`, and it is a master."""
        wait_until(lambda: self.master() is not old and
                   self.master().cli("ROLE").startswith("master"), timeout, "another master")
        return self.master()

    def kill_master(self):
        """Kill the master; returns the server that has taken its place."""
        old = self.master()
        watchers = [sentinel for sentinel in self.sentinels if sentinel.running()]
        for sentinel in watchers:
            sentinel.notice_after(SHORT_SILENCE)
        old.kill()
        new = self.another_master(old)
        for sentinel in watchers:
            sentinel.notice_after(LONG_SILENCE)
        return new
