"""gatepostctl explain --log: lines of the log read back, whole, torn and hostile."""

import json
import os
import random

import pytest

from support import logfmt
from support.explaining import SETTINGS, ctl, explain, policy  # noqa: F401 (fixtures)
from support.gatepostctl import Gatepostctl

HOSTILE = ['a "quoted" name', "back\\slash \\\" \\n", "new\nline\tand\rreturn", "j\u00f6rg",
           "event=verdict client=9.9.9.9 sender=x", "k=v", "\u202eevil", "del\x7f", "\udcff\udc80x",
           "\u0085next", "[192.0.2.1]", "{\"event\":\"verdict\"}", ": event=verdict stage=mail ",
           "\u65e5\u672c", "tail\\", "-", "..."]


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_hostile_words_come_back_from_the_log(start_gatepost, milter_session, form):
    """HELO, sender and login of any octets, through the filter's own log and back."""
    gatepost = start_gatepost({**SETTINGS, "log_format": form, "listener": {},
                               "spf": {"timeout": "1s", "nameservers": ["127.0.0.1:9"]}})
    ctl = Gatepostctl(gatepost.conf)
    for word in HOSTILE:
        raw = word.encode("utf-8", "surrogateescape")
        gatepost.forget()
        with milter_session(gatepost, helo=raw) as mta:
            mta.mail(raw + b"@x.invalid", login=raw + b"@y.invalid")
        line = gatepost.wait_log("verdict", "stage", "mail")
        status, told = explain(ctl, "--log", line)
        shown = raw.decode("utf-8", "surrogateescape")
        shown = "".join(chr(ord(c) - 0xdc00) if 0xdc80 <= ord(c) <= 0xdcff else c for c in shown)
        assert (told["helo"], told["sender"], told["login"]) == (
            shown, shown + "@x.invalid", shown + "@y.invalid"), line
        account = logfmt.parse(line)["account"] if form == "logfmt" else None
        if form == "logfmt" and word.isascii():
            assert told["account"] == account
        text = ctl.run("explain", "--log", line)
        assert all(ord(c) >= 32 or c == "\n" for c in text.out), text


LINE = ("event=verdict stage=mail session=886e3baa-16 queue= listener=mx service=smtp "
        "client=192.0.2.7 helo=client.example sender=bob@b.example login= account=bob@b.example "
        "spf=none verdict=accept reason=spf from=conf mode=enforce would= reply= us=1")
JSON_LINE = json.dumps({key: value or None for key, value in logfmt.parse(LINE).items()},
                       separators=(",", ":"))


@pytest.mark.parametrize("prefix", [
    "", "Nov 22 00:48:52 host gatepost[77]: ",
    "2026-11-22T00:48:52.123456+00:00 host gatepost[7]: ",
    "<22>1 2026-11-22T00:48:52Z host gatepost 123 - - ", "gatepost-1  | "])
@pytest.mark.parametrize("line", [LINE, JSON_LINE])
def test_a_prefix_is_skipped(ctl, prefix, line):
    for text in (prefix + line, prefix + line + "\n", prefix + line + "\r\n"):
        status, told = explain(ctl, "--log", text)
        assert (status, told["client"], told["sender"]) == (0, "192.0.2.7", "bob@b.example")
    status, told = explain(ctl, "--log", "-", text=prefix + line + "\n")
    assert (status, told["sender"]) == (0, "bob@b.example")


def test_what_grep_finds(ctl):
    """Several lines: the last verdict counts. What a client said is no event."""
    postfix = ("Nov 22 00:48:53 host postfix/smtpd[78]: NOQUEUE: milter-reject: MAIL from "
               "x[9.9.9.9]: 550 5.7.1 no; session 886e3baa-16; from=<a@b> helo=<x event=verdict stage=mail "
               "client=9.9.9.9 helo= sender=evil@b login= listener= reason=x>\n")
    other = "event=store-error problem=\"event=verdict client=9.9.9.9\"\n"
    first = LINE.replace("bob@b", "first@b") + "\n"
    for text in (LINE + "\n" + postfix, first + LINE + "\n" + other, postfix + LINE):
        status, told = explain(ctl, "--log", "-", text=text)
        assert told["sender"] == "bob@b.example"
    run = ctl.run("explain", "--log", "-", text=postfix)
    assert run.status == 1 and "no line with event=verdict" in run.err


def test_options_come_before_the_line(ctl, policy):
    policy("account:@b.example ip:198.51.100.7\n")
    status, told = explain(ctl, "--log", LINE, "--ip", "198.51.100.7")
    assert (told["client"], told["reason"], told["helo"]) == ("198.51.100.7", "ip-authorized",
                                                              "client.example")
    status, told = explain(ctl, "--log", LINE, "--from", "x@y.example", "--helo", "other")
    assert (told["sender"], told["helo"]) == ("x@y.example", "other")


