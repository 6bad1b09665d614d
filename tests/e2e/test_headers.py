"""Authentication-Results and Received-SPF as the reader of a delivered message finds them."""

import os
import re

import pytest

from support import policy
from support.forged_headers import (FOREIGN, FOREIGN_RECEIVED_SPF, FORGED, FORGED_RECEIVED_SPF,
                                    bodies, claiming, mixed, unfolded)
from support.milter_client import header
from support.postfix import HOSTNAME, RECIPIENT

CLIENT = "192.0.2.10"
PASS = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}


def deliver(site, smtp, sender, domain, headers=(), parameters=""):
    """Send a message with these header lines and return it as delivered."""
    subject = f"headers for {domain} {len(site.sink.messages())}."
    assert smtp.mail(sender, parameters).code == 250
    assert smtp.rcpt(RECIPIENT).code == 250
    lines = [*headers, f"Subject: {subject}", "", "hello"]
    assert smtp.data("\n".join(lines)).code == 250
    return site.sink.wait_for(subject)


@pytest.mark.parametrize("record, result, action", [
    (PASS, "pass", None),
    ({"TXT": ["v=spf1 ~all"]}, "softfail", None),
    ({"TXT": ["v=spf1 ?all"]}, "neutral", None),
    (None, "none", None),
    ({"TXT": ["v=spf1 nonsense"]}, "permerror", None),
    ({"TXT": ["v=spf1 -all"]}, "fail", "mark"),
    ({"TXT": ["v=spf1 -all"]}, "fail", "accept"),
])
def test_result_of_mail_from(site, redis, dns, domain, gatepost, record, result, action):
    if record:
        dns.zones[domain] = record
    if action:
        redis.cli("HSET", f"gatepost:account:@{domain}", "spf:" + result, action)
    smtp = site.session("mx", CLIENT)
    message = deliver(site, smtp, f"alice@{domain}", domain)
    names = [name for name, _ in message.headers()]
    assert names[0] == "Authentication-Results"
    assert names.index("Authentication-Results") < names.index("Received")
    values = message.header("Authentication-Results")
    assert len(values) == 1
    assert re.fullmatch(rf"{HOSTNAME}; spf={result}( \(.*\))?( reason=\S+| reason=\".*\")? "
                        rf"smtp\.mailfrom=\"?alice@{domain}\"?", unfolded(values[0]))
    assert not message.header("Received-SPF")


def test_result_of_helo(site, redis, dns, domain, gatepost):
    dns.zones[domain] = PASS
    smtp = site.session("mx", CLIENT, helo=domain)
    message = deliver(site, smtp, "", domain)
    values = message.header("Authentication-Results")
    assert len(values) == 1
    assert f"{HOSTNAME}; spf=pass" in unfolded(values[0])
    assert f"smtp.helo={domain}" in values[0]


@pytest.mark.parametrize("door, tls", [("submission", True), ("submissions", None), ("mx", None)])
def test_nothing_is_added_for_logins(site, redis, dns, domain, gatepost, door, tls):
    dns.zones[domain] = PASS
    smtp = site.session(door, CLIENT, login="alice@example.com", tls=tls)
    message = deliver(site, smtp, f"alice@{domain}", domain)
    assert not message.header("Authentication-Results")


def test_each_message_has_its_own(site, redis, dns, domain, gatepost):
    dns.zones[domain] = PASS
    smtp = site.session("mx", CLIENT)
    for sender, result in [(f"a@{domain}", "pass"), (f"b@other-{domain}", "none"),
                           (f"c@{domain}", "pass")]:
        values = deliver(site, smtp, sender, domain).header("Authentication-Results")
        assert len(values) == 1
        assert f"spf={result}" in values[0] and sender in values[0]


def _named(line):
    return claiming(line, HOSTNAME)


@pytest.mark.parametrize("login", [None, "alice@example.com"], ids=["stranger", "login"])
@pytest.mark.parametrize("line", FORGED)
def test_forged_header_is_removed(site, redis, dns, domain, gatepost, line, login):
    smtp = site.session("mx", CLIENT, login=login)
    message = deliver(site, smtp, f"alice@{domain}", domain, [_named(line)])
    rest = bodies(message)
    if login is None:
        assert len(rest) == 1 and f"smtp.mailfrom=alice@{domain}" in rest[0]
    else:
        assert rest == []


