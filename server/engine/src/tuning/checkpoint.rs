//! Checkpoints: weights, moments and the run's position in one safetensors file per save.
//!
//! A file appears under its name only when it is whole and on the disk, so a kill at any moment
//! loses at most the work since the last one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TuningError;
use super::atomic::write_atomic;
use super::optimizer::AdamW;

/// Metadata key under which a checkpoint keeps its state.
const STATE: &str = "polylogue";

/// A folder of checkpoints `step-<number>.safetensors`.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

impl Checkpoints {
    /// Checkpoints in `folder`, of which the newest `keep` stay.
    pub fn new(folder: impl Into<PathBuf>, keep: usize) -> Self {
        Self { folder: folder.into(), keep: keep.max(1) }
    }

    /// Saves the optimiser's weights and moments with `state`, then removes old files.
    pub fn save<S: Serialize>(&self, optimizer: &AdamW, state: &S) -> Result<PathBuf, TuningError> {
        let path = self.folder.join(format!("step-{:08}.safetensors", optimizer.steps()));
        let fail = |problem: String| TuningError::format(&path, problem, "This is a defect.");
        let state = serde_json::to_string(&(optimizer.steps(), state))
            .map_err(|error| fail(format!("has a state that JSON cannot hold: {error}")))?;
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = optimizer
            .state()
            .map(|(name, dims, values)| (name, dims.to_vec(), to_bytes(values)))
            .collect();
        let views = tensors
            .iter()
            .map(|(name, dims, bytes)| {
                Ok((name, TensorView::new(Dtype::F32, dims.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| fail(error.to_string()))?;
        let metadata = HashMap::from([(STATE.to_owned(), state)]);
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|error| fail(error.to_string()))?;
        write_atomic(&path, &bytes)?;
        self.remove_old()?;
        Ok(path)
    }

    /// Saved checkpoints, oldest first.
    pub fn list(&self) -> Result<Vec<PathBuf>, TuningError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(TuningError::read(&self.folder)(error)),
        };
        let is_checkpoint = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_prefix("step-").is_some_and(|rest| {
                rest.strip_suffix(".safetensors")
                    .is_some_and(|number| number.parse::<u64>().is_ok())
            })
        };
        let mut paths: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(is_checkpoint).collect();
        paths.sort();
        Ok(paths)
    }

    /// The newest checkpoint, if there is one.
    pub fn newest(&self) -> Result<Option<Checkpoint>, TuningError> {
        self.list()?.pop().map(Checkpoint::read).transpose()
    }

    fn remove_old(&self) -> Result<(), TuningError> {
        let paths = self.list()?;
        for path in &paths[..paths.len().saturating_sub(self.keep)] {
            std::fs::remove_file(path).map_err(TuningError::write(path))?;
        }
        Ok(())
    }
}

/// One checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// Reads a file.
    pub fn read(path: PathBuf) -> Result<Self, TuningError> {
        let bytes = std::fs::read(&path).map_err(TuningError::read(&path))?;
        Ok(Self { path, bytes })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Updates made, and the state that was saved with them.
    pub fn state<S: DeserializeOwned>(&self) -> Result<(u64, S), TuningError> {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).map_err(|e| self.broken(e))?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(STATE));
        let text = text.ok_or_else(|| self.broken("it holds no state"))?;
        serde_json::from_str(text).map_err(|error| self.broken(error))
    }

    /// Puts weights and moments back.
    pub fn restore(&self, optimizer: &mut AdamW) -> Result<(), TuningError> {
        let (steps, _) = self.state::<serde::de::IgnoredAny>()?;
        optimizer.restore(steps, |name, dims| self.values(name, dims))
    }

    /// The values saved under a name, which must have the shape `dims` in f32.
    pub fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>, TuningError> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|error| self.broken(error))?;
        let view = file.tensor(name).map_err(|error| self.broken(error))?;
        if view.dtype() != Dtype::F32 || view.shape() != dims {
            let given = view.shape();
            return Err(self.broken(format!("`{name}` is {given:?}, wanted {dims:?} in f32")));
        }
        Ok(from_bytes(view.data()))
    }

    fn broken(&self, problem: impl std::fmt::Display) -> TuningError {
        TuningError::format(
            &self.path,
            format!("is not a usable checkpoint: {problem}"),
            "Remove it to go on from the one before, or use an empty folder.",
        )
    }
}

/// Little-endian bytes of f32 values.
pub fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The inverse of [`to_bytes`].
pub fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::optimizer::AdamWConfig;
    use candle_core::{Device, Var};

    fn optimizer() -> AdamW {
        let config = AdamWConfig {
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_norm: 1.0,
        };
        let var = Var::new(&[[0.5f32, -0.25]], &Device::Cpu).unwrap();
        AdamW::new(vec![("w".into(), var)], config).unwrap()
    }

    #[test]
    fn saves_restores_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), 2);
        assert!(checkpoints.newest().unwrap().is_none());
        let mut whole = optimizer();
        for step in 0..3 {
            whole.update(&vec![vec![0.1, 0.2]], 0.1).unwrap();
            checkpoints.save(&whole, &format!("after {step}")).unwrap();
        }
        assert_eq!(checkpoints.list().unwrap().len(), 2);
        let newest = checkpoints.newest().unwrap().unwrap();
        assert_eq!(newest.state::<String>().unwrap(), (3, "after 2".to_owned()));
        let mut restored = optimizer();
        newest.restore(&mut restored).unwrap();
        assert_eq!(
            restored.state().collect::<Vec<_>>(),
            whole.state().collect::<Vec<_>>(),
            "bit for bit"
        );
    }

    #[test]
    fn a_cut_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), 2);
        let path = checkpoints.save(&optimizer(), &0).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let error = checkpoints.newest().unwrap().unwrap().restore(&mut optimizer()).unwrap_err();
        assert!(error.to_string().contains("step-00000000.safetensors"), "{error}");
        std::fs::write(&path, b"junk").unwrap();
        let newest = checkpoints.newest().unwrap().unwrap();
        assert!(newest.state::<u64>().is_err());
    }
}
