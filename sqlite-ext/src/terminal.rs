//! A verb's build log on the terminal of who calls it, as it is written.

use serde_json::Value;
use std::io::{IsTerminal, Write, stderr};

/// Whether somebody looks on.
pub fn is_there() -> bool {
    stderr().is_terminal()
}

/// Shows a line of the log, given as JSON.
pub fn show(line: &Value) {
    // Who has closed the terminal meanwhile misses the line, and nothing else.
    let _ = writeln!(stderr(), "{}", text(line));
}

/// What it was, to what, and how long it took.
fn text(line: &Value) -> String {
    let part = |key: &str| line[key].as_str();
    let mut text = format!("{}: ", part("step").unwrap_or_default());
    if part("outcome") != Some("ok") {
        text += part("outcome").unwrap_or_default();
        text += ": ";
    }
    text += part("message").unwrap_or_default();
    match line["duration_ms"].as_f64() {
        Some(ms) if ms >= 1.0 => text += &format!(" [{ms:.0} ms]"),
        _ => {}
    }
    // Names are whatever somebody has written into the database, and no orders to a terminal.
    let shown = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_orders_a_terminal_nothing() {
        let line = json!({"step": "rehearse", "outcome": "ok", "message": "ALTER t\u{1b}[2J\n", "duration_ms": 12.4});
        assert_eq!(text(&line), "rehearse: ALTER t\u{fffd}[2J\u{fffd} [12 ms]");
        let line = json!({"step": "check", "outcome": "warning", "message": "it is so", "duration_ms": 0.0});
        assert_eq!(text(&line), "check: warning: it is so");
    }
}
