"""Owns the place where accepted mail ends: an SMTP server that keeps every message it is given."""

import socketserver
import threading
from typing import NamedTuple

from .ports import free_port
from .process import wait_until


class Message(NamedTuple):
    sender: str
    recipients: tuple
    content: bytes   # headers and body, CRLF line ends, dots unstuffed

    def headers(self):
        """(name, value) in order, folds kept in the value as '\\n' and what follows."""
        found = []
        for line in self.content.split(b"\r\n"):
            text = line.decode("utf-8", "surrogateescape")
            if not text:
                break
            if text[0] in " \t" and found:
                found[-1] = (found[-1][0], found[-1][1] + "\n" + text)
            else:
                name, _, value = text.partition(":")
                found.append((name, value.strip()))
        return found

    def header(self, name):
        """All values of the headers of that name, in order."""
        return [value for key, value in self.headers() if key.lower() == name.lower()]


class _Session(socketserver.StreamRequestHandler):
    def _say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def _read_content(self):
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        return None

    def handle(self):
        sender, recipients = "", []
        self._say("220 sink ESMTP")
        for line in self.rfile:
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            verb = text[:4].upper()
            if verb == "EHLO":
                self._say("250-sink\r\n250-8BITMIME\r\n250-SIZE 0\r\n250 SMTPUTF8")
            elif verb == "MAIL":
                sender, recipients = text.partition("<")[2].rpartition(">")[0], []
                self._say("250 2.1.0 ok")
            elif verb == "RCPT":
                recipients.append(text.partition("<")[2].partition(">")[0])
                self._say("250 2.1.5 ok")
            elif verb == "DATA":
                self._say("354 go on")
                content = self._read_content()
                if content is None:
                    return
                self.server.keep(Message(sender, tuple(recipients), content))
                self._say("250 2.0.0 kept")
            elif verb == "QUIT":
                self._say("221 2.0.0 bye")
                return
            else:
                self._say("250 2.0.0 ok")


class SmtpSink(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1:self.port from construction to stop()."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        self.port = free_port()
        self._messages = []
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", self.port), _Session)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def keep(self, message):
        with self._lock:
            self._messages.append(message)

    def messages(self):
        with self._lock:
            return list(self._messages)

    def wait_for(self, marker, timeout=15):
        """The first message whose content has `marker`, waiting until it arrives."""
        marker = marker.encode()
        return wait_until(
            lambda: next((m for m in self.messages() if marker in m.content), None),
            timeout, f"a delivered message with {marker!r}")

    def stop(self):
        self.shutdown()
        self.server_close()
