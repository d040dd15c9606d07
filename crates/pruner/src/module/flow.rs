//! Criteria that compute with the module itself: SynFlow without data, GraSP with a loss, and pruning in rounds, which
//! both were made for.

use super::gradients::own_copy;
use super::layers::module_terms;
use super::prune::attached;
use crate::{
    Amount, Error, Gradients, Mask, MaskSet, Parameter, Request, Saliency, Scope, Sparsity, choose_by, masks,
    parameters, set_masks, set_parameters,
};
use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// SynFlow (Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow", 2020):
/// `w dR/dw`, where `R` is the sum of the outputs for an input of ones, with all weights, biases and statistics replaced
/// by their absolute values.
///
/// `outputs` is given such a copy, on an autodiff device, and computes its outputs for ones; layers that behave otherwise
/// in training (normalisation, dropout) behave as at inference. The score was made for many small prunes: see
/// [`prune_in_rounds`].
///
/// # Errors
/// When the outputs do not depend on the copy, or a score is not finite: sums of products over all paths leave the range
/// of f32 in very deep or wide networks.
pub fn synflow<M: Module, const D: usize>(
    module: &M,
    outputs: impl FnOnce(&M) -> Tensor<D>,
) -> Result<Saliency, Error> {
    let mut weights = parameters(&own_copy(module));
    for own in &mut weights {
        own.check_finite("weight")?;
        own.values.iter_mut().for_each(|value| *value = value.abs());
    }
    let positive = set_parameters(own_copy(module), &weights)?.map(&mut AtInference);
    let gradients = Gradients::of(&positive, |copy| outputs(copy).sum())?;
    // Not every activation rises; where one falls, the size of the flow counts.
    Saliency::gradient(&weights, &gradients)
}

/// Layers with a state of training behave as at inference, on an autodiff device, too.
struct AtInference;

impl ModuleMapper for AtInference {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        flag.with_value(false)
    }
}

/// Share of the weights' norm by which [`grasp`] steps along the gradient to see the gradient change.
const STEP: f64 = 1.0 / 256.0;

/// GraSP (Wang, Zhang & Grosse, "Picking winning tickets before training by preserving gradient flow", 2020): `w (H g)`,
/// where `g` is the loss's gradient and `H` its second derivative. What it removes first are the weights without which
/// the norm of the gradient grows, so scores have a sign.
///
/// `H g` is a central difference of gradients, `(g(w + e g) - g(w - e g)) / 2e`, with a step of 1/256 of the weights' norm:
/// three gradients, no second derivatives. The authors' code divides the logits by a temperature of 200 and draws as many
/// images of each class; here both are what `loss` makes of them. `g` runs over the masked parameters, pruned weights rest; without masks it runs
/// over all. `loss` is called three times and has to be the same function: the same batch, no dropout.
///
/// # Errors
/// When the loss has no gradient, that of a masked parameter is missing, or a number is not finite.
pub fn grasp<M: Module>(module: &M, loss: impl Fn(&M) -> Tensor<1>) -> Result<Saliency, Error> {
    let all = parameters(&own_copy(module));
    let masks = masks(module);
    let gradients = Gradients::of(module, &loss)?;
    let mut direction: Vec<Parameter> = gradients.iter().cloned().collect();
    if masks.total() > 0 {
        direction.retain(|own| masks.get(&own.name).is_some());
        for own in &mut direction {
            masks.get(&own.name).expect("only masked ones are left").zero_pruned(&mut own.values);
        }
    }
    let along = |own: &Parameter| direction.iter().find(|other| other.name == own.name);
    let weights: Vec<Parameter> = all.iter().filter(|own| along(own).is_some()).cloned().collect();
    let length = norm(&direction);
    if length == 0.0 {
        return Saliency::of(&weights, |own| vec![0.0; own.values.len()]);
    }
    let step = STEP * norm(&weights) / length;
    let gradients_at = |step: f64| {
        let mut moved = all.clone();
        for own in &mut moved {
            let Some(direction) = along(own) else { continue };
            for (value, change) in own.values.iter_mut().zip(&direction.values) {
                *value = (f64::from(*value) + step * f64::from(*change)) as f32;
            }
        }
        Gradients::of(&set_parameters(own_copy(module), &moved)?, &loss)
    };
    let (after, before) = (gradients_at(step)?, gradients_at(-step)?);
    Saliency::of(&weights, |own| {
        let [after, before] = [&after, &before].map(|gradients| gradients.get(&own.name).map(|own| &own.values[..]));
        let pairs = after.unwrap_or_default().iter().zip(before.unwrap_or_default());
        let second = pairs.map(|(after, before)| (f64::from(*after) - f64::from(*before)) / (2.0 * step));
        own.values.iter().zip(second).map(|(weight, second)| (f64::from(*weight) * second) as f32).collect()
    })
}

