//! tboot 1.8's tools for the NV of a TPM 1.2: tpmnv_defindex, tpmnv_relindex, tpmnv_getcap,
//! tpmnv_lock, lcp_readpol, lcp_writepol.
//!
//! Options, standard output, files and exit codes (LCP_E_*) are theirs; on standard error stands
//! one sentence of ours. Two exact words are added to each: `--tcti ADDRESS` (also the environment
//! variable LCP_TCTI) where they asked trousers' daemon, and `--password-file FILE` in place of a
//! password in the list of processes.

use std::{path::Path, process::ExitCode};

use tpm::tpm12::{Secret, Tpm12};

mod define;
mod failure;
mod getcap;
mod options;
mod value;

use failure::Failure;

/// One of the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvTool {
    /// tpmnv_defindex.
    DefIndex,
    /// tpmnv_relindex.
    RelIndex,
    /// tpmnv_getcap.
    GetCap,
    /// tpmnv_lock.
    Lock,
    /// lcp_readpol.
    ReadPol,
    /// lcp_writepol.
    WritePol,
}

impl NvTool {
    /// Names of the tools.
    pub const NAMES: [(&'static str, NvTool); 6] = [
        ("tpmnv_defindex", NvTool::DefIndex),
        ("tpmnv_relindex", NvTool::RelIndex),
        ("tpmnv_getcap", NvTool::GetCap),
        ("tpmnv_lock", NvTool::Lock),
        ("lcp_readpol", NvTool::ReadPol),
        ("lcp_writepol", NvTool::WritePol),
    ];
}

/// Where the TPM is when nobody says: a TPM 1.2 has no resource manager in the kernel.
const DEVICE: &str = "device:/dev/tpm0";
/// The environment variable that says it.
const TCTI_VARIABLE: &str = "LCP_TCTI";

/// What the added words say.
struct Setting<'a> {
    name: &'a str,
    tcti: String,
    password: Option<Secret>,
    compat: bool,
}

impl Setting<'_> {
    fn open(&self) -> Result<Tpm12, Failure> {
        Ok(Tpm12::open(&self.tcti)?)
    }

    /// The secret of a password on the command line, or that of --password-file.
    fn secret(&self, given: Option<String>) -> Option<Secret> {
        match given {
            Some(password) => {
                super::note(
                    self.name,
                    "everybody can read this password in the list of processes; --password-file \
                     FILE takes it from a file (- is standard input)",
                );
                let password = zeroize::Zeroizing::new(password);
                Some(Secret::from_password(password.as_bytes()))
            }
            None => self.password.clone(),
        }
    }
}

/// Runs a tool; 0, or the number of its error.
pub fn run(tool: NvTool, name: &str, words: &[String], compat: bool) -> ExitCode {
    let done = setting(name, words, compat).and_then(|(setting, words)| match tool {
        NvTool::DefIndex => define::define(&setting, &words),
        NvTool::RelIndex => define::release(&setting, &words),
        NvTool::Lock => define::lock(&setting, &words),
        NvTool::GetCap => getcap::run(&setting, &words),
        NvTool::ReadPol => value::read(&setting, &words),
        NvTool::WritePol => value::write(&setting, &words),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// Takes the added words out.
fn setting<'a>(
    name: &'a str,
    words: &[String],
    compat: bool,
) -> Result<(Setting<'a>, Vec<String>), Failure> {
    let mut setting = Setting {
        name,
        tcti: std::env::var(TCTI_VARIABLE).unwrap_or_else(|_| DEVICE.to_owned()),
        password: None,
        compat,
    };
    let mut left = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut argument = || {
            words
                .next()
                .ok_or_else(|| Failure::parameter(format!("{word} needs an argument")))
        };
        match word.as_str() {
            "--tcti" => setting.tcti = argument()?.clone(),
            "--password-file" => {
                let path = Path::new(argument()?);
                let password = crate::command::nv::password_from(path)
                    .map_err(|error| Failure::parameter(commands::sentence(error.chain())))?;
                setting.password = Some(Secret::from_password(&password));
            }
            _ => left.push(word.clone()),
        }
    }
    Ok((setting, left))
}

/// Names of indices, in any case of letters.
const INDICES: [(&str, u32); 3] = [
    ("default", DEFAULT_INDEX),
    ("owner", OWNER_INDEX),
    ("aux", AUX_INDEX),
];
/// The platform supplier's policy.
const DEFAULT_INDEX: u32 = 0x5000_0001;
/// The owner's policy.
const OWNER_INDEX: u32 = 0x4000_0001;
/// SINIT's auxiliary data.
const AUX_INDEX: u32 = 0x5000_0002;

fn index(text: &str) -> Result<u32, Failure> {
    if let Some((_, index)) = INDICES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
    {
        return Ok(*index);
    }
    match number("-i", text)? {
        0 => Err(Failure::parameter("-i 0: there is no index 0".to_owned())),
        index => Ok(index),
    }
}

/// A number of 32 bits as C writes it: decimal, octal after 0, hexadecimal after 0x.
fn number(option: &str, text: &str) -> Result<u32, Failure> {
    let (value, used) = super::strtoul::strtoul(text, 0);
    u32::try_from(value)
        .ok()
        .filter(|_| used == text.len() && used > 0)
        .ok_or_else(|| Failure::parameter(format!("{option} {text}: no number of 32 bits")))
}

/// Sixteen bytes a line, and an empty line when the last one is full.
fn print_hex(header: &str, data: &[u8]) {
    println!("{header}");
    for (position, byte) in data.iter().enumerate() {
        print!("{byte:02x} ");
        if position % 16 == 15 {
            println!();
        }
    }
    println!();
}
