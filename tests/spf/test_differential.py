"""Random records, evaluated by the running filter and by pyspf (Debian: python3-spf), which shares
no code with it: the results are the same.

GATEPOST_SPF_SEED chooses other zones than the usual ones. What random_zones.py leaves out, and
what Oracle corrects or does not answer, is where pyspf is not RFC 7208.
"""

import os
import pprint
import random
from collections import Counter

import pytest
import spf

import session
from random_zones import RandomZones, key
from support.nameserver import SERVFAIL

SEED = int(os.environ.get("GATEPOST_SPF_SEED", "7208"))
ROUNDS, ZONES, QUERIES = 10, 26, 7     # zones of each round, queries about each zone


class Oracle(spf.query):
    """One evaluation by pyspf, whose look-ups are `lookup`'s."""

    _inside = -1    # the depth of includes of the record under evaluation
    prob = ""       # pyspf's: why an error is one

    def check1(self, spf, domain, recursion):
        if recursion == self._inside:    # not a deeper one, so a redirect's
            self.check_lookups()
        return super().check1(spf, domain, recursion)

    def check0(self, spf, recursion):
        """pyspf counts a redirect when it reads it; RFC 7208 4.6.4, 6.1: when it is followed."""
        before, self._inside = self._inside, recursion
        self.lookups -= any(term.startswith("redirect=") for term in (spf or "").split(" "))
        try:
            return super().check0(spf, recursion)
        finally:
            self._inside = before

    def result(self):
        """None where pyspf is not to be asked.

        It refuses a record that includes its own domain, even if the term is never reached; RFC
        7208 4.6.4 lets an evaluation run until it has a result or exceeds a limit.
        """
        found = self.check()[0]
        return None if self.prob == "include has trivial recursion" else found


class Lookup:
    """pyspf's look-ups, answered from zones as NameServer answers them."""

    def __init__(self, zones):
        self._zones = zones
        self.absent = []    # (name, type) asked for in vain

    def __call__(self, name, rdtype, *_):
        at = key(name)
        for _ in range(5):
            found = self._zones.get(at, {})
            if found == SERVFAIL:
                raise spf.TempError("SERVFAIL")
            if rdtype in found or "CNAME" not in found:
                break
            at = key(found["CNAME"][0])
        records = found.get(rdtype, [])
        if not records:
            self.absent.append((name, rdtype))
        return [((name, rdtype), self._data(rdtype, record)) for record in records]

    @staticmethod
    def _data(rdtype, record):
        if rdtype == "TXT":
            return [record.encode()]
        if rdtype == "MX":
            preference, host = record.split()
            return int(preference), host.rstrip(".")
        return record.rstrip(".") if rdtype == "PTR" else record


@pytest.fixture(scope="module")
def differing(nameserver, start_filter):
    return start_filter("differential", nameserver)


def _expected(monkeypatch, zones, query):
    """(pyspf's result, why, what it asked for in vain)"""
    lookup = Lookup(zones)
    monkeypatch.setattr(spf, "DNSLookup", lookup)
    oracle = Oracle(i=query.host, s=query.sender, h=query.helo)
    return oracle.result(), oracle.prob, lookup.absent


def _observed(instance, query, expected):
    """The filter's result; asked again when only the time-out can have been in the way."""
    found = session.evidence(instance, *query).result
    if found == "temperror" != expected:
        found = session.evidence(instance, *query).result
    return found


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_results_are_those_of_pyspf(round_, differing, nameserver, monkeypatch, request):
    request.node.gatepost = differing
    differences, compared, results = [], 0, Counter()
    for number in range(ZONES):
        seed = f"{SEED}/{round_}/{number}"
        made = RandomZones(random.Random(seed), f"{round_}-{number}", QUERIES)
        for query in made.queries[:4]:
            made.grow(_expected(monkeypatch, made.zones, query)[2])
        nameserver.zones = made.zones
        for query in made.queries:
            expected, why, _ = _expected(monkeypatch, made.zones, query)
            if expected is None:
                continue
            compared += 1
            results[expected] += 1
            found = _observed(differing, query, expected)
            if found != expected:
                differences.append(f"seed {seed}: {query}\n  Gatepost {found}, pyspf {expected} "
                                   f"{why}\n{pprint.pformat(made.zones, width=200)}")
    differing.check_healthy()
    print(f"{compared} compared: {dict(results)}")
    assert not differences, f"{len(differences)} differences\n" + "\n\n".join(differences[:5])
    assert compared > 0.85 * ZONES * QUERIES, compared
    assert len(results) >= 6, results    # of the seven results
