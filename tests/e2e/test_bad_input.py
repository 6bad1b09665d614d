"""Bad configuration, bad policy and hostile strings: told plainly, harmless, one line each."""

import pytest

from support import gatepost as gatepost_module
from support import policy
from support.dovecot import NOT_UTF8
from support.process import wait_until

CLIENT = "192.0.2.10"

# (a line that replaces or adds to a good file, the word that the message must name)
BAD_LINES = [
    ('no_such_key = "x"', "no_such_key"),
    ('socket = "unix:/tmp/twice"', "socket"),
    ('store_timeout = "soon"', "store_timeout"),
    ('store_timeout = "-1s"', "store_timeout"),
    ('cache_ttl = "5 parsecs"', "cache_ttl"),
    ("cache_entries = many", "cache_entries"),
    ("cache_entries = -1", "cache_entries"),
    ('socket_mode = "0999"', "socket_mode"),
    ("on_store_error = shrug", "on_store_error"),
    ("mode = perhaps", "mode"),
    ("log = papyrus", "log"),
    ("log_format = xml", "log_format"),
    ("authentication_results = perhaps", "authentication_results"),
    ('store = "gopher://127.0.0.1"', "store"),
    ('store = "redis://127.0.0.1:999999/0"', "store"),
    ('http_listen = "127.0.0.1:999999"', "http_listen"),
    ('http_listen = "nowhere"', "http_listen"),
    ('http_listen = "127.0.0.1"', "http_listen"),
    ('http_listen = "localhost:9478"', "http_listen"),
    ('http_listen = "::1:9478"', "http_listen"),
    ('http_listen = "*:9478"', "http_listen"),
    ('http_listen = "127.0.0.1:9478/metrics"', "http_listen"),
    ("log_level = loud", "log_level"),
    ('network "n" { members = { "10.0.0.0/33" } }', "10.0.0.0/33"),
    ('network "n" { members = { "10.0.0.256" } }', "10.0.0.256"),
    ('network "n" { members = { "2001:db8::/129" } }', "2001:db8::/129"),
    ('network "n" { members = { "localhost" } }', "localhost"),
    ('network "n" { }\nnetwork "n" { }', "n"),
    ('network "n" { member = { "10.0.0.1" } }', "member"),
    ('listener "a" { service = gopher }', "gopher"),
    ("listener \"a\" { daemon_port = 99999 }", "daemon_port"),
    ("listener \"a\" { tls = perhaps }", "tls"),
    ("listener \"a\" { auth = perhaps }", "auth"),
    ("listener \"a\" { unknown_sender = perhaps }", "unknown_sender"),
    ("listener \"a\" { daemon_port = 25 daemon_port = 26 }", "daemon_port"),
    ("listener \"a\" { }\nlistener \"a\" { }", "a"),
    ('protocol "p" { services = { "gopher" } }', "gopher"),
    ("spf { fail = explode }", "fail"),
    ("spf { helo = sometimes }", "helo"),
    ('spf { timeout = "later" }', "timeout"),
    ('spf { nameservers = { "resolver.example" } }', "nameservers"),
    ('reply "no-such-reason" { text = "x" }', "no-such-reason"),
    ('reply "spf" { txt = "x" }', "txt"),
    ("spf {", None),
    ('default_domain = "unfinished', None),
]


@pytest.mark.parametrize("line, named", BAD_LINES,
                         ids=lambda value: str(value).replace("\n", ";")[:50])
def test_configuration_is_refused(tmp_path, line, named):
    """-t fails and says FILE:LINE and the key."""
    conf = tmp_path / "gatepost.conf"
    good = 'socket = "unix:/tmp/nowhere.sock"\nlog = stderr\n\n'
    conf.write_text(good + line + "\n")
    result = gatepost_module.check(str(conf))
    assert result.returncode != 0
    places = [f"{conf}:{number}" for number in range(4, 4 + line.count("\n") + 2)]
    assert any(place in result.stderr for place in places), result.stderr
    if named:
        assert named in result.stderr
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr


