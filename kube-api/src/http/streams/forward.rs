//! Connections to a pod's ports: each is a pair of streams, one for its bytes, one for what went wrong.
//!
//! Source: kubelet `pkg/cri/streaming/portforward`.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use coracle_core::{Object, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::command::STREAM_TYPE;
use super::{Connection, PodStreams};
use crate::http::query::Query;
use crate::spdy::headers::Headers;
use crate::spdy::{Output, Stream};

const PORT: &str = "port";
const REQUEST: &str = "requestid";
/// Bytes that are read at a time.
const READ_BYTES: usize = 16 << 10;

/// What each of a WebSocket's channels is: two for each port that the query names.
pub(super) fn channels(query: &Query) -> Result<Vec<Headers>, Status> {
    let ports = ports(query).map_err(Status::bad_request)?;
    // Messages name their channel with one byte.
    if ports.len() > 127 {
        return Err(Status::bad_request("at most 127 ports can be forwarded over one connection"));
    }
    let pair = |(index, port): (usize, u16)| {
        ["data", "error"].map(|kind| {
            let pairs = [(STREAM_TYPE, kind.to_owned()), (PORT, port.to_string()), (REQUEST, index.to_string())];
            pairs.map(|(name, value)| (name.to_owned(), value)).into()
        })
    };
    Ok(ports.into_iter().enumerate().flat_map(pair).collect())
}

/// Source of the texts: the same package's `NewV4Options`. The query has `ports`, which the kubelet is told as `port`.
fn ports(query: &Query) -> Result<Vec<u16>, String> {
    let lists: Vec<&str> = query.all("ports").collect();
    if lists.is_empty() {
        return Err(format!("query parameter {PORT:?} is required"));
    }
    lists.iter().flat_map(|list| list.split(',')).map(parse_port).collect()
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) => Err(format!("port {text:?} must be > 0")),
        Ok(port) => Ok(port),
        Err(_) => {
            Err(format!("unable to parse {text:?} as a port: strconv.ParseUint: parsing {text:?}: invalid syntax"))
        }
    }
}

/// A client that wants to reach ports of a pod.
pub(super) struct Forward {
    pub(super) streams: Arc<dyn PodStreams>,
    pub(super) pod: Arc<Object>,
    /// Whether each channel begins with its port's number.
    pub(super) announces: bool,
}

/// Both streams of a connection.
struct Pair {
    port: u16,
    data: Stream,
    error: Output,
}

impl Forward {
    /// Makes a connection for each pair of streams, until no more come and all connections have ended.
    pub(super) async fn serve(self, mut streams: mpsc::Receiver<Stream>) {
        // Bounded by the streams that a client may have open.
        let mut halves = HashMap::new();
        // Aborts what is left when it is dropped.
        let mut connections = JoinSet::new();
        let mut is_open = true;
        loop {
            tokio::select! {
                stream = streams.recv(), if is_open => match stream {
                    Some(stream) => {
                        if let Some(pair) = join(stream, &mut halves).await {
                            connections.spawn(connect(self.streams.clone(), self.pod.clone(), pair, self.announces));
                        }
                    }
                    None => is_open = false,
                },
                Some(_ended) = connections.join_next() => {}
                else => return,
            }
        }
    }
}

/// The pair that a stream completes, if it does.
async fn join(stream: Stream, halves: &mut HashMap<String, Stream>) -> Option<Pair> {
    let is_error = stream.header(STREAM_TYPE) == "error";
    let (Ok(port), true) = (parse_port(stream.header(PORT)), is_error || stream.header(STREAM_TYPE) == "data") else {
        stream.refuse().await;
        return None;
    };
    stream.accept().await;
    let request = request_of(&stream, is_error);
    match halves.remove(&request) {
        Some(other) if (other.header(STREAM_TYPE) == "error") != is_error => {
            let (data, error) = if is_error { (other, stream) } else { (stream, other) };
            Some(Pair { port, data, error: error.output })
        }
        Some(double) => {
            double.refuse().await;
            halves.insert(request, stream);
            None
        }
        None => {
            halves.insert(request, stream);
            None
        }
    }
}

/// What a pair's streams have in common. Old clients do not say it; they open the error stream first, the other next.
fn request_of(stream: &Stream, is_error: bool) -> String {
    match stream.header(REQUEST) {
        "" if is_error => stream.id.to_string(),
        "" => stream.id.saturating_sub(2).to_string(),
        request => request.to_owned(),
    }
}

async fn connect(streams: Arc<dyn PodStreams>, pod: Arc<Object>, pair: Pair, announces: bool) {
    let Pair { port, mut data, error } = pair;
    if announces {
        for output in [&data.output, &error] {
            let _nobody_reads = output.write(Bytes::copy_from_slice(&port.to_le_bytes())).await;
        }
    }
    match streams.port_forward(&pod, port).await {
        Ok(connection) => copy(connection, &mut data).await,
        Err(status) => {
            let (name, why) = (pod.name(), status.message());
            let why = format!("error forwarding port {port} to pod {name}, uid {}: {why}", pod.uid());
            let _nobody_reads = error.write(why.into()).await;
        }
    }
    data.output.end().await;
    error.end().await;
}

/// Copies in both directions until the pod's side ends, or the client does not want any more. A connection that breaks
/// is no trouble of the pair's, for which the client would give up all others too.
async fn copy(connection: Connection, stream: &mut Stream) {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let (input, output) = (&mut stream.input, &stream.output);
    let to_pod = async {
        while let Some(bytes) = input.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _already_closed = writer.shutdown().await;
        std::future::pending().await
    };
    let from_pod = async {
        loop {
            let mut bytes = BytesMut::with_capacity(READ_BYTES);
            let has_ended = reader.read_buf(&mut bytes).await.unwrap_or(0) == 0;
            if has_ended || output.write(bytes.freeze()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = from_pod => {}
        () = output.closed() => {}
        () = to_pod => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_listed_or_repeated() {
        let check = |query: &str, expected: Result<Vec<u16>, &str>| {
            assert_eq!(ports(&Query::parse(query)), expected.map_err(str::to_owned), "{query}");
        };
        check("ports=80,443&ports=8080", Ok(vec![80, 443, 8080]));
        check("", Err("query parameter \"port\" is required"));
        check("ports=0", Err("port \"0\" must be > 0"));
        let syntax = "unable to parse \"x\" as a port: strconv.ParseUint: parsing \"x\": invalid syntax";
        check("ports=x", Err(syntax));
        assert_eq!(channels(&Query::parse("ports=1,2")).unwrap().len(), 4);
    }
}
