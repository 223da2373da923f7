//! The one error of remy: a stable code, and a message that says what happened, on what, what state
//! everything is in now, and what to do.

use crate::base::{remedy::Remedy, stranger::Stranger, words::UnknownWord};
use std::{any::Any, fmt};

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What state things are in once something has failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", from = "String")]
#[non_exhaustive]
pub enum State {
    /// It failed before there was anything to do.
    NothingDone,
    /// No row and no schema was touched.
    NothingChanged,
    /// It failed before there was anything to undo.
    NothingStarted,
    /// What the application has open is as it was.
    LiveUnchanged,
    /// As [`State::LiveUnchanged`], and nothing stands in the history.
    NoReleaseMade,
    /// The clone is thrown away.
    OnlyCloneChanged,
    /// The database of a dev session is as it was.
    SessionUnchanged,
    /// It failed before it came to the database.
    DatabaseUnchanged,
    /// What is so in one place alone.
    Other(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingDone => "Nothing was done",
            Self::NothingChanged => "Nothing was changed",
            Self::NothingStarted => "Nothing was started",
            Self::LiveUnchanged => "Live is unchanged",
            Self::NoReleaseMade => "Live is unchanged; no release was made",
            Self::OnlyCloneChanged => "Only the clone was changed",
            Self::SessionUnchanged => "The session is as it was",
            Self::DatabaseUnchanged => "The database is as it was",
            Self::Other(state) => state,
        })
    }
}

impl From<State> for String {
    fn from(state: State) -> Self {
        state.to_string()
    }
}

impl From<&str> for State {
    fn from(state: &str) -> Self {
        Self::Other(state.to_owned())
    }
}

impl From<String> for State {
    fn from(state: String) -> Self {
        Self::Other(state)
    }
}

/// The parts of a message. `Display` joins those that are there.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub struct Detail {
    /// What happened, on which object or path; no full stop at the end.
    pub what: String,
    /// What state everything is in now.
    pub state: Option<State>,
    /// What to do next.
    pub hint: Option<Remedy>,
    /// The object it is about: a table, a column, a file.
    pub object: Option<String>,
    /// The statement that failed.
    pub sql: Option<String>,
    /// Whether it is that the disk has no room left. The message says so.
    #[serde(skip)]
    pub(crate) full: bool,
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(state) = &self.state {
            write!(f, ". {state}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, ". {hint}")?;
        }
        Ok(())
    }
}

macro_rules! errors {
    ($($(#[$doc:meta])* $case:ident, $make:ident, $code:literal;)*) => {
        /// Why a call failed. [`Error::code`] is stable, and the same in every face.
        #[derive(Debug, Clone, thiserror::Error)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* #[error("{0}")] $case(Box<Detail>),)*
        }

        impl Error {
            $($(#[$doc])* pub fn $make(what: impl Into<String>) -> Self {
                Self::$case(Box::new(Detail { what: what.into(), ..Detail::default() }))
            })*

            /// The stable code: what programs should look at.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$case(_) => $code,)* }
            }

            /// The error of a code and the parts of its message, as another process of remy's has
            /// them. `internal` where there is no such code.
            pub fn of(code: &str, detail: Detail) -> Self {
                let detail = Box::new(detail);
                match code { $($code => Self::$case(detail),)* _ => Self::Internal(detail) }
            }

            /// The parts of the message.
            pub fn detail(&self) -> &Detail {
                match self { $(Self::$case(detail) => detail,)* }
            }

            fn detail_mut(&mut self) -> &mut Detail {
                match self { $(Self::$case(detail) => detail,)* }
            }
        }

        /// Every code, in the order of the enum.
        pub const CODES: &[&str] = &[$($code),*];
    };
}

