//! A verb that is cut off, by whatever, and what has to hold after it: live is exactly as it was or
//! exactly as it was to be, the store mends itself, every snapshot is whole, and the next verbs
//! work.
use crate::{Shell, built_program, fault_library, output, shell};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The first schema of every case, and one that a publish makes of it.
pub const V1: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
    CREATE INDEX by_name ON users (name); CREATE TABLE gone (a);";
/// Drops a table, adds a column and a table.
pub const V2: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, email TEXT);
    CREATE INDEX by_name ON users (name); CREATE TABLE teams (id INTEGER PRIMARY KEY, title TEXT NOT NULL);";
/// What comes before a verb: one release.
pub const PUBLISHED: &[&[&str]] = &[&["publish", V2]];
/// Six of them, most of which a prune may take.
pub const SWITCHED_OFTEN: &[&[&str]] = &[
    &["publish", V2],
    &["rollback"],
    &["promote", "2"],
    &["rollback"],
    &["promote", "2"],
];
/// Options of a publish that keeps files with its release.
pub const WITH_FILES: &str = r#"{"allow":["drop"],"artifacts":"work/build"}"#;
const NEXT: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, after TEXT);";

/// A folder on a disk that is memory, where there is one: what a disk loses is made up by the
/// tests.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .expect("a folder")
}

/// A database, its store, and a verb that is going to be cut off.
pub struct Case {
    template: TempDir,
    verb: Vec<String>,
    /// The options of every other verb.
    options: &'static str,
    host: bool,
    before: World,
    after: World,
    history: [String; 2],
    /// Snapshots that were there before.
    kept: BTreeMap<String, Vec<u8>>,
}

/// What a fresh reader sees.
#[derive(Debug, Clone, PartialEq, Eq)]
struct World {
    live: String,
    /// remy's own tables in live.
    marker: String,
    /// The database of the dev session `d`.
    dev: String,
}

/// How the verb ended.
pub struct Run {
    dir: TempDir,
    /// Live.
    pub db: PathBuf,
    /// What the verb printed.
    pub out: Output,
    /// How many calls counted.
    pub calls: usize,
}

impl Run {
    /// The folder that the database is in.
    pub fn folder(&self) -> &Path {
        self.db.parent().expect("a database is in a folder")
    }

    /// Where the fault library writes its log.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

/// Who looks at the files before remy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nobody.
    No,
    /// An application opens live.
    Live,
    /// A shell opens every file of the store, then live.
    StoreFirst,
    /// A shell opens live, then every file of the store.
    LiveFirst,
}

impl Look {
    /// One of them.
    pub fn by(n: usize) -> Self {
        [Self::No, Self::StoreFirst, Self::LiveFirst, Self::Live][n % 4]
    }
}

impl Case {
    /// `before` are the verbs that lead up to it.
    pub fn new(before: &[&[&str]], verb: &[&str]) -> Self {
        Self::with("wal", false, before, verb)
    }

    /// A case of a database with a rollback journal, or of one that is worked on as by a host's
    /// SQLite.
    pub fn with(journal_mode: &str, host: bool, before: &[&[&str]], verb: &[&str]) -> Self {
        let template = scratch();
        let db = template.path().join("app.db");
        let rows = "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 500)
                    INSERT INTO users (name) SELECT 'user ' || i FROM c; INSERT INTO gone VALUES (1);";
        shell(
            &db,
            &format!("PRAGMA journal_mode = {journal_mode}; {V1} {rows}"),
        );
        fs::create_dir_all(template.path().join("build/lib")).expect("a folder");
        for (name, text) in [
            ("app.js", "of the app"),
            ("lib/a.js", "of a library"),
            ("lib/b.js", "of a library"),
        ] {
            fs::write(template.path().join("build").join(name), text).expect("a file");
        }
        let options = if journal_mode == "wal" {
            r#"{"allow":["drop"]}"#
        } else {
            r#"{"allow":["drop"],"journal_mode":"keep"}"#
        };
        let mut case = Self {
            template,
            verb: verb.iter().map(|&word| word.to_owned()).collect(),
            options,
            host,
            before: World {
                live: String::new(),
                marker: String::new(),
                dev: String::new(),
            },
            after: World {
                live: String::new(),
                marker: String::new(),
                dev: String::new(),
            },
            history: Default::default(),
            kept: BTreeMap::new(),
        };
        case.verb.resize(case.verb.len().max(2), String::new());
        if case.verb.len() == 2 {
            case.verb.push(options.to_owned());
        }
        for arguments in before {
            let mut arguments = arguments.to_vec();
            if arguments.len() < 3 {
                arguments.resize(2, "");
                arguments.push(options);
            }
            case.must(&db, &arguments, "the verbs before");
        }
        case.before = World::of(&db);
        let releases = case.releases(&db, "before");
        case.history[0] = history(&releases);
        for database in databases(&releases) {
            case.kept.insert(
                database.clone(),
                fs::read(store(&db).join(&database)).expect("a snapshot"),
            );
        }
        let whole = case.run(&[]);
        assert!(
            whole.out.status.success(),
            "{:?}: {:?}",
            case.verb,
            whole.out
        );
        case.after = World::of(&whole.db);
        case.history[1] = history(&case.releases(&whole.db, "after"));
        assert!(
            case.before != case.after || case.history[0] != case.history[1],
            "{:?} changes nothing",
            case.verb
        );
        case
    }

