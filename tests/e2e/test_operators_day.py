"""An operator's day: install, accounts, protocols, a refusal and its cause, reload, roll back.

Commands are those of README.md and gatepostctl(8); only the paths are not.
"""

import glob
import os
import re

import pytest

from support.installed import BUILD, Installed
from support.ports import free_port
from support.postfix import RECIPIENT
from support.process import wait_until

pytestmark = pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "Makefile")),
                                reason="the filter under test stands in no build folder")


@pytest.fixture(params=["redis", "cluster", "file"])
def day(request, site, redis, make_cluster, dns, domain):
    """The filter as README.md has it installed, in front of a real Postfix."""
    here = Installed(site.folder.sub("day-" + request.param))
    here.site, here.domain = site, domain
    store = redis.url
    if request.param == "file":
        path = os.path.join(here.folder, "policy")
        open(path, "w").close()
        store = "file:" + path
    elif request.param == "cluster":
        store = make_cluster().url
    configure(here, store, dns)
    try:
        yield here
    finally:
        assert here.stop() == 0


def configure(here, store, dns):
    """The edits of gatepost.conf that this host needs: each setting is there with its default."""
    ports = here.site.postfix.ports
    here.set("socket", f'"unix:{here.site.milter_socket}"')
    here.set("store", f'"{store}"')
    here.set("default_domain", '"example.com"')
    here.set("log", "stderr")
    here.set("user", '"root"')         # the default user may not exist here
    here.set("http_listen", f'"127.0.0.1:{free_port()}"')
    here.set("nameservers", f'{{ "{dns.address}" }}')
    for port, door in (("25", "mx"), ("587", "submission"), ("465", "submissions")):
        here.edit(rf"[ ]*daemon_port[ ]*= {port}", f"    daemon_port = {ports[door]}")
    for name in ("imap4-smtp", "pop3-smtp"):
        line = next(line for line in here.text().splitlines() if f'#protocol "{name}"' in line)
        here.edit("#protocol \"" + name + "\".*", line[1:])


def send(day, door, sender, subject, client=None, login=None):
    """One message: the reply to MAIL FROM when that is a refusal, else "" once it has arrived.

    Without a subject it is taken back when it is not refused.
    """
    with day.site.session(door, client=client, login=login) as smtp:
        reply = smtp.mail(sender)
        if reply.code != 250:
            return f"{reply.code} {reply.text}"
        if not subject:
            return ""
        assert smtp.rcpt(RECIPIENT).code == 250
        assert smtp.data(f"Subject: {subject}\n\nhello\n").code == 250
    assert day.site.sink.wait_for(subject).sender == sender
    return ""


def delivered(*args, **arguments):
    """A message arrives; what was changed just before may take a moment."""
    wait_until(lambda: send(*args, **arguments) == "", 10, "delivered")


def refused(*args, **arguments):
    """The reply by which a message is refused, as above."""
    return wait_until(lambda: send(*args, **arguments), 10, "refused")


def cause(day, reply):
    """What explain says of the refusal whose session id stands in the reply."""
    session = reply.rpartition("; session ")[2]
    assert session and session in day.do(f"grep {session} mail.log")
    kind = {"5": 5, "4": 4}[reply[0]]
    return day.do(f"grep {session} mail.log | gatepostctl explain --log -", status=kind)


def test_a_day(day):
    alice, bank = "alice@example.com", f"@{day.domain}"
    clerk = f"clerk@{day.domain}"
    check_installation(day)
    start(day)

    # accounts
    day.do("gatepostctl tls required '*'")
    day.do(f"gatepostctl source any {alice}")
    day.do(f"gatepostctl source any {bank}")
    assert day.do("gatepostctl account list").split() == sorted(["*", alice, bank])
    delivered(day, "submission", alice, f"one {day.domain}", login=alice)
    delivered(day, "mx", clerk, f"two {day.domain}", client="203.0.113.77")

    close_a_door(day, alice)
    before = restrict(day, bank, clerk)
    reload(day)
    roll_back(day, before, alice, bank, clerk)
    advice = day.do("gatepostctl lint")
    assert "unknown_login is accept" in advice and len(advice.splitlines()) == 1


def check_installation(day):
    for name in ("sbin/gatepost", "sbin/gatepost-settings", "sbin/gatepostctl", "share/man/man8/gatepost.8",
                 "share/man/man8/gatepost-settings.8", "lib/systemd/system/gatepost-settings.service",
                 "share/man/man8/gatepostctl.8", "share/man/man5/gatepost.conf.5",
                 "share/bash-completion/completions/gatepostctl",
                 "lib/systemd/system/gatepost.service", "lib/sysusers.d/gatepost.conf",
                 "lib/tmpfiles.d/gatepost.conf"):
        assert os.path.exists(day.path(name)), name
    links = 0
    for name in glob.glob(day.path("share/doc/gatepost/*.md")):
        with open(name, encoding="utf-8") as document:
            for target in re.findall(r"\]\(([^)#:]+)\)", document.read()):
                links += 1
                assert os.path.exists(os.path.join(os.path.dirname(name), target)), (name, target)
    assert links > 10
    edited = day.text()
    day.install()
    assert day.text() == edited, "what the operator wrote stays at the next make install"
    day.do("gatepost -t")
    changed = day.do("gatepost -n")
    assert "default_domain" in changed and "cache_ttl" not in changed


