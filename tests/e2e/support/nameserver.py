"""Owns a test name server on 127.0.0.1, UDP and TCP, whose zones are a dict changed at run time.

zones: name -> {type: [record, ...]}, names in lower case without the last dot, odd octets escaped
as in a zone file. A TXT record is its text as it is, or a tuple of its character-strings; any
other stands in zone file form. In place of the inner dict, or of a list, stands one of TIMEOUT,
SERVFAIL, NXDOMAIN, or Delay(seconds, what would have stood there).

Records are answered in their order, repeated ones repeatedly. CNAMEs are followed, as a resolver
does; one that leads into a loop is SERVFAIL.
"""

import socketserver
import struct
import threading
import time
from collections import Counter
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from .ports import free_port

TIMEOUT = "no answer at all"
SERVFAIL = "answer SERVFAIL"
NXDOMAIN = "answer NXDOMAIN"


class Delay(NamedTuple):
    seconds: float
    then: object


def _key(name):
    return name.to_text(omit_final_dot=True).lower()


def _strings(record):
    """A TXT record's character-strings."""
    if isinstance(record, tuple):
        return [piece if isinstance(piece, bytes) else piece.encode() for piece in record]
    raw = record if isinstance(record, bytes) else record.encode()
    return [raw[i:i + 255] for i in range(0, len(raw), 255)] or [b""]


def _rdata(rdtype, record):
    if rdtype in ("TXT", "SPF"):
        wire = b"".join(bytes([len(piece)]) + piece for piece in _strings(record))
        # not from_wire(), which refuses a record without strings (dnspython 2.7)
        return dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.from_text(rdtype), wire)
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rdtype), record,
                               origin=dns.name.root, relativize=False)


class NameServer:
    """Answers on 127.0.0.1:port from construction to stop(). Answers have TTL `ttl`."""

    def __init__(self, zones=None, ttl=0):
        self.zones = zones if zones is not None else {}
        self.ttl = ttl
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._queries = Counter()
        self._servers = [UdpServer(("127.0.0.1", self.port), _UdpQuery),
                         TcpServer(("127.0.0.1", self.port), _TcpQueries)]
        for server in self._servers:
            server.owner = self
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def count(self, name=None, rdtype=None):
        """How many queries came, of that name and type where given."""
        with self._lock:
            return sum(number for (qname, qtype), number in self._queries.items()
                       if name in (None, qname) and rdtype in (None, qtype))

    def forget_counts(self):
        with self._lock:
            self._queries.clear()

    def respond(self, wire, limit):
        """The wire form of the answer, None for no answer; truncated when above `limit`."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = _key(question.name)
        rdtype = dns.rdatatype.to_text(question.rdtype)
        with self._lock:
            self._queries[(name, rdtype)] += 1
        answer = self._answer(query, question, rdtype)
        if answer is None:
            return None
        if limit and query.edns >= 0:
            limit = max(512, query.payload)
        full = answer.to_wire(max_size=65535)
        if not limit or len(full) <= limit:
            return full
        answer.answer = []
        answer.flags |= dns.flags.TC
        return answer.to_wire()

    def _find(self, name, rdtype):
        """(what stands in the zones for the question, its type, the seconds to wait before)."""
        seconds, shown = 0, rdtype
        found = self.zones.get(name, NXDOMAIN if not self._has_below(name) else {})
        while not isinstance(found, (str, list)):
            if isinstance(found, Delay):
                seconds += found.seconds
                found = found.then
            else:
                shown = "CNAME" if rdtype not in found and "CNAME" in found else rdtype
                found = found.get(shown, [])
        return found, shown, seconds

    def _has_below(self, name):
        return any(other.endswith("." + name) for other in list(self.zones))

    def _answer(self, query, question, rdtype):
        answer = dns.message.make_response(query, recursion_available=True)
        owner, owners = question.name, set()
        while owner not in owners:
            owners.add(owner)
            found, shown, seconds = self._find(_key(owner), rdtype)
            time.sleep(seconds)
            if found == TIMEOUT:
                return None
            if found in (SERVFAIL, NXDOMAIN):
                answer.set_rcode(dns.rcode.from_text(found.rpartition(" ")[2]))
                return answer
            # one set for each record: a set has no order and drops what is repeated
            answer.answer += [dns.rrset.from_rdata(owner, self.ttl, _rdata(shown, record))
                              for record in found]
            if shown == rdtype:
                return answer
            owner = dns.name.from_text(found[0])
        answer.set_rcode(dns.rcode.SERVFAIL)
        return answer


class UdpServer(socketserver.ThreadingUDPServer):
    allow_reuse_address = False
    daemon_threads = True
    block_on_close = False
    max_packet_size = 65535


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _UdpQuery(socketserver.BaseRequestHandler):
    def handle(self):
        wire, sock = self.request
        answer = self.server.owner.respond(wire, limit=512)
        if answer is not None:
            sock.sendto(answer, self.client_address)


class _TcpQueries(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            length = self.rfile.read(2)
            if len(length) < 2:
                return
            wire = self.rfile.read(struct.unpack("!H", length)[0])
            answer = self.server.owner.respond(wire, limit=None)
            if answer is not None:
                self.wfile.write(struct.pack("!H", len(answer)) + answer)
