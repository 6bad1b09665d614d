"""All doors together: one switch closes each, and each is counted."""

import functools

from support import policy
from support.http_client import HttpClient
from support.ports import free_port
from support.process import wait_until

OFF = "account:alice@{d}  protocol:imap  off"


def refused(answer, *words):
    return answer["status"] == -1 and all(word in answer["msg"] for word in words)


def test_metrics_of_the_doors(start_doors, redis, domain):
    policy.load(redis, OFF, d=domain)
    port = free_port()
    _, doors = start_doors(http_listen=f"127.0.0.1:{port}")
    for _ in range(2):
        doors.unix.dovecot(f"alice@{domain}")
    doors.unix.dovecot(f"alice@{domain}", "no-such-service")
    doors.unix.allow(f"alice@{domain}", "carddav")
    doors.unix.ask("/v1/allow?service=caldav")      # no question, so no verdict
    metrics = HttpClient(port).metrics()
    count = functools.partial(metrics, "gatepost_verdicts_total", stage="door")
    assert count(door="dovecot", service="imap", listener="", verdict="reject",
                 reason="protocol-disabled") == 2
    assert count(door="dovecot", service="", listener="", verdict="reject",
                 reason="unknown-service") == 1
    assert count(door="http", service="carddav", listener="", verdict="accept",
                 reason="account") == 1
    assert sum(value for _, value in metrics.all("gatepost_verdicts_total")) == 4
    assert metrics("gatepost_verdict_seconds_count", stage="door") == 4


def test_one_switch_closes_every_door(start_doors, milter_session, redis, domain):
    """The same key, at Dovecot, behind a proxy and at the MTA; the other protocol stays open."""
    everything = {"imap4-smtp": {"services": ["imap", "submission", "submissions", "caldav"]}}
    gatepost, doors = start_doors(protocol=everything, default_domain=domain)
    alice = f"alice@{domain}"

    def closed():
        with milter_session(gatepost, macro_values={"{daemon_name}": "x"}) as mta:
            at_mta = mta.mail(f"x@{domain}", login=alice).reply
            mta.quit()
        return [refused(doors.unix.dovecot(alice), "imap is switched off"),
                refused(doors.unix.dovecot(alice, "submission")),
                refused(doors.unix.dovecot(alice, "smtp", local_port="0")),
                doors.passwords.password(alice).status == 403,
                doors.unix.allow(alice).status == 403, "5.7.1" in at_mta]

    for _ in range(3):
        assert not any(closed())
        redis.cli("HSET", f"gatepost:account:{alice}", "protocol:imap4-smtp", "off")
        wait_until(lambda: all(closed()), 5, "every door closed")
        for name in (f"Alice@{domain}", f"alice+x@{domain}", "alice", f" alice@{domain} ",
                     f"alice@{domain.upper()}"):
            assert refused(doors.unix.dovecot(name)), name
            assert doors.unix.ask("/v1/allow?service=caldav&account="
                                  + name.replace(" ", "%20")).status == 403, name
        assert doors.unix.dovecot(alice, "pop3") == {"status": 0}
        assert doors.unix.allow(alice, "carddav").status == 200
        redis.cli("HDEL", f"gatepost:account:{alice}", "protocol:imap4-smtp")
        wait_until(lambda: not any(closed()), 5, "every door open")
