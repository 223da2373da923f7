//! What others do to live between the clone and the lock, and between the last catching up and the
//! lock: each at its very moment, from the callback that follows the log.
use remy_db::{
    Line, Options, Outcome, Progress, Reached, ReleaseId, Remy, Result, StatementKind, SwitchMethod,
};
use remy_tests::{Shell, cases, client::Client, live::App, moments, shell};
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

const SCHEMA: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, body BLOB);
CREATE INDEX by_name ON users (name);";
/// A rebuild, and a table more.
const CHANGED: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT DEFAULT 'x' CHECK (name <> ''), body BLOB);
CREATE INDEX by_name ON users (name); CREATE TABLE more (a);";
const CONTENT: &str = "SELECT count(*), sum(id), sum(length(body)), hex(sha3(group_concat(id || name || hex(body)))) FROM users;";
const KEEP: &str = r#"{"journal_mode": "keep", "max_pause_ms": 60000, "lock_timeout_ms": 20000}"#;

/// An application's database, its connection, and the same one to a host's SQLite where that is
/// what is tested.
struct Opened {
    _dir: tempfile::TempDir,
    live: PathBuf,
    open: Shell,
    host: Option<Connection>,
}

impl Opened {
    fn new(first: &str, by_host: bool) -> Self {
        remy_db::engine::init();
        let App { dir, live } = App::made_by(
            &format!(
                "{first} {SCHEMA} WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 400)
                 INSERT INTO users (name, body) SELECT 'näme ' || i, randomblob(i * 5) FROM c;
                 DELETE FROM users WHERE id BETWEEN 100 AND 150;"
            ),
        );
        let open = Shell::open(&live);
        let host = by_host.then(|| Connection::open(&live).unwrap());
        Self {
            _dir: dir,
            live,
            open,
            host,
        }
    }

    fn remy(&self) -> Remy {
        match &self.host {
            // SAFETY: the connection is of the engine that rusqlite is bound to, and stays open
            // during the call.
            Some(host) => unsafe { Remy::on_host(host.handle()) }.unwrap(),
            None => Remy::open(&self.live).unwrap(),
        }
    }

    fn publish(
        &self,
        schema: &str,
        options: &str,
        on_line: &(dyn Fn(&Line) + Send + Sync),
    ) -> Result<Outcome> {
        self.remy().publish(
            schema,
            &Options::from_json(options)?,
            Progress::none().on_line(on_line),
        )
    }

    fn rollback(&self, release: i64, on_line: &(dyn Fn(&Line) + Send + Sync)) -> Result<Outcome> {
        self.remy().rollback(
            Some(ReleaseId(release)),
            &Options::from_json(KEEP)?,
            Progress::none().on_line(on_line),
        )
    }

    /// The database that a release left.
    fn database_of(&self, release: i64) -> PathBuf {
        let mut releases = self.remy().releases().unwrap().into_iter();
        let place = releases.find(|r| r.release == release).unwrap().database;
        PathBuf::from(format!("{}-remy/{}", self.live.display(), place.unwrap()))
    }

    /// What a snapshot holds. Its file is as long as it says, and not longer.
    fn snapshot(&self, release: i64) -> String {
        let path = self.database_of(release);
        let bytes = shell(
            &path,
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        );
        assert_eq!(
            bytes,
            format!("{}\n", fs::metadata(&path).unwrap().len()),
            "release {release}"
        );
        shell(&path, &format!("PRAGMA integrity_check; {CONTENT}"))
    }
}

/// Runs `act` once, when the log has come to where nothing but the lock is left: after a write that
/// has to be caught up with, or, on a host's SQLite, where the rehearsal is over.
fn before_the_lock<'a>(
    live: &'a Path,
    by_host: bool,
    act: impl Fn() + Send + Sync + 'a,
) -> Box<dyn Fn(&Line) + Send + Sync + 'a> {
    if by_host {
        return Box::new(moments::at_first(moments::is_rehearsed, act));
    }
    let write = "INSERT INTO users (name, body) VALUES ('to catch up with', x'00');";
    Box::new(moments::before_the_lock(live, write, act))
}

fn by(by_host: bool) -> SwitchMethod {
    if by_host {
        SwitchMethod::Backup
    } else {
        SwitchMethod::Pages
    }
}

/// Live shrinks and grows after the comparison: the image has pages that live has not any more, and
/// the other way round.
fn live_shrinks_or_grows_before_the_lock(mode: &str, by_host: bool, auto_vacuum: u8, act: &str) {
    let mut app = Opened::new(
        &format!("PRAGMA auto_vacuum = {auto_vacuum}; PRAGMA journal_mode = {mode};"),
        by_host,
    );
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let (live, last) = (app.live.clone(), Mutex::new(String::new()));
    let run = || {
        shell(&live, act);
        *last.lock().unwrap() = format!("ok\n{}", shell(&live, CONTENT));
    };
    let seen = format!("PRAGMA integrity_check; {CONTENT}");
    let published = app
        .publish(CHANGED, KEEP, &before_the_lock(&live, by_host, run))
        .unwrap();
    assert_eq!(published.switch.unwrap().by, by(by_host));
    let now = last.lock().unwrap().clone();
    assert_eq!(app.open.ask(&seen), now);
    assert_eq!(app.snapshot(2), now);
    // Back, while it shrinks: pages of the image beyond live's end.
    let goal = app.snapshot(1);
    let back = app
        .rollback(1, &before_the_lock(&live, by_host, run))
        .unwrap();
    assert_eq!(app.open.ask(&seen), goal);
    assert_eq!(
        app.snapshot(back.previous.unwrap().0),
        *last.lock().unwrap()
    );
    app.open.ask("INSERT INTO users (name, body) VALUES ('after', randomblob(90000)); DELETE FROM users WHERE id % 2;");
    assert_eq!(app.open.ask("PRAGMA integrity_check;"), "ok\n");
}

