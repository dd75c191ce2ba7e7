//! Whoever had the disk in hands wrote to /boot, and waits for the next update: nothing that he
//! put there is sealed for. With the real `taoboot`, `tboot-policy`, a LUKS2 volume and a TPM.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::hook_machine::sealed::Sealed;
use crate::hook_machine::{KERNELS, Run, STATE, source};
use serde_json::Value;

const NEW: &str = "6.1.0-11-amd64";
const PLANTED: &str = "6.1.0-8-amd64";

/// A machine on which every entry unlocks.
fn machine() -> Option<Sealed> {
    let m = Sealed::new()?;
    succeeded(&m.run(&["refresh"], true));
    Some(m)
}

fn succeeded(run: &Run) {
    assert_eq!(run.code, Some(0), "{run:?}");
}

fn launch(m: &Sealed, version: &str) -> Value {
    m.machine.launches()[&format!("taoboot-tboot-{version}")].clone()
}

#[test]
fn a_planted_kernel_and_an_overwritten_image_get_no_record_from_a_genuine_update() {
    let Some(m) = machine() else { return };
    let genuine = launch(&m, KERNELS[0]);
    m.machine.plant_kernel(PLANTED);
    m.machine
        .machine
        .write(&format!("boot/initrd-taoboot-{PLANTED}"), "evil");
    m.machine
        .machine
        .write(&format!("boot/initrd-taoboot-{}", KERNELS[0]), "evil");
    m.machine.install_kernel(NEW);
    let run = m.run(&["add", NEW], true);
    succeeded(&run);
    for version in [PLANTED, KERNELS[0]] {
        assert!(!m.opens(&launch(&m, version)), "{version}: {run:?}");
    }
    for version in [KERNELS[1], NEW] {
        assert!(m.opens(&launch(&m, version)), "{version}: {run:?}");
    }
    let image = |version: &str| format!("/boot/initrd-taoboot-{version} is not known");
    let kernel = format!("/boot/vmlinuz-{PLANTED} is not known: no package has installed it");
    // Sealing says it, and so does check-next-boot.
    for text in [&run.stderr, &run.stdout] {
        assert!(text.contains(&kernel), "{text}");
        assert!(text.contains(&image(PLANTED)), "{text}");
        assert!(text.contains(&image(KERNELS[0])), "{text}");
    }
    // The image is made anew, and then it is the one that was sealed for before.
    succeeded(&m.run(&["refresh"], true));
    assert_eq!(launch(&m, KERNELS[0]), genuine);
    assert!(m.opens(&genuine));
    // For the planted kernel an image was made as well; the kernel is known as little as before.
    assert!(!m.opens(&launch(&m, PLANTED)));
}

#[test]
fn a_kernel_that_is_not_what_its_package_installed_is_not_put_into_place() {
    let Some(m) = machine() else { return };
    m.machine.install_kernel(NEW);
    let kernel = format!("boot/vmlinuz-{NEW}");
    m.machine.machine.write(&kernel, "evil");
    let before = m.machine.boot_files();
    let run = m.run(&["add", NEW], true);
    assert_eq!(run.code, Some(1), "{run:?}");
    let said = format!("is not that which the package linux-image-{NEW} 1 installed");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert_eq!(m.machine.boot_files(), before);
    // Known once, and then another version is installed: the old one is not known any more.
    m.machine.machine.write(&kernel, "kernel");
    succeeded(&m.run(&["add", NEW], true));
    let old = launch(&m, NEW);
    m.machine.machine.write(&kernel, "kernel 2");
    m.machine.package(&format!("linux-image-{NEW}"), &kernel);
    succeeded(&m.run(&["add", NEW], true));
    assert!(m.opens(&launch(&m, NEW)) && !m.opens(&old));
    m.machine.machine.write(&kernel, "kernel");
    let run = m.run(&["refresh"], true);
    assert!(!m.opens(&old), "{run:?}");
    assert!(run.stderr.contains("is not known"), "{run:?}");
}

#[test]
fn a_second_tboot_gets_no_record_until_it_is_named() {
    let Some(m) = machine() else { return };
    let evil = source("../lcp/tests/vectors/mlehash/two-seg-contig.elf.gz");
    fs::copy(evil, m.machine.path("boot/tboot-2.gz")).unwrap();
    let records = m.records();
    let run = m.run(&["refresh"], true);
    succeeded(&run);
    assert!(
        run.stderr.contains("/boot/tboot-2.gz is not known"),
        "{run:?}"
    );
    assert_eq!(m.records(), records);
    m.trust("boot/tboot-2.gz");
    let run = m.run(&["refresh"], true);
    succeeded(&run);
    assert!(!run.stderr.contains("is not known"), "{run:?}");
    assert_eq!(m.records(), 2 * records);
}

