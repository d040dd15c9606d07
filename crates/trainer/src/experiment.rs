//! What a configuration means: the words checked against each other, the plan computed, nothing run yet.

mod warnings;

use crate::config::words;
use crate::config::{
    CriterionConfig, DecayOf, DistillationConfig, ExperimentConfig, Keep, Labels, Normalisation, PruneConfig, Retrain,
    Source as DataSource, Teacher, Zeros, is_calibration,
};
use crate::data::Description;
use crate::device::{self, Device};
use crate::learning_rate::LrSchedule;
use crate::models::{self, Net, Source};
use crate::observer::{Observer, Silent};
use crate::optimizer::{OptimizerConfig, rate_fault};
use crate::plan::{Plan, Planned, Stage, Training};
use crate::pruning::{Masked, Pruning};
use crate::{Error, data, export, start, state, teacher};
use secateur_graph::{Graph, Op, Weights};
use secateur_pruner::Sparsity;
use secateur_report::event;
use std::sync::{Arc, OnceLock};

/// Largest batch that is accepted; beyond it memory, not sense, is the limit.
const LARGEST_BATCH: usize = 65_536;

/// Most threads that are asked of the system, and of the device `cpu`.
const MOST_THREADS: usize = 1024;

/// A configuration that makes sense, with its plan.
#[derive(Clone, Debug)]
pub struct Experiment {
    config: ExperimentConfig,
    data: Description,
    plan: Plan,
    graph: Arc<Graph>,
    /// The file that the model is, and that of the teacher, where they are any.
    source: Option<Arc<Source>>,
    teacher: Option<Arc<Source>>,
    pruning: Option<Pruning>,
    /// The middle of the run's name, once somebody asked.
    digest: OnceLock<String>,
}

impl Experiment {
    /// Checks a configuration, describes its data by the headers of its files, and computes its plan.
    ///
    /// # Errors
    /// The first thing that makes no sense, with its key, the found and the wanted; when the data cannot be described.
    pub fn new(config: ExperimentConfig) -> Result<Self, Error> {
        check(&config)?;
        let data = data::describe(&config.data)?;
        Self::on_data(config, data)
    }

    /// The same for data that is known already.
    ///
    /// # Errors
    /// The first thing that makes no sense, with its key, the found and the wanted.
    pub fn on_data(mut config: ExperimentConfig, mut data: Description) -> Result<Self, Error> {
        #[cfg(test)]
        MEANT.with(|count| count.set(count.get() + 1));
        check(&config)?;
        let source = config.model.source()?.map(Arc::new);
        if let Some(source) = &source {
            config.model.identify(source);
        }
        let teacher = config.train.distillation.as_ref().map(DistillationConfig::source).transpose()?.flatten();
        if let (Some(own), Some(teacher)) = (&mut config.train.distillation, &teacher) {
            own.sha256 = Some(teacher.sha256().to_owned());
        }
        if config.data.labels == Labels::Teacher {
            let known = teacher.as_ref().or(source.as_deref()).ok_or_else(classes_unknown)?.model();
            (data.classes, data.class_names) = (known.network.classes(), known.info.classes.clone());
            if data.classes < 2 {
                let why =
                    "found `teacher`, whose network gives one number an image; expected one that tells classes apart";
                return Err(Error::Meaning { key: "data.labels", why: why.into() });
            }
        }
        check_on_data(&config, &data)?;
        let graph = Arc::new(match &source {
            Some(source) => {
                source.check("model", &data.shape, data.classes)?;
                source.graph().clone()
            }
            None => config.model.graph(data.shape, data.classes)?,
        });
        device::supports(&config, &graph)?;
        if let Some(teacher) = &teacher {
            check_teacher(teacher, &graph)?;
        }
        let teacher = teacher.map(Arc::new);
        if reads_rows(&graph) && config.data.normalisation != (Normalisation::None {}) {
            let why =
                "the model takes numbers of rows, expected { kind = \"none\" }, by which numbers stay as they are";
            return Err(Error::Meaning { key: "data.normalisation", why: why.into() });
        }
        if config.prune.as_ref().is_some_and(|prune| prune.recalibrate > 0) && !has_norms(&graph) {
            let why = "the model has no batch normalisation whose statistics could be worked out anew, expected 0";
            return Err(Error::Meaning { key: "prune.recalibrate", why: why.into() });
        }
        let pruning = config.prune.as_ref().map(|prune| Pruning::new(prune, &graph)).transpose()?;
        let targets = pruning.as_ref().map_or(&[][..], |pruning| &pruning.targets().shares);
        let plan = Plan::new(&config, training_images(&config, &data), targets)?;
        let own = Self { config, data, plan, graph, source, teacher, pruning, digest: OnceLock::new() };
        check_plan(&own)?;
        Ok(own)
    }

