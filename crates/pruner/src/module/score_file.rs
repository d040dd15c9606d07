//! Scores that somebody else computed, from a safetensors file.

use crate::{Error, Parameter, Saliency};
use safetensors::{Dtype, SafeTensors};

impl Saliency {
    /// The tensors of a safetensors file, f32 or f64, as scores: named by the paths of parameters, in the shapes that
    /// these have. Tensors of other parameters than those that are pruned do no harm.
    ///
    /// # Errors
    /// When the bytes are no such file, or a score is not finite.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, Error> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| Error::ScoreFile(error.to_string()))?;
        let mut tensors: Vec<_> = file.iter().collect();
        tensors.sort_by_key(|(name, _)| *name);
        let scores = tensors.into_iter().map(|(name, tensor)| {
            let values = match tensor.dtype() {
                Dtype::F32 => tensor.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
                Dtype::F64 => {
                    tensor.data().as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight) as f32).collect()
                }
                other => return Err(Error::ScoreFile(format!("`{name}` holds {other:?}, wanted F32 or F64"))),
            };
            Ok(Parameter { name: name.into(), shape: tensor.shape().to_vec(), values })
        });
        Self::new(scores.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn file(name: &str, dtype: Dtype, bytes: &[u8], count: usize) -> Vec<u8> {
        let view = TensorView::new(dtype, vec![count], bytes).expect("fills its shape");
        safetensors::serialize([(name, view)], None).expect("fits")
    }

    #[test]
    fn scores_are_read_in_both_widths() {
        let narrow: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let wide: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        for bytes in [file("fc.weight", Dtype::F32, &narrow, 2), file("fc.weight", Dtype::F64, &wide, 2)] {
            let scores = Saliency::from_safetensors(&bytes).expect("a good file");
            assert_eq!(scores.get("fc.weight").expect("there").values, [1.5, -2.0]);
        }
    }

    #[test]
    fn bad_files_are_refused() {
        assert!(matches!(Saliency::from_safetensors(b"no file"), Err(Error::ScoreFile(_))));
        let error = Saliency::from_safetensors(&file("a", Dtype::U8, &[1], 1)).expect_err("bytes").to_string();
        assert_eq!(error, "scores: `a` holds U8, wanted F32 or F64");
        // An f64 that f32 cannot hold.
        let error = Saliency::from_safetensors(&file("a", Dtype::F64, &1e300f64.to_le_bytes(), 1));
        assert!(matches!(error, Err(Error::NotFiniteScore { .. })));
    }
}
