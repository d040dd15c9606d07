//! How much of a network goes: a sparsity, or as much as a budget asks for.

use crate::allocate::{Level, allocate, filled};
use crate::job::{Job, Progress, Pruned, Tell};
use crate::{Error, Score};
use secateur_graph::Weights;
use secateur_pruner::{Scope, Sparsity};
use secateur_sparse::file::{Info, Precision, Scale};
use secateur_sparse::infer::{Engine, Options, seconds};
use secateur_sparse::{Ranges, Trained};

/// What a pruned network has to meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// This fraction of the weights that may go.
    Sparsity(Sparsity),
    /// As small as it can be with an accuracy of at most so many percentage points below the dense one, or, where no classes are
    /// known, with so many percent of other answers; on images that nothing was learned from.
    Within(f64),
    /// At most so many milliseconds a call, on this machine.
    Milliseconds(f64, Calls),
    /// A model file of at most so many bytes, with values of this precision, and without a name or names of classes.
    Bytes(usize, Precision),
}

/// Calls of the engine that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Images of a call.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
}

impl std::fmt::Display for Budget {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sparsity(sparsity) => write!(out, "{} % sparsity", 100.0 * sparsity.get()),
            Self::Within(points) => write!(out, "{points} points below the dense network"),
            Self::Milliseconds(ms, Calls { batch, threads }) => {
                write!(out, "{ms} ms a call of {batch} image(s) on {threads} thread(s)")
            }
            Self::Bytes(bytes, _) => write!(out, "a file of {bytes} bytes"),
        }
    }
}

/// Makes a call as often as it likes, and says how many seconds it takes.
type Clock<'c> = &'c mut dyn FnMut(&mut dyn FnMut()) -> f64;

/// Sizes that a search tries, and measured times that a search corrects itself by, at most.
const TRIES: usize = 9;
/// The smallest part of the weights that a search leaves.
const FEWEST: f64 = 0.002;
/// The part of a budget of time that is worth no further search.
const NEAR: f64 = 0.95;

/// How many weights each layer keeps, for any number in all.
enum Distribution {
    /// By the size of the weights.
    Scope(Scope),
    /// By what each layer loses.
    Levels(Vec<Vec<Level>>),
}

