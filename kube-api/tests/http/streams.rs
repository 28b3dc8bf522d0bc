//! Logs, commands and connections through kube's client and as SPDY: a "container" that prints two lines, echoes what
//! it is told, and shows on port 80 what it was asked over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use coracle_api::http::body::BoxError;
use coracle_api::http::serve::{Limits, Serving, serve};
use coracle_api::http::streams::{Connection, ExecStreams, ExecWanted, LogLine, LogsWanted, Page, PodStreams};
use coracle_api::spdy::Frame;
use coracle_api::spdy::frame::Decoder;
use coracle_api::spdy::headers::Compressor;
use coracle_core::{Clock as _, Object, Status};
use coracle_store::Memory;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, LogParams};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
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

    async fn port_forward(&self, _pod: &Arc<Object>, port: u16) -> Result<Connection, Status> {
        let (here, there) = tokio::io::duplex(4 << 10);
        match port {
            7 => tokio::spawn(echo(there)),
            80 => tokio::spawn(mirror(there)),
            _ => return Err(Status::bad_request(format!("nobody listens on {port}"))),
        };
        Ok(Box::new(here))
    }

    async fn page(&self, node: &str, path: &str) -> Result<Option<Page>, Status> {
        let page = Page { content_type: "text/plain", text: format!("{node} is well") };
        Ok((path == "/healthz").then_some(page))
    }
}

/// Sends back what comes.
async fn echo(connection: DuplexStream) {
    let (mut reader, mut writer) = tokio::io::split(connection);
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

/// An HTTP server that answers a request with its head, and echoes once it was asked to upgrade.
async fn mirror(mut connection: DuplexStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    if head.contains("upgrade: echo") {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        connection.write_all(answer.as_bytes()).await.unwrap();
        return echo(connection).await;
    }
    let length = head.len();
    let answer =
        format!("HTTP/1.1 418 Teapot\r\nLocation: /next\r\nKeep-Alive: x\r\nContent-Length: {length}\r\n\r\n{head}");
    connection.write_all(answer.as_bytes()).await.unwrap();
}

async fn cluster() -> Cluster {
    let plugins: Vec<Box<dyn coracle_api::Admission>> =
        vec![Box::new(coracle_api::admission::MutatingPolicies::default())];
    let cluster = Cluster::of(Arc::new(Memory::default()), plugins, |server| {
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
    let serving = listen(&cluster);
    let pods: Api<Pod> = Api::namespaced(client_of(&serving), "default");
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
    let forward = cluster.ask("PUT", "/api/v1/namespaces/default/pods/web/portforward", &[], "").await;
    assert_eq!(forward.code, 405);
}

#[tokio::test]
async fn admission_may_change_what_is_run() {
    let cluster = cluster().await;
    let policy = json!({
        "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec", "pods/proxy"]},
            ]},
            "mutations": [
                {"patchType": "JSONPatch", "jsonPatch": {"expression": "has(object.command) ? [JSONPatch{op: 'replace', path: '/command', value: ['7']}] : []"}},
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{container: 'main'}"}},
            ],
            "reinvocationPolicy": "Never",
        },
    });
    cluster.post("/api/v1/namespaces", &json!({"metadata": {"name": "default"}})).await;
    cluster.post("/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies", &policy).await;
    let binding = json!({"metadata": {"name": "b"}, "spec": {"policyName": "p"}});
    cluster.post("/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings", &binding).await;
    let serving = listen(&cluster);
    let pods: Api<Pod> = Api::namespaced(client_of(&serving), "default");
    let params = AttachParams::default().stdin(true).stdout(true).stderr(false);
    let mut process = pods.exec("web", ["0"], &params).await.unwrap();
    process.stdin().unwrap().write_all(b"hello\n").await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!(
        status.message.as_deref(),
        Some("command terminated with non-zero exit code: exit status 7"),
        "{status:?}"
    );
    let proxied = cluster.get("/api/v1/namespaces/default/pods/web/proxy/").await.json();
    assert_eq!(proxied["message"], "Internal error occurred: admission may not change what is asked of a proxy");
}

fn listen(cluster: &Cluster) -> Serving {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    serve(cluster.server.clone(), TcpListener::from_std(listener).unwrap(), None, Limits::default()).unwrap()
}

