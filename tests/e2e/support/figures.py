"""Owns what the tests measure: one line each, on stdout and in the file $GATEPOST_FIGURES."""

import os

# how much more time everything may take than by hand on an idle machine: 1 there, more in CI
PATIENCE = float(os.environ.get("GATEPOST_PATIENCE", "5"))
# seconds for a change to be obeyed; 10 ms are promised, by a filter that is given the processor
BOUND = float(os.environ.get("GATEPOST_BOUND_MS", "250")) / 1000


def note(line):
    print(line)
    if "GATEPOST_FIGURES" in os.environ:
        with open(os.environ["GATEPOST_FIGURES"], "a") as figures:
            figures.write(line + "\n")
