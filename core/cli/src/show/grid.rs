//! What SQL returns: rows of any values, in columns of any names.

use super::{
    table::{width, wrapped},
    text::plain,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use remy_db::{Error, SqlValue};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::json;
use std::{collections::BTreeSet, fmt::Write as _};

/// A column of a grid that is wider than the terminal is at least so wide.
const LEAST: usize = 8;
/// So many bytes of a blob are shown; `--json` has all.
const BYTES: usize = 16;

/// The rows of a statement.
pub struct Grid {
    columns: Vec<String>,
    pub rows: Vec<Vec<SqlValue>>,
}

impl Grid {
    /// One without rows.
    pub fn new(columns: Vec<String>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Its lines, at most `room` wide: cells go on below, and where the columns are too many for
    /// that, each has a line of its own. Nothing is cut but blobs.
    pub fn lines(&self, room: Option<usize>) -> Vec<String> {
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|name| plain(name).into_owned())
            .collect();
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(cell).collect())
            .collect();
        let widths = (0..titles.len()).map(|i| {
            let cells = rows.iter().map(|row| width(&row[i]));
            cells.chain([width(&titles[i])]).max().unwrap_or_default()
        });
        let mut widths: Vec<usize> = widths.collect();
        if !fits(&mut widths, room) {
            return listed(&titles, &rows);
        }
        let numbers: Vec<bool> = (0..titles.len()).map(|i| self.is_of_numbers(i)).collect();
        let all = std::iter::once(&titles).chain(&rows);
        all.flat_map(|row| row_lines(row, &widths, &numbers))
            .collect()
    }

    fn is_of_numbers(&self, column: usize) -> bool {
        let values = || self.rows.iter().map(|row| &row[column]);
        values().any(|value| *value != SqlValue::Null)
            && values().all(|value| {
                matches!(
                    value,
                    SqlValue::Null | SqlValue::Integer(_) | SqlValue::Real(_)
                )
            })
    }
}

/// Makes the widest columns narrower until all stand side by side. Returns whether they can.
fn fits(widths: &mut [usize], room: Option<usize>) -> bool {
    let Some(room) = room else { return true };
    let gaps = 2 * widths.len().saturating_sub(1);
    let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
    while over > 0 {
        match widths.iter_mut().max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => return false,
        }
        over -= 1;
    }
    true
}

fn row_lines(row: &[String], widths: &[usize], numbers: &[bool]) -> Vec<String> {
    let cells = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrapped(cell, *width));
    let cells: Vec<Vec<String>> = cells.collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    let line = |n: usize| {
        let pieces = cells
            .iter()
            .zip(widths)
            .zip(numbers)
            .map(|((cell, room), is_number)| {
                let piece = cell.get(n).map(String::as_str).unwrap_or_default();
                let gap = " ".repeat(room.saturating_sub(width(piece)));
                match is_number {
                    true => gap + piece,
                    false => piece.to_owned() + &gap,
                }
            });
        pieces.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

/// A line a value, an empty line between rows.
fn listed(titles: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let widest = titles
        .iter()
        .map(|title| width(title))
        .max()
        .unwrap_or_default();
    let of_row = |row: &Vec<String>| {
        let pairs = titles.iter().zip(row);
        let lines = pairs.map(|(title, value)| format!("{title:widest$}  {value}"));
        lines.collect::<Vec<_>>()
    };
    rows.iter()
        .map(of_row)
        .collect::<Vec<_>>()
        .join(&String::new())
}

fn cell(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Integer(number) => number.to_string(),
        SqlValue::Real(number) => format!("{number:?}"),
        SqlValue::Text(text) => plain(text).into_owned(),
        SqlValue::Blob(bytes) => {
            let shown = &bytes[..bytes.len().min(BYTES)];
            let mut hex = String::from("x'");
            for byte in shown {
                let _ = write!(hex, "{byte:02x}");
            }
            match shown.len() < bytes.len() {
                true => format!("{hex}…' [{} bytes]", bytes.len()),
                false => hex + "'",
            }
        }
    }
}

/// The rows of a statement as JSON; none where there was none that has columns.
pub fn json(grid: Option<&Grid>) -> Result<String, Error> {
    let Some(grid) = grid else {
        return Ok("[]".to_owned());
    };
    let names = unlike(&grid.columns);
    let rows = grid.rows.iter().map(|row| Row { names: &names, row });
    serde_json::to_string(&rows.collect::<Vec<_>>()).map_err(|e| Error::internal(e.to_string()))
}

/// The names of columns, of which several may have one: `id`, `id:1`.
fn unlike(columns: &[String]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let own = columns.iter().map(|name| {
        let others = (1..).map(|n| format!("{name}:{n}"));
        let own = std::iter::once(name.clone())
            .chain(others)
            .find(|name| !taken.contains(name));
        let own = own.unwrap_or_default();
        taken.insert(own.clone());
        own
    });
    own.collect()
}

/// A row, its members in the order of the columns.
struct Row<'a> {
    names: &'a [String],
    row: &'a [SqlValue],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, value) in self.names.iter().zip(self.row) {
            let value = match value {
                SqlValue::Null => json!(null),
                SqlValue::Integer(number) => json!(number),
                // JSON has none that is not finite.
                SqlValue::Real(number) if number.is_finite() => json!(number),
                SqlValue::Real(number) => json!(format!("{number:?}")),
                SqlValue::Text(text) => json!(text),
                SqlValue::Blob(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
            };
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(vec!["id".to_owned(), "id".to_owned(), "note".to_owned()]);
        let text = |text: &str| SqlValue::Text(text.to_owned());
        grid.rows.push(vec![
            SqlValue::Integer(7),
            SqlValue::Real(0.5),
            text("several words that go on below"),
        ]);
        grid.rows.push(vec![
            SqlValue::Null,
            SqlValue::Real(f64::INFINITY),
            SqlValue::Blob(vec![0, 255]),
        ]);
        grid
    }

    #[test]
    fn a_grid_fits_the_terminal() {
        assert_eq!(
            grid().lines(None),
            [
                "  id   id  note",
                "   7  0.5  several words that go on below",
                "NULL  inf  x'00ff'",
            ]
        );
        assert_eq!(
            grid().lines(Some(26)),
            [
                "  id   id  note",
                "   7  0.5  several words",
                "           that go on",
                "           below",
                "NULL  inf  x'00ff'",
            ]
        );
        assert_eq!(
            grid().lines(Some(16)),
            [
                "id    7",
                "id    0.5",
                "note  several words that go on below",
                "",
                "id    NULL",
                "id    inf",
                "note  x'00ff'",
            ]
        );
        assert_eq!(Grid::new(vec!["a\n".to_owned()]).lines(None), ["a\\n"]);
    }

    #[test]
    fn json_loses_nothing() {
        assert_eq!(
            json(Some(&grid())).unwrap(),
            r#"[{"id":7,"id:1":0.5,"note":"several words that go on below"},{"id":null,"id:1":"inf","note":{"base64":"AP8="}}]"#
        );
        assert_eq!(json(None).unwrap(), "[]");
    }
}
