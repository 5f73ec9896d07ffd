#!/usr/bin/env python3
"""Measures every format on one core: a Markdown table, one line a format.

    formats.py [--mb 8] [--runs 5] [FORMAT…]

There is no large log of most formats that could be had without its engine, so the input of each is one of the project's own
fixtures, repeated until it is large, in a form that is valid for its format: one header, one array. Two figures for each: framing
and parsing, which is what the crate `sealtrail-parsers` does (its example `throughput`), and `sealtrail parse`, which also gives
meaning and writes records of some 600 bytes for rows of a hundred. Both use one thread, and the best run counts: other work on
a shared machine makes it slower, and nothing makes it faster. Every row of every input must be understood.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

from bench import MB, timed

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FIXTURES = ROOT / "parsers/tests/fixtures"
CAPTURES = ROOT / "tests/captures"

BOUND = 150
# Of those that are JSON or XML, or have to be unpacked from it.
BOUND_OF_TREES = 80


def whole(data):
    return b"", data if data.endswith(b"\n") else data + b"\n", b""


def objects(data):
    """Concatenated, with nothing between them, or binary."""
    return b"", data, b""


def lines_with(key):
    """Of a fixture that holds rows on purpose that are none, only those with this key."""
    def split(data):
        return b"", b"".join(line for line in data.splitlines(keepends=True) if is_object_with(key, line)), b""
    return split


def is_object_with(key, line):
    try:
        return key in json.dumps(json.loads(line))
    except ValueError:
        return False


def in_cri(data):
    """What a container runtime makes of lines."""
    return b"", b"".join(b"2026-11-20T20:28:31.135035695Z stderr F " + line + b"\n" for line in data.splitlines()), b""


def in_docker(data):
    rows = [{"log": line + "\n", "stream": "stderr", "time": "2026-11-20T20:28:31.135035695Z"} for line in data.decode(errors="replace").splitlines()]
    return b"", b"".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for row in rows), b""


def array(data):
    inner = data.strip().removeprefix(b"[").removesuffix(b"]").strip().removesuffix(b",")
    return b"[\n", inner + b",\n", b"]\n"


def behind(mark):
    """The first row begins with `mark`; what stands before it stands once, and what stands behind the last row does not."""
    def split(data):
        start = data.index(mark)
        head, rows = data[:start], data[start:]
        for foot in (b"</AUDIT>", b"</Audit>"):
            rows = rows.split(foot)[0]
        return head, rows.rstrip() + b"\n", b""
    return split


def header(lines):
    def split(data):
        parts = data.split(b"\n", lines)
        return b"\n".join(parts[:lines]) + b"\n", whole(parts[lines])[1], b""
    return split


def after_byte_order_mark(data):
    return data[:2], data[2:], b""


# Of the server that wrote `same_rows`.
PREFIX = "%m [%p] q=%q%u@%d app=%a r=%r h=%h c=%c l=%l s=%s v=%v x=%x i=%i e=%e b=%b "

# Format, its fixture, how to repeat it, whether it is a tree, the server's log_line_prefix if it needs one.
SAMPLES = [
    ("postgres-csvlog", CAPTURES / "pg15-pgaudit.csv", whole, False, []),
    ("postgres-jsonlog", CAPTURES / "pg15-pgaudit.json", whole, True, []),
    ("mongodb-audit-json", FIXTURES / "mongodb-audit-json/auth_check.log", whole, True, []),
    ("mongodb-audit-ocsf", FIXTURES / "mongodb-audit-ocsf/documentation.log", whole, True, []),
    ("mongodb-audit-bson", FIXTURES / "mongodb-audit-bson/rows.log", objects, True, []),
    ("postgres-stderr", FIXTURES / "postgres-stderr/preset.log", whole, False, ["%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h "]),
    ("sqlserver-event", FIXTURES / "sqlserver-event/versions.log", whole, False, []),
    ("sqlserver-event-json", FIXTURES / "sqlserver-event-json/collectors.log", whole, True, []),
    ("sqlserver-audit-csv", FIXTURES / "sqlserver-audit-csv/management_studio.log", header(1), False, []),
    ("sqlserver-audit-json", FIXTURES / "sqlserver-audit-json/lines.log", lines_with("action_id"), True, []),
    ("sqlserver-errorlog", FIXTURES / "sqlserver-errorlog/logins.log", after_byte_order_mark, False, []),
    ("oracle-syslog", FIXTURES / "oracle-syslog/unified.log", whole, False, []),
    ("oracle-aud", FIXTURES / "oracle-aud/users.log", whole, False, []),
    ("oracle-xml", FIXTURES / "oracle-xml/open_root.log", behind(b"<AuditRecord>"), True, []),
    ("mariadb-audit", FIXTURES / "mariadb-audit/rds.log", whole, False, []),
    ("aurora-audit", FIXTURES / "aurora-audit/rows.log", whole, False, []),
    ("mariadb-audit-syslog", FIXTURES / "mariadb-audit-syslog/traditional.log", whole, False, []),
    ("mysql-general", FIXTURES / "mysql-general/mysql_8.log", whole, False, []),
    ("percona-audit-xml", FIXTURES / "percona-audit-xml/new.log", behind(b"<AUDIT_RECORD>"), True, []),
    ("percona-audit-json", FIXTURES / "percona-audit-json/rows.log", lines_with("audit_record"), True, []),
    ("percona-audit-csv", FIXTURES / "percona-audit-csv/rows.log", whole, False, []),
    ("mysql-audit-json", FIXTURES / "mysql-audit-json/enterprise.log", array, True, []),
    ("trellix-audit-json", FIXTURES / "trellix-audit-json/rows.log", whole, True, []),
    ("postgres-syslog", FIXTURES / "same_rows.syslog", whole, False, [PREFIX]),
    ("pgauditlogtofile-csv", FIXTURES / "pgauditlogtofile-csv/rows_1_8.log", whole, False, []),
    ("pgauditlogtofile-json", FIXTURES / "pgauditlogtofile-json/rows.log", whole, True, []),
    ("cri", CAPTURES / "pg15-pgaudit.json", in_cri, True, []),
    ("docker-json", CAPTURES / "pg15-pgaudit.json", in_docker, True, []),
    ("cloudwatch", FIXTURES / "cloudwatch/rds_postgresql.log", objects, True, []),
    ("aurora-das", FIXTURES / "aurora-das/postgresql.log", objects, True, []),
    ("cloudsql", FIXTURES / "cloudsql/server_log.log", array, True, []),
    ("azure", FIXTURES / "azure/postgresql_flexible_server.log", objects, True, []),
    ("cloudnativepg", FIXTURES / "cloudnativepg/rows.log", whole, True, []),
    ("bytebase-audit", FIXTURES / "bytebase-audit/calls.log", whole, True, []),
    ("teleport-audit", FIXTURES / "teleport-audit/database_sessions.log", whole, True, []),
]


def main():
    args = arguments()
    samples = [sample for sample in SAMPLES if not args.formats or sample[0] in args.formats]
    complete(args.agent)
    args.folder.mkdir(parents=True, exist_ok=True)
    print("MB/s on one core.\n")
    print("| format | bytes a row | framing and parsing | at least | `sealtrail parse` | rows/s |\n|---|--:|--:|--:|--:|--:|")
    slow = [sample[0] for sample in samples if not measure(args, *sample)]
    if slow:
        print("\nbelow the bound: " + ", ".join(slow))


def arguments():
    target = os.environ.get("CARGO_TARGET_DIR") or str(ROOT / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help="these only")
    parser.add_argument("--agent", default=f"{target}/release/sealtrail", help="the binary (default: %(default)s)")
    parser.add_argument("--throughput", default=f"{target}/release/examples/throughput", help="the parsers' example (default: %(default)s)")
    parser.add_argument("--folder", type=pathlib.Path, default=f"{target}/bench", help="where an input stands while it is read")
    parser.add_argument("--mb", type=int, default=8, help="size of each input (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of `sealtrail parse` (default: %(default)s)")
    return parser.parse_args()


def complete(agent):
    """A format that is added and not measured should be noticed."""
    listed = subprocess.run([agent, "parse", "--format", "list"], capture_output=True, text=True, check=True).stdout
    missing = {line.split()[0] for line in listed.splitlines()} - {sample[0] for sample in SAMPLES}
    if missing:
        sys.exit("formats.py: no sample of " + ", ".join(sorted(missing)))


def measure(args, name, fixture, how, is_tree, prefix):
    """Whether it is as fast as it should be."""
    at_least = BOUND_OF_TREES if is_tree else BOUND
    log = args.folder / f"{name}.log"
    log.write_bytes(repeated(how(fixture.read_bytes()), args.mb * MB))
    try:
        command = [args.throughput, name, log, *prefix]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        size, rows, unparsed, nanoseconds = map(int, said.split())
        if unparsed:
            sys.exit(f"formats.py: {unparsed} rows of {fixture} were not understood")
        words = ["--log-line-prefix", *prefix] if prefix else []
        cpu = min(timed([args.agent, "parse", "--format", name, *words, log])["cpu"] for _ in range(args.runs))
    finally:
        log.unlink()
    parsing = size / MB / (nanoseconds / 1e9)
    print(f"| `{name}` | {size / rows:.0f} | {parsing:.0f} | {at_least} | {size / MB / cpu:.0f} | {rows / cpu:,.0f} |", flush=True)
    return parsing >= at_least


def repeated(parts, size):
    head, rows, foot = parts
    count = -(-size // len(rows))
    return head + (rows * count).rstrip(b",\n") + b"\n" + foot if foot else head + rows * count


if __name__ == "__main__":
    main()
