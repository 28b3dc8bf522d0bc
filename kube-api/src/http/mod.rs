//! The API over HTTP: one handler for every kind of the table, in process and over the network.
//!
//! | module | what it holds |
//! |---|---|
//! | [`request_info`], [`query`], [`options`] | what a request says: path, parameters, options |
//! | [`negotiate`], [`body`], [`respond`] | forms of bodies, answers and refusals |
//! | `resources`, `write` | the handler: reads, and writes as requests to the gateway |
//! | [`discovery`], [`health`] | what there is, and how the server is |
//! | [`in_flight`], `requests`, [`exposition`] | how many requests there may be, and how many there were: `/metrics` |
//! | [`streams`], `connect` | logs, commands and connections of pods; what admission says to them |
//! | `proxy` | HTTP to pods, services and nodes |
//! | `usage` | what pods and nodes use |
//! | [`service`], [`serve`] | the ways in: a tower service in process, TCP and TLS |
//! | [`pki`], [`keys`], [`kubeconfig`] | certificates, the secrets that outlive a cluster, the file that clients read |

pub mod body;
mod connect;
pub mod discovery;
pub mod exposition;
pub mod health;
pub mod in_flight;
pub mod keys;
pub mod kubeconfig;
pub mod negotiate;
pub mod options;
pub mod pki;
mod private_file;
mod proxy;
pub mod query;
pub(crate) mod relay;
pub mod request_info;
mod requests;
mod resources;
pub mod respond;
pub mod serve;
pub mod service;
pub mod streams;
mod usage;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::rbac::Access;
use coracle_core::{Gateway, Reason, Remarks, Status, User};
use coracle_store::Store;
use http::header::{CONTENT_TYPE, HeaderValue, UPGRADE};
use http::{HeaderMap, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::aggregation::{self, Aggregation, Proxied};
use crate::audit::{Asked, Audit, Trail};
use crate::auth::authenticator::{anonymous, authenticated};
use crate::auth::impersonation::impersonated;
use crate::auth::{Auth, Authenticator, Authorizer, Credentials, Decision, forbidden};
use crate::fairness::{Arrival, Fairness};
use crate::outbound::Outbound;
use crate::read::Reader;
use body::{Body, RequestBody};
use exposition::Exposition;
use health::HealthCheck;
use in_flight::{Gate, InFlight, Place, Places};
use query::Query;
use request_info::RequestInfo;
use requests::{GoesOn, Labels, Requests};
use streams::PodStreams;

/// How long a request that is no watch or stream may take. Source: kube-apiserver `--request-timeout`.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A request may wait for a seat for this part of its time. Source: `getRequestWaitContext`.
const WAITING_PART: u32 = 4;

/// Serves the OpenAPI documents.
#[async_trait]
pub trait OpenApi: Send + Sync + 'static {
    /// The answer for a path below `/openapi/`; `None` if there is no such document.
    async fn answer(&self, path: &str, query: &Query, headers: &HeaderMap) -> Option<Response<Body>>;
}

/// Tells numbers in `/metrics`, beside those of the server itself.
pub trait Metrics: Send + Sync + 'static {
    /// Appends the numbers.
    fn tell(&self, text: &mut Exposition);
}

/// The API server: everything between an HTTP request and its answer. Serves no socket by itself; see [`service`] and
/// [`serve`].
pub struct ApiServer {
    reader: Reader,
    auth: Auth,
    aggregation: Arc<Aggregation>,
    streams: Option<Arc<dyn PodStreams>>,
    open_api: Option<Arc<dyn OpenApi>>,
    metrics: Option<Arc<dyn Metrics>>,
    usage: Option<Arc<dyn coracle_core::Metrics>>,
    health_checks: Vec<Arc<dyn HealthCheck>>,
    audit: Option<Audit>,
    address: String,
    request_timeout: Duration,
    gate: Gate,
    requests: Arc<Requests>,
    shutdown: CancellationToken,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A caller in this process, who is whom it says.
    Known(Arc<User>),
    /// A caller over the network, with the certificate (DER) it showed, if any.
    Remote(Option<Arc<[u8]>>),
}

/// Who asks.
struct Identity {
    /// Who showed credentials; `None` if they were no good.
    caller: Option<Arc<User>>,
    /// As whom the request is made, or why it is not.
    acting: Result<Arc<User>, Status>,
}

