"""Compares what one SPF evaluation costs by Gatepost, by libspf2 and by pyspf: spf_cost.py BUILD_DIR.

Owns the records, the name server at 127.0.0.1:53 and the table; spf_cost.sh gives it a network and
a resolv.conf of its own. All three ask that name server, in the same rounds; its TTL decides
whether an answer may be kept. Figures are medians of the rounds, and there are none when the three
do not agree on a result.

BENCH_ROUNDS (5) and BENCH_SECONDS (0.15, for one figure of one round) change the measurement.
"""

import os
import socket
import statistics
import subprocess
import sys
import threading
from typing import NamedTuple

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(_HERE, "../e2e"))

# pylint: disable=wrong-import-position
from support.nameserver import NameServer      # noqa: E402

HELO = "mail.client.example"
MODES = ("warm", "cold")


class Case(NamedTuple):
    name: str
    client: str
    domain: str
    result: str


def blocks(first, number):
    """`number` ip4 terms of a provider's record, none of which is a client's."""
    return " ".join(f"ip4:{first}.{i * 8}.{i * 16}.0/{18 + i % 7}" for i in range(number))


ZONES = {
    "small.example": {"TXT": ["v=spf1 ip4:192.0.2.0/24 include:_spf.small.example -all"]},
    "_spf.small.example": {"TXT": ["v=spf1 ip4:198.51.100.0/25 ip4:198.51.100.128/26 ~all"]},
    "large.example": {"TXT": ["v=spf1 include:_spf.large.example -all"]},
    "_spf.large.example": {"TXT": ["v=spf1 include:_block1.large.example"
                                   " include:_block2.large.example"
                                   " include:_block3.large.example ~all"]},
    "_block1.large.example": {"TXT": [f"v=spf1 {blocks(20, 12)} ~all"]},
    "_block2.large.example": {"TXT": ["v=spf1 ip6:2001:db8:4000::/36 ip6:2001:db8:5000::/36"
                                      " ip6:2001:db8:6000::/36 ip6:2001:db8:7000::/36 ~all"]},
    "_block3.large.example": {"TXT": [f"v=spf1 {blocks(40, 10)} ip4:198.51.100.0/24 ~all"]},
    "hosts.example": {"TXT": ["v=spf1 a mx -all"], "A": ["198.51.100.1"],
                      "MX": ["10 mx1.hosts.example.", "20 mx2.hosts.example."]},
    "mx1.hosts.example": {"A": ["198.51.100.2"]},
    "mx2.hosts.example": {"A": ["198.51.100.3"]},
    "macro.example": {"TXT": ["v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d} -all"]},
    "9.100.51.198.alice._spf.macro.example": {"A": ["127.0.0.2"]},
}
CASES = (
    Case("ip4 include -all, by ip4", "192.0.2.10", "small.example", "pass"),
    Case("ip4 include -all, by include", "198.51.100.9", "small.example", "pass"),
    Case("ip4 include -all, by -all", "203.0.113.9", "small.example", "fail"),
    Case("a large provider, last block", "198.51.100.9", "large.example", "pass"),
    Case("a large provider, by -all", "203.0.113.9", "large.example", "fail"),
    Case("a mx -all, by the last MX", "198.51.100.3", "hosts.example", "pass"),
    Case("a mx -all, by -all", "203.0.113.9", "hosts.example", "fail"),
    Case("exists with macros", "198.51.100.9", "macro.example", "pass"),
)


class QuickNameServer:
    """Answers on UDP port 53, a question that came before without thinking: little is waited for."""

    def __init__(self, zones):
        self._slow = NameServer(zones)
        self._known = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def keepable(self, yes):
        """Whether answers may be kept from now on."""
        self._known.clear()
        self._slow.ttl = 3600 if yes else 0

    def _serve(self):
        while True:
            wire, client = self._socket.recvfrom(4096)
            if wire[2:] not in self._known:
                self._known[wire[2:]] = self._slow.respond(wire, limit=512)[2:]
            self._socket.sendto(wire[:2] + self._known[wire[2:]], client)


def measure(command, mode, seconds):
    """[(result, CPU, wall)], one for each of the CASES."""
    asked = "".join(f"{case.client} {HELO} alice+list@{case.domain}\n" for case in CASES)
    done = subprocess.run([*command, mode, str(seconds)], input=asked, capture_output=True,
                          text=True, check=True)
    words = [line.split() for line in done.stdout.splitlines()]
    if len(words) != len(CASES):
        sys.exit(f"spf_cost: {command[-1]}: {done.stdout}{done.stderr}")
    return [(result, float(cpu), float(wall)) for result, cpu, wall in words]


def run_rounds(evaluators, rounds, seconds):
    """{(evaluator, mode, case): [(CPU, wall), ...]}; leaves when a result is not the case's."""
    figures = {}
    server = QuickNameServer(ZONES)
    for _ in range(rounds):
        for mode in MODES:
            server.keepable(mode == "warm")
            for evaluator, command in evaluators.items():
                for case, (result, *spent) in zip(CASES, measure(command, mode, seconds)):
                    if result != case.result:
                        sys.exit(f"spf_cost: {case.name}: {evaluator} ({mode}) says {result},"
                                 f" not {case.result}: no figures")
                    figures.setdefault((evaluator, mode, case), []).append(spent)
    return figures


def main():
    build = sys.argv[1]
    program = os.path.join(build, "tests/bench/spf_cost")
    evaluators = {"gatepost": [program, "gatepost"], "libspf2": [program, "libspf2"],
                  "pyspf": [sys.executable, os.path.join(_HERE, "spf_cost_pyspf.py")]}
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    figures = run_rounds(evaluators, rounds, float(os.environ.get("BENCH_SECONDS", "0.15")))
    print(f"microseconds of one SPF evaluation, medians of {rounds} rounds; warm: answers of the"
          " DNS kept, cold: none")
    print(f"{'record':30}{'result':8}{'by':10}{'warm CPU':>10}{'warm wall':>11}"
          f"{'cold CPU':>10}{'cold wall':>11}")
    for case in CASES:
        for evaluator in evaluators:
            cpu, wall = zip(*(map(statistics.median, zip(*figures[evaluator, mode, case]))
                              for mode in MODES))
            print(f"{case.name:30}{case.result:8}{evaluator:10}{cpu[0]:10.1f}{wall[0]:11.1f}"
                  f"{cpu[1]:10.1f}{wall[1]:11.1f}")


main()
