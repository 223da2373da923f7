//! Random databases through random switches: schemas that grow and shrink, published, rolled back
//! and promoted, by pages and by a host's SQLite, with writes of other processes between and
//! during.
//!
//! What has to be there is worked out from what the `sqlite3` shell read before each switch, never
//! by the code under test: a publish keeps the rows of common columns, a rollback gives what the
//! snapshot held, the outgoing release's snapshot is what live was at the last moment before.
use remy_db::{Line, Options, Outcome, Progress, ReleaseId, Remy, Result};
use remy_tests::{
    Shell,
    client::Client,
    moments,
    rounds::{Random, rounds},
    shell,
};
use rusqlite::Connection;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Rounds in `cargo test`, of 5 switches each.
const LEAST: u64 = 24;
const SWITCHES: usize = 5;

const TABLES: &[&str] = &[
    "t", "we\"ird", "Order", "it's", "sqlite1", "таб", "a-b", "select",
];
const COLUMNS: &[&str] = &["a", "b c", "group", "q\"é", "it's", "oid"];

fn q(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// The type of a column, its default, and how such a default reads in a dump.
const KINDS: &[(&str, &str, &str)] = &[
    ("INTEGER", "7", "7"),
    ("TEXT", "'d''x, (y)'", "'d''x, (y)'"),
    ("REAL", "1.5", "1.5"),
    ("BLOB", "x'00ff'", "X'00FF'"),
];

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: usize,
    default: bool,
    not_null: bool,
    check: bool,
    /// Computed from the key: `VIRTUAL` or `STORED`.
    generated: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    None,
    Id {
        auto: bool,
    },
    Text {
        rowid: bool,
    },
    /// A virtual table, and the one column of it that is written.
    Module(&'static str, &'static str),
}

#[derive(Debug, Clone)]
struct Table {
    name: String,
    key: Key,
    columns: Vec<Column>,
    strict: bool,
    /// The table whose `id` the column `of` refers to.
    refers: Option<String>,
    /// Its kind and its column.
    index: Option<(&'static str, String)>,
    view: bool,
    trigger: bool,
    backwards: bool,
}

impl Table {
    fn key_column(&self) -> Option<&'static str> {
        match self.key {
            Key::Id { .. } => Some("id"),
            Key::Text { .. } => Some("k"),
            Key::None | Key::Module(..) => None,
        }
    }

    fn has_rowid(&self) -> bool {
        self.key != Key::Text { rowid: false }
    }

    /// The columns as a dump has them, in order.
    fn dumped(&self) -> Vec<String> {
        if let Key::Module(_, columns) = self.key {
            return columns.split(", ").map(str::to_owned).collect();
        }
        let own = self.columns.iter().map(|column| column.name.clone());
        self.key_column()
            .map(str::to_owned)
            .into_iter()
            .chain(own)
            .chain(self.refers.iter().map(|_| "of".into()))
            .collect()
    }

    fn sql(&self) -> String {
        let t = q(&self.name);
        if let Key::Module(module, columns) = self.key {
            return format!("CREATE VIRTUAL TABLE {t} USING {module}({columns});\n");
        }
        let mut parts: Vec<String> = self
            .columns
            .iter()
            .map(|c| {
                let name = q(&c.name);
                if let Some(how) = c.generated {
                    let key = q(self.key_column().unwrap_or("id"));
                    return format!("{name} INTEGER GENERATED ALWAYS AS (length({key}) + 1) {how}");
                }
                let (kind, default, _) = KINDS[c.kind];
                let default = if c.default {
                    format!(" DEFAULT {default}")
                } else {
                    String::new()
                };
                let not_null = if c.not_null { " NOT NULL" } else { "" };
                let check = if c.check {
                    format!(" CHECK (typeof({name}) <> 'CREATE TABLE')")
                } else {
                    String::new()
                };
                format!("{name} {kind}{not_null}{default}{check}")
            })
            .collect();
        if let Some(parent) = &self.refers {
            parts.push(format!(
                "of INTEGER REFERENCES {} (id) ON DELETE CASCADE",
                q(parent)
            ));
        }
        if self.backwards {
            parts.reverse();
        }
        match self.key {
            Key::Id { auto: true } => {
                parts.insert(0, "id INTEGER PRIMARY KEY AUTOINCREMENT".into())
            }
            Key::Id { auto: false } => parts.insert(0, "id INTEGER PRIMARY KEY".into()),
            Key::Text { .. } => parts.insert(0, "k TEXT NOT NULL PRIMARY KEY".into()),
            Key::None | Key::Module(..) => {}
        }
        let options: Vec<_> = [
            ("WITHOUT ROWID", !self.has_rowid()),
            ("STRICT", self.strict),
        ]
        .iter()
        .filter_map(|&(option, on)| on.then_some(option))
        .collect();
        let mut sql = format!(
            "CREATE TABLE {t} ({}) {};\n",
            parts.join(", "),
            options.join(", ")
        );
        if let Some((kind, column)) = &self.index {
            let (name, c) = (q(&format!("i {}", self.name)), q(column));
            sql += &match *kind {
                "partial" => format!("CREATE INDEX {name} ON {t} ({c}) WHERE {c} IS NOT NULL;\n"),
                "expression" => format!("CREATE INDEX {name} ON {t} (length({c}), {c} DESC);\n"),
                _ => format!("CREATE INDEX {name} ON {t} ({c} COLLATE NOCASE);\n"),
            };
        }
        if self.view {
            sql += &format!(
                "CREATE VIEW {} AS SELECT count(*) AS n FROM {t};\n",
                q(&format!("v {}", self.name))
            );
        }
        if self.trigger {
            let (name, what) = (q(&format!("tr {}", self.name)), text(&self.name));
            sql += &format!(
                "CREATE TRIGGER {name} AFTER INSERT ON {t} BEGIN INSERT INTO log VALUES ({what}); END;\n"
            );
        }
        sql
    }

