//! The network whose answers a run learns from, and the labels that it gives to data without any.

use crate::config::{Labels, Teacher as Whose};
use crate::data::{Dataset, Split};
use crate::device::{self, Device};
use crate::folder::RunFolder;
use crate::inference::answer;
use crate::observer::Observer;
use crate::run::{DENSE, named, trained};
use crate::{Error, Experiment, export, start};
use secateur_sparse::Trained;
use secateur_sparse::infer::{Engine, Options};
use std::sync::Arc;

/// Logits that are kept at most; more are computed again whenever they are asked for.
const MOST_KEPT: usize = 1 << 26;

/// A network that teaches.
pub(crate) struct Teacher {
    engine: Engine,
    /// `[image][class]` of the training images, where they are kept.
    logits: Arc<Vec<f32>>,
}

impl Teacher {
    /// The run's teacher; `None` where its config asks for none, or for the dense network while there is none yet. What it answers to
    /// the training images is worked out at once, unless these change from epoch to epoch or there are too many.
    ///
    /// # Errors
    /// When the network cannot be read or computed.
    pub(crate) fn open(
        experiment: &Experiment,
        run: &RunFolder,
        device: &Device,
        dataset: &Dataset,
        observer: &mut dyn Observer,
    ) -> Result<Option<Self>, Error> {
        let config = experiment.config();
        let Some(network) = network(experiment, Some(run))? else { return Ok(None) };
        let classes = experiment.classes();
        let mut engine = engine(experiment, Some(device), &network)?;
        // Of images that are varied nothing is known before they are.
        let kept = config.data.augment.is_none() && dataset.train.len().saturating_mul(classes) <= MOST_KEPT;
        let logits = match (kept, dataset.teacher_logits.is_empty()) {
            (false, _) => Arc::default(),
            (true, false) => Arc::clone(&dataset.teacher_logits),
            (true, true) => Arc::new(answers(&mut engine, &dataset.train, experiment, observer)),
        };
        Ok(Some(Self { engine, logits }))
    }

    /// Logits `[image][class]` of images of the training split, `indices`, which may have been varied: those of `split`.
    pub(crate) fn logits(&mut self, split: &Split, indices: &[u32]) -> Vec<f32> {
        let classes = self.engine.classes();
        if self.logits.is_empty() {
            return self.engine.logits(&split.gather(indices).pixels);
        }
        indices.iter().flat_map(|index| &self.logits[*index as usize * classes..][..classes]).copied().collect()
    }
}

/// Gives the images of data without labels those of the teacher's answers, where the config says so.
///
/// # Errors
/// When the teacher cannot be read or computed.
pub(crate) fn label(
    experiment: &Experiment,
    device: Option<&Device>,
    dataset: &mut Dataset,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    match experiment.config().data.labels {
        Labels::Files => return Ok(()),
        Labels::Teacher => {}
    }
    let network = network(experiment, None)?.ok_or_else(|| {
        let why = "found `teacher`, expected a teacher that is there before the run begins".to_owned();
        Error::Meaning { key: "data.labels", why }
    })?;
    let mut engine = engine(experiment, device, &network)?;
    let classes = network.classes();
    let mut taught = |split: &Split, observer: &mut dyn Observer| {
        let logits = answers(&mut engine, split, experiment, observer);
        let labels: Vec<u16> = logits.chunks_exact(classes).map(|own| answer(own) as u16).collect();
        (logits, labels)
    };
    let (logits, labels) = taught(&dataset.train, observer);
    if logits.len() <= MOST_KEPT {
        dataset.teacher_logits = Arc::new(logits);
    }
    dataset.train.set_labels(labels);
    let labels = taught(&dataset.validation, observer).1;
    dataset.validation.set_labels(labels);
    let labels = taught(dataset.test_split(), observer).1;
    dataset.set_test_labels(labels);
    Ok(())
}

/// The network that teaches; `None` where there is none, or not yet.
fn network(experiment: &Experiment, run: Option<&RunFolder>) -> Result<Option<Trained>, Error> {
    let Some(config) = &experiment.config().train.distillation else { return Ok(None) };
    match config.teacher {
        Whose::File => Ok(experiment.teacher().map(|own| own.model().network.clone())),
        Whose::Start => {
            let Some(own) = start::read(experiment, None)? else { return Ok(None) };
            export::network(experiment.graph(), &own.parameters, &own.masks).map(Some)
        }
        Whose::Dense => {
            let Some(run) = run.filter(|run| run.dense().is_dir()) else { return Ok(None) };
            let name = named(run.path(), experiment, Some(DENSE))?;
            let (parameters, masks) = trained(run.path(), experiment, name.as_deref())?;
            export::network(experiment.graph(), &parameters, &masks).map(Some)
        }
    }
}

/// An engine for batches of the run's, whose answers are the same for any number of threads.
fn engine(experiment: &Experiment, device: Option<&Device>, network: &Trained) -> Result<Engine, Error> {
    let config = experiment.config();
    let (threads, instruction_set) = match device {
        Some(Device::Own { threads, instruction_set, .. }) => (*threads, *instruction_set),
        Some(Device::Burn(_)) | None => (device::threads(config), device::instruction_set(config)?),
    };
    let options = Options { threads, instruction_set, ..Options::new(config.train.batch_size) };
    Ok(Engine::of(network, &options)?)
}

/// Logits of all images of a split.
fn answers(engine: &mut Engine, split: &Split, experiment: &Experiment, observer: &mut dyn Observer) -> Vec<f32> {
    let order: Vec<u32> = (0..split.len() as u32).collect();
    let mut found = Vec::with_capacity(split.len() * engine.classes());
    for indices in order.chunks(experiment.config().train.batch_size) {
        found.extend(engine.logits(&split.gather(indices).pixels));
        observer.evaluating("teacher", found.len() / engine.classes().max(1), split.len());
    }
    found
}
