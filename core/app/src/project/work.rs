//! A folder that a release is made in.

use super::{
    folder::{Project, Result},
    progressed::Progressed,
};
use crate::{
    build::{
        Cancel,
        kept::Kept,
        log::Event,
        release::{Build, Built},
    },
    package::{Package, Unpacked},
    place,
};
use std::path::{Path, PathBuf};

/// A folder that is worked in, gone when this is. Where it cannot be removed, what came of the verb is
/// what has to be told.
pub(super) struct Work<'a> {
    project: &'a Project,
    /// The app that it is for; nothing for a package.
    root: Option<&'a Path>,
    folder: PathBuf,
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        // As whose it is.
        if let Ok(_acting) = self.project.act(self.root) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Project {
    /// Builds the app in `root`. Its folder is there as long as the first of the results.
    pub(super) fn built<'a>(
        &'a self,
        root: &'a Path,
        build: Build,
        progress: &Progressed<'_>,
    ) -> Result<(Work<'a>, Built)> {
        self.built_with(&mut Kept::default(), root, build, progress)
    }

    /// The same, with what an earlier build has left at hand.
    pub(super) fn built_with<'a>(
        &'a self,
        kept: &mut Kept,
        root: &'a Path,
        build: Build,
        progress: &Progressed<'_>,
    ) -> Result<(Work<'a>, Built)> {
        let _acting = self.act(Some(root))?;
        let work = Work {
            project: self,
            root: Some(root),
            folder: place::build_folder(root)?,
        };
        let build = Build {
            out_dir: work.folder.join("out"),
            ..build
        };
        let tell = |event: &Event<'_>| progress.tell(event);
        let built = build.run_with(kept, &tell, progress.follow.cancel())?;
        Ok((work, built))
    }

    /// Unpacks a package, which is read as whoever calls. Its folder is there as long as the first of
    /// the results.
    pub(super) fn unpacked(&self, file: &str, cancel: Cancel<'_>) -> Result<(Work<'_>, Unpacked)> {
        let package = Package::open(file)?;
        let _acting = self.act(None)?;
        let unpacked = package.unpack(cancel)?;
        let work = Work {
            project: self,
            root: None,
            folder: unpacked.work.clone(),
        };
        Ok((work, unpacked))
    }
}
