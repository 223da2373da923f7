//! What is known of a project's script `build` before it runs: whether type checks come before what
//! makes the page.

use serde_json::Value;

/// The program that makes the page, where all that comes before it are type checks: of
/// `tsc -b && vite build` it is vite. What those read is no input of the page: they say yes or no, and
/// what they write is looked for.
pub(super) fn bundler(scripts: &Value) -> Option<&str> {
    // npm runs it before.
    if !scripts["prebuild"].is_null() {
        return None;
    }
    let script = scripts["build"].as_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " &-_./@:".contains(c);
    if !script.chars().all(is_plain) || script.replace("&&", "").contains('&') {
        return None;
    }
    let mut commands = script.split("&&").map(str::trim).peekable();
    let mut checks = 0;
    while commands
        .peek()
        .is_some_and(|command| is_type_check(command))
    {
        commands.next();
        checks += 1;
    }
    let program = commands.next()?.split_ascii_whitespace().next()?;
    (checks > 0 && !program.contains('/') && program != "." && program != "..").then_some(program)
}

/// Whether a command does nothing but check types, but for what the settings let it write.
fn is_type_check(command: &str) -> bool {
    const FLAGS: [&str; 8] = [
        "-b",
        "--build",
        "--noEmit",
        "-p",
        "--project",
        "--force",
        "--pretty",
        "--skipLibCheck",
    ];
    let mut words = command.split_ascii_whitespace();
    words
        .next()
        .is_some_and(|program| ["tsc", "vue-tsc"].contains(&program))
        && words.all(|word| !word.starts_with('-') || FLAGS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_makes_the_page_is_known_where_all_before_it_are_type_checks() {
        for (build, expected) in [
            ("tsc -b && vite build", Some("vite")),
            (
                "tsc --noEmit -p tsconfig.app.json && vue-tsc && vite build --mode x",
                Some("vite"),
            ),
            ("vite build", None),
            ("tsc -b", None),
            ("tsc --outDir src/gen && vite build", None),
            ("tsc -b & vite build", None),
            ("tsc -b; vite build", None),
            ("tsc -b | tee x && vite build", None),
            ("node gen.js && tsc -b && vite build", None),
            ("tsc -b && ./node_modules/.bin/vite build", None),
            ("tsc -b && VITE_X=1 vite build", None),
        ] {
            assert_eq!(bundler(&json!({ "build": build })), expected, "{build}");
        }
        let before = json!({ "prebuild": "node gen.js", "build": "tsc -b && vite build" });
        assert_eq!(bundler(&before), None);
    }
}
