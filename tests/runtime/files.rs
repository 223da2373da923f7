//! Files of methods: kept in the store, outside of releases, with and without a server.
use super::{
    call,
    commands::{remy, said},
    output, runtime,
    services::{server_secret, services},
};
use remy_db::ReleaseId;
use remy_db_runtime::{
    files::{Access, Draft, Files, Listed, Place, Signature, Terms},
    runtime::{Invoke, Runtime},
    target::Target,
};
use remy_tests::{live::App, shell};
use serde_json::{Value, json};
use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

/// A verb of the store `papers`, or of one that was declared otherwise.
struct Store<'a> {
    runtime: &'a Runtime,
    name: &'a str,
    options: Value,
}

impl<'a> Store<'a> {
    fn of(runtime: &'a Runtime) -> Self {
        Self {
            runtime,
            name: "papers",
            options: json!({}),
        }
    }

    fn does(&self, verb: &str, args: Value) -> Value {
        let input = self.input(verb, args);
        output(self.runtime, "stored", input)
    }

    fn input(&self, verb: &str, args: Value) -> Value {
        json!({ "store": self.name, "options": self.options, "verb": verb, "args": args })
    }

    /// The code and the status that it fails with.
    fn fails(&self, verb: &str, args: Value) -> (String, u64) {
        let said = self.does(verb, args);
        let code = said["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{verb}: {said}"));
        (code.to_owned(), said["status"].as_u64().unwrap())
    }
}

/// Every file whose bytes are kept.
fn kept(app: &App) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let folders = fs::read_dir(app.store("files")).into_iter().flatten();
    for folder in folders {
        let folder = fs::read_dir(folder.unwrap().path()).unwrap();
        all.extend(folder.map(|file| file.unwrap().path()));
    }
    all
}

fn place(key: &str) -> Place {
    Place::of(&Target::Live, Access::Private, "papers", key).unwrap()
}

/// A file that is written, and is not kept yet.
fn draft(files: &Files, bytes: &[u8]) -> Draft {
    let mut draft = files.begin(1 << 20).unwrap();
    draft.write(bytes).unwrap();
    draft
}

fn put(files: &Files, place: &Place, bytes: &[u8]) {
    let draft = draft(files, bytes);
    files.keep(draft, place, "text/plain", None).unwrap();
}

fn content(files: &Files, place: &Place) -> Option<String> {
    let (_, mut file) = files.open(place).unwrap()?;
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    Some(text)
}

fn count(app: &App, table: &str) -> u32 {
    let count = shell(
        &app.store("files.db"),
        &format!("SELECT count(*) FROM {table}"),
    );
    count.trim().parse().unwrap()
}

#[test]
fn a_method_puts_reads_lists_and_removes() {
    let app = services();
    let runtime = runtime(&app);
    let papers = Store::of(&runtime);
    let put = papers.does(
        "put",
        json!(["hello", { "key": "a/one.txt", "contentType": "Text/Plain; charset=utf-8" }]),
    );
    assert_eq!(
        (
            &put["store"],
            &put["access"],
            &put["key"],
            &put["size"],
            &put["contentType"],
            &put["url"]
        ),
        (
            &json!("papers"),
            &json!("private"),
            &json!("a/one.txt"),
            &json!(5),
            &json!("text/plain"),
            &json!("/_/files/private/papers/a/one.txt")
        ),
        "{put}"
    );
    let at = put["updatedAt"].as_str().unwrap();
    assert!(
        at.len() == 24 && at.ends_with('Z') && at.contains('T'),
        "{at}"
    );
    assert_eq!(papers.does("get", json!(["a/one.txt"])), "hello");
    assert_eq!(papers.does("head", json!(["a/one.txt"])), put);
    assert_eq!(papers.does("exists", json!(["a/one.txt"])), true);
    // Bytes as they are, and another one in its place.
    papers.does(
        "put",
        json!([{ "bytes": [0, 255, 10, 128] }, { "key": "a/one.txt" }]),
    );
    assert_eq!(
        papers.does("get", json!(["a/one.txt"])),
        "\u{0}\u{ff}\n\u{80}"
    );
    assert_eq!(
        papers.does("head", json!(["a/one.txt"]))["contentType"],
        "application/octet-stream"
    );
    assert_eq!(kept(&app).len(), 1);
    // Keys that are not given: one of its own, and one of what it holds.
    let own = papers.does("put", json!(["x", { "filename": "../Q1 report.PDF" }]));
    assert!(own["key"].as_str().unwrap().ends_with(".PDF"), "{own}");
    let same = || {
        papers.does(
            "put",
            json!(["same", { "contentAddressed": true, "filename": "x.txt" }]),
        )["key"]
            .take()
    };
    let key = "0967115f2813a3541eaef77de9d9d5773f1c0c04314b0bbfe4ff3b3b1c55b5d5.txt";
    assert_eq!((same(), same()), (json!(key), json!(key)));
    let listed = papers.does("list", json!([]));
    assert_eq!(listed["files"].as_array().unwrap().len(), 3);
    assert_eq!(listed.get("cursor"), None);
    papers.does("delete", json!(["a/one.txt"]));
    papers.does("delete", json!(["a/one.txt"]));
    assert_eq!(papers.does("exists", json!(["a/one.txt"])), false);
    assert_eq!(
        papers.fails("get", json!(["a/one.txt"])),
        ("not_found".to_owned(), 404)
    );
    assert_eq!(kept(&app).len(), 2);
}

