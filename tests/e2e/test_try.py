"""`gatepost -t` finds what a start would stumble over, all of it, and says of what setting."""

import os
import pwd
import socket
import time

import pytest

from support.gatepost import check, render
from support.ports import free_port

NOBODY = pwd.getpwnam("nobody")

GOOD = {"user": "root", "socket_group": "", "trusted": []}


@pytest.fixture
def place(site, domain):
    """A folder of its own, which anybody may enter, with an empty policy."""
    folder = site.folder.sub("try-" + domain)
    os.chmod(folder, 0o755)
    with open(os.path.join(folder, "policy"), "w"):
        pass
    return folder


@pytest.fixture
def try_out(place):
    """A function (**settings): `gatepost -t` on the good ones with these changes."""
    def run(**settings):
        conf = os.path.join(place, "gatepost.conf")
        with open(conf, "w") as file:
            file.write(render({**GOOD, "socket": f"unix:{place}/milter.sock",
                               "store": f"file:{place}/policy", **settings}))
        finished = check(conf)
        assert finished.returncode == (78 if finished.stderr else 0)
        assert bool(finished.stderr) != ("is good" in finished.stdout)
        return [line.replace(f"gatepost: {conf}: ", "").replace(place, "PLACE")
                for line in finished.stderr.splitlines()]
    return run


def test_what_is_good(try_out, place):
    assert try_out() == []
    assert try_out(socket="unix:/run/no-such-service/milter.sock") == []    # systemd makes it
    assert try_out(socket="unix:/var/run/no-such-service/milter.sock") == []
    assert try_out(store="redis://127.0.0.1:1/0") == []                     # it may come later
    assert try_out(store="redis://127.0.0.1:1/0", trusted=["relays"]) == []  # as may its network


def test_one_problem_each(try_out, place):
    assert try_out(user="no-such-user") == [
        'user "no-such-user": there is no such user: create it (systemd-sysusers, or adduser '
        '--system), or name another one (user = "root" if it really is root)']
    assert try_out(socket_group="no-such-group") == [
        'socket_group "no-such-group": there is no such group']
    assert try_out(socket=f"unix:{place}/missing/milter.sock") == [
        'socket "unix:PLACE/missing/milter.sock": its directory PLACE/missing: '
        'No such file or directory']
    assert try_out(socket=f"unix:{place}/policy/milter.sock") == [
        'socket "unix:PLACE/policy/milter.sock": its directory PLACE/policy: Not a directory']
    assert try_out(socket=f"unix:{place}/policy") == [
        'socket "unix:PLACE/policy": a file that is no socket stands in its place: remove it']
    os.symlink("milter.sock", os.path.join(place, "link"))
    assert try_out(socket=f"unix:{place}/link") == [
        'socket "unix:PLACE/link": a symbolic link stands in its place: remove it']
    missing, = try_out(store=f"file:{place}/missing")
    assert missing.startswith('store "file:PLACE/missing": ') and "No such file" in missing
    password, = try_out(store="redis://127.0.0.1:1/0", store_password_file=f"{place}/missing")
    assert "PLACE/missing" in password and "No such file" in password


def test_a_policy_file_that_is_none(try_out, place):
    """It ends, though nobody writes to the FIFO."""
    os.mkfifo(os.path.join(place, "fifo"))
    assert try_out(store=f"file:{place}/fifo") == [
        'store "file:PLACE/fifo": PLACE/fifo: it is no regular file']


def test_a_password_file_that_is_none(try_out, place):
    os.mkfifo(os.path.join(place, "fifo"), 0o600)
    assert try_out(store="redis://127.0.0.1:1/0", store_password_file=f"{place}/fifo") == [
        'store "redis://127.0.0.1:1/0": store_password_file: PLACE/fifo: it is no regular file']
    os.mkdir(os.path.join(place, "folder"), 0o700)
    assert try_out(store="redis://127.0.0.1:1/0", store_password_file=f"{place}/folder") == [
        'store "redis://127.0.0.1:1/0": store_password_file: PLACE/folder: it is no regular file']


def test_all_problems_at_once(try_out, place):
    found = try_out(user="no-such-user", socket_group="no-such-group",
                    socket=f"unix:{place}/missing/milter.sock", store=f"file:{place}/missing")
    assert [line.split(" ")[0] for line in found] == ["socket_group", "socket", "user", "store"]


