//! Frames: a big-endian length of four bytes, then as many bytes.
//!
//! An RPC message is two frames, header and body. [`Inbox`] collects what arrives in
//! pieces of any size; it never sets aside much more memory than has really arrived, so a
//! peer that claims 20 MiB and sends nothing costs nothing.

use std::ops::Range;

use super::buffers::{self, LARGE};
use crate::secret_bytes::wipe;

/// Longest frame that is accepted, as in the original.
pub const MAX_FRAME: usize = 20 * 1024 * 1024;

/// Smallest space offered to a read: enough for most messages in one system call.
const READ_AT_LEAST: usize = 8 * 1024;
/// Set aside for a promised frame before any of it has arrived: what a pipe holds.
const TRUST: usize = 64 * 1024;

/// Why the bytes on a channel are not frames. Nothing after it can be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length above the limit.
    #[error("a frame of {0} bytes; at most {MAX_FRAME} are accepted")]
    TooLong(usize),
    /// The channel ended inside a message.
    #[error("the channel ended inside a message")]
    Cut,
}

/// Where header and body of a message lie in the [`Inbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRange {
    header: Range<usize>,
    body: Range<usize>,
}

/// Collects received bytes and gives out whole messages. What has been used is overwritten:
/// messages carry secrets.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Storage; `start..end` of it has been received and not been used. Every method keeps
    /// `used <= start <= end <= buffer.len()`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// From here to `start` lies the message that was given out last.
    used: usize,
    /// How many bytes from `start` the next message needs, as far as is known.
    needed: usize,
}

#[expect(
    clippy::expect_used,
    reason = "bounds are used, start and end, or lie between them; see the fields"
)]
impl Inbox {
    fn part(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).expect("a part of the buffer")
    }

    fn part_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.buffer.get_mut(range).expect("a part of the buffer")
    }
}

impl Inbox {
    fn received(&self) -> &[u8] {
        self.part(self.start..self.end)
    }

    /// Overwrites the message that was given out last.
    fn forget_used(&mut self) {
        wipe(self.part_mut(self.used..self.start));
        self.used = self.start;
    }

    /// Space for the next read. Follow with [`Inbox::filled`].
    pub fn space(&mut self) -> &mut [u8] {
        self.forget_used();
        if self.start > 0 {
            let end = self.end;
            self.buffer.copy_within(self.start..end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
            self.used = 0;
            wipe(self.part_mut(self.end..end));
        }
        // Grow with what has arrived, not with what was promised.
        let missing = self.needed.saturating_sub(self.end);
        let wanted = missing.min(self.end.max(TRUST)).max(READ_AT_LEAST);
        self.grow(self.end.saturating_add(wanted));
        self.part_mut(self.end..self.buffer.len())
    }

    fn grow(&mut self, length: usize) {
        if self.buffer.len() >= length {
            return;
        }
        if length > LARGE && self.buffer.capacity() < length {
            let mut larger = buffers::take();
            larger.resize(length.max(larger.len()), 0);
            let received = self.part_mut(0..self.end);
            // Not shorter: `length` is more than has been received.
            for (new, old) in larger.iter_mut().zip(&*received) {
                *new = *old;
            }
            wipe(received);
            buffers::give(std::mem::replace(&mut self.buffer, larger));
        } else {
            self.buffer.resize(length, 0);
        }
    }

    /// Says how many bytes of [`Inbox::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Nothing received that has not been used?
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Checks the end of the channel.
    ///
    /// # Errors
    /// If it came inside a message.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(FrameError::Cut)
        }
    }

    /// The frame at `at`, if it has arrived; otherwise up to where it reaches.
    fn frame(&self, at: usize) -> Result<Result<Range<usize>, usize>, FrameError> {
        let received = self.received();
        let start = at.saturating_add(size_of::<u32>());
        let Some(length) = received.get(at..).and_then(<[u8]>::first_chunk) else {
            return Ok(Err(start));
        };
        let length = u32::from_be_bytes(*length);
        // What a machine's addresses have no room for is too long as well.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        let end = start.saturating_add(length);
        Ok(if received.len() >= end {
            Ok(start..end)
        } else {
            Err(end)
        })
    }

    /// Takes the next whole message, if it has arrived. Read it with [`Inbox::parts`]
    /// before anything else is done with the inbox.
    ///
    /// # Errors
    /// When a frame is longer than [`MAX_FRAME`].
    pub fn next_message(&mut self) -> Result<Option<MessageRange>, FrameError> {
        self.forget_used();
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
            self.used = 0;
            if self.buffer.len() > LARGE {
                buffers::give(std::mem::take(&mut self.buffer));
            }
        }
        let header = match self.frame(0)? {
            Ok(header) => header,
            Err(needed) => {
                self.needed = needed;
                return Ok(None);
            }
        };
        let body = match self.frame(header.end)? {
            Ok(body) => body,
            Err(needed) => {
                self.needed = needed;
                return Ok(None);
            }
        };
        let base = self.start;
        self.start = self.start.saturating_add(body.end);
        self.needed = 0;
        Ok(Some(MessageRange {
            header: moved(&header, base),
            body: moved(&body, base),
        }))
    }

    /// Header and body of a message that [`Inbox::next_message`] just gave.
    ///
    /// # Panics
    /// Where it was given by another inbox, or before this one was used again.
    pub fn parts(&self, message: &MessageRange) -> (&[u8], &[u8]) {
        let part = |range: &Range<usize>| self.part(range.clone());
        (part(&message.header), part(&message.body))
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        wipe(&mut self.buffer);
    }
}

