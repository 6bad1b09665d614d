"""Owns the proof that verdicts follow policy: what was written when, and whether a verdict can be
explained by a policy that was current when it was asked for, less a bound.

It decides by itself, from the documented rules; it knows nothing of the filter but its answers.
"""

import bisect
import functools
import itertools
import time
from collections import Counter
from typing import NamedTuple

from .asker import Answer

FOREVER = float("inf")
DEFER = "defer"
# the wording by which an answer tells its reason; give it to the filter as `reply` sections
REASONS = ("protocol-disabled", "tls-required", "ip-not-authorized")
REPLIES = {reason: {"text": "{reason}"} for reason in REASONS}


def subjects_of(login):
    return (f"account:{login}", f"account:@{login.partition('@')[2]}", "account:*")


@functools.lru_cache(maxsize=100000)
def decide(policies, client_listed_by):
    """The word for a login over submission without TLS.

    `policies` from the most specific on, each a frozenset of (field, value).
    """
    policies = [dict(fields) for fields in policies]

    def setting(name, unset):
        return next((fields[name] for fields in policies if name in fields), unset)
    if setting("protocol:submission", "on") == "off":
        return "protocol-disabled"
    if setting("tls", "optional") == "required":
        return "tls-required"
    listed = any(client_listed_by in fields for fields in policies)
    if setting("source", "any") == "authorized" and not listed:
        return "ip-not-authorized"
    return "accept"


def word_of(answer):
    """What an answer says, in the words of decide()."""
    if answer.code == 250:
        return "accept"
    if answer.code // 100 == 4:
        return DEFER
    return answer.word


class State(NamedTuple):
    sent: float     # it may be current from here on
    acked: float    # it is, at the latest, from here on
    fields: frozenset    # of (field, value)


class Gap(NamedTuple):
    """A time in which the filter may not be able to know better than at its beginning."""
    begin: float
    end: float


class History:
    """All that was ever written. `client` is the field that would list the askers' address."""

    def __init__(self, client="ip:192.0.2.10"):
        self.client = client
        self._states = {}
        self._sent = {}     # subject -> the states' times, for bisect

    def write(self, subject, fields, sent, acked):
        states = self._states.setdefault(subject, [State(-FOREVER, -FOREVER, frozenset())])
        times = self._sent.setdefault(subject, [-FOREVER])
        assert sent >= times[-1]
        states.append(State(sent, acked, frozenset(fields.items())))
        times.append(sent)

    def current(self, subject):
        return dict(self._states[subject][-1].fields) if subject in self._states else {}

    def writes(self, subject):
        """The states written, in their order."""
        return self._states.get(subject, [None])[1:]

    def _candidates(self, subject, begin, end):
        """(state, until when it may have been current) of all that were within [begin, end]."""
        states = self._states.get(subject)
        if states is None:
            return [(frozenset(), FOREVER)]
        found = []
        for at in range(bisect.bisect_right(self._sent[subject], end) - 1, -1, -1):
            until = states[at + 1].acked if at + 1 < len(states) else FOREVER
            if until < begin:
                break
            found.append((states[at].fields, until))
        return found

    def explanations(self, login, begin, end):
        """{word: until when it was the right one} for policies current within [begin, end]."""
        right = {}
        choices = [self._candidates(subject, begin, end) for subject in subjects_of(login)]
        for combination in itertools.product(*choices):
            policies, ends = zip(*combination)
            word, until = decide(policies, self.client), min(ends)
            right[word] = max(right.get(word, -FOREVER), until)
        return right


class Finding(NamedTuple):
    """A wrong verdict, what would have been right, and when `word` was last right, if ever."""
    answer: Answer
    word: str
    right: list
    until: float

    @property
    def age(self):
        """Seconds for which it had not been right any more; infinite if it never was."""
        return FOREVER if self.until is None else self.answer.asked - self.until

    def __str__(self):
        return f"{self.answer.login}: {self.word}, out of date for {self.age:.4f} s; " \
            f"right: {', '.join(self.right)}"


