//! `cargo bench -p remy-tests --bench server [-- --turns N --only PART…]`: what it takes to serve an
//! app, beside node:http with better-sqlite3 in one process, and nginx. The parts are calls, get, push,
//! static, page, beside, listeners and memory.
//!
//! Everything is measured in one run, in turns, over loopback, with the clients on the same machine.
//! Prints a table of Markdown. No test: nothing fails for being slow.
use remy_tests::{
    better_sqlite3, built_program,
    http::{Reply, Request, head, read},
    publish_in,
    report::{
        Done, Folder, Row, Sample, Table, Value, load, machine, ms, only, progress, pss, turns,
    },
    repository, stdout,
};
use serde_json::{Value as Json, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Connections that call at once.
const CLIENTS: usize = 8;

/// How many pages listen.
const LISTENERS: usize = 10_000;

/// Rows of the table.
const ROWS: u64 = 10_000;

const MANIFEST: &str = r#"{ "name": "bench",
  "tables": [{ "path": "tables.ts", "export": "Rows" }],
  "methods": [
    { "id": "nothing", "path": "runtime.ts", "export": "nothing" },
    { "id": "one", "path": "server.ts", "export": "one" },
    { "id": "add", "path": "server.ts", "export": "add" },
    { "id": "slow", "path": "server.ts", "export": "slow" },
    { "id": "listen", "path": "server.ts", "export": "listen" },
    { "id": "tell", "path": "server.ts", "export": "tell" },
    { "id": "seed", "path": "runtime.ts", "export": "seed" }
  ],
  "interfaces": [{ "type": "web", "path": "web/web.json" }] }"#;

const TABLES: &str = "import { db } from '@mindstudio-ai/agent';
export const Rows = db.defineTable<{ group: string; n: number }>('rows');
";

/// A build that names a script of 64 KiB by its hash.
const BUILD: &str = "import { mkdirSync, writeFileSync } from 'node:fs';
mkdirSync('dist/assets', { recursive: true });
writeFileSync('dist/assets/main-a1b2c3d4.js', 'console.log(1);\\n'.repeat(4096));
writeFileSync('dist/index.html', '<!doctype html><html><head><title>bench</title></head><body><script src=\"/assets/main-a1b2c3d4.js\"></script></body></html>');
";

const ASSET: &str = "/assets/main-a1b2c3d4.js";

const NOTES: &str = "\
- Medians of {turns} turns. Calls: 8 connections that stay open, each calls when it has its answer; what is shown is the time of all by the
  number of answers, so half is twice as many calls a second. 99 of 100 answers came within the time that stands in the row below.
- remy records each call and each request; node:http with better-sqlite3 (`synchronous=FULL`) does not, and runs all in one process.
- A static file has 64 KiB, and is asked for as it is, without compression.
- First byte: from the connection to the first byte of the page's HTML.
- Beside a query: the longest of the calls of another method that were answered while a query of two seconds ran.
- Memory of the server is what is its own (PSS), without the processes of methods. Those who listen have a connection each, and all have heard
  one event.";

fn main() -> Done {
    let turns = turns(5)?;
    let load = load()?;
    let dir = Folder::new(&repository("target/bench-server"))?;
    more_descriptors();
    let bench = Bench::new(&dir.0)?;
    let mut times = Times::default();
    for turn in 1..=turns {
        progress(&format!("server: turn {turn} of {turns}"));
        bench.turn(&mut times)?;
    }
    let versions = format!(
        "remy {}, Node.js {}, {}",
        remy_db::VERSION,
        stdout(Command::new("node").arg("-v")).trim(),
        nginx_version(),
    );
    println!("{}\n", machine(&dir.0, &versions, &load)?);
    println!("{}", times.table(bench.memory()?));
    println!("{}", NOTES.replace("{turns}", &turns.to_string()));
    Ok(())
}

#[derive(Default)]
struct Times {
    calls: [Both; 3],
    file: Both,
    page: Sample,
    beside: Sample,
}

/// What is measured of remy, and of what stands beside it.
#[derive(Default)]
struct Both {
    remy: Sample,
    other: Sample,
    p99: Sample,
    other_p99: Sample,
}

/// The methods that are called, and how many times as long as the other one's each may take.
const CALLS: [(&str, &str, Option<f64>); 3] = [
    ("nothing", "calls", Some(1.0 / 1.5)),
    ("one", "get", None),
    ("add", "push", None),
];

