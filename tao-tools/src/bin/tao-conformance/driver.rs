//! Starts this program as hosted programs of a host, and does what administrators do.

use std::{
    io::Read as _,
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::Context as _;
use tao::limits::Limits;
use tao::{
    admin::{Admin, AdminError, HostedProgram, Start},
    logic::SubPrin,
    wire::guard_messages::HostDescription,
};

use super::{
    channel::{ENDING, LASTING},
    report::{Breach, Report, Verdict, expect, refused},
};

/// The property under which a host that cannot be asked is reported.
pub const DESCRIBED: &str = "the host says how it confines programs and what its policy is";

pub struct Driver<'a> {
    pub socket: &'a Path,
    pub program: PathBuf,
}

/// How a program ended and what it wrote.
pub struct Run {
    pub program: HostedProgram,
    status: ExitStatus,
    pub output: String,
}

impl Run {
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }
}

/// How a program is started.
#[derive(Default)]
pub struct How {
    pub environment: Vec<String>,
    /// It reaches the host over a socket.
    pub socket: bool,
}

/// A file with this content and mode.
pub fn executable(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Breach> {
    std::fs::write(path, bytes)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(Breach::from)
}

/// What `test` says of a directory of its own.
pub fn in_a_directory(name: &str, test: impl FnOnce(&Path) -> Verdict) -> Verdict {
    let dir = std::env::temp_dir().join(format!("tao-conformance-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let verdict = test(&dir);
    // A directory that is left behind is not a property of the host.
    drop(std::fs::remove_dir_all(&dir));
    verdict
}

impl Driver<'_> {
    pub fn admin(&self) -> Result<Admin, AdminError> {
        Admin::connect(self.socket)
    }

    /// Starts a program, its output into a pipe.
    pub fn start(
        &self,
        path: &Path,
        args: &[&str],
    ) -> Result<(HostedProgram, std::io::PipeReader), Breach> {
        self.start_how(path, args, &How::default())
    }

    pub fn start_how(
        &self,
        path: &Path,
        args: &[&str],
        how: &How,
    ) -> Result<(HostedProgram, std::io::PipeReader), Breach> {
        let (reader, writer) = std::io::pipe()?;
        let null = std::fs::File::open("/dev/null")?;
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let path = path
            .to_str()
            .ok_or_else(|| Breach::found("the program's path is not UTF-8"))?;
        let program = self.admin().and_then(|mut admin| {
            admin.start(&Start {
                path,
                args: &args,
                dir: "/",
                environment: &how.environment,
                socket: how.socket,
                limits: Limits::default(),
                stdio: Some([null.as_fd(), writer.as_fd(), writer.as_fd()]),
            })
        })?;
        Ok((program, reader))
    }

    pub fn run_at(&self, path: &Path, args: &[&str]) -> Result<Run, Breach> {
        self.run_how(path, args, &How::default())
    }

    pub fn run_how(&self, path: &Path, args: &[&str], how: &How) -> Result<Run, Breach> {
        let (program, mut reader) = self.start_how(path, args, how)?;
        let mut output = String::new();
        reader.read_to_string(&mut output)?;
        let status = self.wait(&program)?;
        Ok(Run {
            program,
            status,
            output,
        })
    }

    pub fn run(&self, args: &[&str]) -> Result<Run, Breach> {
        self.run_at(&self.program, args)
    }

    pub fn wait(&self, program: &HostedProgram) -> Result<ExitStatus, Breach> {
        let mut admin = self.admin()?;
        admin.begin_wait(program)?;
        admin
            .finish_wait()
            .map(ExitStatus::from_raw)
            .map_err(Breach::from)
    }

    /// What the host says of itself; `None` if it is one that does not know the question.
    pub fn described(&self) -> Result<Option<HostDescription>, Breach> {
        match self.admin().and_then(|mut admin| admin.describe()) {
            Ok(description) => Ok(Some(description)),
            Err(AdminError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A run whose output is one line.
    pub fn line(&self, args: &[&str]) -> Result<String, Breach> {
        let run = self.run(args)?;
        expect(run.status.success(), &run.output)?;
        Ok(run.output.trim_end().to_owned())
    }

    fn channels(&self, report: &mut Report) {
        for (case, property) in ENDING.into_iter().chain(LASTING) {
            let played = self.run(&["channel", case]).and_then(|run| {
                expect(run.status.success(), run.output.trim_end())?;
                // And the next program finds the host as it was.
                self.line(&["name"]).map(drop)
            });
            report.note(property, played);
        }
    }

    fn identities(&self, report: &mut Report) {
        report.note(
            "a program started twice has the same name both times",
            (|| expect(self.line(&["name"])? == self.line(&["name"])?, "two names"))(),
        );
        report.check(
            "a program's name is its host's, extended by what the start returned",
            || {
                let run = self.run(&["name"])?;
                let host = self.admin().and_then(|mut admin| admin.host_name())?;
                let expected = host.extended(&run.program.subprin).to_string();
                expect(run.output.trim_end() == expected, run.output)
            },
        );
        report.check("what a program sealed opens for it after a restart", || {
            let blob = self.line(&["seal", "self"])?;
            self.line(&["unseal", &blob])
                .and_then(|found| expect(found == "conformance", found))
        });
        report.check(
            "a changed byte in the binary is another program, for which nothing opens",
            || in_a_directory("changed", |dir| self.changed(dir)),
        );
        report.check(
            "a name that a program extended is not the next program's",
            || {
                let before = self.line(&["name"])?;
                self.line(&["extend"])?;
                expect(self.line(&["name"])? == before, "it is longer")
            },
        );
        report.check("programs share the secret of the policy any, and a program started again has the one of self", || {
            for policy in ["any", "self"] {
                let secret = || self.line(&["secret", policy]);
                expect(secret()? == secret()?, policy)?;
            }
            Ok(())
        });
    }

    fn changed(&self, dir: &Path) -> Verdict {
        let other = dir.join("program");
        let mut bytes = std::fs::read(&self.program)?;
        bytes.push(0);
        executable(&other, &bytes, 0o755)?;
        let blob = self.line(&["seal", "self"])?;
        let run = self.run_at(&other, &["unseal", &blob])?;
        expect(run.output.contains("not authorized"), run.output.trim_end())?;
        let any = self.line(&["seal", "any"])?;
        let run = self.run_at(&other, &["unseal", &any])?;
        expect(
            run.output.trim_end() == "conformance",
            run.output.trim_end(),
        )
    }

    fn administration(&self, report: &mut Report) {
        report.check("the exit status is the program's", || {
            let status = self.run(&["exit", "7"])?.status;
            expect(status.code() == Some(7), status)
        });
        report.check(
            "a program that runs is listed, and one that has ended is not",
            || {
                let (program, mut reader) = self.start(&self.program, &["wait"])?;
                let mut ready = [0; 1];
                reader.read_exact(&mut ready)?;
                let list = || {
                    self.admin()
                        .and_then(|mut admin| admin.list())
                        .map_err(Breach::from)
                };
                let listed = list()?.contains(&program);
                self.admin()
                    .and_then(|mut admin| admin.kill(&program.subprin))?;
                self.wait(&program)?;
                expect(listed && !list()?.contains(&program), "it is otherwise")
            },
        );
        for (name, signal) in [("stopped", 15), ("killed", 9)] {
            report.check(
                &format!("a program that is {name} ends by signal {signal}"),
                || {
                    let (program, mut reader) = self.start(&self.program, &["wait"])?;
                    let mut ready = [0; 1];
                    reader.read_exact(&mut ready)?;
                    let mut admin = self.admin()?;
                    let told = if signal == 9 {
                        admin.kill(&program.subprin)
                    } else {
                        admin.stop(&program.subprin)
                    };
                    told?;
                    let status = self.wait(&program)?;
                    expect(status.signal() == Some(signal), status)
                },
            );
        }
        report.check("to stop a program that is not there is an error", || {
            let absent: SubPrin = ".Program([00])".parse()?;
            let stopped = self.admin().and_then(|mut admin| admin.stop(&absent));
            refused(stopped, "no such hosted program")
        });
        report.check(
            "a program gets its channel, its measured copies if it has any, and no other descriptor of the host",
            || {
                let found = self.line(&["descriptors"])?;
                let copies = self.line(&["name"])?.contains(".Libraries(");
                let expected = if copies { "0 1 2 3 4 5" } else { "0 1 2 3 4" };
                expect(found == expected, found)
            },
        );
        self.files(report);
        for (property, path) in [
            ("a file that is not there is not started", "/absent"),
            ("a directory is not started", "/"),
            ("a file that is not a program is not started", "/etc/passwd"),
        ] {
            report.note(property, refused(self.start(Path::new(path), &[]), ""));
        }
    }
}

impl Driver<'_> {
    /// What may be started depends on the file's permissions and on its size.
    fn files(&self, report: &mut Report) {
        report.check(
            "a program that its caller has no permission to execute is not started",
            || {
                in_a_directory("mode", |dir| {
                    let copy = dir.join("program");
                    let bytes = std::fs::read(&self.program)?;
                    executable(&copy, &bytes, 0o644)?;
                    refused(self.start(&copy, &["name"]), "")
                })
            },
        );
        report.check(
            "a program by a descriptor's path, which would be another process's, is not started",
            || {
                let file = std::fs::File::open(&self.program)?;
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                refused(self.start(Path::new(&path), &["name"]), "")
            },
        );
        report.check(
            "a file of nothing but holes counts by its length: one too large is refused",
            || {
                in_a_directory("size", |dir| {
                    let path = dir.join("sparse");
                    executable(&path, b"\x7fELF", 0o755)?;
                    let file = std::fs::File::options().write(true).open(&path);
                    let sized = file.and_then(|file| file.set_len(1 << 40));
                    sized?;
                    refused(self.start(&path, &[]), "")?;
                    self.line(&["name"]).map(drop)
                })
            },
        );
    }
}

/// All properties of the host that listens at `socket`.
pub fn run(socket: &Path, report: &mut Report) -> anyhow::Result<()> {
    let driver = Driver {
        socket,
        program: std::env::current_exe().context("this program's own path")?,
    };
    driver.admin()?;
    let inside = driver.run(&["inside"]).map_err(anyhow::Error::msg)?;
    if !report.take(&inside.output) {
        anyhow::bail!("the hosted part does not run: {}", inside.output.trim_end());
    }
    driver.identities(report);
    driver.channels(report);
    driver.administration(report);
    driver.kept_apart(report);
    driver.as_described(report);
    Ok(())
}
