"""gatepostctl explain: it says what the running filter does, asked by options and by its log."""

from support import logfmt
from support.decision_table import DecisionTable
from support.explaining import SETTINGS, ctl, explain, policy  # noqa: F401 (fixtures)
from support.gatepostctl import Gatepostctl
from support.milter_client import MilterClient
from support.nameserver import SERVFAIL
from support.process import wait_until

STATUSES = {"accept": 0, "mark": 3, "defer": 4, "reject": 5}


def step_of(told, name):
    return next(step for step in told["steps"] if step["step"] == name)


# ---- the whole decision ----

def ask_filter(gatepost, case):
    """One session that asks what the case asks. True when its verdict is for the case's reason;
    else the change of the policy between two cases has not arrived yet.
    """
    gatepost.forget()
    mta = MilterClient(gatepost.socket)
    try:
        mta.negotiate()
        response = mta.connect(case.client, case.helo, {"{daemon_name}": case.door})
        if response is None or not response.reply:
            mta.helo(case.helo)
            mta.mail(case.sender, login=case.login or None,
                     macro_values={"{tls_version}": "TLSv1.3"} if case.tls else {})
        gatepost.verdict(stage="connect" if case.stage == "connect" and not case.would else "mail")
        return bool(gatepost.verdicts(reason=case.reason))
    finally:
        mta.close()


def options(case):
    words = ["--ip", case.client, "--helo", case.helo, "--from", case.sender,
             "--listener", case.door]
    return words + (["--login", case.login] if case.login else []) + (["--tls"] if case.tls else [])


def check_order(steps):
    """Each step stands where the table says that it is asked, none twice."""
    order = iter(DecisionTable().order)
    assert all(step in order for step in steps), steps


def check_steps(told):
    """The step that is named as deciding has what decided, and nothing was asked after it."""
    decided = told["steps"][told["decided_by"] - 1]
    facts = [(fact.get("key"), fact["field"]) for fact in decided["facts"]]
    if told["key"] and told["reason"] not in ("ip-not-authorized", "account"):
        assert (told["key"], told["field"]) in facts, told
    after = [step["step"] for step in told["steps"][told["decided_by"]:]]
    # a provider or an entry that cannot be known decides over what a later step refuses
    if told["steps"][told["decided_by"] - 1]["step"] not in ("listed", "provider"):
        assert after in ([], ["mode"]), told
    refused = told["would"] or told["verdict"]
    assert (told["steps"][-1]["step"] == "mode") == (refused != "accept"), told
    for step in told["steps"]:
        if step["step"] == "spf" and step["answer"] != "none":
            assert any("look-ups" in line for line in step["lines"])


def check_decider(case, told):
    """The decision's trace is the table's; a client that is only watched at connect goes on."""
    steps = [step["step"] for step in told["steps"]]
    if told["reason"] == case.reason:
        assert steps[told["decided_by"] - 1] == case.decider, told
    if case.stage == "connect" and case.would:
        steps = [step for step in steps if step != "mode"]
    assert steps[0] == ("connect" if DecisionTable().is_mta(case.door) else "tls"), steps
    check_order(steps)


def check_same(case, status, told, verdict):
    assert status == STATUSES[verdict["verdict"]]
    for key in ("stage", "service", "account", "spf", "verdict", "reason", "mode", "would"):
        assert (told[key] or "") == verdict[key], key
    origin = f"{told['key']}:{told['field']}".replace("gatepost-self:", "self:").removeprefix(
        "gatepost:") if told["key"] else "conf"
    assert origin == verdict["from"]
    assert (told["reply"] or "") == verdict["reply"].rpartition("; session ")[0]
    check_steps(told)
    check_decider(case, told)


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        table = DecisionTable()
        at_mta = "elsewhere" not in metafunc.function.__name__
        cases = [case for case in table.cases if table.is_mta(case.door) == at_mta]
        metafunc.parametrize("case", cases, ids=[case.name.replace(" ", "-") for case in cases])


def test_it_says_what_the_filter_does(case, decision_table, filter_switch, redis, dns, dead_store,
                                      request):
    """Each row of the decision: asked of the filter, by options, and by the line it has logged."""
    store = dead_store if case.store_down else redis.url
    gatepost = filter_switch.use(decision_table.settings(dns.address, store, case))
    request.node.gatepost = gatepost
    dns.zones.update(case.zones())
    case.store(redis)
    if not case.store_down:
        gatepost.catch_up(redis)
    wait_until(lambda: ask_filter(gatepost, case), what=case.reason)
    lines = [line for line in gatepost.log_lines() if line.startswith("event=verdict ")]
    ctl = Gatepostctl(gatepost.conf)
    check_same(case, *explain(ctl, *options(case)), logfmt.parse(lines[-1]))
    for line in lines:
        check_same(case, *explain(ctl, "--log", line), logfmt.parse(line))


