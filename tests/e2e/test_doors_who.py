"""Who may ask at the doors: paths, methods, tokens, the sockets themselves."""

import grp
import json
import os
import pwd
import re
import signal
import stat
import subprocess

import pytest

from support.doors import TOKEN, DoorClient
from support.gatepost import BINARY, check, render
from support.process import wait_until

GOOD = {"login": "x@example.org", "protocol": "imap", "remote": "192.0.2.1", "tls": True}


@pytest.fixture
def served(start_doors):
    return start_doors()


def told(answer):
    return (answer.status, answer.headers.get("x-gatepost-verdict"),
            answer.headers.get("x-gatepost-reason"))


def test_paths_and_methods(served):
    _, doors = served
    for client, path, allowed in [(doors.unix, "/v1/dovecot?command=allow", "POST"),
                                  (doors.unix, "/v1/allow", "GET, HEAD"),
                                  (doors.unix, "/v1/nginx-mail", "GET, HEAD"),
                                  (doors.passwords, "/v1/password", "POST")]:
        for method in {"GET", "POST", "PUT", "DELETE", "OPTIONS"} - set(allowed.split(", ")):
            answer = client.ask(path, method, "{}")
            assert (answer.status, answer.headers["allow"]) == (405, allowed), (path, method)
    for client, path in [(doors.unix, "/v1/password"), (doors.passwords, "/v1/allow"),
                         (doors.passwords, "/v1/dovecot?command=allow"), (doors.unix, "/"),
                         (doors.passwords, "/v1/nginx-mail"), (doors.unix, "/v1/allow/"),
                         (doors.unix, "//v1/allow"), (doors.unix, "/metrics")]:
        for method in ("GET", "POST"):
            assert told(client.ask(path, method)) == (404, "reject", "bad-request"), path


def test_the_token(served, domain):
    """Over TCP only who has it asks, and the host name tells nothing."""
    gatepost, doors = served
    target = f"/v1/allow?service=carddav&account=x@{domain}"
    assert doors.tcp.ask(target).status == 200
    stranger = DoorClient(doors.port)
    for headers in ({}, {"X-Gatepost-Token": ""}, {"X-Gatepost-Token": TOKEN + "x"},
                    {"X-Gatepost-Token": TOKEN[:-1]}, {"X-Gatepost-Token": TOKEN.upper()},
                    {"X-Gatepost-Token": "x" * 5000},
                    [("X-Gatepost-Token", TOKEN), ("X-Gatepost-Token", TOKEN)]):
        assert told(stranger.ask(target, headers=headers)) == (403, "reject", "bad-token")
        answer = stranger.ask("/v1/dovecot?command=allow", "POST", json.dumps(GOOD), headers)
        assert answer.status == 403
    assert TOKEN not in "\n".join(gatepost.log_lines())
    assert doors.unix.ask(target, headers={"X-Gatepost-Token": "wrong"}).status == 200


def test_another_token_by_reload(served, domain):
    gatepost, doors = served
    target = f"/v1/allow?service=carddav&account=x@{domain}"
    with open(doors.token_file, "w") as file:
        file.write("another\n")
    assert doors.tcp.ask(target).status == 200
    os.kill(gatepost.pid, signal.SIGHUP)
    gatepost.wait_log("event=reload ")
    assert doors.tcp.ask(target).status == 403
    assert DoorClient(doors.port, "another").ask(target).status == 200
    os.chmod(doors.token_file, 0o644)
    with open(doors.token_file, "w") as file:
        file.write("\n")
    os.kill(gatepost.pid, signal.SIGHUP)
    assert doors.token_file in gatepost.wait_log("event=reload-failed", "its first line is empty")
    assert DoorClient(doors.port, "another").ask(target).status == 200
    with open(doors.token_file, "w") as file:
        file.write("third\n")
    os.kill(gatepost.pid, signal.SIGHUP)
    assert doors.token_file in gatepost.wait_log("event=password-exposed")


def test_modes_and_groups(start_doors):
    """They belong to the user that the filter is."""
    _, doors = start_doors(doors_mode="0620", doors_group="postfix", user="nobody")
    nobody = pwd.getpwnam("nobody").pw_uid
    there, passwords = os.stat(doors.unix_path), os.stat(doors.passwords_path)
    assert stat.S_IMODE(there.st_mode) == 0o620 and stat.S_IMODE(passwords.st_mode) == 0o600
    assert there.st_gid == grp.getgrnam("postfix").gr_gid
    assert there.st_uid == passwords.st_uid == nobody
    assert doors.unix.allow("x@example.org").status == 200


# --- what a start and -t stumble over


