//! Aligned columns.

use super::text::plain;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    is_number: bool,
}

/// One of texts.
pub const fn text(title: &'static str) -> Column {
    let is_number = false;
    Column { title, is_number }
}

/// One of numbers, which stand at its right.
pub const fn number(title: &'static str) -> Column {
    let is_number = true;
    Column { title, is_number }
}

/// The last column of a table that is wider than the terminal is at least so wide.
const LEAST: usize = 20;

/// Rows of a table, under their titles. A column in which no row has anything is left out.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        let columns = columns.into();
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// A row, with a cell for every column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| plain(&cell).into_owned());
        self.rows.push(cells.collect());
    }

    /// The line of titles, and the lines of each row. What is wider than `room` goes on below in its
    /// last column: nothing is cut.
    pub fn rows(&self, room: Option<usize>) -> (String, Vec<Vec<String>>) {
        let shown: Vec<(usize, Column, usize)> = (self.columns.iter().enumerate())
            .filter(|(i, _)| self.rows.iter().any(|row| !row[*i].is_empty()))
            .map(|(i, column)| {
                let cells = self.rows.iter().map(|row| width(&row[i]));
                let widest = cells.max().unwrap_or_default();
                (i, *column, widest.max(width(column.title)))
            })
            .collect();
        let line = |cell: &dyn Fn(usize) -> String| {
            let cells = shown.iter().map(|(i, column, width)| {
                let cell = cell(*i);
                let gap = " ".repeat(width.saturating_sub(self::width(&cell)));
                if column.is_number {
                    gap + &cell
                } else {
                    cell + &gap
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let titles = line(&|i| self.columns[i].title.to_owned());
        let Some((last, _, _)) = shown.last() else {
            return (titles, vec![Vec::new(); self.rows.len()]);
        };
        let before: usize = shown
            .iter()
            .rev()
            .skip(1)
            .map(|(.., width)| width + 2)
            .sum();
        let room = room.map_or(usize::MAX, |room| room.saturating_sub(before).max(LEAST));
        let rows = self.rows.iter().map(|row| {
            let mut pieces = wrapped(&row[*last], room).into_iter();
            let first = pieces.next().unwrap_or_default();
            let begin = line(&|i| {
                if i == *last {
                    first.clone()
                } else {
                    row[i].clone()
                }
            });
            let more = pieces.map(|piece| " ".repeat(before) + &piece);
            std::iter::once(begin).chain(more).collect()
        });
        (titles, rows.collect())
    }

    /// All of its lines.
    pub fn lines(&self, room: Option<usize>) -> Vec<String> {
        let (titles, rows) = self.rows(room);
        std::iter::once(titles)
            .chain(rows.into_iter().flatten())
            .collect()
    }
}

/// Names and values, a line each. What has no value is left out.
pub fn list(pairs: &[(&str, String)]) -> Vec<String> {
    let there = pairs.iter().filter(|(_, value)| !value.is_empty());
    let widest = there
        .clone()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    there
        .map(|(name, value)| format!("{name:widest$}  {}", plain(value)))
        .collect()
}

pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// A text in lines of at most so many letters, which end between words where they can.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(room) {
        let (line, more) = match rest[..end].rfind(' ') {
            Some(space) if space > 0 => (&rest[..space], &rest[space + 1..]),
            _ => rest.split_at(end),
        };
        lines.push(line.to_owned());
        rest = more;
    }
    lines.push(rest.to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases() -> Table {
        let mut table = Table::new([number("N"), text("NOTHING"), text("NAME")]);
        table.row([
            "1".to_owned(),
            String::new(),
            "a name of several words".to_owned(),
        ]);
        table.row(["12".to_owned(), String::new(), "b\n".to_owned()]);
        table
    }

    #[test]
    fn numbers_stand_at_the_right_and_what_is_empty_nowhere() {
        let expected = [" N  NAME", " 1  a name of several words", "12  b\\n"];
        assert_eq!(releases().lines(None), expected);
    }

    #[test]
    fn what_is_too_wide_goes_on_below() {
        let expected = [" N  NAME", " 1  a name of several", "    words", "12  b\\n"];
        assert_eq!(releases().lines(Some(24)), expected);
        let mut long = Table::new([text("NAME")]);
        long.row(["x".repeat(45)]);
        let lines = long.lines(Some(1));
        assert_eq!(lines[1..].concat(), "x".repeat(45));
        assert_eq!(lines.len(), 4);
    }
}
