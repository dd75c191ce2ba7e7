//! The first page of a swap area, read from its device.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use storage::swap::{FirstPage, PAGE, SwapError};

/// Why a device's first page is not that of swap.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    NotSwap(#[from] SwapError),
}

/// Reads it, and no more.
pub(super) fn read(device: &Path) -> Result<FirstPage, PageError> {
    let mut start = Vec::new();
    File::open(device)?
        .take(PAGE as u64)
        .read_to_end(&mut start)?;
    Ok(FirstPage::read(&start)?)
}
