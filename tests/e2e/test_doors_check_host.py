"""`gatepostctl doors check` of a real host with Dovecot, Postfix and Gatepost, and `protocol off
--kick` of a session that is open there.
"""

import os
import shutil

import pytest

from support.dovecot import PASSWORD
from support.dovecot_host import DovecotHost
from support.gatepost import Gatepost
from support.gatepostctl import Gatepostctl
from support.mail_logins import OK
from support.policy import load
from support.postfix import LISTENERS
from support.process import wait_until
from support.site import Site
from support.tls import Authority

HOST = "mail.gatepost.test"
ALICE, BOB, CANARY = "alice@example.com", "bob@example.com", "canary@example.com"
CLOSED = f"account:@example.com source any\naccount:{CANARY} protocol:* off\n"

# no login in the clear, and no waiting for one who is refused often
_STRICT_2_3 = "\ndisable_plaintext_auth = yes\n"
_STRICT_2_4 = "\nauth_allow_cleartext = no\n"
_NO_PENALTY = """
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""


class Host(DovecotHost):
    """A DovecotHost with a certificate of `authority`; `strict`: no login in the clear."""

    def __init__(self, redis_url, authority):
        super().__init__(redis_url)
        self._authority = authority
        for user in (ALICE, BOB, CANARY):
            self.dovecot.add_user(user)
        self._conf = os.path.join(self.dovecot.folder, "dovecot.conf")
        with open(self._conf) as file:
            self._lax = file.read()
        self._main = os.path.join(self.postfix.folder, "etc", "main.cf")
        with open(self._main) as file:
            self._lax_main = file.read()
        self.certify()
        self.set_strict(True)

    def set_strict(self, strict):
        with open(self._conf, "w") as file:
            old = "dovecot_config_version" not in self._lax
            file.write(self._lax + _NO_PENALTY
                       + ((_STRICT_2_3 if old else _STRICT_2_4) if strict else ""))
        with open(self._main, "w") as file:
            file.write(self._lax_main + ("smtpd_tls_auth_only = yes\n" if strict else ""))
        os.utime(self._main, (0, 0))

    def certify(self, **made):
        """The servers show what the authority makes of this from their next start on."""
        issued = self._authority.issue("host", **{"subject": f"DNS:{HOST}", "days": 60, **made})
        for source, name in zip(issued, ("cert.pem", "key.pem")):
            shutil.copy(source, os.path.join(self.folder.path, name))

    def restart(self):
        self.postfix.stop()
        self.dovecot.stop()
        self.start()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("ca")))


@pytest.fixture(scope="module")
def host(redis_server, authority):
    made = Host(redis_server.url, authority)
    try:
        made.start_gatepost()
        yield made.start()
        assert made.gatepost.stop() == 0
    finally:
        made.stop()


@pytest.fixture
def policy(host, redis, request):
    """A function (lines): the policy, of which Gatepost has heard."""
    request.node.gatepost = host.gatepost
    request.node.server_log = host.dovecot.log_text
    if not host.gatepost.running():
        host.start_gatepost()

    def set_policy(text=CLOSED):
        redis.cli("FLUSHALL")
        load(redis, text)
        host.gatepost.catch_up(redis)
    set_policy()
    return set_policy


@pytest.fixture
def ctl(host, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", authority.cert)
    return Gatepostctl(host.gatepost.conf)


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return str(path)


def ports_of(host):
    at, to = host.dovecot.ports, host.postfix.ports
    return {"imap": at[143], "imaps": at[993], "pop3": at[110], "pop3s": at[995],
            "sieve": at[4190], "submission": at[587], "submissions": at[465], "smtp": to["smtp"],
            "smtp-alt": to["postfix 587"]}


def check(ctl, host, *options):
    words = [f"--port={door}={port}" for door, port in ports_of(host).items()]
    return ctl.run("doors", "check", HOST, "--address", "127.0.0.1", "--json", *words, *options)


def with_canary(password):
    return "--canary", CANARY, "--password-file", password


def states(run):
    return {door["door"]: door["state"] for door in run.json()["doors"]}


def words(run):
    return {door["door"]: [remark["word"] for remark in door["remarks"]]
            for door in run.json()["doors"]}


def everywhere(host, what):
    return {door: what for door in ports_of(host)}


def test_a_stranger(ctl, host, policy):
    """Dovecot trusts its own address: without another one to ask from, each door is a finding."""
    run = check(ctl, host)
    assert run.status == 0 and states(run) == everywhere(host, "good"), run
    assert words(run) == everywhere(host, [])
    for door in run.json()["doors"]:
        assert door["tls"] == "TLSv1.3" and door["certificate"]["names"] == HOST
        assert door["certificate"]["verified"]


def test_the_canary_is_refused_everywhere(ctl, host, policy, password):
    run = check(ctl, host, *with_canary(password))
    assert run.status == 0 and states(run) == everywhere(host, "refused"), run
    for door in run.json()["doors"]:
        assert f"is switched off for {CANARY}" in door["remarks"][0]["text"], door


def test_the_canary_is_let_in(ctl, host, policy, password):
    policy(CLOSED + f"account:{CANARY} protocol:imap on\naccount:{CANARY} protocol:submission on\n")
    run = check(ctl, host, *with_canary(password))
    let_in = {"imap", "imaps", "submission", "smtp", "smtp-alt"}
    assert run.status == 1 and words(run) == {
        door: ["let-in" if door in let_in else "refused"] for door in ports_of(host)}, run


def test_a_wrong_password_proves_nothing(ctl, host, policy, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    run = check(ctl, host, *with_canary(str(wrong)))
    assert run.status == 2 and words(run) == everywhere(host, ["unproven"]), run


def test_without_gatepost_nothing_is_proven(ctl, host, policy, password):
    host.gatepost.stop()
    run = check(ctl, host, *with_canary(password))
    assert run.status == 2 and words(run) == everywhere(host, ["unproven"]), run


def test_another_reason_proves_nothing(ctl, host, policy, password):
    policy(f"account:@example.com source any\naccount:{CANARY} protocol:imap x\n")
    run = check(ctl, host, "--port=pop3=none", *with_canary(password))
    told = words(run)
    assert run.status == 1 and told["imaps"] == ["unproven"] and told["pop3s"] == ["let-in"], run


def test_logins_in_the_clear(ctl, host, policy):
    host.set_strict(False)
    host.restart()
    try:
        run = check(ctl, host)
        text = ctl.run("doors", "check", HOST, "--address=127.0.0.1", *(
            f"--port={door}={port if door == 'imap' else 'none'}"
            for door, port in ports_of(host).items()))
    finally:
        host.set_strict(True)
        host.restart()
    wrapped = {"imaps", "pop3s", "submissions"}
    assert run.status == 1 and words(run) == {
        door: [] if door in wrapped else ["auth-in-the-clear"] for door in ports_of(host)}, run
    assert text.status == 1
    assert "  FINDING: auth-in-the-clear: it offers a login without TLS: PLAIN" in text.out


@pytest.mark.parametrize("made, word", [
    ({"expired": True}, "certificate-expired"),
    ({"subject": "DNS:other.example"}, "certificate-name"),
    ({"days": 5}, "certificate-expires"),
])
def test_certificates(ctl, host, policy, password, made, word):
    host.certify(**made)
    host.restart()
    try:
        run = check(ctl, host, *with_canary(password))
    finally:
        host.certify()
        host.restart()
    then = "refused" if word == "certificate-expires" else "not-tried"
    assert run.status == 1 and words(run) == everywhere(host, [word, then]), run


def test_only_the_milter_refuses(authority, redis, password, monkeypatch):
    """Where Dovecot asks nobody, the login succeeds and MAIL FROM is refused."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.cert)
    doors = {name: LISTENERS[name] for name in ("mx", "submission", "submissions")}
    site = Site(doors, (CANARY.encode(),))
    gatepost = None
    try:
        for source, name in zip(authority.issue("site", f"DNS:{HOST}", days=60),
                                ("cert.pem", "key.pem")):
            shutil.copy(source, site.folder.file(name))
        gatepost = Gatepost(site.folder.path, {
            "store": redis.url, "trusted": [], "default_domain": "example.com", "listener": {
                name: {"daemon_name": doors[name].daemon_name, "service": service}
                for name, service in (("mx", "smtp"), ("submission", "submission"),
                                      ("submissions", "submissions"))}},
            socket=site.milter_socket).start()
        site.start()
        ports = {"smtp": site.postfix.ports["mx"], "submission": site.postfix.ports["submission"],
                 "submissions": site.postfix.ports["submissions"]}
        args = ["doors", "check", HOST, "--address=127.0.0.1", "--json", *with_canary(password), *(
            f"--port={door}={ports.get(door, 'none')}" for door in (
                "smtp", "submission", "submissions", "smtp-alt", "imap", "imaps", "pop3", "pop3s",
                "sieve"))]
        load(redis, CLOSED)
        gatepost.catch_up(redis)
        run = Gatepostctl(gatepost.conf).run(*args)
        # Postfix offers logins in the clear on its "mx", as it is set up for the tests
        assert run.status == 1 and words(run) == {
            "smtp": ["auth-in-the-clear", "refused"], "submission": ["refused"],
            "submissions": ["refused"]}, run
        load(redis, f"account:{CANARY} protocol:submissions on\n")
        gatepost.catch_up(redis)
        assert words(Gatepostctl(gatepost.conf).run(*args))["submissions"] == ["let-in"]
    finally:
        if gatepost:
            gatepost.stop()
        site.stop()


