//! The two orders in which GRUBs sort BLS entries: that of rpm's versions, and gnulib's
//! `filevercmp`.

use std::cmp::Ordering;

/// Fedora's GRUB: name, version and release, each compared as rpm does.
pub fn package_order(a: &str, b: &str) -> Ordering {
    let [a, b] = [a, b].map(parts);
    let mut order = Ordering::Equal;
    for (a, b) in a.iter().zip(&b) {
        order = order.then_with(|| rpm_order(a.as_bytes(), b.as_bytes()));
    }
    order
}

/// Name, version and release: what stands before the last two hyphens, and behind each.
fn parts(text: &str) -> [&str; 3] {
    match text.rsplit_once('-') {
        None => [text, "", ""],
        Some((front, release)) => match front.rsplit_once('-') {
            None => [front, release, ""],
            Some((name, version)) => [name, version, release],
        },
    }
}

/// The longest begin of which every byte fits, and the rest.
fn split(text: &[u8], fits: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !fits(byte));
    text.split_at(end.unwrap_or(text.len()))
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    split(digits, |byte| *byte == b'0').1
}

/// Numbers of any length.
fn number_order(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (without_zeros(a), without_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn rpm_order(mut a: &[u8], mut b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'~';
    loop {
        a = split(a, |byte| !counts(byte)).1;
        b = split(b, |byte| !counts(byte)).1;
        match (a.strip_prefix(b"~"), b.strip_prefix(b"~")) {
            (Some(behind_a), Some(behind_b)) => {
                (a, b) = (behind_a, behind_b);
                continue;
            }
            (None, Some(_)) => return Ordering::Greater,
            (Some(_), None) => return Ordering::Less,
            (None, None) => {}
        }
        let (Some(first), Some(_)) = (a.first(), b.first()) else {
            // What is longer is newer.
            return a.is_empty().cmp(&b.is_empty()).reverse();
        };
        let numeric = first.is_ascii_digit();
        let fits = |byte: &u8| match numeric {
            true => byte.is_ascii_digit(),
            false => byte.is_ascii_alphabetic(),
        };
        let ((segment_a, rest_a), (segment_b, rest_b)) = (split(a, fits), split(b, fits));
        // A number is newer than a word.
        let order = match (segment_b.is_empty(), numeric) {
            (true, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) => number_order(segment_a, segment_b),
            (false, false) => segment_a.cmp(segment_b),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// GRUB 2.14: gnulib's comparison of file names, the endings like `.conf` at last.
pub fn file_order(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let order = debian_order(without_endings(a), without_endings(b));
    order
        .then_with(|| debian_order(a, b))
        .then_with(|| a.cmp(b))
}

/// A name without its endings: each a dot, a letter or tilde, and letters, digits and tildes.
fn without_endings(name: &[u8]) -> &[u8] {
    let mut rest = name;
    while let Some(dot) = rest.iter().rposition(|byte| *byte == b'.') {
        let (front, ending) = rest.split_at(dot);
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'~';
        let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'~';
        let is_ending = match ending.get(1..).and_then(<[u8]>::split_first) {
            Some((first, more)) => begins(first) && more.iter().all(fits),
            None => false,
        };
        if !is_ending || front.is_empty() {
            break;
        }
        rest = front;
    }
    rest
}

/// Debian's order of versions: tilde, end, letters, everything else; numbers by their value.
fn debian_order(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => (0, 0),
        None => (1, 0),
        Some(byte) if byte.is_ascii_digit() => (1, 0),
        Some(byte) if byte.is_ascii_alphabetic() => (2, *byte),
        Some(byte) => (3, *byte),
    };
    while !a.is_empty() || !b.is_empty() {
        let (words_a, rest_a) = split(a, |byte| !byte.is_ascii_digit());
        let (words_b, rest_b) = split(b, |byte| !byte.is_ascii_digit());
        for place in 0..words_a.len().max(words_b.len()) {
            let order = weight(words_a.get(place)).cmp(&weight(words_b.get(place)));
            if order != Ordering::Equal {
                return order;
            }
        }
        let (number_a, behind_a) = split(rest_a, u8::is_ascii_digit);
        let (number_b, behind_b) = split(rest_b, u8::is_ascii_digit);
        let order = number_order(number_a, number_b);
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (behind_a, behind_b);
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each list is in rising order.
    fn rises(order: fn(&str, &str) -> Ordering, names: &[&str]) {
        for (place, a) in names.iter().enumerate() {
            for (other, b) in names.iter().enumerate() {
                assert_eq!(order(a, b), place.cmp(&other), "{a} {b}");
            }
        }
    }

    #[test]
    fn versions_rise_as_rpm_and_gnulib_have_it() {
        rises(
            package_order,
            &[
                "m-0-rescue",
                "m-6.4.9-100.fc38",
                "m-6.4.10-1.fc38",
                "m-6.4.10-20.fc38",
            ],
        );
        rises(package_order, &["a-1~rc1-1", "a-1-1", "a-1.1-1", "b-1-1"]);
        rises(
            file_order,
            &[
                "m-0-rescue.conf",
                "m-6.4.9-100.conf",
                "m-6.4.10-1.conf",
                "m-6.4.10-20.conf",
            ],
        );
        rises(file_order, &["a-1~rc1.conf", "a-1.conf", "a-1.1.conf"]);
        assert_eq!(package_order("a-1.0", "a-1_0"), Ordering::Equal);
        assert_eq!(package_order("a-x", "a-1"), Ordering::Less);
        assert_eq!(rpm_order(b"1.0", b"1.0.1"), Ordering::Less);
        assert_eq!(number_order(b"007", b"7"), Ordering::Equal);
    }
}
