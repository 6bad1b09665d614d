"""Owns a filter and a Redis of their own, for what would disturb others: faults, changes without
end. No MTA: the filter is asked in its own protocol.
"""

import os

from .asker import Asker
from .checker import REPLIES, History, Writer
from .folder import Folder
from .gatepost import Gatepost
from .process import wait_until
from .redis_client import RedisClient, RedisError
from .redis_server import RedisServer


class Ground:
    """From construction to stop(). `settings` go over those that every test here needs.

    `networks` is (the filter's NetworkNamespace, Redis's own, Redis's address there).
    """

    def __init__(self, settings=None, directives=(), networks=(None, None, "127.0.0.1"),
                 start=True):
        self.folder = Folder()
        self.networks = networks
        self.redis = RedisServer(self.folder.sub("redis"), directives, persist=True,
                                 host=networks[2], network=networks[1])
        self.settings = {"store": self.redis.url, "store_timeout": "200ms", "trusted": [],
                         "authentication_results": False, "reply": REPLIES, **(settings or {})}
        self.filter = Gatepost(self.folder.path, self.settings, network=networks[0])
        self._client = None
        self._askers = []
        try:
            self.redis.start()
            if start:
                self.filter.start()
        except BaseException:
            self.stop()
            raise

    @property
    def client(self):
        """A connection to Redis for the test's own use, made anew after a restart."""
        if self._client is None:
            self._client = RedisClient(self.redis.socket)
        return self._client

    def forget_client(self):
        if self._client is not None:
            self._client.close()
            self._client = None

    def wait_for_redis(self, timeout=20):
        """Until it answers, to a connection made after the fault."""
        def answers():
            try:
                self.client.command("EXISTS", "gatepost:account:*")
            except (OSError, RedisError):
                self.forget_client()
                return False
            return True
        wait_until(answers, timeout, "Redis in use by the test", 0.002)

    def writer(self, history=None):
        return Writer(self.client, history or History())

    def asker(self, logins, **options):
        """A running Asker; it is stopped with the ground at the latest."""
        asker = Asker(self.folder.path, self.filter.socket, logins, **options)
        self._askers.append(asker)
        return asker.start()

    def give_processor(self):
        """The filter's lasting threads and Redis go before all else on this machine.

        So that a machine that others keep busy tells of the filter and not of them.
        """
        for pid in (self.filter.pid, self.redis.pid):
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setscheduler(int(thread), os.SCHED_FIFO | os.SCHED_RESET_ON_FORK,
                                      os.sched_param(1))

    def stop_askers(self):
        while self._askers:
            self._askers.pop().kill()

    def stop(self):
        """The filter's exit status; AssertionError for a sanitizer's report."""
        self.stop_askers()
        self.forget_client()
        self.redis.stop()
        try:
            return self.filter.stop()
        finally:
            self.folder.remove()
