"""gatepostctl replay: the log judged by today's policy, by one with changes on top, by a file.

What it prints stands in golden/replay.txt; UPDATE_GOLDEN=1 writes it anew.
"""

import gzip
import json
import os
import subprocess
import sys
import time

import pytest

from support import logfmt, policy as policies
from support.decision_table import DecisionTable
from support.doors import Doors
from support.explaining import SETTINGS, ctl, policy  # noqa: F401 (fixtures)
from support.gatepostctl import CTL, Gatepostctl
from support.process import wait_until
from test_explain import ask_filter

GOLDEN = os.path.join(os.path.dirname(__file__), "golden/replay.txt")
LINE = ("event=verdict stage=mail session=886e3baa-16 queue= listener=mx service=smtp "
        "client=192.0.2.7 helo=client.example sender=bob@b.example login= account=bob@b.example "
        "spf=none verdict=accept reason=spf from=conf mode=enforce would= reply= us=1 tls=no")

PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"""


def with_values(line=LINE, **values):
    """The line with other values; None takes a key out of it."""
    pairs = {**logfmt.parse(line), **{key.replace("_", "-"): value
                                      for key, value in values.items()}}
    return " ".join(f"{key}={value}" for key, value in pairs.items() if value is not None)


def as_json(line):
    return json.dumps({key: value or None for key, value in logfmt.parse(line).items()},
                      separators=(",", ":"))


def login(account="bob@b.example", **values):
    return with_values(**{"listener": "submission", "service": "submission", "login": account,
                          "sender": account, "account": account, "spf": "", "reason": "account",
                          "tls": "yes", **values})


def replay(ctl, *words, text=None):
    """(exit status, what is told)."""
    run = ctl.run("replay", *words, "--json", text=text)
    return run.status, run.json()


def changes(told):
    """{(account, from, to): verdicts}, `from` and `to` as "reject spf" or "accept (reject spf)"."""
    def say(outcome):
        would = f" ({outcome['would']})" if outcome["would"] else ""
        return outcome["verdict"] + would + \
            (" " + outcome["reason"] if would or outcome["verdict"] != "accept" else "")
    return {(row["account"], say(row["from"]), say(row["to"])): row["verdicts"]
            for row in told["changes"]}


# --- a filter's own log


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        table = DecisionTable()
        at_mta = "elsewhere" not in metafunc.function.__name__
        cases = [case for case in table.cases if table.is_mta(case.door) == at_mta]
        metafunc.parametrize("case", cases, ids=[case.name.replace(" ", "-") for case in cases])


def test_every_row_of_the_decision_is_judged_as_it_was(case, decision_table, filter_switch, redis,
                                                       dns, dead_store, request):
    store = dead_store if case.store_down else redis.url
    gatepost = filter_switch.use(decision_table.settings(dns.address, store, case))
    request.node.gatepost = gatepost
    dns.zones.update(case.zones())
    case.store(redis)
    if not case.store_down:
        gatepost.catch_up(redis)
    wait_until(lambda: ask_filter(gatepost, case), what=case.reason)
    dns.forget_counts()
    run = Gatepostctl(gatepost.conf).run("replay", "--json", text="\n".join(gatepost.log_lines()))
    if case.providers or case.name.startswith("provider: "):
        assert set(run.json()["cannot_tell"]) <= {"provider"} and run.status in (0, 2), run
        return
    if case.reason == "policy-unavailable":
        assert run.status == 2
        return
    assert (run.status, run.json()["would_change"], run.json()["cannot_tell"]) == (0, 0, {}), run
    assert dns.count() == 0


@pytest.fixture(scope="module")
def doors_of(site):
    """A function (settings): the Doors of the filter that has them."""
    made = {}

    def doors(settings):
        key = json.dumps(settings, sort_keys=True)
        if key not in made:
            made[key] = Doors(site.folder.sub(f"doors-of-replay-{len(made)}"))
        return made[key]
    return doors


def test_every_row_of_a_login_elsewhere_is_judged_as_it_was(
        case, decision_table, filter_switch, redis, dns, dead_store, doors_of, request):
    store = dead_store if case.store_down else redis.url
    settings = decision_table.settings(dns.address, store, case)
    doors = doors_of(settings)
    gatepost = filter_switch.use({**settings, **doors.settings})
    request.node.gatepost = gatepost
    case.store(redis)
    if not case.store_down:
        gatepost.catch_up(redis)
    listener = decision_table.doors[case.door]
    if listener["door"] == "dovecot":
        doors.unix.dovecot(case.login, listener["service"], remote=case.client, tls=case.tls,
                           local_port="0", **({"app": "app"} if case.app_password else {}))
    else:
        doors.unix.allow(case.login, listener["service"], case.client, "on" if case.tls else "off")
    line = gatepost.verdict(stage="door")
    assert (line["listener"], line["verdict"], line["reason"]) == (
        case.door, case.verdict, case.reason)
    run = Gatepostctl(gatepost.conf).run("replay", "--json", text="\n".join(gatepost.log_lines()))
    if case.reason == "policy-unavailable":
        assert run.status == 2
        return
    assert (run.status, run.json()["would_change"], run.json()["cannot_tell"]) == (0, 0, {}), run


POLICY = """
account:alice@{d}    source           any
account:off@{d}      protocol:smtp    off
account:home@{d}     source           authorized
account:home@{d}     ip:192.0.2.0/24  office
account:held@{d}     mode             monitor
account:held@{d}     protocol:submission off
"""
DOORS = {"mx": {"daemon_name": "MX"}, "submission": {"daemon_name": "SUB", "service": "submission"},
         "imap": {"door": "dovecot", "service": "imap"}, "dav": {"door": "http", "service": "caldav"}}


class Day:
    """A filter with two MTA's doors, Dovecot's and a proxy's, and what comes to it in a day."""

    def __init__(self, start_doors, milter_session, redis, dns, domain, form="logfmt"):
        self.d = domain
        dns.zones["soft-" + domain] = {"TXT": ["v=spf1 ~all"]}
        dns.zones["slow-" + domain] = {"TXT": ["v=spf1 a:nowhere." + domain + " -all"]}
        dns.zones["pass-" + domain] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
        self.redis, self.session = redis, milter_session
        policies.load(redis, POLICY, d=domain)
        self.filter, self.doors = start_doors(
            listener=DOORS, log_format=form,
            spf={"nameservers": [dns.address], "timeout": "2s", "temperror": "defer"})

    def mail(self, sender, client="192.0.2.10", **mail):
        listener = "SUB" if "login" in mail else "MX"
        with self.session(self.filter, client, macro_values={"{daemon_name}": listener}) as mta:
            mta.mail(sender, **mail)

    def log(self):
        """The verdict lines of the day, which comes to pass now."""
        self.filter.forget()
        d = self.d
        for sender in (f"x@pass-{d}", f"x@soft-{d}", f"x@none-{d}", f"off@{d}"):
            self.mail(sender)
        for account in ("alice", "home", "held", "nobody"):
            self.mail(f"{account}@{d}", login=f"{account}@{d}")
            self.mail(f"{account}@{d}", "203.0.113.200", login=f"{account}@{d}",
                      macro_values={"{tls_version}": "TLSv1.3"})
            self.doors.unix.dovecot(f"{account}@{d}")
            self.doors.unix.allow(f"{account}@{d}")
        wait_until(lambda: len(self.lines()) == 20, 30, "20 verdicts")
        return "\n".join(self.lines()) + "\n"

    def lines(self):
        return [line for line in self.filter.log_lines() if "event=verdict " in line
                or '"event":"verdict"' in line]


