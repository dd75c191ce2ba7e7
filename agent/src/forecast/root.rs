//! What /init will find on the volume by `root=`, told by /init's own code from what is there now.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use storage::{
    device_name,
    lvm2::{GroupError, split_mapping_name},
};

use super::system::{APPLY, IsFurther, Opened, Stop, System, names_volume, quoted};
use crate::{
    boot::{
        config::{RootOptions, VolumesSettings},
        devices::superblock,
        lvm::{Enrolled, LvmError, OpenDevice, OpenDevices, Place},
        root::{judge, names_place},
    },
    config::{check_mapper_name, device::DeviceSpec},
};

/// What /init will find.
#[derive(Default)]
pub(super) struct Root {
    /// The volume group on the volume.
    pub group: Option<Enrolled>,
    /// What cannot be told.
    pub unknown: Vec<String>,
    /// Worth knowing.
    pub notes: Vec<String>,
}

/// The volume as /init opens it.
struct Volume<'v> {
    name: &'v str,
    mapping: PathBuf,
    system: &'v System<'v>,
}

/// The further volumes that /init opens, as far as they can be looked into here.
#[derive(Default)]
struct Further {
    open: Vec<(String, File)>,
    /// Names of the others.
    unseen: Vec<String>,
}

impl Further {
    fn of(volumes: &VolumesSettings, system: &System<'_>) -> Self {
        let mut further = Self::default();
        for volume in &volumes.further {
            // /init opens no other, and root is in none that it does not open.
            if (system.is_further)(&volume.device) == IsFurther::NotEnrolled {
                continue;
            }
            match (system.further_opened)(&volume.device) {
                Opened::Readable(file) => further.open.push((volume.name.clone(), file)),
                Opened::Closed | Opened::Unreadable(_) => further.unseen.push(volume.name.clone()),
            }
        }
        further
    }
}

impl Root {
    /// With the volumes as /init opens them. An error says why /init stops.
    pub(super) fn of(
        options: &RootOptions,
        volumes: &VolumesSettings,
        system: &System<'_>,
    ) -> Result<Self, Stop> {
        let volume = Volume::named(&volumes.first.name, system);
        match system.opened {
            Opened::Readable(file) => {
                let further = Further::of(volumes, system);
                match volume.group(file, &further) {
                    Ok(Some((group, devices))) => in_group(group, options, devices),
                    Ok(None) => volume.judge_content(options, file),
                    Err(LvmError::Group(error @ GroupError::Missing { .. }))
                        if !further.unseen.is_empty() =>
                    {
                        Ok(unseen(&error, &further))
                    }
                    Err(error) => stops_or_unknown(&error),
                }
            }
            Opened::Unreadable(why) => volume.unread(
                options,
                &format!("what is on the volume cannot be read ({why})"),
            ),
            Opened::Closed => {
                let mut root = volume.unread(options, "the volume is not open here")?;
                if root.unknown.is_empty() {
                    root.notes.push("the volume is not open here, so whether LVM is on it, and what root= finds there, is not looked at".into());
                }
                Ok(root)
            }
        }
    }

    /// Of a volume that the configuration may name, with options that are not judged.
    pub(super) fn unnamed(system: &System<'_>) -> Self {
        let group = match system.opened {
            // What is wrong with it is not said of an entry of which so little is known.
            Opened::Readable(file) => {
                let alone = Further::default();
                let group = Volume::named("root", system).group(file, &alone);
                group.ok().flatten().map(|(group, _)| group)
            }
            Opened::Closed | Opened::Unreadable(_) => None,
        };
        Self {
            group,
            ..Self::default()
        }
    }
}

/// What is missing here may be on a volume that /init opens.
fn unseen(error: &GroupError, further: &Further) -> Root {
    let names: Vec<String> = further.unseen.iter().map(|name| quoted(name)).collect();
    Root {
        unknown: vec![format!(
            "what root= finds cannot be told, because {}, and {} cannot be looked into here",
            printable::line(error),
            names.join(", ")
        )],
        ..Root::default()
    }
}

/// Where /init stops, it does so with that sentence.
fn stops_or_unknown(error: &LvmError) -> Result<Root, Stop> {
    match error {
        LvmError::Unreadable { .. } => Ok(Root {
            unknown: vec![format!(
                "what root= finds on the volume cannot be told, because {}",
                printable::line(error)
            )],
            ..Root::default()
        }),
        LvmError::Unnamed { .. } | LvmError::Elsewhere { .. } => Err(Stop::at(format!(
            "{error}: root= must be the logical volume with root, {APPLY}"
        ))),
        _ => Err(Stop::at(error)),
    }
}

/// `root=` in a volume group that was found.
fn in_group(
    group: Enrolled,
    options: &RootOptions,
    mut devices: OpenDevices<'_>,
) -> Result<Root, Stop> {
    let chosen = group.choose(options.spec.as_ref(), &mut devices);
    let found = chosen.and_then(|chosen| {
        let content = group.content(&chosen.mapping, &mut devices)?;
        Ok((chosen, content))
    });
    let (chosen, content) = match found {
        Ok(found) => found,
        Err(error) => return stops_or_unknown(&error),
    };
    let place = Place::logical(
        Path::new("/dev/mapper").join(&chosen.mapping.name),
        chosen.alias,
    );
    let names = |spec: &DeviceSpec| names_place(spec, &place, content.as_ref());
    judge(&place, content.as_ref(), names, options).map_err(Stop::at)?;
    let mut notes = group.warnings().to_vec();
    if let Some(id) = &group.metadata().system_id {
        notes.push(format!(
            "the volume group {} has the system ID {id}: in the booted system lvm2 maps its other volumes only if that is its own",
            group.metadata().name
        ));
    }
    let notes = notes.iter().map(|note| quoted_long(note)).collect();
    Ok(Root {
        group: Some(group),
        notes,
        ..Root::default()
    })
}