fn client_of(serving: &Serving) -> Client {
    let mut config = Config::new(format!("http://{}", serving.address()).parse().unwrap());
    config.auth_info.token = Some("t".to_owned().into());
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn ports_over_websocket() {
    let cluster = cluster().await;
    let serving = listen(&cluster);
    let pods: Api<Pod> = Api::namespaced(client_of(&serving), "default");
    let mut forwarder = pods.portforward("web", &[7, 9]).await.unwrap();
    let mut echo = forwarder.take_stream(7).unwrap();
    echo.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    echo.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    let error = forwarder.take_error(9).unwrap().await.unwrap();
    assert!(error.starts_with("error forwarding port 9 to pod web, uid "), "{error}");
    assert!(error.ends_with(": nobody listens on 9"), "{error}");
}

/// A client of old, which speaks SPDY.
struct Old {
    connection: TcpStream,
    compressor: Compressor,
    decoder: Decoder,
    received: BytesMut,
}

impl Old {
    /// Upgrades a connection; the head of the answer comes too.
    async fn connect(serving: &Serving, target: &str, protocol: &str) -> (Self, String) {
        let mut connection = TcpStream::connect(serving.address()).await.unwrap();
        let head = format!(
            "POST /api/v1/namespaces/default/pods/web/{target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\
             Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {protocol}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let head = head_of(&mut connection).await;
        let (compressor, decoder) = (Compressor::new().unwrap(), Decoder::default());
        (Self { connection, compressor, decoder, received: BytesMut::new() }, head)
    }

    async fn open(&mut self, stream: u32, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let headers = self.compressor.write(&headers).unwrap();
        self.send(Frame::SynStream { stream, fin: false, headers }).await;
        let reply = self.next().await;
        assert!(matches!(reply, Frame::SynReply { stream: replied, .. } if replied == stream), "{reply:?}");
    }

    async fn send(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        self.connection.write_all(&bytes).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.received).unwrap() {
                return frame;
            }
            assert_ne!(self.connection.read_buf(&mut self.received).await.unwrap(), 0);
        }
    }

    /// What comes on each stream until all of them have ended.
    async fn read_to_end(&mut self, mut streams: usize) -> BTreeMap<u32, String> {
        let mut texts: BTreeMap<u32, String> = BTreeMap::new();
        while streams > 0 {
            let Frame::Data { stream, fin, payload } = self.next().await else { continue };
            streams -= usize::from(fin);
            texts.entry(stream).or_default().push_str(std::str::from_utf8(&payload).unwrap());
        }
        texts
    }
}

async fn head_of(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn data(stream: u32, text: &'static str, fin: bool) -> Frame {
    Frame::Data { stream, fin, payload: Bytes::from_static(text.as_bytes()) }
}

#[tokio::test]
async fn exec_over_spdy() {
    let cluster = cluster().await;
    let serving = listen(&cluster);
    let going_on = async |count: u8| {
        let page = cluster.get("/metrics").await.body;
        let is_exec = |line: &str| line.contains("subresource=\"exec\"") && line.ends_with(&format!("\"}} {count}"));
        let mut lines = std::str::from_utf8(&page).unwrap().lines();
        lines.any(|line| line.starts_with("apiserver_longrunning_requests{") && is_exec(line))
    };
    for (protocol, told) in
        [("v4.channel.k8s.io", "\"NonZeroExitCode\""), ("v2.channel.k8s.io", "command terminated with non-zero")]
    {
        let target = "exec?command=3&stdin=true&stdout=true&stderr=true";
        let (mut old, head) = Old::connect(&serving, target, protocol).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains(&format!("x-stream-protocol-version: {protocol}\r\n")), "{head}");
        for (stream, kind) in [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")] {
            old.open(stream, &[("streamtype", kind)]).await;
        }
        assert!(going_on(1).await, "a stream is counted as long as it goes on");
        old.send(data(3, "hello\n", true)).await;
        let texts = old.read_to_end(3).await;
        assert_eq!((&*texts[&5], &*texts[&7]), ("hello\n", "ready"));
        assert!(texts[&1].contains(told), "{texts:?}");
        drop(old);
        while !going_on(0).await {
            tokio::task::yield_now().await;
        }
    }
    let (_, head) = Old::connect(&serving, "exec?command=3", "v9.channel.k8s.io").await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
}

#[tokio::test]
async fn ports_over_spdy() {
    let serving = listen(&cluster().await);
    let (mut old, _) = Old::connect(&serving, "portforward", "portforward.k8s.io").await;
    let pair = async |old: &mut Old, stream: u32, port: &str, request: &str| {
        for (stream, kind) in [(stream, "error"), (stream + 2, "data")] {
            old.open(stream, &[("streamtype", kind), ("port", port), ("requestid", request)]).await;
        }
    };
    pair(&mut old, 1, "7", "0").await;
    // Very old clients do not say which streams belong together.
    pair(&mut old, 5, "7", "").await;
    old.send(data(7, "second", true)).await;
    assert_eq!(old.read_to_end(2).await[&7], "second");
    old.send(data(3, "first", true)).await;
    assert_eq!(old.read_to_end(2).await[&3], "first");
    pair(&mut old, 9, "9", "2").await;
    assert!(old.read_to_end(2).await[&9].ends_with(": nobody listens on 9"));
    let headers = old.compressor.write(&vec![("port".to_owned(), "x".to_owned())]).unwrap();
    old.send(Frame::SynStream { stream: 13, fin: false, headers }).await;
    assert!(matches!(old.next().await, Frame::Reset { stream: 13, .. }));
}

