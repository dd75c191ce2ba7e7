//! The system that an entry of the menu boots: the measured configuration, crypttab and fstab.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use agent::{
    config::{Config, ConfigError, Require, SecretId, device::DeviceSpec},
    forecast::{
        Forecast, IsFurther, Opened, System,
        verdict::{Answer, Verdict},
    },
    unlock::{CheckedHeader, SealedRecord, TokenId, find_further},
};
use anyhow::{Context as _, Result};
use storage::{
    crypttab::{self, CryptLine},
    device_name,
    fstab::{self, MountLine},
    table::TableError,
};

use tboot_policy::grub::files::FileRole;

use crate::next_boot::{acpi_pin, host_key::HostKeyCheck, opened, predictions::Entry};
use crate::pins::{image_config, state::PinState};

/// What the images' configuration is made of, where no other is named.
pub const CONFIG: &str = "etc/taoboot/image.toml";
/// Longer is none of these files.
const LONGEST: u64 = 1 << 20;

/// Read once, for all entries.
pub struct NextSystem {
    uuid: String,
    device: PathBuf,
    config: Option<Result<Config, ConfigError>>,
    pins: Option<PinState>,
    /// With the pins of the images that are in place.
    in_place: Result<Option<Config>>,
    crypttab: Vec<CryptLine>,
    fstab: Vec<MountLine>,
    opened: Opened,
}

impl NextSystem {
    /// A file that is missing is not a news.
    ///
    /// # Errors
    /// One that is there and cannot be read: what it would have said is part of the answer.
    pub fn read(header: &CheckedHeader, root: &Path, config: Option<&Path>) -> Result<Self> {
        let config_file = config.map_or_else(|| root.join(CONFIG), Path::to_owned);
        let next = image_config::read(&config_file)?.map(|next| next.parsed);
        let known = next.as_ref().and_then(|next| next.as_ref().ok());
        Ok(Self {
            uuid: header.uuid().to_owned(),
            device: header.device().to_owned(),
            pins: known.map(|config| PinState::of(config, &config_file, root)),
            config: next,
            in_place: image_config::in_place(&config_file, root),
            crypttab: table(&root.join("etc/crypttab"), crypttab::read)?,
            fstab: table(&root.join("etc/fstab"), fstab::read)?,
            opened: opened::find(Path::new("/"), header.device(), header.uuid()),
        })
    }

    /// The records that /init will use, by what the configuration pins. The others are named.
    pub fn pinned(&self, records: Vec<(TokenId, SealedRecord)>) -> Vec<(TokenId, SealedRecord)> {
        let next = self.config.as_ref().and_then(|next| next.as_ref().ok());
        let fits = |(token, record): &(TokenId, SealedRecord)| {
            let in_place = self.in_place.as_ref().ok().and_then(Option::as_ref);
            let mut configs = next.into_iter().chain(in_place);
            let objection = configs.find_map(|config| pin_objection(config, record));
            if let Some(why) = &objection {
                eprintln!("taoboot: record {token}: {why}");
            }
            objection.is_none()
        };
        records.into_iter().filter(fits).collect()
    }

    /// The same verdict, if it can be told what the images in place pin.
    pub fn with_unknown_pins(&self, verdict: Verdict) -> Verdict {
        with_unknown_pins(verdict, self.in_place.as_ref().err())
    }

    /// What the next images pin; `None` where none are made here, or none can be.
    pub const fn pins(&self) -> Option<PinState> {
        self.pins
    }

    /// Has the Tao host the key that the configuration pins?
    pub fn host_key(&self, socket: &Path) -> HostKeyCheck {
        let config = self.config.as_ref().and_then(|config| config.as_ref().ok());
        HostKeyCheck::of(config, socket)
    }

    /// Why the ACPI tables of this machine keep /init from asking the TPM.
    pub fn acpi_tables(&self) -> Option<String> {
        let config = self.config.as_ref().and_then(|config| config.as_ref().ok());
        acpi_pin::objection(config, Path::new(agent::boot::acpi::TABLES))
    }