impl Job<'_> {
    /// Prunes the network to a budget.
    ///
    /// # Errors
    /// When the budget cannot be met, needs images that there are not, or the engine cannot compute the network.
    pub fn prune(&self, budget: Budget, tell: &mut Tell<'_>) -> Result<Pruned, Error> {
        self.prune_with_clock(budget, tell, &mut seconds)
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`Self::prune`].
    pub fn prune_with_clock(&self, budget: Budget, tell: &mut Tell<'_>, clock: Clock<'_>) -> Result<Pruned, Error> {
        let without_images = match budget {
            Budget::Sparsity(_) => Some(Scope::Global),
            Budget::Within(_) if self.classes() == 1 => return Err(Error::OneAnswer { what: budget.to_string() }),
            Budget::Within(_) => {
                self.dense_score().ok_or_else(|| Error::NoImages { what: budget.to_string() })?;
                None
            }
            Budget::Milliseconds(..) | Budget::Bytes(..) => None,
        };
        let scope = self.options.scope.or(without_images.filter(|_| self.learned.pixels.is_empty()));
        let distribution = match scope {
            Some(scope) => Distribution::Scope(scope),
            None => Distribution::Levels(self.levels(tell)?),
        };
        let weights = match budget {
            Budget::Sparsity(sparsity) => {
                let counts = self.counts_of(&distribution, self.total() - sparsity.count(self.total()))?;
                self.weights(&counts, tell)?
            }
            Budget::Within(points) => self.within(points, &distribution, tell)?,
            Budget::Milliseconds(ms, calls) => self.within_ms(budget, (ms, calls), &distribution, tell, clock)?,
            Budget::Bytes(bytes, precision) => self.within_bytes(budget, (bytes, precision), &distribution, tell)?,
        };
        self.finished(weights)
    }

    /// How many weights each layer keeps, of so many in all.
    fn counts_of(&self, distribution: &Distribution, kept: usize) -> Result<Vec<usize>, Error> {
        match distribution {
            Distribution::Scope(scope) => self.by_size(*scope, kept),
            Distribution::Levels(levels) => {
                let costs = with_costs(levels, |_, level| level.kept as f64);
                match allocate(&costs, kept as f64) {
                    Some(chosen) => Ok(filled(&costs, &chosen, kept as f64)),
                    // Fewer than the lowest levels keep.
                    None => self.by_size(Scope::Layerwise, kept),
                }
            }
        }
    }

    /// That part of all weights, at least one of each layer.
    fn part(&self, density: f64) -> usize {
        ((density * self.total() as f64).round() as usize).max(self.layers.len())
    }

    /// The smallest network whose answers are as good.
    fn within(&self, points: f64, distribution: &Distribution, tell: &mut Tell<'_>) -> Result<Weights, Error> {
        let dense = self.dense_score().expect("there are images");
        let loss = |own: Score| match (dense.accuracy, own.accuracy) {
            (Some(before), Some(after)) => 100.0 * (before - after),
            _ => 100.0 * (1.0 - own.agreement),
        };
        let (mut best, mut dense_enough, mut too_few) = (self.dense.clone(), 1.0, FEWEST);
        for tried in 0..TRIES {
            // By equal factors of the weights that are left.
            let density = f64::sqrt(dense_enough * too_few);
            let what = format!("{:.2} % of the weights", 100.0 * density);
            tell(&Progress { stage: "searching", done: tried, of: TRIES, what: &what });
            let weights = self.weights(&self.counts_of(distribution, self.part(density))?, &mut |_| {})?;
            let fits = self.score(&weights)?.is_some_and(|own| loss(own) <= points);
            if fits {
                (best, dense_enough) = (weights, density);
            } else {
                too_few = density;
            }
        }
        Ok(best)
    }

    /// The network that loses least of those that are fast enough.
    fn within_ms(
        &self,
        budget: Budget,
        (ms, calls): (f64, Calls),
        distribution: &Distribution,
        tell: &mut Tell<'_>,
        clock: Clock<'_>,
    ) -> Result<Weights, Error> {
        let options = Options { threads: calls.threads, ..Options::new(calls.batch) };
        let mut time = |network: &Trained| -> Result<f64, Error> {
            Ok(1e3 * Engine::timed(network, &options, clock)?.call_seconds(calls.batch, clock))
        };
        let costs = self.costs(distribution, "timing the layers", tell, &mut time)?;
        let mut whole = |counts: &[usize]| {
            let mut weights = self.dense.clone();
            for (layer, kept) in self.layers.iter().zip(counts) {
                weights.insert(&layer.weight, self.largest(layer, *kept)?);
            }
            time(&Trained { graph: self.graph.clone(), weights })
        };
        let counts = self.search(distribution, costs, (budget, ms, "ms"), tell, &mut whole)?;
        self.weights(&counts, tell)
    }

    /// The network that loses least of those whose files are small enough.
    fn within_bytes(
        &self,
        budget: Budget,
        (bytes, precision): (usize, Precision),
        distribution: &Distribution,
        tell: &mut Tell<'_>,
    ) -> Result<Weights, Error> {
        let info = Info {
            name: String::new(),
            scales: vec![Scale { divisor: 1.0, shift: 0.0 }],
            classes: vec![],
            ranges: Ranges::default(),
        };
        let mut size = |network: &Trained| Ok(network.encode(&info, precision)?.len() as f64);
        let costs = self.costs(distribution, "sizing the layers", tell, &mut size)?;
        let mut whole = |counts: &[usize]| {
            let weights = self.weights(counts, &mut |_| {})?;
            size(&Trained { graph: self.graph.clone(), weights })
        };
        let counts = self.search(distribution, costs, (budget, bytes as f64, "bytes"), tell, &mut whole)?;
        self.weights(&counts, tell)
    }

    /// By layer and level what it costs by itself; nothing where layers compete by the size of their weights.
    fn costs(
        &self,
        distribution: &Distribution,
        stage: &'static str,
        tell: &mut Tell<'_>,
        cost: &mut dyn FnMut(&Trained) -> Result<f64, Error>,
    ) -> Result<Vec<Vec<Level>>, Error> {
        let Distribution::Levels(levels) = distribution else { return Ok(vec![]) };
        let mut found = vec![];
        for (place, (layer, levels)) in self.layers.iter().zip(levels).enumerate() {
            tell(&Progress { stage, done: place, of: self.layers.len(), what: &layer.weight });
            let one = |level: &Level| {
                let (graph, weights) = self.alone(layer, level.kept)?;
                Ok(Level { cost: cost(&Trained { graph, weights })?, ..*level })
            };
            found.push(levels.iter().map(one).collect::<Result<Vec<_>, Error>>()?);
        }
        Ok(found)
    }

    /// The counts of the largest network that was found whose whole cost is at most `most`; `whole` measures it. What the layers cost by
    /// themselves does not add up to that, so each try corrects the budget of the layers by what the one before it was off.
    fn search(
        &self,
        distribution: &Distribution,
        costs: Vec<Vec<Level>>,
        (budget, most, unit): (Budget, f64, &str),
        tell: &mut Tell<'_>,
        whole: &mut dyn FnMut(&[usize]) -> Result<f64, Error>,
    ) -> Result<Vec<usize>, Error> {
        let dense: Vec<usize> = self.layers.iter().map(|own| self.nonzero(own)).collect();
        let mut best: Option<(f64, Vec<usize>)> = None;
        let (mut least, mut dense_enough, mut too_many) = (f64::INFINITY, FEWEST, 1.0);
        let mut layers: Option<f64> = None;
        for tried in 0..=TRIES {
            tell(&Progress { stage: "searching", done: tried, of: TRIES + 1, what: &budget.to_string() });
            let density = f64::sqrt(dense_enough * too_many);
            let counts = match (distribution, layers) {
                // The first try says what the whole costs beside its layers.
                _ if tried == 0 => dense.clone(),
                (Distribution::Levels(_), Some(layers)) => match allocate(&costs, layers) {
                    Some(chosen) => filled(&costs, &chosen, layers),
                    None => costs.iter().map(|levels| levels.last().map_or(1, |level| level.kept)).collect(),
                },
                _ => self.counts_of(distribution, self.part(density))?,
            };
            let found = whole(&counts)?;
            least = least.min(found);
            let fits = found <= most;
            if fits && best.as_ref().is_none_or(|(other, _)| found > *other) {
                best = Some((found, counts.clone()));
            }
            if fits && (tried == 0 || found >= NEAR * most) {
                break;
            }
            match distribution {
                Distribution::Levels(_) => {
                    let own = |(levels, kept): (&Vec<Level>, &usize)| cost(levels, *kept);
                    let sum: f64 = costs.iter().zip(&counts).map(own).sum();
                    // A little below the budget, which the next try should not miss.
                    layers = Some(sum + (0.5 + 0.5 * NEAR) * most - found);
                }
                Distribution::Scope(_) if tried > 0 && fits => dense_enough = density,
                Distribution::Scope(_) if tried > 0 => too_many = density,
                Distribution::Scope(_) => {}
            }
        }
        best.map(|(_, counts)| counts).ok_or_else(|| Error::Unreachable {
            budget: budget.to_string(),
            least: if unit == "ms" { format!("{least:.4} {unit}") } else { format!("{least} {unit}") },
        })
    }
}

