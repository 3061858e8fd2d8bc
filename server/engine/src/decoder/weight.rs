//! The matrices of a decoder: dense tensors, 16 bits per value, or blocks of few bits.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::{DecoderError, layer::tensor};
use crate::ops::{
    self,
    halves::{self, HalfMatrix},
    int16::{self, Frozen},
    quantised::{self, QuantisedMatrix},
};

/// A matrix that isn't a dense tensor.
#[derive(Debug)]
pub enum Compact {
    /// Blocks of few bits.
    Quantised(QuantisedMatrix),
    /// 16 bits per value.
    Half(HalfMatrix),
}

impl Compact {
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Quantised(matrix) => matrix.shape(),
            Self::Half(matrix) => matrix.shape(),
        }
    }
}

/// Where matrices come from that aren't dense tensors.
pub trait Matrices {
    /// The matrix of this checkpoint name and shape; `None` where the dense tensor is to be taken.
    ///
    /// # Errors
    /// What is wrong with the checkpoint.
    fn matrix(
        &self,
        name: &str,
        shape: [usize; 2],
    ) -> std::result::Result<Option<Compact>, DecoderError>;
}

/// Every matrix is a dense tensor.
#[derive(Debug, Clone, Copy)]
pub struct Dense;

impl Matrices for Dense {
    fn matrix(
        &self,
        _name: &str,
        _shape: [usize; 2],
    ) -> std::result::Result<Option<Compact>, DecoderError> {
        Ok(None)
    }
}

/// A matrix `[rows, columns]` that rows of activations are multiplied with.
#[derive(Debug, Clone)]
pub(super) enum Weight {
    Dense(Tensor),
    Quantised(Arc<QuantisedMatrix>),
    Half(Arc<HalfMatrix>),
}

impl Weight {
    /// Takes the matrix of a layer, as `matrices` has it or else dense.
    pub fn take(
        vb: &VarBuilder,
        matrices: &dyn Matrices,
        shape: [usize; 2],
    ) -> std::result::Result<Self, DecoderError> {
        match matrices.matrix(&format!("{}.weight", vb.prefix()), shape)? {
            Some(matrix) if matrix.shape() == (shape[0], shape[1]) => Ok(match matrix {
                Compact::Quantised(matrix) => Self::Quantised(Arc::new(matrix)),
                Compact::Half(matrix) => Self::Half(Arc::new(matrix)),
            }),
            Some(matrix) => {
                let (rows, columns) = matrix.shape();
                let (name, expected) = (format!("{}.weight", vb.prefix()), shape.to_vec());
                Err(DecoderError::Shape { name, expected, found: vec![rows, columns] })
            }
            None => Ok(Self::Dense(tensor(vb, "weight", &shape)?)),
        }
    }

    /// Number of rows, which are the outputs of a linear layer.
    pub fn rows(&self) -> Result<usize> {
        match self {
            Self::Dense(weight) => weight.dim(0),
            Self::Quantised(weight) => Ok(weight.shape().0),
            Self::Half(weight) => Ok(weight.shape().0),
        }
    }

    /// Data type of what is computed with it.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(weight) => weight.dtype(),
            Self::Quantised(_) | Self::Half(_) => DType::F32,
        }
    }

    /// Where it lies.
    pub fn device(&self) -> &Device {
        match self {
            Self::Dense(weight) => weight.device(),
            Self::Quantised(_) | Self::Half(_) => &Device::Cpu,
        }
    }

    /// The rows of these indices, `[n, columns]`.
    pub fn select(&self, indices: &[u32]) -> Result<Tensor> {
        match self {
            Self::Dense(weight) => weight.index_select(&Tensor::new(indices, weight.device())?, 0),
            Self::Quantised(weight) => rows(indices, weight.shape().1, |row| weight.row(row)),
            Self::Half(weight) => {
                rows(indices, weight.shape().1, |row| weight.values(row..row + 1))
            }
        }
    }

    /// `x · weightᵀ`; where an adapter is `tuned`, perhaps in whole numbers of 16 bits.
    pub fn linear(&self, x: &Tensor, tuned: bool) -> Result<Tensor> {
        if let Some(product) = self.in_int16(None, x, tuned) {
            return product;
        }
        match self {
            Self::Dense(weight) => ops::linear(x, weight),
            Self::Quantised(weight) => quantised::linear(x, weight),
            Self::Half(weight) => halves::linear(x, weight),
        }
    }

    /// `x · weightᵀ + bias`; see [`Self::linear`].
    pub fn linear_biased(&self, x: &Tensor, bias: &Tensor, tuned: bool) -> Result<Tensor> {
        let rows = bias.broadcast_as((x.dim(0)?, bias.dim(0)?))?;
        if let Some(product) = self.in_int16(Some(&rows), x, tuned) {
            return product;
        }
        match self {
            Self::Dense(weight) => ops::linear_biased(x, weight, bias),
            Self::Quantised(weight) => quantised::linear_add(&rows, x, weight),
            Self::Half(weight) => halves::linear(x, weight)?.broadcast_add(bias),
        }
    }

    /// `residual + x · weightᵀ`; see [`Self::linear`].
    pub fn linear_add(&self, residual: &Tensor, x: &Tensor, tuned: bool) -> Result<Tensor> {
        if let Some(product) = self.in_int16(Some(residual), x, tuned) {
            return product;
        }
        match self {
            Self::Dense(weight) => ops::linear_add(residual, x, weight),
            Self::Quantised(weight) => quantised::linear_add(residual, x, weight),
            Self::Half(weight) => residual + halves::linear(x, weight)?,
        }
    }

    /// `residual + x · weightᵀ` in whole numbers of 16 bits, where that pays: while an adapter is tuned.
    fn in_int16(
        &self,
        residual: Option<&Tensor>,
        x: &Tensor,
        tuned: bool,
    ) -> Option<Result<Tensor>> {
        fn product<W: Frozen + 'static>(
            residual: Option<&Tensor>,
            x: &Tensor,
            weight: W,
        ) -> Option<Result<Tensor>> {
            int16::pays(x, weight.shape()).then(|| match residual {
                Some(residual) => int16::linear_add(residual, x, weight),
                None => int16::linear(x, weight),
            })
        }
        match self {
            _ if !tuned => None,
            Self::Dense(weight) if weight.track_op() => None,
            Self::Dense(weight) => match weight.contiguous() {
                Ok(weight) => product(residual, x, weight),
                Err(error) => Some(Err(error)),
            },
            Self::Quantised(weight) => product(residual, x, Arc::clone(weight)),
            Self::Half(weight) => product(residual, x, Arc::clone(weight)),
        }
    }
}

/// The rows of these indices as a tensor.
fn rows(indices: &[u32], columns: usize, row: impl Fn(usize) -> Vec<f32>) -> Result<Tensor> {
    let values = indices.iter().flat_map(|&index| row(index as usize)).collect();
    Tensor::from_vec(values, (indices.len(), columns), &Device::Cpu)
}
