//! What a build pipeline needs of the engine: its steps in the log, builds that failed, first
//! releases, files by content, previews, and what a rollback would cost.
use remy_core::{BuildFailure, Line, Options, Outcome, Progress, Remy};
use remy_tests::{Shell, built_program, live::older_catalog, shell};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

const V1: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
const V2: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";

/// A folder with a database of 0 bytes, as a pipeline makes it at the first publish.
fn fresh() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live.db");
    fs::File::create(&live).unwrap();
    (dir, live)
}

fn options(options: Value) -> Options {
    Options::from_json(&options.to_string()).unwrap()
}

fn publish(live: &Path, schema: &str, with: Value) -> Outcome {
    Remy::open(live)
        .unwrap()
        .publish(schema, &options(with), Progress::none())
        .unwrap()
}

fn store(live: &Path) -> PathBuf {
    PathBuf::from(format!("{}-remy", live.display()))
}

#[test]
fn what_fills_an_empty_database_is_release_1() {
    let (_dir, live) = fresh();
    let first = publish(&live, V1, json!({}));
    assert_eq!((first.release, first.previous), (1, None));
    let app = Remy::open(&live).unwrap();
    let back = app
        .rollback(None, &Options::default(), Progress::none())
        .unwrap_err();
    assert_eq!(back.code(), "no_previous_release");
    assert_eq!(app.releases().unwrap().len(), 1);
    assert_eq!(
        fs::read_dir(store(&live).join("snapshots"))
            .unwrap()
            .count(),
        0
    );

    shell(&live, "INSERT INTO users VALUES (1, 'Ann')");
    assert_eq!(publish(&live, V2, json!({})).release, 2);
    app.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(shell(&live, "SELECT * FROM users"), "1|Ann\n");
    assert!(app.verify().unwrap().ok);
}

/// Nothing is kept of an empty database. So what somebody makes in it meanwhile must not be taken
/// for nothing.
#[test]
fn an_empty_database_that_is_filled_meanwhile() {
    let (_dir, live) = fresh();
    let other = live.clone();
    // The first line of the log comes when the database has been looked at, and before the clone.
    let once = std::sync::Once::new();
    let fill = move |_: &Line| {
        once.call_once(|| {
            shell(
                &other,
                "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);",
            );
        });
    };
    let app = Remy::open(&live).unwrap();
    let refused = app
        .publish(V1, &Options::default(), Progress::none().on_line(&fill))
        .unwrap_err();
    assert_eq!(refused.code(), "busy", "{refused}");
    assert_eq!(shell(&live, "SELECT a FROM theirs"), "1\n");
    // Again: now it is kept, as a release of its own.
    let outcome = app
        .publish(V1, &options(json!({"allow": ["drop"]})), Progress::none())
        .unwrap();
    assert!(outcome.previous.is_some());
    app.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(shell(&live, "SELECT a FROM theirs"), "1\n");
}

#[test]
fn the_steps_of_a_build_stand_in_the_log() {
    let (_dir, live) = fresh();
    let build = json!([
        {"at": 1_700_000_000_000_i64, "outcome": "ok", "message": "Compiled submit [4.2 KB]", "object": "submit", "duration_ms": 6.5},
        {"at": 1_700_000_000_007_i64, "outcome": "warning", "message": "cron.json has an unknown field", "duration_ms": 0},
    ]);
    publish(
        &live,
        V1,
        json!({"build": build, "commit": "a1b2c3d-dirty"}),
    );
    let log = Remy::open(&live).unwrap().build_log(None).unwrap();
    let at = log.iter().position(|line| {
        line.message == "Release 1 created from commit a1b2c3d (working tree dirty)"
    });
    let [step, warning] = &log[at.unwrap() + 1..at.unwrap() + 3] else {
        panic!("{log:#?}")
    };
    assert_eq!(
        (step.message.as_str(), step.object.as_deref()),
        ("Compiled submit [4.2 KB]", Some("submit"))
    );
    assert_eq!(
        (step.at, step.duration_ms, step.outcome.as_str()),
        (1_700_000_000_000, 6.5, "ok")
    );
    assert_eq!(
        (warning.outcome.as_str(), warning.step.as_str()),
        ("warning", "build")
    );
}

