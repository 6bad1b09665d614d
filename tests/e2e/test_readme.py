"""README.md is true: its commands are run as they stand there, and print what it shows."""

import os
import re
import shlex

import pytest

from support import logfmt
from support.folder import Folder
from support.gatepost import check, render
from support.gatepostctl import Gatepostctl
from support.ports import accepts, free_port
from support.process import wait_until

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
README = os.path.join(TOP, "README.md")
PROTOCOLS = {"imap4-smtp": {"services": ["imap", "submission", "submissions"]},
             "pop3-smtp": {"services": ["pop3", "submission", "submissions"]}}

POP3_LOGIN = ("event=verdict stage=door session=Abc queue= listener= service=pop3 client=192.0.2.1 "
              "helo= sender= login=alice@example.com account=alice@example.com spf= verdict=accept "
              "reason=account from=conf mode=enforce would= reply= us=1 tls=yes door=dovecot\n")


def settings(store, dns):
    return {"store": store, "user": "root", "default_domain": "example.com", "trusted": ["relays"],
            "network": {"relays": {"members": ["127.0.0.1", "::1"]}},
            "listener": {
                "mx": {"daemon_port": 25, "service": "smtp"},
                "submission": {"daemon_port": 587, "service": "submission", "tls": "required",
                               "auth": "required"},
                "submissions": {"daemon_port": 465, "service": "submissions", "tls": "required",
                                "auth": "required"}},
            "spf": {"nameservers": [dns.address]}}


def readme():
    with open(README, encoding="utf-8") as file:
        return file.read()


def section(title):
    """The text below that title, to the next one of the same depth or less."""
    depth = title.index(" ")
    _, _, text = readme().partition("\n" + title + "\n")
    assert text, title
    return re.split(rf"\n#{{1,{depth}}} ", text)[0]


def code(text, word):
    """Lines of code that begin with that word."""
    return re.findall(rf"^    ({word} .*)$", text, re.MULTILINE)


def transcripts(text):
    """(command, what is shown below it) of each `$ command`."""
    block = r"^    \$ (.*)\n((?:(?:    (?!\$ ).*)?\n)*)"
    return [(command, re.sub(r"^    ", "", shown, flags=re.MULTILINE).rstrip("\n"))
            for command, shown in re.findall(block, text, re.MULTILINE)]


def words_of(command):
    return shlex.split(command.partition("  #")[0])[1:]


@pytest.fixture(params=["redis", "file"])
def store(request):
    if request.param == "redis":
        yield request.getfixturevalue("redis").url
        return
    folder = Folder("gpreadme-")
    with open(folder.file("policy"), "w"):
        pass
    yield "file:" + folder.file("policy")
    folder.remove()


@pytest.fixture
def make_ctl(site, dns, store):
    """A function (**more settings): gatepostctl on an empty store."""
    def make(**more):
        return Gatepostctl(site.folder.file("readme.conf"), {**settings(store, dns), **more})
    return make


POLICIES = {
    "### A mail host whose users turn off the protocols they do not use":
        ({"protocol": PROTOCOLS}, 7),
    "### A gateway that accepts mail from registered senders only": ({}, 12),
    "### An MX that wants SPF enforced": ({}, 3),
}


@pytest.mark.parametrize("title", POLICIES)
def test_the_worked_policies(make_ctl, dns, title):
    """Each command is done, and there is nothing in the end that lint would complain about."""
    more, number = POLICIES[title]
    ctl = make_ctl(**more)
    commands = code(section(title), "gatepostctl")
    commands += re.findall(r"`(gatepostctl [a-z]+ off [^`]*)`", section(title))
    assert len(commands) == number
    for command in commands:
        ctl.do(*words_of(command))
    dns.zones["_spf.provider.example"] = {"TXT": ["v=spf1 ip4:198.51.100.0/24 ~all"]}
    notes = ctl.do("lint").out.splitlines()     # it reminds of who else is let in
    assert len(notes) == sum("spf:" in command for command in commands)
    assert all("every customer of this provider" in line for line in notes)


