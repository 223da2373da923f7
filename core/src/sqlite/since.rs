//! What came to SQLite with which version, of what a schema may hold: the oldest SQLite that reads
//! one, as far as remy knows.
//!
//! By the words of the statements. What an application registers under the name of a newer
//! function of SQLite's is taken for that one.

use crate::{
    base::{
        error::{Error, Result, State},
        object::Object,
        remedy::OptionName,
        version::SqliteVersion,
    },
    remedy,
    sqlite::lex::{self, Kind, Token},
};
use serde::Serialize;

/// The oldest SQLite that the extension loads into (3.34.1). What one of that age reads, nobody has
/// to be told of.
const FLOOR: SqliteVersion = SqliteVersion::of_3(34);

/// The oldest SQLite that reads a schema, as far as remy knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clients {
    /// Its version.
    pub oldest: SqliteVersion,
    /// What an older one does not read: a table, an index, a view or a trigger.
    pub object: String,
    /// What it does not know in that.
    pub feature: String,
}

/// Something that came to SQLite.
struct Came {
    /// With 3.this.
    minor: u16,
    /// What it is called in a sentence.
    what: &'static str,
    found: Found,
}

/// How it is found in a statement.
enum Found {
    /// By a call of one of these, in lower case.
    Calls(&'static [&'static str]),
    /// By its words.
    Words(fn(&[Token<'_>]) -> bool),
}
use Found::{Calls, Words};

const fn came(minor: u16, what: &'static str, found: Found) -> Came {
    Came { minor, what, found }
}

/// Newest first, from SQLite's own list of changes. Where one thing came in steps, the steps stand
/// in that order.
const CAME: &[Came] = &[
    came(
        53,
        "a function that inserts into a JSON array",
        Calls(&["json_array_insert", "jsonb_array_insert"]),
    ),
    came(
        51,
        "jsonb_each or jsonb_tree",
        Calls(&["jsonb_each", "jsonb_tree"]),
    ),
    came(50, "unistr()", Calls(&["unistr", "unistr_quote"])),
    came(
        48,
        "if(), or iif() of other than three arguments",
        Words(if_of_any_arguments),
    ),
    came(
        47,
        "RAISE() with an expression",
        Words(raises_an_expression),
    ),
    came(46, "digits in groups (1_000)", Words(groups_digits)),
    came(46, "json_pretty()", Calls(&["json_pretty"])),
    came(45, "a function of JSONB", Calls(JSONB)),
    came(44, "ORDER BY in an aggregate", Words(orders_an_aggregate)),
    came(
        44,
        "concat(), concat_ws() or string_agg()",
        Calls(&["concat", "concat_ws", "string_agg"]),
    ),
    came(
        43,
        "octet_length() or timediff()",
        Calls(&["octet_length", "timediff"]),
    ),
    came(42, "json_error_position()", Calls(&["json_error_position"])),
    came(41, "unhex()", Calls(&["unhex"])),
    came(39, "RIGHT JOIN or FULL JOIN", Words(joins_from_the_right)),
    came(
        39,
        "IS DISTINCT FROM",
        Words(|tokens| pair(tokens, &["DISTINCT"], &["FROM"])),
    ),
    came(
        38,
        "-> or ->>",
        Words(|tokens| tokens.iter().any(|token| token.is("->") || token.is("->>"))),
    ),
    came(
        38,
        "unixepoch() or format()",
        Calls(&["unixepoch", "format"]),
    ),
    came(37, "STRICT", Words(is_strict)),
    came(35, "a mathematical function", Calls(MATHEMATICAL)),
    came(35, "MATERIALIZED", Words(hints_at_a_table)),
    came(34, "substring()", Calls(&["substring"])),
    came(33, "UPDATE … FROM", Words(updates_from)),
    came(32, "iif()", Calls(&["iif"])),
    came(31, "a generated column", Words(generates)),
    came(30, "FILTER of an aggregate", Words(filters_an_aggregate)),
    came(
        30,
        "NULLS FIRST or NULLS LAST",
        Words(|tokens| pair(tokens, &["NULLS"], &["FIRST", "LAST"])),
    ),
    came(
        28,
        "EXCLUDE in a window",
        Words(|tokens| pair(tokens, &["EXCLUDE"], &["NO", "CURRENT", "GROUP", "TIES"])),
    ),
    came(25, "a window function", Words(has_a_window)),
    came(
        24,
        "ON CONFLICT DO",
        Words(|tokens| pair(tokens, &["DO"], &["NOTHING", "UPDATE"])),
    ),
];

const JSONB: &[&str] = &[
    "jsonb",
    "jsonb_array",
    "jsonb_extract",
    "jsonb_group_array",
    "jsonb_group_object",
    "jsonb_insert",
    "jsonb_object",
    "jsonb_patch",
    "jsonb_remove",
    "jsonb_replace",
    "jsonb_set",
];

const MATHEMATICAL: &[&str] = &[
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos", "cosh",
    "degrees", "exp", "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow", "power",
    "radians", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
];

/// The oldest SQLite that reads these objects, and why it is that one.
pub(crate) fn needed(objects: &[Object]) -> Option<Needed<'_>> {
    let all = objects.iter().filter_map(|object| {
        let tokens = lex::tokens(&object.sql);
        let came = CAME.iter().find(|came| came.is_in(&tokens))?;
        Some(Needed { object, came })
    });
    // Of two that need the same, the first.
    all.reduce(|a, b| if b.came.minor > a.came.minor { b } else { a })
}

/// What makes a schema as new as it is.
pub(crate) struct Needed<'o> {
    object: &'o Object,
    came: &'static Came,
}

