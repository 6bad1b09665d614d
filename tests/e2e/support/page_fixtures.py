"""Fixtures of the tests of the user's page: a host with it, its policy, and Alice's browser."""

import contextlib

import pytest

from .browser import Browser
from .folder import Folder
from .policy import load
from .process import wait_until
from .redis_server import RedisServer
from .settings_host import ALICE, PASSWORD, SettingsHost


@pytest.fixture(scope="module")
def host(redis_server):
    made = SettingsHost(redis_server.url)
    try:
        yield made.start()
    finally:
        statuses = made.stop()
    assert statuses == (0, 0)


@pytest.fixture
def policy(host, redis, request):
    """A function (lines): the whole policy, heard of."""
    request.node.gatepost = host.mail.gatepost
    request.node.server_log = host.log_text

    def set_policy(*lines):
        redis.cli("FLUSHALL")
        load(redis, "\n".join(("account:@example.com source any", *lines)))
        host.mail.gatepost.catch_up(redis)
    set_policy()
    yield set_policy
    host.mail.gatepost.check_healthy()


@pytest.fixture
def own_redis():
    folder = Folder()
    server = RedisServer(folder.path)
    try:
        yield server.start()
    finally:
        server.stop()
        folder.remove()


@pytest.fixture
def own_host(own_redis):
    """A function (settings of the page's section) that starts a host for one test, on own_redis."""
    load(own_redis, "account:@example.com source any")
    made = []

    def start(**settings):
        made.append(SettingsHost(own_redis.url, **settings))
        return made[-1].start()
    yield start
    for one in made:
        assert one.stop() == (0, 0)


@pytest.fixture
def browse(request):
    """A function (URL, arguments of Browser): Alice's browser, with the page in it. Its console is to be
    empty in the end: nothing that the page's own security policy forbids."""
    with contextlib.ExitStack() as stack:
        opened = []

        def browse(url=None, user=ALICE, **arguments):
            folder = Folder()       # its sockets' paths are to be short
            stack.callback(folder.remove)
            browser = Browser(folder.path, user=user, password=PASSWORD, **arguments)
            stack.callback(browser.stop)
            opened.append(browser)
            browser.open(url or request.getfixturevalue("host").page.url)
            if arguments.get("script", True):
                wait_until(lambda: browser.shows("main:not([aria-busy]) #protocols li"), 20,
                           "the page")
            return browser
        yield browse
        assert [browser.errors() for browser in opened] == [[]] * len(opened)


def make_app_password(browser):
    """By mouse, for IMAP and SMTP; the password that is shown."""
    browser.click("#for-imap4-smtp")
    browser.fill("#password-note", "Phone")
    browser.click("#password-form button[type=submit]")
    browser.wait_status("The app password has been made.")
    return browser.text("#made-password")
