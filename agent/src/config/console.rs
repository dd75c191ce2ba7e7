//! The console: what its keys mean. The image builder makes the keymap; /init only loads it.

use serde::Deserialize;
use storage::keyboard::is_value;

use super::ConfigError;

/// The keyboard at the question for a passphrase: a keymap by its name, or XKB's names for one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// The name of a keymap, as loadkeys(1) knows it.
    pub keymap: Option<String>,
    /// XKB's layouts.
    pub xkb_layout: Option<String>,
    /// XKB's model.
    pub xkb_model: Option<String>,
    /// XKB's variants.
    pub xkb_variant: Option<String>,
    /// XKB's options.
    pub xkb_options: Option<String>,
}

/// Refuses what names nothing, or two things.
pub fn check(console: &ConsoleConfig, origin: &str) -> Result<(), ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid {
        origin: origin.into(),
        reason,
    };
    let xkb = [
        ("xkb_model", &console.xkb_model),
        ("xkb_variant", &console.xkb_variant),
        ("xkb_options", &console.xkb_options),
    ];
    if console.keymap.is_some() && console.xkb_layout.is_some() {
        return Err(invalid(
            "[console] has both keymap and xkb_layout: give one of them".into(),
        ));
    }
    if let Some((key, _)) = xkb.iter().find(|(_, value)| value.is_some())
        && console.xkb_layout.is_none()
    {
        return Err(invalid(format!("[console] has {key} without xkb_layout")));
    }
    let named = [
        ("keymap", &console.keymap),
        ("xkb_layout", &console.xkb_layout),
    ];
    for (key, value) in named.iter().chain(&xkb) {
        if let Some(value) = value
            && (value.is_empty() || !is_value(value))
        {
            return Err(invalid(format!(
                "[console] {key} = {value:?} cannot name a keymap or a layout"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_console_names_one_keymap_and_no_way_out_of_them() {
        for text in [
            "[console]\nkeymap = \"de-latin1\"\n",
            "[console]\nxkb_layout = \"de,us\"\nxkb_variant = \"nodeadkeys,\"\nxkb_model = \"pc105\"\n",
            "[console]\n",
        ] {
            assert!(Config::parse(text, "t").is_ok(), "{text}");
        }
        for (text, said) in [
            ("keymap = \"a\"\nxkb_layout = \"de\"", "both"),
            ("xkb_variant = \"neo\"", "without xkb_layout"),
            ("keymap = \"../../etc/shadow\"", "cannot name"),
            ("keymap = \"--help\"", "cannot name"),
            ("keymap = \"\"", "cannot name"),
            ("keymap = 7", "line 2"),
            ("keymop = \"de\"", "unknown field"),
        ] {
            let error = Config::parse(&format!("[console]\n{text}\n"), "t").unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
