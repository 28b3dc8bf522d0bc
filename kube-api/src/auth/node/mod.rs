//! What nodes may do: read what the pods on them need, and write about themselves and those pods.
//!
//! Upstream keeps a graph of which object leads to which node. Here the world already knows the pods on a node, and a node has
//! few: each decision looks through those.
//!
//! Source: `plugin/pkg/auth/authorizer/node`.

mod references;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use coracle_core::rbac::{self, Access, Place, What};
use coracle_core::selector::FieldSelector;
use coracle_core::{Feed, User, World};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::api::resource::v1::ResourceSlice;
use k8s_openapi::api::storage::v1::VolumeAttachment;

pub use references::References;
use references::volume_secrets;

use super::authorizer::{Authorizer, Decision};

const LEASES: &str = "kube-node-lease";

/// Whether a user is a node.
#[must_use]
pub fn is_node(user: &User) -> bool {
    user.groups.iter().any(|group| group == "system:nodes") && name_of(user).is_some()
}

/// The name of the node that a user is.
#[must_use]
pub fn name_of(user: &User) -> Option<&str> {
    user.name.strip_prefix("system:node:")
}

/// Allows nodes what they need; has no say about others.
#[derive(Clone, Debug)]
pub struct Nodes(Arc<Feed>);

impl Nodes {
    /// Decides by the pods of a running world.
    #[must_use]
    pub const fn new(feed: Arc<Feed>) -> Self {
        Self(feed)
    }
}

#[async_trait]
impl Authorizer for Nodes {
    async fn authorize(&self, user: &User, access: &Access<'_>) -> Decision {
        if !is_node(user) {
            return Decision::Deny(String::new());
        }
        let name = name_of(user).unwrap_or("");
        if name.is_empty() {
            return Decision::Deny(format!("unknown node for user {:?}", user.name));
        }
        let world = self.0.world();
        match (Asker { world: &world, node: name, access }).decide() {
            Ok(()) => Decision::Allow(String::new()),
            Err(why) => Decision::Deny(why),
        }
    }
}

/// A node that asks for something.
struct Asker<'a> {
    world: &'a World,
    node: &'a str,
    access: &'a Access<'a>,
}

type Verdict = Result<(), String>;

fn need(fine: bool, why: impl Into<String>) -> Verdict {
    if fine { Ok(()) } else { Err(why.into()) }
}

