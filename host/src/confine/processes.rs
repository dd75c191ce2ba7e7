//! Which processes run as a user: also those that no host of now has started.

use std::{fs, io};

use nix::errno::Errno;

/// A process that has this user in any of its roles, if there is one.
pub(crate) fn processes_of(user: u32) -> io::Result<Option<i32>> {
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if users_of(pid)?.contains(&user) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Real, effective, saved and file system's (proc_pid_status(5)); none of a process that has ended.
fn users_of(pid: i32) -> io::Result<Vec<u32>> {
    let status = match fs::read(format!("/proc/{pid}/status")) {
        Ok(status) => status,
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(Errno::ESRCH as i32) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    // The name of the command is not always UTF-8, and the kernel writes no line end in it.
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let users: Option<Vec<u32>> = line.and_then(|line| {
        let numbers = line.split_ascii_whitespace();
        numbers.map(|number| number.parse().ok()).collect()
    });
    users
        .filter(|users| !users.is_empty())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no line of users")))
}
