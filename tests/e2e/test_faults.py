"""What users get while Redis is in trouble, each fault on a real server and under load.

Verdicts are right, or those of the last policy known and marked so, or deferred; nobody waits
longer than store_timeout; the return of Redis is noticed within about a second.
"""

import os
import time

import pytest

from support import faults
from support.checker import DEFER, Check, Gap, Obedience, word_of
from support.figures import BOUND, PATIENCE, note
from support.ground import Ground
from support.milter_client import MilterClient
from support.process import wait_until

STORE_TIMEOUT = 0.2 if PATIENCE < 2 else 0.5
MARGIN = 0.1 * PATIENCE             # on top of every time that is promised
RECOVERY = 1.0
SETTINGS = {"store_timeout": f"{int(1000 * STORE_TIMEOUT)}ms"}
COLD = 2000                         # accounts that are off and were never asked for
OFF = {"protocol:submission": "off"}
ON = {"protocol:submission": "on"}


def ground_with_password():
    ground = Ground(SETTINGS, start=False)
    ground.client.command("CONFIG", "SET", "requirepass", faults.PASSWORD)
    ground.client.command("AUTH", faults.PASSWORD)
    secret = ground.folder.file("store-password")
    with open(secret, "w") as file:
        file.write(faults.PASSWORD + "\n")
    os.chmod(secret, 0o600)
    ground.filter.configure({**ground.settings, "store_password_file": secret})
    ground.filter.start()
    return ground


@pytest.fixture(scope="module")
def grounds():
    """A function (kind) that gives the module's ground of that kind, made when first asked for."""
    makers = {
        "plain": lambda: Ground(SETTINGS, directives=["enable-debug-command yes",
                                                     "lua-time-limit 20"]),
        "password": ground_with_password,
        "wired": lambda: Ground(SETTINGS, ["protected-mode no"], faults.wired_networks()),
    }
    made, left = {}, []

    def ground(kind):
        if kind not in made:
            made[kind] = makers[kind]()
        return made[kind]

    def spoil(kind):
        """The next one gets another: a test has failed on this one."""
        left.append(made.pop(kind))

    ground.spoil, ground.left = spoil, left
    yield ground
    left.extend(made.values())
    for each in left:       # all at once: libmilter takes seconds to leave
        each.filter.terminate()
    statuses = {each.folder.path: each.stop() for each in left}
    assert set(statuses.values()) <= {0}, statuses


@pytest.fixture
def use(grounds, request):
    """As grounds(), the filter's log on a new page and shown if the test fails."""
    def use_ground(kind):
        ground = grounds(kind)
        request.node.gatepost = ground.filter
        ground.wait_for_redis()
        ground.filter.forget()
        used.append(kind)
        return ground
    used = []
    yield use_ground
    for kind in used:
        grounds(kind).stop_askers()
        if request.node.failed:
            grounds.spoil(kind)
        else:
            grounds(kind).filter.check_healthy()


class Trial:
    """One fault under load: accounts that are on, off, changed just before it, changed after it,
    and such that are met for the first time."""

    def __init__(self, ground, domain):
        self.ground = ground
        self.on = [f"on{n}@{domain}" for n in range(4)]
        self.off = [f"off{n}@{domain}" for n in range(4)]
        self.before = [f"before{n}@{domain}" for n in range(2)]
        self.after = [f"after{n}@{domain}" for n in range(4)]
        self.cold = [f"cold-{row}{{n}}@{domain}" for row in "ab"]
        self.known = [*self.on, *self.off, *self.after]     # without a doubt
        self.warm = [*self.known, *self.before]
        self.writer = ground.writer()
        policies = {login: ON for login in [*self.on, *self.before, *self.after]}
        policies.update({login: OFF for login in self.off})
        policies.update({row.format(n=n): OFF for row in self.cold for n in range(COLD)})
        self.writer.load({f"account:{login}": fields for login, fields in policies.items()})
        self.subjects = [f"account:{login}" for login in policies]
        self.asker = ground.asker([*self.warm, *self.cold], connections=16, pause=0.01)
        self.asker.wait_all(self.warm, lambda answer: True, "everybody was asked for")

    def is_cold(self, login):
        return login.startswith("cold")

    def switch(self, logins, fields):
        for login in logins:
            for field, value in fields.items():
                self.writer.set(f"account:{login}", field, value)

    def answers_between(self, begin, end):
        return [a for a in self.asker.answers() if a.answered > begin and a.asked < end]


