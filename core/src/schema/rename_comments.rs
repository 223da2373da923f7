//! Renames that comments beside the definitions of a schema declare: `-- @renamed from=old`.

use crate::{
    schema::parse,
    sqlite::lex::{Kind, Token, close, tokens, tokens_and_comments},
};

/// A rename that a comment declares: of a table, or of a column of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommentedRename {
    /// The new name of the table, or the name of the column's table.
    pub table: String,
    /// The new name of the column.
    pub column: Option<String>,
    /// The old name.
    pub from: String,
}

/// The renames that `@renamed from=old` in comments of `sql` tell. `Err` holds the place of one
/// that belongs to nothing.
///
/// A comment belongs to the table or column that it stands before, or in, or behind on the same
/// line. One of an index, a view or a trigger is passed over: these have no rows, and are made anew
/// under any name.
pub(crate) fn renames(sql: &str) -> Result<Vec<CommentedRename>, usize> {
    // Most schemas have none, and reading the text once more costs a tenth of reading it as SQLite
    // does.
    if !sql.contains("@renamed") {
        return Ok(Vec::new());
    }
    let (tokens, comments) = tokens_and_comments(sql);
    let places = places(&tokens);
    let mut found = Vec::new();
    for comment in comments {
        let Some(from) = sql.get(comment.clone()).and_then(renamed_from) else {
            continue;
        };
        let next = tokens.partition_point(|token| token.start < comment.start);
        let lines_between =
            |a: usize, b: usize| sql.get(a..b).is_some_and(|text| text.contains('\n'));
        let previous = next.checked_sub(1);
        let behind = previous.is_some_and(|p| {
            let separates = tokens[p].is(",") || tokens[p].is("(") || tokens[p].is(";");
            let closes_line = tokens
                .get(next)
                .is_none_or(|t| lines_between(comment.start, t.start));
            !separates || (!lines_between(tokens[p].end(), comment.start) && closes_line)
        });
        let at = if behind { previous } else { Some(next) };
        match at.and_then(|at| places.get(at)) {
            Some(Place::Of(table, column)) => {
                found.push(CommentedRename {
                    table: table.clone(),
                    column: column.clone(),
                    from,
                });
            }
            Some(Place::WithoutRows) => {}
            Some(Place::Nowhere) | None => return Err(comment.start),
        }
    }
    Ok(found)
}

/// What a token is a part of.
#[derive(Debug, Clone)]
enum Place {
    Nowhere,
    /// The statement of an index, a view or a trigger.
    WithoutRows,
    /// The definition of a table, or of a column of it.
    Of(String, Option<String>),
}

/// For each token what it is a part of.
fn places(tokens: &[Token<'_>]) -> Vec<Place> {
    let mut places: Vec<Place> = vec![Place::Nowhere; tokens.len()];
    let mut start = 0;
    while start < tokens.len() {
        let makes = |what: &str| {
            tokens[start].is("CREATE")
                && tokens[start + 1..]
                    .iter()
                    .take(2)
                    .any(|token| token.is(what))
        };
        let is_virtual = makes("TABLE")
            && tokens
                .get(start + 1)
                .is_some_and(|token| token.is("VIRTUAL"));
        let is_table = makes("TABLE") && !is_virtual;
        // The statements in a trigger end with a ; each.
        let ends = |i: usize| tokens[i].is(";") && (!makes("TRIGGER") || tokens[i - 1].is("END"));
        let end = (start..tokens.len())
            .find(|&i| ends(i))
            .map_or(tokens.len(), |i| i + 1);
        if ["INDEX", "VIEW", "TRIGGER"].iter().any(|what| makes(what)) {
            places[start..end].fill(Place::WithoutRows);
        }
        if is_virtual {
            virtual_places(&tokens[start..end], &mut places[start..end]);
        }
        if is_table
            && let Some((open, name)) = parse::head(&tokens[start..end])
            && let Some(body_end) = close(tokens, start + open)
        {
            let open = start + open;
            places[start..end].fill(Place::Of(name.clone(), None));
            let mut item = open + 1;
            while item < body_end {
                let mut stop = item;
                while stop < body_end && !tokens[stop].is(",") {
                    stop = if tokens[stop].is("(") {
                        close(tokens, stop).unwrap_or(body_end)
                    } else {
                        stop
                    } + 1;
                }
                let constraint = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]
                    .iter()
                    .any(|w| tokens[item].is(w));
                if !constraint && let Some(column) = tokens[item].name() {
                    // With its comma, but not with what closes the table.
                    places[item..body_end.min(stop + 1)]
                        .fill(Place::Of(name.clone(), Some(column)));
                }
                item = stop + 1;
            }
        }
        start = end;
    }
    places
}

