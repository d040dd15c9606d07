//! `secateur export`: a trained model for other programs.

use super::models::{Images, precision_word};
use super::{Done, print};
use crate::args::{ExportArgs, Format, Values};
use anyhow::{Context, Result, bail};
use secateur_sparse::export::Form;
use secateur_sparse::file::{Info, Precision, decode};
use secateur_sparse::infer::{Engine, Options};
use secateur_sparse::{Ranges, Trained};
use secateur_trainer::inference::Agreement;
use secateur_trainer::{Model, write_file};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Largest difference of a logit that compaction may make, as a share of the largest logit: what is beyond rounding.
const TOLERANCE: f32 = 1e-3;
/// Images that go through an engine in a call.
const BATCH: usize = 128;

/// Writes the file, and says what it holds and how its answers compare.
pub(crate) fn export(args: &ExportArgs) -> Result<Done> {
    let (out, format) = destination(args)?;
    let model = match &args.input {
        Some(sides) => Model::open_onnx(&args.model, &sides.0)?,
        None => Model::open(&args.model, args.checkpoint.as_deref())?,
    };
    let images = Images::of(&model, args.data.as_deref(), args.other_data)?;
    let mut text = String::new();
    let mut network = model.network.clone();
    let wanted = answers(&model.network, &images).with_context(|| args.model.display().to_string())?;
    if args.compact {
        let (smaller, [before, after]) = network.compacted();
        let agreement = Agreement::of(&wanted, &answers(&smaller, &images)?, network.classes());
        let _ = writeln!(text, "compacted        before      after");
        for (name, before, after) in [
            ("units", before.units, after.units),
            ("weights", before.weights, after.weights),
            ("nonzero", before.nonzero, after.nonzero),
            ("MACs", before.macs, after.macs),
            ("MACs left", before.remaining_macs, after.remaining_macs),
        ] {
            let _ = writeln!(text, "  {name:<10} {before:>10} {after:>10}");
        }
        let Agreement { max_delta, scale, .. } = agreement;
        let _ = writeln!(
            text,
            "  largest difference of a logit {max_delta:.1e}, of the largest logit {scale:.1} ({})",
            images.name
        );
        // A difference that is no number is not below anything either.
        if max_delta.is_nan() || max_delta > TOLERANCE * scale.max(1.0) {
            bail!(
                "compaction changes a logit by {max_delta}, wanted at most {TOLERANCE} of {scale}: nothing is written"
            );
        }
        network = smaller;
    }
    let precision = args.values.precision();
    let stored = network.quantized(precision).with_context(|| args.model.display().to_string())?;
    let mut info = Info { ranges: Ranges::default(), ..model.info.clone() };
    if precision == Precision::Int8 && format == Format::Secateur {
        if let Some((ranges, over)) = images.ranges(&stored)? {
            let _ = writeln!(
                text,
                "the engine computes in int8: the ranges of its {} values are those over {over}",
                ranges.len()
            );
            info.ranges = ranges;
        } else if network.suits_bytes() {
            let _ = writeln!(
                text,
                "the engine computes with f32: for int8 it takes the ranges of the values over training images; name their folder \
                 with --data"
            );
        }
    }
    let bytes = match format {
        Format::Secateur => network.encode(&info, precision)?,
        Format::Safetensors => stored.safetensors(if args.csr { Form::Csr } else { Form::Dense }, &notes(&model))?,
        Format::Onnx => stored.onnx(&model.info.name, args.batch.map(|batch| batch as usize), &notes(&model))?,
    };
    if format == Format::Secateur {
        let _ = writeln!(text, "layer            weights   positions as      positions     values      bytes");
        for own in decode(&bytes).context("the file just made cannot be read back")?.sizes {
            let (name, coding) = (&own.name, own.coding.to_string());
            let (places, values) = (own.position_bytes, own.value_bytes);
            let _ = writeln!(
                text,
                "  {name:<12} {:>9}   {coding:<12} {places:>12} {values:>10} {:>10}",
                own.stored, own.bytes
            );
        }
    }
    write_file(&out, &bytes)?;
    let found = Engine::over(&stored, &info.ranges, &Options::new(BATCH))?.logits(&images.pixels);
    if args.values != Values::F32 || model.precision.is_some() {
        let agreement = Agreement::of(&wanted, &found, network.classes());
        let share = 100.0 * agreement.same as f64 / agreement.images.max(1) as f64;
        let _ = writeln!(
            text,
            "as {}: {share:.2} % of the answers are the same ({})",
            precision_word(precision),
            images.name
        );
    }
    if let (Some(before), Some(after)) =
        (images.accuracy(&wanted, network.classes()), images.accuracy(&found, network.classes()))
    {
        let _ = writeln!(
            text,
            "accuracy {:.2} % before, {:.2} % in the file ({})",
            100.0 * before,
            100.0 * after,
            images.name
        );
    }
    let dense = 4 * model.network.cost().parameters;
    let share = dense as f64 / bytes.len() as f64;
    let part = if share >= 1.0 { format!("1/{share:.1} of") } else { format!("{:.1} times", 1.0 / share) };
    let _ =
        writeln!(text, "{}: {} bytes, {part} the {dense} bytes of all parameters as f32", out.display(), bytes.len());
    print(&text)?;
    Ok(Done::Whole)
}

