//! The schema that an app's declaration makes of a database.

use crate::{
    base::error::{Error, Result, State},
    schema::{
        Column, Generated, Key, KeyColumn, Schema, Table,
        app::{
            App, AppColumn, AppTable, RecordedTypes,
            groups::{column_names, same_group},
            stored,
            system::{SYSTEM, system},
        },
        free_names::FreeNames,
        logical::{Cast, Logical, affinity},
        meaning,
        rename::{Names, Rename},
        render,
    },
    sqlite::{
        lex::{self, Kind, Token},
        quote::{ident, same_name},
    },
};
use std::collections::BTreeSet;

/// The schema that an app makes of a database.
#[derive(Debug)]
pub struct CompletedSchema {
    /// The database's own, with what the app declares.
    pub schema: Schema,
    /// What the app's maker should know.
    pub warnings: Vec<String>,
}

/// Puts what `app` declares into the schema `current` of a database whose live release declared
/// `recorded`. `migrations` are the texts of the migration files that ran just before: one that
/// names a column answers for its values.
///
/// Fails with `lossy_change` where a type would change without a `@cast`, naming every such column.
pub fn complete(
    current: &Schema,
    app: &App,
    recorded: &RecordedTypes,
    renames: &[Rename],
    migrations: &[&str],
) -> Result<CompletedSchema> {
    let mut completion = Completion {
        current,
        recorded,
        migrations: migrations.iter().map(|text| lex::tokens(text)).collect(),
        names: Names::default(),
        free: FreeNames::beside(vec![&current.names]),
        schema: Schema {
            names: current.names.clone(),
            ..Schema::default()
        },
        warnings: Vec::new(),
        refused: Vec::new(),
    };
    for table in &app.tables {
        completion.free.keep(&table.name);
    }
    if !renames.is_empty() {
        let plain = complete(&Schema::default(), app, &RecordedTypes::default(), &[], &[])?.schema;
        completion.names = Names::resolve(current, &plain, renames)?;
    }
    let mut taken = BTreeSet::new();
    for table in &app.tables {
        if let Some(old) = completion.table(table)? {
            taken.insert(old.to_ascii_lowercase());
        }
    }
    if !completion.refused.is_empty() {
        return Err(refusal(&completion.refused));
    }
    completion.others(&taken);
    Ok(CompletedSchema {
        schema: completion.schema,
        warnings: completion.warnings,
    })
}

/// A type change that no `@cast` allows.
struct TypeChange {
    table: String,
    column: String,
    from: String,
    to: String,
    castable: bool,
}

fn refusal(all: &[TypeChange]) -> Error {
    let change = |r: &TypeChange| format!("{}.{} from {} to {}", r.table, r.column, r.from, r.to);
    let list = all.iter().map(change).collect::<Vec<_>>().join("; ");
    let first = &all[0];
    let cast = match all.iter().find(|refused| !refused.castable) {
        None => "Write /** @cast */ above the property to convert its values (no leave stands for it in an app, where each property \
                 says so itself)"
            .to_owned(),
        Some(r) => format!("/** @cast */ cannot make {} of {}, and no leave can", r.to, r.from),
    };
    Error::lossy_change(format!("a type would change, which is never inferred: {list}"))
        .object(format!("{}.{}", first.table, first.column))
        .state(State::NothingChanged)
        .hint(format!(
            "{cast}, give the property another name (where it is an old column under a new one, with /** @renamed from={} */ \
             above it), or convert the values in a migration file dist/methods/migrations/NNNN_name.sql",
            first.column
        ))
}

/// A schema on its way to what the app makes of it.
pub(super) struct Completion<'s> {
    pub(super) current: &'s Schema,
    recorded: &'s RecordedTypes,
    migrations: Vec<Vec<Token<'s>>>,
    pub(super) names: Names,
    pub(super) free: FreeNames<'s>,
    pub(super) schema: Schema,
    warnings: Vec<String>,
    refused: Vec<TypeChange>,
}

