"""Who waits long for a name server holds up nobody else."""

import os
import select
import signal
import socket
import time

import pytest

from support.milter_client import macros, mail
from support.nameserver import TIMEOUT
from support.process import wait_until


@pytest.fixture
def silent_server():
    """The address of a name server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % server.getsockname()[1]


def readable(clients):
    return select.select([client._socket for client in clients], [], [], 0)[0]


@pytest.mark.concurrent
@pytest.mark.parametrize("slow", [2, 20, 80])
def test_a_quick_message_beside_slow_ones(start_gatepost, milter_session, redis, domain,
                                          silent_server, slow):
    """All say MAIL FROM in the same instant; the quick one is answered before any of the others."""
    redis.cli("HSET", f"gatepost:account:off@{domain}", "protocol:smtp", "off")
    gatepost = start_gatepost({"store": redis.url, "trusted": [],
                               "spf": {"nameservers": [silent_server], "timeout": "5s"}})
    waiting = [milter_session(gatepost) for _ in range(slow)]
    quick = [milter_session(gatepost) for _ in range(10)]
    os.kill(gatepost.pid, signal.SIGSTOP)       # so that it finds all of them at once
    try:
        for number, client in enumerate(waiting):
            sender = f"x@s{number}.slow.{domain}"
            client.send(macros("M", {"{mail_addr}": sender}) + mail(sender))
    finally:
        os.kill(gatepost.pid, signal.SIGCONT)
    for client in quick:
        assert "switched off" in client.mail(f"off@{domain}").reply
        assert not readable(waiting), "it has waited for a slow one"
    for client in waiting:
        assert client.receive().letter in "yt"


@pytest.mark.concurrent
def test_one_dead_domain_leaves_the_others(site, start_gatepost, milter_session, redis, dns, domain):
    """A hundred wait for one domain's silent server: the others are evaluated, and not deferred."""
    dead, good = f"dead.{domain}", f"good.x{domain}"
    dns.zones[dead] = TIMEOUT
    dns.zones[good] = {"TXT": ["v=spf1 -all"]}
    gatepost = start_gatepost({"store": redis.url, "trusted": [],
                               "spf": {"nameservers": [site.nameserver.address], "timeout": "6s",
                                       "fail": "reject"}})
    waiting = [milter_session(gatepost, address=f"10.1.{number}.1") for number in range(100)]
    for client in waiting:
        sender = f"x@{dead}"
        client.send(macros("M", {"{mail_addr}": sender}) + mail(sender))
    wait_until(lambda: len(readable(waiting)) >= 36, 5, "refusals beyond the share of one domain")
    for number in range(20):
        other = milter_session(gatepost, address=f"10.2.{number}.1")
        assert other.mail(f"y@{good}").reply.startswith("550 5.7.23"), "the domain's own answer"
    assert len(readable(waiting)) == 36, "those within the share wait on"
    for client in waiting:
        assert client.receive().reply.startswith("451 4.7.24")


def test_other_readings_of_a_sender_do_not_wait(start_gatepost, milter_session, redis, domain,
                                                silent_server):
    """A stranger's spelling has readings of domains that he chose: SPF is asked for known ones."""
    gatepost = start_gatepost({"store": redis.url, "trusted": [], "default_domain": domain,
                               "spf": {"nameservers": [silent_server], "timeout": "1s"}})
    client = milter_session(gatepost)
    assert client.mail(f"user@f.{domain}").letter in "yt"   # from now on its failure is known
    sender = f"user%e.{domain}@f.{domain}"
    begin = time.monotonic()
    assert client.mail(sender).letter in "yt"
    assert time.monotonic() - begin < 0.7
