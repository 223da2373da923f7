//! What the pragmas do not tell of a schema: read from the statements that SQLite has accepted and
//! kept.
//!
//! SQLite has parsed every statement that comes here, so this reads structure and never judges.
//! What it does not recognise makes it give up on the statement (`None`), and the statement is
//! compared as a whole.

use crate::{
    schema::{Check, ForeignKey, Generated, Key, KeyColumn},
    sqlite::lex::{Token, close, tokens},
};

/// A column as its definition says.
#[derive(Debug, Default, Clone)]
pub(super) struct ParsedColumn {
    pub name: String,
    pub definition: String,
    pub not_null: Option<String>,
    pub default: Option<String>,
    pub collate: Option<String>,
    pub generated: Option<Generated>,
}

/// A table as its statement says.
#[derive(Debug, Default, Clone)]
pub(super) struct ParsedTable {
    pub columns: Vec<ParsedColumn>,
    pub primary_key: Option<Key>,
    pub autoincrement: bool,
    pub uniques: Vec<Key>,
    pub checks: Vec<Check>,
    pub foreign_keys: Vec<ForeignKey>,
    pub without_rowid: bool,
    pub strict: bool,
}

struct Cursor<'t, 'a> {
    sql: &'a str,
    tokens: &'t [Token<'a>],
    at: usize,
}

