//! An ordered, versioned key-value log: the Store trait, the memory store, wrappers, and the suite every store runs.
//!
//! A store is one history of changes to keys. It knows bytes, never kinds.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | the [`Store`] trait and its words: writes and expectations, pages, changes |
//! | [`changes`] | [`Changes`], a reader's place in the history, and what a store implements to feed it |
//! | [`key`] | [`Key`] and [`KeyRange`] |
//! | [`error`] | [`Error`] and [`Conflict`] |
//! | [`memory`] | [`Memory`]: a store in memory that forks in constant time |
//! | [`faulty`] | [`Faulty`]: a store that fails as real ones do, by a seed |
//! | [`recorded`] | [`Recorded`]: a store that remembers every commit and can replay them |
//! | [`encrypted`] | [`Encrypted`]: a store that keeps some of its values encrypted |
//! | [`conformance`] | the checks every store passes, yours too |
//!
//! ```
//! # futures::executor::block_on(async {
//! use coracle_store::{At, KeyRange, Memory, Store, Write};
//!
//! let store = Memory::default();
//! let mut changes = store.changes(KeyRange::prefix("/pods/"), store.revision().await?)?;
//! store.commit(vec![Write::put("/pods/web", "1"), Write::put("/nodes/a", "2")]).await?;
//!
//! let pods = store.range(KeyRange::prefix("/pods/"), At::Latest, 500).await?;
//! assert_eq!(pods.items.len(), 1);
//! assert_eq!(changes.next().await?.len(), 1);
//! # Ok::<(), coracle_store::Error>(()) }).unwrap();
//! ```

pub mod changes;
pub mod conformance;
pub mod encrypted;
pub mod error;
pub mod faulty;
pub mod key;
pub mod memory;
pub mod recorded;
pub mod store;

pub use changes::{Batch, ChangeSource, Changes};
pub use coracle_core::Revision;
pub use encrypted::{Encrypted, SealingKey};
pub use error::{Conflict, Error, Result};
pub use faulty::{Faults, Faulty};
pub use key::{Key, KeyRange};
pub use memory::Memory;
pub use recorded::{Recorded, Recording};
pub use store::{At, Change, Expect, Item, Outcome, Page, Store, Version, Write};
