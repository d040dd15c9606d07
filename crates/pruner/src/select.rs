//! Chooses which weights stay. Pure: numbers in, bits out; no tensors, no clock, no files.
//!
//! Of single weights exactly the asked number goes, those with the lowest scores; ties keep the lower (layer, flat index).
//! Groups go whole: in the order of their scores, as long as the count comes nearer. What is pruned already stays so, and
//! a new mask lies within the old one.

mod checks;
mod elements;
mod group_scores;
mod groups;
mod histogram;
mod n_of_m;
mod outputs;
mod rows;
mod units;

use crate::scope::{Bounds, Stake, allot, density_factor};
use crate::target::Amount;
use crate::{Error, Granularity, GroupScore, Mask, MaskSet, Scope, Sparsity, Terms, Tiling};
pub(crate) use checks::check_scores;
use checks::checked;
pub(crate) use units::order;

/// The scores of one layer.
#[derive(Clone, Debug)]
pub struct Scores<'a> {
    /// Path of the parameter.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// One score for each weight that `within` keeps, in order; finite and not negative, which a selection checks.
    pub scores: Vec<f32>,
    /// The mask that the new one has to lie within.
    pub within: &'a Mask,
    /// On which terms it competes.
    pub terms: Terms,
}

/// What is asked of a selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// What goes as one.
    pub granularity: Granularity,
    /// How the scores of a group become one.
    pub group_score: GroupScore,
    /// Who competes with whom.
    pub scope: Scope,
    /// How much is pruned afterwards.
    pub amount: Amount,
    /// Weights that every layer keeps at least.
    pub min_kept: usize,
}

impl Request {
    /// Single weights; no layer is emptied.
    pub fn new(scope: Scope, amount: Amount) -> Self {
        let granularity = Granularity::Element {};
        Self { granularity, group_score: GroupScore::L1, scope, amount, min_kept: 1 }
    }
}

/// A layer of a competition.
struct Entrant<'a, 's> {
    layer: &'a Scores<'s>,
    /// Its scores are multiplied by this.
    scale: f64,
    /// What one of its weights costs of the amount.
    cost: u64,
    /// Weights that count as pruned already.
    pruned: usize,
    bounds: Bounds,
}

