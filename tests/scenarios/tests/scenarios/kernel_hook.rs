//! The kernel hook: what it makes, in which order, and what it leaves where it does nothing.

use std::{fs, process::Command};

use test_support::required;

use crate::hook_machine::{HookMachine, KERNELS, source};

const NEW: &str = "6.1.0-11-amd64";

#[test]
fn a_new_kernel_gets_image_entry_and_seal_and_then_the_first_place_in_the_menu() {
    let Some(m) = HookMachine::new() else { return };
    m.forget_calls();
    m.install_kernel(NEW);
    let run = m.run(&["add", NEW]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(m.image(NEW), format!("image of {NEW}\n# one\n"));
    m.assert_every_entry_unlocks("after add");
    m.assert_no_leftovers("after add");
    assert_eq!(m.launches().len(), 3);
    let first = m.config().find(&format!("'taoboot-tboot-{NEW}'")).unwrap();
    let second = m
        .config()
        .find(&format!("'taoboot-tboot-{}'", KERNELS[1]))
        .unwrap();
    assert!(first < second);
    let image = format!("/boot/initrd-taoboot-{NEW}");
    let entries: String = [KERNELS[0], KERNELS[1], NEW]
        .iter()
        .map(|v| format!(" --entry taoboot-tboot-{v}"))
        .collect();
    let settings = "--platform /var/lib/taoboot/platform.json --boot-menu /boot/grub/grub.cfg";
    let seal = format!("reseal --pending --skip-unknown {settings} --grub-config /var/lib/taoboot");
    assert_eq!(
        m.all_calls(),
        [
            "trust --settle".to_owned(),
            format!("reseal --take-back {settings}"),
            format!("trust {image} --built /var/lib/taoboot/work/image"),
            format!("{seal}/work/grub.cfg --replace {image}={image}.taoboot-new{entries}"),
            "trust --settle".to_owned(),
            format!("{seal}/grub.cfg{entries} --keep 0"),
            "check-next-boot --platform /var/lib/taoboot/platform.json --grub-config /boot/grub/grub.cfg"
                .into(),
        ]
    );
    assert!(run.stdout.contains("verdict"));
    assert!(
        run.stderr.contains("will unlock the disk automatically"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_menu_in_fedoras_place_is_the_one_that_is_made() {
    let Some(m) = HookMachine::new() else { return };
    fs::rename(m.path("boot/grub"), m.path("boot/grub2")).unwrap();
    fs::write(m.path("boot/grub2/grub.cfg"), "# empty\n").unwrap();
    let run = m.run(&["refresh"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let menu = fs::read_to_string(m.path("boot/grub2/grub.cfg")).unwrap();
    assert!(menu.contains("'taoboot-tboot-"), "{menu}");
    assert!(!m.path("boot/grub").exists());
}

#[test]
fn a_pin_is_not_called_automatic() {
    let Some(m) = HookMachine::new() else { return };
    let answer = "* 0: Debian: will ask for the PIN, then unlock (record 0)\n";
    std::fs::write(m.path("verdict"), answer).unwrap();
    let run = m.run(&["refresh"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains(answer), "{run:?}");
    assert!(
        run.stderr.contains("will unlock the disk after the PIN"),
        "{run:?}"
    );
}

#[test]
fn update_grub_afterwards_makes_the_same_menu() {
    let Some(m) = HookMachine::new() else { return };
    m.install_kernel(NEW);
    assert_eq!(m.run(&["add", NEW]).code, Some(0));
    let ours = m.config();
    let mut update = Command::new("grub-mkconfig");
    update.arg("-o").arg(m.path("boot/grub/grub.cfg"));
    m.prepare(&mut update);
    let run = m.finish(update);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(m.config(), ours);
    m.assert_every_entry_unlocks("after update-grub");
}

#[test]
fn nothing_changes_where_nothing_changed() {
    let Some(m) = HookMachine::new() else { return };
    let before = m.boot_files();
    for arguments in [&["refresh"][..], &["add", KERNELS[0]]] {
        let run = m.run(arguments);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(m.boot_files(), before);
        assert!(!run.stderr.contains(": new"), "{}", run.stderr);
    }
}

#[test]
fn a_kernel_that_is_installed_again_does_not_unseal_the_others() {
    let Some(m) = HookMachine::new() else { return };
    m.machine.write("etc/taoboot/image.toml", "# two\n");
    m.machine
        .write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
    let run = m.run(&["add", KERNELS[1]]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        m.image(KERNELS[0]),
        format!("image of {}\n# one\n", KERNELS[0])
    );
    assert_eq!(
        m.image(KERNELS[1]),
        format!("image of {}\n# two\n", KERNELS[1])
    );
    m.assert_every_entry_unlocks("after add");
}

/// What other scripts' entries boot may be a shell: the key is never sealed to them.
#[test]
fn entries_of_others_are_not_sealed_to() {
    let Some(m) = HookMachine::new() else { return };
    m.forget_calls();
    // Both images change, and the present menu has neither.
    let plain = "menuentry 'x' {\nmultiboot2 /tboot.gz\nmodule2 /vmlinuz\n}\n";
    m.machine.write("boot/grub/grub.cfg", plain);
    m.machine.write("etc/taoboot/image.toml", "# two\n");
    assert_eq!(m.run(&["refresh"]).code, Some(0));
    m.assert_every_entry_unlocks("after refresh");
    for call in m.calls().iter().filter(|call| call.starts_with("reseal")) {
        assert!(call.contains(" --entry taoboot-tboot-"), "{call}");
    }
}

#[test]
fn a_kernel_without_modules_does_not_keep_the_others_from_their_images() {
    let Some(m) = HookMachine::new() else { return };
    fs::remove_dir(m.path(&format!("modules/{}", KERNELS[0]))).unwrap();
    m.machine.write("etc/taoboot/image.toml", "# two\n");
    let run = m.run(&["refresh"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.stderr.contains("skipped: there is no"),
        "{}",
        run.stderr
    );
    assert_eq!(
        m.image(KERNELS[1]),
        format!("image of {}\n# two\n", KERNELS[1])
    );
    m.assert_every_entry_unlocks("after refresh");
}

#[test]
fn a_removed_kernel_takes_its_image_and_its_entry_along() {
    let Some(m) = HookMachine::new() else { return };
    let gone = KERNELS[1];
    // As Debian does: the kernel's files are gone when the hook runs.
    fs::remove_file(m.path(&format!("boot/vmlinuz-{gone}"))).unwrap();
    let run = m.run(&["remove", gone]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!m.config().contains(gone));
    assert!(!m.path(&format!("boot/initrd-taoboot-{gone}")).exists());
    m.assert_every_entry_unlocks("after remove");
    // By hand, with the kernel still there.
    let run = m.run(&["remove", KERNELS[0]]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!m.config().contains("taoboot-tboot-"));
    m.assert_no_leftovers("after remove");
}

#[test]
fn where_taoboot_is_not_set_up_a_word_is_said_and_nothing_done() {
    let Some(m) = HookMachine::new() else { return };
    m.install_kernel(NEW);
    m.forget_calls();
    let before = m.boot_files();
    let silent = |what: &str, arguments: &[&str]| {
        let run = m.run(arguments);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stderr.contains(what), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(m.calls().is_empty());
    };
    let away = |name: &str| fs::rename(m.path(name), m.path("away")).unwrap();
    let back = |name: &str| fs::rename(m.path("away"), m.path(name)).unwrap();
    for (name, sentence) in [
        ("etc/taoboot/image.toml", "is not set up here"),
        ("boot/tboot.gz", "no measured launch: nothing done"),
        ("etc/grub.d/20_linux_taoboot", "makes no menu entries"),
    ] {
        away(name);
        silent(sentence, &["add", NEW]);
        back(name);
    }
    m.machine
        .write("etc/default/taoboot", "TAOBOOT_HOOKS=false\n");
    silent("TAOBOOT_HOOKS=false", &["--hook", "add", NEW]);
    m.machine.write(
        "etc/default/taoboot",
        "TAOBOOT_GRUB_MKCONFIG=no-such-mkconfig\n",
    );
    silent("there is no no-such-mkconfig", &["add", NEW]);
    m.machine.write("etc/default/taoboot", "");
    m.machine.write(
        &format!("boot/config-{NEW}"),
        "# CONFIG_INTEL_TXT is not set\n",
    );
    silent("built without CONFIG_INTEL_TXT", &["add", NEW]);
    fs::write(
        m.path(&format!("boot/config-{NEW}")),
        "CONFIG_INTEL_TXT=y\n",
    )
    .unwrap();
    silent("there is no", &["add", "9.9"]);
    assert_eq!(m.boot_files(), before);
}

#[test]
fn without_a_recorded_launch_image_and_entry_are_made_and_nothing_is_sealed() {
    let Some(m) = HookMachine::new() else { return };
    fs::remove_file(m.path("var/lib/taoboot/platform.json")).unwrap();
    m.forget_calls();
    m.install_kernel(NEW);
    let run = m.run(&["add", NEW]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.stderr.contains("no launch has been recorded yet"),
        "{}",
        run.stderr
    );
    assert!(m.calls().is_empty());
    assert!(m.config().contains(&format!("taoboot-tboot-{NEW}")));
}

#[test]
fn wrong_usage_is_refused() {
    let Some(m) = HookMachine::new() else { return };
    for arguments in [
        &[][..],
        &["add"],
        &["add", "../../etc/passwd"],
        &["add", "-x"],
        &["add", ""],
        &["remove", "a b"],
        &["upgrade"],
        &["refresh", "now"],
    ] {
        let run = m.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?} {run:?}");
    }
}

#[test]
fn options_behind_two_dashes_go_to_reseal() {
    let Some(m) = HookMachine::new() else { return };
    m.forget_calls();
    m.machine.write(
        "etc/default/taoboot",
        "TAOBOOT_VOLUME='/dev/a b'\nTAOBOOT_KEEP=\n",
    );
    m.machine.write("etc/taoboot/image.toml", "# two\n");
    let run = m.run(&["refresh", "--", "--passphrase-file", "/p"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let calls = m.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(
        calls[0].starts_with("reseal --volume /dev/a b --pending")
            && calls[0].ends_with("--passphrase-file /p")
    );
    assert!(calls[1].starts_with("check-next-boot --volume /dev/a b --platform"));
}

#[test]
fn the_hooks_of_debian_and_of_kernel_install_call_it() {
    let Some(m) = HookMachine::new() else { return };
    m.install_kernel(NEW);
    let hook = |name: &str, arguments: &[&str], debian: Option<&str>| {
        let mut command = Command::new("sh");
        command.arg(source("hooks").join(name)).args(arguments);
        m.prepare(&mut command);
        command.env("TAOBOOT_KERNEL", source("hooks/kernel"));
        if let Some(debian) = debian {
            command.env("DEB_MAINT_PARAMS", debian);
        }
        let run = m.finish(command);
        assert_eq!(run.code, Some(0), "{run:?}");
    };
    let there = || m.path(&format!("boot/initrd-taoboot-{NEW}")).exists();
    hook("zy-taoboot.postinst", &[NEW], Some("'abort-upgrade' '1'"));
    assert!(!there());
    hook(
        "zy-taoboot.postinst",
        &[NEW, "/boot/vmlinuz"],
        Some("'configure' ''"),
    );
    assert!(there());
    hook("zy-taoboot.postrm", &[NEW], Some("'upgrade' '2'"));
    assert!(there());
    hook("zy-taoboot.postrm", &[NEW], Some("'remove'"));
    assert!(!there());
    hook(
        "90-taoboot.install",
        &["add", NEW, "/boot/x", "/boot/vmlinuz"],
        None,
    );
    assert!(there());
    hook("90-taoboot.install", &["remove", NEW, "/boot/x"], None);
    assert!(!there());
    hook("90-taoboot.install", &["inspect"], None);
}

#[test]
fn two_runs_wait_for_each_other() {
    let Some(m) = HookMachine::new() else { return };
    m.install_kernel(NEW);
    // Slow enough for the other to come in between.
    let slow = fs::read_to_string(m.path("bin/taoboot-image")).unwrap();
    m.program(
        "bin/taoboot-image",
        &slow.replace("#!/bin/sh\n", "#!/bin/sh\nsleep 0.5\n"),
    );
    let mut first = m.command(&["add", NEW]).spawn().unwrap();
    let mut second = m.command(&["refresh"]).spawn().unwrap();
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    m.assert_every_entry_unlocks("after both");
    m.assert_no_leftovers("after both");
    assert_eq!(m.launches().len(), 3);
}

#[test]
fn every_setting_is_explained() {
    let script = fs::read_to_string(source("hooks/kernel")).unwrap();
    let explained = fs::read_to_string(source("taoboot.default")).unwrap();
    let manual = fs::read_to_string(source("../docs/man/taoboot-kernel.8")).unwrap();
    let mut settings: Vec<&str> = script
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .filter(|word| word.starts_with("TAOBOOT_"))
        .collect();
    settings.sort_unstable();
    settings.dedup();
    let for_tests = ["SYSCONFDIR", "BOOT", "STATE", "MODULES"];
    settings.retain(|name| !for_tests.contains(&name.trim_start_matches("TAOBOOT_")));
    assert_eq!(settings.len(), 7);
    for setting in settings {
        assert!(explained.contains(&format!("\n#{setting}=")), "{setting}");
        assert!(manual.contains(setting), "{setting}");
    }
}

#[test]
fn shellcheck_finds_nothing() {
    let output = Command::new("shellcheck")
        .arg("--shell=sh")
        .args(
            [
                "kernel",
                "zy-taoboot.postinst",
                "zy-taoboot.postrm",
                "90-taoboot.install",
            ]
            .map(|name| source("hooks").join(name)),
        )
        .output();
    let Some(output) = required(output.ok(), "shellcheck") else {
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
