#!/usr/bin/env python3
"""What redaction takes out of statements that hold, mostly, no secret: PostgreSQL 15's regression suite.

    false_positives.py STATEMENTS        a JSON string a line, as `sql/oracle/examples/statements.rs` writes them

Each statement becomes a row of csvlog, and `sealtrail redact test` says what it takes out of it. Every statement that is changed is printed with
what is taken out: whether it held a secret is for a person to say. The last line counts. Nothing but the standard library.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    args = arguments()
    statements = [json.loads(line) for line in args.statements.read_text().splitlines()]
    if not statements:
        sys.exit(f"false_positives.py: no statement in {args.statements}")
    with tempfile.NamedTemporaryFile(suffix=".csv") as log:
        log.write("".join(map(row, range(len(statements)), statements)).encode())
        log.flush()
        command = [args.agent, "redact", "test", "--format", "postgres-csvlog", "--json", log.name]
        said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode not in (0, 1):
        sys.exit(said.stderr)
    changed = [json.loads(line) for line in said.stdout.splitlines()]
    for change in (change for row in changed for change in row["changes"]):
        print(f"- {change['before']}\n+ {change['after']}\n")
    print(f"{len(changed)} of {len(statements)} statements are changed ({len(changed) / len(statements):.3%})")


def row(number, statement):
    """As the server writes a statement of a session of its own."""
    quoted = statement.replace("\0", "").replace('"', '""')
    return (
        f'2026-01-01 00:00:00.000 UTC,"app","regression",4242,"127.0.0.1:50000",6955c380.{number + 1:x},1,"",2026-01-01 00:00:00 UTC,3/1,0,'
        f'LOG,00000,"statement: {quoted}",,,,,,,,,"psql","client backend",,0\n'
    )


def arguments():
    target = os.environ.get("CARGO_TARGET_DIR") or str(ROOT / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("statements", type=pathlib.Path)
    parser.add_argument("--agent", default=f"{target}/release/sealtrail", help="the binary (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
