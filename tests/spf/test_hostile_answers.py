"""Hostile name servers: slow, dead, lying and broken answers. Each evaluation ends in time, is
never taken in, and the filter is well afterwards."""

import itertools
import random
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.process import wait_until

from ground import CLIENT, Ground
from hostile_nameserver import (
    CHAOS, FORMERR, NOTAUTH, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL, YXDOMAIN, HostileNameServer,
    Record, address, answers, cname, drips, fails, first, flood, hang_up, late, message, mx, ptr,
    raw, record_octets, sends, silent, soa, truncated, txt, wire_name)

OTHER = "203.0.113.99"
PASS, FAIL = txt("v=spf1 +all"), txt("v=spf1 -all")
QUERIES = 6         # for one name: a few attempts, over UDP and over TCP
EVIL = "evil.example"
_clients = itertools.count(100)


def foreign(record, name=EVIL):
    """The record as another name's."""
    return record._replace(owner=wire_name(name))


# no answer, errors, slowness


@pytest.mark.parametrize("behaviour, expected", [
    (silent, "temperror"), (fails(SERVFAIL), "temperror"), (fails(REFUSED), "temperror"),
    (fails(FORMERR), "temperror"), (fails(NOTIMP), "temperror"), (fails(YXDOMAIN), "temperror"),
    (fails(NOTAUTH), "temperror"), (fails(15), "temperror"), (fails(NXDOMAIN), "none"),
    (answers(), "none"),
    (answers(PASS, rcode=SERVFAIL), "temperror"), (answers(PASS, rcode=15), "temperror"),
    (answers(PASS, rcode=NXDOMAIN), "none"),
], ids=["silent", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "YXDOMAIN", "NOTAUTH", "15",
        "NXDOMAIN", "nothing", "SERVFAIL with a record", "15 with a record",
        "NXDOMAIN with a record"])
@pytest.mark.parametrize("at", ["the record", "an include's record"])
def test_failure(ground, behaviour, expected, at):
    """RFC 7208 4.4, 5.2: an error is temperror; an include without a record is permerror."""
    if at == "the record":
        ground.publish(behaviour)
    else:
        ground.publish("v=spf1 include:i.$d +all", i=behaviour)
        expected = {"none": "permerror"}.get(expected, expected)
    assert ground.result() == expected
    assert ground.count() <= QUERIES + 1


@pytest.mark.parametrize("behaviour", [silent, fails(SERVFAIL), fails(REFUSED), fails(15)],
                         ids=["silent", "SERVFAIL", "REFUSED", "15"])
@pytest.mark.parametrize("term, rdtype", [
    ("a:h.$d", "A"), ("mx:h.$d", "MX"), ("exists:h.$d", "A"), ("mx:m.$d", "A")])
def test_failure_at_a_term(ground, behaviour, term, rdtype):
    """RFC 7208 5: temperror, whatever stands behind the term."""
    ground.publish(f"v=spf1 {term} +all")
    ground.put("h", behaviour, rdtype)
    ground.put("m", [mx(1, f"h.{ground.domain}")], "MX")
    assert ground.result() == "temperror"
    assert ground.count() <= QUERIES + 2


@pytest.mark.parametrize("behaviour", [silent, fails(SERVFAIL), fails(15)],
                         ids=["silent", "SERVFAIL", "15"])
@pytest.mark.parametrize("failing", ["PTR", "A"])
def test_failure_at_ptr(ground, behaviour, failing):
    """RFC 7208 5.5: a name that fails is skipped, also when its name server is silent; without
    the list of names there is no time left."""
    last = next(_clients)   # what failed is kept for seconds
    ground.publish("v=spf1 ptr +all")
    ground.server.zones[f"{last}.2.0.192.in-addr.arpa"] = {
        "PTR": behaviour if failing == "PTR" else answers(ptr(f"h.{ground.domain}"))}
    ground.put("h", behaviour, "A")
    assert ground.result(client=f"192.0.2.{last}") == (
        "temperror" if behaviour is silent and failing == "PTR" else "pass")


