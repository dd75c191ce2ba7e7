//! What enrolment pins for the images to come: `pins.toml` beside their configuration.
//!
//! `taoboot enroll` writes the TPM's storage key (`srk_name`) and the boot secret (`secret_id`) into it, and
//! the image builder puts both before the configuration that the administrator wrote, unless they are in
//! there already. Neither is secret; who can write the file decides which TPM and which secret the next image
//! believes, so a file that others than its owner may write to is refused.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    ops::Range,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use serde::Deserialize;
use toml::{Spanned, Value};

/// Where it is, below the root directory.
pub const PLACE: &str = "etc/taoboot/pins.toml";
/// Longest file that is read; one that is written has some 400 bytes.
const LONGEST: u64 = 4096;
/// A storage key's name with SHA-512: two bytes of algorithm, 64 of digest.
const LONGEST_VALUE: usize = 2 * (2 + 64);

/// What is pinned, each with the line that says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    origin: String,
    pins: Vec<Pin>,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// `srk_name` or `secret_id`.
    pub key: &'static str,
    /// Hex digits.
    pub value: String,
    line: usize,
}

/// A file that is not used.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// Opening or reading it.
    #[error("{0} cannot be read: {1}")]
    Read(String, io::Error),
    /// Somebody else may have written it.
    #[error(
        "{0} may be written by others than root or its present user: chown root and chmod go-w, after a look at what is in it"
    )]
    Writable(String),
    /// Not a file of pins.
    #[error("{origin}: {reason}: it has srk_name and secret_id, as `taoboot enroll` writes them")]
    Invalid {
        /// The file.
        origin: String,
        /// What it is, or has.
        reason: String,
    },
    /// The configuration says otherwise.
    #[error(transparent)]
    Contradiction(Box<Contradiction>),
    /// The configuration is not TOML.
    #[error("{0} is not TOML")]
    Config(String),
}

/// The administrator's file and the file of pins have other values for one key.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}, line {}: {key} = {}, but {}, line {}, which `taoboot enroll` wrote: {key} = {:?}; remove the one that is not true any more",
    given.0, given.1, given.2, pinned.0, pinned.1, pinned.2
)]
pub struct Contradiction {
    key: &'static str,
    /// File, line counted from 1, value.
    given: (String, usize, String),
    pinned: (String, usize, String),
}

/// The keys, in whatever file.
#[derive(Deserialize)]
struct Keys {
    srk_name: Option<Spanned<Value>>,
    secret_id: Option<Spanned<Value>>,
}

/// In the file of pins nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyKeys {
    srk_name: Option<Spanned<String>>,
    secret_id: Option<Spanned<String>>,
}

impl Pins {
    /// Reads the file; `None` where there is none.
    ///
    /// # Errors
    /// If it is there and is not used.
    pub fn read(path: &Path) -> Result<Option<Self>, PinsError> {
        let origin = path.display().to_string();
        let unreadable = |error| PinsError::Read(origin.clone(), error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > LONGEST {
            let reason = format!("it is not a file of at most {LONGEST} bytes");
            return Err(PinsError::Invalid { origin, reason });
        }
        if others_may_write(&metadata) {
            return Err(PinsError::Writable(origin));
        }
        let mut text = String::new();
        file.take(LONGEST)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Self::parse(&text, &origin).map(Some)
    }

    /// Reads its text; `origin` names it.
    ///
    /// # Errors
    /// If there is anything but hex digits under one or both of the keys.
    pub fn parse(text: &str, origin: &str) -> Result<Self, PinsError> {
        let invalid = |reason: &str| PinsError::Invalid {
            origin: origin.into(),
            reason: reason.into(),
        };
        let keys: OnlyKeys = toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, &span));
            invalid(&format!(
                "line {line}: {}",
                error.message().trim().replace('\n', "; ")
            ))
        })?;
        let mut pins = Vec::new();
        for (key, value) in [("srk_name", keys.srk_name), ("secret_id", keys.secret_id)] {
            let Some(value) = value else { continue };
            let line = line_of(text, &value.span());
            let value = value.into_inner();
            let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if value.is_empty() || value.len() > LONGEST_VALUE || !value.bytes().all(digit) {
                return Err(invalid(&format!(
                    "line {line}: {key} is not small hex digits"
                )));
            }
            pins.push(Pin { key, value, line });
        }
        Ok(Self {
            origin: origin.into(),
            pins,
        })
    }

    /// The text of a file that pins these two.
    pub fn text(srk_name: &str, secret_id: &str) -> String {
        format!(
            "# Written by `taoboot enroll`: the images made from now on open nothing under another TPM's storage\n\
             # key, and nothing with another secret than this one. After an exchange of the TPM remove this file.\n\
             srk_name = \"{srk_name}\"\n\
             secret_id = \"{secret_id}\"\n"
        )
    }

    /// The file.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What it pins under a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pin = self.pins.iter().find(|pin| pin.key == key);
        pin.map(|pin| pin.value.as_str())
    }

    /// The pins that a configuration does not have yet.
    ///
    /// # Errors
    /// If it has another value for one; the error names both lines.
    pub fn missing_in(&self, config: &str, origin: &str) -> Result<Vec<Pin>, PinsError> {
        let keys: Keys = toml::from_str(config).map_err(|_| PinsError::Config(origin.into()))?;
        let mut missing = Vec::new();
        for pin in &self.pins {
            let given = match pin.key {
                "srk_name" => &keys.srk_name,
                _ => &keys.secret_id,
            };
            match given {
                None => missing.push(pin.clone()),
                Some(given) if given.get_ref().as_str() == Some(&pin.value) => {}
                Some(given) => {
                    let line = line_of(config, &given.span());
                    return Err(PinsError::Contradiction(Box::new(Contradiction {
                        key: pin.key,
                        given: (origin.into(), line, given.get_ref().to_string()),
                        pinned: (self.origin.clone(), pin.line, pin.value.clone()),
                    })));
                }
            }
        }
        Ok(missing)
    }

    /// The configuration with what it does not have yet. That stands before everything, where no table can
    /// have begun.
    ///
    /// # Errors
    /// As for [`Self::missing_in`].
    pub fn merged(&self, config: &str, origin: &str) -> Result<String, PinsError> {
        let missing = self.missing_in(config, origin)?;
        let lines: String = missing.iter().map(|pin| pin.to_line() + "\n").collect();
        Ok(lines + config)
    }
}

