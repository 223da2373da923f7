//! Texts, sizes and times. Names come from databases: nothing of them may disturb a terminal.

use remy_db::StepOutcome;
use std::{borrow::Cow, fmt::Write as _, mem::MaybeUninit};

/// Statements are shown up to here; `--json` has them whole.
const STATEMENT: usize = 200;

/// Text that cannot disturb a terminal: no control character, and none that turns the direction of
/// what follows.
pub fn plain(text: &str) -> Cow<'_, str> {
    let disturbs =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(disturbs) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => plain.push_str("\\n"),
            c if disturbs(c) => {
                let _ = write!(plain, "\\u{:04x}", u32::from(c));
            }
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// A line of its own, whatever is in it. Tabs stay: what stands below one is aligned by it.
pub fn one_line(text: &str) -> String {
    text.split('\t').map(plain).collect::<Vec<_>>().join("\t")
}

/// The lines of a text.
pub fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(one_line).collect()
}

/// The beginning of a text that is too long.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The lines of a message of a log. Only what a build says has several: elsewhere a line end is a
/// part of a name. What went well and is long is a statement.
pub fn message(step: &str, outcome: StepOutcome, message: &str) -> Vec<String> {
    if step == "build" {
        let mut lines = lines(message);
        lines
            .iter_mut()
            .skip(1)
            .for_each(|line| line.insert_str(0, "    "));
        return lines;
    }
    let line = one_line(message);
    vec![match outcome {
        StepOutcome::Ok => cut(&line, STATEMENT),
        _ => line,
    }]
}

/// What stands before a line.
pub fn mark(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Ok => "✓",
        StepOutcome::Warning => "!",
        StepOutcome::Failed => "✗",
    }
}

/// How long a step took; nothing of one that has no length.
pub fn took(ms: f64) -> String {
    if ms == 0.0 {
        String::new()
    } else if ms < 1.0 {
        "<1 ms".to_owned()
    } else if ms < 9_999.5 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    }
}

/// The beginning of a commit, with what says that the working tree was dirty.
pub fn commit(text: &str) -> String {
    let name = text.strip_suffix("-dirty").unwrap_or(text);
    let begin: String = name.chars().take(12).collect();
    format!("{begin}{}", &text[name.len()..])
}

/// `2026-01-31 17:05:09`, where the reader is. `at` in milliseconds since 1970.
pub fn time(at: i64) -> String {
    let seconds = at.div_euclid(1000);
    let mut there = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both are valid for the call, which does nothing to them but read the one and fill the
    // other; an all-zero `tm` is a valid one where it fills nothing.
    let there = unsafe {
        libc::localtime_r(&raw const seconds, there.as_mut_ptr());
        there.assume_init()
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        there.tm_year + 1900,
        there.tm_mon + 1,
        there.tm_mday,
        there.tm_hour,
        there.tm_min,
        there.tm_sec
    )
}

/// A text in double quotes.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_disturbs_a_terminal() {
        assert_eq!(
            plain("a\x1b[31m\u{202e}\n\u{9b}\x7f"),
            "a\\u001b[31m\\u202e\\n\\u009b\\u007f"
        );
        assert_eq!(plain("größe → ✓"), "größe → ✓");
        assert_eq!(one_line("a\tb\nc"), "a\tb\\nc");
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(cut("größe", 5), "größe");
        assert_eq!(cut("größe", 4), "grö…");
        assert_eq!(cut("ab", 0), "…");
    }

    #[test]
    fn times_have_a_unit() {
        let all = [0.0, 0.4, 1.0, 9_999.0, 12_345.0].map(took);
        assert_eq!(all, ["", "<1 ms", "1 ms", "9999 ms", "12.3 s"]);
    }

    #[test]
    fn a_commit_is_cut_and_stays_dirty() {
        assert_eq!(commit("0123456789abcdef-dirty"), "0123456789ab-dirty");
        assert_eq!(commit("main"), "main");
    }
}
