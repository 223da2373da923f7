//! The ordered statements that turn one schema into another. Pure: nothing here depends on the
//! rows, and every statement is right whatever they are.
//!
//! What goes is dropped first (triggers, views, indexes, tables), then names change, then tables,
//! then what comes is made (tables, indexes, views, triggers). A change that SQLite has no
//! statement for rebuilds the table: a new one under a free name, the rows, their rowids and the
//! sequence of AUTOINCREMENT copied, the old one dropped, the new one renamed.
mod virtuals;

use super::{
    Cast, Schema, Table, VirtualTable,
    constraints::{self, Added, Edits},
    diff::{Change, TableChange, default_expression},
    fit,
    lex::{self, Kind},
    parse,
};
use crate::{
    effects,
    error::{Error, Result},
    quote::{ident, idents, literal},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One statement of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Statement {
    /// From 1.
    pub ord: u32,
    /// `create_table`, `drop_table`, `rename_table`, `add_column`, `drop_column`, `rename_column`,
    /// `add_constraint`, `drop_constraint`, `set_not_null`, `drop_not_null`, `rebuild_table`,
    /// `create_index`, `drop_index`, `create_view`, `drop_view`, `create_trigger`, `drop_trigger`
    /// or `migration`; of what only a diff has here `warning` and, of a changed effect, `create_`,
    /// `update_` or `remove_` and the kind of the effect: `create_role`.
    pub kind: &'static str,
    /// What it is about: `orders`, `orders.note`, the id of an effect; empty for a warning.
    pub object: String,
    /// The statement. Empty for an effect, whose row may hold a secret, and for a warning.
    pub sql: String,
    /// `direct`, `rebuild` for one of the statements that make up a rebuild, `effect` or `warning`.
    pub strategy: &'static str,
    /// What `allow` must hold.
    pub needs: Option<&'static str>,
    /// What it takes away, counted.
    pub loses: Option<String>,
    /// What a row of kind `warning` says, which only a diff has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Names in other statements follow a rename: run with `legacy_alter_table` off.
    #[serde(skip)]
    pub(crate) follow_names: bool,
    /// The statement with NULLs filled in, for those who allow it.
    #[serde(skip)]
    pub(crate) filling: Option<String>,
    /// It is the one that fills in.
    #[serde(skip)]
    pub(crate) fills: bool,
    /// The constraint that it adds.
    #[serde(skip)]
    pub(crate) adds: Option<Added>,
    /// The name that the table has meanwhile, and its own: for messages.
    #[serde(skip)]
    pub(crate) stands_for: Option<(String, String)>,
}

/// What has to be asked of the rows before a plan runs. Names are those of now.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Rows of a table that goes.
    Rows { table: String },
    /// Values of a column that goes.
    Values { table: String, column: String },
    /// Values of a column whose type changes.
    Retype {
        table: String,
        column: String,
        from: String,
        to: String,
        affinities: (&'static str, &'static str),
    },
    /// Values of a column that are converted, as somebody has asked.
    Cast {
        table: String,
        column: String,
        cast: Cast,
    },
    /// Values of a column that is computed from now on.
    Computed {
        table: String,
        column: String,
        expr: String,
    },
    /// NULLs in a column that is NOT NULL from now on; `default` fills them in, if there is one.
    Nulls {
        table: String,
        column: String,
        default: Option<String>,
        rowid: Option<&'static str>,
    },
    /// Rows that a new CHECK does not let in, where `sql` adds it. It may speak of the table by its
    /// new name.
    Check {
        table: String,
        new_name: String,
        named: Option<String>,
        expr: String,
        sql: String,
        rowid: Option<&'static str>,
    },
    /// Values of a column that is the rowid from now on.
    Rowids { table: String, column: String },
    /// Rows that a new NOT NULL column without default has no value for.
    NoValue { table: String, column: String },
    /// Rows that a new UNIQUE does not allow.
    Unique {
        table: String,
        object: String,
        columns: Vec<String>,
        condition: Option<String>,
    },
    /// Columns that go beside columns that come.
    Columns { table: String, group: Group },
    /// Rows of a table that goes, in whose place something else of its name comes.
    Kind {
        table: String,
        becomes: &'static str,
    },
    /// Tables that go beside tables that come; `app` where an app declares them.
    Tables { group: Group, app: bool },
}

/// What goes beside what comes, so that it may be a rename.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// What goes, and the statement that takes it away.
    pub(crate) gone: Vec<(String, usize)>,
    pub(crate) come: Vec<String>,
    /// Which may be which, the likeliest first.
    pub(crate) fits: Vec<(String, String)>,
}

/// The foreign keys that did not hold: child and parent in lower case, and how many rows. `None` is
/// a parent that has no such key at all.
pub type Violations = BTreeMap<(String, String), Option<u64>>;

/// What turns a schema into another.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In order.
    pub statements: Vec<Statement>,
    /// Tables that are rebuilt, by their declared names.
    pub rebuilt: Vec<String>,
    /// Tables whose foreign keys have to be checked again: they, or a table that they refer to,
    /// change.
    pub foreign_keys: Vec<String>,
    /// What to ask of the rows, and for which statement.
    pub(crate) questions: Vec<(usize, Question)>,
    /// Declared names of tables that are renamed, by those of now, in lower case.
    pub(crate) renamed: BTreeMap<String, String>,
    /// Tables whose rows are checked against their definitions, by their declared names.
    pub(crate) changed: Vec<String>,
    /// What the caller should know.
    pub(crate) warnings: Vec<String>,
    /// The foreign keys that did not hold before.
    pub violations: Option<Violations>,
}

impl Statement {
    pub(crate) fn new(kind: &'static str, object: String, sql: String) -> Self {
        Self {
            ord: 0,
            kind,
            object,
            sql,
            strategy: "direct",
            needs: None,
            loses: None,
            message: None,
            follow_names: false,
            filling: None,
            fills: false,
            adds: None,
            stands_for: None,
        }
    }

