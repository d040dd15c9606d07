//! What a configuration may ask for and hardly means: found before the long part, told in a sentence, not refused.

use super::Experiment;
use crate::config::Length;
use crate::learning_rate::LrSchedule;
use crate::plan::Training;

/// Below this share of its base a learning rate as good as stands still.
const STILL: f64 = 1e-3;

/// The sentences, most severe first.
pub(super) fn of(experiment: &Experiment) -> Vec<String> {
    let all = [standing_still, short_of_warmup, few_images];
    all.into_iter().filter_map(|one| one(experiment)).collect()
}

/// Retraining that goes on after the end of the schedule which it rewinds to.
fn standing_still(experiment: &Experiment) -> Option<String> {
    let plan = experiment.plan();
    let last = |own: &&Training| experiment.rates(own)[2];
    let still = |own: &&Training| own.steps_after_schedule() > 0 && last(own) < STILL * own.lr;
    let steps: u64 = plan.trainings().filter(still).map(Training::steps_after_schedule).sum();
    let first = plan.trainings().find(still)?;
    Some(format!(
        "{steps} steps of retraining have a learning rate of {:.1e}: they come after the end of the dense training's schedule, \
         which `retrain.rewind_to` goes back into. Shorten `prune.every` and `retrain.final` to what is left of it, or give \
         `train.lr_schedule` a `floor`",
        last(&first)
    ))
}

/// Trainings that are over before the learning rate has risen.
fn short_of_warmup(experiment: &Experiment) -> Option<String> {
    let LrSchedule::Cosine { warmup, .. } = experiment.config().train.lr_schedule else { return None };
    let (short, all) = short_trainings(experiment, warmup);
    (short > 0 && short < all).then(|| {
        format!("`train.lr_schedule`: a warm-up of {warmup} is as long as {short} of the {all} trainings or longer; there the rate only rises")
    })
}

/// Trainings whose schedule is no longer than the warm-up, and all of them.
pub(super) fn short_trainings(experiment: &Experiment, warmup: Length) -> (usize, usize) {
    let plan = experiment.plan();
    let rise = warmup.steps(plan.epoch_steps);
    (plan.trainings().filter(|own| rise > 0 && own.schedule_total <= rise).count(), plan.trainings().count())
}

/// A training split that does not fill one batch.
fn few_images(experiment: &Experiment) -> Option<String> {
    let (images, batch) = (experiment.images().train, experiment.config().train.batch_size as u64);
    (images < batch).then(|| format!("fewer training images ({images}) than `train.batch_size` = {batch} are left"))
}
