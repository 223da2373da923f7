//! What a predicate in JavaScript means, as SQL.
//!
//! JavaScript sees a row as the SDK gives it: a `boolean` column has `true` and `false`, a `json`
//! column what its text parses to, a `user` column the id alone, and NULL is `null`. Values of
//! different types are never equal; what is compared by order is made numbers of, unless both are
//! texts.
//!
//! Each condition is true exactly where the predicate is, and else false or NULL: `AND` and `OR`
//! keep that, and `NOT` is `IS NOT TRUE`. Texts are compared as `COLLATE BINARY`, whatever a column
//! says, and values are bound, never written.

use crate::{
    database::{
        guard::UTF16,
        request::{Comparison, Filter, Place},
        tables::{Column, Table},
        values::stored,
    },
    failure::Failure,
};
use remy_db::internals::{schema::app::Logical, sqlite::ident};
use rusqlite::types::Value as Stored;
use serde_json::Value;

/// More of them are filtered in JavaScript: SQLite binds at most 32,766.
const MOST_VALUES: usize = 10_000;

/// What stands before the id in a `user` column.
const USER: &str = "@@user@@";

/// A condition, and the values of its `?`s in their order.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) values: Vec<Stored>,
}

/// A column as SQL: with the table's name, as a quoted name alone is a string where there is no
/// such column.
pub(super) fn column_of(table: &Table, column: &Column) -> String {
    format!("{}.{}", ident(&table.name), ident(&column.name))
}

/// Makes SQL of a filter.
///
/// `invalid_column` where the table has no such column, and `filter_unsupported` where it means
/// what no SQL says: that one is filtered in JavaScript.
pub(super) fn condition(table: &Table, filter: &Filter) -> Result<Condition, Failure> {
    let mut made = Making {
        table,
        values: Vec::new(),
    };
    let sql = made.filter(filter)?;
    Ok(Condition {
        sql,
        values: made.values,
    })
}

fn unsupported(what: &str) -> Failure {
    Failure::new(
        "filter_unsupported",
        400,
        format!("{what} is filtered in JavaScript"),
    )
}

/// What a value is to JavaScript, as far as it can be in a filter.
enum Literal<'v> {
    Null,
    Text(&'v str),
    Number(&'v Value),
    Truth(bool),
    /// An object or array, which equals nothing.
    Other,
}

fn literal(value: &Value) -> Literal<'_> {
    match value {
        Value::Null => Literal::Null,
        Value::Bool(truth) => Literal::Truth(*truth),
        Value::Number(_) => Literal::Number(value),
        Value::String(text) => Literal::Text(text),
        Value::Object(object) if object.len() == 1 && object.contains_key("$number") => {
            Literal::Number(value)
        }
        Value::Array(_) | Value::Object(_) => Literal::Other,
    }
}

/// The number that JavaScript makes of a text; NaN for what is none.
fn number_of(text: &str) -> f64 {
    // What JavaScript takes for white space, and Rust does not, and the other way round.
    let text = text.trim_matches(|c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}');
    let digits = |radix, digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_alphanumeric());
        let value = digits.chars().try_fold(0.0, |sum, c| {
            c.to_digit(radix)
                .map(|digit| sum * f64::from(radix) + f64::from(digit))
        });
        value.filter(|_| plain).unwrap_or(f64::NAN)
    };
    match text.as_bytes() {
        [] => 0.0,
        [b'0', b'x' | b'X', ..] => digits(16, &text[2..]),
        [b'0', b'o' | b'O', ..] => digits(8, &text[2..]),
        [b'0', b'b' | b'B', ..] => digits(2, &text[2..]),
        _ => match text.trim_start_matches(['+', '-']) {
            "Infinity" if text.len() <= 9 && text.starts_with('-') => f64::NEG_INFINITY,
            "Infinity" if text.len() <= 9 => f64::INFINITY,
            // Rust reads `inf` and `nan`, too.
            rest if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                text.parse().unwrap_or(f64::NAN)
            }
            _ => f64::NAN,
        },
    }
}

struct Making<'t> {
    table: &'t Table,
    values: Vec<Stored>,
}

const FALSE: &str = "0";
const TRUE: &str = "1";

fn truth(truth: bool) -> String {
    if truth { TRUE } else { FALSE }.to_owned()
}

