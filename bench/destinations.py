#!/usr/bin/env python3
"""Measures each destination: the agent drains a real audit log into a receiver on loopback.

    destinations.py [TYPE…]          all types without a name; the log is that of `bench.py generate`

The receivers are Python's own servers with the least that each protocol wants for an answer: they show what the agent can send, and take a good part of
a core themselves; for Kafka it is librdkafka's mock cluster, which `make tools` installs. What is printed: events a second by the clock, the agent's CPU seconds and peak memory, and the events that the receiver counted
in what it was sent, beside the rows of the log (packed segments are not counted). The last line is a run in which another destination is down all the
time. Nothing but the standard library, and `openssl` for the key of a service account.
"""

import argparse
import csv
import dataclasses
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent / "target")
MB = 1_000_000
SECRET = "0123456789abcdef0123456789abcdef"
TOKEN = b'{"access_token":"bench","token_type":"Bearer","expires_in":3600}'
EVENT = b'"type":"event"'
QUOTED_EVENT = b'\\"type\\":\\"event\\"'
OAUTH2 = 'oauth2 = {{ token_url = "{url}/token", client_id = "bench", client_secret = "${{BENCH_TOKEN}}", scope = "bench" }}'


@dataclasses.dataclass
class Kind:
    """A type: its keys, what stands once in every event of what it sends (None: packed segments), and the answer (None: as to `_bulk`)."""

    keys: str
    needle: bytes | None
    answer: bytes | None = b""


HTTP = 'url = "{url}"\n'
KINDS = {
    "http": Kind(HTTP, EVENT),
    "splunk_hec": Kind(HTTP + 'token = "${{BENCH_TOKEN}}"', b'"event":{"v"', b'{"text":"Success","code":0}'),
    "elasticsearch": Kind(HTTP + 'index = "sealtrail"', EVENT, None),
    "opensearch": Kind(HTTP + 'index = "sealtrail"', EVENT, None),
    "otlp": Kind(HTTP, EVENT),
    "loki": Kind(HTTP, QUOTED_EVENT),
    "datadog": Kind(HTTP + 'api_key = "${{BENCH_TOKEN}}"', QUOTED_EVENT, b"{}"),
    "sentinel": Kind(HTTP + f'rule = "dcr-{SECRET}"\nstream = "Custom-Bench"\n{OAUTH2}', b'"TimeGenerated"'),
    "secops": Kind(HTTP + 'instance = "projects/p/locations/eu/instances/i"\nlog_type = "BENCH_CUSTOM"\n'
                   'forwarder = "f"\ncredentials_file = "{account}"', b'"data":', b"{}"),
    "s3": Kind('endpoint = "{url}"\nbucket = "bench"\nregion = "eu-central-1"\npath_style = true\n'
               'access_key_id = "bench"\nsecret_access_key = "${{BENCH_TOKEN}}"', None),
    "gcs": Kind('endpoint = "{url}"\nbucket = "bench"\ncredentials_file = "{account}"', None, b"{}"),
    "azure_blob": Kind('endpoint = "{url}"\naccount = "bench"\ncontainer = "bench"\naccount_key = "${{BENCH_KEY}}"', None),
    "syslog": Kind('address = "{address}"\ntransport = "tcp"\nmessage_max_bytes = "64KiB"', EVENT + b',"id"'),
    "kafka": Kind('brokers = ["{address}"]\ntopic = "bench"\ntransport = "tcp"', EVENT),
    "stdout": Kind("", EVENT),
    "file": Kind('path = "{folder}/archive"', None),
}


def main():
    args = arguments()
    log = pathlib.Path(args.folder) / "postgres.csv"
    if not log.exists():
        raise SystemExit(f"no {log}\n  hint: run `bench.py generate` first")
    with tempfile.TemporaryDirectory(prefix="sealtrail-bench-") as folder:
        folder = pathlib.Path(folder)
        part = folder / "part.csv"
        rows = first_part(log, part, args.mb * MB)
        print(f"{part.stat().st_size / MB:.1f} MB of csvlog, {rows} rows\n")
        print(f"{'':24}{'events/s':>10}{'CPU s':>8}{'peak MiB':>10}{'events there':>14}")
        report("no destination", drained(args.agent, part, ""), rows)
        for name in args.types or KINDS:
            report(name, measured(args.agent, part, folder, name), rows)
        down = f'[[destination]]\nname = "down"\ntype = "http"\nrequired = false\nurl = "http://127.0.0.1:{free_port()}/"\n'
        report("http, another is down", measured(args.agent, part, folder, "http", down), rows)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*", choices=[[], *KINDS], help="which; all without a name")
    parser.add_argument("--folder", default=f"{TARGET}/bench", help="where the log is (default: %(default)s)")
    parser.add_argument("--mb", type=int, default=100, help="so much of it is read (default: %(default)s)")
    parser.add_argument("--agent", default=f"{TARGET}/release/sealtrail", help="the binary (default: %(default)s)")
    return parser.parse_args()


