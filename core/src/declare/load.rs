//! Loads declared SQL, statement by statement.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        text::{cut, place},
    },
    declare::source::Source,
    schema::{
        VirtualTable,
        dump::{self, Part},
        introspect, parse,
    },
    sqlite::{
        authorizer,
        lex::{self, Token},
        script::{PreparedStatement, Script},
        strangers::{Kind, StandIns, Stranger},
    },
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// `schema_invalid` at byte `at` of `sql`.
pub(super) fn invalid(sql: &str, at: usize, source: &Source, why: &str) -> Error {
    let (line, column, text) = place(sql, at);
    let text = cut(text.trim(), 200);
    Error::schema_invalid(format!(
        "{source}, line {line}, column {column}: {why}: {text}"
    ))
    .object(format!("line {line}, column {column}"))
    .state(State::NothingDone)
}

/// Runs every statement; returns the virtual tables whose modules or tokenizers this SQLite lacks,
/// and how many INSERTs into which table were passed over.
pub(super) fn load(
    conn: &Connection,
    sql: &str,
    source: &Source,
) -> Result<(Vec<VirtualTable>, BTreeMap<String, u64>)> {
    let script = Script::new(sql).map_err(|(why, at)| invalid(sql, at, source, &why))?;
    let tokens = lex::tokens(sql);
    refuse_unsafe(sql, &tokens, source)?;
    let mut load = Load {
        conn,
        script: &script,
        sql,
        tokens: &tokens,
        source,
        stand_ins: StandIns::to_stay(conn),
        parked: ParkedRows::new(conn)?,
        strangers: Vec::new(),
        rows: BTreeMap::new(),
    };
    let mut start = 0;
    while let Some(end) = load.statement(start)? {
        start = end;
    }
    load.parked.end()?;
    Ok((load.strangers, load.rows))
}

/// Refuses what is nested too deep, and calls of functions that reach into the process.
fn refuse_unsafe(sql: &str, tokens: &[Token<'_>], source: &Source) -> Result<()> {
    let refuse = |at: usize, why: &str| invalid(sql, at, source, why).hint("Leave it out");
    if let Some(at) = lex::too_deep(tokens) {
        return Err(refuse(at, "this is nested too deep to be read"));
    }
    for three in tokens
        .windows(3)
        .filter(|three| three[2].is("(") && !three[0].is("TABLE") && !three[0].is("EXISTS"))
    {
        if let Some(name) = three[1].name().filter(|name| authorizer::reaches_out(name)) {
            return Err(refuse(
                three[1].start,
                &format!("{name}() reaches into the process, and is no part of a schema"),
            ));
        }
    }
    Ok(())
}

/// A script on its way into a database.
struct Load<'a> {
    conn: &'a Connection,
    script: &'a Script<'a>,
    sql: &'a str,
    tokens: &'a [Token<'a>],
    source: &'a Source,
    stand_ins: StandIns<'a>,
    parked: ParkedRows<'a>,
    strangers: Vec<VirtualTable>,
    rows: BTreeMap<String, u64>,
}

