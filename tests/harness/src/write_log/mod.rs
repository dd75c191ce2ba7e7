//! Disks that remember every write in order, across all of a machine's disks: what a power cut
//! leaves can then be looked at for each moment, not only for those at which somebody pulled
//! the plug.
//!
//! The machine gets its disks over NBD from this process. The model is a disk that loses
//! nothing it has acknowledged and stops between two writes.

mod connection;
mod handshake;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// One write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Which disk: its position in [`LoggedDisks::serve`].
    pub disk: usize,
    /// Where, in bytes.
    pub offset: u64,
    /// What.
    pub data: Vec<u8>,
}

#[derive(Debug)]
struct State {
    images: Vec<File>,
    writes: Vec<Write>,
}

/// The disks of one machine, served until this value is dropped and the machine has gone.
#[derive(Debug)]
pub struct LoggedDisks {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
}

/// The exports: a number for each disk.
struct Server {
    state: Arc<Mutex<State>>,
    sizes: Vec<u64>,
}

impl LoggedDisks {
    /// Serves images at a socket in `folder`.
    pub fn serve(folder: &Path, images: &[&Path]) -> Result<Self> {
        let mut files = Vec::new();
        let mut sizes = Vec::new();
        for image in images {
            let file = OpenOptions::new().read(true).write(true).open(image);
            let file = file.with_context(|| format!("cannot open {}", image.display()))?;
            sizes.push(file.metadata().context("an image's size")?.len());
            files.push(file);
        }
        let socket = folder.join("disks.sock");
        let listener = UnixListener::bind(&socket).context("cannot serve disks")?;
        let state = Arc::new(Mutex::new(State {
            images: files,
            writes: Vec::new(),
        }));
        let server = Arc::new(Server {
            state: Arc::clone(&state),
            sizes,
        });
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
        state.writes.clone()
    }
}

impl Drop for LoggedDisks {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.socket) {
            eprintln!("cannot remove {}: {error}", self.socket.display());
        }
    }
}

impl Server {
    fn size(&self, disk: usize) -> Option<u64> {
        self.sizes.get(disk).copied()
    }

    fn read(&self, disk: usize, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut data = vec![0; length];
        image(&state, disk)?.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    /// Into the log and the image, at one moment for all disks.
    fn write(&self, disk: usize, offset: u64, data: Vec<u8>) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        image(&state, disk)?.write_all_at(&data, offset)?;
        state.writes.push(Write { disk, offset, data });
        Ok(())
    }
}

fn image(state: &State, disk: usize) -> std::io::Result<&File> {
    let image = state.images.get(disk);
    image.ok_or_else(|| std::io::Error::other("no such disk"))
}
