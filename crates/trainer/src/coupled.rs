//! Whole units, with what goes along: what that is, and how much to select so that the target is what is gone in the end.
//!
//! A filter takes its bias and what reads it, so that more goes than was selected, by how much depends on which. The more
//! is selected, the more goes, so the amount is found by halving.

use crate::Error;
use secateur_pruner::{Coupling, Error as Refusal, MaskSet};
use secateur_sparse::{Layer, Network};

/// What is wanted of masks.
pub(crate) struct Goal<C> {
    /// What is gone afterwards.
    pub(crate) wanted: u64,
    /// Whether less than that is no use, as of a budget of MACs; otherwise the nearest count will do.
    pub(crate) enough: bool,
    /// What is gone in masks.
    pub(crate) gone: C,
    /// What the counts count, for errors.
    pub(crate) unit: &'static str,
    /// All that could go.
    pub(crate) total: u64,
    /// What the largest unit takes along, itself included: a count is as near as units come within half of it.
    pub(crate) largest: u64,
}

impl<C: Fn(&MaskSet) -> u64> Goal<C> {
    /// The masks that come nearest to the goal; `select` gives those that an amount selects within `old`, with what goes
    /// along.
    ///
    /// # Errors
    /// When what each layer keeps at least does not let it come near, or `select` refuses for another reason than its amount.
    pub(crate) fn search(
        &self,
        old: &MaskSet,
        mut select: impl FnMut(u64) -> Result<MaskSet, Refusal>,
    ) -> Result<MaskSet, Error> {
        let begun = (self.gone)(old);
        if begun >= self.wanted {
            return Ok(old.clone());
        }
        let mut best = (self.far(begun), old.clone());
        let mut most = begun;
        let (mut low, mut high, mut amount) = (0, self.wanted, self.wanted);
        while low < high {
            match select(amount) {
                // Less is selected than is gone already, or than has to go.
                Err(Refusal::Grows { .. }) => low = amount + 1,
                Err(Refusal::Impossible { wanted, least, .. }) if wanted < least => low = amount + 1,
                Err(Refusal::Impossible { .. }) => high = amount,
                Err(other) => return Err(other.into()),
                Ok(masks) => {
                    let gone = (self.gone)(&masks);
                    let far = self.far(gone);
                    most = most.max(gone);
                    if far < best.0 {
                        best = (far, masks);
                    }
                    if gone < self.wanted { low = amount + 1 } else { high = amount }
                }
            }
            amount = low + (high - low) / 2;
        }
        let near = if self.enough { best.0 < u64::MAX } else { best.0 <= self.largest / 2 };
        if !near {
            let (wanted, total) = (self.wanted, self.total);
            let place = "all layers, with what goes along".into();
            return Err(Refusal::Impossible { place, wanted, total, least: 0, most, unit: self.unit }.into());
        }
        Ok(best.1)
    }

    /// How far such a count is from the goal.
    fn far(&self, gone: u64) -> u64 {
        if self.enough && gone < self.wanted { u64::MAX } else { gone.abs_diff(self.wanted) }
    }
}

/// Turns floors of weights into floors of units: what a layer keeps is the share of its own units times that of those it
/// reads, so that where both may go each keeps the root of it.
pub(crate) fn floors_of_units(floors: &mut [(&str, &mut f64)], couplings: &[Coupling]) {
    let asked: Vec<f64> = floors.iter().map(|(_, floor)| **floor).collect();
    for (place, floor) in asked.into_iter().enumerate() {
        let Some(read) = couplings.iter().find(|own| own.to == floors[place].0) else { continue };
        let both = [read.to.as_str(), read.from.as_str()];
        for (_, own) in floors.iter_mut().filter(|(name, _)| both.contains(name)) {
            **own = own.max(floor.sqrt());
        }
    }
}

