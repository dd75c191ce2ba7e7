//! Which volumes are opened, under which names: the command line's, else the configuration's.

use super::{
    cmdline::{CommandLine, LineVolume},
    error::SettingsError,
};
use crate::config::{Config, VolumeConfig, VolumeOption, check_mapper_name, device::DeviceSpec};

/// One volume that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSettings {
    /// The device that holds it.
    pub device: DeviceSpec,
    /// The mapping's name.
    pub name: String,
    /// How it is mapped.
    pub options: Vec<VolumeOption>,
    /// Does the boot stop without it? The first volume always is.
    pub required: bool,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumesSettings {
    /// The one with the sealed records.
    pub first: VolumeSettings,
    /// Those that its secret opens.
    pub further: Vec<VolumeSettings>,
}

impl VolumesSettings {
    /// One volume, under the name that it has where nothing else is said.
    pub fn only(device: DeviceSpec) -> Self {
        let name = default_name(&device, true);
        Self {
            first: VolumeSettings {
                device,
                name,
                options: Vec::new(),
                required: true,
            },
            further: Vec::new(),
        }
    }
}

/// The volumes that the command line names, with what the configuration says of the same UUIDs;
/// else those of the configuration; else the device of `root=`.
///
/// # Errors
/// None is named, or a name is not usable or given twice.
pub fn volumes_of(line: &CommandLine, config: &Config) -> Result<VolumesSettings, SettingsError> {
    let named = |volume: &&LineVolume| volume.wanted;
    let mut wanted: Vec<VolumeConfig> = line
        .volumes
        .iter()
        .filter(named)
        .map(|volume| with_config(volume, config))
        .collect();
    if wanted.is_empty() {
        wanted = config.volume.clone();
    }
    if wanted.is_empty() {
        // root= as people write it for an unencrypted disk: the partition that holds the volume.
        let root = line.root.clone().filter(|root| !is_mapping(root));
        wanted.extend(root.map(|device| VolumeConfig {
            device,
            name: None,
            options: Vec::new(),
            required: true,
        }));
    }
    let mut volumes: Vec<VolumeSettings> = Vec::with_capacity(wanted.len());
    for volume in wanted {
        let name = volume
            .name
            .unwrap_or_else(|| default_name(&volume.device, volumes.is_empty()));
        check_mapper_name(&name, "kernel command line")?;
        if !volumes.is_empty() && !matches!(volume.device, DeviceSpec::Uuid(_)) {
            return Err(SettingsError::FurtherNotByUuid(volume.device));
        }
        if volumes.iter().any(|other| other.name == name) {
            return Err(SettingsError::NameTwice(name));
        }
        let own = line
            .volumes
            .iter()
            .find(|other| other.device == volume.device)
            .and_then(|other| other.options.clone());
        volumes.push(VolumeSettings {
            device: volume.device,
            name,
            options: own
                .or_else(|| line.volume_options.clone())
                .unwrap_or(volume.options),
            required: volume.required,
        });
    }
    let mut volumes = volumes.into_iter();
    let first = volumes.next().ok_or(SettingsError::NoVolume)?;
    Ok(VolumesSettings {
        first,
        further: volumes.collect(),
    })
}

fn with_config(volume: &LineVolume, config: &Config) -> VolumeConfig {
    let known = config
        .volume
        .iter()
        .find(|known| known.device == volume.device);
    VolumeConfig {
        device: volume.device.clone(),
        name: volume
            .name
            .clone()
            .or_else(|| known.and_then(|known| known.name.clone())),
        options: known.map_or_else(Vec::new, |known| known.options.clone()),
        required: known.is_some_and(|known| known.required),
    }
}

/// dracut and systemd call a volume that is not named otherwise luks-UUID.
fn default_name(device: &DeviceSpec, first: bool) -> String {
    match device {
        _ if first => "root".into(),
        DeviceSpec::Uuid(uuid) | DeviceSpec::PartUuid(uuid) => format!("luks-{uuid}"),
        DeviceSpec::Label(label) => format!("luks-{label}"),
        DeviceSpec::Path(path) => {
            let last = path.file_name().map(|name| name.to_string_lossy());
            format!("luks-{}", last.as_deref().unwrap_or("volume"))
        }
    }
}

