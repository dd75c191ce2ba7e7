//! What event types mean: those of the TXT Software Development Guide (0x400 and up), tboot's, and
//! the firmware's of the TCG PC Client profile.

/// Types and names.
const NAMES: [(u32, &str); 45] = [
    (0x0, "EV_PREBOOT_CERT"),
    (0x1, "EV_POST_CODE"),
    (0x3, "EV_NO_ACTION"),
    (0x4, "EV_SEPARATOR"),
    (0x5, "EV_ACTION"),
    (0x6, "EV_EVENT_TAG"),
    (0x7, "EV_S_CRTM_CONTENTS"),
    (0x8, "EV_S_CRTM_VERSION"),
    (0x9, "EV_CPU_MICROCODE"),
    (0xa, "EV_PLATFORM_CONFIG_FLAGS"),
    (0xb, "EV_TABLE_OF_DEVICES"),
    (0xc, "EV_COMPACT_HASH"),
    (0xd, "EV_IPL"),
    (0xe, "EV_IPL_PARTITION_DATA"),
    (0xf, "EV_NONHOST_CODE"),
    (0x10, "EV_NONHOST_CONFIG"),
    (0x11, "EV_NONHOST_INFO"),
    (0x12, "EV_OMIT_BOOT_DEVICE_EVENTS"),
    (0x401, "PCR_MAPPING"),
    (0x402, "HASH_START"),
    (0x403, "COMBINED_HASH"),
    (0x404, "MLE_HASH"),
    (0x40a, "BIOSAC_REG_DATA"),
    (0x40b, "CPU_SCRTM_STAT"),
    (0x40c, "LCP_CONTROL_HASH"),
    (0x40d, "ELEMENTS_HASH"),
    (0x40e, "STM_HASH"),
    (0x40f, "OSSINITDATA_CAP_HASH"),
    (0x410, "SINIT_PUBKEY_HASH"),
    (0x411, "LCP_HASH"),
    (0x412, "LCP_DETAILS_HASH"),
    (0x413, "LCP_AUTHORITIES_HASH"),
    (0x414, "NV_INFO_HASH"),
    (0x415, "COLD_BOOT_BIOS_HASH"),
    (0x416, "KM_HASH"),
    (0x417, "BPM_HASH"),
    (0x418, "KM_INFO_HASH"),
    (0x419, "BPM_INFO_HASH"),
    (0x41a, "BOOT_POL_HASH"),
    (0x4fe, "RANDOM"),
    (0x4ff, "CAP_VALUE"),
    (0x501, "TBOOT"),
    (0x8000_0001, "EV_EFI_VARIABLE_DRIVER_CONFIG"),
    (0x8000_0003, "EV_EFI_BOOT_SERVICES_APPLICATION"),
    (0x8000_0008, "EV_EFI_PLATFORM_FIRMWARE_BLOB"),
];

/// The name of a type.
pub fn name(event_type: u32) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(number, _)| *number == event_type)
        .map(|(_, name)| *name)
}

/// Is it an event of a measured launch?
pub const fn is_launch(event_type: u32) -> bool {
    event_type >= 0x400 && event_type <= 0x501
}
