//! Tables of numbers in a file of the safetensors format, <https://github.com/huggingface/safetensors>.

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

pub(crate) const WEIGHTS: &str = "model.safetensors";

/// What is wrong with a file of tensors, for its [`crate::ModelError`].
pub(crate) type Wrong = String;

pub(crate) fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, Wrong> {
    SafeTensors::deserialize(bytes).map_err(|e| format!("is not a file of tensors: {e}"))
}

/// A tensor's numbers, row after row; every one is finite.
pub(crate) fn numbers(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, Wrong> {
    let data = tensor.data();
    let numbers: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        other => return Err(format!("'{name}' holds numbers of type {other:?}: must be F32, F16 or BF16")),
    };
    if numbers.iter().all(|x| x.is_finite()) { Ok(numbers) } else { Err(format!("'{name}' holds NaN or infinity")) }
}

/// The numbers of the tensor of that name, which must have that shape.
pub(crate) fn shaped(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, Wrong> {
    let tensor = file.tensor(name).map_err(|_| format!("has no '{name}'"))?;
    if tensor.shape() != shape {
        return Err(format!("'{name}' has the shape {:?}: must be {shape:?}", tensor.shape()));
    }
    numbers(name, &tensor)
}
