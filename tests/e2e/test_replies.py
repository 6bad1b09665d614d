"""Every row of the reply table, and every way to be accepted, seen through Postfix."""

import time
from dataclasses import dataclass

import pytest

from support import policy
from support.process import wait_until
from support.nameserver import SERVFAIL, TIMEOUT, Delay
from support.postfix import RECIPIENT

SETTINGS = {"reply": {"unknown-sender": {"text": "100% unknown: {account} %s%n {client}"}}}
SPF_TIMEOUT = 2    # as in base_settings()
KEYS = ("stage session queue listener service client helo sender login account spf verdict "
        "reason from mode would reply us").split()

PASS = {"TXT": ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8:1::/48 -all"]}
FAIL = {"TXT": ["v=spf1 -all"]}
SOFTFAIL = {"TXT": ["v=spf1 ~all"]}
NEUTRAL = {"TXT": ["v=spf1 ?all"]}
PERMERROR = {"TXT": ["v=spf1 no-such-mechanism -all"]}
ALICE = "alice@example.com"


@dataclass
class Case:
    """One dialogue up to MAIL and what must come of it. {d} stands for a fresh domain."""

    id: str
    reason: str
    reply: str = "250 2.1.0"       # code and enhanced code at MAIL
    verdict: str = "accept"
    door: str = "mx"
    client: str = "192.0.2.10"
    login: object = None
    tls: object = None
    sender: str = "alice@{d}"
    policy: str = ""
    spf_record: object = None      # what the name server holds for the sender's domain
    helo: str = "client.example"
    service: str = "smtp"
    spf: object = ""               # None: may have been asked for or not
    origin: object = None          # from=
    account: object = None         # account=, and in the text of a refusal


def rejected(id, reason, reply="550 5.7.1", verdict="reject", **fields):
    return Case(id, reason, reply, verdict, **fields)


def login(door, **fields):
    service = "submissions" if door == "submissions" else "submission"
    return {"door": door, "login": ALICE, "service": service, "sender": ALICE,
            "account": ALICE, **fields}


AUTHORIZED = "account:alice@{d} source authorized\n"
SENDER = {"account": "alice@{d}"}

CASES = [
    # the door itself
    rejected("door wants TLS", "tls-required", "530 5.7.0", origin="conf",
             **login("plain", account=None)),
    rejected("door wants AUTH", "auth-required", "530 5.7.0", origin="conf",
             door="plain", tls=True, service="submission"),
    rejected("submission wants AUTH", "auth-required", "530 5.7.0", origin="conf",
             door="submission", service="submission"),
    rejected("submissions wants AUTH", "auth-required", "530 5.7.0", origin="conf",
             door="submissions", service="submissions"),

    # logins
    Case("login by submission", "account", **login("submission")),
    Case("login by submissions", "account", **login("submissions")),
    Case("login by plain door with TLS", "account", **login("plain", tls=True)),
    Case("login over smtp counts as submission", "account", **login("mx")),
    Case("login from a trusted network", "account", **login("mx", client="203.0.113.7")),
    Case("login without a domain gets the default one", "account",
         **login("mx", login="carol", account="carol@example.com")),
    Case("login in capitals", "account", **login("mx", login="Alice@EXAMPLE.com")),
    Case("login over IPv6", "account", **login("submission", client="2001:db8:1::7")),
    Case("no SPF for logins", "account", **login("mx", sender="alice@{d}"), spf_record=FAIL),
    rejected("submission off", "protocol-disabled",
             policy="account:alice@example.com protocol:submission off",
             origin="account:alice@example.com:protocol:submission", **login("submission")),
    rejected("submissions off", "protocol-disabled",
             policy="account:alice@example.com protocol:submissions off",
             origin="account:alice@example.com:protocol:submissions", **login("submissions")),
    Case("submissions off leaves submission", "account",
         policy="account:alice@example.com protocol:submissions off", **login("submission")),
    rejected("submission off, by the smtp door", "protocol-disabled",
             policy="account:alice@example.com protocol:submission off",
             origin="account:alice@example.com:protocol:submission", **login("mx")),
    Case("smtp off does not concern logins", "account",
         policy="account:alice@example.com protocol:smtp off", **login("mx")),
    rejected("submission off, for another envelope sender", "protocol-disabled",
             policy="account:alice@example.com protocol:submission off",
             origin="account:alice@example.com:protocol:submission",
             **login("submission", sender="bob@{d}")),
    rejected("all off", "protocol-disabled",
             policy="account:alice@example.com protocol:* off",
             origin="account:alice@example.com:protocol:*", **login("submission")),
    Case("all off but submission", "account",
         policy="account:alice@example.com protocol:* off\n"
                "account:alice@example.com protocol:submission on", **login("submission")),
    rejected("off by the domain", "protocol-disabled",
             policy="account:@example.com protocol:submission off",
             origin="account:@example.com:protocol:submission", **login("submission")),
    rejected("off by the default", "protocol-disabled",
             policy="account:* protocol:submission off",
             origin="account:*:protocol:submission", **login("submission")),
    rejected("trusted network does not help a login", "protocol-disabled",
             policy="account:alice@example.com protocol:submission off",
             origin="account:alice@example.com:protocol:submission",
             **login("submission", client="203.0.113.7")),
    rejected("account wants TLS", "tls-required", "530 5.7.0",
             policy="account:alice@example.com tls required",
             origin="account:alice@example.com:tls", **login("mx")),
    Case("account wants TLS and has it", "account",
         policy="account:alice@example.com tls required", **login("mx", tls=True)),
    rejected("login from an unlisted IP", "ip-not-authorized",
             policy="account:alice@example.com source authorized\n"
                    "account:alice@example.com ip:198.51.100.0/24 office",
             origin="account:alice@example.com:source", **login("submission")),
    Case("login from a listed IP", "account",
         policy="account:alice@example.com source authorized\n"
                "account:alice@example.com ip:192.0.2.0/24 office", **login("submission")),
    Case("login from a listed IPv6 address", "account",
         policy="account:alice@example.com source authorized\n"
                "account:alice@example.com ip:2001:db8:1::/48 office",
         **login("submission", client="2001:db8:1::7")),
    rejected("login from an unlisted IPv6 address", "ip-not-authorized",
             policy="account:alice@example.com source authorized\n"
                    "account:alice@example.com ip:2001:db8:1::/48 office",
             origin="account:alice@example.com:source",
             **login("submission", client="2001:db8:2::7")),

    # senders who are not logged in, before SPF
    Case("trusted", "trusted", client="203.0.113.7", spf_record=FAIL),
    Case("trusted over IPv6", "trusted", client="2001:db8:ffff::1", spf_record=FAIL),
    Case("trusted, v4-mapped", "trusted", client="::ffff:203.0.113.7", spf_record=FAIL),
    rejected("smtp off", "protocol-disabled", policy="account:alice@{d} protocol:smtp off",
             origin="account:alice@{d}:protocol:smtp", **SENDER),
    rejected("smtp off, spelled no", "protocol-disabled",
             policy="account:alice@{d} protocol:smtp No",
             origin="account:alice@{d}:protocol:smtp", **SENDER),
    rejected("smtp off by the domain", "protocol-disabled",
             policy="account:@{d} protocol:smtp off",
             origin="account:@{d}:protocol:smtp", **SENDER),
    rejected("smtp off, other spellings of the sender", "protocol-disabled",
             policy="account:alice@{d} protocol:smtp off", sender="Alice+news@{D}",
             origin="account:alice@{d}:protocol:smtp", **SENDER),
    Case("the default does not make an unknown sender known", "spf", spf="none",
         policy="account:* protocol:smtp off", origin="conf", **SENDER),
    rejected("unknown sender", "unknown-sender", door="strict", spf_record=PASS,
             origin="conf", **SENDER),
    Case("known by its domain", "spf", door="strict", spf_record=PASS, spf="pass",
         policy="account:@{d} source any", origin="conf", **SENDER),
    Case("known by a listed IP", "ip-authorized", door="strict", spf_record=FAIL,
         policy="account:alice@{d} ip:192.0.2.10 home",
         origin="account:alice@{d}:ip:192.0.2.10", **SENDER),
    Case("IP listed", "ip-authorized", spf_record=FAIL,
         policy=AUTHORIZED + "account:alice@{d} ip:192.0.2.0/24 HQ mail server",
         origin="account:alice@{d}:ip:192.0.2.0/24", **SENDER),
    Case("IP listed by the domain", "ip-authorized", spf_record=FAIL,
         policy=AUTHORIZED + "account:@{d} ip:192.0.2.0/24",
         origin="account:@{d}:ip:192.0.2.0/24", **SENDER),
    Case("IPv6 listed", "ip-authorized", client="2001:db8:1::7", spf_record=FAIL,
         policy=AUTHORIZED + "account:alice@{d} ip:2001:db8:1::/48 v6",
         origin="account:alice@{d}:ip:2001:db8:1::/48", **SENDER),
    Case("v4-mapped client, v4 listed", "ip-authorized", client="::ffff:192.0.2.10",
         policy=AUTHORIZED + "account:alice@{d} ip:192.0.2.10",
         origin="account:alice@{d}:ip:192.0.2.10", **SENDER),
    Case("v4-mapped entry", "ip-authorized",
         policy=AUTHORIZED + "account:alice@{d} ip:::ffff:192.0.2.0/120",
         origin="account:alice@{d}:ip:::ffff:192.0.2.0/120", **SENDER),
    Case("IP listed for a while yet", "ip-authorized", spf_record=FAIL,
         policy="account:alice@{d} ip:192.0.2.10 until=2999-01-31T00:00:00Z guest",
         origin="account:alice@{d}:ip:192.0.2.10", **SENDER),
    rejected("IP listed until a while ago", "ip-not-authorized", spf="none",
             policy=AUTHORIZED
             + "account:alice@{d} ip:192.0.2.10 until=2020-01-31T00:00:00Z guest",
             origin="account:alice@{d}:source", **SENDER),

    # source authorized: an SPF pass will do, nothing else
    Case("authorized, pass", "spf-pass", policy=AUTHORIZED, spf_record=PASS, spf="pass",
         origin="account:alice@{d}:source", **SENDER),
    Case("authorized, pass over IPv6", "spf-pass", client="2001:db8:1::7", policy=AUTHORIZED,
         spf_record=PASS, spf="pass", origin="account:alice@{d}:source", **SENDER),
    rejected("authorized, none", "ip-not-authorized", policy=AUTHORIZED, spf="none",
             origin="account:alice@{d}:source", **SENDER),
    rejected("authorized by the domain, none", "ip-not-authorized", spf="none",
             policy="account:@{d} source authorized", origin="account:@{d}:source", **SENDER),
    *(rejected(f"authorized, {spf}", "spf-required", "550 5.7.23", policy=AUTHORIZED,
               spf_record=record, spf=spf, origin="account:alice@{d}:source", **SENDER)
      for spf, record in [("fail", FAIL), ("softfail", SOFTFAIL), ("neutral", NEUTRAL),
                          ("permerror", PERMERROR)]),
    rejected("authorized, temperror", "spf", "451 4.7.24", "defer", policy=AUTHORIZED,
             spf_record={"TXT": SERVFAIL}, spf="temperror", **SENDER),

    # source any: the action for the result
    Case("pass", "spf", spf_record=PASS, spf="pass", origin="conf", **SENDER),
    Case("none", "spf", spf="none", origin="conf", **SENDER),
    Case("neutral", "spf", spf_record=NEUTRAL, spf="neutral", origin="conf", **SENDER),
    Case("softfail", "spf", verdict="mark", spf_record=SOFTFAIL, spf="softfail",
         origin="conf", **SENDER),
    Case("permerror", "spf", verdict="mark", spf_record=PERMERROR, spf="permerror",
         origin="conf", **SENDER),
    rejected("fail", "spf", "550 5.7.23", spf_record=FAIL, spf="fail", origin="conf", **SENDER),
    rejected("fail over IPv6", "spf", "550 5.7.23", client="2001:db8:9::1", spf_record=PASS,
             spf="fail", origin="conf", **SENDER),
    rejected("softfail, refused by the account", "spf", "550 5.7.23", spf_record=SOFTFAIL,
             spf="softfail", policy="account:alice@{d} spf:softfail reject",
             origin="account:alice@{d}:spf:softfail", **SENDER),
    rejected("softfail, refused by the domain", "spf", "550 5.7.23", spf_record=SOFTFAIL,
             spf="softfail", policy="account:@{d} spf:softfail reject",
             origin="account:@{d}:spf:softfail", **SENDER),
    Case("fail, accepted by the account against the domain", "spf", spf_record=FAIL, spf="fail",
         policy="account:@{d} spf:fail reject\naccount:alice@{d} spf:fail accept",
         origin="account:alice@{d}:spf:fail", **SENDER),
    rejected("permerror, refused", "spf", "550 5.7.24", spf_record=PERMERROR, spf="permerror",
             policy="account:alice@{d} spf:permerror reject",
             origin="account:alice@{d}:spf:permerror", **SENDER),
    rejected("temperror", "spf", "451 4.7.24", "defer", spf_record={"TXT": SERVFAIL},
             spf="temperror", origin="conf", **SENDER),
    rejected("DNS silent", "spf", "451 4.7.24", "defer", spf_record=TIMEOUT,
             spf="temperror", origin="conf", **SENDER),
    rejected("DNS too slow", "spf", "451 4.7.24", "defer", spf_record=Delay(10, PASS),
             spf="temperror", origin="conf", **SENDER),

    # the null sender has no account; its SPF identity is HELO
    Case("null sender, HELO passes", "spf", sender="", helo="{d}", spf_record=PASS, spf="pass",
         origin="conf"),
    rejected("null sender, HELO fails", "spf", "550 5.7.23", sender="", helo="{d}",
             spf_record=FAIL, spf="fail", origin="conf"),

    # policy that cannot be read
    rejected("malformed switch", "policy-malformed", "451 4.3.5", "defer",
             policy="account:alice@{d} protocol:smtp perhaps",
             origin="account:alice@{d}:protocol:smtp", **SENDER),
    rejected("malformed source", "policy-malformed", "451 4.3.5", "defer",
             policy="account:alice@{d} source nowhere", spf=None,
             origin="account:alice@{d}:source", **SENDER),
    rejected("malformed switch of a login", "policy-malformed", "451 4.3.5", "defer",
             policy="account:alice@example.com protocol:submission perhaps",
             origin="account:alice@example.com:protocol:submission", **login("submission")),
    Case("malformed, but nobody needs it", "spf", spf_record=PASS, spf="pass",
         policy="account:alice@{d} protocol:pop3 perhaps", origin="conf", **SENDER),
]


def _canonical(client):
    return client.removeprefix("::ffff:")


def _check_verdict(case, verdict, domain):
    def filled(text):
        return text.format(d=domain, D=domain.upper())
    assert list(verdict)[1:len(KEYS) + 1] == KEYS     # more may follow
    assert (verdict["verdict"], verdict["reason"]) == (case.verdict, case.reason)
    assert verdict["stage"] == "mail"
    assert verdict["listener"] == case.door
    assert verdict["service"] == case.service
    assert verdict["client"] == _canonical(case.client)
    assert verdict["helo"] == filled(case.helo)
    assert verdict["sender"].strip("<>") == filled(case.sender)
    assert case.spf in (None, verdict["spf"])
    assert verdict["mode"] == "enforce"
    assert verdict["would"] == ""
    if case.account is not None:
        assert verdict["account"] == filled(case.account)
    if case.origin is not None:
        assert verdict["from"] == filled(case.origin)
    assert int(verdict["us"]) >= 0


def _check_refusal(case, reply, verdict, domain):
    assert "\n" not in reply.text
    assert reply.text.endswith(verdict["session"]) and verdict["session"]
    if case.account is not None:
        assert case.account.format(d=domain) in reply.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id.replace(" ", "-"))
