//! The engine beside its peers, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::BenchError;
use super::checkpoint::{self, Files};
use super::ours::Measured;
use super::peers::{Peer, Python};
use super::roofline::Roofline;
use super::watch::watch;
use super::workload::Measure;
use engine::WeightFormat;

/// What to measure, and beside what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the model of the bench is kept.
    pub folder: PathBuf,
    /// A Python with peers; without one only ours is measured.
    pub python: Option<PathBuf>,
    /// The form of our matrices.
    pub weights: WeightFormat,
    /// Threads of everybody.
    pub threads: usize,
    /// Keys to measure; all where empty.
    pub only: Vec<String>,
}

impl Options {
    /// The Python with peers; why there is none.
    pub(super) fn python(&self) -> Result<Python, String> {
        let program = self.python.clone().ok_or("no Python was given with `--python`")?;
        Ok(Python { program, threads: self.threads })
    }
}

/// One measure of everybody.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Ours.
    pub ours: f64,
    /// transformers' better of f32 and bf16; null where it couldn't be measured.
    pub transformers: Option<f64>,
    /// llama.cpp's with Q8_0; null where it couldn't be measured.
    pub llama_cpp: Option<f64>,
    /// Ours by the best peer's.
    pub ratio_to_best_peer: Option<f64>,
    /// What the numbers count.
    pub unit: &'static str,
    /// How each was run, and why one wasn't.
    pub notes: BTreeMap<&'static str, String>,
}

/// The whole bench.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineBench {
    /// By key.
    #[serde(flatten)]
    pub measures: BTreeMap<&'static str, Comparison>,
    /// What the machine could do at best.
    pub roofline: Roofline,
    /// Threads of everybody.
    pub threads: usize,
}

impl EngineBench {
    /// Takes all measures one after the other; `progress` hears what comes next.
    ///
    /// # Errors
    /// Only ours: a peer that fails is left out, with its reason.
    pub fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Self, BenchError> {
        let files = checkpoint::make(&options.folder, &mut progress)?;
        let python = options.python();
        let mut measures = BTreeMap::new();
        let wanted = |measure: &Measure| {
            options.only.is_empty() || options.only.iter().any(|key| key == measure.key())
        };
        for measure in Measure::ALL.into_iter().filter(wanted) {
            progress(&format!("{}: ours", measure.key()));
            let ours = ours(options, measure)?;
            let mut comparison = Comparison::new(measure, &ours);
            for peer in Peer::ALL {
                progress(&format!("{}: {}", measure.key(), peer.key()));
                comparison.add(measure, peer, compare(&python, peer, measure, &files));
            }
            measures.insert(measure.key(), comparison);
        }
        progress("what the machine could do at best");
        Ok(Self { measures, roofline: Roofline::measure()?, threads: options.threads })
    }
}

fn ours(options: &Options, measure: Measure) -> Result<Measured, BenchError> {
    let failed = |reason: String| BenchError::Process {
        measure: measure.key().to_owned(),
        whose: "ours".to_owned(),
        reason,
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command.args(["bench", "part", measure.key(), "--weights", &options.weights.to_string()]);
    command.arg("--folder").arg(Path::new(&options.folder));
    command.env("RAYON_NUM_THREADS", options.threads.to_string());
    let (result, at) = watch(&mut command).map_err(|error| failed(error.to_string()))?;
    Ok(measure.of_process(result.map_err(failed)?, at))
}

fn compare(
    python: &Result<Python, String>,
    peer: Peer,
    measure: Measure,
    files: &Files,
) -> Result<Measured, String> {
    let python = python.as_ref().map_err(String::clone)?;
    python.has(peer)?;
    python.measure(peer, measure, files)
}

impl Comparison {
    fn new(measure: Measure, ours: &Measured) -> Self {
        Self {
            ours: ours.value,
            transformers: None,
            llama_cpp: None,
            ratio_to_best_peer: None,
            unit: measure.unit(),
            notes: BTreeMap::from([("ours", ours.note.clone())]),
        }
    }

    fn add(&mut self, measure: Measure, peer: Peer, result: Result<Measured, String>) {
        let note = match &result {
            Ok(measured) => measured.note.clone(),
            Err(reason) => format!("not measured: {reason}"),
        };
        self.notes.insert(peer.key(), note);
        let value = result.ok().map(|measured| measured.value);
        match peer {
            Peer::Transformers => self.transformers = value,
            Peer::Llama => self.llama_cpp = value,
        }
        let peers = [self.transformers, self.llama_cpp].into_iter().flatten();
        let best = match measure.less_is_better() {
            true => peers.reduce(f64::min),
            false => peers.reduce(f64::max),
        };
        self.ratio_to_best_peer = best.map(|best| self.ours / best);
    }
}

impl fmt::Display for EngineBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| key | unit | ours | transformers | llama.cpp | ours / best peer |")?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        let cell = |value: Option<f64>| match value {
            Some(value) if value < 10.0 => format!("{value:.2}"),
            Some(value) => format!("{value:.1}"),
            None => "–".to_owned(),
        };
        for measure in Measure::ALL {
            let Some(row) = self.measures.get(measure.key()) else { continue };
            let (ours, ratio) = (cell(Some(row.ours)), cell(row.ratio_to_best_peer));
            let (transformers, llama) = (cell(row.transformers), cell(row.llama_cpp));
            writeln!(
                f,
                "| {} | {} | {ours} | {transformers} | {llama} | {ratio} |",
                measure.key(),
                row.unit
            )?;
        }
        let Roofline { read_gb_s, f32_gflop_s, q8_0_gop_s, candle_q8_0_gop_s } = self.roofline;
        write!(
            f,
            "\n{} threads; the machine reads {read_gb_s:.1} GB/s, and our products reach \
             {f32_gflop_s:.0} GFLOP/s in f32 and {q8_0_gop_s:.0} billion operations/s with Q8_0 \
             (candle's: {candle_q8_0_gop_s:.0}).",
            self.threads
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(value: f64) -> Measured {
        Measured { value, peak_mb: None, note: "n".to_owned() }
    }

    #[test]
    fn the_best_peer_is_the_quickest_or_the_smallest() {
        let mut speed = Comparison::new(Measure::Prefill, &measured(30.0));
        speed.add(Measure::Prefill, Peer::Transformers, Ok(measured(20.0)));
        speed.add(Measure::Prefill, Peer::Llama, Err("gone".to_owned()));
        assert_eq!(speed.ratio_to_best_peer, Some(1.5));
        assert_eq!(
            (speed.llama_cpp, speed.notes["llama_cpp"].as_str()),
            (None, "not measured: gone")
        );
        let mut memory = Comparison::new(Measure::PeakMemory, &measured(30.0));
        assert_eq!(memory.ratio_to_best_peer, None);
        memory.add(Measure::PeakMemory, Peer::Transformers, Ok(measured(60.0)));
        memory.add(Measure::PeakMemory, Peer::Llama, Ok(measured(40.0)));
        assert_eq!(memory.ratio_to_best_peer, Some(0.75));
    }
}
