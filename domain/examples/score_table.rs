//! The score table for WebAssembly: plain exports that a host calls row by row.
//!
//! `cargo xtask test` compiles this for the browser's target and calls it; the rows are those of
//! `domain/tests/score_table.rs`. Strings go out as a pointer and a length into this memory.
#![expect(unsafe_code, reason = "an export needs a fixed name, and `no_mangle` counts as unsafe")]

#[path = "../tests/score_table/mod.rs"]
mod score_table;

use std::cell::RefCell;

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How many rows there are.
#[unsafe(no_mangle)]
pub extern "C" fn rows() -> u32 {
    score_table::rows().len() as u32
}

/// Runs one row: 1 if it holds, 0 if not; [`message`] then says which row, or what came out.
#[unsafe(no_mangle)]
pub extern "C" fn run(row: u32) -> u32 {
    let row = &score_table::rows()[row as usize];
    let result = row.check();
    let held = u32::from(result.is_ok());
    MESSAGE.set(result.err().unwrap_or_else(|| row.name.clone()));
    held
}

/// Where the text of the last row starts.
#[unsafe(no_mangle)]
pub extern "C" fn message() -> *const u8 {
    MESSAGE.with_borrow(|text| text.as_ptr())
}

/// How many bytes it has.
#[unsafe(no_mangle)]
pub extern "C" fn message_length() -> usize {
    MESSAGE.with_borrow(String::len)
}
