//! The rows of a table that two databases may not have alike, by the pages in which their files
//! differ.
//!
//! Comparing a row of one with a row of the other costs two searches, and a gigabyte of them
//! seconds. A leaf that belongs to the tree of a table in both files, and is the same in both,
//! holds the same rows in both: only the others are read. To know which leaves belong to a tree,
//! its interior pages are enough, a few in a thousand.

use crate::{
    base::error::{Context, Result},
    os::copy,
    sqlite::{
        btree::{Header, INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF, cells, children},
        touched_rows,
    },
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::BTreeSet,
    fs::File,
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Two closed files of the store with pages of one size, and the pages in which they differ.
pub(crate) struct Pages<'a> {
    now: Pager,
    then: Pager,
    differ: &'a BTreeSet<u32>,
}

/// Rowids, ascending, of the rows that may not be alike: of the one database, and of the other. A
/// row that is in neither is the same in both databases.
pub(crate) struct Rows {
    pub(crate) now: Vec<i64>,
    pub(crate) then: Vec<i64>,
}

impl<'a> Pages<'a> {
    /// `None` where the pages do not tell, as where a row has changed on a page that does not say
    /// whose it is.
    pub(crate) fn new(
        now: &Path,
        then: &Path,
        page_size: u32,
        differ: &'a BTreeSet<u32>,
    ) -> Result<Option<Self>> {
        let (now, then) = (Pager::open(now, page_size)?, Pager::open(then, page_size)?);
        let (Some(now), Some(then)) = (now, then) else {
            return Ok(None);
        };
        for file in [&now, &then] {
            if !touched_rows::on_pages(differ, |page| file.read(page), |_| {})? {
                return Ok(None);
            }
        }
        Ok(Some(Self { now, then, differ }))
    }

    /// The rows of a table, of which `conn` has the one database as `main` and the other as `then`.
    /// `None` where one of them has no such table, and as [`Pages::rows`] has it.
    pub(crate) fn of_table(
        &self,
        conn: &Connection,
        table: &str,
        then: &str,
    ) -> Result<Option<Rows>> {
        let root = |schema: &str| {
            let sql = format!(
                "SELECT rootpage FROM {schema}.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE"
            );
            conn.query_row(&sql, [table], |row| row.get::<_, u32>(0))
                .optional()
                .context(|| format!("looking for {table}"))
        };
        let (Some(now), Some(then)) = (root("main")?, root(then)?) else {
            return Ok(None);
        };
        self.rows(now, then)
    }

    /// The rows of the table whose tree begins at `now` in the one file, and at `then` in the
    /// other. `None` where most of them may differ, and where they have no rowids and some may
    /// differ.
    fn rows(&self, now: u32, then: u32) -> Result<Option<Rows>> {
        let (Some(tree), Some(other)) = (self.now.tree(now)?, self.then.tree(then)?) else {
            return Ok(None);
        };
        let apart = |a: &Tree, b: &Tree| -> Vec<u32> {
            a.pages
                .iter()
                .copied()
                .filter(|page| self.differ.contains(page) || !b.pages.contains(page))
                .collect()
        };
        let (here, there) = (apart(&tree, &other), apart(&other, &tree));
        if here.is_empty() && there.is_empty() {
            return Ok(Some(Rows {
                now: Vec::new(),
                then: Vec::new(),
            }));
        }
        let most = here.len() > tree.pages.len() / 2 || there.len() > other.pages.len() / 2;
        if !tree.has_rowids || !other.has_rowids || (most && here.len() + there.len() > FEW) {
            return Ok(None);
        }
        let (Some(now), Some(then)) = (self.now.rowids(&here)?, self.then.rowids(&there)?) else {
            return Ok(None);
        };
        Ok(Some(Rows { now, then }))
    }
}

/// So many leaves are read however small a table is.
const FEW: usize = 64;

/// The pages of a tree that hold rows.
struct Tree {
    pages: BTreeSet<u32>,
    has_rowids: bool,
}

/// Reads the pages of a file.
struct Pager {
    path: PathBuf,
    file: File,
    page_size: usize,
    pages: u64,
    header: Header,
}

impl Pager {
    fn open(path: &Path, page_size: u32) -> Result<Option<Self>> {
        let doing = || format!("reading {}", path.display());
        let file = copy::open(path, false).context(doing)?;
        let pages = file.metadata().context(doing)?.len() / u64::from(page_size.max(1));
        let mut first = vec![0; page_size as usize];
        match file.read_exact_at(&mut first, 0) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read.context(doing)?,
        }
        let Some(header) = Header::of(&first) else {
            return Ok(None);
        };
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            page_size: page_size as usize,
            pages,
            header,
        }))
    }

    /// `None` where the file has no such page.
    fn read(&self, page: u32) -> Result<Option<Vec<u8>>> {
        if page == 0 || u64::from(page) > self.pages {
            return Ok(None);
        }
        let mut bytes = vec![0; self.page_size];
        let at = u64::from(page - 1) * self.page_size as u64;
        self.file
            .read_exact_at(&mut bytes, at)
            .context(|| format!("reading {}", self.path.display()))?;
        Ok(Some(bytes))
    }

    /// The tree whose first page is `root`; `None` where it is damaged. All leaves are equally far
    /// from the root, so that those of a table need not be read.
    fn tree(&self, root: u32) -> Result<Option<Tree>> {
        let (mut depth, mut page) = (0, root);
        let has_rowids = loop {
            let Some(bytes) = self.read(page)? else {
                return Ok(None);
            };
            match bytes.first() {
                Some(&TABLE_LEAF) => break true,
                Some(&INDEX_LEAF) => break false,
                Some(&(TABLE_INTERIOR | INDEX_INTERIOR)) if depth < DEEPEST => {}
                _ => return Ok(None),
            }
            let Some(first) = children(&bytes).and_then(|below| below.first().copied()) else {
                return Ok(None);
            };
            (depth, page) = (depth + 1, first);
        };
        let kind = if has_rowids {
            TABLE_INTERIOR
        } else {
            INDEX_INTERIOR
        };
        let (mut level, mut pages) = (vec![root], BTreeSet::new());
        for _ in 0..depth {
            let mut below = Vec::new();
            for page in level {
                let Some(bytes) = self
                    .read(page)?
                    .filter(|bytes| bytes.first() == Some(&kind))
                else {
                    return Ok(None);
                };
                let Some(mut next) = children(&bytes) else {
                    return Ok(None);
                };
                below.append(&mut next);
                // Entries of an index stand on interior pages, too. A page that comes twice is no
                // tree's.
                if below.len() as u64 > self.pages || (!has_rowids && !pages.insert(page)) {
                    return Ok(None);
                }
            }
            level = below;
        }
        pages.extend(level);
        Ok(Some(Tree { pages, has_rowids }))
    }

    fn rowids(&self, leaves: &[u32]) -> Result<Option<Vec<i64>>> {
        let mut rowids = Vec::new();
        for &leaf in leaves {
            let Some(bytes) = self
                .read(leaf)?
                .filter(|bytes| bytes.first() == Some(&TABLE_LEAF))
            else {
                return Ok(None);
            };
            let Some(cells) = cells(&bytes, TABLE_LEAF, self.header.usable) else {
                return Ok(None);
            };
            rowids.extend(cells.into_iter().filter_map(|cell| cell.rowid));
        }
        rowids.sort_unstable();
        Ok(Some(rowids))
    }
}

/// SQLite's own limit (BTCURSOR_MAX_DEPTH).
const DEEPEST: u32 = 20;
