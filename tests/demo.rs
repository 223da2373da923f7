//! `cargo demo`: publishes the example app, changes it, publishes it again, rolls it back and publishes
//! its reverted source, with the command `remy`, and calls its methods in between, and over HTTP of `remy serve` all
//! the while. Then the same for a database under busy writers. `cargo demo DATABASE` does
//! the second with a copy of yours, and `cargo demo --browser` the first in a browser.
//!
//! The writers are `sqlite3` shells: another SQLite, in other processes, that knows nothing of
//! remy.
use remy_db::{Line, Options, Outcome, Progress, Remy};
use remy_tests::{
    browser::Browser,
    example::{Example, approves, has_vendor, orders, signs_in},
    fakes::{Mail, MailServer},
    http::Request,
    repository, shell,
    writer::Writer,
};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    error::Error,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    // This program is the command as well, so that nothing else has to be built for it.
    if std::env::args_os()
        .next()
        .is_some_and(|name| name == "remy")
    {
        return remy_db_cli::main();
    }
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Done {
    remy_db::engine::init();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/demo");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    let dir = dir.canonicalize()?;
    match std::env::args().nth(1).as_deref() {
        None => app(&dir.join("app"))?,
        Some("--browser") => return in_browser(),
        Some(_) => {}
    }

    title("A database, and an application that writes to it");
    let live = match std::env::args().nth(1) {
        Some(path) => copy(Path::new(&path), &dir)?,
        None => make(&dir)?,
    };
    let writers: Vec<Writer> = (1..=3)
        .map(|number| Writer::start_paced(&live, number, Duration::from_millis(2)))
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let ((), usual) = under(&writers, || {
        std::thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    say(
        "3 writers",
        "sqlite3 shells, an INSERT every 2 ms, each its own transaction",
    );
    say(
        "as usual",
        &format!(
            "the slowest INSERT of a second took {:.1} ms: they wait for each other",
            millis(usual)
        ),
    );

    title("What would change");
    let declared = dir.join("schema.sql");
    declare(&live, &declared)?;
    let app = Remy::open(&live)?;
    let path = near(&declared);
    for row in app.diff(&path, &Options::default())? {
        let loses = row
            .loses
            .map_or(String::new(), |loses| format!("   loses {loses}"));
        say(
            &format!("{} {}", row.ord, row.strategy),
            &format!("{}{loses}", one_line(&row.sql)),
        );
    }

    title("Publish");
    let options = Options::from_json(r#"{"label": "notes", "allow": ["drop"]}"#)?;
    let (published, waited) = under(&writers, || {
        app.publish(&path, &options, Progress::none().on_line(&show))
    })?;
    pause("publish", &published, waited);
    facts(&live)?;
    std::thread::sleep(Duration::from_millis(500));

    title("Roll back");
    let (back, waited) = under(&writers, || {
        app.rollback(None, &Options::default(), Progress::none().on_line(&show))
    })?;
    pause("rollback", &back, waited);
    facts(&live)?;
    std::thread::sleep(Duration::from_millis(500));

    title("What became of the writes");
    account(&app, &live, writers)?;

    title("Look for yourself");
    println!("  sqlite3 {}", near(&live));
    println!("  sqlite> .load ./target/debug/libremy0");
    println!("  sqlite> SELECT release, status, restored_from, database FROM remy_releases;");
    println!("  (cargo build makes the extension)\n");
    Ok(())
}

/// The example app, by the command.
fn app(dir: &Path) -> Done {
    title("An app: procure to pay");
    copy_tree(&repository("tests/app"), dir)?;
    let own = std::env::current_exe()?;
    let remy = |arguments: &[&str]| -> Done {
        println!("\n$ remy {}", words(arguments));
        let mut command = Command::new(&own);
        command.arg0("remy").args(arguments).current_dir(dir);
        command.env_remove("REMY_DB");
        run(&mut command)
    };
    let call = |method: &str, input: &str| -> Done {
        remy(&["invoke", method, input, "--as", "requester"])
    };

    remy(&["publish", "-m", "first"])?;
    let page = Page::open(&own, dir)?;
    call(
        "request-vendor",
        r#"{"name": "Acme Paper", "contactEmail": "sales@acme.example", "paymentTerms": "30 days"}"#,
    )?;
    call("list-vendors", "{}")?;

    title("It changes: vendors gain notes and lose paymentTerms, invoices come");
    copy_tree(&repository("tests/app-changes"), dir)?;
    remy(&["publish", "-m", "invoices"])?;
    call(
        "request-vendor",
        r#"{"name": "Bolt & Nut", "contactEmail": "hello@bolt.example", "notes": "delivers on Fridays"}"#,
    )?;
    call("list-vendors", "{}")?;

    title("Back: code and data together");
    remy(&["rollback", "--dry-run"])?;
    remy(&["rollback"])?;
    call("list-vendors", "{}")?;

    page.close();

    title("The reverted source again; what the release before had written is still to be read");
    copy_tree(&repository("tests/app"), dir)?;
    remy(&["publish", "-m", "as before"])?;
    call("list-vendors", "{}")?;
    remy(&["sql", "--release", "2", "SELECT name, notes FROM vendors"])?;
    remy(&["releases"])
}

/// Somebody who has signed in to a server, and calls a method over HTTP all the while.
struct Page {
    server: Child,
    is_over: Arc<AtomicBool>,
    calls: JoinHandle<Calls>,
}

/// What came of the calls.
#[derive(Default)]
struct Calls {
    releases: BTreeSet<String>,
    made: u64,
    failed: u64,
    slowest: Duration,
}

impl Page {
    fn open(remy: &Path, dir: &Path) -> Done<Self> {
        println!("\n$ remy serve &");
        let command = |arguments: &[&str]| {
            let mut command = Command::new(remy);
            command.arg0("remy").args(arguments).current_dir(dir);
            command.env_remove("REMY_DB");
            command
        };
        // Codes are sent, to a mail server of this program's own.
        let mail = MailServer::start(Mail::default());
        let smtp = format!("smtp://127.0.0.1:{}?from=hello@example.com", mail.port);
        let mut set = command(&["secrets", "set", "SMTP_URL", "--server", "--quiet"]);
        let mut set = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        set.stdin
            .take()
            .ok_or("no stdin")?
            .write_all(smtp.as_bytes())?;
        set.wait()?;
        let mut server = command(&["serve", "--port", "0", "--json"]);
        let mut server = server.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(server.stdout.take().ok_or("no stdout")?).lines();
        let first: Value = serde_json::from_str(&lines.next().ok_or("it does not serve")??)?;
        std::thread::spawn(move || lines.for_each(drop));
        let address: SocketAddr = first["address"].as_str().ok_or("no address")?.parse()?;
        let token = sign_in(address, &mail)?;
        let url = first["url"].as_str().unwrap_or_default();
        say(
            "served",
            &format!("{url}; somebody has signed in there, and lists vendors"),
        );
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let calls = std::thread::spawn(move || call_all_the_while(address, &token, &flag));
        Ok(Self {
            server,
            is_over,
            calls,
        })
    }

    fn close(mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let calls = self.calls.join().unwrap_or_default();
        let server = self.server.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &server]).status();
        let _ = self.server.wait();
        let releases: Vec<_> = calls.releases.into_iter().collect();
        println!();
        say(
            "over HTTP",
            &format!(
                "{} calls while releases {} were live: {} failed, the slowest took {:.1} ms",
                calls.made,
                releases.join(", "),
                calls.failed,
                millis(calls.slowest)
            ),
        );
    }
}

/// Signs in by a code that is sent. Returns the token of the page.
fn sign_in(address: SocketAddr, mail: &MailServer) -> Done<String> {
    let page = Request::to(address, "GET", "/").send().text();
    let told = page.split("window.__MINDSTUDIO__=").nth(1);
    let told = told.and_then(|told| told.split("</script>").next());
    let told: Value = serde_json::from_str(told.ok_or("no page")?)?;
    let post = |path: &str, body: &Value| {
        let token = told["token"].as_str().unwrap_or_default();
        let request = Request::to(address, "POST", path).bearer(token);
        request.json(body).send().json()
    };
    let sent = post("/_/auth/email/send", &json!({ "email": "ann@example.org" }));
    let given = json!({ "verificationId": sent["verificationId"], "code": mail.code(1) });
    let bundle = post("/_/auth/email/verify", &given);
    Ok(bundle["token"].as_str().ok_or("not signed in")?.to_owned())
}

fn call_all_the_while(address: SocketAddr, token: &str, is_over: &AtomicBool) -> Calls {
    let mut calls = Calls::default();
    while !is_over.load(Ordering::SeqCst) {
        let began = Instant::now();
        let call = Request::to(address, "POST", "/_/methods/list-vendors/invoke");
        let reply = call.bearer(token).json(&json!({})).try_send();
        calls.slowest = calls.slowest.max(began.elapsed());
        calls.made += 1;
        match reply {
            Ok(reply) if reply.status == 200 => {
                let release = reply.json()["$releaseId"].as_str().map(str::to_owned);
                calls.releases.extend(release);
            }
            _ => calls.failed += 1,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    calls
}

/// The example app in Chromium: an order is clicked through, and a change goes live under the page.
fn in_browser() -> Done {
    title("An app in a browser: procure to pay");
    let mut browser = Browser::start()?;
    let app = Example::by(std::env::current_exe()?, None);
    let mail = MailServer::start(Mail::default());
    app.remy(&["publish", "--quiet"]);
    let smtp = format!("smtp://127.0.0.1:{}?from=hello@example.com", mail.port);
    app.feeds(
        &["secrets", "set", "SMTP_URL", "--server", "--quiet"],
        &smtp,
    );
    let served = app.serves(&["serve"]);
    say("published", &format!("and served at {}", served.url));
    browser.open(&served.url);
    signs_in(&mut browser, "ann@example.org", || mail.code(1));
    let roles = r#"UPDATE users SET roles = '["requester","buyer"]'"#;
    shell(&app.root().join(".remy/live.db"), roles);
    say("signed in", "as ann@example.org, by the code that was sent");
    has_vendor(&mut browser, "Acme");
    say("a vendor", "Acme was requested and approved");
    orders(&mut browser, "Acme", "Pens");
    say("an order", "3 × Pens, €7.50, waits for approval");
    app.becomes("tests/app-changes");
    app.remy(&["publish", "--quiet"]);
    say(
        "published",
        "again under the open page: vendors have notes, invoices come",
    );
    approves(&mut browser, "Pens");
    say(
        "approved",
        "on the page as it was, by the release that is live now",
    );
    browser.does("reload", &[]);
    browser.sees("Invoices", "");
    browser.sees("ann@example.org", "");
    say("reloaded", "the new page, and still signed in");
    Ok(())
}

/// As they are typed in a shell.
fn words(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|word| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
        match word.chars().all(plain) {
            true => (*word).to_owned(),
            false => format!("'{word}'"),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Runs a command that has to succeed; what it prints is seen.
fn run(command: &mut Command) -> Done {
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}

/// Copies what is in a folder into another, over what is there.
fn copy_tree(from: &Path, to: &Path) -> Done {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// A small business: customers, products, and three years of orders.
fn make(dir: &Path) -> Done<PathBuf> {
    let path = dir.join("shop.db");
    let start = Instant::now();
    Connection::open(&path)?.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = off; BEGIN;
         CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE, fax TEXT);
         CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price REAL CHECK (price >= 0));
         CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER NOT NULL REFERENCES customers (id),
                              product INTEGER NOT NULL REFERENCES products (id), quantity INTEGER NOT NULL DEFAULT 1, at TEXT);
         CREATE INDEX orders_by_customer ON orders (customer, at);
         CREATE VIEW revenue AS SELECT product, sum(quantity * price) AS total FROM orders JOIN products p ON p.id = product GROUP BY 1;
         CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL);
         WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
           INSERT INTO customers SELECT i, 'Customer ' || i, 'c' || i || '@example.com', '+1 555 ' || i FROM c;
         WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 500)
           INSERT INTO products SELECT i, 'Product ' || i, i * 1.5 FROM c;
         WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 300000)
           INSERT INTO orders (customer, product, quantity, at)
           SELECT i * 7919 % 20000 + 1, i * 104729 % 500 + 1, i % 5 + 1, date('2024-01-01', '+' || (i / 280) || ' days') FROM c;
         COMMIT; PRAGMA wal_checkpoint(TRUNCATE);",
    )?;
    let bytes = std::fs::metadata(&path)?.len();
    say(
        "made",
        &format!(
            "{}, 320,500 rows, {:.0} MB, in {:.1} s",
            near(&path),
            bytes as f64 / 1e6,
            start.elapsed().as_secs_f64()
        ),
    );
    Ok(path)
}