def first_part(log, part, size):
    """The first rows of the log, cut where one begins; how many they are, by Python's csv module."""
    with open(log, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        text = lines.read(size)
    end = text.rfind("\n20", 0, text.rfind('UTC,"postgres"')) + 1
    part.write_text(text[:end], encoding="utf-8", errors="surrogateescape", newline="")
    with open(part, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return sum(1 for _ in csv.reader(lines))


def measured(agent, log, folder, name, others=""):
    """One run with a receiver of this type."""
    kind = KINDS[name]
    counter = Counter(kind.needle)
    receiver = {"syslog": Stream, "kafka": Kafka}.get(name, Web)(kind, counter)
    with receiver:
        places = {"url": f"http://{receiver.address}", "address": receiver.address, "folder": folder,
                  "account": service_account(folder, f"http://{receiver.address}/token")}
        destination = f'[[destination]]\nname = "far"\ntype = "{name}"\nrequired = true\n{kind.keys.format(**places)}\n'
        run = drained(agent, log, destination + others, counter if name == "stdout" else None)
    return {**run, "events": counter.events if kind.needle else None}


def drained(agent, log, destinations, output=None):
    """A run of the agent until everything is delivered; what it writes to its standard output goes to `output`."""
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
        environment = {**os.environ, "BENCH_TOKEN": SECRET, "BENCH_KEY": "YmVuY2ggYmVuY2ggYmVuY2g=", "AWS_EC2_METADATA_DISABLED": "true"}
        process = subprocess.Popen([agent, "run", "-c", config, "--drain"], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE if output else subprocess.DEVNULL, stderr=subprocess.PIPE)
        if output:
            reader = threading.Thread(target=output.read, args=(process.stdout.fileno(),))
            reader.start()
        peak = Peak(process.pid)
        errors = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if output:
            reader.join()
        if process.returncode != 0:
            raise SystemExit(f"the agent ended with {process.returncode}:\n{errors[-2000:]}")
        wall = time.monotonic() - before
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": peak.bytes, "events": None}


class Peak(threading.Thread):
    """The peak memory of a process, looked at until it ends: what the kernel says at the end is no less than this program's own."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path = f"/proc/{pid}/status"
        self.bytes = 0
        self.start()

    def run(self):
        while True:
            try:
                found = re.search(r"VmHWM:\s*(\d+) kB", pathlib.Path(self.path).read_text())
            except OSError:
                return
            if not found:
                return
            self.bytes = int(found[1]) * 1024
            time.sleep(0.02)


def report(name, run, rows):
    there = "" if run["events"] is None else run["events"]
    print(f"{name:24}{rows / run['wall']:10.0f}{run['cpu']:8.2f}{run['rss'] / 2**20:10.1f}{there:>14}", flush=True)
    if run["events"] is not None and run["events"] < rows:
        raise SystemExit(f"{name}: {rows} rows went in, {run['events']} events came out")


class Counter:
    """Counts the events in what was received, by what stands once in each."""

    def __init__(self, needle):
        self.needle = needle
        self.events = 0
        self.lock = threading.Lock()

    def take(self, body):
        with self.lock:
            self.events += body.count(self.needle) if self.needle else 0

    def read(self, descriptor):
        """All that comes from there, in pieces: what stands on the border of two is counted with the second."""
        rest = b""
        while piece := os.read(descriptor, 1 << 20):
            self.take(rest + piece)
            rest = piece[-len(self.needle) + 1:] if len(piece) >= len(self.needle) else rest + piece


class Web:
    """Answers all that is asked over HTTP in the way of one protocol."""

    def __init__(self, kind, counter):
        handler = type("Bound", (Handler,), {"kind": kind, "counter": counter})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is two writes: without this the second waits for the other side's delayed acknowledgement.
    disable_nagle_algorithm = True
    kind = counter = None

    def do_POST(self):
        body = self.body()
        if self.headers.get("content-encoding") == "gzip" and self.kind.needle:
            body = zlib.decompress(body, wbits=31)
        if self.path.endswith("/token"):
            return self.answer(200, TOKEN)
        self.counter.take(body)
        if self.kind.answer is None:
            documents = body.count(b"\n") // 2
            return self.answer(200, b'{"errors":false,"items":[' + b",".join([b'{"create":{"status":201}}'] * documents) + b"]}")
        return self.answer(200, self.kind.answer)

    def do_PUT(self):
        self.body()
        self.answer(201, b"")

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


class Stream:
    """Reads what comes over TCP to its end, and ends its side then."""

    def __init__(self, _, counter):
        self.counter = counter
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # Closed: the run is over.
            with connection:
                self.counter.read(connection.fileno())


class Kafka:
    """librdkafka's mock cluster of one broker. What it was sent is counted by where its topic ends: a record a line."""

    def __init__(self, _, counter):
        self.counter = counter
        python = TARGET / "tools/kafka/bin/python"
        if not python.exists():
            raise SystemExit("no librdkafka\n  hint: run `make tools` first")
        self.process = subprocess.Popen([python, HERE.parent / "tests/delivery/kafka_peer.py", "mock", "1"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = self.process.stdout.readline().strip()

    def __enter__(self):
        self.ask("topic bench 1")

    def __exit__(self, *_):
        self.counter.events = int(self.ask("end bench"))
        self.process.stdin.close()
        self.process.wait()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


def service_account(folder, token_uri):
    """The key file of a service account, as Google hands it out."""
    path = folder / "account.json"
    key = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], check=True, capture_output=True, text=True)
    path.write_text(json.dumps({"type": "service_account", "client_email": "bench@example.test", "private_key_id": "1",
                                "private_key": key.stdout, "token_uri": token_uri, "gcs_base_url": re.sub("/token$", "", token_uri)}))
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
