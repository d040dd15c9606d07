//! `secateur bench`: what models cost on this machine, with their zeros, without them, and compacted.

use super::models::{Images, precision_word};
use super::{Done, print};
use crate::args::{BenchArgs, Values};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use secateur_sparse::file::{Info, Precision};
use secateur_sparse::infer::{Engine, Forms, Options, seconds, threads_of};
use secateur_sparse::{Ranges, Trained};
use secateur_trainer::inference::{Agreement, interleaved, made_up};
use secateur_trainer::{Model, peak_memory};
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// The forms of a model that are timed, in the order of their columns.
const FORMS: [&str; 3] = ["dense", "sparse", "compacted"];

/// Most numbers in a call: those of the images and of their answers.
const LARGEST_CALL: usize = 1 << 28;

/// One model at one batch size.
#[derive(Serialize)]
struct Row {
    model: String,
    batch: u32,
    threads: usize,
    /// How the weights are rounded, which is how a file of this precision holds them.
    values: &'static str,
    /// The images that the ranges of the values were taken over, where the engine computes in int8.
    ranges: Option<String>,
    /// Bytes of the sparse file at the precision that is timed.
    file_bytes: usize,
    /// The images that answers were compared on.
    images: String,
    dense: Timed,
    sparse: Timed,
    compacted: Timed,
}

/// One form of a model.
#[derive(Serialize)]
struct Timed {
    /// Median time of a call, in milliseconds.
    call_ms: f64,
    images_per_s: f64,
    /// Over the dense form.
    speedup: f64,
    /// Multiply-accumulates an image that it computes.
    macs: usize,
    /// Memory of its weights, and of the whole engine.
    weight_bytes: usize,
    engine_bytes: usize,
    /// Share of the images whose answer is that of the dense form in f32, and the largest difference of a logit.
    same_answers: f64,
    max_logit_delta: f32,
    /// Top-1, where the classes are known.
    accuracy: Option<f64>,
}

/// Everything, for `--json`.
#[derive(Serialize)]
struct Answer {
    secateur: &'static str,
    instruction_set: &'static str,
    cores: usize,
    peak_memory_bytes: Option<u64>,
    results: Vec<Row>,
}

