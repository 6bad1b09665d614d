"""A changed policy is obeyed by the next message; a store in trouble costs no more than its due."""

import os
import re
import time

import pytest

from support import policy
from support.process import wait_until
from support.redis_server import RedisServer

STORE_TIMEOUT = 0.3
MARGIN = 1.0          # for a loaded machine and the sanitizers
SETTINGS = {"store_timeout": "300ms"}
CLIENT = "192.0.2.10"


def ask(smtp, sender):
    """The reply to one MAIL, the transaction dropped again."""
    reply = smtp.mail(sender)
    smtp.rset()
    return reply


class Asker:
    """Asks for one sender, over one connection or over a new one each time."""

    def __init__(self, site, sender, same_connection):
        self._site, self._sender = site, sender
        self._smtp = site.session("mx", CLIENT) if same_connection else None

    def code(self):
        smtp = self._smtp or self._site.session("mx", CLIENT)
        return ask(smtp, self._sender).code

    def becomes(self, code):
        """A change is told within milliseconds; how soon exactly is measured elsewhere."""
        wait_until(lambda: self.code() == code, 5, f"{code} for {self._sender}")


@pytest.mark.parametrize("same_connection", [True, False], ids=["same", "new"])
@pytest.mark.parametrize("subject", ["account:alice@{d}", "account:@{d}", "account:*"])
def test_hset_and_hdel_are_obeyed_at_once(site, redis, dns, domain, gatepost, subject,
                                          same_connection):
    key = "gatepost:" + subject.format(d=domain)
    if subject == "account:*":      # the default concerns known accounts only
        redis.cli("HSET", f"gatepost:account:@{domain}", "source", "any")
    asker = Asker(site, f"alice@{domain}", same_connection)
    asker.becomes(250)
    for _ in range(5):
        redis.cli("HSET", key, "protocol:smtp", "off")
        asker.becomes(550)
        redis.cli("HSET", key, "protocol:smtp", "on")
        asker.becomes(250)
        redis.cli("HSET", key, "protocol:smtp", "off")
        asker.becomes(550)
        redis.cli("HDEL", key, "protocol:smtp")
        asker.becomes(250)


@pytest.mark.parametrize("edit", [
    ("DEL", "gatepost:account:alice@{d}"),
    ("RENAME", "gatepost:account:alice@{d}", "gatepost:account:gone@{d}"),
    ("PEXPIRE", "gatepost:account:alice@{d}", "1"),
    ("FLUSHDB",),
    ("FLUSHALL",),
], ids=lambda edit: edit[0])
def test_a_vanished_policy_is_noticed(site, redis, dns, domain, gatepost, edit):
    policy.load(redis, "account:alice@{d} protocol:smtp off", d=domain)
    asker = Asker(site, f"alice@{domain}", same_connection=True)
    asker.becomes(550)
    redis.cli(*(word.format(d=domain) for word in edit))
    if edit[0] == "PEXPIRE":
        wait_until(lambda: redis.cli("EXISTS", edit[1].format(d=domain)) == "0", 20, "expiry")
    asker.becomes(250)


def test_most_specific_subject_wins(site, redis, dns, domain, gatepost):
    asker = Asker(site, f"alice@{domain}", same_connection=True)
    steps = [
        (("HSET", "account:*", "protocol:smtp", "off"), 250),      # nobody knows alice yet
        (("HSET", "account:@{d}", "source", "any"), 550),          # now her domain is known
        (("HSET", "account:@{d}", "protocol:smtp", "on"), 250),
        (("HSET", "account:alice@{d}", "protocol:smtp", "off"), 550),
        (("HDEL", "account:alice@{d}", "protocol:smtp"), 250),
        (("HDEL", "account:@{d}", "protocol:smtp"), 550),
        (("HDEL", "account:*", "protocol:smtp"), 250),
    ]
    for (command, key, *words), code in steps:
        redis.cli(command, "gatepost:" + key.format(d=domain), *words)
        asker.becomes(code)


def timed(function):
    began = time.monotonic()
    result = function()
    return result, time.monotonic() - began


