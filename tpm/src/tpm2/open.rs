//! Opens the TPM that a TCTI string names, and says clearly why there is none.
//!
//! `device:/dev/tpmrm0` is the kernel's resource manager, `swtpm:host=127.0.0.1,port=N` and
//! `mssim:host=...,port=N` are simulators; both of the latter want their control port at N+1.
//! A Unix socket (`swtpm:path=...`) cannot be had: tpm2-tss 4.1.3 knows it, but tss-esapi 7.7
//! writes the string for the C library itself, and always as a host and a port.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
    str::FromStr,
};

use tss_esapi::{
    Context,
    tcti_ldr::{DeviceConfig, ServerAddress, TctiNameConf, TpmSimulatorConfig},
};

use super::Tpm2;
use crate::TpmError;

/// Where the kernel lists TPMs and their major version.
const SYSFS_TPM: &str = "/sys/class/tpm";

impl Tpm2 {
    /// Opens the TPM that `tcti` names: `device:PATH`, `swtpm:host=H,port=N`, `mssim:host=H,port=N`.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] for another string, [`TpmError::Tpm12`] for the device of a
    /// TPM 1.2, [`TpmError::Absent`] when there is no such device node, [`TpmError::Unreachable`] when
    /// it cannot be opened for another reason or nothing answers.
    pub fn open(tcti: &str) -> Result<Self, TpmError> {
        let config = parse(tcti)?;
        if let Tcti::Device(path) = &config {
            check_device(tcti, path, Path::new(SYSFS_TPM), open_once)?;
        }
        let silent = |error: tss_esapi::Error| TpmError::Unreachable {
            tcti: tcti.into(),
            reason: format!("it does not answer: {error}"),
        };
        let context = Context::new(config.for_library().map_err(silent)?).map_err(silent)?;
        Ok(Self {
            context,
            known_srk: None,
            saved_srk: None,
        })
    }
}

/// A TCTI string that has been understood.
#[derive(Debug, PartialEq, Eq)]
enum Tcti<'a> {
    Device(&'a str),
    Swtpm(Address<'a>),
    Mssim(Address<'a>),
}

/// Where a simulator listens.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    host: &'a str,
    port: u16,
}

impl Address<'_> {
    /// Made by hand: the crate's own parser brings regular expressions, half a megabyte of /init.
    fn for_library(&self) -> tss_esapi::Result<TpmSimulatorConfig> {
        Ok(TpmSimulatorConfig::Tcp {
            host: ServerAddress::from_str(self.host)?,
            port: self.port,
        })
    }
}

impl Tcti<'_> {
    fn for_library(&self) -> tss_esapi::Result<TctiNameConf> {
        Ok(match self {
            Tcti::Device(path) => TctiNameConf::Device(DeviceConfig::from_str(path)?),
            Tcti::Swtpm(address) => TctiNameConf::Swtpm(address.for_library()?),
            Tcti::Mssim(address) => TctiNameConf::Mssim(address.for_library()?),
        })
    }
}

fn parse(tcti: &str) -> Result<Tcti<'_>, TpmError> {
    let unknown = || {
        TpmError::BadParameter(format!(
            "{tcti:?} is not a TPM address: device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321 \
             or mssim:host=127.0.0.1,port=2321 is expected"
        ))
    };
    let (kind, rest) = tcti.split_once(':').ok_or_else(unknown)?;
    match kind {
        "device" if rest.starts_with('/') && !rest.contains('\0') => Ok(Tcti::Device(rest)),
        "swtpm" => address(rest).map(Tcti::Swtpm).ok_or_else(unknown),
        "mssim" => address(rest).map(Tcti::Mssim).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

/// `host=H,port=N` in either order, each once, and nothing else. The control port is the next one.
fn address(text: &str) -> Option<Address<'_>> {
    let (mut host, mut port) = (None, None);
    for part in text.split(',') {
        let before = match part.split_once('=')? {
            ("host", name) if !name.is_empty() => host.replace(name).map(drop),
            ("port", number) => {
                let number: u16 = number.parse().ok()?;
                let usable = (1..u16::MAX).contains(&number);
                port.replace(usable.then_some(number)?).map(drop)
            }
            _ => return None,
        };
        if before.is_some() {
            return None;
        }
    }
    Some(Address {
        host: host?,
        port: port?,
    })
}

