"""crowd.py SOCKET COUNT: holds that many connections to a filter behind CONNECT until it is killed.

A process for each crowd, since all crowds together would be too many descriptors for one.
"""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../e2e"))
from support.milter_client import MilterClient    # noqa: E402


def main():
    clients = []
    for _ in range(int(sys.argv[2])):
        client = MilterClient(sys.argv[1])
        clients.append(client)
        client.negotiate()
        client.connect()
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
