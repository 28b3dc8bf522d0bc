//! What every namespace has from the start: the service account `default` and the ConfigMap `kube-root-ca.crt`. Source:
//! `pkg/controller/serviceaccount`, `pkg/controller/certificates/rootcacertpublisher`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::{ObjectKey, Request, Resource, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;

/// Gives each namespace its service account `default`, again and again if need be.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceAccounts;

impl Planner for ServiceAccounts {
    type Kind = Namespace;
    type Observed = Option<Arc<ServiceAccount>>;

    fn name(&self) -> &'static str {
        "service-account-controller"
    }

    fn watches(&self, on: &mut Watches<Namespace>) {
        on.map(|account: &ServiceAccount, _| namespace_if_named(account, DEFAULT));
    }

    fn observe(&self, namespace: &Namespace, world: &World) -> Self::Observed {
        world.get(name_of(namespace), DEFAULT)
    }

    fn plan(&self, namespace: &Namespace, account: Self::Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if account.is_none() && is_active(namespace) {
            let metadata = metadata(namespace, DEFAULT);
            plan.then(Request::create(ServiceAccount { metadata, ..ServiceAccount::default() }));
        }
        plan
    }
}

const DEFAULT: &str = "default";

/// Publishes the certificate by which pods know the API server.
#[derive(Clone, Debug)]
pub struct RootCa {
    certificate: String,
}

impl RootCa {
    /// Publishes these certificates, in PEM.
    pub fn new(certificate: impl Into<String>) -> Self {
        Self { certificate: certificate.into() }
    }

    fn config_map(&self, namespace: &Namespace, known: Option<&ConfigMap>) -> ConfigMap {
        let mut config_map = known.cloned().unwrap_or_default();
        if known.is_none() {
            config_map.metadata = metadata(namespace, ROOT_CA);
        }
        config_map.data = Some(BTreeMap::from([("ca.crt".to_owned(), self.certificate.clone())]));
        // Somebody may have described it better.
        let annotations = config_map.metadata.annotations.get_or_insert_default();
        let description = annotations.entry("kubernetes.io/description".to_owned()).or_default();
        if description.is_empty() {
            DESCRIPTION.clone_into(description);
        }
        config_map
    }
}

impl Planner for RootCa {
    type Kind = Namespace;
    type Observed = Option<Arc<ConfigMap>>;

    fn name(&self) -> &'static str {
        "root-ca-certificate-publisher-controller"
    }

    fn watches(&self, on: &mut Watches<Namespace>) {
        on.map(|config_map: &ConfigMap, _| namespace_if_named(config_map, ROOT_CA));
    }

    fn observe(&self, namespace: &Namespace, world: &World) -> Self::Observed {
        world.get(name_of(namespace), ROOT_CA)
    }

    fn plan(&self, namespace: &Namespace, known: Self::Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if !is_active(namespace) {
            return plan;
        }
        let wanted = self.config_map(namespace, known.as_deref());
        match known {
            None => {
                plan.then(Request::create(wanted));
            }
            Some(known) if *known != wanted => {
                plan.then(Request::update(wanted));
            }
            Some(_) => {}
        }
        plan
    }
}

const ROOT_CA: &str = "kube-root-ca.crt";

/// Source: rootcacertpublisher `Description`.
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

fn metadata(namespace: &Namespace, name: &str) -> ObjectMeta {
    let namespace = namespace.metadata.name.clone();
    ObjectMeta { name: Some(name.to_owned()), namespace, ..ObjectMeta::default() }
}

fn name_of(namespace: &Namespace) -> &str {
    namespace.metadata.name.as_deref().unwrap_or("")
}

fn is_active(namespace: &Namespace) -> bool {
    let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
    namespace.metadata.deletion_timestamp.is_none() && phase != Some("Terminating")
}

fn namespace_if_named<K: Resource>(object: &K, name: &str) -> Vec<ObjectKey> {
    let metadata = object.metadata();
    let namespace = metadata.namespace.as_deref().filter(|_| metadata.name.as_deref() == Some(name));
    namespace.map(|namespace| ObjectKey::new("", namespace)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::Small;

    #[test]
    fn every_namespace_has_its_objects_and_gets_them_back() {
        let mut small = Small::new("{kind: Namespace, metadata: {name: default}}");
        let root_ca = RootCa::new("PEM");
        expect![[r#"
            create serviceaccount default/default
            create configmap default/kube-root-ca.crt
        "#]]
        .assert_eq(&(small.step(&ServiceAccounts, "default") + &small.step(&root_ca, "default")));
        assert_eq!(small.step(&ServiceAccounts, "default") + &small.step(&root_ca, "default"), "");
        small.edit::<ConfigMap>(ROOT_CA, |config_map| config_map.data = None);
        expect![[r#"
            update configmap default/kube-root-ca.crt data.ca.crt=PEM
        "#]]
        .assert_eq(&small.step(&root_ca, "default"));
        assert_eq!(small.step(&root_ca, "default"), "");
        let describe = |config_map: &mut ConfigMap| {
            config_map.metadata.annotations.as_mut().unwrap().values_mut().for_each(|text| *text = "mine".to_owned());
        };
        assert_eq!(small.edit(ROOT_CA, describe).step(&root_ca, "default"), "");
        small.edit::<Namespace>("default", |it| {
            it.status.get_or_insert_default().phase = Some("Terminating".to_owned())
        });
        assert!(small.plan(&RootCa::new("other"), "default").is_empty());
    }
}