def test_network_members_are_obeyed_at_once(site, redis, dns, domain, gatepost):
    dns.zones[domain] = {"TXT": ["v=spf1 -all"]}
    asker = Asker(site, f"alice@{domain}", same_connection=False)
    asker.becomes(550)
    redis.cli("HSET", "gatepost:network:relays", "192.0.2.0/24", "for a while")
    wait_until(lambda: asker.code() == 250, 10, "the new member")
    redis.cli("HDEL", "gatepost:network:relays", "192.0.2.0/24")
    wait_until(lambda: asker.code() == 550, 10, "the member gone")
    redis.restart()
    redis.cli("HSET", "gatepost:network:relays", "192.0.2.0/24", "after a restart")
    wait_until(lambda: asker.code() == 250, 20, "changes followed again")
    redis.cli("DEL", "gatepost:network:relays")
    wait_until(lambda: asker.code() == 550, 10, "the network gone")


def test_redis_stopped_and_back(site, redis, dns, domain, gatepost):
    smtp = site.session("mx", CLIENT)
    assert ask(smtp, f"before@{domain}").code == 250
    redis.stop()
    for number in range(5):
        reply, took = timed(lambda: ask(smtp, f"new{number}@{domain}"))
        assert (reply.code, reply.enhanced) == (451, "4.3.0")
        assert took < STORE_TIMEOUT + MARGIN
    verdict = gatepost.verdict(stage="mail", sender=f"new0@{domain}")
    assert verdict["reason"] == "policy-unavailable"
    redis.start()
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    wait_until(lambda: ask(smtp, f"off@{domain}").code == 550, 20, "Redis in use again")
    assert ask(smtp, f"back@{domain}").code == 250


def test_redis_hung(site, redis, dns, domain, gatepost):
    """Nobody waits longer than store_timeout, however many ask."""
    sessions = [site.session("mx", CLIENT) for _ in range(8)]
    assert ask(sessions[0], f"before@{domain}").code == 250
    redis.freeze()
    began = time.monotonic()
    for number, smtp in enumerate(sessions):
        smtp.send(f"MAIL FROM:<hung{number}@{domain}>\r\n")
    replies = [smtp.read_reply() for smtp in sessions]
    assert time.monotonic() - began < STORE_TIMEOUT + MARGIN
    assert {(reply.code, reply.enhanced) for reply in replies} == {(451, "4.3.0")}
    redis.resume()
    wait_until(lambda: ask(sessions[1], f"back@{domain}").code == 250, 20, "Redis in use again")


@pytest.mark.parametrize("setting, code, verdict", [
    ("accept", 250, "accept"),
    ("reject", 550, "reject"),
    ("defer", 451, "defer"),
])
def test_on_store_error(site, redis_server, start_gatepost, domain, setting, code, verdict,
                        milter_session):
    path = os.path.join(site.folder.path, "no-redis.sock")
    gatepost = start_gatepost({"on_store_error": setting, "store": f"redis+unix://{path}?db=0"})
    with milter_session(gatepost) as mta:
        response = mta.mail(f"alice@{domain}")
        if code == 250:
            assert response.letter in "ca"
        else:
            assert response.reply.startswith(str(code))
    line = gatepost.verdict(stage="mail")
    assert (line["verdict"], line["reason"]) == (verdict, "policy-unavailable")


@pytest.mark.parametrize("user, password, served", [
    ("", "sesame", True),
    ("", "wrong", False),
    ("", None, False),
    ("gatepost", "least", True),
    ("gatepost", "wrong", False),
    ("nobody", "least", False),
], ids=["right", "wrong", "none", "acl", "acl-wrong", "no-such-user"])
def test_redis_password(site, guarded_redis, start_gatepost, milter_session, domain, user,
                        password, served):
    """Wrong credentials are an unreachable store, and the log says why, without the secret."""
    settings = {"store": guarded_redis.url, "store_user": user}
    if password is not None:
        settings["store_password_file"] = site.folder.file("store-password")
        with open(settings["store_password_file"], "w") as secret:
            secret.write(password + "\n")
        os.chmod(settings["store_password_file"], 0o600)
    policy.load(guarded_redis, "account:alice@{d} protocol:smtp off", d=domain)
    gatepost = start_gatepost(settings)
    with milter_session(gatepost) as mta:
        expected = "550 5.7.1" if served else "451 4.3.0"
        assert mta.mail(f"alice@{domain}").reply.startswith(expected)
        if served:      # changes are pushed even with the least of rights
            guarded_redis.cli("HDEL", f"gatepost:account:alice@{domain}", "protocol:smtp")

            def accepted():
                mta.abort()
                return not mta.mail(f"alice@{domain}").reply
            wait_until(accepted, 5, "the change")
    if not served:
        gatepost.wait_log("NOAUTH" if password is None else "WRONGPASS")
    assert password is None or password not in "\n".join(gatepost.log_lines())


