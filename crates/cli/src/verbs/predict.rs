//! `secateur predict`: what a model sees on an image.

mod picture;

use super::{Done, print};
use crate::args::PredictArgs;
use anyhow::{Context, Result, bail};
pub(super) use picture::{Kind, kind};
use picture::{fitted, is_bright_outside, picture};
use secateur_sparse::infer::Options;
use secateur_trainer::config::Source;
use secateur_trainer::data::{Images, read_images, read_inputs, read_picture};
use secateur_trainer::{Model, inference};
use serde_json::json;
use std::path::Path;

/// Answers for every image, in the order in which they are named.
pub(crate) fn predict(args: &PredictArgs) -> Result<Done> {
    let model = Model::open(&args.model, None)?;
    // Without a clock, so that an image gets the same digits at each call.
    let options = Options { threads: 1, ..Options::new(1) };
    let mut engine = model.engine(&options).with_context(|| args.model.display().to_string())?;
    let [channels, height, width] = model.network.input();
    let classes = &model.info.classes;
    let answered = |name: &str, logits: &[f32]| {
        print(&if args.json { as_json(name, logits, classes) } else { as_text(name, logits, classes) })
    };
    let (arrays, images): (Vec<_>, Vec<_>) =
        args.images.iter().partition(|path| path.extension().is_some_and(|end| end == "npz"));
    for path in arrays {
        let (inputs, _) = read_inputs(path, model.network.input(), |image| model.info.input(image).collect())?;
        let count = inputs.len() / (channels * height * width);
        if let Some(index) = args.index.filter(|own| *own >= count) {
            bail!("{}: --index {index}: found {count} inputs, counted from 0", path.display());
        }
        for (place, input) in inputs.chunks_exact(channels * height * width).enumerate() {
            if args.index.is_none_or(|own| own == place) {
                if let Some(value) = input.iter().position(|value| !value.is_finite()) {
                    bail!(
                        "{}: value {value} of input {place} is {}, expected a finite number",
                        path.display(),
                        input[value]
                    );
                }
                answered(&format!("{}[{place}]", path.display()), &engine.logits(input))?;
            }
        }
    }
    if !images.is_empty() && ![1, 3].contains(&channels) {
        bail!("{}: the model takes images of {channels} channels, expected 1 or 3", args.model.display());
    }
    let data = model.experiment.as_ref().map(|own| &own.config().data);
    let folder = data.filter(|own| own.source == Source::ImageFolder);
    // Pictures become what a training on pictures saw of them, unless they are ink in shades of grey.
    let scales = args.resize || folder.is_some_and(|own| own.size.is_some());
    let as_trained = (!model.takes_ink()).then_some(Pictures { scales });
    for path in images {
        let images = ready(path, args, as_trained, [channels, height, width])?;
        for (place, image) in images.pixels.chunks_exact(channels * height * width).enumerate() {
            let pixels: Vec<f32> = model.info.input(image).collect();
            let logits = engine.logits(&pixels);
            let name = if images.numbered {
                format!("{}[{}]", path.display(), images.first + place)
            } else {
                path.display().to_string()
            };
            answered(&name, &logits)?;
        }
    }
    Ok(Done::Whole)
}

/// Pictures as a training on pictures takes them.
#[derive(Clone, Copy)]
struct Pictures {
    /// Whether those of another size are scaled.
    scales: bool,
}

/// The images of a file as the model takes them: of its size, and ink in shades of grey white on black.
fn ready(
    path: &Path,
    args: &PredictArgs,
    as_trained: Option<Pictures>,
    [channels, height, width]: [usize; 3],
) -> Result<Images> {
    let size = [height, width];
    let mut images = match (kind(path)?, args.index) {
        (Kind::Picture, Some(index)) => bail!(
            "{}: --index {index} counts the images of an IDX file, found a picture, which is one image",
            path.display()
        ),
        (Kind::Picture, None) => match as_trained {
            Some(Pictures { scales }) => {
                let pixels =
                    read_picture(path, [channels, height, width], scales, "as the model takes; --resize scales it")?;
                Images { rows: height, columns: width, channels, pixels, first: 0, numbered: false }
            }
            None => picture(path)?,
        },
        (Kind::Foreign(name), _) => bail!("{}: {name} is not read; convert it to PNG", path.display()),
        (Kind::Other, index) => read_images(path, index)?,
    };
    if images.channels != channels {
        bail!(
            "{}: found images of {} channel, expected {channels}, as the model takes",
            path.display(),
            images.channels
        );
    }
    if args.invert {
        images.pixels.iter_mut().for_each(|own| *own = 255 - *own);
    }
    let sides = [images.rows, images.columns];
    if sides.contains(&0) {
        bail!("{}: found images without pixels, expected {} x {}", path.display(), size[0], size[1]);
    }
    let bright =
        images.pixels.chunks_exact(sides[0] * sides[1]).filter(|image| is_bright_outside(image, sides)).count();
    // Of many images, such as clothes, some reach to the border. Photographs have no ground that they are learned on.
    if as_trained.is_none() && 2 * bright > images.pixels.len() / (sides[0] * sides[1]) {
        let (seen, cure) = match args.invert {
            false => ("black on white", "add --invert"),
            true => ("white on black before --invert", "leave --invert out"),
        };
        tracing::warn!(
            "{}: looks {seen}, but models learn from white on black, so the answer may mean nothing; {cure}",
            path.display()
        );
    }
    if sides == size {
        return Ok(images);
    }
    if !args.resize {
        let [height, width] = size;
        bail!(
            "{}: found an image of {} x {} pixels, expected {height} x {width}; --resize fits it in",
            path.display(),
            images.rows,
            images.columns
        );
    }
    let pixels = images.pixels.chunks_exact(sides[0] * sides[1]).flat_map(|image| fitted(image, sides, size)).collect();
    Ok(Images { rows: size[0], columns: size[1], pixels, ..images })
}

/// Softmax.
fn probabilities(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn as_text(name: &str, logits: &[f32], classes: &[String]) -> String {
    if let [only] = logits {
        return format!("{name}: {only}");
    }
    let called = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    let shares = probabilities(logits);
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]));
    let answer = inference::answer(logits);
    let others: Vec<String> = order
        .iter()
        .filter(|class| **class != answer)
        .take(2)
        .map(|class| format!("{} {:.2} %", called(*class), 100.0 * shares[*class]))
        .collect();
    format!("{name}: {} ({:.2} %), then {}", called(answer), 100.0 * shares[answer], others.join(", "))
}

fn as_json(name: &str, logits: &[f32], classes: &[String]) -> String {
    let answer = inference::answer(logits);
    let mut told = json!({ "image": name, "answer": answer, "probabilities": probabilities(logits), "logits": logits });
    if let Some(class) = classes.get(answer) {
        told["class"] = json!(class);
    }
    told.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_softmax() {
        let own = probabilities(&[0.0, 2f32.ln(), f32::NEG_INFINITY]);
        assert!((own[0] - 1.0 / 3.0).abs() < 1e-7 && (own[1] - 2.0 / 3.0).abs() < 1e-7 && own[2] == 0.0);
        let logits = [0.0, 2f32.ln(), -99.0];
        assert_eq!(as_text("x", &logits, &[]), "x: 1 (66.67 %), then 0 33.33 %, 2 0.00 %");
        assert_eq!(as_text("x", &[0.25], &[]), "x: 0.25", "a single number is an answer by itself");
        let classes = ["cat", "dog", "fox"].map(str::to_owned);
        assert_eq!(as_text("x", &logits, &classes), "x: dog (66.67 %), then cat 33.33 %, fox 0.00 %");
    }
}
