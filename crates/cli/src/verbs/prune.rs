//! `secateur prune`: a trained model is pruned without training.

use super::export::{check_free, format, notes};
use super::models::{self, dataset, precision_word};
use super::predict::{Kind, kind};
use super::{Done, print};
use crate::args::{Format, PruneArgs};
use crate::progress::clock;
use crate::say::say;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use secateur_oneshot::{Budget, Calls, Images, Job, Options, Progress, Pruned, Score};
use secateur_pruner::{Selection, Sparsity};
use secateur_sparse::Trained;
use secateur_sparse::file::{Info, Precision, Scale};
use secateur_sparse::infer::{self, Engine};
use secateur_trainer::data::{Split, read_images, read_inputs, read_picture};
use secateur_trainer::inference::Agreement;
use secateur_trainer::{Model, write_file};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::IsTerminal;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Images of the training part that weights are fitted to; those that judge come from the validation part where there is one.
const LEARNED: usize = 1024;

/// Prunes, writes the file, and says what is left and how its answers compare.
pub(crate) fn prune(args: &PruneArgs) -> Result<Done> {
    let (out, format) = destination(args)?;
    let model = Model::open(&args.model, args.checkpoint.as_deref())?;
    let named = || args.model.display().to_string();
    let (images, test) = calibration(&model, args)?;
    let Trained { graph, weights } = &model.network;
    let threads = infer::threads_of(args.threads.into());
    let selection = Selection {
        include: if args.include.is_empty() { Selection::default().include } else { args.include.clone() },
        exclude: args.exclude.clone(),
    };
    let options = Options { selection, scope: args.scope, reconstruct: !args.no_reconstruction, threads };
    let budget = budget(args, &model, threads)?;
    let job = Job::new(graph, weights, [images.learned.as_images(), images.judged.as_images()], &options)
        .with_context(named)?;
    let mut watch = Watch::new();
    let mut pruned = job.prune(budget, &mut |at| watch.tell(at)).with_context(named)?;
    drop(watch);
    let network = Trained { graph: graph.clone(), weights: pruned.weights.clone() };
    let precision = args.values.precision();
    let stored = network.quantized(precision).with_context(named)?;
    // Small weights may be rounded to zero.
    let layers = stored.layers();
    for own in &mut pruned.layers {
        let layer = layers.iter().find(|layer| own.name == format!("{}.weight", layer.name));
        own.kept = layer.map_or(own.kept, |layer| layer.weight.iter().filter(|weight| **weight != 0.0).count());
    }
    let bytes = match format {
        Format::Secateur => network.encode(&model.info, precision)?,
        Format::Safetensors => stored.safetensors(secateur_sparse::export::Form::Dense, &notes(&model))?,
        Format::Onnx => stored.onnx(&model.info.name, None, &notes(&model))?,
    };
    // A single number has no largest one to compare.
    let compared = test.as_ref().filter(|_| stored.classes() > 1);
    let compared = compared.map(|test| self::compared(&model.network, &stored, test)).transpose()?;
    let cost = stored.cost();
    let told = Told { pruned: &pruned, images: &images.name, test: compared, cost, bytes: bytes.len() };
    write_file(&out, &bytes)?;
    let call_ms = match budget {
        Budget::Milliseconds(_, calls) => Some(1e3 * call_seconds(&network, calls).with_context(named)?),
        Budget::Sparsity(_) | Budget::Within(_) | Budget::Bytes(..) => None,
    };
    if args.json {
        print(&format!("{:#}", told.json(&out, call_ms)))?;
    } else {
        print(&told.text())?;
        if let Some(found) = call_ms {
            say!("a call takes {found:.4} ms on this machine; the budget: {budget}");
        }
        let values = match (format, precision) {
            (Format::Secateur, _) | (_, Precision::F32) => format!("values as {}", precision_word(precision)),
            (Format::Safetensors | Format::Onnx, Precision::F16 | Precision::Int8) => {
                format!("values rounded to {}, stored as f32", precision_word(precision))
            }
        };
        say!("wrote {} ({} bytes, {values})", out.display(), bytes.len());
    }
    Ok(Done::Whole)
}

