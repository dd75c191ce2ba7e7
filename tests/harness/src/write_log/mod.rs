//! Disks that remember every write in order, across all of a machine's disks: what a power cut
//! leaves can then be looked at for each moment, not only for those at which somebody pulled
//! the plug.
//!
//! The machine gets its disks over NBD from this process. The model is a disk that loses
//! nothing it has acknowledged and stops between two writes.

mod connection;
mod handshake;
mod server;

use std::fs::OpenOptions;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use server::{Server, State};

pub use server::Write;

/// The disks of one machine, served until this value is dropped and the machine has gone.
#[derive(Debug)]
pub struct LoggedDisks {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
}

impl LoggedDisks {
    /// Serves images at a socket in `directory`.
    pub fn serve(directory: &Path, images: &[&Path]) -> Result<Self> {
        let mut files = Vec::new();
        let mut sizes = Vec::new();
        for image in images {
            let file = OpenOptions::new().read(true).write(true).open(image);
            let file = file.with_context(|| format!("cannot open {}", image.display()))?;
            sizes.push(file.metadata().context("an image's size")?.len());
            files.push(file);
        }
        let socket = directory.join("disks.sock");
        let listener = UnixListener::bind(&socket).context("cannot serve disks")?;
        let state = Arc::new(Mutex::new(State::new(files)));
        let server = Arc::new(Server::new(Arc::clone(&state), sizes));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let server = Arc::clone(&server);
                thread::spawn(move || {
                    if let Err(error) = connection::serve(stream, &server) {
                        eprintln!("a disk's connection: {error:#}");
                    }
                });
            }
        });
        Ok(Self { socket, state })
    }

    /// What QEMU opens for a disk.
    pub fn address(&self, disk: usize) -> String {
        format!(
            "file.driver=nbd,file.server.type=unix,file.server.path={},file.export={disk}",
            self.socket.display()
        )
    }

    /// The writes so far, in order.
    pub fn writes(&self) -> Vec<Write> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.writes()
    }
}

impl Drop for LoggedDisks {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.socket) {
            eprintln!("cannot remove {}: {error}", self.socket.display());
        }
    }
}
