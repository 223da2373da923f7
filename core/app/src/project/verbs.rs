//! The verbs on a live database, and those on a release's files.

use super::{
    folder::{CheckedOut, Follow, Project, Result},
    live::May,
};
use crate::{AppError, files};
use remy_db::{
    Cloned, Database, Debug, Detached, Dumped, Error, Line, OnReturned, Options, Outcome, Pruned,
    Release, ReleaseId, Remy, State, Statement, Target, VerbName, Verified, remedy,
};
use std::path::{Path, PathBuf};

impl Project {
    /// What a publish would do to live as it is now.
    pub fn diff(&self, schema: Option<&str>, options: &Options) -> Result<Vec<Statement>> {
        let source = self.source(schema)?;
        let (path, options) = self.declared(&source, options)?;
        self.on_live(May::Try { create: false }, |remy| {
            Ok(remy.diff(&path, &options)?)
        })
    }

    /// What would turn what the first of two releases was, or live, into the second, or into what is
    /// declared.
    pub fn diff_between(
        &self,
        (from, to): (Option<ReleaseId>, Option<ReleaseId>),
        schema: Option<&str>,
        options: &Options,
    ) -> Result<Vec<Statement>> {
        if let Some(to) = to {
            let options = self.settled(options);
            return self.on_it(|remy| remy.diff_between(from, &Target::Release(to), &options));
        }
        let (path, options) = self.declared(&self.source(schema)?, options)?;
        self.on_it(|remy| remy.diff_between(from, &Target::Schema(&path), &options))
    }

    /// Runs every statement of `sql` on live, which is only read, or on another of its databases.
    pub fn sql(
        &self,
        (database, sql): (&Database, &str),
        options: &Options,
        follow: Follow<'_>,
        on_returned: OnReturned<'_>,
    ) -> Result<()> {
        let options = self.settled(options);
        self.on_it(|remy| remy.sql(database, sql, &options, follow.quietly(), on_returned))
    }

    /// Makes a kept or staged release live; without a number the newest staged one.
    pub fn promote(
        &self,
        release: Option<ReleaseId>,
        options: &Options,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let options = self.settled(options);
        self.on_it(|remy| follow.with(|progress| remy.promote(release, &options, progress)))
    }

    /// Makes an earlier release live again.
    pub fn rollback(
        &self,
        release: Option<ReleaseId>,
        options: &Options,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let options = self.settled(options);
        self.on_it(|remy| follow.with(|progress| remy.rollback(release, &options, progress)))
    }

    /// The history, newest first.
    pub fn releases(&self) -> Result<Vec<Release>> {
        self.on_it(Remy::releases)
    }

    /// The statements that make the schema of live anew, or that of a release.
    pub fn schema(&self, release: Option<ReleaseId>) -> Result<Dumped> {
        self.on_it(|remy| remy.schema(release))
    }

    /// The log of a release, or of the newest one.
    pub fn build_log(&self, release: Option<ReleaseId>) -> Result<Vec<Line>> {
        self.on_it(|remy| remy.build_log(release))
    }

    /// Copies live to `path`, which must not be there.
    pub fn clone_to(&self, path: &Path, follow: Follow<'_>) -> Result<Cloned> {
        self.on_it(|remy| remy.clone_to_with(path, follow.quietly()))
    }

    /// Drops old snapshots.
    pub fn prune(
        &self,
        days: Option<u32>,
        options: &Options,
        follow: Follow<'_>,
    ) -> Result<Pruned> {
        self.on_it(|remy| remy.prune_with(days, options, follow.quietly()))
    }

    /// Reads everything again.
    pub fn verify(&self, options: &Options, follow: Follow<'_>) -> Result<Verified> {
        let options = self.settled(options);
        self.on_it(|remy| follow.with(|progress| remy.verify_with(&options, progress)))
    }

    /// Drops remy's tables from live.
    pub fn detach(&self) -> Result<Detached> {
        self.on_it(Remy::detach)
    }

    /// What remy runs on.
    pub fn debug(&self) -> Result<Debug> {
        self.on_it(Remy::debug)
    }

    /// The files of a release, or only those at or below a path.
    ///
    /// Fails with `not_found` where there is no such release, none of its files, or no such path.
    pub fn files(&self, release: ReleaseId, path: Option<&str>) -> Result<Vec<files::Listed>> {
        let folder = self.folder(release)?;
        let found = files::list_all(&folder, path)?;
        match path {
            Some(path) if found.is_empty() => Err(no_file(release, path)),
            _ => Ok(found),
        }
    }

    /// What a file of a release holds.
    pub fn read_file(&self, release: ReleaseId, path: &str) -> Result<Vec<u8>> {
        files::read(&self.folder(release)?, path)?.ok_or_else(|| no_file(release, path))
    }

    /// Copies the files of a release into a folder that is absent or empty.
    pub fn checkout(
        &self,
        release: ReleaseId,
        dir: &Path,
        follow: Follow<'_>,
    ) -> Result<CheckedOut> {
        let files = files::checkout(&self.folder(release)?, dir, follow.cancel())?;
        Ok(CheckedOut {
            release,
            dir: dir.to_owned(),
            files,
        })
    }

    /// The folder of a release's files.
    fn folder(&self, release: ReleaseId) -> Result<PathBuf> {
        self.on_live(May::Not, |remy| {
            let store = PathBuf::from(remy.debug()?.store);
            files::folder_of(&store, &remy.releases()?, release)
        })
    }

    /// Runs `verb` on live, which has to be there.
    pub(super) fn on_it<T>(&self, verb: impl FnOnce(&Remy) -> remy_db::Result<T>) -> Result<T> {
        self.on_live(May::Not, |remy| Ok(verb(remy)?))
    }
}

fn no_file(release: ReleaseId, path: &str) -> AppError {
    Error::not_found(format!("release {release} has no file {path}"))
        .state(State::NothingDone)
        .hint(remedy![VerbName::Files.of(release), " lists them"])
        .object(path)
        .into()
}
