//! The compiled network: what a caller holds.

use super::batch::{self, Batches};
use super::image::{self, Images};
use super::plan::{Form, LanesHold, Plan, StepPlan};
use super::step::{Step, steps};
use super::{Error, Options, tune};
use crate::pool::Pool;
use crate::{InstructionSet, Network};

/// A network that answers, compiled for this machine.
#[derive(Debug)]
pub struct Engine {
    pool: Pool,
    set: InstructionSet,
    pixels: usize,
    classes: usize,
    plan: Plan,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Batches(Batches),
    Images(Images),
}

impl Engine {
    /// Compiles a network, and times the forms of its layers on the way (a fraction of a second for a small network).
    pub fn new(network: &Network, options: &Options) -> Self {
        tune::tuned(network, &steps(network, options.forms), options)
    }

    /// Compiles a network as a plan says, and times nothing.
    ///
    /// # Errors
    /// When the plan is another network's.
    pub fn with_plan(network: &Network, options: &Options, plan: Plan) -> Result<Self, Error> {
        Self::of(network, &steps(network, options.forms), options, plan)
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
        let pool = Pool::new(options.threads);
        let sizes = [0, network.layers().len()].map(|place| network.shape(place).iter().product());
        let (threads, precision) = (pool.threads(), options.precision);
        let body = match plan.lanes {
            LanesHold::Images => {
                let compiled = compiled(steps, &plan, "images", |step, form| batch::compile(step, form, precision))?;
                Body::Batches(Batches::new(sizes[0], steps, compiled, plan.blocks, threads))
            }
            LanesHold::Places => {
                let compiled = compiled(steps, &plan, "places", |step, form| image::compile(step, form, precision))?;
                Body::Images(Images::new(sizes[0], steps, compiled, threads))
            }
        };
        let [pixels, classes] = sizes;
        Ok(Self { pool, set: options.instruction_set, pixels, classes, plan, body })
    }

    /// Lets another number of blocks go through the network together.
    pub(super) fn regroup(&mut self, blocks: usize) {
        self.plan.blocks = blocks;
        if let Body::Batches(own) = &mut self.body {
            own.regroup(blocks);
        }
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
            Body::Batches(own) => own.run(&self.pool, self.set, images, logits, [self.pixels, self.classes]),
            Body::Images(own) => own.run(&self.pool, self.set, images, logits, [self.pixels, self.classes]),
        }
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
