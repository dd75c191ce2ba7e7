//! Disks as a distribution's installer makes them: by the real tools, in a Debian that runs from
//! another disk, as an installer does.
//!
//! device-mapper is not there for an ordinary user, so this costs a boot of a minute; the disk is
//! kept. What the installer's session had for root is copied to the new root, with the fstab and the
//! crypttab that the distribution's installer would write.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use guest::orders::{End, Order, Orders};

use crate::debian::Base;
use crate::disk::Disk;
use crate::disk::cache::{CacheKey, cached};
use crate::disk::orders::orders_disk;
use crate::world::{PASSPHRASE, Plan, Userland, VOLUME_UUID, World, volume};

/// A machine as an installer leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Debian's and Ubuntu's "guided - use entire disk and set up encrypted LVM": one LUKS2 volume,
    /// in it the volume group `debian-vg` with `root` and `swap_1`. Beside them the disk of a guest,
    /// [`GUEST`], who has given its file system root's UUID.
    DebianLvm,
}

/// The UUID of root's file system, and of the guest's.
pub const ROOT_UUID: &str = "7a0b0012-0012-4012-8012-000000000012";
/// The logical volume whose content is somebody else's; its name sorts before root's.
pub const GUEST: &str = "a-guest";
/// Size of the disk in bytes.
const SIZE: u64 = 1 << 30;
/// How long the installer may take under emulation, in seconds.
const SECONDS: u32 = 420;

/// What partman-auto-lvm and partman-crypto do; cryptsetup's own defaults for the keyslot.
const DEBIAN_LVM: &str = r#"
luks vda5_crypt
pvcreate -q /dev/mapper/vda5_crypt
vgcreate -q debian-vg /dev/mapper/vda5_crypt
lvcreate -q -y -n swap_1 -L 64M debian-vg
lvcreate -q -y -n "$guest" -L 16M debian-vg
lvcreate -q -y -n root -l 100%FREE debian-vg
mkswap -q /dev/debian-vg/swap_1
mkfs.ext4 -q -U "$root_uuid" "/dev/debian-vg/$guest"
mkfs.ext4 -q -U "$root_uuid" /dev/debian-vg/root
copy_to /dev/debian-vg/root
cat > /mnt/etc/fstab <<TAB
/dev/mapper/debian--vg-root / ext4 errors=remount-ro 0 1
/dev/mapper/debian--vg-swap_1 none swap sw 0 0
TAB
echo "vda5_crypt UUID=$uuid none luks,discard" > /mnt/etc/crypttab
umount /mnt
vgchange -q -an debian-vg
cryptsetup close vda5_crypt
"#;

impl Layout {
    const fn script(self) -> &'static str {
        match self {
            Self::DebianLvm => DEBIAN_LVM,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::DebianLvm => "debian-lvm",
        }
    }

    /// What the distribution has on the kernel's command line, with the name of the mapping.
    fn cmdline(self) -> String {
        match self {
            Self::DebianLvm => {
                format!("rd.luks.name={VOLUME_UUID}=vda5_crypt root=/dev/mapper/debian--vg-root")
            }
        }
    }
}

/// A machine with such a disk, not enrolled yet.
pub fn plan(layout: Layout) -> Result<Plan> {
    let mut plan = Plan::new(Userland::Debian).cmdline(&layout.cmdline());
    plan.root_disk = Some(installed_disk(layout)?);
    Ok(plan)
}

/// The disk, from the cache or new. Nothing of taoboot's is on it but the programs.
fn installed_disk(layout: Layout) -> Result<PathBuf> {
    let mut plan = Plan::new(Userland::Debian);
    plan.base = Base::Storage;
    let mut key = CacheKey::new("installed", 1);
    // The session's root is what is copied.
    key.bytes(volume(&plan)?.as_os_str().as_encoded_bytes());
    key.bytes(script(layout).as_bytes());
    key.bytes(&SIZE.to_be_bytes());
    cached("installed", &key, |image| install(layout, &plan, image))
}

fn script(layout: Layout) -> String {
    format!(
        r#"set -e
uuid={VOLUME_UUID}
root_uuid={ROOT_UUID}
guest={GUEST}
disk=/dev/disk/by-id/virtio-target
udevadm settle
luks() {{
    printf %s '{PASSPHRASE}' > /run/passphrase
    cryptsetup luksFormat -q --type luks2 --uuid "$uuid" --key-file /run/passphrase "$disk"
    cryptsetup open --key-file /run/passphrase "$disk" "$1"
}}
copy_to() {{
    mount "$1" /mnt
    cp -ax /. /mnt/
}}
{}
sync
"#,
        layout.script()
    )
}

fn install(layout: Layout, plan: &Plan, image: &Path) -> Result<()> {
    eprintln!(
        "installing the machine {}, once (a minute or more)",
        layout.name()
    );
    let file = File::create(image).with_context(|| format!("cannot create {}", image.display()))?;
    file.set_len(SIZE)
        .with_context(|| format!("cannot size {}", image.display()))?;
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
    let outcome = world
        .machine(Some(world.launch.clone()))?
        .disk(orders)
        .disk(Disk::new(image, "target"))
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