/// What goes along with the filters and neurons of the layers that compete: biases, and what reads them.
pub(crate) fn couplings(network: &Network, competes: impl Fn(&str) -> bool) -> Result<Vec<Coupling>, Error> {
    let mut found = vec![];
    let mut before: Option<(&str, usize, usize)> = None;
    for (place, layer) in network.layers().iter().enumerate() {
        let Some(own) = layer.parameters() else { continue };
        let weight = format!("{}.weight", own.name);
        let linear = matches!(layer, Layer::Linear(_));
        if let Some((from, output, units)) = before {
            // Through a flatten a channel is as many features as it has pixels.
            let [channels, height, width] = network.shape(place);
            let spread = if linear { channels * height * width / units.max(1) } else { 1 };
            let input = usize::from(!linear);
            found.push(Coupling { from: format!("{from}.weight"), output, to: weight.clone(), input, spread });
        }
        let output = usize::from(linear);
        found.push(Coupling { from: weight, output, to: format!("{}.bias", own.name), input: 0, spread: 1 });
        before = Some((own.name, output, own.bias.len()));
    }
    if let Some((last, ..)) = before.filter(|(last, ..)| competes(&format!("{last}.weight"))) {
        let why = format!("the neurons of `{last}` are the answers, wanted \"{last}.*\" excluded");
        return Err(Error::Meaning { key: "prune.exclude", why });
    }
    found.retain(|own| competes(&own.from));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_pruner::Mask;

    /// Selecting `n` prunes twice as many and one more of 100 elements, but no more than `most`.
    fn select(n: u64, most: u64) -> Result<MaskSet, Refusal> {
        let gone = if n == 0 { 0 } else { (2 * n + 1).min(100) };
        if gone > most {
            let place = "w".into();
            return Err(Refusal::Impossible { place, wanted: n, total: 100, least: 0, most, unit: "weights" });
        }
        Ok(MaskSet::new(vec![("w".into(), Mask::from_fn(&[100], |index| index as u64 >= gone))]))
    }

    fn search(wanted: u64, enough: bool, most: u64) -> Result<u64, String> {
        let gone = |masks: &MaskSet| masks.pruned() as u64;
        let goal = Goal { wanted, enough, gone, unit: "weights", total: 100, largest: 3 };
        let old = MaskSet::new(vec![("w".into(), Mask::full(&[100]))]);
        goal.search(&old, |n| select(n, most)).map(|masks| gone(&masks)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_nearest_count_or_the_first_that_is_enough_is_found() {
        for wanted in 1..100 {
            let reached: Vec<u64> = (0..=50).map(|n| if n == 0 { 0 } else { (2 * n + 1).min(100) }).collect();
            let nearest = reached.iter().map(|gone| gone.abs_diff(wanted)).min();
            assert_eq!(search(wanted, false, 100).map(|gone| gone.abs_diff(wanted)).ok(), nearest, "{wanted}");
            let enough = reached.iter().copied().filter(|gone| *gone >= wanted).min();
            assert_eq!(search(wanted, true, 100).ok(), enough, "{wanted}");
        }
    }

    #[test]
    fn what_has_to_go_is_not_taken_for_too_much() {
        let gone = |masks: &MaskSet| masks.pruned() as u64;
        let goal = Goal { wanted: 50, enough: false, gone, unit: "weights", total: 100, largest: 3 };
        let old = MaskSet::new(vec![("w".into(), Mask::full(&[100]))]);
        let refuse = |wanted| Refusal::Impossible {
            place: "w".into(),
            wanted,
            total: 100,
            least: 20,
            most: 100,
            unit: "weights",
        };
        let found = goal.search(&old, |n| if n < 20 { Err(refuse(n)) } else { select(n, 100) }).expect("possible");
        assert!(gone(&found).abs_diff(50) <= 1, "{found:?}");
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        let error = search(50, false, 30).expect_err("29 is the most");
        assert!(error.contains("50") && error.contains("29"), "{error}");
        assert!(search(50, true, 50).is_err(), "51 is the first that is enough");
        assert_eq!(search(30, false, 29), Ok(29), "a count that is as near will do");
    }
}
