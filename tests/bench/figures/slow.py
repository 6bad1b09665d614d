"""slow.py SOCKET COUNT: that many sessions whose domains have a dead name server say MAIL FROM.

Prints "ready" when all have. Ends with status 1 at the first answer: then they no longer wait.
"""

import os
import select
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../e2e"))
from support.milter_client import MilterClient, macros, mail    # noqa: E402


def main():
    clients = []
    for number in range(int(sys.argv[2])):
        client = MilterClient(sys.argv[1])
        clients.append(client)
        client.negotiate()
        client.connect(f"10.1.{number}.1")
    for number, client in enumerate(clients):
        sender = f"x@slow{number}.example"
        client.send(macros("M", {"{mail_addr}": sender}) + mail(sender))
    print("ready", flush=True)
    select.select([client._socket for client in clients], [], [])
    sys.exit(1)


if __name__ == "__main__":
    main()
