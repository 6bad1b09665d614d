"""Owns a journal of systemd: the real systemd-journald, alone in a mount namespace with a /run of
its own."""

import json
import os
import signal
import subprocess

from .process import Process, wait_until

JOURNALD = "/lib/systemd/systemd-journald"
_SOCKET = "/run/systemd/journal/socket"
_PREPARE = """\
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nForwardToWall=no\\nRateLimitIntervalSec=0\\n\
RuntimeMaxUse=400M\\nRuntimeKeepFree=1M\\nLineMax=64K\\n' > /run/systemd/journald.conf.d/test.conf
exec sleep infinity
"""


class Journal:
    """`within` are the words to start a program with, for which it is the journal.

    It listens from listen() to close(), and reads nothing but by lines() and after that.
    """

    def __init__(self, folder):
        self._log = os.path.join(folder, "journald.log")
        self._cursor = None
        self._journald = None
        self._holder = Process(["unshare", "--mount", "sh", "-c", _PREPARE], self._log)
        self.within = ("nsenter", "--mount", "--root", "--target", str(self._holder.pid), "--")
        self._holder.wait_ready(lambda: self._run("test", "-e", "/run/log/journal").returncode == 0,
                                what="a /run")
        wait_until(lambda: self._holder_name() == "sleep", what="a /run")

    def _holder_name(self):
        with open(f"/proc/{self._holder.pid}/comm") as comm:
            return comm.read().strip()

    def _run(self, *words):
        return subprocess.run([*self.within, *words], capture_output=True, timeout=60)

    def start(self):
        self._run("rm", "-f", _SOCKET)
        self._journald = Process([*self.within, JOURNALD], self._log)
        self._journald.wait_ready(lambda: self._run("test", "-S", _SOCKET).returncode == 0,
                                  what="a journal")
        return self

    def listen(self):
        self.start()
        self._journald.freeze()
        return self

    def close(self):
        if self._journald is not None:
            self._journald.send_signal(signal.SIGCONT)
            self._journald.stop(signal.SIGTERM)
        self._journald = None

    def remove(self):
        self.close()
        self._holder.stop(signal.SIGKILL)

    def entries(self, *matches):
        """What has come since the last call, each a dict; octets that are no text as a list."""
        self._journald.send_signal(signal.SIGCONT)
        after = ["--after-cursor", self._cursor] if self._cursor else []
        out = self._run("journalctl", "--directory", "/run/log/journal", "-o", "json", "--all",
                        "--no-pager", *after, "SYSLOG_IDENTIFIER=gatepost", *matches).stdout
        found = [json.loads(line) for line in out.splitlines()]
        if found:
            self._cursor = found[-1]["__CURSOR"]
        return found

    def lines(self):
        return [entry["MESSAGE"] for entry in self.entries()]
