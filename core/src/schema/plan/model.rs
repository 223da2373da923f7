//! What a plan is made of.

use crate::{
    base::{allow::Allow, words::words},
    effects::{ChangeKind, EffectKind, diff},
    schema::{app::system, logical::Cast},
    sqlite::quote::{ident, same_name},
};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, fmt};

/// What statements take away, as warnings.
pub(crate) fn losses(statements: &[Statement]) -> impl Iterator<Item = String> {
    statements.iter().filter_map(|s| {
        s.loses
            .as_ref()
            .map(|loses| format!("{} loses {loses}", s.object))
    })
}

/// A constraint that an ALTER TABLE adds, see [`constrain`](crate::schema::constrain).
#[derive(Debug, Clone)]
pub(crate) struct Added {
    /// Its table.
    pub(crate) table: String,
    /// What follows the table's name.
    pub(crate) what: String,
    /// What fills in NULLs before. In a plan, for those who allow it; in a statement that runs, it
    /// is allowed.
    pub(crate) fill: Option<String>,
}

/// What a statement is where NULLs are filled in.
#[derive(Debug, Clone)]
pub(crate) struct Filling {
    pub(crate) sql: String,
    /// As [`Statement::passes_over`].
    pub(crate) passes_over: Option<String>,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named by what it does")]
pub enum StatementKind {
    CreateTable,
    DropTable,
    RenameTable,
    AddColumn,
    DropColumn,
    RenameColumn,
    AddConstraint,
    DropConstraint,
    SetNotNull,
    DropNotNull,
    RebuildTable,
    CreateIndex,
    DropIndex,
    CreateView,
    DropView,
    CreateTrigger,
    DropTrigger,
    Migration,
    /// What the caller should know: of a diff alone.
    Warning,
    /// A change of an effect: of a diff alone.
    Effect(ChangeKind, EffectKind),
}

impl StatementKind {
    fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::CreateTable => "create_table",
            Self::DropTable => "drop_table",
            Self::RenameTable => "rename_table",
            Self::AddColumn => "add_column",
            Self::DropColumn => "drop_column",
            Self::RenameColumn => "rename_column",
            Self::AddConstraint => "add_constraint",
            Self::DropConstraint => "drop_constraint",
            Self::SetNotNull => "set_not_null",
            Self::DropNotNull => "drop_not_null",
            Self::RebuildTable => "rebuild_table",
            Self::CreateIndex => "create_index",
            Self::DropIndex => "drop_index",
            Self::CreateView => "create_view",
            Self::DropView => "drop_view",
            Self::CreateTrigger => "create_trigger",
            Self::DropTrigger => "drop_trigger",
            Self::Migration => "migration",
            Self::Warning => "warning",
            Self::Effect(..) => return None,
        })
    }
}

/// `create_table`; of an effect, what becomes of it and what it is: `create_role`.
impl fmt::Display for StatementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.word()) {
            (Self::Effect(change, kind), _) => write!(f, "{change}_{kind}"),
            (_, word) => f.pad(word.unwrap_or_default()),
        }
    }
}

impl Serialize for StatementKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

words! {
    /// How a change is made.
    pub enum Strategy, "strategy" {
        /// By a statement of SQLite's own.
        Direct = "direct",
        /// By one of the statements that make up a rebuild.
        Rebuild = "rebuild",
        /// It is a change of an effect.
        Effect = "effect",
        /// It is no change: what the caller should know.
        Warning = "warning",
    }
}

/// One statement of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Statement {
    /// From 1.
    pub ord: u32,
    /// What it does.
    pub kind: StatementKind,
    /// What it is about: `orders`, `orders.note`, the id of an effect; empty for a warning.
    pub object: String,
    /// The statement. Empty for an effect, whose row may hold a secret, and for a warning.
    pub sql: String,
    /// How it is done.
    pub strategy: Strategy,
    /// What `allow` must hold.
    pub needs: Option<Allow>,
    /// What it takes away, counted.
    pub loses: Option<String>,
    /// What a row of kind `warning` says, which only a diff has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The name that a rename gives, of a table or column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// Names in other statements follow a rename: run with `legacy_alter_table` off.
    #[serde(skip)]
    pub(crate) follow_names: bool,
    /// It renames a table or column, and touches no rows.
    #[serde(skip)]
    pub(crate) renames: bool,
    /// What it is with NULLs filled in, for those who allow it.
    #[serde(skip)]
    pub(crate) filling: Option<Filling>,
    /// Of a copy of rows: the same, which passes over those that do not fit, to count them.
    #[serde(skip)]
    pub(crate) passes_over: Option<String>,
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
}

