"""ip:spf:DOMAIN: the servers of a provider are listed as its SPF record says."""

import time

import pytest

from support import policy
from support.nameserver import SERVFAIL, TIMEOUT

CLIENT, ELSEWHERE = "192.0.2.10", "198.51.100.10"
SETTINGS = {"default_domain": "", "listener": {
    "submission": {"daemon_name": "SUBMISSION", "service": "submission"},
    "mx": {"daemon_name": "MX", "service": "smtp"}}}
POLICY = """
account:@{d}   source            authorized
account:@{d}   ip:spf:p.{d}      the provider
"""


@pytest.fixture
def ask(milter_session, gatepost, redis, dns, domain):
    """A function (client, login=) -> the reply to one message of alice's, '' when accepted."""
    policy.load(redis, POLICY, d=domain)
    dns.zones[f"p.{domain}"] = {"TXT": [f"v=spf1 include:i.p.{domain} -all"]}
    dns.zones[f"i.p.{domain}"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8:7::/48 ~all"]}
    gatepost.catch_up(redis)

    def mail(client, login=True):
        daemon = "SUBMISSION" if login else "MX"
        with milter_session(gatepost, address=client,
                            macro_values={"{daemon_name}": daemon}) as mta:
            return mta.mail(f"alice@{domain}", login=f"alice@{domain}" if login else None).reply
    return mail


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize("client", [CLIENT, "::ffff:192.0.2.11", "2001:db8:7::25"])
def test_its_servers(ask, gatepost, domain, client, login):
    assert ask(client, login) == ""
    verdict = gatepost.verdict(stage="mail")
    assert verdict["reason"] == ("account" if login else "ip-authorized")
    assert verdict["from"] == f"account:@{domain}:ip:spf:p.{domain}"
    assert verdict["spf"] == "", "the sender's own record was not asked"


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize("client", [ELSEWHERE, "2001:db8:8::25"])
def test_others(ask, client, login):
    assert ask(client, login).startswith("550 5.7.1 ")


def test_a_change_of_its_record_is_obeyed(ask, dns, domain):
    assert ask(ELSEWHERE) != ""
    dns.zones[f"i.p.{domain}"] = {"TXT": ["v=spf1 ip4:198.51.100.0/24 ~all"]}
    assert ask(ELSEWHERE) == "" and ask(CLIENT) != ""


def test_asked_on_need_only(ask, dns, redis, gatepost, domain):
    redis.cli("HSET", f"gatepost:account:alice@{domain}", f"ip:{CLIENT}", "the office")
    gatepost.catch_up(redis)
    dns.forget_counts()
    for login in (True, False):
        assert ask(CLIENT, login) == ""
    assert dns.count() == 0
    redis.cli("HSET", f"gatepost:account:alice@{domain}", "source", "any")
    gatepost.catch_up(redis)
    assert ask(ELSEWHERE) == ""
    assert dns.count() == 0, "a login from anywhere needs no list"


def test_answers_are_kept_as_long_as_they_live(ask, dns):
    dns.ttl = 60
    try:
        assert ask(CLIENT) == ""
        assert dns.count() == 2
        assert ask(CLIENT) == "" and ask(ELSEWHERE) != "" and ask(CLIENT, login=False) == ""
        assert dns.count() == 2
    finally:
        dns.ttl = 0


@pytest.mark.parametrize("login", [True, False])
def test_a_provider_that_cannot_be_asked(ask, dns, gatepost, domain, login):
    dns.zones[f"i.p.{domain}"] = SERVFAIL
    reply = ask(CLIENT, login)
    assert reply.startswith("451 4.7.24 ") and f"p.{domain}" in reply
    verdict = gatepost.verdict(stage="mail")
    assert verdict["from"] == f"account:@{domain}:ip:spf:p.{domain}"
    assert f"i.p.{domain}" in verdict["problem"]
    assert verdict["spf"] == ("" if login else "none"), "that of the sender"


def test_a_sender_who_passes_needs_no_provider(ask, dns, gatepost, domain):
    dns.zones[f"i.p.{domain}"] = SERVFAIL
    dns.zones[domain] = {"TXT": [f"v=spf1 ip4:{ELSEWHERE} -all"]}
    assert ask(ELSEWHERE, login=False) == ""
    assert gatepost.verdict(stage="mail")["reason"] == "spf-pass"


@pytest.mark.parametrize("record", ["v=spf1 +all", "v=spf1 ip4:128.0.0.0/1 ip4:0.0.0.0/1",
                                    "v=spf1 redirect=all.{d}", "v=spf1 exists:all.{d}"])
def test_a_wide_match_lists_nobody(ask, dns, domain, record):
    dns.zones[f"all.{domain}"] = {"TXT": ["v=spf1 +all"], "A": ["127.0.0.2"]}
    dns.zones[f"p.{domain}"] = {"TXT": [record.replace("{d}", domain)]}
    for login in (True, False):
        assert ask(CLIENT, login).startswith("550 5.7.1 ")


@pytest.mark.parametrize("login", [True, False])
def test_all_evaluations_share_one_time_out(start_gatepost, milter_session, redis, dns, domain,
                                            login):
    """Four providers and the sender's own record, none of which is ever answered."""
    gatepost = start_gatepost({"store": redis.url, "trusted": [], "spf": {
        "nameservers": [dns.address], "timeout": "2s"}})
    policy.load(redis, "account:@{d} source authorized", d=domain)
    dns.zones[domain] = TIMEOUT
    for number in range(4):
        dns.zones[f"p{number}.{domain}"] = TIMEOUT
        redis.cli("HSET", f"gatepost:account:@{domain}", f"ip:spf:p{number}.{domain}", "")
    begin = time.monotonic()
    with milter_session(gatepost, address=CLIENT) as mta:
        reply = mta.mail(f"alice@{domain}", login=f"alice@{domain}" if login else None).reply
    assert reply.startswith("451 4.7.24 ")
    assert 1.5 < time.monotonic() - begin < 2.5


def test_a_dead_provider_leaves_time_for_the_next(start_gatepost, milter_session, redis, dns,
                                                  domain):
    gatepost = start_gatepost({"store": redis.url, "trusted": [], "spf": {
        "nameservers": [dns.address], "timeout": "2s"}})
    policy.load(redis, POLICY + "account:@{d} ip:spf:a.{d} asked before", d=domain)
    dns.zones[f"a.{domain}"] = TIMEOUT
    dns.zones[f"p.{domain}"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
    with milter_session(gatepost, address=CLIENT) as mta:
        assert mta.mail(f"alice@{domain}", login=f"alice@{domain}").reply == ""


def test_through_postfix(site, redis, dns, domain, gatepost):
    policy.load(redis, POLICY, d=domain)
    dns.zones[f"p.{domain}"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
    gatepost.catch_up(redis)
    assert site.session("mx", CLIENT).mail(f"alice@{domain}").code == 250
    reply = site.session("mx", ELSEWHERE).mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")


def test_the_header_is_that_of_the_sender(milter_session, redis, dns, domain, gatepost):
    """Whatever a provider's record says; and a pass stays a pass, however wide it is."""
    policy.load(redis, POLICY + "account:@{d} mode monitor", d=domain)
    dns.zones[f"p.{domain}"] = {"TXT": ["v=spf1 -all"]}
    dns.zones[domain] = {"TXT": ["v=spf1 +all"]}
    gatepost.catch_up(redis)
    with milter_session(gatepost, address=CLIENT) as mta:
        assert mta.mail(f"alice@{domain}").reply == ""
        changes, _ = mta.message()
    fields = [data.decode() for letter, data in changes if letter == "i"]
    assert any(f"spf=pass smtp.mailfrom=alice@{domain}" in field for field in fields), changes
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["reason"], verdict["would"]) == ("spf-too-wide", "reject")


def test_at_other_doors(start_doors, redis, dns, domain):
    """Dovecot waits for a second: a provider that is silent must have been given up by then."""
    policy.load(redis, POLICY, d=domain)
    dns.zones[f"p.{domain}"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
    gatepost, doors = start_doors(spf={"nameservers": [dns.address], "timeout": "5s"})

    def ask(client):
        return doors.unix.dovecot(f"alice@{domain}", "submission", remote=client)
    assert ask(CLIENT) == {"status": 0}
    assert gatepost.verdict(client=CLIENT)["from"] == f"account:@{domain}:ip:spf:p.{domain}"
    assert "not in the account's list" in ask(ELSEWHERE)["msg"]
    dns.zones[f"p.{domain}"] = TIMEOUT
    begin = time.monotonic()
    answer = ask(CLIENT)
    assert time.monotonic() - begin < 1
    assert answer["status"] == -1
    assert f"the SPF record of p.{domain} cannot be fetched" in answer["msg"]
    assert "mail" not in answer["msg"]
    verdict = gatepost.verdict(verdict="defer")
    assert (verdict["reason"], verdict["door"]) == ("spf", "dovecot") and verdict["problem"]
