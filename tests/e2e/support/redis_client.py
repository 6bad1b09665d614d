"""Owns one plain connection to a Redis server: for commands whose time matters."""

import socket


class RedisError(Exception):
    """The server answered, but an error."""


class RedisClient:
    """Speaks RESP2 over the unix socket `path`; every command waits for its answer."""

    def __init__(self, path, timeout=30):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._stream = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._stream.close()
        self._socket.close()

    @staticmethod
    def _octets(answer):
        """Octets that are no UTF-8 as surrogates, so that none is lost."""
        return answer.decode("utf-8", "surrogateescape")

    @staticmethod
    def _packed(words):
        encoded = [word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape") for word in words]
        return b"*%d\r\n" % len(encoded) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)

    def _read(self):
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._octets(self._stream.read(size + 2)[:-2])
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        raise ConnectionError(f"not RESP2: {line!r}")

    def send(self, *words):
        """The command alone; read_reply() is owed."""
        self._socket.sendall(self._packed(words))

    def read_reply(self):
        reply = self._read()
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def command(self, *words):
        self.send(*words)
        return self.read_reply()

    def pipeline(self, commands):
        """Many commands in one go; their answers, RedisError among them for one that failed."""
        self._socket.sendall(b"".join(self._packed(words) for words in commands))
        return [self._read() for _ in commands]
