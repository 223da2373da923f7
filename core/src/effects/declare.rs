//! Reads declared effects.

use crate::{
    base::{
        error::{Error, Result, State},
        json::below,
    },
    effects::{BotCommand, CronJob, Effects, EmailRoute, Role, Webhook, cron::check_schedule},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

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
                below(at, key),
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
        let mut faults = Faults::default();
        match declared {
            Value::Null => return Ok(Self::default()),
            Value::Object(lists) => {
                for key in lists.keys().filter(|key| !LISTS.contains(&key.as_str())) {
                    let known = LISTS.join(", ");
                    faults.add(
                        below("", key),
                        format_args!("is not known here; {known} are"),
                    );
                }
            }
            _ => faults.add("the whole", "has to be an object"),
        }
        let lists = Lists::read(declared, &mut faults);
        lists.check_values(&mut faults);
        lists.check_keys(&mut faults);
        if !faults.0.is_empty() {
            return Err(Error::schema_invalid(format!(
                "the declared effects are wrong: {}",
                faults.0.join("; ")
            ))
            .state(State::NothingDone)
            .hint("Correct what is named by its JSON pointer and publish again"));
        }
        Ok(Self {
            roles: values(lists.roles),
            cron_jobs: values(lists.jobs),
            webhooks: values(lists.webhooks),
            email_routes: values(lists.routes),
            bot_commands: values(lists.commands),
        }
        .sorted())
    }
}

/// What a declaration lists.
const LISTS: [&str; 5] = [
    "roles",
    "cron_jobs",
    "webhooks",
    "email_routes",
    "bot_commands",
];

/// The entries that have the right shape, each with its JSON pointer.
struct Lists {
    roles: Vec<(String, Role)>,
    jobs: Vec<(String, CronJob)>,
    webhooks: Vec<(String, Webhook)>,
    routes: Vec<(String, EmailRoute)>,
    commands: Vec<(String, BotCommand)>,
}

impl Lists {
    fn read(declared: &Value, faults: &mut Faults) -> Self {
        use Kind::{Object, Text, Texts};
        let [roles, jobs, webhooks, routes, commands] = LISTS;
        const ROLE: Fields = &[
            ("id", true, Text),
            ("name", false, Text),
            ("description", false, Text),
        ];
        const JOB: Fields = &[
            ("method", true, Text),
            ("schedule", true, Text),
            ("description", false, Text),
        ];
        const WEBHOOK: Fields = &[
            ("secret", true, Text),
            ("method", true, Text),
            ("description", false, Text),
        ];
        const ROUTE: Fields = &[("method", true, Text), ("approved_senders", false, Texts)];
        const COMMAND: Fields = &[
            ("platform", true, Text),
            ("name", true, Text),
            ("method", true, Text),
            ("description", false, Text),
            ("definition", false, Object),
        ];
        Self {
            roles: faults.list(declared, roles, ROLE),
            jobs: faults.list(declared, jobs, JOB),
            webhooks: faults.list(declared, webhooks, WEBHOOK),
            routes: faults.list(declared, routes, ROUTE),
            commands: faults.list(declared, commands, COMMAND),
        }
    }

    /// Reports values that are of the right shape and are none all the same.
    fn check_values(&self, faults: &mut Faults) {
        let kebab = |role: &&(String, Role)| !is_kebab_case(&role.1.id);
        for (at, role) in self.roles.iter().filter(kebab) {
            faults.add(
                format_args!("{at}/id"),
                format_args!("{:?} is not kebab-case, as in \"shop-owner\"", role.id),
            );
        }
        for (at, job) in &self.jobs {
            if let Err(why) = check_schedule(&job.schedule) {
                faults.add(
                    format_args!("{at}/schedule"),
                    format_args!("{:?}: {why}", job.schedule),
                );
            }
        }
        for (at, route) in &self.routes {
            let senders = route.approved_senders.iter().enumerate();
            for (i, sender) in senders.filter(|(_, sender)| !is_sender(sender)) {
                faults.add(
                    format_args!("{at}/approved_senders/{i}"),
                    format_args!("{sender:?} is neither an address nor \"*@domain\""),
                );
            }
        }
        for (at, command) in &self.commands {
            if !["discord", "telegram"].contains(&command.platform.as_str()) {
                faults.add(
                    format_args!("{at}/platform"),
                    format_args!("{:?} is neither discord nor telegram", command.platform),
                );
            }
            if command.name.starts_with('/') {
                faults.add(
                    format_args!("{at}/name"),
                    format_args!("{:?} is declared without the \"/\"", command.name),
                );
            }
        }
    }

    /// Reports what is declared twice.
    fn check_keys(&self, faults: &mut Faults) {
        faults.unique(&self.roles, |role| &role.id, "id");
        faults.unique(
            &self.jobs,
            |job| (&job.method, &job.schedule),
            "method and schedule",
        );
        faults.unique(&self.webhooks, |webhook| &webhook.secret, "secret");
        faults.unique(&self.routes, |route| &route.method, "method");
        faults.unique(
            &self.commands,
            |command| (&command.platform, &command.name),
            "platform and name",
        );
    }
}

/// `shop-owner`: lower-case letters and digits, joined by single hyphens, a letter first.
pub fn is_kebab_case(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// `ann@example.com` or `*@example.com`.
pub fn is_sender(sender: &str) -> bool {
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