@pytest.fixture(scope="module")
def guarded_redis(site):
    """A Redis with a password, and an ACL user with the least rights that the filter needs."""
    acl = ("user gatepost on >least resetkeys %R~gatepost:* resetchannels "
           "&__redis__:invalidate -@all +get +mget +hget +hmget +hgetall +exists +type +scan "
           "+ping +auth +hello +client|id +client|tracking +client|trackinginfo "
           "+client|setname +subscribe +unsubscribe")
    server = RedisServer(site.folder.sub("guarded"), [acl], password="sesame")
    yield server.start()
    server.stop()


@pytest.mark.parametrize("url", ["url", "unix_url"])
def test_key_prefix_and_socket(site, redis, start_gatepost, milter_session, domain, url):
    redis.cli("HSET", f"other:account:alice@{domain}", "protocol:smtp", "off")
    redis.cli("HSET", f"gatepost:account:bob@{domain}", "protocol:smtp", "off")
    gatepost = start_gatepost({"store": getattr(redis, url), "key_prefix": "other:"})
    with milter_session(gatepost) as mta:
        assert mta.mail(f"alice@{domain}").reply.startswith("550 5.7.1")
        mta.abort()
        assert not mta.mail(f"bob@{domain}").reply


def test_without_a_cache(site, redis, start_gatepost, milter_session, domain):
    gatepost = start_gatepost({"cache_entries": 0})
    with milter_session(gatepost) as mta:
        for state, refused in [("off", True), ("on", False), ("off", True)]:
            redis.cli("HSET", f"gatepost:account:alice@{domain}", "protocol:smtp", state)
            assert bool(mta.mail(f"alice@{domain}").reply) == refused
            mta.abort()


class TestFileStore:
    """The embedded store is read again when its file changes."""

    POLICY = "account:alice@{d} protocol:smtp off\naccount:@{d} source any"

    @pytest.fixture
    def store(self, site, domain):
        path = site.folder.file("policy-" + domain)
        policy.as_file(path, self.POLICY, d=domain)
        return path

    @pytest.fixture
    def filter_on_file(self, start_gatepost, store):
        return start_gatepost({"store": "file:" + store})

    @staticmethod
    def refused(mta, sender):
        response = mta.mail(sender)
        mta.abort()
        return bool(response.reply)

    @staticmethod
    def replace(path, text):
        """As a careful editor saves: a new file, renamed over the old one."""
        with open(path + ".new", "w") as new:
            new.write(text)
        os.rename(path + ".new", path)

    @staticmethod
    def rewrite(path, text):
        """As a plain editor saves: the same file, written over."""
        with open(path, "w") as old:
            old.write(text)

    @pytest.mark.parametrize("how", ["replace", "rewrite"])
    def test_an_edit_is_obeyed(self, filter_on_file, store, milter_session, domain, how):
        save = getattr(self, how)
        with milter_session(filter_on_file) as mta:
            assert self.refused(mta, f"alice@{domain}")
            assert not self.refused(mta, f"bob@{domain}")
            save(store, f"account:bob@{domain} protocol:smtp off\n")
            assert self.refused(mta, f"bob@{domain}")
            assert not self.refused(mta, f"alice@{domain}")

    @pytest.mark.parametrize("broken", [
        "account:alice@{d}", "nonsense", "acount:alice@{d} protocol:smtp off",
    ])
    def test_a_broken_edit_keeps_the_old_policy(self, filter_on_file, store, milter_session,
                                                domain, broken):
        with milter_session(filter_on_file) as mta:
            assert self.refused(mta, f"alice@{domain}")
            self.replace(store, f"account:bob@{domain} protocol:smtp off\n"
                         + broken.format(d=domain) + "\n")
            wait_until(lambda: not self.refused(mta, f"bob@{domain}") and any(
                f"{store}:2" in line for line in filter_on_file.log_lines()), 5, "FILE:2 logged")
            assert self.refused(mta, f"alice@{domain}"), "the old policy still rules"
            assert not self.refused(mta, f"bob@{domain}")
