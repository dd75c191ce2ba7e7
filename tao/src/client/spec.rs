//! Reads the description of the channel that the host puts into the environment.

use std::{fs::File, os::unix::net::UnixStream};

use super::{channel::Connection, error::CallError};
use crate::descriptors;

/// How to reach the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// Inherited descriptors: read from the first, write to the second.
    Pipe(i32, i32),
    /// A socket's path.
    Unix(String),
}

const PIPE: &str = "tao::RPC+tao::FDMessageChannel(R, W)";

impl Spec {
    pub(super) fn parse(kind: &str, spec: &str) -> Result<Self, CallError> {
        match kind {
            "pipe" => pipe(spec).ok_or_else(|| CallError::Spec {
                expected: PIPE,
                found: spec.to_owned(),
            }),
            "unix" => Ok(Self::Unix(spec.to_owned())),
            other => Err(CallError::Spec {
                expected: "type pipe or unix",
                found: other.to_owned(),
            }),
        }
    }

    pub(super) fn connect(&self) -> Result<Connection, CallError> {
        let failed =
            |what: String, error: std::io::Error| CallError::Channel(format!("{what}: {error}"));
        match self {
            Self::Pipe(read, write) => {
                let open = |number: &i32| {
                    descriptors::inherited(*number)
                        .map(File::from)
                        .map_err(|error| failed(format!("file descriptor {number}"), error))
                };
                Ok(Connection::new(
                    Box::new(open(read)?),
                    Box::new(open(write)?),
                ))
            }
            Self::Unix(path) => {
                let stream =
                    UnixStream::connect(path).map_err(|error| failed(path.clone(), error))?;
                let other = stream
                    .try_clone()
                    .map_err(|error| failed(path.clone(), error))?;
                Ok(Connection::new(Box::new(stream), Box::new(other)))
            }
        }
    }
}

fn pipe(spec: &str) -> Option<Spec> {
    let inside = spec
        .strip_prefix("tao::RPC+tao::FDMessageChannel(")?
        .strip_suffix(')')?;
    let (read, write) = inside.split_once(',')?;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &i32| *number >= 0);
    Some(Spec::Pipe(number(read)?, number(write)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_description_is_understood() {
        let spec = Spec::parse("pipe", "tao::RPC+tao::FDMessageChannel(3, 4)");
        assert_eq!(spec, Ok(Spec::Pipe(3, 4)));
    }

    #[test]
    fn anything_else_is_refused() {
        for (kind, spec) in [
            ("pipe", ""),
            ("pipe", "tao::RPC+tao::FDMessageChannel(3)"),
            ("pipe", "tao::RPC+tao::FDMessageChannel(-3, 4)"),
            ("pipe", "tao::RPC+tao::FDMessageChannel(3, 4) "),
            ("tpm", "tao::TPMTao(\"/dev/tpm0\")"),
        ] {
            assert!(
                matches!(Spec::parse(kind, spec), Err(CallError::Spec { .. })),
                "{spec}"
            );
        }
    }
}
