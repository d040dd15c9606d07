//! A connection: one request, one answer, then it is closed. The whole head of a request and the whole answer have a deadline
//! each, so that a client that sends or reads a little now and then holds its place no longer than one that is idle.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes and lines of a request's head.
const HEAD_BYTES: usize = 8 << 10;
const HEAD_LINES: usize = 64;
/// Bytes of a refused request that are read and forgotten, so that its sender hears the answer.
const FORGOTTEN_BYTES: usize = 4 << 20;

/// Time for a request's head, and time for its answer to be taken.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) head: Duration,
    pub(super) answer: Duration,
}

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: String,
    /// As it was sent, without the query.
    pub(super) path: String,
    /// The name that the client has for this machine, without the port.
    pub(super) host: String,
}

/// A status with its reason.
pub(super) type Status = (u16, &'static str);

/// An answer; `headers` are those of its kind, whole lines.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: Status,
    pub(super) headers: String,
    pub(super) body: Arc<[u8]>,
    /// Whether the body is sent, or only its length.
    pub(super) head_only: bool,
}

/// Why a request has no answer of the report's.
#[derive(Debug, PartialEq)]
enum Refusal {
    /// The client ended or was too slow for an answer to make sense.
    Gone,
    /// It is told so.
    Told(Status),
}

/// Reads a request and answers it. A client that is gone is no fault.
pub(super) fn serve(
    stream: TcpStream,
    deadlines: Deadlines,
    respond: impl FnOnce(Result<Request, Status>) -> Response,
) {
    let response = match request(&stream, Instant::now() + deadlines.head) {
        Ok(request) => respond(Ok(request)),
        Err(Refusal::Told(status)) => respond(Err(status)),
        Err(Refusal::Gone) => return,
    };
    let end = Instant::now() + deadlines.answer;
    if let Err(error) = send(&stream, &response, end).and_then(|()| finish(&stream, end)) {
        tracing::debug!("a client did not take its answer: {error}");
    }
}

fn request(stream: &TcpStream, end: Instant) -> Result<Request, Refusal> {
    let mut head = Vec::new();
    let mut part = [0; 2048];
    loop {
        let length = timed(stream, end, |mut stream| stream.read(&mut part)).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => Refusal::Told((408, "Request Timeout")),
            _ => Refusal::Gone,
        })?;
        if length == 0 {
            return Err(Refusal::Gone);
        }
        head.extend_from_slice(&part[..length]);
        if let Some(request) = parsed(&head[..head.len().min(HEAD_BYTES)]).map_err(Refusal::Told)? {
            return Ok(request);
        }
        if head.len() >= HEAD_BYTES {
            return Err(Refusal::Told((431, "Request Header Fields Too Large")));
        }
    }
}

/// The request of a head, or `None` while the head has not ended.
fn parsed(head: &[u8]) -> Result<Option<Request>, Status> {
    const BAD: Status = (400, "Bad Request");
    let mut lines = [httparse::EMPTY_HEADER; HEAD_LINES];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err((431, "Request Header Fields Too Large")),
        Err(_) => return Err(BAD),
    }
    let (method, target) = (request.method.ok_or(BAD)?, request.path.ok_or(BAD)?);
    let mut hosts = request.headers.iter().filter(|line| line.name.eq_ignore_ascii_case("host"));
    let named = hosts.next().map(|line| std::str::from_utf8(line.value).map_err(|_| BAD)).transpose()?;
    // A target may be a whole address, whose host counts then.
    let (host, path) = match target.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => (named.ok_or(BAD)?, target),
    };
    if hosts.next().is_some() || named.is_none() {
        return Err(BAD);
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), host: without_port(host).to_owned() }))
}

/// A host's name without its port; an address of version 6 stands in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => name,
        _ => host,
    }
}

fn send(stream: &TcpStream, response: &Response, end: Instant) -> io::Result<()> {
    let (code, reason) = response.status;
    let length = response.body.len();
    let head = format!(
        "HTTP/1.1 {code} {reason}\r\n{}content-length: {length}\r\nconnection: close\r\n\r\n",
        response.headers
    );
    write(stream, head.as_bytes(), end)?;
    if response.head_only { Ok(()) } else { write(stream, &response.body, end) }
}

