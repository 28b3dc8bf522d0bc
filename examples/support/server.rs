//! The HTTP server that the example deploys: this program, called with one argument.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// The argument that turns the example into its server.
pub(crate) const ARGUMENT: &str = "serve-example";

/// Whether this process is to be the server.
pub(crate) fn is_asked_for() -> bool {
    std::env::args().nth(1).as_deref() == Some(ARGUMENT)
}

/// Answers every request with its version, its greeting and its process id, until it is killed.
pub(crate) fn run() -> std::io::Result<()> {
    let env = |name| std::env::var(name).unwrap_or_default();
    let address = format!("{}:8080", env("ADDRESS"));
    let listener = TcpListener::bind(&address)?;
    println!("serving {} on {address}", env("VERSION"));
    let body = format!("{} {} {}", env("VERSION"), std::process::id(), env("GREETING"));
    for stream in listener.incoming() {
        // A client that goes away must not end the server.
        let _answered = answer(stream?, &body);
    }
    Ok(())
}

fn answer(mut stream: TcpStream, body: &str) -> std::io::Result<()> {
    let mut request = [0; 1024];
    let _length = stream.read(&mut request)?;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}
