"""gatepost-settings when its store is away, slow or of the wrong kind; and with a policy file."""

import fcntl
import os
import shutil
import subprocess
import time

import pytest

from support.doors import DoorClient
from support.folder import Folder
from support.gatepost import Gatepost
from support.gatepostctl import Gatepostctl
from support.process import wait_until
from support.redis_server import RedisServer
from support.settings import JSON, PROGRAM, Settings

ME = "/v1/accounts/me"
CONF = {"trusted": [], "default_domain": "example.com"}


@pytest.fixture
def redis_of_its_own(site, domain):
    server = RedisServer(site.folder.sub("redis-" + domain)).start()
    yield server
    server.stop()


@pytest.fixture
def settings(site, redis_of_its_own, domain):
    one = Settings(site.folder.sub("settings-" + domain),
                   {**CONF, "store": redis_of_its_own.url, "store_timeout": "300ms",
                    "record_use": True}).start()
    yield one
    assert one.stop() == 0


def all_unavailable(alice, settings):
    for method, path, body, kind in (
            ("GET", ME, None, {}), ("GET", ME + "/passwords", None, {}),
            ("PATCH", ME, '{"protocols":{"sieve":"off"}}',
             {"Content-Type": "application/merge-patch+json"}),
            ("POST", ME + "/passwords", '{"protocols":["sieve"]}', JSON),
            ("DELETE", ME + "/passwords/abcdefgh", None, {})):
        begun = time.monotonic()
        answer = alice.ask(method, path, body, kind)
        assert answer.status == 503 and "try again" in answer.json()["reason"], (method, path, answer)
        assert time.monotonic() - begun < 4
    assert settings.wait_log("event=store-error")


def test_redis_away_and_back(settings, redis_of_its_own):
    alice = settings.user()
    assert alice.change({"protocols": {"caldav": "off"}})
    number = alice.make_password("sieve").json()["id"]
    redis_of_its_own.kill()
    all_unavailable(alice, settings)
    redis_of_its_own.start()
    assert alice.get() and alice.change({"protocols": {"sieve": "off"}})
    assert alice.revoke(number).status == 404               # it was lost with Redis
    assert alice.make_password("sieve").status == 201


def test_connections_that_redis_has_closed(settings, redis_of_its_own):
    """As after its `timeout`: nobody notices."""
    alice = settings.user()
    settings.forget()
    for _ in range(3):
        assert alice.change({"protocols": {"caldav": "off"}}) and alice.passwords() == []
        number = alice.make_password("sieve").json()["id"]
        redis_of_its_own.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert alice.change({"protocols": {"caldav": None}})
        redis_of_its_own.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert alice.revoke(number).status == 204
        redis_of_its_own.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert alice.get()
    assert not [line for line in settings.lines() if "problem=" in line]


def test_a_cluster(site, make_cluster, domain):
    cluster = make_cluster()
    one = Settings(site.folder.sub("settings-" + domain),
                   {**CONF, "store": cluster.url, "store_timeout": "2s", "record_use": True}).start()
    try:
        for name in ("alice", "bob", "carol", "dave", "erin"):          # in different slots
            user = one.user(f"{name}@example.com")
            tag = user.ask("GET", ME).headers["etag"]
            assert user.change({"protocols": {"sieve": "off"}}, If_Match=tag)
            assert user.patch({"protocols": {"sieve": None}}, If_Match=tag).status == 412
            told = user.make_password("caldav").json()
            assert [shown["id"] for shown in user.passwords()] == [told["id"]]
            assert user.revoke(told["id"]).status == 204
        shown = Gatepostctl(one.conf).do("history").out
        assert shown.count("field=protocol:sieve") == 5 and shown.count("subject=password:") == 10
        assert not [line for line in one.lines() if "unrecorded" in line]
    finally:
        assert one.stop() == 0


def test_redis_hangs(settings, redis_of_its_own):
    alice = settings.user()
    assert alice.get()
    redis_of_its_own.freeze()
    try:
        all_unavailable(alice, settings)
    finally:
        redis_of_its_own.resume()
    assert alice.get()


def test_redis_refuses(settings, redis_of_its_own):
    alice = settings.user()
    redis_of_its_own.cli("CONFIG", "SET", "requirepass", "secret")
    redis_of_its_own.password = "secret"
    redis_of_its_own.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    all_unavailable(alice, settings)


