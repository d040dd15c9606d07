//! `secateur predict`: what a model sees on an image.

use super::{Done, print};
use crate::args::PredictArgs;
use anyhow::{Context, Result, bail};
use secateur_sparse::infer::{Engine, Options};
use secateur_trainer::data::{Images, read_images};
use secateur_trainer::{Model, inference};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Most bytes that a decoded PNG may take: a picture of the model's size needs a thousandth.
const LARGEST: usize = 4 << 20;

/// Answers for every image, in the order in which they are named.
pub(crate) fn predict(args: &PredictArgs) -> Result<Done> {
    let model = Model::open(&args.model, None)?;
    let mut engine = Engine::new(&model.network, &Options { threads: 1, ..Options::new(1) })
        .with_context(|| args.model.display().to_string())?;
    let [channels, height, width] = model.network.input();
    for path in &args.images {
        let images = if is_png(path)? { png(path)? } else { read_images(path, args.index)? };
        let (found, wanted) = ([images.rows, images.columns], [height, width]);
        if channels != 1 || found != wanted {
            bail!(
                "{}: found an image of {}x{} pixels, wanted {width}x{height} in {channels} channel(s)",
                path.display(),
                found[1],
                found[0]
            );
        }
        for (place, image) in images.pixels.chunks_exact(height * width).enumerate() {
            let byte = |own: &u8| if args.invert { 255 - own } else { *own };
            let pixels: Vec<f32> = image.iter().map(|own| model.info.input(byte(own))).collect();
            let logits = engine.logits(&pixels);
            let name = if images.numbered {
                format!("{}[{}]", path.display(), images.first + place)
            } else {
                path.display().to_string()
            };
            print(&if args.json { as_json(&name, &logits) } else { as_text(&name, &logits) })?;
        }
    }
    Ok(Done::Whole)
}

/// Softmax.
fn probabilities(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn as_text(name: &str, logits: &[f32]) -> String {
    let shares = probabilities(logits);
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]));
    let answer = inference::answer(logits);
    let others: Vec<String> = order
        .iter()
        .filter(|class| **class != answer)
        .take(2)
        .map(|class| format!("{class} {:.2} %", 100.0 * shares[*class]))
        .collect();
    format!("{name}: {answer} ({:.2} %), then {}", 100.0 * shares[answer], others.join(", "))
}

fn as_json(name: &str, logits: &[f32]) -> String {
    json!({ "image": name, "answer": inference::answer(logits), "probabilities": probabilities(logits), "logits": logits }).to_string()
}

/// Whether a file begins as a PNG does.
fn is_png(path: &Path) -> Result<bool> {
    let mut first = [0; 8];
    let place = || path.display().to_string();
    let mut file = File::open(path).with_context(|| format!("{}: cannot open", place()))?;
    let read = std::io::Read::read(&mut file, &mut first).with_context(|| format!("{}: cannot read", place()))?;
    Ok(read == 8 && first == *b"\x89PNG\r\n\x1a\n")
}

/// A picture in shades of grey.
fn png(path: &Path) -> Result<Images> {
    let place = || format!("{}: no PNG that can be read", path.display());
    let file = BufReader::new(File::open(path).with_context(place)?);
    let mut decoder = png::Decoder::new_with_limits(file, png::Limits { bytes: LARGEST });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().with_context(place)?;
    let room = reader.output_buffer_size().filter(|room| *room <= LARGEST);
    let Some(room) = room else { bail!("{}: larger than any image that a model takes", path.display()) };
    let mut bytes = vec![0; room];
    let info = reader.next_frame(&mut bytes).with_context(place)?;
    let (rows, columns) = (info.height as usize, info.width as usize);
    let samples = info.color_type.samples();
    let grey = |pixel: &[u8]| match pixel {
        // What is transparent shows black, the ground of the images that models learn from.
        [grey] => *grey,
        [grey, alpha] => scaled(u32::from(*grey), *alpha),
        [red, green, blue, rest @ ..] => {
            // Rec. 601 luma, in thousandths.
            let luma = (299 * u32::from(*red) + 587 * u32::from(*green) + 114 * u32::from(*blue) + 500) / 1000;
            scaled(luma, rest.first().copied().unwrap_or(255))
        }
        [] => 0,
    };
    let pixels = bytes.chunks_exact(samples).take(rows * columns).map(grey).collect();
    Ok(Images { rows, columns, pixels, first: 0, numbered: false })
}

fn scaled(value: u32, alpha: u8) -> u8 {
    ((value * u32::from(alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_softmax() {
        let own = probabilities(&[0.0, 2f32.ln(), f32::NEG_INFINITY]);
        assert!((own[0] - 1.0 / 3.0).abs() < 1e-7 && (own[1] - 2.0 / 3.0).abs() < 1e-7 && own[2] == 0.0);
        assert_eq!(as_text("x", &[0.0, 2f32.ln(), -99.0]), "x: 1 (66.67 %), then 0 33.33 %, 2 0.00 %");
    }
}
