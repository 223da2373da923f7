//! Where things are: the folder of an app, its live database and that one's store, and the folder
//! of what remy keeps beside an app.

use crate::{
    FILE,
    build::{
        Result,
        disk::{self, At},
    },
    work,
};
use remy_db::{
    Error, State,
    internals::{owner, store::CATALOG},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The settings of a folder, beside the manifest or alone.
const SETTINGS: &str = "remy.json";
/// The folder of what remy itself keeps beside an app.
const OWN: &str = ".remy";

/// A folder that is published, and its live database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The folder of the manifest, if there is one.
    pub root: Option<PathBuf>,
    /// The folder that everything is relative to: the manifest's, or the one that was named.
    pub base: PathBuf,
    /// The live database, without symlinks, whether it is there or not.
    pub path: PathBuf,
    /// What named it.
    pub from: From,
    /// What a publish declares where nothing is named.
    pub schema: Option<PathBuf>,
    /// The libraries that the schema needs.
    pub extensions: Vec<PathBuf>,
    /// Of the schedules of cron jobs, by its name among the IANA's; UTC, where none is.
    #[serde(default)]
    pub timezone: Option<String>,
    /// When a method's write is answered.
    #[serde(default)]
    pub durability: Durability,
}

/// What is left of a write that was answered when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// All of it: the answer comes after the disk has it.
    #[default]
    Full,
    /// The last writes may be gone, and the database is whole: the answer waits for no disk. A
    /// process that dies loses nothing.
    Normal,
}

/// What named a live database. The first that does is what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// The caller.
    #[serde(rename = "db")]
    Caller,
    /// The environment.
    #[serde(rename = "REMY_DB")]
    Environment,
    /// The settings.
    #[serde(rename = "remy.json")]
    Settings,
    /// Nobody.
    #[serde(rename = "default")]
    Default,
}

/// What the caller says of a place.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The live database.
    pub db: Option<PathBuf>,
    /// The environment variable `REMY_DB`.
    pub environment: Option<PathBuf>,
    /// The manifest has to be in the folder itself.
    pub here: bool,
}

/// Looks for the manifest, in `dir` or above it, and for the live database.
///
/// Fails with `not_found` where a manifest has to be and is not, with `invalid_argument` for wrong
/// settings and for a manifest or settings that somebody else put there, and with `io` where
/// settings cannot be read.
pub fn find(dir: &Path, named: &Named) -> Result<Place> {
    let start = disk::lexical(dir);
    let root = match named.here {
        true => Some(manifest_in(&start)?),
        false => manifest_above(&start)?,
    };
    let base = root.as_ref().unwrap_or(&start);
    let beside = base.join(SETTINGS);
    let folder = if beside.exists() { base } else { &start };
    let settings = folder.join(SETTINGS);
    if !named.here && settings.exists() {
        of_somebody_known(&settings, &start)?;
    }
    let settings = read_settings(&settings)?;
    let given = |path: &Option<PathBuf>| {
        let path = path.as_ref().filter(|path| !path.as_os_str().is_empty());
        path.map(|path| disk::lexical(path))
    };
    let of_settings = |path: &PathBuf| disk::lexical(&folder.join(path));
    let (path, from) = if let Some(path) = given(&named.db) {
        (path, From::Caller)
    } else if let Some(path) = given(&named.environment) {
        (path, From::Environment)
    } else if let Some(path) = &settings.db {
        (of_settings(path), From::Settings)
    } else {
        (base.join(OWN).join("live.db"), From::Default)
    };
    Ok(Place {
        base: base.clone(),
        path: without_links(&path),
        from,
        schema: settings.schema.as_ref().map(of_settings),
        extensions: settings.extensions.iter().map(of_settings).collect(),
        timezone: settings.timezone,
        durability: settings.durability,
        root,
    })
}

fn manifest_above(start: &Path) -> Result<Option<PathBuf>> {
    let found = start.ancestors().find(|it| it.join(FILE).exists());
    let Some(root) = found else {
        return Ok(None);
    };
    of_somebody_known(&root.join(FILE), start)?;
    if root != start {
        of_somebody_known(root, start)?;
    }
    Ok(Some(root.to_owned()))
}

/// What an app declares, and the libraries that settings name, are run by whoever publishes. Nobody
/// has asked for what only lies there, such as in the folder for temporary files: it has to be of
/// this user, of root, or of the owner of the folder that this user is in.
fn of_somebody_known(path: &Path, start: &Path) -> Result<()> {
    let owner = |path: &Path| -> Result<u32> {
        let found = fs::metadata(path).at("looking at", path)?;
        Ok(found.uid())
    };
    let whose = owner(path)?;
    if [0, rustix::process::geteuid().as_raw(), owner(start)?].contains(&whose) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "{} belongs to another user (uid {whose})",
        path.display()
    ))
    .state(State::NothingDone)
    .hint("Name the folder of the app, if it is what is meant, or remove it")
    .object(path.display().to_string())
    .into())
}

