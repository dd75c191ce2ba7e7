//! Memory for keys that not even the kernel maps (memfd_secret(2)): what reads a process through
//! the kernel, such as `/proc/PID/mem`, a core dump or a direct map in another's hands, gets an
//! error or nothing there. Linux has it from 5.14, switched on by itself from 6.5 and before that
//! by `secretmem.enable=1`; where it is off the value lies in usual memory, and says so.
//!
//! Root can still have the process itself read it (ptrace); that is what Yama's ptrace_scope=3 is
//! for. While such memory is in use the machine cannot hibernate.
#![allow(unsafe_code)]

use std::{
    ops::Deref,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr::NonNull,
};

use nix::{
    errno::Errno,
    libc,
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::ftruncate,
};
use zeroize::optimization_barrier;

/// More than the frames of what makes a key need.
const STACK: usize = 64 * 1024;

/// A value with its own pages of secret memory, if the kernel has such. What the value points to
/// lies elsewhere.
pub struct Hidden<T> {
    place: Place<T>,
}

enum Place<T> {
    Secret { value: NonNull<T>, length: usize },
    Usual(Box<T>),
}

// SAFETY: the pages belong to this value alone, as those of a Box do.
unsafe impl<T: Send> Send for Hidden<T> {}
// SAFETY: as above; only shared references to T are given out.
unsafe impl<T: Sync> Sync for Hidden<T> {}

impl<T> Hidden<T> {
    /// Makes a value and takes it there. What making it left on the stack is overwritten.
    ///
    /// # Errors
    /// That of `make`.
    pub fn new<E>(make: impl FnOnce() -> Result<T, E>) -> Result<Self, E> {
        let made = moved(make);
        overwrite_stack();
        made
    }

    /// The same with what cannot fail.
    pub fn with(make: impl FnOnce() -> T) -> Self {
        let made: Result<Self, std::convert::Infallible> = Self::new(|| Ok(make()));
        match made {
            Ok(hidden) => hidden,
            Err(never) => match never {},
        }
    }

    /// Is it in secret memory?
    pub const fn is_secret(&self) -> bool {
        matches!(self.place, Place::Secret { .. })
    }
}

#[inline(never)]
fn moved<T, E>(make: impl FnOnce() -> Result<T, E>) -> Result<Hidden<T>, E> {
    let value = make()?;
    let length = size_of::<T>().max(1);
    let place = match secret_pages(length) {
        Ok(pages) => {
            let place = pages.cast::<T>();
            // SAFETY: a page of its own, so large enough and aligned for any T that is not aligned
            // to more than a page; nothing is in it yet.
            unsafe { place.write(value) };
            Place::Secret {
                value: place,
                length,
            }
        }
        Err(_) => Place::Usual(Box::new(value)),
    };
    Ok(Hidden { place })
}

/// A moved value stays where it was, in frames that are no longer in use.
#[inline(never)]
fn overwrite_stack() {
    let frames = [0_u8; STACK];
    optimization_barrier(&frames);
}

fn secret_pages(length: usize) -> nix::Result<NonNull<libc::c_void>> {
    // SAFETY: takes flags only and gives a new descriptor.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    ftruncate(&fd, i64::try_from(length).map_err(|_| Errno::EFBIG)?)?;
    let size = length.try_into().map_err(|_| Errno::EINVAL)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses.
    unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, &fd, 0) }
}

impl<T> Deref for Hidden<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.place {
            // SAFETY: written by `moved`, and dropped with self only.
            Place::Secret { value, .. } => unsafe { value.as_ref() },
            Place::Usual(value) => value,
        }
    }
}

impl<T> Drop for Hidden<T> {
    fn drop(&mut self) {
        if let Place::Secret { value, length } = self.place {
            // SAFETY: the value is there, and nobody refers to it any more.
            unsafe { value.drop_in_place() };
            // SAFETY: exactly the mapping that `secret_pages` made.
            let unmapped = unsafe { munmap(value.cast(), length) };
            if let Err(error) = unmapped {
                log::error!("secret memory stays mapped: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{BufRead, BufReader},
        os::unix::fs::FileExt,
    };

    use super::*;

    /// All that root can read of this process through the kernel.
    fn finds(wanted: &[u8]) -> bool {
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = BufReader::new(File::open("/proc/self/maps").unwrap());
        maps.lines().any(|line| {
            let line = line.unwrap();
            let (range, rest) = line.split_once(' ').unwrap();
            if !rest.starts_with('r') || line.ends_with("[vvar]") {
                return false;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            // Page by page: secret ones cannot be read.
            (start..end).step_by(4096).any(|page| {
                let mut bytes = [0; 4096];
                memory.read_exact_at(&mut bytes, page).is_ok()
                    && bytes.windows(wanted.len()).any(|window| window == wanted)
            })
        })
    }

    /// 32 bytes that are in no program: the inverse of what is in this one.
    fn secret(inverted: u8) -> [u8; 32] {
        std::array::from_fn(|index| !(inverted ^ (index as u8).wrapping_mul(37)))
    }

    #[test]
    fn what_is_hidden_is_not_found_through_the_kernel() {
        let usual = Box::new(secret(1));
        // The wanted bytes themselves must not be what is found.
        let wanted = Hidden::with(|| secret(2));
        if secret_pages(1).is_err() {
            println!("memfd_secret is off on this machine: nothing is shown");
            return;
        }
        assert!(wanted.is_secret());
        // In a frame of its own, which is overwritten afterwards.
        let is_kept = || *wanted == secret(2);
        assert!(is_kept());
        overwrite_stack();
        let control = Hidden::with(|| secret(1));
        assert!(finds(&*control), "the control: usual memory can be read");
        assert!(!finds(&*wanted), "read through /proc/self/mem");
        drop(usual);
    }

    #[test]
    fn a_hidden_value_is_dropped_once() {
        let count = std::rc::Rc::new(());
        let hidden = Hidden::with(|| count.clone());
        assert_eq!(std::rc::Rc::strong_count(&count), 2);
        drop(hidden);
        assert_eq!(std::rc::Rc::strong_count(&count), 1);
        assert!(Hidden::<u8>::new(|| Err(())).is_err());
    }
}
