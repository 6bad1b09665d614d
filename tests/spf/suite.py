"""Owns the reading of the conformance suites: their tests, and their zones as NameServer's.

A suite's zone lists what each name has: {TYPE: record} entries and the word TIMEOUT, which stands
for every type that is not listed. A record of the obsolete type SPF is published as TXT too,
unless the name has TXT records of its own or, to have none, the entry `TXT: NONE`.
"""

import os
from typing import NamedTuple

import dns.name
import yaml

from support.nameserver import TIMEOUT

_HERE = os.path.dirname(os.path.abspath(__file__))
_TYPES = ("A", "AAAA", "MX", "PTR", "TXT", "SPF")


class Case(NamedTuple):
    """One test of a suite."""

    suite: str
    scenario: str
    name: str
    zones: dict           # as NameServer takes them; shared by the tests of one scenario
    host: str             # the client's address
    helo: str
    mailfrom: str
    results: tuple        # any of them will do, the first is preferred
    explanation: object   # "DEFAULT": there must be none; None: not tested

    @property
    def id(self):
        return f"{self.suite[:7]}-{self.name}"


def _octets(text):
    """The suites write octets as the characters of that number."""
    return text.encode("latin-1")


def _key(name):
    labels = [_octets(label) for label in name.rstrip(".").split(".")]
    return dns.name.Name(labels).to_text().lower()


def _record(rdtype, value):
    if rdtype in ("TXT", "SPF"):
        return tuple(map(_octets, value)) if isinstance(value, list) else _octets(value)
    if rdtype == "MX":
        preference, host = value
        return f"{preference} {host.rstrip('.')}."
    return value.rstrip(".") + "." if rdtype in ("PTR", "CNAME") else value


def _name_data(entries):
    """What NameServer holds for a name with these entries."""
    records, others = {}, None
    for entry in entries:
        if entry == "TIMEOUT":
            others = TIMEOUT
            continue
        (rdtype, value), = entry.items()
        records.setdefault(rdtype, [])
        if value != "NONE":
            records[rdtype].append(_record(rdtype, value))
    if "SPF" in records and "TXT" not in records:
        records["TXT"] = records["SPF"]
    if others is not None:
        if records.get("TXT") == []:
            del records["TXT"]
        records = {rdtype: records.get(rdtype, others) for rdtype in _TYPES}
    return records


def _read(suite):
    with open(os.path.join(_HERE, suite), encoding="utf-8") as file:
        for scenario in filter(None, yaml.safe_load_all(file)):
            zones = {_key(name): _name_data(entries)
                     for name, entries in scenario["zonedata"].items()}
            for name, test in scenario["tests"].items():
                result = test["result"]
                yield Case(suite, scenario["description"], name, zones, test["host"],
                           test["helo"], test["mailfrom"],
                           tuple(result) if isinstance(result, list) else (result,),
                           test.get("explanation"))


def cases(suite):
    """The tests of a suite in their order."""
    return list(_read(suite))
