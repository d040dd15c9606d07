//! Times the forms of each layer on this machine, and keeps the fastest.
//!
//! What a layer is timed on is what it will meet: the activations that the layers before it, as chosen, make of an image.

use super::aligned::Aligned;
use super::batch::{self, Blocks, Part};
use super::engine::{Engine, available, buffer_bytes, ends};
use super::image::{self, Image, SLACK, Scratch};
use super::plan::{Form, LanesHold, Plan, StepPlan, Tried};
use super::step::{Step, steps};
use super::{Error, Options};
use crate::Network;
use crate::lanes::{LANES, Lanes};
use std::mem::size_of;
use std::time::{Duration, Instant};

/// Time spent on a form, at most, unless a single call takes longer.
const BUDGET: Duration = Duration::from_millis(12);
/// Calls that are timed at most.
const CALLS: usize = 40;
/// From so many images on, one at a time is no longer tried.
const FEW: usize = 32;

/// Measures what a call takes, in seconds.
pub(super) type Clock<'a> = &'a mut dyn FnMut(&mut dyn FnMut()) -> f64;

/// Compiles the network in the fastest way that `clock` finds, among those whose buffers fit.
pub(super) fn tuned(network: &Network, options: &Options, clock: Clock<'_>) -> Result<Engine, Error> {
    available(options.instruction_set)?;
    let steps = steps(network, options)?;
    let bytes = |lanes: LanesHold, blocks: usize| buffer_bytes(network, &steps, options.threads.max(1), lanes, blocks);
    let fits = |lanes: LanesHold, blocks: usize| bytes(lanes, blocks) <= options.buffer_bytes;
    // Before anything of the network's size is allocated.
    let found = bytes(LanesHold::Images, 1).min(bytes(LanesHold::Places, 1));
    if found > options.buffer_bytes {
        return Err(Error::Memory { found, most: options.buffer_bytes });
    }
    let image = sample(network);
    // No more images a call than fit beside the buffers; their number is not what makes a form fast.
    let each = ends(network).into_iter().fold(0, usize::saturating_add).saturating_mul(size_of::<f32>());
    let batch = options.batch.clamp(1, (options.buffer_bytes / each.max(1)).max(1));
    let engine = |lanes: LanesHold, steps_plan: Vec<StepPlan>| {
        let plan = Plan { batch: options.batch, lanes, blocks: 1, steps: steps_plan };
        Engine::of(network, &steps, options, plan)
    };
    let timed = |engine: &mut Engine, clock: Clock<'_>| {
        let images: Vec<f32> = image.iter().copied().cycle().take(image.len() * batch).collect();
        let mut logits = engine.logits(&images);
        clock(&mut || engine.logits_into(&images, &mut logits))
    };
    let mut found: Option<(f64, Engine)> = None;
    if fits(LanesHold::Images, 1) {
        let blocks = options.batch.div_ceil(LANES).div_ceil(options.threads.max(1)).max(1);
        let widest = steps.iter().map(|step| step.outputs).chain([image.len()]).max().unwrap_or(1);
        let room = options.buffer_bytes / (2 * widest * size_of::<Lanes>());
        let mut own =
            engine(LanesHold::Images, batch_steps(&steps, options, &image, blocks.min(4).min(room.max(1)), clock))?;
        let mut sizes: Vec<usize> = [1, 2, 4, 8].into_iter().filter(|size| *size < blocks).collect();
        sizes.push(blocks.min(8));
        let mut best = (f64::INFINITY, 1);
        for size in sizes.into_iter().filter(|size| fits(LanesHold::Images, *size)) {
            own.regroup(size);
            let seconds = timed(&mut own, clock);
            if seconds < best.0 {
                best = (seconds, size);
            }
        }
        own.regroup(best.1);
        found = Some((best.0, own));
    }
    match found {
        Some((_, own)) if options.batch >= FEW || !fits(LanesHold::Places, 1) => Ok(own),
        found => {
            let mut own = engine(LanesHold::Places, image_steps(&steps, options, &image, clock))?;
            match found {
                Some((seconds, batches)) if timed(&mut own, clock) >= seconds => Ok(batches),
                _ => Ok(own),
            }
        }
    }
}

/// Made-up pixels that look like an image's: mostly background, some ink.
fn sample(network: &Network) -> Vec<f32> {
    let pixels = network.input().iter().product();
    let ink =
        |place: usize| if (place * 7919).is_multiple_of(5) { (place * 104_729 % 97) as f32 / 97.0 - 0.5 } else { -0.5 };
    (0..pixels).map(ink).collect()
}

