"""With `sender own` a login sends only as itself, or as its `as:` entries say."""

import re

import pytest

from support import policy
from support.gatepostctl import Gatepostctl
from test_readings import AMBIGUOUS

CLIENT = "192.0.2.10"
SETTINGS = {"default_domain": "", "listener": {
    "submission": {"daemon_name": "SUBMISSION", "service": "submission"},
    "plain": {"daemon_name": "PLAIN", "service": "submission"}}}
POLICY = """
account:@{d}         sender             own
account:alice@{d}    as:@x.{d}          the assistant
account:alice@{d}    as:@y.{d}          the assistant
account:alice@{d}    as:@localhost      the assistant
account:alice@{d}    as:sales@other.{d} the team
"""


@pytest.fixture
def ask(milter_session, gatepost, redis, domain):
    """A function (sender, understood, login) -> the reply of the filter, '' when it accepts."""
    policy.load(redis, POLICY, d=domain)
    gatepost.catch_up(redis)

    def mail(sender, understood=None, login="alice@{d}"):
        sender = sender.replace("{d}", domain)
        values = {"{mail_addr}": sender.strip("<>") if understood is None
                  else understood.replace("{d}", domain)}
        with milter_session(gatepost, address=CLIENT,
                            macro_values={"{daemon_name}": "SUBMISSION"}) as mta:
            return mta.mail(sender, login=login.replace("{d}", domain), macro_values=values).reply
    return mail


@pytest.mark.parametrize("sender", ["alice@{d}", "<Alice+x@{d}>", '"alice"@{d}', "<>", "ceo@x.{d}",
                                    "sales@other.{d}", "bounce+1=a.b@y.{d}"])
def test_its_own(ask, sender):
    assert ask(sender) == ""


@pytest.mark.parametrize("sender", ["bob@{d}", "alice@other.{d}", "ceo@sub.x.{d}", "alice",
                                    "sales@other.{d}.example", "alice@{d}@evil.{d}"])
def test_others(ask, gatepost, domain, sender):
    reply = ask(sender)
    assert reply.startswith("553 5.7.1 "), reply
    verdict = gatepost.verdict(stage="mail")
    assert verdict["reason"] in ("sender-not-owned", "sender-ambiguous")
    assert verdict["from"] == f"account:@{domain}:sender"
    assert (verdict["account"], verdict["spf"]) == (f"alice@{domain}", "")


@pytest.mark.parametrize("sender, understood", AMBIGUOUS)
def test_another_reading_is_no_way_round(ask, gatepost, sender, understood):
    """The plain reading is one of the assistant's domains; the MTA may deliver it as another."""
    reply = ask(sender, understood)
    assert reply.startswith("553 5.7.1 "), reply
    assert gatepost.verdict(stage="mail")["reason"] in ("sender-ambiguous", "sender-not-owned")


def test_who_owns_each_reading(ask, redis, gatepost, domain):
    assert "can be read as ceo@corp." in ask("ceo%corp.{d}@x.{d}")
    redis.cli("HSET", f"gatepost:account:alice@{domain}", f"as:@corp.{domain}", "")
    gatepost.catch_up(redis)
    assert ask("ceo%corp.{d}@x.{d}") == ""
    assert ask("a!" * 300 + "alice@x.{d}").startswith("553 5.7.1 ")


@pytest.mark.parametrize("sender, understood", AMBIGUOUS)
def test_any_sender_may_be_spelt_so(ask, redis, gatepost, domain, sender, understood):
    redis.cli("HSET", f"gatepost:account:alice@{domain}", "sender", "any")
    gatepost.catch_up(redis)
    assert ask(sender, understood) == ""


def test_the_reply_names_the_command_that_allows_it(ask, redis, gatepost, folder_of, domain):
    ctl = Gatepostctl(folder_of("ctl.conf"), {"store": redis.url})
    for sender in ("press@{d}", "ceo%boss.{d}@x.{d}"):
        reply = ask(sender)
        command = re.search(r"gatepostctl (as add \S+ \S+);", reply).group(1)
        ctl.do(*command.split())
        gatepost.catch_up(redis)
        assert ask(sender) == "", command


@pytest.fixture
def folder_of(tmp_path):
    return lambda name: str(tmp_path / name)


def test_through_postfix_and_dovecot(site, redis, gatepost):
    redis.cli("HSET", "gatepost:account:alice@example.com", "sender", "own",
              "as:@team.example", "")
    gatepost.catch_up(redis)
    replies = {}
    for sender in ("alice@example.com", "ALICE+x@example.com", "x@team.example", "<>",
                   "bob@example.com", "bob%example.com@team.example", "bob@example.com@team.example"):
        with site.session("plain", CLIENT, login="alice@example.com", tls=True) as smtp:
            reply = smtp.mail(sender)
            replies[sender] = (reply.code, reply.enhanced)
    assert set(list(replies.values())[:4]) == {(250, "2.1.0")}, replies
    assert set(list(replies.values())[4:]) == {(553, "5.7.1")}, replies
