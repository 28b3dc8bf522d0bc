//! Between the API's idea of a pod's streams and the node's: the two rings do not know each other.

use std::sync::Arc;

use async_trait::async_trait;
use coracle_api::http::body::BoxError;
use coracle_api::http::streams::{Connection, ExecStreams, ExecWanted, LogLine, LogsWanted, Page, PodStreams};
use coracle_core::{Object, Status};
use coracle_node::agent::Router;
use coracle_node::runtime::{ExecRequest, LogOptions};
use coracle_node::streams::PodStreams as NodeStreams;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;

/// Streams of the pods on this process' nodes.
pub(crate) struct Streams(pub(crate) Arc<Router>);

#[async_trait]
impl PodStreams for Streams {
    async fn logs(
        &self,
        pod: &Arc<Object>,
        container: &str,
        wanted: LogsWanted,
    ) -> Result<BoxStream<'static, Result<LogLine, BoxError>>, Status> {
        let LogsWanted { follow, previous, since, tail_lines } = wanted;
        let options = LogOptions { follow, since, tail: tail_lines };
        let lines = self.0.logs(pod_of(pod)?, container, previous, options).await?;
        let line = |line: coracle_node::runtime::LogLine| LogLine { at: line.at, error: line.error, text: line.text };
        Ok(lines.map(move |result| result.map(line).map_err(Into::into)).boxed())
    }

    async fn exec(&self, pod: &Arc<Object>, container: &str, wanted: ExecWanted) -> Result<ExecStreams, Status> {
        Ok(streams(self.0.exec(pod_of(pod)?, container, request(wanted)).await?))
    }

    async fn attach(&self, pod: &Arc<Object>, container: &str, wanted: ExecWanted) -> Result<ExecStreams, Status> {
        Ok(streams(self.0.attach(pod_of(pod)?, container, request(wanted)).await?))
    }

    async fn port_forward(&self, pod: &Arc<Object>, port: u16) -> Result<Connection, Status> {
        Ok(Box::new(self.0.port_forward(pod_of(pod)?, port).await?))
    }

    async fn page(&self, node: &str, path: &str) -> Result<Option<Page>, Status> {
        let page = self.0.page(node, path)?;
        Ok(page.map(|page| Page { content_type: page.content_type, text: page.text }))
    }
}

fn pod_of(object: &Object) -> Result<&Pod, Status> {
    object.get().ok_or_else(|| Status::bad_request(format!("{} is not a pod", object.reference())))
}

fn request(wanted: ExecWanted) -> ExecRequest {
    ExecRequest { command: wanted.command, stdin: wanted.stdin, tty: wanted.tty }
}

fn streams(streams: coracle_node::runtime::ExecStreams) -> ExecStreams {
    ExecStreams {
        stdin: streams.stdin,
        output: streams.output,
        exit: streams.exit.map(|exit| exit.map_err(|error| error.to_string())).boxed(),
        resize: streams.resize,
    }
}
