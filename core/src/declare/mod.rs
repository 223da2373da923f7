//! Where a declared schema comes from, and how it is read: SQLite loads it into an empty in-memory
//! database.

pub(crate) mod left_alone;
pub(crate) mod load;
pub(crate) mod source;

use crate::{
    base::{
        error::{Context, Error, Result, State},
        options::Options,
    },
    declare::load::{invalid, load},
    schema::{
        self, Schema,
        app::{App, RecordedTypes, complete},
        dump, introspect,
        rename::Rename,
        rename_comments::{self, CommentedRename},
        shadow,
    },
    sqlite::{foreign, lex, libraries, quote::is_remys, tx},
};
pub use left_alone::current;
use rusqlite::{Connection, OptionalExtension, config::DbConfig};
pub use source::Source;
use std::path::{Path, PathBuf};

/// A declared schema.
#[derive(Debug, Clone)]
pub struct DeclaredSchema {
    /// What it declares.
    pub schema: Schema,
    /// The renames that its comments and the options declare.
    pub renames: Vec<Rename>,
    /// Where it comes from.
    pub source: Source,
    /// Its text, where that is SQL.
    pub sql: Option<String>,
    /// What an app declares. Its `schema` is then what it makes of an empty database, until
    /// [`DeclaredSchema::onto`] tells what it makes of another.
    pub app: Option<App>,
    /// The migrations that come with it.
    pub migrations: Option<PathBuf>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

impl DeclaredSchema {
    /// An app as it was declared before.
    pub(crate) fn of_app(app: App, source: Source, options: &Options) -> Result<Self> {
        let (schema, mut renames) = (app.schema(), app.renames());
        for rename in &options.renames {
            renames.push(told_rename(rename)?);
        }
        Ok(Self {
            schema,
            renames,
            source,
            sql: None,
            app: Some(app),
            migrations: None,
            warnings: Vec::new(),
        })
    }

    /// The schema for a database that has the schema `current`, whose live release declared
    /// `recorded`; `migrations` ran just before. The same as it is for everything but an app.
    pub fn onto(
        &self,
        current: &Schema,
        recorded: &RecordedTypes,
        migrations: &[&str],
    ) -> Result<Self> {
        let mut declared = self.clone();
        if let Some(app) = &self.app {
            let completed = complete(current, app, recorded, &self.renames, migrations)?;
            declared.schema = completed.schema;
            declared.warnings.extend(completed.warnings);
        }
        Ok(declared)
    }
}

/// Reads a declared schema, given as SQL, a `.sql` file, a `.json` model, another database or an
/// app's `mindstudio.json`.
///
/// Fails with `schema_invalid`, naming line and column, where SQLite does not take it, and with
/// `not_found`.
pub fn declared(argument: &str, options: &Options) -> Result<DeclaredSchema> {
    read(Source::of(argument), options)
}

/// Reads a declared schema from where it is.
pub(crate) fn read(source: Source, options: &Options) -> Result<DeclaredSchema> {
    if matches!(&source, Source::Database(path) if path.as_os_str().is_empty()) {
        return Err(Error::invalid_argument("no schema was given, but an empty text")
            .state(State::NothingDone)
            .hint("Give SQL, or the path of a .sql file, a .json model, another database or a mindstudio.json"));
    }
    let sql = match &source {
        Source::Sql(sql) => Some(sql.clone()),
        Source::SqlFile(path) => Some(text(path, &source)?),
        _ => None,
    };
    let parts = match &source {
        Source::Sql(_) | Source::SqlFile(_) => from_sql(
            sql.as_deref()
                .unwrap_or_default()
                .trim_start_matches('\u{feff}'),
            &source,
            options,
        )?,
        Source::Model(path) => from_model(&text(path, &source)?, &source, options)?,
        Source::Database(path) => {
            let schema = from_database(path, &source, options)?;
            let renames = kept_renames(&schema);
            (schema, renames, Vec::new())
        }
        Source::App(path) => return from_app(path, &source, options),
    };
    whole(parts, source, sql, options)
}

/// What a database that is open has, as a declared schema.
pub(crate) fn of_database(
    conn: &Connection,
    source: Source,
    options: &Options,
) -> Result<DeclaredSchema> {
    let schema = introspect::read_with(conn, &[], &options.extensions)?;
    let renames = kept_renames(&schema);
    whole((schema, renames, Vec::new()), source, None, options)
}

/// With what the options say of it.
fn whole(
    parts: SchemaParts,
    source: Source,
    sql: Option<String>,
    options: &Options,
) -> Result<DeclaredSchema> {
    let (mut schema, mut renames, mut warnings) = parts;
    for rename in &options.renames {
        renames.push(told_rename(rename)?);
    }
    let ignored = left_alone::leave_out(&mut schema, |name| left_alone::is_ignored(name, options));
    warnings.extend(hidden(&ignored, &source));
    Ok(DeclaredSchema {
        schema,
        renames,
        source,
        sql,
        app: None,
        migrations: None,
        warnings,
    })
}

/// Says that the option `ignore` hides what is declared.
fn hidden(names: &[String], source: &Source) -> Option<String> {
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!("`ignore` names {names}, which {source} declares: left as the database has it, and not made where it has not")
    })
}

