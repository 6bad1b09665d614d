"""Sentinels and servers that demand a login, of the filter's own user or of everybody."""

import pytest

from support import policy
from support.gatepostctl import Gatepostctl
from support.policy_asker import Asker
from support.process import wait_until
from support.redis_login import (acl_of_the_package, password_file,
                                 sentinel_acl_of_the_package)
from support.redis_sentinel import SentinelGroup

TIMEOUT = 0.3
MARGIN = 1.0
RECOVERY = 1.0 + MARGIN
BARE = {"store_timeout": "300ms", "trusted": [], "network": {}, "cache_entries": 1000,
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"
UNAVAILABLE = "451 4.3.0"
PASSWORD = "sesame"
OF_THE_SERVERS = acl_of_the_package(PASSWORD)
OF_THE_SENTINELS = sentinel_acl_of_the_package(PASSWORD)
KINDS = {
    "everybody": ("", {"password": PASSWORD}),
    "user": ("gatepost", {"password": "another", "directives": [OF_THE_SENTINELS]}),
    "servers only": ("", {}),
    "servers only, user": ("gatepost", {}),
}


@pytest.fixture(scope="module", params=KINDS.items(), ids=lambda kind: kind[0].replace(" ", "-"))
def kind(request, site):
    """(group, store_user): a master and a replica, and two Sentinels."""
    name, (user, of_sentinels) = request.param
    group = SentinelGroup(site.folder.sub("login-" + name.replace(" ", "-")), 1, 2,
                          [OF_THE_SERVERS], password=PASSWORD, of_sentinels=of_sentinels)
    try:
        yield group.start(), user
    finally:
        group.stop()


@pytest.fixture
def start(start_gatepost, milter_session, site, domain):
    """A function (group, user, password): a running filter and an Asker."""
    def start_on(group, user, password):
        gatepost = start_gatepost({
            **BARE, "store": group.url, "store_user": user,
            "store_password_file": password_file(site, "password-" + domain, password)})
        gatepost.remember()
        return gatepost, Asker(milter_session(gatepost))
    return start_on


def ask_all(group, *args):
    """What the servers and the Sentinels answer."""
    return "".join([server.cli(*args) for server in group.servers]
                   + [sentinel.ask(*args) for sentinel in group.sentinels])


def fail_over(group):
    """Until the other server is the master; it."""
    old = group.master()
    wait_until(lambda: all(s.knows(1, 2) and s.settled() for s in group.sentinels), 20, "in order")
    wait_until(lambda: group.sentinels[0].ask("SENTINEL", "FAILOVER", group.NAME) == "OK", 20)
    return group.another_master(old)


def test_failover(kind, start, site, domain):
    group, user = kind
    ask_all(group, "ACL", "LOG", "RESET")
    policy.load(group.master(), "account:off@{d} protocol:smtp off", d=domain)
    gatepost, asker = start(group, user, PASSWORD)
    asker.wait_for(f"off@{domain}", OFF)
    wait_until(lambda: any("sub=1" in s.ask("CLIENT", "LIST", "TYPE", "PUBSUB")
                           for s in group.sentinels), what="told of a switch")
    new = fail_over(group)
    gatepost.wait_log("event=store-master", f":{new.port}")
    for state, reply in (("off", OFF), ("on", ""), ("off", OFF)):
        policy.load(new, "account:later@{d} protocol:smtp {state}", d=domain, state=state)
        assert asker.wait_for(f"later@{domain}", reply) < RECOVERY
    assert max(asker.waits) < TIMEOUT + MARGIN
    assert not gatepost.events("store-sentinel-error") + gatepost.events("store-not-watched")
    assert not [line for line in gatepost.log_lines() if PASSWORD in line]
    assert ask_all(group, "ACL", "LOG") == "", "rights were missing"
    secret = site.folder.file("password-" + domain)
    ctl = Gatepostctl(site.folder.file("sentinel-login.conf"), {
        "store": group.url, "store_user": user, "store_password_file": secret})
    shown = ctl.json("account", "show", f"later@{domain}")
    assert shown["protocols"]["smtp"]["value"] == "off"


def test_a_wrong_password(kind, start, site, domain):
    group, user = kind
    policy.load(group.master(), "account:off@{d} protocol:smtp off", d=domain)
    gatepost, asker = start(group, user, "wrong")
    for _ in range(3):
        assert asker.ask(f"off@{domain}").startswith(UNAVAILABLE)
    assert max(asker.waits) < TIMEOUT + MARGIN
    demanding = group.sentinels[0].password is not None
    gatepost.wait_log("event=" + ("store-sentinel-error" if demanding else "store-down"),
                      "WRONGPASS", "store_password_file")
    password_file(site, "password-" + domain, PASSWORD)
    recovery = asker.wait_for(f"off@{domain}", OFF)
    print(f"password corrected: recovery {recovery * 1000:.0f} ms")
    assert recovery < RECOVERY
    gatepost.wait_log("event=store-watched")


def test_one_of_them_loses_its_password(site, start, domain):
    """The other wants a login: neither is of less use for that."""
    group = SentinelGroup(site.folder.sub("mixed-" + domain), 1, 2, [OF_THE_SERVERS],
                          password=PASSWORD, of_sentinels={"password": PASSWORD})
    try:
        group.start()
        first, last = group.sentinels
        last.ask("ACL", "SETUSER", "default", "nopass")
        last.password = None
        gatepost, asker = start(group, "", PASSWORD)
        asker.wait_for(f"later@{domain}", "")
        first.kill()
        assert last.ask("SENTINEL", "FAILOVER", group.NAME) == "OK"
        old = group.master()
        new = group.another_master(old)
        gatepost.wait_log("event=store-master", f":{new.port}")
        policy.load(new, "account:later@{d} protocol:smtp off", d=domain)
        asker.wait_for(f"later@{domain}", OFF)
        assert not gatepost.events("store-sentinel-error")
    finally:
        group.stop()