    /// Rows of a virtual table: `c` counts those that come, and every `gone`th goes.
    fn write_module(&self, c: &str, gone: u64) -> Option<String> {
        let t = q(&self.name);
        match self.key {
            Key::Module("rtree", _) => Some(format!(
                "INSERT INTO {t} (x0, x1) {c} SELECT i, i + abs(random() % 9) FROM c; DELETE FROM {t} WHERE id % {gone} = 1;"
            )),
            Key::Module(..) => Some(format!(
                "INSERT INTO {t} (body) {c} SELECT 'wörd' || i || ' common ' || abs(random() % 99) FROM c; DELETE FROM {t} WHERE rowid % {gone} = 1;"
            )),
            _ => None,
        }
    }

    /// Some rows more, some changed, some gone.
    fn write(&self, r: &mut Random, page_size: u64) -> String {
        let t = q(&self.name);
        let n = if r.once_in(8) {
            1 + r.below(400)
        } else {
            1 + r.below(30)
        };
        let c = format!(
            "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < {n})"
        );
        let gone = [40, 2, 7][usize::try_from(r.below(3)).unwrap()];
        if let Some(sql) = self.write_module(&c, gone) {
            return sql;
        }
        let mut names = Vec::new();
        let mut values = Vec::new();
        if matches!(self.key, Key::Text { .. }) {
            names.push("k".to_owned());
            values.push("'k' || hex(randomblob(6))".to_owned());
        }
        // Over several pages each.
        let large = if r.once_in(3) {
            page_size.min(8192) * 3
        } else {
            90
        };
        for column in self
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
        {
            names.push(q(&column.name));
            values.push(match KINDS[column.kind].0 {
                "INTEGER" => "random() % 100000".to_owned(),
                "REAL" => "i / 4.0".to_owned(),
                "TEXT" => {
                    format!(
                        "substr(hex(zeroblob(150)), 1, abs(random() % 300)) || 'näme ' || i || {}",
                        r.below(10)
                    )
                }
                _ => format!("randomblob(1 + abs(random() % {large}))"),
            });
        }
        if let Some(parent) = &self.refers {
            names.push("of".to_owned());
            values.push(format!(
                "(SELECT id FROM {} WHERE id % 5 = i % 5 LIMIT 1)",
                q(parent)
            ));
        }
        let insert = if names.is_empty() {
            format!("INSERT INTO {t} DEFAULT VALUES;")
        } else {
            format!(
                "INSERT INTO {t} ({}) {c} SELECT {} FROM c;",
                names.join(", "),
                values.join(", ")
            )
        };
        let update = match self
            .columns
            .iter()
            .find(|column| column.generated.is_none())
        {
            Some(column) => format!(
                "UPDATE {t} SET {0} = {0} WHERE abs(random() % 3) = 1; UPDATE {t} SET {0} = {1} WHERE abs(random() % 20) = 1;",
                q(&column.name),
                KINDS[column.kind].1
            ),
            None => String::new(),
        };
        let delete = match self.key {
            _ if r.once_in(12) => format!("DELETE FROM {t};"),
            Key::Text { .. } => format!("DELETE FROM {t} WHERE k LIKE 'k%{}';", gone % 10),
            _ => format!("DELETE FROM {t} WHERE rowid % {gone} = 1;"),
        };
        format!("{insert} {update} {delete}")
    }
}

