"""Owns the web servers before Radicale: nginx, Caddy, Apache and HAProxy, each from conf/.

Each runs below a folder of its own with TLS on 127.0.0.1:`port` (`tls` is its certificate, key and
CA), checks the passwords of USERS and passes on to `backend`, a port. `doors` is where Gatepost
answers: the path of its unix socket, for HAProxy (port, file of the token).
"""

import os
import shutil
import subprocess

from .ports import accepts, free_port
from .process import Process
from .shipped import install

PASSWORD = "secret"
USERS = ("alice@example.com", "bob@example.com", "carol@example.com", "dave@other.example")
_BCRYPT = "$2b$04$fWvsa8gf2rIe8fEyBpVTBuOC/YpjwPLsYlI7KfhSmlpheqNzEmNDe"      # of PASSWORD
NAME = "dav.example.com"
_RADICALE = "127.0.0.1:5232"
_CERT = "/etc/ssl/certs/dav.example.com.pem"
_KEY = "/etc/ssl/private/dav.example.com.key"
_SOCKET = "/run/gatepost/doors.sock"


def _crypt(kind):
    return subprocess.run(["openssl", "passwd", kind, PASSWORD], check=True, capture_output=True,
                          text=True).stdout.strip()


class _Server:
    """What the four have in common: subclasses write files, and say how they are started."""

    def __init__(self, folder, tls, doors, backend):
        self.folder, self.doors = folder, doors
        self.authority = tls[2]
        self.port = free_port()
        self.log = self.file("output")
        self._process = None
        self._write(tls, f"127.0.0.1:{backend}")

    def file(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, 0o644)
        return path

    def _password_file(self):
        kind = _crypt("-apr1")
        return self.file("htpasswd", "".join(f"{user}:{kind}\n" for user in USERS))

    def start(self):
        self._process = Process(self._command(), self.log, env=self._environment(),
                                death_signal="TERM")
        self._process.wait_ready(self._ready, what="listening")
        return self

    def _ready(self):
        return accepts(self.port)

    def _environment(self):
        return None

    def log_text(self):
        text = self._process.log_text() if self._process else ""
        if os.path.exists(self.file("error.log")):
            with open(self.file("error.log"), errors="backslashreplace") as log:
                text += log.read()
        return text

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None


class Nginx(_Server):
    """conf/nginx/caldav.conf; with `mail`, a function that writes files of `mail { }` into the
    folder and returns their paths, these too."""

    def __init__(self, folder, tls, doors, backend, mail=None):
        self._mail = mail
        super().__init__(folder, tls, doors, backend)

    def _write(self, tls, backend):
        self._write_main(self._site(tls, backend))

    def _site(self, tls, backend):
        return install("nginx/caldav.conf", self.file("caldav.conf"), {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "listen [::]:443 ssl;": f"listen [::1]:{self.port} ssl;",
            _CERT: tls[0], _KEY: tls[1], _SOCKET: self.doors, _RADICALE: backend,
            "/etc/nginx/mail.htpasswd": self._password_file()})

    def _write_main(self, site):
        extra = self._mail(self.folder) if self._mail else []
        module = "/usr/lib/nginx/modules/ngx_mail_module.so"
        places = "".join(f"{kind}_temp_path {self.file('tmp-' + kind)};\n" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.file("nginx.conf", f"""\
{f'load_module {module};' if extra else ''}
user www-data;
daemon off;
pid {self.file('pid')};
error_log {self.file('error.log')} info;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
access_log off;
{places}include {site};
}}
""" + "".join(f"include {path};\n" for path in extra))

    def _command(self):
        return ["nginx", "-e", self.file("error.log"), "-c", self.file("nginx.conf")]


class NginxSettings(Nginx):
    """conf/nginx/settings.conf, before the gatepost-settings that listens on `socket` and believes
    this token."""

    def __init__(self, folder, tls, socket, token):
        self.token = token
        super().__init__(folder, tls, socket, None)

    def _site(self, tls, backend):
        token = self.file("token.conf", f"proxy_set_header X-Gatepost-Token {self.token};\n")
        return install("nginx/settings.conf", self.file("settings.conf"), {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "listen [::]:443 ssl;": f"listen [::1]:{self.port} ssl;",
            "/etc/ssl/certs/mail.example.com.pem": tls[0],
            "/etc/ssl/private/mail.example.com.key": tls[1],
            "/run/gatepost/settings.sock": self.doors, "include /etc/nginx/gatepost-token.conf":
            f"include {token}", "/etc/nginx/mail.htpasswd": self._password_file()})


class Caddy(_Server):
    """conf/caddy/Caddyfile."""

    def _write(self, tls, backend):
        users = self.file("users", "".join(f"{user} {_BCRYPT}\n" for user in USERS))
        site = install("caddy/Caddyfile", self.file("site"), {
            "dav.example.com {": f"https://{NAME}:{self.port} {{\n\tbind 127.0.0.1",
            _CERT: tls[0], _KEY: tls[1], _SOCKET: self.doors, _RADICALE: backend,
            "/etc/caddy/mail.users": users})
        with open(site) as file:
            text = file.read()
        # it must not make itself a CA of this machine
        self.file("Caddyfile", "{\n\tadmin off\n\tskip_install_trust\n\tauto_https off\n"
                  f"\tstorage file_system {self.folder}\n}}\n" + text)

    def _environment(self):
        return {**os.environ, "XDG_DATA_HOME": self.folder, "XDG_CONFIG_HOME": self.folder,
                "HOME": self.folder}

    def _command(self):
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self.file("Caddyfile")]


