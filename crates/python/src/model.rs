//! A model: opened, asked, timed, compacted, stored.

use crate::images::images;
use crate::refused;
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use secateur_oneshot::Score;
use secateur_sparse::file::{Info, Precision};
use secateur_sparse::infer::{Engine, Forms, Options, Predictor, seconds, threads_of};
use secateur_sparse::{Ranges, Trained};
use std::path::PathBuf;

/// A trained network.
#[pyclass(frozen, module = "secateur")]
pub(crate) struct Model {
    predictor: Predictor,
    pub(crate) info: Info,
    score: Option<[Score; 2]>,
    threads: usize,
}

impl Model {
    pub(crate) fn new(network: Trained, info: Info, threads: usize, score: Option<[Score; 2]>) -> Self {
        Self { predictor: Predictor::new(network, info.ranges.clone(), threads), info, score, threads }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    pub(crate) fn network(&self) -> &Trained {
        self.predictor.network()
    }
}

/// Opens a model: a `.secateur` file, or an ONNX model.
///
/// `threads` is how many of them answer; 0 is one for every core.
#[pyfunction]
#[pyo3(signature = (path, *, threads = 0))]
pub(crate) fn load(py: Python<'_>, path: PathBuf, threads: usize) -> PyResult<Model> {
    py.detach(|| {
        let bytes = std::fs::read(&path).map_err(|error| PyOSError::new_err(format!("{}: {error}", path.display())))?;
        let (network, info) = Trained::read(&path, &bytes).map_err(refused)?;
        Ok(Model::new(network, info, threads, None))
    })
}

/// A precision by its name.
pub(crate) fn precision(values: &str) -> PyResult<Precision> {
    match values {
        "f32" => Ok(Precision::F32),
        "f16" => Ok(Precision::F16),
        "int8" => Ok(Precision::Int8),
        _ => Err(refused(format!("values = {values:?}: expected \"f32\", \"f16\" or \"int8\""))),
    }
}

#[pymethods]
impl Model {
    /// What it is called.
    #[getter]
    fn name(&self) -> &str {
        &self.info.name
    }

    /// Shape of an image: channels, rows and columns; features are `(n, 1, 1)`.
    #[getter]
    fn input(&self) -> (usize, usize, usize) {
        self.network().input().into()
    }

    /// Numbers of an answer.
    #[getter]
    fn classes(&self) -> usize {
        self.network().classes()
    }

    /// Names of the classes, where they are known.
    #[getter]
    fn class_names(&self) -> Vec<String> {
        self.info.classes.clone()
    }

    /// Trained parameters that are not zero, and all of them.
    #[getter]
    fn parameters(&self) -> (usize, usize) {
        let cost = self.network().cost();
        (cost.nonzero, cost.parameters)
    }

    /// Multiply-accumulates of an image whose weight is not zero, and all of them.
    #[getter]
    fn macs(&self) -> (usize, usize) {
        let cost = self.network().cost();
        (cost.remaining_macs, cost.macs)
    }

    /// For each convolution and fully connected layer its name, the shape of its weight, and how many of its weights are not zero.
    #[getter]
    fn layers(&self) -> Vec<(String, Vec<usize>, usize)> {
        let kept = |weight: &[f32]| weight.iter().filter(|weight| **weight != 0.0).count();
        self.network()
            .layers()
            .into_iter()
            .map(|own| (own.name.to_owned(), own.shape.clone(), kept(own.weight)))
            .collect()
    }

    /// Of a pruned model how good its answers are, on the images that nothing was learned from: `images`, `agreement` with the model
    /// before, and `accuracy` and `accuracy_before` where labels were given.
    #[getter]
    fn score<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some([before, after]) = self.score else { return Ok(None) };
        let told = PyDict::new(py);
        told.set_item("images", after.images)?;
        told.set_item("agreement", after.agreement)?;
        told.set_item("accuracy", after.accuracy)?;
        told.set_item("accuracy_before", before.accuracy)?;
        Ok(Some(told))
    }

