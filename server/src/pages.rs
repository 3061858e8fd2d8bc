//! What happens to pages of memory that are freed: the system gets them back at once, except while something is
//! tuned.
//!
//! What reading a model takes in passing, such as its tokenizer's text, would stay beside its weights for as long
//! as the program runs. A training step frees and takes the same hundreds of megabytes over and over, and fresh
//! pages cost a quarter of its time.
//!
//! Without effect in programs with another allocator than this package's.

use std::sync::{Mutex, PoisonError};

/// How many [`Kept`] there are.
static KEPT: Mutex<usize> = Mutex::new(0);

/// Has the allocator give freed pages back at once.
pub fn give_back() {
    set_delay(0);
}

/// Freed pages are kept until the last one of these is dropped.
#[derive(Debug)]
pub struct Kept(());

impl Kept {
    /// From now on.
    #[expect(clippy::new_without_default, reason = "it is made for what it does, not for a value")]
    pub fn new() -> Self {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        *kept += 1;
        set_delay(-1);
        Self(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        *kept -= 1;
        if *kept == 0 {
            give_back();
            #[expect(unsafe_code, reason = "a function of the allocator's C interface")]
            // SAFETY: it may be called at any time by any thread.
            unsafe {
                libmimalloc_sys::mi_collect(true);
            }
        }
    }
}

/// Sets after how many milliseconds freed pages are given back; -1 means never.
fn set_delay(milliseconds: i64) {
    // `mi_option_purge_delay` of mimalloc.h, which the bindings leave out.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    #[expect(
        unsafe_code,
        reason = "the allocator's options are reachable through its C interface only"
    )]
    // SAFETY: sets one number of a table; the index is within it in every version of mimalloc 2 and 3.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds as _);
    }
}
