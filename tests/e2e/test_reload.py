"""Reload: all or nothing, for new sessions, without losing one; and the end of the filter."""

import os
import signal
import socket
import threading
import time

import pytest

from support.milter_client import packet
from support.process import wait_until
from test_concurrent import load

SETTINGS = {"authentication_results": False, "trusted": []}


def reload(gatepost, number=signal.SIGUSR1):
    before = len([line for line in gatepost.log_lines() if line.startswith("event=reload")])
    os.kill(gatepost.pid, number)
    return wait_until(lambda: [line for line in gatepost.log_lines()
                               if line.startswith("event=reload")][before:], 10, "a reload")


def refused(milter_session, gatepost, **mail):
    with milter_session(gatepost) as mta:
        return bool(mta.mail("alice@example.com", **mail).reply)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_new_sessions_begin_with_the_new_configuration(redis, start_gatepost, milter_session,
                                                       number):
    strict = {"listener": {"mx": {"auth": "required"}}}
    gatepost = start_gatepost(SETTINGS)
    with milter_session(gatepost) as before:
        assert not before.mail("alice@example.com").reply
        before.abort()
        gatepost.configure({**SETTINGS, "store": redis.url, **strict})
        assert "generation=2" in reload(gatepost, number)[0]
        assert refused(milter_session, gatepost)
        assert not before.mail("alice@example.com").reply, "a session keeps its configuration"
    gatepost.configure({**SETTINGS, "store": redis.url})
    assert "generation=3" in reload(gatepost, number)[0]
    assert not refused(milter_session, gatepost)


@pytest.mark.parametrize("line, told", [
    ('stale_max = "soon"', "stale_max"),
    ("nonsense = 1", "nonsense"),
    ('store = "file:/nonexistent/policy"', "/nonexistent/policy"),
    ('listener "mx" {', "not closed"),
])
def test_a_bad_configuration_changes_nothing(redis, start_gatepost, milter_session, line, told):
    settings = {**SETTINGS, "store": redis.url, "listener": {"mx": {"auth": "required"}}}
    gatepost = start_gatepost(settings)
    gatepost.configure({**SETTINGS, "store": redis.url} if "store" not in line else SETTINGS)
    with open(gatepost.conf, "a") as conf:
        conf.write(line + "\n")
    answer = reload(gatepost)[0]
    assert answer.startswith("event=reload-failed") and told in answer
    if "file:" not in line:
        assert gatepost.conf + ":" in answer
    assert refused(milter_session, gatepost)
    gatepost.configure({**SETTINGS, "store": redis.url})
    assert "generation=2" in reload(gatepost)[0]
    assert not refused(milter_session, gatepost)


def test_what_takes_a_restart_is_named(redis, start_gatepost, milter_session, site):
    gatepost = start_gatepost(SETTINGS)
    gatepost.configure({**SETTINGS, "store": redis.url, "socket_mode": "0600",
                        "socket": "unix:" + site.folder.file("elsewhere.sock")})
    reload(gatepost)
    gatepost.wait_log("event=reload-ignored", "setting=socket ")
    gatepost.wait_log("event=reload-ignored", "setting=socket_mode ")
    assert not refused(milter_session, gatepost), "it listens where it did"


def test_a_stop_closes_the_socket_that_is_open(redis, start_gatepost, milter_session, site):
    """Not the one that the configuration names since."""
    gatepost = start_gatepost({"trusted": []})
    another = site.folder.file("another")
    with open(another, "w"):
        os.chmod(another, 0o666)
    gatepost.configure({"trusted": [], "store": redis.url, "socket": "unix:" + another})
    reload(gatepost)
    with milter_session(gatepost) as mta:
        assert mta.mail("alice@example.com").letter == "c"
        os.kill(gatepost.pid, signal.SIGTERM)
        wait_until(lambda: os.stat(gatepost.socket).st_mode & 0o777 == 0o600, 20, "a closed door")
        mta.abort()
    assert gatepost.stop() == 0
    assert os.stat(another).st_mode & 0o777 == 0o666


