//! The relay's one thread: waits for QEMU, serves one message after the other.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::config::{ProxyConfig, ProxySummary};
use super::traffic::Traffic;
use super::{control, descriptor, message, play};
use crate::launch::Launch;

/// Longest that swtpm may take for one answer: RSA keys take it seconds on a busy machine.
const SWTPM_PATIENCE: Duration = Duration::from_secs(120);
/// Longest that the rest of a message may take once QEMU has begun it.
const QEMU_PATIENCE: Duration = Duration::from_secs(20);

/// Accepts QEMU and relays until it goes away or `stopped` is closed.
pub fn serve(
    listener: &UnixListener,
    stopped: &UnixStream,
    swtpm: UnixStream,
    config: ProxyConfig,
) -> Result<ProxySummary> {
    let traffic = Traffic::new(&config.log, config.recording.as_deref())?;
    if !ready(&[listener.as_fd()], stopped)?.contains(&true) {
        return Ok(ProxySummary::default());
    }
    let (qemu, _) = listener.accept().context("cannot accept QEMU")?;
    qemu.set_read_timeout(Some(QEMU_PATIENCE))?;
    swtpm.set_read_timeout(Some(SWTPM_PATIENCE))?;
    let mut relay = Relay {
        qemu,
        swtpm,
        data: None,
        locality: 0,
        armed: false,
        launches: config.launches,
        delays: config.delays,
        summary: ProxySummary::default(),
        traffic,
    };
    while relay.step(stopped)? {}
    relay.traffic.finish()?;
    Ok(relay.summary)
}

/// Both ends of the data channel.
struct DataChannel {
    qemu: UnixStream,
    swtpm: UnixStream,
}

struct Relay {
    qemu: UnixStream,
    swtpm: UnixStream,
    data: Option<DataChannel>,
    /// The locality that QEMU chose last.
    locality: u8,
    /// A reset has happened since the last launch.
    armed: bool,
    launches: Vec<Option<Launch>>,
    delays: Vec<(u32, Duration)>,
    summary: ProxySummary,
    traffic: Traffic,
}

impl Relay {
    /// Waits for one message and relays it; false when there will be no more.
    fn step(&mut self, stopped: &UnixStream) -> Result<bool> {
        let mut sources = vec![self.qemu.as_fd()];
        if let Some(data) = &self.data {
            sources.push(data.qemu.as_fd());
        }
        // Commands before control messages: QEMU may have both under way.
        match ready(&sources, stopped)?.as_slice() {
            [_, true] => self.command(),
            [true, ..] => self.control(),
            _ => Ok(false),
        }
    }

    /// Relays one control message and its answer.
    fn control(&mut self) -> Result<bool> {
        let mut header = [0; 4];
        let (count, passed) = descriptor::receive(&self.qemu, &mut header)?;
        match count {
            0 => return Ok(false),
            4 => {}
            _ => bail!("QEMU sent {count} bytes where a control command of 4 begins"),
        }
        let code = u32::from_be_bytes(header);
        let body = control::read_body(&mut self.qemu, code)?;
        if code == control::SET_DATAFD {
            self.connect_data(passed)?;
        } else {
            self.swtpm
                .write_all(&control::request(code, &body))
                .context("cannot write to swtpm's control channel")?;
        }
        let response = control::read_response(&mut self.swtpm)?;
        if control::be32(&response) == Some(0) {
            self.note_control(code, &body)?;
        }
        // QEMU may leave without waiting for the answer to its last message.
        Ok(self.qemu.write_all(&response).is_ok())
    }

    fn note_control(&mut self, code: u32, body: &[u8]) -> Result<()> {
        match code {
            control::INIT => {
                self.armed = true;
                self.locality = 0;
                self.summary.resets += 1;
                self.traffic.note("reset")
            }
            control::SET_LOCALITY => {
                self.locality = body.first().copied().unwrap_or_default();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Keeps QEMU's end of the data channel and gives swtpm one of our own.
    fn connect_data(&mut self, passed: Option<OwnedFd>) -> Result<()> {
        let qemu = UnixStream::from(passed.context("QEMU sent no descriptor for the data")?);
        qemu.set_read_timeout(Some(QEMU_PATIENCE))?;
        let (ours, theirs) = UnixStream::pair().context("cannot make a socket pair")?;
        ours.set_read_timeout(Some(SWTPM_PATIENCE))?;
        let request = control::request(control::SET_DATAFD, &[]);
        descriptor::send(&self.swtpm, &request, &OwnedFd::from(theirs))?;
        self.data = Some(DataChannel { qemu, swtpm: ours });
        Ok(())
    }

    /// Relays one TPM command and its response; the launch goes first when it is due.
    fn command(&mut self) -> Result<bool> {
        let Some(mut data) = self.data.take() else {
            return Ok(false);
        };
        let Some(command) = message::read(&mut data.qemu, "QEMU")? else {
            return Ok(true);
        };
        if self.armed && message::is_linux_probe(&command) {
            self.launch(&mut data.swtpm)?;
        }
        data.swtpm
            .write_all(&command)
            .context("cannot write to swtpm's data channel")?;
        let response = message::read(&mut data.swtpm, "swtpm")?
            .context("swtpm closed its data channel before it answered")?;
        let code = command.get(6..10).and_then(control::be32);
        let delays = self.delays.iter();
        for (_, delay) in delays.filter(|(slow, _)| Some(*slow) == code) {
            std::thread::sleep(*delay);
        }
        self.summary.commands += 1;
        self.traffic.command(self.locality, &command, &response)?;
        let open = data.qemu.write_all(&response).is_ok();
        if open {
            self.data = Some(data);
        }
        Ok(true)
    }

    fn launch(&mut self, data: &mut UnixStream) -> Result<()> {
        self.armed = false;
        let boot = self.summary.boots as usize;
        self.summary.boots += 1;
        let planned = self.launches.get(boot).or(self.launches.last());
        match planned.cloned().flatten() {
            None => self.traffic.note("no launch"),
            Some(launch) => {
                play::play(
                    &launch,
                    &mut self.swtpm,
                    data,
                    self.locality,
                    &mut self.traffic,
                )?;
                self.summary.launches += 1;
                Ok(())
            }
        }
    }
}

/// Waits until one of `sources` can be read or has closed, and says which; all false when
/// `stopped` has closed.
fn ready(sources: &[std::os::fd::BorrowedFd<'_>], stopped: &UnixStream) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = sources
        .iter()
        .chain([&stopped.as_fd()])
        .map(|source| PollFd::new(*source, PollFlags::POLLIN))
        .collect();
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for QEMU"),
        }
    }
    let mut ready: Vec<bool> = polled
        .iter()
        .map(|source| source.any().unwrap_or(false))
        .collect();
    if ready.pop() == Some(true) {
        ready.fill(false);
    }
    Ok(ready)
}
