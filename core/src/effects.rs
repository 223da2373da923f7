//! What a release declares besides tables: roles, cron jobs, webhooks, email routes and bot
//! commands.
//!
//! They live in tables `_remy_*` of the live database, so that a switch moves them with the pages.
//! This module reads a declaration ([`Effects::from_json`]), keeps those tables equal to one
//! ([`ensure`], [`write`], [`read`]), and tells what a change of them means ([`diff`],
//! [`warnings`]). No message names a webhook's secret.
use crate::{
    error::{Context, Error, Result},
    sqlite,
};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A change of one effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `role`, `cron_job`, `webhook`, `email_route` or `bot_command`.
    pub kind: &'static str,
    /// Which one; never a secret. The second webhook of the method `paid` is `paid#2`.
    pub id: String,
    /// `create`, `update` or `remove`.
    pub change: &'static str,
}

impl Change {
    /// What a diff calls it: `create_role`.
    pub(crate) fn statement_kind(&self) -> &'static str {
        macro_rules! joined {
            ($($kind:literal),*) => {
                match (self.kind, self.change) {
                    $(($kind, "create") => concat!("create_", $kind),
                      ($kind, "update") => concat!("update_", $kind),
                      ($kind, _) => concat!("remove_", $kind),)*
                    _ => unreachable!("every kind of effect is named above"),
                }
            };
        }
        joined!("role", "cron_job", "webhook", "email_route", "bot_command")
    }
}

/// Everything that a release declares besides tables. Each list is in the order of its keys,
/// however it was declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Effects {
    /// What users may be.
    pub roles: Vec<Role>,
    /// What runs by the clock.
    pub cron_jobs: Vec<CronJob>,
    /// What others may call.
    pub webhooks: Vec<Webhook>,
    /// What mail runs.
    pub email_routes: Vec<EmailRoute>,
    /// What chats may call.
    pub bot_commands: Vec<BotCommand>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Kebab-case, and unique.
    pub id: String,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}

/// A method that runs by the clock. A method may have several schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronJob {
    /// What runs.
    pub method: String,
    /// When: five fields, see [`check_schedule`].
    pub schedule: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}

/// A method that others call by a secret. A method may have several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The route and the guard in one; unique.
    pub secret: String,
    /// What runs.
    pub method: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}

/// A method that mail runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailRoute {
    /// What runs; unique.
    pub method: String,
    /// Addresses, exact or `*@domain`, in any letter case. None: anybody.
    #[serde(default)]
    pub approved_senders: Vec<String>,
}

/// A command of a chat platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BotCommand {
    /// `discord` or `telegram`.
    pub platform: String,
    /// Unique on its platform; without the leading `/`.
    pub name: String,
    /// What runs.
    pub method: String,
    /// What the platform shows.
    #[serde(default)]
    pub description: Option<String>,
    /// What else the platform is told, as it wants it.
    #[serde(default)]
    pub definition: serde_json::Map<String, Value>,
}

// ---- Reading a declaration ----------------------------------------------------------------------------------------

/// The fields of one list: name, whether it is required, what it holds.
type Fields = &'static [(&'static str, bool, Kind)];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Object,
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Texts => value
                .as_array()
                .is_some_and(|texts| texts.iter().all(Value::is_string)),
            Self::Object => value.is_object(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Texts => "a list of texts",
            Self::Object => "an object",
        }
    }
}

