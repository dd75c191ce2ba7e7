//! What the machines' disks are called, and how large the first is.

/// The UUID of root's file system, and of the guest's.
pub const ROOT_UUID: &str = "7a0b0012-0012-4012-8012-000000000012";
/// The UUID of the second encrypted disk.
pub const DATA_UUID: &str = "7a0b0013-0013-4013-8013-000000000013";
/// The UUID of the encrypted disk on which root goes on.
pub const MORE_UUID: &str = "7a0b0016-0016-4016-8016-000000000016";
/// The UUID of the third, whose key is a file on root.
pub const KEYED_UUID: &str = "7a0b0014-0014-4014-8014-000000000014";
/// The UUID of the array with the volume.
pub const ARRAY_UUID: &str = "7a0b0015:00154015:80150000:00000015";
/// The logical volume whose content is somebody else's; its name sorts before root's.
pub const GUEST: &str = "a-guest";
/// Size of the disk in bytes.
pub(super) const SIZE: u64 = 1 << 30;
