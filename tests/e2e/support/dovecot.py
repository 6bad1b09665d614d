"""Owns a private Dovecot that does nothing but SASL for Postfix."""

import os
import shutil
import subprocess

from .ports import accepts_unix
from .process import Process

PASSWORD = "secret"
NOT_UTF8 = b"d\xe9j\xe0@example.com"   # "deja" with accents, in Latin-1
USERS = (b"alice@example.com", b"bob@example.com", b"carol", NOT_UTF8)

# the login reaches Postfix, and so the filter, just as the client spelled it
_COMMON = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = {name}
log_path = {folder}/dovecot.log
auth_verbose = yes
ssl = no
auth_mechanisms = plain login
auth_username_chars =
auth_failure_delay = 0
auth_cache_size = 0
service auth {{
  unix_listener postfix-auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service stats {{
  client_limit = 100
}}
"""
_CONF_2_3 = """\
protocols = none
disable_plaintext_auth = no
auth_username_format = %u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format={lookup} {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
"""
_CONF_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols =
auth_allow_cleartext = yes
auth_username_format = %{{user}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
  default_password_scheme = PLAIN
  auth_username_format = {lookup}
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = /nonexistent
  }}
}}
"""


def _conf(lookup, **names):
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout
    if version.startswith("2.3"):
        conf, formats = _CONF_2_3, {"user": "%Lu", "local": "%Ln"}
    else:
        conf, formats = _CONF_2_4, {"user": "%{user | lower}", "local": "%{user | username | lower}"}
    return (conf + _COMMON).format(lookup=formats[lookup], **names)


class Dovecot:
    """`users` are logins (bytes, lower case); all have the password PASSWORD.

    `lookup` is what of a login the password is looked up by: "user", or "local" for the local part.
    """

    def __init__(self, folder, users=USERS, lookup="user"):
        self.folder = folder
        self.auth_socket = os.path.join(folder, "run", "postfix-auth")
        os.makedirs(os.path.join(folder, "run"), exist_ok=True)
        os.makedirs(os.path.join(folder, "state"), exist_ok=True)
        password = PASSWORD.encode()
        with open(os.path.join(folder, "users"), "wb") as passwd:
            for user in users:
                passwd.write(user + b":{PLAIN}" + password + b"\n")
            os.fchmod(passwd.fileno(), 0o640)
        shutil.chown(os.path.join(folder, "users"), group="dovecot")
        self._conf = os.path.join(folder, "dovecot.conf")
        with open(self._conf, "w") as conf:
            conf.write(_conf(lookup, folder=folder, name=os.path.basename(folder)))
        self._process = None

    def start(self):
        self._process = Process(["dovecot", "-F", "-c", self._conf],
                                os.path.join(self.folder, "output"), death_signal="TERM")
        self._process.wait_ready(lambda: accepts_unix(self.auth_socket), what="auth socket")
        return self

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None
