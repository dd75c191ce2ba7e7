//! `from-grub` and `verify` on a boot directory as Debian makes it: real grub.cfg text, real file
//! kinds, and everything that goes wrong with them.

use std::{fs, path::Path};

use tboot_policy::{
    module::Module,
    vlp::{Check, Policy, PolicyType},
};
use txt::hash::HashAlg;

use crate::boot_directory::{CMDLINE, World, gzip, tboot};

fn read_policy(path: &Path) -> Policy {
    Policy::parse(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_policy_from_an_entry_names_its_modules_with_their_command_lines() {
    let world = World::new();
    let (code, _, stderr) = world.make_policy(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("4th_gen_SINIT.bin (a SINIT module)"),
        "{stderr}"
    );
    let policy = read_policy(&world.path("p"));
    assert_eq!(policy.policy_type(), PolicyType::Halt);
    assert_eq!(policy.entries().len(), 2);
    let module = |name: &str, cmdline: &str, bytes: &[u8]| Module::new(name, cmdline, bytes);
    let alg = HashAlg::Sha256;
    let kernel = module("k", CMDLINE, b"MZ kernel").hash(alg).unwrap();
    let initrd = module("i", "", b"070701 cpio").hash(alg).unwrap();
    assert_eq!(policy.entries()[0].hashes, [kernel]);
    assert_eq!(policy.entries()[1].hashes, [initrd]);
    let pcrs: Vec<u8> = policy
        .entries()
        .iter()
        .map(|e| e.pcr.unwrap().get())
        .collect();
    assert_eq!(pcrs, [18, 19]);
    let (code, stdout, _) = world.verify();
    assert_eq!((code, stdout.lines().last()), (0, Some("tboot boots this")));
}

#[test]
fn a_changed_kernel_command_line_or_initramfs_is_told_from_the_approved_one() {
    let world = World::new();
    assert_eq!(world.make_policy(&[]).0, 0);
    fs::write(world.path("boot/initrd.img-6.1"), gzip(b"070701 other")).unwrap();
    let (code, stdout, _) = world.verify();
    assert_eq!(code, 2);
    assert!(stdout.contains("module 0: allowed") && stdout.contains("module 1: not allowed"));
    // The same content, compressed otherwise, is the same module.
    fs::write(world.path("boot/initrd.img-6.1"), b"070701 cpio").unwrap();
    assert_eq!(world.verify().0, 0);
    // One module more.
    fs::write(world.path("boot/more"), b"microcode").unwrap();
    world.write_config("module2 /boot/more");
    let (code, stdout, _) = world.verify();
    assert_eq!(code, 2);
    assert!(
        stdout.contains("module 2 (") && stdout.contains("has no entry"),
        "{stdout}"
    );
    let (_, json, _) = world.run(&["verify", "--json", "--root", ".", "--entry", "1>0", "p"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["boots"], false);
    assert_eq!(json["modules"][2]["verdict"], "no entry");
}

#[test]
fn measuring_only_allows_anything_and_says_so() {
    let world = World::new();
    assert_eq!(
        world
            .make_policy(&["--measure-only", "--kernel-pcr", "none"])
            .0,
        0
    );
    let policy = read_policy(&world.path("p"));
    assert!(
        policy
            .entries()
            .iter()
            .all(|entry| entry.check == Check::Any)
    );
    assert_eq!(policy.policy_type(), PolicyType::NonFatal);
    assert_eq!(policy.entries()[0].pcr, None);
    fs::write(world.path("boot/vmlinuz-6.1"), b"other").unwrap();
    let (code, stdout, _) = world.verify();
    assert_eq!(code, 0);
    assert!(stdout.contains("anything is allowed"));
}

#[test]
fn extpol_embedded_is_called_what_it_is() {
    let world = World::new();
    assert_eq!(world.make_policy(&[]).0, 0);
    let config = world.path("boot/grub/grub.cfg");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace("logging=serial,memory", "extpol=embedded"),
    )
    .unwrap();
    let (code, _, stderr) = world.verify();
    assert_eq!(code, 0);
    assert!(
        stderr.contains("with extpol=embedded tboot compares nothing"),
        "{stderr}"
    );
    let (code, _, stderr) = world.make_policy(&[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("extpol=embedded"), "{stderr}");
}

#[test]
fn a_policy_in_another_algorithm_than_tboots_is_refused() {
    let world = World::new();
    assert_eq!(world.make_policy(&[]).0, 0);
    let config = world.path("boot/grub/grub.cfg");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace("logging=serial,memory", "extpol=sha1"),
    )
    .unwrap();
    let (code, _, stderr) = world.verify();
    assert_eq!(code, 1);
    assert!(
        stderr.contains("holds sha256 hashes but tboot measures with sha1"),
        "{stderr}"
    );
}

#[test]
fn a_command_line_that_tboot_would_cut_is_refused() {
    let world = World::new();
    let config = world.path("boot/grub/grub.cfg");
    let text = fs::read_to_string(&config).unwrap();
    let max = txt::mlehash::Mle::parse(&tboot())
        .unwrap()
        .header()
        .max_cmdline()
        .unwrap();
    for (len, expected) in [(max, 0), (max + 1, 1)] {
        let long = "x".repeat(len);
        fs::write(&config, text.replace("logging=serial,memory", &long)).unwrap();
        let (code, _, stderr) = world.make_policy(&[]);
        assert_eq!(code, expected, "{stderr}");
        assert!(
            expected == 0 || stderr.contains("tboot would cut it"),
            "{stderr}"
        );
    }
}

/// What is appended to the entry, and a part of the refusal.
#[test]
fn what_cannot_be_known_is_refused_in_one_sentence() {
    let world = World::new();
    for (more, expected) in [
        ("module2 /boot/more $kernelopts", "--set kernelopts=VALUE"),
        ("module2 /boot/gone", "/boot/gone is not there; looked for"),
        (
            "multiboot2 /boot/tboot.gz",
            "both load a kernel with multiboot2",
        ),
        (
            "if [ $x ]; then\nmodule2 /boot/list.data\nfi",
            "under a condition",
        ),
        ("module2 'boot/vmlinuz-6.1'", "begins with / or (device)/"),
        ("module2 /boot/größe", "/boot/größe is not there"),
        ("module2 '/boot", "never ends"),
        ("module2 --nounzip /boot/initrd.img-6.1", "--nounzip"),
    ] {
        world.write_config(more);
        let (code, _, stderr) = world.make_policy(&[]);
        assert_eq!(code, 1, "{more}");
        assert!(stderr.contains(expected), "{more}: {stderr}");
        assert!(!stderr.contains("panicked"));
    }
    world.write_config("insmod xzio\nmodule2 /boot/xz");
    fs::write(world.path("boot/xz"), [0xfd, b'7', b'z', b'X', b'Z', 0, 1]).unwrap();
    assert!(world.make_policy(&[]).2.contains("xz file"));
    assert!(!world.path("p").exists());
}

#[test]
fn what_is_set_for_a_variable_counts() {
    let world = World::new();
    fs::write(world.path("boot/more"), b"x").unwrap();
    world.write_config("module2 /boot/more $kernelopts \"$kernelopts\"");
    let (code, _, stderr) = world.make_policy(&["--set", "kernelopts=a  b"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains(r#""a b \"a  b\"""#), "{stderr}");
}

#[test]
fn damaged_files_are_refused() {
    let world = World::new();
    let refused = |name: &str, content: &[u8], expected: &str| {
        let path = world.path(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let (code, _, stderr) = world.make_policy(&[]);
        assert_eq!(code, 1, "{name}");
        assert!(stderr.contains(expected), "{stderr}");
        fs::write(&path, before).unwrap();
    };
    refused("boot/tboot.gz", b"MZ another kernel", "is not tboot");
    let initrd = gzip(&[5; 1000]);
    refused(
        "boot/initrd.img-6.1",
        &initrd[..initrd.len() - 3],
        "damaged",
    );
    let mut data = fs::read(world.path("boot/list.data")).unwrap();
    data.resize(70_000, 0);
    refused("boot/list.data", &data, "takes at most 65536");
}

#[test]
fn entries_are_listed_and_strangers_named() {
    let world = World::new();
    let (code, stdout, _) = world.run(&["from-grub", "--root", ".", "--list"]);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("1>0") && stdout.contains("tboot and 4 modules"),
        "{stdout}"
    );
    let (code, _, stderr) = world.run(&[
        "from-grub",
        "--root",
        ".",
        "--output",
        "p",
        "gnulinux-simple",
    ]);
    assert_eq!(code, 1);
    assert!(stderr.contains("boots without tboot"), "{stderr}");
    let (_, _, stderr) = world.run(&["from-grub", "--root", ".", "--output", "p", "nothing"]);
    assert!(
        stderr.contains("no menu entry \"nothing\"; there are: 0: \"Debian GNU/Linux\""),
        "{stderr}"
    );
}

#[test]
fn every_entry_is_predicted_or_says_why_not() {
    let world = World::new();
    let platform = tboot_policy::platform::PlatformRecord {
        // The capabilities that this tboot's header leads to.
        ossinitdata_cap_hash: tboot_policy::platform::Measured::Data(vec![1, 2, 0, 0]),
        ..tboot_policy::platform::PlatformRecord::simulated()
    };
    let record = serde_json::to_string(&platform).unwrap();
    fs::write(world.path("platform"), record).unwrap();
    let config = world.path("boot/grub/grub.cfg");
    let text = fs::read_to_string(&config).unwrap();
    let more = "menuentry 'Gone' {\nmultiboot2 /boot/tboot.gz\nmodule2 /boot/gone\n}\n";
    fs::write(&config, text + more).unwrap();
    let (code, json, stderr) = world.run(&[
        "predict",
        "--all",
        "--json",
        "--platform",
        "platform",
        "--root",
        ".",
    ]);
    assert_eq!(code, 0, "{stderr}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3, "{json}");
    assert!(
        json[1]["entry"]
            .as_str()
            .unwrap()
            .starts_with("1>0: Debian")
    );
    assert_eq!(
        json[1]["prediction"]["pcrs"]["sha256"]["19"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    assert!(
        json[2]["error"]
            .as_str()
            .unwrap()
            .contains("/boot/gone is not there")
    );
    let one = world.run(&[
        "predict",
        "--json",
        "--entry",
        "1>0",
        "--platform",
        "platform",
        "--root",
        ".",
    ]);
    let one: serde_json::Value = serde_json::from_str(&one.1).unwrap();
    assert_eq!(one["pcrs"], json[1]["prediction"]["pcrs"]);
}
