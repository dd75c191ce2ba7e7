//! How a command reaches a TPM: a character device of the kernel, or the socket of a simulator.
//!
//! It serves TPM 1.2 (which tpm2-tss cannot talk to), and finds out which of the two a TPM is.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::Duration,
};

use super::{
    Tpm12Error,
    codec::{HEADER_LEN, MAX_LEN},
};

/// How long a simulator may take; a TPM makes a key within a minute.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Sends a command, returns the response. Whether it is a valid one is for others to say.
pub trait Transport: Send {
    /// One command and its response, at most [`MAX_LEN`] bytes each.
    ///
    /// # Errors
    /// The system's error when the connection fails or the response is longer than it may be.
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>>;
}

/// Opens what a TCTI string names: `device:PATH`, `swtpm:host=H,port=N` or `swtpm:path=SOCKET`.
///
/// # Errors
/// [`Tpm12Error::BadParameter`] for another string, [`Tpm12Error::Absent`] when nothing is there.
pub fn open(address: &str) -> Result<Box<dyn Transport>, Tpm12Error> {
    let absent = |source: io::Error| Tpm12Error::Absent {
        address: address.to_owned(),
        source,
    };
    match Address::parse(address)? {
        Address::Device(path) => {
            let device = OpenOptions::new().read(true).write(true).open(path);
            let device = device.map_err(|source| not_opened(address, source, tcsd()))?;
            Ok(Box::new(Device(device)))
        }
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host, port)).map_err(absent)?;
            stream.set_read_timeout(Some(TIMEOUT)).map_err(absent)?;
            stream.set_write_timeout(Some(TIMEOUT)).map_err(absent)?;
            Ok(Box::new(Stream::new(stream)))
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).map_err(absent)?;
            stream.set_read_timeout(Some(TIMEOUT)).map_err(absent)?;
            stream.set_write_timeout(Some(TIMEOUT)).map_err(absent)?;
            Ok(Box::new(Stream::new(stream)))
        }
    }
}

/// Only one program at a time has a TPM 1.2: there is no resource manager.
fn not_opened(address: &str, source: io::Error, tcsd: Option<u32>) -> Tpm12Error {
    let address = address.to_owned();
    match source.raw_os_error() {
        Some(EBUSY) => Tpm12Error::Busy {
            address,
            holder: match tcsd {
                Some(process) => format!("trousers' tcsd (process {process})"),
                None => "another program (trousers' tcsd, for instance)".to_owned(),
            },
        },
        _ => Tpm12Error::Absent { address, source },
    }
}

/// EBUSY.
const EBUSY: i32 = 16;

