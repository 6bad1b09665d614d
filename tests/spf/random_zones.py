"""Owns the random zones and queries of the differential test, the same ones for the same seed.

What pyspf is known to evaluate otherwise than RFC 7208 says is never made:
- a modifier's name in upper case (12: names of modifiers are literals of RFC 5234, of any case);
- an unknown modifier twice (6: only redirect and exp may not be repeated), and `default`, `op`;
- delimiters in a macro other than l and s (7.3: parts are rejoined with "." whatever split them);
- the transformers "R" and "0", and braces that hold or lack what 7.1 does not allow;
- "%%" at the end of a domain (7.1: it is a macro-expand);
- an MX record whose host has no address, but as the only one (5.4: hosts are tried until one
  matches; pyspf looks them all up first, and counts the void look-ups);
- a PTR record whose host has no address (4.6.4: void look-ups are counted by term; pyspf counts
  those of the names too), or that cannot be had (5.5: the mechanism does not match);
- a record of a name that is no domain of several labels (4.3: none), or that has a "%" (4.8: the
  current domain is used as it is; pyspf expands it as a macro-string once more);
- %{p} with other than one PTR record for each client (7.3: pyspf expands what it never evaluates).
"""

from typing import NamedTuple

import dns.name
import dns.reversename

from support.nameserver import SERVFAIL

_LOCALS = ("user", "first.last", "a-b+c", "x_y=z", "Strong-Bad", "one,two/three", "a..b",
           "p1.q2.r3")
_DELIMITERS = ".-+,/_="
_UNKNOWN = ("moo", "x-y.z", "match_subdomains", "V", "tracking")
_WRONG = ("a:foo", "ip4:192.0.2", "ip4:192.0.2.1/33", "ip6:::/129", "ip4:192.0.2.1/024", "all:x",
          "ip6:192.0.2.1", "ip4:2001:db8::1", "include", "exists", "moo", "+-all", "a:%{x}.example",
          "a:%(d).example", "exists:%{c}.example", "exists:%{r}.example", "ptr/24", "a/", "mx//129",
          "mx/33", "a/24/20", "redirect=", "exp=", "moo=%", "moo=%{t}", "a:192.0.2.1", "=x", "ip4",
          "-", "include:x.example/24", "exists:", "ptr:", "a:x.example..", "a:x.1", "a:x.-y",
          "a:%{d}x", "ip4:192.0.2.1//24", "ip4:", "ip6:1::2::3", "a/024", "mx:x.example/24//",
          "-moo=x", "192.0.2.1", "all.", "a,", "include:%{d}.-")


class Query(NamedTuple):
    host: str
    helo: str
    sender: str    # "" for none


def key(name):
    """A name as NameServer's zones have it."""
    labels = [label.encode("latin-1") for label in name.rstrip(".").split(".")]
    return dns.name.Name(labels).to_text().lower()


