"""Authentication-Results and Received-SPF as the reader of a delivered message finds them."""

import re

import pytest

from support.forged_headers import FOREIGN, FORGED, bodies, claiming, mixed, unfolded
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
