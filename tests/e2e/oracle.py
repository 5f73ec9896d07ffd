"""Reads PostgreSQL csvlogs with Python's csv module, and prints each record as one JSON array of 26 fields.

An independent reader: the tests count and compare the agent's records against these. Bytes are read as Latin-1, so that
every byte is one character and none is lost.
"""
import csv
import json
import sys

csv.field_size_limit(1 << 30)
for path in sys.argv[1:]:
    with open(path, newline="", encoding="latin-1") as log:
        for record in csv.reader(log, strict=True):
            print(json.dumps(record))
