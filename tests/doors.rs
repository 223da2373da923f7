//! What comes in as a path, a name or a library, and what it must not reach.
use remy_db::{Error, Options, Progress, Remy};
use remy_tests::{
    built, built_program, fault_library, live::App, not_covered, output, shell, stdout,
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

const SCHEMA: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
const ROWS: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'Ann');";

/// Deeper than any reader of it goes.
const DEEP: usize = 200_000;

fn remy_in_the_shell() -> String {
    format!(
        ".load {}",
        built("libremy0.so").with_extension("").display()
    )
}

/// What the `sqlite3` shell says, with remy loaded, to SQL that fails.
fn shell_refuses(db: &Path, sql: &str) -> String {
    let load = remy_in_the_shell();
    let out = output(
        Command::new("sqlite3")
            .args(["-batch", "-bail", "-cmd", &load])
            .arg(db)
            .arg(sql),
    );
    assert!(
        !out.status.success(),
        "it was done: {}",
        String::from_utf8_lossy(&out.stdout)
    );
    assert!(
        out.status.code().is_some(),
        "the shell was killed: {}",
        out.status
    );
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// An app of one table, beside the database.
fn table(app: &App, text: &str) -> String {
    app.file("app/t.ts", text);
    let manifest =
        r#"{"name": "a", "methods": [], "tables": [{"name": "t", "path": "t.ts", "export": "T"}]}"#;
    app.file("app/mindstudio.json", manifest)
        .display()
        .to_string()
}

fn define(row: &str) -> String {
    format!(
        "import {{ db }} from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{row}>('t');\n"
    )
}

// Mounts.

/// Runs `script` where it may mount what it likes, with the driver, live and the folder as `$1` to
/// `$3`.
fn mounted(app: &App, script: &str) -> Option<(bool, String)> {
    let alone = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(built_program("remy-driver"))
            .arg(&app.live)
            .arg(app.dir.path());
        output(&mut command)
    };
    if !alone("mount --bind \"$3\" \"$3\"").status.success() {
        not_covered("live that is a mount point", "nothing may be mounted here");
        return None;
    }
    let out = alone(script);
    Some((
        out.status.success(),
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned(),
    ))
}

#[test]
fn live_that_is_mounted_by_itself_is_refused() {
    let app = App::on(ROWS);
    app.file("data/app.db", "");
    let script = |verb: &str| format!("mount --bind \"$2\" \"$3/data/app.db\" && {verb}");
    let publish = "exec \"$1\" \"$3/data/app.db\" publish 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, mail TEXT);'";
    for verb in [
        publish,
        "exec env REMY_HOST=1 \"$1\" \"$3/data/app.db\" releases",
    ] {
        let Some((done, said)) = mounted(&app, &script(verb)) else {
            return;
        };
        assert!(
            !done && said.contains("is a mount point") && said.contains("Mount the folder"),
            "{said}"
        );
    }
    assert_eq!(
        fs::read_dir(app.dir.path().join("data")).unwrap().count(),
        1,
        "nothing was put beside it"
    );
    assert_eq!(app.ask("SELECT name FROM users"), "Ann");
}

#[test]
fn live_in_a_folder_that_is_mounted_is_as_good_as_any() {
    let app = App::on(ROWS);
    fs::create_dir(app.dir.path().join("data")).unwrap();
    let script = "mkdir \"$3/in\" && mv \"$2\" \"$3/in\" && mount --bind \"$3/in\" \"$3/data\" && exec \"$1\" \"$3/data/app.db\" publish \
                  'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, mail TEXT);'";
    let Some((done, said)) = mounted(&app, script) else {
        return;
    };
    assert!(done, "{said}");
    assert_eq!(
        shell(
            &app.dir.path().join("in/app.db"),
            "SELECT count(mail), name FROM users"
        ),
        "0|Ann\n"
    );
}

// Clones.