/// A schema, as the test knows it.
#[derive(Debug, Clone, Default)]
struct Model {
    tables: Vec<Table>,
}

/// What was renamed by a change: tables, and columns by their table's name.
#[derive(Debug, Default)]
struct Renamed {
    table: Option<(String, String)>,
    column: Option<(String, String, String)>,
}

impl Model {
    fn sql(&self) -> String {
        let tables: String = self.tables.iter().map(Table::sql).collect();
        format!("CREATE TABLE log (what TEXT);\n{tables}")
    }

    fn fresh(&self, r: &mut Random, serial: &mut u32) -> Table {
        *serial += 1;
        let key = match r.below(10) {
            0 => Key::None,
            1 | 2 => Key::Text {
                rowid: r.once_in(2),
            },
            3 => Key::Module(if r.once_in(2) { "fts5" } else { "fts4" }, "body"),
            4 => Key::Module("rtree", "id, x0, x1"),
            n => Key::Id { auto: n > 7 },
        };
        let mut table = Table {
            name: format!("{} {serial}", r.one_of(TABLES)),
            key,
            columns: Vec::new(),
            strict: r.once_in(4),
            refers: None,
            index: None,
            view: r.once_in(4),
            trigger: r.once_in(4),
            backwards: r.once_in(3),
        };
        if matches!(key, Key::Module(..)) {
            return table;
        }
        for _ in 0..=r.below(4) {
            self.add_column(&mut table, r, serial);
        }
        let parents: Vec<_> = self
            .tables
            .iter()
            .filter(|t| matches!(t.key, Key::Id { .. }))
            .map(|t| t.name.as_str())
            .collect();
        if !parents.is_empty() && r.once_in(3) {
            table.refers = Some(r.one_of(&parents).to_owned());
        }
        table
    }

    fn add_column(&self, table: &mut Table, r: &mut Random, serial: &mut u32) {
        *serial += 1;
        let default = r.once_in(2);
        table.columns.push(Column {
            name: format!("{} {serial}", r.one_of(COLUMNS)),
            kind: usize::try_from(r.below(4)).unwrap(),
            default,
            not_null: default && r.once_in(3),
            check: r.once_in(5),
            generated: (table.key_column().is_some() && !table.columns.is_empty() && r.once_in(6))
                .then(|| if r.once_in(2) { "STORED" } else { "VIRTUAL" }),
        });
    }

    /// Gives a table another name, also where others refer to it.
    fn rename_table(&mut self, at: usize, r: &mut Random, serial: &mut u32, renamed: &mut Renamed) {
        *serial += 1;
        let (old, new) = (
            self.tables[at].name.clone(),
            format!("{} {serial}", r.one_of(TABLES)),
        );
        for table in self
            .tables
            .iter_mut()
            .filter(|table| table.refers.as_ref() == Some(&old))
        {
            table.refers = Some(new.clone());
        }
        self.tables[at].name.clone_from(&new);
        renamed.table = Some((old, new));
    }

    /// One change.
    fn change(&mut self, r: &mut Random, serial: &mut u32, renamed: &mut Renamed) {
        if self.tables.len() < 2 || r.once_in(8) {
            let table = self.fresh(r, serial);
            self.tables.push(table);
            return;
        }
        let at = usize::try_from(r.below(self.tables.len() as u64)).unwrap();
        if r.once_in(9) {
            let gone = self.tables.remove(at);
            for table in self
                .tables
                .iter_mut()
                .filter(|table| table.refers.as_ref() == Some(&gone.name))
            {
                table.refers = None;
            }
            return;
        }
        let module = matches!(self.tables[at].key, Key::Module(..));
        if r.once_in(9) && renamed.table.is_none() && renamed.column.is_none() && !module {
            self.rename_table(at, r, serial, renamed);
            return;
        }
        if module {
            return;
        }
        let mut table = self.tables[at].clone();
        let plain: Vec<usize> = (0..table.columns.len())
            .filter(|&i| table.columns[i].generated.is_none())
            .collect();
        let one = plain[usize::try_from(r.below(plain.len() as u64)).unwrap()];
        match r.below(12) {
            0 | 1 => self.add_column(&mut table, r, serial),
            2 if plain.len() > 1 => {
                let gone = table.columns.remove(one);
                table.index = table.index.filter(|(_, column)| *column != gone.name);
            }
            3 if renamed.table.is_none() && renamed.column.is_none() => {
                *serial += 1;
                let (old, new) = (
                    table.columns[one].name.clone(),
                    format!("{} {serial}", r.one_of(COLUMNS)),
                );
                table.columns[one].name.clone_from(&new);
                if let Some((_, column)) = table.index.as_mut().filter(|(_, column)| *column == old)
                {
                    column.clone_from(&new);
                }
                renamed.column = Some((table.name.clone(), old, new));
            }
            4 => table.columns[one].check ^= true,
            5 => table.strict ^= true,
            6 | 7 => match &mut table.key {
                Key::Id { auto } => *auto ^= true,
                Key::Text { rowid } => *rowid ^= true,
                _ => table.backwards ^= true,
            },
            8 => {
                let kind = ["plain", "partial", "expression"][usize::try_from(r.below(3)).unwrap()];
                table.index = match table.index {
                    Some(_) => None,
                    None => Some((kind, table.columns[one].name.clone())),
                };
            }
            9 => table.view ^= true,
            10 => table.trigger ^= true,
            _ => table.backwards ^= true,
        }
        self.tables[at] = table;
    }
}

