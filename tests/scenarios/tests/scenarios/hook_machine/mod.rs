//! A machine's /etc, /boot, /var/lib/taoboot and /var/lib/dpkg in a directory, for the kernel hook: the real script,
//! the real `grub-mkconfig` and the real predictor. A recording program stands in for `taoboot`: to
//! seal, for it, is to keep what `tboot-policy` predicts for the menu and files it is given.

pub mod sealed;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use serde_json::Value;
use tboot_policy::platform::{Measured, PlatformRecord};

use test_support::grub_machine as machine;
pub use test_support::grub_machine::Machine;

/// Where the hook and `taoboot` keep what they know.
pub const STATE: &str = "var/lib/taoboot";
pub const KERNELS: [&str; 2] = ["6.1.0-9-amd64", "6.1.0-10-amd64"];

/// The machine with what the hook needs.
pub struct HookMachine {
    pub machine: Machine,
}

/// Everything that the hook may change: path and content.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// `None`: killed.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

fn programs() -> PathBuf {
    let program = harness::programs::path("tboot-policy").unwrap();
    program.parent().unwrap().to_owned()
}

pub fn source(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../grub.d")
        .join(name)
}

impl HookMachine {
    /// Two kernels with their images, a menu, and everything sealed; `None` without grub-mkconfig.
    pub fn new() -> Option<Self> {
        let machine = Machine::new()?;
        let this = Self { machine };
        let m = &this.machine;
        for directory in [
            "etc/taoboot",
            "boot/grub",
            STATE,
            "var/lib/dpkg/info",
            "sealed",
        ] {
            fs::create_dir_all(m.path(directory)).unwrap();
        }
        let tboot = source("../lcp/tests/vectors/mlehash/one-seg.elf.gz");
        fs::copy(tboot, m.path("boot/tboot.gz")).unwrap();
        let platform = PlatformRecord {
            // The capabilities that this tboot's header leads to.
            ossinitdata_cap_hash: Measured::Data(vec![1, 2, 0, 0]),
            ..PlatformRecord::simulated()
        };
        m.write(
            &format!("{STATE}/platform.json"),
            &serde_json::to_string(&platform).unwrap(),
        );
        m.write("etc/taoboot/image.toml", "# one\n");
        for (name, text) in [
            ("bin/taoboot-image", BUILDER.to_owned()),
            ("bin/taoboot", TAOBOOT.to_owned()),
        ] {
            m.program(name, &text);
        }
        for version in KERNELS {
            fs::create_dir_all(m.path(&format!("modules/{version}"))).unwrap();
            m.write(
                &format!("boot/vmlinuz-{version}"),
                &format!("kernel {version}"),
            );
            this.package(
                &format!("linux-image-{version}"),
                &format!("boot/vmlinuz-{version}"),
            );
        }
        this.package("tboot", "boot/tboot.gz");
        let run = this.run(&["refresh"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        Some(this)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.machine.path(name)
    }

    /// A kernel that was just installed by its package, without an image.
    pub fn install_kernel(&self, version: &str) {
        self.plant_kernel(version);
        self.package(
            &format!("linux-image-{version}"),
            &format!("boot/vmlinuz-{version}"),
        );
    }

    /// The same kernel, written to /boot by whoever had the disk in hands.
    pub fn plant_kernel(&self, version: &str) {
        self.machine.kernel(version, "CONFIG_INTEL_TXT=y\n", false);
        fs::create_dir_all(self.path(&format!("modules/{version}"))).unwrap();
    }

    /// dpkg's record of a package that has installed a file as it is now.
    pub fn package(&self, name: &str, file: &str) {
        let md5 = Command::new("md5sum")
            .arg(self.path(file))
            .output()
            .unwrap();
        let md5 = machine::text(&md5.stdout)[..32].to_owned();
        self.machine.write(
            &format!("var/lib/dpkg/info/{name}.md5sums"),
            &format!("{md5}  {file}\n"),
        );
        let status = self.path("var/lib/dpkg/status");
        let mut all = fs::read_to_string(&status).unwrap_or_default();
        all.push_str(&format!(
            "Package: {name}\nStatus: install ok installed\nVersion: 1\n\n"
        ));
        fs::write(status, all).unwrap();
    }

    /// Runs the hook's script.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.finish(self.command(arguments))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.arg(source("hooks/kernel")).args(arguments);
        self.prepare(&mut command);
        command
    }

    /// The machine's directories and programs.
    pub fn prepare(&self, command: &mut Command) {
        let m = &self.machine;
        let path = format!(
            "{}:{}:/usr/sbin:/usr/bin:/sbin:/bin",
            m.path("bin").display(),
            programs().display()
        );
        command
            .env("PATH", path)
            .env("TAOBOOT_SYSCONFDIR", m.path("etc"))
            .env("TAOBOOT_BOOT", m.path("boot"))
            .env("TAOBOOT_STATE", m.path(STATE))
            .env("TAOBOOT_MODULES", m.path("modules"))
            .env("TEST_ROOT", m.directory.path())
            .env("EUID", "0")
            .env("grub_probe", m.path("bin/grub-probe"))
            .env("grub_mkrelpath", m.path("bin/grub-mkrelpath"))
            .env("GRUB_TAOBOOT_SYSCONFDIR", m.path("etc"))
            .env("GRUB_TAOBOOT_BOOT", m.path("boot"))
            .env("LC_ALL", "C.UTF-8")
            .process_group(0);
    }

    pub fn finish(&self, mut command: Command) -> Run {
        let output = command.output().unwrap();
        Run {
            code: output.status.code(),
            stdout: machine::text(&output.stdout),
            stderr: machine::text(&output.stderr),
        }
    }

    /// What is in /boot, without what the lock and the records are.
    pub fn boot_files(&self) -> Files {
        let mut files = Files::new();
        for directory in ["boot", "boot/grub"] {
            for entry in fs::read_dir(self.path(directory)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        files
    }

    /// Makes /boot what it was.
    pub fn restore(&self, files: &Files) {
        for path in self.boot_files().into_keys() {
            fs::remove_file(path).unwrap();
        }
        for (path, content) in files {
            fs::write(path, content).unwrap();
        }
    }

    pub fn config(&self) -> String {
        fs::read_to_string(self.path("boot/grub/grub.cfg")).unwrap()
    }

    pub fn image(&self, version: &str) -> String {
        fs::read_to_string(self.path(&format!("boot/initrd-taoboot-{version}"))).unwrap()
    }

    /// Ids of the measured entries of the menu as it is, with the PCRs of their launches.
    pub fn launches(&self) -> BTreeMap<String, Value> {
        let mut predict = Command::new(programs().join("tboot-policy"));
        predict
            .args(["predict", "--all", "--json", "--platform"])
            .arg(self.path(STATE).join("platform.json"))
            .arg("--root")
            .arg(self.machine.directory.path());
        let policy = self.path("etc/taoboot/vlp.pol");
        if policy.exists() {
            predict.arg("--policy").arg(policy);
        }
        let output = predict.output().unwrap();
        let list: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", machine::text(&output.stderr)));
        measured(&list).collect()
    }

    /// The PCRs that were sealed to.
    pub fn sealed(&self) -> BTreeSet<String> {
        let mut sealed = BTreeSet::new();
        for entry in fs::read_dir(self.path("sealed")).unwrap() {
            let directory = entry.unwrap().path();
            let Ok(text) = fs::read_to_string(directory.join("list")) else {
                continue; // killed before
            };
            let wanted = fs::read_to_string(directory.join("entries")).unwrap();
            let list: Vec<Value> = serde_json::from_str(&text).unwrap();
            let of_these = measured(&list).filter(|(id, _)| wanted.lines().any(|line| line == id));
            sealed.extend(of_these.map(|(_, pcrs)| pcrs.to_string()));
        }
        sealed
    }

    /// Every entry of ours in the menu can be booted and was sealed to.
    pub fn assert_every_entry_unlocks(&self, what: &str) {
        let (launches, sealed) = (self.launches(), self.sealed());
        for (id, pcrs) in &launches {
            assert!(
                sealed.contains(&pcrs.to_string()),
                "{what}: {id} is not sealed to"
            );
        }
        let entries = self
            .config()
            .matches("$menuentry_id_option 'taoboot-tboot-")
            .count();
        assert_eq!(
            launches.len(),
            entries,
            "{what}: an entry cannot be predicted"
        );
    }

    pub fn assert_no_leftovers(&self, what: &str) {
        for path in self.boot_files().into_keys() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(
                !name.contains("taoboot-new") && !name.contains("taoboot-old"),
                "{what}: {name}"
            );
        }
    }

    /// The calls of `taoboot` so far that seal or judge.
    pub fn calls(&self) -> Vec<String> {
        let mut calls = self.all_calls();
        calls.retain(|call| !call.starts_with("trust") && !call.contains("--take-back"));
        calls
    }

    /// All of them.
    pub fn all_calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let root = self.machine.directory.path().display().to_string();
        text.lines().map(|line| line.replace(&root, "")).collect()
    }

    pub fn forget_calls(&self) {
        fs::write(self.path("calls"), "").unwrap();
    }

    /// A program of its own in front of the others.
    pub fn program(&self, name: &str, text: &str) {
        self.machine.program(name, text);
        assert!(fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o111 != 0);
    }
}

fn measured(list: &[Value]) -> impl Iterator<Item = (String, Value)> {
    list.iter().filter_map(|entry| {
        let id = entry["id"].as_str()?;
        let pcrs = entry.pointer("/prediction/pcrs/sha256")?;
        id.starts_with("taoboot-tboot")
            .then(|| (id.to_owned(), pcrs.clone()))
    })
}

/// An image is what its kernel and config are.
const BUILDER: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        --kernel) kernel=$2; shift ;;
        --config) config=$2; shift ;;
        --output) output=$2; shift ;;
    esac
    shift
done
{ echo "image of $kernel"; cat "$config"; } >"$output"
"#;

/// Keeps the predictions of what it is told to seal to.
const TAOBOOT: &str = r#"#!/bin/sh
echo "$*" >>"$TEST_ROOT/calls"
verb=$1
shift
replace=
while [ $# -gt 0 ]; do
    case $1 in
        --platform) platform=$2; shift ;;
        --boot-menu) shift ;;
        --take-back) verb=nothing ;;
        --grub-config) config=$2; shift ;;
        --replace) replace="$replace --replace $2"; shift ;;
        --entry) entries="$entries $2"; shift ;;
    esac
    shift
done
case $verb in
    reseal)
        here=$(mktemp -d "$TEST_ROOT/sealed/XXXXXX")
        printf '%s\n' $entries >"$here/entries"
        tboot-policy predict --all --json --platform "$platform" --root "$TEST_ROOT" \
            --config "$config" $replace >"$here/part" || exit 2
        mv "$here/part" "$here/list"
        ;;
    check-next-boot) if [ -e "$TEST_ROOT/verdict" ]; then cat "$TEST_ROOT/verdict"; else echo "verdict"; fi ;;
    trust | nothing) ;;
    *) exit 2 ;;
esac
"#;