/// The device must exist, be openable and not be a TPM 1.2, which has no resource manager
/// device and answers a TPM 2.0 command with an error that means nothing to a person.
fn check_device(
    tcti: &str,
    path: &str,
    sysfs: &Path,
    open: impl FnOnce(&str) -> io::Result<()>,
) -> Result<(), TpmError> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let chip = name.replacen("tpmrm", "tpm", 1);
    let version = fs::read_to_string(sysfs.join(&chip).join("tpm_version_major"));
    if version.is_ok_and(|version| version.trim() == "1") {
        return Err(TpmError::Tpm12 { tcti: tcti.into() });
    }
    match open(path) {
        Ok(()) => Ok(()),
        // Only a missing node is an absent device. EIO, EBUSY, ENODEV and the like come from a
        // device that is there: whoever took them for "no TPM" would go on with its latch open.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(TpmError::Absent {
            tcti: tcti.into(),
            reason: error.to_string(),
        }),
        Err(error) => Err(TpmError::Unreachable {
            tcti: tcti.into(),
            reason: error.to_string(),
        }),
    }
}

/// Opened and closed: the library's own error says nothing about the cause.
fn open_once(path: &str) -> io::Result<()> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_exactly() {
        assert_eq!(
            parse("device:/dev/tpmrm0").unwrap(),
            Tcti::Device("/dev/tpmrm0")
        );
        let address = |host, port| Address { host, port };
        assert_eq!(
            parse("swtpm:host=127.0.0.1,port=2321").unwrap(),
            Tcti::Swtpm(address("127.0.0.1", 2321))
        );
        assert_eq!(
            parse("mssim:port=1,host=localhost").unwrap(),
            Tcti::Mssim(address("localhost", 1))
        );
        for wrong in [
            "",
            "device",
            "device:",
            "device:tpm0",
            "swtpm",
            "swtpm:",
            "swtpm:port=1",
            "swtpm:path=/run/tpm.sock",
            "swtpm:host=a,port=0",
            "swtpm:host=a,port=65535",
            "swtpm:host=a,port=1,port=2",
            "tabrmd:",
            "swtpm:host=a,port=1,x=2",
        ] {
            assert!(
                matches!(parse(wrong), Err(TpmError::BadParameter(_))),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn the_device_of_a_tpm_1_2_is_named_as_such() {
        let sysfs = tempfile::tempdir().unwrap();
        fs::create_dir(sysfs.path().join("tpm0")).unwrap();
        fs::write(sysfs.path().join("tpm0/tpm_version_major"), "1\n").unwrap();
        for path in ["/nonexistent/tpm0", "/nonexistent/tpmrm0"] {
            let error = check_device("device:x", path, sysfs.path(), open_once).unwrap_err();
            assert!(matches!(error, TpmError::Tpm12 { .. }), "{error}");
        }
        fs::write(sysfs.path().join("tpm0/tpm_version_major"), "2\n").unwrap();
        let error =
            check_device("device:x", "/nonexistent/tpmrm0", sysfs.path(), open_once).unwrap_err();
        assert!(matches!(error, TpmError::Absent { .. }), "{error}");
    }

    #[test]
    fn only_a_missing_node_is_an_absent_tpm() {
        let sysfs = tempfile::tempdir().unwrap();
        // ENOENT, then EPERM, EIO, ENXIO, EACCES, EBUSY, ENODEV, EMFILE, ETIMEDOUT.
        for (errno, absent) in [(2, true)]
            .into_iter()
            .chain([1, 5, 6, 13, 16, 19, 24, 110].map(|errno| (errno, false)))
        {
            let opener = |_: &str| Err(io::Error::from_raw_os_error(errno));
            let error = check_device("device:x", "/dev/tpmrm0", sysfs.path(), opener).unwrap_err();
            assert_eq!(
                matches!(error, TpmError::Absent { .. }),
                absent,
                "errno {errno}: {error}"
            );
            assert_eq!(
                matches!(error, TpmError::Unreachable { .. }),
                !absent,
                "errno {errno}: {error}"
            );
        }
    }
}
