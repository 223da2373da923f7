//! What a publish and a rollback have in common: a clone is taken, an image made, live switched, the store settled.
use crate::{
    Switched,
    catalog::Intent,
    clock,
    clone::{Clone, Pin},
    error::{Context, Result},
    live::{Access, Live},
    log::Log,
    marker::Marker,
    options::Options,
    pair::Pair,
    recover::{self, Begun, Decided},
    settle,
    store::{Store, human},
    switch::{Ended, Failure, Switch},
};
use rusqlite::Connection;
use std::{path::PathBuf, time::Duration};

/// Runs the change on the image's connection, in one transaction, committed. The second connection reads live.
pub(crate) type Change<'a> = dyn FnMut(&Connection, &Connection) -> Result<()> + 'a;

/// One switch, from the clone to the catalog.
pub(crate) struct Job<'a> {
    pub(crate) live: &'a Live,
    pub(crate) begun: &'a Begun,
    pub(crate) options: &'a Options,
    pub(crate) log: &'a Log<'a>,
    /// What live is to say of itself.
    pub(crate) marker: Marker,
    intent: Intent,
}

/// What live is to become.
pub(crate) enum Image<'a> {
    /// The clone, changed.
    Clone,
    /// Another database, changed, and the pages in which it differs from the clone.
    Other { pair: &'a mut Pair, differs: Vec<u32> },
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
        let artifacts = begun.store.catalog.release(release)?.and_then(|entry| entry.artifacts);
        Ok(Self {
            live,
            begun,
            options,
            log,
            intent: Intent {
                old_switch: begun.marker.as_ref().map(|m| m.switch_id.clone()),
                release,
                previous: begun.release,
                work: format!("work/{switch_id}.db"),
                snapshot: format!("snapshots/{}-{switch_id}.db", begun.release),
                switch_id: switch_id.clone(),
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

    /// A file for this switch, besides the clone.
    pub(crate) fn work_path(&self, what: &str) -> PathBuf {
        self.begun.store.path(&format!("work/{}.{what}.db", self.intent.switch_id))
    }

    /// Clones live, blocking nobody.
    pub(crate) fn take(&self) -> Result<Taken<'a>> {
        let path = self.begun.store.path(&self.intent.work);
        self.log.step(
            "clone",
            || {
                let bytes =
                    std::fs::metadata(&self.live.path).context(|| format!("looking at {}", self.live.shown()))?.len();
                self.begun.store.room_for(
                    &format!("a clone of {}", self.live.shown()),
                    bytes,
                    self.options.margin_bytes,
                )?;
                Taken::take(self.live, &self.begun.store, &path)
            },
            |taken| format!("Cloned live database [{}, {}]", human(taken.bytes()), taken.method()),
        )
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
                copy.switch(clone, image, terms, self.options, self.log, change, &mut intend)
            }
        };
        let switched = match ended {
            Ok(Ended::Done(switched)) => switched,
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
                        return Err(error.state("Live was switched all the same, and the store is settled"));
                    }
                    Err(e) => {
                        return Err(
                            e.state("Whether live was switched is not known yet; the next call of remy decides it")
                        );
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
                settle::settle(store, &self.intent, &self.marker)?;
                self.checkpoint()
            },
            |()| format!("Kept release {} as {}", self.intent.previous, self.intent.snapshot),
        );
        if let Err(e) = settled {
            self.log
                .warn("settle", format!("Live is switched; the store will be mended by the next call of remy: {e}"));
        }
        Ok(Some(switched))
    }

    /// A passive checkpoint on a fresh connection: clients before 3.51.3 have a bug in how they reset the WAL that a big
    /// one invites. It waits for nobody.
    fn checkpoint(&self) -> Result<()> {
        let conn = self.live.connect()?;
        conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .context(|| format!("checkpointing {}", self.live.shown()))
    }

    /// Removes what is left of the work.
    fn clean(&self) -> Result<()> {
        let store = &self.begun.store;
        // A switch that is not recorded as ended needs its clone: recovery removes it.
        if store.catalog.open_intents()?.iter().any(|intent| intent.switch_id == self.intent.switch_id) {
            return Ok(());
        }
        store.remove_database(&store.path(&self.intent.work))?;
        store.remove_database(&self.work_path("plain"))?;
        store.remove_database(&self.work_path("image"))
    }
}

impl Drop for Job<'_> {
    /// However a verb ends: a clone that a full disk has stopped must not keep it full. What fails here is done by the next
    /// verb, and says nothing of live.
    fn drop(&mut self) {
        let _ = self.clean();
    }
}

impl<'a> Taken<'a> {
    pub(crate) fn take(live: &'a Live, store: &Store, path: &std::path::Path) -> Result<Self> {
        let by = match live.access {
            Access::Pages => {
                let pin = Pin::new(live)?;
                let at = pin.begin()?;
                let clone = Clone::take(live, &pin, at, path)?;
                pin.end();
                clone.put_into_wal_mode()?;
                By::Pages(clone)
            }
            Access::Backup => By::Backup(crate::backup::Copy::take(live, store, path)?),
        };
        Ok(Self { pair: Pair::new(path), by })
    }

    /// Brings the clone up to date, without what was done to it.
    pub(crate) fn start_over(&mut self, live: &Live) -> Result<()> {
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
                let page_size = self.pair.open(live)?.query_row("PRAGMA page_size", [], |row| row.get(0))?;
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
