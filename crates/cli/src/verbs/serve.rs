//! `secateur serve`: the page of all runs below a folder, while they are going.

mod answer;
mod board;
mod library;

use super::{Done, print};
use crate::args::ServeArgs;
use crate::say::say;
use anyhow::{Context, Result, bail};
use board::Board;
use library::Library;
use oxhttp::Server;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A connection on which nothing moves for so long is closed: others may be waiting for its place.
const IDLE: Duration = Duration::from_secs(10);
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
    // The server binds addresses, not sockets, so a free port is found first; another program may be faster, but not always.
    let tries = if port == 0 { 20 } else { 1 };
    let mut taken = None;
    for _ in 0..tries {
        let port = if port == 0 { free_port(host)? } else { port };
        let (address, board) = (SocketAddr::new(host, port), Arc::clone(board));
        let server = Server::new(move |request| answer::respond(&board, host.is_loopback(), request))
            .with_global_timeout(IDLE)
            .with_max_concurrent_connections(CONNECTIONS)
            .bind(address);
        match server.spawn() {
            Ok(_) => return Ok(address),
            Err(error) if error.kind() == ErrorKind::AddrInUse => taken = Some((error, address)),
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {address}")),
        }
    }
    let (error, address) = taken.expect("there was a try");
    Err(error)
        .with_context(|| format!("cannot listen on {address}; choose another with --port, 0 for any that is free"))
}

fn free_port(host: IpAddr) -> Result<u16> {
    let listener = TcpListener::bind((host, 0)).with_context(|| format!("cannot listen on {host}"))?;
    Ok(listener.local_addr().context("cannot ask for the port")?.port())
}
