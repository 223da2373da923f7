//! The names by which migration tools know their files: which run, which undo another, and in which
//! order.
//!
//! Beside `NNNN_name.sql`: `.up.sql` and `.down.sql` (golang-migrate, sqlx), `NNNN.do.name.sql` and
//! `.undo.` (postgrator), `.rollback.sql` (yoyo), `V1__name.sql` and `U1__name.sql` (Flyway,
//! refinery), folders that hold `migration.sql` (Prisma, drizzle) or `up.sql` (diesel), and
//! drizzle's `meta/_journal.json`.

use crate::{
    base::{
        error::{Context, Error, Result},
        remedy::OptionName,
    },
    remedy,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The migrations of a folder.
#[derive(Default)]
pub(crate) struct Found {
    /// Name and path of each, in the order in which they run.
    pub files: Vec<(String, PathBuf)>,
    /// Those that undo a migration.
    pub undo: Vec<String>,
    /// Of those, the ones that undo none that is there, and are said to by a word of their names
    /// alone.
    pub lone: Vec<String>,
    /// What else it holds.
    pub others: Vec<String>,
}

/// What the file of a migration does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is the migration.
    Up,
    /// It undoes one.
    Down,
    /// It undoes one as its last word has it, which may be a part of its name, too.
    MaybeDown,
    /// `U1__name.sql` undoes `V1__name.sql` in Flyway; in refinery it is to run, and there is no
    /// other of its number.
    Undo,
}

/// What a file's name tells.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    /// The numbers that it begins with, by which it runs.
    version: Vec<u64>,
    /// Its name without the word that tells its way.
    base: String,
    way: Way,
}

/// drizzle's list of migrations.
pub(crate) const JOURNAL: &str = "meta/_journal.json";

/// Other languages that migrations are written in: those of Knex, Sequelize, TypeORM, Django,
/// Alembic, Rails, Laravel, goose, Ecto, Flyway, refinery.
const LANGUAGES: &[&str] = &[
    "js", "cjs", "mjs", "ts", "cts", "mts", "py", "rb", "php", "go", "exs", "cs", "java", "kt",
    "rs",
];

/// Finds the migrations of a folder.
pub(crate) fn of(folder: &Path) -> Result<Found> {
    let doing = || format!("reading the folder of migrations {}", folder.display());
    let entries = std::fs::read_dir(folder).context(doing).map_err(|e| {
        e.object(folder.display().to_string()).hint(remedy![
            "Check ",
            OptionName::Migrations,
            ": a folder of NNNN_name.sql files, relative to the process",
        ])
    })?;
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry.context(doing)?.path();
        let Some(name) = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            continue;
        };
        // Also what macOS and editors leave beside a file.
        if name.starts_with('.') {
            continue;
        }
        let found = if path.is_dir() {
            in_a_folder(&name, &path)?
        } else {
            in_a_file(&name)?.map(|n| (n, name.clone(), path))
        };
        match found {
            Some(found) => named.push(found),
            None => others.push(name),
        }
    }
    others.sort();
    named.sort_by(|(a, a_name, _), (b, b_name, _)| (&a.version, a_name).cmp(&(&b.version, b_name)));
    let journal = folder.join(JOURNAL);
    if !journal.is_file() {
        return Ok(Found {
            others,
            ..those_that_run(named, folder)?
        });
    }
    let tags = tags(&journal)?;
    // What drizzle lists it runs, whatever the last word of its name.
    for (named, name, _) in named
        .iter_mut()
        .filter(|(named, ..)| named.way == Way::MaybeDown)
    {
        if tags
            .iter()
            .any(|tag| name.strip_suffix(".sql") == Some(tag))
        {
            named.way = Way::Up;
        }
    }
    let found = those_that_run(named, folder)?;
    Ok(Found {
        files: in_the_order_of(&journal, tags, found.files)?,
        others,
        ..found
    })
}

