//! The resident Tao host: a process whose `argv[0]` begins with '@', which is how systemd is
//! told to let it live on from the initramfs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Every such process.
pub fn tao_hosts() -> Value {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Value::Null;
    };
    let found = entries.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        command
            .starts_with(b"@")
            .then(|| describe(pid, &entry.path(), &command))
    });
    Value::Array(found.collect())
}

fn describe(pid: u32, process: &Path, command: &[u8]) -> Value {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .and_then(|value| value.parse::<u64>().ok())
    };
    json!({
        "pid": pid,
        "parent": field("PPid:"),
        "command": String::from_utf8_lossy(command).trim_end_matches('\0').replace('\0', " "),
        "resident_kib": field("VmRSS:"),
        "locked_kib": field("VmLck:"),
        "swapped_kib": field("VmSwap:"),
        "executable": link(&process.join("exe")),
        "directory": link(&process.join("cwd")),
        "root": link(&process.join("root")),
        "descriptors": descriptors(process),
        "mapped_files": mapped_files(process),
    })
}

fn link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.to_string_lossy().into_owned())
}

fn descriptors(process: &Path) -> Vec<String> {
    let entries = fs::read_dir(process.join("fd"));
    let mut targets: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| link(&entry.path()))
        .collect();
    targets.sort();
    targets
}

/// The files that the process has mapped, "(deleted)" included where the kernel says so.
fn mapped_files(process: &Path) -> Vec<String> {
    let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
    let mut files: Vec<String> = maps
        .lines()
        .filter_map(|line| line.find('/').and_then(|start| line.get(start..)))
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    files
}
