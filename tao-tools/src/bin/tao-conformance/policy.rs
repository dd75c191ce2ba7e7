//! What a host says of its policy, its guard and the socket of a program, as programs and
//! administrators find it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tao::{
    client::SPEC_VARIABLE,
    guard::authorized,
    logic::{Prin, Term},
};

use super::{
    driver::{DESCRIBED, Driver, How, Run, executable, in_a_directory},
    report::{Breach, Report, Verdict, expect, refused},
};

/// What a hosted part prints about its channel, before it waits.
pub fn channel() -> anyhow::Result<String> {
    Ok(std::env::var(SPEC_VARIABLE)?)
}

/// A frame with the call GetTaoName.
const GET_NAME: &[u8] = b"\0\0\0\x12\x0a\x0eTao.GetTaoName\x10\0\0\0\0\0";
/// How long an answer may take that must not come.
const PATIENCE: Duration = Duration::from_secs(2);

fn variables(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

impl Driver<'_> {
    /// The words of the host's policy; none if it is a host that says nothing.
    pub fn policy(&self) -> Result<Vec<String>, Breach> {
        let described = self.described()?;
        Ok(described.map_or_else(Vec::new, |host| host.policy))
    }

    fn with_variables(&self, list: &[&str]) -> Result<Run, Breach> {
        let how = How {
            environment: variables(list),
            ..How::default()
        };
        self.run_how(&self.program, &["name"], &how)
    }

    /// The name that a program is told.
    fn name_with(&self, list: &[&str]) -> Result<String, Breach> {
        let run = self.with_variables(list)?;
        expect(run.succeeded(), &run.output)?;
        Ok(run.output.trim_end().to_owned())
    }

    fn over_a_socket(&self, args: &[&str]) -> Result<String, Breach> {
        let how = How {
            socket: true,
            ..How::default()
        };
        let run = self.run_how(&self.program, args, &how)?;
        expect(run.succeeded(), &run.output)?;
        Ok(run.output.trim_end().to_owned())
    }

    /// This process is not the program's, though it may be root's.
    fn strange_to_the_socket(&self) -> Verdict {
        let how = How {
            socket: true,
            ..How::default()
        };
        let (program, mut reader) = self.start_how(&self.program, &["wait", "channel"], &how)?;
        let mut path = String::new();
        BufReader::new(&mut reader).read_line(&mut path)?;
        let verdict = (|| {
            let mut stream = match UnixStream::connect(path.trim_end()) {
                Ok(stream) => stream,
                // It is out of sight, or closed for this user.
                Err(_) => return Ok(()),
            };
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut answer = [0; 1];
            let sent = stream.write_all(GET_NAME);
            match sent.and_then(|()| stream.read(&mut answer)) {
                Ok(0) | Err(_) => Ok(()),
                Ok(_) => Err(Breach::found("it was answered")),
            }
        })();
        let ended = self
            .admin()
            .and_then(|mut admin| admin.kill(&program.subprin));
        ended?;
        self.wait(&program)?;
        verdict
    }

    fn sockets(&self, report: &mut Report) {
        report.check(
            "a program has the same name over a socket as over pipes",
            || {
                let found = self.over_a_socket(&["name"])?;
                expect(found == self.line(&["name"])?, found)
            },
        );
        report.check("what was sealed over pipes opens over a socket", || {
            let blob = self.line(&["seal", "self"])?;
            let found = self.over_a_socket(&["unseal", &blob])?;
            expect(found == "conformance", found)
        });
        report.check(
            "over a socket a program has no descriptors for its channel",
            || {
                let found = self.over_a_socket(&["descriptors"])?;
                let copies = self.line(&["name"])?.contains(".Libraries(");
                expect(found == if copies { "0 1 2 5" } else { "0 1 2" }, found)
            },
        );
        report.check("nobody else is answered at a program's socket", || {
            self.strange_to_the_socket()
        });
    }

    fn guards(&self, report: &mut Report) {
        report.check("the guard is the end of the host's name", || {
            let mut admin = self.admin()?;
            let (host, shown) = (admin.host_name(), admin.guard_show());
            let (host, (guard, _)) = (host?, shown?);
            expect(host.to_string().ends_with(&guard.to_string()), host)
        });
        report.check("the guard allows a program that runs, and says why", || {
            let name: Prin = self.line(&["name"])?.parse()?;
            let query = authorized(&name, "Execute", &[]).to_string();
            let mut admin = self.admin()?;
            let why = admin.guard_why(&query)?;
            expect(admin.guard_query(&query)?, "it does not")?;
            expect(why.allowed && !why.steps.is_empty(), "without a reason")
        });
        report.check(
            "a question that is none, and a rule that is none, are errors",
            || {
                let mut admin = self.admin()?;
                refused(admin.guard_query("Authorized("), "")?;
                refused(admin.guard_query(""), "")?;
                refused(admin.guard_add("forall X: implies"), "")
            },
        );
    }

    fn measured(&self, report: &mut Report) {
        report.check("the name has the SHA-256 of the program's file", || {
            let name: Prin = self.line(&["name"])?.parse()?;
            let hash = Sha256::digest(std::fs::read(&self.program)?);
            let mut programs = name.ext.0.iter().filter(|ext| ext.name == *"Program");
            let last = programs.next_back().and_then(|program| program.args.last());
            expect(
                matches!(last, Some(Term::Bytes(found)) if **found == *hash),
                name,
            )
        });
        report.check(
            "a file that is exchanged after its start leaves the program as it was",
            || {
                in_a_directory("exchanged", |dir| {
                    let copy = dir.join("program");
                    let bytes = std::fs::read(&self.program)?;
                    executable(&copy, &bytes, 0o755)?;
                    let (program, mut reader) = self.start(&copy, &["wait"])?;
                    reader.read_exact(&mut [0; 1])?;
                    std::fs::remove_file(&copy)?;
                    executable(&copy, b"\x7fELF other", 0o755)?;
                    let mut admin = self.admin()?;
                    let listed = admin.list()?.contains(&program);
                    admin.kill(&program.subprin)?;
                    self.wait(&program)?;
                    expect(listed, "it has another name")
                })
            },
        );
    }

    /// By the words of the host's policy.
    fn words_of_the_policy(&self, report: &mut Report) {
        let policy = match self.policy() {
            Ok(policy) => policy,
            Err(error) => return report.note(DESCRIBED, Err(error)),
        };
        for word in policy {
            let (property, verdict) = match word.as_str() {
                "libraries = \"measure\"" => (
                    "a program that needs libraries has them in its name",
                    self.dynamic().and_then(|run| {
                        let name = run.program.subprin.to_string();
                        expect(name.contains(".Libraries("), name)
                    }),
                ),
                "libraries = \"refuse\"" => (
                    "a program that needs libraries is refused",
                    refused(self.dynamic(), "static programs only"),
                ),
                "scripts = \"refuse\"" => {
                    ("a script is refused", refused(self.script("exit 0"), ""))
                }
                "scripts = \"measure\"" => (
                    "a script is in the name of its program, and another script is another program",
                    self.scripts(),
                ),
                "environment = \"refuse\"" => (
                    "environment variables are refused",
                    refused(self.with_variables(&["TERM=x"]), "refuses them"),
                ),
                "environment = \"name\"" => (
                    "environment variables are in the name",
                    self.name_with(&["TERM=x"])
                        .and_then(|name| expect(name.ends_with(".Env(\"TERM=x\")"), name)),
                ),
                "environment = \"accept\"" => (
                    "environment variables that do more than show are in the name",
                    self.harmless_and_others(),
                ),
                _ => continue,
            };
            report.note(property, verdict);
        }
        report.check("variables that decide what is loaded cannot be set", || {
            for variable in [
                "LD_PRELOAD=/tmp/x",
                "LD_LIBRARY_PATH=/tmp",
                "GCONV_PATH=/tmp",
            ] {
                refused(self.with_variables(&[variable]), "")?;
            }
            Ok(())
        });
    }

    fn harmless_and_others(&self) -> Verdict {
        let plain = self.line(&["name"])?;
        let harmless = self.name_with(&["TERM=xterm", "LC_ALL=C"])?;
        expect(harmless == plain, harmless)?;
        for variable in [
            "BASH_ENV=/tmp/x",
            "PYTHONPATH=/tmp",
            "OPENSSL_CONF=/tmp/x",
            "A=1",
        ] {
            let found = self.name_with(&[variable, "TERM=xterm"])?;
            expect(found == format!("{plain}.Env(\"{variable}\")"), found)?;
        }
        Ok(())
    }

    fn dynamic(&self) -> Result<Run, Breach> {
        self.run_at(Path::new("/bin/true"), &[])
    }

    fn script(&self, text: &str) -> Result<Run, Breach> {
        let mut result = Err(Breach::found("it was not started"));
        in_a_directory("script", |dir| {
            let path = dir.join("script");
            executable(&path, format!("#!/bin/sh\n{text}\n").as_bytes(), 0o755)?;
            result = self.run_at(&path, &[]);
            Ok(())
        })?;
        result
    }

    fn scripts(&self) -> Verdict {
        let (one, two) = (self.script("exit 0")?, self.script("exit 0 ")?);
        let name = one.program.subprin.to_string();
        let hash = hex::encode(Sha256::digest(b"#!/bin/sh\nexit 0\n"));
        expect(name.contains(&format!(".Script([{hash}])")), &name)?;
        expect(one.program.subprin != two.program.subprin, name)
    }

    fn lists(&self, report: &mut Report) {
        report.check(
            "a program that has ended is in the list of all, with its status",
            || {
                let program = self.run(&["exit", "9"])?.program;
                let all = self.admin().and_then(|mut admin| admin.list_all());
                let all = all?;
                let found = all.iter().rev().find(|known| known.program == program);
                let status = found.and_then(|known| known.ended);
                expect(status == Some(9 << 8), format!("{status:?}"))
            },
        );
        report.check(
            "a signal for a process under another name reaches nobody",
            || {
                let (program, mut reader) = self.start(&self.program, &["wait"])?;
                reader.read_exact(&mut [0; 1])?;
                let mut other = program.clone();
                other.subprin = ".Program([00])".parse()?;
                let mut admin = self.admin()?;
                let kill = nix::sys::signal::Signal::SIGKILL;
                let answer = admin.signal_program(&other, kill);
                let alive = admin.list()?.contains(&program);
                admin.signal_program(&program, kill)?;
                self.wait(&program)?;
                refused(answer, "no such hosted program")?;
                expect(alive, "it has ended")
            },
        );
    }

    /// All of them.
    pub fn as_described(&self, report: &mut Report) {
        self.sockets(report);
        self.guards(report);
        self.measured(report);
        self.words_of_the_policy(report);
        self.lists(report);
    }
}