/// Reads the tables of an app. The folder of migrations beside them is taken where there is one and
/// no other is named.
#[cfg(feature = "typescript")]
fn from_app(path: &Path, source: &Source, options: &Options) -> Result<DeclaredSchema> {
    if !path.is_file() {
        return Err(missing(path, source, "there is no such file"));
    }
    let read = crate::typescript::manifest::tables(path);
    if let Some(first) = read.errors.first() {
        let list = read
            .errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        return Err(Error::schema_invalid(format!(
            "the tables of {source} are not as they should be: {list}"
        ))
        .object(first.file.clone())
        .state(State::NothingDone)
        .hint("Correct what is named and try again"));
    }
    let (ignored, tables): (Vec<_>, Vec<_>) = read
        .tables
        .into_iter()
        .partition(|table| left_alone::is_ignored(&table.name, options));
    let ignored: Vec<String> = ignored.into_iter().map(|table| table.name).collect();
    let mut declared = DeclaredSchema::of_app(App { tables }, source.clone(), options)?;
    declared.warnings = read.warnings.iter().map(ToString::to_string).collect();
    declared.warnings.extend(hidden(&ignored, source));
    let folder = path
        .parent()
        .unwrap_or(Path::new(""))
        .join("dist/methods/migrations");
    // One that git keeps with a .gitkeep holds nothing.
    let holds_something = |folder: &Path| {
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.any(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
    };
    declared.migrations = Some(folder).filter(|folder| holds_something(folder));
    if let Some(folder) = &declared.migrations {
        let within = |folder: &Path, root: &Path| {
            Some(
                folder
                    .canonicalize()
                    .ok()?
                    .starts_with(root.canonicalize().ok()?),
            )
        };
        let root = path
            .parent()
            .filter(|root| !root.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        if within(folder, root) != Some(true) {
            return Err(Error::schema_invalid(format!(
                "{} is a link that leads out of the app's folder",
                folder.display()
            ))
            .object(folder.display().to_string())
            .state(State::NothingDone)
            .hint("Put the migrations themselves there"));
        }
    }
    Ok(declared)
}

#[cfg(not(feature = "typescript"))]
fn from_app(path: &Path, source: &Source, _: &Options) -> Result<DeclaredSchema> {
    Err(Error::unsupported_change(format!(
        "{source} declares its tables in TypeScript, which this build does not read"
    ))
    .object(path.display().to_string())
    .state(State::NothingDone)
    .hint("Use a build of remy with its feature typescript, or declare the schema as SQL"))
}

pub(crate) fn text(path: &Path, source: &Source) -> Result<String> {
    // A pipe would be waited for, maybe for good.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(missing(path, source, "it is not a file"));
    }
    std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => {
            Error::schema_invalid(format!("{source} is not UTF-8 text"))
                .object(path.display().to_string())
        }
        std::io::ErrorKind::PermissionDenied => Error::io(format!("reading {source}: {e}"))
            .object(path.display().to_string())
            .state(State::NothingDone)
            .hint("Give this user read permission on it"),
        _ => missing(path, source, &e.to_string()),
    })
}

fn missing(path: &Path, source: &Source, why: &str) -> Error {
    Error::not_found(format!(
        "the declared schema was taken for {source}, which cannot be read: {why}"
    ))
    .object(path.display().to_string())
    .state(State::NothingDone)
    .hint("Check the path, or end SQL text with a ;")
}

fn from_database(path: &Path, source: &Source, options: &Options) -> Result<Schema> {
    // Opening creates nothing, but says of a folder or a missing file the same "unable to open".
    match std::fs::metadata(path) {
        Err(e) => return Err(missing(path, source, &e.to_string())),
        Ok(meta) if !meta.is_file() => return Err(missing(path, source, "it is not a file")),
        Ok(_) => {}
    }
    let doing = || format!("reading {source}");
    foreign::reading_database(path, |conn| {
        match conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
            Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
                return Err(no_schema(path));
            }
            read => read.context(doing)?,
        }
        introspect::read_with(conn, &[], &options.extensions)
    })
    .map_err(|e| e.state(State::NothingDone))
}

