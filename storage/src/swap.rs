//! The first page of a swap area: what it is, whether a hibernation image is in it, and a mark of our own.
//!
//! From Linux: `union swap_header` (include/linux/swap.h), of which the first 1024 bytes are nobody's, and
//! `struct swsusp_header` (kernel/power/swap.c), which lies at the page's end. When the kernel hibernates it
//! puts its own signature in the place of the area's, which it keeps beside; when it resumes it puts that
//! back. It looks neither at the kernel that made the image (on x86-64) nor at who started it: that is
//! what the mark is for.

/// Bytes of a page, and so of what is read here, on every machine that has TXT.
pub const PAGE: usize = 4096;
/// Bytes of a mark's value.
pub const MARK: usize = 32;

const SIGNATURE: usize = PAGE - 10;
const SIGNATURE_BEFORE: usize = SIGNATURE - 10;
/// Page number of the image's map, before four bytes of flags.
const IMAGE: usize = SIGNATURE_BEFORE - 4 - 8;
const HIBERNATED: &[u8] = b"S1SUSPEND\0";
const SWAP: &[u8] = b"SWAPSPACE2";
/// What a mark begins with. mkswap erases it, as it does all that is there.
const MARKED: &[u8] = b"taoboot: launch\n";

/// The first page of a swap area.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstPage(Box<[u8; PAGE]>);

/// What is in the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Swap, in use or not.
    Swap,
    /// A hibernation image.
    Image,
    /// The signature of an image that the kernel would not find, or after which it could not put the
    /// area's own back.
    BrokenImage,
}

/// Not the first page of a swap area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The device is shorter.
    #[error("it has {0} bytes, expected a first page of {PAGE}")]
    Short(usize),
    /// Another signature, or none.
    #[error("it has no signature of swap (mkswap writes it)")]
    NoSwap,
}

impl FirstPage {
    /// Of the first bytes of a device; there may be more.
    ///
    /// # Errors
    /// It is no swap area.
    pub fn read(bytes: &[u8]) -> Result<Self, SwapError> {
        let short = || SwapError::Short(bytes.len());
        let page = bytes.first_chunk::<PAGE>().ok_or_else(short)?;
        match page.get(SIGNATURE..) {
            Some(SWAP | HIBERNATED) => Ok(Self(Box::new(*page))),
            _ => Err(SwapError::NoSwap),
        }
    }

    /// What is in it?
    pub fn holds(&self) -> Holds {
        if self.at(SIGNATURE, SWAP.len()) == SWAP {
            return Holds::Swap;
        }
        let nowhere = self.at(IMAGE, 8).iter().all(|byte| *byte == 0);
        if nowhere || self.at(SIGNATURE_BEFORE, SWAP.len()) != SWAP {
            return Holds::BrokenImage;
        }
        Holds::Image
    }

    /// The same without an image: the kernel's own way of saying that it is used up. An area whose own
    /// signature is lost has none afterwards.
    #[must_use]
    pub fn without_image(mut self) -> Self {
        if self.holds() != Holds::Swap {
            self.0.copy_within(SIGNATURE_BEFORE..SIGNATURE, SIGNATURE);
        }
        if self.at(SIGNATURE, SWAP.len()) != SWAP {
            self.put(SIGNATURE, &[0; 10]);
        }
        self
    }

    /// The mark that was left when the area was last put into use.
    pub fn mark(&self) -> Option<[u8; MARK]> {
        if self.at(0, MARKED.len()) != MARKED {
            return None;
        }
        self.at(MARKED.len(), MARK).try_into().ok()
    }

    /// The same with this mark, or with none.
    #[must_use]
    pub fn marked(mut self, mark: Option<&[u8; MARK]>) -> Self {
        match mark {
            Some(mark) => {
                self.put(0, MARKED);
                self.put(MARKED.len(), mark);
            }
            None if self.mark().is_some() => self.put(0, &[0; MARKED.len() + MARK]),
            None => {}
        }
        self
    }

