//! What hosted programs cost: every figure beside the floor that it is compared with, both
//! measured in this run, in turns.
//!
//! `tao-bench host SOCKET STATE` (a running host's admin.sock, and the directory where it keeps its
//! counters), `tao-bench programs SOCKET PROGRAM` (a program that asks for its name and prints a
//! byte) and `tao-bench library` print one line of JSON: rows of a table. `cargo xtask bench
//! tao` runs all three.

mod calls;
mod clock;
mod echo;
mod guards;
mod hosted;
mod idle;
mod meanwhile;
mod pipes;
mod rows;
mod starting;
mod verifying;

use std::path::Path;

use rows::Rows;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut rows = Rows::default();
    match words.as_slice() {
        // The other ends of what is measured.
        ["echo", ask, answer] => return echo::answer(ask.parse()?, answer.parse()?),
        ["hosted"] => return hosted::serve(),
        ["idle"] => return idle::wait(),
        // What is measured.
        ["host", socket, state] => {
            calls::measure(Path::new(socket), Path::new(state), &mut rows)?;
            meanwhile::measure(Path::new(socket), &mut rows)?;
        }
        ["programs", socket, program] => {
            starting::measure(Path::new(socket), Path::new(program), &mut rows)?;
            idle::measure(Path::new(socket), &mut rows)?;
        }
        ["library"] => {
            verifying::measure(&mut rows)?;
            guards::measure(&mut rows)?;
        }
        _ => {
            anyhow::bail!("usage: tao-bench host SOCKET STATE | programs SOCKET PROGRAM | library")
        }
    }
    println!("{}", rows.json());
    Ok(())
}
