//! From the text of a metadata area to a [`VolumeGroup`] (lvm2's `lib/format_text/import_vsn1.c`).

use super::{
    id::{self, Id},
    read_segment,
    tree::{self, Section, Value},
    values::{GroupTextError, at_most, number, texts, wrong},
    volume_group::{LogicalVolume, PhysicalVolume, VolumeGroup},
};

/// More than LVM recommends by far.
const MOST_PHYSICAL: usize = 1024;
const MOST_LOGICAL: usize = 8192;
/// Sectors.
const LARGEST_EXTENT: u64 = 1 << 32;

/// Reads a text.
///
/// # Errors
/// If it is not that of a group.
pub fn read(text: &[u8]) -> Result<VolumeGroup, GroupTextError> {
    let tree = tree::parse(text)?;
    let mut sections = tree.sections.iter();
    let (Some((name, section)), None) = (sections.next(), sections.next()) else {
        return Err(GroupTextError::Kind);
    };
    let contents = Value::Text("Text Format Volume Group".to_owned());
    if tree.values.get("contents") != Some(&contents)
        || tree.values.get("version") != Some(&Value::Number(1))
    {
        return Err(GroupTextError::Kind);
    }
    group(name, section)
}

fn group(name: &str, section: &Section) -> Result<VolumeGroup, GroupTextError> {
    check_name(name)?;
    let states = texts(section, "status", name)?;
    let known = [
        "RESIZEABLE",
        "READ",
        "WRITE",
        "EXPORTED",
        "CLUSTERED",
        "SHARED",
    ];
    if let Some(state) = states.iter().find(|state| !known.contains(state)) {
        return Err(GroupTextError::State {
            group: name.to_owned(),
            state: (*state).to_owned(),
        });
    }
    let lock = section.values.get("lock_type");
    let is_locked = lock.is_some_and(|lock| *lock != Value::Text("none".to_owned()));
    let has = |state| states.contains(&state);
    let text = |key| match section.values.get(key) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let mut group = VolumeGroup {
        name: name.to_owned(),
        id: id(section, name)?,
        seqno: number(section, "seqno", name, 1..=u64::from(u32::MAX))?,
        exported: has("EXPORTED"),
        shared: has("CLUSTERED") || has("SHARED") || is_locked,
        system_id: text("system_id"),
        extent_size: number(section, "extent_size", name, 1..=LARGEST_EXTENT)?,
        physical: Default::default(),
        logical: Default::default(),
    };
    let empty = Section::default();
    let all = |key| section.sections.get(key).unwrap_or(&empty);
    let physical = &all("physical_volumes").sections;
    at_most(physical.len(), MOST_PHYSICAL, "physical volumes")?;
    for (name, section) in physical {
        group
            .physical
            .insert(name.clone(), physical_volume(name, section)?);
    }
    let logical = &all("logical_volumes").sections;
    at_most(logical.len(), MOST_LOGICAL, "logical volumes")?;
    for (name, section) in logical {
        check_name(name)?;
        let volume = logical_volume(name, section, &group, logical)?;
        group.logical.insert(name.clone(), volume);
    }
    check_ids(&group)?;
    Ok(group)
}

fn physical_volume(name: &str, section: &Section) -> Result<PhysicalVolume, GroupTextError> {
    let all = || 0..=i64::MAX.unsigned_abs();
    let states = [
        texts(section, "status", name)?,
        texts(section, "flags", name)?,
    ];
    Ok(PhysicalVolume {
        id: id(section, name)?,
        device: match section.values.get("device") {
            Some(Value::Text(device)) => device.clone(),
            _ => "an unknown device".to_owned(),
        },
        missing: states.iter().flatten().any(|state| *state == "MISSING"),
        first_sector: number(section, "pe_start", name, all())?,
        extents: number(section, "pe_count", name, all())?,
    })
}

fn logical_volume(
    name: &str,
    section: &Section,
    group: &VolumeGroup,
    others: &std::collections::BTreeMap<String, Section>,
) -> Result<LogicalVolume, GroupTextError> {
    let states = texts(section, "status", name)?;
    let flags = texts(section, "flags", name)?;
    let known = ["READ", "WRITE", "VISIBLE", "FIXED_MINOR", "NOTSYNCED"];
    let unknown = states.iter().filter(|state| !known.contains(state));
    let is_locked = flags.contains(&"WRITE_LOCKED");
    Ok(LogicalVolume {
        id: id(section, name)?,
        visible: states.contains(&"VISIBLE"),
        writable: states.contains(&"WRITE") || is_locked,
        skipped: flags.contains(&"ACTIVATION_SKIP"),
        unknown_states: unknown.map(|state| (*state).to_owned()).collect(),
        segments: read_segment::all(name, section, group, others)?,
    })
}

/// Physical volumes are told apart by their UUIDs, and mappings are found by theirs.
fn check_ids(group: &VolumeGroup) -> Result<(), GroupTextError> {
    let physical = group
        .physical
        .iter()
        .map(|(name, volume)| (name, volume.id));
    let logical = group.logical.iter().map(|(name, volume)| (name, volume.id));
    let mut ids: Vec<_> = physical
        .chain(logical)
        .map(|(name, id)| (id, name))
        .collect();
    ids.sort();
    for pair in ids.windows(2) {
        if let [(first, one), (second, other)] = pair
            && first == second
        {
            return Err(GroupTextError::SameId((*one).clone(), (*other).clone()));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), GroupTextError> {
    if id::is_name(name) {
        Ok(())
    } else {
        Err(GroupTextError::Name(name.to_owned()))
    }
}

fn id(section: &Section, place: &str) -> Result<Id, GroupTextError> {
    let id = match section.values.get("id") {
        Some(Value::Text(text)) => Id::parse(text),
        _ => None,
    };
    id.ok_or_else(|| wrong(place, "id"))
}
