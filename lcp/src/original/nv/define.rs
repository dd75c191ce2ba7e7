//! tpmnv_defindex, tpmnv_relindex, tpmnv_lock.

use std::io::Write;

use tpm::tpm12::{Attributes, NvPublic, PcrInfoShort, Secret};

use super::{
    failure::Failure,
    options::Options,
    setting::{AUX_INDEX, DEFAULT_INDEX, OWNER_INDEX, Setting, index, number},
};

const DEFINE_HELP: &str = "
Usage: tpmnv_defindex -i INDEX [-s SIZE] [-pv PERMISSIONS] [-p PASSWORD] [-av AUTH]
                      [-wl LOCALITIES] [-rl LOCALITIES] [-h]
-i   default (0x50000001), owner (0x40000001), aux (0x50000002), or a number
-s   size in bytes; needed for other indices (default and owner: 54, aux: 64)
-pv  TPM_NV_PER bits; needed for other indices (default: 0x2000, owner: 0x2, aux: 0)
-p   the owner's password
-av  the index's own password, needed with AUTHREAD and AUTHWRITE
-wl  localities that may write, a bit each (0x1f; aux: 0x18)
-rl  localities that may read, a bit each (0x1f)
-h   print this
";
const RELEASE_HELP: &str = "
Usage: tpmnv_relindex -i INDEX -p PASSWORD [-h]
-i  default (0x50000001), owner (0x40000001), aux (0x50000002), or a number
-p  the owner's password
-h  print this
";
const LOCK_HELP: &str = "
Usage: tpmnv_lock [-f] [-h]
-f  without asking
-h  print this
";

/// LCP_E_NO_INDEXVALUE.
pub(super) const NO_INDEX: u8 = 2;
const NO_DATASIZE: u8 = 3;
const TSS_ERROR: u8 = 4;
const NO_AUTH: u8 = 9;
const NO_PER_VALUE: u8 = 13;
const AUTH_FAIL: u8 = 16;
const INTERNAL: u8 = 31;

/// All localities, and those that may write SINIT's data.
const ANY_LOCALITY: u8 = 0x1f;
const AUX_WRITE_LOCALITIES: u8 = 0x18;

#[derive(Default)]
struct Define {
    index: Option<u32>,
    size: u32,
    permissions: Option<u32>,
    password: Option<String>,
    auth: Option<String>,
    write: Option<u8>,
    read: Option<u8>,
    help: bool,
}

/// tpmnv_defindex.
pub fn define(setting: &Setting<'_>, words: &[String]) -> Result<(), Failure> {
    let options = Options {
        letters: "hi:s:p:",
        long: &[("pv", 'v'), ("av", 'a'), ("wl", 'w'), ("rl", 'r')],
    };
    let mut given = Define::default();
    options.parse(words, |letter, value| {
        match letter {
            'i' => given.index = Some(index(&value)?),
            's' => given.size = number("-s", &value)?,
            'v' => given.permissions = Some(number("-pv", &value)?),
            'p' => given.password = Some(value),
            'a' => given.auth = Some(value),
            'w' => given.write = Some(localities("-wl", &value)?),
            'r' => given.read = Some(localities("-rl", &value)?),
            _ => given.help = true,
        }
        Ok(())
    })?;
    if words.is_empty() || given.help {
        print!("{DEFINE_HELP}");
        return Ok(());
    }
    let public = given.public()?;
    let secret = match given.auth.take() {
        Some(auth) => Secret::from_password(zeroize::Zeroizing::new(auth).as_bytes()),
        None => Secret::well_known(),
    };
    let owner = setting.secret(given.password.take());
    let mut tpm = setting.open()?;
    // Told before the TPM is asked to: its own answer to this is not always the same.
    if tpm.nv_list()?.contains(&public.index) {
        return Err(Failure::new(
            TSS_ERROR,
            format!("index {:#010x} exists already", public.index),
        ));
    }
    tpm.nv_define(&public, owner.as_ref(), &secret)?;
    println!(
        "\nSuccessfully defined index {:#010x} as permission {:#x}, data size is {} ",
        public.index, public.attributes.0, public.size
    );
    Ok(())
}

