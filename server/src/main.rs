//! The `polylogue` command. Commands live in [`server::cli`]; here are only the allocator and the
//! exit code.

use std::process::ExitCode;

use clap::Parser;
use engine::confined::Confining;
use server::{cli::Cli, pages};

/// Also bounds what the chat template of a model may take.
#[global_allocator]
static ALLOCATOR: Confining<mimalloc::MiMalloc> = Confining(mimalloc::MiMalloc);

fn main() -> ExitCode {
    calm_helpers();
    pages::keep();
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
