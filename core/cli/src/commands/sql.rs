//! SQL on a database of the app's.

use super::{Answer, Context, Shown};
use crate::{
    arguments::{Extensions, Which},
    failure::{Result, usage},
    show::grid::{Grid, json},
    stdin,
};
use remy_db::{Database, Error, Options, Returned, State};

pub(super) fn sql(
    at: &Context<'_>,
    text: Option<&str>,
    which: &Which,
    extensions: &Extensions,
) -> Result<Answer> {
    let text = match text {
        Some(text) => text.to_owned(),
        None if stdin::is_terminal() => {
            return Err(usage("SQL is expected, as an argument or on stdin"));
        }
        None => String::from_utf8(stdin::all()?).map_err(|_| {
            Error::invalid_argument("the SQL on stdin is not UTF-8").state(State::NothingDone)
        })?,
    };
    let mut options = Options::default();
    extensions.set(&mut options);
    let mut grids: Vec<Grid> = Vec::new();
    at.project()?.sql(
        (&database(which), &text),
        &options,
        at.quietly(),
        &mut |returned| {
            match (returned, grids.last_mut()) {
                (Returned::Columns(columns), _) => grids.push(Grid::new(columns)),
                (Returned::Row(row), Some(grid)) => grid.rows.push(row),
                (Returned::Row(_), None) => {}
            }
            Ok(())
        },
    )?;
    if at.json {
        return Ok(Answer {
            json: json(grids.last())?,
            shown: Shown::Lines(Vec::new()),
            is_ok: true,
        });
    }
    let mut lines = Vec::new();
    for grid in &grids {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(grid.lines(at.room()));
    }
    Ok(Answer {
        json: String::new(),
        shown: Shown::Lines(lines),
        is_ok: true,
    })
}

fn database(which: &Which) -> Database {
    match (&which.release, &which.dev, &which.preview) {
        (Some(release), ..) => Database::Release(*release),
        (_, Some(name), _) => Database::Dev(name.clone()),
        (_, _, Some(name)) => Database::Preview(name.clone()),
        _ => Database::Live,
    }
}