impl Times {
    fn table(&self, memory: Vec<Row>) -> Table {
        let mut table = Table::default();
        let names = ["a method", "one `db.get`", "one durable `push`"];
        for (name, (both, (_, _, ratio))) in names.iter().zip(self.calls.iter().zip(CALLS)) {
            if both.remy.is_empty() {
                continue;
            }
            let row = Row::new(
                format!("{name}, 8 at once, an answer"),
                both.remy.median().micros(),
            )
            .against("node:http", both.other.median().micros());
            table.add(match ratio {
                Some(ratio) => row.ratio_at_most(ratio),
                None => row,
            });
            let row = Row::new(
                format!("{name}, 8 at once, 99 of 100 within"),
                both.p99.median(),
            )
            .against("node:http", both.other_p99.median());
            table.add(match ratio {
                Some(_) => row.at_most(5.0),
                None => row,
            });
        }
        if !self.file.remy.is_empty() {
            table.add(
                Row::new(
                    "a static file, 8 at once, an answer",
                    self.file.remy.median().micros(),
                )
                .against("nginx", self.file.other.median().micros()),
            );
        }
        if !self.page.is_empty() {
            table.add(Row::new("first byte of a page", self.page.median()).at_most(5.0));
        }
        if !self.beside.is_empty() {
            table.add(Row::new("a call beside a query of 2 s", self.beside.median()).at_most(20.0));
        }
        memory.into_iter().for_each(|row| table.add(row));
        table
    }
}

struct Bench {
    only: Vec<String>,
    app: PathBuf,
    live: PathBuf,
    remy: Serving,
    node: Serving,
    nginx: Option<Serving>,
    token: String,
    ids: Vec<String>,
}

/// A server, until this is dropped.
struct Serving {
    process: Child,
    address: SocketAddr,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let _ = self.process.wait();
    }
}

impl Bench {
    fn new(dir: &Path) -> Done<Self> {
        if !better_sqlite3::is_there() {
            return Err("better-sqlite3 is not there, and could not be built".into());
        }
        let (app, live) = (dir.join("app"), dir.join("app.db"));
        write_app(&app)?;
        fs::write(&live, "")?;
        publish_in(&app, Some(&live), None)?;
        let remy = serve(&app, &live)?;
        let token = token(remy.address)?;
        let called = call(&remy, &token, "seed", &json!({ "count": ROWS })).send();
        let ids = serde_json::from_value(called.json()["output"].clone())?;
        // Of its own: two processes that write one database would wait for each other.
        let others = dir.join("node.db");
        let copy = format!("VACUUM INTO '{}'", others.display());
        stdout(Command::new("sqlite3").arg(&live).arg(copy));
        Ok(Self {
            only: only(),
            node: node(&others)?,
            nginx: nginx(dir)?,
            app,
            live,
            remy,
            token,
            ids,
        })
    }

    fn has(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    fn turn(&self, times: &mut Times) -> Done {
        for (both, (method, part, _)) in times.calls.iter_mut().zip(CALLS) {
            if self.has(part) {
                self.calls(both, method)?;
            }
        }
        if self.has("static") {
            self.file(&mut times.file)?;
        }
        if self.has("page") {
            for _ in 0..50 {
                times.page.push(first_byte(self.remy.address)?);
            }
        }
        if self.has("beside") {
            times.beside.push(self.beside()?);
        }
        Ok(())
    }

    /// The same calls, of one server and of the other.
    fn calls(&self, both: &mut Both, method: &str) -> Done {
        let each = if method == "add" { 250 } else { 1500 };
        let input = |i: usize| match method {
            "one" => json!({ "id": self.ids[i % self.ids.len()] }),
            _ => json!({ "n": i }),
        };
        let asks = |serving: &Serving| -> Vec<Vec<u8>> {
            let inputs = (0..each).map(input);
            inputs
                .map(|input| call(serving, &self.token, method, &input).bytes())
                .collect()
        };
        let (remy, node) = (asks(&self.remy), asks(&self.node));
        // The first ones start processes.
        hammer(self.remy.address, &remy[..each / 5])?;
        let (mean, p99) = hammer(self.remy.address, &remy)?;
        both.remy.push(mean);
        both.p99.push(p99);
        hammer(self.node.address, &node[..each / 5])?;
        let (mean, p99) = hammer(self.node.address, &node)?;
        both.other.push(mean);
        both.other_p99.push(p99);
        Ok(())
    }

    fn file(&self, both: &mut Both) -> Done {
        let asks = |to| vec![Request::to(to, "GET", ASSET).bytes(); 2000];
        both.remy
            .push(hammer(self.remy.address, &asks(self.remy.address))?.0);
        if let Some(nginx) = &self.nginx {
            both.other
                .push(hammer(nginx.address, &asks(nginx.address))?.0);
        }
        Ok(())
    }

    /// The longest call while a query of two seconds runs.
    fn beside(&self) -> Done<f64> {
        let slow = call(&self.remy, &self.token, "slow", &json!({ "millions": 20 }));
        let nothing = call(&self.remy, &self.token, "nothing", &json!({})).bytes();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let query = scope.spawn(|| {
                let began = Instant::now();
                let reply = slow.send();
                is_over.store(true, Ordering::SeqCst);
                (reply.status, began.elapsed())
            });
            // It has begun.
            thread::sleep(Duration::from_millis(200));
            let mut client = Client::to(self.remy.address)?;
            let mut longest: f64 = 0.0;
            while !is_over.load(Ordering::SeqCst) {
                longest = longest.max(client.ask(&nothing)?.0);
            }
            let (status, took) = query.join().map_err(|_| "a client panicked")?;
            if status != 200 || took < Duration::from_secs(1) {
                return Err(format!("the query: {status} in {took:?}").into());
            }
            Ok(longest)
        })
    }

    /// What the server takes when nobody asks it for anything, and when very many listen.
    fn memory(&self) -> Done<Vec<Row>> {
        let mut rows = Vec::new();
        if self.has("memory") {
            let idle = serve_copy(&self.app, &self.live)?;
            thread::sleep(Duration::from_secs(2));
            rows.push(Row::new("a server that waits", memory_of(&idle)?).at_most(40.0));
        }
        if self.has("listeners") {
            let serving = serve_copy(&self.app, &self.live)?;
            let all = listeners(&serving, &token(serving.address)?)?;
            rows.push(
                Row::new("the same with 10,000 that listen", memory_of(&serving)?).at_most(200.0),
            );
            drop(all);
        }
        Ok(rows)
    }
}

