//! Virtual tables: what belongs to a module stays with it, and nothing else does.
use remy_db::{Options, Result, Statement};
use remy_tests::{cases, compiled, live::App, stdout};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A library with two modules, as an application loads it: see `tests/fixtures/modules.c`.
fn library() -> &'static Path {
    static ONCE: OnceLock<PathBuf> = OnceLock::new();
    ONCE.get_or_init(|| compiled("tests/fixtures/modules.c"))
}

/// Options that name the library, with `more` before.
fn with_library(more: &str) -> String {
    format!("{{{more}\"extensions\": [{:?}]}}", library())
}

/// `sql` in a shell that has loaded the library.
fn with_module(app: &App, sql: &str) -> String {
    let load = format!(".load {}", library().display());
    stdout(
        Command::new("sqlite3")
            .args(["-batch", "-bail", "-cmd", &load])
            .arg(&app.live)
            .arg(sql),
    )
    .trim()
    .to_owned()
}

fn diff(app: &App, schema: &str, options: &str) -> Result<Vec<Statement>> {
    app.remy().diff(schema, &Options::from_json(options)?)
}

/// The statements of a diff, without what a test does not look at.
fn planned(app: &App, schema: &str, options: &str) -> Vec<String> {
    diff(app, schema, options)
        .unwrap()
        .into_iter()
        .map(|s| s.sql)
        .collect()
}

fn tables(app: &App) -> String {
    app.ask("SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE name NOT LIKE '%remy%' ORDER BY name)")
}

#[test]
fn tables_of_a_librarys_module_stay_with_its_library_and_without() {
    for module in ["keeps", "mute"] {
        let app = App::on("CREATE TABLE t (a); INSERT INTO t VALUES (1);");
        with_module(
            &app,
            &format!("CREATE VIRTUAL TABLE v USING {module}; INSERT INTO v VALUES ('x'), ('y')"),
        );
        let virtual_table = format!("CREATE VIRTUAL TABLE v USING {module};");
        let mut columns = "a".to_owned();
        for options in ["{}".to_owned(), with_library(""), "{}".to_owned()] {
            columns += &format!(", b{}", columns.len());
            let schema = format!("CREATE TABLE t ({columns}); {virtual_table}");
            let statements = planned(&app, &schema, &options);
            let outcome = app
                .publish(&schema, &options)
                .unwrap_or_else(|e| panic!("{module} {options}: {e}"));
            assert_eq!(
                outcome
                    .statements
                    .into_iter()
                    .map(|s| s.sql)
                    .collect::<Vec<_>>(),
                statements,
                "{module}"
            );
            assert_eq!(statements.len(), 1, "{module} {options}: {statements:?}");
            assert_eq!(
                tables(&app),
                "t v v_late v_rows v_rows_00",
                "{module} {options}"
            );
            assert_eq!(with_module(&app, "SELECT group_concat(body) FROM v"), "x,y");
            // Where it cannot be known whose they are it is said, and what to do.
            let said = outcome
                .warnings
                .iter()
                .any(|w| w.contains("v_late") && w.contains(module));
            assert_eq!(
                said,
                options == "{}" || module == "mute",
                "{:?}",
                outcome.warnings
            );
        }
    }
}

#[test]
fn a_virtual_table_of_a_library_comes_and_goes_through_extensions_or_is_refused_by_name() {
    for module in ["keeps", "mute"] {
        let app = App::on("CREATE TABLE t (a); INSERT INTO t VALUES (1);");
        let with = format!("CREATE TABLE t (a); CREATE VIRTUAL TABLE v USING {module};");
        let without = "CREATE TABLE t (a);";
        for go in [diff, |app: &App, schema: &str, options: &str| {
            app.publish(schema, options).map(|o| o.statements)
        }] {
            app.refuses("unsupported_change", &["v", module, "extensions"], |app| {
                go(app, &with, "{}")
            });
        }
        app.publish(&with, &with_library("")).unwrap();
        with_module(&app, "INSERT INTO v VALUES ('x')");
        for go in [diff, |app: &App, schema: &str, options: &str| {
            app.publish(schema, options).map(|o| o.statements)
        }] {
            app.refuses("unsupported_change", &["v", module, "extensions"], |app| {
                go(app, without, "{}")
            });
        }
        let outcome = app.publish(without, &with_library("")).unwrap();
        assert_eq!(
            outcome.statements[0].loses.as_deref(),
            Some("1 row"),
            "{:?}",
            outcome.statements
        );
        assert_eq!(tables(&app), "t");
    }
}

