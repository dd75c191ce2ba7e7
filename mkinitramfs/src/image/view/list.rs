//! `image ls`: a long listing of every archive of an image.

use anyhow::Result;
use serde::Serialize;

use super::super::archive::{Entry, Part};
use super::super::options::List;
use super::{BLOCK, CHAR, DIRECTORY, SYMLINK, TYPE, load, parts, print, shown};

#[derive(Serialize)]
struct PartJson {
    offset: usize,
    packing: &'static str,
    entries: Vec<EntryJson>,
}

#[derive(Serialize)]
struct EntryJson {
    path: String,
    mode: String,
    uid: u32,
    gid: u32,
    size: usize,
    mtime: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<(u32, u32)>,
}

/// Prints the listing.
///
/// # Errors
/// The image cannot be read.
pub fn run(list: &List) -> Result<()> {
    let image = load(&list.image)?;
    let parts = parts(&list.image, &image)?;
    if list.json {
        let json: Vec<PartJson> = parts.iter().map(to_json).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&json)?));
    }
    let mut text = String::new();
    for part in &parts {
        text.push_str(&format!(
            "# archive at byte {}, {}, {} entries\n",
            part.offset,
            packing(part),
            part.entries.len()
        ));
        for (entry, data) in part.entries.iter().zip(part.contents()) {
            text.push_str(&line(entry, data));
        }
    }
    print(&text)
}

fn packing(part: &Part<'_>) -> &'static str {
    part.packing
        .map_or("not compressed", |packing| packing.name())
}

fn line(entry: &Entry, data: &[u8]) -> String {
    let size = match entry.mode & TYPE {
        CHAR | BLOCK => format!("{},{}", entry.rdev.0, entry.rdev.1),
        _ => data.len().to_string(),
    };
    let target = match entry.mode & TYPE {
        SYMLINK => format!(" -> {}", shown(data)),
        _ => String::new(),
    };
    format!(
        "{} {:>4} {:>4} {size:>10} {}{target}\n",
        mode_text(entry.mode),
        entry.uid,
        entry.gid,
        shown(&entry.name)
    )
}

fn to_json(part: &Part<'_>) -> PartJson {
    let entries = part
        .entries
        .iter()
        .zip(part.contents())
        .map(|(entry, data)| {
            let kind = entry.mode & TYPE;
            EntryJson {
                path: String::from_utf8_lossy(&entry.name).into_owned(),
                mode: format!("{:06o}", entry.mode),
                uid: entry.uid,
                gid: entry.gid,
                size: data.len(),
                mtime: entry.mtime,
                target: (kind == SYMLINK).then(|| String::from_utf8_lossy(data).into_owned()),
                device: matches!(kind, CHAR | BLOCK).then_some(entry.rdev),
            }
        });
    PartJson {
        offset: part.offset,
        packing: packing(part),
        entries: entries.collect(),
    }
}

/// `st_mode` as ls(1) writes it.
fn mode_text(mode: u32) -> String {
    let kind = match mode & TYPE {
        DIRECTORY => 'd',
        SYMLINK => 'l',
        CHAR => 'c',
        BLOCK => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        0o100_000 => '-',
        _ => '?',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_as_in_ls() {
        for (mode, text) in [
            (0o100_755, "-rwxr-xr-x"),
            (0o041_777, "drwxrwxrwt"),
            (0o104_711, "-rws--x--x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o020_600, "crw-------"),
            (0o102_644, "-rw-r-Sr--"),
        ] {
            assert_eq!(mode_text(mode), text);
        }
    }
}
