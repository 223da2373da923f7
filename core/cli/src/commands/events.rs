//! The events that an app publishes to its pages.

use super::{Answer, Context, follow::follow, json, owner};
use crate::{
    arguments::Events as Given,
    failure::{Result, usage},
    output,
    show::text::{plain, time},
};
use remy_db_app::place::store_beside;
use remy_db_runtime::records::{
    Begins,
    published::{Event, Wanted, list},
};

/// How many are shown of those before.
const SHOWN: u32 = 10;

pub(super) fn run(at: &Context<'_>, given: &Given) -> Result<Answer> {
    let Given::Tail { channel, limit } = given;
    let project = at.project()?;
    owner::become_owner(&project)?;
    let store = store_beside(&project.place().path)
        .ok_or_else(|| usage("the live database has no name, so that it has no store"))?;
    let mut wanted = Wanted {
        channel: channel.clone(),
        begins: Begins::Newest,
        limit: limit.unwrap_or(SHOWN),
    };
    let mut before = list(&store, &wanted)?;
    before.reverse();
    let mut after = before.last().map_or(0, |(seq, _)| *seq);
    before.iter().try_for_each(|(_, event)| tell(at, event))?;
    wanted.limit = u32::MAX;
    follow(|| {
        wanted.begins = Begins::After(after);
        let more = list(&store, &wanted)?;
        after = more.last().map_or(after, |(seq, _)| *seq);
        more.iter().try_for_each(|(_, event)| tell(at, event))
    })
}

fn tell(at: &Context<'_>, event: &Event) -> Result<()> {
    let text = match at.json {
        true => json(event)?,
        false => plain(&format!(
            "{}  {} on {}, heard by {}: {}",
            time(event.at),
            event.channel,
            event.world,
            event.delivered,
            event.data
        ))
        .into_owned(),
    };
    output::write(format!("{text}\n").as_bytes());
    Ok(())
}
