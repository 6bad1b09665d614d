"""gatepost-settings: who is believed, what is refused, and what every answer has."""

import http.client
import os
import re
import socket
import subprocess
import threading
import time

import jsonschema
import pytest

from support.gatepost import render
from support.openapi import document
from support.ports import free_port
from support.settings import (JSON, ORIGIN, PATCH, PROGRAM, PROXY, READER, TOKENS, WRITER, Client,
                              Settings)

ME = "/v1/accounts/me"
PROTOCOLS = {"imap4-smtp": {"services": ["imap", "submission", "submissions"]},
             "pop3-smtp": {"services": ["pop3", "submission", "submissions"]}}


@pytest.fixture(scope="module")
def program(site, redis_server):
    program = Settings(site.folder.sub("settings"), {"store": redis_server.url, "trusted": [],
                                                     "record_use": True, "protocol": PROTOCOLS})
    yield program.start()
    assert program.stop() == 0


@pytest.fixture
def settings(program, redis, request):
    program.forget()
    request.node.gatepost = None
    yield program


@pytest.fixture
def account(domain):
    """One that no test has changed before, so that its rate is its own."""
    return f"alice@{domain}"


@pytest.fixture
def alice(settings, account):
    return settings.user(account)


def problem(answer, status, *words):
    """A refusal that says why; its field."""
    assert answer.status == status, answer
    told = answer.json()
    assert told["status"] == status
    assert all(word in told["reason"] for word in words), told
    return told.get("field")


# ---- who asks ----

def test_nobody_is_believed_without_a_token(settings):
    for headers in ({}, {"X_Gatepost_Token": ""}, {"X_Gatepost_Token": "wrong"},
                    {"X_Gatepost_Token": PROXY[:-1]}, {"X_Gatepost_Token": PROXY + "x"}):
        client = settings.client(X_Remote_User="alice@example.com", X_Real_IP="192.0.2.7", **headers)
        for method, path in (("GET", ME), ("PATCH", ME), ("GET", "/v1/openapi.json"), ("GET", "/"),
                             ("GET", "/nothing"), ("GET", ME + "/passwords")):
            problem(client.ask(method, path), 403, "token")
    twice = [("X-Gatepost-Token", PROXY), ("X-Gatepost-Token", PROXY)]
    problem(settings.user().ask("GET", ME, headers=twice, without=["X-Gatepost-Token"]), 403,
            "token")
    assert "event=settings-refused" in settings.wait_log("token")
    assert PROXY not in "\n".join(settings.lines())


@pytest.mark.parametrize("names", [
    [], [""], ["alice@example.com", "alice@example.com"], ["alice@example.com", "bob@example.com"],
    ["@example.com"], ["*"], ["@"], ["alice@bob@example.com@"], ["a" * 2000],
    ["alice@example..com"], ["\u200balice@example.com"], ["@.example.com"]])
def test_exactly_one_user_that_is_an_account(settings, names):
    fields = [("X-Remote-User", name.encode()) for name in names]
    answer = settings.user().ask("GET", ME, headers=fields, without=["X-Remote-User"])
    problem(answer, 403)


@pytest.mark.parametrize("name, account", [
    ("Alice@EXAMPLE.com", "alice@example.com"), ("alice", "alice@example.com"), ("alice@", "alice@example.com"),
    ("alice+news@example.com", "alice@example.com"), (" alice@example.com ", "alice@example.com"),
    ("alice@b\u00fccher.example", "alice@xn--bcher-kva.example")])
def test_the_account_is_canonical(settings, name, account):
    answer = settings.user().ask("GET", ME, headers=[("X-Remote-User", name.encode())],
                                 without=["X-Remote-User"])
    assert answer.status == 200 and answer.json()["account"] == account


@pytest.mark.parametrize("addresses", [["192.0.2.7", "192.0.2.7"], [""], ["here"],
                                       ["192.0.2.7, 192.0.2.8"], ["192.0.2.0/24"]])
def test_at_most_one_address(settings, addresses):
    fields = [("X-Real-IP", address) for address in addresses]
    problem(settings.user().ask("GET", ME, headers=fields, without=["X-Real-IP"]), 403, "X-Real-IP")


