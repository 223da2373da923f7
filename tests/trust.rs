//! What is read from a database or a store is data: never a path, and never a reason to trust who
//! wrote it.
use remy_db::{Options, Progress, ReleaseId, Remy};
use remy_tests::{
    Shell,
    live::{App, older_catalog},
    not_covered, output, shell, stdout,
};
use std::{
    ffi::CString,
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink},
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::Command,
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
    for artifacts in [
        "{photos}",
        "../photos",
        "releases/../../photos",
        "current",
        "releases/7/../../../photos",
        "/etc",
    ] {
        let place = tempfile::tempdir().unwrap();
        let artifacts = artifacts.replace(
            "{photos}",
            &place.path().join("photos").display().to_string(),
        );
        let app = sent(&artifacts);
        let away = place.path().join("photos");
        fs::create_dir_all(away.join("1999")).unwrap();
        fs::write(away.join("1999/beach.jpg"), "sand").unwrap();
        let photos = photos(&app);
        app.publish(V2, "{}").unwrap();
        assert!(
            !app.store("current").is_symlink(),
            "{artifacts}: a release without files has no place"
        );
        app.publish(V3, "{}").unwrap();
        app.rollback(Some(7))
            .or_else(|_| app.rollback(None))
            .unwrap();
        assert_ne!(
            app.ask("SELECT coalesce(artifacts, '') FROM _remy_release"),
            artifacts
        );
        assert!(!app.store("current").is_symlink(), "{artifacts}");
        app.publish(V2, "{}").unwrap();
        let pruned = app.remy().prune(Some(0), &Options::default()).unwrap();
        assert!(!pruned.pruned.is_empty());
        assert!(
            whole(&photos) && whole(&away) && Path::new("/etc/passwd").exists(),
            "{artifacts}"
        );
    }
}

