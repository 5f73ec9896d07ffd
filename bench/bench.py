#!/usr/bin/env python3
"""Measures the agent on a real audit log: PostgreSQL 15 with pgAudit under pgbench.

    bench.py generate            make the log, once; later runs reuse it
    bench.py run                 measure on it: `run --drain`, `parse`, and the agent at rest
    bench.py all                 both

Nothing but the standard library. What is measured: wall time and the kernel's own account of the process (user and
system time, peak resident memory). Every timed command runs --runs times on a log that lies in the page cache, and the
median counts. Shared machines are noisy: differences under 15 % mean nothing.
"""

import argparse
import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MB = 1_000_000
ACCOUNTS_SCALE = 5
ROUNDS_MAX = 20
IDLE_SETTLE_SECONDS = 5
PAGE_CLUSTER = 1 << 20

SERVER_SETTINGS = {
    "shared_preload_libraries": "pgaudit",
    "pgaudit.log": "all",
    "pgaudit.log_catalog": "on",
    "pgaudit.log_parameter": "on",
    "logging_collector": "on",
    "log_destination": "csvlog",
    "log_directory": "log",
    "log_filename": "postgres.log",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_timezone": "UTC",
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
}


def main():
    args = arguments()
    folder = pathlib.Path(args.folder)
    log = folder / "postgres.csv"
    if args.command in ("generate", "all"):
        generate(log, args.min_mb * MB, pathlib.Path(args.pgbin))
    if args.command in ("run", "all"):
        if not log.exists():
            sys.exit(f"bench: no {log}\n  hint: run `bench.py generate` first")
        measure(pathlib.Path(args.agent), log, args.runs, args.idle_seconds)


def arguments():
    target = os.environ.get("CARGO_TARGET_DIR") or str(HERE.parent / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["generate", "run", "all"])
    parser.add_argument("--folder", default=f"{target}/bench", help="where the log is kept (default: %(default)s)")
    parser.add_argument("--agent", default=f"{target}/release/sealtrail", help="the binary (default: %(default)s)")
    parser.add_argument("--min-mb", type=int, default=300, help="the log has at least this many MB (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (default: %(default)s)")
    parser.add_argument("--idle-seconds", type=int, default=20, help="how long the agent is watched at rest")
    parser.add_argument("--pgbin", default="/usr/lib/postgresql/15/bin", help="PostgreSQL's programs (default: %(default)s)")
    return parser.parse_args()


# The log.


def generate(log, bytes_min, pgbin):
    if log.exists() and log.stat().st_size >= bytes_min:
        print(f"log: {log}, {log.stat().st_size / MB:.1f} MB, made earlier")
        return
    if not (pgbin / "postgres").exists():
        sys.exit(f"bench: no PostgreSQL in {pgbin}\n  hint: apt-get install postgresql-15 postgresql-15-pgaudit")
    log.parent.mkdir(parents=True, exist_ok=True)
    with server(pgbin) as database:
        database.prepare()
        for number in range(1, ROUNDS_MAX + 1):
            database.work()
            print(f"round {number}: {database.log_bytes() / MB:.1f} MB of log", flush=True)
            if database.log_bytes() >= bytes_min:
                break
        else:
            sys.exit(f"bench: {ROUNDS_MAX} rounds gave {database.log_bytes()} bytes only")
        database.stop()
        partial = log.with_suffix(".partial")
        shutil.copyfile(database.csvlog, partial)
        partial.rename(log)
    rows = count_rows(log)
    rows_file(log).write_text(f"{rows}\n")
    print(f"log: {log}, {log.stat().st_size / MB:.1f} MB, {rows} rows")