/// Where the body of `CREATE TABLE name ( … )` opens, and its name.
pub(super) fn head(tokens: &[Token<'_>]) -> Option<(usize, String)> {
    let mut at = 1;
    while !tokens.get(at)?.is("TABLE") {
        at += 1;
    }
    at += 1;
    if tokens.get(at)?.is("IF") && tokens.get(at + 1)?.is("NOT") && tokens.get(at + 2)?.is("EXISTS")
    {
        at += 3;
    }
    if tokens.get(at + 1)?.is(".") {
        at += 2;
    }
    let name = tokens.get(at)?.name()?;
    tokens.get(at + 1)?.is("(").then_some((at + 1, name))
}

/// Reads a `CREATE TABLE`.
pub(super) fn table(sql: &str) -> Option<ParsedTable> {
    let tokens = tokens(sql);
    let (open, _) = head(&tokens)?;
    let end = close(&tokens, open)?;
    let mut table = ParsedTable::default();
    let mut cursor = Cursor {
        sql,
        tokens: &tokens[..end],
        at: open + 1,
    };
    while cursor.at < end {
        if !cursor.table_constraint(&mut table)? {
            cursor.column(&mut table)?;
        }
        cursor.eat(",");
    }
    for option in tokens[end + 1..].split(|t| t.is(",")) {
        match option {
            [] => {}
            [a, b] if a.is("WITHOUT") && b.is("ROWID") => table.without_rowid = true,
            [a] if a.is("STRICT") => table.strict = true,
            _ => return None,
        }
    }
    Some(table)
}

impl<'a> Cursor<'_, 'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at)
    }

    fn eat(&mut self, what: &str) -> bool {
        let is = self.peek().is_some_and(|token| token.is(what));
        self.at += usize::from(is);
        is
    }

    fn eat_all(&mut self, what: &[&str]) -> bool {
        let are = what
            .iter()
            .enumerate()
            .all(|(i, w)| self.tokens.get(self.at + i).is_some_and(|t| t.is(w)));
        if are {
            self.at += what.len();
        }
        are
    }

    fn name(&mut self) -> Option<String> {
        let name = self.peek()?.name()?;
        self.at += 1;
        Some(name)
    }

    /// The text between parentheses, the first of which is next.
    fn parenthesized(&mut self) -> Option<String> {
        if !self.peek()?.is("(") {
            return None;
        }
        let end = close(self.tokens, self.at)?;
        let text = &self.sql[self.tokens[self.at].end()..self.tokens[end].start];
        self.at = end + 1;
        Some(text.trim().to_owned())
    }

    fn conflict(&mut self) -> Option<String> {
        if self.eat_all(&["ON", "CONFLICT"]) {
            Some(self.name()?.to_ascii_lowercase())
        } else {
            Some("abort".into())
        }
    }

    fn constraint_name(&mut self) -> Option<Option<String>> {
        let mut name = None;
        while self.eat("CONSTRAINT") {
            name = Some(self.name()?);
        }
        Some(name)
    }

    fn key_columns(&mut self) -> Option<Vec<KeyColumn>> {
        if !self.eat("(") {
            return None;
        }
        let mut columns = Vec::new();
        loop {
            let mut column = KeyColumn {
                name: self.name()?,
                ..KeyColumn::default()
            };
            if self.eat("COLLATE") {
                column.collate = Some(self.name()?);
            }
            column.descending = self.eat("DESC");
            if !column.descending {
                self.eat("ASC");
            }
            columns.push(column);
            if self.eat(")") {
                return Some(columns);
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn names(&mut self) -> Option<Vec<String>> {
        Some(
            self.key_columns()?
                .into_iter()
                .map(|column| column.name)
                .collect(),
        )
    }

    /// `REFERENCES …`, its first word read.
    fn references(
        &mut self,
        name: Option<String>,
        columns: Vec<String>,
        inline: bool,
    ) -> Option<ForeignKey> {
        let parent = self.name()?;
        let parent_columns = if self.peek().is_some_and(|t| t.is("(")) {
            self.names()?
        } else {
            Vec::new()
        };
        let none = || "NO ACTION".to_owned();
        let mut key = ForeignKey {
            name,
            columns,
            parent,
            parent_columns,
            on_update: none(),
            on_delete: none(),
            deferred: false,
            inline,
        };
        loop {
            if self.eat("MATCH") {
                self.name()?;
            } else if self.eat_all(&["ON", "UPDATE"]) {
                key.on_update = self.action()?;
            } else if self.eat_all(&["ON", "DELETE"]) {
                key.on_delete = self.action()?;
            } else if self.eat_all(&["ON", "INSERT"]) {
                self.action()?;
            } else if let Some(deferred) = self.deferrable()? {
                key.deferred = deferred;
            } else {
                return Some(key);
            }
        }
    }

    fn action(&mut self) -> Option<String> {
        for action in [["SET", "NULL"], ["SET", "DEFAULT"], ["NO", "ACTION"]] {
            if self.eat_all(&action) {
                return Some(action.join(" "));
            }
        }
        let word = self.name()?.to_ascii_uppercase();
        ["CASCADE", "RESTRICT"]
            .contains(&word.as_str())
            .then_some(word)
    }

    /// `[NOT] DEFERRABLE [INITIALLY DEFERRED|IMMEDIATE]`: whether it makes the key deferred.
    fn deferrable(&mut self) -> Option<Option<bool>> {
        let not = self.eat_all(&["NOT", "DEFERRABLE"]);
        if !not && !self.eat("DEFERRABLE") {
            return Some(None);
        }
        let deferred = self.eat_all(&["INITIALLY", "DEFERRED"]);
        if !deferred {
            self.eat_all(&["INITIALLY", "IMMEDIATE"]);
        }
        Some(Some(deferred && !not))
    }

    /// Reads a table constraint, if one is next.
    fn table_constraint(&mut self, table: &mut ParsedTable) -> Option<bool> {
        let start = self.at;
        let name = self.constraint_name()?;
        if self.eat_all(&["PRIMARY", "KEY"]) {
            // `PRIMARY KEY(id AUTOINCREMENT)` is read by SQLite, too.
            let auto = self
                .tokens
                .get(self.at + 2)
                .is_some_and(|t| t.is("AUTOINCREMENT"));
            let columns = if auto {
                self.at += 1;
                let name = self.name()?;
                self.at += 2;
                vec![KeyColumn {
                    name,
                    ..KeyColumn::default()
                }]
            } else {
                self.key_columns()?
            };
            table.autoincrement |= auto;
            table.primary_key = Some(Key {
                name,
                columns,
                conflict: self.conflict()?,
                inline: false,
            });
        } else if self.eat("UNIQUE") {
            let columns = self.key_columns()?;
            table.uniques.push(Key {
                name,
                columns,
                conflict: self.conflict()?,
                inline: false,
            });
        } else if self.eat("CHECK") {
            table.checks.push(Check {
                name,
                expr: self.parenthesized()?,
                column: None,
            });
            self.conflict()?;
        } else if self.eat_all(&["FOREIGN", "KEY"]) {
            let columns = self.names()?;
            if !self.eat("REFERENCES") {
                return None;
            }
            let key = self.references(name, columns, false)?;
            table.foreign_keys.push(key);
        } else {
            // A name without a constraint is read over; without a name, this is a column.
            return Some(self.at > start);
        }
        Some(true)
    }

    /// Reads a column's definition.
    fn column(&mut self, table: &mut ParsedTable) -> Option<()> {
        let first = self.at;
        let mut column = ParsedColumn {
            name: self.name()?,
            ..ParsedColumn::default()
        };
        self.skip_type()?;
        let mut constraint = None;
        while self.column_constraint(&mut constraint, &mut column, table)? {}
        let last = &self.tokens[self.at - 1];
        column.definition = self.sql[self.tokens[first].start..last.end()].to_owned();
        table.columns.push(column);
        Some(())
    }

    /// Skips a column's type, which the pragmas tell, up to the column's first constraint.
    fn skip_type(&mut self) -> Option<()> {
        const ENDS: [&str; 12] = [
            ",",
            "CONSTRAINT",
            "PRIMARY",
            "NOT",
            "NULL",
            "UNIQUE",
            "CHECK",
            "DEFAULT",
            "COLLATE",
            "REFERENCES",
            "AS",
            "DEFERRABLE",
        ];
        while let Some(token) = self.peek() {
            let always = || self.tokens.get(self.at + 1).is_some_and(|t| t.is("ALWAYS"));
            if ENDS.iter().any(|end| token.is(end)) || (token.is("GENERATED") && always()) {
                break;
            }
            if token.is("(") {
                self.at = close(self.tokens, self.at)?;
            }
            self.at += 1;
        }
        Some(())
    }

    /// Reads a constraint of a column, or the name before one, which `constraint` holds until then.
    /// Returns whether there was one.
    fn column_constraint(
        &mut self,
        constraint: &mut Option<String>,
        column: &mut ParsedColumn,
        table: &mut ParsedTable,
    ) -> Option<bool> {
        let Some(token) = self.peek().copied() else {
            return Some(false);
        };
        // Table constraints may follow a column without a comma before them.
        if token.is(",") || token.is("FOREIGN") {
            return Some(false);
        }
        self.at += 1;
        match token.text.to_ascii_uppercase().as_str() {
            "CONSTRAINT" => *constraint = Some(self.name()?),
            "NULL" => {
                self.conflict()?;
            }
            "NOT" if self.eat("NULL") => column.not_null = Some(self.conflict()?),
            "NOT" | "DEFERRABLE" => {
                self.at -= 1;
                let deferred = self.deferrable()??;
                table.foreign_keys.last_mut()?.deferred = deferred;
            }
            "PRIMARY" if self.eat("KEY") => {
                let descending = self.eat("DESC");
                if !descending {
                    self.eat("ASC");
                }
                let key = self.column_key(constraint.take(), &column.name, descending)?;
                table.primary_key = Some(key);
                table.autoincrement |= self.eat("AUTOINCREMENT");
            }
            "UNIQUE" => {
                let key = self.column_key(constraint.take(), &column.name, false)?;
                table.uniques.push(key);
            }
            "CHECK" => {
                let expr = self.parenthesized()?;
                table.checks.push(Check {
                    name: constraint.take(),
                    expr,
                    column: Some(column.name.clone()),
                });
                self.conflict()?;
            }
            "DEFAULT" => column.default = Some(self.default()?),
            "COLLATE" => column.collate = Some(self.name()?),
            "REFERENCES" => {
                let columns = vec![column.name.clone()];
                let key = self.references(constraint.take(), columns, true)?;
                table.foreign_keys.push(key);
            }
            "GENERATED" if !self.eat_all(&["ALWAYS", "AS"]) => return None,
            "GENERATED" | "AS" => column.generated = Some(self.generated()?),
            _ => return None,
        }
        Some(true)
    }

    /// The key of one column, with the conflict clause that may follow it.
    fn column_key(&mut self, name: Option<String>, column: &str, descending: bool) -> Option<Key> {
        let column = KeyColumn {
            name: column.to_owned(),
            descending,
            ..KeyColumn::default()
        };
        Some(Key {
            name,
            columns: vec![column],
            conflict: self.conflict()?,
            inline: true,
        })
    }

    /// `(…) [STORED|VIRTUAL]`.
    fn generated(&mut self) -> Option<Generated> {
        let expr = self.parenthesized()?;
        let stored = self.eat("STORED");
        if !stored {
            self.eat("VIRTUAL");
        }
        Some(Generated { expr, stored })
    }

    fn default(&mut self) -> Option<String> {
        let first = self.at;
        if self.peek()?.is("(") {
            self.parenthesized()?;
        } else {
            if self.peek()?.is("+") || self.peek()?.is("-") {
                self.at += 1;
            }
            self.peek()?;
            self.at += 1;
        }
        Some(self.sql[self.tokens[first].start..self.tokens[self.at - 1].end()].to_owned())
    }
}

/// `sql`, a `CREATE TABLE` of the table `name`, as one that makes `new_name`.
///
/// The name is replaced where the statement names what it makes. Expressions that qualify a column
/// with the table's own name lose the qualifier, which means the same; references to the table
/// itself stay: they are due once it has its name.
pub(super) fn renamed_table(sql: &str, name: &str, new_name: &str) -> Option<String> {
    let tokens = tokens(sql);
    let (open, _) = head(&tokens)?;
    let mut out = format!("CREATE TABLE {} ", crate::sqlite::quote::ident(new_name));
    let mut copied = tokens[open].start;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        if token.may_name(name)
            && tokens.get(i + 1).is_some_and(|t| t.is("."))
            && !tokens[i - 1].is(".")
        {
            out.push_str(&sql[copied..token.start]);
            copied = tokens[i + 1].end();
        }
    }
    out.push_str(&sql[copied..]);
    Some(out)
}

/// An index, as its statement says.
#[derive(Debug, Clone)]
pub(super) struct ParsedIndex<'a> {
    pub unique: bool,
    /// The expressions, each with its COLLATE, without ASC and DESC.
    pub columns: Vec<String>,
    /// All between the parentheses, and what follows them.
    pub body: Vec<Token<'a>>,
    /// The condition of a partial index.
    pub condition: Option<String>,
}