/// The number of a migration, which no other may have: tools know by it which ran. `None` where
/// they know a migration by its whole name: a day has any number of them, and so has a second in
/// Prisma's folders.
pub(crate) fn number(name: &str) -> Option<Vec<u64>> {
    if name.ends_with("/migration.sql") {
        return None;
    }
    let name = name.split('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let number = match of_flyway(name, stem) {
        Ok(Some(named)) => named.version,
        _ => version(stem)?,
    };
    let day = |year: u64, month: u64, day: u64| {
        (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
    };
    let is_a_day = match number.as_slice() {
        [whole] => day(whole / 10_000, whole / 100 % 100, whole % 100),
        [year, month, of_month] => day(*year, *month, *of_month),
        _ => false,
    };
    (!is_a_day).then_some(number)
}

fn no_number(name: &str) -> Error {
    Error::invalid_argument(format!("the migration {name} has no number to run by"))
        .object(name)
        .hint("Name migrations NNNN_name.sql, such as 0001_split_names.sql")
}

/// A migration in a folder of its own.
fn in_a_folder(name: &str, path: &Path) -> Result<Option<(Named, String, PathBuf)>> {
    let version = version(name);
    let Some(file) = ["migration.sql", "up.sql"]
        .into_iter()
        .find(|file| path.join(file).is_file())
    else {
        if let (Some(version), true) = (&version, path.join("down.sql").is_file()) {
            let named = Named {
                version: version.clone(),
                base: name.to_owned(),
                way: Way::Down,
            };
            return Ok(Some((
                named,
                format!("{name}/down.sql"),
                path.join("down.sql"),
            )));
        }
        // A folder with a number is one of a migration; others hold something else, as drizzle's
        // meta does.
        return match version {
            None => Ok(None),
            Some(_) => Err(Error::invalid_argument(format!(
                "the folder {name} among the migrations holds neither a migration.sql nor an up.sql"
            ))
            .object(name)
            .hint("Put its migration into one of these, or move the folder elsewhere")),
        };
    };
    let file = format!("{name}/{file}");
    let named = Named {
        version: version.ok_or_else(|| no_number(&file))?,
        base: name.to_owned(),
        way: Way::Up,
    };
    let path = path.join(&file[name.len() + 1..]);
    Ok(Some((named, file, path)))
}

/// What a file's name tells; `None` of one that is no migration.
fn in_a_file(name: &str) -> Result<Option<Named>> {
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return Ok(None);
    };
    if !extension.eq_ignore_ascii_case("sql") {
        let language = LANGUAGES
            .iter()
            .any(|language| language.eq_ignore_ascii_case(extension));
        if language && (version(stem).is_some() || of_flyway(name, stem)?.is_some()) {
            let error = Error::invalid_argument(format!(
                "the migration {name} is not SQL, and remy runs no other language"
            ));
            return Err(error.object(name).hint(
                "Write what it does to rows as NNNN_name.sql; what it does to the schema, the declared schema says",
            ));
        }
        return Ok(None);
    }
    if let Some(named) = of_flyway(name, stem)? {
        return Ok(Some(named));
    }
    let (base, way) = way(stem);
    // What is not run needs no number to run by.
    let undoes = way == Way::Down || way == Way::MaybeDown;
    let version = version(stem)
        .or_else(|| undoes.then(Vec::new))
        .ok_or_else(|| no_number(name))?;
    Ok(Some(Named { version, base, way }))
}

/// The numbers that a name begins with: `0001` of `0001_name`, `2024, 1, 31` of `2024-01-31_name`.
fn version(stem: &str) -> Option<Vec<u64>> {
    let mut version = Vec::new();
    for part in stem.split(['_', '-', '.']) {
        match part.parse() {
            Ok(number) if part.bytes().all(|byte| byte.is_ascii_digit()) => version.push(number),
            // More digits than a number has are no name.
            Err(_) if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) => {
                return None;
            }
            _ => break,
        }
    }
    (!version.is_empty()).then_some(version)
}

/// `V1_2__name`: Flyway's, and refinery's.
fn of_flyway(name: &str, stem: &str) -> Result<Option<Named>> {
    let Some((prefix, _)) = stem.split_once("__") else {
        return Ok(None);
    };
    let refused = |what: &str, hint: &str| {
        Err(Error::invalid_argument(format!("{name} is {what}"))
            .object(name)
            .hint(hint))
    };
    if prefix.eq_ignore_ascii_case("R") {
        return refused(
            "a migration that is to run whenever its text changes, and remy runs each once",
            "Declare the views and triggers that it makes in the schema; put what it does to rows into NNNN_name.sql",
        );
    }
    let mut letters = prefix.chars();
    let kind = letters.next().map(|letter| letter.to_ascii_uppercase());
    let numbers = letters.as_str();
    let Some(version) = version(numbers).filter(|_| {
        numbers
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'.' || b == b'_')
    }) else {
        return Ok(None);
    };
    let way = match kind {
        // The letter tells it; of no tool's is `V1__name.down.sql`, which says otherwise.
        Some('V') if way(stem).1 == Way::Down => Way::Down,
        Some('V') => Way::Up,
        Some('U') => Way::Undo,
        Some('B') => {
            return refused(
                "a baseline, which stands for the migrations before it on a new database only",
                "Move it elsewhere: on a new database the declared schema stands for it",
            );
        }
        _ => return Ok(None),
    };
    Ok(Some(Named {
        version,
        base: stem.to_owned(),
        way,
    }))
}

