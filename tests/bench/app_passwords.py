"""What a login by an app password takes beside one by the main password: at Dovecot's auth socket, as
Postfix asks there, with the shipped configuration of Dovecot and its policy from a real Redis.

    python3 tests/bench/app_passwords.py BUILD_DIR [LOGINS]
"""

import base64
import os
import re
import socket
import sys
import time

BUILD = os.path.abspath(sys.argv[1])
LOGINS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
os.environ.setdefault("GATEPOST", os.path.join(BUILD, "milter/gatepost"))
os.environ.setdefault("GATEPOST_BUILD", BUILD)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

from support.dovecot_host import DovecotHost    # noqa: E402
from support.folder import Folder               # noqa: E402
from support.gatepostctl import Gatepostctl     # noqa: E402
from support.redis_server import RedisServer    # noqa: E402

ALICE, PASSWORD = "alice@example.com", "secret"


class Authentication:
    """A client of Dovecot's auth socket: its protocol is lines, with tabs between the words."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rb")
        self._socket.sendall(b"VERSION\t1\t1\nCPID\t%d\n" % os.getpid())
        while self._lines.readline() != b"DONE\n":
            pass
        self._last = 0

    def login(self, password):
        """How long it took, in milliseconds; ends all where it is refused."""
        self._last += 1
        plain = base64.b64encode(f"\0{ALICE}\0{password}".encode()).decode()
        begun = time.perf_counter()
        self._socket.sendall(f"AUTH\t{self._last}\tPLAIN\tservice=submission\tnologin\tlip=127.0.0.1"
                             f"\trip=127.0.0.1\tsecured\tresp={plain}\n".encode())
        answer = self._lines.readline()
        taken = time.perf_counter() - begun
        if not answer.startswith(b"OK\t"):
            sys.exit(f"refused: {answer!r}")
        return taken * 1000

    def close(self):
        self._lines.close()
        self._socket.close()


def measure(host):
    made = Gatepostctl(host.gatepost.conf).do("password", "add", ALICE, "smtp").out
    passwords = {"main password": PASSWORD, "app password": re.search(r"(\w{4}-){6}\w{4}", made)[0]}
    asking = Authentication(host.dovecot.auth_socket)
    taken = {name: [] for name in passwords}
    for number in range(LOGINS + 20):
        for name, password in passwords.items():
            one = asking.login(password)
            if number >= 20:        # warm
                taken[name].append(one)
    asking.close()
    for name, times in taken.items():
        times.sort()
        print(f"{name}: {LOGINS} logins in turns, p50 {times[LOGINS // 2]:.2f} ms, "
              f"p99 {times[LOGINS * 99 // 100]:.2f} ms")


def main():
    folder = Folder()
    redis = RedisServer(folder.path).start()
    host = DovecotHost(redis.url, protocol={"smtp": {"services": ["submission", "submissions"]}})
    try:
        host.dovecot.add_user(ALICE)
        redis.cli("HSET", "gatepost:account:@example.com", "source", "any")
        host.start_gatepost()
        host.start()
        measure(host)
    finally:
        host.gatepost.stop()
        host.stop()
        redis.stop()
        folder.remove()


main()
