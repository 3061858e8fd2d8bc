//! What is measured: the same tokens for everybody, written down as JSON.

use std::path::Path;
use std::time::Duration;

use domain::random::SplitMix64;
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::goal::Goal;
use super::ours::Measured;

/// Voices of the side-by-side measures.
pub const VOICES: usize = 18;

/// The measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// New tokens per second of one reply.
    DecodeSingle,
    /// New tokens per second of 18 replies together, each with its own adapter.
    DecodeAdapters,
    /// Prompts per second: 18 personas times 20 questions, the next token's scores after each.
    SurveySweep,
    /// Tokens per second of one long prompt.
    Prefill,
    /// Seconds from the start of the process to the first token.
    FirstToken,
    /// Largest memory of the process of [`Self::DecodeSingle`], in megabytes.
    PeakMemory,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DecodeSingle,
        Self::DecodeAdapters,
        Self::SurveySweep,
        Self::Prefill,
        Self::PeakMemory,
        Self::FirstToken,
    ];

    /// Its key in reports.
    pub fn key(self) -> &'static str {
        match self {
            Self::DecodeSingle => "decode_single",
            Self::DecodeAdapters => "decode_18_adapters",
            Self::SurveySweep => "survey_sweep",
            Self::Prefill => "prefill_512",
            Self::PeakMemory => "peak_memory",
            Self::FirstToken => "first_token",
        }
    }

    /// What its numbers count.
    pub fn unit(self) -> &'static str {
        match self {
            Self::DecodeSingle | Self::DecodeAdapters | Self::Prefill => "tokens/s",
            Self::SurveySweep => "prompts/s",
            Self::PeakMemory => "MB",
            Self::FirstToken => "s",
        }
    }

    /// The measure of a process that printed `result` when it had run for `at`.
    pub fn of_process(self, result: Measured, at: Duration) -> Measured {
        match self {
            Self::FirstToken => Measured { value: at.as_secs_f64(), ..result },
            Self::PeakMemory => Measured { value: result.peak_mb.unwrap_or(f64::NAN), ..result },
            _ => result,
        }
    }

    /// What ours by the best peer's should be, and whether it is.
    pub(super) fn goal(self, ratio: Option<f64>) -> Goal {
        match self {
            Self::DecodeSingle | Self::Prefill => Goal::at_least(1.0, ratio),
            Self::DecodeAdapters => Goal::at_least(5.0, ratio),
            Self::SurveySweep => Goal::at_least(2.0, ratio),
            Self::PeakMemory | Self::FirstToken => Goal::at_most(1.0, ratio),
        }
    }

    /// Whether less is better.
    pub fn less_is_better(self) -> bool {
        matches!(self, Self::PeakMemory | Self::FirstToken)
    }
}

/// Tokens of every measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// One prompt per voice, 32 tokens; the first one is also the single reply's.
    pub prompts: Vec<Vec<u32>>,
    /// New tokens of the single reply.
    pub single_tokens: usize,
    /// New tokens of each voice.
    pub voice_tokens: usize,
    /// The long prompt, 512 tokens.
    pub long_prompt: Vec<u32>,
    /// Personas of the survey, 40 tokens each.
    pub personas: Vec<Vec<u32>>,
    /// Questions of the survey, 60 to 80 tokens.
    pub questions: Vec<Vec<u32>>,
    /// Options of every question: one token each.
    pub options: Vec<u32>,
}

impl Workload {
    /// Draws tokens below `vocabulary`.
    pub fn new(vocabulary: usize) -> Self {
        let mut random = SplitMix64::new(7);
        let mut tokens =
            |count: usize| (0..count).map(|_| random.below(vocabulary) as u32).collect::<Vec<_>>();
        Self {
            prompts: (0..VOICES).map(|_| tokens(32)).collect(),
            single_tokens: 128,
            voice_tokens: 64,
            long_prompt: tokens(512),
            personas: (0..VOICES).map(|_| tokens(40)).collect(),
            // The mean is 70.
            questions: (60..=80).filter(|length| *length != 70).map(&mut tokens).collect(),
            options: (20..25).collect(),
        }
    }

    /// Writes it to `path`.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        let text = serde_json::to_vec(self).map_err(BenchError::model)?;
        std::fs::write(path, text).map_err(BenchError::file(path))
    }

    /// Reads it from `path`.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let text = std::fs::read(path).map_err(BenchError::file(path))?;
        serde_json::from_slice(&text).map_err(BenchError::model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_the_same_each_time_and_has_the_sizes_it_promises() {
        let work = Workload::new(1000);
        assert_eq!(work, Workload::new(1000));
        assert_eq!((work.prompts.len(), work.personas.len(), work.questions.len()), (18, 18, 20));
        assert!(work.questions.iter().map(Vec::len).sum::<usize>() == 20 * 70);
        assert!(work.long_prompt.iter().all(|token| *token < 1000));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workload.json");
        work.write(&path).unwrap();
        assert_eq!(Workload::read(&path).unwrap(), work);
    }
}
