//! The floors of the house: each folder of core, and each part of the server, imports only what stands
//! below it, and no file, of core or of a face, imports one that imports it, by whatever way. Rust does
//! not check this inside a crate.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Core, from the ground up. `lib.rs` stands on all of them, and nobody imports it.
const CORE: &[&str] = &[
    "base",
    "os",
    "sqlite",
    "effects",
    "schema",
    "typescript",
    "live",
    "declare",
    "rehearse",
    "store",
    "switch",
    "release",
    "verbs",
];

/// The server. A file stands on the floor that names most of its path: what the context holds of a
/// folder stands below it, and all else of that folder above.
const SERVER: &[&str] = &[
    "answer",
    "claim",
    "operation::counts",
    "operation::log",
    "settings",
    "state",
    "origin",
    "body",
    "inbound",
    "page",
    "agent::turns",
    "agent::waiting",
    "bots::seen",
    "mcp::under_way",
    "dev::people",
    "dev::session",
    "context",
    "operation",
    "asked",
    "interface",
    "on_page",
    "methods",
    "backend",
    "page::telemetry",
    "page::visitor",
    "login",
    "page::serve",
    "files",
    "events",
    "cron",
    "webhook",
    "inbox",
    "bots",
    "api",
    "mcp",
    "agent",
    "operation::metrics",
    "dev::printed",
    "dev::changes",
    "dev::proxy",
    "dev::page",
    "route",
    "listen",
    "dev",
];

/// The floor that a module, or a part of one, stands on.
fn floor(floors: &[&str], path: &[String]) -> Option<usize> {
    let stands_on = |floor: &&str| {
        let floor: Vec<&str> = floor.split("::").collect();
        path.len() >= floor.len() && floor.iter().zip(path).all(|(name, part)| name == part)
    };
    let on = (0..floors.len()).filter(|at| stands_on(&floors[*at]));
    on.max_by_key(|at| floors[*at].split("::").count())
}

/// What a module imports, as paths from the root of its crate. `pub use` hands out, and is no
/// import.
struct Module {
    path: Vec<String>,
    imports: BTreeSet<Vec<String>>,
}

/// Every module of a crate.
fn modules(src: &Path) -> Vec<Module> {
    let (mut folders, mut found) = (vec![src.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                found.push(module(src, &file));
            }
        }
    }
    assert!(!found.is_empty(), "no modules in {}", src.display());
    found
}

fn module(src: &Path, file: &Path) -> Module {
    let inside = file.strip_prefix(src).unwrap().with_extension("");
    let mut path: Vec<String> = inside
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
        path.pop();
    }
    let text = fs::read_to_string(file).unwrap();
    // Tests may look at all that there is.
    let text = text.split("\nmod tests {").next().unwrap();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut imports = BTreeSet::new();
    for statement in code
        .split("\nuse ")
        .skip(1)
        .map(|rest| rest.split(';').next().unwrap())
    {
        leaves(
            &statement.split_whitespace().collect::<String>(),
            &[],
            &mut imports,
        );
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let rest = code[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let name = rest.into_iter().next().unwrap();
            // Before a brace: that is a `use`, which was read above.
            if !name.ends_with("::") {
                imports.insert(name.split("::").map(str::to_owned).collect());
            }
        }
    }
    let absolute = |import: Vec<String>| -> Option<Vec<String>> {
        let up = import.iter().take_while(|part| *part == "super").count();
        match import[0].as_str() {
            "crate" => Some(import[1..].to_vec()),
            "super" => {
                let from = path.get(..path.len().checked_sub(up)?)?;
                Some([from, &import[up..]].concat())
            }
            // A module of its own folder, or another crate.
            _ => Some([&path[..], &import[..]].concat()),
        }
    };
    let imports = imports.into_iter().filter_map(absolute).collect();
    Module { path, imports }
}