/// The rows of a table by their key: columns by name, each as `quote()` has it.
type Rows = BTreeMap<String, BTreeMap<String, String>>;

/// Everything that a database holds, as another SQLite reads it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Content {
    tables: BTreeMap<String, Rows>,
    log: Vec<String>,
    sequences: BTreeMap<String, i64>,
}

const ROWID: &str = " rowid";

impl Content {
    /// What `shell` reads, in the transaction that it is in.
    fn read(shell: &mut Shell, model: &Model) -> Self {
        let mut content = Self::default();
        let cell = |column: &str| {
            let c = q(column);
            format!(
                "CASE WHEN typeof({c}) = 'blob' AND length({c}) > 40 THEN length({c}) || hex(sha3({c})) ELSE quote({c}) END"
            )
        };
        for table in &model.tables {
            let columns = table.dumped();
            let key = match table.key {
                Key::Text { .. } => "k",
                _ => "rowid",
            };
            let rowid = if table.has_rowid() { "rowid" } else { "NULL" };
            let cells: Vec<_> = columns.iter().map(|column| cell(column)).collect();
            // A scan of the table itself: integrity_check says whether the indexes agree.
            let sql = format!(
                "SELECT quote({key}), {rowid}, {} FROM {};",
                cells.join(", "),
                q(&table.name)
            );
            let text = shell.ask(&sql);
            let rows = content.tables.entry(table.name.clone()).or_default();
            for line in text.lines() {
                let mut parts = line.split('\u{1f}').map(str::to_owned);
                let key = parts.next().unwrap();
                let mut row = BTreeMap::new();
                if let Some(rowid) = parts.next().filter(|rowid| !rowid.is_empty()) {
                    row.insert(ROWID.to_owned(), rowid);
                }
                let width = columns.len();
                row.extend(columns.iter().cloned().zip(parts));
                assert_eq!(
                    row.len(),
                    width + usize::from(table.has_rowid()),
                    "{sql}\n{line}"
                );
                assert!(rows.insert(key, row).is_none(), "twice: {line}");
            }
        }
        content.log = shell
            .ask("SELECT rowid, what FROM log;")
            .lines()
            .map(str::to_owned)
            .collect();
        if shell.run("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence';") == "1" {
            for line in shell.ask("SELECT name, seq FROM sqlite_sequence;").lines() {
                let (name, seq) = line.split_once('\u{1f}').unwrap();
                content
                    .sequences
                    .insert(name.to_owned(), seq.parse().unwrap());
            }
        }
        content
    }

    /// What of this is not as `want` says. What that leaves open: rowids where there were none
    /// before, and the sequence of a table that has become AUTOINCREMENT.
    fn differs(&self, want: &Self) -> Option<String> {
        for (name, rows) in &want.tables {
            let Some(others) = self.tables.get(name) else {
                return Some(format!("no table {name}"));
            };
            for (key, row) in rows {
                let other = others.get(key);
                let equal = |other: &BTreeMap<_, _>| {
                    let open = usize::from(other.contains_key(ROWID) && !row.contains_key(ROWID));
                    other.len() == row.len() + open
                        && row
                            .iter()
                            .all(|(column, value)| other.get(column) == Some(value))
                };
                if !other.is_some_and(equal) {
                    return Some(format!("{name} {key}: {other:?}, not {row:?}"));
                }
            }
            if others.len() != rows.len() {
                return Some(format!(
                    "{name} has {} rows, not {}",
                    others.len(),
                    rows.len()
                ));
            }
        }
        if self.log != want.log {
            return Some(format!(
                "{} rows in log, not {}: a trigger fired?",
                self.log.len(),
                want.log.len()
            ));
        }
        let sequence = want
            .sequences
            .iter()
            .find(|(name, seq)| self.sequences.get(*name) != Some(seq));
        sequence.map(|(name, seq)| {
            format!(
                "the sequence of {name} is {:?}, not {seq}",
                self.sequences.get(name)
            )
        })
    }
}

