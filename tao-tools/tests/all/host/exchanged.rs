//! Somebody exchanges what is to be measured, all the time: the parent directory is renamed,
//! another directory mounted over it, a link in its path turned. Whatever a program then does,
//! its name says so.

use std::{
    fs,
    io::Read as _,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
    mount::{MntFlags, MsFlags, mount, umount2},
};
use sha2::{Digest, Sha256};
use tao::admin::{Admin, Start};
use tao::limits::Limits;
use tao_host::{Libraries, ProgramPolicy, Scripts};
use tempfile::TempDir;

use super::{
    common::{Setup, TestHost, executable},
    composed::build,
};

/// Starts in each race.
const TRIES: usize = 100;

/// What the attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    Rename,
    Mount,
    Link,
}

/// Two directories with the same files, of which one says "good" and the other "evil"; and the path
/// by which one of them is found, now this one, now that.
struct Field {
    dir: TempDir,
    attack: Attack,
}

impl Field {
    fn new(attack: Attack) -> Self {
        let field = Self {
            dir: tempfile::tempdir().unwrap(),
            attack,
        };
        for name in ["good", "evil"] {
            fs::create_dir(field.path(name)).unwrap();
        }
        match attack {
            Attack::Rename => {}
            Attack::Mount => {
                // What is mounted here later appears in the host's namespace too, if it has one of its own.
                let (here, none) = (Some(field.dir.path()), None::<&str>);
                mount(here, field.dir.path(), none, MsFlags::MS_BIND, none).unwrap();
                mount(none, field.dir.path(), none, MsFlags::MS_SHARED, none).unwrap();
            }
            Attack::Link => {
                std::os::unix::fs::symlink("good", field.path("link")).unwrap();
            }
        }
        field
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the victim is found.
    fn place(&self) -> PathBuf {
        self.path(match self.attack {
            Attack::Link => "link",
            _ => "good",
        })
    }

    /// Once there and once back.
    fn exchange(&self) {
        let (good, evil) = (self.path("good"), self.path("evil"));
        match self.attack {
            Attack::Rename => {
                for _ in 0..2 {
                    let flags = RenameFlags::RENAME_EXCHANGE;
                    renameat2(AT_FDCWD, &good, AT_FDCWD, &evil, flags).unwrap();
                    std::thread::yield_now();
                }
            }
            Attack::Mount => {
                let none = None::<&str>;
                mount(Some(&evil), &good, none, MsFlags::MS_BIND, none).unwrap();
                std::thread::yield_now();
                umount2(&good, MntFlags::MNT_DETACH).unwrap();
                std::thread::yield_now();
            }
            Attack::Link => {
                for target in ["evil", "good"] {
                    std::os::unix::fs::symlink(target, self.path("new")).unwrap();
                    fs::rename(self.path("new"), self.path("link")).unwrap();
                    std::thread::yield_now();
                }
            }
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        if self.attack == Attack::Mount {
            umount2(self.dir.path(), MntFlags::MNT_DETACH).unwrap();
        }
    }
}

/// What the program that is started is called, and what it says.
fn run(admin: &mut Admin, program: &Path) -> Option<(String, String)> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let newline = {
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"\n").unwrap();
        reader
    };
    let started = admin.start(&Start {
        path: program.to_str().unwrap(),
        args: &[],
        dir: "/",
        environment: &[],
        socket: false,
        limits: Limits::default(),
        stdio: Some([newline.as_fd(), writer.as_fd(), writer.as_fd()]),
    });
    drop(writer);
    // In between there may be nothing at the path.
    let name = started.ok()?.subprin.to_string();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    Some((name, said))
}

/// Starts the program again and again while the field changes: each time it says what the file
/// says that is in its name. `hashes` of the good file and of the evil one.
fn race(host: &TestHost, field: &Field, program: &Path, hashes: [String; 2]) {
    let over = AtomicBool::new(false);
    let mut seen = [0, 0];
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                field.exchange();
            }
        });
        let mut admin = host.admin();
        let wrong = (0..TRIES).find_map(|number| {
            let (name, said) = run(&mut admin, program)?;
            let [good, evil] = [0, 1].map(|place| name.contains(&hashes[place]));
            seen[0] += usize::from(good);
            seen[1] += usize::from(evil);
            let right =
                good != evil && said.contains("good") == good && said.contains("evil") == evil;
            (!right).then(|| format!("try {number} of {:?}: {name} says {said:?}", field.attack))
        });
        over.store(true, Ordering::Relaxed);
        attacker.join().unwrap();
        assert_eq!(wrong, None);
    });
    assert!(
        seen[0] + seen[1] > TRIES / 4,
        "hardly anything was started: {seen:?}"
    );
}

fn hash(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

fn host(secret: u8) -> TestHost {
    let mut setup = Setup::new(secret);
    setup.programs = ProgramPolicy {
        libraries: Libraries::Measured,
        scripts: Scripts::Measured,
        ..ProgramPolicy::default()
    };
    setup.start()
}

fn scripts(secret: u8, attack: Attack) {
    if !test_support::is_root() {
        return;
    }
    let (host, field) = (host(secret), Field::new(attack));
    let script = |word: &str| {
        let path = field.path(word).join("script");
        executable(&path, format!("#!/bin/sh\necho {word}\n").as_bytes());
        hash(&path)
    };
    let hashes = [script("good"), script("evil")];
    race(&host, &field, &field.place().join("script"), hashes);
}

fn libraries(secret: u8, attack: Attack) {
    if !test_support::is_root() {
        return;
    }
    let (host, field) = (host(secret), Field::new(attack));
    let made = tempfile::tempdir().unwrap();
    let library = |word: &str| {
        let (library, _) = build(made.path(), word, &field.place());
        fs::copy(&library, field.path(word).join("libsays.so")).unwrap();
        hash(&library)
    };
    let hashes = [library("good"), library("evil")];
    race(&host, &field, &made.path().join("program"), hashes);
}

#[test]
fn a_script_whose_directory_is_renamed_runs_as_it_was_measured() {
    scripts(151, Attack::Rename);
}

#[test]
fn a_script_whose_directory_is_mounted_over_runs_as_it_was_measured() {
    scripts(152, Attack::Mount);
}

#[test]
fn a_script_behind_a_link_that_turns_runs_as_it_was_measured() {
    scripts(153, Attack::Link);
}

#[test]
fn a_library_whose_directory_is_renamed_is_loaded_as_it_was_measured() {
    libraries(154, Attack::Rename);
}

#[test]
fn a_library_whose_directory_is_mounted_over_is_loaded_as_it_was_measured() {
    libraries(155, Attack::Mount);
}

#[test]
fn a_library_behind_a_link_that_turns_is_loaded_as_it_was_measured() {
    libraries(156, Attack::Link);
}
