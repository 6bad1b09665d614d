"""Owns a name server on 127.0.0.1, UDP and TCP, that answers octet by octet what a test tells it.

zones: name -> {type: behaviour}, names in lower case without the last dot; what is not there is
NXDOMAIN, or what `elsewhere` makes of it. A behaviour is a function (query, send) that calls
send(message) for each message it wants to go out, or send.raw(octets) for octets on a TCP
connection. This file has the behaviours that tests put together; the tests have the zones.
"""

import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from typing import NamedTuple

from support.nameserver import TcpServer, UdpServer
from support.ports import free_port

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
_TYPE_NAMES = {number: name for name, number in TYPES.items()}
IN, CHAOS = 1, 3
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, NOTAUTH = 0, 1, 2, 3, 4, 5, 6, 9
_RESPONSE, _TRUNCATED, _RECURSION = 0x8000, 0x0200, 0x0180
_UDP_MAX = 1232


class Query(NamedTuple):
    id: int
    question: bytes     # as it came
    name: str           # lower case, without the last dot; octets as latin-1
    rdtype: str
    over_tcp: bool
    edns: bool


class Record(NamedTuple):
    rdtype: str
    rdata: bytes
    owner: object = None        # the name in wire form; None: the name asked for
    rdclass: int = IN
    ttl: int = 0


def wire_name(name):
    """A name in wire form; given as text, or as a list of labels with any octets."""
    labels = name if isinstance(name, list) else name.encode("latin-1").strip(b".").split(b".")
    return b"".join(bytes([len(label)]) + label for label in labels if label) + b"\0"


def txt(*strings):
    """A TXT record; one string longer than 255 octets is cut into several."""
    octets = [string if isinstance(string, bytes) else string.encode() for string in strings]
    if len(octets) == 1:
        octets = [octets[0][i:i + 255] for i in range(0, len(octets[0]), 255)] or [b""]
    return Record("TXT", b"".join(bytes([len(string)]) + string for string in octets))


def address(text):
    family, rdtype = (socket.AF_INET6, "AAAA") if ":" in text else (socket.AF_INET, "A")
    return Record(rdtype, socket.inet_pton(family, text))


def mx(preference, host):
    return Record("MX", struct.pack("!H", preference) + wire_name(host))


def ptr(host):
    return Record("PTR", wire_name(host))


def cname(host, owner=None):
    return Record("CNAME", wire_name(host), None if owner is None else wire_name(owner))


def soa(owner, minimum):
    return Record("SOA", wire_name("ns." + owner) + wire_name("root." + owner)
                  + struct.pack("!5I", 1, 3600, 600, 86400, minimum), wire_name(owner))


def record_octets(record):
    owner = b"\xc0\x0c" if record.owner is None else record.owner
    return owner + struct.pack("!HHIH", TYPES[record.rdtype], record.rdclass, record.ttl,
                               len(record.rdata)) + record.rdata


def message(query, records=(), rcode=NOERROR, flags=0, section=0, counts=None, question=None,
            body=None, query_id=None):
    """A response with the records in a section: 0 answer, 1 authority, 2 additional.

    The other arguments are for lies: flags to flip, counts of the sections, another question, a
    body in place of the records, another id.
    """
    octets = b"".join(map(record_octets, records)) if body is None else body
    if counts is None:
        counts = [0, 0, 0]
        counts[section] = len(records)
    header = struct.pack("!6H", query.id if query_id is None else query_id,
                         (_RESPONSE | _RECURSION | rcode) ^ flags, 1, *counts)
    return header + (query.question if question is None else question) + octets


# behaviours


def silent(query, send):
    pass


def answers(*records, rcode=NOERROR, section=0):
    """Truncated over UDP when they do not fit."""
    def behave(query, send):
        octets = message(query, records, rcode, section=section)
        if not query.over_tcp and len(octets) > _UDP_MAX:
            octets = message(query, flags=_TRUNCATED)
        send(octets)
    return behave


def fails(rcode):
    return answers(rcode=rcode)


def sends(make):
    """make(query) is the message, or a list of them."""
    def behave(query, send):
        made = make(query)
        for octets in made if isinstance(made, list) else [made]:
            send(octets)
    return behave


def late(seconds, then):
    def behave(query, send):
        time.sleep(seconds)
        then(query, send)
    return behave


def first(lie, then, pause=0.05):
    """`lie` at once, and `then` after a pause."""
    def behave(query, send):
        lie(query, send)
        time.sleep(pause)
        then(query, send)
    return behave


