//! The patterns of module aliases: `*`, `?` and `[a-z]`, as fnmatch(3) without flags.

/// Does the whole of `text` match `pattern`? Time is at most the product of the lengths.
pub fn glob_match(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the last star has to swallow one byte more.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match step(rest(pattern, p), *byte) {
            Step::Star => {
                p = p.saturating_add(1);
                retry = Some((p, t));
            }
            Step::One(length) => {
                p = p.saturating_add(length);
                t = t.saturating_add(1);
            }
            Step::No => match retry {
                Some((star, swallowed)) => {
                    p = star;
                    t = swallowed.saturating_add(1);
                    retry = Some((star, t));
                }
                None => return false,
            },
        }
    }
    rest(pattern, p).iter().all(|byte| *byte == b'*')
}

/// Nothing where the pattern is at its end.
fn rest(pattern: &[u8], from: usize) -> &[u8] {
    pattern.get(from..).unwrap_or(&[])
}

enum Step {
    Star,
    /// The byte matches this many bytes of the pattern.
    One(usize),
    No,
}

fn step(pattern: &[u8], byte: u8) -> Step {
    match pattern {
        [b'*', ..] => Step::Star,
        [b'?', ..] => Step::One(1),
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|b| *b == b']');
            match end.and_then(|end| rest.get(..end)) {
                Some(class) if class_contains(class, byte) => {
                    Step::One(class.len().saturating_add(2))
                }
                _ => Step::No,
            }
        }
        [first, ..] if *first == byte => Step::One(1),
        _ => Step::No,
    }
}

fn class_contains(class: &[u8], byte: u8) -> bool {
    let (negated, mut class) = match class {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    loop {
        match class {
            [low, b'-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&byte);
                class = rest;
            }
            [one, rest @ ..] => {
                found |= *one == byte;
                class = rest;
            }
            [] => return found != negated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_aliases_match_as_modprobe_matches_them() {
        for (pattern, text, expected) in [
            (
                "pci:v00001AF4d*sv*sd*bc*sc*i*",
                "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00",
                true,
            ),
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000003v00001AF4", false),
            (
                "usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*",
                "usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip00in00",
                true,
            ),
            ("usb:v0627d[0-2]*", "usb:v0627d1x", true),
            ("usb:v0627d[0-2]*", "usb:v0627d3x", false),
            ("a[!b]c", "axc", true),
            ("a[!b]c", "abc", false),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("a*b*c", "a__b__b_c", true),
            ("[", "[", false),
        ] {
            assert_eq!(glob_match(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = "*a".repeat(200);
        assert!(!glob_match(&pattern, &"a".repeat(199)));
    }
}
