//! What `--help` says, in the words of how the command was called.

use crate::name::called;
use clap::{Arg, ArgAction, Command, builder::StyledStr};
use std::path::PathBuf;

/// What a command has not that all have: it is about no database, or about no folder.
pub const WITHOUT: [(&str, &str); 7] = [
    ("init", "db"),
    ("init", "app"),
    ("build", "db"),
    ("completions", "db"),
    ("completions", "app"),
    ("version", "db"),
    ("version", "app"),
];

/// A command whose texts name it as it was called, with an overview in the place of clap's own.
pub fn finish(root: Command) -> Command {
    let overview = overview(&root, &[]);
    let of_groups = ["dev", "secrets"].map(|name| {
        let group = root.find_subcommand(name);
        (name, group.map(|group| of_group(group, name)))
    });
    let mut root = texts(root.bin_name(called())).override_help(overview);
    for (name, overview) in of_groups {
        if let Some(overview) = overview {
            root = root.mut_subcommand(name, |group| group.override_help(overview));
        }
    }
    for (command, flag) in WITHOUT {
        // It is refused by usage.rs. The one of all commands would be shown in its help.
        let own = Arg::new(flag).long(flag).hide(true);
        let own = own.value_parser(clap::value_parser!(PathBuf));
        root = root.mut_subcommand(command, |command| command.arg(own));
    }
    root
}

/// Every command of a group, and an example of the group itself where it is a command, too.
fn of_group(group: &Command, name: &str) -> String {
    let overview = format!("{}{}", overview(group, &[name]), flags(group));
    match group.get_after_help() {
        Some(example) => format!("{overview}\n\n{}", as_called(&example.to_string())),
        None => overview,
    }
}

/// The flags of a group that is a command, too.
fn flags(group: &Command) -> String {
    let own = group.get_arguments().filter_map(|argument| {
        let long = argument.get_long().filter(|_| !argument.is_hide_set())?;
        let value = match argument.get_action().takes_values() {
            true => format!(" {}", placeholder(argument)),
            false => String::new(),
        };
        let help = argument.get_help().map(ToString::to_string);
        Some((
            format!("--{long}{value}"),
            as_called(&help.unwrap_or_default()),
        ))
    });
    let rows = Vec::from_iter(own);
    let widest = rows.iter().map(|(flag, _)| flag.chars().count()).max();
    let Some(widest) = widest.filter(|_| !group.is_subcommand_required_set()) else {
        return String::new();
    };
    let rows = rows
        .iter()
        .map(|(flag, help)| format!("\n  {flag:widest$}  {help}"));
    format!("\n\nWithout a command:{}", rows.collect::<String>())
}

/// Every command of a group, and of all.
fn overview(group: &Command, within: &[&str]) -> String {
    let mut rows = Vec::new();
    let mut open = vec![(group, within.to_vec())];
    while let Some((command, words)) = open.pop() {
        if command.is_hide_set() {
            continue;
        }
        let is_one = !command.has_subcommands();
        if !is_one {
            let all: Vec<_> = command.get_subcommands().collect();
            open.extend(
                all.into_iter()
                    .rev()
                    .map(|sub| (sub, [words.as_slice(), &[sub.get_name()]].concat())),
            );
        }
        if is_one || !command.is_subcommand_required_set() {
            let about = command
                .get_about()
                .map(StyledStr::to_string)
                .unwrap_or_default();
            rows.push((shape(command, &words), as_called(&about)));
        }
    }
    let widest = rows
        .iter()
        .map(|(shape, _)| shape.chars().count())
        .max()
        .unwrap_or_default();
    let rows = rows
        .iter()
        .map(|(shape, about)| format!("  {shape:widest$}  {about}\n"));
    let called = called();
    format!(
        "remy deploys an SQLite database like code: publish, switch in one transaction, roll back.\n\n{}\n{called} COMMAND --help says more of each. Exit status: 0 ok, 1 failure, 2 usage, 3 refused, 4 busy, 130 called off.",
        rows.collect::<String>()
    )
}

/// A command as it is typed: `remy files RELEASE [PATH]`.
pub fn shape(command: &Command, words: &[&str]) -> String {
    let shown = command
        .get_positionals()
        .filter(|argument| !argument.is_hide_set());
    let arguments = shown.map(|argument| {
        let name = placeholder(argument);
        match argument.is_required_set() {
            true => name,
            false => format!("[{name}]"),
        }
    });
    let called = std::iter::once(called().to_owned());
    let words = called.chain(words.iter().map(|word| (*word).to_owned()));
    words.chain(arguments).collect::<Vec<_>>().join(" ")
}

/// What stands for a value.
pub fn placeholder(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names.first().map(ToString::to_string).unwrap_or_default()
}

/// Its texts, and those of its commands, name it as it was called. A switch may be given again.
fn texts(command: Command) -> Command {
    let worded = |text: Option<&StyledStr>| text.map(|text| as_called(&text.to_string()));
    let about = worded(command.get_about());
    let example = worded(command.get_after_help());
    let mut command = command.mut_args(|argument| {
        let help = worded(argument.get_help());
        let argument = match help {
            Some(help) => argument.help(help),
            None => argument,
        };
        match argument.get_action() {
            ArgAction::SetTrue => {
                let own = argument.get_id().clone();
                argument.overrides_with(own)
            }
            _ => argument,
        }
    });
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(example) = example {
        command = command.after_help(example);
    }
    command.mut_subcommands(texts)
}

/// A text in which `remy COMMAND` is what one types here.
fn as_called(text: &str) -> String {
    const COMMANDS: [&str; 4] = ["promote", "publish", "build", "releases"];
    let (called, mut worded) = (called(), text.to_owned());
    for command in COMMANDS {
        worded = worded.replace(&format!("remy {command}"), &format!("{called} {command}"));
    }
    match worded.strip_prefix("  remy ") {
        Some(example) => format!("  {called} {example}"),
        None => worded,
    }
}
