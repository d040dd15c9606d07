//! Times the forms of each layer on this machine, and keeps the fastest.
//!
//! What a layer is timed on is what it will meet: the activations that the layers before it, as chosen, make of an image.

use super::Options;
use super::aligned::Aligned;
use super::batch::{self, Blocks};
use super::engine::Engine;
use super::image::{self, Image, SLACK, Scratch};
use super::plan::{Form, LanesHold, Plan, StepPlan, Tried};
use super::step::Step;
use crate::Network;
use crate::lanes::{LANES, Lanes};
use std::time::{Duration, Instant};

/// Time spent on a form, at most, unless a single call takes longer.
const BUDGET: Duration = Duration::from_millis(12);
/// Calls that are timed at most.
const CALLS: usize = 40;
/// From so many images on, one at a time is no longer tried.
const FEW: usize = 32;

/// Compiles the network in the fastest way found.
pub(super) fn tuned(network: &Network, steps: &[Step], options: &Options) -> Engine {
    let image = sample(network);
    let images: Vec<f32> = image.iter().copied().cycle().take(image.len() * options.batch.max(1)).collect();
    let engine = |lanes: LanesHold, blocks: usize, steps_plan: Vec<StepPlan>| {
        let plan = Plan { batch: options.batch, lanes, blocks, steps: steps_plan };
        Engine::of(network, steps, options, plan).expect("only forms of the network's own steps")
    };
    let timed = |engine: &mut Engine| {
        let mut logits = engine.logits(&images);
        time(|| engine.logits_into(&images, &mut logits))
    };
    let blocks = options.batch.div_ceil(LANES).div_ceil(options.threads.max(1)).max(1);
    let mut batches = engine(LanesHold::Images, 1, batch_steps(steps, options, &image, blocks.min(4)));
    let mut sizes: Vec<usize> = [1, 2, 4, 8].into_iter().filter(|size| *size < blocks).collect();
    sizes.push(blocks.min(8));
    let seconds = sizes.iter().map(|size| {
        batches.regroup(*size);
        (timed(&mut batches), *size)
    });
    let (fastest, size) = seconds.min_by(|(a, _), (b, _)| a.total_cmp(b)).expect("there is one size at least");
    batches.regroup(size);
    if options.batch < FEW {
        let mut images = engine(LanesHold::Places, 1, image_steps(steps, options, &image));
        if timed(&mut images) < fastest {
            return images;
        }
    }
    batches
}

/// Made-up pixels that look like an image's: mostly background, some ink.
fn sample(network: &Network) -> Vec<f32> {
    let pixels = network.input().iter().product();
    let ink =
        |place: usize| if (place * 7919).is_multiple_of(5) { (place * 104_729 % 97) as f32 / 97.0 - 0.5 } else { -0.5 };
    (0..pixels).map(ink).collect()
}

/// Median seconds of a call, after one that is not timed.
fn time(mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    call();
    let mut times = vec![];
    while times.is_empty() || (began.elapsed() < BUDGET && times.len() < CALLS) {
        let began = Instant::now();
        call();
        times.push(began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The fastest of the forms, by the seconds that `seconds` measures for `images` images. Every form is called, so what the
/// last one leaves are the step's outputs.
fn fastest(step: &Step, forms: &[Form], images: usize, seconds: impl FnMut(Form) -> f64) -> StepPlan {
    let times = forms.iter().copied().map(seconds).map(|seconds| seconds / images as f64 * 1e6);
    let mut tried: Vec<Tried> = forms.iter().zip(times).map(|(form, us)| Tried { form: *form, us }).collect();
    let form = tried.iter().min_by(|a, b| a.us.total_cmp(&b.us)).expect("every step has a form").form;
    // There is no other way to do without weights.
    tried.retain(|own| own.form != Form::Simple);
    StepPlan { name: step.name.clone(), form, tried }
}

fn batch_steps(steps: &[Step], options: &Options, image: &[f32], blocks: usize) -> Vec<StepPlan> {
    let images: Vec<f32> = image.iter().copied().cycle().take(image.len() * LANES).collect();
    let mut block = vec![Lanes::ZERO; image.len()];
    batch::read(options.instruction_set, &images, image.len(), &mut block);
    let mut x = vec![block; blocks];
    let mut found = vec![];
    for step in steps {
        let mut y = vec![vec![Lanes::ZERO; step.outputs]; blocks];
        let inputs: Vec<&[Lanes]> = x.iter().map(Vec::as_slice).collect();
        found.push(fastest(step, &batch::forms(step), blocks * LANES, |form| {
            let own = batch::compile(step, form, options.precision).expect("one of the step's own forms");
            time(|| {
                let mut outputs: Vec<&mut [Lanes]> = y.iter_mut().map(Vec::as_mut_slice).collect();
                own.run(options.instruction_set, Blocks { x: &inputs, y: &mut outputs });
            })
        }));
        x = y;
    }
    found
}

fn image_steps(steps: &[Step], options: &Options, image: &[f32]) -> Vec<StepPlan> {
    let mut x = Aligned::zeros(image.len() + SLACK);
    x[..image.len()].copy_from_slice(image);
    let mut scratch = Scratch::default();
    let mut found = vec![];
    for step in steps {
        let mut y = Aligned::zeros(step.outputs + SLACK);
        found.push(fastest(step, &image::forms(step), 1, |form| {
            let own = image::compile(step, form, options.precision).expect("one of the step's own forms");
            time(|| own.run(options.instruction_set, Image { x: &x, y: &mut y, scratch: &mut scratch }))
        }));
        x = y;
    }
    found
}