    /// As it is written.
    pub const fn bytes(&self) -> &[u8; PAGE] {
        &self.0
    }

    fn at(&self, offset: usize, length: usize) -> &[u8] {
        let rest = self.0.get(offset..);
        rest.and_then(|rest| rest.get(..length)).unwrap_or(&[])
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        for (place, byte) in self.0.iter_mut().skip(offset).zip(bytes) {
            *place = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// What mkswap writes.
    fn made() -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let made = Command::new("/usr/sbin/mkswap").arg(file.path()).output();
        assert!(made.unwrap().status.success());
        fs::read(file.path()).unwrap()
    }

    /// What the kernel makes of it when it hibernates (mark_swapfiles).
    fn hibernated(mut area: Vec<u8>) -> Vec<u8> {
        area.copy_within(4086..4096, 4076);
        area[4064..4072].copy_from_slice(&7_u64.to_le_bytes());
        area[4072..4076].copy_from_slice(&5_u32.to_le_bytes());
        area[4086..4096].copy_from_slice(b"S1SUSPEND\0");
        area
    }

    #[test]
    fn what_mkswap_and_the_kernel_write_is_told_apart_at_every_length() {
        let area = made();
        let page = FirstPage::read(&area).unwrap();
        assert_eq!(page.holds(), Holds::Swap);
        assert_eq!(page.bytes()[..], area[..PAGE]);
        let image = hibernated(area);
        assert_eq!(FirstPage::read(&image).unwrap().holds(), Holds::Image);
        for length in 0..PAGE {
            let cut = FirstPage::read(&image[..length]).map(drop);
            assert_eq!(cut, Err(SwapError::Short(length)));
        }
    }

    #[test]
    fn an_image_that_the_kernel_could_not_put_away_again_is_broken() {
        let mut nowhere = hibernated(made());
        nowhere[4064..4072].fill(0);
        let mut over_nothing = hibernated(made());
        over_nothing[4076..4086].copy_from_slice(b"S1SUSPEND\0");
        for (area, signature) in [(nowhere, SWAP), (over_nothing, &[0; 10][..])] {
            let page = FirstPage::read(&area).unwrap();
            assert_eq!(page.holds(), Holds::BrokenImage);
            assert_eq!(&page.without_image().bytes()[SIGNATURE..], signature);
        }
    }

    #[test]
    fn without_its_image_the_area_is_swap_as_before_with_its_uuid() {
        let area = made();
        let image = FirstPage::read(&hibernated(area.clone())).unwrap();
        let put_away = image.without_image();
        assert_eq!(put_away.holds(), Holds::Swap);
        assert_eq!(put_away.bytes()[..4056], area[..4056]);
        let swap = FirstPage::read(&area).unwrap();
        assert!(swap.clone().without_image() == swap);
    }

    #[test]
    fn a_mark_survives_hibernation_and_is_gone_after_mkswap() {
        let area = made();
        let swap = FirstPage::read(&area).unwrap();
        assert_eq!(swap.mark(), None);
        let marked = swap.clone().marked(Some(&[7; MARK]));
        assert_eq!(marked.bytes()[1024..], area[1024..PAGE]);
        let image = hibernated(marked.bytes().to_vec());
        assert_eq!(FirstPage::read(&image).unwrap().mark(), Some([7; MARK]));
        assert!(marked.marked(None) == swap);
        // Somebody else's bytes there stay.
        let mut other = area;
        other[..4].copy_from_slice(b"disk");
        let other = FirstPage::read(&other).unwrap();
        assert!(other.clone().marked(None) == other);
    }

    #[test]
    fn what_is_no_swap_is_refused() {
        assert_eq!(
            FirstPage::read(&[0; PAGE]).map(drop),
            Err(SwapError::NoSwap)
        );
        let mut old = made();
        old[4086..4096].copy_from_slice(b"SWAP-SPACE");
        assert_eq!(FirstPage::read(&old).map(drop), Err(SwapError::NoSwap));
    }
}
