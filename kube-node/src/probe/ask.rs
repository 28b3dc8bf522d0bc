//! How a container is asked: a command, an HTTP request, a connection.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ExecAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Finding;
use super::http::{Answer, get};
use crate::pod::span::seconds;
use crate::runtime::{ContainerId, Runtime};

/// Whom to ask.
#[derive(Clone)]
pub struct Asked {
    /// What runs the container.
    pub runtime: Arc<dyn Runtime>,
    /// This run of it.
    pub id: ContainerId,
    /// The container as the pod has it.
    pub spec: Arc<Container>,
    /// The pod's main address; empty if it has none.
    pub address: String,
}

/// Asks as a probe says; never takes longer than its timeout (default 1 s).
pub async fn probe(asked: &Asked, probe: &Probe) -> Finding {
    let limit = seconds(probe.timeout_seconds.filter(|limit| *limit > 0).unwrap_or(1));
    let Probe { exec, http_get, tcp_socket, grpc, .. } = probe;
    match (exec, http_get, tcp_socket, grpc) {
        (Some(action), ..) => exec_probe(asked, action, limit).await,
        (_, Some(action), ..) => http_probe(asked, action, limit).await,
        (_, _, Some(action), _) => tcp_probe(asked, action, limit).await,
        (_, _, _, Some(_)) => Finding::Error("gRPC probes are not supported by this node".to_owned()),
        _ => Finding::Error(format!("missing probe handler for container {}", asked.spec.name)),
    }
}

async fn exec_probe(asked: &Asked, action: &ExecAction, limit: Duration) -> Finding {
    let command = action.command.as_deref().unwrap_or(&[]);
    match run(asked, command, limit).await {
        Err(why) => Finding::Error(why),
        Ok((Some(0), _)) => Finding::Success,
        Ok((Some(_), output)) => Finding::Failure(output),
        Ok((None, _)) => {
            Finding::Failure(format!("command timed out: {command:?} timed out after {}s", limit.as_secs()))
        }
    }
}

async fn run(asked: &Asked, command: &[String], limit: Duration) -> Result<(Option<i32>, String), String> {
    let Some(exec) = asked.runtime.exec() else {
        return Err(format!("the {} runtime does not support running commands", asked.runtime.name()));
    };
    let output = exec.run(&asked.id, command, limit).await.map_err(|error| error.to_string())?;
    Ok((output.code, String::from_utf8_lossy(&output.output).into_owned()))
}

/// 200 to 399 is success. Source: kubelet `probe/http`.
async fn http_probe(asked: &Asked, action: &HTTPGetAction, limit: Duration) -> Finding {
    match http_get(asked, action, limit, "kube-probe/1.36").await {
        Err(HttpTrouble::Unsupported(why)) => Finding::Error(why),
        Err(HttpTrouble::Failed(why)) => Finding::Failure(why),
        Ok(Answer { code: 200..=399, .. }) => Finding::Success,
        Ok(Answer { code, .. }) => Finding::Failure(format!("HTTP probe failed with statuscode: {code}")),
    }
}

enum HttpTrouble {
    Unsupported(String),
    Failed(String),
}

async fn http_get(asked: &Asked, action: &HTTPGetAction, limit: Duration, agent: &str) -> Result<Answer, HttpTrouble> {
    if action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) {
        return Err(HttpTrouble::Unsupported("HTTPS probes are not supported by this node".to_owned()));
    }
    let port = port(&asked.spec, &action.port).map_err(HttpTrouble::Unsupported)?;
    let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&asked.address);
    let path = action.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let headers: Vec<(String, String)> =
        action.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone())).collect();
    let url = format!("http://{host}:{port}{path}");
    match timeout(limit, get(host, port, path, &headers, agent)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(HttpTrouble::Failed(format!("Get {url:?}: {error}"))),
        Err(_) => Err(HttpTrouble::Failed(format!(
            "Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        ))),
    }
}

async fn tcp_probe(asked: &Asked, action: &TCPSocketAction, limit: Duration) -> Finding {
    let port = match port(&asked.spec, &action.port) {
        Ok(port) => port,
        Err(why) => return Finding::Error(why),
    };
    let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&asked.address);
    match timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Finding::Success,
        Ok(Err(error)) => Finding::Failure(format!("dial tcp {host}:{port}: {error}")),
        Err(_) => Finding::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
    }
}

/// A port by number, or by its name among the container's ports.
fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|one| one.name.as_deref() == Some(name));
            let number = named.and_then(|one| u16::try_from(one.container_port).ok());
            let Some(number) = number.or_else(|| name.parse().ok()) else {
                return Err(format!("strconv.Atoi: parsing {name:?}: invalid syntax"));
            };
            Some(number)
        }
    };
    number.filter(|number| *number > 0).ok_or_else(|| "invalid port number".to_owned())
}

/// Runs a hook to its end.
///
/// # Errors
/// Why it failed, for people.
pub async fn hook(asked: &Asked, hook: &LifecycleHandler) -> Result<(), String> {
    /// Hooks end with their container, not by a clock of their own; this only bounds a lost command.
    const HOOK_TIME_MAX: Duration = Duration::from_secs(86_400);
    if let Some(action) = &hook.exec {
        let command = action.command.as_deref().unwrap_or(&[]);
        return match run(asked, command, HOOK_TIME_MAX).await? {
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(format!("command '{}' exited with {code}", command.join(" "))),
            (None, _) => Err(format!("command '{}' did not end", command.join(" "))),
        };
    }
    if let Some(action) = &hook.http_get {
        return match http_get(asked, action, Duration::from_secs(30), "kube-lifecycle/1.36").await {
            Ok(_) => Ok(()),
            Err(HttpTrouble::Unsupported(why) | HttpTrouble::Failed(why)) => Err(why),
        };
    }
    if let Some(action) = &hook.sleep {
        tokio::time::sleep(seconds(action.seconds)).await;
        return Ok(());
    }
    Err("invalid handler".to_owned())
}