def test_the_present_address_is_told(settings):
    assert settings.user().ask("GET", ME).headers["x-gatepost-client"] == "192.0.2.7"
    mapped = settings.user(address="::ffff:192.0.2.9").ask("GET", ME)
    assert mapped.headers["x-gatepost-client"] == "192.0.2.9"
    unknown = settings.client(X_Gatepost_Token=PROXY, X_Remote_User="alice@example.com")
    assert "x-gatepost-client" not in unknown.ask("GET", ME).headers


def test_no_other_account(settings, alice, account, redis):
    for name in ("bob@example.com", "%62ob@example.com", "@" + account.partition("@")[2], "*",
                 "bob", "alice@other.example", "%00", "%zz", account + "%00"):
        for method, headers, body in (("GET", {}, None), ("PATCH", PATCH, "{}")):
            problem(alice.ask(method, f"/v1/accounts/{name}", body, headers), 403)
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/abcdefgh")):
            problem(alice.ask(method, f"/v1/accounts/{name}/passwords{path}",
                              "{}" if method == "POST" else None, JSON), 403)
    assert alice.get(account)["account"] == account
    assert alice.get(account.upper().replace("@", "%40"))["account"] == account
    assert redis.cli("KEYS", "*") == ""


# ---- panels ----

def test_a_panel_has_the_accounts_of_its_domain(settings):
    panel = settings.panel()
    assert panel.get("alice@example.com")["account"] == "alice@example.com"
    assert panel.get("Alice%40EXAMPLE.COM")["account"] == "alice@example.com"
    for other in ("alice@other.example", "alice@sub.example.com", "alice@example.com.evil.example",
                  "@example.com", "*", "me", "@.example.com"):
        problem(panel.ask("GET", f"/v1/accounts/{other}"), 403)
        problem(panel.patch({}, other), 403)


def test_a_panel_has_no_passwords_and_no_use(settings, redis):
    redis.cli("HSET", "gatepost-use:alice@example.com", "pop3 192.0.2.0/24",
              "2026-11-01T00:00:00Z 2026-01-01T00:00:00Z")
    panel = settings.panel()
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/abcdefgh")):
        problem(panel.ask(method, f"/v1/accounts/alice@example.com/passwords{path}",
                          '{"protocols":["sieve"]}', JSON), 403, "panel")
    told = panel.get("alice@example.com")
    assert "passwords" not in told
    own = settings.user().get()["protocols"]
    assert own["pop3-smtp"]["last_use"] == {"pop3": "2026-11-01T00:00:00Z"}
    assert all(protocol["last_use"] == {} for protocol in told["protocols"].values())


def test_a_panel_is_not_believed_who_it_asks_for(settings):
    panel = settings.client(X_Gatepost_Token=WRITER, X_Remote_User="bob@other.example",
                            X_Real_IP="192.0.2.66")
    problem(panel.ask("GET", ME), 403)
    problem(panel.ask("GET", "/v1/accounts/bob@other.example"), 403)
    assert "x-gatepost-client" not in panel.ask("GET", "/v1/accounts/a@example.com").headers


def test_a_panel_that_only_reads(settings, redis):
    panel = settings.panel(READER)
    assert panel.get("alice@example.com")
    problem(panel.patch({"protocols": {"sieve": "off"}}, "alice@example.com"), 403, "read")
    assert redis.cli("KEYS", "*") == ""


# ---- what a change must be ----

