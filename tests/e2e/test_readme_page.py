"""README.md, "Let users decide": its steps, typed as they stand there, switch the page on."""

import os
import re
import shutil
import subprocess

import pytest

from support.dovecot import PASSWORD
from support.folder import Folder
from support.gatepost import BINARY, Gatepost
from support.gatepostctl import CTL
from support.ports import accepts, accepts_unix, free_port
from support.process import Process, wait_until
from support.redis_server import RedisServer
from support.settings_page import NGINX
from support.shipped import CONF
from support.tls import Authority

PROGRAM = os.path.join(os.path.dirname(BINARY), "gatepost-settings")
NAME, ALICE = "mail.example.com", "alice@example.com"


def blocks():
    """The code of the steps, and of what comes after them, to the title of the page."""
    with open(os.path.join(CONF, "../README.md"), encoding="utf-8") as file:
        text = re.search(r"\n## Let users decide\n(.*?)\n### ", file.read(), re.DOTALL)[1]
    steps, _, after = text.partition("\n| the answer is |")
    return ([re.sub(r"^ {8}", "", block, flags=re.MULTILINE)
             for block in re.findall(r"(?:^ {8}.*\n)+", steps, re.MULTILINE)],
            re.findall(r"^    (curl .*)$", after, re.MULTILINE))


def acl(name, password):
    with open(os.path.join(CONF, "redis", name), encoding="utf-8") as file:
        line, = [line for line in file if re.match(r"user \S+ on >CHANGE-ME .*hgetall", line)]
    return line.strip().replace("CHANGE-ME", password)


class Host:
    """A host in a folder: /etc, /run and the name of the server are elsewhere, user nobody is in the
    place of gatepost-settings."""

    def __init__(self):
        self.folder = Folder()
        self.port = free_port()
        self.processes = []
        for name in ("gatepost", "nginx", "dovecot", "run", "bin"):
            self.folder.sub(name)
        os.chmod(self.path("run"), 0o1777)
        shutil.copy(PROGRAM, self.path("bin/gatepost-settings"))
        authority = Authority(self.folder.sub("ca"))
        certificate, key = authority.issue("mail", f"DNS:{NAME}")
        self.write(".curlrc", f'cacert = "{authority.cert}"\nsilent\n'
                              f'connect-to = "{NAME}:443:127.0.0.1:{self.port}"\n')
        self.places = {
            "/etc/gatepost/": self.path("gatepost/"), "/etc/nginx/": self.path("nginx/"),
            "/etc/dovecot/": self.path("dovecot/"), "/run/gatepost/": self.path("run/"),
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;", "listen [::]:443 ssl;": "",
            "/etc/ssl/certs/mail.example.com.pem": certificate,
            "/etc/ssl/private/mail.example.com.key": key,
            "chown gatepost-settings ": "chown nobody ",
            "--reuid gatepost-settings --regid gatepost-settings": "--reuid nobody --regid nogroup",
            "gatepostctl ": f"{CTL} -c {self.path('gatepost/gatepost.conf')} ",
            "gatepost-settings -t": f"{self.path('bin/gatepost-settings')} -t -c "
                                    f"{self.path('gatepost/gatepost.conf')}",
            f"-u {ALICE} ": f"-u {ALICE}:{PASSWORD} "}

    def path(self, name):
        return self.folder.file(name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)

    def local(self, text):
        for old in sorted(self.places, key=len, reverse=True):
            text = text.replace(old, self.places[old])
        return text

    def type(self, text):
        """In a shell of root; what it printed. It must be done."""
        run = subprocess.run(["sh", "-ec", self.local(text)], capture_output=True, text=True,
                             env={**os.environ, "HOME": self.folder.path}, timeout=60)
        assert run.returncode == 0, (text, run.stdout + run.stderr)
        return run.stdout

    def run(self, argv, log, ready):
        process = Process(argv, self.path(log))
        self.processes.append(process)
        process.wait_ready(ready, what=log)

    def stop(self):
        for process in reversed(self.processes):
            process.stop()
        self.folder.remove()