def test_mail(site, redis, dns, domain, gatepost, case):
    names = {"d": domain, "D": domain.upper()}
    policy.load(redis, case.policy, **names)
    gatepost.catch_up(redis)
    if case.spf_record is not None:
        dns.zones[domain] = case.spf_record
    smtp = site.session(case.door, case.client, case.login, case.tls, case.helo.format(**names))
    asked = time.monotonic()
    reply = smtp.mail(case.sender.format(**names))
    took = time.monotonic() - asked

    assert f"{reply.code} {reply.enhanced}" == case.reply
    verdict = gatepost.verdict(stage="mail")
    _check_verdict(case, verdict, domain)
    if case.verdict in ("defer", "reject"):
        _check_refusal(case, reply, verdict, domain)
    assert took < SPF_TIMEOUT + 1
    assert len(gatepost.verdicts(stage="mail")) == 1
    smtp.quit()


@pytest.mark.parametrize("client, allowed", [
    ("198.51.100.7", True),
    ("2001:db8:5::7", True),
    ("::ffff:198.51.100.7", True),
    ("192.0.2.10", False),
    ("2001:db8:6::7", False),
])
def test_connect(site, redis, dns, domain, gatepost, client, allowed):
    """Postfix greets the refused with its own 554 and gives the filter's text at MAIL."""
    smtp = site.session("gated", client)
    reply = smtp.mail(f"alice@{domain}")
    if allowed:
        assert (smtp.greeting.code, reply.code) == (220, 250)
        assert not gatepost.verdicts(client=_canonical(client), reason="not-allowlisted")
    else:
        assert smtp.greeting.code == 554
        assert (reply.code, reply.enhanced) == (554, "5.7.1")
        verdict = gatepost.verdict(client=client, verdict="reject")
        assert (verdict["stage"], verdict["reason"]) == ("connect", "not-allowlisted")
        assert (verdict["listener"], verdict["from"]) == ("gated", "conf")
        assert client in reply.text
        assert reply.text.endswith(verdict["session"]) and verdict["session"]
        assert not gatepost.verdicts(client=client, stage="mail")
    smtp.close()


