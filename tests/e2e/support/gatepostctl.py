"""Owns runs of gatepostctl on one configuration: their exit status and what they print."""

import json
import os
import subprocess

from .gatepost import BINARY, render

CTL = os.path.join(os.path.dirname(BINARY), "gatepostctl")
_ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
_SANITIZER = ("AddressSanitizer", "runtime error:", "LeakSanitizer")


class Run:
    """One finished run. `out` and `err` are text, octets that are no UTF-8 as surrogates."""

    def __init__(self, argv, finished):
        self.argv = argv
        self.status = finished.returncode
        self.out = finished.stdout.decode("utf-8", "surrogateescape")
        self.err = finished.stderr.decode("utf-8", "surrogateescape")
        for word in _SANITIZER:
            assert word not in self.err, self.err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"{self.argv} => {self.status}\n{self.out}{self.err}"


class Gatepostctl:
    """gatepostctl on the configuration `conf`; `settings` are written there first, where given."""

    def __init__(self, conf, settings=None):
        self.conf = conf
        if settings is not None:
            with open(conf, "w") as file:
                file.write(render(settings))

    def run(self, *args, text=None, timeout=120):
        """Run it with these arguments, `text` (str or bytes) on standard input."""
        argv = [CTL, "-c", self.conf, *args]
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        return Run(args, subprocess.run(argv, input=data or b"", capture_output=True,
                                        timeout=timeout, check=False,
                                        env={**_ENVIRONMENT, **os.environ}))

    def do(self, *args, text=None, timeout=120):
        """Run it; it must succeed."""
        run = self.run(*args, text=text, timeout=timeout)
        assert run.status == 0, run
        return run

    def json(self, *args, text=None):
        """Run it with --json; it must succeed."""
        return self.do(*args, "--json", text=text).json()


def account_shown(site, store, account, **settings):
    """What `gatepostctl account show --json` prints on that store; it must succeed."""
    ctl = Gatepostctl(site.folder.file("gatepostctl.conf"),
                      {"store": store, "trusted": [], **settings})
    return ctl.json("account", "show", account)