#[test]
fn a_list_comes_in_pages_by_what_keys_begin_with() {
    let app = services();
    let runtime = runtime(&app);
    let files = runtime.files();
    for key in ["b", "a/2", "a/10", "a%", "a/1", "A/1"] {
        put(files, &place(key), key.as_bytes());
    }
    let papers = Store::of(&runtime);
    let keys = |said: &Value| {
        let files = said["files"].as_array().unwrap().iter();
        files
            .map(|file| file["key"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys(&papers.does("list", json!([]))),
        ["A/1", "a%", "a/1", "a/10", "a/2", "b"]
    );
    let first = papers.does("list", json!([{ "prefix": "a/", "limit": 2 }]));
    assert_eq!(
        (keys(&first), &first["cursor"]),
        (vec!["a/1".to_owned(), "a/10".to_owned()], &json!("a/10"))
    );
    let rest = papers.does(
        "list",
        json!([{ "prefix": "a/", "limit": 2, "cursor": "a/10" }]),
    );
    assert_eq!(
        (keys(&rest), rest.get("cursor")),
        (vec!["a/2".to_owned()], None)
    );
    assert_eq!(
        keys(&papers.does("list", json!([{ "prefix": "%" }]))),
        Vec::<String>::new()
    );
    let others = Store {
        name: "others",
        ..Store::of(&runtime)
    };
    assert_eq!(keys(&others.does("list", json!([]))), Vec::<String>::new());
    let public = Store {
        options: json!({ "access": "public" }),
        ..Store::of(&runtime)
    };
    assert_eq!(keys(&public.does("list", json!([]))), Vec::<String>::new());
}

#[test]
fn what_is_no_file_is_refused_and_nothing_is_kept() {
    let app = services();
    let runtime = runtime(&app);
    let papers = Store::of(&runtime);
    let refused = |verb: &str, args: Value, code: &str, status: u64| {
        assert_eq!(
            papers.fails(verb, args.clone()),
            (code.to_owned(), status),
            "{verb} {args}"
        );
    };
    for key in [
        "",
        "/a",
        "a/",
        "..",
        "a/../../server.db",
        "a//b",
        "a\u{0}b",
        "a\nb",
        "a\\b",
        &"k".repeat(1025),
    ] {
        refused("put", json!(["x", { "key": key }]), "invalid_key", 400);
        refused("get", json!([key]), "invalid_key", 400);
        refused(
            "createUploadToken",
            json!([{ "key": key }]),
            "invalid_key",
            400,
        );
    }
    refused("list", json!([{ "prefix": "a\u{0}" }]), "invalid_key", 400);
    refused("put", json!([5]), "invalid_argument", 400);
    refused("put", json!(["x", { "key": 5 }]), "invalid_argument", 400);
    refused(
        "put",
        json!(["x", { "contentType": "text/html\r\nx: y" }]),
        "content_type_not_allowed",
        400,
    );
    let large = (10 << 20) + 1;
    refused("put", json!([{ "size": large }]), "file_too_large", 413);
    refused(
        "put",
        json!([{ "size": 2 * large }]),
        "request_too_large",
        413,
    );
    refused("get", json!(["none"]), "not_found", 404);
    refused("head", json!(["none"]), "not_found", 404);
    for name in ["", "Papers", "a/b", "..", &"s".repeat(65)] {
        let store = Store {
            name,
            ..Store::of(&runtime)
        };
        assert_eq!(
            store.fails("put", json!(["x"])),
            ("invalid_store".to_owned(), 400),
            "{name}"
        );
        assert_eq!(
            store.fails("list", json!([])),
            ("invalid_store".to_owned(), 400),
            "{name}"
        );
    }
    let odd = Store {
        options: json!({ "access": "secret" }),
        ..Store::of(&runtime)
    };
    assert_eq!(
        odd.fails("put", json!(["x"])),
        ("invalid_access".to_owned(), 400)
    );
    assert_eq!((kept(&app), count(&app, "files")), (Vec::new(), 0));
    // What is just small enough.
    let put = papers.does("put", json!([{ "size": large - 1 }, { "key": "large" }]));
    assert_eq!(put["size"], large - 1, "{put}");
}

#[test]
fn without_a_server_methods_have_files_and_links_where_its_address_is_known() {
    let app = services();
    let invoke = |input: &Value| {
        let (status, stdout, stderr) = said(&mut remy(
            &app,
            &["invoke", "stored", &input.to_string(), "--json"],
        ));
        assert_eq!(status, 0, "{stderr}");
        serde_json::from_str::<Value>(&stdout).unwrap()["output"].take()
    };
    let papers =
        |verb: &str, args: Value| invoke(&json!({ "store": "papers", "verb": verb, "args": args }));
    papers("put", json!(["hello", { "key": "a" }]));
    assert_eq!(papers("get", json!(["a"])), "hello");
    let upload = papers("createUploadToken", json!([{ "key": "b" }]));
    assert_eq!(
        (&upload["key"], &upload["url"], &upload["upload"]["url"]),
        (
            &json!("b"),
            &json!("/_/files/private/papers/b"),
            &json!("/_/upload")
        )
    );
    let refused = papers("shareUrl", json!(["a"]));
    assert_eq!(
        (&refused["code"], &refused["status"]),
        (&json!("not_supported"), &json!(501))
    );
    let told = refused["message"].as_str().unwrap();
    assert!(
        told.contains("remy secrets set PUBLIC_URL --server"),
        "{told}"
    );
    server_secret(&app, "PUBLIC_URL", "https://shop.example.com/");
    let link = papers("shareUrl", json!(["a"]));
    let link = link.as_str().unwrap();
    let query = link.strip_prefix("https://shop.example.com/_/files/private/papers/a?");
    let signature = Signature::of_query(query.unwrap_or_else(|| panic!("{link}"))).unwrap();
    assert_eq!(runtime(&app).files().check(&place("a"), &signature), Ok(()));
}

#[test]
fn a_link_is_as_long_as_it_was_asked_for_within_bounds() {
    let app = services();
    server_secret(&app, "PUBLIC_URL", "https://shop.example.com");
    let runtime = runtime(&app);
    let papers = Store::of(&runtime);
    let ends = |expires_in: Value| {
        let link = papers.does("shareUrl", json!(["a", { "expiresIn": expires_in }]));
        let ends = link.as_str().unwrap().split("expires=").nth(1).unwrap();
        let now = shell(Path::new(":memory:"), "SELECT strftime('%s', 'now')");
        ends.split('&').next().unwrap().parse::<i64>().unwrap() - now.trim().parse::<i64>().unwrap()
    };
    for (asked, lasts) in [
        (json!(null), 86_400),
        (json!(3600), 3600),
        (json!(1), 60),
        (json!(-5), 60),
        (json!(1e300), 7 * 86_400),
    ] {
        let got = ends(asked.clone());
        assert!((lasts - 30..=lasts).contains(&got), "{asked}: {got}");
    }
    let by_file = output(&runtime, "shared", json!({}));
    assert!(
        by_file
            .as_str()
            .unwrap()
            .contains("/_/files/private/papers/a.txt?expires="),
        "{by_file}"
    );
    let public = Store {
        options: json!({ "access": "public" }),
        ..Store::of(&runtime)
    };
    assert_eq!(
        public.fails("shareUrl", json!(["a"])),
        ("invalid_access".to_owned(), 400)
    );
}

#[test]
fn a_leave_to_upload_says_which_types_and_how_much() {
    let app = services();
    let runtime = runtime(&app);
    let options = json!({ "contentTypes": ["image/png", "image/jpeg"], "maxSize": 1000 });
    let pictures = Store {
        options,
        ..Store::of(&runtime)
    };
    let wrong = json!([{ "contentType": "text/html" }]);
    assert_eq!(
        pictures.fails("createUploadToken", wrong),
        ("content_type_not_allowed".to_owned(), 400)
    );
    let leave = |args: Value| {
        let made = pictures.does("createUploadToken", args);
        let token = made["upload"]["fields"]["token"]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"));
        runtime.files().leave(token, &Target::Live).unwrap()
    };
    let any = leave(json!([{ "filename": "x.png" }]));
    assert!(any.place.key().ends_with(".png"));
    assert_eq!(
        (any.most, any.kind("IMAGE/jpeg").unwrap()),
        (Some(1000), "image/jpeg".to_owned())
    );
    assert_eq!(
        any.kind("text/html").unwrap_err().code,
        "content_type_not_allowed"
    );
    assert_eq!(any.kind("").unwrap_err().code, "content_type_not_allowed");
    let one = leave(json!([{ "contentType": "image/png", "maxSize": 5 }]));
    assert_eq!(
        (one.most, one.kind("text/html").unwrap()),
        (Some(5), "image/png".to_owned())
    );
}

#[test]
fn a_copy_of_live_reads_lives_files_and_changes_only_its_own() {
    let app = services();
    let runtime = runtime(&app);
    let files = runtime.files();
    put(files, &place("a"), b"of live");
    put(files, &place("b"), b"of live, too");
    let copy = Target::Release(ReleaseId(1));
    let does = |verb: &str, args: Value| {
        let input = Store::of(&runtime).input(verb, args);
        let invoke = Invoke {
            target: copy.clone(),
            ..Invoke::new("stored", input)
        };
        call(&runtime, invoke).unwrap().output
    };
    assert_eq!(does("get", json!(["a"])), "of live");
    does("put", json!(["own", { "key": "a" }]));
    does("put", json!(["own, too", { "key": "c" }]));
    does("delete", json!(["b"]));
    assert_eq!(does("get", json!(["a"])), "own");
    let listed = does("list", json!([]));
    let sizes: Vec<_> = listed["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (&file["key"], &file["size"]))
        .collect();
    assert_eq!(
        sizes,
        [
            (&json!("a"), &json!(3)),
            (&json!("b"), &json!(12)),
            (&json!("c"), &json!(8))
        ]
    );
    let live = ["a", "b", "c"].map(|key| content(files, &place(key)));
    assert_eq!(
        live,
        [
            Some("of live".to_owned()),
            Some("of live, too".to_owned()),
            None
        ]
    );
    // A leave and a link are of one target.
    let token = files.let_upload(&place("d"), &Terms::default()).unwrap();
    assert_eq!(
        files.leave(&token, &copy).unwrap_err().code,
        "invalid_token"
    );
}

#[test]
fn what_nobody_has_any_more_goes_and_lives_files_stay() {
    let app = services();
    let runtime = runtime(&app);
    let files = runtime.files();
    put(files, &place("a"), b"live's");
    let of = |target: &Target| Place::of(target, Access::Public, "uploads", "x").unwrap();
    let [gone, there] = ["gone", "there"].map(|name| of(&Target::Preview(name.to_owned())));
    for place in [&gone, &there] {
        put(files, place, b"a preview's");
    }
    files.let_upload(&place("b"), &Terms::default()).unwrap();
    let previews = [Target::Preview("there".to_owned())];
    files.sweep(&previews).unwrap();
    assert!(
        files.find(&gone).unwrap().is_some(),
        "it may have been made just now"
    );
    // Years later.
    shell(
        &app.store("files.db"),
        "UPDATE files SET made = 1000000000000; UPDATE uploads SET ends = 1000000000000",
    );
    files.sweep(&previews).unwrap();
    assert_eq!(files.find(&gone).unwrap(), None);
    assert_eq!(content(files, &there).as_deref(), Some("a preview's"));
    assert_eq!(content(files, &place("a")).as_deref(), Some("live's"));
    assert_eq!(
        (
            kept(&app).len(),
            count(&app, "loose"),
            count(&app, "uploads")
        ),
        (2, 0, 0)
    );
    // By what the catalog knows, there is none of that name, either.
    runtime.sweep_files().unwrap();
    assert_eq!((kept(&app).len(), count(&app, "files")), (1, 1));
}

#[test]
fn what_was_cut_off_goes_and_what_is_written_or_not_known_stays() {
    let app = services();
    let runtime = runtime(&app);
    let files = runtime.files();
    // Dropped: at once.
    drop(draft(files, b"half"));
    assert_eq!(kept(&app), Vec::<PathBuf>::new());
    // As a killed process leaves it, before and after its file was made.
    let store = app.store("files.db");
    fs::create_dir_all(app.store("files/le")).unwrap();
    let left = app.store("files/le/left-behind");
    fs::write(&left, "half").unwrap();
    shell(
        &store,
        "INSERT INTO loose VALUES ('left-behind', 0), ('left-nothing', 0), ('no/../name', 0)",
    );
    // Nobody has ever said that this is nobody's.
    let unknown = app.store("files/le/left-unknown");
    fs::write(&unknown, "?").unwrap();
    let under_way = draft(files, b"under way");
    // Another process looks, too.
    let swept = Files::of(&app.store("")).sweep(&[]);
    assert_eq!(swept.unwrap_err().code, "corrupt", "it is no name");
    assert!(!left.exists() && unknown.exists());
    files
        .keep(under_way, &place("a"), "text/plain", None)
        .unwrap();
    assert_eq!(content(files, &place("a")).as_deref(), Some("under way"));
    shell(&store, "DELETE FROM loose WHERE name LIKE 'no/%'");
    files.sweep(&[]).unwrap();
    assert_eq!(
        count(&app, "loose"),
        1,
        "what was begun of late, and dropped"
    );
    shell(&store, "UPDATE loose SET since = 0");
    files.sweep(&[]).unwrap();
    assert_eq!((count(&app, "loose"), kept(&app).len()), (0, 2));
    // One whose bytes somebody has taken away is no file that is not there.
    let bytes = kept(&app).into_iter().find(|at| *at != unknown).unwrap();
    fs::remove_file(bytes).unwrap();
    assert_eq!(files.open(&place("a")).unwrap_err().code, "io");
}

#[test]
fn files_outlive_a_rollback_and_are_read_while_they_are_replaced() {
    let app = services();
    let runtime = runtime(&app);
    let files = runtime.files();
    put(files, &place("a"), &[b'0'; 1000]);
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            for round in 1..60 {
                put(files, &place("a"), &[b'0' + round % 10; 1000]);
            }
        });
        while !writes.is_finished() {
            let text = content(files, &place("a")).unwrap();
            assert!(text.len() == 1000 && text.bytes().all(|byte| byte == text.as_bytes()[0]));
        }
    });
    assert_eq!(kept(&app).len(), 1);
    super::publish(&app, &app.dir.path().join("app"));
    app.rollback(None).unwrap();
    let (all, more) = files
        .list(
            &Target::Live,
            (Access::Private, "papers"),
            &Listed::default(),
        )
        .unwrap();
    assert_eq!((all.len(), more), (1, None));
}
