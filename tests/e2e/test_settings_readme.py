"""README.md, "Let users decide": its commands make the files by which nginx, gatepost-settings and Redis
believe each other."""

import os
import re
import stat
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode

import pytest

from support.folder import Folder
from support.redis_login import settings_acl_of_the_package
from support.redis_server import RedisServer
from support.settings_host import ALICE, PASSWORD
from support.settings_page import SettingsPage
from test_readme import section

# of the host that the tests run on
GROUP = "www-data"


def commands():
    """Those of the steps; what a test may not do on this host is left out."""
    lines = [line[8:] for line in section("## Let users decide").split("\n### ")[0].splitlines()
             if line.startswith(" " * 8)]
    return [line for line in lines if re.match(r"token=|install|editor|echo", line)]


@pytest.fixture
def page():
    folder = Folder()
    redis = RedisServer(folder.sub("redis"), [settings_acl_of_the_package("CHANGE-ME")],
                        password="master").start()
    made = SettingsPage(folder.sub("page"), [], PASSWORD)
    for name in ("tokens", "token.conf", "users"):
        os.remove(os.path.join(made.folder, name))
    made.redis_url = redis.url
    yield made
    made.stop()
    redis.stop()
    folder.remove()


def do_the_commands(page):
    places = {"/etc/gatepost/tokens": "tokens", "/etc/nginx/gatepost-token.conf": "token.conf",
              "/etc/nginx/mail.htpasswd": "users",
              "/etc/gatepost/settings.password": "settings.password"}
    script = "\n".join(commands())
    for place, name in places.items():
        assert place in script
        script = script.replace(place, os.path.join(page.folder, name))
    script = script.replace("-g gatepost-settings", "-g " + GROUP)
    script = script.replace("editor ", "echo CHANGE-ME >").replace("passwd -6", "passwd -6 " + PASSWORD)
    subprocess.run(["sh", "-e", "-c", script], check=True)


def configuration(page):
    """The section that it shows, as it is on this host."""
    block, = re.findall(r"^ {8}(settings \{\n.*?\n {8}\})", section("## Let users decide"),
                        re.MULTILINE | re.DOTALL)
    text = block.replace("/etc/gatepost", page.folder)
    text = re.sub(r'origin( +)= ".*"', f'origin = "{page.conf["settings"]["origin"]}"', text)
    places = {name: page.conf["settings"][name] for name in ("listen", "token_file", "socket_group")}
    rest = "".join(f'{name} = "{value}"\n' for name, value in places.items())
    return f'log = stderr\nstore = "{page.redis_url}"\n{text[:-1]}{rest}}}\n'


def ask(page, password):
    token = b64encode(f"{ALICE}:{password}".encode()).decode()
    request = urllib.request.Request(page.url + "v1/accounts/me",
                                     headers={"Authorization": "Basic " + token})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as problem:
        return problem.code


def mode(page, name):
    return stat.S_IMODE(os.stat(os.path.join(page.folder, name)).st_mode)


def test_its_commands_make_a_page(page):
    do_the_commands(page)
    conf = os.path.join(page.folder, "gatepost.conf")
    with open(conf, "w") as file:
        file.write(configuration(page))
    page.start(conf)
    assert ask(page, PASSWORD) == 200
    assert ask(page, "wrong") == 401
    assert {name: mode(page, name) for name in ("tokens", "settings.password", "users")} == dict.fromkeys(
        ("tokens", "settings.password", "users"), 0o640)
    assert mode(page, "token.conf") == 0o600