    /// The same experiment with another seed, on which nothing that is checked or planned depends.
    pub(crate) fn with_seed(&self, seed: u64) -> Self {
        let mut own = self.clone();
        own.config.seed = seed;
        own
    }

    /// What makes sense, and is still hardly meant: one sentence each, for whoever plans or starts the run.
    pub fn warnings(&self) -> Vec<String> {
        warnings::of(self)
    }

    /// The learning rate of the first step of a training, the highest one, and that of the last step. The highest one is that of
    /// a few thousand steps at equal distances.
    pub fn rates(&self, training: &Training) -> [f64; 3] {
        let last = training.steps.saturating_sub(1);
        let rate = |step| training.rate(step, &self.config.train.lr_schedule, self.plan.epoch_steps);
        let highest = (0..training.steps).step_by((last / 4096) as usize + 1).map(rate).fold(rate(last), f64::max);
        [rate(0), highest, rate(last)]
    }

    /// The configuration, as typed.
    pub fn config(&self) -> &ExperimentConfig {
        &self.config
    }

    /// What the data is.
    pub fn data(&self) -> &Description {
        &self.data
    }

    /// What a run will do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The model.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The file that the model is, if it is one.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.source.as_deref()
    }

    /// The file of the network that teaches, if it is one.
    pub(crate) fn teacher(&self) -> Option<&Source> {
        self.teacher.as_deref()
    }

    /// The model as a burn module, whose weights are not set yet. `device` decides where it computes and whether gradients
    /// are kept.
    ///
    /// # Errors
    /// When burn cannot compute it.
    pub(crate) fn net(&self, device: &burn::tensor::Device) -> Result<Net, Error> {
        Net::new(&self.graph, &Weights::neutral(&self.graph), device)
    }

    /// The weights that a training with this seed starts from.
    pub(crate) fn initial(&self, seed: u64) -> Vec<state::Weights> {
        export::parameters(&self.graph, &models::initial(&self.graph, seed))
    }

    /// What the `[prune]` section means; `None` when there is none.
    pub fn pruning(&self) -> Option<&Pruning> {
        self.pruning.as_ref()
    }

    /// Names of the parameters that have masks, because they are pruned or go along with what is, in the model's order;
    /// empty when nothing is pruned.
    pub fn prunable(&self) -> Vec<&str> {
        self.masked().iter().map(|own| own.name.as_str()).collect()
    }

    fn masked(&self) -> &[Masked] {
        self.pruning.as_ref().map_or(&[], Pruning::masked)
    }

    /// Whether any weight is ever pruned.
    pub fn prunes(&self) -> bool {
        self.config.prune.as_ref().is_some_and(|prune| prune.enabled)
    }

    /// Whether a training stage ends with its best epoch rather than its last. With shadows it is the last: an epoch's
    /// masks would not know those that came after it.
    pub fn keeps_best(&self) -> bool {
        self.config.train.keep == Keep::Best && self.config.data.validation > 0 && !self.has_shadows()
    }

    /// Whether pruned weights go on being trained.
    pub(crate) fn has_shadows(&self) -> bool {
        self.config.prune.as_ref().is_some_and(|prune| prune.enabled && prune.has_shadows())
    }

    /// Whether the run accumulates movement while it trains.
    pub(crate) fn watches_movement(&self) -> bool {
        let moves = |prune: &PruneConfig| prune.enabled && prune.criteria().contains(&CriterionConfig::Movement);
        self.config.prune.as_ref().is_some_and(moves)
    }

    /// Sizes of the splits.
    pub fn images(&self) -> event::Images {
        let train = training_images(&self.config, &self.data) as u64;
        event::Images { train, validation: self.config.data.validation as u64, test: self.data.test as u64 }
    }

    /// Logits of an answer: as many as the data has classes, or more.
    pub(crate) fn classes(&self) -> usize {
        self.graph.shape(self.graph.output()).iter().product()
    }

    /// Loads or makes the data that the configuration names, with its labels.
    ///
    /// # Errors
    /// When the files are missing, damaged, or hold other images than the experiment is for; when a teacher that gives the labels cannot
    /// be computed.
    pub fn load_data(&self) -> Result<data::Dataset, Error> {
        let mut dataset = self.read_data()?;
        teacher::label(self, None, &mut dataset, &mut Silent)?;
        Ok(dataset)
    }

    /// The same for a run on this device.
    ///
    /// # Errors
    /// As of [`Self::load_data`].
    pub(crate) fn load_data_on(&self, device: &Device, observer: &mut dyn Observer) -> Result<data::Dataset, Error> {
        let mut dataset = self.read_data()?;
        teacher::label(self, Some(device), &mut dataset, observer)?;
        Ok(dataset)
    }

    /// The data as its files have it: labels that a teacher has to give are not there yet.
    ///
    /// # Errors
    /// When the files are missing, damaged, or hold other images than the experiment is for.
    pub(crate) fn read_data(&self) -> Result<data::Dataset, Error> {
        let dataset = data::load(&self.config.data, self.config.seed)?;
        let (found, expected) = (&dataset.description, &self.data);
        let has_labels = self.config.data.labels == Labels::Files;
        if found.shape != expected.shape || has_labels && found.classes > expected.classes {
            let told = |own: &Description| format!("images of {:?} in {} classes", own.shape, own.classes);
            let why = format!("found {}, expected {}", told(found), told(expected));
            return Err(Error::Meaning { key: "data.dir", why });
        }
        Ok(dataset)
    }

    /// Where the data files lie, whole; `None` for synthetic data.
    pub(crate) fn data_folder(&self) -> Option<String> {
        let data = &self.config.data;
        let whole = (!data.source.is_drawn()).then(|| data.dir.canonicalize())?.ok()?;
        Some(whole.display().to_string())
    }

    /// Name of the run folder: `<name>-<hash8>-s<seed>`. The hash covers everything that the result depends on and that
    /// is not as it is by default; of the data folder only its own name, not where it lies.
    pub fn run_name(&self) -> String {
        let hash = self.digest.get_or_init(|| self.config.digest());
        format!("{}-{hash}-s{}", self.config.name, self.config.seed)
    }

    /// Weights of the prunable parameters that a prune to this target leaves; `None` where the scores decide it.
    pub fn kept(&self, target: Sparsity) -> Option<usize> {
        self.pruning.as_ref().and_then(|pruning| pruning.kept(target).ok()?)
    }

    /// Elements of the prunable parameters.
    pub fn prunable_elements(&self) -> usize {
        self.masked().iter().map(Masked::size).sum()
    }
}