CHANGES = [
    ["protocol off alice@{d} imap"],
    ["protocol off @{d} caldav", "protocol on alice@{d} caldav"],
    ["source authorized alice@{d}", "ip add alice@{d} 203.0.113.0/24 'the road'"],
    ["ip remove home@{d} 192.0.2.0/24", "ip add home@{d} 203.0.113.0/24 --until 2099-01-01T00:00:00Z"],
    ["mode enforce held@{d}"],
    ["mode monitor off@{d}"],
    ["account delete off@{d}", "account delete home@{d}"],
    ["tls required @{d}"],
    ["spf set '*' softfail reject", "spf set '*' none defer"],
    ["protocol off '*' submission"],
    ["gatepostctl network add relays 192.0.2.0/24"],
]


@pytest.fixture
def day(start_doors, milter_session, redis, dns, domain):
    return Day(start_doors, milter_session, redis, dns, domain)


def verdicts_of(text):
    return [(v["account"], v["verdict"], v["would"], v["reason"])
            for v in map(logfmt.parse, text.splitlines())]


def truth(before, after):
    """What changes() says when it is right."""
    told = {}
    for old, new in zip(verdicts_of(before), verdicts_of(after)):
        if old[1:3] != new[1:3]:
            words = [v[1] + (f" ({v[2]})" if v[2] else "")
                     + (" " + v[3] if v[1] != "accept" or v[2] else "") for v in (old, new)]
            told[old[0], *words] = told.get((old[0], *words), 0) + 1
    return told


