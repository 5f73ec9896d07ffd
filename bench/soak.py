#!/usr/bin/env python3
"""Runs the agent for long with faults on every side, then counts.

    soak.py --minutes 30

A log grows and rotates without end, `pg.csv` to `pg.csv.1`, `.1` to `.2`, while the agent delivers to a folder, to a collector that is slow,
and to one that refuses, hangs up, times out and loses its answers. Its state lies on a small volume that is filled up and freed. It is killed
every few seconds, but for a calm minute now and then. Rotated files are deleted once the folder has their rows.

Every few seconds a line of figures goes to samples.tsv. In the end the faults stop, the agent drains, and what was written is
compared with what the folder and the collectors have: every row once in the trail, every line at each collector. graph.svg shows the
figures, summary.txt is what was printed. Ends with 1 if a row was lost, was there twice, or the trail does not verify.

Nothing but the standard library; zstdcat reads the trail.
"""

import argparse
import array
import collections
import multiprocessing
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import csvlog
import trail
from agent import Agent, config, drain, ended_by, free_port, verify
from far import line_hash

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
VOLUME_BYTES = 24 * MIB
JOURNAL_BYTES = 10 * MIB
SESSIONS = 40
ROWS_OF_A_SESSION = 20_000
ROTATE_SECONDS = (3, 12)
KEPT_FILES = 3
SAMPLE_SECONDS = 2
RUN_SECONDS = (1, 9)
CALM_SECONDS = 75
CALM_EVERY_SECONDS = 240
DOWN_SECONDS = (0, 2)
FULL_SECONDS = (3, 10)
FULL_EVERY_SECONDS = (20, 60)
FIGURES = ["seconds", "run", "age_s", "rss_kib", "fds", "threads", "cpu_s", "source_lag_bytes", "journal_bytes", "paused", "volume_free_bytes",
           "folder_lag_lines", "slow_lag_lines", "flaps_lag_lines", "written_rows", "full"]
FILE_OF_ROW = re.compile(rb"FROM t(\d+)")


def main():
    args = arguments()
    out = pathlib.Path(args.out)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="sealtrail-soak-") as folder:
        soak = Soak(pathlib.Path(folder), out, args)
        try:
            soak.run()
            good = soak.finish()
        finally:
            soak.clean_up()
    sys.exit(0 if good else 1)


def arguments():
    target = os.environ.get("CARGO_TARGET_DIR") or str(HERE.parent / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="how long the faults last (default: %(default)s)")
    parser.add_argument("--rows-per-s", type=int, default=1000, help="how fast the log grows (default: %(default)s)")
    parser.add_argument("--agent", default=f"{target}/release/sealtrail", help="the binary (default: %(default)s)")
    parser.add_argument("--out", default=f"{target}/soak", help="where figures and graph go (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the times at which things happen")
    args = parser.parse_args()
    if not pathlib.Path(args.agent).exists():
        sys.exit(f"soak: no {args.agent}\n  hint: cargo build --release")
    return args