    /// What /init and systemd will do with an entry; `None` for one that boots another initramfs.
    /// `record` opens it.
    pub fn forecast(&self, entry: &Entry, record: Option<&SealedRecord>) -> Option<Forecast> {
        if !entry.tboot || !(entry.is_own() || record.is_some()) {
            return None;
        }
        let kernel = entry
            .files
            .iter()
            .find(|file| file.role == FileRole::Kernel)?;
        let text = kernel.cmdline.as_deref()?;
        let config = self.config.as_ref().and_then(|config| config.as_ref().ok());
        let swap = config.is_some_and(|config| config.swap.is_some())
            || record.is_some_and(|record| record.swap().is_some());
        let is_volume = |node: &str| same_device(Path::new(node), &self.device);
        Some(Forecast::of(
            text,
            &System {
                uuid: &self.uuid,
                config: self.config.as_ref(),
                crypttab: &self.crypttab,
                fstab: &self.fstab,
                swap,
                is_volume: &is_volume,
                opened: &self.opened,
                further_opened: &further_opened,
                is_further: &|device| is_further(device, record),
            },
        ))
    }
}

/// An entry that would unlock: not known where nobody can tell what its image pins.
pub fn with_unknown_pins(verdict: Verdict, why: Option<&anyhow::Error>) -> Verdict {
    match why {
        None => verdict,
        Some(why) => verdict.with_answer_if_it_unlocks(Answer::Unknown, &format!("{why:#}")),
    }
}

/// The mapping of a further volume, where it is open.
fn further_opened(device: &DeviceSpec) -> Opened {
    let Some(node) = device_name::node(&device.to_string()) else {
        return Opened::Closed;
    };
    match CheckedHeader::read(Path::new(&node)) {
        Ok(header) => opened::find(Path::new("/"), header.device(), header.uuid()),
        Err(error) => Opened::Unreadable(error.to_string()),
    }
}

/// Has the volume a token of the record's secret? What it is worth only the secret itself can say.
fn is_further(device: &DeviceSpec, record: Option<&SealedRecord>) -> IsFurther {
    let Some(node) = device_name::node(&device.to_string()) else {
        return IsFurther::Unknown;
    };
    let (Ok(header), Some(record)) = (CheckedHeader::read(Path::new(&node)), record) else {
        return IsFurther::Unknown;
    };
    let of_secret = find_further(&header)
        .into_iter()
        .any(|(_, token)| token.is_ok_and(|token| token.secret_id() == record.secret_id()));
    if of_secret {
        IsFurther::Enrolled
    } else {
        IsFurther::NotEnrolled
    }
}

/// Why an image with this configuration does not use the record.
pub fn pin_objection(config: &Config, record: &SealedRecord) -> Option<String> {
    let secret = config.secret_id.as_ref().map(SecretId::as_str);
    let under = &record.sealed().parent;
    if secret.is_some_and(|pinned| pinned != record.secret_id()) {
        return Some(format!(
            "it is of the secret {}, and secret_id in the images' configuration pins another: /init does not open the volume with it, nor with a passphrase unless another record is of that secret",
            record.secret_id()
        ));
    }
    match (config.unlock.require, record.pin().is_some()) {
        (Require::TpmAndPin, false) => {
            return Some("it opens without a PIN, and the images' configuration requires one ([unlock] require): /init does not use it".into());
        }
        (Require::Tpm, true) => {
            return Some("it asks for a PIN, and the images' configuration does not ([unlock] require): /init does not use it".into());
        }
        _ => {}
    }
    let other = config
        .srk_name
        .as_ref()
        .is_some_and(|pinned| pinned != under);
    other.then(|| {
        format!(
            "it is sealed under the storage key {under}, and srk_name in the images' configuration pins another: /init does not use it"
        )
    })
}

/// `None` where one of them is not a block device here.
fn same_device(one: &Path, other: &Path) -> Option<bool> {
    let number = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        metadata
            .file_type()
            .is_block_device()
            .then(|| metadata.rdev())
    };
    Some(number(one)? == number(other)?)
}

fn table<T>(
    path: &Path,
    parse: impl Fn(&str) -> std::result::Result<Vec<T>, TableError>,
) -> Result<Vec<T>> {
    match text(path)? {
        Some(text) => parse(&text).with_context(|| path.display().to_string()),
        // No table: nothing is mounted or opened by it.
        None => Ok(Vec::new()),
    }
}

/// The file's text; `None` where there is none.
fn text(path: &Path) -> Result<Option<String>> {
    match bounded(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read
            .map(Some)
            .with_context(|| format!("{} cannot be read", path.display())),
    }
}

fn bounded(path: &Path) -> std::io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(std::io::Error::other(format!(
            "it has more than {LONGEST} bytes"
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
