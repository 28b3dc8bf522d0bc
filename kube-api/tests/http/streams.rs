//! Logs and exec through kube's client: a "container" that prints two lines and echoes what it is told.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_api::http::body::BoxError;
use coracle_api::http::serve::{Limits, serve};
use coracle_api::http::streams::{ExecStreams, ExecWanted, LogLine, LogsWanted, PodStreams};
use coracle_core::{Clock as _, Object, Status};
use coracle_store::Memory;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, LogParams};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::harness::{Cluster, Still, pod};

struct Echo;

#[async_trait]
impl PodStreams for Echo {
    async fn logs(
        &self,
        _pod: &Arc<Object>,
        container: &str,
        wanted: LogsWanted,
    ) -> Result<BoxStream<'static, Result<LogLine, BoxError>>, Status> {
        let texts = [format!("{container} one\n"), format!("{container} two\n")];
        let skipped = wanted.tail_lines.map_or(0, |tail| texts.len() - usize::try_from(tail).unwrap());
        let lines = texts.into_iter().skip(skipped);
        let line = |text: String| Ok(LogLine { at: Still.now(), error: false, text: text.into() });
        Ok(futures::stream::iter(lines.map(line)).boxed())
    }

    async fn exec(&self, _pod: &Arc<Object>, _container: &str, wanted: ExecWanted) -> Result<ExecStreams, Status> {
        let (stdin, mut input) = mpsc::channel::<Bytes>(1);
        let (output, printed) = mpsc::channel(1);
        let code = wanted.command[0].parse().map_err(|_| Status::bad_request("no such command"))?;
        let exit = tokio::spawn(async move {
            output.send((true, Bytes::from_static(b"ready"))).await.unwrap();
            while let Some(bytes) = input.recv().await {
                output.send((false, bytes.clone())).await.unwrap();
                if bytes.ends_with(b"\n") {
                    break;
                }
            }
            code
        });
        let printed = futures::stream::unfold(printed, |mut printed| async { Some((printed.recv().await?, printed)) });
        Ok(ExecStreams {
            stdin: Some(stdin),
            output: printed.boxed(),
            exit: Box::pin(async { exit.await.map_err(|error| error.to_string()) }),
            resize: None,
        })
    }

    async fn attach(&self, pod: &Arc<Object>, container: &str, _: ExecWanted) -> Result<ExecStreams, Status> {
        let wanted = ExecWanted { command: vec!["0".to_owned()], ..ExecWanted::default() };
        self.exec(pod, container, wanted).await
    }
}

async fn cluster() -> Cluster {
    let cluster = Cluster::with(Arc::new(Memory::default()), |server| {
        let tokens = coracle_api::auth::StaticTokens([("t".to_owned(), (*coracle_core::User::owner()).clone())].into());
        server.with_streams(Arc::new(Echo)).with_authenticator(tokens)
    })
    .await;
    let pods = "/api/v1/namespaces/default/pods";
    cluster.post(pods, &pod("web", "n1")).await;
    cluster.post(pods, &pod("waiting", "")).await;
    let mut two = pod("two", "n1");
    two["spec"]["containers"] = json!([{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]);
    cluster.post(pods, &two).await;
    cluster
}

#[tokio::test]
async fn logs() {
    let cluster = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    assert_eq!(pods.logs("web", &LogParams::default()).await.unwrap(), "main one\nmain two\n");
    let tail = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
    assert_eq!(pods.logs("web", &tail).await.unwrap(), "2026-05-01T10:00:00Z main two\n");
    assert_eq!(pods.logs("waiting", &LogParams::default()).await.unwrap(), "");
    for (container, message) in [
        (None, "a container name must be specified for pod two, choose one of: [a b]"),
        (Some("c"), "container c is not valid for pod two"),
    ] {
        let params = LogParams { container: container.map(str::to_owned), ..LogParams::default() };
        let refused = pods.logs("two", &params).await.unwrap_err();
        assert!(refused.to_string().contains(message), "{refused}");
    }
    let none = Cluster::start().await;
    none.post("/api/v1/namespaces/default/pods", &pod("web", "n1")).await;
    assert_eq!(none.get("/api/v1/namespaces/default/pods/web/log").await.code, 501);
}

#[tokio::test]
async fn exec_and_attach_over_websocket() {
    let cluster = cluster().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = serve(cluster.server.clone(), listener, None, Limits::default()).unwrap();
    let mut config = Config::new(format!("http://{}", serving.address()).parse().unwrap());
    config.auth_info.token = Some("t".to_owned().into());
    let pods: Api<Pod> = Api::namespaced(Client::try_from(config).unwrap(), "default");
    let params = AttachParams::default().stdin(true).stdout(true).stderr(true);
    for code in ["0", "3"] {
        let mut process = pods.exec("web", [code], &params).await.unwrap();
        let (mut stdin, mut stdout, mut stderr) =
            (process.stdin().unwrap(), process.stdout().unwrap(), process.stderr().unwrap());
        stdin.write_all(b"hello\n").await.unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        stdout.read_to_string(&mut out).await.unwrap();
        stderr.read_to_string(&mut err).await.unwrap();
        assert_eq!((&*out, &*err), ("hello\n", "ready"));
        let status = process.take_status().unwrap().await.unwrap();
        let exit = status.details.and_then(|details| details.causes).map(|causes| causes[0].message.clone().unwrap());
        assert_eq!(exit.as_deref().unwrap_or("0"), code);
    }
    let mut attached = pods.attach("web", &params).await.unwrap();
    let mut error = [0; 5];
    attached.stderr().unwrap().read_exact(&mut error).await.unwrap();
    assert_eq!(&error, b"ready");
    let refused = pods.exec("waiting", ["0"], &params).await;
    assert!(refused.is_err());
    let plain = cluster.get("/api/v1/namespaces/default/pods/web/exec?command=0").await.json();
    assert_eq!((&plain["code"], &plain["message"]), (&json!(400), &json!("Upgrade request required")));
    let forward = cluster.ask("POST", "/api/v1/namespaces/default/pods/web/portforward", &[], "").await;
    assert_eq!(forward.code, 501);
}
