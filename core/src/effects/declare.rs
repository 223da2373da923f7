//! Reads declared effects.

use crate::{
    base::{
        error::{Error, Result},
        json::below,
    },
    effects::{BotCommand, CronJob, Effects, EmailRoute, Role, Webhook, cron::check_schedule},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

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
                        below("", key),
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