fn opened(path: &Path, setup: &str) -> Shell {
    let mut shell = Shell::open(path);
    // .mode and the separators hold for the life of the shell.
    let said = shell.ask(&format!(
        ".mode list\n.separator \"\\037\" \"\\n\"\nPRAGMA foreign_keys = ON; {setup}"
    ));
    assert_eq!(said, "");
    shell
}

/// What the pragmas of another SQLite say of a schema, whatever the order of its columns.
fn told(shell: &mut Shell) -> BTreeSet<String> {
    let own = "name NOT LIKE '\\_remy\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let tables = format!("(SELECT name FROM sqlite_schema WHERE type = 'table' AND {own})");
    let said = shell.ask(&format!(
        "SELECT type, name, tbl_name FROM sqlite_schema WHERE {own};
         SELECT 'list', name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND {own};
         SELECT 'column', t.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk, c.hidden FROM {tables} t, pragma_table_xinfo(t.name) c;
         SELECT 'key', t.name, k.\"from\", k.\"table\", k.\"to\", k.on_delete FROM {tables} t, pragma_foreign_key_list(t.name) k;
         SELECT 'index', t.name, l.\"unique\", l.origin, l.partial, x.seqno, x.name, x.\"desc\", x.coll FROM {tables} t, pragma_index_list(t.name) l, pragma_index_xinfo(l.name) x WHERE x.key;"
    ));
    assert!(!said.contains("rror"), "{said}");
    said.lines().map(str::to_owned).collect()
}

/// What a publish has to leave of `before`.
fn published(before: &Content, old: &Model, new: &Model, renamed: &Renamed) -> Content {
    let mut after = Content {
        log: before.log.clone(),
        ..Content::default()
    };
    for table in &new.tables {
        let was = match &renamed.table {
            Some((from, to)) if *to == table.name => from,
            _ => &table.name,
        };
        let Some(source) = old.tables.iter().find(|t| t.name == *was) else {
            after.tables.insert(table.name.clone(), Rows::new());
            continue;
        };
        let rows = before.tables[was].iter().map(|(key, cells)| {
            let mut row = BTreeMap::new();
            if let (true, Some(rowid)) = (table.has_rowid(), cells.get(ROWID)) {
                row.insert(ROWID.to_owned(), rowid.clone());
            }
            for name in table.dumped() {
                let from = match &renamed.column {
                    Some((of, from, to)) if *of == table.name && *to == name => from,
                    _ => &name,
                };
                let value = cells.get(from).cloned().unwrap_or_else(|| {
                    match table.columns.iter().find(|c| c.name == name) {
                        Some(c) if c.generated.is_some() => {
                            let key = &cells[table.key_column().unwrap()];
                            (key.trim_matches('\'').chars().count() + 1).to_string()
                        }
                        Some(c) if c.default => KINDS[c.kind].2.to_owned(),
                        _ => "NULL".to_owned(),
                    }
                });
                row.insert(name, value);
            }
            (key.clone(), row)
        });
        after.tables.insert(table.name.clone(), rows.collect());
        if let (Key::Id { auto: true }, Key::Id { auto: true }, Some(seq)) =
            (source.key, table.key, before.sequences.get(was))
        {
            after.sequences.insert(table.name.clone(), *seq);
        }
    }
    after
}

/// A release that was live: its schema, and what it held at the last moment.
struct Kept {
    release: i64,
    model: Model,
    content: Content,
}

struct Round {
    seed: u64,
    live: PathBuf,
    r: Random,
    page_size: u64,
    wal: bool,
    host: Option<Connection>,
    serial: u32,
    model: Model,
    /// Open from before the first switch to the end.
    shell: Shell,
    python: Client,
    reader: Client,
    kept: Vec<Kept>,
    dir: tempfile::TempDir,
}

