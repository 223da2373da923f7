//! The beginnings of an app.

use super::Answer;
use crate::{
    failure::Result,
    name::called,
    screen,
    show::text::{one_line, quoted},
};
use remy_db::Remy;
use std::{env, path::Path};

pub(super) fn init(dir: Option<&Path>, sql: bool, from: Option<&Path>) -> Result<Answer> {
    let dir = dir.unwrap_or(Path::new("."));
    let written = match from {
        Some(db) => remy_db_app::init_from(dir, &Remy::open(db)?)?,
        None => remy_db_app::init(dir, sql)?,
    };
    for warning in &written.warnings {
        screen::say(&format!("warning: {}\n", one_line(warning)));
    }
    let mut lines: Vec<_> = written
        .files
        .iter()
        .map(|file| format!("wrote {file}"))
        .collect();
    let is_here = env::current_dir().is_ok_and(|here| here == written.root);
    let called = called();
    lines.push(match is_here {
        true => format!("Next: {called} publish"),
        false => {
            let root = quoted(&written.root.display().to_string());
            format!("Next: cd {root} && {called} publish")
        }
    });
    Answer::of(&written, lines)
}
