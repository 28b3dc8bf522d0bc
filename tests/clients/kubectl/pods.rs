//! Into pods: exec, attach, cp, port-forward, proxies, volumes, resize, debug.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use coracle::k8s_openapi::api::core::v1::Taint;
use coracle::node::runtimes::{FunctionContext, FunctionRuntime, ProcessRuntime};
use coracle::{Builder, Node};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

use super::{Kubectl, with_kubectl};

const FILES: &[(&str, &str)] = &[("streams.yaml", STREAMS), ("keeper.yaml", KEEPER)];

/// Nodes of processes and of functions, and volumes.
fn cluster(builder: Builder, directory: &Path) -> Builder {
    let functions = Node::new("functions", FunctionRuntime::new().with("greeter", greeter));
    let taint = Taint { key: "functions".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    let builder = builder.local_volumes(directory.join("volumes"));
    builder.node(Node::new("local", ProcessRuntime::new().unwrap())).node(functions.taint(taint))
}

const STREAMS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: example, command: [sleep, "1000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: listener}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: Never
  containers: [{name: c, image: example, stdin: true, command: [sh, -c, "read line; echo got $line"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: greeter, labels: {app: greeter}}
spec:
  nodeName: functions
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: greeter, ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: greeters}
spec:
  selector: {app: greeter}
  ports: [{name: web, port: 80, targetPort: http}]
"#;

/// A set whose pods note in their volume when they start, and show their resources.
const KEEPER: &str = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: keeper}
spec:
  serviceName: keeper
  selector: {matchLabels: {app: keeper}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
  template:
    metadata: {labels: {app: keeper}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: example
        command: [sh, -c, "echo started >> /data/starts; exec sleep 1000"]
        resources: {requests: {cpu: 10m}}
        volumeMounts: [{name: data, mountPath: /data}]
"#;

/// An HTTP server that answers with the request's first line.
async fn greeter(cx: FunctionContext) -> Result<(), std::io::Error> {
    let listener = tokio::net::TcpListener::bind((cx.address(), 8080)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (reader, mut writer) = stream.into_split();
            let mut lines = tokio::io::BufReader::new(reader).lines();
            let first = lines.next_line().await?.unwrap_or_default();
            while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{first}", first.len());
            writer.write_all(answer.as_bytes()).await
        });
    }
}

fn streams(kubectl: &Kubectl) {
    kubectl.ok("apply -f streams.yaml", &["pod/shell created"]);
    kubectl.ok("wait --for=condition=Ready pods --all --timeout=60s", &["pod/greeter condition met"]);
    kubectl.ok("exec shell -- echo hello", &["hello"]);
    kubectl.refused("exec shell -- sh -c exit~3", "command terminated with exit code 3");
    let counted = kubectl.run_with("exec -i shell -- wc -c", true, &"x".repeat(1 << 20));
    assert_eq!(counted.trim(), "1048576");
    let heard = kubectl.run_with("attach -i listener", true, "word\n");
    assert!(heard.contains("got word"), "{heard}");
    let copy = kubectl.directory.join("copy.yaml");
    kubectl.ok(&format!("cp streams.yaml shell:{}", copy.display()), &[]);
    assert_eq!(std::fs::read_to_string(copy).unwrap(), STREAMS);
    forward_ports(kubectl);
    let namespace = "/api/v1/namespaces/default";
    for (target, expected) in [
        (format!("{namespace}/pods/greeter:8080/proxy/a?b=c"), "GET /a?b=c HTTP/1.1"),
        (format!("{namespace}/pods/greeter:http/proxy"), "GET / HTTP/1.1"),
        (format!("{namespace}/services/greeters:80/proxy/"), "GET / HTTP/1.1"),
        (format!("{namespace}/services/http:greeters:web/proxy/x"), "GET /x HTTP/1.1"),
        ("/api/v1/nodes/functions/proxy/healthz".to_owned(), "ok"),
        ("/api/v1/nodes/local:10250/proxy/pods".to_owned(), r#""name":"shell""#),
        ("/api/v1/nodes/functions/proxy/metrics".to_owned(), "kubelet_running_pods 1"),
    ] {
        kubectl.ok(&format!("get --raw {target}"), &[expected]);
    }
    let reason = "error trying to reach service: failed to connect to";
    kubectl.refused(&format!("get --raw {namespace}/pods/greeter:9/proxy/"), reason);
}

fn forward_ports(kubectl: &Kubectl) {
    let mut forwarding = kubectl.command("port-forward pod/greeter :http").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // Kept open: kubectl dies when nobody reads what it says.
    let mut said = BufReader::new(forwarding.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let address = line.split_whitespace().find(|word| word.starts_with("127.")).unwrap_or_else(|| panic!("{line}"));
    // Side by side over one connection of kubectl's.
    let connections: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    for (index, mut connection) in connections.into_iter().enumerate().rev() {
        write!(connection, "GET /{index} HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(&format!("GET /{index} HTTP/1.1")), "{answer}");
    }
    // `timeout` passes the signal on to kubectl; a kill would leave kubectl behind.
    let _sent = Command::new("kill").arg(forwarding.id().to_string()).status();
    forwarding.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_reaches_into_pods() {
    with_kubectl(FILES, cluster, streams).await;
}

/// What a pod wrote is there when it comes back.
fn keeps(kubectl: &Kubectl) {
    kubectl.ok("apply -f keeper.yaml", &["statefulset.apps/keeper created"]);
    kubectl.ok("rollout status statefulset/keeper --timeout=60s", &["complete"]);
    kubectl.ok("get pvc data-keeper-0", &["Bound"]);
    kubectl.soon("exec keeper-0 -- cat /data/starts", "started\n");
    let first = kubectl.run("get pod keeper-0 -o jsonpath={.metadata.uid}", true);
    // Without waiting: if the end comes between kubectl's look and its list, and another pod of the name at once after it, kubectl
    // waits for an end that it has missed.
    kubectl.ok("delete pod keeper-0 --wait=false", &["deleted"]);
    // The set may still say that it is complete when its pod is gone, and there is none to wait for.
    let there = || kubectl.run("get pods -l app=keeper -o jsonpath={.items[*].metadata.uid}", true);
    assert!((0..500).any(|_| !there().replace(&first, "").is_empty()), "no pod comes back");
    kubectl.ok("wait --for=condition=Ready pod/keeper-0 --timeout=60s", &["condition met"]);
    kubectl.soon("exec keeper-0 -- cat /data/starts", "started\nstarted\n");
    // Older ones know neither the subresource nor the containers that debuggers get.
    if kubectl.is_at_least(32) {
        resizes(kubectl);
        looks_into(kubectl);
    }
    kubectl.ok("delete statefulset keeper", &["deleted"]);
    kubectl.soon("get pods -l app=keeper -o jsonpath=<{.items[*].kind}>", "<>");
    kubectl.ok("get pvc data-keeper-0", &["Bound"]);
}

/// A person gives a pod more, where it is.
fn resizes(kubectl: &Kubectl) {
    let resources = r#"{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"20m"}}}]}}"#;
    kubectl.ok(&format!("patch pod keeper-0 --subresource resize --patch {resources}"), &["patched"]);
    let given = "jsonpath={.status.containerStatuses[0].resources.requests.cpu}";
    kubectl.ok(&format!("wait --for={given}=20m pod/keeper-0 --timeout=60s"), &["condition met"]);
    kubectl.soon("get events", "ResizeCompleted");
}

/// A person looks into a pod with a container of their own.
fn looks_into(kubectl: &Kubectl) {
    kubectl.ok("debug keeper-0 --image=example -c looker -- sh -c echo~seen;~sleep~1000", &[]);
    let looks = "jsonpath={.status.ephemeralContainerStatuses[0].state.running}";
    kubectl.ok(&format!("wait --for={looks} pod/keeper-0 --timeout=60s"), &["condition met"]);
    kubectl.soon("logs keeper-0 -c looker", "seen");
    kubectl.ok("exec keeper-0 -c looker -- echo inside", &["inside"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_keeps_resizes_and_looks_into_pods() {
    with_kubectl(FILES, cluster, keeps).await;
}
