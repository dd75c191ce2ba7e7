//! Opening a transport session with a TPM whose storage root key is known, and sending commands in it.

use zeroize::Zeroizing;

use super::{
    Secret, Tpm12, Tpm12Error,
    auth::{Session, Use},
    codec::{Bytes20, Malformed, Reader, sized},
    command::{Command, Ordinal, Resource, bad_answer},
    rsa::RsaPublic,
    srk::SRK_HANDLE,
    transport_session::{EXECUTE_TRANSPORT, TransportSession},
};

const ESTABLISH_TRANSPORT: Ordinal = Ordinal(0xe6, "TPM_EstablishTransport");

/// TPM_TAG_TRANSPORT_PUBLIC, TPM_TRANSPORT_ENCRYPT, TPM_ALG_MGF1, TPM_ES_NONE.
const PUBLIC: [u8; 12] = [0, 0x1e, 0, 0, 0, 1, 0, 0, 0, 7, 0, 1];
/// TPM_TAG_TRANSPORT_AUTH.
const TAG_AUTH: [u8; 2] = [0, 0x1d];
/// TPM_TAG_CURRENT_TICKS.
const TAG_TICKS: u16 = 0x0014;

impl Tpm12 {
    /// From now on all commands go through a transport session of the TPM with this storage root
    /// key. `session` proves the key's own secret, and stays open.
    pub(super) fn wrap(
        &mut self,
        srk: &RsaPublic,
        session: &mut Session,
    ) -> Result<(), Tpm12Error> {
        self.unwrap_commands();
        let secret = Secret::from_bytes(self.nonce()?);
        let clear = Zeroizing::new([&TAG_AUTH[..], secret.bytes()].concat());
        let parameters = [&PUBLIC[..], &sized(&srk.encrypt(&clear)?)].concat();
        let command = Command {
            opens: Some(Resource::Transport),
            ..Command::new(ESTABLISH_TRANSPORT, &[SRK_HANDLE], &parameters)
        };
        let answer = self.run_with(command, &mut [Use::kept(session)])?;
        let handle = answer.handle;
        let nonce_even = established(&answer.parameters).map_err(bad_answer(ESTABLISH_TRANSPORT));
        let nonce_even = nonce_even.inspect_err(|_| {
            // There is an error already.
            drop(self.flush(handle, Resource::Transport));
        })?;
        self.wrapping = Some(TransportSession {
            handle,
            secret,
            nonce_even,
        });
        Ok(())
    }

    /// Ends the transport session, if there is one.
    pub(super) fn unwrap_commands(&mut self) {
        if let Some(session) = self.wrapping.take() {
            // Who has lost the TPM cannot close anything in it, and power off does.
            drop(self.flush(session.handle, Resource::Transport));
        }
    }

    /// Sends a command inside of the session and gives the answer that was inside. A session that
    /// something is wrong with is not used again.
    pub(super) fn execute(
        &mut self,
        tag: u16,
        command: Command<'_>,
        auths: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        let nonce_odd = self.nonce()?;
        let Some(mut session) = self.wrapping.take() else {
            return Err(Tpm12Error::BadParameter(
                "there is no transport session".to_owned(),
            ));
        };
        let answer = session
            .command(tag, command, auths, &nonce_odd)
            .and_then(|outer| self.exchange(EXECUTE_TRANSPORT, &outer))
            .and_then(|answer| session.open(command, &nonce_odd, &answer));
        match answer {
            Ok(inner) => {
                self.wrapping = Some(session);
                Ok(inner)
            }
            Err(error) => {
                // There is an error already; mostly the TPM has closed the session for it, too.
                drop(self.flush(session.handle, Resource::Transport));
                Err(error)
            }
        }
    }
}

/// transNonceEven of an answer to TPM_EstablishTransport; locality and clock stand before it.
pub(super) fn established(parameters: &[u8]) -> Result<Bytes20, Malformed> {
    let mut reader = Reader::new(parameters);
    reader.u32("locality")?;
    reader.tag("TPM_CURRENT_TICKS", TAG_TICKS)?;
    reader.take("TPM_CURRENT_TICKS", 30)?;
    let nonce = reader.array("transNonceEven")?;
    reader.finish("transNonceEven")?;
    Ok(nonce)
}
