//! Where to compute: the user's choice and the device that it leads to.

use std::{fmt, str::FromStr};

use candle_core::{Device, DeviceLocation};
use thiserror::Error;

/// Why there is no GPU on a machine that has none.
const NO_DRIVER: &str = "NVIDIA's driver is missing";

/// What the user asked for; written `auto`, `cpu` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first GPU where this build and machine have one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this index.
    Cuda(usize),
}

/// Why a device can't be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Not one of the known words.
    #[error(
        "device `{0}` must be `auto`, `cpu` or `cuda:N` with a number N\nUse `auto` for the first GPU, or the CPU where there is none."
    )]
    Unknown(String),
    /// The binary holds no GPU code.
    #[error(
        "device `cuda:{0}` needs a build with the feature `cuda`, which this one lacks\nUse `cpu`, or build with `--features cuda` on a machine with the CUDA toolkit."
    )]
    NotCompiled(usize),
    /// The driver or the GPU is missing.
    #[error(
        "device `cuda:{index}` can't be opened: {reason}\nCheck that `nvidia-smi` lists the GPU, or use `cpu`."
    )]
    Unavailable {
        /// The GPU's index.
        index: usize,
        /// What the driver said.
        reason: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || DeviceError::Unknown(text.to_owned());
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                index.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device. `auto` falls back to the CPU; an asked-for GPU that is missing is an error.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) => open_cuda(index),
            Self::Auto => Ok(open_cuda(0).unwrap_or_else(|reason| {
                // A build without CUDA has nothing to tell; one with it was meant to compute on a GPU.
                if !matches!(reason, DeviceError::NotCompiled(_)) {
                    tracing::warn!("computing on the CPU: {reason}");
                }
                Device::Cpu
            })),
        }
    }
}

/// Name of a device in [`domain::model::ModelInfo::device`].
pub fn name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Megabytes of a GPU's memory that are in use, by everybody; `None` on the CPU.
pub fn used_megabytes(device: &Device) -> Option<f64> {
    memory(device).map(|(free, total)| (total - free) as f64 / f64::from(1 << 20))
}

/// Bytes of a GPU's memory that nobody uses; `None` on the CPU.
pub fn free_bytes(device: &Device) -> Option<usize> {
    memory(device).map(|(free, _)| free)
}

/// What is free of a GPU's memory, and all of it.
fn memory(device: &Device) -> Option<(usize, usize)> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        return device.cuda_stream().context().mem_get_info().ok();
    }
    let _ = device;
    None
}

fn open_cuda(index: usize) -> Result<Device, DeviceError> {
    if !candle_core::utils::cuda_is_available() {
        return Err(DeviceError::NotCompiled(index));
    }
    // The driver's bindings may panic rather than fail where the driver is missing.
    let opened = std::panic::catch_unwind(|| Device::new_cuda(index));
    let unavailable = |reason| DeviceError::Unavailable { index, reason };
    match opened {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => Err(unavailable(reason(&error.to_string()))),
        Err(_) => Err(unavailable(NO_DRIVER.to_owned())),
    }
}

/// Why a GPU can't be opened: what candle says in its first line, behind which it lists its own calls.
fn reason(said: &str) -> String {
    match said.lines().next().unwrap_or_default() {
        // So the library answers that stands for a missing driver.
        line if line.contains("CUDA_ERROR_STUB_LIBRARY") => NO_DRIVER.to_owned(),
        line => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_choices() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda:3", DeviceChoice::Cuda(3)),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), choice);
            assert_eq!(choice.to_string(), text);
        }
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("device `{text}` must be")), "{error}");
            assert!(error.contains("\nUse `auto`"), "{error}");
        }
    }

    #[test]
    fn the_cpu_always_opens() {
        assert!(DeviceChoice::Cpu.open().unwrap().is_cpu());
        assert!(DeviceChoice::Auto.open().is_ok());
    }

    #[test]
    fn a_reason_is_one_line_and_names_a_missing_driver() {
        let stub = "DriverError(CUDA_ERROR_STUB_LIBRARY, \"<Failure>\")\n   0: candle_core::bt";
        assert_eq!(reason(stub), NO_DRIVER);
        let none =
            "DriverError(CUDA_ERROR_NO_DEVICE, \"no CUDA-capable device is detected\")\n   0: bt";
        assert_eq!(reason(none), none.lines().next().unwrap());
        assert_eq!(reason(""), "");
    }

    #[test]
    fn a_missing_gpu_is_named_with_a_way_out() {
        if candle_core::utils::cuda_is_available() {
            return;
        }
        let error = DeviceChoice::Cuda(2).open().unwrap_err().to_string();
        assert!(error.contains("`cuda:2`") && error.contains("\nUse `cpu`"), "{error}");
    }
}
