//! Memory for keys that not even the kernel maps (memfd_secret(2)): what reads a process through
//! the kernel, such as `/proc/PID/mem`, a core dump or a direct map in another's hands, gets an
//! error or nothing there. Linux has it from 5.14, switched on by itself from 6.5 and before that
//! by `secretmem.enable=1`; where it is off the value lies in usual memory, and says so.
//!
//! Root can still have the process itself read it (ptrace); that is what Yama's ptrace_scope=3 is
//! for. While such memory is in use the kernel refuses to hibernate. Where that is wanted
//! ([`hibernation::allow`]) the value lies in pages that are locked and in no core dump; it is in the
//! hibernation image then.
#![allow(unsafe_code)]

use std::{
    num::NonZeroUsize,
    ops::Deref,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr::NonNull,
};

use nix::{
    errno::Errno,
    libc,
    sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap},
    unistd::ftruncate,
};
use zeroize::optimization_barrier;

/// More than the frames of what makes a key need.
const STACK: usize = 64 * 1024;

/// Whether this process must let the machine hibernate.
pub mod hibernation {
    use std::sync::atomic::{AtomicBool, Ordering};

    static ALLOWED: AtomicBool = AtomicBool::new(false);

    /// Nothing is put into secret memory from now on, in this process. For a machine whose
    /// configuration says that it may hibernate; called before there are secrets.
    pub fn allow() {
        ALLOWED.store(true, Ordering::Relaxed);
    }

    /// Was it called?
    pub fn is_allowed() -> bool {
        ALLOWED.load(Ordering::Relaxed)
    }
}

/// A value with its own pages of secret memory, if the kernel has such. What the value points to
/// lies elsewhere.
pub struct Hidden<T> {
    place: Place<T>,
}

enum Place<T> {
    /// Pages of its own.
    Pages {
        value: NonNull<T>,
        length: usize,
        kind: Pages,
    },
    Usual(Box<T>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pages {
    /// The kernel does not map them, and does not hibernate.
    Secret,
    /// Never swapped out, and in no core dump.
    Locked,
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
        let kind = if hibernation::is_allowed() {
            Pages::Locked
        } else {
            Pages::Secret
        };
        let made = moved(make, kind);
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
        self.is_in(Pages::Secret)
    }

    /// Is it in memory that is locked and in no core dump? What hibernation asks for can be refused
    /// (RLIMIT_MEMLOCK).
    pub const fn is_locked(&self) -> bool {
        self.is_in(Pages::Locked)
    }

    const fn is_in(&self, wanted: Pages) -> bool {
        match (&self.place, wanted) {
            (
                Place::Pages {
                    kind: Pages::Secret,
                    ..
                },
                Pages::Secret,
            )
            | (
                Place::Pages {
                    kind: Pages::Locked,
                    ..
                },
                Pages::Locked,
            ) => true,
            (Place::Pages { .. } | Place::Usual(_), _) => false,
        }
    }
}

#[inline(never)]
fn moved<T, E>(make: impl FnOnce() -> Result<T, E>, kind: Pages) -> Result<Hidden<T>, E> {
    let value = make()?;
    let length = size_of::<T>().max(1);
    let pages = match kind {
        Pages::Secret => secret_pages(length),
        Pages::Locked => locked_pages(length),
    };
    let place = match pages {
        Ok(pages) => {
            let place = pages.cast::<T>();
            // SAFETY: a page of its own, so large enough and aligned for any T that is not aligned
            // to more than a page; nothing is in it yet.
            unsafe { place.write(value) };
            Place::Pages {
                value: place,
                length,
                kind,
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

fn locked_pages(length: usize) -> nix::Result<NonNull<libc::c_void>> {
    let size = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses, of no file.
    let pages = unsafe { mmap_anonymous(None, size, access, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: the mapping was just made, and has this length.
    let kept = unsafe { madvise(pages, length, MmapAdvise::MADV_DONTDUMP) }
        // SAFETY: as above.
        .and_then(|()| unsafe { mlock(pages, length) });
    if let Err(error) = kept {
        // SAFETY: exactly that mapping, with nothing in it yet.
        let unmapped = unsafe { munmap(pages, length) };
        return Err(unmapped.err().unwrap_or(error));
    }
    Ok(pages)
}

impl<T> Deref for Hidden<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.place {
            // SAFETY: written by `moved`, and dropped with self only.
            Place::Pages { value, .. } => unsafe { value.as_ref() },
            Place::Usual(value) => value,
        }
    }
}

impl<T> Drop for Hidden<T> {
    fn drop(&mut self) {
        if let Place::Pages {
            value,
            length,
            kind,
        } = self.place
        {
            // SAFETY: the value is there, and nobody refers to it any more.
            unsafe { value.drop_in_place() };
            if kind == Pages::Locked {
                // What was moved there may have been no type that wipes itself, and these pages are
                // others' next.
                // SAFETY: the value is gone; the bytes are the mapping's own, which is still there.
                unsafe { value.cast::<u8>().write_bytes(0, length) };
                // SAFETY: as above.
                optimization_barrier(unsafe {
                    std::slice::from_raw_parts(value.cast::<u8>().as_ptr(), length)
                });
            }
            // SAFETY: exactly the mapping that `secret_pages` or `locked_pages` made.
            let unmapped = unsafe { munmap(value.cast(), length) };
            if let Err(error) = unmapped {
                log::error!("memory of a secret stays mapped: {error}");
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

    /// The first line and the flags of the mapping that an address is in, as /proc/self/smaps has them.
    fn mapping_of(address: usize) -> (String, String) {
        let maps = BufReader::new(File::open("/proc/self/smaps").unwrap());
        let mut first = None;
        for line in maps.lines() {
            let line = line.unwrap();
            let range = line
                .split_once(' ')
                .and_then(|(range, _)| range.split_once('-'));
            let ends =
                range.map(|(start, end)| [start, end].map(|text| usize::from_str_radix(text, 16)));
            if let Some([Ok(start), Ok(end)]) = ends {
                first = (start..end).contains(&address).then(|| line.clone());
            } else if let Some(first) = &first
                && let Some(flags) = line.strip_prefix("VmFlags:")
            {
                return (first.clone(), format!("{flags} "));
            }
        }
        panic!("no mapping at {address:#x}");
    }

    /// memfd_secret would keep the machine from hibernating; core dumps and swap are kept out nevertheless.
    #[test]
    fn where_hibernation_is_allowed_a_value_is_locked_and_in_no_dump_but_not_in_secret_memory() {
        let made = moved(|| Ok::<_, Errno>(secret(3)), Pages::Locked).unwrap();
        assert!(!made.is_secret());
        assert!(*made == secret(3));
        let Place::Pages { value, .. } = made.place else {
            assert!(!made.is_locked());
            println!("no memory may be locked here: nothing more is shown");
            return;
        };
        assert!(made.is_locked());
        let (first, flags) = mapping_of(value.as_ptr() as usize);
        assert!(!first.contains("secretmem"), "{first}");
        assert!(flags.contains(" lo ") && flags.contains(" dd "), "{flags}");
    }

    /// The kernel may refuse either kind of pages.
    #[test]
    fn a_value_in_usual_memory_says_neither_that_it_is_locked_nor_secret() {
        let usual = Hidden {
            place: Place::Usual(Box::new(secret(4))),
        };
        assert!(!usual.is_locked() && !usual.is_secret());
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