def test_a_good_configuration_passes(site, redis, module_filter):
    result = gatepost_module.check(module_filter.conf)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("content", [None, "directory", "", "\0\0\0", "\xff" * 5000],
                         ids=["missing", "directory", "empty", "NULs", "noise"])
def test_configuration_that_is_none(tmp_path, content):
    """No file, no configuration: an error that names the file. An empty one is all defaults."""
    conf = tmp_path / "gatepost.conf"
    if content == "directory":
        conf.mkdir()
    elif content is not None:
        conf.write_bytes(content.encode("latin-1"))
    result = gatepost_module.check(str(conf))
    if content == "":
        # the default user may not exist here
        assert result.returncode == 0 or 'user "gatepost": there is no' in result.stderr
    else:
        assert result.returncode not in (0, -6, -11)
        assert str(conf) in result.stderr
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr


@pytest.mark.parametrize("field, value", [
    ("protocol:smtp", "perhaps"),
    ("protocol:smtp", ""),
    ("protocol:*", "1x"),
    ("source", "authorised"),
    ("source", ""),
    ("ip:192.0.2.0/33", ""),
    ("ip:office", ""),
    ("spf:none", "bounce"),
    ("mode", "dry-run"),
])
def test_malformed_field(site, redis, dns, domain, gatepost, field, value):
    """The message that needs it is deferred; the log names key and field; others go on."""
    account = f"account:alice@{domain}"
    redis.cli("HSET", "gatepost:" + account, field, value)
    if field == "mode":       # needed by a refusal alone
        redis.cli("HSET", "gatepost:" + account, "protocol:smtp", "off")
    smtp = site.session("mx", CLIENT)
    gatepost.forget()
    reply = smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (451, "4.3.5")
    verdict = gatepost.verdict(stage="mail")
    assert (verdict["reason"], verdict["from"]) == ("policy-malformed", f"{account}:{field}")
    assert any(f"gatepost:{account}" in line and field in line
               for line in gatepost.log_lines() if "event=verdict" not in line)
    smtp.rset()
    assert smtp.mail(f"bob@{domain}").code == 250


@pytest.mark.parametrize("command", [
    ("SET", "{key}", "protocol:smtp off"),
    ("RPUSH", "{key}", "protocol:smtp", "off"),
    ("SADD", "{key}", "protocol:smtp"),
    ("ZADD", "{key}", "1", "protocol:smtp"),
], ids=lambda command: command[0])
@pytest.mark.parametrize("subject", ["account:alice@{d}", "account:@{d}", "account:*"])
def test_key_of_the_wrong_type(site, redis, dns, domain, gatepost, command, subject):
    key = "gatepost:" + subject.format(d=domain)
    redis.cli(*(word.format(key=key) for word in command))
    smtp = site.session("mx", CLIENT)

    def refusal():
        reply = smtp.mail(f"alice@{domain}")
        if reply.code == 250:       # that there is no such key was still known
            smtp.rset()
        return reply if reply.code != 250 else None

    reply = wait_until(refusal)
    assert (reply.code, reply.enhanced) == (451, "4.3.5")
    assert gatepost.verdict(stage="mail", verdict="defer")["reason"] == "policy-malformed"
    gatepost.wait_log(key)
    redis.cli("DEL", key)
    gatepost.catch_up(redis)
    smtp.rset()
    assert smtp.mail(f"alice@{domain}").code == 250


def test_login_that_is_not_utf8(site, redis, gatepost):
    """Postfix hands it on with question marks; it is an account like any other."""
    gatepost.catch_up(redis)
    smtp = site.session("submission", CLIENT, login=NOT_UTF8)
    assert smtp.mail("alice@example.com").code == 250
    assert gatepost.verdict(stage="mail")["account"] == "d?j?@example.com"


HOSTILE = [
    b"two words", b'quo"ted', b"back\\slash", b"per%cent %s %n %%", b"equals=sign",
    b"event=verdict verdict=accept", b'x" verdict="accept', b"line\nevent=verdict verdict=accept",
    b"carriage\rreturn", b"tab\tbed", b"bell\x07", b"escape\x1b[31m", b"delete\x7f",
    b"latin \xe9\xe0", b"half \xc3", b"overlong \xc0\xaf", b"\xed\xa0\x80 surrogate",
    b"c1 \xc2\x85 nel", b"line separator \xe2\x80\xa8 here", b"long" * 1024, b"\xff\xfe" * 700,
]


