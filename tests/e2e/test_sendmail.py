"""What Sendmail does its own way: headers, replies, logins, and the filter being away."""

import re
import signal

import pytest

from support.forged_headers import FORGED, FORGED_RECEIVED_SPF, bodies, claiming, mixed, unfolded
from support.odd_senders import ODD_SENDERS
from support.sendmail import HOSTNAME, ODD_LOGINS, RECIPIENT

CLIENT = "192.0.2.1"
ALICE = "alice@example.com"
PASS = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
TEXT = "100% unknown: {account} %s%n 50%% {client}"


@pytest.fixture
def mail_filter(request, filter_switch, decision_table, redis, dns, redis_server,
                sendmail_server):
    """The filter behind Sendmail; it must be alive and well afterwards."""
    settings = {**decision_table.settings(dns.address, redis_server.url), "received_spf": True,
                "reply": {"unknown-sender": {"text": TEXT}}}
    instance = filter_switch.use(settings)
    request.node.gatepost = instance
    request.node.server_log = sendmail_server.log_text
    yield instance
    instance.check_healthy()


@pytest.fixture
def session(sendmail_server, mail_filter):
    """A function (door, further arguments of Sendmail.session) that opens an SMTP session."""
    opened = []

    def open_session(door="mx", client=CLIENT, **arguments):
        opened.append(sendmail_server.session(door, client, **arguments))
        return opened[-1]

    yield open_session
    for smtp in opened:
        smtp.close()


@pytest.fixture
def deliver(sendmail_server, domain):
    """A function (session, sender, header lines) that returns the message as delivered."""
    sink = sendmail_server.sink

    def send(smtp, sender, headers=()):
        subject = f"headers for {domain} {len(sink.messages())}."
        assert smtp.mail(sender).code == 250
        assert smtp.rcpt(RECIPIENT).code == 250
        assert smtp.data("\n".join([*headers, f"Subject: {subject}", "", "hello"])).code == 250
        return sink.wait_for(subject)

    return send


@pytest.mark.parametrize("record, result", [
    (PASS, "pass"),
    ({"TXT": ["v=spf1 ~all"]}, "softfail"),
    ({"TXT": ["v=spf1 nonsense"]}, "permerror"),
    (None, "none"),
])
def test_results_stand_above_every_received(session, deliver, dns, domain, record, result):
    if record:
        dns.zones[domain] = record
    message = deliver(session(), f"alice@{domain}")
    names = [name for name, _ in message.headers()]
    assert names[:3] == ["Authentication-Results", "Received-SPF", "Received"]
    results, = message.header("Authentication-Results")
    assert re.fullmatch(rf"{HOSTNAME}; spf={result}( \(.*\))? smtp\.mailfrom=alice@{domain}",
                        unfolded(results))
    received_spf, = message.header("Received-SPF")
    assert received_spf.lower().startswith(result + " ")
    assert f"client-ip={CLIENT}" in received_spf and "identity=mailfrom" in received_spf


def test_null_sender_by_its_helo(session, deliver, dns, domain):
    dns.zones[domain] = PASS
    message = deliver(session(helo=domain), "")
    results, = message.header("Authentication-Results")
    assert unfolded(results).startswith(f"{HOSTNAME}; spf=pass ")
    assert f"smtp.helo={domain}" in results
    assert "identity=helo" in message.header("Received-SPF")[0]


@pytest.mark.parametrize("login", [None, ALICE], ids=["stranger", "login"])
@pytest.mark.parametrize("line", FORGED)
def test_forged_header_is_removed(session, deliver, domain, line, login):
    message = deliver(session(login=login), f"alice@{domain}", [claiming(line, HOSTNAME)])
    rest = bodies(message)
    assert len(rest) == (0 if login else 1)
    assert all(f"smtp.mailfrom=alice@{domain}" in header for header in rest)


@pytest.mark.parametrize("login", [None, ALICE], ids=["stranger", "login"])
def test_all_of_many_forged_ones_are_removed(session, deliver, domain, login):
    """Among foreign ones, so that the positions shift while headers are taken out."""
    lines, foreign = mixed(HOSTNAME)
    message = deliver(session(login=login), f"alice@{domain}", lines)
    own = [value for value in message.header("Authentication-Results")
           if f"smtp.mailfrom=alice@{domain}" in value]
    assert len(own) == (0 if login else 1)
    assert bodies(message, but=own[0] if own else "") == foreign


def test_forged_received_spf_is_removed(session, deliver, domain):
    lines = [claiming(line, HOSTNAME) for line in FORGED_RECEIVED_SPF]
    message = deliver(session(), f"alice@{domain}", lines)
    value, = message.header("Received-SPF")
    assert f'envelope-from="alice@{domain}"' in value


def test_too_many_forged_fields_refuse_a_message(session, domain, mail_filter):
    smtp = session()
    assert smtp.mail(f"alice@{domain}").code == 250
    assert smtp.rcpt(RECIPIENT).code == 250
    forged = claiming(FORGED[0], HOSTNAME)
    reply = smtp.data("\n".join([forged] * 101 + ["Subject: x", "", "hello"]))
    verdict = mail_filter.verdict(stage="data")
    assert (reply.code, reply.enhanced, verdict["reason"]) == (550, "5.7.1", "header-forged")
    assert reply.text.endswith("; session " + verdict["session"])
    assert verdict["queue"] == mail_filter.verdict(stage="mail")["queue"]


