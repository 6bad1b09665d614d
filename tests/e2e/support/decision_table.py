"""Owns the reading of tests/decision.table (its head says what the lines mean), and what a case
needs around the filter: gatepost.conf, zones, policy.
"""

import ipaddress
import itertools
import os
from dataclasses import dataclass, field

from .nameserver import SERVFAIL
from .policy import key_of

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../decision.table")
_RECORDS = {
    "neutral": ["v=spf1 ?all"],
    "softfail": ["v=spf1 ~all"],
    "fail": ["v=spf1 -all"],
    "temperror": [],
    "permerror": ["v=spf1 no-such-mechanism -all"],
}
_NAMES = {"at": "door", "by": "decider", "from": "origin"}
_SPF_KEYS = ("helo", "widest_ipv4", "widest_ipv6")
_numbers = itertools.count(1)
# Postfix's client says XCLIENT from here, so a door with connect_from has to let it in
_XCLIENT_FROM = {"xclient": {"members": ["127.0.0.1"]}}


@dataclass
class Case:
    name: str
    conf: list = field(default_factory=list)         # (key, value)
    protocols: list = field(default_factory=list)    # (name, [service])
    policy: list = field(default_factory=list)       # (subject, field, value)
    wrong_types: list = field(default_factory=list)  # subjects
    store_down: bool = False
    door: str = "mx"
    client: str = "192.0.2.1"
    tls: bool = False
    app_password: bool = False                       # elsewhere than at the MTA
    login: str = ""
    sender: str = "bob@sender.example"               # without <>, "" for the null sender
    helo: str = "client.example"
    spf: str = "none"
    helo_spf: str = "none"
    providers: list = field(default_factory=list)    # (domain, result)
    widths: dict = field(default_factory=dict)       # of a pass, by domain or by spf, helo-spf: "8"
    verdict: str = ""
    reason: str = ""
    reply: str = ""                                  # "550 5.7.1", "" where none is told
    origin: str = "conf"
    decider: str = ""                                # the step, as `explain` calls it
    would: str = ""
    account: str = ""

    @property
    def stage(self):
        return "connect" if self.reason == "not-allowlisted" else "mail"

    @property
    def named_account(self):
        """The account: as the case says; by default the login or sender needs no rewriting."""
        return "" if self.account == "<>" else self.account or self.login or self.sender

    @property
    def canonical_client(self):
        address = ipaddress.ip_address(self.client)
        return str(getattr(address, "ipv4_mapped", None) or address)

    def zones(self):
        """What the name server has to hold so that SPF gives this case's results."""
        domain = self.sender.rpartition("@")[2].encode("idna").decode()
        helo = self.helo.lower()
        asked = [(domain, self.spf, self.widths.get("spf")),
                 (helo, self.helo_spf, self.widths.get("helo-spf")),
                 *((name, result, self.widths.get(name)) for name, result in self.providers)]
        if domain == helo and self.spf != self.helo_spf:
            raise ValueError(f"{self.name}: one domain cannot have two results")
        zones = {name: {"TXT": self._record(result, width)} for name, result, width in asked
                 if name and result != "none"}
        if "temperror" in [result for _, result, _ in asked]:
            # a name of this case's own: a failure is remembered for a moment
            silent = f"silent{next(_numbers)}.example"
            zones[silent] = SERVFAIL
            for name, result, _ in asked:
                if result == "temperror":
                    zones[name] = {"TXT": [f"v=spf1 include:{silent} -all"]}
        return zones

    def _record(self, result, width):
        if result != "pass":
            return _RECORDS[result]
        client = ipaddress.ip_address(self.canonical_client)
        if width == "0":
            return ["v=spf1 +all"]
        block = ipaddress.ip_network((client, int(width or client.max_prefixlen)), strict=False)
        return [f"v=spf1 ip{client.version}:{block} -all"]

    def store(self, redis):
        """Put the policy into an empty Redis."""
        for subject, name, value in self.policy:
            redis.cli("HSET", key_of(subject), name, value)
        for subject in self.wrong_types:
            redis.cli("SET", key_of(subject), "a string")

    def take(self, key, rest):
        """One line of the case."""
        word, _, more = rest.partition(" ")
        if key in ("conf", "protocol", "policy", "wrong-type", "expect"):
            getattr(self, "_take_" + key.replace("-", "_"))(word, more)
        elif key == "store" and rest == "down":
            self.store_down = True
        elif key == "tls" and rest == "yes":
            self.tls = True
        elif key == "app-password" and rest == "yes":
            self.app_password = True
        elif key == "sender":
            self.sender = "" if rest == "<>" else rest
        elif key in ("spf", "helo-spf"):
            setattr(self, key.replace("-", "_"), word)
            self.widths[key] = more.removeprefix("/") or None
        elif key == "provider":
            result, _, width = more.partition(" ")
            self.providers.append((word, result))
            self.widths[word] = width.removeprefix("/") or None
        elif key in ("login", "client", "helo", "would", "account"):
            setattr(self, key, rest)
        elif key in _NAMES:
            setattr(self, _NAMES[key], rest)
        else:
            raise ValueError(f"{self.name}: {key} {rest}")

    def _take_conf(self, key, value):
        self.conf.append((key, value))

    def _take_protocol(self, name, services):
        self.protocols.append((name, services.split()))

    def _take_policy(self, subject, rest):
        name, _, value = rest.partition(" ")
        self.policy.append((subject, name, value))

    def _take_wrong_type(self, subject, _):
        self.wrong_types.append(subject)

    def _take_expect(self, verdict, rest):
        self.verdict = verdict
        self.reason, _, self.reply = rest.partition(" ")


