//! What a host says that it does to keep programs apart, as its programs find it.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    sched::{CloneFlags, unshare},
    sys::{
        signal::{Signal, kill},
        socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket},
    },
    unistd::{Pid, Uid},
};
use tao::{admin::Admin, client::Parent};

use super::{
    driver::{DESCRIBED, Driver},
    report::{Breach, Report, Verdict, expect},
};

/// The names in a directory that are numbers, in ascending order.
pub fn numbers_in(dir: &str) -> anyhow::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Facts that a hosted part prints about itself.
pub fn fact(question: &[&str]) -> anyhow::Result<String> {
    let read = |path: &str| fs::read_to_string(path);
    Ok(match question {
        ["status", field] => {
            let status = read("/proc/self/status")?;
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.with_context(|| format!("/proc/self/status has no {field}"))?
                .trim_matches([':', '\t', ' '])
                .to_owned()
        }
        ["space", kind] => fs::read_link(format!("/proc/self/ns/{kind}"))?
            .display()
            .to_string(),
        ["processes"] => {
            let mut found = numbers_in("/proc")?;
            found.retain(|pid| *pid != std::process::id());
            format!("{found:?}")
        }
        ["signal", pid] => match kill(Pid::from_raw(pid.parse()?), Signal::SIGKILL) {
            Ok(()) => "sent".to_owned(),
            Err(error) => error.to_string(),
        },
        ["interfaces"] => {
            let devices = read("/proc/net/dev")?;
            let names = devices
                .lines()
                .skip(2)
                .filter_map(|line| line.split(':').next());
            names.map(str::trim).collect::<Vec<_>>().join(" ")
        }
        ["group"] => {
            let groups = read("/proc/self/cgroup")?;
            let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
            own.context("/proc/self/cgroup names no group")?.to_owned()
        }
        ["leave"] => {
            let program = std::env::current_exe().or_else(|_| fs::read_link("/proc/self/exe"))?;
            std::process::Command::new(program)
                .args(["fact", "late"])
                .spawn()?;
            String::new()
        }
        ["late"] => {
            std::thread::sleep(Duration::from_millis(300));
            format!("still {}", Parent::from_env()?.tao_name()?)
        }
        ["administer", socket] => {
            let listed = Admin::connect(Path::new(socket)).and_then(|mut admin| admin.list());
            match listed {
                Ok(_) => "it lists programs".to_owned(),
                Err(error) => format!("refused: {error}"),
            }
        }
        ["devices"] => opened_devices().join(" "),
        ["user"] => Uid::current().to_string(),
        ["namespace"] => match unshare(CloneFlags::CLONE_NEWUSER) {
            Ok(()) => "made".to_owned(),
            Err(error) => error.to_string(),
        },
        ["netfilter"] => {
            let protocol = SockProtocol::NetlinkNetFilter;
            let family = AddressFamily::Netlink;
            match socket(family, SockType::Raw, SockFlag::empty(), protocol) {
                Ok(_) => "opened".to_owned(),
                Err(error) => error.to_string(),
            }
        }
        ["vsock"] => {
            match socket(
                AddressFamily::Vsock,
                SockType::Stream,
                SockFlag::empty(),
                None,
            ) {
                Ok(_) => "opened".to_owned(),
                Err(error) => error.to_string(),
            }
        }
        _ => anyhow::bail!("no such fact"),
    })
}

/// The machine's raw devices that this program can open: memory, ports, TPMs, disks.
fn opened_devices() -> Vec<String> {
    let mut paths: Vec<PathBuf> = [
        "mem",
        "kmem",
        "port",
        "tpm0",
        "tpmrm0",
        "kvm",
        "fuse",
        "net/tun",
        "loop-control",
        "vsock",
        "mapper/control",
        "kmsg",
    ]
    .map(|name| Path::new("/dev").join(name))
    .to_vec();
    paths.push("/proc/kcore".into());
    for disk in fs::read_dir("/sys/class/block")
        .into_iter()
        .flatten()
        .flatten()
    {
        paths.push(Path::new("/dev").join(disk.file_name()));
    }
    let mut start = [0; 1];
    // What is covered can be opened, and has nothing in it.
    let has_content = |path: &&PathBuf| {
        fs::File::open(path).is_ok_and(|mut file| {
            let node = file.metadata().is_ok_and(|found| found.rdev() != NULL);
            node && (!path.starts_with("/proc") || file.read(&mut start).is_ok_and(|read| read > 0))
        })
    };
    let opened = paths.iter().filter(has_content);
    opened.map(|path| path.display().to_string()).collect()
}

/// /dev/null, which is put over what is to be hidden.
const NULL: u64 = nix::sys::stat::makedev(1, 3);

