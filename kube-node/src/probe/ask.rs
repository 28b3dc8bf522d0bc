//! How a container is asked: a command, an HTTP request, a connection.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Finding;
use super::grpc::{self, Trouble};
use super::http::{Answer, Server, get};
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
        (_, _, _, Some(action)) => grpc_probe(asked, action, limit).await,
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
        Err(HttpTrouble::NoPort(why)) => Finding::Error(why),
        Err(HttpTrouble::Failed(why)) => Finding::Failure(why),
        Ok(Answer { code: 200..=399, .. }) => Finding::Success,
        Ok(Answer { code, .. }) => Finding::Failure(format!("HTTP probe failed with statuscode: {code}")),
    }
}

enum HttpTrouble {
    NoPort(String),
    Failed(String),
}

async fn http_get(asked: &Asked, action: &HTTPGetAction, limit: Duration, agent: &str) -> Result<Answer, HttpTrouble> {
    let port = port(&asked.spec, &action.port).map_err(HttpTrouble::NoPort)?;
    let secure = action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&asked.address);
    let path = action.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let headers: Vec<(String, String)> =
        action.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone())).collect();
    let server = Server { secure, host, port };
    let url = server.url(path);
    match timeout(limit, get(server, path, &headers, agent)).await {
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

async fn grpc_probe(asked: &Asked, action: &GRPCAction, limit: Duration) -> Finding {
    /// Codes of gRPC.
    const UNIMPLEMENTED: u32 = 12;
    let Ok(port) = u16::try_from(action.port) else { return Finding::Error("invalid port number".to_owned()) };
    let (host, service) = (asked.address.as_str(), action.service.as_deref().unwrap_or(""));
    let Ok(answer) = timeout(limit, grpc::check(host, port, service)).await else {
        return Finding::Failure(format!("timeout: health rpc did not complete within {}s", limit.as_secs()));
    };
    Finding::Failure(match answer {
        Ok(()) => return Finding::Success,
        Err(Trouble::Connect(why)) => format!("error: failed to connect service at \"{host}:{port}\": {why}"),
        Err(Trouble::Status(UNIMPLEMENTED, why)) => {
            format!("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {why}")
        }
        Err(Trouble::Status(code, why)) => {
            format!("error: health rpc probe failed: rpc error: code = {code} desc = {why}")
        }
        Err(Trouble::Broken(why)) => format!("error: health rpc probe failed: {why}"),
        Err(Trouble::Unhealthy(status)) => format!("service unhealthy (responded with {status:?})"),
    })
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
            Err(HttpTrouble::NoPort(why) | HttpTrouble::Failed(why)) => Err(why),
        };
    }
    if let Some(action) = &hook.sleep {
        tokio::time::sleep(seconds(action.seconds)).await;
        return Ok(());
    }
    Err("invalid handler".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;

    use super::*;
    use crate::runtimes::SimulatedRuntime;

    async fn ask(port: u16, action: &str) -> Finding {
        let spec: Container = serde_saphyr::from_str("{name: c, image: i}").unwrap();
        let asked = Asked {
            runtime: Arc::new(SimulatedRuntime::new()),
            id: ContainerId("c".into()),
            spec: Arc::new(spec),
            address: "127.0.0.1".to_owned(),
        };
        let action = action.replace("PORT", &port.to_string());
        probe(&asked, &serde_saphyr::from_str(&format!("{{timeoutSeconds: 5, {action}}}")).unwrap()).await
    }

    /// Answers one request over TLS with a certificate that nobody trusts.
    async fn secure(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let made = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
            let _request = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        port
    }

    #[tokio::test]
    async fn https_is_asked_without_asking_who_it_is() {
        let action = "httpGet: {scheme: HTTPS, port: PORT}";
        assert_eq!(ask(secure("HTTP/1.1 200 OK\r\n\r\n").await, action).await, Finding::Success);
        let failed = Finding::Failure("HTTP probe failed with statuscode: 500".to_owned());
        assert_eq!(ask(secure("HTTP/1.1 500 No\r\n\r\n").await, action).await, failed);
    }

    /// Answers one health check: the status of the service named `web`, and "not implemented" for others.
    async fn health(status: u8) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut answer))) = connection.accept().await {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                tokio::spawn(async move {
                    let asked = request.into_body().data().await.unwrap().unwrap();
                    let known = &asked[..] == b"\0\0\0\0\x05\x0a\x03web";
                    let code = if known { "0" } else { "12" };
                    let trailers = http::HeaderMap::from_iter([(
                        http::HeaderName::from_static("grpc-status"),
                        http::HeaderValue::from_static(code),
                    )]);
                    let mut body = answer.send_response(http::Response::new(()), false).unwrap();
                    let message = [0, 0, 0, 0, 2, 8, status];
                    body.send_data(Bytes::copy_from_slice(if known { &message } else { &[] }), false).unwrap();
                    body.send_trailers(trailers).unwrap();
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn grpc_services_say_whether_they_serve() {
        let web = "grpc: {port: PORT, service: web}";
        let failed = |why: &str| Finding::Failure(why.to_owned());
        assert_eq!(ask(health(1).await, web).await, Finding::Success);
        assert_eq!(ask(health(2).await, web).await, failed("service unhealthy (responded with \"NOT_SERVING\")"));
        let unknown = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ";
        assert_eq!(ask(health(1).await, "grpc: {port: PORT}").await, failed(unknown));
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let Finding::Failure(why) = ask(closed, web).await else { panic!() };
        assert!(why.starts_with("error: failed to connect service at "), "{why}");
    }
}