/// What is missing is named, and what to do: also where the module is here and what it needs is
/// not.
#[test]
fn a_tokenizer_that_is_not_here_is_named() {
    let app = App::on("CREATE TABLE t (a);");
    let schema = "CREATE TABLE t (a); CREATE VIRTUAL TABLE f USING fts5 (a, tokenize = 'nobody');";
    for go in [diff, |app: &App, schema: &str, options: &str| {
        app.publish(schema, options).map(|o| o.statements)
    }] {
        let e = app.refuses(
            "unsupported_change",
            &["f", "nobody", "extensions"],
            |app| go(app, schema, "{}"),
        );
        assert!(!e.to_string().contains("brings fts5"), "{e}");
    }
}

#[test]
fn a_table_with_the_name_of_a_virtual_one_before_it_is_a_table_where_it_is_declared_or_the_module_says_nothing_of_it()
 {
    let app = App::on(
        "CREATE TABLE v_notes (a); INSERT INTO v_notes VALUES (1); CREATE TABLE other (a);",
    );
    with_module(
        &app,
        "CREATE VIRTUAL TABLE v USING keeps; INSERT INTO v VALUES ('x')",
    );
    let schema = |notes: &str| {
        format!("CREATE TABLE other (a); CREATE VIRTUAL TABLE v USING keeps; {notes}")
    };
    // Declared, it is changed as any other, with the library and without.
    app.publish(&schema("CREATE TABLE v_notes (a, b);"), "{}")
        .unwrap();
    app.publish(
        &schema("CREATE TABLE v_notes (a, b, c);"),
        &with_library(""),
    )
    .unwrap();
    assert_eq!(app.ask("SELECT a, b, c FROM v_notes"), "1||");
    // Not declared, it stays while nobody can tell, and goes where the module can.
    let outcome = app.publish(&schema(""), "{}").unwrap();
    assert!(
        outcome.warnings.iter().any(|w| w.contains("v_notes")),
        "{:?}",
        outcome.warnings
    );
    assert_eq!(app.ask("SELECT count(*) FROM v_notes"), "1");
    app.publish(&schema(""), &with_library("")).unwrap();
    assert_eq!(tables(&app), "other v v_late v_rows v_rows_00");
    // Any other may be the module's as well: it goes with leave, or where the library tells.
    let schema = "CREATE VIRTUAL TABLE v USING keeps;";
    app.refuses(
        "unsupported_change",
        &["other", "v", "keeps", "extensions"],
        |app| app.publish(schema, "{}"),
    );
    app.publish(schema, &with_library("")).unwrap();
    assert_eq!(tables(&app), "v v_late v_rows v_rows_00");
}

