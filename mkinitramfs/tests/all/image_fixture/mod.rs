//! A tiny kernel modules tree, a static agent and the built `xtask image` to run
//! them through, for the tests of the image verb.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub const KERNEL: &str = "6.1.0-9-test";

/// A directory with everything an image is built from.
pub struct Fixture {
    pub top: TempDir,
}

/// Files of the modules tree: path below it, firmware it names.
const MODULES: &[(&str, &str)] = &[
    ("kernel/arch/x86/crypto/aesni-intel.ko", ""),
    ("kernel/arch/x86/crypto/crc32c-intel.ko", ""),
    ("kernel/crypto/cryptd.ko", ""),
    ("kernel/crypto/crc32c_generic.ko", ""),
    ("kernel/crypto/ecb.ko", ""),
    ("kernel/crypto/xts.ko", ""),
    ("kernel/drivers/block/virtio_blk.ko", ""),
    ("kernel/drivers/md/dm-crypt.ko", ""),
    ("kernel/drivers/md/dm-mod.ko", ""),
    ("kernel/drivers/net/netcard.ko", ""),
    ("kernel/drivers/nvme/nvme.ko", "nvme/blob.bin"),
    ("kernel/drivers/virtio/virtio.ko", ""),
    ("kernel/fs/ext4/ext4.ko", ""),
    ("kernel/fs/jbd2/jbd2.ko", ""),
    ("kernel/fs/xfs/xfs.ko", ""),
];

const DEP: &str = "\
kernel/arch/x86/crypto/aesni-intel.ko: kernel/crypto/cryptd.ko
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/crypto/cryptd.ko:
kernel/crypto/crc32c_generic.ko:
kernel/crypto/ecb.ko:
kernel/crypto/xts.ko:
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/md/dm-crypt.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-mod.ko:
kernel/drivers/net/netcard.ko:
kernel/drivers/nvme/nvme.ko:
kernel/drivers/virtio/virtio.ko:
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/xfs/xfs.ko:
";

const ALIAS: &str = "\
alias cpu:type:x86,ven*fam*mod*:feature:*0099* aesni_intel
alias crypto-aes aesni_intel
alias cpu:type:x86,ven*fam*mod*:feature:*0094* crc32c_intel
alias crypto-crc32c crc32c_intel
alias crypto-crc32c crc32c_generic
alias virtio:d00000002v* virtio_blk
alias pci:v*d*sv*sd*bc01sc08i02* nvme
alias pci:v00001234d*sv*sd*bc*sc*i* netcard
alias fs-ext4 ext4
alias fs-xfs xfs
";

impl Fixture {
    /// Everything in a temporary directory, module files written in `order`.
    pub fn new() -> Self {
        Self::in_order(|_| {})
    }

    /// As [`Self::new`], with the module files created in another order, so that
    /// readdir gives them differently.
    pub fn in_order(order: impl Fn(&mut Vec<usize>)) -> Self {
        let top = TempDir::new().unwrap();
        let modules = top.path().join("modules");
        let mut indices: Vec<usize> = (0..MODULES.len()).collect();
        order(&mut indices);
        for index in indices {
            let (path, firmware) = MODULES[index];
            let file = modules.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, module(path, firmware)).unwrap();
        }
        for (name, text) in [
            ("modules.dep", DEP),
            ("modules.alias", ALIAS),
            ("modules.softdep", "softdep ext4 pre: crypto-crc32c\n"),
            (
                "modules.builtin",
                "kernel/crypto/aes_generic.ko\nkernel/drivers/char/tpm/tpm_tis.ko\n",
            ),
        ] {
            fs::write(modules.join(name), text).unwrap();
        }
        fs::write(
            modules.join("modules.builtin.modinfo"),
            b"aes_generic.alias=crypto-aes\0aes_generic.file=crypto/aes_generic\0",
        )
        .unwrap();
        fs::create_dir_all(top.path().join("firmware/nvme")).unwrap();
        fs::write(top.path().join("firmware/nvme/blob.bin"), "firmware").unwrap();
        fs::write(top.path().join("taoboot.toml"), "# measured\n").unwrap();
        let fixture = Self { top };
        fixture.program("agent", &elf(0, ""));
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// Writes an executable. Through cp, because another test thread's fork could
    /// hold our descriptor open for writing, and running it would fail (ETXTBSY).
    pub fn program(&self, name: &str, bytes: &[u8]) {
        let data = self.path(&format!("{name}.data"));
        fs::write(&data, bytes).unwrap();
        run(Command::new("install")
            .arg("-m755")
            .arg(&data)
            .arg(self.path(name)));
    }

