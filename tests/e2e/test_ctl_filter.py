"""gatepostctl status and reload: talking to the filter that runs."""

import os
import pty
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from support.gatepostctl import CTL, Gatepostctl
from support.ports import free_port
from support.process import Process, wait_until

SETTINGS = {"authentication_results": False, "trusted": [], "listener": {},
            "spf": {"timeout": "1s", "nameservers": ["127.0.0.1:9"], "temperror": "accept"}}
STRICT = {"listener": {"mx": {"auth": "required"}}}


@pytest.fixture
def start(start_gatepost, redis):
    """A function (**settings): (the filter, gatepostctl on its configuration), with http_listen."""
    def start_one(**settings):
        settings = {**SETTINGS, "store": redis.url, "http_listen": f"127.0.0.1:{free_port()}",
                    **settings}
        gatepost = start_gatepost(settings)
        gatepost.settings = settings
        gatepost.remember()
        wait_until(lambda: not settings["http_listen"] or Gatepostctl(gatepost.conf).run(
            "status").status == 0, what="an answer by HTTP")
        return gatepost, Gatepostctl(gatepost.conf)
    return start_one


def refused(milter_session, gatepost):
    with milter_session(gatepost) as mta:
        return bool(mta.mail("alice@example.com").reply)


def columns(text):
    return dict(line.split(None, 1) for line in text.splitlines() if len(line.split(None, 1)) == 2)


# ---- status ----

def test_status(start, milter_session, redis):
    gatepost, ctl = start()
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:smtp", "off")
    assert refused(milter_session, gatepost)
    shown = columns(ctl.do("status").out)
    assert (shown["pid"], shown["up"]) == (str(gatepost.pid), "yes")
    assert shown["healthy:"].startswith("the store answers; running for ")
    assert "  accept 0, mark 0, defer 0, reject 1\n" in ctl.do("status").out
    assert shown["file"] == gatepost.conf
    told = ctl.json("status")
    assert told["pid"] == gatepost.pid and told["verdicts"]["reject"] == 1
    assert told["store"]["up"] is True


def test_status_of_a_store_that_is_down(start, milter_session, redis):
    gatepost, ctl = start()
    redis.stop()
    with milter_session(gatepost) as mta:
        assert mta.mail("alice@example.com").reply.startswith("451 4.3.0")
    run = wait_until(lambda: (lambda r: r if r.status == 1 else None)(ctl.run("status")))
    assert run.out.startswith("not healthy: the store does not answer, and nothing usable is cached\n")
    assert columns(run.out)["up"] == "no"
    assert "event=store-error" in run.out.split("\nlast errors\n")[1]
    run = ctl.run("status", "--json")
    assert run.status == 1 and run.json()["store"]["up"] is False
    redis.start()
    wait_until(lambda: ctl.run("status").status == 0)


def test_status_with_a_policy_file(start, site):
    path = site.folder.file("status-policy")
    with open(path, "w") as policy:
        policy.write("account:a@b.example tls required\n")
    _, ctl = start(store="file:" + path)
    assert columns(ctl.do("status").out)["url"] == "file:" + path


def test_status_without_a_filter(site):
    ctl = Gatepostctl(site.folder.file("gone.conf"), {
        **SETTINGS, "http_listen": f"127.0.0.1:{free_port()}",
        "socket": "unix:" + site.folder.file("gone.sock")})
    run = ctl.run("status", "--json")
    assert run.status == 2
    assert run.json()["error"].endswith("Connection refused: is the filter running?")
    assert "gone.sock: No such file or directory: is the filter running?" in ctl.run("reload").err
    assert ctl.run("status", "--watch").status == 2
    ctl = Gatepostctl(site.folder.file("mute.conf"), SETTINGS)
    run = ctl.run("status")
    assert run.status == 2 and "needs http_listen" in run.err


