"""README.md, "Dovecot": its commands set up a host, and its table says what clients are told."""

import os
import re
import subprocess

import pytest

from support.dovecot import PASSWORD
from support.dovecot_host import LISTENERS, DovecotHost, all_of, kinds
from support.gatepost import check
from support.gatepostctl import Gatepostctl
from support.mail_logins import OK

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
ALICE = "alice@example.com"
ROWS = {"IMAP": "imaps", "POP3": "pop3s", "ManageSieve": "sieve",
        "submission by Dovecot": "submission", "AUTH at Postfix": "postfix 587"}


def section():
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        return file.read().partition("\n## Dovecot\n")[2].partition("\n## ")[0]


def commands():
    """Those of the steps, in their order; a line that ends with a backslash goes on."""
    lines = [line[8:] for line in section().splitlines() if line.startswith(" " * 8)]
    return "\n".join(lines).replace("\\\n", "").splitlines()


class Operator:
    """Does the commands on a host of the tests, whose files lie elsewhere."""

    def __init__(self, host, redis):
        self.host = host
        self._redis = redis
        self.finished = {}      # {command: (exit status, what it printed)}

    def do(self, command):
        program, *words = command.split()
        known = {"apt-get": self._packages, "systemctl": self._restart, "gatepost": self._check,
                 "gatepostctl": self._ctl, "-o": self._option}
        done = known.get(program, self._shell)(command, words)
        self.finished[command] = done

    def _packages(self, _, words):
        for package in words[1:]:
            subprocess.run(["dpkg-query", "-s", package], check=True, capture_output=True)

    def _restart(self, _, words):
        if words == ["restart", "gatepost"]:
            self.host.start_gatepost()
        else:
            assert words == ["restart", "dovecot"]
            self.host.start()

    def _check(self, *_):
        finished = check(self.host.gatepost.conf)
        assert finished.returncode == 0, finished.stderr

    def _option(self, _, words):
        assert any(words[0] in listener.options for listener in LISTENERS.values())

    def _ctl(self, _, words):
        run = Gatepostctl(self.host.gatepost.conf).run(*words)
        if self.host.gatepost.running():
            self.host.gatepost.catch_up(self._redis)
        return run.status, run.out + run.err

    def _shell(self, command, _):
        here = {"/etc/gatepost/doors-token": self.host.token_file,
                "/etc/gatepost/gatepost.conf": self.host.gatepost.conf,
                "/etc/dovecot/": self.host.dovecot.etc + "/",
                "chown gatepost ": "chown root ",      # there may be no such user here
                "doveadm ": f"doveadm -c {self.host.dovecot.conf} ",
                "doveconf ": f"doveconf -c {self.host.dovecot.conf} "}
        for word, instead in here.items():
            command = command.replace(word, instead)
        if " auth test " in command:
            command += " " + PASSWORD                   # it would ask for it
        finished = subprocess.run(["sh", "-ec", command], capture_output=True, text=True,
                                  timeout=60, cwd=TOP, check=False)
        self._localize()
        return finished.returncode, finished.stdout + finished.stderr

    def _localize(self):
        """What came as it is in conf/dovecot gets this host's sockets and ports."""
        for name, path in (("gatepost.lua", os.path.join(self.host.dovecot.etc, "gatepost.lua")),
                           ("gatepost.conf", self.host.gatepost.conf)):
            with open(os.path.join(TOP, "conf/dovecot", name)) as file:
                shipped = file.read()
            with open(path) as file:
                text = file.read()
            with open(path, "w") as file:
                file.write(text.replace(shipped, self.host.localized(name)))


@pytest.fixture(scope="module")
def operator(redis_server):
    """Who has done all that section says, from nothing."""
    redis_server.cli("FLUSHALL")
    host = DovecotHost(redis_server.url)
    host.configure("")
    for name in ("gatepost.lua", "disabled-users", "gatepost-token.conf"):
        os.remove(os.path.join(host.dovecot.etc, name))
    os.remove(host.token_file)
    host.dovecot.add_user(ALICE)
    made = Operator(host, redis_server)
    try:
        for command in commands():
            made.do(command)
        yield made
        assert host.gatepost.stop() == 0
    finally:
        host.stop()


def only(finished, *words):
    """The one command with these words: (exit status, what it printed)."""
    found, = [done for command, done in finished.items() if all(w in command for w in words)]
    return found


def test_every_command_was_done(operator):
    """In the end the door is open again."""
    for command, done in operator.finished.items():
        if done and "auth test" not in command and "explain" not in command:
            assert done == (0, done[1]), (command, done)
    assert kinds(operator.host.everywhere(ALICE)) == all_of(OK)


def test_what_they_show(operator):
    status, printed = only(operator.finished, "auth test")
    assert status == 77 and "imap is switched off for alice@example.com" in printed
    status, printed = only(operator.finished, "explain")
    assert status == 5 and "protocol-disabled" in printed


def test_what_they_leave(operator):
    """Tokens that nobody else can read, and the same for both."""
    paths = operator.host.token_file, os.path.join(operator.host.dovecot.etc, "gatepost-token.conf")
    token, header = (open(path).read() for path in paths)
    assert len(token) > 30 and header.endswith(": " + token)
    assert [os.stat(path).st_mode & 0o777 for path in paths] == [0o600, 0o600]


def shown():
    """{door: (told of a closed door, told while Gatepost is away)} of the table."""
    rows = re.findall(r'^\| ([^|`]+) \| `([^`]+) \.\.\."?` \| `([^`]+)`', section(), re.MULTILINE)
    assert {row[0] for row in rows} == set(ROWS)
    return {ROWS[client]: (closed, away) for client, closed, away in rows}


def test_the_table_of_what_clients_are_told(operator):
    host = operator.host
    operator.do(f"gatepostctl protocol off {ALICE} imap pop3 sieve submission --force")
    for door, (closed, _) in shown().items():
        assert host.login(door, ALICE).text.startswith(closed)
    host.gatepost.stop()
    for door, (_, away) in shown().items():
        assert host.login(door, ALICE).text.startswith(away)
    host.start_gatepost()
