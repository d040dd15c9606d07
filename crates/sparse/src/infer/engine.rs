//! The compiled network: what a caller holds.

use super::batch::{self, Batches};
use super::image::{self, Images};
use super::plan::{Form, LanesHold, Plan, StepPlan};
use super::step::{Step, steps};
use super::{Error, Options, Threads, tune};
use crate::{InstructionSet, Network};

/// A network that answers, compiled for this machine. Copies share the weights and the threads, and have buffers of their own:
/// each caller takes one.
#[derive(Clone, Debug)]
pub struct Engine {
    threads: Threads,
    set: InstructionSet,
    pixels: usize,
    classes: usize,
    plan: Plan,
    /// Bytes that the buffers may take.
    most: usize,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Batches(Batches),
    Images(Images),
}

impl Engine {
    /// Compiles a network, and times the forms of its layers on the way (a fraction of a second for a small network). Only
    /// what fits [`Options::buffer_bytes`] is tried.
    ///
    /// # Errors
    /// When nothing fits, a weight has no room in the precision, or the machine lacks the instructions or the threads.
    pub fn new(network: &Network, options: &Options) -> Result<Self, Error> {
        Self::with_clock(network, options, &mut tune::seconds)
    }

    /// Compiles a network as [`Self::new`] does, with another clock: `clock` makes the call that it is given, as often as it
    /// likes, and says how long it takes.
    ///
    /// # Errors
    /// As those of [`Self::new`].
    pub fn with_clock(
        network: &Network,
        options: &Options,
        clock: &mut dyn FnMut(&mut dyn FnMut()) -> f64,
    ) -> Result<Self, Error> {
        tune::tuned(network, options, clock)
    }

    /// Compiles a network by what is left of each layer, and times nothing: the same answers to the last digit at each call
    /// of a program. Several images a call lie in the lanes where that fits, or else the pixels of one.
    ///
    /// # Errors
    /// As those of [`Self::with_plan`].
    pub fn by_density(network: &Network, options: &Options) -> Result<Self, Error> {
        let steps = steps(network, options)?;
        let bytes = buffer_bytes(network, &steps, options.threads.max(1), LanesHold::Images, 1);
        let batches = options.batch > 1 && bytes <= options.buffer_bytes;
        let lanes = if batches { LanesHold::Images } else { LanesHold::Places };
        Self::of(network, &steps, options, Plan::of(network, &steps, options, lanes))
    }

    /// Compiles a network as a plan says, and times nothing.
    ///
    /// # Errors
    /// When the plan is another network's, its buffers do not fit [`Options::buffer_bytes`], a weight has no room in the
    /// precision, or the machine lacks the instructions or the threads.
    pub fn with_plan(network: &Network, options: &Options, plan: Plan) -> Result<Self, Error> {
        Self::of(network, &steps(network, options)?, options, plan)
    }

    pub(super) fn of(network: &Network, steps: &[Step], options: &Options, plan: Plan) -> Result<Self, Error> {
        let names = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
        let found = names(&mut plan.steps.iter().map(|own| own.name.as_str()));
        let wanted = names(&mut steps.iter().map(|own| own.name.as_str()));
        if found != wanted {
            return Err(Error::Steps { found, wanted });
        }
        if plan.blocks == 0 {
            return Err(Error::NoBlocks);
        }
        let set = available(options.instruction_set)?;
        let [pixels, classes] = ends(network);
        let (threads, precision) = (options.threads.max(1), options.precision);
        let bytes = buffer_bytes(network, steps, threads, plan.lanes, plan.blocks);
        if bytes > options.buffer_bytes {
            return Err(Error::Memory { found: bytes, most: options.buffer_bytes });
        }
        let body = match plan.lanes {
            LanesHold::Images => {
                let compiled = compiled(steps, &plan, "images", |step, form| batch::compile(step, form, precision))?;
                Body::Batches(Batches::new(pixels, steps, compiled, plan.blocks, threads))
            }
            LanesHold::Places => {
                let compiled = compiled(steps, &plan, "places", |step, form| image::compile(step, form, options))?;
                Body::Images(Images::new(pixels, steps, compiled, threads))
            }
        };
        let threads = Threads::new(threads)?;
        Ok(Self { threads, set, pixels, classes, plan, most: options.buffer_bytes, body })
    }

