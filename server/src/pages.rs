//! What happens to pages of memory that are freed.
//!
//! A pass through a model frees and takes the same hundreds of megabytes over and over, and fresh pages cost a
//! quarter of its time: pages are kept for a minute. What reading a model takes in passing, such as its
//! tokenizer's text, would lie beside its weights until then, so the system gets it back at once.
//!
//! Without effect in programs with another allocator than this package's.

use std::sync::{Mutex, PoisonError};

/// How many models are being loaded.
static LOADING: Mutex<usize> = Mutex::new(0);

/// For how long freed pages are kept, in milliseconds.
const KEPT: i64 = 60_000;

/// `mi_option_purge_delay` of mimalloc.h, which the bindings leave out.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Has the allocator keep freed pages for a minute.
pub fn keep() {
    set_delay(KEPT);
}

/// Runs what loads a model; meanwhile freed pages are given back at once.
pub fn while_loading<T>(load: impl FnOnce() -> T) -> T {
    let _loading = Loading::new();
    load()
}

/// Something is being loaded until this is dropped.
struct Loading(());

impl Loading {
    fn new() -> Self {
        let mut loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        *loading += 1;
        set_delay(0);
        Self(())
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        let mut loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        *loading -= 1;
        if *loading == 0 {
            keep();
        }
    }
}

/// Sets after how many milliseconds freed pages are given back.
fn set_delay(milliseconds: i64) {
    #[expect(
        unsafe_code,
        reason = "the allocator's options are reachable through its C interface only"
    )]
    // SAFETY: sets one number of a table; the index is within it in every version of mimalloc 2 and 3.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds as _);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[expect(unsafe_code, reason = "as for setting it")]
    fn delay() -> i64 {
        // SAFETY: reads one number of a table.
        unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) as i64 }
    }

    #[test]
    fn pages_are_given_back_until_the_last_model_is_loaded() {
        keep();
        let inner = while_loading(|| while_loading(delay) + delay());
        assert_eq!((inner, delay()), (0, KEPT));
        let failed = catch_unwind(|| while_loading(|| panic!("a file that is broken")));
        assert!(failed.is_err() && delay() == KEPT);
    }
}
