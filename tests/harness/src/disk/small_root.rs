//! A root file system that is reached, says so, and switches the machine off.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::cache::{CacheKey, cached};
use super::ext4;

/// Its init: one JSON line on the second serial port, then power off. The line says when the
/// kernel started the initramfs' /init and when this init began, by the kernel's own clock.
const INIT: &str = "#!/bin/busybox sh\n\
    echo 'small root: real init' > /dev/kmsg\n\
    at() { /bin/busybox dmesg | /bin/busybox sed -n \"s/^[^[]*\\[ *\\([0-9.]*\\)] $1.*/\\1/p\" | /bin/busybox head -n 1; }\n\
    swaps=$(/bin/busybox tail -n +2 /proc/swaps | /bin/busybox wc -l)\n\
    sleep=$(/bin/busybox cat /sys/power/mem_sleep 2>/dev/null)\n\
    boot=$(/bin/busybox cat /run/tao/boot.json 2>/dev/null)\n\
    printf '{\"small\":1,\"swaps\":%s,\"mem_sleep\":\"%s\",\"init_started\":\"%s\",\"real_init_started\":\"%s\",\"boot\":%s}\\n' \\\n\
        \"$swaps\" \"$sleep\" \"$(at 'Run .init as init process')\" \"$(at 'small root: real init')\" \"${boot:-null}\" > /dev/ttyS1\n\
    exec /bin/busybox poweroff -f\n";

/// The image, from the cache or new.
pub fn small_root() -> Result<PathBuf> {
    let busybox = fs::read("/bin/busybox")
        .context("cannot read /bin/busybox (Debian package busybox-static)")?;
    let mut key = CacheKey::new("small-root", 5);
    key.bytes(INIT.as_bytes());
    key.bytes(&busybox);
    cached("small-root", &key, |image| {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        for name in ["bin", "sbin", "dev", "proc", "sys", "run"] {
            fs::create_dir(directory.path().join(name))?;
        }
        let program = directory.path().join("bin/busybox");
        fs::write(&program, &busybox)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        let init = directory.path().join("bin/init");
        fs::write(&init, INIT)?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
        symlink("/bin/init", directory.path().join("sbin/init"))?;
        let identity = ext4::Identity {
            uuid: "7a0b0004-0004-4004-8004-000000000004",
            label: "small-root",
        };
        ext4::make(image, directory.path(), 16 << 20, identity, &[])
    })
}
