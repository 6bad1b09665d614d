"""Owns a private Dovecot with IMAP and POP3 for a proxy that tells it the client's address.

It checks passwords and asks nobody else. `ports` has one for "imap" and one for "pop3".
"""

import os
import shutil
import subprocess

from .ports import accepts, free_port
from .process import Process

_COMMON = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = {name}
log_path = {folder}/dovecot.log
auth_verbose = yes
protocols = imap pop3
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain
auth_failure_delay = 0
first_valid_uid = 1
haproxy_trusted_networks = 127.0.0.1
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener nginx-imap {{
    port = {imap}
    haproxy = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener nginx-pop3 {{
    port = {pop3}
    haproxy = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
_CONF_2_3 = """\
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%Lu {folder}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%u
}}
"""
_CONF_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {folder}/mail/%{{user}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = mail
    gid = mail
    home = {folder}/mail/%{{user}}
  }}
}}
"""


class MailBackend:
    """`users` are logins with the password `password`."""

    def __init__(self, folder, users, password):
        self.folder = folder
        self.ports = {"imap": free_port(), "pop3": free_port()}
        self.log = os.path.join(folder, "dovecot.log")
        for name in ("run", "state", "mail"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        shutil.chown(os.path.join(folder, "mail"), "mail", "mail")
        with open(os.path.join(folder, "users"), "w") as passwd:
            passwd.writelines(f"{user}:{{PLAIN}}{password}\n" for user in users)
            os.fchmod(passwd.fileno(), 0o640)
        shutil.chown(os.path.join(folder, "users"), group="dovecot")
        version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout
        conf = _CONF_2_3 if version.startswith("2.3") else _CONF_2_4
        self._conf = os.path.join(folder, "dovecot.conf")
        with open(self._conf, "w") as file:
            file.write((conf + _COMMON).format(folder=folder, name=os.path.basename(folder),
                                               **self.ports))
        self._process = None

    def start(self):
        self._process = Process(["dovecot", "-F", "-c", self._conf],
                                os.path.join(self.folder, "output"), death_signal="TERM")
        self._process.wait_ready(lambda: all(accepts(port) for port in self.ports.values()),
                                 what="listening")
        return self

    def log_text(self):
        with open(self.log, errors="backslashreplace") as log:
            return log.read()

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None
