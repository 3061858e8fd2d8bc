//! The engine beside its peers, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::BenchError;
use super::checkpoint::{self, Files};
use super::error::{Deviation, Errors};
use super::goal::Goal;
use super::limits::{self, Share};
use super::ours::Measured;
use super::peers::{Peer, Python};
use super::roofline::Roofline;
use super::shape::Shape;
use super::watch::watch;
use super::workload::{Measure, Workload};
use engine::{DeviceChoice, WeightFormat};

/// What to measure, and beside what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the model of the bench is kept.
    pub folder: PathBuf,
    /// A Python with peers; without one only ours is measured.
    pub python: Option<PathBuf>,
    /// The model's shape.
    pub shape: Shape,
    /// Where everybody computes.
    pub device: DeviceChoice,
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
        let device = match self.device {
            DeviceChoice::Cuda(index) => format!("cuda:{index}"),
            DeviceChoice::Auto | DeviceChoice::Cpu => "cpu".to_owned(),
        };
        Ok(Python { program, threads: self.threads, device })
    }

    /// Our process for one part of a bench.
    pub(super) fn part(&self, key: &str) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "part", key, "--weights", &self.weights.to_string()]);
        command.args(["--shape", self.shape.as_str(), "--device", &self.device.to_string()]);
        command.arg("--folder").arg(&self.folder);
        command.env("RAYON_NUM_THREADS", self.threads.to_string());
        Ok(command)
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
    /// Ours by that of the best peer that does the same work.
    pub ratio_to_best_peer: Option<f64>,
    /// What that ratio should be.
    pub goal: Goal,
    /// Ours beside what the machine could do, for rates.
    pub share: Option<Share>,
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
    /// What quantised weights change in the scores; `None` where there are none.
    pub errors: Option<Errors>,
    /// Whose shape the model has.
    pub shape: &'static str,
    /// Threads of everybody.
    pub threads: usize,
}

impl EngineBench {
    /// Takes all measures one after the other; `progress` hears what comes next.
    ///
    /// # Errors
    /// Only ours: a peer that fails is left out, with its reason.
    pub fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Self, BenchError> {
        let files = checkpoint::make(&options.folder, options.shape, &mut progress)?;
        progress("what the machine could do at best");
        // The device is let go of at once: the processes of the measures want all of a GPU's memory.
        let roofline = Roofline::measure(&options.device.open().map_err(BenchError::model)?)?;
        let work = Workload::read(&files.workload())?;
        let python = options.python();
        let mut measures = BTreeMap::new();
        let wanted = |measure: &Measure| {
            options.only.is_empty() || options.only.iter().any(|key| key == measure.key())
        };
        for measure in Measure::ALL.into_iter().filter(wanted) {
            progress(&format!("{}: ours", measure.key()));
            let ours = ours(options, measure)?;
            let mut comparison = Comparison::new(measure, &ours);
            if let Some(kernel) = roofline.kernel.filter(|_| few_bits(options.weights)) {
                comparison.name_kernel(kernel);
            }
            comparison.share = limits::share(
                measure,
                ours.value,
                options.shape,
                options.weights,
                &work,
                &roofline,
            );
            for peer in Peer::ALL {
                progress(&format!("{}: {}", measure.key(), peer.key()));
                comparison.add(measure, peer, compare(&python, peer, measure, &files));
            }
            measures.insert(measure.key(), comparison);
        }
        let errors = match options.weights {
            weights if few_bits(weights) && roofline.on_cpu() => {
                progress("the scores beside those in f32");
                Some(process(options, "error")?.0)
            }
            _ => None,
        };
        let (shape, threads) = (options.shape.as_str(), options.threads);
        Ok(Self { measures, roofline, errors, shape, threads })
    }
}

/// Whether matrices are kept in few bits, for which products of our own are used; the bench's GGUF file is.
fn few_bits(weights: WeightFormat) -> bool {
    matches!(weights, WeightFormat::Q8_0 | WeightFormat::Q4K | WeightFormat::Stored)
}

fn ours(options: &Options, measure: Measure) -> Result<Measured, BenchError> {
    if measure == Measure::FirstToken {
        // As users mostly start it: a first start also reads the weights for their hash, which is remembered.
        process::<Measured>(options, measure.key())?;
    }
    let (mut result, at) = process::<Measured>(options, measure.key())?;
    if measure == Measure::FirstToken {
        result.note.push_str("; second start");
    }
    Ok(measure.of_process(result, at))
}

