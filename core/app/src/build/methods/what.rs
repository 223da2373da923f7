//! Methods that are to be compiled, and what comes of them.

use crate::{
    Method,
    build::{Files, dependencies::Install, stubs::Unsupported, workspaces::within},
};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

/// Installs by the folders that they are for.
pub type Installs = BTreeMap<String, Install>;

/// A method that is done.
#[derive(Debug, Clone, Serialize)]
pub struct Compiled {
    /// The method.
    pub id: String,
    /// Its file, relative to the release.
    pub file: String,
    /// How long that is.
    pub bytes: u64,
    /// What is odd in it.
    pub warnings: Vec<String>,
    /// What it uses of the SDK that remy has nothing behind.
    pub unsupported: Vec<Unsupported>,
    /// The variables of its environment that the app's own files read in it.
    pub variables: Vec<String>,
    /// A hash of all that it was made of: another one may be compiled otherwise.
    #[serde(skip)]
    pub made_of: String,
    /// Whether an earlier build had compiled it.
    pub reused: bool,
}

/// Methods, and where all that they are compiled from and to lies.
#[derive(Debug, Clone, Copy)]
pub struct Compile<'a> {
    /// The methods, in the order of the manifest.
    pub methods: &'a [Method],
    /// The release's files.
    pub files: &'a Files,
    /// Their copy with the packages in it.
    pub tree: &'a Path,
    /// What earlier builds left.
    pub cache: &'a Path,
    /// The release's folder.
    pub out: &'a Path,
    /// A program of esbuild's that the caller has at hand.
    pub esbuild: Option<&'a Path>,
    /// The generation of Node.js that is to run them: `22`. The oldest that can, where none is said.
    pub node: Option<u32>,
}

/// The path of a folder's package.json; of the app's, where there is no folder.
pub(super) fn manifest_of(folder: Option<&str>) -> String {
    within(folder.unwrap_or_default(), "package.json")
}
