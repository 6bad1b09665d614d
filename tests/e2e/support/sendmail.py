"""Owns a private Sendmail: its sendmail.cf, its logins, its queue, its network and its daemon.

Sendmail knows no XCLIENT. It runs in a network namespace, so that clients really have the
addresses that a test wants. Its packages conflict with Postfix's: they are unpacked, not installed.
"""

import os
import subprocess
from typing import NamedTuple

from . import debian_packages
from .network_namespace import NetworkNamespace
from .ports import accepts
from .process import Process
from .smtp_client import SmtpClient
from .smtp_sink import SmtpSink
from .syslog_file import SyslogFile

HOSTNAME = "sm.gatepost.test"      # what the filter sees as {j}; the realm of logins without one
RECIPIENT = "rcpt@local.test"      # the domain that the outside may send to
PASSWORD = "secret"
# logins that Sendmail does not hand to the filter as they are: {auth_authen} is in xtext
ODD_LOGINS = ("a=b@example.com", "a=b+c@example.com", "jörg@example.com")
_PACKAGES = ("sendmail-bin", "sendmail-cf", "sasl2-bin")
_FIRST_PORT = 2500                 # in a network that nobody else is in


class Listener(NamedTuple):
    daemon_name: str               # {daemon_name}
    tls_wrapper: bool = False


_MC = """\
divert(0)dnl
define(`_USE_ETC_MAIL_')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`confPID_FILE', `{folder}/sendmail.pid')dnl
define(`STATUS_FILE', `{folder}/statistics')dnl
define(`HELP_FILE', `-{folder}/helpfile')dnl
define(`ALIAS_FILE', `')dnl
define(`confCW_FILE', `')dnl
define(`confCONTROL_SOCKET_NAME', `')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/service.switch')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit,GroupReadableSASLDBFile')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_QUEUEWARN', `')dnl
define(`confQUEUE_LA', `100000')dnl
define(`confREFUSE_LA', `100000')dnl
define(`confDELAY_LA', `0')dnl
define(`confLOG_LEVEL', `10')dnl
define(`confMILTER_LOG_LEVEL', `10')dnl
define(`confAUTH_OPTIONS', `A')dnl
define(`confAUTH_MECHANISMS', `PLAIN')dnl
TRUST_AUTH_MECH(`PLAIN')dnl
define(`confSERVER_CERT', `{tls.cert}')dnl
define(`confSERVER_KEY', `{tls.key}')dnl
define(`confCACERT', `{tls.cert}')dnl
define(`confCACERT_PATH', `{folder}')dnl
define(`SMART_HOST', `smtp:[127.0.0.1]')dnl
define(`SMTP_MAILER_ARGS', `TCP $h {sink_port}')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
RELAY_DOMAIN(`{relay_domain}')dnl
{daemons}
{settings}
INPUT_MAIL_FILTER(`gatepost', `S={milter}, F=T, T=C:10s;S:10s;R:20s;E:30s')dnl
MAILER(`smtp')dnl
"""

_SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasl/sasldb2
mech_list: PLAIN
"""

# in mount and UTS namespaces of its own: a host name with a dot, the SASL configuration at the
# place where Sendmail looks for it, and a /dev with this Sendmail's own log
_START = """\
set -e
hostname {hostname}
mount --bind {folder}/sasl /usr/lib/sasl2
mount -t tmpfs tmpfs {folder}/dev
for name in null zero random urandom tty; do
    touch {folder}/dev/$name
    mount --bind /dev/$name {folder}/dev/$name