/// What a layer costs that keeps so many weights, between the levels below and above.
fn cost(levels: &[Level], kept: usize) -> f64 {
    let below = levels.iter().filter(|level| level.kept <= kept).max_by_key(|level| level.kept);
    let above = levels.iter().filter(|level| level.kept > kept).min_by_key(|level| level.kept);
    match (below, above) {
        (Some(below), Some(above)) => {
            let part = (kept - below.kept) as f64 / (above.kept - below.kept) as f64;
            below.cost + part * (above.cost - below.cost)
        }
        (Some(own), None) | (None, Some(own)) => own.cost,
        (None, None) => 0.0,
    }
}

/// Levels with these costs.
fn with_costs(levels: &[Vec<Level>], cost: impl Fn(usize, &Level) -> f64) -> Vec<Vec<Level>> {
    let of = |(layer, levels): (usize, &Vec<Level>)| {
        levels.iter().map(|level| Level { cost: cost(layer, level), ..*level }).collect()
    };
    levels.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Images, Options};
    use secateur_graph::{Graph, Linear, Op};

    /// The whole costs more than its layers, as a latency does, and by another factor; it is met all the same.
    #[test]
    fn a_search_meets_its_budget_whatever_the_whole_costs_beside_its_layers() {
        let ops = [("a", 60), ("b", 40), ("c", 8)].map(|(name, outputs)| (name, Op::Linear(Linear::new(outputs))));
        let graph = Graph::sequential(&[80], ops).expect("a network");
        let value = |place: usize| ((place * 7919 % 1009) as f32 / 500.0 - 1.0).powi(3) + 1e-4;
        let weights: Weights =
            graph.parameters().iter().map(|own| (own.name.clone(), (0..own.len()).map(value).collect())).collect();
        let options = Options { threads: 1, ..Options::default() };
        let job = Job::new(&graph, &weights, [Images::default(); 2], &options).expect("a network");
        let price = |layer: usize, kept: usize| [1.0, 3.0, 0.5][layer] * kept as f64 + 40.0;
        let whole = |counts: &[usize]| {
            500.0 + 1.7 * counts.iter().enumerate().map(|(layer, kept)| price(layer, *kept)).sum::<f64>()
        };
        let dense = whole(&job.layers.iter().map(|own| own.len()).collect::<Vec<_>>());
        for distribution in
            [Distribution::Levels(job.levels(&mut |_| {}).expect("levels")), Distribution::Scope(Scope::Global)]
        {
            let costs = match &distribution {
                Distribution::Levels(levels) => with_costs(levels, |layer, level| price(layer, level.kept)),
                Distribution::Scope(_) => vec![],
            };
            for most in [0.1, 0.3, 0.6, 0.9].map(|part| part * dense) {
                let mut tried = 0;
                let mut measured = |counts: &[usize]| {
                    tried += 1;
                    Ok(whole(counts))
                };
                let asked = (Budget::Bytes(1, Precision::F32), most, "bytes");
                let found = job.search(&distribution, costs.clone(), asked, &mut |_| {}, &mut measured).expect("met");
                let found = whole(&found);
                assert!((0.9 * most..=most).contains(&found), "{found} of {most} after {tried}");
                assert!(tried <= TRIES + 1);
            }
            let asked = (Budget::Bytes(1, Precision::F32), 400.0, "bytes");
            let said = job.search(&distribution, costs, asked, &mut |_| {}, &mut |counts| Ok(whole(counts)));
            assert!(matches!(said, Err(Error::Unreachable { .. })), "the whole costs 500 without any layer");
        }
    }
}
