//! Peers: what people would use instead, run by a Python that has them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::checkpoint::Files;
use super::ours::Measured;
use super::watch::watch;
use super::workload::Measure;

const TRANSFORMERS: &str = include_str!("peers/transformers_peer.py");
const LLAMA: &str = include_str!("peers/llama_peer.py");

/// A tool to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Hugging Face transformers with peft.
    Transformers,
    /// llama.cpp by its Python package.
    Llama,
}

impl Peer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Transformers, Self::Llama];

    /// Its key in reports, which is also the name of its Python package.
    pub fn key(self) -> &'static str {
        match self {
            Self::Transformers => "transformers",
            Self::Llama => "llama_cpp",
        }
    }

    /// Whether it does what a measure asks for: llama.cpp has one adapter, or one mix of them, for all
    /// sequences of a batch, so its voices speak without any.
    pub fn does(self, measure: Measure) -> bool {
        !matches!((self, measure), (Self::Llama, Measure::DecodeAdapters))
    }
}

/// A Python with peers.
#[derive(Debug, Clone)]
pub struct Python {
    /// The interpreter.
    pub program: PathBuf,
    /// Threads of every measure.
    pub threads: usize,
    /// torch's name of where it computes.
    pub device: String,
}

impl Python {
    /// Whether the interpreter can import the peer; why not, if it can't.
    ///
    /// # Errors
    /// Python's last words.
    pub fn has(&self, peer: Peer) -> Result<(), String> {
        let import = format!("import {}", peer.key());
        let output = Command::new(&self.program).args(["-c", &import]).output();
        let output = output.map_err(|error| format!("`{}`: {error}", self.program.display()))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(errors.trim().lines().last().unwrap_or("it fails without a message").to_owned())
    }

    /// Runs a script, whose arguments are still to come, on so many threads and without network.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-c", script]).env("OMP_NUM_THREADS", self.threads.to_string());
        command.env("HF_HUB_OFFLINE", "1").env("TOKENIZERS_PARALLELISM", "false");
        command
    }

    /// Takes a measure with a peer, at the better of its settings; on a GPU in bf16.
    ///
    /// # Errors
    /// The process's last words.
    pub fn measure(&self, peer: Peer, measure: Measure, files: &Files) -> Result<Measured, String> {
        match peer {
            Peer::Llama if !files.shape().has_gguf() || self.device != "cpu" => {
                Err("its package from PyPI computes on the CPU".to_owned())
            }
            Peer::Llama => self.run(LLAMA, measure, &files.gguf(), files, &[], None),
            Peer::Transformers => {
                let adapters = files.adapters().display().to_string();
                let with = |dtype: &str, limit: Option<Duration>, beat: f64| {
                    let more = [dtype, &adapters, &self.device, &beat.to_string()];
                    self.run(TRANSFORMERS, measure, &files.model(), files, &more, limit)
                };
                if self.device != "cpu" {
                    return with("bf16", None, 0.0);
                }
                let started = Instant::now();
                let single = with("f32", None, 0.0);
                // Of two processes that do the same work, the one that takes longer isn't the quicker
                // one: where a processor has no instructions for bf16 that would be hours.
                let limit = (!measure.less_is_better()).then(|| started.elapsed().mul_f64(1.5));
                let beat = single.as_ref().map_or(0.0, |single| single.value);
                let half = with("bf16", limit.filter(|_| single.is_ok()), beat);
                better(measure, single, half)
            }
        }
    }

    fn run(
        &self,
        script: &str,
        measure: Measure,
        model: &Path,
        files: &Files,
        more: &[&str],
        limit: Option<Duration>,
    ) -> Result<Measured, String> {
        let mut command = self.command(script);
        command.arg(measure.key()).arg(model).arg(files.workload());
        command.arg(self.threads.to_string()).args(more);
        if measure == Measure::FirstToken {
            // As ours: its files have been read before.
            let _ = watch::<Measured>(&mut command, limit);
        }
        let (result, at) = watch(&mut command, limit).map_err(|error| error.to_string())?;
        Ok(measure.of_process(result?, at))
    }
}

/// The better of the measures in f32 and in bf16, with what there is to say of the other one.
fn better(
    measure: Measure,
    single: Result<Measured, String>,
    half: Result<Measured, String>,
) -> Result<Measured, String> {
    match (single, half) {
        (Ok(single), Ok(half)) => {
            let half_is_better = (half.value < single.value) == measure.less_is_better();
            let (best, other, dtype) =
                if half_is_better { (half, single, "f32") } else { (single, half, "bf16") };
            let note = format!("{}; {dtype}: {:.3} {}", best.note, other.value, measure.unit());
            Ok(Measured { note, ..best })
        }
        (Ok(single), Err(reason)) => {
            Ok(Measured { note: format!("{}; bf16: {reason}", single.note), ..single })
        }
        (Err(reason), Ok(half)) => {
            Ok(Measured { note: format!("{}; f32: {reason}", half.note), ..half })
        }
        (Err(single), Err(half)) => Err(format!("f32: {single}; bf16: {half}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_type_counts_and_says_of_the_other() {
        let run =
            |value: f64, note: &str| Ok(Measured { value, peak_mb: None, note: note.to_owned() });
        let told = |measure, single, half| {
            better(measure, single, half).map(|best| (best.value, best.note))
        };
        let lost = |reason: &str| Err(reason.to_owned());
        for (measure, single, half, expected) in [
            (
                Measure::Prefill,
                run(3.0, "f32"),
                run(2.0, "bf16"),
                Ok((3.0, "f32; bf16: 2.000 tokens/s")),
            ),
            (
                Measure::PeakMemory,
                run(3.0, "f32"),
                run(2.0, "bf16"),
                Ok((2.0, "bf16; f32: 3.000 MB")),
            ),
            (Measure::Prefill, run(3.0, "f32"), lost("too slow"), Ok((3.0, "f32; bf16: too slow"))),
            (Measure::Prefill, lost("gone"), run(2.0, "bf16"), Ok((2.0, "bf16; f32: gone"))),
            (Measure::Prefill, lost("a"), lost("b"), Err("f32: a; bf16: b")),
        ] {
            let expected = expected.map(|(value, note)| (value, note.to_owned()));
            assert_eq!(told(measure, single, half), expected.map_err(str::to_owned));
        }
    }
}