impl Round {
    fn start(seed: u64) -> Self {
        let mut r = Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.db");
        let page_size = 512 << r.below(8);
        let wal = !r.once_in(3);
        let mut serial = 0;
        let mut model = Model::default();
        for _ in 0..2 + r.below(4) {
            let table = model.fresh(&mut r, &mut serial);
            model.tables.push(table);
        }
        let encoding = r
            .one_of(&["UTF-8", "UTF-8", "UTF-16le", "UTF-16be"])
            .to_owned();
        // The size of the cache is kept in the file: every connection gets it, remy's too.
        let cache = if r.once_in(2) {
            "PRAGMA default_cache_size = 20;"
        } else {
            ""
        };
        shell(
            &live,
            &format!(
                "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {}; PRAGMA encoding = '{encoding}'; PRAGMA journal_mode = {};
                 {} {cache} CREATE TABLE gone (a); INSERT INTO gone VALUES (zeroblob({})); DROP TABLE gone;",
                r.below(3),
                if wal { "wal" } else { "delete" },
                model.sql(),
                1 + r.below(100) * page_size,
            ),
        );
        let mapped = if r.once_in(3) {
            "PRAGMA mmap_size = 1048576;"
        } else {
            ""
        };
        let mut shell = opened(&live, "PRAGMA cache_size = 20; PRAGMA synchronous = OFF;");
        shell.run(mapped);
        let mut python = Client::python(&live);
        assert!(
            python
                .ask("c.executescript('PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF')")
                .contains("Cursor")
        );
        let host = r.once_in(3).then(|| {
            remy_db::engine::init();
            Connection::open(&live).unwrap()
        });
        let reader = Client::python(&live);
        Self {
            seed,
            live,
            page_size,
            wal,
            host,
            serial,
            model,
            shell,
            python,
            reader,
            kept: Vec::new(),
            dir,
            r,
        }
    }

    fn what(&self) -> String {
        let host = if self.host.is_some() {
            "by a host"
        } else {
            "by pages"
        };
        format!(
            "REMY_ROUND={} ({host}, {} bytes a page, wal {})",
            self.seed, self.page_size, self.wal
        )
    }

    /// A program's writes, by one of the connections that are open all the while.
    fn write(&mut self, during: bool) {
        let r = &mut self.r;
        let mut sql = String::new();
        for _ in 0..1 + r.below(3) {
            let tables = &self.model.tables;
            sql += &tables[usize::try_from(r.below(tables.len() as u64)).unwrap()]
                .write(r, self.page_size);
        }
        let sql = format!("BEGIN IMMEDIATE; {sql} COMMIT;");
        if r.once_in(2) {
            let said = self.shell.ask(&sql);
            assert_eq!(said, "", "{}: {sql}", self.what());
        } else {
            // Statement by statement, as a program does it that prepares them.
            for statement in sql.split_inclusive(';') {
                let statement = serde_json::to_string(statement.trim()).unwrap();
                let said = self
                    .python
                    .ask(&format!("c.execute({statement}).fetchall()"));
                assert_eq!(said, "[]", "{}: {statement}", self.what());
            }
        }
        let r = &mut self.r;
        let more = match r.below(16) {
            0 => "VACUUM;".to_owned(),
            1 | 2 => format!("PRAGMA incremental_vacuum({});", 1 + r.below(50)),
            3 | 6 if !during => format!("PRAGMA auto_vacuum = {}; VACUUM;", r.below(3)),
            4 if self.wal => "PRAGMA wal_checkpoint(TRUNCATE);".to_owned(),
            5 if self.wal => "PRAGMA wal_checkpoint(RESTART);".to_owned(),
            _ => return,
        };
        let said = self.shell.ask(&more);
        assert!(!said.contains("rror"), "{}: {more} {said}", self.what());
    }

    fn read(&mut self) -> Content {
        self.shell.run("BEGIN;");
        let content = Content::read(&mut self.shell, &self.model);
        self.shell.run("COMMIT;");
        content
    }

