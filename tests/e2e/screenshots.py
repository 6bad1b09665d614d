"""Takes the pictures of the user's page that README.md shows, of a page in use before a real host.

    GATEPOST=build/dev/milter/gatepost python3 tests/e2e/screenshots.py packaging/screenshots
"""

import os
import sys

from support.browser import Browser
from support.folder import Folder
from support.mail_logins import OK
from support.policy import load
from support.process import wait_until
from support.redis_server import RedisServer
from support.settings_host import ALICE, PASSWORD, SettingsHost

POLICY = f"""\
account:@example.com source any
account:@example.com protocol:caldav off
self:{ALICE} protocol:pop3-smtp off
self:{ALICE} ip:192.0.2.0/24 office
"""
# name, language, dark, width, height, and what the picture ends with
PICTURES = (
    ("desktop-light", "en", False, 760, 900, "section:nth-of-type(2)"),
    ("desktop-dark", "en", True, 760, 900, "section:nth-of-type(1)"),
    ("phone-light", "fr", False, 360, 740, "section:nth-of-type(1)"),
    ("phone-dark", "de", True, 360, 740, "section:nth-of-type(1)"),
)


def main(folder):
    scratch = Folder()
    redis = RedisServer(scratch.sub("redis"))
    redis.start()
    load(redis, POLICY)
    host = SettingsHost(redis.url)
    try:
        host.start()
        assert host.login("imap").kind == OK
        for name, language, dark, width, height, end in PICTURES:
            browser = Browser(scratch.sub(name), user=ALICE, password=PASSWORD, language=language,
                              dark=dark, width=width, height=height)
            browser.open(host.page.url)
            wait_until(lambda shown=browser: shown.shows("#passwords-none"), what="the page")
            browser.picture(os.path.join(folder, name + ".png"), end)
            browser.stop()
    finally:
        host.stop()
        redis.stop()
        scratch.remove()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
