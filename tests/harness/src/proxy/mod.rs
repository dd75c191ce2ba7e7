//! Stands between QEMU and swtpm, relays everything, and plays the launch at each boot.
//!
//! QEMU connects to [`Proxy::socket`] as it would to swtpm. When the kernel's TPM driver
//! sends its first command after a reset - firmware, GRUB and tboot do not send that one -
//! the launch goes into the TPM first: TPM_HASH_START/DATA/END at locality 4 and the
//! extends at localities 3 and 2, as SENTER, the SINIT ACM and tboot do it on a real
//! machine. Each reset arms it again, so that a rebooted guest sees a fresh launch.

mod config;
mod control;
mod descriptor;
mod message;
mod play;
mod relay;
mod traffic;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

pub use config::{ProxyConfig, ProxySummary};

/// The running proxy. It ends when QEMU closes its connection, or when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    thread: Option<JoinHandle<Result<ProxySummary>>>,
    /// Closing it stops the thread.
    stop: Option<UnixStream>,
    socket: PathBuf,
}

impl Proxy {
    /// Starts the proxy in front of the swtpm whose control channel is `swtpm`.
    pub fn start(config: ProxyConfig, swtpm: UnixStream) -> Result<Self> {
        let listener = UnixListener::bind(&config.socket)
            .with_context(|| format!("cannot listen on {}", config.socket.display()))?;
        let (stop, stopped) = UnixStream::pair().context("cannot make a socket pair")?;
        let socket = config.socket.clone();
        let thread = std::thread::Builder::new()
            .name("tpm-proxy".to_owned())
            .spawn(move || relay::serve(&listener, &stopped, swtpm, config))
            .context("cannot start the proxy's thread")?;
        Ok(Self {
            thread: Some(thread),
            stop: Some(stop),
            socket,
        })
    }

    /// The path of the socket that QEMU connects to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends the proxy and says what passed through it.
    ///
    /// # Errors
    /// The relay failed while the machine ran: swtpm went away or answered nonsense, a
    /// part of the launch was refused.
    pub fn finish(mut self) -> Result<ProxySummary> {
        self.join()
            .unwrap_or_else(|| Err(anyhow!("the proxy was ended before")))
    }

    fn join(&mut self) -> Option<Result<ProxySummary>> {
        drop(self.stop.take());
        let thread = self.thread.take()?;
        Some(match thread.join() {
            Ok(result) => result.context("the proxy between QEMU and swtpm"),
            Err(_) => Err(anyhow!("the proxy's thread panicked")),
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.join() {
            eprintln!("{error:#}");
        }
    }
}
