"""Takes the pictures of the user's page that README.md shows, of a page in use before a real host.
Needs python3-pil, to make them small.

    GATEPOST=build/dev/milter/gatepost python3 tests/e2e/screenshots.py packaging/screenshots
"""

import os
import sys

from PIL import Image

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
# name, language, dark, width, height, and what is scrolled to
PICTURES = (
    ("desktop-light", "en", False, 820, 760, "body"),
    ("desktop-dark", "en", True, 820, 760, "#source-title"),
    ("phone-light", "fr", False, 360, 760, "body"),
    ("phone-dark", "de", True, 360, 760, "#passwords-title"),
)


def make_small(path):
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(48, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main(folder):
    scratch = Folder()
    redis = RedisServer(scratch.sub("redis"))
    redis.start()
    load(redis, POLICY)
    host = SettingsHost(redis.url)
    try:
        host.start()
        assert host.login("imap").kind == OK
        for name, language, dark, width, height, place in PICTURES:
            browser = Browser(scratch.sub(name), user=ALICE, password=PASSWORD, language=language,
                              dark=dark, width=width, height=height)
            browser.open(host.page.url)
            wait_until(lambda shown=browser: shown.shows("#passwords-none"), what="the page")
            path = os.path.join(folder, name + ".png")
            browser.run("document.querySelector(arguments[0]).scrollIntoView()", place)
            browser.picture(path)
            make_small(path)
            browser.stop()
    finally:
        host.stop()
        redis.stop()
        scratch.remove()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
