//! Where a declared schema comes from, and how it is read: SQLite loads it into an empty in-memory database.
use super::{Schema, VirtualTable, introspect, lex, parse};
use crate::{
    error::{Context, Error, Result},
    options::Options,
    prepared::Prepared,
};
use rusqlite::{Connection, OpenFlags, config::DbConfig, ffi};
use std::{
    ffi::{CString, c_char, c_int, c_void},
    fmt,
    path::{Path, PathBuf},
    ptr,
};

/// What the argument `schema` of a verb was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// SQL.
    Sql(String),
    /// A file of SQL.
    SqlFile(PathBuf),
    /// A file of the JSON model.
    Model(PathBuf),
    /// The manifest of an app.
    App(PathBuf),
    /// A database.
    Database(PathBuf),
}

impl Source {
    /// SQL text if it holds a `;`, or white space before a `(`; else a path.
    pub fn of(argument: &str) -> Self {
        let creates = argument.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("create"));
        let spaced = argument.match_indices('(').any(|(at, _)| {
            let before = &argument[..at];
            before.ends_with(|c: char| c.is_ascii_whitespace()) || creates
        });
        if argument.contains(';') || spaced {
            return Self::Sql(argument.to_owned());
        }
        let path = PathBuf::from(argument);
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            _ if path.file_name().is_some_and(|name| name == "mindstudio.json") => Self::App(path),
            "sql" => Self::SqlFile(path),
            "json" => Self::Model(path),
            _ => Self::Database(path),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(sql) => write!(f, "the SQL text of {} characters", sql.chars().count()),
            Self::SqlFile(path) => write!(f, "the SQL file {}", path.display()),
            Self::Model(path) => write!(f, "the JSON model {}", path.display()),
            Self::App(path) => write!(f, "the app of {}", path.display()),
            Self::Database(path) => write!(f, "the database {}", path.display()),
        }
    }
}

/// A rename that somebody has told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The table, for a rename of a column: by its old name or its new one.
    pub table: Option<String>,
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
    /// A comment beside the definition tells it. It stays there once the rename is done, and is ignored then.
    pub comment: bool,
}

/// A declared schema.
#[derive(Debug, Clone)]
pub struct Declared {
    /// What it declares.
    pub schema: Schema,
    /// The renames that its comments and the options tell.
    pub renames: Vec<Rename>,
    /// Where it comes from.
    pub source: Source,
}

/// Reads a declared schema, given as SQL, a `.sql` file, a `.json` model or another database.
///
/// Fails with `schema_invalid`, naming line and column, where SQLite does not take it, and with `not_found`.
pub fn declared(argument: &str, options: &Options) -> Result<Declared> {
    let source = Source::of(argument);
    let ignore = options.ignored_tables();
    let (schema, mut renames) = match &source {
        Source::Sql(sql) => from_sql(sql.trim_start_matches('\u{feff}'), &source, &ignore)?,
        Source::SqlFile(path) => from_sql(text(path, &source)?.trim_start_matches('\u{feff}'), &source, &ignore)?,
        Source::Model(path) => from_model(&text(path, &source)?, &source, &ignore)?,
        Source::Database(path) => {
            let schema = from_database(path, &source, &ignore)?;
            let renames = kept_renames(&schema);
            (schema, renames)
        }
        Source::App(path) => {
            return Err(Error::unsupported_change(format!(
                "{source} declares its tables in TypeScript, which this remy does not read yet"
            ))
            .object(path.display().to_string())
            .state("Nothing was done")
            .hint("Declare the schema as SQL, in a .sql file or in another database"));
        }
    };
    for rename in &options.renames {
        renames.push(told_rename(rename)?);
    }
    Ok(Declared { schema, renames, source })
}

fn text(path: &Path, source: &Source) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => {
            Error::schema_invalid(format!("{source} is not UTF-8 text")).object(path.display().to_string())
        }
        _ => missing(path, source, &e.to_string()),
    })
}

fn missing(path: &Path, source: &Source, why: &str) -> Error {
    Error::not_found(format!("the declared schema was taken for {source}, which cannot be read: {why}"))
        .object(path.display().to_string())
        .state("Nothing was done")
        .hint("Check the path, or end SQL text with a ;")
}

fn from_database(path: &Path, source: &Source, ignore: &[String]) -> Result<Schema> {
    // Opening creates nothing, but says of a folder or a missing file the same "unable to open".
    match std::fs::metadata(path) {
        Err(e) => return Err(missing(path, source, &e.to_string())),
        Ok(meta) if !meta.is_file() => return Err(missing(path, source, "it is not a file")),
        Ok(_) => {}
    }
    let doing = || format!("reading {source}");
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).context(doing)?;
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).context(doing)?;
    introspect::read(&conn, ignore)
}

