"""Owns a private Postfix: its folders, main.cf, master.cf and the master process.

It listens on one port per Listener; mail it accepts goes by SMTP to `sink_port`. Clients on
127.0.0.1 may say XCLIENT.
"""

import os
import shutil
from typing import NamedTuple

from .ports import accepts, free_port
from .process import Process

HOSTNAME = "mx.gatepost.test"      # what the filter sees as {j}
RECIPIENT = "rcpt@local.test"      # the domain that the outside may send to


class Listener(NamedTuple):
    daemon_name: str               # {daemon_name}
    options: tuple = ()            # further -o settings of smtpd


SASL = ("smtpd_sasl_auth_enable=yes",)
WRAPPER = "smtpd_tls_wrappermode=yes"
LISTENERS = {
    "mx": Listener("MX", SASL + ("smtpd_sasl_service=smtp",)),
    "submission": Listener("SUBMISSION", SASL + (
        "smtpd_sasl_service=submission", "smtpd_tls_security_level=encrypt",
        "smtpd_tls_auth_only=yes")),
    "submissions": Listener("SUBMISSIONS", SASL + (
        "smtpd_sasl_service=submissions", WRAPPER)),
    # Postfix demands nothing here, so that the filter's own demands can be seen
    "plain": Listener("PLAIN", SASL + ("smtpd_sasl_service=submission",)),
}

_MAIN = """\
compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = {folder}/etc
shlib_directory = /usr/lib/postfix
sendmail_path = /usr/sbin/sendmail
mail_owner = postfix
setgid_group = postdrop
multi_instance_name = postfix-{name}
syslog_name = postfix-{name}
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = all
myhostname = {hostname}
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
relay_domains = {relay_domain}
default_transport = smtp:[127.0.0.1]:{sink_port}
relay_transport = smtp:[127.0.0.1]:{sink_port}
smtp_tls_security_level = none
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_new_tls_session_rate_limit = 0
smtpd_client_auth_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_junk_command_limit = 10000
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_reject_unlisted_sender = no
smtpd_reject_unlisted_recipient = no
smtpd_delay_reject = no
strict_rfc821_envelopes = no
smtputf8_enable = yes
smtpd_tls_cert_file = {tls.cert}
smtpd_tls_key_file = {tls.key}
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_sasl_auth_enable = no
smtpd_milters = {milter}
milter_default_action = tempfail
milter_connect_timeout = 10s
milter_command_timeout = 20s
milter_content_timeout = 20s
"""

_SERVICES = """\
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
           "private", "saved", "trace")


class Postfix:
    """`milter` in Postfix's words: unix:/absolute/path or inet:127.0.0.1:port.

    Each listener "NAME" of `listeners` has the port ports["NAME"]. `settings` are further
    main.cf lines.
    """

    def __init__(self, folder, milter, tls, auth_socket, sink_port, listeners=None, settings=()):
        self.folder = os.path.abspath(folder)
        listeners = LISTENERS if listeners is None else listeners
        self.ports = {name: free_port() for name in listeners}
        self._process = None
        self._make_folders()
        main = _MAIN.format(
            folder=self.folder, name=os.path.basename(os.path.dirname(self.folder)),
            hostname=HOSTNAME, relay_domain=RECIPIENT.partition("@")[2], sink_port=sink_port,
            tls=tls, auth_socket=auth_socket, milter=milter)
        self._write("main.cf", main + "".join(line + "\n" for line in settings))
        self._write("master.cf", self._smtpd_services(listeners) + _SERVICES)

    def _make_folders(self):
        def make(path, owner, group, mode):
            full = os.path.join(self.folder, path)
            os.makedirs(full, exist_ok=True)
            shutil.chown(full, owner, group)
            os.chmod(full, mode)
        for path in ("", "etc", "queue", "queue/pid"):
            make(path, "root", "root", 0o755)
        make("data", "postfix", "root", 0o700)
        for queue in _QUEUES:
            make(os.path.join("queue", queue), "postfix", "root", 0o700)
        make("queue/maildrop", "postfix", "postdrop", 0o730)
        make("queue/public", "postfix", "postdrop", 0o710)

    def _write(self, name, text):
        path = os.path.join(self.folder, "etc", name)
        with open(path, "w") as conf:
            conf.write(text)
        os.utime(path, (0, 0))     # Postfix waits before it trusts a file changed just now

    def _smtpd_services(self, listeners):
        lines = []
        for name, listener in listeners.items():
            lines.append(f"127.0.0.1:{self.ports[name]} inet n - n - 200 smtpd")
            lines.append(f"  -o milter_macro_daemon_name={listener.daemon_name}")
            lines += [f"  -o {option}" for option in listener.options]
        return "\n".join(lines) + "\n"

    def start(self):
        self._process = Process(
            ["/usr/lib/postfix/sbin/master", "-c", os.path.join(self.folder, "etc")],
            os.path.join(self.folder, "output"), death_signal="TERM")
        self._process.wait_ready(lambda: all(accepts(port) for port in self.ports.values()),
                                 what="listening")
        return self

    def log_text(self):
        path = os.path.join(self.folder, "maillog")
        if not os.path.exists(path):
            return ""
        with open(path, errors="backslashreplace") as log:
            return log.read()

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None
