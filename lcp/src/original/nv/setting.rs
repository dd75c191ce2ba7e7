//! What the command lines of these tools have in common: the added words, indices and numbers.

use std::path::Path;

use original_options::{outcome::note, strtoul::strtoul};
use tpm::tpm12::{Secret, Tpm12};

use super::failure::Failure;
use crate::command::nv::password;

/// Where the TPM is when nobody says: a TPM 1.2 has no resource manager in the kernel.
const DEVICE: &str = "device:/dev/tpm0";
/// The environment variable that says it.
const TCTI_VARIABLE: &str = "LCP_TCTI";

/// What the added words say.
pub struct Setting<'a> {
    pub name: &'a str,
    pub tcti: String,
    pub password: Option<Secret>,
    pub compat: bool,
}

impl Setting<'_> {
    pub fn open(&self) -> Result<Tpm12, Failure> {
        Ok(Tpm12::open(&self.tcti)?)
    }

    /// The secret of a password on the command line, or that of --password-file.
    pub fn secret(&self, given: Option<String>) -> Option<Secret> {
        match given {
            Some(password) => {
                note(
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

/// Takes the added words out.
pub fn setting<'a>(
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
                let password = password::from_file(path)
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
pub const DEFAULT_INDEX: u32 = 0x5000_0001;
/// The owner's policy.
pub const OWNER_INDEX: u32 = 0x4000_0001;
/// SINIT's auxiliary data.
pub const AUX_INDEX: u32 = 0x5000_0002;

pub fn index(text: &str) -> Result<u32, Failure> {
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
pub fn number(option: &str, text: &str) -> Result<u32, Failure> {
    let (value, used) = strtoul(text, 0);
    u32::try_from(value)
        .ok()
        .filter(|_| used == text.len() && used > 0)
        .ok_or_else(|| Failure::parameter(format!("{option} {text}: no number of 32 bits")))
}

/// Sixteen bytes a line, and an empty line when the last one is full.
pub fn print_hex(header: &str, data: &[u8]) {
    println!("{header}");
    for (position, byte) in data.iter().enumerate() {
        print!("{byte:02x} ");
        if position % 16 == 15 {
            println!();
        }
    }
    println!();
}
