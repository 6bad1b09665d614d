"""What a user sets by gatepost-settings, and that the filter obeys it at once: at MAIL FROM and at the
doors. A Redis with the users of conf/redis, one for each program."""

import os

import pytest

from support.doors import DoorClient
from support.gatepost import Gatepost
from support.gatepostctl import Gatepostctl
from support.process import all_at_once, wait_until
from support.redis_login import (acl_of_the_package, password_file,
                                 settings_acl_of_the_package)
from support.redis_server import RedisServer
from support.settings import PATCH, Settings

ME = "/v1/accounts/me"
CONF = {
    "trusted": [], "default_domain": "example.com", "record_use": True, "store_timeout": "500ms",
    "protocol": {"imap4-smtp": {"services": ["imap", "submission", "submissions"]},
                 "pop3-smtp": {"services": ["pop3", "submission", "submissions"]}},
    "source_services": ["smtp", "submission", "submissions", "imap", "pop3"],
    "listener": {"mx": {"daemon_port": 25}, "submission": {"daemon_port": 587, "service": "submission"},
                 "dav": {"door": "http", "service": "caldav"}, "imap": {"door": "http", "service": "imap"},
                 "pop3": {"door": "http", "service": "pop3"}},
}
class Host:
    """Redis with ACL users, the filter and gatepost-settings, each with its own."""

    def __init__(self, site):
        folder = site.folder.sub("settings-host")
        self.redis = RedisServer(folder, [acl_of_the_package("filter-pw"), settings_acl_of_the_package("self-pw")])
        self.redis.start()
        passwords = {name: password_file(site, f"settings-{name}", f"{name}-pw")
                     for name in ("filter", "self")}
        conf = {**CONF, "store": self.redis.url, "store_user": "gatepost",
                "store_password_file": passwords["filter"]}
        section = {"store_user": "gatepost-settings", "store_password_file": passwords["self"]}
        self.settings = Settings(folder, conf, section).start()
        self.doors_path = os.path.join(folder, "doors.sock")
        self.filter = Gatepost(folder, {
            **conf, "doors_listen": ["unix:" + self.doors_path],
            "passwords_listen": f"unix:{folder}/passwords.sock",
            "settings": self.settings.section}).start()
        self.doors = DoorClient(self.doors_path)
        self.passwords = DoorClient(f"{folder}/passwords.sock")
        self.ctl = Gatepostctl(os.path.join(folder, "ctl.conf"), {**CONF, "store": self.redis.url,
                                                                 "settings": self.settings.section})

    def stop(self):
        assert self.settings.stop() == 0
        assert self.filter.stop() == 0
        self.redis.stop()

    def allow(self, account, service, ip="192.0.2.7"):
        """(status, reason) of /v1/allow."""
        answer = self.doors.allow(account, service, ip)
        return answer.status, answer.headers["x-gatepost-reason"]


@pytest.fixture(scope="module")
def running(site):
    host = Host(site)
    yield host
    host.stop()


@pytest.fixture
def host(running, request):
    running.redis.cli("FLUSHALL")
    running.filter.catch_up(running.redis)
    running.settings.forget()
    request.node.gatepost = running.filter
    yield running
    running.filter.check_healthy()


@pytest.fixture
def account(domain):
    return f"alice@{domain}"


@pytest.fixture
def alice(host, account):
    return host.settings.user(account)


def obeyed(host, account, service, status, reason, **more):
    wait_until(lambda: host.allow(account, service, **more) == (status, reason), 10,
               f"{service} of {account}: {status} {reason}")


def refused(answer, status, field=None):
    assert answer.status == status, answer
    assert answer.json().get("field") == field, answer
    return answer.json()["reason"]


# ---- what is shown ----

