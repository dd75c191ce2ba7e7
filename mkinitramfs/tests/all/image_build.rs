//! The image builder, through its command line.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use crate::image_fixture::{Fixture, KERNEL, elf, image, refusal, run};

pub fn plan(fixture: &Fixture, more: &[&str]) -> String {
    fixture.build(more);
    let output = run(image()
        .arg("cat")
        .arg(fixture.path("initrd.img"))
        .arg("/etc/taoboot.modules"));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_minimal_plan_holds_the_base_and_ext4_with_what_they_hide() {
    assert_eq!(
        plan(&Fixture::new(), &[]),
        format!(
            "\
# taoboot module plan 1
kernel {KERNEL}
module aesni_intel kernel/arch/x86/crypto/aesni-intel.ko cryptd
module crc32c_generic kernel/crypto/crc32c_generic.ko
module crc32c_intel kernel/arch/x86/crypto/crc32c-intel.ko
module cryptd kernel/crypto/cryptd.ko
module dm_crypt kernel/drivers/md/dm-crypt.ko dm_mod
module dm_mod kernel/drivers/md/dm-mod.ko
module ecb kernel/crypto/ecb.ko
module ext4 kernel/fs/ext4/ext4.ko crc32c_generic jbd2
module jbd2 kernel/fs/jbd2/jbd2.ko crc32c_generic
module xts kernel/crypto/xts.ko ecb
builtin aes_generic
builtin tpm_tis
optional aesni_intel
optional crc32c_intel
always dm_mod
always ecb
always xts
always dm_crypt
always ext4
"
        )
    );
}

#[test]
fn a_named_root_file_system_replaces_ext4() {
    let text = plan(
        &Fixture::new(),
        &["--module", "xfs", "--module", "virtio-blk"],
    );
    assert!(!text.contains("ext4"), "{text}");
    assert!(
        text.contains("always xfs\n") && text.contains("always virtio_blk\n"),
        "{text}"
    );
}

#[test]
fn the_bytes_depend_on_nothing_but_the_content() {
    for form in ["zstd", "gzip", "xz", "lz4", "none"] {
        let one = Fixture::new();
        let two = Fixture::in_order(|indices| indices.reverse());
        let added = [
            "--add",
            "taoboot.toml:/etc/extra",
            "--compress",
            form,
            "--generic",
        ];
        let mut first = one.command(&one.path("initrd.img"), &added);
        run(first.current_dir(one.top.path()).env("TZ", "Asia/Tokyo"));
        // Another directory, umask, time zone, language and file times.
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "umask 077; find . -exec touch -d 2001-02-03 {} +; exec \"$@\"",
            "sh",
        ]);
        let second = two.command(&two.path("initrd.img"), &added);
        shell.arg(second.get_program()).args(second.get_args());
        run(shell
            .current_dir(two.top.path())
            .env("TZ", "UTC+7")
            .env("LC_ALL", "C"));
        let (one, two) = (
            fs::read(one.path("initrd.img")).unwrap(),
            fs::read(two.path("initrd.img")).unwrap(),
        );
        assert!(one == two, "{form}");
    }
}

