//! The scalar functions: arguments in, JSON out. Arguments are looked at before the database is.

use crate::{call::Call, host::json};
use remy_db::{Progress, Result, VERSION};

pub fn version() -> &'static str {
    VERSION
}

pub fn debug(call: &Call) -> Result<String> {
    json(&call.remy()?.debug()?)
}

pub fn clone(call: &Call) -> Result<String> {
    let path = call.text(0, "path")?;
    json(
        &call
            .remy()?
            .clone_to_with(path, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn stage(call: &Call) -> Result<String> {
    let (schema, options) = (call.text(0, "schema")?, call.options(1)?);
    json(
        &call
            .remy()?
            .stage(schema, &options, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn publish(call: &Call) -> Result<String> {
    let (schema, options) = (call.text(0, "schema")?, call.options(1)?);
    json(
        &call
            .remy()?
            .publish(schema, &options, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn promote(call: &Call) -> Result<String> {
    let (release, options) = (call.release(0)?, call.options(1)?);
    json(
        &call
            .remy()?
            .promote(release, &options, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn rollback(call: &Call) -> Result<String> {
    let (release, options) = (call.release(0)?, call.options(1)?);
    json(
        &call
            .remy()?
            .rollback(release, &options, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn dev_start(call: &Call) -> Result<String> {
    let name = call.text(0, "name")?;
    json(
        &call
            .remy()?
            .dev_start_with(name, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn dev_reset(call: &Call) -> Result<String> {
    let name = call.text(0, "name")?;
    json(
        &call
            .remy()?
            .dev_reset_with(name, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn dev_truncate(call: &Call) -> Result<String> {
    let (name, options) = (call.text(0, "name")?, call.options(1)?);
    json(&call.remy()?.dev_truncate_with(
        name,
        &options,
        Progress::none().ask(&call.interrupted()),
    )?)
}

pub fn dev_stop(call: &Call) -> Result<String> {
    let name = call.text(0, "name")?;
    json(&call.remy()?.dev_stop(name)?)
}

pub fn prune(call: &Call) -> Result<String> {
    let (days, options) = (call.days(0)?, call.options(1)?);
    json(
        &call
            .remy()?
            .prune_with(days, &options, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn verify(call: &Call) -> Result<String> {
    let options = call.options(0)?;
    json(
        &call
            .remy()?
            .verify_with(&options, Progress::none().ask(&call.interrupted()))?,
    )
}

pub fn detach(call: &Call) -> Result<String> {
    json(&call.remy()?.detach()?)
}
