"""Owns gatepost-settings under test: its configuration, tokens and process, and the asking for users
and panels."""

import json
import os
import signal

from . import logfmt
from .doors import DoorClient
from .gatepost import BINARY, render
from .openapi import Document
from .process import Process, wait_until

PROGRAM = os.path.join(os.path.dirname(BINARY), "gatepost-settings")
PROXY = "token-of-the-proxy-0123456789"
READER = "token-of-a-panel-that-reads-0123"
WRITER = "token-of-a-panel-that-writes-012"
ORIGIN = "https://mail.example.com"
PATCH = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
TOKENS = f"# who may ask\n{PROXY} proxy\n{READER} example.com read\n{WRITER} example.com write\n"
_ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1",
                "TSAN_OPTIONS": "suppressions=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "tsan.supp")}
_SANITIZER = ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer")


class Settings:
    """gatepost-settings in the foreground; `conf` are settings of gatepost.conf, `section` those of
    its section. Lines of the log are those since forget()."""

    def __init__(self, folder, conf, section=None, user=None):
        self.folder = folder
        self.socket = os.path.join(folder, "settings.sock")
        self.conf = os.path.join(folder, "settings.conf")
        self.log = os.path.join(folder, "settings.log")
        self.tokens = os.path.join(folder, "tokens")
        self._user = user
        self._process = None
        self._page = 0
        self.write_tokens(TOKENS)
        self.configure(conf, section)

    def configure(self, conf, section=None):
        self.section = {"listen": "unix:" + self.socket, "token_file": self.tokens,
                        "origin": ORIGIN, "socket_mode": "0666", **(section or {})}
        with open(self.conf, "w") as file:
            file.write(render({"log": "stderr", "store_timeout": "500ms",
                               "default_domain": "example.com", **conf,
                               "settings": self.section}))

    def write_tokens(self, text, mode=0o600):
        with open(self.tokens, "w") as file:
            file.write(text)
        os.chmod(self.tokens, mode)

    def command(self, *options):
        return [PROGRAM, "-c", self.conf, *options]

    def start(self):
        open(self.log, "a").close()
        self.forget()
        self._process = Process(self.command(), self.log, env={**_ENVIRONMENT, **os.environ})
        self._process.wait_ready(lambda: any("event=start " in line for line in self.lines()))
        return self

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        """Its exit status; AssertionError for a sanitizer's report."""
        if self._process is None:
            return 0
        status = self._process.stop()
        self._process = None
        with open(self.log, errors="backslashreplace") as log:
            text = log.read()
        assert not any(word in text for word in _SANITIZER), text[-6000:]
        return status

    def reload(self):
        """SIGHUP; the line that says what came of it."""
        self.forget()
        os.kill(self.pid, signal.SIGHUP)
        return self.wait_log("event=reload")

    # ---- the log ----

    def forget(self):
        self._page = os.path.getsize(self.log)

    def lines(self):
        with open(self.log, "rb") as log:
            log.seek(self._page)
            return log.read().decode("utf-8", "backslashreplace").split("\n")[:-1]

    def wait_log(self, *words):
        return wait_until(lambda: next((line for line in self.lines()
                                        if all(word in line for word in words)), None),
                          what=f"{words} in the log")

    def changes(self):
        """The lines about changes, as dicts."""
        return [logfmt.parse(line[line.index("event="):]) for line in self.lines()
                if "event=change " in line]

    # ---- asking ----

    def client(self, **headers):
        """Somebody who asks, with these fields in each request (X_Remote_User=...)."""
        return Client(self.socket, {name.replace("_", "-"): value
                                    for name, value in headers.items()})

    def user(self, account="alice@example.com", address="192.0.2.7"):
        """Through the proxy."""
        return self.client(X_Gatepost_Token=PROXY, X_Remote_User=account, X_Real_IP=address)

    def panel(self, token=WRITER):
        return self.client(X_Gatepost_Token=token)


class Client:
    """Asks, and checks each answer against the OpenAPI document and for what all must have."""

    def __init__(self, where, headers):
        self.where, self.headers = where, headers
        self._door = DoorClient(where)
        self._document = Document()

    def ask(self, method, path, body=None, headers=(), without=()):
        """`headers` a dict, or pairs where a name comes twice; `without` names of the usual ones."""
        pairs = [(name, value) for name, value in self.headers.items() if name not in without]
        pairs += list(headers.items() if isinstance(headers, dict) else headers)
        body = json.dumps(body) if isinstance(body, (dict, list)) else body
        answer = self._door.ask(path, method, body, pairs)
        self._document.check(method, path, answer)
        check_header(answer)
        return answer

    def get(self, account="me"):
        answer = self.ask("GET", f"/v1/accounts/{account}")
        assert answer.status == 200, answer
        return answer.json()

    def patch(self, wish, account="me", **headers):
        """The answer; a change of these members."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("PATCH", f"/v1/accounts/{account}", wish, {**PATCH, **fields})

    def change(self, wish, account="me", **headers):
        """It must be done; what holds now."""
        answer = self.patch(wish, account, **headers)
        assert answer.status == 200, answer
        return answer.json()

    def passwords(self):
        answer = self.ask("GET", "/v1/accounts/me/passwords")
        assert answer.status == 200, answer
        return answer.json()["passwords"]

    def make_password(self, *protocols, **members):
        return self.ask("POST", "/v1/accounts/me/passwords",
                        {"protocols": list(protocols), **members}, JSON)

    def revoke(self, number):
        return self.ask("DELETE", f"/v1/accounts/me/passwords/{number}")


def check_header(answer):
    """What every answer must have, whatever it says."""
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers
    if answer.status in (429, 503):
        assert int(answer.headers["retry-after"]) > 0