impl Define {
    /// The index that is asked for, with what is not said filled in.
    fn public(&self) -> Result<NvPublic, Failure> {
        let index = self
            .index
            .ok_or_else(|| Failure::new(NO_INDEX, "-i INDEX is missing"))?;
        let (permissions, size) = match index {
            DEFAULT_INDEX => (Some(Attributes::WRITE_DEFINE), Some(54)),
            OWNER_INDEX => (Some(Attributes::OWNER_WRITE), Some(54)),
            AUX_INDEX => (Some(0), Some(64)),
            _ => (None, None),
        };
        // The originals take this very number for "not given".
        let permissions = match (self.permissions.filter(|bits| *bits != 0xffff), permissions) {
            (Some(given), _) => given,
            (None, Some(default)) => {
                println!("Haven't input permission value, use default value {default:#x}");
                default
            }
            (None, None) => {
                let sentence = "-pv PERMISSIONS is missing, and this index has no default";
                return Err(Failure::new(NO_PER_VALUE, sentence));
            }
        };
        let size = match (self.size, size) {
            (0, Some(default)) => {
                println!("Haven't input data size, use default value {default}");
                default
            }
            (0, None) => {
                let sentence = "-s SIZE is missing, and this index has no default";
                return Err(Failure::new(NO_DATASIZE, sentence));
            }
            (given, _) => given,
        };
        let attributes = Attributes(permissions);
        if self.auth.is_none() && attributes.has(Attributes::AUTH_READ | Attributes::AUTH_WRITE) {
            let sentence = "-av AUTH is missing: AUTHREAD and AUTHWRITE need it";
            return Err(Failure::new(NO_AUTH, sentence));
        }
        let mut public = NvPublic::new(index, attributes, size);
        if index == AUX_INDEX {
            if self.write.is_some_and(|bits| bits != AUX_WRITE_LOCALITIES) {
                return Err(Failure::parameter(format!(
                    "-wl: index aux is written from localities {AUX_WRITE_LOCALITIES:#x} only"
                )));
            }
            public.write = PcrInfoShort::localities(AUX_WRITE_LOCALITIES);
        } else {
            public.read = PcrInfoShort::localities(self.read.unwrap_or(ANY_LOCALITY));
            public.write = PcrInfoShort::localities(self.write.unwrap_or(ANY_LOCALITY));
        }
        Ok(public)
    }
}

fn localities(option: &str, text: &str) -> Result<u8, Failure> {
    u8::try_from(number(option, text)?)
        .ok()
        .filter(|bits| (1..=ANY_LOCALITY).contains(bits))
        .ok_or_else(|| Failure::parameter(format!("{option} {text}: 0x1 to 0x1f")))
}

/// tpmnv_relindex.
pub fn release(setting: &Setting<'_>, words: &[String]) -> Result<(), Failure> {
    let options = Options {
        letters: "hi:p:",
        long: &[],
    };
    let (mut number, mut password, mut help) = (None, None, words.is_empty());
    options.parse(words, |letter, value| {
        match letter {
            'i' => number = Some(index(&value)?),
            'p' => password = Some(value),
            _ => help = true,
        }
        Ok(())
    })?;
    if help {
        print!("{RELEASE_HELP}");
        return Ok(());
    }
    let number = number.ok_or_else(|| Failure::new(NO_INDEX, "-i INDEX is missing"))?;
    let owner = setting
        .secret(password)
        .ok_or_else(|| Failure::new(AUTH_FAIL, "-p PASSWORD is missing"))?;
    let mut tpm = setting.open()?;
    if !tpm.nv_list()?.contains(&number) {
        return Err(Failure::no_index(number));
    }
    tpm.nv_release(number, Some(&owner))?;
    println!("Successfully released index {number:#010x} ");
    Ok(())
}

/// tpmnv_lock.
pub fn lock(setting: &Setting<'_>, words: &[String]) -> Result<(), Failure> {
    let options = Options {
        letters: "hf",
        long: &[],
    };
    let (mut force, mut help) = (false, false);
    options.parse(words, |letter, _| {
        match letter {
            'f' => force = true,
            _ => help = true,
        }
        Ok(())
    })?;
    if help {
        print!("{LOCK_HELP}");
        return Ok(());
    }
    if !force && !agreed()? {
        return Ok(());
    }
    setting.open()?.nv_lock()?;
    println!("Successfully locked TPM NV!");
    Ok(())
}

/// Asks until it is Y or N.
fn agreed() -> Result<bool, Failure> {
    let unread = |text: &str| Failure::new(INTERNAL, text.to_owned());
    loop {
        print!("Really want to lock TPM NV? (Y/N) ");
        std::io::stdout()
            .flush()
            .map_err(|error| unread(&error.to_string()))?;
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) => return Err(unread("neither Y nor N was answered")),
            Err(error) => return Err(unread(&error.to_string())),
            Ok(_) => {}
        }
        match line.trim() {
            "Y" | "y" => return Ok(true),
            "N" | "n" => return Ok(false),
            _ => {}
        }
    }
}
