//! A machine that runs: QEMU, the proxy and swtpm, and the threads that read its ports.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::command::{Sockets, qemu};
use super::description::Machine;
use super::outcome::{Ending, Outcome, parse_reports};
use crate::proxy::{Proxy, ProxyConfig};
use crate::qmp::{MachineEvent, Qmp};
use crate::serial::Serial;
use crate::swtpm::Swtpm;
use crate::tool;
use crate::workplace::{MachineSlot, machine_slot};

/// How long QEMU may take to connect to the harness after its start, in milliseconds.
const CONNECT_PATIENCE: u16 = 30_000;
/// How long QEMU may take to end once it was asked to.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// One reboot of Linux on SeaBIOS is up to three resets in quick succession (measured: within
/// 0.1 s). Firmware alone takes longer than this before it could come to the next.
const RESET_BURST: Duration = Duration::from_millis(1500);

/// A running machine. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    machine: Machine,
    qemu: Qemu,
    qmp: Qmp,
    /// The first serial port: a test can read along and type.
    pub console: Serial,
    /// The second serial port, which carries the reports.
    pub report: Serial,
    // Dropped after QEMU, the swtpm last.
    tpm: Option<(Proxy, Swtpm)>,
    started: Instant,
    _sockets: Sockets,
    _slot: MachineSlot,
}

/// The process; killed when dropped.
#[derive(Debug)]
struct Qemu {
    child: Child,
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Machine {
    /// Boots it and waits until it has ended.
    pub fn run(self) -> Result<Outcome> {
        self.start()?.wait()
    }

    /// Boots it and returns while it runs; waits for a free slot first.
    pub fn start(self) -> Result<Running> {
        let slot = machine_slot()?;
        let name = self.name.clone();
        Running::start(self, slot).with_context(|| format!("cannot start the machine {name}"))
    }
}

impl Running {
    fn start(machine: Machine, slot: MachineSlot) -> Result<Self> {
        let sockets = Sockets::new()?;
        let listen =
            |name: &str| UnixListener::bind(sockets.path(name)).context("cannot listen for QEMU");
        let (console, report, monitor) = (listen("console")?, listen("report")?, listen("qmp")?);
        let tpm = start_tpm(&machine, &sockets)?;
        let started = Instant::now();
        let messages =
            File::create(machine.directory.join("qemu.log")).context("cannot create QEMU's log")?;
        let child = qemu(&machine, &sockets)?
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(messages)
            .spawn()
            .map_err(|error| {
                let package = tool::package_of("qemu-system-x86_64").unwrap_or_default();
                anyhow!("cannot start qemu-system-x86_64 (Debian package {package}): {error}")
            })?;
        let mut qemu = Qemu { child };
        let mut connect = |listener: &UnixListener| accept(listener, &mut qemu, &machine);
        // In the order in which QEMU connects.
        let console = Serial::new(connect(&console)?, &machine.directory.join("console.log"))?;
        let report = Serial::new(connect(&report)?, &machine.directory.join("report.jsonl"))?;
        let qmp = Qmp::new(connect(&monitor)?)?;
        Ok(Self {
            machine,
            qemu,
            qmp,
            console,
            report,
            tpm,
            started,
            _sockets: sockets,
            _slot: slot,
        })
    }

    /// Waits until the machine ends by itself or its time is over.
    pub fn wait(mut self) -> Result<Outcome> {
        let mut resets = 0;
        let ending = self.wait_for_end(&mut resets)?;
        self.finish(ending, resets)
    }

    /// Writes the machine's memory to `file`, as it is at this moment.
    pub fn save_memory(&mut self, file: &Path) -> Result<()> {
        let file = file.to_str().context("the file's path is not UTF-8")?;
        let size = u64::from(self.machine.memory_mib) << 20;
        self.qmp.save_memory(file, size)
    }

    /// Presses the keys with these letters on the machine's keyboard, which is an American one.
    pub fn press(&mut self, text: &str) -> Result<()> {
        self.qmp.press(text)
    }

    /// Ends the machine now, as pulling the plug does.
    pub fn end(self) -> Result<Outcome> {
        self.finish(Ending::Ended, 0)
    }