def flood(make, seconds):
    """make(query) again and again for some seconds."""
    def behave(query, send):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(20):
                send(make(query))
            time.sleep(0.002)
    return behave


def truncated(over_tcp):
    """Nothing but TC over UDP; over TCP what `over_tcp` does."""
    def behave(query, send):
        if query.over_tcp:
            over_tcp(query, send)
        else:
            send(message(query, flags=_TRUNCATED))
    return behave


def hang_up(query, send):
    send.hang_up()


def drips(step, *records):
    """The answer over TCP one octet at a time."""
    def behave(query, send):
        octets = message(query, records)
        for octet in struct.pack("!H", len(octets)) + octets:
            send.raw(bytes([octet]))
            time.sleep(step)
    return behave


def raw(make):
    """make(query) are octets on the TCP connection, without a length before them."""
    def behave(query, send):
        send.raw(make(query))
    return behave


class HostileNameServer:
    """Answers at host:port from construction to stop(); without `tcp` over UDP only."""

    def __init__(self, tcp=True, host="127.0.0.1", port=None):
        self.zones = {}
        self.elsewhere = None       # a function (name, type): the behaviour, or None
        self.problems = []          # what behaviours raised: faults of the test, not of the asker
        self.port = port or free_port()
        self.address = f"{host}:{self.port}"
        self._lock = threading.Lock()
        self._queries = Counter()
        self._servers = [UdpServer((host, self.port), _UdpQuery)]
        if tcp:
            self._servers.append(_Tcp((host, self.port), _TcpQueries))
        for server in self._servers:
            server.owner = self
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def start_over(self):
        """Forget all zones and counts."""
        self.zones, self.elsewhere = {}, None
        with self._lock:
            self._queries.clear()

    def count(self, name=None, rdtype=None):
        """How many queries came, of that name and type where given; repeated ones count."""
        with self._lock:
            return sum(number for (qname, qtype), number in self._queries.items()
                       if name in (None, qname) and rdtype in (None, qtype))

    def names(self):
        """The names that were asked for."""
        with self._lock:
            return {name for name, _ in self._queries}

    def serve(self, octets, over_tcp, send):
        query = _read(octets, over_tcp)
        with self._lock:
            self._queries[(query.name, query.rdtype)] += 1
        behaviour = self.zones.get(query.name, {}).get(query.rdtype)
        if behaviour is None and self.elsewhere is not None:
            behaviour = self.elsewhere(query.name, query.rdtype)
        if behaviour is None:
            behaviour = fails(NOERROR if query.name in self.zones else NXDOMAIN)
        try:
            behaviour(query, send)
        except OSError:     # the asker has gone
            pass
        except Exception as problem:    # pylint: disable=broad-exception-caught
            self.problems.append(problem)


def _read(octets, over_tcp):
    labels, at = [], 12
    while octets[at]:
        labels.append(octets[at + 1:at + 1 + octets[at]])
        at += 1 + octets[at]
    number, = struct.unpack("!H", octets[at + 1:at + 3])
    return Query(struct.unpack("!H", octets[:2])[0], octets[12:at + 5],
                 b".".join(labels).lower().decode("latin-1"), _TYPE_NAMES.get(number, str(number)),
                 over_tcp, octets[10:12] != b"\0\0")


class _Tcp(TcpServer):
    request_queue_size = 64


class _UdpSender:
    def __init__(self, sock, peer):
        self._sock, self._peer = sock, peer

    def __call__(self, octets):
        self._sock.sendto(octets, self._peer)

    def from_elsewhere(self, octets):
        """From another port than the one that was asked."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(octets, self._peer)


class _TcpSender:
    def __init__(self, connection):
        self._connection = connection

    def __call__(self, octets):
        self.raw(struct.pack("!H", len(octets)) + octets)

    def raw(self, octets):
        self._connection.sendall(octets)

    def hang_up(self):
        self._connection.shutdown(socket.SHUT_RDWR)


class _UdpQuery(socketserver.BaseRequestHandler):
    def handle(self):
        octets, sock = self.request
        self.server.owner.serve(octets, False, _UdpSender(sock, self.client_address))


class _TcpQueries(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            try:
                length = self.rfile.read(2)
                if len(length) < 2:
                    return
                octets = self.rfile.read(struct.unpack("!H", length)[0])
            except OSError:
                return
            self.server.owner.serve(octets, True, _TcpSender(self.connection))
