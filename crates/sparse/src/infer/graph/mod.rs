//! Inference of any graph: sixteen images in the lanes.
//!
//! Batch normalisation is folded into the layers before it, and an addition and an activation behind a convolution are part
//! of its pass (`plan.rs`). Each thread takes blocks of sixteen images through all steps, one after the other, so that what a
//! step leaves is still in the cache when the next one reads it. Convolutions are the lists of offsets of the trainer
//! (`train/graph`), with all weights or with the nonzero ones: which of both follows from their density alone.

mod conv;
mod plan;
mod step;

use super::batch::read;
use super::engine::available;
use super::{Error, Forms, Options};
use crate::compact::graph::folded;
use crate::file::Precision;
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::simd::dispatch;
use crate::train::Crossovers;
use crate::{InstructionSet, Unsupported};
use plan::Plan;
use secateur_graph::{Graph, Weights};
use std::mem::size_of;
use step::{Room, Step, Walk};

/// A graph that answers, compiled for this machine. Nothing is timed, and the answers are the same for any number of threads
/// and however images are put together into calls.
///
/// A call computes whole blocks of sixteen images, so a single image takes the time of sixteen.
#[derive(Debug)]
pub struct GraphEngine {
    pool: Pool,
    set: InstructionSet,
    pixels: usize,
    classes: usize,
    plan: Plan,
    steps: Vec<Step>,
    /// Of each logit its offset in the output's block.
    logits: Vec<usize>,
    /// By thread.
    rooms: Vec<Room>,
}

impl GraphEngine {
    /// Checks that a graph can be compiled, without any weights.
    ///
    /// # Errors
    /// The first node whose values do not fit the kernels' 32-bit offsets.
    pub fn supports(graph: &Graph) -> Result<(), Unsupported> {
        Plan::new(graph).map(drop)
    }

    /// Compiles a graph. [`Options::batch`] is not read, and [`Options::forms`] says whether zeros may be left out.
    ///
    /// # Errors
    /// When a node's values do not fit the kernels' 32-bit offsets, the buffers do not fit [`Options::buffer_bytes`], the
    /// precision is another than f32, or the machine lacks the instructions or the threads.
    ///
    /// # Panics
    /// When the weights are not the graph's; [`Weights::check`] finds that out.
    pub fn new(graph: &Graph, weights: &Weights, options: &Options) -> Result<Self, Error> {
        let Options { precision, forms, buffer_bytes, .. } = *options;
        if precision != Precision::F32 {
            return Err(Error::Precision { found: format!("{precision:?}") });
        }
        let (set, threads) = (available(options.instruction_set)?, options.threads.max(1));
        let (graph, weights) = folded(graph, weights);
        let plan = Plan::new(&graph)?;
        let bytes = plan.bytes(threads);
        if bytes > buffer_bytes {
            return Err(Error::Memory { found: bytes, most: buffer_bytes });
        }
        let crossovers = match forms {
            Forms::Any => Crossovers::table(set),
            Forms::Dense => Crossovers::DENSE,
        };
        let step = |own| Step::new(&graph, &weights, &plan, own, &crossovers, set);
        let steps = plan.steps.iter().map(step).collect();
        let [pixels, classes] = [graph.input(), graph.output()].map(|own| graph.shape(own).iter().product());
        let logits = (0..classes).map(|class| plan.layouts[plan.output].place(class)).collect();
        let rooms = (0..threads).map(|_| Room::new(&plan)).collect();
        let pool = Pool::new(threads).map_err(|error| Error::Threads { threads, why: error.to_string() })?;
        Ok(Self { pool, set, pixels, classes, plan, steps, logits, rooms })
    }

    /// Numbers of an image, `channels * height * width`.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Answers an image.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Memory that the weights take, with all that says where they stand, in bytes.
    pub fn weight_bytes(&self) -> usize {
        self.steps.iter().map(Step::weight_bytes).sum()
    }

    /// Memory that the engine holds, weights, lists of positions and buffers, in bytes.
    pub fn bytes(&self) -> usize {
        let lists: usize = self.steps.iter().map(Step::list_bytes).sum();
        let buffers = self.plan.sizes.iter().sum::<usize>() * size_of::<Lanes>();
        let workspace = self.steps.iter().map(Step::workspace_bytes).max().unwrap_or(0);
        self.weight_bytes() + lists + self.rooms.len() * (buffers + workspace)
    }

    /// Logits `[image][class]` of images `[image][channels, height, width]`, any number of them.
    ///
    /// # Panics
    /// When `images` is no whole number of images.
    pub fn logits(&mut self, images: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; images.len() / self.pixels * self.classes];
        self.logits_into(images, &mut logits);
        logits
    }

    /// Writes what [`Self::logits`] gives.
    ///
    /// # Panics
    /// When `images` is no whole number of images, or `logits` has another length than they ask for.
    pub fn logits_into(&mut self, images: &[f32], logits: &mut [f32]) {
        let Self { pool, set, pixels, classes, plan, steps, logits: places, rooms } = self;
        assert!(images.len().is_multiple_of(*pixels), "expected whole images of {pixels} numbers");
        assert_eq!(logits.len(), images.len() / *pixels * *classes, "expected {classes} logits an image");
        let mut items: Vec<_> = images.chunks(LANES * *pixels).zip(logits.chunks_mut(LANES * *classes)).collect();
        pool.each_with(rooms, &mut items, |room, (images, logits)| {
            read(*set, images, *pixels, &mut room.buffers[plan.buffers[plan.input]]);
            dispatch(*set, Walk { plan, steps, room });
            let block = &room.buffers[plan.buffers[plan.output]];
            for (image, logits) in logits.chunks_exact_mut(*classes).enumerate() {
                logits.iter_mut().zip(&*places).for_each(|(logit, place)| *logit = block[*place].0[image]);
            }
        });
    }
}