impl<'t> Making<'t> {
    fn filter(&mut self, filter: &Filter) -> Result<String, Failure> {
        match filter {
            Filter::All => Ok(truth(true)),
            Filter::And(all) => self.joined(all, "AND", TRUE),
            Filter::Or(all) => self.joined(all, "OR", FALSE),
            Filter::Not(inner) => Ok(format!("({} IS NOT TRUE)", self.filter(inner)?)),
            Filter::Equal(column, value) => {
                let (c, logical) = self.column(column)?;
                self.equal(&c, logical, value)
            }
            Filter::Compare(column, how, value) => self.compare(column, *how, value),
            Filter::Truthy(column) => {
                let (c, logical) = self.column(column)?;
                Ok(truthy(&c, logical))
            }
            Filter::In(column, values) => self.is_in(column, values),
            Filter::Text(column, place, text) => self.text(column, *place, text),
            Filter::Same(a, b) => self.same(a, b),
        }
    }

    /// As a tree of little depth: SQLite takes expressions of 1,000 levels.
    fn joined(&mut self, all: &[Filter], with: &str, none: &str) -> Result<String, Failure> {
        match all {
            [] => Ok(none.to_owned()),
            [one] => self.filter(one),
            all => {
                let (left, right) = all.split_at(all.len() / 2);
                let left = self.joined(left, with, none)?;
                let right = self.joined(right, with, none)?;
                Ok(format!("({left} {with} {right})"))
            }
        }
    }

    fn column(&self, name: &str) -> Result<(String, Logical), Failure> {
        let column = self.table.column(name)?;
        Ok((column_of(self.table, column), column.logical))
    }