/// Every table that is named as one of a module's, and is none.
fn a_table_named_like_one_of_a_modules_is_a_table(table: &str, virtual_table: &str) {
    let schema = |columns: &str| {
        format!(
            "CREATE TABLE {table} (id INTEGER PRIMARY KEY, body{columns}); CREATE VIRTUAL TABLE {virtual_table};"
        )
    };
    let app = App::on(&format!(
        "{} INSERT INTO {table} (body) VALUES ('words');",
        schema("")
    ));
    app.publish(&schema(", more"), "{}").unwrap();
    assert_eq!(
        app.ask(&format!("SELECT id, body, more FROM {table}")),
        "1|words|"
    );
    let gone = format!("CREATE TABLE t (a); CREATE VIRTUAL TABLE {virtual_table};");
    if virtual_table.contains("doc_content") {
        // FTS4 without columns cannot even be declared without it.
        let code = if virtual_table.contains("(content") {
            "schema_invalid"
        } else {
            "check_failed"
        };
        app.refuses(code, &["doc_content"], |app| {
            app.publish(&gone, r#"{"allow": ["drop"]}"#)
        });
    } else {
        app.publish(&gone, r#"{"allow": ["drop"]}"#).unwrap();
        assert!(!tables(&app).contains(table), "{}", tables(&app));
    }
}

cases! { a_table_named_like_one_of_a_modules_is_a_table:
    {
        fts5_with_content(
            "doc_content",
            "doc USING fts5 (body, content = 'doc_content')",
        ),
        fts5_contentless("doc_content", "doc USING fts5 (body, content = '')"),
        fts4_with_content(
            "doc_content",
            "doc USING fts4 (body, content=\"doc_content\")",
        ),
        fts4_with_content_alone("doc_content", "doc USING fts4 (content=\"doc_content\")"),
        fts4_contentless("doc_content", "doc USING fts4 (body, content=\"\")"),
        fts3_stat("page_stat", "page USING fts3 (body)"),
        fts3_docsize("page_docsize", "page USING fts3 (body)"),
        fts4_stat_of_fts3("page_stat", "page USING fts4 (body, matchinfo=fts3)"),
        fts4_docsize_of_fts3("page_docsize", "page USING fts4 (body, matchinfo=fts3)"),
        fts5_without_columnsize("f_docsize", "f USING fts5 (body, columnsize = 0)"),
        fts5vocab("f_content", "f USING fts5vocab (f2, row)"),
        fts5_stat("f_stat", "f USING fts5 (body)"),
        rtree("box_data", "box USING rtree (id, x0, x1)"),
        rtree_i32("box_stat", "box USING rtree_i32 (id, x0, x1)"),
    }
}

/// FTS3 makes the table of its settings when the first is set; it is told from another of that name
/// by what it is made of.
#[test]
fn the_settings_of_fts3_are_its_own() {
    let schema = "CREATE TABLE t (a); CREATE VIRTUAL TABLE page USING fts3 (body);";
    let app = App::on(&format!(
        "{schema} INSERT INTO page VALUES ('words'); INSERT INTO page (page) VALUES ('automerge=4');"
    ));
    assert!(tables(&app).contains("page_stat"));
    app.publish(
        "CREATE TABLE t (a, b); CREATE VIRTUAL TABLE page USING fts3 (body);",
        "{}",
    )
    .unwrap();
    assert_eq!(app.ask("SELECT value FROM page_stat WHERE id = 2"), "4");
}

/// FTS3 drops and renames tables of these names, whosever they are.
#[test]
fn a_table_that_fts3_would_take_along_is_named() {
    for table in ["page_stat", "page_docsize"] {
        let app = App::on(&format!(
            "CREATE TABLE {table} (a); CREATE VIRTUAL TABLE page USING fts3 (body);"
        ));
        for schema in [
            "",
            "CREATE VIRTUAL TABLE page USING fts3 (body, more);",
            "CREATE VIRTUAL TABLE sheet USING fts3 (body);",
        ] {
            let options = if schema.contains("sheet") {
                r#"{"renames": ["page=sheet"]}"#
            } else {
                "{}"
            };
            let schema = format!("CREATE TABLE {table} (a); {schema}");
            app.refuses("unsupported_change", &[table, "page", "fts3"], |app| {
                app.publish(&schema, options)
            });
        }
        // Both may go at once.
        app.publish("CREATE TABLE t (a);", r#"{"allow": ["drop"]}"#)
            .unwrap();
        assert_eq!(tables(&app), "t");
    }
}

fn a_column_of_a_virtual_table_under_another_name_is_asked_about_and_can_be_told(
    old: &str,
    new: &str,
    from: &str,
    to: &str,
    row: &str,
) {
    let make = || {
        App::on(&format!(
            "CREATE VIRTUAL TABLE {old}; INSERT INTO f VALUES {row};"
        ))
    };
    let schema = format!("CREATE VIRTUAL TABLE {new};");
    let app = make();
    let value = app.ask(&format!("SELECT {from} FROM f"));
    let id = app.ask("SELECT rowid FROM f");
    let e = app.refuses("ambiguous_rename", &["f", from, to], |app| {
        app.publish(&schema, "{}")
    });
    let hint = e.detail().hint.as_ref().unwrap().to_string();
    assert!(hint.contains(&format!("f.{from}={to}")), "{hint}");
    app.publish(&schema, &format!(r#"{{"renames": ["f.{from}={to}"]}}"#))
        .unwrap();
    assert_eq!(
        app.ask(&format!("SELECT {to}, rowid FROM f")),
        format!("{value}|{id}")
    );
    assert_eq!(app.publish(&schema, "{}").unwrap().statements.len(), 0);

    let app = make();
    let place = new.rfind(to).unwrap();
    let sign = if new[..place].ends_with('+') { 1 } else { 0 };
    let (before, after) = new.split_at(place - sign);
    let told = format!("CREATE VIRTUAL TABLE {before}\n/* @renamed from={from} */ {after};");
    app.publish(&told, "{}")
        .unwrap_or_else(|e| panic!("{told}: {e}"));
    assert_eq!(app.ask(&format!("SELECT {to} FROM f")), value, "{told}");
    app.publish(&told, "{}").unwrap();

    let app = make();
    let outcome = app.publish(&schema, r#"{"allow": ["drop"]}"#).unwrap();
    assert!(
        outcome.warnings.iter().any(|w| w.contains(from)),
        "{:?}",
        outcome.warnings
    );
}

cases! { a_column_of_a_virtual_table_under_another_name_is_asked_about_and_can_be_told:
    {
        fts5(
            "f USING fts5 (title, body)",
            "f USING fts5 (heading, body)",
            "title",
            "heading",
            "('one', 'two')",
        ),
        fts5_unindexed(
            "f USING fts5 (title UNINDEXED, body)",
            "f USING fts5 (heading UNINDEXED, body)",
            "title",
            "heading",
            "('one', 'two')",
        ),
        fts4(
            "f USING fts4 (title, body)",
            "f USING fts4 (heading, body)",
            "title",
            "heading",
            "('one', 'two')",
        ),
        fts3(
            "f USING fts3 (title, body)",
            "f USING fts3 (heading, body)",
            "title",
            "heading",
            "('one', 'two')",
        ),
        fts4_to_fts5(
            "f USING fts4 (title, body)",
            "f USING fts5 (heading, body)",
            "title",
            "heading",
            "('one', 'two')",
        ),
        rtree_auxiliary(
            "f USING rtree (id, x0, x1, +label)",
            "f USING rtree (id, x0, x1, +name)",
            "label",
            "name",
            "(1, 0, 1, 'one')",
        ),
        rtree_i32_auxiliary(
            "f USING rtree_i32 (id, x0, x1, +label)",
            "f USING rtree_i32 (id, x0, x1, +name)",
            "label",
            "name",
            "(1, 0, 1, 'one')",
        ),
        rtree_coordinate(
            "f USING rtree (id, x0, x1)",
            "f USING rtree (id, min, x1)",
            "x0",
            "min",
            "(1, 0, 1)",
        ),
    }
}

/// Debian's SQLite has no Geopoly: here the embedded one writes.
#[test]
fn a_column_of_geopoly_under_another_name_is_asked_about_and_can_be_told() {
    let app = App::on("CREATE TABLE t (a); CREATE TABLE f_content (a);");
    remy_db::engine::init();
    let conn = rusqlite::Connection::open(&app.live).unwrap();
    conn.execute_batch(
        "CREATE VIRTUAL TABLE f USING geopoly (label); INSERT INTO f VALUES ('[[0,0],[1,0],[1,1],[0,0]]', 'one')",
    )
    .unwrap();
    let schema = "CREATE TABLE t (a); CREATE TABLE f_content (a, b); CREATE VIRTUAL TABLE f USING geopoly (name);";
    assert_eq!(
        app.publish(schema, "{}").unwrap_err().code(),
        "ambiguous_rename"
    );
    app.publish(schema, r#"{"renames": ["f.label=name"]}"#)
        .unwrap();
    let seen = "SELECT rowid || name || geopoly_json(_shape) FROM f";
    let seen: String = conn.query_row(seen, [], |row| row.get(0)).unwrap();
    assert_eq!(seen, "1one[[0.0,0.0],[1.0,0.0],[1.0,1.0],[0.0,0.0]]");
}

#[test]
fn the_key_of_an_r_tree_is_its_first_column_whatever_its_name() {
    let app =
        App::on("CREATE VIRTUAL TABLE f USING rtree (id, x0, x1); INSERT INTO f VALUES (7, 1, 2);");
    app.publish("CREATE VIRTUAL TABLE f USING rtree (place, x0, x1);", "{}")
        .unwrap();
    assert_eq!(app.ask("SELECT place, x0, x1 FROM f"), "7|1.0|2.0");
}

#[test]
fn a_virtual_table_that_goes_beside_another_is_asked_about_and_can_be_renamed() {
    let app =
        App::on("CREATE VIRTUAL TABLE docs USING fts5 (body); INSERT INTO docs VALUES ('words');");
    let schema = "CREATE VIRTUAL TABLE texts USING fts5 (body);";
    app.refuses("ambiguous_rename", &["docs", "texts"], |app| {
        app.publish(schema, "{}")
    });
    app.publish(schema, r#"{"renames": ["docs=texts"]}"#)
        .unwrap();
    assert_eq!(
        app.ask("SELECT body FROM texts WHERE texts MATCH 'words'"),
        "words"
    );
    let told = "/* @renamed from=texts */ CREATE VIRTUAL TABLE docs USING fts5 (body);";
    app.publish(told, "{}").unwrap();
    assert_eq!(app.ask("SELECT body FROM docs"), "words");
    // An index of another table is no content of its own.
    let app = App::on(
        "CREATE TABLE t (a); INSERT INTO t VALUES ('x'); CREATE VIRTUAL TABLE f USING fts5 (a, content = 't');",
    );
    app.publish(
        "CREATE TABLE t (a); CREATE VIRTUAL TABLE g USING fts5 (a, content = 't');",
        "{}",
    )
    .unwrap();
    assert_eq!(app.ask("SELECT count(*) FROM g WHERE g MATCH 'x'"), "1");
}

#[test]
fn the_settings_of_a_full_text_table_survive_its_rebuild() {
    let app = App::on(
        "CREATE TABLE t (a); INSERT INTO t VALUES ('x');
         CREATE VIRTUAL TABLE own USING fts5 (title, body); INSERT INTO own VALUES ('one', 'two');
         INSERT INTO own (own, rank) VALUES ('rank', 'bm25(10.0, 5.0)'); INSERT INTO own (own, rank) VALUES ('automerge', 3);
         INSERT INTO own (own, rank) VALUES ('pgsz', 512);
         CREATE VIRTUAL TABLE other USING fts5 (a, content = 't'); INSERT INTO other (other) VALUES ('rebuild');
         INSERT INTO other (other, rank) VALUES ('usermerge', 7);
         CREATE VIRTUAL TABLE four USING fts4 (body, languageid='lang'); INSERT INTO four (body, lang) VALUES ('x', 5), ('y', 0);
         INSERT INTO four (four) VALUES ('automerge=6');",
    );
    let settings = |table: &str| {
        app.ask(&format!(
            "SELECT k, v FROM {table}_config WHERE k <> 'version' ORDER BY k"
        ))
    };
    let before = (settings("own"), settings("other"));
    app.publish(
        "CREATE TABLE t (a); CREATE VIRTUAL TABLE own USING fts5 (title, body, tokenize = 'porter');
         CREATE VIRTUAL TABLE other USING fts5 (a, content = 't', prefix = 2);
         CREATE VIRTUAL TABLE four USING fts4 (body, languageid='tongue', prefix=\"2\");",
        "{}",
    )
    .unwrap();
    assert_eq!((settings("own"), settings("other")), before);
    assert_eq!(before.0, "automerge|3\npgsz|512\nrank|bm25(10.0, 5.0)");
    assert_eq!(app.ask("SELECT body, tongue FROM four"), "x|5\ny|0");
    assert_eq!(
        app.ask("SELECT body FROM four WHERE four MATCH 'x' AND tongue = 5"),
        "x"
    );
    assert_eq!(app.ask("SELECT value FROM four_stat WHERE id = 2"), "6");
    assert_eq!(
        app.ask("SELECT count(*) FROM other WHERE other MATCH 'x'"),
        "1"
    );
}

#[test]
fn an_index_without_content_is_not_made_anew_in_silence() {
    let app = App::on(
        "CREATE VIRTUAL TABLE f USING fts5 (a, content = ''); INSERT INTO f (rowid, a) VALUES (1, 'x');",
    );
    let e = app.refuses("unsupported_change", &["f", "no content"], |app| {
        app.publish(
            "CREATE VIRTUAL TABLE f USING fts5 (b, content = '');",
            r#"{"allow": ["drop", "lossy"]}"#,
        )
    });
    assert!(
        e.detail()
            .hint
            .as_ref()
            .unwrap()
            .to_string()
            .contains("migration"),
        "{e}"
    );
    // Content that is kept here goes with a word, where the text is to be found elsewhere from now
    // on.
    let app = App::on(
        "CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('x'); CREATE TABLE t (a);",
    );
    let outcome = app
        .publish(
            "CREATE TABLE t (a); CREATE VIRTUAL TABLE f USING fts5 (a, content = 't');",
            "{}",
        )
        .unwrap();
    assert!(
        outcome.warnings.iter().any(|w| w == "f loses 1 row"),
        "{:?}",
        outcome.warnings
    );
}

fn a_full_text_table_of_one_version_becomes_one_of_another(old: &str, new: &str) {
    let app = App::on(&format!(
        "CREATE VIRTUAL TABLE f USING {old} (a, b); INSERT INTO f (rowid, a, b) VALUES (7, 'one', 'two'), (9, 'three', NULL);"
    ));
    app.publish(&format!("CREATE VIRTUAL TABLE f USING {new} (a, b);"), "{}")
        .unwrap();
    assert_eq!(
        app.ask("SELECT rowid, a, b FROM f ORDER BY 1"),
        "7|one|two\n9|three|"
    );
    assert_eq!(app.ask("SELECT rowid FROM f WHERE f MATCH 'three'"), "9");
}

cases! { a_full_text_table_of_one_version_becomes_one_of_another:
    {
        fts3_to_fts4("fts3", "fts4"),
        fts4_to_fts5("fts4", "fts5"),
        fts5_to_fts4("fts5", "fts4"),
    }
}

#[test]
fn a_full_text_table_does_not_become_an_rtree() {
    let app = App::on("CREATE VIRTUAL TABLE f USING fts5 (a);");
    app.refuses(
        "unsupported_change",
        &["f", "fts5", "rtree", "migration"],
        |app| app.publish("CREATE VIRTUAL TABLE f USING rtree (id, x0, x1);", "{}"),
    );
}

fn an_index_over_a_view_is_filled_once_the_view_is_there(module: &str) {
    let app =
        App::on("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t (a) VALUES ('words');");
    let schema = |view: &str, module: &str| {
        format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a); {view} CREATE VIRTUAL TABLE f USING {module};"
        )
    };
    let view = "CREATE VIEW dv AS SELECT id AS rowid, a FROM t;";
    app.publish(&schema(view, module), "{}").unwrap();
    assert_eq!(app.ask("SELECT count(*) FROM f WHERE f MATCH 'words'"), "1");
    let view = "CREATE VIEW dv AS SELECT id AS rowid, a || ' more' AS a FROM t;";
    let module = module.replace(')', ", prefix=\"2\")");
    app.publish(&schema(view, &module), "{}").unwrap();
    assert_eq!(app.ask("SELECT count(*) FROM f WHERE f MATCH 'more'"), "1");
    // The view alone changes: its index as well.
    app.publish(
        &schema(
            "CREATE VIEW dv AS SELECT id AS rowid, 'other' AS a FROM t;",
            &module,
        ),
        "{}",
    )
    .unwrap();
    assert_eq!(app.ask("SELECT count(*) FROM f WHERE f MATCH 'other'"), "1");
}

cases! { an_index_over_a_view_is_filled_once_the_view_is_there:
    {
        fts5("fts5 (a, content = 'dv')"),
        fts4("fts4 (a, content=\"dv\")"),
        fts4_content_alone("fts4 (content=\"dv\")"),
    }
}

#[test]
fn an_index_of_another_virtual_table_keeps_its_own() {
    let schema = |more: &str| {
        format!(
            "CREATE TABLE t (a{more}); CREATE VIRTUAL TABLE texts USING fts5 (body);
             CREATE VIRTUAL TABLE again USING fts4 (body, content=\"texts\"); CREATE VIRTUAL TABLE same USING fts4 (content=\"texts\");"
        )
    };
    let app = App::on(&format!(
        "{} INSERT INTO texts VALUES ('words'); INSERT INTO again (again) VALUES ('rebuild');",
        schema("")
    ));
    let outcome = app.publish(&schema(", b"), "{}").unwrap();
    assert_eq!(outcome.statements.len(), 1, "{:?}", outcome.statements);
    assert_eq!(
        app.ask("SELECT count(*) FROM again WHERE again MATCH 'words'"),
        "1"
    );
}

#[test]
fn truncate_empties_what_virtual_tables_keep_and_leaves_those_that_only_show() {
    let app = App::on(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t (a) VALUES ('x');
         CREATE VIEW dv AS SELECT id AS rowid, a FROM t;
         CREATE VIRTUAL TABLE f5 USING fts5 (a); INSERT INTO f5 VALUES ('x');
         CREATE VIRTUAL TABLE f4 USING fts4 (a); INSERT INTO f4 VALUES ('x');
         CREATE VIRTUAL TABLE e5 USING fts5 (a, content = 't'); INSERT INTO e5 (e5) VALUES ('rebuild');
         CREATE VIRTUAL TABLE e4 USING fts4 (a, content=\"t\"); INSERT INTO e4 (e4) VALUES ('rebuild');
         CREATE VIRTUAL TABLE v5 USING fts5 (a, content = 'dv'); INSERT INTO v5 (v5) VALUES ('rebuild');
         CREATE VIRTUAL TABLE c5 USING fts5 (a, content = ''); INSERT INTO c5 (rowid, a) VALUES (1, 'x');
         CREATE VIRTUAL TABLE c4 USING fts4 (a, content=\"\"); INSERT INTO c4 (docid, a) VALUES (1, 'x');
         CREATE VIRTUAL TABLE vocab USING fts5vocab (f5, row); CREATE VIRTUAL TABLE aux USING fts4aux (f4);
         CREATE VIRTUAL TABLE pages USING dbstat; CREATE VIRTUAL TABLE tokens USING fts3tokenize (simple);
         CREATE VIRTUAL TABLE r USING rtree (id, x0, x1, +label); INSERT INTO r VALUES (1, 0, 1, 'x');
         CREATE VIRTUAL TABLE i USING rtree_i32 (id, x0, x1); INSERT INTO i VALUES (1, 0, 1);
         CREATE TABLE f5_notes (a); INSERT INTO f5_notes VALUES (1);",
    );
    app.remy().dev_start("me").unwrap();
    app.remy().dev_truncate("me").unwrap();
    let dev = app.store("dev/me.db");
    let counts = [
        "t", "f5", "f4", "e5", "e4", "v5", "vocab", "aux", "r", "i", "f5_notes",
    ]
    .map(|t| format!("(SELECT count(*) FROM {t})"));
    assert_eq!(
        remy_tests::shell(&dev, &format!("SELECT {}", counts.join(" + "))),
        "0\n"
    );
    let found = ["e5", "e4", "v5", "c5", "c4"]
        .map(|t| format!("(SELECT count(*) FROM {t} WHERE {t} MATCH 'x')"));
    assert_eq!(
        remy_tests::shell(&dev, &format!("SELECT {}", found.join(" + "))),
        "0\n"
    );
    assert_eq!(app.ask("SELECT count(*) FROM f5"), "1");
}

#[test]
fn truncate_names_a_virtual_table_that_it_cannot_empty() {
    let app = App::on("CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    with_module(
        &app,
        "CREATE VIRTUAL TABLE v USING keeps; INSERT INTO v VALUES ('x')",
    );
    app.remy().dev_start("me").unwrap();
    let e = app.remy().dev_truncate("me").unwrap_err();
    assert_eq!(e.code(), "unsupported_change", "{e}");
    assert!(
        e.to_string().contains("v cannot be emptied") && e.to_string().contains("keeps"),
        "{e}"
    );
    assert_eq!(
        remy_tests::shell(&app.store("dev/me.db"), "SELECT count(*) FROM t"),
        "1\n"
    );
}

/// What reads a table of a module that is not here is judged all the same, as far as it reads
/// others.
fn a_module_that_is_not_here_hides_nothing(object: &str, words: &str) {
    let module = "CREATE VIRTUAL TABLE v USING keeps;";

    let app = App::on("CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, 2, 3);");
    with_module(
        &app,
        &format!("{module} INSERT INTO v VALUES ('x'); {object}"),
    );
    let words = [words, "no such column"];
    app.refuses("check_failed", &words, |app| {
        app.publish(&format!("CREATE TABLE t (a, c); {module} {object}"), "{}")
    });
    // What it does not name may go, and what it names may be called otherwise where it says so.
    app.publish(&format!("CREATE TABLE t (a, b); {module} {object}"), "{}")
        .unwrap();
    let renamed = object
        .replace("t.b", "t.d")
        .replace(".*, b", ".*, d")
        .replace("new.b", "new.d")
        .replace("old.b", "old.d");
    app.publish(
        &format!("CREATE TABLE t (a, d); {module} {renamed}"),
        r#"{"renames":["t.b=d"]}"#,
    )
    .unwrap_or_else(|e| panic!("{renamed}: {e}"));
    assert_eq!(with_module(&app, "SELECT body FROM v"), "x");
}

cases! { a_module_that_is_not_here_hides_nothing:
    {
        view_of_a_join(
            "CREATE VIEW w AS SELECT v.body, t.b FROM v JOIN t ON t.a = v.rowid;",
            "the view w",
        ),
        view_of_a_view(
            "CREATE VIEW u AS SELECT body FROM v; CREATE VIEW w AS SELECT u.*, b FROM u, t WHERE body <> '';",
            "the view w",
        ),
        trigger_with_columns(
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO v (body) VALUES (new.b); END;",
            "trigger r",
        ),
        trigger_without_columns(
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO v VALUES (new.b); END;",
            "trigger r",
        ),
        trigger_of_a_delete(
            "CREATE TRIGGER r AFTER DELETE ON t BEGIN DELETE FROM v WHERE body = old.b AND hidden_one = 3; END;",
            "trigger r",
        ),
    }
}
