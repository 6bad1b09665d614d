"""A year of a small host: what `unused`, `suggest` and `replay` say of it is true.

The model (support/year.py) knows what 200 accounts do in a year and in the 90 days after it. Their
logins of the year are recorded by the function that the filter records with, each at its own time;
a sample of logins at Dovecot and Postfix shows that the filter records the same. The verdicts of
the year are the filter's. Then the proposals are carried out, and the 90 days are asked for again.
"""

import calendar
import collections
import os
import shlex
import subprocess
import time

import pytest

from support import policy as policies, year as model
from support.doors import DoorClient, Doors
from support.dovecot_host import SERVICES as DOORS, DovecotHost
from support.gatepost import BINARY, Gatepost
from support.gatepostctl import CTL, Gatepostctl
from support.mail_logins import OK
from support.milter_client import MilterClient
from support.nameserver import NameServer
from support.process import wait_until
from support.redis_server import RedisServer
from support.year import AFTER, SENDING, YEAR, Login, Mail, Year, block_of, is_told

NOTE_USES = os.environ.get("NOTE_USES", os.path.join(os.path.dirname(BINARY),
                                                     "../tests/bench/note_uses"))
KEPT = 400 * 86400
DAY = 86400
LISTENERS = {
    "mx": {"daemon_name": "MX", "service": "smtp"},
    "submission": {"daemon_name": "SUBMISSION", "service": "submission", "tls": "required",
                   "auth": "required"},
    "submissions": {"daemon_name": "SUBMISSIONS", "service": "submissions", "tls": "required",
                    "auth": "required"},
    "dav": {"door": "http", "service": "caldav", "authenticated": True},
    "webmail": {"door": "http", "service": "webmail", "authenticated": True},
}


def note_uses(url, lines):
    """Record logins (seconds, account, service, address), which are in the order of time."""
    text = "".join(" ".join(map(str, line)) + "\n" for line in lines)
    run = subprocess.run([NOTE_USES, url, str(KEPT)], input=text, capture_output=True, text=True,
                         timeout=120, check=False)
    assert (run.returncode, run.stdout) == (0, f"{len(lines)}\n"), run.stderr


class Host:
    """The filter with its doors, a Redis of its own, and a name server with the model's zones."""

    def __init__(self, folder, redis):
        self.dns = NameServer({name: {"TXT": [text]} for name, text in model.ZONES.items()})
        self.redis, self.doors = redis, Doors(folder)
        settings = {"store": redis.url, "trusted": [], "default_domain": model.MAIN,
                    "listener": LISTENERS, **self.doors.settings,
                    "spf": {"nameservers": [self.dns.address], "timeout": "2s"}}
        self.gatepost = Gatepost(folder, settings)
        self.ctl = Gatepostctl(os.path.join(folder, "ctl.conf"), {**settings, "record_use": True})
        self._http = DoorClient(self.doors.unix_path, keep=True)

    def start(self):
        self.gatepost.start()
        return self

    def stop(self):
        self._http.close()
        status = self.gatepost.stop()
        self.dns.stop()
        return status

    def _at_mta(self, address, asked):
        """By one client, in one connection for each door: {question: is it let in}."""
        told = {}
        for door in sorted({getattr(one, "service", "mx") for one in asked}):
            with MilterClient(self.gatepost.socket) as mta:
                mta.negotiate()
                mta.connect(address, "client.example", {"{daemon_name}": door.upper()})
                mta.helo()
                for one in asked:
                    if getattr(one, "service", "mx") != door:
                        continue
                    login = one.account if isinstance(one, Login) else None
                    tls = {"{tls_version}": "TLSv1.3"} if login else None
                    told[one] = mta.mail(one.account, login=login, macro_values=tls).letter == "c"
                    mta.abort()
        return told

    def _elsewhere(self, one):
        if one.service in ("imap", "pop3"):
            return self._http.dovecot(one.account, one.service, remote=one.address,
                                      tls=True)["status"] == 0
        return self._http.allow(one.account, one.service, one.address).status == 200

    def ask(self, questions):
        """{login or mail: is it let in}, by the door that it comes to."""
        told, by_address = {}, collections.defaultdict(list)
        for one in questions:
            if isinstance(one, Mail) or one.service in SENDING:
                by_address[one.address].append(one)
            else:
                told[one] = self._elsewhere(one)
        for address, asked in by_address.items():
            told.update(self._at_mta(address, asked))
        return told


def different(logins, days=AFTER + YEAR):
    """One of those in which the account, the door and the block are the same, for each such time."""
    found = {}
    for one in logins:
        found.setdefault((one.day // days, one.account, getattr(one, "service", ""),
                          block_of(one.address)), one)
    return list(found.values())


@pytest.fixture(scope="module")
def year():
    return Year()


