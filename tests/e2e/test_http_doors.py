"""The doors behind reverse proxies: nginx, Caddy, Apache and HAProxy before a real Radicale, each by
its file of conf/. Nobody gets in without Gatepost's yes.
"""

import contextlib
import os
import re
import shlex
import subprocess
import time
from urllib.parse import unquote

import pytest

from test_readme import code, section
from support.door_recorder import DoorRecorder
from support.gatepost import check
from support.gatepostctl import Gatepostctl
from support.http_client import ask_over_tls, basic
from support.ports import free_port
from support.process import all_at_once, wait_until
from support.proxied_host import ALICE, BOB, CAROL, DAVE, SERVERS, TOKEN, ProxiedHost
from support.shipped import shipped
from support.web_servers import NAME, PASSWORD

TEXT = f"is switched off for {BOB}"
CLIENT = "127.0.0.9"                    # where requests come from
WHO = b"""<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>"""
EVENT = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Gatepost//tests//EN\r
BEGIN:VEVENT\r
UID:1\r
DTSTAMP:20260101T000000Z\r
DTSTART:20260102T000000Z\r
SUMMARY:a day at the door\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.fixture(scope="module")
def running():
    made = ProxiedHost()
    try:
        yield made.start()
    finally:
        status = made.stop()
    assert status == 0


@pytest.fixture
def host(running, request):
    running.begin()
    request.node.gatepost = running.filter
    request.node.server_log = running.log_text
    yield running
    running.filter.check_healthy()


def ask(server, method, path, headers=(), body=None):
    return ask_over_tls(NAME, server.port, server.authority, method, path, headers, body, CLIENT)


def propfind(server, user=ALICE, password=PASSWORD, path="/", headers=()):
    """Who Radicale says this is."""
    login = [basic(user, password)] if user is not None else []
    return ask(server, "PROPFIND", path, [*login, *headers, ("Depth", "0")], WHO)


def principal(answer):
    """The account that Radicale takes the client for."""
    assert answer.status == 207, answer
    found = re.search(r"<current-user-principal>\s*<href>/(.*?)/</href>", answer.text)
    return unquote(found.group(1))


def assert_unavailable(answer):
    assert (answer.status, answer.headers.get("retry-after")) == (503, "30"), answer
    assert "Try again later" in answer.text


@pytest.fixture(params=SERVERS)
def server(request, host):
    return host.servers[request.param]


def test_open_for_one_and_closed_for_another(host, server):
    assert principal(propfind(server)) == ALICE
    seen = host.filter.verdict(account=ALICE)
    assert (seen["stage"], seen["door"], seen["service"], seen["verdict"], seen["client"]) == (
        "door", "http", "caldav", "accept", CLIENT)
    answer = propfind(server, BOB)
    assert answer.status == 403 and TEXT in answer.text, answer
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"] == "no-store"
    assert host.filter.verdict(account=BOB)["reason"] == "protocol-disabled"


def test_the_commands_of_the_readme(host):
    """They close a door, and show that it is closed."""
    text = section("## Behind a reverse proxy")
    conf = host.folder.file("readme.conf")
    shown = re.search(r"^    doors_listen(?:.*\n(?=    |\n))+", text, re.MULTILINE).group()
    assert "protocol" in shown
    with open(conf, "w") as file:
        file.write("\n".join([f'store = "{host.redis.url}"', 'user = "root"', shown]).replace(
            "/run/gatepost", host.folder.path))
    assert check(conf).returncode == 0
    ctl = Gatepostctl(conf)
    close, explain = (shlex.split(line)[1:] for line in code(text, "gatepostctl"))
    ctl.do(*close)
    explained = ctl.run(*explain)
    assert explained.status == 5 and "protocol-disabled" in explained.out
    host.redis.cli("HSET", f"gatepost:account:{BOB}", "protocol:caldav", "off")     # without "dav"
    command, = code(text, "curl")
    answer = subprocess.run(command.replace("/run/gatepost/doors.sock", host.socket), shell=True,
                            capture_output=True, text=True, timeout=30)
    assert answer.stdout.startswith("HTTP/1.1 403 ") and TEXT in answer.stdout, answer
    token = host.folder.file("made.token")
    for line in re.findall(r"^      ((?:sudo|openssl) .*)$", text, re.MULTILINE):
        line = line.replace("sudo ", "").replace("-g gatepost", "-g nogroup")
        subprocess.run(line.replace("/etc/gatepost/doors-token", token), shell=True, check=True)
    assert os.stat(token).st_mode & 0o777 == 0o640
    with open(token) as file:
        assert re.fullmatch("[0-9a-f]{64}\n", file.read())


