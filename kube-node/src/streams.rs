//! The way to a pod's logs and commands: finds the container that is meant, then its run, then asks the runtime.
//! Source: registry `pod/strategy.go` (`LogLocation`, `ExecLocation`), kubelet `validateContainerLogStatus`.

use async_trait::async_trait;
use coracle_core::{Reason, Status};
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::sync::oneshot;

use crate::agent::Router;
use crate::agent::question::{Address, Question, Wanted};
use crate::pod::ContainerObservation;
use crate::pod::observation::{Life, Waiting};
use crate::runtime::{Connection, ContainerId, ExecRequest, ExecStreams, LogLine, LogOptions, RuntimeError};

/// Logs, commands and connections of pods, wherever they run. The API server serves `log`, `exec`, `attach` and
/// `portforward` from it.
#[async_trait]
pub trait PodStreams: Send + Sync + 'static {
    /// The lines of a container; of the run before its newest one if `previous`. An empty name means the only container.
    ///
    /// # Errors
    /// 400 if the container is not clear, does not exist, or has not started yet.
    async fn logs(
        &self,
        pod: &Pod,
        container: &str,
        previous: bool,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, Status>;

    /// Runs a command in a container.
    ///
    /// # Errors
    /// As for logs; 500 if the container does not run or the runtime cannot.
    async fn exec(&self, pod: &Pod, container: &str, request: ExecRequest) -> Result<ExecStreams, Status>;

    /// Streams of a container's main process.
    ///
    /// # Errors
    /// As for exec.
    async fn attach(&self, pod: &Pod, container: &str, request: ExecRequest) -> Result<ExecStreams, Status>;

    /// A connection to a port of a pod.
    ///
    /// # Errors
    /// 500 if the pod has no sandbox, nobody listens, or the runtime cannot.
    async fn port_forward(&self, pod: &Pod, port: u16) -> Result<Connection, Status>;
}

#[async_trait]
impl PodStreams for Router {
    async fn logs(
        &self,
        pod: &Pod,
        container: &str,
        previous: bool,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, Status> {
        let (address, id) = locate(self, pod, container, previous, false).await?;
        let logs = address.runtime.logs().ok_or_else(|| unsupported(&address, "logs"))?;
        let lines = logs.logs(&id, options).await.map_err(Status::internal)?;
        // The runtime lives as long as its lines are read.
        let keep = address.runtime.clone();
        Ok(lines.inspect(move |_| drop(std::sync::Arc::clone(&keep))).boxed())
    }

    async fn exec(&self, pod: &Pod, container: &str, request: ExecRequest) -> Result<ExecStreams, Status> {
        let (address, id) = locate(self, pod, container, false, true).await?;
        let exec = address.runtime.exec().ok_or_else(|| unsupported(&address, "exec"))?;
        exec.exec(&id, request).await.map_err(Status::internal)
    }

    async fn attach(&self, pod: &Pod, container: &str, request: ExecRequest) -> Result<ExecStreams, Status> {
        let (address, id) = locate(self, pod, container, false, true).await?;
        let exec = address.runtime.exec().ok_or_else(|| unsupported(&address, "attach"))?;
        exec.attach(&id, request).await.map_err(Status::internal)
    }

    async fn port_forward(&self, pod: &Pod, port: u16) -> Result<Connection, Status> {
        let address = node_of(self, pod)?;
        let ports = address.runtime.ports().ok_or_else(|| unsupported(&address, "connections to pods"))?;
        let failed = |why: String| Status::new(Reason::InternalError, why);
        let sandbox = ask(&address, pod, Wanted::Sandbox).await?;
        let id = sandbox.ok_or_else(|| failed(format!("pod {} has no sandbox", name(pod))))?;
        ports.connect(&id, port).await.map_err(|error| failed(error.to_string()))
    }
}

async fn locate(
    router: &Router,
    pod: &Pod,
    container: &str,
    previous: bool,
    running: bool,
) -> Result<(Address, ContainerId), Status> {
    let container = choose_container(pod, container)?.to_owned();
    let address = node_of(router, pod)?;
    let id = ask(&address, pod, |answer| Wanted::Run { container, previous, running, answer }).await??;
    Ok((address, id))
}

async fn ask<T>(address: &Address, pod: &Pod, wanted: impl FnOnce(oneshot::Sender<T>) -> Wanted) -> Result<T, Status> {
    let (answer, reply) = oneshot::channel();
    address.ask(Question { uid: pod.metadata.uid.clone().unwrap_or_default(), wanted: wanted(answer) });
    reply.await.map_err(|_| Status::new(Reason::ServiceUnavailable, "the node stopped"))
}

fn node_of(router: &Router, pod: &Pod) -> Result<Address, Status> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("");
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", name(pod))));
    }
    router.address(node).ok_or_else(|| Status::internal(format!("node {node:?} does not run in this process")))
}