    /// The verb.
    pub fn name(&self) -> &str {
        &self.verb[0]
    }

    /// Whether the verb changes live: the others leave it as it is, and say so, whatever else they
    /// did.
    pub fn changes_live(&self) -> bool {
        self.before.live != self.after.live || self.before.marker != self.after.marker
    }

    fn driver(&self, db: &Path) -> Command {
        let mut command = Command::new(built_program("remy-driver"));
        // Without faults, the library only takes root's privileges: permissions bind those who mend
        // a store, too.
        command
            .arg(db)
            .env("LD_PRELOAD", fault_library())
            .env("FAULT_DIR", db.parent().expect("a folder"));
        if self.host {
            command.env("REMY_HOST", "1");
        }
        command
    }

    /// Runs the verb on a copy, with `faults` to come (`faults/fault.c`).
    pub fn run(&self, faults: &[(&str, &str)]) -> Run {
        self.run_on(self.template.path(), &self.verb, faults, |_| ())
    }

    /// As [`Case::run`], while `beside` has the copy open.
    pub fn run_beside(
        &self,
        faults: &[(&str, &str)],
        beside: impl FnOnce(&Path) -> Shell,
    ) -> (Run, Shell) {
        let mut shell = None;
        let run = self.run_on(self.template.path(), &self.verb, faults, |db| {
            shell = Some(beside(db))
        });
        (run, shell.expect("it was opened"))
    }

    /// Runs the verb, or another one, on a copy, or on a copy of another folder, and has what it
    /// does to it written into [`Run::log`]. `begin` is given the copy before.
    pub fn run_recorded(
        &self,
        folder: Option<&Path>,
        verb: Option<&[String]>,
        begin: impl FnOnce(&Path),
    ) -> Run {
        let folder = folder.unwrap_or(self.template.path());
        self.run_on(
            folder,
            verb.unwrap_or(&self.verb),
            &[("FAULT_LOG", "log")],
            |db| {
                begin(db.parent().expect("a database is in a folder"));
            },
        )
    }

    /// As [`Case::run_recorded`], while shells insert users at the first lines of `steps` of the
    /// log, or of a verb with other options.
    pub fn run_recorded_beside(
        &self,
        steps: &str,
        options: Option<&str>,
        begin: impl FnOnce(&Path),
    ) -> Run {
        let mut verb = self.verb.clone();
        verb[2] = options.map_or(verb[2].clone(), str::to_owned);
        self.run_on(
            self.template.path(),
            &verb,
            &[("FAULT_LOG", "log"), ("REMY_BESIDE", steps)],
            |db| {
                begin(db.parent().expect("a database is in a folder"));
            },
        )
    }

    fn run_on(
        &self,
        folder: &Path,
        verb: &[String],
        faults: &[(&str, &str)],
        beside: impl FnOnce(&Path),
    ) -> Run {
        let dir = scratch();
        let work = dir.path().join("work");
        let status = Command::new("cp")
            .arg("-a")
            .arg(folder)
            .arg(&work)
            .status()
            .expect("cp");
        assert!(status.success());
        let (db, count) = (work.join("app.db"), dir.path().join("count"));
        beside(&db);
        let mut driver = self.driver(&db);
        driver
            .current_dir(dir.path())
            .args(verb)
            .env("LD_PRELOAD", fault_library())
            .env("FAULT_DIR", &work)
            .env("FAULT_COUNT", &count);
        let out = output(driver.envs(faults.iter().copied()));
        let calls = fs::read_to_string(&count)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        Run {
            dir,
            db,
            out,
            calls,
        }
    }