const GROW: &str = "INSERT INTO users (name, body) VALUES ('grown', randomblob(900000));";

cases! { live_shrinks_or_grows_before_the_lock:
    [wal: "wal", delete: "delete"]
    [pages: false, host: true]
    {
        grows(0, GROW),
        grows_with_auto_vacuum(1, GROW),
        shrinks(1, "DELETE FROM users WHERE id > 20;"),
        is_vacuumed(
            2,
            "DELETE FROM users WHERE id > 20; PRAGMA incremental_vacuum;",
        ),
        is_vacuumed_in_part(
            2,
            "DELETE FROM users WHERE id > 20; PRAGMA incremental_vacuum(7);",
        ),
        // A truncated main file under a restarted WAL: nothing but a comparison tells what changed.
        is_truncated(
            1,
            "DELETE FROM users WHERE id > 20; PRAGMA wal_checkpoint(TRUNCATE);",
        ),
        loses_all_rows(1, "DELETE FROM users; DELETE FROM users;"),
    }
}

/// Somebody else changes the schema as often as that: after three times it is given up, and nothing
/// of it is lost.
fn ddl_of_others_before_the_lock(mode: &str, by_host: bool, times: u32) {
    let mut app = Opened::new(&format!("PRAGMA journal_mode = {mode};"), by_host);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let live = app.live.clone();
    let options = r#"{"journal_mode": "keep", "ignore": ["theirs*"], "max_pause_ms": 60000}"#;
    let theirs = |n| format!("CREATE TABLE theirs{n} (a); INSERT INTO theirs{n} VALUES ({n});");
    let published = app.publish(CHANGED, options, &rehearsed_beside(&live, times, theirs));
    if times < 3 {
        let log = published.unwrap().log;
        let fresh = moments::fresh_starts(&log);
        assert_eq!(fresh, times as usize, "{log:#?}");
    } else {
        let e = published.unwrap_err();
        assert_eq!(e.code(), "busy", "{e}");
        assert!(
            e.to_string().contains("3 times") && e.to_string().contains("Live is unchanged"),
            "{e}"
        );
        assert_eq!(
            app.open.ask("SELECT count(*) FROM more;").lines().count(),
            1
        );
        app.publish(CHANGED, options, &|_| {}).unwrap();
    }
    for n in 0..times {
        assert_eq!(
            app.open.ask(&format!("SELECT a FROM theirs{n};")),
            format!("{n}\n")
        );
    }
    assert_eq!(
        app.open
            .ask("SELECT count(*) FROM more; PRAGMA integrity_check;"),
        "0\nok\n"
    );
    // A rollback starts over, too.
    let late = |n| format!("CREATE TABLE late{n} (a);");
    let back = app.rollback(2, &rehearsed_beside(&live, times, late));
    assert_eq!(
        back.as_ref().err().map(|e| e.code()),
        (times == 3).then_some("busy")
    );
}

cases! { ddl_of_others_before_the_lock:
    [wal: "wal", delete: "delete"]
    [pages: false, host: true]
    [once: 1, twice: 2, three_times: 3]
}

/// Runs `sql`, which is told how often it ran, beside so many of a verb's attempts, when each is
/// rehearsed.
fn rehearsed_beside<'a>(
    live: &'a Path,
    times: u32,
    sql: impl Fn(u32) -> String + Send + Sync + 'a,
) -> impl Fn(&Line) + Send + Sync + 'a {
    let ran = AtomicU32::new(0);
    move |line| {
        if moments::is_rehearsed(line) && ran.load(Ordering::Relaxed) < times {
            shell(live, &sql(ran.fetch_add(1, Ordering::Relaxed)));
        }
    }
}

/// Rows that others write after the rehearsal, which asked for leave, and of foreign keys.
struct Late {
    before: &'static str,
    rows: &'static str,
    wanted: &'static str,
    migration: &'static str,
    /// What they write.
    act: &'static str,
    allow: &'static str,
    /// The error's code.
    code: &'static str,
    /// What is read then, and what that is.
    left: (&'static str, &'static str),
}

impl Late {
    /// A column of text becomes one of numbers, for which '007' would be 7.
    const TYPE_CHANGE: Self = Self {
        before: "CREATE TABLE c (code TEXT);",
        rows: "",
        wanted: "CREATE TABLE c (code INTEGER);",
        migration: "",
        act: "INSERT INTO c VALUES ('007');",
        allow: "",
        code: "lossy_change",
        left: ("SELECT * FROM c;", "007\n"),
    };
}

