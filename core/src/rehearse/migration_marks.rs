//! The marks by which migration tools divide a file into what is to run and what undoes it:
//! comments, which SQLite passes over, so that both parts would run.
//!
//! `-- +goose Up`, `-- +migrate Up` (sql-migrate), `-- migrate:up` (dbmate), `-- rambler up`, a
//! plain `-- Up` (node-sqlite), `-- 1 up` (Mojolicious) or `-- Up Migration` (node-pg-migrate), and
//! the same with Down; `---- create above / drop below ----` (tern), `-- //@UNDO` (MyBatis).

use crate::{
    base::error::{Error, Result},
    sqlite::lex,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// What follows is to run.
    Up,
    /// What follows undoes it.
    Down,
    /// The same, of a tool that has no mark for what stands above.
    Below,
    /// goose puts variables of its environment into what follows.
    Variables,
}

/// The mark that a comment is, and whether it names a tool: then no other is of that tool.
fn mark(comment: &str) -> Option<(Mark, bool)> {
    let inner = comment.trim_start_matches(|c: char| c.is_whitespace() || "-/*".contains(c));
    let words: Vec<String> = inner
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let direction = |word: &str| match word {
        "up" | "ups" => Some(Mark::Up),
        "down" | "downs" | "undo" | "rollback" | "revert" => Some(Mark::Down),
        _ => None,
    };
    let of_a_tool = |mark: Option<Mark>| Some((mark?, true));
    match words.as_slice() {
        ["create", "above", "drop", "below"] => of_a_tool(Some(Mark::Below)),
        ["undo"] if inner.starts_with('@') => of_a_tool(Some(Mark::Below)),
        ["goose", "envsub", "on"] if inner.starts_with('+') => of_a_tool(Some(Mark::Variables)),
        // `+tool Up`, with words of the tool's behind it.
        [first, ..] if inner.starts_with('+') => {
            of_a_tool(direction(first).or_else(|| direction(words.get(1)?)))
        }
        ["migrate", second, ..]
            if inner
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case("migrate:")) =>
        {
            of_a_tool(direction(second))
        }
        // Nothing else: a comment that only speaks of it is none.
        _ => {
            let others = [
                "migration",
                "migrations",
                "migrate",
                "script",
                "section",
                "part",
                "sql",
                "rambler",
            ];
            let (told, rest): (Vec<_>, Vec<_>) =
                words.iter().partition(|word| direction(word).is_some());
            // Mojolicious counts: `-- 2 up`.
            let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
            let marks = told.len() == 1
                && rest
                    .iter()
                    .all(|word| others.contains(word) || number(word));
            direction(told.first()?)
                .filter(|_| marks)
                .map(|mark| (mark, words.contains(&"rambler")))
        }
    }
}

