"""Which name servers are asked: the next one when one is silent or cannot answer, and those of
resolv.conf as it changes."""

import ctypes
import os
import shutil
import time

import pytest

from support.network_namespace import NetworkNamespace

import session
from conftest import TIMEOUT
from ground import CLIENT, Ground
from hostile_nameserver import (REFUSED, SERVFAIL, HostileNameServer, answers, fails, message,
                                sends, silent, txt)

PASS, FAIL = txt("v=spf1 +all"), txt("v=spf1 -all")
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


# two of them


@pytest.fixture(scope="module")
def pair(start_filter):
    """(the first name server, the second, a filter that asks both)"""
    servers = [HostileNameServer(), HostileNameServer()]
    yield (*servers, start_filter("hostile-pair", servers))
    for server in servers:
        server.stop()


@pytest.fixture
def two(request, pair):
    """(the first name server, the ground of the second); the same is published on both."""
    first, second, instance = pair
    request.node.gatepost = instance
    first.start_over()
    ground = Ground(second, instance, instance, TIMEOUT)
    yield first, ground
    first.zones = second.zones
    ground.check_well()


@pytest.mark.parametrize("behaviour", [
    silent, fails(SERVFAIL), fails(REFUSED), sends(lambda query: message(query, [PASS])[:-3])],
    ids=["silent", "SERVFAIL", "REFUSED", "cannot be read"])
def test_the_next_one_is_asked(two, behaviour):
    first, ground = two
    first.elsewhere = lambda name, rdtype: behaviour
    ground.publish("v=spf1 -all")
    assert ground.result() == "fail"


def test_silent_one_is_asked_last(two):
    """Only the first evaluation waits for it."""
    first, ground = two
    first.elsewhere = lambda name, rdtype: silent
    ground.publish("v=spf1 -all")
    assert ground.result() == "fail"
    asked = first.count()
    begin = time.monotonic()
    for _ in range(5):
        ground.move()
        ground.publish("v=spf1 include:a.$d include:b.$d include:c.$d -all",
                       **{label: "v=spf1 -all" for label in "abc"})
        assert ground.result() == "fail"
    assert first.count() == asked
    assert time.monotonic() - begin < TIMEOUT


def test_both_are_silent(two):
    first, ground = two
    first.elsewhere = lambda name, rdtype: silent
    ground.publish(silent)
    assert ground.result() == "temperror"
    assert first.count() > 0 and ground.count() > 0


def test_neither_can_answer(two):
    first, ground = two
    first.elsewhere = lambda name, rdtype: fails(SERVFAIL)
    ground.publish(fails(REFUSED))
    begin = time.monotonic()
    assert ground.result() == "temperror"
    assert time.monotonic() - begin < TIMEOUT / 2


# resolv.conf


def _mount(source, target, flags):
    if _libc.mount(source.encode(), target.encode(), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}: " + os.strerror(ctypes.get_errno()))


def _use_etc(folder):
    """From now on `folder` is /etc of the calling thread and its children."""
    if _libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    _mount(folder, "/etc", _MS_BIND)


class Host:
    """A network and an /etc of its own, with name servers at 127.0.0.2 and 127.0.0.3."""

    def __init__(self, folder, start_filter):
        self.etc = os.path.join(folder, "etc")
        os.makedirs(self.etc, exist_ok=True)
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache"):
            shutil.copy(os.path.join("/etc", name), self.etc)
        self.network = NetworkNamespace()
        self.network.call(_use_etc, self.etc)
        self.servers = {n: self.network.call(HostileNameServer, host=f"127.0.0.{n}", port=53)
                        for n in (2, 3)}
        for server, record in zip(self.servers.values(), (PASS, FAIL)):
            server.elsewhere = lambda name, rdtype, record=record: answers(record)
        self._start, self._number = start_filter, 0
        self.instance = None

    def write(self, text, name="resolv.conf"):
        with open(os.path.join(self.etc, name), "w", encoding="ascii") as file:
            file.write(text)

    def replace(self, text):
        self.write(text, "resolv.conf.new")
        os.rename(os.path.join(self.etc, "resolv.conf.new"), os.path.join(self.etc, "resolv.conf"))

    def remove(self):
        if os.path.exists(os.path.join(self.etc, "resolv.conf")):
            os.unlink(os.path.join(self.etc, "resolv.conf"))

    def start(self):
        """A filter that knows nothing yet."""
        self.stop()
        self._number += 1
        self.instance = self._start(f"resolv-{self._number}", [], network=self.network)

    def result(self, sender="x@example.com"):
        return session.evidence(self.instance, CLIENT, "mta.example", sender).result

    def stop(self):
        assert self.instance is None or self.instance.stop() == 0

    def close(self):
        self.stop()
        for server in self.servers.values():
            server.stop()
        self.network.close()


@pytest.fixture(scope="module")
def host(folder, start_filter):
    made = Host(folder.path, start_filter)
    yield made
    made.close()


TWO, THREE = "nameserver 127.0.0.2\n", "nameserver 127.0.0.3\n"


def test_followed(host):
    """Rewritten in place, and replaced; the answers of the two differ."""
    host.write(TWO)
    host.start()
    assert host.result() == "pass"
    for change in (host.write, host.replace):
        for text, expected in ((THREE, "fail"), (TWO, "pass")):
            change(text)
            time.sleep(1)
            assert host.result() == expected, (change, text)


@pytest.mark.parametrize("empty", [True, False])
def test_nothing_at_the_start(host, empty):
    """What failed before is not remembered when there are other name servers."""
    host.remove()
    if empty:
        host.write("")
    host.start()
    assert host.result() == "temperror"
    host.replace(TWO)
    time.sleep(1)
    assert host.result() == "pass"


def test_silent_at_the_start(host):
    """The failure of a name server that nobody asks any more is forgotten."""
    host.write("nameserver 127.0.0.4\n")
    silent_one = host.network.call(HostileNameServer, host="127.0.0.4", port=53)
    silent_one.elsewhere = lambda name, rdtype: silent
    host.start()
    assert host.result() == "temperror"
    host.write(THREE)
    time.sleep(1)
    assert host.result() == "fail"
    silent_one.stop()
