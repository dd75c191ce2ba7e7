//! What root reads of a running host through /proc/PID/mem: a real process, searched page by page
//! for its secrets.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tao::guard::GuardSource;
use tao::{
    admin::Admin,
    keys::{Deriver, Hidden, Secret},
};
use tao_host::{HostConfig, ProgramPolicy, SoftRoot};

const FOLDER: &str = "TAOBOOT_TEST_FOLDER";
/// In hex and with each bit inverted, so that the secret itself is in no environment.
const INVERTED: &str = "TAOBOOT_TEST_INVERTED_SECRET";

fn secret(inverted: &str) -> Secret {
    let mut secret = Secret::default();
    for (index, byte) in secret.iter_mut().enumerate() {
        *byte = !u8::from_str_radix(&inverted[2 * index..2 * index + 2], 16).unwrap();
    }
    secret
}

/// The process that is searched runs this.
#[test]
#[ignore = "no test: the host whose memory the test below reads"]
fn serves() {
    let directory = std::env::var(FOLDER).unwrap();
    let inverted = std::env::var(INVERTED).unwrap();
    let config = HostConfig {
        root: Box::new(SoftRoot),
        host_secret: Hidden::with(|| secret(&inverted)),
        state_dir: None,
        socket_dir: directory.into(),
        admin_group: None,
        guard: GuardSource::Liberal,
        programs: ProgramPolicy::default(),
    };
    tao_host::serve(config).unwrap();
}

/// Which of these are in the memory of a process.
fn found(pid: u32, wanted: &[Vec<u8>]) -> Vec<usize> {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = BufReader::new(File::open(format!("/proc/{pid}/maps")).unwrap());
    let mut found = Vec::new();
    for line in maps.lines() {
        let line = line.unwrap();
        // Files are what they were when they were mapped; secrets are in what has no name.
        if line.contains(" /") && !line.ends_with("(deleted)") {
            continue;
        }
        let (range, _) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        // A value may lie across two pages; one page that cannot be read hides no other.
        let mut before: Vec<u8> = Vec::new();
        for page in (start..end).step_by(4096) {
            let mut bytes = [0; 4096];
            if memory.read_exact_at(&mut bytes, page).is_err() {
                before.clear();
                continue;
            }
            before.extend_from_slice(&bytes);
            for (index, wanted) in wanted.iter().enumerate() {
                if before.windows(wanted.len()).any(|window| window == wanted) {
                    found.push(index);
                }
            }
            before.drain(..before.len() - 64);
        }
    }
    found
}

/// Does this kernel have memfd_secret(2), switched on?
#[allow(unsafe_code)]
fn has_secret_memory() -> bool {
    // SAFETY: takes flags only; the descriptor that it gives is left to the end of the test.
    let fd = unsafe { nix::libc::syscall(nix::libc::SYS_memfd_secret, 0) };
    fd >= 0
}

#[test]
fn the_secrets_of_a_running_host_are_not_read_through_the_kernel() {
    let directory = tempfile::tempdir().unwrap();
    let inverted: String = (0..32_u8)
        .map(|index| format!("{:02x}", index.wrapping_mul(91).wrapping_add(17)))
        .collect();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "host_tpm2::memory::serves"])
        .env(FOLDER, directory.path())
        .env(INVERTED, &inverted)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = directory.path().join("admin.sock");
    let deadline = Instant::now() + Duration::from_secs(60);
    while Admin::connect(Path::new(&socket))
        .and_then(|mut admin| admin.list())
        .is_err()
    {
        assert!(Instant::now() < deadline, "the host does not answer");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The host's secret; what its signing and sealing keys are made from; the P-256 scalar in
    // both orders of bytes. And, as a control, what is in its environment.
    let guard = GuardSource::Liberal.subprincipal().unwrap().encode();
    let derive = |secret: Secret, tag: &[u8]| Deriver::new(secret).secret(tag).unwrap();
    let of_host = |purpose: &str| {
        let tag = [purpose.as_bytes(), &guard].concat();
        derive(secret(&inverted), &tag)
    };
    let signing = of_host("taoboot host signing key");
    let scalar = derive(signing.clone(), b"taoboot p256 signer \0");
    let wanted = vec![
        secret(&inverted).to_vec(),
        signing.to_vec(),
        of_host("taoboot host sealing key").to_vec(),
        of_host("taoboot host deriving key").to_vec(),
        scalar.to_vec(),
        scalar.iter().rev().copied().collect(),
        inverted.into_bytes(),
    ];
    let control = wanted.len() - 1;
    let found = found(host.id(), &wanted);
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(found.contains(&control), "the control was not found");
    if !has_secret_memory() {
        eprintln!("skipped: memfd_secret is off on this kernel: {found:?} are in usual memory");
        return;
    }
    assert!(found.iter().all(|index| *index == control), "{found:?}");
}
