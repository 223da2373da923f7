//! `cargo bench -p remy-tests --bench apps [-- --turns N]`: what publishing the example app takes,
//! beside what its builds take alone.
//!
//! Everything is measured in one run, in turns. Prints a table of Markdown. No test: nothing fails
//! for being slow.
use remy_tests::{
    report::{
        Done, Folder, Row, Sample, Table, load, machine, ms, progress, run, turns, write_out,
    },
    repository, stdout,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The method that is changed, and its file.
const METHOD: (&str, &str) = ("update-vendor", "dist/methods/src/updateVendor.ts");
const WEB: &str = "dist/interfaces/web";

fn main() -> Done {
    let turns = turns(15)?;
    let load = load()?;
    let dir = Folder::new(&repository("target/bench-app"))?;
    progress("the example app: installing");
    let bench = Bench::new(&dir.0)?;
    let mut times = Times::default();
    for turn in 1..=turns {
        progress(&format!("the example app: turn {turn} of {turns}"));
        bench.turn(turn, &mut times)?;
    }

    let versions = format!(
        "remy {}, Node.js {}",
        remy_db::VERSION,
        stdout(Command::new("node").arg("-v")).trim()
    );
    println!(
        "{}\n\n{}",
        machine(&dir.0, &versions, &load)?,
        times.table()
    );
    println!("{}", NOTES.replace("{turns}", &turns.to_string()));
    if !bench.git {
        println!("- There is no git here: the app is no repository.");
    }
    Ok(())
}

const NOTES: &str = "\
- Medians and the shortest of {turns} turns; a target is judged by the median. A publish is the command `remy publish`, from its
  start to its end; everything dirty is written out before each.
- The app of tests/app: 13 methods, 3 tables, 9 interfaces, with its packages installed, in a git repository; its own small database.
- First publish: a new database, and nothing compiled. Unchanged: right after it. One method changed: its text. Web interface
  changed: the text of its main.tsx.
- `vite build` alone: the web project's own, in another installed copy, without npm. esbuild alone: its binary, on the same files with
  what its command can be told of a publish's options: no plugin, loaders, banner or metafile; its output written.
  Node.js twice: started and ended, as a publish does for the command and for its worker.";

/// What everything took.
#[derive(Default)]
struct Times {
    first: Sample,
    unchanged: Sample,
    method: Sample,
    web: Sample,
    vite: Sample,
    esbuild: Sample,
    esbuild_one: Sample,
    node: Sample,
}

impl Times {
    fn table(&self) -> Table {
        let row =
            |what: &str, remy: &Sample| Row::new(what, remy.median()).with_least(remy.least());
        let vite = self.vite.median();
        let mut table = Table::default();
        table.add(
            row("first publish", &self.first)
                .against("`vite build`", vite)
                .over_at_most(500.0),
        );
        table.add(
            row("first publish", &self.first)
                .against("esbuild, all methods", self.esbuild.median()),
        );
        table.add(
            row("code unchanged", &self.unchanged)
                .against("Node.js twice", self.node.median())
                .at_most(150.0),
        );
        table.add(
            row("one method changed", &self.method)
                .against("esbuild, that one", self.esbuild_one.median())
                .at_most(200.0),
        );
        table.add(
            row("web interface changed", &self.web)
                .against("`vite build`", vite)
                .over_at_most(500.0),
        );
        table
    }
}

struct Bench {
    app: PathBuf,
    /// An installed copy, which is built without remy.
    alone: PathBuf,
    package: PathBuf,
    /// The files of all methods.
    methods: Vec<String>,
    git: bool,
}

impl Bench {
    /// Publishes the app once, so that its packages are installed.
    fn new(dir: &Path) -> Done<Self> {
        let (app, alone, package) = (
            dir.join("app"),
            dir.join("alone"),
            repository("node-binding"),
        );
        if !package.join("node_modules/esbuild").exists() {
            run(Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--silent"])
                .current_dir(&package))?;
        }
        run(Command::new("cp")
            .arg("-r")
            .arg(repository("tests/app"))
            .arg(&app))?;
        let manifest: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(app.join("mindstudio.json"))?)?;
        let methods = manifest["methods"].as_array().ok_or("no methods")?;
        let methods = methods
            .iter()
            .filter_map(|method| method["path"].as_str().map(str::to_owned))
            .collect();
        let git = repository_of(&app).is_ok();
        let bench = Self {
            app,
            alone,
            package,
            methods,
            git,
        };
        bench.publish(&[])?;
        run(Command::new("cp")
            .arg("-a")
            .arg(bench.app.join(".remy/cache/source"))
            .arg(&bench.alone))?;
        // Once for the page cache.
        bench.builds(&mut Times::default())?;
        Ok(bench)
    }

    /// What is built without remy.
    fn builds(&self, times: &mut Times) -> Done {
        times.vite.push(self.vite()?);
        times.esbuild.push(self.esbuild(&self.methods)?);
        times
            .esbuild_one
            .push(self.esbuild(&[METHOD.1.to_owned()])?);
        times.node.push(self.node()?);
        Ok(())
    }

    fn turn(&self, turn: usize, times: &mut Times) -> Done {
        self.builds(times)?;
        let method = |how: &str| format!("{how} {}", METHOD.0);
        let web = |how: &str| format!("{how} web interface");
        self.forget()?;
        times
            .first
            .push(self.publish(&[method("Compiled"), web("Compiled")])?);
        times
            .unchanged
            .push(self.publish(&[method("Reused"), web("Reused")])?);
        self.change(METHOD.1, &format!("export const turn = {turn};"))?;
        times
            .method
            .push(self.publish(&[method("Compiled"), web("Reused")])?);
        self.change(
            &format!("{WEB}/src/main.tsx"),
            &format!("document.title = 'turn {turn}';"),
        )?;
        times
            .web
            .push(self.publish(&[method("Reused"), web("Compiled")])?);
        Ok(())
    }

    /// Publishes the app, which has to do what `done` says.
    fn publish(&self, done: &[String]) -> Done<f64> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remy-command"));
        command.arg("publish").current_dir(&self.app);
        let esbuild = format!(
            "node_modules/@esbuild/linux-{}/bin/esbuild",
            if cfg!(target_arch = "aarch64") {
                "arm64"
            } else {
                "x64"
            }
        );
        command
            .env("ESBUILD_BINARY_PATH", self.package.join(esbuild))
            .env_remove("REMY_DB");
        write_out(&self.app)?;
        let start = Instant::now();
        let out = command.output()?;
        let took = ms(start.elapsed());
        let told = String::from_utf8_lossy(&out.stderr);
        match done.iter().find(|what| !told.contains(what.as_str())) {
            None if out.status.success() => Ok(took),
            missing => Err(format!("{command:?}: {}, {missing:?}\n{told}", out.status).into()),
        }
    }

    /// Takes the database away, and what is compiled, but not the packages.
    fn forget(&self) -> Done {
        let own = self.app.join(".remy");
        for name in ["live.db-remy", "cache/methods", "cache/web"] {
            fs::remove_dir_all(own.join(name))?;
        }
        for name in ["live.db", "live.db-wal", "live.db-shm"] {
            let _ = fs::remove_file(own.join(name));
        }
        Ok(())
    }

    /// Adds a line to a file of the app as it was at first.
    fn change(&self, file: &str, line: &str) -> Done {
        let text = fs::read_to_string(repository("tests/app").join(file))?;
        Ok(fs::write(self.app.join(file), format!("{text}\n{line}\n"))?)
    }

    /// The web project's own build.
    fn vite(&self) -> Done<f64> {
        let mut vite = Command::new("node");
        vite.args(["node_modules/vite/bin/vite.js", "build"])
            .current_dir(self.alone.join(WEB));
        self.time(vite.env("NODE_ENV", "production"))
    }

    /// Bundles methods as remy does.
    fn esbuild(&self, methods: &[String]) -> Done<f64> {
        let mut esbuild = Command::new(self.package.join("node_modules/esbuild/bin/esbuild"));
        esbuild.args([
            "--bundle",
            "--platform=node",
            "--target=node20",
            "--format=esm",
            "--charset=utf8",
        ]);
        esbuild.args([
            "--sourcemap",
            "--out-extension:.js=.mjs",
            "--outdir=out",
            "--log-level=error",
        ]);
        self.time(esbuild.args(methods).current_dir(&self.alone))
    }

    fn node(&self) -> Done<f64> {
        let once = || self.time(Command::new("node").args(["-e", "0"]));
        Ok(once()? + once()?)
    }

    fn time(&self, command: &mut Command) -> Done<f64> {
        write_out(&self.alone)?;
        let start = Instant::now();
        run(command)?;
        Ok(ms(start.elapsed()))
    }
}

/// Makes the app a repository, as it is where it is worked on.
fn repository_of(app: &Path) -> Done {
    let git = |arguments: &[&str]| run(Command::new("git").args(arguments).current_dir(app));
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&[
        "-c",
        "user.name=remy",
        "-c",
        "user.email=remy@example.com",
        "commit",
        "--quiet",
        "--message",
        "The app",
    ])
}
