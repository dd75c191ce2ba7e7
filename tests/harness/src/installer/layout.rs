//! What each distribution's installer does, as the commands that it runs.

use super::names::{ARRAY_UUID, DATA_UUID, KEYED_UUID, MORE_UUID, ROOT_UUID, SIZE};
use crate::assets::{Assets, Kernel};
use crate::disk::{Bus, boot::Firmware};
use crate::world::VOLUME_UUID;

/// A machine as an installer leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Debian's and Ubuntu's "guided - use entire disk and set up encrypted LVM": one LUKS2 volume,
    /// in it the volume group `debian-vg` with `root` and `swap_1`. Beside them the disk of a guest,
    /// [`super::names::GUEST`], who has given its file system root's UUID.
    DebianLvm,
    /// The same with /var and /home on logical volumes of their own, a second encrypted disk with a
    /// passphrase of its own that crypttab wants opened in the initramfs, a third whose key is a
    /// file on root, and a fourth by which somebody has made the group and root larger.
    DebianVolumes,
    /// Fedora's on two disks: two LUKS2 volumes named luks-UUID, on both of them one btrfs with the
    /// subvolumes `root` and `home`.
    Fedora,
    /// A server's: two disks, each with a partition for /boot and one for the rest, as RAID 1 with
    /// superblocks of format 1.2; on the second array a LUKS2 volume with XFS.
    Server,
    /// Arch's by hand, as its guide has it with systemd in the initramfs: a LUKS2 volume on a USB disk, in it
    /// f2fs, nothing in crypttab, everything in words of the kernel's command line. Its image is made there.
    Arch,
}

/// What partman-auto-lvm and partman-crypto do; cryptsetup's own defaults for the keyslot.
const DEBIAN_LVM: &str = r#"
luks "$uuid" vda5_crypt "$disk"
pvcreate -q /dev/mapper/vda5_crypt
vgcreate -q debian-vg /dev/mapper/vda5_crypt
lvcreate -q -y -n swap_1 -L 64M debian-vg
lvcreate -q -y -n "$guest" -L 16M debian-vg
lvcreate -q -y -n root -l 100%FREE debian-vg
mkswap -q /dev/debian-vg/swap_1
mkfs.ext4 -q -U "$root_uuid" "/dev/debian-vg/$guest"
mkfs.ext4 -q -U "$root_uuid" /dev/debian-vg/root
mount /dev/debian-vg/root /mnt
copy_root
cat > /mnt/etc/fstab <<TAB
/dev/mapper/debian--vg-root / ext4 errors=remount-ro 0 1
/dev/mapper/debian--vg-swap_1 none swap sw 0 0
TAB
echo "vda5_crypt UUID=$uuid none luks,discard" > /mnt/etc/crypttab
umount /mnt
vgchange -q -an debian-vg
cryptsetup close vda5_crypt
"#;

/// The manual way through partman: several logical volumes, and two more disks.
const DEBIAN_VOLUMES: &str = r#"
luks "$uuid" vda5_crypt "$disk"
pvcreate -q /dev/mapper/vda5_crypt
vgcreate -q debian-vg /dev/mapper/vda5_crypt
lvcreate -q -y -n swap_1 -L 64M debian-vg
lvcreate -q -y -n home -L 64M debian-vg
lvcreate -q -y -n var -L 192M debian-vg
lvcreate -q -y -n root -l 100%FREE debian-vg
luks "$more_uuid" more_crypt "$disk3"
pvcreate -q /dev/mapper/more_crypt
vgextend -q debian-vg /dev/mapper/more_crypt
lvextend -q -l +100%FREE debian-vg/root
mkswap -q /dev/debian-vg/swap_1
for volume in root home var; do mkfs.ext4 -q "/dev/debian-vg/$volume"; done
mount /dev/debian-vg/root /mnt
mkdir /mnt/home /mnt/var
mount /dev/debian-vg/home /mnt/home
mount /dev/debian-vg/var /mnt/var
copy_root
luks "$data_uuid" data_crypt "$disk1"
mkfs.ext4 -q -L data /dev/mapper/data_crypt
mkdir -m 700 /mnt/etc/keys
head -c 64 /dev/urandom > /mnt/etc/keys/keyed.key
chmod 400 /mnt/etc/keys/keyed.key
cryptsetup luksFormat -q --type luks2 --uuid "$keyed_uuid" --key-file /mnt/etc/keys/keyed.key "$disk2"
cryptsetup open --key-file /mnt/etc/keys/keyed.key "$disk2" keyed_crypt
mkfs.ext4 -q -L keyed /dev/mapper/keyed_crypt
mkdir /mnt/srv/data /mnt/srv/keyed
cat > /mnt/etc/fstab <<TAB
/dev/mapper/debian--vg-root / ext4 errors=remount-ro 0 1
/dev/mapper/debian--vg-home /home ext4 defaults 0 2
/dev/mapper/debian--vg-var /var ext4 defaults 0 2
/dev/mapper/data_crypt /srv/data ext4 defaults 0 2
/dev/mapper/keyed_crypt /srv/keyed ext4 defaults 0 2
/dev/mapper/debian--vg-swap_1 none swap sw 0 0
TAB
cat > /mnt/etc/crypttab <<TAB
vda5_crypt UUID=$uuid none luks,discard
data_crypt UUID=$data_uuid none luks,discard,x-initrd.attach
more_crypt UUID=$more_uuid none luks,x-initrd.attach
keyed_crypt UUID=$keyed_uuid /etc/keys/keyed.key luks
TAB
umount -R /mnt
vgchange -q -an debian-vg
for mapping in vda5_crypt data_crypt more_crypt keyed_crypt; do cryptsetup close "$mapping"; done
"#;

