//! Debug: what remy runs on, for people who wonder.
use crate::{
    Debug, VERSION, drift,
    error::Result,
    live::{Access, Live},
    marker,
    options::Options,
    standing,
    store::{self, Store},
};

pub(crate) fn debug(live: &Live) -> Result<Debug> {
    let _acting = live.owner.act()?;
    let conn = live.connect()?;
    let shape = live.shape(&conn)?;
    let (engine, switch, note) = match live.access {
        Access::Pages => (
            "embedded",
            "pages",
            "A switch writes the pages that changed; the pause does not grow with the database",
        ),
        Access::Backup => (
            "host",
            "backup",
            "This host's SQLite gives no page access: a switch writes the whole database in its pause (4 to 5 s for 1 GB)",
        ),
    };
    let marker = marker::read(&conn)?;
    let mut notes = vec![note.to_owned()];
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
        engine,
        switch,
        live: live.shown().to_string(),
        store: store::beside(&live.path).display().to_string(),
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