@pytest.mark.parametrize("line", FOREIGN)
def test_foreign_header_is_kept(site, redis, dns, domain, gatepost, line):
    smtp = site.session("mx", CLIENT)
    message = deliver(site, smtp, f"alice@{domain}", domain, [_named(line)])
    assert unfolded(_named(line)) in bodies(message)
    assert len(bodies(message)) == 2


def test_all_of_many_forged_ones_are_removed(site, redis, dns, domain, gatepost):
    """Among foreign ones, so that the positions shift while headers are taken out."""
    lines, foreign = mixed(HOSTNAME)
    smtp = site.session("mx", CLIENT)
    message = deliver(site, smtp, f"alice@{domain}", domain, lines)
    own = [value for value in message.header("Authentication-Results")
           if f"smtp.mailfrom=alice@{domain}" in value]
    assert len(own) == 1
    assert bodies(message, but=own[0]) == foreign


def test_trusted_client_adds_nothing(site, redis, dns, domain, gatepost):
    dns.zones[domain] = PASS
    smtp = site.session("mx", "203.0.113.7")
    message = deliver(site, smtp, f"alice@{domain}", domain)
    assert not any("spf=" in value for value in message.header("Authentication-Results"))


@pytest.mark.parametrize("sender", ['"two words"', '"quo\\"ted"', '"semi;colon"', "o'brien"])
def test_odd_sender_cannot_break_the_header(site, redis, dns, domain, gatepost, sender):
    smtp = site.session("mx", CLIENT)
    message = deliver(site, smtp, f"{sender}@{domain}", domain)
    values = message.header("Authentication-Results")
    assert len(values) == 1
    outside_quotes = re.sub(r'"(?:[^"\\]|\\.)*"', "", unfolded(values[0]))
    assert outside_quotes.count(";") == 1
    assert outside_quotes.startswith(f"{HOSTNAME}; spf=none")


def lines_of(message, name):
    """The lines of the field of that name, which there is once; each is one that may be sent."""
    value, = message.header(name)
    lines = f"{name}: {value}".split("\n")
    assert all(len(line.encode()) <= 998 for line in lines)
    assert all(line[0] == " " and line.strip() for line in lines[1:]), lines
    return lines


@pytest.mark.parametrize("length", [900, 1200, 1900])
def test_long_helo(site, redis, dns, domain, gatepost, length):
    """The mark is there all the same: the end of what finds no room."""
    smtp = site.session("mx", CLIENT, helo="h" * length + "." + domain)
    message = deliver(site, smtp, "", domain)
    text = "".join(lines_of(message, "Authentication-Results"))
    whole = f"{HOSTNAME}; spf=none smtp.helo="
    assert text.partition(": ")[2].startswith(whole)
    helo = text.rpartition("=")[2]
    assert re.fullmatch(rf"h{{{length}}}\.{domain}" if length == 900
                        else rf'"\.\.\.h+\.{domain}"', helo), helo


@pytest.mark.parametrize("length", [900, 1200, 1985])
def test_long_sender(site, redis, dns, domain, gatepost, length):
    """Where the local part finds no room its domain is named (RFC 8601)."""
    dns.zones[domain] = {"TXT": ["v=spf1 ~all"]}
    sender = "a" * length + "@" + domain
    message = deliver(site, site.session("mx", CLIENT), sender, domain)
    text = "".join(lines_of(message, "Authentication-Results"))
    named = sender if length == 900 else domain
    assert text == f"Authentication-Results: {HOSTNAME}; spf=softfail smtp.mailfrom={named}"


def test_too_many_forged_fields_refuse_a_message(site, redis, dns, domain, gatepost):
    smtp = site.session("mx", CLIENT)
    assert smtp.mail(f"alice@{domain}").code == 250
    assert smtp.rcpt(RECIPIENT).code == 250
    reply = smtp.data("\n".join([_named(FORGED[0])] * 101 + ["Subject: x", "", "hello"]))
    verdict = gatepost.verdict(stage="data")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert reply.text.endswith("; session " + verdict["session"])
    assert verdict["queue"]
    deliver(site, smtp, f"alice@{domain}", domain, [_named(FORGED[0])] * 100)


