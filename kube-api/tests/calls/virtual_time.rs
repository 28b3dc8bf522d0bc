//! Webhooks as functions of the program, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use coracle_api::outbound::InProcess;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cluster::{Cluster, POD};
use crate::hooks::{allow, patch};

fn configuration(kind: &str, webhooks: &[(&str, &str)]) -> String {
    let webhooks = webhooks.iter().map(|(host, policy)| {
        json!({
            "name": format!("{host}.example.com"), "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": format!("https://{host}/path")}, "failurePolicy": policy, "timeoutSeconds": 7,
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        })
    });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
        "metadata": {"name": kind.to_lowercase()}, "webhooks": webhooks.collect::<Vec<_>>(),
    })
    .to_string()
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_hangs_costs_no_time() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let outbound = InProcess::default()
        .host("hangs", |_: Request<Bytes>| std::future::pending::<Response<Bytes>>())
        .host("labels", move |request: Request<Bytes>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let review: Value = serde_json::from_slice(request.body()).unwrap();
            let answer = allow(&review, patch(json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}])));
            std::future::ready(Response::new(Bytes::from(answer.to_string())))
        });
    let cluster = Cluster::calling(Arc::new(outbound)).await;
    cluster.create(&configuration("Mutating", &[("labels", "Fail"), ("hangs", "Ignore")])).await.good();
    let start = Instant::now();
    let pod = cluster.create(POD).await.good();
    assert_eq!((&pod["metadata"]["labels"]["a"], calls.load(Ordering::Relaxed)), (&json!("b"), 1));
    assert_eq!(start.elapsed().as_secs(), 7, "as long as the webhook may take, in the cluster's time");
    cluster.create(&configuration("Validating", &[("hangs", "Fail"), ("nobody", "Fail")])).await.good();
    let (code, message) = cluster.create(&POD.replace("web", "other")).await.refused();
    let expected = "Internal error occurred: failed calling webhook \"hangs.example.com\": failed to call webhook: Post \
                    \"https://hangs:443/path?timeout=7s\": context deadline exceeded";
    assert_eq!((code, &*message), (500, expected));
}