/// Which way the last word of a name says that it goes, and the name without it.
fn way(stem: &str) -> (String, Way) {
    let tells = |word: &str| match word.to_ascii_lowercase().as_str() {
        "up" | "do" => Some(Way::Up),
        "down" | "undo" | "rollback" | "revert" | "downgrade" => Some(Way::Down),
        _ => None,
    };
    // `down.sql`
    if tells(stem) == Some(Way::Down) {
        return (String::new(), Way::Down);
    }
    // `001.undo.name`: the word is between dots, behind the number.
    let parts: Vec<&str> = stem.split('.').collect();
    if let [number, word, ..] = parts.as_slice()
        && let Some(way) = tells(word).filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return ([&[*number], &parts[2..]].concat().join("."), way);
    }
    let Some(at) = stem.rfind(['.', '_', '-']) else {
        return (stem.to_owned(), Way::Up);
    };
    let base = || stem[..at].to_owned();
    match (tells(&stem[at + 1..]), stem.as_bytes()[at]) {
        (Some(way), b'.') => (base(), way),
        (Some(Way::Up), _) => (base(), Way::Up),
        (Some(_), _) => (base(), Way::MaybeDown),
        (None, _) => (stem.to_owned(), Way::Up),
    }
}

/// Leaves out what undoes another.
fn those_that_run(named: Vec<(Named, String, PathBuf)>, folder: &Path) -> Result<Found> {
    let up = || named.iter().filter(|(named, ..)| named.way == Way::Up);
    let bases: BTreeSet<&str> = up().map(|(named, ..)| named.base.as_str()).collect();
    let versions: BTreeSet<&[u64]> = up().map(|(named, ..)| named.version.as_slice()).collect();
    let mut found = Found::default();
    for (file, name, path) in &named {
        let beside = versions.contains(file.version.as_slice());
        match file.way {
            Way::Up => {
                found.files.push((name.clone(), path.clone()));
                continue;
            }
            Way::Undo if !beside => {
                return Err(Error::invalid_argument(format!(
                    "{name} in {} undoes a migration in Flyway, and is one in refinery: there is no V of its number",
                    folder.display()
                ))
                .object(name)
                .hint("Take it away, or name it NNNN_name.sql where it is to run"));
            }
            Way::MaybeDown if !bases.contains(file.base.as_str()) && beside => {
                return Err(Error::invalid_argument(format!(
                    "{name} in {} may undo another migration of its number, or be one that is to run",
                    folder.display()
                ))
                .object(name)
                .hint("Name it NNNN_name.down.sql, after the one that it undoes, or give it a number of its own"));
            }
            // What it may take away is worth more than that it runs.
            Way::MaybeDown if !bases.contains(file.base.as_str()) => found.lone.push(name.clone()),
            Way::Down | Way::MaybeDown | Way::Undo => {}
        }
        found.undo.push(name.clone());
    }
    Ok(found)
}

#[derive(serde::Deserialize)]
struct Journal {
    entries: Vec<JournalEntry>,
}

#[derive(serde::Deserialize)]
struct JournalEntry {
    tag: String,
}

fn wrong_journal(journal: &Path, what: String) -> Error {
    let error = Error::invalid_argument(format!(
        "the journal of migrations {} {what}",
        journal.display()
    ));
    error
        .object(journal.display().to_string())
        .hint("Make both with drizzle-kit again, or take the journal away")
}

/// What drizzle's journal lists.
fn tags(journal: &Path) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(journal).context(|| format!("reading {}", journal.display()))?;
    let listed: Journal = serde_json::from_str(&text)
        .map_err(|e| wrong_journal(journal, format!("is not understood: {e}")))?;
    Ok(listed.entries.into_iter().map(|entry| entry.tag).collect())
}

