//! The command `remy`, built with the tests that run it: cargo builds no program of another package.

use std::process::ExitCode;

fn main() -> ExitCode {
    remy_db_cli::main()
}
