"""Owns the talk with chromedriver: the few commands of W3C WebDriver that the tests need."""

import json
import urllib.error
import urllib.request

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"       # of the standard
SHIFT, TAB, ENTER, SPACE, ESCAPE, DOWN = "\ue008", "\ue004", "\ue007", " ", "\ue00c", "\ue015"


class WebDriverError(Exception):
    pass


class Element:
    def __init__(self, session, identity):
        self._session, self._path = session, "/element/" + identity

    def click(self):
        self._session.ask("POST", self._path + "/click", {})

    def clear(self):
        self._session.ask("POST", self._path + "/clear", {})

    def type(self, text):
        self._session.ask("POST", self._path + "/value", {"text": text})

    @property
    def text(self):
        """As it is shown."""
        return self._session.ask("GET", self._path + "/text")

    def value(self, name):
        """Of a property."""
        return self._session.ask("GET", f"{self._path}/property/{name}")

    def shown(self):
        return self._session.ask("GET", self._path + "/displayed")


class Session:
    """A browser that chromedriver at that port has started; `options` are goog:chromeOptions."""

    def __init__(self, port, options):
        self._base = f"http://127.0.0.1:{port}/session"
        self._base += "/" + self.ask("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "acceptInsecureCerts": True, "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}}}})["sessionId"]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            self._base + path, method=method, headers={"Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            value = json.load(problem)["value"]
            raise WebDriverError(f"{value['error']}: {value['message']}") from None

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def find_all(self, selector):
        found = self.ask("POST", "/elements", {"using": "css selector", "value": selector})
        return [Element(self, one[_ELEMENT]) for one in found]

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, *keys):
        """All of them down, one after the other, then up: press(SHIFT, TAB)."""
        actions = [{"type": "keyDown", "value": key} for key in keys]
        actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard",
                                                   "actions": actions}]})

    def cdp(self, command, **parameters):
        """A command of Chromium's DevTools protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def console(self):
        """Its entries since the last time."""
        return self.ask("POST", "/se/log", {"type": "browser"})

    def quit(self):
        self.ask("DELETE", "")
