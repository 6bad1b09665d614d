"""Owns tests/bench/milter_asker: many milter connections that ask all the time, and their answers.
"""

import itertools
import os
import signal
import time
from typing import NamedTuple

from .gatepost import BINARY
from .process import Process, wait_until

PROGRAM = os.environ.get("MILTER_ASKER", os.path.join(os.path.dirname(BINARY),
                                                      "../tests/bench/milter_asker"))
_numbers = itertools.count(1)


class Answer(NamedTuple):
    asked: float       # seconds of time.monotonic(), before the question was sent
    answered: float    # after its answer was read
    login: str
    code: int          # 250: let pass
    word: str          # the first of the reply's text

    @property
    def took(self):
        return self.answered - self.asked


class Asker:
    """Asks for each of `logins`, {n} in one being a new number each time, from start() to stop().

    `pause` is what a connection waits between two questions, in seconds.
    """

    def __init__(self, folder, filter_socket, logins, connections=16, pause=0.0, seed=1):
        self._logins = list(logins)
        name = os.path.join(folder, f"asker{next(_numbers)}")
        self._paths = [name + end for end in (".in", ".out", ".log")]
        with open(self._paths[0], "w") as accounts:
            accounts.write("".join(login + "\n" for login in self._logins))
        open(self._paths[1], "w").close()
        self._argv = [PROGRAM, filter_socket, *self._paths[:2], str(connections),
                      str(int(pause * 1e6)), str(seed)]
        self._process = None
        self._read = 0
        self._answers = []

    def start(self):
        self._process = Process(self._argv, self._paths[2])
        return self

    def answers(self):
        """All the answers so far, in their order."""
        with open(self._paths[1], "rb") as out:
            out.seek(self._read)
            text = out.read()
        end = text.rfind(b"\n") + 1
        self._read += end
        for line in text[:end].decode().splitlines():
            asked, answered, number, n, code, word = line.split(" ")
            login = self._logins[int(number)].replace("{n}", n)
            self._answers.append(Answer(int(asked) / 1e9, int(answered) / 1e9, login, int(code),
                                        word))
        return self._answers

    def wait_for(self, condition, what, timeout=30):
        """Wait until an answer to a question asked from now on satisfies condition(answer)."""
        since, seen = time.monotonic(), len(self.answers())

        def found():
            if not self._process.alive():
                raise RuntimeError("milter_asker ended: " + self._process.log_text())
            new = self.answers()[seen:]
            return next((a for a in new if a.asked >= since and condition(a)), None)
        return wait_until(found, timeout, what)

    def wait_all(self, logins, condition, what, timeout=30):
        """Wait until each of these logins had an answer, asked from now on, with condition()."""
        since, left, at = time.monotonic(), set(logins), len(self.answers())

        def all_found():
            nonlocal at
            answers = self.answers()
            left.difference_update(a.login for a in answers[at:]
                                   if a.asked >= since and condition(a))
            at = len(answers)
            return not left
        try:
            wait_until(all_found, timeout, what)
        except TimeoutError:
            raise TimeoutError(f"not within {timeout} s: {what}: {sorted(left)}") from None

    def stop(self):
        """All the answers; AssertionError if a connection failed."""
        if self._process is not None:
            status = self._process.stop(signal.SIGTERM, 40)
            log = self._process.log_text()
            self._process = None
            assert status == 0, log
        return self.answers()

    def kill(self):
        if self._process is not None:
            self._process.kill_group()
            self._process = None
