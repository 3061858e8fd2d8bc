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

/// Refuses weights that take more memory than is free on the device; where that isn't known, takes all.
/// `weights` are their files, if they are there yet.
///
/// # Errors
/// [`EngineError::ModelRefused`] with the forms that would fit.
pub fn check(
    path: &Path,
    shapes: &Shapes,
    weights: Option<&Weights>,
    format: WeightFormat,
    device: &Device,
) -> Result<(), EngineError> {
    let free = if device.is_cpu() { free_host_bytes() } else { device::free_bytes(device) };
    match free {
        Some(free) => check_free(path, shapes, weights, (format, device), free),
        None => Ok(()),
    }
}

fn check_free(
    path: &Path,
    shapes: &Shapes,
    weights: Option<&Weights>,
    (format, device): (WeightFormat, &Device),
    free: usize,
) -> Result<(), EngineError> {
    let needed = |format| bytes(shapes, weights, format, device);
    // Files too small for what the configuration says are refused with the tensor's name.
    let least = bytes(shapes, None, WeightFormat::Q4K, &Device::Cpu).unwrap_or_default() / 2;
    let lies = weights.is_some_and(|weights| weights.bytes() < least);
    let Some(taken) = needed(format).filter(|taken| *taken > free as u64 && !lies) else {
        return Ok(());
    };
    let smaller = [WeightFormat::BF16, WeightFormat::Q8_0, WeightFormat::Q4K].into_iter();
    let fitting = smaller.filter_map(|form| Some((form, needed(form)?)));
    let fitting = fitting.filter(|(_, taken)| *taken <= free as u64);
    let ways: Vec<String> =
        fitting.map(|(form, taken)| format!("`--weights {form}` ({})", gigabytes(taken))).collect();
    let way_out = match ways.as_slice() {
        [] => "Free some memory, or use a smaller model.".to_owned(),
        ways => format!("Load it as {}, or use a smaller model.", ways.join(" or ")),
    };
    let (taken, free) = (gigabytes(taken), gigabytes(free as u64));
    let reason =
        format!("its weights take {taken} as `{format}`, and {free} of memory are free\n{way_out}");
    Err(EngineError::ModelRefused { path: path.to_owned(), reason })
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Bytes of the weights in this form; `None` where the device can't have it.
fn bytes(
    shapes: &Shapes,
    weights: Option<&Weights>,
    format: WeightFormat,
    device: &Device,
) -> Option<u64> {
    let dense = match format.dtype(device).ok()? {
        DType::F32 => 4.0,
        _ => 2.0,
    };
    let of = |(name, shape): &(String, Vec<usize>)| {
        let values = shape.iter().map(|size| *size as f64).product::<f64>();
        values
            * match shape.as_slice() {
                [_, columns] if device.is_cpu() => {
                    let stored = weights.and_then(|weights| weights.stored(name));
                    format.bytes_per_value(name, *columns, stored)
                }
                _ => dense,
            }
    };
    Some(shapes.iter().map(of).sum::<f64>() as u64)
}

/// Bytes that a program can have without any other losing its own: memory and swap space as the system says,
/// or what is left of the limit of a container's control group (version 2) if that is less. Known on Linux.
fn free_host_bytes() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let group = |name: &str| read(&format!("/sys/fs/cgroup/memory.{name}"));
    let available = available(&read("/proc/meminfo")?)?;
    let left = || left(&group("max")?, &group("current")?, &group("stat")?);
    Some(left().map_or(available, |left| available.min(left)))
}

/// What a control group leaves of its limit, in bytes, of the texts of its files; `None` where it has no limit.
/// Copies of files count as its memory, but give way.
fn left(max: &str, current: &str, stat: &str) -> Option<usize> {
    let (max, current): (usize, usize) = (max.trim().parse().ok()?, current.trim().parse().ok()?);
    let of = |name: &str| {
        stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok())
    };
    let files: usize = ["inactive_file ", "active_file ", "slab_reclaimable "]
        .iter()
        .filter_map(|name| of(name))
        .sum();
    Some(max.saturating_sub(current.saturating_sub(files)))
}

/// `MemAvailable` and `SwapFree` of the text of /proc/meminfo, in bytes.
fn available(meminfo: &str) -> Option<usize> {
    let of = |name: &str| -> Option<usize> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((of("MemAvailable:")? + of("SwapFree:").unwrap_or(0)) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of 4 GB in f32 and a norm.
    fn shapes() -> Vec<(String, Vec<usize>)> {
        vec![("model.a.weight".to_owned(), vec![1_000_000, 1024]), ("norm".to_owned(), vec![1024])]
    }

    fn refusal(format: WeightFormat, weights: Option<&Weights>, free: usize) -> Option<String> {
        let given = (format, &Device::Cpu);
        check_free(Path::new("m"), &shapes(), weights, given, free).err().map(|e| e.to_string())
    }

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_what_would() {
        assert_eq!(refusal(WeightFormat::F32, None, 5_000_000_000), None);
        assert_eq!(
            refusal(WeightFormat::F32, None, 1_500_000_000).unwrap(),
            "the model in `m` can't be loaded: its weights take 4.1 GB as `f32`, and 1.5 GB of memory are \
             free\nLoad it as `--weights q8_0` (1.1 GB) or `--weights q4k` (0.6 GB), or use a smaller model."
        );
        assert!(refusal(WeightFormat::Q4K, None, 100).unwrap().ends_with(
            "its weights take 0.6 GB as `q4k`, and 0.0 GB of memory are free\nFree some memory, or use \
             a smaller model."
        ));
        // What such a file can't hold is found out later, and named.
        assert_eq!(refusal(WeightFormat::F32, Some(&Weights::Embedded(b"small")), 100), None);
    }

    #[test]
    fn free_memory_is_read_from_what_the_system_says() {
        let text = "MemTotal:       24684000 kB\nMemAvailable:   20000000 kB\nSwapFree: 1000 kB\n";
        assert_eq!(available(text), Some(20_481_024_000));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: many kB"), None);
        let stat = "anon 500\nfile 400\ninactive_file 200\nactive_file 60\nslab_reclaimable 40\n";
        assert_eq!(left("1000\n", "900\n", stat), Some(400));
        assert_eq!(left("1000", "2000", ""), Some(0));
        assert_eq!(left("max", "900", stat), None);
        #[cfg(target_os = "linux")]
        assert!(free_host_bytes().unwrap() > 1 << 20);
    }
}
