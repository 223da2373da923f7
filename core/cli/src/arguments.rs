//! Every command, its arguments and its flags.

use crate::{help, values};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use remy_db::{Allow, JournalMode, Options, ReleaseId, SqliteVersion};
use remy_db_app::{place::Named, project::DEFAULT};
use remy_db_server::PreviewHost;
use serde_json::Value;
use std::{
    env,
    ffi::OsString,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Where the flags of all commands stand in their help.
const LAST: usize = 900;

/// remy deploys an SQLite database like code: publish, switch in one transaction, roll back.
#[derive(Debug, Parser)]
#[command(name = "remy", version)]
pub struct Arguments {
    #[command(flatten)]
    pub place: Place,
    /// JSON on stdout; while a release is made, an event a line
    #[arg(long, global = true, display_order = LAST)]
    pub json: bool,
    /// no progress: what came of it, warnings and errors alone
    #[arg(long, short, global = true, display_order = LAST)]
    pub quiet: bool,
    /// what npm and a web build say, on stderr, as they say it
    #[arg(long, short, global = true, display_order = LAST)]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// Which folder and database a command is about.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Place {
    /// the live database (else REMY_DB, "db" in remy.json, .remy/live.db)
    #[arg(long, global = true, value_name = "FILE", display_order = LAST)]
    pub db: Option<PathBuf>,
    /// the folder of the app (else the one that holds mindstudio.json, here or above)
    #[arg(long, global = true, value_name = "DIR", display_order = LAST)]
    pub app: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// write the beginnings of an app, or of a schema
    #[command(after_help = "  remy init vendors --sql")]
    Init {
        #[arg(value_name = "DIR", help = "where to; it need not be there yet")]
        dir: Option<PathBuf>,
        /// a schema.sql and a remy.json instead of an app
        #[arg(long)]
        sql: bool,
        /// the same, of a database that is there: it is to be live, and stays where it is
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// show what a publish would do to live, what it needs, and what it loses
    #[command(after_help = "  remy diff schema.sql --db app.db")]
    Diff {
        #[arg(
            value_name = "SCHEMA",
            help = "what is compared; the app here, else the one of remy.json"
        )]
        schema: Option<String>,
        /// the statements themselves
        #[arg(long)]
        sql: bool,
        /// with --json: what stderr warns of as well, as rows of kind `warning`
        #[arg(long)]
        warnings: bool,
        /// status 1 where a publish would change something
        #[arg(long)]
        exit_code: bool,
        #[command(flatten)]
        between: Between,
        #[command(flatten)]
        clients: Clients,
        #[command(flatten)]
        change: Change,
    },
    /// make live what is declared: the app here, a schema, or a package of `remy build`
    #[command(after_help = r#"  remy publish schema.sql --db app.db -m "invoices" --allow drop"#)]
    Publish {
        /// stop before the switch: remy promote makes it live
        #[arg(long)]
        stage: bool,
        /// make no release where nothing is other than in the live one
        #[arg(long)]
        if_changed: bool,
        #[command(flatten)]
        publish: Box<Publish>,
    },
    /// publish up to the switch, and leave the release compiled
    #[command(after_help = "  remy stage schema.sql --db app.db")]
    Stage {
        #[command(flatten)]
        publish: Box<Publish>,
    },
    /// make a release live: the newest that is compiled, or any that has its database
    #[command(after_help = "  remy promote 3 --db app.db")]
    Promote {
        #[arg(value_name = "RELEASE", value_parser = values::release, help = "its number")]
        release: Option<ReleaseId>,
        #[command(flatten)]
        allow: Leave,
        #[command(flatten)]
        switch: Switch,
    },
    /// make an earlier release live again: the one before, or the one named
    #[command(after_help = "  remy rollback --dry-run --db app.db")]
    Rollback {
        #[arg(value_name = "RELEASE", value_parser = values::release, help = "its number")]
        release: Option<ReleaseId>,
        /// a name for the release that this makes, in the place of the one that it brings back
        #[arg(long, short, value_name = "TEXT", value_parser = some_text())]
        message: Option<String>,
        /// do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        switch: Switch,
    },
    /// list the releases, newest first
    #[command(after_help = "  remy releases --db app.db --json")]
    Releases {
        /// the newest so many
        #[arg(long, value_name = "N", value_parser = values::count)]
        limit: Option<u32>,
    },
    /// show the build log of a release, or of the newest one
    #[command(after_help = "  remy log 3 --db app.db")]
    Log {
        #[arg(value_name = "RELEASE", value_parser = values::release, help = "its number")]
        release: Option<ReleaseId>,
    },
    /// print the statements that make the schema of live anew, or of a release
    #[command(after_help = "  remy schema 3 --db app.db > schema.sql")]
    Schema {
        #[arg(value_name = "RELEASE", value_parser = values::release, help = "its number")]
        release: Option<ReleaseId>,
    },
    /// run SQL on live, a release, a preview, which are only read, or on a dev session's database
    #[command(after_help = r#"  remy sql "SELECT count(*) FROM users" --release 3 --db app.db"#)]
    Sql {
        #[arg(value_name = "SQL", value_parser = some_text(), help = "the statements; else stdin")]
        sql: Option<String>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        extensions: Extensions,
    },
    /// run a method of the live release, or of another, a preview, a dev session; its output is JSON on stdout
    #[command(after_help = r#"  remy invoke submit-vendor '{"name": "ACME"}' --as ap-clerk"#)]
    Invoke(Invoke),
    /// values that methods need and no release has
    #[command(subcommand)]
    Secrets(Secrets),
    /// list the calls of methods, newest first: when, how long, as whom, how they ended
    #[command(after_help = "  remy calls --failed --limit 5")]
    Calls(Calls),
    /// list the requests that were answered, newest first: how, and which call each made
    #[command(after_help = "  remy requests --failed --follow")]
    Requests(Requests),
    /// list the users of the app that is live, the first ones first
    #[command(after_help = "  remy users --json")]
    Users(Users),
    /// what the app publishes to its pages
    #[command(subcommand, after_help = "  remy events tail --channel chat")]
    Events(Events),
    /// list the cron jobs of what is live: when each runs, and how its last run ended
    #[command(after_help = "  remy cron run tidy-up")]
    Cron {
        #[command(subcommand)]
        run: Option<Cron>,
    },
    /// serve the live release, and previews: pages and methods, until it is told to end
    #[command(after_help = "  remy serve --port 8080")]
    Serve(Serve),
    /// run methods for a program that asks on stdin
    #[command(hide = true)]
    Runtime(Methods),
    /// show what is live, where, and what waits
    #[command(after_help = "  remy status --db app.db")]
    Status,
    /// read everything again, and say whether all of it is whole
    #[command(after_help = "  remy verify --db app.db")]
    Verify {
        #[command(flatten)]
        extensions: Extensions,
    },
    /// drop the databases of old releases; what a bare rollback goes to stays
    #[command(after_help = "  remy prune --older-than 30d --dry-run --db app.db")]
    Prune(Prune),
    /// list the files of a release, or print one
    #[command(after_help = "  remy files 3 mindstudio.json")]
    Files {
        #[arg(value_name = "RELEASE", value_parser = values::release, help = "its number")]
        release: ReleaseId,
        #[arg(
            value_name = "PATH",
            help = "only what is at or below it; a file as it is"
        )]
        path: Option<String>,
    },
    /// write the files of a release into a folder that is empty or not there
    #[command(after_help = "  remy checkout 3 ../release-3")]
    Checkout {
        #[arg(value_name = "RELEASE", value_parser = values::release, help = "its number")]
        release: ReleaseId,
        #[arg(value_name = "DIR", help = "where to")]
        dir: PathBuf,
    },
    /// build the app without a database; -o keeps it as a package for `remy publish`
    #[command(after_help = "  remy build -o app.tar")]
    Build {
        /// the package to write, .tar or .tar.gz
        #[arg(long, short, value_name = "FILE", value_parser = some_text())]
        out: Option<String>,
        /// the commit that is built, and not the working tree
        #[arg(long, value_name = "REF", value_parser = some_text())]
        commit: Option<String>,
    },
    /// copy live, as of one committed transaction, to a file
    #[command(after_help = "  remy clone copy.db --db app.db")]
    Clone {
        #[arg(value_name = "PATH", help = "the copy, which must not be there")]
        path: PathBuf,
    },
    /// keep a dev session as the working tree is, until Ctrl-C: build, sync its schema (--name NAME, else default)
    #[command(after_help = "  remy dev --name alice")]
    Dev(Dev),
    /// drop remy's tables from live; the store stays
    #[command(after_help = "  remy detach --db app.db")]
    Detach {
        /// do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// show what remy runs on
    #[command(after_help = "  remy debug --db app.db")]
    Debug,
    /// print what a shell completes the command by
    #[command(
        after_help = "  remy completions bash > ~/.local/share/bash-completion/completions/remy"
    )]
    Completions {
        #[arg(
            value_name = "SHELL",
            hide_possible_values = true,
            help = "bash, elvish, fish, powershell or zsh"
        )]
        shell: Shell,
    },
    /// show the version of remy
    #[command(after_help = "  remy version")]
    Version,
}

