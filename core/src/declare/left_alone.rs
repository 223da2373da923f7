//! Tables that a change leaves alone: those in which other tools keep their books, unless the
//! schema declares them, and those that the option `ignore` names, whatever the schema says.

use crate::{
    base::{error::Result, options::Options},
    declare::DeclaredSchema,
    schema::{Schema, introspect},
};
use rusqlite::{Connection, ffi};
use std::{collections::BTreeSet, ffi::CString};

/// The books of migration tools, of ORMs and of replication. A star stands for any end of a name.
const BOOKS: &[&str] = &[
    "__diesel_schema_migrations",
    "__drizzle_migrations*",
    "__EFMigrationsHistory",
    "__EFMigrationsLock",
    "__MigrationHistory",
    "_cf_KV",
    "_cf_METADATA",
    "_litestream_lock",
    "_litestream_seq",
    "_migrations",
    "_prisma_migrations",
    "_sqlx_migrations",
    "_yoyo_*",
    "adonis_schema",
    "adonis_schema_versions",
    "aerich",
    "alembic_version",
    "android_metadata",
    "ar_internal_metadata",
    "atlas_schema_revisions",
    "bun_migration_locks",
    "bun_migrations",
    "cake_migrations",
    "cake_seeds",
    "d1_migrations",
    "DATABASECHANGELOG",
    "DATABASECHANGELOGLOCK",
    "django_migrations",
    "doctrine_migration_versions",
    "flyway_schema_history",
    "goose_db_version",
    "gopg_migrations",
    "gorp_migrations",
    "grdb_migrations",
    "knex_migrations*",
    "kysely_migration*",
    "micrate_db_version",
    "migratehistory",
    "migrations",
    "mikro_orm_migrations",
    "mojo_migrations",
    "nessie_migrations",
    "payload_migrations",
    "phinxlog",
    "refinery_schema_history",
    "room_master_table",
    "schema_migration",
    "schema_migrations",
    "schema_version",
    "schemaversion",
    "seaql_migrations",
    "SequelizeData",
    "SequelizeMeta",
    "typeorm_metadata",
    "umzug*",
    "yoyo_lock",
];

pub(crate) fn is_of_books(name: &str) -> bool {
    BOOKS.iter().any(|book| match book.strip_suffix('*') {
        Some(start) => name
            .get(..start.len())
            .is_some_and(|begins| begins.eq_ignore_ascii_case(start)),
        None => book.eq_ignore_ascii_case(name),
    })
}

/// SQLite's GLOB.
fn is_like(glob: &str, name: &str) -> bool {
    let (Ok(glob), Ok(name)) = (CString::new(glob), CString::new(name)) else {
        return false;
    };
    // SAFETY: both texts end in NUL and live during the call.
    unsafe { ffi::sqlite3_strglob(glob.as_ptr(), name.as_ptr()) == 0 }
}

/// Whether the option `ignore` names a table.
pub(super) fn is_ignored(name: &str, options: &Options) -> bool {
    options
        .ignored_tables()
        .iter()
        .any(|glob| is_like(glob, name))
}

/// Whether remy leaves a table alone that nothing declares.
pub(crate) fn is_others(name: &str, options: &Options) -> bool {
    is_of_books(name) || is_ignored(name, options)
}

/// The schema of `conn`, as far as a change to `declared` may touch it.
///
/// What a rename tells of is the schema's own, as is what it declares.
pub fn current(conn: &Connection, declared: &DeclaredSchema, options: &Options) -> Result<Schema> {
    let mut current = introspect::read_with(conn, options.ignored_tables(), &options.extensions)?;
    let schema = &declared.schema;
    let tables = schema.tables.iter().map(|table| &table.name);
    let others = schema
        .virtual_tables
        .iter()
        .map(|table| &table.name)
        .chain(schema.views.iter().map(|view| &view.name));
    let renamed = declared
        .renames
        .iter()
        .filter(|rename| rename.table.is_none())
        .map(|rename| &rename.from);
    let own: BTreeSet<String> = tables
        .chain(others)
        .chain(renamed)
        .map(|name| name.to_ascii_lowercase())
        .collect();
    leave_out(&mut current, |name| {
        is_of_books(name) && !own.contains(&name.to_ascii_lowercase())
    });
    Ok(current)
}

/// Takes tables out of a schema, with what hangs on them. Returns the names of those that were
/// there.
pub(super) fn leave_out(schema: &mut Schema, goes: impl Fn(&str) -> bool) -> Vec<String> {
    let tables = schema.tables.iter().map(|table| &table.name);
    let names = tables.chain(schema.virtual_tables.iter().map(|table| &table.name));
    let gone: Vec<String> = names.filter(|name| goes(name)).cloned().collect();
    let stays = |name: &str| !gone.iter().any(|gone| gone.eq_ignore_ascii_case(name));
    schema.tables.retain(|table| stays(&table.name));
    schema.virtual_tables.retain(|table| stays(&table.name));
    schema.indexes.retain(|index| stays(&index.table));
    schema.triggers.retain(|trigger| stays(&trigger.table));
    gone
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;

    #[test]
    fn books_are_known_in_any_case_and_globs_are_sqlites() {
        crate::sqlite::engine::init();
        for name in [
            "_sqlx_migrations",
            "sequelizemeta",
            "KYSELY_MIGRATION_lock",
            "knex_migrations",
            "databasechangelog",
        ] {
            assert!(is_of_books(name), "{name}");
        }
        for name in [
            "my_migrations",
            "migrations_old",
            "kysely",
            "schema_migrated",
            "é",
        ] {
            assert!(!is_of_books(name), "{name}");
        }
        let options = Options::from_json(r#"{"ignore": ["tmp_*", "x?[0-9]"]}"#).unwrap();
        for (name, expected) in [
            ("tmp_a", true),
            ("a_tmp_", false),
            ("xy1", true),
            ("xya", false),
            ("migrations", false),
        ] {
            assert_eq!(is_ignored(name, &options), expected, "{name}");
        }
    }
}
