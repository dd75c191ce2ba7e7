//! Which devices of the machine a policy may name.

use std::path::{Component, Path};

/// Most devices of a policy.
pub(crate) const MOST_DEVICES: usize = 16;

/// Why a path is not a device that the policy may name; `None` if it is one.
pub(crate) fn wrong_device(path: &Path) -> Option<&'static str> {
    let mut names = match path.strip_prefix("/dev") {
        Ok(below) => below.components(),
        Err(_) => return Some("is not below /dev"),
    };
    let plain = |part: Option<Component<'_>>| matches!(part, Some(Component::Normal(_)));
    let own = ["shm", "pts", "ptmx", "fd", "stdin", "stdout", "stderr"];
    match (names.next(), names.next(), names.next()) {
        (Some(first), _, _) if own.iter().any(|name| first.as_os_str() == *name) => {
            Some("is a device of which every program has its own")
        }
        (first, None, None) if plain(first) => None,
        (first, second, None) if plain(first) && plain(second) => None,
        _ => Some("is not a device in /dev or a directory of it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_below_dev_and_not_the_programs_own() {
        for good in ["/dev/kvm", "/dev/net/tun"] {
            assert_eq!(wrong_device(Path::new(good)), None, "{good}");
        }
        for bad in [
            "/dev",
            "/dev/",
            "/etc/passwd",
            "/dev/../etc/passwd",
            "/dev/a/b/c",
            "/dev/pts/0",
            "/dev/shm",
            "dev/kvm",
        ] {
            assert!(wrong_device(Path::new(bad)).is_some(), "{bad}");
        }
    }
}
