//! One launch that can open the volume, and the record that holds the secret for it.

use std::collections::BTreeMap;

use tpm::{Approval, AuthPolicy, CounterLimit, PcrIndex, PcrValues, PolicySigner, Sealed};

use super::{approved::ApprovedLaunch, enrolled::EnrolledRecord, error::RecordError};
use crate::unlock::{identity::VolumeIdentity, pin::PinSalt, secret::VolumeSecret, swap::SwapSpec};

/// A launch, with the record that is sealed to it or to the key that signed it.
#[derive(Clone, Debug)]
pub struct SealedRecord {
    record: EnrolledRecord,
    approval: Approval,
    /// Of a signed launch; the record has its own.
    signed: Option<ApprovedLaunch>,
}

impl SealedRecord {
    /// The launch that the record is sealed to; `None` when it is sealed to a policy key.
    pub fn literal(record: EnrolledRecord) -> Option<Self> {
        let AuthPolicy::Launch(launch) = &record.parts().policy else {
            return None;
        };
        let approval = Approval::literal(launch.clone());
        Some(Self {
            record,
            approval,
            signed: None,
        })
    }

    /// A signed launch; `None` when the record is not sealed to its signer.
    pub fn signed(record: EnrolledRecord, launch: ApprovedLaunch) -> Option<Self> {
        match &record.parts().policy {
            AuthPolicy::Signed(signer) if *signer == launch.signature.signer => {}
            _ => return None,
        }
        let approval = launch.approval();
        Some(Self {
            record,
            approval,
            signed: Some(launch),
        })
    }

    /// Is the record the one that was enrolled together with this secret?
    pub fn verify_mac(&self, secret: &VolumeSecret) -> Result<(), RecordError> {
        self.record.verify_mac(secret)
    }

    /// The record.
    pub const fn record(&self) -> &EnrolledRecord {
        &self.record
    }

    /// The keyslot that the derived passphrase opens.
    pub const fn keyslot(&self) -> u32 {
        self.record.parts().keyslot
    }

    /// The volume the record was made for.
    pub const fn volume(&self) -> &VolumeIdentity {
        &self.record.parts().volume
    }

    /// What the TPM is shown.
    pub const fn approval(&self) -> &Approval {
        &self.approval
    }

    /// The PCR values of the launch, the latch's zeros included.
    pub const fn expected(&self) -> &PcrValues {
        self.approval.launch().pcrs().values()
    }

    /// Up to where the rollback counter may be.
    pub const fn counter(&self) -> Option<&CounterLimit> {
        self.approval.launch().counter()
    }

    /// The policy key that signed the launch.
    pub fn signer(&self) -> Option<&PolicySigner> {
        self.approval.signature().map(|signature| &signature.signer)
    }

    /// The sealed secret.
    pub const fn sealed(&self) -> &Sealed {
        &self.record.parts().sealed
    }

    /// The salt of its PIN; `None` where the launch alone opens it.
    pub const fn pin(&self) -> Option<&PinSalt> {
        self.record.parts().pin.as_ref()
    }

    /// The note for people.
    pub fn label(&self) -> &str {
        match &self.signed {
            Some(launch) => &launch.label,
            None => &self.record.parts().label,
        }
    }

    /// The swap partition. To be acted on only after [`Self::verify_mac`].
    pub const fn swap(&self) -> Option<&SwapSpec> {
        self.record.parts().swap.as_ref()
    }

    /// When it was made or signed, in seconds since 1970.
    pub const fn created(&self) -> u64 {
        match &self.signed {
            Some(launch) => launch.created,
            None => self.record.parts().created,
        }
    }

    /// Words for what is measured into a register.
    pub const fn components(&self) -> &BTreeMap<PcrIndex, String> {
        match &self.signed {
            Some(launch) => &launch.components,
            None => &self.record.parts().components,
        }
    }

    /// The public name of the sealed secret, [`VolumeSecret::id`].
    pub fn secret_id(&self) -> &str {
        self.record.secret_id()
    }
}
