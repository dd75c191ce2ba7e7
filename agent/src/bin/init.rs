//! `/init`.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::entry::main()
}