def everything(redis):
    return {key: redis.cli("DUMP", key) for key in redis.cli("KEYS", "*").split()}


def test_what_it_says_comes_true(day):
    """Changes that are tried on the log, then made: the same sessions are judged as was said."""
    ctl = Gatepostctl(day.filter.conf)
    before = day.log()
    assert replay(ctl, text=before)[1]["would_change"] == 0
    for commands in CHANGES:
        commands = [command.format(d=day.d) for command in commands]
        options = [word for command in commands for word in ("--with", command)]
        stored = everything(day.redis)
        status, told = replay(ctl, *options, text=before)
        assert everything(day.redis) == stored
        for command in commands:
            subprocess.run(f"{CTL} -c {ctl.conf} {command.removeprefix('gatepostctl ')} --force",
                           shell=True, check=True, capture_output=True)
        day.filter.catch_up(day.redis)
        after = day.log()
        happened = truth(before, after)
        # one that SPF was not asked about, because the protocol was off
        unsaid = happened.pop((f"off@{day.d}", "reject protocol-disabled", "accept"), 0) \
            if "account delete" in commands[0] else 0
        assert (status, changes(told)) == (1, happened), (commands, told)
        assert told["cannot_tell"] == ({"spf": unsaid} if unsaid else {})

        # by today's policy, which is that now; and the log as JSON
        assert changes(replay(ctl, text=before)[1]) == happened
        lines = "\n".join(as_json(line) for line in before.splitlines())
        assert changes(replay(ctl, text=lines)[1]) == happened
        day.redis.cli("FLUSHALL")
        policies.load(day.redis, POLICY, d=day.d)
        day.filter.catch_up(day.redis)


def test_the_log_is_json(start_doors, milter_session, redis, dns, domain):
    day = Day(start_doors, milter_session, redis, dns, domain, "json")
    ctl = Gatepostctl(day.filter.conf)
    status, told = replay(ctl, "--with", f"protocol off alice@{domain} imap", text=day.log())
    assert (status, changes(told)) == (1, {
        (f"alice@{domain}", "accept", "reject protocol-disabled"): 1})
    assert (told["told"], told["changed_since"]) == (20, 0)


def test_a_policy_file(day, tmp_path):
    ctl = Gatepostctl(day.filter.conf)
    log = day.log()
    stored = everything(day.redis)
    path = str(tmp_path / "policy")
    with open(path, "w") as file:
        file.write(ctl.do("export").out)
    assert replay(ctl, "--policy", path, text=log)[0] == 0
    with open(path, "a") as file:
        file.write(f"account:alice@{day.d} protocol:imap off\n")
    status, told = replay(ctl, "--policy", path, text=log)
    assert (status, changes(told)) == (1, {
        (f"alice@{day.d}", "accept", "reject protocol-disabled"): 1})
    both = replay(ctl, "--policy", path, "--with", f"protocol on alice@{day.d} imap", text=log)
    assert (both[0], both[1]["would_change"]) == (0, 0)
    assert everything(day.redis) == stored
    run = ctl.run("replay", "--policy", path + ".missing", text=log)
    assert run.status == 2 and "No such file" in run.err


