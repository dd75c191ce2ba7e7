//! One serial port of a machine: collects what the guest writes, types what a test says.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::terminal;

/// Most that is kept of one port, in bytes; a guest that writes more is cut off there.
const LIMIT: usize = 16 << 20;

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    closed: bool,
    /// What comes is also shown on standard output.
    shown: bool,
}

/// The harness's end of a serial port.
#[derive(Debug)]
pub struct Serial {
    stream: UnixStream,
    shared: Arc<(Mutex<Buffer>, Condvar)>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// The reader holds the other end: this one reads as closed when the port is.
    open: UnixStream,
}

impl Serial {
    /// Reads from `stream` until QEMU closes it; everything also goes to the file `log`.
    pub fn new(stream: UnixStream, log: &Path) -> Result<Self> {
        let log = std::fs::File::create(log)
            .with_context(|| format!("cannot create {}", log.display()))?;
        let shared = Arc::new((Mutex::new(Buffer::default()), Condvar::new()));
        let source = stream.try_clone().context("cannot share a serial port")?;
        let filled = Arc::clone(&shared);
        let (open, held) = UnixStream::pair().context("cannot make a socket pair")?;
        let reader = std::thread::Builder::new()
            .name("serial".to_owned())
            .spawn(move || {
                collect(source, log, &filled);
                drop(held);
            })
            .context("cannot start a thread")?;
        Ok(Self {
            stream,
            shared,
            reader: Some(reader),
            open,
        })
    }

    /// Everything that came so far, as text, without carriage returns.
    pub fn text(&self) -> String {
        let buffer = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&buffer.bytes).replace('\r', "")
    }

    /// Waits until `wanted` has come.
    ///
    /// # Errors
    /// It did not come within `patience`, or the machine ended before.
    pub fn wait_for(&self, wanted: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let (lock, changed) = &*self.shared;
        let mut buffer = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if contains(&buffer.bytes, wanted.as_bytes()) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if buffer.closed || left.is_zero() {
                bail!("the machine did not write {wanted:?} within {patience:?}");
            }
            buffer = changed
                .wait_timeout(buffer, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Types a line, with the return key.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        self.stream
            .write_all(format!("{line}\r").as_bytes())
            .context("cannot type on the serial port")
    }

    /// Connects the user's terminal with the port until the user leaves with Ctrl-] or the
    /// machine ends. What came before is shown first.
    pub fn attach(&mut self) -> Result<()> {
        {
            let mut buffer = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            show(&buffer.bytes);
            buffer.shown = true;
        }
        let result = terminal::relay_input(&mut self.stream, &self.open);
        let mut buffer = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.shown = false;
        result
    }

    /// Waits until QEMU has closed the port, and returns everything that came.
    pub fn finish(mut self) -> String {
        if let Some(reader) = self.reader.take() {
            // A reader that panicked leaves what it had collected, which is what we want.
            drop(reader.join());
        }
        self.text()
    }
}

/// Standard output may be closed: that ends nothing here.
fn show(bytes: &[u8]) {
    let mut output = std::io::stdout();
    drop(output.write_all(bytes).and_then(|()| output.flush()));
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|part| part == needle)
}

fn collect(mut source: UnixStream, mut log: std::fs::File, filled: &(Mutex<Buffer>, Condvar)) {
    let mut chunk = [0; 4096];
    loop {
        let count = source.read(&mut chunk).unwrap_or(0);
        let received = chunk.get(..count).unwrap_or_default();
        let mut buffer = filled.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.shown {
            show(received);
        }
        if buffer.bytes.len() < LIMIT {
            buffer.bytes.extend_from_slice(received);
            if let Err(error) = log.write_all(received) {
                eprintln!("cannot write a serial log: {error}");
            }
        }
        buffer.closed = count == 0;
        filled.1.notify_all();
        if count == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_the_text_has_come_and_when_the_port_closes() {
        let directory = tempfile::tempdir().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        let serial = Serial::new(near, &directory.path().join("log")).unwrap();
        far.write_all(b"hello\r\nworld").unwrap();
        serial.wait_for("world", Duration::from_secs(5)).unwrap();
        drop(far);
        serial
            .wait_for("nothing", Duration::from_secs(60))
            .unwrap_err();
        assert_eq!(serial.finish(), "hello\nworld");
    }
}