/// What follows the working tree and is served, and databases of dev sessions: copies of live that may be written to.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Dev {
    /// of the session that follows, which is started where it is not there (default)
    #[arg(long, value_name = "NAME", value_parser = some_text())]
    pub name: Option<String>,
    /// the port that it is served on; 0 is one that is free (3000, or the next that is free)
    #[arg(long, value_name = "N", value_parser = values::port)]
    pub port: Option<u16>,
    #[command(flatten)]
    pub methods: Methods,
    #[command(subcommand)]
    pub command: Option<DevCommand>,
}

#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// take a copy of live to work on
    #[command(after_help = "  remy dev start alice --db app.db")]
    Start(Session),
    /// make the schema of a copy what the working tree declares
    #[command(after_help = "  remy dev sync alice --allow drop")]
    Sync {
        #[command(flatten)]
        session: Session,
        #[command(flatten)]
        allow: Leave,
        /// table=table or table.column=column: a rename, not a drop; may be given again
        #[arg(long = "rename", value_name = "OLD=NEW", value_parser = values::rename)]
        renames: Vec<String>,
        #[command(flatten)]
        extensions: Extensions,
        #[command(flatten)]
        patience: Patience,
    },
    /// make a copy equal to live again
    #[command(after_help = "  remy dev reset alice --db app.db")]
    Reset(Session),
    /// empty every table of a copy
    #[command(after_help = "  remy dev truncate alice --db app.db")]
    Truncate {
        #[command(flatten)]
        session: Session,
        #[command(flatten)]
        extensions: Extensions,
        #[command(flatten)]
        patience: Patience,
    },
    /// empty a copy, unless the scenario says not to, and fill it by a scenario of the app's
    #[command(after_help = "  remy dev seed month-end alice")]
    Seed {
        #[arg(value_name = "SCENARIO", value_parser = some_text(), help = "its id")]
        scenario: String,
        #[command(flatten)]
        session: Session,
        #[command(flatten)]
        isolation: Isolation,
    },
    /// remove a copy
    #[command(after_help = "  remy dev stop alice --db app.db")]
    Stop(Session),
    /// list the copies
    #[command(after_help = "  remy dev list --db app.db")]
    List,
}

