"""Owns the filter under test: its configuration file, its process and what it writes to stderr."""

import itertools
import os
import signal
import subprocess

from . import logfmt
from .milter_client import MilterClient
from .ports import accepts_unix
from .process import Process, wait_until

_HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = os.path.abspath(os.environ.get(
    "GATEPOST", os.path.join(_HERE, "../../../build/milter/gatepost")))
_TITLED = ("listener", "network", "protocol", "reply")
_numbers = itertools.count(1)
_SANITIZER = ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer")
_ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1",
                "TSAN_OPTIONS": "suppressions=" + os.path.join(_HERE, "tsan.supp"),
                "LD_BIND_NOW": "1"}     # as the unit says


def _value(value):
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(_value(item) for item in value) + " }"
    return str(value)


def _body(settings, indent=""):
    return "".join(f"{indent}{key} = {_value(value)}\n" for key, value in settings.items())


def render(settings):
    """gatepost.conf from a dict: {"store": URL, "listener": {"mx": {"daemon_port": 25}}, ...}."""
    text = ""
    for key, value in settings.items():
        if key in _TITLED:
            for title, body in value.items():
                text += f'{key} {_value(title)} {{\n{_body(body, "  ")}}}\n'
        elif isinstance(value, dict):
            text += f"{key} {{\n{_body(value, '  ')}}}\n"
        else:
            text += _body({key: value})
    return text


def check(conf):
    """Run `gatepost -t -c conf` and return the finished process (stdout and stderr as text)."""
    return subprocess.run([BINARY, "-t", "-c", conf], capture_output=True, text=True,
                          errors="backslashreplace", timeout=30,
                          env={**_ENVIRONMENT, **os.environ})


class Gatepost:
    """The filter in the foreground, with files `NAME.conf` and `NAME.log` in `folder`.

    `settings` go over the few that every test needs. Log lines and verdicts are those since
    forget(), which starts a new page. It runs inside `network` (a NetworkNamespace) if given, and
    by the command `within`, words that stand before its own; `stderr` is a descriptor in the place
    of the log's.
    """

    def __init__(self, folder, settings, name="gatepost", socket=None, network=None, within=(),
                 stderr=None):
        self.socket = socket or os.path.join(folder, name + ".sock")
        self.conf = os.path.join(folder, name + ".conf")
        self.log = os.path.join(folder, name + ".log")
        self._page = 0          # where in the log the current page starts
        self._checked = 0       # up to where the log has been searched for reports
        self._process = None
        self._network = network
        self._within = within
        self._stderr = stderr
        self.configure(settings)

    def configure(self, settings):
        """Write the configuration file; a running filter does not notice."""
        essential = {"socket": "unix:" + self.socket, "socket_mode": "0666", "log": "stderr",
                     "user": "root"}
        with open(self.conf, "w") as conf:
            conf.write(render({**essential, **settings}))

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        call = self._network.call if self._network \
            else lambda function, *args, **kwargs: function(*args, **kwargs)
        self._process = call(Process, [*self._within, BINARY, "-c", self.conf], self.log, None,
                             {**_ENVIRONMENT, **os.environ}, stderr=self._stderr)
        try:
            self._process.wait_ready(lambda: accepts_unix(self.socket), what="milter socket")
        except BaseException:
            self._process.kill_group()
            self._process = None
            raise
        self.forget()
        return self

    def running(self):
        return self._process is not None and self._process.alive()

    def terminate(self):
        """SIGTERM without waiting, as stop() does; AssertionError if it has died before."""
        self.check_healthy()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Stop it and return its exit status; AssertionError for a sanitizer's report."""
        if self._process is None:
            return 0
        status = self._process.stop(number, timeout)
        self._process = None
        self.check_reports()
        return status

    def freeze(self):
        """SIGSTOP: connections are accepted by the kernel, nothing is answered."""
        self._process.freeze()

    def resume(self):
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def restart(self):
        status = self.stop()
        assert status == 0, f"exit status {status} after SIGTERM"
        return self.start()

    def check_reports(self):
        """AssertionError if the log has a sanitizer's report that was not raised before."""
        text = self._text(self._checked)
        self._checked += len(text.encode("utf-8", "backslashreplace"))
        found = next((word for word in _SANITIZER if word in text), None)
        if found:
            raise AssertionError(f"{found} in {self.log}:\n" + text[text.index(found):][:6000])

    def check_healthy(self):
        """AssertionError if the filter died or a sanitizer reported."""
        self.check_reports()
        if self._process is not None and not self._process.alive():
            raise AssertionError(f"gatepost died: exit status {self._process.returncode}\n"
                                 + self._text(0)[-4000:])

    def forget(self):
        """Start a new page: verdicts() and log_lines() leave out what was written before."""
        self._page = os.path.getsize(self.log)

    def empty_log(self):
        """Throw away what was written so far, searched for reports; its size."""
        self.check_reports()
        size = os.path.getsize(self.log)
        os.truncate(self.log, 0)
        self._page = self._checked = 0
        return size

    def remember(self):
        """Go back to the first page: everything since the start counts."""
        self._page = 0

    def _text(self, start):
        with open(self.log, "rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "backslashreplace")

    def log_lines(self):
        """Complete lines written since forget()."""
        return self._text(self._page).split("\n")[:-1]

    def events(self, *names):
        """The lines of these events since forget()."""
        return [line for line in self.log_lines()
                if any(f"event={name} " in line for name in names)]

    def verdicts(self, **fields):
        """The verdict lines since forget(), as dicts; only those with these fields."""
        found = []
        for line in self.log_lines():
            at = line.find("event=verdict")
            if at == 0 or (at > 0 and line[at - 1] == " "):
                verdict = logfmt.parse(line[at:])
                if all(verdict.get(key) == value for key, value in fields.items()):
                    found.append(verdict)
        return found

    def verdict(self, timeout=30, **fields):
        """Wait for the first verdict line with these fields since forget()."""
        try:
            return wait_until(lambda: self.verdicts(**fields), timeout)[0]
        except TimeoutError:
            lines = "\n".join(self.log_lines())
            raise AssertionError(f"no verdict line with {fields} among:\n{lines}") from None

    def catch_up(self, redis):
        """Wait until it has heard of all changes so far, of which Redis tells in order; it starts
        a new page."""
        login = f"{next(_numbers)}@catch-up.example"
        nowhere = {"{daemon_name}": "CATCH-UP", "{daemon_port}": "1"}

        def told():
            self.forget()
            mta.mail(login, login=login)
            mta.abort()
            return login in self.verdict(account=login)["from"]

        with MilterClient(self.socket) as mta:
            mta.negotiate()
            mta.connect("192.0.2.255", macro_values=nowhere)
            mta.helo()
            assert not told()       # that there is no such account is cached now
            redis.cli("SET", "gatepost:account:" + login, "of the wrong type")
            wait_until(told, 30, "all changes heard of")
        redis.cli("DEL", "gatepost:account:" + login)
        self.forget()

    def wait_log(self, *words, timeout=30):
        """Wait for a log line with all these words since forget() and return it."""
        def find():
            return next((line for line in self.log_lines()
                         if all(word in line for word in words)), None)
        try:
            return wait_until(find, timeout)
        except TimeoutError:
            lines = "\n".join(self.log_lines())
            raise AssertionError(f"no log line with {words} among:\n{lines}") from None
