//! The table-valued functions: arguments in, rows out. A column is the key of the same name in the
//! verb's JSON.

use crate::{
    call::{Call, utf8},
    guard::{guard, raised},
};
use remy_db::{Error, Result, State};
use remy_db_helper::Verb;
use rusqlite::{
    ffi,
    types::{Null, Value, ValueRef},
    vtab::{
        Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
        VTabCursor, sqlite3_vtab, sqlite3_vtab_cursor,
    },
};
use std::{
    borrow::Cow,
    ffi::{CStr, CString, c_int},
};

/// A table function.
pub struct Table {
    pub name: &'static str,
    /// The columns that it shows.
    columns: &'static [&'static str],
    /// The arguments: hidden columns behind those. The name may not be a column's.
    args: &'static [&'static str],
    /// How many of the arguments have to be given.
    required: usize,
    /// A column whose value, where it is asked for with `=`, is the first argument.
    filter: Option<usize>,
    verb: fn(&Call) -> Result<Verb>,
}

pub static DIFF: Table = Table {
    name: "remy_diff",
    columns: &[
        "ord", "kind", "object", "sql", "strategy", "needs", "loses", "message",
    ],
    args: &["schema", "options"],
    required: 1,
    filter: None,
    verb: |call| {
        let (schema, options) = (call.text(0, "schema")?.to_owned(), call.options(1)?);
        Ok(Verb::Diff { schema, options })
    },
};

pub static RELEASES: Table = Table {
    name: "remy_releases",
    columns: &[
        "release",
        "label",
        "commit",
        "status",
        "created_at",
        "live_at",
        "superseded_at",
        "restored_from",
        "database",
        "database_bytes",
        "pruned_at",
        "preview",
    ],
    args: &[],
    required: 0,
    filter: None,
    verb: |_| Ok(Verb::Releases),
};

pub static BUILD_LOG: Table = Table {
    name: "remy_build_log",
    columns: &[
        "release",
        "seq",
        "at",
        "step",
        "outcome",
        "message",
        "object",
        "sql",
        "duration_ms",
    ],
    args: &["of_release"],
    required: 0,
    filter: Some(0),
    verb: |call| {
        let release = call.release(0)?;
        Ok(Verb::BuildLog { release })
    },
};

pub static DEV_LIST: Table = Table {
    name: "remy_dev_list",
    columns: &[
        "name",
        "path",
        "bytes",
        "release",
        "status",
        "created_at",
        "reset_at",
        "stopped_at",
    ],
    args: &[],
    required: 0,
    filter: None,
    verb: |_| Ok(Verb::DevList),
};

impl Table {
    /// What SQLite is told that the table looks like.
    fn declaration(&self) -> String {
        let shown = self.columns.iter().map(|name| format!("\"{name}\""));
        let hidden = self.args.iter().map(|name| format!("\"{name}\" HIDDEN"));
        format!(
            "CREATE TABLE x({})",
            shown.chain(hidden).collect::<Vec<_>>().join(", ")
        )
    }

    /// The argument that an `=` on `column` gives.
    fn argument(&self, column: c_int) -> Option<usize> {
        let column = usize::try_from(column).ok()?;
        match column.checked_sub(self.columns.len()) {
            Some(arg) => Some(arg),
            None => (self.filter == Some(column)).then_some(0),
        }
    }
}

/// A table function in a statement. SQLite keeps it by the address of its first field.
#[repr(C)]
pub struct Row {
    base: sqlite3_vtab,
    table: &'static Table,
    db: *mut ffi::sqlite3,
}

impl Row {
    pub const MODULE: Module<'static, Self> = Module::eponymous_only_module();
}

// SAFETY: the first field is the `sqlite3_vtab`, and the layout is C's.
unsafe impl VTab<'_> for Row {
    type Aux = &'static Table;
    type Cursor = Cursor;

    fn connect(
        db: &mut VTabConnection,
        table: Option<&Self::Aux>,
        _module: &[u8],
        _database: &[u8],
        _name: &[u8],
        _args: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        edge(|| {
            let table =
                *table.ok_or_else(|| Error::internal("a table function without its table"))?;
            db.config(VTabConfig::DirectOnly)?;
            let declaration =
                CString::new(table.declaration()).map_err(|e| Error::internal(e.to_string()))?;
            // SAFETY: the handle is only used while a cursor of this table is open, and SQLite
            // closes those first.
            let db = unsafe { db.handle() };
            Ok((
                Cow::Owned(declaration),
                Self {
                    base: sqlite3_vtab::default(),
                    table,
                    db,
                },
            ))
        })
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        edge(|| {
            let table = self.table;
            // The constraint that gives each argument; one on the hidden column goes before one on
            // the column that is shown.
            let mut given: Vec<Option<usize>> = vec![None; table.args.len()];
            let mut hidden = vec![false; table.args.len()];
            let mut usable = true;
            for (i, constraint) in info.constraints().enumerate() {
                let Some(arg) = table.argument(constraint.column()) else {
                    continue;
                };
                if constraint.operator() != IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ {
                    continue;
                }
                let is_hidden = constraint.column() as usize >= table.columns.len();
                match constraint.is_usable() {
                    true if given[arg].is_none() || is_hidden => {
                        (given[arg], hidden[arg]) = (Some(i), is_hidden)
                    }
                    true => {}
                    // An argument of a later table in a join: another order of the join has it.
                    false => usable &= !is_hidden,
                }
            }
            if !usable {
                return Ok(false);
            }
            if let Some(missing) = (0..table.required).find(|&arg| given[arg].is_none()) {
                let (name, arg) = (table.name, table.args[missing]);
                return Err(Error::invalid_argument(format!(
                    "{name} is called with a {arg}, as in {name}('{arg}.sql')"
                ))
                .state(State::NothingDone));
            }
            let mut which = 0;
            for (next, (arg, constraint)) in (1..).zip(
                given
                    .iter()
                    .enumerate()
                    .filter_map(|(arg, at)| at.map(|at| (arg, at))),
            ) {
                which |= 1 << arg;
                let mut usage = info.constraint_usage(constraint);
                usage.set_argv_index(next);
                // An argument is what it is: compared again, NULL would not be equal to itself.
                usage.set_omit(hidden[arg]);
            }
            info.set_idx_num(which);
            info.set_estimated_cost(1000.0);
            info.set_estimated_rows(100);
            Ok(true)
        })
    }

    fn open(&mut self) -> rusqlite::Result<Cursor> {
        Ok(Cursor {
            base: sqlite3_vtab_cursor::default(),
            table: self.table,
            db: self.db,
            call: None,
            rows: Vec::new(),
            at: 0,
        })
    }
}