#[test]
fn no_path_of_the_catalog_is_removed_overwritten_or_shown() {
    for place in [
        "{away}",
        "../../{name}",
        "snapshots/../../../{name}",
        "snapshots/1-0123456789abcdef.db/../../../{name}",
    ] {
        let app = App::on("CREATE TABLE t (a)");
        let photos = photos(&app);
        let files = app.file("files/index.js", "1").parent().unwrap().to_owned();
        app.publish(V2, &format!(r#"{{"artifacts": {files:?}}}"#))
            .unwrap();
        app.publish(V3, "{}").unwrap();
        app.remy().dev_start("mine").unwrap();
        let victim = app.file("victim.db", "");
        shell(&victim, "CREATE TABLE v (x); INSERT INTO v VALUES (1)");
        let place = place
            .replace("{away}", &victim.display().to_string())
            .replace("{name}", "victim.db");
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
        let shown = serde_json::to_string(&(
            app.remy().releases().unwrap(),
            app.remy().dev_list().unwrap(),
        ))
        .unwrap();
        assert!(!shown.contains("victim.db"), "{shown}");
        assert!(
            !app.remy().verify().unwrap().ok,
            "a snapshot that cannot be there is said so"
        );
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
fn a_line_of_the_log_that_cannot_be_read_stops_no_verb() {
    let app = App::on("CREATE TABLE t (a)");
    app.publish(V2, "{}").unwrap();
    app.publish(V3, "{}").unwrap();
    forge(
        &app,
        r#"UPDATE build_log SET step = 'dream', remedy = '{"dream": 7}' WHERE seq = 2;
           UPDATE build_log SET outcome = 'dreamt' WHERE seq = 3"#,
    );
    // What was put in live's place by hand is told by that log.
    let log = app.remy().build_log(None).unwrap();
    assert!(log[1].message.starts_with("[dream, ok] "), "{log:?}");
    assert!(log[2].message.contains(", dreamt] "), "{log:?}");
    assert_eq!(log[1].step, log[0].step);
    assert_eq!(log[1].outcome.as_str(), "warning");
    app.rollback(None).unwrap();
    app.rollback(None).unwrap();
    assert!(app.remy().verify().unwrap().ok);
    app.remy().debug().unwrap();
    // Also not one of a type that no line has.
    forge(
        &app,
        "UPDATE build_log SET message = x'ff', step = 'adopt', outcome = 'warning'",
    );
    app.publish(V2, r#"{"allow": ["drop"]}"#).unwrap();
    app.rollback(None).unwrap();
    app.remy().debug().unwrap();
}

#[test]
fn what_brings_itself_back_has_an_end() {
    let app = App::on("CREATE TABLE t (a)");
    app.publish(V2, "{}").unwrap();
    app.publish(V3, "{}").unwrap();
    forge(
        &app,
        "UPDATE releases SET restored_from = 3, artifacts = 'x' WHERE release IN (2, 3)",
    );
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
        .stage(
            V2,
            &Options::from_json(r#"{"allow": ["drop"], "preview": "p"}"#).unwrap(),
            Progress::none(),
        )
        .unwrap();
    app.publish(V3, "{}").unwrap();
    app.publish(V3, "{}").unwrap();
    symlink(&photos, app.store("work/left")).unwrap();
    symlink(&photos, app.store("previews/left.db")).unwrap();
    fs::create_dir_all(app.store("work/folder/deep")).unwrap();
    app.remy().prune(Some(0), &Options::default()).unwrap();
    assert!(
        !app.store("releases/2").exists(),
        "its database was pruned, and its files with it"
    );
    assert!(!app.store("work/folder").exists() && !app.store("work/left").is_symlink());
    assert!(whole(&photos));
}

/// A user that owns live, with a group, and one of that group.
const OWNER: u32 = 4321;
const GROUP: u32 = 4322;
const MEMBER: u32 = 4323;
/// Somebody else.
const STRANGER: u32 = 4324;

/// Permissions are tried as several users, which root alone can be.
fn is_root(what: &str) -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        not_covered(what, "only root can be several users");
    }
    root
}

/// Runs `work` as another user, on a thread of its own: to the kernel each thread has one.
fn as_user<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> T {
    let become_user = || {
        // SAFETY: the kernel's own calls are of this thread alone, and these read no memory.
        let codes = unsafe {
            [
                libc::syscall(libc::SYS_setgroups, 0, 0),
                libc::syscall(libc::SYS_setresgid, GROUP, GROUP, GROUP),
                libc::syscall(libc::SYS_setresuid, uid, uid, uid),
            ]
        };
        assert_eq!(codes, [0; 3], "root can be anybody");
    };
    std::thread::scope(|scope| scope.spawn(|| (become_user(), work()).1).join())
        .unwrap_or_else(|e| resume_unwind(e))
}

fn give(path: &Path, uid: u32, mode: u32) {
    lchown(path, Some(uid), Some(GROUP)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A live database of [`OWNER`]'s, in a folder that their group may write to.
fn owned(mode: u32) -> App {
    let app = App::on("CREATE TABLE t (a)");
    give(app.dir.path(), OWNER, 0o770);
    give(&app.live, OWNER, mode);
    app
}

/// All that is in a folder, and below.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn what_root_makes_is_of_lives_owner() {
    if !is_root("root on somebody's database") {
        return;
    }
    let app = owned(0o640);
    let files = app.file("files/index.js", "1").parent().unwrap().to_owned();
    for path in all(app.dir.path()) {
        lchown(&path, Some(OWNER), Some(GROUP)).unwrap();
    }
    let kept = format!(r#"{{"artifacts": {files:?}}}"#);
    app.publish(V2, &kept).unwrap();
    app.publish(V3, &kept).unwrap();
    app.rollback(None).unwrap();
    app.remy().dev_start("mine").unwrap();
    app.remy().dev_reset("mine").unwrap();
    app.remy()
        .stage(
            V3,
            &Options::from_json(r#"{"preview": "p"}"#).unwrap(),
            Progress::none(),
        )
        .unwrap();
    assert!(app.remy().verify().unwrap().ok);
    app.remy().prune(Some(0), &Options::default()).unwrap();
    app.remy().releases().unwrap();
    for path in all(app.dir.path()) {
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!(
            (found.uid(), found.gid()),
            (OWNER, GROUP),
            "{}",
            path.display()
        );
    }
    let backup = tempfile::tempdir().unwrap();
    app.remy()
        .clone_to(backup.path().join("backup.db"))
        .unwrap();
    let mine = app.file("mine", "of root");
    assert_eq!(fs::metadata(mine).unwrap().uid(), 0, "root is root again");
    as_user(OWNER, || app.publish(V3, "{}").unwrap());
}

#[test]
fn root_gives_nothing_away_by_a_link() {
    if !is_root("root on somebody's database") {
        return;
    }
    let app = owned(0o640);
    app.publish(V2, "{}").unwrap();
    app.publish(V3, "{}").unwrap();
    let secrets = tempfile::tempdir().unwrap();
    let (folder, secret) = (secrets.path().join("folder"), secrets.path().join("secret"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "x").unwrap();
    fs::write(&secret, "x").unwrap();
    let whole = || {
        fs::metadata(&secret).unwrap().uid() == 0
            && fs::read(&secret).unwrap() == b"x"
            && fs::read_dir(&folder).unwrap().count() == 1
    };
    let verbs = |app: &App| {
        for made in [
            Remy::open(&app.live).and_then(|remy| remy.releases().map(drop)),
            app.publish(V2, r#"{"allow": ["drop"]}"#).map(drop),
            Remy::open(&app.live).and_then(|remy| remy.dev_start("d").map(drop)),
            Remy::open(&app.live)
                .and_then(|remy| remy.prune(Some(0), &Options::default()).map(drop)),
        ] {
            let e = made.expect_err("a link is refused");
            assert_eq!(e.code(), "io", "{e}");
        }
    };
    for name in [
        "lock",
        "catalog.db",
        "work",
        "dev",
        "previews",
        "snapshots",
        "releases",
        "objects",
    ] {
        let (place, away) = (app.store(name), app.store(&format!("{name}.away")));
        fs::rename(&place, &away).unwrap();
        symlink(if away.is_dir() { &folder } else { &secret }, &place).unwrap();
        verbs(&app);
        assert!(whole(), "{name}");
        fs::remove_file(&place).unwrap();
        fs::rename(&away, &place).unwrap();
    }
    for name in ["lock", "catalog.db"] {
        let (place, away) = (app.store(name), app.store(&format!("{name}.away")));
        fs::rename(&place, &away).unwrap();
        let path = CString::new(place.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: a path that ends in NUL.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        lchown(&place, Some(OWNER), Some(GROUP)).unwrap();
        verbs(&app);
        fs::remove_file(&place).unwrap();
        fs::hard_link(&secret, &place).unwrap();
        verbs(&app);
        assert!(whole(), "{name}");
        fs::remove_file(&place).unwrap();
        fs::rename(&away, &place).unwrap();
    }
    let (store, away) = (app.store(""), app.dir.path().join("away"));
    let store = PathBuf::from(store.display().to_string().trim_end_matches('/'));
    fs::rename(&store, &away).unwrap();
    symlink(&away, &store).unwrap();
    verbs(&app);
    fs::remove_file(&store).unwrap();
    fs::rename(&away, &store).unwrap();
    app.publish(V3, "{}").unwrap();
}

/// A journal that a crash could have left, of a transaction with other databases: SQLite removes
/// the file at `of_all`, where that names no journal that is there.
fn hot_journal(of_all: &Path) -> Vec<u8> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let name = of_all.as_os_str().as_encoded_bytes();
    let sum = name
        .iter()
        .fold(0_u32, |sum, &byte| sum.wrapping_add(u32::from(byte)));
    let numbers = |all: &[u32]| {
        all.iter()
            .flat_map(|n| n.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    // Records, nonce, pages, size of a sector, size of a page; then, in the place of a record, the
    // name.
    let mut journal = [MAGIC.to_vec(), numbers(&[0, 0, 2, 512, 4096])].concat();
    journal.resize(512, 0);
    let length = u32::try_from(name.len()).unwrap();
    [
        journal,
        numbers(&[(1 << 30) / 4096 + 1]),
        name.to_vec(),
        numbers(&[length, sum]),
        MAGIC.to_vec(),
    ]
    .concat()
}

#[test]
fn root_copies_as_live_s_owner() {
    if !is_root("root on somebody's database") {
        return;
    }
    let app = owned(0o640);
    let secrets = tempfile::tempdir().unwrap();
    fs::set_permissions(secrets.path(), Permissions::from_mode(0o755)).unwrap();
    let secret = secrets.path().join("secret");
    fs::write(&secret, "of root's alone").unwrap();
    let remy = app.remy();
    // What the owner of live can do at any time.
    let journal = app.file("app.db-journal", "");
    fs::write(&journal, hot_journal(&secret)).unwrap();
    give(&journal, OWNER, 0o640);
    let copied = remy.clone_to(secrets.path().join("copy.db"));
    assert!(secret.exists(), "{copied:?}");
    let _ = fs::remove_file(&journal);
    fs::set_permissions(secrets.path(), Permissions::from_mode(0o700)).unwrap();
    app.remy()
        .clone_to(secrets.path().join("copy2.db"))
        .unwrap();
    assert_eq!(
        shell(&secrets.path().join("copy2.db"), "PRAGMA integrity_check").trim(),
        "ok"
    );
}

#[test]
fn root_loads_no_library_that_only_the_store_names() {
    if !is_root("root on somebody's database") {
        return;
    }
    let app = owned(0o640);
    app.remy()
        .stage(V2, &Options::default(), Progress::none())
        .unwrap();
    let library = app.file("theirs.so", "");
    forge(
        &app,
        &format!(
            "UPDATE releases SET declared = json_set(declared, '$.extensions', json_array({library:?}))"
        ),
    );
    let promote = |options: &str| {
        app.remy()
            .promote(
                None,
                &Options::from_json(options).unwrap(),
                Progress::none(),
            )
            .unwrap_err()
    };
    let e = promote("{}");
    assert!(
        e.code() == "invalid_argument" && e.to_string().contains("root would load it"),
        "{e}"
    );
    let e = promote(&format!(r#"{{"extensions": [{library:?}]}}"#));
    assert!(
        !e.to_string().contains("root would load it"),
        "root has named it: {e}"
    );
}

#[test]
fn live_that_becomes_a_link_is_not_followed() {
    let app = App::on("CREATE TABLE t (a)");
    app.publish(V2, "{}").unwrap();
    let remy = app.remy();
    let away = app.dir.path().join("away.db");
    app.ask("PRAGMA wal_checkpoint(TRUNCATE)");
    fs::rename(&app.live, &away).unwrap();
    symlink(&away, &app.live).unwrap();
    let e = remy
        .publish(V3, &Options::default(), Progress::none())
        .unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
    assert!(shell(&away, "SELECT sql FROM sqlite_schema WHERE name = 't'").contains("(a, b)"));
}

#[test]
fn a_dev_database_that_is_a_link_is_not_written_through() {
    let app = App::on("CREATE TABLE t (a)");
    app.publish(V2, "{}").unwrap();
    app.remy().dev_start("mine").unwrap();
    let other = app.dir.path().join("other.db");
    shell(&other, "CREATE TABLE v (x); INSERT INTO v VALUES (1)");
    fs::remove_file(app.store("dev/mine.db")).unwrap();
    symlink(&other, app.store("dev/mine.db")).unwrap();
    assert_eq!(app.remy().dev_reset("mine").unwrap_err().code(), "io");
    assert_eq!(app.remy().dev_truncate("mine").unwrap_err().code(), "io");
    assert_eq!(shell(&other, "SELECT x FROM v"), "1\n");
    app.remy().dev_stop("mine").unwrap();
    assert!(other.exists());
}

#[test]
fn a_store_that_somebody_else_made_or_can_write_is_refused() {
    if !is_root("a store of somebody else's") {
        return;
    }
    let app = owned(0o640);
    let store = PathBuf::from(format!("{}-remy", app.live.display()));
    fs::create_dir(&store).unwrap();
    give(&store, STRANGER, 0o777);
    for user in [0, OWNER] {
        let e = as_user_or_root(user, || app.publish(V2, "{}").unwrap_err());
        assert_eq!(e.code(), "io");
        assert!(e.to_string().contains("belongs to the user 4324"), "{e}");
    }
    assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
    fs::remove_dir(&store).unwrap();
    app.publish(V2, "{}").unwrap();
    for place in [
        "",
        "work",
        "snapshots",
        "releases",
        "objects",
        "dev",
        "previews",
    ] {
        let path = app.store(place);
        for mode in [0o770, 0o707] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for user in [0, OWNER] {
                let e = as_user_or_root(user, || app.publish(V3, "{}").unwrap_err());
                assert!(
                    e.code() == "io" && e.to_string().contains("chmod go-w"),
                    "{place}: {e}"
                );
            }
        }
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    }
    fs::set_permissions(app.store("catalog.db"), Permissions::from_mode(0o660)).unwrap();
    app.publish(V3, "{}").unwrap();
    fs::set_permissions(app.store(""), Permissions::from_mode(0o750)).unwrap();
    let e = app.remy().releases().unwrap_err();
    assert!(
        e.to_string()
            .contains("catalog.db may be written by others"),
        "{e}"
    );
    fs::set_permissions(app.store("catalog.db"), Permissions::from_mode(0o640)).unwrap();
    assert_eq!(app.remy().releases().unwrap().len(), 3);
}

fn as_user_or_root<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> T {
    if uid == 0 { work() } else { as_user(uid, work) }
}

const SENTENCE: &str =
    "only its owner, and root, who acts as that owner, may run a verb that writes";

#[test]
fn a_member_of_the_group_writes_nothing_and_leaves_nothing() {
    if !is_root("a member of live's group") {
        return;
    }
    let app = owned(0o660);
    let names = || all(app.dir.path());
    let before = names();
    // Nobody has it open: a connection would make a -shm of theirs.
    let e = as_user(MEMBER, || app.publish(V2, "{}").unwrap_err());
    assert!(
        e.code() == "io"
            && e.to_string().contains("keep its owner out")
            && e.to_string().contains(SENTENCE),
        "{e}"
    );
    assert_eq!(names(), before);

    let (mut application, opened) = as_user(OWNER, || {
        let mut application = Shell::open(&app.live);
        let opened = application.run("SELECT count(*) FROM t;");
        (application, opened)
    });
    assert_eq!(opened, "0");
    let before = names();
    let e = as_user(MEMBER, || app.publish(V2, "{}").unwrap_err());
    assert!(e.code() == "io" && e.to_string().contains(SENTENCE), "{e}");
    let e = as_user(MEMBER, || app.remy().detach().unwrap_err());
    assert!(e.to_string().contains(SENTENCE), "{e}");
    assert_eq!(
        as_user(MEMBER, || app.remy().releases().unwrap().len()),
        0,
        "nothing was published"
    );
    assert_eq!(names(), before);
    let clone = app.dir.path().join("clone.db");
    as_user(MEMBER, || app.remy().clone_to(&clone).unwrap());
    assert_eq!(fs::metadata(&clone).unwrap().uid(), MEMBER);

    as_user(OWNER, || app.publish(V2, "{}").unwrap());
    for denied in [
        as_user(MEMBER, || app.remy().releases().map(drop)),
        as_user(MEMBER, || app.remy().build_log(None).map(drop)),
        as_user(MEMBER, || app.remy().dev_list().map(drop)),
        as_user(MEMBER, || {
            app.remy().prune(Some(0), &Options::default()).map(drop)
        }),
    ] {
        let e = denied.unwrap_err();
        assert!(
            e.code() == "io" && e.to_string().contains("belongs to the user 4321"),
            "{e}"
        );
    }
    let verified = as_user(MEMBER, || app.remy().verify().unwrap());
    assert!(
        !verified.ok && format!("{verified:?}").contains("may not be read"),
        "{verified:?}"
    );
    assert!(as_user(MEMBER, || app.remy().diff(V3, &Options::default()).unwrap()).len() == 1);
    assert_eq!(
        application.run("INSERT INTO t (a) VALUES (1); SELECT count(*) FROM t;"),
        "1"
    );
    drop(application);
    as_user(OWNER, || app.publish(V3, "{}").unwrap());
}

#[test]
fn who_may_only_read_leaves_nothing_either() {
    if !is_root("a member of live's group") {
        return;
    }
    let app = owned(0o640);
    let before = all(app.dir.path());
    for (user, words) in [
        (MEMBER, "may be read and not written by the user 4323"),
        (STRANGER, "may not be read by the user 4324"),
    ] {
        if user == STRANGER {
            fs::set_permissions(&app.live, Permissions::from_mode(0o600)).unwrap();
        }
        let e = as_user(user, || Remy::open(&app.live).map(drop).unwrap_err());
        assert!(e.code() == "io" && e.to_string().contains(words), "{e}");
        assert!(e.to_string().contains("Run it as the user 4321"), "{e}");
        assert!(user != MEMBER || e.to_string().contains(SENTENCE), "{e}");
    }
    assert_eq!(all(app.dir.path()), before);
    as_user(OWNER, || app.publish(V2, "{}").unwrap());
    // Somebody's name may be a word.
    let nobody = 65_534;
    fs::set_permissions(&app.live, Permissions::from_mode(0o666)).unwrap();
    let e = as_user(nobody, || Remy::open(&app.live).map(drop).unwrap_err());
    assert!(
        e.to_string().contains("no process has ")
            && e.to_string().contains("opened by the user `nobody`"),
        "{e}"
    );
    // Its owner is told how.
    fs::set_permissions(&app.live, Permissions::from_mode(0o444)).unwrap();
    let e = as_user(OWNER, || Remy::open(&app.live).map(drop).unwrap_err());
    assert!(
        e.to_string().contains("its owner") && e.to_string().contains("chmod u+w"),
        "{e}"
    );
}

#[test]
fn a_file_system_that_is_mounted_read_only_is_said() {
    if !is_root("a file system that is mounted read-only") {
        return;
    }
    let disk = Disk::new("4m");
    let live = disk.0.path().join("app.db");
    shell(&live, "PRAGMA journal_mode = wal; CREATE TABLE t (a)");
    stdout(
        Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(disk.0.path()),
    );
    let e = Remy::open(&live).map(drop).unwrap_err();
    assert!(
        e.code() == "io" && e.to_string().contains("mounted read-only"),
        "{e}"
    );
    assert!(!e.to_string().contains("permission"), "{e}");
}

#[test]
fn what_somebody_else_puts_beside_live_is_refused() {
    if !is_root("a journal of somebody else's") {
        return;
    }
    let app = owned(0o640);
    app.publish(V2, "{}").unwrap();
    let before = app.seen();
    let verbs = |app: &App, words: &str| {
        for user in [0, OWNER] {
            for made in [
                as_user_or_root(user, || app.publish(V3, "{}").map(drop)),
                as_user_or_root(user, || {
                    Remy::open(&app.live).and_then(|remy| remy.verify().map(drop))
                }),
                as_user_or_root(user, || {
                    Remy::open(&app.live).and_then(|remy| remy.releases().map(drop))
                }),
            ] {
                let e = made.expect_err(words);
                assert!(e.code() == "io" && e.to_string().contains(words), "{e}");
            }
        }
    };
    for end in ["-journal", "-wal", "-shm"] {
        let planted = app.file(&format!("app.db{end}"), "");
        fs::write(&planted, hot_journal(&app.live)).unwrap();
        for uid in [STRANGER, MEMBER] {
            give(&planted, uid, 0o666);
            verbs(&app, "who may not write");
        }
        fs::remove_file(&planted).unwrap();
        let other = app.file("other", "x");
        give(&other, OWNER, 0o600);
        fs::hard_link(&other, &planted).unwrap();
        verbs(&app, "has 2 hard links");
        fs::remove_file(&planted).unwrap();
        symlink(&other, &planted).unwrap();
        verbs(&app, "is no plain file");
        fs::remove_file(&planted).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"x");
        fs::remove_file(&other).unwrap();
    }
    assert_eq!(app.seen(), before);
    app.publish(V3, "{}").unwrap();
}

#[test]
fn who_may_write_live_may_have_it_open() {
    if !is_root("a member of live's group") {
        return;
    }
    let app = owned(0o660);
    as_user(OWNER, || app.publish(V2, "{}").unwrap());
    let mut application = as_user(MEMBER, || {
        let mut application = Shell::open(&app.live);
        application.run("INSERT INTO t (a) VALUES (1);");
        application
    });
    assert_eq!(
        fs::metadata(app.dir.path().join("app.db-wal"))
            .unwrap()
            .uid(),
        MEMBER
    );
    app.publish(V3, "{}").unwrap();
    as_user(OWNER, || app.rollback(None).unwrap());
    assert_eq!(application.run("SELECT count(*) FROM t;"), "1");
}

#[test]
fn root_does_not_work_on_a_database_of_root_in_a_folder_of_somebody_else() {
    if !is_root("a database of root's in somebody's folder") {
        return;
    }
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("secret");
    fs::write(&secret, "of root's alone").unwrap();
    let plant = |app: &App| {
        let journal = app.file("app.db-journal", "");
        fs::write(&journal, hot_journal(&secret)).unwrap();
        give(&journal, STRANGER, 0o644);
        journal
    };
    for (uid, mode, words) in [
        (STRANGER, 0o755, "belongs to the user 4324"),
        (STRANGER, 0o1755, "belongs to the user 4324"),
        (0, 0o777, "may be written by anybody"),
        (0, 0o775, "may be written by the group 4322"),
    ] {
        let app = App::on("CREATE TABLE t (a)");
        give(app.dir.path(), uid, mode);
        for planted in [false, true] {
            if planted {
                plant(&app);
            }
            let e = Remy::open(&app.live).map(drop).unwrap_err();
            assert!(e.code() == "io" && e.to_string().contains(words), "{e}");
            let e = app.publish(V2, "{}").unwrap_err();
            assert!(e.to_string().contains("belongs to root"), "{e}");
        }
        assert!(secret.exists() && !app.store("").exists());
        // The way out.
        fs::remove_file(app.dir.path().join("app.db-journal")).unwrap();
        give(app.dir.path(), OWNER, 0o755);
        give(&app.live, OWNER, 0o644);
        app.publish(V2, "{}").unwrap();
    }
    // In a sticky folder nobody takes away or replaces what is another's.
    let app = App::on("CREATE TABLE t (a)");
    give(app.dir.path(), 0, 0o1777);
    let journal = plant(&app);
    let e = app.publish(V2, "{}").unwrap_err();
    assert!(
        e.code() == "io"
            && e.to_string()
                .contains("app.db-journal belongs to the user 4324"),
        "{e}"
    );
    assert!(secret.exists());
    fs::remove_file(journal).unwrap();
    app.publish(V2, "{}").unwrap();
}

#[test]
fn root_copies_as_live_s_owner_on_a_hosts_connection() {
    if !is_root("root on somebody's database") {
        return;
    }
    let app = owned(0o640);
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("secret");
    fs::write(&secret, "of root's alone").unwrap();
    let journal = app.file("app.db-journal", "");
    remy_db::engine::init();
    let host = rusqlite::Connection::open(&app.live).unwrap();
    // SAFETY: the connection is open, and of the SQLite that rusqlite is bound to.
    let remy = unsafe { Remy::on_host(host.handle()) }.unwrap();
    fs::write(&journal, hot_journal(&secret)).unwrap();
    give(&journal, OWNER, 0o640);
    let copied = remy.clone_to(secrets.path().join("copy.db"));
    assert!(secret.exists(), "{copied:?}");
    let _ = fs::remove_file(&journal);
    fs::set_permissions(secrets.path(), Permissions::from_mode(0o700)).unwrap();
    remy.clone_to(secrets.path().join("copy2.db")).unwrap();
    assert_eq!(
        shell(
            &secrets.path().join("copy2.db"),
            "PRAGMA integrity_check; SELECT count(*) FROM t"
        )
        .trim(),
        "ok\n0"
    );
    assert_eq!(
        fs::read_dir(secrets.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name() != "copy.db")
            .count(),
        2
    );
}

#[test]
fn what_follows_a_verb_of_root_s_is_called_as_root() {
    if !is_root("root on somebody's database") {
        return;
    }
    let app = owned(0o640);
    let mine = tempfile::tempdir().unwrap();
    fs::set_permissions(mine.path(), Permissions::from_mode(0o700)).unwrap();
    let lines = std::sync::atomic::AtomicUsize::new(0);
    let on_line = |_: &remy_db::Line| {
        let n = lines.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = mine.path().join(n.to_string());
        fs::write(&path, "of root's").expect("root may write here");
        assert_eq!(fs::metadata(path).unwrap().uid(), 0);
    };
    let progress = Progress::none().on_line(&on_line);
    app.remy()
        .publish(V2, &Options::default(), progress)
        .unwrap();
    app.remy()
        .publish(V3, &Options::default(), progress)
        .unwrap();
    app.remy()
        .rollback(None, &Options::default(), progress)
        .unwrap();
    app.remy()
        .verify_with(&Options::default(), progress)
        .unwrap();
    assert!(lines.into_inner() > 10);
    for path in all(app.dir.path()) {
        assert_eq!(
            fs::symlink_metadata(&path).unwrap().uid(),
            OWNER,
            "{}",
            path.display()
        );
    }
}

/// The descriptors of this process on what is in a folder, with whether a program that is started
/// has them.
fn descriptors(folder: &Path) -> Vec<(PathBuf, bool)> {
    const O_CLOEXEC: u32 = 0o2_000_000;
    let all = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let of = fs::read_link(entry.path())
            .ok()
            .filter(|of| of.starts_with(folder))?;
        let info =
            fs::read_to_string(Path::new("/proc/self/fdinfo").join(entry.file_name())).ok()?;
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap()
            .trim()
            .to_owned();
        Some((of, u32::from_str_radix(&flags, 8).unwrap() & O_CLOEXEC == 0))
    });
    all.collect()
}

#[test]
fn no_descriptor_outlives_its_verb_or_goes_to_a_program_that_is_started() {
    let app = App::on("CREATE TABLE t (a)");
    let files = app.file("files/index.js", "1").parent().unwrap().to_owned();
    let folder = app.dir.path().canonicalize().unwrap();
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let on_line = |_: &remy_db::Line| {
        let open = descriptors(&folder);
        seen.fetch_max(open.len(), std::sync::atomic::Ordering::Relaxed);
        let inherited: Vec<_> = open
            .into_iter()
            .filter(|(_, inherited)| *inherited)
            .collect();
        assert!(inherited.is_empty(), "{inherited:?}");
    };
    let progress = Progress::none().on_line(&on_line);
    let options = |text: &str| Options::from_json(text).unwrap();
    let kept = options(&format!(r#"{{"artifacts": {files:?}}}"#));
    type Verb<'a> = (&'a str, &'a dyn Fn(&Remy));
    let verbs: &[Verb<'_>] = &[
        ("publish", &|remy| {
            drop(remy.publish(V2, &kept, progress).unwrap())
        }),
        ("again", &|remy| {
            drop(remy.publish(V3, &kept, progress).unwrap())
        }),
        ("refused", &|remy| {
            drop(remy.publish("CREATE TABLE", &kept, progress).unwrap_err())
        }),
        ("preview", &|remy| {
            drop(
                remy.stage(V2, &options(r#"{"preview": "p"}"#), progress)
                    .unwrap(),
            )
        }),
        ("preview again", &|remy| {
            drop(
                remy.stage(V3, &options(r#"{"preview": "p"}"#), progress)
                    .unwrap(),
            )
        }),
        ("promote", &|remy| {
            drop(remy.promote(Some(ReleaseId(5)), &kept, progress).unwrap())
        }),
        ("rollback", &|remy| {
            drop(remy.rollback(None, &kept, progress).unwrap())
        }),
        ("clone", &|remy| {
            drop(remy.clone_to(app.dir.path().join("copy.db")).unwrap())
        }),
        ("dev_start", &|remy| drop(remy.dev_start("d").unwrap())),
        ("dev_reset", &|remy| drop(remy.dev_reset("d").unwrap())),
        ("dev_truncate", &|remy| {
            drop(remy.dev_truncate("d").unwrap())
        }),
        ("dev_stop", &|remy| drop(remy.dev_stop("d").unwrap())),
        ("diff", &|remy| {
            drop(remy.diff(V2, &Options::default()).unwrap())
        }),
        ("verify", &|remy| {
            drop(remy.verify_with(&Options::default(), progress).unwrap())
        }),
        ("prune", &|remy| {
            drop(remy.prune(Some(0), &Options::default()).unwrap())
        }),
        ("releases", &|remy| drop(remy.releases().unwrap())),
        ("debug", &|remy| drop(remy.debug().unwrap())),
        ("detach", &|remy| drop(remy.detach().unwrap())),
    ];
    for (name, verb) in verbs {
        verb(&app.remy());
        assert_eq!(descriptors(&folder), [], "{name}");
    }
    assert!(seen.into_inner() > 2, "a verb at work has files open");
}

/// A small disk. Unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// In memory.
    fn new(bytes: &str) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        stdout(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
                .arg(disk.0.path()),
        );
        disk
    }

    /// With the file system that most disks have, on which a folder takes room, too.
    fn ext4(megabytes: u64) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(megabytes << 20).unwrap();
        let disk = Self(tempfile::tempdir().unwrap());
        for command in [
            Command::new("mkfs.ext4")
                .args(["-q", "-F", "-m", "0", "-b", "4096", "-O", "^has_journal"])
                .arg(image.path()),
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(image.path())
                .arg(disk.0.path()),
        ] {
            let out = output(command);
            if !out.status.success() {
                not_covered("a full ext4", &String::from_utf8_lossy(&out.stderr));
                return None;
            }
        }
        Some(disk)
    }

    /// Writes until nothing more goes in.
    fn fill(&self) {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.0.path().join("ballast"))
            .unwrap();
        let e = loop {
            if let Err(e) = file.write_all(&[1; 4096]) {
                break e;
            }
        };
        assert_eq!(e.kind(), std::io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        output(Command::new("umount").arg("--lazy").arg(self.0.path()));
    }
}

#[test]
fn a_full_disk_is_said_so_and_prune_frees_it() {
    if !is_root("a full disk") {
        return;
    }
    for is_open in [false, true] {
        let disk = Disk::new("8m");
        let dir = tempfile::tempdir_in(disk.0.path()).unwrap();
        let app = App {
            live: dir.path().join("app.db"),
            dir,
        };
        app.ask("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(300000))");
        let options = r#"{"margin_bytes": 0, "allow": ["drop"]}"#;
        for schema in [V2, V3, V2, V3] {
            app.publish(schema, options).unwrap();
        }
        let application = is_open.then(|| {
            let mut application = Shell::open(&app.live);
            assert_eq!(application.run("SELECT count(*) FROM t;"), "1");
            application
        });
        disk.fill();
        let pruned = |dry| format!(r#"{{"dry_run": {dry}, "margin_bytes": 0}}"#);
        for e in [
            app.publish(V2, options).map(drop).unwrap_err(),
            app.remy().dev_start("mine").map(drop).unwrap_err(),
            app.remy().releases().map(drop).unwrap_err(),
            app.remy()
                .prune(Some(0), &Options::from_json(&pruned(true)).unwrap())
                .map(drop)
                .unwrap_err(),
        ] {
            let message = e.to_string();
            assert!(
                e.code() == "io"
                    && message.contains("the disk is full (")
                    && message.contains("prune"),
                "{message}"
            );
        }
        let done = app
            .remy()
            .prune(Some(0), &Options::from_json(&pruned(false)).unwrap())
            .unwrap();
        assert_eq!(done.pruned.len(), 3, "all but what a rollback goes to");
        assert!(done.freed_bytes >= 900_000);
        assert_eq!(fs::read_dir(app.store("snapshots")).unwrap().count(), 1);
        assert!(app.remy().verify().unwrap().ok);
        disk.empty();
        app.publish(V2, options).unwrap();
        drop(application);
    }
}

#[test]
fn prune_frees_a_full_disk_whatever_remy_made_the_store() {
    if !is_root("a full disk") {
        return;
    }
    for (format, aside, journal) in [
        (2, true, "wal"),
        (1, true, "wal"),
        (2, true, "delete"),
        (3, true, "wal"),
        (4, false, "wal"),
        (2, false, "wal"),
    ] {
        let what = format!("format {format}, aside: {aside}, {journal}");
        let Some(disk) = Disk::ext4(16) else { return };
        let dir = tempfile::tempdir_in(disk.0.path()).unwrap();
        let app = App {
            live: dir.path().join("app.db"),
            dir,
        };
        app.ask("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(1000000))");
        let options = r#"{"margin_bytes": 0, "allow": ["drop"]}"#;
        for schema in [V2, V3, V2, V3] {
            app.publish(schema, options).unwrap();
        }
        if format < 4 {
            older_catalog(&app.store("catalog.db"), format);
        }
        shell(
            &app.store("catalog.db"),
            &format!("PRAGMA journal_mode = {journal}"),
        );
        if !aside {
            fs::remove_dir(app.store("aside")).unwrap();
        }
        disk.fill();
        let e = app
            .remy()
            .releases()
            .map(drop)
            .or_else(|_| app.publish(V2, options).map(drop))
            .unwrap_err();
        assert!(
            e.code() == "io" && e.to_string().contains("the disk is full ("),
            "{what}: {e}"
        );
        let done = app
            .remy()
            .prune(Some(0), &Options::default())
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(
            done.pruned.len(),
            3,
            "{what}: all but what a rollback goes to"
        );
        assert_eq!(
            fs::read_dir(app.store("snapshots")).unwrap().count(),
            1,
            "{what}"
        );
        assert!(app.remy().verify().unwrap().ok, "{what}");
        disk.empty();
        app.publish(V2, options)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

#[test]
fn a_full_disk_with_nothing_to_prune_stays_as_it_is() {
    if !is_root("a full disk") {
        return;
    }
    let disk = Disk::new("4m");
    let dir = tempfile::tempdir_in(disk.0.path()).unwrap();
    let app = App {
        live: dir.path().join("app.db"),
        dir,
    };
    app.ask(
        "PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(300000))",
    );
    app.publish(V2, r#"{"margin_bytes": 0}"#).unwrap();
    disk.fill();
    let e = app.remy().prune(Some(0), &Options::default()).unwrap_err();
    assert!(e.to_string().contains("the disk is full ("), "{e}");
    disk.empty();
    assert!(app.remy().verify().unwrap().ok);
    app.publish(V3, r#"{"margin_bytes": 0}"#).unwrap();
}