errors! {
    /// An argument or option is wrong, or the call is made where it cannot be.
    InvalidArgument, invalid_argument, "invalid_argument";
    /// The declared schema (or set of effects) does not parse, or contradicts itself.
    SchemaInvalid, schema_invalid, "schema_invalid";
    /// The change is one that cannot be made.
    UnsupportedChange, unsupported_change, "unsupported_change";
    /// One thing goes and another comes: it has to be said whether that is a rename.
    AmbiguousRename, ambiguous_rename, "ambiguous_rename";
    /// The change would alter or lose values, and nobody has said that it may.
    LossyChange, lossy_change, "lossy_change";
    /// A statement failed on the clone.
    DdlFailed, ddl_failed, "ddl_failed";
    /// The changed clone did not pass a check.
    CheckFailed, check_failed, "check_failed";
    /// Somebody else holds a lock, or changes what this call wants to change.
    Busy, busy, "busy";
    /// The switch would have held writers up for longer than `max_pause_ms`.
    PauseExceeded, pause_exceeded, "pause_exceeded";
    /// This process has live open through another SQLite library.
    LiveInUse, live_in_use, "live_in_use";
    /// No such release, file, session or object.
    NotFound, not_found, "not_found";
    /// The release cannot go live: it failed, or its snapshot is not what it was.
    NotPromotable, not_promotable, "not_promotable";
    /// The release's database was pruned.
    Pruned, pruned, "pruned";
    /// There is nothing to roll back to.
    NoPreviousRelease, no_previous_release, "no_previous_release";
    /// A file is not a database, or is damaged.
    Corrupt, corrupt, "corrupt";
    /// The operating system said no.
    Io, io, "io";
    /// A mistake of remy's own.
    Internal, internal, "internal";
    /// What was to be published could not be built: a dependency, a method, a web interface. Of who
    /// builds, not of core.
    BuildFailed, build_failed, "build_failed";
}

impl Error {
    /// A panic that a face has caught, so that it does not cross into the host.
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let what = panic.downcast_ref::<&str>().copied();
        let what = what
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("of an unknown kind");
        Self::internal(format!("a panic: {what}"))
            .state("Live is as it was, or switched whole")
            .hint("Please report this")
    }

    /// The caller has called off what was being done.
    pub fn called_off() -> Self {
        Self::busy("the caller called it off").hint("Start it again when it suits")
    }

    /// A failure of SQLite: what it failed at reads on from "while".
    pub(crate) fn sqlite(e: &rusqlite::Error, doing: &str) -> Self {
        from_sqlite(e, doing)
    }

    /// The disk has no room left for what was being done.
    fn disk_full(doing: &str, why: impl fmt::Display) -> Self {
        let mut error = Self::io(format!("{doing}: the disk is full ({why})"))
            .hint("Free some space, or prune old releases, and try again");
        error.detail_mut().full = true;
        error
    }

    /// Whether the disk has no room left.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.detail().full
    }

    /// Adds to what happened.
    #[must_use]
    pub(crate) fn more(mut self, what: impl fmt::Display) -> Self {
        let detail = self.detail_mut();
        detail.what = format!("{}: {what}", detail.what);
        self
    }

    /// Adds the state that things are in now, unless one is there already.
    #[must_use]
    pub fn state(mut self, state: impl Into<State>) -> Self {
        self.detail_mut().state.get_or_insert(state.into());
        self
    }

    /// Adds what to do next, unless that is there already.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Remedy>) -> Self {
        self.detail_mut().hint.get_or_insert(hint.into());
        self
    }

    /// Says what to do next, whatever was said before: for who knows better what is left to do.
    #[must_use]
    pub(crate) fn hint_instead(mut self, hint: impl Into<Remedy>) -> Self {
        self.detail_mut().hint = Some(hint.into());
        self
    }

    /// Names the object that it is about, unless one is named already.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.detail_mut().object.get_or_insert(object.into());
        self
    }

    /// Adds the statement that failed, unless one is there already.
    #[must_use]
    pub fn sql(mut self, sql: impl Into<String>) -> Self {
        self.detail_mut().sql.get_or_insert(sql.into());
        self
    }

    /// The CLI's exit status: 2 usage, 3 refused, 4 busy, 1 any other failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::InvalidArgument(_) => 2,
            Self::SchemaInvalid(_)
            | Self::UnsupportedChange(_)
            | Self::AmbiguousRename(_)
            | Self::LossyChange(_)
            | Self::NotPromotable(_)
            | Self::Pruned(_)
            | Self::NoPreviousRelease(_) => 3,
            Self::Busy(_) | Self::PauseExceeded(_) | Self::LiveInUse(_) => 4,
            _ => 1,
        }
    }
}

/// `{"code", "message", "hint", "remedy", "object", "sql"}`: the message whole, the hint as a text and
/// as its parts.
impl serde::Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let detail = self.detail();
        let mut fields = serializer.serialize_struct("Error", 6)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.serialize_field("hint", &detail.hint.as_ref().map(Remedy::to_string))?;
        fields.serialize_field("remedy", &detail.hint)?;
        fields.serialize_field("object", &detail.object)?;
        fields.serialize_field("sql", &detail.sql)?;
        fields.end()
    }
}

/// Says of a failure of SQLite or of the system what was being done, and to what.
pub trait Context<T> {
    /// `doing` reads on from "while": `"reading the marker of /srv/app.db"`.
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for rusqlite::Result<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| from_sqlite(&e, &doing()))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| from_io(&e, &doing()))
    }
}

