"""Hostile zones: whatever a domain publishes, its evaluation ends in time, with few queries, with
the right result, and the filter is well afterwards."""

import os

import pytest

import session
from ground import CLIENT, REVERSE
from hostile_nameserver import (SERVFAIL, address, answers, fails, late, mx, ptr, silent, txt)

OTHER = "203.0.113.99"
FAIL = txt("v=spf1 -all")
MATCH = f"ip4:{CLIENT}"


def resident(pid):
    """Octets of memory that a process has."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def include_tree(ground, wide, deep):
    """Records of `wide` includes each, `deep` of them above one another; the leaves fail."""
    def behaviour(name, rdtype):
        if rdtype != "TXT" or not name.endswith(ground.domain):
            return None
        if name.count(".") - ground.domain.count(".") >= deep:
            return answers(txt(f"v=spf1 ip4:{OTHER} -all"))
        return answers(txt("v=spf1 " + " ".join(f"include:n{i}.{name}" for i in range(wide))
                           + " -all"))
    ground.server.elsewhere = behaviour


# limits of look-ups (RFC 7208 4.6.4)


def test_include_tree(ground):
    include_tree(ground, wide=10, deep=5)
    assert ground.result() == "permerror"
    assert ground.count() <= 11


def test_include_tree_within_the_limit(ground):
    """The harness' own check: a small tree is walked whole."""
    include_tree(ground, wide=2, deep=2)
    assert ground.result() == "fail"
    assert ground.count() == 7


@pytest.mark.parametrize("record, other", [
    ("v=spf1 include:$d +all", ""),
    ("v=spf1 include:o.$d +all", "v=spf1 include:$d +all"),
    ("v=spf1 redirect=$d", ""),
    ("v=spf1 redirect=o.$d", "v=spf1 redirect=$d"),
    ("v=spf1 include:o.$d +all", "v=spf1 redirect=$d"),
    ("v=spf1 include:%{d} +all", ""),
    ("v=spf1 a:%{d} redirect=%{d2}", ""),
])
def test_loop(ground, record, other):
    ground.publish(record, o=other)
    ground.server.zones[ground.domain]["A"] = answers(address(OTHER))
    assert ground.result() == "permerror"
    assert ground.count() <= 11


def publish_ten(ground, record):
    ground.publish(record, i=f"v=spf1 ip4:{OTHER} -all")
    for label in ("h", "x"):
        ground.put(label, [address(OTHER)], "A")
    ground.put("h", [mx(1, f"h.{ground.domain}")], "MX")


@pytest.mark.parametrize("term", ["a:h.$d", "mx:h.$d", "include:i.$d", "a:%{l1r-}.$d"])
def test_ten_lookups_are_the_limit(ground, term):
    publish_ten(ground, f"v=spf1 {' '.join([term] * 10)} {MATCH} -all")
    assert ground.result() == "pass"
    publish_ten(ground, f"v=spf1 {' '.join([term] * 11)} {MATCH} -all")
    assert ground.result() == "permerror"


def test_redirect_is_a_lookup(ground):
    publish_ten(ground, f"v=spf1 {'a:h.$d ' * 9} redirect=r.$d")
    ground.put("r", f"v=spf1 {MATCH} -all")
    assert ground.result() == "pass"
    publish_ten(ground, f"v=spf1 {'a:h.$d ' * 10} redirect=r.$d")
    assert ground.result() == "permerror"


def test_lookups_of_includes_count_for_the_whole(ground):
    publish_ten(ground, f"v=spf1 include:j.$d include:k.$d {MATCH} -all")
    ground.put("j", "v=spf1" + " a:h.$d" * 4)
    ground.put("k", "v=spf1" + " a:h.$d" * 4)
    assert ground.result() == "pass"
    ground.put("k", "v=spf1" + " a:h.$d" * 5)
    assert ground.result() == "permerror"


def test_terms_without_lookups_are_free(ground):
    ground.publish(f"v=spf1 {f'ip4:{OTHER} ip6:2001:db8::1 ' * 20} {MATCH} -all")
    assert ground.result() == "pass"