impl Statement {
    pub(crate) fn new(kind: StatementKind, object: String, sql: String) -> Self {
        Self {
            ord: 0,
            kind,
            object,
            sql,
            strategy: Strategy::Direct,
            needs: None,
            loses: None,
            message: None,
            new_name: None,
            follow_names: false,
            renames: false,
            filling: None,
            passes_over: None,
            adds: None,
            stands_for: None,
        }
    }

    /// A change of an effect, as a diff shows it.
    pub(crate) fn effect(change: &diff::Change) -> Self {
        Self {
            strategy: Strategy::Effect,
            ..Self::new(
                StatementKind::Effect(change.change, change.kind),
                change.id.clone(),
                String::new(),
            )
        }
    }

    /// What the caller should know, as a diff shows it where it is asked for.
    pub(crate) fn warning(message: String) -> Self {
        let row = Self::new(StatementKind::Warning, String::new(), String::new());
        Self {
            strategy: Strategy::Warning,
            message: Some(message),
            ..row
        }
    }

    /// A rename of a table or column to `to`.
    pub(crate) fn rename(kind: StatementKind, object: String, sql: String, to: &str) -> Self {
        Self {
            new_name: Some(to.to_owned()),
            renames: true,
            ..Self::new(kind, object, sql)
        }
    }

    /// The statement as it runs: with NULLs filled in where that is `allowed`.
    pub(crate) fn as_it_runs(&self, allowed: bool) -> Self {
        let mut statement = self.clone();
        match statement.filling.take() {
            Some(filling) if allowed => {
                statement.sql = filling.sql;
                statement.passes_over = filling.passes_over;
            }
            _ => {
                if let Some(added) = &mut statement.adds {
                    added.fill = None;
                }
            }
        }
        statement
    }

    /// A migration file.
    pub(crate) fn migration(ord: u32, name: &str, text: &str) -> Self {
        Self {
            ord,
            ..Self::new(StatementKind::Migration, name.to_owned(), text.to_owned())
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
            .filter(|statement| statement.kind == StatementKind::RenameTable);
        let old = renames.filter_map(|statement| {
            let new = self.renamed.get(&statement.object.to_ascii_lowercase())?;
            let rest = object.get(new.len()..)?;
            let named =
                same_name(&object[..new.len()], new) && (rest.is_empty() || rest.starts_with('.'));
            named.then(|| format!("{}{rest}", statement.object))
        });
        old.into_iter().next().unwrap_or_else(|| object.to_owned())
    }

    pub(crate) fn add(
        &mut self,
        kind: StatementKind,
        object: impl Into<String>,
        sql: impl Into<String>,
    ) -> &mut Statement {
        self.push(Statement::new(kind, object.into(), sql.into()))
    }

    pub(crate) fn push(&mut self, statement: Statement) -> &mut Statement {
        let ord = u32::try_from(self.statements.len() + 1).unwrap_or(u32::MAX);
        self.statements.push(Statement { ord, ..statement });
        self.statements.last_mut().expect("pushed just now")
    }

    /// Adds one of the statements that make up a rebuild of a table.
    pub(crate) fn add_rebuild(&mut self, object: &str, sql: impl Into<String>) -> &mut Statement {
        let statement = self.add(StatementKind::RebuildTable, object, sql);
        statement.strategy = Strategy::Rebuild;
        statement
    }

    /// Drops `name`, and gives its name to the table `temp` that was made in its place.
    pub(super) fn put_in_place(&mut self, temp: &str, name: &str) -> &mut Statement {
        let (old, new) = (ident(name), ident(temp));
        self.add_rebuild(name, format!("DROP TABLE {old}"));
        let statement = self.add_rebuild(name, format!("ALTER TABLE {new} RENAME TO {old}"));
        statement.renames = true;
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
                let own = |name: &&String| !system::SYSTEM.iter().any(|system| same_name(system.name, name));
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
    pub(crate) fn at(&self, kind: StatementKind, object: &str, first: usize) -> usize {
        let is = |statement: &Statement| statement.kind == kind && statement.object == object;
        first + self.statements.iter().skip(first).position(is).unwrap_or(0)
    }

    /// Asks something for the statement that was added last.
    pub(crate) fn ask(&mut self, question: Question) {
        self.questions
            .push((self.statements.len().saturating_sub(1), question));
    }
}

pub(super) fn holds(names: &[String], name: &str) -> bool {
    names.iter().any(|n| same_name(n, name))
}
