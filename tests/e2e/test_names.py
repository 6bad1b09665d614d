"""Whose policy it is: subdomains, in each store; signed senders (BATV); bounces by their HELO."""

import pytest

from support import postfix
from support.policy_asker import Asker
from support.process import wait_until
from support.smtp_client import SmtpClient
from support.smtp_sink import SmtpSink
from support.tls import Certificate

OFF = "550 5.7.1"
BARE = {"store_timeout": "300ms", "trusted": [], "network": {}, "listener": {"mx": {}}}


@pytest.fixture(params=["redis", "cluster", "file"])
def store(request, site, domain):
    """(URL, a function (subject, field, value) that writes a fact), for each kind of store."""
    if request.param == "file":
        path = site.folder.file(f"policy-{domain}")
        facts = []

        def write(subject, field, value):
            facts.append(f"{subject} {field} {value}\n")
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(facts)
        with open(path, "w", encoding="utf-8"):
            pass
        return "file:" + path, write
    server = (request.getfixturevalue("redis") if request.param == "redis"
              else request.getfixturevalue("make_cluster")())
    return server.url, lambda subject, *fact: server.cli("HSET", "gatepost:" + subject, *fact)


def test_a_parent_is_obeyed_from_the_next_message_on(store, start_gatepost, milter_session, domain):
    """Also one that was known to be absent; the nearest answers first."""
    url, write = store
    asker = Asker(milter_session(start_gatepost({**BARE, "store": url})))
    sender = f"a@c.b.{domain}"
    assert not asker.ask(sender)
    write(f"account:@.{domain}", "protocol:smtp", "off")
    asker.wait_for(sender, OFF, 5)
    assert not asker.ask(f"a@{domain}")
    assert asker.ask(f"a@x.{domain}").startswith(OFF)
    write(f"account:@.b.{domain}", "protocol:smtp", "on")
    asker.wait_for(sender, "", 5)
    assert asker.ask(f"a@b.{domain}").startswith(OFF), "b is no subdomain of itself"
    write(f"account:@c.b.{domain}", "protocol:smtp", "off")
    asker.wait_for(sender, OFF, 5)


@pytest.mark.parametrize("labels, subjects", [(2, 3), (3, 4), (6, 7), (7, 7), (60, 7)])
def test_a_deep_name_costs_no_more(start_served, milter_session, redis, domain, labels, subjects):
    """One question to the store for all subjects; their absence is kept like their presence."""
    gatepost, web = start_served()
    wait_until(lambda: web.ask("/status").json()["store"].get("changes") == "watched")
    name = ".".join(["x"] * (labels - 2) + [domain])

    def counts():
        metrics = web.metrics()
        return (redis.command_count("hgetall"),
                int(metrics("gatepost_store_requests_total", outcome="ok")),
                int(metrics("gatepost_cache_hits")))

    asker = Asker(milter_session(gatepost))
    before = counts()
    asker.ask(f"a@{name}")
    after = counts()
    assert [b - a for a, b in zip(before, after)] == [subjects, 1, 0]
    asker.ask(f"another@{name}")
    assert [b - a for a, b in zip(after, counts())] == [1, 1, subjects - 1]


def test_a_signed_sender(redis, dns, domain, gatepost, milter_session):
    """The policy is alice's; SPF, the log and the header have what was sent."""
    sender = f"prvs=0123abcdef=Alice@{domain}"
    redis.cli("HSET", f"gatepost:account:alice@{domain}", "source", "authorized")
    dns.zones[domain] = {"TXT": ["v=spf1 exists:%{l}.%{i}.spf.%{d} -all"]}
    mta = milter_session(gatepost)
    assert mta.mail(sender).reply.startswith("550 5.7.23")
    assert gatepost.verdict(stage="mail")["account"] == f"alice@{domain}"
    mta.abort()
    gatepost.forget()
    other = domain.replace(".", "-signed.")
    sender = f"prvs=0123abcdef=Alice@{other}"
    redis.cli("HSET", f"gatepost:account:alice@{other}", "source", "authorized")
    dns.zones[other] = {"TXT": ["v=spf1 exists:%{l}.%{i}.spf.%{d} -all"]}
    dns.zones[f"prvs=0123abcdef=alice.192.0.2.10.spf.{other}"] = {"A": ["127.0.0.2"]}
    assert mta.mail(sender).letter == "c"
    changes, _ = mta.message()
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["reason"], verdict["account"]) == ("spf-pass", f"alice@{other}")
    assert verdict["sender"].strip("<>") == sender
    assert f"smtp.mailfrom=\"prvs=0123abcdef=Alice\"@{other}" in str(changes) or (
        f"smtp.mailfrom=prvs=0123abcdef=Alice@{other}" in str(changes)), changes


