#!/usr/bin/env python3
"""Rows in, by readers of their own, against rows out: a line a file with both counts, what is unparsed, and why.

  tests/captures/count.py --program target/debug/sealtrail [--log-line-prefix P] FILE...

The readers know where a row begins in each format and nothing else of it. Several rows that make one record (server_audit's tables and their
statement, syslog's chunks, DETAIL and STATEMENT) count as one. Exit code 1 when a count differs or the program fails.
"""

import argparse
import collections
import csv
import gzip
import io
import json
import re
import subprocess
import sys

csv.field_size_limit(1 << 30)
SEVERITY = rb"(?:DEBUG[1-5]?|INFO|NOTICE|WARNING|LOG|ERROR|FATAL|PANIC):  "


def lines(data):
    return [line for line in data.split(b"\n") if line.strip()]


def csv_rows(data):
    return sum(1 for _ in csv.reader(io.StringIO(data.decode("latin-1"), newline=""), strict=True))


def pgaudit_file_rows(data):
    # Version 1 quotes by rules of its own. Each row begins with its time; what looks so inside a statement has doubled quotes behind it.
    return len(re.findall(rb'(?m)^"?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [A-Z]+"?,(?!"".)', data))


def json_values(data):
    text, at, count, decode = data.decode("utf-8", "surrogateescape"), 0, 0, json.JSONDecoder(strict=False).raw_decode
    # An array counts by its elements, also one that is not closed yet.
    while at < len(text):
        if text[at] in " \t\r\n,[]":
            at += 1
            continue
        _, at = decode(text, at)
        count += 1
    return count


def stderr_rows(data):
    # Lines that go on begin with a tab; DETAIL, HINT, CONTEXT and STATEMENT belong to the row before.
    return sum(1 for line in lines(data) if not line.startswith(b"\t") and re.search(SEVERITY, line))


def syslog_rows(data):
    # A chunk is `[number-chunk]`; what an entry's chunks say together has a severity, or it is no row of its own.
    entries = {}
    for line in lines(data):
        found = re.search(rb"\[(\d+)\]: \[(\d+)-(\d+)\] (.*)", line)
        if found and (found[3] == b"1" or (found[1], found[2]) in entries):
            if found[3] == b"1" and re.match(rb".*?(?:DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION):  ", found[4]):
                continue
            entries.setdefault((found[1], found[2]), []).append(found[4])
    return sum(1 for chunks in entries.values() if re.search(SEVERITY, b"".join(chunks)))


def server_audit_rows(data, begin=rb"(?m)^(?=(?:\d{8} \d\d:\d\d:\d\d|\d{16}),)"):
    # A name may have a line end in it. Tables wait for the statement of their connection and query id.
    row = re.compile(rb",(\d+),(\d+),(READ|WRITE|CREATE|ALTER|RENAME|DROP|[A-Z_]*CONNECT|CHANGEUSER|QUERY),")
    rows, waiting = 0, set()
    for text in re.split(begin, data):
        found = row.search(text)
        if not found:
            continue
        key = found[1], found[2]
        if found[3] in (b"READ", b"WRITE", b"CREATE", b"ALTER", b"RENAME", b"DROP"):
            waiting.add(key)
        else:
            waiting.discard(key)
            rows += 1
    return rows + len(waiting)


def general_log_rows(data):
    command = rb"(?:\d{6} [ \d]\d:\d\d:\d\d|\d{4}-\S+Z?|\t)\t\s*\d+ (?:[A-Z][a-z]+(?: [a-zA-Z]+)*)(?:\t|$)"
    return sum(1 for line in data.split(b"\n") if re.match(command, line))


COUNTERS = {
    "postgres-csvlog": csv_rows,
    "postgres-jsonlog": json_values,
    "postgres-stderr": stderr_rows,
    "postgres-syslog": syslog_rows,
    "pgauditlogtofile-csv": pgaudit_file_rows,
    "pgauditlogtofile-json": json_values,
    "mariadb-audit": server_audit_rows,
    "aurora-audit": server_audit_rows,
    "mariadb-audit-syslog": lambda data: server_audit_rows(data, begin=rb"\n"),
    "mysql-general": general_log_rows,
    "mysql-audit-json": json_values,
    "mongodb-audit-json": json_values,
    "mongodb-audit-ocsf": json_values,
    "cloudsql": json_values,
}


def parse(program, data, format, prefix):
    command = [program, "parse", "-"]
    command += ["--format", format] if format else []
    command += ["--log-line-prefix", prefix] if prefix else []
    done = subprocess.run(command, input=data, capture_output=True)
    # 1: something is unparsed.
    if done.returncode not in (0, 1) or b"panicked" in done.stderr:
        return None, done.stderr.decode(errors="replace").strip().split("\n")[0]
    return [json.loads(line) for line in done.stdout.splitlines()], None


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--program", required=True)
    options.add_argument("--format")
    options.add_argument("--log-line-prefix")
    options.add_argument("files", nargs="+")
    options = options.parse_args()
    failed = False
    for path in options.files:
        data = (gzip.open if path.endswith(".gz") else open)(path, "rb").read()
        records, error = parse(options.program, data, options.format, options.log_line_prefix)
        if records is None:
            print(f"{path}\tfailed: {error}")
            failed = True
            continue
        format = records[0]["format"] if records else options.format
        rows = COUNTERS[format](data)
        why = collections.Counter(record["extra"]["reason"] for record in records if record["category"] == "unparsed")
        failed |= rows != len(records)
        reasons = ", ".join(f"{count} {reason}" for reason, count in why.items()) or "-"
        print(f"{path}\t{format}\t{rows} in\t{len(records)} out\t{sum(why.values())} unparsed\t{reasons}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
