"""The state, in SQLite: changes are committed before the response is sent.

Other modules run SQL on these tables, but open no files and no transactions of their own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = sqlite3.Row
VERSION = 2
_APPLICATION_ID = 0x464C574D
_VARIABLES_MAX = 500

# An order is a bid or a reservation. Attachments, events and instances refer to either in their column `bid`; the
# prefix of the id tells which it is.
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value);
CREATE TABLE counters (kind TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE projects (fid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at REAL NOT NULL);
CREATE TABLE users (fid TEXT PRIMARY KEY, key_hash TEXT NOT NULL UNIQUE);
CREATE TABLE grants (user TEXT NOT NULL, project TEXT NOT NULL, PRIMARY KEY (user, project));
CREATE TABLE api_keys (
    seq INTEGER PRIMARY KEY, fid TEXT NOT NULL UNIQUE, user TEXT NOT NULL, name TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE, snippet TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL,
    deactivated_at REAL);
CREATE TABLE ssh_keys (
    seq INTEGER PRIMARY KEY, fid TEXT NOT NULL UNIQUE, project TEXT NOT NULL, name TEXT NOT NULL,
    public_key TEXT NOT NULL, required INTEGER NOT NULL, created_at REAL NOT NULL);
CREATE TABLE volumes (
    seq INTEGER PRIMARY KEY, fid TEXT NOT NULL UNIQUE, project TEXT NOT NULL, name TEXT NOT NULL, region TEXT NOT NULL,
    capacity_gb INTEGER NOT NULL, interface TEXT NOT NULL, created_at REAL NOT NULL, deleted_at REAL);
CREATE UNIQUE INDEX volume_names ON volumes (project, name) WHERE deleted_at IS NULL;
CREATE TABLE bids (
    seq INTEGER PRIMARY KEY, fid TEXT NOT NULL UNIQUE, project TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    instance_type TEXT NOT NULL, region TEXT NOT NULL, quantity INTEGER NOT NULL, limit_cents INTEGER NOT NULL,
    created_by TEXT NOT NULL, created_at REAL NOT NULL, deactivated_at REAL,
    ssh_keys TEXT NOT NULL, startup_script TEXT, kubernetes_cluster TEXT, image_version TEXT, memory_gb INTEGER,
    notice_until REAL, cancel_at REAL, detach_at REAL, held INTEGER NOT NULL DEFAULT 0);
CREATE INDEX bids_by_project ON bids (project, seq);
CREATE INDEX bids_by_name ON bids (name, seq);
CREATE INDEX live_bids ON bids (instance_type, region) WHERE status != 'Terminated';
CREATE INDEX bid_notices ON bids (notice_until) WHERE notice_until IS NOT NULL;
CREATE INDEX bid_cancels ON bids (cancel_at) WHERE cancel_at IS NOT NULL;
CREATE INDEX bid_detachments ON bids (detach_at) WHERE detach_at IS NOT NULL;
CREATE TABLE reservations (
    seq INTEGER PRIMARY KEY, fid TEXT NOT NULL UNIQUE, project TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    instance_type TEXT NOT NULL, region TEXT NOT NULL, quantity INTEGER NOT NULL, unit_cents INTEGER NOT NULL,
    start_at REAL NOT NULL, end_at REAL, hidden INTEGER NOT NULL,
    created_by TEXT NOT NULL, created_at REAL NOT NULL, deactivated_at REAL,
    ssh_keys TEXT NOT NULL, startup_script TEXT, kubernetes_cluster TEXT, image_version TEXT, memory_gb INTEGER);
CREATE INDEX live_reservations ON reservations (instance_type, region) WHERE status != 'Ended';
CREATE TABLE attachments (bid TEXT NOT NULL, volume TEXT NOT NULL, UNIQUE (bid, volume));
CREATE INDEX attachments_by_volume ON attachments (volume);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, bid TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL, user TEXT,
    limit_cents INTEGER, attached TEXT, removed TEXT);
CREATE INDEX events_by_bid ON events (bid, seq);
CREATE TABLE instances (
    seq INTEGER PRIMARY KEY, fid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, project TEXT NOT NULL, bid TEXT NOT NULL,
    instance_type TEXT NOT NULL, region TEXT NOT NULL, created_by TEXT NOT NULL, created_at REAL NOT NULL,
    status TEXT NOT NULL, status_at REAL NOT NULL, boots_from REAL NOT NULL, ready_at REAL NOT NULL, due_at REAL,
    fails INTEGER NOT NULL DEFAULT 0, ended_at REAL, current INTEGER NOT NULL DEFAULT 1);
CREATE INDEX instances_by_bid ON instances (bid, current);
CREATE INDEX instances_by_project ON instances (project, seq);
CREATE INDEX instances_due ON instances (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE phases (instance INTEGER NOT NULL, at REAL NOT NULL, status TEXT NOT NULL);
CREATE INDEX phases_by_instance ON phases (instance);
CREATE TRIGGER first_phase AFTER INSERT ON instances BEGIN
    INSERT INTO phases VALUES (NEW.seq, NEW.status_at, NEW.status); END;
CREATE TRIGGER next_phase AFTER UPDATE OF status ON instances WHEN NEW.status != OLD.status BEGIN
    INSERT INTO phases VALUES (NEW.seq, NEW.status_at, NEW.status); END;
CREATE TABLE rates (seq INTEGER PRIMARY KEY, bid TEXT NOT NULL, at REAL NOT NULL, cents INTEGER);
CREATE INDEX rates_by_bid ON rates (bid, seq);
CREATE TABLE capacities (
    instance_type TEXT NOT NULL, region TEXT NOT NULL, at REAL NOT NULL, machines INTEGER NOT NULL,
    PRIMARY KEY (instance_type, region, at));
CREATE TABLE paths (
    instance_type TEXT NOT NULL, region TEXT NOT NULL, at REAL NOT NULL, cents INTEGER,
    PRIMARY KEY (instance_type, region, at));
CREATE INDEX paths_by_time ON paths (at);
CREATE TABLE prices (
    instance_type TEXT NOT NULL, region TEXT NOT NULL, at REAL NOT NULL, cents INTEGER NOT NULL,
    PRIMARY KEY (instance_type, region, at)) WITHOUT ROWID;
CREATE TABLE quotas (
    project TEXT NOT NULL, product TEXT NOT NULL, total INTEGER NOT NULL, PRIMARY KEY (project, product));
CREATE TABLE replays (
    user TEXT NOT NULL, path TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, fid TEXT NOT NULL,
    PRIMARY KEY (user, path, key));
"""