/// The renames that comments inside the statements of a schema tell.
fn kept_renames(schema: &Schema) -> Vec<Rename> {
    schema.tables.iter().flat_map(|table| parse::renames(&table.sql).unwrap_or_default()).map(rename_of).collect()
}

fn rename_of(found: parse::Renamed) -> Rename {
    match found.column {
        Some(column) => Rename { table: Some(found.table), from: found.from, to: column, comment: true },
        None => Rename { table: None, from: found.from, to: found.table, comment: true },
    }
}

/// Reads `table=new_table` or `table.column=new_column`; names may be quoted as in SQL.
fn told_rename(text: &str) -> Result<Rename> {
    let tokens = lex::tokens(text);
    let name = |i: usize| tokens.get(i).and_then(lex::Token::name);
    let is = |i: usize, what: &str| tokens.get(i).is_some_and(|token| token.is(what));
    let rename = if tokens.len() == 3 && is(1, "=") {
        name(0).zip(name(2)).map(|(from, to)| Rename { table: None, from, to, comment: false })
    } else if tokens.len() == 5 && is(1, ".") && is(3, "=") {
        let names = name(0).zip(name(2)).zip(name(4));
        names.map(|((table, from), to)| Rename { table: Some(table), from, to, comment: false })
    } else {
        None
    };
    rename.ok_or_else(|| {
        Error::invalid_argument(format!("the rename {text:?} is not understood"))
            .state("Nothing was done")
            .hint(r#"Give "table=new_table" or "table.column=new_column", names of other than letters and digits in double quotes"#)
    })
}

fn from_model(json: &str, source: &Source, ignore: &[String]) -> Result<(Schema, Vec<Rename>)> {
    let model = Schema::from_json(json).map_err(|e| e.object(source.to_string()))?;
    let (schema, renames) = from_sql(&model.to_sql(), source, ignore)?;
    // The statements are what counts; a model whose parts say something else would be taken by halves.
    for table in &model.tables {
        if schema.table(&table.name).is_some_and(|read| comparable(read) != comparable(table)) {
            return Err(Error::schema_invalid(format!(
                "in {source}, the table {} contradicts its own sql",
                table.name
            ))
            .object(&table.name)
            .state("Nothing was done")
            .hint("Change both its sql and its parts, or give SQL"));
        }
    }
    Ok((schema, renames))
}

fn comparable(table: &super::Table) -> super::Table {
    let mut table = table.clone();
    table.columns.iter_mut().for_each(|column| column.definition.clear());
    table
}

/// Loads a schema from SQL. Functions and collations that this SQLite lacks are no reason to refuse it: whether the
/// change needs them shows on the clone.
fn from_sql(sql: &str, source: &Source, ignore: &[String]) -> Result<(Schema, Vec<Rename>)> {
    let conn = Connection::open_in_memory().context(|| "opening a database in memory".to_owned())?;
    for quoted_strings in [DbConfig::SQLITE_DBCONFIG_DQS_DDL, DbConfig::SQLITE_DBCONFIG_DQS_DML] {
        let _ = conn.set_db_config(quoted_strings, true);
    }
    let strangers = load(&conn, sql, source)?;
    // Remy's own tables may stand in a dump of live, and are passed over; another name of that kind is a mistake.
    let ours = |name: &str| OURS.contains(&name) || name.starts_with("sqlite_autoindex__remy_");
    for name in strangers.iter().map(|table| &table.name).chain(&object_names(&conn)?).filter(|name| !ours(name)) {
        if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("_remy_")) {
            return Err(Error::schema_invalid(format!(
                "{source} declares {name}; names that begin with _remy_ are remy's own"
            ))
            .object(name)
            .state("Nothing was done")
            .hint("Give it another name"));
        }
    }
    let mut schema = introspect::read(&conn, ignore)?;
    schema.names.extend(strangers.iter().map(|table| table.name.to_ascii_lowercase()));
    schema.virtual_tables.extend(strangers);
    let renames = parse::renames(sql).map_err(|at| {
        invalid(sql, at, source, "a @renamed comment belongs to no table or column")
            .hint("Put it before the table or column, or behind it on the same line")
    })?;
    Ok((schema, renames.into_iter().map(rename_of).collect()))
}

/// The tables that remy keeps in live.
const OURS: &[&str] = &[
    "_remy_release",
    "_remy_roles",
    "_remy_cron_jobs",
    "_remy_webhooks",
    "_remy_email_routes",
    "_remy_bot_commands",
    "_remy_migrations",
];

fn object_names(conn: &Connection) -> Result<Vec<String>> {
    let doing = || "reading the names of the declared schema".to_owned();
    let mut statement = conn.prepare("SELECT name FROM sqlite_schema").context(doing)?;
    statement.query_map([], |row| row.get(0)).context(doing)?.collect::<rusqlite::Result<_>>().context(doing)
}

