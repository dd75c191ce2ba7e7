//! `taoboot setup` step by step, on a machine that is a directory, with a real swtpm, real volumes and the real
//! resident agent. The kernel hook is a script that puts an image and a menu where the real one puts them
//! (which scenario debian_package runs).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use agent::{
    reseal::ResealService,
    unlock::{enrolment::find_recovery_keys, find_enrolled, find_further},
};
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tao::keys::Hidden;
use tempfile::TempDir;
use tpm::{Tpm2, swtpm::Swtpm};

use crate::{
    enroll_support::{PASSPHRASE, Volume, piped, unsealed},
    enroll_unattended::machine,
    reseal::common::{TBOOT, entry_at, launch},
};

const HOOK: &str = r#"#!/bin/sh
set -e
echo "$*" >>"$TAOBOOT_STATE/calls"
[ ! -e "$TAOBOOT_STATE/hook-fails" ] || exit 1
image=$TAOBOOT_BOOT/initrd-taoboot-old
root=${TAOBOOT_BOOT%/boot}
case $1 in
    refresh)
        printf initramfs >"$TAOBOOT_STATE/image"
        TAOBOOT trust --root "$root" "$image" --built "$TAOBOOT_STATE/image"
        mv "$TAOBOOT_STATE/image" "$image"
        entry="menuentry 'x' \$menuentry_id_option 'taoboot-tboot-old' {"
        ;;
    remove) rm "$image" ;;
esac
mkdir -p "$TAOBOOT_BOOT/grub"
echo "$entry" >"$TAOBOOT_STATE/grub.cfg"
cp "$TAOBOOT_STATE/grub.cfg" "$TAOBOOT_BOOT/grub/grub.cfg"
TAOBOOT trust --root "$root" --settle
rm -f "$TAOBOOT_STATE/pins.toml"
pins=$TAOBOOT_SYSCONFDIR/taoboot/pins.toml
[ ! -e "$pins" ] || cp "$pins" "$TAOBOOT_STATE/pins.toml"
"#;

struct Installed {
    volumes: [Volume; 3],
    directory: TempDir,
    swtpm: Swtpm,
    files: TempDir,
}

impl Installed {
    /// With everything that setup does not bring; not launched.
    fn new() -> Self {
        let volumes = [Volume::new(), Volume::new(), Volume::new()];
        let this = Self {
            directory: machine(&[&volumes[0], &volumes[1], &volumes[2]]),
            volumes,
            swtpm: Swtpm::start().unwrap(),
            files: TempDir::new().unwrap(),
        };
        let hook = HOOK.replace(
            "TAOBOOT trust",
            concat!(env!("CARGO_BIN_EXE_taoboot"), " trust"),
        );
        for (name, content) in [
            ("proc/cpuinfo", &b"flags\t\t: fpu vmx smx\n"[..]),
            ("boot/tboot.gz", TBOOT),
            ("boot/vmlinuz-old", b"old"),
            ("etc/grub.d/20_linux_taoboot", b"#!/bin/sh\n"),
            ("usr/lib/taoboot/kernel", hook.as_bytes()),
            ("etc/taoboot/vlp.pol", b""),
            ("var/lib/taoboot/platform.json", b"{}"),
        ] {
            let path = this.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (name, content) in [("tboot.gz", TBOOT), ("vmlinuz-old", b"old")] {
            let mut trust = Command::new(env!("CARGO_BIN_EXE_taoboot"));
            trust.args(["trust", "--root"]).arg(this.directory.path());
            trust.arg(this.path("boot").join(name));
            trust.args(["--sha256", &hex::encode(Sha256::digest(content))]);
            assert!(trust.output().unwrap().status.success());
        }
        fs::write(this.file("passphrase"), PASSPHRASE).unwrap();
        let menu = json!([entry_at(
            &this.path("boot"),
            "initrd-taoboot-old",
            "1>0",
            "old",
            true
        )]);
        fs::write(this.file("predictions"), menu.to_string()).unwrap();
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taoboot"));
        command.args(["setup", "--tcti", &self.swtpm.tcti(), "--root"]);
        command.arg(self.directory.path());
        for (option, name) in [("--predictions", "predictions"), ("--socket", "socket")] {
            command.arg(option).arg(self.file(name));
        }
        if !words.contains(&"--undo") {
            for (option, name) in [
                ("--passphrase-file", "passphrase"),
                ("--recovery-key-file", "recovery"),
            ] {
                command.arg(option).arg(self.file(name));
            }
        }
        let output = piped(command.args(words), "");
        let text = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code(),
            text + &String::from_utf8_lossy(&output.stderr),
        )
    }

    /// It ends so, and says these words.
    fn says(&self, words: &[&str], code: i32, said: &[&str]) -> String {
        let (ended, text) = self.run(words);
        assert_eq!(ended, Some(code), "{words:?}: {text}");
        for expected in said {
            assert!(text.contains(expected), "{words:?}: {expected}: {text}");
        }
        text
    }