#[test]
fn a_build_that_failed_is_a_release_that_failed() {
    let (_dir, live) = fresh();
    publish(&live, V1, json!({}));
    let app = Remy::open(&live).unwrap();
    let failure = json!({"code": "build_failed", "message": "submit.ts:3:7: Expected \";\"", "object": "submit"});
    let failure = BuildFailure::from_json(&failure.to_string()).unwrap();
    let with = options(
        json!({"label": "two", "build": [{"at": 1, "outcome": "ok", "message": "Read the app", "duration_ms": 1}]}),
    );
    let failed = app.fail(&failure, &with, Progress::none()).unwrap();
    assert_eq!(
        (
            failed.release,
            failed.status.as_str(),
            failed.label.as_deref()
        ),
        (2, "failed", Some("two"))
    );
    let log = app.build_log(Some(2)).unwrap();
    let lines: Vec<_> = log
        .iter()
        .map(|line| (line.outcome.as_str(), line.message.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("ok", "Release 2 created"),
            ("ok", "Read the app"),
            ("failed", "build_failed: submit.ts:3:7: Expected \";\"")
        ]
    );
    assert_eq!(shell(&live, "SELECT release FROM _remy_release"), "1\n");
    assert_eq!(publish(&live, V2, json!({})).release, 3);
}

#[test]
fn a_file_that_stays_the_same_is_kept_once() {
    let (dir, live) = fresh();
    let app = dir.path().join("app");
    fs::create_dir_all(app.join("bin")).unwrap();
    fs::write(app.join("same.js"), "the same").unwrap();
    fs::write(app.join("changes.js"), "1").unwrap();
    fs::write(app.join("bin/run"), "the same").unwrap();
    fs::set_permissions(
        app.join("bin/run"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::os::unix::fs::symlink("same.js", app.join("link.js")).unwrap();
    publish(&live, V1, json!({"artifacts": app}));
    fs::write(app.join("changes.js"), "2").unwrap();
    publish(&live, V2, json!({"artifacts": app}));

    let file = |release: u32, name: &str| store(&live).join(format!("releases/{release}/{name}"));
    let inode = |release, name| fs::metadata(file(release, name)).unwrap().ino();
    assert_eq!(inode(1, "same.js"), inode(2, "same.js"));
    assert_ne!(inode(1, "changes.js"), inode(2, "changes.js"));
    assert_eq!(fs::read_to_string(file(1, "changes.js")).unwrap(), "1");
    // A file that can be run is another one, though its content is the same.
    assert_ne!(inode(1, "bin/run"), inode(1, "same.js"));
    assert_eq!(
        fs::metadata(file(2, "bin/run")).unwrap().mode() & 0o333,
        0o111
    );
    assert_eq!(
        fs::read_link(file(2, "link.js")).unwrap(),
        Path::new("same.js")
    );
    let remy = Remy::open(&live).unwrap();
    assert!(remy.verify().unwrap().ok);

    // What only a pruned release had goes with it; what others have stays.
    publish(&live, V1, json!({"artifacts": app}));
    remy.prune(Some(0), &options(json!({"keep_releases": 0})))
        .unwrap();
    assert!(!file(1, "same.js").exists());
    assert_eq!(fs::read_to_string(file(2, "same.js")).unwrap(), "the same");
    let objects = |dir: PathBuf| -> usize {
        fs::read_dir(dir)
            .unwrap()
            .map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count())
            .sum()
    };
    assert_eq!(
        objects(store(&live).join("objects")),
        3,
        "same.js, bin/run, and changes.js of 2"
    );
    assert!(remy.verify().unwrap().ok);

    // A change of a kept file is found.
    let kept = store(&live).join("objects").join(object_of("the same"));
    fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&kept, "the lame").unwrap();
    let verified = remy.verify().unwrap();
    let found = verified
        .checked
        .iter()
        .find(|check| check.object == "objects")
        .unwrap();
    assert!(
        !found.ok
            && found
                .message
                .as_ref()
                .unwrap()
                .contains(&object_of("the same")),
        "{found:?}"
    );
    let wrong: Vec<_> = verified
        .checked
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.object.as_str())
        .collect();
    assert_eq!(wrong, ["objects", "releases/2", "releases/3"]);

    // One that is shorter than it should be is of use to nobody: the next release is given a whole
    // one.
    fs::write(&kept, "the").unwrap();
    publish(&live, V2, json!({"artifacts": app}));
    assert_eq!(fs::read_to_string(file(4, "same.js")).unwrap(), "the same");
    let wrong = remy
        .verify()
        .unwrap()
        .checked
        .into_iter()
        .filter(|check| !check.ok)
        .map(|check| check.object);
    assert_eq!(Vec::from_iter(wrong), ["releases/2", "releases/3"]);
}

