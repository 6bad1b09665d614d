"""What the filter tells by HTTP: right numbers under the pinned names, no secret, at any time."""

import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter

import pytest

from support import policy
from support.gatepost import BINARY
from support.http_client import HttpClient
from support.nameserver import SERVFAIL, TIMEOUT
from support.ports import accepts, free_port
from support.process import wait_until
from support.redis_server import RedisServer
from test_concurrent import Load, load

SECRET = "correct-horse-battery"
HOSTILE = 'a"b\\{}=,#\'%s'
SETTINGS = {"trusted": ["relays"], "authentication_results": False}
POLICY = """
account:off@{d}          protocol:smtp   off
account:any@{d}          source          any
account:listed@{d}       source          authorized
account:listed@{d}       ip:192.0.2.10   the client
account:elsewhere@{d}    source          authorized
account:bad@{d}          protocol:smtp   perhaps
account:login@{d}        protocol:submission  off
"""
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
    "gatepost_build_info": {"version"},
}


@pytest.fixture
def start_served(start_gatepost, redis):
    """A function (**settings) that starts a filter with HTTP; (the filter, an HttpClient)."""
    def start(**settings):
        port = free_port()
        gatepost = start_gatepost({**SETTINGS, "store": redis.url,
                                   "http_listen": f"127.0.0.1:{port}", **settings})
        if "http_listen" not in settings:
            wait_until(lambda: accepts(port), 20, "an open door")
        return gatepost, HttpClient(port)
    return start


def mail(milter_session, gatepost, sender, address="192.0.2.10", login=None, daemon="MX"):
    """One message; the reply's text, empty when it was not refused."""
    macro_values = {"{daemon_name}": daemon, "{daemon_port}": "1"}
    with milter_session(gatepost, address=address, macro_values=macro_values) as mta:
        response = mta.mail(sender, login=login)
        mta.quit()
    return response.reply


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
    version = subprocess.run([BINARY, "-V"], capture_output=True, text=True).stdout.split()[1]
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