@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ORIGIN + ":444"},
    {"Origin": "http://mail.example.com"}, {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_other_site_changes_anything(alice, settings, redis, headers):
    problem(alice.ask("PATCH", ME, '{"protocols":{"sieve":"off"}}', {**PATCH, **headers}), 403,
            "site")
    problem(alice.ask("POST", ME + "/passwords", '{"protocols":["sieve"]}', {**JSON, **headers}),
            403, "site")
    problem(alice.ask("DELETE", ME + "/passwords/abcdefgh", headers=headers), 403, "site")
    lines = [line for line in settings.lines() if "event=settings-refused" in line]
    assert len(lines) == 3
    assert all(line.endswith("origin=" + headers.get("Origin", "")) for line in lines), lines
    assert redis.cli("KEYS", "*") == ""


def test_the_page_itself_may(alice):
    for headers in ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert alice.ask("PATCH", ME, "{}", {**PATCH, **headers}).status == 200


@pytest.mark.parametrize("kind", [
    None, "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
    "application/json", "application/merge-patch+jsonx", "text/plain; application/merge-patch+json"])
def test_no_form_is_a_change(alice, redis, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    problem(alice.ask("PATCH", ME, '{"protocols":{"sieve":"off"}}', headers), 415, "merge-patch")
    if kind != "application/json":
        problem(alice.ask("POST", ME + "/passwords", '{"protocols":["sieve"]}', headers), 415,
                "application/json")
    assert redis.cli("KEYS", "*") == ""


@pytest.mark.parametrize("body", [
    None, "", "{", "[]", "null", '"off"', '{"source":"authorized","source":null}', '{"mode":"monitor"}',
    '{"protocols":{"sieve":"off","sieve":"on"}}', '{"account":"bob@example.com"}', "\0",
    b"{\"source\":\"\xff\"}", "[" * 30000])
def test_malformed_bodies(alice, redis, body):
    problem(alice.ask("PATCH", ME, body, PATCH), 400)
    problem(alice.ask("POST", ME + "/passwords", body, JSON), 400)
    assert redis.cli("KEYS", "*") == ""


def test_no_parameters(alice):
    problem(alice.ask("GET", ME + "?account=bob@example.com"), 400)
    problem(alice.ask("PATCH", ME + "?confirm=true", "{}", PATCH), 400)


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024, 3 * 1024 * 1024])
def test_a_large_body(alice, size):
    try:
        answer = alice.ask("PATCH", ME, b"{" + b" " * (size - 1), PATCH)
    except (BrokenPipeError, ConnectionResetError):     # it was cut while this was sending
        assert size > 1024 * 1024
        return
    problem(answer, 413)


def test_paths_and_methods(alice):
    for path in ("/v1", "/v1/accounts", "/v1/accounts/", ME + "/", ME + "/passwords/",
                 ME + "/passwords/a/b", ME + "/history", "/v1/../etc/passwd", "//"):
        assert alice.ask("GET", path).status == 404, path
    for method, path, allowed in (("POST", ME, "GET, HEAD, PATCH"), ("PUT", ME, "GET, HEAD, PATCH"),
                                  ("DELETE", ME, "GET, HEAD, PATCH"),
                                  ("PATCH", ME + "/passwords", "GET, HEAD, POST"),
                                  ("GET", ME + "/passwords/abcdefgh", "DELETE"),
                                  ("POST", "/v1/openapi.json", "GET, HEAD"),
                                  ("OPTIONS", ME, "GET, HEAD, PATCH")):
        answer = alice.ask(method, path, "{}", PATCH)
        assert (answer.status, answer.headers["allow"]) == (405, allowed), (method, path)
    head = alice.ask("HEAD", ME)
    assert (head.status, head.text) == (200, "") and head.headers["etag"]


# ---- how much ----

def test_too_many_changes_of_one_account(alice, settings, domain):
    statuses = [alice.ask("PATCH", ME, "{", PATCH).status for _ in range(100)]
    assert statuses[:60] == [400] * 60 and 429 in statuses[60:]
    refused = alice.ask("PATCH", ME, "{}", PATCH)
    assert int(refused.headers["retry-after"]) <= 2
    assert alice.ask("GET", ME).status == 200               # who only looks is not counted
    assert settings.user(f"bob@{domain}").patch({}).status == 200