/// What is done with events.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// show the last ones, and go on with each as it is published, until Ctrl-C
    #[command(after_help = "  remy events tail --channel chat")]
    Tail {
        /// to this channel
        #[arg(long, value_name = "NAME", value_parser = some_text())]
        channel: Option<String>,
        /// the last so many first (10)
        #[arg(long, value_name = "N", value_parser = values::count)]
        limit: Option<u32>,
    },
}

/// What is done with cron jobs.
#[derive(Debug, Subcommand)]
pub enum Cron {
    /// run a job now, whatever its schedule says
    #[command(after_help = "  remy cron run tidy-up")]
    Run {
        /// the method that it runs
        #[arg(value_name = "JOB", value_parser = some_text())]
        job: String,
        #[command(flatten)]
        isolation: Isolation,
    },
}

/// How methods are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
#[group(skip)]
pub struct Methods {
    /// the most processes that run methods at once, each one call (two a processor, at least 4)
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub max_processes: Option<u32>,
    #[command(flatten)]
    pub isolation: Isolation,
}

/// Whether methods are shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
#[group(skip)]
pub struct Isolation {
    /// do not shut methods in: they may do what this command may
    #[arg(long)]
    pub no_isolation: bool,
}

/// What is served, and where.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Serve {
    /// the port; 0 is one that is free
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = values::port)]
    pub port: u16,
    /// the name or address that is listened on; 0.0.0.0 is all of this machine's
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1", value_parser = some_text())]
    pub host: String,
    /// a name by which others know this server; may be given again
    #[arg(long, value_name = "NAME", value_parser = values::host)]
    pub public_host: Vec<String>,
    /// where previews are, besides NAME.localhost: *.example.com, where * is the name
    #[arg(long, value_name = "PATTERN", value_parser = values::preview_host)]
    pub preview_host: Option<PreviewHost>,
    /// show codes of logins here, where this is a terminal, in the place of sending them
    #[arg(long)]
    pub codes_to_terminal: bool,
    /// show metrics for Prometheus there, at /metrics, to who has the server secret METRICS_TOKEN; a port alone is one of 127.0.0.1
    #[arg(long, value_name = "[HOST:]PORT", value_parser = values::address)]
    pub metrics: Option<(String, u16)>,
    /// believe X-Forwarded-* of a proxy on this machine, or of the one at this address
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, value_parser = values::ip)]
    pub trust_proxy: Option<Option<IpAddr>>,
    #[command(flatten)]
    pub methods: Methods,
}

