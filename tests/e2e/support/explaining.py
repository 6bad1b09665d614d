"""Owns the asking of `gatepostctl explain`, on a policy file of the test's own."""

import pytest

from .folder import Folder
from .gatepostctl import Gatepostctl

SETTINGS = {"trusted": [], "authentication_results": False, "listener": {
    "mx": {"daemon_name": "MX", "service": "smtp"},
    "submission": {"daemon_name": "SUBMISSION", "service": "submission", "tls": "required",
                   "auth": "required"},
    "gated": {"daemon_name": "GATED", "service": "smtp", "connect_from": ["gate"]}}}


@pytest.fixture
def policy():
    """A function (text) that puts this into the policy file of `ctl`."""
    folder = Folder("gpexplain-")
    path = folder.file("policy")

    def write(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    write("")
    write.path = path
    yield write
    folder.remove()


@pytest.fixture
def ctl(policy, dns):
    return Gatepostctl(policy.path + ".conf", {
        **SETTINGS, "store": "file:" + policy.path,
        "spf": {"nameservers": [dns.address], "timeout": "2s"}})


def explain(ctl, *words, text=None):
    """(exit status, what is told)."""
    run = ctl.run("explain", *words, "--json", text=text)
    return run.status, run.json()
