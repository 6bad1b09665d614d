"""Owns the asking at the doors by HTTP, as Dovecot, nginx and reverse proxies do."""

import http.client
import json
import os
import pwd
import socket

from .http_client import Answer
from .ports import free_port

TOKEN = "correct-horse"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("gatepost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DoorClient:
    """One socket of the doors: a path, or a port with the token. A connection for each request,
    unless `keep` is true."""

    def __init__(self, where, token=None, keep=False, timeout=20):
        self.where, self.token, self._keep, self._timeout = where, token, keep, timeout
        self._connection = None

    def connection(self):
        if isinstance(self.where, int):
            return http.client.HTTPConnection("127.0.0.1", self.where, timeout=self._timeout)
        return _UnixConnection(self.where, self._timeout)

    def raw(self):
        """A socket, connected."""
        connection = self.connection()
        connection.connect()
        return connection.sock

    def ask(self, target, method="GET", body=None, headers=()):
        """`headers` is a dict, or pairs where a name comes twice."""
        connection = self._connection or self.connection()
        if self._keep:
            self._connection = connection
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if self.token is not None:
            pairs.append(("X-Gatepost-Token", self.token))
        body = body.encode() if isinstance(body, str) else body
        try:
            connection.putrequest(method, target)
            for name, value in pairs:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read().decode())
        finally:
            if not self._keep:
                connection.close()

    def close(self):
        if self._connection:
            self._connection.close()

    def dovecot(self, login, protocol="imap", command="allow", **members):
        """The answer's JSON; it must come with 200."""
        question = {"local_port": "143", "login": login, "mech": "PLAIN", "protocol": protocol,
                    "remote": "192.0.2.10", "secured": "", "session_id": "", "tls": False,
                    **members}
        answer = self.ask(f"/v1/dovecot?command={command}", "POST", json.dumps(question),
                          {"Content-Type": "application/json"})
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        return answer.json()

    def allow(self, account, service="caldav", ip="192.0.2.10", tls="on"):
        headers = {"X-Gatepost-Service": service, "X-Gatepost-Account": account,
                   "X-Gatepost-Client": ip, "X-Gatepost-TLS": tls}
        return self.ask("/v1/allow", headers={k: v for k, v in headers.items() if v})

    def nginx(self, user, protocol="imap", **headers):
        fields = {"Auth-Method": "plain", "Auth-User": user, "Auth-Pass": "secret",
                  "Auth-Protocol": protocol, "Auth-Login-Attempt": "1", "Client-IP": "192.0.2.10"}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.ask("/v1/nginx-mail", headers=fields)
        assert answer.status == 200
        return answer.headers

    def password(self, account, password="secret", service="imap", **members):
        question = {"service": service, "account": account, "ip": "192.0.2.10", "tls": True,
                    "password": password, "nonce": "n0nce", **members}
        return self.ask("/v1/password", "POST", json.dumps(question))


class Doors:
    """A filter's sockets: `unix`, `tcp` (a port) and `passwords`, with the settings for them."""

    def __init__(self, folder):
        self.unix_path = os.path.join(folder, "doors.sock")
        self.passwords_path = os.path.join(folder, "passwords.sock")
        self.token_file = os.path.join(folder, "token")
        self.port = free_port()
        with open(self.token_file, "w") as file:
            file.write(TOKEN + "\n")
        os.chmod(self.token_file, 0o600)
        os.chown(self.token_file, pwd.getpwnam("nobody").pw_uid, -1)
        self.settings = {"doors_listen": ["unix:" + self.unix_path, f"127.0.0.1:{self.port}"],
                         "doors_token_file": self.token_file,
                         "passwords_listen": "unix:" + self.passwords_path}
        self.unix = DoorClient(self.unix_path)
        self.tcp = DoorClient(self.port, TOKEN)
        self.passwords = DoorClient(self.passwords_path)