@pytest.mark.parametrize("dead, names", [(1, 2), (2, 3), (9, 10)])
@pytest.mark.parametrize("term", ["ptr", "exists:%{p}.p.$d"])
def test_dead_names_are_skipped(ground, term, dead, names):
    """RFC 7208 5.5: those that are left have time enough."""
    last = next(_clients)
    ground.publish(f"v=spf1 {term} -all")
    ground.server.zones[f"{last}.2.0.192.in-addr.arpa"] = {
        "PTR": answers(*[ptr(f"h{n}.{ground.domain}") for n in range(names)])}
    for n in range(names):
        ground.put(f"h{n}", silent if n < dead else [address(f"192.0.2.{last}")], "A")
    for n in range(names):
        ground.put(f"h{n}.{ground.domain}.p", [address(OTHER)], "A")
    assert ground.result(client=f"192.0.2.{last}") == "pass"


def test_slow_answers_add_up(ground):
    """Each comes in time, all of them do not."""
    ground.publish("v=spf1" + "".join(f" include:i{n}.$d" for n in range(9)) + " +all",
                   **{f"i{n}": late(0.3, answers(FAIL)) for n in range(9)})
    assert ground.result() == "temperror"
    assert ground.count() <= 1 + 4 * 2


def test_name_server_without_edns(ground):
    """As old ones answer a query with an OPT record; the next one is without."""
    def behave(query, send):
        send(message(query, rcode=FORMERR) if query.edns else message(query, [FAIL]))
    ground.publish(behave)
    assert ground.result() == "fail"


def test_slow_answer_in_time(ground):
    ground.publish(late(0.4, answers(FAIL)))
    assert ground.result() == "fail"


@pytest.mark.parametrize("behaviour, expected", [
    (silent, "temperror"), (late(0.3, answers(FAIL)), "fail")], ids=["silent", "late"])
def test_many_ask_the_same(ground, behaviour, expected):
    """Nobody waits in a queue, and the name server is not asked by each."""
    ground.publish(behaviour)
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: ground.result(), range(16)))
    assert results == [expected] * 16
    assert ground.count() <= QUERIES


def test_who_is_late_spoils_nothing_for_others(ground):
    """He asks for what others ask for too, when his own time is nearly over."""
    for _ in range(10):
        ground.publish("v=spf1 a:slow.$d include:popular.$d -all", popular=late(0.4, answers(PASS)))
        ground.put("slow", late(ground.timeout - 0.3, answers(address(OTHER))), "A")
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(ground.result)
            wait_until(lambda: slow.done() or ground.count("popular"))
            asked = not slow.done()
            if asked:
                assert ground.result(sender=f"x@popular.{ground.domain}") == "pass"
            assert slow.result() == "temperror" or not asked
        if asked:
            return
        ground.move()
    raise AssertionError("never in time to ask")


@pytest.mark.parametrize("behaviour", [silent, fails(SERVFAIL)], ids=["silent", "SERVFAIL"])
def test_failure_is_remembered(ground, behaviour):
    """So that a dead domain does not take the time of evaluations again and again."""
    ground.publish(behaviour)
    assert ground.result() == "temperror"
    asked = ground.count()
    time.sleep(1.5)
    begin = time.monotonic()
    assert ground.result() == "temperror"
    assert time.monotonic() - begin < ground.timeout / 2
    assert ground.count() == asked


def test_silence_keeps_nobody_else_waiting(ground):
    """Other domains are evaluated while one is waited for."""
    ground.publish(silent)
    ground.put("good", answers(PASS))
    with ThreadPoolExecutor(8) as pool:
        stuck = [pool.submit(ground.result) for _ in range(7)]
        wait_until(ground.count)
        begin = time.monotonic()
        assert ground.result(sender=f"x@good.{ground.domain}") == "pass"
        assert time.monotonic() - begin < ground.timeout / 2
        assert {future.result() for future in stuck} == {"temperror"}


# how long answers are kept


@pytest.mark.parametrize("ttl, kept", [(60, True), (0, False), (0x80000000, False),
                                       (0xffffffff, False)])
def test_ttl(ground, ttl, kept):
    """RFC 2181 8: with the highest bit set it is 0."""
    ground.publish(answers(PASS._replace(ttl=ttl)))
    assert ground.result() == "pass"
    ground.publish(answers(FAIL._replace(ttl=ttl)))
    assert ground.result() == ("pass" if kept else "fail")