/// The range as it lies in a buffer that has `base` more bytes in front.
fn moved(range: &Range<usize>, base: usize) -> Range<usize> {
    base.saturating_add(range.start)..base.saturating_add(range.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(inbox: &mut Inbox, mut bytes: &[u8], piece: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let space = inbox.space();
            let count = piece.min(bytes.len()).min(space.len());
            space[..count].copy_from_slice(&bytes[..count]);
            inbox.filled(count);
            bytes = &bytes[count..];
            while let Some(range) = inbox.next_message().unwrap() {
                let (header, body) = inbox.parts(&range);
                messages.push((header.to_vec(), body.to_vec()));
            }
        }
        messages
    }

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let frame = |part: &&[u8]| [&(part.len() as u32).to_be_bytes()[..], part].concat();
        parts.iter().flat_map(frame).collect()
    }

    proptest! {
        #[test]
        fn messages_survive_being_cut_anywhere(
            messages in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..300),
                proptest::collection::vec(any::<u8>(), 0..20_000)), 0..8),
            piece in 1_usize..10_000,
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|(h, b)| framed(&[h, b])).collect();
            let mut inbox = Inbox::default();
            prop_assert_eq!(feed(&mut inbox, &bytes, piece), messages);
            prop_assert!(inbox.finish().is_ok());
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let mut inbox = Inbox::default();
            let space = inbox.space();
            space[..bytes.len()].copy_from_slice(&bytes);
            inbox.filled(bytes.len());
            while let Ok(Some(_)) = inbox.next_message() {}
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_and_one_at_the_limit_is_not() {
        for (length, refused) in [(MAX_FRAME, false), (MAX_FRAME + 1, true)] {
            let mut inbox = Inbox::default();
            inbox.space()[..4].copy_from_slice(&(length as u32).to_be_bytes());
            inbox.filled(4);
            assert_eq!(inbox.next_message().is_err(), refused);
        }
    }

    #[test]
    fn a_promised_frame_takes_no_memory_before_it_arrives() {
        let mut inbox = Inbox::default();
        inbox.space()[..4].copy_from_slice(&(MAX_FRAME as u32).to_be_bytes());
        inbox.filled(4);
        assert_eq!(inbox.next_message(), Ok(None));
        inbox.space();
        assert!(inbox.capacity() < 4 * TRUST, "{}", inbox.capacity());
        assert_eq!(inbox.finish(), Err(FrameError::Cut));
    }

    #[test]
    fn nothing_of_a_used_message_is_left_behind() {
        let mut inbox = Inbox::default();
        let bytes = framed(&[b"h", b"a secret", b"h", b"another secret"]);
        let both = [
            &bytes[..],
            &framed(&[b"h", b"half of a third secret"])[..12],
        ]
        .concat();
        inbox.space()[..both.len()].copy_from_slice(&both);
        inbox.filled(both.len());
        for _ in 0..2 {
            assert!(inbox.next_message().unwrap().is_some());
        }
        assert_eq!(inbox.next_message(), Ok(None));
        inbox.space();
        let left = inbox.received().to_vec();
        assert_eq!(left, both[bytes.len()..]);
        assert!(inbox.buffer[left.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_large_buffer_is_given_back() {
        let mut inbox = Inbox::default();
        let big = vec![7; 1 << 20];
        assert_eq!(feed(&mut inbox, &framed(&[b"h", &big]), 1 << 16).len(), 1);
        assert_eq!(inbox.next_message(), Ok(None));
        assert_eq!(inbox.capacity(), 0);
    }
}
