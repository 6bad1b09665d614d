"""How much of the client's address a pass looks at: `source authorized` wants 8 bits of IPv4, 16 of
IPv6, of the mechanism that has matched, wherever it stands."""

import pytest

from support import logfmt
from support.gatepostctl import Gatepostctl
from support.milter_client import MilterClient

V4, V6 = "192.0.2.10", "2001:db8::10"
ZONES = {
    "all.w.example": {"TXT": ["v=spf1 +all"]},
    "narrow.w.example": {"TXT": [f"v=spf1 ip4:{V4} ip6:{V6} -all"]},
    "not.w.example": {"TXT": [f"v=spf1 -ip4:{V4} -ip6:{V6} +all"]},
    "deep.w.example": {"TXT": ["v=spf1 include:all.w.example -all"]},
    "deeper.w.example": {"TXT": ["v=spf1 redirect=deep.w.example"]},
    "none-of.w.example": {"TXT": ["v=spf1 ip4:203.0.113.1 ?all"]},
    "h.w.example": {"A": [V4], "AAAA": [V6], "MX": ["10 h.w.example."]},
    "mail.w.example": {"A": [V4], "AAAA": [V6]},
    "10.2.0.192.in-addr.arpa": {"PTR": ["mail.w.example."]},
    "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa":
        {"PTR": ["mail.w.example."]},
    "192.0.2.10.x.w.example": {"A": ["127.0.0.2"]},
    "192.x.w.example": {"A": ["127.0.0.2"]},
    "10.x.w.example": {"A": ["127.0.0.2"]},
    "client.example.x.w.example": {"A": ["127.0.0.2"]},
    "0.0.2.x.w.example": {"A": ["127.0.0.2"]},
    "1.0.0.2.x.w.example": {"A": ["127.0.0.2"]},
    "mail.w.example.x.w.example": {"A": ["127.0.0.2"]},
}

# the record, the client, and the mechanism that is too wide; None: it is not
CASES = [
    ("+all", V4, "+all"), ("all", V6, "all"),
    ("ip4:0.0.0.0/0 -all", V4, "ip4:0.0.0.0/0"),
    ("ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", V4, "ip4:128.0.0.0/1"),
    ("ip4:192.0.0.0/7 -all", V4, "ip4:192.0.0.0/7"),
    ("ip4:192.0.0.0/8 -all", V4, None),
    ("ip6:2000::/3 -all", V6, "ip6:2000::/3"),
    ("ip6:2001::/16 -all", V6, None),
    ("ip6:2000::/15 -all", V6, "ip6:2000::/15"),
    ("a:h.w.example/7 -all", V4, "a:h.w.example/7"),
    ("a:h.w.example/8//0 -all", V4, None),
    ("a:h.w.example/8//0 -all", V6, "a:h.w.example/8//0"),
    ("a:h.w.example -all", V6, None),
    ("mx:h.w.example/0 -all", V4, "mx:h.w.example/0"),
    ("mx:h.w.example//16 -all", V6, None),
    ("ptr:w.example -all", V4, None), ("ptr:w.example -all", V6, None),
    ("exists:h.w.example -all", V4, "exists:h.w.example"),
    ("exists:%{h}.x.w.example -all", V4, "exists:%{h}.x.w.example"),
    ("exists:%{p}.x.w.example -all", V4, "exists:%{p}.x.w.example"),
    ("exists:%{i}.x.w.example -all", V4, None),
    ("exists:%{i1}.x.w.example -all", V4, None),
    ("exists:%{i1r}.x.w.example -all", V4, None),
    ("exists:%{i3r}.x.w.example -all", V6, "exists:%{i3r}.x.w.example"),
    ("exists:%{i4r}.x.w.example -all", V6, None),
    # the mechanism in another record
    ("include:all.w.example -all", V4, "+all"),
    ("include:deep.w.example -all", V4, "+all"),
    ("redirect=all.w.example", V6, "+all"),
    ("redirect=deeper.w.example", V4, "+all"),
    ("a:nowhere.w.example include:none-of.w.example redirect=deep.w.example", V4, "+all"),
    ("include:narrow.w.example +all", V4, None),
    ("include:not.w.example include:narrow.w.example +all", V6, None),
    ("include:not.w.example +all", V4, "+all"),
    ("-exists:h.nowhere.w.example include:narrow.w.example -all", V4, None),
    ("ip4:203.0.113.1 include:none-of.w.example a:h.w.example +all", V4, None),
    ("include:none-of.w.example mx:h.w.example/3 -all", V4, "mx:h.w.example/3"),
]


@pytest.fixture(scope="module")
def authorized(nameserver, start_filter, folder):
    """A filter with `source authorized` for everybody."""
    instance = start_filter("width", nameserver)
    policy = folder.file("width-policy")
    with open(policy, "w") as file:
        file.write("account:* source authorized\n")
    instance.stop()
    instance.configure({"store": "file:" + policy, "trusted": [], "spf": {
        "nameservers": [nameserver.address], "timeout": "2s"}})
    return instance.start()


@pytest.mark.parametrize("record, client, wide", CASES)
def test_width(authorized, nameserver, record, client, wide):
    nameserver.zones = {**ZONES, "w.example": {"TXT": ["v=spf1 " + record]}}
    authorized.forget()
    with MilterClient(authorized.socket) as mta:
        mta.negotiate()
        mta.connect(client)
        mta.helo("client.example")
        reply = mta.mail("alice@w.example").reply
    verdict = authorized.verdict(stage="mail")
    assert verdict["spf"] == "pass", verdict
    assert verdict["reason"] == ("spf-pass" if wide is None else "spf-too-wide")
    assert reply[:10] == ("" if wide is None else "550 5.7.23")
    line = next(line for line in authorized.log_lines() if line.startswith("event=verdict"))
    told = Gatepostctl(authorized.conf).run("explain", "--log", line, "--json").json()
    because, = [step["because"] for step in told["steps"] if step["step"] == "spf"]
    assert ("too wide" in because) == (wide is not None)
    assert wide is None or f": {wide} in the record of " in because
    assert told["reason"] == logfmt.parse(line)["reason"]