/// Median seconds of a call, after one that is not timed: the clock outside of tests.
pub fn seconds(call: &mut dyn FnMut()) -> f64 {
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

fn batch_steps(steps: &[Step], options: &Options, image: &[f32], blocks: usize, clock: Clock<'_>) -> Vec<StepPlan> {
    // The same image in every lane.
    let block: Vec<Lanes> = image.iter().map(|pixel| Lanes([*pixel; LANES])).collect();
    let mut x = block.repeat(blocks);
    let mut found = vec![];
    for step in steps {
        let mut y = vec![Lanes::ZERO; step.outputs * blocks];
        let [inputs, outputs] = [x.len() / blocks, step.outputs].map(|length| Part { stride: length, length });
        found.push(fastest(step, &batch::forms(step), blocks * LANES, |form| {
            let own = batch::compile(step, form, options.precision).expect("one of the step's own forms");
            clock(&mut || {
                own.run(options.instruction_set, Blocks { count: blocks, x: &x, inputs, y: &mut y, outputs });
            })
        }));
        x = y;
    }
    found
}

fn image_steps(steps: &[Step], options: &Options, image: &[f32], clock: Clock<'_>) -> Vec<StepPlan> {
    let mut x = Aligned::zeros(image.len() + SLACK);
    x[..image.len()].copy_from_slice(image);
    let mut scratch = Scratch::default();
    let mut found = vec![];
    for step in steps {
        let mut y = Aligned::zeros(step.outputs + SLACK);
        found.push(fastest(step, &image::forms(step), 1, |form| {
            let own = image::compile(step, form, options).expect("one of the step's own forms");
            clock(&mut || own.run(options.instruction_set, Image { x: &x, y: &mut y, scratch: &mut scratch }))
        }));
        x = y;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::{conv, linear};
    use crate::{Conv2d, InstructionSet, Layer};

    fn network(density: usize) -> Network {
        let values = |count: usize| (0..count).map(|place| if place % 100 < density { 0.5 } else { 0.0 }).collect();
        let layers = vec![
            conv("conv1", [1, 6, 3], values(54)),
            Layer::Relu,
            Layer::MaxPool2d { size: 2 },
            Layer::Flatten,
            linear("fc1", [6 * 9, 12], values(648)),
            linear("fc2", [12, 4], vec![0.25; 48]),
        ];
        Network::new([1, 8, 8], layers).expect("fits")
    }

    /// A clock that says what it is told: it does the call, and numbers its readings.
    fn reading(mut say: impl FnMut(usize) -> f64) -> impl FnMut(&mut dyn FnMut()) -> f64 {
        let mut count = 0;
        move |call| {
            call();
            count += 1;
            say(count - 1)
        }
    }

    #[test]
    fn the_form_that_the_clock_finds_fastest_is_chosen() {
        for instruction_set in InstructionSet::available() {
            let options = Options { threads: 1, instruction_set, ..Options::new(64) };
            let plan = |say: fn(usize) -> f64| {
                let own = tuned(&network(30), &options, &mut reading(say)).expect("small");
                own.plan().clone()
            };
            let (first, last) = (plan(|count| count as f64), plan(|count| -(count as f64)));
            for (first, last) in first.steps.iter().zip(&last.steps) {
                assert_eq!(first.form, first.tried[0].form);
                assert_eq!(last.form, last.tried[last.tried.len() - 1].form);
            }
            assert_eq!((first.blocks, last.blocks), (1, 4), "64 images are four blocks");
            assert_eq!((first.lanes, last.lanes), (LanesHold::Images, LanesHold::Images));
            let few = Options { batch: 1, ..options };
            let lanes =
                |say: fn(usize) -> f64| tuned(&network(30), &few, &mut reading(say)).expect("small").plan().lanes;
            assert_eq!(lanes(|count| count as f64), LanesHold::Images);
            assert_eq!(lanes(|count| -(count as f64)), LanesHold::Places);
        }
    }

    #[test]
    fn whatever_is_chosen_the_answers_are_the_same() {
        for (turn, density) in [0, 4, 30, 100].into_iter().enumerate() {
            let network = network(density);
            let image = sample(&network);
            let wanted = network.forward(&image);
            for instruction_set in InstructionSet::available() {
                for batch in [1, 40] {
                    let options = Options { threads: 1, instruction_set, ..Options::new(batch) };
                    // Readings without an order, other ones at each turn.
                    let mut own = tuned(&network, &options, &mut reading(|count| ((count + turn) * 7919 % 101) as f64))
                        .expect("small");
                    let found = own.logits(&image);
                    assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{:#?}", own.plan());
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_the_memory_is_not_tried() {
        let network = network(30);
        let mut clock = reading(|count| -(count as f64));
        let mut tuned = |buffer_bytes, batch| {
            let options = Options { threads: 2, buffer_bytes, ..Options::new(batch) };
            tuned(&network, &options, &mut clock).map(|own| (own.plan().lanes, own.plan().blocks))
        };
        // Of an image 64 pixels, then 54 features and 12: with 16 images and two threads 16,640 bytes at one block.
        let one = 2 * 64 * (64 + 54 + 12);
        assert_eq!(tuned(1 << 30, 256), Ok((LanesHold::Images, 8)));
        assert_eq!(tuned(one, 256), Ok((LanesHold::Images, 1)));
        assert_eq!(tuned(one - 1, 256), Ok((LanesHold::Places, 1)), "one image at a time takes less");
    }

    #[test]
    fn where_nothing_fits_nothing_is_allocated_or_timed() {
        let refused = |network: &Network, buffer_bytes| {
            let options = Options { threads: 2, buffer_bytes, ..Options::new(256) };
            let mut clock = |_: &mut dyn FnMut()| panic!("nothing is timed");
            match tuned(network, &options, &mut clock).expect_err("nothing fits") {
                Error::Memory { found, most } => [found, most],
                error => panic!("another error: {error}"),
            }
        };
        // One image at a time takes least: two threads with 64 and 54 numbers, twice 64 for what lies in between, and
        // room for whole vectors.
        let least = 2 * 4 * (64 + 54 + 2 * 64 + 4 * SLACK);
        assert_eq!(refused(&network(30), least - 1), [least, least - 1]);
        // An image that would take 16 GiB, and one of a number whose padded image would.
        let wide = Network::new([1, 1 << 16, (1 << 16) - 1], vec![Layer::Relu]).expect("32 bits count it");
        assert!(refused(&wide, 1 << 30)[0] > 1 << 34);
        let Layer::Conv2d(one) = conv("c", [1, 1, 1], vec![1.0]) else { panic!("a conv") };
        let padded = Layer::Conv2d(Conv2d { padding: (1 << 15) - 1, stride: 1 << 16, ..one });
        let padded = Network::new([1, 1, 1], vec![padded]).expect("32 bits count it");
        assert!(refused(&padded, 1 << 30)[0] > 1 << 34);
    }
}
