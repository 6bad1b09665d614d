"""`gatepostctl spf` shows an evaluation step by step: each term in the record's order, those of an
included record where it was asked, nothing behind the one that decided."""

import os
import subprocess

import pytest

from support.gatepost import BINARY, Gatepost
from support.nameserver import NameServer

GATEPOSTCTL = os.path.join(os.path.dirname(BINARY), "gatepostctl")
CLIENT = "192.0.2.10"

ZONES = {
    "order.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 a:h.example ip6:2001:db8::/32"
                              " ip4:203.0.113.7 exists:%{i}.e.example ?ip4:192.0.2.0/28 -all"]},
    "h.example": {"A": ["198.51.100.1", "198.51.100.2"]},
    "nested.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 include:one.example"
                               " ip4:203.0.113.7 include:two.example ~all"]},
    "one.example": {"TXT": ["v=spf1 ip4:198.51.100.1 include:deep.example ip6:2001:db8::1 -all"]},
    "deep.example": {"TXT": ["v=spf1 ip4:198.51.100.2 ?all"]},
    "two.example": {"TXT": ["v=spf1 ip4:198.51.100.3 ip4:192.0.2.10 a:h.example -all"]},
    "moved.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 redirect=deep.example"]},
    "broken.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 include:h.example ip4:192.0.2.10 -all"]},
}
ORDER = """\
    TXT order.example: v=spf1 ip4:198.51.100.0/24 a:h.example ip6:2001:db8::/32\
 ip4:203.0.113.7 exists:%{i}.e.example ?ip4:192.0.2.0/28 -all
  ip4:198.51.100.0/24: no match
    A h.example: 198.51.100.1, 198.51.100.2
  a:h.example: no match (look-up 1 of 10, void 0 of 2)
  ip6:2001:db8::/32: no match
  ip4:203.0.113.7: no match
    A 192.0.2.10.e.example: nothing
  exists:%{i}.e.example: no match (look-up 2 of 10, void 1 of 2)
  ?ip4:192.0.2.0/28: match
order.example: neutral (look-ups 2 of 10, void 1 of 2)
spf=neutral
"""
NESTED = """\
    TXT nested.example: v=spf1 ip4:198.51.100.0/24 include:one.example ip4:203.0.113.7\
 include:two.example ~all
  ip4:198.51.100.0/24: no match
  include:one.example (look-up 1 of 10)
      TXT one.example: v=spf1 ip4:198.51.100.1 include:deep.example ip6:2001:db8::1 -all
    ip4:198.51.100.1: no match
    include:deep.example (look-up 2 of 10)
        TXT deep.example: v=spf1 ip4:198.51.100.2 ?all
      ip4:198.51.100.2: no match
      ?all: match
    ip6:2001:db8::1: no match
    -all: match
  ip4:203.0.113.7: no match
  include:two.example (look-up 3 of 10)
      TXT two.example: v=spf1 ip4:198.51.100.3 ip4:192.0.2.10 a:h.example -all
    ip4:198.51.100.3: no match
    ip4:192.0.2.10: match
nested.example: pass (look-ups 3 of 10, void 0 of 2)
spf=pass
"""
MOVED = """\
    TXT moved.example: v=spf1 ip4:198.51.100.0/24 redirect=deep.example
  ip4:198.51.100.0/24: no match
  redirect=deep.example (look-up 1 of 10)
    TXT deep.example: v=spf1 ip4:198.51.100.2 ?all
  ip4:198.51.100.2: no match
  ?all: match
moved.example: neutral (look-ups 1 of 10, void 0 of 2)
spf=neutral
"""
BROKEN = """\
    TXT broken.example: v=spf1 ip4:198.51.100.0/24 include:h.example ip4:192.0.2.10 -all
  ip4:198.51.100.0/24: no match
  include:h.example (look-up 1 of 10)
      TXT h.example: nothing
broken.example: permerror: h.example has no SPF record (look-ups 1 of 10, void 0 of 2)
spf=permerror
"""


@pytest.fixture(scope="module")
def trace(folder):
    """A function: what gatepostctl prints for mail from a domain of ZONES."""
    server = NameServer(ZONES)
    conf = Gatepost(folder.path, {"store": "file:" + folder.file("policy"),
                                  "spf": {"nameservers": [server.address]}}, name="trace").conf

    def run(domain):
        done = subprocess.run([GATEPOSTCTL, "-c", conf, "spf", CLIENT, "client.example",
                               f"alice@{domain}"], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    yield run
    server.stop()


@pytest.mark.parametrize("domain, expected", [
    ("order.example", ORDER), ("nested.example", NESTED), ("moved.example", MOVED),
    ("broken.example", BROKEN),
], ids=["terms", "includes", "redirect", "error"])
def test_terms_are_shown_in_their_order(trace, domain, expected):
    assert trace(domain) == expected


@pytest.mark.parametrize("behind", ["-all", "redirect=deep.example"])
def test_the_longest_trace(trace, behind):
    """Ten terms that look something up, each between two that do not: none is left out."""
    terms = [word for _ in range(10) for word in ("ip4:203.0.113.7", "a:h.example")]
    ZONES["long.example"] = {"TXT": [" ".join(["v=spf1", *terms, "ip4:203.0.113.7", behind])]}
    shown = trace("long.example").splitlines()
    assert [line.split(": ")[0].strip() for line in shown if line.startswith("  ")
            and line[2] != " "][:21] == [*terms, "ip4:203.0.113.7"]
    assert shown[-1] == ("spf=fail" if behind == "-all" else "spf=permerror")