@pytest.mark.parametrize("term", ["a:v{n}.$d", "mx:v{n}.$d", "exists:v{n}.$d", "a:w{n}.$d"])
def test_two_void_lookups_are_the_limit(ground, term):
    """v1 to v4 do not exist; w1 to w4 do, without an address."""
    for label in ("w1", "w2", "w3", "w4"):
        ground.put(label, "not an address")
    for voids, expected in ((2, "pass"), (3, "permerror")):
        terms = " ".join(term.replace("{n}", str(n + 1)) for n in range(voids))
        ground.publish(f"v=spf1 {terms} {MATCH} -all")
        assert ground.result() == expected
        assert ground.count() <= 4
        ground.server.start_over()
        for label in ("w1", "w2", "w3", "w4"):
            ground.put(label, "not an address")


def test_void_lookups_of_includes_count_for_the_whole(ground):
    ground.publish(f"v=spf1 include:i.$d a:v3.$d {MATCH} -all",
                   i="v=spf1 a:v1.$d a:v2.$d -all")
    assert ground.result() == "permerror"
    ground.publish(f"v=spf1 include:i.$d a:v3.$d {MATCH} -all", i="v=spf1 a:v1.$d -all")
    assert ground.result() == "pass"


@pytest.mark.parametrize("redirects, expected", [(2, "pass"), (3, "permerror")])
def test_void_lookups_of_redirects(ground, redirects, expected):
    """The client has no name: each redirect by %{p} looks for it in vain, in a new domain."""
    ground.publish("v=spf1 redirect=%{p}.r1.$d")
    for i in range(1, redirects):
        ground.put(f"unknown.r{i}", f"v=spf1 redirect=%{{p}}.r{i + 1}.$d")
    ground.put(f"unknown.r{redirects}", "v=spf1 +all")
    assert ground.result() == expected


# many records and many hosts


@pytest.mark.parametrize("hosts, matching, expected", [
    (10, 9, "pass"), (10, 10, "fail"), (11, 10, "permerror"), (1000, 999, "permerror")])
def test_mx_hosts(ground, hosts, matching, expected):
    """More than ten MX records are a permerror; the harness' `matching` of them is the client."""
    ground.publish("v=spf1 mx:m.$d -all")
    ground.put("m", [mx(i, f"h{i}.{ground.domain}") for i in range(hosts)], "MX")
    for i in range(hosts):
        ground.put(f"h{i}", [address(CLIENT if i == matching else OTHER)], "A")
    assert ground.result() == expected
    assert ground.count(rdtype="A") <= 10


def test_ten_mx_terms_of_ten_hosts(ground):
    """The most that the limits allow."""
    ground.publish("v=spf1" + "".join(f" mx:m{i}.$d" for i in range(10)) + " -all")
    for i in range(10):
        ground.put(f"m{i}", [mx(k, f"h{i}-{k}.{ground.domain}") for k in range(10)], "MX")
        for k in range(10):
            ground.put(f"h{i}-{k}", [address(OTHER)], "A")
    assert ground.result() == "fail"
    assert ground.count() <= 1 + 10 + 100


@pytest.mark.parametrize("matching, expected", [(9, "pass"), (10, "fail")])
def test_ptr_flood(ground, matching, expected):
    """Of a thousand names the first ten are looked at."""
    ground.publish("v=spf1 ptr -all")
    ground.server.zones[REVERSE] = {
        "PTR": answers(*[ptr(f"h{i}.{ground.domain}") for i in range(1000)])}
    for i in range(1000):
        ground.put(f"h{i}", [address(CLIENT if i == matching else OTHER)], "A")
    assert ground.result() == expected
    assert ground.count(rdtype="A") <= 10


def test_ptr_flood_by_macro(ground):
    ground.publish("v=spf1 exists:%{p}.x.$d -all")
    ground.server.zones[REVERSE] = {
        "PTR": answers(*[ptr(f"h{i}.{ground.domain}") for i in range(1000)])}
    for i in range(1000):
        ground.put(f"h{i}", [address(OTHER)], "A")
    assert ground.result() == "fail"
    assert ground.count(rdtype="A") <= 11


def test_thousands_of_addresses(ground):
    """RFC 7208 has no limit on the addresses of a host."""
    ground.publish("v=spf1 a:h.$d -all")
    ground.put("h", [address(f"203.0.{i // 250}.{i % 250}") for i in range(3000)]
               + [address(CLIENT)], "A")
    assert ground.result() == "pass"