class Soak:
    """One soak: owns every process and folder, and ends and removes them."""

    def __init__(self, folder, out, args):
        self.folder, self.out, self.args = folder, out, args
        self.rng = random.Random(args.seed)
        self.volume = Volume(folder / "state")
        self.writer = Writer(folder / "log", args.rows_per_s, args.seed)
        self.far = {manner: Far(folder / manner, manner) for manner in ("slow", "flaps")}
        self.port = free_port()
        self.config = self.configure()
        self.check = Check(folder / "archive")
        self.agent = None
        self.runs = self.kills = self.sampled = 0
        self.said_how_it_ended = collections.Counter()
        self.samples = open(out / "samples.tsv", "w", encoding="utf-8")
        print(*FIGURES, sep="\t", file=self.samples)

    def configure(self):
        folder = f'name = "folder"\ntype = "file"\npath = "{self.folder}/archive"'
        collectors = [f'name = "{manner}"\ntype = "http"\nurl = "{far.url}"\ntimeout = "2s"' for manner, far in self.far.items()]
        log = self.folder / "log"
        return config(self.folder, {"pg": [log / "pg.csv", log / "pg.csv.*"]}, [folder] + collectors, f"journal_max_bytes = {JOURNAL_BYTES}",
                      'interval = "500ms"\nsegment_max_bytes = "512KiB"\nsegment_max_age = "5s"', self.port)

    def run(self):
        seconds = self.args.minutes * 60
        print(f"soak of {self.args.minutes:g} minutes, {self.args.rows_per_s} rows/s, seed {self.args.seed}; state on {self.volume.what}", flush=True)
        self.begin = time.monotonic()
        next_calm = self.begin + CALM_EVERY_SECONDS / 2
        while self.elapsed() < seconds:
            self.start()
            calm = time.monotonic() >= next_calm
            next_calm += CALM_EVERY_SECONDS if calm else 0
            length = CALM_SECONDS if calm else self.rng.uniform(*RUN_SECONDS)
            self.watch(min(length, seconds - self.elapsed() + 1))
            self.kill()
            time.sleep(self.rng.uniform(*DOWN_SECONDS))

    def elapsed(self):
        return time.monotonic() - self.begin

    def start(self):
        self.runs += 1
        self.agent = Agent(self.args.agent, self.config, self.out / "agent.log", self.port)

    def kill(self):
        if self.agent.running():
            self.kills += 1
            self.agent.kill9()
        else:
            self.said_how_it_ended[str(ended_by(self.agent.process.returncode))] += 1

    def watch(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.agent.running():
            time.sleep(0.2)
            self.volume.trouble(self.rng)
            if time.monotonic() - self.sampled >= SAMPLE_SECONDS:
                self.sample()
                self.writer.delete(self.check.read())

    def sample(self):
        self.sampled = time.monotonic()
        usage, metrics = self.agent.usage(), self.agent.metrics()
        if not usage or not metrics:
            return
        lag = [int(metrics["sealtrail_destination_lag_lines", name]) for name in ("folder", "slow", "flaps")]
        print(round(self.elapsed(), 1), self.runs, round(time.monotonic() - self.agent.started, 1), usage["rss_kib"], usage["fds"],
              usage["threads"], usage["cpu_s"], int(metrics["sealtrail_source_lag_bytes", "pg"]), int(metrics["sealtrail_journal_bytes", ""]),
              int(metrics["sealtrail_journal_paused", ""]), self.volume.free(), *lag, self.writer.rows.value, int(self.volume.full),
              sep="\t", file=self.samples, flush=True)

    def finish(self):
        """The faults stop, everything is read and delivered, and all is compared."""
        self.volume.recover()
        for far in self.far.values():
            far.recover()
        written = self.writer.stop()
        self.samples.close()
        drained = drain(self.args.agent, self.config, self.out / "agent.log")
        code, said = verify(self.args.agent, self.folder / "state", self.folder / "archive")
        self.check.read()
        results = self.results(written, drained, code, said)
        summary = Summary(self.out / "samples.tsv")
        text = "\n".join([self.headline(), *summary.lines(), "", *(f"{name}: {value}" for name, value, _ in results)])
        (self.out / "summary.txt").write_text(text + "\n")
        (self.out / "graph.svg").write_text(summary.graph())
        print(text)
        print(f"figures: {self.out}/samples.tsv, {self.out}/graph.svg")
        return all(good for _, _, good in results)

    def headline(self):
        unasked = f", and ended by itself: {dict(self.said_how_it_ended)}" if self.said_how_it_ended else ""
        return (f"{self.args.minutes:g} minutes, seed {self.args.seed}: started {self.runs} times, killed {self.kills} times{unasked}; volume full "
                f"{self.volume.times} times; {self.writer.rotations.value} rotations; state on {self.volume.what}")

    def results(self, written, drained, code, said):
        """What there is to say, and whether it is good."""
        lost, twice, unknown = self.check.compare(written)
        rows = [("drained with", drained, drained == 0),
                ("verify says", f"{code}: {said.strip().splitlines()[0] if said.strip() else ''}", code == 0),
                ("rows written", sum(written.values()), True),
                ("rows in the trail", self.check.rows, True),
                ("rows lost", lost, lost == 0),
                ("rows twice", twice, twice == 0),
                ("rows that nobody wrote", unknown, unknown == 0),
                ("unparsed", self.check.unparsed, self.check.unparsed == 0),
                ("gaps told", self.check.gaps, self.check.gaps == 0),
                ("starts that cut off a torn block", self.check.recovered, True),
                ("ended by itself", sum(self.said_how_it_ended.values()), not self.said_how_it_ended)]
        for manner, far in self.far.items():
            missing, taken, again = far.compare(self.check.hashes)
            rows.append((f"collector that {'is slow' if manner == 'slow' else 'flaps'}",
                         f"{taken} lines taken, {again} of them again, {missing} missing", missing == 0))
        return rows

    def clean_up(self):
        if self.agent and self.agent.running():
            self.agent.kill9()
        self.writer.kill()
        for far in self.far.values():
            far.stop()
        self.volume.unmount()


class Volume:
    """The disk for the state: a small tmpfs, where we may mount one. Elsewhere a folder that never fills up, which is said."""

    def __init__(self, path):
        self.path = path
        self.full, self.times = False, 0
        self.next = time.monotonic() + FULL_EVERY_SECONDS[0]
        path.mkdir()
        size = f"size={VOLUME_BYTES},mode=0700"
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)], capture_output=True, check=False).returncode == 0
        self.what = f"a tmpfs of {VOLUME_BYTES // MIB} MiB" if self.mounted else "a plain folder that is never full: no tmpfs could be mounted"

    def trouble(self, rng):
        if self.mounted and time.monotonic() >= self.next:
            if self.full:
                self.recover()
            else:
                self.full, self.times = True, self.times + 1
            self.next = time.monotonic() + rng.uniform(*(FULL_SECONDS if self.full else FULL_EVERY_SECONDS))
        if self.full:
            self.fill()

    def fill(self):
        """Takes what room there is, and what the agent made since."""
        with open(self.path / "filler", "ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass  # That is the point.

    def recover(self):
        self.full = False
        (self.path / "filler").unlink(missing_ok=True)

    def free(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.path)], check=False)


