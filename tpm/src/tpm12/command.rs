//! What a command is made of, and what its answer is.

use zeroize::Zeroizing;

use super::{
    codec::{Malformed, Response},
    error::Tpm12Error,
    return_code::ReturnCode,
};

/// A command's number and its name.
#[derive(Clone, Copy)]
pub(super) struct Ordinal(pub(super) u32, pub(super) &'static str);

/// A command before it is authorized and sent.
#[derive(Clone, Copy)]
pub(super) struct Command<'a> {
    pub(super) ordinal: Ordinal,
    /// What comes first and is in no HMAC.
    pub(super) handles: &'a [u32],
    pub(super) parameters: &'a [u8],
    /// Of what a handle comes first in the answer, in no HMAC.
    pub(super) opens: Option<Resource>,
}

impl<'a> Command<'a> {
    /// A command whose answer begins with no handle.
    pub(super) const fn new(ordinal: Ordinal, handles: &'a [u32], parameters: &'a [u8]) -> Self {
        Self {
            ordinal,
            handles,
            parameters,
            opens: None,
        }
    }

    /// The handles as they are sent.
    pub(super) fn handle_bytes(&self) -> Vec<u8> {
        self.handles
            .iter()
            .flat_map(|handle| handle.to_be_bytes())
            .collect()
    }
}

/// What a command gave.
pub(super) struct Answer {
    /// Of what the command opened; 0 where it opens nothing.
    pub(super) handle: u32,
    pub(super) parameters: Zeroizing<Vec<u8>>,
}

/// A kind of thing that is loaded or opened: TPM_RESOURCE_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A key.
    Key,
    /// An OIAP or OSAP session.
    Session,
    /// A transport session.
    Transport,
}

impl Resource {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Key => 1,
            Self::Session => 2,
            Self::Transport => 4,
        }
    }
}

/// An answer that is no refusal.
pub(super) fn parse(ordinal: Ordinal, answer: &[u8]) -> Result<Response<'_>, Tpm12Error> {
    let response = Response::parse(answer).map_err(bad_answer(ordinal))?;
    match response.code {
        0 => Ok(response),
        code => Err(Tpm12Error::Refused {
            command: ordinal.1,
            code: ReturnCode(code),
        }),
    }
}

/// For `map_err`: the response to which command it was that is malformed.
pub(super) fn bad_answer(ordinal: Ordinal) -> impl Fn(Malformed) -> Tpm12Error {
    move |source| Tpm12Error::BadAnswer {
        command: ordinal.1,
        source,
    }
}
