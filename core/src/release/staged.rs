//! What is kept of a release until it is promoted.

use crate::{
    base::{
        allow::Allow,
        error::{Error, Result, State},
        options::Options,
        owner,
        remedy::OptionName,
    },
    declare::{self, DeclaredSchema, source::Source},
    live::database::Live,
    rehearse::migration_files::Migration,
    release::declaration::{Declaration, declared_effects},
    remedy,
    schema::app::App,
    store::catalog::releases::Entry,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// What a staged release keeps, to be published later as it was declared.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// SQL, or the JSON model.
    schema: String,
    /// An app's tables, in the place of SQL.
    #[serde(default)]
    app: Option<App>,
    renames: Vec<String>,
    effects: Option<serde_json::Value>,
    allow: BTreeSet<Allow>,
    ignore: Option<Vec<String>>,
    extensions: Vec<PathBuf>,
    #[serde(default)]
    migrations: Option<Kept>,
}

/// The migrations of a staged release.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Files(Vec<Migration>),
    /// An early remy kept the path of their folder: read in a store, it is no path that is
    /// followed.
    Path(serde_json::Value),
}

impl Staged {
    pub(crate) fn new(declaration: &Declaration, options: &Options) -> Result<Self> {
        let declared = &declaration.declared;
        Ok(Self {
            schema: declared
                .sql
                .clone()
                .unwrap_or_else(|| declared.schema.to_sql()),
            app: declared.app.clone(),
            renames: options.renames.clone(),
            effects: options.effects.clone(),
            allow: options.allow.clone(),
            ignore: options.ignore.clone(),
            extensions: options.extensions.clone(),
            migrations: Some(Kept::Files(declaration.migrations.clone())),
        })
    }

    pub(crate) fn declaration(&self, options: &Options) -> Result<Declaration> {
        let declared = match &self.app {
            None => declare::read(Source::Sql(self.schema.clone()), options)?,
            Some(app) => {
                DeclaredSchema::of_app(app.clone(), Source::Sql(self.schema.clone()), options)?
            }
        };
        let migrations = match &self.migrations {
            None => Vec::new(),
            Some(Kept::Files(files)) => files.clone(),
            Some(Kept::Path(_)) => {
                return Err(Error::not_promotable(
                    "an early remy staged it, and kept only the path of its migrations",
                )
                .hint("Stage it again"));
            }
        };
        Ok(Declaration {
            declared,
            effects: declared_effects(options)?,
            migrations,
        })
    }

    /// The options of a verb, with what was declared at the time.
    pub(crate) fn options(&self, entry: &Entry, options: &Options) -> Options {
        Options {
            allow: &self.allow | &options.allow,
            renames: self.renames.clone(),
            effects: self.effects.clone(),
            ignore: self.ignore.clone(),
            extensions: self.extensions.clone(),
            migrations: None,
            label: entry.label.clone(),
            commit: entry.commit.clone(),
            artifacts: None,
            build: Vec::new(),
            preview: None,
            ..options.clone()
        }
    }
}

/// Refuses that root loads a library for the reason alone that the store names it: the store is its
/// owner's, who would have root run what they like.
pub(crate) fn named_by_root(
    live: &Live,
    staged: &Staged,
    entry: &Entry,
    options: &Options,
) -> Result<()> {
    let unnamed = staged
        .extensions
        .iter()
        .find(|library| !options.extensions.contains(library));
    let Some(library) = unnamed.filter(|_| live.owner.is_another_of_root()) else {
        return Ok(());
    };
    let its = owner::name(live.owner.uid);
    Err(Error::invalid_argument(format!(
        "release {} was staged with the library {}, and root would load it for {its}",
        entry.release,
        library.display()
    ))
    .object(library.display().to_string())
    .state(State::LiveUnchanged)
    .hint(remedy![
        format!("Run it as {its}; or name the library in "),
        OptionName::Extensions,
        " once you know what it does",
    ]))
}
