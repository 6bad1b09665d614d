"""The user's page is for everybody: by keyboard and screen reader, on a phone, light and dark, in each
language, and without script; and its files are what its security policy promises.
"""

import json
import os
import re

import pytest

from support.page_fixtures import browse, host, policy  # noqa: F401, fixtures
from support.process import wait_until
from support.settings_host import ALICE
from support.webdriver import DOWN, ENTER, ESCAPE, SPACE

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../milter/settings/page")


def walk_to(browser, identity, *keys):
    browser.tab_to(identity)
    for key in keys:
        browser.press(key)


def test_the_keyboard_alone_does_it_all(host, policy, browse):
    browser = browse(width=360, height=740)
    walk_to(browser, "protocol-pop3-smtp", SPACE)
    browser.wait_status("POP3 + SMTP is off.")
    walk_to(browser, "address")
    browser.write("192.0.2.7")
    browser.press(ENTER)
    browser.wait_status("192.0.2.7 is listed.")
    browser.tab_to("source-any", backwards=True)
    browser.press(DOWN)
    walk_to(browser, "source-save", ENTER)
    browser.wait_status("Your mail may come from the listed addresses only.")
    walk_to(browser, "for-imap4-smtp", SPACE)
    walk_to(browser, "password-note")
    browser.write("Phone")
    browser.press(ENTER)
    browser.wait_status("The app password has been made.")
    walk_to(browser, "made-done", ENTER)
    browser.wait_status("The app password is no longer shown.")
    identity = browser.run("return document.querySelector('#passwords button').id")
    walk_to(browser, identity, ENTER)
    assert browser.focused() == "confirm-no"
    walk_to(browser, "confirm-yes", ENTER)
    browser.wait_status("Phone is revoked.")
    assert browser.focused() == "passwords-title"


@pytest.mark.parametrize("language, dark, width", [
    ("en", False, 1000), ("en", True, 360), ("de", True, 1000), ("de", False, 320),
    ("fr", False, 360), ("fr", True, 320)])
def test_accessibility(policy, browse, language, dark, width):
    """With everything that can be seen: closed by the host, an app password, errors, the dialog."""
    policy("account:@example.com protocol:caldav off", f"self:{ALICE} protocol:pop3-smtp off",
           f"self:{ALICE} ip:2001:db8:1234:5678:9abc:def0:1234:5678 a note")
    browser = browse(language=language, dark=dark, width=width)
    assert browser.run("return document.documentElement.lang") == language
    browser.click("#for-imap4-smtp")
    browser.click("#password-form button[type=submit]")
    wait_until(lambda: browser.shows("#made"), 20, "the app password")
    browser.fill("#address", "none")
    browser.click("#address-form button[type=submit]")
    wait_until(lambda: browser.shows("#address-error"), 20, "the error")
    assert browser.accessibility_problems() == []
    names = browser.names("button")
    assert len(set(names)) == len(names), "two buttons of the same name"
    browser.click("#protocols-more summary")
    assert browser.accessibility_problems() == []
    browser.click("#passwords button")
    assert browser.accessibility_problems() == []
    assert len(browser.names("dialog")) == 1
    browser.press(ESCAPE)


def test_the_switches_say_what_they_are(policy, browse):
    browser = browse()
    names = browser.names("switch")
    assert names == ["IMAP + SMTP", "POP3 + SMTP", "CalDAV", "CardDAV", "Mail in your name",
                     "ManageSieve", "Mail programs need an app password"]
    browser.click("#protocols-more summary")        # those that nothing says this host has
    more = set(browser.names("switch")) - set(names)
    assert more == {"WebDAV", "ActiveSync", "JMAP", "Webmail"}
    assert browser.names("heading")[:2] == ["Ways into your mailbox", "Protocols"]


def test_without_script_it_can_be_read(policy, browse):
    browser = browse(language="de", script=False)
    shown = browser.text("body")
    assert "Ohne JavaScript können Sie lesen" in shown and "App-Passwörter" in shown
    assert "keine Adresse" not in shown     # nothing that might not be true
    browser.click("noscript a")
    assert json.loads(browser.text("body"))["account"] == ALICE


# ---- the files ----

def catalogue(language="en"):
    with open(os.path.join(PAGE, language + ".json"), encoding="utf-8") as file:
        return json.load(file)


def source(name):
    with open(os.path.join(PAGE, name), encoding="utf-8") as file:
        return file.read()


def test_each_text_is_used_and_there():
    """What the page and its script say is in the catalogue, and nothing else is."""
    scripts = "".join(source(name) for name in os.listdir(PAGE) if name.endswith(".js"))
    wanted = set(re.findall(r"\{\{([^}]*)\}\}", source("index.html"))) - {"lang"}
    wanted |= set(re.findall(r'say\("([^"]+)"', scripts))
    assert wanted <= set(catalogue())
    families = tuple(re.findall(r"say\(`([a-z.]+\.)\$\{", scripts)) + (
        "name.", "for.", "address.present", "network.present")
    unused = [key for key in catalogue() if key not in wanted and f'"{key}"' not in scripts
              and not key.startswith(families)]
    assert unused == []


def test_nothing_in_the_page_is_inline():
    text = source("index.html")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
    for name in os.listdir(PAGE):
        if name.endswith(".js"):
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|\.style\b|eval\(|document\.write",
                                 source(name)), name
            assert "http" not in re.sub(r"//.*", "", source(name)), name
