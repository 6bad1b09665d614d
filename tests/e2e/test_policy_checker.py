"""Never a verdict from a policy older than an acknowledged write plus a bound: random changes and
random questions, every answer held against what was written. The seed is printed; set
GATEPOST_SEED to have the same changes again, GATEPOST_CHANGES for more of them. By hand, on a quiet
machine: GATEPOST_BOUND_MS=10 GATEPOST_PATIENCE=1 GATEPOST_CHANGES=10000; on a busy one with
GATEPOST_FIRST=yes as well: the watch and Redis get the processor before anybody else.
"""

import os
import random
import time

import pytest

from support import faults
from support.asker import Answer
from support.checker import DEFER, Check, Gap, History, Obedience
from support.figures import BOUND, PATIENCE, note
from support.ground import Ground
from support.process import wait_until

# each of so many accounts changes so seldom that most questions have but one right answer
ACCOUNTS = 8 if BOUND <= 0.02 else 32
CHANGES_PER_SECOND = ACCOUNTS / (5 * BOUND)
CHANGES = int(os.environ.get("GATEPOST_CHANGES", str(int(3 * CHANGES_PER_SECOND))))
PAUSE = 0.005 * min(PATIENCE, 4)        # of each connection
CONNECTIONS = 64
SETTINGS = {"store_timeout": f"{int(200 * PATIENCE)}ms"}

pytestmark = pytest.mark.concurrent

@pytest.fixture
def chance():
    seed = int(os.environ.get("GATEPOST_SEED", random.SystemRandom().randrange(2 ** 31)))
    note(f"checker: GATEPOST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def leaving_grounds():
    """Grounds whose filter has been sent SIGTERM; each must leave with status 0."""
    leaving = []
    yield leaving
    statuses = {ground.folder.path: ground.stop() for ground in leaving}
    assert set(statuses.values()) <= {0}, statuses


@pytest.fixture
def leave(request, leaving_grounds):
    """A function (Ground) that gives it back; it leaves well after the test."""
    taken = []

    def take(ground):
        taken.append(ground)
        leaving_grounds.append(ground)
        request.node.gatepost = ground.filter
        return ground

    yield take
    for ground in taken:
        ground.stop_askers()
        ground.filter.terminate()


def keep_pace(count, per_second):
    """range(count), each not before its time."""
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number / per_second - time.monotonic()))
        yield number


def accounts(domain, count):
    return [f"a{number}@{domain}" for number in range(count)]


def begin_anyhow(writer, chance, subjects):
    for subject in subjects * 2:
        writer.flip(chance, [subject])


def finish(asker, logins):
    """Everybody is asked once more after the last change."""
    asker.wait_all(logins, lambda answer: True, "everybody was asked for")
    return asker.stop()


def report(name, check, answers):
    note(f"checker: {name}: {len(answers)} verdicts {dict(check.words)}, {check.decisive} of them "
         f"with only one right answer, {len(check.wrong)} wrong, oldest policy "
         f"{1000 * check.oldest:.2f} ms, longest answer "
         f"{1000 * max(answer.took for answer in answers):.0f} ms")


def test_the_checker_itself():
    """What it must find, and what it must let pass."""
    history = History()
    login, subject = "a@x.example", "account:a@x.example"
    off = {"protocol:submission": "off"}
    history.write(subject, off, 10.000, 10.001)
    history.write(subject, {}, 20.000, 20.001)

    def wrong(asked, answered, code, word="-", gaps=()):
        check = Check(history, [Answer(asked, answered, login, code, word)], 0.010, gaps)
        return bool(check.wrong or check.deferred)

    refusal = (550, "protocol-disabled")
    assert not wrong(9.0, 9.1, 250)
    assert wrong(9.0, 9.1, *refusal)                    # not yet written
    assert not wrong(9.9, 10.0005, *refusal)            # it may have been
    assert not wrong(10.0105, 10.02, 250)               # within the bound
    assert wrong(10.0115, 10.02, 250)                   # no more
    assert not wrong(15.0, 15.1, *refusal)
    assert wrong(15.0, 15.1, 550, "tls-required")
    assert wrong(15.0, 15.1, 451)
    assert not wrong(15.0, 15.1, 451, gaps=[Gap(15.05, 16)])
    assert wrong(20.1, 20.2, *refusal)
    assert not wrong(20.1, 20.2, *refusal, gaps=[Gap(19.9, 20.15)])
    assert wrong(20.1, 20.2, *refusal, gaps=[Gap(20.05, 20.15)])     # it was known by then


def test_a_change_is_obeyed_at_once(leave, domain, chance):
    """How soon, change by change, while 64 connections ask."""
    ground = leave(Ground(SETTINGS))
    logins = accounts(domain, ACCOUNTS)
    writer = ground.writer()
    if "GATEPOST_FIRST" in os.environ:
        ground.give_processor()
    asker = ground.asker(logins, connections=CONNECTIONS, pause=PAUSE)
    asker.wait_all(logins, lambda answer: True, "everybody was asked for")
    for _ in keep_pace(CHANGES, CHANGES_PER_SECOND):
        subject = "account:" + chance.choice(logins)
        off = writer.history.current(subject).get("protocol:submission") == "off"
        writer.set(subject, "protocol:submission", "on" if off else "off")
    answers = finish(asker, logins)
    check = Check(writer.history, answers, BOUND)
    obedience = Obedience(writer.history, answers, logins)
    seconds = answers[-1].asked - answers[0].asked
    note(f"changes: {CONNECTIONS} connections, {len(answers) / seconds:.0f} verdicts a second: "
         + obedience.line())
    report("one field", check, answers)
    check.assert_right()
    assert check.decisive > len(answers) / 2
    assert len(obedience.obeyed) > CHANGES / 2
    assert sorted(obedience.stale)[int(len(obedience.stale) * 0.99)] < BOUND


