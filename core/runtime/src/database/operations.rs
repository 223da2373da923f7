//! Does what a method asks for: the SQL of each operation is written here, and names come out of the
//! release, never out of a request.

use crate::{
    database::{
        app_sql::{Statement, Verb},
        filter::{column_of, condition},
        request::{Filter, Measure, Operation, Order, Reply},
        session::{Ran, Session},
        settings::Caller,
        tables::{Table, Tables, is_system},
        values::stored,
    },
    failure::Failure,
};
use remy_db::internals::{schema::app::Logical, sqlite::ident};
use rusqlite::types::Value as Stored;
use serde_json::{Map, Value};
use std::{fmt::Write, sync::Arc};

/// Whether a request can be done where nothing is written. Of SQL its first word says so: what
/// turns out to write is refused there.
pub(super) fn only_reads(operations: &[Operation]) -> bool {
    operations.iter().all(|operation| match operation {
        Operation::Select { .. } | Operation::Aggregate { .. } => true,
        Operation::Sql { text, reads, .. } => {
            *reads || Statement::read(text).is_ok_and(|statement| statement.verb == Verb::Select)
        }
        Operation::Insert { .. }
        | Operation::Upsert { .. }
        | Operation::Update { .. }
        | Operation::Remove { .. } => false,
    })
}

/// Does all of them in the transaction that is open, one after the other.
pub(super) fn run(
    session: &mut Session<'_>,
    caller: &Caller,
    operations: &[Operation],
) -> Result<Vec<Reply>, Failure> {
    let tables = session.tables();
    let mut request = Request {
        session,
        tables,
        caller,
    };
    let replies = operations.iter().map(|operation| request.run(operation));
    replies.map(|ran| ran.map(Reply::from)).collect()
}

impl From<Ran> for Reply {
    fn from(ran: Ran) -> Self {
        Self {
            columns: ran.columns,
            rows: ran.rows,
            changes: ran.changes,
        }
    }
}

struct Request<'r, 'c> {
    session: &'r mut Session<'c>,
    tables: Arc<Tables>,
    caller: &'r Caller,
}

/// A statement on its way.
struct Making {
    sql: String,
    values: Vec<Stored>,
}

impl Request<'_, '_> {
    fn run(&mut self, operation: &Operation) -> Result<Ran, Failure> {
        let tables = Arc::clone(&self.tables);
        match operation {
            Operation::Insert { table, row } => self.insert(tables.table(table)?, row),
            Operation::Upsert { table, row, keys } => self.upsert(tables.table(table)?, row, keys),
            Operation::Update { table, id, set } => self.update(tables.table(table)?, id, set),
            Operation::Remove { table, filter } => {
                let table = tables.table(table)?;
                let mut made = Making::new(format!("DELETE FROM {}", ident(&table.name)));
                made.filter(table, filter)?;
                self.on(table, "removing rows of", &made)
            }
            Operation::Select {
                table,
                filter,
                order,
                limit,
                offset,
            } => {
                let table = tables.table(table)?;
                let mut made = Making::new(select(table));
                made.filter(table, filter)?;
                made.order(table, order)?;
                made.limit(*limit, *offset);
                self.on(table, "reading", &made)
            }
            Operation::Aggregate { table, .. } => {
                let table = tables.table(table)?;
                let made = aggregate(table, operation)?;
                self.on(table, "counting in", &made)
            }
            Operation::Sql {
                text,
                params,
                reads,
            } => self.sql(text, params, *reads),
        }
    }

    fn on(&mut self, table: &Table, doing: &str, made: &Making) -> Result<Ran, Failure> {
        let doing = || format!("{doing} \"{}\"", table.name);
        self.session.parents(&made.sql, &made.values, &doing)
    }