/// Where a content that cannot be run is kept, below `objects`.
fn object_of(content: &str) -> String {
    let hash = blake3::hash(content.as_bytes()).to_hex();
    format!("{}/{}", &hash[..2], &hash[2..])
}

/// What is kept has the name of what was written, though the file says something else each time
/// that it is read.
#[test]
fn a_file_that_changes_while_it_is_kept() {
    let (_dir, live) = fresh();
    publish(
        &live,
        V1,
        json!({"artifacts": "/proc/sys/kernel/random/uuid"}),
    );
    let verified = Remy::open(&live).unwrap().verify().unwrap();
    assert!(verified.ok, "{verified:#?}");
}

#[test]
fn a_dry_run_of_a_rollback_counts_what_would_go() {
    let (_dir, live) = fresh();
    let schema = |more: &str| {
        format!(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, note TEXT); CREATE TABLE still (a);
             CREATE TABLE \"by key\" (k TEXT PRIMARY KEY, v) WITHOUT ROWID; {more}"
        )
    };
    publish(&live, &schema(""), json!({}));
    shell(
        &live,
        "INSERT INTO rows (name) VALUES ('a'), ('b'), ('c'), (NULL); INSERT INTO still VALUES (1), (2);
                  INSERT INTO \"by key\" VALUES ('x', 1), ('y', 2);",
    );
    publish(&live, &schema("CREATE TABLE new (a);"), json!({}));
    shell(&live, "INSERT INTO rows (name) VALUES ('d'); UPDATE rows SET name = 'B' WHERE name = 'b'; DELETE FROM rows WHERE name = 'c';
                  INSERT INTO new VALUES (1), (2), (3); UPDATE \"by key\" SET v = 3 WHERE k = 'y';");
    let app = Remy::open(&live).unwrap();
    let dry = app
        .rollback(None, &options(json!({"dry_run": true})), Progress::none())
        .unwrap();
    let counted: Vec<_> = dry
        .set_aside
        .iter()
        .map(|aside| (aside.table.as_str(), aside.rows))
        .collect();
    assert_eq!(counted, [("rows", 2), ("by key", 1), ("new", 3)]);
    assert_eq!(
        shell(&live, "SELECT count(*) FROM new"),
        "3\n",
        "it only counted"
    );
    let done = app
        .rollback(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        done.set_aside, dry.set_aside,
        "what went is told as it was foretold"
    );
}

/// What the application alone has, a collation here, is missing when the rows are counted: the
/// others are counted all the same.
#[test]
fn a_dry_run_of_a_rollback_says_what_it_cannot_count() {
    let (_dir, live) = fresh();
    let collation = |from: &str, to: &str| {
        let sql = format!(
            "UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE name = 'theirs'"
        );
        shell(&live, &format!("PRAGMA writable_schema = ON; {sql}"));
    };
    shell(
        &live,
        "CREATE TABLE theirs (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO theirs VALUES ('a', 1);
         CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);",
    );
    collation("NOCASE", "app");
    publish(&live, V2, json!({"ignore": ["theirs"]}));
    shell(&live, "INSERT INTO users (name) VALUES ('Ann')");
    let app = Remy::open(&live).unwrap();
    let dry_run = || {
        let dry = app
            .rollback(None, &options(json!({"dry_run": true})), Progress::none())
            .unwrap();
        let counted: Vec<_> = dry
            .set_aside
            .iter()
            .map(|aside| (aside.table.clone(), aside.rows))
            .collect();
        assert_eq!(counted, [("users".to_owned(), 1)]);
        dry.warnings
    };
    assert_eq!(
        dry_run(),
        Vec::<String>::new(),
        "its pages are the same in both: there is nothing to count"
    );

    collation("app", "NOCASE");
    shell(&live, "UPDATE theirs SET v = 2");
    collation("NOCASE", "app");
    let warnings = dry_run();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("the rows of theirs that would go cannot be counted ("),
        "{warnings:?}"
    );
    app.rollback(None, &Options::default(), Progress::none())
        .unwrap();
}

