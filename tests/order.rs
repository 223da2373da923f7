//! What has to be on the disk before what: each sync of a verb, at the moment at which no other one
//! would do in its place.
use remy_tests::{
    Shell, cases,
    cut::{Case, Look, PUBLISHED, Run, V2, scratch},
    disk::{Loss, Recording},
    rounds::Random,
    shell,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A verb, and what it did to its folder while an application had a database open.
struct Recorded {
    _run: Run,
    _app: Shell,
    recording: Recording,
}

impl Recorded {
    /// `begin` is given the folder before, and opens the application. With live open, no connection
    /// of the verb's is the last one, which would checkpoint, and sync, what is closed.
    fn new(
        case: &Case,
        steps: &str,
        options: Option<&str>,
        begin: impl FnOnce(&Path) -> Shell,
    ) -> Self {
        let mut recording = None;
        let run = case.run_recorded_beside(steps, options, |folder| {
            recording = Some((begin(folder), Recording::begin(folder)));
        });
        assert!(run.out.status.success(), "{:?}", run.out);
        let (app, mut recording) = recording.expect("the folder was copied");
        recording.end(&run.log());
        Self {
            _run: run,
            _app: app,
            recording,
        }
    }

    /// The first change from `from` on that is described so.
    fn find(&self, from: usize, what: impl Fn(&str) -> bool) -> usize {
        let found = (from..self.recording.len()).find(|&n| what(&self.recording.describe(n)));
        found.expect("it is done")
    }

    /// When the outgoing release's database is given its name: live has committed before.
    fn settles(&self) -> usize {
        self.find(0, |change| {
            change.starts_with("Rename") && change.contains("to: \"app.db-remy/snapshots/")
        })
    }

    /// The first moment after the sync of live's COMMIT.
    fn committed(&self) -> usize {
        let is_sync = |n: &usize| {
            let change = self.recording.describe(*n);
            change.starts_with("Sync") && change.ends_with("Some(\"app.db-wal\")")
        };
        (0..self.settles())
            .rev()
            .find(is_sync)
            .expect("live's WAL is synced")
            + 1
    }

    /// The folder after a power cut.
    fn cut(&self, at: usize, loss: Loss, seed: u64) -> (tempfile::TempDir, PathBuf) {
        let dir = scratch();
        let folder = dir.path().join("work");
        self.recording
            .after_power_cut(at, loss, &mut Random::new(seed), &folder);
        (dir, folder)
    }
}

/// An application that has written to live, so that the WAL is there.
fn application(folder: &Path) -> Shell {
    let mut app = Shell::open(&folder.join("app.db"));
    app.ask("UPDATE gone SET a = a;");
    assert!(folder.join("app.db-wal").exists());
    app
}

/// A migration that writes more pages than a cache holds, and than SQLite checkpoints by itself.
fn fills_many_pages(folder: &Path) {
    fs::create_dir(folder.join("migrations")).unwrap();
    let sql =
        "CREATE TABLE filler (a); WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 1500)
               INSERT INTO filler SELECT zeroblob(3000) FROM c;";
    fs::write(folder.join("migrations/0001_fill.sql"), sql).unwrap();
}

/// COMMIT syncs live's WAL: what comes after it may take live for switched, and the checkpoint,
/// which syncs it again, comes last.
#[test]
fn a_commit_is_on_the_disk_before_the_store_is_settled() {
    let case = Case::new(&[], &["publish", V2]);
    let publish = Recorded::new(&case, "", None, application);
    let checkpoint = publish.find(publish.settles(), |change| {
        change.ends_with("Some(\"app.db-wal\")")
    });
    for at in publish.settles()..=checkpoint {
        let (_dir, folder) = publish.cut(at, Loss::Everything, 0);
        let what = format!("cut before {}", publish.recording.describe(at));
        assert!(
            case.holds(&folder.join("app.db"), Look::Live, &what),
            "{what}: live is what it was before"
        );
    }
}

/// A checkpoint inside COMMIT would write to live's file in the pause, and before anybody is sure
/// of what is in its WAL.
#[test]
fn a_commit_does_not_checkpoint() {
    let case = Case::new(&[], &["publish", &format!("{V2} CREATE TABLE filler (a);")]);
    let options = r#"{"allow":["drop"],"migrations":"work/migrations"}"#;
    let publish = Recorded::new(&case, "", Some(options), |folder| {
        fills_many_pages(folder);
        application(folder)
    });
    let written = |file: &str, until: usize| -> u64 {
        let changes = (0..until).map(|n| publish.recording.describe(n));
        let bytes = changes
            .filter(|change| change.ends_with(&format!("of Some({file:?})")))
            .filter_map(|change| {
                change
                    .strip_prefix("a write of ")
                    .and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok())
            });
        bytes.sum()
    };
    assert!(
        written("app.db-wal", publish.settles()) > 1001 * 4096,
        "too little for SQLite to checkpoint by itself"
    );
    assert_eq!(written("app.db", publish.settles()), 0);
    assert!(written("app.db", publish.recording.len()) > 1001 * 4096);
}

