//! Loads declared SQL, statement by statement.

use crate::{
    base::{
        error::{Context, Error, Result},
        text::{cut, place},
    },
    declare::source::Source,
    schema::{
        VirtualTable,
        dump::{self, Part},
        introspect, parse,
    },
    sqlite::{
        authorizer, lex,
        script::{Prepared, Script},
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
    .state("Nothing was done")
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
    let refuse = |at: usize, why: &str| invalid(sql, at, source, why).hint("Leave it out");
    if let Some(at) = lex::too_deep(&tokens) {
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
    let (mut strangers, mut rows) = (Vec::new(), BTreeMap::new());
    let stand_ins = StandIns::to_stay(conn);
    let mut shelf = Shelf::new(conn)?;
    let mut start = 0;
    loop {
        let at = tokens.partition_point(|token| token.start < start);
        let Some(first) = tokens.get(at) else { break };
        if first.is(";") {
            start = first.end();
            continue;
        }
        start = first.start;
        let part = dump::part(&tokens[at..]);
        // Not even compiled: a pragma is done by then.
        if matches!(part, Part::Skip | Part::Rows(_)) {
            start = tokens[at..]
                .iter()
                .find(|token| token.is(";"))
                .map_or(sql.len(), lex::Token::end);
            if let Part::Rows(table) = part {
                *rows.entry(table).or_default() += 1;
            }
            continue;
        }
        let prepared = Prepared::new(conn, &script, start);
        let (outcome, end) = match prepared {
            Ok(mut statement) => {
                let end = statement.end;
                let text = &sql[start..end];
                match part {
                    Part::Create => {
                        shelf.make_room()?;
                        (statement.run().map_err(|why| (why, start)), end)
                    }
                    Part::Change => {
                        shelf.empty()?;
                        (statement.run().map_err(|why| (why, start)), end)
                    }
                    _ => {
                        let why = "this is no part of a schema";
                        return Err(invalid(sql, start, source, why).sql(text.trim()).hint(
                            "A declared schema holds CREATE TABLE, INDEX, VIEW and TRIGGER; rows are put in by a migration",
                        ));
                    }
                }
            }
            Err(failure) => {
                let rest = tokens.iter().filter(|token| token.start >= start);
                let end = rest
                    .clone()
                    .find(|token| token.is(";"))
                    .map_or(sql.len(), lex::Token::end);
                // `.schema` of the shell prints SQLite's own tables, too.
                let own = failure
                    .0
                    .starts_with("object name reserved for internal use: sqlite_");
                (if own { Ok(()) } else { Err(failure) }, end)
            }
        };
        match outcome {
            Ok(()) => start = end,
            Err((why, at)) => {
                if stand_ins.take_place(&why) {
                    continue;
                }
                if Stranger::of(&why)
                    .is_some_and(|stranger| matches!(stranger.kind, Kind::Module | Kind::Tokenizer))
                    && let Some((name, ..)) = parse::virtual_table(&sql[start..end])
                {
                    let text = sql[start..end]
                        .trim()
                        .trim_end_matches(';')
                        .trim_end()
                        .to_owned();
                    strangers.push(introspect::virtual_table(name, text, Vec::new()));
                    start = end;
                    continue;
                }
                let hint = match tokens.iter().find(|token| token.start >= start) {
                    Some(first) if first.is("DROP") || first.is("ALTER") => {
                        "A declared schema says what there is to be: leave out what is to go, and change the CREATE statement itself"
                    }
                    _ => "Correct it and try again",
                };
                return Err(invalid(sql, at, source, &why).hint(hint));
            }
        }
    }
    shelf.end()?;
    Ok((strangers, rows))
}

/// Where rows of `sqlite_schema` stand aside while a schema is loaded.
///
/// To learn what a CREATE made, SQLite reads all of `sqlite_schema`: loading n statements reads
/// n²/2 rows, which for 500 tables was half of a diff. What it has read it keeps in memory, so the
/// rows can be elsewhere until the schema is read back.
pub(super) struct Shelf<'a> {
    conn: &'a Connection,
    creates: usize,
}

impl<'a> Shelf<'a> {
    /// So many statements may pass before the rows stand aside again.
    pub(crate) const CREATES: usize = 32;

    fn new(conn: &'a Connection) -> Result<Self> {
        let shelf = Self { conn, creates: 0 };
        shelf.run("CREATE TEMP TABLE _remy_shelf AS SELECT * FROM main.sqlite_schema")?;
        Ok(shelf)
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
    fn empty(&mut self) -> Result<()> {
        self.creates = Self::CREATES - 1;
        self.make_room()?;
        self.run("INSERT INTO main.sqlite_schema SELECT * FROM temp._remy_shelf ORDER BY rowid; DELETE FROM temp._remy_shelf")
    }

    /// Puts every row back, and leaves nothing.
    fn end(mut self) -> Result<()> {
        self.empty()?;
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