fn write(stream: &TcpStream, mut bytes: &[u8], end: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = timed(stream, end, |mut stream| stream.write(bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Ends a connection. What the client still sends is read, since closing on it would take the answer away from the client.
fn finish(stream: &TcpStream, end: Instant) -> io::Result<()> {
    stream.shutdown(std::net::Shutdown::Write)?;
    let end = end.min(Instant::now() + Duration::from_secs(1));
    let mut part = [0; 16 << 10];
    let mut read = 0;
    while read < FORGOTTEN_BYTES {
        match timed(stream, end, |mut stream| stream.read(&mut part))? {
            0 => break,
            length => read += length,
        }
    }
    Ok(())
}

/// A read or write that ends at a moment, as [`ErrorKind::TimedOut`].
fn timed<T>(stream: &TcpStream, end: Instant, mut act: impl FnMut(&TcpStream) -> io::Result<T>) -> io::Result<T> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        stream.set_write_timeout(Some(left))?;
        match act(stream) {
            // The system tells a timeout by `WouldBlock`; the clock above decides.
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc::{RecvTimeoutError, channel};

    #[test]
    fn a_head_is_read_whole_or_refused() {
        let request = |method: &str, path: &str, host: &str| Request {
            method: method.into(),
            path: path.into(),
            host: host.into(),
        };
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nhost: localhost:80\r\n\r\n", Ok(Some(request("GET", "/", "localhost")))),
            ("HEAD /a?b#c HTTP/1.1\r\nHost: [::1]:8\r\n\r\n", Ok(Some(request("HEAD", "/a", "[::1]")))),
            ("GET http://other/a HTTP/1.1\r\nhost: localhost\r\n\r\n", Ok(Some(request("GET", "/a", "other")))),
            ("GET / HTTP/1.1\r\nhost: loc", Ok(None)),
            ("GET / HTTP/1.1\r\n\r\n", Err((400, "Bad Request"))),
            ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", Err((400, "Bad Request"))),
            ("GET\r\n\r\n", Err((400, "Bad Request"))),
        ] {
            assert_eq!(parsed(head.as_bytes()), expected, "{head:?}");
        }
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(HEAD_LINES));
        assert_eq!(parsed(many.as_bytes()), Err((431, "Request Header Fields Too Large")));
    }

    #[test]
    fn a_client_that_sends_a_line_now_and_then_has_no_more_time_than_others() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        let (stream, _) = listener.accept().expect("a client");
        // Lines arrive faster than any of them would run into the deadline alone, for as long as they are taken.
        let (stop, stopped) = channel::<()>();
        let dripping = std::thread::spawn(move || {
            let _ = client.write_all(b"GET / HTTP/1.1\r\n");
            while stopped.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
                let _ = client.write_all(b"x: y\r\n");
            }
        });
        let found = request(&stream, Instant::now() + Duration::from_millis(50));
        drop(stop);
        dripping.join().expect("it ends");
        // On a machine that stalls, the lines may become too many before their time is up.
        let refused = [(408, "Request Timeout"), (431, "Request Header Fields Too Large")];
        assert!(refused.map(|status| Err(Refusal::Told(status))).contains(&found), "{found:?}");
    }

    #[test]
    fn a_client_that_does_not_read_its_answer_is_left_when_its_time_is_up() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("it fits");
        let (stream, _) = listener.accept().expect("a client");
        // More than the system keeps for a client that reads nothing.
        let body: Arc<[u8]> = vec![0; 64 << 20].into();
        let deadlines = Deadlines { head: Duration::from_secs(60), answer: Duration::from_millis(50) };
        let (done, ended) = channel();
        let serving = std::thread::spawn(move || {
            let answer = Response { status: (200, "OK"), headers: String::new(), body, head_only: false };
            serve(stream, deadlines, |_| answer);
            let _ = done.send(());
        });
        // Without a deadline it would end only when the client does.
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(()));
        serving.join().expect("it ends");
        let mut taken = vec![];
        let _ = client.read_to_end(&mut taken);
        assert!(taken.len() < 64 << 20, "{} bytes", taken.len());
    }
}
