"""Reading a trail with zstdcat: nothing of the agent's own code."""

import pathlib
import re
import subprocess

SESSION = re.compile(rb'"session":\{"id":"([^"]+)","line":(\d+)')


def segments(folder):
    return sorted(pathlib.Path(folder).rglob("*.ndjson.zst"), key=lambda path: path.name)


def lines(paths):
    """Every line of these segments, as bytes without their line ends."""
    for path in paths:
        with subprocess.Popen(["zstdcat", "--", str(path)], stdout=subprocess.PIPE) as text:
            for line in text.stdout:
                yield line[:-1]
        if text.returncode != 0:
            raise ValueError(f"{path} does not decode")


def is_event(line):
    return line.startswith(b'{"v":1,"type":"event"')


def is_act(line, action):
    return line.startswith(b'{"v":1,"type":"agent"') and b'"action":"%b"' % action in line


def key(line):
    """Session and number of a row; None for bytes that are no row."""
    found = SESSION.search(line)
    return (found.group(1), int(found.group(2))) if found else None
