//! Calls over TCP and TLS. Connections are kept for the next call; there is one pool for each peer.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::{Clock, Feed};
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::resolve::{self, Resolved};
use super::{BoxError, Outbound, Peer, Place, RequestBody, client_config};
use crate::http::pki::Identity;

/// Peers whose connections are kept. Beyond that all are forgotten: there is one for each webhook, so this is rarely met.
const PEERS_MAX: usize = 1_000;
/// Idle connections kept for each peer.
const IDLE_CONNECTIONS_MAX: usize = 16;
/// How long an idle connection is kept. Source: Go `http.DefaultTransport.IdleConnTimeout`.
const IDLE_TIME_MAX: Duration = Duration::from_secs(90);

type PeerClient = Client<Connector, RequestBody>;

/// Calls over the network.
pub struct Network {
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    identity: Option<Identity>,
    clients: Mutex<HashMap<Peer, PeerClient>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Network")
    }
}

impl Network {
    /// Calls over the network; Services are found in the feed's world, certificates judged by the clock.
    #[must_use]
    pub fn new(feed: Arc<Feed>, clock: Arc<dyn Clock>) -> Self {
        Self { feed, clock, identity: None, clients: Mutex::default() }
    }

    /// With a certificate for peers that want to know who calls.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    fn client(&self, peer: &Peer) -> Result<PeerClient, BoxError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(peer) {
            return Ok(client.clone());
        }
        if clients.len() >= PEERS_MAX {
            clients.clear();
        }
        let identity = self.identity.as_ref().filter(|_| peer.shows_identity);
        let tls = client_config(&peer.trust, identity, &self.clock)?;
        let connector = Connector { feed: self.feed.clone(), place: peer.place.clone(), tls };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        clients.insert(peer.clone(), client.clone());
        Ok(client)
    }
}

#[async_trait]
impl Outbound for Network {
    async fn send(&self, peer: &Peer, request: Request<RequestBody>) -> Result<Response<RequestBody>, BoxError> {
        let response = self.client(peer)?.request(request).await?;
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

/// Opens connections to one peer. A Service is looked up anew for each.
#[derive(Clone)]
struct Connector {
    feed: Arc<Feed>,
    place: Place,
    tls: Arc<ClientConfig>,
}

impl Connector {
    async fn connect(self) -> Result<TlsIo, BoxError> {
        let stream = connect_any(self.addresses().await?).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.place.host())?;
        let stream = TlsConnector::from(self.tls).connect(name, stream).await?;
        Ok(TlsIo(TokioIo::new(stream)))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, BoxError> {
        let port = self.place.port();
        let host = match &self.place {
            Place::Host(host, _) => host.clone(),
            Place::Service { namespace, name, port } => {
                match resolve::service(&self.feed.world(), namespace, name, *port)? {
                    Resolved::Addresses(addresses) => return Ok(addresses),
                    Resolved::Host(host) => host,
                }
            }
        };
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// The first address that answers.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::other("no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = io::Error::new(error.kind(), format!("dial tcp {address}: connect: {error}")),
        }
    }
    Err(last)
}

impl Service<Uri> for Connector {
    type Response = TlsIo;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<TlsIo, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// A TLS connection as the pool wants it.
struct TlsIo(TokioIo<TlsStream<TcpStream>>);

impl Connection for TlsIo {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for TlsIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for TlsIo {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