    fn bind(&mut self, value: Stored) -> Result<&'static str, Failure> {
        self.values.push(value);
        if self.values.len() > MOST_VALUES {
            return Err(unsupported("so long a list of values"));
        }
        Ok("?")
    }

    fn equal(&mut self, c: &str, logical: Logical, value: &Value) -> Result<String, Failure> {
        Ok(match (logical, literal(value)) {
            (_, Literal::Other) => truth(false),
            (Logical::Json, Literal::Null) => {
                format!("({c} IS NULL OR {} = 'null')", json_type(c))
            }
            (_, Literal::Null) => format!("{c} IS NULL"),
            (Logical::Text, Literal::Text(text)) => {
                let v = self.bind(Stored::Text(text.into()))?;
                format!("{c} COLLATE BINARY IS {v}")
            }
            (Logical::User, Literal::Text(text)) => {
                let id = text.strip_prefix(USER).unwrap_or(text);
                let marked = self.bind(Stored::Text(format!("{USER}{id}")))?;
                let plain = self.bind(Stored::Text(id.into()))?;
                format!("({c} COLLATE BINARY IS {marked} OR {c} COLLATE BINARY IS {plain})")
            }
            // A text that is no number stays one in such a column.
            (Logical::Number | Logical::Boolean, Literal::Text(text)) => {
                let v = self.bind(Stored::Text(text.into()))?;
                format!("(typeof({c}) = 'text' AND {c} COLLATE BINARY IS {v})")
            }
            (Logical::Json, Literal::Text(text)) => {
                let (plain, parsed) = (Stored::Text(text.into()), Stored::Text(text.into()));
                let parsed = self.bind(parsed)?;
                let plain = self.bind(plain)?;
                format!(
                    "(CASE WHEN json_valid({c}) THEN json_type({c}) = 'text' AND json_extract({c}, '$') IS {parsed} \
                     ELSE {c} COLLATE BINARY IS {plain} END)"
                )
            }
            (Logical::Number, Literal::Number(number)) => {
                let v = self.bind(stored(number)?)?;
                format!("{c} IS {v}")
            }
            (Logical::Json, Literal::Number(number)) => {
                let v = self.bind(stored(number)?)?;
                format!(
                    "({} IN ('integer', 'real') AND json_extract({c}, '$') IS {v})",
                    json_type(c)
                )
            }
            (Logical::Boolean, Literal::Truth(false)) => format!("{c} IS 0"),
            // Whoever writes past the SDK may have put another number there.
            (Logical::Boolean, Literal::Truth(true)) => {
                format!("({c} <> 0 AND typeof({c}) IN ('integer', 'real'))")
            }
            (Logical::Json, Literal::Truth(truth)) => format!("{} = '{truth}'", json_type(c)),
            (Logical::Text | Logical::User | Logical::Boolean, Literal::Number(_))
            | (Logical::Text | Logical::User | Logical::Number, Literal::Truth(_)) => truth(false),
        })
    }

    fn compare(&mut self, column: &str, how: Comparison, value: &Value) -> Result<String, Failure> {
        let (c, logical) = self.column(column)?;
        let op = sign(how);
        let number = match literal(value) {
            Literal::Text(text) => number_of(text),
            Literal::Null => 0.0,
            Literal::Truth(truth) => f64::from(u8::from(truth)),
            Literal::Number(number) => match stored(number)? {
                Stored::Real(real) => real,
                #[expect(clippy::cast_precision_loss, reason = "as JavaScript has it")]
                Stored::Integer(whole) => whole as f64,
                _ => f64::NAN,
            },
            Literal::Other => return Err(unsupported("a comparison with an object")),
        };
        // NULL is 0 to it.
        let null = if holds(0.0, how, number) {
            format!(" OR {c} IS NULL")
        } else {
            String::new()
        };
        match (logical, literal(value)) {
            (Logical::Text | Logical::User, Literal::Text(text)) => {
                let collation = order_of(text);
                let v = self.bind(Stored::Text(text.into()))?;
                let c_text = text_of(&c, logical);
                Ok(format!(
                    "((typeof({c}) = 'text' AND {c_text} COLLATE {collation} {op} {v}){null})"
                ))
            }
            (Logical::Number | Logical::Boolean, _) if number.is_nan() => Ok(self
                .text_in_a_number(&c, value, op)?
                .unwrap_or(truth(false))),
            (Logical::Number | Logical::Boolean, _) => {
                let v = self.bind(Stored::Real(number))?;
                let seen = match logical {
                    Logical::Boolean => format!("({c} <> 0)"),
                    _ => c.clone(),
                };
                // A text is above all numbers in SQLite.
                let numbers = format!("({seen} {op} {v} AND typeof({c}) IN ('integer', 'real'))");
                let texts = self.text_in_a_number(&c, value, op)?;
                let texts = texts.map_or(String::new(), |texts| format!(" OR {texts}"));
                Ok(format!("({numbers}{texts}{null})"))
            }
            _ => Err(unsupported("an order of texts and numbers")),
        }
    }

    /// A text that is no number, in a column of numbers, compared with a text.
    fn text_in_a_number(
        &mut self,
        c: &str,
        value: &Value,
        op: &str,
    ) -> Result<Option<String>, Failure> {
        let Literal::Text(text) = literal(value) else {
            return Ok(None);
        };
        let collation = order_of(text);
        let v = self.bind(Stored::Text(text.into()))?;
        // `+`: without the column's affinity, which would make a number of the value.
        Ok(Some(format!(
            "(typeof({c}) = 'text' AND +{c} COLLATE {collation} {op} {v})"
        )))
    }

    fn is_in(&mut self, column: &str, values: &[Value]) -> Result<String, Failure> {
        let (c, logical) = self.column(column)?;
        let same_kind = |value: &Value| match logical {
            Logical::Text => value.is_string(),
            Logical::Number => value.is_number(),
            _ => false,
        };
        let (plain, others): (Vec<_>, Vec<_>) = values.iter().partition(|value| same_kind(value));
        let mut parts = Vec::new();
        if !plain.is_empty() {
            for value in &plain {
                self.bind(stored(value)?)?;
            }
            let places = vec!["?"; plain.len()].join(", ");
            let collate = if logical == Logical::Text {
                " COLLATE BINARY"
            } else {
                ""
            };
            parts.push(format!("{c}{collate} IN ({places})"));
        }
        let others: Vec<_> = others
            .into_iter()
            .map(|value| Filter::Equal(column.to_owned(), value.clone()))
            .collect();
        if !others.is_empty() {
            parts.push(self.joined(&others, "OR", FALSE)?);
        }
        Ok(match parts.as_slice() {
            [] => truth(false),
            parts => format!("({})", parts.join(" OR ")),
        })
    }

    fn text(&mut self, column: &str, place: Place, text: &str) -> Result<String, Failure> {
        let (c, logical) = self.column(column)?;
        let found = |making: &mut Self, c: &str| -> Result<String, Failure> {
            if place == Place::Anywhere {
                let v = making.bind(Stored::Text(text.into()))?;
                return Ok(format!("instr({c}, {v}) > 0"));
            }
            // By bytes: `substr` and `length` of a text end at a NUL.
            if text.is_empty() {
                return Ok(truth(true));
            }
            let [length, v] = [(); 2].map(|()| making.bind(Stored::Text(text.into())));
            let (length, v) = (length?, v?);
            let length = format!("length(CAST({length} AS BLOB))");
            let part = match place {
                Place::End => format!("-{length}"),
                _ => format!("1, {length}"),
            };
            Ok(format!(
                "substr(CAST({c} AS BLOB), {part}) = CAST({v} AS BLOB)"
            ))
        };
        if logical != Logical::Json {
            let found = found(self, &text_of(&c, logical))?;
            return Ok(format!("(typeof({c}) = 'text' AND {found})"));
        }
        let parsed = found(self, &format!("json_extract({c}, '$')"))?;
        let list = match place {
            // An array has `includes`, too.
            Place::Anywhere => {
                let v = self.bind(Stored::Text(text.into()))?;
                format!(
                    "EXISTS (SELECT 1 FROM json_each({c}) AS item WHERE item.type = 'text' AND item.value IS {v})"
                )
            }
            _ => truth(false),
        };
        let plain = found(self, &c)?;
        Ok(format!(
            "(typeof({c}) = 'text' AND CASE WHEN json_valid({c}) \
             THEN CASE json_type({c}) WHEN 'text' THEN {parsed} WHEN 'array' THEN {list} END ELSE {plain} END)"
        ))
    }

    fn same(&mut self, a: &str, b: &str) -> Result<String, Failure> {
        let ((a, of_a), (b, of_b)) = (self.column(a)?, self.column(b)?);
        let text = |logical| matches!(logical, Logical::Text | Logical::User);
        if of_a == Logical::Json || of_b == Logical::Json {
            return Err(unsupported("whether two values of JSON are the same"));
        }
        Ok(if text(of_a) && text(of_b) {
            format!(
                "({} COLLATE BINARY IS {})",
                text_of(&a, of_a),
                text_of(&b, of_b)
            )
        } else if of_a == of_b {
            format!("({a} COLLATE BINARY IS {b})")
        } else {
            format!("({a} IS NULL AND {b} IS NULL)")
        })
    }
}

