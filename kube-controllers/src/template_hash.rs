//! A short name for the content of a pod template. Source: `controller.ComputeHash`.

use k8s_openapi::api::core::v1::PodTemplateSpec;

/// The label that carries the hash.
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// The hash of a template, as it appears in names and labels. It need not be the one that Go computes: controllers find
/// ReplicaSets by content, and take the name only for new ones.
#[must_use]
pub fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut bytes = serde_json::to_vec(template).unwrap_or_default();
    if let Some(collisions) = collisions {
        bytes.extend_from_slice(&collisions.to_le_bytes());
    }
    safe_encode(&fnv32a(&bytes).to_string())
}

/// The FNV-1a hash of bytes.
pub(crate) fn fnv32a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Letters and digits that spell no words. Source: apimachinery `rand.SafeEncodeString`.
fn safe_encode(text: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    text.bytes()
        .filter_map(|byte| ALPHABET.get(usize::from(byte) % ALPHABET.len()))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fnv_1a_in_safe_letters() {
        assert_eq!(fnv32a(b""), 0x811c_9dc5);
        assert_eq!(fnv32a(b"foobar"), 0xbf9c_f968);
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
    }

    #[test]
    fn a_collision_gives_another_name() {
        let template = PodTemplateSpec::default();
        assert_eq!(template_hash(&template, None), template_hash(&template, None));
        assert_ne!(template_hash(&template, None), template_hash(&template, Some(1)));
    }
}
