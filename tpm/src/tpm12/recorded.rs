//! The client against recorded conversations (tests/vectors/tpm12-nv.txt): with the same nonces it
//! must send the very bytes that trousers sent, HMACs included, and accept what the TPM answered.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use super::{
    NvAuth, NvPublic, Secret, Tpm12, Tpm12Error,
    codec::{Bytes20, HEADER_LEN},
    transport::Transport,
};

const RECORDING: &str = include_str!("../../tests/vectors/tpm12-nv.txt");
const PASSWORDS: [&str; 3] = ["ownerpw", "wrongpw", "secret"];

const OIAP: u32 = 0x0a;
const OSAP: u32 = 0x0b;
const FLUSH_SPECIFIC: u32 = 0xba;

#[derive(Clone, Debug)]
struct Exchange {
    command: Vec<u8>,
    response: Vec<u8>,
}

impl Exchange {
    fn ordinal(&self) -> u32 {
        u32::from_be_bytes(self.command[6..10].try_into().unwrap())
    }

    fn is_authorized(&self) -> bool {
        self.command[..2] == [0, 0xc2]
    }

    fn code(&self) -> u32 {
        u32::from_be_bytes(self.response[6..10].try_into().unwrap())
    }

    /// Parameters without header and authorization.
    fn parameters(&self) -> &[u8] {
        let end = self.command.len() - if self.is_authorized() { 45 } else { 0 };
        &self.command[HEADER_LEN..end]
    }

    /// The nonce that the caller of this command drew.
    fn nonce(&self) -> Option<Bytes20> {
        let from_end = |back: usize| {
            let at = self.command.len() - back;
            self.command[at..at + 20].try_into().unwrap()
        };
        match self.ordinal() {
            OSAP => Some(from_end(20)),
            _ if self.is_authorized() => Some(from_end(41)),
            _ => None,
        }
    }
}

/// The steps: number and command line, and what crossed the wire. trousers flushes each session
/// although the TPM closed it with its command (and gets 0x22 for it); we do not.
fn steps() -> Vec<(String, Vec<Exchange>)> {
    let mut steps: Vec<(String, Vec<Exchange>)> = Vec::new();
    let mut command = Vec::new();
    for line in RECORDING.lines() {
        if let Some(name) = line.strip_prefix("# ") {
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                steps.push((name.to_owned(), Vec::new()));
            }
        } else if let Some(hex) = line.strip_prefix("CMD ") {
            command = hex::decode(hex).unwrap();
        } else if let Some(hex) = line.strip_prefix("RSP ") {
            let exchange = Exchange {
                command: std::mem::take(&mut command),
                response: hex::decode(hex).unwrap(),
            };
            if exchange.ordinal() != FLUSH_SPECIFIC {
                steps.last_mut().unwrap().1.push(exchange);
            }
        }
    }
    steps
}

/// Answers as recorded, as long as the very bytes come that were recorded.
struct Replay(Arc<Mutex<VecDeque<Exchange>>>);

impl Transport for Replay {
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        let mut left = self.0.lock().unwrap();
        match left.pop_front() {
            Some(exchange) if exchange.command == command => Ok(exchange.response),
            _ => Err(io::Error::other("not what was recorded")),
        }
    }
}

