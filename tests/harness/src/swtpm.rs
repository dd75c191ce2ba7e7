//! swtpm: the TPM of a machine, its state kept in a directory between uses.
//!
//! It runs in one of two ways over the same state: behind the proxy for a booted machine
//! ([`Swtpm::for_machine`]), or on a TCP port for the tools of the host ([`HostTpm`]),
//! which is how a volume is enrolled before the first boot. One at a time: swtpm locks its
//! state.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::machine::TpmVersion;
use crate::tool;

/// How long swtpm may take to begin listening.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// TPM2_Shutdown(TPM_SU_CLEAR): writes the state out (TPM 2.0 Library, Part 3, 9.4).
const TPM2_SHUTDOWN_CLEAR: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, 0];

/// TPM2_GetRandom of one byte: the least that one can ask (Part 3, 16.1).
const TPM2_GET_RANDOM_1: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 1];

/// A running swtpm; killed when dropped.
#[derive(Debug)]
pub struct Swtpm {
    child: Child,
}

impl Swtpm {
    /// Starts swtpm on `state` and returns its control channel, for the proxy.
    pub fn for_machine(
        state: &Path,
        version: TpmVersion,
        log: &Path,
    ) -> Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair().context("cannot make a socket pair")?;
        // As its standard input the channel needs no path, and no moment of waiting for
        // swtpm to listen on one.
        let swtpm = Self::start(
            state,
            version,
            log,
            &["--ctrl", "type=unixio,clientfd=0", "--terminate"],
            Stdio::from(OwnedFd::from(theirs)),
        )?;
        Ok((swtpm, ours))
    }

    fn start(
        state: &Path,
        version: TpmVersion,
        log: &Path,
        arguments: &[&str],
        stdin: Stdio,
    ) -> Result<Self> {
        std::fs::create_dir_all(state)
            .with_context(|| format!("cannot create {}", state.display()))?;
        // swtpm reports nothing better than "9" for a state directory it cannot find.
        let state = state
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", state.display()))?;
        let child = Command::new("swtpm")
            .env("PATH", tool::search_path())
            .arg("socket")
            // Without a word it is a TPM 1.2.
            .args((version == TpmVersion::V2_0).then_some("--tpm2"))
            .arg("--tpmstate")
            .arg(format!("dir={}", state.display()))
            .arg("--log")
            .arg(format!("file={},level=1", log.display()))
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| anyhow!("cannot start swtpm (Debian package swtpm): {error}"))?;
        Ok(Self { child })
    }

    fn ended(&mut self) -> Result<bool> {
        Ok(self
            .child
            .try_wait()
            .context("cannot look after swtpm")?
            .is_some())
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // Both fail only when swtpm has ended by itself, which is as good.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// The TPM of a machine that is not running, for the tools of the host.
#[derive(Debug)]
pub struct HostTpm {
    swtpm: Option<Swtpm>,
    port: u16,
}

impl HostTpm {
    /// Starts swtpm on the state of the machine, powered on and ready for commands.
    ///
    /// # Errors
    /// swtpm is missing, or it cannot have the state: a machine that uses it still runs.
    pub fn start(state: &Path) -> Result<Self> {
        let log: PathBuf = state.with_extension("host-swtpm.log");
        for _ in 0..8 {
            let port = two_free_ports()?;
            let mut swtpm = Swtpm::start(
                state,
                TpmVersion::V2_0,
                &log,
                &[
                    "--server",
                    &format!("type=tcp,bindaddr=127.0.0.1,port={port}"),
                    "--ctrl",
                    &format!("type=tcp,bindaddr=127.0.0.1,port={}", port + 1),
                    "--flags",
                    "not-need-init,startup-clear",
                ],
                Stdio::null(),
            )?;
            // Somebody else may have taken a port since it was found free: try others. And
            // swtpm listens before it looks whether it can have its state.
            if wait_for_port(&mut swtpm, port + 1)? && answers(port) {
                return Ok(Self {
                    swtpm: Some(swtpm),
                    port,
                });
            }
        }
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        bail!("swtpm does not start: {}", log.trim())
    }

    /// The configuration string for tpm2-tss: what `--tcti` of the tools takes.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Shuts the TPM down in order, so that everything is kept.
    pub fn stop(mut self) -> Result<()> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<()> {
        let Some(swtpm) = self.swtpm.take() else {
            return Ok(());
        };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .context("cannot reach swtpm to shut it down")?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(&TPM2_SHUTDOWN_CLEAR)?;
        let mut response = [0; 10];
        stream
            .read_exact(&mut response)
            .context("swtpm does not answer TPM2_Shutdown")?;
        drop(swtpm);
        match response.get(6..) {
            Some([0, 0, 0, 0]) => Ok(()),
            result => bail!("TPM2_Shutdown failed: {result:x?}"),
        }
    }
}

impl Drop for HostTpm {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            eprintln!("{error:#}");
        }
    }
}

/// Does the TPM on `port` answer a command?
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<[u8; 10]> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(START_PATIENCE))?;
        stream.write_all(&TPM2_GET_RANDOM_1)?;
        let mut response = [0; 10];
        stream.read_exact(&mut response)?;
        Ok(response)
    };
    ask().is_ok_and(|response| response.get(6..) == Some(&[0, 0, 0, 0]))
}

/// A port that is free together with the next one: the TCTI wants the pair.
fn two_free_ports() -> Result<u16> {
    for _ in 0..64 {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let port = first.local_addr().context("no free port")?.port();
        let next = port.checked_add(1);
        if let Some(next) = next
            && TcpListener::bind((Ipv4Addr::LOCALHOST, next)).is_ok()
        {
            return Ok(port);
        }
    }
    bail!("no two neighbouring ports are free on the loopback interface")
}

/// Waits until `port` accepts; false when swtpm has ended instead.
fn wait_for_port(swtpm: &mut Swtpm, port: u16) -> Result<bool> {
    let deadline = Instant::now() + START_PATIENCE;
    while Instant::now() < deadline {
        if swtpm.ended()? {
            return Ok(false);
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("swtpm did not listen on port {port} within {START_PATIENCE:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_of_one_state_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("tpm");
        let first = HostTpm::start(&state).unwrap();
        let error = HostTpm::start(&state).unwrap_err();
        assert!(error.to_string().contains("swtpm"), "{error}");
        first.stop().unwrap();
        HostTpm::start(&state).unwrap().stop().unwrap();
    }
}
