"""remy as an SQLite extension: publish a schema in one transaction, and roll it back.

    import sqlite3, remy_sqlite

    db = sqlite3.connect("app.db", isolation_level=None)
    remy_sqlite.load(db)
    db.execute("SELECT remy_publish('schema.sql')")
"""

from os.path import dirname, join
from sqlite3 import Connection

__all__ = ["load", "loadable_path"]


def loadable_path() -> str:
    """The path of the extension. Its entry point is ``sqlite3_remy_init``, which SQLite derives from the file's name."""
    return join(dirname(__file__), "remy0.so")


def load(conn: Connection) -> None:
    """Loads the extension into a connection: then ``SELECT remy_version()``.

    Of a connection nobody can tell whether extensions are allowed at the moment: they are not afterwards, and who
    loads others later allows them again. An app with a build (``mindstudio.json``) is published where they are allowed.

    Raises ``AttributeError`` where Python was built without extensions.
    """
    conn.enable_load_extension(True)
    try:
        conn.load_extension(loadable_path())
    finally:
        conn.enable_load_extension(False)