/// What anaconda's automatic partitioning does with "encrypt my data".
const FEDORA: &str = r#"
luks "$uuid" "luks-$uuid" "$disk"
luks "$data_uuid" "luks-$data_uuid" "$disk1"
mkfs.btrfs -q -L fedora -U "$root_uuid" -m raid1 -d single "/dev/mapper/luks-$uuid" "/dev/mapper/luks-$data_uuid"
mount "/dev/mapper/luks-$uuid" /mnt
btrfs -q subvolume create /mnt/root
btrfs -q subvolume create /mnt/home
umount /mnt
mount -o subvol=root,compress=zstd:1 "/dev/mapper/luks-$uuid" /mnt
mkdir /mnt/home
mount -o subvol=home,compress=zstd:1 "/dev/mapper/luks-$uuid" /mnt/home
copy_root
cat > /mnt/etc/fstab <<TAB
UUID=$root_uuid / btrfs subvol=root,compress=zstd:1,x-systemd.device-timeout=0 0 0
UUID=$root_uuid /home btrfs subvol=home,compress=zstd:1,x-systemd.device-timeout=0 0 0
TAB
cat > /mnt/etc/crypttab <<TAB
luks-$uuid UUID=$uuid none discard
luks-$data_uuid UUID=$data_uuid none discard
TAB
umount -R /mnt
cryptsetup close "luks-$uuid"
cryptsetup close "luks-$data_uuid"
"#;

/// What partman-auto-raid and partman-crypto do.
const SERVER: &str = r#"
for device in "$disk" "$disk1"; do
    printf 'label: gpt\nsize=64M, type=raid\ntype=raid\n' | sfdisk -q "$device"
done
udevadm settle
mdadm --create /dev/md0 -q --run --level=1 --metadata=1.2 --raid-devices=2 --homehost=server --name=0 \
    "$disk-part1" "$disk1-part1"
mdadm --create /dev/md1 -q --run --level=1 --metadata=1.2 --raid-devices=2 --homehost=server --name=1 \
    --uuid "$array" "$disk-part2" "$disk1-part2"
mkfs.ext4 -q -L boot /dev/md0
luks "$uuid" md1_crypt /dev/md1
mkfs.xfs -q -m uuid="$root_uuid" /dev/mapper/md1_crypt
mount /dev/mapper/md1_crypt /mnt
copy_root
mount /dev/md0 /mnt/boot
cat > /mnt/etc/fstab <<TAB
/dev/mapper/md1_crypt / xfs defaults 0 0
LABEL=boot /boot ext4 defaults 0 2
TAB
echo "md1_crypt UUID=$uuid none luks,discard" > /mnt/etc/crypttab
mkdir -p /mnt/etc/mdadm
{ echo "HOMEHOST server"; echo "MAILADDR root"; mdadm --detail --scan; } > /mnt/etc/mdadm/mdadm.conf
umount -R /mnt
cryptsetup close md1_crypt
mdadm --wait /dev/md0 /dev/md1 || true
mdadm --stop /dev/md0 /dev/md1
"#;

/// The guide's steps; `make_image` stands where it has `mkinitcpio -P`.
const ARCH: &str = r#"
disk=/dev/sda
while [ ! -b "$disk" ]; do sleep 0.1; done
# Not with the defaults of a keyslot, which the other machines have: they take 20 seconds under emulation.
printf %s "$passphrase" > /run/passphrase
cryptsetup luksFormat -q --type luks2 --uuid "$uuid" --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
    --key-file /run/passphrase "$disk"
cryptsetup open --key-file /run/passphrase "$disk" root
mkfs.f2fs -q -l arch -U "$root_uuid" /dev/mapper/root
mount /dev/mapper/root /mnt
copy_root
cat > /mnt/etc/fstab <<TAB
UUID=$root_uuid / f2fs rw,relatime 0 1
/dev/mapper/swap none swap defaults 0 0
TAB
make_image
umount /mnt
cryptsetup close root
"#;

