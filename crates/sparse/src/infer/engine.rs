//! The compiled network: what a caller holds.

use super::margins::fills;
use super::plan::{Numbers, Plan};
use super::read::read;
use super::single;
use super::step::{Source, Step};
use super::walk::{self, Scratch, of_block, walk, walk_blocks, walk_together};
use super::{Error, Forms, LanesHold, Options, Threads};
use crate::compact::folded;
use crate::file::Precision;
use crate::kernels::margins::Fills;
use crate::kernels::winograd::Workspace;
use crate::lanes::{LANES, Lanes};
use crate::train::Crossovers;
use crate::{InstructionSet, Ranges, Trained};
use secateur_graph::{Graph, Weights};
use std::mem::size_of;
use std::ops::Range;
use std::sync::Arc;

/// What the lanes may hold.
const ALL: [LanesHold; 2] = [LanesHold::Images, LanesHold::Places];

/// A graph that answers, compiled for this machine and a batch size. Nothing is timed, and the answers of an engine are the
/// same for any number of threads and however images are put together into calls.
///
/// An engine for batches computes whole blocks of sixteen images, so that a single image takes the time of sixteen. One for
/// few images a call computes each by itself.
///
/// Copies share the weights and the threads, and have buffers of their own: each caller takes one.
#[derive(Clone, Debug)]
pub struct Engine {
    threads: Threads,
    pub(super) program: Arc<Program>,
    /// Whether all threads compute a single image together.
    shares: bool,
    /// By thread.
    pub(super) scratch: Vec<Scratch>,
}

/// What all callers read.
#[derive(Debug)]
pub(super) struct Program {
    pub set: InstructionSet,
    pub pixels: usize,
    classes: usize,
    pub plan: Plan,
    /// With the parts that threads compute of it when they work on one image.
    pub steps: Vec<(Step, Vec<Range<usize>>)>,
    /// Of each logit its vector in the output, and its lane where the lanes hold tiles of an image.
    logits: Vec<[usize; 2]>,
    /// Of each value of the graph the name of the node that gives it.
    pub names: Vec<String>,
    /// What is written around each channel of an image in tiles.
    fills: Fills,
    /// Bytes that the buffers may take.
    most: usize,
}

impl Engine {
    /// Compiles a graph. [`Options::forms`] says whether zeros may be left out; what the lanes hold follows from
    /// [`Options::batch`], from the sides of the images, and from what fits [`Options::buffer_bytes`].
    ///
    /// # Errors
    /// When a node's values do not fit the kernels' 32-bit offsets, the buffers do not fit [`Options::buffer_bytes`], a weight is no
    /// finite number and the precision another than f32, or the machine lacks the instructions or the threads.
    ///
    /// # Panics
    /// When the weights are not the graph's; [`Weights::check`] finds that out.
    pub fn new(graph: &Graph, weights: &Weights, options: &Options) -> Result<Self, Error> {
        let parameters = graph.parameters().iter().filter(|_| options.precision != Precision::F32);
        for values in parameters.map(|own| (&own.name, weights.get(&own.name))) {
            if let (name, Some(place)) = (values.0, values.1.iter().position(|value| !value.is_finite())) {
                return Err(Error::Value { name: name.clone(), place, found: values.1[place].to_string() });
            }
        }
        Self::compile(graph, weights, options, Numbers::Floats, &ALL)
    }

