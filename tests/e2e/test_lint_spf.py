"""gatepostctl lint asks the DNS about providers, and about domains whose mail needs an SPF pass."""

import time

import pytest

from support.explaining import SETTINGS, ctl, policy  # noqa: F401 (fixtures)
from support.gatepostctl import Gatepostctl
from support.nameserver import SERVFAIL, TIMEOUT


def lint(ctl):  # noqa: F811
    """(exit status, findings, notes), each as {(kind, subject, field): problem}."""
    run = ctl.run("lint", "--json")
    told = run.json()
    return (run.status,
            *({(f["kind"], f["subject"], f["field"]): f["problem"] for f in told[part]}
              for part in ("findings", "notes")))


def test_a_provider(ctl, policy, dns, domain):  # noqa: F811
    policy(f"account:alice@a.example ip:spf:p.{domain}\naccount:bob@a.example ip:spf:p.{domain}\n")
    dns.zones[f"p.{domain}"] = {"TXT": [f"v=spf1 include:i.p.{domain} -all"]}
    dns.zones[f"i.p.{domain}"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 a:h.example ~all"]}
    status, findings, notes = lint(ctl)
    assert (status, findings) == (0, {}), "it is no mistake"
    (key, problem), = notes.items()
    assert key == ("provider", "account:alice@a.example", f"ip:spf:p.{domain}")
    assert problem.startswith("every customer of this provider is let in by it")
    assert problem.endswith("(1 more entry names it)")
    assert "every customer" in ctl.do("lint").out


@pytest.mark.parametrize("zone, problem", [
    (None, "does not exist"),
    ({"A": ["192.0.2.1"]}, "publishes no SPF record"),
    ({"TXT": ["v=spf1 nonsense"]}, "has an SPF record in error: "),
    ({"TXT": ["v=spf1 include:nowhere.example -all"]}, "nowhere.example has no SPF record"),
])
def test_a_provider_that_lists_nobody(ctl, policy, dns, domain, zone, problem):  # noqa: F811
    field = f"ip:spf:p.{domain}"
    policy(f"account:@a.example {field}\n")
    if zone is not None:
        dns.zones[f"p.{domain}"] = zone
    status, findings, notes = lint(ctl)
    assert status == 1 and notes == {}
    assert list(findings) == [("no-provider", "account:@a.example", field)]
    assert problem in findings["no-provider", "account:@a.example", field]


@pytest.mark.parametrize("record, where", [
    ("v=spf1 +all", "+all;"),
    ("v=spf1 ip4:192.0.2.1 include:w.{d} -all", "ip4:0.0.0.0/1 in that of w.{d};"),
    ("v=spf1 redirect=w.{d}", "ip4:0.0.0.0/1 in that of w.{d};"),
    ("v=spf1 exists:%{h}.{d} -all", "exists:%{h}.{d};"),
    ("v=spf1 a:{d}//8 -all", "a:{d}//8;"),
])
@pytest.mark.parametrize("provider", [True, False])
def test_a_record_that_passes_almost_anybody(ctl, policy, dns, domain, record, where,  # noqa: F811
                                             provider):
    field = f"ip:spf:{domain}" if provider else "source"
    subject = "account:@a.example" if provider else f"account:alice@{domain}"
    policy(f"{subject} {field}{'' if provider else ' authorized'}\n")
    dns.zones[domain] = {"TXT": [record.replace("{d}", domain)]}
    dns.zones[f"w.{domain}"] = {"TXT": ["v=spf1 ip4:0.0.0.0/1 -all"]}
    status, findings, notes = lint(ctl)
    assert status == 1 and bool(notes) == provider
    assert list(findings) == [("spf-too-wide", subject, field)]
    assert where.replace("{d}", domain) in findings["spf-too-wide", subject, field]


@pytest.mark.parametrize("record", [
    "v=spf1 ip4:10.0.0.0/8 ip6:2001::/16 a mx ptr exists:%{i}.x.example -all",
    "v=spf1 -ip4:0.0.0.0/0 ?all", "v=spf1 ?include:w.{d} ~all", "v=spf1 include:%{d}.{d} -all"])
def test_a_record_that_says_something(ctl, policy, dns, domain, record):  # noqa: F811
    policy(f"account:@{domain} source authorized\naccount:@{domain} ip:192.0.2.1 x\n")
    dns.zones[domain] = {"TXT": [record.replace("{d}", domain)]}
    dns.zones[f"w.{domain}"] = {"TXT": ["v=spf1 +all"]}
    assert lint(ctl)[:2] == (0, {})


def test_only_who_needs_a_pass_is_asked(ctl, policy, dns, domain):  # noqa: F811
    dns.zones[domain] = {"TXT": ["v=spf1 +all"]}
    policy(f"account:@{domain} source any\naccount:* source authorized\n"
           "account:* ip:192.0.2.1 x\n")
    assert lint(ctl)[:2] == (0, {})
    assert dns.count() == 0


def test_records_that_lead_in_a_circle(ctl, policy, dns, domain):  # noqa: F811
    policy(f"account:alice@a.example ip:spf:{domain}\n")
    dns.zones[domain] = {"TXT": [f"v=spf1 include:b.{domain} include:{domain} +all"]}
    dns.zones[f"b.{domain}"] = {"TXT": [f"v=spf1 redirect={domain}"]}
    assert [kind for kind, _, _ in lint(ctl)[1]] == ["spf-too-wide"]


def test_what_cannot_be_looked_up(policy, dns, domain):  # noqa: F811
    ctl = Gatepostctl(policy.path + ".conf", {  # noqa: F811
        **SETTINGS, "store": "file:" + policy.path,
        "spf": {"nameservers": [dns.address], "timeout": "500ms"}})
    policy("".join(f"account:alice@a.example ip:spf:p{n}.{domain}\n" for n in range(3)))
    for n, found in enumerate((TIMEOUT, SERVFAIL, {"TXT": ["v=spf1 -all"]})):
        dns.zones[f"p{n}.{domain}"] = found
    begin = time.monotonic()
    run = ctl.run("lint")
    assert time.monotonic() - begin < 2
    assert run.status == 0 and "every customer" in run.out
    assert f"the SPF records of 2 domains could not be looked at: p0.{domain}" in run.err


# ---- --dns: all domains with policy ----

def lint_dns(ctl):  # noqa: F811
    """As lint(), the keys without the field."""
    run = ctl.run("lint", "--dns", "--json")
    told = run.json()
    return (run.status, *({(f["kind"], f["subject"]): f["problem"] for f in told[part]}
                          for part in ("findings", "notes")))


@pytest.mark.parametrize("zone, kind, problem", [
    ({"TXT": ["v=spf1 nonsense -all"]}, "spf-record", "is in error: "),
    ({"TXT": ["v=spf1 a", "v=spf1 mx"]}, "spf-record", "is in error: "),
    (None, "spf-record", "does not exist"),
    ({"TXT": ["v=spf1 +all"]}, "spf-too-wide", "anybody can send as it with an SPF pass"),
    ({"TXT": ["v=spf1 include:i{n}.{d} -all"]}, None, ""),
    ({"TXT": ["v=spf1 " + "a:h.{d} " * 7 + "-all"]}, None, ""),
    ({"TXT": ["v=spf1 " + "a:h.{d} " * 8 + "-all"]}, "spf-lookups", "needs 8 look-ups"),
    ({"TXT": ["v=spf1 " + "a:h.{d} " * 10 + "-all"]}, "spf-lookups", "needs 10 look-ups"),
    ({"TXT": ["v=spf1 " + "a:h.{d} " * 11 + "-all"]}, "spf-record", "is in error: "),
    ({"TXT": ["v=spf1 a:gone.{d} -all"]}, "spf-void", "1 name that does not exist"),
    ({"TXT": ["v=spf1 a:gone.{d} a:lost.{d} -all"]}, "spf-void", "2 names that do not exist"),
    ({"TXT": ["v=spf1 a:g.{d} a:l.{d} a:x.{d} -all"]}, "spf-record", "is in error: "),
])
@pytest.mark.parametrize("who", ["@", "alice@"])
def test_records_of_domains_with_policy(ctl, policy, dns, domain, zone, kind, problem,  # noqa: F811
                                        who):
    policy(f"account:{who}{domain} protocol:pop3 off\n")
    if zone is not None:
        dns.zones[f"h.{domain}"] = {"A": ["192.0.2.77"], "AAAA": ["2001:db8::77"]}
        dns.zones[f"i1.{domain}"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
        dns.zones[domain] = {"TXT": [text.replace("{d}", domain).replace("{n}", "1")
                                     for text in zone["TXT"]]}
    assert lint(ctl)[:2] == (0, {}), "nobody asked"
    status, findings, notes = lint_dns(ctl)
    assert list(findings) == ([(kind, f"account:{who}{domain}")] if kind else [])
    assert status == (1 if kind else 0) and notes == {}
    assert problem in "".join(findings.values())


def test_each_domain_is_told_of_once(ctl, policy, dns, domain):  # noqa: F811
    """By its own policy rather than by that of one of its accounts."""
    policy(f"account:alice@{domain} tls required\naccount:@{domain} tls required\n"
           f"account:bob@{domain} tls required\naccount:@.{domain} tls required\n"
           "account:* tls required\naccount:carol@[192.0.2.1] tls required\n")
    dns.zones[domain] = {"TXT": ["v=spf1 nonsense"]}
    assert list(lint_dns(ctl)[1]) == [("spf-record", f"account:@{domain}")]
    del dns.zones[domain]["TXT"]
    dns.zones[domain]["A"] = ["192.0.2.1"]
    status, findings, notes = lint_dns(ctl)
    assert (status, findings) == (0, {})
    assert list(notes) == [("spf-record", f"account:@{domain}")]


def test_listed_addresses_that_the_record_does_not_name(ctl, policy, dns, domain):  # noqa: F811
    policy(f"account:@{domain} ip:192.0.2.0/24 all of it\n"
           f"account:@{domain} ip:198.51.100.0/24 half of it\n"
           f"account:alice@{domain} ip:203.0.113.7 none of it\n"
           f"account:alice@{domain} ip:203.0.113.8 until=2020-01-01T00:00:00Z gone\n"
           f"account:bob@{domain} ip:2001:db8::/48 v6\n")
    dns.zones[domain] = {"TXT": [
        "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/25 ip6:2001:db8::/32 ~all"]}
    run = ctl.run("lint", "--dns", "--json")
    told = {(f["kind"], f["subject"], f["field"]): f["problem"] for f in run.json()["notes"]}
    assert {key for key in told if key[0] == "not-in-spf"} == {
        ("not-in-spf", f"account:@{domain}", "ip:198.51.100.0/24"),
        ("not-in-spf", f"account:alice@{domain}", "ip:203.0.113.7")}
    assert told["not-in-spf", f"account:@{domain}", "ip:198.51.100.0/24"].endswith(
        "softfail for 198.51.100.255")
    assert [f["kind"] for f in run.json()["findings"]] == ["expired"]
    many = "".join(f"account:@{domain} ip:192.0.2.{n} x\n" for n in range(40))
    policy(many)
    notes = ctl.run("lint", "--dns", "--json").json()["notes"]
    assert [f["problem"][:25] for f in notes if f["field"] is None] == ["8 more listed addresses o"]


def test_dns_of_domains_that_is_away(policy, dns, domain):  # noqa: F811
    ctl = Gatepostctl(policy.path + ".conf", {  # noqa: F811
        **SETTINGS, "store": "file:" + policy.path,
        "spf": {"nameservers": [dns.address], "timeout": "500ms"}})
    policy(f"account:@{domain} tls required\n")
    dns.zones[domain] = TIMEOUT
    run = ctl.run("lint", "--dns")
    assert (run.status, run.out) == (0, "") and "could not be looked at" in run.err
