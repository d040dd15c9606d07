//! A made-up model looked into, and what the section makes of it.

use super::*;

/// LeNet's first layer, a hundred images a class of which nine tenths are right.
pub(crate) fn view(seed: u64) -> ModelView {
    let mut confusion = Confusion::new(10);
    for class in 0..10 {
        (0..90).for_each(|_| confusion.add(class, class));
        (0..10).for_each(|_| confusion.add(class, (class + 1) % 10));
    }
    let picture = Picture::new(28, (0..784).map(|pixel| Some([(pixel % 251) as u8; 3])).collect()).expect("28 rows");
    let mistake = Mistake { image: 1247, truth: 4, given: 9, confidence: 0.9998, picture };
    let weights: Vec<f32> = (0..54).map(|index| (index as f32 - 26.5) / 100.0).collect();
    let filter = |index: u64| Filter {
        index,
        kept: 5,
        total: 9,
        picture: Picture::of_weights(1, 3, &weights[..9], 0.265, |place| place < 5).expect("three rows"),
    };
    let size = Size {
        pruned: 29_472,
        prunable: 58_944,
        nonzero: 30_602,
        parameters: 60_074,
        remaining_macs: 100_000,
        macs: 199_968,
        dead_units: 0,
    };
    ModelView {
        run: format!("runs/l1-s{seed}"),
        model: "lenet k=1".into(),
        seed,
        size,
        layers: vec![LayerWeights {
            name: "conv1.weight".into(),
            kept: 30,
            total: 54,
            moments: vec![(Moment::Start, Histogram::of(&weights)), (Moment::End, Histogram::of(&weights[..30]))],
        }],
        filters: Some(Filters {
            layer: "conv1".into(),
            count: 6,
            scale: 0.265,
            channels: 1,
            shown: (0..6).map(filter).collect(),
        }),
        answers: Some(Answers { confusion, names: vec![], close: 0, mistakes: vec![mistake] }),
        logged: Some(Score { correct: 900, total: 1000, loss: 0.3 }),
        warnings: vec![],
    }
}

fn views(view: ModelView) -> Views {
    let pair = Pair { seeds: [1, 2], kept: [20, 20], both: 10, total: 100 };
    let layer = LayerOverlap { name: "conv1.weight".into(), pairs: vec![pair] };
    let overlap = Overlap { series: "l1".into(), seeds: vec![1, 2], left_out: 3, layers: vec![layer] };
    Views { models: vec![view], overlaps: vec![overlap], notes: vec!["One <b> of two.".into()] }
}

#[test]
fn nothing_to_show_is_no_section() {
    assert_eq!(section(&Views::default()), "");
    assert!(data(&Views::default()).is_empty());
}

#[test]
fn the_section_shows_everything_and_needs_nothing_beside_it() {
    let html = section(&views(view(1)));
    for text in [
        "runs/l1-s1",
        "lenet k=1, seed 1: 50.00 % sparse (29,472 / 58,944 pruned), 30,602 / 60,074 parameters left",
        "90.00 % of the test images are right (900 / 1,000), as the log says",
        "conv1.weight</b> before training<small>54 weights",
        "conv1.weight</b> at the end<small>55.56 % kept, 30 / 54",
        "is 4, taken for 9<small>99.98 % sure</small><small>image 1,247",
        "Final masks of seeds 1, 2, each pair compared; 3 more are left out",
        // 10 of 30; by chance 4 of 36.
        "<td>20.00 %</td><td>33.33 %<small>10 shared in 1 pairs",
        "<td>11.11 %</td><td>3.00x</td>",
        "One &lt;b&gt; of two.",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert!(!html.contains("warning"), "{html}");
    assert_eq!(html.matches("src=").count(), html.matches("src=\"data:image/png;base64,").count());
    assert_eq!(html.matches("src=").count(), 6 + 1, "six filters and a mistake");
    for text in ["http:", "https:", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(text) && !STYLE.contains(text), "{text}");
    }
    for name in ["section", "article", "table", "tr", "td", "th", "figure", "div", "svg", "span", "p", "small"] {
        let opened = html.matches(&format!("<{name}>")).count() + html.matches(&format!("<{name} ")).count();
        assert_eq!(opened, html.matches(&format!("</{name}>")).count(), "{name}");
    }
}

#[test]
fn a_log_that_says_otherwise_is_a_warning() {
    let with = |logged: Option<(u64, u64)>, close: u64| {
        let mut own = view(1);
        own.logged = logged.map(|(correct, total)| Score { correct, total, loss: 0.0 });
        own.answers.as_mut().expect("answers").close = close;
        (own.verdict().expect("answers"), section(&views(own)))
    };
    let (verdict, html) = with(Some((901, 1000)), 0);
    assert_eq!(verdict, Verdict::Differs);
    assert!(html.contains(
        "<mark>warning</mark> 90.00 % of the test images are right (900 / 1,000), but the log says 901 / 1,000"
    ));
    // An image that two orders of summing answer differently is no lie.
    let (verdict, html) = with(Some((901, 1000)), 1);
    assert!(verdict == Verdict::Rounding && !html.contains("warning") && html.contains("the log says 901 / 1,000"));
    assert_eq!(with(Some((899, 1000)), 1).0, Verdict::Rounding);
    assert_eq!(with(Some((902, 1000)), 1).0, Verdict::Differs);
    assert_eq!(with(Some((900, 999)), 1000).0, Verdict::Differs, "other images");
    let (verdict, html) = with(None, 0);
    assert!(verdict == Verdict::NotLogged && html.contains("the log has no test of this network"));
}