/// The paths of a tree of `use`, without white space.
fn leaves(tree: &str, before: &[String], found: &mut BTreeSet<Vec<String>>) {
    let Some((path, inner)) = tree.split_once('{') else {
        let path = tree.split(['}', ',']).next().unwrap();
        let parts = path
            .split("::")
            .filter(|part| *part != "self")
            .map(str::to_owned);
        found.insert(before.iter().cloned().chain(parts).collect());
        return;
    };
    let before: Vec<String> = before
        .iter()
        .cloned()
        .chain(
            path.split("::")
                .filter(|part| !part.is_empty())
                .map(str::to_owned),
        )
        .collect();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                if at > start {
                    leaves(&inner[start..at], &before, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Which file imports which, by their modules.
fn arrows(modules: &[Module]) -> BTreeMap<&[String], BTreeSet<&[String]>> {
    let known: BTreeSet<&[String]> = modules.iter().map(|module| &*module.path).collect();
    let target = |import: &Vec<String>| {
        (1..=import.len())
            .rev()
            .find_map(|n| known.get(&import[..n]))
            .copied()
    };
    modules
        .iter()
        .filter(|module| !module.path.is_empty())
        .map(|module| {
            let targets = module.imports.iter().filter_map(target);
            (
                &*module.path,
                targets.filter(|target| *target != &*module.path).collect(),
            )
        })
        .collect()
}

/// A way from a module back to itself.
fn circle(arrows: &BTreeMap<&[String], BTreeSet<&[String]>>) -> Option<String> {
    let mut left: BTreeMap<_, _> = arrows.clone();
    // Whoever imports nobody that is left, goes; who is left then stands in a circle, or on one.
    loop {
        let before = left.len();
        let there: BTreeSet<&[String]> = left.keys().copied().collect();
        left.retain(|_, targets| targets.iter().any(|target| there.contains(target)));
        if left.len() == before {
            break;
        }
    }
    let (mut at, mut way) = (*left.keys().next()?, Vec::new());
    while !way.contains(&at) {
        way.push(at);
        at = left[at].iter().find(|target| left.contains_key(*target))?;
    }
    let start = way.iter().position(|step| *step == at)?;
    Some(
        way[start..]
            .iter()
            .chain([&at])
            .map(|step| step.join("::"))
            .collect::<Vec<_>>()
            .join(" → "),
    )
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The imports of a crate's files that lead to a higher floor.
fn upward(src: &str, floors: &[&str]) -> Vec<String> {
    let (mut up, mut there) = (Vec::new(), BTreeSet::new());
    let modules = modules(&repository(src));
    for module in modules.iter().filter(|module| !module.path.is_empty()) {
        let name = module.path.join("::");
        let here = floor(floors, &module.path);
        let here = here.unwrap_or_else(|| panic!("{name} of {src} is on no floor"));
        there.insert(here);
        for import in &module.imports {
            if floor(floors, import).is_some_and(|above| above > here) {
                up.push(format!("{name} imports {}", import.join("::")));
            }
        }
    }
    assert_eq!(there.len(), floors.len(), "floors of {src} that are there");
    up
}

#[test]
fn whoever_has_floors_looks_down() {
    for (src, floors) in [("core/src", CORE), ("core/server/src", SERVER)] {
        assert_eq!(upward(src, floors), Vec::<String>::new(), "{src}");
    }
}

#[test]
fn no_file_imports_one_that_imports_it() {
    for src in [
        "core/src",
        "core/app/src",
        "core/capi/src",
        "core/cli/src",
        "core/helper/src",
        "core/runtime/src",
        "core/server/src",
        "sqlite-ext/src",
        "node-binding/src",
    ] {
        let modules = modules(&repository(src));
        let arrows = arrows(&modules);
        assert_eq!(circle(&arrows), None, "{src}");
    }
    assert!(
        arrows(&modules(&repository("core/src")))
            .values()
            .map(BTreeSet::len)
            .sum::<usize>()
            > 300
    );
}

/// The test can fail: what it looks for is found where it is.
#[test]
fn a_circle_and_an_upward_import_are_found() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("lib.rs", "mod a; mod b;\n");
    write("a/mod.rs", "\npub(crate) mod x;\n");
    write("a/x.rs", "\nuse crate::b::{Thing, other::{self, More}};\n");
    write("b.rs", "fn f() { super::a::x::g() }\n");
    let modules = modules(dir.path());
    let x = modules
        .iter()
        .find(|module| module.path == ["a", "x"])
        .unwrap();
    let imports: Vec<String> = x.imports.iter().map(|import| import.join("::")).collect();
    assert_eq!(imports, ["b::Thing", "b::other", "b::other::More"]);
    assert_eq!(circle(&arrows(&modules)).unwrap(), "a::x → b → a::x");
    let path = |name: &str| name.split("::").map(str::to_owned).collect::<Vec<_>>();
    let floors = ["a::x", "b", "a"];
    let on = |name: &str| floor(&floors, &path(name));
    assert_eq!(
        [on("a::x::f"), on("b"), on("a::y")],
        [Some(0), Some(1), Some(2)]
    );
    assert_eq!([on("ab"), on("c")], [None, None]);
}