/// Median seconds of a call of so many images.
fn call_seconds(network: &Trained, Calls { batch, threads }: Calls) -> Result<f64> {
    let options = infer::Options { threads, ..infer::Options::new(batch) };
    Ok(Engine::timed(network, &options, &mut infer::seconds)?.call_seconds(batch, &mut infer::seconds))
}

/// Where to write, and what.
fn destination(args: &PruneArgs) -> Result<(PathBuf, Format)> {
    let beside = || match args.model.is_dir() {
        true => args.model.join("model-pruned.secateur"),
        false => {
            let stem = args.model.file_stem().unwrap_or_default().to_string_lossy();
            args.model.with_file_name(format!("{stem}-pruned.secateur"))
        }
    };
    let out = args.out.clone().unwrap_or_else(beside);
    let Ok(format) = format(None, Some(&out)) else {
        bail!("--out {}: expected a name that ends in .secateur, .safetensors or .onnx", out.display())
    };
    if args.budget.within_bytes.is_some() && format != Format::Secateur {
        bail!("--within-bytes counts the bytes of a .secateur file, found --out {}", out.display());
    }
    check_free(&out, &args.model, args.force)?;
    Ok((out, format))
}

/// What was asked for, checked.
fn budget(args: &PruneArgs, model: &Model, threads: usize) -> Result<Budget> {
    let asked = &args.budget;
    if let Some(sparsity) = asked.sparsity {
        return Ok(Budget::Sparsity(Sparsity::new(sparsity).context("--sparsity")?));
    }
    if let Some(points) = asked.within {
        if !(0.0..=100.0).contains(&points) {
            bail!("--within {points}: expected percentage points from 0 to 100");
        }
        return Ok(Budget::Within(points));
    }
    if let Some(ms) = asked.within_ms {
        if !(ms > 0.0 && ms.is_finite()) {
            bail!("--within-ms {ms}: expected a number of milliseconds above 0");
        }
        return Ok(Budget::Milliseconds(ms, Calls { batch: args.batch as usize, threads }));
    }
    let bytes = asked.within_bytes.unwrap_or_default();
    // The names take their bytes, too.
    let nameless = Info {
        name: String::new(),
        classes: vec![],
        scales: vec![Scale { divisor: 1.0, shift: 0.0 }],
        ..model.info.clone()
    };
    let size = |info: &Info| Ok::<usize, anyhow::Error>(model.network.encode(info, args.values.precision())?.len());
    let names = size(&model.info)?.saturating_sub(size(&nameless)?) as u64;
    if bytes <= names {
        bail!("--within-bytes {bytes}: the names in the file take {names} bytes alone");
    }
    Ok(Budget::Bytes((bytes - names) as usize, args.values.precision()))
}

/// Images to learn from and to judge by.
#[derive(Default)]
struct Calibration {
    /// What the judges are, for people.
    name: String,
    learned: Part,
    judged: Part,
}

/// Some images with their labels.
#[derive(Default)]
struct Part {
    /// As the network takes them.
    pixels: Vec<f32>,
    /// Empty where nobody knows them.
    labels: Vec<u16>,
}

impl Part {
    fn of(model: &Model, split: &Split, range: Range<usize>) -> Self {
        let labels = range.clone().map(|image| split.label(image)).collect();
        Self { pixels: model.images(split, range), labels }
    }

    fn as_images(&self) -> Images<'_> {
        Images { pixels: &self.pixels, labels: &self.labels }
    }
}

