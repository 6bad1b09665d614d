"""What Dovecot makes of every answer at passwords_listen: gatepost.lua has a server there that is
not Gatepost, or is out of order. Only a clear answer lets a login go on, and only one with the
nonce of the very question stands for the password.
"""

import json
import os

import pytest

from support.dovecot_host import DovecotHost
from support.mail_logins import LATER, OK, REFUSED
from support.odd_server import OddServer
from support.policy import load

ALICE = "alice@example.com"
RIGHT, WRONG = "secret", "wrong"
NONCE = "X-Gatepost-Nonce: %s\r\n"
EMPTY = "Content-Length: 0\r\n\r\n"


class Answers:
    """Says `answer` to each question, with its nonce in the place of %s, and hangs up."""

    def __init__(self, path):
        self.answer = ""
        self._server = OddServer(self._serve, path=path)

    def _serve(self, server, connection):
        length = 0
        while (line := server.read(connection).strip()):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        nonce = json.loads(server.read_octets(connection, length))["nonce"]
        connection.sendall(self.answer.replace("%s", nonce).encode())

    def close(self):
        self._server.__exit__()


@pytest.fixture(scope="module")
def host(redis_server):
    redis_server.cli("FLUSHALL")
    made = DovecotHost(redis_server.url)
    made.dovecot.add_user(ALICE)
    try:
        made.start_gatepost()
        load(redis_server, "account:@example.com source any")
        made.gatepost.catch_up(redis_server)
        yield made.start()
        assert made.gatepost.stop() == 0
    finally:
        made.stop()


@pytest.fixture(scope="module")
def answers(host):
    """Instead of Gatepost, which still answers for the doors."""
    os.unlink(host.passwords_socket)
    made = Answers(host.passwords_socket)
    yield made
    made.close()


def outcome(host, answers, answer, password):
    answers.answer = answer
    return host.login("imaps", ALICE, password).kind


@pytest.mark.parametrize("answer", [
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 403 Forbidden\r\n" + EMPTY,
    "HTTP/1.1 403 Forbidden\r\nX-Gatepost-Nonce: another\r\n" + EMPTY,
    "HTTP/1.1 204 No Content\r\n" + NONCE + "\r\n"])
def test_the_own_passdb_is_asked(host, answers, answer):
    assert outcome(host, answers, answer, RIGHT) == OK
    assert outcome(host, answers, answer, WRONG) == REFUSED


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
def test_an_app_password(host, answers, status):
    """The nonce says so, in any case of the field's name."""
    for field in (NONCE, NONCE.lower()):
        answer = f"HTTP/1.1 {status}\r\n{field}{EMPTY}"
        assert outcome(host, answers, answer, WRONG) == OK


@pytest.mark.parametrize("answer", [
    "", "\r\n", "HTTP/1.1", "HTTP/1.1 204", "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 204 No Content\r\nX-Gatepost-Verdict: acc",
    "HTTP/1.1 200 OK\r\n" + EMPTY,
    "HTTP/1.1 200 OK\r\nX-Gatepost-Nonce:\r\n" + EMPTY,
    "HTTP/1.1 200 OK\r\nX-Gatepost-Nonce: another\r\n" + EMPTY,
    "HTTP/1.1 200 OK\r\n" + NONCE + NONCE + EMPTY,
    "HTTP/1.1 200 OK\r\nX-Gatepost-Nonce: %sx\r\n" + EMPTY,
    "HTTP/1.1 200 OK\r\n" + NONCE,
    "HTTP/1.1 200 OK\r\n" + NONCE + "no field\r\n" + EMPTY,
    "HTTP/1.1 200 OK\r\n" + "X-Much: x\r\n" * 2 + NONCE + EMPTY,
    "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n" + NONCE,
    "HTTP/1.0 200 OK\r\n" + NONCE + EMPTY, "ICY 200 OK\r\n" + NONCE + EMPTY,
    "HTTP/1.1 201 Created\r\n" + NONCE + EMPTY,
    "HTTP/1.1 2000 OK\r\n" + NONCE + EMPTY,
    "HTTP/1.1 2040 OK\r\n" + EMPTY,
    "HTTP/1.1  204 OK\r\n" + EMPTY,
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n" + NONCE + EMPTY,
    "HTTP/1.1 400 Bad Request\r\n" + NONCE + EMPTY,
    "HTTP/1.1 401 Unauthorized\r\n" + NONCE + EMPTY,
    "HTTP/1.1 500 Internal Server Error\r\n" + EMPTY,
    "HTTP/1.1 503 Service Unavailable\r\n" + NONCE + EMPTY,
    '{"status":0}\r\n', "<html>204</html>\r\n" * 100])
def test_all_else_is_a_failure_for_the_moment(host, answers, answer):
    """Neither the right password gets in nor does a wrong one cost the user his."""
    assert outcome(host, answers, answer, RIGHT) == LATER
    assert outcome(host, answers, answer, WRONG) == LATER
