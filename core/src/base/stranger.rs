//! What SQLite says it does not have: an application's function, collation, module or tokenizer.

use crate::{
    base::remedy::{OptionName, Remedy},
    remedy,
};

/// Something that SQLite said it does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stranger {
    pub kind: Kind,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Function,
    /// A function that is called as only an aggregate can be.
    Aggregate,
    /// A function that is there, and is called with more or fewer arguments than it takes.
    Overload,
    Collation,
    Module,
    Tokenizer,
}

/// SQLite's words, which stand before the name. What it finds while it loads a schema it says only
/// where it is used: then the function is unknown.
const WORDS: &[(&str, Kind)] = &[
    ("no such function: ", Kind::Function),
    ("unknown function: ", Kind::Function),
    (
        "FILTER may not be used with non-aggregate ",
        Kind::Aggregate,
    ),
    (
        "ORDER BY may not be used with non-aggregate ",
        Kind::Aggregate,
    ),
    ("wrong number of arguments to function ", Kind::Overload),
    ("no such collation sequence: ", Kind::Collation),
    ("no such module: ", Kind::Module),
    ("no such tokenizer: ", Kind::Tokenizer),
    ("unknown tokenizer: ", Kind::Tokenizer),
];

impl Stranger {
    /// What a message of SQLite's says to be missing, if that is what it says.
    pub fn of(message: &str) -> Option<Self> {
        let named = WORDS
            .iter()
            .find_map(|(words, kind)| Some((*kind, message.split_once(words)?.1)));
        let window = || {
            message
                .split_once("() may not be used as a window function")
                .map(|(name, _)| name)
        };
        let (kind, name) = named.or_else(|| window().map(|name| (Kind::Aggregate, name)))?;
        let name = name
            .trim_end_matches("()")
            .trim_matches(['"', '`', '[', ']', '\'']);
        Some(Self {
            kind,
            name: name.to_owned(),
        })
    }

    /// How to give it to remy.
    pub fn hint(&self) -> Remedy {
        let library = format!("Name the library that brings {} in ", self.name);
        match self.kind {
            Kind::Module | Kind::Tokenizer => remedy![library, OptionName::Extensions],
            Kind::Function | Kind::Aggregate | Kind::Overload | Kind::Collation => remedy![
                library,
                OptionName::Extensions,
                ": what one connection registers for itself does not reach remy",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_read_from_the_message() {
        for (message, kind, name) in [
            ("no such function: my_fn", Kind::Function, "my_fn"),
            (
                "error in index i: unknown function: slug()",
                Kind::Function,
                "slug",
            ),
            (
                "my_sum() may not be used as a window function",
                Kind::Aggregate,
                "my_sum",
            ),
            ("no such collation sequence: DE", Kind::Collation, "DE"),
            ("no such tokenizer: my tok", Kind::Tokenizer, "my tok"),
        ] {
            assert_eq!(
                Stranger::of(message),
                Some(Stranger {
                    kind,
                    name: name.to_owned()
                })
            );
        }
        assert_eq!(Stranger::of("no such column: my_fn"), None);
    }
}