/// Those that are named, or of the data set that is named, or of the run's own: of a run the judges are images that its training never
/// saw. With them the test images, for the last word.
fn calibration(model: &Model, args: &PruneArgs) -> Result<(Calibration, Option<models::Images>)> {
    let most = args.images as usize;
    if !args.calibration.is_empty() {
        let Part { pixels, labels } = files(model, &args.calibration, most)?;
        let size = model.network.input().iter().product();
        if let Some(place) = pixels.iter().position(|value| !value.is_finite()) {
            bail!("--calibration: value {} of image {} is not a finite number", place % size, place / size);
        }
        if let Some(label) = labels.iter().find(|label| usize::from(**label) >= model.network.classes()) {
            bail!("--calibration: found the label {label}, expected 0 to {}", model.network.classes() - 1);
        }
        if pixels.len() < 2 * size {
            bail!(
                "--calibration: found {} image, expected at least 2: one to learn from and one to judge by",
                pixels.len() / size
            );
        }
        let [learned, judged] = Images { pixels: &pixels, labels: &labels }
            .divided(size)
            .map(|own| Part { pixels: own.pixels.to_vec(), labels: own.labels.to_vec() });
        let name = format!("{} calibration images that the weights were not fitted to", judged.pixels.len() / size);
        return Ok((Calibration { name, learned, judged }, None));
    }
    let Some(dataset) = dataset(model, args.data.as_deref(), args.other_data)? else {
        return Ok((Calibration::default(), None));
    };
    let learned = dataset.train.len().min(LEARNED).min(most / 2);
    let (from, first, part) = match dataset.validation.is_empty() {
        true => (&dataset.train, learned, "training"),
        false => (&dataset.validation, 0, "validation"),
    };
    let judged = first..from.len().min(first + most - learned);
    let name = format!("{} {part} images of {}", judged.len(), dataset.name);
    let (learned, judged) = (Part::of(model, &dataset.train, 0..learned), Part::of(model, from, judged));
    Ok((Calibration { name, learned, judged }, Some(models::Images::test(model, &dataset))))
}

/// The images of files and of folders of pictures, so many at most, as the network takes them; with labels where all files have some.
fn files(model: &Model, paths: &[PathBuf], most: usize) -> Result<Part> {
    let [channels, rows, columns] = model.network.input();
    let size = channels * rows * columns;
    let mut listed = vec![];
    for path in paths {
        match path.is_dir() {
            true => {
                let entries = std::fs::read_dir(path).with_context(|| format!("{}: cannot read", path.display()))?;
                let mut own = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
                own.retain(|path| is_picture(path));
                if own.is_empty() {
                    bail!(
                        "{}: found no PNG or JPEG file in this folder; those of folders in it are not taken: name each of them, or a \
                         whole image folder with --data",
                        path.display()
                    );
                }
                own.sort();
                listed.extend(own);
            }
            false => listed.push(path.clone()),
        }
    }
    let (mut pixels, mut labels) = (vec![], vec![]);
    for path in listed {
        if pixels.len() >= most * size {
            break;
        }
        if path.extension().is_some_and(|end| end == "npz") {
            let (own, classes) = read_inputs(&path, model.network.input(), |image| model.info.input(image).collect())?;
            pixels.extend(own);
            labels.extend(classes.into_iter().flatten());
            continue;
        }
        let bytes = match kind(&path)? {
            Kind::Picture if channels == 1 || channels == 3 => {
                read_picture(&path, [channels, rows, columns], true, "")?
            }
            Kind::Picture => bail!("{}: the model takes {channels} channels, a picture has 1 or 3", path.display()),
            Kind::Foreign(name) => bail!("{}: {name} is not read; convert it to PNG", path.display()),
            Kind::Other => {
                let own = read_images(&path, None)?;
                if [own.channels, own.rows, own.columns] != [channels, rows, columns] {
                    let found = [own.channels, own.rows, own.columns];
                    bail!("{}: found images of {found:?}, expected {:?}", path.display(), [channels, rows, columns]);
                }
                own.pixels
            }
        };
        bytes.chunks_exact(size).for_each(|image| pixels.extend(model.info.input(image)));
    }
    if labels.len() < pixels.len() / size {
        labels.clear();
    }
    pixels.truncate(most * size);
    labels.truncate(most);
    Ok(Part { pixels, labels })
}

fn is_picture(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    path.is_file() && ["png", "jpg", "jpeg"].contains(&end.as_str())
}

/// The answers of both networks to the test images: what they are, accuracy before and after, and the agreement.
fn compared(dense: &Trained, pruned: &Trained, test: &models::Images) -> Result<(String, [Score; 2])> {
    let answers =
        |network| -> Result<Vec<f32>> { Ok(Engine::of(network, &infer::Options::new(128))?.logits(&test.pixels)) };
    let (before, after) = (answers(dense)?, answers(pruned)?);
    let classes = dense.classes();
    let score = |logits: &[f32]| {
        let Agreement { images, same, .. } = Agreement::of(&before, logits, classes);
        Score { images, agreement: same as f64 / images.max(1) as f64, accuracy: test.accuracy(logits, classes) }
    };
    Ok((test.name.clone(), [score(&before), score(&after)]))
}

