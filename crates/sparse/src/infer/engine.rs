//! The compiled network: what a caller holds.

use super::aligned::Aligned;
use super::batch::{self, Blocks};
use super::image::{self, Image, SLACK, Scratch};
use super::plan::{LanesHold, Plan};
use super::step::{Op, Step, steps};
use super::{Error, Options, tune};
use crate::lanes::{LANES, Lanes};
use crate::pool::Pool;
use crate::{InstructionSet, Network};
use std::mem::size_of;

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
    Images(Images),
    Places(Places),
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
        let refuse = |place: usize, lanes: &'static str| {
            let own = &plan.steps[place];
            Error::Form { name: own.name.clone(), form: own.form.to_string(), lanes }
        };
        let pool = Pool::new(options.threads);
        let body = match plan.lanes {
            LanesHold::Images => {
                let form = |(place, step): (usize, &Step)| {
                    let own = batch::compile(step, plan.steps[place].form, options.precision);
                    own.ok_or_else(|| refuse(place, "images"))
                };
                let compiled = steps.iter().enumerate().map(form).collect::<Result<Vec<_>, _>>()?;
                Body::Images(Images::new(network, steps, compiled, plan.blocks, pool.threads()))
            }
            LanesHold::Places => {
                let form = |(place, step): (usize, &Step)| {
                    let own = image::compile(step, plan.steps[place].form, options.precision);
                    own.ok_or_else(|| refuse(place, "places"))
                };
                let compiled = steps.iter().enumerate().map(form).collect::<Result<Vec<_>, _>>()?;
                Body::Places(Places::new(network, steps, compiled, pool.threads()))
            }
        };
        let pixels = network.input().iter().product();
        let classes = network.shape(network.layers().len()).iter().product();
        Ok(Self { pool, set: options.instruction_set, pixels, classes, plan, body })
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

    /// Memory that the engine holds, weights and room for activations, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Images(own) => own.bytes(),
            Body::Places(own) => own.bytes(),
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
            Body::Images(own) => own.run(&self.pool, self.set, images, logits, [self.pixels, self.classes]),
            Body::Places(own) => own.run(&self.pool, self.set, images, logits, [self.pixels, self.classes]),
        }
    }
}

/// Sixteen images in the lanes.
#[derive(Debug)]
struct Images {
    /// Steps before the first fully connected layer: one block after the other goes through them.
    head: Vec<(Box<dyn batch::Compiled>, usize)>,
    /// The others: some blocks go through them together.
    tail: Vec<(Box<dyn batch::Compiled>, usize)>,
    blocks: usize,
    /// Numbers of an image at most: in the head, and from its end on.
    widest: [usize; 2],
    /// Numbers of an image where the head ends.
    features: usize,
    rooms: Vec<[Vec<Lanes>; 4]>,
}

impl Images {
    fn new(
        network: &Network,
        steps: &[Step],
        compiled: Vec<Box<dyn batch::Compiled>>,
        blocks: usize,
        threads: usize,
    ) -> Self {
        let pixels = network.input().iter().product();
        let first = steps.iter().position(|step| matches!(step.op, Op::Linear(_))).unwrap_or(steps.len());
        let mut head: Vec<_> = compiled.into_iter().zip(steps.iter().map(|step| step.outputs)).collect();
        let tail = head.split_off(first);
        let features = head.last().map_or(pixels, |(_, outputs)| *outputs);
        let most = |start: usize, own: &[(Box<dyn batch::Compiled>, usize)]| {
            own.iter().map(|(_, outputs)| *outputs).fold(start, usize::max)
        };
        let inner = head.len().saturating_sub(1);
        let widest = [most(pixels, &head[..inner]), most(features, &tail)];
        // A head of one step needs no second room, one without a step none; so a tail.
        let room = || {
            let heads = [usize::from(first > 0), usize::from(first > 1)].map(|own| vec![Lanes::ZERO; own * widest[0]]);
            let tails = [1, usize::from(!tail.is_empty())].map(|own| vec![Lanes::ZERO; own * blocks * widest[1]]);
            let ([a, b], [c, d]) = (heads, tails);
            [a, b, c, d]
        };
        let rooms = (0..threads).map(|_| room()).collect();
        Self { head, tail, blocks, widest, features, rooms }
    }

    fn bytes(&self) -> usize {
        let weights = self.head.iter().chain(&self.tail).map(|(own, _)| own.bytes()).sum::<usize>();
        weights + self.rooms.iter().flatten().map(|room| room.len() * size_of::<Lanes>()).sum::<usize>()
    }

