"""Owns spellings of a sender without end: what follows "MAIL FROM:", the same for the same seed.

An address is made of known and unknown parts, is put into other addresses by the old ways of
routing, dressed as headers dress addresses, and damaged here and there.
"""

import random
import re

D = "spellings.example"
OWN = f"corp.{D}"                   # the MTA's own domain; all of its accounts are known
CEO = f"ceo@x.{D}"                  # the one account that is known at a domain that is not
IDN, IDN_ASCII = f"bücher.{D}", f"xn--bcher-kva.{D}"       # known, and not the MTA's own

_LOCALS = ["alice", "ceo", "alice+x", "ALICE", "a.b", '"alice"', '"a b"', "al\\ice", "jörg", ""]
_DOMAINS = [OWN, f"x.{D}", f"y.{D}", IDN, IDN_ASCII, OWN.upper(), OWN + ".", f"x.{D}.",
            f'"{OWN}"', f"[{OWN}]", "localhost", "localhost.localdomain", "LOCALHOST.",
            "[127.0.0.1]", "[192.0.2.1]", "[IPv6:::1]", "[IPv6:2001:db8::1]", "mx", ""]
_MARKS = list("@%!:;,.<>()\"\\[] \t+=#/") + [
    "(x)", "(@y)", f"({OWN})", '""', "\\\\", "\x01", "\x7f", "\x80", "\xe4", "\xff",
    "ä", "+40", "=40", "@@", "..", "::", "<>", "()"]


class _Maker:
    def __init__(self, seed):
        self._random = random.Random(seed)
        self._changes = [
            (6, self._percent), (6, self._bang), (5, self._second_at), (5, self._route),
            (3, self._brackets), (2, self._name), (2, self._quoted), (2, self._all_quoted),
            (1, self._group), (1, self._upper), (1, self._mixed), (6, self._mark), (2, self._loss)]

    def _pick(self, values):
        return self._random.choice(values)

    def _domain(self):
        # half of them the MTA's own, where an address is looked at again
        return OWN if self._random.random() < 0.3 else self._pick(_DOMAINS)

    def _mailbox(self):
        if self._random.random() < 0.15:
            return CEO
        return self._pick(_LOCALS) + self._pick(["@", "@", "@", ""]) + self._domain()

    def _percent(self, text):
        more = self._random.random() < 0.2
        inner = text + "%" + self._domain() if more else text.replace("@", "%")
        return inner + self._pick(["", "@" + self._domain()])

    def _bang(self, text):
        local, at, domain = text.rpartition("@")
        if at and self._random.random() < 0.5:
            return domain + "!" + local
        return self._domain() + "!" + text

    def _second_at(self, text):
        return text + "@" + self._domain()

    def _route(self, text):
        hops = ",".join("@" + self._domain() for _ in range(self._pick([1, 1, 1, 2])))
        return hops + ":" + text

    def _brackets(self, text):
        return "<" + text + self._pick([">", ">", ""])

    def _name(self, text):
        return self._pick(["B ", '"B" ', "B", '"@" ', f"{OWN}!b "]) + "<" + text + ">"

    def _quoted(self, text):
        local, at, domain = text.rpartition("@")
        return f'"{local}"{at}{domain}'

    def _all_quoted(self, text):
        return f'"{text}"' + self._pick(["", "@" + self._domain()])

    def _group(self, text):
        return self._pick(["x:", ":", "x::"]) + text + self._pick([";", "", ","])

    def _upper(self, text):
        return text.upper()

    def _mixed(self, text):
        return "".join(self._pick([c.upper(), c.lower()]) for c in text)

    def _mark(self, text):
        at = self._random.randint(0, len(text))
        return text[:at] + self._pick(_MARKS) + text[at:]

    def _loss(self, text):
        at = self._random.randint(0, len(text))
        return text[:at] + text[at + 1:]

    def spelling(self):
        text = self._mailbox()
        weights, changes = zip(*self._changes)
        for change in self._random.choices(changes, weights, k=self._pick([0, 1, 1, 2, 2, 3, 4])):
            text = change(text)
        if self._random.random() < 0.9:
            text = f"<{text}>"
        # these are single octets, other letters are UTF-8
        return b"".join(c.encode("latin-1") if c in "\x80\xe4\xff" else c.encode() for c in text)


def spellings(count, seed=1):
    """`count` of them in bytes, none twice."""
    maker, found = _Maker(seed), {}
    while len(found) < count:
        found[maker.spelling()] = None
    return list(found)


def account_of(sender):
    """The account that is delivered from: LOCAL@DOMAIN as the policy's keys have it."""
    if sender.startswith("@") and ":" in sender:
        sender = sender.partition(":")[2]
    local, _, domain = sender.rpartition("@")
    local = re.sub(r'\\(.)|"', r"\1", local)
    domain = domain.lower().rstrip(".")
    if domain == IDN:
        domain = IDN_ASCII
    local = local.lower()
    return local[:1] + local[1:].partition("+")[0] + "@" + domain


def is_harmless(spelling):
    """Whether nothing in it is known, nor a name of the MTA's, old ways of routing or not."""
    harmless = rb"<[a-z][\w.+=]*([%!][a-z][\w.]*)*@[xy]\.spellings\.example\.?>"
    return re.fullmatch(harmless, spelling, re.I) is not None and not re.search(
        rb"corp|ceo|cher|kva|localhost", spelling, re.I)


def is_known(account):
    return account == CEO or account.endswith(("@" + OWN, "@" + IDN_ASCII))
