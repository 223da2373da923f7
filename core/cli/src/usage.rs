//! What was typed, or one line that says what was expected.

use crate::{
    arguments::{self, Arguments, Command},
    failure::{Failure, usage},
    help,
    name::called,
    show::text::quoted,
};
use clap::{
    Arg, FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};
use remy_db::VERSION;
use std::{error::Error as _, ffi::OsString};

/// What came of the arguments.
pub enum Typed {
    /// A command, and its words: `dev start`.
    Command(Box<Arguments>, String),
    /// A text is asked for, which ends with a line end.
    Text(String),
    /// Nothing was typed: what there is, as such a text.
    Nothing(String),
}

/// Reads the arguments, of which the first is the program.
pub fn parse(argv: &[OsString]) -> Result<Typed, Failure> {
    let mut root = arguments::command();
    if argv.len() < 2 {
        let text = root.render_help().to_string();
        return Ok(Typed::Nothing(format!("{}\n", text.trim_end())));
    }
    let parsed = root
        .try_get_matches_from_mut(argv)
        .and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, words(&matches))));
    match parsed {
        Ok((arguments, words)) => {
            of_this_command(&arguments)?;
            Ok(Typed::Command(Box::new(arguments), words))
        }
        Err(e) if e.kind() == ErrorKind::DisplayVersion => Ok(Typed::Text(format!("{VERSION}\n"))),
        Err(e) if e.kind() == ErrorKind::DisplayHelp => {
            Ok(Typed::Text(format!("{}\n", e.to_string().trim_end())))
        }
        Err(e) => Err(usage(Told::new(&root, argv, &e).line())),
    }
}

fn words(matches: &clap::ArgMatches) -> String {
    let (mut words, mut at) = (Vec::new(), matches);
    while let Some((name, below)) = at.subcommand() {
        words.push(name);
        at = below;
    }
    words.join(" ")
}

/// The flags of all commands, where a command has them.
fn of_this_command(arguments: &Arguments) -> Result<(), Failure> {
    let command = match arguments.command {
        Command::Init { .. } => "init",
        Command::Build { .. } => "build",
        Command::Completions { .. } => "completions",
        Command::Version => "version",
        _ => return Ok(()),
    };
    let given = [
        ("db", arguments.place.db.is_some()),
        ("app", arguments.place.app.is_some()),
    ];
    for (flag, is_given) in given {
        if is_given && help::WITHOUT.contains(&(command, flag)) {
            return Err(usage(no_flag(
                &format!("{} {command}", called()),
                &format!("--{flag}"),
                None,
            )));
        }
    }
    Ok(())
}

fn no_flag(of: &str, flag: &str, near: Option<&str>) -> String {
    format!(
        "{of} has no flag {flag}{}: {of} --help lists them",
        meant(near)
    )
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(" ({near}?)"))
}

/// A mistake, and where it was made.
struct Told<'a> {
    argv: Vec<&'a str>,
    error: &'a clap::Error,
    /// The command, as far as there is one.
    command: &'a clap::Command,
    words: Vec<&'a str>,
}

impl<'a> Told<'a> {
    fn new(root: &'a clap::Command, argv: &'a [OsString], error: &'a clap::Error) -> Self {
        let argv: Vec<&str> = argv
            .iter()
            .skip(1)
            .filter_map(|word| word.to_str())
            .collect();
        let (mut command, mut words) = (root, Vec::new());
        let mut typed = argv.iter();
        while let Some(word) = typed.next() {
            if ["--db", "--app"].contains(word) {
                typed.next();
            } else if !word.starts_with('-') {
                match command.find_subcommand(word) {
                    Some(found) => command = found,
                    None => break,
                }
                words.push(*word);
            }
        }
        Self {
            argv,
            error,
            command,
            words,
        }
    }