/// What is said where labels have no classes: a state dict to start from does not tell them.
fn classes_unknown() -> Error {
    let why = "nothing tells which classes there are: expected a train.distillation whose teacher is `file`, or `start` with a model of \
               kind `file`";
    Error::Meaning { key: "data.labels", why: why.into() }
}

/// Refuses a teacher that takes other images than the model, or answers other classes.
fn check_teacher(teacher: &Source, graph: &Graph) -> Result<(), Error> {
    let (key, classes) = ("train.distillation", graph.shape(graph.output()).iter().product::<usize>());
    teacher.check(key, graph.shape(graph.input()), classes)?;
    match teacher.model().network.classes() {
        found if found == classes => Ok(()),
        found => {
            let why = format!("found a teacher of {found} classes, expected {classes}, as the model has");
            Err(Error::Meaning { key, why })
        }
    }
}

/// Whether the model takes numbers that choose rows of a table.
fn reads_rows(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| matches!(node.op, Op::Embedding(_)) && node.inputs[0] == graph.input())
}

fn has_norms(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| matches!(node.op, Op::BatchNorm(_)))
}

/// Images that are trained on: those of the training part that are not held out.
fn training_images(config: &ExperimentConfig, data: &Description) -> usize {
    data.train - config.data.validation
}

/// The first thing that makes no sense.
fn check(config: &ExperimentConfig) -> Result<(), Error> {
    let refuse = |key: &'static str, why: String| Err(Error::Meaning { key, why });
    let fine = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if config.name.is_empty() || config.name.starts_with('.') || !config.name.chars().all(fine) {
        return refuse(
            "name",
            format!("found {:?}, wanted letters, digits, `-`, `_` and `.`, no dot first", words::short(&config.name)),
        );
    }
    if config.seed > i64::MAX as u64 {
        return refuse(
            "seed",
            format!("found {}, wanted at most {}: TOML has no larger numbers", config.seed, i64::MAX),
        );
    }
    if config.data.split_seed > i64::MAX as u64 {
        let found = config.data.split_seed;
        return refuse("data.split_seed", format!("found {found}, expected at most {}", i64::MAX));
    }
    if config.threads > MOST_THREADS {
        return refuse(
            "threads",
            format!("expected at most {MOST_THREADS}, 0 for every core, found {}", config.threads),
        );
    }
    let scores = config.prune.as_ref().and_then(|prune| prune.scores.as_deref());
    let paths =
        [("data.dir", Some(config.data.dir.as_path())), ("start", config.start.as_deref()), ("prune.scores", scores)];
    if let Some((key, path)) =
        paths.into_iter().find_map(|(key, path)| Some((key, path?)).filter(|(_, path)| path.to_str().is_none()))
    {
        let why =
            format!("expected a path in UTF-8, as TOML and so the run's experiment.toml holds it, found {path:?}");
        return refuse(key, why);
    }
    if !crate::device::NAMES.contains(&config.device.as_str()) {
        return Err(crate::device::unknown(&config.device));
    }
    if let Some(why) = config.model.fault() {
        return refuse("model", why);
    }
    if config.start_zeros == Zeros::Pruned && (start::path(config).is_none() || config.prune.is_none()) {
        return refuse("start_zeros", "found `pruned`, wanted a `start` and a [prune] section beside it".into());
    }
    for (key, fault) in [
        ("train.optimizer", config.train.optimizer.fault()),
        ("train.lr_schedule", config.train.lr_schedule.fault()),
        ("retrain.lr", config.retrain.lr.and_then(|lr| rate_fault("lr", lr))),
    ] {
        if let Some(why) = fault {
            return refuse(key, why);
        }
    }
    let data = &config.data;
    if data.source != DataSource::ImageFolder && (data.size.is_some() || data.grey) {
        let key = if data.size.is_some() { "data.size" } else { "data.grey" };
        return refuse(key, "it is for pictures in folders, expected data.source = \"image-folder\" beside it".into());
    }
    if let Some([rows, columns]) = data.size.filter(|size| size.iter().any(|side| !(1..=4096).contains(side))) {
        return refuse("data.size", format!("found {rows} x {columns}, expected 1 to 4096 each way"));
    }
    if data.source.is_drawn() {
        if data.synthetic_train == 0 || data.synthetic_test == 0 {
            let why = "a synthetic split is empty, wanted at least 1 image to train and 1 to test on";
            return refuse("data", why.into());
        }
        if data.synthetic_train.max(data.synthetic_test).max(data.validation) > 10_000_000 {
            return refuse("data", "a synthetic split is larger than 10,000,000 images".into());
        }
        let [channels, rows, columns] = data.synthetic_shape;
        if !(1..=16).contains(&channels) || [rows, columns].iter().any(|side| !(4..=1024).contains(side)) {
            let why =
                format!("found {channels} channels of {rows} x {columns}, expected 1 to 16 of 4 to 1024 each way");
            return refuse("data.synthetic_shape", why);
        }
    }
    if !(1..=LARGEST_BATCH).contains(&config.train.batch_size) {
        let why = format!("found {}, wanted from 1 to {LARGEST_BATCH}", config.train.batch_size);
        return refuse("train.batch_size", why);
    }
    check_steps(config)?;
    if let Some(stop) = &config.train.early_stop {
        if stop.patience == 0 {
            return refuse("train.early_stop.patience", "found 0, wanted at least 1".into());
        }
        if data.validation == 0 {
            return refuse("train.early_stop", "needs a validation split, but data.validation is 0".into());
        }
    }
    if config.test.every_cycles == 0 {
        return refuse("test.every_cycles", "found 0, wanted at least 1".into());
    }
    if config.checkpoint.every_steps == 0 {
        return refuse("checkpoint.every_steps", "found 0, wanted at least 1".into());
    }
    if config.checkpoint.keep < 2 {
        let why =
            format!("found {}, wanted at least 2, so that a damaged one has a predecessor", config.checkpoint.keep);
        return refuse("checkpoint.keep", why);
    }
    config.prune.as_ref().map_or(Ok(()), |prune| check_pruning(config, prune))?;
    check_retraining(config)
}

