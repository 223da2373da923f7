//! What the benchmarks share: measurements, the table of Markdown that they print, and where it was
//! measured.
use std::{
    error::Error,
    fmt,
    fs::{self, File},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// What a benchmark returns, or why it could not go on.
pub type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Measurements of one thing, in ms.
#[derive(Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// One more.
    pub fn push(&mut self, ms: f64) {
        self.0.push(ms);
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The shortest.
    pub fn least(&self) -> Value {
        self.at(0.0)
    }

    /// The one in the middle.
    pub fn median(&self) -> Value {
        self.at(0.5)
    }

    /// The one that 99 of 100 do not exceed.
    pub fn p99(&self) -> Value {
        self.at(0.99)
    }

    /// The smallest measurement that so large a part of all does not exceed.
    fn at(&self, part: f64) -> Value {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() as f64 * part).ceil() as usize;
        Value {
            amount: sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN),
            unit: "ms",
        }
    }
}

/// An amount of something.
#[derive(Clone, Copy)]
pub struct Value {
    /// How much.
    pub amount: f64,
    /// Of what.
    pub unit: &'static str,
}

impl Value {
    /// The same of milliseconds, in microseconds.
    pub fn micros(self) -> Self {
        Self {
            amount: self.amount * 1e3,
            unit: "µs",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.amount < 100.0 { 1 } else { 0 };
        write!(f, "{:.digits$} {}", self.amount, self.unit)
    }
}

/// A line of the table.
pub struct Row {
    what: String,
    size: Option<u64>,
    remy: Value,
    least: Option<Value>,
    alternative: Option<(String, Value)>,
    /// What it is to reach, and whether it does.
    target: Option<(String, bool)>,
}

impl Row {
    /// What remy takes for something.
    pub fn new(what: impl Into<String>, remy: Value) -> Self {
        Self {
            what: what.into(),
            size: None,
            remy,
            least: None,
            alternative: None,
            target: None,
        }
    }

    /// Of a database of so many MB.
    pub fn of_size(self, size: u64) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }

    /// The shortest.that it took.
    pub fn with_least(self, least: Value) -> Self {
        Self {
            least: Some(least),
            ..self
        }
    }

    /// What it takes without remy.
    pub fn against(self, what: &str, value: Value) -> Self {
        Self {
            alternative: Some((what.to_owned(), value)),
            ..self
        }
    }

    /// It is to be no more than this.
    pub fn at_most(self, limit: f64) -> Self {
        Self {
            target: Some((
                format!("≤ {limit} {}", self.remy.unit),
                self.remy.amount <= limit,
            )),
            ..self
        }
    }

    /// It is to be no more than this part of the alternative.
    pub fn ratio_at_most(self, limit: f64) -> Self {
        Self {
            target: Some((
                format!("≤ {limit}"),
                self.ratio().is_some_and(|ratio| ratio <= limit),
            )),
            ..self
        }
    }

    /// It is to be no more than this above the alternative.
    pub fn over_at_most(self, limit: f64) -> Self {
        let over = self
            .alternative
            .as_ref()
            .map(|(_, value)| self.remy.amount - value.amount);
        let target = format!("≤ {limit} {} over it", self.remy.unit);
        Self {
            target: Some((target, over.is_some_and(|over| over <= limit))),
            ..self
        }
    }

    fn ratio(&self) -> Option<f64> {
        self.alternative
            .as_ref()
            .map(|(_, value)| self.remy.amount / value.amount)
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let (target, met) = match &self.target {
            Some((target, met)) => (target.clone(), if *met { "met" } else { "MISSED" }),
            None => (String::new(), ""),
        };
        [
            self.what.clone(),
            self.size.map_or(String::new(), |size| format!("{size} MB")),
            self.remy.to_string(),
            self.least.map_or(String::new(), |least| least.to_string()),
            self.alternative
                .as_ref()
                .map_or(String::new(), |(what, value)| format!("{what}: {value}")),
            self.ratio()
                .map_or(String::new(), |ratio| format!("{ratio:.2}")),
            target,
            met.into(),
        ]
    }
}

/// The columns, and which of them stand to the right: sizes, times and ratios do.
const COLUMNS: [(&str, bool); 8] = [
    ("what", false),
    ("size", true),
    ("remy", true),
    ("shortest", true),
    ("without remy", false),
    ("ratio", true),
    ("target", false),
    ("", false),
];

/// All lines, aligned, as Markdown. A column in which no line has anything is left out.
#[derive(Default)]
pub struct Table(Vec<[String; COLUMNS.len()]>);

