//! Connections to pods that speak HTTPS. Pods have no names that a certificate could prove, so none is asked for.
//! Source: kube-apiserver's `ProxyTransport`, which skips verification.

use std::io;
use std::sync::Arc;

use coracle_core::Clock;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::streams::Connection;
use crate::outbound::{Trust, client_config};

/// Speaks TLS over a connection.
pub(super) async fn connect(connection: Connection, clock: &Arc<dyn Clock>) -> io::Result<TlsStream<Connection>> {
    let config = client_config(&Trust::Anything, None, clock).map_err(io::Error::other)?;
    let name = ServerName::try_from("pod").map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, connection).await
}
