//! The real GRUB and the real tboot, in QEMU, with the entry that the real grub-mkconfig made: the
//! command lines that they print are those that this crate computes of the same grub.cfg.
//!
//! Needs QEMU, grub-pc-bin, and the downloaded kernel and tboot; without one of them the test says
//! so and passes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use test_support::{grub_machine::quoted, required};

use crate::machine::{Machine, Menus, text};

const GRUB: &str = "/usr/lib/grub/i386-pc";
/// As long as the slowest machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The real tboot and a kernel.
fn assets() -> Option<(PathBuf, PathBuf)> {
    let assets = std::env::var_os("TAOBOOT_ASSETS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/assets"),
        PathBuf::from,
    );
    let list = fs::read(assets.join("assets.json")).ok()?;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("assets.json is JSON");
    let tboot = PathBuf::from(list.get("tboot")?.as_str()?);
    let kernel = PathBuf::from(list.get("kernel")?.get("vmlinuz")?.as_str()?);
    (tboot.exists() && kernel.exists()).then_some((tboot, kernel))
}

fn missing() -> Option<&'static str> {
    let has = |program: &str| {
        let found = Command::new(program).arg("--version").output();
        found.is_ok_and(|output| output.status.success())
    };
    if !has("qemu-system-x86_64") {
        Some("QEMU")
    } else if !has("grub-mkimage") || !Path::new(GRUB).join("boot.img").exists() {
        Some("grub-pc-bin")
    } else {
        None
    }
}

/// GRUB on a disk of its own, which reads its menu from the second disk.
fn loader(directory: &Path) -> PathBuf {
    let (early, core) = (directory.join("early.cfg"), directory.join("core.img"));
    fs::write(
        &early,
        "serial --unit=0 --speed=115200\nterminal_output serial\nconfigfile (hd1)/grub.cfg\n",
    )
    .unwrap();
    let made = Command::new("grub-mkimage")
        .args(["-O", "i386-pc", "-p", "(hd1)/", "-o"])
        .arg(&core)
        .arg("-c")
        .arg(&early)
        .args([
            "biosdisk",
            "tar",
            "multiboot2",
            "gzio",
            "configfile",
            "normal",
            "serial",
        ])
        .args([
            "terminal",
            "echo",
            "search",
            "search_fs_uuid",
            "test",
            "part_msdos",
            "ext2",
        ])
        .status()
        .unwrap();
    assert!(made.success());
    let mut disk = fs::read(Path::new(GRUB).join("boot.img")).unwrap();
    disk.truncate(512);
    disk.extend(fs::read(core).unwrap());
    disk.resize(4 << 20, 0);
    let path = directory.join("loader.img");
    fs::write(&path, disk).unwrap();
    path
}

/// Kills the machine however the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("QEMU can be killed");
        self.0.wait().expect("QEMU ends");
    }
}

/// What the serial port says, up to the kernel's command line.
fn boot(loader: &Path, boot: &Path, serial: &Path) -> String {
    let drive = |path: &Path, index: u8| {
        format!(
            "file={},format=raw,if=ide,index={index},snapshot=on",
            path.display()
        )
    };
    let child = Command::new("qemu-system-x86_64")
        .args([
            "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", "256", "-display", "none",
        ])
        .args([
            "-vga",
            "none",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-serial",
        ])
        .arg(format!("file:{}", serial.display()))
        .args(["-drive", &drive(loader, 0), "-drive", &drive(boot, 1)])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let begin = Instant::now();
    loop {
        let said = text(&fs::read(serial).unwrap_or_default());
        let kernel = said.split_once("] Command line: ");
        if kernel.is_some_and(|(_, rest)| rest.contains('\n')) {
            return said;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "the kernel said nothing:\n{said}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What follows a mark, to the line's end.
fn line<'a>(said: &'a str, mark: &str) -> &'a str {
    let (_, rest) = said
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark:?} in:\n{said}"));
    rest.lines().next().unwrap().trim_end_matches('\r')
}

#[test]
fn grub_and_tboot_see_the_command_lines_that_are_computed() {
    if let Some(missing) = missing() {
        required(None::<()>, missing);
        return;
    }
    let found = required(
        assets(),
        "a kernel and tboot (cargo xtask setup downloads them)",
    );
    let Some((tboot, kernel)) = found else {
        return;
    };
    let Some(machine) = Machine::new() else {
        return;
    };
    let version = "6.1.0-10-amd64";
    fs::copy(tboot, machine.path("boot/tboot.gz")).unwrap();
    fs::copy(kernel, machine.path(&format!("boot/vmlinuz-{version}"))).unwrap();
    machine.program(
        "etc/grub.d/00_header",
        &format!("#!/bin/sh\nprintf '%s\\n' 'set timeout=0' \"set default='taoboot-tboot>taoboot-tboot-{version}'\"\n"),
    );
    let linux = r#"console=ttyS0 earlyprintk=serial,ttyS0 dyndbg="file a +p" memmap=1G$4G"#;
    let default = r#"it's a|b&c<d>e; {x} #y größe \\\\ \x20 * ${root} "" if fi z"#;
    let for_tboot = r#"logging=serial,memory  "a  b" c\ d it's "x\"y" $y;{z}|&"#;
    machine.write(
        "etc/default/grub",
        &format!(
            "GRUB_CMDLINE_LINUX={}\nGRUB_CMDLINE_LINUX_DEFAULT={}\n",
            quoted(linux),
            quoted(default)
        ),
    );
    machine.write(
        "etc/default/grub-taoboot",
        &format!("GRUB_TAOBOOT_CMDLINE_TBOOT={}\n", quoted(for_tboot)),
    );
    let (menu, stderr) = machine.menu();
    let entry = menu
        .find(&format!("taoboot-tboot-{version}"))
        .unwrap()
        .boot()
        .unwrap();
    fs::copy(machine.path("grub.cfg"), machine.path("boot/grub.cfg")).unwrap();
    let archive = machine.path("boot.tar");
    let packed = Command::new("tar")
        .args(["--format=ustar", "-cf"])
        .arg(&archive)
        .args(["-C"])
        .arg(machine.path("boot"))
        .args([
            "grub.cfg",
            "tboot.gz",
            &format!("vmlinuz-{version}"),
            &format!("initrd-taoboot-{version}"),
        ])
        .status()
        .unwrap();
    assert!(packed.success());
    let loader = loader(machine.directory.path());
    let said = boot(&loader, &archive, &machine.path("serial"));
    assert!(
        said.contains("TBOOT: transfering control to kernel"),
        "{stderr}\n{said}"
    );
    assert_eq!(
        line(&said, "TBOOT: command line: "),
        text(&entry.loader.cmdline)
    );
    assert_eq!(
        line(&said, "] Command line: "),
        text(&entry.modules[0].cmdline)
    );
}