def test_the_listeners_of_the_comments(host):
    """What each file says that gatepost.conf needs is a configuration."""
    for name in ("nginx/caldav.conf", "nginx/mail.conf", "caddy/Caddyfile", "apache/caldav.conf",
                 "haproxy/haproxy.cfg"):
        needed = re.search(r"gatepost\.conf needs:\n#\n((?:#   .*\n)+)", shipped(name, {})).group(1)
        assert "listener" in needed
        conf = host.folder.file("needed.conf")
        with open(conf, "w") as file:
            file.write("\n".join(['user = "root"', f'socket = "unix:{host.folder.file("n.sock")}"',
                                  f'store = "{host.redis.url}"',
                                  needed.replace("#   ", "")]).replace(
                "/run/gatepost", host.folder.path).replace(
                "/etc/gatepost/doors-token", host.token))
        finished = check(conf)
        assert finished.returncode == 0, (name, finished.stderr)


def test_a_change_holds_for_the_next_request(host, server):
    assert propfind(server, CAROL).status == 207
    host.close(CAROL, "caldav")
    wait_until(lambda: propfind(server, CAROL).status == 403, what="Carol refused")
    host.redis.cli("HSET", f"gatepost:account:{CAROL}", "protocol:caldav", "on")
    wait_until(lambda: propfind(server, CAROL).status == 207, what="Carol let in")


def test_a_calendar_is_kept(host, server):
    """Requests with a body reach Radicale whole, though the question has none."""
    folder = f"/{ALICE}/{os.path.basename(server.folder)}/"
    login = basic(ALICE, PASSWORD)
    made = ask(server, "MKCALENDAR", folder, [login], b"")
    assert made.status == 201, made
    put = ask(server, "PUT", folder + "1.ics", [login], EVENT)
    assert put.status == 201, put
    got = ask(server, "GET", folder + "1.ics", [login])
    assert got.status == 200 and "a day at the door" in got.text


@pytest.mark.parametrize("user, password", [
    (ALICE, "wrong"), (BOB, "wrong"), (ALICE, ""), ("nobody@example.com", PASSWORD), ("", PASSWORD),
    (None, None), (ALICE.encode() + b"\r\nX-Gatepost-Account: " + CAROL.encode(), PASSWORD)],
    ids=["wrong", "wrong for a closed one", "empty", "unknown", "nameless", "none", "two lines"])
def test_no_password_no_question(host, server, user, password):
    answer = propfind(server, user, password)
    assert answer.status == 401, answer
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert propfind(server, CAROL).status == 207        # so that its line comes after any other's
    host.filter.verdict(account=CAROL)
    assert len(host.filter.verdicts(stage="door")) == 1


FORGED = [("X-Gatepost-Service", "webmail"), ("X-Gatepost-Account", CAROL),
          ("X-Gatepost-Client", "192.0.2.7"), ("X-Gatepost-TLS", "off"),
          ("x-gatepost-account", CAROL), ("X-Gatepost-Token", TOKEN),
          ("X-Gatepost-Verdict", "accept"), ("X-Gatepost-Reason", "account"),
          ("X-Gatepost-Text", "come in"), ("X-Remote-User", CAROL), ("X-Real-IP", "192.0.2.7"),
          ("X-Forwarded-For", "192.0.2.7"), ("X_Remote_User", CAROL), ("X_Gatepost_Account", CAROL),
          ("X-Remote_User", CAROL), ("X_Remote-User", CAROL),
          ("X-Script-Name", "/" + CAROL)]


def test_what_a_client_forges_is_not_believed(host, server):
    """Its fields and its query change neither the question nor who Radicale takes it for."""
    query = f"/?service=webmail&account={CAROL}&ip=192.0.2.7&tls=off"
    before = len(host.radicale.log_text())
    answer = propfind(server, BOB, headers=FORGED, path=query)
    assert answer.status == 403 and TEXT in answer.text, answer
    assert principal(propfind(server, ALICE, headers=FORGED, path=query)) == ALICE
    for account, verdict in ((BOB, "reject"), (ALICE, "accept")):
        seen = host.filter.verdict(stage="door", account=account)
        assert (seen["service"], seen["client"], seen["verdict"]) == ("caldav", CLIENT, verdict)
    assert len(host.filter.verdicts(stage="door")) == 2
    reached = host.radicale.log_text()[before:]
    assert set(re.findall(r"'HTTP_X_REMOTE_USER': '(.*?)'", reached)) == {ALICE}
    for name in ("HTTP_AUTHORIZATION", "HTTP_X_GATEPOST", "HTTP_X_SCRIPT_NAME", PASSWORD):
        assert name not in reached


