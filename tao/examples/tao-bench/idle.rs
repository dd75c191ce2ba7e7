//! What a thousand hosted programs that are connected and idle cost the host.

use std::{fs, io::Read as _, os::fd::AsFd as _, path::Path};

use anyhow::Context as _;
use tao::limits::Limits;
use tao::{
    admin::{Admin, Start},
    client::Parent,
};

use crate::rows::Rows;

const PROGRAMS: usize = 1000;
/// MiB.
const LIMIT: f64 = 64.0;

/// The hosted program: says that it is there, then waits to be ended.
pub fn wait() -> anyhow::Result<()> {
    Parent::from_env()?.tao_name()?;
    println!("ready");
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    Ok(())
}

/// Starts them, measures, ends them.
pub fn measure(socket: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let host = host_process(socket)?;
    let mut admin = Admin::connect(socket)?;
    let before = resident(host)?;
    let (stdin, hold) = std::io::pipe()?;
    let (mut ready, stdout) = std::io::pipe()?;
    for _ in 0..PROGRAMS {
        admin.start(&Start {
            path: program.to_str().context("this program's path")?,
            args: &["idle".to_owned()],
            dir: "/",
            environment: &[],
            socket: false,
            limits: Limits::default(),
            stdio: Some([stdin.as_fd(), stdout.as_fd(), std::io::stderr().as_fd()]),
        })?;
    }
    drop(stdout);
    let mut answers = vec![0; PROGRAMS * "ready\n".len()];
    ready.read_exact(&mut answers)?;
    anyhow::ensure!(admin.list()?.len() == PROGRAMS, "not all programs run");
    let all = resident(host)?;
    drop((stdin, hold));
    ready.read_to_end(&mut answers)?;
    let note = format!("{before:.1} MiB before them");
    let name = format!("host with {PROGRAMS} idle programs");
    rows.target(name, all, "MiB", LIMIT, &note);
    Ok(())
}

/// Who listens at the socket, as the kernel knows it.
fn host_process(socket: &Path) -> anyhow::Result<i32> {
    let stream = std::os::unix::net::UnixStream::connect(socket)?;
    let peer = nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(peer.pid())
}

/// Resident memory of a process, in MiB.
fn resident(process: i32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.context("no VmRSS")?.parse::<f64>()? / 1024.0)
}
