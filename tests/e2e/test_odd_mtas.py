"""What an MTA may lack or send that is unusual: each has a defined answer, and none lets anybody in."""

import pytest

from support import milter_client as wire
from support import policy

ADD_HEADERS, CHANGE_HEADERS = 0x1, 0x10     # SMFIF_ADDHDRS, SMFIF_CHGHDRS
FORGED = ("Authentication-Results", f"{wire.MACROS['j']}; spf=pass")


@pytest.mark.parametrize("actions", [0, ADD_HEADERS, CHANGE_HEADERS],
                         ids=["none", "add only", "change only"])
def test_without_the_header_actions_a_message_is_deferred(gatepost, redis, dns, domain, actions):
    """A mark that cannot be made and a forged field that cannot be removed are not let through."""
    with wire.MilterClient(gatepost.socket) as mta:
        mta.negotiate(actions=wire.ALL_ACTIONS & ~(ADD_HEADERS | CHANGE_HEADERS) | actions)
        mta.connect()
        mta.helo()
        assert mta.mail(f"alice@{domain}").letter == "c"
        assert mta.message([FORGED])[1].letter == "t"
    gatepost.wait_log("event=header-refused", "authentication_results")


def test_without_header_actions_where_none_are_needed(start_gatepost, redis, domain):
    gatepost = start_gatepost({"store": redis.url, "authentication_results": False})
    with wire.MilterClient(gatepost.socket) as mta:
        mta.negotiate(actions=wire.ALL_ACTIONS & ~(ADD_HEADERS | CHANGE_HEADERS))
        mta.connect()
        mta.helo()
        assert mta.mail("alice@", login=f"alice@{domain}").letter in "ca"


def test_a_macro_ends_at_a_null_byte(gatepost, redis, dns, domain, milter_session):
    policy.load(redis, "account:alice@{d} protocol:submission off", d=domain)
    mta = milter_session(gatepost)
    refused = mta.mail(f"bob@{domain}", login=f"alice@{domain}\0@x.example")
    assert refused.letter == "y" and b"submission is switched off" in refused.data
    assert gatepost.verdict(stage="mail")["login"] == f"alice@{domain}"


def test_xclient_with_an_unknown_address(site, redis, dns, domain, gatepost):
    """libmilter does not read what Postfix sends then: no verdict is no yes."""
    smtp = site.session("mx")
    greeting = smtp.xclient(ADDR="[UNAVAILABLE]", NAME="[UNAVAILABLE]")
    smtp.ehlo()
    reply = greeting if greeting.code >= 400 else smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (451, "4.7.1"), reply
    assert not gatepost.verdicts(stage="mail")