/// As distributions without dpkg have it.
#[test]
fn a_kernel_that_is_a_copy_of_the_one_on_the_encrypted_root_is_known() {
    let Some(m) = machine() else { return };
    m.machine.plant_kernel(NEW);
    let run = m.run(&["add", NEW], true);
    assert_eq!(run.code, Some(1), "{run:?}");
    let modules = m.machine.path(&format!("lib/modules/{NEW}"));
    fs::create_dir_all(&modules).unwrap();
    let kernel = m.machine.path(&format!("boot/vmlinuz-{NEW}"));
    fs::copy(&kernel, modules.join("vmlinuz")).unwrap();
    succeeded(&m.run(&["add", NEW], true));
    assert!(m.opens(&launch(&m, NEW)));
    // An update of it, and the old one put back.
    fs::write(modules.join("vmlinuz"), "kernel 2").unwrap();
    let run = m.run(&["refresh"], true);
    assert!(run.stderr.contains("is not known"), "{run:?}");
}

/// The headers of a SINIT module.
fn sinit(mark: u8) -> Vec<u8> {
    let mut acm = vec![0u8; 1024];
    acm[0] = 2;
    acm[4..8].copy_from_slice(&161u32.to_le_bytes());
    acm[16..20].copy_from_slice(&0x8086u32.to_le_bytes());
    acm[24..28].copy_from_slice(&256u32.to_le_bytes());
    acm[124..128].copy_from_slice(&20u32.to_le_bytes());
    let table = (161 + 20) * 4;
    acm[table..table + 17].copy_from_slice(&[
        0xaa, 0x3a, 0xc0, 0x7f, 0xa7, 0x46, 0xdb, 0x18, 0x2e, 0xac, 0x69, 0x8f, 0x8d, 0x41, 0x7f,
        0x5a, 1,
    ]);
    acm[1000] = mark;
    acm
}

#[test]
fn a_sinit_module_that_was_swapped_keeps_every_new_launch_from_being_sealed_for() {
    let Some(m) = machine() else { return };
    let module = m.machine.path("boot/5th_gen_sinit.bin");
    fs::write(&module, sinit(1)).unwrap();
    m.trust("boot/5th_gen_sinit.bin");
    m.machine.install_kernel(NEW);
    succeeded(&m.run(&["add", NEW], true));
    assert!(m.opens(&launch(&m, NEW)));
    fs::write(&module, sinit(2)).unwrap();
    m.machine.machine.write("etc/taoboot/image.toml", "# two\n");
    let before = m.machine.boot_files();
    let run = m.run(&["refresh"], true);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains("/boot/5th_gen_sinit.bin is not known: its content is not that which `taoboot trust` was given"),
        "{run:?}"
    );
    assert_eq!(m.machine.boot_files(), before);
}

#[test]
fn a_menu_that_was_changed_in_boot_is_not_sealed_to_at_any_moment() {
    let Some(m) = machine() else { return };
    // Every menu in /boot gets a shell whenever something is sealed.
    m.machine.program(
        "bin/taoboot",
        &fs::read_to_string(m.machine.path("bin/taoboot"))
            .unwrap()
            .replace(
                "#!/bin/sh\n",
                "#!/bin/sh\nfor menu in \"$TEST_ROOT\"/boot/grub/grub.cfg*; do\n\
                 sed -i 's/\\(module2.*vmlinuz.*\\) ro/\\1 rd.break ro/' \"$menu\"\ndone\n",
            ),
    );
    m.machine.machine.write("etc/taoboot/image.toml", "# two\n");
    m.machine
        .machine
        .write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
    let run = m.run(&["refresh"], true);
    succeeded(&run);
    assert!(
        m.machine.config().contains("rd.break"),
        "the attack is one: {}",
        m.machine.config()
    );
    for (id, pcrs) in m.machine.launches() {
        assert!(!m.opens(&pcrs), "{id}: {run:?}");
    }
    // The menu as it was generated is what was sealed to.
    let genuine = fs::read_to_string(m.machine.path(STATE).join("grub.cfg")).unwrap();
    assert!(!genuine.contains("rd.break"), "{genuine}");
    fs::write(m.machine.path("boot/grub/grub.cfg"), genuine).unwrap();
    for (id, pcrs) in m.machine.launches() {
        assert!(m.opens(&pcrs), "{id}: {run:?}");
    }
}

