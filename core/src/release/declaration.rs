//! What is declared for a release.

use crate::{
    base::{error::Result, options::Options},
    declare::{self, DeclaredSchema},
    effects::Effects,
    rehearse::migration_files::{self, Migration},
};

/// What is to go live.
pub(crate) struct Declaration {
    pub(crate) declared: DeclaredSchema,
    pub(crate) effects: Option<Effects>,
    pub(crate) migrations: Vec<Migration>,
}

impl Declaration {
    /// Reads all of it, once.
    pub(crate) fn read(schema: &str, options: &Options) -> Result<Self> {
        let mut declared = declare::declared(schema, options)?;
        let effects = declared_effects(options)?;
        let folder = options.migrations.as_ref().or(declared.migrations.as_ref());
        let migrations = folder
            .map(|folder| migration_files::read(folder))
            .transpose()?
            .unwrap_or_default();
        declared.warnings.extend(migrations.warnings);
        Ok(Self {
            declared,
            effects,
            migrations: migrations.files,
        })
    }
}

pub(super) fn declared_effects(options: &Options) -> Result<Option<Effects>> {
    options.effects.as_ref().map(Effects::from_json).transpose()
}
