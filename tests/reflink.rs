//! Clones by reflink: on a file system that has it, made in a file and mounted, where this machine
//! allows that. Where it does not, the run says so.
use remy_db::{CopyMethod, Options, Progress, Remy};
use remy_tests::{not_covered, output, shell, stdout, writer, writer::Writer};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

const V1: &str =
    "CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE);
    CREATE TABLE pad (id INTEGER PRIMARY KEY, a BLOB);";

/// A file system in a file. Unmounted when dropped, however the test ends.
struct Mounted {
    dir: tempfile::TempDir,
}

impl Mounted {
    /// Says why there is none where there cannot be one.
    fn new(kind: &str, options: &[&str]) -> Result<Self, String> {
        // SAFETY: takes nothing and cannot fail.
        if unsafe { libc::geteuid() } != 0 {
            return Err("only root may mount".into());
        }
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        // 4 GiB, most of it a hole: xfs takes no less than 300 MB.
        File::create(&image).unwrap().set_len(4 << 30).unwrap();
        let run = |command: &mut Command| {
            let program = command.get_program().to_string_lossy().into_owned();
            match command.output() {
                Ok(out) if out.status.success() => Ok(()),
                Ok(out) => Err(format!(
                    "{program}: {}",
                    String::from_utf8_lossy(&out.stderr).trim()
                )),
                Err(e) => Err(format!("{program}: {e}")),
            }
        };
        run(Command::new(format!("mkfs.{kind}"))
            .args(options)
            .arg("-q")
            .arg(&image))?;
        std::fs::create_dir(dir.path().join("disk")).unwrap();
        let mounted = Self { dir };
        run(Command::new("mount")
            .args(["-t", kind, "-o", "loop"])
            .arg(&image)
            .arg(mounted.path()))?;
        Ok(mounted)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("disk")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let path = self.path();
        if !mounts.lines().any(|line| {
            line.split(' ')
                .nth(1)
                .is_some_and(|at| Path::new(at) == path)
        }) {
            return;
        }
        // Lazily where somebody is still in it: the loop device goes with the last of them.
        if !output(Command::new("umount").arg(&path)).status.success() {
            let lazily = output(Command::new("umount").arg("--lazy").arg(&path));
            if !lazily.status.success() {
                eprintln!("{} stays mounted: {lazily:?}", path.display());
            }
        }
    }
}

fn on(kind: &str, options: &[&str]) {
    match Mounted::new(kind, options) {
        Ok(disk) => reflinks(&disk.path()),
        Err(why) => not_covered(&format!("clones by reflink on {kind}"), &why),
    }
}

fn reflinks(disk: &Path) {
    let live = disk.join("app.db");
    let rows = "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 20000)";
    shell(
        &live,
        &format!(
            "PRAGMA journal_mode = wal; {V1} {rows} INSERT INTO pad SELECT i, randomblob(500) FROM c;"
        ),
    );
    let app = Remy::open(&live).unwrap();

    clones_are_copies(&app, &live, disk);
    let writers = vec![Writer::start(&live, 1), Writer::start(&live, 2)];
    clones_hold_what_was_written_before(&app, &live, disk);
    for n in 0..3 {
        let schema = format!("{V1} CREATE TABLE t{n} (a);");
        let published = app
            .publish(&schema, &Options::default(), Progress::none())
            .unwrap();
        assert!(
            published
                .log
                .iter()
                .any(|line| line.message.contains(", reflink]")),
            "{:#?}",
            published.log
        );
        app.rollback(None, &Options::default(), Progress::none())
            .unwrap();
    }
    assert!(writers.iter().all(Writer::is_writing));
    let verified = app.verify().unwrap();
    assert!(verified.ok, "{verified:#?}");
    let snapshots = std::fs::read_dir(disk.join("app.db-remy/snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    writer::account(snapshots.chain([live.clone()]), writers);
}

/// Nobody writes: the clone is what a plain copy is, with all of it in the main file and with
/// some of it in the WAL.
fn clones_are_copies(app: &Remy, live: &Path, disk: &Path) {
    for (n, change) in [
        "PRAGMA wal_checkpoint(TRUNCATE);",
        "UPDATE pad SET a = randomblob(500) WHERE id % 100 = 1;",
    ]
    .into_iter()
    .enumerate()
    {
        // A connection that stays keeps the WAL.
        let mut keeps = remy_tests::Shell::open(live);
        keeps.run(&format!(
            "PRAGMA wal_autocheckpoint = 0; {change} SELECT count(*) FROM pad;"
        ));
        let (clone, copy) = (
            disk.join(format!("clone-{n}.db")),
            disk.join(format!("copy-{n}.db")),
        );
        assert_eq!(app.clone_to(&clone).unwrap().method, CopyMethod::Reflink);
        for suffix in ["", "-wal"] {
            let (from, to) = (
                format!("{}{suffix}", live.display()),
                format!("{}{suffix}", copy.display()),
            );
            stdout(Command::new("cp").arg("--reflink=never").args([from, to]));
        }
        shell(&copy, "PRAGMA wal_checkpoint(TRUNCATE)");
        assert!(
            std::fs::read(&clone).unwrap() == std::fs::read(&copy).unwrap(),
            "clone {n} is not the copy"
        );
    }
}

/// Two writers write meanwhile.
fn clones_hold_what_was_written_before(app: &Remy, live: &Path, disk: &Path) {
    for n in 0..10 {
        let clone = disk.join("clone.db");
        let before: u64 = shell(live, "SELECT count(*) FROM app_writes")
            .trim()
            .parse()
            .unwrap();
        assert_eq!(app.clone_to(&clone).unwrap().method, CopyMethod::Reflink);
        let after: u64 = shell(live, "SELECT count(*) FROM app_writes")
            .trim()
            .parse()
            .unwrap();
        let found = shell(
            &clone,
            "PRAGMA integrity_check; SELECT count(*) FROM app_writes; SELECT coalesce(max(id), 0) FROM app_writes",
        );
        let [ok, count, last] = found.lines().collect::<Vec<_>>()[..] else {
            panic!("{found}")
        };
        let (count, last): (u64, u64) = (count.parse().unwrap(), last.parse().unwrap());
        // Each writer's keys come in order, and none is missing before the last.
        assert!(
            ok == "ok" && count == last && (before..=after).contains(&count),
            "{n}: {before} {found} {after}"
        );
        std::fs::remove_file(clone).unwrap();
    }
}

#[test]
fn on_xfs() {
    on("xfs", &["-m", "reflink=1"]);
}

#[test]
fn on_btrfs() {
    on("btrfs", &[]);
}
