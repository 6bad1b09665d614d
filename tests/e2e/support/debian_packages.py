"""Owns programs of Debian packages that cannot be installed beside Postfix, unpacked in a cache.

The cache outlives the run: $GATEPOST_TEST_CACHE, or build/cache in the source tree. No file of
the system is touched but apt's own lists, when they are missing or too old.
"""

import glob
import os
import platform
import shutil
import subprocess
import tempfile

_HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.abspath(os.environ.get(
    "GATEPOST_TEST_CACHE", os.path.join(_HERE, "../../../build/cache")))


def _run(*argv, folder):
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True)


def _download(packages, folder):
    done = _run("apt-get", "-q", "download", *packages, folder=folder)
    if done.returncode != 0:
        _run("apt-get", "-o", "DPkg::Lock::Timeout=400", "-q", "update", folder=folder)
        done = _run("apt-get", "-q", "download", *packages, folder=folder)
    if done.returncode != 0:
        raise RuntimeError(f"apt-get download {' '.join(packages)}:\n{done.stderr}")


def unpacked(name, packages):
    """The folder in CACHE that holds what these packages install, fetched if not there."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "sid")
    root = os.path.join(CACHE, f"{name}-{release}-{platform.machine()}")
    if os.path.isdir(root):
        return root
    os.makedirs(CACHE, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix=name + "-", dir=CACHE)
    try:
        _download(packages, scratch)
        tree = os.path.join(scratch, "root")
        for archive in glob.glob(os.path.join(scratch, "*.deb")):
            subprocess.run(["dpkg", "-x", archive, tree], check=True, capture_output=True)
        os.chmod(tree, 0o755)
        os.rename(tree, root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return root