#[test]
fn a_clone_takes_no_name_that_sqlite_or_a_store_would_take_for_its_own() {
    let app = App::on(ROWS);
    app.publish(SCHEMA, "{}").unwrap();
    let other = app.file("other.db", "");
    app.file("third.db-remy/catalog.db", "");
    app.file(
        "fourth.db-remy/snapshots/1-0123456789abcdef.db",
        "of a store whose catalog is gone",
    );
    fs::create_dir(app.dir.path().join("fifth.db-remy")).unwrap();
    let beside = |name: &str| app.dir.path().join(name);
    for path in [
        beside("app.db-journal"),
        beside("app.db-wal"),
        beside("app.db-shm"),
        beside("other.db-journal"),
        beside("new.db-wal"),
        app.store("copy.db"),
        app.store("dev/copy.db"),
        app.store("snapshots/../copy.db"),
        beside("other.db-remy"),
        beside("third.db-remy/copy.db"),
        beside("third.db"),
        beside("fourth.db-remy/copy.db"),
        beside("fourth.db"),
        beside("fifth.db"),
        beside("other.db"),
        beside("none/copy.db"),
        PathBuf::new(),
        beside(".."),
    ] {
        let before = names(app.dir.path());
        let code = if path.ends_with("none/copy.db") {
            "not_found"
        } else {
            "invalid_argument"
        };
        let e = app.refuses(code, &["Nothing was done"], |app| {
            app.remy().clone_to(&path)
        });
        assert!(e.detail().hint.is_some(), "{e}");
        assert_eq!(names(app.dir.path()), before, "{}", path.display());
    }
    symlink(app.store("dev"), beside("link")).unwrap();
    app.refuses("invalid_argument", &["the place of a store"], |app| {
        app.remy().clone_to(beside("link/copy.db"))
    });
    let said = shell_refuses(
        &app.live,
        &format!("SELECT remy_clone('{}-journal')", app.live.display()),
    );
    assert!(
        said.contains("invalid_argument: ") && said.contains("-journal"),
        "{said}"
    );
    let said = shell_refuses(&app.live, "SELECT remy_clone('')");
    assert!(
        said.contains("invalid_argument: the path to clone to is empty"),
        "{said}"
    );
    // The place of a store that there is none in yet.
    let bare = App::on(ROWS);
    fs::create_dir(bare.store("")).unwrap();
    bare.refuses("invalid_argument", &["the place of a store"], |app| {
        app.remy().clone_to(app.store("copy.db"))
    });
    assert_eq!(
        app.ask("INSERT INTO users (name) VALUES ('Bob'); SELECT count(*) FROM users"),
        "2"
    );
    fs::remove_file(other).unwrap();
    app.remy().clone_to(beside("other.db")).unwrap();
    assert_eq!(
        shell(&beside("other.db"), "SELECT count(*) FROM users"),
        "2\n"
    );
}

/// Every name in a folder and below.
fn names(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(names(&path));
        }
        all.push(path);
    }
    all.retain(|path| {
        !path.to_string_lossy().contains(".db-shm") && !path.to_string_lossy().contains(".db-wal")
    });
    all.sort();
    all
}