    /// Runs the recovery that every verb begins with, and no more.
    pub fn recover(&self, db: &Path, what: &str) {
        self.must(db, &["prune"], what);
    }

    /// What another verb prints.
    pub fn driver_says(&self, db: &Path, verb: &[&str]) -> String {
        String::from_utf8(output(self.driver(db).args(verb)).stdout).expect("text")
    }

    fn must(&self, db: &Path, verb: &[&str], what: &str) -> Value {
        let out = output(self.driver(db).args(verb));
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success(),
            "{what}; then {verb:?}: {text}{}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{what}; then {verb:?}: {e}: {text}"))
    }

    fn releases(&self, db: &Path, what: &str) -> Value {
        self.must(db, &["releases"], what)
    }

    /// Whether what is found is what the verb was to make of it; it panics where it is neither that
    /// nor what was there.
    fn is_new(&self, found: &World, what: &str) -> bool {
        let (old, new) = (&self.before, &self.after);
        let part = |found: &str, old: &str, new: &str| match found {
            found if found == old => false,
            found if found == new => true,
            found => panic!("{what}: neither old nor new:\n{found}\nold:\n{old}\nnew:\n{new}"),
        };
        let live = [
            (
                part(&found.live, &old.live, &new.live),
                old.live != new.live,
            ),
            (
                part(&found.marker, &old.marker, &new.marker),
                old.marker != new.marker,
            ),
        ];
        // Both or neither: one transaction.
        let live: Vec<_> = live
            .into_iter()
            .filter(|(_, differ)| *differ)
            .map(|(new, _)| new)
            .collect();
        assert!(
            live.windows(2).all(|pair| pair[0] == pair[1]),
            "{what}: live is half new:\n{found:?}"
        );
        let dev = part(&found.dev, &old.dev, &new.dev);
        live.contains(&true) || dev
    }

    /// Whether live, and the dev session, are as the verb was to make them.
    pub fn look(&self, db: &Path, what: &str) -> bool {
        self.is_new(&World::of(db), what)
    }

    /// Checks everything that has to hold after a cut. Returns whether the verb has done what it
    /// was to do.
    pub fn holds(&self, db: &Path, look: Look, what: &str) -> bool {
        let what = &format!("{what}, looked at: {look:?}");
        let folder = db.parent().expect("a database is in a folder");
        match look {
            Look::StoreFirst => {
                look_at_everything(&store(db));
                look_at_everything(folder);
            }
            Look::LiveFirst => {
                look_at(db);
                look_at_everything(&store(db));
            }
            Look::No | Look::Live => {}
        }
        let mut found = (look != Look::No).then(|| World::of(db));
        let mut new = found.as_ref().map(|found| self.is_new(found, what));
        // The next verb mends the store. What it took out of live is what live was.
        let releases = self.must(db, &["publish", NEXT, self.options], what);
        let previous = releases["previous"]
            .as_i64()
            .unwrap_or_else(|| panic!("{what}: {releases}"));
        let releases = self.releases(db, what);
        self.copies_are_who_they_are(db, what);
        let taken = self.snapshot(db, &releases, previous, what);
        let now = World {
            dev: dev_state(db),
            ..taken
        };
        match &found {
            Some(found) => assert_eq!(
                now.live, found.live,
                "{what}: the snapshot is not what live was"
            ),
            None => new = Some(self.is_new(&now, what)),
        }
        let found = found.get_or_insert(now);
        // The release that the cut verb took out of live, and those before it.
        let history_now = history(&releases);
        if found.live == self.after.live && self.after.live != self.before.live {
            let outgoing = live_release(&self.history[0]).map_or(1, |release| release);
            let kept = self.snapshot(db, &releases, outgoing, what);
            assert_eq!(
                kept.live, self.before.live,
                "{what}: the snapshot of release {outgoing}\n{history_now}"
            );
        }
        self.superseded_have_databases(&releases, what);
        self.kept_are_unchanged(db, &releases, what);
        self.must(db, &["rollback", "", self.options], what);
        assert_eq!(state(db), found.live, "{what}: after a rollback");
        if history_now.contains("compiled") {
            self.must(db, &["promote", "", self.options], what);
        }
        if self.verb[0].starts_with("dev") {
            self.a_session_can_be_had(db, what);
        }
        let verified = self.must(db, &["verify"], what);
        assert!(verified["ok"] == true, "{what}: {verified}");
        self.tidy(db, what);
        new.unwrap_or(false) || (self.before == self.after && self.history_is_new(&history_now))
    }

    /// A catalog that went before live would have a release that was never live, or is not any
    /// more. (Detached, live has no history: what was live is superseded by live as it stands.)
    fn superseded_have_databases(&self, releases: &Value, what: &str) {
        for entry in releases
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| self.name() != "detach")
        {
            let was_a_preview = entry["live_at"].is_null() && !entry["preview"].is_null();
            let kept = entry["status"] != "superseded"
                || !entry["database"].is_null()
                || !entry["pruned_at"].is_null()
                || was_a_preview;
            assert!(
                kept,
                "{what}: a release that was live has no database: {entry}"
            );
        }
    }

    fn kept_are_unchanged(&self, db: &Path, releases: &Value, what: &str) {
        for database in databases(releases) {
            let bytes = fs::read(store(db).join(&database))
                .unwrap_or_else(|e| panic!("{what}: {database}: {e}"));
            if let Some(kept) = self.kept.get(&database) {
                assert!(bytes == *kept, "{what}: {database} was changed");
            }
        }
    }

    fn a_session_can_be_had(&self, db: &Path, what: &str) {
        // A session that is there is reset, one that is not is started.
        let sessions = self.must(db, &["dev_list"], what);
        let runs = sessions
            .as_array()
            .is_some_and(|all| all.iter().any(|dev| dev["status"] == "dev"));
        self.must(
            db,
            &[if runs { "dev_reset" } else { "dev_start" }, "d"],
            what,
        );
        assert_eq!(dev_state(db), state(db), "{what}: the dev session");
    }

    fn history_is_new(&self, now: &str) -> bool {
        self.history[1]
            .lines()
            .any(|line| !self.history[0].contains(line) && now.contains(line))
    }

    /// No file is left that no release has, and every release that has one has it write-protected.
    fn tidy(&self, db: &Path, what: &str) {
        let store = store(db);
        let list = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(store.join(folder)).expect("a folder of the store");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = names
                .map(|name| format!("{folder}/{}", name.to_string_lossy()))
                .collect();
            names.sort();
            names
        };
        assert!(list("work").is_empty(), "{what}: {:?}", list("work"));
        let mut named = databases(&self.releases(db, what));
        named.sort();
        assert_eq!(list("snapshots"), named, "{what}: files for releases");
        let kept = "SELECT DISTINCT artifacts FROM releases WHERE artifacts IS NOT NULL AND status <> 'failed' ORDER BY 1";
        let kept = shell(&store.join("catalog.db"), kept);
        assert_eq!(
            list("releases"),
            Vec::from_iter(kept.lines()),
            "{what}: files that are kept with releases"
        );
        for object in list("objects").iter().flat_map(|folder| list(folder)) {
            let names = fs::metadata(store.join(&object))
                .expect("an object")
                .nlink();
            assert!(names > 1, "{what}: {object} is of no release");
        }
        for database in named {
            let path = store.join(&database);
            assert!(
                fs::metadata(&path)
                    .expect("a snapshot")
                    .permissions()
                    .readonly(),
                "{what}: {database} is writable"
            );
            let header = fs::read(&path).expect("a snapshot");
            assert_eq!(
                header[18..20],
                [1, 1],
                "{what}: the journal mode of {database}"
            );
        }
    }

    /// Every preview's database is of the release that it is said to be of, and none of them, and
    /// no dev session's, is nobody's.
    fn copies_are_who_they_are(&self, db: &Path, what: &str) {
        let (store, catalog) = (store(db), store(db).join("catalog.db"));
        for (folder, named) in [
            (
                "previews",
                "SELECT preview, release FROM releases WHERE status = 'preview'",
            ),
            ("dev", "SELECT name, '' FROM dev WHERE status = 'dev'"),
        ] {
            let named = shell(&catalog, named);
            let mut found = Vec::new();
            for entry in fs::read_dir(store.join(folder)).expect("a folder of the store") {
                let path = entry.expect("an entry").path();
                if path.extension().is_some_and(|extension| extension == "db") {
                    let name = path
                        .file_stem()
                        .expect("a name")
                        .to_string_lossy()
                        .into_owned();
                    let release = if folder == "dev" {
                        "\n".into()
                    } else {
                        shell(&path, "SELECT release FROM _remy_release")
                    };
                    found.push(format!("{name}|{release}"));
                }
            }
            found.sort();
            assert_eq!(found.concat(), named, "{what}: {folder}");
        }
    }

    fn snapshot(&self, db: &Path, releases: &Value, release: i64, what: &str) -> World {
        let found = releases
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["release"] == release);
        let database = found.and_then(|entry| entry["database"].as_str());
        let database = database
            .unwrap_or_else(|| panic!("{what}: release {release} has no database: {releases}"));
        World::of_file(&store(db).join(database))
    }
}

