//! The N-API addon: what the npm package does without opening a database.
//!
//! Verbs run in a process of their own, as those of SQL and C do: an application may have live open
//! through another SQLite library, and two of them in one process must not share a file. The addon's
//! own file is that process's program (`remy-db-helper`), which `js/process.js` starts and speaks to.
//! Arguments and results are JSON text.
#![warn(missing_docs)]

use napi_derive::napi;
use remy_db::{Error, internals::json::of_result as json};
use remy_db_app::{
    AppError,
    place::{self, Named},
    project,
};
use serde::Deserialize;

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, AppError> {
    serde_json::from_str(text)
        .map_err(|e| Error::internal(format!("reading an argument: {e}")).into())
}

fn told(done: impl FnOnce() -> project::Result<String>) -> napi::Result<String> {
    project::told(done).map_err(reason)
}

fn reason(e: impl ToString) -> napi::Error {
    napi::Error::from_reason(e.to_string())
}

/// Where the app of the folder `dir`, or above it, and its database are. Opens nothing.
#[napi]
pub fn find_place(dir: String, named: String) -> napi::Result<String> {
    told(|| {
        let named: Named = read(&named)?;
        Ok(json(&place::find(dir.as_ref(), &named)?)?)
    })
}

/// Writes what an app, or a schema alone, begins with.
#[napi]
pub fn init(dir: String, sql: bool) -> napi::Result<String> {
    told(|| Ok(json(&remy_db_app::init(dir.as_ref(), sql)?)?))
}

/// The program that verbs run in.
#[napi(object)]
pub struct Helper {
    /// Its file.
    pub path: String,
    /// What loads that, where it may not be executed itself.
    pub loader: String,
    /// Whether it has to be loaded so.
    pub by_loader: bool,
    /// What it says first: another one is not spoken to.
    pub hello: String,
}

/// Finds the program. Throws, with the reason, where there is none.
#[napi]
pub fn helper() -> napi::Result<Helper> {
    let program = remy_db_helper::find(remy_db_helper::Lookup::Own).map_err(reason)?;
    Ok(Helper {
        path: program.path.into_string().map_err(reason)?,
        loader: program.loader.into_string().map_err(reason)?,
        by_loader: program.by_loader,
        hello: remy_db_helper::hello().map_err(reason)?,
    })
}