/// What is wrong with a declaration: a JSON pointer and a sentence each.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, pointer: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.0.push(format!("{pointer}: {what}"));
    }

    /// The entries of `list` that have the right shape, with their pointers.
    fn list<T: DeserializeOwned>(
        &mut self,
        declared: &Value,
        list: &str,
        fields: Fields,
    ) -> Vec<(String, T)> {
        let Some(entries) = declared.get(list) else {
            return Vec::new();
        };
        let Some(entries) = entries.as_array() else {
            self.add(format_args!("/{list}"), "has to be a list");
            return Vec::new();
        };
        let mut good = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            let at = format!("/{list}/{i}");
            let before = self.0.len();
            self.shape(&at, entry, fields);
            if self.0.len() == before {
                match T::deserialize(entry) {
                    Ok(entry) => good.push((at, entry)),
                    Err(e) => self.add(at, e),
                }
            }
        }
        good
    }

    fn shape(&mut self, at: &str, entry: &Value, fields: Fields) {
        let Some(entry) = entry.as_object() else {
            return self.add(at, "has to be an object");
        };
        for key in entry
            .keys()
            .filter(|key| !fields.iter().any(|(name, ..)| name == key))
        {
            let known: Vec<_> = fields.iter().map(|(name, ..)| *name).collect();
            self.add(
                format_args!("{at}/{}", pointer(key)),
                format_args!("is not known here; {} are", known.join(", ")),
            );
        }
        for (name, required, kind) in fields {
            match entry.get(*name) {
                None if *required => self.add(format_args!("{at}/{name}"), "is missing"),
                Some(Value::Null) if !required && matches!(kind, Kind::Text) => {}
                Some(value) if !kind.fits(value) => {
                    self.add(
                        format_args!("{at}/{name}"),
                        format_args!("has to be {}", kind.name()),
                    );
                }
                Some(Value::String(text)) if *required && text.trim().is_empty() => {
                    self.add(format_args!("{at}/{name}"), "is empty");
                }
                _ => {}
            }
        }
    }

    /// Reports every entry whose key another before it has. `what` names the key, and is no secret.
    fn unique<'a, T, K: Ord>(
        &mut self,
        entries: &'a [(String, T)],
        key: impl Fn(&'a T) -> K,
        what: &str,
    ) {
        let mut seen = BTreeMap::new();
        for (at, entry) in entries {
            if let Some(first) = seen.insert(key(entry), at) {
                self.add(at, format_args!("has the {what} of {first}"));
            }
        }
    }
}

/// `key` as a segment of a JSON pointer.
fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn values<T>(entries: Vec<(String, T)>) -> Vec<T> {
    entries.into_iter().map(|(_, entry)| entry).collect()
}

