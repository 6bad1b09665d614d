"""Owns the MTA's side of the milter protocol, version 6 (/usr/include/libmilter/mfdef.h).

For what no MTA lets one send: odd orders, aborts, garbage, hanging up at any byte.
"""

import socket
import struct
from typing import NamedTuple

# SMFIP_ bits: the step is not wanted, the step gets no reply
_NOT_WANTED = {"C": 0x1, "H": 0x2, "M": 0x4, "R": 0x8, "B": 0x10, "L": 0x20, "N": 0x40,
               "U": 0x100, "T": 0x200}
_NO_REPLY = {"L": 0x80, "C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000,
             "U": 0x20000, "N": 0x40000, "B": 0x80000}
ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF
_FINAL = "acdrty4f"

MACROS = {"j": "mx.gatepost.test", "{daemon_name}": "MX", "{daemon_port}": "25",
          "{daemon_addr}": "127.0.0.1"}


class Response(NamedTuple):
    letter: str    # SMFIR_: c continue, a accept, r reject, t tempfail, y reply code, ...
    data: bytes

    @property
    def reply(self):
        """'550 5.7.1 text' of a reply code response, else ''."""
        return self.data.rstrip(b"\0").decode("utf-8", "surrogateescape") \
            if self.letter == "y" else ""


def _bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def _strings(*values):
    return b"".join(_bytes(value) + b"\0" for value in values)


def packet(letter, data=b""):
    return struct.pack("!I", len(data) + 1) + letter.encode() + data


def negotiation(version=6, actions=ALL_ACTIONS, steps=ALL_STEPS):
    return packet("O", struct.pack("!III", version, actions, steps))


def macros(letter, values):
    flat = [item for pair in values.items() for item in pair]
    return packet("D", letter.encode() + _strings(*flat))


def connect(address, host="client.example", port=40000):
    family = "6" if ":" in address else "4"
    if family == "6":
        address = "IPv6:" + address
    return packet("C", _strings(host) + family.encode() + struct.pack("!H", port)
                  + _strings(address))


def helo(name):
    return packet("H", _strings(name))


def mail(sender, *parameters):
    return packet("M", _strings(b"<" + _bytes(sender) + b">", *parameters))


def rcpt(recipient):
    return packet("R", _strings(b"<" + _bytes(recipient) + b">"))


def header(name, value):
    return packet("L", _strings(name, value))


class MilterClient:
    """One connection to the filter. A step returns its Response, or None where none is due."""

    def __init__(self, path, timeout=20):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._steps = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._socket.close()

    def send(self, data):
        """Raw bytes, as they are."""
        self._socket.sendall(data)

    def _read(self, size):
        data = b""
        while len(data) < size:
            chunk = self._socket.recv(size - len(data))
            if not chunk:
                raise ConnectionError("the filter hung up")
            data += chunk
        return data

    def receive(self):
        """The next packet, progress left out."""
        while True:
            size, = struct.unpack("!I", self._read(4))
            data = self._read(size)
            if data[:1] != b"p":
                return Response(data[:1].decode("latin-1"), data[1:])

    def negotiate(self, version=6, actions=ALL_ACTIONS, steps=ALL_STEPS):
        """Offer everything; return (version, actions, steps, {stage number: macro names})."""
        self.send(negotiation(version, actions, steps))
        response = self.receive()
        assert response.letter == "O", response
        answered, wanted_actions, self._steps = struct.unpack("!III", response.data[:12])
        names, rest = {}, response.data[12:]
        while len(rest) > 4:
            stage, = struct.unpack("!I", rest[:4])
            text, _, rest = rest[4:].partition(b"\0")
            names[stage] = text.decode().split()
        return answered, wanted_actions, self._steps, names

    def step(self, letter, data):
        """Send one step's packet and wait for the response if the filter gives one."""
        if self._steps & _NOT_WANTED.get(letter, 0):
            return None
        self.send(data)
        return None if self._steps & _NO_REPLY.get(letter, 0) else self.receive()

    def connect(self, address="192.0.2.10", host="client.example", macro_values=None):
        self.send(macros("C", {**MACROS, **(macro_values or {})}))
        return self.step("C", connect(address, host))

    def helo(self, name="client.example", macro_values=None):
        if macro_values:
            self.send(macros("H", macro_values))
        return self.step("H", helo(name))

    def mail(self, sender, *parameters, login=None, macro_values=None):
        values = {"{mail_addr}": sender, "{mail_mailer}": "smtp", **(macro_values or {})}
        if login is not None:
            values.update({"{auth_authen}": login, "{auth_type}": "PLAIN"})
        self.send(macros("M", values))
        return self.step("M", mail(sender, *parameters))

    def rcpt(self, recipient="rcpt@local.test"):
        return self.step("R", rcpt(recipient))

    def data(self):
        return self.step("T", packet("T"))

    def header(self, name, value):
        return self.step("L", header(name, value))

    def end_headers(self):
        return self.step("N", packet("N"))

    def body(self, data):
        return self.step("B", packet("B", data))

    def end_of_message(self, queue_id="4ABCDEF"):
        """(modifications, final response)."""
        self.send(macros("E", {"i": queue_id}))
        self.send(packet("E"))
        modifications = []
        while True:
            response = self.receive()
            if response.letter in _FINAL:
                return modifications, response
            modifications.append(response)

    def message(self, headers=(), queue_id="4ABCDEF"):
        """Everything after MAIL: recipient, headers, body, end; what end_of_message() returns."""
        self.rcpt()
        self.data()
        for name, value in headers:
            self.header(name, value)
        self.end_headers()
        self.body(b"hello\r\n")
        return self.end_of_message(queue_id)

    def abort(self):
        self.send(packet("A"))

    def quit(self):
        self.send(packet("Q"))
        self.close()
