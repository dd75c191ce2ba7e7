//! Has the machine the ACPI tables that the images' configuration pins? With others /init does not ask
//! the TPM.

use std::path::Path;

use agent::{boot::acpi, config::Config};

/// Why the TPM will not be asked for the disk key, if the tables stay as they are now; `None` where
/// none are pinned, or these. `tables` is [`acpi::TABLES`], or a test's.
pub fn objection(config: Option<&Config>, tables: &Path) -> Option<String> {
    let pinned = config?.acpi_tables.as_ref()?;
    let other = acpi::find(tables).check(Some(pinned)).err()?;
    Some(format!("as the machine is now, {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_that_are_not_the_pinned_ones_are_an_objection() {
        let tables = tempfile::tempdir().unwrap();
        std::fs::write(tables.path().join("DSDT"), b"DSDT code").unwrap();
        let config = |pin: &str| {
            let text = format!("acpi_tables = \"{pin}\"\n");
            Config::parse(&text, "image.toml").unwrap()
        };
        let acpi::Found::Tables(found) = acpi::find(tables.path()) else {
            panic!("the table is not found");
        };
        let digest = serde_json::to_value(&found).unwrap()["digest"].clone();
        let own = config(digest.as_str().unwrap());
        assert_eq!(objection(Some(&own), tables.path()), None);
        assert_eq!(objection(Some(&Config::default()), tables.path()), None);
        assert_eq!(objection(None, tables.path()), None);
        std::fs::write(tables.path().join("SSDT1"), b"SSDT planted").unwrap();
        for (config, words) in [
            (own, "so the TPM is not asked"),
            (config(&"cd".repeat(32)), "cdcdcd"),
        ] {
            let why = objection(Some(&config), tables.path()).unwrap();
            assert!(why.contains(words), "{why}");
        }
    }
}