/// trousers' daemon, which opens the device for itself for as long as it runs.
fn tcsd() -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?; // only words depend on it
    processes.flatten().find_map(|process| {
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?; // it has ended
        let number = process.file_name().to_str()?.parse().ok()?; // not a process
        (name.trim_end() == "tcsd").then_some(number)
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Address<'a> {
    Device(&'a str),
    Tcp(&'a str, u16),
    Unix(&'a str),
}

impl<'a> Address<'a> {
    fn parse(text: &'a str) -> Result<Self, Tpm12Error> {
        let unknown = || {
            Tpm12Error::BadParameter(format!(
                "{text:?} is not the address of a TPM: device:/dev/tpm0, \
                 swtpm:host=127.0.0.1,port=2321 or swtpm:path=SOCKET is expected"
            ))
        };
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "device" if rest.starts_with('/') && !rest.contains('\0') => Ok(Address::Device(rest)),
            "swtpm" => {
                if let Some(path) = rest.strip_prefix("path=").filter(|path| !path.is_empty()) {
                    return Ok(Address::Unix(path));
                }
                let (mut host, mut port) = (None, None);
                for part in rest.split(',') {
                    let fresh = match part.split_once('=') {
                        Some(("host", name)) if !name.is_empty() => host.replace(name).is_none(),
                        Some(("port", number)) => {
                            let number = number.parse().ok().filter(|number| *number != 0);
                            port.replace(number.ok_or_else(unknown)?).is_none()
                        }
                        _ => false,
                    };
                    if !fresh {
                        return Err(unknown());
                    }
                }
                match (host, port) {
                    (Some(host), Some(port)) => Ok(Address::Tcp(host, port)),
                    _ => Err(unknown()),
                }
            }
            _ => Err(unknown()),
        }
    }
}

/// The kernel's device takes a command in one write and gives the response in one read.
struct Device(File);

impl Transport for Device {
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(command)?;
        let mut response = vec![0; MAX_LEN];
        let length = self.0.read(&mut response)?;
        response.truncate(length);
        Ok(response)
    }
}

/// A simulator's socket is a stream: the header says how much is to come. After an error nobody
/// knows where the next answer begins, and nothing more is asked.
struct Stream<S> {
    socket: S,
    broken: bool,
}

impl<S: Read + Write + Send> Stream<S> {
    const fn new(socket: S) -> Self {
        Self {
            socket,
            broken: false,
        }
    }
}

impl<S: Read + Write + Send> Transport for Stream<S> {
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        if self.broken {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let answer = self.answer(command);
        self.broken = answer.is_err();
        answer
    }
}

impl<S: Read + Write + Send> Stream<S> {
    fn answer(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.socket.write_all(command)?;
        let mut header = [0; HEADER_LEN];
        self.socket.read_exact(&mut header)?;
        let [_, _, a, b, c, d, ..] = header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let rest = length
            .checked_sub(HEADER_LEN)
            .filter(|_| length <= MAX_LEN)
            .ok_or_else(|| {
                io::Error::other(format!(
                    "it claims a response of {length} bytes: {HEADER_LEN} to {MAX_LEN} are possible"
                ))
            })?;
        let mut response = header.to_vec();
        response.resize(HEADER_LEN.saturating_add(rest), 0);
        if let Some(rest) = response.get_mut(HEADER_LEN..) {
            self.socket.read_exact(rest)?;
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_exactly() {
        let parse = |text| Address::parse(text).ok();
        assert_eq!(
            parse("device:/dev/tpm0"),
            Some(Address::Device("/dev/tpm0"))
        );
        assert_eq!(
            parse("swtpm:port=2,host=127.0.0.1"),
            Some(Address::Tcp("127.0.0.1", 2))
        );
        assert_eq!(parse("swtpm:path=/run/s"), Some(Address::Unix("/run/s")));
        for wrong in [
            "",
            "tpm0",
            "device:tpm0",
            "swtpm:",
            "swtpm:path=",
            "swtpm:host=a",
            "swtpm:host=a,port=0",
            "swtpm:host=a,port=70000",
            "swtpm:host=a,port=1,port=2",
            "mssim:host=a,port=1",
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_busy_device_names_trousers_daemon() {
        let text = |code, tcsd| {
            let source = io::Error::from_raw_os_error(code);
            not_opened("device:/dev/tpm0", source, tcsd).to_string()
        };
        let busy = text(EBUSY, Some(77));
        assert!(busy.contains("trousers' tcsd (process 77)"), "{busy}");
        assert!(busy.contains("systemctl stop tcsd"), "{busy}");
        let unknown = text(EBUSY, None);
        assert!(unknown.contains("another program"), "{unknown}");
        assert!(text(2, Some(77)).starts_with("no TPM at device:/dev/tpm0"));
    }

    #[test]
    fn a_device_gives_its_response_in_one_read() {
        // A pair of datagram sockets keeps the limits of messages, as the kernel's device does.
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let mut device = Device(File::from(std::os::fd::OwnedFd::from(ours)));
        for response in [&[1u8, 2, 3][..], &[4; 1000]] {
            theirs.send(response).unwrap();
            assert_eq!(device.transmit(&[9, 8]).unwrap(), response);
            let mut command = [0; 10];
            assert_eq!(theirs.recv(&mut command).unwrap(), 2);
        }
    }

    #[test]
    fn a_stream_that_claims_too_much_is_refused_before_it_is_read() {
        struct Liar(io::Cursor<Vec<u8>>);
        impl Read for Liar {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Write for Liar {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for length in [0u32, 9, 4097, u32::MAX] {
            let mut bytes = vec![0, 0xc4];
            bytes.extend(length.to_be_bytes());
            bytes.extend([0; 4]);
            let mut stream = Stream::new(Liar(io::Cursor::new(bytes)));
            let error = stream.transmit(&[]).unwrap_err();
            assert!(error.to_string().contains("claims"), "{error}");
            let error = stream.transmit(&[]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        }
    }
}
