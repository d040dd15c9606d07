//! From a request to its answer. A path from a request is compared with names and leads to no file.

use super::board::Board;
use oxhttp::model::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use oxhttp::model::{Body, Method, Request, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;

/// The page runs its own script and asks its own server; nothing else is fetched or run, should a name become markup.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer before it is a response.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Arc<[u8]>,
}

/// Answers a request; `local` where only this machine is served.
pub(super) fn respond(board: &Board, local: bool, request: &Request<Body>) -> Response<Body> {
    let known = !local || request.uri().host().is_some_and(is_here);
    let answer = if known {
        answer(board, request.method(), request.uri().path())
    } else {
        // Another site's name that was made to lead here would let that site's scripts read the page.
        text(StatusCode::MISDIRECTED_REQUEST, "this server answers to 127.0.0.1, [::1] and localhost only")
    };
    // To HEAD the server writes a length of 0: it has no way to tell a length and then send nothing.
    let body = if request.method() == Method::HEAD { Body::empty() } else { Body::from(answer.body.to_vec()) };
    let mut response = Response::builder()
        .status(answer.status)
        .header(CONTENT_TYPE, answer.kind)
        .header(CACHE_CONTROL, "no-store")
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff");
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        response = response.header(ALLOW, "GET, HEAD");
    }
    response.body(body).expect("the headers are constants")
}

/// Whether a host's name is this machine's for a browser that runs on it.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn answer(board: &Board, method: &Method, path: &str) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD: a report is read, never written");
    }
    let shown = board.shown();
    match path.strip_prefix('/').unwrap_or(path) {
        "" | "index.html" => Answer { status: StatusCode::OK, kind: kind("html"), body: Arc::clone(&shown.html) },
        "version" => text(StatusCode::OK, &shown.version),
        name => match shown.file(name) {
            Ok(Some(body)) => {
                let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
                Answer { status: StatusCode::OK, kind: kind(ending), body }
            }
            Ok(None) => text(StatusCode::NOT_FOUND, "nothing of this name: the page is /"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
    }
}

fn text(status: StatusCode, body: &str) -> Answer {
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
            assert_eq!(answer(&board, &Method::GET, path).status, status, "{path}");
            assert_eq!(answer(&board, &Method::POST, path).status, 405, "{path}");
        }
        assert_eq!(answer(&board, &Method::GET, "/curve.csv").kind, "text/csv; charset=utf-8");
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
