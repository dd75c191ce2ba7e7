//! The proxy's two records: a text line for each TPM command, and optionally every byte.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::message;

/// Largest recording, in bytes; a machine that talks more than this to its TPM is broken.
const RECORDING_LIMIT: usize = 64 << 20;

/// Writes both records.
#[derive(Debug)]
pub struct Traffic {
    started: Instant,
    log: File,
    recording: Option<BufWriter<File>>,
    recorded: usize,
}

impl Traffic {
    /// Opens the text log, and the recording if one is wanted.
    pub fn new(log: &Path, recording: Option<&Path>) -> Result<Self> {
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("cannot write {}", path.display()))
        };
        Ok(Self {
            started: Instant::now(),
            log: create(log)?,
            recording: recording.map(create).transpose()?.map(BufWriter::new),
            recorded: 0,
        })
    }

    /// One line about something that is not a TPM command.
    pub fn note(&mut self, text: &str) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f32();
        writeln!(self.log, "{seconds:8.3} {text}").context("cannot write the TPM log")
    }

    /// One command and its response.
    pub fn command(&mut self, locality: u8, command: &[u8], response: &[u8]) -> Result<()> {
        let line = format!(
            "L{locality} command 0x{:08x} on 0x{:08x} {} bytes, result 0x{:03x} {} bytes",
            message::code(command),
            message::handle(command),
            command.len(),
            message::code(response),
            response.len()
        );
        self.note(&line)?;
        let Some(recording) = &mut self.recording else {
            return Ok(());
        };
        self.recorded += command.len() + response.len();
        anyhow::ensure!(
            self.recorded <= RECORDING_LIMIT,
            "the machine exchanged more than {RECORDING_LIMIT} bytes with its TPM"
        );
        recording
            .write_all(command)
            .and_then(|()| recording.write_all(response))
            .context("cannot write the TPM recording")
    }

    /// Writes out what is buffered.
    pub fn finish(mut self) -> Result<()> {
        match &mut self.recording {
            Some(recording) => recording.flush().context("cannot write the TPM recording"),
            None => Ok(()),
        }
    }
}
