//! lcp_readpol and lcp_writepol.

use original_options::outcome;
use tpm::tpm12::{Attributes, NvAuth, NvPublic, Secret, Tpm12};
use txt::{codec::Reader, policy::Policy};

use super::{
    define::NO_INDEX,
    failure::Failure,
    options::Options,
    setting::{Setting, index, number, print_hex},
};
use crate::command::describe;

const READ_HELP: &str = "
Usage: lcp_readpol -i INDEX [-s SIZE] [-f FILE] [-p PASSWORD] [-h]
-i  default (0x50000001), owner (0x40000001), aux (0x50000002), or a number
-f  file to write the data to; without it the data is printed
-s  how many bytes (default: all)
-p  the owner's password, or the index's own
-h  print this
";
const WRITE_HELP: &str = "
Usage: lcp_writepol -i INDEX [-f FILE | -e] [-p PASSWORD] [-h]
-i  default (0x50000001), owner (0x40000001), aux (0x50000002), or a number
-f  file with the data
-e  write no bytes at all, which locks an index with WRITEDEFINE
-p  the owner's password, or the index's own
-h  print this
";

/// LCP_E_TPM_BADINDEX.
const BAD_INDEX: u8 = 6;
/// Most bytes that the originals read.
const MAX_READ: u32 = 1024;

/// lcp_readpol.
pub fn read(setting: &Setting<'_>, words: &[String]) -> Result<(), Failure> {
    let options = Options {
        letters: "hi:f:s:p:",
        long: &[],
    };
    let (mut wanted, mut file, mut password) = (None, None, None);
    let (mut size, mut help) = (0, words.is_empty());
    options.parse(words, |letter, value| {
        match letter {
            'i' => wanted = Some(index(&value)?),
            'f' => file = Some(value),
            's' => size = number("-s", &value)?,
            'p' => password = Some(value),
            _ => help = true,
        }
        Ok(())
    })?;
    if help {
        print!("{READ_HELP}");
        return Ok(());
    }
    let wanted = wanted.ok_or_else(|| Failure::new(NO_INDEX, "-i INDEX is missing"))?;
    let secret = setting.secret(password);
    if size == 0 {
        println!("No size has been specified. Will read all index data.");
    }
    let mut tpm = setting.open()?;
    if size == 0 {
        let public = tpm.nv_public(wanted)?;
        size = public.ok_or_else(|| Failure::no_index(wanted))?.size;
    }
    if size > MAX_READ {
        return Err(Failure::parameter(format!(
            "{size} bytes are too many for this tool: at most {MAX_READ} (lcp nv read has no such \
             limit)"
        )));
    }
    println!("begin to call the tss Tspi_NV_ReadValue");
    let (owner, own) = (Attributes::OWNER_READ, Attributes::AUTH_READ);
    let auth = authorization(&mut tpm, wanted, secret.as_ref(), owner, own)?;
    let data = tpm
        .nv_read(wanted, 0, size, auth)
        .map_err(Failure::of_value)?;
    match file {
        Some(path) => {
            original_options::file::write(&path, &data).map_err(|error| Failure::of_file(&error))?
        }
        None => {
            print_hex("the policy is:", &data);
            print_policy(setting, &data);
        }
    }
    println!("Successfully read value from index: {wanted:#010x}.");
    Ok(())
}

/// lcp_writepol.
pub fn write(setting: &Setting<'_>, words: &[String]) -> Result<(), Failure> {
    let options = Options {
        letters: "ehi:f:p:",
        long: &[],
    };
    let (mut wanted, mut file, mut password) = (None, None, None);
    let (mut empty, mut help) = (false, words.is_empty());
    options.parse(words, |letter, value| {
        match letter {
            'i' => wanted = Some(index(&value)?),
            'f' => file = Some(value),
            'p' => password = Some(value),
            'e' => empty = true,
            _ => help = true,
        }
        Ok(())
    })?;
    if help {
        print!("{WRITE_HELP}");
        return Ok(());
    }
    let wanted = wanted.ok_or_else(|| Failure::new(NO_INDEX, "-i INDEX is missing"))?;
    let secret = setting.secret(password);
    let data = match (file, empty) {
        (Some(_), true) => {
            return Err(Failure::parameter("-f or -e, not both".to_owned()));
        }
        (None, false) => {
            return Err(Failure::parameter("-f FILE or -e is missing".to_owned()));
        }
        (None, true) => Vec::new(),
        (Some(path), false) => {
            original_options::file::read(&path).map_err(|error| Failure::of_file(&error))?
        }
    };
    let mut tpm = setting.open()?;
    let (owner, own) = (Attributes::OWNER_WRITE, Attributes::AUTH_WRITE);
    let auth = authorization(&mut tpm, wanted, secret.as_ref(), owner, own)?;
    tpm.nv_write(wanted, 0, &data, auth)
        .map_err(Failure::of_value)?;
    println!("\nSuccessfully write policy into index {wanted:#010x} ");
    Ok(())
}

/// What a password is for: the index says whether it wants the owner's or its own.
fn authorization<'a>(
    tpm: &mut Tpm12,
    wanted: u32,
    secret: Option<&'a Secret>,
    owner: u32,
    own: u32,
) -> Result<NvAuth<'a>, Failure> {
    let Some(secret) = secret else {
        return Ok(NvAuth::None);
    };
    let public: Option<NvPublic> = tpm.nv_public(wanted)?;
    let attributes = public
        .ok_or_else(|| Failure::new(BAD_INDEX, format!("there is no index {wanted:#010x}")))?
        .attributes;
    Ok(if attributes.has(owner) {
        NvAuth::Owner(secret)
    } else if attributes.has(own) {
        NvAuth::Index(secret)
    } else {
        NvAuth::None
    })
}

/// What the bytes mean. The original takes every policy for one of before 2008.
fn print_policy(setting: &Setting<'_>, data: &[u8]) {
    let policy = Policy::read(&mut Reader::new(data));
    match policy {
        Ok(policy) if !setting.compat => {
            outcome::note(
                setting.name,
                "this is a policy of version 2 or later, which the original misreads (--compat)",
            );
            describe::print(&describe::policy(&policy), false);
        }
        _ => print_old_policy(data),
    }
}

/// The fields as a policy of before 2008 has them, big-endian.
fn print_old_policy(data: &[u8]) {
    const TYPES: [&str; 5] = [
        "LCP_POLTYPE_HASHONLY",
        "LCP_POLTYPE_UNSIGNED",
        "LCP_POLTYPE_SIGNED",
        "LCP_POLTYPE_ANY",
        "LCP_POLTYPE_FORCEOWNERPOLICY",
    ];
    let Some([version, alg, kind, revocation, a, b, c, d, rest @ ..]) = data.first_chunk::<35>()
    else {
        eprintln!("policy buffer is too small");
        return;
    };
    let name = TYPES.get(usize::from(*kind)).unwrap_or(&"unknown");
    println!("version: {version}");
    println!("hash_alg: {alg}");
    println!("policy_type: {kind} - {name}");
    println!("sinit_revocation_counter: {revocation}");
    println!("policy_control: {:x}", u32::from_be_bytes([*a, *b, *c, *d]));
    // Three reserved fields of 16 bits lie between.
    let hash = rest.iter().skip(6).take(20);
    let hash: String = hash.map(|byte| format!("{byte:02x} ")).collect();
    println!("policy_hash: {hash}");
}
