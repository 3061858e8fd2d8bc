//! Whether a model's weights fit into memory, before they are loaded: a process that takes more than there is
//! is killed by the system without a word.

use std::path::Path;

use candle_core::{DType, Device};

use super::device;
use super::error::EngineError;
use super::weight_format::WeightFormat;
use super::weights::Weights;

/// What a tensor is called, and its shape.
type Shapes = [(String, Vec<usize>)];

/// Memory that nobody uses, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Free {
    memory: u64,
    /// Swap space: slow, but nobody is killed.
    swap: u64,
}

/// Refuses weights that take more memory than is free on the device; where that isn't known, takes all.
/// `weights` are their files, if they are there yet, and `model` is what a refusal names.
///
/// # Errors
/// [`EngineError::ModelRefused`] with the forms that would fit.
pub fn check(
    model: &Path,
    shapes: &Shapes,
    weights: Option<&Weights>,
    format: WeightFormat,
    device: &Device,
) -> Result<(), EngineError> {
    let on_gpu = || Some(Free { memory: device::free_bytes(device)? as u64, swap: 0 });
    match if device.is_cpu() { free_on_host() } else { on_gpu() } {
        Some(free) => check_free(model, shapes, weights, (format, device), free),
        None => Ok(()),
    }
}

fn check_free(
    model: &Path,
    shapes: &Shapes,
    weights: Option<&Weights>,
    (format, device): (WeightFormat, &Device),
    free: Free,
) -> Result<(), EngineError> {
    let needed = |format| bytes(shapes, weights, format, device);
    // Files too small for what the configuration says are refused with the tensor's name.
    let least = bytes(shapes, None, WeightFormat::Q4K, &Device::Cpu).unwrap_or_default() / 2;
    let lies = weights.is_some_and(|weights| weights.bytes() < least);
    let all = free.memory + free.swap;
    let Some(taken) = needed(format).filter(|taken| *taken > all && !lies) else {
        return Ok(());
    };
    let smaller = [WeightFormat::BF16, WeightFormat::Q8_0, WeightFormat::Q4K].into_iter();
    let fitting = smaller.filter_map(|form| Some((form, needed(form)?)));
    let fitting = fitting.filter(|(_, taken)| *taken <= free.memory);
    let mut ways: Vec<String> =
        fitting.map(|(form, taken)| format!("`--weights {form}` ({})", gigabytes(taken))).collect();
    let whose = if device.is_cpu() { "memory" } else { "the GPU's memory" };
    if !device.is_cpu() {
        ways.push("`--device cpu`".to_owned());
    }
    let way_out = match ways.as_slice() {
        [] => "Free some memory, or use a smaller model.".to_owned(),
        ways => format!("Load it with {}, or use a smaller model.", ways.join(" or ")),
    };
    let swap = match free.swap {
        0 => String::new(),
        swap => format!(" and {} of swap space", gigabytes(swap)),
    };
    let (taken, memory) = (gigabytes(taken), gigabytes(free.memory));
    let reason = format!(
        "its weights take {taken} as `{format}` while they are loaded, and {memory} of {whose}{swap} are \
         free\n{way_out}"
    );
    Err(EngineError::ModelRefused { path: model.to_owned(), reason })
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Bytes of the weights in this form, with what the largest matrix takes in passing; `None` where the device
/// can't have it.
fn bytes(
    shapes: &Shapes,
    weights: Option<&Weights>,
    format: WeightFormat,
    device: &Device,
) -> Option<u64> {
    /// Bytes of a value beside its last form: in f32; of blocks that are taken apart first, three times.
    const PASSING: f64 = 4.0;
    const TAKEN_APART: f64 = 12.0;
    let dense = match format.dtype(device).ok()? {
        DType::F32 => 4.0,
        _ => 2.0,
    };
    if let (WeightFormat::Stored, Some(Weights::Files(_))) = (format, weights) {
        return weights.map(Weights::bytes);
    }
    let (mut all, mut passing) = (0.0, 0.0_f64);
    for (name, shape) in shapes {
        let values = shape.iter().map(|size| *size as f64).product::<f64>();
        let [_, columns] = shape.as_slice() else {
            all += dense * values;
            continue;
        };
        let stored = weights.and_then(|weights| weights.stored(name));
        all += values
            * match device.is_cpu() {
                true => format.bytes_per_value(name, *columns, stored),
                false => dense,
            };
        let apart = if stored.is_some() { TAKEN_APART } else { PASSING };
        passing = passing.max(values * if format == WeightFormat::Stored { 0.0 } else { apart });
    }
    // On a GPU what passes is in the host's memory.
    Some((all + if device.is_cpu() { passing } else { 0.0 }) as u64)
}

/// What the machine has free for a program: what the system says, or what is left of the limit of a
/// container's control group (version 2) if that is less. Known on Linux.
fn free_on_host() -> Option<Free> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let group = |name: &str| read(&format!("/sys/fs/cgroup/memory.{name}"));
    let free = available(&read("/proc/meminfo")?)?;
    let left = || left(&group("max")?, &group("current")?, &group("stat")?);
    Some(Free { memory: left().map_or(free.memory, |left| free.memory.min(left)), ..free })
}

