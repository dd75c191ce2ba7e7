//! Enrols a launch, or the key that signs launches: the boot secret, its keyslot, its sealed
//! record. With a volume secret that is there already only the host secret and the record are
//! new.

use std::{collections::BTreeMap, io, path::Path, path::PathBuf};

use tpm::{AuthPolicy, CounterLimit, PcrIndex, PolicySigner, Tpm};
use zeroize::Zeroizing;

use super::{
    editor::Editor,
    enrolled::{Enrolled, FurtherEnrolled},
    error::EnrolmentError,
    parent::Parent,
    pending::{Leftover, PendingKdf, find_leftovers},
    recovery_key::{self, RecoveryKey},
    volume_lock::VolumeLock,
};
use crate::unlock::{
    escrow::Escrow,
    find_records::{TokenId, find_enrolled},
    header::CheckedHeader,
    identity::VolumeIdentity,
    launch_pcrs::LaunchPcrs,
    open::{refuse_ignored, test_passphrase},
    pin::PinKey,
    pin_seal,
    record::{ApprovedLaunch, EnrolledRecord, RecordParts},
    secret::{BootSecret, HostSecret, SecretError, VolumeSecret},
    swap::SwapSpec,
};

/// The library's minimum; to it a random number below 1024 is added ([`Pending`](super::pending::Pending)).
const MIN_ITERATIONS: u32 = 1000;
/// Memory of a recovery key's Argon2id in KiB; to it a random number below 1024 is added.
const RECOVERY_MEMORY_KIB: u32 = 256 * 1024;

/// What the secret is sealed to.
#[derive(Clone, Debug)]
pub enum Target {
    /// One launch: its PCR values without the latch, and its limit.
    Launch(LaunchPcrs, Option<CounterLimit>),
    /// Every launch that the policy key signs.
    PolicyKey(PolicySigner),
}

impl Target {
    /// What the TPM is to check.
    pub(super) fn policy(&self) -> Result<AuthPolicy, EnrolmentError> {
        Ok(match self {
            Self::Launch(values, counter) => {
                AuthPolicy::Launch(ApprovedLaunch::policy(values.clone(), *counter)?)
            }
            Self::PolicyKey(signer) => AuthPolicy::Signed(signer.clone()),
        })
    }
}

/// What is to be enrolled.
#[derive(Clone, Debug)]
pub struct EnrollRequest {
    /// What the secret is sealed to.
    pub target: Target,
    /// Which TPM is sealed to.
    pub parent: Parent,
    /// A note for people.
    pub label: String,
    /// Swap under a random key.
    pub swap: Option<SwapSpec>,
    /// Words for what is measured into a register.
    pub components: BTreeMap<PcrIndex, String>,
    /// Seconds since 1970.
    pub created: u64,
    /// A new secret even if the volume has one: the Tao host then gets other keys.
    pub fresh_secret: bool,
    /// The volume's secret with a new host secret, which nobody here knows: the Tao host then
    /// gets other keys.
    pub fresh_host_secret: bool,
}

/// A volume that is locked and unlocked at once: locked against other writers, and its
/// volume key known.
pub struct Enrolment {
    pub(super) device: PathBuf,
    pub(super) volume: VolumeIdentity,
    pub(super) editor: Editor,
    pub(super) volume_key: Zeroizing<Vec<u8>>,
    /// The keyslot whose passphrase was given: never removed.
    pub(super) opened_by: Option<u32>,
    leftovers: Vec<Leftover>,
    /// Made once, so that all launches enrolled in one go have the same host.
    host_secret: Option<HostSecret>,
    pub(super) pin: Option<PinKey>,
    _lock: VolumeLock,
}

impl Enrolment {
    /// Locks the device, checks its header and gets the volume key by an existing passphrase.
    /// Then removes what an interrupted run left behind. Nothing else is written.
    pub fn begin(device: &Path, existing_passphrase: &[u8]) -> Result<Self, EnrolmentError> {
        // Reading comes first: "is not LUKS2" says more than "cannot be written".
        CheckedHeader::read(device)?;
        let lock = VolumeLock::acquire(device)?;
        let header = CheckedHeader::read(device)?;
        let volume = header.identity().clone();
        refuse_ignored(&header).map_err(EnrolmentError::Passphrase)?;
        let mut editor = Editor::open(device)?;
        let length = volume.key_bytes as usize;
        let (volume_key, opened_by) = editor.volume_key(existing_passphrase, length)?;
        let leftovers = find_leftovers(&header);
        for leftover in &leftovers {
            if let Some(keyslot) = leftover.keyslot.filter(|slot| Some(*slot) != opened_by) {
                editor.remove_keyslot(keyslot)?;
            }
            editor.remove_token(leftover.token)?;
        }
        Ok(Self {
            device: device.into(),
            volume,
            editor,
            volume_key,
            opened_by,
            leftovers,
            host_secret: None,
            pin: None,
            _lock: lock,
        })
    }

