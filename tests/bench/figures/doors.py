"""Owns the figures of the doors: questions by HTTP at a socket of doors_listen, each connection
kept; policy from a warm cache."""

import json
import os
import subprocess
import time
from statistics import median

import stage as _stage  # noqa: F401: finds the support of the end-to-end tests
from support.doors import DoorClient

FACES = {"allow": "/v1/allow", "dovecot": "/v1/dovecot"}
CONNECTIONS = (1, 16)
RATE_WANTED = 5000        # a second, at 16 connections
P50_WANTED = 250          # microseconds, at 1
CHANGE_WANTED = 10        # milliseconds from a change in Redis to the first answer that obeys, p99


def _ask(stage, path, face, connections, seconds, accounts):
    argv = [os.path.join(stage.build, "tests/bench/door_load"), path, face, str(connections),
            str(seconds), str(accounts)]
    result = subprocess.run(argv, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{face}, {connections} connections: {result.stderr}")
    return json.loads(result.stdout)


def _changes(stage, path, count):
    """How long after Redis has acknowledged it each change was obeyed, in milliseconds, sorted."""
    client, taken = DoorClient(path, keep=True), []
    redis = stage.redis_client()
    for number in range(count):
        status = 403 if number % 2 == 0 else 200
        redis.command("HSET", "gatepost:account:user0@example.com", "protocol:caldav",
                      "off" if status == 403 else "on")
        begin = time.monotonic()
        while client.allow("user0@example.com").status != status:
            if time.monotonic() - begin > 5:
                raise RuntimeError(f"change {number} is not obeyed")
        taken.append((time.monotonic() - begin) * 1000)
    redis.command("HDEL", "gatepost:account:user0@example.com", "protocol:caldav")
    client.close()
    return sorted(taken)


def measure(stage, plan, report):
    accounts = plan.accounts[0]
    target = stage.filter("doors")
    path = target.socket + ".doors"
    lines = ["| | connections | requests/s | p50 us | p99 us | CPU us a request |",
             "|---|---:|---:|---:|---:|---:|"]
    for face, title in FACES.items():
        _ask(stage, path, face, 16, 0.3, accounts)      # warm
        if "stage=door" not in target.last_line():
            raise RuntimeError(f"{title}: no verdict in {target.last_line()}")
        for connections in CONNECTIONS:
            runs, cpu = [], []
            for _ in range(plan.rounds):
                before = target.cpu_seconds()
                runs.append(_ask(stage, path, face, connections, plan.seconds, accounts))
                cpu.append((target.cpu_seconds() - before) * 1e6 / runs[-1]["requests"])
                target.forget_log()
            rate, p50, p99 = (median(run[key] for run in runs)
                              for key in ("requests_per_second", "p50_us", "p99_us"))
            lines.append(f"| {title} | {connections} | {rate:,.0f} | {p50:.0f} | {p99:.0f} "
                         f"| {median(cpu):.1f} |")
            if connections == 1:
                report.target(f"{title}, 1 connection, p50", f"at most {P50_WANTED} us",
                              f"{p50:.0f} us", p50 <= P50_WANTED)
            else:
                report.target(f"{title}, {connections} connections",
                              f"at least {RATE_WANTED:,} requests/s", f"{rate:,.0f}",
                              rate >= RATE_WANTED)
    taken = _changes(stage, path, min(2000, plan.changes))
    p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    report.target("a change in Redis is obeyed at /v1/allow", f"within {CHANGE_WANTED} ms (p99)",
                  f"{p99:.2f} ms, p50 {p50:.2f} ms", p99 < CHANGE_WANTED)
    report.part("Doors: questions by HTTP", "On a unix socket, policy from a warm cache.\n\n"
                + "\n".join(lines) + "\n")
