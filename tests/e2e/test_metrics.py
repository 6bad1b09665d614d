"""The numbers at /metrics: right, under the pinned names, whatever else goes on."""

import subprocess
from collections import Counter

import pytest

from support import policy
from support.gatepost import BINARY
from support.nameserver import SERVFAIL, TIMEOUT
from support.process import wait_until
from test_concurrent import Load
from test_http import POLICY, mail

HOSTILE = 'a"b\\{}=,#\'%s'
PINNED = {
    "gatepost_verdicts_total": "counter",
    "gatepost_verdict_seconds": "histogram",
    "gatepost_sessions": "gauge",
    "gatepost_store_up": "gauge",
    "gatepost_store_requests_total": "counter",
    "gatepost_store_seconds": "histogram",
    "gatepost_cache_hits": "untyped",
    "gatepost_cache_misses": "untyped",
    "gatepost_cache_stale": "untyped",
    "gatepost_cache_entries": "gauge",
    "gatepost_spf_results_total": "counter",
    "gatepost_spf_seconds": "histogram",
    "gatepost_dns_queries_total": "counter",
    "gatepost_malformed_total": "counter",
    "gatepost_log_lost_total": "counter",
    "gatepost_build_info": "gauge",
}
LABELS = {
    "gatepost_verdicts_total": {"stage", "listener", "verdict", "reason"},
    "gatepost_verdict_seconds_bucket": {"stage", "le"},
    "gatepost_verdict_seconds_count": {"stage"},
    "gatepost_sessions": set(),
    "gatepost_store_requests_total": {"outcome"},
    "gatepost_store_seconds_bucket": {"le"},
    "gatepost_spf_results_total": {"result"},
    "gatepost_dns_queries_total": {"outcome"},
    "gatepost_log_lost_total": set(),
    "gatepost_build_info": {"version"},
}


def test_every_number_of_known_sessions(start_served, milter_session, redis, dns, domain,
                                        monkeypatch):
    monkeypatch.setattr(dns, "ttl", 300)
    policy.load(redis, POLICY, d=domain)
    dns.zones[domain] = {"TXT": ["v=spf1 ip4:192.0.2.20 ~all"]}
    dns.zones["servfail." + domain] = SERVFAIL
    dns.zones["late." + domain] = TIMEOUT
    gatepost, web = start_served(listener={
        "mx": {"daemon_name": "MX"},
        HOSTILE: {"daemon_name": "ODD", "mode": "monitor"},
        "gated": {"daemon_name": "GATED", "connect_from": ["gate"]},
    }, spf={"nameservers": [dns.address], "timeout": "1s"})
    for sender, client, daemon, login in [
            ("off", "192.0.2.10", "MX", None), ("off", "192.0.2.10", "ODD", None),
            ("any", "192.0.2.10", "MX", None), ("any", "192.0.2.20", "MX", None),
            ("any", "192.0.2.20", "MX", None), ("listed", "192.0.2.10", "MX", None),
            ("elsewhere", "192.0.2.10", "MX", None), ("bad", "192.0.2.10", "MX", None),
            ("any", "127.0.0.1", "MX", None), ("any", "192.0.2.10", "MX", f"login@{domain}"),
            ("any", "192.0.2.10", "MX", f"any@{domain}")]:
        mail(milter_session, gatepost, f"{sender}@{domain}", client, login, daemon)
    mail(milter_session, gatepost, "x@servfail." + domain)
    mail(milter_session, gatepost, "x@late." + domain)
    with milter_session(gatepost, macro_values={"{daemon_name}": "GATED"}):
        gatepost.verdict(stage="connect", reason="not-allowlisted")
    wait_until(lambda: web.metrics()("gatepost_sessions") == 0)

    metrics = web.metrics()
    check_against_log(metrics, gatepost.verdicts())
    for stage, listener, verdict, reason, number in [
            ("mail", "mx", "reject", "protocol-disabled", 2),
            ("mail", HOSTILE, "accept", "protocol-disabled", 1),
            ("mail", "mx", "mark", "spf", 1), ("mail", "mx", "accept", "spf", 2),
            ("mail", "mx", "accept", "ip-authorized", 1),
            ("mail", "mx", "reject", "spf-required", 1),
            ("mail", "mx", "defer", "policy-malformed", 1),
            ("mail", "mx", "accept", "trusted", 1), ("mail", "mx", "accept", "account", 1),
            ("mail", "mx", "defer", "spf", 2),
            ("connect", "gated", "reject", "not-allowlisted", 1)]:
        assert metrics("gatepost_verdicts_total", stage=stage, listener=listener,
                       verdict=verdict, reason=reason) == number, (listener, verdict, reason)
    assert metrics("gatepost_malformed_total") == 1
    assert metrics("gatepost_store_up") == 1
    assert metrics("gatepost_dns_queries_total", outcome="error") == 1
    assert metrics("gatepost_dns_queries_total", outcome="late") == 1
    assert metrics("gatepost_dns_queries_total", outcome="ok") == 1
    assert metrics("gatepost_dns_queries_total", outcome="cached") == 3
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.split()[1]
    assert metrics("gatepost_build_info", version=version) == 1
    assert 'listener="a\\"b\\\\{}=,#\'%s"' in metrics.text


