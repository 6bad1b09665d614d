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
