"""Owns a Dovecot that asks Gatepost at all of its doors: the very files of conf/dovecot, with only
their paths, ports and sockets replaced, and a few settings for tests behind them.
"""

import os
import re
import shutil
import subprocess

from .dovecot import PASSWORD
from .ports import accepts, accepts_unix, free_port
from .process import Process
from .shipped import shipped

OWNER = 5000        # of all mailboxes; no user of this host needs to have it

# what an operator would not want, and these tests do: nothing waits, clear text where Gatepost
# allows it, logins with "+"; and an auth cache, which must not keep what Gatepost says
_ADDED = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = {name}
log_path = {folder}/dovecot.log
auth_verbose = yes
auth_username_chars =
auth_failure_delay = 0
auth_cache_size = 10M
auth_master_user_separator = *
hostname = mail.gatepost.test
listen = 127.0.0.1
ssl = yes
submission_relay_port = {relay}
first_valid_uid = {owner}
service stats {{
  client_limit = 1000
}}
"""
_ADDED_2_3 = """
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  master = yes
  result_success = continue
  args = username_format=%Lu {folder}/etc/masters
}}
"""
_ADDED_2_4 = """
auth_allow_cleartext = yes
passdb masters {{
  driver = passwd-file
  master = yes
  result_success = continue
  passwd_file_path = {folder}/etc/masters
  auth_username_format = %{{user | lower}}
}}
"""


def is_2_3():
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True)
    return version.stdout.startswith("2.3.")


def enabled(text, first):
    """The text with the comment that begins with these words made settings, all of its lines."""
    lines = text.split("\n")
    at, = [n for n, line in enumerate(lines) if line.startswith("#" + first)]
    while lines[at].startswith("#"):
        lines[at] = lines[at][1:]
        at += 1
    return "\n".join(lines)


class DovecotDoors:
    """`ports` has the port of each of Dovecot's services by its number in the example: ports[993].

    `sockets` is the folder of Gatepost's sockets, `doors_port` and `token` those of its port. Users
    are added by add_user(); a login "USER*boss" with PASSWORD is one of the master user "boss".
    """

    def __init__(self, folder, certificate, relay_port, sockets, doors_port, token):
        self.folder = folder
        self.auth_socket = os.path.join(folder, "postfix", "auth")
        self.log = os.path.join(folder, "dovecot.log")
        self.conf = os.path.join(folder, "dovecot.conf")
        self.etc = os.path.join(folder, "etc")
        self.ports = {number: free_port() for number in
                      (143, 993, 110, 995, 4190, 587, 465, 10143, 10144)}
        self._sockets, self._doors_port = sockets, doors_port
        self._process = None
        for sub in ("run", "state", "etc", "mail", "postfix"):
            os.makedirs(os.path.join(folder, sub), exist_ok=True)
        os.chown(os.path.join(folder, "mail"), OWNER, OWNER)
        for name in ("users", "disabled-users", "masters"):
            self._append(name, "")
        self._append("masters", f"boss:{{PLAIN}}{PASSWORD}\n")
        self._append("gatepost-token.conf",
                     f"auth_policy_server_api_header = X-Gatepost-Token: {token}\n", 0o600)
        self._append("gatepost.lua", self.localized("gatepost.lua"))
        self._write(certificate, relay_port)

    def localized(self, name, places=()):
        """A file of conf/dovecot with this host's sockets and ports in it, and what else is given."""
        sockets = {"/run/gatepost/": self._sockets + "/"}
        doors = {"127.0.0.1:9479": f"127.0.0.1:{self._doors_port}"}
        ports = {number: str(self.ports[number]) for number in (465, 10143, 10144)}
        here = {
            "gatepost.lua": {**sockets, **{f'["{n}"]': f'["{ports[n]}"]' for n in ports}},
            "gatepost.conf": {**sockets, **doors,
                              **{f"daemon_port = {n}": f"daemon_port = {ports[n]}" for n in ports}},
            "dovecot-2.3.conf": doors,
            "dovecot-2.4.conf": sockets,
        }
        return shipped("dovecot/" + name, {**here[name], **dict(places)})

    def _path(self, name):
        return os.path.join(self.etc, name)

    def _append(self, name, text, mode=0o640):
        with open(self._path(name), "a") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        shutil.chown(self._path(name), group="dovecot")

    def _write(self, certificate, relay_port):
        release = "2.3" if is_2_3() else "2.4"
        text = self.localized(f"dovecot-{release}.conf", {
            "/etc/dovecot/": self.etc + "/",
            "/etc/ssl/certs/mail.example.com.pem": certificate.cert,
            "/etc/ssl/private/mail.example.com.key": certificate.key,
            "/var/spool/postfix/private/": os.path.dirname(self.auth_socket) + "/"})
        text = re.sub(r"(\n#? +port = )(\d+)", lambda m: m[1] + str(self.ports[int(m[2])]), text)
        added = (_ADDED + (_ADDED_2_3 if release == "2.3" else _ADDED_2_4)).format(
            folder=self.folder, name=os.path.basename(self.folder), relay=relay_port, owner=OWNER)
        with open(self.conf, "w") as conf:
            conf.write(text + added)

    def change(self, function):
        """Of dovecot.conf, before the start: the text that the function makes of it."""
        with open(self.conf) as conf:
            text = function(conf.read())
        with open(self.conf, "w") as conf:
            conf.write(text)

    def add_user(self, user, account=None, mailbox=True):
        """`user` may log in with PASSWORD, as itself or as `account`, whose alias it is."""
        home = os.path.join(self.folder, "mail", user)
        owner = f"{OWNER}:{OWNER}::{home}" if mailbox else ":::"
        extra = f"user={account}" if account else ""
        self._append("users", f"{user}:{{PLAIN}}{PASSWORD}:{owner}::{extra}\n")

    def disable_user(self, user):
        self._append("disabled-users", user + "\n")

    def start(self):
        self._process = Process(["dovecot", "-F", "-c", self.conf],
                                os.path.join(self.folder, "output"), death_signal="TERM")
        self._process.wait_ready(self._serves, what="serving")
        return self

    def _serves(self):
        ports = [port for number, port in self.ports.items() if number < 10000]
        return accepts_unix(self.auth_socket) and all(map(accepts, ports))

    def doveadm(self, *words):
        return subprocess.run(["doveadm", "-c", self.conf, *words], capture_output=True,
                              text=True, timeout=60, check=False)

    def log_text(self):
        with open(self.log, errors="backslashreplace") as log:
            return log.read()

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None
