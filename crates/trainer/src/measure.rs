//! What a cycle's network costs whoever stores and runs it: bytes of its file, what compaction leaves, times in the
//! inference engine beside the dense network's. Bytes and sizes are facts; times are readings.

use crate::data::Split;
use crate::inference::interleaved;
use crate::model::info;
use crate::session::Session;
use crate::{Error, device, export, memory};
use secateur_report::Timing;
use secateur_report::event::{Compacted, Event, FileSize, Inference, Latency, Measured};
use secateur_sparse::file::{Info, Precision};
use secateur_sparse::infer::{self, Engine, Forms, Options};
use secateur_sparse::{InstructionSet, Trained, difference};
use std::time::Duration;

/// Precisions of the file, first the one that charts show.
const PRECISIONS: [(&str, Precision); 3] =
    [("f16", Precision::F16), ("int8", Precision::Int8), ("f32", Precision::F32)];
/// Images that compaction is checked on, at most, and the multiply-accumulates that these are worth: the check is made
/// with slow loops, whose sums do not depend on what was timed.
const IMAGES: usize = 16;
const MACS: usize = 1 << 25;
/// Images a call.
const BATCHES: [usize; 2] = [1, 128];
/// Time for each engine and batch size, at least three calls.
const TIME: Duration = Duration::from_millis(15);

impl Session<'_> {
    /// Records what the network of this cycle costs. A network whose engine would take too much memory is not measured: that
    /// is no reason to end its training.
    ///
    /// # Errors
    /// When the log cannot be written, or the engine cannot compute the network.
    pub(crate) fn measure(&mut self, cycle: u64) -> Result<(), Error> {
        self.observer.measuring();
        let network = export::network(self.experiment.graph(), &self.engine.parameters(), &self.masks)?;
        let config = self.experiment.config();
        let (train, validation) = (&self.dataset.train, &self.dataset.validation);
        let images = if validation.is_empty() { train } else { validation };
        let own = self.engine.paths().map(|(name, _)| name);
        let instruction_set = InstructionSet::available().into_iter().find(|set| Some(set.name()) == own.as_deref());
        let options = Options {
            threads: device::threads(config),
            instruction_set: instruction_set.unwrap_or(InstructionSet::best()),
            ..Options::new(1)
        };
        let class_names = self.experiment.data().class_names.clone();
        let info = info(&config.model.to_string(), self.dataset.scales.clone(), class_names);
        let (files, compacted, smaller) = facts(&network, &info, images);
        let inference = match read(&network, &smaller, images, options) {
            Err(Error::Inference(error @ infer::Error::Memory { .. })) => {
                tracing::warn!("cycle {cycle}: the network is not measured: {error}");
                return Ok(());
            }
            read => read?,
        };
        drop((network, smaller));
        // What was taken to measure is not what training takes: the next reading begins here.
        let _ = memory::take_peak();
        let measured = Measured { cycle, step: self.cursor.step, files, compacted };
        let timing = Timing { inference: Some(inference), ..self.timing(None) };
        self.record(&Event::Measured(measured), Some(timing))
    }
}

/// Sizes of the files, what compaction leaves, and the compacted network: the same wherever the network is the same.
fn facts(network: &Trained, info: &Info, images: &Split) -> (Vec<FileSize>, Compacted, Trained) {
    let (smaller, [before, after]) = network.compacted();
    let size = |(word, precision): (&str, Precision)| {
        // A weight that f16 has no room for leaves this precision out.
        let bytes = smaller.encode(info, precision).ok()?.len() as u64;
        Some(FileSize { precision: word.to_owned(), bytes })
    };
    let files = PRECISIONS.into_iter().filter_map(size).collect();
    let count = (MACS / before.macs.max(1)).clamp(1, IMAGES);
    let pixels = pixels(images, count);
    let delta = difference(network, &smaller, pixels.chunks_exact(pixels.len() / count));
    let cost = smaller.cost();
    let compacted = Compacted {
        units: after.units as u64,
        parameters: cost.parameters as u64,
        nonzero: cost.nonzero as u64,
        macs: cost.macs as u64,
        remaining_macs: cost.remaining_macs as u64,
        max_logit_delta: f64::from(delta),
    };
    (files, compacted, smaller)
}

/// The first images of a split as the network takes them; from the start again where it has fewer.
fn pixels(split: &Split, count: usize) -> Vec<f32> {
    let indices: Vec<u32> = (0..split.len() as u32).cycle().take(count).collect();
    split.gather(&indices).pixels
}

/// Times the network with its zeros and the compacted one without them, one image on one thread and many on all.
fn read(network: &Trained, smaller: &Trained, images: &Split, options: Options) -> Result<Inference, Error> {
    let (mut latencies, mut memory) = (vec![], [0; 2]);
    for batch in BATCHES {
        let threads = if batch == 1 { 1 } else { options.threads };
        let any = Options { batch, threads, ..options };
        let mut dense = Engine::of(network, &Options { forms: Forms::Dense, ..any })?;
        let mut sparse = Engine::of(smaller, &any)?;
        let pixels = pixels(images, batch);
        let times = interleaved(&mut [&mut dense, &mut sparse], &pixels, TIME);
        // Of the two the larger one: whoever asks for many images needs it.
        memory = [memory[0].max(dense.bytes()), memory[1].max(sparse.bytes())];
        let [dense_ms, sparse_ms] = [0, 1].map(|place: usize| (times[place] * 1e3).max(f64::MIN_POSITIVE));
        latencies.push(Latency { batch: batch as u64, threads: threads as u64, dense_ms, sparse_ms });
    }
    Ok(Inference {
        instruction_set: options.instruction_set.name().to_owned(),
        dense_memory_bytes: memory[0] as u64,
        sparse_memory_bytes: memory[1] as u64,
        latencies,
    })
}
