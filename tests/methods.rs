//! Runs a method that never returns, in a folder for processes, for a test that kills this:
//! `remy-methods FOLDER MODULE`.
use remy_db_runtime::{
    child::{Limits, Program, Service, Silent, Workplace},
    failure::Failure,
    pool::{Cancel, Pool, Settings},
    protocol::{Answer, Auth, Call, Load, Module, Request},
    sandbox::Isolation,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

struct Nothing;

impl Service for Nothing {
    fn answer(&self, _: &Call, _: Request, _: &dyn Fn() -> bool) -> Answer {
        Answer::Value(Value::Null)
    }
}

fn main() {
    if let Err(failure) = run() {
        println!("{}", failure.code);
    }
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, module] = &*arguments else {
        panic!("a folder and a module");
    };
    let method = Module {
        file: module.clone(),
        export: "method".to_owned(),
    };
    let load = Load {
        methods: BTreeMap::from([("method".to_owned(), method)]),
        tables: BTreeMap::new(),
        auth: None,
    };
    let program = Program::new(
        load,
        module.parent().unwrap_or(Path::new("/")),
        BTreeMap::new(),
        Limits::default(),
        Isolation::On,
        Arc::new(Workplace::new(folder)?),
    )?;
    let pool = Pool::start(program, Settings::default(), Arc::new(Nothing))?;
    println!("runs");
    let call = Call {
        id: 1,
        method: "method".to_owned(),
        input: Value::Null,
        auth: Auth::default(),
        session: Value::Null,
        request: None,
        origin: None,
        stream: false,
        callback: None,
    };
    pool.call(call, Arc::new(Silent), &Cancel::default())?;
    Ok(())
}