/// What makes no sense of what a step does beside the optimizer's rule.
fn check_steps(config: &ExperimentConfig) -> Result<(), Error> {
    let refuse = |key: &'static str, why: String| Err(Error::Meaning { key, why });
    let train = &config.train;
    if !(0.0..1.0).contains(&train.label_smoothing) {
        let why = format!("found {}, expected at least 0 and below 1", train.label_smoothing);
        return refuse("train.label_smoothing", why);
    }
    if let Some(most) = train.max_gradient_norm.filter(|most| !(*most > 0.0 && most.is_finite())) {
        return refuse("train.max_gradient_norm", format!("found {most}, expected a finite number above 0"));
    }
    if train.weight_decay_of == DecayOf::Weights && train.optimizer == train.optimizer.without_decay() {
        let why = "found `weights`, expected an optimizer with a weight_decay above 0 beside it";
        return refuse("train.weight_decay_of", why.into());
    }
    if let Some(own) = &train.distillation {
        if let Some((key, why)) = own.fault() {
            return refuse(key, why);
        }
        let key = "train.distillation.teacher";
        match own.teacher {
            Teacher::Start if start::path(config).is_none() => {
                return refuse(key, "found `start`, expected a `start`, or a model of kind `file`, beside it".into());
            }
            Teacher::Dense if !config.prune.as_ref().is_some_and(|prune| prune.enabled) => {
                return refuse(
                    key,
                    "found `dense`, expected a [prune] section: without one nothing is retrained".into(),
                );
            }
            Teacher::Dense if train.length.steps(1) == 0 && start::path(config).is_none() => {
                return refuse(key, "found `dense`, expected a `train.length` above 0: it would know nothing".into());
            }
            Teacher::Start | Teacher::Dense | Teacher::File => {}
        }
    }
    let gives_labels = train.distillation.as_ref().is_some_and(|own| own.teacher != Teacher::Dense);
    if config.data.labels == Labels::Teacher && !gives_labels {
        let why = "found `teacher`, expected a train.distillation whose teacher is `start` or `file`";
        return refuse("data.labels", why.into());
    }
    let Some(average) = train.average else { return Ok(()) };
    if let Some((key, why)) = average.fault() {
        return refuse(key, why);
    }
    if config.prune.as_ref().is_some_and(|prune| prune.enabled && prune.regrow.is_some()) {
        let why = "masks that move leave no weights to average over, expected no `prune.regrow` beside it";
        return refuse("train.average", why.into());
    }
    Ok(())
}

