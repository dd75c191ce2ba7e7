//! QEMU's machine protocol: learns why the machine ended, can end it, and reads its memory.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What QEMU tells about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineEvent {
    /// The guest reset the machine, and it goes on.
    Reset,
    /// The machine stops; the reason in QEMU's words, for example `guest-shutdown`.
    Shutdown(String),
    /// The answer to [`Qmp::save_memory`].
    Saved(Result<(), String>),
    /// QEMU has closed the connection: it is gone, or about to be.
    Gone,
}

/// Marks the answer to [`Qmp::save_memory`].
const SAVE_MEMORY: &str = "save-memory";

/// A connection to one QEMU.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    events: Receiver<MachineEvent>,
}

impl Qmp {
    /// Greets QEMU and begins to listen to its events.
    pub fn new(stream: UnixStream) -> Result<Self> {
        let reader = stream.try_clone().context("cannot share the QMP socket")?;
        let (sender, events) = channel();
        std::thread::Builder::new()
            .name("qmp".to_owned())
            .spawn(move || listen(reader, &sender))
            .context("cannot start a thread")?;
        let mut qmp = Self { stream, events };
        qmp.execute("qmp_capabilities")?;
        Ok(qmp)
    }

    /// The events, in order; the last is [`MachineEvent::Gone`].
    pub fn events(&self) -> &Receiver<MachineEvent> {
        &self.events
    }

    /// Asks QEMU to end the machine at once.
    pub fn quit(&mut self) -> Result<()> {
        self.execute("quit")
    }

    /// Writes the first `size` bytes of the machine's memory to `file`, and waits for it.
    ///
    /// # Errors
    /// QEMU refuses, or does not finish within a minute.
    pub fn save_memory(&mut self, file: &str, size: u64) -> Result<()> {
        let request = json!({
            "execute": "pmemsave",
            "arguments": {"val": 0, "size": size, "filename": file},
            "id": SAVE_MEMORY,
        });
        writeln!(self.stream, "{request}").context("cannot send pmemsave to QEMU")?;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(MachineEvent::Saved(Ok(()))) => return Ok(()),
                Ok(MachineEvent::Saved(Err(reason))) => bail!("QEMU cannot save memory: {reason}"),
                Ok(MachineEvent::Gone) => bail!("the machine ended before its memory was saved"),
                Ok(_) => {}
                Err(error) => bail!("QEMU does not save the machine's memory: {error}"),
            }
        }
    }

    /// Presses the keys that have these letters on an American keyboard: small letters, spaces, and the
    /// enter key for a line's end. A guest that is too slow loses some.
    ///
    /// # Errors
    /// There is no such key here, or QEMU is gone.
    pub fn press(&mut self, text: &str) -> Result<()> {
        for letter in text.chars() {
            let key = match letter {
                'a'..='z' => letter.to_string(),
                ' ' => "spc".to_owned(),
                '\n' => "ret".to_owned(),
                other => bail!("no key is known for {other:?}"),
            };
            let request = json!({
                "execute": "send-key",
                "arguments": {"keys": [{"type": "qcode", "data": key}], "hold-time": 40},
            });
            writeln!(self.stream, "{request}").context("cannot send a key to QEMU")?;
            // The keyboard's own queue has 16 bytes; what does not fit is lost.
            std::thread::sleep(Duration::from_millis(120));
        }
        Ok(())
    }

    fn execute(&mut self, command: &str) -> Result<()> {
        writeln!(self.stream, "{{\"execute\":\"{command}\"}}")
            .with_context(|| format!("cannot send {command} to QEMU"))
    }
}

/// Turns QEMU's lines into events until it closes the connection.
fn listen(stream: UnixStream, sender: &Sender<MachineEvent>) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        if let Some(event) = parse(&line)
            && sender.send(event).is_err()
        {
            return;
        }
    }
    // Nobody may be waiting any more.
    drop(sender.send(MachineEvent::Gone));
}

fn parse(line: &str) -> Option<MachineEvent> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("id").and_then(Value::as_str) == Some(SAVE_MEMORY) {
        return Some(MachineEvent::Saved(match message.get("error") {
            None => Ok(()),
            Some(error) => Err(error.to_string()),
        }));
    }
    let data = message.get("data");
    match message.get("event")?.as_str()? {
        "RESET" => Some(MachineEvent::Reset),
        "SHUTDOWN" => {
            let reason = data?.get("reason")?.as_str()?;
            Some(MachineEvent::Shutdown(reason.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shutdown_tells_its_reason() {
        let line = r#"{"timestamp":{"seconds":1,"microseconds":2},"event":"SHUTDOWN",
            "data":{"guest":true,"reason":"guest-reset"}}"#;
        assert_eq!(
            parse(line),
            Some(MachineEvent::Shutdown("guest-reset".to_owned()))
        );
        assert_eq!(parse("nonsense"), None);
        assert_eq!(parse(r#"{"return":{}}"#), None);
    }
}
