//! QEMU's machine protocol: learns why the machine ended, and can end it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};
use serde_json::Value;

/// What QEMU tells about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineEvent {
    /// The guest reset the machine, and it goes on.
    Reset,
    /// The machine stops; the reason in QEMU's words, for example `guest-shutdown`.
    Shutdown(String),
    /// QEMU has closed the connection: it is gone, or about to be.
    Gone,
}

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