def test_keys_of_the_wrong_kind(settings, redis_of_its_own):
    """What cannot be known is never shown as open, nor written over."""
    alice = settings.user()
    redis_of_its_own.cli("SET", "gatepost-self:alice@example.com", "text")
    answer = alice.ask("GET", ME)
    assert answer.status == 503 or all(
        protocol["status"] == "off" for protocol in answer.json()["protocols"].values())
    assert alice.patch({"protocols": {"sieve": "off"}}).status in (422, 503)
    assert redis_of_its_own.cli("GET", "gatepost-self:alice@example.com") == "text"


def test_a_malformed_fact(settings, redis_of_its_own):
    alice = settings.user()
    redis_of_its_own.cli("HSET", "gatepost:account:alice@example.com", "protocol:sieve", "perhaps")
    told = alice.get()["protocols"]["sieve"]
    assert (told["status"], told.get("malformed")) == ("off", True)


def test_the_record_of_use_is_away(site, redis, domain, dead_store):
    """It is of less importance: the account is shown without it."""
    one = Settings(site.folder.sub("settings-" + domain),
                   {**CONF, "store": redis.url, "record_use": True, "use_store": dead_store}).start()
    try:
        told = one.user().get()
        assert told["protocols"]["sieve"]["last_use"] == {}
        assert one.wait_log("event=use-unread")
    finally:
        assert one.stop() == 0


def test_a_policy_file(site, domain):
    folder = site.folder.sub("settings-" + domain)
    policy = os.path.join(folder, "policy")
    with open(policy, "w") as file:
        file.write("account:@example.com protocol:caldav off\n")
    one = Settings(folder, {**CONF, "store": f"file:{policy}"}).start()
    filter_ = Gatepost(folder, {**CONF, "store": f"file:{policy}", "settings": one.section,
                                "doors_listen": [f"unix:{folder}/doors.sock"]}).start()
    try:
        alice = one.user()
        assert "on" not in alice.get()["protocols"]["caldav"]["may"]
        told = alice.change({"protocols": {"sieve": "off"}, "ips": {"192.0.2.7": "home"}})
        assert told["protocols"]["sieve"]["set"] == "off"
        with open(policy) as file:
            lines = file.read().splitlines()
        assert "self:alice@example.com protocol:sieve off" in lines
        assert "account:@example.com protocol:caldav off" in lines
        door = DoorClient(f"{folder}/doors.sock")
        wait_until(lambda: door.allow("alice@example.com", "sieve").status == 403, 10)
        assert told["passwords"] is False
        answer = alice.make_password("sieve")
        assert answer.status == 403 and "file" in answer.json()["reason"]
        assert alice.ask("GET", ME + "/passwords").status == 403
        checked = subprocess.run(one.command("-t"), capture_output=True, text=True)
        assert checked.returncode == 0 and "app passwords" not in checked.stderr
    finally:
        assert filter_.stop() == 0
        assert one.stop() == 0


def test_a_policy_file_that_somebody_has_locked(site, domain):
    """Whoever can read it can do that."""
    folder = site.folder.sub("settings-" + domain)
    policy = os.path.join(folder, "policy")
    open(policy, "w").close()
    one = Settings(folder, {**CONF, "store": f"file:{policy}"}).start()
    try:
        alice = one.user()
        with open(policy) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert alice.patch({"protocols": {"sieve": "off"}}).status == 503
            assert "locked" in one.wait_log("event=store-error")
            assert alice.get()["protocols"]["sieve"]["status"] == "on"
        assert alice.change({"protocols": {"sieve": "off"}})
    finally:
        assert one.stop() == 0


def test_a_policy_file_that_it_cannot_write(domain):
    """-t says so, tried as the user that the program will have."""
    folder = Folder()
    policy, program = folder.file("policy"), shutil.copy(PROGRAM, folder.file("program"))
    with open(policy, "w") as file:
        file.write("account:@example.com source any\n")
    one = Settings(folder.path, {**CONF, "store": f"file:{policy}"})
    shutil.chown(one.tokens, "nobody")

    def checked():
        run = subprocess.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
                              program, "-t", "-c", one.conf], capture_output=True, text=True)
        return run.returncode, run.stderr
    try:
        status, told = checked()
        assert status == 78 and f'store "file:{policy}": Permission denied' in told
        shutil.chown(policy, "nobody")
        status, told = checked()
        assert status == 78 and "a new file cannot be made in its directory" in told
        shutil.chown(folder.path, "nobody")
        assert checked() == (0, "")
    finally:
        folder.remove()