@contextlib.contextmanager
def server(pgbin):
    """A PostgreSQL of our own: own folder, own port, gone afterwards."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sealtrail-bench-"))
    database = Database(pgbin, folder, free_port())
    try:
        database.start()
        yield database
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Database:
    """Runs as the user `postgres` when we are root, which PostgreSQL refuses to be; as ourselves otherwise."""

    def __init__(self, pgbin, folder, port):
        self.pgbin, self.folder, self.port = pgbin, folder, port
        self.data = folder / "data"
        self.csvlog = self.data / "log" / "postgres.csv"
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self.process = None

    def start(self):
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
        self.quiet(self.user + [self.pgbin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"])
        settings = {**SERVER_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        command = self.user + [self.pgbin / "postgres", "-D", self.data] + options
        with open(self.folder / "server.log", "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/")
        self.wait_until_ready()

    def wait_until_ready(self):
        for _ in range(100):
            if self.process.poll() is not None:
                break
            ready = [self.pgbin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.2)
        sys.exit("bench: PostgreSQL did not start:\n" + (self.folder / "server.log").read_text())

    def prepare(self):
        self.sql("CREATE DATABASE bench", database="postgres")
        self.quiet(self.pgbench() + ["-i", "-q", "-s", str(ACCOUNTS_SCALE), "bench"])
        self.sql("CREATE EXTENSION pgaudit; CREATE SCHEMA scratch; CREATE ROLE app_ro;"
                 "CREATE TABLE audit_notes (who text, body text, at timestamptz); CREATE INDEX ON audit_notes (at)")

    def work(self):
        """One round: short transactions, reads, long statements of several lines, DDL and grants, parameters, logins, errors.

        By count, not by time: the log is made of the same on a machine that has other work."""
        self.bench("-c", 4, "-t", 2500)
        self.bench("-S", "-c", 4, "-t", 6000)
        self.bench("-f", "transfer.sql", "-c", 4, "-t", 3000)
        self.bench("-f", "schema.sql", "-c", 4, "-t", 250)
        self.bench("-M", "prepared", "-f", "prepared.sql", "-c", 4, "-t", 4000)
        self.bench("-C", "-S", "-c", 2, "-t", 600)
        for _ in range(50):
            self.bench("-f", "failing.sql", "-c", 2, "-t", 1, may_fail=True)

    def log_bytes(self):
        return self.csvlog.stat().st_size

    def stop(self):
        """A fast shutdown of exactly the server that we started: its own pid file says which that is."""
        if self.process is None or self.process.poll() is not None:
            return
        pid_file = self.data / "postmaster.pid"
        pid = int(pid_file.read_text().split()[0]) if pid_file.exists() else self.process.pid
        os.kill(pid, signal.SIGINT)
        self.process.wait(timeout=60)

    def bench(self, *words, may_fail=False):
        command = self.pgbench() + ["-n", "-j", "1"] + [str(word) for word in words] + ["bench"]
        self.quiet(command, may_fail=may_fail)

    def pgbench(self):
        return [self.pgbin / "pgbench", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]

    def sql(self, text, database="bench"):
        self.quiet([self.pgbin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
                    "-U", "postgres", "-d", database, "-c", text])

    @staticmethod
    def quiet(command, may_fail=False):
        done = subprocess.run([str(word) for word in command], cwd=HERE / "workload", stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0 and not may_fail:
            sys.exit(f"bench: {command[-1]} failed:\n{done.stdout}{done.stderr}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def count_rows(log):
    """By Python's own csv module: a count that owes nothing to our parser."""
    with open(log, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return sum(1 for _ in csv.reader(lines))


def rows_file(log):
    return log.with_suffix(".rows")


# The measurements.


def measure(agent, log, runs, idle_seconds):
    if not agent.exists():
        sys.exit(f"bench: no {agent}\n  hint: cargo build --release")
    expected = int(rows_file(log).read_text()) if rows_file(log).exists() else count_rows(log)
    read_whole(log)
    print(f"\n{log.stat().st_size / MB:.1f} MB of csvlog, {expected} rows, median of {runs} runs\n")
    drain = [drained(agent, log) for _ in range(runs)]
    named = [drained(agent, log, rules=1000) for _ in range(runs)]
    parse = [parsed(agent, log) for _ in range(runs)]
    table(log.stat().st_size, expected, {"run --drain to a folder": drain, "… with 1,000 rules": named, "parse > /dev/null": parse})
    rest(agent, idle_seconds)
    wrong = [f"{name}: {run['rows']} rows came out" for name, all_runs in (("run --drain", drain), ("with rules", named), ("parse", parse))
             for run in all_runs if run["rows"] not in (None, expected)]
    if wrong:
        sys.exit(f"bench: {expected} rows went in, but " + "; ".join(wrong))


def drained(agent, log, rules=0):
    with tempfile.TemporaryDirectory(prefix="sealtrail-bench-") as folder:
        config = write_config(pathlib.Path(folder), log)
        if rules:
            add_rules(config, rules)
        run = timed([agent, "run", "-c", config, "--drain"])
        run["rows"] = count_events(pathlib.Path(folder) / "out")
        return run


def add_rules(config, count):
    """A directory as a larger firm has it: most accounts written out, the others by patterns, some by network, application or time; all that
    the client may say is looked for. The log's own account has a rule behind all of these. Secrets are taken out in any case."""
    lines = ["account,address,application,valid_from,priority,person,team,kind"]
    for number in range(count - 1):
        kind = number % 10
        if kind == 7:
            lines.append(f"svc_{number}_*,,,,{number + 200},,team {number},service")
        elif kind == 8:
            lines.append(f'"/job{number}[0-9]+_(ro|rw)/",,,,{number + 200},,team {number},service')
        elif kind == 9:
            lines.append(f"shared{number % 50},10.{number % 250}.{number // 250}.0/24,,2026-01-01,{number + 200},Person {number},,human")
        else:
            application = "psql" if kind == 6 else ""
            lines.append(f"user{number},,{application},,,Person {number},team {number % 20},human")
    lines.append("*,,,,9999,Somebody,,human")
    people = config.with_name("people.csv")
    people.write_text("\n".join(lines) + "\n")
    config.write_text(config.read_text() + f"""
[identity]
files = [{json.dumps(str(people))}]
variables = ["app.user_id"]
comment_keys = ["user"]
applications = ['/shop:(\\w+)/']
""")


def parsed(agent, log):
    run = timed([agent, "parse", "--format", "postgres-csvlog", log])
    with subprocess.Popen([agent, "parse", "--format", "postgres-csvlog", log], stdout=subprocess.PIPE) as lines:
        run["rows"] = count_lines(lines.stdout)
    return run


def write_config(folder, log):
    config = folder / "sealtrail.toml"
    config.write_text(f"""
[agent]
name = "bench"
origin = "bench/local/bench"
state_dir = {json.dumps(str(folder / "state"))}

[[source]]
name = "postgres"
paths = [{json.dumps(str(log))}]
format = "postgres-csvlog"

[[destination]]
name = "folder"
type = "file"
path = {json.dumps(str(folder / "out"))}
""")
    return config


def timed(command):
    """Runs it; wall time from outside, the rest from the kernel's account of that one process."""
    with tempfile.TemporaryFile() as errors:
        before = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"bench: {command[0]} {command[1]} ended with {process.returncode}:\n{errors.read().decode(errors='replace')}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024}


def count_events(folder):
    """Rows in the delivered segments, by zstdcat and grep: nothing of ours counts its own work."""
    segments = sorted(str(path) for path in folder.rglob("*.ndjson.zst"))
    if not segments:
        return 0
    if shutil.which("zstdcat") is None:
        print("bench: no zstdcat, so delivered rows are not counted\n  hint: apt-get install zstd")
        return None
    with subprocess.Popen(["zstdcat", "--"] + segments, stdout=subprocess.PIPE) as text:
        counted = subprocess.run(["grep", "-c", '"type":"event"'], stdin=text.stdout, capture_output=True, text=True, check=False)
    return int(counted.stdout or 0)


def count_lines(stream):
    return sum(piece.count(b"\n") for piece in iter(lambda: stream.read(PAGE_CLUSTER), b""))


def read_whole(path):
    with open(path, "rb") as file:
        while file.read(PAGE_CLUSTER):
            pass


def table(size, rows, measured):
    print(f"{'':28}{'MB/s':>8}{'rows/s':>10}{'MB per CPU s':>14}{'CPU s':>8}{'peak MiB':>10}{'rows out':>11}")
    for name, runs in measured.items():
        wall, cpu, rss = (statistics.median(run[key] for run in runs) for key in ("wall", "cpu", "rss"))
        out = "" if runs[0]["rows"] is None else runs[0]["rows"]
        print(f"{name:28}{size / MB / wall:8.1f}{rows / wall:10.0f}{size / MB / cpu:14.1f}{cpu:8.2f}{rss / 2**20:10.1f}{out:>11}")


def rest(agent, seconds):
    """The agent on a file of one row that nobody writes to."""
    with tempfile.TemporaryDirectory(prefix="sealtrail-bench-") as folder:
        quiet = pathlib.Path(folder) / "quiet.csv"
        quiet.write_text(QUIET_ROW)
        config = write_config(pathlib.Path(folder), quiet)
        command = [str(agent), "run", "-c", str(config)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(IDLE_SETTLE_SECONDS)
            before, begun = cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            if process.poll() is not None:
                sys.exit(f"bench: the agent ended by itself with {process.returncode}")
            used, wall = cpu_seconds(process.pid) - before, time.monotonic() - begun
            print(f"\nat rest over {wall:.0f} s: {resident(process.pid) / 2**20:.1f} MiB resident, {100 * used / wall:.3f} % of a core")
        finally:
            process.terminate()
            process.wait(timeout=30)


QUIET_ROW = (
    '2026-01-01 00:00:00.000 UTC,"postgres","bench",4242,"127.0.0.1:50000",6955c380.1092,1,"SELECT",2026-01-01 00:00:00 UTC,'
    '3/1,0,LOG,00000,"AUDIT: SESSION,1,1,READ,SELECT,,,select 1,<none>",,,,,,,,,"psql","client backend",,0\n'
)


def cpu_seconds(pid):
    """Time on a core in nanoseconds, of all threads; /proc/PID/stat counts in ticks of 10 ms, too coarse for a process at rest."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE).group(1)) * 1024


if __name__ == "__main__":
    main()
