"""The long run behind tests/soak.sh, which says what it is for.

It goes in rounds: sessions of milter_load, half of them logins that are switched off, half messages
judged by SPF; beside them askers of accounts that change all the time; and each round one fault and
one reload. Between the rounds nothing is under way, and the filter is measured.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from support import faults
from support.checker import REPLIES, Check, Gap
from support.figures import BOUND, PATIENCE, note
from support.gatepost import BINARY
from support.ground import Ground
from support.nameserver import NameServer
from support.process import wait_until

LOAD = os.environ.get("MILTER_LOAD", os.path.join(os.path.dirname(BINARY),
                                                  "../tests/bench/milter_load"))
# SWITCH: reload by SIGUSR1. Off for a filter that would die of it.
RELOADS = True
SESSIONS_PER_ROUND = 10000
LOGINS, DOMAINS, CHANGING = 1000, 200, 20
CHANGES_PER_SECOND = 15
FAULTS = [faults.KILLED, faults.HUNG, faults.MAXCLIENTS, faults.SLOW, faults.LOADING,
          faults.DROPPED]
# how much the last third of the rounds may need beyond the first third after the warm-up
RSS_SHARE, THREADS, DESCRIPTORS = 0.10, 4, 4
WARM_UP = 0.25


class Load(threading.Thread):
    """One run of milter_load; `report` after join()."""

    def __init__(self, filter_socket, sessions, *arguments):
        super().__init__()
        self._argv = [LOAD, "--socket", "unix:" + filter_socket, "--json", "--connections", "32",
                      "--sessions", str(sessions), "--time-limit", "1200", *arguments]
        self.report = None

    def run(self):
        done = subprocess.run(self._argv, capture_output=True, text=True)
        self.report = json.loads(done.stdout)
        self.report["stderr"] = done.stderr

    def outcomes(self):
        """(let pass, refused, deferred)."""
        if self.report["errors"] or self.report["unexpected"]:
            raise AssertionError(f"milter_load: {self.report['stderr']}")
        outcomes = self.report["outcomes"]
        return (outcomes["accept"] + outcomes["continue"], outcomes["reject"],
                outcomes["tempfail"])


class Changes(threading.Thread):
    """Random changes, one after another, but for while it is held; also counts them."""

    def __init__(self, writer, chance, subjects):
        super().__init__()
        self._writer, self._chance, self._subjects = writer, chance, subjects
        self.lock = threading.Lock()    # held by who does not want any change
        self._ended = threading.Event()
        self.count, self.error = 0, None

    def run(self):
        try:
            while not self._ended.wait(1 / CHANGES_PER_SECOND):
                with self.lock:
                    self._writer.flip(self._chance, self._subjects)
                    self.count += 1
        except Exception as error:      # told by end()
            self.error = error

    def end(self):
        self._ended.set()
        self.join()
        if self.error:
            raise self.error


class Usage:
    """What the filter needs of the machine while it has nothing to do."""

    def __init__(self, pid):
        self._folder = f"/proc/{pid}/"
        self.rss, self.threads, self.descriptors = [], [], []
        self._is_sanitized = self._status("VmSize") > 2 ** 30      # its shadow: terabytes

    def _status(self, key):
        with open(self._folder + "status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(key + ":"))

    def sample(self):
        """Once the pool of workers has gone to sleep."""
        least = self._status("Threads")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            time.sleep(0.1)
            least = min(least, self._status("Threads"))
        self.threads.append(least)
        self.rss.append(self._status("VmRSS") / 1024)
        self.descriptors.append(len(os.listdir(self._folder + "fd")))

    @staticmethod
    def _thirds(values):
        values = values[int(len(values) * WARM_UP):]
        third = max(1, len(values) // 3)
        return sorted(values[:third])[third // 2], sorted(values[-third:])[third // 2]

    def line(self):
        return "; ".join(
            f"{name} {values[0]:.1f} at first, {early:.1f} early, {late:.1f} late, at most "
            f"{max(values):.1f}" for name, values in
            (("RSS MB", self.rss), ("threads", self.threads), ("descriptors", self.descriptors))
            for early, late in [self._thirds(values)])

    def assert_flat(self):
        early, late = self._thirds(self.rss)
        # a sanitizer keeps something of every thread that ever was, and libmilter makes many
        assert self._is_sanitized or late <= early * (1 + RSS_SHARE), f"RSS grows: {self.rss}"
        early, late = self._thirds(self.threads)
        assert late <= early + THREADS, f"threads grow: {self.threads}"
        early, late = self._thirds(self.descriptors)
        assert late <= early + DESCRIPTORS, f"descriptors grow: {self.descriptors}"


class Soak:
    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.nameserver = NameServer()
        for number in range(DOMAINS):
            self.nameserver.zones[f"s{number}.example"] = {
                "TXT": ["v=spf1 ip4:192.0.2.0/24 -all" if number % 2 else "v=spf1 -all"]}
        self.variants = [
            {"spf": {"nameservers": [self.nameserver.address], "timeout": "5s"},
             "authentication_results": results, "cache_ttl": ttl, "reply": REPLIES}
            for results, ttl in ((False, "5m"), (True, "2s"))]
        timeout = {"store_timeout": f"{int(200 * PATIENCE)}ms"}
        self.ground = Ground({**timeout, **self.variants[0]}, ["enable-debug-command yes"])
        self.writer = self.ground.writer()
        self.writer.load({f"account:l{number}@soak.example": {
            "protocol:submission": "on" if number % 2 else "off"} for number in range(LOGINS)})
        self.changing = [f"c{number}@change.example" for number in range(CHANGING)]
        self.subjects = [*(f"account:{login}" for login in self.changing),
                         "account:@change.example"]
        self.usage = Usage(self.ground.filter.pid)
        self.sessions = self.verdicts = self.changes = self.reloads = self.log_octets = 0
        self.deferred = 0
        self.faults = {fault.name: 0 for fault in FAULTS}
        self.longest = 0.0

    def reload(self):
        if not RELOADS:
            return
        self.reloads += 1
        self.ground.filter.forget()
        self.ground.filter.configure({**self.ground.settings,
                                      **self.variants[self.reloads % len(self.variants)]})
        os.kill(self.ground.filter.pid, signal.SIGUSR1)
        self.ground.filter.wait_log("event=reload", timeout=20)

    def fail(self, fault, changes, asker):
        """One fault from begin to end, as a Gap."""
        with changes.lock:
            time.sleep(BOUND)
            begin = time.monotonic()
            fault.begin(self.ground)
            asker.wait_all(self.changing, lambda answer: True, "everybody was asked for", 60)
            fault.end(self.ground)
            self.writer.client = self.ground.client
            back = time.monotonic()
        self.faults[fault.name] += 1
        wait_until(self.asks_the_store(), 2 + 0.2 * PATIENCE, "Redis in use")
        return Gap(begin, min(time.monotonic(), back + 1 + 0.2 * PATIENCE))

    def asks_the_store(self):
        """A condition: the last verdicts since now were all given with the store."""
        self.ground.filter.forget()

        def condition():
            verdicts = self.ground.filter.verdicts()[-200:]
            return len(verdicts) == 200 and not any(
                v.get("policy") == "stale" or v["reason"] == "policy-unavailable"
                for v in verdicts)
        return condition

    def round(self, fault, sessions):
        asker = self.ground.asker(self.changing, connections=16, pause=0.02,
                                  seed=self.chance.randrange(1000))
        changes = Changes(self.writer, self.chance, self.subjects)
        loads = [Load(self.ground.filter.socket, sessions // 2, "--login",
                      "l{n}@soak.example", "--sender-count", str(LOGINS)),
                 Load(self.ground.filter.socket, sessions // 2, "--sender",
                      "x@s{n}.example", "--sender-count", str(DOMAINS))]
        for thread in (changes, *loads):
            thread.start()
        asker.wait_all(self.changing, lambda answer: True, "everybody was asked for", 60)
        gaps = [self.fail(fault, changes, asker)] if fault else []
        self.reload()
        for load in loads:
            load.join()
        changes.end()
        self.judge(asker.stop(), gaps, loads, sessions)
        self.changes += changes.count

    def judge(self, answers, gaps, loads, sessions):
        check = Check(self.writer.history, answers, BOUND, gaps)
        check.assert_right()
        assert check.decisive > len(answers) / 4
        for load in loads:
            passed, refused, deferred = load.outcomes()
            half = sessions // 4
            assert passed <= half and refused <= half, load.report
            assert passed + refused + deferred == 2 * half, load.report
            assert deferred == 0 or gaps, load.report
            self.deferred += deferred
            self.longest = max(self.longest, load.report["latency_us"]["mail"]["max"] / 1e6)
        self.sessions += sessions
        self.verdicts += len(answers)
        self.longest = max([self.longest, *(answer.took for answer in answers)])

    def between(self):
        """The filter at rest: measured, and its log, which must not fill the disk, emptied."""
        self.ground.filter.check_healthy()
        self.usage.sample()
        self.log_octets += self.ground.filter.empty_log()

    def run(self, sessions):
        begin = time.monotonic()
        number = 0
        while self.sessions < sessions:
            # each fault once, in another order every time, then a round without
            if number % (len(FAULTS) + 1) == 0:
                order = [None, *self.chance.sample(FAULTS, len(FAULTS))]
            self.round(order[number % len(order)], SESSIONS_PER_ROUND)
            self.between()
            number += 1
            print(f"{self.sessions} sessions, {time.monotonic() - begin:.0f} s: "
                  f"RSS {self.usage.rss[-1]:.1f} MB, {self.usage.threads[-1]} threads, "
                  f"{self.usage.descriptors[-1]} descriptors", flush=True)
        note(f"soak: {self.sessions} sessions, {self.verdicts} verdicts checked, {self.changes} "
             f"changes, {self.reloads} reloads, faults {self.faults}, in "
             f"{time.monotonic() - begin:.0f} s; none wrong, {self.deferred} sessions deferred "
             f"amid faults, longest answer {1000 * self.longest:.0f} ms, "
             f"{self.log_octets / 1e6:.0f} MB of log")
        note(f"soak: {self.usage.line()}")
        self.usage.assert_flat()

    def stop(self):
        try:
            return self.ground.stop()
        finally:
            self.nameserver.stop()


def main():
    seed = int(os.environ.get("GATEPOST_SEED", random.SystemRandom().randrange(2 ** 31)))
    note(f"soak: {BINARY}, GATEPOST_SEED={seed}")
    soak = Soak(seed)
    try:
        soak.run(int(sys.argv[1]))
    except BaseException:
        print("\n".join(line[:300] for line in soak.ground.filter.log_lines()
                        if "event=verdict" not in line))
        raise
    finally:
        status = soak.stop()
    assert status == 0, f"exit status {status}"


if __name__ == "__main__":
    main()