/// What other programs' files say of a model beside its tensors.
pub(super) fn notes(model: &Model) -> Vec<(&str, &str)> {
    model.notes.iter().map(|(key, note)| (*key, note.as_str())).collect()
}

impl Format {
    const ALL: [Self; 3] = [Self::Secateur, Self::Safetensors, Self::Onnx];

    /// The word of the command line, which is also the ending of a file.
    fn word(self) -> &'static str {
        match self {
            Self::Secateur => "secateur",
            Self::Safetensors => "safetensors",
            Self::Onnx => "onnx",
        }
    }

    fn of_ending(out: &Path) -> Option<Self> {
        let end = out.extension()?.to_str()?;
        Self::ALL.into_iter().find(|format| end.eq_ignore_ascii_case(format.word()))
    }
}

/// The format that is asked for, by word, by the ending of the file, or by neither.
pub(super) fn format(asked: Option<Format>, out: Option<&Path>) -> Result<Format> {
    let Some(out) = out else { return Ok(asked.unwrap_or(Format::Secateur)) };
    match (asked, Format::of_ending(out)) {
        (Some(asked), Some(ending)) if asked != ending => bail!(
            "--out {}: the ending says {}, but --format says {}; give the file the ending .{}, or leave --format out",
            out.display(),
            ending.word(),
            asked.word(),
            asked.word()
        ),
        (Some(format), _) | (None, Some(format)) => Ok(format),
        (None, None) => bail!(
            "--out {}: the ending says no format, expected .secateur, .safetensors or .onnx; or say it with --format",
            out.display()
        ),
    }
}

/// Where to write, and what; a file that is there is only written over when that is asked for.
fn destination(args: &ExportArgs) -> Result<(PathBuf, Format)> {
    let format = format(args.format, args.out.as_deref())?;
    for (flag, given, wanted) in
        [("--csr", args.csr, Format::Safetensors), ("--batch", args.batch.is_some(), Format::Onnx)]
    {
        if given && format != wanted {
            bail!("{flag} belongs to --format {}, found {}", wanted.word(), format.word());
        }
    }
    let end = match format {
        Format::Secateur => "secateur",
        Format::Safetensors if args.csr => "csr.safetensors",
        // A run's folder has a model.safetensors already.
        Format::Safetensors => "dense.safetensors",
        Format::Onnx => "onnx",
    };
    let beside = || match args.model.is_dir() {
        true => args.model.join("model").with_extension(end),
        false => args.model.with_extension(end),
    };
    let out = args.out.clone().unwrap_or_else(beside);
    check_free(&out, &args.model, args.force)?;
    Ok((out, format))
}

/// Refuses to write over the model itself, and over a file that is there unless that is meant.
pub(super) fn check_free(out: &Path, model: &Path, force: bool) -> Result<()> {
    let own = if model.is_dir() { model.join("model.safetensors") } else { model.to_owned() };
    // Both have to be there to be the same.
    if own.canonicalize().is_ok_and(|own| out.canonicalize().is_ok_and(|out| own == out)) {
        bail!("{} is the model itself: choose another file with --out", out.display());
    }
    if out.exists() && !force {
        bail!("{} exists already; write over it with --force, or choose another with --out", out.display());
    }
    Ok(())
}

/// Logits, without a clock: what is said of them is the same at each call.
fn answers(network: &Trained, images: &Images) -> Result<Vec<f32>> {
    Ok(Engine::of(network, &Options::new(BATCH))?.logits(&images.pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_decides_and_is_never_contradicted() {
        let asked = |word: Option<Format>, out: Option<&str>| format(word, out.map(Path::new)).ok();
        for own in Format::ALL {
            assert_eq!(asked(None, Some(&format!("a.b.{}", own.word()))), Some(own));
            assert_eq!(asked(Some(own), Some("model.bin")), Some(own), "an ending of one's own, when the word is said");
            assert_eq!(asked(Some(own), None), Some(own));
        }
        assert_eq!(asked(None, Some("Q.ONNX")), Some(Format::Onnx));
        assert_eq!(asked(None, None), Some(Format::Secateur));
        assert_eq!(asked(Some(Format::Secateur), Some("q.onnx")), None);
        assert_eq!(asked(None, Some("q.pt")), None);
    }
}
