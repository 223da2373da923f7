//! Kills the process at every change of a file that a verb makes, inside the sync of its commit,
//! and under writers.
use remy_tests::{
    Shell, built_program,
    cut::{Case, Look, PUBLISHED, Run, SWITCHED_OFTEN, V1, V2, WITH_FILES},
    fault_library, output,
    rounds::{Random, rounds},
    shell, stdout,
    writer::{Writer, account},
};
use std::{path::PathBuf, process::Command, time::Duration};

const KEEP: &str = r#"{"allow":["drop"],"journal_mode":"keep"}"#;

/// Kills the verb at every `stride`-th change of a file; each round begins at another one.
fn kill(case: &Case, kind: &str, stride: usize) {
    let total = case.run(&[]).calls;
    assert!(total > 20, "the fault library counts nothing: {total}");
    let (mut olds, mut news) = (0, 0);
    for seed in rounds(1) {
        let first = 1 + usize::try_from(seed).unwrap() % stride;
        for (i, n) in (first..=total).step_by(stride).enumerate() {
            let Run { db, out, .. } =
                &case.run(&[("FAULT_KIND", kind), ("FAULT_AT", &n.to_string())]);
            // A verb may make a change less than the last time: a checkpoint goes by the clock of
            // nobody.
            assert!(
                !out.status.success() || n + 5 > total,
                "{n} of {total}: it was not killed"
            );
            let what = format!("round {seed}: {} {kind} at {n} of {total}", case.name());
            let new = case.holds(db, Look::by(i + first), &what);
            *(if new { &mut news } else { &mut olds }) += 1;
        }
    }
    assert!(olds > 0 && news > 0, "{kind}: {olds} old, {news} new");
}

#[test]
fn a_publish() {
    let case = Case::new(&[], &["publish", V2]);
    kill(&case, "kill", 1);
    kill(&case, "killed", 7);
}

#[test]
fn a_publish_that_keeps_files() {
    let case = Case::new(&[], &["publish", V2, WITH_FILES]);
    kill(&case, "kill", 3);
    die_in_sync(&case, "app.db-wal", true);
    kill(&Case::new(PUBLISHED, &["stage", V2, WITH_FILES]), "kill", 5);
}

#[test]
fn a_publish_with_a_rollback_journal() {
    kill(
        &Case::with("delete", false, &[], &["publish", V2]),
        "kill",
        5,
    );
}

#[test]
fn a_publish_on_a_host() {
    kill(&Case::with("wal", true, &[], &["publish", V2]), "kill", 7);
    kill(
        &Case::with("delete", true, &[], &["publish", V2]),
        "kill",
        9,
    );
}

#[test]
fn a_rollback() {
    let case = Case::new(PUBLISHED, &["rollback"]);
    kill(&case, "kill", 3);
    kill(&case, "killed", 7);
    kill(
        &Case::with("delete", true, PUBLISHED, &["rollback"]),
        "kill",
        11,
    );
}

#[test]
fn a_promote() {
    kill(&Case::new(&[&["stage", V2]], &["promote"]), "kill", 5);
    kill(
        &Case::new(&[&["publish", V2], &["rollback"]], &["promote", "2"]),
        "kill",
        5,
    );
}

#[test]
fn a_stage() {
    kill(
        &Case::new(
            PUBLISHED,
            &[
                "stage",
                "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);",
            ],
        ),
        "kill",
        5,
    );
}

#[test]
fn a_preview() {
    const NEXT: &str = r#"{"allow":["drop"],"preview":"next"}"#;
    kill(&Case::new(PUBLISHED, &["stage", V2, NEXT]), "kill", 5);
    let made: &[&[&str]] = &[&["stage", V2, NEXT]];
    kill(&Case::new(made, &["stage", V1, NEXT]), "kill", 1);
    kill(
        &Case::with("wal", true, made, &["stage", V1, NEXT]),
        "kill",
        5,
    );
}

