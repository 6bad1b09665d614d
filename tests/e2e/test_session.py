"""The life of a session: many messages, odd orders, broken-off dialogues, restarts, the end."""

import os
import signal

import pytest

from support import milter_client as wire
from support import policy
from support.dovecot import PASSWORD
from support.nameserver import TIMEOUT
from support.postfix import RECIPIENT
from support.process import wait_until

CLIENT = "192.0.2.10"


def send_message(site, smtp, sender, subject):
    assert smtp.mail(sender).code == 250
    assert smtp.rcpt(RECIPIENT).code == 250
    assert smtp.data(f"Subject: {subject}\n\nhello\n").code == 250
    return site.sink.wait_for(subject)


def test_messages_of_one_connection_are_judged_apart(site, redis, dns, domain, gatepost):
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    smtp = site.session("mx", CLIENT)
    for number in range(3):
        send_message(site, smtp, f"on@{domain}", f"message {number} of {domain}.")
        assert smtp.mail(f"off@{domain}").code == 550
        smtp.rset()
    smtp.quit()
    verdicts = gatepost.verdicts(stage="mail")
    assert [v["verdict"] for v in verdicts] == ["accept", "reject"] * 3
    assert [v["sender"].strip("<>") for v in verdicts] == [f"on@{domain}", f"off@{domain}"] * 3


def test_rset_forgets_the_message(site, redis, dns, domain, gatepost):
    smtp = site.session("mx", CLIENT)
    for number in range(3):
        assert smtp.mail(f"dropped{number}@{domain}").code == 250
        assert smtp.rcpt(RECIPIENT).code == 250
        assert smtp.rset().code == 250
    message = send_message(site, smtp, f"kept@{domain}", f"after RSET {domain}.")
    assert f"dropped0@{domain}" not in " ".join(message.header("Authentication-Results"))
    assert f"kept@{domain}" in message.header("Authentication-Results")[0]


def test_login_does_not_outlive_its_session(site, redis, dns, domain, gatepost):
    """A login, then a stranger on a new connection: the stranger is nobody."""
    policy.load(redis, "account:alice@example.com protocol:submission off")
    smtp = site.session("mx", CLIENT, login="alice@example.com")
    assert smtp.mail(f"alice@{domain}").code == 550
    smtp.quit()
    smtp = site.session("mx", CLIENT)
    assert smtp.mail(f"alice@{domain}").code == 250
    assert gatepost.verdicts(stage="mail")[-1]["login"] == ""


def test_second_ehlo_after_starttls(site, redis, dns, domain, gatepost):
    """What was said before TLS counts no more; TLS is seen although the session began without."""
    policy.load(redis, "account:alice@example.com tls required")
    dns.zones[domain] = {"TXT": ["v=spf1 -all"]}
    smtp = site.session("mx", CLIENT, helo=domain)
    assert smtp.mail("").code == 550            # HELO fails SPF
    smtp.rset()
    assert smtp.starttls().code == 220
    smtp.ehlo("other.example")
    assert smtp.mail("").code == 250            # a HELO that has no SPF record
    assert gatepost.verdicts(stage="mail")[-1]["helo"] == "other.example"
    smtp.rset()
    assert smtp.auth_plain("alice@example.com", PASSWORD).code == 235
    assert smtp.mail("alice@example.com").code == 250


def test_mail_without_helo(redis, dns, domain, gatepost):
    with wire.MilterClient(gatepost.socket) as mta:
        mta.negotiate()
        mta.connect(CLIENT)
        assert mta.mail(f"alice@{domain}").letter in "ca"
    assert gatepost.verdict(stage="mail")["helo"] == ""


def test_null_sender_without_helo(redis, dns, gatepost):
    with wire.MilterClient(gatepost.socket) as mta:
        mta.negotiate()
        mta.connect(CLIENT)
        assert mta.mail("").letter in "ca"
    assert gatepost.verdict(stage="mail")["spf"] in ("none", "")


def test_two_mails_without_an_abort(redis, dns, domain, gatepost, milter_session):
    policy.load(redis, "account:off@{d} protocol:smtp off", d=domain)
    mta = milter_session(gatepost)
    for _ in range(3):
        assert mta.mail(f"on@{domain}").letter in "ca"
        assert mta.mail(f"off@{domain}").reply.startswith("550 5.7.1")
    assert len(gatepost.verdicts(stage="mail")) == 6


def test_abort_after_each_step(redis, dns, domain, gatepost, milter_session):
    """The next message of the session is judged and marked as if nothing had been before."""
    mta = milter_session(gatepost)
    steps = [mta.rcpt, mta.data, lambda: mta.header("Subject", "x"), mta.end_headers,
             lambda: mta.body(b"hello\r\n")]
    for count in range(len(steps) + 1):
        assert mta.mail(f"gone{count}@{domain}").letter in "ca"
        for step in steps[:count]:
            step()
        mta.abort()
        assert mta.mail(f"stays{count}@{domain}").letter in "ca"
        changes, final = mta.message([("Subject", "x")])
        assert final.letter in "ca"
        inserted = b" ".join(change.data for change in changes if change.letter in "ih")
        assert f"stays{count}@{domain}".encode() in inserted
        assert b"gone" not in inserted


