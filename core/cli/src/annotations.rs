//! Annotations of GitHub's workflows: what is wrong stands beside the line that is wrong.

use crate::{arguments::Place, failure::Failure, screen, show::text::lines};
use remy_db::internals::typescript::Fault;
use remy_db_app::place;
use std::{
    env,
    path::{Path, PathBuf},
};

/// Whether a workflow runs the command.
fn are_read() -> bool {
    env::var_os("GITHUB_ACTIONS").is_some_and(|is| is == "true")
}

/// Annotates what has failed: each fault of an app, or what it is.
pub fn fail(failure: &Failure, at: &Place) {
    let Failure::Error(error) = failure else {
        return;
    };
    if !are_read() {
        return;
    }
    if error.faults.is_empty() {
        say("error", &[], &format!("{}: {error}", error.error().code()));
        return;
    }
    let root = root(at);
    for fault in &error.faults {
        say("error", &place_of(fault, &root), &message(fault));
    }
}

/// Annotates what is odd.
pub fn warn(message: &str) {
    if are_read() {
        say("warning", &[], message);
    }
}

fn say(kind: &str, properties: &[(&str, String)], message: &str) {
    screen::say(&annotation(kind, properties, message));
}

fn annotation(kind: &str, properties: &[(&str, String)], message: &str) -> String {
    let properties: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped_whole(value)))
        .collect();
    let gap = if properties.is_empty() { "" } else { " " };
    let message = escaped(&lines(message).join("\n"));
    format!("::{kind}{gap}{}::{message}\n", properties.join(","))
}

/// As the runner takes a message.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// As it takes a property.
fn escaped_whole(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

fn message(fault: &Fault) -> String {
    match fault.pointer.as_deref() {
        Some(pointer) if !pointer.is_empty() => format!("{pointer}: {}", fault.message),
        _ => fault.message.clone(),
    }
}

fn place_of(fault: &Fault, root: &Path) -> Vec<(&'static str, String)> {
    let mut place = vec![("file", root.join(&fault.file).display().to_string())];
    if let Some(line) = fault.line {
        place.push(("line", line.to_string()));
        place.push(("col", fault.column.unwrap_or(1).to_string()));
    }
    place
}

/// The app's folder, from where the runner looks: it names files as the repository does.
fn root(at: &Place) -> PathBuf {
    let found = place::find(at.folder(), &at.named());
    let root = found.map_or_else(
        |_| at.folder().to_owned(),
        |found| found.root.unwrap_or(found.base),
    );
    let real = root.canonicalize().unwrap_or(root);
    let workspace = env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let workspace = workspace.or_else(|| env::current_dir().ok());
    let workspace = workspace.and_then(|workspace| workspace.canonicalize().ok());
    let inside =
        workspace.and_then(|workspace| real.strip_prefix(workspace).ok().map(Path::to_owned));
    inside.unwrap_or(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runner_would_take_for_its_own_is_escaped() {
        assert_eq!(
            annotation("warning", &[], "100 %\nof a:b, c\x1b"),
            "::warning::100 %25%0Aof a:b, c\\u001b\n"
        );
        let properties = [("file", "a,b:c%\n.ts".to_owned()), ("line", "3".to_owned())];
        assert_eq!(
            annotation("error", &properties, "x::y"),
            "::error file=a%2Cb%3Ac%25%0A.ts,line=3::x::y\n"
        );
    }
}