/// What writers commit before the lock, and while it is waited for, is in the database of the
/// outgoing release, whatever the disk had of that when live committed. And the WAL of the image
/// has not the name that SQLite would play back into it.
fn the_outgoing_release_is_on_the_disk_before_live_commits(steps: &str) {
    let case = Case::new(&[], &["publish", V2]);

    let publish = Recorded::new(&case, steps, None, application);
    let committed = publish.committed();
    for seed in 0..32 {
        let (_dir, folder) = publish.cut(committed, Loss::Names, seed);
        let names = fs::read_dir(folder.join("app.db-remy/work")).unwrap();
        let names: Vec<_> = names
            .map(|name| name.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            !names.iter().any(|name| name.ends_with("-wal")),
            "{steps}: {names:?}"
        );
    }
    for loss in [Loss::Everything, Loss::Bytes] {
        let (_dir, folder) = publish.cut(committed, loss, 0);
        let (db, what) = (
            folder.join("app.db"),
            format!("a writer at {steps}, lost: {loss:?}"),
        );
        case.recover(&db, &what);
        let content = "PRAGMA integrity_check; SELECT count(*) FROM users WHERE id <= 500;
                           SELECT group_concat(name) FROM (SELECT name FROM users WHERE id > 500 ORDER BY id);";
        let inserted = steps
            .split(',')
            .filter(|step| !step.is_empty())
            .map(|step| format!("beside {step}"));
        let expected = format!("ok\n500\n{}\n", Vec::from_iter(inserted).join(","));
        assert_eq!(shell(&db, content), expected, "{what}");
        let snapshot = shell(
            &folder.join("app.db-remy/catalog.db"),
            "SELECT path FROM snapshots WHERE release = 1",
        );
        let snapshot = folder.join("app.db-remy").join(snapshot.trim());
        assert_eq!(shell(&snapshot, content), expected, "{what}");
    }
}

cases! { the_outgoing_release_is_on_the_disk_before_live_commits:
    [nobody_beside: "", once_checked: "check", once_caught_up: "check,catch_up"]
}

/// A snapshot that is there already is nobody's to write over: the store is settled when it has
/// been moved away.
#[test]
fn a_snapshot_is_never_renamed_over_an_older_file() {
    let case = Case::new(&[], &["publish", V2]);
    let publish = Recorded::new(&case, "", None, application);
    let (_dir, folder) = publish.cut(publish.settles(), Loss::Nothing, 0);
    let (db, store) = (folder.join("app.db"), folder.join("app.db-remy"));
    let path = shell(
        &store.join("catalog.db"),
        "SELECT snapshot FROM switches WHERE state = 'intended'",
    );
    let older = store.join(path.trim());
    fs::write(&older, "older").unwrap();
    let out = case.driver_says(&db, &["prune"]);
    let error: Value = serde_json::from_str(&out).unwrap();
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains(path.trim())),
        "{out}"
    );
    assert_eq!(fs::read_to_string(&older).unwrap(), "older");
    fs::remove_file(&older).unwrap();
    assert!(case.holds(&db, Look::Live, "the older file was moved away"));
}

