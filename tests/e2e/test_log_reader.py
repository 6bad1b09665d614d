"""Who reads the log stops reading, goes away and comes back: mail goes on, and nothing is lost
without being counted."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from support import logfmt
from support.gatepost import BINARY, Gatepost
from support.gatepostctl import Gatepostctl
from support.http_client import HttpClient
from support.journal import JOURNALD, Journal
from support.log_readers import DevLog, Pipe
from support.milter_client import MilterClient, negotiation
from support.ports import free_port
from support.process import wait_until
from test_concurrent import load

KINDS = ["stderr", "syslog", "syslog-stream", "journal"]
TRUSTED = ("--client", "127.0.0.1")    # a verdict without DNS
MANY = 30000                           # more lines than can wait


@pytest.fixture
def reader(request, site, domain):
    """Of the kind that the test asks for; it reads nothing but by lines()."""
    if request.param == "stderr":
        pipe = Pipe()
        yield pipe
        pipe.close_writer()
        pipe.close_reader()
        return
    if request.param == "journal":
        if not os.path.exists(JOURNALD):
            pytest.skip("there is no systemd-journald")
        journal = Journal(site.folder.sub("log-" + domain))
        yield journal
        journal.remove()
        return
    kind = socket.SOCK_STREAM if request.param == "syslog-stream" else socket.SOCK_DGRAM
    with_socket = DevLog(site.folder.sub("log-" + domain), kind)
    yield with_socket
    with_socket.close()


@pytest.fixture
def start_read(start_gatepost, redis):
    """A function (reader, settings) that starts a filter whose log goes there; and its HTTP."""
    def start(reader, **settings):
        port = free_port()
        settings = {"store": redis.url, "authentication_results": False,
                    "http_listen": f"127.0.0.1:{port}", **settings}
        if isinstance(reader, Pipe):
            gatepost = start_gatepost(settings, stderr=reader.writer)
        else:
            reader.listen()
            target = "journal" if isinstance(reader, Journal) else "syslog"
            gatepost = start_gatepost({**settings, "log": target}, within=reader.within)
        return gatepost, HttpClient(port)
    return start


def send(gatepost, number, connections=1):
    began = time.monotonic()
    load(gatepost.socket, "--connections", str(connections), "--sessions", str(number),
         "--expect", "accept", *TRUSTED)
    return time.monotonic() - began


def read_all(reader, until):
    """The events of the log up to the first one for which until(event) is true."""
    events = []

    def read():
        fresh = [logfmt.parse(line) for line in reader.lines()]
        events.extend(fresh)
        return any(until(event) for event in fresh)
    wait_until(read, 60, "the last line", interval=0.001)
    return events


def is_verdict(number):
    """Of the session of this number, in a run that has had no other sessions."""
    return lambda event: event.get("session", "").endswith(f"-{number:x}")


def numbers(events):
    """Of the sessions, in the order of their verdicts."""
    return [int(event["session"].partition("-")[2], 16) for event in events
            if event["event"] == "verdict"]


@pytest.mark.parametrize("reader", KINDS, indirect=True)
def test_nothing_is_lost_by_a_short_stall(start_read, reader):
    """Lines wait, and come in their order when they are read again."""
    gatepost, web = start_read(reader)
    send(gatepost, 2000)
    assert web.ask("/readyz").status == 200
    assert numbers(read_all(reader, is_verdict(2000))) == list(range(1, 2001))
    assert web.metrics()("gatepost_log_lost_total") == 0
    send(gatepost, 3)
    assert numbers(read_all(reader, is_verdict(2003))) == [2001, 2002, 2003]


@pytest.mark.parametrize("reader", KINDS, indirect=True)
def test_what_is_lost_is_counted_and_told(start_read, reader):
    gatepost, web = start_read(reader)
    send(gatepost, MANY, 8)
    answer = web.ask("/readyz")
    assert answer.status == 503
    assert re.fullmatch("log lines are being lost: .* is not read\n", answer.text)
    status = Gatepostctl(gatepost.conf).run("status")
    assert status.status == 1
    assert status.out.startswith("not healthy: log lines are being lost: ")
    lost = web.metrics()("gatepost_log_lost_total")
    assert 0 < lost < MANY
    assert sum(value for _, value in web.metrics().all("gatepost_verdicts_total")) == MANY
    read = read_all(reader, lambda event: event["event"] == "log-lost")
    assert read[-1] == {"event": "log-lost", "count": str(int(lost))}
    assert len(numbers(read)) + lost == MANY
    wait_until(lambda: web.ask("/readyz").status == 200, 10, "readiness")
    assert web.ask("/status").json()["last_errors"][-1]["line"].startswith("event=log-lost")
    send(gatepost, 1)
    read_all(reader, is_verdict(MANY + 1))
    assert web.metrics()("gatepost_log_lost_total") == lost


@pytest.mark.parametrize("number", [10, MANY])
@pytest.mark.parametrize("reader", KINDS, indirect=True)
def test_a_stop_does_not_wait_for_it(start_read, reader, number):
    gatepost, _ = start_read(reader)
    send(gatepost, number, 8)
    began = time.monotonic()
    assert gatepost.stop(timeout=15) == 0
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("reader", KINDS, indirect=True)
def test_a_stop_writes_what_is_read(start_read, reader):
    """All that waits, and then how it ended."""
    gatepost, _ = start_read(reader)
    send(gatepost, 2000)
    os.kill(gatepost.pid, signal.SIGTERM)
    read = read_all(reader, lambda event: event["event"] == "stop")
    assert len(numbers(read)) == 2000
    assert gatepost.stop() == 0


@pytest.mark.parametrize("reader", KINDS[1:], indirect=True)
def test_another_reader_takes_over(start_read, reader):
    """syslog is restarted: the old one read none of the lines that still waited in its socket."""
    gatepost, web = start_read(reader)
    send(gatepost, 3)
    read_all(reader, is_verdict(3))
    reader.close()
    send(gatepost, 100)
    reader.listen()
    assert numbers(read_all(reader, is_verdict(103))) == list(range(4, 104))
    assert web.metrics()("gatepost_log_lost_total") == 0


@pytest.mark.parametrize("reader", ["syslog"], indirect=True)
def test_the_form_of_a_message(start_read, reader, redis):
    redis.cli("HSET", "gatepost:account:alice@example.com", "source", "x")
    gatepost, _ = start_read(reader)
    load(gatepost.socket, "--sessions", "1", "--expect", "tempfail")
    messages = []

    def read():
        messages.extend(reader.messages())
        return any("event=verdict" in message for message in messages)
    wait_until(read, 10, "a verdict")
    moment = time.strftime("%b %e %H:")
    for message in messages:
        level = {"verdict": 22, "start": 22, "policy-malformed": 19}.get(
            logfmt.parse(message[message.index("event="):])["event"])
        assert level is None or message.startswith(f"<{level}>{moment}")
        assert re.match(rf"<\d+>\w\w\w [ \d]\d \d\d:\d\d:\d\d gatepost\[{gatepost.pid}\]: event=",
                        message)
        assert not message.endswith("\n")


@pytest.mark.parametrize("reader", ["syslog"], indirect=True)
def test_what_libmilter_says_does_not_wait_either(start_read, reader):
    """It gives its words to syslog(3), from the thread that serves the connection."""
    gatepost, _ = start_read(reader)
    send(gatepost, 1000)
    threads = len(os.listdir(f"/proc/{gatepost.pid}/task"))
    for _ in range(100):
        with MilterClient(gatepost.socket) as mta:
            mta.send(negotiation(version=1))
            with pytest.raises(ConnectionError):
                mta.receive()
    assert len(os.listdir(f"/proc/{gatepost.pid}/task")) < threads + 50
    send(gatepost, 1)
    messages = []

    def read():
        messages.extend(reader.messages())
        return any(f"-{1001:x} " in message for message in messages[-20:])
    wait_until(read, 60, "the last line", interval=0.001)
    said = [message for message in messages if "st_optionneg" in message]
    assert len(said) == 100
    assert re.fullmatch(rf"<19>.{{15}} gatepost\[{gatepost.pid}\]: gatepost: st_optionneg.*", said[0])


@pytest.mark.parametrize("reader", ["syslog"], indirect=True)
def test_no_system_log_at_all(start_gatepost, redis, reader):
    """The start is told on standard error; the rest waits for whoever comes to read."""
    gatepost = start_gatepost({"store": redis.url, "authentication_results": False,
                               "log": "syslog"}, within=reader.within)
    gatepost.remember()
    gatepost.wait_log("event=start ")
    send(gatepost, 10)
    reader.listen()
    read = read_all(reader, is_verdict(10))
    assert "start" in [event["event"] for event in read]
    assert numbers(read) == list(range(1, 11))
    assert "verdict" not in "".join(gatepost.log_lines())


@pytest.mark.parametrize("listens", [False, True])
@pytest.mark.parametrize("reader", ["syslog"], indirect=True)
def test_a_start_that_fails_is_told(site, domain, reader, listens):
    if listens:
        reader.listen()
    folder = site.folder.sub("fails-" + domain)
    gatepost = Gatepost(folder, {"log": "syslog", "store": f"file:{folder}/none"})
    done = subprocess.run([*reader.within, BINARY, "-c", gatepost.conf], capture_output=True,
                          text=True, timeout=10)
    assert done.returncode == 1
    assert "event=start-failed" in done.stderr


@pytest.mark.parametrize("reader", ["syslog"], indirect=True)
def test_a_reload_turns_away_from_a_reader_that_stalls(start_read, reader):
    """What waited goes where the log goes now."""
    gatepost, _ = start_read(reader)
    reader.close()
    send(gatepost, 100)
    assert not any("event=verdict" in line for line in gatepost.log_lines())
    with open(gatepost.conf) as conf:
        text = conf.read()
    with open(gatepost.conf, "w") as conf:
        conf.write(text.replace('"syslog"', '"stderr"'))
    os.kill(gatepost.pid, signal.SIGUSR1)
    gatepost.wait_log("event=reload ", "generation=2")
    assert len(gatepost.verdicts()) == 100