def test_a_login_elsewhere(case, decision_table, filter_switch, redis, dns, dead_store):
    store = dead_store if case.store_down else redis.url
    gatepost = filter_switch.use(decision_table.settings(dns.address, store, case))
    case.store(redis)
    words = ["--ip", case.client, "--login", case.login, *(["--tls"] if case.tls else []),
             *(["--app-password"] if case.app_password else [])]
    listener = decision_table.doors[case.door]
    for where in (["--listener", case.door],
                  ["--door", listener["door"], "--service", listener["service"]]):
        status, told = explain(Gatepostctl(gatepost.conf), *words, *where)
        assert status == STATUSES[case.verdict]
        assert (told["stage"], told["door"], told["listener"]) == (
            "door", listener["door"], case.door)
        assert (told["verdict"], told["reason"], told["would"] or "") == (
            case.verdict, case.reason, case.would)
        origin = f"{told['key']}:{told['field']}".replace("gatepost-self:", "self:").removeprefix(
            "gatepost:") if told["key"] else "conf"
        assert origin == case.origin
        check_steps(told)
        check_decider(case, told)


# ---- what is told ----

def test_a_switched_off_protocol(ctl, policy):
    policy("account:alice@example.com protocol:submission off\naccount:* tls required\n")
    status, told = explain(ctl, "--ip", "192.0.2.1", "--login", "alice@example.com", "--tls",
                           "--listener", "submission")
    assert status == 5
    assert (told["key"], told["field"]) == ("gatepost:account:alice@example.com",
                                            "protocol:submission")
    assert told["reply"] == ("550 5.7.1 submission is switched off for alice@example.com: switch "
                             "it on in the account's settings")
    assert [step["step"] for step in told["steps"]] == [
        "connect", "trusted", "tls", "auth", "account", "policy", "known", "service", "mode"]
    subjects = [(f["subject"], f["value"]) for f in step_of(told, "policy")["facts"]]
    assert subjects == [("account:alice@example.com", "found"), ("account:@example.com", "absent"),
                        ("account:*", "found")]
    text = ctl.run("explain", "--ip", "192.0.2.1", "--login", "alice@example.com", "--tls",
                   "--listener", "submission")
    assert text.status == 5
    for words in ("  8  service      refused: submission\n"
                  "      off            gatepost:account:alice@example.com protocol:submission\n",
                  "\nverdict    reject\nreason     protocol-disabled\n",
                  "\nfield      protocol:submission\n", "decided by step 8\n"):
        assert words in text.out, text
    assert "session" not in text.out


def test_protocols_that_contain_the_service(policy, dns):
    ctl = Gatepostctl(policy.path + ".conf", {
        **SETTINGS, "store": "file:" + policy.path, "protocol": {
            "imap4-smtp": {"services": ["imap", "submission"]},
            "pop3-smtp": {"services": ["pop3", "submission"]},
            "dav": {"services": ["caldav"]}}})
    policy("account:a@b.example protocol:imap4-smtp off\n"
           "account:@b.example protocol:pop3-smtp off\n"
           "account:a@b.example protocol:submission on\n")
    status, told = explain(ctl, "--ip", "192.0.2.1", "--login", "a@b.example", "--tls",
                           "--listener", "submission")
    assert (status, told["reason"]) == (5, "protocol-disabled")
    assert [(f["name"], f["value"], f["from"]) for f in step_of(told, "service")["facts"]] == [
        ("imap4-smtp", "off", "account"), ("pop3-smtp", "off", "domain")]
    policy("account:@b.example protocol:pop3-smtp off\n")
    status, told = explain(ctl, "--ip", "192.0.2.1", "--login", "a@b.example", "--listener", "mx")
    assert (status, told["service"]) == (0, "submission")
    service = step_of(told, "service")
    assert "counts" in service["because"]
    assert [(f["name"], f["value"], f["from"]) for f in service["facts"]] == [
        ("imap4-smtp", "on", "built-in"), ("pop3-smtp", "off", "domain")]


def test_an_address_that_has_expired(ctl, policy):
    policy("account:a@b.example source authorized\n"
           "account:@b.example ip:192.0.2.0/24 until=2020-01-01T00:00:00Z hotel\n")
    status, told = explain(ctl, "--ip", "192.0.2.1", "--login", "a@b.example", "--tls")
    assert (status, told["reason"]) == (5, "ip-not-authorized")
    listed = step_of(told, "listed")
    assert [(f["value"], f["key"], f["field"]) for f in listed["facts"]] == [
        ("expired", "gatepost:account:@b.example", "ip:192.0.2.0/24")]
    assert told["steps"][told["decided_by"] - 1] == listed


