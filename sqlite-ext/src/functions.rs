//! The scalar functions: arguments in, JSON out. Arguments are looked at before the database is.

use crate::call::Call;
use remy_db::{Result, VERSION};
use remy_db_helper::Verb;

pub fn version() -> &'static str {
    VERSION
}

pub fn debug(call: &Call) -> Result<String> {
    call.run(&Verb::Debug)
}

pub fn clone(call: &Call) -> Result<String> {
    let path = call.text(0, "path")?.to_owned();
    call.run(&Verb::Clone { path })
}

pub fn stage(call: &Call) -> Result<String> {
    let (schema, options) = (call.text(0, "schema")?.to_owned(), call.options(1)?);
    call.run(&Verb::Stage { schema, options })
}

pub fn publish(call: &Call) -> Result<String> {
    let (schema, options) = (call.text(0, "schema")?.to_owned(), call.options(1)?);
    call.run(&Verb::Publish { schema, options })
}

pub fn promote(call: &Call) -> Result<String> {
    let (release, options) = (call.release(0)?, call.options(1)?);
    call.run(&Verb::Promote { release, options })
}

pub fn rollback(call: &Call) -> Result<String> {
    let (release, options) = (call.release(0)?, call.options(1)?);
    call.run(&Verb::Rollback { release, options })
}

pub fn dev_start(call: &Call) -> Result<String> {
    let name = call.text(0, "name")?.to_owned();
    call.run(&Verb::DevStart { name })
}

pub fn dev_reset(call: &Call) -> Result<String> {
    let name = call.text(0, "name")?.to_owned();
    call.run(&Verb::DevReset { name })
}

pub fn dev_truncate(call: &Call) -> Result<String> {
    let (name, options) = (call.text(0, "name")?.to_owned(), call.options(1)?);
    call.run(&Verb::DevTruncate { name, options })
}

pub fn dev_stop(call: &Call) -> Result<String> {
    let name = call.text(0, "name")?.to_owned();
    call.run(&Verb::DevStop { name })
}

pub fn prune(call: &Call) -> Result<String> {
    let (days, options) = (call.number(0, "number of days")?, call.options(1)?);
    call.run(&Verb::Prune { days, options })
}

pub fn verify(call: &Call) -> Result<String> {
    let options = call.options(0)?;
    call.run(&Verb::Verify { options })
}

pub fn detach(call: &Call) -> Result<String> {
    call.run(&Verb::Detach)
}