done
touch {folder}/dev/log
mount --bind {folder}/log.sock {folder}/dev/log
mount --rbind {folder}/dev /dev
exec {root}/usr/libexec/sendmail/sendmail -C {folder}/sendmail.cf -bD
"""


class Sendmail:
    """`milter` in Sendmail's words: unix:/absolute/path or inet:port@127.0.0.1.

    Mail it accepts goes to `sink`. `listeners` is name -> Listener, `users` the logins just as
    clients spell them; all have the password PASSWORD. `settings` are further lines of
    sendmail.mc.
    """

    def __init__(self, folder, milter, tls, listeners, users=(), settings=()):
        self.folder = folder
        self._root = debian_packages.unpacked("sendmail", _PACKAGES)
        self._listeners = listeners
        self._process = None
        self._log = None
        self.network = NetworkNamespace()
        self.sink = self.network.call(SmtpSink)
        # a listener of its own for IPv6, which also shows IPv4 clients as v4-mapped ones
        self._ports = {(name, family): _FIRST_PORT + 2 * i + (family == "inet6")
                       for i, name in enumerate(listeners) for family in ("inet", "inet6")}
        for path, mode in (("", 0o755), ("queue", 0o700), ("sasl", 0o755), ("dev", 0o755)):
            os.makedirs(self._path(path), exist_ok=True)
            os.chmod(self._path(path), mode)
        self._write("statistics", "")
        self._write("service.switch", "hosts\tfiles\naliases\tfiles\n")
        self._write("sasl/Sendmail.conf", _SASL.format(folder=folder))
        for user in users:
            self._add_user(user)
        self._write("sendmail.mc", _MC.format(
            folder=folder, hostname=HOSTNAME, tls=tls, milter=milter, daemons=self._daemons(),
            settings="\n".join(settings), sink_port=self.sink.port, relay_domain=RECIPIENT.partition("@")[2]))
        self._make_cf()

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _write(self, name, text):
        with open(self._path(name), "w") as file:
            file.write(text)

    def _add_user(self, user):
        name, _, realm = user.partition("@")
        subprocess.run(
            [self._root + "/usr/sbin/saslpasswd2", "-p", "-c", "-f", self._path("sasl/sasldb2"),
             "-u", realm or HOSTNAME, name],
            input=PASSWORD.encode(), check=True, capture_output=True)

    def _daemons(self):
        lines = []
        for (name, family), port in self._ports.items():
            listener = self._listeners[name]
            address = "::" if family == "inet6" else "0.0.0.0"
            wrapper = ", M=s" if listener.tls_wrapper else ""
            lines.append(f"DAEMON_OPTIONS(`Family={family}, Name={listener.daemon_name}, "
                         f"Addr={address}, Port={port}{wrapper}')dnl")
        return "\n".join(lines)

    def _make_cf(self):
        macros = self._root + "/usr/share/sendmail/cf/"
        with open(self._path("sendmail.cf"), "w") as cf:
            subprocess.run(
                ["m4", f"-D_CF_DIR_={macros}", macros + "m4/cf.m4", self._path("sendmail.mc")],
                stdout=cf, stderr=subprocess.PIPE, check=True)

    def start(self):
        self._log = SyslogFile(self._path("log.sock"), self._path("maillog"))
        script = _START.format(folder=self.folder, root=self._root, hostname=HOSTNAME)
        self._process = self.network.call(
            Process, ["unshare", "--mount", "--uts", "sh", "-c", script], self._path("output"),
            death_signal="TERM")
        self._process.wait_ready(self._listening, what="listening")
        return self

    def _listening(self):
        return all(self.network.call(accepts, port) for port in self._ports.values())

    def log_text(self):
        """What it logged, and what it printed if it did not start."""
        text = ""
        for name in ("output", "maillog"):
            if os.path.exists(self._path(name)):
                with open(self._path(name), errors="backslashreplace") as log:
                    text += log.read()
        return text

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None
        if self._log:
            self._log.stop()
            self._log = None
        self.sink.stop()
        self.network.close()

    def connect(self, door, client="127.0.0.1"):
        """An SmtpClient on that door whose address is `client`, as greeted."""
        is_mapped = client.lower().startswith("::ffff:")
        family = "inet6" if ":" in client else "inet"
        address = client[len("::ffff:"):] if is_mapped else client
        self.network.have_address(address)
        return self.network.call(
            SmtpClient, self._ports[door, family], host=address, source=address,
            implicit_tls=self._listeners[door].tls_wrapper)

    def session(self, door, client="127.0.0.1", login=None, tls=False, helo="client.example"):
        """As connect(), after EHLO and all that these arguments ask for.

        A refused STARTTLS or AUTH raises AssertionError.
        """
        smtp = self.connect(door, client)
        smtp.ehlo(helo)
        if tls and not self._listeners[door].tls_wrapper:
            reply = smtp.starttls()
            assert reply.code == 220, reply
            smtp.ehlo(helo)
        if login:
            reply = smtp.auth_plain(login, PASSWORD)
            assert reply.code == 235, reply
        return smtp