fn write_app(app: &Path) -> Done {
    fs::create_dir_all(app.join("web"))?;
    for file in ["server.ts", "runtime.ts"] {
        fs::copy(repository("tests/benches").join(file), app.join(file))?;
    }
    let web = r#"{ "name": "web", "type": "module", "scripts": { "build": "node build.mjs" } }"#;
    for (name, text) in [
        ("mindstudio.json", MANIFEST),
        ("tables.ts", TABLES),
        ("web/web.json", r#"{ "web": {} }"#),
        ("web/package.json", web),
        ("web/build.mjs", BUILD),
    ] {
        fs::write(app.join(name), text)?;
    }
    Ok(())
}

/// The command, as it is started for people.
fn serve(app: &Path, live: &Path) -> Done<Serving> {
    let mut command = Command::new(built_program("remy-command"));
    command.current_dir(app).arg("--db").arg(live);
    command.args(["serve", "--json", "--port", "0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = command.spawn()?;
    let mut lines = BufReader::new(process.stdout.take().ok_or("no stdout")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let said: Json = serde_json::from_str(&line)?;
    let address = said["address"].as_str().ok_or("no address")?.parse()?;
    // Its log is read, as a journal does.
    thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Ok(Serving { process, address })
}

/// A server of an app that was just published: of a copy, for one database has one server.
fn serve_copy(app: &Path, live: &Path) -> Done<Serving> {
    let copy = live.with_file_name("copy.db");
    if !copy.exists() {
        fs::write(&copy, "")?;
        publish_in(app, Some(&copy), None)?;
    }
    serve(app, &copy)
}

fn node(database: &Path) -> Done<Serving> {
    let mut command = Command::new("node");
    command.current_dir(repository("tests"));
    command.arg("benches/server.cjs").arg(database);
    let mut process = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    let address = SocketAddr::from(([127, 0, 0, 1], line.trim().parse()?));
    Ok(Serving { process, address })
}

fn nginx_version() -> String {
    let out = Command::new("nginx").arg("-v").output();
    let said = out.map(|out| String::from_utf8_lossy(&out.stderr).into_owned());
    said.ok()
        .and_then(|said| said.split(": ").nth(1).map(|it| it.trim().to_owned()))
        .unwrap_or_else(|| "no nginx".to_owned())
}

/// nginx, with the file that the app's page has; none where there is no nginx.
fn nginx(dir: &Path) -> Done<Option<Serving>> {
    let root = dir.join("nginx");
    fs::create_dir_all(root.join("assets"))?;
    fs::write(
        root.join(ASSET.trim_start_matches('/')),
        "console.log(1);\n".repeat(4096),
    )?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let at = root.display();
    let user = if is_root() { "user root;" } else { "" };
    fs::write(
        root.join("nginx.conf"),
        format!(
            "{user} worker_processes auto; daemon off; pid {at}/pid; error_log {at}/errors;
             events {{ worker_connections 1024; }}
             http {{ include /etc/nginx/mime.types; sendfile on; tcp_nopush on; keepalive_requests 1000000;
               access_log {at}/log;
               server {{ listen 127.0.0.1:{port}; root {at}; }} }}"
        ),
    )?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(root.join("nginx.conf"));
    let Ok(process) = command.stderr(Stdio::null()).spawn() else {
        return Ok(None);
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        if Instant::now() > until {
            return Err("nginx does not listen".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Some(Serving { process, address }))
}

fn is_root() -> bool {
    stdout(Command::new("id").arg("-u")).trim() == "0"
}

/// What a page that was just loaded calls methods with.
fn token(to: SocketAddr) -> Done<String> {
    let page = Request::to(to, "GET", "/").send().text();
    let told = page.split("window.__MINDSTUDIO__=").nth(1);
    let told = told.and_then(|told| told.split("</script>").next());
    let told: Json = serde_json::from_str(told.ok_or("no page")?)?;
    Ok(told["token"].as_str().ok_or("no token")?.to_owned())
}

fn call(serving: &Serving, token: &str, method: &str, input: &Json) -> Request {
    let path = format!("/_/methods/{method}/invoke");
    let request = Request::to(serving.address, "POST", &path).bearer(token);
    request.json(&json!({ "input": input }))
}

/// A connection that stays open.
struct Client(BufReader<TcpStream>);

impl Client {
    fn to(address: SocketAddr) -> Done<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::with_capacity(128 << 10, stream)))
    }

    /// Asks, and reads the whole answer: how many ms that took.
    fn ask(&mut self, request: &[u8]) -> Done<(f64, Reply)> {
        let began = Instant::now();
        self.0.get_mut().write_all(request)?;
        let reply = read(&mut self.0, false)?;
        match reply.status {
            200 => Ok((ms(began.elapsed()), reply)),
            status => Err(format!("{status}: {}", reply.text()).into()),
        }
    }
}

/// All of the requests by each client: the time of all by the number of answers, and how long 99 of
/// 100 of them took at most.
fn hammer(to: SocketAddr, requests: &[Vec<u8>]) -> Done<(f64, f64)> {
    let began = Instant::now();
    let mut all = Sample::default();
    thread::scope(|scope| {
        let client = || -> Result<Vec<f64>, String> {
            let mut client = Client::to(to).map_err(|e| e.to_string())?;
            let asked = requests.iter().map(|request| client.ask(request));
            asked
                .map(|took| took.map(|(took, _)| took).map_err(|e| e.to_string()))
                .collect()
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for client in clients {
            let times = client.join().map_err(|_| "a client panicked")??;
            times.into_iter().for_each(|took| all.push(took));
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    let mean = ms(began.elapsed()) / (CLIENTS * requests.len()) as f64;
    Ok((mean, all.p99().amount))
}

/// How long the first byte of a page takes, on a connection of its own.
fn first_byte(to: SocketAddr) -> Done<f64> {
    let began = Instant::now();
    let mut stream = Request::to(to, "GET", "/").begin();
    let head = head(&mut stream)?;
    stream.fill_buf()?;
    let took = ms(began.elapsed());
    match head.status {
        200 => Ok(took),
        status => Err(format!("a page: {status}").into()),
    }
}

/// So many pages that listen, each of which has heard an event.
fn listeners(serving: &Serving, token: &str) -> Done<Vec<BufReader<TcpStream>>> {
    let granted = call(serving, token, "listen", &json!({})).send().json();
    let grant = granted["output"]["token"].as_str().ok_or("no grant")?;
    let listen = Request::to(serving.address, "GET", "/_/events").bearer(grant);
    let mut all = Vec::new();
    for _ in 0..LISTENERS {
        let mut stream = listen.begin();
        match head(&mut stream)?.status {
            200 => all.push(stream),
            status => return Err(format!("listener {}: {status}", all.len()).into()),
        }
    }
    let told = call(serving, token, "tell", &json!({})).send().json();
    if told["output"]["delivered"] != LISTENERS {
        return Err(format!("not all heard it: {told}").into());
    }
    for stream in &mut all {
        let mut line = String::new();
        while !line.starts_with("data: ") {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err("a listener was sent away".into());
            }
        }
    }
    Ok(all)
}

/// Of the server's own process.
fn memory_of(serving: &Serving) -> Done<Value> {
    let process = format!("/proc/{}", serving.process.id());
    Ok(pss(Path::new(&process)).ok_or("the server is gone")?)
}

/// As many descriptors as this process may have.
fn more_descriptors() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls are given a struct of this frame, and keep nothing of it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