    /// What a method sets, without what it is not to set: columns, as SQL, and their values.
    fn set(
        &self,
        table: &Table,
        row: &Map<String, Value>,
    ) -> Result<Vec<(String, Stored)>, Failure> {
        let mut set: Vec<(String, Stored)> = Vec::with_capacity(row.len() + 1);
        for (name, value) in row.iter().filter(|(name, _)| !is_system(name)) {
            let column = ident(&table.writable(name, self.caller.is_runtime)?.name);
            if set.iter().any(|(there, _)| *there == column) {
                return Err(Failure::new(
                    "invalid_column",
                    400,
                    format!("\"{}.{name}\" is given twice", table.name),
                ));
            }
            set.push((column, stored(value)?));
        }
        Ok(set)
    }

    /// What a new row is made of: who makes it is noted, as the trigger does for who changes it.
    fn new_row(&self, table: &Table, row: &Map<String, Value>) -> Result<Making, Failure> {
        let mut set = self.set(table, row)?;
        if let Some(user) = &self.caller.user
            && let Ok(by) = table.column("last_updated_by")
        {
            set.push((ident(&by.name), Stored::Text(user.clone())));
        }
        // A user whom a dev session has lost comes back as who they were.
        if self.caller.is_runtime
            && let Some(id) = row.get("id").and_then(Value::as_str)
        {
            set.push((ident("id"), Stored::Text(id.to_owned())));
        }
        let (columns, values): (Vec<_>, Vec<_>) = set.into_iter().unzip();
        let into = format!("INSERT INTO {}", ident(&table.name));
        let sql = if columns.is_empty() {
            format!("{into} DEFAULT VALUES")
        } else {
            let places = vec!["?"; columns.len()].join(", ");
            format!("{into} ({}) VALUES ({places})", columns.join(", "))
        };
        Ok(Making { sql, values })
    }

    fn insert(&mut self, table: &Table, row: &Map<String, Value>) -> Result<Ran, Failure> {
        let mut made = self.new_row(table, row)?;
        made.sql.push_str(" RETURNING \"id\"");
        let ran = self.on(table, "adding a row to", &made)?;
        self.written(table, ran, "insert_failed")
    }

    fn upsert(
        &mut self,
        table: &Table,
        row: &Map<String, Value>,
        keys: &[String],
    ) -> Result<Ran, Failure> {
        let missing = |what: String| Failure::new("missing_conflict_key", 400, what);
        if keys.is_empty() {
            return Err(missing(format!(
                "an upsert into \"{}\" needs a key",
                table.name
            )));
        }
        let set = self.set(table, row)?;
        let mut names = Vec::new();
        for key in keys {
            let name = ident(&table.column(key)?.name);
            if !set.iter().any(|(column, _)| *column == name) {
                return Err(missing(format!(
                    "an upsert into \"{}\" by \"{key}\" needs a value of it",
                    table.name
                )));
            }
            names.push(name);
        }
        let mut made = self.new_row(table, row)?;
        let others: Vec<_> = set
            .iter()
            .map(|(column, _)| column)
            .filter(|column| !names.contains(column))
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let then = match others.as_slice() {
            [] => "NOTHING".to_owned(),
            others => format!("UPDATE SET {}", others.join(", ")),
        };
        let _ = write!(
            made.sql,
            " ON CONFLICT ({}) DO {then} RETURNING \"id\"",
            names.join(", ")
        );
        let ran = self.on(table, "adding or changing a row of", &made);
        let mut ran = ran.map_err(|e| no_constraint(e, table, keys))?;
        if ran.rows.is_empty() && others.is_empty() {
            // It is there as it is to be.
            let found = set.into_iter().filter(|(column, _)| names.contains(column));
            let (columns, values): (Vec<_>, Vec<_>) = found.unzip();
            let equal: Vec<_> = columns
                .iter()
                .map(|column| format!("{}.{column} IS ?", ident(&table.name)))
                .collect();
            let sql = format!(
                "SELECT \"id\" FROM {} WHERE {}",
                ident(&table.name),
                equal.join(" AND ")
            );
            ran.rows = self.on(table, "reading", &Making { sql, values })?.rows;
        }
        self.written(table, ran, "upsert_failed")
    }