/// As [`places`], for a `CREATE VIRTUAL TABLE`: the arguments of SQLite's own modules begin with
/// the names of columns.
fn virtual_places(tokens: &[Token<'_>], places: &mut [Place]) {
    let Some(using) = tokens.iter().position(|token| token.is("USING")) else {
        return;
    };
    let Some(name) = using.checked_sub(1).and_then(|at| tokens[at].name()) else {
        return;
    };
    places.fill(Place::Of(name.clone(), None));
    let open = using + 2;
    let Some(end) = tokens
        .get(open)
        .filter(|token| token.is("("))
        .and_then(|_| close(tokens, open))
    else {
        return;
    };
    let mut item = open + 1;
    while item < end {
        let mut stop = item;
        while stop < end && !tokens[stop].is(",") {
            stop = if tokens[stop].is("(") {
                close(tokens, stop).unwrap_or(end)
            } else {
                stop
            } + 1;
        }
        // `+label` is a column of an R-Tree beside its coordinates, `content = t` an option.
        let at = item + usize::from(tokens[item].is("+"));
        let option = tokens.get(at + 1).is_some_and(|token| token.is("="));
        if let Some(column) = tokens
            .get(at)
            .filter(|_| at < stop && !option)
            .and_then(Token::name)
        {
            places[item..end.min(stop + 1)].fill(Place::Of(name.clone(), Some(column)));
        }
        item = stop + 1;
    }
}

/// `old` of `@renamed from=old` in a comment.
fn renamed_from(comment: &str) -> Option<String> {
    let after = comment.split_once("@renamed")?.1.trim_start();
    let tokens = tokens(after);
    match tokens.as_slice() {
        [from, equals, old, ..] if from.is("FROM") && equals.is("=") && old.kind != Kind::Value => {
            old.name()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_in_comments() {
        let sql = "-- @renamed from=clients\nCREATE TABLE customers ( id INTEGER, -- @renamed from=key\n\
            /* @renamed from=\"full name\" */ name TEXT,\n -- @renamed from=c\n d INT, e /* @renamed from=f */ INT -- x\n);\n\
            CREATE TABLE x (a INT -- @renamed from=z\n)";
        let found: Vec<_> = renames(sql)
            .unwrap()
            .into_iter()
            .map(|r| (r.column.unwrap_or(r.table), r.from))
            .collect();
        let expect = [
            ("customers", "clients"),
            ("id", "key"),
            ("name", "full name"),
            ("d", "c"),
            ("e", "f"),
            ("a", "z"),
        ];
        assert_eq!(found, expect.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(renames("SELECT 1 -- @renamed from=w"), Err(9));
        for sql in [
            "CREATE TABLE t(a);\n-- @renamed from=i\nCREATE UNIQUE INDEX j ON t(a)",
            "CREATE INDEX j ON t(a) -- @renamed from=i",
            "CREATE VIEW v AS SELECT 1 -- @renamed from=w",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; /* @renamed from=b */ SELECT 2; END; CREATE TABLE c(d)",
        ] {
            assert_eq!(renames(sql), Ok(vec![]), "{sql}");
        }
        assert_eq!(
            renames("CREATE TABLE t(a DEFAULT '-- @renamed from=b')"),
            Ok(vec![])
        );
    }

    #[test]
    fn renames_of_virtual_tables_and_their_columns() {
        let sql = "-- @renamed from=g\nCREATE VIRTUAL TABLE f USING fts5(a UNINDEXED, -- @renamed from=b\n c, content = t, tokenize = 'x');\n\
            CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, /* @renamed from=label */ +name);";
        let found: Vec<_> = renames(sql)
            .unwrap()
            .into_iter()
            .map(|r| (r.table, r.column, r.from))
            .collect();
        let column = |table: &str, column: &str, from: &str| {
            (table.to_owned(), Some(column.to_owned()), from.to_owned())
        };
        assert_eq!(
            found,
            [
                ("f".to_owned(), None, "g".to_owned()),
                column("f", "a", "b"),
                column("r", "name", "label")
            ]
        );
    }
}
