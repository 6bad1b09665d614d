"""What is hostile: a message of forged header fields, and a Redis whose answers are large or slow."""

import re
import time
from statistics import median
from typing import NamedTuple

from progress import say
from rows import CLIENT
from support.milter_client import MilterClient, header
from support.postfix import HOSTNAME
from support.process import wait_until
from support.tcp_proxy import TcpProxy

FORGED_SECONDS = 0.1
BEYOND_MS = 20          # a look-up takes store_timeout and no more than this
STORE_TIMEOUT_MS = 200
_SENDER = "user1@example.com"
_TIME = re.compile(r" us=(\d+)")


# ---- forged header fields ----

def _cost(target, name, number):
    """(processor time, letter of the last answer) of a message with so many fields of a name."""
    with MilterClient(target.socket) as mta:
        mta.negotiate()
        mta.connect(CLIENT)
        mta.helo()
        if mta.mail(_SENDER).letter != "c":
            raise RuntimeError("the sender was refused")
        mta.rcpt()
        mta.data()
        field = header(name, f"{HOSTNAME}; dkim=pass header.d=bank.example")
        before = target.cpu_seconds()
        mta.send(field * number)
        mta.end_headers()
        mta.body(b"x")
        _, final = mta.end_of_message()
        return target.cpu_seconds() - before, final.letter


def measure_forged(stage, plan, report):
    say("forged header fields")
    target = stage.filter("header")
    others, forged = [], []
    for _ in range(plan.rounds):
        others.append(_cost(target, "X-Other-Results-Of-Mail", plan.forged))
        forged.append(_cost(target, "Authentication-Results", plan.forged))
    refused = all(letter == "y" for _, letter in forged)
    read, all_of_it = (median(seconds for seconds, _ in runs) for runs in (others, forged))
    own = all_of_it - read
    report.part(f"A message with {plan.forged:,} forged Authentication-Results",
                "Processor time of the filter, all threads. libmilter reads each field, whatever "
                "it is; that is the time of a message with as many of another name.\n\n"
                "| | CPU s |\n|---|---:|\n"
                f"| fields of another name | {read:.3f} |\n"
                f"| forged | {all_of_it:.3f} |\n| the difference | {own:.3f} |\n")
    report.target(f"one message with {plan.forged:,} forged header fields",
                  f"under {FORGED_SECONDS} s of ours, and refused",
                  f"{own:.3f} s, {'refused' if refused else 'NOT refused'}; with what libmilter "
                  f"takes to read them {all_of_it:.3f} s", own < FORGED_SECONDS and refused)


# ---- a Redis whose answers are large or slow ----

class Case(NamedTuple):
    title: str
    account: str
    rate: int = 0       # octets a second that come back; 0: all at once
    delay: float = 0    # seconds that each answer takes longer


FIELDS = {"large": 9_990, "too-large": 400_000, "user": 1}
CASES = (Case("one field", "user"),
         Case(f"{FIELDS['large']:,} fields", "large"),
         Case(f"{FIELDS['too-large']:,} fields: too large", "too-large"),
         Case(f"{FIELDS['large']:,} fields, 100,000 octets a second", "large", rate=100_000),
         Case("one field, 10 octets in 10 ms", "user", rate=1000),
         Case("one field, each answer a second late", "user", delay=1))


def _ask(target, account, count):
    """Milliseconds that each verdict took, by the filter's own clock."""
    took = []
    with MilterClient(target.socket) as mta:
        mta.negotiate()
        mta.connect(CLIENT)
        mta.helo()
        for _ in range(count):
            target.forget_log()
            mta.mail("x@example.com", login=f"{account}@hostile.example")
            mta.abort()
            took.append(_last_verdict(target))
    return took


def _last_verdict(target):
    """The log is written by a thread of its own, after the answer; other events may follow."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with open(target.log, errors="replace") as log:
            verdicts = [line for line in log if "event=verdict" in line and line.endswith("\n")]
        if verdicts and (found := _TIME.search(verdicts[-1])):
            return int(found[1]) / 1000
        time.sleep(0.001)
    raise RuntimeError(f"no verdict in {target.log}")


def _is_served(target):
    with MilterClient(target.socket) as mta:
        mta.negotiate()
        mta.connect(CLIENT)
        mta.helo()
        return mta.mail("x@example.com", login="user@hostile.example").letter in "ca"


def measure_look_ups(stage, plan, report):
    say("look-ups whose answers are large or slow")
    stage.fill_hostile(FIELDS)
    port = stage.redis_port()
    proxy = TcpProxy(port)
    text = "| answer | p50, ms | longest, ms |\n|---|---:|---:|\n"
    longest = {}
    try:
        target = stage.filter(f"proxied-{proxy.port}")
        for case in CASES:
            proxy.rate, proxy.delay = case.rate, case.delay
            took = _ask(target, case.account, plan.look_ups)
            longest[case.title] = max(took)
            text += f"| {case.title} | {median(took):.1f} | {max(took):.1f} |\n"
            proxy.rate = proxy.delay = 0
            wait_until(lambda: _is_served(target), 10, "the store is up again")
    finally:
        proxy.stop()
    report.part("A look-up in Redis whose answer is large or slow",
                f"store_timeout is {STORE_TIMEOUT_MS} ms, nothing is cached; the time of the "
                "verdict by the filter's own clock, one after the other.\n\n" + text)
    worst = max(longest, key=longest.get)
    report.target("a look-up in Redis, whatever the answer's size or speed",
                  f"never beyond store_timeout + {BEYOND_MS} ms: {STORE_TIMEOUT_MS + BEYOND_MS} ms",
                  f"{longest[worst]:.1f} ms ({worst})",
                  longest[worst] <= STORE_TIMEOUT_MS + BEYOND_MS)
