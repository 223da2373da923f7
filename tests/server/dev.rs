//! A dev session, served: it follows the working tree under pages that are open.
use super::{
    http::{self, Reply, Request, chunk},
    shop, token, told,
};
use remy_db::Remy;
use remy_db_app::{
    place::Named,
    project::{Follow, Project, Shown, Tools, Watch, Workbench},
    secrets::{For, Secrets, Whose},
};
use remy_db_runtime::{
    child::{Listener, Silent},
    dev::seed::Seed,
    pool::Cancel,
    runtime::Runtime,
};
use remy_db_server::{Development, Printed, Settings, Told, bind};
use remy_tests::{built_program, esbuild, live::App};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Longer than a build takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// An app whose session is served, on a port that is free.
pub struct Dev {
    pub app: App,
    folder: PathBuf,
    address: SocketAddr,
    came: Receiver<String>,
    built: Arc<Mutex<PathBuf>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn project(app: &App, folder: &str) -> Project {
    let named = Named {
        db: Some(app.live.clone()),
        here: true,
        ..Named::default()
    };
    let folder = app.dir.path().join(folder);
    Project::find(&folder, &named, |path| Remy::open(path)).unwrap()
}

fn tools() -> Tools {
    Tools {
        esbuild: Some(esbuild()),
        node: None,
    }
}

impl Dev {
    pub fn of(app: App, folder: &str, settings: Settings) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let project = Arc::new(project(&app, folder));
        let workbench = Workbench::serving(Arc::clone(&project), tools());
        let follow = Follow::new(&|_| (), &stop);
        let watch = Watch::begin(workbench, "default", follow).unwrap();
        let dev = Development::open(project, watch, settings).unwrap_or_else(|e| panic!("{e:?}"));
        let listener = bind("127.0.0.1", 0).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, came) = channel();
        let tell = Mutex::new(tell);
        let built = Arc::new(Mutex::new(PathBuf::new()));
        let (flag, place) = (Arc::clone(&stop), Arc::clone(&built));
        let thread = thread::spawn(move || {
            let told = |told: Told| {
                let line = match told {
                    Told::Followed(followed) => match followed.came {
                        Ok(prepared) => {
                            *place.lock().unwrap() = prepared.built.dir;
                            "built".to_owned()
                        }
                        Err(e) => format!("fault: {e}"),
                    },
                    Told::Shown(Shown::By(_)) => "shown".to_owned(),
                    Told::Shown(Shown::Ended(why)) => format!("ended: {why}"),
                    Told::Shown(_) => return,
                    Told::Printed(Printed {
                        method,
                        stream,
                        text,
                    }) => format!("printed {method} {stream:?} {text}"),
                };
                let _ = tell.lock().unwrap().send(line);
            };
            let follow = Follow::new(&|_| (), &flag);
            dev.run(listener, &told, follow).unwrap();
        });
        Self {
            folder: app.dir.path().join(folder),
            app,
            address,
            came,
            built,
            stop,
            thread: Some(thread),
        }
    }

    /// What is told next, which begins with this; of others it is no matter.
    pub fn told(&self, begin: &str) -> String {
        let until = Instant::now() + SOON;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.came.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no {begin} is told"));
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn changed(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.folder.join(path)).unwrap();
        assert!(text.contains(from), "{text}");
        self.file(path, &text.replace(from, to));
    }

    fn ask(&self, method: &str, path: &str) -> Request {
        Request::to(self.address, method, path)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path).send()
    }

    /// As somebody opens it.
    fn open(&self, path: &str) -> Reply {
        self.ask("GET", path).header("accept", "text/html").send()
    }

    fn post(&self, token: &str, path: &str, body: &Value) -> Reply {
        self.ask("POST", path).bearer(token).json(body).send()
    }

    /// What a method returns.
    fn call(&self, token: &str, method: &str, input: &Value) -> Value {
        let path = format!("/_/methods/{method}/invoke");
        let reply = self.post(token, &path, &json!({ "input": input }));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["output"].clone()
    }

    /// A page that hears of changes.
    fn listens(&self) -> Page {
        let mut from = self.ask("GET", "/_/dev/changes").begin();
        assert_eq!(http::head(&mut from).unwrap().status, 200);
        Page(from)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// What a page hears that is open.
struct Page(BufReader<std::net::TcpStream>);

impl Page {
    /// The version that is shown now.
    fn hears(&mut self) -> String {
        loop {
            let part = String::from_utf8(chunk(&mut self.0).unwrap().unwrap()).unwrap();
            if let Some(version) = part.strip_prefix("data: ") {
                return version.trim().to_owned();
            }
        }
    }

    /// Whether it hears nothing for a while.
    fn hears_nothing(&mut self) -> bool {
        let stream = self.0.get_ref();
        stream
            .set_read_timeout(Some(Duration::from_millis(400)))
            .unwrap();
        let nothing = self.0.fill_buf().is_err();
        self.0.get_ref().set_read_timeout(Some(SOON)).unwrap();
        nothing
    }
}

/// Whether a page is loaded again that hears this version.
fn is_of(page: &Reply, version: &str) -> bool {
    page.text().contains(&format!("e.data!==\"{version}\""))
}

fn shop() -> App {
    let app = App::empty();
    shop::write(&app);
    app
}

#[test]
fn what_changes_in_the_tree_is_live_under_an_open_page() {
    let dev = Dev::of(shop(), "shop", Settings::default());
    dev.told("built");
    let first = dev.get("/");
    let page = told(&first);
    let token = token(&page);
    assert_eq!(page["releaseId"], "dev-default");
    assert_eq!(page["methods"]["about"], "about");
    let mut open = dev.listens();
    let version = open.hears();
    assert!(is_of(&first, &version), "{version}: {}", first.text());
    assert_eq!(
        dev.call(token, "add-order", &json!({ "item": "x" }))["version"],
        "one"
    );

    // A method is another at the next call, and the page stays.
    dev.changed("src/shop.ts", "VERSION = 'one'", "VERSION = 'two'");
    dev.told("built");
    assert_eq!(dev.call(token, "about", &json!({}))["version"], "two");
    assert_eq!(dev.call(token, "count-orders", &json!({})), 1);
    assert!(open.hears_nothing());

    // So it is with a mistake, of which the last good build knows nothing.
    dev.changed("src/shop.ts", "const VERSION", "const = VERSION");
    let fault = dev.told("fault");
    assert!(fault.contains("src/shop.ts:"), "{fault}");
    assert_eq!(dev.call(token, "about", &json!({}))["version"], "two");
    assert_eq!(dev.get("/").status, 200);
    dev.changed("src/shop.ts", "const = VERSION", "const VERSION");
    dev.told("built");
    dev.changed("mindstudio.json", "\"tables\"", "\"table\" 1");
    dev.told("fault");
    assert_eq!(dev.get("/").status, 200);
    dev.changed("mindstudio.json", "\"table\" 1", "\"tables\"");
    dev.told("built");
    assert!(open.hears_nothing());

    // A page that is built anew is loaded again; its token is good for all that.
    let text = "console.log('another');\n".repeat(200);
    dev.file("web/main.js", &text);
    dev.told("built");
    let next = open.hears();
    assert_ne!(next, version);
    let again = dev.get("/");
    assert!(is_of(&again, &next));
    let script = again.text();
    let script = script.split("src=\"").nth(1).unwrap();
    let script = dev.get(script.split('"').next().unwrap());
    assert_eq!((script.status, script.text()), (200, text));
    assert_eq!(dev.call(token, "count-orders", &json!({})), 1);

    // And one that knows of no new method.
    let method = r#"{ "id": "wait""#;
    let more = r#"{ "id": "extra", "path": "src/shop.ts", "export": "countOrders" }, "#;
    dev.changed("mindstudio.json", method, &format!("{more}{method}"));
    dev.told("built");
    assert_eq!(dev.call(token, "extra", &json!({})), 1);
}

#[test]
fn files_of_a_folder_without_a_build_are_shown_as_they_are() {
    let app = App::empty();
    app.file(
        "plain/mindstudio.json",
        r#"{ "name": "plain", "methods": [{ "id": "one", "path": "m.ts", "export": "one" }],
             "interfaces": [{ "type": "web", "path": "web/web.json" }, { "type": "api" }] }"#,
    );
    app.file("plain/m.ts", "export const one = async () => 1;");
    app.file("plain/web/web.json", r#"{ "web": {} }"#);
    app.file(
        "plain/web/index.html",
        "<html><head></head><body>one</body></html>",
    );
    let dev = Dev::of(app, "plain", Settings::default());
    dev.told("built");
    let first = dev.open("/");
    assert!(first.text().contains("<body>one"), "{first:?}");
    let mut open = dev.listens();
    let version = open.hears();
    dev.file(
        "web/index.html",
        "<html><head></head><body>two</body></html>",
    );
    dev.told("built");
    assert_ne!(open.hears(), version);
    assert!(dev.open("/deep/link").text().contains("<body>two"));
    // All else of the app answers as on live.
    assert_eq!(dev.get("/_/api/openapi.json").status, 200);
    // What is no path of a file.
    for path in ["/../m.ts", "/%2e%2e/m.ts", "/a%2fb", "/a%00", "/..%5cm.ts"] {
        assert_eq!(
            dev.get(path).refusal(),
            (400, "invalid_path".to_owned()),
            "{path}"
        );
    }
    assert_eq!(dev.get("/m.ts").status, 404);
    let preview = dev.ask("GET", "/").header("host", "red.localhost");
    assert_eq!(preview.send().refusal(), (404, "not_found".to_owned()));
    let foreign = dev.ask("GET", "/").header("host", "evil.example");
    assert_eq!(foreign.send().refusal().1, "unknown_host");
    let read = dev.ask("GET", "/").header("origin", "https://evil.example");
    assert_eq!(read.send().refusal(), (403, "foreign_origin".to_owned()));
}

#[test]
fn a_page_whose_app_does_not_build_yet_says_why_and_is_loaded_once_it_does() {
    let app = shop();
    app.file(
        "shop/web/build.mjs",
        "console.error('no icing today'); process.exit(3);",
    );
    let dev = Dev::of(app, "shop", Settings::default());
    let fault = dev.told("fault");
    assert!(fault.contains("no icing today"), "{fault}");
    let page = dev.open("/");
    assert_eq!(page.status, 503);
    assert!(
        page.text().contains("no icing today") && is_of(&page, ""),
        "{page:?}"
    );
    assert_eq!(dev.get("/main.js").refusal(), (503, "not_built".to_owned()));
    let called = dev.post("x", "/_/methods/about/invoke", &json!({}));
    assert_eq!(called.refusal(), (503, "not_built".to_owned()));
    let mut open = dev.listens();
    dev.file("web/build.mjs", shop::BUILD);
    dev.told("built");
    assert_ne!(open.hears(), "");
    assert_eq!(dev.open("/").status, 200);
}

const MEMBERS: &str = r#"{
  "name": "members",
  "roles": [{ "id": "admin" }, { "id": "guest" }],
  "auth": { "enabled": true, "methods": ["email-code"], "table": { "name": "people", "columns": { "email": "email", "roles": "roles" } } },
  "tables": [{ "path": "m.ts", "export": "People" }],
  "methods": [{ "id": "whoami", "path": "m.ts", "export": "whoami" }],
  "scenarios": [{ "id": "full", "path": "s.ts", "export": "full", "roles": ["admin"] }, { "id": "own", "path": "s.ts", "export": "own", "roles": ["guest"] }],
  "interfaces": [{ "type": "web", "path": "web/web.json" }]
}"#;

