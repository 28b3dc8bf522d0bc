//! A real HTTPS server that answers as a test wants it to, and remembers what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use coracle_api::http::pki::{Authority, Identity};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::cluster::NOW;

/// What a server does with a request.
pub(crate) enum Reply {
    Json(Value),
    /// A code, a body, and maybe where to go.
    Raw(u16, String, Option<String>),
    /// Ends the connection.
    Close,
    /// Answers without end.
    Flood,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A server that listens on loopback. Its certificate is good for `hook.default.svc` and `127.0.0.1`.
pub(crate) struct Hooks {
    pub(crate) address: SocketAddr,
    pub(crate) ca: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Hooks {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let clients = Authority::create(NOW.parse().unwrap()).unwrap();
        Self::trusting(&clients, answer).await
    }

    /// A server that believes client certificates of this authority.
    pub(crate) async fn trusting(
        clients: &Authority,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let now = NOW.parse().unwrap();
        let authority = Authority::create(now).unwrap();
        let identity: Identity = authority.server(&["hook.default.svc", "127.0.0.1"], now).unwrap();
        let mut tls = (*clients.tls(&identity).unwrap()).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, connections) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<Mutex<usize>>::default());
        let (answer, acceptor) = (Arc::new(answer), TlsAcceptor::from(Arc::new(tls)));
        let (seen, counted) = (asked.clone(), connections.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, acceptor, seen, counted) =
                    (answer.clone(), acceptor.clone(), seen.clone(), counted.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    *counted.lock().unwrap() += 1;
                    let knows_client = stream.get_ref().1.peer_certificates().is_some();
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answer, seen) = (answer.clone(), seen.clone());
                        async move { respond(request, knows_client, &*answer, &seen).await }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ended = connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
                });
            }
        });
        Self { address, ca: authority.certificate().to_owned(), asked, connections, accepting }
    }

    pub(crate) fn bundle(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.ca)
    }

    /// Every request so far, taken away.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn respond(
    request: Request<Incoming>,
    knows_client: bool,
    answer: &(dyn Fn(&Asked) -> Reply + Send + Sync),
    seen: &Mutex<Vec<Asked>>,
) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let upgrades = parts.headers.get("upgrade").cloned();
    let mut headers = parts.headers.clone();
    headers.insert("test-client-certificate", if knows_client { "yes" } else { "no" }.parse().unwrap());
    let path = parts.uri.path_and_query().unwrap().to_string();
    if let Some(protocol) = upgrades {
        let upgraded = hyper::upgrade::on(Request::from_parts(parts, body));
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            let (mut reader, mut writer) = tokio::io::split(&mut stream);
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        let switching = Response::builder().status(101).header("connection", "upgrade").header("upgrade", protocol);
        return Ok(switching.body(full("")).unwrap());
    }
    let body = body.collect().await.unwrap().to_bytes();
    let asked = Asked { path, headers, body: serde_json::from_slice(&body).unwrap_or_default() };
    seen.lock().unwrap().push(asked.clone());
    match answer(&asked) {
        Reply::Json(value) => Ok(Response::new(full(&value.to_string()))),
        Reply::Raw(code, text, location) => {
            let mut response = Response::builder().status(code);
            if let Some(location) = location {
                response = response.header("location", location);
            }
            Ok(response.body(full(&text)).unwrap())
        }
        Reply::Close => Err(std::io::Error::other("closed")),
        Reply::Flood => {
            let chunk = Bytes::from(vec![b' '; 1 << 20]);
            let chunks = futures::stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
            Ok(Response::new(StreamBody::new(chunks).boxed_unsync()))
        }
    }
}

fn full(text: &str) -> Body {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed_unsync()
}

/// An AdmissionReview that allows what was asked, with more fields in the response.
pub(crate) fn allow(asked: &Value, more: Value) -> Value {
    review(asked, true, more)
}

/// An AdmissionReview that refuses it.
pub(crate) fn deny(asked: &Value, status: Value) -> Value {
    review(asked, false, json!({"status": status}))
}

fn review(asked: &Value, allowed: bool, more: Value) -> Value {
    let mut response = json!({"uid": asked["request"]["uid"], "allowed": allowed});
    response.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"kind": "AdmissionReview", "apiVersion": asked["apiVersion"], "response": response})
}

/// A JSON patch as a response's fields.
pub(crate) fn patch(operations: Value) -> Value {
    let encoded = base64::engine::general_purpose::STANDARD.encode(operations.to_string());
    json!({"patchType": "JSONPatch", "patch": encoded})
}
