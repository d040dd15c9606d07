//! Pruning without training, of models and of bare weights.

use crate::images::images;
use crate::model::{Model, precision};
use crate::refused;
use numpy::{AllowTypeChange, PyArrayLikeDyn};
use pyo3::prelude::*;
use secateur_oneshot::{Budget, Calls, Images, Job, Options};
use secateur_pruner::{
    Amount, Criterion, Layout, Mask, Request, Scope, Scores, Selection, Sparsity, Terms, score, select,
};
use secateur_sparse::Trained;
use secateur_sparse::infer;

/// A scope by its name.
fn scope(name: &str) -> PyResult<Scope> {
    let all = [Scope::Layerwise, Scope::Global, Scope::GlobalNormalised, Scope::Erk, Scope::MacAware];
    all.into_iter().find(|own| own.to_string() == name).ok_or_else(|| {
        refused(format!(
            "scope = {name:?}: expected \"layerwise\", \"global\", \"erk\", \"global-normalised\" or \"mac-aware\""
        ))
    })
}

/// Prunes a model without training it. Exactly one of `sparsity`, `within`, `within_ms` and `within_bytes` says how much goes.
#[pyfunction]
#[pyo3(signature = (model, *, sparsity = None, within = None, within_ms = None, within_bytes = None, images = None, labels = None,
    include = None, exclude = None, scope = None, reconstruct = true, batch = 1, values = "f32"))]
#[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub(crate) fn prune(
    py: Python<'_>,
    model: &Model,
    sparsity: Option<f64>,
    within: Option<f64>,
    within_ms: Option<f64>,
    within_bytes: Option<usize>,
    images: Option<&Bound<'_, PyAny>>,
    labels: Option<&Bound<'_, PyAny>>,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    scope: Option<&str>,
    reconstruct: bool,
    batch: usize,
    values: &str,
) -> PyResult<Model> {
    let threads = infer::threads_of(model.threads());
    let precision = precision(values)?;
    let budget = match (sparsity, within, within_ms, within_bytes) {
        (Some(sparsity), None, None, None) => Budget::Sparsity(Sparsity::new(sparsity).map_err(refused)?),
        (None, Some(points), None, None) if (0.0..=100.0).contains(&points) => Budget::Within(points),
        (None, Some(points), None, None) => {
            return Err(refused(format!("within = {points}: expected points from 0 to 100")));
        }
        (None, None, Some(ms), None) if ms > 0.0 && ms.is_finite() && (1..=65_536).contains(&batch) => {
            Budget::Milliseconds(ms, Calls { batch, threads })
        }
        (None, None, Some(ms), None) => {
            return Err(refused(format!(
                "within_ms = {ms}, batch = {batch}: expected milliseconds above 0, and 1 to 65536 images"
            )));
        }
        (None, None, None, Some(bytes)) => Budget::Bytes(bytes, precision),
        _ => return Err(refused("expected one of sparsity, within, within_ms and within_bytes")),
    };
    let pixels = match images {
        Some(array) => self::images(array, model.network().input(), &model.info)?.0,
        None => vec![],
    };
    let count = pixels.len() / model.network().input().iter().product::<usize>();
    if images.is_some() && count < 2 {
        return Err(refused(format!(
            "found {count} image(s), expected at least 2: one to learn from and one to judge by"
        )));
    }
    let labels = match labels {
        Some(array) => classes(array, count, model.network().classes())?,
        None => vec![],
    };
    let selection =
        Selection { include: include.unwrap_or(Selection::default().include), exclude: exclude.unwrap_or_default() };
    let options = Options { selection, scope: scope.map(self::scope).transpose()?, reconstruct, threads };
    py.detach(|| {
        let Trained { graph, weights } = model.network();
        let images = Images { pixels: &pixels, labels: &labels }.divided(model.network().input().iter().product());
        let job = Job::new(graph, weights, images, &options).map_err(refused)?;
        let pruned = job.prune(budget, &mut |_| {}).map_err(refused)?;
        let network = Trained { graph: graph.clone(), weights: pruned.weights };
        Ok(Model::new(network, model.info.clone(), model.threads(), pruned.score))
    })
}

/// Labels, one for each image.
fn classes(array: &Bound<'_, PyAny>, images: usize, classes: usize) -> PyResult<Vec<u16>> {
    let array: PyArrayLikeDyn<'_, i64, AllowTypeChange> = array.extract()?;
    let labels: Vec<i64> = array.as_array().iter().copied().collect();
    if labels.len() != images {
        return Err(refused(format!("found {} labels for {images} images", labels.len())));
    }
    let class = |label: i64| u16::try_from(label).ok().filter(|own| usize::from(*own) < classes);
    labels
        .iter()
        .map(|label| {
            class(*label).ok_or_else(|| refused(format!("found the label {label}, expected 0 to {}", classes - 1)))
        })
        .collect()
}

/// Which weights stay of arrays by name: for each one whether it is kept, in the order of its elements. By the size of the weights.
#[pyfunction]
pub(crate) fn choose_masks(
    arrays: Vec<(String, Bound<'_, PyAny>)>,
    sparsity: f64,
    scope: &str,
) -> PyResult<Vec<Vec<bool>>> {
    let (scope, sparsity) = (self::scope(scope)?, Sparsity::new(sparsity).map_err(refused)?);
    if scope == Scope::MacAware {
        return Err(refused(
            "scope = \"mac-aware\" needs a model, which says how often its weights are used; found bare weights",
        ));
    }
    let mut layers = vec![];
    for (name, array) in &arrays {
        let array: PyArrayLikeDyn<'_, f32, AllowTypeChange> = array.extract()?;
        let view = array.as_array();
        layers.push((name, view.shape().to_vec(), view.iter().copied().collect::<Vec<f32>>()));
    }
    let full: Vec<Mask> = layers.iter().map(|(_, shape, _)| Mask::full(shape)).collect();
    let mut scores = vec![];
    for ((name, shape, values), within) in layers.iter().zip(&full) {
        let found = score(Criterion::L1, name, values, within, 0, 1).map_err(refused)?;
        scores.push(Scores { name, shape, scores: found, within, terms: Terms::new(Layout::of_pytorch(shape)) });
    }
    let masks = select(&scores, &Request::new(scope, Amount::Share(sparsity))).map_err(refused)?;
    Ok(masks.iter().map(|(_, mask)| (0..mask.total()).map(|place| mask.keeps(place)).collect()).collect())
}