@pytest.mark.parametrize("ttl, kept", [(60, True), (0, False)])
def test_ttl_of_an_absence_behind_an_alias(ground, ttl, kept):
    def absent(query, send):
        alias = cname("elsewhere.example")._replace(ttl=ttl)
        send(message(query, body=record_octets(alias) + record_octets(
            soa("example", 3600)._replace(ttl=3600)), counts=[1, 1, 0]))
    ground.publish(absent)
    assert ground.result() == "none"
    ground.publish("v=spf1 -all")
    assert ground.result() == ("none" if kept else "fail")


# TCP


@pytest.mark.parametrize("over_tcp", [
    silent, hang_up, late(0.3, hang_up), drips(0.1, FAIL),
    raw(lambda query: b"\xff\xff" + message(query, [PASS])),
    raw(lambda query: b"\xff"),
    raw(lambda query: b"\0\0" * 2000),
    raw(lambda query: random.Random(7).randbytes(60000)),
    sends(lambda query: message(query, [PASS], query_id=query.id ^ 1)),
    sends(lambda query: message(query, [PASS])[:-20]),
    fails(SERVFAIL),
], ids=["silent", "hangs up", "hangs up late", "drips", "promises too much", "half a length",
        "empty messages", "noise", "wrong id", "cut", "SERVFAIL"])
def test_truncated_and_tcp_is_bad(ground, over_tcp):
    ground.publish(truncated(over_tcp))
    assert ground.result() == "temperror"
    assert ground.count() <= 2 * QUERIES


def test_late_answer_over_tcp(ground):
    ground.publish(truncated(late(0.6, answers(FAIL))))
    assert ground.result() == "fail"


def test_dripping_answer_in_time(ground):
    ground.publish(truncated(drips(0.005, FAIL)))
    assert ground.result() == "fail"


def test_dripping_connection_does_not_spoil_the_next(ground):
    for _ in range(2):
        ground.publish(truncated(drips(0.1, FAIL)))
        assert ground.result() == "temperror"
        ground.move()
        ground.publish("v=spf1 include:i.$d -all",
                       i=[txt("x" * 20000), txt(f"v=spf1 ip4:{CLIENT}")])
        assert ground.result() == "pass"


def test_tcp_is_refused(start_filter, ground):
    """Nobody listens on TCP."""
    server = HostileNameServer(tcp=False)
    instance = start_filter("hostile-udp", server)
    try:
        other = Ground(server, instance, instance, ground.timeout)
        other.publish(truncated(silent))
        assert other.result() == "temperror"
        other.check_well()
    finally:
        server.stop()


# lies: the truth, that all fail, comes later


LIES = {
    "wrong id": lambda query: message(query, [PASS], query_id=query.id ^ 0x5555),
    "all ids but one": lambda query: [message(query, [PASS], query_id=query.id ^ n)
                                      for n in range(1, 500)],
    "wrong name": lambda query: message(
        query, [PASS], question=wire_name(EVIL) + query.question[-4:]),
    "wrong type": lambda query: message(
        query, [PASS], question=query.question[:-4] + struct.pack("!HH", 1, 1)),
    "wrong class": lambda query: message(
        query, [PASS], question=query.question[:-4] + struct.pack("!HH", 16, CHAOS)),
    "no question": lambda query: message(query, [PASS])[:4] + bytes(8),
    "header only": lambda query: message(query)[:12],
    "half a header": lambda query: message(query)[:7],
    "nothing": lambda query: b"",
    "cut": lambda query: message(query, [PASS])[:-20],
    "record cut": lambda query: message(query, [PASS])[:-3],
    "noise": lambda query: [random.Random(n).randbytes(n * 7) for n in range(1, 100)],
    "noise of the right id": lambda query: [
        struct.pack("!H", query.id) + random.Random(n).randbytes(n) for n in range(1, 100)],
}


@pytest.mark.parametrize("lie", LIES)
def test_lie_before_the_truth(ground, lie):
    """What does not answer the question is not an answer."""
    ground.publish(first(sends(LIES[lie]), answers(FAIL)))
    assert ground.result() == "fail"
    assert ground.count() <= QUERIES