def test_messages_of_one_session_are_judged_one_by_one(session, deliver, dns, domain,
                                                       mail_filter):
    dns.zones[domain] = PASS
    dns.zones[f"bad.{domain}"] = {"TXT": ["v=spf1 -all"]}
    forged = claiming(FORGED[0], HOSTNAME)
    smtp = session()
    for sender, result, headers in [(f"a@{domain}", "pass", [forged]),
                                    (f"b@none.{domain}", "none", []),
                                    (f"c@{domain}", "pass", [forged, forged])]:
        refused = smtp.mail(f"x@bad.{domain}")
        assert (refused.code, refused.enhanced) == (550, "5.7.23")
        results, = deliver(smtp, sender, headers).header("Authentication-Results")
        assert f"spf={result}" in results and sender in results
    verdicts = mail_filter.verdicts(stage="mail")
    assert [verdict["verdict"] for verdict in verdicts] == ["reject", "accept"] * 3
    assert len({verdict["session"] for verdict in verdicts}) == 1
    queues = [verdict["queue"] for verdict in verdicts if verdict["verdict"] == "accept"]
    assert all(queues) and len(set(queues)) == len(queues)


def test_message_given_up_leaves_nothing_to_the_next(session, deliver, dns, domain):
    dns.zones[domain] = PASS
    smtp = session()
    assert smtp.mail(f"alice@{domain}").code == 250
    assert smtp.rset().code == 250
    results, = deliver(smtp, f"bob@none.{domain}").header("Authentication-Results")
    assert "spf=none" in results and f"bob@none.{domain}" in results


def test_percent_signs_of_a_configured_text(session, domain, mail_filter):
    """Sendmail takes setreply's text for a format: a single % would cost the whole text."""
    reply = session("registered").mail(f"alice@{domain}")
    name = mail_filter.verdict(stage="mail")["session"]
    text = TEXT.format(account=f"alice@{domain}", client=CLIENT)
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert text in reply.text
    assert reply.text.endswith("; session " + name)


@pytest.mark.parametrize("login", ODD_LOGINS)
def test_login_that_sendmail_encodes(session, redis, mail_filter, login):
    """{auth_authen} comes in xtext; the account is that of the login as the client gave it."""
    account = login.replace("+c@", "@")
    redis.cli("HSET", f"gatepost:account:{account}", "protocol:submission", "off")
    reply = session("submission", login=login, tls=True).mail(ALICE)
    verdict = mail_filter.verdict(stage="mail")
    assert (verdict["login"], verdict["account"]) == (login, account)
    assert (verdict["reason"], reply.code) == ("protocol-disabled", 550)


# a group is none to it, but another user
@pytest.mark.parametrize("sender", ["alice@{d}", *(s for s in ODD_SENDERS if s[0] != "x")])
@pytest.mark.parametrize("own", [False, True], ids=["stranger", "own"])
def test_senders_that_sendmail_understands(session, redis, mail_filter, domain, sender, own):
    """What it takes is judged as what it hands on, its own users among them."""
    domain = HOSTNAME if own else domain
    redis.cli("HSET", f"gatepost:account:alice@{domain}", "protocol:smtp", "off")
    mail_filter.catch_up(redis)
    reply = session().mail(sender.replace("{d}", domain))
    assert reply.code in (550, 553)
    if reply.code == 550:
        assert mail_filter.verdict(stage="mail")["reason"] == "protocol-disabled"


def test_sender_that_claims_results(session, deliver, dns, domain):
    """What a client writes into its sender stays one value of our field."""
    dns.zones[domain] = {"TXT": ["v=spf1 ?all"]}
    message = deliver(session(), f'"a"; dkim=pass header.d=bank.example x="b"@{domain}')
    results, = message.header("Authentication-Results")
    assert re.fullmatch(rf'{HOSTNAME}; spf=neutral smtp\.mailfrom="([^"\\]|\\.)*"(@{domain})?',
                        unfolded(results))


def test_longest_reply(session, dns, domain):
    """RFC 5321 4.5.3.1.5: 512 octets, the sender that Sendmail puts before the text included."""
    labels = "x" * 60
    domain = f"{labels}.{labels}.{labels}.{domain}"
    dns.zones[domain] = {"TXT": [f"v=spf1 exp=why.{domain} -all"]}
    dns.zones["why." + domain] = {"TXT": ["because " * 60]}
    reply = session().mail(f"{'a' * 50}@{domain}")
    assert reply.enhanced == "5.7.23" and "; session " in reply.text[-40:]
    assert 400 < len(f"{reply.code} {reply.text}\r\n") <= 512


def test_filter_is_down(session, mail_filter, domain):
    """F=T: mail waits, and passes as soon as the filter is back."""
    mail_filter.stop(signal.SIGKILL)
    smtp = session()
    reply = smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (451, "4.3.2")
    mail_filter.start()
    assert session().mail(f"alice@{domain}").code == 250


def test_filter_dies_during_a_session(session, mail_filter, domain):
    smtp = session()
    mail_filter.stop(signal.SIGKILL)
    reply = smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (451, "4.3.2")
    mail_filter.start()
    assert session().mail(f"alice@{domain}").code == 250
