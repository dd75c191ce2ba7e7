//! One command: built, sent, its response checked.

use std::thread;

use zeroize::Zeroizing;

use super::{
    Secret, Tpm12Error,
    auth::{Entity, Session, Use},
    codec::{Bytes20, Malformed, Reader, TAG_AUTH1_COMMAND, TAG_AUTH2_COMMAND, TAG_COMMAND},
    command::{Answer, Command, Ordinal, Resource, bad_answer, parse},
    frame::framed,
    hash::sha1,
    retry::{self, Again, Pause},
    transport::{self, Transport},
    transport_session::TransportSession,
};

/// TPM_ORD_OIAP.
const OIAP: Ordinal = Ordinal(0x0a, "TPM_OIAP");
/// TPM_ORD_ContinueSelfTest.
const CONTINUE_SELF_TEST: Ordinal = Ordinal(0x53, "TPM_ContinueSelfTest");
/// TPM_ORD_OSAP.
const OSAP: Ordinal = Ordinal(0x0b, "TPM_OSAP");

/// Where nonces come from: the system, or a recording in tests.
pub(super) type Nonces = Box<dyn FnMut() -> Result<Bytes20, Tpm12Error> + Send>;

/// A TPM 1.2, open for commands. Nothing stays open in the TPM between two calls, whether they
/// succeed or fail; what [`Tpm12::wrap`] opened is closed when this is dropped.
pub struct Tpm12 {
    transport: Box<dyn Transport>,
    nonces: Nonces,
    pause: Pause,
    pub(super) wrapping: Option<TransportSession>,
}

impl Tpm12 {
    /// Opens the TPM at `device:/dev/tpm0`, `swtpm:host=H,port=N` or `swtpm:path=SOCKET`.
    ///
    /// # Errors
    /// [`Tpm12Error::Absent`] when nothing is there, [`Tpm12Error::Busy`] when another program has
    /// it, [`Tpm12Error::BadParameter`] for another string. Whether it is a TPM 1.2 shows with the
    /// first command.
    pub fn open(address: &str) -> Result<Self, Tpm12Error> {
        Ok(Self::over(transport::open(address)?))
    }

    /// A client over a connection that is open already.
    pub fn over(transport: Box<dyn Transport>) -> Self {
        Self::with_nonces(
            transport,
            Box::new(|| {
                let mut nonce = [0; 20];
                getrandom::fill(&mut nonce)
                    .map_err(|error| Tpm12Error::NoRandom(error.to_string()))?;
                Ok(nonce)
            }),
        )
    }

    /// The same with nonces of the caller's choice: for recordings only.
    pub(super) fn with_nonces(transport: Box<dyn Transport>, nonces: Nonces) -> Self {
        Self {
            transport,
            nonces,
            pause: thread::sleep,
            wrapping: None,
        }
    }

    /// The same without waiting for a TPM that is busy: for a fuzzer.
    pub(super) fn without_waiting(mut self) -> Self {
        self.pause = |_| {};
        self
    }

    /// 20 random bytes of the system.
    pub(super) fn nonce(&mut self) -> Result<Bytes20, Tpm12Error> {
        (self.nonces)()
    }

    /// A command without authorization; returns the response's parameters.
    pub(super) fn run(
        &mut self,
        ordinal: Ordinal,
        parameters: &[&[u8]],
    ) -> Result<Vec<u8>, Tpm12Error> {
        let parameters = parameters.concat();
        let command = Command::new(ordinal, &[], &parameters);
        Ok(self.run_with(command, &mut [])?.parameters.to_vec())
    }

    /// A command that proves `secret` in a session that is the secret's own (OIAP).
    pub(super) fn run_oiap(
        &mut self,
        ordinal: Ordinal,
        parameters: &[u8],
        secret: &Secret,
    ) -> Result<Vec<u8>, Tpm12Error> {
        let command = Command::new(ordinal, &[], parameters);
        Ok(self.run_proving(command, &[secret])?.parameters.to_vec())
    }

    /// A command that proves each of these secrets in an OIAP session of its own.
    pub(super) fn run_proving(
        &mut self,
        command: Command<'_>,
        secrets: &[&Secret],
    ) -> Result<Answer, Tpm12Error> {
        let mut sessions = Vec::with_capacity(secrets.len());
        for secret in secrets {
            match self.open_oiap(secret) {
                Ok(session) => sessions.push(session),
                Err(error) => {
                    sessions.iter().for_each(|open| self.close(open));
                    return Err(error);
                }
            }
        }
        let mut uses: Vec<Use<'_>> = sessions.iter_mut().map(Use::last).collect();
        self.run_with(command, &mut uses)
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
        let mut session = self.open_osap(Entity::Owner, owner)?;
        let parameters = [parameters, &session.encrypt(carried)].concat();
        let command = Command::new(ordinal, &[], &parameters);
        let answer = self.run_with(command, &mut [Use::last(&mut session)])?;
        Ok(answer.parameters.to_vec())
    }

    /// Opens a session that is a secret's own.
    pub(super) fn open_oiap(&mut self, secret: &Secret) -> Result<Session, Tpm12Error> {
        let body = self.run_plain(OIAP, &[])?;
        let (handle, nonce_even) = parse_oiap(&body).map_err(bad_answer(OIAP))?;
        Ok(Session::oiap(handle, nonce_even, secret))
    }

