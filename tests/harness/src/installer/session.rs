//! The session in which an installer's commands run: the kernel, udev and a shell on a copy of the root
//! that will be installed. No GRUB, no systemd: nothing that a session would wait for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mkinitramfs::image::modules::{resolve::Resolver, tree::ModuleTree};

use crate::assets::{Assets, Kernel};
use crate::busybox;
use crate::disk::{Disk, cache::copy};
use crate::machine::{DirectKernel, Ending, Machine};

/// How long it may take under emulation.
const PATIENCE: Duration = Duration::from_secs(600);
/// What every session needs: disks, the medium's file system, encryption, volume groups.
const MODULES: [&str; 8] = [
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "dm_mod",
    "dm_crypt",
    "ecb",
    "xts",
    "aesni_intel",
];
/// What the console says when all commands succeeded.
const DONE: &str = "installer: done";

/// The initramfs' end: on to the medium, which is the first disk.
const SWITCH: &str = "mount /dev/vda /root\n\
    mkdir -p /root/run\n\
    mount -t tmpfs run /root/run\n\
    cp /session /root/run/session\n\
    for place in proc sys dev; do mount --move /$place /root/$place; done\n\
    exec switch_root /root /bin/sh /run/session\n";

/// What a session has beside its medium.
pub struct Session<'s> {
    /// Its name.
    pub name: String,
    /// Its kernel.
    pub kernel: &'s Kernel,
    /// Modules beside [`MODULES`].
    pub modules: &'s [&'s str],
    /// Disks, after the medium.
    pub disks: Vec<Disk>,
    /// Directories that it reads.
    pub shares: Vec<(PathBuf, &'static str)>,
}

/// Runs `script` with `medium` as its root.
///
/// # Errors
/// A command failed: the console is part of the message.
pub fn run(session: Session<'_>, medium: &Path, script: &str) -> Result<()> {
    let machine = Machine::new(&session.name)?;
    let directory = machine.directory().to_path_buf();
    let root = directory.join("medium.img");
    copy(medium, &root)?;
    let mut assets = Assets::load()?;
    assets.kernel = session.kernel.clone();
    let modules = session.modules;
    let initramfs = directory.join("initramfs");
    let files = modules_in_order(&assets.kernel, MODULES.iter().chain(modules))?;
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    // No && behind the parentheses: a shell does not heed -e within a list of them.
    let commands = format!(
        "PS4='+$(cut -d\" \" -f1 /proc/uptime) '\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n\
         mkdir -p /run/lock\n\
         /lib/systemd/systemd-udevd --daemon\n\
         udevadm trigger --type=all --action=add\n\
         udevadm settle\n\
         ( set -ex\n{script}\n)\n\
         [ \"$?\" = 0 ] && echo '{DONE}' > /dev/console\n\
         sync\n\
         echo o > /proc/sysrq-trigger\n\
         sleep 60\n"
    );
    let switch = format!("cat > /session <<'SESSION'\n{commands}SESSION\n{SWITCH}");
    busybox::initramfs(&assets, &files, &switch, &initramfs)?;
    let machine = machine
        .disk(Disk::new(root, "medium"))
        .direct_kernel(DirectKernel {
            kernel: assets.kernel.vmlinuz.clone(),
            initramfs,
            cmdline: "console=ttyS0 panic=-1 loglevel=4".to_owned(),
        })
        .timeout(PATIENCE);
    let machine = session.disks.into_iter().fold(machine, Machine::disk);
    let shares = session.shares.iter();
    let machine = shares.fold(machine, |machine, (directory, tag)| {
        machine.share(directory, tag)
    });
    let outcome = machine.run()?;
    ensure!(
        outcome.ending == Ending::PowerOff && outcome.console.contains(DONE),
        "the installer's session failed ({:?}):\n{}",
        outcome.ending,
        outcome.console
    );
    Ok(())
}

/// The files of these modules and of all that they need, each before those that need it.
fn modules_in_order<'a>(
    kernel: &Kernel,
    names: impl Iterator<Item = &'a &'a str>,
) -> Result<Vec<String>> {
    let tree = ModuleTree::read(&kernel.modules, &kernel.version)?;
    let mut resolver = Resolver::new(&tree);
    let mut ordered: Vec<String> = Vec::new();
    for name in names {
        let found = resolver
            .add(name)?
            .with_context(|| format!("the kernel has no module {name}"))?;
        for module in found {
            let before = resolver.modules().get(&module);
            for needed in before.into_iter().flatten().chain([&module]) {
                if !ordered.contains(needed) {
                    ordered.push(needed.clone());
                }
            }
        }
    }
    let files = ordered.iter().filter_map(|name| tree.modules.get(name));
    Ok(files
        .map(|module| module.path.trim_start_matches("kernel/").to_owned())
        .collect())
}
