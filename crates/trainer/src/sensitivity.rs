//! How much pruning each layer bears: one layer of a trained network is pruned at a time, nothing is retrained, and the
//! validation split is scored. The run is only read.

mod search;

use crate::config::{CriterionConfig, Override, PruneConfig};
use crate::coupled::unit_groups;
use crate::data::Split;
use crate::engine::Engine;
use crate::evaluate::evaluate;
use crate::folder::read_experiment;
use crate::observer::{Observer, Probing};
use crate::pruning::{Pruning, prunable};
use crate::run::{Place, named, own_data, trained};
use crate::state::{State, Weights, carry};
use crate::{Error, Experiment, device, engine, seed};
use search::{bracket, edge, halvings, rising, share, spread};
use secateur_graph::Graph;
use secateur_pruner::{Criterion, Granularity, Mask, MaskSet, Schedule, Scope, Sparsity, UnitGroup, score};
use secateur_report::event::Score;
use secateur_report::{LayerPoint, LayerSensitivity, Sensitivity, lost};
use std::collections::BTreeSet;
use std::path::Path;

/// What is asked of a trained network.
#[derive(Clone, Copy, Debug)]
pub struct SensitivityRequest<'a> {
    /// A checkpoint's name, or `dense` for the network before the first prune; `None` for the final model.
    pub checkpoint: Option<&'a str>,
    /// The sparsities that each layer is pruned to, in any order.
    pub sparsities: &'a [f64],
    /// Images of the validation split to score, spread evenly over it; `None` for all.
    pub images: Option<usize>,
    /// Points of top-1 that a layer may lose, when the highest sparsity that does so is wanted.
    pub within: Option<f64>,
    /// What is important, one that takes nothing but weights; `None` for the run's own.
    pub criterion: Option<CriterionConfig>,
    /// Another data set than the run's own is meant.
    pub other_data: bool,
}

/// A trained network whose layers are about to be pruned, one at a time.
pub struct Probe {
    run: String,
    checkpoint: Option<String>,
    experiment: Experiment,
    dataset: String,
    images: Split,
    engine: Box<dyn Engine>,
    parameters: Vec<Weights>,
    masks: MaskSet,
    layers: Vec<Layer>,
    /// Rising.
    sparsities: Vec<Sparsity>,
    within: Option<f64>,
}

/// A parameter that is pruned alone, and how.
struct Layer {
    name: String,
    /// Parameters whose filters go with its own.
    coupled: Vec<String>,
    criterion: Criterion,
    pruning: Pruning,
}

impl Probe {
    /// Opens what the run left; everything that can be wrong with a request is found here, before the long part.
    ///
    /// # Errors
    /// When the request makes no sense, the run holds no validation images out, or there is no such network.
    pub fn open(run: &Path, asked: &SensitivityRequest<'_>, place: Place<'_>) -> Result<Self, Error> {
        let experiment = place.apply(read_experiment(run)?)?;
        let sparsities = rising(asked.sparsities)?;
        if let Some(points) = asked.within.filter(|points| !(0.0..=100.0).contains(points)) {
            let why = format!("found {points}, wanted from 0 to 100 points");
            return Err(Error::Meaning { key: "--within", why });
        }
        let held_out = experiment.config().data.validation;
        if held_out == 0 {
            let why = "the run holds no validation images out, and the test split is not there to choose by; wanted a run \
                       with `data.validation` above 0";
            return Err(Error::Run { path: run.to_owned(), why: why.into() });
        }
        if let Some(count) = asked.images.filter(|count| !(1..=held_out).contains(count)) {
            let why = format!("found {count}, wanted from 1 to the {held_out} images of the validation split");
            return Err(Error::Meaning { key: "--images", why });
        }
        let checkpoint = named(run, &experiment, asked.checkpoint)?;
        let (parameters, masks) = trained(run, &experiment, checkpoint.as_deref())?;
        let layers = layers(&experiment, asked.criterion)?;
        let masks = with_masks(&parameters, &masks, &layers);
        let device = device::open(experiment.config(), None)?;
        let state = State::fresh(parameters.clone(), &masks, experiment.has_shadows());
        let engine = engine::open(&experiment, &device, state, &masks)?;
        let dataset = experiment.load_data()?;
        own_data(run, &dataset, asked.other_data)?;
        let images = match asked.images {
            Some(count) => dataset.validation.select(&spread(count, dataset.validation.len())),
            None => dataset.validation,
        };
        let path = run.canonicalize().map_err(Error::io(run, "read"))?;
        let run = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (dataset, within) = (dataset.name, asked.within);
        Ok(Self { run, checkpoint, experiment, dataset, images, engine, parameters, masks, layers, sparsities, within })
    }