class Writer:
    """The database: a process of its own that appends rows with real session numbers, and rotates its files by renaming."""

    def __init__(self, folder, rows_per_s, seed):
        folder.mkdir()
        self.rows = multiprocessing.Value("q", 0)
        self.rotations = multiprocessing.Value("q", 0)
        self.ended = multiprocessing.Event()
        self.rotated, self.deletable, self.result = (multiprocessing.Queue() for _ in range(3))
        self.waiting = {}
        self.process = multiprocessing.Process(target=self.write, args=(folder, rows_per_s, random.Random(seed)), daemon=True)
        self.process.start()

    def delete(self, archived):
        """Lets go of the files of which every row is archived. `archived` counts rows by file."""
        while True:
            try:
                number, rows = self.rotated.get_nowait()
            except queue.Empty:
                break
            self.waiting[number] = rows
        for number in [number for number, rows in self.waiting.items() if archived[number] >= rows]:
            del self.waiting[number]
            self.deletable.put(number)

    def stop(self):
        """{session: rows}"""
        self.ended.set()
        written = self.result.get(timeout=60)
        self.process.join(timeout=60)
        return written

    def kill(self):
        if self.process.is_alive():
            self.process.kill()

    def write(self, folder, rows_per_s, rng):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        files = Files(folder)
        last, open_sessions, begun = {}, [], 0
        begin, written = time.monotonic(), 0
        next_rotation = begin + rng.uniform(*ROTATE_SECONDS)
        while not self.ended.is_set():
            due = int((time.monotonic() - begin) * rows_per_s)
            while written < due:
                while len(open_sessions) < SESSIONS:
                    open_sessions.append(csvlog.session_id(begun))
                    begun += 1
                session = rng.choice(open_sessions)
                last[session] = last.get(session, 0) + 1
                files.append(session, last[session], rng)
                if last[session] == ROWS_OF_A_SESSION:
                    open_sessions.remove(session)
                written += 1
            self.rows.value = written
            if time.monotonic() >= next_rotation:
                self.rotated.put(files.rotate())
                self.rotations.value += 1
                next_rotation += rng.uniform(*ROTATE_SECONDS)
            while not self.deletable.empty():
                files.delete(self.deletable.get())
            time.sleep(0.005)
        files.file.close()
        self.result.put(last)