/// The masks that leave the asked amount pruned, one for each of `layers`, in their order.
///
/// # Errors
/// When less would be pruned than is pruned already: masks never grow back. When the layers' terms forbid the amount, or
/// the granularity does not fit a layer. When a score is negative, infinite or not a number.
///
/// # Panics
/// When a layer has not one score for each weight that it keeps.
pub fn select(layers: &[Scores<'_>], request: &Request) -> Result<MaskSet, Error> {
    for layer in layers {
        let (scores, kept) = (layer.scores.len(), layer.within.kept());
        assert!(scores == kept, "`{}` has {scores} scores for {kept} weights", layer.name);
        assert!(layer.shape == layer.within.shape(), "`{}` has a mask of another shape", layer.name);
    }
    let layers = &*checked(layers)?;
    if let Granularity::NOfM { n, m } = request.granularity {
        return n_of_m::select(layers, request, [n, m]);
    }
    let entrants = layers.iter().map(|layer| enter(layer, request)).collect::<Result<Vec<_>, _>>()?;
    let masks = if request.scope.is_common() {
        let wanted = match request.amount {
            Amount::Share(share) => share.count(entrants.iter().map(|own| own.bounds.size).sum()) as u64,
            Amount::Weights(count) => count as u64,
            Amount::Macs(macs) => macs,
        };
        compete(&entrants, wanted, request)?
    } else {
        let mut masks = Vec::with_capacity(layers.len());
        for (entrant, wanted) in entrants.iter().zip(shares(&entrants, request)?) {
            let alone = Request { amount: Amount::Weights(wanted), ..*request };
            let own = Entrant { cost: 1, ..*entrant };
            masks.extend(compete(std::slice::from_ref(&own), wanted as u64, &alone)?);
        }
        masks
    };
    Ok(MaskSet::new(layers.iter().map(|layer| layer.name.to_owned()).zip(masks).collect()))
}

fn enter<'a, 's>(layer: &'a Scores<'s>, request: &Request) -> Result<Entrant<'a, 's>, Error> {
    let tiling = tiling(layer.name, layer.shape, &layer.terms, request)?;
    let pruned = group_scores::pruned(layer.within, &tiling);
    let mut bounds = Bounds::new(&layer.terms, layer.within.total(), pruned, request.min_kept, tiling.largest());
    let in_macs = matches!(request.amount, Amount::Macs(_));
    let cost = if in_macs { layer.terms.positions } else { 1 };
    let mut scale = 1.0;
    if request.scope == Scope::MacAware {
        match layer.terms.positions {
            // What takes no MACs has nothing to give.
            0 => (bounds.least, bounds.most) = (pruned, pruned),
            positions => scale = per_mac(&layer.scores, positions),
        }
    }
    if request.scope == Scope::GlobalNormalised && tiling.largest() <= 1 {
        let sum = layer.scores.iter().fold(0.0, |sum, score| sum + f64::from(*score));
        scale = over_mean((sum, layer.scores.len()));
    }
    Ok(Entrant { layer, scale, cost, pruned, bounds })
}

/// The groups of a layer.
fn tiling(name: &str, shape: &[usize], terms: &Terms, request: &Request) -> Result<Tiling, Error> {
    let granularity = request.granularity;
    if request.scope == Scope::Output && granularity != (Granularity::Element {}) {
        let why = "the scope `output` compares single weights".into();
        return Err(Error::Granularity { name: name.into(), granularity: granularity.to_string(), why });
    }
    granularity.tiling(name, shape, terms.layout)
}

/// By what a layer's scores are multiplied so that their squares are shares of the layer's own sum, a MAC.
fn per_mac(scores: &[f32], positions: u64) -> f64 {
    let whole: f64 = scores.iter().map(|score| f64::from(*score).powi(2)).sum();
    if whole > 0.0 { 1.0 / (positions as f64 * whole).sqrt() } else { 1.0 }
}

/// One over the mean of scores with this sum and number; 1 where there is none.
fn over_mean((sum, count): (f64, usize)) -> f64 {
    if sum > 0.0 { count as f64 / sum } else { 1.0 }
}

/// How many weights each layer has pruned, where layers do not compete with each other.
fn shares(entrants: &[Entrant<'_, '_>], request: &Request) -> Result<Vec<usize>, Error> {
    if let (Scope::Layerwise | Scope::Output, Amount::Share(share)) = (request.scope, request.amount) {
        let own = |entrant: &Entrant<'_, '_>| layerwise(share, &entrant.layer.terms, entrant.pruned, entrant.bounds);
        return Ok(entrants.iter().map(own).collect());
    }
    let whole: u64 = entrants.iter().map(|own| own.cost * own.bounds.size as u64).sum();
    let wanted = match request.amount {
        Amount::Share(share) => share.count(whole as usize) as u64,
        Amount::Weights(count) => count as u64,
        Amount::Macs(macs) => macs,
    };
    let single = request.granularity == (Granularity::Element {});
    // Whole groups have rounded what is pruned already; each layer is held to its own count below.
    let mut entrants: Vec<Entrant<'_, '_>> = entrants.iter().map(|own| Entrant { ..*own }).collect();
    for own in entrants.iter_mut().filter(|_| !single) {
        let largest = groups::largest(own, request) as usize;
        own.bounds = Bounds::new(&own.layer.terms, own.bounds.size, 0, request.min_kept, largest);
        own.pruned = 0;
    }
    let wanted = check(&entrants, wanted, request)?;
    let stake = |own: &Entrant<'_, '_>| Stake {
        bounds: own.bounds,
        factor: density_factor(request.scope, own.layer.shape),
        cost: own.cost,
    };
    Ok(allot(&entrants.iter().map(stake).collect::<Vec<_>>(), whole.saturating_sub(wanted)))
}

/// How many weights a layer has pruned that gives its own share, within its bounds but for what is pruned already.
fn layerwise(share: Sparsity, terms: &Terms, pruned: usize, bounds: Bounds) -> usize {
    let wanted = terms.own.unwrap_or(share).count(bounds.size);
    // Below what is pruned already it is the caller's fault, and said there.
    if wanted < pruned { wanted } else { wanted.clamp(bounds.least, bounds.most) }
}

/// Prunes the layers of one competition until `wanted` of their cost is pruned.
fn compete(entrants: &[Entrant<'_, '_>], wanted: u64, request: &Request) -> Result<Vec<Mask>, Error> {
    let wanted = check(entrants, wanted, request)?;
    // Groups of one weight are weights, except that one that costs nothing stays.
    let single = |own: &Entrant<'_, '_>| own.cost > 0 && groups::largest(own, request) <= 1;
    let elements = request.granularity == (Granularity::Element {}) || entrants.iter().all(single);
    Ok(match request.scope {
        Scope::Output => entrants.iter().map(|own| outputs::prune(own, wanted as usize)).collect(),
        Scope::Layerwise | Scope::Global | Scope::GlobalNormalised | Scope::Erk | Scope::MacAware => match elements {
            true => elements::prune(entrants, wanted),
            false => groups::prune(entrants, wanted, request),
        },
    })
}

/// Refuses an amount that cannot be reached. What is pruned already may exceed it by what one whole group brings.
fn check(entrants: &[Entrant<'_, '_>], wanted: u64, request: &Request) -> Result<u64, Error> {
    let sum =
        |of: &dyn Fn(&Entrant<'_, '_>) -> usize| entrants.iter().map(|own| own.cost * of(own) as u64).sum::<u64>();
    let (total, pruned) = (sum(&|own| own.bounds.size), sum(&|own| own.pruned));
    let place = match entrants {
        [one] => format!("`{}`", one.layer.name),
        _ => "all layers".into(),
    };
    let unit = unit(request);
    let largest = entrants.iter().map(|own| own.cost * groups::largest(own, request)).max().unwrap_or(0);
    if wanted < pruned {
        let excess = pruned - wanted;
        let borne = if unit == "MACs" { excess < largest } else { excess * 2 <= largest && largest > 1 };
        if !borne {
            let [pruned, wanted, total] = [pruned, wanted, total].map(|count| count as usize);
            return Err(Error::Grows { place, pruned, wanted, total, unit });
        }
        return Ok(pruned);
    }
    let (least, most) = (sum(&|own| own.bounds.least), sum(&|own| own.bounds.most));
    if unit == "weights" && wanted > most && (wanted - most) * 2 <= largest && largest > 1 {
        return Ok(most);
    }
    if wanted > most || (wanted < least && unit == "weights") {
        return Err(Error::Impossible { place, wanted, total, least, most, unit });
    }
    Ok(wanted)
}

fn unit(request: &Request) -> &'static str {
    match request.amount {
        Amount::Share(_) | Amount::Weights(_) => "weights",
        Amount::Macs(_) => "MACs",
    }
}

