//! Serves what was published, for people and programs, on one machine: the web interface of the live
//! release and of previews, and the methods behind it. And what is worked on, as a dev session.
//!
//! A server is one process, and the only one of its database.
#![warn(missing_docs)]

mod agent;
mod answer;
mod api;
mod asked;
mod backend;
mod body;
pub mod bots;
mod claim;
mod context;
pub mod cron;
mod dev;
mod events;
mod files;
mod inbound;
mod inbox;
mod interface;
mod listen;
mod login;
mod mcp;
mod methods;
mod on_page;
mod operation;
mod origin;
mod page;
mod route;
mod settings;
mod state;
mod webhook;

pub use claim::Claimed;
pub use dev::{Development, Printed, Told};
pub use listen::{bind, bind_near, inherited};
pub use operation::log::Log;
pub use settings::{Limits, PreviewHost, Settings, Show, ShowCode};

use context::Context;
use cron::{Jobs, Scheduler};
use operation::{metrics, retention};
use remy_db_runtime::{failure::Failure, target::Target, token};
use std::{
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Serves an app, until it is told to stop.
pub struct Server {
    context: Arc<Context>,
    jobs: Jobs,
    metrics: Option<TcpListener>,
    _claimed: Claimed,
}

impl Server {
    /// The server of the app whose live database is at `live`; its methods are ready to be called.
    ///
    /// Fails as `Runtime::open` and a call do, and with `busy` where another process serves it.
    pub fn open(live: &Path, settings: Settings) -> Result<Self, Failure> {
        let jobs = Jobs::of(live, settings.timezone.as_deref())?;
        let store = context::store_of(live)?;
        let claimed = Claimed::take(&store)?;
        let context = Context::open(live, &store, settings, None)?;
        context.runtime.warm(&Target::Live)?;
        Ok(Self {
            context: Arc::new(context),
            jobs,
            metrics: None,
            _claimed: claimed,
        })
    }

    /// Shows metrics on `listener`, at `/metrics`, to who has the server secret `METRICS_TOKEN`.
    ///
    /// Fails with `no_token` where that is not set.
    pub fn with_metrics(self, listener: TcpListener) -> Result<Self, Failure> {
        metrics::check(&self.context)?;
        Ok(Self {
            metrics: Some(listener),
            ..self
        })
    }

    /// The name of the app that is live, and its release.
    pub fn serves(&self) -> Result<String, Failure> {
        let (release, app) = self.context.runtime.serving(&Target::Live)?;
        Ok(match release {
            Some(release) => format!("release {release} of {}", app.name),
            None => app.name.clone(),
        })
    }

    /// Serves on `listener`. Once `stop` is set, no connection is taken any more, those that wait are
    /// closed, and what is under way may end for as long as [`Limits::end`] says; then it is ended.
    pub fn run(self, listener: TcpListener, stop: &AtomicBool) -> Result<(), Failure> {
        let cron = Scheduler::new(&self.context, self.jobs);
        let is_over = AtomicBool::new(false);
        let ends = || stop.load(Ordering::SeqCst) || is_over.load(Ordering::SeqCst);
        thread::scope(|scope| {
            scope.spawn(|| cron.run(ends));
            scope.spawn(|| retention::run(&self.context, ends));
            scope.spawn(|| bots::keep_told(&self.context, ends));
            let served = listen::run(&self.context, (listener, self.metrics), stop);
            is_over.store(true, Ordering::SeqCst);
            served
        })
    }
}
