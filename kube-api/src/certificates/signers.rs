//! What each of Kubernetes' own signers signs. Source: `pkg/controller/certificates/signer`, `pkg/apis/certificates/helpers.go`.

use std::collections::BTreeSet;

use super::CertificateRequest;

/// Client certificates, by which the API server knows users.
pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// Client certificates of nodes.
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Serving certificates of nodes.
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
/// Anything. Today's API no longer takes requests for it, but old ones may be there.
pub const LEGACY_UNKNOWN: &str = "kubernetes.io/legacy-unknown";

/// Whether a signer signs a request for certain usages; `None` if it is no signer of ours.
#[must_use]
pub fn judge(signer: &str, request: &CertificateRequest, usages: &[String]) -> Option<Result<(), String>> {
    match signer {
        CLIENT => Some(client(usages)),
        KUBELET_CLIENT => Some(kubelet_client(request, usages)),
        KUBELET_SERVING => Some(kubelet_serving(request, usages)),
        LEGACY_UNKNOWN => Some(Ok(())),
        _ => None,
    }
}

fn client(usages: &[String]) -> Result<(), String> {
    let allowed = |usage: &str| ["client auth", "digital signature", "key encipherment"].contains(&usage);
    if let Some(usage) = usages.iter().find(|usage| !allowed(usage)) {
        return Err(format!("invalid usage for client certificate: {usage}"));
    }
    if usages.iter().any(|usage| usage == "client auth") {
        return Ok(());
    }
    Err("missing required usage for client certificate: client auth".to_owned())
}

fn kubelet_client(request: &CertificateRequest, usages: &[String]) -> Result<(), String> {
    refuse_if(request.organizations != ["system:nodes"], "subject organization is not system:nodes")?;
    refuse_if(!request.dns_names.is_empty(), "DNS subjectAltNames are not allowed")?;
    refuse_if(!request.emails.is_empty(), "Email subjectAltNames are not allowed")?;
    refuse_if(!request.addresses.is_empty(), "IP subjectAltNames are not allowed")?;
    refuse_if(!request.uris.is_empty(), "URI subjectAltNames are not allowed")?;
    of_a_node(request)?;
    exactly(usages, "client auth")
}

fn kubelet_serving(request: &CertificateRequest, usages: &[String]) -> Result<(), String> {
    refuse_if(request.organizations != ["system:nodes"], "subject organization is not system:nodes")?;
    let nameless = request.dns_names.is_empty() && request.addresses.is_empty();
    refuse_if(nameless, "DNS or IP subjectAltName is required")?;
    refuse_if(!request.emails.is_empty(), "Email subjectAltNames are not allowed")?;
    refuse_if(!request.uris.is_empty(), "URI subjectAltNames are not allowed")?;
    exactly(usages, "server auth")?;
    of_a_node(request)
}

fn refuse_if(wrong: bool, why: &str) -> Result<(), String> {
    if wrong { Err(why.to_owned()) } else { Ok(()) }
}

fn of_a_node(request: &CertificateRequest) -> Result<(), String> {
    let wrong = !request.common_name.starts_with("system:node:");
    refuse_if(wrong, "subject common name does not begin with system:node:")
}

/// Signatures and one purpose; RSA keys may also encipher keys.
fn exactly(usages: &[String], purpose: &str) -> Result<(), String> {
    let usages: BTreeSet<&str> = usages.iter().map(String::as_str).collect();
    let mut wanted = BTreeSet::from(["digital signature", purpose]);
    let without_rsa = usages == wanted;
    wanted.insert("key encipherment");
    if without_rsa || usages == wanted {
        return Ok(());
    }
    let wanted: Vec<&str> = wanted.into_iter().collect();
    Err(format!("usages did not match [{}]", wanted.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(signer: &str, change: impl FnOnce(&mut CertificateRequest), usages: &str, expected: Option<&str>) {
        let mut request = CertificateRequest {
            common_name: "system:node:n1".to_owned(),
            organizations: vec!["system:nodes".to_owned()],
            ..CertificateRequest::default()
        };
        change(&mut request);
        let usages: Vec<String> = usages.split(", ").map(str::to_owned).collect();
        assert_eq!(judge(signer, &request, &usages).unwrap().err().as_deref(), expected);
    }

    #[test]
    fn each_signer_has_its_rules() {
        let (client, serving) = ("client auth, digital signature", "server auth, digital signature, key encipherment");
        check(CLIENT, |it| *it = CertificateRequest::default(), client, None);
        check(CLIENT, |_| {}, "digital signature", Some("missing required usage for client certificate: client auth"));
        check(CLIENT, |_| {}, serving, Some("invalid usage for client certificate: server auth"));
        check(LEGACY_UNKNOWN, |_| {}, "any", None);
        check(KUBELET_CLIENT, |_| {}, client, None);
        check(KUBELET_CLIENT, |_| {}, "client auth, key encipherment, digital signature", None);
        let usages = "usages did not match [client auth digital signature key encipherment]";
        check(KUBELET_CLIENT, |_| {}, "client auth", Some(usages));
        let masters = |it: &mut CertificateRequest| it.organizations.push("system:masters".to_owned());
        check(KUBELET_CLIENT, masters, client, Some("subject organization is not system:nodes"));
        let named = |it: &mut CertificateRequest| it.dns_names.push("n1".to_owned());
        check(KUBELET_CLIENT, named, client, Some("DNS subjectAltNames are not allowed"));
        let jane = |it: &mut CertificateRequest| it.common_name = "jane".to_owned();
        check(KUBELET_CLIENT, jane, client, Some("subject common name does not begin with system:node:"));
        check(KUBELET_SERVING, named, serving, None);
        check(KUBELET_SERVING, |_| {}, serving, Some("DNS or IP subjectAltName is required"));
        let usages = "usages did not match [digital signature key encipherment server auth]";
        check(KUBELET_SERVING, named, client, Some(usages));
        assert_eq!(judge("example.com/mine", &CertificateRequest::default(), &[]), None);
    }
}
