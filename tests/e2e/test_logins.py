"""Spellings of a login: none gets around the policy of the account that has logged in."""

import pytest

from support.gatepost import Gatepost
from support.milter_client import MilterClient
from support.postfix import Listener
from support.site import Site

ALICE = "alice@example.com"
SENDER = "alice@sender.example"
CLIENT = "192.0.2.10"

# what a client may send as its login -> the account of its policy; None: refused for its name
SPELLINGS = [
    (ALICE, ALICE),
    ("ALICE@Example.COM", ALICE),
    (f"{ALICE} ", ALICE),
    (f" {ALICE}", ALICE),
    ("alice @example.com", ALICE),
    ("alice@ example.com", ALICE),
    (f"\t{ALICE}\t ", ALICE),
    (f"{ALICE}\u00a0", ALICE),
    (f"\u3000{ALICE}", ALICE),
    ("alice@\uff45xample.com", ALICE),
    ("alice@example\u3002com", ALICE),
    (f"{ALICE}.", ALICE),
    ("alice@exam ple.com", None),
    (f"{ALICE}\x01", None),
    ("al\x01ice@example.com", None),
    ("al\x7fice@example.com", None),
    ("al\u0085ice@example.com", None),
    ("al\u00adice@example.com", None),
    ("al\u200bice@example.com", None),
    ("\ufeff" + ALICE, None),
    ("alice@\U0001f600.example", None),
    ("alice@i\u2764.ws", None),
    ("alice@\u0640\u00e4.example", None),
    (b"alice@ex\xe4mple.com", None),
    (f"{ALICE[:5]}\ufe0f{ALICE[5:]}", None),
    (f"{ALICE[:5]}\u180e{ALICE[5:]}", None),
    (f"{ALICE[:5]}\u200d{ALICE[5:]}", None),
    (f"{ALICE[:5]}\U000e0100{ALICE[5:]}", None),
    (b"alice\xc0\xa0@example.com", None),
    (b"alice\xa0@example.com", None),
    (f"{ALICE}@", None),
    ("alice@-", None),
    ("alice@example..com", None),
    ("alice@.example.com", None),
    ("alice@.", None),
    ("@example.com", None),
    (" ", None),
]


def policy_file(folder):
    path = folder.file("policy")
    with open(path, "w") as policy:
        policy.write(f"account:{ALICE} protocol:submission off\n")
    return path


@pytest.fixture(scope="module")
def own_site():
    """Dovecot lets in whoever has the password of the local part, whatever the domain."""
    made = Site(doors={"plain": Listener("PLAIN", ("smtpd_sasl_auth_enable=yes",)),
                       "known": Listener("KNOWN", ("smtpd_sasl_auth_enable=yes",))},
                users=[b"alice"], password_lookup="local")
    yield made.start()
    made.stop()


@pytest.fixture(scope="module")
def own_filter(own_site):
    made = Gatepost(own_site.folder.path, {
        "store": "file:" + policy_file(own_site.folder),
        "listener": {"plain": {"daemon_name": "PLAIN", "service": "submission"},
                     "known": {"daemon_name": "KNOWN", "service": "submission",
                               "unknown_login": "reject"}}},
        name="logins", socket=own_site.milter_socket)
    made.start()
    yield made
    assert made.stop() == 0


def check(verdict, account):
    if account is None:
        assert (verdict["verdict"], verdict["reason"]) == ("reject", "unknown-login")
    else:
        assert (verdict["verdict"], verdict["reason"], verdict["account"]) == (
            "reject", "protocol-disabled", account)


@pytest.mark.parametrize("login, account", SPELLINGS)
def test_a_spelling_of_a_login(own_filter, login, account):
    own_filter.forget()
    with MilterClient(own_filter.socket) as mta:
        mta.negotiate()
        mta.connect(CLIENT, macro_values={"{daemon_name}": "PLAIN"})
        mta.helo()
        reply = mta.mail(f"<{SENDER}>", login=login)
    assert reply.letter == "y" and reply.data.startswith(b"550 5.7.1 "), reply
    check(own_filter.verdict(stage="mail"), account)
    own_filter.check_healthy()


@pytest.mark.parametrize("login, account", [
    (ALICE, ALICE),
    (f"{ALICE} ", ALICE),
    (f"{ALICE}\u00a0", ALICE),
    ("alice@example\u3002com", ALICE),
    (f"{ALICE}\x01", None),           # which Dovecot escapes, and Postfix then cannot print
    (f"{ALICE}\t", None),             # likewise
    ("alice@i\u2764.ws", None),
    ("alice@-", None),
    ("alice@example..com", None),
    ("alice@.", None),
])
def test_a_spelling_that_postfix_and_dovecot_let_in(own_site, own_filter, login, account):
    own_filter.forget()
    with own_site.session("plain", login=login) as smtp:
        reply = smtp.mail(SENDER)
    assert f"{reply.code} {reply.enhanced}" == "550 5.7.1"
    check(own_filter.verdict(stage="mail"), account)


def test_a_domain_that_the_login_service_ignores(own_site, own_filter):
    """With the password of alice, and by default out of reach of her policy."""
    own_filter.forget()
    login = "alice@evil.example"
    with own_site.session("plain", login=login) as smtp:
        assert smtp.mail(SENDER).code == 250
    with own_site.session("known", login=login) as smtp:
        reply = smtp.mail(SENDER)
    assert reply.code == 550
    assert f"the login {login} is not registered here" in reply.text
    verdicts = own_filter.verdicts(stage="mail")
    assert [v["reason"] for v in verdicts] == ["account", "unknown-login"]