def test_the_cache_and_the_networks_outlive_a_reload(redis, start_gatepost, milter_session):
    """With Redis gone nothing can be asked: what is known serves on."""
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:smtp", "off")
    redis.cli("HSET", "gatepost:network:relays", "198.51.100.7", "")
    settings = {**SETTINGS, "trusted": ["relays"], "store": redis.url}
    gatepost = start_gatepost(settings)
    assert refused(milter_session, gatepost)
    redis.stop()
    gatepost.wait_log("event=store-down")
    gatepost.configure({**settings, "received_spf": True})
    reload(gatepost)
    assert refused(milter_session, gatepost)
    verdict = gatepost.verdict(reason="protocol-disabled", policy="stale")
    assert verdict["verdict"] == "reject"
    with milter_session(gatepost, address="198.51.100.7") as mta:
        assert not mta.mail("alice@example.com").reply
    gatepost.verdict(reason="trusted")


def test_networks_are_loaded_once_for_all_configurations(redis, start_gatepost, milter_session,
                                                         domain):
    """Sessions keep their old configurations; what only those name is followed while they last."""
    inside = "198.51.100.7"
    settings = {**SETTINGS, "network": {}, "store": redis.url}
    gatepost = start_gatepost({**settings, "trusted": ["old-" + domain, domain]})
    sessions = [milter_session(gatepost)]
    for number in range(3):
        gatepost.configure({**settings, "trusted": [domain], "received_spf": bool(number % 2)})
        reload(gatepost)
        sessions.append(milter_session(gatepost))

    def loads_after_change(network):
        before = redis.command_count("hscan")
        redis.cli("HSET", "gatepost:network:" + network, inside, "")
        redis.cli("HSET", "gatepost:network:" + domain, f"192.0.2.{before % 256}", "")
        redis.cli("HDEL", "gatepost:network:" + domain, inside)
        redis.cli("HSET", "gatepost:network:" + domain, inside, "")

        def trusted():
            gatepost.forget()
            with milter_session(gatepost, address=inside) as mta:
                mta.mail("alice@example.com")
            return gatepost.verdict(client=inside)["reason"] == "trusted"
        wait_until(trusted, 20, "a trusted client")
        time.sleep(0.2)
        return redis.command_count("hscan") - before

    # where the machine is busy the watch may be made anew meanwhile, which loads all again
    wait_until(lambda: 2 <= loads_after_change("old-" + domain) <= 4, 30, "one load for each change")
    for mta in sessions[:-1]:
        mta.close()
    redis.cli("DEL", "gatepost:network:" + domain)

    def dropped():
        before = redis.command_count("hscan")
        redis.cli("HSET", "gatepost:network:old-" + domain, f"192.0.2.{before % 256}", "")
        time.sleep(0.2)
        return redis.command_count("hscan") == before
    wait_until(dropped, 10, "a network that nobody names any more")
    sessions[-1].close()


def test_the_last_session_of_a_store_that_hangs_waits_for_nothing(redis, start_gatepost,
                                                                  milter_session, domain):
    """It closes at once, with a large network on its way from Redis."""
    network = "gatepost:network:" + domain
    redis.cli("EVAL", "for i = 0, 299999 do redis.call('HSET', KEYS[1], '10.' .. (i % 250) .. '.' "
              ".. (math.floor(i / 250) % 250) .. '.' .. math.floor(i / 62500), '') end", 1, network)
    settings = {**SETTINGS, "network": {}, "trusted": [domain], "store_timeout": "2s"}
    gatepost = start_gatepost({**settings, "store": redis.url})
    mta = milter_session(gatepost)
    scanned = redis.command_count("hscan")
    redis.cli("HSET", network, "192.0.2.1", "")
    wait_until(lambda: redis.command_count("hscan") > scanned, 10, "the network's loading")
    redis.freeze()
    with open(gatepost.conf + ".policy", "w") as policy:
        policy.write("account:alice@example.com tls required\n")
    gatepost.configure({**settings, "store": f"file:{gatepost.conf}.policy"})
    reload(gatepost)
    began = time.monotonic()
    mta.send(packet("Q"))
    with pytest.raises(ConnectionError):
        mta.receive()
    took = time.monotonic() - began
    assert took < 1, took
    assert not refused(milter_session, gatepost)
    redis.resume()
    assert gatepost.stop() == 0


