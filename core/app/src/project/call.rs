//! A verb and its arguments, as they go from one process to another, and what runs it.

use super::{
    change::{Publish, Tools},
    folder::{Follow, Project, Result},
};
use remy_db::{
    Error, Options, ReleaseId,
    internals::{json::of_result, verbs::number_of_days},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

/// A verb with its arguments. `options` is a JSON object, or nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "docs/contract.md says what each verb takes")]
pub enum Call {
    Publish(Change),
    Stage(Change),
    Diff {
        schema: Option<String>,
        options: Option<Value>,
    },
    Build {
        out: Option<String>,
        commit: Option<String>,
        #[serde(default)]
        tools: Tools,
    },
    Promote {
        release: Option<ReleaseId>,
        options: Option<Value>,
    },
    Rollback {
        release: Option<ReleaseId>,
        options: Option<Value>,
    },
    Releases,
    BuildLog {
        release: Option<ReleaseId>,
    },
    Clone {
        path: PathBuf,
    },
    Prune {
        days: Option<i64>,
        options: Option<Value>,
    },
    Verify {
        options: Option<Value>,
    },
    Detach,
    Debug,
    Status,
    DevStart {
        name: String,
    },
    DevSync {
        name: String,
        options: Option<Value>,
    },
    DevReset {
        name: String,
    },
    DevTruncate {
        name: String,
        options: Option<Value>,
    },
    DevStop {
        name: String,
    },
    DevList,
    Files {
        release: ReleaseId,
        path: Option<String>,
    },
    /// Returns each byte as the letter of its number.
    ReadFile {
        release: ReleaseId,
        path: String,
    },
    Checkout {
        release: ReleaseId,
        dir: PathBuf,
    },
}

/// What is published, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as of Publish")]
pub struct Change {
    pub schema: Option<String>,
    #[serde(default)]
    pub create: bool,
    pub options: Option<Value>,
    #[serde(default)]
    pub tools: Tools,
}

impl Call {
    /// Runs it, and returns its result as JSON.
    pub fn run(&self, project: &Project, follow: Follow<'_>) -> Result<String> {
        match self {
            Self::Publish(change) => write(&project.publish(&change.publish()?, follow)?),
            Self::Stage(change) => write(&project.stage(&change.publish()?, follow)?),
            Self::Diff { schema, options } => {
                write(&project.diff(schema.as_deref(), &read(options)?)?)
            }
            Self::Build { out, commit, tools } => {
                write(&project.build(out.as_deref(), commit.as_deref(), tools, follow)?)
            }
            Self::Promote { release, options } => {
                write(&project.promote(*release, &read(options)?, follow)?)
            }
            Self::Rollback { release, options } => {
                write(&project.rollback(*release, &read(options)?, follow)?)
            }
            Self::Releases => write(&project.releases()?),
            Self::BuildLog { release } => write(&project.build_log(*release)?),
            Self::Clone { path } => write(&project.clone_to(path, follow)?),
            Self::Prune { days, options } => write(&project.prune(
                days.map(number_of_days).transpose()?,
                &read(options)?,
                follow,
            )?),
            Self::Verify { options } => write(&project.verify(&read(options)?, follow)?),
            Self::Detach => write(&project.detach()?),
            Self::Debug => write(&project.debug()?),
            Self::Status => write(&project.status()?),
            _ => self.run_on_parts(project, follow),
        }
    }

    /// Those of dev sessions and of a release's files.
    fn run_on_parts(&self, project: &Project, follow: Follow<'_>) -> Result<String> {
        match self {
            Self::DevStart { name } => write(&project.dev_start(name, follow)?),
            Self::DevSync { name, options } => {
                write(&project.dev_sync(name, &read(options)?, follow)?)
            }
            Self::DevReset { name } => write(&project.dev_reset(name, follow)?),
            Self::DevTruncate { name, options } => {
                write(&project.dev_truncate(name, &read(options)?, follow)?)
            }
            Self::DevStop { name } => write(&project.dev_stop(name)?),
            Self::DevList => write(&project.dev_list()?),
            Self::Files { release, path } => write(&project.files(*release, path.as_deref())?),
            Self::ReadFile { release, path } => {
                let bytes = project.read_file(*release, path)?;
                write(&bytes.into_iter().map(char::from).collect::<String>())
            }
            Self::Checkout { release, dir } => write(&project.checkout(*release, dir, follow)?),
            other => Err(Error::internal(format!("no verb {other:?}")).into()),
        }
    }
}

impl Change {
    fn publish(&self) -> Result<Publish> {
        Ok(Publish {
            schema: self.schema.clone(),
            create: self.create,
            options: read(&self.options)?,
            tools: self.tools.clone(),
        })
    }
}

/// What came of a call, for who reads JSON alone: `{ "done" }` with its result, or `{ "refused" }` with
/// the error. Also of a panic.
pub fn told(call: impl FnOnce() -> Result<String>) -> remy_db::Result<String> {
    let called = catch_unwind(AssertUnwindSafe(call));
    match called.unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref()).into())) {
        Ok(done) => Ok(format!("{{\"done\":{done}}}")),
        Err(refused) => of_result(&json!({ "refused": refused })),
    }
}

fn read(options: &Option<Value>) -> Result<Options> {
    let text = options.as_ref().map_or_else(String::new, Value::to_string);
    Ok(Options::from_json(&text)?)
}

fn write(result: &impl Serialize) -> Result<String> {
    Ok(of_result(result)?)
}
