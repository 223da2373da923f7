//! Drift: what somebody has changed of live's schema outside of remy since a release went live.
//! Rows change all the time, and are none of it.

use crate::{
    base::{error::Result, ids::ReleaseId, options::Options},
    declare::left_alone,
    live::{
        database::Live,
        marker::{self, Marker},
    },
    release::{known, seen},
    schema::{
        Schema,
        diff::{self, Change},
        introspect,
    },
    store::catalog::Catalog,
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The number of the release that `marker` of live names, and what was changed since it went live.
/// Mended first: what live carries may be new to the history.
pub(crate) fn history(
    live: &Live,
    conn: &Connection,
    marker: Option<&Marker>,
    options: &Options,
) -> Result<(Option<ReleaseId>, Option<String>)> {
    let seen = seen::look(live)?;
    let store = seen.as_ref().map(|seen| &seen.store);
    let release = known::number(store, marker)?;
    let drift = match (store, release) {
        (Some(store), Some(release)) => since(&store.catalog, release, conn, options)?,
        _ => None,
    };
    Ok((release, drift))
}

/// What a diff of `live` says of it. Who may read live may not be let into its store, and is told
/// so.
pub(crate) fn warning(live: &Live, conn: &Connection, options: &Options) -> Result<Option<String>> {
    let marker = marker::read(conn)?;
    let told = history(live, conn, marker.as_ref(), options);
    Ok(told.map_or_else(
        |e| {
            Some(format!(
                "whether live was changed outside remy is not known: {e}"
            ))
        },
        |(_, drift)| drift,
    ))
}

/// What was changed since `release` went live, in a sentence. `None` where nothing was, and where
/// it is not known how live was then. Tables in which other tools keep their books, and those of
/// the option `ignore`, are others' business.
pub(crate) fn since(
    catalog: &Catalog,
    release: ReleaseId,
    conn: &Connection,
    options: &Options,
) -> Result<Option<String>> {
    // A model that is not understood is another version's.
    let Some(then) = catalog
        .schema(release)?
        .and_then(|json| serde_json::from_str::<Schema>(&json).ok())
    else {
        return Ok(None);
    };
    let now = introspect::read(conn, &[])?;
    let mut said = BTreeMap::new();
    for change in diff::diff(&then, &now, &[])? {
        let (table, words) = words(&change, &then, &now);
        if is_of_a_module(&now, &table) || left_alone::is_others(&table, options) {
            continue;
        }
        for (what, how) in words {
            // What is dropped and made again is changed.
            said.entry(what)
                .and_modify(|how| *how = "changed")
                .or_insert(how);
        }
    }
    let said: Vec<_> = said
        .iter()
        .map(|(what, how)| format!("{what} was {how}"))
        .collect();
    Ok((!said.is_empty()).then(|| {
        format!(
            "changed outside remy since release {release}: {}",
            said.join(", ")
        )
    }))
}

/// The table that a change is about, and what was done to what.
fn words(change: &Change, then: &Schema, now: &Schema) -> (String, Vec<(String, &'static str)>) {
    let one = |kind: &str, name: &str, table: Option<String>, how| {
        (
            table.unwrap_or_else(|| name.to_owned()),
            vec![(format!("{kind} {name}"), how)],
        )
    };
    let index = |schema: &Schema, name: &str| {
        schema
            .indexes
            .iter()
            .find(|i| i.name == name)
            .map(|i| i.table.clone())
    };
    let trigger = |schema: &Schema, name: &str| {
        schema
            .triggers
            .iter()
            .find(|t| t.name == name)
            .map(|t| t.table.clone())
    };
    match change {
        Change::CreateTable(name) | Change::CreateVirtual(name, _) => {
            one("table", name, None, "made")
        }
        Change::DropTable(name) | Change::DropVirtual(name) => one("table", name, None, "dropped"),
        Change::AlterVirtual(change) => one("table", &change.table, None, "changed"),
        // Of another spelling only: no rename is told.
        Change::RenameTable { from, .. } => one("table", from, None, "renamed"),
        Change::CreateIndex(name) => one("index", name, index(now, name), "made"),
        Change::DropIndex(name) => one("index", name, index(then, name), "dropped"),
        Change::CreateView(name) => one("view", name, None, "made"),
        Change::DropView(name) => one("view", name, None, "dropped"),
        Change::CreateTrigger(name) => one("trigger", name, trigger(now, name), "made"),
        Change::DropTrigger(name) => one("trigger", name, trigger(then, name), "dropped"),
        Change::AlterTable(change) => {
            let column = |name: &String, how| (format!("column {}.{name}", change.table), how);
            let renamed = change
                .renamed
                .iter()
                .map(|(from, _)| column(from, "renamed"));
            let mut words: Vec<_> = change
                .added
                .iter()
                .map(|name| column(name, "added"))
                .chain(renamed)
                .collect();
            words.extend(change.dropped.iter().map(|name| column(name, "dropped")));
            words.extend(change.altered.iter().map(|name| column(name, "changed")));
            if words.is_empty() {
                words.push((format!("table {}", change.table), "changed"));
            }
            (change.table.clone(), words)
        }
    }
}

/// Whether a table is one that a virtual table keeps for itself, or may be: its module may have
/// been known once and not be now.
fn is_of_a_module(now: &Schema, table: &str) -> bool {
    let table = table.to_ascii_lowercase();
    now.virtual_tables.iter().any(|of| match &of.own {
        Some(own) => own.contains(&table),
        None => table
            .strip_prefix(&of.name.to_ascii_lowercase())
            .is_some_and(|rest| rest.starts_with('_')),
    })
}
