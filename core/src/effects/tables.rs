//! The tables in live that hold effects.

use crate::{
    base::error::{Context, Error, Result},
    effects::{BotCommand, CronJob, EffectKind, Effects, EmailRoute, Role, Webhook},
    sqlite::calls,
};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde_json::Value;
use std::collections::BTreeMap;

impl Effects {
    /// In the order of the keys, which is the order that tables give back.
    pub(crate) fn sorted(mut self) -> Self {
        fn sort<T: Kept>(entries: &mut [T]) {
            entries.sort_by_cached_key(|entry| (entry.id(), entry.key()));
        }
        sort(&mut self.roles);
        sort(&mut self.cron_jobs);
        sort(&mut self.webhooks);
        sort(&mut self.email_routes);
        sort(&mut self.bot_commands);
        self
    }
}

// ---- Tables -------------------------------------------------------------------------------------------------------

/// An effect, as a row of a table of texts.
pub(super) trait Kept: Sized + PartialEq {
    /// What a [`Change`](super::Change) calls it.
    const KIND: EffectKind;
    const TABLE: &'static str;
    /// The columns; the first `KEYS` of them are the primary key.
    const COLUMNS: &'static [&'static str];
    const KEYS: usize;

    fn row(&self) -> Vec<Option<String>>;
    fn from_row(row: Vec<Option<String>>) -> Option<Self>;
    /// What people and logs call it: no secret, and not always unique.
    fn id(&self) -> String;

    fn key(&self) -> Vec<Option<String>> {
        let mut row = self.row();
        row.truncate(Self::KEYS);
        row
    }
}

impl Kept for Role {
    const KIND: EffectKind = EffectKind::Role;
    const TABLE: &'static str = "_remy_roles";
    const COLUMNS: &'static [&'static str] = &["id", "name", "description"];
    const KEYS: usize = 1;

    fn row(&self) -> Vec<Option<String>> {
        vec![
            Some(self.id.clone()),
            self.name.clone(),
            self.description.clone(),
        ]
    }
    fn from_row(row: Vec<Option<String>>) -> Option<Self> {
        let [id, name, description] = row.try_into().ok()?;
        Some(Self {
            id: id?,
            name,
            description,
        })
    }
    fn id(&self) -> String {
        self.id.clone()
    }
}

impl Kept for CronJob {
    const KIND: EffectKind = EffectKind::CronJob;
    const TABLE: &'static str = "_remy_cron_jobs";
    const COLUMNS: &'static [&'static str] = &["method", "schedule", "description"];
    const KEYS: usize = 2;

    fn row(&self) -> Vec<Option<String>> {
        vec![
            Some(self.method.clone()),
            Some(self.schedule.clone()),
            self.description.clone(),
        ]
    }
    fn from_row(row: Vec<Option<String>>) -> Option<Self> {
        let [method, schedule, description] = row.try_into().ok()?;
        Some(Self {
            method: method?,
            schedule: schedule?,
            description,
        })
    }
    fn id(&self) -> String {
        self.method.clone()
    }
}

impl Kept for Webhook {
    const KIND: EffectKind = EffectKind::Webhook;
    const TABLE: &'static str = "_remy_webhooks";
    const COLUMNS: &'static [&'static str] = &["secret", "method", "description"];
    const KEYS: usize = 1;

    fn row(&self) -> Vec<Option<String>> {
        vec![
            Some(self.secret.clone()),
            Some(self.method.clone()),
            self.description.clone(),
        ]
    }
    fn from_row(row: Vec<Option<String>>) -> Option<Self> {
        let [secret, method, description] = row.try_into().ok()?;
        Some(Self {
            secret: secret?,
            method: method?,
            description,
        })
    }
    fn id(&self) -> String {
        self.method.clone()
    }
}

impl Kept for EmailRoute {
    const KIND: EffectKind = EffectKind::EmailRoute;
    const TABLE: &'static str = "_remy_email_routes";
    const COLUMNS: &'static [&'static str] = &["method", "approved_senders"];
    const KEYS: usize = 1;

    fn row(&self) -> Vec<Option<String>> {
        vec![
            Some(self.method.clone()),
            Some(Value::from(self.approved_senders.clone()).to_string()),
        ]
    }
    fn from_row(row: Vec<Option<String>>) -> Option<Self> {
        let [method, senders] = row.try_into().ok()?;
        let approved_senders =
            senders.map_or(Some(Vec::new()), |json| serde_json::from_str(&json).ok())?;
        Some(Self {
            method: method?,
            approved_senders,
        })
    }
    fn id(&self) -> String {
        self.method.clone()
    }
}

impl Kept for BotCommand {
    const KIND: EffectKind = EffectKind::BotCommand;
    const TABLE: &'static str = "_remy_bot_commands";
    const COLUMNS: &'static [&'static str] =
        &["platform", "name", "method", "description", "definition"];
    const KEYS: usize = 2;

    fn row(&self) -> Vec<Option<String>> {
        let definition = Value::Object(self.definition.clone()).to_string();
        let [platform, name, method] =
            [&self.platform, &self.name, &self.method].map(|text| Some(text.clone()));
        vec![
            platform,
            name,
            method,
            self.description.clone(),
            Some(definition),
        ]
    }
    fn from_row(row: Vec<Option<String>>) -> Option<Self> {
        let [platform, name, method, description, definition] = row.try_into().ok()?;
        let definition = definition.map_or(Some(Default::default()), |json| {
            serde_json::from_str(&json).ok()
        })?;
        Some(Self {
            platform: platform?,
            name: name?,
            method: method?,
            description,
            definition,
        })
    }
    fn id(&self) -> String {
        format!("{}/{}", self.platform, self.name)
    }
}

