"""Fixtures: one Site and one Redis for the run, one filter per test module that asks for it.

A module's SETTINGS (a dict, or a function of the site) are laid over base_settings().
"""

import itertools
import os

import pytest

from support import postfix, sendmail
from support.decision_table import DecisionTable
from support.doors import Doors
from support.filter_switch import FilterSwitch
from support.gatepost import BINARY, Gatepost
from support.http_client import HttpClient
from support.milter_client import MilterClient
from support.ports import accepts, free_port
from support.process import wait_until
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer
from support.site import Site
from support.tls import Certificate

_numbers = itertools.count(1)


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests start Postfix and Dovecot: run them as root", 2)
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"no filter to test at {BINARY}: build it or set GATEPOST", 2)


@pytest.fixture(scope="session")
def site():
    with_parts = Site()
    try:
        yield with_parts.start()
    finally:
        with_parts.stop()


@pytest.fixture(scope="session")
def redis_server(site):
    server = RedisServer(site.folder.sub("redis"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def redis(redis_server):
    """The running Redis, without any policy."""
    if not redis_server.running():
        redis_server.start()
    redis_server.cli("FLUSHALL")
    yield redis_server
    if not redis_server.running():
        redis_server.start()
    redis_server.resume()


@pytest.fixture
def make_cluster(site, domain):
    """A function (**arguments) that starts a RedisCluster of its own."""
    made = []

    def make(**arguments):
        cluster = RedisCluster(site.folder.sub(f"cluster-{domain}-{len(made)}"), **arguments)
        made.append(cluster)
        return cluster.start()

    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture
def dns(site):
    """The name server, its zones empty."""
    site.nameserver.zones.clear()
    site.nameserver.forget_counts()
    return site.nameserver


@pytest.fixture
def domain():
    """A domain that no test has used before, so that nothing about it is cached anywhere."""
    return f"d{next(_numbers)}.example"


def base_settings(site, redis_server):
    ports = site.postfix.ports
    return {
        "store": redis_server.url,
        "default_domain": "example.com",
        "trusted": ["relays"],
        "network": {
            "relays": {"members": ["127.0.0.1", "::1", "203.0.113.0/28", "2001:db8:ffff::/48"]},
            "gate": {"members": ["127.0.0.1", "198.51.100.0/24", "2001:db8:5::/48"]},
        },
        "listener": {
            "mx": {"daemon_port": ports["mx"], "service": "smtp"},
            "submission": {"daemon_port": ports["submission"], "service": "submission",
                           "tls": "required", "auth": "required"},
            "submissions": {"daemon_name": "SUBMISSIONS", "service": "submissions",
                            "tls": "required", "auth": "required"},
            "plain": {"daemon_name": "PLAIN", "service": "submission",
                      "tls": "required", "auth": "required"},
            "strict": {"daemon_port": ports["strict"], "service": "smtp",
                       "unknown_sender": "reject"},
            "gated": {"daemon_port": ports["gated"], "service": "smtp",
                      "connect_from": ["gate"]},
            "watched": {"daemon_port": ports["watched"], "service": "smtp",
                        "mode": "monitor", "unknown_sender": "reject"},
        },
        "spf": {"nameservers": [site.nameserver.address], "timeout": "2s"},
    }


@pytest.fixture(scope="module")
def module_filter(request, site, redis_server):
    settings = getattr(request.module, "SETTINGS", {})
    instance = Gatepost(site.folder.path, {**base_settings(site, redis_server), **settings},
                        name=f"filter{next(_numbers)}", socket=site.milter_socket)
    instance.start()
    yield instance
    assert instance.stop() == 0


@pytest.fixture
def gatepost(module_filter, request):
    """The module's filter, its log on a new page; it must be alive and well afterwards."""
    if not module_filter.running():
        module_filter.start()
    module_filter.forget()
    request.node.gatepost = module_filter
    yield module_filter
    module_filter.check_healthy()


@pytest.fixture(scope="module")
def leaving_filters():
    """Filters that have been sent SIGTERM; each must leave with status 0, which takes seconds."""
    leaving = []
    yield leaving
    statuses = {instance.log: instance.stop() for instance in leaving}
    assert set(statuses.values()) <= {0}, statuses


@pytest.fixture
def start_gatepost(request, site, redis_server, leaving_filters):
    """A function (settings, arguments of Gatepost) that starts one more filter, on a socket of its
    own."""
    started = []

    def start(settings=None, **arguments):
        instance = Gatepost(
            site.folder.path, {**base_settings(site, redis_server), **(settings or {})},
            name=f"filter{next(_numbers)}", **arguments)
        started.append(instance)
        request.node.gatepost = instance
        return instance.start()

    yield start
    for instance in started:
        instance.terminate()
        leaving_filters.append(instance)


@pytest.fixture
def start_served(start_gatepost, redis):
    """A function (**settings) that starts a filter with HTTP; (the filter, an HttpClient)."""
    def start(**settings):
        port = free_port()
        gatepost = start_gatepost({"store": redis.url, "authentication_results": False,
                                   "http_listen": f"127.0.0.1:{port}", **settings})
        if "http_listen" not in settings:
            wait_until(lambda: accepts(port), 20, "an open door")
        return gatepost, HttpClient(port)
    return start


@pytest.fixture
def start_doors(start_gatepost, site, domain, redis):
    """A function (**settings) that starts a filter with doors: (the filter, its Doors)."""
    def start(**settings):
        doors = Doors(site.folder.sub("doors-" + domain))
        listeners = {"mx": {"daemon_port": 25}, **settings.pop("listener", {})}
        return start_gatepost({"store": redis.url, "listener": listeners, **doors.settings,
                               **settings}), doors
    return start


@pytest.fixture
def milter_session():
    """A function (filter, address=, helo=, host=, macro_values=): a MilterClient after HELO."""
    opened = []

    def open_session(instance, address="192.0.2.10", helo="client.example",
                     host="client.example", macro_values=None):
        mta = MilterClient(instance.socket)
        opened.append(mta)
        mta.negotiate()
        mta.connect(address, host, macro_values)
        mta.helo(helo)
        return mta

    yield open_session
    for mta in opened:
        mta.close()


@pytest.fixture(scope="session")
def decision_table():
    return DecisionTable()


@pytest.fixture(scope="session")
def filter_switch(site):
    switch = FilterSwitch(site.folder.sub("filters"))
    yield switch
    switch.stop()


@pytest.fixture(scope="session")
def dead_store():
    """The URL of a Redis that is not there."""
    return f"redis://127.0.0.1:{free_port()}/0"


@pytest.fixture(scope="session")
def table_site(decision_table, filter_switch):
    """A Postfix with the doors and logins of the decision table, behind it the filter in use."""
    doors = {}
    for name in filter(decision_table.is_mta, decision_table.doors):
        wrapper = (postfix.WRAPPER,) if decision_table.is_wrapped(name) else ()
        doors[name] = postfix.Listener(name, postfix.SASL + wrapper)
    users = [login.lower().encode() for login in decision_table.logins()]
    with_parts = Site(doors, users, filter_switch.socket)
    try:
        yield with_parts.start()
    finally:
        with_parts.stop()


@pytest.fixture(scope="session")
def sendmail_server(site, decision_table, filter_switch):
    """A Sendmail with the doors and logins of the decision table, behind it the filter in use."""
    doors = {name: sendmail.Listener(name, decision_table.is_wrapped(name))
             for name in filter(decision_table.is_mta, decision_table.doors)}
    folder = site.folder.sub("sendmail")
    server = sendmail.Sendmail(folder, "unix:" + filter_switch.socket, Certificate(folder),
                               doors, {*decision_table.logins(), *sendmail.ODD_LOGINS})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    item.failed = report.failed or getattr(item, "failed", False)
    instance = getattr(item, "gatepost", None)
    if report.failed and instance is not None and os.path.exists(instance.log):
        report.sections.append(("filter's log", "\n".join(instance.log_lines()[-40:])))
    if report.failed and hasattr(item, "server_log"):
        report.sections.append(("log of the servers", "\n".join(item.server_log().splitlines()[-40:])))
