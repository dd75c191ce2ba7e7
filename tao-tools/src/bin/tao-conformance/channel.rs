//! What a program does to its own channel: it ends, and nobody else is disturbed. Each case
//! runs in a hosted program of its own, over descriptors 3 and 4 as they are.

use std::{
    fs::File,
    io::{Read as _, Write as _},
};

use tao::{
    descriptors,
    wire::{
        Inbox, MAX_FRAME,
        messages::{ResponseHeader, TaoRequest},
        proto2, rpc,
    },
};

use super::report::Breach;

/// What ends a channel.
pub const ENDING: [(&str, &str); 5] = [
    (
        "long",
        "a frame of 20 MiB plus 1 is refused and only that connection ends",
    ),
    (
        "header",
        "a header that is not a message ends only that connection",
    ),
    (
        "missing",
        "a header without its required fields ends only that connection",
    ),
    ("noise", "random bytes end only that connection"),
    ("cut", "a frame that is cut off ends only that connection"),
];

/// What does not.
pub const LASTING: [(&str, &str); 5] = [
    (
        "unknown",
        "an unknown method is an error, and the connection goes on",
    ),
    (
        "service",
        "an unknown service is an error, and the connection goes on",
    ),
    (
        "body",
        "a body that is not a message is an error, and the connection goes on",
    ),
    ("slow", "a request that comes byte by byte is answered"),
    (
        "pipelined",
        "a hundred requests at once are all answered, each once",
    ),
];

struct Channel {
    requests: File,
    responses: File,
    inbox: Inbox,
}

fn request(op: &str, seq: u64) -> Result<Vec<u8>, Breach> {
    let mut bytes = Vec::new();
    rpc::write_request(&mut bytes, op, seq, &TaoRequest::default())?;
    Ok(bytes)
}

impl Channel {
    fn open() -> Result<Self, Breach> {
        let open = |number| {
            descriptors::inherited(number)
                .map(File::from)
                .map_err(Breach::from)
        };
        Ok(Self {
            responses: open(3)?,
            requests: open(4)?,
            inbox: Inbox::default(),
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Breach> {
        self.requests.write_all(bytes).map_err(Breach::from)
    }

    /// The next answer's header; `None` when the channel has ended.
    fn receive(&mut self) -> Result<Option<ResponseHeader>, Breach> {
        loop {
            if let Some(message) = self.inbox.next_message()? {
                let (header, _) = self.inbox.parts(&message);
                return proto2::read(header).map(Some).map_err(Breach::from);
            }
            match self.responses.read(self.inbox.space())? {
                0 => return Ok(None),
                count => self.inbox.filled(count),
            }
        }
    }

    fn error_to(&mut self, bytes: &[u8]) -> Result<String, Breach> {
        self.send(bytes)?;
        let answer = self
            .receive()?
            .ok_or_else(|| Breach::found("the channel ended"))?;
        answer
            .error
            .ok_or_else(|| Breach::found("it was answered without an error"))
    }
}

/// Plays a case; what was found if it goes otherwise than it should.
pub fn play(case: &str) -> Result<(), Breach> {
    let mut channel = Channel::open()?;
    let name = |seq| request("Tao.GetTaoName", seq);
    channel.send(&name(0)?)?;
    channel
        .receive()?
        .ok_or_else(|| Breach::found("the first call was not answered"))?;
    let ends = match case {
        "long" => {
            let length = u32::try_from(MAX_FRAME + 1)?;
            Some(length.to_be_bytes().to_vec())
        }
        "header" => Some(b"\0\0\0\x04\xff\xff\xff\xff\0\0\0\0".to_vec()),
        "missing" => Some(b"\0\0\0\x02\x10\0\0\0\0\0".to_vec()),
        "noise" => Some(vec![0xa5; 4096]),
        "cut" => {
            let mut bytes = name(1)?;
            bytes.truncate(9);
            Some(bytes)
        }
        _ => None,
    };
    if let Some(bytes) = ends {
        channel.send(&bytes)?;
        if case == "cut" {
            // The other end sees it when nobody can write any more: this program ends.
            return Ok(());
        }
        return match channel.receive()? {
            None => Ok(()),
            Some(answer) => Err(Breach::found(format!("it was answered: {answer:?}"))),
        };
    }
    match case {
        "unknown" => {
            let error = channel.error_to(&request("Tao.Bogus", 1)?)?;
            if error != "rpc: can't find method Tao.Bogus" {
                return Err(Breach::found(error));
            }
        }
        "service" => {
            let error = channel.error_to(&request("LinuxHost.Shutdown", 1)?)?;
            if !error.starts_with("rpc: can't find service") {
                return Err(Breach::found(error));
            }
        }
        "body" => {
            let mut bytes = request("Tao.Seal", 1)?;
            bytes.truncate(bytes.len().saturating_sub(4));
            bytes.extend_from_slice(b"\0\0\0\x02\xff\xff");
            channel.error_to(&bytes)?;
        }
        "slow" => {
            for byte in name(1)? {
                channel.send(&[byte])?;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            channel
                .receive()?
                .ok_or_else(|| Breach::found("the channel ended"))?;
        }
        "pipelined" => {
            let all = (1..=100).map(name).collect::<Result<Vec<_>, _>>()?;
            channel.send(&all.concat())?;
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..100 {
                seen.insert(
                    channel
                        .receive()?
                        .ok_or_else(|| Breach::found("the channel ended"))?
                        .seq,
                );
            }
            if seen != (1..=100).collect() {
                return Err(Breach::found(format!("{} different answers", seen.len())));
            }
        }
        other => return Err(Breach::found(format!("no such case: {other}"))),
    }
    channel.send(&name(200)?)?;
    match channel.receive()? {
        Some(answer) if answer.seq == 200 => Ok(()),
        other => Err(Breach::found(format!("afterwards: {other:?}"))),
    }
}
