"""Messages a second that a real Postfix takes: with Gatepost, with the empty filter, with neither.

One Postfix with a port for each, in turns. Its queue is in memory, and empty before each run.
"""

import os
import subprocess
import time
from statistics import median
from typing import NamedTuple

from progress import say
from rows import HEADER, ZONE_OF_LOOPBACK
from support.postfix import RECIPIENT, Listener, Postfix
from support.process import wait_until
from support.smtp_client import SmtpClient
from support.tls import Certificate

NONE, EMPTY, AGAIN = "no filter", "empty filter, Gatepost's steps, one header", "the same again"
GATEPOST = "Gatepost: policy + SPF, one header"
WANTED = 0.95
_SENDER = f"user1@{ZONE_OF_LOOPBACK}"
_QUEUES = ("maildrop", "incoming", "active", "deferred")


class Run(NamedTuple):
    rate: float         # messages a second
    filter_us: float    # processor time of the filter for a message; 0 without one


class BehindPostfix:
    """A Postfix with a listener for each row; mail that it takes is thrown away."""

    def __init__(self, stage):
        self._filters = {NONE: None, EMPTY: stage.filter("empty-header", "-postfix"),
                         GATEPOST: stage.filter("header-mta")}
        self._filters[AGAIN] = self._filters[EMPTY]
        for target in filter(None, self._filters.values()):
            os.chmod(target.socket, 0o666)
        folder = stage.sub("postfix")
        listeners = {row: Listener("MX", ("smtpd_milters=" + ("unix:" + target.socket
                                                              if target else ""),))
                     for row, target in self._filters.items()}
        self._postfix = Postfix(
            os.path.join(folder, "mta"), "", Certificate(folder), "none", 25, listeners,
            ["default_transport = discard:", "relay_transport = discard:",
             "smtpd_tls_security_level = none"])
        self._postfix.start()

    def rows(self):
        return (NONE, EMPTY, AGAIN, GATEPOST)

    def _is_empty(self):
        return not any(files for queue in _QUEUES
                       for _, _, files in os.walk(os.path.join(self._postfix.folder, "queue", queue)))

    def check(self, row):
        """A message goes through; what was said of it is for the caller to see."""
        with SmtpClient(self._postfix.ports[row]) as smtp:
            smtp.ehlo("client.example")
            replies = [smtp.mail(_SENDER), smtp.rcpt(RECIPIENT), smtp.data("Subject: x\n\nx")]
        if any(reply.code != 250 for reply in replies):
            raise RuntimeError(f"{row}: {replies}")
        target = self._filters[row]
        if row == GATEPOST and "spf=pass" not in target.last_line():
            raise RuntimeError(f"no spf=pass in {target.last_line()}")

    def run(self, row, connections, messages):
        wait_until(self._is_empty, 60, "an empty queue")
        target = self._filters[row]
        before = target.cpu_seconds() if target else 0
        began = time.monotonic()
        subprocess.run(["smtp-source", "-s", str(connections), "-m", str(messages), "-l", "2000",
                        "-M", "client.example", "-f", _SENDER, "-t", RECIPIENT,
                        f"127.0.0.1:{self._postfix.ports[row]}"], check=True)
        took = time.monotonic() - began
        used = target.cpu_seconds() - before if target else 0
        if target:
            target.forget_log()
        return Run(messages / took, used * 1e6 / messages)

    def stop(self):
        self._postfix.stop()


def _share(ratios):
    return (f"{median(ratios):.3f}" if len(ratios) == 1
            else f"{median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})")


def measure_postfix(stage, plan, report):
    mta = BehindPostfix(stage)
    runs = {row: [] for row in mta.rows()}
    try:
        for connections in plan.postfix_connections:
            say(f"behind Postfix, {connections} connections")
            for row in runs:
                runs[row].clear()
                mta.check(row)
                mta.run(row, connections, plan.messages // 10)
            rows = list(runs)
            for number in range(plan.rounds):
                turn = number % len(rows)
                for row in rows[turn:] + rows[:turn]:
                    runs[row].append(mta.run(row, connections, plan.messages))
            _report(report, runs, connections)
    finally:
        mta.stop()


def _report(report, runs, connections):
    def shares(row, base):
        return [one.rate / other.rate for one, other in zip(runs[row], runs[base])]
    text = (f"| | messages/s | of {EMPTY} | of {NONE} | CPU us a message of the filter |\n"
            "|---|---:|---:|---:|---:|\n")
    for row, taken in runs.items():
        text += (f"| {row} | {median(run.rate for run in taken):,.0f} | "
                 f"{_share(shares(row, EMPTY))} | {_share(shares(row, NONE))} | "
                 f"{median(run.filter_us for run in taken):.1f} |\n")
    report.part(f"Behind a real Postfix: {connections} connections",
                f"smtp-source, a connection and a message of 2,000 octets each; {HEADER}. Postfix "
                "keeps its queue in memory and throws away what it has taken.\n\n" + text)
    report.target(f"behind Postfix, {connections} connections, the empty filter beside itself",
                  "1: how far from it tells the noise", _share(shares(AGAIN, EMPTY)), None)
    share = median(shares(GATEPOST, EMPTY))
    report.target(f"messages/s behind Postfix with the header, {connections} connections",
                  f"at least {WANTED} of the same with the empty filter", f"{share:.3f}",
                  share >= WANTED)
