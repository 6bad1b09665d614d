"""Owns servers on loopback that say what a test wants them to, or nothing, or without end."""

import socket
import ssl
import threading

from .ports import free_port


class OddServer:
    """Each connection is given to `serve(connection)` on a thread of its own and closed after it.

    With a `certificate` (cert, key) TLS comes first; with a `path` it is a unix socket there.
    `heard` has what read() got, in order.
    """

    def __init__(self, serve, certificate=None, host="127.0.0.1", path=None):
        self.port = None if path else free_port()
        self.heard = []
        self._serve = serve
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._stopped = threading.Event()
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server(path or (host, self.port), backlog=20, family=family)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._stopped.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection):
        try:
            if self._context:
                connection = self.wrap(connection)
            self._serve(self, connection)
        except OSError:
            pass
        finally:
            connection.close()

    def wrap(self, connection):
        return self._context.wrap_socket(connection, server_side=True)

    def read(self, connection):
        """One line of the client's, b"" at the end."""
        line = b""
        while not line.endswith(b"\n"):
            octet = connection.recv(1)
            if not octet:
                break
            line += octet
        self.heard.append(line)
        return line

    def read_octets(self, connection, n):
        """So many, or fewer at the end."""
        octets = b""
        while len(octets) < n and (more := connection.recv(n - len(octets))):
            octets += more
        return octets

    def wait(self, seconds=60):
        """Until the test is over."""
        self._stopped.wait(seconds)

    def pour(self, connection, octets):
        """The same octets until the client has had enough."""
        while not self._stopped.is_set():
            connection.sendall(octets)

    def drip(self, connection, octets, seconds=0.05):
        """One octet at a time, without end."""
        while not self._stopped.is_set():
            for octet in octets:
                connection.sendall(bytes([octet]))
                if self._stopped.wait(seconds):
                    return


def conversation(*answers, then=None):
    """What to serve: the first of the answers at once, each other one after a line is heard."""
    def serve(server, connection):
        for i, answer in enumerate(answers):
            if i > 0 and not server.read(connection):
                return
            connection.sendall(answer)
        if then:
            then(server, connection)
        while server.read(connection):
            pass
    return serve
