//! Whether a model's weights fit into memory, before they are loaded: a process that takes more than there is
//! is killed by the system without a word.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
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
    let apart = match (weights, format) {
        (Some(weights), WeightFormat::Stored) => taken_apart(shapes, |name| weights.stored(name)),
        _ => Vec::new(),
    };
    let why = match apart.as_slice() {
        [] => String::new(),
        kinds => format!(" ({} as f32, since there is no product for them)", kinds.join(", ")),
    };
    let reason = format!(
        "its weights take {taken} as `{format}`{why} while they are loaded, and {memory} of {whose}{swap} are \
         free\n{way_out}"
    );
    Err(EngineError::ModelRefused { path: model.to_owned(), reason })
}

/// The kinds of blocks of a GGUF file that are kept as f32, since there is no product for them.
fn taken_apart(shapes: &Shapes, stored: impl Fn(&str) -> Option<GgmlDType>) -> Vec<String> {
    let of = |(name, shape): &(String, Vec<usize>)| match (shape.as_slice(), stored(name)?) {
        ([_, columns], kind) if WeightFormat::Stored.takes_apart(name, *columns, kind) => {
            Some(format!("{kind:?}"))
        }
        _ => None,
    };
    shapes.iter().filter_map(of).collect::<BTreeSet<_>>().into_iter().collect()
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

/// What the machine has free for a program: what the system says, or what is left of the limit of a control
/// group (version 2) that this process is in, if that is less: a container's, a service's, a job's. Known on
/// Linux.
fn free_on_host() -> Option<Free> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let free = available(&read("/proc/meminfo")?)?;
    let membership = read("/proc/self/cgroup").unwrap_or_default();
    let left = left_in_groups(Path::new("/sys/fs/cgroup"), &membership);
    Some(Free { memory: left.map_or(free.memory, |left| free.memory.min(left)), ..free })
}

/// The least that is left in any of the groups below `root` that a process is in, by the text of its `cgroup`
/// file: a limit holds for all groups within. `None` where none has a limit.
fn left_in_groups(root: &Path, membership: &str) -> Option<u64> {
    let own = membership.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    // A path that isn't below what this process sees of the groups leads nowhere, but the root is there.
    let groups = Path::new(own).ancestors().map(|group| root.join(group));
    let of = |group: PathBuf| {
        let read = |name: &str| std::fs::read_to_string(group.join(format!("memory.{name}"))).ok();
        left(&read("max")?, &read("current")?, &read("stat")?)
    };
    groups.filter_map(of).min()
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
    fn blocks_that_become_f32_are_named() {
        let stored = |name: &str| match name {
            "model.a.weight" => Some(GgmlDType::Q5K),
            "model.b.weight" => Some(GgmlDType::Q8_0),
            _ => Some(GgmlDType::F32),
        };
        assert_eq!(taken_apart(&shapes(), stored), ["Q5K"]);
        assert!(taken_apart(&shapes(), |_| Some(GgmlDType::BF16)).is_empty());
        assert!(taken_apart(&shapes(), |_| None).is_empty());
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
    }

    #[test]
    fn the_tightest_group_that_a_process_is_in_counts() {
        let root = tempfile::tempdir().unwrap();
        let group = |path: &str, max: &str, current: &str| {
            let folder = root.path().join(path);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, text) in [("max", max), ("current", current), ("stat", "anon 1\n")] {
                std::fs::write(folder.join(format!("memory.{name}")), text).unwrap();
            }
        };
        let left = |membership: &str| left_in_groups(root.path(), membership);
        assert_eq!(left("0::/job/step\n"), None);
        group("job", "1000\n", "300\n");
        group("job/step", "max\n", "200\n");
        assert_eq!(left("0::/job/step\n"), Some(700));
        group("job/step", "250\n", "200\n");
        assert_eq!(left("1:name=systemd:/other\n0::/job/step\n"), Some(50));
        assert_eq!(left("0::/job\n"), Some(700));
        // A container sees its own group as the root, or a path outside of what it sees.
        assert_eq!(left("0::/\n"), None);
        group("", "900", "800");
        assert_eq!(left("0::/\n"), Some(100));
        assert_eq!(left("0::/../../elsewhere\n"), Some(100));
        assert_eq!(left(""), Some(100));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_what_is_free() {
        assert!(free_on_host().unwrap().memory > 1 << 20);
    }
}
