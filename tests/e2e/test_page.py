"""The user's page, by a real browser, before a real mail host: what a user does there is obeyed at the
doors, and what cannot be done is said.
"""

import re
import subprocess

import pytest

from support.mail_logins import OK, REFUSED
from support.page_fixtures import (  # noqa: F401, fixtures
    browse, host, make_app_password, own_host, own_redis, policy)
from support.policy import load
from support.process import wait_until
from support.proxied_host import ProxiedHost
from support.settings_host import ALICE, ELSEWHERE, HOME, PASSWORD
from support.webdriver import ESCAPE


def look_again(browser, selector):
    """What stands there, once the page is loaded anew."""
    browser.open(browser.run("return location.href"))
    wait_until(lambda: browser.shows("main:not([aria-busy]) " + selector), 20, selector)
    return browser.text(selector)


# ---- what is set is obeyed ----

def test_a_protocol_is_switched_off_and_on(host, policy, browse):
    browser = browse()
    assert host.login("pop3").kind == OK
    browser.click("#protocol-pop3-smtp")
    browser.wait_status("POP3 + SMTP is off.")
    assert browser.focused() == "protocol-pop3-smtp"
    assert "You have switched this off." in browser.text("#protocols")
    text = host.obeyed("pop3", REFUSED).text
    assert "pop3 is switched off" in text
    assert host.login("imap").kind == OK and host.login("postfix 587").kind == OK
    browser.click("#protocol-pop3-smtp")
    browser.wait_status("POP3 + SMTP is on.")
    host.obeyed("pop3", OK)


def test_mail_from_listed_addresses_only(host, policy, browse):
    browser = browse()
    assert host.login("postfix 587", ELSEWHERE).kind == OK
    browser.click("#address-present")
    browser.wait_status(f"{HOME} is listed.")
    browser.fill("#address", "192.0.2.0/24")
    browser.fill("#address-note", "office")
    browser.click("#address-form button[type=submit]")
    browser.wait_status("192.0.2.0/24 is listed.")
    assert "They count once you choose" in browser.text("#addresses-none")
    browser.click("#source-authorized")
    browser.click("#source-save")
    browser.wait_status("Your mail may come from the listed addresses only.")
    refused = host.obeyed("postfix 587", REFUSED, source=ELSEWHERE)
    assert refused.kind == REFUSED
    assert host.login("postfix 587", HOME).kind == OK
    assert host.login("imap", ELSEWHERE).kind == OK
    browser.click("[id='address-127.0.0.1']")
    browser.wait_status(f"{HOME} is no longer listed.")
    assert browser.focused() == "addresses-title"
    host.obeyed("postfix 587", REFUSED)
    browser.click("#source-any")
    browser.click("#source-save")
    browser.wait_status("Your mail may come from anywhere.")
    host.obeyed("postfix 587", OK, source=ELSEWHERE)


@pytest.mark.parametrize("client, network", [
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1::1:0:0:1", "2001:db8:1::/64")])
def test_the_present_network(own_host, browse, client, network):
    """IPv6 addresses last for a day; the network stays."""
    browser = browse(own_host(client=client).page.url)
    assert browser.text("#address-present") == f"Add my present network, {network}"
    browser.click("#address-present")
    browser.wait_status(f"{network} is listed.")
    assert not browser.shows("#address-present")


def test_what_the_host_suggests_to_list(own_host, browse, own_redis):
    host = own_host(suggested_ips=["192.0.2.0/24 the university", "198.51.100.7",
                                   "2001:DB8:7::/48 a provider"])
    browser = browse(host.page.url)
    assert browser.accessibility_problems() == []
    assert browser.text("#suggestions li:first-child .more") == "the university"
    browser.click("#suggestions li:first-child button")
    browser.wait_status("192.0.2.0/24 is listed.")
    assert "the university" in browser.text("#addresses")
    assert "the university" not in browser.text("#suggestions")
    browser.click("#suggestions li:first-child button")
    browser.wait_status("198.51.100.7 is listed.")
    browser.click("#suggestions li:first-child button")
    browser.wait_status("2001:db8:7::/48 is listed.")
    assert not browser.shows("#suggested")
    assert "ip:2001:db8:7::/48" in own_redis.cli("HKEYS", f"gatepost-self:{ALICE}")


def test_what_locks_out_is_asked_twice(host, policy, browse, redis):
    browser = browse()
    browser.click("#source-authorized")
    browser.click("#source-save")
    wait_until(lambda: browser.shows("#confirm"), 10, "the question")
    assert "No address of yours is listed." in browser.text("#confirm-text")
    assert browser.focused() == "confirm-no"
    browser.press(ESCAPE)
    browser.wait_status("Nothing was changed.")
    assert browser.focused() == "source-save" and browser.find("#source-any").value("checked")
    assert redis.cli("EXISTS", f"gatepost-self:{ALICE}") == "0"
    browser.click("#source-authorized")
    browser.click("#source-save")
    wait_until(lambda: browser.shows("#confirm"), 10, "the question")
    browser.click("#confirm-yes")
    browser.wait_status("Your mail may come from the listed addresses only.")
    host.obeyed("postfix 587", REFUSED)


@pytest.fixture(scope="module")
def calendar(redis_server):
    """A CalDAV server behind nginx that asks a Gatepost of its own."""
    made = ProxiedHost(("nginx",))
    try:
        yield made.start()
    finally:
        made.stop()


def caldav(calendar, password):
    """The status of a request for Alice's calendars."""
    calendar.begin()
    nginx = calendar.servers["nginx"]
    run = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", nginx.authority,
         "--connect-to", f"dav.example.com:443:127.0.0.1:{nginx.port}", "-X", "PROPFIND",
         "-u", f"{ALICE}:{password}", "https://dav.example.com/"],
        capture_output=True, text=True, timeout=60, check=True)
    return int(run.stdout)


