"""The log: its levels, JSON, what is said again and again, and the way from a reply to its line."""

import json
import os
import re
import signal

import pytest

from support import logfmt, policy
from support.http_client import HttpClient
from support.ports import free_port
from support.process import wait_until
from test_concurrent import load

SETTINGS = {"trusted": [], "authentication_results": False}
KEYS = ["event", "stage", "session", "queue", "listener", "service", "client", "helo", "sender",
        "login", "account", "spf", "verdict", "reason", "from", "mode", "would", "reply", "us", "tls"]
# octets of a client, and how JSON shows them
HOSTILE = {b'"}': '"}', b"\\": "\\", b'\\"': '\\"', b"a\x01b": "a\x01b", b"\x7f": "\x7f",
           "caf\u00e9".encode(): "caf\u00e9", b"\xff\xfe": "\xff\xfe",
           b"a=b c": "a=b c", b"\t": "\t",
           "\u202e".encode(): "\u202e".encode().decode("latin-1"),
           b'{"event":"verdict"}': '{"event":"verdict"}'}


def reload(gatepost, generation):
    os.kill(gatepost.pid, signal.SIGUSR1)
    wait_until(lambda: f"generation\":\"{generation}\"" in "".join(gatepost.log_lines())
               or f"generation={generation}" in "".join(gatepost.log_lines()), 10, "a reload")


def verdict_lines(gatepost):
    """Unread, whichever form they are of."""
    return [line for line in gatepost.log_lines() if line.startswith(("event=verdict",
                                                                      '{"event":"verdict"'))]


def refuse(milter_session, gatepost, sender, **mail):
    with milter_session(gatepost) as mta:
        reply = mta.mail(sender, **mail).reply
        mta.quit()
    return reply


def test_level_and_format_change_by_reload(start_gatepost, milter_session, redis):
    redis.cli("HSET", "gatepost:account:off@example.com", "protocol:smtp", "off")
    settings = {**SETTINGS, "store": redis.url}
    gatepost = start_gatepost(settings)
    refuse(milter_session, gatepost, "off@example.com")
    assert list(gatepost.verdict(reason="protocol-disabled"))[:len(KEYS)] == KEYS
    gatepost.configure({**settings, "log_format": "json"})
    gatepost.forget()
    reload(gatepost, 2)
    refuse(milter_session, gatepost, "off@example.com")
    wait_until(lambda: len(gatepost.log_lines()) == 2, 30, "reload and verdict")
    lines = [json.loads(line) for line in gatepost.log_lines()]
    assert [line["event"] for line in lines] == ["reload", "verdict"]
    assert list(lines[1]) == KEYS and lines[1]["verdict"] == "reject"
    assert lines[1]["login"] is None and lines[1]["would"] is None
    gatepost.configure({**settings, "log_level": "warning"})
    gatepost.forget()
    os.kill(gatepost.pid, signal.SIGUSR1)

    def quiet():
        gatepost.forget()
        refuse(milter_session, gatepost, "off@example.com")
        return not gatepost.log_lines()
    wait_until(quiet, 30, "no line for a verdict")
    redis.cli("HSET", "gatepost:account:bad@example.com", "protocol:smtp", "perhaps")
    refuse(milter_session, gatepost, "bad@example.com")
    assert [logfmt.parse(line)["event"] for line in gatepost.log_lines()] == ["policy-malformed"]


@pytest.mark.parametrize("level, events", [
    ("debug", {"start", "verdict", "policy-unknown-field", "policy-malformed", "stop"}),
    ("info", {"start", "verdict", "policy-unknown-field", "policy-malformed", "stop"}),
    ("warning", {"policy-unknown-field", "policy-malformed"}),
    ("error", {"policy-malformed"}),
])
def test_levels(start_gatepost, milter_session, redis, level, events):
    redis.cli("HSET", "gatepost:account:bad@example.com", "protocl:smtp", "off", "source", "x")
    gatepost = start_gatepost({**SETTINGS, "store": redis.url, "log_level": level,
                               "user": "root"})
    refuse(milter_session, gatepost, "bad@example.com")
    assert gatepost.stop() == 0
    gatepost.remember()
    told = {logfmt.parse(line)["event"] for line in gatepost.log_lines()}
    optional = {"store-watched", "store-empty", "network-empty"}
    assert told - optional == events


def test_json_lines_are_json_whatever_strangers_say(start_gatepost, milter_session, redis):
    gatepost = start_gatepost({**SETTINGS, "store": redis.url, "log_format": "json"})
    for octets in HOSTILE:
        with milter_session(gatepost, helo=octets) as mta:
            mta.mail(octets + b"@example.com", login=octets)
            mta.quit()
    wait_until(lambda: len(verdict_lines(gatepost)) == len(HOSTILE), 30, "all the verdicts")
    lines = [json.loads(line) for line in verdict_lines(gatepost)]
    assert all(list(line)[:len(KEYS)] == KEYS for line in lines)
    assert [line["helo"] for line in lines] == list(HOSTILE.values())
    assert [line["login"] for line in lines] == list(HOSTILE.values())
    assert all(line["verdict"] and line["us"] for line in lines)