    /// Opens a session for one entity, in which new secrets can be carried.
    pub(super) fn open_osap(
        &mut self,
        entity: Entity,
        secret: &Secret,
    ) -> Result<Session, Tpm12Error> {
        let (kind, value) = entity.type_and_value();
        let nonce_odd = self.nonce()?;
        let body = self.run_plain(
            OSAP,
            &[&kind.to_be_bytes(), &value.to_be_bytes(), &nonce_odd],
        )?;
        let (handle, nonce_even, nonce_even_osap) = parse_osap(&body).map_err(bad_answer(OSAP))?;
        Ok(Session::osap(
            handle,
            nonce_even,
            secret,
            &nonce_even_osap,
            &nonce_odd,
        ))
    }

    /// Sends a command that these sessions authorize, and checks the answer's HMACs. Whatever goes
    /// wrong, none of the sessions is open afterwards.
    pub(super) fn run_with(
        &mut self,
        command: Command<'_>,
        uses: &mut [Use<'_>],
    ) -> Result<Answer, Tpm12Error> {
        let done = self.run_in(command, uses);
        if done.is_err() {
            uses.iter().for_each(|used| self.close(used.session));
        }
        done
    }

    fn run_in(&mut self, command: Command<'_>, uses: &mut [Use<'_>]) -> Result<Answer, Tpm12Error> {
        let Ordinal(number, name) = command.ordinal;
        let digest = sha1(&[&number.to_be_bytes(), command.parameters]);
        let mut auths = Vec::new();
        let mut nonces = Vec::with_capacity(uses.len());
        for used in uses.iter() {
            let nonce_odd = self.nonce()?;
            auths.extend(used.session.handle.to_be_bytes());
            auths.extend(nonce_odd);
            auths.push(u8::from(used.keep));
            auths.extend(used.session.command_hmac(&digest, &nonce_odd, used.keep));
            nonces.push(nonce_odd);
        }
        let tag = match uses.len() {
            0 => TAG_COMMAND,
            1 => TAG_AUTH1_COMMAND,
            _ => TAG_AUTH2_COMMAND,
        };
        let answer = self.transact(tag, command, &auths)?;
        let response = parse(command.ordinal, &answer)?;
        let (body, trailers) = response
            .split(uses.len())
            .map_err(bad_answer(command.ordinal))?;
        let mut reader = Reader::new(body);
        let handle = match command.opens {
            Some(_) => reader
                .u32("a handle")
                .map_err(bad_answer(command.ordinal))?,
            None => 0,
        };
        let parameters = reader.remaining();
        // rc is in the digest; a response with an HMAC always has rc 0.
        let digest = sha1(&[&[0; 4], &number.to_be_bytes(), parameters]);
        for ((used, nonce_odd), trailer) in uses.iter_mut().zip(&nonces).zip(&trailers) {
            let authentic = used.session.accept(&digest, nonce_odd, trailer);
            if authentic && (trailer.continue_session != 0 || !used.keep) {
                continue;
            }
            if let Some(kind) = command.opens {
                // There is an error already, and the handle may be as false as the rest.
                drop(self.flush(handle, kind));
            }
            return Err(if authentic {
                bad_answer(command.ordinal)(Malformed(
                    "the TPM closed a session that was to stay open".to_owned(),
                ))
            } else {
                Tpm12Error::NotAuthentic { command: name }
            });
        }
        Ok(Answer {
            handle,
            parameters: Zeroizing::new(parameters.to_vec()),
        })
    }

    /// Sends a command as it is, or inside of the transport session where there is one.
    fn transact(
        &mut self,
        tag: u16,
        command: Command<'_>,
        auths: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        if self.wrapping.is_some() {
            return self.execute(tag, command, auths);
        }
        let handles = command.handle_bytes();
        // A secret may be among the parameters.
        let framed = Zeroizing::new(framed(
            tag,
            command.ordinal.0,
            &[&handles, command.parameters, auths],
        )?);
        self.exchange(command.ordinal, &framed)
    }

    /// A command of its own, outside of any transport session.
    pub(super) fn run_plain(
        &mut self,
        ordinal: Ordinal,
        parameters: &[&[u8]],
    ) -> Result<Vec<u8>, Tpm12Error> {
        let answer = self.exchange(ordinal, &framed(TAG_COMMAND, ordinal.0, parameters)?)?;
        let response = parse(ordinal, &answer)?;
        let (body, _) = response.split(0).map_err(bad_answer(ordinal))?;
        Ok(body.to_vec())
    }

    /// Ends a session that may be open.
    pub(super) fn close(&mut self, session: &Session) {
        // Most refused commands close their session themselves, so that there is none: that is what
        // was wanted. And whatever else goes wrong, there is an error already.
        drop(self.flush(session.handle, Resource::Session));
    }

    /// Sends a command and gives what came back; a TPM that is busy is asked again for a while.
    pub(super) fn exchange(
        &mut self,
        ordinal: Ordinal,
        command: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        let mut answer = self.exchange_once(ordinal, command)?;
        for wait in retry::waits() {
            match retry::again(&answer) {
                None => break,
                Some(Again::Later) => {}
                Some(Again::AfterSelfTest) => {
                    let test = framed(TAG_COMMAND, CONTINUE_SELF_TEST.0, &[])?;
                    self.exchange_once(CONTINUE_SELF_TEST, &test)?;
                }
            }
            (self.pause)(wait);
            answer = self.exchange_once(ordinal, command)?;
        }
        Ok(answer)
    }

    fn exchange_once(
        &mut self,
        ordinal: Ordinal,
        command: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        let answer = self.transport.transmit(command);
        answer
            .map(Zeroizing::new)
            .map_err(|source| Tpm12Error::NoAnswer {
                command: ordinal.1,
                source,
            })
    }
}

impl Drop for Tpm12 {
    fn drop(&mut self) {
        self.unwrap_commands();
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