def test_the_policy_has_changed_since(day):
    ctl = Gatepostctl(day.filter.conf)
    log = day.log()
    ctl.do("protocol", "off", f"alice@{day.d}", "imap")
    status, told = replay(ctl, "--with", f"protocol off nobody@{day.d} caldav", text=log)
    assert (status, changes(told)) == (1, {
        (f"nobody@{day.d}", "accept", "reject protocol-disabled"): 1})
    assert told["changed_since"] == 1
    example, = told["changed_since_examples"]
    assert (example["account"], example["service"]) == (f"alice@{day.d}", "imap")
    assert log.splitlines()[example["line"] - 1].count("imap") >= 1


def test_the_right_to_read_is_enough(redis, tmp_path):
    """Nothing is written, not even tried: an operator without the right to write may look."""
    redis.cli("HSET", "gatepost:account:bob@b.example", "source", "any")
    redis.cli("ACL", "SETUSER", "looker", "on", ">secret", "~gatepost:*", "+@read", "+@connection")
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    ctl = Gatepostctl(str(tmp_path / "conf"), {
        **SETTINGS, "store": redis.url, "store_user": "looker", "store_password_file": str(secret)})
    assert ctl.run("tls", "required", "bob@b.example").status == 2
    for command in ("protocol off bob@b.example smtp", "network add gate 192.0.2.0/24"):
        status, told = replay(ctl, "--with", command, text=LINE)
        assert (status, told["would_change"]) == ((1, 1) if "off" in command else (0, 0))
    redis.cli("ACL", "DELUSER", "looker")
    run = ctl.run("replay", text=LINE)
    assert run.status == 2 and run.out == "" and "WRONGPASS" in run.err


def test_a_store_that_does_not_answer(ctl, dead_store, tmp_path):
    down = Gatepostctl(str(tmp_path / "conf"), {**SETTINGS, "store": dead_store})
    run = down.run("replay", "--with", "tls required bob@b.example", text=LINE)
    assert run.status == 2 and run.out == "", run
    run = down.run("replay", text=LINE)
    assert run.status == 2 and run.out == "", run


def test_helo_checked_first(start_gatepost, milter_session, redis, dns, domain):
    """The line has both results; where it has one, what the other may have been is not guessed."""
    dns.zones["helo." + domain] = {"TXT": ["v=spf1 ~all"]}
    dns.zones[domain] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}
    gatepost = start_gatepost({"store": redis.url, "trusted": [], "spf": {
        "nameservers": [dns.address], "helo": "always"}})
    with milter_session(gatepost, helo="helo." + domain) as mta:
        mta.mail(f"x@{domain}")
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["spf"], verdict["spf-helo"]) == ("pass", "softfail")
    line, = gatepost.events("verdict")
    ctl = Gatepostctl(gatepost.conf)
    assert replay(ctl, text=line)[1]["cannot_tell"] == {}
    status, told = replay(ctl, text=line.replace(" spf-helo=softfail", ""))
    assert (status, told["cannot_tell"]) == (2, {"spf-helo": 1})


def test_who_may_connect(ctl, policy):
    """A message is judged from the beginning: its client may not be let in any more, or now."""
    policy("network:gate 192.0.2.0/24\nnetwork:gate 198.51.100.0/24\n")
    mail = with_values(listener="gated")
    refused = with_values(listener="gated", stage="connect", client="203.0.113.9", sender="",
                          account="", spf="", verdict="reject", reason="not-allowlisted", tls=None)
    text = mail + "\n" + refused + "\n"
    assert replay(ctl, text=text)[0] == 0
    status, told = replay(ctl, "--with", "network remove gate 192.0.2.0/24", text=text)
    assert (status, changes(told)) == (1, {
        ("bob@b.example", "accept", "reject not-allowlisted"): 1})
    status, told = replay(ctl, "--with", "network add gate 203.0.113.9", text=text)
    assert (status, changes(told)) == (1, {(None, "reject not-allowlisted", "accept"): 1})
    assert "(at connect)" in ctl.run("replay", "--with", "network add gate 203.0.113.9",
                                     text=text).out