/// A call of a method.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Invoke {
    #[arg(value_name = "METHOD", value_parser = some_text(), help = "its id")]
    pub method: String,
    #[arg(
        value_name = "INPUT",
        help = "what it gets, as JSON; - reads it from stdin ({})"
    )]
    pub input: Option<String>,
    /// the method as a preview has it, on the database of that
    #[arg(long, value_name = "NAME", value_parser = some_text(), conflicts_with = "release")]
    pub preview: Option<String>,
    /// as the working tree has it, on the database of a dev session (default)
    #[arg(long, value_name = "NAME", value_parser = some_text(), num_args = 0..=1, default_missing_value = DEFAULT, conflicts_with_all = ["preview", "release"])]
    pub dev: Option<String>,
    /// as a release had it, on a copy of its database
    #[arg(long, value_name = "RELEASE", value_parser = values::release)]
    pub release: Option<ReleaseId>,
    /// roles for this call, with commas or the flag again, in the place of the user's own
    #[arg(long = "as", value_name = "ROLE", value_delimiter = ',', value_parser = some_text())]
    pub roles: Vec<String>,
    /// as whom: the id of a row in the app's table of users
    #[arg(long, value_name = "ID", value_parser = some_text())]
    pub user: Option<String>,
    #[command(flatten)]
    pub isolation: Isolation,
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// set a secret to what stdin says, or what is typed
    #[command(after_help = "  remy secrets set API_TOKEN < token.txt")]
    Set {
        #[command(flatten)]
        secret: Secret,
        // Taken, so that it can be said why it is not: clap would say it again in its message.
        #[arg(hide = true, num_args = 0..)]
        never: Vec<OsString>,
    },
    /// list the names of all secrets; their values are shown nowhere
    #[command(after_help = "  remy secrets list")]
    List,
    /// remove a secret
    #[command(after_help = "  remy secrets delete API_TOKEN --dev")]
    Delete(Secret),
}

/// A secret.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Secret {
    #[arg(value_name = "KEY", help = "its name: A to Z, digits and _")]
    pub key: String,
    /// for dev sessions alone
    #[arg(long, conflicts_with = "prod")]
    pub dev: bool,
    /// for releases and previews alone
    #[arg(long)]
    pub prod: bool,
    /// the server's own, such as SMTP_URL: methods do not get it
    #[arg(long)]
    pub server: bool,
}

/// Which calls are listed.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Calls {
    /// of this method
    #[arg(long, value_name = "ID", value_parser = some_text())]
    pub method: Option<String>,
    /// those that failed, or whose process was gone before they ended
    #[arg(long)]
    pub failed: bool,
    /// the newest so many (20)
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub limit: Option<u32>,
    /// go on with each call as it ends, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
}

/// Which requests are listed.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Requests {
    /// those that were refused or failed: a status of 400 and above
    #[arg(long)]
    pub failed: bool,
    /// the newest so many (20)
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub limit: Option<u32>,
    /// go on with each request as it is answered, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
}

/// Which users are listed.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Users {
    /// the first so many (1000)
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub limit: Option<u32>,
}

