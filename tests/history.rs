//! What the history says where live went its own way: detached, replaced or restored by hand, or
//! its publisher killed.
use remy_db::{Options, Progress, Reached, ReleaseId, Remy, Step, StepOutcome};
use remy_tests::{Shell, built_program, live::App, shell};
use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

const V1: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
const V2: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";

/// An application with one user, that remy has not seen yet.
fn app_with_a_user() -> App {
    App::on(&format!("{V1} INSERT INTO users (name) VALUES ('Ann')"))
}

/// Puts a file in live's place, as somebody does by hand.
fn replace_live(app: &App, file: &std::path::Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", app.live.display()));
    }
    fs::remove_file(&app.live).unwrap();
    fs::write(&app.live, fs::read(file).unwrap()).unwrap();
}

/// `release status` of each, newest first.
fn statuses(app: &App) -> String {
    let releases = app.remy().releases().unwrap();
    releases
        .iter()
        .map(|r| format!("{} {}", r.release, r.status))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The warnings in a release's log.
fn warnings(app: &App, release: i64) -> String {
    let log = app.remy().build_log(Some(ReleaseId(release))).unwrap();
    log.into_iter()
        .filter(|line| line.outcome == StepOutcome::Warning)
        .map(|line| line.message + "\n")
        .collect()
}

#[test]
fn a_publish_that_changes_nothing_is_a_release_and_says_so() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    let again = app.publish(V2, "{}").unwrap();
    assert_eq!(
        (again.release, again.status.as_str()),
        (ReleaseId(3), "live")
    );
    assert!(again.statements.is_empty() && again.effects.is_empty());
    assert!(
        again
            .log
            .iter()
            .any(|line| line.message == "Nothing to change in the schema"),
        "{:#?}",
        again.log
    );
    assert_eq!(statuses(&app), "3 live, 2 superseded, 1 superseded");
}

#[test]
fn a_publish_that_was_killed_shows_as_failed_before_anything_is_written() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    let mut blocker = Shell::open(&app.live);
    blocker.run("BEGIN IMMEDIATE;");
    let mut driver = Command::new(built_program("remy-driver"));
    driver
        .arg(&app.live)
        .args([
            "publish",
            V1,
            r#"{"allow": ["drop"], "lock_timeout_ms": 600000}"#,
        ])
        .stdout(Stdio::null());
    let mut publisher = driver.spawn().unwrap();
    while statuses(&app) != "3 building, 2 live, 1 superseded" {
        assert!(
            publisher.try_wait().unwrap().is_none(),
            "it ended: {}",
            statuses(&app)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = || {
        shell(
            &app.store("catalog.db"),
            "SELECT count(*) FROM build_log WHERE release = 3",
        )
    };
    while app
        .remy()
        .build_log(Some(ReleaseId(3)))
        .unwrap()
        .iter()
        .all(|line| line.step != Step::Check)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    publisher.kill().unwrap();
    publisher.wait().unwrap();
    let before = log();
    // Either it had not come to its switch: then it has failed, and is shown so; or it had, which
    // only a verb that writes decides.
    let intended = shell(
        &app.store("catalog.db"),
        "SELECT count(*) FROM switches WHERE state = 'intended'",
    );
    let shown = if intended.trim() == "0" {
        "failed"
    } else {
        "building"
    };
    assert_eq!(statuses(&app), format!("3 {shown}, 2 live, 1 superseded"));
    assert_eq!(log(), before, "looking writes nothing");
    blocker.run("COMMIT;");
    app.publish(V2, "{}").unwrap();
    assert_eq!(
        statuses(&app),
        "4 live, 3 failed, 2 superseded, 1 superseded"
    );
}

#[test]
fn a_wait_for_another_verb_can_be_called_off() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    let lock = fs::File::open(app.store("lock")).unwrap();
    lock.lock().unwrap();
    let waits_long = Options::from_json(r#"{"lock_timeout_ms": 20000}"#).unwrap();
    let cancel = std::sync::atomic::AtomicBool::new(true);
    for verb in ["publish", "stage", "rollback", "promote"] {
        let (remy, progress) = (app.remy(), Progress::none().cancel(&cancel));
        let e = match verb {
            "publish" => remy.publish(V1, &waits_long, progress),
            "stage" => remy.stage(V1, &waits_long, progress),
            "rollback" => remy.rollback(None, &waits_long, progress),
            _ => remy.promote(None, &waits_long, progress),
        };
        let e = e.unwrap_err();
        assert!(
            e.code() == "busy" && e.to_string().contains("called it off"),
            "{verb}: {e}"
        );
    }
    drop(lock);
    assert_eq!(statuses(&app), "2 live, 1 superseded");
}

#[test]
fn after_a_detach_nothing_is_live_until_the_next_publish() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    app.remy().detach().unwrap();
    assert_eq!(statuses(&app), "2 superseded, 1 superseded");
    let e = app.rollback(None).unwrap_err();
    assert_eq!(e.code(), "no_previous_release");
    assert!(
        e.to_string()
            .contains("has no release yet, or was detached"),
        "{e}"
    );
    let e = app.rollback(Some(2)).unwrap_err();
    assert!(
        e.to_string()
            .contains("release 2 has no database: it stopped being live by a detach"),
        "{e}"
    );
    assert_eq!(statuses(&app), "2 superseded, 1 superseded");

    // To a release that has its database it goes: live as it stands is recorded before.
    let back = app.rollback(Some(1)).unwrap();
    assert_eq!(
        (back.release, back.restored_from, back.previous),
        (ReleaseId(4), Some(ReleaseId(1)), Some(ReleaseId(3)))
    );
    assert!(
        back.log[0].message.starts_with("Adopted "),
        "{:#?}",
        back.log
    );
    assert_eq!(warnings(&app, 3), "");
    assert_eq!(
        statuses(&app),
        "4 live, 3 superseded, 2 superseded, 1 superseded"
    );
}

