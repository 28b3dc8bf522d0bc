//! The server on the network: TCP, TLS, HTTP/1.1 and HTTP/2.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{ApiServer, Caller};

/// How a client that speaks HTTP/2 without TLS begins, as far as no HTTP/1 request does. Source: RFC 9113, 3.4.
const HTTP2_PREFACE: [u8; 6] = *b"PRI * ";

/// How much the network may ask of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; others wait. Default 20,000.
    pub connections_max: usize,
    /// How long a TLS handshake or a request's header may take, and an HTTP/1 connection may idle. Default 30 s.
    pub header_timeout: Duration,
    /// Requests at a time on one HTTP/2 connection. Default 1,000: each watch is one.
    pub streams_max: u32,
    /// How long a shutdown waits for requests under way. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            header_timeout: Duration::from_secs(30),
            streams_max: 1_000,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// A server that listens. Dropping it stops it at once; [`Serving::shutdown`] lets requests end first.
#[derive(Debug)]
pub struct Serving {
    server: Arc<ApiServer>,
    address: SocketAddr,
    stop: CancellationToken,
    accepting: Option<JoinHandle<()>>,
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, ends watches and streams, and waits for requests under way.
    pub async fn shutdown(mut self) {
        self.server.begin_shutdown();
        self.stop.cancel();
        if let Some(accepting) = self.accepting.take() {
            let _ended = accepting.await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

/// Listens on a socket that is bound already. Without TLS, callers can only show bearer tokens.
///
/// # Errors
/// If the socket has no address.
pub fn serve(
    server: Arc<ApiServer>,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: Limits,
) -> io::Result<Serving> {
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let connections =
        Connections { server: server.clone(), tls: tls.map(TlsAcceptor::from), limits, stop: stop.clone() };
    let accepting = tokio::spawn(connections.accept(listener));
    Ok(Serving { server, address, stop, accepting: Some(accepting) })
}

#[derive(Clone)]
struct Connections {
    server: Arc<ApiServer>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    stop: CancellationToken,
}

impl Connections {
    async fn accept(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        // Aborts what is left when it is dropped.
        let mut tasks = JoinSet::new();
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await;
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = accepted => accepted,
                Some(_ended) = tasks.join_next() => continue,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of file descriptors, most likely: others must close first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let connections = self.clone();
            tasks.spawn(async move {
                let _place = place;
                if let Err(error) = connections.connection(stream, peer).await {
                    tracing::debug!(%peer, %error, "connection ended");
                }
            });
        }
        let drained = async { while tasks.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(self.limits.drain_timeout, drained).await;
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr) -> Result<(), super::body::BoxError> {
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            let mut start = [0; HTTP2_PREFACE.len()];
            let length = tokio::time::timeout(self.limits.header_timeout, stream.peek(&mut start)).await??;
            let is_http2 = length > 0 && start.get(..length).is_some_and(|start| HTTP2_PREFACE.starts_with(start));
            return self.serve(stream, is_http2, Caller::Remote(None), peer).await;
        };
        let stream = tokio::time::timeout(self.limits.header_timeout, tls.accept(stream)).await??;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|chain| chain.first()).map(|der| Arc::from(der.as_ref()));
        self.serve(stream, is_http2, Caller::Remote(certificate), peer).await
    }

    async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_http2: bool,
        caller: Caller,
        peer: SocketAddr,
    ) -> Result<(), super::body::BoxError> {
        let service = service_fn(|request: http::Request<Incoming>| {
            let (server, caller) = (self.server.clone(), caller.clone());
            let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            request.extensions_mut().insert(peer);
            async move { Ok::<_, Infallible>(server.handle(request, caller).await) }
        });
        // Chosen here, because looking for the version has no timeout of its own.
        let builder = if is_http2 { self.builder().http2_only() } else { self.builder().http1_only() };
        let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.header_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams_max)
            .initial_stream_window_size(256 << 10)
            .initial_connection_window_size(1 << 20)
            .max_send_buf_size(256 << 10)
            .max_header_list_size(64 << 10)
            // A client that vanished without a word must not hold its watches forever.
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(15));
        builder
    }
}
