"""The figures of Gatepost beside an empty filter and its peers; started by tests/bench/run.sh."""

import argparse
import functools
import json
import os
import resource
import subprocess
import time
from statistics import median

import doors
import logins
import rows
from machine import load_average
from measure import middle, ratios, rounds, warm_up
from plan import FULL, QUICK
from progress import say
from report import Report
from stage import Stage
# what follows needs the path that stage has set
from behind_postfix import measure_postfix
from hostile import measure_forged, measure_look_ups

_HERE = os.path.dirname(os.path.abspath(__file__))


def measure_tables(stage, plan, report):
    for table in (rows.without_headers(plan), rows.with_headers(plan)):
        for row in table.rows:
            if not stage.has(row.filter):
                say(f"{row.title}: not installed (apt-get install {row.filter})")
        warm_up(stage, table)
        for connections in plan.connections:
            say(f"{table.title}, {connections} connections")
            samples = rounds(stage, table, connections, plan.rounds, plan.seconds)
            report.table(f"{table.title}: {connections} connections", table, samples)
            report.judge_rates(table, samples, connections)


def measure_idle(stage, plan, report):
    """The load beside idle connections, and what each of them weighs; by filters of their own."""
    table = rows.with_idle(plan)
    say(table.title)
    warm_up(stage, table, "-idle")
    weights = {}
    for name in dict.fromkeys(row.filter for row in table.rows):
        target = stage.filter(name, "-idle")
        before = target.rss_kib()
        target.have_idle(plan.idle)
        time.sleep(0.5)   # what has no answer may still be under way
        weights[name] = (target.rss_kib() - before) / plan.idle
    samples = rounds(stage, table, 8, plan.idle_rounds, plan.seconds, plan.idle, "-idle")
    report.table(table.title, table, samples)
    report.part(f"Memory of an idle connection, from {plan.idle:,}", "".join(
        f"- {name}: {weight * 1024:.0f} octets\n" for name, weight in weights.items()))
    cached = next(name for name in weights if name.startswith("cache-"))
    share = weights[cached] / weights["empty-alike"]
    report.target("RSS of an idle connection",
                  "at most 1.2 of that of the empty filter which asks for the same macros",
                  f"{share:.2f}", share <= 1.2)


def measure_connections(stage, plan, report):
    table = rows.by_connections(plan)
    warm_up(stage, table)
    series = {row.title: [] for row in table.rows}
    text = ""
    for connections in plan.connection_points:
        say(f"{table.title}: {connections}")
        samples = rounds(stage, table, connections, plan.plot_rounds, plan.plot_seconds)
        report.add_samples(samples)
        for row in table.rows:
            series[row.title].append((connections, middle(samples, row.title, "cpu_us")))
        text += f"| {connections} | " + " | ".join(
            f"{middle(samples, row.title, 'rate'):,.0f} | {series[row.title][-1][1]:.1f}"
            for row in table.rows) + " |\n"
    head = "| connections | " + " | ".join(
        f"{row.title}: sessions/s | CPU us a session" for row in table.rows) + " |\n"
    report.part(table.title, f"{table.text}\n\n" + head + "|---" + "|---:" * 6 + "|\n" + text
                + report.plot("connections", "Processor time of a session", "connections",
                              "microseconds", series))


def measure_accounts(stage, plan, report):
    table = rows.by_accounts(plan)
    say(table.title)
    warm_up(stage, table)
    samples = rounds(stage, table, 8, plan.plot_rounds, plan.plot_seconds)
    report.add_samples(samples)
    few, many = plan.accounts[0], plan.accounts[-1]
    series = {"empty filter": [(count, middle(samples, "empty filter", "cpu_us"))
                               for count in (few, many)]}
    for name, cached in (("warm cache", True), ("no cache", False)):
        title = functools.partial(rows.accounts_title, cached=cached)
        series[name] = [(count, middle(samples, title(count), "cpu_us"))
                        for count in plan.accounts]
        share = median(ratios(samples, title(many), title(few), "cpu_us"))
        report.target(f"{many:,} accounts beside {few}, {name}", "the same cost",
                      f"{share:.2f} times", share < 1.1)
    text = "".join(f"| {count:,} | {series['warm cache'][at][1]:.1f} "
                   f"| {series['no cache'][at][1]:.1f} |\n"
                   for at, count in enumerate(plan.accounts))
    report.part(table.title, f"{table.text} The empty filter: {series['empty filter'][0][1]:.1f}."
                "\n\n| accounts | warm cache | no cache |\n|---|---:|---:|\n" + text
                + report.plot("accounts", "Processor time of a session", "accounts in Redis",
                              "microseconds", series))
    measure_round_trips(stage, plan, report)


def measure_round_trips(stage, plan, report):
    """Redis counts how often it read from a socket: once for each round trip."""
    target = stage.filter(f"direct-{plan.accounts[0]}")
    sessions = 2000
    for title, load, subjects in (("a cold look-up", rows.logins(10), "three"),
                                  ("the same with four parents", rows.deep_logins(10), "seven")):
        before = stage.redis_counts()
        subprocess.run(stage.load_argv(target, 8, *load, "--sessions", str(sessions)),
                       check=True, stdout=subprocess.DEVNULL)
        commands, reads = ((after - earlier) / sessions
                           for after, earlier in zip(stage.redis_counts(), before))
        report.target(title, f"one round trip for {subjects} subjects",
                      f"{reads:.2f} reads by Redis, {commands:.2f} commands", reads < 1.05)


