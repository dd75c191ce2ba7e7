//! A root shell on the serial console of the demo's Debian, for `--attach`.
//!
//! Debian's root account is locked. The kernel's command line cannot ask for a shell: it is
//! measured, and another one is another machine. So the demo's own root file system, on its
//! encrypted disk, logs root in on the serial port.

use ::harness::debian::overlay::Overlay;

/// In place of the unit that the harness switches off.
const UNIT: &str = "[Unit]
Description=Root console of the taoboot demo
After=systemd-user-sessions.service

[Service]
ExecStart=-/sbin/agetty --autologin root --noissue --local-line 115200 ttyS0 vt220
Type=idle
Restart=always
UtmpIdentifier=ttyS0
StandardInput=tty
StandardOutput=tty
TTYPath=/dev/ttyS0
TTYReset=yes
KillMode=process
IgnoreSIGPIPE=no
SendSIGHUP=yes

[Install]
WantedBy=getty.target
";

const MESSAGE: &str = "
This Debian was unlocked by its TPM. Some things to try:

  cat /run/tao/boot.json                      what taoboot did in this boot
  tao run /usr/bin/tao-report                 a hosted program, measured and named
  taoboot status --volume /dev/vdb            the sealed record in the volume's header
  tpm2_pcrread sha256:15,17,18,19             the latch, and the launch
  dmsetup table; swapon --show                root and swap, both encrypted
  poweroff                                    ends the machine (or leave with Ctrl-])

";

/// The files.
pub fn overlay() -> Overlay {
    let mut overlay = Overlay::default();
    overlay.file(
        "/etc/systemd/system/serial-getty@ttyS0.service",
        0o644,
        UNIT,
    );
    overlay.symlink(
        "/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service",
        "/etc/systemd/system/serial-getty@ttyS0.service",
    );
    overlay.file("/etc/motd", 0o644, MESSAGE);
    overlay
}