#[test]
fn a_prune() {
    kill(
        &Case::new(SWITCHED_OFTEN, &["prune", "30", r#"{"keep_releases":1}"#]),
        "kill",
        1,
    );
}

#[test]
fn a_detach() {
    kill(&Case::new(PUBLISHED, &["detach"]), "kill", 2);
}

#[test]
fn a_dev_session() {
    kill(&Case::new(PUBLISHED, &["dev_start", "d"]), "kill", 2);
    let started: &[&[&str]] = &[&["dev_start", "d"], &["publish", V2]];
    kill(&Case::new(started, &["dev_reset", "d"]), "kill", 3);
    let grows: &[&str] = &[
        "dev_sync",
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, note TEXT);
         CREATE INDEX by_name ON users (name); CREATE TABLE gone (a);",
    ];
    kill(&Case::new(&[&["dev_start", "d"]], grows), "kill", 2);
    kill(
        &Case::with("delete", true, &[&["dev_start", "d"]], grows),
        "kill",
        5,
    );
    kill(
        &Case::with("wal", true, started, &["dev_reset", "d"]),
        "kill",
        7,
    );
    kill(&Case::new(started, &["dev_truncate", "d"]), "kill", 1);
    kill(&Case::new(started, &["dev_stop", "d"]), "kill", 1);
}

/// Kills the verb inside each sync of `file` while a shell has live open, so that what is in the
/// WAL is not looked at again. Then a verb decides what became of it; then the shell dies, too, and
/// the next one to open live reads the WAL.
fn die_in_sync(case: &Case, file: &str, commits: bool) {
    let total = case
        .run(&[("FAULT_KIND", "dies"), ("FAULT_FILE", file)])
        .calls;
    assert!(total > 0, "{file} is not synced");
    let (mut olds, mut news) = (0, 0);
    for n in 1..=total {
        for kind in ["dies", "dies-half", "dies-none"] {
            for beside in [true, false] {
                let what = format!(
                    "{} {kind} in sync {n} of {total} of {file}, a shell beside: {beside}",
                    case.name()
                );
                let at = n.to_string();
                let faults = [
                    ("FAULT_KIND", kind),
                    ("FAULT_FILE", file),
                    ("FAULT_AT", &at),
                ];
                let run = if beside {
                    let (run, mut shell) = case.run_beside(&faults, |db| {
                        let mut shell = Shell::open(db);
                        shell.ask("SELECT count(*) FROM sqlite_schema;");
                        shell
                    });
                    case.recover(&run.db, &what);
                    let decided = shell.ask("SELECT name FROM sqlite_schema ORDER BY name;");
                    drop(shell); // by SIGKILL
                    let now = shell_once(&run.db);
                    assert_eq!(
                        now, decided,
                        "{what}: what was decided came to be otherwise"
                    );
                    run
                } else {
                    case.run(&faults)
                };
                assert!(!run.out.status.success(), "{what}: it did not die");
                let new = case.holds(&run.db, Look::by(n), &what);
                *(if new { &mut news } else { &mut olds }) += 1;
            }
        }
    }
    // A rollback journal commits by being removed, after its last sync.
    assert!(olds > 0 && (news > 0) == commits, "{olds} old, {news} new");
}

fn shell_once(db: &std::path::Path) -> String {
    shell(db, "SELECT name FROM sqlite_schema ORDER BY name;")
}

#[test]
fn inside_the_sync_of_the_commit() {
    die_in_sync(&Case::new(&[], &["publish", V2]), "app.db-wal", true);
    die_in_sync(&Case::new(PUBLISHED, &["rollback"]), "app.db-wal", true);
}

#[test]
fn inside_the_sync_of_the_commit_with_a_rollback_journal() {
    let case = Case::with("delete", false, &[], &["publish", V2]);
    die_in_sync(&case, "app.db-journal", false);
    die_in_sync(&case, "app.db", false);
}

/// remy is killed again and again, at random changes of files, while shells write. Nothing that
/// they were told is lost.
#[test]
fn again_and_again_under_writers() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("app.db");
    const WRITES: &str =
        "CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE);";
    shell(
        &db,
        &format!(
            "PRAGMA journal_mode = wal; {WRITES} CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);"
        ),
    );
    let writers: Vec<_> = (0..2)
        .map(|n| Writer::start_paced(&db, n, Duration::from_millis(2)))
        .collect();
    let driver = |verb: &[&str]| {
        let mut command = Command::new(built_program("remy-driver"));
        command.arg(&db).args(verb);
        command
    };
    let schema = |n: u64| {
        format!("{WRITES} CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, c{n} TEXT);")
    };
    stdout(&mut driver(&["publish", &schema(0), KEEP]));
    stdout(&mut driver(&["dev_start", "d"]));
    let (mut killed, mut ended) = (0, 0);
    for seed in rounds(50) {
        let mut random = Random::new(seed);
        let schema = schema(random.below(3));
        let verb = [
            &["publish", &schema, KEEP][..],
            &["publish", &schema, KEEP],
            &["rollback"],
            &["dev_reset", "d"],
        ];
        let verb = random.one_of(&verb);
        let at = (1 + random.below(160)).to_string();
        let faults = [
            ("FAULT_DIR", dir.path().to_str().unwrap()),
            ("FAULT_KIND", "kill"),
            ("FAULT_AT", &at),
        ];
        let out = output(driver(verb).env("LD_PRELOAD", fault_library()).envs(faults));
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.code().is_none_or(|code| code == 0),
            "round {seed}: {verb:?} killed at {at}: {text}"
        );
        *(if out.status.success() {
            &mut ended
        } else {
            &mut killed
        }) += 1;
        assert!(
            writers.iter().all(Writer::is_writing),
            "round {seed}: a writer met an error"
        );
    }
    assert!(killed > ended, "{killed} killed, {ended} not");
    stdout(&mut driver(&["publish", &schema(9), KEEP]));
    let verified = stdout(&mut driver(&["verify"]));
    assert!(verified.starts_with(r#"{"ok":true"#), "{verified}");
    let releases: serde_json::Value =
        serde_json::from_str(&stdout(&mut driver(&["releases"]))).unwrap();
    let databases = releases
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|release| release["database"].as_str());
    let databases =
        databases.map(|database| PathBuf::from(format!("{}-remy/{database}", db.display())));
    let writes = account(databases.chain([db.clone()]), writers);
    assert!(writes > 100, "only {writes} writes");
}