@pytest.mark.parametrize("form", ["json", "logfmt"])
@pytest.mark.parametrize("octet", ["\x01", "\u00e9", "\\", "x"], ids=repr)
def test_long_values_never_break_a_line(start_gatepost, milter_session, redis, form, octet):
    gatepost = start_gatepost({**SETTINGS, "store": redis.url, "log_format": form})
    with milter_session(gatepost, helo=octet * 900) as mta:
        mta.mail(octet * 900 + "@example.com", login=octet * 900,
                 macro_values={"i": octet * 900})
        mta.quit()
    line = wait_until(lambda: verdict_lines(gatepost), 30, "a verdict")[0]
    verdict = json.loads(line) if form == "json" else logfmt.parse(line)
    assert list(verdict)[:len(KEYS)] == KEYS
    assert len(line) < 8000
    assert verdict["verdict"] in ("accept", "defer", "reject") and verdict["us"].isdigit()
    assert verdict["session"] and verdict["reason"]


def test_the_session_of_a_reply_is_in_the_log(start_gatepost, milter_session, redis):
    redis.cli("HSET", "gatepost:account:off@example.com", "protocol:smtp", "off")
    gatepost = start_gatepost({**SETTINGS, "store": redis.url})
    sessions = set()
    for _ in range(10):
        reply = refuse(milter_session, gatepost, "off@example.com")
        session = re.search(r"; session ([0-9a-f-]+)$", reply)[1]
        verdict = gatepost.verdict(session=session)
        assert verdict["reply"] == reply
        sessions.add(session)
    assert len(sessions) == 10


def counted(gatepost, event):
    """How often the event was, by lines and by what they say was left out."""
    lines = [logfmt.parse(line) for line in gatepost.log_lines()]
    own = [line for line in lines if line["event"] == event]
    told = [line for line in lines if line.get("of") == event]
    return len(own), len(own) + sum(int(line.get("repeated", 0)) for line in own + told)


@pytest.mark.concurrent
def test_what_is_said_again_is_cut_short_and_counted(start_gatepost, redis):
    """Lines and what they say was left out make up the number of messages."""
    port = free_port()
    for name in ("a0", "a1"):
        redis.cli("HSET", f"gatepost:account:{name}@example.com", "source", "x")
    gatepost = start_gatepost({**SETTINGS, "store": redis.url, "cache_entries": 0,
                               "http_listen": f"127.0.0.1:{port}"})
    for _ in range(2):
        result = load(gatepost.socket, "--sessions", "1000", "--sender", "a{n}@example.com",
                      "--sender-count", "2", "--expect", "tempfail")
        assert result["tempfail"] == 1000
    assert HttpClient(port).metrics()("gatepost_malformed_total") == 2000
    assert len(gatepost.verdicts(reason="policy-malformed")) == 2000, "verdicts are never cut"
    assert gatepost.stop() == 0
    lines, number = counted(gatepost, "policy-malformed")
    assert number == 2000 and lines < 1000
    assert any("repeated=" in line for line in gatepost.log_lines())


def test_store_errors_are_cut_short_and_told_when_they_are_over(start_gatepost, milter_session,
                                                                redis):
    gatepost = start_gatepost({**SETTINGS, "store": redis.url, "cache_entries": 0})
    assert not refuse(milter_session, gatepost, "x@example.com")    # it has started
    redis.stop()
    wait_until(lambda: refuse(milter_session, gatepost, "x@example.com")
               and any("event=store-down" in line for line in gatepost.log_lines()), 10,
               "a store that is down")
    result = load(gatepost.socket, "--sessions", "400", "--sender", "x@example.com",
                  "--expect", "tempfail")
    assert result["tempfail"] == 400
    number = len(gatepost.verdicts(reason="policy-unavailable"))
    redis.start()
    wait_until(lambda: not refuse(milter_session, gatepost, "x@example.com"), 30, "Redis in use")

    def told():
        refuse(milter_session, gatepost, "x@example.com")
        return counted(gatepost, "store-error")[1] >= number
    wait_until(told, 30, "all store errors counted", interval=0.2)
    lines, _ = counted(gatepost, "store-error")
    assert 5 <= lines < number / 2
    assert all(logfmt.parse(line)["session"] for line in gatepost.log_lines()
               if line.startswith("event=store-error"))


def test_different_things_do_not_hide_each_other(start_gatepost, milter_session, redis):
    names = [f"a{number}" for number in range(40)]
    for name in names:
        policy.load(redis, f"account:{name}@example.com source x")
    gatepost = start_gatepost({**SETTINGS, "store": redis.url})
    for name in names:
        refuse(milter_session, gatepost, f"{name}@example.com")
    keys = {logfmt.parse(line)["key"] for line in gatepost.log_lines()
            if line.startswith("event=policy-malformed")}
    assert keys == {f"gatepost:account:{name}@example.com" for name in names}


# ---- the manual ----

def test_each_event_and_key_is_in_a_manual_page():
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../milter")
    manual = ""
    for name in ("gatepost.8", "gatepost-settings.8"):
        with open(os.path.join(top, name), encoding="utf-8") as page:
            manual += page.read()
    words = set()
    for folder, _, names in os.walk(top):
        for name in names:
            if not name.endswith(".c") or "/ctl" in folder:
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                source = file.read()
            words.update(re.findall(r"\bLOG_(?:ERR|WARNING|NOTICE|INFO),\s*\"([a-z-]+)\"", source))
            if name == "verdict_log.c":
                words.update(re.findall(r"\(struct log_pair\)\{\"([a-z-]+)\"", source))
    assert len(words) > 40 and "spf-prefix" in words
    said = set(re.findall(r"[a-z][a-z-]*", manual))
    assert words - said == set()
