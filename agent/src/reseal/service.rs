//! The resident side: serves one root user at a time.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::Value;
use tao::keys::Hidden;
use tpm::{AuthPolicy, CounterLimit, PcrIndex, Tpm};

use super::{
    files,
    protocol::{MAX_MESSAGE, Question, Reply, SealRequest},
};
use crate::unlock::{
    ApprovedLaunch, BootSecret, EnrolledRecord, LaunchPcrs, ROLLBACK_COUNTER, RecordParts,
};

/// A client that says nothing does not hold up the next.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the service cannot be offered.
#[derive(Debug, thiserror::Error)]
#[error("no `taoboot reseal`: {path}: {source}", path = .path.display())]
pub struct ServiceError {
    path: PathBuf,
    source: io::Error,
}

/// Opens a TPM for one request.
type OpenTpm = Box<dyn Fn() -> Result<Box<dyn Tpm>, tpm::TpmError> + Send>;

/// What holds the secret and makes records of it.
pub struct ResealService {
    listener: UnixListener,
    secret: Hidden<BootSecret>,
    tpm: OpenTpm,
    boot: PathBuf,
    served_user: u32,
}

impl ResealService {
    /// Makes the socket, for its owner only. `boot` is the folder that files must lie in,
    /// `served_user` the only user who is served: root, but in tests.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn bind(
        socket: &Path,
        boot: &Path,
        served_user: u32,
        secret: Hidden<BootSecret>,
        tpm: OpenTpm,
    ) -> Result<Self, ServiceError> {
        let failed = |source| ServiceError {
            path: socket.into(),
            source,
        };
        // A second service does not take the socket of the first: it is made once a boot.
        let listener = UnixListener::bind(socket).map_err(failed)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(ResealService {
            listener,
            secret,
            tpm,
            boot: boot.into(),
            served_user,
        })
    }

    /// Serves until the process ends.
    pub fn run(&self) {
        for stream in self.listener.incoming() {
            let served = stream.and_then(|stream| self.serve(stream));
            // A client that went away or sent nothing is no failure of the service.
            if let Err(error) = served {
                log::warn!("reseal: a request was not answered: {error}");
            }
        }
    }

    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let peer = getsockopt(&stream, PeerCredentials)?;
        // Read in any case: who is refused before he has finished speaking sees a broken pipe.
        let question = question(&stream)?;
        let reply = if peer.uid() != self.served_user {
            log::warn!(
                "reseal: refused to process {} of user {}: only root is served",
                peer.pid(),
                peer.uid()
            );
            Reply::Refused("only root may ask for a record".into())
        } else {
            match question {
                Ok(question) => self.answer(question, peer.pid()),
                Err(sentence) => Reply::Refused(sentence),
            }
        };
        let mut line = serde_json::to_vec(&reply)?;
        line.push(b'\n');
        stream.write_all(&line)
    }

    fn answer(&self, question: Question, pid: i32) -> Reply {
        let request = match question {
            Question::Which => return Reply::Holds(self.secret.id()),
            Question::Seal(request) => request,
        };
        let label = shown(&request.label);
        let files: Vec<String> = request.files.iter().map(|f| shown(&f.path)).collect();
        let files = files.join(", ");
        match self.seal(*request) {
            Ok(token) => {
                log::warn!(
                    "reseal: process {pid} (root) had the boot secret sealed for {label:?}: {files}"
                );
                Reply::Record(token)
            }
            Err(sentence) => {
                log::warn!(
                    "reseal: refused to process {pid} (root) for {label:?}: {files}: {sentence}"
                );
                Reply::Refused(sentence)
            }
        }
    }

    fn seal(&self, request: SealRequest) -> Result<Value, String> {
        let pattern =
            EnrolledRecord::from_token(&request.pattern).map_err(|error| error.to_string())?;
        pattern.verify_mac(self.secret.volume()).map_err(|_| {
            "the record given as a pattern is not one of the secret that opened this machine"
                .to_owned()
        })?;
        files::check(&request.files, &self.boot)?;
        let counter = request.limit.map(|limit| CounterLimit {
            index: ROLLBACK_COUNTER,
            limit,
        });
        let pcrs = LaunchPcrs::new(request.pcrs).map_err(|error| error.to_string())?;
        let launch = ApprovedLaunch::policy(pcrs, counter);
        let policy = AuthPolicy::Launch(launch.map_err(|error| error.to_string())?);
        let components = request.components.into_iter().map(|(pcr, words)| {
            let pcr = pcr
                .parse::<u8>()
                .ok()
                .and_then(|n| PcrIndex::try_from(n).ok());
            pcr.map(|pcr| (pcr, words))
        });
        let components = components
            .collect::<Option<_>>()
            .ok_or("a component's key is no PCR number")?;
        let mut tpm = (self.tpm)().map_err(|error| error.to_string())?;
        let sealed = tpm
            .seal(self.secret.to_bytes().as_slice(), &policy)
            .map_err(|error| error.to_string())?;
        let old = pattern.parts();
        if sealed.parent != old.sealed.parent {
            return Err(format!(
                "the TPM's storage root key is {}, that of the present records is {}: enroll again with a passphrase",
                sealed.parent, old.sealed.parent
            ));
        }
        let parts = RecordParts {
            keyslot: old.keyslot,
            volume: old.volume.clone(),
            policy,
            sealed,
            label: request.label,
            swap: old.swap.clone(),
            created: request.created,
            components,
            escrow: old.escrow.clone(),
        };
        EnrolledRecord::new(parts, self.secret.volume())
            .and_then(|record| record.to_token())
            .map_err(|error| error.to_string())
    }
}

/// The outer error is the connection's, the inner one a sentence for the client.
fn question(stream: &UnixStream) -> io::Result<Result<Question, String>> {
    let mut line = Vec::new();
    let bounded = stream.take(MAX_MESSAGE as u64);
    BufReader::new(bounded).read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Ok(Err(format!(
            "a request is one line of at most {MAX_MESSAGE} bytes"
        )));
    }
    Ok(serde_json::from_slice(&line)
        .map_err(|error| format!("the request is not understood: {error}")))
}

/// For the kernel log, where a control character could forge a line.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(160).collect();
    printable::line(short).to_string()
}
