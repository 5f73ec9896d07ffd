#!/usr/bin/env python3
"""Memory and freshness of the agent at its limits, as a table.

    limits.py                    all of them
    limits.py sessions backlog   some: sessions files huge-rows fast-log dead-destination backlog

sessions          10,000 sessions are open at a time
files             1,000 files grow
huge-rows         rows of 50 MB, waiting in a file and written piece by piece
fast-log          a log grows faster than a niced agent reads, in memory
dead-destination  a required collector is away until the journal's budget is used up, and comes back
backlog           10 GB wait in one source while another gets a row each 200 ms

Memory is the kernel's peak of the resident set (VmHWM) of a release build. Freshness is from the call that appended a row until the agent counts it as
sealed and synced, asked every 20 ms; beside it, from the trail itself, until the seal of the row's block. Ends with 1 if a figure
passes its bound. Nothing but the standard library. Shared machines are noisy.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import csvlog
import trail
from agent import Agent, config, free_port

HERE = pathlib.Path(__file__).resolve().parent
MB = 1_000_000
GB = 1000 * MB
MEMORY_MIB_MAX = 64
FRESHNESS_MS_MAX = 1000
LIVE_EVERY_SECONDS = 0.2
ASK_EVERY_SECONDS = 0.02
PATIENCE_SECONDS = 900


def main():
    args = arguments()
    table = Table()
    for name in args.what:
        table.name = name
        with tempfile.TemporaryDirectory(prefix="sealtrail-limits-", dir=args.folder) as folder:
            LIMITS[name](Setup(pathlib.Path(folder), args), table)
    sys.exit(1 if table.passed else 0)


def arguments():
    target = os.environ.get("CARGO_TARGET_DIR") or str(HERE.parent / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="LIMIT", help="which (default: all)")
    parser.add_argument("--agent", default=f"{target}/release/sealtrail", help="the binary (default: %(default)s)")
    parser.add_argument("--folder", default=target, help="where logs and state lie for a while (default: %(default)s)")
    parser.add_argument("--backlog-gb", type=float, default=10, help="less where a third of the disk's room is less (default: %(default)s)")
    parser.add_argument("--fast-gb", type=float, default=2, help="what the fast log grows to, in memory (default: %(default)s)")
    args = parser.parse_args()
    args.what = args.what or list(LIMITS)
    unknown = [name for name in args.what if name not in LIMITS]
    if unknown:
        parser.error(f"no such limit: {', '.join(unknown)}")
    if not pathlib.Path(args.agent).exists():
        sys.exit(f"limits: no {args.agent}\n  hint: cargo build --release")
    return args


class Table:
    """Printed line by line, as figures come."""

    def __init__(self):
        self.name, self.passed = "", False
        print(f"{'limit':18}{'figure':62}{'measured':>16}{'bound':>12}")

    def line(self, figure, value, bound=None, unit="", digits=0):
        """A bound is a most; one that is passed is said so."""
        over = bound is not None and value > bound
        self.passed |= over
        shown = f"{value:.{digits}f}" if isinstance(value, float) else f"{value}"
        limit = "" if bound is None else f"{bound}{' PASSED' if over else ''}"
        print(f"{self.name:18}{figure:62}{f'{shown} {unit}'.strip():>16}{limit:>12}", flush=True)

    def yes(self, figure, holds):
        self.passed |= not holds
        print(f"{self.name:18}{figure:62}{'yes' if holds else 'NO':>16}", flush=True)

    def memory(self, agent, figure="peak memory"):
        usage = agent.usage()
        if usage is None:
            sys.exit(f"limits: {self.name}: the agent ended by itself with {agent.process.poll()}")
        self.line(figure, usage["peak_kib"] / 1024, MEMORY_MIB_MAX, "MiB", 1)
        return usage

    def freshness(self, live, journal):
        for how, waits in (("until sealed and synced", live.waits()), ("until the seal, by the trail", live.waits_by_trail(journal))):
            if not waits:
                self.line(f"freshness of the live source {how}", "no row")
                continue
            waits.sort()
            self.line(f"freshness of the live source {how}, {len(waits)} rows: p50", statistics.median(waits) * 1000, None, "ms")
            self.line("    p99", waits[int(0.99 * (len(waits) - 1))] * 1000, FRESHNESS_MS_MAX, "ms")
            self.line("    max", waits[-1] * 1000, FRESHNESS_MS_MAX, "ms")


class Setup:
    """Folders and an agent for one limit."""

    def __init__(self, folder, args):
        self.folder, self.args = folder, args
        self.log = folder / "log"
        self.log.mkdir()
        self.state = folder / "state"
        self.port = free_port()
        self.said = folder / "agent.log"

    def start(self, sources, destinations=(), agent="", seal="", nice=0):
        """An agent that answers."""
        path = config(self.folder, sources, destinations, agent, seal, self.port)
        running = Agent(self.args.agent, path, self.said, self.port, nice)
        if not running.wait_until(lambda metrics: True, 30):
            sys.exit("limits: the agent did not start:\n" + self.said.read_text())
        return running

    def status(self):
        done = subprocess.run([self.args.agent, "status", "-c", self.folder / "sealtrail.toml", "--json"], capture_output=True, check=False)
        return json.loads(done.stdout)

    def journal(self):
        """All segments, also those that have left the journal for the folder of delivered ones."""
        found = {path.name: path for folder in ("archive", "journal") for path in trail.segments(self.state / folder)}
        return [found[name] for name in sorted(found)]


def until_sealed(agent, rows, source="log", patience=PATIENCE_SECONDS):
    """Seconds until so many rows of the source are sealed."""
    begin = time.monotonic()
    name = ("sealtrail_source_sealed_rows_total", source)
    if not agent.wait_until(lambda metrics: metrics.get(name, 0) >= rows, patience, 0.05):
        metrics = agent.metrics() or {}
        sys.exit(f"limits: {metrics.get(name)} of {rows} rows were sealed in {patience} s")
    return time.monotonic() - begin


# Sessions.


def sessions(setup, table):
    sessions, rounds = 10_000, 20
    agent = setup.start({"log": [setup.log / "pg.csv"]})
    try:
        with open(setup.log / "pg.csv", "ab") as log:
            for line in range(1, rounds + 1):
                log.writelines(csvlog.row(csvlog.session_id(number), line, b"SELECT 1") for number in range(sessions))
                log.flush()
        seconds = until_sealed(agent, sessions * rounds)
        table.line(f"{sessions} open sessions, {rounds} rows each: all sealed after", seconds, None, "s", 1)
        table.memory(agent)
        agent.kill9()
        agent = setup.start({"log": [setup.log / "pg.csv"]})
        with open(setup.log / "pg.csv", "ab") as log:
            log.writelines(csvlog.row(csvlog.session_id(number), rounds + 1, b"SELECT 1") for number in range(sessions))
        until_sealed(agent, sessions)
        table.memory(agent, "peak memory after kill -9, a start, and one more row each")
        table.line("gaps told although no number is missing", count_acts(setup, b"GAP"), 0)
    finally:
        agent.stop()


def count_acts(setup, action):
    """What the trail has of them so far; the end of its last block may still be on its way."""
    segments = setup.journal()
    text = subprocess.run(["zstdcat", "--", *segments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    return sum(trail.is_act(line, action) for line in text.splitlines())


# Files.


def files(setup, table):
    count, rows = 1000, 50
    agent = setup.start({"log": [setup.log / "*.csv"], "live": [setup.log / "live"]})
    try:
        session = csvlog.Session(rows, 10)
        for number in range(count):
            (setup.log / f"pg-{number:04}.csv").write_bytes(session.chunk(number))
        table.line(f"{count} files of {rows} rows appear: all sealed after", until_sealed(agent, count * rows), None, "s", 1)
        live = Live(setup.log / "live", agent)
        for line in range(rows + 1, rows + 11):
            for number in range(count):
                with open(setup.log / f"pg-{number:04}.csv", "ab") as log:
                    log.write(csvlog.row(csvlog.session_id(number), line, b"SELECT 1"))
            time.sleep(0.5)
        until_sealed(agent, count * (rows + 10))
        live.stop()
        usage = table.memory(agent)
        table.line("open files", usage["fds"])
        time.sleep(3)
        before = agent.usage()["cpu_s"]
        time.sleep(20)
        table.line("at rest, of a core", 100 * (agent.usage()["cpu_s"] - before) / 20, 0.5, "%", 3)
    finally:
        agent.stop()
    table.freshness(live, setup.journal())


# Huge rows.


def huge_rows(setup, table):
    size, count = 50 * MB, 3
    huge = csvlog.row(csvlog.session_id(1), 2, b"SELECT " + b"x" * size)
    (setup.log / "waiting.csv").write_bytes(b"".join(between(line, huge) for line in range(count)))
    agent = setup.start({"log": [setup.log / "*.csv"]})
    try:
        agent.wait_until(is_read, PATIENCE_SECONDS)
        table.memory(agent, f"{count} rows of {size // MB} MB waiting in a file: peak memory")
        with open(setup.log / "growing.csv", "ab", buffering=0) as log:
            # Other rows than those of the first file: it would be a copy of that, and read once.
            for line in range(count, 2 * count):
                text = between(line, huge)
                for begin in range(0, len(text), 64 * 1024):
                    log.write(text[begin:begin + 64 * 1024])
        time.sleep(1)
        agent.wait_until(is_read, PATIENCE_SECONDS)
        table.memory(agent, "the same, written piece by piece: peak memory")
    finally:
        agent.stop()
    rows, oversize = 0, 0
    for line in trail.lines(setup.journal()):
        rows += trail.is_event(line) and trail.key(line) is not None
        oversize += b'"flags":["oversize"]' in line
    table.line("rows that are missing, huge ones and those between them", 3 * 2 * count - rows, 0)
    table.line(f"lines flagged oversize, for {2 * count} rows", oversize)


def between(line, huge):
    """A huge row between two small ones of other sessions."""
    small = [csvlog.row(csvlog.session_id(100 + 2 * line + side), 1, b"SELECT 1") for side in range(2)]
    return small[0] + huge + small[1]


def is_read(metrics):
    """Nothing waits, and what was read is sealed."""
    rows = [metrics.get((f"sealtrail_source_{what}_rows_total", "log"), 0) for what in ("read", "sealed")]
    return metrics["sealtrail_source_lag_bytes", "log"] == 0 and rows[0] == rows[1] > 0


# A fast log.


def fast_log(setup, table):
    size, rate = int(setup.args.fast_gb * GB), 300 * MB
    with tempfile.TemporaryDirectory(prefix="sealtrail-limits-", dir="/dev/shm") as memory:
        log = pathlib.Path(memory) / "pg.csv"
        agent = setup.start({"log": [log]}, nice=10)
        try:
            written = multiprocessing.Queue()
            writer = multiprocessing.Process(target=write_fast, args=(log, size, rate, written), daemon=True)
            begin = time.monotonic()
            writer.start()
            lag = 0
            while writer.is_alive():
                time.sleep(0.1)
                metrics = agent.metrics()
                lag = max(lag, metrics["sealtrail_source_lag_bytes", "log"] if metrics else 0)
            took = time.monotonic() - begin
            rows = written.get()
            table.line(f"{size / GB:g} GB written, MB/s", size / MB / took, None, "MB/s")
            table.line("most that was waiting", lag / MB, None, "MB")
            until_sealed(agent, rows)
            table.line("read and sealed, MB/s", size / MB / (time.monotonic() - begin), None, "MB/s")
            table.memory(agent)
            metrics = agent.metrics()
            table.line("rows missing", rows - int(metrics["sealtrail_source_sealed_rows_total", "log"]), 0)
        finally:
            agent.stop()


def write_fast(path, size, rate, written):
    session = csvlog.Session(10_000, 20)
    begin, total, number = time.monotonic(), 0, 0
    with open(path, "ab", buffering=0) as log:
        while total < size:
            total += log.write(session.chunk(number))
            number += 1
            time.sleep(max(0, begin + total / rate - time.monotonic()))
    written.put(number * session.rows)


# A destination that is away.


def dead_destination(setup, table):
    budget = 16 * MB
    port = free_port()
    http = f'name = "collector"\ntype = "http"\nurl = "http://127.0.0.1:{port}/in"\ntimeout = "2s"'
    session = csvlog.Session(10_000, 20)
    log = setup.log / "pg.csv"
    chunks = 100
    with open(log, "wb") as file:
        file.writelines(session.chunk(number) for number in range(chunks))
    agent = setup.start({"log": [log]}, [http], f"journal_max_bytes = {budget}", "segment_max_bytes = \"1MiB\"")
    collector = None
    try:
        paused = agent.wait_until(lambda metrics: metrics["sealtrail_journal_paused", ""] == 1, 120)
        table.yes("reading is paused at the budget", paused)
        time.sleep(2)
        before = agent.metrics()["sealtrail_source_read_bytes_total", "log"]
        time.sleep(5)
        metrics = agent.metrics()
        table.line("bytes read in five seconds of pause", int(metrics["sealtrail_source_read_bytes_total", "log"] - before), 0)
        table.line("journal, of its budget", 100 * metrics["sealtrail_journal_bytes", ""] / budget, 110, "%", 1)
        status = setup.status()
        table.yes("status says so, and why", bool(status["journal"]["paused"] and status["not_ready"]))
        print(f"{'':18}status: {'; '.join(status['not_ready'])}")
        table.line("alarms in the trail (BUDGET)", count_acts(setup, b"BUDGET"))
        table.memory(agent)
        collector = far(setup, port)
        seconds = until_sealed(agent, chunks * session.rows)
        table.line(f"the collector is back: all of {log.stat().st_size / MB:.0f} MB sealed after", seconds, None, "s", 1)
        agent.wait_until(lambda metrics: metrics["sealtrail_destination_lag_lines", "collector"] == 0, PATIENCE_SECONDS)
        table.memory(agent, "peak memory then")
        lines = agent.metrics()["sealtrail_journal_lines", ""]
        taken = (setup.folder / "collector" / "lines").stat().st_size // 8
        table.line("lines that the collector has not got", int(max(0, lines - taken)), 0)
    finally:
        agent.stop()
        if collector:
            collector.terminate()
            collector.wait(timeout=30)


def far(setup, port):
    folder = setup.folder / "collector"
    folder.mkdir()
    command = [sys.executable, HERE / "far.py", "--port", str(port), "--folder", folder]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


# A backlog.


def backlog(setup, table):
    room = shutil.disk_usage(setup.folder).free
    size = int(min(setup.args.backlog_gb * GB, room / 3))
    session = csvlog.Session(10_000, 20)
    old = setup.log / "old.csv"
    chunks = size // len(session.template)
    with open(old, "wb") as file:
        file.writelines(session.chunk(number) for number in range(chunks))
    agent = setup.start({"old": [old], "live": [setup.log / "live"]})
    live = Live(setup.log / "live", agent)
    try:
        seconds = until_sealed(agent, chunks * session.rows, "old", 3600)
        live.stop()
        table.line(f"{size / GB:.1f} GB waiting in one file: read in", seconds, None, "s", 1)
        table.line("    which is", size / MB / seconds, None, "MB/s", 1)
        table.memory(agent)
    finally:
        live.stop()
        agent.stop()
    table.freshness(live, setup.journal())


class Live:
    """A log that gets a row each 200 ms, and how long each row waits."""

    SEALED = ("sealtrail_source_sealed_rows_total", "live")

    def __init__(self, path, agent):
        self.path, self.agent = path, agent
        # By the monotonic clock for us, by the wall clock for the trail.
        self.appended, self.appended_at, self.sealed = [], [], []
        self.ended = False
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.append, self.ask)]
        for thread in self.threads:
            thread.start()

    def append(self):
        with open(self.path, "ab", buffering=0) as log:
            while not self.ended:
                row = csvlog.row(b"6955c380.fff", len(self.appended) + 1, b"SELECT 'live'")
                now, wall = time.monotonic(), time.time()
                log.write(row)
                self.appended_at.append(wall)
                self.appended.append(now)
                time.sleep(LIVE_EVERY_SECONDS)

    def ask(self):
        while not self.ended:
            metrics = self.agent.metrics() or {}
            # Sealed before the answer came, so not later than now.
            count, now = int(metrics.get(self.SEALED, 0)), time.monotonic()
            self.sealed.extend([now] * (count - len(self.sealed)))
            time.sleep(ASK_EVERY_SECONDS)

    def stop(self):
        """The last rows get their time."""
        if not self.ended:
            time.sleep(2)
            self.ended = True
            for thread in self.threads:
                thread.join(timeout=10)

    def waits(self):
        """Seconds of each row; one that was never sealed waits until now."""
        missing = [time.monotonic()] * (len(self.appended) - 5 - len(self.sealed))
        return [sealed - appended for appended, sealed in zip(self.appended, self.sealed + missing)]

    def waits_by_trail(self, segments):
        """The same from the trail alone: from the append to the time of the block's seal."""
        waits, rows = [], []
        for path in segments:
            with subprocess.Popen(["zstdcat", "--", str(path)], stdout=subprocess.PIPE) as text:
                found = subprocess.run(["grep", "-aF", "-e", '"source":"live"', "-e", '"action":"SEAL"'], stdin=text.stdout,
                                       stdout=subprocess.PIPE, check=False).stdout
            for line in found.splitlines():
                if trail.is_event(line):
                    rows.append(trail.key(line)[1])
                elif trail.is_act(line, b"SEAL"):
                    sealed = wall_seconds(line)
                    waits.extend(sealed - self.appended_at[row - 1] for row in rows)
                    rows = []
        return waits


def wall_seconds(line):
    """An agent line's time."""
    text = re.search(rb'"time":"([^Z]+)Z"', line).group(1).decode()
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc).timestamp()


LIMITS = {"sessions": sessions, "files": files, "huge-rows": huge_rows, "fast-log": fast_log, "dead-destination": dead_destination,
          "backlog": backlog}


if __name__ == "__main__":
    main()
