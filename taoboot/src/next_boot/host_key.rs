//! Has the Tao host of the next boot the key that the images' configuration pins? /init mounts nothing
//! where it has another.

use std::path::Path;

use agent::{
    config::Config,
    reseal::{Question, Reply, ask},
};

/// What can be said of it, with sentences.
pub enum HostKeyCheck {
    /// It has, or none is pinned.
    Fits,
    /// The present host's key is another.
    Other(String),
    /// Nobody says which key it has.
    Unknown(String),
}

impl HostKeyCheck {
    /// The resident agent knows the key of the host that runs: the next boot's is the same unless
    /// its record has another host secret, or its configuration another guard.
    pub fn of(config: Option<&Config>, socket: &Path) -> Self {
        let Some(pinned) = config.and_then(|config| config.host_key.as_ref()) else {
            return Self::Fits;
        };
        let pinned = hex::encode(pinned.digest());
        let found = match ask(socket, &Question::HostKey) {
            Ok(Reply::HostKey(found)) => found,
            Ok(_) => return Self::unknown("the resident agent answered something else"),
            Err(error) => return Self::unknown(&error.to_string()),
        };
        if found == pinned {
            return Self::Fits;
        }
        Self::Other(format!(
            "host_key in the images' configuration pins {pinned}, and this boot's Tao host has {}: /init mounts nothing, unless the record has a new host secret or [tao] another guard, with that very key",
            printable::line(&found)
        ))
    }

    fn unknown(why: &str) -> Self {
        Self::Unknown(format!(
            "host_key is pinned in the images' configuration, and whether the Tao host will have that key cannot be told ({}): with another /init mounts nothing",
            printable::line(why)
        ))
    }
}
