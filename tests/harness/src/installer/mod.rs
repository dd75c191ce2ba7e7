//! Disks as a distribution's installer makes them: by the real tools, in a Debian that runs from
//! another disk, as an installer does.
//!
//! device-mapper is not there for an ordinary user, so this costs a boot; the disks are kept. What the
//! installer's session had for root is copied to the new root, with the fstab and the crypttab that the
//! distribution's installer would write.

mod image;
mod layout;
mod names;
mod session;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::assets::Assets;
use crate::debian::Base;
use crate::disk::cache::{CacheKey, cached};
use crate::disk::{Bus, Disk};
use crate::world::{MoreDisk, PASSPHRASE, Plan, Userland, VOLUME_UUID, content};

pub use layout::Layout;
use names::SIZE;
pub use names::{ARRAY_UUID, DATA_UUID, GUEST, KEYED_UUID, MORE_UUID, ROOT_UUID};
use session::Session;

/// Name of the first disk's image.
const FIRST: &str = "root.img";

/// A machine with such disks, not enrolled yet.
pub fn plan(layout: Layout) -> Result<Plan> {
    let mut plan = Plan::new(Userland::Debian).cmdline(&layout.cmdline());
    let disks = installed_disks(layout)?;
    plan.root_disk = Some(disks.join(FIRST));
    plan.more_disks = layout
        .more_disks()
        .iter()
        .map(|(serial, _, enrolled)| MoreDisk {
            image: disks.join(format!("{serial}.img")),
            serial: (*serial).to_owned(),
            enrolled: *enrolled,
        })
        .collect();
    plan.modules = layout.modules().to_vec();
    plan.config = layout.config();
    (plan.firmware, plan.bus) = layout.hardware();
    plan.unenrolled = layout.is_enrolled_inside();
    plan.kernel = Some(layout.kernel(&Assets::load()?).clone());
    plan.image = layout.has_image().then(|| disks.join(image::NAME));
    Ok(plan)
}

/// The disks, from the cache or new. Nothing of taoboot's is on them but the programs.
fn installed_disks(layout: Layout) -> Result<PathBuf> {
    let mut plan = Plan::new(Userland::Debian);
    plan.base = Base::Storage;
    let medium = content(&plan)?;
    let mut key = CacheKey::new("installed", 3);
    key.bytes(medium.as_os_str().as_encoded_bytes());
    key.bytes(script(layout).as_bytes());
    key.bytes(format!("{SIZE} {:?}", layout.more_disks()).as_bytes());
    if layout.has_image() {
        image::describe(&mut key)?;
    }
    cached("installed", &key, |directory| {
        install(layout, &medium, directory)
    })
}

fn script(layout: Layout) -> String {
    format!(
        r#"uuid={VOLUME_UUID}
root_uuid={ROOT_UUID}
passphrase='{PASSPHRASE}'
guest={GUEST}
{}disk=/dev/disk/by-id/virtio-target
disk1=/dev/disk/by-id/virtio-disk1
disk2=/dev/disk/by-id/virtio-disk2
disk3=/dev/disk/by-id/virtio-disk3
udevadm settle
luks() {{
    printf %s "$passphrase" > /run/passphrase
    cryptsetup luksFormat -q --type luks2 --uuid "$1" --key-file /run/passphrase "$3"
    cryptsetup open --key-file /run/passphrase "$3" "$2"
}}
copy_root() {{
    cp -ax /. /mnt/
}}
{}{}
"#,
        layout.variables(),
        if layout.has_image() {
            image::SCRIPT
        } else {
            ""
        },
        layout.script()
    )
}

fn install(layout: Layout, medium: &Path, directory: &Path) -> Result<()> {
    eprintln!("installing the machine {}, once", layout.name());
    fs::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let disk = |file: &str, size: u64, serial: &str| -> Result<Disk> {
        let path = directory.join(file);
        File::create(&path)
            .and_then(|file| file.set_len(size))
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Disk::new(path, serial))
    };
    // Its image is made from the devices that are there.
    let bus = if layout.has_image() {
        layout.hardware().1
    } else {
        Bus::default()
    };
    let mut disks = vec![disk(FIRST, SIZE, "target")?.on(bus)];
    for (serial, size, _) in layout.more_disks() {
        disks.push(disk(&format!("{serial}.img"), *size, serial)?);
    }
    let assets = Assets::load()?;
    let kernel = layout.kernel(&assets);
    let mut shares = Vec::new();
    if layout.has_image() {
        disks.push(disk(image::ARCHIVE, image::ARCHIVE_SIZE, image::SERIAL)?);
        shares = image::shares(kernel)?;
    }
    let session = Session {
        name: format!("installer-{}", layout.name()),
        kernel,
        modules: layout.modules(),
        disks,
        shares,
    };
    session::run(session, medium, &script(layout))?;
    if layout.has_image() {
        image::unpack(directory)?;
    }
    Ok(())
}
