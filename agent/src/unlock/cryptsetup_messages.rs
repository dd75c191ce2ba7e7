//! Keeps what libcryptsetup says, so that it becomes part of an error instead of stray
//! lines on the console.
#![allow(unsafe_code)]

use std::{
    cell::RefCell,
    ffi::{CStr, c_char, c_int, c_void},
};

use libcryptsetup_rs::{LibcryptErr, set_log_callback};
use nix::errno::Errno;

/// CRYPT_LOG_ERROR of libcryptsetup.h.
const LOG_ERROR: c_int = 1;
const MAX_KEPT: usize = 500;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

extern "C" fn keep(level: c_int, message: *const c_char, _user: *mut c_void) {
    if level != LOG_ERROR || message.is_null() {
        return;
    }
    // SAFETY: libcryptsetup passes a NUL-terminated buffer that is valid during the call.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    let clean: String = message.trim().chars().take(MAX_KEPT).collect();
    let clean = printable::line(clean).to_string();
    LAST.with_borrow_mut(|last| *last = clean);
}

/// Runs one piece of work with libcryptsetup; gives its result and the last error message.
pub(crate) fn collect<T>(work: impl FnOnce() -> T) -> (T, String) {
    set_log_callback::<()>(Some(keep), None);
    LAST.with_borrow_mut(String::clear);
    let result = work();
    (result, LAST.with_borrow(String::clone))
}

/// The system's error number behind a failure of libcryptsetup.
pub(crate) fn errno(error: &LibcryptErr) -> Option<Errno> {
    match error {
        LibcryptErr::IOError(error) => error.raw_os_error().map(Errno::from_raw),
        _ => None,
    }
}

/// A failure in words: the system's, and what libcryptsetup said in parentheses.
pub(crate) fn in_words(error: &LibcryptErr, said: &str) -> String {
    let reason = errno(error).map_or_else(|| error.to_string(), |errno| errno.desc().to_owned());
    if said.is_empty() {
        reason
    } else {
        format!("{reason} ({said})")
    }
}
