"""gatepost-settings, attacked: by a thief who is signed on as a user, and by who knows a token."""

import pytest

from support.process import all_at_once
from support.settings import PATCH, PROXY, Settings

ME = "/v1/accounts/me"


@pytest.fixture(scope="module")
def program(site, redis_server):
    program = Settings(site.folder.sub("settings-attacked"), {"store": redis_server.url, "trusted": []})
    yield program.start()
    assert program.stop() == 0


@pytest.fixture
def settings(program, redis):
    program.forget()
    return program


@pytest.fixture
def account(domain):
    return f"alice@{domain}"


def test_a_thief_does_not_keep_the_owner_out(settings, account):
    """Who asks without end is counted by his address, of IPv6 by its /64."""
    for number, thief in enumerate(("198.51.100.66", "2001:db8:0:1::66")):
        stranger = settings.user(account, thief)
        assert 429 in [stranger.ask("PATCH", ME, "{", PATCH).status for _ in range(80)], thief
        assert number == 0 or 429 in [settings.user(account, "2001:db8:0:1::67").patch({}).status
                                      for _ in range(20)]
        assert settings.user(account, f"192.0.2.{number}").patch({}).status == 200
        assert settings.user(account, f"2001:db8:0:{number + 2}::66").patch({}).status == 200
