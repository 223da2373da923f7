//! What a publish and a rollback have in common: a clone is taken, an image made, live switched,
//! the store settled.

use crate::{
    base::{
        clock,
        error::{Context, Error, Result},
        history::ReleaseId,
        options::Options,
        text::human,
    },
    live::{
        database::Live,
        marker::{self, Marker},
    },
    rehearse::questions::Looked,
    release::{
        drift,
        recover::{self, Decided},
        session::Begun,
        settle,
    },
    sqlite::{calls, client},
    store::{catalog::switches::Intent, log::Log, place},
    switch::{
        contract::{Change, Ended, Failure, Switched, Terms},
        follower::{By, Image, Taken},
        pages::Switch,
    },
};
use rusqlite::Connection;
use std::{collections::BTreeSet, path::PathBuf};

/// How often a verb begins with the schema anew because somebody else changes live's.
pub(crate) const FRESH_STARTS: u32 = 3;

/// One switch, from the clone to the catalog.
pub(crate) struct Job<'a> {
    pub(crate) live: &'a Live,
    pub(crate) begun: &'a Begun,
    pub(crate) options: &'a Options,
    pub(crate) log: &'a Log<'a>,
    /// What live is to say of itself; the time is that of the COMMIT in the end.
    pub(crate) marker: Marker,
    intent: Intent,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        live: &'a Live,
        begun: &'a Begun,
        options: &'a Options,
        log: &'a Log<'a>,
        release: ReleaseId,
    ) -> Result<Self> {
        let switch_id = begun.store.catalog.unique()?;
        let artifacts = begun.store.catalog.files_of(release)?.map(place::files);
        Ok(Self {
            live,
            begun,
            options,
            log,
            intent: Intent {
                old_switch: begun.marker.as_ref().map(|m| m.switch_id.clone()),
                release,
                previous: begun.live_release(),
                switch_id: switch_id.clone(),
                detaches: false,
            },
            marker: Marker {
                switch_id,
                release,
                label: options.label.clone(),
                commit: options.commit.clone(),
                artifacts,
                live_at: clock::now(),
            },
        })
    }

    /// Refuses a clone of something else than what this verb began with: it would be kept as a
    /// release that it is not.
    pub(crate) fn is_still_the_same(&self, clone: &Connection) -> Result<()> {
        if marker::read(clone)?.map(|marker| marker.switch_id) != self.intent.old_switch {
            return Err(Error::busy(format!(
                "{} was restored or replaced meanwhile",
                self.live.shown()
            ))
            .state("Live is unchanged")
            .hint("Find out who does that, and start again"));
        }
        if self.intent.previous.is_some() || self.options.dry_run || calls::is_empty(clone)? {
            return Ok(());
        }
        Err(Error::busy(format!(
            "{} was empty, and somebody made something in it meanwhile",
            self.live.shown()
        ))
        .state("Live is unchanged")
        .hint("Start again: what there is now is kept as a release then"))
    }

    /// What was changed of live's schema outside of remy since the release that is live went live,
    /// as a clone of live has it.
    pub(crate) fn drift(&self, clone: &Connection) -> Result<Option<String>> {
        drift::since(
            &self.begun.store.catalog,
            self.begun.release,
            clone,
            self.options,
        )
    }

    /// Refuses the schema of an image where somebody who is to use it could not read it.
    pub(crate) fn may_go_live(&self, image: &Connection) -> Result<()> {
        self.log.progress().may_go_live(|| client::objects(image))
    }

    /// Records the schema that this switch makes live.
    pub(crate) fn record_schema(&self, schema: &str) -> Result<()> {
        match self.options.dry_run {
            true => Ok(()),
            false => self
                .begun
                .store
                .catalog
                .set_schema(self.intent.release, schema),
        }
    }

    /// A file for this switch, besides the clone.
    pub(crate) fn work_path(&self, what: &str) -> PathBuf {
        self.begun
            .store
            .path(&place::beside_work(&self.intent.switch_id, what))
    }

    /// Clones live, blocking nobody.
    pub(crate) fn take(&self) -> Result<Taken<'a>> {
        let path = self.begun.store.path(&self.intent.work());
        self.log.step(
            "clone",
            || {
                let bytes = std::fs::metadata(&self.live.path)
                    .context(|| format!("looking at {}", self.live.shown()))?
                    .len();
                self.room_for(&format!("a clone of {}", self.live.shown()), bytes)
                    .map_err(|e| e.state("Nothing was started"))?;
                Taken::take(self.live, &self.begun.store, &path, self.log.progress())
            },
            |taken| {
                format!(
                    "Cloned live database [{}, {}]",
                    human(taken.bytes()),
                    taken.method()
                )
            },
        )
    }

    /// Refuses, with both numbers, what would leave less free than `margin_bytes`. The store is
    /// beside live, on one disk with it.
    pub(crate) fn room_for(&self, what: &str, bytes: u64) -> Result<()> {
        self.begun
            .store
            .room_for(what, bytes, self.options.margin_bytes)
    }

    /// Takes up what somebody else has made of live's schema.
    pub(crate) fn start_over(&self, taken: &mut Taken<'_>, attempt: u32) -> Result<()> {
        let what = format!(
            "Somebody else changed live's schema meanwhile (attempt {attempt} of {FRESH_STARTS}): starting over"
        );
        self.log.warn("switch", what);
        // After the last attempt nobody looks at the clone any more.
        if attempt < FRESH_STARTS {
            taken.start_over(self.live)
        } else {
            Ok(())
        }
    }

    /// Switches live to an image. `None`: somebody else changed live's schema.
    pub(crate) fn switch(
        &self,
        taken: &mut Taken<'_>,
        image: Image<'_>,
        terms: Terms,
        change: &mut Change<'_>,
    ) -> Result<Option<Switched>> {
        let store = &self.begun.store;
        let mut intended = false;
        let room = |bytes| self.room_for(&format!("the switch of {}", self.live.shown()), bytes);
        let mut intend = || {
            intended = true;
            store.catalog.intend(&self.intent)
        };
        let ended = match &mut taken.by {
            By::Pages(clone) => {
                let (pair, differs) = match image {
                    Image::Clone => (&mut taken.pair, None),
                    Image::Other { pair, differs } => (pair, Some(differs)),
                };
                Switch {
                    live: self.live,
                    clone,
                    pair,
                    differs,
                    cookie: terms.cookie,
                    rehearsed: terms.took,
                    rehearsed_on_clone: true,
                    touched: BTreeSet::new(),
                    looked: Looked::AtAll,
                    image: None,
                    room: &room,
                    options: self.options,
                    log: self.log,
                }
                .run(change, &mut intend)
            }
            By::Backup(copy) => {
                let (clone, image) = match image {
                    Image::Clone => (&mut taken.pair, None),
                    Image::Other { pair, .. } => (&mut taken.pair, Some(pair)),
                };
                // By the backup API every page of the image is written again: into live's WAL, or
                // over what a journal keeps first.
                let path = image.as_ref().map_or(clone.path(), |pair| pair.path());
                room(
                    std::fs::metadata(path)
                        .context(|| format!("looking at {}", path.display()))?
                        .len(),
                )?;
                copy.switch(
                    clone,
                    image,
                    terms,
                    self.options,
                    self.log,
                    change,
                    &mut intend,
                )
            }
        };
        let (switched, live_at) = match ended {
            Ok(Ended::Done { switched, live_at }) => (switched, live_at),
            Ok(Ended::SchemaChanged) => {
                if intended {
                    store.catalog.forget(&self.intent)?;
                }
                return Ok(None);
            }
            Err(Failure { error, undecided }) => {
                let _ = taken.pair.close(); // what it says would hide the reason, and what became of live
                if !undecided {
                    if intended {
                        store.catalog.forget(&self.intent)?;
                    }
                    return Err(error);
                }
                match recover::decide(self.live, store, &self.intent, self.options.lock_timeout()) {
                    Ok(Decided::NotSwitched) => return Err(error),
                    Ok(Decided::Switched) => {
                        return Err(
                            error.state("Live was switched all the same, and the store is settled")
                        );
                    }
                    Err(e) => {
                        return Err(e
                            .more(format!("and before that: {error}"))
                            .state("Whether live was switched is not known yet; the next call of remy decides it"));
                    }
                }
            }
        };
        self.log.note(
            "switch",
            format!(
                "Switched live to release {} (writers waited {} ms; {} pages)",
                self.intent.release, switched.pause_ms, switched.pages_written
            ),
        );
        // Live is switched: what fails from here on is done again by the next verb.
        let settled = self.log.last_step(
            "settle",
            || {
                taken.pair.close()?;
                settle::settle(
                    store,
                    &self.intent,
                    &Marker {
                        live_at,
                        ..self.marker.clone()
                    },
                )?;
                self.checkpoint()
            },
            |()| match self.intent.previous {
                Some(previous) => format!("Kept release {previous} as {}", self.intent.snapshot()),
                None => "Nothing was live before".into(),
            },
        );
        if let Err(e) = settled {
            self.log.warn(
                "settle",
                format!("Live is switched; the store will be mended by the next call of remy: {e}"),
            );
        }
        Ok(Some(switched))
    }

    /// A passive checkpoint on a fresh connection: clients before 3.51.3 have a bug in how they
    /// reset the WAL that a big one invites. It waits for nobody.
    fn checkpoint(&self) -> Result<()> {
        let conn = self.live.connect()?;
        conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .context(|| format!("checkpointing {}", self.live.shown()))
    }

    /// Removes what is left of the work.
    fn clean(&self) -> Result<()> {
        let store = &self.begun.store;
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

impl Drop for Job<'_> {
    /// However a verb ends: a clone that a full disk has stopped must not keep it full. What fails
    /// here is done by the next verb, and says nothing of live.
    fn drop(&mut self) {
        let _ = self.clean();
    }
}