def longest(answers):
    return max((answer.took for answer in answers), default=0.0)


def wait_down(trial, unwatched=True):
    """Until the filter knows that Redis is away, its watch as well; the time at which it did."""
    trial.ground.filter.wait_log("event=store-down")
    if unwatched:
        trial.ground.filter.wait_log("event=store-watch-lost")
    return time.monotonic()


def check_stale_marks(trial):
    """From here on every verdict is given without the store, and says so."""
    page = trial.ground.filter
    trial.asker.wait_all(trial.warm, lambda answer: True, "everybody was asked for again")
    page.forget()
    trial.asker.wait_all(trial.warm, lambda answer: True, "everybody was asked for again")
    verdicts = page.verdicts()
    assert len(verdicts) >= len(trial.warm)
    for verdict in verdicts:
        served = verdict.get("policy") == "stale"
        assert served or verdict["reason"] == "policy-unavailable", verdict
        if verdict["login"] in trial.known:
            assert served, verdict
        elif trial.is_cold(verdict["login"]):
            assert not served, verdict


def recover(trial, fault):
    """Until the filter obeys Redis again, which answers the test from `back` on."""
    fault.end(trial.ground)
    back = time.monotonic()
    trial.writer.client = trial.ground.client
    if fault.loses_data:
        trial.writer.lost(trial.subjects)
        trial.ground.filter.wait_log("event=policy-empty")
    trial.switch(trial.after, OFF)
    trial.asker.wait_all(trial.after, lambda a: a.code == 550, "a change after the fault obeyed")
    trial.asker.wait_for(lambda a: trial.is_cold(a.login) and a.code != 451, "a look-up served")
    recovered = time.monotonic()        # from here on there is no excuse
    trial.asker.wait_all(trial.warm, lambda a: a.code != 451, "everybody served")
    return back, recovered


def recovered_at(trial, back, answers):
    """When the last verdict was given that was not by what Redis had then."""
    changed = {login: trial.writer.history.writes(f"account:{login}")[-1].acked
               for login in trial.after}
    late = [a.answered for a in answers if a.asked > back and (
        word_of(a) == DEFER or a.asked > changed.get(a.login, a.asked) and a.code == 250)]
    return max(late, default=back)


def check_verdicts(trial, gaps):
    answers = trial.asker.stop()
    asked = [a.login for a in answers if trial.is_cold(a.login)]
    assert len(set(asked)) == len(asked) < COLD, "make COLD larger"
    check = Check(trial.writer.history, answers, BOUND, gaps)
    check.assert_right()
    assert check.decisive > len(answers) / 4        # the others were asked amid a fault
    return answers


