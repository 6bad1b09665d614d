"""Owns what every hostile test does: publish below a fresh domain, ask the filter, hold it to the
deadline, and see that it is well afterwards."""

import itertools
import time

import session
from hostile_nameserver import answers, txt

CLIENT = "192.0.2.10"
REVERSE = "10.2.0.192.in-addr.arpa"     # CLIENT's
MARGIN = 0.5                            # seconds that an evaluation may take beyond its time-out

_numbers = itertools.count(1)


class Ground:
    """`domain` is new for each test, so that nothing about it is cached."""

    def __init__(self, server, accepting, refusing, timeout):
        self.server, self.accepting, self._refusing = server, accepting, refusing
        self.timeout = timeout
        self.domain = ""
        self.move()
        for instance in (accepting, refusing):
            instance.forget()

    def move(self):
        """To a new domain; nothing is left of the old one."""
        self.domain = f"d{next(_numbers)}.example"
        self.server.start_over()

    def publish(self, record, **hosts):
        """What the domain's TXT is, and that of hosts below it; see put().

        $d in a text stands for the domain.
        """
        self.server.zones.setdefault(self.domain, {})["TXT"] = self._behaviour(record)
        for label, found in hosts.items():
            self.put(label, found)

    def put(self, label, found, rdtype="TXT"):
        """A behaviour, the text of a TXT record, or a list of Records, below the domain."""
        name = f"{label}.{self.domain}"
        self.server.zones.setdefault(name, {})[rdtype] = self._behaviour(found)

    def _behaviour(self, found):
        if isinstance(found, str):
            found = found.replace("$d", self.domain)
        if isinstance(found, (str, bytes)):
            return answers(txt(found))
        return answers(*found) if isinstance(found, list) else found

    def _within_deadline(self, ask, instance, client, sender, helo):
        begin = time.monotonic()
        found = ask(instance, client, helo, f"x@{self.domain}" if sender is None else sender)
        took = time.monotonic() - begin
        assert took < self.timeout + MARGIN, f"{took:.2f} s"
        return found

    def result(self, client=CLIENT, sender=None, helo="mta.example"):
        return self._within_deadline(session.evidence, self.accepting, client, sender, helo).result

    def reply(self, client=CLIENT, sender=None, helo="mta.example"):
        """The refusal of a fail."""
        return self._within_deadline(session.reply, self._refusing, client, sender, helo)

    def count(self, label=None, rdtype=None):
        """Queries for a name below the domain; all of them for None."""
        return self.server.count(label and f"{label}.{self.domain}", rdtype)

    def check_well(self):
        """No report, no exit, and the next evaluation is as ever."""
        for instance in (self.accepting, self._refusing):
            instance.check_healthy()
        problems, self.server.problems = self.server.problems, []
        assert not problems, problems
        self.move()
        self.publish(f"v=spf1 ip4:{CLIENT} -all")
        assert self.result() == "pass"
