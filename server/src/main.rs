//! The `polylogue` command. Commands live in [`server::cli`]; here are only the allocator and the
//! exit code.

use std::process::ExitCode;

use clap::Parser;
use engine::confined::Confining;
use server::cli::Cli;

/// Also bounds what the chat template of a model may take.
#[global_allocator]
static ALLOCATOR: Confining<mimalloc::MiMalloc> = Confining(mimalloc::MiMalloc);

fn main() -> ExitCode {
    calm_helpers();
    keep_pages();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            let (message, hint) = text.split_once('\n').unwrap_or((&text, ""));
            eprintln!("error: {message}");
            if !hint.is_empty() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Tells the allocator to keep freed pages: a training step frees and takes the same hundreds of
/// megabytes over and over, and fresh pages cost a quarter of its time.
#[expect(
    unsafe_code,
    reason = "the allocator's options are reachable through its C interface only"
)]
fn keep_pages() {
    // `mi_option_purge_delay` of mimalloc.h, which the bindings leave out; -1 means never.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets one number of a table; the index is within it in every version of mimalloc 2 and 3.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}

/// Keeps candle from handing element-wise work to helper threads that spin while they wait: the
/// engine and the trainers are parallel themselves, and the spinning costs a tenth of a training
/// step.
#[expect(unsafe_code, reason = "candle reads the number of its helpers from the environment only")]
fn calm_helpers() {
    const HELPERS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(HELPERS).is_none() {
        // SAFETY: nothing else runs yet, so no thread reads the environment meanwhile.
        unsafe { std::env::set_var(HELPERS, "1") };
    }
}
