//! From a request to its answer. A path from a request is compared with names and leads to no file.

use super::board::Board;
use super::connection::{Request, Response, Status};
use std::net::IpAddr;
use std::sync::Arc;

/// The page runs its own script and asks its own server; nothing else is fetched or run, should a name become markup.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const OK: Status = (200, "OK");
const NOT_FOUND: Status = (404, "Not Found");
const METHOD_NOT_ALLOWED: Status = (405, "Method Not Allowed");
const MISDIRECTED: Status = (421, "Misdirected Request");
const INTERNAL: Status = (500, "Internal Server Error");

/// An answer before it is a response.
#[derive(Debug, PartialEq)]
struct Answer {
    status: Status,
    kind: &'static str,
    body: Arc<[u8]>,
}

/// Answers a request, or says why there is none; `local` where only this machine is served.
pub(super) fn respond(board: &Board, local: bool, request: Result<Request, Status>) -> Response {
    let head_only = request.as_ref().is_ok_and(|request| request.method == "HEAD");
    let answer = match request {
        Err(status) => text(status, status.1),
        // Another site's name that was made to lead here would let that site's scripts read the page.
        Ok(request) if local && !is_here(&request.host) => {
            text(MISDIRECTED, "this server answers to 127.0.0.1, [::1] and localhost only")
        }
        Ok(request) => answer(board, &request.method, &request.path),
    };
    let allow = if answer.status == METHOD_NOT_ALLOWED { "allow: GET, HEAD\r\n" } else { "" };
    let headers = format!(
        "content-type: {}\r\ncache-control: no-store\r\ncontent-security-policy: {POLICY}\r\nreferrer-policy: \
         no-referrer\r\nx-content-type-options: nosniff\r\n{allow}",
        answer.kind
    );
    Response { status: answer.status, headers, body: answer.body, head_only }
}

/// Whether a host's name is this machine's for a browser that runs on it.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn answer(board: &Board, method: &str, path: &str) -> Answer {
    if method != "GET" && method != "HEAD" {
        return text(METHOD_NOT_ALLOWED, "only GET and HEAD: a report is read, never written");
    }
    let shown = board.shown();
    match path.strip_prefix('/').unwrap_or(path) {
        "" | "index.html" => Answer { status: OK, kind: kind("html"), body: Arc::clone(&shown.html) },
        "version" => text(OK, &shown.version),
        name => match shown.file(name) {
            Ok(Some(body)) => {
                let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
                Answer { status: OK, kind: kind(ending), body }
            }
            Ok(None) => text(NOT_FOUND, "nothing of this name: the page is /"),
            Err(error) => text(INTERNAL, &error.to_string()),
        },
    }
}

fn text(status: Status, body: &str) -> Answer {
    Answer { status, kind: kind("txt"), body: body.as_bytes().into() }
}

fn kind(ending: &str) -> &'static str {
    match ending {
        "html" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "csv" => "text/csv; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::super::library::Library;
    use super::*;

    #[test]
    fn only_known_names_are_answered() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("secret.txt"), "secret").expect("a file");
        let board = Board::new(&mut Library::new(dir.path().to_owned()));
        for (path, status) in [
            ("/", 200),
            ("/index.html", 200),
            ("/version", 200),
            ("/curve.csv", 200),
            ("", 200),
            ("//", 404),
            ("/secret.txt", 404),
            ("/./secret.txt", 404),
            ("/../secret.txt", 404),
            ("/%2e%2e/secret.txt", 404),
            ("//etc/passwd", 404),
            ("/accuracy-vs-sparsity.svg", 404),
            ("/Version", 404),
        ] {
            assert_eq!(answer(&board, "GET", path).status.0, status, "{path}");
            assert_eq!(answer(&board, "POST", path).status.0, 405, "{path}");
        }
        assert_eq!(answer(&board, "GET", "/curve.csv").kind, "text/csv; charset=utf-8");
    }

    #[test]
    fn this_machine_has_few_names() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.3.2.1", "[::1]"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["", "example.org", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org", "0.0.0.0"] {
            assert!(!is_here(host), "{host}");
        }
    }
}