    /// What an interrupted run had left behind; it is removed already.
    pub fn removed_leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// The volume.
    pub const fn volume(&self) -> &VolumeIdentity {
        &self.volume
    }

    /// Seals the volume's secret, or a fresh one, with a fresh host secret, and enrols the record.
    /// Where the volume has a secret already, its launches have a host secret, which only the
    /// TPM and the resident agent know: then the caller must have asked for another one.
    ///
    /// # Errors
    /// Nothing is enrolled then; what an error while undoing leaves behind opens nothing.
    pub fn enroll(
        &mut self,
        tpm: &mut dyn Tpm,
        request: EnrollRequest,
    ) -> Result<Enrolled, EnrolmentError> {
        let (enrolled, _) = self.enroll_with(tpm, request, &mut [])?;
        Ok(enrolled)
    }

    /// [`Self::enroll`], together with further volumes that the same secret opens: all or none. They
    /// come first, since their keyslots open nothing until the record is there.
    ///
    /// # Errors
    /// None of them is enrolled then, unless the error says that what was written cannot be read back.
    /// With a new secret, what an error while undoing leaves behind opens nothing.
    pub fn enroll_with(
        &mut self,
        tpm: &mut dyn Tpm,
        request: EnrollRequest,
        further: &mut [Self],
    ) -> Result<(Enrolled, Vec<FurtherEnrolled>), EnrolmentError> {
        let policy = request.target.policy()?;
        let known_srk = request.parent.known(tpm, &self.genuine_records()?)?;
        let known = if request.fresh_secret {
            None
        } else {
            self.known_secret()?
        };
        let (secret, keyslot) = match known {
            Some(_) if !request.fresh_host_secret => {
                return Err(EnrolmentError::HostSecretUnknown(self.device.clone()));
            }
            // The same secret without a PIN would make the PIN of the other records worth nothing.
            Some((_, secret)) if self.pin.is_none() && self.asks_for_pin(&secret)? => {
                return Err(EnrolmentError::PinNeeded(self.device.clone()));
            }
            Some((record, secret)) => (secret, Some(record.parts().keyslot)),
            None => (VolumeSecret::generate()?, None),
        };
        let boot_secret = BootSecret::new(secret, self.fresh_host_secret()?);
        let secret = boot_secret.volume();
        let sealed = pin_seal::seal(
            tpm,
            &boot_secret,
            self.pin.as_ref(),
            &policy,
            known_srk.as_ref(),
        )?;
        let escrow = Escrow::seal(secret, &self.volume_key, &self.volume)?;
        let volume = self.volume.clone();
        let salt = self.pin.as_ref().map(|pin| pin.salt().clone());
        let parts = |keyslot| RecordParts {
            keyslot,
            volume,
            policy: policy.clone(),
            sealed,
            label: request.label,
            swap: request.swap,
            created: request.created,
            components: request.components,
            escrow: Some(escrow),
            pin: salt,
        };
        let passphrase = secret.volume_passphrase(&self.volume);
        let written = self.enroll_all_further(further, secret)?;
        let enrolled = match self.write_record(&policy, secret, keyslot, &passphrase, parts) {
            Ok(enrolled) => enrolled,
            Err(error) => {
                Self::undo_all_further(further, &written);
                return Err(error);
            }
        };
        // From here on all of it is written, whatever a failure says.
        self.verify(&enrolled, &passphrase)?;
        if request.fresh_secret {
            self.remove_shadowing(&policy, secret, enrolled.keyslot)?;
        }
        let further = self.finish_further(further, written, secret);
        Ok((enrolled, further))
    }

    /// Writes the record, with a keyslot of its own where there is none yet for the secret.
    fn write_record(
        &mut self,
        policy: &AuthPolicy,
        secret: &VolumeSecret,
        keyslot: Option<u32>,
        passphrase: &[u8],
        parts: impl FnOnce(u32) -> RecordParts,
    ) -> Result<Enrolled, EnrolmentError> {
        let Some(keyslot) = keyslot else {
            let pending = self.announce(derived_kdf()?)?;
            let keyslot = pending.keyslot;
            let token = EnrolledRecord::new(parts(keyslot), secret)?.to_token()?;
            let token = self.make_keyslot(pending, passphrase, |()| Ok(()), &token)?;
            return Ok(Enrolled {
                secret_id: Some(secret.id()),
                token,
                keyslot,
            });
        };
        // An equal record is replaced: the header has room for some eight.
        let equal = self.equal_record(policy, secret)?;
        let token = EnrolledRecord::new(parts(keyslot), secret)?.to_token()?;
        let token = match equal {
            Some(old) => {
                self.editor.replace_token(old, &token)?;
                old
            }
            None => self.editor.add_token(&token)?,
        };
        Ok(Enrolled {
            secret_id: Some(secret.id()),
            token,
            keyslot,
        })
    }

