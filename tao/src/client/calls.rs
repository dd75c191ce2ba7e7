//! The calls of the Tao.

use super::{error::CallError, parent::Parent};
use crate::{
    keys::{SecretBytes, SignatureFormat},
    logic::{Form, Prin, SubPrin},
    wire::{
        messages::{TaoRequest, TaoResponse},
        rpc::STRONG_ATTESTATION,
    },
};

/// Who may unseal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealPolicy {
    /// The very same program on the same host (`self`).
    Own,
    /// As [`SealPolicy::Own`] for now: the few instances of one program (`few`).
    Few,
    /// Any program on the same host (`any`).
    Any,
}

impl SealPolicy {
    /// The policy's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Few => "few",
            Self::Any => "any",
        }
    }

    /// The policy with this name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Own, Self::Few, Self::Any]
            .into_iter()
            .find(|policy| policy.as_str() == name)
    }
}

impl Parent {
    /// Makes a call whose answer is data. `data` go along with the request, which has none
    /// itself.
    fn data(
        &self,
        op: &str,
        data: Option<&[u8]>,
        request: &TaoRequest,
    ) -> Result<Vec<u8>, CallError> {
        let answer: TaoResponse = self.connection.call(op, data, request)?;
        match (answer.data, answer.policy) {
            (Some(data), None) => Ok(data),
            (other, _) => Err(unfitting(op, other)),
        }
    }

    /// This program's name: the host's, extended by what the host measured.
    ///
    /// # Errors
    /// When the channel breaks, or the host refuses.
    pub fn tao_name(&self) -> Result<Prin, CallError> {
        let name = self.data("Tao.GetTaoName", None, &TaoRequest::default())?;
        Ok(Prin::decode(&name)?)
    }

    /// Extends this program's name, for as long as it runs: there is no way back. What was
    /// sealed under the shorter name opens no more.
    ///
    /// # Errors
    /// When the channel breaks, or the host refuses.
    pub fn extend_tao_name(&self, extension: &SubPrin) -> Result<(), CallError> {
        let extension = extension.encode();
        self.connection
            .call(
                "Tao.ExtendTaoName",
                Some(&extension),
                &TaoRequest::default(),
            )
            .map(drop)
    }

    /// A secret of `length` bytes that fits the policy: the same for all programs that do.
    ///
    /// # Errors
    /// When the channel breaks, or the host refuses.
    pub fn shared_secret(
        &self,
        length: usize,
        policy: SealPolicy,
    ) -> Result<SecretBytes, CallError> {
        let request = TaoRequest {
            size: Some(asked(length)?),
            policy: Some(policy.as_str().to_owned()),
            ..TaoRequest::default()
        };
        let secret = self.data("Tao.GetSharedSecret", None, &request)?;
        exactly(secret.into(), length)
    }

    /// Random bytes from the host. `length` is at least 1.
    ///
    /// # Errors
    /// When the channel breaks, or the host refuses.
    pub fn random_bytes(&self, length: usize) -> Result<SecretBytes, CallError> {
        let request = TaoRequest {
            size: Some(asked(length)?),
            ..TaoRequest::default()
        };
        let random = self.data("Tao.GetRandomBytes", None, &request)?;
        exactly(random.into(), length)
    }

    /// Encrypts data so that only programs that fit the policy get it back.
    ///
    /// # Errors
    /// When the channel breaks, the host refuses, or the data are longer than a frame.
    pub fn seal(&self, data: &[u8], policy: SealPolicy) -> Result<Vec<u8>, CallError> {
        let request = TaoRequest {
            policy: Some(policy.as_str().to_owned()),
            ..TaoRequest::default()
        };
        let sealed = self.data("Tao.Seal", Some(data), &request)?;
        Ok(sealed)
    }

    /// Gets sealed data back, and the policy it was sealed with.
    ///
    /// # Errors
    /// When the channel breaks, or the bytes were changed or sealed for somebody else.
    pub fn unseal(&self, sealed: &[u8]) -> Result<(SecretBytes, SealPolicy), CallError> {
        self.unsealed("Tao.Unseal", sealed)
    }

    fn unsealed(&self, op: &str, sealed: &[u8]) -> Result<(SecretBytes, SealPolicy), CallError> {
        let answer = self
            .connection
            .call(op, Some(sealed), &TaoRequest::default())?;
        let (data, policy) = match (answer.data, answer.policy) {
            (Some(data), Some(policy)) => (SecretBytes::from(data), policy),
            (other, _) => return Err(unfitting(op, other)),
        };
        match SealPolicy::from_name(&policy) {
            Some(policy) => Ok((data, policy)),
            None => Err(CallError::Response(format!(
                "unsealed under the policy {policy:?}"
            ))),
        }
    }

