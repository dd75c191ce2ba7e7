//! The configuration that an image has which is made now: the administrator's, with what is pinned.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use agent::config::{Config, ConfigError, Require};
use anyhow::{Context as _, Result, ensure};
use storage::pins::Pins;

use super::{IN_PLACE, beside};

/// What images are built with, below the root directory.
pub const PLACE: &str = "etc/taoboot/image.toml";
/// A configuration has some tens of lines.
const LONGEST: u64 = 1 << 20;

/// As it was read.
pub struct ImageConfig {
    /// What the administrator wrote.
    pub given: String,
    /// With the pins, as /init reads it.
    pub parsed: Result<Config, ConfigError>,
}

/// Reads it; `None` where no image is built on this machine.
///
/// # Errors
/// It is there and cannot be read.
pub fn read(config: &Path) -> Result<Option<ImageConfig>> {
    let shown = config.display();
    let unreadable = || format!("{shown} cannot be read");
    let file = match File::open(config) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(unreadable),
    };
    let metadata = file.metadata().with_context(unreadable)?;
    ensure!(
        metadata.is_file() && metadata.len() <= LONGEST,
        "{shown} is not a file of at most {LONGEST} bytes"
    );
    let mut bytes = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .with_context(unreadable)?;
    let given = String::from_utf8_lossy(&bytes).into_owned();
    let parsed = parse(&given, config);
    Ok(Some(ImageConfig { given, parsed }))
}

/// The configuration of the images in /boot, as far as the pins tell: they may be older than those of the next
/// image, and pin a secret or a TPM that is no longer in use. `None` where no other pins are known.
///
/// # Errors
/// They are there and cannot be used, so that nobody can tell what the images pin.
pub fn in_place(config: &Path, root: &Path) -> Result<Option<Config>> {
    let unknown = || "what the images in /boot pin cannot be told";
    let Some(kept) = Pins::read(&root.join(IN_PLACE)).with_context(unknown)? else {
        return Ok(None);
    };
    let Some(next) = read(config)? else {
        return Ok(None);
    };
    let origin = config.display().to_string();
    let merged = kept.merged(&next.given, &origin).with_context(unknown)?;
    Ok(Some(Config::parse(&merged, &origin).with_context(unknown)?))
}

/// Whether images made with this configuration ask for a PIN; `None` where none are made here. An enrolment
/// replaces a file of pins that is none, so then the administrator's file counts alone: a PIN is demanded there
/// and nowhere else.
///
/// # Errors
/// The configuration cannot be read, is not one, or contradicts what is pinned.
pub fn required(config: &Path) -> Result<Option<Require>> {
    let Some(next) = read(config)? else {
        return Ok(None);
    };
    let parsed = match Pins::read(&beside(config)) {
        Ok(_) => next.parsed,
        // It says itself why, where it is used.
        Err(_) => Config::parse(&next.given, &config.display().to_string()),
    };
    Ok(Some(parsed?.unlock.require))
}

/// What counts is the whole: the file alone may lack what is pinned. Where both are refused, the error names a
/// line of the administrator's file.
fn parse(given: &str, config: &Path) -> Result<Config, ConfigError> {
    let origin = config.display().to_string();
    let alone = Config::parse(given, &origin);
    let merged = Pins::read(&beside(config))
        .and_then(|pins| pins.map(|pins| pins.merged(given, &origin)).transpose());
    let whole = match merged {
        Ok(None) => return alone,
        Ok(Some(merged)) => Config::parse(&merged, &beside(config).display().to_string()),
        Err(error) => Err(ConfigError::Invalid {
            origin: "the pins of enrolment".into(),
            reason: error.to_string(),
        }),
    };
    whole.or_else(|error| alone.and(Err(error)))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn only_a_copy_that_is_not_there_pins_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let (config, kept) = (root.join("image.toml"), root.join(IN_PLACE));
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::write(&config, "on_failure = \"prompt\"\n").unwrap();
        assert!(in_place(&config, root).unwrap().is_none());
        let (srk, secret) = (format!("000b{}", "11".repeat(32)), "22".repeat(16));
        std::fs::write(&kept, Pins::text(&srk, &secret)).unwrap();
        let found = in_place(&config, root).unwrap().unwrap();
        assert_eq!(found.secret_id.unwrap().as_str(), secret);
        let unknown = || {
            let error = in_place(&config, root).unwrap_err();
            assert!(error.to_string().contains("cannot be told"), "{error:#}");
        };
        std::fs::set_permissions(&kept, Permissions::from_mode(0o666)).unwrap();
        unknown();
        std::fs::set_permissions(&kept, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(
            &config,
            "secret_id = \"00112233445566778899aabbccddeeff\"\n",
        )
        .unwrap();
        unknown();
        std::fs::write(&kept, "nonsense").unwrap();
        unknown();
        std::fs::remove_file(&kept).unwrap();
        std::fs::create_dir(&kept).unwrap();
        unknown();
    }

    #[test]
    fn what_is_pinned_counts_before_the_configuration_is_judged() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("image.toml");
        let pin = "[unlock]\nrequire = \"tpm+pin\"\n";
        let parsed = |text: &str| {
            std::fs::write(&config, text).unwrap();
            read(&config).unwrap().unwrap().parsed
        };
        let error = parsed(pin).unwrap_err().to_string();
        assert!(error.contains("srk_name"), "{error}");
        let srk = format!("000b{}", "11".repeat(32));
        let pins = Pins::text(&srk, &"22".repeat(16));
        std::fs::write(beside(&config), pins).unwrap();
        assert!(parsed(pin).unwrap().srk_name.is_some());
        // A mistake is still the administrator's line.
        let error = parsed("\nunknown = 1\n").unwrap_err().to_string();
        assert!(
            error.contains("image.toml") && !error.contains("pins.toml"),
            "{error}"
        );
    }
}