def test_lines_about_a_connection(ctl, policy):
    line = LINE.replace("stage=mail", "stage=connect").replace("listener=mx", "listener=gated") \
        .replace("sender=bob@b.example", "sender=").replace("helo=client.example", "helo=")
    status, told = explain(ctl, "--log", line)
    assert (status, told["stage"], told["reason"]) == (5, "connect", "not-allowlisted")
    assert told["reply"].startswith("554 5.7.1 ") and "sender" not in told
    policy("network:gate 192.0.2.7\n")
    status, told = explain(ctl, "--log", line)
    assert (status, told["stage"], told["verdict"]) == (0, "connect", "accept")
    status, told = explain(ctl, "--log", line, "--from", "bob@b.example")
    assert (status, told["stage"], told["reason"]) == (0, "mail", "spf")


def test_a_client_without_address(ctl):
    status, told = explain(ctl, "--log", LINE.replace("client=192.0.2.7", "client="))
    assert (status, told["client"], told["spf"]) == (0, "unknown", "none")
    assert explain(ctl, "--ip", "unknown", "--from", "a@b.example")[0] == 0


def test_tls_of_an_old_line_is_what_the_reason_says(ctl):
    line = LINE.replace("listener=mx", "listener=submission").replace("login=", "login=b@b.example")
    assert explain(ctl, "--log", line)[1]["reason"] == "account"
    line = line.replace("reason=spf", "reason=tls-required")
    assert explain(ctl, "--log", line)[1]["reason"] == "tls-required"
    assert explain(ctl, "--log", line, "--tls")[1]["reason"] == "account"


def test_tls_is_what_the_line_says(ctl):
    line = LINE.replace("listener=mx", "listener=submission").replace("login=", "login=b@b.example")
    for tls, reason in (("yes", "account"), ("no", "tls-required")):
        for form in (line + f" tls={tls}",
                     json.dumps({**logfmt.parse(line), "tls": tls}, separators=(",", ":"))):
            assert explain(ctl, "--log", form)[1]["reason"] == reason, form


@pytest.mark.parametrize("key, reason", [
    ("", "app-password-required"), (" password=k3j2", "account"), (" app-password=yes", "account"),
    (" app-password=no", "app-password-required")])
def test_app_passwords(ctl, policy, key, reason):
    policy("account:bob@b.example password application\n")
    line = LINE.replace("stage=mail", "stage=door").replace("listener=mx service=smtp",
                                                            "listener= service=imap") \
        .replace("sender=bob@b.example", "sender=").replace("login=", "login=bob@b.example")
    assert explain(ctl, "--log", line + " tls=yes door=dovecot" + key)[1]["reason"] == reason


def test_the_filter_logs_tls(start_gatepost, milter_session):
    gatepost = start_gatepost({**SETTINGS, "listener": {},
                               "spf": {"timeout": "1s", "nameservers": ["127.0.0.1:9"]}})
    for values, tls in (({}, "no"), ({"{tls_version}": "TLSv1.3"}, "yes")):
        gatepost.forget()
        with milter_session(gatepost) as mta:
            mta.mail("a@b.example", login="a@b.example", macro_values=values)
        assert gatepost.verdict(stage="mail")["tls"] == tls


LONG = "x" * 397 + "..."


@pytest.mark.parametrize("words, status, told", [
    ([], 2, "explain needs either --ip with --from or --login, or --log"),
    (["--ip", "192.0.2.1"], 2, "explain needs either --ip"),
    (["--from", "a@b.example"], 2, "explain needs either --ip"),
    (["--ip", "192.0.2", "--from", "a@b.example"], 1, "--ip 192.0.2: not an IPv4 or IPv6 address"),
    (["--ip", "", "--from", "a@b.example"], 1, "not an IPv4"),
    (["--ip", "192.0.2.1", "--from", "a@b.example", "--listener", "nix"], 1,
     "there is no listener nix"),
    (["--log", ""], 1,
     "there is no line with event=verdict; --log takes a line, a file, or - for standard input"),
    (["--log", "event=store-up"], 1, "there is no line"),
    (["--log", "{\"event\":\"verdict\""], 1, "there is no line"),
    (["--log", "{\"event\":7}"], 1, "there is no line"),
    (["--log", "{\"event\":\"verdict\"}"], 1, "cannot read client=: is the line complete?"),
    (["--log", JSON_LINE.replace('"192.0.2.7"', "7")], 1, "cannot read client="),
    (["--log", LINE[:60]], 1, "cannot read client="),
    (["--log", LINE[:LINE.index(" sender=")]], 1, "cannot read sender="),
    (["--log", LINE.replace("sender=bob@b.example", 'sender="bob')], 1, "cannot read sender="),
    (["--log", LINE.replace("client=192.0.2.7", "client=192.0.2")], 1, "--ip 192.0.2: not an"),
    (["--log", LINE.replace("bob@b.example", "y" + "x" * 399 + "...")], 1, "too long for the log"),
    (["--log", LINE.replace("listener=mx", "listener=gone")], 1, "there is no listener gone"),
    (["extra"], 2, "too many arguments"),
])
def test_bad_input(ctl, words, status, told):
    run = ctl.run("explain", *words)
    assert run.status == status, run
    assert told in run.err and run.out == ""
    if "too many" not in told:
        answer = ctl.run("explain", *words, "--json").json()
        assert answer["exit"] == status and told in answer["error"]