impl Completion<'_> {
    /// Adds a declared table, with its indexes and triggers. Returns its current name.
    fn table(&mut self, declared: &AppTable) -> Result<Option<String>> {
        let old = self
            .current
            .tables
            .iter()
            .find(|t| same_name(self.names.table(&t.name), &declared.name));
        match old {
            None => self.new_table(declared)?,
            Some(old) => self.present_table(declared, old)?,
        }
        Ok(old.map(|old| old.name.clone()))
    }

    /// Adds a declared table that does not exist yet.
    fn new_table(&mut self, declared: &AppTable) -> Result<()> {
        let views = self.current.views.iter().map(|view| &view.name);
        let others = views.chain(self.current.virtual_tables.iter().map(|table| &table.name));
        if others
            .chain(self.current.indexes.iter().map(|index| &index.name))
            .any(|n| same_name(n, &declared.name))
        {
            return Err(Error::unsupported_change(format!(
                "the database has a {} already, which is no table that an app could declare",
                declared.name
            ))
            .object(&declared.name)
            .state(State::NothingChanged)
            .hint("Drop or rename it in a migration, or give the table another name"));
        }
        let mut table = Table {
            name: declared.name.clone(),
            ..Table::default()
        };
        self.system_columns(&mut table, declared, &[]);
        for column in &declared.columns {
            table.columns.push(new_column(column, false));
        }
        write_sql(&mut table);
        self.indexes(&table, declared, None);
        self.triggers(&table, declared, None);
        self.schema.tables.push(table);
        Ok(())
    }

    /// Adds a declared table that exists as `old`, with what it keeps of that.
    fn present_table(&mut self, declared: &AppTable, old: &Table) -> Result<()> {
        let mut table = old.clone();
        table.name.clone_from(&declared.name);
        self.rename_within(&mut table, old);
        let gone = leave_out_undeclared(&mut table, declared);
        let filled = self.filled_by_triggers(old, declared);
        self.system_columns(&mut table, declared, &filled);
        for column in &declared.columns {
            self.column(&mut table, old, declared, column);
        }
        let before = Table {
            name: table.name.clone(),
            ..old.clone()
        };
        if table == before {
            table = before;
        } else if old.opaque {
            return Err(Error::unsupported_change(format!(
                "the table {} has to change for the app, and its statement is not understood",
                old.name
            ))
            .object(&old.name)
            .sql(&old.sql)
            .state(State::NothingChanged)
            .hint("Change it in a migration"));
        } else {
            write_sql(&mut table);
        }
        self.indexes(&table, declared, Some((old, &gone)));
        self.triggers(&table, declared, Some(old));
        self.schema.tables.push(table);
        Ok(())
    }

    /// Renames a table's columns as the renames say.
    fn rename_within(&self, table: &mut Table, old: &Table) {
        let renamed = |name: &str| self.names.column(&old.name, name).to_owned();
        for column in &mut table.columns {
            column.name = renamed(&column.name);
            if let Some(generated) = &mut column.generated {
                generated.expr = self.renamed_in(&generated.expr, old);
            }
        }
        for part in table
            .primary_key
            .iter_mut()
            .chain(&mut table.uniques)
            .flat_map(|key| &mut key.columns)
        {
            part.name = renamed(&part.name);
        }
        for check in &mut table.checks {
            check.expr = self.renamed_in(&check.expr, old);
            check.column = check.column.as_deref().map(renamed);
        }
        for key in &mut table.foreign_keys {
            key.columns = key.columns.iter().map(|name| renamed(name)).collect();
        }
        self.rename_parents(table);
    }

    /// What a table refers to may be renamed, too.
    fn rename_parents(&self, table: &mut Table) {
        for key in &mut table.foreign_keys {
            let parent = key.parent.clone();
            key.parent_columns = key
                .parent_columns
                .iter()
                .map(|c| self.names.column(&parent, c).to_owned())
                .collect();
            key.parent = self.names.table(&parent).to_owned();
        }
    }

    /// An expression, or a statement about a table, with the declared names.
    pub(super) fn renamed_in(&self, sql: &str, old: &Table) -> String {
        let (mut out, mut copied) = (String::new(), 0);
        for token in lex::tokens(sql) {
            let Some(name) = token.name().filter(|name| token.may_name(name)) else {
                continue;
            };
            let new = if same_name(&name, &old.name) {
                self.names.table(&name).to_owned()
            } else if old.column(&name).is_some() {
                self.names.column(&old.name, &name).to_owned()
            } else {
                continue;
            };
            if new != name {
                out.push_str(&sql[copied..token.start]);
                out.push_str(&ident(&new));
                copied = token.end();
            }
        }
        out + &sql[copied..]
    }

    /// Adds the columns that every table has, or corrects them.
    fn system_columns(&mut self, table: &mut Table, declared: &AppTable, filled: &[String]) {
        let is_new = table.sql.is_empty();
        for (at, system) in SYSTEM.iter().enumerate() {
            let Some(column) = table
                .columns
                .iter_mut()
                .find(|column| same_name(&column.name, system.name))
            else {
                let column = Column {
                    name: system.name.into(),
                    declared_type: system.sql_type.into(),
                    default: system.default.map(str::to_owned),
                    ..Column::default()
                };
                // First in a new table; behind what is there in another.
                table
                    .columns
                    .insert(if is_new { at } else { table.columns.len() }, column);
                continue;
            };
            let has = affinity(&column.declared_type, table.strict);
            let fits = if system.sql_type == "TEXT" {
                ["TEXT", "BLOB"].contains(&has)
            } else {
                has != "TEXT"
            };
            if !fits {
                self.refused.push(TypeChange {
                    table: declared.name.clone(),
                    column: system.name.into(),
                    from: column.declared_type.clone(),
                    to: format!(
                        "{}, which this column is in every table of an app",
                        system.sql_type
                    ),
                    castable: false,
                });
            }
            let fills = column
                .default
                .as_deref()
                .is_some_and(|default| !is_constant(default))
                || column.generated.is_some()
                || filled.iter().any(|f| same_name(f, system.name));
            if system.default.is_some() && !fills {
                column.default = system.default.map(str::to_owned);
            }
        }
        let is_id =
            |key: &Key| matches!(key.columns.as_slice(), [only] if same_name(&only.name, "id"));
        if !table.primary_key.as_ref().is_some_and(is_id) {
            let columns = vec![KeyColumn {
                name: "id".into(),
                ..KeyColumn::default()
            }];
            table.primary_key = Some(Key {
                columns,
                conflict: "abort".into(),
                inline: true,
                ..Key::default()
            });
            table.autoincrement = false;
        }
    }

    /// Puts a declared column into a table that is there.
    fn column(&mut self, table: &mut Table, old: &Table, declared: &AppTable, column: &AppColumn) {
        let was = old
            .columns
            .iter()
            .find(|c| same_name(self.names.column(&old.name, &c.name), &column.name));
        let Some((was, now)) = was.zip(
            table
                .columns
                .iter_mut()
                .find(|c| same_name(&c.name, &column.name)),
        ) else {
            table.columns.push(new_column(column, true));
            return;
        };
        now.name.clone_from(&column.name);
        if column.computed_from.is_some() {
            let wanted = new_column(column, true);
            let expr = |g: &Generated| lex::meaning_of(&g.expr);
            if now.generated.as_ref().map(expr) != wanted.generated.as_ref().map(expr) {
                *now = wanted;
            }
            return;
        }
        now.generated = None;
        if !column.required {
            now.not_null = None;
        }
        if let Some(cast) = self.cast(declared, column, old, was) {
            *now = Column {
                cast: Some(cast),
                collate: None,
                ..new_column(column, false)
            };
        }
    }

    /// How the values of a column that is there as `was` are to be converted, if its type changes
    /// in the file as well. A change that no `@cast` allows goes to `refused`.
    fn cast(
        &mut self,
        declared: &AppTable,
        column: &AppColumn,
        old: &Table,
        was: &Column,
    ) -> Option<Cast> {
        let has = affinity(&was.declared_type, old.strict);
        let wants = affinity(column.logical.sql_type(), old.strict);
        let recorded = self.recorded.0.get(&old.name.to_ascii_lowercase());
        let recorded = recorded
            .and_then(|columns| columns.get(&was.name.to_ascii_lowercase()))
            .copied();
        // What was changed outside of any release is what it is.
        let recorded = recorded.filter(|of| affinity(of.sql_type(), old.strict) == has);
        let unchanged = recorded.is_none_or(|of| of == column.logical);
        let tables = [&old.name, &declared.name];
        let columns = [&was.name, &column.name];
        if has == wants && (unchanged || self.a_migration_names(tables, columns)) {
            return None;
        }
        let from = recorded.unwrap_or(match has {
            "TEXT" => Logical::Text,
            "BLOB" => Logical::Json,
            _ => Logical::Number,
        });
        let cast = Cast {
            from,
            to: column.logical,
        };
        if !column.cast || !cast.possible() {
            self.refused.push(TypeChange {
                table: declared.name.clone(),
                column: column.name.clone(),
                from: recorded.map_or_else(|| was.declared_type.clone(), |of| of.to_string()),
                to: column.logical.to_string(),
                castable: cast.possible(),
            });
            return None;
        }
        if has == wants {
            self.warnings.push(format!(
                "{}.{} was {from} and is {} from now on, by @cast: its values stay as they are written",
                declared.name, column.name, column.logical
            ));
            return None;
        }
        Some(cast)
    }

    /// Whether a migration names both a table, by one of its names, and a column, by one of its:
    /// it answers for the column's values.
    fn a_migration_names(&self, tables: [&String; 2], columns: [&String; 2]) -> bool {
        self.migrations.iter().any(|tokens| {
            let names = |name: &&String| tokens.iter().any(|token| token.may_name(name));
            tables.iter().any(names) && columns.iter().any(names)
        })
    }

    /// Keeps all that the app does not declare as it is, except tables that an earlier release of
    /// it declared: these are dropped.
    fn others(&mut self, taken: &BTreeSet<String>) {
        let lower = |name: &str| name.to_ascii_lowercase();
        let mut left = Vec::new();
        for table in &self.current.tables {
            let name = lower(&table.name);
            if taken.contains(&name) || self.recorded.0.contains_key(&name) {
                continue;
            }
            let mut kept = table.clone();
            kept.name = self.names.table(&table.name).to_owned();
            self.rename_parents(&mut kept);
            self.schema.tables.push(kept);
            left.push(table.name.clone());
            let of = |on: &str| same_name(on, &table.name);
            self.schema.indexes.extend(
                self.current
                    .indexes
                    .iter()
                    .filter(|i| of(&i.table))
                    .cloned(),
            );
            self.schema.triggers.extend(
                self.current
                    .triggers
                    .iter()
                    .filter(|t| of(&t.table))
                    .cloned(),
            );
        }
        for table in &self.current.virtual_tables {
            left.push(table.name.clone());
            self.schema.virtual_tables.push(table.clone());
        }
        for view in &self.current.views {
            self.schema.views.push(view.clone());
            let on_view = self
                .current
                .triggers
                .iter()
                .filter(|trigger| same_name(&trigger.table, &view.name));
            self.schema.triggers.extend(on_view.cloned());
        }
        if !left.is_empty() {
            self.warnings.push(format!(
                "no release of this app declared {}: left alone",
                left.join(", ")
            ));
        }
    }
}