/// A copy of somebody's database, with a table for the writers.
fn copy(from: &Path, dir: &Path) -> Done<PathBuf> {
    let path = dir.join(from.file_name().ok_or("not a file")?);
    Remy::open(from)?.clone_to(&path)?;
    Connection::open(&path)?.execute_batch(
        "PRAGMA journal_mode = wal; CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL);",
    )?;
    say("copied", &format!("{} to {}", from.display(), near(&path)));
    Ok(path)
}

/// Writes the schema that is to go live: the present one with a column more, a table more and a
/// column less.
fn declare(live: &Path, to: &Path) -> Done {
    let present = Connection::open(live)?;
    let next = Connection::open_in_memory()?;
    next.execute_batch("PRAGMA legacy_alter_table = on")?;
    let mut query = present.prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' AND name NOT GLOB '_remy_*' ORDER BY type <> 'table'",
    )?;
    for sql in query.query_map([], |row| row.get::<_, String>(0))? {
        next.execute_batch(&sql?)?;
    }
    let mut largest = (String::new(), -1);
    let mut tables = present.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'create virtual%' AND name NOT GLOB 'sqlite_*'")?;
    for name in tables.query_map([], |row| row.get::<_, String>(0))? {
        let name = name?;
        let rows: i64 = present.query_row(
            &format!("SELECT count(*) FROM {}", quoted(&name)),
            [],
            |row| row.get(0),
        )?;
        if rows > largest.1 && name != "app_writes" {
            largest = (name, rows);
        }
    }
    next.execute_batch(&format!(
        "ALTER TABLE {} ADD COLUMN notes TEXT",
        quoted(&largest.0)
    ))?;
    next.execute_batch(
        "CREATE TABLE invoices (id INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE, total REAL NOT NULL DEFAULT 0)",
    )?;
    // The last column that SQLite lets go.
    let mut columns = next.prepare("SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT IN ('invoices', 'app_writes', ?1) AND c.pk = 0 ORDER BY m.rowid, c.cid DESC")?;
    let columns: Vec<(String, String)> = columns
        .query_map([&largest.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (table, column) in columns {
        if next
            .execute_batch(&format!(
                "ALTER TABLE {} DROP COLUMN {}",
                quoted(&table),
                quoted(&column)
            ))
            .is_ok()
        {
            break;
        }
    }
    let mut query = next.prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' ORDER BY type <> 'table'",
    )?;
    let statements: Vec<String> = query
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    std::fs::write(to, statements.join(";\n") + ";\n")?;
    say("declared", &near(to));
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Runs a verb, and returns the longest that a writer waited meanwhile.
fn under<T>(writers: &[Writer], verb: impl FnOnce() -> remy_db::Result<T>) -> Done<(T, Duration)> {
    for writer in writers {
        writer.reset_longest();
    }
    let outcome = verb()?;
    std::thread::sleep(Duration::from_millis(100));
    Ok((
        outcome,
        writers
            .iter()
            .map(Writer::longest)
            .max()
            .unwrap_or_default(),
    ))
}

fn pause(what: &str, outcome: &Outcome, waited: Duration) {
    let Some(switch) = &outcome.switch else {
        return;
    };
    println!();
    say(
        "pause",
        &format!(
            "the {what} held the write lock for {:.1} ms, and wrote {} pages of {}",
            switch.pause_ms, switch.pages_written, switch.pages_total
        ),
    );
    say(
        "as seen",
        &format!(
            "the slowest INSERT of the three writers meanwhile took {:.1} ms",
            millis(waited)
        ),
    );
}

/// What a connection that knows nothing of remy sees.
fn facts(live: &Path) -> Done {
    let conn = Connection::open(live)?;
    let (release, label): (i64, Option<String>) =
        conn.query_row("SELECT release, label FROM _remy_release", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let invoices: bool = conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'invoices')",
        [],
        |row| row.get(0),
    )?;
    let writes: i64 = conn.query_row("SELECT count(*) FROM app_writes", [], |row| row.get(0))?;
    let check: String = conn.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
    say(
        "live",
        &format!(
            "release {release}{}, table invoices {}, {writes} writes of the application, quick_check {check}",
            label.map_or(String::new(), |label| format!(" ({label})")),
            if invoices { "there" } else { "not there" }
        ),
    );
    Ok(())
}