@pytest.mark.parametrize("others_before, others_behind", [(3000, 0), (0, 3000), (1500, 1500)])
def test_thousands_of_txt_records(ground, others_before, others_behind):
    """Those that are no SPF records are none of our business (RFC 7208 4.5)."""
    ground.publish([txt("other")] * others_before + [txt("v=spf1 -all")]
                   + [txt("other")] * others_behind)
    assert ground.result() == "fail"


@pytest.mark.parametrize("between", [0, 10, 3000])
def test_second_spf_record_among_many(ground, between):
    ground.publish([txt("v=spf1 +all")] + [txt("other")] * between + [txt("v=spf1 -all")])
    assert ground.result() == "permerror"


def test_thousands_of_spf_records(ground):
    ground.publish([txt("v=spf1 +all")] * 2500)
    assert ground.result() == "permerror"


@pytest.mark.parametrize("strings", [
    [b"x"[:0]] * 20000 + [b"v=spf1 -all"],
    [b"v=spf1 "] + [b""] * 20000 + [b"-all"],
    [bytes([c]) for c in b"v=spf1 " + b"ip4:203.0.113.7 " * 1500 + b"-all"],
], ids=["empty ones before", "empty ones between", "one octet each"])
def test_thousands_of_strings(ground, strings):
    ground.publish([txt(*strings)])
    assert ground.result() == "fail"


# long records


@pytest.mark.parametrize("terms", [65, 500, 3800])
def test_long_record(ground, terms):
    """What stands at the end counts; 3,800 terms are nearly 64 KB."""
    long = " ".join(["ip4:203.0.113.77"] * terms)
    ground.publish(f"v=spf1 {long} -all")
    assert ground.result() == "fail"
    ground.publish(f"v=spf1 {long} {MATCH} -all")
    assert ground.result() == "pass"
    ground.publish(f"v=spf1 +all {long} rubbish")
    assert ground.result() == "permerror"


def test_long_neighbour(ground):
    ground.publish([txt("x" * 64000), txt("v=spf1 -all")])
    assert ground.result() == "fail"