@contextlib.contextmanager
def recorded(host, name):
    """That server with a go-between on its way to Gatepost: (server, DoorRecorder)."""
    if name == "haproxy":
        port = free_port()
        doors = (port, host.token)
        recorder = DoorRecorder(("127.0.0.1", port), ("127.0.0.1", host.port))
    else:
        doors = host.folder.file(f"recorder-{name}.sock")
        recorder = DoorRecorder(doors, host.socket)
        os.chmod(doors, 0o666)
    server = host.make_server(name, doors, f"recorded-{name}")
    try:
        yield server.start(), recorder
    finally:
        server.stop()
        recorder.stop()
        if name != "haproxy":
            os.unlink(doors)


@pytest.mark.parametrize("name", SERVERS)
def test_what_gatepost_is_asked(host, name):
    """Each member once, the proxy's own, and no password."""
    with recorded(host, name) as (server, recorder):
        cookie = [("Cookie", "session=secret")]
        assert propfind(server, headers=FORGED + cookie, path="/?account=" + CAROL).status == 207
        assert propfind(server, BOB, headers=FORGED).status == 403
    for text, account in zip(recorder.asked, (ALICE, BOB), strict=True):
        line, *fields = text.rstrip().split("\r\n")
        assert line.startswith("GET /v1/allow HTTP/1.")
        said = [tuple(field.split(": ", 1)) for field in fields]
        ours = sorted((key.lower(), value) for key, value in said
                      if key.lower().startswith("x-gatepost-"))
        token = [("x-gatepost-token", TOKEN)] if name == "haproxy" else []
        assert ours == [("x-gatepost-account", account), ("x-gatepost-client", CLIENT),
                        ("x-gatepost-service", "caldav"), ("x-gatepost-tls", "on"), *token]
        for secret in ("Authorization", "secret", "Cookie", CAROL):
            assert secret.lower() not in text.lower()


NO_ANSWERS = [
    b"", b"200\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nX-Gatepost-Verdict: acc",
    b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    *(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status
      for status in (400, 404, 405, 413, 421, 500, 503))]


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_no_answer(host, name):
    """Torn, garbage, or a status that says neither yes nor no: nobody gets in."""
    with recorded(host, name) as (server, recorder):
        for octets in NO_ANSWERS:
            recorder.answer_with(octets)
            assert_unavailable(propfind(server))
        recorder.answer_with(None)
        assert propfind(server).status == 207


def test_many_at_once(host, server):
    """Each gets the answer to his own question."""
    users = [ALICE, BOB, CAROL] * 10
    answers = all_at_once(lambda user: propfind(server, user), users)
    for user, answer in zip(users, answers):
        if user == BOB:
            assert answer.status == 403 and TEXT in answer.text, answer
        else:
            assert principal(answer) == user


def test_tls_is_told(host, server):
    """An account that requires TLS is let in: the proxy says that there is."""
    host.redis.cli("HSET", f"gatepost:account:{CAROL}", "tls", "required")
    host.filter.catch_up(host.redis)
    assert propfind(server, CAROL).status == 207


def test_who_is_not_registered(host, server):
    """A right password is not enough where the listener says `unknown_login = reject`."""
    answer = propfind(server, DAVE)
    assert answer.status == 403 and "is not registered here" in answer.text, answer


def test_a_wrong_token_is_no_refusal(host):
    """The operator's mistake is not told to the user as his own: nobody gets in, for the moment."""
    wrong = host.folder.file("wrong.token")
    with open(wrong, "w") as token:
        token.write("of another host\n")
    server = host.make_server("haproxy", (host.port, wrong), "haproxy-wrong").start()
    try:
        assert_unavailable(propfind(server))
        assert_unavailable(propfind(server, BOB))
    finally:
        server.stop()


def test_gatepost_away(host):
    with host.filter_away():
        for answer in all_at_once(propfind, host.servers.values()):
            assert_unavailable(answer)
        for server in host.servers.values():
            assert propfind(server, ALICE, "wrong").status == 401
    for server in host.servers.values():
        assert propfind(server).status == 207, server.folder
        assert propfind(server, BOB).status == 403, server.folder


def test_gatepost_hung(host):
    with host.filter_hung():
        start = time.monotonic()
        for answer in all_at_once(propfind, host.servers.values()):
            assert_unavailable(answer)
        assert time.monotonic() - start < 10
    for server in host.servers.values():
        wait_until(lambda: propfind(server).status == 207, what=server.folder)
        assert propfind(server, BOB).status == 403, server.folder


def test_redis_away(host):
    """What is known holds, and what cannot be known is no yes."""
    nginx = host.servers["nginx"]
    assert propfind(nginx).status == 207
    assert propfind(nginx, BOB).status == 403
    with host.redis_away():
        for server in host.servers.values():
            assert_unavailable(propfind(server, CAROL))
            assert propfind(server).status == 207
            assert propfind(server, BOB).status == 403
    for server in host.servers.values():
        assert propfind(server, CAROL).status == 207, server.folder
