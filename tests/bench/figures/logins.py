"""Owns the figures of Dovecot's logins: at its auth socket, without Gatepost and with it, by the files
of conf/dovecot. Plain passwords, policy from a warm cache."""

import json
import os
import shutil
import subprocess
from statistics import median

import stage as _                   # it finds what follows
from support import gatepost
from support.dovecot_host import DovecotHost
from support.redis_client import RedisClient

CONNECTIONS = (1, 16)
ALONE, POLICY, BOTH = "Dovecot alone", "with its auth policy", "with that and the Lua passdb"
WANTED = {POLICY: (250, 5000), BOTH: (400, 2500)}     # us more at 1 connection; logins/s at 16
_PARTS = {"lua": ("# 2. Gatepost is asked", "# 3. Your own"),
          "policy": ("# After the password Gatepost", "# With a cache")}


def _without(*names):
    """A function that takes these parts out of dovecot.conf."""
    def change(text):
        for name in names:
            first, behind = _PARTS[name]
            text = text[:text.index(first)] + text[text.index(behind):]
        return text
    return change


def _start(redis, accounts, *without):
    host = DovecotHost(redis.url, log_level="warning")
    for number in range(accounts):
        host.dovecot.add_user(f"user{number}@example.com")
    host.dovecot.change(_without(*without))
    host.start_gatepost()
    return host.start()


def _log_in(stage, host, connections, seconds, accounts):
    argv = [os.path.join(stage.build, "tests/bench/door_load"), host.dovecot.auth_socket, "login",
            str(connections), str(seconds), str(accounts)]
    result = subprocess.run(argv, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"logins, {connections} connections: {result.stderr}")
    return json.loads(result.stdout)


def _measure(stage, plan, report, hosts, accounts):
    lines = ["| | connections | logins/s | p50 us | p99 us | p50 more than alone, us |",
             "|---|---:|---:|---:|---:|---:|"]
    for connections in CONNECTIONS:
        runs = {title: [] for title in hosts}
        for _ in range(plan.rounds):
            for title, host in hosts.items():
                runs[title].append(_log_in(stage, host, connections, plan.seconds, accounts))
        for title in hosts:
            rate, p50, p99 = (median(run[key] for run in runs[title])
                              for key in ("requests_per_second", "p50_us", "p99_us"))
            more = median(run["p50_us"] - alone["p50_us"]
                          for run, alone in zip(runs[title], runs[ALONE]))
            lines.append(f"| {title} | {connections} | {rate:,.0f} | {p50:.0f} | {p99:.0f} "
                         f"| {more:.0f} |")
            if title != ALONE:
                _judge(report, title, connections, more, rate)
    report.part("Logins at Dovecot's auth socket", "\n".join(lines) + "\n")


def _judge(report, title, connections, more, rate):
    longest, fewest = WANTED[title]
    if connections == 1:
        report.target(f"a login at Dovecot {title}, over one without, p50",
                      f"at most {longest} us", f"{more:.0f} us", more <= longest)
    else:
        report.target(f"logins at Dovecot {title}, {connections} connections",
                      f"at least {fewest:,}/s", f"{rate:,.0f}/s", rate >= fewest)


def _can_start():
    """Dovecot becomes many users, which needs the true root."""
    with open("/proc/self/uid_map") as uids:
        return uids.read().split()[1:] == ["0", "4294967295"] and shutil.which("dovecot")


def measure(stage, plan, report):
    if not _can_start():
        report.part("Logins at Dovecot's auth socket", "Not measured: it needs root and Dovecot.\n")
        return
    gatepost.BINARY = os.path.join(stage.build, "milter/gatepost")
    accounts = plan.accounts[0]
    with RedisClient(stage.redis.socket) as client:     # the accounts are there already
        client.command("HSET", "gatepost:account:@example.com", "source", "any")
    hosts = {}
    try:
        for title, without in ((ALONE, ("lua", "policy")), (POLICY, ("lua",)), (BOTH, ())):
            hosts[title] = _start(stage.redis, accounts, *without)
            _log_in(stage, hosts[title], 16, 0.3, accounts)    # warm
        _measure(stage, plan, report, hosts, accounts)
    finally:
        for host in hosts.values():
            host.gatepost.stop()
            host.stop()
