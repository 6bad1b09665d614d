"""Owns the choice of loopback ports: free ones, below the range the kernel hands to clients."""

import os
import random
import socket

# each of the test runners that share the work has a part of the range
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_SIZE = 18000 // _WORKERS
_LOWEST = 12000 + _WORKER * _SIZE
_given = set()


def _is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_port():
    """A port free for TCP and UDP on 127.0.0.1, never given out twice in one run."""
    while True:
        port = random.randrange(_LOWEST, _LOWEST + _SIZE)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def accepts(port, host="127.0.0.1"):
    """Whether something listens on that TCP port now."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def accepts_unix(path):
    """Whether something listens on that unix socket now."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