    fn wait_for_end(&mut self, resets: &mut u32) -> Result<Ending> {
        let deadline = self.started + self.machine.timeout;
        let mut last_reset: Option<Instant> = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.qmp.events().recv_timeout(left) {
                Ok(MachineEvent::Reset) => {
                    if last_reset.is_some_and(|last| last.elapsed() < RESET_BURST) {
                        continue;
                    }
                    last_reset = Some(Instant::now());
                    *resets += 1;
                    if *resets >= self.machine.boots {
                        return Ok(Ending::Reset);
                    }
                }
                Ok(MachineEvent::Shutdown(reason)) => {
                    return Ok(match reason.as_str() {
                        "guest-shutdown" => Ending::PowerOff,
                        "guest-reset" => {
                            *resets += 1;
                            Ending::Reset
                        }
                        _ => Ending::Failed(reason),
                    });
                }
                Ok(MachineEvent::Saved(_)) => {}
                Ok(MachineEvent::Gone) | Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Ending::Failed(qemu_log(&self.machine)));
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Ending::TimedOut),
            }
        }
    }

    /// Ends what still runs and collects what it left.
    fn finish(mut self, ending: Ending, resets: u32) -> Result<Outcome> {
        self.stop_qemu()?;
        let elapsed = self.started.elapsed();
        let console = self.console.finish();
        let report_log = self.machine.directory.join("report.jsonl");
        let reports = parse_reports(&self.report.finish(), &report_log);
        let tpm = self.tpm.take().map(|(proxy, _swtpm)| proxy.finish());
        let directory = self.machine.directory.clone();
        let kept = || format!("logs are kept in {}", directory.display());
        Ok(Outcome {
            ending,
            reports: reports.with_context(kept)?,
            console,
            elapsed,
            resets,
            tpm: tpm.transpose().with_context(kept)?,
            tpm_log: directory.join("tpm.log"),
            tpm_recording: directory.join("tpm.bin"),
            directory,
        })
    }

    /// Asks QEMU to end, and kills it if it does not.
    fn stop_qemu(&mut self) -> Result<()> {
        if self.qmp.quit().is_ok() {
            let deadline = Instant::now() + END_PATIENCE;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.qmp.events().recv_timeout(left) {
                    Ok(MachineEvent::Gone) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        }
        // Its sockets are closed or its time is over: nothing is lost by killing it.
        self.qemu.child.kill().context("cannot kill QEMU")?;
        self.qemu.child.wait().context("cannot wait for QEMU")?;
        Ok(())
    }
}

fn start_tpm(machine: &Machine, sockets: &Sockets) -> Result<Option<(Proxy, Swtpm)>> {
    let Some(tpm) = &machine.tpm else {
        return Ok(None);
    };
    let log = machine.directory.join("swtpm.log");
    let (swtpm, control) = Swtpm::for_machine(&tpm.state, tpm.version, &log)?;
    let config = ProxyConfig {
        socket: sockets.path("tpm"),
        launches: tpm.launches.clone(),
        delays: tpm.delays.clone(),
        log: machine.directory.join("tpm.log"),
        recording: tpm.record.then(|| machine.directory.join("tpm.bin")),
    };
    Ok(Some((Proxy::start(config, control)?, swtpm)))
}

/// Waits until QEMU connects; one that cannot start says why.
fn accept(listener: &UnixListener, qemu: &mut Qemu, machine: &Machine) -> Result<UnixStream> {
    const STEP: u16 = 100;
    for _ in 0..CONNECT_PATIENCE / STEP {
        let mut sources = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut sources, PollTimeout::from(STEP)).unwrap_or(0) > 0 {
            let (stream, _) = listener.accept().context("cannot accept QEMU")?;
            return Ok(stream);
        }
        if let Some(status) = qemu.child.try_wait().context("cannot look after QEMU")? {
            bail!("QEMU ended at once ({status}): {}", qemu_log(machine));
        }
    }
    bail!("QEMU did not connect to the harness within {CONNECT_PATIENCE} ms")
}

fn qemu_log(machine: &Machine) -> String {
    let path = machine.directory.join("qemu.log");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "QEMU ended without a message".to_owned(),
    }
}