fn sign(how: Comparison) -> &'static str {
    match how {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn holds(a: f64, how: Comparison, b: f64) -> bool {
    match how {
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}

/// The collation that orders texts beside this one as JavaScript does. Where it holds nothing above
/// U+D7FF, the order of code points is the same: an index may serve.
fn order_of(text: &str) -> &'static str {
    if text.chars().all(|c| u32::from(c) < 0xd800) {
        "BINARY"
    } else {
        UTF16
    }
}

/// The text that JavaScript sees.
fn text_of(c: &str, logical: Logical) -> String {
    match logical {
        // By bytes: `substr` of a text ends at a NUL.
        Logical::User => format!(
            "(CASE WHEN substr({c}, 1, {}) = '{USER}' \
             THEN CAST(substr(CAST({c} AS BLOB), 1 + length(CAST('{USER}' AS BLOB))) AS TEXT) ELSE {c} END)",
            USER.len()
        ),
        _ => c.to_owned(),
    }
}

/// The type that a text of JSON parses to. NULL where it does not: it is a text then.
fn json_type(c: &str) -> String {
    format!("(CASE WHEN json_valid({c}) THEN json_type({c}) END)")
}

fn truthy(c: &str, logical: Logical) -> String {
    match logical {
        Logical::Text => format!("{c} <> ''"),
        Logical::User => format!("{} <> ''", text_of(c, logical)),
        Logical::Number | Logical::Boolean => format!("({c} <> 0 AND {c} <> '')"),
        Logical::Json => format!(
            "(CASE WHEN {c} IS NULL THEN 0 WHEN NOT json_valid({c}) THEN {c} <> '' \
             ELSE CASE json_type({c}) WHEN 'null' THEN 0 WHEN 'false' THEN 0 WHEN 'text' THEN json_extract({c}, '$') <> '' \
             WHEN 'integer' THEN json_extract({c}, '$') <> 0 WHEN 'real' THEN json_extract({c}, '$') <> 0 ELSE 1 END END)"
        ),
    }
}