    fn run(
        &mut self,
        pool: &Pool,
        set: InstructionSet,
        images: &[f32],
        logits: &mut [f32],
        [pixels, classes]: [usize; 2],
    ) {
        let mut rooms = std::mem::take(&mut self.rooms);
        // As many blocks together as were found best, but no thread without work.
        let blocks = (images.len() / pixels.max(1)).div_ceil(LANES);
        let together = self.blocks.min(blocks.div_ceil(pool.threads())).max(1) * LANES;
        let mut items: Vec<_> = images.chunks(together * pixels).zip(logits.chunks_mut(together * classes)).collect();
        let own = &*self;
        pool.each_with(&mut rooms, &mut items, |room, (images, logits)| {
            own.part(set, room, images, logits, [pixels, classes]);
        });
        self.rooms = rooms;
    }

    /// A few blocks, from the images to the logits.
    fn part(
        &self,
        set: InstructionSet,
        [a, b, c, d]: &mut [Vec<Lanes>; 4],
        images: &[f32],
        logits: &mut [f32],
        [pixels, classes]: [usize; 2],
    ) {
        let count = images.len().div_ceil(LANES * pixels);
        for (images, features) in images.chunks(LANES * pixels).zip(c.chunks_exact_mut(self.widest[1])) {
            let Some((last, inner)) = self.head.split_last() else {
                batch::read(set, images, pixels, &mut features[..pixels]);
                continue;
            };
            batch::read(set, images, pixels, &mut a[..pixels]);
            let (mut from, mut to, mut length) = (&mut *a, &mut *b, pixels);
            for (step, outputs) in inner {
                step.run(set, Blocks { x: &[&from[..length]], y: &mut [&mut to[..*outputs]] });
                std::mem::swap(&mut from, &mut to);
                length = *outputs;
            }
            last.0.run(set, Blocks { x: &[&from[..length]], y: &mut [&mut features[..self.features]] });
        }
        let (mut from, mut to, mut length) = (c, d, self.features);
        for (step, outputs) in &self.tail {
            let x: Vec<&[Lanes]> = from.chunks_exact(self.widest[1]).take(count).map(|own| &own[..length]).collect();
            let mut y: Vec<&mut [Lanes]> =
                to.chunks_exact_mut(self.widest[1]).take(count).map(|own| &mut own[..*outputs]).collect();
            step.run(set, Blocks { x: &x, y: &mut y });
            std::mem::swap(&mut from, &mut to);
            length = *outputs;
        }
        for (block, logits) in from.chunks_exact(self.widest[1]).zip(logits.chunks_mut(LANES * classes)) {
            batch::write(block, classes, logits);
        }
    }
}

/// One image at a time.
#[derive(Debug)]
struct Places {
    steps: Vec<(Box<dyn image::Compiled>, usize)>,
    rooms: Vec<([Aligned<f32>; 2], Scratch)>,
}

impl Places {
    fn new(network: &Network, steps: &[Step], compiled: Vec<Box<dyn image::Compiled>>, threads: usize) -> Self {
        let pixels = network.input().iter().product::<usize>();
        let widest = steps.iter().map(|step| step.outputs).fold(pixels, usize::max);
        let room = || ([0, 1].map(|_| Aligned::zeros(widest + SLACK)), Scratch::default());
        Self {
            steps: compiled.into_iter().zip(steps.iter().map(|step| step.outputs)).collect(),
            rooms: (0..threads).map(|_| room()).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let weights = self.steps.iter().map(|(own, _)| own.bytes()).sum::<usize>();
        let room = |([a, b], scratch): &([Aligned<f32>; 2], Scratch)| {
            4 * (a.len() + b.len() + scratch.pixels.capacity() + scratch.active.capacity())
        };
        weights + self.rooms.iter().map(room).sum::<usize>()
    }

    fn run(
        &mut self,
        pool: &Pool,
        set: InstructionSet,
        images: &[f32],
        logits: &mut [f32],
        [pixels, classes]: [usize; 2],
    ) {
        let steps = &self.steps;
        let mut items: Vec<_> = images.chunks_exact(pixels.max(1)).zip(logits.chunks_exact_mut(classes)).collect();
        pool.each_with(&mut self.rooms, &mut items, |([a, b], scratch), (image, logits)| {
            let (mut from, mut to) = (a, b);
            from[..pixels].copy_from_slice(image);
            for (step, _) in steps {
                step.run(set, Image { x: from, y: to, scratch });
                std::mem::swap(&mut from, &mut to);
            }
            logits.copy_from_slice(&from[..classes]);
        });
    }
}
