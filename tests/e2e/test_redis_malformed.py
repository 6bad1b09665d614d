"""Answers that no Redis gives: each is an error of the server, and never the policy of anybody."""

import pytest

from support.fake_redis import FakeRedis
from support.gatepostctl import Gatepostctl
from support.policy_asker import Asker

BARE = {"store_timeout": "300ms", "cache_entries": 0, "trusted": [], "network": {},
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"
UNAVAILABLE = "451 4.3.0"
PROTOCOL_OFF = ["protocol:smtp", "off"]


@pytest.fixture
def fake():
    server = FakeRedis()
    yield server
    server.stop()


@pytest.fixture
def gatepost(fake, start_gatepost):
    instance = start_gatepost({**BARE, "store": fake.url})
    instance.remember()
    return instance


@pytest.fixture
def asker(gatepost, milter_session):
    return Asker(milter_session(gatepost))


@pytest.mark.parametrize("answer", [
    ["protocol:smtp", None], [None, "off"], ["protocol:smtp", 1], [1, 2],
    ["protocol:smtp", ["off"]], [["protocol:smtp", "off"], ["source", "any"]],
    ["protocol:smtp", []], [b"+protocol:smtp\r\n", b"-ERR off\r\n"], ["protocol:smtp"],
    None, 7, "protocol:smtp off", b"*-1\r\n",
], ids=repr)
def test_no_list_of_fields_and_values(fake, gatepost, asker, domain, answer):
    key = f"gatepost:account:odd@{domain}"
    fake.answers[key] = answer
    fake.answers[f"gatepost:account:off@{domain}"] = PROTOCOL_OFF
    for _ in range(4):
        assert asker.ask(f"odd@{domain}").startswith(UNAVAILABLE)
        assert asker.ask(f"off@{domain}").startswith(OFF)
    gatepost.wait_log("event=store-error", f"HGETALL {key}: malformed answer")
    assert not gatepost.events("store-down")


@pytest.mark.parametrize("answer", [
    ["0", ["10.0.0.0/8", None]], ["0", [1, 2]], [None, []], [["0"], []], ["0", "10.0.0.0/8"],
    ["0", ["10.0.0.0/8"]], ["0", None], 3,
], ids=repr)
def test_no_piece_of_a_network(fake, site, domain, answer):
    fake.answers["gatepost:network:odd"] = answer
    ctl = Gatepostctl(site.folder.file(f"malformed-{domain}.conf"), {"store": fake.url})
    run = ctl.run("network", "list", "odd")
    assert run.status not in (0, 1) and "HSCAN gatepost:network:odd: malformed answer" in run.err, run


@pytest.mark.parametrize("surplus", [
    b"*2\r\n$13\r\nprotocol:smtp\r\n$3\r\noff\r\n", b"*0\r\n", b":1\r\n", b"*2\r\n$13\r\nproto"],
    ids=["a-hash", "an-empty-one", "a-number", "a-beginning"])
def test_a_surplus_reply(fake, gatepost, asker, domain, surplus):
    """It is not taken for the answer to the next look-up. A fresh connection is asked instead."""
    fake.answers[f"gatepost:account:listed@{domain}"] = ["ip:192.0.2.10", ""]
    fake.answers[f"gatepost:account:off@{domain}"] = PROTOCOL_OFF
    assert asker.ask(f"listed@{domain}") == ""
    for _ in range(3):
        fake.answers["gatepost:account:*"] = b"*0\r\n" + surplus    # the last one asked for
        assert asker.ask(f"listed@{domain}") == ""
        del fake.answers["gatepost:account:*"]
        before = fake.connections
        assert asker.ask(f"off@{domain}").startswith(OFF)
        assert asker.ask(f"listed@{domain}") == ""
        assert fake.connections > before
    gatepost.wait_log("event=store-surplus", f"server=127.0.0.1:{fake.port}")
    assert len(gatepost.events("store-surplus")) == 1
    assert not gatepost.events("store-down")
    assert not gatepost.events("store-error")
