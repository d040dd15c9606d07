//! The server as a browser or a stranger meets it: what it answers, what it refuses, and that it follows a log.

mod common;

use common::*;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server on a free port, ended with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut command = secateur(&[&["serve", "--port", "0"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("an address, not {line:?}")).to_owned();
        Self { child, address }
    }

    /// Sends bytes and returns all that comes back.
    fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        // A server may refuse before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Status and the rest of the answer to a request, its path sent as it is.
    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let host = &self.address;
        status(self.send(format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()))
    }

    fn version(&self) -> String {
        let (code, answer) = self.ask("GET", "/version");
        assert_eq!(code, 200, "{answer}");
        answer.rsplit_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// Sends a signal and returns the exit code and stderr.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().expect("kill").success());
        let mut said = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        (self.child.wait().expect("reaped").code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(answer: String) -> (u16, String) {
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (code.unwrap_or_else(|| panic!("no status in {answer:?}")), answer)
}

/// A run whose log ends after the line that `lines` counts to, and the lines that are missing.
fn run_to(out: &Path, lines: usize) -> (std::path::PathBuf, Vec<String>) {
    succeed(&["run", "configs/smoke.toml", "--out", text(out)]);
    let run = only_run(out).expect("a run");
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let all: Vec<String> = log.lines().map(|line| format!("{line}\n")).collect();
    fs::write(run.join("log.jsonl"), all[..lines].concat()).expect("cut");
    // The newest of them says how far the log has to go.
    fs::remove_dir_all(run.join("checkpoints")).expect("removed");
    (run, all[lines..].to_vec())
}

#[test]
fn the_page_follows_the_log() {
    let out = tempfile::tempdir().expect("a folder");
    let (run, rest) = run_to(out.path(), 1);
    let server = Server::start(&[text(out.path())]);
    let (code, page) = server.ask("GET", "/");
    assert!(code == 200 && page.contains("There is no test yet") && page.contains("text/html"), "{page}");
    assert!(page.contains(run.file_name().expect("named").to_str().expect("text")), "the run is named");
    let mut version = server.version();
    assert!(page.contains(&format!("data-version=\"{version}\"")), "the page knows its version");
    assert_eq!(server.ask("GET", "/accuracy-vs-sparsity.svg").0, 404, "nothing to draw yet");

    // The log grows by a half and then by the other half, whose last line is torn.
    for (part, wanted) in [(&rest[..rest.len() / 2], "unfinished"), (&rest[rest.len() / 2..], "finished")] {
        let mut log = fs::OpenOptions::new().append(true).open(run.join("log.jsonl")).expect("a log");
        let (torn, whole) = part.split_last().expect("lines");
        log.write_all(whole.concat().as_bytes()).expect("appended");
        log.write_all(&torn.as_bytes()[..torn.len() / 2]).expect("appended");
        version = newer(&server, &version);
        log.write_all(&torn.as_bytes()[torn.len() / 2..]).expect("appended");
        version = newer(&server, &version);
        let (code, page) = server.ask("GET", "/index.html");
        assert!(code == 200 && page.contains(wanted) && page.contains("<svg"), "{wanted}");
    }
    let page = server.ask("GET", "/").1;
    assert!(page.contains("95.00 %") && page.contains("The trained models"), "the last cycle is there, and the model");
    for (name, start) in [
        ("/accuracy-vs-sparsity.svg", "<svg"),
        ("/accuracy-vs-compression.png", "\u{fffd}PNG"),
        ("/curve.csv", "run,"),
        ("/models-answers.csv", "run,seed,true,given"),
    ] {
        let (code, answer) = server.ask("GET", name);
        let body = answer.split_once("\r\n\r\n").expect("a body").1;
        assert!(code == 200 && body.starts_with(start), "{name}: {code} {}", body.chars().take(80).collect::<String>());
        assert_eq!(server.ask("GET", &format!("{name}?again=1")).0, 200, "a question mark ends a name");
    }
    assert_eq!(server.version(), version, "nothing changes where no log does");
    assert_eq!(server.end("INT").0, Some(0));
    assert!(!run.join("report/index.html.partial").exists());
}

/// The version that follows `old`.
fn newer(server: &Server, old: &str) -> String {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        let version = server.version();
        if version != old {
            return version;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the page is still {old}");
}

#[test]
fn nothing_but_the_report_is_served() {
    let above = tempfile::tempdir().expect("a folder");
    let dir = above.path().join("runs");
    let (run, _) = run_to(&dir, 1);
    fs::write(above.path().join("secret.txt"), "a-secret").expect("a file");
    fs::write(dir.join("secret.txt"), "a-secret").expect("a file");
    let name = run.file_name().expect("named").to_str().expect("text");
    let server = Server::start(&[text(&dir)]);

    let secret = above.path().join("secret.txt");
    let paths = [
        "/secret.txt",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..\\secret.txt",
        "/./secret.txt",
        text(&secret),
        &format!("/{}", text(&secret)),
        &format!("/{name}/log.jsonl"),
        &format!("/{name}/../../secret.txt"),
        "/index.html/../../secret.txt",
        "/etc/passwd",
        "/accuracy-vs-sparsity",
        "/version/",
        "/%00",
    ];
    for path in paths {
        let (code, answer) = server.ask("GET", path);
        assert!(code == 404 || code == 400, "{path}: {code}");
        assert!(!answer.contains("a-secret") && !answer.contains("root:"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let (code, answer) = server.ask(method, "/");
        assert!(code == 405 && answer.contains("allow: GET, HEAD"), "{method}: {answer}");
    }
    let host = &server.address;
    let post = format!("POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 4\r\n\r\nabcd");
    assert_eq!(status(server.send(post.as_bytes())).0, 405);
    let (code, answer) = server.ask("HEAD", "/");
    assert!(code == 200 && answer.contains("text/html") && answer.ends_with("\r\n\r\n"), "{answer}");

    // Another site's name that leads to this machine, and no name at all.
    for request in [
        format!("GET http://{host}/secret.txt HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"),
        "GET / HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n".to_owned(),
        "GET http://example.org/ HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)),
        format!("GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "y".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\n{}\r\n", "x: y\r\n".repeat(100_000)),
    ] {
        let answer = server.send(request.as_bytes());
        let start: String = request.chars().take(60).collect();
        // A connection that is closed on a request that is still being sent may lose the answer.
        let refused = answer.is_empty() || (400..500).contains(&status(answer.clone()).0);
        assert!(refused && !answer.contains("How small"), "{start:?}: {answer}");
    }
    assert_eq!(server.ask("GET", "/").0, 200, "it goes on");

    let before = fs::read_dir(&dir).expect("the folder").count();
    let (code, said) = server.end("TERM");
    assert_eq!((code, before), (Some(0), 2), "{said}");
    assert!(
        said.contains("serving the runs below") && !said.contains("warning") && !said.contains("panicked"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_served_is_said() {
    let out = tempfile::tempdir().expect("a folder");
    let missing = out.path().join("missing");
    assert!(fail(&["serve", text(&missing)]).contains("missing: cannot serve runs"));
    let file = out.path().join("file");
    fs::write(&file, "").expect("a file");
    assert!(fail(&["serve", text(&file)]).contains("wanted a folder that holds runs"));

    let server = Server::start(&[text(out.path())]);
    assert!(server.ask("GET", "/").1.contains("There is no run in"));
    let port = server.address.rsplit_once(':').expect("a port").1;
    let said = fail(&["serve", text(out.path()), "--port", port]);
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")) && said.contains("--port"), "{said}");

    let open = Server::start(&[text(out.path()), "--host", "0.0.0.0"]);
    let address = open.address.replace("0.0.0.0", "127.0.0.1");
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.write_all(b"GET /version HTTP/1.1\r\nhost: my-machine\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "a name of a machine that is not this one's own: {answer}");
    let (code, said) = open.end("INT");
    assert_eq!(code, Some(0));
    assert!(said.contains("warning: everyone who reaches 0.0.0.0:"), "{said}");
}
