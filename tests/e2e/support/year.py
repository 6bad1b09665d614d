"""Owns the model of a small host: who comes in, by what, from where and on which day, for a year
and the 90 days after it. All of it follows from one seed.

Day 0 is the first after the year: the year has the days -365 to -1, what comes after it 0 to 89.
What the host's people do, their habits, does not change on day 0.
"""

import ipaddress
import random
from typing import NamedTuple

YEAR, AFTER = 365, 90
SERVICES = ("imap", "pop3", "submission", "submissions", "caldav", "webmail")
SENDING = ("submission", "submissions")
# of the six the doors that tell of logins only since that day
SINCE = {"caldav": -40}

CLOSED, LISTED, LOOSE = "closed.example", "listed.example", "loose.example"
MAIN, PASSED = "example.com", "passed.example"
PROVIDER, STRANGER_NET = "203.0.113.", "100.64."
ZONES = {                               # what the domains' SPF records say
    MAIN: f"v=spf1 ip4:192.0.2.1 ip4:{PROVIDER}0/24 -all",
    PASSED: f"v=spf1 ip4:{PROVIDER}0/24 -all",
    CLOSED: "v=spf1 ip4:192.0.2.1 ~all",
    LISTED: "v=spf1 ip4:192.0.2.1 -all",
    LOOSE: "v=spf1 ip4:192.0.2.1 ~all",     # and its provider is not in it
}
POLICY = f"""
account:@{MAIN} tls required
account:@{CLOSED} protocol:pop3 off
account:@{CLOSED} protocol:webmail off
account:@{CLOSED} spf:none reject
account:@{CLOSED} spf:neutral reject
account:@{CLOSED} spf:softfail reject
account:@{CLOSED} spf:permerror reject
account:@{LISTED} source authorized
account:@{LISTED} ip:10.1.0.0/16 the office
account:@{LOOSE} source any
account:@{PASSED} source any
"""


class Login(NamedTuple):
    day: int
    second: int         # of the day
    account: str
    service: str
    address: str


class Mail(NamedTuple):
    """A message without a login."""
    day: int
    account: str        # its sender
    address: str


def is_told(login):
    """Has Gatepost heard of it, as far as the host's doors go?"""
    return login.day >= SINCE.get(login.service, -YEAR)


def block_of(address):
    return str(ipaddress.ip_network(address + ("/48" if ":" in address else "/24"), strict=False))


def passes(mail):
    """Does the record of its domain pass it?"""
    domain = mail.account.partition("@")[2]
    return f"ip4:{PROVIDER}0/24" in ZONES[domain] and mail.address.startswith(PROVIDER)


class Account:
    def __init__(self, name, kind, random_):
        self.name, self.kind = name, kind
        self.logins, self.mails = [], []
        self._random = random_

    def comes(self, service, every, address, first=-YEAR, last=AFTER, stay=1):
        """By that service each `every` days (least, most), from `first` to the day before `last`,
        on `stay` days in a row, from what address() gives for each of them."""
        day = first + self._random.randint(0, every[1] - 1)
        while day < last:
            for at in range(day, min(day + stay, last)):
                self.logins.append(Login(at, self._random.randint(0, 86399), self.name, service,
                                         address()))
            day += stay - 1 + self._random.randint(*every)
        return self

    def used_after(self):
        """The services that it comes in by after the year."""
        return {login.service for login in self.logins if login.day >= 0}


