//! TPM2_NV_WriteLock, which tss-esapi 7.7 does not have: commands of its own over a
//! connection of its own.
//!
//! The owner's password keys an HMAC and does not cross the bus. The session is not salted (that
//! would take an own ECDH), so who listens on the bus could try passwords against that HMAC;
//! every other command of the owner goes through salted sessions.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    TpmError,
    tpm12::{
        Malformed, Reader,
        transport::{self, Transport},
    },
};

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
const RH_OWNER: u32 = 0x4000_0001;
const RH_NULL: u32 = 0x4000_0007;
const ALG_SHA256: u16 = 0x000b;
const ALG_NULL: u16 = 0x0010;
/// TPM_SE_HMAC.
const SE_HMAC: u8 = 0;

const READ_PUBLIC: Command = Command(0x0169, "TPM2_NV_ReadPublic");
const START_SESSION: Command = Command(0x0176, "TPM2_StartAuthSession");
const FLUSH_CONTEXT: Command = Command(0x0165, "TPM2_FlushContext");
const WRITE_LOCK: Command = Command(0x0138, "TPM2_NV_WriteLock");

/// Longest name of an index and longest nonce, in bytes: SHA-512 and its number.
const MAX_SIZED: usize = 66;

#[derive(Clone, Copy)]
struct Command(u32, &'static str);

/// Locks an index of the TPM 2.0 at `tcti` against writing, as its owner. Nobody else may be
/// connected to a simulator at that time.
///
/// # Errors
/// [`TpmError::WrongPassword`]; [`TpmError::Command`] with what the TPM says: 0x149 when the owner
/// may not write it, 0x182 or 0x2c2 (TPM_RC_ATTRIBUTES) when it cannot be locked.
pub fn nv_write_lock(tcti: &str, index: u32, owner: &[u8]) -> Result<(), TpmError> {
    let mut transport = transport::open(tcti).map_err(|error| TpmError::Absent {
        tcti: tcti.to_owned(),
        reason: error.to_string(),
    })?;
    let mut nonce_caller = [0; 32];
    getrandom::fill(&mut nonce_caller).map_err(|error| {
        TpmError::BadParameter(format!("no random numbers from the system: {error}"))
    })?;
    lock(transport.as_mut(), index, owner, &nonce_caller)
}

fn lock(
    transport: &mut dyn Transport,
    index: u32,
    owner: &[u8],
    nonce_caller: &[u8; 32],
) -> Result<(), TpmError> {
    let name = name_of(transport, index)?;
    let (session, nonce_tpm) = start_session(transport, nonce_caller)?;

    // cpHash: the code, the names of both handles, no parameters.
    let cp_hash = Sha256::new()
        .chain_update(WRITE_LOCK.0.to_be_bytes())
        .chain_update(RH_OWNER.to_be_bytes())
        .chain_update(&name)
        .finalize();
    // No attributes: the TPM closes the session with the command.
    let parts: [&[u8]; 4] = [&cp_hash, nonce_caller, &nonce_tpm, &[0]];
    let hmac = keyed(owner, &parts)?.finalize().into_bytes();
    let mut area = session.to_be_bytes().to_vec();
    area.extend(sized(nonce_caller));
    area.push(0);
    area.extend(sized(&hmac));
    let mut body = [RH_OWNER, index].map(u32::to_be_bytes).concat();
    body.extend(u32::try_from(area.len()).unwrap_or(0).to_be_bytes());
    body.extend(area);
    let answer = match exchange(transport, WRITE_LOCK, SESSIONS, &body) {
        Ok(answer) => answer,
        Err(error) => {
            // A refused command leaves its session open. The first error is the one to tell.
            drop(exchange(
                transport,
                FLUSH_CONTEXT,
                NO_SESSIONS,
                &session.to_be_bytes(),
            ));
            return Err(wrong_password(error));
        }
    };

    // parameterSize 0, then nonceTPM, attributes, HMAC.
    let read = |reader: &mut Reader<'_>| -> Result<_, Malformed> {
        if reader.u32("parameterSize")? != 0 {
            return Err(Malformed("parameters came, none were expected".to_owned()));
        }
        let nonce_tpm = sized_from(reader, "nonceTPM")?;
        Ok((
            nonce_tpm,
            reader.u8("sessionAttributes")?,
            sized_from(reader, "hmac")?,
        ))
    };
    let (nonce_tpm, attributes, hmac) = parsed(WRITE_LOCK, &answer, read)?;
    let rp_hash = Sha256::new()
        .chain_update([0; 4])
        .chain_update(WRITE_LOCK.0.to_be_bytes())
        .finalize();
    let parts: [&[u8]; 4] = [&rp_hash, &nonce_tpm, nonce_caller, &[attributes]];
    keyed(owner, &parts)?.verify_slice(&hmac).map_err(|_| {
        bad_answer(WRITE_LOCK)(Malformed("its HMAC is wrong: not authentic".to_owned()))
    })
}

