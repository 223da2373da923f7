//! What every step of a release has at hand.

use crate::{
    base::{
        clock::{self, Moment},
        error::{Context, Error, Result, State},
        history::Step,
        ids::ReleaseId,
        options::Options,
        progress::Progress,
        text::human,
    },
    live::{
        database::Live,
        marker::{self, Marker},
    },
    release::{drift, session::Session},
    sqlite::{
        calls, client,
        since::{self, Clients},
    },
    store::{
        catalog::{Catalog, switches::Intent},
        log::Log,
        place,
    },
    switch::{engine, follower::ClonedLive},
};
use rusqlite::Connection;
use std::path::PathBuf;

/// What a verb was called with.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) live: &'a Live,
    pub(crate) options: &'a Options,
    pub(crate) progress: Progress<'a>,
    /// When that was.
    pub(crate) started: Moment,
}

impl<'a> Call<'a> {
    pub(crate) fn new(live: &'a Live, options: &'a Options, progress: Progress<'a>) -> Self {
        Self {
            live,
            options,
            progress,
            started: Moment::now(),
        }
    }

    /// The same call, with what its release was staged with.
    pub(crate) fn with<'b>(self, options: &'b Options) -> Call<'b>
    where
        'a: 'b,
    {
        Call { options, ..self }
    }

    /// The log of the release that it makes. A dry run keeps none.
    pub(crate) fn log(&self, catalog: &'a Catalog, release: ReleaseId) -> Log<'a> {
        let kept = (!self.options.dry_run).then_some(catalog);
        Log::new(kept, release, self.progress).since(self.started)
    }
}

/// How far a release goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// It is left `compiled`, or a preview.
    Rehearsed,
    Live,
}

/// One release, from the clone to the catalog.
pub(crate) struct Run<'a> {
    pub(crate) live: &'a Live,
    pub(crate) session: &'a Session,
    pub(crate) options: &'a Options,
    pub(crate) log: &'a Log<'a>,
    pub(crate) started: Moment,
    pub(crate) until: Until,
    /// What live is to say of itself; the time is that of the COMMIT in the end.
    pub(crate) marker: Marker,
    pub(super) intent: Intent,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        call: &Call<'a>,
        session: &'a Session,
        log: &'a Log<'a>,
        release: ReleaseId,
        until: Until,
    ) -> Result<Self> {
        let catalog = &session.store.catalog;
        let switch_id = catalog.unique()?;
        let artifacts = catalog.files_of(release)?.map(place::files);
        Ok(Self {
            live: call.live,
            session,
            options: call.options,
            log,
            started: call.started,
            until,
            intent: Intent {
                old_switch: session.marker.as_ref().map(|m| m.switch_id.clone()),
                release,
                previous: session.live_release(),
                switch_id: switch_id.clone(),
                detaches: false,
            },
            marker: Marker {
                switch_id,
                release,
                label: call.options.label.clone(),
                commit: call.options.commit.clone(),
                artifacts,
                live_at: clock::now(),
            },
        })
    }

    pub(crate) fn release(&self) -> ReleaseId {
        self.intent.release
    }

    /// Whether the rehearsal is all that was asked for.
    pub(super) fn ends_rehearsed(&self) -> bool {
        self.options.dry_run || self.until == Until::Rehearsed
    }

    /// Refuses a clone of something else than what this verb began with: it would be kept as a
    /// release that it is not.
    pub(super) fn is_still_the_same(&self, clone: &Connection) -> Result<()> {
        if marker::read(clone)?.map(|marker| marker.switch_id) != self.intent.old_switch {
            return Err(Error::busy(format!(
                "{} was restored or replaced meanwhile",
                self.live.shown()
            ))
            .state(State::LiveUnchanged)
            .hint("Find out who does that, and start again"));
        }
        if self.intent.previous.is_some() || self.options.dry_run || calls::is_empty(clone)? {
            return Ok(());
        }
        Err(Error::busy(format!(
            "{} was empty, and somebody made something in it meanwhile",
            self.live.shown()
        ))
        .state(State::LiveUnchanged)
        .hint("Start again: what there is now is kept as a release then"))
    }

    /// What was changed of live's schema outside of remy since the release that is live went live,
    /// as a clone of live has it.
    pub(super) fn drift(&self, clone: &Connection) -> Result<Option<String>> {
        drift::since(
            &self.session.store.catalog,
            self.session.release,
            clone,
            self.options,
        )
    }

    /// Refuses the schema of an image where somebody who is to use it could not read it. Returns
    /// the oldest SQLite that can, where that is worth telling.
    pub(super) fn may_go_live(&self, image: &Connection) -> Result<Option<Clients>> {
        let schema = client::objects(image)?;
        let needed = since::needed(&schema);
        if let Some((needed, clients)) = needed.as_ref().zip(self.options.clients) {
            needed.refuse(clients)?;
        }
        self.log.progress().may_go_live(&schema)?;
        Ok(needed.and_then(|needed| needed.told()))
    }

    /// Records the schema that this release makes live.
    pub(super) fn record_schema(&self, schema: &str) -> Result<()> {
        match self.options.dry_run {
            true => Ok(()),
            false => self
                .session
                .store
                .catalog
                .set_schema(self.intent.release, schema),
        }
    }

    /// A file for this release, besides the clone.
    pub(super) fn work_path(&self, what: &str) -> PathBuf {
        self.session
            .store
            .path(&place::beside_work(&self.intent.switch_id, what))
    }

    /// Clones live, blocking nobody.
    pub(crate) fn clone_live(&self) -> Result<ClonedLive<'a>> {
        let path = self.session.store.path(&self.intent.work());
        self.log.step(
            Step::Clone,
            || {
                let bytes = std::fs::metadata(&self.live.path)
                    .context(|| format!("looking at {}", self.live.shown()))?
                    .len();
                self.room_for(&format!("a clone of {}", self.live.shown()), bytes)
                    .map_err(|e| e.state(State::NothingStarted))?;
                let progress = self.log.progress();
                engine::of(self.live).clone_live(self.live, &self.session.store, &path, progress)
            },
            |ClonedLive { follower, .. }| {
                format!(
                    "Cloned live database [{}, {}]",
                    human(follower.bytes()),
                    follower.method()
                )
            },
        )
    }

    /// Refuses, with both numbers, what would leave less free than `margin_bytes`. The store is
    /// beside live, on one disk with it.
    pub(super) fn room_for(&self, what: &str, bytes: u64) -> Result<()> {
        self.session
            .store
            .room_for(what, bytes, self.options.margin_bytes)
    }

    /// Removes what is left of the work.
    fn clean(&self) -> Result<()> {
        let store = &self.session.store;
        // A switch that is not recorded as ended needs its clone: recovery removes it.
        if store
            .catalog
            .open_intents()?
            .iter()
            .any(|intent| intent.switch_id == self.intent.switch_id)
        {
            return Ok(());
        }
        store.remove_database(&store.path(&self.intent.work()))?;
        store.remove_database(&self.work_path("plain"))?;
        store.remove_database(&self.work_path("image"))
    }
}

impl Drop for Run<'_> {
    /// However a verb ends: a clone that a full disk has stopped must not keep it full. What fails
    /// here is done by the next verb, and says nothing of live.
    fn drop(&mut self) {
        let _ = self.clean();
    }
}