def test_a_signed_sender_within_another_address(redis, gatepost, domain, milter_session):
    redis.cli("HSET", f"gatepost:account:alice@{domain}", "protocol:smtp", "off")
    mta = milter_session(gatepost)
    sender = f"prvs=0123abcdef=alice%{domain}@relay.{domain}"
    assert mta.mail(sender, macro_values={"{mail_addr}": sender}).reply.startswith(OFF)
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["reason"], verdict["account"]) == ("sender-ambiguous", f"alice@{domain}")


def test_a_bounce_is_judged_by_the_helo_of_its_own_session(redis, dns, domain, gatepost,
                                                           milter_session):
    """HELO said again counts; a sender is not judged by it."""
    redis.cli("HSET", f"gatepost:account:@.{domain}", "protocol:smtp", "off")
    mta = milter_session(gatepost, helo=f"mx.{domain}")
    assert mta.mail("").reply.startswith(OFF)
    assert gatepost.verdict(stage="mail")["account"] == f"postmaster@mx.{domain}"
    mta.abort()
    assert mta.mail(f"alice@{domain}").letter == "c"
    mta.abort()
    mta.helo(domain)
    assert mta.mail("").letter == "c"


LOCAL_PARTS = ["alice", "alice-x", "Alice-x-y", "owner-list", "OWNER-list", "owner-list-x", "owner-",
               "owners-x", "list-request", "list-Request", "my-list-request", "list-request-x",
               "list-requests", "mailer-daemon", "MAILER-DAEMON", "mailer-daemon-x",
               "double-bounce", "double-bounce-x", "double-bounces", "postmaster", "postmaster-x",
               "alice-", "owner+x", "owner-list+x", "alice+x-request", "x-owner-list"]


@pytest.mark.parametrize("delimiters", ["-", "+-", "+"])
def test_extensions_are_what_postfix_takes_for_them(request, site, redis, start_gatepost, domain,
                                                    delimiters):
    """Each name is a sender and a recipient; an alias shows whom Postfix finds without extension."""
    gatepost = start_gatepost({**BARE, "store": redis.url, "address_delimiter": delimiters})
    sink = SmtpSink()
    # each name has a domain of its own, where only what can be left of it has an alias
    hosts = {name: f"n{number}." + postfix.RECIPIENT.partition("@")[2]
             for number, name in enumerate(LOCAL_PARTS)}
    aliases = " ".join(f"{{{name[:at]}@{host}=found{at}@{host}}}" for name, host in hosts.items()
                       for at in range(1, len(name)) if name[at] in "+-")
    folder = site.folder.sub(f"extensions-{domain}")
    server = postfix.Postfix(folder + "/server", "unix:" + gatepost.socket, Certificate(folder),
                             "none", sink.port, {"mx": postfix.Listener("MX")},
                             [f"recipient_delimiter = {delimiters}",
                              f"virtual_alias_maps = inline:{{{aliases}}}"])
    request.node.server_log = server.log_text
    try:
        server.start()
        for name, host in hosts.items():
            with SmtpClient(server.ports["mx"]) as smtp:
                smtp.ehlo()
                assert smtp.mail(f"{name}@{host}").code == 250
                assert smtp.rcpt(f"{name}@{host}").code == 250
                assert smtp.data(f"Subject: {name}.\n\nhello").code == 250
            account = gatepost.verdict(stage="mail")["account"].partition("@")[0]
            gatepost.forget()
            recipient = sink.wait_for(f"Subject: {name}.").recipients[0].lower().partition("@")[0]
            whole = account == name.lower()
            assert recipient.startswith(name.lower() if whole else f"found{len(account)}"), (
                name, account, recipient)
    finally:
        server.stop()
        sink.stop()