def test_what_the_policies_do(make_ctl, dns):
    """The sentences beside the commands."""
    ctl = make_ctl(protocol=PROTOCOLS)
    for title in POLICIES:
        for command in code(section(title), "gatepostctl"):
            ctl.do(*words_of(command))

    def explained(*words):
        run = ctl.run("explain", *words, "--json")
        return run.status, run.json()["reason"]
    submission = ("--listener", "submission", "--ip", "203.0.113.9")
    assert explained(*submission, "--login", "alice") == (5, "tls-required")
    assert explained(*submission, "--login", "alice", "--tls") == (0, "account")
    assert explained(*submission, "--login", "bob", "--tls") == (5, "protocol-disabled")
    assert explained(*submission, "--login", "carol", "--tls") == (5, "ip-not-authorized")
    assert explained("--listener", "submission", "--tls", "--login", "carol",
                     "--ip", "203.0.113.7") == (0, "account")
    assert explained("--ip", "192.0.2.9", "--from", "a@bank.example") == (0, "ip-authorized")
    assert explained("--ip", "203.0.113.25", "--from", "<>") == (0, "trusted")
    bounce = ("--ip", "192.0.2.9", "--from", "<>", "--helo")
    assert explained(*bounce, "mx1.bank.example") == (0, "ip-authorized")
    assert explained(*bounce, "bank.example") == (0, "ip-authorized")
    assert explained(*bounce, "mx1.elsewhere.example") == (0, "spf")
    dns.zones["_spf.provider.example"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 ~all"]}
    assert explained("--ip", "192.0.2.9", "--from", "a@hosted.example") == (0, "ip-authorized")
    assert explained("--ip", "198.51.100.9", "--from", "a@hosted.example") == (
        5, "ip-not-authorized")
    dns.zones["strict.example"] = {"TXT": ["v=spf1 ?all"]}
    dns.zones["broken.example"] = {"TXT": ["v=spf1 nonsense -all"]}
    assert explained("--ip", "192.0.2.9", "--from", "a@strict.example") == (5, "spf")
    assert explained("--ip", "192.0.2.9", "--from", "a@broken.example") == (3, "spf")


def test_what_gatepostctl_prints(make_ctl, dns):
    """The transcripts, word for word; "..." stands for lines that are left out."""
    ctl = make_ctl()
    ctl.do("ip", "add", "@bank.example", "192.0.2.0/24")
    ctl.do("source", "authorized", "@bank.example")
    dns.zones["bank.example"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 ~all"]}
    found = transcripts(section("## gatepostctl"))
    assert [command.split()[1] for command, _ in found] == ["ip", "account", "explain"]
    for command, shown in found:
        run = ctl.run(*words_of(command))
        if command.startswith("gatepostctl ip"):
            assert shown.split() == (run.out + run.err).split()
        else:
            check_pieces(shown, run.out)


def check_pieces(shown, printed):
    """Each piece of a transcript stands in what is printed, in this order, word for word."""
    at = 0
    for piece in shown.split("..."):
        piece = "\n" + piece.strip("\n") + "\n"
        assert piece in ("\n" + printed)[at:] or not piece.strip(), (piece, printed)
        at = ("\n" + printed).index(piece, at) if piece.strip() else at


def test_what_status_prints(start_served, site):
    """The transcript, but for what is another each time: its form and its words."""
    gatepost, _ = start_served(http_listen=f"127.0.0.1:{(port := free_port())}")
    wait_until(lambda: accepts(port), 20, "an open door")
    (command, shown), = transcripts(section("## Monitoring"))
    printed = Gatepostctl(gatepost.conf).do(*words_of(command)).out

    def plain(text):
        text = re.sub(r"for \d+ \w+", "for A TIME", text)
        text = re.sub(r"(accept|mark|defer|reject) \d+", r"\1 N", text)
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:6379", text)
    check_pieces(plain(shown), plain(printed))


def test_a_change_on_past_mail(make_ctl):
    """The transcript, of a log with as many verdicts."""
    def login(who, service):
        return logfmt.verdict("door", service=service, client="198.51.100.7", login=who, account=who,
                        tls="yes", door="dovecot")
    lines = [login("alice@example.com", "imap")] * 2
    lines += [login("carol@example.com", "pop3")] * 59 + [login("dave@example.com", "pop3")] * 5
    lines += [login("alice@example.com", "imap")] * (1291 - len(lines))
    lines += [logfmt.verdict("mail", listener="mx", service="smtp", client="203.0.113.9", helo="h.example",
                       sender="a@bank.example", account="a@bank.example", tls="no",
                       reason="ip-authorized")] * 9          # it is not listed any more
    lines += [logfmt.verdict("mail", listener="submission", service="submission", client="203.0.113.9",
                       sender="alice@example.com", login="alice@example.com",
                       account="alice@example.com")] * 7     # of an older version
    (command, shown), = transcripts(section("## Trying a change on past mail"))
    words = shlex.split(command.partition("|")[2])[1:]
    run = make_ctl().run(*words, text="\n".join(lines) + "\n")
    assert run.status == 1
    check_pieces(shown, run.out)


def test_app_passwords(make_ctl, redis, dns):
    """The transcripts, but for the secret, the id and the time, which are others each time."""
    ctl = Gatepostctl(make_ctl().conf, {**settings(redis.url, dns), "protocol": PROTOCOLS})
    given = {}

    def same(shown, printed):
        for old, new in zip(shown.split(), printed.split()):
            if re.fullmatch(r"[a-z2-9]{8}|([a-z2-9]{4}-){6}[a-z2-9]{4}|20\S+Z", old):
                given.setdefault(old, new)
                assert len(given[old]) == len(old) and (old.startswith("20") or given[old] == new)
            else:
                assert old == new
        assert len(shown.split()) == len(printed.split())
    found = transcripts(section("## App passwords"))
    assert len(found) == 4
    for command, shown in found:
        run = ctl.do(*(given.get(word, word) for word in words_of(command)))
        if shown.strip():
            same(shown, run.out + run.err)


def test_which_doors_are_used(make_ctl, redis, dns):
    """The transcripts: each line that is shown is printed."""
    dns.zones["example.com"] = {"TXT": ["v=spf1 mx -all"]}
    ctl = Gatepostctl(make_ctl().conf, {"store": redis.url, "trusted": [],
                                        "spf": {"nameservers": [dns.address]}})
    key = "gatepost-use:alice@example.com"
    redis.cli("HSET", "gatepost-use:*", "since", "2026-01-01T00:00:00Z")
    for service, block, last, first in re.findall(
            r"^    (\w+) +(\S+/\d+) +(\S+Z)  (\S+Z)$", section("## Which doors are used"),
            re.MULTILINE):
        redis.cli("HSET", key, f"{service} {block}", f"{last} {first}")
        redis.cli("HSET", "gatepost-use:*", service, f"{last} {first}")
    found = transcripts(section("## Which doors are used"))
    assert len(found) == 4
    for command, shown in found:
        printed = ctl.do(*words_of(command)).out.splitlines()
        for line in shown.strip("\n").splitlines():
            assert line == "..." or line in printed, (line, printed)


def test_the_table_of_commands(make_ctl, dns, site):
    """Each command of the table, on the policy of a gateway."""
    ctl = make_ctl()
    dns.zones["_spf.provider.example"] = {"TXT": ["v=spf1 ip4:198.51.100.0/24 ~all"]}
    for command in code(section("### A gateway that accepts mail from registered senders only"),
                        "gatepostctl"):
        ctl.do(*words_of(command))
    ctl.do("tls", "required", "dave@example.com")
    ctl.do("tls", "required", "carol@example.com")
    cells = re.findall(r"^\|[^|]*\| (`.*) \|$", section("## gatepostctl"), re.MULTILINE)
    commands = [command for cell in cells for command in re.findall(r"`([^`]*)`", cell)]
    assert len(commands) >= 16
    for command in commands:
        if "\\|" in command or "> policy.txt" in command or "policy.txt" in command:
            continue                                # pipes: test_operators_day.py
        words = shlex.split(command)
        words = words[1:] if words[0] == "gatepostctl" else words
        if words[0] in ("status", "reload"):
            assert ctl.run(*words).status == 2      # there is no filter here
        elif words == ["lint", "--dns"]:
            assert ctl.run(*words).out.count("does not exist") == 5     # domains of the examples
        elif words[0] == "explain":
            assert ctl.run(*words).status in (0, 3, 4, 5)
        elif words[0] == "replay":
            words.remove("mail.log")
            assert ctl.run(*words, text=POP3_LOGIN).status == 1
        else:
            ctl.do(*words)


def default_replies():
    """The default texts of milter/core/reply.c, in the words of the table."""
    with open(os.path.join(TOP, "milter/core/reply.c"), encoding="utf-8") as source:
        found = re.findall(r'((?:"(?:[^"\\]|\\.)*"\s*)+)[,;:]', source.read())
    replies = ["".join(re.findall(r'"([^"]*)"', literal)) for literal in found]
    for name, word in (("account", "ACCOUNT"), ("client", "IP"), ("domain", "DOMAIN"),
                       ("service", "SERVICE"), ("as", "ADDRESS")):
        replies = [reply.replace("{" + name + "}", word) for reply in replies]
    return [reply for reply in replies if any(word in reply for word in ("ACCOUNT", "client IP"))]


def test_the_table_of_replies(make_ctl):
    """The replies are those that the filter gives, all of them; the commands are done."""
    rows = re.findall(r"^\| `(.*?)` (?:.*) \| (.*) \|$", section("## Trouble-shooting"),
                      re.MULTILINE)
    shown = [re.sub(r"^\.\.\. | \(SPF \.\.\.\)$", "", reply) for reply, _ in rows]
    replies = [reply for reply in default_replies() if "({reason})" not in reply]
    assert len(replies) >= 12
    for reply in replies:
        assert any(words in reply for words in shown), reply
    for words in shown:
        assert words.startswith("451 4.") or any(words in reply for reply in replies), words
    ctl = make_ctl()
    ctl.do("tls", "required", "a@b.example")
    commands = [command for _, do in rows for command in re.findall(r"`(gatepostctl [^`]*)`", do)]
    assert len(commands) >= 12
    names = {"ACCOUNT": "a@b.example", "@DOMAIN": "@b.example", "IP": "192.0.2.7",
             "HELO": "h.example", "SENDER": "a@b.example"}
    for command in commands:
        protocol = "submission" if re.search(" (protocol|password) ", command) else "relays"
        words = [names.get(word, protocol if word == "NAME" else word)
                 for word in words_of(command)]
        assert ctl.run(*words).status == (2 if words == ["status"] else 0), command


def test_the_commands_of_redis(redis, make_ctl, store):
    if store.startswith("file:"):
        pytest.skip("there is no redis-cli for a file")
    commands = code(section("## The policy"), "H(?:SET|DEL)")
    assert len(commands) == 5
    ctl = make_ctl()
    for command in commands:
        assert redis.cli(*shlex.split(command)).isdigit()
    findings = [line for line in ctl.run("lint").out.splitlines() if "expired" not in line]
    assert findings == []


def test_the_configuration_that_it_shows(site):
    """Each setting and section of gatepost.conf in it can be read."""
    conf = site.folder.file("shown.conf")
    text = readme()
    sections = re.findall(r'^    ((?:listener|protocol|reply|spf) [^\n]*\{(?:[^}\n]|\n         )*'
                          r'(?:\{[^}]*\}[^}]*)?\})$', text, re.MULTILINE)
    assert len(sections) >= 7, sections
    for shown in sections + re.findall(r'^    ((?:store|http_listen) *= .*)$', text, re.MULTILINE):
        with open(conf, "w") as file:
            file.write('user = "root"\n' + shown + "\n")   # the default one may not exist here
        finished = check(conf)
        needs = "rediss:" in shown or "file:" in shown      # hiredis with TLS; the file
        assert finished.returncode == 0 or needs, (shown, finished.stderr)


def test_rendered_settings_are_those_of_the_defaults(site, dns):
    """What these tests run on is a configuration at all."""
    conf = site.folder.file("base.conf")
    with open(conf, "w") as file:
        file.write(render({**settings("redis://127.0.0.1:1/0", dns), "protocol": PROTOCOLS}))
    assert check(conf).returncode == 0
