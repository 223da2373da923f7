//! The program `remy`.

use std::process::ExitCode;

fn main() -> ExitCode {
    remy_db_cli::main()
}
