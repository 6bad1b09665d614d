"""Owns the results' files: figures.md to read, figures.csv to reckon with, the plots."""

import csv
import os
from statistics import median

from machine import describe
from measure import Sample, middle, ratios
from plot import line_plot
from rows import EMPTY, EMPTY_HEADER, POLICY, SPF, SPF_HEADER, SPF_NEW

ENOUGH = 1.0        # of the empty filter, with everything warm
ENOUGH_NEW = 0.80   # the same with every domain new

_HEADING = """\
# Figures

Written by tests/bench/run.sh. Medians; ratios are medians of the ratios of each round, with the
lowest and the highest. CPU is the filter's own processor time, all threads; Redis and the load are
not in it, though they share the machine.

"""


def _markdown(heading, rows):
    lines = ["| " + " | ".join(heading) + " |",
             "|---" + "|---:" * (len(heading) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def _share(values):
    """The median of ratios; with several rounds also the lowest and the highest."""
    text = f"{median(values):.3f}"
    return text if len(values) == 1 else f"{text} ({min(values):.2f} to {max(values):.2f})"


def samples_table(table, samples):
    heading = ["", "sessions/s", *table.baselines, "CPU us a session",
               *(f"CPU {name}" for name in table.baselines), "MAIL p50 us", "MAIL p99 us"]
    rows = []
    measured = {sample.row for sample in samples}
    for row in table.rows:
        if row.title not in measured:
            rows.append([row.title, "not installed"] + [""] * (len(heading) - 2))
            continue
        rows.append(
            [row.title, f"{middle(samples, row.title, 'rate'):,.0f}"]
            + [_share(ratios(samples, row.title, base)) for base in table.baselines.values()]
            + [f"{middle(samples, row.title, 'cpu_us'):.1f}"]
            + [f"{median(ratios(samples, row.title, base, 'cpu_us')):.2f}"
               for base in table.baselines.values()]
            + [f"{middle(samples, row.title, 'mail_p50'):.0f}",
               f"{middle(samples, row.title, 'mail_p99'):.0f}"])
    return _markdown(heading, rows)


class Report:
    """Takes results as they come; a part that was not measured is left out."""

    def __init__(self, folder, build, load_before):
        self._folder = folder
        os.makedirs(folder, exist_ok=True)
        self._machine = describe(build, load_before)
        self._samples, self._parts, self._targets = [], [], []

    def part(self, title, text):
        self._parts.append(f"## {title}\n\n{text}")

    def target(self, figure, wanted, measured, reached):
        """`reached` is None where there is nothing to reach."""
        self._targets.append((figure, wanted, measured,
                              "" if reached is None else "yes" if reached else "no"))

    def table(self, title, table, samples):
        self._samples += samples
        self.part(title, (table.text + "\n\n" if table.text else "")
                  + samples_table(table, samples))

    def plot(self, name, title, x_title, y_title, series):
        with open(os.path.join(self._folder, name + ".svg"), "w") as file:
            file.write(line_plot(title, x_title, y_title, series))
        return f"\n![{title}]({name}.svg)\n"

    def add_samples(self, samples):
        self._samples += samples

    # what the design wants reached

    def judge_rates(self, table, samples, connections):
        control = ratios(samples, table.rows[1].title, table.rows[0].title)
        self.target(f"control: {table.rows[0].title}, beside itself, {connections} connections",
                    "1: how far from it tells the noise", _share(control), None)
        if table.key == "off":
            for row, state, enough in ((POLICY, ", warm", ENOUGH), (SPF, ", warm", ENOUGH),
                                       (SPF_NEW, "", ENOUGH_NEW)):
                share = median(ratios(samples, row, EMPTY))
                self.target(f"headers off, {row}{state}, {connections} connections",
                            f"at least {enough:.2f} of the empty filter", f"{share:.3f}",
                            share >= enough)
            return
        share = median(ratios(samples, SPF_HEADER, EMPTY_HEADER))
        self.target(f"Authentication-Results, policy + SPF, warm, {connections} connections",
                    f"at least {ENOUGH:.2f} of the empty filter that adds a header",
                    f"{share:.3f}",
                    share >= ENOUGH)
        for row in table.rows:
            if row.filter in ("opendmarc", "pyspf-milter") and \
                    any(sample.row == row.title for sample in samples):
                times = median(ratios(samples, SPF_HEADER, row.title))
                self.target(f"the same beside {row.title}", "ahead", f"{times:.1f} times its rate",
                            times > 1)

    def write(self):
        parts = [_HEADING + "\n".join(f"- {what}: {value}" for what, value in self._machine) + "\n"]
        if self._targets:
            parts.append("## Figures to reach\n\n" + _markdown(
                ["figure", "wanted", "measured", "reached"], self._targets))
        path = os.path.join(self._folder, "figures.md")
        with open(path, "w") as file:
            file.write("\n".join(parts + self._parts))
        with open(os.path.join(self._folder, "figures.csv"), "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Sample._fields)
            writer.writerows(sample._replace(**{
                field: round(getattr(sample, field), 1)
                for field in ("rate", "cpu_us", "mail_p50", "mail_p99")})
                for sample in self._samples)
        return path