def start_status(gatepost_conf):
    done = subprocess.run([BINARY, "-c", gatepost_conf], capture_output=True, text=True,
                          timeout=30)
    return done.returncode, done.stderr


@pytest.fixture
def try_doors(site, domain):
    """A function (**settings): what a start and `gatepost -t` say, of a filter with these."""
    folder = site.folder.sub("doors-try-" + domain)
    open(os.path.join(folder, "policy"), "w").close()

    def run(**settings):
        conf = os.path.join(folder, "gatepost.conf")
        with open(conf, "w") as file:
            file.write(render({"user": "root", "socket_group": "", "log": "stderr", "trusted": [],
                               "socket": f"unix:{folder}/milter.sock",
                               "store": f"file:{folder}/policy", **settings}))
        tried = check(conf)
        status, said = start_status(conf)
        assert status != 0 and tried.returncode == 78
        return folder, said, tried.stderr
    return run


@pytest.mark.parametrize("setting", ["doors_listen", "passwords_listen"])
@pytest.mark.parametrize("make, problem", [
    (lambda path: os.symlink("elsewhere", path), "a symbolic link stands in its place"),
    (lambda path: open(path, "w").close(), "a file that is no socket stands in its place"),
], ids=["link", "file"])
def test_what_stands_in_the_place_of_a_socket(try_doors, site, setting, make, problem):
    path = os.path.join(site.folder.sub("doors-place"), f"{setting}-{problem.split()[1]}")
    make(path)
    before = os.lstat(path)
    value = f"unix:{path}"
    _, said, tried = try_doors(**{setting: [value] if setting == "doors_listen" else value})
    assert f"event=start-failed setting={setting} value={value}" in said and problem in said
    assert f'{setting} "{value}": {problem}' in tried
    after = os.lstat(path)
    assert (before.st_ino, before.st_mode, before.st_uid) \
        == (after.st_ino, after.st_mode, after.st_uid)


def test_a_socket_in_use_and_an_old_one(served, try_doors, start_doors, domain):
    gatepost, doors = served
    status, said = start_status(gatepost.conf)
    assert status == 1 and "another process listens on it" in said
    conf = gatepost.conf + ".2"
    with open(gatepost.conf) as old, open(conf, "w") as new:
        new.write(old.read().replace(gatepost.socket, gatepost.socket + ".2"))
    status, said = start_status(conf)
    assert status == 1 and "event=start-failed setting=doors_listen" in said
    assert "another process listens on it" in said
    assert doors.unix.allow(f"x@{domain}").status == 200
    os.kill(gatepost.pid, signal.SIGKILL)
    wait_until(lambda: not gatepost.running())
    assert os.path.exists(doors.unix_path)
    gatepost.start()
    assert doors.unix.allow(f"x@{domain}").status == 200
    assert gatepost.stop() == 0
    assert not os.path.exists(doors.unix_path)
    assert os.path.exists(doors.passwords_path)     # so that nobody else takes its place
    with pytest.raises(ConnectionRefusedError):
        doors.passwords.password(f"x@{domain}")
    gatepost.start()
    assert doors.passwords.password(f"x@{domain}").status == 204


def test_groups_and_token_files(try_doors, domain):
    folder, said, tried = try_doors(doors_listen=["unix:/run/gatepost-none/doors.sock"],
                                    doors_group="no-such-group")
    assert "setting=doors_group value=no-such-group" in said and "no such group" in said
    assert 'doors_group "no-such-group": there is no such group' in tried
    fifo, empty = os.path.join(folder, "fifo"), os.path.join(folder, "empty")
    os.mkfifo(fifo)
    open(empty, "w").close()
    for path, problem in [(folder + "/none", "No such file or directory"), (empty, "is empty"),
                          (fifo, "it is no regular file"), (folder, "it is no regular file")]:
        _, said, tried = try_doors(doors_listen=["127.0.0.1:1"], doors_token_file=path)
        assert f'doors_token_file "{path}": ' in tried and problem in tried
    _, said, tried = try_doors(doors_listen=["127.0.0.1:1"], doors_token_file="")
    assert re.search(r"gatepost.conf:\d+: doors_listen: .*needs a doors_token_file", tried)


def test_an_address_in_use(served, site, domain):
    gatepost, doors = served
    conf = gatepost.conf + ".3"
    with open(gatepost.conf) as old, open(conf, "w") as new:
        text = old.read()
        for path in (gatepost.socket, doors.unix_path, doors.passwords_path):
            text = text.replace(path, path + ".3")
        new.write(text)
    assert check(gatepost.conf).returncode == 0     # it is the filter's own, which runs
    status, said = start_status(conf)
    assert status == 1 and f"setting=doors_listen value=127.0.0.1:{doors.port}" in said
    assert "Address already in use" in said