def test_what_is_malformed_is_named(ctl, redis):
    """In Redis: a policy file with such a line is not taken at all."""
    on_redis = Gatepostctl(ctl.conf + ".redis", {**SETTINGS, "store": redis.url})
    words = ["--ip", "192.0.2.1", "--login", "a@b.example", "--tls"]
    redis.cli("HSET", "gatepost:account:a@b.example", "tls", "reqired", "protocl:pop3", "off")
    redis.cli("SET", "gatepost:account:*", "a string")
    status, told = explain(on_redis, *words)
    assert (status, told["reason"], told["key"], told["field"]) == (
        4, "policy-malformed", "gatepost:account:*", "(wrong type)")
    facts = {(f["value"], f["key"], f["field"]): f.get("problem")
             for f in step_of(told, "policy")["facts"]}
    assert facts["malformed", "gatepost:account:a@b.example", "tls"]
    assert facts["unknown field", "gatepost:account:a@b.example", "protocl:pop3"]
    assert ("wrong type", "gatepost:account:*", None) in facts
    redis.cli("DEL", "gatepost:account:*")
    status, told = explain(on_redis, *words)
    assert (told["reason"], told["key"], told["field"]) == (
        "policy-malformed", "gatepost:account:a@b.example", "tls")
    assert "gatepost:account:a@b.example tls: " in on_redis.run("explain", *words).out


def test_the_tree_of_an_spf_record(ctl, policy, dns, domain):
    dns.zones.update({
        domain: {"TXT": [f"v=spf1 include:a.{domain} mx -all"], "MX": [f"10 m.{domain}."]},
        f"a.{domain}": {"TXT": [f"v=spf1 include:b.{domain} ?all"]},
        f"b.{domain}": {"TXT": ["v=spf1 ip4:198.51.100.0/24 ~all"]},
        f"m.{domain}": {"A": ["203.0.113.4"]}})
    policy(f"account:@{domain} source authorized\n")
    status, told = explain(ctl, "--ip", "192.0.2.1", "--from", f"bob@{domain}")
    assert (status, told["reason"], told["spf"]) == (5, "spf-required", "fail")
    lines = step_of(told, "spf")["lines"]
    assert any(line.startswith("    ") and f"b.{domain}" in line for line in lines), "it is a tree"
    assert "look-ups 3 of 10, void 0 of 2" in lines[-1]
    source = told["steps"][told["decided_by"] - 1]
    assert (source["step"], source["answer"]) == ("source", "authorized")
    text = ctl.run("explain", "--ip", "192.0.2.1", "--from", f"bob@{domain}").out
    assert all("      " + line + "\n" in text for line in lines)
    assert f"      authorized     gatepost:account:@{domain} source\n" in text


def test_errors_and_explanations_of_spf(ctl, dns, domain):
    dns.zones.update({domain: {"TXT": [f"v=spf1 -all exp=why.{domain}"]},
                      f"why.{domain}": {"TXT": ["ask %{i}'s owner"]},
                      f"dead.{domain}": SERVFAIL})
    status, told = explain(ctl, "--ip", "192.0.2.1", "--from", f"bob@{domain}")
    assert (status, step_of(told, "spf")["explanation"]) == (5, "ask 192.0.2.1's owner")
    assert "the domain says: ask 192.0.2.1's owner" in ctl.run(
        "explain", "--ip", "192.0.2.1", "--from", f"bob@{domain}").out
    status, told = explain(ctl, "--ip", "192.0.2.1", "--from", f"bob@dead.{domain}")
    assert (status, told["reply"][:10]) == (4, "451 4.7.24")
    assert step_of(told, "spf")["answer"] == "temperror"
    assert f"dead.{domain}: " in step_of(told, "spf")["because"]


def test_helo_first(policy, dns, domain):
    ctl = Gatepostctl(policy.path + ".conf", {
        **SETTINGS, "store": "file:" + policy.path,
        "spf": {"nameservers": [dns.address], "helo": "always"}})
    dns.zones.update({f"h.{domain}": {"TXT": ["v=spf1 ~all"]}, domain: {"TXT": ["v=spf1 +all"]}})
    _, told = explain(ctl, "--ip", "192.0.2.1", "--from", f"bob@{domain}", "--helo", f"h.{domain}")
    assert [(s["answer"], s["because"]) for s in told["steps"] if s["step"] == "spf"] == [
        ("softfail", f"HELO h.{domain}"),
        ("pass", f"MAIL FROM {domain}; too wide for source authorized: +all in the record of "
                 f"{domain}")]


def test_networks(ctl, policy):
    status, told = explain(ctl, "--ip", "192.0.2.1", "--from", "a@b.example", "--listener", "gated")
    assert (status, told["reason"], told["stage"]) == (5, "not-allowlisted", "connect")
    assert step_of(told, "connect")["because"] == "the client is in none of: gate"
    policy("network:gate 192.0.2.0/24 ours\n")
    status, told = explain(ctl, "--ip", "192.0.2.1", "--from", "a@b.example", "--listener", "gated")
    assert (status, step_of(told, "connect")["answer"]) == (0, "yes")


