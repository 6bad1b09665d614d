"""Many connections at once: every answer right, nothing lost, while policy and store change."""

import json
import os
import subprocess
import threading

import pytest

from support.gatepost import BINARY
from support.process import wait_until

LOAD = os.environ.get("MILTER_LOAD", os.path.join(os.path.dirname(BINARY),
                                                  "../tests/bench/milter_load"))
SETTINGS = {"authentication_results": False, "trusted": []}
CONNECTIONS = 64

pytestmark = pytest.mark.concurrent


class Load(threading.Thread):
    """milter_load against the filter; `result` is its report after join()."""

    def __init__(self, filter_socket, *arguments):
        super().__init__()
        self._argv = [LOAD, "--socket", "unix:" + filter_socket, "--json",
                      "--connections", str(CONNECTIONS), *arguments]
        self.result = None
        self.stderr = None

    def run(self):
        done = subprocess.run(self._argv, capture_output=True, text=True, timeout=120)
        self.stderr = done.stderr
        report = json.loads(done.stdout)
        self.result = {"errors": report["errors"], **report["outcomes"]}


def load(filter_socket, *arguments):
    run = Load(filter_socket, *arguments)
    run.start()
    run.join()
    assert run.result is not None, run.stderr
    assert run.result["errors"] == 0, run.stderr
    return run.result


@pytest.fixture
def registered(redis):
    """Accounts a0 to a9: those with an even number may not use submission."""
    for number in range(10):
        redis.cli("HSET", f"gatepost:account:a{number}@example.com", "protocol:submission",
                  "on" if number % 2 else "off")
    return redis


def test_logins(gatepost, registered):
    result = load(gatepost.socket, "--sessions", "4000", "--login", "a{n}@example.com",
                  "--sender-count", "10")
    assert (result["accept"], result["reject"]) == (2000, 2000)


def test_senders_by_spf(gatepost, dns, redis):
    for number in range(10):
        dns.zones[f"s{number}.example"] = {
            "TXT": ["v=spf1 ip4:192.0.2.0/24 -all" if number % 2 else "v=spf1 -all"]}
    result = load(gatepost.socket, "--sessions", "1000", "--sender", "x@s{n}.example",
                  "--sender-count", "10")
    assert (result["accept"], result["reject"]) == (500, 500)


def test_policy_changes_under_load(gatepost, registered):
    run = Load(gatepost.socket, "--seconds", "3", "--login", "a0@example.com")
    run.start()
    flips = 0
    while run.is_alive():
        registered.cli("HSET", "gatepost:account:a0@example.com", "protocol:submission",
                       "on" if flips % 2 else "off")
        flips += 1
    run.join()
    assert run.result["errors"] == 0, run.stderr
    assert run.result["accept"] > 0 and run.result["reject"] > 0
    assert run.result["tempfail"] == 0
    assert flips > 10


def test_store_goes_and_comes_back_under_load(gatepost, registered):
    run = Load(gatepost.socket, "--seconds", "4", "--login", "a0@example.com")
    run.start()
    gatepost.verdict(reason="protocol-disabled")
    registered.stop()
    gatepost.verdict(reason="protocol-disabled", policy="stale")
    registered.start()
    registered.cli("HSET", "gatepost:account:a0@example.com", "protocol:submission", "off")
    gatepost.forget()
    wait_until(lambda: any("policy" not in verdict for verdict in
                           gatepost.verdicts(reason="protocol-disabled")), 10, "Redis in use")
    run.join()
    assert run.result["errors"] == 0, run.stderr
    assert run.result["tempfail"] == 0 and run.result["reject"] > 0


def test_thousands_of_idle_connections(gatepost, registered):
    result = load(gatepost.socket, "--sessions", "500", "--idle", "2000", "--login",
                  "a1@example.com")
    assert result["accept"] == 500