def test_a_listener_behind_one_that_matches_everything(policy):
    ctl = Gatepostctl(policy.path + ".conf", {
        "store": "redis://127.0.0.1:1/0",
        "listener": {"any": {"daemon_port": 25, "service": "smtp"},
                     "some": {"daemon_port": 25, "daemon_name": "X", "service": "smtp"}}})
    run = ctl.run("explain", "--ip", "192.0.2.1", "--from", "a@b.example", "--listener", "some")
    assert run.status == 1 and "an earlier one matches everything" in run.err


def test_a_verdict_on_the_header_is_not_explained(ctl):
    """What was judged is not in the log."""
    run = ctl.run("explain", "--log", LINE.replace("stage=mail", "stage=data"))
    assert run.status == 1 and "which the log does not have" in run.err


def test_random_lines_harm_nothing(ctl):
    """Cut, turned and scrambled lines, many at once: answered or refused, never a crash."""
    chance = random.Random(int(os.environ.get("EXPLAIN_SEED", "7")))
    pieces = [b'"', b"\\", b"\\x", b"\\u00ff", b"\\xff", b"{", b"}", b" ", b"=", b"event=verdict ",
              b"sender=", b"client=", b": ", b"\n", b"\r", b"\xff\xfe", b"\xc3", b"null", b"[",
              b"\\u0000", b"\\ud800", b"<>", b"\xf0\x9f\x98\x80", b"\xef\x9e\x80", b"A" * 500]
    for _ in range(int(os.environ.get("EXPLAIN_ROUNDS", "150"))):
        text = bytearray((LINE if chance.random() < .5 else JSON_LINE).encode())
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(len(text) + 1)
            if chance.random() < .3:
                del text[at:at + chance.randrange(1, 30)]
            else:
                text[at:at] = chance.choice(pieces)
        if chance.random() < .2:
            text = text[:chance.randrange(len(text) + 1)]
        run = ctl.run("explain", "--log", "-", text=bytes(text))
        assert run.status in (0, 1, 3, 4, 5), (bytes(text), run)


def test_a_file_and_one_session_of_it(ctl, policy):
    """The log itself, by its name; of which session, or else the last verdict."""
    log = policy.path + ".log"
    lines = [LINE.replace("886e3baa-16", f"886e3baa-{n}").replace("bob@b", f"bob{n}@b")
             for n in (1, 16, 160)]
    with open(log, "w", encoding="utf-8") as file:
        file.write("\n".join(["Nov 22 00:48:52 host postfix/smtpd[78]: connect"] + lines) + "\n")
    assert explain(ctl, "--log", log)[1]["sender"] == "bob160@b.example"
    for n in (1, 16, 160):
        for words in (["--log", log], ["--log", "-"]):
            status, told = explain(ctl, *words, "--session", f"886e3baa-{n}",
                                   text="\n".join(lines))
            assert (status, told["sender"]) == (0, f"bob{n}@b.example"), words
    run = ctl.run("explain", "--log", log, "--session", "886e3baa-6")
    assert run.status == 1 and "no line with event=verdict of session 886e3baa-6\n" in run.err
    run = ctl.run("explain", "--session", "886e3baa-6", "--ip", "192.0.2.7", "--from", "a@b.example")
    assert run.status == 2 and "--session needs --log" in run.err
    for name, reason in ((log + ".gone", "No such file"), (os.path.dirname(log), "Is a directory")):
        run = ctl.run("explain", "--log", name)
        assert run.status == 1 and reason in run.err, run.err


def test_a_login_comes_by_the_submission_listener(ctl):
    """Unless another one is named, or a line of the log says that there was none."""
    question = ["--ip", "192.0.2.7", "--login", "bob@b.example"]
    assert explain(ctl, *question)[1]["listener"] == "submission"
    assert explain(ctl, *question, "--listener", "mx")[1]["listener"] == "mx"
    assert explain(ctl, "--ip", "192.0.2.7", "--from", "bob@b.example")[1]["listener"] == "mx"
    line = LINE.replace("login=", "login=bob@b.example")
    assert explain(ctl, "--log", line)[1]["listener"] == "mx"
