//! Is this TPM's storage root key pinned in the measured configuration, and how it gets there.
//!
//! It cannot be known when the image is made for another machine, so no image has it by itself; an
//! image without it believes whatever TPM it finds (SECURITY.md, an active bus).

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use agent::config::Config;
use anyhow::{Context as _, Result, bail, ensure};
use tao::state_file;
use tpm::Name;

use crate::pins::{beside, image_config};

/// What images are built with (taoboot-kernel(8)).
pub const CONFIG: &str = "/etc/taoboot/image.toml";

/// The configuration of the next image, where images are built on this machine and it can be read. For what is
/// shown only: [`warning`] says why it cannot.
pub fn config(path: &Path) -> Option<Config> {
    image_config::read(path).ok()??.parsed.ok()
}

/// A sentence where the key is not pinned, or another is; `None` where it is, or where no image is
/// built on this machine.
pub fn warning(config: &Path, srk: &Name) -> Option<String> {
    let shown = config.display();
    let pins = beside(config).display().to_string();
    let pin =
        format!("`taoboot srk --pin --config {shown}`, then `/usr/lib/taoboot/kernel refresh`");
    let next =
        image_config::read(config).and_then(|next| Ok(next.map(|next| next.parsed).transpose()?));
    match next {
        Ok(None) => None,
        Ok(Some(parsed)) => match parsed.srk_name {
            Some(name) if name == *srk => None,
            Some(name) => Some(format!(
                "{shown} pins the storage key {name}, but this TPM's is {srk}: images made with it open nothing here; after an exchange or a clear of the TPM remove the line srk_name and {pins}, and then {pin}"
            )),
            None => Some(format!(
                "{shown} does not pin this TPM's storage key (srk_name), so the image believes whatever TPM is on the bus: {pin}"
            )),
        },
        Err(error) => Some(format!(
            "whether srk_name is pinned cannot be told: {error:#}"
        )),
    }
}

/// Writes `srk_name` into the configuration; `false` when it is there already.
pub fn pin(config: &Path, srk: &Name) -> Result<bool> {
    let shown = config.display();
    let next = image_config::read(config)?
        .with_context(|| format!("{shown} does not exist: no image is built here"))?;
    let text = next.given;
    match next.parsed?.srk_name {
        Some(name) if name == *srk => return Ok(false),
        Some(name) => bail!(
            "{shown} pins another storage key ({name}) than this TPM's ({srk}): if the TPM was exchanged or cleared, remove that line first"
        ),
        None => {}
    }
    // Keys of the whole file stand before the first table.
    let line = format!("srk_name = \"{srk}\"\n");
    let place = text
        .split_inclusive('\n')
        .scan(0_usize, |start, line| {
            let here = *start;
            *start = start.saturating_add(line.len());
            Some((here, line))
        })
        .find(|(_, line)| line.trim_start().starts_with('['))
        .map_or(text.len(), |(place, _)| place);
    let (before, after) = text.split_at_checked(place).unwrap_or((&text, ""));
    let end = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let pinned = format!("{before}{end}{line}{after}");
    let read_back = Config::parse(&pinned, &shown.to_string())?;
    ensure!(
        read_back.srk_name.as_ref() == Some(srk),
        "srk_name cannot be written into {shown} without a mistake: add the line {line:?} by hand, before the first table"
    );
    replace(config, pinned.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    Ok(true)
}

/// The old file or the new one, whatever happens; a link stays one.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
    state_file::replace_with_mode(&path, content, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(byte: u8) -> Name {
        Name::from_bytes(&[&[0, 0x0b][..], &[byte; 32]].concat()).unwrap()
    }

    #[test]
    fn the_line_goes_before_the_first_table_and_nothing_else_changes() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("image.toml");
        for text in [
            "",
            "# only a note",
            "on_failure = \"prompt\"\n\n# The volume.\n[volume]\ndevice = \"/dev/sda3\"\n",
            "on_failure = \"prompt\"\r\n# The volume.\r\n[volume]\r\ndevice = \"/dev/sda3\"\r\n",
            "[swap]\ndevice = \"/dev/sda4\"",
        ] {
            fs::write(&config, text).unwrap();
            assert!(warning(&config, &name(7)).unwrap().contains("srk --pin"));
            assert!(pin(&config, &name(7)).unwrap(), "{text}");
            let written = fs::read_to_string(&config).unwrap();
            let line = format!("srk_name = \"{}\"\n", name(7));
            assert_eq!(written.replacen(&line, "", 1).trim_end(), text.trim_end());
            assert_eq!(warning(&config, &name(7)), None);
            assert!(!pin(&config, &name(7)).unwrap(), "it is there");
            // Another TPM's is not written over.
            assert!(pin(&config, &name(8)).is_err());
            assert!(warning(&config, &name(8)).unwrap().contains("open nothing"));
            assert_eq!(fs::read_to_string(&config).unwrap(), written);
        }
    }

    #[test]
    fn what_is_no_configuration_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("image.toml");
        assert_eq!(warning(&config, &name(7)), None, "no image is built here");
        assert!(pin(&config, &name(7)).is_err());
        for text in ["srk_nmae = \"x\"\n", "a = [\n", "srk_name = \"000b\"\n"] {
            fs::write(&config, text).unwrap();
            assert!(pin(&config, &name(7)).is_err(), "{text}");
            assert!(warning(&config, &name(7)).is_some(), "{text}");
            assert_eq!(fs::read_to_string(&config).unwrap(), text);
        }
    }
}
