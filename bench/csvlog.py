"""Rows of PostgreSQL's csvlog, made fast, and without the agent's code."""

import random

HEAD = b'2026-01-01 00:00:00.000 UTC,"app","bench",4242,"127.0.0.1:50000",'
TAIL = b',,,,,,,,,"psql","client backend",,0\n'


def row(session, line, sql):
    """One row as pgAudit writes it. `session` and `sql` are bytes; `sql` is on one line and holds no quote and no comma."""
    return b'%b%b,%d,"SELECT",2026-01-01 00:00:00 UTC,3/1,0,LOG,00000,"AUDIT: SESSION,1,1,READ,SELECT,,,%b,<none>"%b' % (
        HEAD, session, line, sql, TAIL)


def session_id(number):
    """As the server writes it: start time and process number, both hexadecimal."""
    return b"%08x.%x" % (0x6955C380 + number // 32_000, 0x1000 + number % 32_000)


class Session:
    """Chunks of rows that differ in their session's id only: a gigabyte a second, and every row has its number."""

    PLACE = b"00000000.0000"

    def __init__(self, rows, words):
        """Each row's statement has so many words of its own, so that the log compresses about as logs do."""
        self.rows = rows
        noise = random.Random(1)
        text = [b" ".join(noise.choice(WORDS) for _ in range(words)) for _ in range(rows)]
        self.template = b"".join(row(self.PLACE, line + 1, b"SELECT " + text[line]) for line in range(rows))

    def chunk(self, number):
        return self.template.replace(self.PLACE, session_id(number))


WORDS = [b"%x" % random.Random(seed).randrange(1 << 24) for seed in range(500)] + [b"orders", b"JOIN", b"customer_id", b"WHERE", b"total"] * 50
