"""The tables of a ledger."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL UNIQUE, targets TEXT NOT NULL,
    fingerprint TEXT NOT NULL, options TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', tries INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0, node TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '', begun REAL NOT NULL DEFAULT 0, ended REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_state ON files (state);
CREATE TABLE IF NOT EXISTS remarks (number INTEGER PRIMARY KEY, remark TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS former (
    number INTEGER NOT NULL, targets TEXT NOT NULL, PRIMARY KEY (number, targets)
);
CREATE TABLE IF NOT EXISTS litter (
    number INTEGER NOT NULL, targets TEXT NOT NULL, PRIMARY KEY (number, targets)
);
CREATE TABLE IF NOT EXISTS versions (number INTEGER PRIMARY KEY, version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    number INTEGER NOT NULL, step TEXT NOT NULL, place INTEGER NOT NULL, start INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', tries INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0, node TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '', begun REAL NOT NULL DEFAULT 0, ended REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (number, step, place)
);
"""

VERSION = 2
"""1 knew of no parts; it is read as it is, and taken over where it is written."""