#[tokio::test]
async fn proxies() {
    let cluster = cluster().await;
    let pods = "/api/v1/namespaces/default/pods";
    let status = json!({"status": {"podIP": "10.0.0.1"}}).to_string();
    let merge = [("content-type", "application/merge-patch+json")];
    assert_eq!(cluster.ask("PATCH", &format!("{pods}/web/status"), &merge, &status).await.code, 200);
    let headers = [("authorization", "Bearer t"), ("connection", "x-mine"), ("x-mine", "1"), ("x-yours", "2")];
    let answer = cluster.ask("DELETE", &format!("{pods}/web:80/proxy/a%2Fb/?c=d"), &headers, "").await;
    assert_eq!((answer.code, &*answer.headers["location"]), (418, &*format!("{pods}/web:80/proxy/next")));
    assert!(!answer.headers.contains_key("keep-alive"));
    let seen = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(seen.starts_with("DELETE /a%2Fb/?c=d HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("x-forwarded-uri: {pods}/web:80/proxy/a%2Fb/\r\n")), "{seen}");
    assert!(seen.contains("x-yours: 2") && !seen.contains("x-mine") && !seen.contains("authorization"), "{seen}");
    for (target, code, message) in [
        (format!("{pods}/web:9/proxy/"), 503, "error trying to reach service: nobody listens on 9"),
        (format!("{pods}/ftp:web:9/proxy/"), 400, "invalid pod request \"ftp:web:9\""),
        (format!("{pods}/waiting/proxy/"), 400, "address not allowed"),
        (format!("{pods}/none/proxy/"), 404, "pods \"none\" not found"),
        ("/api/v1/namespaces/default/services/none/proxy/".to_owned(), 404, "services \"none\" not found"),
    ] {
        let answer = cluster.get(&target).await;
        let status = answer.json();
        assert_eq!((answer.code, status["message"].as_str().unwrap()), (code, message), "{target}");
    }
    let moved = cluster.get(&format!("{pods}/web/proxy?a=b")).await;
    assert_eq!((moved.code, &*moved.headers["location"]), (301, &*format!("{pods}/web/proxy/?a=b")));
}

#[tokio::test]
async fn a_service_s_proxy_finds_ready_pods_by_port() {
    let cluster = cluster().await;
    let namespace = "/api/v1/namespaces/default";
    let merge = [("content-type", "application/merge-patch+json")];
    let status = json!({"status": {"podIP": "127.0.0.1"}}).to_string();
    cluster.ask("PATCH", &format!("{namespace}/pods/web/status"), &merge, &status).await;
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"name": "http", "port": 8000}]}});
    cluster.post(&format!("{namespace}/services"), &service).await;
    let address = |pod| json!({"ip": "127.0.0.1", "targetRef": {"kind": "Pod", "namespace": "default", "name": pod}});
    let ports = json!([{"name": "http", "port": 80}]);
    let subset = json!({"addresses": [address("web"), address("waiting")], "ports": ports});
    cluster.post(&format!("{namespace}/endpoints"), &json!({"metadata": {"name": "s"}, "subsets": [subset]})).await;
    for (name, code) in [("s:http", 418), ("s:8000", 418), ("http:s:http", 418), ("s:1", 503), ("s:other", 503)] {
        assert_eq!(cluster.get(&format!("{namespace}/services/{name}/proxy/")).await.code, code, "{name}");
    }
    let refused = cluster.get(&format!("{namespace}/services/s/proxy/")).await.json();
    assert_eq!(refused["message"], "no endpoints available for service \"s\"");
    assert_eq!(refused["reason"], "ServiceUnavailable");
}

#[tokio::test]
async fn a_node_s_proxy_shows_its_pages() {
    let cluster = cluster().await;
    cluster.post("/api/v1/nodes", &json!({"metadata": {"name": "n1"}})).await;
    for (target, code, body) in [
        ("n1/proxy/healthz", 200, "n1 is well"),
        ("n1:10250/proxy/healthz", 200, "n1 is well"),
        ("n1/proxy/other", 404, "404 page not found\n"),
    ] {
        let answer = cluster.get(&format!("/api/v1/nodes/{target}")).await;
        assert_eq!((answer.code, &*answer.body), (code, body.as_bytes()), "{target}");
    }
    assert_eq!(cluster.get("/api/v1/nodes/n1:22/proxy/").await.code, 503);
    assert_eq!(cluster.get("/api/v1/nodes/n2/proxy/").await.code, 404);
}

#[tokio::test]
async fn a_proxy_lets_upgrades_pass() {
    let cluster = cluster().await;
    let pods = "/api/v1/namespaces/default/pods";
    let status = json!({"status": {"podIP": "10.0.0.1"}}).to_string();
    cluster
        .ask("PATCH", &format!("{pods}/web/status"), &[("content-type", "application/merge-patch+json")], &status)
        .await;
    let serving = listen(&cluster);
    let mut connection = TcpStream::connect(serving.address()).await.unwrap();
    let head = format!(
        "GET {pods}/web/proxy/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: echo\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let head = head_of(&mut connection).await;
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: echo"), "{head}");
    connection.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    connection.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}
