//! Dev sessions: the folder's declared tables and its methods, tried on a database that is not live.

use super::{
    folder::{Follow, Project, Result},
    live::May,
};
use crate::AppError;
use remy_db::{Dev, Options, Part, Remedy, Remy, Synced, VerbName};

/// The session that is meant where none is named.
pub const DEFAULT: &str = "default";

impl Project {
    /// Takes a copy of live for a dev session: an empty one before the first publish.
    pub fn dev_start(&self, name: &str, follow: Follow<'_>) -> Result<Dev> {
        self.on_live(May::Make { create: false }, |remy| {
            Ok(remy.dev_start_with(name, follow.quietly())?)
        })
    }

    /// Makes the schema of a dev session what the folder declares.
    ///
    /// Fails with `invalid_argument` where it declares nothing, and as a publish does; the session is
    /// as it was then.
    pub fn dev_sync(&self, name: &str, options: &Options, follow: Follow<'_>) -> Result<Synced> {
        let (path, options) = self.declared(&self.source(None)?, options)?;
        self.on_it(|remy| remy.dev_sync(name, &path, &options, follow.quietly()))
    }

    /// Makes the database of a dev session as live is now, and its schema what the folder declares,
    /// where it declares one.
    ///
    /// What is declared wrongly is told before. Where it cannot be made of what live has, the session is
    /// as live is.
    pub fn dev_reset(&self, name: &str, follow: Follow<'_>) -> Result<Dev> {
        let place = self.place();
        let declares = place.root.is_some() || place.schema.is_some();
        let declared = declares.then(|| self.declared(&self.source(None)?, &Options::default()));
        let declared = declared.transpose()?;
        let dev = self.on_it(|remy| remy.dev_reset_with(name, follow.quietly()))?;
        let Some((path, options)) = declared else {
            return Ok(dev);
        };
        let synced = self.on_it(|remy| remy.dev_sync(name, &path, &options, follow.quietly()));
        match synced {
            Ok(synced) => Ok(synced.dev),
            Err(e) => Err(for_a_sync(e.telling(|detail| {
                let now = format!(
                    "The session {name} is reset: it has the rows and the schema of live, and not the schema that is declared"
                );
                detail.state = Some(now.into());
            }))),
        }
    }

    /// Empties the tables of a dev session.
    pub fn dev_truncate(&self, name: &str, options: &Options, follow: Follow<'_>) -> Result<Dev> {
        let options = self.settled(options);
        self.on_it(|remy| remy.dev_truncate_with(name, &options, follow.quietly()))
    }

    /// Ends a dev session and removes its database.
    pub fn dev_stop(&self, name: &str) -> Result<Dev> {
        self.on_it(|remy| remy.dev_stop(name))
    }

    /// A dev session, which has to be running.
    pub fn dev_session(&self, name: &str) -> Result<Dev> {
        self.on_it(|remy| remy.dev_session(name))
    }

    /// The dev sessions, newest first.
    pub fn dev_list(&self) -> Result<Vec<Dev>> {
        self.on_it(Remy::dev_list)
    }
}

/// Leave, and what else a sync asks for, is for a sync to take, also where another verb has met it.
pub(super) fn for_a_sync(e: AppError) -> AppError {
    e.telling(|detail| {
        let Some(hint) = &detail.hint else {
            return;
        };
        let is_to_take = |part: &Part| {
            matches!(
                part,
                Part::Allow { .. } | Part::Rename { .. } | Part::Option { .. }
            )
        };
        if hint.parts().iter().any(is_to_take) {
            let more = [
                Part::from("; "),
                VerbName::DevSync.into(),
                " takes it".into(),
            ];
            detail.hint = Some(Remedy::new(hint.parts().iter().cloned().chain(more)));
        }
    })
}
