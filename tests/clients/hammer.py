"""A client of Python's SQLite that writes as long as its stdin is open, and prints what was acknowledged: "KEY RELEASE".

hammer.py DATABASE NAME HOW TIMEOUT [CHECKPOINT]

HOW      plain   one row a statement, the same prepared one over and over
         mapped  transactions of several rows, through mmap
         shared  two connections of one shared cache, in turns
         search  rows whose text and place an FTS5 table and an R-Tree hold, too
TIMEOUT  how long it waits for a lock, in seconds
CHECKPOINT  a kind of checkpoint, to run now and then

RELEASE is what live says of itself in the transaction that wrote the row. Any error ends it.
"""
import random
import sqlite3
import sys
import threading
import time

path, name, how, timeout, *checkpoint = sys.argv[1:]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
INSERT = "INSERT INTO app_writes (key, release) SELECT ?, release FROM _remy_release RETURNING id, release"


def connect():
    uri = f"file:{path}" + ("?cache=shared" if how == "shared" else "")
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=float(timeout))
    db.execute("PRAGMA synchronous = NORMAL")
    if how == "mapped":
        db.execute("PRAGMA mmap_size = 268435456")
    return db


def write(db, n):
    """Writes a row, or some. Gives what is acknowledged by it."""
    if how in ("plain", "shared"):
        key = f"{name}-{n}"
        [(_, release)] = db.execute(INSERT, (key,)).fetchall()
        return [(key, release)]
    db.execute("BEGIN IMMEDIATE")
    rows = []
    for part in range(3):
        key = f"{name}-{n}-{part}"
        [(id, release)] = db.execute(INSERT, (key,)).fetchall()
        rows.append((key, release))
        if how == "search":
            db.execute("INSERT INTO search (rowid, body) VALUES (?, ?)", (id, f"the text of {key}"))
            db.execute("INSERT INTO places VALUES (?, ?, ?, ?, ?)", (id, n % 90, n % 90 + 1, part, part + 1))
    db.execute("COMMIT")
    return rows


connections = [connect() for _ in range(2 if how == "shared" else 1)]
longest = 0
for n in range(1, sys.maxsize):
    if stop.is_set():
        break
    db = connections[n % len(connections)]
    start = time.monotonic()
    rows = write(db, n)
    longest = max(longest, time.monotonic() - start)
    for key, release in rows:
        print(key, release, flush=True)
    if n % 10 == 0:
        db.execute("SELECT count(*), max(length(a)) FROM pad").fetchall()
    if checkpoint and n % 20 == 0:
        db.execute(f"PRAGMA wal_checkpoint({checkpoint[0]})").fetchall()
    time.sleep(random.random() * 0.01)
for db in connections:
    db.close()
print("longest", round(longest * 1000))
