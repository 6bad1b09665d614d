"""What one SPF evaluation costs by pyspf, as spf_cost.c says: spf_cost_pyspf.py warm|cold SECONDS.

pyspf keeps no answer of the DNS beyond an evaluation. Warm: what its DNSLookup() returns is kept in
a dict, which is quicker than any cache of a resolver.
"""

import sys
import time

import spf


def keep_answers():
    kept, ask = {}, spf.DNSLookup

    def look_up(name, qtype, *args):
        found = kept.get((name, qtype))
        if found is None:
            found = kept[(name, qtype)] = ask(name, qtype, *args)
        return found

    spf.DNSLookup = look_up


def measure(client, helo, sender, seconds):
    result = spf.check2(client, sender, helo)[0]
    number, wall = 0, 0.0
    cpu, begin = time.process_time(), time.monotonic()
    while wall < seconds:
        spf.check2(client, sender, helo)
        number += 1
        wall = time.monotonic() - begin
    cpu = time.process_time() - cpu
    print(result, cpu * 1e6 / number, wall * 1e6 / number)


def main():
    warm, seconds = sys.argv[1] == "warm", float(sys.argv[2])
    if warm:
        keep_answers()
    for line in sys.stdin:
        measure(*line.split(), seconds)


main()