/// What a control group leaves of its limit, in bytes, of the texts of its files; `None` where it has no limit.
/// Copies of files count as its memory, but give way.
fn left(max: &str, current: &str, stat: &str) -> Option<u64> {
    let (max, current): (u64, u64) = (max.trim().parse().ok()?, current.trim().parse().ok()?);
    let of = |name: &str| {
        stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    let files: u64 = ["inactive_file ", "active_file ", "slab_reclaimable "]
        .iter()
        .filter_map(|name| of(name))
        .sum();
    Some(max.saturating_sub(current.saturating_sub(files)))
}

/// `MemAvailable` and `SwapFree` of the text of /proc/meminfo.
fn available(meminfo: &str) -> Option<Free> {
    let of = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Free { memory: of("MemAvailable:")?, swap: of("SwapFree:").unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two matrices of 2 GB in f32 and a norm.
    fn shapes() -> Vec<(String, Vec<usize>)> {
        let matrix = |name: &str| (name.to_owned(), vec![500_000, 1024]);
        vec![matrix("model.a.weight"), matrix("model.b.weight"), ("norm".to_owned(), vec![1024])]
    }

    fn refusal(format: WeightFormat, weights: Option<&Weights>, free: Free) -> Option<String> {
        let given = (format, &Device::Cpu);
        check_free(Path::new("m"), &shapes(), weights, given, free).err().map(|e| e.to_string())
    }

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_what_would() {
        let free = |memory, swap| Free { memory, swap };
        // Both matrices, and one in passing.
        assert_eq!(refusal(WeightFormat::F32, None, free(6_200_000_000, 0)), None);
        assert_eq!(refusal(WeightFormat::F32, None, free(2_000_000_000, 4_200_000_000)), None);
        assert_eq!(
            refusal(WeightFormat::F32, None, free(3_500_000_000, 1_000_000_000)).unwrap(),
            "the model in `m` can't be loaded: its weights take 6.1 GB as `f32` while they are loaded, and 3.5 \
             GB of memory and 1.0 GB of swap space are free\nLoad it with `--weights q8_0` (3.1 GB) or \
             `--weights q4k` (2.6 GB), or use a smaller model."
        );
        assert!(refusal(WeightFormat::Q4K, None, free(100, 0)).unwrap().ends_with(
            "take 2.6 GB as `q4k` while they are loaded, and 0.0 GB of memory are free\nFree some memory, or \
             use a smaller model."
        ));
        // What such a file can't hold is found out later, and named.
        let small = Weights::Embedded(b"small");
        assert_eq!(refusal(WeightFormat::F32, Some(&small), free(100, 0)), None);
    }

    #[test]
    fn free_memory_is_read_from_what_the_system_says() {
        let text = "MemTotal:       24684000 kB\nMemAvailable:   20000000 kB\nSwapFree: 1000 kB\n";
        let free = Free { memory: 20_480_000_000, swap: 1_024_000 };
        assert_eq!(available(text), Some(free));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: many kB"), None);
        let stat = "anon 500\nfile 400\ninactive_file 200\nactive_file 60\nslab_reclaimable 40\n";
        assert_eq!(left("1000\n", "900\n", stat), Some(400));
        assert_eq!(left("1000", "2000", ""), Some(0));
        assert_eq!(left("max", "900", stat), None);
        #[cfg(target_os = "linux")]
        assert!(free_on_host().unwrap().memory > 1 << 20);
    }
}