    /// Runs a verb, and writes at some of its steps. Returns what live was at the last moment
    /// before the switch, too.
    fn switch(
        &mut self,
        verb: impl FnOnce(&Remy, Progress<'_>) -> Result<Outcome>,
    ) -> (Result<Outcome>, Content) {
        let what = self.what();
        if self.r.once_in(2) {
            self.write(false);
        }
        let before = self.read();
        let host = self.host.take();
        let remy = match &host {
            // SAFETY: the connection is of the engine that rusqlite is bound to, and stays open
            // during the call.
            Some(host) => unsafe { Remy::on_host(host.handle()) },
            None => Remy::open(&self.live),
        }
        .unwrap_or_else(|e| panic!("{what}: {e}"));
        let half_way = self.reader_half_way();
        let writes = self.r.below(4);
        let state = Mutex::new((&mut *self, before, writes));
        let on_line = |line: &Line| {
            let (round, before, writes) = &mut *state.lock().unwrap();
            let may = moments::is_cloned(line)
                || moments::is_rehearsed(line)
                || moments::is_caught_up(line);
            if may && *writes > 0 && round.r.once_in(2) {
                *writes -= 1;
                round.write(true);
                *before = round.read();
            }
        };
        let outcome = verb(&remy, Progress::none().on_line(&on_line));
        let (_, before, _) = state.into_inner().unwrap();
        drop(remy);
        self.host = host;
        if let Some(rest) = half_way {
            assert_eq!(
                self.reader.ask("cursor.fetchall()"),
                rest,
                "{what}: a cursor lost its view"
            );
            assert!(
                self.reader.ask("c.execute('COMMIT')").contains("Cursor"),
                "{what}"
            );
        }
        (outcome, before)
    }

    /// A reader in a transaction, half way through a statement. Returns what it is to read yet. It
    /// would keep a rollback journal from being committed.
    fn reader_half_way(&mut self) -> Option<String> {
        if !self.wal || self.r.once_in(2) {
            return None;
        }
        let table = &self.model.tables[0];
        let key = if table.has_rowid() { "rowid" } else { "k" };
        let sql = serde_json::to_string(&format!(
            "SELECT {key}, * FROM {} ORDER BY 1",
            q(&table.name)
        ))
        .unwrap();
        self.reader.ask("c.execute('BEGIN')");
        let rest = self.reader.ask(&format!("c.execute({sql}).fetchall()[1:]"));
        assert_eq!(
            self.reader
                .ask(&format!("(cursor := c.execute({sql})).fetchone() and None")),
            "None"
        );
        Some(rest)
    }

    /// What holds after every switch, as the connections see it that were open before.
    fn check(&mut self, release: i64, before: &Content, old: &Model, want: &Content) {
        let what = self.what();
        let after = self.read();
        assert_eq!(after.differs(want), None, "{what}");
        let whole =
            self.shell.run("PRAGMA integrity_check; PRAGMA foreign_key_check; PRAGMA journal_mode; PRAGMA page_size;");
        let mode = if self.wal { "wal" } else { "delete" };
        assert_eq!(whole, format!("ok\n{mode}\n{}", self.page_size), "{what}");
        for table in &self.model.tables {
            let t = q(&table.name);
            let count = serde_json::to_string(&format!("SELECT count(*) FROM {t}")).unwrap();
            let said = self
                .python
                .ask(&format!("c.execute({count}).fetchone()[0]"));
            assert_eq!(
                said,
                after.tables[&table.name].len().to_string(),
                "{what}: {t}"
            );
            match table.key {
                Key::Module("rtree", _) => {
                    assert_eq!(
                        self.shell
                            .run(&format!("SELECT rtreecheck({});", text(&table.name))),
                        "ok",
                        "{what}"
                    );
                }
                Key::Module(..) => {
                    assert_eq!(
                        self.shell.run(&format!(
                            "INSERT INTO {t} ({t}) VALUES ('integrity-check');"
                        )),
                        "",
                        "{what}"
                    );
                    let common = self.shell.run(&format!(
                        "SELECT count(*) FROM {t} WHERE {t} MATCH 'common';"
                    ));
                    assert_eq!(common, said, "{what}: {t}");
                }
                _ => {}
            }
        }
        let declared = self.dir.path().join("declared.db");
        let _ = fs::remove_file(&declared);
        shell(&declared, &self.model.sql());
        let (is, wanted) = (told(&mut self.shell), told(&mut opened(&declared, "")));
        let differs: Vec<_> = is.symmetric_difference(&wanted).collect();
        assert!(differs.is_empty(), "{what}: {differs:#?}");

        // The outgoing release has all that was there at the last moment, in a file that any SQLite
        // reads.
        let remy = Remy::open(&self.live).unwrap();
        let releases = remy.releases().unwrap();
        let database = releases
            .into_iter()
            .find(|entry| entry.release == release)
            .and_then(|entry| entry.database);
        let snapshot = format!(
            "{}-remy/{}",
            self.live.display(),
            database.unwrap_or_else(|| panic!("{what}: no snapshot"))
        );
        let mut reader = opened(Path::new(&format!("file:{snapshot}?mode=ro")), "");
        let kept = Content::read(&mut reader, old);
        assert_eq!(
            kept.differs(before),
            None,
            "{what}: the snapshot of release {release}"
        );
        let bytes = fs::metadata(&snapshot).unwrap().len();
        let whole = reader.run("PRAGMA integrity_check; PRAGMA page_count;");
        assert_eq!(
            whole,
            format!("ok\n{}", bytes / self.page_size),
            "{what}: the snapshot of release {release}"
        );
    }

    /// Publishes a random change.
    fn publish(&mut self) {
        let (old, mut new, mut renamed) =
            (self.model.clone(), self.model.clone(), Renamed::default());
        for _ in 0..1 + self.r.below(3) {
            new.change(&mut self.r, &mut self.serial, &mut renamed);
        }
        // What came and was renamed in one go just comes; what was renamed and dropped just goes.
        let has = |model: &Model, table: &str, column: Option<&String>| {
            let table = model.tables.iter().find(|t| t.name == table);
            table.is_some_and(|table| column.is_none_or(|column| table.dumped().contains(column)))
        };
        renamed
            .table
            .take_if(|(from, to)| !has(&old, from, None) || !has(&new, to, None));
        renamed
            .column
            .take_if(|(of, from, to)| !has(&old, of, Some(from)) || !has(&new, of, Some(to)));
        let mut renames = Vec::new();
        renames.extend(
            renamed
                .table
                .iter()
                .map(|(from, to)| format!("{}={}", q(from), q(to))),
        );
        renames.extend(
            renamed
                .column
                .iter()
                .map(|(of, from, to)| format!("{}.{}={}", q(of), q(from), q(to))),
        );
        let options = Options {
            renames,
            ..options()
        };
        let (outcome, before) = self.switch(|remy, go| remy.publish(&new.sql(), &options, go));
        let outcome = outcome
            .unwrap_or_else(|e| panic!("{}: {e}\n{}\n{}", self.what(), old.sql(), new.sql()));
        let want = published(&before, &old, &new, &renamed);
        self.model = new;
        let previous = outcome.previous.unwrap();
        self.check(previous.0, &before, &old, &want);
        self.kept.push(Kept {
            release: previous.0,
            model: old,
            content: before,
        });
    }

    /// Makes a release live again that was live before: back, or forward.
    fn restore(&mut self) {
        let one = usize::try_from(self.r.below(self.kept.len() as u64)).unwrap();
        let (release, old) = (self.kept[one].release, self.model.clone());
        let how = self.r.below(3);
        if self.r.once_in(3) {
            // Another kind of database than the one that comes back.
            let said = self.shell.ask(&format!(
                "PRAGMA auto_vacuum = {}; VACUUM;",
                self.r.below(3)
            ));
            assert_eq!(said, "", "{}", self.what());
        }
        let (outcome, before) = self.switch(|remy, go| match how {
            0 => remy.rollback(None, &options(), go),
            1 => remy.rollback(Some(ReleaseId(release)), &options(), go),
            _ => remy.promote(Some(ReleaseId(release)), &options(), go),
        });
        let outcome = match outcome {
            // Back at what was adopted.
            Err(e) if how == 0 && e.code() == "no_previous_release" => return,
            outcome => outcome.unwrap_or_else(|e| panic!("{}: {e}", self.what())),
        };
        let restored = self
            .kept
            .iter()
            .find(|kept| outcome.restored_from == Some(ReleaseId(kept.release)))
            .unwrap();
        let mut want = restored.content.clone();
        // Ids are not used again.
        for table in restored
            .model
            .tables
            .iter()
            .filter(|table| table.key == Key::Id { auto: true })
        {
            if let Some(&seq) = before.sequences.get(&table.name) {
                let raised = want.sequences.entry(table.name.clone()).or_insert(seq);
                *raised = seq.max(*raised);
            }
        }
        self.model = restored.model.clone();
        let previous = outcome.previous.unwrap();
        self.check(previous.0, &before, &old, &want);
        self.kept.push(Kept {
            release: previous.0,
            model: old,
            content: before,
        });
    }
}

fn options() -> Options {
    // A long pause, so that no verdict hangs on how fast the machine is.
    Options::from_json(r#"{"allow": ["type_change", "lossy", "drop"], "journal_mode": "keep", "max_pause_ms": 60000, "lock_timeout_ms": 60000}"#)
        .unwrap()
}

#[test]
fn random_switches() {
    let mut switches = 0;
    for seed in rounds(LEAST) {
        let mut round = Round::start(seed);
        for _ in 0..SWITCHES {
            if round.kept.is_empty() || !round.r.once_in(3) {
                round.publish();
            } else {
                round.restore();
            }
            switches += 1;
        }
        let verified = Remy::open(&round.live).unwrap().verify().unwrap();
        assert!(verified.ok, "{}: {verified:#?}", round.what());
    }
    println!("{switches} switches");
}