class StateError(ValueError):
    """The state file cannot be used: it is in use, of another program, of another version, or has another seed."""


class Store:
    """One SQLite database with one lock, shared by the threads of the server and of the test."""

    def __init__(self, path: str | Path | None = None) -> None:
        """Open the state file `path`, or an empty state in memory.

        Raises StateError, without changing the file, if it cannot be used.
        """
        self.lock = threading.RLock()
        self._depth = 0
        self._db = _open(path)

    def close(self) -> None:
        """Close the database; a closed store cannot be used again."""
        with self.lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside at once, or roll it back on an exception. May be nested."""
        with self.lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                # On a full disk SQLite has rolled back already; a second rollback would hide the error.
                if self._depth == 0 and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    @property
    def changes(self) -> int:
        """Return the number of rows written since the store was opened, to detect the effect of a request."""
        return self._db.total_changes

    def run(self, sql: str, *values: object) -> int:
        """Execute one statement and return how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute one statement for every row."""
        self._db.executemany(sql, rows)

    def insert(self, table: str, **columns: object) -> None:
        """Add one row."""
        self.run(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({placeholders(columns)})", *columns.values())  # noqa: S608

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Return every row of a query."""
        return self._db.execute(sql, values).fetchall()

    def rows_in(self, sql: str, values: Sequence[object]) -> list[Row]:
        """Return the rows of a query with `IN ({})` for any number of values: SQLite limits the number of variables."""
        batches = [values[first : first + _VARIABLES_MAX] for first in range(0, len(values), _VARIABLES_MAX)]
        return [row for batch in batches for row in self.rows(sql.format(placeholders(batch)), *batch)]

    def row(self, sql: str, *values: object) -> Row | None:
        """Return the first row of a query; None if there is none."""
        row: Row | None = self._db.execute(sql, values).fetchone()
        return row

    def value(self, sql: str, *values: object) -> Any:
        """Return the first column of the first row; None if there is none."""
        row = self.row(sql, *values)
        return None if row is None else row[0]

    def fact(self, name: str) -> Any:
        """Return a property of the cloud as a whole; None if it is not set."""
        return self.value("SELECT value FROM facts WHERE name = ?", name)

    def set_fact(self, name: str, value: float | str | None) -> None:
        """Set a property of the cloud as a whole."""
        self.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value)

    def clear(self, *, keep_tables: Sequence[str], keep_counters: Sequence[str]) -> None:
        """Empty all tables and id counters except these."""
        for row in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
            if row["name"] not in (*keep_tables, "counters"):
                self.run(f"DELETE FROM {row['name']}")  # noqa: S608
        self.run(f"DELETE FROM counters WHERE kind NOT IN ({placeholders(keep_counters)})", *keep_counters)  # noqa: S608

    def next_fid(self, prefix: str, tag: str = "") -> str:
        """Return a new id, such as bid_000001; ids are numbered, so that they are reproducible.

        A tag goes before the number.
        """
        self.run("INSERT INTO counters VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET last = last + 1", prefix)
        last = self.value("SELECT last FROM counters WHERE kind = ?", prefix)
        return f"{prefix}_{tag}{last:06d}"


def placeholders(values: Sized) -> str:
    """Return the question marks for a list of values."""
    return ",".join("?" * len(values))


def _open(path: str | Path | None) -> sqlite3.Connection:
    name = ":memory:" if path is None else str(path)
    try:
        db = sqlite3.connect(name, timeout=0.2, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        msg = f"cannot open the state file {name}: {error}"
        raise StateError(msg) from error
    try:
        _prepare(db, name)
    except sqlite3.Error as error:
        db.close()
        hint = ": another server uses it" if "locked" in str(error) else ""
        msg = f"cannot use the state file {name}: {error}{hint}"
        raise StateError(msg) from error
    except StateError:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, name: str) -> None:
    db.row_factory = sqlite3.Row
    version = db.execute("PRAGMA user_version").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and application != _APPLICATION_ID:
        msg = f"{name} is not a state file of this server"
        raise StateError(msg)
    if not empty and version != VERSION:
        msg = f"the state file {name} has version {version}, this server reads version {VERSION}"
        raise StateError(msg)
    # The lock is held until the store is closed, so that a second server on the same file fails with an error.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    if empty:
        tables = f"{_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        db.executescript(f"BEGIN IMMEDIATE; {tables} COMMIT;")
    else:
        db.execute("BEGIN IMMEDIATE")
        db.execute("COMMIT")