def test_connect_obeys_the_network_in_redis(site, redis, gatepost):
    """A network's members in Redis add to the configuration's; a change is there in no time."""
    def greeted(code, client="192.0.2.10"):
        return lambda: site.session("gated", client).greeting.code == code

    assert greeted(554)()
    redis.cli("HSET", "gatepost:network:gate", "192.0.2.0/24", "new office")
    wait_until(greeted(220), 10, "the new member")
    redis.cli("HDEL", "gatepost:network:gate", "192.0.2.0/24")
    wait_until(greeted(554), 10, "the member gone")
    assert greeted(220, "198.51.100.7")()


def test_malformed_member_of_a_network(site, redis, gatepost):
    """Who might have been listed has to wait; who is listed elsewhere is not held up."""
    redis.cli("HSET", "gatepost:network:gate", "192.0.2.0/33", "typo", "192.0.2.128/25", "good")
    wait_until(lambda: site.session("gated", "192.0.2.200").greeting.code == 220, 10, "the good one")
    smtp = site.session("gated", "192.0.2.10")
    reply = smtp.mail("alice@example.com")
    assert (reply.code, reply.enhanced) == (451, "4.3.5")
    verdict = gatepost.verdict(reason="policy-malformed")
    assert verdict["from"] == "network:gate:192.0.2.0/33"
    assert any("event=policy-malformed" in line and "key=gatepost:network:gate" in line
               and "field=192.0.2.0/33" in line for line in gatepost.log_lines())
    redis.cli("DEL", "gatepost:network:gate")
    redis.cli("SET", "gatepost:network:gate", "no hash")
    wait_until(lambda: site.session("gated", "192.0.2.200").mail("a@example.com").code == 451, 10,
               "the wrong type")
    assert gatepost.verdict(**{"from": "network:gate:(wrong type)"})["reason"] == "policy-malformed"
    redis.cli("DEL", "gatepost:network:gate")
    wait_until(lambda: site.session("gated", "192.0.2.200").greeting.code == 554, 10, "all gone")


