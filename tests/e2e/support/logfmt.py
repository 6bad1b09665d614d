"""Owns the reading of logfmt lines: key=value words, values quoted with backslash escapes."""

import re

_WORD = re.compile(r'([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)', re.ASCII)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)")
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def _unescape(match):
    body = match.group(1)
    if body[0] in "xu" and len(body) > 1:
        return chr(int(body[1:], 16))
    return _SHORT.get(body, body)


def parse(line):
    """The words of a logfmt line as a dict in their order; ValueError if it is not logfmt."""
    fields, position = {}, 0
    while position < len(line):
        match = _WORD.match(line, position)
        end = match.end() if match else position
        if match is None or (end < len(line) and line[end] != " "):
            raise ValueError(f"not logfmt at column {position}: {line!r}")
        key, value = match.groups()
        if key in fields:
            raise ValueError(f"{key} twice: {line!r}")
        fields[key] = _ESCAPE.sub(_unescape, value[1:-1]) if value.startswith('"') else value
        position = end + 1
    return fields


def verdict(stage, **values):
    """A line of a log: a verdict with these values."""
    known = ("event stage session queue listener service client helo sender login account spf "
             "verdict reason from mode would reply us").split()
    values = {"event": "verdict", "stage": stage, "session": "A", "verdict": "accept",
              "reason": "account", "mode": "enforce", "us": "1", **values}
    more = [key for key in values if key not in known]
    return " ".join(f"{key}={values.get(key, '')}" for key in [*known, *more])
