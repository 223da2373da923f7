//! A table that is made anew.

use crate::{
    base::error::{Error, Result, State},
    schema::{
        Table,
        diff::TableChange,
        meaning::default_expression,
        parse,
        plan::{
            model::{Filling, Plan},
            questions::ask_about_rows,
        },
    },
    sqlite::quote::{ident, literal, same_name},
};

/// The table as it is once its columns have their declared names.
fn with_new_names(table: &Table, change: &TableChange) -> Table {
    let mut table = table.clone();
    table.name.clone_from(&change.table);
    let renames: Vec<_> = change.renamed.iter().chain(&change.away).collect();
    let rename = |name: &mut String| {
        if let Some((_, to)) = renames.iter().find(|(from, _)| same_name(from, name)) {
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

/// What a rebuild copies: into which columns, and from which expressions.
struct Copied {
    into: Vec<String>,
    from: Vec<String>,
    /// The same with NULLs filled in, where a column that takes none from now on has a default.
    filling: Option<Vec<String>>,
}

impl Copied {
    /// `now` is the old table with the declared names.
    fn of(new: &Table, now: &Table) -> Self {
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
        Self {
            into,
            from,
            filling: fills.then_some(filling),
        }
    }
}

/// Makes the table `new` under the name `temp`, copies the rows, and gives it the old one's place.
pub(super) fn rebuild(
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
        .state(State::NothingDone)
        .hint("Write it as CREATE TABLE name (columns), or change it in a migration")
    })?;
    let stands_for = Some((temp.clone(), old.name.clone()));
    plan.add_rebuild(&new.name, create)
        .stands_for
        .clone_from(&stands_for);

    let Copied {
        into,
        from,
        filling,
    } = Copied::of(new, &now);
    // OR ABORT: a constraint's own ON CONFLICT would drop or change rows on the way.
    let copy = |or: &str, select: &[String]| {
        let (temp, into, select) = (ident(&temp), into.join(", "), select.join(", "));
        format!(
            "INSERT OR {or} INTO {temp} ({into}) SELECT {select} FROM {}",
            ident(&new.name)
        )
    };
    let statement = plan.add_rebuild(&new.name, copy("ABORT", &from));
    statement.passes_over = Some(copy("IGNORE", &from));
    statement.filling = filling.map(|filling| Filling {
        sql: copy("ABORT", &filling),
        passes_over: Some(copy("IGNORE", &filling)),
    });
    statement.stands_for.clone_from(&stands_for);
    ask_about_rows(plan, change, old, new, &now);

    if old.autoincrement && new.autoincrement {
        let (name, temp) = (literal(&new.name), literal(&temp));
        let forget = format!("DELETE FROM main.sqlite_sequence WHERE name = {temp}");
        let keep = format!(
            "INSERT INTO main.sqlite_sequence (name, seq) SELECT {temp}, seq FROM main.sqlite_sequence WHERE name = {name}"
        );
        plan.add_rebuild(&new.name, forget);
        plan.add_rebuild(&new.name, keep);
    }
    plan.put_in_place(&temp, &new.name).stands_for = stands_for;
    plan.rebuilt.push(new.name.clone());
    Ok(())
}