    /// The logits of images, `[n, classes]`, or `[classes]` of one image. Floats are what the network takes; uint8 is scaled as the
    /// model takes the bytes of pictures.
    fn predict<'py>(&self, py: Python<'py>, array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (pixels, one) = images(array, self.network().input(), &self.info)?;
        let classes = self.network().classes();
        let count = pixels.len() / self.network().input().iter().product::<usize>();
        let logits = py.detach(|| self.predictor.logits(&pixels)).map_err(refused)?;
        let logits = PyArray1::from_vec(py, logits);
        if one {
            return Ok(logits.into_any());
        }
        let logits: Bound<'py, PyArray2<f32>> = logits.reshape([count, classes])?;
        Ok(logits.into_any())
    }

    /// Times calls of so many images: milliseconds a call, with all weights (`dense`), without the zeros (`sparse`), and compacted.
    #[pyo3(signature = (batch = 1, *, threads = 0))]
    fn bench<'py>(&self, py: Python<'py>, batch: usize, threads: usize) -> PyResult<Bound<'py, PyDict>> {
        let most = (1usize << 28) / self.network().input().iter().product::<usize>().max(1);
        if batch == 0 || batch > most {
            return Err(refused(format!("batch = {batch}: expected from 1 to {most} images")));
        }
        let mut options = self.predictor.options(batch);
        if threads > 0 {
            options.threads = threads_of(threads);
        }
        let timed = || -> PyResult<[f64; 3]> {
            let compacted = self.network().compacted().0;
            let mut times = [0.0; 3];
            let forms = [(self.network(), Forms::Dense), (self.network(), Forms::Any), (&compacted, Forms::Any)];
            for ((network, forms), time) in forms.into_iter().zip(&mut times) {
                let mut engine =
                    Engine::timed(network, &Options { forms, ..options }, &mut seconds).map_err(refused)?;
                *time = 1e3 * engine.call_seconds(batch, &mut seconds);
            }
            Ok(times)
        };
        let times = py.detach(timed)?;
        let told = PyDict::new(py);
        ["dense", "sparse", "compacted"].iter().zip(times).try_for_each(|(form, ms)| told.set_item(*form, ms))?;
        Ok(told)
    }

    /// The same model without what its answers do not depend on: pruned units, and what only they read.
    fn compact(&self, py: Python<'_>) -> Self {
        let network = py.detach(|| self.network().compacted().0);
        // The ranges are those of other values.
        let info = Info { ranges: Ranges::default(), ..self.info.clone() };
        Self::new(network, info, self.threads, None)
    }

    /// Writes a file: `.secateur` (whose values are stored as f32, f16 or int8), `.onnx` or `.safetensors`, by its ending.
    #[pyo3(signature = (path, *, values = "f32"))]
    fn save(&self, py: Python<'_>, path: PathBuf, values: &str) -> PyResult<()> {
        let precision = precision(values)?;
        py.detach(|| {
            let stored = self.network().quantized(precision).map_err(refused)?;
            let bytes = match path.extension().and_then(|end| end.to_str()) {
                Some("secateur") => self.network().encode(&self.info, precision).map_err(refused)?,
                Some("onnx") => stored.onnx(&self.info.name, None, &[]).map_err(refused)?,
                Some("safetensors") => {
                    stored.safetensors(secateur_sparse::export::Form::Dense, &[]).map_err(refused)?
                }
                _ => {
                    let path = path.display();
                    return Err(refused(format!(
                        "{path}: expected a name that ends in .secateur, .onnx or .safetensors"
                    )));
                }
            };
            std::fs::write(&path, bytes).map_err(|error| PyOSError::new_err(format!("{}: {error}", path.display())))
        })
    }

    fn __repr__(&self) -> String {
        let (nonzero, parameters) = self.parameters();
        format!("<secateur.Model {:?}: {nonzero} of {parameters} parameters>", self.info.name)
    }
}
