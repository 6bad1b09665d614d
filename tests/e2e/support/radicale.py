"""Owns a private Radicale, by conf/nginx/radicale.conf: it believes its proxy who somebody is."""

import os
import sys

from .ports import accepts, free_port
from .process import Process
from .shipped import install


def _log_options():
    from radicale.config import DEFAULT_CONFIG_SCHEMA   # here: few tests need the package
    if "request_header_on_debug" in DEFAULT_CONFIG_SCHEMA["logging"]:
        return ["--logging-level", "debug", "--logging-request-header-on-debug"]
    return ["--logging-level", "debug"]


class Radicale:
    """Its log has the fields of each request, as HTTP_NAME. With `imap_port` it believes nobody, but
    checks passwords by a login there."""

    def __init__(self, folder, imap_port=None):
        self.port = free_port()
        self.log = os.path.join(folder, "output")
        places = {"127.0.0.1:5232": f"127.0.0.1:{self.port}",
                  "/var/lib/radicale/collections": os.path.join(folder, "collections")}
        if imap_port is not None:
            places["type = http_x_remote_user"] = (
                f"type = imap\nimap_host = 127.0.0.1:{imap_port}\nimap_security = none\ndelay = 0")
        self._conf = install("nginx/radicale.conf", os.path.join(folder, "config"), places)
        self._process = None

    def start(self):
        self._process = Process([sys.executable, "-m", "radicale", "--config", self._conf,
                                 *_log_options()], self.log)
        self._process.wait_ready(lambda: accepts(self.port), what="listening")
        return self

    def log_text(self):
        return self._process.log_text()

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None
