//! Names that nothing has yet.

use std::collections::BTreeSet;

/// Names that nothing has, each returned once.
pub(super) struct FreeNames<'a> {
    /// In lower case, as all names here.
    taken: Vec<&'a BTreeSet<String>>,
    given: BTreeSet<String>,
}

impl<'a> FreeNames<'a> {
    pub(super) fn beside(taken: Vec<&'a BTreeSet<String>>) -> Self {
        Self {
            taken,
            given: BTreeSet::new(),
        }
    }

    /// Keeps a name from being given.
    pub(super) fn keep(&mut self, name: &str) {
        self.given.insert(name.to_ascii_lowercase());
    }

    /// `wanted`, or that with a number.
    pub(super) fn numbered(&mut self, wanted: &str) -> String {
        self.first(|n| match n {
            0 => wanted.to_owned(),
            n => format!("{wanted}_{}", n + 1),
        })
    }

    /// The name of what is made to stand in the place of `of` in the end.
    pub(super) fn temporary(&mut self, of: &str) -> String {
        self.first(|n| match n {
            0 => format!("_remy_new_{of}"),
            n => format!("_remy_new{n}_{of}"),
        })
    }

    fn first(&mut self, name: impl Fn(u32) -> String) -> String {
        let is_free = |name: &String| {
            let name = name.to_ascii_lowercase();
            !self.taken.iter().any(|taken| taken.contains(&name)) && !self.given.contains(&name)
        };
        let name = (0..)
            .map(name)
            .find(is_free)
            .expect("there are more numbers than names");
        self.keep(&name);
        name
    }
}