impl Needed<'_> {
    /// Refuses what is newer than `clients` are.
    pub(crate) fn refuse(&self, clients: SqliteVersion) -> Result<()> {
        let (object, oldest) = (self.object, self.oldest());
        if oldest <= clients {
            return Ok(());
        }
        Err(Error::unsupported_change(format!(
            "the {} {} has {}, which SQLite reads from {oldest} on, and clients with {clients} are to use it",
            object.kind, object.name, self.came.what
        ))
        .object(object.name.clone())
        .sql(object.sql.clone())
        .state(State::LiveUnchanged)
        .hint(remedy![
            format!("Write it as {clients} reads it; or give every client a newer SQLite, and say so with "),
            OptionName::Clients,
        ]))
    }

    /// What is to be told, where it is worth telling.
    pub(crate) fn told(&self) -> Option<Clients> {
        (self.oldest() > FLOOR).then(|| Clients {
            oldest: self.oldest(),
            object: self.object.name.clone(),
            feature: self.came.what.to_owned(),
        })
    }

    fn oldest(&self) -> SqliteVersion {
        SqliteVersion::of_3(self.came.minor)
    }
}

impl Came {
    fn is_in(&self, tokens: &[Token<'_>]) -> bool {
        match self.found {
            Calls(names) => calls(tokens, names).next().is_some(),
            Words(found) => found(tokens),
        }
    }
}

/// Where one of these functions is called: the index of each opening parenthesis.
fn calls<'t>(tokens: &'t [Token<'_>], names: &'t [&str]) -> impl Iterator<Item = usize> + use<'t> {
    let is_one = |name: &Token<'_>| names.iter().any(|known| name.may_name(known));
    (1..tokens.len()).filter(move |&open| {
        tokens[open].is("(") && is_one(&tokens[open - 1]) && is_call(tokens, open)
    })
}

