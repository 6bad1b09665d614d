"""The doors when something is wrong: the store away or hung, clients torn, slow, huge or many, a
reload in between, a stop while somebody waits. What cannot be known is never a yes.
"""

import itertools
import json
import os
import resource
import signal
import socket
import threading
import time

import pytest

from support import policy
from support.doors import DoorClient
from support.http_client import HttpClient
from support.ports import free_port
from support.process import wait_until

POLICY = """
account:off@{d}  protocol:imap    off
account:off@{d}  protocol:caldav  off
account:on@{d}   protocol:sieve   off
"""
BODY = '{"login":"x@example.org","protocol":"imap","remote":"192.0.2.1"}'
REQUEST = (f"POST /v1/dovecot?command=allow HTTP/1.1\r\nHost: gatepost\r\n"
           f"Content-Length: {len(BODY)}\r\n\r\n{BODY}").encode()


@pytest.fixture
def served(start_doors, redis, domain):
    policy.load(redis, POLICY, d=domain)
    return start_doors(listener={"nginx": {"door": "http", "service": "imap",
                                           "backend": "127.0.0.1:143"}})


def read_answer(sock):
    """Until the end of one answer; b"" when there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def check_unknown(doors, account):
    """Every door says that it does not know, each in its way."""
    answer = doors.unix.dovecot(account)
    assert answer["status"] == -1 and "session" in answer["msg"]
    answer = doors.unix.allow(account)
    assert (answer.status, answer.headers["x-gatepost-verdict"],
            answer.headers["x-gatepost-reason"]) == (503, "defer", "policy-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert doors.unix.nginx(account)["auth-status"].startswith("[UNAVAILABLE] ")
    assert doors.unix.nginx(account, "pop3")["auth-status"].startswith("[SYS/TEMP] ")
    assert doors.passwords.password(account).status == 503


# --- the store


@pytest.mark.parametrize("on_store_error", ["defer", "accept"])
def test_the_store_is_away(start_doors, redis, domain, on_store_error):
    policy.load(redis, POLICY, d=domain)
    _, doors = start_doors(on_store_error=on_store_error, listener={
        "nginx": {"door": "http", "service": "imap", "backend": "127.0.0.1:143"},
        "nginx3": {"door": "http", "service": "pop3", "backend": "127.0.0.1:110"}})
    redis.stop()
    check_unknown(doors, "x@" + domain)
    redis.start()
    wait_until(lambda: doors.unix.dovecot("x@" + domain) == {"status": 0}, 20)


def test_what_is_cached_serves_while_the_store_is_away(served, redis, domain):
    gatepost, doors = served
    assert doors.unix.dovecot("off@" + domain)["status"] == -1
    assert doors.unix.dovecot("on@" + domain)["status"] == 0
    redis.stop()
    assert "switched off" in doors.unix.dovecot("off@" + domain)["msg"]
    assert doors.unix.dovecot("on@" + domain)["status"] == 0
    assert gatepost.verdict(policy="stale")
    assert doors.unix.allow("off@" + domain).headers["x-gatepost-reason"] == "protocol-disabled"


def test_the_store_hangs(start_doors, redis, domain):
    """Nobody waits longer than store_timeout, not even many at once."""
    _, doors = start_doors(store_timeout="300ms", listener={
        "nginx": {"door": "http", "service": "imap", "backend": "127.0.0.1:143"},
        "nginx3": {"door": "http", "service": "pop3", "backend": "127.0.0.1:110"}})
    assert doors.unix.dovecot("first@" + domain) == {"status": 0}
    redis.freeze()
    took = []

    def ask(number):
        begin = time.monotonic()
        answer = DoorClient(doors.unix_path).dovecot(f"h{number}@{domain}")
        took.append((time.monotonic() - begin, answer["status"]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for _, status in took] == [-1] * 40
    assert max(seconds for seconds, _ in took) < 2
    check_unknown(doors, "x@" + domain)


def open_and_ask(doors, login):
    body = json.dumps({"login": login, "protocol": "imap", "remote": "192.0.2.1"})
    sock = doors.unix.raw()
    sock.sendall((f"POST /v1/dovecot?command=allow HTTP/1.1\r\nHost: gatepost\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    return sock


def stays_full(web):
    """Workers that have just been started take what waits, and then there is room again."""
    if web.ask("/readyz").status == 200:
        return False
    time.sleep(0.2)
    return web.ask("/readyz").status == 503


def test_more_wait_than_may(start_doors, redis, domain):
    """Those too many are told at once, /readyz says so, and the others are not forgotten."""
    port = free_port()
    _, doors = start_doors(store_timeout="20s", http_listen=f"127.0.0.1:{port}")
    web = HttpClient(port)
    assert doors.unix.dovecot("first@" + domain) == {"status": 0}
    redis.freeze()
    waiting = []
    while not stays_full(web) and len(waiting) < 2000:
        time.sleep(0.02)        # to be taken, before more come
        waiting += [open_and_ask(doors, f"w{len(waiting)}-{n}@{domain}") for n in range(20)]
    assert "than can be judged" in web.ask("/readyz").text
    begin = time.monotonic()
    answer = doors.unix.dovecot("late@" + domain)
    assert answer["status"] == -1 and "too many logins wait" in answer["msg"]
    answer = doors.unix.allow("late@" + domain)
    assert (answer.status, answer.headers["x-gatepost-reason"]) == (503, "policy-unavailable")
    assert time.monotonic() - begin < 2
    redis.resume()
    answers = [read_answer(sock).rpartition(b"\r\n\r\n")[2] for sock in waiting]
    assert answers.count(b'{"status":0}') >= 256
    assert all(b"too many logins wait" in answer for answer in answers
               if answer != b'{"status":0}')
    wait_until(lambda: web.ask("/readyz").status == 200, 20)


# --- clients


def test_torn_requests(served):
    """At every octet; what was not asked whole is not judged, and nobody hangs on."""
    gatepost, doors = served
    assert doors.unix.allow("x@example.org").status == 200      # the store's connections are there
    gatepost.forget()
    before = descriptors(gatepost.pid)
    halves = []
    for end in range(len(REQUEST)):
        for client in (doors.unix, doors.tcp):
            sock = client.raw()
            sock.sendall(REQUEST[:end])
            if end % 2:
                sock.shutdown(socket.SHUT_WR)
                halves.append(sock)
            else:
                sock.close()
    sock = doors.unix.raw()
    sock.sendall(REQUEST)
    assert read_answer(sock).endswith(b'{"status":0}')
    sock.close()
    assert all(b"status" not in sock.recv(1000) for sock in halves)
    wait_until(lambda: descriptors(gatepost.pid) < before + 10, 20, "descriptors")
    assert len(gatepost.verdicts()) == 1


def test_requests_in_pieces_and_in_a_row(served):
    _, doors = served
    sock = doors.unix.raw()
    for octet in REQUEST:
        sock.sendall(bytes([octet]))
    assert read_answer(sock).endswith(b'{"status":0}')
    chunked = (b"POST /v1/dovecot?command=allow HTTP/1.1\r\nHost: x\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
    sock.sendall(chunked + b"".join(b"1\r\n" + bytes([octet]) + b"\r\n" for octet in BODY.encode())
                 + b"0\r\n\r\n")
    assert read_answer(sock).endswith(b'{"status":0}')
    for _ in range(3):
        sock.sendall(REQUEST)
        assert read_answer(sock).endswith(b'{"status":0}')


@pytest.mark.parametrize("size", [64 * 1024 + 1, 200_000, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_that_are_too_large(served, size, chunked):
    _, doors = served
    for client, path, status in [(doors.unix, "/v1/dovecot?command=allow", 200),
                                 (doors.passwords, "/v1/password", 413)]:
        sock = client.raw()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n"
        sock.sendall((head + ("Transfer-Encoding: chunked\r\n\r\n" if chunked
                              else f"Content-Length: {size}\r\n\r\n")).encode())
        try:
            if chunked:
                sock.sendall(b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
            else:
                sock.sendall(b"x" * size)
        except BrokenPipeError:
            assert size > 1_000_000
        answer = read_answer(sock)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert status == 413 or b'"status":-1' in answer


def test_a_body_as_large_as_may_be(served):
    _, doors = served
    body = BODY[:-1] + ',"x":"' + "x" * (64 * 1024 - len(BODY) - len(',"x":""')) + '"}'
    assert len(body) == 64 * 1024
    assert doors.unix.ask("/v1/dovecot?command=allow", "POST", body).json() == {"status": 0}


def test_headers_that_are_too_large_or_none(served, domain):
    gatepost, doors = served
    for octets in (b"GET /v1/allow HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                   b"GET /v1/allow?" + b"x" * 200000 + b" HTTP/1.1\r\n\r\n",
                   b"GET /v1/allow HTTP/1.1\r\nX-Gatepost-Service: " + b"x" * 200000 + b"\r\n\r\n",
                   b"POST /v1/dovecot?command=allow HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                   b"POST /v1/dovecot?command=allow HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                   b"\0" * 5000, b"\x16\x03\x01\x02\x00" * 100, b"\r\n" * 50000, b"EHLO x\r\n",
                   b"GET\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n", b"GET /v1/allow HTTP/9.9\r\n\r\n"):
        sock = doors.unix.raw()
        sock.settimeout(1)
        try:
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            answer = sock.recv(65536)
        except (OSError, TimeoutError):
            answer = b""
        sock.close()
        assert b" 200 " not in answer
    assert gatepost.verdicts() == []
    assert doors.unix.allow("on@" + domain).status == 200


def test_slow_clients_are_cut(served, domain):
    """Ten seconds for a request; meanwhile others are answered."""
    _, doors = served
    silent, slow = ([doors.unix.raw() for _ in range(3)] for _ in range(2))
    began = time.monotonic()
    for at in itertools.count():
        for sock in [*silent, *slow]:
            sock.setblocking(False)
            try:
                if sock in slow:
                    sock.send(REQUEST[at:at + 1])
                if sock.recv(1000) == b"":
                    raise BrokenPipeError
            except BlockingIOError:
                continue
            except OSError:
                (slow if sock in slow else silent).remove(sock)
        if not silent and not slow:
            break
        assert at < len(REQUEST) - 1, "not cut"
        assert doors.unix.allow("on@" + domain).status == 200
        time.sleep(0.2)
    assert 9 < time.monotonic() - began < 15


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_ten_thousand_connections(served, milter_session, domain):
    """They take at most a quarter of the descriptors each socket's share, nobody who asks is kept
    out, and mail is not either; when they go all is as before."""
    gatepost, doors = served
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft > 12000
    before = descriptors(gatepost.pid)
    keeps = DoorClient(doors.unix_path, keep=True)
    assert keeps.allow("on@" + domain).status == 200
    crowd, quick = [], DoorClient(doors.unix_path, timeout=5)
    for number in range(10000):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(doors.unix_path)
        if number % 3 == 0:
            sock.send(REQUEST[:number % len(REQUEST)])
        crowd.append(sock)
        if number % 500 == 0:
            assert quick.allow("on@" + domain).status == 200
    assert descriptors(gatepost.pid) < before + soft // 4 + 200
    assert doors.tcp.allow("on@" + domain).status == 200
    assert doors.passwords.password("on@" + domain).status == 204
    with milter_session(gatepost, macro_values={"{daemon_name}": "x"}) as mta:
        assert mta.mail("x@" + domain, login="x@" + domain).reply == ""
        mta.quit()
    for sock in crowd:
        sock.close()
    wait_until(lambda: descriptors(gatepost.pid) <= before + 20, 30, "descriptors given back")
    assert doors.unix.allow("off@" + domain).status == 403


def memory_kib(pid, kind="RssAnon"):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(kind + ":"))


def test_many_large_bodies_that_do_not_end(served, domain):
    """They take little memory, and nobody else's place."""
    gatepost, doors = served
    before = memory_kib(gatepost.pid)
    head = b"POST /v1/dovecot?command=allow HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n"
    crowd = []
    for _ in range(1500):
        sock = doors.unix.raw()
        sock.sendall(head + b" " * 60000)
        crowd.append(sock)
    assert doors.unix.dovecot("x@" + domain) == {"status": 0}
    if memory_kib(gatepost.pid, "VmSize") < 2 ** 30:    # a sanitizer's shadow is larger
        assert memory_kib(gatepost.pid) - before < 100_000
    crowd[-1].sendall(b" " * 5536)
    assert b"too many logins wait" in read_answer(crowd[-1])
    for sock in crowd:
        sock.close()


