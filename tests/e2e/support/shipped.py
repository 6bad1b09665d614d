"""Owns the way from a file of conf/ to one that a test runs: paths and ports are replaced."""

import os

CONF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../conf")


def shipped(name, places):
    """The text of conf/NAME with each key of `places` replaced by its value.

    Each must be there, so that a file which no longer says it is noticed. The longest go first.
    """
    with open(os.path.join(CONF, name), encoding="utf-8") as file:
        text = file.read()
    for old in sorted(places, key=len, reverse=True):
        assert old in text, f"conf/{name} does not have {old!r}"
        text = text.replace(old, places[old])
    return text


def install(name, path, places):
    """Write shipped() to `path`, of a mode that any server may read; returns the path."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(shipped(name, places))
    os.chmod(path, 0o644)
    return path
