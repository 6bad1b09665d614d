"""Owns what is compared with what: the rows of each table, and whom the load pretends to be."""

from typing import NamedTuple

CLIENT = "192.0.2.10"

# what the name server knows; *.new.example is a domain that nobody has asked for before
ZONE = """\
example.com TXT v=spf1 ip4:192.0.2.0/24 -all
long.example TXT v=spf1 a mx include:_spf.long.example -all
long.example A 198.51.100.1
long.example MX 10 mail.long.example
mail.long.example A 198.51.100.2
_spf.long.example TXT v=spf1 ip4:203.0.113.0/24 ip4:192.0.2.0/24 -all
*.new.example TXT v=spf1 ip4:192.0.2.0/24 -all
_dmarc.example.com TXT v=DMARC1; p=none
loopback.example TXT v=spf1 ip4:127.0.0.0/8 -all
provider.example TXT v=spf1 include:_spf.provider.example ~all
_spf.provider.example TXT v=spf1 ip4:203.0.113.0/24 ip4:192.0.2.0/24 ~all
unkept.provider.example TXT v=spf1 include:unkept._spf.provider.example ~all
unkept._spf.provider.example TXT v=spf1 ip4:203.0.113.0/24 ip4:192.0.2.0/24 ~all
"""

ZONE_OF_LOOPBACK = "loopback.example"   # whose mail comes from this host
HEADER = "each filter sees the headers and adds one"


class Row(NamedTuple):
    title: str
    filter: str             # a name that Stage.filter() knows
    load: tuple             # options of milter_load
    expect: str = "accept"  # what each session must come to
    proof: str = ""         # must stand in Gatepost's last verdict line
    warm: int = 0           # this many accounts are asked for once before


class Table(NamedTuple):
    key: str
    title: str
    text: str
    rows: tuple             # in the two large tables the second is the first once more: a control
    baselines: dict         # heading of a column of ratios -> title of the row that is 1


def _senders(pattern, count):
    return ("--client", CLIENT, "--sender", pattern, "--sender-count", str(count))


def senders(count):
    return _senders("user{n}@example.com", count)


def logins(count):
    return (*senders(count), "--login", "user{n}@example.com")


def deep_logins(count):
    """Each has seven subjects: account, domain, the four parents, everybody."""
    name = "user{n}@e.d.c.b.deep.example"
    return (*_senders(name, count), "--login", name)


NEW_DOMAINS = _senders("user@d{n}.new.example", 4_294_967_295)
LONG_RECORD = _senders("user{n}@long.example", 10)

EMPTY = "empty filter"
EMPTY_ALIKE = "empty filter, Gatepost's steps"
EMPTY_HEADER = "empty filter, Gatepost's steps, one header"
POLICY = "policy, 10 accounts"
SPF = "policy + SPF, 10 accounts"
SPF_NEW = "policy + SPF, every domain new"
SPF_HEADER = "Gatepost: policy + SPF"


def _row(title, name, load, **rest):
    proof = "reason=account" if "--login" in load else "spf=pass"
    return Row(title, name, load, proof=proof, **rest)


def without_headers(plan):
    few, many, hot = plan.accounts[0], plan.accounts[-1], min(plan.hot, plan.accounts[-1])
    return Table(
        "off", "Headers off",
        "Gatepost's verdict is there at MAIL. `empty filter` answers CONNECT and MAIL; with "
        "Gatepost's steps it leaves CONNECT unanswered and asks for the same macros.",
        (Row(EMPTY, "empty", logins(few)),
         Row("empty filter again", "empty", logins(few)),
         Row(EMPTY_ALIKE, "empty-alike", logins(few)),
         _row("policy file, 10 accounts", "file", logins(few)),
         _row(POLICY, f"cache-{few}", logins(few), warm=few),
         _row("policy, 10 accounts with four parents", f"cache-{few}", deep_logins(few), warm=few),
         Row("policy, 10 accounts, listed by a provider", "provider-provider.example", logins(few),
             proof=":ip:spf:", warm=few),
         Row("the same, the provider's records not kept", "provider-unkept.provider.example",
             logins(few), proof=":ip:spf:", warm=few),
         _row(f"policy, {hot:,} of {many:,} accounts in use", f"cache-{many}", logins(hot),
              warm=hot),
         _row(f"policy, all of {many:,} accounts in use", f"cache-{many}", logins(many)),
         _row(f"policy, {many:,} accounts, no cache", f"direct-{many}", logins(many)),
         _row(SPF, f"cache-{few}", senders(few), warm=few),
         _row(f"policy + SPF, {hot:,} of {many:,} accounts in use", f"cache-{many}", senders(hot),
              warm=hot),
         _row("policy + SPF, record with a, mx and include", f"cache-{few}", LONG_RECORD),
         _row(SPF_NEW, f"cache-{few}", NEW_DOMAINS)),
        {"of empty": EMPTY, "of the same steps": EMPTY_ALIKE})


def with_headers(plan):
    few = plan.accounts[0]
    rows = (
        Row(EMPTY_HEADER, "empty-header", senders(few), expect="continue"),
        Row("the same again", "empty-header", senders(few), expect="continue"),
        _row(SPF_HEADER, "header", senders(few), warm=few),
        _row("Gatepost: policy + SPF, every domain new", "header", NEW_DOMAINS),
        Row("OpenDMARC, SPFSelfValidate", "opendmarc", senders(few)),
        Row("pyspf-milter", "pyspf-milter", senders(few), expect="continue"))
    return Table(
        "on", "Authentication-Results on: the whole message",
        "From CONNECT to the end of the message, seven headers and a short body; each filter sees "
        "the headers and adds one. The peers keep no SPF result: their questions go to a name "
        "server on loopback that has the answers at hand, as Gatepost's do for a new domain.",
        rows, {"of empty": EMPTY_HEADER})


def with_idle(plan):
    few = plan.accounts[0]
    return Table(
        "idle", f"{plan.idle:,} idle connections beside 8 busy ones", "Headers off.",
        (Row(EMPTY, "empty", logins(few)),
         Row(EMPTY_ALIKE, "empty-alike", logins(few)),
         _row(POLICY, f"cache-{few}", logins(few), warm=few),
         _row(SPF, f"cache-{few}", senders(few), warm=few)),
        {"of empty": EMPTY, "of the same steps": EMPTY_ALIKE})


def by_connections(plan):
    few = plan.accounts[0]
    return Table(
        "connections", "Cost against connections", "Headers off, 10 accounts.",
        (Row("empty filter", "empty-alike", logins(few)),
         _row("policy", f"cache-{few}", logins(few), warm=few),
         _row("policy + SPF", f"cache-{few}", senders(few), warm=few)),
        {"of empty": "empty filter"})


def accounts_title(count, cached):
    return f"{count:,} accounts, {'warm cache' if cached else 'no cache'}"


def by_accounts(plan):
    rows = [Row("empty filter", "empty-alike", logins(plan.accounts[0]))]
    for count in plan.accounts:
        hot = min(plan.hot, count)
        rows.append(_row(accounts_title(count, True), f"cache-{count}", logins(hot), warm=hot))
        rows.append(_row(accounts_title(count, False), f"direct-{count}", logins(count)))
    return Table(
        "accounts", "Cost against accounts",
        "Processor time of a session in microseconds, headers off, 8 connections; with a warm "
        f"cache at most {plan.hot:,} accounts are in use.",
        tuple(rows), {"of empty": "empty filter"})