/// The part of the file `name` that is to run: all of it where it has no marks. What would undo it
/// is blanked, so that the lines keep their numbers.
///
/// Fails with `invalid_argument` where the marks do not tell.
pub(crate) fn up_part(name: &str, text: &str) -> Result<String> {
    let (tokens, comments) = lex::tokens_and_comments(text);
    let first_on_its_line = |at: usize| {
        text[..at]
            .rsplit('\n')
            .next()
            .is_some_and(|before| before.trim().is_empty())
    };
    let mut found: Vec<(usize, (Mark, bool))> = comments
        .into_iter()
        .filter(|comment| first_on_its_line(comment.start))
        .filter_map(|comment| Some((comment.start, mark(&text[comment])?)))
        .collect();
    if found.iter().any(|(_, (_, of_a_tool))| *of_a_tool) {
        found.retain(|(_, (_, of_a_tool))| *of_a_tool);
    }
    let marks: Vec<(usize, Mark)> = found
        .into_iter()
        .map(|(at, (mark, _))| (at, mark))
        .collect();
    let refused = |at: usize, what: &str, hint: &str| {
        let line = text[..at].matches('\n').count() + 1;
        Err(
            Error::invalid_argument(format!("the migration {name}, line {line}: {what}"))
                .object(name)
                .hint(hint),
        )
    };
    if let Some((at, _)) = marks.iter().find(|(_, mark)| *mark == Mark::Variables) {
        return refused(
            *at,
            "goose would put variables of its environment here, which remy does not",
            "Write them out",
        );
    }
    let statements = |from: usize, to: usize| {
        tokens
            .iter()
            .any(|t| t.start >= from && t.start < to && !t.is(";"))
    };
    // From each mark to the next: what undoes something, if there is anything.
    let ends = marks.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let parts: Vec<(usize, usize, Mark)> = marks
        .iter()
        .zip(ends)
        .map(|((at, mark), end)| (*at, end, *mark))
        .collect();
    let undoes = |part: &&(usize, usize, Mark)| part.2 != Mark::Up && statements(part.0, part.1);
    let Some(first) = parts.iter().find(undoes) else {
        return Ok(text.to_owned());
    };
    if first.2 == Mark::Down {
        if !parts.iter().any(|part| part.2 == Mark::Up) {
            let what =
                "a mark says that what follows undoes the migration, and none says what is to run";
            return refused(
                first.0,
                what,
                "Put a mark of the same kind, with up for down, above what is to run",
            );
        }
        if statements(0, parts[0].0) {
            let what =
                "statements stand above the first mark, and nothing says whether they are to run";
            return refused(
                parts[0].0,
                what,
                "Move them below a mark, or reword the comment if it is none",
            );
        }
    }
    let mut up = text[..parts[0].0].to_owned();
    for (at, end, mark) in parts {
        match mark {
            Mark::Up => up.push_str(&text[at..end]),
            _ => up.extend(text[at..end].chars().filter(|c| *c == '\n')),
        }
    }
    up.truncate(up.trim_end().len());
    Ok(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_tools() {
        for (comment, expected) in [
            ("-- +goose Up", Some(Mark::Up)),
            ("--+goose  DOWN", Some(Mark::Down)),
            ("-- +goose StatementBegin", None),
            ("-- +goose NO TRANSACTION", None),
            ("-- +goose ENVSUB ON", Some(Mark::Variables)),
            ("-- +goose ENVSUB OFF", None),
            ("-- +migrate Up notransaction", Some(Mark::Up)),
            ("-- +micrate Down", Some(Mark::Down)),
            ("-- +down", Some(Mark::Down)),
            ("-- migrate:up transaction:false", Some(Mark::Up)),
            ("-- migrate:down\r", Some(Mark::Down)),
            ("-- rambler down", Some(Mark::Down)),
            ("--------- Up", Some(Mark::Up)),
            ("-- Down Migration", Some(Mark::Down)),
            ("-- 1 up (initial)", None),
            ("-- 12 down", Some(Mark::Down)),
            ("-- ==== DOWN ====", Some(Mark::Down)),
            ("/* down */", Some(Mark::Down)),
            ("--- !Downs", Some(Mark::Down)),
            ("-- //@UNDO", Some(Mark::Below)),
            ("---- create above / drop below ----", Some(Mark::Below)),
            ("-- migrate users up to now", None),
            ("-- Down the line this becomes a view", None),
            ("-- rolled up and written down", None),
            ("-- up and down", None),
            ("--> statement-breakpoint", None),
            ("--rollback DROP TABLE t;", None),
            ("-- +", None),
            ("--", None),
        ] {
            assert_eq!(mark(comment).map(|(mark, _)| mark), expected, "{comment}");
        }
    }

    #[test]
    fn what_undoes_is_left_out_and_lines_keep_their_numbers() {
        let up = |text: &str| up_part("1.sql", text).unwrap();
        let whole = "-- +goose Up\nSELECT 1;\n-- +goose Down\n-- nothing\n";
        assert_eq!(up(whole), whole, "nothing there undoes anything");
        let text = "-- migrate:up\nSELECT '\n-- migrate:down\n';\n-- migrate:down\nDROP TABLE t;\n";
        assert_eq!(up(text), "-- migrate:up\nSELECT '\n-- migrate:down\n';");
        assert_eq!(
            up("-- Down\nDROP TABLE t;\n-- Up\nSELECT 1"),
            "\n\n-- Up\nSELECT 1"
        );
        let text = "-- +goose Up\nSELECT 1;\n-- down\nSELECT 2;\n-- +goose Down\nDROP TABLE t;";
        assert_eq!(
            up(text),
            "-- +goose Up\nSELECT 1;\n-- down\nSELECT 2;",
            "a comment is no mark of goose's"
        );
        assert_eq!(
            up("SELECT 1;\n---- create above / drop below ----\nDROP TABLE t"),
            "SELECT 1;"
        );
        for text in [
            "SELECT 1;\n-- Down\nDROP TABLE t",
            "SELECT 0;\n-- Up\nSELECT 1;\n-- Down\nDROP TABLE t",
        ] {
            let e = up_part("1_a.sql", text).unwrap_err();
            assert!(
                e.code() == "invalid_argument" && e.to_string().contains("1_a.sql, line 2"),
                "{e}"
            );
        }
    }
}
