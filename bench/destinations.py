#!/usr/bin/env python3
"""Measures each destination that takes lines: the agent drains a real audit log into a receiver on loopback.

    destinations.py [TYPE…]          all types without a name; the log is that of `bench.py generate`

The receivers are Python's own HTTP server with the least that each protocol wants for an answer: they show what the agent can send, and take a good
part of a core themselves. What is printed: events a second by the clock, the agent's CPU seconds and peak memory, and the events that the
receiver counted in the bodies, beside the rows of the log. The first line is a folder of segments, to compare with; the last is a run in which another
destination is down all the time. Nothing but the standard library.
"""

import argparse
import csv
import http.server
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
MB = 1_000_000

# By type: the keys of its configuration, the path that is answered, what stands once in every event of a body, and the answer.
TYPES = {
    "http": ("", b'"type":"event"', b""),
    "splunk_hec": ('token = "${BENCH_TOKEN}"', b'"event":{"v"', b'{"text":"Success","code":0}'),
    "elasticsearch": ('index = "sealtrail"', b'"type":"event"', None),
    "opensearch": ('index = "sealtrail"', b'"type":"event"', None),
    "otlp": ("", b'"type":"event"', b""),
    "loki": ("", b'\\"type\\":\\"event\\"', b""),
    "datadog": ('api_key = "${BENCH_TOKEN}"', b'\\"type\\":\\"event\\"', b"{}"),
}


def main():
    args = arguments()
    log = pathlib.Path(args.folder) / "postgres.csv"
    if not log.exists():
        raise SystemExit(f"no {log}\n  hint: run `bench.py generate` first")
    with tempfile.TemporaryDirectory(prefix="sealtrail-bench-") as folder:
        part = pathlib.Path(folder) / "part.csv"
        rows = first_part(log, part, args.mb * MB)
        print(f"{part.stat().st_size / MB:.1f} MB of csvlog, {rows} rows\n")
        print(f"{'':22}{'events/s':>10}{'CPU s':>8}{'peak MiB':>10}{'events there':>14}")
        report("folder of segments", drained(args.agent, part, ""), rows, None)
        for name in args.types or TYPES:
            with Receiver(name) as receiver:
                run = drained(args.agent, part, receiver.destination("far", True))
                report(name, run, rows, receiver.events)
        with Receiver("http") as receiver:
            down = f'[[destination]]\nname = "down"\ntype = "http"\nrequired = false\nurl = "http://127.0.0.1:{free_port()}/"\n'
            run = drained(args.agent, part, receiver.destination("far", True) + down)
            report("http, another is down", run, rows, receiver.events)


def arguments():
    target = os.environ.get("CARGO_TARGET_DIR") or str(HERE.parent / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*", choices=[[], *TYPES], help="which; all without a name")
    parser.add_argument("--folder", default=f"{target}/bench", help="where the log is (default: %(default)s)")
    parser.add_argument("--mb", type=int, default=100, help="so much of it is read (default: %(default)s)")
    parser.add_argument("--agent", default=f"{target}/release/sealtrail", help="the binary (default: %(default)s)")
    return parser.parse_args()


def first_part(log, part, size):
    """The first rows of the log, cut where one begins; how many they are, by Python's csv module."""
    with open(log, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        text = lines.read(size)
    end = text.rfind("\n20", 0, text.rfind('UTC,"postgres"')) + 1
    part.write_text(text[:end], encoding="utf-8", errors="surrogateescape", newline="")
    with open(part, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return sum(1 for _ in csv.reader(lines))


def drained(agent, log, destinations):
    with tempfile.TemporaryDirectory(prefix="sealtrail-bench-") as folder:
        config = pathlib.Path(folder) / "sealtrail.toml"
        config.write_text(f"""
[agent]
name = "bench"
origin = "bench/local/bench"
state_dir = {json.dumps(folder + "/state")}

[[source]]
name = "postgres"
paths = [{json.dumps(str(log))}]
format = "postgres-csvlog"

{destinations}""")
        before = time.monotonic()
        environment = {**os.environ, "BENCH_TOKEN": "0123456789abcdef0123456789abcdef"}
        process = subprocess.Popen([agent, "run", "-c", config, "--drain"], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"the agent ended with {process.returncode}:\n{errors[-2000:]}")
        wall = time.monotonic() - before
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024}


def report(name, run, rows, events):
    there = "" if events is None else events
    print(f"{name:22}{rows / run['wall']:10.0f}{run['cpu']:8.2f}{run['rss'] / 2**20:10.1f}{there:>14}", flush=True)
    if events is not None and events < rows:
        raise SystemExit(f"{name}: {rows} rows went in, {events} events came out")


class Receiver:
    """Answers one protocol, and counts the events in what it is sent."""

    def __init__(self, name):
        self.name = name
        self.keys, self.needle, self.answer = TYPES[name]
        self.events = 0
        self.lock = threading.Lock()

    def __enter__(self):
        handler = type("Bound", (Handler,), {"receiver": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def destination(self, name, required):
        port = self.server.server_address[1]
        return (f'[[destination]]\nname = "{name}"\ntype = "{self.name}"\nrequired = {str(required).lower()}\n'
                f'url = "http://127.0.0.1:{port}"\n{self.keys}\n')

    def take(self, body):
        with self.lock:
            self.events += body.count(self.needle)
        if self.answer is not None:
            return self.answer
        documents = body.count(b"\n") // 2
        return b'{"errors":false,"items":[' + b",".join([b'{"create":{"status":201}}'] * documents) + b"]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = zlib.decompress(body, wbits=31)
        answer = self.receiver.take(body)
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Quiet."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
