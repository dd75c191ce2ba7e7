//! What stays in memory after the pivot: the Tao host in a booted Debian, and whether it
//! keeps anything of the initramfs.

use ::harness::world::{Plan, Userland, World};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::table::Table;

const PART: &str = "memory (booted Debian)";

/// Boots Debian through GRUB and tboot and asks its probe.
pub fn measure(table: &mut Table) -> Result<()> {
    let world = World::make("bench-memory", &Plan::new(Userland::Debian))
        .context("cannot make the machine")?;
    eprintln!("bench: Debian boots ...");
    let outcome = world.machine(Some(world.launch.clone()))?.run()?;
    let probe = outcome.report_of("probe")?;
    let hosts = probe
        .get("tao_hosts")
        .and_then(Value::as_array)
        .context("the probe looked for no Tao host")?;
    ensure!(
        hosts.len() == 1,
        "expected one Tao host, found {}\n{}",
        hosts.len(),
        outcome.console_end()
    );
    let host = hosts.first().context("no Tao host")?;
    let resident = host
        .get("resident_kib")
        .and_then(Value::as_f64)
        .context("the Tao host has no VmRSS")?;
    table.target(
        PART,
        "resident agent, VmRSS",
        resident / 1024.0,
        "MiB",
        12.0,
        "",
    );
    let kept = kept_of_initramfs(host);
    table.target(
        PART,
        "files of the initramfs in use",
        kept.len() as f64,
        "",
        0.0,
        &kept.join(" "),
    );
    Ok(())
}

/// Open or mapped files that are neither in memory, in /run, nor devices.
fn kept_of_initramfs(host: &Value) -> Vec<String> {
    let one = |member: &str| host.get(member).and_then(Value::as_str).map(str::to_owned);
    let many = |member: &str| {
        let items = host.get(member).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let files = one("executable")
        .into_iter()
        .chain(many("descriptors"))
        .chain(many("mapped_files"));
    let mut kept: Vec<String> = files.filter(|file| !is_elsewhere(file)).collect();
    kept.sort();
    kept.dedup();
    kept
}

fn is_elsewhere(file: &str) -> bool {
    [
        "/memfd:",
        "/dev/",
        "/run/",
        "/proc/",
        "socket:",
        "anon_inode:",
        "pipe:",
        "[",
    ]
    .iter()
    .any(|start| file.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_executable_of_the_initramfs_is_told_from_one_in_memory() {
        let host = json!({"executable": "/memfd:taoboot (deleted)", "descriptors": ["/dev/null", "socket:[1]"],
            "mapped_files": ["/memfd:taoboot (deleted)"]});
        assert!(kept_of_initramfs(&host).is_empty());
        let host = json!({"executable": "/init (deleted)", "descriptors": ["/dev/null"], "mapped_files": []});
        assert_eq!(kept_of_initramfs(&host), ["/init (deleted)"]);
    }
}
