//! Time and memory of inference against the number of weights that are left: LeNet k with uniformly random masks from
//! 50 to 99.9 % sparsity, layer by layer, and from which sparsity on each layer is faster without its zeros.
//!
//!   cargo bench --bench nonzeros -- [K] [BATCH] [FOLDER]      writes nonzeros.csv, .svg and .png into the folder
//!
//! Weights are kept row after row ("sparse"); the dense form of the same layer is its own measure, in the same round.

use secateur_graph::{Activation, Conv2d, Graph, Linear, Op, Pool, Role, Weights};
use secateur_report::{Axis, Chart, Ink, Layout, Line, Marker, Panel, Series, Tick};
use secateur_sparse::Trained;
use secateur_sparse::infer::{Engine, Forms, Options};
use secateur_trainer::inference::interleaved;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

const SPARSITIES: [f64; 11] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
/// Time for each form.
const TIME: Duration = Duration::from_millis(150);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |place: usize, default: usize| words.get(place).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (k, batch) = (number(0, 5), number(1, 128));
    // A relative folder is one of the repository's.
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(words.get(2).map_or(".", String::as_str));
    let mut csv = "layer,sparsity,nonzero,sparse_us,dense_us,weight_bytes,dense_weight_bytes\n".to_owned();
    let mut curves = vec![];
    println!("LeNet k={k}, batch {batch}, {} threads, medians of calls that took turns", Options::new(batch).threads);
    for (name, network) in layers(k) {
        let rows: Vec<Row> = SPARSITIES.iter().map(|sparsity| measure(&network, 1.0 - sparsity, batch)).collect();
        for (row, sparsity) in rows.iter().zip(SPARSITIES) {
            let Row { nonzero, sparse, dense, bytes, dense_bytes } = row;
            let _ = writeln!(csv, "{name},{sparsity},{nonzero},{sparse:.4},{dense:.4},{bytes},{dense_bytes}");
        }
        let gain = |row: &Row| row.dense / row.sparse;
        match rows.iter().position(|row| gain(row) > 1.0) {
            Some(0) => println!("{name:<8} faster without its zeros from below 50 % sparsity on"),
            Some(place) => {
                // Between two measured sparsities the gain is taken to grow evenly.
                let (below, above) = (gain(&rows[place - 1]), gain(&rows[place]));
                let share = (1.0 - below) / (above - below);
                let at = SPARSITIES[place - 1] + share * (SPARSITIES[place] - SPARSITIES[place - 1]);
                println!("{name:<8} faster without its zeros from {:.0} % sparsity on", 100.0 * at);
            }
            None => println!("{name:<8} never faster without its zeros"),
        }
        if name == "network" {
            println!(
                "\n| sparsity | weights left | us an image | of dense | weights in memory | of dense |\n|---|---|---|---|---|---|"
            );
            for (row, sparsity) in rows.iter().zip(SPARSITIES) {
                println!(
                    "| {:.1} % | {} | {:.2} | 1/{:.1} | {:.0} KB | 1/{:.1} |",
                    100.0 * sparsity,
                    row.nonzero,
                    row.sparse,
                    gain(row),
                    row.bytes as f64 / 1e3,
                    row.dense_bytes as f64 / row.bytes as f64
                );
            }
        }
        curves.push((name, rows));
    }
    let chart = chart(k, batch, &curves);
    std::fs::write(folder.join("nonzeros.csv"), csv).expect("the folder can be written");
    std::fs::write(folder.join("nonzeros.svg"), secateur_report::svg(&chart, Layout::Wide).expect("drawn"))
        .expect("written");
    std::fs::write(folder.join("nonzeros.png"), secateur_report::png(&chart, Layout::Wide).expect("drawn"))
        .expect("written");
}

struct Row {
    nonzero: usize,
    /// Microseconds an image.
    sparse: f64,
    dense: f64,
    bytes: usize,
    dense_bytes: usize,
}

