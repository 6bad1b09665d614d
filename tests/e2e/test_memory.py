"""Memory fails at every allocation in turn: nobody gets in by it, and no forged field stays.

Each scenario is a whole session whose message is due to be refused. It is run again and again, with
the first, second, third ... allocation failing, until none is left; once with that one failing alone
and once with all that follow it. What must not happen is an accept. That the filter ends is no
opening, but it is counted, and bounded.
"""

import mmap
import os
import struct
import subprocess

import pytest

from support.folder import Folder
from support.gatepost import BINARY, Gatepost
from support.gatepostctl import CTL, Gatepostctl
from support.milter_client import MilterClient
from support.nameserver import NameServer
from support.process import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
POLICY = """\
account:off@example.com        protocol:smtp    off
account:off@xn--bcher-kva.example  protocol:smtp    off
account:login@example.com      protocol:submission  off
account:tls@example.com        tls              required
account:only@example.com       source           authorized
account:only@example.com       ip:198.51.100.7  elsewhere
account:@fails.example         spf:fail         reject
"""
ID = "mx.gatepost.test"
ADD, CHANGE = "i", "m"          # SMFIR_INSHEADER, SMFIR_CHGHEADER

pytestmark = pytest.mark.skipif(
    b"__asan_init" in open(BINARY, "rb").read() or b"__tsan_init" in open(BINARY, "rb").read(),
    reason="a sanitizer has an allocator of its own: tests/run.sh runs this on a plain build")


