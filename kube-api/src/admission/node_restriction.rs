//! A node changes nothing but itself and what runs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{AnyResource, GroupResource, Status};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};

use super::{Admission, Attributes, Operation};
use crate::auth::node::{self, References};

const LEASES: &str = "kube-node-lease";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Labels of Kubernetes' own that a node may give itself.
const OWN_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];
/// Domains, and those below them, whose labels a node may give itself.
const OWN_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Source: `plugin/pkg/admission/noderestriction`.
#[derive(Clone, Copy, Debug)]
pub struct NodeRestriction;

#[async_trait]
impl Admission for NodeRestriction {
    fn name(&self) -> &'static str {
        "NodeRestriction"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.operation != Operation::Connect && node::is_node(attributes.user)
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let node = node::name_of(attributes.user).unwrap_or("");
        if node.is_empty() {
            let why = format!("could not determine node from user {:?}", attributes.user.name);
            return Err(attributes.forbid(why));
        }
        let restriction = Restriction { attributes, node, object };
        let resource = attributes.kind.group_resource();
        let verdict = match (&*resource.group, &*resource.resource, &*attributes.target.subresource) {
            ("", "pods", "") => restriction.pod(),
            ("", "pods", "status") => restriction.pod_status(),
            ("", "pods", "eviction") => restriction.eviction(),
            ("", "pods", other) => {
                Err(format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"))
            }
            ("", "nodes", _) => restriction.node(),
            ("", "persistentvolumeclaims", "status") => restriction.claim_status(),
            ("", "persistentvolumeclaims", _) => Err("may only update PVC status".to_owned()),
            ("", "serviceaccounts", "token") => restriction.token()?,
            ("coordination.k8s.io", "leases", _) => restriction.lease(),
            ("storage.k8s.io", "csinodes", _) => restriction.named_like_node("CSINode"),
            _ => Ok(()),
        };
        verdict.map_err(|why| attributes.forbid(why))
    }
}

/// A change that a node asks for.
struct Restriction<'a> {
    attributes: &'a Attributes<'a>,
    node: &'a str,
    object: Option<&'a dyn AnyResource>,
}

type Verdict = Result<(), String>;

fn need(fine: bool, why: impl FnOnce() -> String) -> Verdict {
    if fine { Ok(()) } else { Err(why()) }
}

