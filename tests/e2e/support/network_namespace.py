"""Owns a network of its own: a namespace with nothing but loopback, where any address can be had,
and a cable to another one if need be.

What is to live in it is made by call(): a socket stays in the namespace in which it was opened, a
child in that of the thread that started it. The rest of the run does not notice.
"""

import ctypes
import ipaddress
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _enter():
    """Put the calling thread, and it alone, into a new network namespace."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))
    _ip("link", "set", "lo", "up")
    # an IPv6 address is there at once, the kernel's own route to it some time later
    _ip("-6", "route", "add", "local", "::/0", "dev", "lo")


class NetworkNamespace:
    """Lives until close(), and as long as anything made in it."""

    def __init__(self):
        self._addresses = set()
        # one thread for all the time: the kernel takes its end for the end of its children's parent
        self._thread = ThreadPoolExecutor(max_workers=1)
        self.call(_enter)

    def call(self, function, *args, **kwargs):
        """function(*args, **kwargs), run inside; what it returns or raises."""
        return self._thread.submit(function, *args, **kwargs).result()

    def have_address(self, address):
        """From now on `address` is one of this network's own."""
        if address in self._addresses or ipaddress.ip_address(address).is_loopback:
            return
        words = ["addr", "add", address, "dev", "lo"]
        self.call(_ip, *words, *(["nodad"] if ":" in address else []))
        self._addresses.add(address)

    def plug_into(self, other, address, other_address):
        """A cable between two networks, with an address at either end (in one block of /24)."""
        self.call(_ip, "link", "add", "cable", "type", "veth", "peer", "name", "cable",
                  "netns", str(other.call(threading.get_native_id)))
        for network, own in ((self, address), (other, other_address)):
            network.call(_ip, "addr", "add", own + "/24", "dev", "cable")
            network.call(_ip, "link", "set", "cable", "up")

    def pull_plug(self):
        """Nothing arrives any more on the cable at this end, and nothing is told of it."""
        self.call(_ip, "link", "set", "cable", "down")

    def push_plug(self):
        self.call(_ip, "link", "set", "cable", "up")

    def blackhole(self, address):
        """What is sent to `address` from here vanishes; what comes from there arrives."""
        self.call(_ip, "route", "add", "blackhole", address + "/32")

    def no_blackhole(self, address):
        self.call(_ip, "route", "del", "blackhole", address + "/32")

    def close(self):
        self._thread.shutdown()
