//! What a config's `[prune]` section means for a network: who competes on which terms, what goes along, which targets.

mod units;

use crate::Error;
use crate::config::{CriterionConfig, Override, PruneConfig};
use crate::coupled::{floors_of_units, pinned, unit_groups};
use secateur_graph::{Graph, Parameter, Role};
use secateur_pruner::{
    Amount, Granularity, Layout, Mask, MaskSet, Measure, Request, Selection, Sizes, Sparsity, Targets, Terms,
    UnitGroup, choose_by, choose_coupled, planned,
};

/// A `[prune]` section that makes sense for its network.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruning {
    /// What is asked of each prune, but for its amount.
    request: Request,
    competitors: Vec<Competitor>,
    /// Units that go as a whole, and what belongs to them.
    groups: Vec<UnitGroup>,
    pinned: Vec<String>,
    masked: Vec<Masked>,
    sizes: Sizes,
    targets: Targets,
}

/// A parameter that competes, by its final terms.
#[derive(Clone, Debug, PartialEq)]
struct Competitor {
    name: String,
    shape: Vec<usize>,
    criterion: CriterionConfig,
    terms: Terms,
}

impl Competitor {
    /// Its elements.
    fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Pruning {
    /// Reads the section for a network.
    ///
    /// # Errors
    /// When a pattern, the granularity, the schedule or a target makes no sense for it.
    pub(crate) fn new(config: &PruneConfig, graph: &Graph) -> Result<Self, Error> {
        let own = Self::unchecked(config, graph)?;
        own.targets.shares.iter().try_for_each(|target| own.kept(*target).map(|_| ()))?;
        own.check_pattern()?;
        Ok(own)
    }

    /// The same, whether its targets can be reached or not.
    fn unchecked(config: &PruneConfig, graph: &Graph) -> Result<Self, Error> {
        if let Some((key, why)) = config.fault() {
            return Err(Error::Meaning { key, why });
        }
        let shapes: Vec<_> = prunable(graph).map(|own| (own.name.clone(), own.shape.clone())).collect();
        let names: Vec<&str> = shapes.iter().map(|(name, _)| name.as_str()).collect();
        let mut chosen = config.selection().choose(&names)?;
        let whole_units = match config.granularity {
            Granularity::Filter {} => true,
            Granularity::Element {}
            | Granularity::NOfM { .. }
            | Granularity::Block { .. }
            | Granularity::Channel {} => false,
        };
        let (mut groups, mut stay) = (vec![], vec![]);
        if whole_units {
            stay = pinned(graph).into_iter().filter(|(name, _)| chosen.contains(&name.as_str())).collect();
            groups = unit_groups(graph, config.round_to);
            groups.retain(|group| group.computing().any(|own| chosen.contains(&own.name.as_str())));
            check_whole(&groups, &chosen)?;
            let competes = |name: &str| groups.iter().any(|group| group.computing().any(|own| own.name == name));
            chosen.retain(|name| competes(name));
            if chosen.is_empty() {
                let why = match stay.first() {
                    Some((name, why)) => format!("the units of `{name}` stay, since {why}; expected other layers, too"),
                    None => "no weights are among the parameters that are named, expected some".into(),
                };
                return Err(Error::Meaning { key: "prune.include", why });
            }
            let largest = groups.iter().map(|group| group.pinned.len()).max().unwrap_or(0);
            if config.round_to >= largest && config.round_to > 1 {
                let why = format!(
                    "found {}, with which no filter could go; expected less than {largest}, the filters of the largest layer",
                    config.round_to
                );
                return Err(Error::Meaning { key: "prune.round_to", why });
            }
        }
        let overrides = overrides(&config.layers, &names)?;
        let mut competitors = vec![];
        for (name, shape) in shapes.iter().filter(|(name, _)| chosen.contains(&&**name)) {
            let mut terms = Terms { positions: positions(graph, name), ..Terms::new(Layout::of_pytorch(shape)) };
            let mut criterion = config.criterion;
            if let Some((_, own)) = overrides.iter().find(|(fits, _)| fits.contains(&&**name)) {
                (terms.floor, terms.ceiling) = (own.floor.unwrap_or(0.0), own.ceiling.unwrap_or(1.0));
                terms.own = own.sparsity;
                criterion = own.criterion.unwrap_or(criterion);
            }
            competitors.push(Competitor { name: name.clone(), shape: shape.clone(), criterion, terms });
        }
        let floors = competitors.iter_mut().map(|own| (own.name.as_str(), &mut own.terms.floor));
        floors_of_units(&mut floors.collect::<Vec<_>>(), &groups);
        let coupled = |name: &str| groups.iter().any(|group| group.members.iter().any(|own| own.name == name));
        let masked = graph.parameters().iter().filter(|own| chosen.contains(&own.name.as_str()) || coupled(&own.name));
        let masked: Vec<Masked> = masked
            .map(|own| Masked {
                name: own.name.clone(),
                shape: own.shape.clone(),
                positions: positions(graph, &own.name),
            })
            .collect();
        let sizes = Sizes {
            prunable: masked.iter().map(Masked::size).sum(),
            parameters: graph.parameter_count(),
            prunable_macs: masked.iter().map(|own| own.size() as u64 * own.positions).sum(),
            macs: graph.macs() as u64,
        };
        let targets = config.schedule.targets(sizes)?;
        Ok(Self {
            request: Request {
                granularity: config.granularity,
                group_score: config.group_score.unwrap_or(config.criterion.group_score()),
                scope: config.scope(),
                amount: Amount::Share(Sparsity::DENSE),
                min_kept: config.least(),
            },
            masked,
            competitors,
            groups,
            pinned: stay.into_iter().map(|(name, _)| name).collect(),
            sizes,
            targets,
        })
    }

    /// The share that is gone after each prune, and what it is a share of.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The weights that were chosen and do not compete, since their units are the answers, or those of a convolution in groups:
    /// what they read may go, they stay.
    pub fn pinned(&self) -> &[String] {
        &self.pinned
    }

    /// The parameters that have masks: those that compete, and those that go along.
    pub(crate) fn masked(&self) -> &[Masked] {
        &self.masked
    }

    /// The share that is gone by these masks, in the targets' measure.
    pub(crate) fn share(&self, masks: &MaskSet) -> f64 {
        let gone = |own: &Masked| masks.get(&own.name).map_or(0, |mask| mask.total() - mask.kept()) as u64;
        let gone: u64 = self.masked.iter().map(|own| self.cost(own) * gone(own)).sum();
        let all = match self.targets.measure {
            Measure::Weights => self.sizes.prunable as u64,
            Measure::Macs => self.sizes.macs,
        };
        gone as f64 / all.max(1) as f64
    }

    /// Refuses masks from which a prune to this target cannot go on, whatever the scores: somewhere more is gone already
    /// than it leaves.
    ///
    /// # Errors
    /// Where that is, and how much more.
    pub(crate) fn check_masks(&self, masks: &MaskSet, target: Sparsity) -> Result<(), Error> {
        self.check_gone(masks, target)?;
        self.choose(|_, _, mask| Ok(vec![1.0; mask.kept()]), masks, target).map(drop)
    }

    /// Weights of the competing parameters that a prune to this target leaves, where the scores have no say in it.
    ///
    /// # Errors
    /// When the target is impossible.
    pub(crate) fn kept(&self, target: Sparsity) -> Result<Option<usize>, Error> {
        if !self.groups.is_empty() {
            return self.reach(target).map(|()| None);
        }
        let terms = |own| -> (&str, &[usize], Terms) { named(own, self.at(own, target)) };
        let layers: Vec<(&str, &[usize], Terms)> = self.competitors.iter().map(terms).collect();
        Ok(planned(&layers, &self.request(target))?)
    }

    /// By what a parameter's weights are scored; `None` for one that does not compete.
    pub(crate) fn criterion(&self, name: &str) -> Option<CriterionConfig> {
        self.competitors.iter().find(|own| own.name == name).map(|own| own.criterion)
    }

    /// The masks of a prune within `old`; `scores` is given a parameter's place, name and mask, and gives those of the weights
    /// that the mask keeps. Whole units come as near to the target as they can, whatever it is.
    ///
    /// # Errors
    /// When a score is missing, or the target cannot be reached.
    pub(crate) fn choose(
        &self,
        scores: impl FnMut(usize, &str, &Mask) -> Result<Vec<f32>, secateur_pruner::Error>,
        old: &MaskSet,
        target: Sparsity,
    ) -> Result<MaskSet, Error> {
        let terms = |name: &str, _: &[usize]| {
            self.competitors.iter().find(|own| own.name == name).map(|own| self.at(own, target))
        };
        if self.groups.is_empty() {
            return Ok(choose_by(scores, old, &self.request(target), terms)?);
        }
        let cost = |name: &str| self.masked.iter().find(|own| own.name == name).map_or(0, |own| self.cost(own));
        Ok(choose_coupled(scores, old, &self.request(target), terms, &self.groups, cost)?)
    }

    /// What one of its weights counts in the targets' measure.
    fn cost(&self, own: &Masked) -> u64 {
        if self.targets.measure == Measure::Macs { own.positions } else { 1 }
    }

    fn request(&self, target: Sparsity) -> Request {
        Request { amount: self.targets.measure.amount(target, self.sizes), ..self.request }
    }

    /// Terms on the way to the last target: what is asked of a layer of its own grows with the common one.
    fn at(&self, own: &Competitor, target: Sparsity) -> Terms {
        let last = self.targets.shares.last().map_or(0.0, |last| last.get());
        let done = if target.get() < last { target.get() / last } else { 1.0 };
        let share = |share: Sparsity| Sparsity::new(share.get() * done).unwrap_or(share);
        Terms { ceiling: 1.0 - (1.0 - own.terms.ceiling) * done, own: own.terms.own.map(share), ..own.terms }
    }

    /// N of M has to be what the last prune leaves.
    fn check_pattern(&self) -> Result<(), Error> {
        let (Granularity::NOfM { n, m }, Some(last)) = (self.request.granularity, self.targets.shares.last()) else {
            return Ok(());
        };
        if ((1.0 - last.get()) * m as f64).round() as usize == n {
            return Ok(());
        }
        let (found, wanted) = (last.get(), 1.0 - n as f64 / m as f64);
        let why = format!("the last target is {found}, wanted {wanted}, which is what {n}:{m} leaves pruned");
        Err(Error::Meaning { key: "prune.schedule", why })
    }
}

/// A parameter that has a mask.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Masked {
    /// Its path.
    pub(crate) name: String,
    shape: Vec<usize>,
    /// MACs an image of each of its weights.
    positions: u64,
}