def test_a_fail_of_helo_or_of_the_sender(policy, tmp_path):
    """Where HELO is checked first and a fail has decided, the line does not say whose it was."""
    ctl = Gatepostctl(str(tmp_path / "conf"), {
        **SETTINGS, "store": "file:" + policy.path,
        "spf": {"nameservers": ["127.0.0.1:9"], "helo": "always"}})
    line = with_values(spf="fail", verdict="reject")
    assert replay(ctl, text=line)[0] == 0               # either refuses
    status, told = replay(ctl, "--with", "spf set bob@b.example fail mark", text=line)
    assert (status, told["cannot_tell"]) == (2, {"spf-helo": 1})
    status, told = replay(ctl, "--with", "spf set bob@b.example fail mark",
                          text=with_values(spf="fail", verdict="reject", spf_helo="none"))
    assert (status, changes(told)) == (1, {("bob@b.example", "reject spf", "mark spf"): 1})


# --- what the log cannot say


@pytest.mark.parametrize("line, why", [
    (LINE, None),
    (with_values(sender="<>", account=""), None),
    (with_values(spf=""), "spf"),
    (with_values(spf="", verdict="reject", reason="tls-required"), "spf"),
    (login(), None),
    (login(tls=None), "tls"),
    (with_values(tls=None), None),              # where it does not matter
    (login(tls=None, verdict="reject", reason="tls-required"), None),
    (with_values(stage="data", reason="header-forged", verdict="reject"), "header"),
    (with_values(reason="sender-ambiguous", verdict="reject"), "sender-ambiguous"),
    (with_values(sender="bob%b.example@relay.example"), "sender-ambiguous"),
    (with_values(sender="nobody%c.example@relay.example"), None),
    (with_values(listener="gone"), "listener"),
    (with_values(listener=""), "listener"),
    (with_values(stage="door", door="dovecot", listener="mx", login="a@b.example"), "listener"),
    (with_values(stage="door", door="dovecot", listener="", service="imap", sender="", spf="",
                 login="a@b.example", reason="account"), None),
    (with_values(stage="door", listener="", service="imap", login="a@b.example"), "line-damaged"),
    (with_values(stage="door", door="dovecot", listener="", service="gopher", sender="", spf="",
                 verdict="reject", reason="unknown-service", login="a@b.example"), "service"),
    (with_values(sender="x" * 400 + "..."), "value-cut"),
    (with_values(sender="..."), "value-cut"),
    (with_values(helo="x" * 400 + "..."), None),
    (with_values(helo="x" * 400 + "...", sender="<>"), "value-cut"),
    (with_values(client="192.0.2"), "line-damaged"),
    (with_values(client=""), None),
    (with_values(verdict="perhaps"), "line-damaged"),
    (with_values(reason=""), "line-damaged"),
    (with_values(spf="maybe"), "line-damaged"),
    (with_values(tls="1"), "line-damaged"),
    (with_values(stage="night"), "line-damaged"),
    (with_values(sender=""), "line-damaged"),
    (LINE[:200], "line-damaged"),
    (as_json(LINE)[:200], "line-damaged"),
    (LINE.replace("verdict=accept", 'verdict="accept'), "line-damaged"),
    (LINE.replace("helo=client.example", 'helo="a\0b"'), "line-damaged"),
])
@pytest.mark.parametrize("form", [str, as_json])
def test_what_cannot_be_told(ctl, policy, line, why, form):
    if form is as_json and (why == "line-damaged" or "\0" in line):
        form = str
    policy("account:bob@b.example source any\n")
    status, told = replay(ctl, text="Nov 22 00:48:52 host gatepost[77]: " + form(line) + "\n")
    assert told["cannot_tell"] == ({} if why is None else {why: 1}), told
    assert status == (0 if why is None else 2)
    assert (told["verdicts"], told["told"]) == (1, 1 if why is None else 0)


@pytest.mark.parametrize("prefix, reason, told", [
    ("24", "spf-pass", (0, 0, {})), ("0", "spf-pass", (1, 1, {})), ("", "spf-pass", (2, 0, "spf-prefix")),
    (None, "spf-pass", (2, 0, "spf-prefix")), (None, "spf-too-wide", (0, 0, {})),
    ("24x", "spf-pass", (2, 0, "line-damaged")), ("-1", "spf-pass", (2, 0, "line-damaged"))])