def _as_id(value):
    return repr(value)[:30] if isinstance(value, bytes) else None


@pytest.fixture
def only_one_line_each(gatepost):
    """Whatever was said in the test: its verdicts are one line of logfmt each, all printable."""
    yield
    lines = gatepost.log_lines()
    assert sum("event=verdict" in line for line in lines) >= 1
    for line in lines:
        if "event=verdict" in line:
            assert line.isprintable(), ascii(line)
    for verdict in gatepost.verdicts():       # parses them strictly
        assert verdict["stage"] in ("connect", "mail")


@pytest.mark.parametrize("text", HOSTILE, ids=_as_id)
@pytest.mark.parametrize("place", ["helo", "host", "sender", "login"])
def test_hostile_string(redis, dns, gatepost, milter_session, only_one_line_each, place, text):
    """What no MTA would pass on still makes one log line and one safe reply."""
    redis.cli("HSET", "gatepost:account:*", "protocol:*", "off")
    redis.cli("HSET", "gatepost:account:@evil.example", "source", "authorized")
    said = {"helo": "client.example", "host": "client.example", "sender": b"bob", "login": None}
    said[place] = text
    mta = milter_session(gatepost, helo=said["helo"], host=said["host"])
    response = mta.mail(said["sender"] + b"@evil.example", login=said["login"])
    assert response.letter == "y"
    assert response.reply.isprintable()
    assert "%" not in response.reply.replace("%%", "")
    assert len(response.reply) < 980
    verdict = gatepost.verdict(stage="mail")
    assert verdict["verdict"] in ("reject", "defer")
    assert response.reply.endswith(verdict["session"])


# Postfix 3.10 takes no line of more than 2048 octets
@pytest.mark.parametrize("helo", ["h" * 2000, "two words", 'quo"ted', "100%s%n"])
def test_hostile_helo_through_postfix(site, redis, dns, domain, gatepost, only_one_line_each,
                                      helo):
    smtp = site.session("mx", CLIENT, helo=helo)
    reply = smtp.mail("")
    assert reply.code == 250, reply
    assert gatepost.verdict(stage="mail")["client"] == CLIENT
    smtp.quit()


@pytest.mark.parametrize("local", ['"two words"', '"quo\\"ted"', "per%cent", "100%s%n",
                                   '"tab\ted"', "x" * 64, "o'brien", "a=b"])
def test_hostile_sender_through_postfix(site, redis, dns, domain, gatepost, only_one_line_each,
                                        local):
    """The refusal reaches the client whole: code, text and session id, percent signs single."""
    policy.load(redis, "account:@{d} protocol:smtp off", d=domain)
    smtp = site.session("mx", CLIENT)
    gatepost.forget()
    reply = smtp.mail(f"{local}@{domain}")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert reply.text.isprintable()
    verdict = gatepost.verdict(stage="mail")
    assert reply.text.endswith(verdict["session"])
    if "%" in local:
        assert local in reply.text


def test_smtputf8_sender(site, redis, dns, domain, gatepost, only_one_line_each):
    """A local part beyond ASCII, and the domain as U-label: found by its A-label."""
    redis.cli("HSET", "gatepost:account:jürgen@xn--bcher-kva.example", "protocol:smtp", "off")
    smtp = site.session("mx", CLIENT)
    for sender in ("jürgen@bücher.example", "jürgen@BÜCHER.example",
                   "jürgen+tag@xn--bcher-kva.example"):
        gatepost.forget()
        reply = smtp.mail(sender, "SMTPUTF8")
        assert (reply.code, reply.enhanced) == (550, "5.7.1"), sender
        assert gatepost.verdict(stage="mail")["account"] == "jürgen@xn--bcher-kva.example"
        smtp.rset()
