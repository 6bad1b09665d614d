"""Owns a socket like /dev/log whose messages end in a file, for programs that log nowhere else."""

import os
import socketserver
import threading


class _Message(socketserver.BaseRequestHandler):
    def handle(self):
        text = self.request[0].rstrip(b"\n\0").partition(b">")[2]
        with open(self.server.path, "ab") as log:
            log.write(text + b"\n")


class SyslogFile(socketserver.UnixDatagramServer):
    """Listens on `socket` and appends to the file `path`, from construction to stop()."""

    max_packet_size = 65536

    def __init__(self, socket, path):
        self.path = path
        super().__init__(socket, _Message)
        os.chmod(socket, 0o666)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()
