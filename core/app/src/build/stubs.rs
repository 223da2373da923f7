//! Names that an app imports from an SDK and that remy's own module of it does not have. Each becomes
//! an export that links, and throws `not_supported` when it is called.

use super::sdk::{self, AGENT, INTERFACE, Module};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::LazyLock};

/// A name of the SDK that remy has nothing behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unsupported {
    /// The package, or the module, that it is imported from.
    pub module: String,
    /// What is imported.
    pub name: String,
}

/// What makes a stub in the modules of each package. A bundle that calls one uses what remy has
/// nothing behind.
const MAKERS: [(&str, &str); 2] = [(AGENT, "remyUnsupported"), (INTERFACE, "remyUnknown")];

macro_rules! expression {
    ($text:literal) => {{
        static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| expression($text));
        &*EXPRESSION
    }};
}

/// An expression of ours. `\w`, `\s` and `\b` are of ASCII.
fn expression(text: &str) -> Regex {
    Regex::new(&text.replace("\\b", "(?-u:\\b)").replace("\\s", "(?-u:\\s)"))
        .expect("an expression that is written here")
}

/// Whether an export can have this name.
fn is_name(name: &str) -> bool {
    let mut all = name.chars();
    let starts = |c| c == '$' || c == '_' || unicode_id_start::is_id_start(c);
    all.next().is_some_and(starts) && all.all(|c| c == '$' || unicode_id_start::is_id_continue(c))
}

/// What a module of the SDK exports, to programs and to type checkers.
fn exports_of(module: &Module) -> BTreeSet<&'static str> {
    let named = expression!(
        r"(?m)^export (?:declare )?(?:const|function|async function|class|interface|type) ([A-Za-z0-9_]+)"
    );
    let by_default = expression!(r"(?m)^export (?:default|\{ [A-Za-z0-9_]+ as default \})");
    let texts = ["js", "d.ts"].map(|end| sdk::text(&format!("{}.{end}", module.file)));
    let mut found = BTreeSet::new();
    for text in texts.into_iter().flatten() {
        found.extend(
            named
                .captures_iter(text)
                .filter_map(|captures| captures.get(1).map(|name| name.as_str())),
        );
        if by_default.is_match(text) {
            found.insert("default");
        }
    }
    found
}

/// The names that texts import from `module` and that it lacks, in order. Where a name is imported as,
/// or whether as a type, is of no account: a stub is both.
pub fn lacking<'a>(texts: impl IntoIterator<Item = &'a str>, module: &Module) -> Vec<String> {
    let from = Regex::new(&format!(
        r#"(?-u:\b)(?:import|export)(?-u:\s)+(?:type(?-u:\s)+)?([A-Za-z0-9_$,{{}}*\t-\r ]+?)(?-u:\s)*(?-u:\b)from(?-u:\s)*(?:'{0}'|"{0}")"#,
        regex::escape(module.specifier)
    ))
    .expect("an expression that is written here");
    let comment = expression!(r"(?m)/\*(?s:.*?)\*/|(?P<before>^|[^:])//.*");
    let has = exports_of(module);
    let mut found = BTreeSet::new();
    for text in texts
        .into_iter()
        .filter(|text| text.contains(module.specifier))
    {
        let code = comment.replace_all(text, "${before} ");
        for captures in from.captures_iter(&code) {
            names_of(&captures[1], &mut found);
        }
    }
    found.retain(|name| is_name(name) && !has.contains(name.as_str()));
    found.into_iter().collect()
}

/// The names of an import's clause: `a, { b as c, type d }`.
fn names_of(clause: &str, found: &mut BTreeSet<String>) {
    let alias = expression!(r"\s+as\s+");
    let list = clause
        .split_once('{')
        .map_or("", |(_, rest)| rest.split('}').next().unwrap_or_default());
    for entry in list.split(',') {
        let entry = without_type(entry.trim());
        let name = alias.split(entry).next().unwrap_or_default();
        found.insert(name.trim().to_owned());
    }
    let clause = clause.trim();
    let is_type = clause
        .strip_prefix("type")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace()));
    if !is_type && clause.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
        found.insert("default".to_owned());
    }
}

/// `type x` is x; `type as x` is what is named type.
fn without_type(entry: &str) -> &str {
    let rest = entry
        .strip_prefix("type")
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace()))
        .map(str::trim_start);
    match rest {
        Some(rest) if rest.split_ascii_whitespace().next() != Some("as") => rest,
        _ => entry,
    }
}

/// The exports as code, which goes behind a module's own. `module` is of any part of a package.
pub fn code<'a>(module: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let Some((_, maker)) = MAKERS.iter().find(|(package, _)| {
        module
            .strip_prefix(package)
            .is_some_and(|sub| sub.is_empty() || sub.starts_with('/'))
    }) else {
        return String::new();
    };
    let stub = |name| {
        let made = format!("/* @__PURE__ */ {maker}({});\n", serde_json::json!(name));
        match name {
            "default" => format!("export default {made}"),
            name => format!("export const {name} = {made}"),
        }
    };
    names.into_iter().map(stub).collect()
}