def test_the_times_of_the_cache_change_and_it_stays(redis, start_gatepost, milter_session):
    """With Redis gone stale_max is raised, so that mail flows on; and lowered again."""
    redis.cli("HSET", "gatepost:account:alice@example.com", "protocol:smtp", "off")
    settings = {**SETTINGS, "store": redis.url}
    gatepost = start_gatepost(settings)
    assert refused(milter_session, gatepost)
    redis.stop()
    gatepost.wait_log("event=store-down")
    for times, told in (({"stale_max": "24h", "cache_ttl": "6m"}, {"policy": "stale"}),
                        ({"stale_max": "1ms"}, {"reason": "policy-unavailable"}),
                        ({}, {"policy": "stale"})):
        gatepost.configure({**settings, **times})
        assert "event=reload generation=" in reload(gatepost)[0]
        gatepost.forget()
        assert refused(milter_session, gatepost)
        gatepost.verdict(**told)


@pytest.mark.concurrent
def test_a_thousand_reloads_under_load(redis, start_gatepost):
    for number in range(10):
        redis.cli("HSET", f"gatepost:account:a{number}@example.com", "protocol:submission",
                  "on" if number % 2 else "off")
    gatepost = start_gatepost(SETTINGS)
    stop = threading.Event()
    done = []

    def keep_reloading():
        while not stop.is_set():
            gatepost.forget()
            done.extend(reload(gatepost, signal.SIGHUP if len(done) % 2 else signal.SIGUSR1))

    reloader = threading.Thread(target=keep_reloading)
    reloader.start()
    sessions = 0
    while len(done) < 1000 and reloader.is_alive():
        result = load(gatepost.socket, "--sessions", "4000", "--login", "a{n}@example.com",
                      "--sender-count", "10")
        assert (result["accept"], result["reject"]) == (2000, 2000)
        sessions += 4000
    stop.set()
    reloader.join()
    assert len(done) >= 1000
    assert all("event=reload generation=" in line for line in done), done
    print(f"{len(done)} reloads over {sessions} sessions on 64 connections")


def test_a_message_under_way_may_finish(redis, start_gatepost, milter_session):
    gatepost = start_gatepost({"trusted": []})
    with milter_session(gatepost) as mta:
        assert mta.mail("alice@example.com").letter == "c"
        os.kill(gatepost.pid, signal.SIGTERM)
        wait_until(lambda: os.stat(gatepost.socket).st_mode & 0o777 == 0o600, 20, "a closed door")
        mta.header("Subject", "under way")
        changes, response = mta.end_of_message()
        assert response.letter in "ca"
    began = time.monotonic()
    assert gatepost.stop() == 0
    assert time.monotonic() - began < 5


def test_a_message_that_does_not_end_does_not_hold_up_a_stop_for_ever(start_gatepost,
                                                                      milter_session):
    gatepost = start_gatepost({"trusted": []})
    with milter_session(gatepost) as mta:
        assert mta.mail("alice@example.com").letter == "c"
        os.kill(gatepost.pid, signal.SIGTERM)
        gatepost.wait_log("event=drain-ended", "messages=1", timeout=15)
        assert gatepost.stop() == 0


def test_an_idle_filter_stops_at_once(start_gatepost, milter_session):
    gatepost = start_gatepost(SETTINGS)
    with milter_session(gatepost) as mta:
        assert not mta.mail("alice@example.com").reply
        began = time.monotonic()
        assert gatepost.stop() == 0
        assert time.monotonic() - began < 3


def test_the_service_manager_is_told(site, redis, start_gatepost, monkeypatch):
    """sd_notify(3): readiness, reload, state, the watchdog's sign of life, the stop."""
    path = site.folder.file("notify.sock")
    told = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(0.05)

        def has(line, times=1):
            try:
                told.extend(manager.recv(4096).decode().split("\n"))
            except TimeoutError:
                pass
            return told.count(line) >= times

        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        gatepost = start_gatepost(SETTINGS)
        wait_until(lambda: has("READY=1"), 30, "READY")
        wait_until(lambda: has("WATCHDOG=1", 4), 30, "signs of life")
        assert "STATUS=configuration 1, 0 sessions" in told
        os.kill(gatepost.pid, signal.SIGHUP)
        wait_until(lambda: has("RELOADING=1") and has("READY=1", 2), 30, "RELOADING and READY")
        wait_until(lambda: has("STATUS=configuration 2, 0 sessions"), 30, "the new state")
        assert any(line.startswith("MONOTONIC_USEC=") for line in told)
        os.kill(gatepost.pid, signal.SIGTERM)
        wait_until(lambda: has("STOPPING=1"), 30, "STOPPING")
        assert gatepost.stop() == 0
