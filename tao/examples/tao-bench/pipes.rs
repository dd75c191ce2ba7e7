//! Pipes as the host makes them for its programs.

use std::{
    io::{PipeReader, PipeWriter},
    os::fd::AsFd,
};

use nix::fcntl::{FcntlArg, fcntl};

/// As large as the host's: a frame of 64 KiB fits as a whole.
const SIZE: i32 = 128 * 1024;

/// One pipe.
pub fn pipe() -> anyhow::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = std::io::pipe()?;
    fcntl(writer.as_fd(), FcntlArg::F_SETPIPE_SZ(SIZE))?;
    Ok((reader, writer))
}
