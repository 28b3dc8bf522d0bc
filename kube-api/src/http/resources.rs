//! The one handler of every kind: places and verbs are checked against the kind's row, then read or written.

use std::sync::Arc;

use coracle_core::selector::{FieldRequirement, FieldSelector};
use coracle_core::{Kind, Remarks, Status, User, metrics, scale};
use futures::StreamExt as _;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

use super::body::{Body, RequestBody};
use super::negotiate::{self, Media};
use super::query::Query;
use super::request_info::RequestInfo;
use super::respond::{Answering, answer, warn};
use super::{ApiServer, connect, proxy, streams, usage, write};
use crate::read::{Form, Selection};

/// One request about a resource, on its way.
pub(super) struct Call<'a> {
    pub(super) server: &'a ApiServer,
    pub(super) info: &'a RequestInfo,
    pub(super) query: &'a Query,
    pub(super) request: &'a Parts,
    pub(super) headers: &'a HeaderMap,
    pub(super) user: Arc<User>,
    pub(super) remarks: &'a Remarks,
    pub(super) kind: Arc<Kind>,
    pub(super) upgrade: Option<hyper::upgrade::OnUpgrade>,
}

/// The row that serves a request, if its path and verb fit.
pub(super) fn route(server: &ApiServer, info: &RequestInfo) -> Result<Arc<Kind>, Status> {
    let world = server.reader.gateway().feed().world();
    let kind = world.kinds().get(&info.group, &info.version, &info.resource).ok_or_else(Status::no_such_path)?;
    let verbs = if info.subresource.is_empty() {
        &kind.verbs
    } else {
        &kind.subresource(&info.subresource).ok_or_else(Status::no_such_path)?.verbs
    };
    let is_collection_verb = matches!(&*info.verb, "list" | "watch" | "create" | "deletecollection");
    let is_listing = matches!(&*info.verb, "list" | "watch");
    let is_misplaced = match kind.namespaced {
        true => info.namespace.is_empty() && !is_collection_verb,
        false => !info.namespace.is_empty() && kind.plural != "namespaces",
    };
    if is_misplaced {
        return Err(Status::no_such_path());
    }
    let needs_namespace = kind.namespaced && info.namespace.is_empty() && !is_listing;
    let creates_by_name = info.verb == "create" && !info.name.is_empty() && info.subresource.is_empty();
    let is_allowed = verbs.iter().any(|verb| *verb == info.verb || *verb == "connect");
    if !is_allowed || needs_namespace || creates_by_name {
        return Err(Status::method_not_allowed());
    }
    Ok(kind.clone())
}

/// What clients are told about kinds that are going away. Source: upstream's `APILifecycleDeprecated` methods.
const DEPRECATED: [(&str, &str, &str); 2] = [
    ("", "componentstatuses", "v1 ComponentStatus is deprecated in v1.19+"),
    ("", "endpoints", "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
];

impl Call<'_> {
    pub(super) async fn answer(self, body: RequestBody) -> Result<Response<Body>, Status> {
        let kind = self.kind.clone();
        let mut response = self.dispatch(body).await?;
        let is_deprecated = |(group, plural, _): &&(&str, &str, &str)| *group == kind.group && *plural == kind.plural;
        if let Some((_, _, warning)) = DEPRECATED.iter().find(is_deprecated) {
            warn(&mut response, &[(*warning).to_owned()]);
        }
        if let Some(warning) = kind.custom.as_ref().and_then(|custom| custom.deprecation.clone()) {
            warn(&mut response, &[warning]);
        }
        Ok(response)
    }

    async fn dispatch(self, body: RequestBody) -> Result<Response<Body>, Status> {
        if metrics::is_metrics(&self.kind) {
            return usage::answer(self).await;
        }
        match (&*self.info.subresource, &*self.info.verb) {
            ("log", _) => streams::logs(self).await,
            ("exec" | "attach" | "portforward", _) => {
                let query = connect::admit(&self).await?;
                streams::connect(Call { query: &query, ..self }).await
            }
            ("proxy", _) => {
                let query = connect::admit(&self).await?;
                if query != *self.query {
                    return Err(Status::internal("admission may not change what is asked of a proxy"));
                }
                proxy::answer(self, body).await
            }
            ("scale", "get") => self.scale().await,
            (_, "get") => self.get().await,
            (_, "list") => self.list().await,
            (_, "watch") => self.watch().await,
            _ => write::answer(self, body).await,
        }
    }

    /// The namespace that the kind's objects are looked for in; empty for cluster-scoped kinds.
    pub(super) fn namespace(&self) -> &str {
        if self.kind.namespaced { &self.info.namespace } else { "" }
    }

    /// How the client reads the answer.
    pub(super) fn answering(&self) -> Result<Answering, Status> {
        let (media, shape) = negotiate::accept(self.headers, self.query, &self.kind)?;
        let gzip = negotiate::accepts_gzip(self.headers);
        let now = self.server.reader.gateway().clock().now();
        let form = Form { kind: self.kind.clone(), shape, protobuf: media == Media::Protobuf };
        Ok(Answering { form, media, gzip, now })
    }

    async fn get(self) -> Result<Response<Body>, Status> {
        let answering = self.answering()?;
        let version = self.query.text("resourceVersion");
        let object = self.server.reader.get(&self.kind, self.namespace(), &self.info.name, version).await?;
        answering.object(StatusCode::OK, &object)
    }

    async fn scale(self) -> Result<Response<Body>, Status> {
        let answering = self.answering()?;
        let object = self.server.reader.get(&self.kind, self.namespace(), &self.info.name, "").await?;
        answering.value(StatusCode::OK, &scale(&self.kind, &object).ok_or_else(Status::no_such_path)?)
    }

    async fn list(self) -> Result<Response<Body>, Status> {
        let answering = self.answering()?;
        let options = self.query.list_options(false)?;
        let selection = Selection::new(self.kind.clone(), self.namespace(), &options)?;
        answering.list(self.server.reader.list(&selection, &options).await?)
    }

    async fn watch(self) -> Result<Response<Body>, Status> {
        let answering = self.answering()?;
        let content_type = match answering.media {
            Media::Json => "application/json",
            Media::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            Media::Yaml => return Err(negotiate::not_acceptable()),
        };
        let mut options = self.query.list_options(true)?;
        // The name that was authorized, whatever else the selector says.
        if !self.info.name.is_empty() {
            let name = FieldRequirement { path: "metadata.name".into(), equal: true, value: self.info.name.clone() };
            let requirements = options.fields.requirements().iter().cloned().chain([name]).collect();
            options.fields = FieldSelector::new(requirements);
        }
        let selection = Selection::new(self.kind.clone(), self.namespace(), &options)?;
        let watch = self.server.reader.watch(selection, &options, answering.form).await?;
        let until = Box::pin(self.server.shutdown.clone().cancelled_owned());
        Ok(answer(StatusCode::OK, content_type, Body::stream(watch.take_until(until))))
    }
}
