//! Masks by whatever a criterion asks for: weights alone, or gradients and activations of the network as it is.
//!
//! What needs more than weights looks at a few training images, whose choice is a function of (seed, step): gradients by the
//! run's own device, the rest by a copy of the network on one of burn's. The selection is the pruner's.

use crate::config::{CriterionConfig, PruneConfig};
use crate::data::{self, Split};
use crate::device::Device;
use crate::engine::{BatchGradients, MOVEMENT, loss};
use crate::models::{self, Net};
use crate::pruning::Pruning;
use crate::state::State;
use crate::{Error, Experiment, seed};
use burn::tensor::Tensor;
use secateur_pruner::{
    Activations, Criterion, Exchange, Gradients, Mask, MaskSet, Parameter, Saliency, Sparsity, attach_masks, exchange,
    grasp, growth, in_rounds, parameters, score, set_masks, set_parameters, shuffle, synflow,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What scores are made from, besides a state.
pub(crate) struct Scoring<'a> {
    pub experiment: &'a Experiment,
    /// Images to look at.
    pub images: &'a Split,
    pub device: &'a Device,
    /// Scores that somebody else computed.
    pub given: Option<&'a Saliency>,
    /// Training steps so far; it names the images that are looked at, and regrowth's random numbers.
    pub step: u64,
}

type ByName = BTreeMap<String, Vec<f32>>;

/// Points by which a prune may miss its target without a word.
const FAR: f64 = 2.0;

