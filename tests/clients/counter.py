"""A writer on Python's SQLite whose n-th commit leaves a database that n alone tells, page for page of content.

counter.py DATABASE ACKNOWLEDGED SEED [DIE]

The number of the last commit that was acknowledged stands in the file ACKNOWLEDGED. With DIE, the third commit is one that
the process does not survive: DIE is made just before it, and a library that is loaded beside kills the process in the
commit's sync when it sees that file.
"""
import os
import random
import sqlite3
import sys
import time

path, acknowledged, seed, *die = sys.argv[1:]
chance = random.Random(int(seed))
ledger = os.open(acknowledged, os.O_WRONLY | os.O_CREAT, 0o600)


def connect():
    db = sqlite3.connect(path, isolation_level=None, timeout=20)
    db.execute(f"PRAGMA synchronous = {'full' if die else chance.choice(['off', 'off', 'normal', 'full'])}")
    db.execute(f"PRAGMA wal_autocheckpoint = {1000 if die else chance.choice([5, 50, 1000])}")
    if chance.random() < 0.3:
        db.execute("PRAGMA mmap_size = 268435456")
    return db


def change(db):
    """The n-th change: see clones.rs, which knows what it leaves."""
    (n,) = db.execute("SELECT n + 1 FROM head").fetchone()
    cells = db.execute("SELECT count(*) FROM cells").fetchone()[0]
    db.execute("UPDATE marks SET n = ?", (n,))
    db.execute("UPDATE cells SET value = ? WHERE key = ?", (n, n % cells))
    if n % 40 == 0:
        db.executemany("INSERT INTO bulk (body) VALUES (?)", [(os.urandom(900),) for _ in range(100)])
    elif n % 40 == 20:
        db.execute("DELETE FROM bulk")
    db.execute("UPDATE head SET n = ?", (n,))
    return n


db = connect()
for commit in range(1, sys.maxsize):
    db.execute("BEGIN IMMEDIATE")
    n = change(db)
    if die and commit == 3:
        open(die[0], "w").close()
    db.execute("COMMIT")
    os.pwrite(ledger, b"%20d" % n, 0)
    if die:
        continue
    if chance.random() < 0.1:
        db.execute(f"PRAGMA wal_checkpoint({chance.choice(['passive', 'full', 'restart', 'truncate'])})").fetchall()
    if chance.random() < 0.005:
        db.close()
        db = connect()
    if chance.random() < 0.2:
        time.sleep(chance.random() * 0.003)
