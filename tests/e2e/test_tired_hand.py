"""gatepostctl under a tired hand: what a person reads on a terminal, and what is made of slips.

What stands on a terminal of 80 columns is in golden/terminal.txt; UPDATE_GOLDEN=1 writes it anew.
"""

import itertools
import os
import re
import shlex
import time

import pytest

from support import logfmt
from support.folder import Folder
from support.gatepostctl import CTL, Gatepostctl
from support.ports import free_port
from support.process import wait_until
from support.terminal import on_terminal, without_chance

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden/terminal.txt")
SETTINGS = {
    "default_domain": "example.com",
    "trusted": ["relays"],
    "network": {"relays": {"members": ["127.0.0.1", "::1"]}},
    "protocol": {"imap4-smtp": {"services": ["imap", "submission", "submissions"]}},
    "listener": {
        "mx": {"daemon_port": 25, "service": "smtp"},
        "submission": {"daemon_port": 587, "service": "submission", "unknown_login": "reject"},
        "imap": {"door": "dovecot", "service": "imap", "unknown_login": "reject"},
    },
}
POLICY = """\
account:* tls required
account:@example.com protocol:pop3 off
account:carol@example.com source authorized
account:carol@example.com ip:198.51.100.0/24 the office
account:carol@example.com ip:203.0.113.7 until=2999-12-05T15:32:16Z a hotel
account:carol@example.com ip:203.0.113.8 until=2020-01-01T00:00:00Z
network:relays 10.0.0.0/8 inside
"""
MISTAKES = """\
account:x@example.com protocol:pop3 of
account:x@example.com tls quark
account:x@example.com spf:none mrk
account:x@example.com spf:fail refuse
account:x@example.com ip:10.0.0.1 until=tomorrow
account:x@example.com protocol:pop off
account:x@example.com ip:192.0.2.0/33 a typing error
account:x@example.com as:x@example.com
"""


@pytest.fixture(scope="module")
def folder():
    made = Folder("gphand-")
    yield made
    made.remove()


@pytest.fixture
def ctl(folder, redis):
    return Gatepostctl(folder.file("hand.conf"), {**SETTINGS, "store": redis.url})


def seen(ctl, *words, **options):
    status, text = on_terminal([CTL, "-c", ctl.conf, *words], **options)
    return text + f"=> {status}\n"


# ---- what a person sees ----

TOLD = ["account list", "account list 'x*'", "account show carol", "account show carol --all",
        "account show @example.com", "ip list carol", "ip list dave", "as list carol",
        "network list", "network list relays", "network list gate", "lint",
        "history --last 4", "history dave", "use carol", "help history", "help ip",
        "explain --ip 203.0.113.7 --login carol --tls", "explain --ip 192.0.2.1 --login carol --tls",
        "explain --ip 192.0.2.1 --from <> --helo h.example.com", "password list carol",
        "protocol off carol pop3 --dry-run", "protocol off carol imap4", "protocol of carol imap4-smtp",
        "spf check 192.0.2.1 mail.example.com carol@example.com"]

USE = {"carol@example.com": {"imap 198.51.100.0/24": "2999-01-30T08:00:00Z 2026-01-01T08:00:00Z"},
       "*": {"since": "2020-01-01T00:00:00Z",
             "imap": "2999-01-30T08:00:00Z 2026-01-01T08:00:00Z",
             "submission": "2999-01-30T08:00:00Z 2026-01-01T08:00:00Z",
             "pop3": "2999-01-30T08:00:00Z 2026-01-01T08:00:00Z"}}
TOLD_OF_USE = ["use carol", "use dave", "unused", "unused --commands", "unused x*", "suggest carol",
               "account show carol"]
PAST = "".join(
    logfmt.verdict("door", service=service, client=client, login="carol@example.com",
                   account="carol@example.com", tls="yes", door="dovecot") + "\n"
    for service, client in (("pop3", "198.51.100.7"), ("imap", "198.51.100.7")))


