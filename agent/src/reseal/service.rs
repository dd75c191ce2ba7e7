//! The resident side: serves one root user at a time.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::Value;
use tao::keys::Hidden;
use tpm::{AuthPolicy, CounterLimit, PcrSet, PcrValues, Tpm};
use zeroize::Zeroizing;

use super::{
    boot_files::{BootFiles, below},
    files, launch,
    pin_change::{self, PinChangeError},
    protocol::{MAX_MESSAGE, Measure, PinChange, Question, Reply, SealRequest},
    refusal::Refusal,
    request_log::{log_lines, shown},
};
use crate::unlock::{
    ApprovedLaunch, BootSecret, EnrolledRecord, LaunchPcrs, PinKey, ROLLBACK_COUNTER, RecordParts,
    pin_seal,
};

/// A client that says nothing does not hold up the next.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the service cannot be offered.
#[derive(Debug, thiserror::Error)]
#[error("`taoboot reseal` is not available: {path}: {source}", path = .path.display())]
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
    root: PathBuf,
    served_user: u32,
    host_key: Option<[u8; 32]>,
    /// Where the PIN was changed in this boot; else the secret has the one that was typed.
    changed_pin: Mutex<Option<Hidden<PinKey>>>,
    wrong_pins: pin_change::Guard,
}

