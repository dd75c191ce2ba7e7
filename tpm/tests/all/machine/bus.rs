//! The wire between tpm2-tss and swtpm, listened to and, when told, disturbed: a relay that
//! notes every command, extends PCR 10 right after a TPM2_PolicyPCR, as the kernel may, and
//! answers in the TPM's place.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

const TPM_CC_POLICY_PCR: u32 = 0x017f;
const TPM_CC_UNSEAL: u32 = 0x015e;
const TPM_CC_GET_RANDOM: u32 = 0x017b;

/// Answers a command instead of the TPM, or leaves it to the TPM.
pub type Forger = Box<dyn FnMut(&[u8]) -> Option<Vec<u8>> + Send>;

#[derive(Default)]
pub struct Traffic {
    /// Command codes in order.
    pub commands: Vec<u32>,
    /// All bytes of all commands and responses.
    pub bytes: Vec<u8>,
    /// How many more times to disturb.
    pub disturb: u32,
    /// How many more TPM2_Unseal to send with a wrong HMAC.
    pub spoil: u32,
    /// How many more TPM2_GetRandom of a session to send with a wrong HMAC.
    pub spoil_random: u32,
    /// How often the TPM refused the HMAC of a session.
    pub refused: u32,
    /// Who answers instead of the TPM.
    pub forger: Option<Forger>,
}

pub struct Bus {
    port: u16,
    traffic: Arc<Mutex<Traffic>>,
}

impl Bus {
    /// A relay in front of the swtpm at `target`; its threads end with the test process.
    pub fn before(target: u16) -> Self {
        let (data, control) = loop {
            let data = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let next = data.local_addr().unwrap().port() + 1;
            if let Ok(control) = TcpListener::bind(("127.0.0.1", next)) {
                break (data, control);
            }
        };
        let port = data.local_addr().unwrap().port();
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        let shared = Arc::clone(&traffic);
        thread::spawn(move || {
            for client in data.incoming() {
                relay_command(client.unwrap(), target, &shared);
            }
        });
        thread::spawn(move || {
            for client in control.incoming() {
                relay_control(client.unwrap(), target + 1);
            }
        });
        Self { port, traffic }
    }

    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    pub fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap()
    }
}

fn relay_control(mut client: TcpStream, port: u16) {
    let mut bytes = [0; 64];
    let length = client.read(&mut bytes).unwrap();
    let mut tpm = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tpm.write_all(&bytes[..length]).unwrap();
    let length = tpm.read(&mut bytes).unwrap();
    client.write_all(&bytes[..length]).unwrap();
}

fn relay_command(mut client: TcpStream, port: u16, traffic: &Mutex<Traffic>) {
    // tpm2-tss connects once without a word, to see whether someone is there.
    let Some(mut command) = message(&mut client) else {
        return;
    };
    let code = u32::from_be_bytes(command[6..10].try_into().unwrap());
    {
        let mut traffic = traffic.lock().unwrap();
        if code == TPM_CC_UNSEAL && traffic.spoil > 0 {
            traffic.spoil -= 1;
            // TPM2_Unseal has no parameters: the HMAC is the end of the command.
            *command.last_mut().unwrap() ^= 1;
        }
        if code == TPM_CC_GET_RANDOM && traffic.spoil_random > 0 {
            traffic.spoil_random -= 1;
            // The number of bytes comes after the HMAC.
            let end = command.len() - 3;
            command[end] ^= 1;
        }
    }
    let forged = {
        let mut traffic = traffic.lock().unwrap();
        traffic.forger.as_mut().and_then(|forge| forge(&command))
    };
    let answer = forged.unwrap_or_else(|| exchange(port, &command));
    let disturb = {
        let mut traffic = traffic.lock().unwrap();
        traffic.commands.push(code);
        traffic.refused += u32::from(answer[6..10] == [0, 0, 0x09, 0xa2]);
        traffic.bytes.extend_from_slice(&command);
        traffic.bytes.extend_from_slice(&answer);
        let disturb = code == TPM_CC_POLICY_PCR && traffic.disturb > 0;
        traffic.disturb -= u32::from(disturb);
        disturb
    };
    if disturb {
        let extended = exchange(port, &super::extend_command(10, [7; 32]));
        assert_eq!(extended[6..10], [0; 4], "PCR 10 was not extended");
    }
    client.write_all(&answer).unwrap();
}

/// Asks the TPM that listens at this port.
pub fn exchange(port: u16, command: &[u8]) -> Vec<u8> {
    let mut tpm = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tpm.write_all(command).unwrap();
    message(&mut tpm).unwrap()
}

fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 10];
    stream.read_exact(&mut bytes).ok()?;
    let length = u32::from_be_bytes(bytes[2..6].try_into().unwrap()) as usize;
    bytes.resize(length, 0);
    stream.read_exact(&mut bytes[10..]).unwrap();
    Some(bytes)
}
