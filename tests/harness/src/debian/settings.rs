//! What makes Debian a guest of the harness: it boots to multi-user without asking anyone
//! anything, and runs the probe.

use super::overlay::Overlay;

/// Runs the probe when everything else is up. Not a oneshot: systemd counts itself as
/// starting while one runs, and the probe waits for systemd to have started.
const PROBE_UNIT: &str = "[Unit]
Description=Report to the test harness
After=multi-user.target

[Service]
Type=simple
ExecStart=/usr/lib/taoboot/guest-probe
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
";

/// Units that only cost time in a machine that lives for a minute.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "ldconfig.service",
    "serial-getty@ttyS0.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-journal-flush.service",
    "systemd-update-done.service",
];

/// The settings.
pub fn overlay() -> Overlay {
    let mut overlay = Overlay::default();
    overlay.file(
        "/etc/systemd/system/taoboot-report.service",
        0o644,
        PROBE_UNIT,
    );
    overlay.symlink(
        "/etc/systemd/system/multi-user.target.wants/taoboot-report.service",
        "/etc/systemd/system/taoboot-report.service",
    );
    overlay.symlink(
        "/etc/systemd/system/default.target",
        "/usr/lib/systemd/system/multi-user.target",
    );
    for unit in MASKED {
        overlay.symlink(&format!("/etc/systemd/system/{unit}"), "/dev/null");
    }
    overlay.file("/etc/hostname", 0o644, "guest\n");
    overlay.file("/etc/fstab", 0o644, "");
    // 32 hex digits: systemd would otherwise take the boot for the first one ever and
    // apply all presets.
    overlay.file(
        "/etc/machine-id",
        0o444,
        "7a0b00030003400380030000000000aa\n",
    );
    // The journal of a machine that is thrown away needs no disk.
    overlay.file(
        "/etc/systemd/journald.conf.d/harness.conf",
        0o644,
        "[Journal]\nStorage=volatile\n",
    );
    overlay
}
