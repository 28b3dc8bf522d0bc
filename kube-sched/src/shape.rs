//! What a pod asks of a node, apart from who it is. Pods made from one template share one `Shape`, so whatever is worked out
//! for one of them (which nodes fit, how they score) holds for all.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Affinity, Container, NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec, Toleration, TopologySpreadConstraint,
};

use crate::resources::{Resources, is_sidecar, pod_request, pod_request_for_scoring};
use crate::topology::{PodTerms, Terms};

/// A transport protocol of a host port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// The default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port that a pod wants of its node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The address; empty for all of them.
    pub ip: Box<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: i32,
}

impl HostPort {
    /// Whether both cannot be had on one node: "all addresses" collides with every address.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || self.ip.is_empty() || other.ip.is_empty())
    }
}

/// What a pod asks of a node. Everything that filters and scores of single nodes may read.
#[derive(Debug, PartialEq)]
pub struct Shape {
    /// What it asks for.
    pub request: Resources,
    /// What it counts as when scored: milli-cpu and bytes of memory.
    pub scoring_request: (i64, i64),
    /// The taints it tolerates.
    pub tolerations: Vec<Toleration>,
    /// The labels its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Affinity to nodes and to other pods.
    pub affinity: Option<Affinity>,
    /// How it wants to be spread.
    pub spread: Vec<TopologySpreadConstraint>,
    /// The host ports it wants.
    pub host_ports: Vec<HostPort>,
    /// The images it runs, with a tag each, sorted; init containers and image volumes included.
    pub images: Vec<String>,
    /// How many images it could run at most: containers, init containers and image volumes.
    pub image_count: usize,
    /// The namespace, if other pods are part of what it asks; else empty.
    pub namespace: String,
    /// Its priority: who goes first, and who may make room for whom.
    pub priority: i32,
    terms: PodTerms,
}

impl Shape {
    /// Reads a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        static NO_SPEC: std::sync::OnceLock<PodSpec> = std::sync::OnceLock::new();
        let spec = pod.spec.as_ref().unwrap_or_else(|| NO_SPEC.get_or_init(PodSpec::default));
        let spread = spec.topology_spread_constraints.clone().unwrap_or_default();
        let mut images: Vec<_> = images(spec).map(tagged).collect();
        images.sort_unstable();
        let mut shape = Self {
            request: pod_request(pod),
            scoring_request: pod_request_for_scoring(pod),
            tolerations: spec.tolerations.clone().unwrap_or_default(),
            node_selector: spec.node_selector.clone().unwrap_or_default(),
            affinity: spec.affinity.clone(),
            spread,
            host_ports: host_ports(spec),
            image_count: images.len(),
            images,
            namespace: String::new(),
            priority: spec.priority.unwrap_or(0),
            terms: PodTerms::default(),
        };
        if shape.asks_about_pods() {
            shape.namespace = pod.metadata.namespace.clone().unwrap_or_default();
        }
        shape
    }

    /// Whether other pods decide where it can go: spreading, affinity or anti-affinity to pods.
    #[must_use]
    pub fn asks_about_pods(&self) -> bool {
        !self.spread.is_empty() || self.has_terms()
    }

    /// The terms of required node affinity, of which one must hold; `None` if there is no such affinity.
    #[must_use]
    pub fn required_node_terms(&self) -> Option<&[NodeSelectorTerm]> {
        let affinity = self.affinity.as_ref()?.node_affinity.as_ref()?;
        Some(&affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms)
    }

    /// The terms of required anti-affinity to pods.
    pub fn required_anti_affinity(&self) -> impl Iterator<Item = &PodAffinityTerm> {
        let affinity = self.affinity.as_ref().and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        affinity.into_iter().flat_map(|anti| anti.required_during_scheduling_ignored_during_execution.iter().flatten())
    }

    /// The terms of required affinity to pods.
    pub fn required_affinity(&self) -> impl Iterator<Item = &PodAffinityTerm> {
        let affinity = self.affinity.as_ref().and_then(|affinity| affinity.pod_affinity.as_ref());
        affinity
            .into_iter()
            .flat_map(|terms| terms.required_during_scheduling_ignored_during_execution.iter().flatten())
    }

    /// Its terms of affinity to pods, ready to be matched.
    pub(crate) fn terms(&self) -> &Terms {
        self.terms.of(self)
    }

    /// Whether it has any terms of affinity to pods.
    pub(crate) fn has_terms(&self) -> bool {
        let affinity = self.affinity.as_ref();
        affinity.is_some_and(|affinity| affinity.pod_affinity.is_some() || affinity.pod_anti_affinity.is_some())
    }

    /// A hash of the parts that differ most; equality decides.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.request, self.scoring_request, &self.node_selector, &self.host_ports).hash(&mut hasher);
        (&self.images, &self.namespace, self.priority, self.spread.len()).hash(&mut hasher);
        for toleration in &self.tolerations {
            (&toleration.key, &toleration.value).hash(&mut hasher);
        }
        for term in self.required_node_terms().unwrap_or_default() {
            for requirement in term.match_fields.iter().chain(&term.match_expressions).flatten() {
                (&requirement.key, &requirement.values).hash(&mut hasher);
            }
        }
        for term in self.required_anti_affinity().chain(self.required_affinity()) {
            let labels = term.label_selector.as_ref().map(|selector| &selector.match_labels);
            (&term.topology_key, labels).hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    let ports = |container: &Container| container.ports.clone().unwrap_or_default();
    let ports = spec.containers.iter().chain(sidecars).flat_map(ports);
    let wanted = |port: k8s_openapi::api::core::v1::ContainerPort| {
        let number = port.host_port.filter(|port| *port > 0)?;
        let protocol = match port.protocol.as_deref() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        let ip = port.host_ip.filter(|ip| ip != "0.0.0.0").unwrap_or_default();
        Some(HostPort { ip: ip.into(), protocol, port: number })
    };
    ports.filter_map(wanted).collect()
}

