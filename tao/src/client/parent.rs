//! The host that started this program.

use std::sync::OnceLock;

use super::{channel::Connection, error::CallError, spec::Spec};

/// Names the kind of channel: `pipe` or `unix`.
pub const CHANNEL_TYPE_VARIABLE: &str = "CLOUDPROXY_TAO_HOST_CHANNEL_TYPE";
/// Says where it is: `tao::RPC+tao::FDMessageChannel(3, 4)`, or a socket's path.
pub const SPEC_VARIABLE: &str = "CLOUDPROXY_TAO_HOST_SPEC";

/// The host that started this program. Calls block; any number of threads may call.
pub struct Parent {
    pub(super) connection: Connection,
}

impl Parent {
    /// The parent that the environment names. There is one for the whole process: two
    /// connections over the same pipes would take each other's answers.
    ///
    /// # Errors
    /// When this process was not started by a Tao host, or the channel cannot be opened.
    pub fn from_env() -> Result<&'static Self, CallError> {
        static PARENT: OnceLock<Result<Parent, CallError>> = OnceLock::new();
        let made = PARENT.get_or_init(|| {
            let read = |name: &'static str| {
                std::env::var(name).map_err(|_| CallError::NoParent { variable: name })
            };
            Self::open(&Spec::parse(
                &read(CHANNEL_TYPE_VARIABLE)?,
                &read(SPEC_VARIABLE)?,
            )?)
        });
        made.as_ref().map_err(Clone::clone)
    }

    fn open(spec: &Spec) -> Result<Self, CallError> {
        Ok(Self {
            connection: spec.connect()?,
        })
    }

    /// A parent at the other end of two streams.
    pub fn over(
        reader: impl std::io::Read + Send + 'static,
        writer: impl std::io::Write + Send + 'static,
    ) -> Self {
        Self {
            connection: Connection::new(Box::new(reader), Box::new(writer)),
        }
    }
}