#[test]
fn a_staged_release_that_adopts_says_so() {
    let app = app_with_a_user();
    let staged = app
        .remy()
        .stage(V2, &Options::default(), Progress::none())
        .unwrap();
    assert!(
        staged.log[0].message.starts_with("Adopted "),
        "{:#?}",
        staged.log
    );
    app.remy().detach().unwrap();
    let promoted = app.promote(None).unwrap();
    assert!(
        promoted.log[0].message.starts_with("Adopted "),
        "{:#?}",
        promoted.log
    );
    assert_eq!(promoted.status, Reached::Live);
}

#[test]
fn another_database_in_lives_place_is_warned_of() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    let other = app_with_a_user();
    shell(
        &other.live,
        "UPDATE users SET name = 'Somebody else'; PRAGMA wal_checkpoint(TRUNCATE)",
    );
    replace_live(&app, &other.live);
    let published = app.publish(V2, "{}").unwrap();
    assert_eq!(
        (published.release, published.previous),
        (ReleaseId(4), Some(ReleaseId(3)))
    );
    let warning = "Release 2 was live here, and live does not carry its marker: another database was put in its place";
    assert!(
        published
            .log
            .iter()
            .any(|line| line.outcome == StepOutcome::Warning && line.message.starts_with(warning))
    );
    assert!(
        warnings(&app, 3).starts_with(warning),
        "{}",
        warnings(&app, 3)
    );
    assert_eq!(
        statuses(&app),
        "4 live, 3 superseded, 2 superseded, 1 superseded"
    );
}

#[test]
fn live_restored_by_hand_is_warned_of_and_no_snapshot_goes() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    app.publish(
        &format!("{V2} CREATE TABLE teams (id INTEGER PRIMARY KEY);"),
        "{}",
    )
    .unwrap();
    let snapshot = app.remy().releases().unwrap()[1].database.clone().unwrap();
    replace_live(&app, &app.store(&snapshot));
    shell(
        &app.live,
        "PRAGMA journal_mode = wal; INSERT INTO users (name) VALUES ('after the restore')",
    );
    // Looking at it is enough to see it.
    assert_eq!(statuses(&app), "3 superseded, 2 live, 1 superseded");
    let warning = "Live carries the marker of release 2, and release 3 was live here: live was restored or replaced by hand";
    assert!(
        warnings(&app, 2).starts_with(warning),
        "{}",
        warnings(&app, 2)
    );

    let published = app
        .publish(
            &format!("{V2} CREATE TABLE teams (id INTEGER PRIMARY KEY);"),
            "{}",
        )
        .unwrap();
    assert_eq!(
        (published.release, published.previous),
        (ReleaseId(4), Some(ReleaseId(2)))
    );
    let warnings = warnings(&app, 4);
    assert!(
        warnings.contains(&format!("{snapshot} stays where it is")),
        "{warnings}"
    );
    let names = |file: &str| {
        shell(&app.store(file), "SELECT group_concat(name) FROM users")
            .trim()
            .to_owned()
    };
    let newer = app.remy().releases().unwrap()[2].database.clone().unwrap();
    assert_eq!(
        (names(&snapshot).as_str(), names(&newer).as_str()),
        ("Ann", "Ann,after the restore")
    );
    assert!(app.remy().verify().unwrap().ok);
    app.rollback(None).unwrap();
    // To the release as it was when it stopped being live for the last time.
    assert_eq!(
        shell(&app.live, "SELECT group_concat(name) FROM users").trim(),
        "Ann,after the restore"
    );
}

