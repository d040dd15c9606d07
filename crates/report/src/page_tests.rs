//! What the page says, and that nothing it is told becomes markup.

use crate::fixture;
use crate::report::{Report, ReportInput};

fn run(label: &str) -> ReportInput {
    ReportInput {
        reproduce: "secateur run <config>".into(),
        ..fixture::input(label, fixture::record(&fixture::l1_events(7)))
    }
}

fn page_of(run: &ReportInput) -> String {
    pages(std::slice::from_ref(run))
}

fn pages(runs: &[ReportInput]) -> String {
    Report::of(runs).expect("a report").page().to_owned()
}

#[test]
fn the_page_says_what_was_run_and_how_to_repeat_it() {
    let page = page_of(&run("runs/l1"));
    for text in [
        "runs/l1",
        "seed 7",
        "60,074 parameters, 58,944 of them prunable, 199,968 MACs",
        "55,000 images to train on, 5,000 to choose on, 10,000 to report on",
        "l1, global; list, sparsities [0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995]; then fine-tune",
        "sgd, lr 0.05, momentum 0.9; learning rate constant; 128 images a step",
        "13,760 trained of 14,190 planned; 430 saved by an early stop",
        "secateur run &lt;config&gt;",
        "9,821 / 10,000",
        "29,472 / 58,944",
        "<mark>collapsed</mark>",
        "conv1.weight",
        "Which path computed each layer",
        "One seed is an anecdote",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_cycle_shows_its_peak_memory_or_a_dash() {
    let mut run = run("a");
    let runs_of = |run: &ReportInput| page_of(run).split_once("id=\"runs\"").expect("a section of runs").1.to_owned();
    let before = runs_of(&run);
    assert!(before.contains(">peak memory</th>") && !before.contains(" MiB</td>"));
    run.record.tests[0].peak_memory_bytes = Some(412 << 20);
    let after = runs_of(&run);
    assert_eq!(after.matches("<td>412 MiB</td></tr>").count(), 1);
    let dashes = |page: &str| page.matches("<td>-</td></tr>").count();
    assert_eq!((dashes(&before), dashes(&after)), (8, 7), "a row a cycle");
}

#[test]
fn the_page_needs_nothing_beside_it() {
    let page = page_of(&run("a")).replace("http://www.w3.org/2000/svg", "");
    assert_eq!(page.matches("<script>").count(), 1, "the one that is written below");
    for text in ["http:", "https:", "<script ", "<link", "@import", "src=", "url(", "fetch(", "import("] {
        assert!(!page.contains(text), "{text}");
    }
}

#[test]
fn what_a_user_named_cannot_become_markup() {
    let mut run = run("<script>alert(1)</script>");
    let evil = "\"><img src=x onerror='1'>&".to_owned();
    run.record.started.name = evil.clone();
    run.record.started.optimizer = crate::event::Choice::Words(evil.clone());
    run.record.started.device = evil.clone();
    run.record.prunes[0].layers[0].name = evil.clone();
    let compiled = run.record.tests[0].compiled.as_mut().expect("the fixture says how it computes");
    compiled.instruction_set = evil.clone();
    compiled.layers[0].name = evil.clone();
    compiled.layers[1].path = evil.clone();
    run.reproduce = evil;
    let page = page_of(&run);
    assert!(page.matches("<script").count() == 1 && !page.contains("<img"), "escaped");
    assert!(page.contains("&quot;&gt;&lt;img src=x onerror=&#39;1&#39;&gt;&amp;"));
}

#[test]
fn every_element_is_closed() {
    let page = page_of(&run("a"));
    for name in ["section", "article", "table", "tr", "td", "th", "dl", "details", "figure", "div", "svg", "main"] {
        let opened = page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
        assert_eq!(opened, page.matches(&format!("</{name}>")).count(), "{name}");
    }
}

#[test]
fn a_run_opens_to_its_config_its_log_and_its_command() {
    let mut runs = [run("a"), run("b"), run("c")];
    for (run, config) in runs.iter_mut().zip(["name = \"<x>\"", "name = \"<x>\"", "name = \"y\""]) {
        run.origin.config = config.into();
        run.origin.log = format!("runs/{}/log.jsonl", run.label);
        run.origin.surroundings.insert("platform".into(), "x86_64 <linux>".into());
    }
    runs[2].reproduce.clear();
    let page = pages(&runs);
    assert_eq!(page.matches("<pre><code>name = &quot;&lt;x&gt;&quot;</code></pre>").count(), 1, "a config stands once");
    assert!(page.contains("Its config is <a href=\"#run-a\">this run's</a>") && page.contains("name = &quot;y&quot;"));
    assert!(page.contains("<dt>log</dt><dd>runs/b/log.jsonl</dd>"));
    assert!(page.contains("<dt>platform</dt><dd>x86_64 &lt;linux&gt;</dd>"));
    assert!(page.contains("The command that made it is not known."));
    for id in ["a", "b", "c"] {
        assert_eq!(page.matches(&format!("id=\"run-{id}\"")).count(), 1);
        assert!(page.contains(&format!("<a href=\"#run-{id}\">")));
    }
}

#[test]
fn changes_of_the_command_come_on_top_of_the_config() {
    let said = " What the command sets with <code>--set</code> comes on top of it.</p>";
    let page = |commands: [&str; 2]| {
        let mut runs = [run("a"), run("b")];
        for (run, command) in runs.iter_mut().zip(commands) {
            run.origin.config = "name = \"x\"".into();
            run.reproduce = command.into();
        }
        pages(&runs)
    };
    let plain = page(["secateur run x.toml", "secateur run x.toml --settle"]);
    assert!(!plain.contains(said) && !plain.contains("As it was written."));
    let changed = page(["secateur run x.toml --set=model.width=5", "secateur run x.toml --set model.width=5"]);
    assert_eq!(changed.matches(said).count(), 2, "beside the config and beside the link to it");
    assert_eq!(changed.matches(&format!("<p class=\"note\">As it was written.{said}")).count(), 1);
    assert_eq!(changed.matches(&format!("this run's</a>.{said}")).count(), 1);
}

#[test]
fn what_belongs_to_a_series_carries_its_class() {
    let random = fixture::input("r", fixture::record(&fixture::random_events(7)));
    let page = pages(&[run("a"), random]);
    for class in [
        "<g class=\"s1\">",
        "<tr class=\"s1\">",
        "<details class=\"run s1\" id=\"open-r\">",
        "class=\"tip s1\"",
        "-random-global:not(:checked)) .s1 {",
    ] {
        assert!(page.contains(class), "{class}");
    }
}

#[test]
fn no_seed_alone_is_called_best() {
    let random = fixture::input("r", fixture::record(&fixture::random_events(7)));
    let page = pages(&[run("a"), random]);
    assert!(!page.contains("Who leads where") && !page.contains("<strong>98") && page.contains("one seed"));
    let both = |seeds: std::ops::Range<u64>| {
        let events = seeds.flat_map(|seed| [fixture::l1_events(seed), fixture::random_events(seed)]);
        pages(&events.map(|events| fixture::input("a", fixture::record(&events))).collect::<Vec<_>>())
    };
    let two = both(7..9);
    assert!(!two.contains("Who leads where") && !two.contains("<strong>98"), "two seeds lead nothing");
    let three = both(7..10);
    assert!(three.contains("Who leads where") && three.contains("<strong>98"));
}

#[test]
fn seeds_that_collapsed_are_counted() {
    let mut runs = [1, 2, 3].map(|seed| fixture::input("a", fixture::record(&fixture::l1_events(seed))));
    let collapse = |run: &mut crate::ReportInput| {
        let half = run.record.tests.iter_mut().filter(|test| test.tested.cycle == 1);
        half.for_each(|test| test.tested.score.correct = 1_000);
    };
    assert!(!pages(&runs).contains("of 3<small>seeds collapsed") && pages(&runs).contains("<mark>collapsed</mark>"));
    collapse(&mut runs[1]);
    assert!(pages(&runs).contains("1 of 3<small>seeds collapsed</small>"), "two populations, not one");
}

#[test]
fn what_all_names_share_is_said_once_and_stays_in_tables_for_programs() {
    let named = |name: &str, events: &[crate::Event]| {
        let mut run = fixture::input(&format!("runs/{name}-s1"), fixture::record(events));
        run.record.started.name = format!("sweep-mnist-{name}");
        run
    };
    let mut runs = vec![
        named("global", &fixture::l1_events(1)),
        named("random", &fixture::random_events(1)),
        named("dense", &fixture::dense_events(1)),
    ];
    let report = Report::of(&runs).expect("a report");
    let (page, _) = report.page().split_once("id=\"runs\"").expect("a section of runs");
    assert!(page.contains("begin with <code>sweep-mnist-</code>, which is left out here."));
    for text in
        ["</i>global</th>", "</i>dense, one seed</label>", ">random control: random</text>", ">asked of all series<"]
    {
        assert!(page.replace(">\n", ">").replace("\n<", "<").contains(text), "{text}");
    }
    // Whole names are in the ids of boxes, which stay when other runs come, and in the names of the two pictures of layers. The
    // checklist, which is a table for programs, too, comes after.
    let (before, _) = page.split_once("id=\"audit\"").expect("a checklist");
    assert_eq!(before.matches("sweep-mnist-global").count(), before.matches("-images-sweep-mnist-global").count() + 2);
    let names = report.names();
    assert!(names.contains(&"layers-sweep-mnist-global.svg".to_owned()), "{names:?}");
    for table in ["series.csv", "series.json", "differences.csv", "curve.csv"] {
        let bytes = report.file(table).expect("no fault").expect("a table");
        assert!(String::from_utf8_lossy(&bytes).contains("sweep-mnist-global"), "{table}");
    }
    runs[2].record.started.name = "dense".into();
    assert!(pages(&runs).contains("</i>sweep-mnist-global</th>"), "where not all share it, it tells");
}
