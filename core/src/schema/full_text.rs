//! The arguments of a full-text table, and of what reads another's index.

use crate::{
    schema::{VirtualTable, parse},
    sqlite::{
        lex::{Token, tokens},
        quote::ident,
    },
};

/// Where a full-text table has its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// In tables of its own.
    Own,
    /// In another table or view.
    Other,
    /// Nowhere.
    Nothing,
}

impl Content {
    pub(crate) fn of(table: &VirtualTable) -> Self {
        match table.option("content").as_deref() {
            None => Self::Own,
            Some("") => Self::Nothing,
            Some(_) => Self::Other,
        }
    }
}

/// What FTS5 knows beside columns, in the order in which it looks: any beginning of such a word
/// means it.
const FTS5_OPTIONS: &[&str] = &[
    "prefix",
    "tokenize",
    "content",
    "contentless_delete",
    "contentless_unindexed",
    "content_rowid",
];

/// The name and module of a virtual table, and the statement that reads what it reads elsewhere:
/// the columns of the table that keeps its content, or the full-text table whose index it shows.
/// SQLite asks for them only when the table is read.
pub(crate) fn elsewhere(sql: &str) -> Option<(String, String)> {
    let (name, module, arguments) = parse::virtual_table(sql)?;
    let module = module.to_ascii_lowercase();
    let arguments = split(&arguments);
    let statement = match module.as_str() {
        "fts5" | "fts4" => of_content(&module, &arguments)?,
        "fts5vocab" | "fts4aux" => {
            // The database may stand before the table. Only the table's own module has such a
            // column.
            let at = match (module.as_str(), arguments.len()) {
                ("fts5vocab", 3) | ("fts4aux", 2) => 1,
                _ => 0,
            };
            let table = arguments.get(at)?.first()?.name()?;
            let column = if module == "fts5vocab" {
                "rank"
            } else {
                "docid"
            };
            format!("SELECT {column} FROM main.{}", ident(&table))
        }
        _ => return None,
    };
    Some((name, statement))
}

/// What a full-text table reads of the table that keeps its content; `None` where it keeps its own,
/// or none.
fn of_content(module: &str, arguments: &[Vec<Token<'_>>]) -> Option<String> {
    let mut columns = Vec::new();
    let (mut content, mut rowid) = (None, "rowid".to_owned());
    for argument in arguments {
        let Some(first) = argument.first() else {
            continue;
        };
        if !argument.get(1).is_some_and(|sign| sign.is("=")) {
            columns.extend(first.name());
            continue;
        }
        let value = argument.get(2).and_then(Token::name).unwrap_or_default();
        match option(module, first.text).as_str() {
            "content" => content = Some(value),
            "content_rowid" => rowid = value,
            // The language of a row is kept there, too.
            "languageid" => columns.push(value),
            _ => {}
        }
    }
    let content = content.filter(|content| !content.is_empty())?;
    let read: Vec<String> = std::iter::once(&rowid)
        .chain(&columns)
        .map(|name| format!("T.{}", ident(name)))
        .collect();
    Some(format!(
        "SELECT {} FROM main.{} AS T",
        read.join(", "),
        ident(&content)
    ))
}

/// The whole name of an option.
fn option(module: &str, given: &str) -> String {
    let given = given.to_ascii_lowercase();
    let begins = |option: &&&str| option.starts_with(&given);
    match FTS5_OPTIONS
        .iter()
        .find(begins)
        .filter(|_| module == "fts5")
    {
        Some(option) => (*option).to_owned(),
        None => given,
    }
}

/// The arguments, each as its tokens.
fn split(arguments: &str) -> Vec<Vec<Token<'_>>> {
    let mut split = vec![Vec::new()];
    let mut depth = 0usize;
    for token in tokens(arguments) {
        if depth == 0 && token.is(",") {
            split.push(Vec::new());
            continue;
        }
        depth = if token.is("(") {
            depth + 1
        } else {
            depth.saturating_sub(usize::from(token.is(")")))
        };
        split.last_mut().expect("one at least").push(token);
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_elsewhere() {
        for (arguments, reads) in [
            ("fts5(title, body UNINDEXED)", None),
            ("fts5(title, content='')", None),
            (
                "fts5(title, \"the body\", content=doc)",
                Some(r#"SELECT T."rowid", T."title", T."the body" FROM main."doc" AS T"#),
            ),
            (
                "fts5(content_rowid=id, content=\"a doc\", title)",
                Some(r#"SELECT T."id", T."title" FROM main."a doc" AS T"#),
            ),
            (
                "fts5(a, tokenize = 'porter', cont = 'doc')",
                Some(r#"SELECT T."rowid", T."a" FROM main."doc" AS T"#),
            ),
            (
                "fts4(content=\"doc\", body TEXT, languageid=lid)",
                Some(r#"SELECT T."rowid", T."body", T."lid" FROM main."doc" AS T"#),
            ),
            ("fts4(content='')", None),
            (
                "fts4(content=\"doc\")",
                Some(r#"SELECT T."rowid" FROM main."doc" AS T"#),
            ),
            (
                "fts5vocab(main, f, 'row')",
                Some(r#"SELECT rank FROM main."f""#),
            ),
            ("fts5vocab('f', col)", Some(r#"SELECT rank FROM main."f""#)),
            ("fts4aux(f)", Some(r#"SELECT docid FROM main."f""#)),
            ("rtree(id, a, b)", None),
        ] {
            let found = elsewhere(&format!("CREATE VIRTUAL TABLE v USING {arguments}"));
            assert_eq!(found.map(|(_, sql)| sql).as_deref(), reads, "{arguments}");
        }
    }
}