fn manifest_in(dir: &Path) -> Result<PathBuf> {
    if dir.join(FILE).exists() {
        return Ok(dir.to_owned());
    }
    Err(
        Error::not_found(format!("there is no {FILE} in {}", dir.display()))
            .state(State::NothingDone)
            .hint("Name the folder of an app, or leave it out")
            .object(dir.display().to_string())
            .into(),
    )
}

#[derive(Default)]
struct Settings {
    db: Option<PathBuf>,
    schema: Option<PathBuf>,
    extensions: Vec<PathBuf>,
    timezone: Option<String>,
    durability: Durability,
}

fn read_settings(file: &Path) -> Result<Settings> {
    let told = file.display();
    let text = match fs::read_to_string(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(e) => {
            return Err(
                Error::io(format!("{told} cannot be read: {}", disk::reason(&e)))
                    .state(State::NothingDone)
                    .hint("Put it right, or remove it")
                    .object(told.to_string())
                    .into(),
            );
        }
        Ok(text) => text,
    };
    settings_of(&text).map_err(|what| {
        Error::invalid_argument(format!("{told} {what}"))
            .state(State::NothingDone)
            .hint("It is one JSON object with \"db\" and \"schema\", each a path, and \"extensions\", a list of paths, all relative to it, \"timezone\", such as \"Europe/Berlin\", and \"durability\", \"full\" or \"normal\"")
            .object(told.to_string())
            .into()
    })
}

fn settings_of(text: &str) -> Result<Settings, String> {
    let json: Value = serde_json::from_str(text).map_err(|e| format!("is not JSON: {e}"))?;
    let Value::Object(json) = json else {
        return Err("is not an object".to_owned());
    };
    let mut settings = Settings::default();
    for (key, value) in &json {
        let no_path = || format!("has no path at {}", Value::from(key.as_str()));
        let path = |value: &Value| match value.as_str() {
            None | Some("") => Err(no_path()),
            Some(path) => Ok(PathBuf::from(path)),
        };
        match key.as_str() {
            // For editors, which check the file by it.
            "$schema" => {}
            "db" => settings.db = Some(path(value)?),
            "schema" => settings.schema = Some(path(value)?),
            "extensions" => {
                let Value::Array(all) = value else {
                    return Err("has no list at \"extensions\"".to_owned());
                };
                settings.extensions = all.iter().map(path).collect::<Result<_, _>>()?;
            }
            "timezone" => match value.as_str() {
                None | Some("") => return Err("has no name at \"timezone\"".to_owned()),
                Some(name) => settings.timezone = Some(name.to_owned()),
            },
            "durability" => {
                settings.durability = Durability::deserialize(value).map_err(|_| {
                    "has neither \"full\" nor \"normal\" at \"durability\"".to_owned()
                })?;
            }
            key => return Err(format!("has an unknown key {}", Value::from(key))),
        }
    }
    Ok(settings)
}

/// The path without symlinks, also of a file that is not there yet.
fn without_links(path: &Path) -> PathBuf {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(folder), Some(name)) => without_links(folder).join(name),
        _ => path.to_owned(),
    }
}

/// The folder for what remy keeps beside an app, which nobody else reads and git does not see. Made,
/// where it is not there.
///
/// Fails with `invalid_argument` where others than its owner write to it: what is kept there becomes
/// part of a release.
pub fn own_folder(base: &Path) -> Result<PathBuf> {
    let folder = base.join(OWN);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.at("making the folder", &folder)?,
    }
    of_somebody_known(&folder, base)?;
    let found = fs::metadata(&folder).at("looking at", &folder)?;
    let refuse = |what: String, hint: String| {
        let error = Error::invalid_argument(what)
            .state(State::NothingDone)
            .hint(hint);
        Err(error.object(folder.display().to_string()).into())
    };
    if let Some(who) = owner::others_who_write(&folder).at("looking at", &folder)? {
        let what = format!("{who} may write to {}", folder.display());
        return refuse(
            what,
            "Look at what is in it, and set its mode to 700".to_owned(),
        );
    }
    let me = owner::user();
    if owner::becoming().is_some() && found.uid() != me {
        let (shown, its, mine) = (folder.display(), owner::name(found.uid()), owner::name(me));
        return refuse(
            format!("{shown} belongs to {its}, and root builds this app as {mine}"),
            format!(
                "Give it to them (chown -R {me} {shown}), or remove it where nothing but a cache is in it"
            ),
        );
    }
    let ignore = folder.join(".gitignore");
    if !disk::exists(&ignore) {
        fs::write(&ignore, "*\n").at("writing", &ignore)?;
    }
    Ok(folder)
}

/// A folder for one build of the app in `base`, which its caller removes. What builds left that were
/// killed goes first.
pub fn build_folder(base: &Path) -> Result<PathBuf> {
    Ok(work::folder_of_ours(&own_folder(base)?, "build-")?.keep())
}

/// The store of a live database, where it has releases.
pub fn store_beside(live: &Path) -> Option<PathBuf> {
    let mut store = live.as_os_str().to_owned();
    store.push("-remy");
    let store = PathBuf::from(store);
    let has_snapshots =
        || fs::read_dir(store.join("snapshots")).is_ok_and(|mut all| all.next().is_some());
    (is_there(&store.join(CATALOG)) || has_snapshots()).then_some(store)
}

