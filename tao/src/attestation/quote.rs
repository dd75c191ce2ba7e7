//! Verification of a TPM 2.0 quote as an attestation (TPM 2.0 Library, Part 2, 10.12).
//!
//! A TPM signs, with a key that signs nothing else from outside, a TPMS_ATTEST: the mark
//! "made inside a TPM", the kind of statement, the caller's data and a digest over PCRs.
//! All of that is checked: the original compared only the last 20 bytes of an RSA result.
//! Besides the registers in the speaker's name the quote is over PCR 15, which says what the
//! boot was and which key its host has: see [`BootEvent`].

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::boot_event::{BOOT_PCR, BootEvent, BootEventError};
use crate::{
    keys::{KeyError, Verifier},
    logic::{Prin, PrinExt, Term},
};

/// TPM_GENERATED_VALUE: "\xffTCG".
const MAGIC: u32 = 0xff54_4347;
/// TPM_ST_ATTEST_QUOTE.
const ATTEST_QUOTE: u16 = 0x8018;
/// Number of PCRs of a TPM 2.0 for PC clients.
const PCRS: u8 = 24;

/// Why a quote does not carry the statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// There is none.
    #[error("the attestation of a TPM comes without a quote structure")]
    Missing,
    /// The structure ends early or goes on too long.
    #[error("the quote structure is malformed: {0}")]
    Malformed(&'static str),
    /// Not made by a TPM about itself.
    #[error("the quote structure begins with {0:#010x} instead of the TPM's mark 0xff544347")]
    Magic(u32),
    /// A certification or another statement, not a quote.
    #[error("the TPM's statement is of type {0:#06x}, not a quote (0x8018)")]
    Type(u16),
    /// The quote is about something else.
    #[error("the quote was made for other data than this statement")]
    ExtraData,
    /// The speaker's name does not say which PCRs were quoted.
    #[error(
        "the speaker's name must begin with .PCRs(\"numbers\", \"values\") after tpm2(...): {0}"
    )]
    Speaker(String),
    /// Other registers, or another bank.
    #[error("the quote is over other PCRs than the speaker names and PCR 15: {0}")]
    Selection(String),
    /// The registers had other values.
    #[error(
        "the quoted PCR values are not those in the speaker's name with, in PCR 15, the latch and the boot event"
    )]
    Values,
    /// Nothing says what is in PCR 15.
    #[error(
        "the quote comes without the boot event: without it anybody who can use the TPM could have made the quote"
    )]
    NoBootEvent,
    /// What says it is malformed, or not for this bank.
    #[error(transparent)]
    BootEvent(#[from] BootEventError),
    /// The signature is not the attestation key's.
    #[error("the quote's signature is invalid: {0}")]
    Signature(#[from] KeyError),
}

/// The parts of TPMS_ATTEST that matter here.
struct Quote<'a> {
    extra_data: &'a [u8],
    /// Hash algorithm of the bank and the selection bitmap.
    bank: u16,
    select: &'a [u8],
    pcr_digest: &'a [u8],
}

struct Reader<'a>(&'a [u8]);

const CUT: QuoteError = QuoteError::Malformed("it is cut off");

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], QuoteError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], QuoteError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, QuoteError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, QuoteError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, QuoteError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A TPM2B: length of two bytes, then the bytes.
    fn sized(&mut self) -> Result<&'a [u8], QuoteError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

fn parse(attest: &[u8]) -> Result<Quote<'_>, QuoteError> {
    let mut reader = Reader(attest);
    let magic = reader.u32()?;
    if magic != MAGIC {
        return Err(QuoteError::Magic(magic));
    }
    let kind = reader.u16()?;
    if kind != ATTEST_QUOTE {
        return Err(QuoteError::Type(kind));
    }
    let _qualified_signer = reader.sized()?;
    let extra_data = reader.sized()?;
    // clock 8, resetCount 4, restartCount 4, safe 1, firmwareVersion 8
    reader.take(8 + 4 + 4 + 1 + 8)?;
    if reader.u32()? != 1 {
        return Err(QuoteError::Malformed(
            "it selects PCRs of none or of several banks",
        ));
    }
    let bank = reader.u16()?;
    let select_length = reader.u8()?;
    let select = reader.take(select_length.into())?;
    let pcr_digest = reader.sized()?;
    if !reader.0.is_empty() {
        return Err(QuoteError::Malformed("bytes follow its end"));
    }
    Ok(Quote {
        extra_data,
        bank,
        select,
        pcr_digest,
    })
}

/// A bank, by the TPM's number for its algorithm and the length of its digests.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Bank {
    algorithm: u16,
    digest_len: usize,
}