    /// Prunes each layer to each sparsity, and searches for the highest one that it bears, where that was asked.
    ///
    /// # Errors
    /// When a weight is not finite.
    pub fn measure(mut self, observer: &mut dyn Observer) -> Result<Sensitivity, Error> {
        let layers = std::mem::take(&mut self.layers);
        let each = self.sparsities.len() + if self.within.is_some() { halvings(&self.sparsities) } else { 0 };
        let mut watched = Watched { observer, done: 0, of: 1 + layers.len() * each };
        watched.probing(None, 0.0);
        let before = self.score(&self.masks.clone(), &mut watched)?;
        let mut found = vec![];
        for (place, layer) in layers.iter().enumerate() {
            watched.done = 1 + place * each;
            found.push(self.layer(layer, before, &mut watched)?);
        }
        let (config, prune) = (self.experiment.config(), base(&self.experiment));
        let together = together(&prune, self.experiment.graph(), &found)?;
        let criteria: BTreeSet<String> = layers.iter().map(|layer| layer.criterion.to_string()).collect();
        Ok(Sensitivity {
            run: self.run,
            checkpoint: self.checkpoint,
            model: config.model.to_string(),
            dataset: self.dataset,
            classes: self.experiment.data().classes as u64,
            seed: config.seed,
            criterion: criteria.into_iter().collect::<Vec<_>>().join(", "),
            granularity: prune.granularity.to_string(),
            before,
            sparsities: self.sparsities.iter().map(|sparsity| sparsity.get()).collect(),
            within_points: self.within,
            together,
            layers: found,
        })
    }

    fn layer(&mut self, layer: &Layer, before: Score, watched: &mut Watched<'_>) -> Result<LayerSensitivity, Error> {
        let mask = self.masks.get(&layer.name).expect("every layer has a mask");
        let (weights, pruned) = (mask.total(), mask.total() - mask.kept());
        let own = LayerPoint { sparsity: share(pruned, weights), pruned: pruned as u64, score: before };
        // As many weights of one layer are the same weights: what was scored once need not be scored again.
        let mut known = vec![own];
        let mut points = vec![];
        for sparsity in self.sparsities.clone() {
            if sparsity.count(weights) >= pruned {
                points.push(self.point(layer, sparsity, &mut known, watched)?);
            }
        }
        let mut within = None;
        if let Some(allowed) = self.within.filter(|_| pruned < weights) {
            let bears = |point: &LayerPoint| lost(&before, &point.score) <= allowed;
            let (low, high) = bracket(own, &points, bears);
            within = Some(edge(low, high, |middle| {
                let point = self.point(layer, Sparsity::new(middle)?, &mut known, watched)?;
                Ok::<_, Error>(Some(point).filter(bears))
            })?);
        }
        Ok(LayerSensitivity {
            name: layer.name.clone(),
            coupled: layer.coupled.clone(),
            weights: weights as u64,
            pruned: pruned as u64,
            points,
            within,
        })
    }