def test_how_wide_a_pass_was(ctl, policy, prefix, reason, told):
    policy("account:bob@b.example source authorized\n")
    verdict = "accept" if reason == "spf-pass" else "reject"
    line = with_values(spf="pass", reason=reason, verdict=verdict, spf_prefix=prefix)
    status, found = replay(ctl, text=line)
    assert (status, found["would_change"]) == told[:2]
    assert found["cannot_tell"] == ({told[2]: 1} if told[2] else {})
    policy("account:bob@b.example source any\n")        # where it does not matter
    if told[2] != "line-damaged":
        assert replay(ctl, text=line)[1]["cannot_tell"] == {}


@pytest.mark.parametrize("keys, status", [
    ({}, 1), ({"app_password": "yes"}, 0), ({"password": "k3j2"}, 0), ({"password": ""}, 1)])
def test_app_passwords(ctl, policy, keys, status):
    policy("account:bob@b.example password application\n")
    line = with_values(stage="door", door="dovecot", listener="", service="imap", sender="", spf="",
                       login="bob@b.example", reason="account", **keys)
    assert replay(ctl, text=line)[0] == status


def test_no_verdict_is_no_answer(ctl, tmp_path):
    for text in ("", "Nov 22 00:48:52 host postfix/smtpd[78]: connect from x\n"):
        run = ctl.run("replay", text=text)
        assert run.status == 2 and "no line with event=verdict" in run.err
    run = ctl.run("replay", str(tmp_path / "missing"))
    assert run.status == 2 and "No such file" in run.err
    packed = tmp_path / "mail.log.1.gz"
    packed.write_bytes(gzip.compress(LINE.encode()))
    run = ctl.run("replay", str(packed))
    assert run.status == 2 and f"zcat {packed} | gatepostctl replay" in run.err


@pytest.mark.parametrize("command, words", [
    ("protocol off a@b.example pop4", "pop4"),
    ("protocol off a@b.example", "NAME is missing"),
    ("ip add a@b.example 192.0.2.1/24", "host bits"),
    ("ip remove a@b.example 192.0.2.1", "has no ip:192.0.2.1"),
    ("account delete a@b.example", "no policy of that name"),
    ("protocol off a@b.example 'pop3", "quote"),
    ("frobnicate a@b.example", "frobnicate"),
    ("protokol off a@b.example imap", "did you mean protocol?"),
    ("", "there is no command"),
    ("export", "changes one subject"),
    ("import /etc/passwd", "changes one subject"),
    ("replay --with x", "changes one subject"),
    ("password remove a@b.example --all", "changes one subject"),
    ("use a@b.example --forget", "changes one subject"),
    ("protocol off a@b.example pop3 --kick", "--kick belongs"),
    ("-c /dev/null protocol off a@b.example pop3", "changes one subject"),
    ("tls required a@b.example --until x", "--until does not belong"),
])
def test_a_command_that_cannot_be_tried(ctl, command, words):
    for form in ((), ("--json",)):
        run = ctl.run("replay", "--with", "source any c@b.example", "--with", command, *form,
                      text=LINE)
        assert run.status == 2 and words in run.err and "--with" in run.err, run
        assert (run.json()["exit"] == 2) if form else run.out == ""


# --- hostile logs


def test_hostile_lines(ctl, policy):
    """What others have said is no verdict; octets of any kind are shown as a terminal may."""
    policy("account:evil@b.example protocol:smtp off\n")
    forged = with_values(sender="evil@b.example", account="evil@b.example")
    lines = [
        LINE.replace("helo=client.example", f'helo="x {forged}"'),
        LINE.replace("helo=client.example", 'helo="\\" ' + forged.replace('"', '\\"') + '"'),
        f"Nov 22 host postfix/smtpd[1]: NOQUEUE: reject: helo=<x {forged}>",
        f"Nov 22 host postfix/smtpd[1]: warning: {forged}",
        'event=store-error problem="' + forged + '"',
        with_values(helo='"\\xff\\xfe"', sender='"\\x1b[2J\\xff@c.example"',
                    account='"\\x1b[2J\\xff@c.example"', verdict="mark"),
        '{"event":"other","x":' + json.dumps(as_json(forged)) + "}",
        "{" * 100000,
        "\xff\xfe\0\0" + LINE,
    ]
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    status, told = replay(ctl, text=text)
    assert (status, told["lines"]) == (1, len(lines))
    assert changes(told) == {("\x1b[2J\xff@c.example", "mark spf", "accept"): 1}
    assert told["verdicts"] == told["told"] == 3
    run = ctl.run("replay", text=text)
    assert "\\x1b[2J\\xff@c.example" in run.out
    assert all(ord(c) >= 32 or c == "\n" for c in run.out)