    fn update(
        &mut self,
        table: &Table,
        id: &str,
        set: &Map<String, Value>,
    ) -> Result<Ran, Failure> {
        let (columns, mut values): (Vec<_>, Vec<_>) = self.set(table, set)?.into_iter().unzip();
        let changes = if columns.is_empty() {
            0
        } else {
            values.push(Stored::Text(id.to_owned()));
            let sql = format!(
                "UPDATE {} SET {} = ? WHERE \"id\" = ?",
                ident(&table.name),
                columns.join(" = ?, ")
            );
            let made = Making { sql, values };
            self.on(table, "changing a row of", &made)?.changes
        };
        let mut row = self.by_id(table, Stored::Text(id.to_owned()))?;
        row.changes = changes;
        Ok(row)
    }

    /// The row that was written, read again: RETURNING shows it as it was before AFTER triggers.
    fn written(&mut self, table: &Table, ran: Ran, code: &str) -> Result<Ran, Failure> {
        let Some(id) = ran.rows.into_iter().next().and_then(|mut row| row.pop()) else {
            let what = format!("a trigger of \"{}\" kept the row from it", table.name);
            return Err(Failure::new(code, 500, what));
        };
        let mut row = self.by_id(table, stored(&id)?)?;
        if row.rows.is_empty() {
            let what = format!("a trigger of \"{}\" removed the row", table.name);
            return Err(Failure::new(code, 500, what));
        }
        row.changes = ran.changes;
        Ok(row)
    }

    fn by_id(&mut self, table: &Table, id: Stored) -> Result<Ran, Failure> {
        let mut made = Making::new(select(table));
        let _ = write!(made.sql, " WHERE {}.\"id\" = ?", ident(&table.name));
        made.values.push(id);
        self.on(table, "reading", &made)
    }

    fn sql(&mut self, text: &str, params: &[Value], reads: bool) -> Result<Ran, Failure> {
        let statement = Statement::read(text)?;
        let values = params.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let written = match &statement.verb {
            Verb::Insert { table, .. } | Verb::Update { table } if statement.returns_columns => {
                Some(table.clone())
            }
            _ => None,
        };
        let mut ran = self.session.apps(text, statement, &values, reads)?;
        let tables = Arc::clone(&self.tables);
        if let Some(table) = written {
            self.read_again(tables.table(&table)?, &mut ran)?;
        }
        Ok(ran)
    }

    /// Puts what triggers have made of rows into what RETURNING has shown of them.
    fn read_again(&mut self, table: &Table, ran: &mut Ran) -> Result<(), Failure> {
        let is_id = |column: &String| column.eq_ignore_ascii_case("id");
        let Some(id) = ran.columns.iter().position(is_id) else {
            return Ok(());
        };
        for row in &mut ran.rows {
            let now = self.by_id(table, stored(&row[id])?)?;
            let Some(values) = now.rows.into_iter().next() else {
                continue;
            };
            for (name, value) in now.columns.iter().zip(values) {
                let at = ran
                    .columns
                    .iter()
                    .position(|c| c.eq_ignore_ascii_case(name));
                if let Some(at) = at {
                    row[at] = value;
                }
            }
        }
        Ok(())
    }
}

/// What SQLite says of keys that no index is on.
fn no_constraint(e: Failure, table: &Table, keys: &[String]) -> Failure {
    if !e.message.contains("ON CONFLICT clause does not match") {
        return e;
    }
    Failure::new(
        "no_unique_constraint",
        400,
        format!(
            "the table \"{}\" has no UNIQUE index on exactly {}: declare `unique: [[…]]` in defineTable",
            table.name,
            keys.join(", ")
        ),
    )
}

/// All columns of a table.
fn select(table: &Table) -> String {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| column_of(table, column))
        .collect();
    format!("SELECT {} FROM {}", columns.join(", "), ident(&table.name))
}

impl Making {
    fn new(sql: String) -> Self {
        let values = Vec::new();
        Self { sql, values }
    }

    fn filter(&mut self, table: &Table, filter: &Filter) -> Result<(), Failure> {
        if *filter == Filter::All {
            return Ok(());
        }
        let condition = condition(table, filter)?;
        let _ = write!(self.sql, " WHERE {}", condition.sql);
        self.values.extend(condition.values);
        Ok(())
    }

