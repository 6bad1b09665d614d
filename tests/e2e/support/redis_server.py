"""Owns a private redis-server, on a TCP port and a unix socket, and runs redis-cli on it."""

import os
import re
import shutil
import signal
import subprocess

from .ports import free_port
from .process import Process

# another server that speaks Redis' protocol: valkey-server
PROGRAM = os.environ.get("REDIS_SERVER", "redis-server")
# ms without an answer after which a server is down: for Sentinels and nodes that are to notice a
# death, and at all other times, since the stumbling of a busy machine is no death
SHORT_SILENCE = 1000
LONG_SILENCE = 30000


def environment(password):
    """That of a redis-cli that logs in, if there is a password."""
    return {**os.environ, "REDISCLI_AUTH": password} if password else None


def in_url(host):
    """The host as URLs have it."""
    return f"[{host}]" if ":" in host else host


def ask(port, *args, host="127.0.0.1", password=None):
    """What a server on this port answers to one command, errors included; "" for none."""
    argv = ["redis-cli", "-h", host, "-p", str(port), *(str(arg) for arg in args)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30,
                          env=environment(password)).stdout.strip()


class RedisServer:
    """`directives` are further lines for redis.conf, such as "requirepass secret".

    The data set is kept over stop() and kill() if `persist` is true. It listens on `host`, inside
    `network` (a NetworkNamespace) if one is given; the unix socket is there for all.
    """

    def __init__(self, folder, directives=(), password=None, persist=False, host="127.0.0.1",
                 network=None):
        self.folder = folder
        self.host = host
        self.port = free_port()
        self._network = network
        self.socket = os.path.join(folder, "redis.sock")
        self.password = password
        self._persist = persist
        self._process = None
        self._conf = os.path.join(folder, "redis.conf")
        lines = [f"port {self.port}", f"bind {host}", f"unixsocket {self.socket}",
                 "unixsocketperm 777", "daemonize no", f"dir {folder}", 'save ""',
                 f"appendonly {'yes' if persist else 'no'}", "appendfsync no"]
        if password:
            lines.append(f"requirepass {password}")
        with open(self._conf, "w") as conf:
            conf.write("\n".join([*lines, *directives]) + "\n")

    def add(self, directives):
        """Further lines, before it starts."""
        with open(self._conf, "a") as conf:
            conf.write("\n".join(directives) + "\n")

    @property
    def url(self):
        return f"redis://{in_url(self.host)}:{self.port}/0"

    @property
    def unix_url(self):
        return f"redis+unix://{self.socket}?db=0"

    def start(self, *options):
        """`options` as for launch()."""
        self.launch(*options)
        self._process.wait_ready(self.answers, what="PONG")
        return self

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process is not None and self._process.alive()

    def _run_cli(self, args):
        return subprocess.run(["redis-cli", "-s", self.socket, *args],
                              env=environment(self.password), capture_output=True, timeout=30)

    def answers(self):
        """Whether it serves, be it only to refuse."""
        return self._run_cli(["PING"]).stdout.startswith((b"PONG", b"MASTERDOWN", b"ERR unknown"))

    def cli(self, *args):
        """Run redis-cli with these arguments (str or bytes) and return what it printed."""
        result = self._run_cli([arg if isinstance(arg, bytes) else str(arg) for arg in args])
        output = result.stdout.decode("utf-8", "surrogateescape").rstrip("\n")
        error_words = ("ERR", "WRONGTYPE", "NOAUTH", "NOPERM", "WRONGPASS", "LOADING", "READONLY",
                       "CLUSTERDOWN", "Could not")
        if result.returncode or output.startswith(error_words) or result.stderr:
            raise RuntimeError(f"redis-cli {args}: {output} {result.stderr.decode()}")
        return output

    def command_count(self, command):
        """How often that command was called since the start."""
        found = re.search(rf"cmdstat_{command}:calls=(\d+)", self.cli("INFO", "commandstats"))
        return int(found.group(1)) if found else 0

    def stop(self):
        if self._process:
            self.resume()
            self._process.stop()
            self._process = None

    def lose_data(self):
        """What was kept on disk; only while it does not run."""
        shutil.rmtree(os.path.join(self.folder, "appendonlydir"))

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """kill -9."""
        if self._process:
            self._process.kill_group()
            self._process = None

    def launch(self, *options):
        """Start it without waiting until it answers.

        `options` as on redis-server's command line: "--maxclients", "10".
        """
        call = self._network.call if self._network else lambda function, *args: function(*args)
        self._process = call(Process, [PROGRAM, self._conf, *options],
                             os.path.join(self.folder, "redis.log"))

    def freeze(self):
        """SIGSTOP: connections are accepted by the kernel, nothing is answered."""
        self._process.freeze()

    def resume(self):
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)
