//! In which form a model's matrices are kept in memory, and quantising them while they are loaded.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::safetensors::{MmapedSafetensors, SliceSafetensors};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use safetensors::Dtype;

use super::decoder::DecoderError;
use super::decoder::text_model::Names;
use super::decoder::weight::{Compact, Matrices};
use super::error::EngineError;
use super::gguf::GgufFile;
use super::handle::ModelSource;
use super::ops::{
    halves::HalfMatrix,
    quantised::{Format, QuantisedMatrix},
};
use super::weights::{self, Weights};

/// Values that are quantised at a time by one thread.
const PORTION: usize = 1 << 20;

/// The form of the matrices in memory; written `f32`, `bf16`, `f16`, `q8_0`, `q4k` or `stored`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightFormat {
    /// As they are: 32 bits per value.
    #[default]
    F32,
    /// The upper 16 bits of an f32.
    BF16,
    /// IEEE's 16 bits.
    F16,
    /// 8.5 bits per value.
    Q8_0,
    /// 4.5 bits per value where a matrix has whole blocks of 256 columns, else 8.5; the embedding and
    /// the output layer have 6.6.
    Q4K,
    /// As the file has them: 16 bits, or blocks that there is a product for; others are [`Self::F32`].
    Stored,
}

impl FromStr for WeightFormat {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        Self::ALL.into_iter().find(|format| format.to_string() == text).ok_or_else(|| {
            let known = Self::ALL.map(|format| format!("`{format}`")).join(", ");
            let rule = format!("weights must be one of {known}, not `{text}`");
            EngineError::invalid(rule, "Leave the setting out for `f32`.")
        })
    }
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::BF16 => "bf16",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4k",
            Self::Stored => "stored",
        })
    }
}

impl WeightFormat {
    /// All forms.
    pub const ALL: [Self; 6] =
        [Self::F32, Self::BF16, Self::F16, Self::Q8_0, Self::Q4K, Self::Stored];

    /// What a model of this source is kept as where nobody says otherwise: on a GPU bfloat16, which
    /// it multiplies much faster than f32.
    pub fn of(source: &ModelSource, device: &Device) -> Self {
        match source {
            ModelSource::Starter => Self::F32,
            _ if !device.is_cpu() => Self::BF16,
            ModelSource::Gguf(_) => Self::Stored,
            ModelSource::Folder(_) | ModelSource::Hub(_) => Self::F32,
        }
    }

    /// The data type of what isn't a matrix of its own form, and of what is computed with it. On a
    /// GPU all tensors are of one type; on the CPU activations are always f32.
    ///
    /// # Errors
    /// A form that the device has no product for.
    pub fn dtype(self, device: &Device) -> Result<DType, EngineError> {
        match self {
            _ if device.is_cpu() => Ok(DType::F32),
            Self::F32 => Ok(DType::F32),
            Self::BF16 => Ok(DType::BF16),
            Self::F16 => Ok(DType::F16),
            Self::Q8_0 | Self::Q4K | Self::Stored => {
                let rule = format!("weights can be `{self}` on the CPU only");
                Err(EngineError::invalid(rule, "Use `--weights bf16`, or `--device cpu`."))
            }
        }
    }

    /// The type of values of 16 bits, for matrices that are stored as `dtype`.
    fn half(self, dtype: DType) -> Option<DType> {
        match self {
            Self::BF16 => Some(DType::BF16),
            Self::F16 => Some(DType::F16),
            Self::Stored => Some(dtype).filter(|dtype| *dtype != DType::F32),
            Self::F32 | Self::Q8_0 | Self::Q4K => None,
        }
    }

    /// The blocks of a matrix of this name and width; `None` leaves it dense.
    fn blocks(self, name: &str, columns: usize) -> Option<Format> {
        let table = name.contains("embed_tokens") || name.starts_with("lm_head");
        let wished: &[Format] = match self {
            Self::F32 | Self::BF16 | Self::F16 | Self::Stored => &[],
            Self::Q8_0 => &[Format::Q8_0],
            Self::Q4K if table => &[Format::Q6K, Format::Q8_0],
            Self::Q4K => &[Format::Q4K, Format::Q8_0],
        };
        wished.iter().copied().find(|format| columns.is_multiple_of(format.columns()))
    }