/// What the plan shows to be without effect.
fn check_plan(own: &Experiment) -> Result<(), Error> {
    if let LrSchedule::Cosine { warmup, .. } = own.config.train.lr_schedule {
        let (short, all) = warnings::short_trainings(own, warmup);
        if short > 0 && short == all {
            let why = format!("a warm-up of {warmup} is as long as every training or longer, expected a shorter one");
            return Err(Error::Meaning { key: "train.lr_schedule", why });
        }
    }
    let moves = |planned: &Planned| matches!(planned.stage, Stage::Exchange(_) | Stage::Choose(_));
    if let Some(regrow) = own.config.prune.as_ref().filter(|prune| prune.enabled).and_then(|prune| prune.regrow)
        && !own.plan.stages.iter().any(moves)
    {
        let why = format!(
            "masks never move: `every` is {}, and no training after a prune goes on for longer than that within the first \
             `until` = {} of it; expected a shorter one",
            regrow.every(),
            regrow.until()
        );
        return Err(Error::Meaning { key: "prune.regrow", why });
    }
    Ok(())
}

/// What pruning asks of training, data and device.
fn check_pruning(config: &ExperimentConfig, prune: &PruneConfig) -> Result<(), Error> {
    let refuse = |key: &'static str, why: String| Err(Error::Meaning { key, why });
    let on_burn = [
        ("prune.regrow", prune.has_shadows(), "surgery"),
        ("prune.criterion", prune.criteria().contains(&CriterionConfig::Movement), "movement"),
        ("prune.gsm", prune.gsm.is_some(), "global sparse momentum"),
    ];
    if let Some((key, _, what)) = on_burn.into_iter().find(|(_, wanted, _)| *wanted && config.device == device::OWN) {
        let why =
            format!("{what} takes every step's gradients, which the device `cpu` does not keep, wanted device `flex`");
        return refuse(key, why);
    }
    if prune.grows() && config.retrain.kind == Retrain::RewindWeights {
        let why = "masks that grow ask for weights to rewind to that are not kept, wanted another kind";
        return refuse("retrain.kind", why.into());
    }
    if prune.criteria().contains(&CriterionConfig::Movement) && config.train.length.steps(1) == 0 {
        return refuse("train.length", "movement scores what training did before a prune, found none".into());
    }
    let decays = |optimizer: &OptimizerConfig| matches!(optimizer, OptimizerConfig::Sgd { momentum, weight_decay, .. } if *momentum > 0.0 && *weight_decay > 0.0);
    if prune.gsm.is_some() && !decays(&config.train.optimizer) {
        let why = format!(
            "gsm lets weights fade, wanted sgd with a momentum and a weight_decay above 0, found {}",
            config.train.optimizer
        );
        return refuse("train.optimizer", why);
    }
    if prune.until.is_some() && config.data.validation == 0 {
        return refuse("data.validation", "found 0, wanted images for `prune.until` to judge by".into());
    }
    Ok(())
}