def test_random_changes_of_all_subjects(leave, domain, chance):
    ground = leave(Ground(SETTINGS))
    others = "y" + domain
    logins = [*accounts(domain, 10), *accounts(others, 10)]
    subjects = [*(f"account:{login}" for login in logins),
                *[f"account:@{domain}", f"account:@{others}", "account:*"] * 2]
    writer = ground.writer()
    begin_anyhow(writer, chance, subjects)
    asker = ground.asker(logins, connections=CONNECTIONS, pause=PAUSE, seed=chance.randrange(1000))
    asker.wait_all(logins, lambda answer: True, "everybody was asked for")
    for _ in keep_pace(CHANGES // 3, CHANGES_PER_SECOND / 3):
        writer.flip(chance, subjects)
    answers = finish(asker, logins)
    check = Check(writer.history, answers, BOUND)
    report("all subjects", check, answers)
    check.assert_right()
    assert check.decisive > len(answers) / 4
    assert len(check.words) >= 3, "verdicts of many kinds"


def kill_clients(kind):
    def kill(ground):
        ground.client.command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    return kill


def kill_tracked(ground):
    """Only the connection whose tracking is redirected; the subscribed one stays."""
    for line in ground.client.command("CLIENT", "LIST").splitlines():
        fields = dict(word.split("=", 1) for word in line.split())
        if "t" in fields["flags"]:
            ground.client.command("CLIENT", "KILL", "ID", fields["id"])


def test_random_changes_amid_lost_connections(leave, domain, chance):
    """The store itself is there: without the watch it is asked, and the verdicts stay true."""
    ground = leave(Ground(SETTINGS))
    logins = accounts(domain, 20)
    subjects = [*(f"account:{login}" for login in logins), f"account:@{domain}", "account:*"]
    writer = ground.writer()
    begin_anyhow(writer, chance, subjects)
    asker = ground.asker(logins, connections=CONNECTIONS, pause=PAUSE, seed=chance.randrange(1000))
    asker.wait_all(logins, lambda answer: True, "everybody was asked for")
    kills = [kill_clients("pubsub"), kill_clients("normal"), kill_tracked]
    for number in keep_pace(CHANGES // 3, CHANGES_PER_SECOND / 3):
        if number % 10 == 5:
            chance.choice(kills)(ground)
        writer.flip(chance, subjects)
    answers = finish(asker, logins)
    check = Check(writer.history, answers, BOUND)
    report("connections lost", check, answers)
    check.assert_right()
    assert check.decisive > len(answers) / 4


def test_random_changes_amid_restarts(leave, domain, chance):
    """While Redis is away what was known last serves, nothing older; then all is true again."""
    ground = leave(Ground(SETTINGS))
    logins = accounts(domain, 20)
    subjects = [*(f"account:{login}" for login in logins), f"account:@{domain}", "account:*"]
    writer = ground.writer()
    begin_anyhow(writer, chance, subjects)
    asker = ground.asker(logins, connections=CONNECTIONS, pause=PAUSE, seed=chance.randrange(1000))
    asker.wait_all(logins, lambda answer: True, "everybody was asked for")
    gaps = []
    for _ in range(4):
        for _ in keep_pace(CHANGES // 12, CHANGES_PER_SECOND / 3):
            writer.flip(chance, subjects)
        begin = time.monotonic()
        fault = chance.choice([faults.KILLED, faults.HUNG])
        fault.begin(ground)
        asker.wait_all(logins, lambda answer: True, "everybody was asked for")
        ground.filter.forget()
        fault.end(ground)
        back = time.monotonic()
        writer.client = ground.client
        for login in logins:
            writer.flip(chance, [f"account:{login}"])
        wait_until(lambda: asks_the_store(ground), 2 + 0.1 * PATIENCE, "Redis in use")
        gaps.append(Gap(begin, min(time.monotonic(), back + 1 + 0.1 * PATIENCE)))
    answers = finish(asker, logins)
    check = Check(writer.history, answers, BOUND, gaps)
    report("restarts", check, answers)
    check.assert_right()
    assert check.decisive > len(answers) / 4
    assert check.words[DEFER] < len(answers)


def asks_the_store(ground):
    """Whether the last verdicts in the log were given with the store."""
    verdicts = ground.filter.verdicts()[-100:]
    return len(verdicts) == 100 and not any(
        v.get("policy") == "stale" or v["reason"] == "policy-unavailable" for v in verdicts)


def test_old_policy_is_found(leave, domain, chance):
    """The checker finds old policy: that of writes that are undone without its knowledge."""
    ground = leave(Ground(SETTINGS))
    logins = accounts(domain, 10)
    writer = ground.writer()
    asker = ground.asker(logins, connections=8, pause=0.01)
    asker.wait_all(logins, lambda answer: True, "everybody was asked for")
    for login in logins:
        writer.set(f"account:{login}", "protocol:submission", "off")
        ground.redis.cli("HDEL", f"gatepost:account:{login}", "protocol:submission")
    asker.wait_for(lambda a: a.asked > time.monotonic() - 0.2, "questions after the changes")
    time.sleep(BOUND)
    answers = finish(asker, logins)
    check = Check(writer.history, answers, BOUND)
    report("deliberately undone", check, answers)
    assert len(check.wrong) > 10
    with pytest.raises(AssertionError, match="accept, out of date for"):
        check.assert_right()
