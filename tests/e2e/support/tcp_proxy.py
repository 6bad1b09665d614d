"""Owns a TCP proxy: where it leads may change, what comes back may be late, connections may break."""

import socket
import threading
import time


class _Connection:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.sent = b""         # by the client

    def close(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class TcpProxy:
    """Listens on 127.0.0.1, from now on until stop().

    `target` is the port for new connections, `delay` the seconds that each answer takes longer,
    `rate` how many octets a second come back on a connection (0: as fast as they can). All may be
    set at any time.
    """

    def __init__(self, target):
        self.target = target
        self.delay = 0
        self.rate = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connections = []
        self._once = {}         # octets: action
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            connection = _Connection(client, server)
            self._connections.append(connection)
            for forth in (True, False):
                threading.Thread(target=self._pass, args=(connection, forth), daemon=True).start()

    def _pass(self, connection, forth):
        source, sink = connection.client, connection.server
        if not forth:
            source, sink = sink, source
        try:
            while data := source.recv(65536):
                if forth:
                    connection.sent += data
                    self._act(connection, data)
                elif self.delay:
                    time.sleep(self.delay)
                while self.rate and not forth and data:
                    sink.sendall(data[:self.rate // 100 + 1])
                    data = data[self.rate // 100 + 1:]
                    time.sleep(0.01)
                sink.sendall(data)
        except OSError:
            pass
        connection.close()

    def _act(self, connection, data):
        for octets in list(self._once):
            if octets in data and (action := self._once.pop(octets, None)):
                action(connection)

    def once(self, octets, action):
        """Call action(connection) the next time that these are sent, before they are passed on."""
        self._once[octets] = action

    def sent(self, octets):
        """How often clients have sent these."""
        return sum(connection.sent.count(octets) for connection in self._connections)

    def drop(self, *sent):
        """Break the connections on which one of these was sent."""
        for connection in self._connections:
            if any(octets in connection.sent for octets in sent):
                connection.close()

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()
