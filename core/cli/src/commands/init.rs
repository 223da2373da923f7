//! The beginnings of an app.

use super::Answer;
use crate::{failure::Result, name::called, show::text::quoted};
use std::{env, path::Path};

pub(super) fn init(dir: Option<&Path>, sql: bool) -> Result<Answer> {
    let written = remy_db_app::init(dir.unwrap_or(Path::new(".")), sql)?;
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