impl World {
    fn of(db: &Path) -> Self {
        Self {
            dev: dev_state(db),
            ..Self::of_file(db)
        }
    }

    fn of_file(db: &Path) -> Self {
        let marker = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE name GLOB '_remy_*' ORDER BY 1)";
        Self {
            live: state(db),
            marker: rows(&open(db), marker),
            dev: String::new(),
        }
    }
}

fn store(db: &Path) -> PathBuf {
    PathBuf::from(format!("{}-remy", db.display()))
}

fn dev_state(db: &Path) -> String {
    let dev = store(db).join("dev/d.db");
    if dev.exists() {
        state(&dev)
    } else {
        "none".into()
    }
}

/// What a database holds, remy's own tables apart.
fn state(db: &Path) -> String {
    let conn = open(db);
    let mut text = rows(&conn, "PRAGMA integrity_check");
    text += &rows(
        &conn,
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB '_remy_*' ORDER BY 1, 2",
    );
    let tables = rows(
        &conn,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '_remy_*' ORDER BY 1",
    );
    for table in tables.lines() {
        let content = rows(
            &conn,
            &format!("SELECT rowid, * FROM \"{table}\" ORDER BY rowid"),
        );
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let _ = writeln!(
            text,
            "{table}: {} rows, {:x}",
            content.lines().count(),
            hasher.finish()
        );
    }
    text
}

