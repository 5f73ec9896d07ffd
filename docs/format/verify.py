"""Recomputes every root of a trail from docs/format.md alone: zstdcat SEGMENT... | python3 verify.py

Checks lines against roots. It does not check signatures, for which Python has no library of its own.
"""
import base64, hashlib, json, sys
def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def b64(raw): return base64.b64encode(raw).decode()

def root(edge):
    node = edge[-1] if edge else sha()
    for left in reversed(edge[:-1]): node = sha(b"\1", left, node)
    return b64(node)

size, edge, block, signed = None, [], [], None
for line in sys.stdin.buffer:
    text, record = line.rstrip(b"\n"), json.loads(line)
    if record.get("segment"):
        head = record["segment"]
        if size is None: size, edge = head["first"], [base64.b64decode(node) for node in head["edge"]]
        if (head["first"], head["root"]) != (size, root(edge)): sys.exit(f"line {size}: head does not continue")
    if record["type"] == "checkpoint":
        note, signed = record["checkpoint"].split("\n"), size
        found = (note[1], note[2], note[3].split()[3])
        if found != (str(size), root(edge), b64(sha(*block))): sys.exit(f"line {size}: root or block digest is wrong")
    leaf, n, size = sha(b"\0", sha(text)), size, size + 1
    block, node = [] if record["type"] == "checkpoint" else block + [leaf], leaf
    while n % 2: node, n = sha(b"\1", edge.pop(), node), n // 2
    edge.append(node)
if signed is None or signed + 1 != size: sys.exit(f"ends after line {size}, inside a block")
print(f"ok {size} lines root {found[1]}")
