//! The images behind the connections, and the log of their writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// One write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Which disk: its position in `LoggedDisks::serve`.
    pub disk: usize,
    /// Where, in bytes.
    pub offset: u64,
    /// What.
    pub data: Vec<u8>,
}

/// The images, and what was written to them.
#[derive(Debug)]
pub struct State {
    images: Vec<File>,
    writes: Vec<Write>,
}

impl State {
    /// Nothing is written yet.
    pub fn new(images: Vec<File>) -> Self {
        Self {
            images,
            writes: Vec::new(),
        }
    }

    /// The writes so far, in order.
    pub fn writes(&self) -> Vec<Write> {
        self.writes.clone()
    }
}

/// The exports: a number for each disk.
pub struct Server {
    state: Arc<Mutex<State>>,
    sizes: Vec<u64>,
}

impl Server {
    /// Serves the images of `state`, which have these sizes in bytes.
    pub fn new(state: Arc<Mutex<State>>, sizes: Vec<u64>) -> Self {
        Self { state, sizes }
    }

    /// How many bytes a disk has.
    pub fn size(&self, disk: usize) -> Option<u64> {
        self.sizes.get(disk).copied()
    }

    /// Bytes of a disk.
    pub fn read(&self, disk: usize, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut data = vec![0; length];
        image(&state, disk)?.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    /// Into the log and the image, at one moment for all disks.
    pub fn write(&self, disk: usize, offset: u64, data: Vec<u8>) -> std::io::Result<()> {
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