def check_against_log(metrics, verdicts):
    """Each counter is what the lines of the log add up to, and there is no other."""
    keys = ("stage", "listener", "verdict", "reason")
    logged = Counter(tuple(verdict[key] for key in keys) for verdict in verdicts)
    counted = {tuple(labels[key] for key in keys): value
               for labels, value in metrics.all("gatepost_verdicts_total")}
    assert counted == logged
    for stage in ("connect", "mail"):
        of_stage = [verdict for verdict in verdicts if verdict["stage"] == stage]
        check_histogram(metrics, "gatepost_verdict_seconds", len(of_stage),
                        sum(int(verdict["us"]) for verdict in of_stage) / 1e6, stage=stage)
    results = Counter(verdict["spf"] for verdict in verdicts if verdict["spf"])
    counted = {labels["result"]: value
               for labels, value in metrics.all("gatepost_spf_results_total")}
    assert {result: value for result, value in counted.items() if value} == results
    assert set(counted) == {"none", "neutral", "pass", "softfail", "fail", "temperror",
                            "permerror"}
    check_histogram(metrics, "gatepost_spf_seconds", sum(results.values()))
    requests = sum(value for _, value in metrics.all("gatepost_store_requests_total"))
    check_histogram(metrics, "gatepost_store_seconds", requests)


def check_histogram(metrics, name, number, total=None, **labels):
    buckets = [(float(said["le"]), value) for said, value in metrics.all(name + "_bucket")
               if labels.items() <= said.items()]
    values = [value for _, value in sorted(buckets)]
    assert values == sorted(values) and values[-1] == number
    assert sorted(buckets)[-1][0] == float("inf")
    assert metrics(name + "_count", **labels) == number
    if total is not None:
        assert metrics(name + "_sum", **labels) == pytest.approx(total)


def test_the_cache_and_the_store(start_served, milter_session, redis, domain):
    policy.load(redis, POLICY, d=domain)
    gatepost, web = start_served()

    def seen():
        metrics = web.metrics()
        return tuple(int(metrics("gatepost_cache_" + name))
                     for name in ("hits", "misses", "stale", "entries"))

    wait_until(lambda: web.ask("/status").json()["store"].get("changes") == "watched")
    before = seen()
    mail(milter_session, gatepost, f"off@{domain}")
    assert seen() == (0, before[1] + 3, 0, 3)
    mail(milter_session, gatepost, f"off@{domain}")
    assert seen() == (3, before[1] + 3, 0, 3)
    redis.stop()
    wait_until(lambda: web.metrics()("gatepost_store_up") == 0, what="the store is down")
    mail(milter_session, gatepost, f"off@{domain}")
    assert seen()[2:] == (3, 3)
    metrics = web.metrics()
    assert metrics("gatepost_store_requests_total", outcome="error") >= 1
    assert metrics("gatepost_store_requests_total", outcome="ok") >= 1
    state = web.ask("/status").json()
    assert state["store"]["up"] is False and state["store"]["changes"] == "lost"
    redis.start()
    wait_until(lambda: web.metrics()("gatepost_store_up") == 1, what="the store is back")


def test_names_types_and_labels_are_the_pinned_ones(start_served, milter_session, domain):
    gatepost, web = start_served()
    mail(milter_session, gatepost, f"x@{domain}")
    answer = web.ask("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    metrics = web.metrics()
    assert metrics.types == PINNED
    assert set(metrics.help) == set(PINNED)
    for name, labels in LABELS.items():
        assert metrics.labels_of(name) == labels, name
    outcomes = {labels["outcome"] for labels, _ in metrics.all("gatepost_dns_queries_total")}
    assert outcomes == {"ok", "error", "cached", "late"}
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics.text, text=True,
                             capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, ""), checked


def test_sessions_are_a_gauge(start_served, milter_session):
    gatepost, web = start_served()
    opened = [milter_session(gatepost) for _ in range(5)]
    assert web.metrics()("gatepost_sessions") == 5
    assert web.ask("/status").json()["sessions"] == 5
    for mta in opened:
        mta.close()
    wait_until(lambda: web.metrics()("gatepost_sessions") == 0)


@pytest.mark.concurrent
def test_scraped_under_load_beside_thousands_of_sessions(start_served, redis):
    """Beyond 1024 descriptors; and whatever is read in between, nothing is ever counted back."""
    redis.cli("HSET", "gatepost:account:a0@example.com", "protocol:submission", "off")
    gatepost, web = start_served()
    run = Load(gatepost.socket, "--sessions", "4000", "--idle", "1500", "--login",
               "a{n}@example.com", "--sender-count", "2")
    run.start()
    seen, most = [0], 0
    while run.is_alive():
        metrics = web.metrics()
        assert web.ask("/status").json()["verdicts"]["reject"] >= 0
        seen.append(sum(value for _, value in metrics.all("gatepost_verdicts_total")))
        most = max(most, metrics("gatepost_sessions"))
    run.join()
    assert run.result["errors"] == 0, run.stderr
    assert (run.result["accept"], run.result["reject"]) == (2000, 2000)
    assert seen == sorted(seen) and most >= 1500
    metrics = web.metrics()
    for verdict, reason in (("accept", "account"), ("reject", "protocol-disabled")):
        assert metrics("gatepost_verdicts_total", stage="mail", listener="submission",
                       verdict=verdict, reason=reason) \
            + metrics("gatepost_verdicts_total", stage="mail", listener="mx",
                      verdict=verdict, reason=reason) == 2000
    wait_until(lambda: web.metrics()("gatepost_sessions") == 0)
