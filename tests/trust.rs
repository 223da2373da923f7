//! What is read from a database or a store is data: never a path, and never a reason to trust who wrote it.
use remy_core::{Options, Progress};
use remy_tests::{live::App, shell};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

const V2: &str = "CREATE TABLE t (a, b);";
const V3: &str = "CREATE TABLE t (a, b, c);";

/// A folder of somebody's that has nothing to do with the store.
fn photos(app: &App) -> PathBuf {
    app.file("photos/1999/beach.jpg", "sand");
    app.dir.path().join("photos")
}

fn whole(photos: &Path) -> bool {
    fs::read(photos.join("1999/beach.jpg")).is_ok_and(|bytes| bytes == b"sand")
}

/// Writes into the catalog, as somebody would who sends a store.
fn forge(app: &App, sql: &str) {
    shell(&app.store("catalog.db"), sql);
}

/// A database that carries the marker of a release that is nobody's here.
fn sent(artifacts: &str) -> App {
    App::on(&format!(
        "CREATE TABLE t (a);
         CREATE TABLE _remy_release (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, switch_id TEXT NOT NULL,
           release INTEGER NOT NULL, label TEXT, \"commit\" TEXT, artifacts TEXT, live_at INTEGER NOT NULL);
         INSERT INTO _remy_release VALUES (1, 1, '0123456789abcdef', 7, NULL, NULL, '{artifacts}', 1)"
    ))
}

#[test]
fn no_path_of_the_marker_is_removed_or_pointed_at() {
    for artifacts in ["{photos}", "../photos", "releases/../../photos", "current", "releases/7/../../../photos", "/etc"]
    {
        let place = tempfile::tempdir().unwrap();
        let artifacts = artifacts.replace("{photos}", &place.path().join("photos").display().to_string());
        let app = sent(&artifacts);
        let away = place.path().join("photos");
        fs::create_dir_all(away.join("1999")).unwrap();
        fs::write(away.join("1999/beach.jpg"), "sand").unwrap();
        let photos = photos(&app);
        app.publish(V2, "{}").unwrap();
        assert!(!app.store("current").is_symlink(), "{artifacts}: a release without files has no place");
        app.publish(V3, "{}").unwrap();
        app.rollback(Some(7)).or_else(|_| app.rollback(None)).unwrap();
        assert_ne!(app.ask("SELECT coalesce(artifacts, '') FROM _remy_release"), artifacts);
        assert!(!app.store("current").is_symlink(), "{artifacts}");
        app.publish(V2, "{}").unwrap();
        let pruned = app.remy().prune(Some(0), &Options::default()).unwrap();
        assert!(!pruned.pruned.is_empty());
        assert!(whole(&photos) && whole(&away) && Path::new("/etc/passwd").exists(), "{artifacts}");
    }
}

#[test]
fn no_path_of_the_catalog_is_removed_overwritten_or_shown() {
    for place in
        ["{away}", "../../{name}", "snapshots/../../../{name}", "snapshots/1-0123456789abcdef.db/../../../{name}"]
    {
        let app = App::on("CREATE TABLE t (a)");
        let photos = photos(&app);
        let files = app.file("files/index.js", "1").parent().unwrap().to_owned();
        app.publish(V2, &format!(r#"{{"artifacts": {files:?}}}"#)).unwrap();
        app.publish(V3, "{}").unwrap();
        app.remy().dev_start("mine").unwrap();
        let victim = app.file("victim.db", "");
        shell(&victim, "CREATE TABLE v (x); INSERT INTO v VALUES (1)");
        let place = place.replace("{away}", &victim.display().to_string()).replace("{name}", "victim.db");
        let folder = photos.display();
        let before = fs::read(&victim).unwrap();
        forge(
            &app,
            &format!(
                "UPDATE snapshots SET path = '{place}'; UPDATE snapshots SET pruned_at = 1 WHERE release = 1;
                 UPDATE dev SET path = '{place}'; UPDATE releases SET artifacts = '{folder}';
                 UPDATE switches SET work = '{place}', snapshot = '{place}';
                 INSERT INTO releases (release, kind, status, created_at, preview) VALUES (90, 'publish', 'preview', 1, '../../victim');
                 INSERT INTO dev (name, path, status, created_at) VALUES ('../../victim', '{place}', 'dev', 1)"
            ),
        );
        let shown = serde_json::to_string(&(app.remy().releases().unwrap(), app.remy().dev_list().unwrap())).unwrap();
        assert!(!shown.contains("victim.db"), "{shown}");
        assert!(!app.remy().verify().unwrap().ok, "a snapshot that cannot be there is said so");
        app.rollback(Some(1)).unwrap_err();
        app.remy().dev_reset("mine").unwrap();
        app.remy().dev_truncate("mine").unwrap();
        app.remy().dev_stop("mine").unwrap();
        app.remy().dev_stop("../../victim").unwrap_err();
        app.remy().prune(Some(0), &Options::default()).unwrap();
        app.publish(V2, r#"{"allow": ["drop"]}"#).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), before, "{place}");
        assert!(whole(&photos), "{place}");
    }
}

#[test]
fn a_switch_whose_id_is_no_name_is_refused() {
    let app = App::on("CREATE TABLE t (a)");
    app.publish(V2, "{}").unwrap();
    let victim = app.file("victim.db", "x");
    forge(
        &app,
        "INSERT INTO switches (switch_id, release, previous, work, snapshot, state, at)
         VALUES ('../../victim', 2, 1, 'work/x.db', 'snapshots/x.db', 'intended', 1)",
    );
    app.refuses("corrupt", &["../../victim"], |app| app.publish(V3, "{}"));
    assert!(victim.exists());
}

#[test]
fn what_brings_itself_back_has_an_end() {
    let app = App::on("CREATE TABLE t (a)");
    app.publish(V2, "{}").unwrap();
    app.publish(V3, "{}").unwrap();
    forge(&app, "UPDATE releases SET restored_from = 3, artifacts = 'x' WHERE release IN (2, 3)");
    app.rollback(None).unwrap();
    app.remy().prune(Some(0), &Options::default()).unwrap();
}

#[test]
fn what_a_release_links_to_outlives_it() {
    let app = App::on("CREATE TABLE t (a)");
    let photos = photos(&app);
    let files = app.file("files/index.js", "1").parent().unwrap().to_owned();
    symlink(&photos, files.join("photos")).unwrap();
    let kept = format!(r#"{{"artifacts": {files:?}}}"#);
    app.publish(V2, &kept).unwrap();
    app.publish(V3, "{}").unwrap();
    app.remy()
        .stage(V2, &Options::from_json(r#"{"allow": ["drop"], "preview": "p"}"#).unwrap(), Progress::none())
        .unwrap();
    app.publish(V3, "{}").unwrap();
    app.publish(V3, "{}").unwrap();
    symlink(&photos, app.store("work/left")).unwrap();
    symlink(&photos, app.store("previews/left.db")).unwrap();
    fs::create_dir_all(app.store("work/folder/deep")).unwrap();
    app.remy().prune(Some(0), &Options::default()).unwrap();
    assert!(!app.store("releases/2").exists(), "its database was pruned, and its files with it");
    assert!(!app.store("work/folder").exists() && !app.store("work/left").is_symlink());
    assert!(whole(&photos));
}
