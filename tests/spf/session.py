"""Owns what one milter session tells of an SPF evaluation: the header field, or the reply."""

import re
from typing import NamedTuple

from support.milter_client import MilterClient

# Authentication-Results: ID; spf=RESULT smtp.mailfrom=ADDRESS (or smtp.helo=NAME)
_FIELD = re.compile(r"(?P<id>[^;]+); spf=(?P<result>[a-z]+) smtp\.(?P<identity>[a-z]+)=(?P<of>.*)",
                    re.DOTALL)
_EXPLAINS = re.compile(r"\. (?P<domain>\S+) explains: (?P<text>.*); session \S+$", re.DOTALL)
_VALUE_MAX = 120    # octets of one value that a reply shows


class Evidence(NamedTuple):
    authserv_id: str
    result: str
    identity: str    # mailfrom or helo


def _until_mail(mta, host, helo, mailfrom):
    mta.negotiate()
    mta.connect(host)
    mta.helo(helo)
    return mta.mail(mailfrom)


def evidence(instance, host, helo, mailfrom):
    """The Evidence that the filter adds to an accepted message."""
    with MilterClient(instance.socket) as mta:
        response = _until_mail(mta, host, helo, mailfrom)
        assert response.letter == "c", f"refused: {response}"
        modifications, final = mta.message()
    assert final.letter in "ca", final
    fields = [data[4:].split(b"\0")[:2] for letter, data in modifications if letter == "i"]
    values = [value.decode("utf-8", "surrogateescape") for name, value in fields
              if name == b"Authentication-Results"]
    assert len(values) == 1, modifications
    match = _FIELD.fullmatch(values[0])
    assert match, values[0]
    return Evidence(match["id"], match["result"], match["identity"])


def reply(instance, host, helo, mailfrom):
    """The filter's reply to MAIL, '' when it is accepted."""
    with MilterClient(instance.socket) as mta:
        return _until_mail(mta, host, helo, mailfrom).reply


def explanation(reply_text):
    """What a reply gives as the domain's explanation, None for none."""
    match = _EXPLAINS.search(reply_text)
    assert match or "explains" not in reply_text, reply_text
    return match["text"] if match else None


def as_shown(text):
    """How a reply shows an explanation: cut, printable US-ASCII, '%' doubled."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in text[:_VALUE_MAX]).replace("%", "%%")
    return shown + ("..." if len(text) > _VALUE_MAX else "")