@pytest.fixture(scope="module")
def host(site, year):
    """After the year: its record stands in Redis, and its verdicts, of each fourth week, in the
    log. `logged` has the questions that these answer."""
    redis = RedisServer(site.folder.sub("year-redis"))
    redis.start()
    policies.load(redis, model.POLICY)
    began = int(time.time())
    note_uses(redis.url, [(began + one.day * DAY + one.second, one.account, one.service,
                           one.address) for one in year.logins(-YEAR, 0) if is_told(one)])
    made = Host(site.folder.sub("year"), redis).start()
    try:
        logged = [one for one in (*year.logins(-YEAR, 0), *year.mails(-YEAR, 0),
                                  *year.attacks(-YEAR, 0)) if one.day // 7 % 4 == 0]
        # a guessed password never comes as far as the MTA's MAIL
        guessed = set(year.attacks(-YEAR, 0))
        made.logged = [one for one in different(logged, 7)
                       if not (one in guessed and one.service in SENDING)]
        made.ask(made.logged)
        yield made
        assert made.stop() == 0
    finally:
        redis.stop()


# ---- the record is what the filter writes


def record(redis, account):
    words = redis.cli("HGETALL", "gatepost-use:" + account).splitlines()
    return dict(zip(words[::2], words[1::2]))


def seconds(stamp):
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def test_dovecot_and_postfix_leave_the_same_record(redis, redis_server, site):
    """Logins by each door, recorded by the running filter, and the same by note_uses."""
    real = DovecotHost(redis_server.url, record_use=True)
    again = RedisServer(site.folder.sub("year-again"))
    alice, bob, carol = (f"{name}@example.com" for name in ("alice", "bob", "carol"))
    report = "auth_policy_report_after_auth = "
    try:
        again.start()
        for user in (alice, bob, carol):
            real.dovecot.add_user(user)
        real.dovecot.change(lambda conf: conf.replace(report + "no", report + "yes"))
        policies.load(redis, "account:@example.com source any")     # a domain that is known
        real.start_gatepost()
        real.start()
        came = []
        for user, door, service in ((user, *one) for user in (alice, bob) for one in DOORS.items()):
            source = real.new_address()
            assert real.login(door, user, source=source).kind == OK
            came.append((int(time.time()), user, service, source))
        assert real.login("imap", carol, "guessed").kind != OK
        note_uses(again.url, came)
        for user in (alice, bob, "*"):
            ours = record(again, user)
            wait_until(lambda: record(redis, user).keys() == ours.keys(), what="the record")
            for field, value in record(redis, user).items():
                for one, other in zip(value.split(" "), ours[field].split(" "), strict=True):
                    assert abs(seconds(one) - seconds(other)) < 60
        assert not record(redis, carol)
        assert real.gatepost.stop() == 0
    finally:
        again.stop()
        real.stop()


# ---- what is proposed


class Truth:
    """What the model says of a set of changes: whom they would shut out, and of what."""

    def __init__(self, year, commands):
        self.year = year
        self.closed = collections.defaultdict(set)      # account: protocols
        self.listed = collections.defaultdict(set)      # account: blocks
        self.authorized = set()
        for words in commands:
            if words[:2] == ["protocol", "off"]:
                self.closed[words[2]].update(words[3:])
            elif words[:2] == ["ip", "add"]:
                self.listed[words[2]].add(words[3])
            else:
                assert words[:2] == ["source", "authorized"], words
                self.authorized.add(words[2])

    def refuses(self, one):
        """Would it be refused that was let in before?"""
        if isinstance(one, Login) and one.service in self.closed[one.account]:
            return True
        asks = isinstance(one, Mail) or one.service in SENDING
        if not asks or one.account not in self.authorized:
            return False
        if isinstance(one, Mail) and model.passes(one):
            return False
        return block_of(one.address) not in self.listed[one.account]

    def false(self):
        """What people do after the year and would be refused."""
        return [one for one in (*self.year.logins(0, AFTER), *self.year.mails(0, AFTER))
                if self.refuses(one)]

    def protocols(self):
        return {(account, name) for account, names in self.closed.items() for name in names}


def commands(ctl, *args):
    """The commands of the lines that it prints, each as its words."""
    lines = ctl.do(*args, "--commands").out.splitlines()
    return [shlex.split(one)[1:] for line in lines for one in line.split(" && ")]


def say(name, truth, found, possible):
    print(f"{name}: {len(truth.false())} false; {len(found & possible)} of {len(possible)} true "
          f"ones found")


def closable(year, before):
    """What may be closed of those who came in within `before` days: (account, protocol)."""
    there = {one.account for one in year.logins(-before, 0)}
    off = {(account.name, protocol) for account in year.accounts for protocol in ("pop3", "webmail")
           if account.name.endswith("@" + model.CLOSED)}
    return {(account.name, service) for account in year.accounts if account.name in there
            for service in model.SERVICES if service not in account.used_after()} - off


def settled(year, before):
    """Those who send after the year from where they did in it, from at most three blocks, and in
    no other way."""
    found = set()
    for account in year.accounts:
        blocks = {block_of(one.address) for one in account.logins
                  if one.service in SENDING and one.day < 0}
        after = {block_of(one.address) for one in account.logins
                 if one.service in SENDING and one.day >= 0}
        there = any(-before <= one.day < 0 for one in account.logins)
        if there and after <= blocks and 0 < len(blocks) <= 3 and \
                all(map(model.passes, account.mails)) and \
                not account.name.endswith("@" + model.LISTED):
            found.add(account.name)
    return found


def outlast(year):
    """The accounts that come in by some door more rarely than in the default's 90 days, and by
    others all the time."""
    return {account.name for account in year.accounts if account.kind in ("rare", "occasional")}


@pytest.mark.parametrize("command", ["unused", "suggest"])
@pytest.mark.parametrize("period", [None, "250d"])
def test_no_proposal_is_false(host, year, command, period):
    said = commands(host.ctl, command, *(("--for", period) if period else ()))
    rare = set() if period else outlast(year)
    truth = Truth(year, [words for words in said
                         if words[0] != "protocol" or words[2] not in rare])
    days = 250 if period else 90
    name = f"{command} --for {period}" if period else command
    say(f"{name}: protocols", truth, truth.protocols(), closable(year, days))
    if command == "suggest":
        say(f"{name}: sources", truth, truth.authorized, settled(year, days))
    false = collections.Counter((one.account, getattr(one, "service", "without a login"))
                                for one in truth.false())
    assert not false, false


# ---- and carried out


def carry_out(host, lines, folder):
    """The printed lines in a shell, where gatepostctl has this host's configuration."""
    path = os.path.join(folder, "gatepostctl")
    with open(path, "w") as script:
        script.write(f'#!/bin/sh\nexec {CTL} -c {host.ctl.conf} "$@" >/dev/null\n')
    os.chmod(path, 0o755)
    text = "".join(f"{{ {line}; }} || {{ echo 'failed: '{shlex.quote(line)}; exit 1; }}\n"
                   for line in lines)
    done = subprocess.run(["sh"], input=text, text=True, capture_output=True, timeout=300,
                          check=False, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (0, ""), done
    assert all("--kick ends them" in line for line in done.stderr.splitlines()), done.stderr


def check_replay(host, year, log, said):
    """How many verdicts of the log change, of each account as many as the model knows."""
    truth = Truth(year, said)
    told = host.ctl.run("replay", "--json", *(word for words in said
                                              for word in ("--with", shlex.join(words))), text=log)
    told = told.json()
    expected = collections.Counter(one.account for one in host.logged if truth.refuses(one))
    found = collections.Counter()
    for row in told["changes"]:
        assert row["to"]["verdict"] == "reject"
        found[row["account"]] += row["verdicts"]
    assert found == expected and told["would_change"] == expected.total()
    return told["would_change"]


def test_replay_and_the_days_after(host, year, site):
    """`replay --with` all proposals changes what the model knows that they change; carried out,
    they refuse nobody of the host, and the attackers that the model knows they do."""
    rare = outlast(year)
    lines = host.ctl.do("suggest", "--for", "250d", "--commands").out.splitlines()
    lines += [line for line in host.ctl.do("suggest", "--commands").out.splitlines()
              if line not in lines and shlex.split(line)[3] not in rare]
    said = [shlex.split(one)[1:] for line in lines for one in line.split(" && ")]
    truth = Truth(year, said)

    log = "\n".join(host.gatepost.log_lines())
    number = check_replay(host, year, log, said)
    print(f"replay: {number} of {len(host.logged)} verdicts would change")
    for kind in ("office", "traveller", "reader", "provider"):      # what nobody proposes
        account = next(one.name for one in year.accounts if one.kind == kind)
        for words in (["protocol", "off", account, "imap", "pop3"],
                      ["source", "authorized", account]):
            assert check_replay(host, year, log, [words]) > 10 or kind == "reader"

    people = different([*year.logins(0, AFTER), *year.mails(0, AFTER)])
    attacks = year.attacks(0, AFTER)
    before = host.ask([*people, *attacks])
    carry_out(host, lines, site.folder.sub("year-bin"))
    host.gatepost.catch_up(host.redis)
    after = host.ask([*people, *attacks])
    shut_out = [one for one in people if before[one] and not after[one]]
    assert not shut_out, shut_out
    refused = [one for one in attacks if before[one] and not after[one]]
    assert set(refused) == {one for one in attacks if before[one] and truth.refuses(one)}
    assert not [one for one in attacks if after[one] and not before[one]]
    print(f"{len(said)} commands; {len(people)} of the host let in as before; of {len(attacks)} "
          f"logins with stolen passwords {sum(not before[one] for one in attacks)} were refused "
          f"before, {sum(not after[one] for one in attacks)} now")
    assert len(refused) > len(attacks) // 4