/// The files in the order of drizzle's journal, which is the list of what drizzle runs. A tag is
/// looked up among the files that were found, and never used as a path.
fn in_the_order_of(
    journal: &Path,
    tags: Vec<String>,
    mut files: Vec<(String, PathBuf)>,
) -> Result<Vec<(String, PathBuf)>> {
    let mut ordered = Vec::new();
    for tag in tags {
        let at = files
            .iter()
            .position(|(name, _)| name.strip_suffix(".sql") == Some(tag.as_str()));
        let at = at.ok_or_else(|| {
            wrong_journal(journal, format!("lists {tag:?}, and there is no such file"))
        })?;
        ordered.push(files.swap_remove(at));
    }
    match files.into_iter().map(|(name, _)| name).min() {
        Some(name) => Err(wrong_journal(journal, format!("does not list {name}"))),
        None => Ok(ordered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_tell() {
        let told = |name: &str| {
            in_a_file(name)
                .unwrap()
                .map(|named| (named.version, named.base, named.way))
        };
        let is = |version: &[u64], base: &str, way| Some((version.to_vec(), base.to_owned(), way));
        for (name, expected) in [
            ("0001_init.sql", is(&[1], "0001_init", Way::Up)),
            ("7.SQL", is(&[7], "7", Way::Up)),
            (
                "20240131120000_a.up.sql",
                is(&[20_240_131_120_000], "20240131120000_a", Way::Up),
            ),
            (
                "20240131120000_a.down.sql",
                is(&[20_240_131_120_000], "20240131120000_a", Way::Down),
            ),
            ("001.do.first.sql", is(&[1], "001.first", Way::Up)),
            ("001.undo.first.sql", is(&[1], "001.first", Way::Down)),
            ("0001.users.rollback.sql", is(&[1], "0001.users", Way::Down)),
            ("0007_cool_down.sql", is(&[7], "0007_cool", Way::MaybeDown)),
            ("0007-cool-Down.SQL", is(&[7], "0007-cool", Way::MaybeDown)),
            ("0007_cool_down.up.sql", is(&[7], "0007_cool_down", Way::Up)),
            ("0007_down.sql", is(&[7], "0007", Way::MaybeDown)),
            ("0007_showdown.sql", is(&[7], "0007_showdown", Way::Up)),
            ("down.sql", is(&[], "", Way::Down)),
            ("users.down.sql", is(&[], "users", Way::Down)),
            ("users-down.sql", is(&[], "users", Way::MaybeDown)),
            ("0001_2fa.sql", is(&[1], "0001_2fa", Way::Up)),
            ("V1_2__a_down.sql", is(&[1, 2], "V1_2__a_down", Way::Up)),
            ("V1_2__a.down.sql", is(&[1, 2], "V1_2__a.down", Way::Down)),
            ("U1.2__a.sql", is(&[1, 2], "U1.2__a", Way::Undo)),
            ("readme.md", None),
            ("embed.go", None),
            ("Makefile", None),
        ] {
            assert_eq!(told(name), expected, "{name}");
        }
        for name in [
            "init.sql",
            "01x.sql",
            "V1_init.sql",
            "R__views.sql",
            "B2__all.sql",
            "20240131_users.js",
            "V2__users.rs",
            "0001_initial.py",
            "99999999999999999999999_a.sql",
            "afterMigrate.sql",
            "_1.sql",
        ] {
            let e = in_a_file(name)
                .map(|named| panic!("{name}: {named:?}"))
                .unwrap_err();
            assert!(
                e.code() == "invalid_argument" && e.to_string().contains(name),
                "{name}: {e}"
            );
        }
    }

    #[test]
    fn a_number_is_of_one_migration_and_a_day_of_many() {
        for (name, expected) in [
            ("0001_init.sql", Some(vec![1])),
            ("1.up.sql", Some(vec![1])),
            ("20240131120000_a.sql", Some(vec![20_240_131_120_000])),
            ("V1.2__a.sql", Some(vec![1, 2])),
            (
                "2024-01-31-120000_a/up.sql",
                Some(vec![2024, 1, 31, 120_000]),
            ),
            ("20240131_a.sql", None),
            ("2024-01-31_a.sql", None),
            ("20240131120000_a/migration.sql", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }
}
