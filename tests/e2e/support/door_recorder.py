"""Owns a go-between on the way to Gatepost's doors: it hands all on, and keeps what was asked."""

import socketserver
import socket
import threading


class _Connection(socketserver.BaseRequestHandler):
    """One request, and the answer up to its end; then the connection is closed."""

    def handle(self):
        asked = b""
        while b"\r\n\r\n" not in asked:
            piece = self.request.recv(65536)
            if not piece:
                return
            asked += piece
        self.server.asked.append(asked.decode("latin-1"))
        if self.server.answer is not None:
            self.request.sendall(self.server.answer)
            return
        with socket.socket(self.server.address_family) as door:
            door.settimeout(20)
            door.connect(self.server.target)
            door.sendall(asked.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            while piece := door.recv(65536):
                self.request.sendall(piece)


class _OverUnix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    address_family = socket.AF_UNIX


class _OverTcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class DoorRecorder:
    """`address` and `target` are both paths of unix sockets, or both (host, port).

    `asked` has the text of each request up to the empty line. What answer_with() is given, octets,
    takes the place of every answer.
    """

    def __init__(self, address, target):
        kind = _OverUnix if isinstance(address, str) else _OverTcp
        self._server = kind(address, _Connection)
        self._server.target, self._server.answer = target, None
        self._server.asked = self.asked = []
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer_with(self, octets):
        self._server.answer = octets

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