impl Table {
    /// One more line.
    pub fn add(&mut self, row: Row) {
        self.0.push(row.cells());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = COLUMNS.map(|(name, _)| name.to_owned());
        let shown = |&i: &usize| self.0.iter().any(|cells| !cells[i].is_empty());
        let width = |i: usize| {
            self.0
                .iter()
                .chain([&header])
                .map(|cells| cells[i].chars().count())
                .max()
                .unwrap_or(0)
        };
        let columns: Vec<_> = (0..COLUMNS.len())
            .filter(shown)
            .map(|i| (i, width(i), COLUMNS[i].1))
            .collect();
        let line = |f: &mut fmt::Formatter<'_>, cells: &[String; COLUMNS.len()]| {
            for &(i, width, right) in &columns {
                let cell = &cells[i];
                if right {
                    write!(f, "| {cell:>width$} ")?
                } else {
                    write!(f, "| {cell:<width$} ")?
                }
            }
            writeln!(f, "|")
        };
        line(f, &header)?;
        for &(_, width, right) in &columns {
            write!(
                f,
                "|{}{}",
                "-".repeat(width + 1),
                if right { ":" } else { "-" }
            )?;
        }
        writeln!(f, "|")?;
        self.0.iter().try_for_each(|cells| line(f, cells))
    }
}

/// How many turns are asked for by `--turns`; else `usual`.
pub fn turns(usual: usize) -> Done<usize> {
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        // What else there is, is for another benchmark.
        if argument == "--turns" {
            return Ok(arguments.next().ok_or("--turns takes a number")?.parse()?);
        }
    }
    Ok(usual)
}

/// The parts that are asked for by `--only`; none is all.
pub fn only() -> Vec<String> {
    let arguments = Vec::from_iter(std::env::args());
    let named = arguments.windows(2).filter(|pair| pair[0] == "--only");
    named.map(|pair| pair[1].clone()).collect()
}

/// The memory of a process, by its folder in `/proc`, in MiB: what it shares counts in part (PSS).
/// Nothing where it is gone.
pub fn pss(process: &Path) -> Option<Value> {
    let rollup = fs::read_to_string(process.join("smaps_rollup")).ok()?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: f64 = pss.trim().trim_end_matches(" kB").parse().ok()?;
    Some(Value {
        amount: kib / 1024.0,
        unit: "MiB",
    })
}

/// How busy the machine is: to be asked before there is work of one's own.
pub fn load() -> Done<String> {
    Ok(fs::read_to_string("/proc/loadavg")?
        .split(' ')
        .next()
        .unwrap_or("?")
        .to_owned())
}

/// One line about where this runs, with the `versions` of what was measured.
pub fn machine(dir: &Path, versions: &str, load: &str) -> Done<String> {
    let value = |path: &str, key: &str| -> Done<String> {
        let text = fs::read_to_string(path)?;
        let line = text
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default();
        Ok(line
            .split_once(':')
            .map_or("?", |(_, value)| value.trim())
            .to_owned())
    };
    let memory: u64 = value("/proc/meminfo", "MemTotal")?
        .trim_end_matches(" kB")
        .parse()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let file_system = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (at, kind) = (fields.nth(1)?, fields.next()?);
            dir.starts_with(at).then_some((at.len(), kind))
        })
        .max_by_key(|(length, _)| *length)
        .map_or("?", |(_, kind)| kind);
    Ok(format!(
        "{}, {} cores, {:.0} GiB of memory, Linux {}, {file_system}; {versions}; load at the start {load}.",
        value("/proc/cpuinfo", "model name")?,
        std::thread::available_parallelism()?,
        memory as f64 / f64::from(1 << 20),
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
    ))
}

/// A folder, until this is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes it anew.
    pub fn new(path: &Path) -> Done<Self> {
        let mounted = path.join("xfs");
        if mounted.exists() {
            // A run that was killed left it; where it is not mounted, this fails and does no harm.
            let _ = Command::new("umount")
                .arg(&mounted)
                .stderr(Stdio::null())
                .status();
        }
        let _ = fs::remove_dir_all(path);
        fs::create_dir_all(path)?;
        Ok(Self(path.canonicalize()?))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes out all that is dirty on the file system, so that nobody pays for what came before.
pub fn write_out(dir: &Path) -> Done {
    let folder = File::open(dir)?;
    // SAFETY: the descriptor is open.
    match unsafe { libc::syncfs(folder.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Runs a command that has to succeed.
pub fn run(command: &mut Command) -> Done {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr)).into())
}

/// A duration as it is measured here.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Says what is at work, to whom it may concern.
pub fn progress(what: &str) {
    eprintln!("{what}");
}