    /// Bytes that a value of a matrix of this name and width takes on the CPU, where a GGUF file has it as
    /// `stored`. [`Self::Stored`] without that counts as 16 bits, which is too little for a checkpoint in f32.
    pub(super) fn bytes_per_value(
        self,
        name: &str,
        columns: usize,
        stored: Option<GgmlDType>,
    ) -> f64 {
        let kept = stored.and_then(|stored| self.stored_blocks(stored, name, columns));
        match (kept.or_else(|| self.blocks(name, columns)), self) {
            (Some(blocks), _) => blocks.bytes_per_value(),
            (None, Self::BF16 | Self::F16) => 2.0,
            (None, Self::Stored) => match stored {
                None | Some(GgmlDType::F16 | GgmlDType::BF16) => 2.0,
                // f32, and blocks that there is no product for.
                Some(_) => 4.0,
            },
            (None, Self::F32 | Self::Q8_0 | Self::Q4K) => 4.0,
        }
    }

    /// Whether a GGUF file's matrix of such blocks becomes f32, since there is no product for them.
    pub(super) fn takes_apart(self, name: &str, columns: usize, stored: GgmlDType) -> bool {
        let dense = matches!(stored, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16);
        self == Self::Stored && !dense && self.stored_blocks(stored, name, columns).is_none()
    }

    /// The blocks that a GGUF tensor has and keeps.
    fn stored_blocks(self, stored: GgmlDType, name: &str, columns: usize) -> Option<Format> {
        let stored = Format::of(stored).filter(|f| columns.is_multiple_of(f.columns()));
        stored.filter(|f| self == Self::Stored || self.blocks(name, columns) == Some(*f))
    }

    /// The matrices of a checkpoint in this form, made as they are asked for; `None` for dense ones.
    ///
    /// # Errors
    /// [`EngineError::FileBroken`].
    pub fn matrices(
        self,
        weights: &Weights,
        device: &Device,
    ) -> Result<Option<Quantising>, EngineError> {
        if self == Self::F32 || !device.is_cpu() {
            return Ok(None);
        }
        let tensors = match weights {
            Weights::Gguf(file) => Tensors::Gguf(Arc::clone(file)),
            Weights::Embedded(bytes) => Tensors::Bytes(
                SliceSafetensors::new(bytes)
                    .map_err(|error| weights::broken(Path::new(weights::SINGLE), &error))?,
            ),
            Weights::Files(files) => {
                let tensors = weights::mapped(files)?;
                let names = Names::of(|name| tensors.get(name).is_ok());
                Tensors::Mapped(tensors, names)
            }
        };
        Ok(Some(Quantising { format: self, tensors }))
    }
}

/// The matrices of a checkpoint, quantised when they are taken.
pub struct Quantising {
    format: WeightFormat,
    tensors: Tensors,
}

enum Tensors {
    Bytes(SliceSafetensors<'static>),
    Mapped(MmapedSafetensors, Names),
    Gguf(Arc<GgufFile>),
}

/// Values of a matrix, row by row, as they lie in a file or in memory.
struct Stored<'a> {
    dtype: DType,
    bytes: Cow<'a, [u8]>,
}