# ---- sessions that are open ----

@pytest.fixture
def doveadm(host, tmp_path, monkeypatch):
    """doveadm(1) of the host, as it is called without any option where Dovecot is the system's."""
    script = tmp_path / "doveadm"
    script.write_text(f'#!/bin/sh\nexec /usr/bin/doveadm -c {host.dovecot.folder}/dovecot.conf "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return script


def open_session(host, user=ALICE):
    outcome, line = host.doors["imaps"].login(user, PASSWORD, host.new_address(), keep=True)
    assert outcome.kind == OK, outcome
    return line


def is_open(line):
    return line.ask("n NOOP", "n OK") != ""


def has_ended(line):
    """Whether the server says goodbye, now."""
    return line.read_until(r"\* BYE") != ""


def set_of(redis, account=ALICE):
    return redis.cli("HGETALL", f"gatepost:account:{account}").split()


def test_open_sessions_stay_open(ctl, host, policy, redis, doveadm):
    line = open_session(host)
    run = ctl.do("protocol", "off", ALICE, "imap")
    assert run.out == f"account:{ALICE} protocol:imap: unset -> off\n"
    assert run.err == (f"gatepostctl: {ALICE}: sessions that are open stay open, as by IMAP and "
                       f"POP3; --kick ends them\n")
    assert is_open(line)
    assert ctl.json("protocol", "off", ALICE, "pop3")["sessions_stay_open"] is True
    assert "sessions_stay_open" not in ctl.json("protocol", "off", ALICE, "caldav")
    assert ctl.do("protocol", "off", ALICE, "caldav").err == ""
    assert ctl.do("protocol", "on", ALICE, "imap").err == ""
    line.close()


def test_kick(ctl, host, policy, redis, doveadm):
    line, other = open_session(host), open_session(host, BOB)
    run = ctl.do("protocol", "off", ALICE, "imap", "--kick")
    assert run.out.splitlines() == [f"account:{ALICE} protocol:imap: unset -> off",
                                    f"{ALICE}: open sessions were ended (doveadm kick)"]
    assert run.err == "" and has_ended(line) and is_open(other)
    assert host.login("imaps", ALICE).kind != OK
    run = ctl.do("protocol", "off", ALICE, "imap", "--kick")
    assert f"{ALICE}: no session was open (doveadm kick)" in run.out
    other.close()


def test_kick_as_json(ctl, host, policy, redis, doveadm):
    line = open_session(host)
    told = ctl.json("protocol", "off", ALICE, "imap", "--kick")
    assert told["kick"]["exit"] == 0 and told["changes"] and has_ended(line)


def test_kick_dry(ctl, host, policy, redis, doveadm):
    line = open_session(host)
    ctl.do("protocol", "off", ALICE, "imap", "--kick", "--dry-run")
    assert is_open(line) and set_of(redis) == []
    line.close()


def test_kick_without_doveadm(ctl, host, policy, redis, tmp_path, monkeypatch):
    with monkeypatch.context() as nowhere:
        nowhere.setenv("PATH", str(tmp_path))
        run = ctl.run("protocol", "off", ALICE, "imap", "--kick")
        as_json = ctl.run("protocol", "off", ALICE, "pop3", "--kick", "--json")
    assert run.status == 2 and "off" in set_of(redis)
    assert run.err == (f"gatepostctl: {ALICE}: switched off, but its sessions are still open: "
                       f"doveadm cannot be started: No such file or directory\n")
    assert as_json.status == 2 and as_json.json()["kick"] == {
        "exit": None, "said": "doveadm cannot be started: No such file or directory"}


@pytest.mark.parametrize("script, status", [
    ("echo no rights >&2; exit 77", "exit status 77: no rights"), ("kill -9 $$", "exit status 137: ")])
def test_kick_that_fails(ctl, host, policy, redis, doveadm, script, status):
    doveadm.write_text(f"#!/bin/sh\n{script}\n")
    run = ctl.run("protocol", "off", ALICE, "imap", "--kick")
    assert run.status == 2 and f"its sessions are still open: doveadm kick: {status}" in run.err


def test_kick_is_no_shell(ctl, host, policy, redis, doveadm, tmp_path):
    """What doveadm is given is one word, and no option."""
    doveadm.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\n')
    odd = "$(id);-a@example.com"
    ctl.do("protocol", "off", odd, "imap", "--kick")
    assert (tmp_path / "words").read_text().splitlines() == ["kick", "--", odd]


@pytest.mark.parametrize("account", ["@example.com", "*", "a*b@example.com", "a?b@example.com"])
def test_kick_of_many_is_refused(ctl, host, policy, redis, doveadm, account):
    run = ctl.run("protocol", "off", account, "imap", "--kick")
    assert run.status == 1 and "--kick takes one account" in run.err
    assert "off" not in set_of(redis, account)


def test_kick_belongs_to_off(ctl, host):
    for word in ("on", "unset"):
        run = ctl.run("protocol", word, ALICE, "imap", "--kick")
        assert run.status == 2 and "--kick does not belong to this command" in run.err
