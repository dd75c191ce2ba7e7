//! A transport session: commands and answers that only this TPM can read and answer.
//!
//! The session's secret is encrypted to the TPM's storage root key, whose public half is known. So
//! who sits on the bus sees neither what is sealed nor what is unsealed, and cannot answer in the
//! TPM's place: neither show other PCR values nor drop the extension of one and say that it is done.
//! Each answer, also a refusal, has an HMAC with a fresh nonce.
//!
//! Source: TPM Main, Part 3, section 24, and Part 1, section 18.

use zeroize::Zeroizing;

use super::{
    Secret, Tpm12Error,
    codec::{
        Bytes20, HEADER_LEN, Malformed, Reader, Response, TAG_AUTH1_COMMAND, TRAILER_LEN, sized,
    },
    command::{Command, Ordinal, bad_answer, parse},
    frame::framed,
    hash::{hmac, is_hmac, mgf1, sha1},
};

/// TPM_ORD_ExecuteTransport.
pub(super) const EXECUTE_TRANSPORT: Ordinal = Ordinal(0xe7, "TPM_ExecuteTransport");

/// An open transport session.
pub(super) struct TransportSession {
    pub(super) handle: u32,
    pub(super) secret: Secret,
    pub(super) nonce_even: Bytes20,
}

impl TransportSession {
    /// The command with its parameters encrypted, in a TPM_ExecuteTransport.
    pub(super) fn command(
        &self,
        tag: u16,
        command: Command<'_>,
        auths: &[u8],
        nonce_odd: &Bytes20,
    ) -> Result<Vec<u8>, Tpm12Error> {
        let ordinal = command.ordinal.0;
        let mut hidden = command.parameters.to_vec();
        let pad = [&self.nonce_even[..], nonce_odd, b"in", self.secret.bytes()];
        xor(&mut hidden, &pad);
        let handles = command.handle_bytes();
        let wrapped = sized(&framed(tag, ordinal, &[&handles, &hidden, auths])?);
        let inner = sha1(&[&ordinal.to_be_bytes(), command.parameters]);
        let length = wrapped.first_chunk::<4>().copied().unwrap_or_default(); // it begins with four bytes
        let digest = sha1(&[&EXECUTE_TRANSPORT.0.to_be_bytes(), &length, &inner]);
        let keep = [1];
        let proof = hmac(
            self.secret.bytes(),
            &[&digest, &self.nonce_even, nonce_odd, &keep],
        );
        framed(
            TAG_AUTH1_COMMAND,
            EXECUTE_TRANSPORT.0,
            &[
                &wrapped,
                &self.handle.to_be_bytes(),
                nonce_odd,
                &keep,
                &proof,
            ],
        )
    }

    /// The answer inside of an answer, if both are the TPM's.
    pub(super) fn open(
        &mut self,
        command: Command<'_>,
        nonce_odd: &Bytes20,
        answer: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        let bad = bad_answer(EXECUTE_TRANSPORT);
        let response = parse(EXECUTE_TRANSPORT, answer)?;
        let (body, trailers) = response.split(1).map_err(&bad)?;
        let Some(trailer) = trailers.first() else {
            return Err(bad(Malformed("it has no authorization".to_owned())));
        };
        let mut reader = Reader::new(body);
        let head = reader.take("ticks and locality", 12).map_err(&bad)?;
        let mut inner = Zeroizing::new(reader.sized("wrappedRsp").map_err(&bad)?.to_vec());
        reader.finish("wrappedRsp").map_err(&bad)?;
        let (code, place) = parameters_of(&inner, command.opens.is_some()).map_err(&bad)?;
        let pad = [
            &trailer.nonce_even[..],
            nonce_odd,
            b"out",
            self.secret.bytes(),
        ];
        let parameters = inner.get_mut(place).unwrap_or_default(); // the place is within the answer
        xor(parameters, &pad);
        let ordinal = command.ordinal.0.to_be_bytes();
        let within = sha1(&[&code.to_be_bytes(), &ordinal, parameters]);
        let length = u32::try_from(inner.len()).unwrap_or(u32::MAX);
        let digest = sha1(&[
            &[0; 4],
            &EXECUTE_TRANSPORT.0.to_be_bytes(),
            head,
            &length.to_be_bytes(),
            &within,
        ]);
        let proved = [
            &digest[..],
            &trailer.nonce_even,
            nonce_odd,
            &[trailer.continue_session],
        ];
        if !is_hmac(self.secret.bytes(), &proved, &trailer.hmac) {
            return Err(Tpm12Error::NotAuthentic {
                command: command.ordinal.1,
            });
        }
        self.nonce_even = trailer.nonce_even;
        if trailer.continue_session == 0 {
            return Err(bad(Malformed(
                "the TPM closed the transport session".to_owned(),
            )));
        }
        Ok(inner)
    }
}

/// The return code of an answer, and where its parameters are: behind the handle, before the
/// authorization.
fn parameters_of(answer: &[u8], handle: bool) -> Result<(u32, std::ops::Range<usize>), Malformed> {
    let response = Response::parse(answer)?;
    if response.code != 0 {
        return Ok((response.code, HEADER_LEN..HEADER_LEN));
    }
    let start = HEADER_LEN.saturating_add(if handle { 4 } else { 0 });
    let end = answer
        .len()
        .saturating_sub(response.trailers.saturating_mul(TRAILER_LEN));
    if start > end {
        return Err(Malformed("the answer inside is cut off".to_owned()));
    }
    Ok((0, start..end))
}

fn xor(bytes: &mut [u8], seed: &[&[u8]]) {
    let pad = mgf1(seed, bytes.len());
    for (byte, pad) in bytes.iter_mut().zip(pad.iter()) {
        *byte ^= pad;
    }
}

/// For fuzzing: an answer in a session whose secret everybody knows.
pub(super) fn opens_with_zeros(answer: &[u8]) -> bool {
    const READ: Ordinal = Ordinal(0x15, "TPM_PCRRead");
    let mut session = TransportSession {
        handle: 0,
        secret: Secret::well_known(),
        nonce_even: [0; 20],
    };
    let command = Command::new(READ, &[], &[]);
    session.open(command, &[0; 20], answer).is_ok()
}