def test_as_the_user_that_it_will_be(try_out, place):
    """What only root can read is none that the filter can read."""
    os.chmod(os.path.join(place, "policy"), 0o600)
    assert try_out() == []
    os.chown(place, NOBODY.pw_uid, -1)
    unreadable, = try_out(user="nobody")
    assert "Permission denied" in unreadable and "PLACE/policy" in unreadable


def test_a_directory_in_which_it_may_not_write(try_out, place):
    os.chmod(os.path.join(place, "policy"), 0o644)
    assert try_out(user="nobody") == [
        f'socket "unix:PLACE/milter.sock": its directory PLACE: user nobody may not write there: '
        'Permission denied']
    os.chown(place, NOBODY.pw_uid, -1)
    assert try_out(user="nobody") == []


@pytest.mark.parametrize("setting, form", [
    ("socket", "inet:{port}@127.0.0.1"), ("socket", "inet:{port}"), ("socket", "inet6:{port}@::1"),
    ("http_listen", "127.0.0.1:{port}"), ("http_listen", "[::1]:{port}")])
def test_an_address_that_is_taken(try_out, setting, form):
    six = "::1" in form
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET) as taken:
        taken.bind(("::1" if six else "127.0.0.1", 0))
        taken.listen()
        value = form.format(port=taken.getsockname()[1])
        assert try_out(**{setting: value}) == [f'{setting} "{value}": Address already in use']
    assert try_out(**{setting: value}) == []


def test_an_address_of_the_doors(try_out, place):
    token = os.path.join(place, "token")
    with open(token, "w") as file:
        file.write("a token\n")
    os.chmod(token, 0o600)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        value = "127.0.0.1:%d" % taken.getsockname()[1]
        settings = {"doors_listen": [f"unix:{place}/doors.sock", value], "doors_token_file": token}
        assert try_out(**settings) == [f'doors_listen "{value}": Address already in use']
    assert try_out(**settings) == []


def test_an_address_that_is_not_ours(try_out):
    elsewhere, nowhere = "inet:8892@192.0.2.1", "inet:8892@nowhere.invalid"
    assert try_out(socket=elsewhere) == [f'socket "{elsewhere}": Cannot assign requested address']
    assert try_out(http_listen="192.0.2.1:80") == [
        'http_listen "192.0.2.1:80": Cannot assign requested address']
    unknown, = try_out(socket=nowhere)
    assert unknown.startswith(f'socket "{nowhere}": its address: ')


def test_a_filter_that_runs(try_out, start_gatepost):
    """It has the address that is tried."""
    port = free_port()
    start_gatepost({"http_listen": f"127.0.0.1:{port}"})
    assert try_out(http_listen=f"127.0.0.1:{port}") == []


def test_a_mute_redis_is_waited_for_once(try_out):
    """However many networks it is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        assert try_out(trusted=[f"n{number}" for number in range(200)], store_timeout="500ms",
                       store=f"redis://127.0.0.1:{mute.getsockname()[1]}/0") == []
        assert time.monotonic() - began < 5


def test_networks(try_out, place, redis):
    network = {"relays": {"members": ["192.0.2.0/24"]}}
    assert try_out(trusted=["relays"], network=network) == []
    unknown = ('network "rellays": nobody defines it: it has no members here, and none in the '
               'store (gatepostctl network add)')
    assert try_out(trusted=["rellays"], network=network) == [unknown]
    assert try_out(listener={"mx": {"service": "smtp", "connect_from": ["rellays"]}},
                   network=network) == [unknown]
    assert try_out(trusted=["rellays"], store=redis.url) == [unknown]
    redis.cli("HSET", "gatepost:network:rellays", "192.0.2.0/24", "")
    assert try_out(trusted=["rellays"], store=redis.url) == []


def test_addresses_of_doors(try_out, place):
    """Over TCP a door is an address, not a path."""
    token = os.path.join(place, "token")
    with open(token, "w") as file:
        file.write("correct-horse\n")
    os.chmod(token, 0o600)
    port = free_port()
    doors = [f"unix:{place}/doors.sock", f"127.0.0.1:{port}", f"[::1]:{port}"]
    assert try_out(doors_listen=doors, doors_token_file=token) == []
    with socket.create_server(("127.0.0.1", port)):
        in_use, = try_out(doors_listen=doors, doors_token_file=token)
    assert in_use.startswith(f'doors_listen "127.0.0.1:{port}": ') and "in use" in in_use
