"""Fixtures: a name server, and filters that ask it; the totals of the conformance suites.

The harness is that of the end-to-end tests, tests/e2e/support.
"""

import os
import sys

import pytest

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(_HERE, "../e2e"))

# pylint: disable=wrong-import-position
from support.folder import Folder              # noqa: E402
from support.gatepost import BINARY, Gatepost  # noqa: E402
from support.nameserver import NameServer      # noqa: E402

from ground import Ground                      # noqa: E402
from hostile_nameserver import HostileNameServer  # noqa: E402

AUTHSERV_ID = "gatepost.test"
RESULTS = ("none", "neutral", "pass", "softfail", "fail", "temperror", "permerror")
TIMEOUT = 0.8       # seconds for one evaluation


def pytest_configure():
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"no filter to test at {BINARY}: build it or set GATEPOST", 2)


def pytest_terminal_summary(terminalreporter):
    """One line for each suite: how many of its results and explanations came out right."""
    passed, run = {}, {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for key, value in getattr(report, "user_properties", []):
                if key == "conformance":
                    run[value] = run.get(value, 0) + 1
                    passed[value] = passed.get(value, 0) + (outcome == "passed")
    for value in sorted(run):
        terminalreporter.write_line(f"conformance: {value} {passed[value]}/{run[value]}")


@pytest.fixture(scope="session")
def folder():
    scratch = Folder()
    yield scratch
    scratch.remove()


@pytest.fixture(scope="session")
def nameserver():
    server = NameServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def start_filter(folder):
    """A function (name, name servers, {result: action}) that starts a filter with no policy.

    One name server, a list of them, or [] for those of resolv.conf; in a `network` if given.
    """
    started = []

    def start(name, servers, network=None, **actions):
        servers = servers if isinstance(servers, list) else [servers]
        policy = folder.file("policy")
        with open(policy, "a"):
            pass
        settings = {
            "store": "file:" + policy,
            "authserv_id": AUTHSERV_ID,
            "trusted": [],
            "spf": {**{result: "accept" for result in RESULTS}, **actions,
                    "timeout": f"{TIMEOUT * 1000:.0f}ms",
                    "nameservers": [server.address for server in servers]}}
        instance = Gatepost(folder.path, settings, name=name, network=network)
        started.append(instance)
        return instance.start()

    yield start
    for instance in started:
        instance.terminate()
    assert {instance.log: instance.stop() for instance in started} \
        == {instance.log: 0 for instance in started}


@pytest.fixture(scope="session")
def hostile_server():
    server = HostileNameServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hostile_filters(hostile_server, start_filter):
    """(one that accepts all, one that refuses a fail)"""
    return (start_filter("hostile-accepting", hostile_server),
            start_filter("hostile-refusing", hostile_server, fail="reject"))


@pytest.fixture
def ground(request, hostile_server, hostile_filters):
    request.node.gatepost = hostile_filters[0]
    found = Ground(hostile_server, *hostile_filters, TIMEOUT)
    yield found
    found.check_well()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    instance = getattr(item, "gatepost", None)
    if report.failed and instance is not None and os.path.exists(instance.log):
        report.sections.append(("filter's log", "\n".join(instance.log_lines()[-20:])))
