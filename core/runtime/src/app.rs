//! What a release says of itself: its methods, its users, its roles. Read of the folder that is kept
//! with it, and so of data: no path that it has is followed.

use crate::{
    failure::Failure,
    protocol::{AuthTable, Module},
};
use remy_db::internals::effects::is_kebab_case;
use remy_db_app::{
    build::release::scenario_id,
    variables::{self, Reads},
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The format of `app.json` that this version knows.
const FORMAT: u64 = 1;

/// An app, as a release has it.
#[derive(Debug)]
pub struct App {
    /// The folder that is kept with the release.
    pub kept: PathBuf,
    /// Its name.
    pub name: String,
    id: Option<String>,
    /// Whether its methods carry the hosted platform's own SDK, which calls back by HTTP.
    pub calls_back: bool,
    /// The folder of its compiled methods.
    pub folder: PathBuf,
    /// By their ids.
    pub methods: BTreeMap<String, Module>,
    /// The variables of their environment that they read, as far as only a secret gives them a value.
    pub reads: Reads,
    /// Where its users are.
    pub auth: Option<AuthTable>,
    /// How they sign in: `email-code`, `sms-code`, `api-key`.
    pub signs_in: BTreeSet<String>,
    /// The ids of its roles.
    pub roles: BTreeSet<String>,
    /// By their ids.
    pub scenarios: BTreeMap<String, Scenario>,
}

/// A seed of dev sessions.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Its id.
    pub id: String,
    /// What it exports.
    pub export: String,
    /// Its file, in the app's folder.
    pub path: String,
    /// The roles that the test user has after it.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether the tables are not emptied before it.
    #[serde(default)]
    pub skip_truncate: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    format: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    app_id: Option<String>,
    #[serde(default)]
    methods: Vec<Method>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    scenarios: Vec<Scenario>,
    #[serde(default)]
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Method {
    id: String,
    export: String,
}

#[derive(Deserialize)]
struct Role {
    id: String,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    methods: BTreeSet<String>,
    #[serde(default)]
    table: Option<Users>,
}

#[derive(Deserialize)]
struct Users {
    #[serde(default)]
    name: String,
    #[serde(default)]
    columns: BTreeMap<String, Value>,
}

impl App {
    /// Reads the app that is kept in a folder. `what` names it in messages: `release 7`.
    ///
    /// Fails with `no_methods` where the release is none of an app.
    pub fn read(kept: &Path, what: &str) -> Result<Self, Failure> {
        let at = kept.join("app.json");
        let text = fs::read_to_string(&at).map_err(|e| {
            let message = match e.kind() {
                std::io::ErrorKind::NotFound => {
                    format!("{what} has no methods: it was published without an app")
                }
                _ => format!("{} cannot be read: {e}", at.display()),
            };
            Failure::new("no_methods", 404, message)
        })?;
        let damaged = |why: String| {
            let message = format!("{} is not as remy writes it: {why}", at.display());
            Failure::new("corrupt", 500, message)
        };
        let described: Described =
            serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        if described.format != FORMAT {
            return Err(damaged(format!("its format is {}", described.format)));
        }
        let folder = kept.join("methods");
        let methods = described.methods.into_iter().map(|Method { id, export }| {
            // It becomes the name of a file.
            if !is_kebab_case(&id) {
                return Err(damaged(format!("{id:?} is no id of a method")));
            }
            let file = folder.join(format!("{id}.mjs"));
            Ok((id, Module { file, export }))
        });
        let mut methods = methods.collect::<Result<BTreeMap<_, _>, _>>()?;
        // Only what is built for a dev session has them.
        for Scenario { id, export, .. } in described
            .scenarios
            .iter()
            .filter(|it| is_kebab_case(&it.id))
        {
            let id = scenario_id(id);
            let file = folder.join(format!("{id}.mjs"));
            if file.is_file() {
                let export = export.clone();
                methods.insert(id, Module { file, export });
            }
        }
        let signs_in = described.auth.as_ref().map(|auth| auth.methods.clone());
        Ok(Self {
            kept: kept.to_owned(),
            name: described.name,
            id: described.app_id,
            calls_back: methods.values().any(calls_back),
            methods,
            folder,
            signs_in: signs_in.unwrap_or_default(),
            reads: variables::reads_of(kept),
            auth: described.auth.and_then(Auth::users),
            roles: described.roles.into_iter().map(|role| role.id).collect(),
            scenarios: described
                .scenarios
                .into_iter()
                .map(|scenario| (scenario.id.clone(), scenario))
                .collect(),
        })
    }
}

/// What the SDK reads that calls back, and nothing of remy's own does.
const CALLS_BACK: &str = "REMOTE_HOSTNAME";

/// Whether a method does. What cannot be read does not load, either.
fn calls_back(method: &Module) -> bool {
    let text = fs::read(&method.file).unwrap_or_default();
    String::from_utf8_lossy(&text).contains(CALLS_BACK)
}

impl App {
    /// The id by which the app is known to others: its name, where it has no other.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }

    /// The ids of its methods, by the names of their exports. Of two of one name, the first: who calls
    /// the other does so by its id.
    pub fn exports(&self) -> BTreeMap<&str, &str> {
        let methods = self.methods.iter().rev();
        methods
            .map(|(id, module)| (module.export.as_str(), id.as_str()))
            .collect()
    }
}

impl Auth {
    /// The table of users, where signing in is switched on.
    fn users(self) -> Option<AuthTable> {
        let table = self.table.filter(|_| self.enabled != Some(false))?;
        let columns = table
            .columns
            .into_iter()
            .filter_map(|(what, column)| Some((what, column.as_str()?.to_owned())));
        let columns = columns.collect();
        (!table.name.is_empty()).then_some(AuthTable {
            table: table.name,
            columns,
        })
    }
}