/// What a snapshot is, is recorded when it is made: whoever changes it after that, and were it at
/// once, is found out.
#[test]
fn a_snapshot_that_was_changed_does_not_go_live() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    let snapshot = app.remy().releases().unwrap()[1].database.clone().unwrap();
    let whole = fs::read(app.store(&snapshot)).unwrap();
    let change = |to: &[u8]| {
        fs::remove_file(app.store(&snapshot)).unwrap();
        fs::write(app.store(&snapshot), to).unwrap();
    };
    // A row of it is another one: SQLite finds no fault with that.
    let at = whole.windows(3).rposition(|bytes| bytes == b"Ann").unwrap();
    let changed = [&whole[..at], b"Eve", &whole[at + 3..]].concat();
    for other in [&changed, &whole[..whole.len() - 1]] {
        change(other);
        let e = app.rollback(None).unwrap_err();
        assert!(
            e.code() == "not_promotable"
                && e.to_string().contains("was changed since it was taken"),
            "{e}"
        );
        let wrong = app
            .remy()
            .verify()
            .unwrap()
            .checked
            .into_iter()
            .find(|check| !check.ok)
            .unwrap();
        assert_eq!(
            (&wrong.object, wrong.what.as_str()),
            (&snapshot, "size and hash")
        );
    }
    assert_eq!(statuses(&app), "2 live, 1 superseded");
    change(&whole);
    app.rollback(None).unwrap();
    assert_eq!(shell(&app.live, "SELECT name FROM users"), "Ann\n");
}

#[test]
fn a_dev_session_takes_its_own_store_with_it() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    let dev = app.remy().dev_start("ann").unwrap();
    Remy::open(&dev.path)
        .unwrap()
        .publish(V1, &Options::default(), Progress::none())
        .unwrap();
    let own = format!("{}-remy", dev.path);
    assert!(fs::exists(&own).unwrap());
    app.remy().dev_stop("ann").unwrap();
    assert!(!fs::exists(&own).unwrap());
    assert!(fs::read_dir(app.store("dev")).unwrap().next().is_none());
}

/// Two verbs at once are the first of all, and the other one is making the catalog.
#[test]
fn a_catalog_that_another_process_is_making() {
    let app = app_with_a_user();
    fs::create_dir(app.store("")).unwrap();
    fs::write(app.store("catalog.db"), "").unwrap();
    let mut other = Shell::open(&app.store("catalog.db"));
    assert_eq!(other.ask("BEGIN IMMEDIATE;"), "");
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        other.ask("ROLLBACK;")
    });
    assert_eq!(app.publish(V2, "{}").unwrap().status, Reached::Live);
    assert_eq!(ends.join().unwrap(), "");
}

/// A new and empty database in its place would be the last thing that anybody needs.
#[test]
fn a_live_database_that_is_gone() {
    let app = app_with_a_user();
    app.publish(V2, "{}").unwrap();
    fs::remove_file(&app.live).unwrap();
    let e = Remy::open(&app.live).err().unwrap();
    assert_eq!(e.code(), "not_found");
    assert!(
        e.to_string().contains("app.db is gone, and ")
            && e.to_string().contains("app.db-remy/snapshots"),
        "{e}"
    );
    let snapshot = fs::read_dir(app.store("snapshots"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&app.live, fs::read(snapshot).unwrap()).unwrap();
    assert_eq!(shell(&app.live, "SELECT name FROM users"), "Ann\n");
    assert_eq!(app.publish(V2, "{}").unwrap().status, Reached::Live);
}