def test_an_account_without_anything(alice, account):
    told = alice.get()
    assert told["account"] == account
    assert (told["source"], told["password"], told["ips"]) == ("any", "any", {})
    assert told["protocols"]["pop3-smtp"] == {
        "status": "on", "set": None, "from": None, "services": ["pop3", "submission", "submissions"],
        "may": ["off"], "last_use": {}, "offered": True}
    assert told["set"] == {"source": None, "password": None, "ips": []}
    assert told["may"] == {"source": ["authorized"], "password": ["application"], "ips": True}
    assert (told["pending"], told["passwords"], told["suggested"]) == ([], True, {})
    assert {"imap4-smtp", "pop3-smtp", "caldav", "sieve"} <= set(told["protocols"])
    assert told["protocols"]["caldav"]["offered"] is not told["protocols"]["jmap"]["offered"]
    assert "imap" not in told["protocols"]


def test_what_the_host_has_set(host, alice, account, domain):
    host.redis.cli("HSET", f"gatepost:account:@{domain}", "protocol:caldav", "off",
                   "source", "authorized", "ip:192.0.2.0/24", "until=2090-01-01T00:00:00Z the office")
    told = alice.get()
    caldav = told["protocols"]["caldav"]
    assert (caldav["status"], caldav["set"]) == ("off", None) and "on" not in caldav["may"]
    assert caldav["from"] == f"account:@{domain}:protocol:caldav"
    assert (told["source"], told["set"]["source"]) == ("authorized", None)
    assert "any" not in told["may"]["source"]
    assert told["from"]["source"] == f"account:@{domain}:source"
    assert told["ips"] == {"192.0.2.0/24": "the office"} and told["set"]["ips"] == []
    assert told["may"]["ips"] is False


def test_when_it_was_used_last(host, alice, account):
    host.redis.cli("HSET", f"gatepost-use:{account}",
                   "pop3 192.0.2.0/24", "2026-11-01T00:00:00Z 2026-01-01T00:00:00Z",
                   "pop3 198.51.100.0/24", "2026-11-02T00:00:00Z 2026-01-01T00:00:00Z",
                   "submission 192.0.2.0/24", "2026-10-01T00:00:00Z 2026-01-01T00:00:00Z")
    told = alice.get()["protocols"]
    assert told["pop3-smtp"]["last_use"] == {"pop3": "2026-11-02T00:00:00Z",
                                             "submission": "2026-10-01T00:00:00Z"}
    assert told["imap4-smtp"]["last_use"] == {"submission": "2026-10-01T00:00:00Z"}
    assert told["caldav"]["last_use"] == {}


# ---- closing and opening ----

def test_closing_is_obeyed_at_the_doors_and_at_mail_from(host, alice, account, milter_session):
    obeyed(host, account, "pop3", 200, "account")
    told = alice.change({"protocols": {"pop3-smtp": "off"}})
    pop3 = told["protocols"]["pop3-smtp"]
    assert (pop3["status"], pop3["set"], pop3["may"]) == ("off", "off", ["on"])
    assert pop3["from"] == f"self:{account}:protocol:pop3-smtp"
    obeyed(host, account, "pop3", 403, "protocol-disabled")
    assert host.allow(account, "imap") == (200, "account")
    alice.change({"protocols": {"imap4-smtp": "off"}, "confirm": True})     # he cannot send any more
    obeyed(host, account, "imap", 403, "protocol-disabled")
    mta = milter_session(host.filter)
    assert mta.mail(account, login=account).data.startswith(b"550 5.7.1 ")
    alice.change({"protocols": {"pop3-smtp": "on", "imap4-smtp": None}})
    obeyed(host, account, "pop3", 200, "account")
    obeyed(host, account, "imap", 200, "account")


def test_what_the_host_closed_stays_closed(host, alice, account, domain):
    host.redis.cli("HSET", f"gatepost:account:@{domain}", "protocol:caldav", "off",
                   "source", "authorized", "password", "application")
    assert refused(alice.patch({"protocols": {"caldav": "on"}}), 422, "protocols.caldav")
    assert refused(alice.patch({"source": "any"}), 422, "source")
    assert refused(alice.patch({"password": "any"}), 422, "password")
    assert refused(alice.patch({"ips": {"192.0.2.7": "me"}}), 422, "ips.192.0.2.7")
    host.redis.cli("HSET", f"gatepost:account:{account}", "ip:192.0.2.9", "by the host")
    assert refused(alice.patch({"ips": {"192.0.2.9": None}}), 422, "ips.192.0.2.9")
    assert host.redis.cli("EXISTS", f"gatepost-self:{account}") == "0"
    assert host.allow(account, "caldav") == (403, "protocol-disabled")


