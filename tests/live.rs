//! A live database in a folder of its own, and the verbs on it: what a suite begins with.
use crate::shell;
use remy_db::{Error, Options, Outcome, Progress, ReleaseId, Remy, Result};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Makes a catalog as an earlier format had it.
pub fn older_catalog(catalog: &Path, format: u32) {
    shell(
        catalog,
        &format!(
            "DROP TABLE outbox; DROP TABLE cron_jobs; DROP TABLE cron_runs; ALTER TABLE build_log DROP COLUMN remedy; PRAGMA user_version = {format}"
        ),
    );
    if format == 3 {
        return;
    }
    let columns = "release, kind, status, label, commit_id, created_at, live_at, superseded_at, restored_from, follows, artifacts,
                   artifacts_hash, declared, plan";
    let columns = if format == 1 {
        columns.to_owned()
    } else {
        format!("{columns}, preview")
    };
    let first = columns.replacen("release", "release INTEGER PRIMARY KEY", 1);
    shell(
        catalog,
        &format!(
            "ALTER TABLE releases RENAME TO newer; CREATE TABLE releases ({first});
             INSERT INTO releases SELECT {columns} FROM newer; DROP TABLE newer;
             DROP TABLE IF EXISTS work; DROP TABLE IF EXISTS removals; PRAGMA user_version = {format};"
        ),
    );
}

/// A live database, `app.db`, in a folder of its own.
pub struct App {
    /// The folder; it goes when this does.
    pub dir: tempfile::TempDir,
    /// The database.
    pub live: PathBuf,
}

impl App {
    /// A database of 0 bytes, as a pipeline makes it before the first publish.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let live = dir.path().join("app.db");
        fs::write(&live, "").expect("a file");
        Self { dir, live }
    }

    /// A database that `sql` alone makes, its page size and its journal mode too, in another SQLite
    /// than the one under test.
    pub fn made_by(sql: &str) -> Self {
        let app = Self::empty();
        shell(&app.live, sql);
        app
    }

    /// The same in WAL mode.
    pub fn on(sql: &str) -> Self {
        Self::made_by(&format!("PRAGMA journal_mode = wal; {sql}"))
    }

    /// Remy on it.
    pub fn remy(&self) -> Remy {
        Remy::open(&self.live).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Publishes `schema`; `options` is a JSON object, as text or as a value.
    pub fn publish(&self, schema: &str, options: &(impl ToString + ?Sized)) -> Result<Outcome> {
        let options = Options::from_json(&options.to_string())?;
        Remy::open(&self.live)?.publish(schema, &options, Progress::none())
    }

    /// Rolls back, to the release before where none is given.
    pub fn rollback(&self, release: Option<i64>) -> Result<Outcome> {
        Remy::open(&self.live)?.rollback(
            release.map(ReleaseId),
            &Options::default(),
            Progress::none(),
        )
    }

    /// Promotes a release, the newest one that is staged where none is given.
    pub fn promote(&self, release: Option<i64>) -> Result<Outcome> {
        Remy::open(&self.live)?.promote(
            release.map(ReleaseId),
            &Options::default(),
            Progress::none(),
        )
    }

    /// A path in its store.
    pub fn store(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}-remy/{path}", self.live.display()))
    }

    /// A file beside it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("in the folder")).expect("folders");
        fs::write(&path, text).expect("a file");
        path
    }

    /// Declares an app with these tables and nothing else, each a file: its SQL name, and its text
    /// with a table exported as `T`. Returns the manifest, which is what is published.
    pub fn declares(&self, tables: &[(&str, &str)]) -> String {
        let mut entries = Vec::new();
        for (i, (name, text)) in tables.iter().enumerate() {
            let path = format!("dist/methods/src/tables/t{i}.ts");
            self.file(&path, text);
            entries.push(json!({"name": name, "path": path, "export": "T"}));
        }
        let manifest = json!({"name": "test", "methods": [], "tables": entries});
        let path = self.file("mindstudio.json", &manifest.to_string());
        path.display().to_string()
    }

    /// What the `sqlite3` shell answers, without the end of the last line.
    pub fn ask(&self, sql: &str) -> String {
        shell(&self.live, sql).trim_end_matches('\n').to_owned()
    }

    /// All that a fresh reader sees, whole: schema, where its trees begin, and rows.
    pub fn seen(&self) -> String {
        let schema = "PRAGMA integrity_check; SELECT * FROM sqlite_schema";
        // Not in one argument: a command with a point is one where it begins an argument.
        shell(&self.live, schema) + &shell(&self.live, ".dump")
    }

    /// `verb` is refused with `code`, its message holds every one of `words`, and live is as it
    /// was.
    pub fn refuses<T: std::fmt::Debug>(
        &self,
        code: &str,
        words: &[&str],
        verb: impl FnOnce(&Self) -> Result<T>,
    ) -> Error {
        let before = self.seen();
        let e = verb(self)
            .map(|done| panic!("it was done: {done:?}"))
            .unwrap_err();
        assert_eq!(e.code(), code, "{e}");
        let message = e.to_string();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in: {message}");
        }
        assert_eq!(self.seen(), before, "live was changed by: {message}");
        e
    }
}