const METHODS: &str = r#"
import { auth, db } from '@mindstudio-ai/agent';
export const People = db.defineTable<{ email?: string; roles?: string[]; name?: string }>('people', { unique: [['email']] });
export async function whoami() {
  const me = auth.userId ? await People.get(auth.userId) : null;
  return { user: auth.userId, roles: auth.roles, email: me?.email ?? null };
}
"#;

const SCENARIOS: &str = r#"
import { People } from './m';
export async function full() { await People.push({ name: 'Ann' }); }
export async function own() { await People.push({ name: 'Bob' }); }
"#;

#[test]
fn reset_truncate_and_seed_leave_an_open_page_as_it_is() {
    let app = App::empty();
    app.file("members/mindstudio.json", MEMBERS);
    app.file("members/m.ts", METHODS);
    app.file("members/s.ts", SCENARIOS);
    app.file("members/web/web.json", r#"{ "web": {} }"#);
    app.file("members/web/index.html", "<html><head></head></html>");
    let dev = Dev::of(app, "members", Settings::default());
    dev.told("built");
    let page = told(&dev.get("/"));
    let first = token(&page);
    assert_eq!(page["user"], Value::Null);
    // Nobody is anybody before they sign in, in dev as on live.
    assert_eq!(dev.call(first, "whoami", &json!({}))["user"], Value::Null);
    let email = json!({ "email": "remy@mindstudio.ai" });
    let sent = dev.post(first, "/_/auth/email/send", &email).json();
    let given = json!({ "verificationId": sent["verificationId"], "code": "123456" });
    let verified = dev.post(first, "/_/auth/email/verify", &given);
    assert_eq!(verified.status, 200, "{verified:?}");
    let cookie = verified.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let bundle = verified.json();
    let (token, user) = (token(&bundle), bundle["user"]["id"].clone());
    let mut open = dev.listens();
    open.hears();
    let is_same = |roles: Value, what: &str| {
        let me = dev.call(token, "whoami", &json!({}));
        let is = json!({ "user": user, "roles": roles, "email": "remy@mindstudio.ai" });
        assert_eq!(me, is, "{what}");
        let again = dev.ask("GET", "/").header("cookie", &cookie).send();
        assert_eq!(told(&again)["user"]["id"], user, "{what}");
    };
    is_same(json!([]), "signed in");

    let never = AtomicBool::new(false);
    let quiet = Follow::new(&|_| (), &never);
    let project = project(&dev.app, "members");
    let options = remy_db::Options::default();
    project.dev_truncate("default", &options, quiet).unwrap();
    is_same(json!([]), "truncated");
    project.dev_reset("default", quiet).unwrap();
    is_same(json!([]), "reset");
    let runtime = Runtime::open(&dev.app.live, Default::default()).unwrap();
    let silent: Arc<dyn Listener> = Arc::new(Silent);
    for (scenario, role) in [("full", "admin"), ("own", "guest")] {
        let seed = Seed {
            name: "default".to_owned(),
            built: dev.built.lock().unwrap().clone(),
            scenario: scenario.to_owned(),
        };
        runtime.seed(&seed, &silent, &Cancel::default()).unwrap();
        // Its roles are those that the scenario gives.
        is_same(json!([role]), scenario);
    }
    project.dev_truncate("default", &options, quiet).unwrap();
    is_same(json!(["guest"]), "truncated again");
    assert!(open.hears_nothing());
    // The code of tests is for its own addresses alone.
    let other = json!({ "email": "ann@example.org" });
    let refused = dev.post(first, "/_/auth/email/send", &other);
    assert_eq!(refused.refusal(), (400, "not_supported".to_owned()));
}

/// A dev server that tells what it is asked, and echoes what comes by a connection that was upgraded.
const SERVER: &str = r#"
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
const server = createServer((request, answer) => {
  const { url, headers } = request;
  appendFileSync('asked.txt', url + '\n');
  if (url === '/text.js') return answer.setHeader('content-type', 'text/javascript').end('let text = 1;');
  if (url === '/die.js') process.exit(7);
  if (url === '/none.js') return answer.writeHead(404).end();
  answer.setHeader('content-type', 'text/html').setHeader('set-cookie', 'own=1');
  answer.end(`<html><head></head><body>${headers.host} ${headers.origin} ${url} WORD</body></html>`);
});
server.on('upgrade', (request, socket) => {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Origin: ${request.headers.origin}\r\n\r\n`);
  socket.pipe(socket);
});
server.on('error', () => server.listen(0, '127.0.0.1'));
server.listen(PORT, '127.0.0.1');
"#;

/// A shop that is shown by this program, which is said to listen on this port.
fn shown_by(program: &str, port: u16) -> App {
    let app = shop();
    let web = json!({ "web": { "devCommand": "node dev.mjs", "devPort": port } });
    app.file("shop/web/web.json", &web.to_string());
    app.file(
        "shop/web/dev.mjs",
        &program.replace("PORT", &port.to_string()),
    );
    app
}

#[test]
fn pages_are_shown_by_the_apps_own_dev_server_wherever_it_listens() {
    // Somebody else has the port that it is said to have.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let dev = Dev::of(shown_by(SERVER, taken), "shop", Settings::default());
    dev.told("built");
    let page = dev.open("/deep/link?x=1");
    let text = page.text();
    let own = text.split("<body>localhost:").nth(1).unwrap();
    assert!(!own.starts_with(&taken.to_string()), "{text}");
    assert!(own.contains(" undefined /deep/link?x=1 WORD"), "{text}");
    let told = told(&page);
    assert_eq!(told["releaseId"], "dev-default");
    let token = token(&told);
    assert_eq!(dev.call(token, "about", &json!({}))["version"], "one");
    assert_eq!(dev.get("/text.js").text(), "let text = 1;");
    assert_eq!(dev.get("/none.js").status, 404);
    // No page of its build is made beside it.
    assert!(!dev.built.lock().unwrap().join("interfaces/web").exists());

    // What could lead elsewhere does not reach it, nor does what another page asks for.
    for path in ["/../m.ts", "/%2e%2e/x", "/@fs%2fetc", "/a%00", "/x%5c.."] {
        assert_eq!(
            dev.get(path).refusal(),
            (400, "invalid_path".to_owned()),
            "{path}"
        );
    }
    let foreign = |request: Request| request.header("origin", "https://evil.example").send();
    let refused = foreign(dev.ask("GET", "/text.js?secret"));
    assert_eq!(refused.refusal(), (403, "foreign_origin".to_owned()));
    let tag = dev
        .ask("GET", "/text.js?secret")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(tag.send().refusal(), (403, "foreign_origin".to_owned()));

    let upgrade = |origin: &str| {
        dev.ask("GET", "/?token=x")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("origin", origin)
            .begin()
    };
    let mut page = upgrade(&format!("http://localhost:{}", dev.address.port()));
    let head = http::head(&mut page).unwrap();
    assert_eq!(
        (head.status, head.header("upgrade")),
        (101, Some("websocket"))
    );
    let asked = head.header("x-origin").unwrap();
    assert!(
        own.starts_with(asked.trim_start_matches("http://localhost:")),
        "{asked}"
    );
    page.get_mut().write_all(b"hello").unwrap();
    let mut back = [0; 5];
    page.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
    let head = http::head(&mut upgrade("https://evil.example")).unwrap();
    assert_eq!(head.status, 403);
    let asked = fs::read_to_string(dev.folder.join("web/asked.txt")).unwrap();
    assert!(
        !asked.contains("secret") && !asked.contains("fs"),
        "{asked}"
    );
}

#[test]
fn a_dev_server_that_ends_is_told_and_started_again_at_a_change() {
    let dev = Dev::of(
        shown_by("console.log('no oven'); process.exit(2);", 5173),
        "shop",
        Settings::default(),
    );
    let ended = dev.told("ended");
    assert!(
        ended.contains("node dev.mjs ended with status 2") && ended.contains("no oven"),
        "{ended}"
    );
    dev.told("built");
    let page = dev.open("/");
    assert_eq!(page.status, 503);
    assert!(
        page.text().contains("no oven") && is_of(&page, ""),
        "{page:?}"
    );
    assert_eq!(dev.get("/text.js").refusal(), (503, "not_shown".to_owned()));
    let mut open = dev.listens();
    dev.file("web/dev.mjs", &SERVER.replace("PORT", "0"));
    dev.told("shown");
    assert_ne!(open.hears(), "");
    let page = dev.open("/");
    let page = told(&page);
    let token = token(&page);
    assert_eq!(dev.call(token, "about", &json!({}))["version"], "one");
    // So it is with one that ends later; what was opened before works on.
    let died = dev.get("/die.js");
    assert_eq!(died.refusal(), (503, "not_shown".to_owned()));
    assert!(dev.told("ended").contains("ended with status 7"));
    assert_eq!(dev.open("/").status, 503);
    assert_eq!(dev.call(token, "about", &json!({}))["version"], "one");
    dev.file("web/main.js", "console.log('again')");
    dev.told("shown");
    assert_eq!(dev.open("/").status, 200);
}

#[test]
fn a_dev_server_that_never_listens_is_not_waited_for_without_end() {
    let mut settings = Settings::default();
    settings.limits.starts = Duration::from_millis(300);
    let dev = Dev::of(
        shown_by("setInterval(() => {}, 1000);", 5173),
        "shop",
        settings,
    );
    dev.told("built");
    let page = dev.open("/");
    assert_eq!(page.status, 503);
    assert!(
        page.text()
            .contains("node dev.mjs was started, and listens on no port yet")
    );
}

#[test]
fn two_do_not_serve_one_session() {
    let dev = Dev::of(shop(), "shop", Settings::default());
    let never = AtomicBool::new(false);
    let open = |name: &str| {
        let project = Arc::new(project(&dev.app, "shop"));
        let workbench = Workbench::serving(Arc::clone(&project), tools());
        let watch = Watch::begin(workbench, name, Follow::new(&|_| (), &never)).unwrap();
        Development::open(project, watch, Settings::default())
    };
    let refused = open("default").err().unwrap();
    assert_eq!(refused.code, "busy");
    assert!(
        refused
            .message
            .contains("serves the dev session default already"),
        "{refused:?}"
    );
    assert!(open("other").is_ok());
    // Live is another matter.
    shop::publish(&dev.app, None);
    let live = remy_db_server::Server::open(&dev.app.live, Settings::default());
    assert!(live.is_ok());
}

fn command(app: &App, arguments: &[&str]) -> Child {
    Command::new(built_program("remy-command"))
        .current_dir(app.dir.path())
        .env_remove("REMY_DB")
        .env("ESBUILD_BINARY_PATH", esbuild())
        .args(["--db", "app.db", "--app", "shop", "dev"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The next line that has this in it.
fn line_with(from: &mut impl std::io::BufRead, part: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        let read = from.read_line(&mut line).unwrap();
        assert!(read > 0, "{part} is not told: {all}");
        if line.contains(part) {
            return line;
        }
        all.push_str(&line);
    }
}

#[test]
fn the_command_serves_and_takes_all_that_it_started_with_it() {
    let app = shown_by("", 5173);
    app.file(
        "shop/web/dev.mjs",
        &format!(
            "import {{ writeFileSync }} from 'node:fs'; writeFileSync('pid.txt', String(process.pid)); {}",
            SERVER.replace("PORT", "0")
        ),
    );
    let mut child = command(&app, &["--port", "0", "--json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let served = line_with(&mut lines, "\"listening\"");
    let served: Value = serde_json::from_str(&served).unwrap();
    let url = served["url"].as_str().unwrap();
    let address = url
        .replace("http://localhost", "127.0.0.1")
        .parse()
        .unwrap();
    let page = Request::to(address, "GET", "/").header("accept", "text/html");
    assert!(page.send().text().contains("WORD"));
    // A port that somebody else has is refused where it is asked for, and before anything is started.
    let port = url.rsplit(':').next().unwrap().to_owned();
    let refused = command(&app, &["--name", "other", "--port", &port]);
    let refused = refused.wait_with_output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && told.contains("port_taken"),
        "{told}"
    );
    let process = fs::read_to_string(app.dir.path().join("shop/web/pid.txt")).unwrap();
    let runs = || PathBuf::from(format!("/proc/{process}/fd")).is_dir();
    assert!(runs());
    let ended = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(ended.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let until = Instant::now() + Duration::from_secs(5);
    while runs() {
        assert!(Instant::now() < until, "the dev server runs on");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// An app with a method that prints, and a job that is to run by the clock.
fn talkative() -> App {
    let app = shop();
    let says = "export async function says() {
        console.log('hello', process.env.KEY, { a: [1] });
        console.error('oh\\u001b[31m');
        setTimeout(() => console.log('two\\nlines'), 50);
    }";
    app.file("shop/src/says.ts", says);
    let path = app.dir.path().join("shop/mindstudio.json");
    let manifest = fs::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
    let method = json!({ "id": "says", "path": "src/says.ts", "export": "says" });
    manifest["methods"].as_array_mut().unwrap().push(method);
    let jobs = json!([
        { "method": "says", "schedule": "0 3 * * *" },
        { "method": "says", "schedule": "0 4 * * *" },
        { "method": "about", "schedule": "0 3 * * *" },
    ]);
    let cron = json!({ "type": "cron", "config": { "jobs": jobs } });
    manifest["interfaces"].as_array_mut().unwrap().push(cron);
    app.file("shop/mindstudio.json", &manifest.to_string());
    app
}

/// Gives methods a secret, in dev.
fn secret(app: &App) {
    let secrets = Secrets::of(&app.store(""));
    secrets
        .set("KEY", Whose::App, For::Dev, "hush-hush-hush")
        .unwrap();
}

#[test]
fn what_methods_print_is_told_without_secrets() {
    let dev = Dev::of(talkative(), "shop", Settings::default());
    dev.told("built");
    secret(&dev.app);
    let page = told(&dev.get("/"));
    dev.call(token(&page), "says", &json!({}));
    assert_eq!(
        dev.told("printed"),
        "printed says Stdout hello [secret] { a: [ 1 ] }"
    );
    assert_eq!(dev.told("printed"), "printed says Stderr oh\u{1b}[31m");
    // What a method has left behind goes on to print.
    assert_eq!(dev.told("printed"), "printed says Stdout two");
    assert_eq!(dev.told("printed"), "printed says Stdout lines");
}

#[test]
fn the_command_shows_what_methods_print_and_that_no_job_runs_by_the_clock() {
    let app = talkative();
    for json in [false, true] {
        let arguments: &[&str] = if json {
            &["--port", "0", "--json"]
        } else {
            &["--port", "0"]
        };
        let mut child = command(&app, arguments);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let cron = line_with(&mut stderr, "cron jobs");
        assert_eq!(
            cron,
            "cron jobs do not run in a dev session (about, says): remy invoke about --dev default runs one\n"
        );
        let url = if json {
            let line = line_with(&mut stdout, "\"listening\"");
            let served: Value = serde_json::from_str(&line).unwrap();
            served["url"].as_str().unwrap().to_owned()
        } else {
            let line = line_with(&mut stderr, "Served at ");
            line.trim().replace("Served at ", "")
        };
        let address = url.replace("http://localhost", "127.0.0.1");
        let address = address.parse().unwrap();
        secret(&app);
        let page = told(&Request::to(address, "GET", "/").send());
        let call = Request::to(address, "POST", "/_/methods/says/invoke");
        let called = call.bearer(token(&page)).json(&json!({})).send();
        assert_eq!(called.status, 200, "{called:?}");
        if json {
            let mut next = || -> Value {
                serde_json::from_str(&line_with(&mut stdout, "\"printed\"")).unwrap()
            };
            let line = |stream: &str, text: &str| json!({ "event": "printed", "method": "says", "stream": stream, "text": text });
            assert_eq!(next(), line("stdout", "hello [secret] { a: [ 1 ] }"));
            assert_eq!(next(), line("stderr", "oh\u{1b}[31m"));
        } else {
            // Nothing that a method prints disturbs the terminal.
            let mut next = || line_with(&mut stderr, "says: ");
            assert_eq!(next(), "says: hello [secret] { a: [ 1 ] }\n");
            assert_eq!(next(), "says: oh\\u001b[31m\n");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
