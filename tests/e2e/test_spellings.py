"""As whom an MTA delivers, that account's policy was judged, however the sender was spelt.

GATEPOST_SPELLINGS is how many spellings each MTA is given, GATEPOST_SPELLINGS_SEED which ones.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from support import policy, postfix, sendmail
from support.process import wait_until
from support.smtp_client import SmtpClient
from support.smtp_sink import SmtpSink
from support.spellings import CEO, D, IDN_ASCII, OWN, account_of, is_harmless, is_known, spellings
from support.tls import Certificate

COUNT = int(os.environ.get("GATEPOST_SPELLINGS", "1500"))
SEED = int(os.environ.get("GATEPOST_SPELLINGS_SEED", "1"))
CLIENT = "192.0.2.10"
LOGIN, MINE, TEAM = f"lo@z.{D}", f"alice@{OWN}", f"y.{D}"   # of the test with a login
POLICY = f"""
account:@{OWN}       source authorized
account:{CEO}        source authorized
account:@{IDN_ASCII} source authorized
account:{LOGIN}      sender own
account:{LOGIN}      as:{MINE} another of hers
account:{LOGIN}      as:@{TEAM} the team's
"""
SESSIONS, PER_SESSION = 6, 40       # at the same time; spellings in each
# all that the MTA accepts is to be delivered: the filter says what it would do
SETTINGS = {"trusted": [], "mode": "monitor", "authentication_results": False,
            "default_domain": OWN,      # what the MTAs, too, give to a name without a domain
            "listener": {"mx": {"daemon_name": "MX", "service": "smtp"}}}


class Outcome(NamedTuple):
    spelling: bytes
    code: int           # the MTA's answer to MAIL FROM
    verdict: dict       # the filter's, None when it was not asked
    sender: str         # as delivered, None when it was not

    def __str__(self):
        would = self.verdict and self.verdict.get("would", self.verdict["verdict"])
        return f"{self.spelling} is delivered as <{self.sender}>, judged: {would} " \
               f"as {self.verdict and self.verdict.get('account')}"


def send(connect, numbered, greeted):
    """MAIL FROM each spelling, and a message with its number where that is accepted.

    number -> (the answer to MAIL FROM, what the verdict line has as helo or queue). `greeted`: a
    HELO name for each; Sendmail slows those down who greet often, Postfix has no queue name yet.
    """
    answers, smtp = {}, None
    for nth, (number, spelling) in enumerate(numbered):
        if nth % PER_SESSION == 0:
            if smtp:
                smtp.quit()
            smtp = connect()
            smtp.ehlo()
        name = f"n{number}.{D}"
        if greeted:
            smtp.ehlo(name)
        answers[number] = smtp.command(b"MAIL FROM:" + spelling).code, name
        if answers[number][0] == 250:
            assert smtp.rcpt(postfix.RECIPIENT).code == 250, spelling
            reply = smtp.data(f"Subject: {number}\nX-Number: {number}\n\nhello")
            assert reply.code == 250, (spelling, reply)
            if not greeted:
                answers[number] = 250, reply.text.split()[1]
    smtp.quit()
    return answers


def outcomes(connect, sink, gatepost, greeted=False):
    """Every spelling with what became of it."""
    found = list(enumerate(spellings(COUNT, SEED)))
    answers = {}
    with ThreadPoolExecutor(SESSIONS) as pool:
        for part in pool.map(
                lambda n: send(connect, found[n::SESSIONS], greeted),
                range(SESSIONS)):
            answers.update(part)
    accepted = sum(code == 250 for code, _ in answers.values())
    wait_until(lambda: len(sink.messages()) >= accepted, 120, "everything delivered", 0.2)
    senders = {int(message.header("X-Number")[0]): message.sender for message in sink.messages()}
    key = "helo" if greeted else "queue"
    verdicts = {verdict[key]: verdict for verdict in gatepost.verdicts(stage="mail")}
    return [Outcome(spelling, answers[n][0], verdicts.get(answers[n][1]), senders.get(n))
            for n, spelling in found]


def check(found):
    delivered = [one for one in found if one.sender]
    known = [one for one in delivered if is_known(account_of(one.sender))]
    missed = [one for one in known if one.verdict.get("would") != "reject"]
    blamed = [one for one in found if one.verdict and one.verdict.get("would") == "reject"
              and not is_known(one.verdict["account"])]
    harmless = [one for one in delivered if is_harmless(one.spelling)]
    blamed += [one for one in harmless if one.verdict.get("would")]
    refused = sum(one.code != 250 for one in found)
    other = sum(account_of(one.sender) != account_of(one.verdict["sender"]) for one in delivered)
    print(f"{len(found)} spellings: {refused} refused by the MTA, {len(delivered)} delivered,"
          f" {other} of them as another than the plain reading, {len(known)} as a known account,"
          f" {len(missed)} of these not judged as that one, {len(blamed)} refused unknown,"
          f" {len(harmless)} with nothing known in them")
    # of what is tested here there is enough
    assert min(len(delivered), len(known)) > COUNT / 10 and other > COUNT / 20 and harmless
    assert not missed and not blamed, "\n".join(str(one) for one in missed + blamed)


def is_owned(account):
    return account == MINE or account.endswith("@" + TEAM)


def check_owned(found):
    """A login with `sender own`: what is let pass is delivered as its own address."""
    delivered = [one for one in found if one.sender]
    passed = [one for one in delivered if not one.verdict.get("would")]
    missed = [one for one in passed if not is_owned(account_of(one.sender))]
    owned = sum(is_owned(account_of(one.sender)) for one in delivered)
    plain = [one for one in delivered if is_owned(account_of(one.sender))
             and re.fullmatch(rb"<[a-z.]+@[\w.]+>", one.spelling)]
    print(f"{len(delivered)} delivered, {owned} of them as the login's own, {len(passed)} let pass")
    assert passed and owned < len(delivered) and all(one in passed for one in plain) and plain
    assert {one.verdict["login"] for one in delivered} == {LOGIN}
    assert not missed, "\n".join(str(one) for one in missed)


@pytest.fixture
def mail_filter(start_gatepost, site, redis):
    """A function (name) that starts the filter, its socket in the folder of that name."""
    def start(name):
        policy.load(redis, POLICY)
        socket = os.path.join(site.folder.sub("spellings-" + name), "milter.sock")
        return start_gatepost(SETTINGS, socket=socket)
    return start


@pytest.mark.parametrize("login", [False, True], ids=["", "login"])
def test_postfix(request, site, dns, mail_filter, login):
    gatepost = mail_filter("postfix")
    sink = SmtpSink()
    server = postfix.Postfix(
        site.folder.sub("spellings-postfix/server"), "unix:" + gatepost.socket,
        Certificate(site.folder.sub("spellings-postfix")), "none", sink.port,
        {"mx": postfix.Listener("MX")},
        [f"mydestination = {OWN}, localhost", f"myorigin = {OWN}", "recipient_delimiter = +"])
    request.node.server_log = server.log_text
    try:
        server.start()

        def connect():
            smtp = SmtpClient(server.ports["mx"])
            if login:
                smtp.ehlo()
                assert smtp.xclient(LOGIN=LOGIN).code == 220
            return smtp
        (check_owned if login else check)(outcomes(connect, sink, gatepost, greeted=True))
    finally:
        server.stop()
        sink.stop()


@pytest.mark.parametrize("name, settings", [
    ("plain", ()), ("always-domain", ("FEATURE(`always_add_domain')dnl",))])
def test_sendmail(request, site, dns, mail_filter, name, settings):
    gatepost = mail_filter("sendmail-" + name)
    folder = site.folder.sub("spellings-sendmail-" + name)
    server = sendmail.Sendmail(
        folder + "/server", "unix:" + gatepost.socket, Certificate(folder),
        {"mx": sendmail.Listener("MX")}, settings=(
            f"define(`confDOMAIN_NAME', `{OWN}')dnl", f"LOCAL_DOMAIN(`{OWN}')dnl",
            # each session delivers by itself, without a queue
            "define(`confDELIVERY_MODE', `interactive')dnl",
            "define(`confSAFE_QUEUE', `interactive')dnl",
            "define(`confBAD_RCPT_THROTTLE', `0')dnl", *settings))
    request.node.server_log = server.log_text
    try:
        server.start()
        server.network.have_address(CLIENT)
        check(outcomes(lambda: server.connect("mx", CLIENT), server.sink, gatepost))
    finally:
        server.stop()
