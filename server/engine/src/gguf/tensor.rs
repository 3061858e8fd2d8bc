//! Tensors of a GGUF file as the decoder wants them: as numbers, or as blocks.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Result, Tensor};

use super::header::TensorInfo;
use super::names::{Place, source_rows};

/// A matrix in the blocks that it is stored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTensor<'a> {
    /// How its numbers are stored.
    pub dtype: GgmlDType,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Row after row in Hugging Face's order, each a whole number of blocks.
    pub bytes: Cow<'a, [u8]>,
}

/// The numbers of a tensor in f32, in the file's order.
///
/// # Errors
/// Those of candle.
pub fn dequantize(info: &TensorInfo, bytes: &[u8]) -> Result<Tensor> {
    let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, info.dtype)?;
    QTensor::new(storage, info.shape.as_slice())?.dequantize(&Device::Cpu)
}

/// The numbers of a weight in f32, as Hugging Face has them.
///
/// # Errors
/// Those of candle.
pub fn weight(info: &TensorInfo, bytes: &[u8], place: &Place) -> Result<Tensor> {
    let tensor = dequantize(info, bytes)?;
    let tensor = match place.permuted_heads {
        None => tensor,
        Some(heads) => {
            let rows = source_rows(tensor.dim(0)?, heads);
            let rows: Vec<u32> = rows.into_iter().filter_map(|row| row.try_into().ok()).collect();
            tensor.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?
        }
    };
    if place.one_added { tensor - 1.0 } else { Ok(tensor) }
}

/// The blocks of a weight; `None` if it isn't a matrix.
pub fn raw<'a>(info: &TensorInfo, bytes: &'a [u8], place: &Place) -> Option<RawTensor<'a>> {
    let shape @ [rows, _] = <[usize; 2]>::try_from(info.shape.as_slice()).ok()?;
    let bytes = match place.permuted_heads {
        None => Cow::Borrowed(bytes),
        Some(heads) => {
            let width = bytes.len() / rows;
            let sources = source_rows(rows, heads).into_iter();
            let sources = sources.map(|row| &bytes[row * width..(row + 1) * width]);
            Cow::Owned(sources.collect::<Vec<_>>().concat())
        }
    };
    Some(RawTensor { dtype: info.dtype, shape, bytes })
}