/// Runs `call` against the exchanges. `None`: it sent something else than was recorded.
fn replayed<T>(
    exchanges: &[Exchange],
    call: impl FnOnce(&mut Tpm12) -> Result<T, Tpm12Error>,
) -> Option<Result<T, Tpm12Error>> {
    let left = Arc::new(Mutex::new(VecDeque::from(exchanges.to_vec())));
    let mut nonces: VecDeque<Bytes20> = exchanges.iter().filter_map(Exchange::nonce).collect();
    let mut tpm = Tpm12::with_nonces(
        Box::new(Replay(left.clone())),
        Box::new(move || Ok(nonces.pop_front().unwrap_or([0; 20]))),
    );
    let result = call(&mut tpm);
    let all_sent = left.lock().unwrap().is_empty();
    match result {
        Err(Tpm12Error::NoAnswer { .. }) => None,
        result => all_sent.then_some(result),
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    steps: usize,
    commands: usize,
    command_hmacs: usize,
    response_hmacs: usize,
    encrypted_secrets: usize,
}

/// Calls the client for the last of these exchanges with each password; exactly one (or one pair)
/// must give the recorded bytes.
fn check(exchanges: &[Exchange], counts: &mut Counts) {
    let last = exchanges.last().unwrap();
    let parameters = last.parameters();
    let word = |at: usize| u32::from_be_bytes(parameters[at..at + 4].try_into().unwrap());
    let passwords = PASSWORDS.map(|password| Secret::from_password(password.as_bytes()));
    let mut matches = Vec::new();
    let mut done = |result: Option<Result<Vec<u8>, Tpm12Error>>| matches.extend(result);
    match (last.ordinal(), last.is_authorized()) {
        (0xcc, true) => {
            let public = NvPublic::parse(&parameters[..parameters.len() - 20]).unwrap();
            for owner in &passwords {
                for area in passwords.iter().chain([&Secret::well_known()]) {
                    done(replayed(exchanges, |tpm| {
                        tpm.nv_define(&public, Some(owner), area)
                            .map(|()| Vec::new())
                    }));
                }
            }
            counts.encrypted_secrets += 1;
        }
        (0xcc, false) => {
            let public = NvPublic::parse(&parameters[..parameters.len() - 20]).unwrap();
            done(replayed(exchanges, |tpm| {
                let well_known = Secret::well_known();
                tpm.nv_define(&public, None, &well_known)
                    .map(|()| Vec::new())
            }));
        }
        (0xcd, false) => done(replayed(exchanges, |tpm| {
            let data = &parameters[12..];
            tpm.nv_write(word(0), word(4), data, NvAuth::None)
                .map(|()| Vec::new())
        })),
        (ordinal @ (0xcd | 0xce), true) => {
            for secret in &passwords {
                let auth = match ordinal {
                    0xcd => NvAuth::Owner(secret),
                    _ => NvAuth::Index(secret),
                };
                done(replayed(exchanges, |tpm| {
                    let data = &parameters[12..];
                    tpm.nv_write(word(0), word(4), data, auth)
                        .map(|()| Vec::new())
                }));
            }
        }
        (0xcf, false) => done(replayed(exchanges, |tpm| {
            tpm.nv_read(word(0), word(4), word(8), NvAuth::None)
        })),
        (0xd0, true) => {
            for secret in &passwords {
                done(replayed(exchanges, |tpm| {
                    tpm.nv_read(word(0), word(4), word(8), NvAuth::Index(secret))
                }));
            }
        }
        (0x66, true) => {
            for secret in &passwords {
                done(replayed(exchanges, |tpm| {
                    let flags = tpm.owner_flags(secret)?;
                    Ok([flags.permanent, flags.volatile]
                        .map(u32::to_be_bytes)
                        .concat())
                }));
            }
        }
        (0x65, false) if word(0) == 0x0d => done(replayed(exchanges, |tpm| {
            let list = tpm.nv_list()?;
            Ok(list.into_iter().flat_map(u32::to_be_bytes).collect())
        })),
        (0x65, false) if word(0) == 0x11 => done(replayed(exchanges, |tpm| {
            // No such index gives `None`, not an error.
            Ok(tpm
                .nv_public(word(8))?
                .map(|public| public.to_bytes())
                .unwrap_or_default())
        })),
        (0x15, false) => done(replayed(exchanges, |tpm| {
            Ok(tpm.pcr_read(word(0))?.to_vec())
        })),
        (ordinal, authorized) => panic!("no call for ordinal {ordinal:#x}, {authorized}"),
    }
    assert_eq!(matches.len(), 1, "{last:02x?}: {matches:?}");
    let expected = last.code();
    counts.commands += 1;
    counts.command_hmacs += usize::from(last.is_authorized());
    match matches.pop().unwrap() {
        Ok(data) => {
            assert!(
                expected == 0 || (expected == 2 && data.is_empty()),
                "{last:02x?}"
            );
            counts.response_hmacs += usize::from(last.is_authorized());
            assert!(contains(&last.response, &data), "{data:02x?}");
        }
        Err(error) => assert_eq!(error.code().map(|code| code.0), Some(expected), "{error}"),
    }
}

fn contains(response: &[u8], data: &[u8]) -> bool {
    data.is_empty() || response.windows(data.len()).any(|window| window == data)
}

#[test]
fn every_recorded_step_is_sent_byte_for_byte_and_its_answer_accepted() {
    let mut counts = Counts::default();
    for (name, exchanges) in steps() {
        counts.steps += 1;
        let mut begin = 0;
        for (place, exchange) in exchanges.iter().enumerate() {
            // A session is opened for the command behind it.
            if !matches!(exchange.ordinal(), OIAP | OSAP) {
                check(&exchanges[begin..=place], &mut counts);
                begin = place + 1;
            }
        }
        assert_eq!(begin, exchanges.len(), "{name}: a session without command");
    }
    let expected = Counts {
        steps: 44,
        commands: 80,
        command_hmacs: 17,
        response_hmacs: 14,
        encrypted_secrets: 8,
    };
    assert_eq!(counts, expected);
}

#[test]
fn a_changed_bit_in_an_authorized_answer_is_noticed() {
    let (_, step) = steps()
        .into_iter()
        .find(|(name, _)| name.starts_with("04"))
        .unwrap();
    let begin = step
        .iter()
        .position(|exchange| exchange.ordinal() == OIAP)
        .unwrap();
    let exchanges = &step[begin..];
    let owner = Secret::from_password(b"ownerpw");
    let data = exchanges[1].parameters()[12..].to_vec();
    let write = |exchanges: &[Exchange]| {
        replayed(exchanges, |tpm| {
            tpm.nv_write(0x4000_0001, 0, &data, NvAuth::Owner(&owner))
        })
    };
    assert!(write(exchanges).unwrap().is_ok());
    for bit in 0..exchanges[1].response.len() * 8 {
        let mut changed = exchanges.to_vec();
        changed[1].response[bit / 8] ^= 1 << (bit % 8);
        assert!(write(&changed).unwrap().is_err(), "bit {bit}");
    }
}