class TestOtherSettings:
    """Names and switches of gatepost.conf; the filter is asked directly."""

    @staticmethod
    def inserted(mta, sender, headers=()):
        """(headers inserted as (name, value), headers deleted as (name, index))."""
        assert mta.mail(sender).letter == "c"
        changes, final = mta.message(headers)
        assert final.letter in "ca"
        added, deleted = [], []
        for change in changes:
            if change.letter == "i":
                name, value = change.data[4:].rstrip(b"\0").split(b"\0")
                added.append((name.decode(), unfolded(value.decode()).strip()))
            elif change.letter == "m":
                index = int.from_bytes(change.data[:4], "big")
                name, value = change.data[4:].split(b"\0")[:2]
                assert value == b""
                deleted.append((name.decode(), index))
        return added, deleted

    def test_own_authserv_id(self, redis, dns, domain, start_gatepost, milter_session):
        mta = milter_session(start_gatepost({"authserv_id": "filter.example"}))
        added, deleted = self.inserted(mta, f"alice@{domain}", [
            ("Authentication-Results", f"{HOSTNAME}; spf=pass"),
            ("Authentication-Results", "filter.example; spf=pass"),
            ("Subject", "x"),
            ("authentication-results", "filter.example; dkim=pass")])
        assert [name for name, _ in added] == ["Authentication-Results"]
        assert added[0][1].startswith("filter.example; spf=none")
        assert sorted(index for _, index in deleted) == [2, 3]
        assert {name.lower() for name, _ in deleted} == {"authentication-results"}

    def test_received_spf(self, site, redis, dns, domain, start_gatepost, milter_session):
        dns.zones[domain] = PASS
        mta = milter_session(start_gatepost({"received_spf": True}), helo="client.example")
        added, _ = self.inserted(mta, f"alice@{domain}")
        assert sorted(name for name, _ in added) == ["Authentication-Results", "Received-SPF"]
        value = dict(added)["Received-SPF"]
        assert re.match(r"pass( \(.*\))? ", value, re.IGNORECASE)
        pairs = dict(re.findall(r'([\w-]+)=("[^"]*"|[^;\s]+)', re.sub(r"\(.*?\)", "", value)))
        assert pairs["client-ip"].strip('"') == CLIENT
        assert pairs["envelope-from"].strip('"') == f"alice@{domain}"
        assert pairs["helo"].strip('"') == "client.example"
        assert pairs["identity"] == "mailfrom"

    @pytest.mark.parametrize("sender, helo, found", [
        ("a" * 1985 + "@{d}", "client.example",
         {"Authentication-Results": "smtp.mailfrom={d}", "Received-SPF": 'aaa@{d}"; helo=client.'}),
        ("", "h" * 1900 + ".{d}",
         {"Authentication-Results": 'smtp.helo="...hhh', "Received-SPF": 'hhh.{d}"; identity=helo'}),
        ("a" * 1000 + '"()\\@{d}', '"\\' * 900,
         {"Authentication-Results": "smtp.mailfrom={d}", "Received-SPF": "identity=mailfrom"}),
        ("x@" + "bank.example." * 150 + "{d}", "client.example",
         {"Authentication-Results": 'smtp.mailfrom="...', "Received-SPF": 'envelope-from="...'})])
    def test_there_is_always_a_field(self, redis, domain, start_gatepost, milter_session,
                                     sender, helo, found):
        mta = milter_session(start_gatepost({"received_spf": True}),
                             helo=helo.replace("{d}", domain))
        assert mta.mail(sender.replace("{d}", domain)).letter == "c"
        changes, final = mta.message()
        assert final.letter in "ca"
        values = dict(change.data[4:].rstrip(b"\0").split(b"\0") for change in changes)
        assert len(changes) == len(values) == 2
        for name, text in found.items():
            field = name + ": " + values[name.encode()].decode()
            assert all(len(line) <= 998 for line in field.split("\n")), field
            assert text.replace("{d}", domain) in field.replace("\n", "")

    def test_received_spf_alone(self, redis, dns, domain, start_gatepost, milter_session):
        settings = {"received_spf": True, "authentication_results": False}
        mta = milter_session(start_gatepost(settings))
        added, deleted = self.inserted(mta, f"alice@{domain}", [
            ("Authentication-Results", f"{HOSTNAME}; spf=pass")])
        assert [name for name, _ in added] == ["Received-SPF"]
        assert deleted == []

    def test_all_off(self, redis, dns, domain, start_gatepost, milter_session):
        mta = milter_session(start_gatepost({"authentication_results": False}))
        response = mta.mail(f"alice@{domain}")
        assert response.letter in "ca"
        if response.letter == "c":
            changes, final = mta.message()
            assert (changes, final.letter) == ([], "c")

    def deleted(self, mta, sender, headers, login=None):
        """As inserted(), which were deleted."""
        assert mta.mail(sender, login=login).letter == "c"
        changes, final = mta.message(headers)
        assert final.letter in "ca"
        return deletions(changes)

    @pytest.mark.parametrize("name", [
        "mx.b\u00fccher.example", "mx.xn--bcher-kva.example", "MX.BU\u0308CHER.example."])
    def test_one_name_in_all_its_forms(self, redis, domain, start_gatepost, milter_session, name):
        """Of the id that is configured, and of the one that a field claims."""
        mta = milter_session(start_gatepost({"authserv_id": name}))
        claimed = ["mx.b\u00fccher.example", "MX.BU\u0308CHER.EXAMPLE.", "mx.xn--bcher-kva.example 1",
                   '"mx.b\u00fccher.example"', "\u00a0mx.XN--bcher-kva.example(c)",
                   "mx\u3002b\u00fccher\uff0eexample", "\uff4dx.b\u00fccher.example"]
        foreign = ["mx.bucher.example", "b\u00fccher.example", "mx.b\u00fbcher.example"]
        deleted = self.deleted(mta, f"alice@{domain}",
                               [("Authentication-Results", text + "; spf=pass")
                                for text in claimed + foreign])
        assert deleted == [("Authentication-Results", number + 1)
                           for number in range(len(claimed))]

    @pytest.mark.parametrize("login", [None, "alice@example.com"], ids=["stranger", "login"])
    @pytest.mark.parametrize("alone", [False, True])
    def test_forged_received_spf(self, redis, domain, start_gatepost, milter_session, login, alone):
        """It is removed where ours are added."""
        settings = {"received_spf": True, "authentication_results": not alone}
        mta = milter_session(start_gatepost(settings))
        lines = [claiming(line, HOSTNAME) for line in FORGED_RECEIVED_SPF + FOREIGN_RECEIVED_SPF]
        fields = [tuple(line.split(": ", 1)) for line in lines]
        forged = ("Authentication-Results", f"{HOSTNAME}; spf=pass")
        deleted = self.deleted(mta, f"alice@{domain}", [forged, *fields, forged], login)
        assert [number for name, number in deleted if name == "Received-SPF"] == [1, 2, 3]
        assert [number for name, number in deleted if name == "Authentication-Results"] \
            == ([] if alone else [1, 2])

    def test_received_spf_of_others_stays(self, redis, domain, start_gatepost, milter_session):
        mta = milter_session(start_gatepost())
        fields = [tuple(claiming(line, HOSTNAME).split(": ", 1)) for line in FORGED_RECEIVED_SPF]
        assert self.deleted(mta, f"alice@{domain}", fields) == []


