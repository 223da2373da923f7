//! What a release declares besides tables: roles, cron jobs, webhooks, email routes and bot
//! commands.
//!
//! They live in tables `_remy_*` of the live database, so that a switch moves them with the pages.
//! This module reads a declaration ([`Effects::from_json`]), keeps those tables equal to one
//! ([`ensure`], [`write`], [`read`]), and tells what a change of them means ([`diff`],
//! [`warnings`]). No message names a webhook's secret.

pub(crate) mod cron;
pub(crate) mod declare;
pub(crate) mod diff;
pub(crate) mod tables;

use crate::base::words::words;
pub use cron::{check_schedule, spelled_out};
pub use declare::{is_kebab_case, is_sender};
pub use diff::diff;
use serde::{Deserialize, Serialize};
use serde_json::Value;

words! {
    /// What an effect is.
    pub enum EffectKind, "kind" {
        /// What users may be.
        Role = "role",
        /// What runs by the clock.
        CronJob = "cron_job",
        /// What others may call.
        Webhook = "webhook",
        /// What mail runs.
        EmailRoute = "email_route",
        /// What chats may call.
        BotCommand = "bot_command",
    }
}

words! {
    /// What becomes of an effect.
    pub enum ChangeKind, "change" {
        /// It comes.
        Create = "create",
        /// It changes.
        Update = "update",
        /// It goes.
        Remove = "remove",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::{
        cron::check_schedule,
        diff::{diff, warnings},
        tables::{ensure, read, write},
    };
    use rusqlite::Connection;
    use serde_json::json;

    fn memory() -> Connection {
        crate::sqlite::engine::init();
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
            ("", "five fields"),
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