/// Opens a database as an application does; a snapshot only to read.
fn open(db: &Path) -> Connection {
    remy_db::engine::init();
    let flags = if db
        .parent()
        .is_some_and(|folder| folder.ends_with("snapshots"))
    {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    Connection::open_with_flags(db, flags).unwrap_or_else(|e| panic!("{}: {e}", db.display()))
}

/// The rows of a query, as text. What goes wrong is part of it.
fn rows(conn: &Connection, sql: &str) -> String {
    let read = || -> rusqlite::Result<String> {
        let mut text = String::new();
        let mut query = conn.prepare(sql)?;
        let columns = query.column_count();
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            for i in 0..columns {
                let _ = match row.get_ref(i)? {
                    ValueRef::Text(value) | ValueRef::Blob(value) => {
                        write!(text, "{}|", String::from_utf8_lossy(value))
                    }
                    ValueRef::Integer(value) => write!(text, "{value}|"),
                    other => write!(text, "{other:?}|"),
                };
            }
            text.pop();
            text.push('\n');
        }
        Ok(text)
    };
    read().unwrap_or_else(|e| format!("{e}\n"))
}

/// A line a release, of those that came to something.
fn history(releases: &Value) -> String {
    let mut text = String::new();
    for entry in releases.as_array().into_iter().flatten() {
        let status = entry["status"].as_str().unwrap_or_default();
        if !matches!(status, "failed" | "building") {
            // A cut verb may be followed by others: live is superseded then.
            let (release, pruned) = (&entry["release"], !entry["pruned_at"].is_null());
            let _ = writeln!(
                text,
                "{release} {status}{}",
                if pruned { " pruned" } else { "" }
            );
        }
    }
    text
}

fn live_release(history: &str) -> Option<i64> {
    history
        .lines()
        .find_map(|line| line.strip_suffix(" live"))
        .and_then(|number| number.parse().ok())
}

/// The snapshots.
fn databases(releases: &Value) -> Vec<String> {
    let all = releases
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["database"].as_str());
    all.filter(|database| database.starts_with("snapshots/"))
        .map(str::to_owned)
        .collect()
}

fn look_at(db: &Path) {
    output(
        Command::new("sqlite3")
            .arg(db)
            .arg("SELECT count(*) FROM sqlite_schema; PRAGMA quick_check;"),
    );
}

fn look_at_everything(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            look_at_everything(&path);
        } else if path.extension().is_some_and(|e| e == "db") {
            look_at(&path);
        }
    }
}
