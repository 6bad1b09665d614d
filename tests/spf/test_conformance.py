"""The field's SPF conformance suites, asked of the running filter over the milter protocol.

rfc7208-tests.yml holds without exception. rfc4408-tests.yml is for the RFC's predecessor: it holds
but for STRICTER, where RFC 7208 leaves one of the results that it allows.
"""

from collections import Counter

import pytest

import session
import suite

RFC7208, RFC4408 = "rfc7208-tests.yml", "rfc4408-tests.yml"

# tests of rfc4408-tests.yml: the result of RFC 7208, and where it says so
STRICTER = {
    "txtonly": ("fail", "3.1: records are of type TXT only"),
    "spfonly": ("none", "3.1: records are of type TXT only"),
    "spftimeout": ("fail", "3.1: records are of type TXT only"),
    "txttimeout": ("temperror", "4.4: a look-up of TXT that times out"),
    "nospftxttimeout": ("temperror", "4.4: a look-up of TXT that times out"),
    "spfoverride": ("fail", "3.1: records are of type TXT only"),
    "multitxt1": ("permerror", "4.5: more than one record of type TXT"),
    "multispf2": ("pass", "3.1: records are of type TXT only"),
    "exists-dnserr": ("temperror", "5: a mechanism's look-up that times out"),
    "cidr6-0-ip4": ("neutral", "5: a mapped address matches as IPv4 only"),
    "cidr6-ip4": ("neutral", "5: a mapped address matches as IPv4 only"),
    "mx-limit": ("permerror", "4.6.4: more than ten MX records"),
}

CASES = suite.cases(RFC7208) + [
    case._replace(results=(STRICTER[case.name][0],)) if case.name in STRICTER else case
    for case in suite.cases(RFC4408)]
EXPLAINED = [case for case in CASES if case.explanation is not None]


@pytest.fixture(scope="module")
def accepting(nameserver, start_filter):
    """Accepts all, so that each result can be read from the message."""
    return start_filter("accepting", nameserver)


@pytest.fixture(scope="module")
def refusing(nameserver, start_filter):
    """Refuses a fail, so that its explanation can be read from the reply."""
    return start_filter("refusing", nameserver, fail="reject")


@pytest.fixture(scope="module")
def scenarios():
    """{filter: the (suite, scenario) that it was started for}"""
    return {}


@pytest.fixture
def observed(request, nameserver, scenarios):
    """A function (filter, case) that makes the filter ready for the case.

    Each scenario is a world of its own, with other records for the same names, so that it gets a
    filter that remembers nothing: answers of the others are not kept, but that a name server did
    not answer is.
    """
    seen = []

    def observe(instance, case):
        nameserver.zones = case.zones
        if scenarios.get(instance) != (case.suite, case.scenario):
            instance.restart()
            scenarios[instance] = (case.suite, case.scenario)
        instance.forget()
        request.node.gatepost = instance
        seen.append(instance)
        return instance, case.host, case.helo, case.mailfrom

    yield observe
    for instance in seen:
        instance.check_healthy()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_result(case, accepting, observed, record_property):
    record_property("conformance", f"{case.suite} results")
    evidence = session.evidence(*observed(accepting, case))
    assert evidence.result in case.results
    assert evidence.identity == ("mailfrom" if case.mailfrom else "helo")


@pytest.mark.parametrize("case", EXPLAINED, ids=lambda case: case.id)
def test_explanation(case, refusing, observed, record_property):
    record_property("conformance", f"{case.suite} explanations")
    reply = session.reply(*observed(refusing, case))
    assert reply.startswith("550 5.7.23 ")
    expected = None if case.explanation == "DEFAULT" else session.as_shown(case.explanation)
    assert session.explanation(reply) == expected


def test_the_suites_are_read_whole():
    """A test that the reading loses would pass unseen."""
    assert Counter(case.suite for case in CASES) == {RFC7208: 203, RFC4408: 191}
    assert Counter(case.suite for case in EXPLAINED) == {RFC7208: 22, RFC4408: 22}
    assert len({case.id for case in CASES}) == 203 + 191


def test_exceptions_are_results_that_rfc4408_allows():
    allowed = {case.name: case.results for case in suite.cases(RFC4408)}
    newer = {case.name: case.results for case in suite.cases(RFC7208)}
    for name, (result, _) in STRICTER.items():
        assert result in allowed[name] and len(allowed[name]) > 1, name
        assert newer[name] == (result,), name
    assert {name for name in allowed if set(allowed[name]) != set(newer[name])} == set(STRICTER)
