"""Owns a server that speaks Redis's protocol and says what no Redis says."""

import socket
import threading


def _encoded(reply):
    """RESP2 of str, int, None and lists; bytes go out as they are."""
    if isinstance(reply, bytes):
        return reply
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, str):
        return b"$%d\r\n%s\r\n" % (len(reply.encode()), reply.encode())
    return b"*%d\r\n" % len(reply) + b"".join(_encoded(part) for part in reply)


class FakeRedis:
    """Listens on 127.0.0.1 until stop().

    `answers` is {key: reply} for HGETALL and HSCAN, each a str, an int, None, a list of those, or
    bytes that are sent as they are; other keys do not exist. It may be changed at any time. Any
    other command but PING is refused. `replies` is {(words): reply} for whole commands.
    """

    def __init__(self, answers=None, replies=None):
        self.answers = answers or {}
        self.replies = replies or {}
        self.connections = 0
        self._open = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _reply(self, words):
        if (reply := self.replies.get(tuple(words))) is not None:
            return reply
        command = words[0].upper()
        if command == "PING":
            return b"+PONG\r\n"
        if command in ("HGETALL", "HSCAN"):
            absent = [] if command == "HGETALL" else ["0", []]
            return self.answers.get(words[1], absent)
        return b"-ERR unknown command\r\n"

    def _serve(self, client):
        try:
            with client.makefile("rb") as stream:
                while line := stream.readline():
                    words = []
                    for _ in range(int(line[1:])):
                        size = int(stream.readline()[1:])
                        words.append(stream.read(size + 2)[:-2].decode())
                    client.sendall(_encoded(self._reply(words)))
        except OSError:
            pass

    def stop(self):
        for end in (self._listener, *self._open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