#[test]
fn a_clone_has_its_name_when_it_is_whole() {
    for host in [false, true] {
        let app = App::on(ROWS);
        app.ask("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO users (name) SELECT hex(randomblob(200)) FROM n");
        let copy = app.dir.path().join("copy.db");
        let run = |at: usize| {
            let _ = fs::remove_file(&copy);
            let count = app.dir.path().join("count");
            let mut driver = Command::new(built_program("remy-driver"));
            driver.arg(&app.live).arg("clone").arg(&copy);
            driver
                .env("LD_PRELOAD", fault_library())
                .env("FAULT_DIR", app.dir.path())
                .env("FAULT_KIND", "kill");
            driver
                .env("FAULT_AT", at.to_string())
                .env("FAULT_COUNT", &count);
            if host {
                driver.env("REMY_HOST", "1");
            }
            let out = output(&mut driver);
            (
                out.status.success(),
                fs::read_to_string(count)
                    .unwrap_or_default()
                    .trim()
                    .parse::<usize>()
                    .unwrap_or(0),
            )
        };
        let (done, total) = run(0);
        assert!(done && total > 3, "{total} changes");
        for at in 1..=total {
            let (done, _) = run(at);
            if copy.exists() {
                assert_eq!(
                    shell(&copy, "PRAGMA integrity_check; SELECT count(*) FROM users"),
                    "ok\n2001\n",
                    "{at} of {total}"
                );
            } else {
                assert!(!done, "{at} of {total}");
            }
        }
        // Whatever the dead have left goes with the next clone into the folder.
        assert!(run(0).0);
        assert_eq!(parts(&app), Vec::<PathBuf>::new());
        // What a living process writes stays, and what only looks like a part.
        let left = (1..=total)
            .rev()
            .find(|at| !run(*at).0 && parts(&app).len() == 1)
            .expect("a kill that leaves one");
        let [part] = parts(&app)
            .try_into()
            .unwrap_or_else(|all| panic!("{left}: {all:?}"));
        let lookalike = app.file("copy.db.part-0123456789abcdef", "somebody's");
        let held = fs::File::open(&part).unwrap();
        held.lock().unwrap();
        app.remy()
            .clone_to(app.dir.path().join("other.db"))
            .unwrap();
        assert!(part.exists());
        drop(held);
        fs::remove_file(app.dir.path().join("other.db")).unwrap();
        app.remy()
            .clone_to(app.dir.path().join("other.db"))
            .unwrap();
        assert_eq!(parts(&app), [lookalike]);
    }
}

/// What is named as a part of a clone, beside live.
fn parts(app: &App) -> Vec<PathBuf> {
    let mut all = names(app.dir.path());
    all.retain(|path| path.to_string_lossy().contains(".part-"));
    all
}

// What is read.

#[test]
fn what_an_app_declares_is_in_its_folder() {
    let app = App::on(ROWS);
    app.file(
        "secret.ts",
        "export interface Row { secret_column: string }\nexport type Kind = 'sesame' | 'tahini';\n",
    );
    let whole = app.dir.path().join("secret.ts");
    for text in [
        format!("import type {{ Row }} from '../secret';\n{}", define("Row")),
        format!(
            "import {{ Row }} from './../app/.././secret.ts';\n{}",
            define("Row")
        ),
        format!(
            "export type {{ Row }} from '../secret';\nimport {{ Row as R }} from './t';\n{}",
            define("R")
        ),
        define("import('../secret').Row"),
        format!(
            "import type {{ Kind }} from '../secret';\n{}",
            define("{ a: Kind }")
        ),
        format!(
            "import type {{ Kind }} from './link';\n{}",
            define("{ a: Kind }")
        ),
        format!(
            "import type {{ Kind }} from '../not-there';\n{}",
            define("{ a: Kind }")
        ),
    ] {
        let manifest = table(&app, &text);
        let link = app.dir.path().join("app/link.ts");
        let _ = fs::remove_file(&link);
        symlink(&whole, &link).unwrap();
        let e = app.refuses("schema_invalid", &["outside of the app's folder"], |app| {
            app.publish(&manifest, "{}")
        });
        assert!(
            !e.to_string().contains("secret_column") && !e.to_string().contains("sesame"),
            "{e}"
        );
        let said = shell_refuses(&app.live, &format!("SELECT remy_publish('{manifest}')"));
        assert!(
            said.contains("outside of the app") && !said.contains("sesame"),
            "{said}"
        );
        app.refuses("schema_invalid", &["outside of the app's folder"], |app| {
            app.remy().diff(&manifest, &Options::default())
        });
    }
}

#[test]
fn a_table_file_that_is_a_link_out_of_the_app_is_not_read() {
    let app = App::on(ROWS);
    app.file("secret.txt", "sesame:x:0:0");
    let manifest = table(&app, "");
    let file = app.dir.path().join("app/t.ts");
    fs::remove_file(&file).unwrap();
    for to in ["../secret.txt", "/etc/passwd"] {
        let _ = fs::remove_file(&file);
        symlink(to, &file).unwrap();
        let e = app.refuses("schema_invalid", &["t.ts", "leads out"], |app| {
            app.publish(&manifest, "{}")
        });
        assert!(!e.to_string().contains(":0:0"), "{e}");
        let said = shell_refuses(&app.live, &format!("SELECT remy_stage('{manifest}')"));
        assert!(
            said.contains("outside of the app") && !said.contains(":0:0"),
            "{said}"
        );
    }
    // Within the app it is a file as any other.
    fs::remove_file(&file).unwrap();
    app.file("app/real.ts", &define("{ a: string }"));
    symlink("real.ts", &file).unwrap();
    app.publish(&manifest, "{}").unwrap();
}