impl Quantising {
    /// The values of a matrix; `None` where there is none of that name and shape, or of another type.
    fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored<'_>>, DecoderError> {
        let view = match &self.tensors {
            Tensors::Bytes(tensors) => tensors.get(name).ok(),
            Tensors::Mapped(tensors, names) => tensors.get(&names.in_file(name)).ok(),
            Tensors::Gguf(file) => return self.of_gguf(file, name, shape),
        };
        let Some(view) = view.filter(|view| view.shape() == shape) else { return Ok(None) };
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            _ => return Ok(None),
        };
        Ok(Some(Stored { dtype, bytes: Cow::Borrowed(view.data()) }))
    }

    fn of_gguf<'a>(
        &self,
        file: &'a GgufFile,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Option<Stored<'a>>, DecoderError> {
        let Some(raw) = file.raw(name).filter(|raw| raw.shape == shape) else { return Ok(None) };
        let dtype = match raw.dtype {
            GgmlDType::F32 => DType::F32,
            GgmlDType::F16 => DType::F16,
            GgmlDType::BF16 => DType::BF16,
            // Taken as dense where there is no product for them.
            _ if self.format == WeightFormat::Stored => return Ok(None),
            blocks => {
                let storage = QStorage::from_data(raw.bytes, &Device::Cpu, blocks)?;
                let values = QTensor::new(storage, shape.as_slice())?.dequantize(&Device::Cpu)?;
                let values = values.flatten_all()?.to_vec1::<f32>()?;
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                return Ok(Some(Stored { dtype: DType::F32, bytes: Cow::Owned(bytes) }));
            }
        };
        Ok(Some(Stored { dtype, bytes: raw.bytes }))
    }

    /// The blocks of a GGUF tensor, if they are kept.
    fn kept(&self, name: &str, [rows, columns]: [usize; 2]) -> Option<QuantisedMatrix> {
        let Tensors::Gguf(file) = &self.tensors else { return None };
        let raw = file.raw(name).filter(|raw| raw.shape == [rows, columns])?;
        let format = self.format.stored_blocks(raw.dtype, name, columns)?;
        QuantisedMatrix::from_blocks(format, rows, columns, &raw.bytes)
    }

    fn make(&self, name: &str, shape: [usize; 2]) -> Result<Option<Compact>, DecoderError> {
        if let Some(kept) = self.kept(name, shape) {
            return Ok(Some(Compact::Quantised(kept)));
        }
        // What is missing or of another shape is named where dense tensors are taken.
        let [rows, columns] = shape;
        let blocks = self.format.blocks(name, columns);
        let Some(Stored { dtype, bytes }) = self.stored(name, shape)? else { return Ok(None) };
        if let Some(half) = self.format.half(dtype) {
            let values = Tensor::from_raw_buffer(&bytes, dtype, &shape, &Device::Cpu)?;
            let values = values.to_dtype(half)?;
            check_finite(&values, name, self.format)?;
            return Ok(Some(Compact::Half(HalfMatrix::new(&values)?)));
        }
        let Some(format) = blocks else { return Ok(None) };
        let row_bytes = columns * dtype.size_in_bytes();
        let portion = (PORTION / columns).max(1) * row_bytes;
        let blocks = bytes.par_chunks(portion).map(|bytes| {
            let shape = [bytes.len() / row_bytes, columns];
            let values = Tensor::from_raw_buffer(bytes, dtype, &shape, &Device::Cpu)?;
            check_finite(&values, name, self.format)?;
            Ok(QTensor::quantize(&values, format.dtype())?.data()?.into_owned())
        });
        let blocks = blocks.collect::<candle_core::Result<Vec<_>>>()?.concat();
        Ok(QuantisedMatrix::from_blocks(format, rows, columns, &blocks).map(Compact::Quantised))
    }
}

impl Matrices for Quantising {
    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Option<Compact>, DecoderError> {
        let made = self.make(name, shape);
        if let Tensors::Gguf(file) = &self.tensors {
            file.release(name);
        }
        made
    }
}

