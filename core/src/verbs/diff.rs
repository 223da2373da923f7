//! Diff: what a publish would do. Changes nothing.

use crate::{
    base::{
        allow::Allow,
        error::{Context, Error, Result},
        options::Options,
        progress::Progress,
    },
    effects::{self, tables},
    live::database::Live,
    rehearse::{connection, questions},
    release::{
        context::Until,
        declaration::Declaration,
        drift,
        rehearsal::{plan_on, rows},
    },
    schema::plan::model::{Statement, losses},
    sqlite::tx,
    verbs::publish::publish,
};
use std::collections::BTreeSet;

/// The plan of a publish, with what it would lose counted on live, and behind it the effects that
/// it would change. A migration has to run before the diff can be taken, and what clients are to
/// read has to be there: then on a clone.
pub(crate) fn diff(live: &Live, schema: &str, options: &Options) -> Result<Vec<Statement>> {
    live.libraries(options)?;
    live.is_understood()?;
    let Declaration {
        declared,
        effects,
        migrations,
    } = Declaration::read(schema, options)?;
    if !migrations.is_empty() || options.clients.is_some() {
        let allow = BTreeSet::from([Allow::TypeChange, Allow::Lossy, Allow::Drop]);
        let options = Options {
            dry_run: true,
            allow,
            ..options.clone()
        };
        let mut outcome = publish(live, schema, &options, Progress::none(), Until::Rehearsed)?;
        // What is lost each statement says itself.
        outcome
            .warnings
            .retain(|warning| !losses(&outcome.statements).any(|loss| loss == *warning));
        let warnings = if options.warnings {
            outcome.warnings
        } else {
            Vec::new()
        };
        return Ok(rows(outcome.statements, &outcome.effects, warnings));
    }
    let _acting = live.owner.act()?;
    let conn = live.connect()?;
    let drift = if options.warnings {
        drift::warning(live, &conn, options)?
    } else {
        None
    };
    connection::prepare(&conn, live.libraries(options)?)?;
    let tx = tx::begin(&conn).context(|| format!("reading {}", live.shown()))?;
    let (plan, _, mut warnings) = plan_on(&tx, &declared, options, &[], None)?;
    warnings.extend(drift);
    // What needs leave is what the caller wants to see; what the rows do not allow at all is an
    // error here, too.
    let survey = questions::survey(&tx, &plan, options)?;
    let leave = |e: &Error| matches!(e, Error::AmbiguousRename(_) | Error::LossyChange(_));
    if let Some(refusal) = survey.refusals.into_iter().find(|e| !leave(e)) {
        return Err(refusal);
    }
    let changes = match &effects {
        Some(effects) => effects::diff::diff(&tables::read(&tx)?, effects),
        None => Vec::new(),
    };
    let warnings = if options.warnings {
        warnings
    } else {
        Vec::new()
    };
    Ok(rows(survey.statements, &changes, warnings))
}