class Check:
    """`answers` held against `history`: what is wrong, how old verdicts were, how sure this is."""

    # as far back as an explanation is looked for at all, to tell how old a wrong verdict is
    LOOK_BACK = 60.0

    def __init__(self, history, answers, bound, gaps=()):
        self.wrong = []         # Finding: no policy within the bound explains it
        self.deferred = []      # answers outside gaps that are 4xx
        self.decisive = 0       # answers that only one verdict could be right for
        self.words = Counter()
        self.oldest = 0.0       # age of the oldest verdict outside gaps: asked - overwritten
        for answer in answers:
            self._check(history, answer, bound, gaps)

    def _check(self, history, answer, bound, gaps):
        word = word_of(answer)
        self.words[word] += 1
        gap = next((gap for gap in gaps
                    if answer.asked < gap.end and answer.answered > gap.begin), None)
        if word == DEFER:
            if gap is None:
                self.deferred.append(answer)
            return
        begin = min(answer.asked, gap.begin if gap else FOREVER) - bound
        right = history.explanations(answer.login, begin, answer.answered)
        self.decisive += len(right) == 1
        if word not in right:
            ever = history.explanations(answer.login, answer.asked - self.LOOK_BACK,
                                        answer.answered)
            self.wrong.append(Finding(answer, word, sorted(right), ever.get(word)))
        elif gap is None:
            self.oldest = max(self.oldest, answer.asked - right[word])

    def assert_right(self):
        assert not self.wrong, f"{len(self.wrong)} wrong verdicts, such as:\n" + "\n".join(
            str(finding) for finding in self.wrong[:10])
        assert not self.deferred, f"{len(self.deferred)} deferred without need, such as " \
            f"{self.deferred[:3]}"


class Writer:
    """Changes policy through a RedisClient and keeps the History of it."""

    def __init__(self, client, history, prefix="gatepost:"):
        self.client, self.history, self._prefix = client, history, prefix

    def _write(self, subject, fields, *command):
        sent = time.monotonic()
        self.client.command(*command)
        self.history.write(subject, fields, sent, time.monotonic())

    def set(self, subject, field, value):
        fields = {**self.history.current(subject), field: value}
        self._write(subject, fields, "HSET", self._prefix + subject, field, value)

    def unset(self, subject, field):
        fields = self.history.current(subject)
        fields.pop(field, None)
        self._write(subject, fields, "HDEL", self._prefix + subject, field)

    def load(self, policies):
        """Many subjects at once, {subject: fields}."""
        sent = time.monotonic()
        self.client.pipeline([
            ("HSET", self._prefix + subject, *itertools.chain.from_iterable(fields.items()))
            for subject, fields in policies.items()])
        acked = time.monotonic()
        for subject, fields in policies.items():
            self.history.write(subject, fields, sent, acked)

    def lost(self, subjects, begin=None):
        """These are gone: at the latest now, at the earliest at `begin`, if not now."""
        now = time.monotonic()
        for subject in subjects:
            self.history.write(subject, {}, begin or now, now)

    def flip(self, random, subjects):
        """One random change of one of the subjects, to another value of one field."""
        choices = {"protocol:submission": ("on", "off"), "tls": ("required", "optional"),
                   "source": ("any", "authorized"), "ip:192.0.2.10": ("here",)}
        subject = random.choice(subjects)
        field = random.choice(list(choices))
        now = self.history.current(subject).get(field)
        value = random.choice([value for value in (*choices[field], None) if value != now])
        if value is None:
            self.unset(subject, field)
        else:
            self.set(subject, field, value)
        return subject


def quantile(values, share):
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Obedience:
    """How soon each change of one account's own policy was obeyed, given that nothing else changed.

    `obeyed`: seconds from the acknowledgement to the first verdict by the new policy (0: it was
    there before); `stale`: to the last question that was still answered by the old one (0: none).
    """

    def __init__(self, history, answers, logins):
        self.obeyed, self.stale, self.unseen = [], [], 0
        by_login = {login: [] for login in logins}
        for answer in answers:
            if answer.login in by_login:
                by_login[answer.login].append(answer)
        for login, own in by_login.items():
            own.sort(key=lambda answer: answer.asked)
            self._measure(history, login, own)

    def _measure(self, history, login, answers):
        states = history.writes(subjects_of(login)[0])
        asked = [answer.asked for answer in answers]
        words = [decide((state.fields,), history.client) for state in states]
        for at in range(1, len(states)):
            if words[at] == words[at - 1]:
                continue
            begin, end = states[at].sent, FOREVER
            if at + 1 < len(states):
                end = states[at + 1].sent
            # questions that were under way count as well
            first = bisect.bisect_left(asked, begin - 1.0)
            window = [a for a in answers[first:bisect.bisect_left(asked, end)]
                      if a.answered >= begin and a.answered < end]
            new = [a for a in window if word_of(a) == words[at]]
            if not new:
                self.unseen += 1
                continue
            acked = states[at].acked
            self.obeyed.append(max(0.0, min(a.answered for a in new) - acked))
            old = [a.asked - acked for a in window if word_of(a) == words[at - 1]]
            self.stale.append(max([0.0, *old]))

    def line(self):
        def figures(values):
            return "p50 {:.2f} p99 {:.2f} max {:.2f} ms".format(
                *(1000 * quantile(values, share) for share in (0.5, 0.99, 1)))
        return (f"{len(self.obeyed)} changes: first obeying verdict {figures(self.obeyed)}; "
                f"last question still answered by the old policy {figures(self.stale)}; "
                f"{self.unseen} overtaken by the next before anybody saw them")
