//! Calls of a running program while others are being measured without end: the largest that the
//! host takes, files of nothing but holes, several at once.

use std::{
    fs::{self, File},
    io::Write as _,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use anyhow::Context as _;
use tao::admin::{Admin, AdminError, Start};
use tao::limits::Limits;

use crate::{calls::Hosted, rows::Rows};

/// Starts at once.
const CALLERS: usize = 8;
/// Just below what a host measures by default.
const LENGTH: u64 = 255 << 20;
/// Seconds.
const LIMIT: f64 = 0.01;

/// Measures the calls, with nothing else and beside the starts.
pub fn measure(socket: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let mut hosted = Hosted::start(socket)?;
    let alone = hosted.turn("name p99")?;
    let large = socket
        .parent()
        .context("the socket's directory")?
        .join("large");
    large_program(&large)?;
    let (over, measured) = (AtomicBool::new(false), AtomicU32::new(0));
    let beside = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let mut admin = Admin::connect(socket)?;
                    while !over.load(Ordering::Relaxed) {
                        start(&mut admin, &large)?;
                        measured.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let beside = hosted.turn("name p99");
        over.store(true, Ordering::Relaxed);
        for caller in callers {
            caller
                .join()
                .map_err(|_| anyhow::anyhow!("a caller panicked"))??;
        }
        beside
    })?;
    fs::remove_file(&large)?;
    let measured = measured.into_inner();
    anyhow::ensure!(measured > 0, "nothing was measured");
    let note = format!(
        "{:.2} ms alone; {measured} starts of {} MiB by {CALLERS} callers meanwhile",
        alone / 1e3,
        LENGTH >> 20
    );
    let name = "GetTaoName while large programs are measured, p99";
    rows.target(name, beside / 1e6, "s", LIMIT, &note);
    Ok(())
}

/// A header of this machine's without anything that could be loaded: the host measures it all,
/// and the kernel does not execute it.
fn large_program(path: &Path) -> anyhow::Result<()> {
    let mut header = fs::read("/proc/self/exe")?;
    header.truncate(64);
    // e_phnum.
    header
        .get_mut(56..58)
        .context("this program's header")?
        .fill(0);
    let mut file = File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o755)
        .open(path)?;
    file.write_all(&header)?;
    Ok(file.set_len(LENGTH)?)
}

fn start(admin: &mut Admin, program: &Path) -> anyhow::Result<()> {
    let null = File::open("/dev/null")?;
    let started = admin.start(&Start {
        path: program.to_str().context("the program's path")?,
        args: &[],
        dir: "/",
        environment: &[],
        socket: false,
        limits: Limits::default(),
        stdio: Some([null.as_fd(), null.as_fd(), null.as_fd()]),
    });
    match started {
        Err(AdminError::Refused(why)) if why.contains("Exec format error") => Ok(()),
        Err(error) => Err(error.into()),
        Ok(program) => anyhow::bail!("{:?} was executed", program.subprin),
    }
}
