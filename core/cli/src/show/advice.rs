//! What to do about an error, with the verbs and options as one types them here.

use crate::name::called;
use remy_db::{Allow, OptionName, Part, Remedy, VerbName};

/// What to do, in the words of this command.
pub fn worded(remedy: &Remedy) -> String {
    remedy.worded(&typed)
}

/// A message that ends with what to do, in the words of this command.
pub fn message(message: &str, remedy: Option<&Remedy>) -> String {
    let begin =
        remedy.and_then(|remedy| Some((message.strip_suffix(&remedy.to_string())?, remedy)));
    match begin {
        Some((begin, remedy)) => format!("{begin}{}", worded(remedy)),
        None => message.to_owned(),
    }
}

/// Leave as one types it.
pub fn leave(allow: Allow) -> &'static str {
    match allow {
        Allow::TypeChange => "type_change",
        Allow::Lossy => "lossy",
        Allow::Drop => "drop",
    }
}

fn typed(part: &Part) -> Option<String> {
    Some(match part {
        Part::Verb {
            verb,
            release,
            option,
        } => {
            let words = [
                Some(called().to_owned()),
                Some(command(*verb).to_owned()),
                release.map(|release| release.to_string()),
                option.map(flag),
            ];
            words.into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Part::Allow { allow } => {
            let all: Vec<_> = allow.iter().map(|allow| leave(*allow)).collect();
            format!("--allow {}", all.join(","))
        }
        Part::Rename { rename } => format!("--rename {}", argument(rename)),
        Part::Option { option } => flag(*option),
        _ => return None,
    })
}

/// What is called otherwise here than in the other faces.
fn command(verb: VerbName) -> &'static str {
    match verb {
        VerbName::BuildLog => "log",
        VerbName::DevList => "dev list",
        VerbName::DevStart => "dev start",
        VerbName::DevSync => "dev sync",
        verb => verb.as_str(),
    }
}

fn flag(option: OptionName) -> String {
    let name = match option {
        OptionName::Extensions => "extension",
        OptionName::Renames => "rename",
        option => option.as_str(),
    };
    format!("--{}", name.replace('_', "-"))
}

/// An argument as a shell takes it.
fn argument(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.=-".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments;
    use remy_db::remedy;

    #[test]
    fn verbs_and_options_are_typed() {
        let remedy = remedy![
            VerbName::DevList,
            " or ",
            Allow::TypeChange,
            ", ",
            Part::Rename {
                rename: "a.it's=b".to_owned()
            },
            ", ",
            VerbName::Publish.with(OptionName::DryRun),
            ", ",
            OptionName::Extensions,
        ];
        let here = r"remy dev list or --allow type_change, --rename 'a.it'\''s=b', remy publish --dry-run, --extension";
        assert_eq!(worded(&remedy), here);
        let whole = format!("It failed. {remedy}");
        assert_eq!(message(&whole, Some(&remedy)), format!("It failed. {here}"));
    }

    /// What is advised has to be there.
    #[test]
    fn every_verb_is_a_command_and_every_option_a_flag() {
        let root = arguments::command();
        for verb in VerbName::ALL {
            let mut at = &root;
            for word in command(*verb).split(' ') {
                at = at.find_subcommand(word).unwrap_or_else(|| panic!("{verb}"));
            }
        }
        let of_any = |name: &str| {
            let has = |command: &clap::Command| {
                command
                    .get_arguments()
                    .any(|arg| arg.get_long() == Some(name))
            };
            has(&root) || root.get_subcommands().any(has)
        };
        for option in OptionName::ALL {
            let flag = flag(*option);
            assert!(of_any(&flag[2..]), "{flag}");
        }
    }
}
