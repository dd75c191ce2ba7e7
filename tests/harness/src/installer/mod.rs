//! Disks as a distribution's installer makes them: by the real tools, in a Debian that runs from
//! another disk, as an installer does.
//!
//! device-mapper is not there for an ordinary user, so this costs a boot of a minute; the disks are
//! kept. What the installer's session had for root is copied to the new root, with the fstab and the
//! crypttab that the distribution's installer would write.

mod layout;
mod names;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use guest::orders::{End, Order, Orders};

use crate::debian::Base;
use crate::disk::Disk;
use crate::disk::cache::{CacheKey, cached};
use crate::disk::orders::orders_disk;
use crate::world::{MoreDisk, PASSPHRASE, Plan, Userland, VOLUME_UUID, World, volume};

pub use layout::Layout;
use names::SIZE;
pub use names::{ARRAY_UUID, DATA_UUID, GUEST, KEYED_UUID, ROOT_UUID};

/// How long the installer may take under emulation, in seconds.
const SECONDS: u32 = 420;
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
    Ok(plan)
}

/// The disks, from the cache or new. Nothing of taoboot's is on them but the programs.
fn installed_disks(layout: Layout) -> Result<PathBuf> {
    let mut plan = Plan::new(Userland::Debian);
    plan.base = Base::Storage;
    plan.modules = layout.modules().to_vec();
    let mut key = CacheKey::new("installed", 2);
    // The session's root is what is copied.
    key.bytes(volume(&plan)?.as_os_str().as_encoded_bytes());
    key.bytes(script(layout).as_bytes());
    key.bytes(format!("{SIZE} {:?}", layout.more_disks()).as_bytes());
    cached("installed", &key, |directory| {
        install(layout, &plan, directory)
    })
}

fn script(layout: Layout) -> String {
    format!(
        r#"set -e
uuid={VOLUME_UUID}
root_uuid={ROOT_UUID}
guest={GUEST}
{}disk=/dev/disk/by-id/virtio-target
disk1=/dev/disk/by-id/virtio-disk1
disk2=/dev/disk/by-id/virtio-disk2
udevadm settle
luks() {{
    printf %s '{PASSPHRASE}' > /run/passphrase
    cryptsetup luksFormat -q --type luks2 --uuid "$1" --key-file /run/passphrase "$3"
    cryptsetup open --key-file /run/passphrase "$3" "$2"
}}
copy_root() {{
    cp -ax /. /mnt/
}}
{}
sync
"#,
        layout.variables(),
        layout.script()
    )
}

fn install(layout: Layout, plan: &Plan, directory: &Path) -> Result<()> {
    eprintln!(
        "installing the machine {}, once (a minute or more)",
        layout.name()
    );
    fs::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let image = |name: &str, size: u64| -> Result<PathBuf> {
        let path = directory.join(name);
        File::create(&path)
            .and_then(|file| file.set_len(size))
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    };
    let world = World::make(&format!("installer-{}", layout.name()), plan)?;
    let commands = vec![Order {
        name: "install".into(),
        argv: ["/bin/sh", "-c", &script(layout)].map(str::to_owned).into(),
        seconds: SECONDS,
    }];
    let end = End::Poweroff;
    let orders = orders_disk(
        &world.directory.join("orders.img"),
        &[Orders { commands, end }],
    )?;
    let mut machine = world
        .machine(Some(world.launch.clone()))?
        .disk(orders)
        .disk(Disk::new(image(FIRST, SIZE)?, "target"));
    for (serial, size, _) in layout.more_disks() {
        machine = machine.disk(Disk::new(image(&format!("{serial}.img"), *size)?, serial));
    }
    let outcome = machine
        .timeout(Duration::from_secs(u64::from(SECONDS) + 180))
        .boots(1)
        .run()?;
    let installed = outcome
        .report_of("probe")?
        .pointer("/commands/install")
        .context("the installer reports nothing")?;
    ensure!(
        installed.get("code") == Some(&0.into()),
        "the installer's session failed: {installed:#}"
    );
    Ok(())
}