    /// The network with one layer at this sparsity and the others as they are.
    fn point(
        &mut self,
        layer: &Layer,
        sparsity: Sparsity,
        known: &mut Vec<LayerPoint>,
        watched: &mut Watched<'_>,
    ) -> Result<LayerPoint, Error> {
        watched.probing(Some(&layer.name), sparsity.get());
        let seed = seed::stream(self.experiment.config().seed, "sensitivity", 0).next_u64();
        let scores = |place, name: &str, mask: &Mask| {
            let own = self.parameters.iter().find(|own| own.name == name);
            let kept = &own.expect("a mask belongs to a parameter").kept;
            score(layer.criterion, name, kept, mask, place, seed)
        };
        let masks = layer.pruning.choose(scores, &self.masks, sparsity)?;
        let mask = masks.get(&layer.name).expect("every layer has a mask");
        let pruned = (mask.total() - mask.kept()) as u64;
        if let Some(same) = known.iter().find(|point| point.pruned == pruned) {
            return Ok(LayerPoint { sparsity: sparsity.get(), ..*same });
        }
        let point = LayerPoint { sparsity: sparsity.get(), pruned, score: self.score(&masks, watched)? };
        known.push(point);
        Ok(point)
    }

    fn score(&mut self, masks: &MaskSet, watched: &mut Watched<'_>) -> Result<Score, Error> {
        let mut parameters = self.parameters.clone();
        carry(&mut parameters, &self.masks, masks);
        self.engine.set(State::fresh(parameters, masks, self.experiment.has_shadows()), masks)?;
        let (split, batch) = (&self.images, self.experiment.config().train.batch_size);
        Ok(evaluate(self.engine.as_mut(), split, batch, |seen| {
            watched.observer.evaluating("validation", seen, split.len());
        }))
    }
}

/// The sparsity of all that may be pruned when every layer is pruned to the highest sparsity that it bears; `None` where that was not
/// asked.
fn together(prune: &PruneConfig, graph: &Graph, layers: &[LayerSensitivity]) -> Result<Option<f64>, Error> {
    let edges: Vec<(&LayerSensitivity, LayerPoint)> =
        layers.iter().filter_map(|layer| Some((layer, layer.within?))).collect();
    let [gone, all] = match prune.granularity {
        _ if edges.is_empty() => return Ok(None),
        Granularity::Filter {} => {
            let own = |(layer, edge): &(&LayerSensitivity, LayerPoint)| -> Result<Override, Error> {
                let sparsity = Some(Sparsity::new(edge.sparsity)?);
                Ok(Override { pattern: layer.name.clone(), sparsity, floor: None, ceiling: None, criterion: None })
            };
            let layers = edges.iter().map(own).collect::<Result<Vec<_>, Error>>()?;
            Pruning::of_own_units(&PruneConfig { layers, ..prune.clone() }, graph)?
        }
        Granularity::Element {} | Granularity::NOfM { .. } | Granularity::Block { .. } | Granularity::Channel {} => {
            let all: u64 = layers.iter().map(|layer| layer.weights).sum();
            let gone = |layer: &LayerSensitivity| layer.within.map_or(layer.pruned, |edge| edge.pruned);
            [layers.iter().map(gone).sum::<u64>() as usize, all as usize]
        }
    };
    Ok(Some(share(gone, all)))
}

/// An observer, and how far everything is.
struct Watched<'a> {
    observer: &'a mut dyn Observer,
    done: usize,
    of: usize,
}

impl Watched<'_> {
    fn probing(&mut self, layer: Option<&str>, sparsity: f64) {
        self.observer.probing(&Probing { layer, sparsity, done: self.done, of: self.of });
        self.done += 1;
    }
}

