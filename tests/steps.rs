//! One step of a build, which otherwise are done in turn: what the tests of a step run, and kill.
//!
//! `remy-steps NAME`, with the arguments as a line of JSON on stdin. Writes lines of JSON:
//! `{"event"}` for what the step tells on its way, then `{"done"}` or `{"refused"}`. A second line
//! on stdin calls it off; where stdin ends before, who began it is gone, and it ends as if killed:
//! but for `remy-steps NAME now`. `remy-steps NAME wait` stays when it is done.
use remy_db::{Error, internals::typescript::Fault};
use remy_db_app::{
    Interface, Manifest, Method,
    build::{
        self, Cancel,
        dependencies::{self, Install},
        kept::Kept,
        methods, release,
    },
    package, place,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, Write as _, stdin, stdout},
    path::PathBuf,
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

static CANCEL: AtomicBool = AtomicBool::new(false);

fn main() {
    let step = std::env::args().nth(1).unwrap_or_default();
    let mut arguments = String::new();
    stdin().lock().read_line(&mut arguments).expect("arguments");
    let how = std::env::args().nth(2);
    let waits = how.as_deref() != Some("now");
    thread::spawn(move || {
        let mut more = String::new();
        if stdin()
            .lock()
            .read_line(&mut more)
            .is_ok_and(|read| read > 0)
        {
            CANCEL.store(true, Ordering::Relaxed);
        } else if waits {
            process::abort();
        }
    });
    let done = run(&step, &arguments);
    let last = done.map_or_else(
        |refused| json!({ "refused": refused }).to_string(),
        |text| format!("{{\"done\":{text}}}"),
    );
    write(&last);
    if how.as_deref() == Some("wait") {
        thread::park();
    }
    process::exit(0);
}

fn write(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .expect("who listens");
}

fn tell(event: &impl Serialize) {
    write(&json!({ "event": event }).to_string());
}

/// The step of a name.
fn run(step: &str, arguments: &str) -> build::Result<String> {
    let cancel = Cancel::new(&CANCEL);
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
        "install" => to(&install(&of(arguments)?, cancel)?),
        "build" => {
            let build: release::Build = of(arguments)?;
            to(&build.run(&|event| tell(event), cancel)?)
        }
        "compileMethods" => to(&compile_methods(of(arguments)?, cancel)?),
        "buildWeb" => to(&build_web(&of(arguments)?, cancel)?),
        "unsupportedWarning" => to(&build::stubs::warning(&of::<Vec<_>>(arguments)?)),
        _ => of_an_app(step, arguments),
    }
}

/// What is done with an app besides building it.
fn of_an_app(step: &str, arguments: &str) -> build::Result<String> {
    match step {
        "readApp" => {
            let (root, called): (PathBuf, Option<String>) = of(arguments)?;
            to(&remy_db_app::read(&root, called.as_deref())?)
        }
        "compileInterface" => {
            let (it, manifest, schemas): (Interface, Manifest, BTreeMap<String, Value>) =
                of(arguments)?;
            let mut schema = |method: &str| schemas.get(method).cloned().unwrap_or_default();
            to(&remy_db_app::compile(&it, &manifest, &mut schema))
        }
        "effects" => {
            let (manifest, interfaces): (Manifest, Vec<Interface>) = of(arguments)?;
            to(&remy_db_app::effects(&manifest, &interfaces))
        }
        "faultLine" => to(&remy_db_app::line(&of::<Fault>(arguments)?)),
        "pack" => {
            let (dir, file): (PathBuf, PathBuf) = of(arguments)?;
            to(&package::pack(&dir, &file, Cancel::new(&CANCEL))?)
        }
        "buildFolder" => to(&place::build_folder(&of::<PathBuf>(arguments)?)?),
        _ => Err(Error::invalid_argument(format!("no step {step}")).into()),
    }
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
fn compile_methods(mut given: CompileMethods, cancel: Cancel<'_>) -> build::Result<Value> {
    let compile = methods::Compile {
        methods: &given.methods,
        files: &given.files,
        tree: &given.tree,
        cache: &given.cache,
        out: &given.out,
        esbuild: given.esbuild.as_deref(),
        node: given.node,
    };
    let each = |compiled: &methods::Compiled| tell(compiled);
    let compiled = compile.run(&mut given.installs, &mut Kept::default(), cancel, &each)?;
    Ok(json!({ "compiled": compiled, "installs": given.installs }))
}

#[derive(Deserialize)]
struct Packages {
    folder: String,
    root: PathBuf,
    tree: PathBuf,
    cache: PathBuf,
    files: build::Files,
}

fn install(of: &Packages, cancel: Cancel<'_>) -> build::Result<Install> {
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

fn build_web(of: &Web, cancel: Cancel<'_>) -> build::Result<build::web::Built> {
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
    serde_json::to_string(result)
        .map_err(|e| Error::internal(format!("writing the result: {e}")).into())
}
