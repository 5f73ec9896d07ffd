#!/usr/bin/env python3
"""Takes one safeguard at a time out of the agent, and asks whether the simulator notices.

    mutants.py [--seeds 20000] [WORD…]

The tree, as git lists it, is copied to target/mutants, with a build folder of its own that begins with the dependencies of the release build.
Each mutation replaces texts; one that is not found, or does not build, is an error. Then the simulator runs until its first failing
schedule, and, where there is none, through the durable calls one by one. Words choose the mutations whose names have them.

Prints a table. Ends with 1 if a mutant survives, 2 on an error. Nothing but the standard library.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A name, and what is replaced: file, text, what stands there instead, how often the text is there.
MUTATIONS = [
    ("fingerprint check off: any file with the inode is the log", [
        ("src/tail/identity.rs", "if !head.matches(file)? {", "if len > u64::MAX - 1 && !head.matches(file)? {", 1),
        ("src/tail/identity.rs", "let same = tail.len == 0 ||", "let same = tail.len < usize::MAX ||", 1),
    ]),
    ("directory sync off", [
        ("src/durable.rs", "disk.sync_dir(", "no_sync(", 6),
        ("src/durable.rs", "fn folder_of(", "fn no_sync(_: &Path) -> io::Result<()> {\n    Ok(())\n}\n\nfn folder_of(", 1),
        ("src/journal/write.rs", "self.host.disk.sync_dir(&self.dir)?;", "", 1),
    ]),
    ("directory sync off: a new segment's only", [
        ("src/journal/write.rs", "self.host.disk.sync_dir(&self.dir)?;", "", 1),
    ]),
    ("file sync off", [
        ("src/durable.rs", "    file.append(bytes)?;\n    file.sync()\n", "    file.append(bytes)\n", 1),
        ("src/durable.rs", "    file.sync()?;\n    Ok(bytes)", "    Ok(bytes)", 1),
    ]),
    ("torn-tail cut off", [
        ("src/journal/recover.rs", "    if torn == 0 {", "    if torn < u64::MAX {", 1),
    ]),
    ("truncation detection off", [
        ("src/tail/follow.rs", "self.rewritten || self.len_on_disk().is_ok_and(|len| len < self.read_to())", "false", 1),
    ]),
    ("truncation detection off: of new content that is longer", [
        ("src/tail/follow.rs", "self.rewritten || self.len_on_disk()", "self.len_on_disk()", 1),
    ]),
    ("cursor atomicity off: written in place", [
        ("src/ship/cursor.rs", "durable::write_atomic(", "in_place(", 1),
        ("src/ship/cursor.rs", "#[cfg(test)]", "fn in_place(disk: &dyn Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {\n"
         "    durable::append(disk.create(path, mode)?.as_ref(), bytes)?;\n    durable::sync(disk, path)\n}\n\n#[cfg(test)]", 1),
    ]),
    ("the seal's positions left out", [
        ("src/journal/write.rs", "files: std::mem::take(&mut block.files),",
         "files: std::mem::take(&mut block.files).into_iter().filter(|range| range.ended).collect(),", 1),
    ]),
    ("dedup of copies off", [
        ("src/tail/claims.rs", "if !agree(file.as_ref(), original.file().as_ref(), both)? {", "if both < u64::MAX {", 1),
    ]),
    ("a stale handle is kept", [
        ("src/tail/identity.rs", "error.kind() == io::ErrorKind::StaleNetworkFileHandle", "error.kind() == io::ErrorKind::Unsupported", 1),
    ]),
    ("a stale archive is kept", [
        ("src/tail/archives.rs", "self.open.retain(|archive| !archive.packed.is_stale());", "", 1),
    ]),
    ("one listing of the folders is enough, and one of a folder", [
        ("src/tail/mod.rs", "self.opened == 0 && self.listed == before", "self.opened == 0", 1),
        ("src/tail/find.rs", "for _ in 1..LISTINGS_MAX {", "for _ in 1..LISTINGS_MAX.min(1) {", 1),
    ]),
    ("a renamed file that was let go of is not looked at again", [
        ("src/tail/mod.rs", "source.filter(|_| range.archive_len == 0 && len > left_at)", "source.filter(|_| len > u64::MAX - left_at.min(1))", 1),
    ]),
    ("the last row of an older file waits behind the next file's rows", [
        ("src/core/reading.rs", "goes_on || files[count + 1..].iter().any(|index| self.tail.followers[*index].has_begun())", "goes_on && count < usize::MAX", 1),
    ]),
    ("files that lost their names are sorted anew", [
        ("src/tail/order.rs", "            if new.placed {\n                continue;\n            }\n", "", 1),
    ]),
    ("the end of an archive is taken for granted", [
        ("src/tail/packed.rs", "    if read < buf.len() {", "    if read < buf.len() || unpacking.at > 2000 {", 1),
    ]),
    ("retain ignores a required destination", [
        ("src/journal/retain.rs", "let done = next.first <= delivered && ", "let done = ", 1),
    ]),
    ("retain lets the last whole segment go", [
        ("src/journal/retain.rs", " && next.first < head.lines;", ";", 1),
    ]),
    ("a failed append is not cut off again", [
        ("src/journal/write.rs", "open.torn = durable::truncate(open.file.as_ref(), open.bytes).is_err();", "", 1),
    ]),
    ("recovery trusts the page cache", [
        ("src/journal/recover.rs", "durable::sync_again(disk, &last.path, state.last)", "durable::sync(disk, &last.path)", 1),
    ]),
    ("recovery does not sync what it counts", [
        ("src/journal/recover.rs", "durable::sync_again(disk, &last.path, state.last)", "Ok(())", 1),
    ]),
    ("the cursor is written before the far side has said yes", [
        ("src/ship/courier.rs", "            match self.settle(sink, &part).await? {",
         "            self.advance(part.last() + 1).await?;\n            match self.settle(sink, &part).await? {", 1),
    ]),
    ("ids of files that ended are given again", [
        ("src/tail/claims.rs", "let unfollowed = [&self.known, &self.retired, &self.spent];", "let unfollowed = [&self.known, &self.retired];", 1),
    ]),
]

# The agent itself is built fast rather than fast to run.
BUILD = ["cargo", "test", "--release", "--locked", "--package", "sealtrail", "--test", "sim", "--no-run", "--message-format=json",
         "--config", "profile.release.package.sealtrail.opt-level=1", "--config", "profile.release.package.sealtrail.debug=false"]


class Trouble(Exception):
    """The question could not be asked."""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=20000)
    arguments.add_argument("words", nargs="*", metavar="WORD")
    arguments = arguments.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    place = Place(target / "mutants", target / "release")
    chosen = [mutation for mutation in MUTATIONS if all(word in mutation[0] for word in arguments.words)]
    survivors = 0
    try:
        ran = place.run(arguments.seeds if not arguments.words else 200)
        if ran.failed:
            raise Trouble(f"the simulator fails without a mutation: {ran.how}")
        print(f"{'found by':<30} {'after':>18}  mutation", flush=True)
        for name, changes in chosen:
            ran = place.mutated(changes, arguments.seeds)
            survivors += not ran.failed
            print(f"{ran.how:<30} {ran.after:>18}  {name}", flush=True)
    except Trouble as trouble:
        print(f"mutants: {trouble}", file=sys.stderr)
        return 2
    print(f"{len(chosen)} mutants, {survivors} survived")
    return 1 if survivors else 0


class Ran:
    """What the simulator said: whether, by what and after how many schedules it failed."""

    def __init__(self, failed, how, after):
        self.failed, self.how, self.after = failed, how, after


class Place:
    """The copied tree and its build folder."""

    def __init__(self, folder, release):
        self.tree, self.target = folder / "tree", folder / "target"
        self.copy()
        if not self.target.exists() and release.exists():
            shutil.copytree(release, self.target / "release", symlinks=True, ignore=shutil.ignore_patterns("incremental", "examples"))

    def copy(self):
        """Brings the tree to what git lists, without touching what has not changed: cargo goes by the time of change."""
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, files.split("\0")):
            self.put(name, (ROOT / name).read_bytes())

    def put(self, name, content):
        path = self.tree / name
        if path.exists() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def mutated(self, changes, seeds):
        """Applies the changes, runs, and takes them back."""
        try:
            for name, text, instead, times in changes:
                content = (self.tree / name).read_text()
                if content.count(text) != times:
                    raise Trouble(f"{name} has this {content.count(text)} times, not {times}: {text}")
                self.put(name, content.replace(text, instead).encode())
            return self.run(seeds)
        finally:
            for name, *_ in changes:
                self.put(name, (ROOT / name).read_bytes())

    def run(self, seeds):
        program = self.build()
        tests = [("every_row", {"SEALTRAIL_SIM_SEEDS": str(seeds)}), ("every_statement", {"SEALTRAIL_SIM_SEEDS": str(seeds // 4)}),
                 ("nth_call", {"SEALTRAIL_SIM_EVERY": "1"}), ("places", {})]
        for test, variables in tests:
            begin = time.monotonic()
            environment = {**os.environ, "SEALTRAIL_SIM_FIRST": "1", "RUST_BACKTRACE": "0", **variables}
            ran = subprocess.run([program, test, "--nocapture"], cwd=self.tree, env=environment, capture_output=True, text=True)
            seconds = time.monotonic() - begin
            if ran.returncode:
                return self.failure(ran.stderr, seconds)
        return Ran(False, "SURVIVED", "")

    def failure(self, said, seconds):
        schedule = re.search(r"^(\d+) schedules? from seed .* failed", said, re.MULTILINE)
        seed = re.search(r"^seed (\d+):", said, re.MULTILINE)
        statement = re.search(r"^seeds that failed: \[(\d+)", said, re.MULTILINE)
        call = re.search(r"call (\d+), ", said, re.MULTILINE)
        if schedule and seed:
            return Ran(True, f"seed {seed[1]}", f"{schedule[1]} schedules")
        if statement:
            return Ran(True, f"statements, seed {statement[1]}", f"{seconds:.0f} s")
        if call:
            return Ran(True, f"durable call {call[1]}", f"{seconds:.0f} s")
        if "panicked at" not in said:
            raise Trouble(f"the simulator did not run:\n{said[-3000:]}")
        return Ran(True, "panic", f"{seconds:.0f} s")

    def build(self):
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.target), "CARGO_INCREMENTAL": "1"}
        built = subprocess.run(BUILD, cwd=self.tree, env=environment, capture_output=True, text=True)
        if built.returncode:
            raise Trouble(f"does not build:\n{built.stderr[-3000:]}")
        messages = map(json.loads, built.stdout.splitlines())
        # The agent itself is built as well, and may be the last.
        return next(message["executable"] for message in messages if message.get("executable") and message["target"]["name"] == "sim")


if __name__ == "__main__":
    sys.exit(main())