def test_a_line_without_end(ctl, tmp_path):
    """A gigabyte without a newline costs no memory, and what follows is judged."""
    told_path = tmp_path / "told"
    with open(told_path, "w") as told_file, subprocess.Popen(
            f"head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo '{LINE}'", shell=True,
            stdout=subprocess.PIPE) as endless:
        # By a small process of its own: what its parent has counts as a child's.
        run = subprocess.run([sys.executable, "-c", PEAK, CTL, "-c", ctl.conf, "replay", "--json"],
                             stdin=endless.stdout, stdout=told_file, stderr=subprocess.PIPE,
                             text=True, check=True)
    told = json.loads(told_path.read_text())
    assert (told["lines"], told["verdicts"], told["told"]) == (2, 2, 1)
    assert told["cannot_tell"] == {"line-too-long": 1}
    assert int(run.stderr) < 400_000


def test_many_strangers_cost_bounded_memory(ctl, policy):
    """Each verdict another account: all are counted, a part of them one by one."""
    policy("account:* protocol:smtp off\naccount:@known.example source any\n")
    text = "\n".join(with_values(sender=f"u{i}@known.example", account=f"u{i}@known.example")
                     for i in range(100_010))
    status, told = replay(ctl, text=text)
    assert (status, told["would_change"], told["changes_left_out"]) == (1, 100_010, 10)
    assert len(told["changes"]) == told["accounts"] == 100_000


# --- what a person sees


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(ctl, terminal):
    """On a terminal the lines so far are told while it takes long; elsewhere nothing is."""
    ours, theirs = os.openpty() if terminal else os.pipe()
    os.set_blocking(ours, False)
    with subprocess.Popen([CTL, "-c", ctl.conf, "replay", "--json"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        lines = ((LINE + "\n") * 1024).encode()
        sent, told, began = 0, b"", time.monotonic()
        while not told and time.monotonic() - began < (60 if terminal else 3):
            process.stdin.write(lines)
            sent += 1024
            try:
                told = os.read(ours, 1000)
            except BlockingIOError:
                pass
        out = json.loads(process.communicate(timeout=60)[0])
    os.close(ours)
    assert told.startswith(b"\rreplay: lines: ") if terminal else told == b""
    assert out["told"] == out["lines"] == sent


def test_golden(ctl, policy, tmp_path):
    policy("account:alice@b.example source any\naccount:carol@b.example protocol:smtp off\n"
           "account:dave@b.example mode monitor\n")
    lines = [login("alice@b.example")] * 3 + [login("dave@b.example")] * 2 + [
        LINE, with_values(spf=""), login("erin@b.example", tls=None), LINE[:100],
        with_values(sender="carol@b.example", account="carol@b.example"),
        with_values(client="", helo="", sender="<>", account="postmaster@b.example")]
    log = tmp_path / "mail.log"
    log.write_text("".join(f"Nov 22 00:48:52 host gatepost[77]: {line}\n" for line in lines))
    offs = ["--with", "protocol off @b.example submission"]
    runs = [[str(log)], [str(log), *offs],
            [str(log), *offs, "--with", "protocol on carol@b.example smtp"],
            [str(log), "--with", "protocol off alice@b.example imap"]]
    text = ""
    for words in runs:
        run = ctl.run("replay", *words)
        shown = " ".join(f"'{word}'" if " " in word else word for word in words)
        text += f"$ gatepostctl replay {shown}\n{run.err}{run.out}exit status {run.status}\n\n"
    text = text.replace(str(tmp_path) + "/", "")
    if os.environ.get("UPDATE_GOLDEN"):
        with open(GOLDEN, "w", encoding="utf-8") as golden:
            golden.write(text)
    with open(GOLDEN, encoding="utf-8") as golden:
        assert text == golden.read()
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines()
               if not line.startswith(("$", "gatepostctl:")))
