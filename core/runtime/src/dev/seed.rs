//! Seeds a dev session by a scenario of the app's. Where the scenario fails, the session is as it was
//! before, under those who have its database open.

use crate::{
    app::Scenario,
    child::Listener,
    dev::user::{give_roles, test_user},
    failure::Failure,
    pool::Cancel,
    runtime::{Invoke, Runtime},
    served::Served,
    target::{Target, of_core},
    who::Who,
};
use remy_db::{Options, Progress, Remy};
use remy_db_app::build::release::scenario_id;
use serde::Serialize;
use serde_json::Value;
use std::{path::PathBuf, sync::Arc};

/// A scenario, and where it runs.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The session.
    pub name: String,
    /// The app's methods and scenarios, as [`Target::Dev`] has them.
    pub built: PathBuf,
    /// The scenario's id.
    pub scenario: String,
}

/// A session that was seeded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seeded {
    /// The session.
    pub name: String,
    /// The scenario.
    pub scenario: String,
    /// The test user's row; none where the app has no users.
    pub user: Option<String>,
    /// The roles that the test user has now.
    pub roles: Vec<String>,
    /// The call, as its record has it.
    pub call: String,
    /// How long the scenario took, in milliseconds.
    pub duration_ms: f64,
}

impl Runtime {
    /// Empties the tables of a dev session, unless the scenario says not to, runs the scenario, and
    /// gives its roles to the test user.
    ///
    /// Fails with `scenario_not_found`, with what the scenario threw, and as a call does: the session
    /// is as it was then. What others wrote to it meanwhile goes with what the scenario wrote.
    pub fn seed(
        &self,
        seed: &Seed,
        listener: &Arc<dyn Listener>,
        cancel: &Cancel,
    ) -> Result<Seeded, Failure> {
        let target = Target::Dev {
            name: seed.name.clone(),
            built: seed.built.clone(),
        };
        let served = self.current(&target)?;
        let scenario = scenario_of(&served, &seed.scenario)?;
        let remy = Remy::open(self.live()).map_err(of_core)?;
        let folder = self.workplace().folder();
        let kept = tempfile::Builder::new().prefix("dev-").tempdir_in(folder);
        let kept = kept.map_err(|e| {
            let message = format!(
                "making a folder in {}: {e}. The session is as it was",
                folder.display()
            );
            Failure::new("io", 500, message)
        })?;
        let before = kept.path().join("before.db");
        remy.dev_keep(&seed.name, &before, Progress::none())
            .map_err(of_core)?;
        let sown = self.sow(
            (seed, &scenario),
            (&remy, &served),
            target,
            (listener, cancel),
        );
        sown.map_err(|failure| {
            let back = remy.dev_put_back(&seed.name, &before, Progress::none());
            let now = match back {
                Ok(()) => format!("The dev session {} is as it was before", seed.name),
                Err(e) => format!(
                    "The dev session {} could not be put back as it was before: {e}",
                    seed.name
                ),
            };
            let message = format!("{}. {now}", failure.message.trim_end_matches('.'));
            Failure { message, ..failure }
        })
    }

    fn sow(
        &self,
        (seed, scenario): (&Seed, &Scenario),
        (remy, served): (&Remy, &Served),
        target: Target,
        (listener, cancel): (&Arc<dyn Listener>, &Cancel),
    ) -> Result<Seeded, Failure> {
        if scenario.skip_truncate != Some(true) {
            remy.dev_truncate_with(&seed.name, &Options::default(), Progress::none())
                .map_err(of_core)?;
        }
        // Whom the scenario makes users of is its own matter: the test user may be one of them.
        let invoke = Invoke {
            target,
            who: Who::system(),
            ..Invoke::new(&scenario_id(&scenario.id), Value::Null)
        };
        let returned = self.call_scenario(served, invoke, (listener, cancel))?;
        let mut user = None;
        if let Some(table) = &served.app.auth {
            user = test_user(table, &served.database)?;
            if let Some(user) = &user {
                give_roles(user, &scenario.roles, table, &served.database)?;
            }
        }
        Ok(Seeded {
            name: seed.name.clone(),
            scenario: scenario.id.clone(),
            user,
            roles: scenario.roles.clone(),
            call: returned.call,
            duration_ms: returned.duration_ms,
        })
    }
}

fn scenario_of(served: &Served, id: &str) -> Result<Scenario, Failure> {
    let built = |scenario: &&Scenario| served.app.methods.contains_key(&scenario_id(&scenario.id));
    let scenarios = &served.app.scenarios;
    scenarios.get(id).filter(built).cloned().ok_or_else(|| {
        let all: Vec<_> = scenarios.keys().map(String::as_str).collect();
        let there = match all.is_empty() {
            true => "there is none".to_owned(),
            false => format!("there is {}", all.join(", ")),
        };
        let message = format!("there is no scenario {id}; {there}. The session is as it was");
        Failure::new("scenario_not_found", 404, message)
    })
}
