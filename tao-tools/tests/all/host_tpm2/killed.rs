//! A host whose counters are anchored in a TPM, killed (SIGKILL) before each write to its state
//! and to the TPM: a real swtpm, which goes on.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use agent::host::QuotedRoot;
use tao::guard::GuardSource;
use tao::{
    admin::Admin,
    client::{Parent, SealPolicy},
    keys::{Hidden, Secret},
};
use tao_host::{HostConfig, ProgramPolicy};
use tpm::{Bank, PcrSet, Tpm2, swtpm::Swtpm};

use super::{
    common::program,
    tpm2::{booted, event, launched},
};
use crate::host::interrupt::{MOST_STEPS, Steps, interrupted};

const TCTI: &str = "TAOBOOT_TEST_TCTI";
const FOLDER: &str = "TAOBOOT_TEST_FOLDER";

/// The process of [`Host`] runs this.
#[test]
#[ignore = "no test: the host that the test below kills"]
fn serves() {
    let (tcti, directory) = (std::env::var(TCTI).unwrap(), std::env::var(FOLDER).unwrap());
    let tpm = Box::new(Tpm2::open(&tcti).unwrap());
    let config = HostConfig {
        root: Box::new(QuotedRoot::new(
            tpm,
            Bank::Sha256,
            PcrSet::LAUNCH,
            event(43),
        )),
        host_secret: Hidden::with(|| Secret::new([43; 32])),
        state_dir: Some(Path::new(&directory).join("state")),
        socket_dir: directory.into(),
        admin_group: None,
        guard: GuardSource::Liberal,
        programs: ProgramPolicy::default(),
    };
    tao_host::serve(config).unwrap();
}

struct Host {
    process: Child,
    socket: PathBuf,
}

impl Host {
    fn start(swtpm: &Swtpm, directory: &Path) -> Self {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "host_tpm2::killed::serves"])
            .env(TCTI, swtpm.tcti())
            .env(FOLDER, directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let socket = directory.join("admin.sock");
        let deadline = Instant::now() + Duration::from_secs(120);
        // An answer: what a killed host was starting has its socket open for another moment.
        while Admin::connect(&socket)
            .and_then(|mut admin| admin.list())
            .is_err()
        {
            assert!(Instant::now() < deadline, "the host does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { process, socket }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

fn seal(program: &Parent, data: &[u8]) -> Result<Vec<u8>, tao::client::CallError> {
    program.rollback_protected_seal("a", data, SealPolicy::Own)
}

#[test]
fn killed_at_any_write_a_host_with_an_anchor_goes_on_from_before_or_after_it() {
    let swtpm = launched(2);
    booted(&swtpm, &event(43));
    let directory = tempfile::tempdir().unwrap();
    let mut host = Host::start(&swtpm, directory.path());
    let name = program(&host.socket).tao_name().unwrap();
    for step in 1..MOST_STEPS {
        let hosted = program(&host.socket);
        let good = seal(&hosted, b"good").unwrap();
        let before = hosted.counter("a").unwrap();
        let (pid, steps) = (host.pid(), (Steps::Writes, step));
        let call = || seal(&hosted, b"interrupted");
        let answer = interrupted(pid, steps, call, || host.kill());

        host = Host::start(&swtpm, directory.path());
        let hosted = program(&host.socket);
        assert_eq!(hosted.tao_name().unwrap(), name, "step {step}");
        let opens = |sealed: &[u8]| hosted.rollback_protected_unseal(sealed).is_ok();
        let after = hosted.counter("a").unwrap();
        match &answer {
            // Who was told can rely on it.
            Ok(sealed) => {
                assert_eq!(after, before + 1, "step {step}");
                assert!(opens(sealed) && !opens(&good), "step {step}");
                assert!(step > 5, "the thread that writes was not watched");
                println!("{step} steps");
                return;
            }
            Err(_) => {
                let either = [before, before + 1].contains(&after);
                assert!(either, "step {step}: {before}, then {after}");
                assert_eq!(opens(&good), after == before, "step {step}");
            }
        }
    }
    panic!("the change never came to its end");
}