impl Scoring<'_> {
    /// The masks of the prune that opens `cycle`, within the `old` ones that the state belongs to, in as many rounds as the
    /// config wants. Rounds begin at the density that is there.
    ///
    /// # Errors
    /// When a number is not finite, a score is missing, or the target cannot be reached.
    pub(crate) fn prune(&self, state: &State, old: &MaskSet, cycle: u64, target: Sparsity) -> Result<MaskSet, Error> {
        let (pruning, config) = self.parts();
        let root = self.experiment.config().seed;
        let number = seed::stream(root, "prune", cycle).next_u64();
        let targets = match config.rounds() {
            1 => vec![target],
            rounds => in_rounds(1.0 - pruning.share(old), target, rounds)?,
        };
        let (mut state, mut masks) = (Cow::Borrowed(state), old.clone());
        for (left, target) in (0..targets.len()).rev().zip(targets) {
            // Where layers do not compete, one may have lost more than a round's target, never more than the last one's.
            if left > 0 && pruning.check_masks(&masks, target).is_err() {
                continue;
            }
            let mut computed = self.computed(&state, &masks)?;
            let of_weights = |name: &str| pruning.criterion(name).and_then(CriterionConfig::of_weights);
            let scores = |place, name: &str, mask: &Mask| match of_weights(name) {
                Some(criterion) => score(criterion, name, state.living(name), mask, place, number),
                None => Ok(computed.remove(name).unwrap_or_default()),
            };
            let new = pruning.choose(scores, &masks, target)?;
            if left > 0 {
                state.to_mut().carry(&masks, &new);
            }
            masks = new;
        }
        if config.shuffle {
            masks = shuffle(old, &masks, seed::stream(root, "shuffle", cycle).next_u64())?;
        }
        let [found, expected] = [pruning.share(&masks), target.get()].map(|share| 100.0 * share);
        if (found - expected).abs() > FAR {
            tracing::warn!(
                "the prune of cycle {cycle} reaches {found:.2} %, its target is {expected:.2} %: whole units go with all that belongs \
                 to them, and no others may go that come nearer"
            );
        }
        Ok(masks)
    }

    /// The masks of a lower target: what lives stays, and of the rest the weights with the largest gradients come.
    ///
    /// # Errors
    /// When a gradient is not finite.
    pub(crate) fn grow(&self, state: &State, old: &MaskSet, target: Sparsity) -> Result<MaskSet, Error> {
        let full = full(old);
        if target.get() == 0.0 {
            return Ok(full);
        }
        let gradients = self.sizes_of_gradients(state, old)?;
        let scores = |_, name: &str, _: &Mask| match (old.get(name), gradients.get(name)) {
            (Some(mask), Some(sizes)) => growth(name, mask, sizes),
            _ => Ok(vec![]),
        };
        self.parts().0.choose(scores, &full, target)
    }

    /// Masks in which `share` of each layer's living weights has been exchanged.
    ///
    /// # Errors
    /// When a number is not finite.
    pub(crate) fn exchange(&self, state: &State, old: &MaskSet, share: f64) -> Result<MaskSet, Error> {
        let by_gradient = self.parts().1.regrow.is_some_and(|regrow| regrow.by_gradient());
        let mut sizes = if by_gradient { self.sizes_of_gradients(state, old)? } else { ByName::new() };
        let number = seed::stream(self.experiment.config().seed, "regrow", self.step).next_u64();
        let mut layers = vec![];
        for (place, (name, mask)) in old.iter().enumerate() {
            let living = score(Criterion::L1, name, state.living(name), mask, place, number)?;
            let all =
                || score(Criterion::Random, name, &vec![0.0; mask.total()], &Mask::full(mask.shape()), place, number);
            let growth = sizes.remove(name).map_or_else(all, Ok)?;
            layers.push(Exchange { name, mask, living, growth });
        }
        Ok(exchange(&layers, share)?)
    }

    fn parts(&self) -> (&Pruning, &PruneConfig) {
        let pruning = self.experiment.pruning().zip(self.experiment.config().prune.as_ref());
        pruning.expect("a plan prunes only when its config does")
    }

    /// The scores of the parameters whose criteria need more than weights, of what their masks keep.
    fn computed(&self, state: &State, masks: &MaskSet) -> Result<ByName, Error> {
        let (pruning, config) = self.parts();
        let mut found = ByName::new();
        for criterion in config.criteria().into_iter().filter(|own| own.of_weights().is_none()) {
            let own = |name: &str| pruning.criterion(name) == Some(criterion);
            let of = masks.iter().filter(|(name, _)| own(name)).map(|(name, mask)| (name.to_owned(), mask.clone()));
            let of = MaskSet::new(of.collect());
            let scores = self.saliency(criterion, state, masks)?.kept(&of)?;
            found.extend(of.iter().map(|(name, _)| name.to_owned()).zip(scores));
        }
        Ok(found)
    }

    /// The scores of a criterion that needs more than weights, of every weight.
    fn saliency(&self, criterion: CriterionConfig, state: &State, masks: &MaskSet) -> Result<Saliency, Error> {
        let net = || self.net(state, masks);
        match criterion {
            CriterionConfig::L1 | CriterionConfig::L2 | CriterionConfig::Random | CriterionConfig::Lamp => {
                unreachable!("{criterion} needs nothing but weights, and is scored by them")
            }
            CriterionConfig::Movement => {
                let moved = state.moments.iter().filter(|moment| moment.field == MOVEMENT);
                let whole = |moment: &crate::state::Moment| {
                    let mask = masks.get(&moment.parameter)?;
                    let values = mask.scatter(&moment.kept);
                    Some(Parameter { name: moment.parameter.clone(), shape: mask.shape().to_vec(), values })
                };
                Ok(Saliency::new(moved.filter_map(whole).collect())?)
            }
            CriterionConfig::Scores => self.given.cloned().ok_or_else(|| {
                let why = "the file of scores was not read".into();
                Error::Meaning { key: "prune.scores", why }
            }),
            CriterionConfig::Grasp => {
                // The loss over all images at once: its gradient is what has to keep flowing.
                let all = self.indices();
                let device = self.burn()?;
                Ok(grasp(&net()?, |net| loss(net, self.images, &all, &device))?)
            }
            CriterionConfig::Synflow => {
                let [channels, rows, columns] = self.images.shape();
                let ones = Tensor::ones([1, channels, rows, columns], &self.burn()?);
                Ok(synflow(&net()?, |net| net.forward(ones))?)
            }
            CriterionConfig::Wanda => {
                let (net, device) = (net()?, self.burn()?);
                let mut seen = Activations::new();
                for batch in self.batches() {
                    let (images, _) = models::tensors(self.images, &batch, &device);
                    net.watch(images, &mut seen)?;
                }
                Ok(seen.wanda(&parameters(&net))?)
            }
            CriterionConfig::Taylor => {
                let mut gradients = self.gradients(state, masks)?;
                let mut one = |batch: &[u32]| {
                    let found = gradients.of(batch)?;
                    Ok(Saliency::taylor(gradients.weights(), &found)?)
                };
                Ok(self.over_batches(&mut one, |sum, one| sum.add(one))?.unwrap_or(Saliency::new(vec![])?))
            }
            CriterionConfig::Snip => {
                let mut gradients = self.gradients(state, masks)?;
                let sum = self.sum_of(&mut gradients)?;
                Ok(Saliency::gradient(gradients.weights(), &sum)?)
            }
        }
    }

    /// The size of every weight's gradient, pruned ones included.
    fn sizes_of_gradients(&self, state: &State, masks: &MaskSet) -> Result<ByName, Error> {
        let sum = self.sum_of(&mut self.gradients(state, masks)?)?;
        let sizes = |own: &Parameter| (own.name.clone(), own.values.iter().map(|value| value.abs()).collect());
        Ok(sum.iter().map(sizes).collect())
    }

    /// The network as it is, for gradients of all its weights.
    fn gradients(&self, state: &State, masks: &MaskSet) -> Result<BatchGradients<'_>, Error> {
        BatchGradients::new(self.experiment, self.device, whole(state, masks), self.images)
    }

    /// The sum of the batches' gradients.
    fn sum_of(&self, gradients: &mut BatchGradients<'_>) -> Result<Gradients, Error> {
        let sum = self.over_batches(&mut |batch| gradients.of(batch), |sum, one| sum.add(one))?;
        Ok(sum.unwrap_or_default())
    }

    /// What the batches give, added up; `None` without an image.
    fn over_batches<T>(
        &self,
        one: &mut dyn FnMut(&[u32]) -> Result<T, Error>,
        add: impl Fn(&mut T, &T) -> Result<(), secateur_pruner::Error>,
    ) -> Result<Option<T>, Error> {
        let batches = self.batches();
        let Some((first, rest)) = batches.split_first() else { return Ok(None) };
        let mut sum = one(first)?;
        for batch in rest {
            add(&mut sum, &one(batch)?)?;
        }
        Ok(Some(sum))
    }

    /// The network as it is, masks attached, on a device of burn's.
    fn net(&self, state: &State, masks: &MaskSet) -> Result<Net, Error> {
        let names: Vec<&str> = masks.iter().map(|(name, _)| name).collect();
        let net = attach_masks(self.experiment.net(&self.burn()?)?, &names)?;
        Ok(set_masks(set_parameters(net, &whole(state, masks))?, masks)?)
    }

    fn burn(&self) -> Result<burn::tensor::Device, Error> {
        Ok(self.device.for_scores()?.autodiff())
    }

    /// The images that are looked at, in batches as in training.
    fn batches(&self) -> Vec<Vec<u32>> {
        let size = self.experiment.config().train.batch_size;
        self.indices().chunks(size).map(<[u32]>::to_vec).collect()
    }

    fn indices(&self) -> Vec<u32> {
        let number = seed::stream(self.experiment.config().seed, "calibration", self.step).next_u64();
        let mut all = data::order(self.images.len(), number, 0);
        all.truncate(self.parts().1.calibration);
        all
    }
}

/// Every parameter with its zeros.
fn whole(state: &State, masks: &MaskSet) -> Vec<Parameter> {
    state.parameters.iter().map(|own| own.clone().whole(masks)).collect()
}

/// The same masks with everything kept.
pub(crate) fn full(masks: &MaskSet) -> MaskSet {
    MaskSet::new(masks.iter().map(|(name, mask)| (name.to_owned(), Mask::full(mask.shape()))).collect())
}
