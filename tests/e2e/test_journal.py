"""log = journal: each value is a field of its own in a real journal of systemd.

What becomes of lines that the journal does not read: test_log_reader.py.
"""

import os
import subprocess

import pytest

from support import logfmt
from support.gatepost import BINARY, check, render
from support.gatepostctl import Gatepostctl
from support.journal import JOURNALD, Journal
from support.process import wait_until

pytestmark = pytest.mark.skipif(not os.path.exists(JOURNALD), reason="there is no systemd-journald")


@pytest.fixture
def journal(site, domain):
    made = Journal(site.folder.sub("journal-" + domain)).start()
    yield made
    made.remove()


@pytest.fixture
def start(start_gatepost, redis, journal):
    def start_one(**settings):
        return start_gatepost({"store": redis.url, "log": "journal", **settings},
                              within=journal.within)
    return start_one


def read(journal, event):
    """The entries up to the first of that event."""
    found = []

    def come():
        found.extend(journal.entries())
        return any(entry.get("GATEPOST_EVENT") == event for entry in found)
    wait_until(come, 20, event)
    return found


def field(key):
    return "GATEPOST_" + key.upper().replace("-", "_")


def test_each_value_is_a_field(start, journal, milter_session, domain, redis):
    redis.cli("HSET", f"gatepost:account:a@{domain}", "protocol:smtp", "off")
    gatepost = start()
    with milter_session(gatepost, helo="odd \u2028 helo") as mta:
        assert mta.mail(f"a@{domain}").reply.startswith("550 ")
    entry = next(e for e in read(journal, "verdict") if e["GATEPOST_EVENT"] == "verdict")
    line = logfmt.parse(entry["MESSAGE"])
    assert line["event"] == "verdict" and line["account"] == f"a@{domain}"
    for key, value in line.items():
        if key == "helo":
            continue
        assert entry.get(field(key), "") == (value or ""), key
    assert entry["GATEPOST_HELO"] == "odd \u2028 helo", "as it is, without the line's escapes"
    assert set(e for e in entry if e.startswith("GATEPOST_")) == {
        field(key) for key, value in line.items() if value}
    assert entry["PRIORITY"] == "6" and entry["SYSLOG_FACILITY"] == "2"
    assert entry["SYSLOG_IDENTIFIER"] == "gatepost" and entry["_PID"] == str(gatepost.pid)
    assert entry["_TRANSPORT"] == "journal"
    assert "CODE_FILE" not in entry


def test_json_and_priorities(start, journal, milter_session, domain, redis):
    redis.cli("HSET", f"gatepost:account:a@{domain}", "source", "x")
    gatepost = start(log_format="json")
    with milter_session(gatepost) as mta:
        assert mta.mail(f"a@{domain}").reply.startswith("451 ")
    entries = {e["GATEPOST_EVENT"]: e for e in read(journal, "verdict")}
    assert entries["policy-malformed"]["PRIORITY"] == "3"
    assert entries["policy-malformed"]["GATEPOST_FIELD"] == "source"
    assert entries["verdict"]["MESSAGE"].startswith('{"event":"verdict",')


def test_a_value_with_everything_in_it(start, journal, milter_session, domain):
    """Neither a line break nor "=" makes another field; a long value is cut at a character."""
    gatepost = start()
    with milter_session(gatepost, helo="x\nGATEPOST_ACCOUNT=forged\nMESSAGE=forged") as mta:
        mta.mail("\u00e4" * 300 + "@" + domain)
    entry = next(e for e in read(journal, "verdict") if e["GATEPOST_EVENT"] == "verdict")
    assert entry["GATEPOST_HELO"] == "x\nGATEPOST_ACCOUNT=forged\nMESSAGE=forged"
    assert entry["GATEPOST_ACCOUNT"] != "forged" and entry["MESSAGE"].startswith("event=verdict ")
    assert entry["GATEPOST_SENDER"] == "\u00e4" * 200


def test_explain_reads_it(start, journal, milter_session, domain, redis):
    """journalctl prints the line as it is in other logs."""
    redis.cli("HSET", f"gatepost:account:a@{domain}", "protocol:smtp", "off")
    gatepost = start()
    with milter_session(gatepost) as mta:
        mta.mail(f"a@{domain}")
    read(journal, "verdict")
    shown = subprocess.run(
        [*journal.within, "journalctl", "--directory", "/run/log/journal", "-o", "cat",
         "GATEPOST_EVENT=verdict", f"GATEPOST_ACCOUNT=a@{domain}"],
        capture_output=True, text=True, timeout=30)
    explained = Gatepostctl(gatepost.conf).run("explain", "--log", "-", "--json", text=shown.stdout)
    assert (explained.status, explained.json()["reason"]) == (5, "protocol-disabled")


def test_a_reload_changes_the_log(start, journal, milter_session, domain, redis):
    gatepost = start(log="stderr")
    gatepost.configure({"store": redis.url, "log": "journal"})
    os.kill(gatepost.pid, 10)                       # SIGUSR1
    read(journal, "reload")
    with milter_session(gatepost) as mta:
        mta.mail(f"a@{domain}")
    assert any(e["GATEPOST_EVENT"] == "verdict" for e in read(journal, "verdict"))


def test_a_host_without_a_journal(site, domain):
    """gatepost -t says it, and a filter that runs there loses nothing in silence."""
    conf = site.folder.file("no-journal.conf")
    policy = site.folder.file("no-journal.policy")
    with open(policy, "w"), open(conf, "w") as file:
        file.write(render({"user": "root", "log": "journal", "store": "file:" + policy,
                           "socket": "unix:" + site.folder.file("no-journal.sock")}))
    journal = Journal(site.folder.sub("no-journal-" + domain))

    def tried():
        return subprocess.run([*journal.within, BINARY, "-t", "-c", conf], capture_output=True,
                              text=True, timeout=30)
    finished = tried()
    assert finished.returncode == 78 and "there is no journal on this host" in finished.stderr
    journal.start()
    assert tried().returncode == 0
    journal.remove()


def test_what_is_no_log(site):
    conf = site.folder.file("no-log.conf")
    with open(conf, "w") as file:
        file.write(render({"user": "root", "log": "paper"}))
    assert "it must be syslog, stderr or journal" in check(conf).stderr