# --- reload and stop


def test_a_reload_between_two_requests(served, domain):
    gatepost, doors = served
    client = DoorClient(doors.unix_path, keep=True)
    assert client.allow("on@" + domain).status == 200
    with open(gatepost.conf) as file:
        text = file.read()
    with open(gatepost.conf, "w") as file:
        file.write(text.replace(doors.unix_path, doors.unix_path + ".new")
                   + 'listener "dav" { door = http service = caldav unknown_login = reject }\n'
                   + 'reply "unknown-login" { text = "who is {account}?" }\n')
    os.kill(gatepost.pid, signal.SIGHUP)
    gatepost.wait_log("event=reload-ignored", "setting=doors_listen")
    gatepost.wait_log("event=reload ", "generation=2")
    answer = client.allow("stranger@elsewhere.example")
    assert (answer.status, answer.headers["x-gatepost-reason"]) == (403, "unknown-login")
    assert "who is stranger@elsewhere.example?" in answer.text
    client.close()


@pytest.mark.parametrize("answers", [True, False], ids=["store-answers", "store-hangs"])
def test_a_stop_while_a_request_waits(start_doors, redis, domain, answers):
    """It is answered, and then no more."""
    gatepost, doors = start_doors(store_timeout="2s")
    assert doors.unix.dovecot("first@" + domain) == {"status": 0}
    idle = doors.unix.raw()
    half = doors.unix.raw()
    half.sendall(REQUEST[:40])
    redis.freeze()
    waiting = [open_and_ask(doors, f"s{number}@{domain}") for number in range(3)]
    wait_until(lambda: redis_waits(gatepost.pid), 2, "requests in progress")
    os.kill(gatepost.pid, signal.SIGTERM)
    if answers:
        redis.resume()
    for sock in waiting:
        answer = read_answer(sock)
        assert answer.endswith(b'{"status":0}') if answers else b'"status":-1' in answer
        assert sock.recv(100) == b""
    assert idle.recv(100) == b"" and half.recv(100) == b""
    redis.resume()
    assert gatepost.stop() == 0
    with pytest.raises(OSError):
        doors.unix.raw()


def redis_waits(pid):
    """Whether three threads of the workers are there."""
    return len(os.listdir(f"/proc/{pid}/task")) > 6