def test_an_app_password(host, policy, browse, calendar):
    browser = browse()
    secret = make_app_password(browser)
    assert re.fullmatch(r"([a-z2-9]{4}-){6}[a-z2-9]{4}", secret)
    assert browser.focused() == "made-title"
    assert host.login("imap", password=secret).kind == OK
    assert host.login("postfix 587", password=secret).kind == OK
    assert host.login("pop3", password=secret).kind == REFUSED
    assert (caldav(calendar, secret), caldav(calendar, PASSWORD)) == (401, 207)
    browser.click("#made-copy")
    browser.wait_status("Copied.")
    browser.click("#made-done")
    browser.wait_status("The app password is no longer shown.")
    assert secret not in browser.run("return document.documentElement.innerHTML")
    listed = look_again(browser, "#passwords li")
    assert "Phone" in listed and "For IMAP + SMTP" in listed
    assert secret not in browser.run("return document.documentElement.innerHTML")
    browser.click("#passwords button")
    assert "can no longer log in" in browser.text("#confirm-text")
    browser.click("#confirm-yes")
    browser.wait_status("Phone is revoked.")
    assert browser.shows("#passwords-none")
    host.obeyed("imap", REFUSED, password=secret)
    assert host.login("imap").kind == OK


def test_mail_programs_need_an_app_password(host, policy, browse):
    browser = browse()
    browser.click("#application")
    wait_until(lambda: browser.shows("#confirm"), 10, "the question")
    assert "You have no app password" in browser.text("#confirm-text")
    browser.click("#confirm-no")
    browser.wait_status("Nothing was changed.")
    secret = make_app_password(browser)
    browser.click("#application")
    browser.wait_status("Mail programs now need an app password.")
    host.obeyed("imap", REFUSED)
    assert host.login("imap", password=secret).kind == OK
    browser.click("#application")
    browser.wait_status("Mail programs accept your own password again.")
    host.obeyed("imap", OK)


# ---- what the host has set ----

def test_what_the_host_has_closed(host, policy, browse):
    policy("account:@example.com protocol:caldav off", f"account:{ALICE} protocol:carddav off",
           f"account:{ALICE} source authorized", f"account:{ALICE} ip:192.0.2.0/24 the office")
    browser = browse()
    for name, why in (("caldav", "Closed by your mail host for everybody at example.com."),
                      ("carddav", "Closed for your account by your mail host.")):
        switch = browser.find(f"#protocol-{name}")
        assert switch.value("disabled") and not switch.value("checked")
        assert why in browser.text(f"#protocol-{name}-why")
    assert browser.find("#source-choice").value("disabled") and not browser.shows("#source-save")
    assert "Your mail host has set this." in browser.text("#source-state")
    assert "Listed by your mail host" in browser.text("#addresses")
    assert not browser.shows("#addresses button")


def test_when_it_was_used_last(host, policy, browse):
    host.login("imap", "127.88.0.1")    # a block that has not been recorded yet
    browser = browse()
    wait_until(lambda: "Last used: " in look_again(browser, "#protocols li:first-child"), 10,
               "the use")
    assert "No use recorded" in browser.text("#protocols li:nth-child(3)")


# ---- what is refused is said ----

def test_an_address_that_is_none(policy, browse):
    browser = browse()
    browser.fill("#address", "192.0.2.1/24")
    browser.click("#address-form button[type=submit]")
    browser.wait_status("This address cannot be listed.")
    assert browser.focused() == "address"
    assert browser.run("return document.getElementById('address').ariaInvalid") == "true"
    assert re.fullmatch(r"This address cannot be listed\. [A-Z\d].*\.", browser.text("#address-error"))
    browser.fill("#address", "192.0.2.1")
    browser.click("#address-form button[type=submit]")
    browser.wait_status("192.0.2.1 is listed.")
    assert not browser.shows("#address-error")


