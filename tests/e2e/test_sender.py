"""The sender that is judged is the one that Postfix hands on, however the client spells it."""

import pytest

from support.odd_senders import ODD_SENDERS
from support.postfix import RECIPIENT

CLIENT = "192.0.2.10"
SETTINGS = {"default_domain": "", "listener": {
    "mx": {"daemon_name": "MX", "service": "smtp"},
    "registered": {"daemon_name": "SUBMISSION", "service": "smtp", "unknown_sender": "reject"}}}


@pytest.mark.parametrize("sender", ["alice@{d}", *ODD_SENDERS])
def test_spf(site, redis, dns, domain, gatepost, sender):
    dns.zones[domain] = {"TXT": ["v=spf1 -all"]}
    reply = site.session("mx", CLIENT).mail(sender.replace("{d}", domain))
    assert (reply.code, reply.enhanced) == (550, "5.7.23")
    assert gatepost.verdict(stage="mail")["sender"].removeprefix("@relay.example:") == (
        f"alice@{domain}")


@pytest.mark.parametrize("sender", ["alice@{d}", *ODD_SENDERS])
def test_policy(site, redis, dns, domain, gatepost, sender):
    redis.cli("HSET", f"gatepost:account:alice@{domain}", "protocol:smtp", "off")
    gatepost.catch_up(redis)
    reply = site.session("mx", CLIENT).mail(sender.replace("{d}", domain))
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert gatepost.verdict(stage="mail")["account"] == f"alice@{domain}"


@pytest.mark.parametrize("sender", ["<>", " ", '""', "(x)"])
def test_null_sender(site, redis, dns, domain, gatepost, sender):
    """It is judged by the HELO name."""
    dns.zones[domain] = {"TXT": ["v=spf1 -all"]}
    reply = site.session("mx", CLIENT, helo=domain).mail(sender)
    assert reply.code in (501, 550)
    assert reply.code == 501 or reply.enhanced == "5.7.23"


def test_u_labels(site, redis, dns, domain, gatepost):
    """RFC 7208 4.3: SPF is asked with A-labels, of sender and HELO."""
    dns.zones["xn--bcher-kva." + domain] = {"TXT": ["v=spf1 -all"]}
    for sender in (f"alice@b\u00fccher.{domain}", f"alice@xn--bcher-kva.{domain}"):
        reply = site.session("mx", CLIENT).mail(sender, "SMTPUTF8")
        assert (reply.code, reply.enhanced) == (550, "5.7.23")
    assert gatepost.verdict(stage="mail")["spf"] == "fail"


@pytest.mark.parametrize("subject, sender", [
    ("*", "*"), ("alice@{d}", '"alice@{d}"'), ("@{d}", '"@{d}"')])
def test_names_of_others(milter_session, redis, domain, gatepost, subject, sender):
    """A name without a domain is never another subject's."""
    redis.cli("HSET", "gatepost:account:" + subject.replace("{d}", domain), "source", "any")
    gatepost.catch_up(redis)
    with milter_session(gatepost, macro_values={"{daemon_name}": "SUBMISSION"}) as mta:
        assert "not registered" in mta.mail(sender.replace("{d}", domain)).reply


@pytest.mark.parametrize("sender", [
    "<@relay.example,@other.example:alice@{d}>", "<@[IPv6:2001:db8::1]:alice@{d}>"])
def test_source_routes(milter_session, redis, domain, gatepost, sender):
    """As Sendmail hands them over: the colon of an address literal ends no route."""
    redis.cli("HSET", f"gatepost:account:alice@{domain}", "protocol:smtp", "off")
    gatepost.catch_up(redis)
    with milter_session(gatepost) as mta:
        assert "switched off" in mta.mail(sender.replace("{d}", domain)).reply
    assert gatepost.verdict(stage="mail")["sender"] == f"alice@{domain}"


def test_delivered_as_judged(site, redis, dns, domain, gatepost):
    dns.zones[domain] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
    subject = f"odd sender of {domain}"
    smtp = site.session("mx", CLIENT)
    assert smtp.mail(f"Alice (x) <alice@{domain} >").code == 250
    assert smtp.rcpt(RECIPIENT).code == 250
    assert smtp.data(f"Subject: {subject}\n\nhello").code == 250
    message = site.sink.wait_for(subject)
    assert message.sender == f"alice@{domain}"
    results, = message.header("Authentication-Results")
    assert results.endswith(f"spf=pass smtp.mailfrom=alice@{domain}")
