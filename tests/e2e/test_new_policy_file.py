"""The first change of a policy file that does not exist makes it: whole, or not at all."""

import os
import pwd
import stat

import pytest

from support.gatepostctl import Gatepostctl

CHANGE = ["protocol", "off", "alice@example.com", "pop3"]


@pytest.fixture
def path(site, domain):
    return os.path.join(site.folder.sub("new-" + domain), "policy")


@pytest.fixture
def ctl(path):
    return Gatepostctl(path + ".conf", {"store": "file:" + path, "trusted": [], "user": "nobody"})


def files_beside(path):
    return sorted(os.listdir(os.path.dirname(path)))


def test_the_first_change_makes_it(ctl, path):
    assert f"{path} did not exist: it is new" in ctl.do(*CHANGE).err
    with open(path, encoding="ascii") as file:
        assert file.read() == "account:alice@example.com protocol:pop3 off\n"
    assert files_beside(path) == ["policy", "policy.conf", "policy.history"]
    entries = ctl.do("history", "--json").json()
    assert [entry["field"] for entry in entries] == ["protocol:pop3"]
    assert "did not exist" not in ctl.do(*CHANGE[:3], "imap").err
    assert "imap" in ctl.do("history").out and "pop3" in ctl.do("history").out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_the_filter_may_read_it_and_others_may_not(ctl, path):
    ctl.do("import", text="account:alice@example.com protocol:pop3 off\n")
    for name in (path, path + ".history"):
        state = os.stat(name)
        assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o640, 0), name
        assert state.st_gid == pwd.getpwnam("nobody").pw_gid


@pytest.mark.parametrize("words, text", [
    (["protocol", "off", "alice@example.com", "nosuch"], None),
    (["account", "delete", "alice@example.com"], None),
    (["ip", "add", "alice@example.com", "192.0.2.300"], None),
    ([*CHANGE, "--dry-run"], None),
    (["import"], "nonsense\n"),
    (["import"], ""),
    (["lint"], None),
    (["export"], None)])
def test_what_changes_nothing_makes_nothing(ctl, path, words, text):
    ctl.run(*words, text=text)
    assert files_beside(path) == ["policy.conf"]


def test_a_file_that_was_lost_is_not_made_anew(ctl, path):
    """One fact would be left of a whole policy, and everybody else's door open."""
    ctl.do(*CHANGE)
    os.unlink(path)
    run = ctl.run(*CHANGE)
    assert run.status == 2 and "its history does: the file was lost" in run.err
    assert files_beside(path) == ["policy.conf", "policy.history"]


def test_a_link_to_nowhere_stays_one(ctl, path):
    os.symlink(path + ".else", path)
    run = ctl.run(*CHANGE)
    assert run.status == 2 and path in run.err
    assert files_beside(path) == ["policy", "policy.conf"] and os.path.islink(path)
