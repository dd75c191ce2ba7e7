//! A real software TPM for tests: swtpm, started and stopped here (feature `swtpm`).
//!
//! It listens on two neighbouring TCP ports of 127.0.0.1: tpm2-tss wants the control channel
//! right after the data channel. The control channel plays what only the platform can do: a
//! dynamic launch ([`Swtpm::launch`]), other localities, a reboot.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

mod firmware;
mod tpm12;
mod wire;

pub use tpm12::{AtLocality, Extend12};
pub use wire::Extend;
use wire::{
    CMD_GET_CAPABILITY, CMD_HASH_DATA, CMD_HASH_END, CMD_HASH_START, CMD_SET_LOCALITY,
    TPM_ST_NO_SESSIONS, connect, extend_command, framed, order, transmit,
};

/// swtpm is up within milliseconds; a loaded machine gets this long.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running swtpm. Dropping it kills the process and deletes its state.
#[derive(Debug)]
pub struct Swtpm {
    state: TempDir,
    ports: Ports,
    process: Child,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tpm12,
    Tpm20,
}

/// The state of a TPM 1.2 after its manufacture, which takes seconds: one for each owner's
/// password, made when it is first wanted.
static MANUFACTURED: Mutex<BTreeMap<Option<String>, Vec<u8>>> = Mutex::new(BTreeMap::new());
/// The file that it is in.
const TPM12_STATE: &str = "tpm-00.permall";

impl Swtpm {
    /// Starts a new TPM 2.0 with new seeds, powered on and started up (TPM2_Startup(CLEAR)).
    ///
    /// # Errors
    /// swtpm cannot be started, did not answer, or refused.
    pub fn start() -> io::Result<Self> {
        Self::started(TempDir::new()?, Kind::Tpm20)
    }

    /// Starts a new TPM 1.2, powered on and started up, with an owner if there is a password. The
    /// storage root key has the well-known secret. Needs swtpm_setup.
    ///
    /// # Errors
    /// swtpm cannot be started, did not answer, or refused.
    pub fn start_tpm12(owner_password: Option<&str>) -> io::Result<Self> {
        let state = TempDir::new()?;
        fs::write(
            state.path().join(TPM12_STATE),
            manufactured(owner_password)?,
        )?;
        Self::started(state, Kind::Tpm12)
    }

    fn started(state: TempDir, kind: Kind) -> io::Result<Self> {
        // Between finding a free data port and swtpm's binding it someone else may take it.
        let mut last = io::Error::other("no attempt");
        for _ in 0..20 {
            let ports = Ports::find()?;
            match spawn(state.path(), &ports, kind) {
                Ok(process) => {
                    return Ok(Self {
                        state,
                        ports,
                        process,
                        kind,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// How to open it: `swtpm:host=127.0.0.1,port=N`. The control channel is at N+1.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port())
    }

    /// The port of the data channel; the control channel has the next one.
    pub const fn port(&self) -> u16 {
        self.ports.data
    }

    /// The id of the swtpm process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Power off and on as a system does it, with TPM2_Shutdown before: PCRs, sessions and transient
    /// objects are gone, seeds and persistent objects stay.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn reboot(&mut self) -> io::Result<()> {
        if self.kind == Kind::Tpm20 {
            const TPM_CC_SHUTDOWN: u32 = 0x0145;
            let clear = 0_u16.to_be_bytes();
            self.command(&framed(TPM_ST_NO_SESSIONS, TPM_CC_SHUTDOWN, &clear))?;
        }
        self.cut_power()
    }

    /// The same without a word to the TPM. Where an authorization value was used since the last start,
    /// it counts that as a wrong one (TPM 2.0 Library, Part 1, 19.8.6).
    ///
    /// # Errors
    /// swtpm did not start again.
    pub fn cut_power(&mut self) -> io::Result<()> {
        stop(&mut self.process)?;
        self.process = spawn(self.state.path(), &self.ports, self.kind)?;
        Ok(())
    }

    /// Plays a dynamic launch: `_TPM_Hash_Start`, `_Data`, `_End` (PCR 17 becomes
    /// H(0^32 || H(data)), 18 to 22 become 0), then the extends.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn launch(&self, hash_data: &[u8], extends: &[Extend]) -> io::Result<()> {
        // The locality holds for this pair of connections only.
        let mut data = connect(self.port())?;
        let mut control = connect(self.port() + 1)?;
        order(&mut control, CMD_HASH_START, &[])?;
        let length = u32::try_from(hash_data.len()).map_err(io::Error::other)?;
        order(
            &mut control,
            CMD_HASH_DATA,
            &[&length.to_be_bytes(), hash_data].concat(),
        )?;
        order(&mut control, CMD_HASH_END, &[])?;
        for extend in extends {
            order(&mut control, CMD_SET_LOCALITY, &[extend.locality])?;
            let answer = transmit(&mut data, &extend_command(extend))?;
            if answer.get(6..10) != Some(&[0; 4]) {
                return Err(io::Error::other(format!("{extend:?}: {answer:02x?}")));
            }
        }
        order(&mut control, CMD_SET_LOCALITY, &[0])
    }

    /// Sends one command as it is, at locality 0, and returns the response.
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn command(&self, command: &[u8]) -> io::Result<Vec<u8>> {
        transmit(&mut connect(self.port())?, command)
    }

    /// Handles of one kind that exist now: transient objects (0x8000_0000), HMAC and loaded
    /// sessions (0x0200_0000), saved sessions (0x0300_0000), persistent objects (0x8100_0000).
    ///
    /// # Errors
    /// swtpm did not answer, or refused.
    pub fn handles(&self, first: u32) -> io::Result<Vec<u32>> {
        const TPM_CC_GET_CAPABILITY: u32 = 0x017a;
        const TPM_CAP_HANDLES: u32 = 1;
        let parameters = [TPM_CAP_HANDLES, first, 254].map(u32::to_be_bytes).concat();
        let answer = self.command(&framed(
            TPM_ST_NO_SESSIONS,
            TPM_CC_GET_CAPABILITY,
            &parameters,
        ))?;
        let handles = answer
            .get(19..)
            .ok_or_else(|| io::Error::other("swtpm does not tell its handles"))?;
        Ok(handles
            .chunks_exact(4)
            .filter_map(|handle| Some(u32::from_be_bytes(handle.try_into().ok()?)))
            .collect())
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // Nobody is left to tell, and a process that is gone already is fine.
        drop(stop(&mut self.process));
    }
}

/// A TPM 1.2's first state, from swtpm_setup.
fn manufactured(owner_password: Option<&str>) -> io::Result<Vec<u8>> {
    let mut made = MANUFACTURED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = owner_password.map(str::to_owned);
    if let Some(state) = made.get(&key) {
        return Ok(state.clone());
    }
    let directory = TempDir::new()?;
    let mut setup = Command::new("swtpm_setup");
    setup
        .args(["--createek", "--srk-well-known", "--tpmstate"])
        .arg(directory.path());
    if let Some(password) = owner_password {
        setup.args(["--take-ownership", "--ownerpass", password]);
    }
    let output = setup.output().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("swtpm_setup (Debian package swtpm-tools): {error}"),
        )
    })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        return Err(io::Error::other(format!("swtpm_setup failed: {text}")));
    }
    let state = fs::read(directory.path().join(TPM12_STATE))?;
    made.insert(key, state.clone());
    Ok(state)
}