/// A dev session.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Session {
    #[arg(value_name = "NAME", default_value = DEFAULT, hide_default_value = true, help = "of the session (default)")]
    pub name: String,
}

/// Releases that are compared.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Between {
    /// from what a release was, and not from live
    #[arg(long, value_name = "RELEASE", value_parser = values::release, conflicts_with = "clients")]
    pub from: Option<ReleaseId>,
    /// to what a release was, and not to what is declared
    #[arg(long, value_name = "RELEASE", value_parser = values::release, conflicts_with_all = ["clients", "schema"])]
    pub to: Option<ReleaseId>,
}

/// A database of the app's, if not live.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Which {
    /// the database of a release
    #[arg(long, value_name = "RELEASE", value_parser = values::release, conflicts_with_all = ["dev", "preview"])]
    pub release: Option<ReleaseId>,
    /// that of a dev session, which may be written to
    #[arg(long, value_name = "NAME", value_parser = some_text(), conflicts_with = "preview")]
    pub dev: Option<String>,
    /// that of a preview
    #[arg(long, value_name = "NAME", value_parser = some_text())]
    pub preview: Option<String>,
}

/// What is published, and how.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Publish {
    #[arg(
        value_name = "SCHEMA|PACKAGE",
        help = "what is published; the app here, else the schema of remy.json"
    )]
    pub schema: Option<String>,
    /// a name for the release
    #[arg(long, short, value_name = "TEXT", value_parser = some_text())]
    pub message: Option<String>,
    /// the commit: recorded with a schema; of an app, what is published
    #[arg(long, value_name = "REF", value_parser = some_text())]
    pub commit: Option<String>,
    /// stage it with a database of its own, to try it on
    #[arg(long, value_name = "NAME", value_parser = some_text())]
    pub preview: Option<String>,
    /// make the database where there is none
    #[arg(long)]
    pub create: bool,
    /// a file or folder that is kept with the release
    #[arg(long, value_name = "PATH")]
    pub artifacts: Option<PathBuf>,
    #[command(flatten)]
    pub change: Change,
    #[command(flatten)]
    pub switch: Switch,
}

/// What a schema and its plan take.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Change {
    #[command(flatten)]
    pub allow: Leave,
    /// table=table or table.column=column: a rename, not a drop; may be given again
    #[arg(long = "rename", value_name = "OLD=NEW", value_parser = values::rename)]
    pub renames: Vec<String>,
    /// JSON of roles, cron jobs, webhooks, email routes, bot commands
    #[arg(long, value_name = "FILE", value_parser = values::json_file)]
    pub effects: Option<Value>,
    /// NNNN_name.sql files, or those of another tool, run once each before the diff
    #[arg(long, value_name = "DIR")]
    pub migrations: Option<PathBuf>,
    /// tables to leave alone, beside the bookkeeping of other tools; may be given again
    #[arg(long, value_name = "GLOB", value_parser = some_text())]
    pub ignore: Vec<String>,
    #[command(flatten)]
    pub extensions: Extensions,
}

/// Leave for a change.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Leave {
    /// type_change, lossy or drop, with commas or the flag again: let the change do that; an app has @cast for its types
    #[arg(long, value_name = "LEAVE", value_delimiter = ',', value_parser = values::leave)]
    pub allow: Vec<Allow>,
}

/// Libraries of a schema.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Extensions {
    /// an SQLite extension that the schema needs; may be given again
    #[arg(long = "extension", value_name = "FILE")]
    pub extensions: Vec<PathBuf>,
}

/// Who uses live.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Clients {
    /// the oldest SQLite that is to use the database, such as 3.40: what it does not read is refused
    #[arg(long, value_name = "VERSION", value_parser = values::sqlite_version)]
    pub clients: Option<SqliteVersion>,
}

/// How long a lock is waited for.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Patience {
    /// how long to wait for the write lock (5000)
    #[arg(long, value_name = "MS", value_parser = values::whole)]
    pub lock_timeout_ms: Option<u64>,
}