impl Load<'_> {
    /// Runs the statement that the first token from the byte `start` on begins. Returns where to go
    /// on, which is the same place once a stand-in has made what the statement lacked; nothing
    /// where the script ends.
    fn statement(&mut self, start: usize) -> Result<Option<usize>> {
        let at = self.tokens.partition_point(|token| token.start < start);
        let Some(first) = self.tokens.get(at) else {
            return Ok(None);
        };
        if first.is(";") {
            return Ok(Some(first.end()));
        }
        let start = first.start;
        let part = dump::part(&self.tokens[at..]);
        // Not even compiled: a pragma is done by then.
        if matches!(part, Part::Skip | Part::Rows(_)) {
            if let Part::Rows(table) = part {
                *self.rows.entry(table).or_default() += 1;
            }
            return Ok(Some(self.end_of_statement(at)));
        }
        let (outcome, end) = match PreparedStatement::new(self.conn, self.script, start) {
            Ok(mut statement) => {
                match part {
                    Part::Create => self.parked.make_room()?,
                    Part::Change => self.parked.put_back()?,
                    _ => return Err(self.no_schema(start, statement.end)),
                }
                let end = statement.end;
                (statement.run().map_err(|why| (why, start)), end)
            }
            // `.schema` of the shell prints SQLite's own tables, too.
            Err((why, _)) if why.starts_with("object name reserved for internal use: sqlite_") => {
                (Ok(()), self.end_of_statement(at))
            }
            Err(failure) => (Err(failure), self.end_of_statement(at)),
        };
        match outcome {
            Ok(()) => Ok(Some(end)),
            Err((why, _)) if self.stand_ins.take_place(&why) => Ok(Some(start)),
            Err((why, at)) => {
                let Some(table) = self.table_of_strangers(&why, &self.sql[start..end]) else {
                    return Err(self.failed(first, at, &why));
                };
                self.strangers.push(table);
                Ok(Some(end))
            }
        }
    }

    /// Where the statement ends that begins with the token `at`.
    fn end_of_statement(&self, at: usize) -> usize {
        self.tokens[at..]
            .iter()
            .find(|token| token.is(";"))
            .map_or(self.sql.len(), Token::end)
    }

    /// The virtual table that `sql` makes, if `why` says that its module or tokenizer is lacking.
    fn table_of_strangers(&self, why: &str, sql: &str) -> Option<VirtualTable> {
        Stranger::of(why)
            .filter(|stranger| matches!(stranger.kind, Kind::Module | Kind::Tokenizer))?;
        let (name, ..) = parse::virtual_table(sql)?;
        let text = sql.trim().trim_end_matches(';').trim_end().to_owned();
        Some(introspect::virtual_table(name, text, Vec::new()))
    }

    fn no_schema(&self, start: usize, end: usize) -> Error {
        let why = "this is no part of a schema";
        invalid(self.sql, start, self.source, why)
            .sql(self.sql[start..end].trim())
            .hint("A declared schema holds CREATE TABLE, INDEX, VIEW and TRIGGER; rows are put in by a migration")
    }

    fn failed(&self, first: &Token<'_>, at: usize, why: &str) -> Error {
        let hint = if first.is("DROP") || first.is("ALTER") {
            "A declared schema says what there is to be: leave out what is to go, and change the CREATE statement itself"
        } else {
            "Correct it and try again"
        };
        invalid(self.sql, at, self.source, why).hint(hint)
    }
}

/// Rows of `sqlite_schema` that are kept in a temporary table while a schema is loaded.
///
/// To learn what a CREATE made, SQLite reads all of `sqlite_schema`: loading n statements reads
/// n²/2 rows, which for 500 tables was half of a diff. What it has read it keeps in memory, so the
/// rows can be elsewhere until the schema is read back.
pub(super) struct ParkedRows<'a> {
    conn: &'a Connection,
    creates: usize,
}

impl<'a> ParkedRows<'a> {
    /// How many CREATEs run before the rows are moved out again.
    pub(crate) const CREATES: usize = 32;

    fn new(conn: &'a Connection) -> Result<Self> {
        let parked = Self { conn, creates: 0 };
        parked.run("CREATE TEMP TABLE _remy_shelf AS SELECT * FROM main.sqlite_schema")?;
        Ok(parked)
    }

    /// To be called before each CREATE.
    fn make_room(&mut self) -> Result<()> {
        self.creates += 1;
        if !self.creates.is_multiple_of(Self::CREATES) {
            return Ok(());
        }
        self.run(
            "INSERT INTO temp._remy_shelf SELECT * FROM main.sqlite_schema ORDER BY rowid; DELETE FROM main.sqlite_schema",
        )
    }

    /// Puts every row back, in the order in which they came.
    fn put_back(&mut self) -> Result<()> {
        self.creates = Self::CREATES - 1;
        self.make_room()?;
        self.run("INSERT INTO main.sqlite_schema SELECT * FROM temp._remy_shelf ORDER BY rowid; DELETE FROM temp._remy_shelf")
    }

    /// Puts every row back, and leaves nothing.
    fn end(mut self) -> Result<()> {
        self.put_back()?;
        self.run("DROP TABLE temp._remy_shelf")
    }

    fn run(&self, sql: &str) -> Result<()> {
        // Only here: where the schema is writable, SQLite takes names that are its own.
        self.conn
            .execute_batch(&format!(
                "PRAGMA writable_schema = ON; {sql}; PRAGMA writable_schema = OFF"
            ))
            .context(|| "loading the declared schema".to_owned())
    }
}