    /// What the boot does: unseal, keep the secret, serve.
    fn serve(&self) {
        let (secret, _) = unsealed(&self.volumes[0], &self.swtpm).unwrap();
        let tcti = self.swtpm.tcti();
        let service = ResealService::bind(
            &self.file("socket"),
            &self.path("boot"),
            nix::unistd::getuid().as_raw(),
            Hidden::with(|| secret),
            Box::new(move || Ok(Box::new(Tpm2::open(&tcti)?))),
        );
        let service = service.unwrap().with_root(self.directory.path());
        thread::spawn(move || service.run());
    }

    fn enrolled(&self) -> [usize; 2] {
        let of = |volume: &Volume| {
            let header = volume.header();
            find_enrolled(&header).len() + find_further(&header).len()
        };
        [of(&self.volumes[0]), of(&self.volumes[1])]
    }

    /// Every file of the machine and every volume, with its content.
    fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        collect(self.directory.path(), &mut all);
        collect(self.files.path(), &mut all);
        for volume in &self.volumes {
            all.insert(volume.image.clone(), fs::read(&volume.image).unwrap());
        }
        all
    }
}

fn collect(directory: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    all.insert(directory.to_owned(), Vec::new());
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            collect(&path, all);
        } else if kind.is_file() {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn each_run_goes_on_where_the_machine_is_and_every_step_can_be_taken_back() {
    let mut installed = Installed::new();
    let yes = &["--yes"];
    // A dry run says what would be written and run, and changes nothing.
    let before = installed.everything();
    let text = installed.says(
        &["--dry-run"],
        1,
        &[
            "etc/taoboot/image.toml:\n    | on_failure = \"prompt\"",
            "lib/taoboot/kernel refresh`",
            "add a keyslot for a recovery key",
            "restart  first-boot",
            "nothing was changed",
        ],
    );
    assert!(!text.contains("taoboot enroll"), "{text}");
    assert_eq!(installed.everything(), before);
    // Nobody is there to agree.
    installed.says(&[], 2, &["say --yes, or --dry-run"]);
    assert_eq!(installed.everything(), before);

    installed.says(
        yes,
        1,
        &[
            "config: done",
            "images: done",
            "recovery-key: done",
            "next: first-boot",
        ],
    );
    let key = fs::read_to_string(installed.file("recovery")).unwrap();
    assert!(installed.volumes[0].opens_with(key.trim().as_bytes()));
    let before = installed.everything();
    installed.says(yes, 1, &["next: first-boot"]);
    assert_eq!(installed.everything(), before, "nothing is done twice");

    // What somebody else had launched gets nothing.
    launch(&installed.swtpm, "planted");
    let planted = "that of none of the entries that were made here";
    installed.says(yes, 2, &[planted]);
    assert_eq!(installed.enrolled(), [0, 0]);
    // Nor does a launch that was predicted from a kernel that nobody knows.
    let menu = fs::read(installed.file("predictions")).unwrap();
    let boot = installed.path("boot");
    fs::write(boot.join("vmlinuz-planted"), "planted").unwrap();
    let other = json!([entry_at(
        &boot,
        "initrd-taoboot-old",
        "1>0",
        "planted",
        true
    )]);
    fs::write(installed.file("predictions"), other.to_string()).unwrap();
    installed.says(yes, 2, &["vmlinuz-planted is not known"]);
    assert_eq!(installed.enrolled(), [0, 0]);
    fs::write(installed.file("predictions"), menu).unwrap();

    installed.swtpm.reboot().unwrap();
    launch(&installed.swtpm, "old");
    let before = installed.everything();
    installed.says(
        &["--dry-run"],
        1,
        &["do what `taoboot enroll --volume", "restart  pins"],
    );
    assert_eq!(installed.everything(), before);
    installed.says(yes, 1, &["enrolment: done", "next: pins: restart"]);
    assert_eq!(installed.enrolled(), [1, 1]);
    let pins = installed.path("etc/taoboot/pins.toml");
    assert!(pins.exists());

    installed.serve();
    installed.says(yes, 0, &["pins: done", "all steps are done"]);
    let told = installed.says(&["--yes", "--json"], 0, &[]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["ready"], &told["done"]), (&json!(true), &json!([])));
    assert_eq!(told["steps"].as_array().unwrap().len(), 8);

    // Back, each step by itself.
    let undo = &["--undo", "--yes"];
    let before = installed.everything();
    installed.says(&["--undo", "--dry-run"], 0, &["pins.toml", "refresh`"]);
    assert_eq!(installed.everything(), before);
    installed.says(&["--undo", "--yes", "enrolment"], 2, &["undo pins first"]);
    assert_eq!(installed.everything(), before);
    installed.says(undo, 0, &["pins: undone"]);
    assert!(!pins.exists());
    // And forth.
    installed.says(yes, 0, &["pins: done"]);
    assert!(pins.exists());
    installed.says(undo, 0, &["pins: undone"]);
    assert_eq!(installed.enrolled(), [1, 1]);
    // Images may have a secret that somebody pinned by hand: they would refuse the passphrase, too.
    let config = installed.path("etc/taoboot/image.toml");
    let text = fs::read_to_string(&config).unwrap();
    let (_, record) = find_enrolled(&installed.volumes[0].header()).remove(0);
    let pinned = format!("secret_id = \"{}\"\n{text}", record.unwrap().secret_id());
    fs::write(&config, pinned).unwrap();
    installed.says(
        &["--undo", "--yes", "enrolment"],
        2,
        &["would then refuse the right passphrase"],
    );
    assert_eq!(installed.enrolled(), [1, 1]);
    fs::write(&config, text).unwrap();
    installed.says(undo, 0, &["enrolment: undone", "taoboot retire"]);
    assert_eq!(installed.enrolled(), [0, 0]);
    installed.says(undo, 0, &["platform: undone"]);
    installed.says(undo, 0, &["recovery-key: undone"]);
    assert!(find_recovery_keys(&installed.volumes[0].header()).is_empty());
    assert!(!installed.volumes[0].opens_with(key.trim().as_bytes()));
    assert!(installed.volumes[0].opens_with(PASSPHRASE.as_bytes()));
    installed.says(undo, 0, &["policy: undone", "stays in the TPM"]);
    installed.says(undo, 0, &["images: undone"]);
    assert!(!boot.join("initrd-taoboot-old").exists());
    installed.says(undo, 0, &["config: undone"]);
    assert!(installed.path("etc/taoboot/image.toml.undone").exists());
    // What is made by hand afterwards does not take its place.
    fs::write(&config, "# by hand\n").unwrap();
    installed.says(undo, 2, &["is there already"]);
    fs::remove_file(&config).unwrap();
    installed.says(undo, 2, &["nothing to undo"]);
}

