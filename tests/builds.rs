//! What a build pipeline needs of the engine: its steps in the log, builds that failed, first
//! releases, files by content, previews, and what a rollback would cost.
use remy_db::{BuildFailure, Line, Options, Progress, ReleaseId, Remy, Status};
use remy_tests::{
    Shell, built_program,
    live::{App, older_catalog},
    moments, shell,
};
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

fn options(options: Value) -> Options {
    Options::from_json(&options.to_string()).unwrap()
}

#[test]
fn what_fills_an_empty_database_is_release_1() {
    let app = App::empty();
    let first = app.publish(V1, &json!({})).unwrap();
    assert_eq!((first.release, first.previous), (ReleaseId(1), None));
    let remy = app.remy();
    let back = remy
        .rollback(None, &Options::default(), Progress::none())
        .unwrap_err();
    assert_eq!(back.code(), "no_previous_release");
    assert_eq!(remy.releases().unwrap().len(), 1);
    assert_eq!(fs::read_dir(app.store("snapshots")).unwrap().count(), 0);

    shell(&app.live, "INSERT INTO users VALUES (1, 'Ann')");
    assert_eq!(app.publish(V2, &json!({})).unwrap().release, 2);
    remy.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(shell(&app.live, "SELECT * FROM users"), "1|Ann\n");
    assert!(remy.verify().unwrap().ok);
}

/// Nothing is kept of an empty database. So what somebody makes in it meanwhile must not be taken
/// for nothing.
#[test]
fn an_empty_database_that_is_filled_meanwhile() {
    let app = App::empty();
    let other = app.live.clone();
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
    let remy = app.remy();
    let refused = remy
        .publish(V1, &Options::default(), Progress::none().on_line(&fill))
        .unwrap_err();
    assert_eq!(refused.code(), "busy", "{refused}");
    assert_eq!(shell(&app.live, "SELECT a FROM theirs"), "1\n");
    // Again: now it is kept, as a release of its own.
    let outcome = remy
        .publish(V1, &options(json!({"allow": ["drop"]})), Progress::none())
        .unwrap();
    assert!(outcome.previous.is_some());
    remy.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(shell(&app.live, "SELECT a FROM theirs"), "1\n");
}

#[test]
fn the_steps_of_a_build_stand_in_the_log() {
    let app = App::empty();
    let build = json!([
        {"at": 1_700_000_000_000_i64, "outcome": "ok", "message": "Compiled submit [4.2 KB]", "object": "submit", "duration_ms": 6.5},
        {"at": 1_700_000_000_007_i64, "outcome": "warning", "message": "cron.json has an unknown field", "duration_ms": 0},
    ]);
    app.publish(V1, &json!({"build": build, "commit": "a1b2c3d-dirty"}))
        .unwrap();
    let log = app.remy().build_log(None).unwrap();
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
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    let remy = app.remy();
    let failure = json!({"code": "build_failed", "message": "submit.ts:3:7: Expected \";\"", "object": "submit"});
    let failure = BuildFailure::from_json(&failure.to_string()).unwrap();
    let with = options(
        json!({"label": "two", "build": [{"at": 1, "outcome": "ok", "message": "Read the app", "duration_ms": 1}]}),
    );
    let failed = remy.fail(&failure, &with, Progress::none()).unwrap();
    assert_eq!(
        (
            failed.release,
            failed.status.as_str(),
            failed.label.as_deref()
        ),
        (ReleaseId(2), "failed", Some("two"))
    );
    let log = remy.build_log(Some(ReleaseId(2))).unwrap();
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
    assert_eq!(shell(&app.live, "SELECT release FROM _remy_release"), "1\n");
    assert_eq!(app.publish(V2, &json!({})).unwrap().release, 3);
}

