//! Why an administrator's call is refused: the text is what they get to read.

use std::{io, sync::Arc};

use nix::sys::signal::Signal;
use tao::{logic::LogicError, wire::proto2::ProtoError};

use crate::{
    administer::{administrator::Forbidden, host_guard::HostGuardError, start_error::StartRefused},
    confine::users::DeleteError,
    counters::error::{ChangeError, CounterError},
    measure::measuring::QueueError,
};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// There is no such call. The sentence is that of [`tao::wire::rpc::unknown_method`].
    #[error("{0}")]
    Unknown(String),
    /// Not a request.
    #[error(transparent)]
    Request(#[from] ProtoError),
    /// This administrator may not do that.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Whose files they may read is not known.
    #[error(transparent)]
    Credentials(Arc<io::Error>),
    /// Others are first.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A program is not started.
    #[error(transparent)]
    Start(Box<StartRefused>),
    /// What the original answers where no program fits.
    #[error("no such hosted program")]
    NoSuchProgram,
    /// Nothing is kept.
    #[error("no output is kept: there is no such program, or it does not run in the background")]
    NoOutput,
    /// Not a program's name.
    #[error("subprin: {0}")]
    SubPrin(#[source] LogicError),
    /// Not a signal.
    #[error("{0} is not the number of a signal")]
    SignalNumber(i32),
    /// The signal could not be sent.
    #[error("{signal} to process {pid}: {source}")]
    Signal {
        /// The signal.
        signal: Signal,
        /// To whom.
        pid: i32,
        /// What the system said.
        source: io::Error,
    },
    /// The guard is asked nothing.
    #[error("no rule or query is given")]
    NoText,
    /// The guard is asked something that is not a query.
    #[error(transparent)]
    Query(#[from] LogicError),
    /// The guard did not do it.
    #[error(transparent)]
    Guard(#[from] HostGuardError),
    /// The counters cannot be read.
    #[error(transparent)]
    Counters(#[from] CounterError),
    /// Counters are not deleted.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// Not the hash of a program.
    #[error("a program's hash has 32 bytes, not {0}")]
    Hash(usize),
    /// Neither a number nor a hash, or both.
    #[error("a user is named by its number or by its program's hash, and by one of them only")]
    WhichUser,
    /// A user is not deleted.
    #[error(transparent)]
    User(#[from] DeleteError),
    /// What is in the host's state.
    #[error("the programs' directories: {0}")]
    State(#[source] io::Error),
}

impl From<StartRefused> for Refused {
    fn from(why: StartRefused) -> Self {
        Self::Start(Box::new(why))
    }
}
