//! The record of calls: when, what, how long, as whom, how it ended, its output. `calls.db` in the
//! store, which no release has and no rollback changes.
//!
//! Calls are written in batches, every [`BATCH`], and not synced one by one: a power cut may take the
//! last ones. A call that lasts has a row while it runs. One whose process is gone ended unseen: it is
//! `lost`.
//!
//! The requests that a server answers, and the events that are published, are beside them.

pub mod published;
pub mod requests;

use crate::{process, state::now};
use remy_db::{Context as _, Error, ReleaseId, Result};
use remy_db_app::private;
use rusqlite::{Connection, Row, ToSql, named_params, params};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    iter,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long what happens waits to be written, at most.
const BATCH: Duration = Duration::from_millis(100);

/// How long a record of a call or a request is kept.
const KEPT_DAYS: i64 = 30;

/// How many of each are kept.
const KEPT: i64 = 500_000;

/// How many requests and events wait to be written, at most. Where there are more, the next ones are
/// on no record: nobody waits for the disk because of them.
const WAITING: usize = 20_000;

/// How large the file may become.
const LARGEST: i64 = 256 << 20;

/// How much of the output of a call is kept: its end.
const OUTPUT: i64 = 32 << 10;

/// How often it is looked for what is kept too long.
const SWEEP: Duration = Duration::from_secs(600);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS calls (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  method TEXT NOT NULL,
  target TEXT NOT NULL,
  release INTEGER,
  user_id TEXT,
  status TEXT NOT NULL,
  code TEXT,
  message TEXT,
  ms REAL,
  output TEXT NOT NULL DEFAULT '',
  process TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_at ON calls (at);
CREATE INDEX IF NOT EXISTS calls_running ON calls (process) WHERE status = 'running';";

/// How a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It has not ended.
    Running,
    /// It returned.
    Returned,
    /// It threw, or was ended.
    Failed,
    /// Whoever ran it is gone.
    Lost,
}

impl Ended {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Running, "running"),
        (Self::Returned, "returned"),
        (Self::Failed, "failed"),
        (Self::Lost, "lost"),
    ];

    fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(of, _)| *of == self);
        found.map_or("lost", |(_, word)| word)
    }

    fn of(word: &str) -> Self {
        let found = Self::ALL.iter().find(|(_, of)| *of == word);
        found.map_or(Self::Lost, |(of, _)| *of)
    }
}

/// A call that begins.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Of the call, unique.
    pub id: String,
    /// The method's.
    pub method: String,
    /// `live`, `release 7`, `preview x`, `dev x`.
    pub target: String,
    /// The release whose code runs; a dev session has none.
    pub release: Option<ReleaseId>,
    /// As whom.
    pub user: Option<String>,
}

/// A call, as it is on record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Counts up.
    pub seq: i64,
    /// Of the call.
    pub id: String,
    /// When it began, Unix milliseconds.
    pub at: i64,
    /// The method's id.
    pub method: String,
    /// Where: `live`, `release 7`, `preview x`, `dev x`.
    pub target: String,
    /// The release whose code ran.
    pub release: Option<ReleaseId>,
    /// As whom.
    pub user: Option<String>,
    /// How it ended.
    pub status: Ended,
    /// Why it failed: a stable code.
    pub code: Option<String>,
    /// Why it failed, for people.
    pub message: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: Option<f64>,
    /// The end of what it printed.
    pub output: String,
}

/// Where a list begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begins {
    /// With the newest.
    #[default]
    Newest,
    /// After the one of this number, the oldest first.
    After(i64),
}

impl Begins {
    /// The number after which it begins, and in which order it goes on.
    fn sql(self) -> (i64, &'static str) {
        match self {
            Self::Newest => (0, "DESC"),
            Self::After(after) => (after, "ASC"),
        }
    }
}

/// Which records are asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Of this method.
    pub method: Option<String>,
    /// Those that failed or were lost.
    pub failed: bool,
    /// Those after this one, the oldest first; without it the newest come first.
    pub after: Option<i64>,
    /// How many at most.
    pub limit: u32,
}

/// What happens to a call.
enum Event {
    Begun(Begun, i64),
    Printed(String, String),
    Ended(String, Ended, f64, Option<(String, String)>),
    Answered(requests::Request),
    Published(published::Event),
    Sweep,
}

/// Writes what happens to calls. Once the last clone of it is dropped, all is written.
#[derive(Clone)]
pub struct Records(Arc<Writer>);