impl Driver<'_> {
    fn fact(&self, question: &[&str]) -> Result<String, Breach> {
        let words: Vec<&str> = ["fact"].iter().chain(question).copied().collect();
        self.line(&words)
    }

    fn own_space(&self, kind: &str) -> Verdict {
        let own = fs::read_link(Path::new("/proc/self/ns").join(kind))?;
        let found = self.fact(&["space", kind])?;
        expect(Path::new(&found) != own, found)
    }

    /// How the host says it confines programs; empty if it says nothing of it.
    fn claims(&self) -> Result<Vec<String>, Breach> {
        let described = self.described()?;
        Ok(described.map_or_else(Vec::new, |host| host.isolation))
    }

    /// A program that runs meanwhile is not to be reached by another.
    fn signalled(&self) -> Verdict {
        let (victim, mut reader) = self.start(&self.program, &["wait"])?;
        let mut ready = [0; 1];
        std::io::Read::read_exact(&mut reader, &mut ready)?;
        let found = self.fact(&["signal", &victim.pid.to_string()]);
        let alive = self.admin().and_then(|mut admin| admin.list())?;
        let alive = alive.contains(&victim);
        if alive {
            let ended = self
                .admin()
                .and_then(|mut admin| admin.kill(&victim.subprin));
            ended?;
        }
        self.wait(&victim)?;
        let found = found?;
        expect(alive && found != "sent", found)
    }

    fn filtered(&self) -> Verdict {
        let found = self.fact(&["status", "Seccomp"])?;
        expect(found == "2", found)?;
        let found = self.fact(&["namespace"])?;
        expect(found.starts_with("EPERM"), found)?;
        let found = self.fact(&["netfilter"])?;
        expect(found != "opened", found)?;
        let allowed = self
            .policy()?
            .iter()
            .any(|word| word.contains("/dev/vsock"));
        let found = self.fact(&["vsock"])?;
        expect(allowed || found != "opened", found)
    }

    /// Each kind of confinement that the host says it provides.
    pub fn kept_apart(&self, report: &mut Report) {
        report.check("what a program leaves behind speaks for it no more", || {
            let run = self.run(&["fact", "leave"])?;
            expect(!run.output.contains("still"), run.output)
        });
        report.check("a program can get no new privileges", || {
            let found = self.fact(&["status", "NoNewPrivs"])?;
            expect(found == "1", found)
        });
        report.check("a program is not an administrator of its host", || {
            let socket = self
                .socket
                .to_str()
                .ok_or_else(|| Breach::found("the socket's path is not UTF-8"))?;
            let found = self.fact(&["administer", socket])?;
            expect(found.starts_with("refused"), found)
        });
        let claims = match self.claims() {
            Ok(claims) => claims,
            Err(error) => return report.note(DESCRIBED, Err(error)),
        };
        for claim in claims {
            let (property, verdict) = match claim.as_str() {
                "capabilities" => ("a program has no capabilities", {
                    let sets = ["CapPrm", "CapEff", "CapBnd", "CapAmb"];
                    sets.into_iter().try_for_each(|set| {
                        let found = self.fact(&["status", set])?;
                        expect(found.trim_matches('0').is_empty(), found)
                    })
                }),
                "namespaces" => (
                    "a program has mounts, IPC and host name of its own, and none of the machine's devices",
                    ["mnt", "ipc", "uts"]
                        .into_iter()
                        .try_for_each(|kind| self.own_space(kind))
                        .and_then(|()| {
                            let found = self.fact(&["devices"])?;
                            expect(found.is_empty(), found)
                        }),
                ),
                "users" => ("a program has a user of its own", {
                    self.fact(&["user"]).and_then(|found| {
                        let ours = found == "0" || found == Uid::current().to_string();
                        expect(!ours, found)
                    })
                }),
                "processes" => ("a program sees no processes but its own and the first", {
                    self.own_space("pid").and_then(|()| {
                        let found = self.fact(&["processes"])?;
                        expect(found == "[1]", found)
                    })
                }),
                "network" => ("a program has no network but a loopback", {
                    self.own_space("net").and_then(|()| {
                        let found = self.fact(&["interfaces"])?;
                        expect(found == "lo" || found.is_empty(), found)
                    })
                }),
                "seccomp" => (
                    "a program has a filter of system calls, and makes no namespace",
                    self.filtered(),
                ),
                "scopes" => ("a program cannot signal another one", self.signalled()),
                "limits" => ("a program is in a control group of its own", {
                    self.fact(&["group"]).and_then(|first| {
                        let second = self.fact(&["group"])?;
                        expect(first != second && first != "/", first)
                    })
                }),
                _ => continue,
            };
            report.note(property, verdict);
        }
    }
}
