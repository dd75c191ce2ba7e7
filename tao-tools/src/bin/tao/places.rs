//! Where a host's socket and state are, unless the command line says: the system's directories for
//! root and for the machine's host, those of the XDG base directories for everybody else.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::unistd::geteuid;

/// Of root's hosts.
const STATE: &str = "/var/lib/tao";

/// A directory that a variable names; XDG has relative ones ignored.
fn directory(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    path.is_absolute().then_some(path)
}

/// Where a host keeps its state.
pub fn state() -> anyhow::Result<PathBuf> {
    if geteuid().is_root() {
        return Ok(STATE.into());
    }
    let home = || Some(directory("HOME")?.join(".local/state"));
    let state = directory("XDG_STATE_HOME").or_else(home);
    let state = state.context(
        "neither XDG_STATE_HOME nor HOME is set: say with --state where the host is to keep its secret",
    )?;
    Ok(state.join("tao"))
}

/// Where this user's own host listens; `None` for root, and where there is no such directory.
fn own_socket() -> Option<PathBuf> {
    if geteuid().is_root() {
        return None;
    }
    Some(directory("XDG_RUNTIME_DIR")?.join("tao/admin.sock"))
}

/// The socket of the host that is meant: a host to start is the user's own; who only calls one
/// means his own if there is one, and otherwise the machine's.
pub fn socket(starts: bool) -> anyhow::Result<PathBuf> {
    let machines = Path::new(tao::admin::ADMIN_SOCKET);
    match own_socket() {
        Some(own) if starts || own.exists() => Ok(own),
        None if starts && !geteuid().is_root() => anyhow::bail!(
            "XDG_RUNTIME_DIR is not set: say with --socket where the host is to listen, such as `tao --socket DIR/admin.sock host start`"
        ),
        _ => Ok(machines.to_owned()),
    }
}
