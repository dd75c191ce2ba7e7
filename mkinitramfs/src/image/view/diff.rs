//! `image diff`: what two images hold differently.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::archive::Part;
use super::super::options::Diff;
use super::{BLOCK, CHAR, SYMLINK, TYPE, load, parts, path_in_root, print, shown};

/// What counts of an entry; times and inode numbers do not.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    mode: u32,
    owner: (u32, u32),
    device: Option<(u32, u32)>,
    target: Option<String>,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Report {
    same_bytes: bool,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<Changed>,
}

#[derive(Debug, Serialize)]
struct Changed {
    path: String,
    differences: Vec<String>,
}

/// Prints the differences.
///
/// # Errors
/// An image cannot be read; or they differ, in a sentence that counts the entries.
pub fn run(diff: &Diff) -> Result<()> {
    let (old, new) = (load(&diff.old)?, load(&diff.new)?);
    let report = Report {
        same_bytes: old == new,
        ..compare(&items(&diff.old, &old)?, &items(&diff.new, &new)?)
    };
    if diff.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        print(&text(&report))?;
    }
    let count = report
        .added
        .len()
        .saturating_add(report.removed.len())
        .saturating_add(report.changed.len());
    if count > 0 {
        bail!(
            "{} and {} differ in {count} entries",
            diff.old.display(),
            diff.new.display()
        );
    }
    Ok(())
}

/// The entries of an image by path; the last one of a path counts.
fn items(path: &Path, image: &[u8]) -> Result<BTreeMap<Vec<u8>, Item>> {
    let parts = parts(path, image)?;
    Ok(parts.iter().flat_map(part_items).collect())
}

fn part_items(part: &Part<'_>) -> Vec<(Vec<u8>, Item)> {
    part.entries
        .iter()
        .zip(part.contents())
        .map(|(entry, data)| {
            let kind = entry.mode & TYPE;
            let item = Item {
                mode: entry.mode,
                owner: (entry.uid, entry.gid),
                device: matches!(kind, CHAR | BLOCK).then_some(entry.rdev),
                target: (kind == SYMLINK).then(|| shown(data)),
                sha256: hex::encode(Sha256::digest(data)),
            };
            (path_in_root(&entry.name).to_vec(), item)
        })
        .collect()
}

fn compare(old: &BTreeMap<Vec<u8>, Item>, new: &BTreeMap<Vec<u8>, Item>) -> Report {
    let only = |one: &BTreeMap<Vec<u8>, Item>, other: &BTreeMap<Vec<u8>, Item>| {
        one.keys()
            .filter(|path| !other.contains_key(*path))
            .map(|path| shown(path))
            .collect()
    };
    let changed = old
        .iter()
        .filter_map(|(path, before)| Some((path, before, new.get(path)?)))
        .filter(|(_, before, after)| before != after)
        .map(|(path, before, after)| Changed {
            path: shown(path),
            differences: differences(before, after),
        })
        .collect();
    Report {
        same_bytes: false,
        added: only(new, old),
        removed: only(old, new),
        changed,
    }
}

fn differences(before: &Item, after: &Item) -> Vec<String> {
    let mut found = Vec::new();
    if before.mode != after.mode {
        found.push(format!("mode {:06o} -> {:06o}", before.mode, after.mode));
    }
    if before.owner != after.owner {
        let ((a, b), (c, d)) = (before.owner, after.owner);
        found.push(format!("owner {a}:{b} -> {c}:{d}"));
    }
    if before.device != after.device {
        let text = |device: Option<(u32, u32)>| {
            device.map_or("none".to_owned(), |(major, minor)| {
                format!("{major},{minor}")
            })
        };
        found.push(format!(
            "device {} -> {}",
            text(before.device),
            text(after.device)
        ));
    }
    match (&before.target, &after.target) {
        (Some(before), Some(after)) if before != after => {
            found.push(format!("target {before} -> {after}"));
        }
        _ if before.sha256 != after.sha256 => {
            found.push(format!("sha256 {} -> {}", before.sha256, after.sha256));
        }
        _ => {}
    }
    found
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for path in &report.removed {
        text.push_str(&format!("- {path}\n"));
    }
    for path in &report.added {
        text.push_str(&format!("+ {path}\n"));
    }
    for changed in &report.changed {
        text.push_str(&format!(
            "~ {}: {}\n",
            changed.path,
            changed.differences.join(", ")
        ));
    }
    if text.is_empty() {
        text.push_str(if report.same_bytes {
            "the images are the same, byte for byte\n"
        } else {
            "the entries are the same, but the bytes are not (compression, order or times): \
             the measured values will differ\n"
        });
    }
    text
}
