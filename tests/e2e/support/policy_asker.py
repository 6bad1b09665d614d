"""Owns the asking of the filter for senders, one after the other or from many connections at once."""

import threading
import time

from .milter_client import MilterClient
from .process import wait_until


class Asker:
    """One milter connection on which senders are asked for; `waits` is how long each took."""

    def __init__(self, mta):
        self._mta = mta
        self.waits = []

    def ask(self, sender):
        """The reply to MAIL, "" when it was accepted."""
        began = time.monotonic()
        reply = self._mta.mail(sender).reply
        self.waits.append(time.monotonic() - began)
        self._mta.abort()
        return reply

    def wait_for(self, sender, reply, timeout=30):
        """Ask until that is the reply ("": accepted); the seconds that it took."""
        began = time.monotonic()
        wait_until(lambda: self.ask(sender).startswith(reply) if reply
                   else not self.ask(sender), timeout, f"{sender}: {reply or 'accepted'}")
        return time.monotonic() - began


class Load:
    """Many connections that ask for senders whose right answers are known, until stop().

    `expected` is {sender: "" (accepted) or a reply code}. A deferral is no wrong answer, but
    counted by sender.
    """

    def __init__(self, gatepost, expected, connections=8):
        self._socket = gatepost.socket
        self._expected = list(expected.items())
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.right, self.wrong, self.deferred = 0, [], {}
        self.waits = []
        self.last_deferral = None       # time.monotonic()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                         for number in range(connections)]

    def start(self):
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.right > 0, what="load")
        return self

    def _run(self, number):
        with MilterClient(self._socket) as mta:
            mta.negotiate()
            mta.connect()
            mta.helo()
            asker = Asker(mta)
            while not self._stop.is_set():
                number += 1
                sender, expected = self._expected[number % len(self._expected)]
                reply = asker.ask(sender)
                with self._lock:
                    self._count(sender, expected, reply)
                    self.waits.append(asker.waits.pop())

    def _count(self, sender, expected, reply):
        if reply.startswith(expected) if expected else not reply:
            self.right += 1
        elif reply.startswith("451 4.3.0"):
            self.deferred[sender] = self.deferred.get(sender, 0) + 1
            self.last_deferral = time.monotonic()
        else:
            self.wrong.append((sender, reply))

    def expect(self, sender, expected):
        """From now on that is right for that sender: call it while nobody asks for it."""
        self._expected = [(name, expected if name == sender else old)
                          for name, old in self._expected]

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self

    def summary(self):
        return (f"{self.right} right, {sum(self.deferred.values())} deferred, "
                f"longest wait {max(self.waits) * 1000:.0f} ms")
