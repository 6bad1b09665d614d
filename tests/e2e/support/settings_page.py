"""Owns a gatepost-settings and the nginx that signs its users on by password: conf/nginx/settings.conf
on loopback, without TLS.
"""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request

from .gatepost import BINARY
from .ports import accepts, accepts_unix, free_port
from .process import Process
from .shipped import install

PROGRAM = os.path.join(os.path.dirname(BINARY), "gatepost-settings")
PATH = "/settings/"
_TOKEN = "the-token-of-this-sign-on"

NGINX = """\
user www-data;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
worker_processes 1;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/tmp-body;
    proxy_temp_path {folder}/tmp-proxy;
    fastcgi_temp_path {folder}/tmp-fastcgi;
    uwsgi_temp_path {folder}/tmp-uwsgi;
    scgi_temp_path {folder}/tmp-scgi;
    include {site};
}}
"""


class SettingsPage:
    """`url` is the page for `users`, by `password`. `conf` is what gatepost.conf needs for it, with
    `settings` in its section; start() is given that file, which is the filter's, too. `client` is the address
    that its users seem to come from."""

    def __init__(self, folder, users, password, client=None, **settings):
        self.folder = folder
        self.port = free_port()
        origin = f"http://127.0.0.1:{self.port}"
        self.url = origin + PATH
        self._socket = self._path("settings.sock")
        self._file("tokens", f"{_TOKEN} proxy\n", 0o600)
        self.conf = {"settings": {"listen": "unix:" + self._socket, "socket_group": "www-data",
                                  "origin": origin, "token_file": self._path("tokens"),
                                  **settings}}
        self._write_nginx(users, password, client)
        self._program = self._nginx = None

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _file(self, name, text, mode=0o644):
        with open(self._path(name), "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
        return self._path(name)

    def _write_nginx(self, users, password, client):
        crypt = subprocess.run(["openssl", "passwd", "-apr1", password], check=True,
                               capture_output=True, text=True).stdout.strip()
        secret = self._file("token.conf", f"proxy_set_header X-Gatepost-Token {_TOKEN};\n", 0o600)
        site = install("nginx/settings.conf", self._path("site.conf"), {
            "    listen 443 ssl;\n": f"    listen 127.0.0.1:{self.port};\n",
            "    listen [::]:443 ssl;\n": "",
            "    ssl_certificate     /etc/ssl/certs/mail.example.com.pem;\n": "",
            "    ssl_certificate_key /etc/ssl/private/mail.example.com.key;\n": "",
            "/run/gatepost/settings.sock": self._socket,
            "X-Real-IP $remote_addr": f"X-Real-IP {client or '$remote_addr'}",
            "include /etc/nginx/gatepost-token.conf": "include " + secret,
            "auth_basic_user_file /etc/nginx/mail.htpasswd": "auth_basic_user_file " + self._file(
                "users", "".join(f"{user}:{crypt}\n" for user in users))})
        self._file("nginx.conf", NGINX.format(folder=self.folder, site=site))

    def start(self, conf):
        self._program = Process([PROGRAM, "-c", conf], self._path("settings.log"))
        self._program.wait_ready(lambda: accepts_unix(self._socket), what="listening")
        self._start_nginx()
        return self

    def _start_nginx(self):
        self._nginx = Process(["nginx", "-e", self._path("nginx.log"), "-c",
                               self._path("nginx.conf")], self._path("output"),
                              death_signal="TERM")
        self._nginx.wait_ready(lambda: accepts(self.port), what="listening")

    def ask(self, method, path, user, password, body):
        """The status of a change that a program of that user asks for."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        request = urllib.request.Request(
            self.url + path, method=method, data=json.dumps(body).encode(), headers={
                "Authorization": "Basic " + token,
                "Content-Type": "application/merge-patch+json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as problem:
            return problem.code

    def log_everybody_out(self):
        """From now on each request is sent to another page, as by a sign-on with a form."""
        self._file("site.conf", f"server {{ listen 127.0.0.1:{self.port}; return 302 /sign-on; }}\n")
        self._nginx.stop()
        self._start_nginx()

    def log_text(self):
        with open(self._path("settings.log"), encoding="utf-8", errors="backslashreplace") as log:
            return log.read()

    def stop(self):
        """The exit status of gatepost-settings."""
        if self._nginx:
            self._nginx.stop()
            self._nginx = None
        if self._program is None:
            return 0
        program, self._program = self._program, None
        return program.stop()