impl ApiServer {
    /// A server of what a gateway knows, with history from the store behind it. By default client certificates tell who
    /// asks, roles and bindings what they may, and nothing streams.
    #[must_use]
    pub fn new(gateway: Arc<dyn Gateway>, store: Arc<dyn Store>) -> Self {
        let auth = Auth::new(gateway.feed().clone());
        Self {
            reader: Reader::new(gateway, store),
            auth,
            aggregation: Arc::default(),
            streams: None,
            open_api: None,
            metrics: None,
            usage: None,
            health_checks: Vec::new(),
            audit: None,
            address: "127.0.0.1:6443".to_owned(),
            request_timeout: REQUEST_TIMEOUT,
            gate: Gate::new(InFlight::default()),
            requests: Arc::default(),
            shutdown: CancellationToken::new(),
        }
    }

    /// With another way to tell who asks.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.auth.authenticator = Arc::new(authenticator);
        self
    }

    /// With another way to tell who may do what.
    #[must_use]
    pub fn with_authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.auth.authorizer = Arc::new(authorizer);
        self
    }

    /// With the ways to tell who asks and who may do what that the pipeline has; its tokens' issuer is published.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// With nodes that stream logs and commands.
    #[must_use]
    pub fn with_streams(mut self, streams: Arc<dyn PodStreams>) -> Self {
        self.streams = Some(streams);
        self
    }

    /// With OpenAPI documents. Without, their paths answer 404.
    #[must_use]
    pub fn with_open_api(mut self, open_api: Arc<dyn OpenApi>) -> Self {
        self.open_api = Some(open_api);
        self
    }

    /// With more metrics than the server's own.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// With a source of what pods use, for `metrics.k8s.io`. Without, its paths answer 503.
    #[must_use]
    pub fn with_usage(mut self, usage: Arc<dyn coracle_core::Metrics>) -> Self {
        self.usage = Some(usage);
        self
    }

    /// With a record of what is asked over the network. Default: none.
    #[must_use]
    pub fn with_audit(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// With one more thing that must be well for the server to be ready.
    #[must_use]
    pub fn with_health_check(mut self, check: Arc<dyn HealthCheck>) -> Self {
        self.health_checks.push(check);
        self
    }

    /// With the address (`host:port`) that discovery tells clients. Default `127.0.0.1:6443`.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// With another limit for requests that are no watch or stream. Default [`REQUEST_TIMEOUT`].
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// With other limits for requests at a time, divided by priority and fairness as far as it knows by itself: see
    /// [`ApiServer::with_fairness`]. If both limits are 0, requests are not limited.
    #[must_use]
    pub fn with_in_flight(mut self, limits: InFlight) -> Self {
        self.gate = Gate::new(limits);
        self
    }

    /// With priority and fairness that somebody tells of its objects, as [`fairness::keep::run`](crate::fairness::keep::run)
    /// does.
    #[must_use]
    pub fn with_fairness(mut self, fairness: Arc<Fairness>) -> Self {
        self.gate = Gate::Fair(fairness);
        self
    }

    /// With the same limits for everybody. Source: kube-apiserver `--enable-priority-and-fairness=false`.
    #[must_use]
    pub fn without_fairness(mut self, limits: InFlight) -> Self {
        self.gate = Gate::Plain(Places::new(limits));
        self
    }

    /// With what is known of other API servers.
    #[must_use]
    pub fn with_aggregation(mut self, aggregation: Arc<Aggregation>) -> Self {
        self.aggregation = aggregation;
        self
    }

    /// With another way to webhooks and other API servers than the network.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Arc<dyn Outbound>) -> Self {
        self.reader = self.reader.with_outbound(outbound);
        self
    }

    /// For a store that other processes write to as well; see [`Reader::with_shared_store`].
    #[must_use]
    pub fn with_shared_store(mut self) -> Self {
        self.reader = self.reader.with_shared_store();
        self
    }

    /// Ends all watches and streams, and stops being ready. Other requests are still answered.
    pub fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub async fn handle(&self, request: http::Request<RequestBody>, caller: Caller) -> Response<Body> {
        let began = Instant::now();
        let (head, body) = split(request);
        let mut under_way = UnderWay { trail: None, place: Place::default(), remarks: Remarks::heard() };
        let limit = self.limit(&head.info, &head.query);
        let granted = limit.as_ref().ok().copied().flatten().unwrap_or(self.request_timeout) / WAITING_PART;
        let answer = self.answer(&head, body, &caller, granted, &mut under_way);
        let answer = within(limit, answer).await;
        let media_of_refusals = negotiate::media_of_refusals(&head.parts.headers);
        let told = under_way.remarks.take();
        let answer = answer.unwrap_or_else(|status| {
            let mut refusal = respond::refusal_in(media_of_refusals, &status);
            respond::warn(&mut refusal, &told.warnings);
            refusal
        });
        let answer = match under_way.trail {
            Some(trail) => trail.answered(answer, told),
            None => answer,
        };
        self.count(head, began, answer, under_way.place)
    }

    async fn answer(
        &self,
        head: &Head,
        (body, upgrade): (RequestBody, Option<OnUpgrade>),
        caller: &Caller,
        granted: Duration,
        under_way: &mut UnderWay,
    ) -> Result<Response<Body>, Status> {
        let Head { info, query, parts } = head;
        let headers = &parts.headers;
        let identity = self.identify(headers, caller).await;
        under_way.trail = self.begin_trail(info, parts, caller, &identity);
        let user = identity.acting?;
        let world = self.reader.gateway().feed().world();
        match self.gate.pass(Arrival { user: &user, info, query, world: &world }, granted).await {
            Ok(place) => under_way.place = place,
            Err(answer) => return Ok(answer),
        }
        drop(world);
        self.permit(&user, info, headers, &mut under_way.trail).await?;
        let body = match &mut under_way.trail {
            Some(trail) => trail.sent(body).await?,
            None => body,
        };
        let world = self.reader.gateway().feed().world();
        if let Some(service) = aggregation::remote(&world, parts.uri.path()) {
            let shutdown = self.shutdown.clone();
            let call = Proxied { service: &service, user: &user, parts, upgrade, shutdown };
            return aggregation::proxy(self.reader.outbound(), call, body).await;
        }
        if info.is_resource {
            let kind = resources::route(self, info)?;
            let (request, remarks) = (parts, &under_way.remarks);
            resources::Call { server: self, info, query, request, headers, user, remarks, kind, upgrade }
                .answer(body)
                .await
        } else {
            self.answer_other(info, query, headers).await
        }
    }

    /// Counts an answer, and keeps its place until all of it was sent.
    fn count(&self, head: Head, began: Instant, mut answer: Response<Body>, place: Place) -> Response<Body> {
        let Head { info, query, parts } = head;
        let (lasts, is_watch) = (info.is_long_running(), info.verb == "watch");
        let world = self.reader.gateway().feed().world();
        let mut counted = None;
        if let Some(labels) = Labels::of(info, &query, &parts.headers, world.kinds()) {
            counted = lasts.then(|| self.requests.long_running(labels.clone()));
            self.requests.answered(labels, answer.status().as_u16(), (!lasts).then(|| began.elapsed()));
        }
        let counted = GoesOn::count(&mut answer, counted);
        place.kept_by(answer, is_watch).map(|body| body.keeping(counted))
    }

    /// How long a request may take; `None` for watches and streams, which limit themselves.
    fn limit(&self, info: &RequestInfo, query: &Query) -> Result<Option<Duration>, Status> {
        if info.is_long_running() {
            return Ok(None);
        }
        let asked = query.timeout()?.filter(|asked| !asked.is_zero());
        Ok(Some(asked.unwrap_or(self.request_timeout).min(self.request_timeout)))
    }

    /// Who asks, and as whom.
    async fn identify(&self, headers: &HeaderMap, caller: &Caller) -> Identity {
        let known = match caller {
            Caller::Known(user) => Ok(authenticated((**user).clone())),
            Caller::Remote(certificate) => {
                let credentials = Credentials { certificate: certificate.as_deref(), headers };
                let user = self.auth.authenticator.authenticate(credentials).await;
                user.map(|user| user.map_or_else(anonymous, authenticated))
            }
        };
        match known.map(Arc::new) {
            Ok(user) => Identity {
                acting: impersonated(&*self.auth.authorizer, user.clone(), headers).await,
                caller: Some(user),
            },
            Err(status) => Identity { caller: None, acting: Err(status) },
        }
    }

    /// The trail of a request that is recorded.
    fn begin_trail(
        &self,
        info: &RequestInfo,
        parts: &http::request::Parts,
        caller: &Caller,
        identity: &Identity,
    ) -> Option<Trail> {
        let audit = self.audit.as_ref().filter(|_| matches!(caller, Caller::Remote(_)))?;
        let gateway = self.reader.gateway();
        let (caller, acting) = (identity.caller.as_ref(), identity.acting.as_ref().ok());
        let impersonated = acting.filter(|acting| !caller.is_some_and(|caller| Arc::ptr_eq(caller, acting)));
        let asked =
            Asked { info, parts, caller: caller.map(|user| &**user), impersonated: impersonated.map(|user| &**user) };
        audit.begin(&asked, gateway.clock(), gateway.entropy().uid())
    }

    /// Whether they may.
    async fn permit(
        &self,
        user: &User,
        info: &RequestInfo,
        headers: &HeaderMap,
        trail: &mut Option<Trail>,
    ) -> Result<(), Status> {
        let access = info.access();
        self.allow(user, &access, trail).await?;
        // A stream into a container is more than a look at it, though a websocket begins with GET.
        // Source: feature `AuthorizePodWebsocketUpgradeCreatePermission`.
        if info.opens_container() && info.verb == "get" && headers.contains_key(UPGRADE) {
            self.allow(user, &access.with_verb("create"), trail).await?;
        }
        Ok(())
    }

    async fn allow(&self, user: &User, access: &Access<'_>, trail: &mut Option<Trail>) -> Result<(), Status> {
        let decision = self.auth.authorizer.authorize(user, access).await;
        if let Some(trail) = trail {
            trail.decided(&decision);
        }
        match decision {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) => Err(forbidden(user, access, &reason)),
        }
    }

    /// Answers paths that are no resources.
    async fn answer_other(
        &self,
        info: &RequestInfo,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Status> {
        if !matches!(&*info.verb, "get" | "head") {
            return Err(Status::method_not_allowed());
        }
        let path = info.path.as_str();
        let world = self.reader.gateway().feed().world();
        if let Some(answer) = discovery::answer(&self.aggregation.kinds(&world), path, headers, &self.address) {
            return answer;
        }
        let is_shutting_down = self.shutdown.is_cancelled();
        if let Some(answer) = health::answer(path, query, &self.health_checks, is_shutting_down).await {
            return answer;
        }
        if let Some(document) = self.issuer_document(path).or_else(|| self.debug_page(path)) {
            return Ok(document);
        }
        match path {
            "/version" | "/version/" => Ok(respond::json(StatusCode::OK, &health::version())),
            "/metrics" => Ok(self.numbers()),
            "/" => Ok(respond::json(StatusCode::OK, &discovery::paths(&self.aggregation.kinds(&world)))),
            _ if path.starts_with("/openapi/") => {
                let open_api = self.open_api.as_ref().ok_or_else(Status::no_such_path)?;
                if path.trim_end_matches('/') == "/openapi/v3"
                    && let Some(index) = aggregation::open_api_index(&world, &**open_api, query, headers).await
                {
                    return Ok(index);
                }
                if path.trim_end_matches('/') == "/openapi/v2"
                    && let outbound = self.reader.outbound()
                    && let Some(document) =
                        aggregation::open_api_v2(&world, outbound, &**open_api, query, headers).await
                {
                    return Ok(document);
                }
                open_api.answer(path, query, headers).await.ok_or_else(Status::no_such_path)
            }
            _ => Err(Status::no_such_path()),
        }
    }
}