fn from_io(e: &std::io::Error, doing: &str) -> Error {
    match e.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(format!("{doing}: {e}")),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::disk_full(doing, e)
        }
        _ => Error::io(format!("{doing}: {e}")),
    }
}

/// SQLite's own words for an error, without rusqlite's wrapping.
pub(crate) fn sqlite_message(e: &rusqlite::Error) -> String {
    match e {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

fn extended_code(e: &rusqlite::Error) -> i32 {
    e.sqlite_error().map_or(0, |e| e.extended_code)
}

fn from_sqlite(e: &rusqlite::Error, doing: &str) -> Error {
    use rusqlite::ErrorCode as C;
    let what = format!("{doing}: {}", sqlite_message(e));
    match e.sqlite_error_code() {
        Some(C::DatabaseBusy | C::DatabaseLocked) => Error::busy(what),
        Some(C::DatabaseCorrupt | C::NotADatabase) => Error::corrupt(what),
        Some(C::DiskFull) => Error::disk_full(doing, sqlite_message(e)),
        // That is what SQLite says where the shared memory of a WAL cannot grow.
        Some(C::SystemIoFailure) if extended_code(e) == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            Error::disk_full(doing, "there is no room for the shared memory of its WAL")
        }
        Some(C::ReadOnly | C::PermissionDenied) => {
            Error::io(what).hint("Give this user write permission on the file and its folder")
        }
        Some(C::SystemIoFailure | C::CannotOpen) => Error::io(what),
        None if let Some(unknown) = unknown_word(e) => {
            Error::corrupt(format!("{doing}: {unknown}"))
                .hint("Use the remy that wrote it, or put it back from a backup")
        }
        Some(C::Unknown) if let Some(stranger) = Stranger::of(&what) => {
            Error::unsupported_change(what).hint(stranger.hint())
        }
        // A value of a kind that remy never writes there: somebody else has.
        None if is_of_another_kind(e) => Error::corrupt(what),
        _ => Error::internal(what),
    }
}

fn unknown_word(e: &rusqlite::Error) -> Option<&UnknownWord> {
    match e {
        rusqlite::Error::FromSqlConversionFailure(_, _, why) => why.downcast_ref(),
        _ => None,
    }
}

/// Whether a value that was read is not of the kind that it should be.
fn is_of_another_kind(e: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        e,
        E::InvalidColumnType(..)
            | E::IntegralValueOutOfRange(..)
            | E::FromSqlConversionFailure(..)
            | E::Utf8Error(..)
    )
}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Self {
        from_sqlite(&e, "a statement of remy's own")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_joins_its_parts() {
        let e = Error::busy("the write lock of app.db was not free for 5000 ms")
            .state(State::LiveUnchanged)
            .hint("End the long writer and publish again");
        assert_eq!(e.code(), "busy");
        assert_eq!(
            e.to_string(),
            "the write lock of app.db was not free for 5000 ms. Live is unchanged. End the long writer and publish again"
        );
    }

    #[cfg(feature = "engine")] // SQLite's own words for a code are the engine's
    #[test]
    fn a_full_disk_is_said_so() {
        crate::sqlite::engine::init();
        let system: std::io::Result<()> = Err(std::io::Error::from_raw_os_error(libc::ENOSPC));
        let sqlite = |code| -> rusqlite::Result<()> {
            Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(code),
                None,
            ))
        };
        for e in [
            system.context(|| "copying".into()),
            sqlite(rusqlite::ffi::SQLITE_FULL).context(|| "copying".into()),
            sqlite(rusqlite::ffi::SQLITE_IOERR_SHMSIZE).context(|| "copying".into()),
        ] {
            let e = e.unwrap_err();
            assert_eq!(e.code(), "io");
            assert!(
                e.is_disk_full() && e.to_string().starts_with("copying: the disk is full ("),
                "{e}"
            );
        }
        assert!(
            !sqlite(rusqlite::ffi::SQLITE_IOERR_READ)
                .context(String::new)
                .unwrap_err()
                .is_disk_full()
        );
    }

    #[test]
    fn an_error_is_made_of_its_code_and_its_parts() {
        for code in CODES {
            let detail = Detail {
                what: "x".into(),
                hint: Some("y".into()),
                ..Detail::default()
            };
            let e = Error::of(code, detail);
            assert_eq!((e.code(), e.to_string().as_str()), (*code, "x. y"));
        }
        assert_eq!(Error::of("other", Detail::default()).code(), "internal");
    }

    #[test]
    fn the_first_word_stays() {
        let e = Error::io("x").hint("first").hint("second");
        assert_eq!(e.detail().hint, Some("first".into()));
    }
}
