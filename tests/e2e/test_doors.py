"""What the doors answer: to Dovecot, to reverse proxies, to nginx's mail proxy, for a password."""

import json
import re

import pytest

from support import policy
from support.doors import DoorClient
from support.process import wait_until

POLICY = """
account:alice@{d}        protocol:imap    off
account:alice@{d}        protocol:caldav  off
account:alice@{d}        protocol:submission off
account:secure@{d}       tls              required
account:bad@{d}          protocol:imap    perhaps
account:bad@{d}          protocol:caldav  perhaps
account:home@{d}         source           authorized
account:home@{d}         ip:192.0.2.0/24  home
"""
LISTENERS = {"nginx": {"door": "http", "service": "imap", "backend": "127.0.0.1:1143"},
             "nginx6": {"door": "http", "service": "pop3", "backend": "[::1]:1110"},
             "dav": {"door": "http", "service": "caldav"},
             "subs465": {"door": "dovecot", "daemon_port": 465, "service": "submissions"},
             "subs587": {"door": "dovecot", "daemon_port": 587, "service": "submission"},
             "webmail": {"door": "dovecot", "service": "webmail", "real_client_from": ["web"]}}
NETWORK = {"web": {"members": ["198.51.100.1"]}}


@pytest.fixture
def served(start_doors, redis, domain):
    policy.load(redis, POLICY, d=domain)
    return start_doors(listener=LISTENERS, network=NETWORK)


def refused(answer, *words):
    """Whether Dovecot's answer denies with a text that has these words."""
    return answer["status"] == -1 and all(word in answer["msg"] for word in words)


# --- Dovecot


def test_dovecot(served, domain):
    gatepost, doors = served
    ask = doors.unix.dovecot
    assert ask(f"alice@{domain}", "pop3", session_id="Abc+/1") == {"status": 0}
    verdict = gatepost.verdict(session="Abc+/1")
    assert (verdict["stage"], verdict["door"], verdict["service"], verdict["verdict"]) \
        == ("door", "dovecot", "pop3", "accept")
    assert (verdict["login"], verdict["client"]) == (f"alice@{domain}", "192.0.2.10")
    assert refused(ask(f"Alice+tag@{domain}"), "imap is switched off", f"alice@{domain}")
    assert refused(ask(f"bad@{domain}"), f"bad@{domain}")
    assert refused(ask(f"alice@{domain}", "no-such-service"))
    assert ask(f"alice@{domain}", command="report", success=True, policy_reject=False) \
        == {"status": 0}
    assert len(gatepost.verdicts()) == 4        # a report is none


def test_dovecot_and_tls(served, domain):
    _, doors = served
    ask = doors.unix.dovecot
    secure = f"secure@{domain}"
    assert ask(secure, tls=True, secured="TLS") == {"status": 0}
    assert refused(ask(secure, secured="secured"), "needs TLS")     # clear, but on one host
    assert ask(secure, "smtp", local_port="0", secured="secured") == {"status": 0}  # Postfix
    assert refused(ask(secure, "smtp", local_port="0", secured=""), "needs TLS")
    assert refused(ask(secure, "smtp", local_port="", secured="secured"), "needs TLS")


def test_dovecot_and_ports(served, domain):
    gatepost, doors = served
    assert doors.unix.dovecot("x@" + domain, "submission", local_port="465") == {"status": 0}
    assert gatepost.verdict(login="x@" + domain)["service"] == "submissions"
    assert refused(doors.unix.dovecot(f"alice@{domain}", "submission", local_port="587"))
    assert refused(doors.unix.dovecot(f"alice@{domain}", "smtp", local_port="0"), "submission")