def test_policy_unavailable(site, redis, dns, domain, gatepost):
    redis.stop()
    smtp = site.session("mx", "192.0.2.10")
    gatepost.forget()
    reply = smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["verdict"], verdict["reason"]) == ("defer", "policy-unavailable")
    assert verdict["account"] == f"alice@{domain}" and f"alice@{domain}" in reply.text
    assert reply.text.endswith(verdict["session"])


@pytest.mark.parametrize("policy_text, would, reason", [
    ("account:alice@{d} protocol:smtp off", "reject", "protocol-disabled"),
    ("", "reject", "unknown-sender"),
    ("account:alice@{d} source nowhere", "defer", "policy-malformed"),
])
def test_monitoring_listener(site, redis, dns, domain, gatepost, policy_text, would, reason):
    policy.load(redis, policy_text, d=domain)
    smtp = site.session("watched", "192.0.2.10")
    assert smtp.mail(f"alice@{domain}").code == 250
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["verdict"], verdict["would"]) == ("accept", would)
    assert (verdict["mode"], verdict["reason"]) == ("monitor", reason)


@pytest.mark.parametrize("subject", ["account:alice@{d}", "account:@{d}", "account:*"])
def test_monitored_account(site, redis, dns, domain, gatepost, subject):
    policy.load(redis, "account:alice@{d} protocol:smtp off\n" + subject + " mode monitor",
                d=domain)
    smtp = site.session("mx", "192.0.2.10")
    assert smtp.mail(f"alice@{domain}").code == 250
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["verdict"], verdict["would"], verdict["mode"]) == \
        ("accept", "reject", "monitor")


