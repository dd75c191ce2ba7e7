//! What an enrolment would write, without writing it: the header is read, and the TPM seals a secret that
//! nobody keeps.

use tpm::Tpm;
use zeroize::Zeroizing;

use super::{
    enroll::EnrollRequest,
    error::EnrolmentError,
    pending::{Leftover, find_leftovers},
    room,
};
use crate::unlock::{
    escrow::Escrow,
    find_records::find_enrolled,
    further::{FurtherToken, find_further},
    header::CheckedHeader,
    pin::{Pin, PinKey, PinSalt},
    pin_seal,
    record::{EnrolledRecord, RecordParts},
    secret::{BootSecret, HostSecret, VolumeSecret},
};

/// What would be written to a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The keyslot that the record would share; `None`: a new one.
    pub shared: Option<u32>,
    /// What an interrupted run left, and would be removed.
    pub leftovers: Vec<Leftover>,
}

/// Everything that [`super::Enrolment::enroll_with`] refuses by what can be seen without a passphrase, in
/// its order. The sealed record of the rehearsal is as large as the real one.
///
/// # Errors
/// As enrolling would give.
pub fn rehearse(
    tpm: &mut dyn Tpm,
    header: &CheckedHeader,
    request: &EnrollRequest,
    with_pin: bool,
    further: &[CheckedHeader],
) -> Result<(Planned, Vec<Planned>), EnrolmentError> {
    let policy = request.target.policy()?;
    let records: Vec<EnrolledRecord> = find_enrolled(header)
        .into_iter()
        .filter_map(|(_, record)| record.ok())
        .collect();
    let known = records.first();
    let shared = known
        .filter(|_| !request.fresh_secret)
        .map(|record| record.parts().keyslot);
    if shared.is_some() && !request.fresh_host_secret {
        return Err(EnrolmentError::HostSecretUnknown(header.device().into()));
    }
    let of_known = |record: &&EnrolledRecord| {
        known.is_some_and(|known| known.secret_id() == record.secret_id())
    };
    let mut of_secret = records.iter().filter(of_known);
    if shared.is_some() && !with_pin && of_secret.any(|record| record.parts().pin.is_some()) {
        return Err(EnrolmentError::PinNeeded(header.device().into()));
    }
    let boot_secret = BootSecret::new(VolumeSecret::generate()?, HostSecret::generate()?);
    let secret = boot_secret.volume();
    // Whether a record is genuine is not known here: this is for the refusal, the secret is nobody's.
    let known_srk = request.parent.known(tpm, &records)?;
    let pin = with_pin.then(nobodys_pin).transpose()?;
    let pin = pin.as_ref();
    let sealed = pin_seal::seal(tpm, &boot_secret, pin, &policy, known_srk.as_ref())?;
    let volume = header.identity().clone();
    let nobodys = Zeroizing::new(vec![0; volume.key_bytes as usize]);
    let parts = RecordParts {
        keyslot: shared.unwrap_or(0),
        escrow: Some(Escrow::seal(secret, &nobodys, &volume)?),
        volume,
        policy,
        sealed,
        label: request.label.clone(),
        swap: request.swap.clone(),
        created: request.created,
        components: request.components.clone(),
        pin: pin.map(|pin| pin.salt().clone()),
    };
    let token = EnrolledRecord::new(parts, secret)?.to_token()?;
    match shared {
        Some(_) => room::for_token(header, &token, None)?,
        None => room::for_keyslot(header, &token)?,
    }
    let first = Planned::of(header, shared);
    let mut others = Vec::with_capacity(further.len());
    for other in further {
        others.push(of_further(other, header.uuid(), secret)?);
    }
    Ok((first, others))
}

/// No TPM learns anything of the real one by a rehearsal.
fn nobodys_pin() -> Result<PinKey, EnrolmentError> {
    let random = PinSalt::generate()?;
    let text = Zeroizing::new(hex::encode(random.as_bytes()));
    Ok(PinKey::fresh(&Pin::new(text.as_bytes())?)?)
}

fn of_further(
    header: &CheckedHeader,
    enrolled_with: &str,
    secret: &VolumeSecret,
) -> Result<Planned, EnrolmentError> {
    if header.uuid() == enrolled_with {
        return Err(EnrolmentError::SameVolume(header.device().into()));
    }
    if !find_enrolled(header).is_empty() {
        return Err(EnrolmentError::HasRecords(header.device().into()));
    }
    // Whether it is of this secret only the secret tells.
    let present = find_further(header).into_iter().find_map(|(_, token)| {
        let token = token
            .ok()
            .filter(|token| token.enrolled_with() == enrolled_with)?;
        token.keyslot().ok()
    });
    if present.is_some() {
        return Ok(Planned::of(header, present));
    }
    let volume = header.identity().clone();
    let token = FurtherToken::new(0, volume, enrolled_with, secret)?.to_token()?;
    room::for_keyslot(header, &token)?;
    Ok(Planned::of(header, None))
}

impl Planned {
    fn of(header: &CheckedHeader, shared: Option<u32>) -> Self {
        Self {
            shared,
            leftovers: find_leftovers(header),
        }
    }
}