/// What a selection from full masks will do, as far as it is known without scores: the weights that the competing
/// parameters, given by name, shape and terms, keep. That is so for N of M, and for single weights counted in weights.
///
/// # Errors
/// When no selection can serve the request.
pub fn planned(layers: &[(&str, &[usize], Terms)], request: &Request) -> Result<Option<usize>, Error> {
    if let Granularity::NOfM { n, m } = request.granularity {
        return n_of_m::planned(layers, request, [n, m]).map(Some);
    }
    let (mut bounds, mut largest) = (Vec::with_capacity(layers.len()), vec![]);
    for (name, shape, terms) in layers {
        let tiling = tiling(name, shape, terms, request)?;
        largest.push(tiling.largest());
        bounds.push(Bounds::new(terms, shape.iter().product(), 0, request.min_kept, tiling.largest()));
    }
    let single = request.granularity == (Granularity::Element {});
    if let (Scope::Layerwise | Scope::Output, Amount::Share(share)) = (request.scope, request.amount) {
        let kept =
            |((_, _, terms), own): (&(&str, &[usize], Terms), &Bounds)| own.size - layerwise(share, terms, 0, *own);
        return Ok(single.then(|| layers.iter().zip(&bounds).map(kept).sum()));
    }
    let unit = unit(request);
    let sum = |of: &dyn Fn(&Bounds) -> usize| {
        let cost = |terms: &Terms| if unit == "MACs" { terms.positions } else { 1 };
        layers.iter().zip(&bounds).map(|((_, _, terms), own)| cost(terms) * of(own) as u64).sum::<u64>()
    };
    let (total, least, most) = (sum(&|own| own.size), sum(&|own| own.least), sum(&|own| own.most));
    let wanted = match request.amount {
        Amount::Share(share) => share.count(total as usize) as u64,
        Amount::Weights(count) => count as u64,
        Amount::Macs(macs) => macs,
    };
    // As when they are chosen: whole groups may come as near as half of the largest.
    let largest = largest.iter().max().map_or(0, |largest| *largest as u64);
    let near = unit == "weights" && largest > 1 && wanted > most && (wanted - most) * 2 <= largest;
    if (wanted > most || (wanted < least && unit == "weights")) && !near {
        return Err(Error::Impossible { place: "all layers".into(), wanted, total, least, most, unit });
    }
    Ok((single && unit == "weights").then_some((total - wanted) as usize))
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;

#[cfg(test)]
mod twins;