    fn order(&mut self, table: &Table, order: &[Order]) -> Result<(), Failure> {
        let by = |order: &Order| {
            let column = column_of(table, table.column(&order.column)?);
            Ok(format!("{column} COLLATE BINARY{}", direction(order)))
        };
        let all = order.iter().map(by).collect::<Result<Vec<_>, Failure>>()?;
        if !all.is_empty() {
            let _ = write!(self.sql, " ORDER BY {}", all.join(", "));
        }
        Ok(())
    }

    fn limit(&mut self, limit: Option<u64>, offset: u64) {
        let bound = |n: u64| Stored::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        if limit.is_some() || offset > 0 {
            self.sql.push_str(" LIMIT ? OFFSET ?");
            // -1: all of them.
            let limit = limit.map_or(Stored::Integer(-1), bound);
            self.values.extend([limit, bound(offset)]);
        }
    }
}

fn direction(order: &Order) -> &'static str {
    if order.descending { " DESC" } else { "" }
}

/// What is computed over rows: the columns of `by`, then what is selected.
fn aggregate(table: &Table, operation: &Operation) -> Result<Making, Failure> {
    let Operation::Aggregate {
        filter,
        by,
        select,
        order,
        limit,
        ..
    } = operation
    else {
        unreachable!("called for aggregates alone")
    };
    if by.is_empty() && select.is_empty() {
        let what = "an aggregate needs something to compute";
        return Err(Failure::new("invalid_aggregate_spec", 400, what));
    }
    let (mut names, mut parts, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for name in by {
        let column = table.column(name)?;
        let c = column_of(table, column);
        parts.push(format!("{c} AS {}", ident(&column.name)));
        groups.push(format!("{c} COLLATE BINARY"));
        names.push(&*column.name);
    }
    for (name, measure) in select {
        parts.push(format!("{} AS {}", computed(table, measure)?, ident(name)));
        names.push(name);
    }
    if let Some(twice) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
        let what = format!("\"{}\" names two things that are computed", names[twice]);
        return Err(Failure::new("invalid_aggregate_alias", 400, what));
    }
    let mut made = Making::new(format!(
        "SELECT {} FROM {}",
        parts.join(", "),
        ident(&table.name)
    ));
    made.filter(table, filter)?;
    if !groups.is_empty() {
        let _ = write!(made.sql, " GROUP BY {}", groups.join(", "));
    }
    if let Some(order) = order {
        // By its place: a name could be that of a column.
        let at = names.iter().position(|name| *name == order.column);
        let at = at.ok_or_else(|| {
            let what = format!("\"{}\" is nothing that is computed here", order.column);
            Failure::new("invalid_aggregate_order", 400, what)
        })?;
        let _ = write!(made.sql, " ORDER BY {}{}", at + 1, direction(order));
    }
    made.limit(*limit, 0);
    Ok(made)
}

fn computed(table: &Table, measure: &Measure) -> Result<String, Failure> {
    let column = |name: &str| Ok(column_of(table, table.column(name)?));
    // Of a text SQLite would make a number, or 0.
    let number = |name: &str| {
        let column = table.column(name)?;
        if !matches!(column.logical, Logical::Number | Logical::Boolean) {
            let what = format!("\"{}.{name}\" holds no numbers", table.name);
            return Err(Failure::new("invalid_column", 400, what));
        }
        Ok(column_of(table, column))
    };
    Ok(match measure {
        Measure::Count => "count(*)".to_owned(),
        Measure::Sum(name) => format!("total({})", number(name)?),
        Measure::Avg(name) => format!("avg({})", number(name)?),
        Measure::Min(name) => format!("min({} COLLATE BINARY)", column(name)?),
        Measure::Max(name) => format!("max({} COLLATE BINARY)", column(name)?),
        Measure::CountDistinct(name) => {
            format!("count(DISTINCT {} COLLATE BINARY)", column(name)?)
        }
    })
}
