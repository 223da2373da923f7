//! The rows that stand on pages which others have committed: of these alone it has to be asked again whether a constraint lets
//! them in.
//!
//! SQLite writes a row by writing the leaf that holds it, or an overflow page of it: where a row is overwritten by one of the same
//! length, only the pages that differ are written. So each page must be a leaf, whose rowids are read, or an overflow page of a
//! row on such a leaf, or one that holds no row. Where a page is none of these, nothing is said, and all rows have to be asked.
//! Of which table a leaf is does not matter: a rowid too many is a row that is asked once more.
use crate::error::{Context, Result};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

/// More pages than this are not looked into: reading all rows takes about as long.
const MANY: usize = 2048;

/// The kinds of pages of trees, by their first byte. Pages of no tree begin with the number of another page, and are told apart by
/// that as long as numbers stay below [`PAGES`].
const INDEX_INTERIOR: u8 = 2;
const TABLE_INTERIOR: u8 = 5;
const INDEX_LEAF: u8 = 10;
const TABLE_LEAF: u8 = 13;
const PAGES: u32 = 0x0200_0000;

/// The rowids of the rows that `pages` hold, in the transaction that is open; `None` where they do not tell. Rows of tables that
/// are WITHOUT ROWID are not among them.
pub(crate) fn rowids(conn: &Connection, pages: &BTreeSet<u32>) -> Result<Option<BTreeSet<i64>>> {
    if pages.is_empty() {
        return Ok(Some(BTreeSet::new()));
    }
    if pages.len() > MANY {
        return Ok(None);
    }
    let doing = || "reading the pages that others have written".to_owned();
    let mut select = conn.prepare("SELECT data FROM sqlite_dbpage WHERE pgno = ?1").context(doing)?;
    let mut read = |page: u32| select.query_row([page], |row| row.get::<_, Vec<u8>>(0)).optional().context(doing);
    let Some(first) = read(1)? else { return Ok(None) };
    let (size, number) = (first.len(), |at| be32(&first, at).unwrap_or(0));
    // In auto_vacuum there are pages that say where others are.
    if number(28) >= PAGES || number(52) != 0 {
        return Ok(None);
    }
    let usable = size - usize::from(first.get(20).copied().unwrap_or(0));

    let (mut rowids, mut overflows, mut unknown) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    // Page 1 is the schema's, which the caller looks after.
    for &page in pages.iter().filter(|&&page| page != 1) {
        // A page that is no more holds no row.
        let Some(bytes) = read(page)? else { continue };
        match bytes.first() {
            Some(&TABLE_INTERIOR) => {}
            Some(&kind @ (TABLE_LEAF | INDEX_LEAF | INDEX_INTERIOR)) => {
                let Some(cells) = cells(&bytes, kind, usable) else { return Ok(None) };
                rowids.extend(cells.iter().filter_map(|cell| cell.rowid));
                overflows.extend(cells.into_iter().filter_map(|cell| cell.overflow));
            }
            _ => drop(unknown.insert(page)),
        }
    }
    // Chains of overflow pages, and of the lists of free pages: each page begins with the number of the next.
    let mut left = 4 * MANY;
    for (start, free) in overflows.into_iter().map(|start| (start, false)).chain([(number(32), true)]) {
        let mut next = start;
        while next != 0 && !unknown.is_empty() {
            left -= 1;
            let Some(bytes) = read(next)?.filter(|_| left > 0) else { return Ok(None) };
            unknown.remove(&next);
            if free {
                let listed = be32(&bytes, 4).unwrap_or(0) as usize;
                (0..listed.min(size / 4)).filter_map(|i| be32(&bytes, 8 + 4 * i)).for_each(|page| {
                    unknown.remove(&page);
                });
            }
            next = be32(&bytes, 0).unwrap_or(0);
        }
    }
    Ok(unknown.is_empty().then_some(rowids))
}

/// A row, or an entry of an index, on a page.
struct Cell {
    rowid: Option<i64>,
    /// The first of the pages on which it goes on.
    overflow: Option<u32>,
}

/// What a page of a tree holds, as SQLite's file format has it; `None` where it is no such page after all.
fn cells(page: &[u8], kind: u8, usable: usize) -> Option<Vec<Cell>> {
    let (pointers, child) = if kind == INDEX_INTERIOR { (12, 4) } else { (8, 0) };
    let most = if kind == TABLE_LEAF { usable - 35 } else { (usable - 12) * 64 / 255 - 23 };
    let least = (usable - 12) * 32 / 255 - 23;
    let count = usize::from(be16(page, 3)?);
    (0..count)
        .map(|i| {
            let mut at = usize::from(be16(page, pointers + 2 * i)?) + child;
            let payload = usize::try_from(varint(page, &mut at)?).ok()?;
            let rowid = if kind == TABLE_LEAF { Some(varint(page, &mut at)?) } else { None };
            let here = least + payload.saturating_sub(least) % (usable - 4);
            let overflow =
                if payload <= most { None } else { Some(be32(page, at + if here <= most { here } else { least })?) };
            Some(Cell { rowid, overflow })
        })
        .collect()
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A number of 1 to 9 bytes, and moves on behind it.
fn varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0u64;
    for i in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if i == 8 {
            return Some((value << 8 | u64::from(byte)).cast_signed());
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Some(value.cast_signed())
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;

    fn open() -> Connection {
        crate::engine::init();
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
        let mut select = conn.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    /// The pages that `sql` writes.
    fn written(conn: &Connection, sql: &str) -> BTreeSet<u32> {
        let before = pages(conn);
        conn.execute_batch(sql).unwrap();
        let differ = pages(conn).into_iter().enumerate().filter(|(i, page)| before.get(*i) != Some(page));
        differ.map(|(i, _)| u32::try_from(i + 1).unwrap()).collect()
    }

    #[test]
    fn every_row_of_a_table_stands_on_its_pages() {
        let conn = open();
        let all = (1..=u32::try_from(pages(&conn).len()).unwrap()).collect();
        let found = rowids(&conn, &all).unwrap().unwrap();
        let of_schema = 1;
        assert_eq!(found.len(), 202 + of_schema - 1, "page 1 is left out");
        assert!([-5, i64::MAX, 1_000_000, 200_000_000].iter().all(|id| found.contains(id)));
    }

    #[test]
    fn rows_that_were_written_are_found_wherever_they_end() {
        let conn = open();
        for (sql, ids) in [
            ("UPDATE t SET state = 'old' WHERE id = 3000000", vec![3_000_000]),
            ("UPDATE t SET big = zeroblob(5000) WHERE id = 4000000", vec![4_000_000]),
            ("INSERT INTO t VALUES (7, zeroblob(9000), 'x'), (8, 1, 'y')", vec![7, 8]),
            ("DELETE FROM t WHERE id BETWEEN 7 AND 50000000; INSERT INTO t VALUES (9, zeroblob(2000), 'z')", vec![9]),
            ("CREATE INDEX i ON t (big); INSERT INTO t VALUES (10, zeroblob(4000), 'z')", vec![10]),
        ] {
            let pages = written(&conn, sql);
            let found = rowids(&conn, &pages).unwrap().unwrap_or_else(|| panic!("{sql}: {pages:?}"));
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