impl<'v> Volume<'v> {
    fn named(name: &'v str, system: &'v System<'v>) -> Self {
        Self {
            name,
            mapping: Path::new("/dev/mapper").join(name),
            system,
        }
    }

    /// The group on it, as /init reads it.
    fn group<'f>(
        &self,
        file: &'f File,
        further: &'f Further,
    ) -> Result<Option<(Enrolled, OpenDevices<'f>)>, LvmError> {
        // Nothing is mapped by these numbers.
        let open = |number: u32, mapping: &Path, file: &'f File| {
            let volume = mapping.display().to_string();
            OpenDevice::new(volume.clone(), (0, number), Box::new(file))
                .map_err(|source| LvmError::Unreadable { volume, source })
        };
        let mut devices = OpenDevices::of(open(0, &self.mapping, file)?);
        for (number, (name, file)) in (1..).zip(&further.open) {
            devices.push(open(number, &Path::new("/dev/mapper").join(name), file)?);
        }
        Ok(Enrolled::read(&mut devices)?.map(|group| (group, devices)))
    }

    /// Without LVM root is all of the volume.
    fn judge_content(&self, options: &RootOptions, mut file: &File) -> Result<Root, Stop> {
        if let Some(spec) = &options.spec {
            self.judge_name(spec)?;
        }
        let content = match superblock::read_disk(&mut file) {
            Ok(content) => content,
            Err(why) => {
                return self.unread(options, &format!("the volume cannot be read ({why})"));
            }
        };
        let place = Place::whole(&self.mapping);
        let names = |spec: &DeviceSpec| match spec {
            DeviceSpec::Path(path) => !is_logical_alias(path),
            DeviceSpec::PartUuid(_) => names_volume(spec, self.system) != Some(false),
            DeviceSpec::Uuid(_) | DeviceSpec::Label(_) => {
                names_place(spec, &place, content.as_ref())
                    || names_volume(spec, self.system) == Some(true)
            }
        };
        judge(&place, content.as_ref(), names, options).map_err(|error| {
            Stop::at(format!(
                "{error}: root= must be /dev/mapper/{}, {APPLY}",
                self.name
            ))
        })?;
        Ok(Root::default())
    }

    /// By names alone, because what is on the volume is not known.
    fn unread(&self, options: &RootOptions, why: &str) -> Result<Root, Stop> {
        let mut root = Root::default();
        let Some(spec) = &options.spec else {
            return Ok(root);
        };
        let text = spec.to_string();
        let is_logical = match device_name::mapping(&text) {
            Some(other) => other != self.name && split_mapping_name(other).is_some(),
            None => matches!(spec, DeviceSpec::Path(path) if is_logical_alias(path)),
        };
        if is_logical {
            root.unknown.push(format!(
                "whether root={} is a logical volume on the enrolled volume cannot be told, because {}",
                quoted(&text),
                quoted_long(why)
            ));
            return Ok(root);
        }
        self.judge_name(spec)?;
        if let DeviceSpec::Uuid(uuid) = spec
            && *uuid != self.system.uuid.to_ascii_lowercase()
        {
            let mut roots = self.system.fstab.iter().filter(|line| line.place == "/");
            let other = roots.find_map(|line| device_name::uuid(&line.device));
            if let Some(other) = other.filter(|other| other != uuid) {
                root.notes.push(format!(
                    "root={}, but / in /etc/fstab is UUID={}: /init stops unless the command line is right",
                    quoted(&text),
                    quoted(&other)
                ));
            }
        }
        if let Opened::Unreadable(_) = self.system.opened {
            root.unknown.push(format!(
                "what root= finds on the volume cannot be told, because {}",
                quoted_long(why)
            ));
        }
        Ok(root)
    }

    /// root= must name the mapping, what is in it, or the device below it.
    fn judge_name(&self, root: &DeviceSpec) -> Result<(), Stop> {
        let name = self.name;
        let text = root.to_string();
        let shown = quoted(&text);
        match device_name::mapping(&text) {
            Some(other) if other == name => Ok(()),
            Some(other) => Err(Stop(format!(
                "/init opens the volume as /dev/mapper/{name}, but root= is {shown}, so it stops: {}, {APPLY}",
                match check_mapper_name(other, "root=") {
                    Ok(()) => format!(
                        "put rd.luks.name={}={other} into GRUB_CMDLINE_LINUX if {other} is the volume (a logical volume of it would be found, but {other} is none here)",
                        self.system.uuid
                    ),
                    Err(_) => format!("root= must be /dev/mapper/{name}"),
                }
            ))),
            None if matches!(root, DeviceSpec::PartUuid(_))
                && names_volume(root, self.system) == Some(false) =>
            {
                Err(Stop(format!(
                    "root={shown} is neither the enrolled volume nor in it, so /init stops: root= must be /dev/mapper/{name}, {APPLY}"
                )))
            }
            None => Ok(()),
        }
    }
}

/// `/dev/GROUP/VOLUME`, as udev calls logical volumes.
fn is_logical_alias(path: &Path) -> bool {
    let Ok(below) = path.strip_prefix("/dev") else {
        return false;
    };
    let parts: Vec<_> = below.iter().collect();
    match parts[..] {
        // Directories of the kernel's and of udev's.
        [directory, _] => !["mapper", "disk", "block", "md", "loop"]
            .iter()
            .any(|known| directory == *known),
        _ => false,
    }
}

/// A sentence with words from outside, on its line.
fn quoted_long(sentence: &str) -> String {
    printable::line(sentence).to_string()
}