/// Refuses values that are no numbers, which quantising would make numbers of, and those that this form
/// can't hold.
fn check_finite(values: &Tensor, name: &str, format: WeightFormat) -> candle_core::Result<()> {
    let values = values.flatten_all()?;
    for from in (0..values.elem_count()).step_by(PORTION) {
        let portion = values.narrow(0, from, PORTION.min(values.elem_count() - from))?;
        let sum = portion.to_dtype(DType::F32)?.abs()?.sum_all()?.to_scalar::<f32>()?;
        if !sum.is_finite() {
            candle_core::bail!(
                "tensor `{name}` holds values that are no finite numbers as `{format}`"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{tiny_config, write_model};

    #[test]
    fn reads_and_writes_names() {
        for format in WeightFormat::ALL {
            assert_eq!(format.to_string().parse::<WeightFormat>(), Ok(format));
        }
        let error = "q5".parse::<WeightFormat>().unwrap_err().to_string();
        assert!(error.contains("`q5`") && error.contains("`q8_0`"), "{error}");
    }

    #[test]
    fn matrices_take_what_their_form_takes() {
        let (name, gguf) = ("model.layers.0.mlp.up_proj.weight", Some(GgmlDType::Q5_0));
        for (format, columns, stored, bytes) in [
            (WeightFormat::F32, 256, None, 4.0),
            (WeightFormat::BF16, 256, None, 2.0),
            (WeightFormat::Q8_0, 256, None, 34.0 / 32.0),
            (WeightFormat::Q8_0, 33, None, 4.0),
            // Scales have a byte each, not six bits.
            (WeightFormat::Q4K, 256, None, 148.0 / 256.0),
            (WeightFormat::Q4K, 96, None, 34.0 / 32.0),
            (WeightFormat::Stored, 256, None, 2.0),
            (WeightFormat::Stored, 256, Some(GgmlDType::Q6K), 212.0 / 256.0),
            (WeightFormat::Stored, 256, Some(GgmlDType::F16), 2.0),
            (WeightFormat::Stored, 256, gguf, 4.0),
            (WeightFormat::Q8_0, 256, gguf, 34.0 / 32.0),
        ] {
            let given = format.bytes_per_value(name, columns, stored);
            assert_eq!(given, bytes, "{format} {columns} {stored:?}");
        }
    }

    #[test]
    fn blocks_are_as_narrow_as_the_columns_allow() {
        let expected = [
            (WeightFormat::F32, "model.layers.0.mlp.up_proj.weight", 256, None),
            (WeightFormat::Q8_0, "model.layers.0.mlp.up_proj.weight", 896, Some(Format::Q8_0)),
            (WeightFormat::Q8_0, "model.layers.0.mlp.up_proj.weight", 48, None),
            (WeightFormat::Q4K, "model.layers.0.mlp.up_proj.weight", 256, Some(Format::Q4K)),
            (WeightFormat::Q4K, "model.layers.0.mlp.up_proj.weight", 896, Some(Format::Q8_0)),
            (WeightFormat::Q4K, "model.embed_tokens.weight", 512, Some(Format::Q6K)),
            (WeightFormat::Q4K, "lm_head.weight", 896, Some(Format::Q8_0)),
        ];
        for (weights, name, columns, format) in expected {
            assert_eq!(weights.blocks(name, columns), format, "{weights} {name} {columns}");
        }
    }

    #[test]
    fn every_portion_of_a_matrix_arrives_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        // The embedding has more values than a portion.
        let config = super::super::decoder::DecoderConfig {
            hidden_size: 64,
            vocab_size: 17_000,
            ..tiny_config()
        };
        write_model(folder.path(), &config, 1);
        let weights = Weights::find(folder.path()).unwrap();
        let matrices = WeightFormat::Q8_0.matrices(&weights, &Device::Cpu).unwrap().unwrap();
        let name = "model.embed_tokens.weight";
        let taken = matrices.matrix(name, [17_000, 64]).unwrap();
        let Some(Compact::Quantised(matrix)) = taken else { panic!("{taken:?}") };
        let dense = weights.builder(DType::F32, &Device::Cpu).unwrap();
        let dense = dense.get((17_000, 64), name).unwrap().to_vec2::<f32>().unwrap();
        for (index, dense) in dense.iter().enumerate() {
            let largest = dense.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
            for (given, exact) in matrix.row(index).iter().zip(dense) {
                assert!((given - exact).abs() < largest / 200.0, "row {index}");
            }
        }
        assert!(matrices.matrix(name, [16_999, 64]).unwrap().is_none());
        assert!(matrices.matrix("model.norm.other", [1, 64]).unwrap().is_none());
    }
}