@pytest.mark.parametrize("packets", [
    [wire.packet("E")],
    [wire.packet("A"), wire.packet("A")],
    [wire.rcpt("rcpt@local.test")],
    [wire.header("Subject", "x"), wire.packet("N")],
    [wire.packet("B", b"body")],
    [wire.packet("D", b"M")],
    [wire.packet("D", b"Mno end")],
    [wire.packet("D", b"Mname\0")],
    [wire.packet("C", b"no family")],
    [wire.packet("C", b"client\0" + b"4\0\x19no address")],
    [wire.packet("C", b"client\0" + b"4\0\x19not-an-address\0")],
    [wire.packet("C", b"client\0" + b"6\0\x19IPv6:zz::1\0")],
    [wire.packet("C", b"client\0" + b"6\0\x192001:db8::1\0")],
    [wire.packet("C", b"client\0U")],
    [wire.packet("C", b"client\0L\0\0/run/client.sock\0")],
    [wire.packet("M")],
    [wire.packet("M", b"\0")],
    [wire.packet("M", b"no-brackets\0")],
    [wire.packet("M", b"<>\0"), wire.packet("M", b"<\0")],
    [wire.packet("M", b"<" + b"x" * 60000 + b">\0")],
    [wire.packet("H", b"")],
    [wire.packet("H", b"\0")],
    [wire.packet("?", b"what")],
    [b"\0\0\0\0"],
    [b"\xff\xff\xff\xffO"],
    [b"GET / HTTP/1.1\r\n\r\n"],
    [bytes(range(255, -1, -1)) * 16],
], ids=lambda packets: repr(packets[0][4:24]))
@pytest.mark.parametrize("before", ["nothing", "negotiation", "helo"])
def test_garbage(redis, dns, domain, gatepost, milter_session, packets, before):
    """Whatever comes, the filter goes on serving others."""
    mta = wire.MilterClient(gatepost.socket)
    if before != "nothing":
        mta.negotiate()
    if before == "helo":
        mta.connect(CLIENT)
        mta.helo()
    try:
        for packet in packets:
            mta.send(packet)
        mta.send(wire.packet("Q"))
        while mta.receive():      # to the end of what it has to say
            pass
    except (ConnectionError, TimeoutError):
        pass
    finally:
        mta.close()
    assert milter_session(gatepost).mail(f"alice@{domain}").letter in "ca"
    assert gatepost.running()


@pytest.mark.parametrize("data", [b"local\0U", b"local\0L\0\0/run/client\0"],
                         ids=["unknown", "unix"])
def test_client_without_an_address(redis, dns, domain, gatepost, data):
    """A local client (sendmail -bs): its message gets a verdict like any other."""
    with wire.MilterClient(gatepost.socket) as mta:
        mta.negotiate()
        mta.send(wire.macros("C", wire.MACROS))
        mta.step("C", wire.packet("C", data))
        mta.helo()
        assert mta.mail(f"alice@{domain}").letter in "ca"
    assert gatepost.verdict(stage="mail")["sender"].strip("<>") == f"alice@{domain}"


def valid_stream(domain):
    """All that an MTA sends in a session of two messages, and QUIT."""
    connection = {**wire.MACROS, "v": "Postfix 3.7.11", "_": "client.example [192.0.2.10]"}
    message = [
        wire.macros("M", {"{mail_addr}": f"alice@{domain}", "{mail_mailer}": "smtp"}),
        wire.mail(f"alice@{domain}", "SIZE=100", "BODY=8BITMIME"),
        wire.macros("R", {"{rcpt_addr}": "rcpt@local.test"}), wire.rcpt("rcpt@local.test"),
        wire.macros("T", {"i": "4ABCDEF"}), wire.packet("T"),
        wire.header("Authentication-Results", f"{wire.MACROS['j']}; spf=pass"),
        wire.header("Subject", "x"), wire.packet("N"), wire.packet("B", b"hello\r\n"),
        wire.macros("E", {"i": "4ABCDEF"}), wire.packet("E"),
    ]
    return b"".join([
        wire.negotiation(), wire.macros("C", connection), wire.connect(CLIENT),
        wire.helo("client.example"), *message, wire.packet("A"), *message, wire.packet("Q")])


def connections(gatepost):
    """How many connections the filter holds on its socket."""
    with open("/proc/net/unix") as table:
        return sum(line.split()[5] == "03" for line in table
                   if line.rstrip("\n").endswith(" " + gatepost.socket))


def all_are_freed(gatepost):
    wait_until(lambda: connections(gatepost) == 0, 20, "all connections freed")


def open_files(gatepost):
    return len(os.listdir(f"/proc/{gatepost.pid}/fd"))