impl ResealService {
    /// Makes the socket, for its owner only. `boot` is the directory that files must lie in,
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
        Ok(Self {
            listener,
            secret,
            tpm,
            boot: boot.into(),
            root: "/".into(),
            served_user,
            host_key: None,
            changed_pin: Mutex::new(None),
            wrong_pins: pin_change::Guard::default(),
        })
    }

    /// Says which key the Tao host has, where there is one.
    #[must_use]
    pub fn with_host_key(mut self, digest: Option<[u8; 32]>) -> Self {
        self.host_key = digest;
        self
    }

    /// Another root than /, for tests: there is the list of known files.
    #[must_use]
    pub fn with_root(mut self, root: &Path) -> Self {
        self.root = root.into();
        self
    }

    /// Serves until the process ends.
    pub fn run(&self) {
        for stream in self.listener.incoming() {
            let served = stream.and_then(|stream| self.serve(stream));
            // A client that went away or sent nothing is not a failure of the service.
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
                Err(refusal) => Reply::Refused(refusal.to_string()),
            }
        };
        let mut line = serde_json::to_vec(&reply)?;
        line.push(b'\n');
        stream.write_all(&line)
    }

    fn answer(&self, question: Question, pid: i32) -> Reply {
        let request = match question {
            Question::Which => return Reply::Holds(self.secret.id()),
            Question::Genuine(token) => return Reply::Genuine(self.is_genuine(&token)),
            Question::HostKey => return self.host_key(),
            Question::ChangePin(change) => return self.change_pin(&change, pid),
            Question::Seal(request) => request,
        };
        let lines = log_lines(&request);
        let sealed = self.seal(*request);
        for line in lines {
            log::warn!("reseal: asked by process {pid} (root): {line}");
        }
        match sealed {
            Ok(token) => {
                log::warn!("reseal: process {pid} (root) had the boot secret sealed for it");
                Reply::Record(token)
            }
            Err(refusal) => {
                let sentence = refusal.to_string();
                let short = shown(&sentence, 400);
                log::warn!("reseal: refused to process {pid} (root): {short}");
                Reply::Refused(sentence)
            }
        }
    }

    /// The stretched PIN that records are sealed with at present.
    fn pin(&self) -> Option<PinKey> {
        let changed = self.changed_pin.lock();
        let changed = changed.unwrap_or_else(PoisonError::into_inner);
        let present = changed.as_deref().or_else(|| self.secret.pin());
        present.map(PinKey::copy)
    }

    fn change_pin(&self, change: &PinChange, pid: i32) -> Reply {
        log::warn!("reseal: process {pid} (root) asks for another PIN");
        match self.with_new_pin(change) {
            Ok(records) => {
                log::warn!("reseal: process {pid} (root) had the PIN changed");
                Reply::Records(records)
            }
            Err(refusal) => {
                let sentence = refusal.to_string();
                let short = shown(&sentence, 400);
                log::warn!("reseal: refused to process {pid} (root): {short}");
                Reply::Refused(sentence)
            }
        }
    }

    /// All the records with the new PIN, or none; from then on it is the one of this boot.
    fn with_new_pin(&self, change: &PinChange) -> Result<Vec<Value>, Refusal> {
        let present = self.pin();
        let key = pin_change::allowed(change, present.as_ref(), &self.secret, &self.wrong_pins)?;
        let mut tpm = (self.tpm)()?;
        let mut records = Vec::with_capacity(change.records.len());
        for token in &change.records {
            let record = EnrolledRecord::from_token(token)?;
            record
                .verify_mac(self.secret.volume())
                .map_err(|_| Refusal::Pattern)?;
            let mut parts = record.parts().clone();
            let policy = &parts.policy;
            let known = Some(&parts.sealed.parent);
            parts.sealed = pin_seal::seal(tpm.as_mut(), &self.secret, Some(&key), policy, known)?;
            parts.pin = Some(key.salt().clone());
            records.push(EnrolledRecord::new(parts, self.secret.volume())?.to_token()?);
        }
        let mut changed = self.changed_pin.lock();
        let changed = changed.as_deref_mut().map_err(|_| PinChangeError::Broken)?;
        *changed = Some(Hidden::with(|| key));
        Ok(records)
    }

    fn host_key(&self) -> Reply {
        match self.host_key {
            Some(digest) => Reply::HostKey(hex::encode(digest)),
            None => Reply::Refused("this boot has no Tao host".into()),
        }
    }

    fn is_genuine(&self, token: &Value) -> bool {
        EnrolledRecord::from_token(token)
            .is_ok_and(|record| record.verify_mac(self.secret.volume()).is_ok())
    }

    /// Reads the files, and computes the registers of their launch.
    fn check_launch(
        &self,
        request: &SealRequest,
        approved: Option<&PcrValues>,
    ) -> Result<(), Refusal> {
        let known = BootFiles::of(&self.root)?;
        let is_tboot = |number: usize| {
            let mut events = request.events.iter();
            events.any(|e| matches!(&e.measured, Measure::Tboot { file, .. } if *file == number))
        };
        let knows = |path: &str, digest: &str| known.knows(&below(&self.root, path), digest);
        let read = files::read(&request.files, &self.boot, &knows, is_tboot)?;
        launch::check(
            &request.events,
            &request.files,
            &read,
            &request.pcrs,
            approved,
        )?;
        Ok(())
    }

    fn seal(&self, request: SealRequest) -> Result<Value, Refusal> {
        let pattern = EnrolledRecord::from_token(&request.pattern)?;
        pattern
            .verify_mac(self.secret.volume())
            .map_err(|_| Refusal::Pattern)?;
        let approved = match &pattern.parts().policy {
            AuthPolicy::Launch(launch) => Some(launch.pcrs().values()),
            AuthPolicy::Signed(_) => None,
        };
        // First, since its sentence says more than that some register differs.
        LaunchPcrs::check(&request.pcrs)?;
        self.check_launch(&request, approved)?;
        check_others(&request.pcrs, approved)?;
        let counter = request.limit.map(|limit| CounterLimit {
            index: ROLLBACK_COUNTER,
            limit,
        });
        let pcrs = LaunchPcrs::new(request.pcrs)?;
        let policy = AuthPolicy::Launch(ApprovedLaunch::policy(pcrs, counter)?);
        let mut tpm = (self.tpm)()?;
        // A PIN that was typed in this boot is asked for in the next, whatever the pattern is: a
        // record from before it must not lead to one without.
        let pin = self.pin();
        let old = pattern.parts();
        if old.pin.is_some() && pin.is_none() {
            return Err(Refusal::NoPin);
        }
        let known = Some(&old.sealed.parent);
        let sealed = pin_seal::seal(tpm.as_mut(), &self.secret, pin.as_ref(), &policy, known)?;
        let parts = RecordParts {
            keyslot: old.keyslot,
            volume: old.volume.clone(),
            policy,
            sealed,
            label: request.label,
            swap: old.swap.clone(),
            created: request.created,
            components: request.components,
            escrow: old.escrow.clone(),
            pin: pin.map(|pin| pin.salt().clone()),
        };
        Ok(EnrolledRecord::new(parts, self.secret.volume())?.to_token()?)
    }
}

/// What the prediction says nothing of (firmware) stays as it is approved now.
fn check_others(pcrs: &PcrValues, approved: Option<&PcrValues>) -> Result<(), Refusal> {
    for (pcr, value) in pcrs
        .iter()
        .filter(|(pcr, _)| !PcrSet::LAUNCH.contains(*pcr))
    {
        if approved.and_then(|approved| approved.get(pcr)) != Some(value) {
            return Err(Refusal::OtherRegister(pcr));
        }
    }
    Ok(())
}

/// The outer error is the connection's, the inner one the client's.
fn question(stream: &UnixStream) -> io::Result<Result<Question, Refusal>> {
    // A PIN may be in it: it is wiped, and does not grow. What the reader keeps is in locked memory.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_MESSAGE));
    let bounded = stream.take(MAX_MESSAGE as u64);
    BufReader::new(bounded).read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Ok(Err(Refusal::NotALine));
    }
    Ok(serde_json::from_slice(&line).map_err(Refusal::NotUnderstood))
}
