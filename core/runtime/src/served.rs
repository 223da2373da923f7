//! A target that is served: its database, its processes, and all that its calls may ask for.

use crate::{
    app::App,
    child::{Limits, Program, Service, Workplace},
    database::{self, Database, Durability},
    events::World,
    failure::Failure,
    mask::Mask,
    pool::{self, Pool},
    protocol::{Load, Table},
    sandbox::Isolation,
    secrets,
    services::{Outside, Services},
    target::{Found, Target, of_core},
};
use remy_db::ReleaseId;
use remy_db_app::{
    stamp::Stamp,
    variables::{Reads, without_value},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

/// How methods are run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// How many processes, and how many calls wait.
    pub pool: pool::Settings,
    /// How long a call may take, and how much it may write.
    pub limits: Limits,
    /// How methods are shut in.
    pub isolation: Isolation,
    /// When a write is answered.
    pub durability: Durability,
}

/// A target that is served.
pub(crate) struct Served {
    pub release: Option<ReleaseId>,
    pub app: Arc<App>,
    pub database: Arc<Database>,
    pub pool: Pool,
    services: Arc<Services>,
    pub mask: Mask,
    /// What its methods read and has no value there.
    pub without_value: Reads,
    /// Of the secrets that its processes have.
    pub stamp: Stamp,
    /// Its tables, where they were announced before they could be read.
    announced: Option<BTreeMap<String, Table>>,
    /// Last: the database is in it.
    _copy: Option<tempfile::TempDir>,
}

impl Served {
    /// Opens the database, and warms the first process. `announced` are its tables, where the
    /// database does not have them yet.
    pub fn start(
        target: &Target,
        found: Found,
        settings: Settings,
        outside: &Outside,
        workplace: &Arc<Workplace>,
        announced: Option<BTreeMap<String, Table>>,
    ) -> Result<Self, Failure> {
        let what = match found.release {
            Some(release) => format!("release {release}"),
            None => target.to_string(),
        };
        let app = App::read(&found.kept, &what)?;
        let of = match target {
            Target::Dev { .. } => secrets::Target::Dev,
            _ => secrets::Target::Prod,
        };
        // Before they are read: a change in between is seen at the next call.
        let stamp = outside.secrets.stamp();
        let environment = outside.secrets.environment(of).map_err(of_core)?;
        let database = database::Settings {
            auth: app.auth.clone(),
            durability: settings.durability,
            ..database::Settings::new(found.bound)
        };
        let database = Arc::new(Database::open(&found.place, database).map_err(of_core)?);
        let load = Load {
            methods: app.methods.clone(),
            tables: match &announced {
                Some(tables) => tables.clone(),
                None => database.tables()?,
            },
            auth: app.auth.clone(),
        };
        let without_value = without_value(&app.reads, |name| environment.contains_key(name));
        let mask = Mask::of(environment.values().map(String::as_str));
        let program = Program::new(
            load,
            &app.folder,
            environment,
            settings.limits,
            settings.isolation,
            Arc::clone(workplace),
        )?;
        let services = Services {
            database: Arc::clone(&database),
            auth: app.auth.clone(),
            outside: outside.clone(),
            of,
            target: target.clone(),
            world: World::of(target),
        };
        let services = Arc::new(services);
        let pool = Pool::start(program, settings.pool, services.clone())?;
        Ok(Self {
            release: found.release,
            app: Arc::new(app),
            database,
            pool,
            services,
            mask,
            without_value,
            stamp,
            announced,
            _copy: found.copy,
        })
    }

    /// Whether the release is live, and its tables are those that its processes were told of.
    pub fn is_as_announced(&self) -> bool {
        let tables = self.database.tables().ok();
        tables.is_some() && (self.announced.is_none() || tables == self.announced)
    }

    /// What calls of it ask for, as long as it is served.
    pub fn service(&self) -> Weak<dyn Service> {
        let services: Weak<Services> = Arc::downgrade(&self.services);
        services
    }
}