def test_dovecot_and_who_is_connected(served, domain):
    """Webmail is webmail from its own host alone, whatever client it speaks for."""
    gatepost, doors = served
    for number, (members, service) in enumerate([
            ({"remote": "203.0.113.7", "real_remote": "198.51.100.1"}, "webmail"),
            ({"remote": "198.51.100.1"}, "webmail"),        # nobody in between
            ({"remote": "198.51.100.1", "real_remote": "203.0.113.7"}, "imap"),
            ({"remote": "198.51.100.1", "real_remote": ""}, "imap")]):
        assert doors.unix.dovecot(f"w{number}@{domain}", **members) == {"status": 0}
        verdict = gatepost.verdict(login=f"w{number}@{domain}")
        assert (verdict["service"], verdict["client"]) == (service, members["remote"])


GOOD = {"login": "x@example.org", "protocol": "imap", "remote": "192.0.2.1", "tls": True}
BAD_MEMBERS = [
    {"login": None}, {"login": ""}, {"login": 1}, {"login": ["x@example.org"]},
    {"protocol": None}, {"protocol": ""}, {"protocol": {}},
    {"remote": "nowhere"}, {"remote": 7}, {"remote": "192.0.2.1\n"}, {"remote": "192.0.2.1/24"},
    {"real_remote": "?"}, {"local": "?"}, {"tls": "true"}, {"tls": 1}, {"tls": None},
    {"local_port": 143}, {"local_port": "many"}, {"local_port": "-1"}, {"local_port": "65536"},
    {"secured": True}, {"session_id": 1}, {"mech": 1}, {"app": True},
]
BAD_BODIES = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}", b"\xff", b"\xef\xbb\xbf{}", b"{}{}",
    b'{"login":"x@example.org","login":"x@example.org","protocol":"imap"}',
    b'{"login":"x@example.org\\u0000","protocol":"imap"}',
    b'{"login":"x@example.org\0","protocol":"imap"}',
    b'{"login":"x\xff@example.org","protocol":"imap"}',
    b'{"login":"\\ud800@example.org","protocol":"imap"}',
    b'{"login":"x@example.org","protocol":"imap"} x',
    b'{"login":"x@example.org","protocol":"imap","deep":' + b"[" * 30000 + b"]" * 30000 + b"}",
    b'{"login":"x@example.org","protocol":"imap","large":"' + b"x" * 70000 + b'"}',
]


def test_dovecot_with_bad_bodies(served):
    """Always 200, never a yes, and never the policy of whatever else was meant."""
    gatepost, doors = served
    bodies = BAD_BODIES + [json.dumps({**GOOD, **bad}).encode() for bad in BAD_MEMBERS
                           if None not in bad.values()]
    bodies += [json.dumps({k: v for k, v in GOOD.items() if k != name}).encode()
               for name in ("login", "protocol")]
    bodies.append(json.dumps({**GOOD, "tls": None}).encode())
    for body in bodies:
        answer = doors.unix.ask("/v1/dovecot?command=allow", "POST", body)
        assert answer.status == 200, body[:80]
        assert answer.json()["status"] == -1 and answer.json()["msg"], body[:80]
    assert gatepost.verdicts() == []
    assert doors.unix.ask("/v1/dovecot?command=allow", "POST", json.dumps(GOOD)).json() \
        == {"status": 0}


@pytest.mark.parametrize("query", ["", "?", "?command=", "?command=Allow", "?command=allowed",
                                   "?command=allow&command=allow", "?command=allow&x=1",
                                   "?command=%61%6c%6c%6f%7", "?command=allow%00", "?allow"])
def test_dovecot_with_other_commands(served, query):
    _, doors = served
    answer = doors.unix.ask("/v1/dovecot" + query, "POST", json.dumps(GOOD))
    assert (answer.status, answer.json()["status"]) == (200, -1)


@pytest.mark.parametrize("target", ["http://gatepost/v1/dovecot?command=allow",
                                    "HTTP://[::1]:8080/v1/dovecot?command=allow"])
def test_a_target_with_scheme_and_host(served, target):
    """Dovecot 2.4 asks through its proxy socket so."""
    _, doors = served
    answer = doors.unix.ask(target, "POST", json.dumps(GOOD))
    assert (answer.status, answer.json()) == (200, {"status": 0})


