//! The command on what was published: `invoke`, `secrets`, `calls`.
use super::{lab, publish};
use remy_tests::{built_program, live::App, not_covered, output, shell, stdout};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    os::unix::fs::chown,
    path::Path,
    process::{Command, Stdio},
};

/// The command in the app's folder, on its database.
pub(super) fn remy(app: &App, arguments: &[&str]) -> Command {
    let mut command = Command::new(built_program("remy-command"));
    command
        .current_dir(app.dir.path())
        .env_remove("REMY_DB")
        .stdin(Stdio::null())
        .args(["--db", "app.db"])
        .args(arguments);
    command
}

/// Its status, its output, and what it says.
pub(super) fn said(command: &mut Command) -> (i32, String, String) {
    let out = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        out.status.code().unwrap_or(-1),
        text(out.stdout),
        text(out.stderr),
    )
}

/// The same, with something on its stdin.
pub(super) fn fed(command: &mut Command, input: &str) -> (i32, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that refuses at once reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        out.status.code().unwrap_or(-1),
        text(out.stdout),
        text(out.stderr),
    )
}

fn three(status: i32, stdout: &str, stderr: &str) -> (i32, String, String) {
    (status, stdout.to_owned(), stderr.to_owned())
}

#[test]
fn invoke_prints_the_output_and_says_what_the_method_said() {
    let app = lab();
    let streamed = said(&mut remy(&app, &["invoke", "streams", r#"{"n": 2}"#]));
    let parts = "\"part 0\"\n\"part 1\"\n{\"done\":true}\n2\n";
    assert_eq!(streamed, three(0, parts, ""));
    // What it had left to do is done when the command is.
    assert_eq!(
        shell(&app.live, "SELECT text FROM notes WHERE slug = 'later'"),
        "written after the answer\n"
    );
    let admin = &mut remy(&app, &["invoke", "only-admin", "--as", "guest,admin"]);
    assert_eq!(said(admin), three(0, "\"let in\"\n", "token undefined\n"));
    let piped = fed(
        &mut remy(&app, &["invoke", "streams", "-", "--json"]),
        r#"{"n": 1}"#,
    );
    let returned: Value = serde_json::from_str(&piped.1).unwrap();
    let keys: Vec<_> = returned.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["output", "release", "call", "durationMs"]);
    assert_eq!(
        (&returned["output"], &returned["release"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        said(&mut remy(
            &app,
            &["invoke", "fails", "{}", "--release", "1"]
        )),
        three(0, "null\n", "")
    );
    shell(
        &app.live,
        "INSERT INTO people (id, email, name, roles) VALUES ('1', 'a@x', 'A', '[\"admin\"]')",
    );
    let user = &mut remy(&app, &["invoke", "only-admin", "--user", "1"]);
    assert_eq!(said(user).1, "\"let in\"\n");
}

#[test]
fn a_call_that_fails_says_why_and_its_status_says_whose_fault_it_is() {
    let app = lab();
    let fails = |how: &str, more: &[&str]| {
        let input = json!({ "how": how }).to_string();
        said(&mut remy(
            &app,
            &[&["invoke", "fails", &input], more].concat(),
        ))
    };
    let (status, stdout, stderr) = fails("own", &[]);
    assert_eq!((status, stdout.as_str()), (3, ""));
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines[0], "error: not_today: Not today.");
    assert!(
        lines[1].starts_with("    at ") && lines[1].contains("lab.ts:"),
        "{stderr}"
    );
    assert_eq!(lines.last(), Some(&r#"details: {"until":"tomorrow"}"#));
    let (status, stdout, _) = fails("own", &["--json"]);
    let error = serde_json::from_str::<Value>(&stdout).unwrap()["error"].clone();
    assert_eq!(status, 3);
    assert_eq!(
        (
            &error["code"],
            &error["message"],
            &error["status"],
            &error["details"]
        ),
        (
            &json!("not_today"),
            &json!("Not today."),
            &json!(418),
            &json!({ "until": "tomorrow" })
        )
    );
    assert_eq!(error["hint"], Value::Null);
    let (status, _, stderr) = fails("plain", &[]);
    assert_eq!(status, 1);
    assert!(stderr.contains(": a mistake\n"), "{stderr}");
}

#[test]
fn what_cannot_be_called_is_refused_by_its_name() {
    let app = lab();
    let refused = |arguments: &[&str]| {
        let (status, stdout, stderr) = said(&mut remy(&app, arguments));
        assert_eq!(stdout, "", "{stderr}");
        (status, stderr)
    };
    let two = |status: i32, stderr: &str| (status, format!("error: {stderr}\n"));
    assert_eq!(
        refused(&["invoke", "about", "{\"a\": x}"]),
        two(
            2,
            "invalid_argument: INPUT is no JSON: expected value at line 1 column 7. Nothing was called"
        )
    );
    assert_eq!(
        refused(&["invoke", "abot"]),
        two(
            3,
            "method_not_found: There is no method abot in this release. Did you mean about? Nothing was called"
        )
    );
    assert_eq!(
        refused(&["invoke", "something-else"]),
        two(
            3,
            "method_not_found: There is no method something-else in this release: it has about, fails, only-admin, predicates, streams, verbs. Nothing was called"
        )
    );
    assert_eq!(
        refused(&["invoke", "about", "--as", "king"]),
        two(
            3,
            "role_not_found: there is no role king; there is admin, guest. Nothing was called"
        )
    );
    assert_eq!(
        refused(&["invoke", "about", "--user", "7"]),
        two(3, "user_not_found: there is no user 7. Nothing was called")
    );
    assert_eq!(
        refused(&["invoke", "about", "--preview", "x"]),
        two(3, "not_found: there is no preview x. Nothing was called")
    );
    assert_eq!(
        refused(&["invoke", "about", "--preview", "x", "--release", "1"]),
        two(
            2,
            "invalid_argument: --preview and --release do not go together"
        )
    );
    assert_eq!(refused(&["invoke", "about", "--release", "9"]).0, 3);
    assert_eq!(
        refused(&["invoke"]),
        two(
            2,
            "invalid_argument: remy invoke expects METHOD: remy invoke METHOD [INPUT]"
        )
    );
    let (status, _, stderr) = said(remy(&app, &["invoke", "about"]).env("PATH", "/nowhere"));
    assert_eq!(status, 1);
    assert!(
        stderr.starts_with("error: node_missing: There is no Node.js (`node`) on PATH. "),
        "{stderr}"
    );
    // A release that was published without an app.
    let plain = App::empty();
    plain.publish("CREATE TABLE t (a)", "{}").unwrap();
    let (status, _, stderr) = said(&mut remy(&plain, &["invoke", "about"]));
    assert_eq!(
        (status, stderr.as_str()),
        (
            3,
            "error: no_methods: release 1 has no methods: it was published without an app\n"
        )
    );
}

#[test]
fn a_signal_calls_a_call_off() {
    let app = App::empty();
    one_method(
        &app,
        "console.log('runs'); await new Promise((done) => setTimeout(done, 60_000));",
    );
    let child = remy(&app, &["invoke", "m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = child;
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
    assert_eq!(line, "runs\n");
    stdout(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(rest.contains("error: cancelled: "), "{rest}");
    let calls = stdout(&mut remy(&app, &["calls", "--json"]));
    let calls: Value = serde_json::from_str(&calls).unwrap();
    assert_eq!(
        (&calls[0]["code"], &calls[0]["output"]),
        (&json!("cancelled"), &json!("runs\n"))
    );
}

/// An app of one method, `m`.
fn one_method(app: &App, body: &str) {
    app.file(
        "n/mindstudio.json",
        r#"{ "name": "n", "methods": [{ "id": "m", "path": "m.ts", "export": "m" }] }"#,
    );
    app.file(
        "n/m.ts",
        &format!("export async function m() {{ {body} }}\n"),
    );
    publish(app, &app.dir.path().join("n"));
}

#[test]
fn root_runs_the_methods_of_somebody_elses_database_as_them() {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return not_covered("methods that root calls", "not root");
    }
    const NOBODY: u32 = 65534;
    let app = App::empty();
    one_method(&app, "return process.getuid!();");
    assert_eq!(stdout(&mut remy(&app, &["invoke", "m"])), "0\n");
    let folder = app.dir.path().join("n");
    chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    let (status, _, stderr) = said(remy(&app, &["invoke", "m", "--app", "n"]).env("PRIVATE", "x"));
    assert_eq!(status, 2, "{stderr}");
    assert!(
        stderr.contains("root does not run the methods of somebody else's app"),
        "{stderr}"
    );
    output(
        Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(app.dir.path()),
    );
    let own = app.dir.path();
    std::fs::set_permissions(own, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(
        stdout(&mut remy(&app, &["invoke", "m"])),
        format!("{NOBODY}\n")
    );
    let set = fed(&mut remy(&app, &["secrets", "set", "KEY"]), "something\n");
    assert_eq!(set, three(0, "KEY is set\n", ""));
    for file in ["secrets.json", "calls.db"] {
        let of = std::os::unix::fs::MetadataExt::uid(&app.store(file).metadata().unwrap());
        assert_eq!(of, NOBODY, "{file}");
    }
}

#[test]
fn secrets_are_set_from_stdin_listed_without_values_and_deleted() {
    let app = App::empty();
    let none = said(&mut remy(&app, &["secrets", "list"]));
    assert_eq!(none.0, 1);
    assert!(
        none.2.starts_with("error: not_found: there is no release of ")
            && none.2.ends_with(" yet, and secrets are kept beside the releases. Nothing was done\nhint: remy publish makes the first\n"),
        "{}",
        none.2
    );
    app.publish("CREATE TABLE t (a)", "{}").unwrap();
    assert_eq!(
        said(&mut remy(&app, &["secrets", "list"])),
        three(0, "No secret: remy secrets set KEY sets one\n", "")
    );
    let set = |arguments: &[&str], value: &str| set(&app, arguments, value);
    assert_eq!(
        set(&["API_TOKEN"], "hush-hush-1\n"),
        three(0, "API_TOKEN is set\n", "")
    );
    assert_eq!(
        set(&["API_TOKEN", "--dev"], "hush-hush-2"),
        three(0, "API_TOKEN is set for dev sessions\n", "")
    );
    assert_eq!(set(&["ONLY_DEV", "--dev"], "hush-hush-3").0, 0);
    let of_server = set(&["SMTP_URL", "--server", "--json"], "smtp://hush-hush-4");
    assert_eq!(
        of_server,
        three(0, "{\"key\":\"SMTP_URL\",\"server\":true}\n", "")
    );
    let table = "KEY        WHOSE   PROD    DEV\n\
                 API_TOKEN  app     set     set\n\
                 ONLY_DEV   app     as dev  set\n\
                 SMTP_URL   server  set     as prod\n";
    assert_eq!(
        said(&mut remy(&app, &["secrets", "list"])),
        three(0, table, "")
    );
    let stored = std::fs::read_to_string(app.store("secrets.json")).unwrap();
    assert!(
        stored.contains("\"hush-hush-1\""),
        "without the end of the line"
    );
    let delete = || said(&mut remy(&app, &["secrets", "delete", "API_TOKEN"]));
    assert_eq!(delete(), three(0, "API_TOKEN is deleted\n", ""));
    assert_eq!(
        delete(),
        three(
            1,
            "",
            "error: not_found: there is no secret API_TOKEN. Nothing was done\n\
             hint: remy secrets list shows the names of all\n"
        )
    );
}

fn set(app: &App, arguments: &[&str], value: &str) -> (i32, String, String) {
    let all = [&["secrets", "set"], arguments].concat();
    fed(&mut remy(app, &all), value)
}

#[test]
fn what_is_no_secret_is_refused_and_a_value_is_never_an_argument() {
    let app = App::empty();
    app.publish("CREATE TABLE t (a)", "{}").unwrap();
    let set = |arguments: &[&str], value: &str| set(&app, arguments, value);
    let (status, stdout, stderr) = set(&["API_TOKEN", "hush-hush-5"], "");
    assert_eq!((status, stdout.as_str()), (2, ""));
    assert!(
        stderr.starts_with("error: invalid_argument: a value is never an argument: ")
            && !stderr.contains("hush"),
        "{stderr}"
    );
    let wrong = |arguments: &[&str], value: &str| {
        let (status, stdout, stderr) = set(arguments, value);
        assert_eq!((status, stdout.as_str()), (2, ""));
        stderr
    };
    assert_eq!(
        wrong(&["api-token"], "x"),
        "error: invalid_argument: \"api-token\" is no name of a secret. Nothing was done\n\
         hint: A name begins with A to Z, and goes on with these, digits and _\n"
    );
    assert_eq!(
        wrong(&["EMPTY"], "\n"),
        "error: invalid_argument: the value of the secret EMPTY is empty. Nothing was done\n"
    );
    assert_eq!(
        wrong(&["A", "--dev", "--prod"], "x"),
        "error: invalid_argument: --dev and --prod do not go together\n"
    );
}

#[test]
fn calls_lists_what_was_called_and_follows_it() {
    let app = lab();
    assert_eq!(
        said(&mut remy(&app, &["calls"])),
        three(0, "No call: remy invoke METHOD makes one\n", "")
    );
    for (method, input) in [("only-admin", "{}"), ("fails", r#"{"how": "own"}"#)] {
        said(&mut remy(&app, &["invoke", method, input, "--as", "admin"]));
    }
    said(&mut remy(&app, &["invoke", "about", "--release", "1"]));
    let all = stdout(&mut remy(&app, &["calls"]));
    let lines: Vec<Vec<&str>> = all
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        lines[0],
        ["WHEN", "METHOD", "WHERE", "TOOK", "AS", "ENDED"],
        "{all}"
    );
    assert_eq!(lines[1][1..3], ["about", "release 1"], "{all}");
    assert_eq!(lines[2].last(), Some(&"not_today: Not today."), "{all}");
    assert_eq!(
        (lines[3][1], lines[3][4], lines[3][5]),
        ("only-admin", "impersonated", "returned")
    );
    assert_eq!(lines.len(), 4);
    let list = |arguments: &[&str]| -> Value {
        let all = stdout(&mut remy(&app, &[&["calls", "--json"], arguments].concat()));
        serde_json::from_str(&all).unwrap()
    };
    let failed = list(&["--failed"]);
    assert_eq!(
        (failed.as_array().unwrap().len(), &failed[0]["code"]),
        (1, &json!("not_today"))
    );
    let one = list(&["--method", "only-admin", "--limit", "1"]);
    assert_eq!(one[0]["output"], "token undefined\n");

    let mut child = remy(&app, &["calls", "--follow", "--limit", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    assert!(first.ends_with(" about on release 1: returned"), "{first}");
    said(&mut remy(&app, &["invoke", "only-admin", "--as", "admin"]));
    let next = lines.next().unwrap().unwrap();
    assert!(
        next.ends_with(" only-admin on live as impersonated: returned"),
        "{next}"
    );
    assert_eq!(lines.next().unwrap().unwrap(), "    token undefined");
    stdout(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

/// Where no live database is, or none yet, nothing is made by asking.
#[test]
fn nothing_is_called_where_nothing_is_live() {
    let app = App::empty();
    let (status, stdout, stderr) = said(&mut remy(&app, &["invoke", "m"]));
    assert_eq!((status, stdout.as_str()), (3, ""), "{stderr}");
    assert_eq!(
        stderr,
        "error: no_release: nothing is live: publish an app first\n"
    );
    let made: Vec<_> = std::fs::read_dir(app.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(made, ["app.db"]);
    let missing = said(&mut remy(&app, &["invoke", "m", "--db", "none.db"]));
    assert!(missing.2.contains("none.db"), "{}", missing.2);
    assert!(!Path::new("none.db").exists());
}

/// The app of a method that needs two secrets, one of them where it is loaded.
fn in_need(app: &App) {
    app.file(
        "n/mindstudio.json",
        r#"{ "name": "n", "methods": [
            { "id": "pay", "path": "m.ts", "export": "pay" },
            { "id": "idle", "path": "idle.ts", "export": "idle" }
        ] }"#,
    );
    app.file(
        "n/m.ts",
        "const { PAY_URL } = process.env;
         export async function pay() {
             const key = process.env.PAY_KEY;
             if (!PAY_URL || !key) throw new Error('cannot pay in ' + process.env.NODE_ENV + ' of ' + process.env.HOME);
             process.env.SET_HERE = 'x';
             return [PAY_URL, key, process.env.SET_HERE, 'PAY_KEY' in process.env, Object.keys(process.env).includes('PAY_URL')];
         }\n",
    );
    app.file(
        "n/idle.ts",
        "export async function idle() { throw new Error(process.env.OTHER ? 'x' : 'y'); }\n",
    );
}

#[test]
fn a_secret_that_is_missing_is_named_at_publish_and_in_the_call_that_misses_it() {
    let app = App::empty();
    in_need(&app);
    let publish = |more: &[&str]| {
        let all = [&["publish", "--app", "n"], more].concat();
        said(remy(&app, &all).env("ESBUILD_BINARY_PATH", remy_tests::esbuild()))
    };
    let warning = "methods read what has no value: OTHER (in idle); PAY_KEY (in pay); PAY_URL (in pay). remy secrets set KEY gives one";
    let (status, _, stderr) = publish(&[]);
    assert_eq!(status, 0, "{stderr}");
    assert!(stderr.contains(&format!("! {warning}\n")), "{stderr}");
    let log = stdout(&mut remy(&app, &["log", "--json"]));
    let log: Value = serde_json::from_str(&log).unwrap();
    let lines = log.as_array().unwrap();
    let line = lines
        .iter()
        .find(|line| line["object"] == "secrets")
        .unwrap();
    assert_eq!(
        (&line["outcome"], &line["message"]),
        (&json!("warning"), &json!(warning))
    );
    let pays = || said(&mut remy(&app, &["invoke", "pay"]));
    let (status, _, stderr) = pays();
    assert_eq!(status, 1);
    let hint = "hint: The method asked for PAY_KEY, PAY_URL, which have no value: remy secrets set KEY gives one\n";
    assert!(stderr.ends_with(hint), "{stderr}");
    let calls = stdout(&mut remy(&app, &["calls", "--json"]));
    let calls: Value = serde_json::from_str(&calls).unwrap();
    assert_eq!(calls[0]["output"], hint["hint: ".len()..]);
    // What a call has not asked for is not why it failed.
    assert_eq!(set(&app, &["PAY_URL"], "https://pay.example").0, 0);
    let (_, stdout, _) = said(&mut remy(&app, &["invoke", "pay", "--json"]));
    let error = serde_json::from_str::<Value>(&stdout).unwrap()["error"].clone();
    assert_eq!(
        error["hint"],
        "The method asked for PAY_KEY, which has no value: remy secrets set PAY_KEY gives it one"
    );
    assert_eq!(set(&app, &["PAY_KEY", "--dev"], "hush-hush-9").0, 0);
    let paid = r#"["https://pay.example","[secret]","x",true,true]"#;
    assert_eq!(
        pays(),
        three(
            0,
            &format!("{}\n", paid.replace("[secret]", "hush-hush-9")),
            ""
        )
    );
    let (_, _, stderr) = publish(&[]);
    let rest =
        "! methods read what has no value: OTHER (in idle). remy secrets set OTHER gives it one\n";
    assert!(stderr.contains(rest), "{stderr}");
    // A package says what its methods read, too.
    let build = &mut Command::new(built_program("remy-command"));
    build
        .current_dir(app.dir.path().join("n"))
        .env("ESBUILD_BINARY_PATH", remy_tests::esbuild())
        .args(["build", "-o", "../n.tar"]);
    output(build);
    let (status, _, stderr) = said(&mut remy(&app, &["publish", "n.tar"]));
    assert_eq!(status, 0, "{stderr}");
    assert!(stderr.contains(rest), "{stderr}");
}