/// A switch syncs the folder that live and the store are in, as SQLite does with a WAL's; what is
/// staged comes to no switch.
#[test]
fn a_store_has_its_name_when_its_first_verb_ends() {
    let case = Case::new(&[], &["stage", V2]);
    let stage = Recorded::new(&case, "", None, application);
    let (_dir, folder) = stage.cut(stage.recording.len(), Loss::Everything, 0);
    assert!(
        case.holds(&folder.join("app.db"), Look::Live, "cut at the end"),
        "it said that it was done"
    );
}

/// Where somebody else has the catalog open, closing it syncs nothing.
#[test]
fn what_is_compiled_stays_so() {
    let case = Case::new(
        PUBLISHED,
        &[
            "stage",
            "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);",
        ],
    );
    let stage = Recorded::new(&case, "", None, |folder| {
        let mut looks = Shell::open(&folder.join("app.db-remy/catalog.db"));
        looks.ask("UPDATE releases SET label = label;");
        looks
    });
    let (_dir, folder) = stage.cut(stage.recording.len(), Loss::Everything, 0);
    assert!(
        case.holds(&folder.join("app.db"), Look::Live, "cut at the end"),
        "it said that it was compiled"
    );
}

/// A cache that is full writes pages out before COMMIT, and needs every reader gone for it. A
/// database with a rollback journal is written to only when all of its journal is on the disk, in
/// one go.
#[test]
fn nothing_is_spilled_before_the_commit() {
    let case = Case::with(
        "delete",
        false,
        &[],
        &["publish", &format!("{V2} CREATE TABLE filler (a);")],
    );
    let options = r#"{"allow":["drop"],"journal_mode":"keep","migrations":"work/migrations"}"#;
    let publish = Recorded::new(&case, "", Some(options), |folder| {
        fills_many_pages(folder);
        Shell::open(&folder.join("app.db"))
    });
    let is_write = |change: &str, file: &str| {
        change.starts_with("a write") && change.ends_with(&format!("Some({file:?})"))
    };
    let changes: Vec<_> = (0..publish.settles())
        .map(|n| publish.recording.describe(n))
        .collect();
    let pages = changes
        .iter()
        .filter(|change| is_write(change, "app.db"))
        .count();
    assert!(pages > 1000, "{pages} pages are no more than a cache holds");
    let first = changes
        .iter()
        .position(|change| is_write(change, "app.db"))
        .unwrap();
    let late = changes[first..]
        .iter()
        .find(|change| change.ends_with(r#"Some("app.db-journal")"#));
    assert_eq!(
        late, None,
        "live was written to before its journal was whole"
    );
}

/// An application may be the first to open live after a process died in the sync of its COMMIT, and
/// find it done, though no disk has it. Once recovery has settled the store, it must not be gone
/// again with the power.
#[test]
fn a_switch_that_is_found_done_is_on_the_disk_before_it_is_settled() {
    let case = Case::new(&[], &["publish", V2]);
    let dies = [("FAULT_KIND", "dies"), ("FAULT_FILE", "app.db-wal")];
    let mut found = 0;
    for n in 1..=case.run(&dies).calls {
        let dead = case.run(&[&dies[..], &[("FAULT_AT", n.to_string().as_str())]].concat());
        let mut begun = None;
        let run = case.run_recorded(dead.db.parent(), Some(&["prune".to_owned()]), |folder| {
            let mut app = Shell::open(&folder.join("app.db"));
            let is_new = app.ask("SELECT name FROM sqlite_schema;").contains("teams");
            begun = Some((app, is_new, Recording::begin(folder)));
        });
        let (app, is_new, mut recording) = begun.expect("the folder was copied");
        if is_new {
            assert!(run.out.status.success(), "{:?}", run.out);
            recording.end(&run.log());
            let recovery = Recorded {
                _run: run,
                _app: app,
                recording,
            };
            assert!(recovery.committed() < recovery.settles());
            found += 1;
        }
    }
    assert!(found > 0, "no COMMIT came alive");
}