impl Pin {
    /// As a line of a configuration.
    pub fn to_line(&self) -> String {
        format!("{} = \"{}\"", self.key, self.value)
    }
}

/// The secret that a configuration pins by itself, whatever else is in it.
///
/// # Errors
/// It is not TOML.
pub fn given_secret(config: &str, origin: &str) -> Result<Option<String>, PinsError> {
    let keys: Keys = toml::from_str(config).map_err(|_| PinsError::Config(origin.into()))?;
    let secret = keys.secret_id.as_ref();
    Ok(secret.and_then(|secret| secret.get_ref().as_str().map(str::to_owned)))
}

fn others_may_write(metadata: &Metadata) -> bool {
    let owner = metadata.uid();
    let trusted = owner == 0 || owner == nix::unistd::geteuid().as_raw();
    !trusted || metadata.permissions().mode() & 0o022 != 0
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.matches('\n').count().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use proptest::prelude::*;

    use super::*;

    const SRK: &str = "000bab";
    const ID: &str = "00112233445566778899aabbccddeeff";

    fn pins() -> Pins {
        Pins::parse(&Pins::text(SRK, ID), "pins.toml").unwrap()
    }

    #[test]
    fn what_is_missing_is_put_before_the_configuration_and_the_rest_is_unchanged() {
        let both = format!("srk_name = \"{SRK}\"\nsecret_id = \"{ID}\"\n");
        for config in ["", "# a note", "[volume]\ndevice = \"/dev/sda3\"\n"] {
            assert_eq!(
                pins().merged(config, "t").unwrap(),
                format!("{both}{config}")
            );
        }
        let given = format!("secret_id = '{ID}' # mine\n[volume]\nsrk_name = 'of a table'\n");
        let srk = format!("srk_name = \"{SRK}\"\n");
        assert_eq!(pins().merged(&given, "t").unwrap(), srk + &given);
        // Once more changes nothing.
        assert_eq!(pins().merged(&both, "t").unwrap(), both);
    }

    #[test]
    fn a_contradiction_names_both_lines() {
        let config = "# a note\non_failure = \"prompt\"\nsrk_name = \"000bff\"\n";
        let error = pins().merged(config, "image.toml").unwrap_err().to_string();
        let words = [
            "image.toml, line 3: srk_name = \"000bff\"",
            "pins.toml, line 3",
            "\"000bab\"",
        ];
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        let error = pins().merged("secret_id = 7\n", "image.toml").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("image.toml, line 1: secret_id = 7")
        );
        assert!(pins().merged("a = [", "image.toml").is_err());
    }

    #[test]
    fn what_is_no_file_of_pins_is_refused_with_its_line() {
        for (text, said) in [
            ("a = [\n", "t: line 1"),
            ("\non_failure = \"prompt\"\n", "t: line 2: unknown field"),
            ("srk_name = 7\n", "t: line 1"),
            ("srk_name = \"000B\"\n", "srk_name is not small hex digits"),
            ("secret_id = \"\"\n", "secret_id is not small hex digits"),
            ("secret_id = \"a\\nb\"\n", "not small hex digits"),
        ] {
            let error = Pins::parse(text, "t").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let long = format!("srk_name = \"{}\"\n", "a".repeat(LONGEST_VALUE + 1));
        assert!(Pins::parse(&long, "t").is_err());
        assert_eq!(Pins::parse("", "t").unwrap().pins, []);
    }

    #[test]
    fn a_file_that_others_may_write_to_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pins.toml");
        assert_eq!(Pins::read(&path).unwrap(), None);
        fs::write(&path, Pins::text(SRK, ID)).unwrap();
        for (mode, used) in [(0o600, true), (0o644, true), (0o664, false), (0o602, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(Pins::read(&path).is_ok(), used, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "#".repeat(5000)).unwrap();
        assert!(Pins::read(&path).is_err());
        assert!(Pins::read(directory.path()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_merged_is_toml_with_the_pins(
            text in "(srk_name|secret_id|[ =\"'\n#\\[\\]a-f0-9]|\\PC){0,60}",
        ) {
            drop(Pins::parse(&text, "t"));
            if let Ok(merged) = pins().merged(&text, "t") {
                let merged: toml::Table = merged.parse().unwrap();
                prop_assert_eq!(merged["srk_name"].as_str(), Some(SRK));
                prop_assert_eq!(merged["secret_id"].as_str(), Some(ID));
            }
        }
    }
}
