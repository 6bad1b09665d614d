"""The page of the quick start: a private mail host with gatepost-settings, until it is interrupted.

Run by quickstart.sh --page, which names the filter in GATEPOST and puts tests/e2e, with the parts of
the host, on PYTHONPATH. It prints what to open and what to try, and then each change that is made.
"""

import contextlib
import os
import signal
import sys
import time

from support import logfmt
from support.folder import Folder
from support.policy import load
from support.redis_server import RedisServer
from support.settings_host import ALICE, PASSWORD, SettingsHost

POLICY = """\
account:@example.com  source            any
account:@example.com  protocol:carddav  off
"""
TEXT = """\
Open    {url}
        as {user}, password {password}

Then try what you have switched, with any mail program or with curl:
        curl -k --ssl-reqd -u {user}:{password} imap://127.0.0.1:{imap}/INBOX
        curl -k --ssl-reqd -u {user}:{password} pop3://127.0.0.1:{pop3}/

The domain has closed CardDAV. Everything is on this host alone and is thrown away in the end.
Ctrl-C ends it. Changes:"""


def show(host):
    ports = host.mail.dovecot.ports
    print(TEXT.format(url=host.page.url, user=ALICE, password=PASSWORD, imap=ports[143],
                      pop3=ports[110]))
    seen = 0
    while True:
        changes = [line for line in host.page.log_text().splitlines() if "event=change " in line]
        for line in changes[seen:]:
            change = logfmt.parse(line[line.index("event="):])
            print("  " + " ".join(f"{key}={value}" for key, value in change.items()
                                  if key != "event" and value))
        seen = len(changes)
        time.sleep(0.5)


def run():
    with contextlib.ExitStack() as stack:
        folder = Folder()
        stack.callback(folder.remove)
        redis = RedisServer(folder.path)
        stack.callback(redis.stop)
        redis.start()
        load(redis, POLICY)
        host = SettingsHost(redis.url)
        stack.callback(host.stop)
        stack.callback(ignore_signals)
        host.start()
        show(host)


def ignore_signals(*_):
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def interrupt(number, _):
    ignore_signals()
    raise SystemExit(128 + number)


def main():
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        run()
    except BrokenPipeError:         # nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (OSError, RuntimeError, AssertionError) as problem:
        print(f"quickstart: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
