"""Owns the description of where and with what the figures were taken."""

import datetime
import os
import platform
import subprocess

_PACKAGES = ("libmilter1.0.1", "libspf2-2", "libhiredis0.14", "redis-server",
             "opendmarc", "pyspf-milter")
_TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


def _output(*argv):
    result = subprocess.run(argv, capture_output=True, text=True, cwd=_TOP)
    return result.stdout.strip() if result.returncode == 0 else ""


def _value(path, key, separator):
    with open(path) as file:
        for line in file:
            name, _, value = line.partition(separator)
            if name.strip() == key:
                return value.strip().strip('"')
    return "unknown"


def _commit():
    commit = _output("git", "rev-parse", "--short=12", "HEAD") or "unknown"
    changed = _output("git", "status", "--porcelain", "--", "milter", "include")
    return commit + (" with changes in milter/ or include/" if changed else "")


def load_average():
    return f"{os.getloadavg()[0]:.1f}"


def describe(build, load_before):
    """(what, value) pairs."""
    memory = int(_value("/proc/meminfo", "MemTotal", ":").split()[0]) / 1024 / 1024
    versions = [f"{name} {version}" for name in _PACKAGES
                if (version := _output("dpkg-query", "-W", "-f", "${Version}", name))]
    return [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", _commit()),
        ("processor", f"{_value('/proc/cpuinfo', 'model name', ':')}, {os.cpu_count()} cores, "
                      f"{memory:.0f} GiB of memory"),
        ("system", f"{_value('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release()}"),
        ("packages", ", ".join(versions)),
        ("compiled with", _value(os.path.join(build, "Makefile"), "CFLAGS", "=")),
        ("load average before", load_before)]