fn check_retraining(config: &ExperimentConfig) -> Result<(), Error> {
    let refuse = |key: &'static str, why: String| Err(Error::Meaning { key, why });
    let retrain = &config.retrain;
    if config.prune.is_none() && *retrain != Default::default() {
        return refuse("retrain", "there is no [prune] section that it could follow".into());
    }
    if retrain.rewind_to.is_none() {
        return match retrain.kind {
            Retrain::RewindLr => {
                refuse("retrain.rewind_to", "rewind-lr needs to know where to, such as { epochs = 1 }".into())
            }
            Retrain::FineTune | Retrain::RewindWeights | Retrain::Reinitialise => Ok(()),
        };
    }
    if matches!(retrain.kind, Retrain::FineTune | Retrain::Reinitialise) {
        let why = format!("{} does not rewind; set retrain.kind to rewind-weights or rewind-lr", retrain.kind);
        return refuse("retrain.rewind_to", why);
    }
    Ok(())
}

/// The first thing that makes no sense for this data.
fn check_on_data(config: &ExperimentConfig, data: &Description) -> Result<(), Error> {
    let refuse = |key: &'static str, why: String| Err(Error::Meaning { key, why });
    if config.data.validation >= data.train {
        let why = format!(
            "found {}, expected fewer than the {} training images; it is 5000 if left out",
            config.data.validation, data.train
        );
        return refuse("data.validation", why);
    }
    if let Some(why) = config.data.normalisation.fault(data.shape[0]) {
        return refuse("data.normalisation", why);
    }
    if let Some(why) = config.data.augment.and_then(|augment| augment.fault(data.shape)) {
        return refuse("data.augment", why);
    }
    let training = training_images(config, data);
    if let Some(prune) = &config.prune {
        if prune.calibration > training && !is_calibration(&prune.calibration) {
            let why = format!("found {}, expected at most the {training} training images", prune.calibration);
            return refuse("prune.calibration", why);
        }
        if let Some(why) = prune.until.and_then(|until| until.fault(100.0 * data.chance())) {
            return refuse("prune.until", why);
        }
    }
    let epoch = (training as u64).div_ceil(config.train.batch_size as u64);
    let dense = config.train.length;
    if let Some(to) = config.retrain.rewind_to.filter(|to| to.steps(epoch) > dense.steps(epoch)) {
        return refuse("retrain.rewind_to", format!("found {to}, wanted a point within the dense training of {dense}"));
    }
    Ok(())
}

#[cfg(test)]
thread_local! {
    /// Experiments that this thread has worked out.
    pub(crate) static MEANT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
#[path = "experiment_tests.rs"]
mod tests;
