"""Owns samples of Authentication-Results as others write them, in the spellings of RFC 8601.

FORGED claim to be ours ({id}, {ID} in capitals) and must not get through; FOREIGN are others' and
stay. The same of Received-SPF.
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
    "Authentication-Results : {id}; dkim=pass",
    "Authentication-Results: {id}.; dkim=pass",
    "Authentication-Results: \v{id}; dkim=pass",
    "Authentication-Results: {id}\f; dkim=pass",
    "Authentication-Results: \u00a0{id}\u3000; dkim=pass",
    "Authentication-Results: \u200b{id} 1; dkim=pass",
    'Authentication-Results: "{ID}." 1; dkim=pass',
    "Authentication-Results: <{id}>; dkim=pass",
    "Authentication-Results: =?utf-8?q?{id}?=; dkim=pass",
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
    "Authentication-Results: other.example; dkim=pass (\u00a0{id})",
    "Authentication-Results: m\u00fc.other.example 1; dkim=pass",
]


def claiming(line, name):
    """The sample as written against the filter whose authserv-id is `name`."""
    return line.format(id=name, ID=name.upper())


FORGED_RECEIVED_SPF = [
    "Received-SPF: pass receiver={id}; client-ip=192.0.2.10; identity=mailfrom",
    "received-spf: Pass ({id}: domain of x) client-ip=192.0.2.10;\n\tRECEIVER = \"{ID}.\"; helo=x",
    "Received-SPF: pass client-ip=192.0.2.10 receiver=\u00a0{id}",
]

FOREIGN_RECEIVED_SPF = [
    "Received-SPF: pass receiver=other.example; client-ip=192.0.2.10",
    "Received-SPF: pass (receiver={id}) receiver=sub.{id}; helo={id}",
    'Received-SPF: pass envelope-from="receiver={id}"; receiver=other.example',
    "X-Received-SPF: pass receiver={id}",
]


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