impl Bank {
    fn of_digest(digest: &[u8]) -> Option<Self> {
        let algorithm = match digest.len() {
            20 => 0x0004,
            32 => 0x000b,
            48 => 0x000c,
            _ => return None,
        };
        Some(Self {
            algorithm,
            digest_len: digest.len(),
        })
    }
}

/// The registers that a name says, and their values.
struct NamedPcrs {
    bank: Bank,
    values: BTreeMap<u8, Vec<u8>>,
}

impl NamedPcrs {
    fn select(&self) -> [u8; 3] {
        let mut select = [0; 3];
        for number in self.values.keys() {
            if let Some(byte) = select.get_mut(usize::from(number / 8)) {
                *byte |= 1 << (number % 8);
            }
        }
        select
    }

    /// The values one after the other, in the order in which the TPM hashes them.
    fn concatenated(&self) -> Vec<u8> {
        self.values.values().flatten().copied().collect()
    }
}

fn named_pcrs(speaker: &Prin) -> Result<NamedPcrs, QuoteError> {
    let bad = |reason: &str| QuoteError::Speaker(reason.to_owned());
    let Some(PrinExt { name, args }) = speaker.ext.0.first() else {
        return Err(bad("it has no extension"));
    };
    let [Term::Str(numbers), Term::Str(values)] = args.as_slice() else {
        return Err(bad("PCRs has two strings as arguments"));
    };
    let (Some(numbers), Some(values)) = (numbers.to_str(), values.to_str()) else {
        return Err(bad("its arguments are not UTF-8"));
    };
    if name != "PCRs" {
        return Err(bad("its first extension is another one"));
    }
    let (mut named_bank, mut named_values) = (None, BTreeMap::new());
    let mut previous = None;
    let values: Vec<&str> = values.split(',').collect();
    let numbers: Vec<&str> = numbers.split(',').collect();
    if values.len() != numbers.len() {
        return Err(bad("there are not as many values as numbers"));
    }
    for (number, value) in numbers.iter().zip(values) {
        let number: u8 = number.parse().map_err(|_| bad("a number is not a PCR's"))?;
        // Ascending: the TPM hashes in that order, and one set has one spelling.
        if number >= PCRS || previous.is_some_and(|previous| previous >= number) {
            return Err(bad("the numbers are not ascending from 0 to 23"));
        }
        previous = Some(number);
        if number == BOOT_PCR {
            return Err(bad(
                "PCR 15 is not named: the boot event says what is in it",
            ));
        }
        let value = hex::decode(value).map_err(|_| bad("a value is not hex"))?;
        let bank =
            Bank::of_digest(&value).ok_or_else(|| bad("a value has the length of no bank"))?;
        if *named_bank.get_or_insert(bank) != bank {
            return Err(bad("the values are of different lengths"));
        }
        named_values.insert(number, value);
    }
    Ok(NamedPcrs {
        bank: named_bank.ok_or_else(|| bad("it names no register"))?,
        values: named_values,
    })
}

/// Checks that the attestation key signed a quote over the PCRs that `speaker` names and over
/// PCR 15 with the latch and `boot_event`, for exactly this statement. `signature` is DER.
///
/// That the statement lets no other key speak than that of the event, the caller checks.
///
/// # Errors
/// See [`QuoteError`]: the quote then carries no statement.
pub fn verify_quote(
    key: &Verifier,
    speaker: &Prin,
    statement: &[u8],
    attest: &[u8],
    signature: &[u8],
    boot_event: Option<&str>,
) -> Result<BootEvent, QuoteError> {
    key.verify_digest(&Sha256::digest(attest).into(), signature)?;
    let quote = parse(attest)?;
    if quote.extra_data != Sha256::digest(statement).as_slice() {
        return Err(QuoteError::ExtraData);
    }
    let mut named = named_pcrs(speaker)?;
    let event: BootEvent = boot_event.ok_or(QuoteError::NoBootEvent)?.parse()?;
    let register = event.register(named.bank.digest_len)?;
    named.values.insert(BOOT_PCR, register);
    let select = named.select();
    let selected = quote
        .select
        .strip_prefix(&select)
        .is_some_and(|further| further.iter().all(|byte| *byte == 0));
    if quote.bank != named.bank.algorithm || !selected {
        return Err(QuoteError::Selection(format!(
            "bank {:#06x}, bitmap {} instead of bank {:#06x}, bitmap {}",
            quote.bank,
            hex::encode(quote.select),
            named.bank.algorithm,
            hex::encode(select)
        )));
    }
    // The digest's algorithm is that of the signing scheme: SHA-256.
    if quote.pcr_digest != Sha256::digest(named.concatenated()).as_slice() {
        return Err(QuoteError::Values);
    }
    Ok(event)
}
