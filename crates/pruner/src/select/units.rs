//! Whole output units one by one: the order in which they go. How much that is with all that is coupled to them is known
//! only once they have gone, so the order is asked for, not a threshold.

use super::checks::checked;
use super::group_scores::keys;
use super::groups::END;
use super::{Request, Scores, enter};
use crate::scope::density_factor;
use crate::{Error, Scope};
use std::cmp::Reverse;

/// The order in which the output units of some layers go.
pub(crate) struct Order {
    /// How many of the first go in any case, since their layers' terms say so.
    pub(crate) given: usize,
    /// The layer of each, and which of its units it is. What a layer may not lose, and what it has lost, is not among them.
    pub(crate) units: Vec<(usize, usize)>,
}

/// Where layers compete, units go in the order of their scores. Where they do not, each layer's own go in that order, and
/// the next layer to lose one is that whose density, over its factor, is the highest half-way through the loss. Ties keep
/// the lower (layer, unit).
///
/// # Errors
/// When a score has no place in an order, or the granularity does not fit a layer.
pub(crate) fn order(layers: &[Scores<'_>], request: &Request) -> Result<Order, Error> {
    let (mut given, mut rest) = (vec![], vec![]);
    for (place, layer) in checked(layers)?.iter().enumerate() {
        let entrant = enter(layer, request)?;
        let tiling = request.granularity.tiling(layer.name, layer.shape, layer.terms.layout)?;
        let keys = keys(&entrant, &tiling, request);
        let mut living: Vec<(u32, Reverse<usize>)> =
            keys.into_iter().zip((0..).map(Reverse)).filter(|(key, _)| *key < END).collect();
        living.sort_unstable();
        let (units, gone) = (tiling.groups(), tiling.groups() - living.len());
        let [least, most] = match (request.scope, layer.terms.positions) {
            // What takes no MACs has nothing to give.
            (Scope::MacAware, 0) => [gone; 2],
            _ => layer.terms.units(layer.shape, request.min_kept),
        };
        let factor = density_factor(request.scope, layer.shape);
        for (after, (key, Reverse(unit))) in (gone + 1..).zip(living) {
            let rank = if request.scope.is_common() {
                f64::from(f32::from_bits(key))
            } else {
                -((units - after) as f64 + 0.5) / (units as f64 * factor)
            };
            if after <= least {
                given.push((place, unit));
            } else if after <= most {
                rest.push((rank, Reverse((place, unit))));
            }
        }
    }
    rest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let count = given.len();
    given.extend(rest.into_iter().map(|(_, Reverse(unit))| unit));
    Ok(Order { given: count, units: given })
}