# --- reverse proxies


def told(answer):
    return (answer.status, answer.headers.get("x-gatepost-verdict"),
            answer.headers.get("x-gatepost-reason"))


def test_allow(served, domain):
    gatepost, doors = served
    off = doors.unix.allow(f"alice@{domain}")
    assert told(off) == (403, "reject", "protocol-disabled")
    assert f"caldav is switched off for alice@{domain}" in off.headers["x-gatepost-text"]
    assert off.text == off.headers["x-gatepost-text"] + "\n"
    verdict = gatepost.verdict()
    assert (verdict["door"], verdict["service"], verdict["listener"]) == ("http", "caldav", "dav")
    open_door = doors.unix.allow(f"alice@{domain}", "carddav")
    assert told(open_door) == (200, "accept", "account")
    assert open_door.headers["x-gatepost-text"]
    assert open_door.headers["cache-control"] == "no-store"
    malformed = doors.unix.allow(f"bad@{domain}")
    assert told(malformed) == (503, "defer", "policy-malformed")
    assert int(malformed.headers["retry-after"]) > 0
    assert told(doors.unix.allow(f"alice@{domain}", "gopher")) == (403, "reject", "unknown-service")


def test_allow_in_the_query(served, domain):
    _, doors = served

    def ask(query, **arguments):
        return told(doors.unix.ask("/v1/allow?" + query, **arguments))

    off, good = (403, "reject", "protocol-disabled"), (200, "accept", "account")
    assert ask(f"service=caldav&account=alice@{domain}") == off
    assert ask(f"service=caldav&account=%61lice%40{domain}&ip=::1&tls=on") == off
    assert ask(f"account=alice+tag@{domain}&service=caldav") == off     # + is no space
    assert ask(f"service=carddav&account=alice@{domain}&ip=2001%3Adb8::1&tls=") == good
    assert ask(f"service=carddav&account=alice@{domain}", method="HEAD") == good
    assert ask(f"service=caldav&account=alice@{domain}", method="HEAD") == off


@pytest.mark.parametrize("tls, status", [("on", 200), ("yes", 200), ("1", 200), ("TRUE", 200),
                                         ("off", 403), ("no", 403), ("0", 403), ("", 403),
                                         ("https", 400), ("maybe", 400)])
def test_allow_and_tls(served, domain, tls, status):
    _, doors = served
    assert doors.unix.allow(f"secure@{domain}", tls=tls).status == status
    assert doors.unix.ask(f"/v1/allow?service=caldav&account=secure@{domain}&tls={tls}").status \
        == status


def test_allow_without_an_account(served):
    _, doors = served
    for answer in (doors.unix.allow(""), doors.unix.ask("/v1/allow?service=caldav"),
                   doors.unix.ask("/v1/allow?service=caldav&account=")):
        assert told(answer) == (401, "reject", "auth-required")
        assert answer.headers["x-gatepost-text"]
        assert answer.headers["www-authenticate"] == 'Basic realm="mail", charset="UTF-8"'


SERVICE, ACCOUNT = ("X-Gatepost-Service", "caldav"), ("X-Gatepost-Account", "x@example.org")


