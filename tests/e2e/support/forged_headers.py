"""Owns samples of Authentication-Results as others write them, in the spellings of RFC 8601.

FORGED claim to be ours ({id}, {ID} in capitals) and must not get through; FOREIGN are others' and
stay.
"""

import re

FORGED = [
    "Authentication-Results: {id}; spf=pass smtp.mailfrom=bank.example",
    "authentication-results: {id}; dkim=pass",
    "AUTHENTICATION-RESULTS: {ID}; dkim=pass",
    "Authentication-Results:{id};dkim=pass",
    "Authentication-Results:   {id}  ; dkim=pass",
    "Authentication-Results: {id} 1; dkim=pass",
    "Authentication-Results:\n {id}; dkim=pass",
    "Authentication-Results:\n\t{id}\n\t1;\n\tdkim=pass",
    "Authentication-Results: (a comment) {id}; dkim=pass",
    "Authentication-Results: (nested (comment) with \\) in it) {id} (more) ; dkim=pass",
    "Authentication-Results: {id} (comment); dkim=pass",
    'Authentication-Results: "{id}"; dkim=pass',
    "Authentication-Results: {id}; none",
    "Authentication-Results: {id}",
    "Authentication-Results: {id};",
]

FOREIGN = [
    "Authentication-Results: mx.other.example; spf=pass smtp.mailfrom=bank.example",
    "Authentication-Results: sub.{id}; dkim=pass",
    "Authentication-Results: {id}.other.example; dkim=pass",
    "Authentication-Results: other.example; dkim=pass (by {id})",
    "Authentication-Results: ({id}) other.example; dkim=pass",
    "X-Authentication-Results: {id}; dkim=pass",
    "Authentication-Results-Original: {id}; dkim=pass",
    "ARC-Authentication-Results: i=1; {id}; dkim=pass",
]


def claiming(line, name):
    """The sample as written against the filter whose authserv-id is `name`."""
    return line.format(id=name, ID=name.upper())


def mixed(name):
    """(headers to send, those to be kept): all of FORGED, a foreign one after each."""
    foreign = (FOREIGN * 2)[:len(FORGED)]
    lines = [claiming(line, name) for pair in zip(FORGED, foreign) for line in pair]
    return lines, [unfolded(claiming(line, name)) for line in foreign]


def unfolded(value):
    return re.sub(r"\s+", " ", value)


def bodies(message, but=""):
    """Every header that has to do with Authentication-Results, unfolded, but for that one."""
    return [unfolded(f"{name}: {value}") for name, value in message.headers()
            if "authentication-results" in name.lower() and value != but]