fn is_mapping(spec: &DeviceSpec) -> bool {
    matches!(spec, DeviceSpec::Path(path) if path.starts_with("/dev/mapper"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
    const B: &str = "1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

    fn volumes(line: &str, config: &str) -> Result<Vec<(String, String, usize)>, SettingsError> {
        let line = CommandLine::parse(line).unwrap();
        let settings = volumes_of(&line, &Config::parse(config, "t").unwrap())?;
        let all = std::iter::once(settings.first).chain(settings.further);
        Ok(all
            .map(|volume| (volume.device.to_string(), volume.name, volume.options.len()))
            .collect())
    }

    fn expected(list: &[(&str, &str, usize)]) -> Vec<(String, String, usize)> {
        list.iter()
            .map(|(device, name, options)| ((*device).into(), (*name).into(), *options))
            .collect()
    }

    #[test]
    fn the_volumes_of_the_command_line_replace_those_of_the_configuration() {
        let (a, b) = (format!("UUID={A}"), format!("UUID={B}"));
        let config = format!(
            "[[volume]]\ndevice = \"UUID={A}\"\nname = \"sda3_crypt\"\noptions = [\"discard\"]\n\
             [[volume]]\ndevice = \"UUID={B}\"\n"
        );
        let luks_b = format!("luks-{B}");
        assert_eq!(
            volumes("root=/dev/mapper/root", &config).unwrap(),
            expected(&[(&a, "sda3_crypt", 1), (&b, &luks_b, 0)])
        );
        // The name and the options of the configuration stay where the line is silent.
        assert_eq!(
            volumes(&format!("rd.luks.uuid={A}"), &config).unwrap(),
            expected(&[(&a, "sda3_crypt", 1)])
        );
        let line = format!(
            "rd.luks.uuid=luks-{B} rd.luks.name={A}=disk rd.luks.options={A}=no-read-workqueue,no-write-workqueue"
        );
        assert_eq!(
            volumes(&line, &config).unwrap(),
            expected(&[(&b, &luks_b, 0), (&a, "disk", 2)])
        );
        // Options alone open nothing.
        let line = format!("rd.luks.options={B}=discard root=/dev/sda2");
        assert_eq!(
            volumes(&line, "").unwrap(),
            expected(&[("/dev/sda2", "root", 0)])
        );
        let line = format!("rd.luks.uuid={A} rd.luks.options=discard");
        assert_eq!(volumes(&line, "").unwrap(), expected(&[(&a, "root", 1)]));
    }

    /// The first mention that asks for it gives a volume its place, options do not.
    #[test]
    fn options_do_not_decide_which_volume_is_first() {
        let line =
            format!("rd.luks.options={B}=discard rd.luks.name={A}=root rd.luks.name={B}=data");
        let (a, b) = (format!("UUID={A}"), format!("UUID={B}"));
        assert_eq!(
            volumes(&line, "").unwrap(),
            expected(&[(&a, "root", 0), (&b, "data", 1)])
        );
    }

    #[test]
    fn a_further_volume_is_named_by_the_uuid_of_its_header() {
        let config = |device: &str| {
            format!("[[volume]]\ndevice = \"/dev/sda3\"\n[[volume]]\ndevice = \"{device}\"\n")
        };
        volumes("", &config(&format!("UUID={B}"))).unwrap();
        for device in ["/dev/sdb", "LABEL=x", "PARTUUID=deadbeef-02"] {
            assert!(
                matches!(
                    volumes("", &config(device)),
                    Err(SettingsError::FurtherNotByUuid(_))
                ),
                "{device}"
            );
        }
    }

    #[test]
    fn two_volumes_of_one_name_and_none_at_all_are_refused() {
        let line = format!("rd.luks.name={A}=x rd.luks.name={B}=x");
        assert!(matches!(
            volumes(&line, ""),
            Err(SettingsError::NameTwice(name)) if name == "x"
        ));
        assert!(matches!(
            volumes("root=/dev/mapper/root", ""),
            Err(SettingsError::NoVolume)
        ));
    }
}