def test_no_protocol_is_chosen(policy, browse):
    browser = browse()
    browser.click("#password-form button[type=submit]")
    browser.wait_status("Choose at least one protocol.")
    assert browser.focused() == "for-imap4-smtp"


def test_changed_meanwhile(host, policy, browse, redis):
    browser = browse()
    load(redis, f"self:{ALICE} protocol:caldav off")
    browser.click("#protocol-pop3-smtp")
    wait_until(lambda: "changed elsewhere" in browser.status(), 10, "that it is said")
    assert browser.find("#protocol-pop3-smtp").value("checked")
    assert not browser.find("#protocol-caldav").value("checked")
    assert host.login("pop3").kind == OK


def test_redis_is_away(own_host, browse, own_redis):
    browser = browse(own_host().page.url)
    own_redis.kill()
    try:
        browser.click("#protocol-pop3-smtp")
        wait_until(lambda: "cannot be reached" in browser.status(), 20, "that it is said")
        assert browser.find("#protocol-pop3-smtp").value("checked")
        browser.open(browser.run("return location.href"))
        wait_until(lambda: browser.shows("#again"), 20, "the button")
    finally:
        own_redis.start()

    def try_again():
        if browser.shows("main:not([aria-busy])") and browser.shows("#again"):
            browser.click("#again")
        return browser.shows("main:not([aria-busy]) #protocols li")
    wait_until(try_again, 20, "the page")
    assert not browser.shows("#again")


def test_too_many_changes(host, policy, browse):
    browser = browse()
    wanted = {"off": "on", "on": "off"}
    state = "on"
    for _ in range(200):
        state = wanted[state]
        answer = host.page.ask("PATCH", "v1/accounts/me", ALICE, PASSWORD,
                               {"protocols": {"carddav": state}})
        if answer == 429:
            break
    assert answer == 429
    browser.click("#protocol-pop3-smtp")
    wait_until(lambda: "Too many changes" in browser.status()
               or "changed elsewhere" in browser.status(), 10, "that it is said")
    browser.click("#protocol-pop3-smtp")
    wait_until(lambda: re.search("Too many changes .* in [0-9]+ seconds", browser.status()), 10,
               "that it is said")
    assert browser.find("#protocol-pop3-smtp").value("checked")


def test_no_longer_logged_in(own_host, browse):
    """Where the sign-on is a page of its own."""
    host = own_host()
    browser = browse(host.page.url)
    host.page.log_everybody_out()
    browser.click("#protocol-pop3-smtp")
    browser.wait_status("You are no longer logged in. Please load this page again.")
    assert browser.find("#protocol-pop3-smtp").value("checked")


def test_where_users_make_no_app_passwords(own_host, browse):
    browser = browse(own_host(passwords=False).page.url)
    assert "does not let users make app passwords" in browser.text("#passwords-off")
    assert not browser.shows("#password-form") and browser.shows("#application")


# ---- later ----

def test_what_acts_later_can_be_cancelled(own_host, browse, own_redis):
    slow_host = own_host(loosen_after="24h")
    load(own_redis, f"self:{ALICE} protocol:caldav off")
    browser = browse(slow_host.page.url)
    browser.click("#protocol-caldav")
    browser.wait_status("Your mail host lets this act only later.")
    assert "Opens on " in browser.text("#protocol-caldav-why")
    assert browser.focused() == "protocol-caldav-cancel"
    browser.click("#protocol-caldav-cancel")
    browser.wait_status("Cancelled. It stays as it was.")
    assert browser.focused() == "protocol-caldav"
    assert not browser.shows("#protocol-caldav-cancel")

    browser.fill("#address", "192.0.2.9")
    browser.click("#address-form button[type=submit]")
    browser.wait_status("192.0.2.9 is listed.")     # nothing is loosened while anything goes
    browser.click("#source-authorized")
    browser.click("#source-save")
    browser.wait_status("Your mail may come from the listed addresses only.")
    browser.click("#address-present")
    browser.wait_status("Your mail host lets this act only later.")
    assert "Counts from " in browser.text("#addresses")
    browser.click("#source-any")
    browser.click("#source-save")
    browser.wait_status("Your mail host lets this act only later.")
    assert "your mail may come from anywhere" in browser.text("#source-state")
    assert browser.focused() == "source-cancel"
    browser.click("#source-cancel")
    browser.wait_status("Cancelled. It stays as it was.")
    secret = make_app_password(browser)
    assert "Good from " in browser.text("#made-from")
    assert slow_host.login("imap", password=secret).kind == REFUSED
