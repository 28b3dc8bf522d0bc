//! What is recorded of requests over the network.

use std::sync::{Arc, Mutex};

use coracle_api::audit::{Audit, LogFile, Policy, Record, Sink};
use coracle_api::http::Caller;
use serde_json::{Value, json};

use crate::harness::Cluster;

#[derive(Default)]
struct Kept(Mutex<Vec<Value>>);

impl Sink for Kept {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap().push(serde_json::to_value(record).unwrap());
    }
}

const POLICY: &str = "
rules:
- {level: None, nonResourceURLs: ['/version']}
- {level: RequestResponse, verbs: [create, watch, delete], omitManagedFields: true}
- {level: Metadata, omitStages: [RequestReceived]}
";

async fn audited(sink: Arc<dyn Sink>) -> Cluster {
    let policy: Policy = serde_saphyr::from_str(POLICY).unwrap();
    let users = coracle_api::auth::StaticTokens(
        [(
            "t".to_owned(),
            coracle_core::User {
                name: "root".to_owned(),
                groups: vec!["system:masters".to_owned()],
                ..coracle_core::User::default()
            },
        )]
        .into(),
    );
    Cluster::with(Arc::new(coracle_store::Memory::default()), |server| {
        server.with_authenticator(users).with_audit(Audit::new(policy, sink))
    })
    .await
}

async fn ask(cluster: &Cluster, token: &str, method: &str, path: &str, body: Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let token = format!("Bearer {token}");
    let mut headers = vec![("authorization", &*token), ("content-type", "application/json")];
    headers.extend(path.contains("jane").then_some(("impersonate-user", "jane")));
    let answer = cluster.send_as(Caller::Remote(None), method, path, &headers, body).await;
    json!({"code": answer.status().as_u16(), "id": answer.headers().get("audit-id").map(|id| id.to_str().unwrap())})
}

#[tokio::test]
async fn records_say_who_asked_what_and_how_it_ended() {
    let kept = Arc::new(Kept::default());
    let cluster = audited(kept.clone()).await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}});
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hunter2"}});
    let created = ask(&cluster, "t", "POST", maps, map).await;
    ask(&cluster, "t", "POST", "/api/v1/namespaces/default/secrets", secret).await;
    ask(&cluster, "t", "GET", "/version", Value::Null).await;
    ask(&cluster, "wrong", "GET", maps, Value::Null).await;
    ask(&cluster, "t", "GET", &format!("{maps}/jane"), Value::Null).await;

    let records = std::mem::take(&mut *kept.0.lock().unwrap());
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            let text = |pointer: &str| {
                record.pointer(pointer).map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned))
            };
            [
                text("/stage"),
                text("/verb"),
                text("/user/username"),
                text("/impersonatedUser/username"),
                text("/objectRef/resource"),
                text("/responseStatus/code"),
                text("/annotations/authorization.k8s.io~1decision"),
            ]
            .map(Option::unwrap_or_default)
            .join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "RequestReceived create root  configmaps  ",
            "ResponseComplete create root  configmaps 201 allow",
            "RequestReceived create root  secrets  ",
            "ResponseComplete create root  secrets 201 allow",
            "ResponseComplete list   configmaps 401 ",
            "ResponseComplete get root jane configmaps 403 forbid",
        ]
    );
    assert_eq!(records[1]["auditID"], created["id"]);
    assert_eq!(records[1]["requestObject"]["data"], json!({"a": "b"}));
    assert_eq!(records[1]["responseObject"]["metadata"]["name"], "m");
    assert_eq!(records[5]["responseStatus"]["reason"], "Forbidden");
    assert!(!format!("{records:?}").contains("hunter2") && !format!("{records:?}").contains("managedFields"));
}

#[tokio::test]
async fn a_log_file_turns_over() {
    let folder = std::env::temp_dir().join(format!("coracle-audit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("audit.log");
    let cluster = audited(Arc::new(LogFile::open(&path, 1500, 2).unwrap())).await;
    for _ in 0..6 {
        ask(&cluster, "t", "GET", "/api/v1/namespaces/default/configmaps", Value::Null).await;
    }
    let mut names: Vec<_> =
        folder.read_dir().unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["audit.log", "audit.log.1", "audit.log.2"]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["kind"] == "Event"));
    std::fs::remove_dir_all(folder).unwrap();
}
