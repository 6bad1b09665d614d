"""Owns a host whose doors are behind proxies: Gatepost with its Redis, Radicale and Dovecot, and
the proxies before them.
"""

import contextlib
import os
import signal

from .folder import Folder
from .gatepost import Gatepost
from .mail_backend import MailBackend
from .ports import free_port
from .radicale import Radicale
from .redis_server import RedisServer
from .shipped import install
from .tls import Authority
from .web_servers import NAME, PASSWORD, USERS, Apache, Caddy, Haproxy, Nginx

SERVERS = {"nginx": Nginx, "caddy": Caddy, "apache": Apache, "haproxy": Haproxy}
MAIL_DOORS = ("imap", "imaps", "pop3", "pop3s")
TOKEN = "the-token-of-these-tests"
ALICE, BOB, CAROL, DAVE = USERS


class ProxiedHost:
    """`names` are those of SERVERS that run. nginx is the mail proxy, too, at `mail_ports`."""

    def __init__(self, names=tuple(SERVERS)):
        self.servers = dict.fromkeys(names)
        self.redis = self.backend = self.radicale = self.filter = None
        self.folder = Folder()
        self._parts = []
        authority = Authority(self.folder.sub("ca"))
        self.tls = (*authority.issue("dav", f"DNS:{NAME}"), authority.cert)
        self.socket = self.folder.file("doors.sock")
        self.port = free_port()
        self.token = self.folder.file("doors.token")
        with open(self.token, "w") as token:
            os.fchmod(token.fileno(), 0o600)
            token.write(TOKEN + "\n")
        self.mail_ports = {name: free_port() for name in (*MAIL_DOORS, "smtp")}

    def start(self):
        self.redis = self._started(RedisServer(self.folder.sub("redis"), persist=True))
        self.backend = self._started(MailBackend(self.folder.sub("dovecot"), USERS, PASSWORD))
        self.radicale = self._started(Radicale(self.folder.sub("radicale")))
        self.filter = self._started(Gatepost(self.folder.path, self._settings()))
        for name in self.servers:
            self.servers[name] = self._started(self.make_server(name))
        return self

    def _settings(self):
        dav = {"door": "http", "service": "caldav", "tls": "required", "authenticated": True,
               "unknown_login": "reject"}
        mail = {f"nginx-{name}": {"door": "http", "service": name, "tls": "required",
                                  "backend": f"127.0.0.1:{self.backend.ports[name]}"}
                for name in ("imap", "pop3")}
        return {"store": self.redis.url, "store_timeout": "200ms", "trusted": [],
                "doors_listen": ["unix:" + self.socket, f"127.0.0.1:{self.port}"],
                "doors_group": "www-data", "doors_token_file": self.token,
                "listener": {"mx": {"daemon_port": 25, "service": "smtp"}, "dav": dav, **mail}}

    def make_server(self, name, doors=None, folder=None):
        """One of SERVERS, not started; `doors` in the place of the filter's own."""
        own = (self.port, self.token) if name == "haproxy" else self.socket
        more = {"mail": self._mail_files} if name == "nginx" and doors is None else {}
        return SERVERS[name](self.folder.sub(folder or name), self.tls, doors or own,
                             self.radicale.port, **more)

    def _mail_files(self, folder):
        """conf/nginx/mail.conf, and in its block the SMTP server that it warns of."""
        ports = self.mail_ports
        path = install("nginx/mail.conf", os.path.join(folder, "mail.conf"), {
            "listen 993 ssl;": f"listen 127.0.0.1:{ports['imaps']} ssl;",
            "listen 143;": f"listen 127.0.0.1:{ports['imap']};",
            "listen 995 ssl;": f"listen 127.0.0.1:{ports['pop3s']} ssl;",
            "listen 110;": f"listen 127.0.0.1:{ports['pop3']};",
            "/etc/ssl/certs/mail.example.com.pem": self.tls[0],
            "/etc/ssl/private/mail.example.com.key": self.tls[1],
            "/run/gatepost/doors.sock": self.socket})
        with open(path) as file:
            text = file.read()
        assert text.endswith("}\n}\n")
        with open(path, "w") as file:
            file.write(text[:-2] + f"    server {{\n        listen 127.0.0.1:{ports['smtp']};\n"
                       "        protocol smtp;\n        smtp_auth plain;\n    }\n}\n")
        return [path]

    def _started(self, part):
        self._parts.append(part)
        return part.start()

    def stop(self):
        """The filter's exit status; AssertionError for a sanitizer's report."""
        try:
            statuses = {part: part.stop() for part in reversed(self._parts)}
        finally:
            self.folder.remove()
        return statuses.get(self.filter)

    def begin(self):
        """Nothing in Redis but example.com, of which Bob has closed every door that is here."""
        self.redis.cli("FLUSHALL")
        self.redis.cli("HSET", "gatepost:account:@example.com", "source", "any")
        for service in ("caldav", "imap", "pop3"):
            self.close(BOB, service)
        self.filter.catch_up(self.redis)

    def log_text(self):
        """The last lines of the servers."""
        return "\n".join("\n".join(part.log_text().splitlines()[-12:])
                         for part in (*self.servers.values(), self.radicale, self.backend))

    # ---- what happens to it ----

    def close(self, account, service):
        self.redis.cli("HSET", f"gatepost:account:{account}", f"protocol:{service}", "off")

    @contextlib.contextmanager
    def filter_away(self):
        assert self.filter.stop() == 0
        try:
            yield
        finally:
            self.filter.start()

    @contextlib.contextmanager
    def filter_hung(self):
        os.kill(self.filter.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.filter.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def redis_away(self):
        self.redis.kill()
        try:
            yield
        finally:
            self.redis.start()
            self.filter.wait_log("event=store-up")