    /// A change of an effect, as a diff shows it.
    pub(crate) fn effect(change: &effects::Change) -> Self {
        Self {
            strategy: "effect",
            ..Self::new(change.statement_kind(), change.id.clone(), String::new())
        }
    }

    /// What the caller should know, as a diff shows it where it is asked for.
    pub(crate) fn warning(message: String) -> Self {
        let row = Self::new("warning", String::new(), String::new());
        Self {
            strategy: "warning",
            message: Some(message),
            ..row
        }
    }

    /// Whether it renames a table or column, and touches no rows.
    pub(crate) fn renames(&self) -> bool {
        let renames = || {
            lex::tokens(&self.sql)
                .iter()
                .skip(3)
                .any(|token| token.is("RENAME"))
        };
        self.kind.starts_with("rename_")
            || (self.kind == "rebuild_table" && self.sql.starts_with("ALTER TABLE ") && renames())
    }

    /// A migration file.
    pub(crate) fn migration(ord: u32, name: &str, text: &str) -> Self {
        Self {
            ord,
            ..Self::new("migration", name.to_owned(), text.to_owned())
        }
    }
}

impl Plan {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// What a table, or a part of it, that has a new name from now on is called now: for messages,
    /// as live has the old one.
    pub(crate) fn now(&self, object: &str) -> String {
        let renames = self
            .statements
            .iter()
            .filter(|statement| statement.kind == "rename_table");
        let old = renames.filter_map(|statement| {
            let new = self.renamed.get(&statement.object.to_ascii_lowercase())?;
            let rest = object.get(new.len()..)?;
            let named =
                same(&object[..new.len()], new) && (rest.is_empty() || rest.starts_with('.'));
            named.then(|| format!("{}{rest}", statement.object))
        });
        old.into_iter().next().unwrap_or_else(|| object.to_owned())
    }

    fn add(
        &mut self,
        kind: &'static str,
        object: impl Into<String>,
        sql: impl Into<String>,
    ) -> &mut Statement {
        self.push(Statement::new(kind, object.into(), sql.into()))
    }

    fn push(&mut self, statement: Statement) -> &mut Statement {
        let ord = u32::try_from(self.statements.len() + 1).unwrap_or(u32::MAX);
        self.statements.push(Statement { ord, ..statement });
        self.statements.last_mut().expect("pushed just now")
    }

    fn add_rebuild(
        &mut self,
        kind: &'static str,
        object: &str,
        sql: impl Into<String>,
    ) -> &mut Statement {
        let statement = self.add(kind, object, sql);
        statement.strategy = "rebuild";
        statement
    }

    /// Makes the questions those of an app: a column that goes beside one that comes is taken as
    /// dropped, with a warning for each table, and tables are asked about in the app's words.
    pub(crate) fn of_app(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        // An app names its columns, and cannot say where they stand.
        self.warnings.clear();
        self.questions.retain_mut(|(_, question)| match question {
            Question::Columns { table, group } => {
                // What every table gets is no other column's new name.
                let own = |name: &&String| !super::app::SYSTEM.iter().any(|system| same(system.name, name));
                let come: Vec<String> = group.come.iter().filter(own).cloned().collect();
                let gone: Vec<&str> = group.gone.iter().map(|(name, _)| name.as_str()).collect();
                if let Some((from, _)) = group.fits.iter().find(|(_, to)| come.contains(to)) {
                    warnings.push(format!(
                        "{table} loses {} and gains {}: taken as meant. If one is another under a new name, write \
                         /** @renamed from={from} */ above it",
                        gone.join(", "),
                        come.join(", "),
                    ));
                }
                false
            }
            Question::Tables { app, .. } => {
                *app = true;
                true
            }
            _ => true,
        });
        warnings
    }

    /// Where the statement of this kind and object stands, of those from `first` on.
    fn at(&self, kind: &str, object: &str, first: usize) -> usize {
        let is = |statement: &Statement| statement.kind == kind && statement.object == object;
        first + self.statements.iter().skip(first).position(is).unwrap_or(0)
    }

    /// Asks something for the statement that was added last.
    fn ask(&mut self, question: Question) {
        self.questions
            .push((self.statements.len().saturating_sub(1), question));
    }
}

/// A table that is declared as something else loses its rows, though its name stays.
fn ask_about_kinds(plan: &mut Plan, current: &Schema, declared: &Schema, changes: &[Change]) {
    // What is renamed to that name is another table, as somebody has said.
    let is_taken = |name: &str| {
        changes
            .iter()
            .any(|change| matches!(change, Change::RenameTable { to, .. } if same(to, name)))
    };
    for change in changes {
        let name = match change {
            Change::DropTable(name) => name,
            Change::DropVirtual(name) if virtuals::keeps_rows(current, name) => name,
            _ => continue,
        };
        if is_taken(name) {
            continue;
        }
        let becomes = if declared.views.iter().any(|view| same(&view.name, name)) {
            "a view"
        } else if declared
            .virtual_tables
            .iter()
            .any(|table| same(&table.name, name))
        {
            "a virtual table of another kind"
        } else if declared.table(name).is_some() {
            "an ordinary table"
        } else {
            continue;
        };
        let at = plan.at("drop_table", name, 0);
        plan.questions.push((
            at,
            Question::Kind {
                table: name.clone(),
                becomes,
            },
        ));
    }
}

/// Names that nobody has.
struct Free<'a> {
    taken: [&'a BTreeSet<String>; 2],
    given: BTreeSet<String>,
}