struct Writer {
    events: Option<Sender<Event>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Records {
    /// Opens the records of a store, and says of calls whose process is gone that they are lost.
    pub fn open(store: &Path) -> Result<Self> {
        let conn = open(store)?;
        lose(&conn)?;
        let (events, heard) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting);
        let thread = thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || write(&conn, &heard, &written))
            .context(|| "starting the thread that writes records".to_owned())?;
        Ok(Self(Arc::new(Writer {
            events: Some(events),
            waiting,
            thread: Some(thread),
        })))
    }

    /// A request was answered.
    pub fn answered(&self, request: requests::Request) {
        self.tell_if_there_is_room(Event::Answered(request));
    }

    /// An event was published.
    pub fn published(&self, event: published::Event) {
        self.tell_if_there_is_room(Event::Published(event));
    }

    /// Removes what is kept too long, before long.
    pub fn sweep(&self) {
        self.tell(Event::Sweep);
    }

    /// A call begins; once more, where another release went live before anything of it had begun.
    pub fn begun(&self, call: Begun) {
        self.tell(Event::Begun(call, now()));
    }

    /// A call has printed a line, without secrets.
    pub fn printed(&self, id: &str, line: &str) {
        self.tell(Event::Printed(id.to_owned(), line.to_owned()));
    }

    /// A call has ended: `failed` has the code and the message, without secrets.
    pub fn ended(&self, id: &str, took: Duration, failed: Option<(&str, &str)>) {
        let status = if failed.is_some() {
            Ended::Failed
        } else {
            Ended::Returned
        };
        let failed = failed.map(|(code, message)| (code.to_owned(), message.to_owned()));
        let ms = took.as_secs_f64() * 1e3;
        self.tell(Event::Ended(id.to_owned(), status, ms, failed));
    }

    /// A record that cannot be written is no reason to stop a call.
    fn tell(&self, event: Event) {
        if let Some(events) = &self.0.events {
            self.0.waiting.fetch_add(1, Ordering::Relaxed);
            let _ = events.send(event);
        }
    }

    fn tell_if_there_is_room(&self, event: Event) {
        if self.0.waiting.load(Ordering::Relaxed) < WAITING {
            self.tell(event);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.events.take());
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Reads the record of calls. None, where there is no file.
pub fn list(store: &Path, asked: &Asked) -> Result<Vec<Record>> {
    let order = if asked.after.is_some() { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT seq, id, at, method, target, release, user_id, status, code, message, ms, output FROM calls
         WHERE (:method IS NULL OR method = :method) AND (NOT :failed OR status IN ('failed', 'lost'))
           AND seq > :after ORDER BY seq {order} LIMIT :limit"
    );
    let asked = named_params! {
        ":method": asked.method, ":failed": asked.failed,
        ":after": asked.after.unwrap_or(0), ":limit": asked.limit,
    };
    read(store, ("calls", &sql), asked, |row| {
        Ok(Record {
            seq: row.get(0)?,
            id: row.get(1)?,
            at: row.get(2)?,
            method: row.get(3)?,
            target: row.get(4)?,
            release: row.get(5)?,
            user: row.get(6)?,
            status: Ended::of(&row.get::<_, String>(7)?),
            code: row.get(8)?,
            message: row.get(9)?,
            ms: row.get(10)?,
            output: row.get(11)?,
        })
    })
}

/// Reads what is on record of something, by a statement. Nothing, where there is no file.
fn read<T>(
    store: &Path,
    (what, sql): (&str, &str),
    params: &[(&str, &dyn ToSql)],
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    if !path(store).exists() {
        return Ok(Vec::new());
    }
    let doing = || format!("reading the record of {what}");
    let conn = open(store)?;
    lose(&conn)?;
    let mut statement = conn.prepare(sql).context(doing)?;
    let rows = statement.query_map(params, row).context(doing)?;
    rows.collect::<rusqlite::Result<_>>().context(doing)
}

fn path(store: &Path) -> PathBuf {
    store.join("calls.db")
}

fn open(store: &Path) -> Result<Connection> {
    let path = path(store);
    let doing = || format!("opening {}", path.display());
    // Before SQLite makes it.
    private::database(&path).context(doing)?;
    remy_db::engine::init();
    let conn = Connection::open(&path).context(doing)?;
    conn.busy_timeout(Duration::from_secs(5)).context(doing)?;
    conn.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
    )
    .context(doing)?;
    for schema in [SCHEMA, requests::SCHEMA, published::SCHEMA] {
        conn.execute_batch(schema).context(doing)?;
    }
    Ok(conn)
}