/// What is told of a pruned network.
struct Told<'a> {
    pruned: &'a Pruned,
    images: &'a str,
    test: Option<(String, [Score; 2])>,
    cost: secateur_sparse::Cost,
    bytes: usize,
}

impl Told<'_> {
    /// The images and scores that there are.
    fn scores(&self) -> impl Iterator<Item = (&str, &[Score; 2])> {
        let own = self.pruned.score.iter().map(|score| (self.images, score));
        own.chain(self.test.iter().map(|(name, score)| (name.as_str(), score)))
    }

    fn text(&self) -> String {
        let width = self.pruned.layers.iter().map(|own| own.name.len()).max().unwrap_or(0).max(5);
        let mut text = format!("{:<width$}  {:>10} {:>10} {:>9}\n", "layer", "weights", "kept", "sparsity");
        let (mut weights, mut kept) = (0, 0);
        let mut line = |name: &str, weights: usize, kept: usize| {
            let sparsity = 100.0 * (1.0 - kept as f64 / weights.max(1) as f64);
            let _ = writeln!(text, "{name:<width$}  {weights:>10} {kept:>10} {sparsity:>7.2} %");
        };
        for own in &self.pruned.layers {
            line(&own.name, own.weights, own.kept);
            (weights, kept) = (weights + own.weights, kept + own.kept);
        }
        line("all", weights, kept);
        let _ = writeln!(text, "MACs an image: {} of {} left", self.cost.remaining_macs, self.cost.macs);
        for (name, [before, after]) in self.scores() {
            let _ = match (before.accuracy, after.accuracy) {
                (Some(before), Some(accuracy)) => writeln!(
                    text,
                    "accuracy {:.2} % before, {:.2} % after, {:.2} % of the answers are the same ({name})",
                    100.0 * before,
                    100.0 * accuracy,
                    100.0 * after.agreement
                ),
                _ => writeln!(text, "{:.2} % of the answers are the same ({name})", 100.0 * after.agreement),
            };
        }
        if self.pruned.score.is_none() {
            let _ = writeln!(
                text,
                "no images: whether the answers are still good is not known; name some with --calibration or --data"
            );
        }
        text
    }

    fn json(&self, out: &Path, call_ms: Option<f64>) -> Value {
        let layers = self.pruned.layers.iter();
        let layers: Vec<Value> =
            layers.map(|own| json!({ "name": own.name, "weights": own.weights, "kept": own.kept })).collect();
        let score = |own: &Score| json!({ "agreement": own.agreement, "accuracy": own.accuracy });
        let scores: Vec<Value> = self
            .scores()
            .map(|(name, [before, after])| {
                json!({ "images": name, "count": after.images, "before": score(before), "after": score(after) })
            })
            .collect();
        json!({
            "file": out,
            "bytes": self.bytes,
            "call_ms": call_ms,
            "layers": layers,
            "macs": self.cost.macs,
            "remaining_macs": self.cost.remaining_macs,
            "answers": scores,
        })
    }
}

/// A bar on a terminal, plain lines now and then elsewhere; all of it on stderr.
struct Watch {
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
    stage: &'static str,
}

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Watch {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24.green} {pos}/{len} {msg}").expect("a valid template");
            ProgressBar::new(1).with_style(style.progress_chars("━╸─"))
        });
        let now = Instant::now();
        Self { bar, began: now, last_line: now, stage: "" }
    }

    fn tell(&mut self, at: &Progress<'_>) {
        if self.stage != at.stage {
            (self.stage, self.began) = (at.stage, Instant::now());
        }
        let left = match at.done {
            0 => String::new(),
            done => format!(
                ", {} left",
                clock(self.began.elapsed().as_secs_f64() / done as f64 * at.of.saturating_sub(done) as f64)
            ),
        };
        let message = format!("{}: {}{left}", at.stage, at.what);
        match &self.bar {
            Some(bar) => {
                bar.set_length(at.of as u64);
                bar.set_position(at.done as u64);
                bar.set_message(message);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                say!("{}/{} {message}", at.done, at.of);
                self.last_line = Instant::now();
            }
            None => {}
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