/// `schema_invalid` at byte `at` of `sql`.
fn invalid(sql: &str, at: usize, source: &Source, why: &str) -> Error {
    let before = sql.get(..at).unwrap_or(sql);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let text = sql.lines().nth(line - 1).unwrap_or_default().trim();
    Error::schema_invalid(format!("{source}, line {line}, column {column}: {why}: {text}"))
        .object(format!("line {line}, column {column}"))
        .state("Nothing was done")
}

/// Runs every statement; gives the virtual tables whose modules this SQLite lacks.
fn load(conn: &Connection, sql: &str, source: &Source) -> Result<Vec<VirtualTable>> {
    let tokens = lex::tokens(sql);
    let mut strangers = Vec::new();
    let mut start = 0;
    while let Some(first) = tokens.get(tokens.partition_point(|token| token.start < start)) {
        if first.is(";") {
            start = first.end();
            continue;
        }
        start = first.start;
        let prepared = Prepared::new(conn, sql, start);
        let (outcome, end) = match prepared {
            Ok(mut statement) => {
                let end = statement.end;
                let text = &sql[start..end];
                match is_for_a_schema(text) {
                    Verdict::Run => (statement.run().map_err(|why| (why, start)), end),
                    Verdict::Skip => (Ok(()), end),
                    Verdict::Refuse => {
                        let why = "this is no part of a schema";
                        return Err(invalid(sql, start, source, why).sql(text.trim()).hint(
                            "A declared schema holds CREATE TABLE, INDEX, VIEW and TRIGGER; rows are put in by a migration",
                        ));
                    }
                }
            }
            Err(failure) => {
                let rest = tokens.iter().filter(|token| token.start >= start);
                let end = rest.clone().find(|token| token.is(";")).map_or(sql.len(), lex::Token::end);
                // `.schema` of the shell prints SQLite's own tables, too.
                let own = failure.0.starts_with("object name reserved for internal use: sqlite_");
                (if own { Ok(()) } else { Err(failure) }, end)
            }
        };
        match outcome {
            Ok(()) => start = end,
            Err((why, at)) => {
                if let Some(function) = why.strip_prefix("no such function: ") {
                    if stand_in_function(conn, function) {
                        continue;
                    }
                } else if let Some(collation) = why.strip_prefix("no such collation sequence: ") {
                    if stand_in_collation(conn, collation) {
                        continue;
                    }
                } else if why.starts_with("no such module: ")
                    && let Some((name, ..)) = parse::virtual_table(&sql[start..end])
                {
                    let text = sql[start..end].trim().trim_end_matches(';').trim_end().to_owned();
                    strangers.push(introspect::virtual_table(name, text, Vec::new()));
                    start = end;
                    continue;
                }
                return Err(invalid(sql, at, source, &why).hint("Correct it and try again"));
            }
        }
    }
    Ok(strangers)
}

enum Verdict {
    Run,
    Skip,
    Refuse,
}

/// What to do with a statement of a declared schema. The shell's `.dump` and `.schema` are understood.
fn is_for_a_schema(sql: &str) -> Verdict {
    let tokens = lex::tokens(sql);
    let word = tokens.first().map(|token| token.text.to_ascii_uppercase()).unwrap_or_default();
    match word.as_str() {
        "CREATE" if tokens[1..].iter().take(1).any(|token| token.is("TEMP") || token.is("TEMPORARY")) => {
            Verdict::Refuse
        }
        "CREATE" | "DROP" | "ALTER" => Verdict::Run,
        "PRAGMA" | "BEGIN" | "COMMIT" | "END" | "ANALYZE" => Verdict::Skip,
        _ => Verdict::Refuse,
    }
}

unsafe extern "C" fn answer_nothing(_: *mut ffi::sqlite3_context, _: c_int, _: *mut *mut ffi::sqlite3_value) {}

unsafe extern "C" fn all_equal(_: *mut c_void, _: c_int, _: *const c_void, _: c_int, _: *const c_void) -> c_int {
    0
}

/// Registers a function of this name, which is never called: the database that it is for has no rows.
fn stand_in_function(conn: &Connection, name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC;
    // SAFETY: the handle is open, the name NUL-terminated and copied, and the function touches none of its arguments.
    let code = unsafe {
        ffi::sqlite3_create_function_v2(
            conn.handle(),
            name.as_ptr().cast::<c_char>(),
            -1,
            flags,
            ptr::null_mut(),
            Some(answer_nothing),
            None,
            None,
            None,
        )
    };
    code == ffi::SQLITE_OK
}

fn stand_in_collation(conn: &Connection, name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: as above; the collation reads nothing.
    let code = unsafe {
        ffi::sqlite3_create_collation_v2(
            conn.handle(),
            name.as_ptr(),
            ffi::SQLITE_UTF8,
            ptr::null_mut(),
            Some(all_equal),
            None,
        )
    };
    code == ffi::SQLITE_OK
}