@pytest.mark.parametrize("answer, told", [
    (b"", "unexpected answer"),
    (b"HTTP/1.0 404 Not Found\r\n\r\nnothing\x1b[2J", "unexpected answer: HTTP/1.0 404"),
    (b"HTTP/1.0 200 OK\r\n\r\nhello", "unexpected answer"),
    (b"HTTP/1.0 200 OK\r\n\r\n[1]", "unexpected answer"),
    (b'HTTP/1.0 200 OK\r\n\r\n{"store": 1}', "unexpected answer"),
    (b"\xff\x00\xfe", "unexpected answer"),
    (None, "it does not answer"),
])
def test_something_else_listens_there(site, answer, told):
    """Any answer is refused, and nobody is signalled for it."""
    port = free_port()
    ctl = Gatepostctl(site.folder.file("other.conf"), {
        **SETTINGS, "http_listen": f"127.0.0.1:{port}", "socket": f"inet:{free_port()}@127.0.0.1"})
    with serve(port, answer):
        run = ctl.run("status")
        assert run.status == 2 and told in run.err
        assert all(ord(c) >= 32 or c == "\n" for c in run.err)


class serve:
    """Answers every connection with the same octets; None: never."""

    def __init__(self, port, answer):
        self._listening = socket.create_server(("127.0.0.1", port))
        self._answer, self._kept = answer, []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._kept.append(connection)
            if self._answer is not None:
                connection.recv(4096)
                connection.sendall(self._answer)
                connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