#[test]
fn a_file_that_stays_the_same_is_kept_once() {
    let app = App::empty();
    let files = app.dir.path().join("app");
    fs::create_dir_all(files.join("bin")).unwrap();
    fs::write(files.join("same.js"), "the same").unwrap();
    fs::write(files.join("changes.js"), "1").unwrap();
    fs::write(files.join("bin/run"), "the same").unwrap();
    fs::set_permissions(
        files.join("bin/run"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::os::unix::fs::symlink("same.js", files.join("link.js")).unwrap();
    app.publish(V1, &json!({"artifacts": files})).unwrap();
    fs::write(files.join("changes.js"), "2").unwrap();
    app.publish(V2, &json!({"artifacts": files})).unwrap();

    let file = |release: u32, name: &str| app.store(&format!("releases/{release}/{name}"));
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
    let remy = app.remy();
    assert!(remy.verify().unwrap().ok);

    // What only a pruned release had goes with it; what others have stays.
    app.publish(V1, &json!({"artifacts": files})).unwrap();
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
        objects(app.store("objects")),
        3,
        "same.js, bin/run, and changes.js of 2"
    );
    assert!(remy.verify().unwrap().ok);

    a_change_of_a_kept_file_is_found(&app, &files);
}

/// `files` are what three releases were made of, the first of which is pruned.
fn a_change_of_a_kept_file_is_found(app: &App, files: &Path) {
    let remy = app.remy();
    let kept = app.store("objects").join(object_of("the same"));
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
    app.publish(V2, &json!({"artifacts": files})).unwrap();
    assert_eq!(
        fs::read_to_string(app.store("releases/4/same.js")).unwrap(),
        "the same"
    );
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
    let app = App::empty();
    app.publish(V1, &json!({"artifacts": "/proc/sys/kernel/random/uuid"}))
        .unwrap();
    let verified = app.remy().verify().unwrap();
    assert!(verified.ok, "{verified:#?}");
}

#[test]
fn a_dry_run_of_a_rollback_counts_what_would_go() {
    let app = App::empty();
    let schema = |more: &str| {
        format!(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, note TEXT); CREATE TABLE still (a);
             CREATE TABLE \"by key\" (k TEXT PRIMARY KEY, v) WITHOUT ROWID; {more}"
        )
    };
    app.publish(&schema(""), &json!({})).unwrap();
    shell(
        &app.live,
        "INSERT INTO rows (name) VALUES ('a'), ('b'), ('c'), (NULL); INSERT INTO still VALUES (1), (2);
                  INSERT INTO \"by key\" VALUES ('x', 1), ('y', 2);",
    );
    app.publish(&schema("CREATE TABLE new (a);"), &json!({}))
        .unwrap();
    shell(&app.live, "INSERT INTO rows (name) VALUES ('d'); UPDATE rows SET name = 'B' WHERE name = 'b'; DELETE FROM rows WHERE name = 'c';
                  INSERT INTO new VALUES (1), (2), (3); UPDATE \"by key\" SET v = 3 WHERE k = 'y';");
    let remy = app.remy();
    let dry = remy
        .rollback(None, &options(json!({"dry_run": true})), Progress::none())
        .unwrap();
    let counted: Vec<_> = dry
        .set_aside
        .iter()
        .map(|aside| (aside.table.as_str(), aside.rows))
        .collect();
    assert_eq!(counted, [("rows", 2), ("by key", 1), ("new", 3)]);
    assert_eq!(
        shell(&app.live, "SELECT count(*) FROM new"),
        "3\n",
        "it only counted"
    );
    let done = remy
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
    let app = App::empty();
    let collation = |from: &str, to: &str| {
        let sql = format!(
            "UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE name = 'theirs'"
        );
        shell(&app.live, &format!("PRAGMA writable_schema = ON; {sql}"));
    };
    shell(
        &app.live,
        "CREATE TABLE theirs (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO theirs VALUES ('a', 1);
         CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);",
    );
    collation("NOCASE", "app");
    app.publish(V2, &json!({"ignore": ["theirs"]})).unwrap();
    shell(&app.live, "INSERT INTO users (name) VALUES ('Ann')");
    let remy = app.remy();
    let dry_run = || {
        let dry = remy
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
    shell(&app.live, "UPDATE theirs SET v = 2");
    collation("NOCASE", "app");
    let warnings = dry_run();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("the rows of theirs that would go cannot be counted ("),
        "{warnings:?}"
    );
    remy.rollback(None, &Options::default(), Progress::none())
        .unwrap();
}

#[test]
fn a_preview_has_a_database_of_its_own() {
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    shell(&app.live, "INSERT INTO users VALUES (1, 'Ann')");
    let remy = app.remy();
    let stage = |schema: &str| {
        remy.stage(
            schema,
            &options(json!({"preview": "next"})),
            Progress::none(),
        )
        .unwrap()
    };
    let first = stage(V2);
    assert_eq!(
        (first.release, first.status.as_str()),
        (ReleaseId(2), "preview")
    );
    let preview = app.store("previews/next.db");
    let mut open = Shell::open(&preview);
    assert_eq!(
        open.run("SELECT id, name, email IS NULL FROM users;"),
        "1|Ann|1"
    );
    assert_eq!(open.run("SELECT release FROM _remy_release;"), "2");
    open.run("INSERT INTO users VALUES (2, 'tried', 'here');");
    assert_eq!(shell(&app.live, "SELECT count(*) FROM users"), "1\n");

    // The name again: the same file, under the connection that is open.
    let second = stage(&format!(
        "{V2} CREATE TABLE teams (id INTEGER PRIMARY KEY);"
    ));
    assert_eq!(
        open.run("SELECT count(*) FROM teams; SELECT count(*) FROM users;"),
        "0\n1"
    );
    let statuses: Vec<_> = remy
        .releases()
        .unwrap()
        .into_iter()
        .map(|r| (r.release, r.status, r.database))
        .collect();
    assert_eq!(
        statuses[0],
        (
            second.release,
            Status::Preview,
            Some("previews/next.db".into())
        )
    );
    assert_eq!(statuses[1], (ReleaseId(2), Status::Superseded, None));
    let e = remy
        .promote(Some(ReleaseId(2)), &Options::default(), Progress::none())
        .unwrap_err();
    assert_eq!(e.code(), "not_promotable");
    assert!(
        e.to_string()
            .starts_with("release 2 was the preview next, which was staged again since"),
        "{e}"
    );
    assert_eq!(
        remy.rollback(Some(second.release), &Options::default(), Progress::none())
            .unwrap_err()
            .code(),
        "not_promotable"
    );

    drop(open);
    a_promotion_clones_afresh(&app, second.release);
}

