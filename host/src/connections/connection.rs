//! One side of an RPC connection over descriptors that do not block: requests in, answers
//! out. No request is read while an answer waits to be sent, so a peer that does not read
//! its answers costs no more memory than one of them.

use std::io::{self, ErrorKind, Write};

use tao::{
    keys::wipe,
    wire::{
        FrameError, Inbox,
        buffers::{self, LARGE},
        messages::RequestHeader,
        proto2::{self, ProtoError},
    },
};

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The other side closed it.
    #[error("closed")]
    Closed,
    /// Not frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not a request.
    #[error(transparent)]
    Header(#[from] ProtoError),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Buffers of a connection.
#[derive(Default)]
pub(crate) struct Duplex {
    pub inbox: Inbox,
    pub out: Vec<u8>,
    sent: usize,
}

impl Duplex {
    /// Sends what waits to be sent; false if the other side must read first.
    pub(crate) fn flush(&mut self, mut stream: impl Write) -> Result<bool, Broken> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(Broken::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        if self.sent > 0 {
            self.sent = 0;
            // Answers carry unsealed secrets.
            wipe(&mut self.out);
            self.out.clear();
            if self.out.capacity() > LARGE {
                buffers::give(std::mem::take(&mut self.out));
            }
        }
        Ok(true)
    }

    /// Answers the next request if it has arrived; false if not.
    pub(crate) fn answer_next(
        &mut self,
        answer: impl FnOnce(RequestHeader, &[u8], &mut Vec<u8>),
    ) -> Result<bool, Broken> {
        let Some(message) = self.inbox.next_message()? else {
            return Ok(false);
        };
        let (header, body) = self.inbox.parts(&message);
        answer(proto2::read(header)?, body, &mut self.out);
        Ok(true)
    }

    /// Takes note of the result of a read; true if there may be more to read at once.
    pub(crate) fn filled(
        &mut self,
        result: io::Result<usize>,
        asked: usize,
    ) -> Result<Read, Broken> {
        match result {
            Ok(0) => {
                self.inbox.finish()?;
                Err(Broken::Closed)
            }
            Ok(count) => {
                self.inbox.filled(count);
                Ok(if count == asked {
                    Read::Full
                } else {
                    Read::Some
                })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Read::Nothing),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Read::Full),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// There is nothing now.
    Nothing,
    /// Less than there was space for: nothing more is there now.
    Some,
    /// Perhaps more is there.
    Full,
}
