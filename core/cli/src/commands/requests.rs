//! The record of requests that a server has answered, with the calls that they made.

use super::{Answer, Context, follow::follow, json, owner};
use crate::{
    arguments::Requests as Given,
    failure::Result,
    name::called,
    output,
    show::{
        table::{Table, number, text},
        text::{plain, time, took},
    },
};
use remy_db_app::place::store_beside;
use remy_db_runtime::records::{
    Begins, Ended,
    requests::{Answered, Called, Wanted, list},
};

/// How many are listed where nobody says how many.
const LISTED: u32 = 20;

pub(super) fn requests(at: &Context<'_>, given: &Given) -> Result<Answer> {
    let project = at.project()?;
    let store = store_beside(&project.place().path);
    owner::become_owner(&project)?;
    let wanted = Wanted {
        failed: given.failed,
        begins: Begins::Newest,
        limit: given.limit.unwrap_or(LISTED),
    };
    let mut all = match &store {
        Some(store) => list(store, &wanted)?,
        None => Vec::new(),
    };
    if let (Some(store), true) = (&store, given.follow) {
        all.reverse();
        let mut after = all.last().map_or(0, |last| last.seq);
        all.iter().try_for_each(|one| tell(at, one))?;
        return follow(|| {
            let more = list(
                store,
                &Wanted {
                    begins: Begins::After(after),
                    limit: u32::MAX,
                    ..wanted.clone()
                },
            )?;
            after = more.last().map_or(after, |last| last.seq);
            more.iter().try_for_each(|one| tell(at, one))
        });
    }
    if all.is_empty() {
        let none = format!("No request: {} serve answers them", called());
        return Answer::of(&all, vec![none]);
    }
    let mut table = Table::new([
        text("WHEN"),
        number("STATUS"),
        text("REQUEST"),
        number("TOOK"),
        text("CLIENT"),
        text("CALL"),
        text("ID"),
    ]);
    for one in &all {
        table.row(cells(one));
    }
    Answer::of(&all, table.lines(at.room()))
}

fn cells(one: &Answered) -> [String; 7] {
    let request = &one.request;
    [
        time(request.at),
        request.status.to_string(),
        format!("{} {}", request.method, request.path),
        took(request.ms),
        request.client.clone().unwrap_or_default(),
        one.call.as_ref().map(ended).unwrap_or_default(),
        request.id.clone(),
    ]
}

fn ended(call: &Called) -> String {
    let how = match (call.status, &call.code) {
        (Ended::Returned, _) => "returned",
        (Ended::Running, _) => "running",
        (Ended::Lost, _) => "lost",
        (Ended::Failed, Some(code)) => code,
        (Ended::Failed, None) => "failed",
    };
    format!("{}: {how}", call.method)
}

fn tell(at: &Context<'_>, one: &Answered) -> Result<()> {
    let text = match at.json {
        true => json(one)?,
        false => {
            let [when, status, what, took, client, call, id] = cells(one);
            let cause = one.request.cause.as_deref().unwrap_or_default();
            let rest = [client, call, id, cause.to_owned()].join("  ");
            plain(&format!("{when}  {status}  {took:>8}  {what}  {rest}"))
                .trim_end()
                .to_owned()
        }
    };
    output::write(format!("{text}\n").as_bytes());
    Ok(())
}