@pytest.mark.parametrize("kind, fault", [
    ("plain", faults.KILLED), ("plain", faults.LOADING), ("plain", faults.EMPTIED),
    ("plain", faults.HUNG), ("plain", faults.SLOW), ("plain", faults.BUSY),
    ("plain", faults.MASTERDOWN), ("plain", faults.MAXCLIENTS),
    ("password", faults.PASSWORD_CHANGED),
    ("wired", faults.UNPLUGGED), ("wired", faults.BLACKHOLE),
], ids=lambda value: value.name.replace(" ", "-") if isinstance(value, faults.Fault) else "")
def test_fault(use, domain, kind, fault):
    ground = use(kind)
    trial = Trial(ground, domain)
    trial.switch(trial.before, OFF)
    begin = time.monotonic()
    fault.begin(ground)
    down = wait_down(trial, fault is not faults.SLOW)
    if fault is not faults.SLOW:        # which is over too soon
        check_stale_marks(trial)
    ended = time.monotonic()
    back, recovered = recover(trial, fault)
    answers = check_verdicts(trial, [Gap(begin, recovered)])

    recovery = recovered_at(trial, back, answers) - back
    meanwhile = trial.answers_between(begin, back)
    known_down = [a for a in meanwhile if a.asked > down and a.answered < ended]
    note(f"fault: {fault.name}: {len(meanwhile)} answers, longest "
         f"{1000 * longest(meanwhile):.0f} ms, known after {1000 * (down - begin):.0f} ms, "
         f"then longest {1000 * longest(known_down):.1f} ms; obeyed again "
         f"{1000 * recovery:.0f} ms after its return")
    if fault is not faults.SLOW:
        assert {word_of(a) for a in known_down if trial.is_cold(a.login)} == {DEFER}
    assert longest(meanwhile) < STORE_TIMEOUT + MARGIN
    assert longest(known_down) < STORE_TIMEOUT / 4 * PATIENCE
    assert recovery < RECOVERY + MARGIN


def test_flushed(use, domain):
    """No fault at all for the filter: the new truth is served at once, and said to be odd."""
    ground = use("plain")
    trial = Trial(ground, domain)
    begin = time.monotonic()
    ground.client.command("FLUSHALL")
    trial.writer.lost(trial.subjects, begin)
    trial.asker.wait_all(trial.off, lambda a: a.code == 250, "the new truth")
    ground.filter.wait_log("event=policy-empty")
    answers = check_verdicts(trial, [])
    late = max(a.asked for a in answers if a.login in trial.off and a.code == 550) - begin
    note(f"fault: FLUSHALL: the last question that was still answered by the lost policy began "
         f"{1000 * late:.1f} ms after it, longest answer {1000 * longest(answers):.0f} ms")


def test_hung_while_it_is_searched_for_any_policy(use, domain):
    """A FLUSHALL makes the filter look for what is left: it must not wait for that for ever."""
    ground = use("plain")
    trial = Trial(ground, domain)
    for _ in range(2):
        ground.client.command("FLUSHALL")
        begin = time.monotonic()
        while time.monotonic() - begin < 0.29:      # it looks 0.3 s after
            ground.client.command("EXISTS", "x")
        faults.HUNG.begin(ground)
        ground.filter.forget()
        try:
            ground.filter.wait_log("event=store-watch-lost", timeout=3 + MARGIN)
        finally:
            faults.HUNG.end(ground)
        ground.filter.wait_log("event=store-watched", timeout=RECOVERY + MARGIN)
    trial.asker.stop()


@pytest.mark.parametrize("kind", ["normal", "pubsub", "both"])
def test_connections_dropped(use, domain, kind):
    """The server is there all the time: nobody is deferred, and nothing old is said."""
    ground = use("plain")
    trial = Trial(ground, domain)
    for number in range(10):
        for each in ("normal", "pubsub") if kind == "both" else (kind,):
            ground.client.command("CLIENT", "KILL", "TYPE", each, "SKIPME", "yes")
        trial.switch(trial.after, ON if number % 2 else OFF)
        word = 250 if number % 2 else 550
        trial.asker.wait_all(trial.after, lambda a: a.code == word, "obeyed")
    answers = check_verdicts(trial, [])
    obedience = Obedience(trial.writer.history, answers, trial.after)
    note(f"fault: connections dropped, {kind}: longest answer {1000 * longest(answers):.0f} ms, "
         + obedience.line())
    assert "event=store-down" not in "\n".join(ground.filter.log_lines())


def test_slow_but_in_time(use, domain):
    """A server that takes less than store_timeout is waited for."""
    ground = use("plain")
    trial = Trial(ground, domain)
    for _ in range(5):
        ground.client.command("DEBUG", "SLEEP", "0.08")
    answers = check_verdicts(trial, [])
    note(f"fault: DEBUG SLEEP 0.08, five times: longest answer {1000 * longest(answers):.0f} ms")