impl Masked {
    /// Its elements.
    pub(crate) fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

fn named(own: &Competitor, terms: Terms) -> (&str, &[usize], Terms) {
    (&own.name, &own.shape, terms)
}

/// Refuses a choice of some of the layers whose units go together.
fn check_whole(groups: &[UnitGroup], chosen: &[&str]) -> Result<(), Error> {
    for group in groups {
        let (with, without): (Vec<&str>, Vec<&str>) =
            group.computing().map(|own| own.name.as_str()).partition(|name| chosen.contains(name));
        if let (Some(with), Some(without)) = (with.first(), without.first()) {
            let why = format!(
                "the filters of `{with}` and `{without}` go together, since their outputs are added or belong to the same \
                 channels; expected both or neither, found `{with}` alone"
            );
            return Err(Error::Meaning { key: "prune.include", why });
        }
    }
    Ok(())
}

/// Each override with the names that its pattern fits.
fn overrides<'a>(layers: &'a [Override], names: &[&'a str]) -> Result<Vec<(Vec<&'a str>, &'a Override)>, Error> {
    let fits = |own: &'a Override| {
        let pattern = Selection { include: vec![own.pattern.clone()], exclude: vec![] };
        Ok((pattern.choose(names)?, own))
    };
    layers.iter().map(fits).collect()
}

/// The parameters that patterns choose from. Batch normalisation is not among them: it goes with the channels that it
/// normalises.
pub(crate) fn prunable(graph: &Graph) -> impl Iterator<Item = &Parameter> {
    graph.parameters().iter().filter(|own| match own.role {
        Role::Weight | Role::Bias => true,
        Role::Scale | Role::Shift | Role::Mean | Role::Variance | Role::Table => false,
    })
}

/// MACs an image of each value of a parameter.
fn positions(graph: &Graph, name: &str) -> u64 {
    graph.parameters().iter().position(|own| own.name == name).map_or(0, |place| graph.positions(place) as u64)
}

#[cfg(test)]
#[path = "pruning_tests.rs"]
mod tests;
