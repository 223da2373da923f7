//! What is known of a project's script `build` before it runs: whether type checks come before what
//! makes the page.

use serde_json::Value;

/// The program that makes the page, where all that comes before it are type checks: of
/// `tsc -b && vite build` it is vite. What those read is no input of the page: they say yes or no, and
/// what they write is looked for.
pub(super) fn bundler(scripts: &Value) -> Option<&str> {
    let commands = commands(scripts, "build", 0)?;
    let checks = commands
        .iter()
        .take_while(|command| is_type_check(command))
        .count();
    let program = commands.get(checks)?.split_ascii_whitespace().next()?;
    (checks > 0 && !program.contains('/') && !program.starts_with('.')).then_some(program)
}

/// How deep scripts call scripts.
const DEEPEST: u8 = 4;

/// The commands of a script, which run one after the other, with those of the scripts that they call.
/// Nothing, where a shell would do more with it than that.
fn commands<'a>(scripts: &'a Value, name: &str, depth: u8) -> Option<Vec<&'a str>> {
    let runs_around = |when: &str| !scripts[format!("{when}{name}")].is_null();
    // What comes behind the build as a whole comes behind the page.
    let is_around = runs_around("pre") || depth > 0 && runs_around("post");
    let script = scripts[name].as_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " &-_./@:".contains(c);
    if is_around
        || depth > DEEPEST
        || !script.chars().all(is_plain)
        || script.replace("&&", "").contains('&')
    {
        return None;
    }
    let mut all = Vec::new();
    for command in script.split("&&").map(str::trim) {
        match *command.split_ascii_whitespace().collect::<Vec<_>>() {
            ["npm", "run", other] => all.extend(commands(scripts, other, depth + 1)?),
            _ => all.push(command),
        }
    }
    Some(all)
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
            ("npm run check && vite build", Some("vite")),
            ("npm run check && npm run only", Some("vite")),
            ("vite build", None),
            ("tsc -b", None),
            ("tsc --outDir src/gen && vite build", None),
            ("tsc -b & vite build", None),
            ("tsc -b; vite build", None),
            ("tsc -b | tee x && vite build", None),
            ("node gen.js && tsc -b && vite build", None),
            ("tsc -b && ./node_modules/.bin/vite build", None),
            ("tsc -b && VITE_X=1 vite build", None),
            ("npm run checked && vite build", None),
            ("npm run gone && vite build", None),
            ("npm run circle && vite build", None),
        ] {
            let scripts = json!({
                "build": build, "check": "tsc -b", "only": "vite build", "checked": "tsc -b",
                "postchecked": "node gen.js", "circle": "npm run circle", "postbuild": "node more.js",
            });
            assert_eq!(bundler(&scripts), expected, "{build}");
        }
        let before = json!({ "prebuild": "node gen.js", "build": "tsc -b && vite build" });
        assert_eq!(bundler(&before), None);
    }
}