#[test]
fn a_preview_has_a_database_of_its_own() {
    let (_dir, live) = fresh();
    publish(&live, V1, json!({}));
    shell(&live, "INSERT INTO users VALUES (1, 'Ann')");
    let app = Remy::open(&live).unwrap();
    let stage = |schema: &str| {
        app.stage(
            schema,
            &options(json!({"preview": "next"})),
            Progress::none(),
        )
        .unwrap()
    };
    let first = stage(V2);
    assert_eq!((first.release, first.status.as_str()), (2, "preview"));
    let preview = store(&live).join("previews/next.db");
    let mut open = Shell::open(&preview);
    assert_eq!(
        open.run("SELECT id, name, email IS NULL FROM users;"),
        "1|Ann|1"
    );
    assert_eq!(open.run("SELECT release FROM _remy_release;"), "2");
    open.run("INSERT INTO users VALUES (2, 'tried', 'here');");
    assert_eq!(shell(&live, "SELECT count(*) FROM users"), "1\n");

    // The name again: the same file, under the connection that is open.
    let second = stage(&format!(
        "{V2} CREATE TABLE teams (id INTEGER PRIMARY KEY);"
    ));
    assert_eq!(
        open.run("SELECT count(*) FROM teams; SELECT count(*) FROM users;"),
        "0\n1"
    );
    let statuses: Vec<_> = app
        .releases()
        .unwrap()
        .into_iter()
        .map(|r| (r.release, r.status, r.database))
        .collect();
    assert_eq!(
        statuses[0],
        (
            second.release,
            "preview".into(),
            Some("previews/next.db".into())
        )
    );
    assert_eq!(statuses[1], (2, "superseded".into(), None));
    let e = app
        .promote(Some(2), &Options::default(), Progress::none())
        .unwrap_err();
    assert_eq!(e.code(), "not_promotable");
    assert!(
        e.to_string()
            .starts_with("release 2 was the preview next, which was staged again since"),
        "{e}"
    );
    assert_eq!(
        app.rollback(Some(second.release), &Options::default(), Progress::none())
            .unwrap_err()
            .code(),
        "not_promotable"
    );

    // Promoting clones afresh: what was written since is there, what was tried is not.
    shell(&live, "INSERT INTO users VALUES (3, 'Cid')");
    drop(open);
    let live_now = app
        .promote(Some(second.release), &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        (live_now.release, live_now.status.as_str()),
        (second.release, "live")
    );
    let last = live_now.log.last().unwrap();
    assert!(
        last.message
            .starts_with("Removed previews/next.db, the preview of this release"),
        "{}",
        last.message
    );
    assert_eq!(
        shell(
            &live,
            "SELECT group_concat(name) FROM users; SELECT count(*) FROM teams"
        ),
        "Ann,Cid\n0\n"
    );
    assert!(!preview.exists());
    assert!(app.verify().unwrap().ok);

    for (verb, name) in [("stage", "../out"), ("stage", ""), ("publish", "next")] {
        let with = options(json!({"preview": name}));
        let refused = match verb {
            "stage" => app.stage(V2, &with, Progress::none()),
            _ => app.publish(V2, &with, Progress::none()),
        };
        assert_eq!(
            refused.unwrap_err().code(),
            "invalid_argument",
            "{verb} {name:?}"
        );
    }
}

