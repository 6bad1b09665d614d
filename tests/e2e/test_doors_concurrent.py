"""The doors asked by many at once: every answer right, while policy and configuration change."""

import os
import signal
import threading
import time

import pytest

from support import policy
from support.doors import TOKEN, DoorClient

POLICY = """
account:off@{d}  protocol:imap    off
account:off@{d}  protocol:caldav  off
"""
TORN = (b"POST /v1/dovecot?command=allow HTTP/1.1\r\nHost: gatepost\r\nContent-Length: 10\r\n"
        b"\r\n{}")


@pytest.mark.concurrent
def test_many_at_once_while_policy_and_configuration_change(start_doors, redis, domain):
    policy.load(redis, POLICY, d=domain)
    gatepost, doors = start_doors()
    until = time.monotonic() + 4
    wrong, counts = [], [0] * 12

    def ask(number):
        client = DoorClient(doors.port if number % 3 == 0 else doors.unix_path,
                            TOKEN if number % 3 == 0 else None, keep=number % 2 == 0)
        while time.monotonic() < until:
            answers = [client.dovecot("off@" + domain)["status"], -1,
                       client.allow("off@" + domain).status, 403,
                       client.dovecot("on@" + domain)["status"], 0,
                       client.allow("on@" + domain).status, 200,
                       client.allow("").status, 401,
                       client.ask("/v1/dovecot?command=allow", "POST", "{").json()["status"], -1]
            if answers[::2] != answers[1::2]:
                wrong.append(answers)
            flip = client.allow("flip@" + domain).status
            if flip not in (200, 403):
                wrong.append(flip)
            counts[number] += 1
        client.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    flips = 0
    while time.monotonic() < until:
        redis.cli("HSET", f"gatepost:account:flip@{domain}", "protocol:caldav",
                  "off" if flips % 2 else "on")
        if flips % 20 == 0:
            os.kill(gatepost.pid, signal.SIGUSR1)
        sock = doors.unix.raw()
        sock.sendall(TORN[:flips % len(TORN)])
        sock.close()
        flips += 1
    for thread in threads:
        thread.join()
    assert wrong == [] and min(counts) > 0 and flips > 5
    gatepost.check_healthy()