/// Every acknowledged write is in live, or in the snapshot of the release that was live when it was
/// made.
fn account(app: &Remy, live: &Path, writers: Vec<Writer>) -> Done {
    let mut acknowledged = Vec::new();
    let mut errors = Vec::new();
    for writer in writers {
        let written = writer.stop();
        acknowledged.extend(written.acknowledged);
        errors.extend(written.errors);
    }
    let keys = |path: &Path| -> Done<std::collections::HashSet<String>> {
        let conn = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut query = conn.prepare("SELECT key FROM app_writes")?;
        Ok(query
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    };
    let in_live = keys(live)?;
    let mut kept = std::collections::HashSet::new();
    for release in app.releases()? {
        if let Some(database) = release.database {
            kept.extend(keys(&PathBuf::from(format!(
                "{}-remy/{database}",
                live.display()
            )))?);
        }
    }
    let (there, aside): (Vec<_>, Vec<_>) =
        acknowledged.iter().partition(|key| in_live.contains(*key));
    let lost = aside.iter().filter(|key| !kept.contains(**key)).count();
    say(
        "acknowledged",
        &format!(
            "{} writes, {} errors at any writer",
            acknowledged.len(),
            errors.len()
        ),
    );
    say("in live", &there.len().to_string());
    say(
        "set aside",
        &format!(
            "{} by the rollback, kept in the snapshot of the release that took them",
            aside.len() - lost
        ),
    );
    say("lost", &lost.to_string());
    if lost > 0 || !errors.is_empty() {
        return Err(format!("{lost} writes lost, errors: {errors:?}").into());
    }
    Ok(())
}

fn show(line: &Line) {
    let mark = match line.outcome.as_str() {
        "ok" => "✓",
        "warning" => "!",
        _ => "✗",
    };
    let took = if line.duration_ms > 0.0 {
        format!("{:.1} ms", line.duration_ms)
    } else {
        String::new()
    };
    println!("  {mark} {:<92} {took:>9}", cut(&line.message, 92));
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A path as short as it can be said from here.
fn near(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn one_line(text: &str) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), 110)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn title(text: &str) {
    println!("\n\x1b[1m{text}\x1b[0m\n");
}

fn say(what: &str, text: &str) {
    println!("  {what:<13} {text}");
}
