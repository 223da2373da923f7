//! A disk that is full, or fails, at every change of a file that a verb makes: live is exactly old
//! or exactly new, the error says what is so, and the next verbs work.
use remy_tests::{
    Shell, built_program,
    cut::{Case, Look, PUBLISHED, Run, SWITCHED_OFTEN, V2},
    fault_library, output,
    rounds::rounds,
};
use std::{collections::BTreeSet, process::Command};

/// What is wrong with what the verb says.
fn wrong(case: &Case, kind: &str, run: &Run, new: bool) -> Option<String> {
    let text = String::from_utf8_lossy(&run.out.stdout);
    let errors = String::from_utf8_lossy(&run.out.stderr);
    if run.out.status.code().is_none() || errors.contains("panicked") {
        return Some(format!("it died: {errors}"));
    }
    if run.out.status.success() {
        return (!new).then(|| "it said that it was done".into());
    }
    let Ok(error) = serde_json::from_str::<serde_json::Value>(&text) else {
        return Some("no error in JSON".into());
    };
    let (code, message) = (
        error["code"].as_str().unwrap_or_default(),
        error["message"].as_str().unwrap_or_default(),
    );
    // SQLite itself takes some reads that fail for a damaged file.
    if code != "io" && !(kind == "read" && code == "corrupt") {
        return Some("the wrong code".into());
    }
    // A statement of the plan that fails is named by its object.
    if !message.contains(run.folder().to_str().expect("a path")) && error["sql"].is_null() {
        return Some("it names no file".into());
    }
    // What each of these says of whether the verb did what it was to do.
    let states = [
        (
            "Live is unchanged",
            if case.changes_live() {
                Some(false)
            } else {
                None
            },
        ),
        ("The session is as it was", Some(false)),
        ("Nothing was done", Some(false)),
        ("Nothing was started", Some(false)),
        ("Live was switched all the same", Some(true)),
        ("The session is reset", Some(true)),
        ("remy's tables are dropped from live", Some(true)),
        ("is not known", None),
        ("is not decided", None),
        ("Only the clone was changed", Some(false)),
    ];
    let said: Vec<_> = states
        .iter()
        .filter(|(state, _)| message.contains(state))
        .collect();
    if said.is_empty() {
        return Some("it says nothing of the state".into());
    }
    let lie = said
        .iter()
        .find(|(_, done)| done.is_some_and(|done| done != new));
    lie.map(|(state, _)| format!("it says: {state}; and whether it is new: {new}"))
}

/// Fails every `stride`-th call of those that count, on copies of the case. A shell has live open,
/// so that what is in the WAL is not looked at before it has died.
fn fail(case: &Case, kind: &str, stride: usize) {
    fail_in(case, kind, "", stride);
}

fn fail_in(case: &Case, kind: &str, file: &str, stride: usize) {
    let total = case
        .run(&[("FAULT_KIND", kind), ("FAULT_FILE", file)])
        .calls;
    assert!(total > 0, "the fault library counts nothing");
    let (mut failed, mut faults_of_messages) = (0, BTreeSet::new());
    for seed in rounds(1) {
        let first = 1 + usize::try_from(seed).unwrap() % stride;
        for (i, n) in (first..=total).step_by(stride).enumerate() {
            // Of a sync of a file both matter: what others see, and what is there when they are
            // gone.
            let besides = if file.is_empty() {
                &[[true, false][i % 2]][..]
            } else {
                &[true, false]
            };
            for &beside in besides {
                let at = n.to_string();
                let faults = [
                    ("FAULT_KIND", kind),
                    ("FAULT_FILE", file),
                    ("FAULT_AT", &at),
                ];
                let what = format!(
                    "round {seed}: {} {kind} {file} at {n} of {total}, beside: {beside}",
                    case.name()
                );
                let run = if beside {
                    beside_a_shell(case, &faults, &what)
                } else {
                    case.run(&faults)
                };
                failed += usize::from(!run.out.status.success());
                // The verb has spoken of now, before the store is mended.
                let new = case.look(&run.db, &what);
                let held = case.holds(&run.db, Look::by(i + first), &what);
                if let Some(wrong) = wrong(case, kind, &run, new || held) {
                    let said = String::from_utf8_lossy(&run.out.stdout);
                    faults_of_messages.insert(format!("{wrong}: {what}: {said}"));
                }
            }
        }
    }
    assert!(
        faults_of_messages.is_empty(),
        "{}",
        Vec::from_iter(faults_of_messages).join("\n")
    );
    assert!(failed > 0, "{kind}: nothing failed");
}

/// Fails the verb while a shell has live open, and the session's database, so that what is in a WAL
/// is not looked at again before the shell is gone.
fn beside_a_shell(case: &Case, faults: &[(&str, &str)], what: &str) -> Run {
    let (run, mut shell) = case.run_beside(faults, |db| {
        let mut shell = Shell::open(db);
        let session = format!("{}-remy/dev/d.db", db.display());
        if std::path::Path::new(&session).exists() {
            shell.ask(&format!(
                "ATTACH '{session}' AS d; SELECT count(*) FROM d.sqlite_schema;"
            ));
        }
        shell.ask("SELECT count(*) FROM sqlite_schema;");
        shell
    });
    let seen = shell.ask("SELECT name FROM sqlite_schema ORDER BY name;");
    drop(shell); // by SIGKILL
    let now = remy_tests::shell(&run.db, "SELECT name FROM sqlite_schema ORDER BY name;");
    if !String::from_utf8_lossy(&run.out.stdout).contains("not known") {
        assert_eq!(
            now.trim(),
            seen.trim(),
            "{what}: live changed when nobody had it open any more"
        );
    }
    run
}