/// Whether a parenthesis opens the arguments of a function, and not the columns of a table, the
/// size of a type, a query or a window.
fn is_call(tokens: &[Token<'_>], open: usize) -> bool {
    // Words that an expression may follow. Behind any other word a name is a table's, or a type's.
    const BEFORE: &[&str] = &[
        "ALL",
        "AND",
        "BETWEEN",
        "BY",
        "CASE",
        "DISTINCT",
        "ELSE",
        "ESCAPE",
        "FROM",
        "GLOB",
        "HAVING",
        "IN",
        "IS",
        "JOIN",
        "LIKE",
        "LIMIT",
        "MATCH",
        "NOT",
        "OFFSET",
        "ON",
        "OR",
        "REGEXP",
        "RETURNING",
        "SELECT",
        "THEN",
        "VALUES",
        "WHEN",
        "WHERE",
    ];
    let Some([before, name]) = open.checked_sub(2).map(|at| [&tokens[at], &tokens[at + 1]]) else {
        return false;
    };
    let may_follow = match before.kind {
        Kind::Sign => !before.is("."),
        Kind::Word => {
            BEFORE.iter().any(|word| before.is(word)) && !(before.is("ON") && is(tokens, "INDEX"))
        }
        _ => false,
    };
    let is_name = matches!(name.kind, Kind::Word | Kind::Quoted)
        && !["OVER", "IN"].iter().any(|word| name.is(word));
    // `WITH a (b) AS (…)`, of which the second one may follow a comma.
    let is_of_a_query = || {
        let behind = lex::close(tokens, open).map(|close| close + 1);
        behind
            .and_then(|at| tokens.get(at..at + 2))
            .is_some_and(|two| two[0].is("AS") && two[1].is("("))
    };
    is_name && may_follow && !is_of_a_query()
}

/// Whether the statement makes an object of this kind.
fn is(tokens: &[Token<'_>], kind: &str) -> bool {
    tokens.iter().take(3).any(|token| token.is(kind))
}

/// Whether one of `first` is followed by one of `second`.
fn pair(tokens: &[Token<'_>], first: &[&str], second: &[&str]) -> bool {
    let is = |token: &Token<'_>, words: &[&str]| words.iter().any(|word| token.is(word));
    tokens
        .windows(2)
        .any(|two| is(&two[0], first) && is(&two[1], second))
}

/// How many arguments stand behind an opening parenthesis.
fn arguments(tokens: &[Token<'_>], open: usize) -> usize {
    let close = lex::close(tokens, open).unwrap_or(tokens.len());
    let mut depth = 0_usize;
    let commas = tokens[open..close].iter().filter(|token| {
        depth += usize::from(token.is("("));
        depth -= usize::from(token.is(")"));
        depth == 1 && token.is(",")
    });
    commas.count() + 1
}

fn if_of_any_arguments(tokens: &[Token<'_>]) -> bool {
    calls(tokens, &["if"]).next().is_some()
        || calls(tokens, &["iif"]).any(|open| arguments(tokens, open) != 3)
}

/// Before, it took a text alone.
fn raises_an_expression(tokens: &[Token<'_>]) -> bool {
    let raises =
        |at: usize| tokens[at].is("RAISE") && tokens.get(at + 3).is_some_and(|token| token.is(","));
    (0..tokens.len()).filter(|&at| raises(at)).any(|at| {
        let name = |token: &Token<'_>| token.name().is_some();
        !(tokens.get(at + 4).is_some_and(name)
            && tokens.get(at + 5).is_some_and(|token| token.is(")")))
    })
}

fn groups_digits(tokens: &[Token<'_>]) -> bool {
    tokens.iter().any(|token| {
        token.kind == Kind::Value
            && token
                .text
                .starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && token.text.contains('_')
    })
}

fn orders_an_aggregate(tokens: &[Token<'_>]) -> bool {
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is("(") {
            open.push(at);
        } else if token.is(")") {
            open.pop();
        } else if token.is("ORDER")
            && tokens.get(at + 1).is_some_and(|next| next.is("BY"))
            && open.last().is_some_and(|&open| is_call(tokens, open))
        {
            return true;
        }
    }
    false
}

fn joins_from_the_right(tokens: &[Token<'_>]) -> bool {
    pair(tokens, &["RIGHT", "FULL"], &["JOIN", "OUTER"])
}

fn hints_at_a_table(tokens: &[Token<'_>]) -> bool {
    let hints = |three: &[Token<'_>]| {
        (three[0].is("AS") || three[0].is("NOT")) && three[1].is("MATERIALIZED") && three[2].is("(")
    };
    tokens.windows(3).any(hints)
}

/// What stands behind the columns of a table.
fn is_strict(tokens: &[Token<'_>]) -> bool {
    let columns = tokens.iter().position(|token| token.is("("));
    let end = columns.and_then(|open| lex::close(tokens, open));
    is(tokens, "TABLE")
        && end.is_some_and(|end| tokens[end..].iter().any(|token| token.is("STRICT")))
}

/// An UPDATE of a trigger's with a FROM of its own.
fn updates_from(tokens: &[Token<'_>]) -> bool {
    let begins = |at: &usize| pair(&tokens[at - 1..=*at], &["BEGIN", ";"], &["UPDATE"]);
    (1..tokens.len()).filter(begins).any(|at| {
        let mut depth = 0_usize;
        let mut statement = tokens[at..].iter().take_while(|token| !token.is(";"));
        statement.any(|token| {
            depth += usize::from(token.is("("));
            depth = depth.saturating_sub(usize::from(token.is(")")));
            depth == 0 && token.is("FROM")
        })
    })
}

/// In a table's statement, AS stands before a parenthesis for nothing else.
fn generates(tokens: &[Token<'_>]) -> bool {
    is(tokens, "TABLE") && pair(tokens, &["AS"], &["("])
}

/// What closes before a word, and what follows the parentheses behind it.
fn filters_an_aggregate(tokens: &[Token<'_>]) -> bool {
    let filters = tokens.windows(3).enumerate();
    filters
        .filter(|(_, three)| three[0].is(")") && three[1].is("FILTER") && three[2].is("("))
        .any(|(at, _)| {
            let end = lex::close(tokens, at + 2);
            // A window function had it from the start.
            !end.and_then(|end| tokens.get(end + 1))
                .is_some_and(|next| next.is("OVER"))
        })
}

fn has_a_window(tokens: &[Token<'_>]) -> bool {
    pair(tokens, &[")"], &["OVER"])
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use std::{collections::BTreeSet, process::Command};

    fn object(kind: &str, sql: &str) -> Object {
        Object {
            kind: kind.to_owned(),
            name: "x".to_owned(),
            sql: sql.to_owned(),
        }
    }

    /// The statement that makes an object, and the version that it needs.
    const EXAMPLES: &[(u16, &str)] = &[
        (
            53,
            "CREATE VIEW x AS SELECT json_array_insert('[]', '$[0]', 1)",
        ),
        (51, "CREATE VIEW x AS SELECT key FROM jsonb_each('[1]')"),
        (50, "CREATE TABLE x (a CHECK (unistr(a) <> ''))"),
        (48, "CREATE TABLE x (a CHECK (if(a, 1, 2) = 1))"),
        (48, "CREATE VIEW x AS SELECT iif(a, max(1, 2)) FROM t"),
        (
            47,
            "CREATE TRIGGER x AFTER INSERT ON t WHEN new.a = 9 BEGIN SELECT RAISE(ABORT, 'no ' || new.a); END",
        ),
        (46, "CREATE TABLE x (a DEFAULT 1_000)"),
        (46, "CREATE VIEW x AS SELECT json_pretty('{}')"),
        (45, "CREATE INDEX x ON t (jsonb_extract(a, '$.b'))"),
        (
            44,
            "CREATE VIEW x AS SELECT group_concat(a, ',' ORDER BY a) FROM t",
        ),
        (44, "CREATE INDEX x ON t (concat(a, 'b'))"),
        (43, "CREATE TABLE x (a, CHECK (octet_length(a) < 9))"),
        (42, "CREATE VIEW x AS SELECT json_error_position(a) FROM t"),
        (41, "CREATE TABLE x (a, b AS (unhex(a)))"),
        (
            39,
            "CREATE VIEW x AS SELECT 1 FROM t RIGHT JOIN t AS u USING (a)",
        ),
        (
            39,
            "CREATE VIEW x AS SELECT 1 FROM t NATURAL FULL OUTER JOIN t AS u",
        ),
        (39, "CREATE TABLE x (a CHECK (a IS NOT DISTINCT FROM 1))"),
        (38, "CREATE INDEX x ON t (a ->> '$.b')"),
        (38, "CREATE TABLE x (a DEFAULT (unixepoch()))"),
        (37, "CREATE TABLE x (a TEXT) STRICT"),
        (
            37,
            "CREATE TABLE x (a TEXT PRIMARY KEY) WITHOUT ROWID, STRICT",
        ),
        (35, "CREATE VIEW x AS SELECT floor(a) FROM t"),
        (
            35,
            "CREATE VIEW x AS WITH c AS NOT MATERIALIZED (SELECT 1) SELECT * FROM c",
        ),
        (34, "CREATE VIEW x AS SELECT substring(a, 1) FROM t"),
        (
            33,
            "CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET a = u.b FROM t AS u WHERE u.a = t.a; END",
        ),
        (32, "CREATE VIEW x AS SELECT iif(a, max(1, 2), 3) FROM t"),
        (31, "CREATE TABLE x (a, b GENERATED ALWAYS AS (a) STORED)"),
        (
            30,
            "CREATE VIEW x AS SELECT sum(a) FILTER (WHERE (a) > 1) FROM t",
        ),
        (30, "CREATE VIEW x AS SELECT a FROM t ORDER BY a NULLS LAST"),
        (
            28,
            "CREATE VIEW x AS SELECT sum(a) OVER (ORDER BY a ROWS UNBOUNDED PRECEDING EXCLUDE TIES) FROM t",
        ),
        (
            25,
            "CREATE VIEW x AS SELECT sum(a) FILTER (WHERE a > 1) OVER w FROM t WINDOW w AS (ORDER BY a)",
        ),
        (
            24,
            "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING; END",
        ),
    ];

    fn minor(sql: &str) -> u16 {
        let kind = sql.split(' ').nth(1).unwrap().to_ascii_lowercase();
        needed(&[object(&kind, sql)]).map_or(0, |needed| needed.came.minor)
    }

    #[test]
    fn what_is_new_is_found_where_it_is_used() {
        for (since, sql) in EXAMPLES {
            assert_eq!(minor(sql), *since, "{sql}");
        }
        let used: BTreeSet<u16> = EXAMPLES.iter().map(|(minor, _)| *minor).collect();
        let known: BTreeSet<u16> = CAME.iter().map(|came| came.minor).collect();
        assert_eq!(used, known);
        assert!(CAME.is_sorted_by_key(|came| std::cmp::Reverse(came.minor)));
    }

    #[test]
    fn what_only_has_the_words_is_older() {
        for sql in [
            "CREATE TABLE concat (a, concat TEXT, strict, format VARCHAR(10), note concat(3))",
            "CREATE TABLE IF NOT EXISTS \"unhex\" (strict INTEGER REFERENCES concat (a))",
            "CREATE INDEX x ON concat (a)",
            "CREATE TABLE x (a DEFAULT '1_000 -> RIGHT JOIN', b_1 DEFAULT x'00', c1_0 CHECK (c1_0 IN (1, 2)))",
            "CREATE TABLE x (a CHECK (CAST(a AS TEXT) <> '' AND a IS NOT 1)) -- STRICT concat()",
            "CREATE VIEW x AS SELECT DISTINCT a, (SELECT a FROM t ORDER BY a LIMIT 1) FROM t WHERE a IN (SELECT 1 ORDER BY 1)",
            "CREATE VIEW x AS WITH concat(a) AS (SELECT 1) SELECT a FROM concat",
            "CREATE TRIGGER x AFTER UPDATE OF a ON t BEGIN INSERT INTO concat (a) SELECT a FROM t; SELECT RAISE(ABORT, 'no'); SELECT RAISE(IGNORE); END",
            "CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET a = (SELECT a FROM t); DELETE FROM t; END",
        ] {
            assert_eq!(minor(sql), 0, "{sql}");
        }
    }

    /// Made and compiled, as an SQLite that has it live does with it.
    fn script(sql: &str) -> String {
        let uses = match sql.split(' ').nth(1) {
            Some("VIEW") => "SELECT * FROM x",
            Some("TRIGGER") => "INSERT INTO t VALUES (7, 7)",
            _ => "SELECT 1",
        };
        format!("CREATE TABLE t (a UNIQUE, b); {sql}; {uses};")
    }

    /// The table is right as far as the SQLites that are here can tell: the engine takes all of it,
    /// and the shell of the system what it is new enough for, and nothing else.
    #[test]
    fn the_engine_and_the_shell_take_what_they_are_new_enough_for() {
        crate::sqlite::engine::init();
        for (_, sql) in EXAMPLES {
            let conn = Connection::open_in_memory().unwrap();
            conn.execute_batch(&script(sql))
                .unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let ask = |sql: &str| {
            let out = Command::new("sqlite3")
                .args(["-batch", "-bail", ":memory:", sql])
                .output();
            let out = out.expect("the sqlite3 shell");
            (out.status.success(), String::from_utf8(out.stdout).unwrap())
        };
        let version: SqliteVersion = ask("SELECT sqlite_version()").1.trim().parse().unwrap();
        for (since, sql) in EXAMPLES {
            let reads = SqliteVersion::of_3(*since) <= version;
            assert_eq!(ask(&script(sql)).0, reads, "{sql}");
        }
    }

    /// Functions that the engine has, and the shell of the system lacks, came since; those that do
    /// not come with every SQLite of a version are no matter of its version.
    #[test]
    fn every_function_that_came_since_is_in_the_table() {
        crate::sqlite::engine::init();
        const BUILT_IN_OR_NOT: &[&str] = &[
            "geopoly_",
            "sqlite_",
            "snippet",
            "fts",
            "rtree",
            "percentile",
            "median",
            "soundex",
            "dbpage",
        ];
        let list = "SELECT DISTINCT name FROM pragma_function_list ORDER BY name";
        let conn = Connection::open_in_memory().unwrap();
        let mut query = conn.prepare(list).unwrap();
        let engine = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let shell = Command::new("sqlite3")
            .args([":memory:", list])
            .output()
            .unwrap();
        let shell = String::from_utf8(shell.stdout).unwrap();
        let shell: BTreeSet<&str> = shell.lines().collect();
        let known = |name: &str| {
            let has = |came: &Came| matches!(came.found, Calls(names) if names.contains(&name));
            CAME.iter().any(has) || name == "if"
        };
        let unknown: Vec<String> = engine
            .map(Result::unwrap)
            .filter(|name| name.starts_with(|c: char| c.is_alphabetic()))
            .filter(|name| !shell.contains(name.as_str()) && !known(name))
            .filter(|name| !BUILT_IN_OR_NOT.iter().any(|start| name.starts_with(start)))
            .collect();
        assert_eq!(unknown, Vec::<String>::new());
    }
}
