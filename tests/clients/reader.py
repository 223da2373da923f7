"""A reader on Python's SQLite whose transactions last across switches. Reads as long as its stdin is open, and prints what a
new transaction sees: "RELEASE SCHEMA", the schema in hex.

reader.py DATABASE MMAP_SIZE WAIT REST

WAIT is how long a transaction waits for a switch, in seconds, and REST how long it rests after one: where an application runs
RESTART or TRUNCATE checkpoints, those wait for readers, holding the write lock that the switch needs.

Fails where a transaction does not keep its view to its end, or where a new one does not see something whole.
"""
import hashlib
import sqlite3
import sys
import threading
import time

path, mapped, wait, rest = sys.argv[1:]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
SCHEMA = "SELECT hex(group_concat(sql, char(10))) FROM (SELECT sql FROM sqlite_schema ORDER BY name)"


def connect():
    db = sqlite3.connect(path, isolation_level=None, timeout=5)
    db.execute(f"PRAGMA mmap_size = {mapped}")
    return db


def everything(db):
    """Names what the transaction reads: every row of every table, and the schema."""
    sum = hashlib.sha256()
    tables = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name").fetchall()
    for name, sql in tables:
        sum.update(repr((name, sql)).encode())
        for row in db.execute(f'SELECT * FROM "{name}"'):
            sum.update(repr(row).encode())
    return sum.hexdigest()


def switch(db):
    return db.execute("SELECT switch_id FROM _remy_release").fetchone()[0]


db, other = connect(), connect()
kept = 0
while not stop.is_set():
    db.execute("BEGIN")
    before, then = everything(db), switch(db)
    for switches in range(1 + kept % 2):
        now, waiting = switch(other), time.monotonic()
        while switch(other) == now and time.monotonic() - waiting < float(wait) and not stop.is_set():
            time.sleep(0.002)
    if everything(db) != before or switch(db) != then:
        raise SystemExit("a transaction did not keep its view")
    moved = switch(other) != then
    db.execute("COMMIT")
    kept += moved
    db.execute("BEGIN")
    release, schema = db.execute(f"SELECT release, ({SCHEMA}) FROM _remy_release").fetchone()
    check = db.execute("PRAGMA quick_check").fetchall()
    if check != [("ok",)]:
        raise SystemExit(f"release {release}: {check}")
    if db.execute("SELECT count(*) FROM app_writes WHERE release > ?", (release,)).fetchone()[0]:
        raise SystemExit(f"release {release} has rows of a later one")
    db.execute("COMMIT")
    print(release, schema, flush=True)
    stop.wait(float(rest))
print("kept", kept)
