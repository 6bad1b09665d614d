"""Owns child processes: start, signal and stop by pid, and waiting for a condition.

A child leads its own process group. What is left of the group is killed at the stop and at the
interpreter's exit; should the interpreter itself be killed, the kernel kills the child.
"""

import atexit
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

_running = set()


def wait_until(condition, timeout=30, what="condition", interval=0.01):
    """Poll condition() until it is true and return its value; TimeoutError after `timeout` s."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(interval)


def all_at_once(function, items):
    """What the function gives for each item, in their order, a thread for each."""
    items = list(items)
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(function, items))


class Process:
    """One running child. Its stdout and stderr go to the file `log`, appended; its stderr to the
    descriptor `stderr` where there is one."""

    def __init__(self, argv, log, cwd=None, env=None, death_signal="KILL", stderr=None):
        self.argv = [str(arg) for arg in argv]
        self.log = log
        with open(log, "ab") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", death_signal, "--", *self.argv],
                stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT if stderr is None else stderr,
                cwd=cwd, env=env, start_new_session=True)
        self.pid = self._child.pid
        _running.add(self)

    @property
    def returncode(self):
        """None while the child runs; its exit status, or minus the signal, afterwards."""
        return self._child.poll()

    def alive(self):
        return self.returncode is None

    def send_signal(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def freeze(self):
        """SIGSTOP, and wait until it has stopped."""
        self.send_signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", what=f"{self.argv[0]} stopped")

    def _state(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def wait(self, timeout=30):
        return self._child.wait(timeout)

    def wait_ready(self, condition, timeout=20, what="ready"):
        """Like wait_until, but gives up at once when the child has died."""
        def checked():
            if not self.alive():
                raise RuntimeError(f"{self.argv[0]} exited with {self.returncode}:\n"
                                   + self.log_text()[-4000:])
            return condition()
        return wait_until(checked, timeout, f"{self.argv[0]} {what}")

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="backslashreplace") as log:
            return log.read()

    def stop(self, number=signal.SIGTERM, timeout=30):
        """Signal the child, wait, kill what is left of its group; return its exit status."""
        try:
            self.send_signal(number)
            return self._child.wait(timeout)
        finally:
            self.kill_group()

    def kill_group(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._child.wait()
        _running.discard(self)


@atexit.register
def _kill_all():
    for process in list(_running):
        process.kill_group()