# ---- which step decided ----

def steps_of(told):
    return [step["step"] for step in told["steps"]], told["steps"][told["decided_by"] - 1]["step"]


def test_only_what_was_asked_is_shown(ctl, redis):
    """Whatever is in the way of several steps: it is the first of them that has decided."""
    on_redis = Gatepostctl(ctl.conf + ".redis", {**SETTINGS, "store": redis.url})
    words = ["--ip", "192.0.2.1", "--login", "a@b.example", "--tls", "--listener", "submission"]
    begin = ["connect", "trusted", "tls", "auth", "account", "policy"]
    redis.cli("SET", "gatepost:account:*", "a string")
    assert steps_of(explain(on_redis, *words)[1]) == (begin + ["known", "service", "mode"], "service")
    redis.cli("HSET", "gatepost:account:a@b.example", "protocol:submission", "off")
    assert steps_of(explain(on_redis, *words)[1]) == (begin + ["known", "service", "mode"], "mode")
    redis.cli("HSET", "gatepost:account:a@b.example", "Mode", "moniter")
    _, told = explain(on_redis, *words)
    assert (told["field"], *steps_of(told)) == ("Mode", begin + ["known", "service", "mode"], "mode")


def test_networks_that_cannot_be_read(ctl, redis):
    """Trust decides over the step that would refuse; each network is named with its own member."""
    settings = {**SETTINGS, "store": redis.url, "trusted": ["relays"]}
    on_redis = Gatepostctl(ctl.conf + ".redis", settings)
    redis.cli("HSET", "gatepost:network:relays", "10.0.0.0/33", "")
    redis.cli("HSET", "gatepost:network:gate", "10.1.0.0/34", "")
    status, told = explain(on_redis, "--ip", "192.0.2.1", "--from", "a@b.example",
                           "--listener", "submission")
    assert (status, told["key"], told["field"]) == (4, "gatepost:network:relays", "10.0.0.0/33")
    assert steps_of(told) == (["connect", "trusted", "tls", "mode"], "trusted")
    status, told = explain(on_redis, "--ip", "192.0.2.1", "--from", "a@b.example",
                           "--listener", "gated")
    assert (status, told["key"], told["field"]) == (4, "gatepost:network:gate", "10.1.0.0/34")
    assert steps_of(told) == (["connect", "mode"], "connect")


# ---- the store ----

def test_the_store_is_down_and_the_filter_serves_on(start_gatepost, milter_session, redis, domain):
    """explain asks the store itself: what only the filter still knows it cannot tell."""
    redis.cli("HSET", f"gatepost:account:a@{domain}", "protocol:smtp", "off")
    gatepost = start_gatepost({**SETTINGS, "store": redis.url})
    with milter_session(gatepost) as mta:
        assert mta.mail(f"a@{domain}").reply
    redis.stop()
    gatepost.wait_log("event=store-down")
    with milter_session(gatepost) as mta:
        assert "switched off" in mta.mail(f"a@{domain}").reply
    line = gatepost.wait_log("policy=stale")
    status, told = explain(Gatepostctl(gatepost.conf), "--log", line)
    assert (status, told["reason"], told["reply"][:9]) == (4, "policy-unavailable", "451 4.3.0")
    policy_step = told["steps"][told["decided_by"] - 1]
    assert (policy_step["step"], policy_step["answer"]) == ("policy", "unavailable")
    assert "connect" in policy_step["because"]


def test_no_policy_file(policy):
    ctl = Gatepostctl(policy.path + ".conf", {**SETTINGS, "store": "file:/nonexistent/policy"})
    run = ctl.run("explain", "--ip", "192.0.2.1", "--from", "a@b.example", "--json")
    assert run.status == 2 and "/nonexistent/policy" in run.json()["error"]


def test_an_unknown_login(policy, dns):
    ctl = Gatepostctl(policy.path + ".conf", {
        **SETTINGS, "store": "file:" + policy.path, "listener": {
            "in": {"service": "submission", "unknown_login": "reject"}}})
    policy("account:alice@example.com protocol:submission off\naccount:* tls optional\n")
    status, told = explain(ctl, "--ip", "192.0.2.1", "--login", "alice@evil.example",
                           "--listener", "in")
    assert (status, told["reason"]) == (5, "unknown-login")
    assert told["reply"] == ("550 5.7.1 the login alice@evil.example is not registered here: log in "
                             "with the full address of the account")
    known = step_of(told, "known")
    assert (known["answer"], known["because"]) == (
        "no", "neither the account nor its domain nor a parent has policy; unknown_login = reject")
    assert told["steps"][-2] == known