class Year:
    """`accounts` in all, the messages without a login, and what attackers try."""

    def __init__(self, seed=1):
        self._random = random.Random(seed)
        self._numbers = 0
        self.accounts = []
        for kind, number in (("office", 55), ("traveller", 22), ("reader", 12), ("device", 10),
                             ("holiday", 15), ("dormant", 18), ("left", 6), ("rare", 8),
                             ("occasional", 8), ("shared", 2), ("provider", 8), ("policy", 18),
                             ("new", 12), ("quarterly", 6)):
            for _ in range(number):
                getattr(self, "_" + kind)()
        self.attempts = [try_ for account in self.accounts for try_ in self._attack(account)]

    # ---- places

    def _somewhere(self, network=10):
        return f"{network}.{self._random.randint(2, 250)}.{self._random.randint(0, 255)}."

    def _at(self, *places):
        """A function: an address of one of these blocks."""
        def address():
            place = self._random.choice(places)
            return place + (f"{self._random.randint(1, 9):x}" if ":" in place else
                            str(self._random.randint(1, 250)))
        return address

    def _anywhere(self):
        return self._somewhere(172 - self._random.randint(0, 60)) + "9"

    def _make(self, kind, domain=MAIN, first=None):
        self._numbers += 1
        name = first or f"{kind}{self._numbers}"
        made = Account(f"{name}@{domain}", kind, self._random)
        self.accounts.append(made)
        return made

    def _office_day(self, account, places, **when):
        sending = SENDING[self._random.random() < 0.4]
        account.comes("imap", (1, 3), self._at(*places), **when)
        return account.comes(sending, (1, 5), self._at(*places), **when)

    # ---- the kinds

    def _office(self):
        """The office, or the office and home, half of the homes by IPv6."""
        places = ["10.1.%d." % self._random.randint(0, 255)]
        if self._random.random() < 0.5:
            places.append(self._random.choice((self._somewhere(),
                                               f"2001:db8:{self._numbers + 1:x}::")))
        account = self._office_day(self._make("office", first="o'brien" if self._numbers == 9
                                             else None), places)
        if self._random.random() < 0.4:
            account.comes("caldav", (1, 3), self._at(*places))
        if self._random.random() < 0.3:
            account.comes("webmail", (15, 40), self._at(*places))

    def _traveller(self):
        """Another network each day, so that the record has no room for what comes once a month."""
        account = self._make("traveller").comes("imap", (1, 1), self._anywhere)
        account.comes("submission", (1, 2), self._anywhere)
        account.comes(self._random.choice(("webmail", "pop3")), (40, 70), self._at("10.9.9."))

    def _reader(self):
        self._make("reader").comes("pop3", (1, 2), self._at(self._somewhere()))

    def _device(self):
        self._make("device").comes("submissions", (1, 3), self._at(self._somewhere()))

    def _holiday(self):
        """A week each 200 days, each time from elsewhere."""
        account, day = self._make("holiday"), self._random.randint(-YEAR, -166)
        while day < AFTER:
            place = self._at(self._somewhere())
            for service in ("imap", "submission"):
                account.comes(service, (1, 1), place, first=day, last=day + 7)
            day += self._random.randint(195, 200)

    def _dormant(self):
        self._make("dormant")

    def _left(self):
        self._office_day(self._make("left"), [self._somewhere()], last=-100)

    def _rare(self):
        """The office, and webmail from home once in 200 days."""
        place = self._somewhere()
        account = self._office_day(self._make("rare"), [place])
        account.comes("webmail", (150, 200), self._at(place))

    def _occasional(self):
        """The office, and once in 200 days a trip of three days."""
        account = self._office_day(self._make("occasional"), [self._somewhere()])
        account.comes("submission", (160, 200), self._anywhere, stay=3)

    def _shared(self):
        places = [self._somewhere() for _ in range(7)]
        account = self._make("shared").comes("imap", (1, 1), self._at(*places))
        account.comes("submission", (1, 2), self._at(*places)).comes("webmail", (5, 30),
                                                                      self._at(*places))

    def _provider(self):
        """An office, whose newsletters a provider sends: by a login, or without one where the
        domain's record passes it, or where that says nothing for sure."""
        how = self._numbers % 3
        account = self._office_day(self._make("provider", (MAIN, PASSED, LOOSE)[how]),
                                   [self._somewhere()])
        place = self._at(PROVIDER)
        if how == 0:
            account.comes("submissions", (3, 9), place)
        else:
            account.mails = [Mail(day, account.name, place())
                             for day in range(-YEAR, AFTER, 5 + how)]

    def _policy(self):
        """People whose domain has policy: doors closed, or an office listed."""
        if self._numbers % 2 == 0:
            self._office_day(self._make("policy", CLOSED), [self._somewhere()])
        else:
            account = self._office_day(self._make("policy", LISTED), ["10.1.7."])
            account.comes("webmail", (10, 30), self._anywhere)

    def _new(self):
        """Come 15 to 70 days ago, and does some things once in 80 days."""
        place = self._somewhere()
        first = -self._random.randint(15, 70)
        account = self._office_day(self._make("new"), [place], first=first)
        account.comes(self._random.choice(("webmail", "pop3")), (75, 80), self._at(place),
                      first=self._random.randint(1, 9))

    def _quarterly(self):
        place = self._somewhere()
        account = self._office_day(self._make("quarterly"), [place])
        account.comes("pop3", (70, 85), self._at(place)).comes("caldav", (60, 80), self._at(place))

    def _attack(self, account):
        """Logins with guessed passwords in the year; with stolen ones after it."""
        days = [*range(-YEAR + self._random.randint(0, 60), 0, 60), 10, 40]
        return [Login(day, 1, account.name, self._random.choice(SERVICES),
                      f"{STRANGER_NET}{self._random.randint(0, 255)}.66") for day in days]

    # ---- what it comes to

    def logins(self, first, last):
        """All logins of the people from `first` to the day before `last`, in their order."""
        return sorted(login for account in self.accounts for login in account.logins
                      if first <= login.day < last)

    def mails(self, first, last):
        return [mail for account in self.accounts for mail in account.mails
                if first <= mail.day < last]

    def attacks(self, first, last):
        return [login for login in self.attempts if first <= login.day < last]