@pytest.mark.parametrize("wish, field", [
    ({"protocols": {"imap5": "off"}}, "protocols.imap5"),
    ({"protocols": {"imap": "off"}}, "protocols.imap"),       # a section has it
    ({"protocols": {"pop3-smtp": "maybe"}}, "protocols.pop3-smtp"),
    ({"ips": {"192.0.2": ""}}, "ips.192.0.2"), ({"ips": {"192.0.2.1/24": ""}}, "ips.192.0.2.1/24"),
    ({"ips": {"spf:example.com": ""}}, "ips.spf:example.com"), ({"ips": {"": ""}}, "ips"),
    ({"ips": {"192.0.2.1": "until=2020-01-01T00:00:00Z"}}, "ips.192.0.2.1"),
    ({"ips": {"192.0.2.1": "a\u202eb"}}, "ips.192.0.2.1"), ({"source": "none"}, "source"),
    ({"ips": {f"192.0.2.{n}": "" for n in range(33)}}, None)])
def test_what_cannot_be_set(host, alice, account, wish, field):
    answer = alice.patch({**wish, "confirm": True})
    assert answer.status == 422 and answer.json()["reason"]
    if field is not None:
        assert answer.json()["field"] == field
    assert host.redis.cli("EXISTS", f"gatepost-self:{account}") == "0"


def test_all_or_nothing(host, alice, account):
    refused(alice.patch({"protocols": {"pop3-smtp": "off", "imap5": "off"}}), 422, "protocols.imap5")
    assert host.redis.cli("EXISTS", f"gatepost-self:{account}") == "0"


def test_listed_addresses(host, alice, account):
    told = alice.change({"source": "authorized", "ips": {"192.0.2.7": "home", "2001:db8::/48": ""}})
    assert told["ips"] == {"192.0.2.7": "home", "2001:db8::/48": ""}
    assert (told["source"], told["set"]["source"]) == ("authorized", "authorized")
    assert sorted(told["set"]["ips"]) == ["192.0.2.7", "2001:db8::/48"]
    obeyed(host, account, "imap", 403, "ip-not-authorized", ip="198.51.100.1")
    assert host.allow(account, "imap", "192.0.2.7") == (200, "account")
    alice.change({"ips": {"192.0.2.7": None}})
    obeyed(host, account, "imap", 403, "ip-not-authorized", ip="192.0.2.7")
    alice.change({"source": None})
    obeyed(host, account, "imap", 200, "account", ip="192.0.2.7")


def test_who_would_lock_himself_out_is_asked(host, alice, account):
    assert "address" in refused(alice.patch({"source": "authorized"}), 409)
    every = {name: "off" for name in alice.get()["protocols"]}
    assert refused(alice.patch({"protocols": every}), 409)
    assert refused(alice.patch({"password": "application"}), 409)
    assert host.redis.cli("EXISTS", f"gatepost-self:{account}") == "0"
    assert alice.change({"source": "authorized", "confirm": True})["source"] == "authorized"
    assert alice.make_password("imap4-smtp").status == 201
    assert alice.change({"password": "application"})["password"] == "application"


# ---- tags ----

