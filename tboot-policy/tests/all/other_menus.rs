//! Menus as distributions other than Debian write them: `tboot-policy predict --all` on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tboot_policy::{
    grub::{BootDirectory, Readings, Variables},
    platform::BANKS,
};

use crate::written::{agile, files, log_events, pcrs, tboot};

const SAVED: &str = "4cb1e5a0-6.4.10";

fn vector(menu: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/menus")
        .join(menu)
}

/// A machine with this menu: (its root, grub.cfg).
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(menu: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(machine.path("boot/grub2")).unwrap();
        for file in fs::read_dir(vector(menu)).unwrap() {
            let file = file.unwrap();
            let to = machine.path("boot/grub2").join(file.file_name());
            fs::copy(file.path(), to).unwrap();
        }
        fs::write(machine.path("boot/tboot.gz"), tboot()).unwrap();
        fs::write(machine.path("boot/vmlinuz-6.4.10"), "kernel").unwrap();
        fs::write(machine.path("boot/initramfs-6.4.10.img"), "image").unwrap();
        let old = files("logging=serial", None);
        let mut text = String::new();
        for values in pcrs(&old) {
            text.push_str(&format!("{}:\n", values.bank()));
            for (register, value) in values.iter() {
                text.push_str(&format!("  {register} : 0x{}\n", hex::encode(value)));
            }
        }
        fs::write(machine.path("pcrs"), text).unwrap();
        fs::write(machine.path("log"), agile(&log_events(&old), &BANKS)).unwrap();
        let recorded = machine.run(&[
            "record", "--log", "log", "--pcrs", "pcrs", "--output", "record",
        ]);
        assert_eq!(recorded.0, 0, "{}", recorded.2);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn entry(&self, name: &str, text: &str) {
        let directory = self.path("boot/loader/entries");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
    }

    fn saved(&self, entry: &str) {
        let block = format!("# GRUB Environment Block\nsaved_entry={entry}\n####");
        fs::write(self.path("boot/grub2/grubenv"), block).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap();
        (code, text(&output.stdout), text(&output.stderr))
    }

    /// Every entry, with what was said on stderr.
    fn list(&self) -> (Vec<Value>, String) {
        let root = self.0.path().to_str().unwrap();
        let (code, stdout, stderr) = self.run(&[
            "predict",
            "--all",
            "--json",
            "--platform",
            "record",
            "--root",
            root,
        ]);
        assert_eq!(code, 0, "{stderr}");
        (serde_json::from_str(&stdout).unwrap(), stderr)
    }

    /// The id of the default entry; or why there is none.
    fn default(&self) -> Result<String, String> {
        let (list, stderr) = self.list();
        let mut defaults = list.iter().filter(|entry| entry["default"] == true);
        match (defaults.next(), defaults.next()) {
            (Some(entry), None) => Ok(entry["id"].as_str().unwrap().to_owned()),
            (None, _) => Err(stderr),
            _ => panic!("two defaults"),
        }
    }
}

fn readings(menu: &str, platform: Option<&str>) -> Readings {
    let script = fs::read(vector(menu).join("grub.cfg")).unwrap();
    let mut variables = Variables::default();
    if let Some(platform) = platform {
        variables.preset("grub_platform", platform);
    }
    Readings::new(&script, variables, BootDirectory::read(&vector(menu))).unwrap()
}

/// The command line of module 0, and whether the environment block has a say in it.
fn kernel(menu: &str) -> (String, Option<String>) {
    let readings = readings(menu, None);
    let followed = readings.boot(readings.menu().find("t").unwrap()).unwrap();
    let cmdline = String::from_utf8(followed.boot.modules[0].cmdline.clone()).unwrap();
    (cmdline, followed.environment)
}