@pytest.mark.parametrize("target, headers", [
    ("/v1/allow", []),
    ("/v1/allow", [ACCOUNT]),
    ("/v1/allow", [SERVICE, ACCOUNT, ACCOUNT]),
    ("/v1/allow", [SERVICE, SERVICE, ACCOUNT]),
    ("/v1/allow", [SERVICE, ACCOUNT, ("x-gatepost-account", "y@example.org")]),
    ("/v1/allow", [SERVICE, ACCOUNT, ("X-Gatepost-Client", "here")]),
    ("/v1/allow", [SERVICE, ACCOUNT, ("X-Gatepost-Client", "192.0.2.1, 192.0.2.2")]),
    ("/v1/allow", [SERVICE, ("X-Gatepost-Account", b"\xff@example.org")]),
    ("/v1/allow", [SERVICE, ("X-Gatepost-Account", "x" * 2000)]),
    ("/v1/allow?service=caldav", [ACCOUNT]),
    ("/v1/allow?service=caldav&account=x@example.org", [("X-Gatepost-TLS", "on")]),
    ("/v1/allow?service=caldav&account=x@example.org&account=y@example.org", []),
    ("/v1/allow?service=caldav&service=caldav&account=x@example.org", []),
    ("/v1/allow?service=caldav&account=x@example.org&ip=here", []),
    ("/v1/allow?service=caldav&account=x@example.org&ip=192.0.2.0/24", []),
    ("/v1/allow?service=caldav&account=x%00@example.org", []),
    ("/v1/allow?service=caldav&account=x%ff@example.org", []),
    ("/v1/allow?service=caldav&account=x%4@example.org", []),
    ("/v1/allow?service=caldav&account=x%0a@example.org", []),
    ("/v1/allow?service=caldav&account=x@example.org&acount=y@example.org", []),
    ("/v1/allow?service=caldav&account=x@example.org&", []),
    ("/v1/allow?service=&account=x@example.org", []),
    ("/v1/allow?account=x@example.org", []),
])
def test_allow_asked_badly(served, target, headers):
    gatepost, doors = served
    answer = doors.unix.ask(target, headers=headers)
    assert told(answer) == (400, "reject", "bad-request") and answer.headers["x-gatepost-text"]
    gatepost.wait_log("event=door-request", "path=/v1/allow")
    assert gatepost.verdicts() == []


# --- nginx's mail proxy


def test_nginx_mail(served, domain):
    gatepost, doors = served
    nginx = doors.unix.nginx
    opened = nginx(f"alice%40{domain}", "pop3")
    assert (opened["auth-status"], opened["auth-server"], opened["auth-port"]) \
        == ("OK", "::1", "1110")
    off = nginx(f"alice%40{domain}")
    assert "imap is switched off" in off["auth-status"]
    assert "auth-server" not in off and "auth-error-code" not in off
    assert nginx(f"x@{domain}", Auth_SSL="on")["auth-port"] == "1143"
    verdict = gatepost.verdict(login=f"x@{domain}")
    assert (verdict["door"], verdict["listener"]) == ("http", "nginx")
    assert "needs TLS" in nginx(f"secure@{domain}")["auth-status"]
    assert nginx(f"secure@{domain}", Auth_SSL="on")["auth-status"] == "OK"
    assert nginx(f"bad@{domain}")["auth-status"].startswith("[UNAVAILABLE] ")


def test_nginx_mail_for_smtp(served, domain):
    """Nobody checks a password behind an OK."""
    _, doors = served
    answer = doors.unix.nginx(f"x@{domain}", "smtp", Auth_SSL="on")
    assert answer["auth-status"] != "OK" and answer["auth-error-code"] == "535 5.7.8"


def test_nginx_mail_without_a_back_end(start_doors, domain):
    _, doors = start_doors(listener={"nginx": {"door": "http", "service": "imap"}})
    for protocol in ("imap", "pop3"):
        answer = doors.unix.nginx(f"x@{domain}", protocol)
        assert answer["auth-status"] != "OK" and "auth-server" not in answer


@pytest.mark.parametrize("fields", [
    {"Auth_User": "%"}, {"Auth_User": "x%4"}, {"Auth_User": "x%00@example.org"},
    {"Auth_User": "x%ff@example.org"}, {"Auth_User": ""}, {"Client_IP": "unix:"},
    {"Client_IP": ""}, {"Auth_SSL": "yes"}, {"Auth_Protocol": "nntp"}, {"Auth_Protocol": ""},
])
def test_nginx_mail_asked_badly(served, fields):
    gatepost, doors = served
    answer = doors.unix.nginx("x@example.org", **fields)
    assert answer["auth-status"] != "OK" and "auth-server" not in answer
    assert gatepost.verdicts() == []


