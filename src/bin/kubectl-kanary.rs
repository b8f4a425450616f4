//! `kubectl kanary`: kubectl finds this program by its name. All it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kanary::cli::main()
}