/// The terms on which every layer is pruned: the run's own, as far as they make sense for one layer at any sparsity.
fn base(experiment: &Experiment) -> PruneConfig {
    const PLAIN: &str = "schedule = { kind = \"one-shot\", sparsity = 0.5 }\nevery = { steps = 1 }";
    let own = experiment.config().prune.clone();
    let own = own.unwrap_or_else(|| toml::from_str(PLAIN).expect("a whole section"));
    let granularity = match own.granularity {
        // It fixes what is left.
        Granularity::NOfM { .. } => Granularity::Element {},
        other @ (Granularity::Element {}
        | Granularity::Block { .. }
        | Granularity::Filter {}
        | Granularity::Channel {}) => other,
    };
    // Any target may be asked for; the schedule's is not used.
    let schedule = Schedule::OneShot { sparsity: Sparsity::DENSE.into() };
    PruneConfig {
        scores: None,
        rounds: None,
        shuffle: false,
        granularity,
        scope: Some(Scope::Layerwise),
        layers: vec![],
        schedule,
        regrow: None,
        gsm: None,
        until: None,
        ..own
    }
}

/// Every parameter that the run may prune, alone.
fn layers(experiment: &Experiment, asked: Option<CriterionConfig>) -> Result<Vec<Layer>, Error> {
    let base = base(experiment);
    let graph = experiment.graph();
    let names: Vec<&str> = prunable(graph).map(|own| own.name.as_str()).collect();
    // Whole filters go with those of the layers that theirs are added to; those that stay are left out.
    let groups = match base.granularity {
        Granularity::Filter {} => Some(unit_groups(graph, 1)),
        Granularity::Element {} | Granularity::NOfM { .. } | Granularity::Block { .. } | Granularity::Channel {} => {
            None
        }
    };
    let together = |name: &str| -> Vec<String> {
        let of = |group: &UnitGroup| group.computing().map(|own| own.name.clone()).collect::<Vec<_>>();
        match &groups {
            None => vec![name.to_owned()],
            Some(groups) => {
                groups.iter().map(of).find(|own| own.first().is_some_and(|own| own == name)).unwrap_or_default()
            }
        }
    };
    let alone = |name: &str, include: Vec<String>| {
        let own = asked.unwrap_or_else(|| criterion(experiment, name));
        let criterion = own.of_weights().ok_or_else(|| {
            let why = format!(
                "`{name}` would be pruned by {own}, which takes more than a network's weights, expected a criterion of weights \
                 alone: add `--criterion l1` (or l2, lamp, random) to ask how much pruning by that each layer bears"
            );
            Error::Meaning { key: "--criterion", why }
        })?;
        let coupled = include.iter().filter(|own| *own != name).cloned().collect();
        let config = PruneConfig { criterion: own, include, exclude: vec![], ..base.clone() };
        Ok(Layer { name: name.to_owned(), coupled, criterion, pruning: Pruning::new(&config, graph)? })
    };
    let chosen = base.selection().choose(&names)?.into_iter().map(|name| (name, together(name)));
    chosen.filter(|(_, include)| !include.is_empty()).map(|(name, include)| alone(name, include)).collect()
}

/// By what the run scores a parameter; by magnitude where it says nothing of pruning.
fn criterion(experiment: &Experiment, name: &str) -> CriterionConfig {
    match (experiment.pruning(), &experiment.config().prune) {
        (Some(pruning), Some(config)) => pruning.criterion(name).unwrap_or(config.criterion),
        (None, _) | (_, None) => CriterionConfig::L1,
    }
}

/// The masks that there are, and full ones for what else the layers may touch.
fn with_masks(parameters: &[Weights], masks: &MaskSet, layers: &[Layer]) -> MaskSet {
    let touched = |name: &str| layers.iter().any(|own| own.pruning.masked().iter().any(|masked| masked.name == name));
    let mask = |own: &Weights| {
        let full = || touched(&own.name).then(|| Mask::full(&own.shape));
        Some((own.name.clone(), masks.get(&own.name).cloned().or_else(full)?))
    };
    MaskSet::new(parameters.iter().filter_map(mask).collect())
}

#[cfg(test)]
#[path = "sensitivity_tests.rs"]
mod tests;
