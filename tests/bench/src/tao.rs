//! The Tao host: what its calls cost beside bare echoes, and more. `tao-bench` measures, against
//! the static `tao` as it is shipped; this starts the host and puts the figures into the table.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::harness::programs;
use ::harness::workplace::workspace_root;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::table::Table;

const PART: &str = "Tao host (one connection over pipes; floors measured in turns with it)";
/// How long the host may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A figure as tao-bench prints it.
#[derive(Deserialize)]
struct Row {
    name: String,
    value: f64,
    unit: String,
    limit: Option<f64>,
    at_least: Option<f64>,
    note: String,
}

/// Measures everything.
pub fn measure(table: &mut Table) -> Result<()> {
    let bench = bench_program()?;
    let host = Host::start()?;
    let program = host.build_program()?;
    eprintln!("bench: calls of a hosted program ...");
    let mut calls = Command::new(&bench);
    calls.arg("host").arg(host.socket()).arg(host.state.path());
    put(table, &mut calls)?;
    eprintln!("bench: starting programs, a thousand of them ...");
    let mut programs = Command::new(&bench);
    programs.arg("programs").arg(host.socket()).arg(&program);
    put(table, &mut programs)?;
    eprintln!("bench: attestations and guards ...");
    put(table, Command::new(&bench).arg("library"))
}

fn put(table: &mut Table, command: &mut Command) -> Result<()> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    let rows: Vec<Row> = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} printed no figures"))?;
    for row in rows {
        // The table's units are words of this program.
        let unit = ["", "s", "MiB"].into_iter().find(|unit| *unit == row.unit);
        let unit = unit.with_context(|| format!("a figure in {:?}", row.unit))?;
        match (row.limit, row.at_least) {
            (Some(limit), _) => table.target(PART, row.name, row.value, unit, limit, &row.note),
            (None, Some(limit)) => {
                table.at_least(PART, row.name, row.value, unit, limit, &row.note);
            }
            (None, None) => table.figure(PART, row.name, row.value, unit, &row.note),
        }
    }
    Ok(())
}

/// The optimized program: `$TAOBOOT_TAO_BENCH`, which `cargo xtask bench` builds.
fn bench_program() -> Result<PathBuf> {
    let path = std::env::var_os("TAOBOOT_TAO_BENCH").map_or_else(
        || workspace_root().join("target/release/examples/tao-bench"),
        PathBuf::from,
    );
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --release -p taoboot-tao --example tao-bench`",
        path.display()
    );
    Ok(path)
}

/// A soft host; it ends with this value.
struct Host {
    process: Child,
    /// The socket's path must be short.
    directory: tempfile::TempDir,
    /// On the file system of the workspace, which is a disk's, not memory's.
    state: tempfile::TempDir,
}

impl Host {
    fn start() -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        let target = workspace_root().join("target");
        std::fs::create_dir_all(&target).context("cannot make the target directory")?;
        let state = tempfile::tempdir_in(target).context("cannot make a directory")?;
        let mut command = Command::new(programs::path("tao")?);
        command
            .arg("--socket")
            .arg(directory.path().join("admin.sock"));
        command.args(["host", "start", "--soft", "--state"]);
        // It logs each of the thousand programs that it starts.
        let process = command
            .arg(state.path())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the Tao host")?;
        let host = Self {
            process,
            directory,
            state,
        };
        let deadline = Instant::now() + PATIENCE;
        while !host.answers()? {
            ensure!(Instant::now() < deadline, "the Tao host does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(host)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    fn answers(&self) -> Result<bool> {
        let mut show = Command::new(programs::path("tao")?);
        show.arg("--socket").arg(self.socket());
        let output = show.args(["host", "show"]).output();
        Ok(output.context("cannot start tao")?.status.success())
    }

    /// A small static program that asks the host for its name: the example in C.
    fn build_program(&self) -> Result<PathBuf> {
        let source = workspace_root().join("tao/examples/c/hosted.c");
        let program = self.directory.path().join("hosted");
        compile(&source, &program)?;
        Ok(program)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself; the figures are there or the error is already known.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn compile(source: &Path, program: &Path) -> Result<()> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-static", "-s", "-o"])
        .arg(program)
        .arg(source);
    let output = gcc.output().context("cannot start gcc")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "gcc {}: {said}", source.display());
    Ok(())
}