    /// Lets another number of blocks go through the network together.
    pub(super) fn regroup(&mut self, blocks: usize) {
        self.plan.blocks = blocks;
        if let Body::Batches(own) = &mut self.body {
            *own = own.regrouped(blocks, self.threads.count());
        }
    }

    /// A copy that computes on these threads.
    ///
    /// # Errors
    /// When the buffers for so many do not fit [`Options::buffer_bytes`].
    pub fn on(&self, threads: &Threads) -> Result<Self, Error> {
        let count = threads.count();
        let found = match &self.body {
            Body::Batches(own) => own.needed(count),
            Body::Images(own) => own.needed(count),
        };
        if found > self.most {
            return Err(Error::Memory { found, most: self.most });
        }
        let body = match &self.body {
            Body::Batches(own) => Body::Batches(own.on(count)),
            Body::Images(own) => Body::Images(own.on(count)),
        };
        Ok(Self { threads: threads.clone(), plan: self.plan.clone(), body, ..*self })
    }

    /// What was chosen for each layer.
    pub fn plan(&self) -> &Plan {
        &self.plan
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
        match &self.body {
            Body::Batches(own) => own.weight_bytes(),
            Body::Images(own) => own.weight_bytes(),
        }
    }

    /// Memory that the engine holds, weights and room for activations, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Batches(own) => own.bytes(),
            Body::Images(own) => own.bytes(),
        }
    }

    /// Logits `[image][class]` of images `[image][channels, height, width]`, any number of them.
    ///
    /// # Panics
    /// When `images` is no whole number of images.
    pub fn logits(&mut self, images: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; images.len() / self.pixels.max(1) * self.classes];
        self.logits_into(images, &mut logits);
        logits
    }

    /// Writes what [`Self::logits`] gives.
    ///
    /// # Panics
    /// When `images` is no whole number of images, or `logits` has another length than they ask for.
    pub fn logits_into(&mut self, images: &[f32], logits: &mut [f32]) {
        assert!(images.len().is_multiple_of(self.pixels.max(1)), "wanted whole images of {} numbers", self.pixels);
        let count = images.len() / self.pixels.max(1);
        assert_eq!(logits.len(), count * self.classes, "wanted room for {} logits an image", self.classes);
        match &mut self.body {
            Body::Batches(own) => own.run(self.threads.pool(), self.set, images, logits, [self.pixels, self.classes]),
            Body::Images(own) => own.run(self.threads.pool(), self.set, images, logits, [self.pixels, self.classes]),
        }
    }
}

/// The instruction set, where the machine has it.
pub(super) fn available(set: InstructionSet) -> Result<InstructionSet, Error> {
    if set.is_available() {
        return Ok(set);
    }
    let available: Vec<&str> = InstructionSet::available().into_iter().map(InstructionSet::name).collect();
    Err(Error::InstructionSet { found: set.name(), available: available.join(", ") })
}

/// Numbers of an image, and of its answer.
pub(super) fn ends(network: &Network) -> [usize; 2] {
    [0, network.layers().len()].map(|place| network.shape(place).iter().product())
}

/// Bytes of all buffers of an engine; the largest `usize` when that is too few.
pub(super) fn buffer_bytes(
    network: &Network,
    steps: &[Step],
    threads: usize,
    lanes: LanesHold,
    blocks: usize,
) -> usize {
    let [pixels, _] = ends(network);
    match lanes {
        LanesHold::Images => Batches::buffer_bytes(pixels, steps, blocks, threads),
        LanesHold::Places => Images::buffer_bytes(pixels, steps, threads),
    }
}

/// Every step in the form that the plan names.
fn compiled<C>(
    steps: &[Step],
    plan: &Plan,
    lanes: &'static str,
    compile: impl Fn(&Step, Form) -> Option<C>,
) -> Result<Vec<C>, Error> {
    let form = |(step, own): (&Step, &StepPlan)| {
        let refuse = || Error::Form { name: own.name.clone(), form: own.form.to_string(), lanes };
        compile(step, own.form).ok_or_else(refuse)
    };
    steps.iter().zip(&plan.steps).map(form).collect()
}
