//! `grub.d/20_linux_taoboot` run by the real `grub-mkconfig`, in a directory of its own: what it makes,
//! what it skips, and that every command line reaches the kernel as it was meant. `grub-probe` and
//! `grub-mkrelpath`, which need real disks, are stood in for by two scripts.

use std::{fs, path::Path, process::Command};

use tboot_policy::grub::BootEntry;
use test_support::{grub_machine::script, required};

use crate::machine::{Machine, Menus, text};

#[test]
fn the_newest_kernel_comes_first_and_sinit_and_policy_data_last() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.kernel("6.1.0~rc3-amd64", "CONFIG_INTEL_TXT=y\n", true);
    machine.write("boot/4th_gen_SINIT.bin", "sinit");
    machine.write("boot/list.data", "data");
    machine.write("boot/tboot-1.11.gz", "tboot");
    machine.write(
        "etc/default/grub",
        "GRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\nGRUB_CMDLINE_LINUX='a=1'\n",
    );
    machine.write(
        "etc/default/grub-taoboot",
        "GRUB_TAOBOOT_POLICY_DATA=list.data\n",
    );
    let (menu, stderr) = machine.menu();
    let titles: Vec<&str> = menu.entries().iter().map(|entry| entry.title()).collect();
    let measured = |tboot: &str, version: &str| {
        format!("Debian GNU/Linux, with tboot {tboot} and Linux {version} (taoboot)")
    };
    let recovery =
        |version: &str| format!("Debian GNU/Linux, with Linux {version} (taoboot, recovery mode)");
    let versions = ["6.1.0-10-amd64", "6.1.0-9-amd64", "6.1.0~rc3-amd64"];
    let mut expected: Vec<String> = versions.iter().map(|v| measured("1.11", v)).collect();
    expected.extend(versions.iter().map(|v| measured("(tboot.gz)", v)));
    expected.extend(versions.iter().map(|v| recovery(v)));
    assert_eq!(titles, expected, "{stderr}");
    let entry = menu
        .find("taoboot-tboot-6.1.0-10-amd64")
        .unwrap()
        .boot()
        .unwrap();
    assert_eq!(text(&entry.loader.path), "/tboot.gz");
    assert_eq!(text(&entry.loader.cmdline), "logging=serial,memory");
    let modules: Vec<(String, String)> = entry
        .modules
        .iter()
        .map(|m| (text(&m.path), text(&m.cmdline)))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        modules,
        [
            pair(
                "/vmlinuz-6.1.0-10-amd64",
                "root=/dev/sda1 ro mem_sleep_default=s2idle a=1 quiet intel_iommu=on"
            ),
            pair("/initrd-taoboot-6.1.0-10-amd64", ""),
            pair("/4th_gen_SINIT.bin", ""),
            pair("/list.data", ""),
        ]
    );
}

#[test]
fn what_is_skipped_is_said() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.kernel("5.0-notxt", "# CONFIG_INTEL_TXT is not set\n", true);
    machine.kernel("5.1-noimage", "CONFIG_INTEL_TXT=y\n", false);
    machine.kernel("5.2-noconfig", "", true);
    fs::remove_file(machine.path("boot/config-5.2-noconfig")).unwrap();
    machine.kernel("5.3-elsewhere", "", true);
    fs::remove_file(machine.path("boot/config-5.3-elsewhere")).unwrap();
    fs::create_dir_all(machine.path("modules/5.3-elsewhere")).unwrap();
    machine.write(
        "modules/5.3-elsewhere/config",
        "# CONFIG_INTEL_TXT is not set\n",
    );
    machine.write("boot/vmlinuz-6.1.0-9-amd64.dpkg-tmp", "kernel");
    let (menu, stderr) = machine.menu();
    // Two kernels and the one whose configuration nobody knows, each measured and to recover.
    assert_eq!(menu.entries().len(), 6);
    for expected in [
        "vmlinuz-5.0-notxt skipped: built without CONFIG_INTEL_TXT",
        "vmlinuz-5.1-noimage skipped: no image",
        "vmlinuz-5.3-elsewhere skipped: built without CONFIG_INTEL_TXT",
        "vmlinuz-5.2-noconfig: no configuration in",
        "found",
    ] {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    machine.write(
        "etc/default/grub-taoboot",
        "GRUB_TAOBOOT_POLICY_DATA=gone\n",
    );
    let (menu, stderr) = machine.menu();
    assert!(menu.entries().is_empty());
    assert!(
        stderr.contains("GRUB_TAOBOOT_POLICY_DATA=gone is not in"),
        "{stderr}"
    );
    machine.write("etc/default/grub-taoboot", "");
    fs::remove_file(machine.path("boot/tboot.gz")).unwrap();
    let (menu, stderr) = machine.menu();
    assert!(
        menu.entries().is_empty() && stderr.contains("no entries made"),
        "{stderr}"
    );
}