@pytest.mark.parametrize("explanation", [
    "ask postmaster, please", "100%% of %{i} is wrong", "two\r\n250 lines", "\x1b[31mred",
    "%{d}" * 200,
])
def test_spf_explanation(site, redis, dns, domain, gatepost, explanation):
    """Nothing that a domain explains its record with breaks the reply."""
    dns.zones[domain] = {"TXT": [f"v=spf1 -all exp=why.{domain}"]}
    dns.zones[f"why.{domain}"] = {"TXT": [explanation]}
    gatepost.catch_up(redis)
    smtp = site.session("mx", "192.0.2.10")
    reply = smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (550, "5.7.23")
    assert "\n" not in reply.text and reply.text.isprintable()
    assert smtp.command("NOOP").code == 250, "the dialogue is still in step"


def test_configured_text(site, redis, dns, domain, gatepost):
    """A reply's own text, its percent signs and placeholders, reaches the client."""
    smtp = site.session("strict", "192.0.2.10")
    reply = smtp.mail(f"alice@{domain}")
    session = gatepost.verdict(stage="mail")["session"]
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert f"100% unknown: alice@{domain} %s%n 192.0.2.10" in reply.text
    assert reply.text.endswith(session)


def test_accepted_mail_is_delivered(site, redis, dns, domain, gatepost):
    dns.zones[domain] = PASS
    smtp = site.session("mx", "192.0.2.10")
    assert smtp.mail(f"alice@{domain}").code == 250
    assert smtp.rcpt(RECIPIENT).code == 250
    assert smtp.data(f"Subject: about {domain}.\n\nhello\n").code == 250
    assert site.sink.wait_for(f"about {domain}.").sender == f"alice@{domain}"
