//! Runs one verb on a database, and prints its JSON or its error: the process that tests kill, and whose disk they fill.
//!
//! `remy-driver DATABASE VERB [ARGUMENT [OPTIONS]]`; with `REMY_PEAK` set, the most memory that it had, in KiB, on stderr.
use remy_core::{Options, Progress, Remy, Result};
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = run(&arguments);
    if std::env::var_os("REMY_PEAK").is_some() {
        eprintln!("{}", peak().unwrap_or_default());
    }
    match result {
        Ok(value) => println!("{value}"),
        Err(e) => {
            println!("{}", json!(e));
            std::process::exit(e.exit_code().into());
        }
    }
}

fn run(arguments: &[String]) -> Result<Value> {
    let argument = |i: usize| arguments.get(i).map(String::as_str);
    let app = Remy::open(argument(0).unwrap_or_default())?;
    let text = argument(2).unwrap_or_default();
    let release = text.parse().ok();
    let options = Options::from_json(argument(3).unwrap_or_default())?;
    let go = Progress::none();
    Ok(match argument(1).unwrap_or_default() {
        "publish" => json!(app.publish(text, &options, go)?),
        "stage" => json!(app.stage(text, &options, go)?),
        "promote" => json!(app.promote(release, &options, go)?),
        "rollback" => json!(app.rollback(release, &options, go)?),
        "releases" => json!(app.releases()?),
        "prune" => json!(app.prune(text.parse().ok(), &options)?),
        "verify" => json!(app.verify()?),
        "dev_start" => json!(app.dev_start(text)?),
        "dev_reset" => json!(app.dev_reset(text)?),
        "dev_truncate" => json!(app.dev_truncate(text)?),
        "dev_stop" => json!(app.dev_stop(text)?),
        verb => return Err(remy_core::Error::invalid_argument(format!("no verb {verb:?}"))),
    })
}

fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}