#[test]
fn a_migration_is_a_file_of_its_folder() {
    let app = App::on(ROWS);
    app.file("secret.txt", "sesame:x:0:0");
    fs::create_dir(app.dir.path().join("m")).unwrap();
    symlink("../secret.txt", app.dir.path().join("m/0001_a.sql")).unwrap();
    let options = format!(r#"{{"migrations": {:?}}}"#, app.dir.path().join("m"));
    let e = app.refuses("invalid_argument", &["0001_a.sql", "leads out"], |app| {
        app.publish(SCHEMA, &options)
    });
    assert!(!e.to_string().contains("sesame"), "{e}");
    // As Kubernetes mounts a ConfigMap.
    fs::remove_file(app.dir.path().join("m/0001_a.sql")).unwrap();
    app.file("m/..1/0001_a.sql", "UPDATE users SET name = 'Bob';");
    symlink("..1", app.dir.path().join("m/..data")).unwrap();
    symlink("..data/0001_a.sql", app.dir.path().join("m/0001_a.sql")).unwrap();
    app.publish(SCHEMA, &options).unwrap();
    assert_eq!(app.ask("SELECT name FROM users"), "Bob");

    let manifest = table(&app, &define("{ a: string }"));
    app.file("elsewhere/0001_x.sql", "sesame");
    fs::create_dir_all(app.dir.path().join("app/dist/methods")).unwrap();
    symlink(
        app.dir.path().join("elsewhere"),
        app.dir.path().join("app/dist/methods/migrations"),
    )
    .unwrap();
    let e = app.refuses("schema_invalid", &["migrations", "leads out"], |app| {
        app.publish(&manifest, "{}")
    });
    assert!(!e.to_string().contains("sesame"), "{e}");
}

// What is nested.

#[test]
fn a_table_file_that_is_nested_too_deep_is_refused() {
    let app = App::on(ROWS);
    for row in [
        format!("{{ a: {}", "[".repeat(DEEP)),
        format!("{{ a: {}string{} }}", "(".repeat(DEEP), ")".repeat(DEEP)),
        format!("{{ a: {}string }}", "keyof ".repeat(DEEP)),
        format!("{{ a: {}X", "Map<string, ".repeat(DEEP)),
        format!("{{ a: string{} }}", "[]".repeat(DEEP)),
        "{ a: ".repeat(DEEP),
    ] {
        let manifest = table(&app, &define(&row));
        let e = app.refuses("schema_invalid", &["t.ts", "nested too deep"], |app| {
            app.publish(&manifest, "{}")
        });
        assert!(e.to_string().len() < 1000, "{}", e.to_string().len());
        let said = shell_refuses(&app.live, &format!("SELECT * FROM remy_diff('{manifest}')"));
        assert!(
            said.contains("schema_invalid: ") && said.contains("nested too deep"),
            "{said}"
        );
    }
    // As deep as is borne.
    for row in [
        format!("{{ a: {}string{} }}", "(".repeat(1000), ")".repeat(1000)),
        format!("{{ a: string{} }}", "[]".repeat(1000)),
        format!(
            "{{ a: {}string{} }}",
            "{ a: ".repeat(1000),
            " }".repeat(1000)
        ),
        format!(
            "{{ a: {}string{} }}",
            "Array<".repeat(1000),
            ">".repeat(1000)
        ),
    ] {
        let manifest = table(&app, &define(&row));
        app.remy().diff(&manifest, &Options::default()).unwrap();
    }
    let value = format!(
        "export const x = {}1{};\n",
        "[".repeat(1900),
        "]".repeat(1900)
    );
    let manifest = table(&app, &format!("{value}{}", define("{ a: string }")));
    app.remy().diff(&manifest, &Options::default()).unwrap();
}

#[test]
fn sql_that_is_nested_too_deep_is_refused() {
    let app = App::on(ROWS);
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
    for sql in [
        format!("CREATE TABLE t (a CHECK ({}));", nested("(", ")")),
        format!("CREATE TABLE t (a CHECK ({}));", nested("- ", "")),
        format!("CREATE TABLE t (a CHECK ({}));", nested("NOT ", "")),
        format!("CREATE TABLE t (a CHECK (1{}));", " + 1".repeat(DEEP)),
        format!("CREATE TABLE t (a CHECK ({}));", nested("abs(", ")")),
        format!(
            "CREATE TABLE t (a CHECK ({}));",
            nested("CASE WHEN 1 THEN ", " END")
        ),
        format!(
            "CREATE VIEW v AS {} SELECT 1 {};",
            "SELECT * FROM (".repeat(DEEP),
            ")".repeat(DEEP)
        ),
        format!("CREATE TABLE t (a INT{});", "(".repeat(DEEP)),
        "(".repeat(DEEP) + ";",
    ] {
        let e = app.refuses("schema_invalid", &["Nothing was done"], |app| {
            app.publish(&sql, "{}")
        });
        assert!(e.to_string().len() < 1000, "{}", e.to_string().len());
        app.file("schema.sql", &sql);
        let path = app.dir.path().join("schema.sql");
        shell_refuses(
            &app.live,
            &format!("SELECT remy_publish('{}')", path.display()),
        );
        app.file("m/0001_a.sql", &sql);
        let options = format!(r#"{{"migrations": {:?}}}"#, app.dir.path().join("m"));
        let e = app.refuses("ddl_failed", &["0001_a.sql"], |app| {
            app.publish(SCHEMA, &options)
        });
        assert!(e.detail().what.len() < 1000, "{}", e.detail().what.len());
    }
}

#[test]
fn json_that_is_nested_too_deep_is_refused() {
    let app = App::on(ROWS);
    let deep = "[".repeat(DEEP) + &"]".repeat(DEEP);
    let model = app
        .file("schema.json", &format!(r#"{{"tables": {deep}}}"#))
        .display()
        .to_string();
    let e = app.publish(&model, "{}").unwrap_err();
    assert_eq!(e.code(), "schema_invalid", "{e}");
    let manifest = app
        .file("mindstudio.json", &format!(r#"{{"tables": {deep}}}"#))
        .display()
        .to_string();
    let e = app.publish(&manifest, "{}").unwrap_err();
    assert!(
        e.code() == "schema_invalid" && e.to_string().len() < 1000,
        "{} {}",
        e.code(),
        e.to_string().len()
    );
    let e = Options::from_json(&format!(r#"{{"effects": {deep}}}"#)).unwrap_err();
    assert!(
        e.code() == "invalid_argument" && e.to_string().len() < 1000,
        "{e}"
    );
    shell_refuses(&app.live, &format!("SELECT remy_publish('{model}')"));
}

// What is said of a release.

#[test]
fn a_marker_with_a_number_that_no_release_has_is_refused() {
    for number in [
        "9223372036854775807",
        "9223372036854775806",
        "1000000000000000",
        "0",
        "-1",
    ] {
        let app = App::on(ROWS);
        app.publish(SCHEMA, "{}").unwrap();
        app.ask(&format!("UPDATE _remy_release SET release = {number}"));
        let words = ["_remy_release", number, "no release has that number"];
        let e = app.refuses("invalid_argument", &words, |app| app.publish(SCHEMA, "{}"));
        assert!(e.detail().hint.is_some());
        app.refuses("invalid_argument", &words, |app| app.rollback(None));
        app.refuses("invalid_argument", &words, |app| app.remy().releases());
    }
}

// What reaches into the process.

#[test]
fn functions_that_reach_into_the_process_are_refused() {
    let app = App::on(ROWS);
    for call in [
        "fts3_tokenizer('simple', x'4141414141414141')",
        "FTS3_TOKENIZER('simple')",
        "\"load_extension\"('x')",
    ] {
        for sql in [
            format!("SELECT {call};"),
            format!("UPDATE users SET name = {call};"),
        ] {
            let folder = app.dir.path().join("m");
            app.file("m/0001_a.sql", &sql);
            let options = format!(r#"{{"migrations": {folder:?}}}"#);
            app.refuses("ddl_failed", &["is not allowed in a migration"], |app| {
                app.publish(SCHEMA, &options)
            });
            let said = shell_refuses(
                &app.live,
                &format!("SELECT remy_publish('{SCHEMA}', '{options}')"),
            );
            assert!(said.contains("is not allowed in a migration"), "{said}");
        }
        let declared = format!("CREATE TABLE t AS SELECT {call} AS a;");
        let e = app.refuses("schema_invalid", &["reaches into the process"], |app| {
            app.publish(&declared, "{}")
        });
        assert!(e.detail().hint.is_some());
        app.file("schema.sql", &declared);
        let path = app.dir.path().join("schema.sql");
        let said = shell_refuses(
            &app.live,
            &format!("SELECT * FROM remy_diff('{}')", path.display()),
        );
        assert!(said.contains("reaches into the process"), "{said}");
    }
}

/// There are pragmas that act on the whole process, and some of them when they are prepared.
#[test]
fn a_pragma_of_a_declared_schema_does_nothing() {
    let app = App::on(ROWS);
    let schema = format!("PRAGMA hard_heap_limit = 1000; PRAGMA soft_heap_limit = 1000; {SCHEMA}");
    app.remy().diff(&schema, &Options::default()).unwrap();
    let limits = format!(
        "{}\nSELECT count(*) FROM remy_diff('{schema}');\nPRAGMA hard_heap_limit;",
        remy_in_the_shell()
    );
    assert_eq!(
        stdout(Command::new("sqlite3").arg(&app.live).args(limits.lines())),
        "0\n0\n"
    );
}

// What is taken for what.

#[test]
fn a_file_that_is_there_is_a_path() {
    let app = App::on(ROWS);
    let names = [
        "schema (1).sql",
        "a;b.sql",
        "create (x).sql",
        "App (copy)/schema.sql",
        "App (copy)/x",
        "v2; final/model.json",
    ];
    let remy = app.remy();
    let model = || {
        let model = remy_db::internals::declare::declared(SCHEMA, &Options::default())
            .unwrap()
            .schema;
        serde_json::to_string(&model).unwrap()
    };
    for name in names {
        let path = app.file(
            name,
            &if name.ends_with(".json") {
                model()
            } else {
                SCHEMA.to_owned()
            },
        );
        if name.ends_with('x') {
            fs::remove_file(&path).unwrap();
            shell(&path, SCHEMA);
        }
        let rows = remy
            .diff(&path.display().to_string(), &Options::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(rows.is_empty(), "{name}");
    }
    let e = remy
        .diff("not there (1).sql", &Options::default())
        .unwrap_err();
    assert_eq!(e.code(), "not_found", "{e}");
    app.publish(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT 1 AS db",
        "{}",
    )
    .unwrap();
}

// An app by halves.

#[test]
fn the_tables_of_an_app_do_not_go_live_without_the_rest_that_is_live() {
    let app = App::on("");
    let manifest = table(&app, &define("{ a: string }"));
    // Where there is nothing else, they do.
    app.publish(&manifest, "{}").unwrap();
    let code = app
        .file("out/methods/a.mjs", "export {}")
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned();
    let whole =
        format!(r#"{{"artifacts": {code:?}, "effects": {{"roles": [{{"id": "admin"}}]}}}}"#);
    app.publish(&manifest, &whole).unwrap();
    let manifest = table(&app, &define("{ a: string; b: string }"));
    let publish = |options: &str, words: &[&str]| {
        let refused: Error = app.refuses("invalid_argument", words, |app| {
            app.publish(&manifest, options)
        });
        assert!(refused.detail().hint.is_some());
    };
    publish(
        "{}",
        &[
            "only the tables",
            "has code, and roles",
            "no release was made",
        ],
    );
    publish(&format!(r#"{{"artifacts": {code:?}}}"#), &["has roles"]);
    publish(r#"{"effects": {}}"#, &["has code besides"]);
    publish(r#"{"dry_run": true}"#, &["only the tables"]);
    for verb in ["publish", "stage"] {
        let tables_alone = r#"'{"effects": {}}'"#;
        let said = shell_refuses(
            &app.live,
            &format!("SELECT remy_{verb}('{manifest}', {tables_alone})"),
        );
        assert!(
            said.contains("invalid_argument: ") && said.contains("only the tables"),
            "{said}"
        );
    }
    assert_eq!(
        app.remy()
            .diff(&manifest, &Options::default())
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        app.ask("SELECT count(*), max(artifacts) IS NOT NULL FROM _remy_release; SELECT id FROM _remy_roles"),
        "1|1\nadmin"
    );
    app.publish(&manifest, &whole).unwrap();
}

/// A connection of a host's, in which remy is called.
fn on_host(app: &App, between: impl FnOnce(&rusqlite::Connection) -> remy_db::Result<()>) -> Error {
    remy_db::engine::init();
    let host = rusqlite::Connection::open(&app.live).unwrap();
    between(&host).expect_err("it was done")
}

#[test]
fn a_transaction_is_told_from_a_statement_that_has_not_ended() {
    let app = App::on(ROWS);
    // SAFETY: the connection is open, and of the SQLite that rusqlite is bound to.
    let open = |host: &rusqlite::Connection| unsafe { Remy::on_host(host.handle()) }.map(|_| ());
    let e = on_host(&app, |host| {
        host.execute_batch("BEGIN; SELECT * FROM users").unwrap();
        open(host)
    });
    assert!(
        e.to_string().contains("which was begun. ")
            && e.to_string().contains("Commit or roll back"),
        "{e}"
    );
    let said = shell_refuses(&app.live, "SELECT remy_debug() FROM users");
    assert!(
        said.contains("that of this statement, which reads or writes a table besides"),
        "{said}"
    );
    let script = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[2], isolation_level=None)
db.enable_load_extension(True)
db.load_extension(sys.argv[1])
rows = db.execute('SELECT id FROM users, (SELECT 1 UNION SELECT 2)')
rows.fetchone()
try:
    db.execute('SELECT remy_debug()').fetchall()
except sqlite3.Error as e:
    print(e)
rows.fetchall()
print(db.execute('SELECT remy_debug()').fetchone()[0][:1])
";
    let out = output(
        Command::new("/usr/bin/python3")
            .args(["-c", script])
            .arg(built("libremy0.so"))
            .arg(&app.live),
    );
    if !out.status.success() {
        return not_covered(
            "a cursor that is open in Python",
            &String::from_utf8_lossy(&out.stderr),
        );
    }
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(
        said.contains("has not been read to its end") && said.contains("SELECT id FROM users, "),
        "{said}"
    );
    assert!(said.ends_with("\n{\n"), "{said}");
}

// What is no schema.

#[test]
fn a_path_with_a_bracket_or_a_semicolon_that_is_not_there_is_not_found() {
    let app = App::on(ROWS);
    for path in ["nothere (1)", "no/such (copy)/schema", "a;b", "update (2)"] {
        app.refuses("not_found", &[path, "Check the path"], |app| {
            app.remy().diff(path, &Options::default())
        });
    }
    for sql in [
        "CREATE TABLE users (id, nmae;",
        "TABEL users (id);",
        "create  table\nusers (id",
    ] {
        app.refuses("schema_invalid", &["line"], |app| {
            app.remy().diff(sql, &Options::default())
        });
    }
}

#[test]
fn a_file_that_is_no_schema_is_named_with_what_may_be_given() {
    let app = App::on(ROWS);
    let notes = app
        .file("notes.txt", &"a list of names\n".repeat(100))
        .display()
        .to_string();
    for file in ["/etc/passwd", &notes] {
        let words = [
            file,
            "was taken for a database, and is none",
            ".sql",
            "mindstudio.json",
        ];
        app.refuses("schema_invalid", &words, |app| app.publish(file, "{}"));
        app.refuses("schema_invalid", &words, |app| {
            app.remy().diff(file, &Options::default())
        });
    }
}

#[test]
fn what_is_called_off_ends_and_leaves_nothing() {
    let app = App::on(ROWS);
    app.publish(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);",
        "{}",
    )
    .unwrap();
    app.remy().dev_start("d").unwrap();
    let called_off = std::sync::atomic::AtomicBool::new(true);
    let asked = || true;
    for progress in [
        Progress::none().cancel(&called_off),
        Progress::none().ask(&asked),
    ] {
        let copy = app.dir.path().join("copy.db");
        let before = (names(app.dir.path()), app.seen());
        for (verb, e) in [
            ("clone", app.remy().clone_to_with(&copy, progress).map(drop)),
            (
                "dev_start",
                app.remy().dev_start_with("other", progress).map(drop),
            ),
            (
                "dev_reset",
                app.remy().dev_reset_with("d", progress).map(drop),
            ),
            (
                "dev_truncate",
                app.remy()
                    .dev_truncate_with("d", &Options::default(), progress)
                    .map(drop),
            ),
            (
                "prune",
                app.remy()
                    .prune_with(
                        Some(0),
                        &Options::from_json(r#"{"keep_releases": 0}"#).unwrap(),
                        progress,
                    )
                    .map(drop),
            ),
            (
                "verify",
                app.remy()
                    .verify_with(&Options::default(), progress)
                    .map(drop),
            ),
        ] {
            // What a bare rollback goes to stays, so that this prune has nothing to do.
            let Err(e) = e else {
                assert_eq!(verb, "prune");
                continue;
            };
            assert!(
                e.code() == "busy" && e.to_string().contains("called it off"),
                "{verb}: {e}"
            );
        }
        assert_eq!((names(app.dir.path()), app.seen()), before);
    }
    assert_eq!(
        shell(&app.store("dev/d.db"), "SELECT count(*) > 0 FROM users"),
        "1\n"
    );
}

#[test]
fn a_statement_of_a_host_that_is_interrupted_calls_its_verb_off() {
    let app = App::on(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT CHECK (name NOT LIKE '%x%y%z')); CREATE INDEX i ON users (name);
         WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 200000)
         INSERT INTO users SELECT i, hex(randomblob(30)) FROM c",
    );
    let schema = app
        .ask("SELECT sql || ';' FROM sqlite_schema")
        .replace('\n', " ");
    for column in ["a", "b"] {
        app.publish(
            &schema.replace("))", &format!("), {column})")),
            r#"{"allow": ["drop"]}"#,
        )
        .unwrap();
    }
    let script = "
import sqlite3, sys, threading, time
db = sqlite3.connect(sys.argv[2], isolation_level=None, check_same_thread=False)
db.enable_load_extension(True)
db.load_extension(sys.argv[1])
for statement in sys.argv[3:]:
    ended = threading.Event()
    def interrupt():
        while not ended.wait(0.1):
            db.interrupt()
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        print('done', db.execute(statement).fetchone()[0])
    except sqlite3.Error as e:
        print(e)
    ended.set()
    thread.join()
";
    let copy = app.dir.path().join("copy.db");
    let out = output(
        Command::new("/usr/bin/python3")
            .args(["-c", script])
            .arg(built("libremy0.so"))
            .arg(&app.live)
            .args([
                "SELECT remy_verify()",
                &format!("SELECT remy_publish('{}')", schema.replace('\'', "''")),
            ]),
    );
    if !out.status.success() {
        return not_covered(
            "an interrupt in Python",
            &String::from_utf8_lossy(&out.stderr),
        );
    }
    let said = String::from_utf8_lossy(&out.stdout);
    assert_eq!(
        said.matches("busy: the caller called it off").count(),
        2,
        "{said}"
    );
    assert!(!copy.exists());
    assert!(app.remy().verify().unwrap().ok);
}