    /// Compiles a graph whose convolutions and fully connected layers compute with bytes: weights of eight bits with a scale for
    /// each filter, those of an int8 file as they are, and values of eight bits over their [`Ranges`]. Everything else computes
    /// with f32. Where there is nothing else but sums, rectifying, max-pooling and copies, the answers are the same on every
    /// instruction set.
    ///
    /// # Errors
    /// As [`Self::new`], whatever the precision is; when a value has no range, or a layer adds up too many products.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn with_bytes(graph: &Graph, weights: &Weights, ranges: &Ranges, options: &Options) -> Result<Self, Error> {
        Self::compile(graph, weights, options, Numbers::Bytes(ranges), &ALL)
    }

    /// Compiles a network.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(network: &Trained, options: &Options) -> Result<Self, Error> {
        Self::new(&network.graph, &network.weights, options)
    }

    /// Compiles a network that computes with bytes over these ranges; with none at all, one that computes with floats.
    ///
    /// # Errors
    /// As [`Self::with_bytes`].
    pub fn over(network: &Trained, ranges: &Ranges, options: &Options) -> Result<Self, Error> {
        if ranges.is_empty() {
            return Self::of(network, options);
        }
        Self::with_bytes(&network.graph, &network.weights, ranges, options)
    }

    pub(super) fn compile(
        graph: &Graph,
        stored: &Weights,
        options: &Options,
        numbers: Numbers<'_>,
        lanes: &[LanesHold],
    ) -> Result<Self, Error> {
        let Options { forms, buffer_bytes, precision, .. } = *options;
        let (set, threads) = (available(options.instruction_set)?, options.threads.max(1));
        let (graph, weights) = folded(graph, stored);
        let names = super::ranges::names(&graph);
        let plan = Self::plan(&graph, numbers, lanes, options)?;
        let crossovers = match forms {
            Forms::Any => Crossovers::table(set),
            Forms::Dense => Crossovers::DENSE,
        };
        let source =
            Source { graph: &graph, weights: &weights, stored, plan: &plan, crossovers: &crossovers, precision, set };
        let mut steps: Vec<Step> = vec![];
        for (place, own) in plan.steps.iter().enumerate() {
            let blocks = if place < plan.tail.first { 1 } else { plan.tail.blocks };
            let step = Step::new(source, own, blocks)?;
            match steps.last_mut() {
                Some(last) if plan.goes_on(place - 1) => last.join(step),
                _ => steps.push(step),
            }
        }
        let with_parts = |own: Step| {
            let parts = own.parts(&plan.layouts[own.output], threads);
            (own, parts)
        };
        let steps: Vec<_> = steps.into_iter().map(with_parts).collect();
        let [pixels, classes] = [graph.input(), graph.output()].map(|own| graph.shape(own).iter().product());
        let (input, output) = (&plan.layouts[plan.input], &plan.layouts[plan.output]);
        let logit = |class| match &plan.tilings {
            Some(tilings) => tilings[plan.output].place(output, class),
            None => [output.place(class), 0],
        };
        let logits = (0..classes).map(logit).collect();
        let fills = plan.tilings.as_ref().map_or_else(Fills::default, |own| fills(input, &own[plan.input], 0));
        let scratch = (0..threads).map(|_| Scratch::new(&plan, &steps)).collect();
        let program = Program { set, pixels, classes, plan, steps, logits, names, fills, most: buffer_bytes };
        Ok(Self { threads: Threads::new(threads)?, program: Arc::new(program), shares: true, scratch })
    }

    /// A copy that computes on these threads. One image is divided among as many threads as the engine was compiled for, at most.
    ///
    /// # Errors
    /// When the buffers for so many do not fit [`Options::buffer_bytes`].
    pub fn on(&self, threads: &Threads) -> Result<Self, Error> {
        let Program { plan, steps, most, .. } = &*self.program;
        let found = plan.bytes(threads.count());
        if found > *most {
            return Err(Error::Memory { found, most: *most });
        }
        let scratch = (0..threads.count()).map(|_| Scratch::new(plan, steps)).collect();
        Ok(Self { threads: threads.clone(), program: Arc::clone(&self.program), shares: self.shares, scratch })
    }

    /// Whether all threads compute a single image together.
    pub fn shares_images(&self) -> bool {
        self.shares && self.scratch.len() > 1 && self.lanes() == LanesHold::Places
    }

    /// A copy that computes each image on one thread.
    pub fn alone(&self) -> Self {
        Self { shares: false, ..self.clone() }
    }

    /// The plan that seems to cost less for calls of so many images, of those whose buffers take at most so many bytes.
    fn plan(graph: &Graph, numbers: Numbers<'_>, lanes: &[LanesHold], options: &Options) -> Result<Plan, Error> {
        let (threads, most) = (options.threads.max(1), options.buffer_bytes);
        let blocks = options.batch.div_ceil(LANES);
        let (mut plans, mut refused) = (vec![], None);
        for own in lanes {
            let items = match own {
                LanesHold::Images => blocks,
                LanesHold::Places => options.batch,
            };
            let new = |together| Plan::new(graph, *own, numbers, together);
            // One block at a time takes less memory.
            let plan = new(blocks).and_then(|plan| match plan.tail.blocks > 1 && plan.bytes(threads) > most {
                true => new(1),
                false => Ok(plan),
            });
            // What the kernels cannot address as tiles they may as images.
            match plan {
                Ok(plan) => plans.push((items as f64 * plan.cost, plan)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        plans.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let found = plans.iter().map(|(_, plan)| plan.bytes(threads)).min().unwrap_or(usize::MAX);
        let fitting = plans.into_iter().map(|(_, plan)| plan).find(|plan| plan.bytes(threads) <= most);
        fitting.ok_or(refused.unwrap_or(Error::Memory { found, most }))
    }

    /// What lies in the lanes of the vectors.
    pub fn lanes(&self) -> LanesHold {
        if self.program.plan.tilings.is_some() { LanesHold::Places } else { LanesHold::Images }
    }

    /// Numbers of an image, `channels * height * width`.
    pub fn pixels(&self) -> usize {
        self.program.pixels
    }

    /// Answers an image.
    pub fn classes(&self) -> usize {
        self.program.classes
    }

    /// Memory that the weights take, with all that says where they stand, in bytes.
    pub fn weight_bytes(&self) -> usize {
        self.program.steps.iter().map(|own| own.0.weight_bytes()).sum()
    }

    /// Memory that the engine holds, weights, lists of positions and buffers, in bytes.
    pub fn bytes(&self) -> usize {
        let lists: usize = self.program.steps.iter().map(|own| own.0.list_bytes()).sum();
        let buffers = self.program.plan.sizes.iter().map(|own| own.0).sum::<usize>() * size_of::<Lanes>();
        let workspace =
            self.program.steps.iter().filter_map(|own| own.0.workspace()).map(Workspace::needed).max().unwrap_or(0);
        let widest = self.program.steps.iter().map(|own| own.0.widest()).max().unwrap_or(0);
        let single = if widest > 0 { single::Workspace::needed(widest) } else { 0 };
        self.weight_bytes() + lists + self.scratch.len() * (buffers + workspace + single)
    }

    /// Logits `[image][class]` of images `[image][channels, height, width]`, any number of them.
    ///
    /// # Panics
    /// When `images` is no whole number of images.
    pub fn logits(&mut self, images: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; images.len() / self.pixels() * self.classes()];
        self.logits_into(images, &mut logits);
        logits
    }

    /// Writes what [`Self::logits`] gives.
    ///
    /// # Panics
    /// When `images` is no whole number of images, or `logits` has another length than they ask for.
    pub fn logits_into(&mut self, images: &[f32], logits: &mut [f32]) {
        let (pixels, classes) = (self.pixels(), self.classes());
        assert!(images.len().is_multiple_of(pixels), "expected whole images of {pixels} numbers");
        assert_eq!(logits.len(), images.len() / pixels * classes, "expected {classes} logits an image");
        match &self.program.plan.tilings {
            None => self.compute_blocks(images, logits),
            Some(_) if images.len() == pixels && self.shares_images() => self.compute_together(images, logits),
            Some(_) => self.compute_images(images, logits),
        }
    }

    /// Each thread takes some blocks of sixteen images, as many together as suit the last steps, but none has nothing to do.
    fn compute_blocks(&mut self, images: &[f32], logits: &mut [f32]) {
        let Self { threads, program, scratch, .. } = self;
        let Program { set, pixels, classes, plan, steps, logits: places, .. } = &**program;
        let all = (images.len() / pixels).div_ceil(LANES);
        let together = plan.tail.blocks.min(all.div_ceil(scratch.len())).max(1) * LANES;
        threads.pool().each_chunk(scratch, logits, together * *classes, |scratch, chunk, logits| {
            let images = &images[chunk * together * *pixels..][..logits.len() / *classes * *pixels];
            let mut blocks = images.chunks(LANES * *pixels);
            walk_blocks(*set, plan, steps, scratch, blocks.len(), |to| {
                read(*set, blocks.next().expect("a block of images for each"), *pixels, to);
            });
            for (block, logits) in logits.chunks_mut(LANES * *classes).enumerate() {
                let block = of_block(plan, scratch, plan.output, block);
                for (image, logits) in logits.chunks_exact_mut(*classes).enumerate() {
                    logits.iter_mut().zip(places).for_each(|(logit, [place, _])| *logit = block[*place].0[image]);
                }
            }
        });
    }

    /// Each thread takes images.
    fn compute_images(&mut self, images: &[f32], logits: &mut [f32]) {
        let Self { threads, program, scratch, .. } = self;
        let Program { set, pixels, classes, plan, steps, logits: places, fills, .. } = &**program;
        threads.pool().each_chunk(scratch, logits, *classes, |scratch, image, logits| {
            cut(*set, plan, fills, &images[image * *pixels..][..*pixels], scratch);
            walk(*set, plan, steps, scratch);
            gather(plan, places, scratch, logits);
        });
    }

    /// All threads take one image.
    fn compute_together(&mut self, image: &[f32], logits: &mut [f32]) {
        let Self { threads, program, scratch, .. } = self;
        let Program { set, plan, steps, logits: places, fills, .. } = &**program;
        cut(*set, plan, fills, image, &mut scratch[0]);
        walk_together(threads.pool(), *set, plan, steps, scratch);
        gather(plan, places, &scratch[0], logits);
    }
}

/// Cuts an image into the tiles that the plan begins with.
fn cut(set: InstructionSet, plan: &Plan, fills: &Fills, image: &[f32], scratch: &mut Scratch) {
    let tiling = &plan.tilings.as_ref().expect("the plan has tiles")[plan.input];
    let (layout, to) = (&plan.layouts[plan.input], &mut scratch.buffers[plan.buffers[plan.input]]);
    walk::cut(image, layout, tiling, to);
    fills.fill(set, layout.plane(), to);
}

/// The logits, each from its place.
fn gather(plan: &Plan, places: &[[usize; 2]], scratch: &Scratch, logits: &mut [f32]) {
    let values = &scratch.buffers[plan.buffers[plan.output]];
    logits.iter_mut().zip(places).for_each(|(logit, [vector, lane])| *logit = values[*vector].0[*lane]);
}

/// The instruction set, where the machine has it.
fn available(set: InstructionSet) -> Result<InstructionSet, Error> {
    if set.is_available() {
        return Ok(set);
    }
    let available: Vec<&str> = InstructionSet::available().into_iter().map(InstructionSet::name).collect();
    Err(Error::InstructionSet { found: set.name(), available: available.join(", ") })
}