/// What a switch takes.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Switch {
    /// go through everything, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub clients: Clients,
    #[command(flatten)]
    pub patience: Patience,
    /// the longest that writers may be held up (4000)
    #[arg(long, value_name = "MS", value_parser = values::whole)]
    pub max_pause_ms: Option<u64>,
    /// how long to wait for calls of methods to end (1000)
    #[arg(long, value_name = "MS", value_parser = values::whole)]
    pub drain_ms: Option<u64>,
    /// wal, or keep what the database has
    #[arg(long, value_name = "MODE", value_parser = values::journal_mode)]
    pub journal_mode: Option<JournalMode>,
    /// free disk space that a clone has to leave (256 MiB)
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub margin_bytes: Option<u64>,
    /// then drop databases of releases that are older (30)
    #[arg(long, value_name = "DAYS", value_parser = values::days)]
    pub retention_days: Option<u32>,
    /// then keep at most so many databases of releases
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub keep_releases: Option<u32>,
    /// keep at most so many bytes of them, such as 10GB
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub keep_bytes: Option<u64>,
}

/// Which databases go.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Prune {
    /// drop what stopped being live longer ago (30d)
    #[arg(long, value_name = "DAYS", value_parser = values::days)]
    pub older_than: Option<u32>,
    /// keep at most so many databases of releases
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub keep: Option<u32>,
    /// keep at most so many bytes of them, such as 10GB
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub keep_bytes: Option<u64>,
    /// go through everything, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub patience: Patience,
}

/// A text that is not empty.
fn some_text() -> clap::builder::NonEmptyStringValueParser {
    clap::builder::NonEmptyStringValueParser::new()
}

/// All that there is to parse, with its help in the words of how it was called.
pub fn command() -> clap::Command {
    help::finish(Arguments::command())
}

impl Place {
    /// The folder to look in.
    pub fn folder(&self) -> &Path {
        self.app.as_deref().unwrap_or(Path::new("."))
    }

    /// What was said of it, here and in the environment.
    pub fn named(&self) -> Named {
        Named {
            db: self.db.clone(),
            environment: env::var_os("REMY_DB").map(PathBuf::from),
            here: self.app.is_some(),
        }
    }
}

impl Publish {
    /// The options of its verb.
    pub fn options(&self) -> Options {
        let mut options = Options {
            label: self.message.clone(),
            commit: self.commit.clone(),
            preview: self.preview.clone(),
            artifacts: self.artifacts.clone(),
            ..Options::default()
        };
        self.change.set(&mut options);
        self.switch.set(&mut options);
        options
    }
}

impl Change {
    /// Sets the options that it is of.
    pub fn set(&self, options: &mut Options) {
        self.allow.set(options);
        options.renames.clone_from(&self.renames);
        options.effects.clone_from(&self.effects);
        options.migrations.clone_from(&self.migrations);
        options.ignore = (!self.ignore.is_empty()).then(|| self.ignore.clone());
        self.extensions.set(options);
    }
}

impl Leave {
    /// Sets the option that it is of.
    pub fn set(&self, options: &mut Options) {
        options.allow.extend(&self.allow);
    }
}

impl Extensions {
    /// Sets the option that it is of.
    pub fn set(&self, options: &mut Options) {
        options.extensions.clone_from(&self.extensions);
    }
}

impl Clients {
    /// Sets the option that it is of.
    pub fn set(&self, options: &mut Options) {
        options.clients = self.clients;
    }
}

impl Patience {
    /// Sets the option that it is of.
    pub fn set(&self, options: &mut Options) {
        give(&mut options.lock_timeout_ms, self.lock_timeout_ms);
    }
}

impl Switch {
    /// Sets the options that it is of.
    pub fn set(&self, options: &mut Options) {
        options.dry_run = self.dry_run;
        self.clients.set(options);
        self.patience.set(options);
        give(&mut options.max_pause_ms, self.max_pause_ms);
        give(&mut options.drain_ms, self.drain_ms);
        give(&mut options.journal_mode, self.journal_mode);
        give(&mut options.margin_bytes, self.margin_bytes);
        give(&mut options.retention_days, self.retention_days);
        options.keep_releases = self.keep_releases;
        options.keep_bytes = self.keep_bytes;
    }
}

impl Prune {
    /// The options of its verb.
    pub fn options(&self) -> Options {
        let mut options = Options {
            dry_run: self.dry_run,
            keep_releases: self.keep,
            keep_bytes: self.keep_bytes,
            ..Options::default()
        };
        self.patience.set(&mut options);
        options
    }
}

/// What was given goes before what is so without.
fn give<T>(option: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *option = given;
    }
}