/// The same for type checkers: anything may be done with them.
pub fn types<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const TOLD: &str = "/** Not supported by remy. */\n";
    let stub = |name| match name {
        "default" => {
            format!("{TOLD}declare const unsupported: any;\nexport default unsupported;\n")
        }
        name => {
            format!("{TOLD}export const {name}: any;\n{TOLD}export type {name} = any;\n")
        }
    };
    names.into_iter().map(stub).collect()
}

/// What a bundle uses of the SDK that remy has nothing behind.
pub fn used_in(code: &str) -> Vec<Unsupported> {
    let mut uses = Vec::new();
    for (module, maker) in MAKERS {
        let calls = Regex::new(&format!(r#"(?-u:\b){maker}[0-9]*\("([^"]+)"\)"#))
            .expect("an expression that is written here");
        uses.extend(calls.captures_iter(code).map(|captures| Unsupported {
            module: module.to_owned(),
            name: captures[1].to_owned(),
        }));
    }
    uses
}

/// Who uses what remy has nothing behind.
#[derive(Debug, Deserialize)]
pub struct Use {
    /// What is used.
    #[serde(flatten)]
    pub what: Unsupported,
    /// The id of a method, or an interface.
    pub by: String,
}

/// One warning for all that a release uses and remy has nothing behind; none where that is nothing.
pub fn warning(uses: &[Use]) -> Option<String> {
    let mut all: Vec<(&Unsupported, Vec<&str>)> = Vec::new();
    for Use { what, by } in uses {
        match all.iter_mut().find(|(other, _)| *other == what) {
            Some((_, users)) => users.push(by),
            None => all.push((what, vec![by])),
        }
    }
    let told = all.iter().map(|(Unsupported { module, name }, by)| {
        let more = match by.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = by.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        format!("{name} of {module} (in {first}{more})")
    });
    let list = told.collect::<Vec<_>>().join("; ");
    (!all.is_empty()).then(|| {
        format!("what remy has nothing behind throws not_supported when it is called: {list}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_module_lacks_is_found_however_it_is_imported() {
        let text = r#"
            import { createClient, unheardOf, type Odd as None, type as what } from '@mindstudio-ai/interface';
            import all, * as rest from "@mindstudio-ai/interface";
            // import { gone } from '@mindstudio-ai/interface';
            /* import { gone } from '@mindstudio-ai/interface'; */
            const at = 'https://x'; export type { passed } from '@mindstudio-ai/interface';
            import type Whole from '@mindstudio-ai/interface';
            import { other } from '@mindstudio-ai/interface/voice';"#;
        let [_, interface, voice] = &sdk::MODULES;
        let names = lacking([text], interface);
        assert_eq!(names, ["Odd", "default", "passed", "type", "unheardOf"]);
        assert_eq!(lacking([text], voice), ["other"]);
    }

    #[test]
    fn stubs_are_of_a_package_and_of_its_parts() {
        let stub = "export const a = /* @__PURE__ */ remyUnknown(\"a\");\n";
        assert_eq!(code("@mindstudio-ai/interface/voice", ["a"]), stub);
        assert!(code(AGENT, ["default"]).starts_with("export default /* @__PURE__ */ remyUns"));
        assert_eq!(code("@mindstudio-ai/interfaces", ["a"]), "");
        assert!(types(["a"]).contains("export type a = any;"));
    }

    #[test]
    fn what_a_bundle_calls_is_used() {
        let names = |code| {
            let used = used_in(code).into_iter();
            used.map(|used| used.name).collect::<Vec<_>>()
        };
        assert_eq!(names("remyUnsupported2(\"files\")"), ["files"]);
        assert_eq!(names("remyUnsupported(name)"), Vec::<String>::new());
        assert_eq!(names("mindstudio2.generateText({})"), Vec::<String>::new());
    }

    #[test]
    fn one_warning_names_all_that_is_used_and_by_whom() {
        let used = |name: &str, by: &str| Use {
            what: Unsupported {
                module: AGENT.to_owned(),
                name: name.to_owned(),
            },
            by: by.to_owned(),
        };
        assert_eq!(warning(&[]), None);
        let uses = [used("files", "a"), used("voice", "b"), used("files", "c")];
        let more = ["d", "e"].map(|by| used("files", by));
        assert_eq!(
            warning(&uses.into_iter().chain(more).collect::<Vec<_>>()).unwrap(),
            "what remy has nothing behind throws not_supported when it is called: \
             files of @mindstudio-ai/agent (in a, c, d and 1 more); voice of @mindstudio-ai/agent (in b)"
        );
    }
}