/// What was written since is there, what was tried is not.
fn a_promotion_clones_afresh(app: &App, staged: ReleaseId) {
    let remy = app.remy();
    shell(&app.live, "INSERT INTO users VALUES (3, 'Cid')");
    let live_now = remy
        .promote(Some(staged), &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        (live_now.release, live_now.status.as_str()),
        (staged, "live")
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
            &app.live,
            "SELECT group_concat(name) FROM users; SELECT count(*) FROM teams"
        ),
        "Ann,Cid\n0\n"
    );
    assert!(!app.store("previews/next.db").exists());
    assert!(remy.verify().unwrap().ok);
}

#[test]
fn a_preview_without_a_name_or_of_a_publish_is_refused() {
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    let remy = app.remy();
    for (verb, name) in [("stage", "../out"), ("stage", ""), ("publish", "next")] {
        let with = options(json!({"preview": name}));
        let refused = match verb {
            "stage" => remy.stage(V2, &with, Progress::none()),
            _ => remy.publish(V2, &with, Progress::none()),
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
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    let files = app.dir.path().join("files");
    fs::create_dir(&files).unwrap();
    let remy = app.remy();
    let stage = |name: &str| {
        fs::write(
            files.join("app.js"),
            format!("{name} {}", remy.releases().unwrap().len()),
        )
        .unwrap();
        let made = remy
            .stage(
                V2,
                &options(json!({"preview": name, "artifacts": files})),
                Progress::none(),
            )
            .unwrap();
        // Somebody publishes into it.
        Remy::open(app.store(&format!("previews/{name}.db")))
            .unwrap()
            .publish(V1, &Options::default(), Progress::none())
            .unwrap();
        made.release
    };
    let left = |folder: &str| entries(&app.store(folder));
    let objects = || files_by_content(&app);
    let (first, again, other) = (stage("next"), stage("next"), stage("other"));
    assert_eq!(
        (first, again, other),
        (ReleaseId(2), ReleaseId(3), ReleaseId(4))
    );
    assert_eq!(
        left("previews"),
        ["next.db", "next.db-remy", "other.db", "other.db-remy"]
    );
    assert_eq!(
        (left("releases"), objects()),
        (vec!["3".into(), "4".into()], 2),
        "the first one is superseded"
    );

    remy.promote(Some(again), &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(left("previews"), ["other.db", "other.db-remy"]);
    let days = |days| {
        remy.prune(Some(days), &options(json!({"keep_releases": 9})))
            .unwrap()
            .pruned
    };
    assert!(days(1).is_empty());
    shell(
        &app.store("catalog.db"),
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
    let e = remy
        .promote(Some(other), &Options::default(), Progress::none())
        .unwrap_err();
    assert!(
        e.to_string().contains("release 4 was the preview other"),
        "{e}"
    );

    // What a process leaves that is killed before it has recorded its preview, or promoted one and
    // not removed it.
    fs::write(app.store("previews/killed.db"), "").unwrap();
    remy.prune(None, &Options::default()).unwrap();
    assert!(left("previews").is_empty());
}

/// The names in a folder, without what belongs to an open database.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    names.sort();
    names
}

/// How many files a store keeps by their content.
fn files_by_content(app: &App) -> usize {
    let objects = app.store("objects");
    entries(&objects)
        .iter()
        .map(|folder| entries(&objects.join(folder)).len())
        .sum()
}

/// Live is switched, and the store cannot be settled: what goes live now is not taken for what it
/// was before, and pruned.
#[test]
fn a_prune_after_a_switch_that_is_not_settled() {
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    let files = app.dir.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("app.js"), "1").unwrap();
    let remy = app.remy();
    // As a disk that fails: the snapshot's name is taken when live is switched, and free again
    // afterwards.
    let blocked = Mutex::new(None);
    let block = |line: &Line| {
        if moments::is_switched(line) {
            let intent = "SELECT snapshot FROM switches ORDER BY rowid DESC LIMIT 1";
            let snapshot = app.store(shell(&app.store("catalog.db"), intent).trim());
            fs::create_dir(&snapshot).unwrap();
            *blocked.lock().unwrap() = Some(snapshot);
        }
    };
    let free = || fs::remove_dir(blocked.lock().unwrap().take().expect("it was blocked")).unwrap();
    let none_is_kept = options(json!({"retention_days": 0}));
    let staged = remy
        .stage(
            V2,
            &options(json!({"preview": "next", "artifacts": files})),
            Progress::none(),
        )
        .unwrap();
    std::thread::sleep(Duration::from_millis(5));
    let promoted = remy
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
    assert!(app.store("releases/2/app.js").exists());
    free();
    app.publish(V1, &json!({"allow": ["drop"]})).unwrap();

    // Back to it, where its snapshot is old.
    std::thread::sleep(Duration::from_millis(5));
    let back = remy
        .rollback(
            Some(staged.release),
            &none_is_kept,
            Progress::none().on_line(&block),
        )
        .unwrap();
    assert!(app.store("releases/2/app.js").exists(), "{back:#?}");
    free();
    remy.prune(None, &none_is_kept).unwrap();
    assert!(app.store("releases/2/app.js").exists());
    assert_eq!(remy.releases().unwrap()[0].status, Status::Live);
    assert!(remy.verify().unwrap().ok);
}

/// What was rehearsed is what goes live, whatever became of the folder since.
#[test]
fn a_staged_release_keeps_its_migrations() {
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    shell(&app.live, "INSERT INTO users VALUES (1, 'Ann')");
    let remy = app.remy();
    let folder = app.dir.path().join("migrations");
    let stage = |sql: &str| {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0001_greet.sql"), sql).unwrap();
        remy.stage(
            V1,
            &options(json!({"migrations": folder})),
            Progress::none(),
        )
        .unwrap()
        .release
    };
    let promote = |release| remy.promote(Some(release), &Options::default(), Progress::none());
    let names = || shell(&app.live, "SELECT group_concat(name) FROM users");

    let (changed, gone) = (
        stage("UPDATE users SET name = 'Hi ' || name;"),
        stage("UPDATE users SET name = 'Yo';"),
    );
    fs::write(folder.join("0001_greet.sql"), "DELETE FROM users;").unwrap();
    promote(changed).unwrap();
    assert_eq!(names(), "Hi Ann\n");
    remy.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    promote(gone).unwrap();
    assert_eq!(names(), "Yo\n");
    remy.rollback(None, &Options::default(), Progress::none())
        .unwrap();

    // An early remy kept the folder's path: what a store says is no path.
    let early = stage("UPDATE users SET name = 'Early';");
    shell(
        &app.store("catalog.db"),
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
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    let (catalog, kept) = (app.store("catalog.db"), app.store("catalog.1.db"));
    // So that keeping a copy takes a moment.
    shell(
        &catalog,
        "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 2000)
         INSERT INTO build_log SELECT 1, 1000 + i, 0, 'build', 'ok', hex(randomblob(200)), NULL, NULL, 0, NULL FROM c;",
    );
    for round in 0..5 {
        older_catalog(&catalog, 1);
        let _ = fs::remove_file(&kept);
        let look = || {
            let mut driver = Command::new(built_program("remy-driver"));
            driver
                .arg(&app.live)
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
            "6\n0|1\n"
        );
        let whole =
            "PRAGMA integrity_check; PRAGMA user_version; SELECT count(*) > 2000 FROM build_log";
        assert_eq!(shell(&kept, whole), "ok\n1\n1\n", "round {round}");
        assert_eq!(
            fs::metadata(&kept).unwrap().mode(),
            fs::metadata(&app.live).unwrap().mode()
        );
        assert!(!app.store("catalog.1.new").exists());
    }
}

/// The catalog of the first format: it is brought up to date, and kept as it was.
#[test]
fn an_older_catalog() {
    let app = App::empty();
    app.publish(V1, &json!({})).unwrap();
    let catalog = app.store("catalog.db");
    older_catalog(&catalog, 1);
    assert_eq!(app.publish(V2, &json!({})).unwrap().release, 2);
    assert_eq!(
        shell(
            &catalog,
            "PRAGMA user_version; SELECT count(preview), count(*) FROM releases"
        ),
        "6\n0|2\n"
    );
    let kept = app.store("catalog.1.db");
    assert_eq!(
        shell(
            &kept,
            "PRAGMA user_version; SELECT max(release) FROM releases"
        ),
        "1\n1\n"
    );
}
