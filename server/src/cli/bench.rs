//! `polylogue bench`: speed and memory beside the tools that people would use instead.

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;

use candle_core::DeviceLocation;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::bench::annotation::{AnnotationBench, Load};
use crate::bench::{
    self, EngineBench, MethodBench, MethodOptions, TuneBench, checkpoint::Files, engine::Options,
    shape::Shape,
};
use crate::store::DatabaseUrl;
use engine::device::DeviceError;
use engine::{DeviceChoice, WeightFormat};

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The engine on a random model of a published shape, beside transformers with peft and llama.cpp
    /// where a Python has them.
    Engine(EngineArgs),
    /// Tuning an adapter of the same model, beside transformers with peft.
    Tune(TuneArgs),
    /// The steps of the method beside the engine: filtering, asking again, collecting, comparing.
    Method(MethodArgs),
    /// Annotation under load: many annotators at once, on a server that is killed in the middle.
    Annotate(AnnotateArgs),
    /// One measure, in a process of its own.
    #[command(hide = true)]
    Part(PartArgs),
}

#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Where everybody computes: `auto`, `cpu` or `cuda:N`.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// The model's shape: `qwen2.5-0.5b` or `llama-3-8b` (16 GB); by default the small one on the CPU, the
    /// large one on a GPU.
    #[arg(long)]
    shape: Option<Shape>,
    /// Folder for the model and its adapters (2 GB of the small shape); made when first used.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// A Python interpreter with torch, transformers and peft, and perhaps llama-cpp-python.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Threads of everybody; by default one per core.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct EngineArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// How our matrices are kept, as for `serve`; by default `bf16` on a GPU and `stored` on the CPU,
    /// which loads the same GGUF file as llama.cpp.
    #[arg(long)]
    weights: Option<WeightFormat>,
    /// Takes only these measures.
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
}

#[derive(Debug, Args)]
pub struct TuneArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// How our matrices are kept, as for `serve`; by default `bf16` on a GPU and `f32` on the CPU.
    #[arg(long)]
    weights: Option<WeightFormat>,
    /// Updates.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Keeps the layers' inputs only and computes the layers twice, on both sides.
    #[arg(long)]
    gradient_checkpointing: bool,
}

#[derive(Debug, Args)]
pub struct AnnotateArgs {
    /// Annotators at once.
    #[arg(long, default_value_t = 200)]
    annotators: usize,
    /// Items of the project.
    #[arg(long, default_value_t = 5000)]
    items: usize,
    /// Judgements per second, of all annotators together.
    #[arg(long, default_value_t = 20.0)]
    per_second: f64,
    /// How long, in seconds.
    #[arg(long, default_value_t = 120.0)]
    seconds: f64,
    /// Leaves the server alive.
    #[arg(long)]
    no_kill: bool,
    /// An empty PostgreSQL database instead of SQLite, as for `serve`; what is made in it stays there.
    #[arg(long, value_name = "URL")]
    database: Option<DatabaseUrl>,
    /// Servers on that database, which share the annotators.
    #[arg(long, default_value_t = 1, requires = "database",
        value_parser = clap::value_parser!(u16).range(1..=16))]
    servers: u16,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct PartArgs {
    key: String,
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    weights: WeightFormat,
    #[arg(long)]
    shape: Shape,
    #[arg(long)]
    device: DeviceChoice,
}

#[derive(Debug, Args)]
pub struct MethodArgs {
    /// The model that is asked, as for `serve`.
    #[arg(long, value_name = "MODEL", default_value = "starter")]
    model: String,
    /// Your copy of the paper's release, whose 13,000 questions are filtered.
    #[arg(long, value_name = "DIR", env = "POLYLOGUE_REFERENCE")]
    release: Option<PathBuf>,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl BenchCommand {
    /// Measures and prints.
    ///
    /// # Errors
    /// See [`bench::BenchError`].
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Part(args) => {
                let files = Files::at(&args.folder, args.shape);
                Ok(bench::part(&files, &args.key, args.weights, args.device)?)
            }
            Self::Engine(args) => args.run(),
            Self::Tune(args) => args.run(),
            Self::Method(args) => args.run(),
            Self::Annotate(args) => args.run(),
        }
    }
}

impl CommonArgs {
    /// `on_cpu` is the form of our matrices on the CPU where none was asked for.
    fn options(
        self,
        weights: Option<WeightFormat>,
        on_cpu: WeightFormat,
        only: Vec<String>,
    ) -> Result<Options, DeviceError> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        // Opened to see what is there; each measure opens it in a process of its own.
        let opened = self.device.open()?;
        let (device, shape, usual) = match opened.location() {
            DeviceLocation::Cuda { gpu_id } => {
                (DeviceChoice::Cuda(gpu_id), Shape::Llama8B, WeightFormat::BF16)
            }
            _ => (DeviceChoice::Cpu, Shape::Qwen05B, on_cpu),
        };
        Ok(Options {
            folder: self.folder.unwrap_or_else(|| std::env::temp_dir().join("polylogue-bench")),
            python: self.python,
            shape: self.shape.unwrap_or(shape),
            device,
            weights: weights.unwrap_or(usual),
            threads: self.threads.unwrap_or_else(cores),
            only,
        })
    }
}

impl EngineArgs {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let json = self.common.json;
        let options = self.common.options(self.weights, WeightFormat::Stored, self.only)?;
        show(&EngineBench::run(&options, |step| eprintln!("{step}"))?, json)
    }
}

impl TuneArgs {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let json = self.common.json;
        let options = self.common.options(self.weights, WeightFormat::F32, Vec::new())?;
        let work = (self.steps, self.gradient_checkpointing);
        show(&TuneBench::run(&options, work, |step| eprintln!("{step}"))?, json)
    }
}

impl MethodArgs {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let source = self.model.as_str().into();
        let options = MethodOptions { source, release: self.release };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let bench = MethodBench::run(&options, |step| eprintln!("{step}"));
        show(&runtime.block_on(bench)?, self.json)
    }
}

impl AnnotateArgs {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let Self { annotators, items, per_second, seconds, no_kill, database, servers, json } =
            self;
        let load = Load { annotators, items, per_second, seconds, kill: !no_kill, servers };
        let bench = AnnotationBench::run(load, database.as_ref(), |step| eprintln!("{step}"));
        show(&bench?, json)
    }
}

fn show<T: Display + Serialize>(result: &T, json: bool) -> Result<(), Box<dyn Error>> {
    match json {
        true => println!("{}", serde_json::to_string_pretty(result)?),
        false => println!("{result}"),
    }
    Ok(())
}