def test_long_records_are_not_hoarded(ground, monkeypatch, start_filter):
    """Nobody fills the memory by names that have 60 KB each."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=1:quarantine_size_mb=1")
    instance = start_filter("hoarder", ground.server)
    ground.server.elsewhere = lambda name, rdtype: answers(txt("x" * 60000), FAIL)
    sizes = []
    for number in range(1200):
        evidence = session.evidence(instance, CLIENT, "mta.example",
                                    f"x@n{number}.{ground.domain}")
        assert evidence.result == "fail"
        if number % 600 == 599:
            sizes.append(resident(instance.pid))
    assert sizes[1] - sizes[0] < 600 * 60000 / 2


def test_long_includes(ground):
    ground.publish("v=spf1" + "".join(f" include:i{n}.$d" for n in range(10)) + " -all",
                   **{f"i{n}": "v=spf1" + " ip4:203.0.113.77" * 3000 for n in range(10)})
    assert ground.result() == "fail"


def test_thousands_of_modifiers(ground):
    ground.publish("v=spf1 " + " ".join(f"m{n}=%{{d}}" for n in range(5000)) + " -all")
    assert ground.result() == "fail"


def test_one_endless_word(ground):
    ground.publish("v=spf1 a:" + "a." * 30000 + "example -all")
    assert ground.result() in ("fail", "permerror")
    assert ground.count(rdtype="A") <= 1


# octets that no record has


@pytest.mark.parametrize("record, expected", [
    (b"v=spf1 +all\0", "permerror"),
    (b"v=spf1 +all\0 -all", "permerror"),
    (b"v=spf1 \0 +all", "permerror"),
    (b"v=spf1 ip4:192.0.2.10\0 -all", "permerror"),
    (b"v=spf1 ip4:192.0.2.10 exp=a.\0b.example -all", "permerror"),
    (b"v=spf1 a:h\0.example +all", "permerror"),
    (b"v=spf1 x=\x80 +all", "permerror"),
    (b"v=spf1 a:\xff.example +all", "permerror"),
    (b"v=spf1\t+all", "none"),
    (b"v=spf1 ip4:192.0.2.10\t-all", "permerror"),
    (b"v=spf1 ip4:192.0.2.10\x7f -all", "permerror"),
    (b"v=spf1\0 +all", "none"),
    (b"\0v=spf1 +all", "none"),
    (b"\xef\xbb\xbfv=spf1 +all", "none"),
    (b"v=spf1 ip4:192.0.2.10 -all\r\n", "permerror"),
    (b"", "none"),
    (b"v=spf", "none"),
], ids=repr)
def test_odd_octets(ground, record, expected):
    ground.publish(record)
    assert ground.result() == expected
    assert ground.count() == 1


def test_nul_in_a_host_name(ground):
    """The name must not end at the NUL."""
    ground.publish("v=spf1 mx:m.$d -all")
    labels = ground.domain.encode().split(b".")
    ground.put("m", [mx(1, [b"h"] + labels + [b"\0x", b"example"]),
                     mx(2, [b"h.%s\0" % ground.domain.encode(), b"example"]),
                     mx(3, [b"h." + ground.domain.encode()]),
                     mx(4, [b"h"] + [labels[0] + b"." + labels[1]])], "MX")
    ground.put("h", [address(CLIENT)], "A")
    assert ground.result() == "fail"
    assert ground.count("h") == 0


# macros


@pytest.mark.parametrize("local", [
    "bounce+bob=x.org", "SRS0=HHH=TT=x.org=bob", "prvs=1234=bob", "a b", "a{b}", "a(b)%c", 'a"b',
    "a_b!c#d$e&f'g*h/i?j^k`l|m~n", "=", "caf\u00e9", "a@b", "x" * 63], ids=repr)
def test_names_with_odd_labels(ground, local):
    """What VERP, SRS and BATV make of a local part, and anything else, is asked for as it is."""
    label = local.encode().lower().decode("latin-1")
    ground.publish("v=spf1 exists:%{l}._u.$d -all")
    assert ground.result(sender=f"{local}@{ground.domain}") == "fail"
    assert ground.count(f"{label}._u") >= 1
    ground.move()
    ground.publish("v=spf1 exists:%{l}._u.$d -all")
    ground.put(f"{label}._u", [address(OTHER)], "A")
    assert ground.result(sender=f"{local}@{ground.domain}") == "pass"


def test_name_of_the_receiver(ground):
    ground.publish("v=spf1 -all exp=e.$d", e="refused by %{r}")
    assert session.explanation(ground.reply()) == "refused by gatepost.test"


@pytest.mark.parametrize("macro", ["%{i}", "%{d}.", "%{s}", "%{h}.", "%{l999999999999r-.+}", "%%",
                                   "%_", "%-", "%{ir}.%{v}.%{S}", "%{p}.", "%{o128}"])
@pytest.mark.parametrize("term, expected", [
    ("exists:", "fail"), ("a:", "fail"), ("mx:", "fail"), ("ptr:", "fail"), ("exp=", "fail"),
    ("unknown=", "fail"), ("include:", "permerror"), ("redirect=", "permerror")])
def test_hundreds_of_macros_in_a_term(ground, macro, term, expected):
    """No name longer than the DNS has is asked for."""
    end = "" if term == "redirect=" else " -all"
    ground.publish(f"v=spf1 {term}{macro * 300}.end.$d{end}")
    assert ground.result(helo="h" * 60 + ".example") == expected
    assert ground.count() <= 5
    assert max(map(len, ground.server.names())) <= 253


@pytest.mark.parametrize("macro", ["%{l0}", "%{d0r}", "%{i0.}", "%{", "%{l", "%{l1", "%{l-", "%x",
                                   "%{ll}", "%{l1r2}", "%{l r}", "%{lx}", "%{}", "%s", "%n"])
@pytest.mark.parametrize("term", ["exists:", "redirect=", "exp=", "unknown="])
def test_hundreds_of_broken_macros(ground, macro, term):
    ground.publish(f"v=spf1 +all {term}{macro * 300}.$d")
    assert ground.result() == "permerror"
    assert ground.count() <= 2


def test_macros_of_growing_size(ground):
    """Every size around the 512 octets that libspf2 has for a term and for an explanation."""
    for size in [*range(1, 70), *range(100, 140)]:
        ground.publish(f"v=spf1 exists:{'%{i}' * size}{'x' * (size % 60)}.$d -all exp=e.$d",
                       e="%{i}" * size + "x" * (size % 60))
        shown = session.as_shown(CLIENT * size + "x" * (size % 60))
        assert session.explanation(ground.reply()) == shown


def test_record_of_many_macros_and_literals(ground):
    for literal in range(0, 520, 13):
        ground.publish("v=spf1 exists:" + "%{ir}" * 40 + "y" * literal + ".%{d} ~all exp=e.$d",
                       e="%{s}" * 60 + "z" * literal)
        assert ground.result() == "softfail"


# explanations


@pytest.mark.parametrize("text, begin", [
    ("%{i}" * 600, CLIENT * 9),
    ("%{s} " * 400, "l-l-l-"),
    ("%{h}%{S}%{L}%{O}%{D}%{I}%{P}%{H}%{C}%{R}%{T}%{V}" * 60, "hhhhhh"),
    ("%%" * 900, "%" * 100),
    ("%{p} " * 300 + "x" * 400, "unknown unknown"),
    ("%{l1r-}%_%-" * 300, "l %%20l %%20"),
    ("%{i}" * 127 + "x" * 900, CLIENT * 9),     # libspf2 alone would lose its stack
], ids=lambda value: value[:12])
def test_explanation_of_hundreds_of_macros(ground, text, begin):
    ground.publish("v=spf1 -all exp=e.$d", e=text)
    explanation = session.explanation(
        ground.reply(sender=f"{'l-' * 100}@{ground.domain}", helo="h" * 200 + ".example"))
    assert explanation.startswith(begin) and len(explanation) <= 2 * 120 + len("...")


@pytest.mark.parametrize("size", [60000, 1000, 253, 121, 120])
def test_long_explanation(ground, size):
    ground.publish("v=spf1 -all exp=e.$d", e="e" * size)
    assert session.explanation(ground.reply()) == session.as_shown("e" * size)


def test_explanation_of_many_strings(ground):
    ground.publish("v=spf1 -all exp=e.$d")
    ground.put("e", [txt(*([b"", b"a", b"", b"b"] * 3000))])
    assert session.explanation(ground.reply()) == session.as_shown("ab" * 3000)


def test_explanation_that_is_the_record_itself(ground):
    record = f"v=spf1 -all exp={ground.domain}"
    ground.publish(record)
    assert session.explanation(ground.reply()) == record
    assert ground.count() <= 2


@pytest.mark.parametrize("found", [
    silent, fails(SERVFAIL), answers(), late(0.3, answers(txt("one"), txt("two"))),
    b"nul\0octet", b"\x80", b"%{x}", b"%{\0}", b"%", b"tab\there"],
    ids=["silent", "SERVFAIL", "nothing", "two, late", "NUL", "8-bit", "letter", "NUL letter",
         "percent", "tab"])
def test_explanation_that_is_none(ground, found):
    """The fail stands without it."""
    ground.publish("v=spf1 -all exp=e.$d", e=found)
    reply = ground.reply()
    assert reply.startswith("550 5.7.23 ")
    assert session.explanation(reply) is None


def test_explanation_whose_name_does_not_come(ground):
    """%{p} needs look-ups of its own."""
    ground.publish("v=spf1 -all exp=e.$d", e="from %{p}")
    ground.server.zones[REVERSE] = {"PTR": silent}
    reply = ground.reply()
    assert reply.startswith("550 5.7.23 ")
    assert session.explanation(reply) in ("from unknown", None)


@pytest.mark.parametrize("result", ["pass", "softfail", "neutral", "permerror", "none"])
def test_explanation_is_fetched_for_a_fail_only(ground, result):
    qualifier = {"pass": "+", "softfail": "~", "neutral": "?"}.get(result, "-")
    ground.publish(f"v=spf1 {qualifier}all exp=e.$d" + " rubbish" * (result == "permerror"),
                   e="%{i}" * 300)
    if result == "none":
        ground.publish("v=spf10 -all exp=e.$d")
    assert ground.result() == result
    assert ground.count("e") == 0


@pytest.mark.parametrize("sender", [
    "x@" + "a" * 64 + ".example", "x@" + "a." * 130 + "example", "x@" + "a" * 60 + ".b" * 200,
    "x@.example", "x@a..example", "x@", "x@[192.0.2.10]", "x@" + "." * 300], ids=repr)
def test_sender_domain_that_is_none(ground, sender):
    assert ground.result(sender=sender) == "none"
    assert ground.count() == 0
