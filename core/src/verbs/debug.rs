//! Debug: what remy runs on, for people who wonder.

use crate::{
    base::{VERSION, error::Result, ids::ReleaseId, options::Options},
    live::{beside, database::Live, marker},
    release::{drift, standing},
    store::Store,
    switch::{contract::SwitchMethod, engine},
};
use serde::Serialize;

pub(crate) fn debug(live: &Live) -> Result<Debug> {
    let _acting = live.owner.act()?;
    let conn = live.connect()?;
    let shape = live.shape(&conn)?;
    let engine = engine::of(live).describe();
    let marker = marker::read(&conn)?;
    let mut notes = vec![engine.cost.to_owned()];
    // A catalog that cannot be read is what somebody may wonder about.
    let (release, drift) = drift::history(live, &conn, marker.as_ref(), &Options::default())
        .unwrap_or_else(|e| {
            notes.push(e.to_string());
            (marker.as_ref().map(|marker| marker.release), None)
        });
    // What keeps this from being told is in the notes by now.
    let stand =
        |store: Option<Store>| standing::warnings(live, store.as_ref(), marker.as_ref(), &conn);
    let warnings = Store::open(live).and_then(stand).unwrap_or_default();
    notes.extend(warnings.iter().chain(&drift).cloned());
    Ok(Debug {
        version: VERSION,
        sqlite: rusqlite::version().to_owned(),
        engine: engine.engine,
        switch: engine.switch,
        live: live.shown().to_string(),
        store: beside::beside(&live.path).display().to_string(),
        journal_mode: shape.journal_mode,
        page_size: shape.page_size,
        encoding: shape.encoding,
        pages: conn
            .query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0))?
            .into(),
        release,
        drift,
        notes,
        warnings,
    })
}

/// What remy runs on, and what it runs.
#[derive(Debug, Clone, Serialize)]
pub struct Debug {
    /// remy's version.
    pub version: &'static str,
    /// SQLite's.
    pub sqlite: String,
    /// `embedded` or `host`.
    pub engine: &'static str,
    /// How it switches.
    pub switch: SwitchMethod,
    /// The live database.
    pub live: String,
    /// Its store.
    pub store: String,
    /// Live's journal mode.
    pub journal_mode: String,
    /// Live's page size.
    pub page_size: u32,
    /// Live's text encoding.
    pub encoding: String,
    /// Live's pages.
    pub pages: u64,
    /// The live release, by live's marker.
    pub release: Option<ReleaseId>,
    /// What was changed of live's schema outside of remy since that release went live.
    pub drift: Option<String>,
    /// What the caller should know.
    pub notes: Vec<String>,
    /// Where live is not what its store has published last, or the store is not whole: what is
    /// known of it.
    pub warnings: Vec<String>,
}
