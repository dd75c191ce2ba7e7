//! What a group's metadata may not say: extents that belong to two segments, volumes that consist of
//! themselves.

use std::collections::BTreeMap;

use super::volume_group::{Kind, On, VolumeGroup};

/// Metadata that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Two volumes would overwrite each other.
    #[error(
        "{one} and {other} both have extent {extent} of the physical volume {physical} of the volume group {group}"
    )]
    Overlap {
        /// Group.
        group: String,
        /// A logical volume.
        one: String,
        /// Another, or the same.
        other: String,
        /// The first that both have.
        extent: u64,
        /// Name in the metadata.
        physical: String,
    },
    /// It would never end.
    #[error("the logical volume {volume} of the volume group {group} consists of itself")]
    Circle {
        /// Group.
        group: String,
        /// One of the circle.
        volume: String,
    },
}

/// No extent of a physical volume is in two segments.
pub fn overlaps(group: &VolumeGroup) -> Result<(), CheckError> {
    // Physical volume, first extent, end, logical volume.
    let mut parts: Vec<(&str, u64, u64, &str)> = Vec::new();
    for (name, volume) in &group.logical {
        for segment in &volume.segments {
            let Kind::Striped { stripes, .. } = &segment.kind else {
                continue;
            };
            let count = u64::try_from(stripes.len()).unwrap_or(u64::MAX);
            let each = segment.extents.checked_div(count).unwrap_or(0);
            for stripe in stripes {
                if let On::Physical(physical) = &stripe.on {
                    // The reader compared the end with the physical volume's.
                    let end = stripe.extent.saturating_add(each);
                    parts.push((physical, stripe.extent, end, name));
                }
            }
        }
    }
    parts.sort_unstable();
    for pair in parts.windows(2) {
        if let [(physical, _, end, one), (next, extent, _, other)] = pair
            && physical == next
            && extent < end
        {
            return Err(CheckError::Overlap {
                group: group.name.clone(),
                one: (*one).to_owned(),
                other: (*other).to_owned(),
                extent: *extent,
                physical: (*physical).to_owned(),
            });
        }
    }
    Ok(())
}

/// No logical volume is below itself: volumes are taken away as soon as all that they consist of are.
pub fn circles(group: &VolumeGroup) -> Result<(), CheckError> {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, volume) in &group.logical {
        let below = volume
            .segments
            .iter()
            .flat_map(|segment| match &segment.kind {
                Kind::Other { uses, .. } => uses.iter().collect::<Vec<_>>(),
                Kind::Striped { stripes, .. } => stripes
                    .iter()
                    .filter_map(|stripe| match &stripe.on {
                        On::Logical(name) => Some(name),
                        On::Physical(_) => None,
                    })
                    .collect(),
            });
        let mut count = 0_usize;
        for other in below {
            count = count.saturating_add(1);
            users.entry(other).or_default().push(name);
        }
        waiting.insert(name, count);
    }
    let mut free: Vec<&str> = waiting
        .iter()
        .filter_map(|(name, count)| (*count == 0).then_some(*name))
        .collect();
    while let Some(name) = free.pop() {
        waiting.remove(name);
        // Nobody uses most of them.
        for user in users.remove(name).unwrap_or_default() {
            if let Some(count) = waiting.get_mut(user) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    free.push(user);
                }
            }
        }
    }
    match waiting.keys().next() {
        None => Ok(()),
        Some(volume) => Err(CheckError::Circle {
            group: group.name.clone(),
            volume: (*volume).to_owned(),
        }),
    }
}
