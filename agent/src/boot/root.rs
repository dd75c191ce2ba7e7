//! The real root: the file system on the volume that was opened, and nothing else.

use std::path::{Path, PathBuf};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};

use crate::{
    boot::{
        config::RootOptions,
        devices::superblock::{self, Content},
        evidence::Recorded,
        lvm::Place,
        mounts::SYSROOT,
        resume::proof::NotResumed,
    },
    config::device::DeviceSpec,
};

/// Why root is not mounted.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// `root=` names something that is not on the opened volume.
    #[error(
        "root={spec} is not on the volume that was unlocked ({volume} holds {found}): only the enrolled volume is \
         mounted as root"
    )]
    Elsewhere {
        /// What was asked for.
        spec: DeviceSpec,
        /// The opened mapping.
        volume: String,
        /// What is on it.
        found: String,
    },
    /// Nothing that could be mounted.
    #[error(
        "{volume} holds {found}, which is not a file system this image can mount; name one with rootfstype="
    )]
    NotAFileSystem {
        /// The opened mapping.
        volume: String,
        /// What is on it.
        found: String,
    },
    /// It could not be read.
    #[error("{volume} cannot be read: {source}")]
    Unreadable {
        /// The opened mapping.
        volume: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The kernel refused.
    #[error("cannot mount {volume} as {kind} with options {options:?}: {source}")]
    Mount {
        /// The opened mapping.
        volume: String,
        /// The file system type.
        kind: String,
        /// The options given.
        options: String,
        /// The system's reason.
        source: Errno,
    },
}

/// The type of the file system to mount as root, after a check that it is the one asked for.
///
/// `container_is` tells whether a name means the device that holds the LUKS volume. `root=`
/// may name the mapping, the file system in it, or that device (not where root is one of several
/// logical volumes on it); anything else is refused, because a plain disk with the right UUID would
/// otherwise be booted in the owner's name.
pub(super) fn recognise(
    place: &Place,
    container_is: impl Fn(&DeviceSpec) -> bool,
    options: &RootOptions,
) -> Result<String, RootError> {
    let content = superblock::read(place.device()).map_err(|source| RootError::Unreadable {
        volume: place.device().display().to_string(),
        source,
    })?;
    let names = |spec: &DeviceSpec| {
        names_place(spec, place, content.as_ref()) || (!place.is_logical() && container_is(spec))
    };
    judge(place, content.as_ref(), names, options)
}

/// The same of what was found on the place; `names` tells what names it.
pub fn judge(
    place: &Place,
    content: Option<&Content>,
    names: impl Fn(&DeviceSpec) -> bool,
    options: &RootOptions,
) -> Result<String, RootError> {
    let volume = || place.device().display().to_string();
    if let Some(spec) = &options.spec
        && !names(spec)
    {
        return Err(RootError::Elsewhere {
            spec: spec.clone(),
            volume: volume(),
            found: describe(content),
        });
    }
    match (&options.kind, content) {
        (Some(kind), _) => Ok(kind.clone()),
        (None, Some(content)) if content.is_file_system() => Ok(content.kind.into()),
        _ => Err(RootError::NotAFileSystem {
            volume: volume(),
            found: describe(content),
        }),
    }
}

/// Mounts the opened volume on [`SYSROOT`]: after PCR 15 tells which one it is, and when no hibernation
/// image can take over any more, whose memory knows the file system as it was.
pub(super) fn mount_root(
    _recorded: &Recorded,
    _not_resumed: &NotResumed,
    mapping: &Path,
    kind: &str,
    options: &RootOptions,
) -> Result<(), RootError> {
    // Without rootflags= there are no options.
    let words = options.flags.as_deref().unwrap_or("");
    let (flags, data) = split_options(words, options.read_only);
    mount(
        Some(mapping),
        SYSROOT,
        Some(kind),
        flags,
        Some(data.as_str()),
    )
    .map_err(|source| RootError::Mount {
        volume: mapping.display().to_string(),
        kind: kind.into(),
        options: data.clone(),
        source,
    })
}

/// Does `root=` name the place, or what is in it?
pub fn names_place(spec: &DeviceSpec, place: &Place, content: Option<&Content>) -> bool {
    match spec {
        DeviceSpec::Path(path) => place.is_named(path) || resolves_to_same(path, place.device()),
        DeviceSpec::Uuid(uuid) => content.is_some_and(|content| content.uuid == *uuid),
        DeviceSpec::Label(label) => content.is_some_and(|content| content.label == *label),
        DeviceSpec::PartUuid(_) => false,
    }
}

fn resolves_to_same(path: &Path, mapping: &Path) -> bool {
    let resolve = |path: &Path| -> Option<PathBuf> { path.canonicalize().ok() };
    matches!((resolve(path), resolve(mapping)), (Some(one), Some(other)) if one == other)
}

fn describe(content: Option<&Content>) -> String {
    match content {
        Some(Content { kind, uuid, label }) if !uuid.is_empty() => {
            format!("{kind} UUID={uuid} LABEL={label:?}")
        }
        Some(content) => content.kind.into(),
        None => "nothing known".into(),
    }
}

/// Mount flags that mount(2) takes as bits; the rest goes to the file system as text.
fn split_options(options: &str, read_only: bool) -> (MsFlags, String) {
    let mut flags = if read_only {
        MsFlags::MS_RDONLY
    } else {
        MsFlags::empty()
    };
    let mut data = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "noatime" => flags |= MsFlags::MS_NOATIME,
            "relatime" => flags |= MsFlags::MS_RELATIME,
            "nodiratime" => flags |= MsFlags::MS_NODIRATIME,
            "strictatime" => flags |= MsFlags::MS_STRICTATIME,
            "lazytime" => flags |= MsFlags::MS_LAZYTIME,
            "sync" => flags |= MsFlags::MS_SYNCHRONOUS,
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "ro" => flags |= MsFlags::MS_RDONLY,
            "rw" => flags.remove(MsFlags::MS_RDONLY),
            "defaults" => {}
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_file_system_options_are_told_apart() {
        let (flags, data) = split_options("noatime,data=journal,subvol=@", true);
        assert_eq!(flags, MsFlags::MS_NOATIME | MsFlags::MS_RDONLY);
        assert_eq!(data, "data=journal,subvol=@");
        assert_eq!(split_options("rw", true), (MsFlags::empty(), String::new()));
    }

    #[test]
    fn root_may_name_the_file_system_in_the_volume_and_nothing_else() {
        let uuid = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
        let content = Content {
            kind: "ext4",
            uuid: uuid.into(),
            label: "debian".into(),
        };
        let place = Place::whole(Path::new("/dev/mapper/root"));
        for (spec, expected) in [
            ("/dev/mapper/root", true),
            ("LABEL=debian", true),
            ("UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11", true),
            ("UUID=1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11", false),
            ("LABEL=other", false),
            ("/dev/mapper/other", false),
            ("PARTUUID=deadbeef-01", false),
        ] {
            assert_eq!(
                names_place(&spec.parse().unwrap(), &place, Some(&content)),
                expected,
                "{spec}"
            );
        }
    }
}