def test_connection_dropped_at_every_byte(redis, dns, domain, gatepost, milter_session):
    stream = valid_stream(domain)
    all_are_freed(gatepost)
    before = open_files(gatepost)
    for length in range(len(stream)):
        with wire.MilterClient(gatepost.socket) as mta:
            mta.send(stream[:length])
    all_are_freed(gatepost)
    assert open_files(gatepost) < before + 50, "no file left open for each connection"
    assert milter_session(gatepost).mail(f"bob@{domain}").letter in "ca"


def test_connection_dropped_after_every_answer(redis, dns, domain, gatepost, milter_session):
    """As above, but the filter has come to rest in each state before the line goes dead."""
    def walk(mta, count):
        steps = [mta.negotiate, lambda: mta.connect(CLIENT), mta.helo,
                 lambda: mta.mail(f"alice@{domain}"), mta.rcpt, mta.data,
                 lambda: mta.header("Subject", "x"), mta.end_headers,
                 lambda: mta.body(b"hello\r\n"), mta.end_of_message]
        for step in steps[:count]:
            step()
        return len(steps)
    count, steps = 0, 1
    while count <= steps:
        with wire.MilterClient(gatepost.socket) as mta:
            steps = walk(mta, count)
        count += 1
    all_are_freed(gatepost)
    assert milter_session(gatepost).mail(f"bob@{domain}").letter in "ca"


def test_hundreds_of_idle_connections(site, redis, dns, domain, gatepost):
    """Mail flows past them, and nothing is left of them."""
    idle = []
    for number in range(400):
        mta = wire.MilterClient(gatepost.socket)
        idle.append(mta)
        if number % 2:
            mta.negotiate()
            mta.connect(CLIENT)
            mta.helo()
    wait_until(lambda: connections(gatepost) >= len(idle), 10, "all of them connected")
    smtp = site.session("mx", CLIENT)
    send_message(site, smtp, f"alice@{domain}", f"past the idle {domain}.")
    smtp.quit()
    for mta in idle:
        mta.close()
    all_are_freed(gatepost)


def test_dropped_while_waiting_for_dns(redis, dns, domain, gatepost, milter_session):
    """The MTA is gone before the answer is: others are served, the session is freed."""
    waiting = [milter_session(gatepost) for _ in range(10)]
    silent = [f"n{number}.{domain}" for number in range(len(waiting))]
    for mta, name in zip(waiting, silent):
        dns.zones[name] = TIMEOUT
        mta.send(wire.macros("M", {"{mail_addr}": f"alice@{name}"}) + wire.mail(f"alice@{name}"))
    wait_until(lambda: all(dns.count(name) for name in silent), 20, "the questions")
    for mta in waiting:
        mta.close()
    other = milter_session(gatepost)
    assert other.mail(f"bob@other-{domain}").letter in "ca"
    other.close()
    all_are_freed(gatepost)


@pytest.mark.parametrize("macro_values, listener", [
    ({"{daemon_name}": "SUBMISSIONS"}, "submissions"),
    ({"{daemon_name}": "PLAIN"}, "plain"),
    ({"{daemon_name}": "NONE", "{daemon_port}": "1"}, "mx"),
])
def test_listener_is_found_by_macros(redis, dns, domain, gatepost, milter_session,
                                     macro_values, listener):
    """By name, by port, and the first one when none matches."""
    milter_session(gatepost, macro_values=macro_values).mail(f"alice@{domain}")
    assert gatepost.verdict(stage="mail")["listener"] == listener


def test_filter_down_and_back(site, redis, dns, domain, gatepost):
    """milter_default_action = tempfail while it is away; mail flows when it is back."""
    assert gatepost.stop() == 0
    smtp = site.session("mx", CLIENT)
    reply = smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (451, "4.7.1")
    smtp.quit()
    gatepost.start()
    smtp = site.session("mx", CLIENT)
    send_message(site, smtp, f"alice@{domain}", f"back again {domain}.")


def test_filter_restarted_within_a_connection(site, redis, dns, domain, gatepost):
    smtp = site.session("mx", CLIENT)
    assert smtp.mail(f"alice@{domain}").code == 250
    smtp.rset()
    gatepost.restart()
    reply = smtp.mail(f"alice@{domain}")
    assert (reply.code, reply.enhanced) == (451, "4.7.1")
    smtp.quit()
    assert site.session("mx", CLIENT).mail(f"alice@{domain}").code == 250


def test_killed_filter_comes_back(site, redis, dns, domain, gatepost):
    """The socket left behind by a kill -9 does not hinder the next start."""
    assert gatepost.stop(signal.SIGKILL) == -signal.SIGKILL
    assert os.path.exists(gatepost.socket)
    gatepost.start()
    assert site.session("mx", CLIENT).mail(f"alice@{domain}").code == 250


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_stop_with_sessions_open(site, redis, start_gatepost, milter_session, domain, number):
    gatepost = start_gatepost()
    mta = milter_session(gatepost)
    assert mta.mail(f"alice@{domain}") is not None
    milter_session(gatepost)
    assert gatepost.stop(number) == 0