fn norm(numbers: &[Parameter]) -> f64 {
    numbers.iter().flat_map(|own| &own.values).map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// Prunes the masked parameters of a module by scores; [`crate::prune`] is its twin for criteria that need only weights.
/// Single weights go, and no layer is emptied.
///
/// Returns the module and its new masks, which lie within the old ones.
///
/// # Errors
/// When the module has no masks, a masked parameter has no score, or the sparsity is below what is pruned already. When
/// scores have a sign and the scope calculates with them, as [`Scope::GlobalNormalised`] and [`Scope::MacAware`] do.
pub fn prune_by<M: Module>(
    module: M,
    saliency: &Saliency,
    scope: Scope,
    sparsity: Sparsity,
) -> Result<(M, MaskSet), Error> {
    let new = by_scores(&module, saliency, &attached(&module)?, &Request::new(scope, Amount::Share(sparsity)))?;
    Ok((set_masks(module, &new)?, new))
}

/// The masks that a request leaves of a module's `old` ones by these scores, all parameters on free terms.
pub(crate) fn by_scores<M: Module>(
    module: &M,
    saliency: &Saliency,
    old: &MaskSet,
    request: &Request,
) -> Result<MaskSet, Error> {
    if let Some((name, index, value)) = saliency.negative(old).filter(|_| request.scope.calculates()) {
        return Err(Error::Signed { name: name.into(), index, value, scope: request.scope });
    }
    let mut kept = saliency.kept(old)?.into_iter();
    // Asked for in the order of the set, in which they stand.
    let scores = |_, _: &str, _: &Mask| Ok(kept.next().unwrap_or_default());
    choose_by(scores, old, request, module_terms(module, old, request)?)
}

/// Prunes in `rounds`, each of which removes the same share of what remains and scores what the one before has left.
///
/// # Errors
/// When there is no round, the module has no masks, `saliency` or a prune fails.
pub fn prune_in_rounds<M: Module>(
    mut module: M,
    scope: Scope,
    sparsity: Sparsity,
    rounds: u32,
    saliency: impl Fn(&M) -> Result<Saliency, Error>,
) -> Result<(M, MaskSet), Error> {
    let mut set = attached(&module)?;
    for target in in_rounds(set.kept() as f64 / set.total() as f64, sparsity, rounds)? {
        let scores = saliency(&module)?;
        (module, set) = prune_by(module, &scores, scope, target)?;
    }
    Ok((module, set))
}

/// The sparsities of the rounds of a prune: from density `start` down in equal factors. Where nothing is left, all are the last.
///
/// # Errors
/// When there is no round.
pub fn in_rounds(start: f64, last: Sparsity, rounds: u32) -> Result<Vec<Sparsity>, Error> {
    if rounds == 0 {
        return Err(Error::Schedule("there are 0 rounds, wanted at least 1".into()));
    }
    if start <= 0.0 {
        return Ok(vec![last; rounds as usize]);
    }
    let factor = (1.0 - last.get()) / start;
    let target = |round: u32| {
        let density = start * factor.powf(f64::from(round) / f64::from(rounds));
        if round == rounds { Ok(last) } else { Sparsity::new((1.0 - density).clamp(0.0, last.get())) }
    };
    (1..=rounds).map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_remove_the_same_share_of_what_remains() {
        let last = Sparsity::new(0.875).expect("in range");
        let shares = |start, rounds| {
            let targets = in_rounds(start, last, rounds).expect("targets");
            targets.into_iter().map(|target| (target.get() * 1e9).round() / 1e9).collect::<Vec<_>>()
        };
        assert_eq!(shares(1.0, 3), [0.5, 0.75, 0.875]);
        assert_eq!(shares(0.5, 2), [0.75, 0.875]);
        assert_eq!(shares(1.0, 1), [0.875]);
        assert_eq!(shares(0.0, 2), [0.875, 0.875]);
        assert!(in_rounds(1.0, last, 0).is_err());
    }
}