    /// `image` with the inputs of this fixture and more arguments.
    pub fn command(&self, output: &Path, more: &[&str]) -> Command {
        let mut command = image();
        command
            .args(["--kernel", KERNEL])
            .arg("--modules-dir")
            .arg(self.path("modules"))
            .arg("--firmware-dir")
            .arg(self.path("firmware"))
            .arg("--config")
            .arg(self.path("taoboot.toml"))
            .arg("--agent")
            .arg(self.path("agent"))
            .arg("--output")
            .arg(output)
            .args(more);
        command
    }

    /// Builds an image that must succeed and returns its bytes.
    pub fn build(&self, more: &[&str]) -> Vec<u8> {
        let output = self.path("initrd.img");
        run(&mut self.command(&output, more));
        fs::read(output).unwrap()
    }

    /// Builds an image that must be refused and returns the sentence.
    pub fn refused(&self, more: &[&str]) -> String {
        refusal(&mut self.command(&self.path("initrd.img"), more))
    }
}

/// The builder, as it is installed.
pub fn image() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taoboot-image"))
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a command that must fail with one line, and returns the line.
pub fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// A static ELF program that prints `says` to stderr and exits with `code`.
pub fn elf(code: u8, says: &str) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    let mut text = Vec::new();
    let message_at = BASE + 120 + 39;
    // mov eax,1; mov edi,2; mov rsi,message; mov edx,len; syscall
    text.extend([0xb8, 1, 0, 0, 0, 0xbf, 2, 0, 0, 0, 0x48, 0xbe]);
    text.extend(message_at.to_le_bytes());
    text.push(0xba);
    text.extend(u32::try_from(says.len()).unwrap().to_le_bytes());
    text.extend([0x0f, 0x05]);
    // mov eax,60; mov edi,code; syscall
    text.extend([0xb8, 60, 0, 0, 0, 0xbf, code, 0, 0, 0, 0x0f, 0x05]);
    assert_eq!(text.len(), 39);
    text.extend(says.as_bytes());
    let size = u64::try_from(120 + text.len()).unwrap();
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    out.extend((BASE + 120).to_le_bytes());
    out.extend(64_u64.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // One segment, readable and executable.
    out.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, BASE, BASE, size, size, 0x1000] {
        out.extend(word.to_le_bytes());
    }
    out.extend(text);
    out
}

/// A module file: an ELF object whose only content is `.modinfo`.
fn module(path: &str, firmware: &str) -> Vec<u8> {
    let mut modinfo = format!("description={path}\0").into_bytes();
    if !firmware.is_empty() {
        modinfo.extend(format!("firmware={firmware}\0firmware=not/there.bin\0").as_bytes());
    }
    let names = b"\0.modinfo\0.shstrtab\0";
    let modinfo_at = 64_u64;
    let modinfo_size = u64::try_from(modinfo.len()).unwrap();
    let names_at = modinfo_at + modinfo_size;
    let names_size = u64::try_from(names.len()).unwrap();
    let sections_at = (names_at + names_size).next_multiple_of(8);
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    out.extend(0_u64.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.extend(sections_at.to_le_bytes());
    out.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 3, 0, 2, 0]);
    out.extend(modinfo);
    out.extend(names);
    out.resize(usize::try_from(sections_at).unwrap(), 0);
    out.extend([0; 64]);
    for (name, kind, at, size) in [
        (1_u32, 1_u32, modinfo_at, modinfo_size),
        (10, 3, names_at, names_size),
    ] {
        out.extend(name.to_le_bytes());
        out.extend(kind.to_le_bytes());
        for word in [0, 0, at, size, 0, 1, 0] {
            out.extend(u64::to_le_bytes(word));
        }
    }
    out
}