#[test]
fn an_entry_that_is_not_in_the_file_is_never_taken_for_the_tboot_entry() {
    let machine = Machine::new("bls-saved");
    // The directory of entries is not there: none is called the default, and the sentence says why.
    let why = machine.default().unwrap_err();
    assert!(
        why.contains("cannot tell which entry is the default") && why.contains("loader/entries"),
        "{why}"
    );
    let bls = "title Fedora (6.4.10)\nlinux /vmlinuz-6.4.10\noptions $kernelopts\n";
    machine.entry(&format!("{SAVED}.conf"), bls);
    machine.entry(
        "4cb1e5a0-6.4.9.conf",
        "title Fedora (6.4.9)\nlinux /vmlinuz-6.4.9\n",
    );
    assert_eq!(machine.default().as_deref(), Ok(SAVED));
    let (list, stderr) = machine.list();
    assert_eq!(stderr, "");
    let names: Vec<&str> = list.iter().map(|e| e["entry"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["0: Fedora (6.4.10)", "1: Fedora (6.4.9)", "2: With tboot"]
    );
    assert!(list[0]["tboot"] == false && list[2]["tboot"] == true);
    for (saved, default) in [
        ("tb", "tb"),
        ("2", "tb"),
        ("With tboot", "tb"),
        ("1", "4cb1e5a0-6.4.9"),
        ("Fedora (6.4.9)", "4cb1e5a0-6.4.9"),
        // What fits nothing is the first, and that is none of the file's.
        ("gone", SAVED),
    ] {
        machine.saved(saved);
        assert_eq!(machine.default().as_deref(), Ok(default), "{saved}");
    }
    // Two that GRUB takes for the same version: which it shows is chance.
    machine.entry("4cb1e5a0-6.4_9.conf", bls);
    let why = machine.default().unwrap_err();
    assert!(why.contains("for the same version"), "{why}");
}

#[test]
fn entries_of_other_scripts_may_have_any_place_and_name() {
    let machine = Machine::new("bls-saved");
    let menu = |line: &str| {
        let script = format!(
            "{line}\nset default=0\nmenuentry 'T' --id tb {{\n\tmultiboot2 /tboot.gz\n\tmodule2 /vmlinuz-6.4.10\n}}\n"
        );
        fs::write(machine.path("boot/grub2/grub.cfg"), script).unwrap();
        machine.default()
    };
    assert_eq!(menu("insmod x").as_deref(), Ok("tb"));
    for line in [
        "source $x/custom.cfg",
        "configfile /other.cfg",
        "blscfg non-default",
        "uki",
        "extract_entries_source /x",
        "eval 'menuentry a { b }'",
    ] {
        let why = menu(line).unwrap_err();
        assert!(why.contains("line 1: "), "{line}: {why}");
    }
}

#[test]
fn what_the_environment_block_says_of_a_command_line_is_taken_and_said() {
    let root = "root=UUID=f4131454-0000-4000-8000-000000000002 ro";
    for (menu, cmdline) in [
        ("kernelopts", format!("{root} quiet")),
        ("kernelopts-fallback", root.to_owned()),
    ] {
        let (found, environment) = kernel(menu);
        assert_eq!(found, cmdline);
        let sentence = environment.unwrap();
        assert!(
            sentence.contains("line ") && sentence.contains("$kernelopts depends on"),
            "{sentence}"
        );
    }
    // It comes with the prediction, for those who seal to it.
    let machine = Machine::new("kernelopts");
    let (list, _) = machine.list();
    assert!(
        list[0]["environment"]
            .as_str()
            .unwrap()
            .contains("kernelopts")
    );
    assert!(list[0]["prediction"].is_object());
    // A value that is given counts before the environment block, and is not a guess.
    let root = machine.path("");
    let (code, stdout, _) = machine.run(&[
        "predict",
        "--all",
        "--json",
        "--platform",
        "record",
        "--root",
        root.to_str().unwrap(),
        "--set",
        "kernelopts=quiet",
    ]);
    let given: Vec<Value> = serde_json::from_str(&stdout).unwrap();
    assert!(code == 0 && given[0].get("environment").is_none());
    assert_ne!(
        given[0]["prediction"]["pcrs"],
        list[0]["prediction"]["pcrs"]
    );
}

#[test]
fn arguments_of_an_entry_are_what_stands_behind_menuentry() {
    let (cmdline, environment) = kernel("menuentry-args");
    assert_eq!(cmdline, "root=/dev/x title=T word=first");
    assert_eq!(environment, None);
}

#[test]
fn a_hidden_entry_is_read_and_has_no_place() {
    let machine = Machine::new("suse-snapper");
    assert_eq!(machine.default().as_deref(), Ok("t"));
    let (list, _) = machine.list();
    let places: Vec<Option<&str>> = list.iter().map(|e| e["place"].as_str()).collect();
    assert_eq!(places, [None, Some("0")]);
}

#[test]
fn a_condition_on_the_platform_is_decided_where_the_platform_is_known() {
    let modules = |platform: Option<&str>| {
        let readings = readings("linux-tboot-if-efi", platform);
        let entry = readings.menu().find("t").unwrap();
        readings
            .boot(entry)
            .map(|followed| followed.boot.modules.len())
    };
    assert_eq!(modules(Some("efi")), Ok(3));
    assert_eq!(modules(Some("pc")), Ok(2));
    assert!(modules(None).is_err());
    // This machine's, unless another root is named.
    let machine = Machine::new("linux-tboot-if-efi");
    let config = machine.path("boot/grub2/grub.cfg");
    let (code, listed, _) =
        machine.run(&["from-grub", "--list", "--config", config.to_str().unwrap()]);
    let known = Path::new("/sys/firmware").is_dir();
    assert_eq!(code, 0);
    assert_eq!(listed.contains("tboot and"), known, "{listed}");
}

/// Debian's 20_linux_xen_tboot writes such a condition.
#[test]
fn what_is_asked_for_with_set_counts_when_it_is_given() {
    let machine = Machine::new("bls-saved");
    let script = "menuentry 'X' --id x {\n\tif [ \"$grub_platform\" = \"pc\" -o \"$grub_platform\" = \"\" ]; then\n\
        \t\txen_rm_opts=\n\telse\n\t\txen_rm_opts=\"no-real-mode edd=off\"\n\tfi\n\
        \tmultiboot2 /tboot.gz\n\tmodule2 /vmlinuz-6.4.10 placeholder ${xen_rm_opts}\n}\n";
    fs::write(machine.path("boot/grub2/grub.cfg"), script).unwrap();
    fs::remove_file(machine.path("boot/grub2/grubenv")).unwrap();
    let root = machine.path("");
    let predict = |more: &[&str]| {
        let mut arguments = vec![
            "predict",
            "--json",
            "--platform",
            "record",
            "--entry",
            "x",
            "--root",
            root.to_str().unwrap(),
        ];
        arguments.extend(more);
        machine.run(&arguments)
    };
    let (code, _, stderr) = predict(&[]);
    assert!(
        code == 1 && stderr.contains("--set xen_rm_opts=VALUE"),
        "{stderr}"
    );
    let pcrs_with = |set: &str| {
        let (code, stdout, stderr) = predict(&["--set", set]);
        assert_eq!(code, 0, "{stderr}");
        let printed: Value = serde_json::from_str(&stdout).unwrap();
        printed["pcrs"]["sha256"].to_string()
    };
    let empty = pcrs_with("xen_rm_opts=");
    assert_eq!(empty, pcrs_with("grub_platform=pc"));
    assert_eq!(
        pcrs_with("xen_rm_opts=no-real-mode edd=off"),
        pcrs_with("grub_platform=efi")
    );
    assert_ne!(empty, pcrs_with("grub_platform=efi"));
}
