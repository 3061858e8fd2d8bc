//! Whether a model's weights fit into memory, before they are loaded: a process that takes more than there is
//! is killed by the system without a word.

use std::path::Path;

use candle_core::{DType, Device};

use super::device;
use super::error::EngineError;
use super::weight_format::WeightFormat;

/// What a tensor is called, and its shape.
type Shapes = [(String, Vec<usize>)];

/// Refuses weights that take more memory than is free on the device; where that isn't known, takes all.
/// `stored` is the size of their files in bytes.
///
/// # Errors
/// [`EngineError::ModelRefused`] with the forms that would fit.
pub fn check(
    path: &Path,
    shapes: &Shapes,
    stored: u64,
    format: WeightFormat,
    device: &Device,
) -> Result<(), EngineError> {
    let free = if device.is_cpu() { free_host_bytes() } else { device::free_bytes(device) };
    match free {
        Some(free) => check_free(path, shapes, stored, (format, device), free),
        None => Ok(()),
    }
}

fn check_free(
    path: &Path,
    shapes: &Shapes,
    stored: u64,
    (format, device): (WeightFormat, &Device),
    free: usize,
) -> Result<(), EngineError> {
    let needed = |format| bytes(shapes, stored, format, device);
    // Files too small for what the configuration says are refused with the tensor's name.
    let lies = stored < needed(WeightFormat::Q4K).unwrap_or_default() / 2;
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
fn bytes(shapes: &Shapes, stored: u64, format: WeightFormat, device: &Device) -> Option<u64> {
    let dense = match format.dtype(device).ok()? {
        DType::F32 => 4.0,
        _ => 2.0,
    };
    if format == WeightFormat::Stored {
        return Some(stored);
    }
    let of = |(name, shape): &(String, Vec<usize>)| {
        let values = shape.iter().map(|size| *size as f64).product::<f64>();
        values
            * match shape.as_slice() {
                [_, columns] if device.is_cpu() => format.bytes_per_value(name, *columns),
                _ => dense,
            }
    };
    Some(shapes.iter().map(of).sum::<f64>() as u64)
}

/// Bytes of the machine's memory that a program can have without any other losing its own: what the system
/// says, or what is left of the limit of the control group (of a container) if that is less. Known on Linux.
fn free_host_bytes() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let available = available(&read("/proc/meminfo")?)?;
    let number = |name: &str| read(&format!("/sys/fs/cgroup/{name}"))?.trim().parse().ok();
    let left = number("memory.max").zip(number("memory.current"));
    Some(
        left.map_or(available, |(most, used): (usize, usize)| {
            available.min(most.saturating_sub(used))
        }),
    )
}

/// `MemAvailable` of the text of /proc/meminfo, in bytes.
fn available(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of 4 GB in f32 and a norm.
    fn shapes() -> Vec<(String, Vec<usize>)> {
        vec![("model.a.weight".to_owned(), vec![1_000_000, 1024]), ("norm".to_owned(), vec![1024])]
    }

    fn refusal(format: WeightFormat, stored: u64, free: usize) -> Option<String> {
        let given = (format, &Device::Cpu);
        check_free(Path::new("m"), &shapes(), stored, given, free).err().map(|e| e.to_string())
    }

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_what_would() {
        const STORED: u64 = 2_048_000_000;
        assert_eq!(refusal(WeightFormat::F32, STORED, 5_000_000_000), None);
        assert_eq!(
            refusal(WeightFormat::F32, STORED, 1_500_000_000).unwrap(),
            "the model in `m` can't be loaded: its weights take 4.1 GB as `f32`, and 1.5 GB of memory are \
             free\nLoad it as `--weights q8_0` (1.1 GB) or `--weights q4k` (0.6 GB), or use a smaller model."
        );
        assert!(refusal(WeightFormat::Q4K, STORED, 100).unwrap().ends_with(
            "its weights take 0.6 GB as `q4k`, and 0.0 GB of memory are free\nFree some memory, or use \
             a smaller model."
        ));
        // As the file has them.
        assert_eq!(refusal(WeightFormat::Stored, STORED, 2_100_000_000), None);
        assert!(refusal(WeightFormat::Stored, STORED, 2_000_000_000).is_some());
        // What such a file can't hold is found out later, and named.
        assert_eq!(refusal(WeightFormat::F32, 1000, 100), None);
    }

    #[test]
    fn free_memory_is_read_from_what_the_system_says() {
        let text = "MemTotal:       24684000 kB\nMemAvailable:   20000000 kB\nBuffers: 1 kB\n";
        assert_eq!(available(text), Some(20_480_000_000));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: many kB"), None);
        #[cfg(target_os = "linux")]
        assert!(free_host_bytes().unwrap() > 1 << 20);
    }
}
