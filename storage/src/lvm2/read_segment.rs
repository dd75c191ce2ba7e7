//! The segments of a logical volume.

use std::collections::BTreeMap;

use super::{
    tree::{Section, Value},
    values::{GroupTextError, at_most, number, wrong},
    volume_group::{Kind, On, Segment, Stripe, VolumeGroup},
};

const MOST_SEGMENTS: usize = 65_536;
/// lvm2's AREA_COUNT_MAX.
const MOST_STRIPES: usize = 128;

/// All segments of `volume`, in order. `others` are the sections of all logical volumes.
pub fn all(
    volume: &str,
    section: &Section,
    group: &VolumeGroup,
    others: &BTreeMap<String, Section>,
) -> Result<Vec<Segment>, GroupTextError> {
    let count = number(section, "segment_count", volume, 0..=MOST_SEGMENTS as u64)?;
    let found = section.sections.keys();
    let found = found.filter(|name| name.starts_with("segment")).count();
    at_most(found, MOST_SEGMENTS, "segments")?;
    if usize::try_from(count) != Ok(found) {
        return Err(wrong(volume, "segment_count"));
    }
    let mut segments = Vec::with_capacity(found);
    let mut end = 0_u64;
    for number in 1..=found {
        let name = format!("segment{number}");
        let inner = section.sections.get(&name);
        let inner = inner.ok_or_else(|| wrong(volume, "segment_count"))?;
        let place = Place { volume, number };
        let segment = place.segment(inner, group, others)?;
        if segment.start != end {
            return Err(GroupTextError::Hole {
                volume: volume.to_owned(),
                number,
            });
        }
        end = end
            .checked_add(segment.extents)
            .ok_or_else(|| place.wrong("is too long"))?;
        segments.push(segment);
    }
    Ok(segments)
}

/// For errors.
struct Place<'v> {
    volume: &'v str,
    number: usize,
}

impl Place<'_> {
    fn wrong(&self, what: &'static str) -> GroupTextError {
        GroupTextError::Segment {
            volume: self.volume.to_owned(),
            number: self.number,
            what,
        }
    }

    fn segment(
        &self,
        section: &Section,
        group: &VolumeGroup,
        others: &BTreeMap<String, Section>,
    ) -> Result<Segment, GroupTextError> {
        let most = i64::MAX.unsigned_abs();
        let start = number(section, "start_extent", self.volume, 0..=most)?;
        let extents = number(section, "extent_count", self.volume, 1..=most)?;
        let Some(Value::Text(word)) = section.values.get("type") else {
            return Err(wrong(self.volume, "type"));
        };
        let kind = if word == "striped" || word == "linear" {
            self.striped(section, extents, group, others)?
        } else {
            Kind::Other {
                word: word.clone(),
                uses: uses(section, others),
            }
        };
        Ok(Segment {
            start,
            extents,
            kind,
        })
    }

    fn striped(
        &self,
        section: &Section,
        extents: u64,
        group: &VolumeGroup,
        others: &BTreeMap<String, Section>,
    ) -> Result<Kind, GroupTextError> {
        let count = number(
            section,
            "stripe_count",
            self.volume,
            1..=MOST_STRIPES as u64,
        )?;
        let Some(Value::List(list)) = section.values.get("stripes") else {
            return Err(wrong(self.volume, "stripes"));
        };
        let (pairs, rest) = list.as_chunks::<2>();
        if !rest.is_empty() || u64::try_from(pairs.len()) != Ok(count) {
            return Err(self.wrong("has another number of stripes than it says"));
        }
        let each = extents
            .checked_div(count)
            .filter(|_| extents.checked_rem(count) == Some(0));
        let each = each.ok_or_else(|| self.wrong("is not divided evenly among its stripes"))?;
        let mut stripes = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let [Value::Text(name), Value::Number(extent)] = pair else {
                return Err(wrong(self.volume, "stripes"));
            };
            let extent = u64::try_from(*extent).map_err(|_| wrong(self.volume, "stripes"))?;
            let end = extent.checked_add(each);
            let on = if let Some(physical) = group.physical.get(name) {
                if end.is_none_or(|end| end > physical.extents) {
                    return Err(self.wrong("goes beyond the end of its physical volume"));
                }
                On::Physical(name.clone())
            } else if others.contains_key(name) {
                On::Logical(name.clone())
            } else {
                return Err(self.wrong("is on a physical volume that is not in the group"));
            };
            stripes.push(Stripe { on, extent });
        }
        Ok(Kind::Striped {
            chunk: self.chunk(section, count, group)?,
            stripes,
        })
    }

    /// Device-mapper wants a power of two, and LVM at least a page.
    fn chunk(
        &self,
        section: &Section,
        count: u64,
        group: &VolumeGroup,
    ) -> Result<u64, GroupTextError> {
        if count == 1 {
            return Ok(0);
        }
        let chunk = number(section, "stripe_size", self.volume, 8..=group.extent_size)?;
        if chunk.is_power_of_two() {
            Ok(chunk)
        } else {
            Err(self.wrong("has a stripe size that is not a power of two"))
        }
    }
}

/// The logical volumes that a segment names, under whichever key; its tags are not names.
fn uses(section: &Section, others: &BTreeMap<String, Section>) -> Vec<String> {
    let values = section
        .values
        .iter()
        .filter(|(key, _)| *key != "tags" && *key != "type");
    let texts = values.flat_map(|(_, value)| match value {
        Value::List(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    });
    let mut names: Vec<String> = texts
        .filter_map(|value| match value {
            Value::Text(text) if others.contains_key(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
