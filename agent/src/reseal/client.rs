//! The asking side.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::protocol::{MAX_MESSAGE, Question, Reply};

/// A TPM needs up to some seconds for a key and a seal; files of some 100 MiB are hashed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why the resident agent gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResealError {
    /// Nothing serves there.
    #[error(
        "no resident agent answers at {socket} ({source}): it runs only on a machine that the TPM unlocked; otherwise use --recovery-key or --passphrase-file", socket = .socket.display()
    )]
    NoAgent {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the resident agent did not answer: {0}")]
    Broken(#[from] io::Error),
    /// It answered something else.
    #[error("the resident agent's answer cannot be read: {0}")]
    Answer(String),
    /// It refused.
    #[error("the resident agent refused: {0}")]
    Refused(String),
}

/// Asks one question; a refusal is an error.
///
/// # Errors
/// No agent, a broken connection, or its refusal.
pub fn ask(socket: &Path, question: &Question) -> Result<Reply, ResealError> {
    let mut stream = UnixStream::connect(socket).map_err(|source| ResealError::NoAgent {
        socket: socket.into(),
        source,
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(question).map_err(io::Error::from)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_MESSAGE as u64)).read_until(b'\n', &mut answer)?;
    match serde_json::from_slice(&answer) {
        Ok(Reply::Refused(sentence)) => Err(ResealError::Refused(sentence)),
        Ok(reply) => Ok(reply),
        Err(error) => Err(ResealError::Answer(error.to_string())),
    }
}