    /// Makes this program's counter `label`, or raises it: afterwards it stands at `value`
    /// at least. A counter never goes down.
    ///
    /// # Errors
    /// When the channel breaks, or the host refuses.
    pub fn init_counter(&self, label: &str, value: i64) -> Result<(), CallError> {
        let request = TaoRequest {
            label: Some(label.to_owned()),
            counter: Some(value),
            ..TaoRequest::default()
        };
        self.connection
            .call("Tao.InitCounter", None, &request)
            .map(drop)
    }

    /// Deletes this program's counter `label`: what was sealed against rollback under it opens no
    /// more, and there is room for another counter. Hosts of the original do not know this call.
    ///
    /// # Errors
    /// When the channel breaks, or there is no such counter.
    pub fn delete_counter(&self, label: &str) -> Result<(), CallError> {
        let request = TaoRequest {
            label: Some(label.to_owned()),
            ..TaoRequest::default()
        };
        self.connection
            .call("Tao.DeleteCounter", None, &request)
            .map(drop)
    }

    /// The value of this program's counter `label`.
    ///
    /// # Errors
    /// When the channel breaks, or there is no such counter.
    pub fn counter(&self, label: &str) -> Result<i64, CallError> {
        let request = TaoRequest {
            label: Some(label.to_owned()),
            ..TaoRequest::default()
        };
        let answer = self.connection.call("Tao.GetCounter", None, &request)?;
        answer
            .counter
            .ok_or_else(|| CallError::Response("Tao.GetCounter: no counter".to_owned()))
    }

    /// Seals data so that they open only until the next such call with this label: old
    /// copies are worthless. Takes a write to the host's disk.
    ///
    /// # Errors
    /// When the channel breaks, the host refuses, or the data are longer than a frame.
    pub fn rollback_protected_seal(
        &self,
        label: &str,
        data: &[u8],
        policy: SealPolicy,
    ) -> Result<Vec<u8>, CallError> {
        let request = TaoRequest {
            label: Some(label.to_owned()),
            policy: Some(policy.as_str().to_owned()),
            ..TaoRequest::default()
        };
        let sealed = self.data("Tao.RollbackProtectedSeal", Some(data), &request)?;
        Ok(sealed)
    }

    /// Gets back what [`Parent::rollback_protected_seal`] sealed last under its label.
    ///
    /// # Errors
    /// When the channel breaks, or the bytes were changed, are old, or were sealed for somebody
    /// else.
    pub fn rollback_protected_unseal(
        &self,
        sealed: &[u8],
    ) -> Result<(SecretBytes, SealPolicy), CallError> {
        self.unsealed("Tao.RollbackProtectedUnseal", sealed)
    }

    /// An attestation that `issuer` (this program if `None`, or an extension of it) says
    /// `message`, valid from `time` (now) until `expiration` (a year later), both in
    /// nanoseconds since 1970. In the strong format, which only taoboot knows; a host that
    /// does not know it gives the original's.
    ///
    /// # Errors
    /// When the channel breaks, or this program may not speak for the issuer.
    pub fn attest(
        &self,
        issuer: Option<&Prin>,
        time: Option<i64>,
        expiration: Option<i64>,
        message: &Form,
    ) -> Result<Vec<u8>, CallError> {
        self.attest_as(SignatureFormat::Strong, issuer, time, expiration, message)
    }

    /// The same in the given format: the original's is for programs that know no other.
    ///
    /// # Errors
    /// When the channel breaks, or this program may not speak for the issuer.
    pub fn attest_as(
        &self,
        format: SignatureFormat,
        issuer: Option<&Prin>,
        time: Option<i64>,
        expiration: Option<i64>,
        message: &Form,
    ) -> Result<Vec<u8>, CallError> {
        let request = TaoRequest {
            issuer: issuer.map(Prin::encode),
            policy: (format == SignatureFormat::Strong).then(|| STRONG_ATTESTATION.to_owned()),
            time,
            expiration,
            ..TaoRequest::default()
        };
        let attestation = self.data("Tao.Attest", Some(&message.encode()), &request)?;
        Ok(attestation)
    }
}

/// Data or a policy is missing, or there is one that does not belong there. The data may be
/// secret all the same.
fn unfitting(op: &str, data: Option<Vec<u8>>) -> CallError {
    drop(data.map(SecretBytes::from));
    CallError::Response(format!("{op}: data or policy is missing or extra"))
}

/// A number of bytes as the wire carries it.
fn asked(length: usize) -> Result<i32, CallError> {
    i32::try_from(length)
        .map_err(|_| CallError::Argument(format!("{length} bytes are too many to ask for")))
}

fn exactly(bytes: SecretBytes, length: usize) -> Result<SecretBytes, CallError> {
    if bytes.len() == length {
        return Ok(bytes);
    }
    let text = format!("{} bytes instead of {length}", bytes.len());
    Err(CallError::Response(text))
}