/// Its files, its database, and the store of what was published into it: all of it goes when it is
/// superseded, promoted or pruned.
#[test]
fn nothing_is_left_of_a_preview_that_is_no_more() {
    let (dir, live) = fresh();
    publish(&live, V1, json!({}));
    let files = dir.path().join("files");
    fs::create_dir(&files).unwrap();
    let app = Remy::open(&live).unwrap();
    let stage = |name: &str| {
        fs::write(
            files.join("app.js"),
            format!("{name} {}", app.releases().unwrap().len()),
        )
        .unwrap();
        let made = app
            .stage(
                V2,
                &options(json!({"preview": name, "artifacts": files})),
                Progress::none(),
            )
            .unwrap();
        // Somebody publishes into it.
        publish(
            &store(&live).join(format!("previews/{name}.db")),
            V1,
            json!({}),
        );
        made.release
    };
    let left = |folder: &str| {
        let entries = fs::read_dir(store(&live).join(folder)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
        names.sort();
        names
    };
    let objects = || -> usize {
        left("objects")
            .iter()
            .map(|folder| left(&format!("objects/{folder}")).len())
            .sum()
    };
    let (first, again, other) = (stage("next"), stage("next"), stage("other"));
    assert_eq!((first, again, other), (2, 3, 4));
    assert_eq!(
        left("previews"),
        ["next.db", "next.db-remy", "other.db", "other.db-remy"]
    );
    assert_eq!(
        (left("releases"), objects()),
        (vec!["3".into(), "4".into()], 2),
        "the first one is superseded"
    );

    app.promote(Some(again), &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(left("previews"), ["other.db", "other.db-remy"]);
    let days = |days| {
        app.prune(Some(days), &options(json!({"keep_releases": 9})))
            .unwrap()
            .pruned
    };
    assert!(days(1).is_empty());
    shell(
        &store(&live).join("catalog.db"),
        "UPDATE releases SET created_at = created_at - 3600000 WHERE release = 4",
    );
    let gone: Vec<_> = days(0)
        .into_iter()
        .map(|gone| (gone.release, gone.database))
        .collect();
    assert!(
        gone.contains(&(other, "previews/other.db".into())),
        "{gone:?}"
    );
    assert_eq!(
        (left("previews"), left("releases")),
        (vec![], vec!["3".to_owned()])
    );
    let e = app
        .promote(Some(other), &Options::default(), Progress::none())
        .unwrap_err();
    assert!(
        e.to_string().contains("release 4 was the preview other"),
        "{e}"
    );

    // What a process leaves that is killed before it has recorded its preview, or promoted one and
    // not removed it.
    fs::write(store(&live).join("previews/killed.db"), "").unwrap();
    app.prune(None, &Options::default()).unwrap();
    assert!(left("previews").is_empty());
}

/// Live is switched, and the store cannot be settled: what goes live now is not taken for what it
/// was before, and pruned.
#[test]
fn a_prune_after_a_switch_that_is_not_settled() {
    let (dir, live) = fresh();
    publish(&live, V1, json!({}));
    let files = dir.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("app.js"), "1").unwrap();
    let app = Remy::open(&live).unwrap();
    // As a disk that fails: the snapshot's name is taken when live is switched, and free again
    // afterwards.
    let blocked = Mutex::new(None);
    let block = |line: &Line| {
        if line.message.starts_with("Switched live") {
            let intent = "SELECT snapshot FROM switches ORDER BY rowid DESC LIMIT 1";
            let snapshot =
                store(&live).join(shell(&store(&live).join("catalog.db"), intent).trim());
            fs::create_dir(&snapshot).unwrap();
            *blocked.lock().unwrap() = Some(snapshot);
        }
    };
    let free = || fs::remove_dir(blocked.lock().unwrap().take().expect("it was blocked")).unwrap();
    let none_is_kept = options(json!({"retention_days": 0}));
    let staged = app
        .stage(
            V2,
            &options(json!({"preview": "next", "artifacts": files})),
            Progress::none(),
        )
        .unwrap();
    std::thread::sleep(Duration::from_millis(5));
    let promoted = app
        .promote(
            Some(staged.release),
            &none_is_kept,
            Progress::none().on_line(&block),
        )
        .unwrap();
    assert!(
        promoted.log.iter().any(|line| line
            .message
            .starts_with("Live is switched; the store will be")),
        "{promoted:#?}"
    );
    assert!(store(&live).join("releases/2/app.js").exists());
    free();
    publish(&live, V1, json!({"allow": ["drop"]}));

    // Back to it, where its snapshot is old.
    std::thread::sleep(Duration::from_millis(5));
    let back = app
        .rollback(
            Some(staged.release),
            &none_is_kept,
            Progress::none().on_line(&block),
        )
        .unwrap();
    assert!(store(&live).join("releases/2/app.js").exists(), "{back:#?}");
    free();
    app.prune(None, &none_is_kept).unwrap();
    assert!(store(&live).join("releases/2/app.js").exists());
    assert_eq!(app.releases().unwrap()[0].status, "live");
    assert!(app.verify().unwrap().ok);
}

/// What was rehearsed is what goes live, whatever became of the folder since.
#[test]
fn a_staged_release_keeps_its_migrations() {
    let (dir, live) = fresh();
    publish(&live, V1, json!({}));
    shell(&live, "INSERT INTO users VALUES (1, 'Ann')");
    let app = Remy::open(&live).unwrap();
    let folder = dir.path().join("migrations");
    let stage = |sql: &str| {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0001_greet.sql"), sql).unwrap();
        app.stage(
            V1,
            &options(json!({"migrations": folder})),
            Progress::none(),
        )
        .unwrap()
        .release
    };
    let promote = |release| app.promote(Some(release), &Options::default(), Progress::none());
    let names = || shell(&live, "SELECT group_concat(name) FROM users");

    let (changed, gone) = (
        stage("UPDATE users SET name = 'Hi ' || name;"),
        stage("UPDATE users SET name = 'Yo';"),
    );
    fs::write(folder.join("0001_greet.sql"), "DELETE FROM users;").unwrap();
    promote(changed).unwrap();
    assert_eq!(names(), "Hi Ann\n");
    app.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    promote(gone).unwrap();
    assert_eq!(names(), "Yo\n");
    app.rollback(None, &Options::default(), Progress::none())
        .unwrap();

    // An early remy kept the folder's path: what a store says is no path.
    let early = stage("UPDATE users SET name = 'Early';");
    shell(
        &store(&live).join("catalog.db"),
        &format!(
            "UPDATE releases SET declared = json_set(declared, '$.migrations', {0:?}) WHERE release = {early}",
            folder.display().to_string()
        )
        .replace('"', "'"),
    );
    let e = promote(early).unwrap_err();
    assert!(
        e.code() == "not_promotable" && e.to_string().contains("Stage it again"),
        "{e}"
    );
    assert_eq!(names(), "Ann\n");
}

/// Several processes open a store at once that an older remy made: each finds it brought up to
/// date, and one copy is kept.
#[test]
fn an_older_catalog_is_brought_up_to_date_by_several_at_once() {
    let (_dir, live) = fresh();
    publish(&live, V1, json!({}));
    let (catalog, kept) = (
        store(&live).join("catalog.db"),
        store(&live).join("catalog.1.db"),
    );
    // So that keeping a copy takes a moment.
    shell(
        &catalog,
        "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 2000)
         INSERT INTO build_log SELECT 1, 1000 + i, 0, 'build', 'ok', hex(randomblob(200)), NULL, NULL, 0 FROM c;",
    );
    for round in 0..5 {
        older_catalog(&catalog, 1);
        let _ = fs::remove_file(&kept);
        let look = || {
            let mut driver = Command::new(built_program("remy-driver"));
            driver
                .arg(&live)
                .arg("releases")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        for process in Vec::from_iter((0..6).map(|_| look())) {
            let out = process.wait_with_output().unwrap();
            assert!(
                out.status.success(),
                "round {round}: {}",
                String::from_utf8_lossy(&out.stdout)
            );
        }
        assert_eq!(
            shell(
                &catalog,
                "PRAGMA user_version; SELECT count(preview), count(*) FROM releases"
            ),
            "3\n0|1\n"
        );
        let whole =
            "PRAGMA integrity_check; PRAGMA user_version; SELECT count(*) > 2000 FROM build_log";
        assert_eq!(shell(&kept, whole), "ok\n1\n1\n", "round {round}");
        assert_eq!(
            fs::metadata(&kept).unwrap().mode(),
            fs::metadata(&live).unwrap().mode()
        );
        assert!(!store(&live).join("catalog.1.new").exists());
    }
}

/// The catalog of the first format: it is brought up to date, and kept as it was.
#[test]
fn an_older_catalog() {
    let (_dir, live) = fresh();
    publish(&live, V1, json!({}));
    let catalog = store(&live).join("catalog.db");
    older_catalog(&catalog, 1);
    assert_eq!(publish(&live, V2, json!({})).release, 2);
    assert_eq!(
        shell(
            &catalog,
            "PRAGMA user_version; SELECT count(preview), count(*) FROM releases"
        ),
        "3\n0|2\n"
    );
    let kept = store(&live).join("catalog.1.db");
    assert_eq!(
        shell(
            &kept,
            "PRAGMA user_version; SELECT max(release) FROM releases"
        ),
        "1\n1\n"
    );
}
