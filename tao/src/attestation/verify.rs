//! Checking attestations.

use prost::Message as _;

use crate::{
    keys::{KeyError, SignatureFormat, Verifier},
    logic::{Form, LogicError, Prin, Says, Term},
    wire::{
        messages::AttestationMessage,
        proto2::{self, ProtoError},
    },
};

use super::{
    boot_event::BootEvent,
    make::context,
    quote::{QuoteError, verify_quote},
};

/// Most attestations in a chain: a statement and what lets its signer speak.
pub const MAX_CHAIN: usize = 16;

/// Formats that are accepted; each has a context of its own.
const FORMATS: [SignatureFormat; 2] = [SignatureFormat::Original, SignatureFormat::Strong];

/// Why an attestation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// Not an Attestation message.
    #[error("not an attestation: {0}")]
    Message(#[from] ProtoError),
    /// Fields that nobody knows, twice, or in another order: none of it is signed.
    #[error("not an attestation as hosts write them: it has other fields, or in another order")]
    NotCanonical,
    /// The statement cannot be read.
    #[error("the attestation's statement is malformed: {0}")]
    Statement(#[from] LogicError),
    /// The statement is not `... says ...`.
    #[error("the attestation's statement is not of the form 'A says F': {0}")]
    NotSays(String),
    /// The speaker is not a principal.
    #[error("the attestation's speaker is not a principal: {0}")]
    Speaker(String),
    /// A kind of signer that is not known.
    #[error("the attestation's signer is of kind {0:?}; key and tpm2 are known")]
    SignerKind(String),
    /// The signature is wrong.
    #[error("the attestation's signature is invalid: {0}")]
    Signature(#[source] KeyError),
    /// The TPM's quote is wrong.
    #[error("the attestation's TPM quote is invalid: {0}")]
    Quote(#[from] QuoteError),
    /// The quote is over a statement that the boot event's key has nothing to do with.
    #[error(
        "the TPM's quote is good, but PCR 15 says that the Tao host of that boot signs with {host_key}, and the quoted statement lets another speak: {statement}"
    )]
    QuotedForAnother {
        /// In the boot event.
        host_key: String,
        /// What was quoted.
        statement: String,
    },
    /// The signer may not speak for the speaker.
    #[error(
        "the signer {signer} does not evidently speak for {speaker}, and there is no delegation"
    )]
    NoDelegation {
        /// Who signed.
        signer: String,
        /// Who is said to speak.
        speaker: String,
    },
    /// The delegation says something else than "speaksfor".
    #[error("the delegation is not of the form 'A says B speaksfor A': {0}")]
    BadDelegation(String),
    /// The delegation is for another signer or another speaker.
    #[error(
        "the delegation ({delegate} speaksfor {delegator}) does not let {signer} speak for {speaker}"
    )]
    IrrelevantDelegation {
        /// Who may speak.
        delegate: String,
        /// For whom.
        delegator: String,
        /// Who signed.
        signer: String,
        /// Who is said to speak.
        speaker: String,
    },
    /// The chain of delegations is too long.
    #[error("a chain of more than {MAX_CHAIN} attestations")]
    TooLong,
    /// Not valid yet, at the time given.
    #[error("not valid before {time}; the time is {now} (nanoseconds since 1970)")]
    NotYet {
        /// Start of the validity.
        time: i64,
        /// The time given.
        now: i64,
    },
    /// Not valid any longer, at the time given.
    #[error("expired at {expiration}; the time is {now} (nanoseconds since 1970)")]
    Expired {
        /// End of the validity.
        expiration: i64,
        /// The time given.
        now: i64,
    },
}

/// What a verified attestation proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who speaks.
    pub speaker: Prin,
    /// The statement. Its validity is what remains of all validities in the chain.
    pub statement: Says,
    /// The principal that all of it rests on: a key or a TPM. Whether it is to be trusted
    /// is for the caller to say.
    pub root: Prin,
    /// Where it rests on a TPM: what the boot says of itself in PCR 15.
    pub boot: Option<BootEvent>,
    /// How many attestations the chain has.
    pub length: usize,
}

/// One attestation of a chain, with its signature checked.
struct Link {
    signer: Prin,
    speaker: Prin,
    statement: Says,
    delegation: Option<Vec<u8>>,
    boot: Option<BootEvent>,
}