/// What others write after the rehearsal is asked what the rehearsal asked of what there was: for
/// leave, and for foreign keys.
fn rows_of_others_are_asked_what_the_rehearsal_asked(mode: &str, by_host: bool, late: Late) {
    let mut app = Opened::new(&format!("PRAGMA journal_mode = {mode};"), by_host);
    app.publish(&format!("{SCHEMA} {}", late.before), KEEP, &|_| {})
        .unwrap();
    app.open.ask(late.rows);
    let folder = tempfile::tempdir().unwrap();
    if !late.migration.is_empty() {
        fs::write(folder.path().join("0001_archived.sql"), late.migration).unwrap();
    }
    let options = KEEP.replace(
        '}',
        &format!(r#"{}, "migrations": {:?}}}"#, late.allow, folder.path()),
    );
    let live = app.live.clone();
    let run = || drop(shell(&live, late.act));
    let e = app
        .publish(
            &format!("{SCHEMA} {}", late.wanted),
            &options,
            &before_the_lock(&live, by_host, run),
        )
        .unwrap_err();
    assert_eq!(e.code(), late.code, "{e}");
    assert!(
        e.detail().state.is_some() && e.detail().hint.is_some(),
        "{e}"
    );
    // What they wrote is there, and nothing else has happened.
    let (select, rows) = late.left;
    assert_eq!(app.open.ask(select), rows);
}

const PARENTS: &str = "CREATE TABLE parents (id INTEGER PRIMARY KEY, archived INT);
    CREATE TABLE children (id INTEGER PRIMARY KEY, parent INT REFERENCES parents);";

cases! { rows_of_others_are_asked_what_the_rehearsal_asked:
    [wal: "wal", delete: "delete"]
    [pages: false, host: true]
    {
        // Empty, so that nobody has to give leave.
        type_change_of_an_empty_table(Late::TYPE_CHANGE),
        type_change_with_leave(Late {
            rows: "INSERT INTO c VALUES ('1');",
            allow: r#", "allow": ["type_change"]"#,
            left: ("SELECT * FROM c;", "1\n007\n"),
            ..Late::TYPE_CHANGE
        }),
        maybe_a_rename(Late {
            before: "CREATE TABLE c (a, b);",
            wanted: "CREATE TABLE c (a, d);",
            act: "INSERT INTO c VALUES (1, 2);",
            code: "ambiguous_rename",
            left: ("SELECT * FROM c;", "1|2\n"),
            ..Late::TYPE_CHANGE
        }),
        foreign_key(Late {
            before: PARENTS,
            rows: "INSERT INTO parents VALUES (1, 1), (2, 0);",
            wanted: PARENTS,
            migration: "DELETE FROM parents WHERE archived;",
            act: "INSERT INTO children (parent) VALUES (1);",
            code: "check_failed",
            left: (
                "SELECT * FROM parents; SELECT parent FROM children;",
                "1|1\n2|0\n1\n",
            ),
            ..Late::TYPE_CHANGE
        }),
    }
}

/// Another database in live's place, by its own connections: what is kept would not be the release
/// that it is kept as.
fn live_restored_between_the_clone_and_the_lock(by_host: bool) {
    let mut app = Opened::new("PRAGMA journal_mode = wal;", by_host);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let other = app.live.with_file_name("other.db");
    shell(
        &other,
        "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (7);",
    );
    let live = app.live.clone();
    let restore = moments::at_first(moments::is_rehearsed, || {
        shell(&live, &format!(".restore '{}'", other.display()));
    });
    let e = app.publish(CHANGED, KEEP, &restore).unwrap_err();
    assert!(
        e.code() == "busy" && e.to_string().contains("restored or replaced"),
        "{e}"
    );
    assert_eq!(app.open.ask("SELECT a FROM theirs;"), "7\n");
    let kept = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .filter(|release| release.database.is_some())
        .count();
    assert_eq!(kept, 1, "release 1 alone");
}

cases! { live_restored_between_the_clone_and_the_lock: [pages: false, host: true] }

/// The same at the last moment, where only live's cookie under the lock tells. `theirs` finds what
/// they did.
fn ddl_after_the_last_catching_up(mode: &str, by_host: bool, act: &str, theirs: &str) {
    let mut app = Opened::new(&format!("PRAGMA journal_mode = {mode};"), by_host);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let live = app.live.clone();
    let run = || drop(shell(&live, act));
    let options = KEEP.replace('{', r#"{"allow": ["drop"], "#);
    let published = app
        .publish(CHANGED, &options, &before_the_lock(&live, by_host, run))
        .unwrap();
    assert!(
        moments::fresh_starts(&published.log) > 0,
        "{:#?}",
        published.log
    );
    let told = app.open.ask("PRAGMA integrity_check; SELECT count(*) FROM more; SELECT count(*) FROM sqlite_schema WHERE name = 'by_name';");
    assert_eq!(told, "ok\n0\n1\n");
    // What they did is in the snapshot of the release that they did it to.
    assert_eq!(shell(&app.database_of(2), theirs), "7\n");
}

cases! { ddl_after_the_last_catching_up:
    [wal: "wal", delete: "delete"]
    [pages: false, host: true]
    {
        create(
            "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (7);",
            "SELECT * FROM theirs",
        ),
        alter(
            "ALTER TABLE users ADD COLUMN theirs DEFAULT 7;",
            "SELECT DISTINCT theirs FROM users",
        ),
        drop_and_create(
            "DROP INDEX by_name; CREATE TABLE theirs AS SELECT 7 AS theirs;",
            "SELECT * FROM theirs",
        ),
        vacuum_and_create(
            "VACUUM; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (7);",
            "SELECT * FROM theirs",
        ),
    }
}

/// Live is another file when COMMIT is due: what has its name now is left alone, and so is what had
/// it.
fn live_replaced_at_the_last_moment(mode: &str, by_host: bool) {
    let app = Opened::new(&format!("PRAGMA journal_mode = {mode};"), by_host);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let swap = Swap::of(&app.live);
    let replace = || swap.put_other();
    let e = app
        .publish(CHANGED, KEEP, &before_the_lock(&app.live, by_host, replace))
        .unwrap_err();
    assert!(e.to_string().contains("replaced"), "{e}");
    assert_eq!(
        shell(&app.live, "SELECT a FROM precious; PRAGMA integrity_check"),
        "1\nok\n"
    );
    swap.put_back();
    assert_eq!(shell(&app.live, UNCHANGED), "ok\n0\n");
    assert_eq!(
        app.publish(CHANGED, KEEP, &|_| {}).unwrap().status,
        Reached::Live
    );
}

cases! { live_replaced_at_the_last_moment:
    [wal: "wal", delete: "delete"]
    [pages: false, host: true]
}

/// Answers `ok` and 0 where the release did not come.
const UNCHANGED: &str =
    "PRAGMA integrity_check; SELECT count(*) FROM sqlite_schema WHERE name = 'more'";

/// Another database, with a table `precious`, that is put in live's place.
struct Swap {
    live: PathBuf,
    aside: PathBuf,
    other: PathBuf,
}

impl Swap {
    fn of(live: &Path) -> Self {
        let other = live.with_file_name("other.db");
        shell(
            &other,
            "CREATE TABLE precious (a); INSERT INTO precious VALUES (1);",
        );
        Self {
            live: live.to_owned(),
            aside: live.with_file_name("aside.db"),
            other,
        }
    }

    fn put_other(&self) {
        fs::rename(&self.live, &self.aside).unwrap();
        fs::rename(&self.other, &self.live).unwrap();
    }

    fn put_back(&self) {
        fs::rename(&self.live, &self.other).unwrap();
        fs::rename(&self.aside, &self.live).unwrap();
    }

    /// Puts it there while another process waits for live's lock, once `due`, unless `ended`.
    fn put_other_under_the_lock(&self, due: &AtomicBool, ended: &AtomicBool) {
        let mut writer = Shell::open(&self.live);
        let ended = || ended.load(Ordering::Relaxed);
        while !due.load(Ordering::Relaxed) && !ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        while !is_locked(&mut writer) && !ended() {}
        self.put_other();
    }
}

/// Whether somebody else holds the lock of what `writer` has open.
fn is_locked(writer: &mut Shell) -> bool {
    writer
        .ask(".timeout 0\nBEGIN IMMEDIATE;\nROLLBACK;")
        .contains("locked")
}

/// What another process makes of the file itself: its page size, its auto_vacuum, its journal mode.
/// Each time live ends as the release, or as it was with an error that says so, and never as
/// something between.
fn the_file_changes_its_shape(by_host: bool, at: fn(&Line) -> bool, first: &str, act: &str) {
    let mut app = Opened::new(first, by_host);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    // A connection that is open keeps a WAL from being turned off.
    app.open.ask(".open :memory:");
    app.host = None;
    let (live, said) = (app.live.clone(), Mutex::new(String::new()));
    if by_host {
        app.host = Some(Connection::open(&live).unwrap());
    }
    let run = moments::at_first(at, || {
        *said.lock().unwrap() = Shell::open(&live).ask(&format!(".timeout 300\n{act}"));
    });
    let shape = format!("PRAGMA journal_mode; PRAGMA page_size; PRAGMA auto_vacuum; {CONTENT}");
    let seen = Mutex::new(String::new());
    let both = |line: &Line| {
        run(line);
        if at(line) {
            *seen.lock().unwrap() = shell(&live, &shape);
        }
    };
    let published = app.publish(CHANGED, KEEP, &both);
    let after = shell(&live, &shape);
    assert_eq!(shell(&live, "PRAGMA integrity_check"), "ok\n");
    assert_eq!(after, seen.into_inner().unwrap(), "{published:?} {said:?}");
    let more = shell(
        &live,
        "SELECT count(*) FROM sqlite_schema WHERE name = 'more'",
    );
    match published {
        Ok(_) => assert_eq!(more, "1\n"),
        Err(e) => {
            assert_eq!(more, "0\n", "{e}");
            // Nobody waits for anything here, so that `busy` can only be what says what happened.
            assert!(
                e.detail().state.is_some() && e.to_string().contains("page size"),
                "{e}"
            );
            // It goes on as soon as it is started again.
            app.publish(CHANGED, KEEP, &|_| {})
                .unwrap_or_else(|again| panic!("{e}; {again}"));
        }
    }
}

const DELETE: &str = "PRAGMA journal_mode = delete;";
const WAL: &str = "PRAGMA journal_mode = wal;";

cases! { the_file_changes_its_shape:
    [pages: false, host: true]
    [when_cloned: moments::is_cloned, when_rehearsed: moments::is_rehearsed]
    {
        larger_pages(DELETE, "PRAGMA page_size = 8192; VACUUM;"),
        smaller_pages(DELETE, "PRAGMA page_size = 512; VACUUM;"),
        auto_vacuum_on(DELETE, "PRAGMA auto_vacuum = 1; VACUUM;"),
        auto_vacuum_off(
            "PRAGMA journal_mode = delete; PRAGMA auto_vacuum = 1;",
            "PRAGMA auto_vacuum = 0; VACUUM;",
        ),
        auto_vacuum_incremental(
            "PRAGMA journal_mode = delete; PRAGMA auto_vacuum = 1;",
            "PRAGMA auto_vacuum = 2;",
        ),
        wal_and_a_row(
            DELETE,
            "PRAGMA journal_mode = wal; INSERT INTO users (name) VALUES ('after');",
        ),
        wal(DELETE, "PRAGMA journal_mode = wal;"),
        auto_vacuum_in_wal(WAL, "PRAGMA auto_vacuum = 2; VACUUM;"),
        delete_and_a_row(
            WAL,
            "PRAGMA journal_mode = delete; INSERT INTO users (name) VALUES ('after');",
        ),
        larger_pages_in_wal(
            WAL,
            "PRAGMA journal_mode = delete; PRAGMA page_size = 8192; VACUUM; PRAGMA journal_mode = wal;",
        ),
    }
}

/// An encoding changes only with the file: one that is empty at first.
fn an_empty_file_that_gets_another_encoding(by_host: bool) {
    remy_db::engine::init();
    let app = App::empty();
    let host = by_host.then(|| Connection::open(&app.live).unwrap());
    let remy = match &host {
        // SAFETY: the connection is of the engine that rusqlite is bound to, and stays open during
        // the calls.
        Some(host) => unsafe { Remy::on_host(host.handle()) }.unwrap(),
        None => app.remy(),
    };
    let on_line = moments::at_first(moments::is_cloned, || {
        shell(
            &app.live,
            "PRAGMA encoding = 'UTF-16le'; CREATE TABLE theirs (a); INSERT INTO theirs VALUES ('ä');",
        );
    });
    let options = Options::from_json(r#"{"journal_mode": "keep", "ignore": ["theirs"]}"#).unwrap();
    let published = remy.publish(SCHEMA, &options, Progress::none().on_line(&on_line));
    let theirs = "PRAGMA integrity_check; SELECT a FROM theirs";
    assert_eq!(shell(&app.live, theirs), "ok\nä\n", "{published:?}");
    let again = remy.publish(CHANGED, &options, Progress::none()).unwrap();
    assert_eq!(again.status, Reached::Live);
    assert_eq!(shell(&app.live, theirs), "ok\nä\n");
}

cases! { an_empty_file_that_gets_another_encoding: [pages: false, host: true] }

/// A change of more pages than a cache holds, on a rollback journal, with a reader in: nothing is
/// spilled into the file, so that the reader goes on reading, and COMMIT is tried until it leaves.
#[test]
fn many_pages_and_a_reader_of_a_rollback_journal() {
    let mut app = Opened::new(
        "PRAGMA journal_mode = delete; PRAGMA default_cache_size = 20;",
        false,
    );
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let mut writer = Shell::open(&app.live);
    writer.ask("UPDATE users SET body = randomblob(9000);");
    let before = app.open.ask(&format!("BEGIN; {CONTENT}"));
    let e = app
        .publish(
            CHANGED,
            r#"{"max_pause_ms": 700, "journal_mode": "keep"}"#,
            &|_| {},
        )
        .unwrap_err();
    assert!(
        e.code() == "busy" && e.to_string().contains("readers"),
        "{e}"
    );
    assert_eq!(app.open.ask(CONTENT), before);
    let published = std::thread::scope(|scope| {
        let live = app.live.clone();
        let publishing = scope.spawn(move || {
            let options = Options::from_json(KEEP).unwrap();
            Remy::open(&live)
                .unwrap()
                .publish(CHANGED, &options, Progress::none())
        });
        // Until it has held the lock for a while.
        let mut locked = 0;
        while locked < 20 && !publishing.is_finished() {
            locked += u32::from(is_locked(&mut writer));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(app.open.ask(CONTENT), before);
        app.open.ask("COMMIT;");
        publishing.join().unwrap()
    });
    assert_eq!(published.unwrap().status, Reached::Live);
    assert_eq!(
        app.open
            .ask(&format!("SELECT count(*) FROM more; {CONTENT}")),
        format!("0\n{before}")
    );
}

/// A migration that is quick when it is rehearsed, and slow under the lock: it counts on when the
/// row `slow` is there.
fn slow_under_the_lock(live: &Path, steps: u64) -> PathBuf {
    let folder = live.with_file_name("migrations");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("0001_slow.sql"),
        format!(
            "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < (SELECT CASE count(*) WHEN 0 THEN 1 ELSE {steps} END FROM users WHERE name = 'slow'))
             UPDATE users SET name = 'x' WHERE id = (SELECT -max(i) FROM c);"
        ),
    )
    .unwrap();
    folder
}

/// How far it counts in so many milliseconds, on this machine and in this build.
fn steps_of(ms: u64) -> u64 {
    let (conn, start) = (Connection::open_in_memory().unwrap(), Instant::now());
    let sql = "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 1000000) SELECT max(i) FROM c";
    conn.query_row(sql, [], |_| Ok(())).unwrap();
    1_000_000_000 * ms / u64::try_from(start.elapsed().as_micros()).unwrap()
}

/// Statements that run on beyond `max_pause_ms` under the lock are ended there, and live's writers
/// go on.
#[test]
fn a_plan_that_is_too_slow_under_the_lock() {
    let app = Opened::new("PRAGMA journal_mode = wal;", false);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    // A quarter of a minute and more, were it not ended.
    let folder = slow_under_the_lock(&app.live, 100_000_000);
    let options =
        format!(r#"{{"journal_mode": "keep", "max_pause_ms": 500, "migrations": {folder:?}}}"#);
    let slow = || {
        drop(shell(
            &app.live,
            "INSERT INTO users (name) VALUES ('slow');",
        ))
    };
    let (before, start) = (
        shell(&app.live, "SELECT * FROM sqlite_schema"),
        Instant::now(),
    );
    let e = app
        .publish(CHANGED, &options, &before_the_lock(&app.live, false, slow))
        .unwrap_err();
    assert_eq!(e.code(), "pause_exceeded", "{e}");
    assert!(e.to_string().contains("500 ms"), "{e}");
    assert!(
        start.elapsed() < Duration::from_secs(12),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        shell(
            &app.live,
            "BEGIN IMMEDIATE; ROLLBACK; SELECT * FROM sqlite_schema"
        ),
        before
    );
}

/// A change that takes longer than writers may wait, beside somebody who writes elsewhere at the
/// last moment: it stays as it was rehearsed, and nobody waits for it. (What is read is another
/// matter: the tests above.)
#[test]
fn a_slow_plan_beside_writes_elsewhere() {
    let other = "CREATE TABLE other (id INTEGER PRIMARY KEY, a);";
    let app = Opened::new(
        &format!("PRAGMA journal_mode = wal; {other} INSERT INTO other VALUES (1, 1);"),
        false,
    );
    app.publish(&format!("{SCHEMA} {other}"), KEEP, &|_| {})
        .unwrap();
    shell(&app.live, "INSERT INTO users (name) VALUES ('slow');");
    let folder = slow_under_the_lock(&app.live, steps_of(3000));
    let options =
        format!(r#"{{"journal_mode": "keep", "max_pause_ms": 800, "migrations": {folder:?}}}"#);
    let elsewhere = |line: &Line| {
        if moments::is_rehearsed(line) || moments::is_caught_up(line) {
            shell(&app.live, "UPDATE other SET a = a + 1;");
        }
    };
    let published = app
        .publish(&format!("{CHANGED} {other}"), &options, &elsewhere)
        .unwrap();
    let rehearsed = published.statements[0].clone();
    assert_eq!(rehearsed.kind, StatementKind::Migration);
    let took = published
        .log
        .iter()
        .map(|line| line.duration_ms)
        .fold(0.0, f64::max);
    assert!(took > 800.0, "the plan was to be slow: {took} ms");
    assert!(!published.switch.unwrap().ran_again);
    assert_eq!(
        shell(&app.live, "SELECT a FROM other; PRAGMA integrity_check;"),
        "3\nok\n"
    );
}

/// On a host, what would run too long under the lock is made up to date before the next attempt:
/// without that, one write after the rehearsal would make every attempt be in vain.
fn a_hosts_slow_plan_and_one_write(mode: &str) {
    let app = Opened::new(&format!("PRAGMA journal_mode = {mode};"), true);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    shell(&app.live, "INSERT INTO users (name) VALUES ('slow');");
    let folder = slow_under_the_lock(&app.live, steps_of(3000));
    let options =
        format!(r#"{{"journal_mode": "keep", "max_pause_ms": 800, "migrations": {folder:?}}}"#);
    let write = || {
        drop(shell(
            &app.live,
            "INSERT INTO users (name) VALUES ('late');",
        ))
    };
    let published = app
        .publish(CHANGED, &options, &before_the_lock(&app.live, true, write))
        .unwrap();
    let took = published
        .log
        .iter()
        .map(|line| line.duration_ms)
        .fold(0.0, f64::max);
    assert!(took > 800.0, "the plan was to be slow: {took} ms");
    let (switch, previous) = (published.switch.unwrap(), published.previous.unwrap());
    assert_eq!(
        (switch.by, switch.attempts, switch.ran_again),
        (SwitchMethod::Backup, 2, false)
    );
    assert_eq!(
        shell(&app.live, "SELECT count(*) FROM users WHERE name = 'late';"),
        "1\n"
    );
    assert_eq!(
        app.snapshot(previous.0),
        shell(&app.live, &format!("PRAGMA integrity_check; {CONTENT}"))
    );
}

cases! { a_hosts_slow_plan_and_one_write: [wal: "wal", delete: "delete"] }

/// The clock is looked at between pages, too: nothing is slow here but that there are many.
fn pages_that_take_too_long_to_write(by_host: bool, mode: &str) {
    let app = Opened::new(
        &format!("PRAGMA page_size = 512; PRAGMA journal_mode = {mode};"),
        by_host,
    );
    shell(&app.live, "UPDATE users SET body = zeroblob(2400);");
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let before = shell(
        &app.live,
        "SELECT * FROM sqlite_schema; SELECT * FROM users",
    );
    // Under a MiB, so that nothing is foreseen.
    let e = app
        .publish(
            CHANGED,
            r#"{"max_pause_ms": 1, "journal_mode": "keep"}"#,
            &|_| {},
        )
        .unwrap_err();
    assert_eq!(e.code(), "pause_exceeded", "{e}");
    assert!(e.to_string().contains("not done within"), "{e}");
    assert_eq!(
        shell(
            &app.live,
            "BEGIN IMMEDIATE; ROLLBACK; SELECT * FROM sqlite_schema; SELECT * FROM users"
        ),
        before
    );
}

cases! { pages_that_take_too_long_to_write: {
        pages(false, "wal"),
        host(true, "wal"),
        host_in_delete(true, "delete"),
    }
}

/// Live is replaced while its lock is held: the last look is right before COMMIT.
fn live_replaced_under_the_lock(by_host: bool) {
    let app = Opened::new("PRAGMA journal_mode = wal;", by_host);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let swap = Swap::of(&app.live);
    let folder = slow_under_the_lock(&app.live, 3_000_000);
    let options = KEEP.replace('{', &format!(r#"{{"migrations": {folder:?}, "#));
    let (slow, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let set = || {
        shell(&app.live, "INSERT INTO users (name) VALUES ('slow');");
        slow.store(true, Ordering::Relaxed);
    };
    let remy = app.remy();
    let e = std::thread::scope(|scope| {
        scope.spawn(|| swap.put_other_under_the_lock(&slow, &ended));
        let options = Options::from_json(&options).unwrap();
        let on_line = before_the_lock(&app.live, by_host, set);
        let published = remy.publish(CHANGED, &options, Progress::none().on_line(&on_line));
        ended.store(true, Ordering::Relaxed);
        published.unwrap_err()
    });
    assert!(e.to_string().contains("replaced"), "{e}");
    assert_eq!(shell(&app.live, "SELECT a FROM precious"), "1\n");
    drop(remy);
    swap.put_back();
    assert_eq!(shell(&app.live, UNCHANGED), "ok\n0\n");
}

cases! { live_replaced_under_the_lock: [pages: false, host: true] }

/// A connection that sleeps through a rollback and another publish wakes up with a schema that was
/// live once. A cookie that was used before would let it read the table of now by that.
#[test]
fn a_connection_that_slept_reads_by_the_schema_of_now() {
    let mut app = Opened::new("PRAGMA journal_mode = wal;", false);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    app.publish(
        &format!("{SCHEMA} CREATE TABLE late (x, y);"),
        KEEP,
        &|_| {},
    )
    .unwrap();
    assert_eq!(
        app.open
            .ask("INSERT INTO late VALUES (1, 2); SELECT x FROM late;"),
        "1\n"
    );
    app.rollback(2, &|_| {}).unwrap();
    app.publish(
        &format!("{SCHEMA} CREATE TABLE late (y, x);"),
        KEEP,
        &|_| {},
    )
    .unwrap();
    shell(&app.live, "INSERT INTO late (x, y) VALUES (1, 2);");
    assert_eq!(app.open.ask("SELECT x FROM late;"), "1\n");
}

/// Live is replaced while a switch of many pages holds the lock of a rollback journal: neither file
/// is written to.
#[test]
fn a_rollback_journals_database_that_is_replaced_under_the_lock() {
    // Where that comes just before the first page, SQLite itself refuses to write; then it is tried
    // again.
    let tries: Vec<_> = (0..5)
        .map_while(|_| Some(replaced_under_the_lock()).filter(|e| !e.contains("replaced")))
        .collect();
    assert!(tries.len() < 5, "{tries:#?}");
}

/// The error of a switch whose database was replaced while it held the lock.
fn replaced_under_the_lock() -> String {
    let app = Opened::new(
        "PRAGMA journal_mode = delete; PRAGMA default_cache_size = 20;",
        false,
    );
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    shell(&app.live, "UPDATE users SET body = randomblob(9000);");
    let swap = Swap::of(&app.live);
    let folder = slow_under_the_lock(&app.live, 3_000_000);
    let options = KEEP.replace('{', &format!(r#"{{"migrations": {folder:?}, "#));
    let (slow, written) = (AtomicBool::new(false), Mutex::new(None));
    let set = || {
        shell(&app.live, "INSERT INTO users (name) VALUES ('slow');");
        *written.lock().unwrap() = Some(fs::metadata(&app.live).unwrap().modified().unwrap());
        slow.store(true, Ordering::Relaxed);
    };
    let e = std::thread::scope(|scope| {
        scope.spawn(|| swap.put_other_under_the_lock(&slow, &AtomicBool::new(false)));
        app.publish(CHANGED, &options, &before_the_lock(&app.live, false, set))
            .unwrap_err()
    });
    assert_eq!(
        fs::metadata(&swap.aside).unwrap().modified().unwrap(),
        written.into_inner().unwrap().unwrap()
    );
    assert_eq!(shell(&swap.aside, UNCHANGED), "ok\n0\n");
    e.to_string()
}

/// On a rollback journal a host's SQLite needs the write lock for the last update, and shuts
/// readers out only after it. When that was a second lock, a busy writer slipped in between the
/// two, so that no switch came about while it was at work.
#[test]
fn a_busy_writer_and_a_hosts_rollback_journal() {
    let app = Opened::new("PRAGMA journal_mode = delete;", true);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let mut python = Client::python(&app.live);
    let spin = r#"def spin():\n  import time\n  n, end = 0, time.time() + 4\n  while time.time() < end:\n    try:\n      c.execute("INSERT INTO users (name) VALUES ('spun')")\n      n += 1\n      time.sleep(.001)\n    except sqlite3.OperationalError: pass\n  return n"#;
    assert_eq!(
        python.ask(&format!("exec('''{spin}''', globals())")),
        "None"
    );
    python.ask("c.execute('PRAGMA busy_timeout = 0')");
    let written = std::thread::scope(|scope| {
        let spinning = scope.spawn(|| python.ask("spin()"));
        for schema in [CHANGED, SCHEMA].iter().cycle() {
            let published = app.publish(schema, KEEP, &|_| {}).unwrap();
            assert_eq!(published.switch.unwrap().attempts, 1);
            if spinning.is_finished() {
                break;
            }
        }
        spinning.join().unwrap()
    });
    assert_eq!(
        shell(&app.live, "SELECT count(*) FROM users WHERE name = 'spun'"),
        format!("{written}\n")
    );
    assert!(written.parse::<u32>().unwrap() > 10, "{written}");
    let left: Vec<_> = fs::read_dir(app.live.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "no journal stays: {left:?}");
}

/// A writer that leaves a rollback journal alone for 3 ms at a time. SQLite's own waiting, in steps
/// of up to 100 ms, finds such a moment by luck only: on a slow disk, verbs failed after 5 s in
/// vain, or took the waiting for work.
fn a_rollback_journal_that_is_nearly_always_locked(by_host: bool) {
    let app = Opened::new("PRAGMA journal_mode = delete;", by_host);
    app.publish(SCHEMA, KEEP, &|_| {}).unwrap();
    let mut python = holding(&app.live, "EXCLUSIVE");
    let options = r#"{"journal_mode": "keep", "max_pause_ms": 2000, "lock_timeout_ms": 20000}"#;
    let published = app.publish(CHANGED, options, &|_| {}).unwrap();
    assert_eq!(published.switch.unwrap().attempts, 1);
    let rolled_back = app
        .rollback(published.previous.unwrap().0, &|_| {})
        .unwrap();
    assert_eq!(rolled_back.switch.unwrap().attempts, 1);
    python.ask("stop = True");
    let held: u32 = python.ask("held").parse().unwrap();
    assert!(held > 3, "{held}");
}

cases! { a_rollback_journal_that_is_nearly_always_locked: [pages: false, host: true] }

/// The pragma reads before it writes, where SQLite does not wait for a writer.
#[test]
fn wal_is_turned_on_in_between() {
    let app = Opened::new("PRAGMA journal_mode = delete;", false);
    let mut python = holding(&app.live, "IMMEDIATE");
    app.publish(CHANGED, "", &|_| {}).unwrap();
    assert_eq!(shell(&app.live, "PRAGMA journal_mode"), "wal\n");
    python.ask("stop = True");
}

/// A client that leaves a rollback journal alone for 3 ms at a time.
fn holding(live: &Path, how: &str) -> Client {
    let mut python = Client::python(live);
    let hold = r#"def hold():\n  import time\n  global stop, held\n  stop, held, own = False, 0, connect()\n  while not stop:\n    own.execute("BEGIN EXCLUSIVE")\n    time.sleep(.15)\n    own.execute("COMMIT")\n    held += 1\n    time.sleep(.003)"#;
    let hold = hold.replace("EXCLUSIVE", how);
    assert_eq!(
        python.ask(&format!("exec('''{hold}''', globals())")),
        "None"
    );
    python.ask("__import__('threading').Thread(target=hold, daemon=True).start()");
    std::thread::sleep(Duration::from_millis(100));
    python
}
