//! Where the API server calls out: webhooks and aggregated API servers.
//!
//! Callers say *whom* they mean ([`Peer`]) and send a request; an [`Outbound`] carries it. [`Network`] does so over TLS;
//! [`InProcess`] hands the requests for some hosts to Rust functions, which is how webhooks work in virtual time.
//!
//! | module | what it holds |
//! |---|---|
//! | `call` | one JSON document posted within a time limit, its answer read up to a size limit |
//! | `network`, `tls` | connections, kept for the next call |
//! | `resolve` | a Service becomes addresses |
//! | `in_process` | functions instead of hosts |

mod call;
mod in_process;
mod network;
pub(crate) mod resolve;
mod tls;

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;

pub use self::call::{CallError, RESPONSE_BYTES_MAX, post};
pub(crate) use self::call::{full, read_whole, root_cause};
pub use self::in_process::InProcess;
pub use self::network::Network;
pub(crate) use self::tls::client_config;
pub use crate::http::body::{BoxError, RequestBody};

/// Sends requests to others.
#[async_trait]
pub trait Outbound: Send + Sync + 'static {
    /// Sends one request and returns the beginning of its answer; redirects are answers too. The request's URI is absolute.
    ///
    /// # Errors
    /// If the peer cannot be found, reached or trusted, or breaks off.
    async fn send(
        &self,
        peer: &Peer,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<RequestBody>, BoxError>;
}

/// Somebody to call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Where it is.
    pub place: Place,
    /// How it proves that it is the one.
    pub trust: Trust,
    /// Whether we show our own certificate, by which aggregated API servers know us.
    pub shows_identity: bool,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A host and port that the system's resolver knows.
    Host(String, u16),
    /// A Service of the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The Service's port, not the pods'.
        port: u16,
    },
}

/// Which certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those of the authorities that the system trusts.
    System,
    /// Those of the authorities in a PEM bundle.
    Bundle(Bytes),
    /// Any. Whoever is in between can read and change everything.
    Anything,
}

impl Trust {
    /// The authorities of a bundle, or the system's if it is empty.
    #[must_use]
    pub fn of_bundle(bundle: Option<&[u8]>) -> Self {
        match bundle {
            Some(bundle) if !bundle.is_empty() => Self::Bundle(Bytes::copy_from_slice(bundle)),
            _ => Self::System,
        }
    }
}

impl Place {
    /// The name under which the peer is called, and which its certificate must have: `name.namespace.svc` for Services.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Host(host, _) => host.clone(),
            Self::Service { namespace, name, .. } => format!("{name}.{namespace}.svc"),
        }
    }

    /// The port under which the peer is called.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Host(_, port) | Self::Service { port, .. } => *port,
        }
    }
}

/// A peer and the path of what is called there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hook {
    /// Whom to call.
    pub peer: Peer,
    /// The path, beginning with `/`, and the query if there is one.
    pub path: String,
}

impl Hook {
    /// A URL such as `https://example.com:8443/path`.
    ///
    /// # Errors
    /// If it is none, or not for HTTPS.
    pub fn url(url: &str, bundle: Option<&[u8]>) -> Result<Self, String> {
        let uri: http::Uri = url.parse().map_err(|error| format!("unable to parse url {url:?}: {error}"))?;
        let host = uri.host().filter(|host| !host.is_empty() && uri.scheme_str() == Some("https"));
        let host = host.ok_or_else(|| format!("url {url:?} is no https URL with a host"))?;
        let place = Place::Host(host.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(443));
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { peer: Peer { place, trust: Trust::of_bundle(bundle), shows_identity: false }, path })
    }

    fn service(
        (namespace, name): (&str, &str),
        port: Option<i32>,
        path: Option<&str>,
        bundle: Option<&[u8]>,
    ) -> Result<Self, String> {
        let port = port.unwrap_or(443);
        let port = u16::try_from(port).map_err(|_| format!("{port} is no port"))?;
        let place = Place::Service { namespace: namespace.to_owned(), name: name.to_owned(), port };
        let path = format!("/{}", path.unwrap_or("").trim_start_matches('/'));
        Ok(Self { peer: Peer { place, trust: Trust::of_bundle(bundle), shows_identity: false }, path })
    }

    /// What an admission webhook's configuration names.
    ///
    /// # Errors
    /// If it names nothing that can be called.
    pub fn admission(config: &WebhookClientConfig) -> Result<Self, String> {
        let bundle = config.ca_bundle.as_ref().map(|bundle| &*bundle.0);
        match (&config.service, &config.url) {
            (Some(service), _) => {
                Self::service((&service.namespace, &service.name), service.port, service.path.as_deref(), bundle)
            }
            (None, Some(url)) => Self::url(url, bundle),
            (None, None) => Err("webhook configuration must have either service or URL".to_owned()),
        }
    }

    /// What a conversion webhook's configuration names.
    ///
    /// # Errors
    /// If it names nothing that can be called.
    pub fn conversion(config: &apiextensions::WebhookClientConfig) -> Result<Self, String> {
        let bundle = config.ca_bundle.as_ref().map(|bundle| &*bundle.0);
        match (&config.service, &config.url) {
            (Some(service), _) => {
                Self::service((&service.namespace, &service.name), service.port, service.path.as_deref(), bundle)
            }
            (None, Some(url)) => Self::url(url, bundle),
            (None, None) => Err("webhook configuration must have either service or URL".to_owned()),
        }
    }

    /// The whole URL: `https://host:port/path`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("https://{}{}", authority(&self.peer.place), self.path)
    }
}

/// `host:port`, with brackets around IPv6 addresses.
pub(crate) fn authority(place: &Place) -> String {
    let (host, port) = (place.host(), place.port());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