/// Leaves out the columns that neither the app declares nor every table has, and the constraints
/// that need them, with the UNIQUE constraints that the app does not declare. Returns the names of
/// the columns.
fn leave_out_undeclared(table: &mut Table, declared: &AppTable) -> Vec<String> {
    let keeps = |name: &str| {
        system(name).is_some() || declared.columns.iter().any(|c| same_name(&c.name, name))
    };
    let gone: Vec<String> = table
        .columns
        .iter()
        .filter(|c| !keeps(&c.name))
        .map(|c| c.name.clone())
        .collect();
    let is_gone = |name: &str| gone.iter().any(|gone| same_name(gone, name));
    table.columns.retain(|column| !is_gone(&column.name));
    let names_gone = |sql: &str| {
        lex::tokens(sql)
            .iter()
            .any(|token| gone.iter().any(|gone| token.may_name(gone)))
    };
    table.checks.retain(|check| !names_gone(&check.expr));
    table
        .foreign_keys
        .retain(|key| !key.columns.iter().any(|name| is_gone(name)));
    table.uniques.retain(|key| {
        let columns = column_names(key);
        declared
            .unique
            .iter()
            .any(|unique| same_group(unique, &columns))
    });
    gone
}

/// Writes a table's statement, and its columns' definitions, from its parts.
fn write_sql(table: &mut Table) {
    let definitions: Vec<String> = table
        .columns
        .iter()
        .map(|column| render::column(column, table))
        .collect();
    for (column, definition) in table.columns.iter_mut().zip(definitions) {
        column.definition = definition;
    }
    table.sql = render::table(table);
}

/// A declared column; one that comes to a table with rows carries its default, which they read.
fn new_column(column: &AppColumn, to_rows: bool) -> Column {
    let computed = column.computed_from.as_deref().and_then(system);
    let default = column
        .default
        .as_ref()
        .filter(|_| to_rows && computed.is_none());
    Column {
        name: column.name.clone(),
        declared_type: computed
            .map_or(column.logical.sql_type(), |system| system.sql_type)
            .to_owned(),
        default: default.and_then(|value| stored(column.logical, value)),
        generated: computed.map(|system| Generated {
            expr: ident(system.name),
            stored: false,
        }),
        ..Column::default()
    }
}

/// Whether a `DEFAULT` is the same for every row: `0`, `''` or NULL in the place of a time or an
/// id.
fn is_constant(default: &str) -> bool {
    lex::tokens(&meaning::default_expression(default))
        .iter()
        .all(|token| match token.kind {
            Kind::Text | Kind::Value | Kind::Sign | Kind::Quoted => true,
            // A function, or CURRENT_TIMESTAMP.
            Kind::Word => ["NULL", "TRUE", "FALSE"].iter().any(|word| token.is(word)),
        })
}
