//! Peers: what people would use instead, run by a Python that has them.

use std::path::{Path, PathBuf};
use std::process::Command;

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
            Peer::Llama => self.run(LLAMA, measure, &files.gguf(), files, &[]),
            Peer::Transformers => {
                let adapters = files.adapters().display().to_string();
                let with = |dtype: &str| {
                    let more = [dtype, &adapters, &self.device];
                    self.run(TRANSFORMERS, measure, &files.model(), files, &more)
                };
                let half = with("bf16")?;
                if self.device != "cpu" {
                    return Ok(half);
                }
                let single = with("f32")?;
                let half_is_better = (half.value < single.value) == measure.less_is_better();
                Ok(if half_is_better { half } else { single })
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
    ) -> Result<Measured, String> {
        let mut command = self.command(script);
        command.arg(measure.key()).arg(model).arg(files.workload());
        command.arg(self.threads.to_string()).args(more);
        let (result, at) = watch(&mut command).map_err(|error| error.to_string())?;
        Ok(measure.of_process(result?, at))
    }
}