class RandomZones:
    """`zones` of a few names below one domain, and `queries` about them."""

    def __init__(self, random, number, queries):
        self._random = random
        self._domain = f"z{number}.example"
        self._spf = [f"{label}.{self._domain}" for label in ("a", "b", "c.b", "d")]
        self._hosts = [f"h{i}.{self._domain}" for i in range(3)] + [f"host.{self._spf[0]}"]
        self._void, self._broken = f"void.{self._domain}", f"broken.{self._domain}"
        self._alias = f"alias.{self._domain}"
        self._targets = self._spf * 2 + self._hosts + [self._alias, self._void]
        self._p = random.random() < 0.3
        self._clients = [self._address(4), self._address(4), self._address(6), self._address(6)]
        self.zones = {self._broken: SERVFAIL,
                      self._alias: {"CNAME": [random.choice(self._spf + self._hosts) + "."]}}
        for host in self._hosts:
            self.zones[host] = {"A": self._addresses(4), "AAAA": self._addresses(6)}
        for name in self._spf:
            self.zones[name] = self._name()
        self._reverse()
        self.queries = [self._query() for _ in range(queries)]

    def _chance(self, probability):
        return self._random.random() < probability

    def _address(self, version):
        """Of few, so that some are the same, and others differ in a few bits."""
        low = self._random.choice((0, 1, 2, 3, 64, 129, 255))
        if version == 4:
            return f"{self._random.choice(('192.0.2', '192.0.3', '10.1.2'))}.{low}"
        return f"2001:db8:{self._random.choice(('', '1:', 'ff00:'))}:{low:x}"

    def _addresses(self, version):
        known = [client for client in self._clients if (":" in client) == (version == 6)]
        return [self._random.choice(known) if self._chance(0.2) else self._address(version)
                for _ in range(self._random.randint(1, 3))]

    def _mx(self):
        """Records of type MX."""
        if self._chance(0.1):
            return ["0 ."]
        if self._chance(0.2):
            only = self._random.choice((self._void, self._spf[1], self._alias, self._broken))
            return [f"10 {only}."]
        number = self._random.choice((10, 11)) if self._chance(0.05) \
            else self._random.randint(1, 3)
        return [f"{i} {self._random.choice(self._hosts)}." for i in range(number)]

    def _name(self):
        data = {"TXT": [self._record()]}
        if self._chance(0.1):
            data["TXT"].insert(self._random.randint(0, 1),
                               self._random.choice(("v=spf10 all", "other", "v=spf1",
                                                    "V=SPF1 -all")))
        if self._chance(0.5):
            data["A"] = self._addresses(4)
        if self._chance(0.5):
            data["AAAA"] = self._addresses(6)
        if self._chance(0.6):
            data["MX"] = self._mx()
        return data

    def _reverse(self):
        for client in self._clients:
            if self._p or self._chance(0.7):
                number = 1 if self._p else self._random.choice((1, 2, 3, 11))
                name = dns.reversename.from_address(client).to_text(omit_final_dot=True)
                self.zones[name] = {"PTR": [self._random.choice(self._hosts) + "."
                                            for _ in range(number)]}

    def _query(self):
        client = self._random.choice(self._clients)
        if ":" not in client and self._chance(0.1):
            client = "::ffff:" + client
        helo = self._random.choice(self._spf + self._hosts + ["[192.0.2.1]", "localhost"])
        domain = self._random.choice(self._spf if self._chance(0.95) else self._targets)
        sender = f"{self._random.choice(_LOCALS)}@{self._case(domain)}"
        return Query(client, helo, "" if self._chance(0.1) else sender)

    def _case(self, text):
        if self._chance(0.8):
            return text
        return "".join(self._random.choice((c.lower(), c.upper())) for c in text)

    def _macro(self):
        letter = self._random.choice("iiddllssoohv" + "pp" * self._p)
        digits = str(self._random.randint(1, 4)) if self._chance(0.4) else ""
        delimiters = "".join(self._random.sample(_DELIMITERS, self._random.randint(1, 3))) \
            if letter in "ls" and self._chance(0.5) else ""
        return "%{" + (letter.upper() if self._chance(0.15) else letter) + digits \
            + ("r" if self._chance(0.35) else "") + delimiters + "}"

    def _part(self):
        kind = self._random.random()
        if kind < 0.7:
            return self._macro()
        if kind < 0.8:
            return "x" + self._random.choice(("%%", "%_", "%-")) + "y"
        if kind < 0.9:
            return self._random.choice(("x-", "_", "a/24", "k=")) + self._macro()
        return self._random.choice(("_spf", "h0", "b", "x"))

    def _target(self):
        """A domain-spec."""
        kind = self._random.random()
        if kind < 0.02:
            return self._broken
        if kind < 0.6:
            return self._case(self._random.choice(self._targets)) + "." * self._chance(0.05)
        if kind < 0.75:
            return self._random.choice(("%{d}", "%{o}", "%{h}", "h0.%{d2}", "b.%{o2}", "%{d3}",
                                        "a.%{d2}", "%{D}", self._macro()))
        parts = [self._part() for _ in range(self._random.randint(1, 2))]
        return ".".join(parts + [self._random.choice((self._domain, "%{d}", "%{o}", "%{d2}"))])

    def _cidr(self, version):
        most = 32 if version == 4 else 128
        length = self._random.choice((0, 1, 8, most // 2, most * 3 // 4, most - 8, most - 6,
                                      most - 1, most, self._random.randint(0, most)))
        return f"/{length}" if self._chance(0.5) else ""

    def _mechanism(self):
        name = self._random.choice(("include", "include", "a", "a", "mx", "mx", "ptr", "exists",
                                    "exists", "ip4", "ip6") + ("all",) * self._chance(0.3))
        argument = ""
        if name in ("include", "exists") or (name in ("a", "mx", "ptr") and self._chance(0.6)):
            argument = ":" + self._target()
        if name in ("a", "mx"):
            argument += self._cidr(4)
            dual = self._cidr(6)
            argument += "/" + dual if dual else ""
        if name in ("ip4", "ip6"):
            version = int(name[2])
            argument = f":{self._addresses(version)[0]}{self._cidr(version)}"
        qualifier = self._random.choice(("", "+", "-", "~", "?", "?"))
        return qualifier + self._case(name) + argument

    def _modifiers(self):
        found = []
        if self._chance(0.35):
            found.append("redirect=" + self._target())
        if self._chance(0.15):
            found.append("exp=" + self._target())
        for name in self._random.sample(_UNKNOWN, self._random.choice((0, 0, 0, 1, 2))):
            found.append(f"{name}=" + self._random.choice(("", "x/24", "a:b=c", self._target())))
        if self._chance(0.01) and found:
            found.append(found[0])
            return [text for text in found if text.startswith(("redirect=", "exp="))]
        return found

    def _record(self):
        number = self._random.choice((0, 1, 2, 3, 3, 4, 5, 6, 12))
        terms = [self._mechanism() for _ in range(number)]
        if self._chance(0.3):
            terms.append(self._random.choice("+-~?") + "all")
        extra = self._modifiers() + [self._random.choice(_WRONG)] * self._chance(0.03)
        for term in extra:
            terms.insert(self._random.randint(0, len(terms)), term)
        text = self._case("v=spf1")
        for term in terms:
            text += " " * self._random.choice((1, 1, 1, 1, 2)) + term
        return text + " " * self._chance(0.05)

    def grow(self, asked):
        """Publishes some of the (name, type) that an evaluation asked for and did not find."""
        for name, rdtype in asked:
            if name == self._void or rdtype not in ("A", "AAAA", "MX", "TXT") or self._chance(0.4):
                continue
            if self.zones.get(key(name)) == SERVFAIL or "CNAME" in self.zones.get(key(name), {}):
                continue
            if rdtype == "TXT" and (name[0] == "[" or "%" in name or "." not in name):
                continue
            self.zones.setdefault(key(name), {})[rdtype] = {
                "A": lambda: self._addresses(4), "AAAA": lambda: self._addresses(6),
                "MX": self._mx, "TXT": lambda: [self._record()]}[rdtype]()