#[test]
fn what_is_not_at_hand_leaves_the_rest() {
    let own = ModelView { answers: None, filters: None, layers: vec![], ..view(1) };
    assert_eq!(own.verdict(), None);
    let html = section(&Views { models: vec![own], ..Views::default() });
    assert!(
        html.contains("runs/l1-s1") && !html.contains("<img") && !html.contains("<table") && !html.contains("<svg")
    );
}

#[test]
fn names_cannot_become_markup() {
    let evil = "\"><script>'&".to_owned();
    let mut own = view(1);
    (own.run, own.model, own.warnings) = (evil.clone(), evil.clone(), vec![evil.clone()]);
    own.layers[0].name = evil.clone();
    own.filters.as_mut().expect("filters").layer = evil.clone();
    let mut views = views(own);
    views.overlaps[0].series = evil.clone();
    views.overlaps[0].layers[0].name = evil;
    let html = section(&views);
    assert!(!html.contains("<script") && html.matches("&lt;script&gt;").count() > 7, "{html}");
}

#[test]
fn the_tables_hold_the_numbers_of_the_pictures() {
    let views = views(view(7));
    let tables = data(&views);
    let names: Vec<_> = tables.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["models-weights", "models-answers", "models-mistakes", "models-masks"]);
    let texts: Vec<_> = tables.iter().map(|(_, data)| data.csv()).collect();
    let last = |row: &str| row.rsplit(',').next().expect("a cell").parse::<u64>().expect("a count");
    let sum = |text: &str, of: &str| text.lines().filter(|row| row.contains(of)).map(last).sum::<u64>();
    assert_eq!(sum(&texts[0], ",before training,54,54,"), 54);
    assert_eq!(sum(&texts[0], ",at the end,30,54,"), 30);
    assert_eq!(texts[1].lines().count(), 1 + 100);
    assert_eq!(texts[1].lines().skip(1).map(last).sum::<u64>(), 1000, "the test images");
    assert!(texts[1].contains("\nruns/l1-s7,7,9,0,10\n"), "{}", texts[1]);
    assert!(texts[2].ends_with("\nruns/l1-s7,7,1247,4,9,0.9998\n"), "{}", texts[2]);
    let masks: Vec<_> = texts[3].lines().nth(1).expect("a row").split(',').collect();
    assert_eq!(masks[..8], ["l1", "conv1.weight", "1", "2", "20", "20", "10", "100"]);
    assert_eq!([8, 9].map(|cell: usize| masks[cell].parse::<f64>().expect("a share")), [10.0 / 30.0, 4.0 / 36.0]);
}

#[test]
fn a_large_model_takes_little_room() {
    // Filters of 28x28 weights that nothing compresses, all kept, and as many pictures as are shown at most.
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((state >> 24) as u8)
    };
    let mut picture = || Picture::new(28, (0..784).map(|_| noise().map(|own| [own; 3])).collect()).expect("28 rows");
    let mut own = view(1);
    let filters = own.filters.as_mut().expect("filters");
    filters.shown = (0..40).map(|index| Filter { index, kept: 784, total: 784, picture: picture() }).collect();
    let answers = own.answers.as_mut().expect("answers");
    let mistake = answers.mistakes[0].clone();
    answers.mistakes = (0..12).map(|_| Mistake { picture: picture(), ..mistake.clone() }).collect();
    let html = section(&Views { models: vec![own; 6], ..Views::default() });
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
}

#[test]
fn a_report_takes_the_section_and_the_tables() {
    let record = crate::fixture::record(&crate::fixture::l1_events(1));
    let runs = [crate::fixture::input("a", record)];
    let views = views(view(1));
    let report = crate::Report::with(&runs, &[], &views).expect("a report");
    let text = |name: &str| {
        let bytes = report.file(name).expect("drawn").expect("one of its files");
        String::from_utf8(bytes).expect("text")
    };
    assert!(text("index.html").contains(&section(&views)) && text("index.html").contains(STYLE));
    let names = report.names();
    for (stem, data) in data(&views) {
        for (name, content) in [(format!("{stem}.csv"), data.csv()), (format!("{stem}.json"), data.json())] {
            assert!(names.contains(&name) && text(&name) == content, "{name}");
        }
    }
    let without = crate::Report::of(&runs).expect("a report");
    assert!(without.names().iter().all(|name| !name.starts_with("models-")));
    assert_eq!(without.file("models-answers.csv").expect("nothing is drawn"), None);
}