def test_a_stale_tag(host, alice, account):
    tag = alice.ask("GET", ME).headers["etag"]
    assert tag.startswith('"') and alice.ask("GET", ME).headers["etag"] == tag
    changed = alice.patch({"protocols": {"caldav": "off"}}, If_Match=tag)
    assert changed.status == 200 and changed.headers["etag"] != tag
    assert changed.headers["etag"] == alice.ask("GET", ME).headers["etag"]
    refused(alice.patch({"protocols": {"caldav": None}}, If_Match=tag), 412)
    refused(alice.patch({"protocols": {"caldav": None}}, If_Match="W/" + changed.headers["etag"]), 412)
    refused(alice.patch({"protocols": {"caldav": None}}, If_Match="nonsense"), 412)
    assert alice.get()["protocols"]["caldav"]["status"] == "off"
    host.redis.cli("HSET", "gatepost:account:*", "protocol:sieve", "off")       # the host's count too
    refused(alice.patch({"protocols": {"caldav": None}}, If_Match=changed.headers["etag"]), 412)
    now = alice.ask("GET", ME).headers["etag"]
    assert alice.change({"protocols": {"caldav": None}}, If_Match=f'"x", {now}')
    assert alice.change({"protocols": {"caldav": "off"}}, If_Match="*")
    assert alice.change({"protocols": {"caldav": None}})                        # the last one wins


@pytest.mark.concurrent
def test_two_at_once(host, alice, account):
    """Of many who saw the same, one changes it."""
    tag = alice.ask("GET", ME).headers["etag"]
    names = ["caldav", "carddav", "webdav", "sieve", "jmap", "activesync"]
    answers = all_at_once(lambda name: host.settings.user(account).patch(
        {"protocols": {name: "off"}}, If_Match=tag).status, names)
    assert sorted(answers) == [200] + [412] * 5
    assert len(host.redis.cli("HKEYS", f"gatepost-self:{account}").split()) == 1


# ---- what is recorded ----

def test_log_and_history(host, alice, account):
    alice.change({"protocols": {"pop3-smtp": "off"}, "ips": {"192.0.2.7": "home"}})
    host.settings.wait_log("event=change", "ip:192.0.2.7")
    lines = {line["field"]: line for line in host.settings.changes()}
    assert set(lines) == {"protocol:pop3-smtp", "ip:192.0.2.7"}
    for line in lines.values():
        assert (line["who"], line["account"], line["client"]) == (f"self:{account}", account,
                                                                 "192.0.2.7")
    assert lines["ip:192.0.2.7"]["new"] == "home"
    shown = host.ctl.do("history").out
    assert f"self:{account}" in shown and "protocol:pop3-smtp" in shown and "192.0.2.7" in shown
    entries = host.redis.cli("XRANGE", "gatepost-self:history", "-", "+")
    assert f"self:{account}" in entries and "192.0.2.7" in entries
    assert host.redis.cli("EXISTS", "gatepost:history") == "0"


def test_what_changes_nothing_is_not_recorded(host, alice, account):
    alice.change({"protocols": {"pop3-smtp": "off"}})
    host.settings.wait_log("event=change")
    host.settings.forget()
    for wish in ({}, {"protocols": {"pop3-smtp": "off"}}, {"protocols": {"caldav": None}}):
        alice.change(wish)
    assert host.settings.changes() == []
    assert host.redis.cli("XLEN", "gatepost-self:history") == "1"


def test_a_panel_changes_its_domain(host, redis_server):
    panel = host.settings.panel()
    told = panel.change({"protocols": {"pop3-smtp": "off"}}, "bob@example.com")
    assert told["protocols"]["pop3-smtp"]["set"] == "off"
    obeyed(host, "bob@example.com", "pop3", 403, "protocol-disabled")
    line = host.settings.wait_log("event=change")
    assert "who=panel:example.com" in line and "account=bob@example.com" in line
    assert "panel:example.com" in host.ctl.do("history").out
    assert host.redis.cli("KEYS", "gatepost-self:*@*") == "gatepost-self:bob@example.com"


def test_the_rights_of_its_own(host):
    """Its Redis user writes no policy, and reads no more than it needs."""
    def as_settings(*command):
        return host.redis.cli("--user", "gatepost-settings", "--pass", "self-pw", "--no-auth-warning",
                              *command)

    for command in (("HSET", "gatepost:account:*", "protocol:pop3", "off"),
                    ("DEL", "gatepost:account:*"), ("HSET", "gatepost-use:x", "a", "b"),
                    ("XADD", "gatepost:history", "*", "a", "b"), ("FLUSHALL",), ("KEYS", "*"),
                    ("CONFIG", "GET", "*"), ("DEL", "gatepost-self:history")):
        with pytest.raises(RuntimeError, match="NOPERM"):
            as_settings(*command)


