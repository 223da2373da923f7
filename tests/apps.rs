//! An app's tables, published from its mindstudio.json: what comes of them in the database, and
//! what does not.
use remy_db::{
    Options, Outcome, Progress, Reached, ReleaseId, Remy, Statement, StatementKind, StepOutcome,
};
use remy_tests::{built, shell};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

/// An app in a folder, TypeScript and mindstudio.json, and a database beside it: what is published
/// is the folder, and no schema.
struct Project {
    dir: tempfile::TempDir,
    live: PathBuf,
}

impl Project {
    /// On a database that `sql` makes.
    fn on(sql: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("live.db");
        fs::write(&live, "").unwrap();
        if !sql.is_empty() {
            shell(&live, sql);
        }
        Self { dir, live }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Declares these tables, each by its name and what stands between `<` and the end of the call,
    /// and nothing else.
    fn declares(&self, tables: &[(&str, &str)]) -> &Self {
        let mut entries = Vec::new();
        for (i, (name, define)) in tables.iter().enumerate() {
            let (tags, define) = define
                .split_once('\n')
                .filter(|(t, _)| t.starts_with("/**"))
                .unwrap_or(("", define));
            let path = format!("dist/methods/src/tables/t{i}.ts");
            let text = format!(
                "import {{ db }} from '@mindstudio-ai/agent';\n{tags}\nexport const T = db.defineTable<{define};\n"
            );
            self.file(&path, &text);
            entries.push(json!({"name": name, "path": path, "export": "T"}));
        }
        self.file(
            "mindstudio.json",
            &json!({"name": "test", "methods": [], "tables": entries}).to_string(),
        );
        self
    }

    fn manifest(&self) -> String {
        self.dir
            .path()
            .join("mindstudio.json")
            .display()
            .to_string()
    }

    fn remy(&self) -> Remy {
        Remy::open(&self.live).unwrap()
    }

    fn try_publish(&self, options: &str) -> remy_db::Result<Outcome> {
        let options = Options::from_json(options).unwrap();
        self.remy()
            .publish(&self.manifest(), &options, Progress::none())
    }

    fn publish(&self) -> Outcome {
        self.try_publish("{}").unwrap_or_else(|e| panic!("{e}"))
    }

    fn diff(&self) -> Vec<Statement> {
        self.remy()
            .diff(&self.manifest(), &Options::default())
            .unwrap_or_else(|e| panic!("{e}"))
    }

    fn ask(&self, sql: &str) -> String {
        shell(&self.live, sql).trim_end().to_owned()
    }

    /// A publish and a diff of what is live already have nothing to do, and rows of every table can
    /// be written.
    fn is_settled(&self) {
        let again = self.publish();
        assert!(
            again.statements.is_empty(),
            "{:?}",
            kinds(&again.statements)
        );
        assert!(self.diff().is_empty());
        assert!(self.remy().verify().unwrap().ok);
    }
}

fn kinds(statements: &[Statement]) -> Vec<String> {
    statements
        .iter()
        .map(|s| format!("{} {}", s.kind, s.object))
        .collect()
}

fn refused(app: &Project, code: &str) -> String {
    let before = app.ask("SELECT group_concat(sql) FROM sqlite_schema");
    let e = app.try_publish("{}").expect_err("it was published");
    assert_eq!(e.code(), code, "{e}");
    assert_eq!(
        app.ask("SELECT group_concat(sql) FROM sqlite_schema"),
        before,
        "live was changed"
    );
    e.to_string()
}

const VENDORS: &str = "{ name: string; contactEmail: string; paymentTerms?: string; active: boolean; tags: string[] }>('vendors', { unique: [['contactEmail']], defaults: { active: true } })";
const OTHERS: &str = "{ a: string }>('others')";
const UUID: &str = "id GLOB '????????-????-4???-[89ab]???-????????????' AND replace(id, '-', '') NOT GLOB '*[^0-9a-f]*'";

#[test]
fn the_life_of_an_app() {
    let app = Project::on("");
    app.declares(&[("vendors", VENDORS)]);
    let first = app.publish();
    let expected = [
        "create_table vendors",
        "create_index vendors_created_at",
        "create_index vendors_contactEmail_unique",
        "create_trigger vendors_updated_at",
    ];
    assert_eq!(kinds(&first.statements), expected);
    assert_eq!(
        app.ask("SELECT group_concat(name || ' ' || type, ', ') FROM pragma_table_info('vendors')"),
        "id TEXT, created_at INTEGER, updated_at INTEGER, last_updated_by TEXT, name TEXT, contactEmail TEXT, paymentTerms TEXT, \
         active INTEGER, tags TEXT"
    );
    assert_eq!(
        app.ask("SELECT group_concat(column_name || ' ' || type || ' ' || required, ', ') FROM _remy_columns WHERE column_name NOT IN ('id', 'created_at', 'updated_at', 'last_updated_by')"),
        "active boolean 1, contactEmail text 1, name text 1, paymentTerms text 0, tags json 1"
    );
    defaults_fill_a_row_in(&app);
    updates_are_stamped(&app);
    app.is_settled();
    app.declares(&[("vendors", VENDORS), ("others", OTHERS)])
        .publish();
    tables_and_columns_come_and_go(&app);
    another_default_is_no_change(&app);
    back_at_the_first(&app, first.release);
}

/// DEFAULTs fill a row in, so that RETURNING shows it whole.
fn defaults_fill_a_row_in(app: &Project) {
    let now = i128::try_from(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap();
    let row = app.ask(&format!(
        "INSERT INTO vendors (name, contactEmail, paymentTerms) VALUES ('Ann', 'a@x', '30 days')
         RETURNING {UUID}, created_at = updated_at, typeof(created_at), created_at, last_updated_by IS NULL"
    ));
    let parts: Vec<&str> = row.split('|').collect();
    assert_eq!(
        (parts[0], parts[1], parts[2], parts[4]),
        ("1", "1", "integer", "1"),
        "{row}"
    );
    let written: i128 = parts[3].parse().unwrap();
    assert!(
        (written - now).abs() < 600_000,
        "{written} is not the time {now}, in milliseconds"
    );
    app.ask("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO vendors (name) SELECT i FROM n");
    let ids = app.ask(&format!(
        "SELECT count(DISTINCT id), min({UUID}), count(DISTINCT substr(id, 20, 1)) FROM vendors"
    ));
    assert_eq!(
        ids, "501|1|4",
        "ids differ, are version 4, and of all four variants"
    );
    let clash = remy_tests::output(
        std::process::Command::new("sqlite3")
            .arg(&app.live)
            .arg("INSERT INTO vendors (contactEmail) VALUES ('a@x')"),
    );
    assert!(
        String::from_utf8_lossy(&clash.stderr)
            .contains("UNIQUE constraint failed: vendors.contactEmail"),
        "{clash:?}"
    );
}

/// The trigger: updated_at goes up every time, also within one millisecond, and says who.
fn updates_are_stamped(app: &Project) {
    let updates = app.ask(
        "PRAGMA recursive_triggers = on;
         BEGIN; UPDATE _remy_session SET user_id = 'u1';
         SELECT updated_at FROM vendors WHERE name = 'Ann';
         UPDATE vendors SET paymentTerms = '1' WHERE name = 'Ann'; SELECT updated_at FROM vendors WHERE name = 'Ann';
         UPDATE vendors SET paymentTerms = '2' WHERE name = 'Ann'; SELECT updated_at FROM vendors WHERE name = 'Ann';
         UPDATE vendors SET paymentTerms = '30 days' WHERE name = 'Ann'; SELECT updated_at FROM vendors WHERE name = 'Ann';
         UPDATE _remy_session SET user_id = NULL; COMMIT;",
    );
    let times: Vec<i64> = updates.lines().map(|line| line.parse().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    assert_eq!(
        app.ask(
            "SELECT last_updated_by, created_at = (SELECT min(created_at) FROM vendors) FROM vendors WHERE name = 'Ann'"
        ),
        "u1|1"
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM vendors WHERE last_updated_by IS NOT NULL OR updated_at <> created_at"),
        "1",
        "other rows are as they were"
    );
}

/// A column comes with its default, one goes, a table comes, another group is unique.
fn tables_and_columns_come_and_go(app: &Project) {
    app.declares(&[
        ("vendors", "{ name: string; contactEmail: string; notes: string; active: boolean; tags: string[] }>('vendors', { unique: [['name', 'contactEmail']], defaults: { active: true, notes: \"it's new\" } })"),
        ("invoices", "{ vendor: string; total: number }>('invoices')"),
        ("others", OTHERS),
    ]);
    let planned = kinds(&app.diff());
    let second = app.publish();
    assert_eq!(kinds(&second.statements), planned);
    assert!(
        !planned.iter().any(|did| did.contains("others")),
        "what does not change stays where it is: {planned:?}"
    );
    assert!(
        second
            .statements
            .iter()
            .any(|s| s.sql
                == "ALTER TABLE \"vendors\" ADD COLUMN \"notes\" TEXT DEFAULT 'it''s new'"),
        "{planned:?}"
    );
    let dropped = second
        .statements
        .iter()
        .find(|s| s.kind == StatementKind::DropColumn)
        .unwrap();
    assert_eq!(
        (
            dropped.object.as_str(),
            dropped.needs,
            dropped.loses.as_deref()
        ),
        (
            "vendors.paymentTerms",
            None,
            Some("501 rows, 1 with a value in paymentTerms")
        )
    );
    assert!(
        second
            .statements
            .iter()
            .all(|s| s.kind != StatementKind::RebuildTable),
        "{planned:?}"
    );
    a_rename_is_not_guessed(&second);
    assert_eq!(
        app.ask("SELECT count(*), min(notes), max(notes) FROM vendors"),
        "501|it's new|it's new",
        "old rows read the default"
    );
    app.ask("INSERT INTO vendors (name, contactEmail) VALUES ('Bea', 'a@x'); INSERT INTO invoices (total) VALUES (1)");
    assert_eq!(app.ask("SELECT typeof(total) FROM invoices"), "real");
    app.is_settled();
}

/// A column that goes beside one that comes is said, with the words that would make it a rename.
fn a_rename_is_not_guessed(second: &Outcome) {
    let meant = "vendors loses paymentTerms and gains notes: taken as meant. If one is another under a new name, write /** @renamed from=paymentTerms */ above it";
    assert!(
        second.warnings.iter().any(|w| w == meant),
        "{:?}",
        second.warnings
    );
    assert!(
        second
            .log
            .iter()
            .any(|line| line.outcome == StepOutcome::Warning && line.message == meant)
    );
}

/// A default is those who write's: another is no change of the schema.
fn another_default_is_no_change(app: &Project) {
    app.declares(&[
        ("vendors", "{ name: string; contactEmail: string; notes?: string; active: boolean; tags: string[] }>('vendors', { unique: [['contactEmail', 'name']], defaults: { notes: 'else' } })"),
        ("invoices", "{ vendor: string; total: number }>('invoices')"),
        ("others", OTHERS),
    ]);
    app.is_settled();
    assert_eq!(
        app.ask("SELECT required FROM _remy_columns WHERE column_name = 'notes'"),
        "0"
    );
}

/// Back to the first, with the types that it had.
fn back_at_the_first(app: &Project, first: ReleaseId) {
    app.remy()
        .rollback(Some(first), &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        app.ask("SELECT paymentTerms FROM vendors WHERE name = 'Ann'"),
        "30 days"
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM _remy_columns WHERE table_name = 'invoices' OR column_name = 'notes'"),
        "0"
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM sqlite_schema WHERE name = 'invoices'"),
        "0"
    );
    app.ask("UPDATE vendors SET name = 'Anna' WHERE name = 'Ann'");
    assert!(app.remy().verify().unwrap().ok);
}

#[test]
fn through_the_extension_of_another_sqlite() {
    let app = Project::on("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)");
    app.declares(&[("vendors", VENDORS)]);
    let load = format!(".load {}", built("libremy0.so").display());
    let run = |sql: &str| {
        let command = format!("{load}\n{sql}\n");
        let input = app.dir.path().join("input.sql");
        fs::write(&input, command).unwrap();
        remy_tests::stdout(
            std::process::Command::new("sqlite3")
                .arg("-batch")
                .arg("-bail")
                .arg(&app.live)
                .arg(format!(".read {}", input.display())),
        )
        .trim_end()
        .to_owned()
    };
    let m = app.manifest();
    // It has no methods, and so is no app that could be built.
    let tables_alone = r#"'{"effects": {}}'"#;
    assert_eq!(
        run(&format!(
            "SELECT kind || ' ' || object FROM remy_diff('{m}') LIMIT 1;"
        )),
        "create_table vendors"
    );
    assert_eq!(
        run(&format!(
            "SELECT remy_publish('{m}', {tables_alone}) ->> '$.status';"
        )),
        "live"
    );
    assert_eq!(run(&format!("SELECT count(*) FROM remy_diff('{m}');")), "0");
    assert_eq!(
        app.ask(&format!(
            "INSERT INTO vendors (name) VALUES ('Ann') RETURNING {UUID}"
        )),
        "1"
    );
    app.declares(&[(
        "vendors",
        &VENDORS.replace("paymentTerms?: string", "notes?: string"),
    )]);
    let warnings = run(&format!(
        "SELECT remy_publish('{m}', {tables_alone}) ->> '$.warnings';"
    ));
    assert!(
        warnings.contains("@renamed from=paymentTerms") && warnings.contains("mine: left alone"),
        "{warnings}"
    );
    assert_eq!(run("SELECT remy_rollback() ->> '$.status';"), "live");
    assert_eq!(
        app.ask("SELECT count(paymentTerms), (SELECT count(*) FROM vendors), (SELECT x FROM mine) FROM vendors"),
        "0|1|1"
    );
    assert_eq!(
        app.ask("UPDATE vendors SET name = 'Bea' RETURNING name"),
        "Bea"
    );
}

#[test]
fn a_type_change_is_refused_until_it_is_asked_for() {
    let app = Project::on("");
    app.declares(&[("t", "{ tags: string; amount: string; flag: number }>('t')")])
        .publish();
    app.ask("INSERT INTO t (tags, amount, flag) VALUES ('[1]', '12.5', 1), ('plain', '007', 0), (NULL, NULL, NULL)");

    is_refused_without_a_cast(&app);
    app.declares(&[("t", CAST)]);
    let outcome = app.publish();
    assert!(
        outcome
            .warnings
            .iter()
            .any(|w| w.contains("t.tags was text and is json")),
        "{:?}",
        outcome.warnings
    );
    assert_eq!(
        app.ask("SELECT tags, amount, typeof(amount), flag, typeof(flag) FROM t"),
        "[1]|12.5|real|1|integer\nplain|7.0|real|0|integer\n||null||null"
    );
    assert_eq!(
        app.ask("SELECT group_concat(type) FROM _remy_columns WHERE column_name IN ('amount', 'flag', 'tags')"),
        "number,boolean,json"
    );
    // Done already, the tags mean nothing; and ids and times came along.
    app.is_settled();
    assert_eq!(
        app.ask(&format!("SELECT min({UUID}), count(created_at) FROM t")),
        "1|3"
    );
    assert_eq!(
        app.ask("UPDATE t SET tags = 'x' WHERE amount = 7 RETURNING tags"),
        "x"
    );

    a_value_that_cannot_be_cast_is_no_reason_to_guess(&app);
}

const CAST: &str = "{ /** @cast */ tags: string[]; /** @cast */ amount: number; /** @cast */ flag: boolean }>('t')";

/// Both columns are TEXT: the change shows in the logical types alone.
fn is_refused_without_a_cast(app: &Project) {
    app.declares(&[(
        "t",
        "{ tags: string[]; amount: string; flag: number }>('t')",
    )]);
    let why = refused(app, "lossy_change");
    for part in [
        "t.tags from text to json",
        "/** @cast */",
        "no leave stands for it in an app",
        "/** @renamed from=tags */",
        "dist/methods/migrations/NNNN_name.sql",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(
        app.remy()
            .diff(&app.manifest(), &Options::default())
            .unwrap_err()
            .code(),
        "lossy_change"
    );
    let allowed = app
        .try_publish(r#"{"allow": ["type_change", "lossy"]}"#)
        .unwrap_err();
    assert!(
        allowed.code() == "lossy_change" && allowed.to_string().contains("no leave stands for it"),
        "{allowed}"
    );
    app.declares(&[(
        "t",
        "{ tags: string[]; amount: number; flag: boolean }>('t')",
    )]);
    let why = refused(app, "lossy_change");
    assert!(
        why.contains(
            "t.tags from text to json; t.amount from text to number; t.flag from number to boolean"
        ),
        "{why}"
    );
}

fn a_value_that_cannot_be_cast_is_no_reason_to_guess(app: &Project) {
    app.declares(&[(
        "t",
        "{ tags: string[]; amount: number; /** @cast */ flag: string }>('t')",
    )])
    .publish();
    app.ask("INSERT INTO t (flag) VALUES ('maybe')");
    assert_eq!(
        app.ask("SELECT group_concat(flag) FROM t"),
        "true,false,maybe"
    );
    app.declares(&[("t", CAST)]);
    let why = refused(app, "check_failed");
    assert!(
        why.contains("t.flag would become boolean from text, and 1 value cannot be converted"),
        "{why}"
    );
    app.ask("UPDATE t SET flag = 'true' WHERE flag = 'maybe'");
    app.publish();
    app.is_settled();
}

#[test]
fn users_are_cast_to_text_and_to_nothing_else() {
    let app = Project::on("");
    let user = |of: &str| {
        format!("{{ {of} }}>('t') as never; import type {{ User }} from '@mindstudio-ai/agent'")
    };
    app.declares(&[("t", &user("by: User"))]).publish();
    assert_eq!(
        app.ask("SELECT type FROM _remy_columns WHERE column_name = 'by'"),
        "user"
    );
    app.declares(&[("t", "{ /** @cast */ by: number }>('t')")]);
    assert!(refused(&app, "lossy_change").contains("@cast */ cannot make number of user"));
    app.declares(&[("t", "{ /** @cast */ by: string }>('t')")])
        .publish();
    app.is_settled();
}

#[test]
fn a_migration_answers_for_the_columns_that_it_names() {
    let app = Project::on("");
    app.declares(&[("t", "{ tags: string; amount: string }>('t')")])
        .publish();
    app.ask("INSERT INTO t (tags, amount) VALUES ('a,b', '5 apples')");
    app.declares(&[("t", "{ tags: string[]; amount: number }>('t')")]);
    // One that is about something else does not.
    app.file(
        "dist/methods/migrations/0001_other.sql",
        "UPDATE t SET amount = amount;",
    );
    assert!(refused(&app, "lossy_change").contains("t.tags from text to json"));
    app.file(
        "dist/methods/migrations/0002_tags.sql",
        "UPDATE t SET tags = json_array('a', 'b');
         ALTER TABLE t ADD COLUMN number REAL; UPDATE t SET number = CAST(amount AS REAL);
         ALTER TABLE t DROP COLUMN amount; ALTER TABLE t RENAME COLUMN number TO amount;",
    );
    assert!(
        app.remy()
            .diff(&app.manifest(), &Options::default())
            .unwrap()
            .iter()
            .all(|s| s.kind == StatementKind::Migration)
    );
    let outcome = app.publish();
    assert_eq!(
        kinds(&outcome.statements),
        ["migration 0001_other.sql", "migration 0002_tags.sql"]
    );
    assert_eq!(app.ask("SELECT tags, amount FROM t"), "[\"a\",\"b\"]|5.0");
    app.is_settled();
    // It ran, and a file that ran may not change.
    app.file("dist/methods/migrations/0001_other.sql", "SELECT 1;");
    assert!(refused(&app, "invalid_argument").contains("0001_other.sql ran before"));
}

#[test]
fn renames_are_told() {
    let app = Project::on("");
    app.declares(&[("vendors", VENDORS)]).publish();
    app.ask(
        "INSERT INTO vendors (name, contactEmail, paymentTerms) VALUES ('Ann', 'a@x', '30 days')",
    );
    let id = app.ask("SELECT id FROM vendors");
    let renamed = "/** @renamed from=vendors */\n{ name: string; /** @renamed from=contactEmail */ email: string; /** @renamed from=paymentTerms */ terms?: string; active: boolean; tags: string[] }>('suppliers', { unique: [['email']] })";
    app.declares(&[("suppliers", renamed)]);
    let outcome = app.publish();
    let did = kinds(&outcome.statements);
    for kind in [
        "rename_table vendors",
        "rename_column suppliers.contactEmail",
        "rename_column suppliers.paymentTerms",
    ] {
        assert!(did.iter().any(|did| did == kind), "{kind}: {did:?}");
    }
    assert!(
        did.iter()
            .all(|did| !did.starts_with("rebuild") && !did.contains("index")),
        "{did:?}"
    );
    assert_eq!(
        app.ask("SELECT id, name, email, terms FROM suppliers"),
        format!("{id}|Ann|a@x|30 days")
    );
    // Both tags stay, and mean nothing any more; the trigger is the new table's.
    app.is_settled();
    assert_eq!(
        app.ask("UPDATE suppliers SET terms = '60' RETURNING terms; SELECT updated_at > created_at FROM suppliers"),
        "60\n1"
    );
    // A rename with a change of the type is asked for twice.
    app.declares(&[(
        "suppliers",
        &renamed.replace(
            "/** @renamed from=paymentTerms */ terms?: string",
            "/** @renamed from=terms */ days?: number",
        ),
    )]);
    assert!(refused(&app, "lossy_change").contains("suppliers.days from text to number"));
    app.declares(&[(
        "suppliers",
        &renamed.replace(
            "/** @renamed from=paymentTerms */ terms?: string",
            "/** @renamed from=terms\n @cast */ days?: number",
        ),
    )])
    .publish();
    assert_eq!(app.ask("SELECT days FROM suppliers"), "60.0");
    app.is_settled();
}

#[test]
fn a_rename_of_a_column_that_is_not_there_is_no_leave_to_drop_another() {
    let app = Project::on("");
    app.declares(&[("vendors", VENDORS)]).publish();
    app.ask(
        "INSERT INTO vendors (name, contactEmail, paymentTerms) VALUES ('Ann', 'a@x', '30 days')",
    );
    let slip = VENDORS.replace("paymentTerms?", "/** @renamed from=payTerms */ terms?");
    app.declares(&[("vendors", &slip)]);
    let why = refused(&app, "ambiguous_rename");
    assert!(
        why.contains("@renamed from=payTerms names no column of vendors, which loses paymentTerms"),
        "{why}"
    );
    app.declares(&[("vendors", &slip.replace("payTerms", "paymentTerms"))])
        .publish();
    assert_eq!(app.ask("SELECT terms FROM vendors"), "30 days");
    // One that stands beside a new column alone may be of a version that this database never had.
    let old = slip.replace(
        "from=payTerms */ terms?",
        "from=paymentTerms */ terms?: string; /** @renamed from=never */ more?",
    );
    let outcome = app.declares(&[("vendors", &old)]).publish();
    assert!(
        outcome
            .warnings
            .iter()
            .any(|warning| warning.contains("more is a new column")),
        "{:?}",
        outcome.warnings
    );
}

#[test]
fn a_table_that_goes_beside_one_that_comes_has_to_be_told_of() {
    let app = Project::on("");
    let (vendors, others) = (
        ("vendors", "{ name: string }>('vendors')"),
        ("others", "{ a: string }>('others')"),
    );
    app.declares(&[vendors, others]).publish();
    // Without rows there is nothing to lose.
    app.declares(&[("vendor", "{ name: string }>('vendor')"), others])
        .publish();
    app.ask("INSERT INTO vendor (name) VALUES ('Ann'), ('Bea')");
    app.declares(&[vendors, others]);
    let why = refused(&app, "ambiguous_rename");
    for part in [
        "the app loses vendor, which has rows, and gains vendors. ",
        "Nothing was changed",
        "\"renames\":[\"vendor=vendors\"]",
        "/** @renamed from=vendor */ above the table's export",
        "\"allow\":[\"drop\"]",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let drop = app
        .diff()
        .into_iter()
        .find(|s| s.kind == StatementKind::DropTable)
        .unwrap();
    assert_eq!(
        (drop.object.as_str(), drop.needs, drop.loses.as_deref()),
        ("vendor", Some(remy_db::Allow::Drop), Some("2 rows"))
    );
    // It is a rename, by an option or by a tag; or it is none.
    app.try_publish(r#"{"renames": ["vendor=vendors"]}"#)
        .unwrap();
    assert_eq!(app.ask("SELECT count(*) FROM vendors"), "2");
    app.declares(&[
        (
            "vendor",
            "/** @renamed from=vendors */\n{ name: string }>('vendor')",
        ),
        others,
    ])
    .publish();
    assert_eq!(app.ask("SELECT count(*) FROM vendor"), "2");
    app.declares(&[vendors, others]);
    app.try_publish(r#"{"allow": ["drop"]}"#).unwrap();
    assert_eq!(
        app.ask(
            "SELECT count(*) FROM vendors; SELECT count(*) FROM sqlite_schema WHERE name = 'vendor'"
        ),
        "0\n0"
    );
    app.is_settled();
    // A table that only goes needs no leave.
    app.ask("INSERT INTO others (a) VALUES ('x')");
    app.declares(&[vendors]).publish();
}

#[test]
fn what_no_release_declared_is_left_alone_and_reported() {
    let app = Project::on(
        "CREATE TABLE log (at TEXT NOT NULL, what TEXT CHECK (what <> '')); CREATE INDEX log_at ON log (at);
         CREATE TABLE vendors (id TEXT PRIMARY KEY, name TEXT); INSERT INTO vendors VALUES ('v1', 'Ann');
         CREATE VIEW names AS SELECT name FROM vendors;
         CREATE TRIGGER logs AFTER INSERT ON log BEGIN UPDATE log SET what = what; END;
         CREATE VIRTUAL TABLE texts USING fts5(body); INSERT INTO log VALUES ('now', 'x');",
    );
    app.declares(&[
        ("vendors", "{ name: string }>('vendors')"),
        ("other", "{ a: string }>('other')"),
    ]);
    let outcome = app.publish();
    let left = "no release of this app declared log, texts: left alone";
    assert!(
        outcome.warnings.iter().any(|w| w == left),
        "{:?}",
        outcome.warnings
    );
    assert!(outcome.log.iter().any(|line| line.message == left));
    assert_eq!(
        app.ask("SELECT count(*) FROM sqlite_schema WHERE name IN ('log', 'log_at', 'logs', 'names', 'texts')"),
        "5"
    );
    assert_eq!(
        app.ask("SELECT what FROM log; SELECT name FROM names"),
        "x\nAnn"
    );
    app.is_settled();
    // A table that the app declared and does not any more goes; the others stay.
    app.declares(&[("vendors", "{ name: string }>('vendors')")]);
    assert_eq!(kinds(&app.publish().statements), ["drop_table other"]);
    assert_eq!(
        app.ask("SELECT count(*) FROM sqlite_schema WHERE name IN ('log', 'log_at', 'logs', 'names', 'texts')"),
        "5"
    );
    // No table at all is a mistake more often than a wish.
    app.declares(&[]);
    assert!(refused(&app, "schema_invalid").contains("declares nothing"));
    app.try_publish(r#"{"allow": ["drop"]}"#)
        .expect_err("the view needs the table");
    app.ask("DROP VIEW names");
    app.try_publish(r#"{"allow": ["drop"]}"#).unwrap();
    assert_eq!(app.ask("SELECT count(*) FROM log"), "1");
    // An SQL schema after it has no logical types, and says all there is.
    let sql = "CREATE TABLE log (at TEXT NOT NULL, what TEXT);";
    app.remy()
        .publish(
            sql,
            &Options::from_json(r#"{"allow": ["drop"]}"#).unwrap(),
            Progress::none(),
        )
        .unwrap();
    assert_eq!(app.ask("SELECT count(*) FROM _remy_columns"), "0");
}

#[test]
fn a_database_of_the_hosted_platform_is_adopted_as_it_is() {
    // Names, texts and times are another's; what they are for is the same.
    let app = Project::on(
        "CREATE TABLE vendors (id TEXT PRIMARY KEY NOT NULL, created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('now') AS INTEGER) * 1000),
           updated_at INTEGER, last_updated_by TEXT, name TEXT, contactEmail TEXT, paymentTerms TEXT, active INTEGER, tags TEXT);
         CREATE INDEX idx_vendors_time ON vendors (created_at);
         CREATE UNIQUE INDEX uq_vendors ON vendors (\"contactEmail\");
         CREATE INDEX by_name ON vendors (name COLLATE NOCASE);
         CREATE TRIGGER vendors_ai AFTER INSERT ON vendors BEGIN UPDATE vendors SET id = coalesce(new.id, 'made'), updated_at = 1 WHERE rowid = new.rowid; END;
         CREATE TRIGGER vendors_au AFTER UPDATE ON vendors WHEN new.updated_at IS old.updated_at BEGIN UPDATE vendors SET updated_at = old.updated_at + 1 WHERE id = new.id; END;
         INSERT INTO vendors (id, name, tags) VALUES ('v1', 'Ann', '[]');",
    );
    let before = app.ask("SELECT group_concat(sql) FROM sqlite_schema");
    app.declares(&[("vendors", VENDORS)]);
    let adopted = app.publish();
    assert!(
        adopted.statements.is_empty(),
        "{:?}",
        kinds(&adopted.statements)
    );
    assert_eq!(
        app.ask("SELECT group_concat(sql) FROM sqlite_schema WHERE name NOT GLOB '_remy_*'"),
        before
    );
    app.is_settled();
    // It is known now: its types count.
    app.declares(&[(
        "vendors",
        &VENDORS.replace("tags: string[]", "tags: string"),
    )]);
    assert!(refused(&app, "lossy_change").contains("vendors.tags from json to text"));
    // What it brought stays when the table changes.
    app.declares(&[(
        "vendors",
        &VENDORS.replace("paymentTerms?: string", "notes?: string"),
    )]);
    let changed = app.publish();
    assert!(
        changed
            .statements
            .iter()
            .all(|s| s.kind != StatementKind::RebuildTable),
        "{:?}",
        kinds(&changed.statements)
    );
    let names = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type IN ('index', 'trigger') AND name NOT GLOB 'sqlite_*' ORDER BY name)";
    assert_eq!(
        app.ask(names),
        "by_name,idx_vendors_time,uq_vendors,vendors_ai,vendors_au"
    );
    app.is_settled();
    // So does what is rebuilt; what has to be unique is the app's to say.
    app.declares(&[(
        "vendors",
        &VENDORS
            .replace("active: boolean", "/** @cast */ active: number")
            .replace("unique: [['contactEmail']], ", "")
            .replace("active: true", ""),
    )]);
    app.publish();
    assert_eq!(
        app.ask(names),
        "by_name,idx_vendors_time,vendors_ai,vendors_au"
    );
    assert_eq!(
        app.ask("SELECT id, name, updated_at, typeof(created_at) FROM vendors"),
        "v1|Ann|1|integer"
    );
    app.is_settled();
}

/// A default that is the same for every row is no time and no id; one that a trigger or a function
/// makes of it stays.
#[test]
fn an_adopted_system_column_whose_default_is_a_constant_gets_the_one_that_fills_it() {
    let app = Project::on(
        "CREATE TABLE zero (id TEXT PRIMARY KEY NOT NULL DEFAULT '', created_at INTEGER NOT NULL DEFAULT 0, updated_at INTEGER DEFAULT (NULL),
           last_updated_by TEXT, name TEXT);
         INSERT INTO zero (id, name) VALUES ('old', 'Ann');
         CREATE TABLE filled (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('now') AS INTEGER) * 1000),
           last_updated_by TEXT, name TEXT);
         CREATE INDEX filled_created_at ON filled (created_at);
         CREATE TRIGGER filled_ai AFTER INSERT ON filled BEGIN UPDATE filled SET id = coalesce(new.id, 'made'), created_at = 7 WHERE rowid = new.rowid; END;
         CREATE TRIGGER filled_au AFTER UPDATE ON filled WHEN new.updated_at IS old.updated_at BEGIN UPDATE filled SET updated_at = old.updated_at + 1 WHERE id = new.id; END;",
    );
    let filled = app.ask("SELECT sql FROM sqlite_schema WHERE name = 'filled'");
    app.declares(&[
        ("zero", "{ name: string }>('zero')"),
        ("filled", "{ name: string }>('filled')"),
    ])
    .publish();
    assert_eq!(
        app.ask("SELECT sql FROM sqlite_schema WHERE name = 'filled'"),
        filled
    );
    // Rows that are there keep what they have; new ones get an id and the time, in milliseconds.
    app.ask("INSERT INTO zero (name) VALUES ('Bea'), ('Cid')");
    assert_eq!(
        app.ask("SELECT id, created_at, updated_at IS NULL FROM zero WHERE name = 'Ann'"),
        "old|0|1"
    );
    let now = "(strftime('%s', 'now') * 1000)";
    let new = format!(
        "SELECT count(DISTINCT id), min({UUID}), min(abs(created_at - {now}) < 600000), min(abs(updated_at - {now}) < 600000) FROM zero WHERE name <> 'Ann'"
    );
    assert_eq!(app.ask(&new), "2|1|1|1");
    assert_eq!(
        app.ask("SELECT group_concat(\"notnull\") FROM pragma_table_info('zero') WHERE name IN ('id', 'created_at')"),
        "1,1"
    );
    app.is_settled();
}

#[test]
fn a_table_that_was_there_gets_what_every_table_has() {
    let app = Project::on(
        "CREATE TABLE vendors (name TEXT NOT NULL, kind TEXT NOT NULL COLLATE NOCASE CHECK (kind <> ''), extra BLOB,
           boss INTEGER REFERENCES people (id), UNIQUE (name));
         CREATE TABLE people (id INTEGER PRIMARY KEY);
         INSERT INTO vendors VALUES ('Ann', 'a', NULL, NULL), ('Bea', 'b', x'01', NULL);
         CREATE VIEW kinds AS SELECT kind FROM vendors;",
    );
    app.declares(&[(
        "vendors",
        "{ name: string; kind?: string; createdAt?: number }>('vendors', { unique: [['name']] })",
    )]);
    let adopted = app.publish();
    assert_eq!(
        app.ask(&format!(
            "SELECT count(DISTINCT id), min({UUID}), min(created_at = createdAt), typeof(updated_at) FROM vendors"
        )),
        "2|1|1|integer"
    );
    // A required column keeps NOT NULL, one that is optional loses it; what the app cannot say
    // anything of stays.
    let nulls = app.ask("SELECT group_concat(name || ' ' || \"notnull\", ', ') FROM pragma_table_xinfo('vendors') WHERE name IN ('name', 'kind', 'extra', 'boss')");
    assert_eq!(
        nulls, "name 1, kind 0",
        "and columns that the app does not declare go"
    );
    assert!(
        adopted
            .warnings
            .iter()
            .all(|w| !w.contains("taken as meant")),
        "{:?}",
        adopted.warnings
    );
    assert_eq!(app.ask("SELECT sql LIKE '%CHECK (kind <> '''')%' AND sql LIKE '%COLLATE \"NOCASE\"%' FROM sqlite_schema WHERE name = 'vendors'"), "1");
    assert_eq!(
        app.ask("SELECT count(*) FROM pragma_index_list('vendors') WHERE \"unique\""),
        "2",
        "the primary key, and the UNIQUE that was there"
    );
    assert_eq!(app.ask("SELECT count(*) FROM kinds"), "2");
    app.is_settled();

    // A type that SQLite holds otherwise is a type change, also where no release says what it was.
    let app = Project::on(
        "CREATE TABLE t (id TEXT PRIMARY KEY, n TEXT, m INTEGER, v VARCHAR(20)); INSERT INTO t VALUES ('x', '5', 7, 'v')",
    );
    app.declares(&[("t", "{ n: number; m: number; v: string }>('t')")]);
    assert!(
        refused(&app, "lossy_change")
            .contains("t.n from TEXT to number; t.m from INTEGER to number")
    );
    app.declares(&[(
        "t",
        "{ /** @cast */ n: number; /** @cast */ m: number; v: string }>('t')",
    )])
    .publish();
    assert_eq!(app.ask("SELECT id, n, m, v FROM t"), "x|5.0|7.0|v");
    app.is_settled();

    // So is a system column of another kind.
    let app = Project::on("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)");
    app.declares(&[("t", "{ n: string }>('t')")]);
    assert!(refused(&app, "lossy_change").contains("t.id from INTEGER to TEXT"));
    // A view of the name is in the way.
    let app = Project::on("CREATE VIEW t AS SELECT 1 AS n");
    app.declares(&[("t", "{ n: string }>('t')")]);
    assert!(refused(&app, "unsupported_change").contains("the database has a t already"));
    // Rows that a unique group does not allow.
    let app = Project::on(
        "CREATE TABLE t (id TEXT PRIMARY KEY, n TEXT); INSERT INTO t VALUES ('a', 'x'), ('b', 'x')",
    );
    app.declares(&[("t", "{ n: string }>('t')")]).publish();
    app.declares(&[("t", "{ n: string }>('t', { unique: [['n']] })")]);
    assert!(refused(&app, "check_failed").contains("2 rows share 1 value"));
}

#[test]
fn camel_case_twins_are_computed() {
    let app = Project::on("");
    app.declares(&[(
        "t",
        "{ a: string; createdAt: number; updatedAt: number; lastUpdatedBy?: string; id: string }>('t')",
    )])
    .publish();
    app.ask(
        "INSERT INTO t (a) VALUES ('x'); BEGIN; UPDATE _remy_session SET user_id = 'u'; UPDATE t SET a = 'y'; COMMIT",
    );
    assert_eq!(
        app.ask("SELECT createdAt = created_at, updatedAt = updated_at, updatedAt > createdAt, lastUpdatedBy FROM t"),
        "1|1|1|u"
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM pragma_table_xinfo('t') WHERE name LIKE 'id'"),
        "1"
    );
    app.is_settled();
    app.declares(&[("t", "{ a: string }>('t')")]).publish();
    app.is_settled();
    app.declares(&[("t", "{ a: string; createdAt: number }>('t')")]);
    assert_eq!(kinds(&app.publish().statements), ["add_column t.createdAt"]);
    app.is_settled();
}

#[test]
fn names_that_sql_must_quote() {
    let app = Project::on("CREATE TABLE \"order-lines_created_at\" (x)");
    let define = "{ 'select': string; 'we\"ird': number; 'with space': boolean; ünï: string; rowid: string; oid: number }>('order-lines', { unique: [['select', 'we\"ird']] })";
    app.declares(&[
        ("order-lines", define),
        ("group", "{ order: string }>('group')"),
        ("it's", "{ a: string }>(\"it's\")"),
    ])
    .publish();
    app.ask("INSERT INTO \"order-lines\" (\"select\", rowid) VALUES ('x', 'mine'); UPDATE \"order-lines\" SET \"select\" = 'y'; INSERT INTO \"group\" (\"order\") VALUES ('1'); UPDATE \"group\" SET \"order\" = '2'");
    assert_eq!(
        app.ask(
            "SELECT updated_at > created_at, rowid FROM \"order-lines\"; SELECT updated_at > created_at FROM \"group\""
        ),
        "1|mine\n1"
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM sqlite_schema WHERE name = 'order-lines_created_at_2'"),
        "1",
        "a name that was taken"
    );
    app.is_settled();
    app.declares(&[
        (
            "order-lines",
            &define.replace("'with space': boolean; ", ""),
        ),
        ("group", "{ order: string; more?: string }>('group')"),
        ("it's", "{ a: string }>(\"it's\")"),
    ])
    .publish();
    app.is_settled();
}

#[test]
fn updates_are_noted_whatever_columns_are_called() {
    // By `id`: also where that is what is updated, and where it is NULL.
    let app = Project::on("");
    app.declares(&[("t", "{ a: string }>('t')")]).publish();
    app.ask("INSERT INTO t (id, a) VALUES ('i', 'x'), ('j', 'x'), (NULL, 'null')");
    app.ask("UPDATE t SET id = 'k' WHERE id = 'i'; UPDATE t SET a = 'y' WHERE id IS NULL");
    let noted = "SELECT ifnull(id, '-') FROM t WHERE updated_at > created_at ORDER BY 1";
    assert_eq!(app.ask(noted), "-\nk");
    // A trigger that another build made, by the rowid, serves as well, until that is a column's
    // name.
    let old = "CREATE TRIGGER t_updated_at AFTER UPDATE ON t WHEN new.updated_at IS old.updated_at BEGIN UPDATE t SET \
               updated_at = old.updated_at + 1 WHERE rowid = new.rowid; END";
    app.ask(&format!(
        "DROP TRIGGER t_updated_at; {old}; DELETE FROM t; INSERT INTO t (id, a) VALUES ('i', 'x'), ('j', 'x')"
    ));
    app.is_settled();
    assert_eq!(
        app.ask("SELECT sql FROM sqlite_schema WHERE type = 'trigger'"),
        old
    );
    app.declares(&[("t", "{ a: string; RowId?: string }>('t')")]);
    assert_eq!(
        kinds(&app.publish().statements),
        [
            "drop_trigger t_updated_at",
            "add_column t.RowId",
            "create_trigger t_updated_at"
        ]
    );
    app.ask("UPDATE t SET a = 'y' WHERE id = 'i'");
    assert_eq!(app.ask(noted), "i");
    app.is_settled();

    // One that fills in what is inserted makes way for DEFAULTs.
    let app = Project::on(
        "CREATE TABLE t (id TEXT PRIMARY KEY, created_at INTEGER, updated_at INTEGER, last_updated_by TEXT, a TEXT);
         CREATE TRIGGER ai AFTER INSERT ON t BEGIN UPDATE t SET id = 'made', created_at = 1, updated_at = 1 WHERE oid = new.oid; END;",
    );
    app.declares(&[("t", "{ a: string; oid?: number }>('t')")])
        .publish();
    assert_eq!(
        app.ask(&format!(
            "INSERT INTO t (a) VALUES ('x') RETURNING {UUID}, created_at > 1, updated_at > 1"
        )),
        "1|1|1"
    );
    assert_eq!(
        app.ask("SELECT group_concat(name) FROM sqlite_schema WHERE type = 'trigger'"),
        "t_updated_at"
    );
    app.is_settled();
}

#[test]
fn a_staged_app_is_published_later_as_it_was_declared() {
    let app = Project::on("");
    app.declares(&[("t", "{ a: string }>('t')")]).publish();
    app.ask("INSERT INTO t (a) VALUES ('5')");
    app.declares(&[(
        "t",
        "{ /** @cast */ a: number; b: string[] }>('t', { defaults: { b: [] } })",
    )]);
    let staged = app
        .remy()
        .stage(&app.manifest(), &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(staged.status, Reached::Compiled);
    fs::remove_dir_all(app.dir.path().join("dist")).unwrap();
    app.ask("INSERT INTO t (a) VALUES ('6')");
    let promoted = app
        .remy()
        .promote(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(promoted.release, staged.release);
    assert_eq!(app.ask("SELECT a, b FROM t"), "5.0|[]\n6.0|[]");
    assert_eq!(
        app.ask("SELECT group_concat(column_name || ' ' || type) FROM _remy_columns WHERE column_name IN ('a', 'b')"),
        "a number,b json"
    );
}

#[test]
fn after_a_detach_rows_can_still_be_updated() {
    let app = Project::on("");
    app.declares(&[("t", "{ a: string }>('t')")]).publish();
    let detached = app.remy().detach().unwrap();
    assert!(detached.dropped.contains(&"_remy_columns".to_owned()));
    assert!(
        detached
            .left
            .iter()
            .any(|left| left.contains("_remy_session")),
        "{:?}",
        detached.left
    );
    app.ask("INSERT INTO t (a) VALUES ('x'); UPDATE t SET a = 'y'");
    assert_eq!(app.ask("SELECT a, updated_at > created_at FROM t"), "y|1");
    app.is_settled();
}

#[test]
fn what_is_wrong_is_said_at_once_and_nothing_is_done() {
    let app = Project::on("");
    app.declares(&[
        ("a", "{ x: bigint }>('a')"),
        ("b", "Missing>('b')"),
        ("c", "{ x: string }>('c')"),
    ]);
    fs::remove_file(app.dir.path().join("dist/methods/src/tables/t2.ts")).unwrap();
    let e = app.try_publish("{}").unwrap_err();
    assert_eq!(e.code(), "schema_invalid");
    for part in [
        "t0.ts, line 3, column 35",
        "a.x is a bigint",
        "t1.ts, line 3",
        "Missing is not declared",
        "mindstudio.json /tables/2/path",
        "t2.ts",
    ] {
        assert!(e.to_string().contains(part), "{part}: {e}");
    }
    assert!(
        !Path::new(&format!("{}-remy", app.live.display())).exists(),
        "no store was made"
    );
    fs::remove_file(app.dir.path().join("mindstudio.json")).unwrap();
    assert_eq!(app.try_publish("{}").unwrap_err().code(), "not_found");
    // Warnings of the reader go into the log.
    app.declares(&[("c", "{ x: WebSocket }>('c')")]);
    let outcome = app.publish();
    assert!(
        outcome
            .log
            .iter()
            .any(|line| line.outcome == StepOutcome::Warning
                && line.message.contains("c.x cannot be resolved"))
    );
}

#[test]
fn an_app_of_500_tables() {
    let app = Project::on("");
    let names: Vec<String> = (0..500).map(|i| format!("table{i}")).collect();
    let defines: Vec<String> = names
        .iter()
        .map(|name| format!("{{ name: string; kind: 'a' | 'b'; total: number; tags?: string[]; owner?: Partial<{{ id: string }}>; createdAt: number }}>('{name}', {{ unique: [['name']] }})"))
        .collect();
    let tables: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(defines.iter().map(String::as_str))
        .collect();
    app.declares(&tables);
    let start = Instant::now();
    let read = remy_db::internals::typescript::tables(Path::new(&app.manifest()));
    let reading = start.elapsed();
    assert_eq!(
        (read.tables.len(), read.errors.len(), read.warnings.len()),
        (500, 0, 0)
    );
    let start = Instant::now();
    let outcome = app.publish();
    let publishing = start.elapsed();
    assert_eq!(outcome.statements.len(), 2000);
    let start = Instant::now();
    assert!(app.diff().is_empty());
    println!(
        "500 tables: read in {reading:?}, published in {publishing:?}, diff with nothing to change in {:?}",
        start.elapsed()
    );
}