fn link(bytes: &[u8]) -> Result<Link, AttestationError> {
    let message: AttestationMessage = proto2::read(bytes)?;
    if message.encode_to_vec() != bytes {
        return Err(AttestationError::NotCanonical);
    }
    let statement = match Form::decode(&message.serialized_statement)? {
        Form::Says(says) => says,
        other => return Err(AttestationError::NotSays(other.to_string())),
    };
    let Some(speaker) = statement.speaker.as_prin().cloned() else {
        return Err(AttestationError::Speaker(statement.speaker.to_string()));
    };
    let key = || Verifier::from_spki(&message.signer_key).map_err(AttestationError::Signature);
    let boot = match message.signer_type.as_str() {
        "key" => key()?
            .verify_formats(
                &FORMATS.map(|format| (format, context(format))),
                &message.serialized_statement,
                &message.signature,
            )
            .map(|_| None)
            .map_err(AttestationError::Signature)?,
        "tpm2" => Some(verify_quote(
            &key()?,
            &speaker,
            &message.serialized_statement,
            message
                .tpm2_quote_structure
                .as_deref()
                .ok_or(QuoteError::Missing)?,
            &message.signature,
            message.boot_event.as_deref(),
        )?),
        other => return Err(AttestationError::SignerKind(other.to_owned())),
    };
    let signer = Prin::of_public_key(&message.signer_type, &message.signer_key)?;
    let link = Link {
        signer,
        speaker,
        statement,
        delegation: message.serialized_delegation,
        boot,
    };
    check_quoted(&link)?;
    Ok(link)
}

/// The TPM quotes whatever it is given, for everybody who can open it. What makes a quote the
/// host's is that PCR 15 names the host's key: it lets this key speak, and proves nothing else.
fn check_quoted(link: &Link) -> Result<(), AttestationError> {
    let Some(boot) = &link.boot else {
        return Ok(());
    };
    let host_key = boot.host_key_name()?;
    match (&host_key, delegation(link)) {
        (Some(host_key), Ok((delegate, _))) if delegate == *host_key => Ok(()),
        _ => Err(AttestationError::QuotedForAnother {
            host_key: host_key.map_or_else(|| "no key".to_owned(), |key| key.to_string()),
            statement: Form::Says(link.statement.clone()).to_string(),
        }),
    }
}

/// `delegate speaksfor delegator`, said by the delegator itself.
fn delegation(link: &Link) -> Result<(Prin, Prin), AttestationError> {
    let bad = || AttestationError::BadDelegation(Form::Says(link.statement.clone()).to_string());
    let Form::Speaksfor(speaksfor) = &*link.statement.message else {
        return Err(bad());
    };
    let (Term::Prin(delegate), Term::Prin(delegator)) = (&speaksfor.delegate, &speaksfor.delegator)
    else {
        return Err(bad());
    };
    if **delegator != link.speaker {
        return Err(bad());
    }
    Ok(((**delegate).clone(), (**delegator).clone()))
}

/// Verifies a serialized attestation at the time `now`, in nanoseconds since 1970.
///
/// Every signature of the chain is checked. Each signer must be the speaker of what it
/// signed, or an outer part of the speaker's name, or be let by the next delegation. What a program
/// is, only its host says: a program does not speak for a name that goes on describing it
/// ([`Prin::is_spoken_for_by`]).
///
/// # Errors
/// See [`AttestationError`]: the attestation then proves nothing.
pub fn verify(attestation: &[u8], now: i64) -> Result<Verified, AttestationError> {
    let first = link(attestation)?;
    let mut statement = first.statement.clone();
    let mut current = first;
    let mut speaker = current.speaker.clone();
    for length in 1..=MAX_CHAIN {
        let Some(next) = current.delegation.as_deref() else {
            if !speaker.is_spoken_for_by(&current.signer) {
                return Err(AttestationError::NoDelegation {
                    signer: current.signer.to_string(),
                    speaker: speaker.to_string(),
                });
            }
            check_clock(&statement, now)?;
            let Some(speaker) = statement.speaker.as_prin().cloned() else {
                return Err(AttestationError::Speaker(statement.speaker.to_string()));
            };
            return Ok(Verified {
                speaker,
                statement,
                root: current.signer,
                boot: current.boot,
                length,
            });
        };
        let next = link(next)?;
        let (delegate, delegator) = delegation(&next)?;
        if !delegate.is_spoken_for_by(&current.signer) || !speaker.is_spoken_for_by(&delegator) {
            return Err(AttestationError::IrrelevantDelegation {
                delegate: delegate.to_string(),
                delegator: delegator.to_string(),
                signer: current.signer.to_string(),
                speaker: speaker.to_string(),
            });
        }
        let said = &next.statement;
        statement.time = statement.time.max(said.time);
        statement.expiration = match (statement.expiration, said.expiration) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        speaker = next.speaker.clone();
        current = next;
    }
    Err(AttestationError::TooLong)
}

fn check_clock(statement: &Says, now: i64) -> Result<(), AttestationError> {
    match (statement.time, statement.expiration) {
        (Some(time), _) if now < time => Err(AttestationError::NotYet { time, now }),
        (_, Some(expiration)) if now > expiration => {
            Err(AttestationError::Expired { expiration, now })
        }
        _ => Ok(()),
    }
}