def test_what_a_terminal_shows(folder, start_gatepost, redis, dns):
    ctl = Gatepostctl(folder.file("dns.conf"), {**SETTINGS, "store": redis.url,
                                                "spf": {"nameservers": [dns.address]}})
    dns.zones["example.com"] = {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]}
    settings = {**SETTINGS, "store": redis.url, "http_listen": f"127.0.0.1:{free_port()}"}
    empty = [shlex.split(c) for c in ("account list", "history", "export", "lint")]
    shown = [(words, seen(ctl, *words)) for words in empty]
    ctl.do("import", "--force", "--actor", "root@mail", text=POLICY)
    shown += [(shlex.split(c), seen(ctl, *shlex.split(c))) for c in TOLD]
    gatepost = start_gatepost(settings)
    running = Gatepostctl(gatepost.conf)
    wait_until(lambda: "watched" in running.run("status").out, what="the status is served")
    shown.append((["status"], seen(running, "status")))
    for account, record in USE.items():
        redis.cli("HSET", f"gatepost-use:{account}", *itertools.chain(*record.items()))
    recording = Gatepostctl(folder.file("use.conf"), {**SETTINGS, "store": redis.url,
                                                      "record_use": True})
    shown += [(shlex.split(c), seen(recording, *shlex.split(c))) for c in TOLD_OF_USE]
    with open(folder.file("mail.log"), "w") as log:
        log.write(PAST)
    shown.append((["replay", "mail.log"], seen(recording, "replay", "mail.log",
                                               cwd=os.path.dirname(log.name))))
    recording.run("import", "--force", text=MISTAKES)
    shown.append((["lint"], seen(recording, "lint")))
    text = "\n".join(f"$ gatepostctl {shlex.join(words)}\n{out}" for words, out in shown)
    text = without_chance(text)
    for line in text.splitlines():
        assert line == line.rstrip(), repr(line)
    if os.environ.get("UPDATE_GOLDEN"):
        with open(GOLDEN, "w", encoding="utf-8") as golden:
            golden.write(text)
    with open(GOLDEN, encoding="utf-8") as golden:
        assert text == golden.read()