class Files:
    """`pg.csv` and its predecessors, the youngest of them `pg.csv.1`."""

    def __init__(self, folder):
        self.current = folder / "pg.csv"
        self.number, self.rows = 1, 0
        self.file = open(self.current, "ab", buffering=0)
        # Numbers of the rotated files that are there, the youngest first, and of those that may go.
        self.rotated, self.done = [], set()

    def append(self, session, line, rng):
        sql = b"SELECT %d FROM t%d" % (line, self.number)
        if rng.random() < 0.01:
            sql += b" -- " + b"a longer statement " * rng.randrange(1000)
        self.file.write(csvlog.row(session, line, sql))
        self.rows += 1

    def rotate(self):
        """The number and the rows of the file that is complete now."""
        for index in reversed(range(len(self.rotated))):
            self.path(index + 1).rename(self.path(index + 2))
        self.current.rename(self.path(1))
        complete = (self.number, self.rows)
        self.rotated.insert(0, self.number)
        self.file.close()
        self.number, self.rows = self.number + 1, 0
        self.file = open(self.current, "ab", buffering=0)
        self.forget()
        return complete

    def delete(self, number):
        self.done.add(number)
        self.forget()

    def forget(self):
        """The oldest go, as with logrotate, if their rows are safe."""
        while len(self.rotated) > KEPT_FILES and self.rotated[-1] in self.done:
            self.path(len(self.rotated)).unlink()
            self.done.discard(self.rotated.pop())

    def path(self, index):
        return self.current.with_name(f"pg.csv.{index}")


class Far:
    """A collector in a process of its own."""

    def __init__(self, folder, manner):
        folder.mkdir()
        self.folder, port = folder, free_port()
        self.url = f"http://127.0.0.1:{port}/in"
        command = [sys.executable, str(HERE / "far.py"), "--port", str(port), "--folder", str(folder), "--manner", manner]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def recover(self):
        (self.folder / "recover").touch()

    def compare(self, hashes):
        """How many of these lines it has not got, how many it took, and how many of them for a second time."""
        taken = array.array("Q")
        size = (self.folder / "lines").stat().st_size // taken.itemsize
        with open(self.folder / "lines", "rb") as lines:
            taken.fromfile(lines, size)
        once = set(taken)
        missing = sum(1 for line in hashes if line not in once)
        return missing, len(taken), len(taken) - len(once)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


class Check:
    """What the folder of delivered segments has; reads each segment once, when it has come."""

    def __init__(self, folder):
        self.folder = folder
        self.seen = set()
        self.hashes = array.array("Q")
        self.last, self.odd = {}, set()
        self.by_file = collections.Counter()
        self.rows = self.twice = self.unparsed = self.gaps = self.recovered = 0

    def read(self):
        """Rows by file."""
        new = [path for path in trail.segments(self.folder) if path.name not in self.seen]
        self.seen.update(path.name for path in new)
        for line in trail.lines(new):
            self.hashes.append(line_hash(line))
            if trail.is_event(line):
                self.row(line)
            else:
                self.gaps += trail.is_act(line, b"GAP")
                self.recovered += trail.is_act(line, b"RECOVERED")
        return self.by_file

    def row(self, line):
        key, file = trail.key(line), FILE_OF_ROW.search(line)
        if key is None or file is None:
            self.unparsed += 1
            return
        session, number = key
        self.rows += 1
        self.by_file[int(file.group(1))] += 1
        last = self.last.get(session, 0)
        if number == last + 1:
            self.last[session] = number
        elif number <= last or key in self.odd:
            self.twice += 1
        else:
            self.odd.add(key)

    def compare(self, written):
        """Rows lost, rows twice, rows that nobody wrote."""
        late = collections.Counter(session for session, _ in self.odd)
        lost = sum(max(0, rows - self.last.get(session, 0) - late[session]) for session, rows in written.items())
        unknown = sum(rows for session, rows in self.last.items() if session not in written)
        return lost, self.twice, unknown


