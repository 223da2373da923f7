//! The steps of a build, for the JavaScript that calls them in turn. Arguments, events and results
//! are JSON text.

use crate::{OnLine, json};
use napi::{Env, bindgen_prelude::Object, threadsafe_function::ThreadsafeFunctionCallMode};
use napi_derive::napi;
use remy_db::Error;
use remy_db_app::{
    Method,
    build::{
        self,
        dependencies::{self, Install},
        lock::{self, Lock},
        methods, release,
    },
    files, package, place,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What a step needs besides its arguments.
struct Context<'a> {
    cancel: build::Cancel<'a>,
    event: &'a dyn Fn(&dyn erased::Json),
}

mod erased {
    //! Anything that can be written as JSON.

    /// Anything that can be written as JSON.
    pub trait Json {
        /// As JSON text; nothing, where it cannot.
        fn text(&self) -> Option<String>;
    }

    impl<T: serde::Serialize> Json for T {
        fn text(&self) -> Option<String> {
            serde_json::to_string(self).ok()
        }
    }
}

/// The step of a name.
fn run(step: &str, arguments: &str, context: &Context<'_>) -> build::Result<String> {
    let cancel = context.cancel;
    match step {
        "stageSource" => {
            #[derive(Deserialize)]
            struct Arguments {
                #[serde(flatten)]
                wanted: build::source::Wanted,
                to: PathBuf,
            }
            let Arguments { wanted, to: at } = of(arguments)?;
            to(&build::source::stage(&wanted, &at, cancel)?)
        }
        "sync" => {
            #[derive(Deserialize)]
            struct Arguments {
                source: PathBuf,
                tree: PathBuf,
                files: build::Files,
            }
            let it: Arguments = of(arguments)?;
            to(&build::tree::sync(&it.source, &it.tree, &it.files, cancel)?)
        }
        "install" => to(&install(&of(arguments)?, context.cancel)?),
        "build" => {
            let build: release::Build = of(arguments)?;
            to(&build.run(&|event| (context.event)(event), cancel)?)
        }
        "compileMethods" => to(&compile_methods(of(arguments)?, context)?),
        "buildWeb" => to(&build_web(&of(arguments)?, context.cancel)?),
        "unsupportedWarning" => to(&build::stubs::warning(&of::<Vec<_>>(arguments)?)),
        "besidePackage" => to(&package::beside(&of::<String>(arguments)?)?),
        "pack" => {
            let (dir, file): (PathBuf, PathBuf) = of(arguments)?;
            to(&package::pack(&dir, &file, cancel)?)
        }
        "unpack" => to(&package::unpack(&of::<String>(arguments)?, cancel)?),
        _ => place_step(step, arguments, context),
    }
}

/// The steps that are about where things are, and what lies there.
fn place_step(step: &str, arguments: &str, context: &Context<'_>) -> build::Result<String> {
    match step {
        "find" => {
            let (dir, named): (PathBuf, place::Named) = of(arguments)?;
            to(&place::find(&dir, &named)?)
        }
        "isThere" => to(&place::is_there(&of::<PathBuf>(arguments)?)),
        "storeBeside" => to(&place::store_beside(&of::<PathBuf>(arguments)?)),
        "makeLive" => to(&of::<place::Place>(arguments)?.make()?),
        "buildFolder" => to(&place::build_folder(&of::<PathBuf>(arguments)?)?),
        "init" => {
            let (dir, sql): (PathBuf, bool) = of(arguments)?;
            to(&remy_db_app::init(&dir, sql)?)
        }
        "originOf" => {
            let (all, release): (Vec<files::Release>, files::Release) = of(arguments)?;
            to(&files::origin_of(&all, release).release)
        }
        "folderOf" => {
            let (store, all, number): (PathBuf, Vec<files::Release>, i64) = of(arguments)?;
            to(&files::folder_of(&store, &all, number)?)
        }
        "listFiles" => {
            let (folder, below): (PathBuf, Option<String>) = of(arguments)?;
            to(&files::list_all(&folder, below.as_deref())?)
        }
        "readFile" => {
            let (folder, path): (PathBuf, String) = of(arguments)?;
            let content = files::read(&folder, &path)?;
            // Each byte as the letter of its number.
            to(&content.map(|bytes| bytes.into_iter().map(char::from).collect::<String>()))
        }
        "checkout" => {
            let (folder, dir): (PathBuf, PathBuf) = of(arguments)?;
            to(&files::checkout(&folder, &dir, context.cancel)?)
        }
        _ => Err(Error::internal(format!("no step {step}")).into()),
    }
}

/// What came of a step, as JSON.
fn told(done: build::Result<String>) -> napi::Result<String> {
    match done {
        Ok(text) => Ok(format!("{{\"done\":{text}}}")),
        Err(refused) => json(&json!({ "refused": refused }))
            .map_err(|e| napi::Error::from_reason(e.to_string())),
    }
}

fn caught(work: impl FnOnce() -> build::Result<String>) -> build::Result<String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref()).into()))
}