impl Asker<'_> {
    fn decide(&self) -> Verdict {
        let What::Resource(place) = self.access.what else { return self.by_rules() };
        match (place.group, place.resource) {
            ("", "secrets") => self.read(&place, |it, place| it.secret(place)),
            ("", "configmaps") => self.read(&place, |it, place| it.pod(place, |uses| &uses.config_maps)),
            ("", "persistentvolumeclaims") if place.subresource == "status" => {
                need(matches!(self.access.verb, "update" | "patch"), "can only get/update/patch this type")?;
                self.related(&place, |it, place| it.pod(place, |uses| &uses.claims))
            }
            ("", "persistentvolumeclaims") => self.get(&place, |it, place| it.pod(place, |uses| &uses.claims)),
            ("", "persistentvolumes") => self.get(&place, |it, place| {
                it.volumes().any(|volume| volume.metadata.name.as_deref() == Some(place.name))
            }),
            ("resource.k8s.io", "resourceclaims") => {
                self.get(&place, |it, place| it.pod(place, |uses| &uses.resource_claims))
            }
            ("storage.k8s.io", "volumeattachments") => self.get(&place, |it, place| {
                let attachment = it.world.get::<VolumeAttachment>("", place.name);
                attachment.is_some_and(|attachment| attachment.spec.node_name == it.node)
            }),
            ("", "serviceaccounts") => self.token(&place),
            ("coordination.k8s.io", "leases") => self.lease(&place),
            ("storage.k8s.io", "csinodes") => self.csi_node(&place),
            ("resource.k8s.io", "resourceslices") => self.slice(&place),
            ("", "nodes") => self.nodes(&place),
            ("", "pods") => self.pods(&place),
            _ => self.by_rules(),
        }
    }

    fn by_rules(&self) -> Verdict {
        need(rules().iter().any(|rule| rbac::allows(rule, self.access)), "")
    }

    fn related(&self, place: &Place<'_>, leads_here: impl Fn(&Self, &Place<'_>) -> bool) -> Verdict {
        need(!place.name.is_empty(), "No Object name found")?;
        let why = format!("no relationship found between node '{}' and this object", self.node);
        need(leads_here(self, place), why)
    }

    fn get(&self, place: &Place<'_>, leads_here: impl Fn(&Self, &Place<'_>) -> bool) -> Verdict {
        need(self.access.verb == "get", "can only get individual resources of this type")?;
        need(place.subresource.is_empty(), "cannot get subresource")?;
        self.related(place, leads_here)
    }

    fn read(&self, place: &Place<'_>, leads_here: impl Fn(&Self, &Place<'_>) -> bool) -> Verdict {
        need(matches!(self.access.verb, "get" | "list" | "watch"), "can only read resources of this type")?;
        need(place.subresource.is_empty(), "cannot read subresource")?;
        need(!place.namespace.is_empty(), "can only read namespaced object of this type")?;
        self.related(place, leads_here)
    }

    /// What the pods of this node in a namespace refer to.
    fn uses(&self, namespace: &str) -> impl Iterator<Item = References> {
        let pods = self.world.pods_on(self.node).filter_map(|pod| pod.get::<Pod>());
        pods.filter(move |pod| pod.metadata.namespace.as_deref() == Some(namespace)).map(References::of)
    }

    fn pod(&self, place: &Place<'_>, names: fn(&References) -> &BTreeSet<String>) -> bool {
        self.uses(place.namespace).any(|uses| names(&uses).contains(place.name))
    }

    /// The volumes behind the claims of the pods on this node.
    fn volumes(&self) -> impl Iterator<Item = Arc<PersistentVolume>> {
        let pods = self.world.pods_on(self.node).filter_map(|pod| pod.get::<Pod>());
        let claims = pods.flat_map(move |pod| {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
            let claims = References::of(pod).claims.into_iter();
            claims.filter_map(move |name| self.world.get::<PersistentVolumeClaim>(namespace, &name))
        });
        let names = claims.filter_map(|claim| claim.spec.as_ref()?.volume_name.clone());
        names.filter_map(|name| self.world.get::<PersistentVolume>("", &name))
    }

    fn secret(&self, place: &Place<'_>) -> bool {
        self.pod(place, |uses| &uses.secrets)
            || self.volumes().any(|volume| {
                volume_secrets(&volume)
                    .iter()
                    .any(|(namespace, name)| namespace == place.namespace && name == place.name)
            })
    }

    fn token(&self, place: &Place<'_>) -> Verdict {
        let single = self.access.verb == "create" && !place.name.is_empty();
        need(single, "can only create tokens for individual service accounts")?;
        need(place.subresource == "token", "can only create token subresource of serviceaccount")?;
        self.related(place, |it, place| it.uses(place.namespace).any(|uses| uses.service_account == place.name))
    }

    fn lease(&self, place: &Place<'_>) -> Verdict {
        let verb = self.access.verb;
        need(
            matches!(verb, "get" | "create" | "update" | "patch" | "delete"),
            "can only get, create, update, patch, or delete a node lease",
        )?;
        need(place.namespace == LEASES, format!("can only access leases in the {LEASES:?} system namespace"))?;
        // Who creates has the name in the body, which admission looks at.
        need(
            verb == "create" || place.name == self.node,
            "can only access node lease with the same name as the requesting node",
        )
    }

    fn csi_node(&self, place: &Place<'_>) -> Verdict {
        let verb = self.access.verb;
        need(
            matches!(verb, "get" | "create" | "update" | "patch" | "delete"),
            "can only get, create, update, patch, or delete a CSINode",
        )?;
        need(place.subresource.is_empty(), "cannot authorize CSINode subresources")?;
        need(
            verb == "create" || place.name == self.node,
            "can only access CSINode with the same name as the requesting node",
        )
    }

    fn slice(&self, place: &Place<'_>) -> Verdict {
        need(place.subresource.is_empty(), "cannot authorize ResourceSlice subresources")?;
        match self.access.verb {
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.related(place, |it, place| {
                let slice = it.world.get::<ResourceSlice>("", place.name);
                slice.is_some_and(|slice| slice.spec.node_name.as_deref() == Some(it.node))
            }),
            "watch" | "list" | "deletecollection" => need(
                self.selects_itself("spec.nodeName"),
                "can only list/watch/deletecollection resourceslices with nodeName field selector",
            ),
            _ => Err(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, \
                 delete, deletecollection"
                    .to_owned(),
            ),
        }
    }

    fn nodes(&self, place: &Place<'_>) -> Verdict {
        let node = self.node;
        match (place.subresource, self.access.verb) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
            ("", "get" | "list" | "watch") => match place.name {
                name if name == node => Ok(()),
                "" => Err(format!("node '{node}' cannot read all nodes, only its own Node object")),
                other => Err(format!("node '{node}' cannot read '{other}', only its own Node object")),
            },
            _ => Err(String::new()),
        }
    }

    fn pods(&self, place: &Place<'_>) -> Verdict {
        let runs_here = |it: &Self, place: &Place<'_>| {
            let pod = it.world.get::<Pod>(place.namespace, place.name);
            pod.is_some_and(|pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(it.node))
        };
        match (place.subresource, self.access.verb) {
            ("", "get") => self.get(place, runs_here),
            ("", "list" | "watch") if self.selects_itself("spec.nodeName") => Ok(()),
            ("", "list" | "watch") if !place.name.is_empty() => self.related(place, runs_here),
            ("", "list" | "watch") => Err("can only list/watch pods with spec.nodeName field selector".to_owned()),
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => Err(String::new()),
        }
    }

    /// Whether only objects are asked for that have this node in a field.
    fn selects_itself(&self, field: &str) -> bool {
        FieldSelector::parse(self.access.fields).is_ok_and(|fields| fields.require(field) == Some(self.node))
    }
}

/// What every node may do, besides what is decided above.
fn rules() -> &'static [PolicyRule] {
    static RULES: OnceLock<Vec<PolicyRule>> = OnceLock::new();
    RULES.get_or_init(|| {
        let roles = rbac::default_roles().into_iter();
        let mut role = roles.filter(|role| role.metadata.name.as_deref() == Some("system:node"));
        role.next().and_then(|role| role.rules).unwrap_or_default()
    })
}
