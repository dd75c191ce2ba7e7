//! An /init that gives the machine a second TPM and becomes taoboot's /init. QEMU gives a machine one
//! TPM only; the kernel's tpm_vtpm_proxy makes one of whatever answers for it. Runs in the guest.
//!
//! This one answers just what the kernel asks before it lists a TPM.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Where the harness puts them.
const MODULE: &str = "/tpm_vtpm_proxy.ko";
const INIT: &str = "/init-of-taoboot";
/// This program, and the word that makes it answer.
const OWN: &str = "/init";
const ANSWER: &str = "answer-as-tpm";

const LISTED: &str = "/sys/class/tpm/tpm1";
const PATIENCE: Duration = Duration::from_secs(20);

/// `struct vtpm_proxy_new_dev` (linux/vtpm_proxy.h).
#[repr(C)]
struct NewDevice {
    flags: u32,
    number: u32,
    descriptor: u32,
    major: u32,
    minor: u32,
}

/// `VTPM_PROXY_FLAG_TPM2`
const TPM2: u32 = 1;

nix::ioctl_readwrite!(
    /// `VTPM_PROXY_IOC_NEW_DEV`
    new_device,
    0xa1,
    0x00,
    NewDevice
);

fn main() -> ExitCode {
    let done = if std::env::args().any(|word| word == ANSWER) {
        answer()
    } else {
        begin()
    };
    match done {
        Ok(never) => match never {},
        Err(error) => {
            // Without a console there is nobody to tell.
            drop(writeln!(io::stderr(), "second TPM: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn begin() -> Result<Infallible> {
    let places = [("sysfs", "/sys"), ("devtmpfs", "/dev")];
    for (kind, to) in places {
        fs::create_dir_all(to)?;
        mount(Some(kind), to, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mount {to}"))?;
    }
    finit_module(
        File::open(MODULE)?,
        &CString::default(),
        ModuleInitFlags::empty(),
    )
    .context(MODULE)?;
    let control = File::options().read(true).write(true).open("/dev/vtpmx")?;
    let mut device = NewDevice {
        flags: TPM2,
        number: 0,
        descriptor: 0,
        major: 0,
        minor: 0,
    };
    // SAFETY: the structure is the kernel's, and outlives the call.
    unsafe { new_device(control.as_raw_fd(), &raw mut device) }.context("a new TPM")?;
    // SAFETY: the call has made it for us.
    let descriptor = unsafe { OwnedFd::from_raw_fd(i32::try_from(device.descriptor)?) };
    Command::new(OWN)
        .arg(ANSWER)
        .stdin(Stdio::from(descriptor))
        .spawn()?;
    let started = Instant::now();
    while !Path::new(LISTED).exists() {
        ensure!(started.elapsed() < PATIENCE, "{LISTED} did not appear");
        std::thread::sleep(Duration::from_millis(1));
    }
    for (_, place) in places {
        umount2(place, MntFlags::MNT_DETACH)?;
    }
    Err(Command::new(INIT).args(std::env::args_os().skip(1)).exec()).context(INIT)
}

fn answer() -> Result<Infallible> {
    let mut tpm = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut command = [0; 4096];
    loop {
        let length = tpm.read(&mut command)?;
        ensure!(length > 0, "the kernel has closed it");
        let command = command.get(..length).context("a command")?;
        tpm.write_all(&response(command))?;
    }
}

/// TPM 2.0 Library, part 3: SelfTest, GetCapability; locality is the proxy's own command.
fn response(command: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let bytes = command.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    let (code, capability) = (number(6), number(10));
    let body: Option<Vec<u8>> = match (code, capability) {
        // SelfTest, and VTPM_PROXY's TPM2_CC_SET_LOCALITY.
        (0x143 | 0x2000_1000, _) => Some(Vec::new()),
        // Commands: GetCapability.
        (0x17a, 2) => Some(words(&[2, 1, 0x17a])),
        // PCR banks: SHA-256, all registers.
        (0x17a, 5) => {
            let mut body = words(&[5, 1]);
            body.extend([0, 0x0b, 3, 0xff, 0xff, 0xff]);
            Some(body)
        }
        // A property: there is one command.
        (0x17a, 6) => Some(words(&[6, 1, number(14), 1])),
        _ => None,
    };
    let (code, body) = match body {
        Some(mut body) => {
            if code == 0x17a {
                body.insert(0, 0);
            }
            (0, body)
        }
        // TPM_RC_COMMAND_CODE
        None => (0x143_u32, Vec::new()),
    };
    let length = u32::try_from(body.len()).unwrap_or(0).saturating_add(10);
    let mut response = vec![0x80, 0x01];
    response.extend(length.to_be_bytes());
    response.extend(code.to_be_bytes());
    response.extend(body);
    response
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
