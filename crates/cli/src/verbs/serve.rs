//! `secateur serve`: the page of all runs below a folder, while they are going.

mod answer;
mod board;
mod connection;
mod library;

use super::{Done, print};
use crate::args::ServeArgs;
use crate::say::say;
use anyhow::{Context, Result, bail};
use board::Board;
use connection::Deadlines;
use library::Library;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Others may be waiting for a connection's place.
const DEADLINES: Deadlines = Deadlines { head: Duration::from_secs(10), answer: Duration::from_secs(30) };
/// Connections at once; more have to wait.
const CONNECTIONS: usize = 64;

/// Serves until a signal comes.
pub(crate) fn serve(args: &ServeArgs) -> Result<Done> {
    let dir = args.dir.canonicalize().with_context(|| format!("{}: cannot serve runs", args.dir.display()))?;
    if !dir.is_dir() {
        bail!("{}: found a file, wanted a folder that holds runs", args.dir.display());
    }
    // Before anything is served: a signal that comes early has to find its handler.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot watch for signals")?;
    let mut library = Library::new(dir);
    let board = Arc::new(Board::new(&mut library));
    let address = listen(args.host, args.port, &board)?;
    if !args.host.is_loopback() {
        say!("warning: everyone who reaches {address} can read these runs; there is no password");
    }
    print(&format!("http://{address}/"))?;
    say!("serving the runs below {}; Ctrl-C ends it", args.dir.display());
    let keeper = Arc::clone(&board);
    thread::Builder::new().name("logs".into()).spawn(move || keeper.keep(library)).context("cannot start a thread")?;
    signals.forever().next();
    Ok(Done::Whole)
}

/// Begins to answer; returns the address, with the port that was free where any was asked for.
fn listen(host: IpAddr, port: u16, board: &Arc<Board>) -> Result<SocketAddr> {
    let asked = SocketAddr::new(host, port);
    let cannot = || format!("cannot listen on {asked}; choose another with --port, 0 for any that is free");
    let listener = TcpListener::bind(asked).with_context(cannot)?;
    let address = listener.local_addr().context("cannot ask for the port")?;
    let board = Arc::clone(board);
    thread::Builder::new()
        .name("connections".into())
        .spawn(move || accept(&listener, host.is_loopback(), &board))
        .context("cannot start a thread")?;
    Ok(address)
}

/// Answers each connection on a thread of its own, `CONNECTIONS` at once.
fn accept(listener: &TcpListener, local: bool, board: &Arc<Board>) {
    let places = Arc::new(Places::default());
    for stream in listener.incoming() {
        let place = Places::take(&places);
        let board = Arc::clone(board);
        let answer = move |stream| {
            let _place = place;
            connection::serve(stream, DEADLINES, |request| answer::respond(&board, local, request));
        };
        // A client that went away again, or a system that has no file or thread left just now: others come.
        match stream.and_then(|stream| thread::Builder::new().name("answer".into()).spawn(move || answer(stream))) {
            Ok(_) => {}
            Err(error) => {
                tracing::debug!("a connection was lost: {error}");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// How many connections are open.
#[derive(Default)]
struct Places {
    open: Mutex<usize>,
    freed: Condvar,
}

/// One of them, given back when it is dropped.
struct Place(Arc<Places>);

impl Places {
    /// Waits until there is room for one more.
    fn take(places: &Arc<Self>) -> Place {
        let open = places.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open =
            places.freed.wait_while(open, |open| *open >= CONNECTIONS).unwrap_or_else(PoisonError::into_inner);
        *open += 1;
        Place(Arc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}
