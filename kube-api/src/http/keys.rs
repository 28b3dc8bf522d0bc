//! The secrets by which a cluster is known: its authority's key, and the key that signs ServiceAccount tokens.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::pki::{Authority, Identity};
use super::private_file;
use crate::auth::SigningKey;

/// What outlives a cluster that is to be the same to its clients when it starts again.
///
/// On disk the files have kubeadm's names: `ca.crt`, `ca.key`, `sa.key`, each readable by its owner only.
#[derive(Debug)]
pub struct Keys {
    /// Signs the certificates of the server and of clients.
    pub authority: Authority,
    /// Signs the tokens of ServiceAccounts.
    pub tokens: SigningKey,
}

impl Keys {
    /// New keys, from the system's randomness. `now` is when the authority begins to be valid.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn create(now: Timestamp) -> io::Result<Self> {
        let authority = Authority::create(now).map_err(io::Error::other)?;
        Ok(Self { authority, tokens: SigningKey::generate().map_err(io::Error::other)? })
    }

    /// The keys kept in a folder, made at the first time.
    ///
    /// # Errors
    /// If the folder cannot be read or written, or a file in it is no key; what is there is never replaced.
    pub fn kept_in(folder: &Path, now: Timestamp) -> io::Result<Self> {
        let (certificate, key, tokens) = (folder.join("ca.crt"), folder.join("ca.key"), folder.join("sa.key"));
        fs::create_dir_all(folder)?;
        if !certificate.try_exists()? && !key.try_exists()? && !tokens.try_exists()? {
            let keys = Self::create(now)?;
            let identity = keys.authority.identity();
            private_file::write(&tokens, keys.tokens.to_pem().as_bytes())?;
            private_file::write(&key, identity.key.as_bytes())?;
            private_file::write(&certificate, identity.certificate.as_bytes())?;
        }
        let about = |path: &Path, error: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        };
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| about(path, &error));
        let identity = Identity { certificate: read(&certificate)?, key: read(&key)? };
        Ok(Self {
            authority: Authority::load(identity).map_err(|error| about(&key, &error))?,
            tokens: SigningKey::from_pem(&read(&tokens)?).map_err(|error| about(&tokens, &error))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_keys_are_the_same_again() {
        let folder = std::env::temp_dir().join(format!("coracle-keys-{}", std::process::id()));
        let _left_by_a_crash = fs::remove_dir_all(&folder);
        let first = Keys::kept_in(&folder, Timestamp::UNIX_EPOCH).unwrap();
        let again = Keys::kept_in(&folder, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(first.authority.certificate(), again.authority.certificate());
        assert_eq!(first.tokens.pkcs8(), again.tokens.pkcs8());
        #[cfg(unix)]
        for file in fs::read_dir(&folder).unwrap() {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(folder.join("sa.key"), "no key").unwrap();
        let error = Keys::kept_in(&folder, Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("sa.key"), "{error}");
        fs::remove_file(folder.join("sa.key")).unwrap();
        assert!(Keys::kept_in(&folder, Timestamp::UNIX_EPOCH).is_err(), "half a set of keys is not made up for");
        fs::remove_dir_all(&folder).unwrap();
    }
}