/// Names and operations, one behind the other.
type Layers = Vec<(&'static str, Op)>;

/// LeNet's layers, each with what is fused to it, and the whole.
fn layers(k: usize) -> Vec<(&'static str, Graph)> {
    let relu = |name| (name, Op::Activation(Activation::Relu));
    let linear = |name, outputs| (name, Op::Linear(Linear::new(outputs)));
    let conv = |[name, relu_name, pool]: [&'static str; 3], filters| {
        vec![(name, Op::Conv2d(Conv2d::new(filters, 3))), relu(relu_name), (pool, Op::Pool(Pool::max(2)))]
    };
    let own: [(&str, Vec<usize>, Layers); 5] = [
        ("conv1", vec![1, 28, 28], conv(["conv1", "relu1", "pool1"], 6 * k)),
        ("conv2", vec![6 * k, 13, 13], conv(["conv2", "relu2", "pool2"], 16 * k)),
        ("fc1", vec![400 * k], vec![linear("fc1", 120 * k), relu("relu3")]),
        ("fc2", vec![120 * k], vec![linear("fc2", 84 * k), relu("relu4")]),
        ("fc3", vec![84 * k], vec![linear("fc3", 10)]),
    ];
    let flattened = |name: &str| (name == "fc1").then_some(("flatten", Op::Flatten));
    let all: Vec<_> =
        own.iter().flat_map(|(name, _, ops)| flattened(name).into_iter().chain(ops.iter().cloned())).collect();
    let fits = |input: &[usize], ops: Layers| Graph::sequential(input, ops).expect("a LeNet fits together");
    let mut found: Vec<_> = own.into_iter().map(|(name, input, ops)| (name, fits(&input, ops))).collect();
    found.push(("network", fits(&[1, 28, 28], all)));
    found
}

fn measure(graph: &Graph, density: f64, batch: usize) -> Row {
    let mut random = 1u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut weights = Weights::neutral(graph);
    let (mut bound, mut nonzero) = (0.0, 0);
    for own in graph.parameters() {
        if own.role == Role::Weight {
            bound = (own.shape[0] as f64 / own.len() as f64).sqrt();
        }
        let mut draw = || if next() < density { ((next() * 2.0 - 1.0) * bound) as f32 } else { 0.0 };
        let values: Vec<f32> = (0..own.len()).map(|_| draw()).collect();
        nonzero += if own.role == Role::Weight { values.iter().filter(|value| **value != 0.0).count() } else { 0 };
        weights.insert(&own.name, values);
    }
    let network = Trained { graph: graph.clone(), weights };
    let options = Options::new(batch);
    let mut dense = Engine::of(&network, &Options { forms: Forms::Dense, ..options }).expect("it fits");
    let mut sparse = Engine::of(&network, &options).expect("it fits");
    let pixels = network.input().iter().product::<usize>();
    let images: Vec<f32> = (0..batch * pixels).map(|place| (place * 7919 % 256) as f32 / 255.0 - 0.5).collect();
    let times = interleaved(&mut [&mut sparse, &mut dense], &images, TIME);
    let [sparse_us, dense_us] = [0, 1].map(|place: usize| times[place] / batch as f64 * 1e6);
    let (bytes, dense_bytes) = (sparse.weight_bytes(), dense.weight_bytes());
    Row { nonzero, sparse: sparse_us, dense: dense_us, bytes, dense_bytes }
}

/// Time and memory against the weights that are left, as shares of the dense layer's; all axes logarithmic.
fn chart(k: usize, batch: usize, curves: &[(&'static str, Vec<Row>)]) -> Chart {
    let ticks = |powers: std::ops::RangeInclusive<i32>| {
        let label = |power: i32| match power {
            0 => "1".to_owned(),
            _ => format!("1/{}", 10i64.pow(power.unsigned_abs())),
        };
        powers.map(|power| Tick { at: f64::from(power), label: label(power) }).collect()
    };
    let densities = SPARSITIES.map(|sparsity| 1.0 - sparsity);
    let places = |own: &dyn Fn(&Row) -> f64, rows: &[Row]| {
        densities.iter().zip(rows).map(|(density, row)| (density.log10(), own(row).log10())).collect()
    };
    let series = |(place, (name, rows)): (usize, &(&'static str, Vec<Row>))| {
        let (ink, marker) =
            if *name == "network" { (Ink::Text, Marker::Disc) } else { (Ink::Colour(place), Marker::None) };
        let time = |row: &Row| row.sparse / row.dense;
        Series {
            label: (*name).into(),
            ink,
            line: Line::Solid,
            marker,
            points: places(&time, rows),
            ..Series::default()
        }
    };
    let mut all: Vec<Series> = curves.iter().enumerate().map(series).collect();
    if let Some((_, rows)) = curves.last() {
        let memory = |row: &Row| row.bytes as f64 / row.dense_bytes as f64;
        let (label, points) = ("network, memory of the weights".into(), places(&memory, rows));
        all.push(Series {
            label,
            ink: Ink::Muted,
            line: Line::Dashed,
            marker: Marker::None,
            points,
            ..Series::default()
        });
    }
    let axis = |label: &str, min, max, ticks| Axis { label: label.into(), min, max, ticks };
    Chart {
        title: "What is left of time and memory".into(),
        subtitle: format!("LeNet k={k}, batch {batch}, uniformly random masks; shares of the dense network's"),
        x: axis("share of the weights that is left", -3.05, -0.25, ticks(-3..=-1)),
        y_label: "share of the dense network's".into(),
        panels: vec![Panel { title: String::new(), y: axis("", -3.1, 0.6, ticks(-3..=0)), weight: 1.0, shows: None }],
        series: all,
        marks: vec![],
        labels: vec![],
    }
}