/// What our process for a part prints, and when after its start.
fn process<T: DeserializeOwned>(options: &Options, key: &str) -> Result<(T, Duration), BenchError> {
    let failed = |reason: String| BenchError::Process {
        measure: key.to_owned(),
        whose: "ours".to_owned(),
        reason,
    };
    let mut command = options.part(key).map_err(|error| failed(error.to_string()))?;
    let (result, at) = watch(&mut command, None).map_err(|error| failed(error.to_string()))?;
    Ok((result.map_err(failed)?, at))
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
            goal: measure.goal(None),
            share: None,
            unit: measure.unit(),
            notes: BTreeMap::from([("ours", ours.note.clone())]),
        }
    }

    /// Says by which instructions our matrices were multiplied.
    fn name_kernel(&mut self, kernel: &str) {
        if let Some(note) = self.notes.get_mut("ours") {
            note.push_str(&format!("; products by {kernel}"));
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
        let llama = self.llama_cpp.filter(|_| Peer::Llama.does(measure));
        let peers = [self.transformers, llama].into_iter().flatten();
        let best = match measure.less_is_better() {
            true => peers.reduce(f64::min),
            false => peers.reduce(f64::max),
        };
        self.ratio_to_best_peer = best.map(|best| self.ours / best);
        self.goal = measure.goal(self.ratio_to_best_peer);
    }
}

impl fmt::Display for EngineBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading =
            ["key", "unit", "ours", "transformers", "llama.cpp", "ours / best peer", "goal"];
        writeln!(f, "| {} | of what the machine could do |", heading.join(" | "))?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---|---|")?;
        let cell = |value: Option<f64>| match value {
            Some(value) if value < 10.0 => format!("{value:.2}"),
            Some(value) => format!("{value:.1}"),
            None => "–".to_owned(),
        };
        for measure in Measure::ALL {
            let Some(row) = self.measures.get(measure.key()) else { continue };
            let (ours, ratio) = (cell(Some(row.ours)), cell(row.ratio_to_best_peer));
            let (transformers, llama) = (cell(row.transformers), cell(row.llama_cpp));
            let share = row.share.map_or("–".to_owned(), |share| {
                let [roofline, arithmetic] =
                    [share.of_roofline, share.of_arithmetic].map(|share| 100.0 * share);
                format!("{roofline:.0} % ({}); {arithmetic:.0} % of arithmetic", share.limit)
            });
            let (key, unit, goal) = (measure.key(), row.unit, row.goal);
            writeln!(
                f,
                "| {key} | {unit} | {ours} | {transformers} | {llama} | {ratio} | {goal} | {share} |"
            )?;
        }
        let Roofline {
            device,
            read_gb_s,
            dense_gflop_s,
            byte_gop_s,
            q8_0_gop_s,
            q8_0_gop_s_by_kernel,
            candle_q8_0_gop_s,
            kernel,
        } = &self.roofline;
        write!(
            f,
            "\nA random model of the shape of {}; {} threads. `{device}` reads {read_gb_s:.0} GB/s and \
             multiplies dense matrices at {dense_gflop_s:.0} GFLOP/s",
            self.shape, self.threads
        )?;
        if let Some((ours, candle)) = q8_0_gop_s.zip(*candle_q8_0_gop_s) {
            write!(
                f,
                ", Q8_0 at {ours:.0} billion operations/s with our product and {candle:.0} with candle's"
            )?;
        }
        if let Some(kernel) = kernel {
            write!(f, " (ours is {kernel}")?;
            for (other, speed) in q8_0_gop_s_by_kernel.iter().filter(|(other, _)| *other != kernel)
            {
                write!(f, ", by {other} {speed:.0}")?;
            }
            write!(f, ")")?;
        }
        if let Some(bytes) = byte_gop_s {
            write!(f, ", bytes in registers at {bytes:.0}")?;
        }
        write!(f, ".")?;
        if let Some(errors) = &self.errors {
            let say = |from: &Deviation| {
                let (logits, option) = (from.logits, from.option_probability);
                format!(
                    "{logits:.1e} of the logits' length, options' probabilities by up to {option:.1e}"
                )
            };
            write!(f, "\nScores beside the same model in f32 are off by {}", say(&errors.weights))?;
            if let Some(product) = &errors.product {
                write!(f, "; beside its blocks taken apart into f32, by {}", say(product))?;
            }
            write!(f, ".")?;
        }
        Ok(())
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
        assert_eq!(speed.goal.missed_by, Some(0.0));
        assert_eq!(
            (speed.llama_cpp, speed.notes["llama_cpp"].as_str()),
            (None, "not measured: gone")
        );
        speed.name_kernel("AVX2");
        assert_eq!(speed.notes["ours"], "n; products by AVX2");
        let mut memory = Comparison::new(Measure::PeakMemory, &measured(30.0));
        assert_eq!(memory.ratio_to_best_peer, None);
        memory.add(Measure::PeakMemory, Peer::Transformers, Ok(measured(60.0)));
        memory.add(Measure::PeakMemory, Peer::Llama, Ok(measured(40.0)));
        assert_eq!(memory.ratio_to_best_peer, Some(0.75));
        // llama.cpp mixes no adapters in a batch: its speed without any is told, not compared with.
        let mut voices = Comparison::new(Measure::DecodeAdapters, &measured(30.0));
        voices.add(Measure::DecodeAdapters, Peer::Transformers, Ok(measured(20.0)));
        voices.add(Measure::DecodeAdapters, Peer::Llama, Ok(measured(60.0)));
        assert_eq!((voices.llama_cpp, voices.ratio_to_best_peer), (Some(60.0), Some(1.5)));
        assert_eq!(voices.goal.to_string(), "≥ 5, missed by 70 %");
    }
}