class DecisionTable:
    """networks: name -> [block]; doors: name -> {option: value}; order: [step]; cases: [Case]."""

    def __init__(self, path=PATH):
        self.networks, self.doors, self.order, self.cases = {}, {}, [], []
        with open(path, encoding="utf-8") as table:
            for line in table:
                key, _, rest = line.rstrip("\n").partition(" ")
                if not key or key.startswith("#"):
                    continue
                if key in ("network", "door"):
                    name, *words = rest.split()
                    if key == "network":
                        self.networks[name] = words
                    else:
                        self.doors[name] = dict(word.split("=", 1) for word in words)
                elif key == "order":
                    self.order = rest.split()
                elif key == "case":
                    self.cases.append(Case(rest))
                else:
                    self.cases[-1].take(key, rest)

    def is_mta(self, door):
        return "door" not in self.doors[door]

    def logins(self):
        """Every login that a case uses, as it is spelled there."""
        return sorted({case.login for case in self.cases if case.login})

    def is_wrapped(self, door):
        """Whether that door speaks TLS from the first octet."""
        return self.doors[door]["service"] == "submissions"

    def settings(self, nameserver, store, case=None):
        """gatepost.conf as for render(), for a case or as far as all have it in common."""
        case = case or Case("")
        settings = {
            "store": store,
            "trusted": ["relays"],
            "network": {name: {"members": blocks} for name, blocks in self.networks.items()}
            | _XCLIENT_FROM,
            "listener": {name: self._listener(name) for name in self.doors},
            "protocol": {name: {"services": services} for name, services in case.protocols},
            "spf": {"nameservers": [nameserver], "timeout": "5s"},
            "settings": {},
        }
        for key, value in case.conf:
            if key.startswith("spf:"):
                settings["spf"][key.removeprefix("spf:")] = value
            elif key == "source_services":
                settings[key] = value.split()
            elif key in _SPF_KEYS:
                settings["spf"][key] = int(value) if value.isdigit() else value
            else:
                settings[key] = value
        return settings

    def _listener(self, door):
        options = dict(self.doors[door])
        if not self.is_mta(door):
            return options
        if "connect_from" in options:
            options["connect_from"] = [options["connect_from"], *_XCLIENT_FROM]
        return {"daemon_name": door, **options}