/// Runs a step while its caller waits: one that only looks, or writes little.
#[napi]
pub fn step_now(name: String, arguments: String) -> napi::Result<String> {
    let context = Context {
        cancel: build::Cancel(&AtomicBool::new(false)),
        event: &|_| (),
    };
    told(caught(|| run(&name, &arguments, &context)))
}

#[derive(Deserialize)]
struct CompileMethods {
    methods: Vec<Method>,
    files: build::Files,
    tree: PathBuf,
    cache: PathBuf,
    out: PathBuf,
    installs: methods::Installs,
    esbuild: Option<PathBuf>,
    node: Option<u32>,
}

/// Compiles methods, each of which is told when it is done. Returns what the installs learnt, too.
fn compile_methods(
    mut given: CompileMethods,
    context: &Context<'_>,
) -> build::Result<serde_json::Value> {
    let compile = methods::Compile {
        methods: &given.methods,
        files: &given.files,
        tree: &given.tree,
        cache: &given.cache,
        out: &given.out,
        esbuild: given.esbuild.as_deref(),
        node: given.node,
    };
    let tell = |compiled: &methods::Compiled| (context.event)(compiled);
    let compiled = compile.run(&mut given.installs, context.cancel, &tell)?;
    Ok(json!({ "compiled": compiled, "installs": given.installs }))
}

/// Waits for the cache's lock, and says so where that takes longer.
fn hold(cache: &str, context: &Context<'_>) -> build::Result<Lock> {
    let on_wait = || (context.event)(&"waits");
    Lock::take(Path::new(cache), lock::LIMIT, context.cancel, &on_wait)
}

#[derive(Deserialize)]
struct Packages {
    folder: String,
    root: PathBuf,
    tree: PathBuf,
    cache: PathBuf,
    files: build::Files,
}

fn install(of: &Packages, cancel: build::Cancel<'_>) -> build::Result<Install> {
    let place = dependencies::Place {
        root: &of.root,
        tree: &of.tree,
        cache: &of.cache,
        files: &of.files,
    };
    dependencies::install(&of.folder, place, cancel)
}

#[derive(Deserialize)]
struct Web {
    folder: String,
    settings: Vec<String>,
    files: build::Files,
    tree: PathBuf,
    cache: PathBuf,
    to: PathBuf,
    installs: BTreeMap<String, Install>,
}

fn build_web(of: &Web, cancel: build::Cancel<'_>) -> build::Result<build::web::Built> {
    let web = build::web::Web {
        folder: &of.folder,
        settings: &of.settings,
        files: &of.files,
        tree: &of.tree,
        cache: &of.cache,
        installs: &of.installs,
    };
    build::web::build(web, &of.to, cancel)
}

fn of<'a, T: Deserialize<'a>>(text: &'a str) -> build::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| Error::internal(format!("reading an argument: {e}")).into())
}

fn to<T: Serialize>(result: &T) -> build::Result<String> {
    Ok(json(result)?)
}

/// A step of a build, once.
#[napi]
#[derive(Default)]
pub struct Step {
    cancel: Arc<AtomicBool>,
    held: Arc<Mutex<Option<Lock>>>,
}

#[napi]
impl Step {
    /// Nothing is done before [`Step::run`] or [`Step::hold`].
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls the step off.
    #[napi]
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Runs it: `{ "done" }`, or `{ "refused" }` with the error. `on_event` is given what it tells on
    /// the way.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn run<'env>(
        &self,
        env: &'env Env,
        name: String,
        arguments: String,
        on_event: Option<OnLine>,
    ) -> napi::Result<Object<'env>> {
        self.start(env, on_event, move |context| {
            run(&name, &arguments, context)
        })
    }

    /// Waits for the lock of a cache, and holds it until [`Step::release`], or for as long as this
    /// process and this object live. `on_event` is told where it has to wait.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn hold<'env>(
        &self,
        env: &'env Env,
        cache: String,
        on_event: Option<OnLine>,
    ) -> napi::Result<Object<'env>> {
        let held = self.held.clone();
        self.start(env, on_event, move |context| {
            let lock = hold(&cache, context)?;
            *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
            to(&())
        })
    }

    /// Lets go of what it holds.
    #[napi]
    pub fn release(&self) {
        drop(
            self.held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Does `work` on a thread of its own. Those of Node's pool are few, and what waits there would
    /// keep off what it waits for.
    fn start<'env>(
        &self,
        env: &'env Env,
        on_event: Option<OnLine>,
        work: impl FnOnce(&Context<'_>) -> build::Result<String> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        let cancel = self.cancel.clone();
        let thread = thread::Builder::new().name("remy step".to_owned());
        thread
            .spawn(move || {
                let event = |event: &dyn erased::Json| {
                    if let (Some(on_event), Some(text)) = (&on_event, event.text()) {
                        on_event.call(text, ThreadsafeFunctionCallMode::NonBlocking);
                    }
                };
                let context = Context {
                    cancel: build::Cancel(&cancel),
                    event: &event,
                };
                let told = told(caught(|| work(&context)));
                deferred.resolve(move |_| told);
            })
            .map_err(|e| napi::Error::from_reason(format!("starting a thread: {e}")))?;
        Ok(promise)
    }
}
