"""Changes by gatepost-settings: settings_load.py SOCKET CHANGES CLIENTS, an account for each change.

Prints one row: how many a second, and how long one took.
"""

import socket
import sys
import threading
import time

BODY = b'{"protocols":{"pop3":"off"}}'


def change(connection, number):
    connection.sendall(
        b"PATCH /v1/accounts/me HTTP/1.1\r\nHost: gatepost\r\n"
        b"X-Gatepost-Token: 0123456789abcdef0123456789abcdef\r\n"
        b"X-Remote-User: u%d@example.com\r\nX-Real-IP: 192.0.2.7\r\n"
        b"Content-Type: application/merge-patch+json\r\nContent-Length: %d\r\n\r\n%b"
        % (number, len(BODY), BODY))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    assert head.startswith(b"HTTP/1.1 200 "), answer


def client(path, numbers, times):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        for number in numbers:
            begun = time.perf_counter()
            change(connection, number)
            times.append(time.perf_counter() - begun)


def main():
    path, changes, clients = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    times = []
    threads = [threading.Thread(target=client, args=(path, range(n, changes, clients), times))
               for n in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - begun
    times.sort()
    assert len(times) == changes, f"{changes - len(times)} failed"
    print(f"settings: {changes} changes by {clients} clients: {changes / taken:.0f}/s, "
          f"p50 {1000 * times[changes // 2]:.2f} ms, p99 {1000 * times[changes * 99 // 100]:.2f} ms")


main()
