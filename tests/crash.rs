//! Kills the process, and fails the disk, at every change of a file that a verb makes. After each: live is exactly as it was
//! or exactly as it was to be, the store mends itself, and the next verb works.
use remy_tests::{built_program, fault_library, output, shell, stdout};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const V1: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); CREATE INDEX by_name ON users (name);
                  CREATE TABLE gone (a);";
const V2: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, email TEXT);
                  CREATE INDEX by_name ON users (name); CREATE TABLE teams (id INTEGER PRIMARY KEY, title TEXT NOT NULL);";

const DROP: &str = r#"{"allow": ["drop"]}"#;

/// A database, its store, and a verb that is going to be cut off.
struct Case {
    template: tempfile::TempDir,
    verb: Vec<&'static str>,
}

impl Case {
    /// `before` are the verbs that lead up to it.
    fn new(before: &[&[&str]], verb: &[&'static str]) -> Self {
        let template = tempfile::tempdir().unwrap();
        let db = template.path().join("app.db");
        let rows = "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 500)
                    INSERT INTO users (name) SELECT 'user ' || i FROM c; INSERT INTO gone VALUES (1);";
        shell(&db, &format!("PRAGMA journal_mode = wal; {V1} {rows}"));
        for arguments in before {
            stdout(Command::new(built_program("remy-driver")).arg(&db).args(*arguments));
        }
        Self { template, verb: verb.to_vec() }
    }

    /// A copy of it, that the verb is run on with `kind` at the `n`-th change. Gives what it printed.
    fn run(&self, kind: &str, n: usize) -> (tempfile::TempDir, PathBuf, std::process::Output, usize) {
        let dir = tempfile::tempdir().unwrap();
        let status =
            Command::new("cp").arg("-r").arg(self.template.path()).arg(dir.path().join("work")).status().unwrap();
        assert!(status.success());
        let db = dir.path().join("work/app.db");
        let count = dir.path().join("count");
        let out = output(
            Command::new(built_program("remy-driver"))
                .arg(&db)
                .args(&self.verb)
                .env("LD_PRELOAD", fault_library())
                .env("FAULT_DIR", dir.path().join("work"))
                .env("FAULT_KIND", kind)
                .env("FAULT_AT", n.to_string())
                .env("FAULT_COUNT", &count),
        );
        let calls = std::fs::read_to_string(&count).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
        (dir, db, out, calls)
    }

    /// Cuts the verb off at every `stride`-th change.
    fn torture(&self, kind: &str, stride: usize) {
        let (_dir, db, out, total) = self.run("none", 0);
        assert!(out.status.success(), "{out:?}");
        assert!(total > 20, "the fault library counts nothing: {total}");
        let new = state(&db);
        let old = state(&self.template.path().join("app.db"));
        assert_ne!(old, new);
        let (mut olds, mut news) = (0, 0);
        for n in (1..=total).step_by(stride) {
            let (_dir, db, out, _) = self.run(kind, n);
            // A curious person looks first, at every file.
            if n % 2 == 0 {
                look_at_everything(db.parent().unwrap());
            }
            let found = state(&db);
            let what = format!("{:?} {kind} at {n} of {total}: {}", self.verb, String::from_utf8_lossy(&out.stdout));
            match &found {
                found if *found == old => olds += 1,
                found if *found == new => news += 1,
                _ => panic!("{what}: neither old nor new:\n{found}"),
            }
            if found == old && kind.starts_with('e') {
                assert!(!out.status.success(), "{what}: it said that it was done");
            }
            self.next_works(&db, &what);
        }
        assert!(olds > 0 && news > 0, "{kind}: {olds} old, {news} new");
    }

    /// The store mends itself: a publish works, a rollback works, everything is as it should be.
    fn next_works(&self, db: &Path, what: &str) {
        let driver = || {
            let mut command = Command::new(built_program("remy-driver"));
            command.arg(db);
            command
        };
        let next = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, after TEXT);";
        for verb in [&["publish", next, DROP][..], &["rollback"], &["verify"]] {
            let out = output(driver().args(verb));
            let text = String::from_utf8_lossy(&out.stdout);
            assert!(out.status.success() && !text.contains(r#""ok":false"#), "{what}; then {verb:?}: {text}");
        }
        let left: Vec<_> = std::fs::read_dir(format!("{}-remy/work", db.display())).unwrap().collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }
}

/// What a fresh reader sees, without what differs between any two runs.
fn state(db: &Path) -> String {
    shell(
        db,
        "PRAGMA integrity_check; SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB '_remy_*' ORDER BY 1, 2;
         SELECT count(*), sum(id), group_concat(name) FROM users; SELECT * FROM sqlite_sequence;",
    )
}

fn look_at_everything(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_at_everything(&path);
        } else if path.extension().is_some_and(|e| e == "db") {
            output(Command::new("sqlite3").arg(&path).arg("SELECT count(*) FROM sqlite_schema; PRAGMA quick_check;"));
        }
    }
}

#[test]
fn a_publish_that_is_killed() {
    Case::new(&[], &["publish", V2, DROP]).torture("kill", 1);
}

#[test]
fn a_publish_that_is_killed_just_after() {
    Case::new(&[], &["publish", V2, DROP]).torture("killed", 2);
}

#[test]
fn a_publish_on_a_full_disk() {
    Case::new(&[], &["publish", V2, DROP]).torture("enospc", 1);
}

#[test]
fn a_publish_on_a_disk_that_fails() {
    Case::new(&[], &["publish", V2, DROP]).torture("eio", 3);
    Case::new(&[], &["publish", V2, DROP]).torture("short", 3);
}

#[test]
fn a_rollback_that_is_killed() {
    let published: &[&[&str]] = &[&["publish", V2, DROP]];
    Case::new(published, &["rollback"]).torture("kill", 1);
    Case::new(published, &["rollback"]).torture("enospc", 3);
}