    /// The one line.
    fn line(&self) -> String {
        let of = [&[called()], self.words.as_slice()].concat().join(" ");
        let shape = || help::shape(self.command, &self.words);
        let argument = self.text(ContextKind::InvalidArg);
        match self.error.kind() {
            ErrorKind::InvalidSubcommand => self.no_command(&of),
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                format!("{of} expects a command: {of} --help lists them")
            }
            ErrorKind::UnknownArgument if argument.starts_with('-') => no_flag(
                &of,
                &argument,
                self.near(ContextKind::SuggestedArg).as_deref(),
            ),
            ErrorKind::UnknownArgument => {
                format!(
                    "{} is one argument too many: {}",
                    quoted(&argument),
                    shape()
                )
            }
            ErrorKind::MissingRequiredArgument => {
                let name = argument.trim_matches(['<', '>']);
                format!("{of} expects {name}: {}", shape())
            }
            ErrorKind::ArgumentConflict => {
                let other = self.text(ContextKind::PriorArg);
                let (this, other_typed) = (self.typed(&argument), self.typed(&other));
                match other.is_empty() || other == argument {
                    true => format!("{this} is given twice"),
                    false => format!("{this} and {other_typed} do not go together"),
                }
            }
            ErrorKind::TooManyValues => format!("{} takes no value", self.typed(&argument)),
            ErrorKind::InvalidValue => match self.argument(&argument) {
                Some(found) => {
                    let help = found
                        .get_help()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    let (typed, name) = (self.typed(&argument), help::placeholder(found));
                    let value = self.text(ContextKind::InvalidValue);
                    match found.is_positional() {
                        true => format!("{typed} expects {help}, not {}", quoted(&value)),
                        false => format!("{typed} expects {name}: {help}"),
                    }
                }
                None => format!("{argument} expects a value"),
            },
            ErrorKind::ValueValidation => {
                let expected = self
                    .error
                    .source()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let value = quoted(&self.text(ContextKind::InvalidValue));
                format!("{} expects {expected}, not {value}", self.typed(&argument))
            }
            ErrorKind::InvalidUtf8 => format!("{of} was given a text that is not UTF-8"),
            _ => {
                let text = self.error.to_string();
                let line = text.lines().next().unwrap_or_default();
                line.trim_start_matches("error: ").to_owned()
            }
        }
    }

    fn no_command(&self, of: &str) -> String {
        let word = self.text(ContextKind::InvalidSubcommand);
        let near = meant(self.near(ContextKind::SuggestedSubcommand).as_deref());
        if self.words.is_empty() {
            return format!("there is no command {word}{near}: {of} --help lists them");
        }
        let all = self.command.get_subcommands().map(clap::Command::get_name);
        let all: Vec<_> = all.filter(|name| *name != "help").collect();
        format!("{of} has no {word}{near}: it has {}", all.join(", "))
    }

    /// The flag that an argument is, as it was typed: by its long name or its short one.
    fn typed(&self, argument: &str) -> String {
        let Some(found) = self.argument(argument) else {
            return argument.to_owned();
        };
        let (Some(long), short) = (found.get_long(), found.get_short()) else {
            return help::placeholder(found);
        };
        let long = format!("--{long}");
        match short {
            Some(short) if !self.argv.iter().any(|word| word.starts_with(&long)) => {
                format!("-{short}")
            }
            _ => long,
        }
    }

    /// The argument that clap shows as `--message <TEXT>` or `[RELEASE]`.
    fn argument(&self, shown: &str) -> Option<&Arg> {
        self.command
            .get_arguments()
            .find(|argument| argument.to_string() == shown)
    }

    fn text(&self, kind: ContextKind) -> String {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(all)) => all.first().cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The nearest name. The last of several is the nearest.
    fn near(&self, kind: ContextKind) -> Option<String> {
        match self.error.get(kind)? {
            ContextValue::String(text) => Some(text.clone()),
            ContextValue::Strings(all) => all.last().cloned(),
            _ => None,
        }
    }
}
