//! How a server begins, and how it ends.
use super::{
    http::{self, Request},
    shop::shop,
    token, told,
};
use remy_tests::{built_program, live::App, output, shell};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The command, serving an app.
pub fn command(app: &App, arguments: &[&str]) -> Command {
    let mut command = Command::new(built_program("remy-command"));
    command
        .current_dir(app.dir.path())
        .env_remove("REMY_DB")
        .stdin(Stdio::null())
        .arg("--db")
        .arg(&app.live)
        .args(["serve", "--json"])
        .args(if arguments.is_empty() {
            &["--port", "0"]
        } else {
            arguments
        });
    command
}

/// A server that is a program.
pub struct Program {
    pub child: Child,
    pub address: SocketAddr,
    /// What it said first.
    pub listening: Value,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(line["event"], "listening");
        Self {
            address: line["address"].as_str().unwrap().parse().unwrap(),
            listening: line,
            child,
            stdout,
        }
    }

    /// The next line of its log.
    pub fn line(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Its status, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }

    pub fn ask(&self, method: &str, path: &str) -> Request {
        Request::to(self.address, method, path)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_port_that_is_taken_and_a_second_server_are_told() {
    let app = shop();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = output(&mut command(&app, &["--port", &port]));
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert!(
        stderr.contains(&format!("port {port} of 127.0.0.1 is taken")) && stderr.contains("--port"),
        "{stderr}"
    );
    assert_eq!(said.status.code(), Some(4));

    let mut first = Program::start(&mut command(&app, &[]));
    let second = output(&mut command(&app, &[]));
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert!(
        stderr.contains(&format!(
            "process {} serves this database already",
            first.child.id()
        )),
        "{stderr}"
    );
    assert_eq!(second.status.code(), Some(4));
    first.signal("TERM");
    assert_eq!(first.ended(), Some(0));
    let mut second = Program::start(&mut command(&app, &[]));
    second.signal("TERM");
    assert_eq!(second.ended(), Some(0));
}

#[test]
fn nothing_is_served_before_the_first_publish() {
    let app = App::empty();
    let said = output(&mut command(&app, &[]));
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert!(stderr.contains("publish an app first"), "{stderr}");
}

#[test]
fn what_is_under_way_ends_before_the_server_does() {
    let app = shop();
    let mut served = Program::start(&mut command(&app, &[]));
    let page = told(&served.ask("GET", "/").send());
    let call = |input: Value| {
        let call = served.ask("POST", "/_/methods/wait/invoke");
        call.bearer(token(&page)).json(&json!({ "input": input }))
    };
    let mut idle = served.ask("GET", "/robots.txt").begin();
    assert_eq!(http::read(&mut idle, false).unwrap().status, 200);
    let mut slow = call(json!({ "ms": 1500, "item": "late" })).begin();
    thread::sleep(Duration::from_millis(300));
    served.signal("TERM");
    let reply = http::read(&mut slow, false).unwrap();
    assert_eq!(
        (reply.status, &reply.json()["output"]),
        (200, &json!("one"))
    );
    assert_eq!(served.ended(), Some(0));
    assert_eq!(shell(&app.live, "SELECT item FROM orders"), "late\n");
    assert!(std::net::TcpStream::connect(served.address).is_err());
}

#[test]
fn what_was_answered_outlives_the_server_that_is_killed() {
    let app = shop();
    let served = Program::start(&mut command(&app, &[]));
    let page = told(&served.ask("GET", "/").send());
    let address = served.address;
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let token = token(&page).to_owned();
            thread::spawn(move || {
                let mut answered = 0;
                loop {
                    let input = json!({ "item": format!("{client}-{answered}") });
                    let call = Request::to(address, "POST", "/_/methods/add-order/invoke");
                    let reply = call
                        .bearer(&token)
                        .json(&json!({ "input": input }))
                        .try_send();
                    match reply {
                        Ok(reply) if reply.status == 200 => answered += 1,
                        _ => return answered,
                    }
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(1500));
    served.signal("KILL");
    let answered: Vec<u32> = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect();
    drop(served);
    assert!(answered.iter().sum::<u32>() > 20, "{answered:?}");
    let served = Program::start(&mut command(&app, &[]));
    for (client, answered) in answered.iter().enumerate() {
        let sql = format!("SELECT count(*) FROM orders WHERE item LIKE '{client}-%'");
        let written: u32 = shell(&app.live, &sql).trim().parse().unwrap();
        // The one that was under way may have been written.
        assert!(
            written == *answered || written == answered + 1,
            "{client}: {answered} answered, {written} written"
        );
    }
    // The page goes on with its token.
    let call = served
        .ask("POST", "/_/methods/about/invoke")
        .bearer(token(&page));
    assert_eq!(call.body("{}").send().status, 200);
}

#[test]
fn a_socket_that_was_opened_before_is_taken_over() {
    let app = shop();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let script = "import os, socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen()
os.dup2(s.fileno(), 9); os.dup2(9, 3); os.close(9)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.execv(sys.argv[2], sys.argv[2:])";
    let program = built_program("remy-command");
    let mut command = Command::new("python3");
    command
        .current_dir(app.dir.path())
        .args(["-c", script, &address.port().to_string()])
        .arg(program)
        .args(["--db", "app.db", "serve", "--port", "1", "--json"]);
    let mut served = Program::start(&mut command);
    assert_eq!(served.address, address);
    assert_eq!(served.ask("GET", "/").send().status, 200);
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}

#[test]
fn whoever_watches_is_told_what_is_served_and_how_it_is_shut_in() {
    let app = shop();
    let mut served = Program::start(&mut command(&app, &[]));
    let health = served
        .ask("GET", "/_/health")
        .header("host", "127.0.0.1")
        .send();
    let told = health.json();
    assert_eq!((health.status, &told["status"]), (200, &json!("ok")));
    assert_eq!(
        (&told["app"], &told["release"], &told["database"]),
        (&json!("shop"), &json!(1), &json!("ok"))
    );
    assert!(told["isolation"]["processes"].is_boolean());
    assert!(told["lag"]["threadMs"].is_f64() && told["lag"]["cronMs"].is_i64());
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}

#[test]
fn whoever_watches_sees_that_calls_wait_and_no_process_is_free() {
    let app = shop();
    let served = Program::start(&mut command(&app, &["--port", "0", "--max-processes", "1"]));
    let page = told(&served.ask("GET", "/").send());
    let methods = || {
        let health = served.ask("GET", "/_/health").send().json();
        health["methods"].clone()
    };
    assert_eq!(methods(), json!({ "processes": 1, "free": 1, "queued": 0 }));
    let call = |name: &str, input: Value| {
        let call = served
            .ask("POST", &format!("/_/methods/{name}/invoke"))
            .bearer(token(&page));
        call.json(&json!({ "input": input })).send()
    };
    thread::scope(|scope| {
        scope.spawn(|| call("wait", json!({ "ms": 3000 })));
        let until = Instant::now() + Duration::from_secs(20);
        let sees = |wanted: Value| {
            while methods() != wanted {
                assert!(Instant::now() < until, "{}", methods());
                thread::sleep(Duration::from_millis(10));
            }
        };
        sees(json!({ "processes": 1, "free": 0, "queued": 0 }));
        scope.spawn(|| call("about", json!({})));
        sees(json!({ "processes": 1, "free": 0, "queued": 1 }));
    });
}

#[test]
fn the_log_tells_of_each_request_without_what_is_secret() {
    let app = shop();
    let mut served = Program::start(&mut command(&app, &[]));
    let page = told(&served.ask("GET", "/?code=hush-hush").send());
    let first = served.line();
    assert_eq!(
        (&first["method"], &first["path"], &first["status"]),
        (&json!("GET"), &json!("/"), &json!(200))
    );
    let call = served
        .ask("POST", "/_/methods/about/invoke")
        .bearer(token(&page));
    let reply = call.json(&json!({ "input": "hush-hush" })).send();
    let line = served.line();
    assert_eq!(
        Some(line["id"].as_str().unwrap()),
        reply.header("x-request-id")
    );
    served.ask("POST", "/_/webhook/hush-hush").body("").send();
    let webhook = served.line();
    assert_eq!(webhook["path"], "/_/webhook/…");
    for line in [first, line, webhook] {
        let text = line.to_string();
        assert!(
            !text.contains("hush-hush") && !text.contains(token(&page)),
            "{text}"
        );
    }
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}