/// Writes batches until nobody is left who tells of calls.
fn write(conn: &Connection, heard: &Receiver<Event>, waiting: &AtomicUsize) {
    let process = process::this();
    let mut swept = None::<Instant>;
    while let Ok(first) = heard.recv() {
        // Whoever tells of a call wakes nobody meanwhile: that took as long as the rest of a short call.
        // At the end it is woken.
        thread::park_timeout(BATCH);
        let batch: Vec<_> = iter::once(first).chain(heard.try_iter()).collect();
        waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        if batch.iter().any(|event| matches!(event, Event::Sweep)) {
            swept = None;
        }
        // A full disk costs records, and no call.
        let _ = write_batch(conn, &process, batch);
        if swept.is_none_or(|at| at.elapsed() > SWEEP) {
            swept = Some(Instant::now());
            let _ = sweep(conn, KEPT, LARGEST);
        }
    }
}

fn write_batch(conn: &Connection, process: &str, batch: Vec<Event>) -> rusqlite::Result<()> {
    let tx = conn.unchecked_transaction()?;
    let mut begins = tx.prepare(
        "INSERT INTO calls (id, at, method, target, release, user_id, status, process)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'running', ?7)
         ON CONFLICT (id) DO UPDATE SET release = excluded.release",
    )?;
    let mut ends =
        tx.prepare("UPDATE calls SET status = ?2, ms = ?3, code = ?4, message = ?5 WHERE id = ?1")?;
    let mut answers = tx.prepare(requests::ADD)?;
    let mut printed: BTreeMap<String, String> = BTreeMap::new();
    for event in batch {
        match event {
            Event::Begun(call, at) => {
                begins.execute(params![
                    call.id,
                    at,
                    call.method,
                    call.target,
                    call.release,
                    call.user,
                    process
                ])?;
            }
            Event::Printed(id, line) => {
                let all = printed.entry(id).or_default();
                all.push_str(&line);
                all.push('\n');
            }
            Event::Ended(id, status, ms, failed) => {
                let (code, message) = failed.unzip();
                ends.execute(params![id, status.word(), ms, code, message])?;
            }
            Event::Answered(request) => requests::add(&mut answers, &request)?,
            Event::Published(event) => published::add(&tx, &event)?,
            Event::Sweep => {}
        }
    }
    drop((begins, ends, answers));
    for (id, lines) in printed {
        // Characters and not bytes, as SQLite counts: a record holds a little more of some texts.
        tx.prepare("UPDATE calls SET output = substr(output || ?2, -?3) WHERE id = ?1")?
            .execute(params![id, lines, OUTPUT])?;
    }
    tx.commit()
}

/// Says of the calls of processes that are gone that they are lost.
fn lose(conn: &Connection) -> Result<()> {
    let doing = || "looking for calls that were cut off".to_owned();
    let mut statement = conn
        .prepare("SELECT DISTINCT process FROM calls WHERE status = 'running'")
        .context(doing)?;
    let all = statement
        .query_map([], |row| row.get::<_, String>(0))
        .context(doing)?
        .collect::<rusqlite::Result<Vec<_>>>()
        .context(doing)?;
    for of in all {
        if process::is_there(&of) {
            continue;
        }
        conn.execute(
            "UPDATE calls SET status = 'lost' WHERE status = 'running' AND process = ?1",
            [&of],
        )
        .context(doing)?;
    }
    Ok(())
}

/// Removes the oldest records, by age, number and size.
fn sweep(conn: &Connection, kept: i64, largest: i64) -> rusqlite::Result<()> {
    let now = now();
    for table in ["calls", "requests"] {
        let old = format!("DELETE FROM {table} WHERE at < ?1");
        conn.execute(&old, [now - KEPT_DAYS * 86_400_000])?;
        let above = format!(
            "DELETE FROM {table} WHERE seq <= (SELECT seq FROM {table} ORDER BY seq DESC LIMIT 1 OFFSET ?1)"
        );
        conn.execute(&above, [kept])?;
    }
    published::sweep(conn, now)?;
    let size = "SELECT (page_count - freelist_count) * page_size
                FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    for _ in 0..20 {
        if conn.query_row(size, [], |row| row.get::<_, i64>(0))? <= largest {
            break;
        }
        for table in ["calls", "requests", "events"] {
            // A tenth at a time.
            let tenth = format!(
                "DELETE FROM {table} WHERE seq <= (SELECT min(seq) + max((max(seq) - min(seq)) / 10, 1) FROM {table})"
            );
            conn.execute(&tenth, [])?;
        }
    }
    conn.execute_batch("PRAGMA incremental_vacuum")
}

