"""Owns filters of many configurations behind one socket path, for MTAs that cannot be told another.

A configuration's filter is started when it is first asked for and serves until the end.
"""

import os

from .gatepost import Gatepost, render


class FilterSwitch:
    """`socket` is the path for the MTAs: it leads to the filter that use() was last asked for."""

    def __init__(self, folder):
        self._folder = folder
        self._current = os.path.join(folder, "current")
        self.socket = os.path.join(self._current, "milter.sock")
        self._filters = {}

    def use(self, settings):
        """The running filter with these settings, its log on a new page."""
        key = render(settings)
        if key not in self._filters:
            self._filters[key] = self._start(settings)
        instance = self._filters[key]
        if not instance.running():
            instance.start()
        self._point_to(os.path.dirname(instance.socket))
        instance.forget()
        return instance

    def _start(self, settings):
        # the folder is what the link leads to: Sendmail takes no socket that is itself a link
        folder = os.path.join(self._folder, str(len(self._filters)))
        os.mkdir(folder, 0o755)
        instance = Gatepost(folder, settings, socket=os.path.join(folder, "milter.sock"))
        return instance.start()

    def _point_to(self, folder):
        os.symlink(folder, self._current + ".new")
        os.replace(self._current + ".new", self._current)

    def stop(self):
        """Stop all; AssertionError for one that did not leave with status 0."""
        for instance in self._filters.values():
            instance.terminate()
        statuses = {instance.log: instance.stop() for instance in self._filters.values()}
        assert set(statuses.values()) <= {0}, statuses