class Apache(_Server):
    """conf/apache/caldav.conf and gatepost.lua."""

    _MODULES = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic",
                "headers", "lua", "proxy", "proxy_http", "ssl", "socache_shmcb")

    def _write(self, tls, backend):
        lua = install("apache/gatepost.lua", self.file("gatepost.lua"), {_SOCKET: self.doors})
        site = install("apache/caldav.conf", self.file("caldav.conf"), {
            "*:443": f"127.0.0.1:{self.port}", _CERT: tls[0], _KEY: tls[1], _RADICALE: backend,
            "/etc/apache2/mail.htpasswd": self._password_file(),
            "/etc/apache2/gatepost.lua": lua})
        self.file("apache2.conf", f"""\
ServerRoot {self.folder}
DefaultRuntimeDir {self.folder}
PidFile {self.file('pid')}
Listen 127.0.0.1:{self.port}
ServerName dav.example.com
ErrorLog {self.file('error.log')}
User www-data
Group www-data
StartServers 1
""" + "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
              for name in self._MODULES) + f"Include {site}\n")

    def _command(self):
        return ["apache2", "-D", "FOREGROUND", "-f", self.file("apache2.conf")]


class Haproxy(_Server):
    """conf/haproxy/haproxy.cfg and gatepost.lua."""

    def _write(self, tls, backend):
        port, token = self.doors
        both = self.file("both.pem")
        with open(both, "wb") as file:
            for path in tls[:2]:
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, file)
        chroot = self.file("empty")
        os.makedirs(chroot, exist_ok=True)
        lua = install("haproxy/gatepost.lua", self.file("gatepost.lua"), {
            "127.0.0.1:9479": f"127.0.0.1:{port}", "/etc/gatepost/doors-token": token})
        kind = _crypt("-5")
        install("haproxy/haproxy.cfg", self.file("haproxy.cfg"), {
            "bind :443": f"bind 127.0.0.1:{self.port}", _RADICALE: backend,
            "/etc/haproxy/dav.example.com.pem": both, "/etc/haproxy/gatepost.lua": lua,
            "chroot /var/lib/haproxy": f"chroot {chroot}",
            "    user alice@example.com password $5$examplesalt$replace.this.by.the.hash\n":
                "".join(f"    user {user} password {kind}\n" for user in USERS)})

    def _command(self):
        return ["haproxy", "-W", "-f", self.file("haproxy.cfg")]
