"""Which user the filter runs as, and what stands in its socket's place, must let nobody else in."""

import os
import pwd
import socket
import stat
import subprocess

import pytest

from support.gatepost import BINARY, Gatepost, render
from support.process import wait_until

NOBODY = pwd.getpwnam("nobody")


def start_status(folder, settings, name="refused"):
    """Starts a filter that must not start: its exit status and what it said."""
    conf = os.path.join(folder, name + ".conf")
    with open(conf, "w") as to:
        to.write(render({"log": "stderr", "socket_group": "", "store": f"file:{folder}/policy",
                         **settings}))
    done = subprocess.run([BINARY, "-c", conf], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


@pytest.fixture
def place(site, domain):
    """A folder of its own with an empty policy."""
    folder = site.folder.sub("place-" + domain)
    with open(os.path.join(folder, "policy"), "w"):
        pass
    return folder


def status_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


@pytest.mark.parametrize("user, words", [
    ("no-such-user", "there is no such user"),
    ("", "started by root"),
], ids=["missing", "empty"])
def test_root_does_not_go_on_as_root(place, user, words):
    status, said = start_status(place, {"socket": f"unix:{place}/milter.sock", "user": user})
    assert status == 1
    assert "event=start-failed setting=user" in said and words in said
    assert not os.path.exists(f"{place}/milter.sock")


def test_the_default_user_must_exist_too(place):
    try:
        pwd.getpwnam("gatepost")
        pytest.skip("this host has a user gatepost")
    except KeyError:
        pass
    status, said = start_status(place, {"socket": f"unix:{place}/milter.sock"})
    assert status == 1
    assert "event=start-failed setting=user value=gatepost" in said and "systemd-sysusers" in said


def test_another_user_without_capabilities(place, start_gatepost, redis):
    gatepost = start_gatepost({"store": redis.url, "user": "nobody", "socket_mode": "0660",
                               "socket_group": "postfix"})
    status = status_of(gatepost.pid)
    assert status["Uid"].split() == [str(NOBODY.pw_uid)] * 4
    assert status["Gid"].split() == [str(NOBODY.pw_gid)] * 4
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    there = os.stat(gatepost.socket)
    assert stat.S_IMODE(there.st_mode) == 0o660 and there.st_uid == NOBODY.pw_uid
    assert there.st_gid != 0


def test_root_when_it_is_written(start_gatepost, redis):
    gatepost = start_gatepost({"store": redis.url, "user": "root"})
    status = status_of(gatepost.pid)
    assert status["Uid"].split() == ["0"] * 4 and status["NoNewPrivs"] == "1"


def test_a_link_in_place_of_the_socket(place):
    victim = os.path.join(place, "victim")
    with open(victim, "w") as to:
        to.write("precious")
    os.chmod(victim, 0o600)
    os.symlink(victim, f"{place}/milter.sock")
    status, said = start_status(place, {"socket": f"unix:{place}/milter.sock", "user": "nobody",
                                        "socket_mode": "0666"})
    assert status == 1 and "a symbolic link stands in its place" in said
    there = os.stat(victim)
    assert there.st_uid == os.getuid() and stat.S_IMODE(there.st_mode) == 0o600
    with open(victim) as file:
        assert file.read() == "precious"


def test_a_file_in_place_of_the_socket(place):
    with open(f"{place}/milter.sock", "w") as to:
        to.write("precious")
    status, said = start_status(place, {"socket": f"unix:{place}/milter.sock", "user": "nobody"})
    assert status == 1 and "a file that is no socket stands in its place" in said
    with open(f"{place}/milter.sock") as file:
        assert file.read() == "precious"


def test_an_old_socket_is_replaced_and_a_live_one_is_not(place, start_gatepost, redis):
    path = f"{place}/milter.sock"
    old = socket.socket(socket.AF_UNIX)
    old.bind(path)
    old.close()
    gatepost = Gatepost(place, {"store": redis.url, "socket": "unix:" + path}, socket=path)
    gatepost.start()
    try:
        status, said = start_status(place, {"socket": "unix:" + path, "user": "nobody"})
        assert status == 1 and "another process listens on it" in said
        assert gatepost.running()
    finally:
        assert gatepost.stop() == 0


def test_a_directory_that_is_not_there(place):
    status, said = start_status(place, {"socket": f"unix:{place}/none/milter.sock",
                                        "user": "nobody"})
    assert status == 1
    assert f"directory={place}/none" in said and "No such file or directory" in said


def test_a_directory_of_everybody(place, redis):
    os.chmod(place, 0o1777)
    path = f"{place}/milter.sock"
    gatepost = Gatepost(place, {"store": redis.url, "socket": "unix:" + path}, socket=path)
    gatepost.start()
    gatepost.remember()
    try:
        wait_until(lambda: any(f"event=socket-directory directory={place} " in line
                               for line in gatepost.log_lines()), 20, "a warning")
    finally:
        assert gatepost.stop() == 0


def test_the_drain_closes_the_socket_and_not_another(place, redis):
    """The filter holds its own socket: a file that took the name meanwhile keeps its mode."""
    path = f"{place}/milter.sock"
    gatepost = Gatepost(place, {"store": redis.url, "socket": "unix:" + path}, socket=path)
    gatepost.start()
    os.rename(path, path + ".held")
    with open(path, "w"):
        pass
    os.chmod(path, 0o644)
    assert gatepost.stop() == 0
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(path + ".held").st_mode) == 0o600


def test_a_configuration_that_comes_late(place):
    done = subprocess.run([BINARY, "-c", f"{place}/none.conf"], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 66 and "No such file or directory" in done.stderr
