"""A sender that an MTA may deliver as somebody else obeys that account's policy as well."""

import pytest

from support import policy

CLIENT = "192.0.2.10"
POLICY = """
account:@corp.{d}        source          authorized
account:@corp.{d}        ip:198.51.100.7 headquarters
account:off@corp.{d}     protocol:smtp   off
"""
SETTINGS = {"default_domain": "", "listener": {
    "mx": {"daemon_name": "MX", "service": "smtp"},
    "watched": {"daemon_name": "WATCHED", "service": "smtp", "mode": "monitor"}}}

# as Postfix with mydestination = x.{d}, corp.{d} and Sendmail with LOCAL_DOMAIN were seen to deliver
AMBIGUOUS = [
    ("alice%corp.{d}@x.{d}", None),
    ("corp.{d}!alice@x.{d}", None),
    ("ceo@corp.{d}@x.{d}", None),
    ('"alice@corp.{d}"@x.{d}', None),
    ('"alice%corp.{d}"@x.{d}', None),
    ("@x.{d}:alice%corp.{d}", "alice"),
    ("@x.{d}:corp.{d}!alice", "alice"),
    ("<alice%corp.{d}@localhost>", "alice%corp.{d}@localhost"),
    ("x.{d}!corp.{d}!alice@y.{d}", None),
    ("alice%corp.{d}%x.{d}@y.{d}", None),
    ("corp.{d}!%%corp.{d}", ""),            # Sendmail calls it empty, and delivers as %@corp.{d}
]


def mail(milter_session, gatepost, sender, understood=None, address=CLIENT, daemon="MX"):
    values = {"{mail_addr}": sender.strip("<>") if understood is None else understood}
    with milter_session(gatepost, address=address, macro_values={"{daemon_name}": daemon}) as mta:
        response = mta.mail(sender, macro_values=values)
        mta.quit()
    return response


@pytest.mark.parametrize("sender, understood", AMBIGUOUS)
def test_the_strictest_reading_holds(milter_session, redis, dns, domain, gatepost, sender,
                                     understood):
    policy.load(redis, POLICY, d=domain)
    gatepost.catch_up(redis)
    sender = sender.replace("{d}", domain)
    understood = understood and understood.replace("{d}", domain)
    response = mail(milter_session, gatepost, sender, understood)
    assert response.reply.startswith("550 5.7.1 "), response
    assert f"@corp.{domain}: " in response.reply and "can be read as" in response.reply
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["verdict"], verdict["reason"]) == ("reject", "sender-ambiguous")
    assert verdict["account"].endswith(f"@corp.{domain}")
    assert verdict["from"] == f"account:@corp.{domain}:source"
    assert mail(milter_session, gatepost, sender, understood,
                address="198.51.100.7").reply == "", "from the listed address it may be anybody"


@pytest.mark.parametrize("sender", ["bounce%x.{d}@y.{d}", "list-owner%alice.{d}@y.{d}",
                                    "a!b@y.{d}", "alice@corp.{d}.y.{d}", "corp.{d}@y.{d}"])
def test_nothing_is_refused_for_its_spelling(milter_session, redis, dns, domain, gatepost, sender):
    policy.load(redis, POLICY, d=domain)
    gatepost.catch_up(redis)
    assert mail(milter_session, gatepost, sender.replace("{d}", domain)).reply == ""
    assert gatepost.verdict(stage="mail")["reason"] == "spf"


def test_a_protocol_that_is_off(milter_session, redis, dns, domain, gatepost):
    policy.load(redis, POLICY, d=domain)
    gatepost.catch_up(redis)
    reply = mail(milter_session, gatepost, f"off%corp.{domain}@y.{domain}").reply
    assert "switched off" in reply and f"off@corp.{domain}" in reply


def test_monitored(milter_session, redis, dns, domain, gatepost):
    policy.load(redis, POLICY, d=domain)
    gatepost.catch_up(redis)
    response = mail(milter_session, gatepost, f"alice%corp.{domain}@y.{domain}", daemon="WATCHED")
    assert response.reply == ""
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["would"], verdict["reason"]) == ("reject", "sender-ambiguous")


def test_too_many_readings(milter_session, redis, dns, domain, gatepost):
    reply = mail(milter_session, gatepost, "a!" * 300 + f"alice@y.{domain}").reply
    assert reply.startswith("550 5.7.1 ") and "too many ways" in reply
    watched = mail(milter_session, gatepost, "a!" * 300 + f"alice@y.{domain}", daemon="WATCHED")
    assert watched.reply == "" and gatepost.verdict(stage="mail", listener="watched")


def test_through_postfix(site, redis, dns, domain, gatepost):
    policy.load(redis, POLICY, d=domain)
    gatepost.catch_up(redis)
    for sender, _ in AMBIGUOUS[:3]:
        reply = site.session("mx", CLIENT).mail(sender.replace("{d}", domain))
        assert (reply.code, reply.enhanced) == (550, "5.7.1"), sender
