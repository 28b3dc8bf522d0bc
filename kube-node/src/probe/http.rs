//! As much of HTTP/1.1 as a probe needs: one GET, the status line, redirects within the host.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tls;

/// Bytes of an answer's head that are read.
const HEAD_BYTES_MAX: usize = 10 * 1024;
/// Redirects that are followed. Source: kubelet `probe/http` follows Go's ten.
const REDIRECTS_MAX: usize = 10;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// Where it sends to, if it does.
    pub location: Option<String>,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// Whether over TLS.
    pub secure: bool,
    /// Its name or address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
}

impl Server<'_> {
    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}:{}{path}", self.scheme(), self.host, self.port)
    }
}

/// Asks a server. A redirect within the host is followed; one to another host is the answer.
///
/// # Errors
/// If there is no connection, or no HTTP.
pub async fn get(server: Server<'_>, path: &str, headers: &[(String, String)], agent: &str) -> io::Result<Answer> {
    let mut path = path.to_owned();
    let mut answer = once(server, &path, headers, agent).await?;
    for _ in 0..REDIRECTS_MAX {
        let within = answer.location.as_deref().and_then(|location| within(server, location));
        let Some(next) = within.filter(|_| matches!(answer.code, 301 | 302 | 303 | 307 | 308)) else { break };
        path = next;
        answer = once(server, &path, headers, agent).await?;
    }
    Ok(answer)
}

async fn once(server: Server<'_>, path: &str, headers: &[(String, String)], agent: &str) -> io::Result<Answer> {
    let stream = TcpStream::connect((server.host, server.port)).await?;
    let request = request(server, path, headers, agent);
    if server.secure {
        talk(tls::connect(server.host, stream).await?, &request).await
    } else {
        talk(stream, &request).await
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while head.len() < HEAD_BYTES_MAX && !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    parse(&head).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "malformed HTTP response"))
}

/// Headers that the probe sets replace the usual ones.
fn request(Server { host, port, .. }: Server<'_>, path: &str, headers: &[(String, String)], agent: &str) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let usual = [("Host", format!("{host}:{port}")), ("User-Agent", agent.to_owned()), ("Accept", "*/*".to_owned())];
    let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let usual = usual.into_iter().filter(|(name, _)| !given(name)).map(|(name, value)| (name.to_owned(), value));
    let lines = usual.chain(headers.iter().cloned()).map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("GET {path} HTTP/1.1\r\n{}Connection: close\r\n\r\n", lines.collect::<String>())
}

fn parse(head: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let code = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let mut location = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("location"));
    Some(Answer { code, location: location.next().map(|(_, value)| value.trim().to_owned()) })
}

/// The path of a location on the same host and port.
fn within(server: Server<'_>, location: &str) -> Option<String> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(location.to_owned());
    }
    let Server { host, port, secure } = server;
    let rest = location.strip_prefix(server.scheme())?.strip_prefix("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let same = authority == format!("{host}:{port}") || (port == if secure { 443 } else { 80 } && authority == host);
    same.then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_code_and_where_it_sends_to() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some((200, None))),
            ("HTTP/1.0 302 Found\r\nlocation: /a\r\n\r\n", Some((302, Some("/a")))),
            ("SSH-2.0-x\r\n", None),
        ] {
            let answer = parse(head.as_bytes());
            assert_eq!(answer.as_ref().map(|one| (one.code, one.location.as_deref())), expected);
        }
    }

    #[test]
    fn redirects_stay_within_the_host() {
        for (location, expected) in [
            ("/x", Some("/x")),
            ("http://h:81/y", Some("/y")),
            ("http://other:81/y", None),
            ("//other/y", None),
            ("https://h:81/", None),
        ] {
            assert_eq!(
                within(Server { secure: false, host: "h", port: 81 }, location).as_deref(),
                expected,
                "{location}"
            );
        }
    }

    #[test]
    fn given_headers_replace_the_usual_ones() {
        let text = request(
            Server { secure: false, host: "h", port: 80 },
            "/p",
            &[("host".to_owned(), "web".to_owned())],
            "probe",
        );
        assert_eq!(
            text,
            "GET /p HTTP/1.1\r\nUser-Agent: probe\r\nAccept: */*\r\nhost: web\r\nConnection: close\r\n\r\n"
        );
    }
}
