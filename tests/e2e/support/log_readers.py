"""Owns readers of a log that stop reading: a pipe, and a /dev/log of one program's own."""

import contextlib
import os
import select
import socket

# in a mount namespace of its own: a /dev whose log is a link to a socket, which may come and go
_WITHIN = """\
set -e
mkdir -p {dev}
mount -t tmpfs tmpfs {dev}
for name in null zero random urandom tty; do
    touch {dev}/$name
    mount --bind /dev/$name {dev}/$name
done
ln -s {path} {dev}/log
mount --rbind {dev} /dev
exec "$@"
"""


class Pipe:
    """What is written to `writer` waits in the kernel, 64 KiB of it, until lines() takes it."""

    def __init__(self):
        self._reader, self.writer = os.pipe()
        self._text = b""

    def lines(self, wait=0.0):
        """Complete lines that have come since the last call; waits that long for the first."""
        select.select([self._reader], [], [], wait)
        with contextlib.suppress(BlockingIOError):
            os.set_blocking(self._reader, False)
            while octets := os.read(self._reader, 65536):
                self._text += octets
        *lines, self._text = self._text.split(b"\n")
        return [line.decode("utf-8", "backslashreplace") for line in lines]

    def close_writer(self):
        os.close(self.writer)

    def close_reader(self):
        os.close(self._reader)


class DevLog:
    """A socket like /dev/log; `within` are the words to start a program with, for which it is that.

    It listens from listen() to close(), and reads nothing but by lines().
    """

    def __init__(self, folder, kind=socket.SOCK_DGRAM):
        self.path = os.path.join(folder, "log.sock")
        self._kind = kind
        self._socket = self._stream = None
        self._text = b""
        script = _WITHIN.format(dev=os.path.join(folder, "dev"), path=self.path)
        self.within = ("unshare", "--mount", "sh", "-c", script, "sh")

    def listen(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self._socket = socket.socket(socket.AF_UNIX, self._kind)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)
        if self._kind == socket.SOCK_STREAM:
            self._socket.listen()
        self._socket.setblocking(False)
        return self

    def close(self):
        for opened in (self._stream, self._socket):
            if opened is not None:
                opened.close()
        self._stream = self._socket = None

    def messages(self):
        """Messages that have come since the last call, as they were sent."""
        found = []
        with contextlib.suppress(BlockingIOError):
            if self._kind == socket.SOCK_DGRAM:
                while True:
                    found.append(self._socket.recv(65536))
            if self._stream is None:
                self._stream, _ = self._socket.accept()
                self._stream.setblocking(False)
            while octets := self._stream.recv(65536):
                self._text += octets
        if self._kind == socket.SOCK_STREAM:
            *found, self._text = self._text.split(b"\0")
        return [message.decode("utf-8", "backslashreplace") for message in found]

    def lines(self):
        """As messages(), without what stands before the event."""
        return [message.partition("]: ")[2] for message in self.messages()]