def test_status(start_served, milter_session, redis, domain):
    policy.load(redis, POLICY, d=domain)
    gatepost, web = start_served()
    mail(milter_session, gatepost, f"off@{domain}")
    mail(milter_session, gatepost, f"bad@{domain}")
    answer = web.ask("/status")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    state = answer.json()
    assert list(state) == ["version", "pid", "uptime_seconds", "configuration", "sessions",
                           "messages", "verdicts", "store", "cache", "spf", "malformed",
                           "last_errors"]
    assert state["pid"] == gatepost.pid and 0 <= state["uptime_seconds"] < 300
    assert state["configuration"]["file"] == gatepost.conf
    assert state["configuration"]["generation"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", state["configuration"]["since"])
    assert state["verdicts"] == {"accept": 0, "mark": 0, "defer": 1, "reject": 1}
    assert (state["store"]["url"], state["store"]["up"]) == (redis.url, True)
    assert set(state["store"]) == {"url", "up", "requests", "failed", "changes"}
    assert set(state["cache"]) == {"entries", "limit", "hits", "misses", "stale"}
    assert state["cache"]["limit"] == 100000
    assert state["malformed"] == 1
    error, = state["last_errors"]
    assert error["line"] == gatepost.wait_log("event=policy-malformed")
    os.kill(gatepost.pid, signal.SIGUSR1)
    gatepost.wait_log("event=reload", "generation=2")
    assert web.ask("/status").json()["configuration"]["generation"] == 2


def test_the_last_errors_are_the_last_twenty(start_served, milter_session, redis, domain):
    gatepost, web = start_served(log_format="json")
    for number in range(25):
        redis.cli("HSET", f"gatepost:account:a{number}@{domain}", "source", "\u00e9" * 300)
        mail(milter_session, gatepost, f"a{number}@{domain}")
    errors = [error["line"] for error in web.ask("/status").json()["last_errors"]]
    assert len(errors) == 20
    assert [re.search(r"account:a(\d+)@", line)[1] for line in errors] \
        == [str(number) for number in range(5, 25)]
    logged = gatepost.log_lines()
    assert all(any(line.startswith(error) for line in logged) for error in errors)


def test_no_secret_is_told(site, start_served, milter_session, domain):
    server = RedisServer(site.folder.sub("secret-" + domain), password=SECRET)
    path = site.folder.file("secret-" + domain + "/password")
    with open(path, "w") as password:
        password.write(SECRET + "\n")
    server.start()
    try:
        gatepost, web = start_served(store=server.url, store_password_file=path)
        assert "ready" in web.ask("/readyz").text
        mail(milter_session, gatepost, f"x@{domain}")
        server.cli("CONFIG", "SET", "requirepass", "another")
        server.stop()
        mail(milter_session, gatepost, f"y@{domain}")
        told = "".join(web.ask(path).text for path in ("/metrics", "/status", "/readyz"))
        gatepost.remember()
        assert SECRET not in told + "\n".join(gatepost.log_lines())
    finally:
        server.stop()


def test_readiness_follows_store_and_cache(start_served, milter_session, redis, domain):
    gatepost, web = start_served(stale_max="4s")

    def becomes(status, text):
        def told():
            answer = web.ask("/readyz")
            return (answer.status, bool(re.search(text, answer.text))) == (status, True)
        wait_until(told, 20, f"{status} {text}")

    becomes(200, "^ready$")
    redis.stop()
    becomes(503, "nothing usable is cached")
    redis.start()
    becomes(200, "^ready$")
    policy.load(redis, POLICY, d=domain)
    wait_until(lambda: web.ask("/status").json()["store"]["changes"] == "watched")
    mail(milter_session, gatepost, f"off@{domain}")
    redis.stop()
    becomes(200, r"serve for [0-4] s more$")
    assert "5.7.1" in mail(milter_session, gatepost, f"off@{domain}")
    becomes(503, "nothing usable is cached")
    assert "4.3.0" in mail(milter_session, gatepost, f"off@{domain}")
    assert web.ask("/healthz").status == 200
    redis.start()
    becomes(200, "^ready$")


def test_readiness_without_a_store_from_the_start(start_served, dead_store):
    _, web = start_served(store=dead_store)
    wait_until(lambda: web.ask("/readyz").status == 503, 20, "503")
    assert web.metrics()("gatepost_store_up") == 0


def test_readiness_with_a_policy_file(start_served, site, domain):
    path = site.folder.file("policy-" + domain)
    policy.as_file(path, POLICY, d=domain)
    _, web = start_served(store="file:" + path)
    assert web.ask("/readyz").status == 200
    assert "cache" not in web.ask("/status").json()
    os.rename(path, path + ".away")
    assert web.ask("/readyz").status == 503
    assert web.metrics()("gatepost_store_up") == 0
    os.rename(path + ".away", path)
    assert web.ask("/readyz").status == 200


def test_not_ready_while_it_stops(start_served, milter_session, domain):
    gatepost, web = start_served(authentication_results=True)
    with milter_session(gatepost) as mta:
        assert mta.mail(f"x@{domain}").letter == "c"
        os.kill(gatepost.pid, signal.SIGTERM)
        wait_until(lambda: web.ask("/readyz").status == 503, 5, "503")
        assert web.ask("/readyz").text == "stopping\n"
        assert web.ask("/healthz").status == 200
        mta.message()
    assert gatepost.stop() == 0


def test_paths_and_methods(start_served):
    _, web = start_served()
    assert (web.ask("/healthz").status, web.ask("/healthz").text) == (200, "ok\n")
    assert web.ask("/healthz").headers["cache-control"] == "no-store"
    assert web.ask("/metrics?name=x").status == 200
    for path in ("/", "/metrics/", "/Metrics", "//metrics", "/status/x", "/%00", "/../etc/passwd"):
        answer = web.ask(path)
        assert answer.status == 404 and "/metrics" in answer.text, path
    for method, body in [("POST", "x=y" * 100), ("POST", None), ("PUT", "z" * 100000),
                         ("DELETE", None), ("OPTIONS", None), ("BREW", None)]:
        answer = web.ask("/metrics", method, body)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD"), method
    for path in ("/metrics", "/healthz", "/readyz", "/status"):
        head, full = web.ask(path, "HEAD"), web.ask(path)
        assert (head.status, head.text) == (200, "")
        assert head.headers["content-type"] == full.headers["content-type"]


@pytest.mark.parametrize("octets", [
    b"\0" * 5000, b"\xff\xfe\r\n\r\n", b"EHLO client.example\r\nMAIL FROM:<a@b>\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\n\r\n", b"GET " + b"/a" * 40000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X-Y: " + b"z" * 100000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /metrics",
], ids=lambda octets: repr(octets[:24]))
def test_garbage_harms_nobody(http_filter, octets):
    gatepost, web = http_filter
    with web.raw() as client:
        try:
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            client.recv(100)
        except OSError:
            pass
    assert web.ask("/healthz").status == 200
    gatepost.check_healthy()


@pytest.fixture
def http_filter(start_served):
    return start_served()


def test_slow_and_silent_clients_hold_up_nobody(start_served, milter_session, domain):
    """Fifty are patiently kept; those beyond the limit wait until somebody has been cut off."""
    gatepost, web = start_served()
    silent = [web.raw() for _ in range(50)]
    try:
        for client in silent[:25]:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        for _ in range(20):
            began = time.monotonic()
            assert web.ask("/metrics").status == 200
            assert time.monotonic() - began < 2
        silent += [web.raw() for _ in range(100)]
        began = time.monotonic()
        mail(milter_session, gatepost, f"x@{domain}")
        assert time.monotonic() - began < 5, "mail does not wait for them"
        assert web.ask("/metrics", timeout=60).status == 200
    finally:
        for client in silent:
            client.close()
    gatepost.check_healthy()


def test_a_reader_who_takes_nothing(start_served):
    """The answers to many pipelined requests are not read; others get theirs."""
    gatepost, web = start_served()
    with web.raw() as client:
        client.setblocking(False)
        try:
            for _ in range(2000):
                client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        except OSError:
            pass
        assert web.ask("/metrics").status == 200
    gatepost.check_healthy()


@pytest.mark.parametrize("listen, host", [("[::1]:{port}", "::1"),
                                          ("[::ffff:127.0.0.1]:{port}", "127.0.0.1")])
def test_the_forms_of_an_address(start_served, listen, host):
    port = free_port()
    start_served(http_listen=listen.format(port=port))
    wait_until(lambda: accepts(port, host), 20, "an open door")
    assert HttpClient(port, host).ask("/healthz").status == 200


@pytest.mark.parametrize("told", ["in use", "Permission|assign"])
def test_mail_goes_on_where_nothing_can_be_listened_on(start_served, milter_session, redis,
                                                       domain, told):
    redis.cli("HSET", f"gatepost:account:off@{domain}", "protocol:smtp", "off")
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        gatepost, _ = start_served(http_listen=address if "use" in told else "192.0.2.1:9478")
        gatepost.remember()
        line = gatepost.wait_log("event=http-not-served")
        assert re.search(told, line), line
        assert "switched off" in mail(milter_session, gatepost, f"off@{domain}")


def test_nothing_is_listened_on_by_default(start_gatepost):
    gatepost = start_gatepost(SETTINGS)
    with open(f"/proc/{gatepost.pid}/net/tcp") as tcp:
        listening = {line.split()[9] for line in tcp.readlines()[1:] if line.split()[3] == "0A"}
    sockets = {os.readlink(f"/proc/{gatepost.pid}/fd/{number}")
               for number in os.listdir(f"/proc/{gatepost.pid}/fd")}
    assert not {f"socket:[{inode}]" for inode in listening} & sockets


def test_a_changed_address_takes_a_restart(start_served, redis):
    gatepost, web = start_served()
    elsewhere = free_port()
    gatepost.configure({**SETTINGS, "store": redis.url, "http_listen": f"127.0.0.1:{elsewhere}"})
    os.kill(gatepost.pid, signal.SIGUSR1)
    gatepost.wait_log("event=reload-ignored", "setting=http_listen")
    assert web.ask("/healthz").status == 200
    with pytest.raises(OSError):
        HttpClient(elsewhere).ask("/healthz")
