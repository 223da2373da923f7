//! Detach: takes remy's tables out of live.
use crate::{
    Detached,
    error::{Context, Result},
    live::Live,
    options::Options,
    quote, recover,
    store::human,
};

pub(crate) fn detach(live: &Live) -> Result<Detached> {
    let options = Options::default();
    let begun = recover::begin(live, &options)?;
    let conn = live.connect()?;
    conn.busy_timeout(options.lock_timeout())?;
    let doing = || format!("dropping remy's tables from {}", live.shown());
    conn.execute_batch("BEGIN IMMEDIATE").context(doing)?;
    let dropped = (|| {
        let mut query =
            conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '_remy_*' ORDER BY name")?;
        let names: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for name in &names {
            conn.execute_batch(&format!("DROP TABLE main.{}", quote::ident(name)))?;
        }
        conn.execute_batch("COMMIT")?;
        Ok::<_, rusqlite::Error>(names)
    })();
    if dropped.is_err() {
        let _ = conn.execute_batch("ROLLBACK");
    }
    let dropped = dropped.context(doing).map_err(|e| e.state("Live is unchanged"))?;
    let snapshots = begun.store.catalog.kept_snapshots()?;
    let bytes = snapshots.iter().map(|s| s.bytes).sum();
    Ok(Detached {
        dropped,
        left: vec![format!(
            "{} ({} snapshots, {}; delete it to forget every release)",
            begun.store.root().display(),
            snapshots.len(),
            human(bytes)
        )],
    })
}
