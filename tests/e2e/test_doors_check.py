"""`gatepostctl doors check`: servers that are odd or hostile, certificates, files of passwords.

What real ones say is in test_doors_check_host.py.
"""

import base64
import os
import socket
import time

import pytest

from support.folder import Folder
from support.gatepostctl import Gatepostctl
from support.odd_server import OddServer, conversation
from support.ports import free_port
from support.tls import Authority

HOST = "mail.gatepost.test"
CANARY = "canary@example.com"
OURS = (b"imap is switched off for canary@example.com: switch it on in the account's settings; "
        b"session 1a2b-3")
DOORS = ("smtp", "submission", "submissions", "smtp-alt", "imap", "imaps", "pop3", "pop3s",
         "sieve")


@pytest.fixture(scope="module")
def folder():
    made = Folder("gpdoors-")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder.sub("ca"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("good", f"DNS:{HOST}", days=60)


@pytest.fixture
def ctl(folder, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", authority.cert)
    return Gatepostctl(folder.file("doors.conf"), {
        "store": "file:" + folder.file("policy"), "default_domain": "example.com"})


@pytest.fixture
def password(folder):
    path = folder.file("password")
    with open(path, "w") as file:
        file.write("right horse\n")
    os.chmod(path, 0o600)
    return path


def check(ctl, *options, host=HOST, address="127.0.0.1", **ports):
    """Run it with only these doors."""
    words = ["doors", "check", host, "--address", address, "--json", *options]
    for door in DOORS:
        words += ["--port", f"{door}={ports.get(door.replace('-', '_'), 'none')}"]
    for door, port in ports.items():
        if door.replace("_", "-") not in DOORS:
            words += ["--port", f"{door}={port}"]
    return ctl.run(*words)


def one(run):
    """The report of the only door."""
    (door,) = run.json()["doors"]
    return door


def words(run):
    return [remark["word"] for remark in one(run)["remarks"]]


TOKEN = base64.b64encode(f"\0{CANARY}\0right horse".encode())


# ---- what is no door, or an odd one ----

def test_nobody_listens(ctl):
    run = check(ctl, imap=free_port())
    assert run.status == 2 and one(run)["state"] == "closed"
    assert run.json()["unknown"] == "no door answers: is this the right host?"


@pytest.mark.parametrize("serve, word", [
    (lambda server, c: server.wait(), "no-answer"),
    (lambda server, c: None, "hung-up"),
    (lambda server, c: c.sendall(b"* OK"), "hung-up"),
    (lambda server, c: server.pour(c, b"* OK without end "), "not-understood"),
    (lambda server, c: server.drip(c, b"* OK slowly "), "no-answer"),
    (lambda server, c: c.sendall(b"* OK a\0b\r\n"), "not-understood"),
    (lambda server, c: c.sendall(b"* OK " + b"x" * 9000 + b"\r\n"), "not-understood"),
    (conversation(b"SSH-2.0-OpenSSH_9.2\r\n"), "not-understood"),
    (conversation(b"* BYE too many\r\n"), "turned-away"),
    (conversation(b"* OK hello\r\n", b"a BAD what\r\n"), "turned-away"),
    (conversation(b"* OK hello\r\n", b"", then=lambda server, c: server.pour(
        c, b"* OK still here\r\n")), "not-understood"),
    (conversation(b"* OK hello\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na OK\r\n",
                  b"a NO not today\r\n"), "turned-away"),
])
def test_what_cannot_be_known(ctl, serve, word):
    with OddServer(serve) as server:
        began = time.monotonic()
        run = check(ctl, "--timeout", "2s", imap=server.port)
    assert run.status == 2 and words(run) == [word] and one(run)["state"] == "unknown", run
    assert time.monotonic() - began < 4


def test_answers_are_shown_by_a_terminal(ctl):
    with OddServer(conversation(b"* BYE \x1b[31mred\r\n")) as server:
        run = ctl.run("doors", "check", HOST, "--address", "127.0.0.1", *(
            word for door in DOORS
            for word in ("--port", f"{door}={server.port if door == 'imap' else 'none'}")))
    assert run.status == 2 and "\x1b" not in run.out and "\\x1b[31mred" in run.out


def test_each_door_has_its_time(ctl):
    """A door that hangs keeps nobody from the next one."""
    with OddServer(lambda server, c: server.wait()) as hung, \
            OddServer(conversation(b"+OK\r\n", b"+OK\r\nUSER\r\n.\r\n")) as open_one:
        run = check(ctl, "--timeout", "1s", imap=hung.port, pop3=open_one.port)
    told = {door["door"]: door["state"] for door in run.json()["doors"]}
    assert run.status == 1 and told == {"imap": "unknown", "pop3": "finding"}


# ---- logins in the clear ----

@pytest.mark.parametrize("door, answers, expected", [
    ("imap", [b"* OK\r\n", b"* CAPABILITY IMAP4rev1\r\na OK\r\n"], ["auth-in-the-clear", "no-tls"]),
    ("imap", [b"* OK\r\n", b"* CAPABILITY LOGINDISABLED AUTH=PLAIN\r\na OK\r\n"],
     ["auth-in-the-clear", "no-tls"]),
    ("imap", [b"* PREAUTH root\r\n"], ["open"]),
    ("pop3", [b"+OK\r\n", b"+OK\r\nTOP\r\nSASL PLAIN LOGIN\r\n.\r\n"],
     ["auth-in-the-clear", "no-tls"]),
    ("pop3", [b"+OK\r\n", b"+OK\r\nUSER\r\n.\r\n"], ["auth-in-the-clear", "no-tls"]),
    ("sieve", [b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\nOK\r\n'],
     ["auth-in-the-clear", "no-tls"]),
    ("smtp", [b"220 a\r\n", b"250-a\r\n250-AUTH=LOGIN\r\n250 HELP\r\n"],
     ["auth-in-the-clear", "no-tls"]),
    ("smtp_alt", [b"220-a\r\n220 b\r\n", b"250-a\r\n250 AUTH PLAIN\r\n"],
     ["auth-in-the-clear", "no-tls"]),
])
def test_login_in_the_clear(ctl, door, answers, expected):
    with OddServer(conversation(*answers)) as server:
        run = check(ctl, **{door: server.port})
    assert run.status == 1 and words(run) == expected, run


def test_an_address_of_this_host(ctl):
    """Dovecot offers its own address what it offers no stranger. IPv4 has others to ask from."""
    seen = []

    def serve(server, connection):
        seen.append(connection.getpeername()[0])
        conversation(b"* OK\r\n", b"* CAPABILITY IMAP4rev1\r\na OK\r\n")(server, connection)
    with OddServer(serve, host="::1") as server:
        run = check(ctl, address="::1", imap=server.port)
    assert run.status == 1 and words(run) == ["auth-to-itself", "no-tls"], run
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]        # another address of this host, where it has one
    for address, source in (("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1"),
                            (own, "127.0.0.2")):
        with OddServer(serve, host=address) as server:
            run = check(ctl, address=address, imap=server.port)
        assert words(run)[0] == "auth-in-the-clear" and seen[-1] == source, run


@pytest.mark.parametrize("door, answers", [
    ("imap", [b"* OK\r\n", b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\na OK\r\n"]),
    ("pop3", [b"+OK\r\n", b"+OK\r\nSASL\r\nTOP\r\n.\r\n"]),
    ("sieve", [b'"IMPLEMENTATION" "SASL PLAIN"\r\n"SASL" ""\r\nOK "ready"\r\n']),
    ("smtp", [b"220 auth.example\r\n", b"250-AUTHOR.example\r\n250 SIZE AUTH\r\n"]),
])
def test_no_login_at_all(ctl, door, answers):
    with OddServer(conversation(*answers)) as server:
        run = check(ctl, **{door: server.port})
    assert run.status == 0 and words(run) == ["no-tls"] and one(run)["state"] == "good", run


# ---- TLS ----

IMAP = (b"* OK hello\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na OK\r\n")


@pytest.mark.parametrize("made, expected", [
    (dict(subject=f"DNS:{HOST}", days=60), []),
    (dict(subject=f"DNS:{HOST}", days=10), ["certificate-expires"]),
    (dict(subject=f"DNS:{HOST}", expired=True), ["certificate-expired"]),
    (dict(subject="DNS:other.example", days=60), ["certificate-name"]),
    (dict(subject="DNS:*.gatepost.test", days=60), []),
    (dict(subject="DNS:m*.gatepost.test", days=60), ["certificate-name"]),
    (dict(subject="DNS:other.example", expired=True), ["certificate-name", "certificate-expired"]),
])
def test_certificates(ctl, authority, made, expected):
    with OddServer(conversation(*IMAP), authority.issue("made", **made)) as server:
        run = check(ctl, imaps=server.port)
    assert words(run) == expected and run.status == (1 if expected else 0), run
    assert one(run)["certificate"]["verified"] == (expected in ([], ["certificate-expires"]))


def test_certificate_of_an_address(ctl, authority):
    with OddServer(conversation(*IMAP), authority.issue("ip", "IP:127.0.0.1", days=60)) as server:
        assert check(ctl, host="127.0.0.1", imaps=server.port).status == 0
        run = check(ctl, host="127.0.0.9", imaps=server.port)
    assert run.status == 1 and words(run) == ["certificate-name"], run


def test_certificate_of_nobody_known(ctl, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with OddServer(conversation(*IMAP), certificate) as server:
        run = check(ctl, imaps=server.port)
    assert run.status == 1 and words(run) == ["certificate-untrusted"], run


def test_no_tls_where_it_comes_first(ctl):
    with OddServer(conversation(b"* OK hello\r\n")) as server:
        run = check(ctl, imaps=server.port)
    assert run.status == 1 and words(run) == ["no-tls"], run


def test_a_handshake_that_hangs(ctl):
    with OddServer(lambda server, c: server.wait()) as server:
        run = check(ctl, "--timeout", "1s", imaps=server.port)
    assert run.status == 2 and words(run) == ["no-answer"], run


def starttls(server, connection):
    """An IMAP server that puts an answer behind that of STARTTLS, still in the clear."""
    connection.sendall(b"* OK hello\r\n")
    server.read(connection)
    connection.sendall(b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na OK\r\n")
    server.read(connection)
    connection.sendall(b"a OK begin\r\n* CAPABILITY IMAP4rev1 LOGINDISABLED\r\na OK injected\r\n")
    connection = server.wrap(connection)
    server.read(connection)
    connection.sendall(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na OK\r\n")
    while server.read(connection):
        pass


def test_nothing_of_the_clear_is_taken_for_tls(ctl, certificate):
    with OddServer(starttls, certificate) as server:
        server.wrap, wrap = lambda c: c, server.wrap
        server.wrap = lambda c, first=[True]: c if first and first.pop() else wrap(c)
        run = check(ctl, imap=server.port)
    assert run.status == 0 and "no-login" not in words(run), run


# ---- the canary ----

def canary(ctl, password, *options, **ports):
    return check(ctl, "--canary", CANARY, "--password-file", password, *options, **ports)


ALL_OF_IMAP = (*IMAP, b"+ \r\n")


@pytest.mark.parametrize("answer, status, word", [
    (b"a NO [ALERT] " + OURS + b"\r\n", 0, "refused"),
    (b"a OK logged in\r\n", 1, "let-in"),
    (b"a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n", 2, "unproven"),
    (b"a NO imap is switched off for canary@example.com\r\n", 2, "unproven"),
    (b"a NO [UNAVAILABLE] Temporary authentication failure.\r\n", 2, "unproven"),
    (b"a NO the policy of canary@example.com is unavailable: try again later; session 1-2\r\n", 2,
     "unproven"),
    (b"* BYE you\r\n", 2, "hung-up"),
])
def test_canary(ctl, password, certificate, answer, status, word):
    def serve(server, connection):
        conversation(*ALL_OF_IMAP, answer, then=lambda server, c: (
            c.close() if answer.startswith(b"*") else None))(server, connection)
    with OddServer(serve, certificate) as server:
        run = canary(ctl, password, imaps=server.port)
    assert run.status == status and words(run) == [word], run
    assert server.heard[1:3] == [b"a AUTHENTICATE PLAIN\r\n", TOKEN + b"\r\n"]
    assert "right horse" not in run.out + run.err and TOKEN.decode() not in run.out + run.err


@pytest.mark.parametrize("text, answer, status", [
    ("No {service} for you, {account}: 100%", b"No imap for you, x: 100%; session 1", 0),
    ("No {service} for you, {account}: 100%", b"No imap for you, x: 100%%; session 1", 0),
    ("No {service} for you, {account}: 100%", OURS, 2),
    ("failed", b"Authentication failed", 2),
])
def test_canary_and_texts_of_the_configuration(folder, authority, certificate, password,
                                               monkeypatch, text, answer, status):
    monkeypatch.setenv("SSL_CERT_FILE", authority.cert)
    ctl = Gatepostctl(folder.file("texts.conf"), {
        "store": "file:" + folder.file("policy"), "reply": {"protocol-disabled": {"text": text}}})
    with OddServer(conversation(*ALL_OF_IMAP, b"a NO " + answer + b"\r\n"), certificate) as server:
        run = canary(ctl, password, imaps=server.port)
    assert run.status == status, run


@pytest.mark.parametrize("made", [
    dict(subject="DNS:other.example", days=60), dict(subject=f"DNS:{HOST}", expired=True)])
def test_the_password_goes_to_no_other_certificate(ctl, authority, password, made):
    with OddServer(conversation(*ALL_OF_IMAP, b"a OK in\r\n"),
                   authority.issue("wrong", **made)) as server:
        run = canary(ctl, password, imaps=server.port)
    assert run.status == 1 and "not-tried" in words(run) and "let-in" not in words(run), run
    assert not any(b"AUTHENTICATE" in line or TOKEN in line for line in server.heard)


def test_the_password_goes_to_nobody_unknown(ctl, certificate, password, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with OddServer(conversation(*ALL_OF_IMAP, b"a OK in\r\n"), certificate) as server:
        run = canary(ctl, password, imaps=server.port)
    assert run.status == 1 and words(run) == ["certificate-untrusted", "not-tried"], run
    assert not any(TOKEN in line for line in server.heard)


def test_the_password_never_goes_in_the_clear(ctl, password):
    with OddServer(conversation(*ALL_OF_IMAP, b"a OK in\r\n")) as server:
        run = canary(ctl, password, imap=server.port)
    assert run.status == 1 and words(run) == ["auth-in-the-clear", "no-tls"], run
    assert not any(TOKEN in line for line in server.heard)


def test_smtp_may_refuse_the_sender_instead(ctl, password, certificate):
    smtp = (b"220 a\r\n", b"250-a\r\n250 AUTH PLAIN\r\n", b"334 \r\n", b"235 in\r\n")
    for answer, status, word in ((b"550 5.7.1 " + OURS + b"\r\n", 0, "refused"),
                                 (b"250 2.1.0 Ok\r\n", 1, "let-in"),
                                 (b"451 4.3.0 later\r\n", 2, "unproven")):
        with OddServer(conversation(*smtp, answer), certificate) as server:
            run = canary(ctl, password, submissions=server.port)
        assert run.status == status and words(run) == [word], run
        assert server.heard[3] == b"MAIL FROM:<canary@example.com>\r\n"


def test_a_literal_of_managesieve(ctl, password, certificate):
    """Only after STARTTLS, which is all that it knows."""
    def serve(server, connection):
        greeting = b'"SASL" "%s"\r\n"STARTTLS"\r\nOK\r\n'
        connection.sendall(greeting % b"")
        server.read(connection)
        connection.sendall(b"OK\r\n")
        connection = server.wrap(connection)
        connection.sendall(greeting % b"PLAIN")
        server.read(connection)
        connection.sendall(b"NO {%d}\r\n%s\r\n" % (len(OURS), OURS))
        server.read(connection)
    with OddServer(serve, certificate) as server:
        wrap, server.wrap = server.wrap, lambda c: c

        def later(connection, calls=[]):
            calls.append(connection)
            return connection if len(calls) == 1 else wrap(connection)
        server.wrap = later
        run = canary(ctl, password, sieve=server.port)
    assert run.status == 0 and words(run) == ["refused"], run
    assert server.heard[1] == b'AUTHENTICATE "PLAIN" "' + TOKEN + b'"\r\n'


# ---- HTTP ----

def http(stranger, known=b""):
    """Answers without and with a password."""
    def serve(server, connection):
        fields = []
        while True:
            line = server.read(connection)
            if line in (b"\r\n", b""):
                break
            fields.append(line)
        token = base64.b64encode(f"{CANARY}:right horse".encode())
        given = b"Authorization: Basic " + token + b"\r\n" in fields
        connection.sendall(b"HTTP/1.1 " + (known if given else stranger))
    return serve


ASKS = b'401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'


@pytest.mark.parametrize("stranger, known, status, word", [
    (ASKS, b"403 Forbidden\r\n\r\n<html>\r\n<p>" + OURS + b"</p>\r\n</html>", 0, "refused"),
    (ASKS, b"403 Forbidden\r\nX-Gatepost-Text: " + OURS + b"\r\n\r\nno", 0, "refused"),
    (ASKS, b"403 Forbidden\r\n\r\nno", 2, "unproven"),
    (ASKS, b"401 Unauthorized\r\n\r\n", 2, "unproven"),
    (ASKS, b"401 Unauthorized\r\n\r\n" + OURS, 2, "unproven"),
    (ASKS, b"503 Unavailable\r\n\r\n", 2, "unproven"),
    (ASKS, b"207 Multi-Status\r\n\r\n", 1, "let-in"),
    (ASKS, b"404 Not Found\r\n\r\n", 1, "let-in"),
    (ASKS, b"302 Found\r\nLocation: /\r\n\r\n", 1, "let-in"),
    (b"200 OK\r\n\r\n", b"200 OK\r\n\r\n", 2, "no-login"),
    (b"502 Bad Gateway\r\n\r\n", b"", 2, "no-login"),
    (b"xyz\r\n", b"", 2, "not-understood"),
])
def test_http(ctl, password, certificate, stranger, known, status, word):
    with OddServer(http(stranger, known), certificate) as server:
        run = canary(ctl, password, "--path", "caldav=/dav/", caldav=server.port)
    assert run.status == status and words(run) == [word], run
    assert server.heard[0] == b"GET /dav/ HTTP/1.1\r\n"
    assert f"Host: {HOST}:{server.port}\r\n".encode() in server.heard


def test_http_without_an_end(ctl, certificate):
    for octets in (b"X: y\r\n", b"x"):
        with OddServer(lambda server, c, octets=octets: (
                c.sendall(b"HTTP/1.1 401 no\r\n"), server.pour(c, octets)), certificate) as server:
            run = check(ctl, "--path", "webdav=/", "--timeout", "3s", webdav=server.port)
        assert run.status == 2 and words(run) == ["not-understood"], run


def test_http_password_goes_to_no_other_certificate(ctl, authority, password):
    with OddServer(http(ASKS, b"200 OK\r\n\r\n"),
                   authority.issue("else", "DNS:other.example", days=60)) as server:
        run = canary(ctl, password, "--path", "jmap=/jmap", jmap=server.port)
    assert run.status == 1 and words(run) == ["certificate-name", "not-tried"], run
    assert not any(b"Authorization" in line for line in server.heard)


# ---- the command line ----

@pytest.mark.parametrize("mode, text, why", [
    (0o640, "x\n", "others may read it (mode 0640)"),
    (0o604, "x\n", "others may read it (mode 0604)"),
    (0o600, "", "it is empty"),
    (0o600, "\n", "it is empty"),
    (0o600, "a\nb\n", "it is not one line of text"),
    (0o600, "a\0b\n", "it is not one line of text"),
    (0o600, "x" * 500, "it is longer than 400 octets"),
])
def test_files_of_a_password(ctl, folder, mode, text, why):
    path = folder.file("odd-password")
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    run = canary(ctl, path, imap=free_port())
    assert run.status == 2 and run.json()["error"] == f"{path}: {why}" + (
        ": chmod 0600" if "others" in why else ""), run


def test_no_file_of_a_password(ctl, folder):
    fifo = folder.file("fifo")
    os.mkfifo(fifo, 0o600)
    run = canary(ctl, fifo, imap=free_port())
    assert run.status == 2 and "it is not a regular file" in run.err
    assert canary(ctl, folder.path, imap=free_port()).status == 2
    run = canary(ctl, folder.file("none"), imap=free_port())
    assert run.status == 2 and "No such file" in run.err


@pytest.mark.parametrize("options, why", [
    (["--port", "imap"], "it must be SERVICE=..."),
    (["--port", "imap=0"], "it must be 1 to 65535, or none"),
    (["--port", "imap=65536"], "it must be 1 to 65535, or none"),
    (["--port", "imap4=143"], "there is no such door"),
    (["--path", "imap=/"], "this door has no path"),
    (["--path", "caldav=dav"], "it must begin with /"),
    (["--path", "caldav=/a b"], "write octets that are none of a URL as %XX"),
    (["--path", "caldav=/\r\nX: y"], "write octets that are none of a URL as %XX"),
    (["--timeout", "0s"], "it must be 100ms to 1h"),
    (["--timeout", "5"], "it must be 100ms to 1h"),
    (["--address", "localhost"], "it is no address"),
    (["--canary", "x"], "need one another"),
    (["--password-file", "/dev/null"], "need one another"),
])
def test_options(ctl, options, why):
    run = ctl.run("doors", "check", "127.0.0.1", *options)
    assert run.status == 2 and why in run.err, run


@pytest.mark.parametrize("host", ["", "a b", "a/b", "x" * 300, "-c\n"])
def test_hosts(ctl, host):
    run = ctl.run("doors", "check", "--", host)
    assert run.status == 2 and "neither a host name nor an address" in run.err, run


def test_no_doors_at_all(ctl):
    run = check(ctl)
    assert run.status == 2 and run.json()["unknown"] == "there is no door to try"
    run = ctl.run("doors")
    assert run.status == 2 and "  doors check HOST" in run.err
