//! Keys and values of the tokens that a sequence has seen, for all layers.

use candle_core::{DType, Device};

use super::{DecoderConfig, DecoderError};
use crate::engine::ops::composite::DeviceKeys;

/// One sequence's memory. A cache belongs to the decoder, and to the adapter, that filled it.
#[derive(Debug)]
pub struct KvCache {
    pub(super) layers: Vec<DeviceKeys>,
    pub(super) len: usize,
}

impl KvCache {
    /// An empty cache; memory is taken as tokens come.
    pub fn new(config: &DecoderConfig, _dtype: DType, _device: &Device) -> Self {
        Self { layers: vec![DeviceKeys::default(); config.num_hidden_layers], len: 0 }
    }

    /// Number of tokens seen, which is the position of the next one.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token has been seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        for layer in &mut self.layers {
            layer.truncate(self.len);
        }
    }

    /// A second sequence that shares this one's past, as for several replies to one prompt.
    pub fn fork(&self) -> Result<Self, DecoderError> {
        let layers = self.layers.iter().map(DeviceKeys::fork).collect::<Result<_, _>>()?;
        Ok(Self { layers, len: self.len })
    }
}