fn images(spec: &PodSpec) -> impl Iterator<Item = &str> {
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let volumes = spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref()?.reference.as_deref());
    containers.map(|container| container.image.as_deref().unwrap_or("")).chain(volumes)
}

/// An image name with a tag: `latest` unless it has one. Source: imagelocality `normalizedImageName`.
fn tagged(image: &str) -> String {
    if image.rfind(':') > image.rfind('/') { image.to_owned() } else { format!("{image}:latest") }
}

/// One shape each, however many pods have it.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    known: HashMap<u64, Vec<Arc<Shape>>>,
    count: usize,
    sweep_at: usize,
}

impl Shapes {
    /// Below this many shapes none is forgotten.
    const SWEEP_MIN: usize = 4096;

    /// The one shape that equals this pod's.
    pub fn of(&mut self, pod: &Pod) -> Arc<Shape> {
        let shape = Shape::of(pod);
        let fingerprint = shape.fingerprint();
        let bucket = self.known.entry(fingerprint).or_default();
        if let Some(known) = bucket.iter().find(|known| ***known == shape) {
            return known.clone();
        }
        let shape = Arc::new(shape);
        bucket.push(shape.clone());
        self.count += 1;
        if self.count > self.sweep_at.max(Self::SWEEP_MIN) {
            self.sweep();
        }
        shape
    }

    /// Forgets the shapes nobody has any more.
    fn sweep(&mut self) {
        self.known.retain(|_, bucket| {
            bucket.retain(|shape| Arc::strong_count(shape) > 1);
            !bucket.is_empty()
        });
        self.count = self.known.values().map(Vec::len).sum();
        self.sweep_at = self.count * 2;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_of_one_template_share_a_shape() {
        let pod = |name: &str, cpu: &str, image: &str| -> Pod {
            let container = json!({"name": "c", "image": image, "resources": {"requests": {"cpu": cpu}}});
            let labels = json!({"index": name});
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "a", "labels": labels}, "spec": {"containers": [container]},
            }))
            .unwrap()
        };
        let mut shapes = Shapes::default();
        let first = shapes.of(&pod("1", "1", "web"));
        assert!(Arc::ptr_eq(&first, &shapes.of(&pod("2", "1000m", "web:latest"))));
        assert!(!Arc::ptr_eq(&first, &shapes.of(&pod("2", "1", "web:1"))));
        assert!(!Arc::ptr_eq(&first, &shapes.of(&pod("2", "2", "web"))));
    }

    #[test]
    fn images_get_a_tag() {
        for (image, expected) in [
            ("web", "web:latest"),
            ("web:1", "web:1"),
            ("registry:5000/web", "registry:5000/web:latest"),
            ("registry:5000/web:1", "registry:5000/web:1"),
        ] {
            assert_eq!(tagged(image), expected);
        }
    }

    #[test]
    fn host_ports_collide_as_addresses_do() {
        let port = |ip: &str, port| HostPort { ip: ip.into(), protocol: Protocol::Tcp, port };
        assert!(port("", 80).collides(&port("10.0.0.1", 80)));
        assert!(port("10.0.0.1", 80).collides(&port("10.0.0.1", 80)));
        assert!(!port("10.0.0.1", 80).collides(&port("10.0.0.2", 80)));
        assert!(!port("", 80).collides(&port("", 81)));
        assert!(!port("", 80).collides(&HostPort { protocol: Protocol::Udp, ..port("", 80) }));
    }
}