def measure_networks(stage, plan, report):
    say("networks")
    text = stage.networks(plan.members)
    report.part("Networks", f"```\n{text}```\n")
    ten, many = (line.split() for line in text.splitlines()[1:])
    report.target(f"a network of {plan.members:,} entries loads", "in under 2 s",
                  f"{float(many[4]):.2f} s", float(many[4]) < 2)
    report.target("a look-up in it", "costs what one among 10 does",
                  f"{float(many[6]):.0f} ns beside {float(ten[6]):.0f} ns",
                  float(many[6]) - float(ten[6]) < 1000)


def measure_changes(stage, plan, report):
    say("changes")
    target = stage.filter(f"cache-{plan.accounts[0]}")
    quiet = stage.change_latency(target, max(200, plan.changes // 5))
    load = subprocess.Popen(stage.load_argv(target, 64, *rows.logins(10), "--seconds", "600",
                                            "--time-limit", "700"),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        loaded = stage.change_latency(target, plan.changes)
    finally:
        load.kill()
        load.wait()
    report.part("How soon a change in Redis is obeyed",
                "Microseconds from Redis's acknowledgement of HSET. `obeyed`: when the first "
                "verdict that obeys was there. `stale`: when the last question was asked that the "
                "old policy still answered. `question`: how long any one question took.\n\n"
                f"Without load:\n\n```\n{quiet}```\n\n"
                f"Under the load of 64 connections:\n\n```\n{loaded}```\n")
    p99 = {line.split()[0]: float(line.split()[3]) / 1000 for line in loaded.splitlines()[1:]}
    report.target("a change in Redis is obeyed, under the load of 64 connections",
                  "within 10 ms (p99)", f"{p99['obeyed']:.2f} ms; any one question takes "
                  f"{p99['question']:.2f} ms", p99["obeyed"] < 10)
    report.target("the old policy answers no question asked later than", "10 ms (p99)",
                  f"{p99['stale']:.2f} ms", p99["stale"] < 10)


def measure_waiting(stage, plan, report):
    """Quick messages while others wait for a name server that never answers; in turns."""
    say("waiting")
    counts = (0, 80, 200)
    targets = {slow: stage.filter(f"slow-{slow}") for slow in counts}
    crowds = [targets[slow].have_slow(slow) for slow in counts if slow]
    mail = {slow: [] for slow in counts}
    for _ in range(3):
        for slow in counts:
            argv = stage.load_argv(targets[slow], 8, *rows.logins(10), "--seconds",
                                   str(min(plan.seconds, 1.5)))
            load = subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE).stdout
            mail[slow].append(json.loads(load)["latency_us"]["mail"])
    if not all(crowd.alive() for crowd in crowds):
        raise RuntimeError("the slow evaluations ended before the load did")
    text = "| evaluations that wait | MAIL p50, ms | p99, ms |\n|---:|---:|---:|\n"
    for slow in counts:
        p50, p99 = (median(one[name] for one in mail[slow]) / 1000 for name in ("p50", "p99"))
        text += f"| {slow} | {p50:.2f} | {p99:.2f} |\n"
        if slow:
            report.target(f"a quick message while {slow} SPF evaluations wait for dead name "
                          "servers", "under 20 ms (p99)", f"{p99:.2f} ms", p99 < 20)
    report.part("Beside evaluations that wait for dead name servers",
                "Headers off, logins, 8 connections; medians of three runs each.\n\n" + text)


SECTIONS = {"tables": measure_tables, "postfix": measure_postfix, "waiting": measure_waiting,
            "idle": measure_idle, "connections": measure_connections, "accounts": measure_accounts,
            "networks": measure_networks, "changes": measure_changes,
            "lookups": measure_look_ups, "forged": measure_forged, "doors": doors.measure,
            "logins": logins.measure}


def read_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's worth, for a first look")
    parser.add_argument("--only", metavar="SECTION,...", help="some of " + ", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, help="of each table")
    parser.add_argument("--seconds", type=float, help="of each run")
    parser.add_argument("--results", default=os.path.join(_HERE, "../results"), metavar="FOLDER")
    parser.add_argument("--folder", required=True, help=argparse.SUPPRESS)
    parser.add_argument("build", metavar="BUILD_DIR",
                        help="where Gatepost and the bench's programs are (default: builds them)")
    arguments = parser.parse_args()
    arguments.sections = arguments.only.split(",") if arguments.only else list(SECTIONS)
    for section in arguments.sections:
        if section not in SECTIONS:
            parser.error(f"no section {section}")
    plan = QUICK if arguments.quick else FULL
    chosen = {name: value for name in ("rounds", "seconds")
              if (value := getattr(arguments, name)) is not None}
    arguments.plan = plan._replace(**chosen)
    return arguments


def allow_descriptors():
    """As many as there may be, for this process and those it starts."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main():
    arguments = read_arguments()
    load_before = load_average()
    allow_descriptors()
    report = Report(os.path.abspath(arguments.results), arguments.build, load_before)
    stage = Stage(arguments.folder, os.path.abspath(arguments.build), arguments.plan.accounts)
    try:
        say("filling Redis")
        stage.fill()
        for section in arguments.sections:
            SECTIONS[section](stage, arguments.plan, report)
        print(report.write())
    finally:
        stage.stop()
    say("done")


if __name__ == "__main__":
    main()