/// The name of an index. A wrong one only makes the TPM refuse the HMAC.
fn name_of(transport: &mut dyn Transport, index: u32) -> Result<Vec<u8>, TpmError> {
    let answer = exchange(transport, READ_PUBLIC, NO_SESSIONS, &index.to_be_bytes())?;
    parsed(READ_PUBLIC, &answer, |reader| {
        let length = usize::from(reader.u16("nvPublic")?);
        reader.take("nvPublic", length)?;
        sized_from(reader, "nvName")
    })
}

fn start_session(
    transport: &mut dyn Transport,
    nonce_caller: &[u8; 32],
) -> Result<(u32, Vec<u8>), TpmError> {
    let mut body = [RH_NULL, RH_NULL].map(u32::to_be_bytes).concat();
    body.extend(sized(nonce_caller));
    body.extend(sized(&[]));
    body.push(SE_HMAC);
    body.extend(ALG_NULL.to_be_bytes());
    body.extend(ALG_SHA256.to_be_bytes());
    let answer = exchange(transport, START_SESSION, NO_SESSIONS, &body)?;
    parsed(START_SESSION, &answer, |reader| {
        Ok((
            reader.u32("sessionHandle")?,
            sized_from(reader, "nonceTPM")?,
        ))
    })
}

/// Sends a command; returns what follows the header of a response that is a success.
fn exchange(
    transport: &mut dyn Transport,
    command: Command,
    tag: u16,
    body: &[u8],
) -> Result<Vec<u8>, TpmError> {
    let length = u32::try_from(body.len().saturating_add(10)).unwrap_or(u32::MAX);
    let mut bytes = tag.to_be_bytes().to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend(command.0.to_be_bytes());
    bytes.extend_from_slice(body);
    let answer = transport
        .transmit(&bytes)
        .map_err(|error| bad_answer(command)(Malformed(format!("no answer: {error}"))))?;
    let mut reader = Reader::new(&answer);
    let mut header = || -> Result<u32, Malformed> {
        reader.u16("the tag")?;
        let claimed = reader.u32("the length")?;
        if usize::try_from(claimed) != Ok(answer.len()) {
            let came = answer.len();
            return Err(Malformed(format!(
                "the length is given as {claimed} bytes, but {came} came"
            )));
        }
        reader.u32("the response code")
    };
    match header().map_err(bad_answer(command))? {
        0 => Ok(reader.remaining().to_vec()),
        code => Err(TpmError::Command {
            command: command.1,
            code,
            reason: "the TPM refuses".to_owned(),
        }),
    }
}

/// TPM_RC_BAD_AUTH or TPM_RC_AUTH_FAIL of session 1.
fn wrong_password(error: TpmError) -> TpmError {
    match error.code() {
        Some(code @ (0x9a2 | 0x98e)) => TpmError::WrongPassword {
            whose: "owner",
            code,
        },
        _ => error,
    }
}

fn parsed<T>(
    command: Command,
    answer: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<T, TpmError> {
    let mut reader = Reader::new(answer);
    let value = read(&mut reader).map_err(bad_answer(command))?;
    reader
        .finish("the last field")
        .map_err(bad_answer(command))?;
    Ok(value)
}

fn bad_answer(command: Command) -> impl Fn(Malformed) -> TpmError {
    move |malformed| TpmError::BadAnswer {
        command: command.1,
        reason: malformed.to_string(),
    }
}

/// HMAC-SHA256 of an unsalted, unbound session: its key is the password alone, without the zero
/// bytes at its end (Part 1, 19.6.5).
fn keyed(password: &[u8], parts: &[&[u8]]) -> Result<Hmac<Sha256>, TpmError> {
    let mut key = Zeroizing::new(password.to_vec());
    while key.last() == Some(&0) {
        key.pop();
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)
        .map_err(|error| TpmError::BadParameter(format!("HMAC-SHA256: {error}")))?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac)
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], bytes].concat()
}

fn sized_from(reader: &mut Reader<'_>, what: &str) -> Result<Vec<u8>, Malformed> {
    let length = usize::from(reader.u16(what)?);
    if length > MAX_SIZED {
        return Err(Malformed(format!(
            "{what} has {length} bytes, at most {MAX_SIZED} are possible"
        )));
    }
    Ok(reader.take(what, length)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io;

    struct Answers(Vec<Vec<u8>>);

    impl Transport for Answers {
        fn transmit(&mut self, _command: &[u8]) -> io::Result<Vec<u8>> {
            self.0
                .pop()
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        }
    }

    proptest! {
        #[test]
        fn nothing_is_believed_without_its_hmac(
            bodies in proptest::array::uniform3(proptest::collection::vec(any::<u8>(), 0..80))
        ) {
            let answers = bodies.map(|body| {
                let length = u32::try_from(body.len().saturating_add(10)).unwrap();
                [&[0x80, 0x01][..], &length.to_be_bytes(), &[0; 4], &body].concat()
            });
            prop_assert!(lock(&mut Answers(answers.to_vec()), 1, b"pw", &[1; 32]).is_err());
        }

        #[test]
        fn any_answer_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(lock(&mut Answers(vec![bytes]), 1, b"pw", &[1; 32]).is_err());
        }
    }
}