@pytest.mark.parametrize("words", [["account", "show", "carol"], ["lint"], ["history"]])
def test_colours_are_for_terminals(ctl, words):
    ctl.run("import", "--force", text=POLICY + MISTAKES)
    coloured = seen(ctl, *words, colours=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == seen(ctl, *words)
    assert "\x1b" not in seen(ctl, *words) and "\x1b" not in ctl.run(*words).out
    assert "\x1b" not in seen(ctl, *words, "--json", colours=True)


def test_a_script_gets_nothing_for_nothing(ctl):
    for words in ("account list", "history", "ip list dave", "as list dave", "network list gate"):
        run = ctl.do(*words.split())
        assert run.out == "" and run.err == "", run


# ---- slips ----

@pytest.fixture
def files(folder, ctl):
    """A folder with files, of whose names a shell makes an unquoted "*"."""
    there = folder.sub("etc")
    for name in ("aliases", "main.cf", "imap"):
        with open(os.path.join(there, name), "w"):
            pass
    return there


@pytest.mark.parametrize("words, told", [
    ("protocol off alice aliases imap main.cf", "did you mean '*', in quotes?"),
    ("tls required aliases imap main.cf", "in the place of *; write '*'"),
    ("account show aliases imap main.cf", "in the place of *; write '*'"),
    ("ip add alice 192.0.2.1 the new office", 'a note with spaces needs quotes: "the new office"'),
    ("network add relays 192.0.2.1 the office", 'needs quotes: "the office"'),
    ("status now", "too many arguments: now: it takes none"),
    ("account show alice bob", "bob is one more than it takes"),
    ("ip add alice", "ip add: CIDR|spf:DOMAIN is missing"),
    ("spf set alice fail", "spf set: ACTION is missing"),
    ("protocol off alice", "protocol off: NAME is missing"),
    ("as add", "as add: ACCOUNT is missing"),
    ("protocol off alice imap4", 'there is no protocol "imap4": did you mean imap4-smtp?'),
])
def test_slips_are_explained(ctl, files, words, told):
    status, text = on_terminal([CTL, "-c", ctl.conf, *words.split()], cwd=files)
    assert status in (1, 2) and told in text
    assert len(text.splitlines()) <= 3, "not the whole summary"
    assert ctl.do("export").out == ""


# ---- times ----


def near(stamp, after):
    return abs(time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone -
               (time.time() + after)) < 60


@pytest.mark.parametrize("given, after", [
    ("90m", 5400), ("12h", 43200), ("7d", 7 * 86400), ("1w", 7 * 86400)])
def test_until_is_a_length_of_time(ctl, redis, given, after):
    ctl.do("ip", "add", "carol", "192.0.2.1", "a hotel", "--until", given)
    ctl.do("as", "add", "carol", "sales@example.com", "--until", given)
    assert near(ctl.json("ip", "list", "carol")[0]["until"], after)
    assert near(ctl.json("as", "list", "carol")[0]["until"], after)


def test_until_is_a_day(ctl):
    ctl.do("ip", "add", "carol", "192.0.2.1", "--until", "2999-02-28")
    assert ctl.json("ip", "list", "carol")[0]["until"] == "2999-02-28T00:00:00Z"
    assert "up to the beginning of that day, in UTC" in seen(
        ctl, "ip", "add", "carol", "192.0.2.1", "--until", "2999-02-28")
    for bad in ("2999-02-30", "soon", "1y", "7", "2999-02-28T12"):
        run = ctl.run("ip", "add", "carol", "192.0.2.1", "--until", bad)
        assert run.status == 1 and "a day like 2027-01-31" in run.err
    run = ctl.run("ip", "add", "carol", "192.0.2.1", "--until", "2020-01-01")
    assert run.status == 1 and "in the past" in run.err


def test_since_is_a_day_or_weeks(ctl):
    ctl.do("tls", "required", "carol")
    for given, n in (("1w", 1), ("2020-01-01", 1), ("2999-01-01", 0)):
        assert len(ctl.json("history", "--since", given)) == n, given
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
    assert len(ctl.json("history", "--since", today)) == 1
    assert ctl.run("lint", "--since", "1w").status in (0, 1)


# ---- history ----

def test_history_is_for_whoever_reads_it(ctl):
    ctl.do("tls", "required", "carol", "--actor", "root@mail")
    line = ctl.do("history").out
    assert line.startswith("time=20") and line.endswith(" field=tls old= new=required\n")
    assert ctl.do("history", "--format", "logfmt").out == line
    readable = ctl.do("history", "--format", "text").out
    assert re.fullmatch(r"20\S+Z  root@mail\n  account:carol@example\.com tls: unset -> required\n",
                        readable)
    assert seen(ctl, "history") == readable + "=> 0\n"
    assert seen(ctl, "history", "--format", "logfmt") == line + "=> 0\n"
    run = ctl.run("history", "--format", "xml")
    assert run.status == 1 and "text or logfmt" in run.err


# ---- account show, network list, JSON ----

def test_services_that_nobody_serves(ctl):
    ctl.do("import", text=POLICY)
    shown = ctl.do("account", "show", "carol").out
    assert re.search(r"^  imap +allowed", shown, re.MULTILINE)
    assert re.search(r"^  pop3 +refused +account:@example\.com", shown, re.MULTILINE), "it is set"
    assert "caldav" not in shown and "--all shows them" in shown
    assert re.search(r"^  caldav +allowed", ctl.do("account", "show", "carol", "--all").out,
                     re.MULTILINE)
    assert "caldav" in ctl.json("account", "show", "carol")["services"], "scripts get all"


def test_networks_of_the_configuration(ctl):
    assert ctl.do("network", "list").out == "relays\n"
    ctl.do("network", "add", "relays", "10.0.0.0/8", "inside")
    told = ctl.json("network", "list", "relays")
    assert [(m["address"], m["from"], m["note"]) for m in told] == [
        ("127.0.0.1", "configuration", ""), ("::1", "configuration", ""),
        ("10.0.0.0/8", "store", "inside")]
    assert ctl.json("network", "list") == ["relays"]
    for member in ("127.0.0.1", "127.0.0.1/32", "::1"):
        run = ctl.run("network", "remove", "relays", member)
        assert run.status == 1 and f"it stands in {ctl.conf}" in run.err
    run = ctl.run("network", "remove", "relays", "10.0.0.0/9")
    assert run.status == 1 and "stands in" not in run.err


def test_a_note_without_its_end(ctl):
    ctl.do("import", text=POLICY)
    ctl.run("import", "--force", text="account:carol@example.com ip:192.0.2.1 until=soon x\n")
    notes = {e["address"]: e["note"] for e in ctl.json("ip", "list", "carol")}
    assert notes == {"198.51.100.0/24": "the office", "203.0.113.7": "a hotel",
                     "203.0.113.8": "", "192.0.2.1": "until=soon x"}


# ---- lint ----

def test_lint_shows_the_value_and_what_mends_it(ctl):
    """Each command is done, and its finding is gone."""
    ctl.run("import", "--force", text=MISTAKES)
    text = ctl.run("lint").out
    assert '"of": the value must be on or off: did you mean off?' in text
    assert "; to mend it: gatepostctl protocol off x@example.com pop3\n" in text
    assert len(text.splitlines()) == len(MISTAKES.splitlines()), "a line for each"
    findings = ctl.run("lint", "--json").json()["findings"]
    assert {f["field"]: f["value"] for f in findings if "value" in f} == {
        "protocol:pop3": "of", "tls": "quark", "spf:none": "mrk", "spf:fail": "refuse",
        "ip:10.0.0.1": "until=tomorrow"}
    assert all("command" in f for f in findings)
    for finding in findings:
        command = finding["command"].replace("required|optional|unset", "required")
        ctl.do(*shlex.split(command)[1:])
    assert ctl.do("lint").out == ""
    assert ctl.do("export").out.splitlines() == [
        "account:x@example.com protocol:pop3 off", "account:x@example.com spf:none mark",
        "account:x@example.com tls required"]


def test_lint_mends_blocks(ctl):
    """Notes and ends stay; what nobody can write is removed."""
    ctl.run("import", "--force", text="""\
account:x@example.com ip:192.0.2.1/24 until=2999-01-31T00:00:00Z it's the office
account:y@example.com ip:2001:db8::1/64
account:y@example.com ip:spf:p.example until=x
network:relays 10.0.0.1/8 inside
network:relays 10.1.0.0/16 inside it
network:relays relay.example.com
""")
    findings = ctl.run("lint", "--json").json()["findings"]
    assert len(findings) == 6 and all("command" in f for f in findings)
    assert [f["value"] for f in findings if "value" in f] == ["until=x"]
    for finding in findings:
        ctl.do(*shlex.split(finding["command"])[1:])
    assert ctl.do("lint").out == ""
    assert ctl.do("export").out.splitlines() == [
        "account:x@example.com ip:192.0.2.0/24 until=2999-01-31T00:00:00Z it's the office",
        "account:y@example.com ip:2001:db8::/64", "network:relays 10.0.0.0/8 inside"]


def test_lint_quotes_for_the_shell(ctl, redis):
    redis.cli("HSET", "gatepost:account:o'neil@example.com", "tls", "quark; rm -rf /")
    redis.cli("SET", "gatepost:account:*", "no hash")
    commands = {f["subject"]: f["command"]
                for f in ctl.run("lint", "--json").json()["findings"]}
    assert shlex.split(commands["account:o'neil@example.com"])[-1] == "o'neil@example.com"
    assert commands["account:*"] == "gatepostctl account delete '*'"
    redis.cli("HSET", "gatepost:account:a\x1b[2Jb@example.com", "tls", "quark")
    found = ctl.run("lint", "--json").json()["findings"]
    assert all("command" not in f for f in found if "[2J" in f["subject"])


# ---- a restore ----

def test_a_restore_of_what_users_have_set(folder, redis):
    """It is part of an export, and so of a restore."""
    ctl = Gatepostctl(folder.file("self.conf"), {
        **SETTINGS, "store": redis.url, "settings": {
            "listen": "unix:" + folder.file("settings.sock"),
            "token_file": folder.file("tokens")}})
    ctl.do("tls", "required", "carol")
    redis.cli("HSET", "gatepost-self:carol@example.com", "protocol:imap4-smtp", "off")
    saved = ctl.do("export").out
    assert "self:carol@example.com protocol:imap4-smtp off" in saved
    redis.cli("HSET", "gatepost-self:dave@example.com", "source", "authorized")
    redis.cli("HDEL", "gatepost-self:carol@example.com", "protocol:imap4-smtp")
    ctl.do("import", "--replace", "--prune", text=saved)
    assert ctl.do("export").out == saved


def test_a_restore_of_everything(ctl, redis):
    ctl.do("import", "--force", text=POLICY)
    saved = ctl.do("export").out
    redis.cli("HSET", "gatepost-use:carol@example.com", "imap 192.0.2.0/24", "x")
    ctl.do("tls", "required", "new@example.com")
    ctl.do("network", "add", "newnet", "192.0.2.1")
    redis.cli("SET", "gatepost:account:odd@example.com", "no hash")
    ctl.do("protocol", "on", "carol", "pop3")
    dry = ctl.do("import", "--replace", "--prune", "--dry-run", text=saved)
    assert "account:new@example.com tls: required -> unset" in dry.out
    assert "3 subjects would be removed" in dry.out
    assert "new@example.com" in ctl.do("account", "list").out
    told = ctl.json("import", "--replace", "--prune", text=saved)
    assert told["subjects_removed"] == 3 and told["written"] == 1
    assert ctl.do("export").out == saved and ctl.run("lint").out.count("\n") == 1
    assert redis.cli("EXISTS", "gatepost-use:carol@example.com") == "1"
    gone = [e for e in ctl.json("history", "new@example.com") if e["new"] is None]
    assert [(e["field"], e["old"]) for e in gone] == [("tls", "required")]


def test_a_restore_is_careful(ctl):
    ctl.do("import", "--force", text=POLICY)
    saved = ctl.do("export").out
    run = ctl.run("import", "--prune", text=saved)
    assert run.status == 1 and "needs --replace" in run.err
    for part in ("", saved.splitlines()[0] + "\n"):
        run = ctl.run("import", "--replace", "--prune", text=part)
        assert run.status == 1 and "is it a whole export?" in run.err
    ctl.do("tls", "required", "new@example.com")
    run = ctl.run("import", "--replace", "--prune", text=saved + "account:a@b.example tls n\n")
    assert run.status == 1 and "nothing is pruned" in run.err
    assert "new@example.com" in ctl.do("account", "list").out
    ctl.do("import", "--replace", "--prune", "--force", text="account:@b.example tls required\n")
    assert ctl.do("export").out == "account:@b.example tls required\n"