impl ApiServer {
    fn numbers(&self) -> Response<Body> {
        let mut text = Exposition::default();
        self.requests.tell(self.gate.under_way(), &mut text);
        if let Some(fairness) = self.gate.fairness() {
            fairness.tell(&mut text);
        }
        if let Some(metrics) = &self.metrics {
            metrics.tell(&mut text);
        }
        let mut response = respond::text(StatusCode::OK, text.finish());
        // Source: Prometheus' text exposition format.
        let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }

    /// What priority and fairness is at.
    fn debug_page(&self, path: &str) -> Option<Response<Body>> {
        let page = self.gate.fairness()?.debug_page(path.strip_prefix("/debug/api_priority_and_fairness/")?)?;
        Some(respond::text(StatusCode::OK, page))
    }

    /// What others need to verify the cluster's tokens. Source: `pkg/routes/openidmetadata.go`.
    fn issuer_document(&self, path: &str) -> Option<Response<Body>> {
        let issuer = self.auth.tokens.as_ref()?.issuer();
        match path {
            "/.well-known/openid-configuration" => {
                let keys_url = format!("https://{}/openid/v1/jwks", self.address);
                Some(respond::json(StatusCode::OK, &issuer.configuration(&keys_url)))
            }
            "/openid/v1/jwks" => {
                let mut response = respond::json(StatusCode::OK, &issuer.keys());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
                Some(response)
            }
            _ => None,
        }
    }
}

/// What a request has while it is answered.
struct UnderWay {
    trail: Option<Trail>,
    place: Place,
    remarks: Remarks,
}

/// What a request says before its body.
struct Head {
    info: RequestInfo,
    query: Query,
    parts: http::request::Parts,
}

fn split(mut request: http::Request<RequestBody>) -> (Head, (RequestBody, Option<OnUpgrade>)) {
    let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let info = RequestInfo::of(&parts.method, parts.uri.path(), &query);
    (Head { info, query, parts }, (body, upgrade))
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApiServer").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn within<T>(
    limit: Result<Option<Duration>, Status>,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match limit? {
        None => answer.await,
        Some(limit) => tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(timed_out())),
    }
}

/// 504. Source: apiserver `filters.WithTimeoutForNonLongRunningRequests`.
fn timed_out() -> Status {
    Status::new(Reason::Timeout, "Timeout: request did not complete within the allotted timeout")
}
