"""Owns all that runs while figures are taken: Redis, the name server, the filters and the load.

Everything lives in one folder and ends with stop(), at the latest with this process.
"""

import os
import shutil
import socket
import subprocess
import sys
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(_HERE, "../../e2e"))
from support.gatepost import render               # noqa: E402
from support.ports import accepts_unix            # noqa: E402
from support.process import Process               # noqa: E402
from support.redis_client import RedisClient  # noqa: E402
from support.redis_server import RedisServer      # noqa: E402

PEERS = {"opendmarc": "/usr/sbin/opendmarc", "pyspf-milter": "/usr/bin/pyspf-milter"}

_OPENDMARC = """\
Socket local:{socket}
AuthservID mx.example.net
SPFSelfValidate true
SPFIgnoreResults true
Syslog false
"""

_PYSPF = """\
Socket = unix:{socket}
PidFile = {socket}.pid
UserID = root
debugLevel = 0
HELO_reject = No_Check
"""


class Filter:
    """A running milter. Its clock counts the processor time of all its threads."""

    def __init__(self, argv, socket, log):
        self.socket, self.log = socket, log
        self._crowd = None
        self._process = Process(argv, log)
        self._process.wait_ready(lambda: accepts_unix(socket), what="milter socket")

    def cpu_seconds(self):
        """To the nanosecond, unlike /proc/PID/stat: the clock that clock_getcpuclockid(3) names."""
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def rss_kib(self):
        with open(f"/proc/{self._process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def last_line(self):
        with open(self.log, "rb") as log:
            log.seek(max(0, os.path.getsize(self.log) - 4096))
            return log.read().decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2]

    def forget_log(self):
        os.truncate(self.log, 0)

    def have_idle(self, count):
        """From now on that many connections stay behind CONNECT."""
        self._crowd = Process(["/usr/bin/python3", os.path.join(_HERE, "crowd.py"), self.socket,
                               str(count)], self.socket + ".crowd")
        self._crowd.wait_ready(lambda: "ready" in self._crowd.log_text(), timeout=120)

    def have_slow(self, count):
        """From now on that many evaluations wait for a dead name server; the process that holds
        them, which ends when one of them is over."""
        self._crowd = Process(["/usr/bin/python3", os.path.join(_HERE, "slow.py"), self.socket,
                               str(count)], self.socket + ".slow")
        self._crowd.wait_ready(lambda: "ready" in self._crowd.log_text(), timeout=60)
        return self._crowd

    def stop(self):
        if self._crowd:
            self._crowd.kill_group()
        self._process.kill_group()


