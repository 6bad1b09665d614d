"""Owns the running of gatepostctl on a store."""

import os
import subprocess

from .gatepost import BINARY, render

PROGRAM = os.path.join(os.path.dirname(BINARY), "gatepostctl")


def account_shown(site, store, account, **settings):
    """What `gatepostctl account show` prints; AssertionError when it fails."""
    conf = site.folder.file("gatepostctl.conf")
    with open(conf, "w") as text:
        text.write(render({"store": store, "trusted": [], **settings}))
    done = subprocess.run([PROGRAM, "-c", conf, "account", "show", account],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout
