"""Every case of tests/decision.table through the whole filter, behind Postfix and Sendmail or at
its door.

A new case of the table needs no line here. What an MTA shows differently from what the table
says is a field of Mta, and nothing else is.
"""

import os
import zlib
from dataclasses import dataclass
from typing import Callable

import pytest

from support.decision_table import DecisionTable
from support.doors import DoorClient
from support.gatepost import render


@dataclass
class Mta:
    """`session` is called (door, client=, login=, tls=, helo=) and returns an SmtpClient."""

    session: Callable
    log_text: Callable

    # Sendmail as Debian builds it has no SMTPUTF8. Senders outside US-ASCII come without the
    # parameter and reach the filter as they are; in replies every byte outside US-ASCII becomes
    # a question mark.
    smtputf8: bool = True

    # But a sender with one of these bytes Sendmail refuses itself: the filter is not asked. Many
    # UTF-8 texts have one: the O with a diaeresis is C3 96, the o with a diaeresis is C3 B6.
    refused_bytes: frozenset = frozenset()
    reply_to_refused_bytes: str = "501 5.1.7"

    # Sendmail gives a client that the filter refuses at connect its own fixed reply; the
    # filter's code and text, and with it the session's name, reach the log only.
    reply_to_refused_client: str = ""

    def parameters(self, sender):
        return "SMTPUTF8" if self.smtputf8 and not sender.isascii() else ""

    def refuses(self, sender):
        return not self.refused_bytes.isdisjoint(sender.encode())

    def shown(self, text):
        """How that text reads in this MTA's replies."""
        if self.smtputf8:
            return text
        return text.encode().decode("ascii", "replace").replace("\ufffd", "?")


@pytest.fixture(scope="module", params=["postfix", "sendmail"])
def mta(request):
    if request.param == "postfix":
        site = request.getfixturevalue("table_site")
        return Mta(site.session, site.postfix.log_text)
    server = request.getfixturevalue("sendmail_server")
    return Mta(server.session, server.log_text, smtputf8=False,
               refused_bytes=frozenset(range(0x80, 0xa0)), reply_to_refused_client="550 5.0.0")


def check_verdict(case, verdict):
    assert (verdict["verdict"], verdict["reason"]) == (case.verdict, case.reason)
    assert verdict["from"] == case.origin
    assert verdict["would"] == case.would
    assert verdict["mode"] == ("monitor" if case.would else "enforce")
    assert verdict["listener"] == case.door
    assert verdict["client"] == case.canonical_client
    if verdict["stage"] == "mail":
        assert verdict["helo"] == case.helo
        assert verdict["sender"].strip("<>") == case.sender
        assert verdict["login"] == case.login
        assert verdict["account"] == case.named_account
    if case.reason.startswith("spf") and (case.decider != "provider" or not case.login):
        assert verdict["spf"] in results(case)


def results(case):
    """The results of SPF of which one must have decided."""
    if ("helo", "always") in case.conf:
        return {case.spf, case.helo_spf}
    return {case.spf if case.sender else case.helo_spf}


def check_refusal(mta, case, verdict, smtp, reply):
    if case.stage == "connect":
        assert smtp.greeting.code == 554
        if mta.reply_to_refused_client:
            assert f"{reply.code} {reply.enhanced}" == mta.reply_to_refused_client
            assert verdict["reply"].startswith(case.reply + " ")
            return
    assert f"{reply.code} {reply.enhanced}" == case.reply
    assert "\n" not in reply.text and reply.text.isprintable()
    assert reply.text.endswith("; session " + verdict["session"]) and verdict["session"]
    named = case.canonical_client if case.stage == "connect" else case.named_account or "<>"
    # Sendmail repeats the sender in front of the text
    assert mta.shown(named) in reply.text.removeprefix(f"{reply.enhanced} <{case.sender}>... ")


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        table = DecisionTable()
        at_mta = "mta" in metafunc.fixturenames
        cases = [case for case in table.cases if table.is_mta(case.door) == at_mta]
        metafunc.parametrize("case", cases, ids=[case.name.replace(" ", "-") for case in cases])


def test_decision(mta, case, decision_table, filter_switch, redis, dns, dead_store,
                  redis_server, request):
    store = dead_store if case.store_down else redis_server.url
    gatepost = filter_switch.use(decision_table.settings(dns.address, store, case))
    request.node.gatepost = gatepost
    request.node.server_log = mta.log_text
    dns.zones.update(case.zones())
    case.store(redis)
    if not case.store_down:
        gatepost.catch_up(redis)

    with mta.session(case.door, client=case.client, login=case.login, tls=case.tls,
                     helo=case.helo) as smtp:
        reply = smtp.mail(case.sender, mta.parameters(case.sender))

    if mta.refuses(case.sender):
        assert f"{reply.code} {reply.enhanced}" == mta.reply_to_refused_bytes
        assert not gatepost.verdicts(stage="mail")
        return
    verdict = gatepost.verdict(stage=case.stage, client=case.canonical_client)
    check_verdict(case, verdict)
    if case.verdict in ("accept", "mark"):
        assert (smtp.greeting.code, reply.code, reply.enhanced) == (220, 250, "2.1.0")
    else:
        check_refusal(mta, case, verdict, smtp, reply)
    gatepost.check_healthy()


def ask_door(door, client, case):
    """At its own door: whether that let the login in, and what it said."""
    if door["door"] == "dovecot":
        sasl = door["service"] == "smtp"        # Postfix, whose TLS is in `secured`
        answer = client.dovecot(case.login, door["service"], remote=case.client,
                                tls=case.tls and not sasl, local_port="0" if sasl else "10143",
                                secured="TLS" if case.tls else "",
                                app="app" if case.app_password else "")
        return answer["status"] == 0, answer.get("msg", "")
    answer = client.allow(case.login, door["service"], case.client, "on" if case.tls else "off")
    assert answer.status == {"accept": 200, "defer": 503, "reject": 403}[case.verdict]
    assert answer.headers["x-gatepost-verdict"] == case.verdict
    assert answer.headers["x-gatepost-reason"] == case.reason
    return answer.status == 200, answer.text.rstrip("\n")


def test_decision_at_a_door(case, decision_table, filter_switch, redis, dns, dead_store,
                            redis_server, site, request):
    settings = decision_table.settings(dns.address,
                                       dead_store if case.store_down else redis_server.url, case)
    path = os.path.join(site.folder.sub("decision"), f"{zlib.crc32(render(settings).encode())}")
    gatepost = filter_switch.use({**settings, "doors_listen": ["unix:" + path]})
    request.node.gatepost = gatepost
    case.store(redis)
    if not case.store_down:
        gatepost.catch_up(redis)
    door = decision_table.doors[case.door]
    let_in, text = ask_door(door, DoorClient(path), case)
    verdict = gatepost.verdict(stage="door", client=case.canonical_client)
    assert (verdict["verdict"], verdict["reason"]) == (case.verdict, case.reason)
    assert verdict["from"] == case.origin
    assert verdict["would"] == case.would
    assert verdict["listener"] == case.door and verdict["door"] == door["door"]
    assert verdict["login"] == case.login
    assert let_in == (case.verdict == "accept")
    if not let_in:
        assert text.isascii() and text.isprintable()
        assert text == verdict["reply"] and text.endswith("; session " + verdict["session"])
    gatepost.check_healthy()
