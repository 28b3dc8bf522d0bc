//! The real `kubectl` reaches into pods: exec, attach, cp, port-forward, proxies. The rest of its tour is in `tests/clients/`. Needs
//! `kubectl` on the PATH; says so if it is missing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coracle::k8s_openapi::api::core::v1::Taint;
use coracle::node::runtimes::{FunctionContext, FunctionRuntime, ProcessRuntime};
use coracle::{Cluster, Node};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

struct Kubectl {
    kubeconfig: PathBuf,
    directory: PathBuf,
}

impl Kubectl {
    /// What a command prints, both streams. Panics if it ends otherwise than expected.
    fn run(&self, line: &str, succeeds: bool) -> String {
        self.run_with(line, succeeds, "")
    }

    /// The same of a command that reads something.
    fn run_with(&self, line: &str, succeeds: bool, input: &str) -> String {
        let (stdin, mut writer) = std::io::pipe().unwrap();
        let input = input.to_owned();
        // It may end without having read everything.
        let writing = std::thread::spawn(move || drop(writer.write_all(input.as_bytes())));
        let output = self.command("timeout 60 kubectl", line).stdin(stdin).output().unwrap();
        writing.join().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.success(), succeeds, "kubectl {line}\n{text}");
        text
    }

    fn command(&self, program: &str, line: &str) -> Command {
        let mut words = program.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(line.split_whitespace().map(|word| word.replace('~', " ")));
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.directory);
        command.env("HOME", &self.directory).current_dir(&self.directory);
        command
    }

    /// A command that succeeds and prints all of these.
    fn ok(&self, line: &str, expected: &[&str]) {
        let text = self.run(line, true);
        for part in expected {
            assert!(text.contains(part), "kubectl {line}\nlacks {part:?}\n{text}");
        }
    }

    /// A command that fails and prints this.
    fn refused(&self, line: &str, expected: &str) {
        let text = self.run(line, false);
        assert!(text.contains(expected), "kubectl {line}\nlacks {expected:?}\n{text}");
    }
}

/// A cluster of processes and functions, and the client on a thread of its own, where it may block.
async fn with_kubectl(name: &str, act: fn(&Kubectl)) {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("kubectl is not installed: this test did not run");
        return;
    }
    let directory = std::env::temp_dir().join(format!("coracle-kubectl-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("streams.yaml"), STREAMS).unwrap();
    std::fs::write(directory.join("keeper.yaml"), KEEPER).unwrap();
    let builder = Cluster::builder().serve("127.0.0.1:0".parse().unwrap()).local_volumes(directory.join("volumes"));
    let builder = builder.node(Node::new("local", ProcessRuntime::new().unwrap()));
    let functions = Node::new("functions", FunctionRuntime::new().with("greeter", greeter));
    let taint = Taint { key: "functions".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    let cluster = builder.node(functions.taint(taint)).start().await.unwrap();
    let kubectl = Kubectl { kubeconfig: directory.join("kubeconfig"), directory: directory.clone() };
    cluster.write_kubeconfig(&kubectl.kubeconfig).unwrap();
    check_private(&kubectl.kubeconfig);
    tokio::task::spawn_blocking(move || act(&kubectl)).await.unwrap();
    assert_eq!(cluster.shutdown().await.left, 0);
    std::fs::remove_dir_all(directory).unwrap();
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
    let mut command = kubectl.command("kubectl", "port-forward pod/greeter :http");
    let mut forwarding = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
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
    forwarding.kill().unwrap();
    forwarding.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_reaches_into_pods() {
    with_kubectl("streams", streams).await;
}

/// What a pod wrote is there when it comes back; a person looks into it, and gives it more.
fn keeps(kubectl: &Kubectl) {
    kubectl.ok("apply -f keeper.yaml", &["statefulset.apps/keeper created"]);
    kubectl.ok("rollout status statefulset/keeper --timeout=60s", &["complete"]);
    kubectl.ok("get pvc data-keeper-0", &["Bound"]);
    assert_eq!(kubectl.run("exec keeper-0 -- cat /data/starts", true), "started\n");
    kubectl.ok("delete pod keeper-0", &["deleted"]);
    kubectl.ok("rollout status statefulset/keeper --timeout=60s", &["complete"]);
    kubectl.ok("wait --for=condition=Ready pod/keeper-0 --timeout=60s", &["condition met"]);
    assert_eq!(kubectl.run("exec keeper-0 -- cat /data/starts", true), "started\nstarted\n");

    let resources = r#"{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"20m"}}}]}}"#;
    kubectl.ok(&format!("patch pod keeper-0 --subresource resize --patch {resources}"), &["patched"]);
    let given = "jsonpath={.status.containerStatuses[0].resources.requests.cpu}";
    kubectl.ok(&format!("wait --for={given}=20m pod/keeper-0 --timeout=60s"), &["condition met"]);
    kubectl.ok("get events", &["ResizeCompleted"]);

    kubectl.ok("debug keeper-0 --image=example -c looker -- sh -c echo~seen;~sleep~1000", &[]);
    let looks = "jsonpath={.status.ephemeralContainerStatuses[0].state.running}";
    kubectl.ok(&format!("wait --for={looks} pod/keeper-0 --timeout=60s"), &["condition met"]);
    kubectl.ok("logs keeper-0 -c looker", &["seen"]);
    kubectl.ok("exec keeper-0 -c looker -- echo inside", &["inside"]);
    kubectl.ok("delete statefulset keeper", &["deleted"]);
    kubectl.ok("wait --for=delete pod/keeper-0 --timeout=60s", &[]);
    kubectl.ok("get pvc data-keeper-0", &["Bound"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_keeps_resizes_and_looks_into_pods() {
    with_kubectl("keeps", keeps).await;
}

fn check_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}