class Stage:
    def __init__(self, folder, build, sizes):
        self.folder, self.build = folder, build
        self._sizes = list(sizes)
        self._filters = {}
        self._silent = None
        self._redis = RedisServer(folder, directives=["databases 32"]).start()
        self._dns = self._start_name_server()

    def _program(self, name):
        return os.path.join(self.build, "tests/bench", name)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _silent_name_server(self):
        if self._silent is None:
            self._silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._silent.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % self._silent.getsockname()[1]

    def _write(self, name, text):
        with open(self._path(name), "w") as file:
            file.write(text)
        return self._path(name)

    def _start_name_server(self):
        from rows import ZONE
        server = Process([self._program("zone_server"), self._write("zone", ZONE),
                          "127.0.0.1", "53"], self._path("zone_server.log"))
        server.wait_ready(lambda: "ready" in server.log_text())
        return server

    def fill(self):
        """A database for each number of accounts: user0@example.com and so on."""
        for database, size in enumerate(self._sizes):
            with subprocess.Popen(["redis-cli", "-s", self._redis.socket, "--pipe"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cli:
                cli.stdin.write(f"SELECT {database}\r\n".encode())
                for number in range(size):
                    cli.stdin.write(
                        b"HSET gatepost:account:user%d@example.com protocol:pop3 off\r\n" % number)
            if cli.returncode != 0:
                raise RuntimeError("redis-cli --pipe failed")

    @property
    def redis(self):
        """Its first database has the fewest accounts."""
        return self._redis

    def sub(self, name):
        """A folder of that name, which others may enter."""
        os.chmod(self.folder, 0o755)
        os.makedirs(self._path(name), exist_ok=True)
        return self._path(name)

    @property
    def _hostile(self):
        """The database with the accounts of fill_hostile()."""
        return len(self._sizes)

    def fill_hostile(self, accounts):
        """NAME@hostile.example with so many addresses, for each of {name: number}."""
        with subprocess.Popen(["redis-cli", "-s", self._redis.socket, "--pipe"],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cli:
            cli.stdin.write(f"SELECT {self._hostile}\r\n".encode())
            for name, count in accounts.items():
                for number in range(count):
                    cli.stdin.write(b"HSET gatepost:account:%s@hostile.example ip:10.%d.%d.%d x\r\n"
                                    % (name.encode(), number >> 16, number >> 8 & 255,
                                       number & 255))
        if cli.returncode != 0:
            raise RuntimeError("redis-cli --pipe failed")

    def redis_port(self):
        return self._redis.port

    def _store(self, size):
        return f"redis+unix://{self._redis.socket}?db={self._sizes.index(size)}"

    def redis_client(self):
        """A connection to the database with the fewest accounts, for commands whose time matters."""
        client = RedisClient(self._redis.socket)
        client.command("SELECT", "0")
        return client

    def redis_counts(self):
        """(commands, reads from clients' sockets) that Redis has processed."""
        stats = dict(line.strip().split(":", 1) for line in self._redis.cli("INFO", "stats")
                     .splitlines() if ":" in line)
        return int(stats["total_commands_processed"]), int(stats["total_reads_processed"])

    def _gatepost(self, name, socket, store, **settings):
        conf = {"socket": "unix:" + socket, "socket_group": "", "user": "root", "store": store,
                "log": "stderr", "authentication_results": False, **settings}
        return [os.path.join(self.build, "milter/gatepost"), "-c",
                self._write(name + ".conf", render(conf))]

    def _argv(self, name, socket):
        kind, _, size = name.partition("-")
        unix = "unix:" + socket
        if name == "empty":
            return [self._program("empty_filter"), unix]
        if name == "empty-alike":
            return [self._program("empty_filter"), "--as-gatepost", unix]
        if name == "empty-header":
            return [self._program("empty_filter"), "--as-gatepost", "--headers=see", unix]
        if name == "file":
            policy = "".join(f"account:user{n}@example.com protocol:pop3 off\n" for n in range(10))
            return self._gatepost(name, socket, "file:" + self._write("policy", policy))
        if name == "header-mta":    # with the {j} and the client of a Postfix on this host
            return self._gatepost(name, socket, self._store(self._sizes[0]), trusted=[],
                                  authentication_results=True)
        if kind == "proxied":       # "size" is the port of a proxy before Redis
            return self._gatepost(name, socket, f"redis://127.0.0.1:{size}/{self._hostile}",
                                  cache_entries=0, store_timeout="200ms", trusted=[])
        if kind == "provider":  # the name of its domain follows
            policy = ("account:@example.com source authorized\n"
                      f"account:@example.com ip:spf:{size} a provider\n")
            return self._gatepost(name, socket, "file:" + self._write(name, policy),
                                  source_services=["smtp", "submission"])
        if name == "header":
            return self._gatepost(name, socket, self._store(self._sizes[0]),
                                  authentication_results=True)
        if kind == "slow":      # its name server never answers
            silent = self._silent_name_server()
            return self._gatepost(name, socket, self._store(self._sizes[0]),
                                  spf={"nameservers": [silent], "timeout": "20s"})
        if kind == "cache":
            return self._gatepost(name, socket, self._store(int(size)))
        if name == "doors":
            return self._gatepost(name, socket, self._store(self._sizes[0]),
                                  doors_listen=[f"unix:{socket}.doors"])
        if kind == "direct":
            return self._gatepost(name, socket, self._store(int(size)), cache_entries=0)
        if name == "opendmarc":
            conf = self._write(name + ".conf", _OPENDMARC.format(socket=socket))
            return [PEERS[name], "-f", "-c", conf]
        if name == "pyspf-milter":
            return [PEERS[name], self._write(name + ".conf", _PYSPF.format(socket=socket))]
        raise KeyError(name)

    @staticmethod
    def has(name):
        """False for a peer that is not installed."""
        return name not in PEERS or os.access(PEERS[name], os.X_OK)

    def filter(self, name, instance=""):
        """The filter of that name, started when first asked for; one for each instance."""
        full = name + instance
        if full not in self._filters:
            socket = self._path(full + ".sock")
            self._filters[full] = Filter(self._argv(name, socket), socket,
                                         self._path(full + ".log"))
        return self._filters[full]

    def load_argv(self, target, connections, *options):
        return [self._program("milter_load"), "--json", "--socket", "unix:" + target.socket,
                "--connections", str(connections), *options]

    def networks(self, members):
        """What tests/bench/networks.sh prints."""
        return subprocess.run(["sh", os.path.join(_HERE, "../networks.sh"), self.build],
                              check=True, text=True, stdout=subprocess.PIPE,
                              env={**os.environ, "BENCH_MEMBERS": str(members),
                                   "TMPDIR": self.folder}).stdout

    def change_latency(self, target, changes):
        """What change_latency prints, for changes in the database with the fewest accounts."""
        return subprocess.run([self._program("change_latency"), target.socket, self._redis.socket,
                               str(changes)], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def stop(self):
        for running in self._filters.values():
            running.stop()
        self._filters.clear()
        self._dns.kill_group()
        self._redis.stop()
        for name in os.listdir(self.folder):
            path = self._path(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