@pytest.mark.concurrent
def test_ten_thousand_requests(settings, alice):
    """By eight clients at once, of which each says something else wrong; it stays what it was."""
    def resident():
        with open(f"/proc/{settings.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def ask(number):
        connection = alice._door.connection()
        for turn in range(1250):
            token = PROXY if number % 2 else "wrong"
            connection.request("GET" if number % 4 < 2 else "PATCH", ME, headers={
                "X-Gatepost-Token": token, "X-Remote-User": f"u{number}x{turn}@example.com"})
            response = connection.getresponse()
            response.read()
            statuses.add(response.status)
        connection.close()

    statuses = set()
    alice.get()
    before = resident()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses <= {200, 403, 415, 503} and {200, 403, 415} <= statuses
    with open(PROGRAM, "rb") as program:
        sanitized = b"san_init" in program.read()
    if not sanitized:
        assert resident() < before + 20000
    alice.get()


@pytest.mark.concurrent
def test_slow_clients_keep_nobody_out(settings, alice):
    """Some that say nothing, half a header, half a body; others are answered at once meanwhile."""
    begun = time.monotonic()
    slow = []
    for number in range(90):
        sock = alice._door.raw()
        if number % 3 > 0:
            sock.sendall(b"PATCH /v1/accounts/me HTTP/1.1\r\nHost: x\r\nX-Gatepost-Token: " +
                         PROXY.encode())
        if number % 3 > 1:
            sock.sendall(b"\r\nX-Remote-User: alice@example.com\r\n"
                         b"Content-Type: application/merge-patch+json\r\n"
                         b"Content-Length: 100\r\n\r\n{")
        slow.append(sock)
    for _ in range(20):
        asked = time.monotonic()
        alice.get()
        assert time.monotonic() - asked < 2
    for sock in slow:
        sock.settimeout(20)
    assert slow[2].recv(1000) == b"" and time.monotonic() - begun < 19  # cut, not waited for
    for sock in slow:
        sock.close()


# ---- the document ----

def test_the_document_is_served(alice, settings):
    answer = alice.ask("GET", "/v1/openapi.json")
    assert answer.json() == document()
    assert settings.panel(READER).ask("GET", "/v1/openapi.json").status == 200


def test_the_document_is_well_formed():
    """Each reference leads somewhere, each schema is one."""
    text = document()
    references = re.findall(r"'\$ref': '#/([^']+)'", str(text))
    assert len(references) > 20
    for reference in references:
        place = text
        for word in reference.split("/"):
            place = place[word]
    for schema in text["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


# ---- the program ----

def test_options():
    version = subprocess.run([PROGRAM, "-V"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"gatepost-settings \d+\.\d+\.\d+\n", version.stdout)
    for option in ("--help", "-h"):
        help_ = subprocess.run([PROGRAM, option], capture_output=True, text=True, check=True)
        assert "usage: gatepost-settings" in help_.stdout
    assert subprocess.run([PROGRAM, "-x"], capture_output=True).returncode == 64
    assert subprocess.run([PROGRAM, "more"], capture_output=True).returncode == 64


def test_trying_a_configuration(site, redis_server, domain):
    folder = site.folder.sub("settings-" + domain)
    one = Settings(folder, {"store": redis_server.url, "trusted": []})

    def try_out():
        return subprocess.run(one.command("-t"), capture_output=True, text=True)

    assert try_out().returncode == 0 and "is good" in try_out().stdout
    one.write_tokens(TOKENS, 0o644)
    assert try_out().returncode == 78 and try_out().stderr.count("chmod 0640") == 1
    one.write_tokens("token\n")
    assert try_out().returncode == 78 and "tokens:1: it must be TOKEN proxy" in try_out().stderr
    os.remove(one.tokens)
    assert try_out().returncode == 78 and "No such file" in try_out().stderr
    one.write_tokens(TOKENS)
    one.configure({"store": redis_server.url}, {"origin": ""})
    assert try_out().returncode == 0 and "origin is not set" in try_out().stderr
    one.configure({"store": redis_server.url}, {"socket_group": "no-such-group"})
    assert try_out().returncode == 78 and "there is no such group" in try_out().stderr
    one.configure({"store": redis_server.url}, {"store_password_file": f"{folder}/none"})
    assert try_out().returncode == 78 and f"store_password_file: {folder}/none: No such file" in try_out().stderr
    one.configure({"store": redis_server.url}, {"listen": f"unix:{folder}/none/s.sock"})
    assert try_out().returncode == 78 and "No such file" in try_out().stderr
    with open(one.conf, "w") as conf:
        conf.write(render({"store": redis_server.url}))
    assert try_out().returncode == 78 and "there is no section `settings`" in try_out().stderr


def test_it_does_not_start_with_tokens_that_others_may_read(site, redis_server, domain):
    one = Settings(site.folder.sub("settings-" + domain), {"store": redis_server.url})
    one.write_tokens(TOKENS, 0o644)
    run = subprocess.run(one.command(), capture_output=True, text=True, timeout=20)
    assert run.returncode == 1
    assert "event=start-failed" in run.stderr and "others have access to it" in run.stderr
    assert not os.path.exists(one.socket)


def test_it_does_not_start_without_its_password_for_redis(site, redis_server, domain):
    folder = site.folder.sub("settings-" + domain)
    one = Settings(folder, {"store": redis_server.url}, {"store_password_file": f"{folder}/none"})
    run = subprocess.run(one.command(), capture_output=True, text=True, timeout=20)
    assert run.returncode == 1
    assert "event=start-failed" in run.stderr and f"{folder}/none: No such file" in run.stderr
    assert not os.path.exists(one.socket)


@pytest.mark.concurrent
def test_a_reload(site, redis_server, redis, domain):
    conf = {"store": redis_server.url, "trusted": []}
    one = Settings(site.folder.sub("settings-" + domain), conf).start()
    try:
        alice = one.user()
        assert "pop3-smtp" not in alice.get()["protocols"]
        one.write_tokens(TOKENS.replace(PROXY, "another-token-of-the-proxy"))
        one.configure({**conf, "protocol": PROTOCOLS})
        assert "event=reload " in one.reload()
        assert alice.ask("GET", ME).status == 403           # the token from before
        other = one.client(X_Gatepost_Token="another-token-of-the-proxy",
                           X_Remote_User="alice@example.com")
        assert "pop3-smtp" in other.get()["protocols"]
        one.write_tokens("not a token\n")                   # the ones from before stay
        assert "event=reload-failed" in one.reload() and other.get()
        one.write_tokens(TOKENS)
        with open(one.conf, "a") as conf_file:
            conf_file.write("mode = watch\n")
        assert "event=reload-failed" in one.reload() and other.get()
    finally:
        assert one.stop() == 0
    assert not os.path.exists(one.socket)


def test_over_tcp(site, redis_server, redis, domain):
    port = free_port()
    one = Settings(site.folder.sub("settings-" + domain), {"store": redis_server.url},
                   {"listen": f"127.0.0.1:{port}"}).start()
    try:
        headers = one.user().headers
        assert Client(port, headers).get()["account"] == "alice@example.com"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", ME)
        assert connection.getresponse().status == 403
        connection.close()
    finally:
        assert one.stop() == 0


def test_the_socket(settings, site, redis_server, domain):
    assert os.stat(settings.socket).st_mode & 0o777 == 0o666
    second = subprocess.run(settings.command(), capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and "another process listens on it" in second.stderr
    one = Settings(site.folder.sub("settings-" + domain), {"store": redis_server.url},
                   {"socket_mode": "0660", "socket_group": "daemon"})
    os.symlink("/tmp/elsewhere", one.socket)
    run = subprocess.run(one.command(), capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and "symbolic link" in run.stderr
    os.remove(one.socket)
    one.start()
    assert os.stat(one.socket).st_mode & 0o777 == 0o660
    assert one.stop() == 0


def test_the_pages(alice, settings):
    page = alice.ask("GET", "/", headers={"Accept-Language": "de, en;q=0.5"})
    assert page.status == 200 and '<html lang="de"' in page.text
    assert page.headers["content-language"] == "de" and page.headers["vary"] == "Accept-Language"
    assert page.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:src|href)="([\w.]+)"', page.text):
        assert alice.ask("GET", "/" + name).status == 200, name
    nameless = settings.client(X_Gatepost_Token=PROXY)
    assert nameless.ask("GET", "/").status == 200           # it says nothing of anybody