/// An id that no other call has.
pub fn new_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io(format!("asking the system for random bytes: {e}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, method: &str) -> Begun {
        Begun {
            id: id.to_owned(),
            method: method.to_owned(),
            target: "live".to_owned(),
            release: Some(ReleaseId(7)),
            user: None,
        }
    }

    fn newest(limit: u32) -> Asked {
        Asked {
            limit,
            ..Asked::default()
        }
    }

    /// A file that was opened and closed beside SQLite took its locks with it: whoever looked at the
    /// records then removed the WAL, and what was written to it later was on no record.
    #[test]
    fn records_may_be_opened_twice_while_others_look_at_them() {
        let store = tempfile::tempdir().unwrap();
        let open = || Records::open(store.path()).unwrap();
        let (records, other) = (open(), open());
        let seen = |wanted: &str| {
            let until = Instant::now() + Duration::from_secs(20);
            let mut look = std::process::Command::new("sqlite3");
            look.arg(path(store.path()))
                .arg("SELECT count(*) FROM calls");
            while look.output().unwrap().stdout != wanted.as_bytes() {
                assert!(Instant::now() < until, "never {wanted}");
            }
        };
        records.begun(call("a", "one"));
        seen("1\n");
        records.begun(call("b", "two"));
        seen("2\n");
        drop((records, other));
        assert_eq!(list(store.path(), &newest(9)).unwrap().len(), 2);
    }

    #[test]
    fn a_call_is_on_record_with_its_output_and_its_end() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(list(store.path(), &newest(9)).unwrap(), []);
        let records = Records::open(store.path()).unwrap();
        records.begun(call("a", "one"));
        records.printed("a", "hello");
        records.printed("a", "world");
        records.ended("a", Duration::from_millis(2), None);
        records.begun(call("b", "two"));
        let why = Some(("timed_out", "took too long"));
        records.ended("b", Duration::from_millis(3), why);
        drop(records);
        let all = list(store.path(), &newest(9)).unwrap();
        let [b, a] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (a.status, a.output.as_str()),
            (Ended::Returned, "hello\nworld\n")
        );
        assert_eq!(
            (b.status, b.code.as_deref()),
            (Ended::Failed, Some("timed_out"))
        );
        let asked = Asked {
            failed: true,
            ..newest(9)
        };
        assert_eq!(
            &list(store.path(), &asked).unwrap()[..],
            std::slice::from_ref(b)
        );
        let asked = Asked {
            after: Some(a.seq),
            method: Some("two".to_owned()),
            ..newest(9)
        };
        assert_eq!(list(store.path(), &asked).unwrap().len(), 1);
    }

    #[test]
    fn a_call_of_a_process_that_is_gone_is_lost_and_one_that_runs_is_not() {
        let store = tempfile::tempdir().unwrap();
        let records = Records::open(store.path()).unwrap();
        records.begun(call("mine", "one"));
        thread::sleep(BATCH * 3);
        let conn = open(store.path()).unwrap();
        // Of a number that this process has, which began at another time.
        let other = format!("{} 1", std::process::id());
        for (id, process) in [("gone", "4000000 5"), ("again", &other), ("odd", "")] {
            conn.execute(
                "INSERT INTO calls (id, at, method, target, status, process) VALUES (?1, 0, 'm', 'live', 'running', ?2)",
                [id, process],
            )
            .unwrap();
        }
        let all = list(store.path(), &newest(9)).unwrap();
        for record in all {
            let status = if record.id == "mine" {
                Ended::Running
            } else {
                Ended::Lost
            };
            assert_eq!(record.status, status, "{}", record.id);
        }
    }

    #[test]
    fn the_oldest_go_by_age_number_and_size() {
        let store = tempfile::tempdir().unwrap();
        let conn = open(store.path()).unwrap();
        let add = |n: i64, at: i64| {
            conn.execute(
                "INSERT INTO calls (id, at, method, target, status, process, output)
                 SELECT hex(randomblob(16)), ?2, 'm', 'live', 'returned', '', hex(randomblob(5000))
                 FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?1) SELECT i FROM c)",
                [n, at],
            )
            .unwrap();
        };
        let count = || {
            conn.query_row("SELECT count(*) FROM calls", [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        add(5, 0);
        add(100, now());
        sweep(&conn, 1000, LARGEST).unwrap();
        assert_eq!(count(), 100);
        sweep(&conn, 80, LARGEST).unwrap();
        assert_eq!(count(), 80);
        sweep(&conn, 1000, 400_000).unwrap();
        assert!((1..45).contains(&count()), "{}", count());
    }
}