/// Times every model at every batch size.
pub(crate) fn bench(args: &BenchArgs) -> Result<Done> {
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        bail!("--seconds is {}, wanted more than 0 and at most 3600", args.seconds);
    }
    let mut subjects = vec![];
    for path in &args.models {
        let model = Model::open(path, None)?;
        let images = Images::of(&model, args.data.as_deref(), args.other_data)?;
        // A file's weights are held as it holds them, unless somebody says otherwise.
        let precision = args.values.map(Values::precision).or(model.precision).unwrap_or(Precision::F32);
        subjects.push(Subject::new(path.display().to_string(), model, images, precision)?);
    }
    for (subject, batch) in subjects.iter().flat_map(|own| args.batch.iter().map(move |batch| (own, *batch as usize))) {
        let numbers = subject.networks[0].input().iter().product::<usize>() + subject.classes;
        if numbers * batch > LARGEST_CALL {
            bail!(
                "--batch {batch}: {batch} images of {} and their answers have more than {LARGEST_CALL} numbers",
                subject.name
            );
        }
    }
    let options = Options { threads: threads_of(args.threads.into()), ..Options::new(1) };
    let style = ProgressStyle::with_template("{spinner} {pos} of {len}: {msg}").expect("a template that is tested");
    let bar = ProgressBar::new(args.batch.len() as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut rows = vec![];
    for batch in &args.batch {
        bar.set_message(format!("batch {batch}, {} model(s)", subjects.len()));
        let options = Options { batch: *batch as usize, ..options };
        rows.extend(measure(&mut subjects, options, args)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let answer = Answer {
        secateur: env!("CARGO_PKG_VERSION"),
        instruction_set: options.instruction_set.name(),
        cores: threads_of(0),
        peak_memory_bytes: peak_memory(),
        results: rows,
    };
    print(&if args.json { serde_json::to_string_pretty(&answer)? } else { text(&answer) })?;
    Ok(Done::Whole)
}

/// A model, its networks, and what its answers should be.
struct Subject {
    name: String,
    images: Images,
    networks: [Trained; 3],
    precision: Precision,
    /// The ranges of the values as it is and compacted, and the images that they were taken over, where it computes in int8.
    ranges: Option<([Ranges; 2], String)>,
    file_bytes: usize,
    classes: usize,
    /// Logits of the network as it is, in f32.
    wanted: Vec<f32>,
}

impl Subject {
    fn new(name: String, model: Model, images: Images, precision: Precision) -> Result<Self> {
        let mut reference = Engine::of(&model.network, &Options::new(128)).with_context(|| name.clone())?;
        let wanted = reference.logits(&images.pixels);
        let network = model.network.quantized(precision).with_context(|| name.clone())?;
        let (smaller, _) = model.network.compacted();
        let classes = network.classes();
        // Compaction comes first: what it folds into biases is not rounded twice.
        let networks = [network.clone(), network, smaller.quantized(precision)?];
        let in_bytes = precision == Precision::Int8 && networks[0].suits_bytes();
        let ranges = in_bytes.then(|| ranges(&model.info.ranges, [&networks[0], &networks[2]], &images)).transpose()?;
        let of_file = ranges.as_ref().map_or_else(Ranges::default, |([_, own], _)| own.clone());
        let info = Info { ranges: of_file, ..model.info };
        let file_bytes = smaller.encode(&info, precision).with_context(|| name.clone())?.len();
        Ok(Self { name, images, networks, precision, ranges, file_bytes, classes, wanted })
    }
}

/// The ranges of the values of networks, and what they were taken over: those of the file where they are known, or else over the
/// training images, or over made-up ones.
fn ranges(known: &Ranges, networks: [&Trained; 2], images: &Images) -> Result<([Ranges; 2], String)> {
    let fits = |network: &Trained| Engine::over(network, known, &Options::new(1)).is_ok();
    if !known.is_empty() && networks.into_iter().all(fits) {
        return Ok(([known.clone(), known.clone()], "the images that the file was exported with".into()));
    }
    let (name, pixels) = match &images.training {
        (_, pixels) if pixels.is_empty() => (&images.name, &images.pixels),
        (name, pixels) => (name, pixels),
    };
    let over = |network: &Trained| Ranges::of_network(network, pixels, &Options::new(1));
    Ok(([over(networks[0])?, over(networks[1])?], name.clone()))
}

/// All models at one batch size: calls of all their forms take turns.
fn measure(subjects: &mut [Subject], options: Options, args: &BenchArgs) -> Result<Vec<Row>> {
    let mut engines = vec![];
    for subject in subjects.iter() {
        for (form, network) in FORMS.into_iter().zip(&subject.networks) {
            let forms = if form == "dense" { Forms::Dense } else { Forms::Any };
            let options = Options { forms, precision: subject.precision, ..options };
            let ranges = subject.ranges.as_ref().map(|(own, _)| &own[usize::from(form == "compacted")]);
            let engine = match ranges {
                Some(ranges) => Engine::over(network, ranges, &options),
                None => Engine::timed(network, &options, &mut seconds),
            }
            .with_context(|| subject.name.clone())?;
            engines.push(engine);
        }
    }
    let time = Duration::from_secs_f64(args.seconds);
    let mut calls = vec![];
    for (subject, engines) in subjects.iter().zip(engines.chunks_mut(FORMS.len())) {
        let images = made_up(&subject.networks[0], options.batch);
        let mut own: Vec<&mut Engine> = engines.iter_mut().collect();
        calls.push(interleaved(&mut own, &images, time));
    }
    let mut rows = vec![];
    for ((subject, engines), calls) in subjects.iter().zip(engines.chunks_mut(FORMS.len())).zip(calls) {
        let mut timed = engines.iter_mut().zip(&subject.networks).enumerate().map(|(place, (engine, network))| {
            let logits = engine.logits(&subject.images.pixels);
            let agreement = Agreement::of(&subject.wanted, &logits, subject.classes);
            let cost = network.cost();
            Timed {
                call_ms: calls[place] * 1e3,
                images_per_s: f64::from(options.batch as u32) / calls[place],
                speedup: calls[0] / calls[place],
                macs: if place == 0 { cost.macs } else { cost.remaining_macs },
                weight_bytes: engine.weight_bytes(),
                engine_bytes: engine.bytes(),
                same_answers: agreement.same as f64 / agreement.images.max(1) as f64,
                max_logit_delta: agreement.max_delta,
                accuracy: subject.images.accuracy(&logits, subject.classes),
            }
        });
        let mut next = || timed.next().expect("one for each form");
        let (dense, sparse, compacted) = (next(), next(), next());
        rows.push(Row {
            model: subject.name.clone(),
            batch: options.batch as u32,
            threads: options.threads,
            values: precision_word(subject.precision),
            ranges: subject.ranges.as_ref().map(|(_, over)| over.clone()),
            file_bytes: subject.file_bytes,
            images: subject.images.name.clone(),
            dense,
            sparse,
            compacted,
        });
    }
    Ok(rows)
}

fn text(answer: &Answer) -> String {
    let mut text = String::new();
    let Answer { instruction_set, cores, .. } = answer;
    let _ = writeln!(text, "{instruction_set}, {cores} cores; medians of calls that took turns");
    let (mut model, mut images) = ("", "");
    for row in &answer.results {
        if row.model != model || row.images != images {
            (model, images) = (&row.model, &row.images);
            let _ = writeln!(
                text,
                "\n{model}: weights as {}, {} bytes as a compacted .secateur file; answers on {images}",
                row.values, row.file_bytes
            );
            if let Some(over) = &row.ranges {
                let _ = writeln!(text, "  computed in int8, over the ranges of its values on {over}");
            }
            let _ = writeln!(
                text,
                "  batch  form       call ms   images/s   gain        MACs     weights      engine   same answers   delta   accuracy"
            );
        }
        for (form, own) in FORMS.into_iter().zip([&row.dense, &row.sparse, &row.compacted]) {
            let accuracy = own.accuracy.map_or("-".into(), |share| format!("{:.2} %", 100.0 * share));
            let _ = writeln!(
                text,
                "  {:>5}  {form:<9} {:>8.4} {:>10.0} {:>5.1}x {:>11} {:>8.1} KB {:>8.1} KB {:>12.2} % {:>7.0e} {accuracy:>10}",
                row.batch,
                own.call_ms,
                own.images_per_s,
                own.speedup,
                own.macs,
                own.weight_bytes as f64 / 1e3,
                own.engine_bytes as f64 / 1e3,
                100.0 * own.same_answers,
                own.max_logit_delta,
            );
        }
    }
    if let Some(peak) = answer.peak_memory_bytes {
        let _ = writeln!(text, "\npeak memory of this process {:.1} MB", peak as f64 / 1e6);
    }
    text
}