class Watching:
    """status --watch on a terminal."""

    def __init__(self, conf):
        self._outer, inner = pty.openpty()
        self._child = subprocess.Popen(
            [CTL, "-c", conf, "status", "--watch"], stdout=inner, stderr=subprocess.STDOUT,
            # who runs the tests in the background of a shell has it ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        os.close(inner)
        self.text = b""

    def wait_for(self, *words, timeout=20):
        deadline = time.monotonic() + timeout
        while not all(word in self.text for word in words):
            assert time.monotonic() < deadline, self.text
            if select.select([self._outer], [], [], 0.2)[0]:
                self.text += os.read(self._outer, 65536)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._child.send_signal(signal.SIGINT)
        self._child.wait(10)
        os.close(self._outer)


def test_watch(start, milter_session, redis):
    """It begins anew on the terminal, and outlives a restart of the filter."""
    gatepost, ctl = start()
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:smtp", "off")
    with Watching(gatepost.conf) as watching:
        watching.wait_for(b"\x1b[H\x1b[J", b"reject 0")
        assert refused(milter_session, gatepost)
        watching.wait_for(b"reject 1")
        gatepost.stop()
        watching.wait_for(b"no answer", b": Connection refused")
        watching.text = b""
        gatepost.start()
        watching.wait_for(b"reject 0")


def test_watch_into_a_pipe_that_closes(start):
    gatepost, _ = start()
    with subprocess.Popen([CTL, "-c", gatepost.conf, "status", "--watch", "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert b"{" in child.stdout.readline()
        child.stdout.close()
        assert child.wait(10) == 2
        assert child.stderr.read() == b"", "head(1) has read enough: nothing to complain of"
    with open("/dev/full", "w") as full:
        finished = subprocess.run([CTL, "-c", gatepost.conf, "status"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=30)
    assert finished.returncode == 2 and b"No space left" in finished.stderr


# ---- reload ----

def test_reload_is_confirmed(start, milter_session):
    gatepost, ctl = start()
    assert not refused(milter_session, gatepost)
    gatepost.configure({**gatepost.settings, **STRICT})
    run = ctl.do("reload")
    assert run.out == f"process {gatepost.pid} has the new configuration\n"
    assert refused(milter_session, gatepost)
    assert ctl.json("reload") == {"pid": gatepost.pid, "confirmed": True}
    assert ctl.json("status")["configuration"]["generation"] == 3


def test_a_configuration_in_error_is_not_even_told(start, milter_session):
    gatepost, ctl = start(**STRICT)
    gatepost.configure({**gatepost.settings, "listener": {}, "stale_max": "soon"})
    run = ctl.run("reload")
    assert run.status == 1
    for words in (gatepost.conf + ":", "stale_max", "not loaded: the filter keeps its configuration"):
        assert words in run.err
    assert ctl.run("reload", "--json").json()["exit"] == 1
    assert refused(milter_session, gatepost)
    assert not [line for line in gatepost.log_lines() if "event=reload" in line]


def test_what_the_filter_refuses_is_told(start, milter_session):
    """The file can be read; what it names cannot. The second time as well as the first."""
    gatepost, ctl = start(**STRICT)
    gatepost.configure({**gatepost.settings, "listener": {}, "store": "file:/nonexistent/policy"})
    for _ in range(2):
        began = time.monotonic()
        run = ctl.run("reload")
        assert run.status == 1
        assert f"process {gatepost.pid} keeps its old configuration: event=reload-failed" in run.err
        assert "/nonexistent/policy" in run.err
        assert time.monotonic() - began < 3
        time.sleep(1.1)     # the log tells the time in seconds
    assert refused(milter_session, gatepost)
    gatepost.configure(gatepost.settings)
    assert ctl.do("reload").out.endswith("has the new configuration\n")


def test_reload_without_http(start, milter_session):
    gatepost, ctl = start(http_listen="")
    gatepost.configure({**gatepost.settings, **STRICT})
    run = ctl.do("reload")
    assert run.out.startswith(f"process {gatepost.pid} is told; ")
    gatepost.wait_log("event=reload generation=2")
    assert refused(milter_session, gatepost)
    assert ctl.json("reload") == {"pid": gatepost.pid, "confirmed": False}


def test_reload_when_http_listen_is_new(start):
    gatepost, ctl = start(http_listen="")
    gatepost.configure({**gatepost.settings, "http_listen": f"127.0.0.1:{free_port()}"})
    assert ctl.do("reload").out.startswith(f"process {gatepost.pid} is told; ")
    gatepost.wait_log("event=reload generation=2")


def test_reload_over_an_inet_socket(start, milter_session, start_gatepost):
    """The process is known by HTTP only."""
    gatepost, _ = start()
    here = Gatepostctl(gatepost.conf + ".inet", {
        **gatepost.settings, "socket": "inet:8892@127.0.0.1", "log": "stderr"})
    run = here.do("reload")
    assert "has the new configuration" in run.out
    assert f"another configuration file: {gatepost.conf}" in run.err
    mute = Gatepostctl(gatepost.conf + ".mute", {**SETTINGS, "socket": "inet:8892@127.0.0.1"})
    run = mute.run("reload")
    assert run.status == 2 and "is not a unix socket" in run.err


def test_nobody_there(site):
    ctl = Gatepostctl(site.folder.file("nobody.conf"), {
        **SETTINGS, "socket": "unix:" + site.folder.file("nobody.sock")})
    run = ctl.run("reload", "--json")
    assert run.status == 2 and "nobody.sock: No such file" in run.json()["error"]


@pytest.mark.parametrize("pid", ["1", "-1", "0", "99999999999", "victim", '"text"', "null"])
def test_who_answers_by_http_cannot_have_others_signalled(site, pid):
    """While the filter is down anybody may listen there and tell any number."""
    port = free_port()
    victim = Process(["sleep", "60"], site.folder.file("victim.log"))
    number = str(victim.pid) if pid == "victim" else pid
    body = '{"pid": %s, "store": {}, "configuration": {"generation": 1}}' % number
    ctl = Gatepostctl(site.folder.file("liar.conf"), {
        **SETTINGS, "http_listen": f"127.0.0.1:{port}", "socket": "inet:8892@127.0.0.1"})
    with serve(port, b"HTTP/1.0 200 OK\r\n\r\n" + body.encode()):
        run = ctl.run("reload")
    assert run.status == 2 and "is not a gatepost on this host" in run.err
    assert victim.alive()
    victim.stop()


def test_two_filters(start, start_gatepost):
    """One listens on the socket, but another one answers by HTTP: neither is signalled."""
    one, _ = start()
    other, _ = start()
    mixed = Gatepostctl(one.conf + ".mixed", {
        **one.settings, "socket": "unix:" + other.socket})
    run = mixed.run("reload")
    assert run.status == 2 and f"process {other.pid} listens on the socket, but another one" in run.err
    for gatepost in (one, other):
        assert not [line for line in gatepost.log_lines() if "event=reload" in line]