class Summary:
    """The samples, by quarters of the time and as a picture."""

    PANELS = [("rss_kib", "resident, MiB", 1024), ("fds", "open files", 1), ("source_lag_bytes", "log not read yet, MiB", MIB),
              ("journal_bytes", "journal, MiB", MIB), ("flaps_lag_lines", "lines that the flapping collector lacks", 1),
              ("slow_lag_lines", "lines that the slow collector lacks", 1)]
    WIDTH, HEIGHT, LEFT = 1000, 120, 70

    def __init__(self, path):
        lines = path.read_text().splitlines()[1:]
        self.samples = [dict(zip(FIGURES, map(float, line.split("\t")))) for line in lines]

    def lines(self):
        if not self.samples:
            return ["no samples"]
        # A process that has just begun has not opened what it will open.
        settled = [sample for sample in self.samples if sample["age_s"] >= 1.5] or self.samples
        end = settled[-1]["seconds"] + 1
        text = [f"{'':10}{'RSS MiB min':>12}{'median':>8}{'max':>8}{'fds min':>9}{'median':>8}{'max':>6}{'threads max':>13}{'samples':>9}"]
        for quarter in range(4):
            part = [sample for sample in settled if int(4 * sample["seconds"] / end) == quarter]
            if part:
                rss, fds = ([sample[name] for sample in part] for name in ("rss_kib", "fds"))
                threads = max(sample["threads"] for sample in part)
                text.append(f"quarter {quarter + 1} {min(rss) / 1024:12.1f}{statistics.median(rss) / 1024:8.1f}{max(rss) / 1024:8.1f}"
                            f"{min(fds):9.0f}{statistics.median(fds):8.0f}{max(fds):6.0f}{threads:13.0f}{len(part):9}")
        return text

    def graph(self):
        height = (self.HEIGHT + 40) * len(self.PANELS)
        panels = "".join(self.panel(index, *panel) for index, panel in enumerate(self.PANELS))
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.WIDTH + self.LEFT + 20}" height="{height}" font-family="sans-serif" '
                f'font-size="12"><rect width="100%" height="100%" fill="white"/>{panels}</svg>\n')

    def panel(self, index, name, title, unit):
        top = index * (self.HEIGHT + 40) + 25
        values = [(sample["seconds"], sample[name] / unit) for sample in self.samples]
        end = max((at for at, _ in values), default=1) or 1
        most = max((value for _, value in values), default=1) or 1
        points = " ".join(f"{self.LEFT + at / end * self.WIDTH:.1f},{top + self.HEIGHT * (1 - value / most):.1f}" for at, value in values)
        return (f'<text x="{self.LEFT}" y="{top - 8}">{title}, over {end / 60:.1f} minutes</text>'
                f'<text x="{self.LEFT - 5}" y="{top + 10}" text-anchor="end">{most:.4g}</text>'
                f'<text x="{self.LEFT - 5}" y="{top + self.HEIGHT}" text-anchor="end">0</text>'
                f'<path d="M{self.LEFT},{top}v{self.HEIGHT}h{self.WIDTH}" fill="none" stroke="#999"/>'
                f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1"/>')


if __name__ == "__main__":
    main()
