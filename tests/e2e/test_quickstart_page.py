"""What quickstart.sh --page shows: a page that works while it waits, and nothing afterwards."""

import base64
import os
import re
import signal
import sys
import urllib.request

import pytest

from support.folder import Folder
from support.process import Process, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SHOW = os.path.join(HERE, "../../packaging/quickstart_page.py")


@pytest.fixture
def show(tmp_path):
    scratch = Folder()          # as quickstart.sh makes it
    process = Process([sys.executable, SHOW], str(tmp_path / "shown"), env={
        **os.environ, "TMPDIR": scratch.path, "PYTHONPATH": HERE}, death_signal="TERM")
    yield process, scratch.path
    process.kill_group()
    scratch.remove()


def ask(url, user, password, method="GET", body=None, **headers):
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(url, method=method, data=body,
                                     headers={"Authorization": "Basic " + token, **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def test_the_page_works_while_it_waits(show):
    process, scratch = show
    shown = process.wait_ready(lambda: re.search(
        r"Open +(http://127\.0\.0\.1:\d+/settings/)\n +as (\S+), password (\S+)\n(?s:.*)Changes:",
        process.log_text()), 60)
    url, user, password = shown.groups()
    assert "<html lang=\"en\">" in ask(url, user, password)
    ask(url + "v1/accounts/me", user, password, "PATCH", b'{"protocols":{"pop3-smtp":"off"}}',
        **{"Content-Type": "application/merge-patch+json"})
    wait_until(lambda: "protocol:pop3-smtp" in process.log_text(), what="the change is shown")
    assert process.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert os.listdir(scratch) == []