    fn fresh_host_secret(&mut self) -> Result<HostSecret, SecretError> {
        let secret = match self.host_secret.take() {
            Some(secret) => secret,
            None => HostSecret::generate()?,
        };
        Ok(self.host_secret.insert(secret).copy())
    }

    /// The newest record of which the volume's key proves that it is genuine.
    pub fn authentic_record(&self) -> Result<Option<EnrolledRecord>, EnrolmentError> {
        Ok(self.known_secret()?.map(|(record, _)| record))
    }

    /// All of them, the newest first.
    fn genuine_records(&self) -> Result<Vec<EnrolledRecord>, EnrolmentError> {
        let Some((newest, secret)) = self.known_secret()? else {
            return Ok(Vec::new());
        };
        let header = CheckedHeader::read(&self.device)?;
        let all = find_enrolled(&header).into_iter();
        let genuine = all
            .filter_map(|(_, record)| record.ok())
            .filter(|record| record.verify_mac(&secret).is_ok());
        Ok(std::iter::once(newest).chain(genuine).collect())
    }

    /// Is a record one of the volume's secret, as it was made? `None` where no secret is known.
    pub fn proves(&self, record: &EnrolledRecord) -> Option<bool> {
        let (_, secret) = self.known_secret().ok()??;
        Some(record.verify_mac(&secret).is_ok())
    }

    /// The token of a record for the same launch, with the same limit, of the same secret.
    fn equal_record(
        &self,
        policy: &AuthPolicy,
        secret: &VolumeSecret,
    ) -> Result<Option<TokenId>, EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        let equal = find_enrolled(&header).into_iter().find(|(_, record)| {
            record.as_ref().is_ok_and(|record| {
                record.parts().policy == *policy && record.verify_mac(secret).is_ok()
            })
        });
        Ok(equal.map(|(token, _)| token))
    }

    /// That record and its secret: the escrow opens, and the keyslot is still the secret's.
    pub(super) fn known_secret(
        &self,
    ) -> Result<Option<(EnrolledRecord, VolumeSecret)>, EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        let mut records: Vec<EnrolledRecord> = find_enrolled(&header)
            .into_iter()
            .filter_map(|(_, record)| record.ok())
            .collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.parts().created));
        let found = records.into_iter().find_map(|record| {
            let escrow = record.parts().escrow.as_ref()?;
            let secret = escrow.open(&self.volume_key, &self.volume)?;
            record.verify_mac(&secret).ok()?;
            let keyslot = record.parts().keyslot;
            let passphrase = secret.volume_passphrase(&self.volume);
            let opens = test_passphrase(&header, &passphrase, Some(keyslot)).is_ok();
            opens.then_some((record, secret))
        });
        Ok(found)
    }

    /// Adds a recovery key. `show` hands it to its owner; when that fails, or the program
    /// is killed before it is done, the key is (or will be) removed.
    pub fn add_recovery_key(
        &mut self,
        show: impl FnOnce(&RecoveryKey) -> io::Result<()>,
    ) -> Result<Enrolled, EnrolmentError> {
        let key = RecoveryKey::generate()?;
        let memory = RECOVERY_MEMORY_KIB.saturating_add(random_below_1024()?);
        let pending = self.announce(PendingKdf::Argon2id(memory))?;
        let token = recovery_key::token(pending.keyslot);
        let id = self.make_keyslot(pending, key.text().as_bytes(), |()| show(&key), &token)?;
        Ok(Enrolled {
            secret_id: None,
            token: id,
            keyslot: pending.keyslot,
        })
    }
}

/// For a passphrase that follows from the volume secret.
pub(super) fn derived_kdf() -> Result<PendingKdf, SecretError> {
    let iterations = MIN_ITERATIONS.saturating_add(random_below_1024()?);
    Ok(PendingKdf::Pbkdf2(iterations))
}

fn random_below_1024() -> Result<u32, SecretError> {
    let number = getrandom::u32().map_err(SecretError::NoRandomness)?;
    Ok(number % 1024)
}