#[test]
fn a_setting_with_a_line_end_gives_no_entries_instead_of_a_command_line_that_nobody_sees() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for (file, line) in [
        ("grub", "GRUB_CMDLINE_LINUX=quiet\r\n"),
        ("grub", "GRUB_CMDLINE_LINUX='quiet\ninit=/bin/sh'\n"),
        (
            "grub-taoboot",
            "GRUB_TAOBOOT_CMDLINE_TBOOT=logging=none\r\n",
        ),
        ("grub-taoboot", "GRUB_TAOBOOT_ROOT='/dev/a\u{1b}[2J'\n"),
    ] {
        machine.write(&format!("etc/default/{file}"), line);
        let (menu, stderr) = machine.menu();
        assert!(menu.entries().is_empty(), "{line:?}");
        assert!(stderr.contains("control character"), "{line:?}: {stderr}");
        machine.write(&format!("etc/default/{file}"), "");
    }
    assert_eq!(machine.menu().0.entries().len(), 4);
}

#[test]
fn a_pattern_for_sinit_modules_that_matches_nothing_is_said() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write("boot/a.acm", "sinit");
    let root = machine.directory.path().display().to_string();
    machine.write(
        "etc/default/grub-taoboot",
        &format!("GRUB_TAOBOOT_SINIT='{root}/boot/*.acm {root}/boot/*.bin'\n"),
    );
    let (_, stderr) = machine.menu();
    assert!(
        stderr.contains("/boot/*.bin: the file does not exist"),
        "{stderr}"
    );
    assert!(!stderr.contains("*.acm"), "{stderr}");
}

#[test]
fn a_subvolume_as_root_is_named_as_10_linux_names_it() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let probe = fs::read_to_string(machine.path("bin/grub-probe")).unwrap();
    machine.program("bin/grub-probe", &probe.replace("echo ext2", "echo btrfs"));
    let relative = fs::read_to_string(machine.path("bin/grub-mkrelpath")).unwrap();
    let relative = relative.replace(
        "#!/bin/sh\n",
        "#!/bin/sh\n[ \"$1\" != / ] || { echo '/@ root'; exit; }\n",
    );
    machine.program("bin/grub-mkrelpath", &relative);
    assert_eq!(
        text(&machine.first().modules[0].cmdline),
        "root=/dev/sda1 ro \"rootflags=subvol=@ root\" mem_sleep_default=s2idle intel_iommu=on"
    );
    let (config, _) = machine.mkconfig();
    let recovery = config
        .lines()
        .find(|line| line.starts_with("\tlinux\t"))
        .unwrap();
    assert!(recovery.contains("'rootflags=subvol=@ root'"), "{recovery}");
}

#[test]
fn without_submenus_the_entries_stand_by_themselves() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for setting in ["GRUB_DISABLE_SUBMENU=y\n", "GRUB_DISABLE_SUBMENU=true\n"] {
        machine.write("etc/default/grub", setting);
        let (config, _) = machine.mkconfig();
        assert!(!config.contains("submenu"), "{setting}");
        assert_eq!(machine.menu().0.entries().len(), 4, "{setting}");
    }
}

#[test]
fn tboots_measurements_stay_in_the_sha256_bank() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for (given, written) in [
        ("extpol=sha1 loglvl=all", Some("loglvl=all")),
        ("loglvl=all extpol=embedded", Some("loglvl=all")),
        ("extpol=sha256 extpol=sha1 a", Some("a")),
        ("'extpol=agile' a", Some("a")),
        ("a extpol=sha256 extpol=sha256", None),
    ] {
        let setting = format!("GRUB_TAOBOOT_CMDLINE_TBOOT=\"{given}\"\n");
        machine.write("etc/default/grub-taoboot", &setting);
        let (menu, stderr) = machine.menu();
        let entry = menu.entries()[0].boot().unwrap();
        assert_eq!(text(&entry.loader.cmdline), written.unwrap_or(given));
        let warned = stderr.contains("extpol= is left out");
        assert_eq!(warned, written.is_some(), "{given}: {stderr}");
    }
    let hidden = "GRUB_TAOBOOT_CMDLINE_TBOOT=\"'a extpol=sha1'\"\n";
    machine.write("etc/default/grub-taoboot", hidden);
    let (menu, stderr) = machine.menu();
    assert!(menu.entries().is_empty());
    assert!(stderr.contains("no entries made"), "{stderr}");
}

