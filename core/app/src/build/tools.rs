//! The tools that install packages: each knows its lock.

use serde::Serialize;

/// A tool, and how it is called.
#[derive(Debug, Serialize)]
pub struct Tool {
    /// The file by which it is chosen; '' for none.
    pub lock: &'static str,
    /// The program.
    pub program: &'static str,
    /// What it is told to do.
    pub arguments: &'static [&'static str],
    /// And how, however it is told.
    pub flags: &'static [&'static str],
    /// And for all of a workspace.
    pub for_workspace: &'static [&'static str],
    /// What its environment has besides.
    pub variables: &'static [(&'static str, &'static str)],
}

// One fetch that is not answered fails after twice 12 s: npm's own limits are 5 minutes, three times.
const FLAGS: &[&str] = &[
    "--include=dev",
    "--fetch-timeout=12000",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=200",
    "--fetch-retry-maxtimeout=1000",
    "--no-audit",
    "--no-fund",
    "--no-progress",
    "--no-update-notifier",
];

/// npm, by its own lock.
pub const NPM: Tool = Tool {
    lock: "package-lock.json",
    program: "npm",
    arguments: &["ci"],
    flags: FLAGS,
    for_workspace: &[],
    variables: &[],
};

const BUN: Tool = Tool {
    lock: "bun.lock",
    program: "bun",
    arguments: &["install"],
    flags: &[],
    for_workspace: &["--linker=hoisted"],
    variables: &[],
};

/// By their locks, the first that is there decides. All tools lay packages out in one flat
/// node_modules, so that the ones that cannot be bundled can be taken along. Other tools than npm
/// cannot take a lock as it stands once the SDK's packages are out of package.json; they keep the
/// versions that it names. A setting of yarn 1 that begins with YARN_ is an error to newer ones.
pub const TOOLS: [Tool; 6] = [
    NPM,
    Tool {
        lock: "npm-shrinkwrap.json",
        ..NPM
    },
    Tool {
        lock: "pnpm-lock.yaml",
        program: "pnpm",
        arguments: &[
            "install",
            "--no-frozen-lockfile",
            "--ignore-workspace",
            "--config.node-linker=hoisted",
            "--fetch-timeout=12000",
            "--fetch-retries=1",
        ],
        flags: &[],
        for_workspace: &[],
        variables: &[],
    },
    Tool {
        lock: "yarn.lock",
        program: "yarn",
        arguments: &["install"],
        flags: &[],
        for_workspace: &[],
        variables: &[
            ("YARN_NODE_LINKER", "node-modules"),
            ("YARN_ENABLE_IMMUTABLE_INSTALLS", "false"),
            ("npm_config_network_timeout", "12000"),
            ("YARN_HTTP_TIMEOUT", "12000"),
            ("YARN_HTTP_RETRY", "1"),
        ],
    },
    BUN,
    Tool {
        lock: "bun.lockb",
        ..BUN
    },
];

/// npm where there is no lock.
pub const WITHOUT_LOCK: Tool = Tool {
    lock: "",
    arguments: &["install", "--no-package-lock"],
    ..NPM
};
