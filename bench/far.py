#!/usr/bin/env python3
"""An HTTP collector on loopback, well, slow, or in and out of trouble.

    far.py --port 4711 --folder DIR --manner well|slow|flaps

It keeps eight bytes of a hash of every line it has taken, in DIR/lines, in the order in which they came, before it says yes. Once there is a
file DIR/recover it behaves well for good. What it did is in DIR/log. It ends with SIGTERM.
"""

import argparse
import array
import gzip
import hashlib
import http.server
import pathlib
import random
import socket
import threading
import time

SLOW_SECONDS = (0.1, 0.8)
TROUBLES = ["refuses", "closes", "times out", "loses the answer", "503", "429"]
LONG_TROUBLE_SECONDS = 90


class Collector:
    """What all connections share. `manner` is what is done with the next request."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.manner = "well"
        self.lock = threading.Lock()
        self.taken = open(folder / "lines", "ab")
        self.server = None

    def take(self, body):
        hashes = array.array("Q", (line_hash(line) for line in body.split(b"\n") if line))
        with self.lock:
            hashes.tofile(self.taken)
            self.taken.flush()

    def open(self):
        handler = type("Bound", (Handler,), {"collector": self})
        self.server = Server(("127.0.0.1", self.port), handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def behave(self, manner):
        """Closing the door is the server's; all else is done request by request."""
        before, self.manner = self.manner, manner
        with open(self.folder / "log", "a", encoding="utf-8") as log:
            log.write(f"{time.time():.1f}\t{manner}\n")
        if manner == "refuses":
            self.close()
        elif before == "refuses":
            self.open()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A connection that breaks is what some manners are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    collector = None

    def do_POST(self):
        manner = self.collector.manner
        if manner in ("closes", "refuses"):
            return self.hang_up()
        body = self.body()
        if manner == "times out":
            while self.collector.manner == manner:
                time.sleep(0.05)
            return self.hang_up()
        if manner in ("503", "429"):
            return self.answer(int(manner))
        if manner == "slow":
            time.sleep(random.uniform(*SLOW_SECONDS))
        self.collector.take(body)
        if manner == "loses the answer":
            return self.hang_up()
        self.answer(200)

    def body(self):
        length = self.headers.get("content-length")
        body = self.rfile.read(int(length)) if length else b"".join(self.chunks())
        return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

    def chunks(self):
        while size := int(self.rfile.readline().strip(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def answer(self, status):
        self.send_response(status)
        if status == 429:
            self.send_header("retry-after", "1")
        self.send_header("content-length", "0")
        self.end_headers()

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The other side was faster.

    def log_message(self, *_):
        """Silent: what counts is in `lines`."""


def line_hash(line):
    return int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "little")


def flap(collector):
    """Well and in trouble by turns, mostly for seconds, seldom for as long as it takes to fill a journal."""
    recover = collector.folder / "recover"
    while not recover.exists():
        collector.behave("well")
        wait(random.uniform(1, 8), recover)
        collector.behave(random.choice(TROUBLES))
        wait(LONG_TROUBLE_SECONDS if random.random() < 0.04 else random.uniform(0.5, 6), recover)
    collector.behave("well")


def wait(seconds, recover):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not recover.exists():
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--manner", choices=["well", "slow", "flaps"], default="well")
    args = parser.parse_args()
    collector = Collector(args.folder, args.port)
    collector.open()
    if args.manner == "flaps":
        flap(collector)
    else:
        collector.behave(args.manner)
        while args.manner == "slow" and not (args.folder / "recover").exists():
            time.sleep(0.2)
        collector.behave("well")
    threading.Event().wait()


if __name__ == "__main__":
    main()
