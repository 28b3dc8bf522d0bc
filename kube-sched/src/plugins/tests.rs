//! One table per plugin: nodes, placed pods and a pod, and what each node says.

use serde_json::{Value, json};

use crate::testing::{cluster, pod, pod_with};
use crate::{Framework, explain};

/// What each node says, in the order of the nodes: `ok` or all rejections.
#[track_caller]
fn check(nodes: &[&str], placed: &[&str], asks: &str, spec: Value, expected: &[&str]) {
    let placed: Vec<_> = placed.iter().map(|text| pod(text)).collect();
    let mut cluster = cluster(nodes, &placed);
    let asking = cluster.read(pod_with(asks, spec));
    let explanation = explain(&Framework::new(0), &asking, &cluster);
    let said = |name: &str| {
        let node = explanation.nodes.iter().find(|node| &*node.node == name).unwrap();
        match &node.verdict {
            Ok(_) => "ok".to_owned(),
            Err(rejections) => rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    };
    let names = nodes.iter().map(|node| node.split_whitespace().next().unwrap());
    assert_eq!(names.map(said).collect::<Vec<_>>(), expected);
}

/// The scores of one plugin, in the order of the nodes.
#[track_caller]
fn rate(plugin: &str, nodes: &[&str], placed: &[&str], asks: &str, spec: Value, expected: &[i64]) {
    let placed: Vec<_> = placed.iter().map(|text| pod(text)).collect();
    let mut cluster = cluster(nodes, &placed);
    let asking = cluster.read(pod_with(asks, spec));
    let explanation = explain(&Framework::new(0), &asking, &cluster);
    let score = |name: &str| {
        let node = explanation.nodes.iter().find(|node| &*node.node == name).unwrap();
        let parts = &node.verdict.as_ref().unwrap().parts;
        parts.iter().find(|(part, ..)| *part == plugin).map(|(_, _, score)| *score)
    };
    let names = nodes.iter().map(|node| node.split_whitespace().next().unwrap());
    assert_eq!(names.filter_map(score).collect::<Vec<_>>(), expected);
}

#[test]
fn fit_rejects_what_has_no_room() {
    let nodes = ["n1 cpu=1 memory=1Gi pods=2", "n2 cpu=4 memory=1Gi pods=1", "n3 cpu=4 memory=4Gi gpu.io/gpu=2"];
    let placed = ["a on=n1 cpu=500m", "b on=n2 memory=512Mi", "c on=n3 gpu.io/gpu=1 cpu=3"];
    check(&nodes, &placed, "p", json!({}), &["ok", "NodeResourcesFit: Too many pods", "ok"]);
    check(
        &nodes,
        &placed,
        "p cpu=501m memory=600Mi",
        json!({}),
        &["NodeResourcesFit: Insufficient cpu", "NodeResourcesFit: Too many pods, Insufficient memory", "ok"],
    );
    check(
        &nodes,
        &placed,
        "p gpu.io/gpu=2",
        json!({}),
        &[
            "NodeResourcesFit: Insufficient gpu.io/gpu",
            "NodeResourcesFit: Too many pods, Insufficient gpu.io/gpu",
            "NodeResourcesFit: Insufficient gpu.io/gpu",
        ],
    );
    check(
        &["n1 ephemeral-storage=1Gi"],
        &[],
        "p ephemeral-storage=2Gi",
        json!({}),
        &["NodeResourcesFit: Insufficient ephemeral-storage"],
    );
    // What a node has too much of already does not matter to a pod that asks nothing of it.
    check(&["n1 cpu=1"], &["a on=n1 cpu=2"], "p memory=1Gi", json!({}), &["ok"]);
}

#[test]
fn fit_is_for_good_only_if_the_whole_node_is_too_small() {
    let mut cluster = cluster(&["n1 cpu=1", "n2 cpu=2"], &[pod("a on=n2 cpu=1500m")]);
    let asking = cluster.read(pod("p cpu=2"));
    let explanation = explain(&Framework::new(0), &asking, &cluster);
    let resolvable = |node: &crate::explain::NodeVerdict| node.verdict.as_ref().unwrap_err()[0].resolvable;
    assert_eq!(explanation.nodes.iter().map(resolvable).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn least_allocated_counts_what_is_left() {
    // The examples of upstream's table: 4000m and 10000 bytes, (4000 - 3000) / 4000 = 25, (10000 - 5000) / 10000 = 50.
    let nodes = ["n1 cpu=4 memory=10000", "n2 cpu=6 memory=10000"];
    rate("NodeResourcesFit", &nodes, &[], "p cpu=3 memory=5000", json!({}), &[37, 50]);
    rate(
        "NodeResourcesFit",
        &nodes,
        &["a on=n1 cpu=3 memory=0", "b on=n2 cpu=3 memory=5000"],
        "p cpu=0 memory=0",
        json!({}),
        &[62, 50],
    );
    // More than there is scores zero; an open request counts as 100m and 200 MiB.
    rate("NodeResourcesFit", &["n1 cpu=1 memory=1Gi"], &[], "p", json!({}), &[(90 + 80) / 2]);
    rate("NodeResourcesFit", &["n1 cpu=1 memory=100Mi"], &[], "p", json!({}), &[45]);
}

#[test]
fn balanced_allocation_prefers_what_evens_out() {
    let plugin = "NodeResourcesBalancedAllocation";
    let nodes = ["n1 cpu=4 memory=4000", "n2 cpu=4 memory=4000"];
    // Even before and after; then 1 - |0.5 - 0| / 2 = 75 becomes 100: 50 + (50 + 25) / 2 = 87.
    rate(plugin, &nodes, &["a on=n2 cpu=2 memory=2000"], "p cpu=1 memory=1000", json!({}), &[75, 75]);
    rate(plugin, &nodes, &["a on=n2 cpu=2"], "p memory=2000", json!({}), &[50 + (50 + 75 - 100) / 2, 87]);
    rate(plugin, &nodes, &[], "p", json!({}), &[]);
}

#[test]
fn taints_keep_away_and_soft_ones_put_off() {
    let nodes = ["n1", "n2 taint:a=b:NoSchedule", "n3 taint:a:NoExecute", "n4 taint:soft:PreferNoSchedule"];
    let untolerated = "TaintToleration: node(s) had untolerated taint(s)";
    check(&nodes, &[], "p", json!({}), &["ok", untolerated, untolerated, "ok"]);
    let tolerations = |list: Value| json!({"tolerations": list});
    let exists = json!([{"key": "a", "operator": "Exists"}]);
    check(&nodes, &[], "p", tolerations(exists), &["ok", "ok", "ok", "ok"]);
    let equal = json!([{"key": "a", "value": "b", "effect": "NoSchedule"}]);
    check(&nodes, &[], "p", tolerations(equal), &["ok", "ok", untolerated, "ok"]);
    check(&nodes, &[], "p", tolerations(json!([{"operator": "Exists"}])), &["ok", "ok", "ok", "ok"]);
    check(
        &nodes,
        &[],
        "p",
        tolerations(json!([{"key": "a", "operator": "Other"}])),
        &["ok", untolerated, untolerated, "ok"],
    );

    let soft = ["n1", "n2 taint:a:PreferNoSchedule", "n3 taint:a:PreferNoSchedule taint:b:PreferNoSchedule"];
    rate("TaintToleration", &soft, &[], "p", json!({}), &[100, 50, 0]);
    let hard_only = json!([{"key": "a", "operator": "Exists", "effect": "NoSchedule"}]);
    rate("TaintToleration", &soft, &[], "p", tolerations(hard_only), &[100, 50, 0]);
    rate("TaintToleration", &soft, &[], "p", tolerations(json!([{"operator": "Exists"}])), &[100, 100, 100]);
}

#[test]
fn closed_nodes_take_only_who_tolerates_that() {
    let unschedulable = "NodeUnschedulable: node(s) were unschedulable";
    check(&["n1 closed", "n2"], &[], "p", json!({}), &[unschedulable, "ok"]);
    let tolerations = json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]);
    check(&["n1 closed", "n2"], &[], "p", json!({"tolerations": tolerations}), &["ok", "ok"]);
}

#[test]
fn node_affinity_chooses_by_label_and_name() {
    let unmatched = "NodeAffinity: node(s) didn't match Pod's node affinity/selector";
    let nodes = ["n1 zone:a cores:8", "n2 zone:b", "n3"];
    check(&nodes, &[], "p", json!({"nodeSelector": {"zone": "a"}}), &["ok", unmatched, unmatched]);
    let required = |terms: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
    let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    for (terms, expected) in [
        (json!([expression("zone", "In", json!(["a", "b"]))]), ["ok", "ok", unmatched]),
        (json!([expression("zone", "NotIn", json!(["a"]))]), [unmatched, "ok", "ok"]),
        (json!([expression("zone", "Exists", json!([]))]), ["ok", "ok", unmatched]),
        (json!([expression("zone", "DoesNotExist", json!([]))]), [unmatched, unmatched, "ok"]),
        (json!([expression("cores", "Gt", json!(["4"]))]), ["ok", unmatched, unmatched]),
        (json!([expression("cores", "Lt", json!(["8"]))]), [unmatched, unmatched, unmatched]),
        (
            json!([expression("zone", "In", json!(["a"])), expression("zone", "In", json!(["b"]))]),
            ["ok", "ok", unmatched],
        ),
        (json!([{}]), [unmatched; 3]),
        (json!([]), [unmatched; 3]),
        (
            json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]),
            [unmatched, "ok", unmatched],
        ),
        (
            json!([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n2"]}]}]),
            ["ok", unmatched, "ok"],
        ),
    ] {
        check(&nodes, &[], "p", required(terms), &expected);
    }
    let preferred = json!([
        {"weight": 10, "preference": expression("zone", "In", json!(["a"]))},
        {"weight": 20, "preference": expression("zone", "Exists", json!([]))},
        {"weight": 90, "preference": {}},
    ]);
    let spec = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}});
    rate("NodeAffinity", &nodes, &[], "p", spec, &[100, 66, 0]);
}

#[test]
fn host_ports_serve_one_pod() {
    let taken = "NodePorts: node(s) didn't have free ports for the requested pod ports";
    check(&["n1", "n2"], &["a on=n1 port=80"], "p port=80", json!({}), &[taken, "ok"]);
    check(&["n1", "n2"], &["a on=n1 port=80"], "p port=81", json!({}), &["ok", "ok"]);
}

#[test]
fn images_that_are_there_attract() {
    // 250 MB on one of two nodes counts half: 100 * (125 - 23) / (1000 - 23) = 10.
    let nodes = ["n1 image:web:latest=250", "n2 image:other:1=1000"];
    rate("ImageLocality", &nodes, &[], "p image=web", json!({}), &[10, 0]);
    rate("ImageLocality", &nodes, &[], "p image=web:2", json!({}), &[]);
    rate("ImageLocality", &["n1 image:web:1=4000", "n2"], &[], "p image=web:1", json!({}), &[100, 0]);
}