/// The container that a client means: the one it names, or the only one.
///
/// # Errors
/// 400 in upstream's words.
pub fn choose_container<'a>(pod: &'a Pod, wanted: &str) -> Result<&'a str, Status> {
    let Some(spec) = &pod.spec else { return Err(Status::bad_request("pod has no spec")) };
    let init = spec.init_containers.as_deref().unwrap_or(&[]);
    let ephemeral: Vec<&str> = spec.ephemeral_containers.iter().flatten().map(|one| one.name.as_str()).collect();
    let list = |all: &[Container]| all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" ");
    if !wanted.is_empty() {
        let plain = spec.containers.iter().chain(init).map(|one| one.name.as_str());
        let found = plain.chain(ephemeral).find(|name| *name == wanted);
        return found
            .ok_or_else(|| Status::bad_request(format!("container {wanted} is not valid for pod {}", name(pod))));
    }
    match spec.containers.as_slice() {
        [only] => Ok(&only.name),
        [] => Err(Status::bad_request(format!("a container name must be specified for pod {}", name(pod)))),
        many => {
            let mut text =
                format!("a container name must be specified for pod {}, choose one of: [{}]", name(pod), list(many));
            if !init.is_empty() {
                text.push_str(&format!(" or one of the init containers: [{}]", list(init)));
            }
            if !ephemeral.is_empty() {
                text.push_str(&format!(" or one of the ephemeral containers: [{}]", ephemeral.join(" ")));
            }
            Err(Status::bad_request(text))
        }
    }
}

/// The run of a container that a client means.
pub(crate) fn choose_run(
    found: Option<&ContainerObservation>,
    pod: &str,
    container: &str,
    previous: bool,
    running: bool,
) -> Result<ContainerId, Status> {
    let waiting = |reason: &str| {
        Status::bad_request(format!("container {container:?} in pod {pod:?} is waiting to start: {reason}"))
    };
    let Some(seen) = found else { return Err(waiting("ContainerCreating")) };
    let last = seen.last.as_ref().and_then(|ended| ended.id.clone());
    if previous {
        return last.ok_or_else(|| {
            Status::bad_request(format!("previous terminated container {container:?} in pod {pod:?} not found"))
        });
    }
    match &seen.life {
        Life::Running(run) => Ok(run.id.clone()),
        _ if running => Err(Status::internal(format!("container not found ({container:?})"))),
        Life::Ended(ended) => ended.id.clone().ok_or_else(|| waiting("ContainerCreating")),
        Life::Waiting(Waiting { reason: Some("ErrImagePull" | "ImagePullBackOff"), .. }) if last.is_none() => {
            Err(Status::bad_request(format!(
                "container {container:?} in pod {pod:?} is waiting to start: trying and failing to pull image"
            )))
        }
        Life::Waiting(Waiting { reason: Some(reason), .. }) => last.ok_or_else(|| waiting(reason)),
        Life::Waiting(_) | Life::Pulling | Life::Starting => last.ok_or_else(|| waiting("ContainerCreating")),
    }
}

fn unsupported(address: &Address, what: &str) -> Status {
    Status::internal(format!("the {} runtime does not support {what}", address.runtime.name()))
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_container_that_is_meant_is_found_or_asked_for() {
        let pod = |init: &[&str], main: &[&str]| -> Pod {
            let all = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
            let spec = json!({"initContainers": all(init), "containers": all(main)});
            serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
        };
        for (pod, wanted, expected) in [
            (pod(&[], &["a"]), "", Ok("a")),
            (pod(&["i"], &["a", "b"]), "i", Ok("i")),
            (pod(&[], &["a"]), "x", Err("container x is not valid for pod web")),
            (pod(&[], &["a", "b"]), "", Err("a container name must be specified for pod web, choose one of: [a b]")),
            (
                pod(&["i"], &["a", "b"]),
                "",
                Err(
                    "a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]",
                ),
            ),
        ] {
            let found = choose_container(&pod, wanted).map_err(|status| status.message().to_owned());
            assert_eq!(found, expected.map_err(ToOwned::to_owned));
        }
    }
}
