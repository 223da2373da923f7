//! A dev session, served as live is: the working tree's methods on the session's database, and its
//! pages, by the app's own dev server where it has one.

pub(crate) mod changes;
pub(crate) mod page;
mod people;
mod printed;
mod proxy;
pub(crate) mod session;

use crate::{
    claim::Claimed,
    context::{Context, store_of},
    listen,
    settings::Settings,
};
use printed::Lines;
use remy_db_app::project::{self, Follow, Followed, Project, Shown, Watch};
use remy_db_runtime::{failure::Failure, target::of_core};
use session::Session;
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

pub use printed::Printed;

/// What is told of a dev session that is served.
#[derive(Debug)]
pub enum Told {
    /// The working tree has changed.
    Followed(Box<Followed>),
    /// What shows its pages.
    Shown(Shown),
    /// A line that a method has printed.
    Printed(Printed),
}

/// Serves a dev session, which follows the working tree, until it is told to stop.
pub struct Development {
    context: Arc<Context>,
    project: Arc<Project>,
    watch: Watch,
    _claimed: Claimed,
}

impl Development {
    /// Of the session that follows the working tree by `watch`.
    ///
    /// Fails as `Runtime::open` does, and with `busy` where another process serves the session.
    pub fn open(project: Arc<Project>, watch: Watch, settings: Settings) -> Result<Self, Failure> {
        let live = &project.place().path;
        let store = store_of(live)?;
        let session = project.dev_session(watch.name());
        let session = session.map_err(|e| of_core(e.error().clone()))?;
        let name = watch.name().to_owned();
        let dev = Session::new(name.clone(), session.path.into());
        // Its folder is the runtime's.
        let context = Context::open(live, &store, settings, Some(dev))?;
        Ok(Self {
            context: Arc::new(context),
            _claimed: Claimed::take_dev(&store, &name)?,
            project,
            watch,
        })
    }

    /// Serves on `listener`, and tells what becomes of the working tree, until `follow` calls it off.
    /// Cron jobs do not run.
    ///
    /// Fails where the working tree cannot be watched any more.
    pub fn run(
        mut self,
        listener: TcpListener,
        tell: &(dyn Fn(Told) + Sync),
        follow: Follow<'_>,
    ) -> Result<(), Failure> {
        let (context, project) = (&self.context, &self.project);
        let watch = &mut self.watch;
        let stop = follow.cancel;
        let (lines, is_over) = (Lines::of(&context.runtime), &AtomicBool::new(false));
        // Whatever ends, all of it ends.
        let ends = |done: project::Result<()>| {
            stop.store(true, Ordering::SeqCst);
            done.map_err(|e| of_core(e.error().clone()))
        };
        thread::scope(|threads| {
            let follows = threads.spawn(move || ends(follow_tree(context, watch, tell, follow)));
            let shows = threads.spawn(move || {
                let shown = |shown: Shown| {
                    if let Some(dev) = &context.dev {
                        dev.is_shown(shown.clone());
                    }
                    tell(Told::Shown(shown));
                };
                ends(project.dev_server(&shown, follow))
            });
            threads.spawn(move || lines.tell(&|line| tell(Told::Printed(line)), is_over));
            let served = listen::run(context, (listener, None), stop);
            stop.store(true, Ordering::SeqCst);
            is_over.store(true, Ordering::SeqCst);
            let ended = [follows.join(), shows.join()]
                .map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            ended.into_iter().fold(served, Result::and)
        })
    }
}

fn follow_tree(
    at: &Context,
    watch: &mut Watch,
    tell: &(dyn Fn(Told) + Sync),
    follow: Follow<'_>,
) -> project::Result<()> {
    let Some(dev) = &at.dev else {
        return Ok(());
    };
    while let Some(followed) = watch.next(follow)? {
        match &followed.came {
            Ok(prepared) => {
                dev.has(&prepared.built);
                // The next call is of it. What cannot be started, that call tells.
                if let Ok(target) = dev.built() {
                    let _ = at.runtime.warm(&target);
                }
            }
            Err(e) => dev.lacks(e.to_string()),
        }
        tell(Told::Followed(Box::new(followed)));
    }
    Ok(())
}