/// Reads a `CREATE INDEX`.
pub(super) fn index(sql: &str) -> Option<ParsedIndex<'_>> {
    let tokens = tokens(sql);
    let on = tokens.iter().position(|token| token.is("ON"))?;
    let open = on + 2;
    let end = close(&tokens, open)?;
    let mut columns = Vec::new();
    let mut from = open + 1;
    let mut depth = 0usize;
    let mut body = Vec::new();
    for i in open + 1..=end {
        let token = &tokens[i];
        if depth == 0 && (token.is(",") || i == end) {
            let part = &tokens[from..i];
            let ordered = part.last().is_some_and(|t| t.is("ASC") || t.is("DESC"));
            let expr = if ordered {
                &part[..part.len() - 1]
            } else {
                part
            };
            columns.push(sql[expr.first()?.start..expr.last()?.end()].to_owned());
            // ASC is what an index has without it.
            body.extend(part.iter().filter(|t| !t.is("ASC")).copied());
            body.push(*token);
            from = i + 1;
        }
        depth = if token.is("(") {
            depth + 1
        } else {
            depth - usize::from(token.is(")") && i < end)
        };
    }
    body.extend(&tokens[end + 1..]);
    let condition = tokens
        .get(end + 1)
        .filter(|t| t.is("WHERE"))
        .map(|t| sql[t.end()..].trim().to_owned());
    let unique = tokens.get(1)?.is("UNIQUE");
    Some(ParsedIndex {
        unique,
        columns,
        body,
        condition,
    })
}

