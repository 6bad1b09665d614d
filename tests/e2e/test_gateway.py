"""README.md's gateway, with its own commands, behind a real Postfix: partners with addresses of their
own, with a provider and with subdomains, their bounces, and an attacker who tries each way round."""

import os
import re
import shlex

import pytest

from support.gatepostctl import Gatepostctl

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = {"trusted": ["relays"], "network": {"relays": {"members": ["127.0.0.1"]}},
            "listener": {"mx": {"daemon_name": "MX", "service": "smtp",
                                "unknown_sender": "reject"}}}
BANK, PROVIDER, PARTNER = "192.0.2.7", "198.51.100.7", "203.0.113.99"
ATTACKER = "203.0.113.66"
ZONES = {
    "_spf.provider.example": {"TXT": ["v=spf1 include:_pool.provider.example ~all"]},
    "_pool.provider.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 ~all"]},
    "bank.example": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]},
    "mx1.bank.example": {"TXT": ["v=spf1 a -all"], "A": [BANK]},
    "shop.partner.example": {"TXT": [f"v=spf1 ip4:{PARTNER} -all"]},
    "partner.example": {"TXT": [f"v=spf1 ip4:{PARTNER} -all"]},
    # the attacker's own
    "evil.example": {"TXT": ["v=spf1 +all"]},
    "bank.example.evil.example": {"TXT": ["v=spf1 +all"]},
}

# who is let in: the client, its HELO name, the sender
LET_IN = [
    (BANK, "mx1.bank.example", "clerk@bank.example"),
    ("2001:db8:1::25", "mx1.bank.example", "Clerk+x@BANK.example"),
    (PROVIDER, "out7.provider.example", "boss@hosted.example"),
    (PARTNER, "mail.partner.example", "a@partner.example"),
    (PARTNER, "mail.partner.example", "a@shop.partner.example"),
    (PARTNER, "mail.partner.example", "a@deep.shop.partner.example"),
    (BANK, "mx1.bank.example", "<>"),               # the bank's bounces, by their address
    (PARTNER, "shop.partner.example", "<>"),        # a partner's, by the SPF of the HELO name
    ("203.0.113.25", "mx.relay.example", "<>"),     # those of a relay
]

# who is not, and for which reason
KEPT_OUT = [
    (ATTACKER, "evil.example", "x@evil.example", "unknown-sender"),
    (ATTACKER, "evil.example", "clerk@bank.example", "spf-required"),
    (ATTACKER, "mx1.bank.example", "clerk@bank.example", "spf-required"),
    (ATTACKER, "evil.example", "clerk@bank.example.evil.example", "unknown-sender"),
    (ATTACKER, "evil.example", "clerk@x.bank.example", "spf"),
    (ATTACKER, "evil.example", "boss@hosted.example", "ip-not-authorized"),
    (PROVIDER, "out7.provider.example", "clerk@bank.example", "spf-required"),
    (PARTNER, "mail.partner.example", "boss@hosted.example", "ip-not-authorized"),
    (ATTACKER, "evil.example", "a@gone.example", "protocol-disabled"),
    # bounces of nobody, of a stranger, and in the name of a partner
    (ATTACKER, "localhost", "<>", "unknown-sender"),
    (ATTACKER, "evil.example", "<>", "unknown-sender"),
    (ATTACKER, "bank.example", "<>", "spf-required"),
    (ATTACKER, "mx1.bank.example", "<>", "spf-required"),
    (ATTACKER, "shop.partner.example", "<>", "spf-required"),
    (ATTACKER, "hosted.example", "<>", "ip-not-authorized"),
    # the address of a partner, spelt so that the attacker's own seems to be the sender
    (PARTNER, "mail.partner.example", "boss%hosted.example@partner.example", "sender-ambiguous"),
    (PARTNER, "mail.partner.example", "hosted.example!boss@partner.example", "sender-ambiguous"),
    (ATTACKER, "evil.example", "prvs=1234567890=clerk@bank.example", "spf-required"),
]


@pytest.fixture(scope="module")
def readme():
    with open(os.path.join(HERE, "../../README.md"), encoding="utf-8") as file:
        part = re.search(r"### A gateway that accepts mail.*?\n### ", file.read(), re.S).group(0)
    return re.findall(r"^    (gatepostctl .*)$", part, re.M) + re.findall(
        r"`(gatepostctl [a-z]+ off [^`]*)`", part)


@pytest.fixture
def gateway(site, redis, dns, gatepost, readme, tmp_path):
    ctl = Gatepostctl(str(tmp_path / "ctl.conf"), {**SETTINGS, "store": redis.url})
    for command in readme:
        ctl.do(*shlex.split(command)[1:])
    dns.zones.update({**ZONES, "x.bank.example": {"TXT": ["v=spf1 -all"]}})
    gatepost.catch_up(redis)

    def mail(client, helo, sender):
        with site.session("mx", client, helo=helo) as smtp:
            return smtp.mail("" if sender == "<>" else sender)
    return mail


@pytest.mark.parametrize("client, helo, sender", LET_IN)
def test_partners_are_let_in(gateway, client, helo, sender):
    assert gateway(client, helo, sender).code == 250


@pytest.mark.parametrize("client, helo, sender, reason", KEPT_OUT)
def test_nobody_else_is(gateway, gatepost, client, helo, sender, reason):
    reply = gateway(client, helo, sender)
    assert reply.code == 550, reply
    assert gatepost.verdict(stage="mail")["reason"] == reason


def test_a_partner_that_passes_everybody(gateway, gatepost, dns):
    """A slip of its own administrator opens nothing."""
    dns.zones["bank.example"] = {"TXT": ["v=spf1 include:evil.example -all"]}
    dns.zones["_spf.provider.example"] = {"TXT": ["v=spf1 ip4:0.0.0.0/0 ~all"]}
    assert gateway(ATTACKER, "evil.example", "clerk@bank.example").enhanced == "5.7.23"
    assert gatepost.verdict(stage="mail")["reason"] == "spf-too-wide"
    assert gateway(ATTACKER, "evil.example", "boss@hosted.example").enhanced == "5.7.1"
    assert gateway(BANK, "mx1.bank.example", "clerk@bank.example").code == 250
