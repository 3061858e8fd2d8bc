//! Where tensors live.

use candle_core::Device;

/// The device to compute on.
pub fn cpu() -> Device {
    Device::Cpu
}
