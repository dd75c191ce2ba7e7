//! How tables name devices: `UUID=`, `LABEL=`, a path.

use crate::table::unquote;

/// Tags, and where udev has links by them.
const TAGS: [(&str, &str); 5] = [
    ("UUID=", "by-uuid"),
    ("LABEL=", "by-label"),
    ("PARTUUID=", "by-partuuid"),
    ("PARTLABEL=", "by-partlabel"),
    ("ID=", "by-id"),
];

/// The UUID of a LUKS header or file system that a line names; small letters.
pub fn uuid(device: &str) -> Option<String> {
    let uuid = device
        .strip_prefix("UUID=")
        .or_else(|| device.strip_prefix("/dev/disk/by-uuid/"))?;
    Some(unquote(uuid).to_ascii_lowercase())
}

/// The name of a mapping that a line names.
pub fn mapping(device: &str) -> Option<&str> {
    device
        .strip_prefix("/dev/mapper/")
        .filter(|name| !name.is_empty())
}

/// Where the device that a line names has its node on the running system.
pub fn node(device: &str) -> Option<String> {
    let tagged = TAGS.iter().find_map(|(tag, directory)| {
        let value = unquote(device.strip_prefix(tag)?);
        Some(format!("/dev/disk/{directory}/{}", link(value)))
    });
    tagged.or_else(|| device.starts_with("/dev/").then(|| device.to_owned()))
}

/// Does a text name a device?
pub fn is_device(text: &str) -> bool {
    node(text).is_some()
}

/// udev's links have other bytes than these as `\x20` (udev's `encode_devnode_name`).
fn link(value: &str) -> String {
    let mut link = String::with_capacity(value.len());
    for letter in value.chars() {
        if letter.is_ascii_alphanumeric() || "#+-.:=@_".contains(letter) || !letter.is_ascii() {
            link.push(letter);
        } else {
            link.push_str(&format!("\\x{:02x}", u32::from(letter)));
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_lead_to_the_links_of_udev() {
        assert_eq!(
            node("PARTUUID=\"a-1\"").unwrap(),
            "/dev/disk/by-partuuid/a-1"
        );
        assert_eq!(
            node("LABEL=my root").unwrap(),
            "/dev/disk/by-label/my\\x20root"
        );
        assert_eq!(node("LABEL=a/b").unwrap(), "/dev/disk/by-label/a\\x2fb");
        assert_eq!(node("ID=nvme-x").unwrap(), "/dev/disk/by-id/nvme-x");
        assert_eq!(node("/dev/sda").unwrap(), "/dev/sda");
        assert_eq!(node("tmpfs"), None);
        assert_eq!(uuid("UUID=0B5B-6d7a").unwrap(), "0b5b-6d7a");
        assert_eq!(uuid("/dev/disk/by-uuid/0b5b").unwrap(), "0b5b");
        assert_eq!(mapping("/dev/mapper/sda3_crypt"), Some("sda3_crypt"));
        assert_eq!(mapping("/dev/mapper/"), None);
    }
}
