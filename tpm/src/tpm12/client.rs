//! One command: built, sent, its response checked.

use super::{
    Secret, Tpm12Error,
    auth::{ENTITY_OWNER, ENTITY_VALUE, Session},
    codec::{Bytes20, Malformed, Reader, Response, TAG_AUTH1_COMMAND, TAG_COMMAND},
    frame::framed,
    return_code::ReturnCode,
    transport::{self, Transport},
};

/// TPM_ORD_OIAP.
const OIAP: Ordinal = Ordinal(0x0a, "TPM_OIAP");
/// TPM_ORD_OSAP.
const OSAP: Ordinal = Ordinal(0x0b, "TPM_OSAP");

/// A command's number and its name.
#[derive(Clone, Copy)]
pub(super) struct Ordinal(pub(super) u32, pub(super) &'static str);

/// Where nonces come from: the system, or a recording in tests.
pub(super) type Nonces = Box<dyn FnMut() -> Result<Bytes20, Tpm12Error> + Send>;

/// A TPM 1.2, open for commands. Each authorized command has a session of its own, which the TPM
/// closes with it: nothing stays open in the TPM between two calls.
pub struct Tpm12 {
    transport: Box<dyn Transport>,
    nonces: Nonces,
}

impl Tpm12 {
    /// Opens the TPM at `device:/dev/tpm0`, `swtpm:host=H,port=N` or `swtpm:path=SOCKET`.
    ///
    /// # Errors
    /// [`Tpm12Error::Absent`] when nothing is there, [`Tpm12Error::BadParameter`] for another
    /// string. Whether it is a TPM 1.2 shows with the first command.
    pub fn open(address: &str) -> Result<Self, Tpm12Error> {
        Ok(Self::over(transport::open(address)?))
    }

    /// A client over a connection that is open already.
    pub fn over(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            nonces: Box::new(|| {
                let mut nonce = [0; 20];
                getrandom::fill(&mut nonce)
                    .map_err(|error| Tpm12Error::NoRandom(error.to_string()))?;
                Ok(nonce)
            }),
        }
    }

    /// The same with nonces of the caller's choice: for recordings only.
    #[cfg(test)]
    pub(super) fn with_nonces(transport: Box<dyn Transport>, nonces: Nonces) -> Self {
        Self { transport, nonces }
    }

    /// A command without authorization; returns the response's parameters.
    pub(super) fn run(
        &mut self,
        ordinal: Ordinal,
        parameters: &[&[u8]],
    ) -> Result<Vec<u8>, Tpm12Error> {
        let answer = self.exchange(ordinal, &framed(TAG_COMMAND, ordinal.0, parameters)?)?;
        let response = parse(ordinal, &answer)?;
        if response.authorized {
            return Err(bad_answer(ordinal)(Malformed(
                "it is authorized, the command was not".to_owned(),
            )));
        }
        Ok(response.body.to_vec())
    }

    /// A command that proves `secret` in a session that is the secret's own (OIAP).
    pub(super) fn run_oiap(
        &mut self,
        ordinal: Ordinal,
        parameters: &[u8],
        secret: &Secret,
    ) -> Result<Vec<u8>, Tpm12Error> {
        // Drawn first: a session that is opened is also used.
        let nonce_odd = (self.nonces)()?;
        let body = self.run(OIAP, &[])?;
        let (handle, nonce_even) = parse_oiap(&body).map_err(bad_answer(OIAP))?;
        let session = Session::oiap(handle, nonce_even, secret);
        self.run_in(ordinal, parameters, &session, &nonce_odd)
    }

    /// A command that proves the owner's secret and carries a new secret behind its parameters,
    /// encrypted (OSAP, ADIP).
    pub(super) fn run_osap(
        &mut self,
        ordinal: Ordinal,
        parameters: &[u8],
        owner: &Secret,
        carried: &Secret,
    ) -> Result<Vec<u8>, Tpm12Error> {
        let nonce_odd_osap = (self.nonces)()?;
        let nonce_odd = (self.nonces)()?;
        let body = self.run(
            OSAP,
            &[
                &ENTITY_OWNER.to_be_bytes(),
                &ENTITY_VALUE.to_be_bytes(),
                &nonce_odd_osap,
            ],
        )?;
        let (handle, nonce_even, nonce_even_osap) = parse_osap(&body).map_err(bad_answer(OSAP))?;
        let session = Session::osap(handle, nonce_even, owner, &nonce_even_osap, &nonce_odd_osap)?;
        let parameters = [parameters, &session.encrypt(carried)].concat();
        self.run_in(ordinal, &parameters, &session, &nonce_odd)
    }

    fn run_in(
        &mut self,
        ordinal: Ordinal,
        parameters: &[u8],
        session: &Session,
        nonce_odd: &Bytes20,
    ) -> Result<Vec<u8>, Tpm12Error> {
        let hmac = session.command_hmac(ordinal.0, parameters, nonce_odd)?;
        let command = framed(
            TAG_AUTH1_COMMAND,
            ordinal.0,
            &[
                parameters,
                &session.handle.to_be_bytes(),
                nonce_odd,
                &[0],
                &hmac,
            ],
        )?;
        let answer = self.exchange(ordinal, &command)?;
        let response = parse(ordinal, &answer)?;
        let (parameters, trailer) = response.split().map_err(bad_answer(ordinal))?;
        if !session.response_is_authentic(ordinal.0, parameters, nonce_odd, &trailer) {
            return Err(Tpm12Error::NotAuthentic { command: ordinal.1 });
        }
        Ok(parameters.to_vec())
    }

    fn exchange(&mut self, ordinal: Ordinal, command: &[u8]) -> Result<Vec<u8>, Tpm12Error> {
        self.transport
            .transmit(command)
            .map_err(|source| Tpm12Error::NoAnswer {
                command: ordinal.1,
                source,
            })
    }
}

fn parse(ordinal: Ordinal, answer: &[u8]) -> Result<Response<'_>, Tpm12Error> {
    let response = Response::parse(answer).map_err(bad_answer(ordinal))?;
    match response.code {
        0 => Ok(response),
        code => Err(Tpm12Error::Refused {
            command: ordinal.1,
            code: ReturnCode(code),
        }),
    }
}

/// For `map_err`: the response to which command it was that is malformed.
pub(super) fn bad_answer(ordinal: Ordinal) -> impl Fn(Malformed) -> Tpm12Error {
    move |source| Tpm12Error::BadAnswer {
        command: ordinal.1,
        source,
    }
}

fn parse_oiap(body: &[u8]) -> Result<(u32, Bytes20), Malformed> {
    let mut reader = Reader::new(body);
    let opened = (reader.u32("authHandle")?, reader.array("nonceEven")?);
    reader.finish("nonceEven")?;
    Ok(opened)
}

fn parse_osap(body: &[u8]) -> Result<(u32, Bytes20, Bytes20), Malformed> {
    let mut reader = Reader::new(body);
    let opened = (
        reader.u32("authHandle")?,
        reader.array("nonceEven")?,
        reader.array("nonceEvenOSAP")?,
    );
    reader.finish("nonceEvenOSAP")?;
    Ok(opened)
}