/// The ports of one swtpm.
#[derive(Debug)]
struct Ports {
    /// Bound by swtpm.
    data: u16,
    /// At the next port, taken here before swtpm starts and handed to it: a swtpm that reboots
    /// finds its pair again, and nobody else answers in its place.
    control: TcpListener,
}

impl Ports {
    /// Two neighbours that are free, below the range from which the kernel takes ports for
    /// connections.
    fn find() -> io::Result<Self> {
        const FIRST: u32 = 20_000;
        const PAIRS: u32 = 6_000;
        static GIVEN: AtomicU32 = AtomicU32::new(0);
        let mut last = io::Error::other("no two neighbouring free TCP ports");
        for _ in 0..PAIRS {
            // Other processes begin elsewhere.
            let number = GIVEN.fetch_add(1, Ordering::Relaxed) + std::process::id() * 211;
            let data = u16::try_from(FIRST + 2 * (number % PAIRS)).map_err(io::Error::other)?;
            let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            match listen(data + 1).and_then(|control| listen(data).map(|_| control)) {
                Ok(control) => return Ok(Self { data, control }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Starts swtpm and returns when it answers.
fn spawn(state: &Path, ports: &Ports, kind: Kind) -> io::Result<Child> {
    let mut process = Command::new("swtpm")
        .arg("socket")
        .args((kind == Kind::Tpm20).then_some("--tpm2"))
        .args(["--flags", "not-need-init,startup-clear"])
        .arg("--server")
        .arg(format!("type=tcp,bindaddr=127.0.0.1,port={}", ports.data))
        // The listener is its standard input.
        .args(["--ctrl", "type=tcp,fd=0", "--tpmstate"])
        .arg(format!("dir={}", state.display()))
        .stdin(OwnedFd::from(ports.control.try_clone()?))
        .spawn()
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("swtpm (Debian package swtpm): {error}"),
            )
        })?;
    // An answer, not a connection: a child that another thread forks has a copy of every listener
    // until it executes its program, so a port takes connections although nobody serves it. swtpm
    // answers here once it has bound the data port.
    let answered =
        connect(ports.data + 1).and_then(|mut control| answer_of(&mut process, &mut control));
    if answered.is_err() {
        stop(&mut process)?;
    }
    answered.map(|()| process)
}

/// Waits until swtpm answers a question on its control channel, or has ended.
fn answer_of(process: &mut Child, control: &mut TcpStream) -> io::Result<()> {
    control.set_read_timeout(Some(Duration::from_millis(100)))?;
    control.write_all(&CMD_GET_CAPABILITY.to_be_bytes())?;
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match control.read(&mut [0; 64]) {
            Ok(1..) => return Ok(()),
            Ok(0) => return Err(io::Error::other("swtpm closed its control channel")),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
        if let Some(status) = process.try_wait()? {
            return Err(io::Error::other(format!("swtpm ended at once: {status}")));
        }
    }
}

fn stop(process: &mut Child) -> io::Result<()> {
    process.kill()?;
    process.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a child does that another thread has forked and that has not executed its program yet.
    #[test]
    fn a_port_that_takes_connections_and_is_not_swtpms_is_an_error() {
        let state = TempDir::new().unwrap();
        let ports = Ports::find().unwrap();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.data)).unwrap();
        assert!(spawn(state.path(), &ports, Kind::Tpm20).is_err());
        drop(held);
        let mut process = spawn(state.path(), &ports, Kind::Tpm20).unwrap();
        stop(&mut process).unwrap();
    }
}