impl Effects {
    /// Reads declared effects. `null` and a list that is missing declare none.
    ///
    /// Fails with `schema_invalid`, naming everything that is wrong, each with its JSON pointer:
    /// keys that are not known, texts that are missing or empty, ids that are not kebab-case,
    /// schedules that are not cron's, senders that are no addresses, and roles, jobs, secrets,
    /// routes and commands that are declared twice.
    pub fn from_json(declared: &Value) -> Result<Self> {
        use Kind::{Object, Text, Texts};
        const LISTS: &[&str] = &[
            "roles",
            "cron_jobs",
            "webhooks",
            "email_routes",
            "bot_commands",
        ];

        let mut faults = Faults::default();
        match declared {
            Value::Null => return Ok(Self::default()),
            Value::Object(lists) => {
                for key in lists.keys().filter(|key| !LISTS.contains(&key.as_str())) {
                    let known = LISTS.join(", ");
                    faults.add(
                        format_args!("/{}", pointer(key)),
                        format_args!("is not known here; {known} are"),
                    );
                }
            }
            _ => faults.add("the whole", "has to be an object"),
        }

        let roles: Vec<(_, Role)> = faults.list(
            declared,
            LISTS[0],
            &[
                ("id", true, Text),
                ("name", false, Text),
                ("description", false, Text),
            ],
        );
        let jobs: Vec<(_, CronJob)> = faults.list(
            declared,
            LISTS[1],
            &[
                ("method", true, Text),
                ("schedule", true, Text),
                ("description", false, Text),
            ],
        );
        let webhooks: Vec<(_, Webhook)> = faults.list(
            declared,
            LISTS[2],
            &[
                ("secret", true, Text),
                ("method", true, Text),
                ("description", false, Text),
            ],
        );
        let routes: Vec<(_, EmailRoute)> = faults.list(
            declared,
            LISTS[3],
            &[("method", true, Text), ("approved_senders", false, Texts)],
        );
        let commands: Vec<(_, BotCommand)> = faults.list(
            declared,
            LISTS[4],
            &[
                ("platform", true, Text),
                ("name", true, Text),
                ("method", true, Text),
                ("description", false, Text),
                ("definition", false, Object),
            ],
        );

        for (at, role) in roles.iter().filter(|(_, role)| !is_kebab_case(&role.id)) {
            faults.add(
                format_args!("{at}/id"),
                format_args!("{:?} is not kebab-case, as in \"shop-owner\"", role.id),
            );
        }
        for (at, job) in &jobs {
            if let Err(why) = check_schedule(&job.schedule) {
                faults.add(
                    format_args!("{at}/schedule"),
                    format_args!("{:?}: {why}", job.schedule),
                );
            }
        }
        for (at, route) in &routes {
            for (i, sender) in route
                .approved_senders
                .iter()
                .enumerate()
                .filter(|(_, sender)| !is_sender(sender))
            {
                let at = format_args!("{at}/approved_senders/{i}");
                faults.add(
                    at,
                    format_args!("{sender:?} is neither an address nor \"*@domain\""),
                );
            }
        }
        for (at, command) in &commands {
            if !["discord", "telegram"].contains(&command.platform.as_str()) {
                let platform = &command.platform;
                faults.add(
                    format_args!("{at}/platform"),
                    format_args!("{platform:?} is neither discord nor telegram"),
                );
            }
            if command.name.starts_with('/') {
                faults.add(
                    format_args!("{at}/name"),
                    format_args!("{:?} is declared without the \"/\"", command.name),
                );
            }
        }
        faults.unique(&roles, |role| &role.id, "id");
        faults.unique(
            &jobs,
            |job| (&job.method, &job.schedule),
            "method and schedule",
        );
        faults.unique(&webhooks, |webhook| &webhook.secret, "secret");
        faults.unique(&routes, |route| &route.method, "method");
        faults.unique(
            &commands,
            |command| (&command.platform, &command.name),
            "platform and name",
        );

        if !faults.0.is_empty() {
            return Err(Error::schema_invalid(format!(
                "the declared effects are wrong: {}",
                faults.0.join("; ")
            ))
            .state("Nothing was done")
            .hint("Correct what is named by its JSON pointer and publish again"));
        }
        Ok(Self {
            roles: values(roles),
            cron_jobs: values(jobs),
            webhooks: values(webhooks),
            email_routes: values(routes),
            bot_commands: values(commands),
        }
        .sorted())
    }

