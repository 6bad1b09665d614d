"""Dashboard and alerts: they load, the alerts fire when they must, what they ask for is there.

What Prometheus adds to a metric itself: the labels job and instance, the metrics up and ALERTS.
"""

import json
import os
import re
import subprocess

import pytest
import yaml

from support import policy

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
RULES = os.path.join(TOP, "conf/prometheus/gatepost.rules.yml")
SCRAPE = os.path.join(TOP, "conf/prometheus/gatepost.scrape.yml")
ALERT_TESTS = os.path.join(TOP, "tests/prometheus/alerts.test.yml")
DASHBOARD = os.path.join(TOP, "conf/grafana/gatepost.json")
OF_PROMETHEUS = {"job", "instance"}

# a selector NAME{LABEL OPERATOR "VALUE", ...}, and the labels of "by (...)"
SELECTOR = re.compile(r"\b((?:gatepost|up)(?:_\w+)?)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dashboard():
    with open(DASHBOARD) as board:
        return json.load(board)


@pytest.fixture(scope="module")
def alerts():
    with open(RULES) as rules:
        groups = yaml.safe_load(rules)["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def told(start_served, milter_session, redis, domain):
    """All metrics of a filter that has given a verdict of each kind."""
    policy.load(redis, "account:off@{d} protocol:smtp off\naccount:bad@{d} source x", d=domain)
    gatepost, web = start_served(spf={"none": "mark"})
    for sender, address in (("off", "192.0.2.1"), ("bad", "192.0.2.1"), ("x", "192.0.2.1"),
                            ("x", "127.0.0.1")):
        with milter_session(gatepost, address=address) as mta:
            mta.mail(f"{sender}@{domain}")
    return web.metrics()


def queries(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def check_expression(expression, told):
    """Each name, label and label's value is one that the filter tells."""
    selectors = [found for found in SELECTOR.finditer(expression) if found[1] != "up"]
    labels = set(OF_PROMETHEUS)
    for found in selectors:
        name = found[1]
        assert name in told.names(), f"{name} of {expression}"
        labels |= told.labels_of(name)
        for label, operator, value in MATCHER.findall(found[2] or ""):
            if label in OF_PROMETHEUS:
                continue
            assert label in told.labels_of(name), f"{label} of {expression}"
            values = {said[label] for said, _ in told.all(name)}
            if label in ("verdict", "stage", "outcome", "result"):
                values |= {"connect", "mail"} if label == "stage" else set()
                assert set(value.split("|")) <= values, f"{label}={value} of {expression}"
    for grouping in GROUPING.findall(expression):
        assert {label.strip() for label in grouping.split(",")} <= labels, expression


def test_rules_are_good_and_say_what_to_do(alerts):
    promtool("check", "rules", RULES)
    promtool("check", "config", SCRAPE)
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert len(alert["annotations"]["summary"]) > 20
        assert len(alert["annotations"]["description"]) > 80, "what to do about it"


def test_alerts_fire_when_they_must():
    promtool("test", "rules", ALERT_TESTS)


def test_each_alert_is_tested(alerts):
    with open(ALERT_TESTS) as tests:
        text = tests.read()
    for alert in alerts:
        assert f'"{alert["alert"]}"' in text or f'alertname: {alert["alert"]}\n' in text


def test_alerts_ask_for_what_is_told(alerts, told):
    for alert in alerts:
        check_expression(alert["expr"], told)


def test_dashboard_asks_for_what_is_told(dashboard, told):
    asked = queries(dashboard)
    for expression in asked:
        check_expression(expression, told)
        assert 'instance=~"$instance"' in expression
    shown = {found[1] for expression in asked for found in SELECTOR.finditer(expression)}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert bases == set(told.types), "every metric has a place on the dashboard"
    variable = dashboard["templating"]["list"][1]["query"]["query"]
    check_expression(re.search(r"\((\w+),", variable)[1], told)


def test_dashboard_is_well_formed(dashboard, tmp_path):
    """Unique ids, no panels over each other, each expression one that Prometheus can read."""
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}" and panel["description"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    rules = [{"record": f"panel:{number}",
              "expr": expression.replace("$__rate_interval", "1m").replace("$instance", ".*")}
             for number, expression in enumerate(queries(dashboard))]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(path))
