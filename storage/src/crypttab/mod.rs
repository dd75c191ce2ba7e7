//! /etc/crypttab: which volumes are opened, by systemd (crypttab(5) of systemd) and by Debian's scripts
//! (crypttab(5) of cryptsetup), which share the file and disagree about some of its options.
//!
//! [`read`] passes over lines with too few fields, as systemd does. What the options mean is asked
//! separately ([`CryptLine::typed_options`]): there an unknown one is an error, because a volume that is
//! opened in another way than its administrator wrote is opened wrongly.

mod option;
mod value;

pub use option::{Dialect, Name};
pub use value::{CryptOption, OptionError, Value};

use crate::{
    device_name,
    table::{self, TableError, unescape, unquote},
};

/// A line of crypttab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptLine {
    /// Which line it is, counted from 1.
    pub number: usize,
    /// Name of the mapping.
    pub name: String,
    /// What is encrypted: `UUID=`, `PARTUUID=`, a path.
    pub device: String,
    /// `none`, or where the key is.
    pub key: String,
    /// Comma-separated.
    pub options: String,
}

/// Where the key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A person, or a token in the header.
    Asked,
    /// A new one at each boot.
    Random,
    /// A file, on the running system or on a device of its own.
    File {
        /// Its path.
        path: String,
        /// The device whose file system it is in.
        device: Option<String>,
    },
    /// Not a path: the argument of a `keyscript=`.
    Argument(String),
}

impl CryptLine {
    fn has(&self, wanted: &str) -> bool {
        self.options.split(',').any(|option| option == wanted)
    }

    /// Is it opened at boot?
    pub fn at_boot(&self) -> bool {
        !self.has("noauto")
    }

    /// Is it opened in the initramfs because its line says so? (Root and swap are, without saying it.)
    pub fn in_initramfs(&self) -> bool {
        self.has("x-initrd.attach") || self.has("initramfs")
    }

    /// Where the key comes from (systemd's `split_keyspec`).
    pub fn key(&self) -> Key {
        match self.key.as_str() {
            "none" | "-" => return Key::Asked,
            "/dev/urandom" | "/dev/random" | "/dev/hw_random" | "/dev/hwrng" => return Key::Random,
            _ => {}
        }
        if !self.key.starts_with('/') {
            return Key::Argument(self.key.clone());
        }
        // The last colon before a device: paths and labels may have colons.
        let colons = self.key.rmatch_indices(':');
        let split = colons.map(|(at, _)| self.key.split_at_checked(at));
        let split = split.flatten().find_map(|(path, device)| {
            let device = device.strip_prefix(':')?;
            device_name::is_device(device).then_some((path, device))
        });
        let (path, device) = match split {
            Some((path, device)) => (path, Some(device.to_owned())),
            None => (self.key.as_str(), None),
        };
        Key::File {
            path: path.to_owned(),
            device,
        }
    }

    /// The options, each by its name. A comma in a value is written `\,`.
    ///
    /// # Errors
    /// If one is in neither crypttab(5), or its value does not fit it; the error names line and option.
    pub fn typed_options(&self) -> Result<Vec<CryptOption>, OptionError> {
        value::options(self.number, &self.options)
    }

    /// The line with its octal escapes decoded, as Debian's scripts do; systemd does not.
    pub fn decoded(&self) -> Self {
        Self {
            number: self.number,
            name: unescape(&self.name),
            device: unescape(&self.device),
            key: unescape(&self.key),
            options: unescape(&self.options),
        }
    }
}

/// Reads /etc/crypttab.
///
/// # Errors
/// If it has too many lines or one that is too long.
pub fn read(text: &str) -> Result<Vec<CryptLine>, TableError> {
    let lines = table::fields(text)?.into_iter();
    Ok(lines
        .filter_map(|(number, mut fields)| {
            Some(CryptLine {
                number,
                name: fields.next()?.to_owned(),
                device: unquote(fields.next()?).to_owned(),
                key: fields.next().unwrap_or("none").to_owned(),
                // As systemd: without the field there are no options.
                options: fields.next().unwrap_or("").to_owned(),
            })
        })
        .collect())
}