fn no_schema(path: &Path) -> Error {
    Error::schema_invalid(format!("{} was taken for a database, and is none", path.display()))
        .object(path.display().to_string())
        .state(State::NothingDone)
        .hint(
            "Give a file of SQL that ends in .sql, the JSON model in .json, a mindstudio.json, a database, or SQL text",
        )
}

/// The renames that comments inside the statements of a schema tell.
fn kept_renames(schema: &Schema) -> Vec<Rename> {
    let texts = schema
        .tables
        .iter()
        .map(|table| &table.sql)
        .chain(schema.virtual_tables.iter().map(|table| &table.sql));
    texts
        .flat_map(|sql| rename_comments::renames(sql).unwrap_or_default())
        .map(rename_of)
        .collect()
}

fn rename_of(found: CommentedRename) -> Rename {
    match found.column {
        Some(column) => Rename {
            table: Some(found.table),
            from: found.from,
            to: column,
            comment: true,
        },
        None => Rename {
            table: None,
            from: found.from,
            to: found.table,
            comment: true,
        },
    }
}

/// Reads `table=new_table` or `table.column=new_column`; names may be quoted as in SQL.
fn told_rename(text: &str) -> Result<Rename> {
    let tokens = lex::tokens(text);
    let name = |i: usize| tokens.get(i).and_then(lex::Token::name);
    let is = |i: usize, what: &str| tokens.get(i).is_some_and(|token| token.is(what));
    let rename = if tokens.len() == 3 && is(1, "=") {
        name(0).zip(name(2)).map(|(from, to)| Rename {
            table: None,
            from,
            to,
            comment: false,
        })
    } else if tokens.len() == 5 && is(1, ".") && is(3, "=") {
        let names = name(0).zip(name(2)).zip(name(4));
        names.map(|((table, from), to)| Rename {
            table: Some(table),
            from,
            to,
            comment: false,
        })
    } else {
        None
    };
    rename.ok_or_else(|| {
        Error::invalid_argument(format!("the rename {text:?} is not understood"))
            .state(State::NothingDone)
            .hint(r#"Give "table=new_table" or "table.column=new_column", names of other than letters and digits in double quotes"#)
    })
}

/// A schema, the renames that its comments declare, and what the caller should know.
type SchemaParts = (Schema, Vec<Rename>, Vec<String>);

fn from_model(json: &str, source: &Source, options: &Options) -> Result<SchemaParts> {
    let model = Schema::from_json(json).map_err(|e| e.object(source.to_string()))?;
    let (schema, renames, warnings) = from_sql(&model.to_sql(), source, options)?;
    // The statements are what counts; a model whose parts say something else would be taken by
    // halves.
    for table in &model.tables {
        if schema
            .table(&table.name)
            .is_some_and(|read| comparable(read) != comparable(table))
        {
            return Err(Error::schema_invalid(format!(
                "in {source}, the table {} contradicts its own sql",
                table.name
            ))
            .object(&table.name)
            .state(State::NothingDone)
            .hint("Change both its sql and its parts, or give SQL"));
        }
    }
    Ok((schema, renames, warnings))
}

fn comparable(table: &schema::Table) -> schema::Table {
    let mut table = table.clone();
    table
        .columns
        .iter_mut()
        .for_each(|column| column.definition.clear());
    table
}

/// Loads a schema from SQL. Functions and collations that this SQLite lacks are no reason to refuse
/// it: whether the change needs them shows on the clone.
fn from_sql(sql: &str, source: &Source, options: &Options) -> Result<SchemaParts> {
    let conn =
        Connection::open_in_memory().context(|| "opening a database in memory".to_owned())?;
    for quoted_strings in [
        DbConfig::SQLITE_DBCONFIG_DQS_DDL,
        DbConfig::SQLITE_DBCONFIG_DQS_DML,
    ] {
        let _ = conn.set_db_config(quoted_strings, true);
    }
    libraries::load_extensions(&conn, &options.extensions)?;
    // One transaction: a commit for each of 500 statements costs as much as some of them.
    let doing = || "reading the declared schema".to_owned();
    let tx = tx::begin(&conn).context(doing)?;
    let (mut strangers, rows) = load(&tx, &dump::with_virtual_tables(sql), source)?;
    tx.commit().context(doing)?;
    shadow::find(&conn, &mut strangers, &[], &options.extensions)?;
    // `CREATE TABLE temp.t` makes one that no other connection would ever see.
    let temporary = "SELECT name FROM sqlite_temp_schema LIMIT 1";
    if let Some(name) = conn
        .query_row(temporary, [], |row| row.get::<_, String>(0))
        .optional()
        .context(doing)?
    {
        return Err(Error::schema_invalid(format!(
            "{source} declares {name} in temp, which is no part of a schema"
        ))
        .object(&name)
        .state(State::NothingDone)
        .hint("Leave out temp, or the whole statement"));
    }
    // Remy's own tables may stand in a dump of live, and are passed over; another name of that kind
    // is a mistake.
    let ours = |name: &str| OURS.contains(&name) || name.starts_with("sqlite_autoindex__remy_");
    for name in strangers
        .iter()
        .map(|table| &table.name)
        .chain(&object_names(&conn)?)
        .filter(|name| !ours(name))
    {
        if is_remys(name) {
            return Err(Error::schema_invalid(format!(
                "{source} declares {name}; names that begin with _remy_ are remy's own"
            ))
            .object(name)
            .state(State::NothingDone)
            .hint("Give it another name"));
        }
    }
    let mut schema = introspect::read_with(&conn, &[], &options.extensions)?;
    schema.names.extend(
        strangers
            .iter()
            .map(|table| table.name.to_ascii_lowercase()),
    );
    schema.virtual_tables.extend(strangers);
    let renames = rename_comments::renames(sql).map_err(|at| {
        invalid(
            sql,
            at,
            source,
            "a @renamed comment belongs to no table or column",
        )
        .hint("Put it before the table or column, or behind it on the same line")
    })?;
    let warnings = dump::warning(&rows, &schema).into_iter().collect();
    Ok((
        schema,
        renames.into_iter().map(rename_of).collect(),
        warnings,
    ))
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
    "_remy_columns",
    "_remy_session",
];

fn object_names(conn: &Connection) -> Result<Vec<String>> {
    let doing = || "reading the names of the declared schema".to_owned();
    let mut statement = conn
        .prepare("SELECT name FROM sqlite_schema")
        .context(doing)?;
    statement
        .query_map([], |row| row.get(0))
        .context(doing)?
        .collect::<rusqlite::Result<_>>()
        .context(doing)
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;
    use crate::declare::load::ParkedRows;

    /// The rows that stand aside while a schema is loaded come back as they were, in their order,
    /// also for ALTER and DROP in between, which read and write them.
    #[test]
    fn many_statements_give_what_sqlite_gives() {
        crate::sqlite::engine::init();
        let mut sql = String::new();
        for i in 0..ParkedRows::CREATES * 3 + 1 {
            sql += &format!(
                "CREATE TABLE t{i} (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, b);"
            );
            sql +=
                &format!("CREATE INDEX i{i} ON t{i} (b); CREATE VIEW v{i} AS SELECT a FROM t{i};");
            match i % 7 {
                0 => sql += &format!("ALTER TABLE t{i} RENAME COLUMN b TO c; DROP VIEW v{i};"),
                1 => {
                    sql += &format!(
                        "CREATE TRIGGER g{i} AFTER INSERT ON t{i} BEGIN DELETE FROM t0; END;"
                    )
                }
                2 => sql += &format!("CREATE VIRTUAL TABLE f{i} USING fts5 (body);"),
                3 => sql += &format!("ALTER TABLE t{i} RENAME TO u{i};"),
                _ => {}
            }
        }
        let plain = Connection::open_in_memory().unwrap();
        plain.execute_batch(&sql).unwrap();
        let expected = introspect::read(&plain, &[]).unwrap();
        let (loaded, ..) = from_sql(&sql, &Source::Sql(sql.clone()), &Options::default()).unwrap();
        assert_eq!(loaded, expected);
    }

    #[test]
    fn a_name_of_sqlites_own_is_refused_however_many_came_before() {
        crate::sqlite::engine::init();
        for n in [0, ParkedRows::CREATES - 1, ParkedRows::CREATES] {
            let mut sql: String = (0..n).map(|i| format!("CREATE TABLE t{i} (a);")).collect();
            sql += "CREATE TABLE t (a); CREATE VIEW sqlite_v AS SELECT 1;";
            let (schema, ..) =
                from_sql(&sql, &Source::Sql(sql.clone()), &Options::default()).unwrap();
            assert_eq!(
                (schema.tables.len(), schema.views.len()),
                (n + 1, 0),
                "passed over, as of a dump"
            );
        }
    }
}