#[test]
fn what_lies_in_boot_is_not_taken_for_what_was_made_here() {
    let installed = Installed::new();
    let yes = &["--yes"];
    installed.says(yes, 1, &["images: done"]);
    let calls = || fs::read_to_string(installed.path("var/lib/taoboot/calls")).unwrap();
    assert_eq!(calls(), "refresh\n");
    for (name, content) in [
        ("boot/initrd-taoboot-old", &b"planted"[..]),
        (
            "boot/grub/grub.cfg",
            b"menuentry 'x' $menuentry_id_option 'taoboot-tboot-old' { # }",
        ),
        ("boot/grub2/grub.cfg", b"another"),
    ] {
        let before = calls();
        let path = installed.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let code = if name.contains("grub2") { 2 } else { 1 };
        installed.says(yes, code, &["images"]);
        assert_eq!(calls(), before + "refresh\n", "{name}");
    }
}

#[test]
fn a_step_that_fails_ends_the_run_and_the_next_run_goes_on_there() {
    let installed = Installed::new();
    let fails = installed.path("var/lib/taoboot/hook-fails");
    fs::write(&fails, "").unwrap();
    installed.says(
        &["--yes"],
        2,
        &["config: done", "images: ", "kernel refresh` failed"],
    );
    assert!(!installed.file("recovery").exists());
    fs::remove_file(fails).unwrap();
    let text = installed.says(&["--yes"], 1, &["images: done"]);
    assert!(!text.contains("config: done"), "{text}");
}

#[test]
fn only_one_run_changes_the_machine_at_a_time() {
    let installed = Installed::new();
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(installed.path("var/lib/taoboot/setup.lock"))
        .unwrap();
    let held: Flock<File> = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    let before = installed.everything();
    installed.says(&["--yes"], 2, &["another `taoboot setup` is running"]);
    assert_eq!(installed.everything(), before);
    // Looking is no change.
    installed.says(&["--dry-run"], 1, &[]);
    drop(held);
    installed.says(&["--yes"], 1, &["images: done"]);
}

#[test]
fn nothing_is_begun_on_a_machine_that_lacks_what_no_step_brings() {
    let installed = Installed::new();
    fs::write(installed.path("proc/cpuinfo"), "flags\t: fpu\n").unwrap();
    fs::remove_file(installed.path("boot/tboot.gz")).unwrap();
    let before = installed.everything();
    let lacks = ["MISSING  processor", "MISSING  tboot", "nothing was done"];
    installed.says(&["--yes"], 1, &lacks);
    assert_eq!(installed.everything(), before);
    fs::write(installed.path("boot/tboot.gz"), TBOOT).unwrap();
    installed.says(&["--yes", "--without-txt"], 1, &["images: done"]);
}