/// A table function's rows, all of them. SQLite keeps it by the address of its first field.
#[repr(C)]
pub struct Cursor {
    base: sqlite3_vtab_cursor,
    table: &'static Table,
    db: *mut ffi::sqlite3,
    call: Option<Call>,
    rows: Vec<serde_json::Value>,
    at: usize,
}

// SAFETY: the first field is the `sqlite3_vtab_cursor`, and the layout is C's.
unsafe impl VTabCursor for Cursor {
    fn filter(
        &mut self,
        which: c_int,
        _: Option<&str>,
        given: &Filters<'_>,
    ) -> rusqlite::Result<()> {
        edge(|| {
            let mut given = given.iter();
            let mut args = Vec::new();
            for arg in 0..self.table.args.len() {
                let value = if which >> arg & 1 == 1 {
                    given.next()
                } else {
                    None
                };
                args.push(match value {
                    None | Some(ValueRef::Null) => Value::Null,
                    Some(ValueRef::Integer(number)) => Value::Integer(number),
                    Some(ValueRef::Real(number)) => Value::Real(number),
                    Some(ValueRef::Text(text)) => Value::Text(utf8(text)?),
                    Some(ValueRef::Blob(_)) => Value::Blob(Vec::new()),
                });
            }
            // SAFETY: `db` is the connection that runs this statement, and stays open while the
            // statement has a cursor.
            let call = self.call.insert(unsafe { Call::new(self.db, args) });
            self.at = 0;
            let list = call.run(&(self.table.verb)(call)?)?;
            self.rows = serde_json::from_str(&list).map_err(|e| {
                Error::internal(format!("reading the rows of {}: {e}", self.table.name))
            })?;
            Ok(())
        })
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.len()
    }

    fn column(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        use serde_json::Value as Json;
        edge(|| {
            let column = usize::try_from(column).unwrap_or_default();
            let Some(name) = self.table.columns.get(column) else {
                let arg = self.call.as_ref().map_or(&Value::Null, |call| {
                    call.arg(column - self.table.columns.len())
                });
                return Ok(context.set_result(arg)?);
            };
            let value = self
                .rows
                .get(self.at)
                .and_then(|row| row.get(name))
                .unwrap_or(&Json::Null);
            Ok(match value {
                Json::Null => context.set_result(&Null),
                Json::Bool(yes) => context.set_result(yes),
                Json::String(text) => context.set_result(text),
                Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(whole), _) => context.set_result(&whole),
                    (None, real) => context.set_result(&real),
                },
                nested => context.set_result(&nested.to_string()),
            }?)
        })
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(i64::try_from(self.at).unwrap_or(i64::MAX))
    }
}

/// Runs a callback: no panic leaves it, and its error is text for SQLite.
fn edge<T>(call: impl FnOnce() -> Result<T>) -> rusqlite::Result<T> {
    guard(call).map_err(|e| rusqlite::Error::ModuleError(raised(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_declared_as_its_rows_are_named() {
        for table in [&DIFF, &RELEASES, &BUILD_LOG, &DEV_LIST] {
            assert!(
                table.args.iter().all(|arg| !table.columns.contains(arg)),
                "{}",
                table.name
            );
            assert!(table.required <= table.args.len());
        }
        assert_eq!(
            DEV_LIST.declaration(),
            r#"CREATE TABLE x("name", "path", "bytes", "release", "status", "created_at", "reset_at", "stopped_at")"#
        );
        assert_eq!(DIFF.argument(8), Some(0));
        assert_eq!(DIFF.argument(0), None);
        assert_eq!(BUILD_LOG.argument(0), Some(0));
        assert_eq!(BUILD_LOG.argument(-1), None);
    }
}
