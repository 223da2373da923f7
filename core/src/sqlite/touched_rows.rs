//! The rows that stand on pages which others have committed: of these alone it has to be asked
//! again whether a constraint lets them in.
//!
//! SQLite writes a row by writing the leaf that holds it, or an overflow page of it: where a row is
//! overwritten by one of the same length, only the pages that differ are written. So each page must
//! be a leaf, whose rowids are read, or an overflow page of a row on such a leaf, or one that holds
//! no row. Where a page is none of these, nothing is said, and all rows have to be asked. Of which
//! table a leaf is does not matter: a rowid too many is a row that is asked once more.

use crate::{
    base::error::{Context, Result},
    sqlite::btree::{Header, INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF, be32, cells},
};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

/// More pages than this are not looked into: reading all rows takes about as long.
const MANY: usize = 2048;

/// The rowids of the rows that `pages` hold, in the transaction that is open; `None` where they do
/// not tell. Rows of tables that are WITHOUT ROWID are not among them.
pub(crate) fn rowids(conn: &Connection, pages: &BTreeSet<u32>) -> Result<Option<BTreeSet<i64>>> {
    if pages.is_empty() {
        return Ok(Some(BTreeSet::new()));
    }
    if pages.len() > MANY {
        return Ok(None);
    }
    let doing = || "reading the pages that others have written".to_owned();
    let mut select = conn
        .prepare("SELECT data FROM sqlite_dbpage WHERE pgno = ?1")
        .context(doing)?;
    let read = |page| {
        select
            .query_row([page], |row| row.get::<_, Vec<u8>>(0))
            .optional()
            .context(doing)
    };
    let mut rowids = BTreeSet::new();
    let told = on_pages(pages, read, |rowid| rowids.extend([rowid]))?;
    Ok(told.then_some(rowids))
}

/// As [`rowids`], which are given to `found` one by one, of a database whose pages are read by
/// `read`: `None` for one that it does not have. `false` where the pages do not tell.
pub(crate) fn on_pages(
    pages: &BTreeSet<u32>,
    mut read: impl FnMut(u32) -> Result<Option<Vec<u8>>>,
    mut found: impl FnMut(i64),
) -> Result<bool> {
    let Some(first) = read(1)? else {
        return Ok(false);
    };
    let Some(Header { usable, free }) = Header::of(&first) else {
        return Ok(false);
    };

    let (mut overflows, mut unknown) = (Vec::new(), BTreeSet::new());
    // Page 1 is the schema's, which the caller looks after.
    for &page in pages.iter().filter(|&&page| page != 1) {
        // A page that is no more holds no row.
        let Some(bytes) = read(page)? else { continue };
        match bytes.first() {
            Some(&TABLE_INTERIOR) => {}
            Some(&kind @ (TABLE_LEAF | INDEX_LEAF | INDEX_INTERIOR)) => {
                let Some(cells) = cells(&bytes, kind, usable) else {
                    return Ok(false);
                };
                for cell in cells {
                    cell.rowid.into_iter().for_each(&mut found);
                    overflows.extend(cell.overflow);
                }
            }
            _ => drop(unknown.insert(page)),
        }
    }
    // Chains of overflow pages, and of the lists of free pages: each page begins with the number of
    // the next.
    let mut left = 4 * pages.len().max(MANY);
    for (start, free) in overflows
        .into_iter()
        .map(|start| (start, false))
        .chain([(free, true)])
    {
        let mut next = start;
        while next != 0 && !unknown.is_empty() {
            left -= 1;
            let Some(bytes) = read(next)?.filter(|_| left > 0) else {
                return Ok(false);
            };
            unknown.remove(&next);
            if free {
                let listed = be32(&bytes, 4).unwrap_or(0) as usize;
                (0..listed.min(bytes.len() / 4))
                    .filter_map(|i| be32(&bytes, 8 + 4 * i))
                    .for_each(|page| {
                        unknown.remove(&page);
                    });
            }
            next = be32(&bytes, 0).unwrap_or(0);
        }
    }
    Ok(unknown.is_empty())
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;

    fn open() -> Connection {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "PRAGMA page_size = 1024; CREATE TABLE t (id INTEGER PRIMARY KEY, big, state);
             WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 200)
             INSERT INTO t SELECT i * 1000000, zeroblob(CASE i % 3 WHEN 0 THEN 10 WHEN 1 THEN 3000 ELSE 900 END), 'new' FROM c;
             INSERT INTO t VALUES (-5, 1, 2), (9223372036854775807, 1, 2)",
        )
        .unwrap();
        conn
    }

    fn pages(conn: &Connection) -> Vec<Vec<u8>> {
        let mut select = conn
            .prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno")
            .unwrap();
        select
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    }

    /// The pages that `sql` writes.
    fn written(conn: &Connection, sql: &str) -> BTreeSet<u32> {
        let before = pages(conn);
        conn.execute_batch(sql).unwrap();
        let differ = pages(conn)
            .into_iter()
            .enumerate()
            .filter(|(i, page)| before.get(*i) != Some(page));
        differ.map(|(i, _)| u32::try_from(i + 1).unwrap()).collect()
    }

    #[test]
    fn every_row_of_a_table_stands_on_its_pages() {
        let conn = open();
        let all = (1..=u32::try_from(pages(&conn).len()).unwrap()).collect();
        let found = rowids(&conn, &all).unwrap().unwrap();
        let of_schema = 1;
        assert_eq!(found.len(), 202 + of_schema - 1, "page 1 is left out");
        assert!(
            [-5, i64::MAX, 1_000_000, 200_000_000]
                .iter()
                .all(|id| found.contains(id))
        );
    }

    #[test]
    fn rows_that_were_written_are_found_wherever_they_end() {
        let conn = open();
        for (sql, ids) in [
            (
                "UPDATE t SET state = 'old' WHERE id = 3000000",
                vec![3_000_000],
            ),
            (
                "UPDATE t SET big = zeroblob(5000) WHERE id = 4000000",
                vec![4_000_000],
            ),
            (
                "INSERT INTO t VALUES (7, zeroblob(9000), 'x'), (8, 1, 'y')",
                vec![7, 8],
            ),
            (
                "DELETE FROM t WHERE id BETWEEN 7 AND 50000000; INSERT INTO t VALUES (9, zeroblob(2000), 'z')",
                vec![9],
            ),
            (
                "CREATE INDEX i ON t (big); INSERT INTO t VALUES (10, zeroblob(4000), 'z')",
                vec![10],
            ),
        ] {
            let pages = written(&conn, sql);
            let found = rowids(&conn, &pages)
                .unwrap()
                .unwrap_or_else(|| panic!("{sql}: {pages:?}"));
            assert!(ids.iter().all(|id| found.contains(id)), "{sql}: {found:?}");
            assert!(found.len() < 150, "{sql}: {}", found.len());
        }
    }

    #[test]
    fn a_row_that_is_overwritten_behind_its_leaf_is_not_missed() {
        let conn = open();
        // `state` is behind 3000 bytes, on an overflow page, and as long as before.
        let pages = written(&conn, "UPDATE t SET state = 'bad' WHERE id = 1000000");
        assert_eq!(pages.len(), 1);
        assert_eq!(rowids(&conn, &pages).unwrap(), None);
    }
}