class Memory:
    """The plan of failing_memory.c."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("lll", 0, 0, 0))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 24)

    def fail(self, at, length):
        self._map[0:24] = struct.pack("lll", 0, length, 0)
        self._map[0:8] = struct.pack("l", at)

    def stop(self):
        """No failure any more; how many allocations there were."""
        self._map[0:8] = struct.pack("l", 0)
        return struct.unpack("l", self._map[16:24])[0]


@pytest.fixture(scope="module")
def parts():
    folder = Folder()
    nameserver = NameServer()
    nameserver.zones["fails.example"] = {"TXT": ["v=spf1 ip4:198.51.100.1 include:i.example -all"]}
    nameserver.zones["i.example"] = {"TXT": ["v=spf1 a:%{d} mx -all"]}
    nameserver.zones["helo.example"] = {"TXT": ["v=spf1 -all"]}
    library = folder.file("failing_memory.so")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library,
                    os.path.join(HERE, "support/failing_memory.c")], check=True)
    memory = Memory(folder.file("plan"))
    with open(folder.file("policy"), "w") as policy:
        policy.write(POLICY)
    os.environ["LD_PRELOAD"], os.environ["FAILING_MEMORY"] = library, folder.file("plan")
    gatepost = Gatepost(folder.path, {
        "store": "file:" + folder.file("policy"), "default_domain": "example.com",
        "received_spf": True, "log_level": "error",
        "spf": {"nameservers": [nameserver.address], "timeout": "2s", "fail": "reject"}})
    try:
        yield gatepost, memory
    finally:
        gatepost.stop()
        del os.environ["LD_PRELOAD"], os.environ["FAILING_MEMORY"]
        nameserver.stop()
        folder.remove()


def refused(response):
    return response is None or response.letter in "yrt4"


def message(mta, sender, **macros):
    return not refused(mta.mail(sender, **macros))


def forged(mta):
    """A message that is accepted: it is an opening when the forged field stays."""
    response = mta.mail("any@elsewhere.example")
    if refused(response):
        return False
    changes, end = mta.message([("Subject", "x"),
                                ("Authentication-Results", ID + "; spf=pass smtp.mailfrom=x")])
    if end.letter in "rt4y":
        return False
    return not any(change.letter == CHANGE for change in changes)


SCENARIOS = {
    "a protocol that is off": lambda mta: message(mta, "off@example.com"),
    "another spelling": lambda mta: message(mta, "OFF+tag@EXAMPLE.com"),
    "an IDN": lambda mta: message(mta, "off@b\u00fccher.example"),
    "an upper-case IDN": lambda mta: message(mta, "off@B\u00dcCHER.example"),
    "a login": lambda mta: message(mta, "x@elsewhere.example", login="Login+x"),
    "a login without TLS": lambda mta: message(mta, "x@elsewhere.example", login="tls@example.com"),
    "an address that is not listed": lambda mta: message(mta, "only@example.com"),
    "SPF": lambda mta: message(mta, "x@fails.example"),
    "SPF of HELO": lambda mta: message(mta, ""),
    "a forged field": forged,
}


def session(gatepost, scenario):
    """True when it is an opening: accepted, or a forged field that stays."""
    with MilterClient(gatepost.socket, timeout=10) as mta:
        mta.negotiate()
        answer = mta.connect()
        if answer is not None and answer.letter in "yrt4":
            return False
        mta.helo("helo.example")
        return SCENARIOS[scenario](mta)


@pytest.mark.parametrize("length", [1, 1_000_000], ids=["one", "all"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_sweep(parts, scenario, length):
    gatepost, memory = parts
    if not gatepost.running():
        gatepost.start()
    assert not session(gatepost, scenario), "it is refused while there is memory"
    openings, deaths, at = [], 0, 0
    while True:
        at += 1
        assert at < 5000
        memory.fail(at, length)
        try:
            if session(gatepost, scenario):
                openings.append(at)
        except (OSError, AssertionError):
            pass                            # the filter hung up, or is gone
        count = memory.stop()
        try:
            wait_until(lambda: not gatepost.running(), 0.02, "an end", 0.005)
        except TimeoutError:
            pass
        if not gatepost.running():
            deaths += 1
            gatepost = restart(parts)
        if count < at:
            break
    print(f"{scenario}: {at} allocations, {deaths} deaths, {len(openings)} openings")
    assert openings == []


def restart(parts):
    gatepost, _ = parts
    gatepost._process = None
    gatepost.start()
    return gatepost


COMMANDS = {
    "show": (["account", "show", "only@example.com"], ""),
    "show as JSON": (["account", "show", "only@example.com", "--json"], ""),
    "list": (["account", "list"], ""),
    "export": (["export"], ""),
    "export as JSON": (["export", "--json"], ""),
    "history": (["history"], ""),
    "import": (["import", "--dry-run"], "account:c@b.example tls required\naccount:@b.example ip:::1\n"),
    "ip add": (["ip", "add", "only@example.com", "10.0.0.2", "--dry-run"], ""),
    "ip add as JSON": (["ip", "add", "only@example.com", "10.0.0.2", "--dry-run", "--json"], ""),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_gatepostctl_ends_without_memory(name):
    """At every allocation after the configuration is read: it says so, or does all that it should."""
    args, text = COMMANDS[name]
    folder = Folder()
    library = folder.file("failing_memory.so")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library,
                    os.path.join(HERE, "support/failing_memory.c")], check=True)
    with open(folder.file("policy"), "w") as policy:
        policy.write(POLICY)
    ctl = Gatepostctl(folder.file("ctl.conf"), {"store": "file:" + folder.file("policy")})
    environment = {**os.environ, "LD_PRELOAD": library, "FAILING_MEMORY": folder.file("plan")}
    memory = Memory(folder.file("plan"))

    def run(at, length, args, text=""):
        memory.fail(at, length)
        done = subprocess.run([CTL, "-c", ctl.conf, *args], input=text, capture_output=True, text=True,
                              timeout=20, check=False, env=environment)
        return done, memory.stop()

    try:
        _, first = run(2 ** 40, 1, ["ip", "list", ""])       # refused behind the configuration
        clean, last = run(2 ** 40, 1, args, text)
        assert clean.returncode == 0 and last > first
        for at in range(first + 1, last + 1):
            for length in (1, 2 ** 40):
                done, _ = run(at, length, args, text)
                assert (done.returncode == 2 and "memory" in done.stderr
                        or (done.returncode, done.stdout) == (0, clean.stdout)), (at, length, done)
    finally:
        folder.remove()