/// Whether something is at a path. What may not be looked at is there: who opens it is told why they
/// may not.
pub fn is_there(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(_) => true,
        Err(e) => !matches!(
            e.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ),
    }
}

impl Place {
    /// The live database where it is there, else the nearest folder above it that is: whose this is,
    /// the database is, or will be.
    pub(crate) fn nearest(&self) -> &Path {
        let mut all = self.path.ancestors();
        all.find(|path| is_there(path)).unwrap_or(&self.path)
    }

    /// Makes an empty live database, which must not be there: a file of no bytes is one to SQLite.
    ///
    /// Root makes it for the owner of the folder that it is put into: one of root's in a folder of
    /// somebody else would be refused.
    pub fn make(&self) -> Result<()> {
        let path = &self.path;
        let _acting = owner::act_as_owner_of(self.nearest())?;
        if self.from == From::Default {
            own_folder(&self.base)?;
        }
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let file = made.at("making", path)?;
        file.sync_all().at("writing", path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt, chown},
    };

    /// Gives a file to another user. Not, where this one has no right to do that.
    fn give(path: &Path) -> bool {
        let is_given = chown(path, Some(65534), None).is_ok();
        if !is_given {
            println!("NOT COVERED: another user's file, without the right to make one");
        }
        is_given
    }

    #[test]
    fn a_manifest_or_settings_that_another_user_put_there_are_not_taken() {
        for (file, text) in [(FILE, "{}"), (SETTINGS, r#"{"extensions": ["x.so"]}"#)] {
            let top = tempfile::tempdir().unwrap();
            let below = top.path().join("mine");
            fs::create_dir(&below).unwrap();
            let theirs = top.path().join(file);
            fs::write(&theirs, text).unwrap();
            let found = |dir: &Path, here| {
                let named = Named {
                    here,
                    ..Named::default()
                };
                find(dir, &named)
            };
            assert!(found(top.path(), false).is_ok());
            if !give(&theirs) {
                return;
            }
            let is_manifest = file == FILE;
            let told = found(top.path(), false).unwrap_err().to_string();
            assert!(
                told.contains("belongs to another user (uid 65534)"),
                "{told}"
            );
            // Settings are looked for beside a manifest, or in the folder itself.
            assert_eq!(found(&below, false).is_err(), is_manifest);
            // Who names it, or is in a folder of its owner's, means it.
            assert_eq!(found(top.path(), true).is_ok(), is_manifest);
            give(top.path());
            assert!(found(top.path(), false).is_ok());
        }
    }

    #[test]
    fn what_others_write_to_is_no_place_to_keep_anything() {
        let base = tempfile::tempdir().unwrap();
        let own = base.path().join(OWN);
        let refusal = || own_folder(base.path()).unwrap_err().to_string();
        assert_eq!(own_folder(base.path()).unwrap(), own);
        assert_eq!(own.metadata().unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&own, Permissions::from_mode(0o777)).unwrap();
        assert!(refusal().contains("everybody may write to"));
        // Others than its owner are of the group, or may be.
        fs::set_permissions(&own, Permissions::from_mode(0o770)).unwrap();
        if chown(&own, None, Some(65533)).is_ok() {
            assert!(refusal().contains("the group 65533 may write to"));
            // Also where the sticky bit is set: what is not there yet, anybody puts there.
            fs::set_permissions(&own, Permissions::from_mode(0o1770)).unwrap();
            assert!(refusal().contains("the group 65533 may write to"));
            // Each user may have a group of their own, which root has everywhere.
            chown(&own, None, Some(0)).unwrap();
            fs::set_permissions(&own, Permissions::from_mode(0o770)).unwrap();
            assert!(own_folder(base.path()).is_ok());
        } else {
            println!("NOT COVERED: a group's folder, without the right to make one");
        }
        fs::set_permissions(&own, Permissions::from_mode(0o755)).unwrap();
        assert!(own_folder(base.path()).is_ok());
        if give(&own) {
            assert!(refusal().contains("belongs to another user"));
        }
    }

    #[test]
    fn settings_are_held_to_what_they_may_say() {
        let wrong = [
            ("{", "is not JSON: "),
            ("[]", "is not an object"),
            (r#"{"database": "x.db"}"#, "has an unknown key \"database\""),
            (r#"{"db": 7}"#, "has no path at \"db\""),
            (r#"{"db": ""}"#, "has no path at \"db\""),
            (r#"{"extensions": "x"}"#, "has no list at \"extensions\""),
            (r#"{"timezone": 1}"#, "has no name at \"timezone\""),
            (
                r#"{"durability": "off"}"#,
                "has neither \"full\" nor \"normal\" at \"durability\"",
            ),
            (r#"{"extensions": [""]}"#, "has no path at \"extensions\""),
        ];
        for (text, expected) in wrong {
            let told = settings_of(text).err().unwrap();
            assert!(told.starts_with(expected), "{text}: {told}");
        }
        assert!(
            settings_of(r#"{"$schema": 1, "db": "a", "extensions": [], "timezone": "UTC"}"#)
                .is_ok()
        );
    }
}