/// The tables of effects, with their columns.
pub(crate) const TABLES: [(&str, &[&str]); 5] = [
    (Role::TABLE, Role::COLUMNS),
    (CronJob::TABLE, CronJob::COLUMNS),
    (Webhook::TABLE, Webhook::COLUMNS),
    (EmailRoute::TABLE, EmailRoute::COLUMNS),
    (BotCommand::TABLE, BotCommand::COLUMNS),
];

/// Creates the tables `_remy_roles`, `_remy_cron_jobs`, `_remy_webhooks`, `_remy_email_routes` and
/// `_remy_bot_commands` where they are missing. Plain tables: a host's SQLite may be too old for
/// STRICT ones.
pub fn ensure(conn: &Connection) -> Result<()> {
    fn create<T: Kept>(conn: &Connection) -> Result<()> {
        let column = |(i, name): (usize, &&str)| {
            format!("{name} TEXT{}", if i < T::KEYS { " NOT NULL" } else { "" })
        };
        let columns: Vec<_> = T::COLUMNS.iter().enumerate().map(column).collect();
        let (table, columns, key) = (
            T::TABLE,
            columns.join(", "),
            T::COLUMNS[..T::KEYS].join(", "),
        );
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS main.{table} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID"
        );
        conn.execute_batch(&sql)
            .context(|| format!("creating {table}"))
    }
    create::<Role>(conn)?;
    create::<CronJob>(conn)?;
    create::<Webhook>(conn)?;
    create::<EmailRoute>(conn)?;
    create::<BotCommand>(conn)
}

/// The effects that the main database of `conn` holds: none where the tables are missing.
///
/// Fails with `corrupt` where a row is not one that [`write`] wrote.
pub fn read(conn: &Connection) -> Result<Effects> {
    fn list<T: Kept>(conn: &Connection) -> Result<Vec<T>> {
        let broken = || {
            Error::corrupt(format!("a row of {} is not one that remy wrote", T::TABLE))
                .object(T::TABLE)
                .hint("Delete that row, or publish with the effects declared")
        };
        rows::<T>(conn)?
            .into_values()
            .map(|row| T::from_row(row).ok_or_else(broken))
            .collect()
    }
    Ok(Effects {
        roles: list(conn)?,
        cron_jobs: list(conn)?,
        webhooks: list(conn)?,
        email_routes: list(conn)?,
        bot_commands: list(conn)?,
    }
    .sorted())
}

type Rows = BTreeMap<Vec<Option<String>>, Vec<Option<String>>>;

/// The rows of a table by their keys.
fn rows<T: Kept>(conn: &Connection) -> Result<Rows> {
    let reading = || format!("reading {} of {}", T::TABLE, calls::name(conn));
    let found = conn
        .query_row(
            "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?1",
            [T::TABLE],
            |_| Ok(()),
        )
        .optional()
        .context(reading)?;
    if found.is_none() {
        return Ok(Rows::new());
    }
    let sql = format!("SELECT {} FROM main.{}", T::COLUMNS.join(", "), T::TABLE);
    let mut statement = conn.prepare(&sql).context(reading)?;
    let rows = statement
        .query_map([], |row| {
            (0..T::COLUMNS.len())
                .map(|i| row.get(i))
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .context(reading)?;
    rows.map(|row| {
        row.map(|row| (row[..T::KEYS].to_vec(), row))
            .context(reading)
    })
    .collect()
}

/// Makes the tables hold exactly `effects`, and touches the rows that differ only. They have to be
/// there: see [`ensure`].
pub fn write(conn: &Connection, effects: &Effects) -> Result<()> {
    fn keep<T: Kept>(conn: &Connection, wanted: &[T]) -> Result<()> {
        let writing = || format!("writing {}", T::TABLE);
        let (there, wanted): (Rows, Rows) = (
            rows::<T>(conn)?,
            wanted
                .iter()
                .map(|entry| (entry.key(), entry.row()))
                .collect(),
        );
        let key: Vec<_> = T::COLUMNS[..T::KEYS]
            .iter()
            .enumerate()
            .map(|(i, c)| format!("{c} = ?{}", i + 1))
            .collect();
        let delete = format!("DELETE FROM main.{} WHERE {}", T::TABLE, key.join(" AND "));
        for key in there.keys().filter(|key| !wanted.contains_key(*key)) {
            conn.execute(&delete, params_from_iter(key))
                .context(writing)?;
        }
        let marks = vec!["?"; T::COLUMNS.len()].join(", ");
        let insert = format!(
            "INSERT OR REPLACE INTO main.{} ({}) VALUES ({marks})",
            T::TABLE,
            T::COLUMNS.join(", ")
        );
        for (_, row) in wanted
            .iter()
            .filter(|(key, row)| there.get(*key) != Some(row))
        {
            conn.execute(&insert, params_from_iter(row))
                .context(writing)?;
        }
        Ok(())
    }
    keep(conn, &effects.roles)?;
    keep(conn, &effects.cron_jobs)?;
    keep(conn, &effects.webhooks)?;
    keep(conn, &effects.email_routes)?;
    keep(conn, &effects.bot_commands)
}
