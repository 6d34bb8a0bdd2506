//! One bucket: keys, journal, data sets and results over an object store.
