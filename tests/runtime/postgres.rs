//! The escape hatch: a method that works on a database of its own, by a client of npm's, from within
//! the jail. A real PostgreSQL, a cluster of the test's own.
use super::{call, output, runtime};
use remy_db_runtime::{
    runtime::Invoke,
    secrets::{For, Secrets, Whose},
};
use remy_tests::{live::App, not_covered, output as run, publish_in, stdout};
use serde_json::json;
use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The folder of PostgreSQL's programs: Debian keeps them beside each other by version, and off the
/// path.
fn programs() -> Option<PathBuf> {
    let of_debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let of_debian = of_debian.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = env::split_paths(&path).chain(of_debian).collect();
    all.retain(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file());
    all.pop()
}

/// A cluster that is the test's own. It ends with this.
struct Cluster {
    postgres: Child,
    port: u16,
    folder: tempfile::TempDir,
}

const PASSWORD: &str = "correct horse/battery@staple";

impl Cluster {
    fn start(programs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its own user has to come in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        fs::create_dir(&data).unwrap();
        fs::write(&password, PASSWORD).unwrap();
        // SAFETY: asks for a number.
        let is_root = unsafe { libc::geteuid() } == 0;
        if is_root {
            stdout(
                Command::new("chown")
                    .arg("postgres:")
                    .args([&data, &password]),
            );
        }
        // PostgreSQL does not run as root.
        let program = |name: &str| {
            let program = programs.join(name);
            if !is_root {
                return Command::new(program);
            }
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            // Where the test is killed as well.
            command.args(["--pdeathsig=QUIT", "--"]).arg(program);
            command
        };
        stdout(
            program("initdb")
                .args(["--auth=scram-sha-256", "--username=app", "--no-sync"])
                .args(["--locale=C", "--encoding=UTF8", "-D"])
                .arg(&data)
                .arg(format!("--pwfile={}", password.display()))
                .current_dir(&data),
        );
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let postgres = program("postgres")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", "", "-D"])
            .arg(&data)
            .current_dir(&data)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut cluster = Self {
            postgres,
            port,
            folder,
        };
        cluster.wait(programs);
        cluster
    }

    fn wait(&mut self, programs: &Path) {
        let until = Instant::now() + Duration::from_secs(60);
        let port = self.port.to_string();
        let mut asks = Command::new(programs.join("pg_isready"));
        asks.args(["-q", "-h", "127.0.0.1", "-p", &port]);
        while !run(&mut asks).status.success() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            assert!(
                self.postgres.try_wait().unwrap().is_none() && Instant::now() < until,
                "PostgreSQL does not start: {log:?}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn url(&self) -> String {
        let password = PASSWORD.replace(' ', "%20").replace('/', "%2F");
        let password = password.replace('@', "%40");
        format!("postgres://app:{password}@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SAFETY: it is a child of this test's that was not waited for.
        unsafe { libc::kill(self.postgres.id().cast_signed(), libc::SIGQUIT) };
        let _ = self.postgres.wait();
    }
}

const METHOD: &str = r#"
import { db } from '@mindstudio-ai/agent';
import pg from 'pg';

export const Seen = db.defineTable<{ sku: string }>('seen');
const pool = new pg.Pool({ connectionString: process.env.WAREHOUSE_URL, max: 2 });

export async function stock(input: { sku: string; add: number }) {
  await pool.query('CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY, n integer NOT NULL)');
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query(
      'INSERT INTO stock VALUES ($1, $2) ON CONFLICT (sku) DO UPDATE SET n = stock.n + $2 RETURNING n',
      [input.sku, input.add],
    );
    if (rows[0].n < 0) throw new Error(`not enough of ${input.sku}`);
    await client.query('COMMIT');
    await Seen.push({ sku: input.sku });
    return { n: rows[0].n, seen: await Seen.count() };
  } catch (e) {
    await client.query('ROLLBACK');
    throw e;
  } finally {
    client.release();
  }
}

export async function version() {
  return (await pool.query('SHOW server_version')).rows[0].server_version;
}
"#;

#[test]
fn a_method_works_on_a_postgresql_by_a_client_of_npms() {
    let is_ci = env::var_os("CI").is_some();
    let Some(programs) = programs() else {
        assert!(!is_ci, "PostgreSQL is not installed: .ci/run installs it");
        not_covered("a method on PostgreSQL", "PostgreSQL is not installed");
        return;
    };
    let app = App::empty();
    app.file(
        "n/mindstudio.json",
        r#"{ "name": "n", "tables": [{ "path": "m.ts", "export": "Seen" }],
             "methods": [{ "id": "stock", "path": "m.ts", "export": "stock" }, { "id": "version", "path": "m.ts", "export": "version" }] }"#,
    );
    app.file(
        "n/package.json",
        r#"{ "dependencies": { "pg": "8.23.1" } }"#,
    );
    app.file("n/m.ts", METHOD);
    if let Err(e) = publish_in(&app.dir.path().join("n"), Some(&app.live), None) {
        let why = e.to_string();
        assert!(!is_ci, "{why}");
        not_covered("a method on PostgreSQL", &why);
        return;
    }
    let cluster = Cluster::start(&programs);
    Secrets::of(&app.store(""))
        .set("WAREHOUSE_URL", Whose::App, For::Both, &cluster.url())
        .unwrap();
    let runtime = runtime(&app);
    let stock = |add: i64| json!({ "sku": "tea", "add": add });
    assert_eq!(
        output(&runtime, "stock", stock(5)),
        json!({ "n": 5, "seen": 1 })
    );
    assert_eq!(
        output(&runtime, "stock", stock(-3)),
        json!({ "n": 2, "seen": 2 })
    );
    let failure = call(&runtime, Invoke::new("stock", stock(-3))).unwrap_err();
    assert!(failure.message.contains("not enough of tea"), "{failure:?}");
    assert_eq!(output(&runtime, "stock", stock(0))["n"], 2, "rolled back");
    let version = output(&runtime, "version", json!({}));
    eprintln!("PostgreSQL {version}");
    // Where it is gone, the method fails, and says so without the password.
    drop(cluster);
    let failure = call(&runtime, Invoke::new("version", json!({}))).unwrap_err();
    assert!(!format!("{failure:?}").contains("battery"), "{failure:?}");
}
