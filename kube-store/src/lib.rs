//! An ordered, versioned key-value log: the Store trait, the memory store, wrappers, and the suite every store runs.
