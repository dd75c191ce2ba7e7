//! Which swap a hibernation image is resumed from: `[swap] resume = true`, `resume=` and `noresume`.
//!
//! The kernel obeys `resume=` by itself, before /init runs and thus before the latch is closed. It finds
//! nothing where only /init can make the device; any other device is refused, as whoever can write to it
//! would have the launch's approval for memory of his own.

use super::{CommandLine, SettingsError};
use crate::config::{Config, device::DeviceSpec};

/// The swap for hibernation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeSettings {
    /// The swap, on an enrolled volume.
    pub device: DeviceSpec,
    /// Is an image on it to be resumed in this boot? `noresume` says no.
    pub wanted: bool,
}

/// The settings of the two; `None` where hibernation is not allowed.
///
/// # Errors
/// `resume=` is obeyed by the kernel before /init could judge it, or there is no telling where the image is.
pub fn resume_of(
    line: &CommandLine,
    config: &Config,
) -> Result<Option<ResumeSettings>, SettingsError> {
    let named = line.resume.as_deref().map(of_init).transpose();
    let named = match named {
        Ok(named) => named,
        // The kernel does not look there.
        Err(_) if line.no_resume => None,
        Err(error) => return Err(error),
    };
    let Some(swap) = config.swap.as_ref().filter(|swap| swap.resume) else {
        return Ok(None);
    };
    if let Some(offset) = line
        .resume_offset
        .as_deref()
        .filter(|offset| *offset != "0")
    {
        return Err(SettingsError::ResumeFile(offset.into()));
    }
    let device = swap.device.clone().or(named);
    Ok(Some(ResumeSettings {
        device: device.ok_or(SettingsError::ResumeWhere)?,
        wanted: !line.no_resume,
    }))
}

/// Refuses a command line by which the kernel resumes from somewhere before /init runs.
///
/// # Errors
/// It is such a line.
pub fn refuse_before_init(cmdline: &str) -> Result<(), SettingsError> {
    resume_of(&CommandLine::resume_words(cmdline), &Config::default()).map(drop)
}

/// The forms of `resume=` that mean nothing to the kernel before /init has made a mapping.
fn of_init(text: &str) -> Result<DeviceSpec, SettingsError> {
    let before_init = || SettingsError::ResumeBeforeInit(text.to_owned());
    let spec: DeviceSpec = text.parse().map_err(|_| before_init())?;
    match &spec {
        DeviceSpec::Uuid(_) | DeviceSpec::Label(_) => Ok(spec),
        DeviceSpec::Path(path) if path.starts_with("/dev/mapper") => Ok(spec),
        DeviceSpec::Path(_) | DeviceSpec::PartUuid(_) => Err(before_init()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

    fn settings(line: &str, config: &str) -> Result<Option<ResumeSettings>, SettingsError> {
        resume_of(
            &CommandLine::parse(line).unwrap(),
            &Config::parse(config, "t").unwrap(),
        )
    }

    #[test]
    fn hibernation_is_allowed_by_the_configuration_alone_and_the_command_line_names_the_swap() {
        let allowed = "[swap]\nresume = true\n";
        for (line, config, device) in [
            ("resume=/dev/mapper/vg-swap_1", "", None),
            (
                "resume=/dev/mapper/vg-swap_1",
                "[swap]\ndevice = \"/dev/sda3\"\n",
                None,
            ),
            (
                "resume=/dev/mapper/vg-swap_1",
                allowed,
                Some("/dev/mapper/vg-swap_1"),
            ),
            (
                "resume=/dev/sda9 resume=/dev/mapper/last",
                allowed,
                Some("/dev/mapper/last"),
            ),
            (
                &format!("resume={UUID} resume_offset=0"),
                allowed,
                Some(UUID),
            ),
            (
                "resume=/dev/mapper/other",
                "[swap]\nresume = true\ndevice = \"/dev/mapper/vg-swap\"\n",
                Some("/dev/mapper/vg-swap"),
            ),
        ] {
            let found = settings(line, config).unwrap();
            let found = found.map(|found| {
                assert!(found.wanted);
                found.device.to_string()
            });
            assert_eq!(found.as_deref(), device, "{line} {config}");
        }
        assert!(matches!(
            settings("", allowed),
            Err(SettingsError::ResumeWhere)
        ));
        let file = settings("resume=/dev/mapper/root resume_offset=34816", allowed);
        assert!(matches!(file, Err(SettingsError::ResumeFile(_))));
    }

    /// The kernel reads these before /init has closed the latch.
    #[test]
    fn a_device_that_the_kernel_finds_without_init_is_refused_whatever_the_configuration_says() {
        for device in [
            "/dev/sda5",
            "/dev/vda",
            "/dev/dm-0",
            "/dev/nvme0n1p3",
            "/dev/vg/swap",
            "PARTUUID=deadbeef-05",
            "8:5",
            "0805",
            "/dev/mapper/../sda5",
            "",
        ] {
            for config in ["", "[swap]\nresume = true\ndevice = \"/dev/mapper/swap\"\n"] {
                let line = format!("resume={device}");
                let refused = settings(&line, config).unwrap_err().to_string();
                assert!(refused.contains("before /init runs"), "{line}: {refused}");
                settings(&format!("{line} noresume"), config).unwrap();
            }
            let line = format!("/vmlinuz nonsense taoboot.unknown resume={device}");
            assert!(refuse_before_init(&line).is_err(), "{line}");
            refuse_before_init(&format!("{line} noresume")).unwrap();
            refuse_before_init(&format!("/vmlinuz root=x -- resume={device}")).unwrap();
        }
    }

    #[test]
    fn every_word_by_which_the_kernel_resumes_nothing_is_obeyed() {
        for word in [
            "noresume",
            "nohibernate",
            "hibernate=no",
            "hibernate=noresume",
        ] {
            let line = format!("resume=/dev/mapper/swap {word}");
            let found = settings(&line, "[swap]\nresume = true\n").unwrap().unwrap();
            assert!(!found.wanted, "{word}");
        }
        for word in ["hibernate=nocompress", "-- noresume"] {
            let line = format!("resume=/dev/mapper/swap {word}");
            assert!(
                settings(&line, "[swap]\nresume = true\n")
                    .unwrap()
                    .unwrap()
                    .wanted
            );
        }
    }
}