#[test]
fn a_menu_in_boot_is_not_taken_from_there_by_hand_either() {
    let Some(m) = machine() else { return };
    let taoboot = |arguments: &[&str]| {
        let mut command = m.command(&["refresh"]);
        let environment: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.unwrap().to_owned()))
            .collect();
        command = std::process::Command::new(m.machine.path("bin/taoboot"));
        command.args(arguments).envs(environment);
        command.arg("--volume").arg(m.machine.path("volume"));
        command
            .arg("--passphrase-file")
            .arg(m.machine.path("passphrase"));
        m.machine.finish(command)
    };
    let menu = m.machine.path("boot/grub/grub.cfg");
    let run = taoboot(&["reseal", "--grub-config", menu.to_str().unwrap()]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("is in /boot"), "{run:?}");
    // The kept menu is the one that is in place: that is read.
    succeeded(&taoboot(&["reseal"]));
    fs::write(&menu, m.machine.config().replace(" ro", " rd.break ro")).unwrap();
    let run = taoboot(&["reseal"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn a_link_and_a_file_that_changes_all_the_time_get_no_record() {
    let Some(m) = machine() else { return };
    let kernel = m.machine.path(&format!("boot/vmlinuz-{}", KERNELS[0]));
    let aside = m.machine.path("aside");
    fs::rename(&kernel, &aside).unwrap();
    symlink(&aside, &kernel).unwrap();
    m.machine
        .machine
        .write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
    let run = m.run(&["refresh"], true);
    succeeded(&run);
    assert!(run.stderr.contains("is a symbolic link"), "{run:?}");
    assert!(!m.opens(&launch(&m, KERNELS[0])));
    assert!(m.opens(&launch(&m, KERNELS[1])));
    fs::remove_file(&kernel).unwrap();
    fs::copy(&aside, &kernel).unwrap();
    succeeded(&m.run(&["refresh"], true));

    // What an evil kernel would have with each of the coming images.
    let evil = m.machine.path("evil");
    fs::write(&evil, "evil").unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let coming = m.machine.path("boot/coming");
            while !stop.load(Ordering::Relaxed) {
                for from in [&evil, &aside] {
                    fs::copy(from, &coming).unwrap();
                    fs::rename(&coming, &kernel).unwrap();
                    thread::sleep(Duration::from_micros(300));
                }
            }
        });
        for number in 0..6 {
            let config = format!("# number {number}\n");
            m.machine.machine.write("etc/taoboot/image.toml", &config);
            m.run(&["refresh"], true);
        }
        stop.store(true, Ordering::Relaxed);
    });
    m.machine
        .machine
        .write("etc/taoboot/image.toml", "# last\n");
    fs::copy(&aside, &kernel).unwrap();
    let last = m.run(&["refresh"], true);
    succeeded(&last);
    assert!(m.opens(&launch(&m, KERNELS[0])));
    fs::copy(&evil, &kernel).unwrap();
    assert!(!m.opens(&launch(&m, KERNELS[0])));
}

#[test]
fn a_run_that_fails_or_is_killed_after_sealing_leaves_no_new_record() {
    let Some(m) = machine() else { return };
    let before = m.records();
    m.machine.install_kernel(NEW);
    // The first thing that is done after sealing.
    m.machine.program("bin/sync", "#!/bin/sh\nexit 1\n");
    let run = m.run(&["add", NEW], true);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains(": sealed, record")
            || run.stdout.contains(": sealed, record")
            || run.stderr.contains("taken back"),
        "{run:?}"
    );
    assert_eq!(m.records(), before, "{run:?}");
    m.machine.program("bin/sync", "#!/bin/sh\nkill -9 0\n");
    let run = m.run(&["add", NEW], true);
    assert_eq!(run.code, None, "{run:?}");
    assert_eq!(m.records(), before + 1, "{run:?}");
    fs::remove_file(m.machine.path("bin/sync")).unwrap();
    // The kernel goes again: nothing needs its record, and no passphrase is needed to see that.
    let settings = fs::read_to_string(m.machine.path("etc/default/taoboot")).unwrap();
    m.machine.machine.write(
        "etc/default/taoboot",
        &settings.replace("TAOBOOT_KEEP=0", "TAOBOOT_KEEP="),
    );
    fs::remove_file(m.machine.path(&format!("boot/vmlinuz-{NEW}"))).unwrap();
    let run = m.run(&["remove", NEW], false);
    succeeded(&run);
    assert!(run.stderr.contains("taken back"), "{run:?}");
    assert_eq!(m.records(), before, "{run:?}");
}
