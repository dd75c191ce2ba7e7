//! A machine's /etc and /boot in a directory, with the real grub-mkconfig.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use crate::required::required;

const MKCONFIG: &str = "/usr/sbin/grub-mkconfig";

/// The script that writes the entries.
pub fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../grub.d/20_linux_taoboot")
}

/// A machine's /etc and /boot.
pub struct Machine {
    /// Where they are.
    pub directory: tempfile::TempDir,
}

impl Machine {
    /// `None` where there is no grub-mkconfig, unless nothing may be missing (see [`required`]).
    pub fn new() -> Option<Self> {
        let mkconfig = required(
            fs::read_to_string(MKCONFIG).ok(),
            "/usr/sbin/grub-mkconfig (Debian package grub-common)",
        )?;
        let machine = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for directory in ["etc/default", "etc/grub.d", "boot", "bin"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        let root = machine.directory.path().display();
        let moved = mkconfig
            .replace("sysconfdir=\"/etc\"", &format!("sysconfdir=\"{root}/etc\""))
            .replace(
                "sbindir=\"${exec_prefix}/sbin\"",
                &format!("sbindir=\"{root}/bin\""),
            );
        assert!(moved.contains(&format!("{root}/etc")) && moved.contains(&format!("{root}/bin")));
        machine.program("bin/grub-mkconfig", &moved);
        machine.program(
            "bin/grub-probe",
            "#!/bin/sh\ncase \"$*\" in\n*target=device*) echo /dev/sda1;;\n*fs_uuid*) echo 0815-4711;;\n\
             *partmap*) echo msdos;;\n*compatibility_hint*) echo hd1;;\n*target=fs*) echo ext2;;\nesac\n",
        );
        // /boot is a file system of its own: GRUB sees its files below /.
        machine.program(
            "bin/grub-mkrelpath",
            &format!("#!/bin/sh\nprintf '%s\\n' \"${{1#{root}/boot}}\"\n"),
        );
        fs::copy(script(), machine.path("etc/grub.d/20_linux_taoboot")).unwrap();
        // An empty grub.cfg is an error for grub-mkconfig.
        machine.program("etc/grub.d/00_header", "#!/bin/sh\necho 'set timeout=1'\n");
        machine.kernel("6.1.0-9-amd64", "CONFIG_INTEL_TXT=y\n", true);
        machine.kernel("6.1.0-10-amd64", "CONFIG_INTEL_TXT=y\n", true);
        machine.write("boot/tboot.gz", "tboot");
        Some(machine)
    }

    /// A path below the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a program.
    pub fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Installs a kernel, with its config and with or without an image.
    pub fn kernel(&self, version: &str, config: &str, image: bool) {
        self.write(&format!("boot/vmlinuz-{version}"), "kernel");
        self.write(&format!("boot/config-{version}"), config);
        if image {
            self.write(&format!("boot/initrd-taoboot-{version}"), "image");
        }
    }

    /// Runs grub-mkconfig, which runs grub-script-check on what it made: (grub.cfg, stderr).
    pub fn mkconfig(&self) -> (String, String) {
        let output = Command::new("sh")
            .arg(self.path("bin/grub-mkconfig"))
            .arg("-o")
            .arg(self.path("grub.cfg"))
            .env("EUID", "0")
            .env("grub_probe", self.path("bin/grub-probe"))
            .env("grub_mkrelpath", self.path("bin/grub-mkrelpath"))
            .env("GRUB_TAOBOOT_SYSCONFDIR", self.path("etc"))
            .env("GRUB_TAOBOOT_BOOT", self.path("boot"))
            .env("GRUB_TAOBOOT_MODULES", self.path("modules"))
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        (fs::read_to_string(self.path("grub.cfg")).unwrap(), stderr)
    }
}

/// Text, whatever the bytes.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A text as one word for a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