#[test]
fn the_settings_of_grub_tboot_count_where_ours_are_silent() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write("boot/one_SINIT.bin", "sinit");
    machine.write("boot/mine.acm", "sinit");
    let root = machine.directory.path().display();
    let theirs = format!(
        "GRUB_CMDLINE_TBOOT='logging=none'\nGRUB_CMDLINE_LINUX_TBOOT='theirs'\n\
         GRUB_TBOOT_SINIT_LIST='{root}/boot/*.acm {root}/boot/*.acm'\n"
    );
    machine.write("etc/default/grub-tboot", &theirs);
    let entry = machine.first();
    assert_eq!(text(&entry.loader.cmdline), "logging=none");
    assert_eq!(
        text(&entry.modules[0].cmdline),
        "root=/dev/sda1 ro mem_sleep_default=s2idle theirs"
    );
    let paths = |entry: &BootEntry| {
        entry
            .modules
            .iter()
            .map(|m| text(&m.path))
            .collect::<Vec<_>>()
    };
    // Listed twice by theirs, loaded once.
    assert_eq!(paths(&entry)[2..], ["/mine.acm"]);
    machine.write(
        "etc/default/grub-taoboot",
        "GRUB_TAOBOOT_CMDLINE_TBOOT='ours'\nGRUB_TAOBOOT_SINIT_TWICE=true\nGRUB_TAOBOOT_NOEFI=true\n\
         GRUB_TAOBOOT_IMAGE='tao-%v.img'\n",
    );
    machine.write("boot/tao-6.1.0-9-amd64.img", "image");
    let entry = machine.first();
    assert_eq!(text(&entry.loader.cmdline), "ours");
    assert_eq!(
        text(&entry.modules[0].cmdline),
        "root=/dev/sda1 ro mem_sleep_default=s2idle theirs noefi"
    );
    assert_eq!(
        paths(&entry)[1..],
        ["/tao-6.1.0-9-amd64.img", "/mine.acm", "/mine.acm"]
    );
}

#[test]
fn recovery_boots_without_tboot_and_without_our_words() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX=\"a taoboot.report=/dev/ttyS1 'b taoboot.c'\"\n",
    );
    let (config, _) = machine.mkconfig();
    let line = config
        .lines()
        .find(|line| line.trim_start().starts_with("linux\t"))
        .unwrap();
    assert!(
        line.ends_with("ro a 'b taoboot.c' taoboot.on_failure=prompt single"),
        "{line}"
    );
    for setting in [
        "GRUB_DISABLE_RECOVERY=true\n",
        "GRUB_TAOBOOT_RECOVERY=false\n",
    ] {
        let file = if setting.starts_with("GRUB_TAO") {
            "grub-taoboot"
        } else {
            "grub"
        };
        machine.write("etc/default/grub", "");
        machine.write(&format!("etc/default/{file}"), setting);
        let (config, _) = machine.mkconfig();
        assert!(!config.contains("recovery"));
    }
}

/// S3 may open the TPM's latch: an entry says s2idle, unless the administrator says otherwise, behind
/// which the kernel takes the last word.
#[test]
fn a_measured_entry_suspends_to_idle_unless_the_administrator_says_otherwise() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let words = |machine: &Machine| text(&machine.first().modules[0].cmdline).to_owned();
    assert!(words(&machine).contains(" ro mem_sleep_default=s2idle "));
    machine.write(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX=mem_sleep_default=deep\n",
    );
    let line = words(&machine);
    assert!(line.find("=s2idle") < line.find("=deep"), "{line}");
    machine.write("etc/default/grub", "");
    machine.write("etc/default/grub-taoboot", "GRUB_TAOBOOT_MEM_SLEEP=\n");
    assert!(!words(&machine).contains("mem_sleep"));
}

#[test]
fn every_setting_of_the_script_is_explained() {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let code = read(&script());
    let directory = script().parent().unwrap().to_owned();
    let explained = read(&directory.join("grub-taoboot.default"));
    let manual = read(&directory.join("../docs/man/grub-taoboot.8"));
    let mut settings: Vec<&str> = code
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .filter(|word| word.starts_with("GRUB_TAOBOOT_"))
        .collect();
    settings.sort_unstable();
    settings.dedup();
    assert!(settings.len() >= 12);
    for setting in settings {
        let internal = ["SYSCONFDIR", "BOOT", "MODULES", "COMING", "GOING"];
        if internal.contains(&setting.trim_start_matches("GRUB_TAOBOOT_")) {
            continue; // for tests and the kernel hook only
        }
        assert!(explained.contains(&format!("\n#{setting}=")), "{setting}");
        assert!(manual.contains(setting), "{setting}");
    }
}

#[test]
fn shellcheck_finds_nothing() {
    let checked = Command::new("shellcheck")
        .arg("--shell=sh")
        .arg(script())
        .output();
    let Some(output) = required(checked.ok(), "shellcheck") else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stdout));
}