@pytest.mark.parametrize("lie", LIES)
def test_lie_before_the_truth_over_tcp(ground, lie):
    """Nobody else can speak there: it is not waited for more."""
    ground.publish(truncated(first(sends(LIES[lie]), answers(FAIL))))
    assert ground.result() == "temperror"


def test_name_in_another_letter_case(ground):
    ground.publish(sends(lambda query: message(query, [FAIL], question=query.question.upper())))
    assert ground.result() == "fail"


@pytest.mark.parametrize("lie", ["wrong id", "wrong name", "wrong type", "nothing", "noise",
                                 "cut", "record cut"])
def test_nothing_but_lies(ground, lie):
    ground.publish(sends(LIES[lie]))
    assert ground.result() == "temperror"
    assert ground.count() <= QUERIES


def test_flood_of_lies(ground):
    ground.publish(flood(LIES["wrong id"], seconds=2))
    assert ground.result() == "temperror"


def test_answer_from_another_port(ground):
    def behave(query, send):
        send.from_elsewhere(message(query, [PASS]))
    ground.publish(first(behave, answers(FAIL)))
    assert ground.result() == "fail"


def test_query_sent_back(ground):
    """A message that is no response proves nothing."""
    ground.publish(first(sends(lambda query: message(query, [PASS], flags=0x8000)),
                         answers(FAIL)))
    assert ground.result() == "fail"


# answers with what was not asked for


@pytest.mark.parametrize("records, expected", [
    ([foreign(PASS)], "none"),
    ([foreign(PASS), FAIL], "fail"),
    ([FAIL, foreign(PASS)], "fail"),
    ([foreign(PASS)] * 300 + [FAIL], "fail"),
    ([PASS._replace(rdclass=CHAOS)], "none"),
    ([address(OTHER), FAIL], "fail"),
    ([cname(EVIL, owner="unasked.example"), foreign(PASS)], "none"),
    ([cname(EVIL), foreign(PASS, "unasked.example")], "none"),
], ids=["other name", "other name before", "other name behind", "many other names", "other class",
        "other type", "CNAME of another name", "record beside the CNAME"])
def test_records_that_were_not_asked_for(ground, records, expected):
    ground.publish(records)
    assert ground.result() == expected


@pytest.mark.parametrize("section", [1, 2])
def test_records_in_other_sections(ground, section):
    ground.publish(answers(PASS, section=section))
    assert ground.result() == "none"


@pytest.mark.parametrize("term, rdtype, record", [
    ("a:h.$d", "A", address(CLIENT)), ("exists:h.$d", "A", address(CLIENT)),
    ("mx:h.$d", "MX", mx(1, "good.example")), ("include:h.$d", "TXT", PASS)])
def test_hosts_that_were_not_asked_for(ground, term, rdtype, record):
    ground.publish(f"v=spf1 {term} -all")
    ground.server.zones["good.example"] = {"A": answers(address(CLIENT))}
    ground.put("h", [foreign(record)], rdtype)
    assert ground.result() == ("permerror" if rdtype == "TXT" else "fail")


# CNAMEs


def chain(links, end, last=EVIL):
    """A chain of CNAMEs in one answer, from the name asked for to `last`, and what it has."""
    names = [None] + [f"c{n}.example" for n in range(1, links)] + [last]
    return [cname(names[n + 1], owner=names[n]) for n in range(links)] + [
        record._replace(owner=wire_name(last)) for record in end]


@pytest.mark.parametrize("links", [1, 2, 8])
def test_cname_chain(ground, links):
    ground.publish(chain(links, [FAIL]))
    assert ground.result() == "fail"
    ground.publish("v=spf1 a:h.$d -all")
    ground.put("h", chain(links, [address(CLIENT)]), "A")
    assert ground.result() == "pass"


@pytest.mark.parametrize("links", [17, 100, 1000])
def test_long_cname_chain(ground, links):
    """To its end, or an error (RFC 1034 3.6.2); but never nothing."""
    ground.publish(chain(links, [FAIL]))
    assert ground.result() in ("fail", "temperror")
    assert ground.count() <= QUERIES


