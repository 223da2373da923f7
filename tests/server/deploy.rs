//! What `docs/deploy.md` says, done.
use super::{ending::Program, http::Request, pages_of_docs::files, shop::shop, token, told};
use remy_tests::{built_program, live::App, not_covered, output, repository, stdout};
use serde_json::Value;
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

fn page() -> String {
    fs::read_to_string(repository("docs/deploy.md")).unwrap()
}

/// A file of the page.
fn file(name: &str) -> String {
    let found = files("deploy.md").into_iter().find(|(it, _)| it == name);
    found.unwrap_or_else(|| panic!("the page has no {name}")).1
}

/// The commands of the page's sessions.
fn commands() -> Vec<String> {
    let page = page();
    let sessions = page.split("\n```console\n").skip(1);
    let lines = sessions.flat_map(|session| session.split("\n```").next().unwrap().lines());
    lines
        .filter_map(|line| line.strip_prefix("$ ").map(str::to_owned))
        .collect()
}

fn has(program: &str, what: &str) -> bool {
    let there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success();
    if !there {
        not_covered(what, &format!("there is no {program} here"));
    }
    there
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A program that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command that the service starts, on the database of `app`.
fn exec(app: &App, metrics: u16) -> Vec<String> {
    let service = file("shop.service");
    let line = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let words = line.split(' ').map(|word| match word {
        "/usr/bin/remy" => built_program("remy-command").display().to_string(),
        "/srv/shop/app.db" => app.live.display().to_string(),
        "9464" => metrics.to_string(),
        word => word.to_owned(),
    });
    words.collect()
}

#[test]
fn the_units_are_what_systemd_takes() {
    if !has("systemd-analyze", "the units of systemd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = built_program("remy-command").display().to_string();
    for name in ["shop.socket", "shop.service"] {
        let unit = file(name).replace("/usr/bin/remy", &program);
        fs::write(folder.path().join(name), unit).unwrap();
    }
    let verified = output(
        Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args(["shop.socket", "shop.service"].map(|name| folder.path().join(name))),
    );
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("shop.")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_service_takes_its_socket_over_and_the_commands_of_the_page_do_as_it_says() {
    if !has("systemd-socket-activate", "a socket of systemd") {
        return;
    }
    let app = shop();
    let (port, metrics) = (free_port(), free_port());
    let run = |command: &str| {
        let command = command
            .replace(
                "remy ",
                &format!("{} ", built_program("remy-command").display()),
            )
            .replace(":3000", &format!(":{port}"))
            .replace(":9464", &format!(":{metrics}"));
        stdout(
            Command::new("sh")
                .args(["-ec", &command])
                .env_remove("REMY_DB")
                .current_dir(app.dir.path()),
        )
    };
    let all = commands();
    let before = all
        .iter()
        .filter(|line| line.contains("metrics.token") && !line.starts_with("curl"));
    before.for_each(|line| drop(run(line)));
    let _serving = Running(
        Command::new("systemd-socket-activate")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--setenv=PATH")
            .args(exec(&app, metrics))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    connects(address);
    let health = all.iter().find(|line| line.contains("/_/health")).unwrap();
    let health: Value = serde_json::from_str(&run(health)).unwrap();
    assert_eq!(health["status"], "ok");
    let page = told(&Request::to(address, "GET", "/").send());
    let fails = Request::to(address, "POST", "/_/methods/fail/invoke");
    fails.bearer(token(&page)).body("{}").send();
    thread::sleep(Duration::from_millis(500));
    let mut ran = 0;
    for line in all
        .iter()
        .filter(|line| !line.contains("metrics.token <") && !line.starts_with("openssl"))
    {
        let said = match line.contains("remy users") {
            // Nobody signs in to this app.
            true => continue,
            false => run(line),
        };
        ran += 1;
        match &**line {
            line if line.contains("/metrics") => assert!(said.contains("\nremy_up 1\n"), "{said}"),
            line if line.contains("requests") => assert!(said.contains("fail"), "{line}: {said}"),
            line if line.contains("calls") => assert!(said.contains("a mistake"), "{said}"),
            _ => {}
        }
    }
    assert!(ran >= 6, "{all:?}");
}

/// Waits until something listens.
fn connects(address: SocketAddr) {
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "nobody listens at {address}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// nginx, as the page sets it up, before a server at `to`. It speaks TLS at the port that is returned.
fn nginx(folder: &Path, to: SocketAddr) -> (Running, u16) {
    let (port, at) = (free_port(), |name: &str| folder.join(name));
    let pem = |name: &str| at(name).display().to_string();
    stdout(
        Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=shop.example.com"])
            .args([
                "-keyout",
                &pem("privkey.pem"),
                "-out",
                &pem("fullchain.pem"),
            ]),
    );
    let server = file("shop.conf")
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
        .replace("/etc/ssl/shop", &folder.display().to_string())
        .replace("127.0.0.1:3000", &to.to_string());
    let all = format!(
        "daemon off; pid {0}/pid; error_log {0}/error.log; events {{}}
         http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;
                 fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
                 {server} }}",
        folder.display()
    );
    fs::write(at("nginx.conf"), all).unwrap();
    let running = Command::new("nginx")
        .arg("-c")
        .arg(at("nginx.conf"))
        .spawn();
    let running = Running(running.unwrap());
    connects(([127, 0, 0, 1], port).into());
    (running, port)
}

#[test]
fn caddy_takes_its_configuration() {
    if !has("caddy", "the configuration of Caddy") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("Caddyfile");
    fs::write(&config, file("Caddyfile")).unwrap();
    let mut caddy = Command::new("caddy");
    caddy.args(["validate", "--adapter", "caddyfile", "--config"]);
    stdout(caddy.arg(config).env("HOME", folder.path()));
}

#[test]
fn behind_nginx_a_page_is_of_its_public_name_and_streams_are_not_held_up() {
    if !has("nginx", "the configuration of nginx") {
        return;
    }
    let app = shop();
    let words = exec(&app, 0);
    let mut serve = Command::new(&words[0]);
    let words = words[1..]
        .iter()
        .filter(|word| *word != "--metrics" && *word != "0");
    serve
        .args(words)
        .args(["--port", "0"])
        .current_dir(app.dir.path());
    let mut served = Program::start(&mut serve);
    let folder = tempfile::tempdir().unwrap();
    let (proxy, port) = nginx(folder.path(), served.address);
    let curl = |arguments: &[&str]| -> String {
        let name = format!("shop.example.com:{port}");
        let mut curl = Command::new("curl");
        curl.args([
            "-sk",
            "--max-time",
            "20",
            "--resolve",
            &format!("{name}:127.0.0.1"),
        ]);
        stdout(curl.args(arguments))
    };
    let url = |path: &str| format!("https://shop.example.com:{port}{path}");
    let got = curl(&[
        "-i",
        "-H",
        "X-Forwarded-For: 6.6.6.6",
        "-H",
        "X-Forwarded-Host: evil.example",
        &url("/"),
    ]);
    assert!(got.contains("; Secure"), "{got}");
    let json = got.split("window.__MINDSTUDIO__=").nth(1).unwrap();
    let page: Value = serde_json::from_str(json.split("</script>").next().unwrap()).unwrap();
    let bearer = format!("Authorization: Bearer {}", token(&page));
    let line = served.line();
    assert_eq!(line["client"], "127.0.0.1");
    let call = |method: &str, body: &str| {
        let at = url(&format!("/_/methods/{method}/invoke"));
        curl(&["-N", "-H", &bearer, "-d", body, &at])
    };
    assert!(call("count-orders", "{}").contains("\"output\":0"));
    let stream = call(
        "stream-parts",
        r#"{"input":{"texts":["a","b"]},"stream":true}"#,
    );
    assert!(
        stream.ends_with("data: {\"type\":\"done\",\"output\":null}\n\n"),
        "{stream}"
    );
    drop(proxy);
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}
