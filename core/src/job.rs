//! What a publish and a rollback have in common: a clone is taken, an image made, live switched,
//! the store settled.
use crate::{
    Switched,
    catalog::Intent,
    clock,
    clone::{Clone, Pin},
    drift,
    error::{Context, Error, Result},
    live::{Access, Live},
    log::Log,
    marker::{self, Marker},
    options::Options,
    pair::Pair,
    place,
    progress::Progress,
    recover::{self, Begun, Decided},
    settle, sqlite,
    store::{Store, human},
    switch::{Ended, Failure, Switch},
};
use rusqlite::Connection;
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// How often a verb begins with the schema anew because somebody else changes live's.
pub(crate) const FRESH_STARTS: u32 = 3;

/// Runs the change on the image's connection, in one transaction, committed. The second connection
/// reads live; the pages are those that others have committed since the change was run last, where
/// that is known. Gives what it has looked at.
pub(crate) type Change<'a> =
    dyn FnMut(&Connection, &Connection, Option<&BTreeSet<u32>>) -> Result<Looked> + 'a;

/// What a change has looked at of all that it has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// All of it: what it has not read does not matter to it.
    AtAll,
    /// Of some tables only at rows that others had written: any commit may matter to it.
    AtSome,
}

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

/// What live is to become.
pub(crate) enum Image<'a> {
    /// The clone, changed.
    Clone,
    /// Another database, changed, and the pages in which it differs from the clone.
    Other {
        pair: &'a mut Pair,
        differs: Vec<u32>,
    },
}

/// What a rehearsal found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Live's schema cookie, that the change was made for.
    pub(crate) cookie: i64,
    /// How long the change took.
    pub(crate) took: Duration,
}

/// A clone of live that is at work.
pub(crate) struct Taken<'a> {
    /// The clone, and the WAL of what is done to it.
    pub(crate) pair: Pair,
    pub(crate) by: By<'a>,
}

/// How a clone follows live.
pub(crate) enum By<'a> {
    Pages(Clone),
    Backup(crate::backup::Copy<'a>),
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        live: &'a Live,
        begun: &'a Begun,
        options: &'a Options,
        log: &'a Log<'a>,
        release: i64,
    ) -> Result<Self> {
        let switch_id: String = begun.store.catalog.unique()?;
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
        if self.intent.previous.is_some() || self.options.dry_run || sqlite::is_empty(clone)? {
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
            .path(&place::work(&format!("{}.{what}", self.intent.switch_id)))
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

impl<'a> Taken<'a> {
    pub(crate) fn take(
        live: &'a Live,
        store: &Store,
        path: &std::path::Path,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let by = match live.access {
            Access::Pages => {
                let pin = Pin::new(live)?;
                let at = pin.begin()?;
                let clone = Clone::take(live, &pin, at, path)?;
                clone.put_into_wal_mode()?;
                By::Pages(clone)
            }
            Access::Backup => By::Backup(crate::backup::Copy::take(live, store, path, &|| {
                progress.check()
            })?),
        };
        Ok(Self {
            pair: Pair::new(path),
            by,
        })
    }

    /// Brings the clone up to date, without what was done to it.
    fn start_over(&mut self, live: &Live) -> Result<()> {
        self.pair.discard()?;
        match &mut self.by {
            By::Pages(clone) => {
                let pin = Pin::new(live)?;
                let now = pin.begin()?;
                let behind = clone.behind(live, now, false)?;
                clone.catch_up(live, &pin, now, &behind)?;
                pin.end();
                clone.put_into_wal_mode()
            }
            By::Backup(copy) => copy.again(&mut self.pair),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match &self.by {
            By::Pages(clone) => clone.bytes(),
            By::Backup(copy) => copy.bytes(),
        }
    }

    pub(crate) fn page_size(&mut self, live: &Live) -> Result<u32> {
        match &self.by {
            By::Pages(clone) => Ok(clone.page_size),
            By::Backup(_) => {
                let page_size = self
                    .pair
                    .open(live)?
                    .query_row("PRAGMA page_size", [], |row| row.get(0))?;
                self.pair.close()?;
                Ok(page_size)
            }
        }
    }

    pub(crate) fn method(&self) -> &'static str {
        match &self.by {
            By::Pages(clone) => clone.method,
            By::Backup(_) => "backup",
        }
    }
}