@pytest.fixture
def host():
    host = Host()
    yield host
    host.stop()


def without(block, *beginnings):
    """The block without these commands, for which a test has no system; each must be there."""
    lines = block.splitlines()
    for beginning in beginnings:
        assert any(line.startswith(beginning) for line in lines), (beginning, block)
        lines = [line for line in lines if not line.startswith(beginning)]
    return "\n".join(lines)


def start_redis(host):
    with open(host.path("gatepost/settings.password"), encoding="utf-8") as file:
        password = file.read().strip()
    server = RedisServer(host.folder.sub("redis"), [acl("gatepost-settings.acl", password)])
    server.start()
    host.processes.append(server)
    return server


def start_filter(host, server, section):
    """With the section of README."""
    settings = section.replace("settings {", 'settings { listen = "unix:' + host.path("run/settings.sock") + '"\n token_file = "'
                               + host.path("gatepost/tokens") + '"')
    gatepost = Gatepost(host.path("run"), {"store": server.url, "trusted": []})
    with open(gatepost.conf, encoding="utf-8") as file:
        host.write("gatepost/gatepost.conf", file.read() + host.local(settings))
    gatepost.conf = host.path("gatepost/gatepost.conf")
    gatepost.start()
    host.processes.append(gatepost)


def test_the_steps(host):
    (tokens, secret, section, check, nginx, see), after = blocks()
    host.type(tokens)
    host.type(secret)
    for name in ("tokens", "settings.password"):
        assert os.stat(host.path("gatepost/" + name)).st_mode & 0o077 == 0
    assert os.stat(host.path("nginx/gatepost-token.conf")).st_mode & 0o077 == 0
    start_filter(host, start_redis(host), section)
    assert "is good" in host.type(without(check, "systemctl enable --now gatepost-settings"))
    host.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
              host.path("bin/gatepost-settings"), "-c", host.path("gatepost/gatepost.conf")],
             "settings.log", lambda: accepts_unix(host.path("run/settings.sock")))

    hash_ = subprocess.run(["doveadm", "pw", "-s", "SHA512-CRYPT", "-p", PASSWORD], check=True,
                           capture_output=True, text=True).stdout.strip()
    host.write("dovecot/users", f"{ALICE}:{hash_}:5000:5000::/srv/mail/alice::\nbob@x.example:{{PLAIN}}x\n")
    with open(os.path.join(CONF, "nginx/settings.conf"), encoding="utf-8") as file:
        host.write("nginx/settings.conf", host.local(file.read()))
    host.write("nginx.conf", NGINX.format(
        folder=host.folder.path, site=os.path.join(host.folder.path, "nginx/settings.conf")))
    host.type(without(nginx, "nginx -t"))
    host.run(["nginx", "-e", host.path("nginx.log"), "-c", host.path("nginx.conf")], "nginx.out",
             lambda: accepts(host.port))

    said = host.type(see)
    assert '"pop3":{"status":"off","set":"off"' in said.replace(" ", "")
    assert f"actor=self:{ALICE} client=127.0.0.1 subject=self:{ALICE} field=protocol:pop3" in said
    assert f"self:{ALICE} protocol:pop3: off -> unset" in said
    assert "is good" in host.type("gatepost-settings -t")

    ask, = after        # as a panel
    token = "a-token-of-a-panel-0123456789"
    with open(host.path("gatepost/tokens"), "a", encoding="utf-8") as file:
        file.write(f"{token} example.com write\n")
    host.processes[-2].send_signal(1)
    host.write("panel-token", f"X-Gatepost-Token: {token}\n", 0o600)
    ask = ask.replace("@panel-token", "@" + host.path("panel-token"))
    wait_until(lambda: '"status":"on"' in host.type(ask).replace(" ", ""), 20, "the panel's token")