impl Free<'_> {
    fn name(&mut self, of: &str) -> String {
        let names = (0u32..).map(|n| {
            if n == 0 {
                format!("_remy_new_{of}")
            } else {
                format!("_remy_new{n}_{of}")
            }
        });
        let free = |name: &String| {
            let lower = name.to_ascii_lowercase();
            !self.taken.iter().any(|taken| taken.contains(&lower)) && !self.given.contains(&lower)
        };
        let name = names
            .into_iter()
            .find(free)
            .expect("there are more numbers than names");
        self.given.insert(name.to_ascii_lowercase());
        name
    }
}

/// What is not in the way of a statement by which SQLite edits the schema stays; the rest steps
/// aside.
///
/// To rename a table or column, or to drop a column, SQLite resolves every view and trigger there
/// is, fails over one that names what is not there, writes new names into those that have the old
/// ones, and single quotes around strings that are in double quotes. A view or trigger that is
/// sound now, and names nothing that changes, is none of that's business: neither is what it sees
/// of the schema other meanwhile, nor its text after.
#[derive(Default)]
struct Aside {
    views: Vec<String>,
    triggers: Vec<String>,
}

impl Aside {
    fn of(current: &Schema, changes: &[Change]) -> Self {
        let touched = changes.iter().flat_map(|change| match change {
            Change::DropTable(name) | Change::DropVirtual(name) => vec![name],
            Change::AlterVirtual(change) => vec![&change.from, &change.table],
            Change::DropView(name) | Change::DropIndex(name) => vec![name],
            Change::RenameTable { from, to } => vec![from, to],
            Change::AlterTable(change) => vec![&change.from, &change.table],
            _ => Vec::new(),
        });
        let mut touched: BTreeSet<String> = touched.map(|name| name.to_ascii_lowercase()).collect();
        let names = |sql: &str| -> BTreeSet<String> {
            lex::tokens(sql)
                .iter()
                .filter_map(|token| Some(token.name()?.to_ascii_lowercase()))
                .collect()
        };
        let sound = |name: &str| current.sound.contains(&name.to_ascii_lowercase());

        let mut aside = Self::default();
        let mut staying: Vec<_> = current
            .views
            .iter()
            .map(|view| (&view.name, names(&view.sql)))
            .collect();
        // A view that names one that steps aside does so too, and so on.
        loop {
            let (stay, go): (Vec<_>, Vec<_>) = staying
                .into_iter()
                .partition(|(name, names)| sound(name) && names.is_disjoint(&touched));
            if go.is_empty() {
                break;
            }
            touched.extend(go.iter().map(|(name, _)| name.to_ascii_lowercase()));
            aside
                .views
                .extend(go.into_iter().map(|(name, _)| name.clone()));
            staying = stay;
        }
        let go = current
            .triggers
            .iter()
            .filter(|t| !(sound(&t.name) && names(&t.sql).is_disjoint(&touched)));
        aside.triggers = go.map(|trigger| trigger.name.clone()).collect();
        aside
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn holds(names: &[String], name: &str) -> bool {
    names.iter().any(|n| same(n, name))
}

/// The statements for `changes`, which [`diff`](super::diff::diff) gave for these two schemas, on
/// an SQLite of this version number (`3_053_002`).
pub fn plan(
    current: &Schema,
    declared: &Schema,
    changes: &[Change],
    sqlite_version: i32,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut free = Free {
        taken: [&current.names, &declared.names],
        given: BTreeSet::new(),
    };
    let pick = |of: fn(&Change) -> Option<&String>| {
        changes.iter().filter_map(of).cloned().collect::<Vec<_>>()
    };
    let dropped_tables = pick(|c| {
        if let Change::DropTable(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_tables = pick(|c| {
        if let Change::CreateTable(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let dropped_triggers = pick(|c| {
        if let Change::DropTrigger(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_triggers = pick(|c| {
        if let Change::CreateTrigger(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let dropped_views = pick(|c| {
        if let Change::DropView(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_views = pick(|c| {
        if let Change::CreateView(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let dropped_indexes = pick(|c| {
        if let Change::DropIndex(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_indexes = pick(|c| {
        if let Change::CreateIndex(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let making_room = |change: &TableChange, free: &mut Free<'_>| {
        let taken = |name: &&String| change.renamed.iter().any(|(_, to)| same(to, name));
        let away = change
            .dropped
            .iter()
            .filter(taken)
            .map(|name| (name.clone(), free.name(name)))
            .collect();
        TableChange {
            away,
            ..change.clone()
        }
    };
    let altered = changes.iter().filter_map(|c| {
        if let Change::AlterTable(change) = c {
            Some(change)
        } else {
            None
        }
    });
    let altered: Vec<TableChange> = altered
        .map(|change| making_room(change, &mut free))
        .collect();
    let renamed_tables: Vec<(&String, &String)> = changes
        .iter()
        .filter_map(|c| {
            if let Change::RenameTable { from, to } = c {
                Some((from, to))
            } else {
                None
            }
        })
        .collect();
    plan.renamed = renamed_tables
        .iter()
        .map(|(from, to)| (from.to_ascii_lowercase(), (*to).clone()))
        .collect();

    let edits = |change: &TableChange| {
        let drops =
            || !change.dropped.is_empty() && is_direct(change, current, declared, sqlite_version);
        !change.renamed.is_empty() || drops()
    };
    let aside = match !renamed_tables.is_empty() || altered.iter().any(edits) {
        true => Aside::of(current, changes),
        false => Aside::default(),
    };
    let mut triggers = created_triggers.clone();
    let mut views = created_views.clone();
    for trigger in &current.triggers {
        let goes = holds(&dropped_triggers, &trigger.name);
        let on_dropped = holds(&dropped_tables, &trigger.table);
        let steps_aside = holds(&aside.triggers, &trigger.name);
        if goes || (steps_aside && !on_dropped) {
            let statement = plan.add(
                "drop_trigger",
                &trigger.name,
                format!("DROP TRIGGER {}", ident(&trigger.name)),
            );
            if !goes {
                statement.strategy = "rebuild";
            }
        }
        let again = steps_aside
            || (holds(&dropped_views, &trigger.table) && !same(&trigger.name, &trigger.table));
        if again && !goes && !on_dropped && !holds(&triggers, &trigger.name) {
            triggers.push(trigger.name.clone());
        }
    }
    for view in &current.views {
        let goes = holds(&dropped_views, &view.name);
        if goes || holds(&aside.views, &view.name) {
            let statement = plan.add(
                "drop_view",
                &view.name,
                format!("DROP VIEW {}", ident(&view.name)),
            );
            if !goes {
                statement.strategy = "rebuild";
                views.push(view.name.clone());
            }
        }
    }
    for name in &dropped_indexes {
        plan.add("drop_index", name, format!("DROP INDEX {}", ident(name)));
    }
    // A module may take along what it claims.
    let claimed = |name: &&String| current.claims.iter().any(|claim| same(&claim.table, name));
    for name in dropped_tables.iter().filter(|name| !claimed(name)) {
        plan.add("drop_table", name, format!("DROP TABLE {}", ident(name)));
        plan.ask(Question::Rows {
            table: name.clone(),
        });
    }
    virtuals::drop(&mut plan, current, changes, &dropped_tables)?;
    ask_about_kinds(&mut plan, current, declared, changes);
    if !dropped_tables.is_empty() && !created_tables.is_empty() {
        let fits = fit::tables(current, &dropped_tables, declared, &created_tables);
        let gone = dropped_tables
            .iter()
            .map(|name| (name.clone(), plan.at("drop_table", name, 0)));
        let group = Group {
            gone: gone.collect(),
            come: created_tables.clone(),
            fits,
        };
        plan.ask(Question::Tables { group, app: false });
    }

    for (from, _) in &renamed_tables {
        virtuals::check_rename(current, from, &dropped_tables)?;
    }
    rename_tables(&mut plan, &renamed_tables, current, &mut free);
    for change in &altered {
        rename_columns(&mut plan, change, current.table(&change.from), &mut free);
    }
    for change in &altered {
        alter(
            &mut plan,
            change,
            current,
            declared,
            sqlite_version,
            &mut free,
        )?;
    }
    for name in &created_tables {
        let Some(table) = declared.table(name) else {
            continue;
        };
        plan.add("create_table", name, &table.sql);
    }

    // What a rebuild takes with the old table comes back with the new one.
    for index in &declared.indexes {
        let comes = holds(&created_indexes, &index.name);
        if comes || holds(&plan.rebuilt, &index.table) {
            let statement = plan.add("create_index", &index.name, &index.sql);
            if !comes {
                statement.strategy = "rebuild";
            }
            if comes {
                ask_unique_index(&mut plan, index, current, &altered);
            }
        }
    }
    for view in declared
        .views
        .iter()
        .filter(|view| holds(&views, &view.name))
    {
        let statement = plan.add("create_view", &view.name, &view.sql);
        if !holds(&created_views, &view.name) {
            statement.strategy = "rebuild";
        }
    }
    // After the views, which may be what they index.
    virtuals::make(&mut plan, current, declared, changes, &mut free)?;
    for trigger in &declared.triggers {
        let comes = holds(&created_triggers, &trigger.name);
        if comes || holds(&triggers, &trigger.name) || holds(&plan.rebuilt, &trigger.table) {
            let statement = plan.add("create_trigger", &trigger.name, &trigger.sql);
            if !comes {
                statement.strategy = "rebuild";
            }
        }
    }

    // A column that SQLite itself adds or drops breaks no key, unless the new one is of a key: DROP
    // COLUMN refuses those.
    let keyed = |change: &&TableChange| {
        let new = declared.table(&change.table);
        let added_to_a_key = new.is_some_and(|table| {
            table.foreign_keys.iter().any(|key| {
                key.columns
                    .iter()
                    .any(|column| holds(&change.added, column))
            })
        });
        holds(&plan.rebuilt, &change.table) || added_to_a_key
    };
    let mut touched: Vec<String> = altered
        .iter()
        .filter(keyed)
        .map(|change| change.table.clone())
        .collect();
    touched.extend(created_tables.into_iter().chain(dropped_tables));
    touched.extend(renamed_tables.iter().map(|(_, to)| (*to).clone()));
    let refers = |table: &Table| {
        table
            .foreign_keys
            .iter()
            .any(|key| holds(&touched, &key.parent))
    };
    let checked = declared.tables.iter().filter(|table| {
        (!table.foreign_keys.is_empty() || table.opaque)
            && (holds(&touched, &table.name) || refers(table) || table.opaque)
    });
    plan.foreign_keys = checked.map(|table| table.name.clone()).collect();
    plan.changed = altered.iter().map(|change| change.table.clone()).collect();
    Ok(plan)
}

/// Renames tables; where a new name is another's old one, all go by way of free names.
fn rename_tables(
    plan: &mut Plan,
    renames: &[(&String, &String)],
    current: &Schema,
    free: &mut Free<'_>,
) {
    // `object` is what it is called before all of this.
    let mut rename = |object: &str, from: &str, to: &str| {
        let virtual_table = current
            .virtual_tables
            .iter()
            .any(|table| same(&table.name, from));
        let sql = format!("ALTER TABLE {} RENAME TO {}", ident(from), ident(to));
        // Names in other statements follow; a virtual table has none that would.
        plan.add("rename_table", object, sql).follow_names = !virtual_table;
    };
    let collide = renames
        .iter()
        .any(|(_, to)| renames.iter().any(|(from, _)| same(from, to)));
    if !collide {
        renames.iter().for_each(|(from, to)| rename(from, from, to));
        return;
    }
    let between: Vec<String> = renames.iter().map(|(from, _)| free.name(from)).collect();
    renames
        .iter()
        .zip(&between)
        .for_each(|((from, _), between)| rename(from, from, between));
    renames
        .iter()
        .zip(&between)
        .for_each(|((from, to), between)| rename(from, between, to));
}

fn rename_columns(plan: &mut Plan, change: &TableChange, now: Option<&Table>, free: &mut Free<'_>) {
    let mut rename = |object: &str, from: &str, to: &str| {
        let sql = format!(
            "ALTER TABLE {} RENAME COLUMN {} TO {}",
            ident(&change.table),
            ident(from),
            ident(to)
        );
        plan.add("rename_column", format!("{}.{object}", change.table), sql)
            .follow_names = true;
    };
    change
        .away
        .iter()
        .for_each(|(from, to)| rename(from, from, to));
    let makes_room = |name: &str| change.away.iter().any(|(from, _)| same(from, name));
    let taken = |from: &str, to: &str| {
        !same(from, to) && !makes_room(to) && now.is_some_and(|table| table.column(to).is_some())
    };
    if !change.renamed.iter().any(|(from, to)| taken(from, to)) {
        change
            .renamed
            .iter()
            .for_each(|(from, to)| rename(from, from, to));
        return;
    }
    let between: Vec<String> = change
        .renamed
        .iter()
        .map(|(from, _)| free.name(from))
        .collect();
    change
        .renamed
        .iter()
        .zip(&between)
        .for_each(|((from, _), between)| rename(from, from, between));
    change
        .renamed
        .iter()
        .zip(&between)
        .for_each(|((from, to), between)| rename(from, between, to));
}

/// The table as it is once its columns have their declared names.
fn with_new_names(table: &Table, change: &TableChange) -> Table {
    let mut table = table.clone();
    table.name.clone_from(&change.table);
    let renames: Vec<_> = change.renamed.iter().chain(&change.away).collect();
    let rename = |name: &mut String| {
        if let Some((_, to)) = renames.iter().find(|(from, _)| same(from, name)) {
            name.clone_from(to);
        }
    };
    table
        .columns
        .iter_mut()
        .for_each(|column| rename(&mut column.name));
    let keys = table.primary_key.iter_mut().chain(&mut table.uniques);
    keys.flat_map(|key| &mut key.columns)
        .for_each(|part| rename(&mut part.name));
    table
}

fn alter(
    plan: &mut Plan,
    change: &TableChange,
    current: &Schema,
    declared: &Schema,
    sqlite_version: i32,
    free: &mut Free<'_>,
) -> Result<()> {
    let (Some(old), Some(new)) = (current.table(&change.from), declared.table(&change.table))
    else {
        return Err(Error::internal(format!(
            "the diff names a table {} that is not there",
            change.table
        )));
    };
    let first = plan.statements.len();
    let edits = direct_edits(change, old, new, sqlite_version);
    let direct = edits.is_some();
    match edits {
        None => rebuild(plan, change, old, new, free.name(&new.name))?,
        Some(edits) => {
            for statement in edits.first {
                plan.push(statement);
            }
            for name in &change.dropped {
                plan.push(drop_column(change, name));
                ask_dropped(plan, old, name);
            }
            for name in &change.added {
                plan.push(add_column(change, new, name));
                plan.warnings.extend(added_last(change, old, new, name));
            }
            for (statement, question) in edits.last {
                plan.push(statement);
                question.into_iter().for_each(|question| plan.ask(question));
            }
        }
    }
    let with_data = |name: &&String| {
        old.column(name)
            .is_some_and(|column| column.generated.is_none())
    };
    let dropped: Vec<String> = change.dropped.iter().filter(with_data).cloned().collect();
    let could_be = |name: &&String| {
        new.column(name)
            .is_some_and(|column| column.generated.is_none())
    };
    let added: Vec<String> = change.added.iter().filter(could_be).cloned().collect();
    if !dropped.is_empty() && !added.is_empty() {
        let fits = fit::columns(old, &dropped, new, &added);
        // Each has its DROP COLUMN, or the copy, which is a rebuild's second statement.
        let at = |name: &String| match direct {
            true => plan.at("drop_column", &format!("{}.{name}", change.table), first),
            false => first + 1,
        };
        let gone: Vec<_> = dropped
            .iter()
            .map(|name| (name.clone(), at(name)))
            .collect();
        let (at, group) = (
            gone[0].1,
            Group {
                gone,
                come: added,
                fits,
            },
        );
        plan.questions.push((
            at,
            Question::Columns {
                table: old.name.clone(),
                group,
            },
        ));
    }
    Ok(())
}

fn drop_column(change: &TableChange, name: &str) -> Statement {
    let sql = format!(
        "ALTER TABLE {} DROP COLUMN {}",
        ident(&change.table),
        ident(change.gone_as(name))
    );
    Statement::new("drop_column", format!("{}.{name}", change.table), sql)
}

fn add_column(change: &TableChange, new: &Table, name: &str) -> Statement {
    let definition = new
        .column(name)
        .map(|column| column.definition.as_str())
        .unwrap_or_default();
    let sql = format!(
        "ALTER TABLE {} ADD COLUMN {definition}",
        ident(&change.table)
    );
    Statement::new("add_column", format!("{}.{name}", change.table), sql)
}

/// Whether SQLite's own statements do it.
fn is_direct(
    change: &TableChange,
    current: &Schema,
    declared: &Schema,
    sqlite_version: i32,
) -> bool {
    let (Some(old), Some(new)) = (current.table(&change.from), declared.table(&change.table))
    else {
        return false;
    };
    direct_edits(change, old, new, sqlite_version).is_some()
}

/// What changes the table's CHECKs and NOT NULLs, beside ADD COLUMN and DROP COLUMN; `None` where
/// the table has to be rebuilt.
fn direct_edits(
    change: &TableChange,
    old: &Table,
    new: &Table,
    sqlite_version: i32,
) -> Option<Edits> {
    let direct = !change.constraints
        && change.altered.is_empty()
        && new.columns.iter().all(|column| column.cast.is_none())
        && change
            .added
            .iter()
            .all(|name| can_add(new, name, sqlite_version))
        && change
            .dropped
            .iter()
            .all(|name| can_drop(old, name, new, change, sqlite_version))
        && change.dropped.len()
            < old
                .columns
                .iter()
                .filter(|column| column.generated.is_none())
                .count();
    let edits = direct
        .then(|| Edits::of(change, old, new, sqlite_version))
        .flatten()?;
    let own_check = |name: &String| old.checks.iter().any(|check| stands_with(check, name));
    if edits.is_empty() && !change.dropped.iter().any(own_check) {
        return Some(edits);
    }
    let mut tried = Plan::default();
    let mut free = Free {
        taken: [&BTreeSet::new(), &BTreeSet::new()],
        given: BTreeSet::new(),
    };
    if change.from != change.table {
        let sql = format!(
            "ALTER TABLE {} RENAME TO {}",
            ident(&change.from),
            ident(&change.table)
        );
        tried.add("rename_table", &change.from, sql);
    }
    rename_columns(&mut tried, change, Some(old), &mut free);
    let columns = change.dropped.iter().map(|name| drop_column(change, name));
    let columns: Vec<_> = columns
        .chain(
            change
                .added
                .iter()
                .map(|name| add_column(change, new, name)),
        )
        .collect();
    let own = tried
        .statements
        .iter()
        .chain(&edits.first)
        .chain(&columns)
        .chain(edits.last.iter().map(|(s, _)| s));
    constraints::lead_to(old, new, own.map(|statement| statement.sql.as_str())).then_some(edits)
}

/// Says of a column that is declared before others which stay that it does not stand there.
fn added_last(change: &TableChange, old: &Table, new: &Table, name: &str) -> Option<String> {
    let at = new
        .columns
        .iter()
        .position(|column| same(&column.name, name))?;
    let next = new.columns[at + 1..]
        .iter()
        .find(|column| !holds(&change.added, &column.name))?;
    Some(format!(
        "{}.{name} is declared before {}, and is added last: an INSERT that names no columns, and SELECT *, have it there",
        old.name, next.name
    ))
}

/// Tables that differ in nothing but the order of their columns, which is no change, where nothing
/// else is one.
pub(crate) fn other_order(current: &Schema, declared: &Schema) -> Vec<String> {
    let order = |table: &Table| -> Vec<String> {
        table
            .columns
            .iter()
            .map(|c| c.name.to_ascii_lowercase())
            .collect()
    };
    let pairs = declared
        .tables
        .iter()
        .filter_map(|new| Some((current.table(&new.name)?, new)));
    let differ = pairs.filter(|(old, new)| old.sql != new.sql && order(old) != order(new));
    differ
        .map(|(old, new)| {
            let columns: Vec<&str> = old.columns.iter().map(|column| column.name.as_str()).collect();
            let way = made_anew(current, declared, old, new).map_or_else(String::new, |sql| {
                format!(". To have the declared one, publish with a migration of these statements: {sql}")
            });
            format!(
                "the columns of {} stand in another order in live ({}) than declared, and stay there: nothing but an INSERT that names \
                 no columns, and SELECT *, goes by it{way}",
                old.name,
                columns.join(", "),
            )
        })
        .collect()
}

/// A migration, in one line, that makes a table anew as it is declared. What goes with the old one,
/// indexes and triggers, the publish that runs it makes again.
fn made_anew(current: &Schema, declared: &Schema, old: &Table, new: &Table) -> Option<String> {
    let free = |name: &String| {
        let lower = name.to_ascii_lowercase();
        !current.names.contains(&lower) && !declared.names.contains(&lower)
    };
    let temp = (1..)
        .map(|n| {
            if n == 1 {
                format!("new_{}", new.name)
            } else {
                format!("new{n}_{}", new.name)
            }
        })
        .find(free)?;
    let mut plan = Plan::default();
    let change = TableChange {
        from: old.name.clone(),
        table: new.name.clone(),
        ..TableChange::default()
    };
    rebuild(&mut plan, &change, old, new, temp).ok()?;
    // Else the last of them fails over each view and trigger elsewhere that names the table, which
    // is not there then.
    let first = "PRAGMA legacy_alter_table = ON".to_owned();
    let statements = plan
        .statements
        .iter()
        .map(|statement| lex::one_line(&statement.sql));
    Some(
        std::iter::once(first)
            .chain(statements)
            .map(|sql| sql + ";")
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// Whether a CHECK stands with this column, and goes with it.
fn stands_with(check: &super::Check, name: &str) -> bool {
    check
        .column
        .as_deref()
        .is_some_and(|column| same(column, name))
}

fn ask_dropped(plan: &mut Plan, old: &Table, name: &str) {
    if old
        .column(name)
        .is_some_and(|column| column.generated.is_none())
    {
        plan.ask(Question::Values {
            table: old.name.clone(),
            column: name.to_owned(),
        });
    }
}

/// Whether ADD COLUMN does it whatever rows there are.
fn can_add(table: &Table, name: &str, sqlite_version: i32) -> bool {
    let Some(column) = table.column(name) else {
        return false;
    };
    let in_key = |key: &super::Key| key.columns.iter().any(|part| same(&part.name, name));
    if table.opaque || table.primary_key.iter().chain(&table.uniques).any(in_key) {
        return false;
    }
    // Old versions do not look whether the rows pass; 3.37 does.
    let checked = table
        .checks
        .iter()
        .any(|check| check.column.as_deref().is_some_and(|c| same(c, name)));
    if checked && sqlite_version < 3_037_000 {
        return false;
    }
    if let Some(generated) = &column.generated {
        return !generated.stored && column.not_null.is_none();
    }
    match &column.default {
        None => column.not_null.is_none(),
        Some(default) => match constant(default) {
            None => false,
            Some(null) => !null || column.not_null.is_none(),
        },
    }
}

/// Whether a `DEFAULT` is a constant, and then, whether it is NULL.
pub(super) fn constant(default: &str) -> Option<bool> {
    let tokens = lex::tokens(default);
    let value = match tokens.as_slice() {
        [sign, value] if sign.is("-") || sign.is("+") => value,
        [value] => value,
        _ => return None,
    };
    match value.kind {
        Kind::Value | Kind::Text | Kind::Quoted => Some(false),
        Kind::Word if value.is("NULL") => Some(true),
        Kind::Word if value.text.to_ascii_lowercase().starts_with("current_") => None,
        Kind::Word => Some(false),
        Kind::Sign => None,
    }
}

/// Whether DROP COLUMN does it.
fn can_drop(
    old: &Table,
    name: &str,
    new: &Table,
    change: &TableChange,
    sqlite_version: i32,
) -> bool {
    let names = |sql: &str| lex::tokens(sql).iter().any(|token| token.may_name(name));
    let in_key = |key: &super::Key| key.columns.iter().any(|part| same(&part.name, name));
    sqlite_version >= 3_035_000
        && !old.opaque
        && !new.opaque
        && !old.primary_key.iter().chain(&old.uniques).any(in_key)
        && !old.foreign_keys.iter().any(|key| holds(&key.columns, name))
        && !old
            .checks
            .iter()
            .any(|check| names(&check.expr) && !stands_with(check, name) && !change.checks_gone.contains(check))
        && !old.columns.iter().any(|column| column.generated.as_ref().is_some_and(|g| names(&g.expr)))
        // A name that is a column's now and, in double quotes, a string once that is gone.
        && !new.checks.iter().any(|check| names(&check.expr))
        && !new.columns.iter().any(|column| column.generated.as_ref().is_some_and(|g| names(&g.expr)))
}

fn rebuild(
    plan: &mut Plan,
    change: &TableChange,
    old: &Table,
    new: &Table,
    temp: String,
) -> Result<()> {
    let now = with_new_names(old, change);
    let create = parse::renamed_table(&new.sql, &new.name, &temp).ok_or_else(|| {
        Error::unsupported_change(format!(
            "the table {} has to be rebuilt, and its statement is not understood",
            new.name
        ))
        .object(&new.name)
        .sql(&new.sql)
        .state("Nothing was done")
        .hint("Write it as CREATE TABLE name (columns), or change it in a migration")
    })?;
    let stands_for = Some((temp.clone(), old.name.clone()));
    plan.add_rebuild("rebuild_table", &new.name, create)
        .stands_for
        .clone_from(&stands_for);

    let (mut into, mut from, mut filling) = (Vec::new(), Vec::new(), Vec::new());
    let mut fills = false;
    let alias_kept = new
        .rowid_alias()
        .is_some_and(|alias| now.column(&alias.name).is_some());
    if !alias_kept && let Some((to, read)) = new.rowid_name().zip(now.rowid_name()) {
        into.push(to.to_owned());
        from.push(read.to_owned());
        filling.push(read.to_owned());
    }
    for column in new
        .columns
        .iter()
        .filter(|column| column.generated.is_none())
    {
        let Some(kept) = now.column(&column.name) else {
            continue;
        };
        let read = column
            .cast
            .map_or_else(|| ident(&kept.name), |cast| cast.sql(&ident(&kept.name)));
        into.push(ident(&column.name));
        from.push(read.clone());
        let newly_required = column.not_null.is_some() && kept.not_null.is_none();
        filling.push(match &column.default {
            Some(default) if newly_required => {
                fills = true;
                format!("ifnull({read}, {})", default_expression(default))
            }
            _ => read,
        });
    }
    if into.is_empty() {
        // Nothing in common but how many rows there are.
        let first = new.columns.iter().find(|column| column.generated.is_none());
        into.extend(first.map(|column| ident(&column.name)));
        let value = first
            .and_then(|column| column.default.as_deref())
            .map_or("NULL".to_owned(), default_expression);
        from.push(value.clone());
        filling.push(value);
    }
    // OR ABORT: a constraint's own ON CONFLICT would drop or change rows on the way.
    let copy = |select: &[String]| {
        let (temp, into, select) = (ident(&temp), into.join(", "), select.join(", "));
        format!(
            "INSERT OR ABORT INTO {temp} ({into}) SELECT {select} FROM {}",
            ident(&new.name)
        )
    };
    let statement = plan.add_rebuild("rebuild_table", &new.name, copy(&from));
    statement.filling = fills.then(|| copy(&filling));
    statement.stands_for.clone_from(&stands_for);
    ask_about_rows(plan, change, old, new, &now);

    if old.autoincrement && new.autoincrement {
        let (name, temp) = (literal(&new.name), literal(&temp));
        let forget = format!("DELETE FROM sqlite_sequence WHERE name = {temp}");
        let keep = format!(
            "INSERT INTO sqlite_sequence (name, seq) SELECT {temp}, seq FROM sqlite_sequence WHERE name = {name}"
        );
        plan.add_rebuild("rebuild_table", &new.name, forget);
        plan.add_rebuild("rebuild_table", &new.name, keep);
    }
    plan.add_rebuild(
        "rebuild_table",
        &new.name,
        format!("DROP TABLE {}", ident(&new.name)),
    );
    let rename = format!(
        "ALTER TABLE {} RENAME TO {}",
        ident(&temp),
        ident(&new.name)
    );
    plan.add_rebuild("rebuild_table", &new.name, rename)
        .stands_for = stands_for;
    plan.rebuilt.push(new.name.clone());
    Ok(())
}

/// What a rebuild has to know of the rows. `now` has the declared names, `old` those that can be
/// asked by.
fn ask_about_rows(plan: &mut Plan, change: &TableChange, old: &Table, new: &Table, now: &Table) {
    for name in &change.dropped {
        ask_dropped(plan, old, name);
    }
    let table = || old.name.clone();
    for (kept, asked) in now.columns.iter().zip(&old.columns) {
        let Some(column) = new.column(&kept.name) else {
            continue;
        };
        let name = || asked.name.clone();
        if let Some(generated) = &column.generated {
            if kept.generated.is_none() && change.renamed.is_empty() {
                plan.ask(Question::Computed {
                    table: table(),
                    column: name(),
                    expr: generated.expr.clone(),
                });
            }
            continue;
        }
        if let Some(cast) = column.cast {
            plan.ask(Question::Cast {
                table: table(),
                column: name(),
                cast,
            });
            continue;
        }
        let affinities = (
            affinity(&kept.declared_type, old.strict),
            affinity(&column.declared_type, new.strict),
        );
        if affinities.0 != affinities.1 {
            let (from, to) = (kept.declared_type.clone(), column.declared_type.clone());
            plan.ask(Question::Retype {
                table: table(),
                column: name(),
                from,
                to,
                affinities,
            });
        }
        let key = |t: &Table| {
            t.without_rowid
                && t.primary_key
                    .iter()
                    .any(|k| k.columns.iter().any(|c| same(&c.name, &column.name)))
        };
        if (column.not_null.is_some() && kept.not_null.is_none()) || (key(new) && !key(now)) {
            let default = column
                .default
                .as_deref()
                .filter(|d| constant(d) != Some(true) && column.not_null.is_some());
            let (default, rowid) = (default.map(str::to_owned), old.rowid_name());
            plan.ask(Question::Nulls {
                table: table(),
                column: name(),
                default,
                rowid,
            });
        }
    }
    if let Some(alias) = new.rowid_alias()
        && now
            .rowid_alias()
            .is_none_or(|before| !same(&before.name, &alias.name))
        && let Some(at) = now
            .columns
            .iter()
            .position(|column| same(&column.name, &alias.name))
    {
        plan.ask(Question::Rowids {
            table: table(),
            column: old.columns[at].name.clone(),
        });
    }
    for name in &change.added {
        let Some(column) = new.column(name) else {
            continue;
        };
        let default = column
            .default
            .as_deref()
            .is_some_and(|default| constant(default) != Some(true));
        let is_rowid = new
            .rowid_alias()
            .is_some_and(|alias| same(&alias.name, name));
        if column.not_null.is_some() && column.generated.is_none() && !default && !is_rowid {
            plan.ask(Question::NoValue {
                table: table(),
                column: name.clone(),
            });
        }
    }
    let collated = |table: &Table, key: &super::Key| -> BTreeSet<(String, String)> {
        let part = |part: &super::KeyColumn| {
            let own = table
                .column(&part.name)
                .and_then(|column| column.collate.as_deref())
                .unwrap_or("binary");
            (
                part.name.to_ascii_lowercase(),
                part.collate.as_deref().unwrap_or(own).to_ascii_lowercase(),
            )
        };
        key.columns.iter().map(part).collect()
    };
    let there: Vec<_> = now
        .primary_key
        .iter()
        .chain(&now.uniques)
        .map(|key| collated(now, key))
        .collect();
    for key in new.primary_key.iter().chain(&new.uniques) {
        let columns = collated(new, key);
        if there.contains(&columns) {
            continue;
        }
        let asked = |name: &str| {
            let plain = new
                .column(name)
                .is_some_and(|column| column.generated.is_none());
            let at = now
                .columns
                .iter()
                .position(|column| same(&column.name, name))
                .filter(|_| plain)?;
            Some(ident(&old.columns[at].name))
        };
        let parts = columns
            .iter()
            .map(|(name, collate)| Some(format!("{} COLLATE {}", asked(name)?, ident(collate))));
        if let Some(columns) = parts.collect::<Option<Vec<_>>>() {
            let named = idents(key.columns.iter().map(|part| &part.name));
            plan.ask(Question::Unique {
                table: table(),
                object: format!("UNIQUE ({named})"),
                columns,
                condition: None,
            });
        }
    }
}

/// Asks of the rows whether a new unique index can be made, where it can be asked by the names of
/// now.
fn ask_unique_index(
    plan: &mut Plan,
    index: &super::Index,
    current: &Schema,
    altered: &[TableChange],
) {
    let Some(parsed) = parse::index(&index.sql).filter(|parsed| parsed.unique) else {
        return;
    };
    let changes = altered
        .iter()
        .any(|c| same(&c.table, &index.table) && !(c.renamed.is_empty() && c.added.is_empty()));
    if current.table(&index.table).is_some() && !changes {
        plan.ask(Question::Unique {
            table: index.table.clone(),
            object: index.name.clone(),
            columns: parsed.columns,
            condition: parsed.condition,
        });
    }
}

/// SQLite's rules for the affinity of a declared type.
pub(super) fn affinity(declared: &str, strict: bool) -> &'static str {
    let upper = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| upper.contains(part));
    match () {
        () if strict && upper == "ANY" => "BLOB",
        () if has(&["INT"]) => "INTEGER",
        () if has(&["CHAR", "CLOB", "TEXT"]) => "TEXT",
        () if has(&["BLOB"]) || upper.is_empty() => "BLOB",
        () if has(&["REAL", "FLOA", "DOUB"]) => "REAL",
        () => "NUMERIC",
    }
}
