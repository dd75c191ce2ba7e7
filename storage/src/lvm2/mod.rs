//! LVM2: what lies on physical volumes, and how logical volumes are mapped.
//!
//! A boot asks in this order: [`Candidate::read`] each disk that may belong to the group, [`group`] for the
//! metadata that counts, [`mapping`] for each logical volume that is wanted. Linear and striped volumes are
//! mapped, or read as [`Contents`] without that; for all others the error says which type needs lvm2 itself. Names and UUIDs of the mappings are
//! LVM's, so that lvm2 finds its own afterwards.
//!
//! The formats are those of lvm2's `lib/format_text`; `tests/vectors` were made by lvm2.

mod check;
mod choose;
mod contents;
mod id;
mod label;
mod metadata_area;
mod read_group;
mod read_segment;
mod tables;
mod tree;
mod values;
mod volume_group;

pub use check::CheckError;
pub use choose::{Candidate, Group, GroupError, MetadataError, group};
pub use contents::{Contents, OtherDevice};
pub use id::{Id, mapping_name, mapping_uuid, split_mapping_name};
pub use label::{Area, Label, LabelError};
pub use metadata_area::AreaError;
pub use read_group::read as read_text;
pub use tables::{Mapping, Node, TableError, Target, mapping};
pub use tree::SyntaxError;
pub use values::GroupTextError;
pub use volume_group::{Kind, LogicalVolume, On, PhysicalVolume, Segment, Stripe, VolumeGroup};