impl Restriction<'_> {
    fn body<K: 'static>(&self) -> Option<&K> {
        self.object?.as_any().downcast_ref()
    }

    fn old<K: 'static>(&self) -> Option<&K> {
        self.attributes.old?.get()
    }

    fn pod(&self) -> Verdict {
        let node = self.node;
        match self.attributes.operation {
            Operation::Create => self.mirror_pod(),
            Operation::Delete => need(self.runs_here(self.old()), || {
                format!("node {node:?} can only delete pods with spec.nodeName set to itself")
            }),
            Operation::Update | Operation::Connect => {
                Err(format!("unexpected operation \"UPDATE\", node {node:?} can only create and delete mirror pods"))
            }
        }
    }

    fn runs_here(&self, pod: Option<&Pod>) -> bool {
        pod.and_then(|pod| pod.spec.as_ref()?.node_name.as_deref()) == Some(self.node)
    }

    fn mirror_pod(&self) -> Verdict {
        let node = self.node;
        let Some(pod) = self.body::<Pod>() else { return Ok(()) };
        let mirrors = pod.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR));
        need(mirrors, || {
            format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods")
        })?;
        need(self.runs_here(Some(pod)), || {
            format!("node {node:?} can only create pods with spec.nodeName set to itself")
        })?;
        self.owned_by_node(pod)?;
        let references = References::of(pod);
        let refuse = |what: &str| Err(format!("node {node:?} can not create pods that reference {what}"));
        match references {
            References { service_account, .. } if !service_account.is_empty() => refuse("a service account"),
            References { secrets, .. } if !secrets.is_empty() => refuse("secrets"),
            References { config_maps, .. } if !config_maps.is_empty() => refuse("configmaps"),
            References { trust_bundles: true, .. } => refuse("clustertrustbundles"),
            References { claims, .. } if !claims.is_empty() => refuse("persistentvolumeclaims"),
            _ => Ok(()),
        }
    }

    fn owned_by_node(&self, pod: &Pod) -> Verdict {
        let node = self.node;
        let owner = match pod.metadata.owner_references.as_deref().unwrap_or_default() {
            [owner] if owner.api_version == "v1" && owner.kind == "Node" && owner.name == node => owner,
            [_, _, ..] => {
                return Err(format!("node {node:?} can only create pods with a single owner reference set to itself"));
            }
            _ => return Err(format!("node {node:?} can only create pods with an owner reference set to itself")),
        };
        need(owner.controller == Some(true), || {
            format!("node {node:?} can only create pods with a controller owner reference set to itself")
        })?;
        need(owner.block_owner_deletion != Some(true), || {
            format!("node {node:?} must not set blockOwnerDeletion on an owner reference")
        })?;
        let found = self.attributes.world.get::<Node>("", node).and_then(|node| node.metadata.uid.clone());
        let found = found.unwrap_or_default();
        need(owner.uid == found, || format!("node {node} UID mismatch: expected {} got {found}", owner.uid))
    }

    fn pod_status(&self) -> Verdict {
        let node = self.node;
        let old = self.old::<Pod>();
        need(self.runs_here(old), || {
            format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself")
        })?;
        let (Some(old), Some(new)) = (old, self.body::<Pod>()) else { return Ok(()) };
        let labels = |pod: &Pod| pod.metadata.labels.clone().unwrap_or_default();
        need(labels(old) == labels(new), || format!("node {node:?} cannot update labels through pod status"))?;
        let claims = |pod: &Pod| {
            pod.status.as_ref().and_then(|status| status.resource_claim_statuses.clone()).unwrap_or_default()
        };
        need(claims(old) == claims(new), || format!("node {node:?} cannot update resource claim statues"))
    }

    fn eviction(&self) -> Verdict {
        let target = &self.attributes.target;
        let pod: Option<Arc<Pod>> = self.attributes.world.get(&target.namespace, &target.name);
        need(self.runs_here(pod.as_deref()), || {
            format!("node {} can only evict pods with spec.nodeName set to itself", self.node)
        })
    }

    fn node(&self) -> Verdict {
        let (node, name) = (self.node, self.attributes.name());
        need(name == node, || format!("node {node:?} is not allowed to modify node {name:?}"))?;
        let Some(new) = self.body::<Node>() else { return Ok(()) };
        let old = self.old::<Node>();
        let source = |node: &Node| node.spec.as_ref().and_then(|spec| spec.config_source.clone());
        let forbidden =
            forbidden_labels(new.metadata.labels.as_ref(), old.and_then(|old| old.metadata.labels.as_ref()));
        let Some(old) = old else {
            need(source(new).is_none(), || {
                format!("node {node:?} is not allowed to create pods with a non-nil configSource")
            })?;
            return need(forbidden.is_empty(), || {
                format!("node {node:?} is not allowed to set the following labels: {forbidden}")
            });
        };
        need(source(new).is_none() || source(new) == source(old), || {
            format!("node {node:?} is not allowed to update configSource to a new non-nil configSource")
        })?;
        let taints = |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
        need(taints(new) == taints(old), || format!("node {node:?} is not allowed to modify taints"))?;
        need(forbidden.is_empty(), || format!("is not allowed to modify labels: {forbidden}"))
    }

    fn claim_status(&self) -> Verdict {
        let (Some(old), Some(new)) = (self.old::<PersistentVolumeClaim>(), self.body::<PersistentVolumeClaim>()) else {
            return Ok(());
        };
        let rest = |claim: &PersistentVolumeClaim| {
            let mut claim = claim.clone();
            claim.metadata.resource_version = None;
            claim.metadata.managed_fields = None;
            if let Some(status) = &mut claim.status {
                status.capacity = None;
                status.conditions = None;
                status.allocated_resource_statuses = None;
                status.allocated_resources = None;
            }
            claim
        };
        need(rest(old) == rest(new), || {
            // Upstream appends a dump of the difference.
            let node = self.node;
            format!("node {node:?} is not allowed to update fields other than status.capacity and status.conditions")
        })
    }

    /// Tokens are for pods that run here. The outer error is that there is no such pod.
    fn token(&self) -> Result<Verdict, Status> {
        let Some(request) = self.body::<TokenRequest>() else { return Ok(Ok(())) };
        let bound = request.spec.as_ref().and_then(|spec| spec.bound_object_ref.as_ref());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (name, uid) = bound.map(|bound| (text(&bound.name), text(&bound.uid))).unwrap_or_default();
        let to_pod = bound.is_some_and(|bound| text(&bound.api_version) == "v1" && text(&bound.kind) == "Pod");
        if !to_pod || name.is_empty() {
            return Ok(Err("node requested token not bound to a pod".to_owned()));
        }
        if uid.is_empty() {
            return Ok(Err("node requested token with a pod binding without a uid".to_owned()));
        }
        let pod: Option<Arc<Pod>> = self.attributes.world.get(&self.attributes.target.namespace, &name);
        let pod = pod.ok_or_else(|| Status::not_found(&GroupResource::of::<Pod>(), &name))?;
        let verdict = need(pod.metadata.uid.as_deref() == Some(&uid), || {
            format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been \
                 deleted and then recreated"
            )
        });
        Ok(verdict.and_then(|()| {
            need(self.runs_here(Some(&pod)), || {
                "node requested token bound to a pod scheduled on a different node".to_owned()
            })
        }))
    }

    fn lease(&self) -> Verdict {
        need(self.attributes.target.namespace == LEASES, || {
            format!("can only access leases in the {LEASES:?} system namespace")
        })?;
        self.named_like_node("node lease")
    }

    fn named_like_node(&self, what: &str) -> Verdict {
        need(self.attributes.name() == self.node, || {
            format!("can only access {what} with the same name as the requesting node")
        })
    }
}

type Labels = BTreeMap<String, String>;

/// The labels that differ and are not the node's to give: of Kubernetes' domains, or made to keep nodes apart.
fn forbidden_labels(new: Option<&Labels>, old: Option<&Labels>) -> String {
    let value = |labels: Option<&Labels>, key: &str| labels.and_then(|labels| labels.get(key).cloned());
    let keys: BTreeSet<_> = new.into_iter().chain(old).flat_map(|labels| labels.keys()).collect();
    let changed = keys.into_iter().filter(|key| value(new, key) != value(old, key));
    changed.filter(|key| !is_own_label(key)).map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn is_own_label(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let below = |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    if below("node-restriction.kubernetes.io") {
        return false;
    }
    let of_kubernetes = below("kubernetes.io") || below("k8s.io");
    !of_kubernetes || OWN_LABELS.contains(&key) || OWN_DOMAINS.iter().any(|domain| below(domain))
}
