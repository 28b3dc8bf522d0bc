//! The built-in objects of real manifests: good once defaults are filled in, and filling them in again changes nothing.

use super::*;
use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v1 as autoscaling, batch::v1 as batch, core::v1 as core,
    networking::v1 as networking, policy::v1 as policy, storage::v1 as storage,
};
use std::path::{Path, PathBuf};

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

/// Every document of every manifest; none where the shared folder is absent.
fn documents() -> Vec<(PathBuf, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/manifests");
    let mut found = Vec::new();
    if root.exists() {
        files(&root, &mut found);
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        documents.into_iter().map(move |document| (path.clone(), document)).collect::<Vec<_>>()
    };
    found.into_iter().flat_map(read).collect()
}

fn check_good<K: Ruled + DeserializeOwned + Clone + PartialEq + std::fmt::Debug>(path: &Path, document: Value) {
    let rules = rules_of::<K>();
    let mut object: K = typed(document);
    (rules.default)(&mut object);
    let once = object.clone();
    (rules.default)(&mut object);
    assert_eq!(object, once, "{path:?} {}", K::KIND);
    (rules.prepare_create)(&mut object);
    let errors = (rules.validate)(&object);
    assert!(errors.is_empty(), "{path:?} {}: {errors}", K::KIND);
}

#[test]
fn manifests_are_good_and_defaults_settle() {
    let mut checked = 0;
    for (path, document) in documents() {
        let of = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
        let check: fn(&Path, Value) = match (of("apiVersion").as_str(), of("kind").as_str()) {
            ("v1", "Pod") => check_good::<core::Pod>,
            ("v1", "Service") => check_good::<core::Service>,
            ("v1", "ServiceAccount") => check_good::<core::ServiceAccount>,
            ("v1", "ConfigMap") => check_good::<core::ConfigMap>,
            ("v1", "Secret") => check_good::<core::Secret>,
            ("v1", "Namespace") => check_good::<core::Namespace>,
            ("v1", "PersistentVolume") => check_good::<core::PersistentVolume>,
            ("v1", "PersistentVolumeClaim") => check_good::<core::PersistentVolumeClaim>,
            ("v1", "ReplicationController") => check_good::<core::ReplicationController>,
            ("apps/v1", "Deployment") => check_good::<apps::Deployment>,
            ("apps/v1", "ReplicaSet") => check_good::<apps::ReplicaSet>,
            ("apps/v1", "StatefulSet") => check_good::<apps::StatefulSet>,
            ("apps/v1", "DaemonSet") => check_good::<apps::DaemonSet>,
            ("batch/v1", "Job") => check_good::<batch::Job>,
            ("batch/v1", "CronJob") => check_good::<batch::CronJob>,
            ("networking.k8s.io/v1", "Ingress") => check_good::<networking::Ingress>,
            ("networking.k8s.io/v1", "NetworkPolicy") => check_good::<networking::NetworkPolicy>,
            ("policy/v1", "PodDisruptionBudget") => check_good::<policy::PodDisruptionBudget>,
            ("autoscaling/v1", "HorizontalPodAutoscaler") => check_good::<autoscaling::HorizontalPodAutoscaler>,
            ("storage.k8s.io/v1", "StorageClass") => check_good::<storage::StorageClass>,
            _ => continue,
        };
        check(&path, document);
        checked += 1;
    }
    println!("{checked} objects checked");
    assert!(checked == 0 || checked > 80, "only {checked} objects found");
}
