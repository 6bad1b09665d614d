"""Owns an installation: what `make install` puts into a folder, and the edits of gatepost.conf.

The programs are run from there as an operator would type them, with this gatepost.conf.
"""

import os
import re
import shlex
import subprocess

from .gatepost import BINARY
from .ports import accepts_unix
from .process import Process

BUILD = os.path.dirname(os.path.dirname(BINARY))
PREFIX = "usr/local"


class Installed:
    """`make install DESTDIR=folder`, of the build that is under test."""

    def __init__(self, folder):
        self.folder = folder
        self.log = os.path.join(folder, "mail.log")
        self.conf = self.path("etc/gatepost/gatepost.conf")
        self._process = None
        self.install()

    def install(self):
        subprocess.run(["make", "-C", BUILD, "install", "DESTDIR=" + self.folder], check=True,
                       capture_output=True, timeout=600)

    def path(self, name):
        return os.path.join(self.folder, PREFIX, name)

    # ---- gatepost.conf ----

    def text(self):
        with open(self.conf) as conf:
            return conf.read()

    def edit(self, pattern, replacement):
        """Replace what the pattern (a line, or lines) finds; it must be there exactly once."""
        text, count = re.subn("^" + pattern + "$", lambda _: replacement, self.text(),
                              flags=re.MULTILINE)
        assert count == 1, f"{count} times in gatepost.conf: {pattern}"
        with open(self.conf, "w") as conf:
            conf.write(text)

    def set(self, key, value):
        """A global setting or one of a section, which stands there as a comment or not."""
        self.edit(rf"#?[ ]*{key}[ ]*=.*", f"{key} = {value}")

    # ---- the programs ----

    def run(self, command, text=None):
        """A command line as it is typed, pipes and all; the finished process."""
        environment = {**os.environ, "PATH": self.path("sbin") + ":" + os.environ["PATH"],
                       "ASAN_OPTIONS": "detect_leaks=1"}
        with_conf = re.sub(r"\b(gatepostctl|gatepost) ", rf"\1 -c {shlex.quote(self.conf)} ",
                           command)
        finished = subprocess.run(["sh", "-c", with_conf], input=text, capture_output=True,
                                  text=True, timeout=120, cwd=self.folder, env=environment)
        for word in ("AddressSanitizer", "runtime error:", "LeakSanitizer"):
            assert word not in finished.stderr, finished.stderr
        return finished

    def do(self, command, status=0):
        """What it prints, errors behind; it must end with this status."""
        run = self.run(command)
        assert run.returncode == status, (command, run.returncode, run.stdout + run.stderr)
        return run.stdout + run.stderr

    def start(self, socket):
        self._process = Process([self.path("sbin/gatepost"), "-c", self.conf], self.log,
                                env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})
        self._process.wait_ready(lambda: accepts_unix(socket), what="milter socket")

    def stop(self):
        """Stop the filter and return its exit status; 0 when none was started."""
        process, self._process = self._process, None
        return 0 if process is None else process.stop(timeout=20)
