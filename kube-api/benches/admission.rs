//! What admission adds to a create: `cargo bench -p coracle-api --bench admission`.
//!
//! Each create is a dry run, so the store plays no part and nothing piles up.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;

use coracle_api::{Ledger, Pipeline, Settings, admission};
use coracle_core::{Clock, Entropy, Gateway, Kinds, Options, Request, Resource};
use coracle_store::Memory;
use divan::Bencher;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }
}

fn read<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

struct Cluster {
    runtime: Runtime,
    pipeline: Pipeline,
}

impl Cluster {
    fn start(chain: Vec<Box<dyn coracle_api::Admission>>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ledger = runtime.block_on(Ledger::open(Arc::new(Memory::default()), Kinds::builtin())).unwrap();
        let settings = Settings { clock: Arc::new(Still), entropy: Arc::new(Entropy::seeded(1)), admission: chain };
        let cluster = Self { runtime, pipeline: Pipeline::new(ledger, settings) };
        cluster.create::<Namespace>(json!({"metadata": {"name": "default", "labels": {"team": "a"}}}));
        cluster.create::<ServiceAccount>(json!({"metadata": {"name": "default", "namespace": "default"}}));
        cluster
    }

    fn create<K: Resource + DeserializeOwned>(&self, object: Value) {
        self.runtime.block_on(self.pipeline.execute(Request::create(read::<K>(object)))).unwrap();
    }

    /// Policies about creates of one kind, each with its binding.
    fn policies(&self, count: usize, resource: &str) {
        for number in 0..count {
            let matched = json!({"resourceRules": [
                {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]},
            ]});
            let spec = json!({
                "matchConstraints": matched,
                "variables": [{"name": "size", "expression": "int(object.data.size)"}],
                "validations": [
                    {"expression": "variables.size < 10"},
                    {"expression": "object.metadata.name.matches('^[a-z-]+$')"},
                ],
            });
            let name = format!("p{number}");
            self.create::<ValidatingAdmissionPolicy>(json!({"metadata": {"name": name}, "spec": spec}));
            let spec = json!({"policyName": name, "validationActions": ["Deny"]});
            self.create::<ValidatingAdmissionPolicyBinding>(json!({"metadata": {"name": name}, "spec": spec}));
        }
    }

    fn measure(&self, bencher: Bencher<'_, '_>) {
        let map: ConfigMap =
            read(json!({"metadata": {"name": "web", "namespace": "default"}, "data": {"size": "5", "a": "b"}}));
        bencher.bench_local(|| {
            let mut request = Request::create(map.clone());
            request.options = Options { dry_run: true, ..request.options };
            self.runtime.block_on(self.pipeline.execute(request)).unwrap()
        });
    }
}

/// Without any plugin.
#[divan::bench]
fn no_chain(bencher: Bencher<'_, '_>) {
    Cluster::start(Vec::new()).measure(bencher);
}

/// All built-in plugins, and policies that look at each create.
#[divan::bench(args = [0, 10, 100])]
fn policies_that_judge(bencher: Bencher<'_, '_>, count: usize) {
    let cluster = Cluster::start(admission::builtin());
    cluster.policies(count, "configmaps");
    cluster.measure(bencher);
}

/// Policies about something else.
#[divan::bench(args = [10, 100])]
fn policies_about_others(bencher: Bencher<'_, '_>, count: usize) {
    let cluster = Cluster::start(admission::builtin());
    cluster.policies(count, "secrets");
    cluster.measure(bencher);
}

/// Policies that each set a label.
#[divan::bench(args = [1, 10])]
fn policies_that_change(bencher: Bencher<'_, '_>, count: usize) {
    let cluster = Cluster::start(admission::builtin());
    for number in 0..count {
        let matched = json!({"resourceRules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]},
        ]});
        let name = format!("p{number}");
        let expression = format!("Object{{metadata: Object.metadata{{labels: {{'l{number}': 'x'}}}}}}");
        let mutation = json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}});
        let spec = json!({"matchConstraints": matched, "mutations": [mutation], "reinvocationPolicy": "Never"});
        cluster.create::<MutatingAdmissionPolicy>(json!({"metadata": {"name": name}, "spec": spec}));
        let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name}});
        cluster.create::<MutatingAdmissionPolicyBinding>(binding);
    }
    cluster.measure(bencher);
}
