"""`gatepostctl doors check` of doors behind nginx, Caddy, Apache, HAProxy and nginx's mail proxy,
each from conf/.
"""

import pytest

from support.gatepostctl import Gatepostctl
from support.proxied_host import ALICE, BOB, MAIL_DOORS, SERVERS, ProxiedHost
from support.web_servers import NAME, PASSWORD

EXPIRES = "certificate-expires"     # those of the tests last two days


@pytest.fixture(scope="module")
def host():
    made = ProxiedHost()
    try:
        made.start()
        made.begin()                # every door is closed to Bob
        yield made
    finally:
        assert made.stop() == 0


@pytest.fixture
def check(host, tmp_path, monkeypatch):
    """A function (account, *options, **ports): {door: words}, and the run."""
    monkeypatch.setenv("SSL_CERT_FILE", host.tls[2])
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    ctl = Gatepostctl(host.filter.conf)

    def run_check(account, *options, **ports):
        ports = {**dict.fromkeys(("smtp", "submission", "submissions", "smtp-alt", "sieve",
                                  *MAIL_DOORS), "none"), **ports}
        run = ctl.run("doors", "check", NAME, "--address=127.0.0.1", "--json", "--canary", account,
                      "--password-file", str(password), *options,
                      *(f"--port={door}={port}" for door, port in ports.items()))
        return {door["door"]: [remark["word"] for remark in door["remarks"]]
                for door in run.json()["doors"]}, run
    return run_check


@pytest.mark.parametrize("name", SERVERS)
def test_http(host, check, name):
    where = {"caldav": host.servers[name].port}
    words, run = check(BOB, "--path=caldav=/", **where)
    assert words == {"caldav": [EXPIRES, "refused"]}, run
    assert f"caldav is switched off for {BOB}" in run.out
    words, run = check(ALICE, "--path=caldav=/", **where)
    assert words == {"caldav": [EXPIRES, "let-in"]} and run.status == 1, run
    with host.filter_away():
        words, run = check(BOB, "--path=caldav=/", "--timeout=20s", **where)
    assert words == {"caldav": [EXPIRES, "unproven"]}, run


def test_mail_proxy(host, check):
    ports = {name: host.mail_ports[name] for name in MAIL_DOORS}
    words, run = check(BOB, **ports)
    assert words == dict.fromkeys(MAIL_DOORS, [EXPIRES, "refused"]), run
    words, run = check(ALICE, **ports)
    assert words == dict.fromkeys(MAIL_DOORS, [EXPIRES, "let-in"]) and run.status == 1, run