def start(day):
    assert "Connection refused" in day.do("gatepostctl status", status=2)
    day.start(day.site.milter_socket)
    wait_until(lambda: day.run("gatepostctl status").returncode == 0, what="the status is served")
    assert day.do("gatepostctl status").startswith("healthy: the store answers")


def close_a_door(day, alice):
    """POP3/SMTP goes without notice, as she sends by IMAP4/SMTP; that goes only by force."""
    day.do(f"gatepostctl protocol off {alice} pop3-smtp")
    delivered(day, "submission", alice, f"three {day.domain}", login=alice)
    refusal = day.do(f"gatepostctl protocol off {alice} imap4-smtp", status=1)
    assert "the last protocol that a login can send by" in refusal
    delivered(day, "submission", alice, f"four {day.domain}", login=alice)
    day.do(f"gatepostctl protocol off {alice} imap4-smtp --force")
    reply = refused(day, "submission", alice, "", login=alice)
    assert reply.startswith("550 5.7.1 submission is switched off for alice@example.com")
    told = cause(day, reply)
    for line in ("field      protocol:", "service      refused: submission",
                 "off            gatepost:account:alice@example.com protocol:imap4-smtp",
                 "off            gatepost:account:alice@example.com protocol:pop3-smtp"):
        assert line in told, told
    day.do(f"gatepostctl protocol on {alice} imap4-smtp")
    delivered(day, "submission", alice, f"five {day.domain}", login=alice)


def restrict(day, bank, clerk):
    """A sender's domain may send from its own addresses; one is forgotten. The policy then."""
    assert "without a listed address" in day.do(f"gatepostctl source authorized {bank}", status=1)
    day.do(f"gatepostctl ip add {bank} 198.51.100.0/24 'mail servers'")
    day.do(f"gatepostctl source authorized {bank}")
    delivered(day, "mx", clerk, f"six {day.domain}", client="198.51.100.7")
    reply = refused(day, "mx", clerk, "", client="203.0.113.77")
    assert reply.startswith(f"550 5.7.1 {clerk} may not send from 203.0.113.77")
    told = cause(day, reply)
    for line in (f"key        gatepost:account:{bank}", "field      source",
                 "listed       no", "spf          none",
                 f"authorized     gatepost:account:{bank} source", "client     203.0.113.77"):
        assert line in told, told
    day.do(f"gatepostctl ip add {bank} 203.0.113.77 'the new one'")
    delivered(day, "mx", clerk, f"seven {day.domain}", client="203.0.113.77")
    told = day.do(f"gatepostctl explain --ip 203.0.113.77 --from {clerk}")
    assert f"listed         gatepost:account:{bank} ip:203.0.113.77" in told
    return day.do("gatepostctl export | tee policy.txt")


def reload(day):
    """From now on only who is registered may send; an error on the way changes nothing."""
    stranger = f"nobody@other-{day.domain}"
    delivered(day, "mx", stranger, f"eight {day.domain}", client="203.0.113.1")
    good = day.text()
    day.set("unknown_sender", "rejct")
    assert "unknown_sender" in day.do("gatepostctl reload", status=1)
    delivered(day, "mx", stranger, f"nine {day.domain}", client="203.0.113.1")
    with open(day.conf, "w") as conf:
        conf.write(good)
    day.set("unknown_sender", "reject")
    assert "has the new configuration" in day.do("gatepostctl reload")
    reply = refused(day, "mx", stranger, "", client="203.0.113.1")
    assert reply.startswith(f"550 5.7.1 {stranger} is not registered to send here")
    told = cause(day, reply)
    assert "known        no" in told and "by the configuration" in told


def roll_back(day, before, alice, bank, clerk):
    """A list from somewhere else was imported and is wrong; the export of before comes back."""
    with open(os.path.join(day.folder, "wrong.txt"), "w") as wrong:
        wrong.write(f"account:{bank} ip:192.0.2.0/24 a typo\naccount:{bank} source authorized\n"
                    f"account:{alice} protocol:* off\n")
    day.do("gatepostctl import wrong.txt --replace --force")
    assert refused(day, "mx", clerk, "", client="203.0.113.77").startswith("550 5.7.1 ")
    assert refused(day, "submission", alice, "", login=alice).startswith("550 5.7.1 submission is")
    assert 'field=ip:203.0.113.77 old="the new one" new=\n' in day.do(
        f"gatepostctl history {bank}")
    assert day.do("gatepostctl import policy.txt --replace --dry-run")
    day.do("gatepostctl import policy.txt --replace")
    assert day.do("gatepostctl export") == before
    delivered(day, "mx", clerk, f"ten {day.domain}", client="203.0.113.77")
    delivered(day, "submission", alice, f"eleven {day.domain}", login=alice)
