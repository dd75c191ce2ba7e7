//! tpmnv_getcap.

use tpm::tpm12::{Attributes, NvPublic, Secret};

use super::{
    failure::Failure,
    options::Options,
    setting::{Setting, index, print_hex},
};

const HELP: &str = "
Usage: tpmnv_getcap [-i INDEX] [-f PASSWORD] [-h]
-i  default (0x50000001), owner (0x40000001), aux (0x50000002), or a number; without it all
    indices are listed
-f  the owner's password: print the TPM's flags
-h  print this
";
const RESPONSE: &str = "The response data is:";

/// Flags in the order of their bits.
const PERMANENT_FLAGS: [&str; 19] = [
    "disable",
    "ownership",
    "deactivated",
    "readPubek",
    "disableOwnerClear",
    "allowMaintenance",
    "physicalPresenceLifetimeLock",
    "physicalPresenceHWEnable",
    "physicalPresenceCMDEnable",
    "CEKPUsed",
    "TPMpost",
    "TPMpostLock",
    "FIPS",
    "Operator",
    "enableRevokeEK",
    "nvLocked",
    "readSRKPub",
    "tpmEstablished",
    "maintenanceDone",
];
const VOLATILE_FLAGS: [&str; 5] = [
    "deactivated",
    "disableForceClear",
    "physicalPresence",
    "physicalPresenceLock",
    "bGlobalLock",
];

/// Runs the tool.
pub fn run(setting: &Setting<'_>, words: &[String]) -> Result<(), Failure> {
    let options = Options {
        letters: "hi:f:",
        long: &[],
    };
    let (mut wanted, mut password, mut help) = (None, None, false);
    options.parse(words, |letter, value| {
        match letter {
            'i' => wanted = Some(index(&value)?),
            'f' => password = Some(value),
            _ => help = true,
        }
        Ok(())
    })?;
    if help {
        print!("{HELP}");
        return Ok(());
    }
    if let Some(owner) = setting.secret(password) {
        return flags(setting, &owner);
    }
    match wanted {
        Some(wanted) => one(setting, wanted),
        None => all(setting),
    }
}

fn flags(setting: &Setting<'_>, owner: &Secret) -> Result<(), Failure> {
    let flags = setting.open()?.owner_flags(owner)?;
    let words = [flags.permanent, flags.volatile].map(u32::to_be_bytes);
    print_hex(RESPONSE, words.as_flattened());
    println!("TPM_PERMANENT_FLAGS:");
    print_flags(&PERMANENT_FLAGS, flags.permanent);
    println!("\nTPM_STCLEAR_FLAGS:");
    print_flags(&VOLATILE_FLAGS, flags.volatile);
    Ok(())
}

fn print_flags(names: &[&str], bits: u32) {
    for (bit, name) in names.iter().enumerate() {
        let value = if bits >> bit & 1 == 1 {
            "TRUE"
        } else {
            "FALSE"
        };
        println!("\t {name}: {value}");
    }
}

fn all(setting: &Setting<'_>) -> Result<(), Failure> {
    let list = setting.open()?.nv_list()?;
    let bytes: Vec<u8> = list.iter().flat_map(|index| index.to_be_bytes()).collect();
    print_hex(RESPONSE, &bytes);
    if list.is_empty() {
        println!("No index has been defined. ");
        return Ok(());
    }
    println!("\n{} indices have been defined", list.len());
    println!("list of indices for defined NV storage areas:");
    print_words(&bytes, "0x");
    Ok(())
}

fn one(setting: &Setting<'_>, wanted: u32) -> Result<(), Failure> {
    let public: NvPublic = setting
        .open()?
        .nv_public(wanted)?
        .ok_or_else(|| Failure::no_index(wanted))?;
    let bytes = public.to_bytes();
    print_hex(RESPONSE, &bytes);
    println!("\nThe public data value of index {wanted:#010x} is: ");
    print_words(&bytes, "");
    println!("\n\tRead locality: {}.", localities(public.read.localities));
    println!(
        "\n\tWrite locality: {}.",
        localities(public.write.localities)
    );
    println!("\n\tPermission value is {:#x}:", public.attributes.0);
    if public.attributes.0 == 0 {
        println!("\t\t --");
    }
    for (bit, name) in Attributes::NAMES {
        if public.attributes.has(bit) {
            println!("\t\t TPM_NV_PER_{name}");
        }
    }
    println!("\n\tData size is {}.", public.size);
    Ok(())
}

/// Four bytes a word; eight words a line when there are more.
fn print_words(bytes: &[u8], prefix: &str) {
    for (position, word) in bytes.chunks(4).enumerate() {
        match (position % 8, bytes.len() > 32) {
            (0, true) => print!("\n\t{prefix}"),
            (0, false) => print!("{prefix}"),
            _ => print!(" {prefix}"),
        }
        print!("{}", hex::encode(word));
    }
    println!();
}

fn localities(bits: u8) -> String {
    if bits & !0x1f != 0 {
        return format!("unknown ({bits:x})");
    }
    let set: Vec<String> = (0..5)
        .filter(|locality| bits >> locality & 1 == 1)
        .map(|locality: u8| locality.to_string())
        .collect();
    if set.is_empty() {
        return "--".to_owned();
    }
    set.join(", ")
}