#[test]
fn the_mode_is_0644_whatever_the_umask() {
    let fixture = Fixture::new();
    let command = fixture.command(&fixture.path("initrd.img"), &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    run(shell.arg(command.get_program()).args(command.get_args()));
    let mode = fs::metadata(fixture.path("initrd.img"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[test]
fn wrong_input_is_one_sentence_and_leaves_the_old_image() {
    let fixture = Fixture::new();
    let old = fixture.build(&[]);
    fixture.program(
        "picky",
        &elf(3, "taoboot.toml line 1: unknown key \"colour\""),
    );
    fs::write(fixture.path("script"), "#!/bin/sh\n").unwrap();
    fs::write(fixture.path("ucode"), "no microcode").unwrap();
    let at = |name: &str| fixture.path(name).to_str().unwrap().to_owned();
    for (more, words) in [
        (
            vec!["--module", "virtio_bkl"],
            "the nearest names are virtio_blk",
        ),
        (vec!["--module", ""], "neither a module nor built in"),
        (vec!["--generic", "--host-only"], "exclude each other"),
        (vec!["--add", "x"], "is not FILE:PATH"),
        (vec!["--add", "/none:/etc/x"], "cannot read /none"),
        (vec!["--add", "/dev/zero:/etc/x"], "not a regular file"),
        (
            vec!["--add", "/etc/hostname:/init"],
            "/init is in the image already",
        ),
        (
            vec!["--add", "/etc/hostname:/etc/../x"],
            "\"..\" components",
        ),
        (
            vec!["--microcode", &at("ucode")],
            "neither as Intel nor as AMD",
        ),
        (vec!["--host-only", "--sysfs", "/none"], "--generic"),
    ] {
        let sentence = fixture.refused(&more);
        assert!(sentence.contains(words), "{sentence}");
    }
    for (option, value, words) in [
        ("--agent", at("picky"), "unknown key \"colour\""),
        ("--agent", at("script"), "not a 64-bit ELF"),
        ("--agent", "/none".into(), "cannot read the agent /none"),
        ("--config", "/none".into(), "cannot read --config /none"),
        ("--kernel", "../6.1".into(), "is not a kernel version"),
        ("--modules-dir", "/none".into(), "/none is not there"),
        (
            "--modules-dir",
            at("firmware"),
            "modules.dep is missing: run depmod",
        ),
        ("--output", "/dev/full".into(), "not a regular file"),
    ] {
        let whole = fixture.command(&fixture.path("initrd.img"), &[]);
        let mut args: Vec<_> = whole.get_args().map(std::ffi::OsStr::to_owned).collect();
        let place = args.iter().position(|arg| arg == option).unwrap();
        args[place + 1] = value.into();
        let sentence = refusal(Command::new(whole.get_program()).args(&args));
        assert!(sentence.contains(words), "{sentence}");
    }
    assert!(fs::read(fixture.path("initrd.img")).unwrap() == old);
}

#[test]
fn a_full_disk_leaves_the_old_image_and_no_rest() {
    let fixture = Fixture::new();
    let old = fixture.build(&[]);
    let before = fs::read_dir(fixture.top.path()).unwrap().count();
    let command = fixture.command(&fixture.path("initrd.img"), &["--compress", "none"]);
    let mut shell = Command::new("sh");
    // Files end at 4 KiB (8 blocks of 512); the signal that would kill is ignored.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]);
    let sentence = refusal(shell.arg(command.get_program()).args(command.get_args()));
    assert!(
        sentence.contains("is unchanged") && sentence.contains("ulimit -f"),
        "{sentence}"
    );
    assert!(fs::read(fixture.path("initrd.img")).unwrap() == old);
    assert_eq!(fs::read_dir(fixture.top.path()).unwrap().count(), before);
}

#[test]
fn the_json_summary_tells_what_is_in_the_image() {
    let fixture = Fixture::new();
    let output = run(&mut fixture.command(&fixture.path("initrd.img"), &["--generic", "--json"]));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sum = run(Command::new("sha256sum")
        .stdin(Stdio::null())
        .arg(fixture.path("initrd.img")));
    assert!(
        String::from_utf8(sum.stdout)
            .unwrap()
            .starts_with(json["sha256"].as_str().unwrap())
    );
    assert_eq!(json["kernel"], KERNEL);
    assert_eq!(json["firmware"][0], "nvme/blob.bin");
    assert_eq!(json["firmware_missing"][0], "not/there.bin");
    assert_eq!(
        json["size"],
        fs::metadata(fixture.path("initrd.img")).unwrap().len()
    );
}

#[test]
fn the_kernel_s_configuration_decides_how_the_image_is_packed() {
    let fixture = Fixture::new();
    let config = fixture.path("modules/config");
    fs::write(&config, "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n").unwrap();
    assert!(fixture.build(&[]).starts_with(&[0x1f, 0x8b]));
    let sentence = fixture.refused(&["--compress", "zstd"]);
    assert!(sentence.contains("no CONFIG_RD_ZSTD=y"), "{sentence}");
    let given = fixture.path("given");
    fs::write(&given, "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_ZSTD=y\n").unwrap();
    let given = given.to_str().unwrap();
    assert!(
        fixture
            .build(&["--kernel-config", given])
            .starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
    );
}
