//! Variables of their environment that methods read (`process.env.API_TOKEN`), and that have no value:
//! secrets that nobody has set do not arrive in silence.

use crate::{
    build::cache,
    secrets::{Secrets, Target, is_to_be_set},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The methods that read variables, with those that only a secret gives a value, by their ids.
pub type Reads = BTreeMap<String, Vec<String>>;

/// How many methods are named with a variable.
const NAMED: usize = 3;

/// The part of a release's `app.json` that is read here.
#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    methods: Vec<Method>,
}

#[derive(Deserialize)]
struct Method {
    id: String,
    #[serde(default)]
    variables: Vec<String>,
}

/// What the methods of a release read, by the folder that is kept with it. Of a release that does not
/// say so, nothing.
pub fn reads_of(kept: &Path) -> Reads {
    let described: Option<Described> = cache::read(&kept.join("app.json"));
    let methods = described.into_iter().flat_map(|it| it.methods);
    to_be_set(methods.map(|method| (method.id, method.variables)))
}

/// Only what a secret gives a value, of what methods read.
pub fn to_be_set(all: impl IntoIterator<Item = (String, Vec<String>)>) -> Reads {
    let reads = all.into_iter().map(|(id, mut names)| {
        names.retain(|name| is_to_be_set(name));
        (id, names)
    });
    reads.filter(|(_, names)| !names.is_empty()).collect()
}

/// What is left of it for which there is no value.
pub fn without_value(reads: &Reads, has: impl Fn(&str) -> bool) -> Reads {
    let left = reads.iter().map(|(id, names)| {
        let names = names.iter().filter(|name| !has(name)).cloned();
        (id.clone(), names.collect::<Vec<_>>())
    });
    left.filter(|(_, names)| !names.is_empty()).collect()
}

/// A warning that names what has no value, and who reads it. Nothing, where all has; or where the
/// secrets cannot be read, which the first call tells.
pub fn warning(reads: &Reads, secrets: Option<&Secrets>, of: Target) -> Option<String> {
    let known = match secrets {
        Some(secrets) => secrets.environment(of).ok()?,
        None => BTreeMap::new(),
    };
    let missing = without_value(reads, |name| known.contains_key(name));
    let names: BTreeSet<&String> = missing.values().flatten().collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let told = names.iter().map(|name| {
        let all = missing.iter().filter(|(_, names)| names.contains(name));
        let by: Vec<&str> = all.map(|(id, _)| id.as_str()).collect();
        let more = match by.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = by.iter().take(NAMED).copied().collect::<Vec<_>>();
        format!("{name} (in {}{more})", first.join(", "))
    });
    let list = told.collect::<Vec<_>>().join("; ");
    (!missing.is_empty())
        .then(|| format!("methods read what has no value: {list}. {}", remedy(&names)))
}

/// What to do about names that have no value.
pub fn remedy(names: &[String]) -> String {
    match names {
        [one] => format!("remy secrets set {one} gives it one"),
        _ => "remy secrets set KEY gives one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::{For, Whose};

    fn reads(all: &[(&str, &[&str])]) -> Reads {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        to_be_set(all.iter().map(|(id, all)| ((*id).to_owned(), names(all))))
    }

    #[test]
    fn what_has_no_value_is_named_with_who_reads_it() {
        let store = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(store.path());
        let all = reads(&[
            ("a", &["API_TOKEN", "NODE_ENV", "HOME", "npm_name"]),
            ("b", &["API_TOKEN", "OTHER"]),
            ("c", &["API_TOKEN"]),
            ("d", &["API_TOKEN"]),
            ("e", &["LANG"]),
        ]);
        assert_eq!(
            all["a"],
            ["API_TOKEN"],
            "the rest no secret can be, or is there"
        );
        assert!(!all.contains_key("e"));
        let warning = |of| warning(&all, Some(&secrets), of);
        assert_eq!(
            warning(Target::Prod).unwrap(),
            "methods read what has no value: API_TOKEN (in a, b, c and 1 more); OTHER (in b). remy secrets set KEY gives one"
        );
        secrets
            .set("API_TOKEN", Whose::App, For::Both, "value")
            .unwrap();
        assert_eq!(
            warning(Target::Dev).unwrap(),
            "methods read what has no value: OTHER (in b). remy secrets set OTHER gives it one"
        );
        // The server's own never reach a method.
        secrets
            .set("OTHER", Whose::Server, For::Both, "value")
            .unwrap();
        assert!(warning(Target::Prod).is_some());
        secrets.set("OTHER", Whose::App, For::Dev, "value").unwrap();
        assert_eq!(warning(Target::Prod), None, "one value serves both");
    }
}