def test_changes_during_a_network_cut(use, domain):
    """They are obeyed when the network is back; meanwhile what was known serves."""
    ground = use("wired")
    trial = Trial(ground, domain)
    begin = time.monotonic()
    faults.UNPLUGGED.begin(ground)
    trial.switch(trial.after, OFF)
    wait_down(trial)
    check_stale_marks(trial)
    assert {a.code for a in trial.asker.answers()[-200:] if a.login in trial.after} == {250}
    _, recovered = recover(trial, faults.UNPLUGGED)
    check_verdicts(trial, [Gap(begin, recovered)])


def ask(mta, login):
    response = mta.mail(login, login=login)
    mta.abort()
    return response.reply[:9] if response.letter == "y" else "accepted"


@pytest.fixture
def session():
    """A function (ground): a MilterClient after HELO."""
    opened = []

    def open_session(ground):
        mta = MilterClient(ground.filter.socket)
        opened.append(mta)
        mta.negotiate()
        mta.connect()
        mta.helo()
        return mta

    yield open_session
    for mta in opened:
        mta.close()


def test_what_is_known_to_have_changed_does_not_serve_stale(use, domain, session):
    ground = use("plain")
    writer = ground.writer()
    kept, told = f"kept@{domain}", f"told@{domain}"
    for login in (kept, told):
        writer.set(f"account:{login}", "protocol:submission", "on")
    time.sleep(BOUND)       # or else what is asked for now may be taken for old
    with session(ground) as mta:
        wait_until(lambda: ask(mta, kept) == ask(mta, told) == "accepted", 20, "both cached")
        writer.set(f"account:{told}", "protocol:submission", "off")
        time.sleep(BOUND)
        faults.KILLED.begin(ground)
        ground.filter.wait_log("event=store-down")
        assert ask(mta, told) == "451 4.3.0"
        assert ask(mta, kept) == "accepted"
        assert ground.filter.verdict(login=kept, policy="stale")
        faults.KILLED.end(ground)
        wait_until(lambda: ask(mta, told) == "550 5.7.1", RECOVERY + MARGIN, "Redis in use")
        assert ask(mta, kept) == "accepted"


@pytest.mark.parametrize("setting, answer", [
    ("defer", "451 4.3.0"), ("reject", "550 5.3.0"), ("accept", "accepted")])
def test_stale_max(grounds, domain, session, request, setting, answer):
    """What is known serves for its time; then on_store_error."""
    stale_max = 1.0
    ground = Ground({**SETTINGS, "stale_max": "1s", "on_store_error": setting})
    grounds.left.append(ground)
    request.node.gatepost = ground.filter
    off, on = f"off@{domain}", f"on@{domain}"
    ground.client.command("HSET", f"gatepost:account:{off}", "protocol:submission", "off")
    time.sleep(BOUND)       # or else what is asked for now may be taken for old
    with session(ground) as mta:
        wait_until(lambda: ask(mta, off) == "550 5.7.1" and ask(mta, on) == "accepted", 20,
                   "both cached")
        ground.filter.forget()
        begin = time.monotonic()
        faults.KILLED.begin(ground)
        while not any(v["reason"] == "policy-unavailable" for v in ground.filter.verdicts()):
            took = time.monotonic() - begin
            assert took < stale_max + STORE_TIMEOUT + MARGIN
            assert ask(mta, off) in ("550 5.7.1", answer)
        assert took >= stale_max - 0.1
        assert ask(mta, off) == answer
        wait_until(lambda: ask(mta, on) == answer, MARGIN, "the other's time over as well")
        assert ground.filter.verdict(login=off, policy="stale")["reason"] == "protocol-disabled"
        faults.KILLED.end(ground)
        wait_until(lambda: ask(mta, off) == "550 5.7.1" and ask(mta, on) == "accepted",
                   RECOVERY + MARGIN, "Redis in use")
