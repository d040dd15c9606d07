//! Targets of whole units, with what goes along: what is asked for, and what can be reached whatever the scores are.

use super::{Competitor, Masked, Pruning};
use crate::Error;
use secateur_pruner::{Amount, MaskSet, Measure, Sparsity};

/// What is to be gone of whole units, with all that goes along.
struct Goal {
    wanted: u64,
    total: u64,
    /// What the largest unit takes along, itself included.
    largest: u64,
    macs: bool,
}

impl Goal {
    fn unit(&self) -> &'static str {
        if self.macs { "MACs" } else { "weights" }
    }
}

impl Pruning {
    /// Refuses masks of which more whole units are gone than a target leaves, by more than the largest unit explains.
    pub(super) fn check_gone(&self, masks: &MaskSet, target: Sparsity) -> Result<(), Error> {
        if self.couplings.is_empty() {
            return Ok(());
        }
        let gone =
            |own: &Masked| masks.get(&own.name).map_or(0, |mask| self.cost(own) * (mask.total() - mask.kept()) as u64);
        let (gone, goal) = (self.masked.iter().map(gone).sum::<u64>(), self.goal(target));
        if gone.saturating_sub(goal.wanted) > if goal.macs { goal.largest } else { goal.largest / 2 } {
            let (place, unit) = ("all layers, with what goes along".into(), goal.unit());
            let [pruned, wanted, total] = [gone, goal.wanted, goal.total].map(|count| count as usize);
            return Err(secateur_pruner::Error::Grows { place, pruned, wanted, total, unit }.into());
        }
        Ok(())
    }

    /// What a prune of whole units to this target is after.
    fn goal(&self, target: Sparsity) -> Goal {
        let total = self.masked.iter().map(|own| self.cost(own) * own.size() as u64).sum();
        let wanted = match self.request(target).amount {
            Amount::Macs(macs) => macs,
            Amount::Weights(count) => count as u64,
            Amount::Share(share) => share.count(total as usize) as u64,
        };
        let largest = self.competitors.iter().map(|own| self.along(own)).max().unwrap_or(0);
        Goal { wanted, total, largest, macs: self.targets.measure == Measure::Macs }
    }

    /// Refuses a target of whole units that is out of reach, whatever the scores are, by more than half of the largest unit:
    /// nearer no target comes either.
    pub(super) fn reach(&self, target: Sparsity) -> Result<(), Error> {
        let (goal, [least, most]) = (self.goal(target), self.range(target));
        let Goal { wanted, total, largest, macs } = goal;
        // Of a budget of MACs less is no use, and more is none to complain of.
        let (short, over) = (wanted.saturating_sub(most), least.saturating_sub(wanted));
        if short > if macs { 0 } else { largest / 2 } || over > largest / 2 && !macs {
            let (place, unit) = ("all layers, with what goes along".into(), goal.unit());
            return Err(secateur_pruner::Error::Impossible { place, wanted, total, least, most, unit }.into());
        }
        Ok(())
    }

    /// What a unit of a competing layer takes along, itself included.
    fn along(&self, own: &Competitor) -> u64 {
        let units = own.shape[own.terms.layout.output].max(1);
        let taken = |name: &str| {
            let masked = self.masked.iter().find(|masked| masked.name == name);
            masked.map_or(0, |masked| self.cost(masked) * (masked.size() / units) as u64)
        };
        let sets = self.couplings.iter().filter(|coupling| coupling.from == own.name);
        taken(&own.name) + sets.map(|coupling| taken(&coupling.to)).sum::<u64>()
    }

    /// What is gone of full masks when every layer loses as few units as it has to, and as many as it may.
    fn range(&self, target: Sparsity) -> [u64; 2] {
        let gone = |end: usize| {
            // Units that a competing layer keeps, and all of them.
            let units = |name: &str| {
                let own = self.competitors.iter().find(|own| own.name == name)?;
                let (terms, units) = (self.at(own, target), own.shape[own.terms.layout.output]);
                Some((units - terms.units(&own.shape, self.request.min_kept)[end], units))
            };
            // Of a parameter stays what its own units and those that it reads have in common.
            let kept = |own: &Masked| {
                let read = self.couplings.iter().filter(|coupling| coupling.to == own.name);
                let all = read.map(|coupling| &coupling.from).chain([&own.name]).filter_map(|name| units(name));
                all.fold(own.size(), |size, (kept, units)| size / units.max(1) * kept)
            };
            self.masked.iter().map(|own| self.cost(own) * (own.size() - kept(own)) as u64).sum()
        };
        [gone(0), gone(1)]
    }
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
