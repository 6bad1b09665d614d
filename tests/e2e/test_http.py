"""What the filter tells by HTTP: health, readiness, status; no secret, to anybody, at any time."""

import os
import re
import signal
import socket
import threading
import time

import pytest

from support import policy
from support.http_client import HttpClient
from support.ports import accepts, free_port
from support.process import wait_until
from support.redis_server import RedisServer

SECRET = "correct-horse-battery"
POLICY = """
account:off@{d}          protocol:smtp   off
account:any@{d}          source          any
account:listed@{d}       source          authorized
account:listed@{d}       ip:192.0.2.10   the client
account:elsewhere@{d}    source          authorized
account:bad@{d}          protocol:smtp   perhaps
account:login@{d}        protocol:submission  off
"""


def mail(milter_session, gatepost, sender, address="192.0.2.10", login=None, daemon="MX"):
    """One message; the reply's text, empty when it was not refused."""
    macro_values = {"{daemon_name}": daemon, "{daemon_port}": "1"}
    with milter_session(gatepost, address=address, macro_values=macro_values) as mta:
        response = mta.mail(sender, login=login)
        mta.quit()
    return response.reply


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


def readiness_of(web):
    """A function (status, text) that waits until /readyz says so."""
    def becomes(status, text):
        def told():
            answer = web.ask("/readyz")
            return (answer.status, bool(re.search(text, answer.text))) == (status, True)
        wait_until(told, 20, f"{status} {text}")
    return becomes


def test_readiness_follows_store_and_cache(start_served, milter_session, redis, domain):
    gatepost, web = start_served(stale_max="4s")
    becomes = readiness_of(web)
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


@pytest.mark.parametrize("many", [False, True], ids=["server", "cluster"])
def test_readiness_without_tracking(start_served, milter_session, redis, make_cluster, domain,
                                    many):
    """That a Redis is gone which tells of no changes is known all the same."""
    store = make_cluster() if many else redis
    servers = store.masters if many else [redis]
    for server in servers:
        server.cli("ACL", "SETUSER", "default", "-client|tracking")
    gatepost, web = start_served(store=store.url, stale_max="4s")
    becomes = readiness_of(web)
    wait_until(lambda: web.ask("/status").json()["store"]["changes"] == "blind")
    mail(milter_session, gatepost, f"x@{domain}")
    becomes(200, "^ready$")
    for server in servers:
        server.stop()
    becomes(200, r"serve for [0-4] s more$")
    becomes(503, "nothing usable is cached")
    assert web.ask("/status").json()["store"]["changes"] == "lost"
    for server in servers:
        server.start()
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
        wait_until(lambda: web.ask("/readyz").status == 503, 20, "503")
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
        client.settimeout(1)        # some of it is taken for a request that is not complete yet
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


def test_dripping_clients_hold_up_nobody(start_served):
    """Never silent for long, never finished: a health check is answered at once all the same."""
    gatepost, web = start_served()
    clients, ended = [], threading.Event()

    def drip():
        while not ended.wait(0.3):
            for client in list(clients):
                try:
                    client.send(b"x")
                except OSError:
                    clients.remove(client)

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        for _ in range(200):
            client = web.raw()
            client.setblocking(False)
            client.send(b"GET /healthz HTTP/1.1\r\nX: ")
            clients.append(client)
        for _ in range(40):
            began = time.monotonic()
            assert web.ask("/healthz").status == 200
            assert time.monotonic() - began < 2
    finally:
        ended.set()
        dripping.join()
        for client in clients:
            client.close()
    gatepost.check_healthy()


def test_only_by_an_address_or_a_name_of_this_host(http_filter):
    _, web = http_filter
    own = socket.gethostname().split(".")[0]
    for host in ("127.0.0.1", f"127.0.0.1:{web.port}", "[::1]:80", "localhost", "LOCALHOST:9478",
                 own, f"{own}.example.com:9478"):
        assert web.ask("/healthz", host=host).status == 200, host
    for host in ("evil.example", f"evil.example:{web.port}", "127.0.0.1.evil.example",
                 f"{own}evil.example", "[::1", "", "localhost.evil.example", "x" * 3000):
        assert web.ask("/metrics", host=host).status == 421, host


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
    gatepost = start_gatepost()
    with open(f"/proc/{gatepost.pid}/net/tcp") as tcp:
        listening = {line.split()[9] for line in tcp.readlines()[1:] if line.split()[3] == "0A"}
    sockets = {os.readlink(f"/proc/{gatepost.pid}/fd/{number}")
               for number in os.listdir(f"/proc/{gatepost.pid}/fd")}
    assert not {f"socket:[{inode}]" for inode in listening} & sockets


def test_a_changed_address_takes_a_restart(start_served, redis):
    gatepost, web = start_served()
    elsewhere = free_port()
    gatepost.configure({"store": redis.url, "http_listen": f"127.0.0.1:{elsewhere}"})
    os.kill(gatepost.pid, signal.SIGUSR1)
    gatepost.wait_log("event=reload-ignored", "setting=http_listen")
    assert web.ask("/healthz").status == 200
    with pytest.raises(OSError):
        HttpClient(elsewhere).ask("/healthz")
