//! Which of crypttab's options /init applies, which it can ignore, and which change what is opened.

use anyhow::{Result, bail};
use storage::crypttab::{CryptLine, Name};

/// The options of a line as `[[volume]]` has them.
///
/// # Errors
/// An option that is not known, or one without which the volume would be another.
pub fn taken_over(line: &CryptLine) -> Result<Vec<&'static str>> {
    let mut options = Vec::new();
    for option in line.typed_options()? {
        match option.name {
            Name::Discard => options.push("discard"),
            Name::SameCpuCrypt => options.push("same-cpu-crypt"),
            Name::SubmitFromCryptCpus => options.push("submit-from-crypt-cpus"),
            Name::NoReadWorkqueue => options.push("no-read-workqueue"),
            Name::NoWriteWorkqueue => options.push("no-write-workqueue"),
            Name::ReadOnly => options.push("read-only"),
            Name::BitLocker
            | Name::FileVault2
            | Name::Plain
            | Name::Tcrypt
            | Name::TcryptHidden
            | Name::TcryptKeyFile
            | Name::TcryptSystem
            | Name::TcryptVeraCrypt => {
                bail!("its options are not those of a LUKS2 volume, and /init opens no other kind")
            }
            Name::Header => bail!("a detached header (header=) is not supported"),
            // How a passphrase is asked for, which key is used, when and whether systemd waits, what
            // becomes of a plain mapping: none of it changes what the boot secret opens.
            _ => {}
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use storage::crypttab;

    use super::*;

    fn taken(options: &str) -> Result<Vec<&'static str>> {
        let lines = crypttab::read(&format!("x UUID=1 none {options}\n")).unwrap();
        taken_over(&lines[0])
    }

    #[test]
    fn what_init_carries_out_is_taken_and_what_would_change_the_volume_is_refused() {
        assert_eq!(
            taken("luks,discard,no-read-workqueue,tries=3,x-initrd.attach,nofail,tpm2-device=auto")
                .unwrap(),
            ["discard", "no-read-workqueue"]
        );
        assert_eq!(taken("read-only").unwrap(), ["read-only"]);
        for (options, said) in [
            ("header=/x", "detached header"),
            ("tcrypt", "not those of a LUKS2 volume"),
            ("luks,plain", "not those of a LUKS2 volume"),
            ("discrad", "\"discrad\" is not known"),
        ] {
            let error = taken(options).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
