//! Diff: what a publish would do. Changes nothing.

use crate::{
    base::{
        allow::Allow,
        error::{Context, Error, Result},
        ids::ReleaseId,
        options::Options,
        progress::Progress,
    },
    declare::{self, DeclaredSchema, source::Source},
    effects::{self, Effects, tables},
    live::database::Live,
    rehearse::{connection, questions, survey::Survey},
    release::{
        context::Until,
        declaration::Declaration,
        drift,
        planning::{plan_on, rows},
        reading::Reading,
    },
    schema::plan::model::{Statement, losses},
    sqlite::{libraries, tx},
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
    let live_now = Reading::live(live)?;
    let drift = if options.warnings {
        drift::warning(live, &live_now, options)?
    } else {
        None
    };
    let found = compare(&live_now, live, (&declared, effects.as_ref()), options)?;
    // What needs leave is what the caller wants to see; what the rows do not allow at all is an
    // error here, too.
    let leave = |e: &Error| matches!(e, Error::AmbiguousRename(_) | Error::LossyChange(_));
    if let Some(refusal) = found.survey.refusals.iter().find(|e| !leave(e)) {
        return Err(refusal.clone());
    }
    Ok(found.rows(options, drift))
}

/// To what a comparison goes.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// What a release was, or is.
    Release(ReleaseId),
    /// What is declared, as [`crate::Remy::publish`] takes it.
    Schema(&'a str),
}

/// The plan from what a release was, or live, to another, or to what is declared. Nobody is about to
/// run it: nothing is refused.
pub(crate) fn between(
    live: &Live,
    from: Option<ReleaseId>,
    to: &Target<'_>,
    options: &Options,
) -> Result<Vec<Statement>> {
    let libraries = live.libraries(options)?;
    live.is_understood()?;
    let options = &Options {
        allow: BTreeSet::from([Allow::TypeChange, Allow::Lossy, Allow::Drop]),
        ..options.clone()
    };
    let (declared, effects) = match to {
        Target::Schema(schema) => {
            let declaration = Declaration::read(schema, options)?;
            (declaration.declared, declaration.effects)
        }
        Target::Release(release) => {
            let then = Reading::release(live, *release)?;
            libraries::load_extensions(&then, libraries)?;
            let source = Source::Database(then.path().to_owned());
            let declared = declare::of_database(&then, source, options)?;
            (declared, Some(tables::read(&then)?))
        }
    };
    let begin = match from {
        Some(release) => Reading::release(live, release)?,
        None => Reading::live(live)?,
    };
    let found = compare(&begin, live, (&declared, effects.as_ref()), options)?;
    Ok(found.rows(options, None))
}

/// What a comparison has found.
struct Compared {
    survey: Survey,
    changes: Vec<effects::diff::Change>,
    warnings: Vec<String>,
}

impl Compared {
    fn rows(self, options: &Options, drift: Option<String>) -> Vec<Statement> {
        let told = options.warnings;
        let warnings = self.warnings.into_iter().chain(drift);
        let warnings = warnings.filter(|_| told).collect();
        rows(self.survey.statements, &self.changes, warnings)
    }
}

fn compare(
    conn: &Reading<'_>,
    live: &Live,
    (declared, effects): (&DeclaredSchema, Option<&Effects>),
    options: &Options,
) -> Result<Compared> {
    connection::prepare(conn, live.libraries(options)?)?;
    let tx = tx::begin(conn).context(|| format!("reading {}", conn.path().display()))?;
    let (plan, _, warnings) = plan_on(&tx, declared, options, &[], None)?;
    let survey = questions::survey(&tx, &plan, options)?;
    let changes = match effects {
        Some(effects) => effects::diff::diff(&tables::read(&tx)?, effects),
        None => Vec::new(),
    };
    Ok(Compared {
        survey,
        changes,
        warnings,
    })
}