#[test]
fn a_publish() {
    let case = Case::new(&[], &["publish", V2]);
    fail(&case, "enospc", 3);
    fail(&case, "eio", 5);
    fail(&case, "once", 3);
    fail(&case, "short", 5);
}

/// What is going to be written is known before each step that writes much, and refused where it
/// would fill the disk.
#[test]
fn a_disk_that_would_be_full() {
    let dir = tempfile::tempdir().unwrap();
    let (db, migrations) = (dir.path().join("app.db"), dir.path().join("migrations"));
    let schema = |b: &str| {
        format!("CREATE TABLE big (a INTEGER PRIMARY KEY, b {b}); CREATE INDEX by_b ON big (b);")
    };
    remy_tests::shell(
        &db,
        &format!(
            "{} WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 2000)
             INSERT INTO big SELECT i, randomblob(500) FROM c; CREATE TABLE small (a);",
            schema("BLOB")
        ),
    );
    std::fs::create_dir(&migrations).unwrap();
    std::fs::write(
        migrations.join("0001_all.sql"),
        "UPDATE big SET b = randomblob(500);",
    )
    .unwrap();
    let bytes = std::fs::metadata(&db).unwrap().len();
    let run = |free: u64, host: bool, schema: &str, more: &str| {
        let mut driver = Command::new(built_program("remy-driver"));
        driver.arg(&db).args([
            "publish",
            schema,
            &format!(r#"{{"margin_bytes": 0{more}}}"#),
        ]);
        driver
            .env("LD_PRELOAD", fault_library())
            .env("FAULT_FREE", free.to_string());
        if host {
            driver.env("REMY_HOST", "1");
        }
        let out = output(&mut driver);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(
            out.status.success()
                || text.contains("Live is unchanged; release ")
                || text.contains("Nothing was started"),
            "{text}"
        );
        text
    };
    let (before, rebuild) = (
        state(&db),
        format!("{} CREATE TABLE small (a);", schema("BLOB DEFAULT 7")),
    );
    let same = format!("{} CREATE TABLE small (a);", schema("BLOB"));
    let migrate = format!(r#", "migrations": {migrations:?}"#);
    let refused = |text: String, what: &str| {
        assert!(
            text.contains(what) && text.contains("have to stay free") && text.contains("has "),
            "{text}"
        );
        assert_eq!(state(&db), before);
    };
    refused(run(bytes / 2, false, &same, ""), "a clone of");
    // There is room for a clone, and for nothing else that is as large.
    for host in [false, true] {
        refused(
            run(bytes + bytes / 2, host, &rebuild, ""),
            "rewriting what the plan changes",
        );
    }
    // A migration's writes are known when it has run.
    refused(run(bytes, false, &same, &migrate), "the switch of");
    assert!(
        run(bytes, false, &format!("{same} CREATE TABLE more (a);"), "")
            .contains(r#""status":"live""#)
    );
    assert!(run(3 * bytes, false, &rebuild, "").contains(r#""status":"live""#));
}

fn state(db: &std::path::Path) -> String {
    remy_tests::shell(
        db,
        "SELECT sql FROM sqlite_schema WHERE name NOT GLOB '_remy_*'; SELECT hex(sha3(group_concat(b))) FROM big",
    )
}

#[test]
fn a_publish_whose_reads_fail() {
    fail(
        &Case::new(
            PUBLISHED,
            &[
                "publish",
                "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);",
            ],
        ),
        "read",
        7,
    );
}

#[test]
fn a_publish_whose_commit_fails() {
    fail_in(&Case::new(&[], &["publish", V2]), "sync", "app.db-wal", 1);
    let journal = Case::with("delete", false, &[], &["publish", V2]);
    fail_in(&journal, "sync", "app.db-journal", 1);
    fail_in(&journal, "sync", "app.db", 1);
    fail(&journal, "once", 7);
    fail(&journal, "enospc", 7);
}

#[test]
fn a_publish_on_a_host() {
    let case = Case::with("wal", true, &[], &["publish", V2]);
    fail(&case, "once", 7);
    fail(&case, "enospc", 11);
    fail_in(&case, "sync", "app.db-wal", 1);
}

#[test]
fn a_rollback() {
    let case = Case::new(PUBLISHED, &["rollback"]);
    fail(&case, "enospc", 3);
    fail(&case, "once", 5);
    fail(&case, "short", 7);
    fail_in(&case, "sync", "app.db-wal", 1);
    fail(&case, "read", 11);
}

#[test]
fn a_dev_session() {
    let started: &[&[&str]] = &[&["dev_start", "d"], &["publish", V2]];
    let reset = Case::new(started, &["dev_reset", "d"]);
    fail(&reset, "enospc", 3);
    fail(&reset, "once", 5);
    fail_in(&reset, "sync", "d.db-wal", 1);
    fail(&Case::new(PUBLISHED, &["dev_start", "d"]), "once", 3);
    let truncate = Case::new(started, &["dev_truncate", "d"]);
    fail(&truncate, "once", 1);
    fail_in(&truncate, "sync", "d.db-wal", 1);
}

#[test]
fn a_prune() {
    let case = Case::new(SWITCHED_OFTEN, &["prune", "30", r#"{"keep_releases":1}"#]);
    fail(&case, "enospc", 1);
    fail(&case, "once", 1);
}

#[test]
fn a_detach() {
    let case = Case::new(PUBLISHED, &["detach"]);
    fail(&case, "enospc", 3);
    fail(&case, "once", 2);
    fail_in(&case, "sync", "app.db-wal", 1);
}

#[test]
fn a_stage() {
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);";
    let case = Case::new(PUBLISHED, &["stage", schema]);
    fail(&case, "enospc", 7);
    fail(&case, "once", 7);
}