@pytest.mark.parametrize("loop", [
    lambda domain: [cname(domain)],
    lambda domain: [cname(EVIL), cname(domain, owner=EVIL)],
    lambda domain: [cname(EVIL), cname("b.example", owner=EVIL), cname(EVIL, owner="b.example")],
], ids=["itself", "there and back", "a loop behind"])
def test_cname_loop(ground, loop):
    """RFC 1034 3.6.2: loops are errors."""
    ground.publish(loop(ground.domain))
    assert ground.result() == "temperror"
    assert ground.count() <= QUERIES


def test_cname_without_an_end(ground):
    ground.publish([cname(EVIL)])
    assert ground.result() == "none"


# octets that are no message


def with_body(body, count=1):
    return sends(lambda query: message(query, body=body, counts=[count, 0, 0]))


def rr(rdata, length=None, rdtype=16, owner=b"\xc0\x0c"):
    return owner + struct.pack("!HHIH", rdtype, 1, 0,
                               len(rdata) if length is None else length) + rdata


GOOD = record_octets(PASS)


@pytest.mark.parametrize("behaviour", [
    with_body(b""),
    with_body(GOOD, count=65535),
    with_body(GOOD[:-3]),
    with_body(rr(PASS.rdata, length=60000)),
    with_body(rr(PASS.rdata, owner=b"\xc0\xff")),
    with_body(rr(PASS.rdata, owner=b"\xff\xff")),
    with_body(rr(PASS.rdata, owner=b"\xc0\x1e" * 2)),
    with_body(rr(PASS.rdata, owner=b"\x40a\0")),
    with_body(rr(PASS.rdata, owner=b"\x3fa\0")),
    with_body(rr(PASS.rdata, owner=b"\x01a" * 200 + b"\0")),
    with_body(GOOD[:6]),
    with_body(GOOD + rr(b"", length=9), count=2),
    with_body(rr(b"\xc0\x0c"[:1], rdtype=5)),
    with_body(rr(b"\xc0\xff", rdtype=5) + GOOD, count=2),
], ids=["no record", "too many", "cut", "long rdata", "pointer out", "pointer far out",
        "pointer loop", "label type", "label out", "long name", "half a record",
        "second record cut", "CNAME cut", "CNAME out"])
def test_answer_that_cannot_be_read(ground, behaviour):
    ground.publish(behaviour)
    assert ground.result() == "temperror"
    assert ground.count() <= QUERIES


@pytest.mark.parametrize("rdata", [b"\xff" + PASS.rdata[1:], b"\x0bv=spf1 +all\xffx"],
                         ids=["one string too long", "a second one too long"])
def test_string_longer_than_its_record(ground, rdata):
    ground.publish(with_body(rr(rdata)))
    assert ground.result() in ("temperror", "none", "permerror")


@pytest.mark.parametrize("term, rdtype, rdata", [
    ("a:h.$d", "A", b""), ("a:h.$d", "A", b"\xc0\x00\x02"), ("a:h.$d", "A", bytes(5)),
    ("mx:h.$d", "MX", b""), ("mx:h.$d", "MX", b"\0\1"), ("mx:h.$d", "MX", b"\0\1\xc0"),
    ("mx:h.$d", "MX", b"\0\1\xc0\xff"), ("mx:h.$d", "MX", b"\0\1\x3fabc"),
    ("mx:h.$d", "MX", b"\0\1" + b"\x3f" + b"a" * 63), ("exists:h.$d", "A", b"")])
def test_rdata_of_the_wrong_length(ground, term, rdtype, rdata):
    """It matches nothing."""
    ground.publish(f"v=spf1 {term} -all")
    ground.put("h", [Record(rdtype, rdata)], rdtype)
    assert ground.result() in ("fail", "temperror")


@pytest.mark.parametrize("seed", range(40))
def test_answer_with_flipped_octets(ground, seed):
    """Whatever comes out, it comes out in time, and the filter lives."""
    chance = random.Random(seed)

    def spoil(query):
        octets = bytearray(message(query, [cname(EVIL), foreign(PASS), FAIL, mx(1, EVIL)]))
        for _ in range(chance.randint(1, 12)):
            octets[chance.randrange(12, len(octets))] = chance.randrange(256)
        return bytes(octets)

    ground.publish(first(sends(spoil), answers(FAIL), pause=0.01))
    assert ground.result() in ("fail", "pass", "none", "permerror", "temperror")
    assert ground.count() <= 3 * QUERIES
