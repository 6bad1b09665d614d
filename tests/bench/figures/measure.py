"""Owns how a figure is taken: one run of the load, and rounds of runs that take turns.

In a round every row runs once, in an order that moves on by one from round to round. A ratio is
that of two runs of the same round; what is reported is the median of the rounds' ratios.
"""

import itertools
import json
import subprocess
from statistics import median
from typing import NamedTuple

_seeds = itertools.count(1)


class Sample(NamedTuple):
    table: str
    row: str
    connections: int
    idle: int
    round: int
    rate: float       # sessions a second
    cpu_us: float     # processor time of the filter for a session, in microseconds
    mail_p50: float   # latency of the answer to MAIL, in microseconds
    mail_p99: float


class WrongAnswer(Exception):
    pass


def _load(stage, target, row, connections, *options):
    argv = stage.load_argv(target, connections, "--expect", row.expect, *row.load, *options)
    result = subprocess.run(argv, capture_output=True, text=True)
    if result.returncode != 0:
        raise WrongAnswer(f"{row.title}: {result.stderr}{result.stdout}")
    return json.loads(result.stdout)


def _check(row, table, report, target):
    """A filter that is fast because it does not do its work must not be reported."""
    if table == "on" and report["modifications"] < report["sessions"]:
        raise WrongAnswer(f"{row.title}: {report['sessions']} sessions, "
                          f"{report['modifications']} headers added")
    if row.proof not in target.last_line():
        raise WrongAnswer(f"{row.title}: no {row.proof} in {target.last_line()}")


def warm_up(stage, table, instance=""):
    """Fills caches and makes threads."""
    for row in table.rows:
        if stage.has(row.filter):
            target = stage.filter(row.filter, instance)
            if row.warm:
                _load(stage, target, row, 16, "--sessions", str(row.warm))
            report = _load(stage, target, row, 8, "--seconds", "0.3", "--random",
                           str(next(_seeds)))
            _check(row, table.key, report, target)
            target.forget_log()


def run(stage, table, row, connections, seconds, idle, number, instance):
    target = stage.filter(row.filter, instance)
    before = target.cpu_seconds()
    report = _load(stage, target, row, connections, "--seconds", str(seconds), "--random",
                   str(next(_seeds)))
    used = target.cpu_seconds() - before
    _check(row, table.key, report, target)
    target.forget_log()
    mail = report["latency_us"]["mail"]
    return Sample(table.key, row.title, connections, idle, number, report["sessions_per_second"],
                  used * 1e6 / max(1, report["sessions"]), mail["p50"], mail["p99"])


def rounds(stage, table, connections, count, seconds, idle=0, instance=""):
    """The samples of `count` rounds."""
    rows = [row for row in table.rows if stage.has(row.filter)]
    samples = []
    for number in range(count):
        turn = number % len(rows)
        for row in rows[turn:] + rows[:turn]:
            samples.append(run(stage, table, row, connections, seconds, idle, number, instance))
    return samples


def of_row(samples, row):
    return sorted((sample for sample in samples if sample.row == row), key=lambda s: s.round)


def ratios(samples, row, baseline, field="rate"):
    """The row's share of the baseline in each round."""
    return [getattr(one, field) / getattr(base, field)
            for one, base in zip(of_row(samples, row), of_row(samples, baseline))]


def middle(samples, row, field):
    return median(getattr(sample, field) for sample in of_row(samples, row))