impl Layout {
    /// The commands.
    pub(super) const fn script(self) -> &'static str {
        match self {
            Self::DebianLvm => DEBIAN_LVM,
            Self::DebianVolumes => DEBIAN_VOLUMES,
            Self::Fedora => FEDORA,
            Self::Server => SERVER,
            Self::Arch => ARCH,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DebianLvm => "debian-lvm",
            Self::DebianVolumes => "debian-volumes",
            Self::Fedora => "fedora",
            Self::Server => "server",
            Self::Arch => "arch",
        }
    }

    /// What the distribution has on the kernel's command line.
    pub(super) fn cmdline(self) -> String {
        match self {
            Self::DebianLvm => {
                format!("rd.luks.name={VOLUME_UUID}=vda5_crypt root=/dev/mapper/debian--vg-root")
            }
            Self::DebianVolumes => format!(
                "rd.luks.name={VOLUME_UUID}=vda5_crypt rd.luks.name={DATA_UUID}=data_crypt rd.luks.name={MORE_UUID}=more_crypt \
                 rd.luks.options={DATA_UUID}=discard root=/dev/mapper/debian--vg-root"
            ),
            Self::Fedora => format!(
                "rd.luks.uuid=luks-{VOLUME_UUID} rd.luks.uuid=luks-{DATA_UUID} root=UUID={} rootflags=subvol=root",
                ROOT_UUID
            ),
            Self::Server => format!(
                "rd.luks.name={VOLUME_UUID}=md1_crypt root=/dev/mapper/md1_crypt rw taoboot.on_failure=prompt"
            ),
            // The disk comes seconds after its controller, as slow ones do.
            Self::Arch => format!(
                "rd.luks.name={VOLUME_UUID}=root rd.luks.options=discard,no-read-workqueue \
                 root=/dev/mapper/root rw usb_storage.delay_use=3"
            ),
        }
    }

    /// What the measured configuration says, which the distribution's own words do not.
    pub(super) fn config(self) -> String {
        match self {
            Self::DebianLvm | Self::DebianVolumes | Self::Fedora | Self::Arch => String::new(),
            Self::Server => format!("[[array]]\nuuid = \"{ARRAY_UUID}\"\nname = \"md1\"\n"),
        }
    }

    /// Firmware and bus of a machine of this kind.
    pub(super) const fn hardware(self) -> (Firmware, Bus) {
        match self {
            Self::DebianLvm | Self::DebianVolumes | Self::Fedora => (Firmware::Bios, Bus::Virtio),
            Self::Server => (Firmware::Efi, Bus::Nvme),
            Self::Arch => (Firmware::Bios, Bus::Usb),
        }
    }

    /// Is its volume on something that only a running kernel can put together?
    pub(super) const fn is_enrolled_inside(self) -> bool {
        matches!(self, Self::Server)
    }

    /// Does the installer make its image, from what the machine is? The other machines' images are made for them.
    pub(super) const fn has_image(self) -> bool {
        matches!(self, Self::Arch)
    }

    /// The cloud kernel has no USB and no f2fs.
    pub(super) fn kernel(self, assets: &Assets) -> &Kernel {
        match self {
            Self::Arch => &assets.kernel_general,
            Self::DebianLvm | Self::DebianVolumes | Self::Fedora | Self::Server => &assets.kernel,
        }
    }

    /// The disks beside the first: serial number, size in bytes, and does /init open it?
    pub(super) const fn more_disks(self) -> &'static [(&'static str, u64, bool)] {
        match self {
            Self::DebianLvm | Self::Arch => &[],
            Self::Fedora => &[("disk1", 512 << 20, true)],
            Self::DebianVolumes => &[
                ("disk1", 64 << 20, true),
                ("disk2", 64 << 20, false),
                ("disk3", 64 << 20, true),
            ],
            Self::Server => &[("disk1", SIZE, false)],
        }
    }

    /// Modules that neither the tests' machines nor their images have otherwise.
    pub(super) const fn modules(self) -> &'static [&'static str] {
        match self {
            Self::DebianLvm | Self::DebianVolumes => &[],
            Self::Fedora => &["btrfs"],
            Self::Server => &["raid1", "xfs"],
            Self::Arch => &[
                "xhci_pci",
                "usb_storage",
                "sd_mod",
                "f2fs",
                "9p",
                "9pnet_virtio",
            ],
        }
    }

    /// UUIDs for the script, as shell variables.
    pub(super) fn variables(self) -> String {
        format!(
            "data_uuid={DATA_UUID}\nmore_uuid={MORE_UUID}\nkeyed_uuid={KEYED_UUID}\narray={ARRAY_UUID}\n"
        )
    }
}