    /// In the order of the keys, which is the order that tables give back.
    fn sorted(mut self) -> Self {
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

/// `shop-owner`: lower-case letters and digits, joined by single hyphens, a letter first.
fn is_kebab_case(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// `ann@example.com` or `*@example.com`.
fn is_sender(sender: &str) -> bool {
    let Some((user, domain)) = sender.rsplit_once('@') else {
        return false;
    };
    let labels = |domain: &str| {
        domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"*@,;<>".contains(c);
    (user == "*" || !user.is_empty() && user.chars().all(plain)) && labels(domain)
}

// ---- Cron ---------------------------------------------------------------------------------------------------------

/// A field of a schedule: its name, its least and greatest value, and the names of values from the
/// least on.
struct Field(&'static str, u32, u32, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    Field("minute", 0, 59, &[]),
    Field("hour", 0, 23, &[]),
    Field("day of the month", 1, 31, &[]),
    Field(
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    Field(
        "day of the week",
        0,
        7,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];

/// Whether `schedule` is a cron expression: minute, hour, day of the month, month (or `jan` to
/// `dec`) and day of the week (0 or 7 is Sunday, or `sun` to `sat`), each `*`, `a`, `a-b`, or a
/// list of those with commas. A step stands behind `*`, `a-b` or `a` (which then goes on to the
/// greatest value): `*/15`, `9-17/2`, `5/10`.
///
/// What is wrong is said in words that name the field. A day that no named month has is wrong, too:
/// it would never come.
pub fn check_schedule(schedule: &str) -> Result<(), String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "a schedule has five fields (minute hour day month weekday), this one {}",
            fields.len()
        ));
    }
    let mut sets = [0_u64; 5];
    for ((set, text), field) in sets.iter_mut().zip(&fields).zip(&FIELDS) {
        *set = field.set(text)?;
    }
    let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let comes = (1..=12)
        .any(|month| sets[3] >> month & 1 == 1 && sets[2].trailing_zeros() <= days[month - 1]);
    if fields[4] == "*" && !comes {
        return Err(format!(
            "day {} does not come in month {}",
            fields[2], fields[3]
        ));
    }
    Ok(())
}

impl Field {
    /// The values that `text` stands for, a bit each.
    fn set(&self, text: &str) -> Result<u64, String> {
        text.split(',')
            .try_fold(0, |set, item| Ok(set | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, String> {
        let &Self(name, least, greatest, _) = self;
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, greatest),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None if step.is_some() => (self.value(range)?, greatest),
            None => (self.value(range)?, self.value(range)?),
        };
        // A week may end on Sunday: "fri-sun".
        let to = if greatest == 7 && to == 0 && from > 0 {
            7
        } else {
            to
        };
        if from > to {
            return Err(format!("the {name} {range} goes backwards"));
        }
        let step = match step {
            None => 1,
            Some(text) => number(text)
                .filter(|step| (1..=greatest).contains(step))
                .ok_or_else(|| {
                    format!("the step {text:?} of the {name} is not a number from 1 to {greatest}")
                })?,
        };
        Ok((from..=to)
            .step_by(step as usize)
            .fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let &Self(name, least, greatest, names) = self;
        let named = names
            .iter()
            .zip(least..)
            .find(|(known, _)| known.eq_ignore_ascii_case(text))
            .map(|(_, value)| value);
        named
            .or_else(|| number(text))
            .filter(|value| (least..=greatest).contains(value))
            .ok_or_else(|| format!("the {name} {text:?} is not within {least} to {greatest}"))
    }
}

/// Digits alone: `parse` would take a sign as well.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

// ---- Tables -------------------------------------------------------------------------------------------------------

/// An effect, as a row of a table of texts.
trait Kept: Sized + PartialEq {
    /// What a [`Change`] calls it.
    const KIND: &'static str;
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
    const KIND: &'static str = "role";
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
    const KIND: &'static str = "cron_job";
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
    const KIND: &'static str = "webhook";
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
    const KIND: &'static str = "email_route";
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
    const KIND: &'static str = "bot_command";
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
    let reading = || format!("reading {} of {}", T::TABLE, sqlite::name(conn));
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

// ---- Comparing ----------------------------------------------------------------------------------------------------

/// What changes between two sets of effects: what is created and updated in the order of `new`,
/// then what is removed, kind by kind. A webhook with a new secret, and a job with a new schedule,
/// is an update of the one it replaces.
pub fn diff(old: &Effects, new: &Effects) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&old.roles, &new.roles, &mut changes);
    compare(&old.cron_jobs, &new.cron_jobs, &mut changes);
    compare(&old.webhooks, &new.webhooks, &mut changes);
    compare(&old.email_routes, &new.email_routes, &mut changes);
    compare(&old.bot_commands, &new.bot_commands, &mut changes);
    changes
}

fn compare<T: Kept>(old: &[T], new: &[T], changes: &mut Vec<Change>) {
    let mut change = |id: &str, change| {
        changes.push(Change {
            kind: T::KIND,
            id: id.to_owned(),
            change,
        })
    };
    let keys: BTreeSet<_> = new.iter().map(Kept::key).collect();
    // Those whose key is gone. A new one with the id of such a one takes its place.
    let mut gone: Vec<_> = named(old)
        .into_iter()
        .filter(|(_, entry)| !keys.contains(&entry.key()))
        .collect();
    for (name, entry) in named(new) {
        match old.iter().find(|before| before.key() == entry.key()) {
            Some(before) if before == entry => {}
            Some(_) => change(&name, "update"),
            None => match gone
                .iter()
                .position(|(_, before)| before.id() == entry.id())
            {
                Some(i) => {
                    gone.remove(i);
                    change(&name, "update");
                }
                None => change(&name, "create"),
            },
        }
    }
    gone.iter().for_each(|(name, _)| change(name, "remove"));
}

/// Entries with ids that tell them apart: the second `paid` is `paid#2`.
fn named<T: Kept>(entries: &[T]) -> Vec<(String, &T)> {
    let mut counts = BTreeMap::new();
    entries
        .iter()
        .map(|entry| {
            let id = entry.id();
            let count = counts
                .entry(id.clone())
                .and_modify(|count| *count += 1)
                .or_insert(1);
            (
                if *count == 1 {
                    id
                } else {
                    format!("{id}#{count}")
                },
                entry,
            )
        })
        .collect()
}

/// The changes in a line: `2 roles to create, 1 webhook to update`.
pub(crate) fn summary(changes: &[Change]) -> String {
    let mut counts: Vec<((&str, &str), usize)> = Vec::new();
    for change in changes {
        let key = (change.kind, change.change);
        match counts.iter_mut().find(|(k, _)| *k == key) {
            Some((_, n)) => *n += 1,
            None => counts.push((key, 1)),
        }
    }
    let words = counts.iter().map(|((kind, change), n)| {
        let plural = if *n == 1 { "" } else { "s" };
        format!("{n} {}{plural} to {change}", kind.replace('_', " "))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What a rollback from `old` to `new`, an earlier set, lets in again: roles, webhook secrets and
/// senders that had been revoked or rotated since. One sentence each, which names a webhook by its
/// method.
pub fn warnings(old: &Effects, new: &Effects) -> Vec<String> {
    let mut warnings = Vec::new();
    for role in new
        .roles
        .iter()
        .filter(|role| old.roles.iter().all(|now| now.id != role.id))
    {
        warnings.push(format!(
            "the role {:?} is back, which had been revoked",
            role.id
        ));
    }
    for (name, webhook) in named(&new.webhooks) {
        if old.webhooks.iter().all(|now| now.secret != webhook.secret) {
            let since = match old.webhooks.iter().any(|now| now.method == webhook.method) {
                true => "rotated",
                false => "revoked",
            };
            warnings.push(format!(
                "the webhook {name:?} answers again to a secret that had been {since}"
            ));
        }
    }
    for route in &new.email_routes {
        let method = &route.method;
        match old.email_routes.iter().find(|now| now.method == *method) {
            None => warnings.push(format!(
                "the email route {method:?} is back, which had been removed"
            )),
            Some(now) if now.approved_senders.is_empty() => {}
            Some(_) if route.approved_senders.is_empty() => {
                warnings.push(format!(
                    "the email route {method:?} takes mail from anybody again"
                ));
            }
            Some(now) => {
                for sender in &route.approved_senders {
                    if !now
                        .approved_senders
                        .iter()
                        .any(|approved| approved.eq_ignore_ascii_case(sender))
                    {
                        warnings.push(format!(
                            "the email route {method:?} takes mail from {sender} again"
                        ));
                    }
                }
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn memory() -> Connection {
        crate::engine::init();
        Connection::open_in_memory().unwrap()
    }

    fn effects(json: Value) -> Effects {
        Effects::from_json(&json).unwrap()
    }

    fn changes(old: Value, new: Value) -> Vec<String> {
        diff(&effects(old), &effects(new))
            .into_iter()
            .map(|c| format!("{} {} {}", c.change, c.kind, c.id))
            .collect()
    }

    fn contract() -> Value {
        json!({"roles": [{"id": "buyer", "name": "Buyer", "description": "…"}],
            "cron_jobs": [{"method": "nightly", "schedule": "0 3 * * *", "description": "…"}],
            "webhooks": [{"secret": "s3cret", "method": "on-paid", "description": "…"}],
            "email_routes": [{"method": "inbox", "approved_senders": ["*@example.com"]}],
            "bot_commands": [{"platform": "discord", "name": "order", "method": "order", "description": "…", "definition": {}}]})
    }

    #[test]
    fn tables_hold_what_was_declared() {
        let db = memory();
        assert_eq!(
            read(&db).unwrap(),
            Effects::default(),
            "no tables, no effects"
        );
        let declared = effects(contract());
        ensure(&db).unwrap();
        ensure(&db).unwrap();
        write(&db, &declared).unwrap();
        assert_eq!(read(&db).unwrap(), declared);
        assert_eq!(serde_json::to_value(&declared).unwrap(), contract());
        write(&db, &Effects::default()).unwrap();
        assert_eq!(read(&db).unwrap(), Effects::default());
    }

    #[test]
    fn only_rows_that_differ_are_written() {
        let db = memory();
        ensure(&db).unwrap();
        write(
            &db,
            &effects(json!({"roles": [{"id": "a"}, {"id": "b"}, {"id": "c"}]})),
        )
        .unwrap();
        let before = db.total_changes();
        write(
            &db,
            &effects(json!({"roles": [{"id": "c", "name": "C"}, {"id": "a"}]})),
        )
        .unwrap();
        assert_eq!(db.total_changes() - before, 2, "one row goes, one changes");
        let before = db.total_changes();
        write(
            &db,
            &effects(json!({"roles": [{"id": "a"}, {"id": "c", "name": "C"}]})),
        )
        .unwrap();
        assert_eq!(
            db.total_changes(),
            before,
            "the order that they are declared in is no change"
        );
    }

    #[test]
    fn a_row_of_somebody_elses_is_reported() {
        let db = memory();
        ensure(&db).unwrap();
        db.execute_batch("INSERT INTO _remy_email_routes VALUES ('inbox', 'everybody')")
            .unwrap();
        let e = read(&db).unwrap_err();
        assert_eq!(e.code(), "corrupt");
        assert!(e.to_string().contains("_remy_email_routes"), "{e}");
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let e = Effects::from_json(&json!({
            "rolls": [],
            "roles": [{"id": "Shop Owner"}, {"id": "buyer"}, {"id": "buyer"}, {"name": 7}, "x"],
            "cron_jobs": [{"method": "", "schedule": "0 3 * * *"}, {"method": "m", "schedule": "0 24 * * *"}],
            "webhooks": [{"secret": "hush", "method": "a"}, {"secret": "hush", "method": "b", "a/b": 1}, {"secret": "hush", "method": "c"}],
            "email_routes": [{"method": "in", "approved_senders": ["*@example.com", "nobody", "*@"]}, {"method": "in"}],
            "bot_commands": [{"platform": "irc", "name": "/go", "method": "go", "definition": []}, {"platform": "irc", "name": "/go", "method": "go"}]
        }))
        .unwrap_err();
        assert_eq!(e.code(), "schema_invalid");
        let message = e.to_string();
        for fault in [
            "/rolls: is not known",
            "/roles/0/id: \"Shop Owner\" is not kebab-case",
            "/roles/2: has the id of /roles/1",
            "/roles/3/id: is missing",
            "/roles/3/name: has to be a text",
            "/roles/4: has to be an object",
            "/cron_jobs/0/method: is empty",
            "/cron_jobs/1/schedule: \"0 24 * * *\": the hour \"24\" is not within 0 to 23",
            "/webhooks/1/a~1b: is not known",
            "/webhooks/2: has the secret of /webhooks/0",
            "/email_routes/0/approved_senders/1: \"nobody\"",
            "/email_routes/0/approved_senders/2: \"*@\"",
            "/email_routes/1: has the method of /email_routes/0",
            "/bot_commands/0/definition: has to be an object",
            "/bot_commands/1/platform: \"irc\"",
            "/bot_commands/1/name: \"/go\"",
        ] {
            assert!(message.contains(fault), "{fault}\n{message}");
        }
        assert!(!message.contains("hush"), "no secret in {message}");
        assert_eq!(
            Effects::from_json(&json!([])).unwrap_err().code(),
            "schema_invalid"
        );
        assert_eq!(effects(json!(null)), effects(json!({})));
        assert_eq!(
            effects(json!({"roles": [{"id": "a", "name": null}]})).roles[0].name,
            None
        );
    }

    #[test]
    fn schedules() {
        for good in [
            "* * * * *",
            "*/15 0-6,22,23 1-31/2 jan-Mar,12 mon-fri",
            "0/5 3 * * 7",
            "0 0 * * fri-sun",
            " 5\t4  29 2 * ",
            "0 0 31 2 1",
        ] {
            assert_eq!(check_schedule(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("* * * *", "five fields"),
            ("@daily", "five fields"),
            ("60 * * * *", "minute"),
            ("* -1 * * *", "hour"),
            ("* +1 * * *", "hour"),
            ("* * 0 * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "day of the week"),
            ("* * * foo *", "month"),
            ("*/0 * * * *", "step"),
            ("*/60 * * * *", "step"),
            ("1,,2 * * * *", "minute"),
            ("5-1 * * * *", "backwards"),
            ("1-2-3 * * * *", "minute"),
            ("*/2/3 * * * *", "step"),
            ("0 0 30 feb *", "does not come"),
            ("0 0 31 4,6,9,11 *", "does not come"),
            ("99999999999 * * * *", "minute"),
        ] {
            let found = check_schedule(bad).unwrap_err();
            assert!(found.contains(why), "{bad}: {found}");
        }
    }

    #[test]
    fn changes_are_named_without_secrets() {
        assert_eq!(
            changes(
                json!({"roles": [{"id": "a"}, {"id": "b"}], "cron_jobs": [{"method": "m", "schedule": "1 * * * *"}]}),
                json!({"roles": [{"id": "b", "name": "B"}, {"id": "c"}], "cron_jobs": [{"method": "m", "schedule": "2 * * * *"}]}),
            ),
            [
                "update role b",
                "create role c",
                "remove role a",
                "update cron_job m"
            ]
        );
        let two = json!({"webhooks": [{"secret": "s1", "method": "paid"}, {"secret": "s2", "method": "paid"}]});
        assert_eq!(
            changes(json!({}), two.clone()),
            ["create webhook paid", "create webhook paid#2"]
        );
        let rotated = json!({"webhooks": [{"secret": "s1", "method": "paid"}, {"secret": "s3", "method": "paid"}]});
        assert_eq!(changes(two.clone(), rotated), ["update webhook paid#2"]);
        assert_eq!(
            changes(
                two.clone(),
                json!({"webhooks": [{"secret": "s2", "method": "paid"}]})
            ),
            ["remove webhook paid"]
        );
        assert_eq!(
            changes(
                json!({}),
                json!({"bot_commands": [{"platform": "telegram", "name": "go", "method": "go"}]})
            ),
            ["create bot_command telegram/go"]
        );
        assert!(changes(two.clone(), two).is_empty());
    }

    #[test]
    fn a_rollback_says_what_comes_back() {
        let now = effects(json!({"webhooks": [{"secret": "new", "method": "paid"}],
            "email_routes": [{"method": "in", "approved_senders": ["Ann@example.com"]}]}));
        let then = effects(json!({"roles": [{"id": "admin"}],
            "webhooks": [{"secret": "old", "method": "paid"}, {"secret": "gone", "method": "lost"}],
            "email_routes": [{"method": "in", "approved_senders": ["ann@example.com", "*@example.org"]}]}));
        let found = warnings(&now, &then);
        assert_eq!(
            found,
            [
                "the role \"admin\" is back, which had been revoked",
                "the webhook \"lost\" answers again to a secret that had been revoked",
                "the webhook \"paid\" answers again to a secret that had been rotated",
                "the email route \"in\" takes mail from *@example.org again",
            ]
        );
        assert!(warnings(&now, &now).is_empty());
    }
}