def test_nginx_mail_with_a_field_twice(served):
    gatepost, doors = served
    good = [("Auth-User", "x@example.org"), ("Auth-Protocol", "imap"), ("Client-IP", "192.0.2.1"),
            ("Auth-SSL", "on")]
    assert doors.unix.ask("/v1/nginx-mail", headers=good).headers["auth-status"] == "OK"
    gatepost.forget()
    for field in good:
        answer = doors.unix.ask("/v1/nginx-mail", headers=[*good, field])
        assert answer.status == 200 and answer.headers["auth-status"] != "OK", field
    assert gatepost.verdicts() == []


# --- passwords


def test_password(served, domain):
    gatepost, doors = served
    good = doors.passwords.password(f"alice@{domain}", service="pop3")
    assert told(good) == (204, "accept", "account") and good.text == ""
    off = doors.passwords.password(f"alice@{domain}")
    assert told(off) == (403, "reject", "protocol-disabled")
    assert "imap is switched off" in off.headers["x-gatepost-text"]
    assert told(doors.passwords.password(f"bad@{domain}")) == (503, "defer", "policy-malformed")
    assert told(doors.passwords.password(f"secure@{domain}", tls=False))[2] == "tls-required"
    assert {verdict["door"] for verdict in gatepost.verdicts()} == {"dovecot"}


@pytest.mark.parametrize("bad", [
    {"service": 1}, {"service": ""}, {"account": ""}, {"account": None}, {"ip": "x"}, {"ip": 1},
    {"tls": "yes"}, {"password": 1}, {"password": None}, {"nonce": 1}])
def test_password_asked_badly(served, bad):
    gatepost, doors = served
    answer = doors.passwords.password(**{"account": "x@example.org", **bad})
    assert told(answer) == (400, "reject", "bad-request")
    assert gatepost.verdicts() == []


def memory_has(pid, octets):
    """Whether a process has these octets anywhere in what it can write."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if not mode.startswith("rw") or int(end, 16) - int(start, 16) > 1 << 30:
                continue        # what is that large is the shadow of a sanitizer
            memory.seek(int(start, 16))
            try:
                if octets in memory.read(int(end, 16) - int(start, 16)):
                    return True
            except OSError:
                continue
    return False


def test_a_password_leaves_nothing_behind(served, domain):
    """Not even its end, after the allocator has written over its begin."""
    gatepost, doors = served
    stay = DoorClient(doors.passwords_path, keep=True)
    asked = [lambda client, secret: client.password(f"alice@{domain}", secret),
             lambda client, secret: client.password(f"alice@{domain}", secret, "pop3"),
             lambda client, secret: client.password(f"alice@{domain}", secret, nonce=1),
             lambda client, secret: client.ask(
                 "/v1/password", "POST", json.dumps({"password": secret})[:-1] + ',"a":1,"a":2}'),
             lambda client, secret: client.ask("/v1/password", "POST", secret),
             lambda client, secret: client.ask("/v1/allow", "POST", secret)]
    statuses = []
    for number, ask in enumerate(asked * 2):
        client = stay if number < len(asked) else doors.passwords
        secret = f"{number}-Tr0ubador-".ljust(200, "x") + f"{number}-{domain}-4-staple"
        statuses.append(ask(client, secret).status)
        tail = secret[-30:].encode()
        wait_until(lambda: not memory_has(gatepost.pid, tail), 3, f"no password of {number}")
    assert statuses == [403, 204, 400, 400, 400, 404] * 2
    assert memory_has(gatepost.pid, f"alice@{domain}".encode())    # the search finds something
    stay.close()
    gatepost.remember()
    assert "-4-staple" not in "\n".join(gatepost.log_lines())