/// Reads a `CREATE VIRTUAL TABLE`: name, module, arguments.
pub(crate) fn virtual_table(sql: &str) -> Option<(String, String, String)> {
    let tokens = tokens(sql);
    let using = tokens.iter().position(|token| token.is("USING"))?;
    let name = tokens.get(using.checked_sub(1)?)?.name()?;
    let module = tokens.get(using + 1)?.name()?;
    let arguments = match tokens.get(using + 2) {
        Some(open) if open.is("(") => sql[open.end()..tokens[close(&tokens, using + 2)?].start]
            .trim()
            .to_owned(),
        _ => String::new(),
    };
    Some((name, module, arguments))
}

/// `sql`, a `CREATE VIRTUAL TABLE`, as one that makes `new_name`.
pub(super) fn renamed_virtual_table(sql: &str, new_name: &str) -> Option<String> {
    let tokens = tokens(sql);
    let using = tokens.iter().find(|token| token.is("USING"))?;
    Some(format!(
        "CREATE VIRTUAL TABLE {} {}",
        crate::sqlite::quote::ident(new_name),
        &sql[using.start..]
    ))
}

/// The tokens that say what a view or trigger is, without its own name's spelling: all after
/// `CREATE`.
pub(super) fn definition(sql: &str) -> Vec<Token<'_>> {
    let tokens = tokens(sql);
    let skip = |t: &Token<'_>| t.is("TEMP") || t.is("TEMPORARY");
    tokens.into_iter().skip(1).skip_while(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_column_can_say() {
        let sql = "CREATE TABLE t(a VARCHAR(10) CONSTRAINT x NOT NULL ON CONFLICT REPLACE DEFAULT (1+1) COLLATE NOCASE \
            CONSTRAINT u UNIQUE ON CONFLICT IGNORE CHECK(a <> ')') REFERENCES p ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, \
            b GENERATED ALWAYS AS (a || ',') STORED, c DEFAULT -5 PRIMARY KEY DESC, \
            CONSTRAINT fk FOREIGN KEY(a, b) REFERENCES q(x, y) ON UPDATE CASCADE CHECK(b) UNIQUE(a COLLATE RTRIM, b DESC)) STRICT, WITHOUT ROWID";
        let t = table(sql).unwrap();
        assert!(t.strict && t.without_rowid);
        let a = &t.columns[0];
        assert_eq!(a.not_null.as_deref(), Some("replace"));
        assert_eq!(
            (a.default.as_deref(), a.collate.as_deref()),
            (Some("(1+1)"), Some("NOCASE"))
        );
        assert_eq!(
            t.columns[1].generated,
            Some(Generated {
                expr: "a || ','".into(),
                stored: true
            })
        );
        assert_eq!(t.columns[2].default.as_deref(), Some("-5"));
        assert!(t.primary_key.as_ref().unwrap().columns[0].descending);
        assert_eq!(
            (t.uniques.len(), t.uniques[0].conflict.as_str()),
            (2, "ignore")
        );
        assert!(t.uniques[1].columns[1].descending);
        assert_eq!(t.checks.len(), 2);
        assert!(t.foreign_keys[0].deferred && t.foreign_keys[0].on_delete == "SET NULL");
        assert_eq!(t.foreign_keys[1].parent_columns, ["x", "y"]);
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        assert!(
            table("CREATE TABLE t(a INT FROBNICATE NULL SOMETHING(1) WHATEVER CHECK)").is_none()
        );
        assert!(table("CREATE TABLE t(a) SOMETHING").is_none());
    }

    #[test]
    fn a_table_is_renamed_but_its_strings_are_not() {
        let sql = "CREATE TABLE users(name CHECK(\"users\".name <> 'users.' AND Users.name <> ''), p REFERENCES users(name))";
        let new = renamed_table(sql, "users", "tmp").unwrap();
        assert_eq!(
            new,
            "CREATE TABLE \"tmp\" (name CHECK(name <> 'users.' AND name <> ''), p REFERENCES users(name))"
        );
    }

    #[test]
    fn an_index() {
        let i = index(
            "CREATE UNIQUE INDEX i ON t(a ASC, lower(b, ',') COLLATE NOCASE DESC) WHERE a > (1)",
        )
        .unwrap();
        assert!(i.unique);
        assert_eq!(i.columns, ["a", "lower(b, ',') COLLATE NOCASE"]);
        assert_eq!(i.condition.as_deref(), Some("a > (1)"));
    }
}