# ---- loosening that waits ----

@pytest.fixture
def slow_host(site, running, redis_server, domain, request):
    """gatepost-settings with loosen_after (its param), on the same Redis."""
    running.redis.cli("FLUSHALL")
    running.filter.catch_up(running.redis)
    section = {name: running.settings.section[name] for name in ("store_user", "store_password_file")}
    one = Settings(site.folder.sub("settings-slow-" + domain), {**CONF, "store": running.redis.url},
                   {**section, "loosen_after": getattr(request, "param", "1h")}).start()
    yield one
    assert one.stop() == 0


def test_opening_waits_and_can_be_taken_back(slow_host, running, account):
    alice = slow_host.user(account)
    told = alice.change({"protocols": {"caldav": "off"}})            # at once
    obeyed(running, account, "caldav", 403, "protocol-disabled")
    told = alice.change({"protocols": {"caldav": "on"}})
    assert told["protocols"]["caldav"]["status"] == "off"
    pending, = told["pending"]
    assert (pending["field"], pending["becomes"]) == ("protocols.caldav", "on")
    assert running.allow(account, "caldav") == (403, "protocol-disabled")
    told = alice.change({"protocols": {"caldav": "off"}})
    assert told["pending"] == [] and told["protocols"]["caldav"]["set"] == "off"


@pytest.mark.parametrize("slow_host", ["1ms", "999ms"], indirect=True)
def test_less_than_a_second_is_a_second(slow_host, account):
    alice = slow_host.user(account)
    alice.change({"protocols": {"caldav": "off"}})
    told = alice.change({"protocols": {"caldav": "on"}})
    assert told["protocols"]["caldav"]["status"] == "off" and len(told["pending"]) == 1
    assert alice.make_password("imap4-smtp").json()["from"] is not None


def test_an_address_more_waits(slow_host, running, account):
    alice = slow_host.user(account)
    told = alice.change({"source": "authorized", "ips": {"192.0.2.7": "home"}, "confirm": True})
    if told["pending"]:
        assert [one["field"] for one in told["pending"]] == ["ips.192.0.2.7"]
        assert running.allow(account, "imap") == (403, "ip-not-authorized")
    told = alice.change({"ips": {"198.51.100.1": "more"}})
    assert "ips.198.51.100.1" in [one["field"] for one in told["pending"]]
    obeyed(running, account, "imap", 403, "ip-not-authorized", ip="198.51.100.1")
    told = alice.change({"ips": {"198.51.100.1": None}})
    assert "198.51.100.1" not in told["ips"]


def test_an_app_password_waits(slow_host, running, account):
    alice = slow_host.user(account)
    made = alice.make_password("imap4-smtp", note="phone").json()
    shown, = alice.passwords()
    assert made["from"] is not None and shown["from"] == made["from"]
    body = ('{"service":"imap","account":"%s","ip":"192.0.2.7","tls":true,"password":"%s",'
            '"nonce":"n"}' % (account, made["password"]))
    assert running.passwords.ask("/v1/password", "POST", body).status == 204     # no app password yet
    running.redis.cli("HSET", f"gatepost-password:{account}",
                      running.redis.cli("HKEYS", f"gatepost-password:{account}"),
                      running.redis.cli("HVALS", f"gatepost-password:{account}").replace(
                          made["from"], "2026-01-01T00:00:00Z"))
    assert running.passwords.ask("/v1/password", "POST", body).status == 200
    assert alice.revoke(made["id"]).status == 204
    assert running.passwords.ask("/v1/password", "POST", body).status == 204
    # one that is not good yet opens no door: it is a lock-out
    alice.make_password("imap4-smtp")
    assert alice.patch({"password": "application"}).status == 409
