"""Owns a headless Chromium, driven by WebDriver, with a profile of its own.

It is the browser of one user: `user` and `password` are given to whoever asks at that address by
HTTP, `language` is what it wants to read, `dark` the scheme, `width` and `height` its window.
"""

import base64
import os

from .ports import accepts, free_port
from .process import Process, wait_until
from .webdriver import SHIFT, TAB, Session

_HERE = os.path.dirname(os.path.abspath(__file__))
# quiet, so that it asks nobody but the page; as root it cannot have a sandbox
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
              "--disable-quic", "--no-first-run", "--disable-background-networking",
              "--disable-component-update", "--disable-sync", "--hide-scrollbars")
# roles of what a user can do something with
_CONTROLS = ("button", "link", "textbox", "switch", "checkbox", "radio", "Date", "dialog")


class Browser:
    def __init__(self, folder, user=None, password=None, language="en", dark=False,
                 width=1000, height=1000, script=True):
        self._folder = folder
        self._port = free_port()
        self._process = Process(["chromedriver", f"--port={self._port}"],
                                os.path.join(folder, "chromedriver.log"), death_signal="TERM",
                                env={**os.environ, "HOME": folder, "TMPDIR": folder})
        self.session = None
        try:
            self._process.wait_ready(lambda: accepts(self._port), what="listening")
            self._start(language, script)
            self.view(width, height, dark)
            if user:
                self._sign_on(user, password)
        except BaseException:
            self.stop()
            raise

    def _start(self, language, script):
        options = {"binary": "/usr/bin/chromium", "args": [
            *_ARGUMENTS, f"--user-data-dir={os.path.join(self._folder, 'profile')}",
            f"--lang={language}", f"--accept-lang={language}"]}
        if not script:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        self.session = Session(self._port, options)
        self.open, self.run = self.session.open, self.session.run
        self.cdp, self.press = self.session.cdp, self.session.press

    def view(self, width, height, dark=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)
        self.cdp("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def _sign_on(self, user, password):
        """What a browser sends once its user has answered the question for user and password."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.cdp("Network.enable")
        self.cdp("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {token}"})

    def stop(self):
        try:
            if self.session is not None:
                self.session.quit()
        finally:
            self._process.stop()

    # ---- reading ----

    def find(self, selector):
        """The only one."""
        element, = self.session.find_all(selector)
        return element

    def shows(self, selector):
        return any(element.shown() for element in self.session.find_all(selector))

    def text(self, selector):
        return self.find(selector).text

    def click(self, selector):
        self.find(selector).click()

    def fill(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.type(text)

    def focused(self):
        """The id of what has the focus."""
        return self.run("return document.activeElement.id")

    def status(self):
        return self.run("return document.getElementById('status').textContent")

    def wait_status(self, text):
        """Until that is announced."""
        try:
            wait_until(lambda: self.status() == text, 20)
        except TimeoutError:
            state = self.run("return [document.activeElement.id, document.hasFocus(), "
                             "document.getElementById('confirm').open]")
            raise AssertionError(f"{text!r}, not {self.status()!r}; {state}") from None

    def errors(self):
        """What the console has complained of since the last time, but for refused requests."""
        return [entry["message"] for entry in self.session.console()
                if entry["source"] != "network"]

    # ---- keyboard ----

    def tab_to(self, identity, backwards=False):
        """By the keyboard alone; what gets the focus on the way must be seen to have it."""
        for _ in range(120):
            if self.focused() == identity:
                return
            self.press(*([SHIFT, TAB] if backwards else [TAB]))
            wait_until(lambda: not self.run(_UNSEEN), 5, "the focus seen at " + self.focused())
        raise AssertionError(f"the keyboard does not come to #{identity}")

    def write(self, text):
        """What has the focus is given that text, key by key."""
        for key in text:
            self.press(key)

    # ---- accessibility ----

    def accessibility_problems(self):
        """Sentences; none when all is well."""
        with open(os.path.join(_HERE, "accessibility.js"), encoding="utf-8") as file:
            problems = self.run(file.read())
        for node in self.cdp("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if not node["ignored"] and role in _CONTROLS and not node.get("name", {}).get("value"):
                problems.append(f"a {role} without a name")
        return problems

    def names(self, role):
        """The accessible names of all that have that role, as a screen reader says them."""
        return [node["name"]["value"]
                for node in self.cdp("Accessibility.getFullAXTree")["nodes"]
                if not node["ignored"] and node.get("role", {}).get("value") == role]

    # ---- pictures ----

    def picture(self, path):
        """What is in its window, as a PNG."""
        shot = self.cdp("Page.captureScreenshot", format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))


# what has the focus and does not show it, or lies out of sight; the body has it at the ends
_UNSEEN = """
const element = document.activeElement;
if (element === document.body) return false;
const style = getComputedStyle(element);
const box = element.getBoundingClientRect();
const seen = style.outlineStyle !== 'none'
    && parseFloat(style.outlineWidth) >= 2;
const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
return !seen || !inside;
"""