def deletions(changes):
    """The header fields that the filter deletes, as (name, instance), in the order of names and
    instances."""
    found = []
    for change in changes:
        if change.letter == "m":
            name, value = change.data[4:].split(b"\0")[:2]
            assert value == b""
            found.append((name.decode(), int.from_bytes(change.data[:4], "big")))
    return sorted(found)


class TestTooManyForged:
    """More than a hundred are refused, however many there are; the filter is asked directly."""

    FIELD = ("Authentication-Results", f"{HOSTNAME}; dkim=pass header.d=bank.example")

    def end(self, mta, number, sender="alice@example.com", login=None, extra=()):
        assert mta.mail(sender, login=login).letter == "c"
        return mta.message([*extra, *[self.FIELD] * number])

    def test_a_hundred_are_removed(self, redis, gatepost, milter_session):
        changes, final = self.end(milter_session(gatepost), 100)
        assert final.letter in "ca"
        assert len(deletions(changes)) == 100
        assert [verdict["stage"] for verdict in gatepost.verdicts()] == ["mail"]

    @pytest.mark.parametrize("sender, account, login", [
        ("alice@example.com", "alice@example.com", None), ("", "postmaster@client.example", None),
        ("x@other.example", "bob@example.com", "bob@example.com")])
    def test_one_more_is_refused(self, redis, gatepost, milter_session, sender, account, login):
        mta = milter_session(gatepost)
        changes, final = self.end(mta, 101, sender, login)
        assert changes == []
        verdict = gatepost.verdict(stage="data")
        assert final.reply == verdict["reply"]
        assert final.reply == (f"550 5.7.1 mail from {account} has more than 100 header fields that "
                               "claim to be written by this server: remove them; session "
                               + verdict["session"])
        before = gatepost.verdict(stage="mail")
        assert list(verdict) == list(before)
        for key in ("session", "listener", "client", "helo", "sender", "login", "account",
                    "service", "tls"):
            assert verdict[key] == before[key], key
        assert (verdict["verdict"], verdict["reason"], verdict["from"], verdict["mode"],
                verdict["queue"]) == ("reject", "header-forged", "conf", "enforce", "4ABCDEF")
        changes, final = self.end(mta, 1, sender, login)
        assert final.letter in "ca" and len(deletions(changes)) == 1, "the next message is new"

    def test_all_kinds_count_together(self, redis, start_gatepost, milter_session):
        gatepost = start_gatepost({"received_spf": True})
        spf = ("Received-SPF", f"pass receiver={HOSTNAME}")
        changes, final = self.end(milter_session(gatepost), 60, extra=[spf] * 41)
        assert (changes, final.letter) == ([], "y")

    @pytest.mark.parametrize("where", ["everywhere", "listener", "account"])
    def test_monitor(self, redis, start_gatepost, milter_session, where):
        """The message passes. Those that were found are removed, the others stay."""
        settings = {"mode": "monitor"} if where == "everywhere" else {}
        if where == "listener":
            settings = {"listener": {"mx": {"mode": "monitor"}}}
        gatepost = start_gatepost(settings)
        if where == "account":
            policy.load(redis, "account:@example.com mode monitor")
            gatepost.catch_up(redis)
        changes, final = self.end(milter_session(gatepost), 150)
        assert final.letter in "ca"
        assert deletions(changes) == [(self.FIELD[0], number + 1) for number in range(100)]
        assert sum(change.letter == "i" for change in changes) == 1
        verdict = gatepost.verdict(stage="data")
        assert (verdict["verdict"], verdict["reason"], verdict["mode"], verdict["would"],
                verdict["reply"]) == ("accept", "header-forged", "monitor", "reject", "")

    def test_mode_that_cannot_be_read(self, redis, gatepost, milter_session):
        """It is a refusal that has to know the mode, as any other."""
        policy.load(redis, "account:alice@example.com mode perhaps")
        gatepost.catch_up(redis)
        _, final = self.end(milter_session(gatepost), 101)
        assert final.reply.startswith("451 4.3.5 ")
        assert gatepost.verdict(stage="data")["from"] == "account:alice@example.com:mode"

    def test_configured_text(self, redis, start_gatepost, milter_session):
        gatepost = start_gatepost({"reply": {"header-forged": {"text": "{reason} {sender} {helo}"}}})
        _, final = self.end(milter_session(gatepost), 101)
        assert final.reply.startswith("550 5.7.1 header-forged alice@example.com client.example; ")

    @pytest.mark.parametrize("field", [
        FIELD, ("Authentication-Results", "b\u00fccher{n}.example; dkim=pass"),
        ("Received-SPF", f"pass receiver={HOSTNAME}"),
        ("Received-SPF", "pass receiver=b\u00fccher{n}.example")], ids=lambda field: field[1][:20])
    def test_cost(self, redis, start_gatepost, milter_session, field):
        """A hundred thousand cost our part of the filter next to nothing: as much as others do."""
        gatepost = start_gatepost({"received_spf": True})
        cost = {}
        for name, value in (("X-Other", field[1]), field):
            mta = milter_session(gatepost)
            assert mta.mail("alice@example.com").letter == "c"
            mta.rcpt()
            mta.data()
            octets = b"".join(header(name, value.replace("{n}", str(number)))
                              for number in range(100000))
            before = _processor_time(gatepost.pid)
            mta.send(octets)
            mta.end_headers()
            mta.body(b"x")
            changes, final = mta.end_of_message()
            cost[name] = _processor_time(gatepost.pid) - before
            assert (changes == [] and final.letter == "y") == (name != "X-Other")
            mta.close()
        assert cost[field[0]] < cost["X-Other"] + 0.1, cost


def _processor_time(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
