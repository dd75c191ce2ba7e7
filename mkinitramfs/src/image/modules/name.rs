//! Names of modules and the wildcard patterns of their aliases.

/// A module's name with '_' for '-', as the kernel and /proc/modules spell it.
#[must_use]
pub fn normalize(name: &str) -> String {
    name.replace('-', "_")
}

/// The module's name from its file's path: `kernel/x/dm-crypt.ko.xz` is `dm_crypt`.
/// `None` when the path is not a module file.
#[must_use]
pub fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let (stem, suffix) = file.split_once(".ko")?;
    (!stem.is_empty() && matches!(suffix, "" | ".gz" | ".xz" | ".zst" | ".lzma"))
        .then(|| normalize(stem))
}

/// Whether `text` matches `pattern`, with `*`, `?` and `[a-f]` as in fnmatch(3)
/// and '-' equal to '_' outside brackets, as modprobe compares them.
///
/// Takes at most `pattern.len() * text.len()` steps: a pattern with many stars
/// from a hostile file cannot make it run for ever.
#[must_use]
pub fn alias_matches(pattern: &str, text: &str) -> bool {
    let pattern = pattern.as_bytes();
    let text = text.as_bytes();
    let (mut at, mut pos) = (0_usize, 0_usize);
    // Where to go on when the text after the last star did not match.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let matched = match (pattern.get(at), text.get(pos)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((at.saturating_add(1), pos));
                at = at.saturating_add(1);
                continue;
            }
            (Some(_), Some(&byte)) => pattern.get(at..).and_then(|rest| match_one(rest, byte)),
            _ => None,
        };
        if let Some(length) = matched {
            at = at.saturating_add(length);
            pos = pos.saturating_add(1);
            continue;
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                retry = Some((after, from.saturating_add(1)));
                at = after;
                pos = from.saturating_add(1);
            }
            _ => return false,
        }
    }
}

/// Matches one byte against the head of a pattern; the length of that head if so.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let close = pattern.iter().skip(2).position(|&b| b == b']')?;
            let close = close.saturating_add(2);
            let set = pattern.get(1..close)?;
            let (negated, set) = match set.split_first() {
                Some((b'!' | b'^', rest)) => (true, rest),
                _ => (false, set),
            };
            (in_set(set, byte) != negated).then_some(close.saturating_add(1))
        }
        &wanted => (dash(wanted) == dash(byte)).then_some(1),
    }
}

fn in_set(mut set: &[u8], byte: u8) -> bool {
    loop {
        match set {
            [] => return false,
            [low, b'-', high, rest @ ..] => {
                if (*low..=*high).contains(&byte) {
                    return true;
                }
                set = rest;
            }
            [one, rest @ ..] => {
                if *one == byte {
                    return true;
                }
                set = rest;
            }
        }
    }
}

fn dash(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

/// The names nearest to `wanted` among `names`, at most three, best first.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let limit = (wanted.len() / 4).saturating_add(1);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            if name.len() > wanted.len() && name.starts_with(wanted) {
                return Some((limit, name));
            }
            let distance = edit_distance(wanted.as_bytes(), name.as_bytes());
            (distance <= limit).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

fn edit_distance(one: &[u8], two: &[u8]) -> usize {
    // The last column of the row that is done.
    let mut distance = two.len();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (b, &above) in two.iter().zip(row.iter().skip(1)) {
            let cost = diagonal.saturating_add(usize::from(a != b));
            left = cost
                .min(left.saturating_add(1))
                .min(above.saturating_add(1));
            diagonal = above;
            next.push(left);
        }
        distance = left;
        row = next;
    }
    distance
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_from_file_names() {
        assert_eq!(module_name("kernel/a/dm-crypt.ko"), Some("dm_crypt".into()));
        assert_eq!(module_name("x.ko.zst"), Some("x".into()));
        assert_eq!(module_name("x.ko.lzma"), Some("x".into()));
        assert_eq!(module_name("x.ko.lz4"), None);
        assert_eq!(module_name(".ko"), None);
        assert_eq!(module_name("x.o"), None);
    }

    #[test]
    fn aliases_match_as_modprobe_matches_them() {
        for (pattern, text, expected) in [
            (
                "pci:v00001AF4d*sv*sd*bc*sc*i*",
                "pci:v00001AF4d00001001sv0000sd0000bc01sc00i00",
                true,
            ),
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000008v00001AF4", false),
            ("acpi*:MSFT0101:*", "acpi:MSFT0101:", true),
            (
                "usb:v*p*d*dc*dsc*dp*ic08isc0[1-6]ip50in*",
                "usb:v1p1d1dc0dsc0dp0ic08isc06ip50in00",
                true,
            ),
            ("usb:ic08isc0[1-6]", "usb:ic08isc07", false),
            ("a[!b]c", "abc", false),
            ("platform:intel-lpss", "platform:intel_lpss", true),
            ("a?c", "abc", true),
            ("", "", true),
            ("*", "", true),
            ("[", "[", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(alias_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_typing_error_finds_its_name() {
        let names = ["virtio_blk", "virtio_net", "ext4", "nvme", "nvme_core"];
        assert_eq!(
            nearest("virtio_bkl", names.into_iter()),
            ["virtio_blk", "virtio_net"]
        );
        assert_eq!(nearest("nvm", names.into_iter()), ["nvme", "nvme_core"]);
        assert!(nearest("zzzzzz", names.into_iter()).is_empty());
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a-c*?\\[\\]!-]{0,60}", text in "[a-c]{0,60}") {
            // A star in front may only add matches.
            let starred = format!("*{pattern}");
            prop_assert!(!alias_matches(&pattern, &text) || alias_matches(&starred, &text));
        }

        #[test]
        fn plain_text_matches_itself_and_with_stars(text in "[a-z0-9:]{0,30}") {
            prop_assert!(alias_matches(&text, &text));
            let starred = format!("*{text}*");
            prop_assert!(alias_matches(&starred, &text));
        }
    }
}
